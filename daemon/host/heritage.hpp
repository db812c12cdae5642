// What programs inherit: what keepd was given at its first start, and not what keepd itself has by now.
//
//   attribute                        keepd itself, over an upgrade         a program whose config does not say
//   arguments                        the original ones                     its own
//   environment                      the original one, without LISTEN_*    env_inherit's part of the original one
//   directory, umask                 never changed                         working_dir and umask have defaults
//   limits                           as they are; the soft limit of        the original ones
//                                    descriptors stays raised (*)
//   nice, OOM score adjustment       as they are                           the original ones
//   CPU affinity                     as it is                              the original one, or all that there are
//   scheduling policy, I/O priority, as they are                           keepd's own
//   timer slack
//
// "As they are": execve(2) keeps them, so keepd keeps what an operator has done to it. A program gets none of that; a
// program that ran before and one that is restarted after would differ otherwise, for no reason that its config tells.
//
// (*) An image that began below the number of its descriptors could not open a library.
#pragma once

#include <set>
#include <string>
#include <vector>

#include <keep/exec/spawn.hpp>

#include "daemon/upgrade/origins.hpp"
#include "lib/base/time.hpp"

namespace keepd::host {

using upgrade::Attributes;
using upgrade::Origins;

// Of this process, now. What can't be asked for stays empty.
Attributes own_attributes();
// The whole, for the first start; before keepd changes anything.
Origins find_origins();

class Heritage {
  public:
    Heritage() = default;
    explicit Heritage(Origins origins) : origins_(std::move(origins)) {}

    const Origins& origins() const { return origins_; }
    const std::vector<std::string>& environment() const { return origins_.environment; }

    // Adds to the spec what the program's config says, and what it does not say as it was originally, where keepd has
    // something else by now. What keepd has is looked up at most ten times a second: a start costs no system call for
    // it.
    void give(const config::Program& program, keep::exec::SysProcAttr& into, keep::Time now);

    // After a start that failed with `error`: true if it was about something of give()'s that the config does not ask
    // for and that this keepd has no right to; that is taken out of the spec and remembered.
    bool do_without(const config::Program& program, const keep::exec::Error& error, keep::exec::SysProcAttr& from);

    // What programs have had to do without since the last call, each told once.
    std::vector<std::string> take_losses();

  private:
    void look();

    Origins origins_;
    Attributes lacking_;                     // what of the original differs from keepd's own; looked up at looked_at_
    std::vector<int> allowed_, restriction_; // keepd's CPUs at the last look, and what of that is keepd's own
    bool looked_ = false;
    keep::Time looked_at_;
    std::set<std::string> lost_, losses_;
};

} // namespace keepd::host
