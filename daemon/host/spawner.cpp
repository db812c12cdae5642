#include "daemon/host/spawner.hpp"

#include <unistd.h>
#include <utility>

#include "daemon/host/program_environment.hpp"

namespace keepd::host {

using config::Output;

namespace {

// The descriptor that a stream of the child becomes: the pump's pipe, keepd's own, or none (/dev/null).
int stream_fd(const Output& output, logs::Pump& pump, const std::string& id, int own) {
    switch (output.kind) {
    case Output::Kind::file: return pump.write_end(id);
    case Output::Kind::inherit: return own;
    case Output::Kind::null:
    case Output::Kind::to_stdout: return -1;
    }
    return -1;
}

keep::Result<> arrange_one(logs::Pump& pump, const std::string& id, const Output& output) {
    if (output.kind != Output::Kind::file) {
        // A program that was given the pipe may still write into it: it is read until the last one lets go.
        if (pump.write_end(id) >= 0) pump.close(id);
        return {};
    }
    const auto opened = pump.open(id, target_of(output));
    if (!opened) return keep::fail_in("log stream " + id, opened.error());
    return {};
}

// The library speaks as Go's does ("fork/exec PATH: ..."); an operator reads which step failed, on what, and why.
keep::Error for_people(const keep::exec::Error& error) {
    std::string text = "start '" + std::string(error.path()) + "': ";
    if (error.step() != keep::exec::Step::none) text += std::string(step_name(error.step())) + " ";
    if (!error.object().empty()) text += "'" + std::string(error.object()) + "' ";
    text.back() = ':';
    return {error.error_number(), text + " " + keep::exec::errno_text(error.error_number())};
}

} // namespace

logs::Target target_of(const config::Output& output) {
    return {output.path, output.max_size, output.max_files};
}

std::string stdout_id(const std::string& program) {
    return program + "/stdout";
}
std::string stderr_id(const std::string& program) {
    return program + "/stderr";
}

keep::Result<> arrange_streams(logs::Pump& pump, const config::Program& program) {
    if (auto out = arrange_one(pump, stdout_id(program.name), program.out); !out) return out;
    return arrange_one(pump, stderr_id(program.name), program.err);
}

void drop_streams(logs::Pump& pump, const std::string& program) {
    for (const auto& id : {stdout_id(program), stderr_id(program)})
        if (pump.write_end(id) >= 0) pump.close(id);
}

keep::Result<std::unique_ptr<Run>> start(const config::Program& program, core::RunId id, Heritage& heritage,
                                         keep::Time now, std::uint64_t instance, Trees& trees, logs::Pump& pump) {
    auto environment = environment_of(program, heritage.environment());
    if (!environment) return std::unexpected(environment.error());

    keep::exec::SpawnSpec spec;
    spec.path = program.executable;
    spec.argv = program.argv;
    if (trees.root().empty()) environment->push_back(run_mark(id, instance));
    spec.env = std::move(*environment);
    spec.dir = program.working_dir;
    const int out = stream_fd(program.out, pump, stdout_id(program.name), STDOUT_FILENO);
    const bool merged = program.err.kind == Output::Kind::to_stdout;
    const int err = merged ? out : stream_fd(program.err, pump, stderr_id(program.name), STDERR_FILENO);
    spec.stdio = {-1, out, err};
    auto& sys = spec.sys;
    sys.setsid = true;
    sys.signal_mask = 0; // ours blocks everything; ignored is nothing since main()
    sys.umask = program.umask;
    heritage.give(program, sys, now);
    sys.no_new_privileges = program.no_new_privileges;
    sys.pdeathsig = program.parent_death_signal;
    if (program.identity) {
        const auto& who = *program.identity;
        sys.credential = keep::exec::Credential{who.uid, who.gid, {who.groups.begin(), who.groups.end()}};
        // Programs reopen /dev/stdout and /dev/stderr by path: the pipe has to be theirs.
        if (program.out.kind == Output::Kind::file) (void)fchown(out, who.uid, static_cast<gid_t>(-1));
        if (program.err.kind == Output::Kind::file) (void)fchown(err, who.uid, static_cast<gid_t>(-1));
    }

    auto birthplace = trees.prepare(id);
    if (!birthplace) return keep::fail_in("cgroup of the run", birthplace.error());
    sys.cgroup_fd = birthplace->fd.get();

    auto process = keep::exec::spawn(spec);
    while (!process && heritage.do_without(program, process.error(), sys))
        process = keep::exec::spawn(spec);
    if (!process) {
        trees.abandon(birthplace->path);
        return std::unexpected(for_people(process.error()));
    }
    auto run = std::make_unique<Run>();
    run->program = program.name;
    run->id = id;
    run->process = std::move(*process);
    run->cgroup = std::move(birthplace->path);
    run->scope = program.stop.kill_mode;
    return run;
}

} // namespace keepd::host
