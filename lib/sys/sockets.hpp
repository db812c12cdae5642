// Unix stream sockets. All are close-on-exec and non-blocking unless said otherwise; nothing here raises SIGPIPE.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keep::sys {

struct ListenOptions {
    mode_t mode = 0600;
    std::optional<gid_t> group = std::nullopt; // the file's group; ours if not given
    int backlog = 128;
};

// Listens at `path`. What was there before, a socket that a killed process left behind above all, is replaced in one
// step: nobody finds the path missing, with wider rights than `mode`, or not listening yet. Whether another process
// serves the path is for the caller to ask first (connect_unix). A file that is no socket is left alone: EEXIST.
Result<Fd> listen_unix(const std::string& path, const ListenOptions& options = {});

// The next connection; nothing if none waits (or it is gone again).
Result<std::optional<Fd>> accept(int listener);

enum class Blocking { no, yes };
// ENOENT: no such path. ECONNREFUSED: nobody listens there.
Result<Fd> connect_unix(const std::string& path, Blocking blocking = Blocking::no);

// Two connected ends.
struct SocketPair {
    Fd first;
    Fd second;
};
Result<SocketPair> socket_pair(Blocking blocking = Blocking::no);

// As much of `bytes` as fits now; nothing (not 0) if none does. EPIPE or ECONNRESET: the peer is gone.
Result<std::optional<std::size_t>> send(int socket, std::string_view bytes);

// What has arrived, at most buffer.size() bytes; 0 at the end of the stream; nothing if none is there yet.
Result<std::optional<std::size_t>> receive(int socket, std::span<char> buffer);

} // namespace keep::sys
