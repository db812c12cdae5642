// The environment of a program: a function of its config, its env_files and keepd's original environment. Nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/plan.hpp"
#include "daemon/core/state.hpp"
#include "lib/base/error.hpp"

namespace keepd::host {

// Later ones win: inherited variables, HOME USER LOGNAME SHELL of `user`, env_file in their order, `environment`
// (null removes). The result is sorted by name.
//   original  "KEY=value" of keepd's first start
// Errors: an env_file that must be there can't be read, or a line of one makes no sense (named with its number).
keep::Result<std::vector<std::string>> environment_of(const config::Program& program,
                                                      const std::vector<std::string>& original);

// What a run carries in its environment where there is no cgroup to know it by: "KEEPD_RUN=17-0f5c...". `instance`
// tells this keepd from others of the host.
std::string run_mark(core::RunId run, std::uint64_t instance);

// One env_file's assignments in order: KEY=value lines; empty lines and those that start with # or ; are skipped;
// a value may stand in one pair of double or single quotes; "export " before KEY is allowed. Nothing is expanded.
keep::Result<std::vector<std::pair<std::string, std::string>>> parse_env_file(std::string_view text);

} // namespace keepd::host
