// keepd: reads like a table of contents.
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <unistd.h>

#include <keep/exec/spawn.hpp>

#include "config/paths.hpp"
#include "daemon/host/adopter.hpp"
#include "daemon/host/estate.hpp"
#include "daemon/host/host.hpp"
#include "daemon/host/next.hpp"
#include "daemon/host/upgrader.hpp"
#include "daemon/upgrade/candidate.hpp"
#include "daemon/upgrade/guard.hpp"
#include "daemon/upgrade/rehearsal.hpp"
#include "daemon/upgrade/state_file.hpp"
#include "daemon/version.hpp"
#include "lib/sys/process.hpp"
#include "lib/sys/signals.hpp"
#include "systemd/descriptor_store.hpp"

namespace {

using namespace keepd;

enum ExitCode : int { done = 0, failed = 1, config_wrong = 78 };

// Descriptors 0 to 2 must be open: what is opened next would become somebody's standard output.
void fill_standard_descriptors() {
    for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = dup(0)) {
        if (fd <= 2) continue;
        close(fd);
        return;
    }
}

void prepare_process(bool subreaper) {
    (void)keep::sys::reset_ignored_signals();
    (void)keep::sys::set_child_subreaper(subreaper);
    (void)keep::sys::set_process_name("keepd"); // after an exec by descriptor the name would be a number
}

// Once: later images find it raised, or as an operator wants it.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int print_faults(const std::vector<config::Fault>& faults) {
    for (const auto& fault : faults)
        std::fprintf(stderr, "%s\n", config::to_text(fault).c_str());
    std::fprintf(stderr, "keepd: the config is wrong (%zu %s), nothing was started\n", faults.size(),
                 faults.size() == 1 ? "fault" : "faults");
    return config_wrong;
}

int give_up(host::Log& log, const keep::Error& error) {
    log.error("keepd can't start: " + error.message);
    return failed;
}

using Reading = std::expected<config::Plan, std::vector<config::Fault>>;

Reading read_config(const host::Options& options) {
    const auto facts = config::host_facts();
    auto plan = config::load(options.config.empty() ? config::default_path(facts) : options.config, facts);
    if (plan) host::apply_overrides(*plan, options);
    return plan;
}

// Also where the config is wrong: as the command line says, or the default.
std::string runtime_dir_of(const Reading& plan, const host::Options& options) {
    if (plan) return plan->daemon.runtime_dir;
    return options.runtime_dir.empty() ? config::default_dirs(config::host_facts()).runtime : options.runtime_dir;
}

