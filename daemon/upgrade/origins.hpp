// What the first image was given by whoever started keepd. It travels through every upgrade: what programs get of it is
// a function of the config and of that start, whatever has happened to keepd itself since.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/plan.hpp"

namespace keepd::upgrade {

// What a child has of its parent unless it is told otherwise, and what somebody outside can change in a parent that
// runs: prlimit(1), renice(1), choom(1), taskset(1).
struct Attributes {
    std::map<std::string, config::Limit> limits; // all there are, by lower-case name
    std::optional<int> nice;                     // nothing: it could not be asked for
    std::optional<int> oom_score_adjust;
    std::vector<int> cpus; // empty: every CPU that the control group has, also those that it gets later
    bool operator==(const Attributes&) const = default;
};

struct Origins {
    std::vector<std::string> environment; // "KEY=value", LISTEN_* included
    Attributes attributes;
    bool operator==(const Origins&) const = default;
};

} // namespace keepd::upgrade
