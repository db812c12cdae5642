// The stack on which a child runs until its exec. One per thread, made at its first spawn and kept: a thread has at
// most one child before its exec (CLONE_VFORK suspends it), and mmap on each spawn costs more than the memory.
#pragma once

#include <cstddef>

#include "lib/base/error.hpp"

namespace keep::exec {

struct ChildStack {
    void* lowest = nullptr; // above the guard page
    std::size_t size = 0;
    void* top() const { return static_cast<char*>(lowest) + size; }
};

// The calling thread's. Unmapped when the thread ends.
keep::Result<ChildStack> child_stack();

} // namespace keep::exec
