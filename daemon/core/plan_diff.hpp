// A reload is a plan: computed first, shown with a reason for each field, then applied by the same code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/plan.hpp"
#include "daemon/core/state.hpp"

namespace keepd::core {

// What a change of a field does (column R of the manual).
enum class Reach : std::uint8_t {
    live,       // applied at once
    next_start, // of the program; for keepd's own settings: of keepd
    restart     // restarts the program
};

struct FieldChange {
    std::string field; // as in the config: "restart.delay", "stdout.path"
    Reach reach = Reach::live;
    std::string from, to; // for people; JSON-like values
    bool operator==(const FieldChange&) const = default;
};

struct ProgramChange {
    enum class Kind : std::uint8_t { add, remove, change };
    std::string name;
    Kind kind = Kind::change;
    std::vector<FieldChange> fields; // of a change
    bool restarts() const;           // any field reaches that far
    bool operator==(const ProgramChange&) const = default;
};

struct PlanDiff {
    std::vector<ProgramChange> programs; // by name; untouched ones are not listed
    std::vector<FieldChange> daemon;
    std::size_t untouched = 0;
    bool empty() const { return programs.empty() && daemon.empty(); }
    bool operator==(const PlanDiff&) const = default;
};

PlanDiff diff(const State& state, const config::Plan& next);

// Lines for people: "web: restart (command: [\"a\"] -> [\"b\"])".
std::vector<std::string> describe(const PlanDiff&, const State& state);

} // namespace keepd::core
