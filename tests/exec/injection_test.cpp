// Each system call that a start makes fails in turn, with each error that running out of something has, and with EINTR.
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <vector>

#include "tests/exec/injection_series.hpp"
#include "tests/exec/support.hpp"

using namespace keep;
using namespace keep::test;

namespace {

using Kind = Outcome::Kind;

Outcome error(const exec::Error& error) {
    return {Kind::error, error.message(), error.error_number()};
}

Outcome expect_text(std::string_view what, std::string_view got, std::string_view expected) {
    if (got == expected) return {};
    return Outcome::wrong(std::string(what) + " was '" + std::string(got) + "'");
}

constexpr std::string_view both_lines = "O:one\nE:two\n";

// Three streams through pipes, copied by the thread that start() makes.
Outcome start_and_wait(exec::Cmd command) {
    std::string output;
    std::string errors;
    command.in = exec::Source::bytes(std::string(both_lines));
    command.out = exec::Sink::buffer(output);
    command.err = exec::Sink::buffer(errors);
    if (auto started = command.start(); !started) return error(started.error());
    if (auto ended = command.wait(); !ended) return error(ended.error());
    const Outcome out = expect_text("standard output", output, "O:one\n");
    return out.kind == Kind::success ? expect_text("standard error", errors, "E:two\n") : out;
}

Outcome three_streams() {
    return start_and_wait(helper("pipetest"));
}

Outcome with_context() {
    const std::stop_source stop;
    return start_and_wait(helper(exec::Context::with_timeout(std::chrono::hours(1), stop.get_token()), "pipetest"));
}

Outcome captured_by_one_thread() {
    exec::Cmd command = helper("pipetest");
    command.in = exec::Source::bytes(std::string(both_lines));
    const exec::Output output = command.output();
    if (!output.result) return error(output.result.error());
    return expect_text("standard output", output.bytes, "O:one\n");
}

Outcome with_stdout_pipe() {
    exec::Cmd command = helper("echo", {"through", "a", "pipe"});
    auto pipe = command.stdout_pipe();
    if (!pipe) return error(pipe.error());
    if (auto started = command.start(); !started) return error(started.error());
    auto output = pipe->read_all();
    auto ended = command.wait();
    if (!output) return error(output.error());
    if (!ended) return error(ended.error());
    return expect_text("standard output", *output, "through a pipe\n");
}

// Its start fails in the child: that is the success here.
Outcome no_program() {
    std::string output;
    exec::CmdConfig config;
    config.path = "/nonesuch";
    config.in = exec::Source::bytes(std::string(both_lines));
    config.out = exec::Sink::buffer(output);
    config.err = exec::Sink::buffer(output);
    const auto started = exec::Cmd(config).start();
    if (started) return Outcome::wrong("it has started");
    return started.error().error_number() == ENOENT ? Outcome{} : error(started.error());
}

exec::Cmd hanging(exec::Context context) {
    exec::Cmd command = helper(std::move(context), "hang");
    command.in = exec::Source::bytes(std::string(both_lines));
    command.out = exec::Sink::writer([](std::string_view) -> exec::Result<> { return {}; });
    return command;
}

Outcome destroyed_unawaited() {
    exec::Cmd command = hanging({});
    if (auto started = command.start(); !started) return error(started.error());
    return {};
}

Outcome canceled() {
    std::stop_source stop;
    exec::Cmd command = hanging({stop.get_token(), {}});
    if (auto started = command.start(); !started) return error(started.error());
    stop.request_stop();
    const auto ended = command.wait();
    if (ended) return Outcome::wrong("it has ended by itself");
    return ended.error().message() == "signal: killed" ? Outcome{} : error(ended.error());
}

Outcome spawn_and_wait(const exec::SpawnSpec& spec) {
    auto process = exec::spawn(spec);
    if (!process) return error(process.error());
    auto state = process->wait();
    if (!state) return error(state.error());
    return expect_text("the end", state->to_string(), "exit status 7");
}

Outcome plain_spawn() {
    exec::SpawnSpec spec = helper_spec("exit", {"7"});
    spec.dir = "/";
    spec.sys.setsid = true;
    return spawn_and_wait(spec);
}

int high = -1; // an open descriptor with a high number

Outcome by_reserved_numbers() {
    exec::SpawnSpec spec = helper_spec("exit", {"7"});
    spec.stdio = {high, high, high};
    return spawn_and_wait(spec);
}

int image = -1; // the helper, open: for a user who cannot reach its folder

Outcome with_credential() {
    exec::SpawnSpec spec = helper_spec("exit", {"7"});
    spec.exec_fd = image;
    spec.sys.credential = exec::Credential{61234, 61235, {61236}, false};
    return spawn_and_wait(spec);
}

Outcome with_user_namespace() {
    exec::SpawnSpec spec = helper_spec("exit", {"7"});
    spec.sys.clone_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{0, ::geteuid(), 1}};
    spec.sys.gid_mappings = {{0, ::getegid(), 1}};
    return spawn_and_wait(spec);
}

