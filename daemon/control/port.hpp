// What the control server needs of keepd: the host implements it, tests fake it. The server never decides: it turns
// requests into events and states into replies.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/event.hpp"
#include "daemon/core/plan_diff.hpp"
#include "daemon/core/state.hpp"
#include "daemon/logs/pump.hpp"
#include "lib/base/error.hpp"

namespace keepd::control {

// Who this keepd is.
struct Identity {
    std::string version;
    std::string build_id; // hex
    int pid = 0;
};

struct UpgradeRequest {
    std::string binary; // empty: upgrade.binary, or the path keepd was started by
    bool force = false;
    bool rehearse_only = false;
    bool if_changed = false; // not for the running file, nor again for one that was refused
    std::uint32_t uid = 0;
};

// A program's main process as the kernel accounts for it.
struct Usage {
    std::uint64_t memory_bytes = 0; // resident
    double cpu_s = 0;
};

class Port {
  public:
    virtual ~Port() = default;

    virtual const core::State& state() const = 0;
    virtual core::Now now() const = 0;
    virtual Identity identity() const = 0;
    // One step with all its consequences, done when it returns.
    virtual void submit(const core::Event&) = 0;
    // Reads the config as a reload would, and compares; the faults, one a line, if it is wrong.
    virtual std::expected<core::PlanDiff, std::vector<std::string>> plan() = 0;
    // The same, and a ReloadAsked that is submitted next need not read again: what the client is shown is then exactly
    // what is done. (Without an implementation of its own the config is read twice.)
    virtual std::expected<core::PlanDiff, std::vector<std::string>> prepare_reload() { return plan(); }
    // Begins an upgrade. Its end comes by Server::upgrade_ended(), here or in the next image. Error: refused at once;
    // code EBUSY where another one is under way or keepd is shutting down. With if_changed one that is under way for
    // the same file is as good as begun.
    virtual keep::Result<> begin_upgrade(const UpgradeRequest&) = 0;
    virtual void reopen_logs() = 0;
    virtual std::map<std::string, logs::StreamStatus> log_status() const = 0;
    virtual std::optional<Usage> usage(int pid) const = 0;
    // "cgroup" where each run has a cgroup of its own, "process group" where only that can be watched.
    virtual std::string process_trees() const = 0;
    // The live checkpoint as JSON text, for people.
    virtual std::string checkpoint_json() const = 0;
};

} // namespace keepd::control
