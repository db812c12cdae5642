// A config was read: the first one, or a reload's. The plan is computed (plan_diff), then carried out whole.
#pragma once

#include <string>

#include "daemon/core/turn.hpp"

namespace keepd::core {

void ask_reload(Turn& turn);
void load_plan(Turn& turn, const config::Plan& plan);
void refuse_plan(Turn& turn, const std::string& text);

} // namespace keepd::core
