#include "daemon/logs/workbench.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace keepd::logs {

keep::Result<Workbench> Workbench::create(Io& io) {
    Workbench bench;
    bench.io_ = &io;
    auto null = keep::sys::open("/dev/null", O_WRONLY);
    if (!null) return std::unexpected(null.error());
    bench.null_ = std::move(*null);
    auto copy = keep::sys::pipe(O_NONBLOCK);
    if (!copy) return std::unexpected(copy.error());
    bench.copy_ = std::move(*copy);
    // Refused to a user with many pipes: looks are shorter then.
    ::fcntl(bench.copy_.write.get(), F_SETPIPE_SZ, static_cast<int>(look_size));
    return bench;
}

std::string_view Workbench::look(int pipe, std::size_t limit) {
    seen_.resize(look_size);
    ssize_t shared = 0;
    do {
        shared = ::tee(pipe, copy_.write.get(), std::min(limit, look_size), SPLICE_F_NONBLOCK);
    } while (shared < 0 && errno == EINTR);
    if (shared == 0) errno = 0;
    if (shared <= 0) return {};
    std::size_t have = 0;
    while (have < static_cast<std::size_t>(shared)) {
        const ssize_t got = ::read(copy_.read.get(), seen_.data() + have, static_cast<std::size_t>(shared) - have);
        if (got > 0)
            have += static_cast<std::size_t>(got);
        else if (got < 0 && errno == EINTR)
            continue;
        else
            break;
    }
    return {seen_.data(), have};
}

void Workbench::discard(int pipe, std::size_t count) const {
    while (count > 0) {
        const ssize_t gone = ::splice(pipe, nullptr, null_.get(), nullptr, count, SPLICE_F_NONBLOCK);
        if (gone > 0)
            count -= static_cast<std::size_t>(gone);
        else if (gone < 0 && errno == EINTR)
            continue;
        else
            return;
    }
}

} // namespace keepd::logs
