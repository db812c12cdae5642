#include "daemon/core/upgrades.hpp"

#include <algorithm>
#include <utility>

#include "daemon/core/reload.hpp"
#include "daemon/core/shutdown.hpp"
#include "daemon/core/step.hpp"

namespace keepd::core {

namespace {

void tell_upgrade(Turn& turn, Notice::Level level, std::string text) {
    announce(turn, Notice::Kind::upgrade, level, std::move(text));
}

constexpr std::size_t most_refused = 8; // files that take turns at the path are remembered each

// The earliest moment for the next upgrade that no operator waits for.
Time earliest(const Daemon& daemon, Time now) {
    if (!daemon.last_upgrade_began) return now;
    return std::max(now, later(*daemon.last_upgrade_began, daemon.settings.upgrade.min_interval));
}

void order_upgrade(Turn& turn, bool if_changed) {
    Daemon& daemon = turn.state.daemon;
    daemon.deferred.upgrade_at.reset();
    daemon.deferred.upgrade_if_changed = false;
    daemon.last_upgrade_began = turn.now.time; // a second signal before UpgradeBegun is inside the interval, too
    turn.effects.daemon_touched = true;
    turn.effects.actions.push_back(BeginUpgrade{if_changed});
}

// At once, or as soon as the one under way and the interval are over.
void ask_upgrade(Turn& turn, bool if_changed) {
    Daemon& daemon = turn.state.daemon;
    const Time at = earliest(daemon, turn.now.time);
    if (!daemon.upgrading && at <= turn.now.time) {
        order_upgrade(turn, if_changed);
        return;
    }
    if (daemon.deferred.upgrade_at) { // one waits already; it will take the newest binary
        if (if_changed || !daemon.deferred.upgrade_if_changed) return;
        daemon.deferred.upgrade_if_changed = false; // who signals wants it in any case
        turn.effects.daemon_touched = true;
        return;
    }
    daemon.deferred.upgrade_at = at;
    daemon.deferred.upgrade_if_changed = if_changed;
    turn.effects.daemon_touched = true;
    const std::string wait = keep::to_human(at - turn.now.time);
    if (!daemon.upgrading)
        tell_upgrade(turn, Notice::Level::info, "begins in " + wait + " (upgrade.min_interval)");
    else if (at <= turn.now.time)
        tell_upgrade(turn, Notice::Level::info, "begins again when the one under way is over");
    else
        tell_upgrade(turn, Notice::Level::info, "begins again in " + wait + ", when the one under way is over");
}

// Remembers a candidate that failed, and forgets one that did not.
void judge(Daemon& daemon, const FileIdentity& file, const UpgradeFinished& finished) {
    std::erase_if(daemon.refused, [&](const Refused& one) { return one.file == file; });
    if (finished.ok || finished.blameless) return;
    if (daemon.refused.size() >= most_refused) daemon.refused.erase(daemon.refused.begin());
    daemon.refused.push_back({file, finished.text});
}

} // namespace

void signal_upgrade(Turn& turn) {
    if (!serving(turn.state)) {
        tell_upgrade(turn, Notice::Level::warning, "not upgraded: keepd is shutting down");
        return;
    }
    ask_upgrade(turn, false);
}

void binary_changed(Turn& turn, const BinaryChanged& changed) {
    Daemon& daemon = turn.state.daemon;
    if (!serving(turn.state)) return;
    daemon.binary_seen = changed.file;
    turn.effects.daemon_touched = true;
    if (changed.running) {
        if (!daemon.deferred.upgrade_at || !daemon.deferred.upgrade_if_changed) return;
        daemon.deferred.upgrade_at.reset();
        daemon.deferred.upgrade_if_changed = false;
        tell_upgrade(turn, Notice::Level::info, "not due any more: the binary that runs is back in its place");
        return;
    }
    if (refused_before(daemon, changed.file)) return;
    if (daemon.upgrading && daemon.upgrading->file == changed.file) return; // it is being tried
    ask_upgrade(turn, true);
}

void begin_upgrade(Turn& turn, const UpgradeBegun& begun) {
    Daemon& daemon = turn.state.daemon;
    if (daemon.upgrading || !serving(turn.state)) return; // the host asks upgrade_refusal() first
    daemon.upgrading = Upgrading{turn.now.time, begun.binary, begun.file};
    daemon.last_upgrade_began = turn.now.time;
    turn.effects.daemon_touched = true;
    tell_upgrade(turn, Notice::Level::info, "begins: " + begun.binary);
}

void finish_upgrade(Turn& turn, const UpgradeFinished& finished) {
    Daemon& daemon = turn.state.daemon;
    if (daemon.upgrading && daemon.upgrading->file) judge(daemon, *daemon.upgrading->file, finished);
    daemon.upgrading.reset();
    if (!finished.rehearsal_only) daemon.last_upgrade = Outcome{turn.now.wall, finished.ok, finished.text};
    if (finished.replaced) {
        ++daemon.generation;
        daemon.upgraded_at = turn.now.wall;
    }
    turn.effects.daemon_touched = true;
    tell_upgrade(turn, finished.ok ? Notice::Level::info : Notice::Level::error, finished.text);

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
    if (at && *at <= turn.now.time) order_upgrade(turn, turn.state.daemon.deferred.upgrade_if_changed);
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
