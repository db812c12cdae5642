#include "systemd/notify.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "lib/sys/fd.hpp"

namespace keepd::systemd {

namespace {

// A status line is one line: a newline in it would be read as another assignment.
std::string one_line(std::string text) {
    for (char& c : text)
        if (c == '\n' || c == '\r') c = ' ';
    return text;
}

// Not sd_notify(): it waits without end for a manager that does not read (one that hangs, or is being replaced itself),
// and keepd's main thread must not hang with it. What must arrive is waited for this long; the rest not at all.
enum class Weight { must_arrive, may_be_lost };
constexpr timeval patience{1, 0};

void notify(const std::string& message, Weight weight) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (path == nullptr || (path[0] != '/' && path[0] != '@') || std::strlen(path) >= sizeof address.sun_path) return;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path, std::strlen(path));
    if (path[0] == '@') address.sun_path[0] = '\0'; // an abstract socket
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));

    const auto socket = keep::sys::Fd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return;
    (void)setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const int flags = MSG_NOSIGNAL | (weight == Weight::may_be_lost ? MSG_DONTWAIT : 0);
    (void)sendto(socket.get(), message.data(), message.size(), flags, reinterpret_cast<const sockaddr*>(&address),
                 size);
}

} // namespace

void notify_ready(const std::string& status) {
    notify("READY=1\nSTATUS=" + one_line(status), Weight::must_arrive);
}

void notify_reloading(keep::Time now) {
    notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.time_since_epoch().count() / 1000), Weight::must_arrive);
}

void notify_stopping(const std::string& status) {
    notify("STOPPING=1\nSTATUS=" + one_line(status), Weight::must_arrive);
}

void notify_status(const std::string& status) {
    notify("STATUS=" + one_line(status), Weight::may_be_lost);
}

void notify_watchdog() {
    notify("WATCHDOG=1", Weight::may_be_lost);
}

std::optional<keep::Duration> watchdog_interval() {
    std::uint64_t usec = 0;
    // The variable stays set: an upgrade's new image reads it again.
    if (sd_watchdog_enabled(0, &usec) <= 0) return std::nullopt;
    return std::chrono::microseconds(usec);
}

bool stderr_is_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM"); // DEV:INODE, systemd.exec(5)
    unsigned long long device = 0, inode = 0;
    struct stat info{};
    if (stream == nullptr || std::sscanf(stream, "%llu:%llu", &device, &inode) != 2) return false;
    return fstat(2, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

} // namespace keepd::systemd
