#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include <keep/exec/spawn.hpp>

#include "lib/exec/error_data.hpp"
#include "lib/sys/pidfd.hpp"

namespace keep::exec {
namespace {

constexpr unsigned reaped = 1U << 31;

Error signal_error(int code) {
    if (code == ESRCH) return own_error(Errc::process_done);
    return Error(system_code(code)); // Go's has no operation here
}

Error wait_error(int code) {
    return call_error("wait", "", code);
}

ProcessState state_of(const sys::ChildExit& ended) {
    return {ended.pid, ended.wait_status, ended.used};
}

// For kernels and seccomp filters without pidfd_send_signal(2): the number is the child's as long as it can be waited
// for. 0 or errno, `refused` where it cannot be told.
int send_by_number(int pidfd, pid_t target, int number, int refused) {
    const auto child = sys::peek_exit(pidfd);
    if (!child) return child.error().code == ECHILD ? ESRCH : refused;
    return ::kill(target, number) == 0 ? 0 : errno;
}

std::unexpected<Error> released() {
    return failed(own_error(Errc::process_released));
}

} // namespace

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)), uses_(other.uses_.exchange(0)) {}

Process& Process::operator=(Process&& other) noexcept {
    if (this == &other) return *this;
    pid_ = std::exchange(other.pid_, 0);
    pidfd_ = std::move(other.pidfd_);
    uses_.store(other.uses_.exchange(0));
    return *this;
}

int Process::release() noexcept {
    pid_ = 0;
    uses_.store(0);
    return pidfd_.release();
}

bool Process::hold() const noexcept {
    unsigned now = uses_.load();
    while ((now & reaped) == 0) {
        if (uses_.compare_exchange_weak(now, now + 1)) return true;
    }
    return false;
}

void Process::let_go() const noexcept {
    if (uses_.fetch_sub(1) - 1 == reaped) pidfd_.reset();
}

void Process::mark_reaped() const noexcept {
    uses_.fetch_or(reaped);
}

Result<> Process::signal(int number) const {
    return send(number, 0);
}

Result<> Process::signal_group(int number) const {
    constexpr unsigned process_group = 1U << 2; // PIDFD_SIGNAL_PROCESS_GROUP, 6.9
    auto sent = send(number, process_group);
    if (sent || sent.error().error_number() != EINVAL) return sent;
    if (::kill(-pid_, number) == 0) return {}; // an older kernel, or no such signal
    return failed(signal_error(errno));
}

Result<> Process::send(int number, unsigned flags) const {
    if (pid_ <= 0) return released();
    if (!hold()) return failed(own_error(Errc::process_done));
    const long outcome = ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, flags);
    int code = outcome == 0 ? 0 : errno;
    if (code == ENOSYS || code == EPERM) code = send_by_number(pidfd_.get(), flags == 0 ? pid_ : -pid_, number, code);
    let_go();
    if (code == 0) return {};
    return failed(signal_error(code));
}

Result<ProcessState> Process::wait() {
    if (pid_ <= 0) return failed(wait_error(EINVAL));
    if (!hold()) return failed(wait_error(ECHILD));
    const auto ended = sys::reap_blocking(pidfd());
    if (ended) mark_reaped();
    let_go();
    if (!ended) return failed(wait_error(ended.error().code));
    return state_of(*ended);
}

Result<std::optional<ProcessState>> Process::try_wait() {
    if (pid_ <= 0) return failed(wait_error(EINVAL));
    if (!hold()) return failed(wait_error(ECHILD));
    const auto ended = sys::reap(pidfd());
    if (ended && *ended) mark_reaped();
    let_go();
    if (!ended) return failed(wait_error(ended.error().code));
    if (!*ended) return std::optional<ProcessState>{};
    return state_of(**ended);
}

Result<std::optional<ProcessState>> Process::wait_for(std::chrono::nanoseconds longest) {
    const auto until = std::chrono::steady_clock::now() + longest;
    for (;;) {
        auto ended = try_wait();
        if (!ended || *ended) return ended;
        const auto left = std::max(until - std::chrono::steady_clock::now(), std::chrono::nanoseconds(0));
        if (left == std::chrono::nanoseconds(0)) return std::optional<ProcessState>{};
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        const timespec patience{seconds.count(), (left - seconds).count()};
        pollfd watched{pidfd(), POLLIN, 0};
        if (::ppoll(&watched, 1, &patience, nullptr) < 0 && errno != EINTR) return failed(wait_error(errno));
    }
}

} // namespace keep::exec
