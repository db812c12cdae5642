// A keepd without processes around the control desk: the real policy, whose orders are recorded and answered at once.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "daemon/control/desk.hpp"
#include "daemon/control/port.hpp"
#include "daemon/core/step.hpp"

namespace keepd::test {

inline constexpr std::uint32_t keepd_uid = 500;
inline constexpr control::Caller root{0, 0, 10};
inline constexpr control::Caller owner{keepd_uid, keepd_uid, 11};
inline constexpr control::Caller guest{1000, 1000, 12};

class FakePort : public control::Port {
  public:
    FakePort();

    // A plan with these programs; the first one is what keepd started with.
    static config::Program program(const std::string& name);
    static config::Program oneshot(const std::string& name);
    config::Plan config;                    // what a reload reads
    std::vector<std::string> config_faults; // not empty: the config is wrong
    void boot();

    // The program's main process ends now.
    void end(const std::string& name, int code);
    void upgrade_ended(bool ok, int exit_code, const std::string& text, bool replaced);

    // ---- Port ----
    const core::State& state() const override { return state_; }
    core::Now now() const override { return now_; }
    control::Identity identity() const override { return {"1.2.3", build_id, 77}; }
    void submit(const core::Event&) override;
    std::expected<core::PlanDiff, std::vector<std::string>> plan() override;
    keep::Result<> begin_upgrade(const control::UpgradeRequest&) override;
    void reopen_logs() override { ++reopened; }
    std::map<std::string, logs::StreamStatus> log_status() const override;
    std::optional<control::Usage> usage(int) const override { return control::Usage{4096, 1.5}; }
    std::string process_trees() const override { return "cgroup"; }
    std::string checkpoint_json() const override { return R"({"daemon": {"generation": 1}})"; }

    control::Desk* desk = nullptr; // told of what happens
    std::string build_id = "aaaa";
    bool answer_spawns = true;
    std::vector<std::string> orders; // "spawn web#1", "signal web SIGTERM", "quit 0"
    std::vector<control::UpgradeRequest> upgrades;
    std::optional<keep::Error> upgrade_error;
    bool upgrade_ends_at_once = false;
    int reopened = 0;

    core::State state_;
    core::Now now_{keep::Time(std::chrono::seconds(1000)), {1'760'000'000'000'000'000}};

  private:
    void perform(const core::Action&);
    std::deque<core::Event> events_;
    bool stepping_ = false;
    int next_pid_ = 100;
};

// One client of a desk, as if at the other end of a socket.
class FakeClient {
  public:
    FakeClient(control::Desk& desk, const control::Caller& caller);
    FakeClient(control::Desk& desk, control::ClientState carried);

    void type(std::string_view bytes); // what arrives at once; may be any part of requests
    void ask(const std::string& method, const nlohmann::json& parameters = nlohmann::json::object(), bool more = false,
             bool oneway = false);
    // Takes all whole replies that were written so far.
    std::vector<nlohmann::json> replies();
    nlohmann::json reply(); // exactly one is there
    nlohmann::json call(const std::string& method, const nlohmann::json& parameters = nlohmann::json::object());
    bool closed() const { return conversation().over(); }
    void turn() { desk_->turn(id_); }
    control::Conversation& conversation() const { return desk_->conversation(id_); }
    control::Desk::Id id() const { return id_; }

  private:
    control::Desk* desk_;
    control::Desk::Id id_;
};

// The usual cast: a desk at a keepd that runs these programs.
struct Office {
    explicit Office(std::vector<config::Program> programs = {FakePort::program("web"), FakePort::program("db")},
                    control::Limits limits = {});
    FakePort port;
    control::Desk desk;
};

} // namespace keepd::test
