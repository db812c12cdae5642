// clone3(2) and clone(2) for a child that starts in a function on a stack of its own.
#pragma once

#include <sys/types.h>

#include "lib/exec/child_stack.hpp"
#include "lib/exec/clone_stub.hpp"

namespace keep::exec {

// What is asked of the kernel. The caller is suspended until the child has executed or ended (CLONE_VFORK). The child
// begins with our table of descriptors itself, not a copy (CLONE_FILES): its first act must be to leave it.
struct CloneRequest {
    bool share_memory = true; // CLONE_VM
    int cgroup_fd = -1;       // clone3 only: CLONE_INTO_CGROUP
};

struct Cloned {
    pid_t pid = 0; // or -errno
    int pidfd = -1;
};

// -ENOSYS on architectures that this build has no stub for (all but x86-64 and aarch64).
Cloned clone3(const CloneRequest& request, const ChildStack& stack, ChildEntry entry, void* argument);

// The older call. It cannot clear signal handlers nor choose the cgroup: the child does.
Cloned clone_classic(const CloneRequest& request, const ChildStack& stack, ChildEntry entry, void* argument);

} // namespace keep::exec
