// What a keepd that was killed has left: its live checkpoint, and where there is a descriptor store, its vaults. The
// next keepd goes on with them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/checkpoint/unknown.hpp"
#include "daemon/core/state.hpp"
#include "daemon/upgrade/vault.hpp"
#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"
#include "systemd/descriptor_store.hpp"

namespace keepd::upgrade {

// The names in the store.
inline constexpr const char* stored_checkpoint = "keepd-checkpoint";
inline constexpr const char* stored_vaults[] = {"keepd-vault-0-in", "keepd-vault-0-out", "keepd-vault-1-in",
                                                "keepd-vault-1-out"};

// Records beside the State's. Of the host: what an adopter must know before it looks for processes.
inline constexpr const char* host_key = "host";
struct HostRecord {
    std::string boot_id;
    std::string started_by;      // as in the handoff
    std::string tree_root;       // "": process groups are watched
    keep::sys::FdIdentity image; // what keepd ran: a child that still is that has not become its program yet
    bool operator==(const HostRecord&) const = default;
};
inline constexpr const char* vault_key = "vault"; // "0" or "1": the vault that counts
// Of a run without a cgroup, where its pidfd may be lost: who it is.
std::string run_key(core::RunId run); // "run/ID"
struct RunIdentity {
    int pid = 0;
    std::uint64_t start_ticks = 0; // a hundredth of a second: two processes may share one, and the number
    std::uint64_t inode = 0;       // of its pidfd, which no other one has; 0 where the kernel has none
    bool operator==(const RunIdentity&) const = default;
};

std::string encode(const HostRecord&);
std::string encode(const RunIdentity&);

struct Legacy {
    keep::sys::Fd live;    // of the checkpoint
    bool by_store = false; // else it was a file
    core::State state;
    checkpoint::Unknown unknown;
    HostRecord host;
    std::map<core::RunId, RunIdentity> runs;
    std::optional<Vaults> vaults;
    std::vector<Found> found; // in the vaults, in the order they were parked
};

// Looks among what the service manager kept, then at `file` ("": nowhere). Nothing: there is none, its keepd ended in
// order, or the machine was booted anew since. Error: there is one, but it can't be read; nothing of it can be used.
keep::Result<std::optional<Legacy>> find_legacy(std::vector<systemd::Stored> stored, const std::string& file);

std::string boot_id();

} // namespace keepd::upgrade
