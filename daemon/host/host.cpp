#include "daemon/host/host.hpp"

#include <csignal>
#include <cstdint>
#include <malloc.h>
#include <random>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "daemon/core/describe.hpp"
#include "daemon/host/adopter.hpp"
#include "daemon/host/run_numbers.hpp"
#include "daemon/host/upgrader.hpp"
#include "daemon/host/usable.hpp"
#include "daemon/upgrade/guard.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/pidfd.hpp"
#include "lib/sys/signals.hpp"
#include "systemd/notify.hpp"

namespace keepd::host {

namespace {

// The manager hears of a change of the counts at most this often.
constexpr auto status_every = std::chrono::seconds(1);

keep::Result<> make_directory(const std::string& path, mode_t mode) {
    for (std::size_t at = 1; at != std::string::npos;) {
        at = path.find('/', at + 1);
        const std::string part = path.substr(0, at);
        if (mkdir(part.c_str(), at == std::string::npos ? mode : 0755) != 0 && errno != EEXIST)
            return keep::fail_errno("make directory", part, errno);
    }
    return {};
}

} // namespace

Host::Host(Options options, Origins origins, Log& log)
    : options_(std::move(options)), origins_(std::move(origins)), log_(log), estate_(log, [this] { return living(); }) {
}

Host::~Host() = default;

// ---- beginnings --------------------------------------------------------------------------------------------------

keep::Result<> Host::first_start(config::Plan plan, const std::string& started_by) {
    started_by_ = started_by;
    if (auto made = make_directories(plan.daemon); !made) return made;
    if (auto loop = set_up_loop(); !loop) return loop;
    // First: a second keepd on the same socket ends here, before it has started anything.
    auto server = control::Server::listen(*loop_, *this, plan.daemon.control);
    if (!server) return std::unexpected(server.error());
    server_ = std::move(*server);
    // Until here a failure is told where keepd was started, and never in the log of the keepd that runs already.
    log_.configure(plan.daemon.log);

    std::string why_no_cgroup;
    trees_ = Trees::detect(why_no_cgroup);
    if (trees_.root().empty())
        log_.info("no cgroup of keepd's own, process groups are watched instead: " + why_no_cgroup);
    auto pump = logs::Pump::start();
    if (!pump) return std::unexpected(pump.error());
    pump_ = std::move(*pump);
    watch_log_files();
    if (auto begun = estate_.begin(header(), plan.daemon.runtime_dir); !begun) return begun;
    save_host();
    park_listener();

    const auto numbers = reserve_run_numbers(plan.daemon.state_dir);
    if (!numbers.problem.empty()) log_.warning(numbers.problem);
    state_.daemon.settings = plan.daemon;
    state_.daemon.next_run = numbers.first;
    state_.daemon.seed = std::random_device{}();
    state_.daemon.started_at = now().wall;
    submit(core::PlanLoaded{std::make_shared<const config::Plan>(std::move(plan))});
    systemd::notify_ready(status_line());
    return {};
}

keep::Result<> Host::resume(upgrade::Resumed resumed) {
    upgrade::Handoff& handoff = resumed.handoff;
    started_by_ = handoff.started_by;
    state_ = std::move(resumed.state);
    unknown_ = std::move(resumed.unknown);
    origins_.soft_nofile = handoff.soft_nofile;
    log_.configure(state_.daemon.settings.log);
    if (auto loop = set_up_loop(); !loop) return loop;
    if (auto resumed_estate = estate_.resume(handoff, header()); !resumed_estate) return resumed_estate;

    trees_ = Trees(handoff.tree_root);
    for (const auto& carried : handoff.runs) {
        auto run = std::make_unique<Run>();
        run->program = carried.program;
        run->id = carried.run;
        run->process = keep::exec::Process::adopt(carried.pid, carried.pidfd);
        run->cgroup = carried.cgroup;
        const auto program = state_.programs.find(carried.program);
        if (program == state_.programs.end())
            return keep::fail("a process of '" + carried.program + "' was handed over, but no such program");
        run->scope = program->second.spec.stop.kill_mode;
        const auto* stopping = std::get_if<core::Stopping>(&program->second.phase);
        run->reaped = stopping != nullptr && stopping->ended.has_value();
        if (carried.foster)
            run->foster = std::make_unique<Foster>(carried.pidfd, keep::sys::Fd::adopt(carried.stat), carried.trusted);
        for (const auto& member : carried.members)
            run->members.push_back({keep::exec::Process::adopt(member.pid, member.pidfd), {}});
        runs_.add(std::move(run));
    }

    trees_.find_lingering(runs_);

    // The pump holds still, and the server says nothing before the loop turns.
    auto pump = logs::Pump::resume(handoff.streams, nullptr, logs::Pump::Begin::when_told);
    if (!pump) return std::unexpected(pump.error());
    pump_ = std::move(*pump);
    using Losing = control::Server::Losing;
    auto server = control::Server::resume(*loop_, *this, std::move(handoff.control),
                                          upgrade::guarded() ? Losing::nobody : Losing::clients);
    if (!server) return std::unexpected(server.error());
    server_ = std::move(*server);

    // ---- commit: from here on there is no way back, and no failure ends keepd ----
    upgrade::lower_guard();
    if (const auto marked = keep::sys::close_on_exec_from(3); !marked)
        for (const int fd : upgrade::carried_numbers(handoff))
            (void)keep::sys::set_close_on_exec(fd, true);
    pump_->begin();
    watch_log_files();

    const std::string text = how_it_went(handoff);
    // First: what waited for the upgrade's end may be a shutdown, which has the last word.
    systemd::notify_ready(status_line());
    const bool replaced = !options_.rolled_back;
    submit(core::UpgradeFinished{replaced, replaced, text});
    server_->upgrade_ended(replaced, replaced ? 0 : 1, text);
    save_host();
    await_all_leftovers();
    sweep();
    return {};
}

void Host::await_all_leftovers() {
    // What follows from leftovers that are gone adds runs and ends others: no walk over them meanwhile.
    std::vector<core::RunId> leaders_gone;
    std::vector<core::RunId> fosters;
    runs_.each([&](const Run& run) {
        if (run.reaped)
            leaders_gone.push_back(run.id);
        else if (run.foster)
            fosters.push_back(run.id);
    });
    for (const core::RunId id : leaders_gone)
        if (Run* run = runs_.by_id(id)) await_leftovers(*run);
    for (const core::RunId id : fosters)
        if (Run* run = runs_.by_id(id)) watch_foster(*run);
}

keep::Result<> Host::adopt(upgrade::Legacy legacy) {
    state_ = std::move(legacy.state);
    unknown_ = std::move(legacy.unknown);
    started_by_ = legacy.host.started_by;
    log_.configure(state_.daemon.settings.log);
    if (auto loop = set_up_loop(); !loop) return loop;
    Adopter adopter(*this, legacy);
    // First: a second keepd on the same socket ends here, before it has touched anything.
    if (auto control = adopter.take_control(); !control) return control;
    std::string why_no_cgroup;
    trees_ = Trees::adopt(legacy.host.tree_root, why_no_cgroup);
    if (trees_.root().empty())
        log_.info("no cgroup of keepd's own, process groups are watched instead: " + why_no_cgroup);
    if (auto estate = estate_.take_over(legacy, state_.daemon.settings.runtime_dir); !estate) return estate;
    save_host();
    adopter.take_streams();
    if (!pump_) return keep::fail("no log pump");
    watch_log_files();
    adopter.take_runs();
    submit(core::Recovered{adopter.report(), adopter.complete()});
    trees_.find_lingering(runs_);
    estate_.mark_stale();
    park_listener();
    systemd::notify_ready(status_line());
    return {};
}

checkpoint::Header Host::header() const {
    return {checkpoint::format_major, checkpoint::format_minor, identity().version, identity().build_id};
}

std::string Host::how_it_went(const upgrade::Handoff& handoff) const {
    const auto image = [](const std::string& version, const std::string& build_id) {
        return version + " (build " + build_id.substr(0, 12) + ")";
    };
    const auto gap = now().time - handoff.parked_at;
    const std::string untouched =
        std::to_string(runs_.size()) + (runs_.size() == 1 ? " process" : " processes") + " untouched, " +
        std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(gap).count() / 1000.0).substr(0, 5) +
        " ms without keepd";
    if (options_.rolled_back)
        return "rolled back: " + handoff.to_path + ", " + image(handoff.to_version, handoff.to_build_id) +
               ", could not take over: " + *options_.rolled_back + "; " +
               image(identity().version, identity().build_id) + " goes on, " + untouched;
    return "upgraded from " + image(handoff.from_version, handoff.from_build_id) + " to " +
           image(identity().version, identity().build_id) + ", " + untouched;
}

