// /dev/null for the standard streams that a spec leaves out.
#pragma once

#include <cstdint>

#include "lib/base/error.hpp"

namespace keep::exec {

enum class NullUse : std::uint8_t { read, write };

// An open /dev/null for one use, close-on-exec; opened once per process and shared by all threads. Opened anew if
// somebody closed the descriptor behind our back.
keep::Result<int> null_device_fd(NullUse use);

} // namespace keep::exec
