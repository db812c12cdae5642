// Step 2 of an upgrade: the candidate, by the very descriptor that would be executed, rebuilds a sealed copy of the
// real state in a process of its own and says what it understood. It touches nothing: no child, no log, no socket.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "daemon/upgrade/rehearsal_answer.hpp"
#include "lib/base/exit_status.hpp"
#include "lib/base/time.hpp"
#include "systemd/loop.hpp"

namespace keepd::upgrade {

// ---- in the running keepd --------------------------------------------------------------------------------------

class Rehearsal {
  public:
    struct Setting {
        std::string path;  // for messages
        int image_fd = -1; // of the candidate, borrowed
        int state_fd = -1; // sealed copy, borrowed until begin() returns
        std::string argv0;
        std::vector<std::string> env; // the original environment; what must not travel is taken out here
        keep::Time deadline;
    };
    using Done = std::function<void(keep::Result<Answer>)>;

    // Starts the candidate. `done` is called exactly once, from the loop, unless the Rehearsal is destroyed before;
    // it may destroy the Rehearsal. Errors: the spawn failed.
    static keep::Result<std::unique_ptr<Rehearsal>> begin(systemd::Loop& loop, const Setting& setting, Done done);
    virtual ~Rehearsal(); // kills the candidate's process if it still runs; reaping it is the sweeper's

    pid_t pid() const { return pid_; }
    // The sweeper has reaped pid(). May call `done`.
    virtual void exited(const keep::ExitStatus& status) = 0;

  protected:
    Rehearsal() = default;
    pid_t pid_ = 0;
};

// ---- in the candidate ------------------------------------------------------------------------------------------

// `keepd --rehearse=FD`: decodes the state, encodes it again, prints the answer. Returns the exit code.
int rehearse(int state_fd);

} // namespace keepd::upgrade
