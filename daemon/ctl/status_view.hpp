// `keepctl status` for people: from the reply of Status to text. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "daemon/ctl/table.hpp"

namespace keepd::ctl {

// Lines about keepd itself, and a table of the programs.
std::string status_table(const nlohmann::json& reply, const Look&);
// Everything about each program, in paragraphs.
std::string status_details(const nlohmann::json& reply, const Look&);

// The programs in the order people expect.
nlohmann::json in_natural_order(const nlohmann::json& programs);

// "exit 1", "SIGKILL", "SIGSEGV (core)", "unknown", "-" of an `exit` member.
std::string exit_text(const nlohmann::json& exit);

} // namespace keepd::ctl
