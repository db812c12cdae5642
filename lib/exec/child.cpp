// The child between clone and exec. It may run in the parent's memory while the parent's other threads go on, so:
// raw system calls only; no allocation, no lock, no errno, no thread-local, no exception, no libc function, and no
// instrumentation of sanitizers or the stack protector (see meson.build). It ends in execve or exit_group.
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/exec/child_plan.hpp"
#include "lib/exec/raw_syscall.hpp"

namespace keep::exec {
namespace {

constexpr int exit_code_of_failure = 253; // Go's; nobody sees it, the parent reaps a child that reported a failure
constexpr unsigned no_descriptor_above = ~0U;
constexpr std::size_t kernel_sigset_size = 8;

template <typename Pointer>
long as_long(Pointer* pointer) {
    return reinterpret_cast<long>(pointer);
}

[[noreturn]] void give_up(const ChildPlan& plan, Step step, long result, std::size_t index = 0) {
    volatile ChildReport& report = *plan.report;
    report.code = static_cast<int>(-result);
    report.index = index;
    report.step = step;
    for (;;)
        raw_syscall(SYS_exit_group, exit_code_of_failure);
}

void check(const ChildPlan& plan, Step step, long result, std::size_t index = 0) {
    if (result < 0) give_up(plan, step, result, index);
}

// The child is born with the parent's table (CLONE_FILES) and leaves it before it changes anything: its own has the
// numbers that it needs and none above. A copy of a thousand descriptors, each closed again by the exec, would cost as
// much as the whole spawn.
void leave_parents_table(const ChildPlan& plan) {
    constexpr long unshare = 2; // CLOSE_RANGE_UNSHARE, 5.9
    if (raw_syscall(SYS_close_range, plan.needed_below, no_descriptor_above, unshare) == 0) return;
    check(plan, Step::fds, raw_syscall(SYS_unshare, CLONE_FILES), ~0UL);
}

// "0" means the writer itself.
void join_cgroup(const ChildPlan& plan) {
    static constexpr char file[] = "cgroup.procs";
    const long fd = raw_syscall(SYS_openat, plan.join_cgroup_fd, as_long(file), O_WRONLY | O_CLOEXEC);
    check(plan, Step::cgroup, fd);
    static constexpr char self[] = "0";
    check(plan, Step::cgroup, raw_syscall(SYS_write, fd, as_long(self), 1));
    raw_syscall(SYS_close, fd);
}

// A write by a vfork child changes the child alone, although it shares the parent's memory (fs/proc/base.c).
void write_oom_score(const ChildPlan& plan) {
    static constexpr char file[] = "/proc/self/oom_score_adj";
    const long fd = raw_syscall(SYS_openat, AT_FDCWD, as_long(file), O_WRONLY | O_CLOEXEC);
    check(plan, Step::oom_score_adjust, fd);
    const auto length = static_cast<long>(plan.oom_score_length);
    check(plan, Step::oom_score_adjust, raw_syscall(SYS_write, fd, as_long(plan.oom_score_text), length));
    raw_syscall(SYS_close, fd);
}

// Groups first, the user last: each needs the privilege that the user id carries.
void change_credentials(const ChildPlan& plan) {
    const auto gid = static_cast<long>(plan.credentials->gid);
    const auto uid = static_cast<long>(plan.credentials->uid);
#ifdef SYS_setgroups32 // architectures that began with 16-bit ids
    constexpr long set_groups = SYS_setgroups32;
    constexpr long set_gid = SYS_setresgid32;
    constexpr long set_uid = SYS_setresuid32;
#else
    constexpr long set_groups = SYS_setgroups;
    constexpr long set_gid = SYS_setresgid;
    constexpr long set_uid = SYS_setresuid;
#endif
    const auto group_count = static_cast<long>(plan.group_count);
    check(plan, Step::groups, raw_syscall(set_groups, group_count, as_long(plan.groups)));
    check(plan, Step::gid, raw_syscall(set_gid, gid, gid, gid));
    check(plan, Step::uid, raw_syscall(set_uid, uid, uid, uid));
}

// After the credentials, whose change clears it. A parent that died before this call will never be reported as dead.
void set_parent_death_signal(const ChildPlan& plan) {
    check(plan, Step::parent_death_signal, raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, plan.parent_death_signal));
    if (raw_syscall(SYS_getppid) != plan.parent) {
        raw_syscall(SYS_kill, raw_syscall(SYS_getpid), plan.parent_death_signal);
    }
}

bool is_kept(const ChildPlan& plan, int fd) {
    if (fd < 3) return true;
    for (std::size_t i = 0; i < plan.kept_count; ++i) {
        if (plan.kept[i] == fd) return true;
    }
    return false;
}

// Closes what /proc shows as open. For kernels, and seccomp filters, that refuse close_range.
void close_one_by_one(const ChildPlan& plan) {
    // getdents64(2): inode (8 bytes), offset (8), the entry's length (2), type (1), name, NUL.
    constexpr long length_at = 16;
    constexpr long name_at = 19;
    static constexpr char dir[] = "/proc/self/fd";
    const long list = raw_syscall(SYS_openat, AT_FDCWD, as_long(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(plan, Step::fds, list);
    alignas(8) char buffer[2048]; // NOLINT(modernize-avoid-c-arrays): not initialised, so no memset is called
    for (;;) {
        const long count = raw_syscall(SYS_getdents64, list, as_long(buffer), sizeof buffer);
        check(plan, Step::fds, count);
        if (count == 0) break;
        for (long at = 0; at < count;) {
            const char* name = buffer + at + name_at;
            at += *reinterpret_cast<const std::uint16_t*>(buffer + at + length_at);
            if (*name == '.') continue;
            int fd = 0;
            for (; *name != '\0'; ++name)
                fd = fd * 10 + (*name - '0');
            if (fd != list && !is_kept(plan, fd)) raw_syscall(SYS_close, fd);
        }
    }
    raw_syscall(SYS_close, list);
}

// Marking all for the exec to close is a stroke in a bitmap; closing now would visit each possible number (4 us against
// 1 us for a table of 256). Kernels before 5.11 cannot mark.
bool close_range(unsigned low, unsigned high) {
    constexpr long close_on_exec = 4; // CLOSE_RANGE_CLOEXEC
    const long marked = raw_syscall(SYS_close_range, low, high, close_on_exec);
    return marked == 0 || (marked == -EINVAL && raw_syscall(SYS_close_range, low, high, 0) == 0);
}

// The gaps between the kept numbers, and all above. The table is a copy of the parent's: closing disturbs nobody.
void close_all_others(const ChildPlan& plan) {
    unsigned low = 3;
    for (std::size_t i = 0; i <= plan.kept_count; ++i) {
        const bool last = i == plan.kept_count;
        const unsigned next = last ? no_descriptor_above : static_cast<unsigned>(plan.kept[i]);
        const unsigned high = last ? no_descriptor_above : next - 1;
        if (last || next > low) {
            if (!close_range(low, high)) return close_one_by_one(plan);
        }
        low = next + 1;
    }
}

void place_descriptors(const ChildPlan& plan) {
    for (std::size_t i = 0; i < plan.move_count; ++i) {
        const FdMove move = plan.moves[i];
        const long result = move.from == move.to ? raw_syscall(SYS_fcntl, move.to, F_SETFD, 0)
                                                 : raw_syscall(SYS_dup3, move.from, move.to, 0);
        check(plan, Step::fds, result, i);
    }
    if (plan.exec_fd >= 0) check(plan, Step::fds, raw_syscall(SYS_fcntl, plan.exec_fd, F_SETFD, FD_CLOEXEC), ~0UL);
    close_all_others(plan);
}

// Handlers would run the parent's code, and SIG_IGN outlives the exec. Then nothing is blocked any more.
void reset_signals(const ChildPlan& plan) {
    struct KernelSigaction {
        std::uintptr_t handler; // 0: SIG_DFL
        unsigned long flags;
        std::uintptr_t restorer;
        std::uint64_t mask;
    };
    const volatile KernelSigaction by_default = {0, 0, 0, 0};
    for (std::uint64_t left = plan.signals_to_reset; left != 0; left &= left - 1) {
        const long signal = __builtin_ctzll(left) + 1;
        raw_syscall(SYS_rt_sigaction, signal, as_long(&by_default), 0, kernel_sigset_size);
    }
    const volatile std::uint64_t none = 0;
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, as_long(&none), 0, kernel_sigset_size);
}

long execute(const ChildPlan& plan) {
    if (plan.exec_fd < 0) {
        return raw_syscall(SYS_execve, as_long(plan.path), as_long(plan.argv), as_long(plan.envp));
    }
    static constexpr char empty[] = "";
    return raw_syscall(SYS_execveat, plan.exec_fd, as_long(empty), as_long(plan.argv), as_long(plan.envp),
                       AT_EMPTY_PATH);
}

// ETXTBSY: somebody has just written the file, and a fork of theirs still holds it open until its own exec
// (golang/go#22315). That passes within milliseconds or not at all: 63 ms in all, then it is a failure.
[[noreturn]] void execute_or_give_up(const ChildPlan& plan) {
    constexpr long longest_pause_ms = 32;
    for (long pause_ms = 1;; pause_ms *= 2) {
        const long result = execute(plan);
        if (result != -ETXTBSY || pause_ms > longest_pause_ms) give_up(plan, Step::execve, result);
        const volatile timespec pause = {0, pause_ms * 1'000'000};
        raw_syscall(SYS_nanosleep, as_long(&pause), 0);
    }
}

[[noreturn]] void run_child(const ChildPlan& plan) {
    leave_parents_table(plan);
    if (plan.join_cgroup_fd >= 0) join_cgroup(plan);
    if (plan.new_session) check(plan, Step::setsid, raw_syscall(SYS_setsid));
    if (plan.new_group) check(plan, Step::setpgid, raw_syscall(SYS_setpgid, 0, 0));
    if (plan.nice != nullptr) check(plan, Step::nice, raw_syscall(SYS_setpriority, PRIO_PROCESS, 0, *plan.nice));
    if (plan.oom_score_text != nullptr) write_oom_score(plan);
    for (std::size_t i = 0; i < plan.limit_count; ++i) {
        const Limit& limit = plan.limits[i];
        check(plan, Step::rlimit, raw_syscall(SYS_prlimit64, 0, limit.resource, as_long(&limit.value), 0), i);
    }
    if (plan.no_new_privileges) {
        check(plan, Step::no_new_privileges, raw_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    }
    if (plan.credentials != nullptr) change_credentials(plan);
    if (plan.parent_death_signal != 0) set_parent_death_signal(plan);
    if (plan.umask != nullptr) raw_syscall(SYS_umask, static_cast<long>(*plan.umask));
    if (plan.dir != nullptr) check(plan, Step::chdir, raw_syscall(SYS_chdir, as_long(plan.dir)));
    place_descriptors(plan);
    reset_signals(plan);
    execute_or_give_up(plan);
}

} // namespace

int child_entry(void* plan) {
    run_child(*static_cast<const ChildPlan*>(plan));
}

} // namespace keep::exec
