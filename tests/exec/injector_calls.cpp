#include "tests/exec/injector_calls.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <sys/syscall.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEP_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define KEEP_TEST_SANITIZED 1
#endif
#endif
#ifndef KEEP_TEST_SANITIZED
#define KEEP_TEST_SANITIZED 0
#endif

namespace keep::test {
namespace {

enum class Kind {
    plain,       // any error may come, and may be passed on
    retried,     // the same, but EINTR means "again"
    interrupted, // EINTR, and then "again"; never another of our errors
    closing,     // EINTR, and then not "again": the descriptor is gone
    certain,     // none of our errors
    memory,
    untouched,
};

struct Call {
    long number;
    const char* name;
    Kind kind;
};

#define CALL(name, kind)                                                                                               \
    Call {                                                                                                             \
        SYS_##name, #name, Kind::kind                                                                                  \
    }

// Others are plain. What can sleep, or ask a file system in user space, can be interrupted (golang/go#38033).
constexpr auto calls = std::to_array<Call>({
#ifdef SYS_open // calls that newer architectures do without
    CALL(open, retried),
    CALL(stat, retried),
    CALL(lstat, retried),
    CALL(access, retried),
    CALL(readlink, retried),
    CALL(poll, retried),
    CALL(epoll_wait, retried),
    CALL(dup2, retried),
    CALL(pipe, plain),
    CALL(fork, plain),
    CALL(vfork, plain),
    CALL(arch_prctl, untouched),
#endif
    CALL(openat, retried),
    CALL(newfstatat, retried),
    CALL(statx, retried),
    CALL(faccessat, retried),
    CALL(faccessat2, retried),
    CALL(readlinkat, retried),
    CALL(ppoll, retried),
    CALL(epoll_pwait, retried),
    CALL(epoll_pwait2, retried),
    CALL(dup3, retried),
    CALL(read, retried),
    CALL(readv, retried),
    CALL(write, retried),
    CALL(writev, retried),
    CALL(pread64, retried),
    CALL(sendmsg, retried),
    CALL(recvmsg, retried),
    CALL(sendto, retried),
    CALL(recvfrom, retried),
    CALL(splice, retried),
    CALL(chdir, retried),
    CALL(chroot, retried),
    CALL(nanosleep, retried),
    CALL(clock_nanosleep, retried),
    CALL(getrandom, retried),
    CALL(waitid, interrupted),
    CALL(wait4, interrupted),
    CALL(close, closing),
    CALL(fstat, certain), // of an open descriptor
    CALL(kill, certain),
    CALL(tgkill, certain),
    CALL(pidfd_send_signal, certain),
    CALL(brk, memory),
    CALL(mmap, memory),
    CALL(mremap, memory),
    CALL(mprotect, memory),
    CALL(munmap, memory),
    CALL(madvise, memory),
    CALL(exit, untouched),
    CALL(exit_group, untouched),
    CALL(rt_sigreturn, untouched),
    CALL(rt_sigprocmask, untouched),
    CALL(rt_sigaction, untouched),
    CALL(rt_sigpending, untouched),
    CALL(sigaltstack, untouched),
    CALL(restart_syscall, untouched),
    CALL(futex, untouched),
    CALL(rseq, untouched),
    CALL(set_robust_list, untouched),
    CALL(set_tid_address, untouched),
    CALL(membarrier, untouched),
    CALL(sched_yield, untouched),
    CALL(sched_getaffinity, untouched),
    CALL(clock_gettime, untouched),
    CALL(gettimeofday, untouched),
    CALL(getpid, untouched),
    CALL(gettid, untouched),
    CALL(getppid, untouched),
    CALL(getuid, untouched),
    CALL(geteuid, untouched),
    CALL(getgid, untouched),
    CALL(getegid, untouched),
    CALL(umask, untouched),
    // plain: here for their names
    CALL(clone, plain),
    CALL(clone3, plain),
    CALL(execve, plain),
    CALL(execveat, plain),
    CALL(pipe2, plain),
    CALL(fcntl, plain),
    CALL(dup, plain),
    CALL(eventfd2, plain),
    CALL(epoll_create1, plain),
    CALL(epoll_ctl, plain),
    CALL(timerfd_create, plain),
    CALL(timerfd_settime, plain),
    CALL(socketpair, plain),
    CALL(memfd_create, plain),
    CALL(pidfd_open, plain),
    CALL(close_range, plain),
    CALL(unshare, plain),
    CALL(prctl, plain),
    CALL(prlimit64, plain),
    CALL(setgroups, plain),
    CALL(setresgid, plain),
    CALL(setresuid, plain),
    CALL(setsid, plain),
    CALL(setpgid, plain),
    CALL(mount, plain),
    CALL(getdents64, plain),
    CALL(getcwd, plain),
    CALL(lseek, plain),
    CALL(ioctl, plain),
    CALL(capset, plain),
    CALL(capget, plain),
});

#undef CALL

const Call* find(long number) {
    const auto* found = std::ranges::find(calls, number, &Call::number);
    return found == calls.end() ? nullptr : found;
}

Kind kind_of(long number) {
    const Call* call = find(number);
    return call == nullptr ? Kind::plain : call->kind;
}

// What asks or tells the kernel something of an open descriptor alone: fstat(3), and flags.
bool only_looks(const seccomp_data& call) {
    if (call.nr == SYS_newfstatat) return (call.args[3] & AT_EMPTY_PATH) != 0;
    if (call.nr != SYS_fcntl) return false;
    const std::uint64_t command = call.args[1];
    return command == F_GETFD || command == F_SETFD || command == F_GETFL || command == F_SETFL;
}

} // namespace

std::span<const long> untouched_calls() {
    static const std::vector<long> numbers = [] {
        std::vector<long> chosen;
        for (const Call& call : calls) {
            if (call.kind == Kind::untouched || (KEEP_TEST_SANITIZED && call.kind == Kind::memory))
                chosen.push_back(call.number);
        }
        return chosen;
    }();
    return numbers;
}

bool may_answer(const seccomp_data& call, int code) {
    if (only_looks(call)) return false;
    switch (kind_of(call.nr)) {
    case Kind::plain:
    case Kind::retried:
    case Kind::memory: return true;
    case Kind::interrupted:
    case Kind::closing: return code == EINTR;
    case Kind::certain:
    case Kind::untouched: return false;
    }
    return false;
}

bool is_retried(long call) {
    const Kind kind = kind_of(call);
    return kind == Kind::retried || kind == Kind::interrupted || kind == Kind::closing;
}

bool is_memory_call(long call) {
    return kind_of(call) == Kind::memory;
}

std::string call_name(long call) {
    const Call* known = find(call);
    return known != nullptr ? known->name : "call " + std::to_string(call);
}

} // namespace keep::test
