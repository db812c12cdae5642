#include "tests/core/random_history.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <stdexcept>

#include "daemon/core/overloaded.hpp"

namespace keepd::core::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::vector<std::string> names{"api", "cron", "db", "job", "web@1", "web@2"};

} // namespace

RandomHistory::RandomHistory(std::uint64_t seed) : random_(seed) {
    state_.daemon.seed = seed;
    now_ = {Time{seconds(1000)}, WallTime{1}};
    happen(PlanLoaded{random_plan()});
}

std::size_t RandomHistory::roll(std::size_t sides) {
    return static_cast<std::size_t>(random_() % sides);
}
bool RandomHistory::chance(int percent) {
    return roll(100) < static_cast<std::size_t>(percent);
}
std::string RandomHistory::random_name() {
    return chance(98) ? any(names) : "nobody";
}

bool RandomHistory::advance() {
    if (quit_) return false;
    if (!pending_.empty() && chance(80))
        report_pending();
    else if (chance(35))
        let_time_pass();
    else if (chance(45))
        die_by_itself();
    else
        random_wish();
    return !quit_;
}

void RandomHistory::happen(const Event& event) {
    last_event_ = event;
    last_effects_ = step(state_, event, now_);
    for (const Action& action : last_effects_.actions)
        perform(action);
}

void RandomHistory::perform(const Action& action) {
    std::visit(overloaded{
                   [&](const Spawn& order) { spawn(order); },
                   [&](const Signal& order) { signal(order); },
                   [&](const FindSurvivors& order) {
                       const auto found = processes_.find(order.run.value);
                       if (found == processes_.end()) return;
                       found->second.undying = chance(30);
                       if (found->second.undying) pending_.push_back(Survived{order.name, order.run, {"pid 1 (x)"}});
                   },
                   [&](const Retire& order) { retire(order); },
                   [](const ArrangeLogs&) {},
                   [](const ApplySettings&) {},
                   [&](const BeginReload&) {
                       if (chance(20))
                           pending_.push_back(PlanRefused{"no"});
                       else
                           pending_.push_back(PlanLoaded{random_plan()});
                   },
                   [&](const BeginUpgrade&) { pending_.push_back(UpgradeBegun{"/bin/keepd"}); },
                   [&](const Quit& order) {
                       if (quit_) complain("quit twice");
                       quit_ = order.code;
                   },
                   [](const Announce&) {},
               },
               action);
}

void RandomHistory::spawn(const Spawn& order) {
    if (order.run.value <= highest_run_) complain("run " + std::to_string(order.run.value) + " is not new");
    highest_run_ = std::max(highest_run_, order.run.value);
    for (const auto& [run, process] : processes_)
        if (process.name == order.name) complain(order.name + " has two live runs"); // else it had been retired
    if (chance(10)) {
        pending_.push_back(SpawnFailed{order.name, order.run, "execve: no"});
        return;
    }
    Process process;
    process.name = order.name;
    process.others = chance(25) ? 1 + static_cast<int>(roll(3)) : 0;
    process.stubborn = chance(25);
    process.undying = chance(5);
    processes_.emplace(order.run.value, process);
    if (chance(80))
        answer_spawn(order.run); // in the same turn, as a real host does
    else
        pending_.push_back(Spawned{order.name, order.run, static_cast<int>(order.run.value % 30000) + 2});
}

void RandomHistory::answer_spawn(RunId run) {
    pending_.push_front(Spawned{processes_.at(run.value).name, run, static_cast<int>(run.value % 30000) + 2});
}

void RandomHistory::signal(const Signal& order) {
    const auto found = processes_.find(order.run.value);
    if (found == processes_.end()) {
        complain("signal to a run that is gone: " + order.name);
        return;
    }
    Process& process = found->second;
    const bool kills = order.signal == SIGKILL ? !process.undying : !process.stubborn && chance(60);
    if (order.signal == SIGCONT || !kills) return;
    if (order.scope != config::KillMode::process) process.others = chance(80) ? 0 : process.others;
    if (order.signal == SIGKILL && order.scope != config::KillMode::process) process.others = 0;
    if (process.main_lives)
        main_dies(order.run);
    else
        others_go(order.run);
}

