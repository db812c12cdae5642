// Waits for its next automatic start.
#include <algorithm>
#include <string_view>

#include "daemon/core/overloaded.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/restart_policy.hpp"
#include "daemon/core/transitions.hpp"

namespace keepd::core {

namespace {

bool touches_start_limit(const ProgramChange& change) {
    return std::ranges::any_of(change.fields, [](const FieldChange& field) {
        return std::string_view(field.field).starts_with("restart.start_limit_");
    });
}

// restart.* is live: the wait that is under way is never longer than the new spec would make it, counted from when
// it began. (It does not grow: what was promised to the operator is kept.)
void shorten_wait(Turn& turn, Program& program, Backoff here, const ProgramChange& change) {
    if (program.retry.slow && touches_start_limit(change)) {
        program.retry.slow = false; // the limit that put it there is no more; the next exit is judged by the new one
        touch(turn, program);
    }
    const Duration delay =
        restart_delay(program.spec, program.retry, program.why.cause, program.run, turn.state.daemon.seed);
    const Time until = std::min(here.until, later(program.since, delay));
    if (until <= turn.now.time)
        start_again(turn, program);
    else if (until != here.until)
        set_phase(turn, program, Backoff{until});
}

} // namespace

void in_backoff(Turn& turn, Program& program, Backoff here, const ProgramEvent& event) {
    std::visit(overloaded{
                   [&](const StartAsked& e) { start(turn, program, by_operator(e.uid)); },
                   [&](const StopAsked& e) { stop_at_once(turn, program, by_operator(e.uid)); },
                   [&](const RestartAsked& e) { start(turn, program, by_operator(e.uid)); },
                   [&](const SignalAsked&) {},
                   [&](const Spawned&) {},
                   [&](const SpawnFailed&) {},
                   [&](const Exited&) {},
                   [&](const TreeEmpty&) {},
                   [&](const Survived&) {},
                   [&](const Due&) { start_again(turn, program); },
                   [&](const SpecReplaced& e) {
                       // A new command deserves a new chance at once; a new delay, only a shorter wait.
                       if (e.change.restarts())
                           start(turn, program, changed_by_reload(e.change));
                       else
                           shorten_wait(turn, program, here, e.change);
                   },
                   [&](const Removed&) { forget(turn, program); },
                   [&](const ShutdownBegan&) { stop_at_once(turn, program, Why{Cause::shutdown, ""}); },
                   [&](const PatienceOver&) {},
               },
               event);
}

} // namespace keepd::core
