// keepctl's verbs. Each asks keepd (or the file), prints, and returns the exit code.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/ctl/exit_code.hpp"
#include "daemon/ctl/table.hpp"
#include "lib/base/time.hpp"

namespace keepd::ctl {

// What every verb has.
struct Common {
    std::string socket;
    bool json = false;
    Look look;
};

// How long a verb that changes something waits.
struct Waiting {
    bool wait = true;
    std::optional<keep::Duration> limit;
};

ExitCode status(const Common&, const std::vector<std::string>& names);
// method: "Start", "Stop", "Restart"
ExitCode order(const Common&, const std::string& method, const std::vector<std::string>& names, const Waiting&);
ExitCode signal(const Common&, const std::string& signal, const std::vector<std::string>& names);
ExitCode reload(const Common&, bool dry_run, const Waiting&);

struct UpgradeOptions {
    std::string binary; // empty: the configured one; else absolute
    bool force = false;
    bool rehearse_only = false;
    bool if_changed = false;
};
ExitCode upgrade(const Common&, const UpgradeOptions&, const Waiting&);
ExitCode reopen_logs(const Common&);
ExitCode shutdown(const Common&, const Waiting&);

struct EventOptions {
    bool follow = false;
    std::optional<std::size_t> count; // of the recent ones; nothing: all that keepd remembers
};
ExitCode events(const Common&, const EventOptions&);

struct LogOptions {
    bool follow = false;
    std::optional<std::size_t> lines; // of each file; nothing: all
};
ExitCode logs(const Common&, const std::vector<std::string>& names, const LogOptions&);

// file: empty: the default place.
ExitCode check(const Common&, const std::string& file);
ExitCode version(const Common&);

} // namespace keepd::ctl
