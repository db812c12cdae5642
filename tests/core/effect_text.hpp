// Effects and phases as short lines, for stories and for comparing two runs of the same history.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/step.hpp"

namespace keepd::core::test {

std::string run_text(const std::string& name, RunId run); // "web#3"
std::string time_text(Time at);                           // "6s", since the story's begin
std::string phase_text(const Program& program);           // "backoff until 6s"
std::string action_text(const Action& action);            // "SIGTERM web#3 (tree)"

} // namespace keepd::core::test
