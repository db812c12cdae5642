#include "systemd/notify.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "systemd/notify_socket.hpp"

namespace keepd::systemd {

namespace {

// A status line is one line: a newline in it would be read as another assignment.
std::string one_line(std::string text) {
    for (char& c : text)
        if (c == '\n' || c == '\r') c = ' ';
    return text;
}

void notify(const std::string& message, Weight weight) {
    (void)send_to_manager(message, weight); // nobody to tell, or nobody who listens
}

bool tell_ready(const std::string& status, Weight weight) {
    const auto told = send_to_manager("READY=1\nSTATUS=" + one_line(status), weight);
    return told || (told.error().code != EAGAIN && told.error().code != ENOBUFS);
}

} // namespace

bool notify_ready(const std::string& status) {
    return tell_ready(status, Weight::must_arrive);
}

bool notify_ready_at_once(const std::string& status) {
    return tell_ready(status, Weight::may_be_lost);
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

void notify_watchdog(keep::Duration next_silence) {
    const auto usec = std::chrono::duration_cast<std::chrono::microseconds>(next_silence).count();
    notify("WATCHDOG=1\nWATCHDOG_USEC=" + std::to_string(usec), Weight::must_arrive);
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
