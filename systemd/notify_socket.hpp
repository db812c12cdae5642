// A message on NOTIFY_SOCKET. Private to the room.
#pragma once

#include <span>
#include <string>

#include "lib/base/error.hpp"

namespace keepd::systemd {

// Not sd_notify(): it waits without end for a manager that does not read (one that hangs, or is being replaced itself),
// and keepd's main thread must not hang with it. What must arrive is waited for (a second), the rest not at all.
enum class Weight { must_arrive, may_be_lost };

// Error ENOTCONN: there is no such socket.
keep::Result<> send_to_manager(const std::string& message, Weight weight, std::span<const int> fds = {});

} // namespace keepd::systemd