// What cannot even succeed undisturbed is not tried; what can brings about here what the library keeps for good.
bool possible(Start start) {
    const Outcome outcome = start();
    if (outcome.kind == Kind::success) return true;
    if (outcome.error_number == EPERM || outcome.error_number == ENOSPC || outcome.error_number == ENOSYS) {
        MESSAGE("skipped: not permitted here: " << outcome.text);
        return false;
    }
    FAIL(outcome.text);
    return false;
}

bool is_full_run() {
    const char* full = std::getenv("KEEPD_FULL");
    return full != nullptr && std::string_view(full) == "1";
}

// Where clone3 is refused the same child takes the same steps: EINTR, which must be survived, will do for every day.
void survives_all(Start start, Clone3 clone3 = Clone3::there) {
    if (!possible(start)) return;
    std::vector<int> codes{EINTR};
    if (clone3 == Clone3::there || is_full_run()) codes.insert(codes.end(), {EMFILE, ENOMEM});
    if (is_full_run()) codes.insert(codes.end(), {EAGAIN, ENFILE});
    for (const int code : codes)
        survives(code, start, clone3);
}

} // namespace

EXEC_TEST("[go:142] [go:85] whichever call fails, a command with three streams ends, and nothing is left") {
    survives_all(three_streams);
}

EXEC_TEST("[go:142] [go:85] whichever call fails, a command with a context ends, and nothing is left") {
    survives_all(with_context);
}

EXEC_TEST("[go:142] [go:85] whichever call fails, a captured command ends, and nothing is left") {
    survives_all(captured_by_one_thread);
}

EXEC_TEST("[go:142] [go:85] [go:58] whichever call fails, a command with a pipe ends, and nothing is left") {
    survives_all(with_stdout_pipe);
}

EXEC_TEST("[go:69] [go:70] whichever call fails, a command that cannot start leaves nothing") {
    survives_all(no_program);
}

EXEC_TEST("[go:97] whichever call fails, a command that is destroyed before its end is killed and reaped") {
    survives_all(destroyed_unawaited);
}

EXEC_TEST("[go:100] [go:85] whichever call fails, a canceled command ends, and nothing is left") {
    survives_all(canceled);
}

EXEC_TEST("[go:118] [go:70] whichever call fails, a spawn ends, its child is reaped, and nothing is left") {
    survives_all(plain_spawn);
    survives_all(plain_spawn, Clone3::refused);
}

EXEC_TEST("[go:118] [go:82] whichever call fails, a spawn with high descriptors ends, and nothing is left") {
    const Fd zero = Fd::adopt(::open("/dev/zero", O_RDWR | O_CLOEXEC));
    const Fd copy = Fd::adopt(::fcntl(zero.get(), F_DUPFD_CLOEXEC, 800));
    high = copy.get();
    REQUIRE(high >= 800);
    survives_all(by_reserved_numbers);
}

EXEC_TEST("[go:118] [go:123] whichever call fails, a spawn as another user ends, and nothing is left") {
    if (!is_root()) return;
    const Fd opened = Fd::adopt(::open(helper_path().c_str(), O_PATH | O_CLOEXEC));
    image = opened.get();
    survives_all(with_credential);
    survives_all(with_credential, Clone3::refused);
}

EXEC_TEST("[go:118] [go:125] whichever call fails, a spawn in a user namespace ends, and nothing is left") {
    survives_all(with_user_namespace);
    survives_all(with_user_namespace, Clone3::refused);
}
