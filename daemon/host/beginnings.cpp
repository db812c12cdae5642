// The three ways in which a host begins: at first, as a new image, and for a keepd that was killed.
#include <random>
#include <sys/stat.h>
#include <utility>

#include "daemon/host/adopter.hpp"
#include "daemon/host/host.hpp"
#include "daemon/host/run_numbers.hpp"
#include "daemon/host/upgrader.hpp"
#include "daemon/upgrade/guard.hpp"
#include "lib/sys/clock.hpp"
#include "systemd/notify.hpp"

namespace keepd::host {

namespace {

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
    tell_ready();
    return {};
}

keep::Result<> Host::resume(upgrade::Resumed resumed) {
    upgrade::Handoff& handoff = resumed.handoff;
    started_by_ = handoff.started_by;
    state_ = std::move(resumed.state);
    unknown_ = std::move(resumed.unknown);
    heritage_ = Heritage(std::move(handoff.origins));
    unclaimed_ = std::move(resumed.unclaimed);
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
            run->foster = std::make_unique<Foster>(carried.pid, carried.pidfd, keep::sys::Fd::adopt(carried.stat),
                                                   carried.trusted);
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
    tell_ready();
    if (const auto interval = systemd::watchdog_interval()) systemd::notify_watchdog(*interval); // as before the exec
    const bool replaced = !options_.rolled_back;
    submit(core::UpgradeFinished{replaced, replaced, text});
    server_->upgrade_ended(replaced, replaced ? 0 : 1, text);
#ifdef KEEPD_NEXT
    // This image has changed the state beside the policy (next.cpp).
    core::Effects all;
    for (const auto& [name, program] : state_.programs)
        all.touched.push_back(name);
    save(all);
#endif
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
    if (auto streams = adopter.take_streams(); !streams) return streams;
    watch_log_files();
    adopter.take_runs();
    submit(core::Recovered{adopter.report(), adopter.complete()});
    trees_.find_lingering(runs_);
    estate_.mark_stale();
    park_listener();
    tell_ready();
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

} // namespace keepd::host
