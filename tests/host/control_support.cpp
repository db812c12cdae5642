#include "tests/host/control_support.hpp"

#include <cerrno>
#include <doctest/doctest.h>

#include "daemon/core/plan_diff.hpp"
#include "lib/base/signals.hpp"

namespace keepd::test {

using nlohmann::json;

FakePort::FakePort() {
    config.daemon.config_path = "/etc/keepd/keepd.json";
    config.daemon.control.path = "/run/keepd/control.sock";
}

config::Program FakePort::program(const std::string& name) {
    config::Program program;
    program.name = name;
    const auto at = name.find('@');
    program.base = name.substr(0, at);
    if (at != std::string::npos) program.instance = std::stoi(name.substr(at + 1));
    program.argv = {"/bin/" + program.base, "--serve"};
    program.executable = program.argv[0];
    program.out.path = "/var/log/keepd/" + name + ".log";
    return program;
}

config::Program FakePort::oneshot(const std::string& name) {
    config::Program once = program(name);
    once.type = config::Type::oneshot;
    once.restart.policy = config::RestartPolicy::no;
    return once;
}

void FakePort::boot() {
    state_.daemon.started_at = {now_.wall.ns - 60'000'000'000};
    submit(core::PlanLoaded{std::make_shared<config::Plan>(config)});
}

void FakePort::submit(const core::Event& event) {
    events_.push_back(event);
    if (stepping_) return;
    stepping_ = true;
    while (!events_.empty()) {
        const core::Event next = std::move(events_.front());
        events_.pop_front();
        const core::Effects effects = core::step(state_, next, now_);
        for (const core::Action& action : effects.actions)
            perform(action);
        if (desk && (!effects.touched.empty() || effects.daemon_touched)) {
            desk->changed(effects.touched, effects.daemon_touched);
        }
    }
    stepping_ = false;
}

void FakePort::perform(const core::Action& action) {
    if (const auto* spawn = std::get_if<core::Spawn>(&action)) {
        orders.push_back("spawn " + spawn->name + "#" + std::to_string(spawn->run.value));
        if (answer_spawns) events_.push_back(core::Spawned{spawn->name, spawn->run, next_pid_++});
    } else if (const auto* signal = std::get_if<core::Signal>(&action)) {
        orders.push_back("signal " + signal->name + " " + keep::signal_name(signal->signal));
    } else if (const auto* quit = std::get_if<core::Quit>(&action)) {
        orders.push_back("quit " + std::to_string(quit->code));
    } else if (std::holds_alternative<core::BeginReload>(action)) {
        if (config_faults.empty()) {
            events_.push_back(core::PlanLoaded{std::make_shared<config::Plan>(config)});
        } else {
            std::string text;
            for (const std::string& fault : config_faults)
                text += (text.empty() ? "" : "\n") + fault;
            events_.push_back(core::PlanRefused{text});
        }
    } else if (const auto* announce = std::get_if<core::Announce>(&action)) {
        if (desk) desk->announce(announce->notice);
    }
}

void FakePort::end(const std::string& name, int code) {
    submit(core::Exited{name, core::live_run(state_.programs.at(name)), keep::ExitStatus::exited(code), {}, true});
}

void FakePort::upgrade_ended(bool ok, int exit_code, const std::string& text, bool replaced) {
    submit(core::UpgradeFinished{ok, replaced, text});
    desk->upgrade_ended(ok, exit_code, text);
}

std::expected<core::PlanDiff, std::vector<std::string>> FakePort::plan() {
    if (!config_faults.empty()) return std::unexpected(config_faults);
    return core::diff(state_, config);
}

keep::Result<> FakePort::begin_upgrade(const control::UpgradeRequest& request) {
    if (upgrade_error) return std::unexpected(*upgrade_error);
    if (const auto refusal = core::upgrade_refusal(state_)) return keep::fail(*refusal, EBUSY);
    upgrades.push_back(request);
    submit(core::UpgradeBegun{request.binary.empty() ? "/usr/sbin/keepd" : request.binary});
    if (upgrade_ends_at_once) upgrade_ended(false, 4, "no such file", false);
    return {};
}

std::map<std::string, logs::StreamStatus> FakePort::log_status() const {
    return {{"web/stdout", {12345, 0, ""}}, {"db/stdout", {7, 3, "write: No space left on device"}}};
}

FakeClient::FakeClient(control::Desk& desk, const control::Caller& caller) : desk_(&desk) {
    const auto id = desk.admit(caller);
    REQUIRE(id);
    id_ = *id;
}

FakeClient::FakeClient(control::Desk& desk, control::ClientState carried)
    : desk_(&desk), id_(desk.adopt(std::move(carried))) {}

void FakeClient::type(std::string_view bytes) {
    conversation().received(bytes);
    turn();
}

void FakeClient::ask(const std::string& method, const json& parameters, bool more, bool oneway) {
    const std::string name = method.find('.') == std::string::npos ? "io.keepd.Manager." + method : method;
    type(control::request_message(name, parameters.dump(), more, oneway));
}

std::vector<json> FakeClient::replies() {
    control::Inbox inbox(std::size_t{1} << 30, std::string(conversation().unsent()));
    std::vector<json> found;
    while (const auto message = inbox.take())
        found.push_back(json::parse(*message));
    conversation().sent(conversation().unsent_size());
    return found;
}

json FakeClient::reply() {
    auto found = replies();
    REQUIRE(found.size() == 1);
    return found[0];
}

json FakeClient::call(const std::string& method, const json& parameters) {
    ask(method, parameters);
    return reply();
}

Office::Office(std::vector<config::Program> programs, control::Limits limits) : desk(port, keepd_uid, limits) {
    for (config::Program& program : programs)
        port.config.programs.emplace(program.name, program);
    port.desk = &desk;
    port.boot();
    port.orders.clear();
}

} // namespace keepd::test
