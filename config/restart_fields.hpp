// The `restart` block of a program.
#pragma once

#include "config/object.hpp"
#include "config/plan.hpp"

namespace keepd::config {

// `policy_at` becomes the place of `policy`, if it is given.
void read_restart(Reader&, const Slot&, Restart&, Slot& policy_at);

// The block's keys, for suggestions.
std::span<const std::string_view> restart_keys();

} // namespace keepd::config
