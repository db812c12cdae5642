// The end of a process that is not our child: it belonged to a keepd that was killed. Its pidfd says when; how it ended
// is learned from the kernel (PIDFD_INFO_EXIT, Linux 6.15) or, before that, from /proc/PID/stat while it is a zombie,
// which lasts until its new parent reaps it. Where neither tells, the status is unknown, and never 0.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "lib/base/error.hpp"
#include "lib/base/exit_status.hpp"
#include "lib/sys/fd.hpp"
#include "systemd/loop.hpp"

namespace keepd::host {

class Foster {
  public:
    using Ended = std::function<void(const keep::ExitStatus&)>; // once; may destroy the Foster

    // Holds the process's stat from now on, or, where the kernel tells in the end (keep::sys::tells_exits()), opens it
    // once it has ended: nothing is lost if that is too late. `pidfd` must be of `pid` and is borrowed for the Foster's
    // life.
    Foster(int pid, int pidfd);
    // The same with a stat that may be held already.
    Foster(int pid, int pidfd, keep::sys::Fd stat, bool trusted);

    keep::Result<> watch(systemd::Loop& loop, Ended ended);

    int stat() const { return stat_.get(); }
    bool trusted() const { return trusted_; }

  private:
    void hold();
    void look();
    std::optional<keep::ExitStatus> learn();

    int pid_;
    int pidfd_;
    keep::sys::Fd stat_;
    bool trusted_ = false; // the stat shows us its exit_code
    systemd::Source source_;
    Ended ended_;
};

} // namespace keepd::host
