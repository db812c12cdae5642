// From a SpawnSpec to a ChildPlan: everything that can be checked, computed or opened beforehand.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <sched.h>
#include <span>
#include <string>
#include <vector>

#include <keep/exec/spawn.hpp>
#include <keep/fd.hpp>

#include "lib/exec/child_plan.hpp"
#include "lib/exec/reserved.hpp"

namespace keep::exec {

// What the plan points to. Neither copied nor moved once prepare() has filled it; the spec must outlive it.
struct Preparation {
    ChildPlan plan;
    std::vector<char*> strings; // argv, null, env, null
    std::vector<FdMove> moves;
    std::vector<int> kept;
    std::vector<int> unmark;
    std::vector<Fd> copies;       // of sources that a move would have overwritten
    Stage stage;                  // of sources with high numbers
    std::optional<rlimit> nofile; // the original limit, where we have raised ours
    std::array<char, 16> oom_score{};
    std::vector<unsigned long> cpus;
    std::string uid_map;
    std::string gid_map;

    Preparation() = default;
    Preparation(const Preparation&) = delete;
    Preparation& operator=(const Preparation&) = delete;
};

// How a start is made, as far as the plan depends on it.
struct Manner {
    bool share_table = true;    // CLONE_FILES
    int joins_cgroup_fd = -1;   // by hand
    int handshake_fd = -1;      // the child's end
    bool parent_maps = false;   // the parent writes the id maps
    bool handlers_left = false; // the clone does not reset them
};

// Fills `into` for everything but report and mask. `env`: null-terminated, instead of the spec's.
// Errors: Step::prepare (EINVAL: a NUL in a string, a number out of range or given twice), Step::fds (a source is not
// open, no descriptor is left), and those of values that are refused beforehand.
Result<> prepare(const SpawnSpec& spec, const Manner& manner, char* const* env, Preparation& into);

// The text of an id map: "INSIDE OUTSIDE COUNT" lines.
std::string map_text(std::span<const IdMap> maps);

// The object of a failed step of the child: which limit, descriptor or directory.
std::string object_of(const SpawnSpec& spec, const Preparation& prepared, const ChildReport& report);

// A start that is refused at one of its steps.
std::unexpected<Error> refuse(const SpawnSpec& spec, Step step, int error_number, std::string_view object);

} // namespace keep::exec
