// What a config names that only this host can tell to be unusable: keepd's own socket and log. Asked before a plan is
// applied, so that a reload is refused as a whole and status goes on telling what is.
#pragma once

#include <vector>

#include "config/load.hpp"

namespace keepd::host {

// Faults of what `next` changes against `now`; nothing is made or opened for good.
std::vector<config::Fault> find_unusable(const config::Daemon& now, const config::Daemon& next);

} // namespace keepd::host
