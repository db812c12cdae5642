#include "daemon/core/shutdown.hpp"

#include <algorithm>

#include "daemon/core/describe.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/step.hpp"

namespace keepd::core {

namespace {

// How long after SIGKILL keepd waits before it gives up on what is left.
constexpr Duration grace_after_kill = std::chrono::seconds(10);

void tell_shutdown(Turn& turn, Notice::Level level, std::string text) {
    announce(turn, Notice::Kind::shutdown, level, std::move(text));
}

void end(Turn& turn, int code) {
    turn.state.daemon.stage = Over{};
    turn.effects.daemon_touched = true;
    turn.effects.actions.push_back(Quit{code});
}

void kill_now(Turn& turn, ShuttingDown& stage, const std::string& because) {
    stage.killing = true;
    stage.deadline = later(turn.now.time, grace_after_kill);
    turn.effects.daemon_touched = true;
    tell_shutdown(turn, Notice::Level::warning, because + ": killing what is left");
    for (auto& [name, program] : turn.state.programs)
        meet(turn, program, std::cref(patience_over));
}

void abandon(Turn& turn) {
    std::string names;
    for (const auto& [name, program] : turn.state.programs)
        if (live_run(program).value != 0) names += (names.empty() ? "" : ", ") + name;
    tell_shutdown(turn, Notice::Level::error, "SIGKILL did not end " + names + "; keepd ends without");
    end(turn, 1);
}

} // namespace

bool serving(const State& state) {
    return std::holds_alternative<Serving>(state.daemon.stage);
}

void ask_shutdown(Turn& turn, const std::string& by) {
    Daemon& daemon = turn.state.daemon;
    if (serving(turn.state)) {
        begin_shutdown(turn, by);
        return;
    }
    auto* stage = std::get_if<ShuttingDown>(&daemon.stage);
    if (stage != nullptr && !stage->killing) kill_now(turn, *stage, "asked again (" + by + ")");
}

void begin_shutdown(Turn& turn, const std::string& by) {
    Daemon& daemon = turn.state.daemon;
    if (!serving(turn.state)) return;
    turn.effects.daemon_touched = true;
    if (daemon.upgrading) {
        ++daemon.deferred.shutdowns;
        tell_shutdown(turn, Notice::Level::info, by + ": shutting down as soon as the upgrade is over");
        return;
    }
    daemon.deferred = {};
    daemon.stage = ShuttingDown{later(turn.now.time, daemon.settings.shutdown_timeout)};
    const auto live =
        std::ranges::count_if(turn.state.programs, [](const auto& entry) { return live_run(entry.second).value != 0; });
    tell_shutdown(turn, Notice::Level::info,
                  by + ": stopping " + std::to_string(live) + (live == 1 ? " program" : " programs") + " within " +
                      keep::to_human(daemon.settings.shutdown_timeout));
    for (auto& [name, program] : turn.state.programs) {
        if (program.goal == Goal::up && live_run(program).value == 0) {
            program.goal = Goal::down; // of what has completed or failed; the phase says the rest itself
            touch(turn, program);
        }
        meet(turn, program, std::cref(shutdown_began));
    }
}

void shutdown_due(Turn& turn) {
    auto* stage = std::get_if<ShuttingDown>(&turn.state.daemon.stage);
    if (stage == nullptr || stage->deadline > turn.now.time) return;
    if (stage->killing)
        abandon(turn);
    else
        kill_now(turn, *stage, "shutdown_timeout has passed");
}

void end_if_all_gone(Turn& turn) {
    // While keepd ends, a program with a live run is stopping, and one that is stopping has a deadline; nothing else
    // has.
    if (!std::holds_alternative<ShuttingDown>(turn.state.daemon.stage) || turn.state.agenda.size() != 0) return;
    tell_shutdown(turn, Notice::Level::info, "every program has stopped; keepd ends");
    end(turn, 0);
}

} // namespace keepd::core
