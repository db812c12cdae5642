// A spawn was ordered and is not answered yet.
#include "daemon/core/overloaded.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/transitions.hpp"

namespace keepd::core {

void in_starting(Turn& turn, Program& program, Starting here, const ProgramEvent& event) {
    // The process may exist already, so the stop waits for the answer, which brings the first signal.
    const auto stop = [&](Goal goal, Why why) {
        program.goal = goal;
        begin_stop(turn, program, here.run, 0, program.since, std::move(why));
    };
    std::visit(overloaded{
                   [&](const StartAsked&) {},
                   [&](const StopAsked& e) { stop(Goal::down, by_operator(e.uid)); },
                   [&](const RestartAsked& e) { stop(Goal::up, by_operator(e.uid)); },
                   [&](const SignalAsked&) {},
                   [&](const Spawned& e) {
                       if (e.run != here.run) return;
                       set_phase(turn, program, Running{here.run, e.pid, turn.now.time});
                       announce(turn, program, Notice::Kind::started, Notice::Level::info,
                                "run " + std::to_string(here.run.value) + " is pid " + std::to_string(e.pid));
                   },
                   [&](const SpawnFailed& e) {
                       if (e.run != here.run) return;
                       follow_policy(turn, program, ending_of_failed_spawn(here.run, e.message));
                   },
                   [&](const Exited& e) {
                       // Only a host that lost the answer on its way reports this; the exit counts all the same.
                       if (e.run != here.run) return;
                       set_phase(turn, program, Running{here.run, 0, program.since});
                       in_running(turn, program, std::get<Running>(program.phase), event);
                   },
                   [&](const TreeEmpty&) {},
                   [&](const Survived&) {},
                   [&](const Due&) {},
                   [&](const SpecReplaced& e) {
                       if (e.change.restarts()) stop(Goal::up, changed_by_reload(e.change));
                   },
                   [&](const Removed&) { stop(Goal::removed, Why{Cause::reload, "removed from the config"}); },
                   [&](const ShutdownBegan&) { stop(Goal::down, Why{Cause::shutdown, ""}); },
                   [&](const PatienceOver&) {},
               },
               event);
}

} // namespace keepd::core