keep::Result<> Host::make_directories(const config::Daemon& settings) {
    if (auto made = make_directory(settings.runtime_dir, 0755); !made) return made;
    if (auto made = make_directory(settings.log_dir, 0750); !made) return made;
    // Where it can't be written to, run numbers start anew; that alone is no reason not to serve.
    if (auto made = make_directory(settings.state_dir, 0700); !made) log_.warning("state_dir: " + made.error().message);
    return {};
}

keep::Result<> Host::set_up_loop() {
    auto loop = systemd::Loop::create();
    if (!loop) return std::unexpected(loop.error());
    loop_ = std::move(*loop);
    auto signals = keep::sys::signal_fd(keep::sys::signal_set({SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2}));
    if (!signals) return std::unexpected(signals.error());
    signals_ = std::move(*signals);

    const auto take = [](auto result, systemd::Source& into) -> keep::Result<> {
        if (!result) return std::unexpected(result.error());
        into = std::move(*result);
        return {};
    };
    if (auto r = take(loop_->watch(signals_.get(), EPOLLIN, [this](std::uint32_t) { read_signals(); }), signal_source_);
        !r)
        return r;
    if (auto r = take(loop_->timer([this] {
            armed_.reset();
            submit(core::TimePassed{});
        }),
                      deadline_timer_);
        !r)
        return r;
    if (auto r = take(loop_->timer([this] {
            systemd::notify_watchdog();
            (void)watchdog_timer_.set_time(now().time + *watchdog_every_);
        }),
                      watchdog_timer_);
        !r)
        return r;
    if (auto r = take(loop_->timer([] {}), status_timer_); !r) return r; // its turn ends with settle()
    if (auto r = take(loop_->after_turn([this] { settle(); }), turn_source_); !r) return r;
    if (const auto interval = systemd::watchdog_interval()) {
        watchdog_every_ = *interval / 2;
        systemd::notify_watchdog();
        if (auto r = watchdog_timer_.set_time(now().time + *watchdog_every_); !r) return r;
    }
    upgrader_ = std::make_unique<Upgrader>(*this);
    return {};
}

