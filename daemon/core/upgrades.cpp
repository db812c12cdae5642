#include "daemon/core/upgrades.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/reload.hpp"
#include "daemon/core/shutdown.hpp"

namespace keepd::core {

namespace {

void say(Turn& turn, Notice::Level level, std::string text) {
    announce(turn, Notice::Kind::upgrade, level, std::move(text));
}

// The earliest moment for the next upgrade by a signal.
Time earliest(const Daemon& daemon, Time now) {
    if (!daemon.last_upgrade_began) return now;
    return std::max(now, later(*daemon.last_upgrade_began, daemon.settings.upgrade.min_interval));
}

void order_upgrade(Turn& turn) {
    Daemon& daemon = turn.state.daemon;
    daemon.deferred.upgrade_at.reset();
    daemon.last_upgrade_began = turn.now.time; // a second signal before UpgradeBegun is inside the interval, too
    turn.effects.daemon_touched = true;
    turn.effects.actions.push_back(BeginUpgrade{});
}

} // namespace

void signal_upgrade(Turn& turn) {
    Daemon& daemon = turn.state.daemon;
    if (!serving(turn.state)) {
        say(turn, Notice::Level::warning, "not upgraded: keepd is shutting down");
        return;
    }
    const Time at = earliest(daemon, turn.now.time);
    if (!daemon.upgrading && at <= turn.now.time) {
        order_upgrade(turn);
        return;
    }
    if (daemon.deferred.upgrade_at) return; // one waits already; it will take the newest binary
    daemon.deferred.upgrade_at = at;
    turn.effects.daemon_touched = true;
    const std::string wait = keep::to_human(at - turn.now.time);
    if (!daemon.upgrading)
        say(turn, Notice::Level::info, "begins in " + wait + " (upgrade.min_interval)");
    else if (at <= turn.now.time)
        say(turn, Notice::Level::info, "begins again when the one under way is over");
    else
        say(turn, Notice::Level::info, "begins again in " + wait + ", when the one under way is over");
}

void begin_upgrade(Turn& turn, const UpgradeBegun& begun) {
    Daemon& daemon = turn.state.daemon;
    if (daemon.upgrading || !serving(turn.state)) return; // the host asks upgrade_refusal() first
    daemon.upgrading = Upgrading{turn.now.time, begun.binary};
    daemon.last_upgrade_began = turn.now.time;
    turn.effects.daemon_touched = true;
    say(turn, Notice::Level::info, "begins: " + begun.binary);
}

void finish_upgrade(Turn& turn, const UpgradeFinished& finished) {
    Daemon& daemon = turn.state.daemon;
    daemon.upgrading.reset();
    if (!finished.rehearsal_only) daemon.last_upgrade = Outcome{turn.now.wall, finished.ok, finished.text};
    if (finished.replaced) {
        ++daemon.generation;
        daemon.upgraded_at = turn.now.wall;
    }
    turn.effects.daemon_touched = true;
    say(turn, finished.ok ? Notice::Level::info : Notice::Level::error, finished.text);

    const Deferred waiting = daemon.deferred;
    daemon.deferred.shutdowns = 0;
    daemon.deferred.reload = false;
    if (waiting.shutdowns > 0) {
        if (waiting.reload)
            announce(turn, Notice::Kind::reload, Notice::Level::warning, "not reloaded: keepd is shutting down");
        begin_shutdown(turn, "asked for during the upgrade");
        if (waiting.shutdowns > 1) ask_shutdown(turn, "during the upgrade");
    } else if (waiting.reload) {
        ask_reload(turn);
    }
}

void upgrade_due(Turn& turn) {
    const std::optional<Time> at = deferred_upgrade_at(turn.state);
    if (at && *at <= turn.now.time) order_upgrade(turn);
}

std::optional<Time> deferred_upgrade_at(const State& state) {
    const Daemon& daemon = state.daemon;
    if (!daemon.deferred.upgrade_at || daemon.upgrading || !serving(state)) return std::nullopt;
    // Another upgrade may have begun since it was put off: the interval counts from that one.
    return daemon.last_upgrade_began ? std::max(*daemon.deferred.upgrade_at,
                                                later(*daemon.last_upgrade_began, daemon.settings.upgrade.min_interval))
                                     : *daemon.deferred.upgrade_at;
}

} // namespace keepd::core
