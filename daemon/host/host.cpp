#include "daemon/host/host.hpp"

#include <csignal>
#include <cstdint>
#include <malloc.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utility>

#include "daemon/core/describe.hpp"
#include "daemon/host/adopter.hpp"
#include "daemon/host/run_numbers.hpp"
#include "daemon/host/upgrader.hpp"
#include "daemon/host/usable.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/pidfd.hpp"
#include "lib/sys/signals.hpp"
#include "systemd/notify.hpp"

namespace keepd::host {

namespace {

// The manager hears of a change of the counts at most this often.
constexpr auto status_every = std::chrono::seconds(1);

constexpr int swept_at_once = 16;

} // namespace

Host::Host(Options options, Heritage heritage, Log& log)
    : options_(std::move(options)), heritage_(std::move(heritage)), log_(log),
      estate_(log, [this] { return living(); }) {}

Host::~Host() = default;

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
    if (auto r = take(loop_->timer([this] { sweep(); }), sweep_timer_); !r) return r;
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
    watch_binary();
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
    if (const auto cleared = trees_.clear_away(); !cleared)
        log_.error("not everything that programs have left is gone: " + cleared.error().message);
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
    if (std::exchange(ready_due_, false)) tell_ready();
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

// A manager that hangs, or is being replaced itself, would wait for it for ever.
void Host::tell_ready() {
    ready_owed_ = !systemd::notify_ready(status_line());
    if (ready_owed_) log_.warning("the service manager does not read that keepd is ready; it is told again");
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
    if ((status == last_status_ && !ready_owed_) || stopping_told_) return;
    const auto time = now().time;
    if (time < next_status_at_) {
        (void)status_timer_.set_time(next_status_at_);
        return;
    }
    next_status_at_ = time + status_every;
    if (ready_owed_)
        ready_owed_ = !systemd::notify_ready_at_once(status);
    else
        systemd::notify_status(status);
    if (ready_owed_) (void)status_timer_.set_time(next_status_at_);
    last_status_ = std::move(status);
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
        case SIGTERM:
            if (static_cast<pid_t>((*signal)->ssi_pid) == getppid())
                estate_.note_stop(state_.daemon.settings.runtime_dir);
            submit(core::ShutdownAsked{"SIGTERM"});
            break;
        case SIGINT: submit(core::ShutdownAsked{"SIGINT"}); break;
        case SIGUSR1: reopen_logs(); break;
        case SIGUSR2: submit(core::UpgradeSignalled{}); break;
        default: break;
        }
    }
    if (child_ended) sweep();
}

// A few at a time: programs that end as quickly as they are started again must not keep keepd from all else.
void Host::sweep() {
    for (int number = 0;; ++number) {
        if (number == swept_at_once) return (void)sweep_timer_.set_time(now().time);
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
