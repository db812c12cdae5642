// What is said when a run's main process ends: exactly once for each run.
#pragma once

#include <string>

#include "daemon/core/restart_policy.hpp"
#include "daemon/core/turn.hpp"

namespace keepd::core {

// Says it before its consequence is carried out; returns the notice's place for announced_state().
std::size_t announce_exit(Turn& turn, const Program& program, const Ending& ending, bool ordered,
                          const std::string& consequence);

// "next start in 0.5 s (failure 1)", "completed", "not restarted"
std::string consequence_of(const Verdict& verdict);

// "stopped", "starting again", "removed"
std::string consequence_of(Goal goal);

} // namespace keepd::core
