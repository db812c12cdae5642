#include "daemon/core/transitions.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <utility>

#include "daemon/core/shutdown.hpp"
#include "lib/base/signals.hpp"

namespace keepd::core {

namespace {

// Between one SIGKILL and the next to processes that don't go (uninterruptible sleep, another pid namespace).
constexpr Duration kill_again_after = std::chrono::seconds(5);

void spawn(Turn& turn, Program& program, Why why) {
    program.run = RunId{turn.state.daemon.next_run++};
    turn.effects.daemon_touched = true;
    set_phase(turn, program, Starting{program.run}, std::move(why));
    turn.effects.actions.push_back(Spawn{program.spec.name, program.run});
}

} // namespace

Why by_operator(std::uint32_t uid) {
    return {Cause::operator_, "by uid " + std::to_string(uid)};
}

void start(Turn& turn, Program& program, Why why) {
    program.goal = Goal::up;
    program.retry = {};
    // The spec may name other streams than the last run had.
    turn.effects.actions.push_back(ArrangeLogs{program.spec.name});
    spawn(turn, program, std::move(why));
}

void start_again(Turn& turn, Program& program) {
    ++program.restarts;
    remember_start(program.retry, program.spec.restart, turn.now.time);
    spawn(turn, program, program.why);
}

void stop_at_once(Turn& turn, Program& program, Why why) {
    program.goal = Goal::down;
    set_phase(turn, program, Stopped{}, std::move(why));
}

void begin_stop(Turn& turn, Program& program, RunId run, int pid, Time since, Why why) {
    Stopping here;
    here.run = run;
    here.pid = pid;
    here.since = since;
    here.next_at = later(turn.now.time, kill_again_after);
    if (pid != 0) here = climbed(turn, program, here);
    set_phase(turn, program, here, std::move(why));
}

void climb(Turn& turn, Program& program, const Stopping& here) {
    set_phase(turn, program, climbed(turn, program, here));
    const auto& sequence = program.spec.stop.sequence;
    if (here.rung == 0 || here.rung > sequence.size()) return; // the first signal is told by whoever ordered the stop
    const bool kill = here.rung == sequence.size();
    announce(turn, program, Notice::Kind::state, kill ? Notice::Level::warning : Notice::Level::info,
             std::string(here.ended ? "what it left behind" : "it") + " is still there, " +
                 (kill ? "SIGKILL" : keep::signal_name(sequence[here.rung].signal)) + " sent");
}

namespace {

void order_signal(Turn& turn, const Program& program, RunId run, int number) {
    turn.effects.actions.push_back(Signal{program.spec.name, run, number, program.spec.stop.kill_mode});
}

// What belongs to rung `rung`: beyond the sequence it is SIGKILL.
void order_signal_of(Turn& turn, const Program& program, RunId run, std::size_t rung) {
    const auto& sequence = program.spec.stop.sequence;
    order_signal(turn, program, run, rung < sequence.size() ? sequence[rung].signal : SIGKILL);
    if (rung == 0 && !sequence.empty())
        order_signal(turn, program, run, SIGCONT); // a stopped process can't act on the first
}

} // namespace

void signal_again(Turn& turn, const Program& program, const Stopping& here) {
    order_signal_of(turn, program, here.run, here.rung - 1);
}

Stopping climbed(Turn& turn, const Program& program, Stopping here) {
    const auto& sequence = program.spec.stop.sequence;
    order_signal_of(turn, program, here.run, here.rung);
    here.next_at = later(turn.now.time, here.rung < sequence.size() ? sequence[here.rung].wait : kill_again_after);
    if (here.rung > sequence.size()) turn.effects.actions.push_back(FindSurvivors{program.spec.name, here.run});
    ++here.rung;
    return here;
}

void send_asked(Turn& turn, const Program& program, RunId run, const SignalAsked& asked) {
    turn.effects.actions.push_back(Signal{program.spec.name, run, asked.signal, config::KillMode::process});
    announce(turn, program, Notice::Kind::signaled, Notice::Level::info,
             keep::signal_name(asked.signal) + " sent by uid " + std::to_string(asked.uid));
}

Ending record_exit(Turn& turn, Program& program, const Exited& exit, Time began) {
    const Duration uptime = std::max(turn.now.time - began, Duration::zero());
    program.last_exit = LastExit{exit.run, exit.status, exit.usage, uptime, turn.now.wall};
    return ending_of_exit(exit.run, exit.status, uptime);
}

void follow_policy(Turn& turn, Program& program, const Ending& ending) {
    follow(turn, program, judge(program, ending, turn.now.time, turn.state.daemon.seed));
}

void follow(Turn& turn, Program& program, Verdict verdict) {
    program.retry = std::move(verdict.retry);
    switch (verdict.kind) {
    case Verdict::Kind::complete: set_phase(turn, program, Completed{}, std::move(verdict.why)); return;
    case Verdict::Kind::give_up: {
        set_phase(turn, program, Failed{}, std::move(verdict.why));
        if (verdict.shut_down) begin_shutdown(turn, program.spec.name + " reached its start limit");
        return;
    }
    case Verdict::Kind::restart: break;
    }
    if (verdict.delay > Duration::zero()) {
        set_phase(turn, program, Backoff{later(turn.now.time, verdict.delay)}, std::move(verdict.why));
        return;
    }
    program.why = std::move(verdict.why);
    start_again(turn, program);
}

void follow_goal(Turn& turn, Program& program) {
    switch (program.goal) {
    case Goal::up: start(turn, program, program.why); return;
    case Goal::down: set_phase(turn, program, Stopped{}); return;
    case Goal::removed: forget(turn, program); return;
    }
}

Why changed_by_reload(const ProgramChange& change) {
    std::string names;
    for (const FieldChange& field : change.fields) {
        if (field.reach != Reach::restart) continue;
        names += (names.empty() ? "" : ", ") + field.field;
    }
    return {Cause::reload, "changed: " + names};
}

} // namespace keepd::core
