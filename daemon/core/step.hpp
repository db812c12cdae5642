// The policy: one pure function. No I/O, no clock, no randomness (jitter comes from the state's seed, the program and
// the run), so that a table of events tests every decision.
#pragma once

#include <optional>
#include <string>

#include "daemon/core/action.hpp"
#include "daemon/core/event.hpp"
#include "daemon/core/state.hpp"

namespace keepd::core {

// Takes one event in; updates `state`; returns what is to be done. Total: any event in any state is answered, one that
// does not apply (an older run's, an unknown program's) changes nothing.
Effects step(State& state, const Event& event, const Now& now);

// The next moment at which something is due; nothing: wait for events alone.
std::optional<Time> next_deadline(const State& state);

// To be called on a State that was decoded: derives what is not saved.
void rebuild_agenda(State& state);

// Why an upgrade that an operator asked for can't begin now ("an upgrade is under way", "keepd is shutting down");
// nothing: it can.
std::optional<std::string> upgrade_refusal(const State& state);

// The refusal of this very file, unchanged since; nullptr: none is known.
const Refused* refused_before(const Daemon& daemon, const FileIdentity& file);

// The program's live run; 0 if no process of it is known to exist.
RunId live_run(const Program& program);

} // namespace keepd::core
