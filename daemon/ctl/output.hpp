// How verbs print, and how they tell of failures: for people or as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "daemon/ctl/verbs.hpp"

namespace keepd::ctl {

void print(std::string_view text); // to stdout, flushed
void print_json(const nlohmann::json&);

// The reason on stderr; with --json also {"error", "message", "parameters"} on stdout. Returns its exit code.
ExitCode report(const Common&, const CallError&);

} // namespace keepd::ctl
