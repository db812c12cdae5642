#include "daemon/host/foster.hpp"

#include <cerrno>
#include <cstdint>
#include <sys/epoll.h>
#include <unistd.h>
#include <utility>

#include "lib/sys/pidfd.hpp"
#include "lib/sys/procfs.hpp"

namespace keepd::host {

namespace {

// Whether the exit_code in this stat is real: what only a tracer may see shows as 0 to others. Of a process that lives
// the kernel says which we are. Of a zombie it does not: then we are one by CAP_SYS_PTRACE, or as its own user.
bool tells(int pid, int stat) {
    const auto end = keep::sys::process_end(stat);
    if (!end) return false;
    if (end->full) return true;
    return end->state == 'Z' && (keep::sys::may_trace_all() || keep::sys::real_user(pid) == ::getuid());
}

} // namespace

Foster::Foster(int pid, int pidfd) : pid_(pid), pidfd_(pidfd) {
    if (!keep::sys::tells_exits(pidfd)) hold();
}

Foster::Foster(int pid, int pidfd, keep::sys::Fd stat, bool trusted)
    : pid_(pid), pidfd_(pidfd), stat_(std::move(stat)), trusted_(trusted) {}

void Foster::hold() {
    auto stat = keep::sys::open_process_stat(pid_);
    if (!stat) return;
    const bool trusted = tells(pid_, stat->get());
    // The number was this process's all the time if its pidfd can be signalled still.
    if (!keep::sys::pidfd_send_signal(pidfd_, 0)) return;
    stat_ = std::move(*stat);
    trusted_ = trusted;
}

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
    if (!stat_) hold(); // its new parent may take its time to reap it, or never do it
    if (trusted_) {
        const auto end = keep::sys::process_end(stat_.get());
        if (end && (end->state == 'Z' || end->state == 'X')) return keep::sys::status_of_wait(end->wait_status);
    }
    // This kernel tells later; or it is gone, and with it what it could have told.
    if (told) return std::nullopt;
    return keep::ExitStatus{};
}

} // namespace keepd::host
