// The order of the steps is Go's (forkAndExecInChild1); ours beyond it stand where they still have the privileges that
// they need.
#include <csignal>
#include <linux/ioprio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/exec/child_steps.hpp"

namespace keep::exec::child {
namespace {

struct KernelSigaction {
    std::uintptr_t handler;
    unsigned long flags;
    std::uintptr_t restorer;
    std::uint64_t mask;
};

// "0" means the writer itself.
void join_cgroup(const ChildPlan& plan) {
    static constexpr char file[] = "cgroup.procs";
    const long fd = raw_syscall(SYS_openat, plan.join_cgroup_fd, as_long(file), O_WRONLY | O_CLOEXEC);
    check(plan, Step::cgroup, fd);
    static constexpr char self[] = "0";
    check(plan, Step::cgroup, raw_syscall(SYS_write, fd, as_long(self), 1));
    raw_syscall(SYS_close, fd);
}

// All signals are blocked: writing to the terminal from the background does not stop us (SIGTTOU).
void come_to_foreground(const ChildPlan& plan) {
    const volatile int group = plan.pgid != 0 ? plan.pgid : static_cast<int>(raw_syscall(SYS_getpid));
    check(plan, Step::foreground, raw_syscall(SYS_ioctl, plan.foreground_fd, TIOCSPGRP, as_long(&group)));
}

void set_priorities(const ChildPlan& plan) {
    if (plan.nice != nullptr) check(plan, Step::nice, raw_syscall(SYS_setpriority, PRIO_PROCESS, 0, *plan.nice));
    if (plan.io_priority >= 0) {
        check(plan, Step::io_priority, raw_syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, plan.io_priority));
    }
    if (plan.cpu_set != nullptr) {
        const auto size = static_cast<long>(plan.cpu_set_size);
        check(plan, Step::cpu_affinity, raw_syscall(SYS_sched_setaffinity, 0, size, as_long(plan.cpu_set)));
    }
    // A write by a vfork child changes the child alone, although it shares the parent's memory (fs/proc/base.c).
    static constexpr char oom_score[] = "/proc/self/oom_score_adj";
    if (plan.oom_score.text != nullptr) write_file(plan, Step::oom_score_adjust, oom_score, plan.oom_score);
}

void change_root(const ChildPlan& plan) {
    check(plan, Step::chroot, raw_syscall(SYS_chroot, as_long(plan.chroot)));
    if (plan.dir != nullptr) return;
    static constexpr char root[] = "/";
    check(plan, Step::chdir, raw_syscall(SYS_chdir, as_long(root))); // a directory outside would be a way out
}

void set_limits(const ChildPlan& plan) {
    for (std::size_t i = 0; i < plan.limit_count; ++i) {
        const Limit& limit = plan.limits[i];
        check(plan, Step::rlimit, raw_syscall(SYS_prlimit64, 0, limit.resource, as_long(&limit.value), 0), i);
    }
}

// After the credentials, whose change clears it. A parent that died before this call will never be reported as dead.
void set_parent_death_signal(const ChildPlan& plan) {
    check(plan, Step::parent_death_signal, raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, plan.pdeathsig));
    const long parent = raw_syscall(SYS_getppid);
    if (parent != plan.parent && parent != 0) { // 0: it is outside of our new pid namespace
        raw_syscall(SYS_kill, raw_syscall(SYS_getpid), plan.pdeathsig);
    }
}

void set_default(const ChildPlan& plan, int signal) {
    const volatile KernelSigaction by_default = {0, 0, 0, 0}; // SIG_DFL
    check(plan, Step::signals, raw_syscall(SYS_rt_sigaction, signal, as_long(&by_default), 0, kernel_sigset_size));
}

// Handlers would run the parent's code; clone3 resets them, clone does not. What is ignored stays so but for
// to_default.
void reset_handlers(const ChildPlan& plan) {
    constexpr std::uintptr_t ignored = 1; // SIG_IGN
    for (int signal = 1; signal <= 64; ++signal) {
        if (signal == SIGKILL || signal == SIGSTOP) continue;
        volatile KernelSigaction action = {0, 0, 0, 0};
        raw_syscall(SYS_rt_sigaction, signal, 0, as_long(&action), kernel_sigset_size);
        if (action.handler > ignored) set_default(plan, signal);
    }
}

