// What travels to the new image beside the State: descriptors by number, and what the rooms that own them need to go
// on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/control/server.hpp"
#include "daemon/core/state.hpp"
#include "daemon/logs/pump.hpp"
#include "daemon/upgrade/origins.hpp"
#include "lib/base/error.hpp"

namespace keepd::upgrade {

// A process of a run's tree beside the main one, held where no cgroup holds the tree. The pidfd travels: once the
// leader is reaped nothing else tells that this process is the run's.
struct CarriedMember {
    int pid = 0;
    int pidfd = -1;
    bool operator==(const CarriedMember&) const = default;
};

// A live process of a program (its state says in which phase). The pidfd travels.
struct CarriedRun {
    std::string program;
    core::RunId run;
    int pid = 0;
    int pidfd = -1;
    std::string cgroup; // directory; empty: only its process group is watched
    std::vector<CarriedMember> members;
    bool foster = false;  // not our child: it was a keepd's that was killed
    int stat = -1;        // of a foster: its /proc/PID/stat
    bool trusted = false; // of a foster: that stat shows us how it ends
    bool operator==(const CarriedRun&) const = default;
};

// What a carried descriptor was when it was handed over: a number alone proves nothing.
struct CarriedFd {
    int fd = -1;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint32_t type = 0; // S_IFMT bits
    bool operator==(const CarriedFd&) const = default;
};

struct Handoff {
    std::string from_version;
    std::string from_build_id;
    std::string to_path; // what is executed now, for the message if it has to be undone
    std::string to_version;
    std::string to_build_id;
    std::string started_by; // path of the first image, for upgrades without a configured binary
    Origins origins;        // what programs inherit
    std::string tree_root;  // keepd's own cgroup directory; empty: none to use
    core::Time parked_at;   // the last event was handled before this: the gap begins here
    std::vector<CarriedRun> runs;
    std::vector<logs::StreamState> streams;
    control::Parked control;
    int live = -1;                      // the live checkpoint
    std::string live_file;              // where it lies, if it does
    std::vector<int> vaults;            // the four ends; empty: there are none
    int vault = 0;                      // the one that counts
    std::vector<CarriedFd> descriptors; // what was looked at: identify_descriptors()
#ifdef KEEPD_NEXT                       // of a release that is still to come: daemon/host/next.hpp
    std::string remark;
    int spare_fd = -1;
#endif
    bool operator==(const Handoff&) const = default;
};

inline constexpr const char* handoff_key = "handoff"; // of its record in the checkpoint

// Every descriptor number that a Handoff names.
std::vector<int> carried_numbers(const Handoff& handoff);

// What they are now: all of them, or, where they are thousands, those that are not of a program. Errors: one of them is
// not open.
keep::Result<std::vector<CarriedFd>> identify_descriptors(const Handoff& handoff);

// In the new image: each named descriptor is open, and is what it was as far as it was looked at; nothing is changed.
// Error: the first that is not, by number. (A newer image may have listed more than this one knows a use for.)
keep::Result<> verify_descriptors(const Handoff& handoff);

// Takes the descriptors out of the list that nothing in the handoff uses.
std::vector<CarriedFd> take_unclaimed(Handoff& handoff);

// In an image that an upgrade was rolled back to: takes out the clients (and a control socket) whose descriptors are
// not what they were. The image that failed may have closed them.
void forget_lost_clients(Handoff& handoff);

// Open descriptors above 2 that are in nobody's list, closed; returns their numbers with what they were, for the log.
// `own` are further descriptors of this image (the state's).
std::vector<std::string> close_strangers(const Handoff& handoff, const std::vector<int>& own);

} // namespace keepd::upgrade
