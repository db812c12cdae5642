// clone3(2) and clone(2) for a child that starts in a function on a stack of its own.
#pragma once

#include <cstdint>
#include <sys/types.h>

#include "lib/exec/child_stack.hpp"
#include "lib/exec/clone_stub.hpp"

namespace keep::exec {

inline constexpr std::uint64_t new_time = 0x80; // CLONE_NEWTIME, 5.6

// What is asked of the kernel.
struct CloneRequest {
    bool share_memory = true;     // CLONE_VM
    bool suspend = true;          // CLONE_VFORK: the caller waits until the child has executed or ended
    bool share_table = true;      // CLONE_FILES: the child must leave our table of descriptors first thing
    bool with_pidfd = true;       // CLONE_PIDFD
    std::uint64_t namespaces = 0; // CLONE_NEW*
    int cgroup_fd = -1;           // clone3 only: CLONE_INTO_CGROUP
};

struct Cloned {
    pid_t pid = 0; // or -errno
    int pidfd = -1;
};

// -ENOSYS on architectures that this build has no stub for (all but x86-64 and aarch64).
Cloned clone3(const CloneRequest& request, const ChildStack& stack, ChildEntry entry, void* argument);

// The older call. It cannot clear signal handlers nor choose the cgroup: the child does. -EINVAL for CLONE_NEWTIME,
// whose bit it takes for a part of the exit signal.
Cloned clone_classic(const CloneRequest& request, const ChildStack& stack, ChildEntry entry, void* argument);

} // namespace keep::exec
