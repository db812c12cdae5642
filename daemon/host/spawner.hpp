// From a program's spec to a process: nothing of keepd leaks into it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "config/plan.hpp"
#include "daemon/host/heritage.hpp"
#include "daemon/host/runs.hpp"
#include "daemon/host/trees.hpp"
#include "daemon/logs/pump.hpp"
#include "lib/base/error.hpp"

namespace keepd::host {

// Ids of a program's streams with the pump.
std::string stdout_id(const std::string& program);
std::string stderr_id(const std::string& program);

// Where a stream's bytes go, for the pump; of an output that is a file.
logs::Target target_of(const config::Output& output);

// Makes the pump's streams be as the spec says: opens or retargets files, closes what is not used any more.
// Errors: no descriptor left for a pipe; the program can't be started then.
keep::Result<> arrange_streams(logs::Pump& pump, const config::Program& program);
void drop_streams(logs::Pump& pump, const std::string& program);

// Starts run `id` of `program`, whose streams are arranged. `instance`: see run_mark(). The error is complete and names
// the failing step.
keep::Result<std::unique_ptr<Run>> start(const config::Program& program, core::RunId id, Heritage& heritage,
                                         keep::Time now, std::uint64_t instance, Trees& trees, logs::Pump& pump);

} // namespace keepd::host
