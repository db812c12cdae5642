// The upgrade as keepd carries it out on itself: candidate, rehearsal, quiesce, exec. Up to the execve nothing is
// destroyed; whatever fails puts back what was parked and goes on. After the exec the new image's part is Host::resume,
// until whose commit the crash guard (upgrade/guard.hpp) can come back to this image, which is pinned by descriptor.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "daemon/control/port.hpp"
#include "daemon/upgrade/candidate.hpp"
#include "daemon/upgrade/format_choice.hpp"
#include "daemon/upgrade/handoff.hpp"
#include "daemon/upgrade/rehearsal.hpp"
#include "lib/base/error.hpp"
#include "lib/base/exit_status.hpp"

namespace keepd::host {

class Host;

class Upgrader {
  public:
    explicit Upgrader(Host& host) : host_(host) {}

    // Steps 1 and 2. Returns when the rehearsal has begun, or, where there is nothing to do, when that has been
    // answered. Error: refused, with the reason (EBUSY: another one is under way, or keepd is shutting down; with
    // if_changed one for the very file is as good as begun).
    keep::Result<> begin(const control::UpgradeRequest& request);

    // A child that is no program's has ended: true if it was the rehearsal's.
    bool child_ended(int pid, const keep::ExitStatus& status);

    // The rehearsal has passed: the loop has been left for carry_out().
    bool ready() const { return ready_; }

    // Steps 3 and 4, from outside of every handler, on the main thread. Does not return if it succeeds; otherwise
    // keepd is as before and the operator has been told.
    void carry_out();

  private:
    bool nothing_changed(const std::string& path, const std::optional<core::FileIdentity>& file);
    keep::Result<> rehearse(const std::string& path, int image_fd, upgrade::Rehearsal::Done done);
    void rehearsed(keep::Result<upgrade::Answer> answer);
    void way_back_rehearsed(keep::Result<upgrade::Answer> answer);
    void go_ahead(const upgrade::Answer& answer);
    void finish(bool ok, int exit_code, const std::string& text, bool blameless = false);
    keep::Result<keep::sys::Fd> state_for_rehearsal();
    upgrade::Handoff begin_handoff(); // all of it but streams, clients and the descriptors' identities
    keep::Error replace_image();

    Host& host_;
    std::optional<upgrade::Candidate> candidate_;
    keep::sys::Fd pinned_;                  // the running image, to come back to
    std::optional<upgrade::Answer> answer_; // the candidate's, while the running image is rehearsed
    upgrade::Format format_;                // in which the state is written for it
    std::unique_ptr<upgrade::Rehearsal> rehearsal_;
    std::string digest_; // of the state that was rehearsed
    bool rehearse_only_ = false;
    bool force_ = false;
    bool ready_ = false;
};

} // namespace keepd::host
