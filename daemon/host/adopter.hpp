// Takes over what a keepd that was killed has left: processes, pipes, the control socket. Where something is not to be
// found, that is reported as what it means: a process that is gone has ended in a way that nobody knows.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/host/host.hpp"
#include "daemon/upgrade/adoption.hpp"

namespace keepd::host {

// Of a keepd that was killed while it ended, where nobody but an operator starts the next one: nothing is gone on with.
// Kills the processes that are known by pid and start time; those in cgroups go with these (Trees::detect). Empties the
// store: in its vaults the sockets would still be bound.
void kill_remains(const upgrade::Legacy& legacy);

class Adopter {
  public:
    Adopter(Host& host, upgrade::Legacy& legacy);

    keep::Result<> take_streams(); // a pump with the pipes that were found
    keep::Result<> take_control();
    void take_runs();           // and reports what became of them
    std::string report() const; // what was taken over, and what was not
    bool complete() const { return lost_.empty(); }

  private:
    keep::exec::Process find(core::RunId run, int pid);
    void take_run(const std::string& name, const core::Program& program);
    keep::exec::Process by_identity(core::RunId run);
    keep::exec::Process by_environment(core::RunId run) const;

    Host& host_;
    upgrade::Legacy& legacy_;
    std::map<core::RunId, upgrade::Found*> parked_; // the processes in the vault
    std::size_t taken_ = 0;
    std::vector<std::string> lost_; // for people
};

} // namespace keepd::host
