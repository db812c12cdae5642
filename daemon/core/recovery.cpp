#include "daemon/core/recovery.hpp"

#include "daemon/core/transitions.hpp"
#include "daemon/core/upgrades.hpp"

namespace keepd::core {

void recover(Turn& turn, const Recovered& recovered) {
    Daemon& daemon = turn.state.daemon;
    daemon.last_adoption = Outcome{turn.now.wall, recovered.complete, recovered.text};
    turn.effects.daemon_touched = true;
    announce(turn, Notice::Kind::recovered, recovered.complete ? Notice::Level::warning : Notice::Level::error,
             recovered.text);
    for (auto& [name, program] : turn.state.programs) {
        turn.effects.actions.push_back(ArrangeLogs{name});
        // Its process was looked for and not found: it had not come into being.
        if (const auto* starting = std::get_if<Starting>(&program.phase))
            turn.effects.actions.push_back(Spawn{name, starting->run});
        // Whether the last signal was still sent can't be known; twice is what every program must stand.
        if (const auto* stopping = std::get_if<Stopping>(&program.phase); stopping != nullptr && stopping->rung > 0)
            signal_again(turn, program, *stopping);
    }
    if (daemon.upgrading) finish_upgrade(turn, {false, false, "interrupted: keepd was killed during it", false, true});
}

} // namespace keepd::core
