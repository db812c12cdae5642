#include "lib/sys/signals.hpp"

#include <cerrno>
#include <cstdint>
#include <pthread.h>
#include <string>
#include <unistd.h>

namespace keep::sys {
namespace {

Result<sigset_t> change_mask(int how, const sigset_t& signals) {
    sigset_t former;
    if (const int code = ::pthread_sigmask(how, &signals, &former); code != 0) {
        return fail_errno("change signal mask", "", code);
    }
    return former;
}

bool is_ignored(int signal) {
    struct sigaction action{};
    if (::sigaction(signal, nullptr, &action) != 0) return false; // the C library's own two
    return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

Result<> set_handler(int signal, void (*handler)(int)) {
    struct sigaction action{};
    action.sa_handler = handler;
    if (::sigaction(signal, &action, nullptr) == 0) return {};
    return fail_errno("sigaction", std::to_string(signal), errno);
}

} // namespace

sigset_t signal_set(std::initializer_list<int> signals) {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : signals)
        ::sigaddset(&set, signal);
    return set;
}

sigset_t all_signals() {
    sigset_t set;
    ::sigfillset(&set);
    return set;
}

Result<sigset_t> block_all() {
    return change_mask(SIG_SETMASK, all_signals());
}
Result<sigset_t> block(const sigset_t& signals) {
    return change_mask(SIG_BLOCK, signals);
}
Result<sigset_t> unblock(const sigset_t& signals) {
    return change_mask(SIG_UNBLOCK, signals);
}
Result<sigset_t> set_mask(const sigset_t& mask) {
    return change_mask(SIG_SETMASK, mask);
}

sigset_t current_mask() {
    sigset_t mask;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    return mask;
}

int reset_ignored_signals() {
    int count = 0;
    for (int signal = 1; signal <= SIGRTMAX; ++signal) {
        if (is_ignored(signal) && default_signal(signal)) ++count;
    }
    return count;
}

Result<> ignore_signal(int signal) {
    return set_handler(signal, SIG_IGN);
}
Result<> default_signal(int signal) {
    return set_handler(signal, SIG_DFL);
}

std::uint64_t ignored_signals() {
    std::uint64_t ignored = 0;
    for (int signal = 1; signal <= SIGRTMAX; ++signal) {
        if (is_ignored(signal)) ignored |= std::uint64_t{1} << (signal - 1);
    }
    return ignored;
}

Result<Fd> signal_fd(const sigset_t& signals) {
    const int fd = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) return fail_errno("signalfd", "", errno);
    return Fd::adopt(fd);
}

Result<std::optional<signalfd_siginfo>> read_signal(int signal_fd) {
    signalfd_siginfo info{};
    for (;;) {
        const ssize_t count = ::read(signal_fd, &info, sizeof info);
        if (count == sizeof info) return info;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return std::optional<signalfd_siginfo>{};
        return fail_errno("read signalfd", "", count < 0 ? errno : EIO);
    }
}

} // namespace keep::sys
