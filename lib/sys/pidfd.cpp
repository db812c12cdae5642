#include "lib/sys/pidfd.hpp"

#include <cerrno>
#include <csignal>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

} // namespace

Result<Fd> pidfd_open(pid_t pid) {
    const long fd = ::syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) return fail_errno("pidfd_open", std::to_string(pid), errno);
    return Fd::adopt(static_cast<int>(fd));
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

} // namespace keep::sys
