// State as the JSON that clients see. Pure; the shapes are those of io.keepd.Manager.varlink.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "daemon/control/port.hpp"
#include "daemon/control/server.hpp"
#include "daemon/core/action.hpp"
#include "daemon/core/plan_diff.hpp"

namespace keepd::control {

nlohmann::json daemon_view(const core::State&, const core::Now&, const Identity&, const std::string& process_trees);

// usage: nothing where it was not asked for or there is no process.
nlohmann::json program_view(const core::Program&, const core::Now&, const std::optional<Usage>&,
                            const std::map<std::string, logs::StreamStatus>& log_status);

// The two streams of a program.
nlohmann::json log_files_view(const core::Program&);

nlohmann::json exit_view(const std::optional<keep::ExitStatus>&); // null: has not ended yet
nlohmann::json notice_view(const core::Notice&);
nlohmann::json plan_view(const core::PlanDiff&, const core::State& before);
// In the place of a plan that is not made yet, or was made while nobody kept its details.
nlohmann::json later_plan(const std::string& text);
nlohmann::json results_view(std::span<const Settled>);

} // namespace keepd::control
