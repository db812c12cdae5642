// One turn of the policy: the state at hand, the time, and what has been decided so far. Every change of a phase goes
// through set_phase(), so that agenda, times, saved records and notices can't disagree with the phases.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/core/action.hpp"
#include "daemon/core/state.hpp"

namespace keepd::core {

struct Turn {
    State& state;
    const Now& now;
    Effects effects{};
};

// Enters `next`. A phase of another kind starts `since` anew, and is announced when the operator's word changes.
void set_phase(Turn& turn, Program& program, Phase next, Why why);

// The same phase goes on with other data (a later rung, a nearer deadline), for the same reason.
void set_phase(Turn& turn, Program& program, Phase next);

// The program's record changed otherwise: goal, spec, retry.
void touch(Turn& turn, const Program& program);

// Takes the program out of the state. `program` is gone afterwards. It must have no live run.
void forget(Turn& turn, Program& program);

// Says something about keepd itself.
void announce(Turn& turn, Notice::Kind kind, Notice::Level level, std::string text);

// Says something about a program. Returns the notice's place in the actions, for announced_state().
std::size_t announce(Turn& turn, const Program& program, Notice::Kind kind, Notice::Level level, std::string text);

// Corrects the state word of a notice that had to be said before its consequence was carried out.
void announced_state(Turn& turn, std::size_t place, const std::string& name);

// When the phase wants to be looked at again.
std::optional<Time> deadline_of(const Phase& phase);

// `at + wait`, at most the end of time: durations of a config may be absurdly long.
Time later(Time at, Duration wait);

} // namespace keepd::core
