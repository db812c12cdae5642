// What the child has to do, laid out by the parent beforehand so that the child needs no memory, no lock and no
// decision. Plain data: pointers into the SpawnSpec and the Preparation, which outlive the child's use of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

#include <keep/exec/error.hpp>
#include <keep/exec/sys_proc_attr.hpp>

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
    std::size_t index = 0; // which limit, descriptor or capability
};

// A text for one of the child's files in /proc.
struct ProcText {
    const char* text = nullptr; // null: nothing to write
    std::size_t length = 0;
};

struct ChildPlan {
    ChildReport* report = nullptr; // shared memory on every rung
    pid_t parent = 0;              // to notice that it died before pdeathsig was set

    int handshake_fd = -1;     // >= 0: wait here for the parent's word on the id maps (an errno, 0: go on)
    bool leaves_table = false; // born with the parent's table of descriptors itself (CLONE_FILES)
    unsigned needed_below = 0; // every number of the parent's that is used here is lower
    int join_cgroup_fd = -1;   // a cgroup directory to join by hand, where the clone could not do it

    bool keep_capabilities = false;
    bool setsid = false;
    bool setpgid = false;
    pid_t pgid = 0;
    int foreground_fd = -1; // a terminal
    int unshare_flags = 0;
    bool private_mounts = false;
    ProcText uid_map, setgroups, gid_map; // of a user namespace that unshare() made
    const int* nice = nullptr;            // null: leave
    int io_priority = -1;                 // -1: leave; else as ioprio_set(2) wants it
    const void* cpu_set = nullptr;
    std::size_t cpu_set_size = 0;
    ProcText oom_score;
    const char* chroot = nullptr;
    const Limit* limits = nullptr;
    std::size_t limit_count = 0;
    bool limits_last = false;       // nothing is lost by setting them behind the descriptors
    bool descriptors_first = false; // a limit that has to be set early is lower than their numbers
    const rlimit* nofile = nullptr; // null: leave; else set behind the descriptors, whose numbers may be above it
    const std::uint64_t* bounding_set = nullptr;
    bool no_new_privileges = false;
    const Credential* credential = nullptr;
    bool set_groups = true;
    const gid_t* groups = nullptr;
    std::size_t group_count = 0;
    const int* ambient_caps = nullptr;
    std::size_t ambient_count = 0;
    const char* dir = nullptr; // null: leave
    int pdeathsig = 0;
    const mode_t* umask = nullptr;

    unsigned null_for = 0;         // bit N: number N (0 to 2) becomes a /dev/null that the child opens itself
    unsigned closed = 0;           // bit N: number N (0 to 2) is closed
    const FdMove* moves = nullptr; // in any order: no source is overwritten
    std::size_t move_count = 0;
    const int* kept = nullptr; // the numbers from 3 on that stay open, ascending
    std::size_t kept_count = 0;
    const int* unmark = nullptr; // of those: whose close-on-exec is cleared if they are open
    std::size_t unmark_count = 0;
    bool close_others = true;

    bool noctty = false;
    int ctty = -1; // >= 0: TIOCSCTTY
    bool ptrace = false;

    bool handlers_left = false;   // the clone has not reset them
    std::uint64_t to_default = 0; // bit N-1: signal N gets its default action though it is ignored
    std::uint64_t mask = 0;       // blocked at the exec

    bool retry_text_busy = true;
    int exec_fd = -1; // -1: by path
    const char* path = nullptr;
    char* const* argv = nullptr;
    char* const* envp = nullptr;
};

// Carries the plan out. Runs between clone and exec, in memory that it may share with the parent: see child.cpp. Takes
// a ChildPlan*, as a ChildEntry of clone.hpp. Never returns.
int child_entry(void* plan);

// Writes 1 into the int that it is given, and ends: whether the parent sees that tells whether memory is shared.
int probe_entry(void* word);

} // namespace keep::exec
