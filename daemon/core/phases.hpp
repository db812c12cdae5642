// One function per phase, one file each: what every event means to a program that is there. An event that a phase
// does not list fails to compile. `here` is a copy, since the phase in `program` may be replaced on the way;
// `program` may be gone afterwards (forget()).
#pragma once

#include "daemon/core/program_event.hpp"
#include "daemon/core/turn.hpp"

namespace keepd::core {

void in_stopped(Turn& turn, Program& program, const ProgramEvent& event);
void in_starting(Turn& turn, Program& program, Starting here, const ProgramEvent& event);
void in_running(Turn& turn, Program& program, Running here, const ProgramEvent& event);
void in_stopping(Turn& turn, Program& program, Stopping here, const ProgramEvent& event);
void in_backoff(Turn& turn, Program& program, Backoff here, const ProgramEvent& event);
void in_completed(Turn& turn, Program& program, const ProgramEvent& event);
void in_failed(Turn& turn, Program& program, const ProgramEvent& event);

// A stop goes on by the program's new spec; `before` is the one that it climbed by until now.
void adapt_rung(Turn& turn, Program& program, Stopping& here, const config::Program& before);

// Asks the phase that the program is in.
void meet(Turn& turn, Program& program, const ProgramEvent& event);

} // namespace keepd::core