// ---- turns -------------------------------------------------------------------------------------------------------

int Host::run() {
    settle();
    while (!exit_code_) {
        if (const auto turned = loop_->run(); !turned) {
            log_.error("the event loop failed, keepd ends: " + turned.error().message);
            return 1;
        }
        // Outside of every handler, on the main thread: where an image may be replaced.
        if (upgrader_->ready()) upgrader_->carry_out();
    }
    server_->say_goodbye();
    trees_.clear_away();
    estate_.end();
    give_back_run_numbers(state_.daemon.settings.state_dir, state_.daemon.next_run);
    if (!pump_->drain(std::chrono::seconds(5))) log_.error("logs: not everything that programs wrote could be stored");
    log_.flush();
    return *exit_code_;
}

void Host::submit(const core::Event& event) {
    queue_.push_back(event);
    if (draining_) return;
    draining_ = true;
    const bool was_serving = !stopping_told_;
    while (!queue_.empty()) {
        const core::Event next = std::move(queue_.front());
        queue_.pop_front();
        const core::Effects effects = core::step(state_, next, now());
        save(effects);
        for (const auto& action : effects.actions)
            perform(action);
        if (server_) server_->changed(effects.touched, effects.daemon_touched);
    }
    draining_ = false;
    if (std::exchange(ready_due_, false)) systemd::notify_ready(status_line());
    if (was_serving && std::holds_alternative<core::ShuttingDown>(state_.daemon.stage)) {
        stopping_told_ = true;
        estate_.begin_end(state_.daemon.settings.runtime_dir);
        systemd::notify_stopping("stopping " + std::to_string(runs_.size()) + " processes");
    }
}

void Host::save(const core::Effects& effects) {
    // What one step touched is there together or not at all.
    std::vector<checkpoint::Live::Change> changes;
    for (const auto& name : effects.touched) {
        const auto program = state_.programs.find(name);
        auto& change = changes.emplace_back(checkpoint::program_key(name), std::nullopt);
        if (program == state_.programs.end())
            unknown_.forget(change.key);
        else
            change.bytes = checkpoint::encode(program->second, unknown_);
    }
    if (effects.daemon_touched || !effects.touched.empty())
        changes.emplace_back(std::string(checkpoint::daemon_key), checkpoint::encode(state_.daemon, unknown_));
    if (const auto saved = estate_.live().apply(changes); !saved)
        log_.error("the state is not saved, a crash of keepd would lose it: " + saved.error().message);
}

void Host::watch_log_files() {
    auto source = loop_->watch(pump_->problem_fd(), EPOLLIN, [this](std::uint32_t) { tell_log_problems(); });
    if (source)
        pump_source_ = std::move(*source);
    else
        log_.error("problems of log files can't be watched: " + source.error().message);
}

void Host::tell_log_problems() {
    for (const auto& [id, status] : pump_->status()) {
        std::string& told = log_problems_[id];
        if (status.problem == told) continue;
        if (status.problem.empty())
            log_.info("log of " + id + ": works again");
        else
            log_.error("log of " + id + ": " + status.problem);
        told = status.problem;
    }
    std::erase_if(log_problems_, [](const auto& entry) { return entry.second.empty(); });
}

