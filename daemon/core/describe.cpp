#include "daemon/core/describe.hpp"

#include <algorithm>

#include "daemon/core/overloaded.hpp"
#include "lib/base/signals.hpp"

namespace keepd::core {

namespace {

std::string span(Duration duration) {
    return keep::to_human(std::max(duration, Duration::zero()));
}

std::string joined(const std::string& left, const std::string& right) {
    return left.empty() || right.empty() ? left + right : left + ", " + right;
}

// How the run that is there came to be.
std::string started_because(const Why& why) {
    switch (why.cause) {
    case Cause::none: return "started with keepd";
    case Cause::operator_: return "started " + why.detail;
    case Cause::reload: return "started by a reload (" + why.detail + ")";
    case Cause::exit:
    case Cause::signal:
    case Cause::spawn_error: return "started again after: " + why.detail;
    case Cause::start_limit:
    case Cause::shutdown: return why.detail;
    }
    return {};
}

std::string stopped_because(const Why& why) {
    switch (why.cause) {
    case Cause::none: return "not started yet (autostart is false)";
    case Cause::operator_: return why.detail;
    case Cause::reload: return why.detail == "added" ? "added by a reload (autostart is false)" : why.detail;
    case Cause::shutdown: return joined("keepd shuts down", why.detail);
    case Cause::exit:
    case Cause::signal:
    case Cause::spawn_error:
    case Cause::start_limit: return why.detail;
    }
    return {};
}

// "SIGTERM sent, SIGKILL in 9.5 s"
std::string ladder(const Program& program, const Stopping& here, Time now) {
    const auto& sequence = program.spec.stop.sequence;
    if (here.pid == 0 && !here.ended) return "as soon as its process exists";
    if (here.rung > sequence.size()) return "SIGKILL sent";
    const std::string next =
        here.rung < sequence.size() ? keep::signal_name(sequence[here.rung].signal) : std::string("SIGKILL");
    const std::string sent =
        here.rung == 0 ? std::string() : keep::signal_name(sequence[here.rung - 1].signal) + " sent";
    return joined(sent, next + " in " + span(here.next_at - now));
}

std::string explain_stopping(const Program& program, const Stopping& here, Time now) {
    std::string what =
        program.why.cause == Cause::shutdown ? joined("keepd shuts down", program.why.detail) : program.why.detail;
    if (here.ended) what = joined(what, "clearing what it left behind");
    what = joined(what, ladder(program, here, now));
    if (here.ordered && program.goal == Goal::up) what += ", then starting again";
    return what;
}

std::string explain_backoff(const Program& program, const Backoff& here, Time now) {
    std::string text = joined(program.why.detail, "next start in " + span(here.until - now));
    if (program.retry.failures > 0) text += " (failure " + std::to_string(program.retry.failures) + ")";
    if (program.retry.slow) text += ", slowly after too many starts";
    return text;
}

std::string explain_failed(const Program& program) {
    if (program.why.cause == Cause::start_limit) return program.why.detail + "; given up";
    return program.why.detail + ", not restarted by restart.policy and its exit codes";
}

} // namespace

std::string_view state_word(const Program& program) {
    return std::visit(overloaded{
                          [](const Stopped&) -> std::string_view { return "stopped"; },
                          [](const Starting&) -> std::string_view { return "starting"; },
                          [&](const Running&) -> std::string_view {
                              return program.spec.type == config::Type::oneshot ? "starting" : "running";
                          },
                          [](const Stopping&) -> std::string_view { return "stopping"; },
                          [](const Backoff&) -> std::string_view { return "backoff"; },
                          [](const Completed&) -> std::string_view { return "completed"; },
                          [](const Failed&) -> std::string_view { return "failed"; },
                      },
                      program.phase);
}

std::string_view cause_word(Cause cause) {
    switch (cause) {
    case Cause::none: return "";
    case Cause::exit: return "exit";
    case Cause::signal: return "signal";
    case Cause::spawn_error: return "spawn_error";
    case Cause::start_limit: return "start_limit";
    case Cause::operator_: return "operator";
    case Cause::reload: return "reload";
    case Cause::shutdown: return "shutdown";
    }
    return "";
}

int pid_of(const Program& program) {
    return std::visit(overloaded{
                          [](const Stopped&) { return 0; },
                          [](const Starting&) { return 0; },
                          [](const Running& here) { return here.pid; },
                          [](const Stopping& here) { return here.ended ? 0 : here.pid; },
                          [](const Backoff&) { return 0; },
                          [](const Completed&) { return 0; },
                          [](const Failed&) { return 0; },
                      },
                      program.phase);
}

std::optional<Duration> uptime(const Program& program, Time now) {
    using Span = std::optional<Duration>;
    return std::visit(overloaded{
                          [](const Stopped&) -> Span { return std::nullopt; },
                          [](const Starting&) -> Span { return std::nullopt; },
                          [&](const Running& here) -> Span { return now - here.since; },
                          [&](const Stopping& here) -> Span {
                              if (here.ended || here.pid == 0) return std::nullopt;
                              return now - here.since;
                          },
                          [](const Backoff&) -> Span { return std::nullopt; },
                          [](const Completed&) -> Span { return std::nullopt; },
                          [](const Failed&) -> Span { return std::nullopt; },
                      },
                      program.phase);
}

std::optional<Duration> next_start_in(const Program& program, Time now) {
    const auto* here = std::get_if<Backoff>(&program.phase);
    if (here == nullptr) return std::nullopt;
    return std::max(here->until - now, Duration::zero());
}

std::string explain(const Program& program, Time now) {
    return std::visit(overloaded{
                          [&](const Stopped&) { return stopped_because(program.why); },
                          [&](const Starting&) { return started_because(program.why); },
                          [&](const Running& here) {
                              const Duration up = now - here.since;
                              return joined(up > Duration::zero() ? "up " + span(up) : "",
                                            started_because(program.why));
                          },
                          [&](const Stopping& here) { return explain_stopping(program, here, now); },
                          [&](const Backoff& here) { return explain_backoff(program, here, now); },
                          [&](const Completed&) { return program.why.detail; },
                          [&](const Failed&) { return explain_failed(program); },
                      },
                      program.phase);
}

Counts count(const State& state) {
    Counts counts;
    for (const auto& [name, program] : state.programs) {
        ++counts.total;
        const bool oneshot = program.spec.type == config::Type::oneshot;
        using Place = std::size_t Counts::*;
        const Place place = std::visit(
            overloaded{
                [](const Stopped&) -> Place { return &Counts::down; },
                [&](const Starting&) -> Place { return oneshot ? &Counts::up : &Counts::waiting; },
                [](const Running&) -> Place { return &Counts::up; },
                [&](const Stopping&) -> Place { return program.goal == Goal::up ? &Counts::waiting : &Counts::down; },
                [](const Backoff&) -> Place { return &Counts::waiting; },
                [&](const Completed&) -> Place { return oneshot ? &Counts::up : &Counts::down; },
                [](const Failed&) -> Place { return &Counts::failed; },
            },
            program.phase);
        ++(counts.*place);
    }
    return counts;
}

} // namespace keepd::core
