#include "lib/sys/inotify.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <unistd.h>

namespace keep::sys {

Result<Inotify> Inotify::create() {
    const int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) return fail_errno("inotify_init1", "", errno);
    return Inotify(Fd::adopt(fd));
}

Result<int> Inotify::add(const std::string& path, std::uint32_t mask) {
    const int watch = ::inotify_add_watch(fd_.get(), path.c_str(), mask);
    if (watch < 0) return fail_errno("watch", path, errno);
    return watch;
}

Result<> Inotify::remove(int watch) {
    if (::inotify_rm_watch(fd_.get(), watch) == 0) return {};
    return fail_errno("remove watch", std::to_string(watch), errno);
}

Result<std::vector<FileEvent>> Inotify::read() {
    std::vector<FileEvent> events;
    std::array<char, 16384> buffer{}; // any single event fits: sizeof(inotify_event) + NAME_MAX + 1
    for (;;) {
        const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
        if (count < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return events;
            return fail_errno("read inotify", "", errno);
        }
        if (count == 0) return events;
        const auto end = static_cast<std::size_t>(count);
        for (std::size_t at = 0; at + sizeof(inotify_event) <= end;) {
            inotify_event head{};
            std::memcpy(&head, buffer.data() + at, sizeof head); // the buffer need not be aligned for it
            const char* name = buffer.data() + at + sizeof head;
            events.push_back({head.wd, head.mask, std::string(name, ::strnlen(name, head.len))}); // padded with NULs
            at += sizeof head + head.len;
        }
    }
}

} // namespace keep::sys
