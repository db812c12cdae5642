#include "lib/sys/pidfd.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace keep::sys {
namespace {

constexpr int by_pidfd = 3; // P_PIDFD; glibc before 2.36 has no name for it

Duration duration_of(const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

ExitStatus status_of(const siginfo_t& info) {
    switch (info.si_code) {
    case CLD_EXITED: return ExitStatus::exited(info.si_status);
    case CLD_KILLED: return ExitStatus::signaled(info.si_status);
    case CLD_DUMPED: return ExitStatus::signaled(info.si_status, true);
    default: return {};
    }
}

int wait_status_of(const siginfo_t& info) {
    constexpr int core_flag = 0x80;
    constexpr int stopped = 0x7f;
    switch (info.si_code) {
    case CLD_EXITED: return (info.si_status & 0xff) << 8;
    case CLD_KILLED: return info.si_status;
    case CLD_DUMPED: return info.si_status | core_flag;
    case CLD_STOPPED:
    case CLD_TRAPPED: return (info.si_status & 0xff) << 8 | stopped;
    default: return 0;
    }
}

// waitid(2) as the kernel has it: the libc wrapper hides the fifth argument, which tells the usage of exactly the
// child that is reported.
Result<std::optional<ChildExit>> wait_for(int id_type, int id, int flags) {
    siginfo_t info{};
    rusage used{};
    while (::syscall(SYS_waitid, id_type, id, &info, WEXITED | flags, &used) != 0) {
        if (errno == EINTR) continue;
        if (errno == ECHILD && id_type == P_ALL) return std::optional<ChildExit>{};
        return fail_errno("waitid", "", errno);
    }
    if (info.si_pid == 0) return std::optional<ChildExit>{};
    return ChildExit{info.si_pid,
                     status_of(info),
                     {duration_of(used.ru_utime), duration_of(used.ru_stime), used.ru_maxrss},
                     wait_status_of(info),
                     used};
}

// linux/pidfd.h as of 6.15; the headers of older systems lack it.
struct PidfdInfo {
    std::uint64_t mask = 0;
    std::uint64_t cgroup = 0;
    std::uint32_t pid = 0, tgid = 0, ppid = 0;
    std::array<std::uint32_t, 8> ids{};
    std::int32_t exit_code = 0; // as wait(2) encodes it
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long get_info = _IOWR(0xFF, 11, PidfdInfo);
constexpr std::uint64_t info_exit = 8;

} // namespace

Result<Fd> pidfd_open(pid_t pid) {
    const long fd = ::syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) return fail_errno("pidfd_open", std::to_string(pid), errno);
    return Fd::adopt(static_cast<int>(fd));
}

std::uint64_t process_inode(int pidfd) {
    constexpr auto pidfs = 0x50494446; // PIDFS_MAGIC; Debian's headers have no name for it
    struct statfs system{};
    struct stat about{};
    return ::fstatfs(pidfd, &system) == 0 && system.f_type == pidfs && ::fstat(pidfd, &about) == 0 ? about.st_ino : 0;
}

Result<> pidfd_send_signal(int pidfd, int signal) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return {};
    return fail_errno("pidfd_send_signal", "", errno);
}

Result<std::optional<ChildExit>> peek_exit(int pidfd) {
    return wait_for(by_pidfd, pidfd, WNOHANG | WNOWAIT);
}

Result<std::optional<ChildExit>> reap(int pidfd) {
    return wait_for(by_pidfd, pidfd, WNOHANG);
}

Result<ChildExit> reap_blocking(int pidfd) {
    // A non-blocking pidfd makes waitid(2) answer EAGAIN instead of waiting; ours are never made so.
    auto ended = wait_for(by_pidfd, pidfd, 0);
    if (!ended) return std::unexpected(ended.error());
    return ended->value();
}

Result<ChildExit> reap_pid_blocking(pid_t pid) {
    auto ended = wait_for(P_PID, pid, 0);
    if (!ended) return std::unexpected(ended.error());
    return ended->value();
}

Result<std::optional<ChildExit>> peek_any_exit() {
    return wait_for(P_ALL, 0, WNOHANG | WNOWAIT);
}

Result<std::optional<ChildExit>> reap_any() {
    return wait_for(P_ALL, 0, WNOHANG);
}

Result<std::optional<ChildExit>> reap_zombie(pid_t pid) {
    return wait_for(P_PID, pid, WNOHANG);
}

Result<std::optional<ExitStatus>> exit_info(int pidfd) {
    PidfdInfo info;
    info.mask = info_exit;
    if (::ioctl(pidfd, get_info, &info) != 0) return fail_errno("PIDFD_GET_INFO", "", errno);
    if ((info.mask & info_exit) == 0) return std::optional<ExitStatus>{};
    return status_of_wait(info.exit_code);
}

bool tells_exits(int pidfd) {
    constexpr std::pair since{6, 15};
    utsname kernel{};
    std::pair<int, int> version;
    return ::uname(&kernel) == 0 && std::sscanf(kernel.release, "%d.%d", &version.first, &version.second) == 2 &&
           version >= since && exit_info(pidfd).has_value();
}

ExitStatus status_of_wait(int wait_status) {
    if (WIFEXITED(wait_status)) return ExitStatus::exited(WEXITSTATUS(wait_status));
    if (WIFSIGNALED(wait_status)) return ExitStatus::signaled(WTERMSIG(wait_status), WCOREDUMP(wait_status));
    return {};
}

} // namespace keep::sys
