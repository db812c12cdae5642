// From a SpawnSpec to a ChildPlan: everything that can be checked, computed or opened beforehand.
#pragma once

#include <array>
#include <expected>
#include <string>
#include <vector>

#include "lib/exec/child_plan.hpp"
#include "lib/sys/fd.hpp"

namespace keep::exec {

// What the plan points to. Neither copied nor moved once prepare() has filled it; the spec must outlive it.
struct Preparation {
    ChildPlan plan{};
    std::vector<char*> strings; // argv, null, env, null
    std::vector<FdMove> moves;
    std::vector<int> kept;
    std::vector<sys::Fd> staged; // copies of sources that a move would have overwritten
    std::array<char, 16> oom_score{};

    Preparation() = default;
    Preparation(const Preparation&) = delete;
    Preparation& operator=(const Preparation&) = delete;
};

// Fills `into` for everything but report, join_cgroup_fd (and its share in needed_below) and signals_to_reset, which
// belong to a rung. Errors: prepare (EINVAL: a NUL in a string, a descriptor's number below 3 or given twice), fds (a
// source is not open, no descriptor is left).
std::expected<void, SpawnError> prepare(const SpawnSpec& spec, Preparation& into);

// Builds the error that spawn() returns: "start 'PATH': STEP OBJECT: CAUSE".
SpawnError spawn_error(const SpawnSpec& spec, Step step, int code, std::string_view object = {});

// The object of a failed step of the child: which limit, descriptor or directory.
std::string object_of(const SpawnSpec& spec, const Preparation& prepared, const ChildReport& report);

} // namespace keep::exec
