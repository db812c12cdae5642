// The parent's part beside a child that does not suspend it: it writes the child's id maps, gives its word, and learns
// from the end of a socket that the child has executed or ended.
#pragma once

#include <sys/types.h>

#include <keep/exec/spawn.hpp>
#include <keep/fd.hpp>

#include "lib/exec/child_plan.hpp"

namespace keep::exec {

class Handshake {
  public:
    // 0 or errno. The child's end lies above every number that the spec names.
    int open(const SpawnSpec& spec);
    int childs_end() const { return child_.get(); }

    // Returns when the child has executed (report.step is none), or has failed or ended. The end of the socket tells
    // that; a process that somebody forked meanwhile without an exec may hold it open, and then only the child's end is
    // seen at once.
    void lead(pid_t pid, int pidfd, const SpawnSpec& spec, ChildReport& report);

  private:
    int tell(int verdict);
    Fd parent_;
    Fd child_;
};

} // namespace keep::exec
