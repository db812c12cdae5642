// The ladder of ways to make a child, best first. Internal: spawn() chooses; tests force each.
#pragma once

#include <expected>

#include "lib/exec/spawn.hpp"

namespace keep::exec {

enum class Rung {
    automatic,
    shared,          // A: clone3, memory shared with the child, born in its cgroup
    shared_classic,  // B: clone(): where clone3 is unknown or refused (old kernels; seccomp filters of containers)
    private_,        // C: clone3 without shared memory: a set*id in a child that shares the memory would clear our
                     //    dumpable flag (no more core dumps, /proc entries owned by root)
    private_classic, // C without clone3
};

// As spawn(), on that rung or not at all.
std::expected<Process, SpawnError> spawn_on(Rung rung, const SpawnSpec& spec);

} // namespace keep::exec
