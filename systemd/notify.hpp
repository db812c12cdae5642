// What keepd tells the service manager: the protocol of sd_notify(3). Without NOTIFY_SOCKET each call does nothing; a
// manager that does not read holds keepd up for a second at most.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "lib/base/time.hpp"

namespace keepd::systemd {

// READY=1 with a status line. Also ends RELOADING.
// False: the manager does not read, and has not heard it. (True also where there is no manager.)
bool notify_ready(const std::string& status);
bool notify_ready_at_once(const std::string& status); // without waiting for it
// RELOADING=1 with MONOTONIC_USEC: systemd 252 shows `reloading` until the next READY=1.
void notify_reloading(keep::Time now);
void notify_stopping(const std::string& status);
// STATUS= alone.
void notify_status(const std::string& status);
void notify_watchdog();
// A sign of life that also says how long the next silence may be: WATCHDOG_USEC=.
void notify_watchdog(keep::Duration next_silence);

// WATCHDOG_USEC, if it is meant for this process: the longest silence that systemd accepts.
std::optional<keep::Duration> watchdog_interval();

// This process was started by systemd and its stderr is the journal's stream (JOURNAL_STREAM names it).
bool stderr_is_journal();

} // namespace keepd::systemd
