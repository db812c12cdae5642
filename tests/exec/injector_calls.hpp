// What the injector knows of system calls: which it leaves alone, and which error is to be borne in which way.
#pragma once

#include <linux/seccomp.h>
#include <span>
#include <string>

namespace keep::test {

// Calls that no answer is made up for: they cannot fail as we ask, or the C library makes them for itself and ends the
// program if they do (futex, rseq). In builds with sanitizers, whose run-time checks its own mappings, memory calls
// too.
std::span<const long> untouched_calls();

// Whether `code` is injected into the call at all. Not where the kernel never says it and a caller could do nothing
// about it: a close(2) that fails but for EINTR, a wait that fails but for EINTR.
bool may_answer(const seccomp_data& call, int code);

// Whether the caller who got EINTR from it has to call again, and succeed.
bool is_retried(long call);

// Whether std::bad_alloc may be the consequence of its failure.
bool is_memory_call(long call);

std::string call_name(long call); // "openat"; the number, if it is not in our list

} // namespace keep::test
