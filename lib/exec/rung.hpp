// The ladder of a spawn. automatic takes the best rung that the kernel, a seccomp filter and the spec allow; the others
// are for tests and for those who know.
#pragma once

#include <keep/exec/spawn.hpp>

namespace keep::exec {

enum class Rung {
    automatic,
    shared,          // A: clone3, memory shared with the child, born in its cgroup
    shared_classic,  // B: clone(): where clone3 is unknown or refused (old kernels; seccomp filters of containers)
    private_,        // C: clone3 without shared memory: a set*id in a child that shares the memory would clear our
                     //    dumpable flag (no more core dumps, /proc entries owned by root)
    private_classic, // C without clone3
    handshake, // D: the parent is not suspended: it writes the id maps of a new user namespace meanwhile, and sees
               //    the exec by the end of a socket. Also where VM and VFORK are not what they should be
               //    (user-mode emulators)
    handshake_classic, // D without clone3
    plain,             // E: D without CLONE_PIDFD; pidfd_open instead, which is safe before the child is reaped
};

// As spawn(), on that rung or not at all. `env`: null-terminated, instead of the spec's.
Result<Process> spawn_on(Rung rung, const SpawnSpec& spec, char* const* env = nullptr);

} // namespace keep::exec
