#include "lib/exec/spawn.hpp"
#include "lib/sys/pidfd.hpp"

namespace keep::exec {

Result<> Process::signal(int number) const {
    return sys::pidfd_send_signal(pidfd(), number);
}

Result<Process::Ended> Process::wait() {
    const auto ended = sys::reap_blocking(pidfd());
    if (!ended) return std::unexpected(ended.error());
    return Ended{ended->status, ended->usage};
}

Result<std::optional<Process::Ended>> Process::try_wait() {
    const auto ended = sys::reap(pidfd());
    if (!ended) return std::unexpected(ended.error());
    if (!*ended) return std::optional<Ended>{};
    return Ended{(*ended)->status, (*ended)->usage};
}

} // namespace keep::exec
