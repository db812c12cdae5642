// keepd's own end: every program down within shutdown_timeout, SIGKILL for the rest, and the names of those that even
// that did not end.
#pragma once

#include <string>

#include "daemon/core/turn.hpp"

namespace keepd::core {

bool serving(const State& state);

// Somebody asked: the first time orderly, the second time at once. Waits for the end of an upgrade.
void ask_shutdown(Turn& turn, const std::string& by);

// The orderly part; nothing if it has begun already. During an upgrade it is put off. `by`: who wanted it.
void begin_shutdown(Turn& turn, const std::string& by);

// The deadline may have passed.
void shutdown_due(Turn& turn);

// To be called after every event: the last program may be gone.
void end_if_all_gone(Turn& turn);

} // namespace keepd::core
