// The shell around the policy: events come in, step() decides, actions are performed. Nothing here decides about a
// program. All that must survive is in state_ and in named descriptors; every other member is a cache of those.
//
// One turn: something happens (a signal, an ended child, a deadline, a request) -> submit(event) -> step() -> what was
// touched is saved in the live checkpoint -> the actions are performed, which may queue further events.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "daemon/checkpoint/live.hpp"
#include "daemon/control/port.hpp"
#include "daemon/control/server.hpp"
#include "daemon/core/step.hpp"
#include "daemon/host/estate.hpp"
#include "daemon/host/heritage.hpp"
#include "daemon/host/log.hpp"
#include "daemon/host/options.hpp"
#include "daemon/host/runs.hpp"
#include "daemon/host/spawner.hpp"
#include "daemon/host/trees.hpp"
#include "daemon/logs/pump.hpp"
#include "daemon/upgrade/binary_watch.hpp"
#include "daemon/upgrade/state_file.hpp"
#include "systemd/loop.hpp"

namespace keepd::host {

class Adopter;
class Upgrader;

class Host final : public control::Port {
  public:
    // `heritage`: what programs inherit, where it does not come with resume(); `log` outlives the host.
    Host(Options options, Heritage heritage, Log& log);
    ~Host() override;

    // One of the three, once. first_start: makes directories, binds the socket, starts the programs.
    keep::Result<> first_start(config::Plan plan, const std::string& started_by);
    // resume: goes on where the image before stopped; the upgrade is committed when it returns. Until then nothing
    // irreversible is done.
    keep::Result<> resume(upgrade::Resumed resumed);

    // adopt: goes on where a keepd that was killed stopped.
    keep::Result<> adopt(upgrade::Legacy legacy);

    // Serves until an orderly end. Returns the exit code.
    int run();

    // ---- Port: what the control server asks -------------------------------------------------------------------
    const core::State& state() const override { return state_; }
    core::Now now() const override;
    control::Identity identity() const override;
    void submit(const core::Event& event) override;
    std::expected<core::PlanDiff, std::vector<std::string>> plan() override;
    std::expected<core::PlanDiff, std::vector<std::string>> prepare_reload() override;
    keep::Result<> begin_upgrade(const control::UpgradeRequest& request) override;
    void reopen_logs() override;
    std::map<std::string, logs::StreamStatus> log_status() const override;
    std::optional<control::Usage> usage(int pid) const override;
    std::string process_trees() const override { return trees_.description(); }
    std::string checkpoint_json() const override;

  private:
    friend class Adopter;
    friend class Upgrader;

    // host.cpp
    std::string how_it_went(const upgrade::Handoff& handoff) const;
    keep::Result<> set_up_loop();
    void tell_ready();
    void watch_log_files(); // problems of the pump go to keepd's log
    void tell_log_problems();
    void settle(); // after each turn: timers, status line
    void read_signals();
    void sweep(); // children that have ended
    void ended(Run& run, const keep::ExitStatus& status, const keep::ResourceUsage& usage);
    void await_leftovers(Run& run);
    void await_all_leftovers(); // of runs whose main process was gone before this image began
    void watch_foster(Run& run);
    void save(const core::Effects& effects);
    void save_host();
    checkpoint::Header header() const;
    using Reading = std::expected<config::Plan, std::vector<config::Fault>>;
    Reading load_plan() const;
    keep::Result<> make_directories(const config::Daemon& settings);
    std::string status_line() const;
    std::string binary_path() const; // upgraded from where nobody names another; "" if it can't be told
    void watch_binary();             // as upgrade.watch_binary says now

    // legacy.cpp: what a crash must not lose
    static upgrade::Item item_of(const Run& run);
    static upgrade::Item item_of(const logs::StreamEnds& ends);
    std::vector<upgrade::Item> living() const;
    void park_opened_streams();
    void park_listener();

    // actions.cpp
    void perform(const core::Action& action);
    void perform(const core::Spawn& action);
    void perform(const core::Signal& action);
    void perform(const core::FindSurvivors& action);
    void perform(const core::Retire& action);
    void perform(const core::ArrangeLogs& action);
    void perform(const core::ApplySettings& action);
    void perform(const core::BeginReload& action);
    void perform(const core::BeginUpgrade& action);
    void perform(const core::Quit& action);
    void perform(const core::Announce& action);

    Options options_;
    Heritage heritage_;
    Log& log_;
    std::string started_by_; // path of the running image at the first start; "" if unknown

    core::State state_;
    checkpoint::Unknown unknown_;               // fields of a newer image, saved again with every record
    std::vector<upgrade::CarriedFd> unclaimed_; // and the descriptors that they may name, open for its return
    Estate estate_;
    std::uint64_t closings_ = 0; // of the pump's streams that the estate knows of
    Trees trees_;
    Runs runs_;
    std::unique_ptr<logs::Pump> pump_;
    std::optional<systemd::Loop> loop_;
    std::unique_ptr<control::Server> server_;
    std::unique_ptr<Upgrader> upgrader_;
    std::unique_ptr<upgrade::BinaryWatch> binary_watch_;

    std::deque<core::Event> queue_;
    bool draining_ = false;
    bool ready_due_ = false; // the service manager waits to hear that a reload is over
    bool trim_due_ = true;   // a config or a saved state was read, which may have taken most of what keepd ever used
    std::optional<int> exit_code_;
    std::optional<Reading> prepared_; // what prepare_reload() read; good for this turn only

    keep::sys::Fd signals_;
    systemd::Source signal_source_, deadline_timer_, watchdog_timer_, status_timer_, sweep_timer_, turn_source_,
        pump_source_;
    std::map<std::string, std::string> log_problems_; // told and not over, by stream
    std::optional<keep::Time> armed_;
    std::optional<keep::Duration> watchdog_every_;
    std::string last_status_;
    keep::Time next_status_at_{};
    bool ready_owed_ = false; // to a manager that did not read
    bool stopping_told_ = false;
};

} // namespace keepd::host
