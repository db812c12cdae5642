// What happened: past facts, the only input of the policy besides the time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/state.hpp"

namespace keepd::core {

// ---- about one program -----------------------------------------------------------------------------------------

// An operator asked, by keepctl. Never rate-limited.
struct StartAsked {
    std::string name;
    std::uint32_t uid = 0;
};
struct StopAsked {
    std::string name;
    std::uint32_t uid = 0;
};
struct RestartAsked {
    std::string name;
    std::uint32_t uid = 0;
};
struct SignalAsked {
    std::string name;
    std::uint32_t uid = 0;
    int signal = 0;
};

// The host's answers to Spawn.
struct Spawned {
    std::string name;
    RunId run;
    int pid = 0;
};
struct SpawnFailed {
    std::string name;
    RunId run;
    std::string message; // names the failing step
};

// The main process of a run ended. tree_empty: nothing else of its tree was left at that moment (where kill_mode is
// `process`: always true).
struct Exited {
    std::string name;
    RunId run;
    ExitStatus status;
    ResourceUsage usage;
    bool tree_empty = true;
};
// The last process of the run's tree is gone.
struct TreeEmpty {
    std::string name;
    RunId run;
};
// Processes that are still there after SIGKILL, for people: "pid 812 (dd)".
struct Survived {
    std::string name;
    RunId run;
    std::vector<std::string> processes;
};

// ---- about keepd -----------------------------------------------------------------------------------------------

// Deadlines may have passed: everything due at or before now is carried out.
struct TimePassed {};
// A config was read and holds: the first one, or a reload's.
struct PlanLoaded {
    std::shared_ptr<const config::Plan> plan;
};
// A reload's config is wrong; nothing changes. `text` is for status and log, one fault a line.
struct PlanRefused {
    std::string text;
};
struct ReloadAsked {};
// SIGTERM, SIGINT, keepctl shutdown. The second one: at once.
struct ShutdownAsked {
    std::string by; // "SIGTERM", "uid 0"
};
// A signal asked for an upgrade: waits for min_interval and for a running upgrade. (keepctl's goes to the host
// directly, which asks upgrade_refusal() first, and reports UpgradeBegun.)
struct UpgradeSignalled {};
// Another file than before lies at the binary's path and has come to rest: asks for an upgrade, which waits as a
// signal's does, unless it is the running one.
struct BinaryChanged {
    FileIdentity file;
    bool running = false;
};
struct UpgradeBegun {
    std::string binary;
    std::optional<FileIdentity> file{}; // what lies there; nothing: no file
};
// Refused, failed, or (first event of the new image) done. ok with the same build: nothing to do.
struct UpgradeFinished {
    bool ok = false;
    bool replaced = false; // this is the new image: generation counts up
    std::string text;
    bool rehearsal_only = false; // says nothing of upgrades that were meant
    bool blameless = false;      // failed, but not for what the candidate is
};

// This keepd goes on with the state of one that was killed. What was learned of the time in between has been reported
// before, as other events.
struct Recovered {
    std::string text;
    bool complete = true; // false: something could not be taken over, which `text` names
};

using Event = std::variant<StartAsked, StopAsked, RestartAsked, SignalAsked, Spawned, SpawnFailed, Exited, TreeEmpty,
                           Survived, TimePassed, PlanLoaded, PlanRefused, ReloadAsked, ShutdownAsked, UpgradeSignalled,
                           BinaryChanged, UpgradeBegun, UpgradeFinished, Recovered>;

} // namespace keepd::core
