// Each step of a start that can be made to fail, made to fail.
#pragma once

#include <optional>
#include <vector>

#include "tests/exec/attributes.hpp"

namespace keep::test {

struct Fault {
    exec::Step step;
    int error_number;
    void (*ask)(exec::SpawnSpec&) = nullptr; // for the step, and where nothing is refused, for what cannot be done
    std::optional<RefusedCall> refusal;      // by a seccomp filter, where root could do all that can be asked for
};

// In the order of the steps. The errno of a refused call is one that nothing else yields. Foreground and setctty
// exclude each other: who combines faults leaves one of the two out.
std::vector<Fault> every_fault();

// What the faults are put into: another user's program with an ambient capability, so that all of those steps are
// taken.
exec::SpawnSpec faultless();

// For the body of in_fork(): the outcome of a start with all of these at once.
std::string outcome_with(const std::vector<Fault>& faults);

} // namespace keep::test
