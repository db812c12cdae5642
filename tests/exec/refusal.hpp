// Kernels and containers that lack a system call, or a flag of one: played by a seccomp filter.
#pragma once

#include <vector>

namespace keep::test {

struct Refusal {
    long call = 0;
    int code = 0;        // the errno that it gets
    int argument = -1;   // -1: always. Otherwise only if this argument, counted from 0,
    unsigned bits = 0;   // has one of these bits,
    unsigned unless = 0; // and none of these
};

// From now on, in this thread and in all that comes of it. False if the kernel has no such filters.
bool refuse(const std::vector<Refusal>& refusals);

} // namespace keep::test