void Host::settle() {
    // Given back only here: during the turn the plan that was read is still at hand.
    if (std::exchange(trim_due_, false)) malloc_trim(0);
    if (pump_ && pump_->closings() != std::exchange(closings_, pump_->closings())) estate_.mark_stale();
    estate_.tidy();
    prepared_.reset(); // a reload that had to wait reads what the file says then
    const auto deadline = core::next_deadline(state_);
    if (deadline != armed_) {
        (void)deadline_timer_.set_time(deadline);
        armed_ = deadline;
    }
    std::string status = status_line();
    if (status == last_status_ || stopping_told_) return;
    const auto time = now().time;
    if (time < next_status_at_) {
        (void)status_timer_.set_time(next_status_at_);
        return;
    }
    systemd::notify_status(status);
    last_status_ = std::move(status);
    next_status_at_ = time + status_every;
}

void Host::read_signals() {
    bool child_ended = false;
    for (;;) {
        const auto signal = keep::sys::read_signal(signals_.get());
        if (!signal || !*signal) break;
        const auto number = static_cast<int>((*signal)->ssi_signo);
        switch (number) {
        case SIGCHLD: child_ended = true; break;
        case SIGHUP: submit(core::ReloadAsked{}); break;
        case SIGTERM: submit(core::ShutdownAsked{"SIGTERM"}); break;
        case SIGINT: submit(core::ShutdownAsked{"SIGINT"}); break;
        case SIGUSR1: reopen_logs(); break;
        case SIGUSR2: submit(core::UpgradeSignalled{}); break;
        default: break;
        }
    }
    if (child_ended) sweep();
}

void Host::sweep() {
    for (;;) {
        const auto child = keep::sys::peek_any_exit();
        if (!child) {
            log_.error("children can't be waited for: " + child.error().message);
            return;
        }
        if (!*child) return;
        const int pid = (*child)->pid;
        if (Run* run = runs_.by_pid(pid)) {
            ended(*run, (*child)->status, (*child)->usage);
            continue;
        }
        // A rehearsal's candidate, or an orphan that came to keepd as the subreaper.
        (void)keep::sys::reap_zombie(pid);
        if (!upgrader_->child_ended(pid, (*child)->status)) log_.debug("reaped orphan " + std::to_string(pid));
    }
}

void Host::ended(Run& run, const keep::ExitStatus& status, const keep::ResourceUsage& usage) {
    const core::RunId id = run.id;
    const std::string name = run.program;
    const int pid = run.process.pid();
    if (const auto program = state_.programs.find(name); program != state_.programs.end())
        run.scope = program->second.spec.stop.kill_mode;

    // With a cgroup the exit is saved first and reaped then, so that it can't be lost in between. Without, the zombie
    // leader would count as a member of its own group, so it has to be reaped to see whether the group is empty.
    const bool reap_first = run.cgroup.empty() || run.scope != config::KillMode::tree;
    const bool ours = run.foster == nullptr;
    if (reap_first) {
        if (ours) (void)keep::sys::reap_zombie(pid);
        runs_.mark_reaped(run);
    }
    submit(core::Exited{name, id, status, usage, trees_.empty_after_exit(run)});
    if (!reap_first && ours) (void)keep::sys::reap_zombie(pid);
    if (Run* left = runs_.by_id(id)) {
        runs_.mark_reaped(*left);
        await_leftovers(*left);
    }
}

void Host::watch_foster(Run& run) {
    const auto watched = run.foster->watch(*loop_, [this, id = run.id](const keep::ExitStatus& status) {
        if (Run* over = runs_.by_id(id)) ended(*over, status, {});
    });
    if (!watched) log_.error(run.program + ": its end can't be watched: " + watched.error().message);
}

void Host::await_leftovers(Run& run) {
    const auto empty = [this, name = run.program, id = run.id] { submit(core::TreeEmpty{name, id}); };
    if (trees_.empty_after_exit(run)) return empty();
    if (const auto watched = trees_.watch_leftovers(*loop_, run, empty); !watched)
        log_.error(run.program + ": what it left behind can't be watched: " + watched.error().message);
}

Host::Reading Host::load_plan() const {
    auto plan = config::load(state_.daemon.settings.config_path, config::host_facts());
    if (!plan) return plan;
    apply_overrides(*plan, options_);
    if (auto faults = find_unusable(state_.daemon.settings, plan->daemon); !faults.empty())
        return std::unexpected(std::move(faults));
    return plan;
}

std::string Host::status_line() const {
    const auto counts = core::count(state_);
    std::string text = std::to_string(counts.total) + (counts.total == 1 ? " program: " : " programs: ") +
                       std::to_string(counts.up) + " up";
    if (counts.waiting != 0) text += ", " + std::to_string(counts.waiting) + " waiting";
    if (counts.failed != 0) text += ", " + std::to_string(counts.failed) + " failed";
    if (counts.down != 0) text += ", " + std::to_string(counts.down) + " down";
    return text + "; generation " + std::to_string(state_.daemon.generation);
}

} // namespace keepd::host
