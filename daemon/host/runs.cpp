#include "daemon/host/runs.hpp"

namespace keepd::host {

Run& Runs::add(std::unique_ptr<Run> run) {
    Run& added = *run;
    by_id_[added.id.value] = std::move(run);
    // A foster's number may become a child's of ours at any time: it is found by its pidfd.
    if (!added.reaped && !added.foster) by_pid_[added.process.pid()] = &added;
    return added;
}

Run* Runs::by_id(core::RunId id) {
    const auto found = by_id_.find(id.value);
    return found == by_id_.end() ? nullptr : found->second.get();
}

Run* Runs::by_pid(int pid) {
    const auto found = by_pid_.find(pid);
    return found == by_pid_.end() ? nullptr : found->second;
}

void Runs::mark_reaped(Run& run) {
    if (run.reaped) return;
    run.reaped = true;
    if (const auto found = by_pid_.find(run.process.pid()); found != by_pid_.end() && found->second == &run)
        by_pid_.erase(found);
}

void Runs::erase(core::RunId id) {
    const auto found = by_id_.find(id.value);
    if (found == by_id_.end()) return;
    mark_reaped(*found->second);
    by_id_.erase(found);
}

} // namespace keepd::host
