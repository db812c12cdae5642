// The processes that exist now: one Run for each live run of the State. A cache; all of it can be rebuilt from the
// State and the carried pidfds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <keep/exec/spawn.hpp>

#include "config/plan.hpp"
#include "daemon/core/state.hpp"
#include "daemon/host/foster.hpp"
#include "lib/sys/fd.hpp"
#include "systemd/loop.hpp"

namespace keepd::host {

// A process of a run's tree beside the main one, held where there is no cgroup to hold the tree.
struct Member {
    keep::exec::Process process;
    systemd::Source gone; // readable when it has ended
};

struct Run {
    std::string program;
    core::RunId id;
    keep::exec::Process process;    // the main one
    bool reaped = false;            // the main one has been waited for: its number may be a stranger's
    std::unique_ptr<Foster> foster; // not our child: it was a keepd's that was killed
    std::string cgroup;             // directory; empty: only its process group is watched
    config::KillMode scope = config::KillMode::tree;

    std::vector<Member> members; // without a cgroup: descendants seen when it was told to stop, and leftovers
    keep::sys::Fd events;        // with a cgroup: cgroup.events while leftovers are awaited
    systemd::Source emptied;
};

class Runs {
  public:
    Run& add(std::unique_ptr<Run> run);
    Run* by_id(core::RunId id);
    Run* by_pid(int pid); // of a main process that is not reaped
    void mark_reaped(Run& run);
    void erase(core::RunId id);
    std::size_t size() const { return by_id_.size(); }

    template <typename F>
    void each(F&& f) const {
        for (const auto& [id, run] : by_id_)
            f(*run);
    }

  private:
    std::unordered_map<std::uint64_t, std::unique_ptr<Run>> by_id_;
    std::unordered_map<int, Run*> by_pid_;
};

} // namespace keepd::host
