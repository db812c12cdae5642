// The first steps of a child on a new stack: no C++ function can return there, so they are assembly.
// Both return the child's pid or -errno in the parent; the child calls `entry(argument)`, which must not return.
#pragma once

#include <cstddef>

#include <linux/sched.h>

namespace keep::exec {

using ChildEntry = int (*)(void*); // must not return

} // namespace keep::exec

#if defined(__x86_64__) || defined(__aarch64__)
#define KEEP_EXEC_HAS_CLONE_STUBS 1
// clone3(2); glibc exports none, and syscall(2) cannot return on a new stack.
extern "C" long keep_exec_clone3(clone_args* args, std::size_t size, keep::exec::ChildEntry entry, void* argument);
// clone(2) with CLONE_PIDFD. Not libc's: sanitizers intercept that and take the shared child for a fork of theirs.
extern "C" long keep_exec_clone(unsigned long flags, void* stack_top, int* pidfd, keep::exec::ChildEntry entry,
                                void* argument);
#else
#define KEEP_EXEC_HAS_CLONE_STUBS 0
#endif
