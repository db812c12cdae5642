// Whether an ended run is followed by another, and when: restart.* of the config as pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/core/state.hpp"

namespace keepd::core {

// How a run came to its end.
struct Ending {
    RunId run;
    std::optional<ExitStatus> status; // nothing: its process never came to be
    Duration uptime{};
    Why why; // the cause and its detail: "exit 1 after 0.3 s"
};

// What follows.
struct Verdict {
    enum class Kind : std::uint8_t { restart, complete, give_up };
    Kind kind = Kind::restart;
    Duration delay{};       // of a restart; zero: at once
    Retry retry;            // the memory of restarts from now on
    Why why;                // of the phase that follows
    bool shut_down = false; // give_up: keepd is to end as well
};

Ending ending_of_exit(RunId run, const ExitStatus& status, Duration uptime);
Ending ending_of_failed_spawn(RunId run, const std::string& message);

// Ended as it should: the status is one of success_exit_codes. An unknown status never is.
bool is_clean(const config::Restart& restart, const Ending& ending);

// `seed` is the daemon's: the jitter is a function of it, of the program's name and of the run.
Verdict judge(const Program& program, const Ending& ending, Time now, std::uint64_t seed);

// The pause before the start that follows the program's newest run, by its retry and its spec as they are now.
Duration restart_delay(const config::Program& spec, const Retry& retry, Cause cause, RunId run, std::uint64_t seed);

// delay * factor^(failures - 1), at most max_delay, plus jitter. `draw` is in [0, 1); failures >= 1.
Duration backoff_delay(const config::Restart& restart, int failures, double draw);

// A number in [0, 1), the same for the same arguments on every machine.
double jitter_draw(std::uint64_t seed, const std::string& name, RunId run);

// Takes an automatic start at `now` into the sliding window. Holds at most start_limit_burst entries.
void remember_start(Retry& retry, const config::Restart& restart, Time now);

} // namespace keepd::core
