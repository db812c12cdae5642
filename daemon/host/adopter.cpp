#include "daemon/host/adopter.hpp"

#include <csignal>
#include <map>
#include <unistd.h>
#include <utility>

#include "daemon/core/step.hpp"
#include "daemon/host/program_environment.hpp"
#include "lib/sys/credentials.hpp"
#include "lib/sys/pidfd.hpp"
#include "lib/sys/procfs.hpp"
#include "lib/sys/sockets.hpp"
#include "systemd/descriptor_store.hpp"

namespace keepd::host {

namespace {

using upgrade::Slip;

// What a stream's bytes are to go to, if a program of the state has it.
std::map<std::string, logs::Target> wanted_streams(const core::State& state) {
    std::map<std::string, logs::Target> wanted;
    for (const auto& [name, program] : state.programs) {
        if (program.spec.out.kind == config::Output::Kind::file) wanted[stdout_id(name)] = target_of(program.spec.out);
        if (program.spec.err.kind == config::Output::Kind::file) wanted[stderr_id(name)] = target_of(program.spec.err);
    }
    return wanted;
}

// Whether who connects to `path` gets to this listener: the path may have been taken away, or be another keepd's.
bool is_reached_by(const keep::sys::Fd& listener, const std::string& path) {
    const auto knock = keep::sys::connect_unix(path); // a client that says nothing and leaves
    if (!knock) return false;
    const auto who = keep::sys::peer_credentials(knock->get());
    const auto we = keep::sys::peer_credentials(listener.get()); // both: who began to listen
    return who && we && who->pid == we->pid;
}

bool is_its_listener(const upgrade::Found& found, const std::string& path) {
    return found.slip.kind == upgrade::Slip::Kind::listener && found.fds.size() == 1 && found.slip.name == path &&
           is_reached_by(found.fds[0], path);
}

// The process that this identity is of; none if it is gone.
keep::exec::Process process_of(const upgrade::RunIdentity& identity) {
    auto fd = keep::sys::pidfd_open(identity.pid);
    const auto stat = keep::sys::process_stat(identity.pid);
    if (!fd || !stat || stat->start_ticks != identity.start_ticks) return {};
    if (identity.inode != 0 && keep::sys::process_inode(fd->get()) != identity.inode) return {};
    return keep::exec::Process(identity.pid, std::move(*fd));
}

} // namespace

void kill_remains(const upgrade::Legacy& legacy) {
    for (const auto& [run, identity] : legacy.runs)
        if (const auto process = process_of(identity)) {
            (void)process.signal_group(SIGKILL); // each run has one of its own; gone already is as good
            (void)process.kill();
        }
    const auto& path = legacy.state.daemon.settings.control.path;
    for (const auto& found : legacy.found)
        if (is_its_listener(found, path)) (void)::unlink(path.c_str());
    if (!legacy.by_store) return;
    systemd::forget_stored(upgrade::stored_checkpoint);
    for (const char* name : upgrade::stored_vaults)
        systemd::forget_stored(name);
    systemd::await_manager();
}

Adopter::Adopter(Host& host, upgrade::Legacy& legacy) : host_(host), legacy_(legacy) {
    for (auto& found : legacy_.found)
        if (found.slip.kind == Slip::Kind::run && found.fds.size() == 1) parked_.try_emplace(found.slip.run, &found);
}

keep::Result<> Adopter::take_streams() {
    auto wanted = wanted_streams(host_.state_);
    std::vector<logs::StreamState> streams;
    // The newest of a name is the one that is open; older ones are drained.
    for (auto found = legacy_.found.rbegin(); found != legacy_.found.rend(); ++found) {
        if (found->slip.kind != Slip::Kind::stream || found->fds.empty()) continue;
        logs::StreamState& stream = streams.emplace_back();
        stream.id = found->slip.name;
        stream.target = found->slip.target;
        stream.pipe_read = found->fds[0].release();
        const auto open = wanted.find(stream.id);
        if (open == wanted.end() || found->fds.size() < 2) continue;
        stream.pipe_write = found->fds[1].release();
        stream.target = open->second;
        wanted.erase(open);
    }
    for (const auto& [id, target] : wanted) {
        const auto program = host_.state_.programs.find(id.substr(0, id.rfind('/')));
        if (program != host_.state_.programs.end() && core::live_run(program->second).value != 0)
            lost_.push_back("the pipe of " + id + " (what it writes from now on fails)");
    }
    auto pump = logs::Pump::resume(streams);
    if (!pump) return std::unexpected(pump.error()); // keepd ends; the vault has the pipes still
    host_.pump_ = std::move(*pump);
    return {};
}

keep::Result<> Adopter::take_control() {
    const auto& settings = host_.state_.daemon.settings.control;
    control::Parked parked;
    for (auto& found : legacy_.found)
        if (is_its_listener(found, settings.path)) parked.listener = found.fds[0].release();
    parked.path = settings.path;
    auto server = parked.listener >= 0 ? control::Server::resume(*host_.loop_, host_, std::move(parked))
                                       : control::Server::listen(*host_.loop_, host_, settings);
    if (!server) return std::unexpected(server.error());
    host_.server_ = std::move(*server);
    return {};
}

void Adopter::take_runs() {
    std::vector<std::string> names;
    for (const auto& [name, program] : host_.state_.programs)
        if (core::live_run(program).value != 0) names.push_back(name);
    for (const auto& name : names)
        take_run(name, host_.state_.programs.at(name));
}

void Adopter::take_run(const std::string& name, const core::Program& program) {
    const core::RunId id = core::live_run(program);
    const auto* stopping = std::get_if<core::Stopping>(&program.phase);
    const auto* running = std::get_if<core::Running>(&program.phase);
    const int known_pid = running != nullptr ? running->pid : stopping != nullptr ? stopping->pid : 0;
    const bool ended = stopping != nullptr && stopping->ended.has_value(); // what it left behind is awaited

    auto run = std::make_unique<Run>();
    run->program = name;
    run->id = id;
    run->scope = program.spec.stop.kill_mode;
    run->reaped = ended;
    run->process = ended ? keep::exec::Process(known_pid, {}) : find(id, known_pid);
    run->cgroup = host_.trees_.cgroup_of(id);
    if (!run->process && known_pid == 0) { // it had not been started
        if (stopping != nullptr) host_.submit(core::SpawnFailed{name, id, "keepd was killed before it was started"});
        return; // what was to be started is: Recovered sees to that
    }
    const bool found = bool(run->process);
    if (!found) {
        run->process = keep::exec::Process(known_pid, {});
        run->reaped = true;
    }
    if (found && !ended) {
        run->foster = std::make_unique<Foster>(run->process.pid(), run->process.pidfd());
        ++taken_;
    }
    Run& added = host_.runs_.add(std::move(run));
    if (known_pid == 0) host_.submit(core::Spawned{name, id, added.process.pid()});
    if (!found && !ended) {
        lost_.push_back(name + " (pid " + std::to_string(known_pid) + "), which is gone; how it ended is unknown");
        host_.submit(core::Exited{name, id, {}, {}, host_.trees_.empty_after_exit(added)});
        if (Run* left = host_.runs_.by_id(id)) host_.await_leftovers(*left);
    } else if (ended) {
        host_.await_leftovers(added);
    } else {
        host_.watch_foster(added);
    }
}

keep::exec::Process Adopter::find(core::RunId run, int pid) {
    if (const auto found = parked_.find(run); found != parked_.end())
        return keep::exec::Process(found->second->slip.pid, std::move(found->second->fds[0]));
    if (!host_.trees_.root().empty()) {
        auto leader = host_.trees_.find_leader(run, legacy_.host.image);
        if (leader) return std::move(*leader);
        return {};
    }
    return pid != 0 ? by_identity(run) : by_environment(run);
}

keep::exec::Process Adopter::by_identity(core::RunId run) {
    const auto known = legacy_.runs.find(run);
    return known == legacy_.runs.end() ? keep::exec::Process() : process_of(known->second);
}

// Of a spawn whose record is missing: by the mark that it carries where no cgroup does.
keep::exec::Process Adopter::by_environment(core::RunId run) const {
    const std::string mark = run_mark(run, host_.state_.daemon.seed);
    const auto all = keep::sys::all_processes();
    if (!all) return {};
    for (const pid_t pid : *all) {
        const auto stat = keep::sys::process_stat(pid);
        if (!stat || stat->session != pid) continue;
        auto fd = keep::sys::pidfd_open(pid);
        const auto environment = keep::sys::read_file("/proc/" + std::to_string(pid) + "/environ");
        if (!fd || !environment || !keep::sys::pidfd_send_signal(fd->get(), 0)) continue;
        if (environment->starts_with(mark + '\0') || environment->find('\0' + mark + '\0') != std::string::npos)
            return keep::exec::Process(pid, std::move(*fd));
    }
    return {};
}

std::string Adopter::report() const {
    std::string text = "took over from a keepd that was killed: " + std::to_string(taken_) +
                       (taken_ == 1 ? " process untouched" : " processes untouched");
    for (const auto& one : lost_)
        text += "; lost: " + one;
    return text;
}

} // namespace keepd::host
