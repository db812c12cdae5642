// One try of a spawn, on one rung.
#pragma once

#include <cstdint>

#include "lib/exec/rung.hpp"

namespace keep::exec {

// No handler may run in a child that shares our memory. By raw call: libc would leave its own two signals unblocked.
class AllSignalsBlocked {
  public:
    AllSignalsBlocked();
    ~AllSignalsBlocked();
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
    std::uint64_t former() const { return former_; } // the mask that comes back; bit N-1: signal N

  private:
    std::uint64_t former_ = 0;
};

Result<Process> attempt(Rung rung, const SpawnSpec& spec, char* const* env);

} // namespace keep::exec
