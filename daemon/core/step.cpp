#include "daemon/core/step.hpp"

#include <algorithm>

#include "daemon/core/overloaded.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/recovery.hpp"
#include "daemon/core/reload.hpp"
#include "daemon/core/shutdown.hpp"
#include "daemon/core/turn.hpp"
#include "daemon/core/upgrades.hpp"

namespace keepd::core {

namespace {

// Lets the program that the event names meet it; a program that is not there any more meets nothing.
template <typename Happened>
void tell(Turn& turn, const Happened& event) {
    const auto found = turn.state.programs.find(event.name);
    if (found != turn.state.programs.end()) meet(turn, found->second, std::cref(event));
}

void time_passed(Turn& turn) {
    if (std::holds_alternative<Over>(turn.state.daemon.stage)) return;
    while (const std::optional<std::string> name = turn.state.agenda.due(turn.now.time))
        meet(turn, turn.state.programs.at(*name), std::cref(due));
    shutdown_due(turn);
    upgrade_due(turn);
}

void take(Turn& turn, const Event& event) {
    std::visit(overloaded{
                   [&](const StartAsked& e) {
                       if (serving(turn.state)) tell(turn, e); // else refused; progress() says why
                   },
                   [&](const StopAsked& e) { tell(turn, e); },
                   [&](const RestartAsked& e) {
                       if (serving(turn.state)) tell(turn, e);
                   },
                   [&](const SignalAsked& e) { tell(turn, e); },
                   [&](const Spawned& e) { tell(turn, e); },
                   [&](const SpawnFailed& e) { tell(turn, e); },
                   [&](const Exited& e) { tell(turn, e); },
                   [&](const TreeEmpty& e) { tell(turn, e); },
                   [&](const Survived& e) { tell(turn, e); },
                   [&](const TimePassed&) { time_passed(turn); },
                   [&](const PlanLoaded& e) { load_plan(turn, *e.plan); },
                   [&](const PlanRefused& e) { refuse_plan(turn, e.text); },
                   [&](const ReloadAsked&) { ask_reload(turn); },
                   [&](const ShutdownAsked& e) { ask_shutdown(turn, e.by); },
                   [&](const UpgradeSignalled&) { signal_upgrade(turn); },
                   [&](const BinaryChanged& e) { binary_changed(turn, e); },
                   [&](const UpgradeBegun& e) { begin_upgrade(turn, e); },
                   [&](const UpgradeFinished& e) { finish_upgrade(turn, e); },
                   [&](const Recovered& e) { recover(turn, e); },
               },
               event);
}

} // namespace

Effects step(State& state, const Event& event, const Now& now) {
    Turn turn{state, now};
    take(turn, event);
    end_if_all_gone(turn);
    std::vector<std::string>& touched = turn.effects.touched;
    std::ranges::sort(touched);
    touched.erase(std::ranges::unique(touched).begin(), touched.end());
    return std::move(turn.effects);
}

std::optional<Time> next_deadline(const State& state) {
    if (std::holds_alternative<Over>(state.daemon.stage)) return std::nullopt;
    std::optional<Time> soonest = state.agenda.next();
    const auto consider = [&](std::optional<Time> at) {
        if (at && (!soonest || *at < *soonest)) soonest = at;
    };
    if (const auto* stage = std::get_if<ShuttingDown>(&state.daemon.stage)) consider(stage->deadline);
    consider(deferred_upgrade_at(state));
    return soonest;
}

void rebuild_agenda(State& state) {
    state.agenda.clear();
    for (const auto& [name, program] : state.programs)
        state.agenda.set(name, std::nullopt, deadline_of(program.phase));
}

std::optional<std::string> upgrade_refusal(const State& state) {
    if (state.daemon.upgrading) return "an upgrade is under way";
    if (!serving(state)) return "keepd is shutting down";
    return std::nullopt;
}

const Refused* refused_before(const Daemon& daemon, const FileIdentity& file) {
    const auto found = std::ranges::find(daemon.refused, file, &Refused::file);
    return found == daemon.refused.end() ? nullptr : &*found;
}

RunId live_run(const Program& program) {
    return std::visit(overloaded{
                          [](const Stopped&) { return RunId{}; },
                          [](const Starting& here) { return here.run; },
                          [](const Running& here) { return here.run; },
                          [](const Stopping& here) { return here.run; },
                          [](const Backoff&) { return RunId{}; },
                          [](const Completed&) { return RunId{}; },
                          [](const Failed&) { return RunId{}; },
                      },
                      program.phase);
}

} // namespace keepd::core
