// What keepd leaves behind should it be killed: the live checkpoint, kept current at every step, and copies of the
// descriptors in the vaults. With a descriptor store both are in the service manager's hands; without, the checkpoint
// is a file in the runtime directory, and descriptors are lost with their holder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/checkpoint/live.hpp"
#include "daemon/host/log.hpp"
#include "daemon/host/runs.hpp"
#include "daemon/upgrade/adoption.hpp"
#include "daemon/upgrade/handoff.hpp"
#include "daemon/upgrade/vault.hpp"
#include "lib/base/error.hpp"

namespace keepd::host {

// Lies there from the beginning of an orderly end: should that be cut short, nobody is to go on with what is left.
std::string ending_mark(const std::string& runtime_dir);
// Lies there from the moment the service manager orders the end: it starts no next one by itself then, so whoever does
// is an operator who wants a keepd that runs.
std::string stop_mark(const std::string& runtime_dir);
// Where the checkpoint lies if it is a file.
std::string checkpoint_file(const std::string& runtime_dir);

class Estate {
  public:
    using Living = std::function<std::vector<upgrade::Item>()>; // all that has to lie in the vaults

    Estate(Log& log, Living living) : log_(log), living_(std::move(living)) {}

    // One of the three, once.
    // Nothing was left: begins anew. `runtime_dir`: for the file.
    keep::Result<> begin(const checkpoint::Header& header, const std::string& runtime_dir);
    // After an exec: goes on with what travelled. Nothing is written.
    keep::Result<> resume(const upgrade::Handoff& handoff, const checkpoint::Header& header);
    // After a crash.
    keep::Result<> take_over(upgrade::Legacy& legacy, const std::string& runtime_dir);

    checkpoint::Live& live() { return *live_; }
    void save_host(const upgrade::HostRecord& record);
    void travel(upgrade::Handoff& handoff) const; // the descriptors that an exec must keep

    // Whether a run can be found again only by what is written down of it (no cgroup, and perhaps no store).
    bool needs_identity(const Run& run) const { return run.cgroup.empty() && !store_is_sure_; }
    void note_identity(const Run& run);
    void forget_identity(core::RunId run);
    void park(const upgrade::Item& item);
    void mark_stale() { stale_ = true; } // something lies in the vaults that must not stay open
    void tidy();                         // at the end of a turn: compacts where it is time to
    // The orderly end begins: its mark. Then, when all is over: nothing is left to adopt.
    void begin_end(const std::string& runtime_dir);
    void note_stop(const std::string& runtime_dir);
    void end();

  private:
    void open_store(bool has_checkpoint);
    void report(const keep::Result<>& done, const char* what);

    Log& log_;
    Living living_;
    std::optional<checkpoint::Live> live_;
    std::optional<upgrade::Vaults> vaults_;
    std::string file_; // of the checkpoint; "": it is in a memfd
    bool store_is_sure_ = false;
    bool stale_ = false;
    bool full_ = false;        // told: the vaults don't take what they should
    std::size_t parked_ = 0;   // one by one, since the last compaction
    std::size_t enough_ = 512; // of them, for the next one
};

} // namespace keepd::host
