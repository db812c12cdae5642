// What the child has to do, laid out by the parent beforehand so that the child needs no memory, no lock and no
// decision. Plain data: pointers into the SpawnSpec, which outlives the child's use of it (CLONE_VFORK).
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/resource.h>
#include <sys/types.h>

#include "lib/exec/spawn.hpp"

namespace keep::exec {

// One dup: the child's `to` becomes the parent's `from`. Equal numbers: the descriptor stays, without close-on-exec.
struct FdMove {
    int from;
    int to;
};

// Written by a child that fails; read by the parent after the clone has returned. `none` means: it came to the exec.
struct ChildReport {
    Step step = Step::none;
    int code = 0;
    std::size_t index = 0; // which limit, which descriptor
};

struct ChildPlan {
    // Where the child writes its failure: shared memory on every rung.
    ChildReport* report;
    pid_t parent; // with parent_death_signal: to notice that it died before parent_death_signal was set

    int join_cgroup_fd; // -1, or a cgroup directory to join by hand (where the clone could not do it)
    bool new_session;
    bool new_group;
    const int* nice;            // null: leave
    const char* oom_score_text; // null: leave; the digits to write
    std::size_t oom_score_length;
    const Limit* limits;
    std::size_t limit_count;
    bool no_new_privileges;
    const Credentials* credentials; // null: leave
    const gid_t* groups;
    std::size_t group_count;
    int parent_death_signal; // 0: none
    const mode_t* umask;     // null: leave
    const char* dir;         // null: leave

    unsigned needed_below; // every source of a move, exec_fd and join_cgroup_fd is a lower number

    // In an order that never overwrites a descriptor that is still to be copied.
    const FdMove* moves;
    std::size_t move_count;
    // The numbers from 3 on that stay open, ascending.
    const int* kept;
    std::size_t kept_count;

    std::uint64_t signals_to_reset; // bit N-1: signal N gets its default disposition

    int exec_fd; // -1: by path
    const char* path;
    char* const* argv;
    char* const* envp;
};

// Carries the plan out. Runs between clone and exec, in memory that it may share with the parent: see child.cpp. Takes
// a ChildPlan*, as a ChildEntry of clone.hpp. Never returns.
int child_entry(void* plan);

} // namespace keep::exec
