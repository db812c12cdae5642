// What the control server does with Unix sockets beyond lib/sys: claiming a path, and moving as much as is there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "config/plan.hpp"
#include "daemon/control/permission.hpp"
#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::control {

// A listening socket at settings.path with its mode and group. A missing directory is made; a stale socket file is
// replaced. Errors: EADDRINUSE if somebody answers there; those of keep::sys::listen_unix.
keep::Result<keep::sys::Fd> listen_at(const config::Control& settings);
// Mode and group of the socket file, for a live change.
keep::Result<> set_access(const config::Control& settings);

// The peer as the kernel knew it when it connected.
keep::Result<Caller> peer_of(int socket);

struct Received {
    std::string bytes;
    bool end = false; // the peer sends no more
};
// What is there, at most about `limit` bytes.
keep::Result<Received> receive_some(int socket, std::size_t limit);
// How much was taken, perhaps 0.
keep::Result<std::size_t> send_some(int socket, std::string_view bytes);

} // namespace keepd::control
