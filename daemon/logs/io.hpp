// The system calls of the pump that touch log files: each of them may fail, or hang with its disk. They are virtual so
// that tests can make them do so.
#pragma once

#include <cstdint>
#include <string_view>
#include <sys/types.h>

namespace keepd::logs {

// All return -1 and set errno on failure, as the calls they stand for.
class Io {
  public:
    virtual ~Io() = default;
    // splice(2) from a pipe, without waiting for the pipe. `offset`: where in the file, advanced; null: the target's
    // own position (anything but a regular file).
    virtual ssize_t splice(int from, int to, std::int64_t* offset, std::size_t length);
    // pwrite(2) at *offset, advanced; write(2) where `offset` is null.
    virtual ssize_t write(int to, std::string_view bytes, std::int64_t* offset);
    virtual int open(const char* path, int flags, mode_t mode);
    virtual int rename(const char* from, const char* to);
};

Io& system_io();

} // namespace keepd::logs
