// The process exists.
#include "daemon/core/exit_notice.hpp"
#include "daemon/core/overloaded.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/transitions.hpp"
#include "lib/base/signals.hpp"

namespace keepd::core {

namespace {

void ended(Turn& turn, Program& program, const Running& here, const Exited& exit) {
    const Ending ending = record_exit(turn, program, exit, here.since);
    if (exit.tree_empty || program.spec.stop.kill_mode == config::KillMode::process) {
        Verdict verdict = judge(program, ending, turn.now.time, turn.state.daemon.seed);
        const std::size_t place = announce_exit(turn, program, ending, false, consequence_of(verdict));
        const std::string name = program.spec.name;
        turn.effects.actions.push_back(Retire{name, here.run});
        follow(turn, program, std::move(verdict));
        announced_state(turn, place, name);
        return;
    }
    // The next run must not meet the leftovers of this one: they are cleared first, then the policy decides.
    const std::size_t place = announce_exit(turn, program, ending, false, "clearing what it left behind");
    Stopping clearing;
    clearing.run = here.run;
    clearing.pid = here.pid;
    clearing.since = here.since;
    clearing.ordered = false;
    clearing.ended = exit.status;
    set_phase(turn, program, climbed(turn, program, clearing), ending.why);
    announced_state(turn, place, program.spec.name);
}

} // namespace

void in_running(Turn& turn, Program& program, Running here, const ProgramEvent& event) {
    const auto stop = [&](Goal goal, Why why) {
        program.goal = goal;
        begin_stop(turn, program, here.run, here.pid, here.since, std::move(why));
    };
    std::visit(overloaded{
                   [&](const StartAsked&) {},
                   [&](const StopAsked& e) { stop(Goal::down, by_operator(e.uid)); },
                   [&](const RestartAsked& e) { stop(Goal::up, by_operator(e.uid)); },
                   [&](const SignalAsked& e) { send_asked(turn, program, here.run, e); },
                   [&](const Spawned&) {},
                   [&](const SpawnFailed&) {},
                   [&](const Exited& e) {
                       if (e.run == here.run) ended(turn, program, here, e);
                   },
                   [&](const TreeEmpty&) {}, // the exit that must come with it says so as well
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
