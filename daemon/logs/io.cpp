#include "daemon/logs/io.hpp"

#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace keepd::logs {

ssize_t Io::splice(int from, int to, std::int64_t* offset, std::size_t length) {
    return ::splice(from, nullptr, to, offset, length, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
}

ssize_t Io::write(int to, std::string_view bytes, std::int64_t* offset) {
    if (!offset) return ::write(to, bytes.data(), bytes.size());
    const ssize_t written = ::pwrite(to, bytes.data(), bytes.size(), *offset);
    if (written > 0) *offset += written;
    return written;
}

int Io::open(const char* path, int flags, mode_t mode) {
    return ::open(path, flags, mode);
}

int Io::rename(const char* from, const char* to) {
    return ::rename(from, to);
}

Io& system_io() {
    static Io io;
    return io;
}

} // namespace keepd::logs
