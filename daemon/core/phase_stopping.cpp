// On its way down, signal by signal, until no process of its tree is left.
#include <algorithm>

#include "daemon/core/exit_notice.hpp"
#include "daemon/core/overloaded.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/transitions.hpp"

namespace keepd::core {

namespace {

constexpr std::string_view survivors_mark = "still there after SIGKILL: ";

// The detail of a stop names, at its end, who outlived SIGKILL: "by uid 0; still there after SIGKILL: pid 812 (dd)".
std::string without_survivors(const std::string& detail) {
    std::string rest = detail.substr(0, detail.find(survivors_mark));
    if (rest.ends_with("; ")) rest.resize(rest.size() - 2);
    return rest;
}

std::string with_survivors(const std::string& detail, const std::string& names) {
    const std::string rest = without_survivors(detail);
    return rest + (rest.empty() ? "" : "; ") + std::string(survivors_mark) + names;
}

// No process of the run is left. `program` may be gone afterwards.
void over(Turn& turn, Program& program, const Stopping& here) {
    program.why.detail = without_survivors(program.why.detail);
    turn.effects.actions.push_back(Retire{program.spec.name, here.run});
    if (here.ordered || !here.ended) {
        follow_goal(turn, program);
        return;
    }
    const Duration uptime = program.last_exit ? program.last_exit->uptime : Duration{};
    follow_policy(turn, program, ending_of_exit(here.run, *here.ended, uptime));
}

void ended(Turn& turn, Program& program, Stopping here, const Exited& exit) {
    const Ending ending = record_exit(turn, program, exit, here.since);
    const bool empty = exit.tree_empty || program.spec.stop.kill_mode == config::KillMode::process;
    const std::size_t place = announce_exit(turn, program, ending, true,
                                            empty ? consequence_of(program.goal) : "clearing what it left behind");
    const std::string name = program.spec.name;
    here.ended = exit.status;
    set_phase(turn, program, here);
    if (empty) over(turn, program, here);
    announced_state(turn, place, name);
}

// From now on the goal decides what follows, not the restart policy.
void order(Turn& turn, Program& program, Stopping here, Goal goal, Why why) {
    program.goal = goal;
    here.ordered = true;
    set_phase(turn, program, here, std::move(why));
}

void survived(Turn& turn, Program& program, const Stopping& here, const Survived& survived) {
    std::string names;
    for (const std::string& process : survived.processes)
        names += (names.empty() ? "" : ", ") + process;
    Why why = program.why;
    why.detail = with_survivors(why.detail, names);
    if (why == program.why) return; // said already
    set_phase(turn, program, here, std::move(why));
    announce(turn, program, Notice::Kind::survived, Notice::Level::error,
             "processes outlived SIGKILL: " + names + "; it is sent again every 5 s");
}

} // namespace

// stop.* is live: the next rung comes by the new sequence. A SIGKILL that was sent stays sent.
void adapt_rung(Turn& turn, Program& program, Stopping& here, const config::Program& before) {
    const std::size_t old_size = before.stop.sequence.size();
    const std::size_t new_size = program.spec.stop.sequence.size();
    const std::size_t rung = here.rung > old_size ? here.rung - old_size + new_size : std::min(here.rung, new_size);
    if (rung == here.rung) return;
    here.rung = rung;
    set_phase(turn, program, here);
}

void in_stopping(Turn& turn, Program& program, Stopping here, const ProgramEvent& event) {
    std::visit(overloaded{
                   [&](const StartAsked& e) {
                       if (program.goal != Goal::removed) order(turn, program, here, Goal::up, by_operator(e.uid));
                   },
                   [&](const StopAsked& e) {
                       if (program.goal == Goal::up) order(turn, program, here, Goal::down, by_operator(e.uid));
                   },
                   [&](const RestartAsked& e) {
                       if (program.goal != Goal::removed) order(turn, program, here, Goal::up, by_operator(e.uid));
                   },
                   [&](const SignalAsked& e) {
                       if (here.pid != 0 && !here.ended) send_asked(turn, program, here.run, e);
                   },
                   [&](const Spawned& e) {
                       if (e.run != here.run || here.pid != 0) return;
                       here.pid = e.pid;
                       here.since = turn.now.time;
                       set_phase(turn, program, here);
                       announce(turn, program, Notice::Kind::started, Notice::Level::info,
                                "run " + std::to_string(here.run.value) + " is pid " + std::to_string(e.pid) +
                                    ", to be stopped at once");
                       climb(turn, program, here);
                   },
                   [&](const SpawnFailed& e) {
                       if (e.run == here.run && here.pid == 0) follow_goal(turn, program);
                   },
                   [&](const Exited& e) {
                       if (e.run == here.run && !here.ended) ended(turn, program, here, e);
                   },
                   [&](const TreeEmpty& e) {
                       if (e.run == here.run && here.ended) over(turn, program, here);
                   },
                   [&](const Survived& e) {
                       if (e.run == here.run && here.rung > program.spec.stop.sequence.size())
                           survived(turn, program, here, e);
                   },
                   [&](const Due&) {
                       if (here.pid == 0 && !here.ended) {
                           here.next_at = later(turn.now.time, std::chrono::seconds(5)); // nobody to signal yet
                           set_phase(turn, program, here);
                       } else if (here.ended && program.spec.stop.kill_mode == config::KillMode::process) {
                           over(turn, program, here); // a reload said meanwhile that the rest of the tree may stay
                       } else {
                           climb(turn, program, here);
                       }
                   },
                   [&](const SpecReplaced& e) {
                       adapt_rung(turn, program, here, e.before);
                       if (e.change.restarts() && program.goal == Goal::up) {
                           program.retry = {};
                           order(turn, program, here, Goal::up, changed_by_reload(e.change));
                       }
                   },
                   [&](const Removed&) {
                       order(turn, program, here, Goal::removed, Why{Cause::reload, "removed from the config"});
                   },
                   [&](const ShutdownBegan&) {
                       if (program.goal == Goal::up) order(turn, program, here, Goal::down, Why{Cause::shutdown, ""});
                   },
                   [&](const PatienceOver&) {
                       here.rung = std::max(here.rung, program.spec.stop.sequence.size());
                       if (here.pid != 0 || here.ended)
                           climb(turn, program, here);
                       else
                           set_phase(turn, program, here);
                   },
               },
               event);
}

} // namespace keepd::core
