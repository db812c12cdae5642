#include "daemon/core/progress.hpp"

#include "daemon/core/describe.hpp"
#include "daemon/core/overloaded.hpp"
#include "daemon/core/step.hpp"

namespace keepd::core {

namespace {

Progress pending() {
    return {};
}
Progress done(std::string text) {
    return {Progress::Verdict::done, std::move(text)};
}
Progress failed(std::string text) {
    return {Progress::Verdict::failed, std::move(text)};
}

bool shutting_down(const State& state) {
    return !std::holds_alternative<Serving>(state.daemon.stage);
}

// "backoff: exit 1 after 0.3 s, next start in 4 s"
std::string standing(const Program& program, Time now) {
    return std::string(state_word(program)) + ": " + explain(program, now);
}

// Up with a run newer than `after` (for `started`, `after` is RunId{}: any run will do).
Progress coming_up(const State& state, const Program& program, RunId after, Time now) {
    const bool newer = program.run > after;
    if (shutting_down(state)) return failed("keepd is shutting down");
    return std::visit(
        overloaded{
            [&](const Stopped&) { return failed(standing(program, now)); },
            [&](const Starting&) { return pending(); },
            [&](const Running& here) {
                if (!newer) return failed("it was not restarted");
                if (program.spec.type == config::Type::oneshot) return pending();
                return done("running, pid " + std::to_string(here.pid));
            },
            [&](const Stopping& here) {
                if (program.goal == Goal::removed) return failed("it is being removed");
                if (program.goal == Goal::down) return failed(standing(program, now));
                // Its main process is gone and something of its tree is left: what follows is not known yet.
                return here.ordered || newer ? pending() : failed(standing(program, now));
            },
            [&](const Backoff&) { return failed(standing(program, now)); },
            [&](const Completed&) { return newer ? done(standing(program, now)) : failed(standing(program, now)); },
            [&](const Failed&) { return failed(standing(program, now)); },
        },
        program.phase);
}

Progress going_down(const State& state, const Program& program, Time now) {
    return std::visit(overloaded{
                          [&](const Stopped&) { return done(standing(program, now)); },
                          [&](const Starting&) { return failed("it was started again"); },
                          [&](const Running&) { return failed("it was started again"); },
                          [&](const Stopping&) {
                              if (std::holds_alternative<Over>(state.daemon.stage))
                                  return failed(standing(program, now));
                              if (program.goal == Goal::up) return failed("it is to be started again");
                              return pending();
                          },
                          [&](const Backoff&) { return failed("it was started again"); },
                          [&](const Completed&) { return done(standing(program, now)); },
                          [&](const Failed&) { return done(standing(program, now)); },
                      },
                      program.phase);
}

Progress over(const State& state) {
    if (!std::holds_alternative<Over>(state.daemon.stage)) return pending();
    std::string left;
    for (const auto& [name, program] : state.programs)
        if (live_run(program).value != 0) left += (left.empty() ? "" : ", ") + name;
    if (left.empty()) return done("every program has stopped");
    return failed("SIGKILL did not end " + left);
}

} // namespace

Progress progress(const State& state, const Wish& wish, Time now) {
    if (wish.kind == Wish::Kind::over) return over(state);
    const auto found = state.programs.find(wish.name);
    if (found == state.programs.end()) {
        const bool gone_is_fine = wish.kind == Wish::Kind::removed || wish.kind == Wish::Kind::stopped;
        return gone_is_fine ? done("removed") : failed("it was removed from the config");
    }
    const Program& program = found->second;
    switch (wish.kind) {
    case Wish::Kind::started: return coming_up(state, program, RunId{}, now);
    case Wish::Kind::restarted: return coming_up(state, program, wish.after, now);
    case Wish::Kind::stopped: return going_down(state, program, now);
    case Wish::Kind::removed:
        if (program.goal != Goal::removed) return failed("it is in the config again");
        return going_down(state, program, now);
    case Wish::Kind::over: break;
    }
    return pending();
}

std::vector<Wish> wishes_of_reload(const State& after, RunId first) {
    std::vector<Wish> wishes;
    for (const auto& [name, program] : after.programs) {
        if (program.goal == Goal::removed) {
            wishes.push_back({Wish::Kind::removed, name, program.run});
            continue;
        }
        if (program.goal != Goal::up) continue;
        // The reload started it, and it could not be: the policy has the next word already.
        if (program.why.cause == Cause::spawn_error && program.run >= first)
            wishes.push_back({Wish::Kind::started, name, program.run});
        if (program.why.cause != Cause::reload) continue;
        if (std::holds_alternative<Stopping>(program.phase))
            wishes.push_back({Wish::Kind::restarted, name, program.run});
        else if (std::holds_alternative<Starting>(program.phase))
            wishes.push_back({Wish::Kind::started, name, program.run});
    }
    return wishes;
}

} // namespace keepd::core
