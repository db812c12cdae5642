#include "daemon/host/foster.hpp"

#include <cerrno>
#include <cstdint>
#include <sys/epoll.h>
#include <utility>

#include "lib/sys/pidfd.hpp"
#include "lib/sys/procfs.hpp"

namespace keepd::host {

namespace {

// What a tracer may see is shown; of a process that lives the kernel says whether we are such a one, of a zombie not:
// then what holds for PID 1 holds (we have CAP_SYS_PTRACE).
bool tells(int stat) {
    const auto end = keep::sys::process_end(stat);
    if (!end) return false;
    if (end->full) return true;
    if (end->state != 'Z') return false;
    const auto first = keep::sys::open_process_stat(1);
    if (!first) return false;
    const auto look = keep::sys::process_end(first->get());
    return look && look->full;
}

} // namespace

Foster::Foster(int pid, int pidfd) : pidfd_(pidfd) {
    auto stat = keep::sys::open_process_stat(pid);
    // The number is still this process's if its pidfd can be signalled afterwards.
    if (!stat || !keep::sys::pidfd_send_signal(pidfd, 0)) return;
    stat_ = std::move(*stat);
    trusted_ = tells(stat_.get());
}

Foster::Foster(int pidfd, keep::sys::Fd stat, bool trusted)
    : pidfd_(pidfd), stat_(std::move(stat)), trusted_(trusted) {}

keep::Result<> Foster::watch(systemd::Loop& loop, Ended ended) {
    ended_ = std::move(ended);
    // Once for its end and once for its being reaped: a zombie that nobody reaps keeps EPOLLIN raised.
    auto source = loop.watch(pidfd_, EPOLLIN | EPOLLET, [this](std::uint32_t) { look(); });
    if (!source) return std::unexpected(source.error());
    source_ = std::move(*source);
    return {};
}

void Foster::look() {
    const auto status = learn();
    if (!status) return; // it is told when the process has been reaped
    source_.reset();
    if (const auto ended = std::exchange(ended_, nullptr)) ended(*status);
}

std::optional<keep::ExitStatus> Foster::learn() {
    const auto told = keep::sys::exit_info(pidfd_);
    if (told && *told) return **told;
    if (trusted_) {
        const auto end = keep::sys::process_end(stat_.get());
        if (end && (end->state == 'Z' || end->state == 'X')) return keep::sys::status_of_wait(end->wait_status);
    }
    // This kernel tells later; or it is gone, and with it what it could have told.
    if (told) return std::nullopt;
    return keep::ExitStatus{};
}

} // namespace keepd::host