// The report is made when its turn comes (report_pending()); what it says is true at that moment.
void RandomHistory::main_dies(RunId run) {
    Process& process = processes_.at(run.value);
    process.main_lives = false;
    pending_.push_back(Exited{process.name, run, random_status(), {}, true});
}

void RandomHistory::others_go(RunId run) {
    const Process& process = processes_.at(run.value);
    if (process.others == 0 && process.exit_reported) pending_.push_back(TreeEmpty{process.name, run});
}

void RandomHistory::retire(const Retire& order) {
    const auto found = processes_.find(order.run.value);
    if (found == processes_.end()) {
        complain("retired twice or never was: " + order.name);
        return;
    }
    if (found->second.main_lives || !found->second.exit_reported) complain("retired alive: " + order.name);
    const auto program = state_.programs.find(order.name);
    if (found->second.others > 0 && program != state_.programs.end() &&
        program->second.spec.stop.kill_mode != config::KillMode::process)
        complain("retired with leftovers: " + order.name);
    past_runs_.emplace_back(order.name, order.run);
    if (past_runs_.size() > 50) past_runs_.pop_front();
    processes_.erase(found);
}

void RandomHistory::report_pending() {
    Event event = pending_.front();
    pending_.pop_front();
    if (auto* exit = std::get_if<Exited>(&event)) {
        Process& process = processes_.at(exit->run.value);
        exit->tree_empty = process.others == 0;
        process.exit_reported = true;
        ++exits_reported_[exit->run.value];
    }
    if (const auto* failed = std::get_if<SpawnFailed>(&event)) past_runs_.emplace_back(failed->name, failed->run);
    if (std::holds_alternative<UpgradeBegun>(event) && !upgrade_refusal(state_))
        pending_.push_back(UpgradeFinished{chance(70), chance(60), "done"});
    happen(event);
}

void RandomHistory::die_by_itself() {
    std::vector<std::uint64_t> runs;
    for (const auto& [run, process] : processes_)
        if (process.main_lives || process.others > 0) runs.push_back(run);
    if (runs.empty()) {
        let_time_pass();
        return;
    }
    const RunId run{any(runs)};
    Process& process = processes_.at(run.value);
    // A process can't end before it exists, and the answer to its spawn comes first.
    const bool answer_waits = std::ranges::any_of(pending_, [&](const Event& event) {
        const auto* spawned = std::get_if<Spawned>(&event);
        return spawned != nullptr && spawned->run == run;
    });
    if (answer_waits) {
        report_pending();
    } else if (process.main_lives) {
        main_dies(run);
        report_pending();
    } else {
        process.others = 0;
        others_go(run);
        if (pending_.empty())
            let_time_pass();
        else
            report_pending();
    }
}

void RandomHistory::let_time_pass() {
    const auto at = next_deadline(state_);
    Duration wait = milliseconds(roll(400));
    if (at && chance(70)) wait = std::max(*at - now_.time, Duration::zero());
    if (ending_ && at)
        wait = std::max(*at - now_.time, Duration::zero());
    else if (chance(3))
        wait += std::chrono::minutes(10);
    now_.time += wait;
    now_.wall.ns += wait.count();
    happen(TimePassed{});
}

void RandomHistory::random_wish() {
    switch (roll(40)) {
    case 0:
        if (chance(10))
            happen(ShutdownAsked{"SIGTERM"});
        else
            happen(ReloadAsked{});
        return;
    case 1:
    case 2:
        if (chance(50))
            happen(UpgradeSignalled{});
        else
            happen(BinaryChanged{{.inode = roll(4)}, chance(20)});
        return;
    case 3:
        pending_.push_back(UpgradeBegun{"/bin/keepd", FileIdentity{.inode = roll(4)}});
        report_pending();
        return;
    case 4:
    case 5:
    case 6:
    case 7: happen(ReloadAsked{}); return;
    case 8: happen(SignalAsked{random_name(), 0, SIGHUP}); return;
    default: break;
    }
    if (chance(40))
        happen(StartAsked{random_name(), 7});
    else if (chance(50))
        happen(RestartAsked{random_name(), 7});
    else
        happen(StopAsked{random_name(), 7});
}

