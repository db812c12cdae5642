// The `stop` block of a program.
#pragma once

#include "config/object.hpp"
#include "config/plan.hpp"

namespace keepd::config {

// `sequence` replaces `signal` and `timeout`: both in one object are a fault; otherwise the nearer of the program's
// own and that of `defaults` wins.
void read_stop(Reader&, const Slot&, Stop&);

// The block's keys, for suggestions.
std::span<const std::string_view> stop_keys();

} // namespace keepd::config
