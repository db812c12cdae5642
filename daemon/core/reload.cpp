#include "daemon/core/reload.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "daemon/core/phases.hpp"
#include "daemon/core/plan_diff.hpp"
#include "daemon/core/shutdown.hpp"
#include "daemon/core/step.hpp"
#include "daemon/core/transitions.hpp"

namespace keepd::core {

namespace {

void tell_reload(Turn& turn, Notice::Level level, std::string text) {
    announce(turn, Notice::Kind::reload, level, std::move(text));
}

void add(Turn& turn, const config::Program& spec, Why why) {
    auto [at, is_new] = turn.state.programs.try_emplace(spec.name);
    Program& program = at->second;
    const config::Program before = std::exchange(program.spec, spec);
    if (!is_new) {
        // It was removed, is still being stopped, and has come back: what stands in the config is a new program.
        if (auto* stopping = std::get_if<Stopping>(&program.phase)) {
            Stopping here = *stopping;
            adapt_rung(turn, program, here, before);
        }
        program.retry = {};
        program.goal = spec.autostart ? Goal::up : Goal::down;
        set_phase(turn, program, program.phase, std::move(why));
        return;
    }
    program.since = turn.now.time;
    program.since_wall = turn.now.wall;
    program.why = why;
    touch(turn, program);
    if (spec.autostart)
        start(turn, program, std::move(why));
    else
        turn.effects.actions.push_back(ArrangeLogs{spec.name});
}

bool is_stream(const FieldChange& field) {
    return field.field.starts_with("stdout") || field.field.starts_with("stderr");
}

std::string names_of(const std::vector<FieldChange>& fields) {
    std::string names;
    for (const FieldChange& field : fields)
        names += (names.empty() ? "" : ", ") + field.field;
    return names;
}

void change(Turn& turn, Program& program, const config::Program& spec, const ProgramChange& change) {
    const config::Program before = std::exchange(program.spec, spec);
    touch(turn, program);
    // A run that holds a stream of the old kind keeps it to its end; start() arranges the new one.
    const bool live = live_run(program).value != 0;
    const bool streams = std::ranges::any_of(change.fields, is_stream);
    const bool other_kind = std::ranges::any_of(
        change.fields, [](const FieldChange& field) { return is_stream(field) && field.reach == Reach::restart; });
    if (streams && !(live && other_kind)) turn.effects.actions.push_back(ArrangeLogs{spec.name});
    const bool waits = change.restarts() && std::holds_alternative<Stopped>(program.phase);
    if (!change.restarts() || waits)
        announce(turn, program, Notice::Kind::reload, Notice::Level::info,
                 (waits ? "changed, for its next start: " : "changed: ") + names_of(change.fields));
    const SpecReplaced replaced{before, change};
    meet(turn, program, std::cref(replaced));
}

// Settings that are only read when keepd starts stay as they are: what runs must go on finding its files.
void change_settings(Turn& turn, const config::Daemon& next, const std::vector<FieldChange>& fields) {
    if (fields.empty()) return;
    config::Daemon& settings = turn.state.daemon.settings;
    config::Daemon effective = next;
    effective.config_path = settings.config_path;
    effective.state_dir = settings.state_dir;
    effective.runtime_dir = settings.runtime_dir;
    for (const FieldChange& field : fields)
        if (field.field == "control.path" && field.reach == Reach::next_start)
            effective.control.path = settings.control.path;
    settings = std::move(effective);
    turn.effects.daemon_touched = true;

    ApplySettings live;
    for (const FieldChange& field : fields)
        if (field.reach == Reach::live) live.fields.push_back(field.field);
    if (!live.fields.empty()) turn.effects.actions.push_back(std::move(live));
}

// "3 changed, 1 added, 996 untouched"
std::string summary(const PlanDiff& plan) {
    std::size_t changed = 0, added = 0, removed = 0;
    for (const ProgramChange& program : plan.programs) {
        switch (program.kind) {
        case ProgramChange::Kind::change: ++changed; break;
        case ProgramChange::Kind::add: ++added; break;
        case ProgramChange::Kind::remove: ++removed; break;
        }
    }
    std::string text;
    const auto part = [&](std::size_t count, std::string_view word) {
        if (count == 0) return;
        text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(word);
    };
    part(changed, "changed");
    part(added, "added");
    part(removed, "removed");
    part(plan.untouched, "untouched");
    if (text.empty()) text = "no programs";
    std::string live, next_start;
    for (const FieldChange& field : plan.daemon) {
        std::string& list = field.reach == Reach::live ? live : next_start;
        list += (list.empty() ? "" : ", ") + field.field;
    }
    if (!live.empty()) text += "; keepd: " + live;
    if (!next_start.empty()) text += "; at keepd's next start: " + next_start;
    return text;
}

void first_start(Turn& turn, const config::Plan& plan) {
    turn.state.daemon.settings = plan.daemon;
    turn.effects.daemon_touched = true;
    const std::size_t count = plan.programs.size();
    tell_reload(turn, Notice::Level::info,
                "config read: " + std::to_string(count) + (count == 1 ? " program" : " programs"));
    for (const auto& [name, spec] : plan.programs)
        add(turn, spec, Why{});
}

void set_outcome(Turn& turn, bool ok, std::string text) {
    turn.state.daemon.last_reload = Outcome{turn.now.wall, ok, std::move(text)};
    turn.effects.daemon_touched = true;
}

} // namespace

void ask_reload(Turn& turn) {
    Daemon& daemon = turn.state.daemon;
    if (!serving(turn.state)) {
        tell_reload(turn, Notice::Level::warning, "not reloaded: keepd is shutting down");
    } else if (daemon.upgrading) {
        daemon.deferred.reload = true;
        tell_reload(turn, Notice::Level::info, "reloading as soon as the upgrade is over");
    } else {
        turn.effects.actions.push_back(BeginReload{});
    }
}

void load_plan(Turn& turn, const config::Plan& plan) {
    if (!serving(turn.state)) {
        tell_reload(turn, Notice::Level::warning, "not reloaded: keepd is shutting down");
        return;
    }
    // Whatever keepd does first is announced, so a State that has said nothing has just come to be.
    if (turn.state.daemon.next_notice == 1) {
        first_start(turn, plan);
        return;
    }
    const PlanDiff changes = diff(turn.state, plan);
    std::string text = summary(changes);
    tell_reload(turn, Notice::Level::info, text);
    set_outcome(turn, true, std::move(text));
    for (const ProgramChange& entry : changes.programs) {
        switch (entry.kind) {
        case ProgramChange::Kind::add: add(turn, plan.programs.at(entry.name), Why{Cause::reload, "added"}); break;
        case ProgramChange::Kind::remove: meet(turn, turn.state.programs.at(entry.name), std::cref(removed)); break;
        case ProgramChange::Kind::change:
            change(turn, turn.state.programs.at(entry.name), plan.programs.at(entry.name), entry);
            break;
        }
    }
    change_settings(turn, plan.daemon, changes.daemon);
}

void refuse_plan(Turn& turn, const std::string& text) {
    set_outcome(turn, false, text);
    tell_reload(turn, Notice::Level::error, "the config is wrong, nothing was changed: " + text);
}

} // namespace keepd::core
