// The fields in which two specs, or two sets of keepd's settings, differ: each with what its change does. Every field
// of the config is listed there exactly once; a new one fails to compile until it is.
#pragma once

#include <vector>

#include "daemon/core/plan_diff.hpp"

namespace keepd::core {

// In the order of the fields in config/plan.hpp. Empty if, and only if, they are equal.
std::vector<FieldChange> changed_fields(const config::Program& from, const config::Program& to);
std::vector<FieldChange> changed_fields(const config::Daemon& from, const config::Daemon& to);

} // namespace keepd::core
