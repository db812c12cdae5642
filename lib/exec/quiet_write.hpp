// write(2) that raises no SIGPIPE in this process, whatever its disposition.
#pragma once

#include <cstddef>
#include <sys/types.h>

namespace keep::exec {

// As write(2), errno included. The signal is blocked in this thread for the call and taken back if it came of it.
ssize_t write_quietly(int fd, const char* bytes, std::size_t count);

} // namespace keep::exec
