// The child between clone and exec. It may run in the parent's memory while the parent's other threads go on, so:
// raw system calls only; no allocation, no lock, no errno, no thread-local, no exception, no libc function, and no
// instrumentation of sanitizers or the stack protector (see meson.build). It ends in execve or exit_group.
// child.cpp has the order of the steps; the sources child_*.cpp have the longer ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fcntl.h>

#include "lib/exec/child_plan.hpp"
#include "lib/exec/raw_syscall.hpp"

namespace keep::exec::child {

inline constexpr int exit_code_of_failure = 253; // Go's; nobody sees it: the parent reaps who reported a failure
inline constexpr unsigned no_descriptor_above = ~0U;
inline constexpr std::size_t no_index = ~std::size_t{0};
inline constexpr std::size_t kernel_sigset_size = 8;

template <typename Pointer>
long as_long(Pointer* pointer) {
    return reinterpret_cast<long>(pointer);
}

[[noreturn]] inline void give_up(const ChildPlan& plan, Step step, long result, std::size_t index = no_index) {
    volatile ChildReport& report = *plan.report;
    report.code = static_cast<int>(-result);
    report.index = index;
    report.step = step;
    for (;;)
        raw_syscall(SYS_exit_group, exit_code_of_failure);
}

inline void check(const ChildPlan& plan, Step step, long result, std::size_t index = no_index) {
    if (result < 0) give_up(plan, step, result, index);
}

inline long open_file(const char* path, int flags) {
    return raw_syscall(SYS_openat, AT_FDCWD, as_long(path), flags | O_CLOEXEC);
}

// Opens, writes, closes.
void write_file(const ChildPlan& plan, Step step, const char* path, const ProcText& text);

// child_descriptors.cpp
void leave_parents_table(const ChildPlan& plan);
struct NullDevice { // those that the plan wants opened here; else -1
    long reading = -1;
    long writing = -1;
};
NullDevice open_null_device(const ChildPlan& plan);
void place_descriptors(const ChildPlan& plan, const NullDevice& null_device);
void close_others_now(const ChildPlan& plan);

// child_identity.cpp
void await_id_maps(const ChildPlan& plan);
void enter_namespaces(const ChildPlan& plan);
void shrink_bounding_set(const ChildPlan& plan);
void change_credential(const ChildPlan& plan);
void raise_ambient_capabilities(const ChildPlan& plan);

} // namespace keep::exec::child
