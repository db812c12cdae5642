#include "daemon/core/exit_notice.hpp"

#include <utility>

namespace keepd::core {

std::size_t announce_exit(Turn& turn, const Program& program, const Ending& ending, bool ordered,
                          const std::string& consequence) {
    const bool calm = ordered || is_clean(program.spec.restart, ending);
    const std::size_t place =
        announce(turn, program, Notice::Kind::exited, calm ? Notice::Level::info : Notice::Level::warning,
                 "run " + std::to_string(ending.run.value) + " " + ending.why.detail + ", " + consequence);
    Notice& notice = std::get<Announce>(turn.effects.actions[place]).notice;
    notice.run = ending.run;
    notice.exit = ending.status;
    return place;
}

std::string consequence_of(const Verdict& verdict) {
    switch (verdict.kind) {
    case Verdict::Kind::complete: return "completed";
    case Verdict::Kind::give_up:
        return verdict.why.cause == Cause::start_limit ? "given up after too many starts" : "not restarted";
    case Verdict::Kind::restart: break;
    }
    std::string text =
        verdict.delay > Duration::zero() ? "next start in " + keep::to_human(verdict.delay) : "starting again";
    if (verdict.retry.failures > 0) text += " (failure " + std::to_string(verdict.retry.failures) + ")";
    if (verdict.retry.slow) text += ", slowly after too many starts";
    return text;
}

std::string consequence_of(Goal goal) {
    switch (goal) {
    case Goal::up: return "starting again";
    case Goal::down: return "stopped";
    case Goal::removed: return "removed";
    }
    return {};
}

} // namespace keepd::core
