#include "daemon/core/turn.hpp"

#include <utility>

#include "daemon/core/describe.hpp"
#include "daemon/core/overloaded.hpp"
#include "daemon/core/step.hpp"

namespace keepd::core {

namespace {

Notice numbered(Turn& turn, Notice::Kind kind, Notice::Level level, std::string text) {
    turn.effects.daemon_touched = true;
    Notice notice;
    notice.number = turn.state.daemon.next_notice++;
    notice.at = turn.now.wall;
    notice.kind = kind;
    notice.level = level;
    notice.text = std::move(text);
    return notice;
}

Notice::Level level_of(const Program& program) {
    if (std::holds_alternative<Failed>(program.phase)) return Notice::Level::error;
    // Of an end a line of its own has told; a start that failed has this one alone.
    if (std::holds_alternative<Backoff>(program.phase))
        return program.why.cause == Cause::spawn_error ? Notice::Level::error : Notice::Level::warning;
    return Notice::Level::info;
}

} // namespace

void set_phase(Turn& turn, Program& program, Phase next, Why why) {
    const std::string_view word_before = state_word(program);
    const bool same_kind = program.phase.index() == next.index();
    turn.state.agenda.set(program.spec.name, deadline_of(program.phase), deadline_of(next));
    program.phase = next;
    program.why = std::move(why);
    touch(turn, program);
    if (same_kind) return;
    program.since = turn.now.time;
    program.since_wall = turn.now.wall;
    const std::string_view word = state_word(program);
    if (word == word_before) return;
    std::string text(word);
    const std::string reason = explain(program, turn.now.time);
    if (!reason.empty()) text += ": " + reason;
    announce(turn, program, Notice::Kind::state, level_of(program), std::move(text));
}

void set_phase(Turn& turn, Program& program, Phase next) {
    Why why = program.why;
    set_phase(turn, program, next, std::move(why));
}

void touch(Turn& turn, const Program& program) {
    turn.effects.touched.push_back(program.spec.name);
}

void forget(Turn& turn, Program& program) {
    const std::string name = program.spec.name;
    Notice notice = numbered(turn, Notice::Kind::state, Notice::Level::info, "removed: it is no longer in the config");
    notice.program = name;
    notice.state = "removed";
    turn.state.agenda.set(name, deadline_of(program.phase), std::nullopt);
    turn.state.programs.erase(name);
    turn.effects.touched.push_back(name);
    turn.effects.actions.push_back(Announce{std::move(notice)});
    turn.effects.actions.push_back(ArrangeLogs{name});
}

void announce(Turn& turn, Notice::Kind kind, Notice::Level level, std::string text) {
    Notice notice = numbered(turn, kind, level, std::move(text));
    turn.effects.actions.push_back(Announce{std::move(notice)});
}

std::size_t announce(Turn& turn, const Program& program, Notice::Kind kind, Notice::Level level, std::string text) {
    Notice notice = numbered(turn, kind, level, std::move(text));
    notice.program = program.spec.name;
    notice.run = live_run(program);
    notice.pid = pid_of(program);
    notice.state = state_word(program);
    turn.effects.actions.push_back(Announce{std::move(notice)});
    return turn.effects.actions.size() - 1;
}

void announced_state(Turn& turn, std::size_t place, const std::string& name) {
    Notice& notice = std::get<Announce>(turn.effects.actions[place]).notice;
    const auto found = turn.state.programs.find(name);
    notice.state = found == turn.state.programs.end() ? "removed" : state_word(found->second);
}

std::optional<Time> deadline_of(const Phase& phase) {
    using At = std::optional<Time>;
    return std::visit(overloaded{
                          [](const Stopped&) -> At { return std::nullopt; },
                          [](const Starting&) -> At { return std::nullopt; },
                          [](const Running&) -> At { return std::nullopt; },
                          [](const Stopping& here) -> At { return here.next_at; },
                          [](const Backoff& here) -> At { return here.until; },
                          [](const Completed&) -> At { return std::nullopt; },
                          [](const Failed&) -> At { return std::nullopt; },
                      },
                      phase);
}

Time later(Time at, Duration wait) {
    return wait > Time::max() - at ? Time::max() : at + wait;
}

} // namespace keepd::core