Event RandomHistory::late_event() {
    std::string name = "nobody";
    RunId run{roll(20)};
    if (!past_runs_.empty() && chance(90)) std::tie(name, run) = past_runs_[roll(past_runs_.size())];
    switch (roll(5)) {
    case 0: return Spawned{name, run, 3};
    case 1: return SpawnFailed{name, run, "late"};
    case 2: return Exited{name, run, random_status(), {}, chance(50)};
    case 3: return TreeEmpty{name, run};
    default: return Survived{name, run, {"pid 1 (late)"}};
    }
}

ExitStatus RandomHistory::random_status() {
    if (chance(5)) return {};
    if (chance(30)) return ExitStatus::signaled(any(std::vector<int>{SIGTERM, SIGKILL, SIGSEGV}));
    return ExitStatus::exited(any(std::vector<int>{0, 1, 7}));
}

config::Program RandomHistory::random_program(const std::string& name) {
    using config::KillMode;
    using config::RestartPolicy;
    config::Program program;
    program.name = name;
    program.base = name.substr(0, name.find('@'));
    program.argv = {chance(80) ? "/bin/a" : "/bin/b"};
    program.executable = program.argv[0];
    program.type = name == "job" ? config::Type::oneshot : config::Type::simple;
    program.autostart = chance(85);
    config::Restart& restart = program.restart;
    restart.policy = any(
        std::vector{RestartPolicy::always, RestartPolicy::on_failure, RestartPolicy::on_abnormal, RestartPolicy::no});
    if (program.type == config::Type::oneshot && restart.policy == RestartPolicy::always)
        restart.policy = RestartPolicy::no;
    restart.delay = any(std::vector<Duration>{Duration{}, milliseconds(500), seconds(5)});
    restart.start_limit_burst = any(std::vector<int>{0, 3, 10});
    restart.start_limit_action = any(std::vector{config::StartLimitAction::slow, config::StartLimitAction::fail});
    if (chance(1)) restart.start_limit_action = config::StartLimitAction::shutdown;
    restart.reset_after = any(std::vector<Duration>{Duration{}, seconds(2), seconds(60)});
    if (chance(20)) restart.prevent_exit_codes = {{config::ExitMatch::Kind::code, 7}};
    if (chance(20)) restart.force_exit_codes = {{config::ExitMatch::Kind::signal, SIGTERM}};
    program.stop.kill_mode = any(std::vector{KillMode::tree, KillMode::tree, KillMode::group, KillMode::process});
    program.stop.sequence.clear();
    for (std::size_t i = 0; i <= roll(3); ++i)
        program.stop.sequence.push_back({chance(80) ? SIGTERM : SIGINT, milliseconds(roll(3) * 1000)});
    program.out.path = chance(80) ? "/log/a" : "/log/b";
    if (chance(10)) program.out.kind = config::Output::Kind::null;
    return program;
}

std::shared_ptr<const config::Plan> RandomHistory::random_plan() {
    auto plan = std::make_shared<config::Plan>();
    plan->daemon.shutdown_timeout = seconds(chance(50) ? 5 : 60);
    plan->daemon.upgrade.min_interval = seconds(chance(50) ? 0 : 10);
    for (const std::string& name : names) {
        const auto now = state_.programs.find(name);
        const bool keep_spec = now != state_.programs.end() && chance(75);
        if (keep_spec)
            plan->programs.emplace(name, now->second.spec);
        else if (chance(85))
            plan->programs.emplace(name, random_program(name));
    }
    return plan;
}

int RandomHistory::shut_down(int most) {
    ending_ = true;
    happen(ShutdownAsked{"SIGTERM"});
    for (int i = 0; i < most && !quit_; ++i) {
        if (pending_.empty())
            let_time_pass();
        else
            report_pending();
    }
    if (!quit_) throw std::runtime_error("keepd does not end");
    return *quit_;
}

std::size_t RandomHistory::exits_reported(RunId run) const {
    const auto found = exits_reported_.find(run.value);
    return found == exits_reported_.end() ? 0 : found->second;
}

void for_each_random_state(std::uint64_t seed, int events, const std::function<void(const State&)>& callback) {
    RandomHistory history(seed);
    for (int i = 0; i < events; ++i) {
        callback(history.state());
        if (!history.advance()) history = RandomHistory(seed += 1'000'003);
    }
}

} // namespace keepd::core::test
