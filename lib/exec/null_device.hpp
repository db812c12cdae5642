// /dev/null for the standard streams that a spec leaves out.
#pragma once

#include "lib/base/error.hpp"

namespace keep::exec {

// An open /dev/null, read and write, close-on-exec, at a high number; opened once per process and shared by all
// threads. Opened anew if somebody closed the descriptor behind our back.
keep::Result<int> null_device_fd();

} // namespace keep::exec