// What every first image of a process does before it opens anything.
void settle_in(bool subreaper) {
    prepare_process(subreaper);
    raise_descriptor_limit();
    // Whatever the starter left open is not ours, and must not reach a program or a later image.
    (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    (void)keep::exec::reserve_descriptors(); // while low numbers are free: thousands of pipes will come
}

std::string who_we_are() {
    return std::string("keepd ") + version() + " (build " + own_build_id().substr(0, 12) + ")";
}

int adopt(const host::Options& options, host::Log& log, host::Heritage heritage, upgrade::Legacy legacy) {
    settle_in(legacy.state.daemon.settings.subreaper);
    host::Host host(options, std::move(heritage), log);
    log.info(who_we_are() + " goes on for one that was killed");
    if (auto done = host.adopt(std::move(legacy)); !done) return give_up(log, done.error());
    return host.run();
}

// Nothing where what is left can't be used: then everything starts anew, and the reason is told.
std::optional<upgrade::Legacy> legacy_among(std::vector<systemd::Stored> stored, const std::string& file,
                                            host::Log& log) {
    auto legacy = upgrade::find_legacy(std::move(stored), file);
    if (legacy) return std::move(*legacy);
    log.error("what the keepd before has left can't be taken over, everything starts anew: " + legacy.error().message);
    return std::nullopt;
}

// After keepd's end, by the service manager: an end that was begun but not carried out leaves nothing behind. After a
// crash there is no such mark, and the programs wait for the next keepd.
int sweep(const host::Options& options) {
    if (access(host::ending_mark(runtime_dir_of(read_config(options), options)).c_str(), F_OK) != 0) return done;
    const auto swept = host::Trees::sweep();
    if (!swept) std::fprintf(stderr, "keepd: what is left can't be cleared away: %s\n", swept.error().message.c_str());
    return swept ? done : failed;
}

// An end that was cut short is gone on with only where the next keepd comes by itself: what is left is killed
// otherwise. `by_itself`: nobody has asked for one.
bool starts_anew(const upgrade::Legacy& legacy, bool by_itself, host::Log& log) {
    if (by_itself || !std::holds_alternative<core::ShuttingDown>(legacy.state.daemon.stage)) return false;
    log.warning("the keepd before was killed while it ended: what it left is killed, everything starts anew");
    host::kill_remains(legacy);
    (void)unlink(host::checkpoint_file(legacy.state.daemon.settings.runtime_dir).c_str());
    return true;
}

// The service manager restarts what failed, but not what it was told to stop.
bool was_stopped(const upgrade::Legacy& legacy) {
    return access(host::stop_mark(legacy.state.daemon.settings.runtime_dir).c_str(), F_OK) == 0;
}

int start(const host::Options& options, host::Log& log) {
    host::Heritage heritage(host::find_origins());
    // What a keepd that was killed has left goes on, whatever the config says by now: that may be wrong, and the
    // programs must not be without a keepd for it.
    if (auto legacy = legacy_among(systemd::take_stored(), "", log);
        legacy && !starts_anew(*legacy, !was_stopped(*legacy), log))
        return adopt(options, log, std::move(heritage), std::move(*legacy));
    auto plan = read_config(options);
    if (auto legacy = legacy_among({}, host::checkpoint_file(runtime_dir_of(plan, options)), log);
        legacy && !starts_anew(*legacy, false, log))
        return adopt(options, log, std::move(heritage), std::move(*legacy));
    if (!plan) return print_faults(plan.error());

    const std::string started_by = upgrade::path_started_by(options.argv[0]);
    settle_in(plan->daemon.subreaper);
    host::Host host(options, std::move(heritage), log);
    log.info(who_we_are() + " starts with " + plan->daemon.config_path);
    if (auto started = host.first_start(std::move(*plan), started_by); !started) return give_up(log, started.error());
    return host.run();
}

int check(const host::Options& options) {
    const auto plan = read_config(options);
    if (!plan) return print_faults(plan.error());
    return std::puts("the config is good"), done;
}

// What is wrong is told by the image that goes on: the old one where there is a way back.
int fail_to_resume(host::Log& log, const keep::Error& error) {
    upgrade::roll_back(error.message);
    return give_up(log, error);
}

int resume(const host::Options& options, host::Log& log) {
    auto resumed = upgrade::read_state(options.resume_fd);
    if (!resumed) return fail_to_resume(log, resumed.error());
    prepare_process(resumed->state.daemon.settings.subreaper);
    // Whoever failed after us may have lost a client's connection on the way; all else must be there.
    if (options.rolled_back) upgrade::forget_lost_clients(resumed->handoff);
    if (auto verified = upgrade::verify_descriptors(resumed->handoff); !verified)
        return fail_to_resume(log, verified.error());
    for (const auto& part : upgrade::carry_along(*resumed))
        log.warning("the image before this one said of " + part + " what this one does not know; it is forgotten");
    std::vector<int> own = log.descriptors();
    own.insert(own.end(), {options.resume_fd, upgrade::way_back_fd()});
    for (const auto& carried : resumed->unclaimed)
        own.push_back(carried.fd);
    for (const auto& stranger : upgrade::close_strangers(resumed->handoff, own))
        log.warning("closed a descriptor that nobody handed over: " + stranger);
#ifdef KEEPD_NEXT
    host::use_next_fields(*resumed, log);
#endif
    (void)keep::exec::reserve_descriptors();

    host::Host host(options, {}, log);
    if (auto done = host.resume(std::move(*resumed)); !done) return fail_to_resume(log, done.error());
    close(options.resume_fd);
    return host.run();
}

} // namespace

int main(int argc, char** argv) {
    upgrade::raise_guard(argc, argv); // before anything that could fail
    const auto options = host::parse_options({argv, argv + argc});
    if (!options) {
        std::fputs(options.error().text.c_str(), options.error().code == 0 ? stdout : stderr);
        return options.error().code;
    }
    if (options->sweep) return sweep(*options);
    if (options->rehearse_fd >= 0) return upgrade::rehearse(options->rehearse_fd);
    if (options->version) return std::printf("keepd %s (build %s)\n", version(), own_build_id().c_str()), done;
    fill_standard_descriptors();
    if (options->check) return check(*options);
    // Everything is blocked and read by signalfd, for keepd's whole life and across upgrades: a signal waits, none is
    // lost.
    (void)keep::sys::block_all();
    // But not what says that this image is broken, or that the service manager's watchdog finds it so.
    (void)keep::sys::unblock(
        keep::sys::signal_set({SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGSYS, SIGTRAP}));
    host::Log log;
    if (!options->log_level.empty()) log.override_level(options->log_level);
    if (!options->log_target.empty()) log.override_target(options->log_target);
    return options->resume_fd >= 0 ? resume(*options, log) : start(*options, log);
}
