// A run and all that descends from it. Where keepd has a cgroup of its own each run is born into one named by its
// RunId, which nothing can leave: it is signalled, killed and seen empty as a whole. Elsewhere only the session, the
// process group and the descendants known at the stop can be watched, and status says so.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/host/runs.hpp"
#include "lib/base/error.hpp"

namespace keepd::host {

class Trees {
  public:
    // Looks for a cgroup of keepd's own, at its first start; kills what an earlier keepd left in it.
    // `why_not` says why there is none to use.
    static Trees detect(std::string& why_not);
    // The same after a crash: what is in `former` (a cgroup directory) is claimed still. Without it nothing is found.
    static Trees adopt(const std::string& former, std::string& why_not);
    // With the cgroup that an earlier image found ("": none).
    explicit Trees(std::string root = {}) : root_(std::move(root)) {}

    const std::string& root() const { return root_; }
    std::string description() const { return root_.empty() ? "process group" : "cgroup"; }

    // After a crash: the process that leads run `run`, which lives in its cgroup; what else came of a spawn that was
    // cut short (`not_yet`: the image that a child still is before it becomes its program) is killed.
    std::optional<keep::exec::Process> find_leader(core::RunId run, const keep::sys::FdIdentity& not_yet) const;
    std::string cgroup_of(core::RunId run) const; // "": none, or it is not there

    // In a new image: the cgroups of runs that are over, whose last process had not gone yet.
    void find_lingering(const Runs& runs);

    // Before a spawn: the run's cgroup; its descriptor for CLONE_INTO_CGROUP. No descriptor where there are no cgroups.
    struct Birthplace {
        std::string path;
        keep::sys::Fd fd;
    };
    keep::Result<Birthplace> prepare(core::RunId run);
    void abandon(const std::string& path); // of a spawn that failed

    // Sends `signal` as far as `scope` says. What is gone already is no failure.
    void signal(Run& run, int signal, config::KillMode scope);

    // The main process has ended. With cgroups it may still be a zombie, without it must have been reaped.
    // True if nothing else of its tree is left, as far as run.scope says.
    bool empty_after_exit(Run& run);

    // Calls `on_empty` once when the leftovers of an ended run are gone (at once, from the loop, if they are already).
    keep::Result<> watch_leftovers(systemd::Loop& loop, Run& run, std::function<void()> on_empty);

    // For people: "pid 812 (dd)".
    std::vector<std::string> survivors(const Run& run) const;

    // For a process beside keepd, in its unit: clear_away() there.
    static keep::Result<> sweep();

    // keepd ends: nothing that its programs have started stays.
    keep::Result<> clear_away() const;

    // The run is over: its cgroup goes.
    void retire(Run& run);

  private:
    void take_members(Run& run);
    bool members_left(Run& run);

    std::string root_;
    std::deque<std::string> lingering_; // cgroups of runs that are over, with others still in them
};

} // namespace keepd::host
