#include "daemon/core/restart_policy.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>

namespace keepd::core {

namespace {

// A spawn that fails at once must not be tried again within the same turn of the loop, however short restart.delay
// is: a machine that is out of processes would be held there.
constexpr Duration shortest_after_spawn_error = std::chrono::milliseconds(100);

bool matches(const std::vector<config::ExitMatch>& list, const ExitStatus& status) {
    return std::ranges::any_of(list, [&](const config::ExitMatch& match) {
        switch (match.kind) {
        case config::ExitMatch::Kind::code:
            return status.kind == ExitStatus::Kind::exited && status.value == match.value;
        case config::ExitMatch::Kind::signal:
            return status.kind == ExitStatus::Kind::signaled && status.value == match.value;
        }
        return false;
    });
}

bool wants_restart(const config::Restart& restart, const Ending& ending) {
    if (ending.status) {
        if (matches(restart.prevent_exit_codes, *ending.status)) return false;
        if (matches(restart.force_exit_codes, *ending.status)) return true;
    }
    const bool by_code = ending.status && ending.status->kind == ExitStatus::Kind::exited;
    switch (restart.policy) {
    case config::RestartPolicy::no: return false;
    case config::RestartPolicy::always: return true;
    case config::RestartPolicy::on_failure: return !is_clean(restart, ending);
    case config::RestartPolicy::on_abnormal: return !is_clean(restart, ending) && !by_code;
    }
    return false;
}

// Would a start at `at` be one too many for the window that ends with it?
bool limit_reached(const config::Restart& restart, const Retry& retry, Time at) {
    if (restart.start_limit_burst <= 0) return false;
    const Time window_begin = at - restart.start_limit_interval;
    const auto inside = std::ranges::count_if(retry.starts, [&](Time start) { return start > window_begin; });
    return inside >= restart.start_limit_burst;
}

Why limit_why(const config::Restart& restart, const Why& last) {
    const int burst = restart.start_limit_burst;
    return {Cause::start_limit, last.detail + ", after " + std::to_string(burst) + " automatic " +
                                    (burst == 1 ? "start" : "starts") + " within " +
                                    keep::to_human(restart.start_limit_interval)};
}

} // namespace

Ending ending_of_exit(RunId run, const ExitStatus& status, Duration uptime) {
    const Cause cause = status.kind == ExitStatus::Kind::signaled ? Cause::signal : Cause::exit;
    const std::string how = status.kind == ExitStatus::Kind::unknown ? "unknown exit" : to_text(status);
    return {run, status, uptime, {cause, how + " after " + keep::to_human(uptime)}};
}

Ending ending_of_failed_spawn(RunId run, const std::string& message) {
    return {run, std::nullopt, Duration{}, {Cause::spawn_error, message}};
}

bool is_clean(const config::Restart& restart, const Ending& ending) {
    return ending.status && matches(restart.success_exit_codes, *ending.status);
}

Verdict judge(const Program& program, const Ending& ending, Time now, std::uint64_t seed) {
    const config::Restart& restart = program.spec.restart;
    const bool clean = is_clean(restart, ending);
    Verdict verdict;
    verdict.retry = program.retry;
    verdict.why = ending.why;
    if (ending.uptime >= restart.reset_after && ending.status) verdict.retry = {};

    if (!wants_restart(restart, ending)) {
        verdict.kind = clean ? Verdict::Kind::complete : Verdict::Kind::give_up;
        return verdict;
    }

    int& failures = verdict.retry.failures;
    if (clean)
        failures = 0;
    else if (failures < std::numeric_limits<int>::max())
        ++failures;

    const auto delay = [&] { return restart_delay(program.spec, verdict.retry, ending.why.cause, ending.run, seed); };
    verdict.delay = delay();
    if (verdict.retry.slow || !limit_reached(restart, verdict.retry, now + verdict.delay)) return verdict;

    switch (restart.start_limit_action) {
    case config::StartLimitAction::slow:
        verdict.retry.slow = true;
        verdict.delay = delay();
        return verdict;
    case config::StartLimitAction::shutdown: verdict.shut_down = true; [[fallthrough]];
    case config::StartLimitAction::fail:
        verdict.kind = Verdict::Kind::give_up;
        verdict.why = limit_why(restart, ending.why);
        return verdict;
    }
    return verdict;
}

Duration restart_delay(const config::Program& spec, const Retry& retry, Cause cause, RunId run, std::uint64_t seed) {
    const Duration delay =
        retry.slow ? spec.restart.slow_delay
                   : backoff_delay(spec.restart, std::max(retry.failures, 1), jitter_draw(seed, spec.name, run));
    return cause == Cause::spawn_error ? std::max(delay, shortest_after_spawn_error) : delay;
}

Duration backoff_delay(const config::Restart& restart, int failures, double draw) {
    if (restart.delay <= Duration::zero()) return Duration::zero();
    // In doubles the growth overflows to infinity, which the cap turns back into a duration.
    const double grown = static_cast<double>(restart.delay.count()) * std::pow(restart.backoff_factor, failures - 1);
    const double cap = static_cast<double>(restart.max_delay.count());
    const double with_jitter = std::min(grown, cap) * (1.0 + restart.jitter * draw);
    // Half of all time leaves room for `now + delay`.
    constexpr Duration longest = Duration::max() / 2;
    if (with_jitter >= static_cast<double>(longest.count())) return longest;
    return Duration(static_cast<Duration::rep>(with_jitter));
}

double jitter_draw(std::uint64_t seed, const std::string& name, RunId run) {
    std::uint64_t hash = 0xcbf29ce484222325U; // FNV-1a of the name, then the finalizer of splitmix64
    for (const char letter : name)
        hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3U;
    hash += seed + run.value * 0x9e3779b97f4a7c15U;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9U;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebU;
    hash ^= hash >> 31;
    return static_cast<double>(hash >> 11) * 0x1p-53;
}

void remember_start(Retry& retry, const config::Restart& restart, Time now) {
    if (restart.start_limit_burst <= 0) {
        retry.starts.clear();
        return;
    }
    retry.starts.push_back(now);
    const auto most = static_cast<std::size_t>(restart.start_limit_burst);
    const Time window_begin = now - restart.start_limit_interval;
    // The one that has just happened stays, however short the window.
    const auto last = std::prev(retry.starts.end());
    auto kept = std::find_if(retry.starts.begin(), last, [&](Time start) { return start > window_begin; });
    if (static_cast<std::size_t>(retry.starts.end() - kept) > most)
        kept = retry.starts.end() - restart.start_limit_burst;
    retry.starts.erase(retry.starts.begin(), kept);
}

} // namespace keepd::core
