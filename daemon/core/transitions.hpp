// The moves between phases that more than one phase makes.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/core/event.hpp"
#include "daemon/core/plan_diff.hpp"
#include "daemon/core/restart_policy.hpp"
#include "daemon/core/turn.hpp"

namespace keepd::core {

Why by_operator(std::uint32_t uid);

// Starts a run because somebody wants it: never limited, with a clean memory. The program has no live run.
void start(Turn& turn, Program& program, Why why);

// Starts the run that the restart policy ordered: counted, and remembered for the start limit.
void start_again(Turn& turn, Program& program);

// What an operator's stop means where no process exists.
void stop_at_once(Turn& turn, Program& program, Why why);

// Orders the first signal of stop.sequence, or waits for the answer to the spawn (pid 0).
void begin_stop(Turn& turn, Program& program, RunId run, int pid, Time since, Why why);

// The last signal of the ladder, once more.
void signal_again(Turn& turn, const Program& program, const Stopping& here);

// Orders the signal that is due now; returns where the ladder stands then, with the time of the next signal.
Stopping climbed(Turn& turn, const Program& program, Stopping here);
void climb(Turn& turn, Program& program, const Stopping& here);

// Passes on a signal that an operator sends to the main process.
void send_asked(Turn& turn, const Program& program, RunId run, const SignalAsked& asked);

// Remembers how the main process of a run ended that began at `began`. A change of phase must follow, which saves it.
Ending record_exit(Turn& turn, Program& program, const Exited& exit, Time began);

// No process of the run is left, and it ended by itself: the restart policy decides.
void follow_policy(Turn& turn, Program& program, const Ending& ending);
void follow(Turn& turn, Program& program, Verdict verdict);

// No process of the run is left, and somebody wanted that: the goal decides. `program` may be gone afterwards.
void follow_goal(Turn& turn, Program& program);

// The program's spec has changed so that a run of the old one must make room. "changed: command, user".
Why changed_by_reload(const ProgramChange& change);

} // namespace keepd::core
