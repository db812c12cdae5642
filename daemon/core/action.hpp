// What is to be done: orders to the host, in this order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/core/state.hpp"

namespace keepd::core {

// Start run `run` of the program as its spec says; answered by Spawned or SpawnFailed.
struct Spawn {
    std::string name;
    RunId run;
};
// Signal a run as far as `scope` says. SIGKILL to a tree is cgroup.kill where there is a cgroup. A first stop signal is
// followed by SIGCONT (core orders both). What is gone already is no failure.
struct Signal {
    std::string name;
    RunId run;
    int signal = 0;
    config::KillMode scope = config::KillMode::tree;
};
// SIGKILL did not help so far: look who is left and answer Survived (or TreeEmpty).
struct FindSurvivors {
    std::string name;
    RunId run;
};
// The run is over: let go of its pidfd and remove its cgroup. Ordered once for each run that was Spawned (or Exited);
// a run whose spawn failed leaves nothing to retire.
struct Retire {
    std::string name;
    RunId run;
};
// The program's streams are to be as its spec says now (new, changed live, or the program is gone).
struct ArrangeLogs {
    std::string name;
};
// keepd's own settings changed live; `fields` names them ("log.level", "control.mode").
struct ApplySettings {
    std::vector<std::string> fields;
};
// Read the config and report PlanLoaded or PlanRefused.
struct BeginReload {};
// Begin an upgrade that a signal asked for, or the watch: then only if what lies there is new and was not refused.
struct BeginUpgrade {
    bool if_changed = false;
};
// Leave the loop; keepd ends with this exit code.
struct Quit {
    int code = 0;
};

// One line of the event stream and of keepd's log. The words of `kind` are keepctl events'.
struct Notice {
    enum class Kind : std::uint8_t {
        state,    // a program entered a state
        started,  // a run exists
        exited,   // a run's main process ended: exactly once for each run that started
        survived, // processes outlived SIGKILL
        signaled, // an operator sent a signal
        reload,
        upgrade,
        shutdown,
        recovered // keepd was killed, and this one has taken its programs over
    };
    enum class Level : std::uint8_t { info, warning, error };

    std::uint64_t number = 0; // counts on across upgrades
    WallTime at;
    Kind kind = Kind::state;
    Level level = Level::info;
    std::string program; // empty: about keepd
    RunId run;           // 0: about no run
    int pid = 0;
    std::string state; // the program's state word after it; "removed" when it was forgotten
    std::string text;  // what happened, to which program, why, and what happens next; without the program's name
    std::optional<ExitStatus> exit;
    bool operator==(const Notice&) const = default;
};

// The word of a kind: in events, in the log, in the checkpoint.
constexpr std::string_view kind_word(Notice::Kind kind) {
    switch (kind) {
    case Notice::Kind::state: return "state";
    case Notice::Kind::started: return "started";
    case Notice::Kind::exited: return "exited";
    case Notice::Kind::survived: return "survived";
    case Notice::Kind::signaled: return "signaled";
    case Notice::Kind::reload: return "reload";
    case Notice::Kind::upgrade: return "upgrade";
    case Notice::Kind::shutdown: return "shutdown";
    case Notice::Kind::recovered: return "recovered";
    }
    return {};
}

struct Announce {
    Notice notice;
};

using Action = std::variant<Spawn, Signal, FindSurvivors, Retire, ArrangeLogs, ApplySettings, BeginReload, BeginUpgrade,
                            Quit, Announce>;

// The outcome of one step.
struct Effects {
    std::vector<Action> actions;
    std::vector<std::string> touched; // programs whose state changed or that are gone: to be saved before the actions
    bool daemon_touched = false;
};

} // namespace keepd::core
