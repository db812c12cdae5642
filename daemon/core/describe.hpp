// The words of a state, for status, log and events. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/state.hpp"

namespace keepd::core {

std::string_view state_word(const Program&);                     // VOCABULARY's word
std::string_view cause_word(Cause);                              // "" for none
int pid_of(const Program&);                                      // 0: none
std::optional<Duration> uptime(const Program&, Time now);        // of a live run
std::optional<Duration> next_start_in(const Program&, Time now); // in backoff

// One line on why the program is where it is and what comes next: "exit 1 after 0.3 s, next start in 4 s (failure 6)".
std::string explain(const Program&, Time now);

struct Counts {
    std::size_t total = 0, up = 0, waiting = 0, failed = 0,
                down = 0; // up: running, or a oneshot under way or completed
};
Counts count(const State&);

} // namespace keepd::core
