// Replies of the other verbs, for people. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "daemon/ctl/table.hpp"

namespace keepd::ctl {

// Of Start, Stop, Restart, Signal: a line each; of a failure only those that did well, where asked so.
std::string results_text(const nlohmann::json& reply, bool only_good = false);
std::string plan_text(const nlohmann::json& reply);               // of Reload: what it does or did, and why
std::string upgrade_text(const nlohmann::json& reply);            // of Upgrade: one line
std::string event_text(const nlohmann::json& event, const Look&); // one notice: one line

} // namespace keepd::ctl
