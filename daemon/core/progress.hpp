// "Verbs that change something return when it is done and tell the truth": what a waiting client waits for, as data,
// so that the wait itself survives an upgrade.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/core/state.hpp"

namespace keepd::core {

struct Wish {
    enum class Kind : std::uint8_t {
        started,   // up (a oneshot: completed)
        stopped,   // no process left
        restarted, // up with a run newer than `after`
        removed,   // forgotten
        over       // keepd itself has stopped everything (shutdown)
    };
    Kind kind = Kind::started;
    std::string name;
    RunId after; // newest run when it was asked
    bool operator==(const Wish&) const = default;
};

struct Progress {
    enum class Verdict : std::uint8_t { pending, done, failed };
    Verdict verdict = Verdict::pending;
    std::string text; // failed: why; done: "running, pid 812"
};

Progress progress(const State&, const Wish&, Time now);

// The wishes that a reload leaves behind: what has to settle before it is done. `first`: the number of the first run
// that it can have started.
std::vector<Wish> wishes_of_reload(const State& after, RunId first);

} // namespace keepd::core