void arrange_signals(const ChildPlan& plan) {
    if (plan.handlers_left) reset_handlers(plan);
    for (std::uint64_t left = plan.to_default; left != 0; left &= left - 1)
        set_default(plan, __builtin_ctzll(left) + 1);
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, as_long(&plan.mask), 0, kernel_sigset_size);
}

void give_up_terminal(const ChildPlan& plan) {
    check(plan, Step::noctty, raw_syscall(SYS_ioctl, 0, TIOCNOTTY, 0));
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
        const bool again = result == -ETXTBSY && plan.retry_text_busy && pause_ms <= longest_pause_ms;
        if (!again) give_up(plan, Step::execve, result);
        close_others_now(plan); // ours may be among them: a copy of what our parent writes with
        const volatile timespec pause = {0, pause_ms * 1'000'000};
        raw_syscall(SYS_nanosleep, as_long(&pause), 0);
    }
}

[[noreturn]] void run(const ChildPlan& plan) {
    if (plan.leaves_table) leave_parents_table(plan);
    const NullDevice null_device = open_null_device(plan);
    if (plan.join_cgroup_fd >= 0) join_cgroup(plan);
    if (plan.keep_capabilities) {
        check(plan, Step::keep_capabilities, raw_syscall(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0));
    }
    if (plan.handshake_fd >= 0) await_id_maps(plan);
    if (plan.setsid) check(plan, Step::setsid, raw_syscall(SYS_setsid));
    if (plan.setpgid) check(plan, Step::setpgid, raw_syscall(SYS_setpgid, 0, plan.pgid));
    if (plan.foreground_fd >= 0) come_to_foreground(plan);
    if (plan.unshare_flags != 0) enter_namespaces(plan);
    set_priorities(plan);
    if (plan.chroot != nullptr) change_root(plan);
    if (plan.descriptors_first) place_descriptors(plan, null_device);
    if (!plan.limits_last) set_limits(plan);
    if (plan.bounding_set != nullptr) shrink_bounding_set(plan);
    if (plan.no_new_privileges) {
        check(plan, Step::no_new_privileges, raw_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    }
    if (plan.credential != nullptr) change_credential(plan);
    if (plan.ambient_count > 0) raise_ambient_capabilities(plan);
    if (plan.umask != nullptr) raw_syscall(SYS_umask, static_cast<long>(*plan.umask));
    if (plan.dir != nullptr) check(plan, Step::chdir, raw_syscall(SYS_chdir, as_long(plan.dir)));
    if (plan.pdeathsig != 0) set_parent_death_signal(plan);
    if (!plan.descriptors_first) place_descriptors(plan, null_device);
    if (plan.noctty) give_up_terminal(plan);
    if (plan.ctty >= 0) check(plan, Step::setctty, raw_syscall(SYS_ioctl, plan.ctty, TIOCSCTTY, 1));
    if (plan.limits_last) set_limits(plan);
    if (plan.nofile != nullptr) {
        check(plan, Step::rlimit, raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, as_long(plan.nofile), 0));
    }
    arrange_signals(plan);
    if (plan.ptrace) check(plan, Step::ptrace, raw_syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
    execute_or_give_up(plan);
}

} // namespace

void write_file(const ChildPlan& plan, Step step, const char* path, const ProcText& text) {
    const long fd = open_file(path, O_WRONLY);
    check(plan, step, fd);
    check(plan, step, raw_syscall(SYS_write, fd, as_long(text.text), static_cast<long>(text.length)));
    raw_syscall(SYS_close, fd);
}

} // namespace keep::exec::child

namespace keep::exec {

int child_entry(void* plan) {
    child::run(*static_cast<const ChildPlan*>(plan));
}

int probe_entry(void* word) {
    *static_cast<volatile int*>(word) = 1;
    for (;;)
        raw_syscall(SYS_exit_group, 0);
}

} // namespace keep::exec
