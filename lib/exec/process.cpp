#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <keep/exec/spawn.hpp>

#include "lib/exec/error_data.hpp"
#include "lib/sys/pidfd.hpp"

namespace keep::exec {
namespace {

Error signal_error(int code) {
    if (code == ESRCH) return own_error(Errc::process_done);
    return call_error("signal", "", code);
}

Error wait_error(int code) {
    return call_error("wait", "", code);
}

ProcessState state_of(const sys::ChildExit& ended) {
    return {ended.pid, ended.wait_status, ended.used};
}

std::unexpected<Error> released() {
    return failed(own_error(Errc::process_released));
}

} // namespace

Result<> Process::signal(int number) const {
    if (pid_ <= 0) return released();
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) == 0) return {};
    return failed(signal_error(errno));
}

Result<> Process::signal_group(int number) const {
    constexpr unsigned process_group = 1U << 2; // PIDFD_SIGNAL_PROCESS_GROUP, 6.9
    if (pid_ <= 0) return released();
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, process_group) == 0) return {};
    if (errno != EINVAL) return failed(signal_error(errno));
    if (::kill(-pid_, number) == 0) return {}; // an older kernel, or no such signal
    return failed(signal_error(errno));
}

Result<ProcessState> Process::wait() {
    if (pid_ <= 0) return failed(wait_error(EINVAL));
    const auto ended = sys::reap_blocking(pidfd());
    if (!ended) return failed(wait_error(ended.error().code));
    return state_of(*ended);
}

Result<std::optional<ProcessState>> Process::try_wait() {
    if (pid_ <= 0) return failed(wait_error(EINVAL));
    const auto ended = sys::reap(pidfd());
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
