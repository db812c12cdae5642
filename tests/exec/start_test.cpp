// Starting a command: what is checked in which order, and what a failed start leaves behind, which is nothing.
#include <csignal>
#include <filesystem>
#include <stop_token>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "tests/exec/support.hpp"
#include "tests/exec/surroundings.hpp"

using namespace keep;
using namespace keep::test;
using exec::Errc;

namespace {

constexpr int could_not_arrange = 99; // of a forked child

exec::Context ended_context() {
    std::stop_source source;
    source.request_stop();
    return {source.get_token(), std::nullopt};
}

exec::Context past_deadline() {
    return exec::Context::with_deadline(exec::Context::Clock::now() - std::chrono::hours(1));
}

// Fails with this, and nothing was started.
void fails(exec::Cmd& command, Errc code, const std::string& text) {
    const auto started = command.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().code() == code);
    CHECK(started.error().message() == text);
    CHECK(command.process() == nullptr);
}

// What a call that should have failed says.
template <typename Value>
std::string text_of(const exec::Result<Value>& result) {
    return result ? "no error" : result.error().message();
}

// No child of any kind, neither running nor waiting to be reaped.
bool has_no_child() {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == -1 && errno == ECHILD;
}

} // namespace

EXEC_TEST("[go:65] the checks have an order: each fault hides those that would be found after it") {
    const std::string nul_entry("A=\0", 3);
    // First all of them at once; then the one that was found is mended, and so on.
    const auto with_faults = [&](int mended) {
        exec::CmdConfig config = helper("exit", {"0"}).config();
        if (mended < 1) config.path.clear();
        if (mended == 1) config.lookup_error = exec::Error(Errc::not_found, "no such program");
        if (mended < 3) config.cancel = [](exec::Process&) { return exec::Result<>(); };
        if (mended == 3) config.has_context = true;
        if (mended <= 3) config.context = ended_context();
        if (mended <= 4) config.out = exec::Sink::writer([](std::string_view) { return exec::Result<>(); });
        if (mended <= 5) config.env = std::vector<std::string>{nul_entry};
        if (mended >= 1) config.path = "/bin/nonesuch";
        return exec::Cmd(std::move(config));
    };
    const auto outcome_of = [](exec::Cmd faulty) {
        const NoDescriptorLeft none; // the streams' own fault
        const auto started = faulty.start();
        return started ? std::string("started") : started.error().message();
    };
    CHECK(outcome_of(with_faults(0)) == "exec: no command");
    CHECK(outcome_of(with_faults(1)) == "no such program");
    CHECK(outcome_of(with_faults(2)) == "exec: command with a non-nil Cancel was not created with CommandContext");
    CHECK(outcome_of(with_faults(3)) == "context canceled");
    exec::Cmd out_of_descriptors = with_faults(4);
    {
        const NoDescriptorLeft none;
        const auto started = out_of_descriptors.start();
        REQUIRE_FALSE(started);
        CHECK(started.error().is(std::errc::too_many_files_open));
    }
    exec::Cmd bad_environment = with_faults(5);
    fails(bad_environment, Errc::nul_in_environment, "exec: environment variable contains NUL");
    exec::Cmd nonesuch = with_faults(6);
    const auto started = nonesuch.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().message() == "fork/exec /bin/nonesuch: no such file or directory");
    // Before all of them: it was started already.
    nonesuch.path.clear();
    nonesuch.lookup_error = exec::Error(Errc::not_found);
    fails(nonesuch, Errc::already_started, "exec: already started");
}

EXEC_TEST("[go:65] an empty path is no fault of its own where the lookup has failed") {
    exec::Cmd command = helper("exit", {"0"});
    command.path.clear();
    command.lookup_error = exec::Error(Errc::not_found, "no such program");
    fails(command, Errc::not_found, "no such program");
}

EXEC_TEST("[go:65] the environment is checked before a missing directory is found") {
    exec::Cmd command = helper("exit", {"0"});
    command.dir = "/nowhere/at/all";
    command.env = std::vector<std::string>{std::string("A=\0", 3)};
    fails(command, Errc::nul_in_environment, "exec: environment variable contains NUL");
}

EXEC_TEST("[go:66] a second start is refused, and leaves the first one's pipes open") {
    exec::Cmd command = helper("cat");
    auto in = command.stdin_pipe();
    auto out = command.stdout_pipe();
    REQUIRE(in);
    REQUIRE(out);
    REQUIRE(command.start());
    const auto again = command.start();
    REQUIRE_FALSE(again);
    CHECK(again.error().code() == Errc::already_started);
    CHECK(again.error().message() == "exec: already started");
    CHECK(command.process() != nullptr);
    CHECK(in->write("still open\n"));
    CHECK(in->close());
    CHECK(out->read_all() == "still open\n");
    CHECK(command.wait());
    CHECK(text_of(command.start()) == "exec: already started");
}

EXEC_TEST("[go:66] a second start is refused also after a first one that failed, whatever for") {
    exec::Cmd no_program = exec::command("/bin/nonesuch");
    exec::Cmd no_command{exec::CmdConfig{}};
    exec::Cmd not_found = helper("exit", {"0"});
    not_found.lookup_error = exec::Error(Errc::not_found);
    exec::Cmd canceled = helper(ended_context(), "exit", {"0"});
    for (exec::Cmd* command : {&no_program, &no_command, &not_found, &canceled}) {
        REQUIRE_FALSE(command->start());
        command->path = helper_path();
        command->args = {"exec-helper", "exit", "0"};
        command->lookup_error.reset();
        command->context = {};
        fails(*command, Errc::already_started, "exec: already started");
    }
}

EXEC_TEST("[go:67] a cancel without a context is refused") {
    exec::Cmd command = helper("exit", {"0"});
    bool called = false;
    command.cancel = [&](exec::Process&) {
        called = true;
        return exec::Result<>();
    };
    fails(command, Errc::cancel_without_context,
          "exec: command with a non-nil Cancel was not created with CommandContext");
    CHECK_FALSE(called);
}

EXEC_TEST("[go:68] a context that has ended is the error: nothing is started or cancelled, the pipes are closed") {
    for (const bool by_deadline : {false, true}) {
        CAPTURE(by_deadline);
        exec::Cmd command = helper(by_deadline ? past_deadline() : ended_context(), "cat");
        bool called = false;
        command.cancel = [&](exec::Process&) {
            called = true;
            return exec::Result<>();
        };
        auto in = command.stdin_pipe();
        auto out = command.stdout_pipe();
        auto err = command.stderr_pipe();
        REQUIRE(in);
        REQUIRE(out);
        REQUIRE(err);
        if (by_deadline) {
            fails(command, Errc::deadline_exceeded, "context deadline exceeded");
        } else {
            fails(command, Errc::canceled, "context canceled");
        }
        CHECK_FALSE(called);
        char byte = 0;
        const std::string closed = exec::make_error_code(Errc::closed).message();
        CHECK(text_of(in->write("x")).ends_with(closed));
        CHECK(text_of(out->read({&byte, 1})).ends_with(closed));
        CHECK(text_of(err->read({&byte, 1})).ends_with(closed));
        CHECK(in->fd() == -1);
        CHECK(out->fd() == -1);
        CHECK(err->fd() == -1);
    }
}

EXEC_TEST("[go:68] with a context that has ended, no process is made") {
    CHECK(in_forked_child([] {
              if (!forbid_new_processes()) return could_not_arrange;
              exec::Cmd going_on = helper(exec::Context{}, "exit", {"0"});
              exec::Cmd ended = helper(ended_context(), "exit", {"0"});
              const auto forking = going_on.start();
              const auto refused = ended.start();
              return first_unmet({!forking && forking.error().is(std::errc::operation_not_permitted),
                                  !refused && refused.error().is(Errc::canceled)});
          }) == 0);
}

EXEC_TEST("[go:69] a failed spawn tells the operation, the path and the reason") {
    exec::Cmd command = exec::command("/bin/nonesuch", "x");
    const auto started = command.start();
    REQUIRE_FALSE(started);
    const exec::Error& error = started.error();
    CHECK(error.message() == "fork/exec /bin/nonesuch: no such file or directory");
    CHECK(error.op() == "fork/exec");
    CHECK(error.path() == "/bin/nonesuch");
    CHECK(error.error_number() == ENOENT);
    CHECK(error.is(std::errc::no_such_file_or_directory));
    CHECK(error.step() == exec::Step::execve);
}

EXEC_TEST("[go:69] layer 1 says the same, and a program that may not be executed is told from one that is missing") {
    const TemporaryDirectory dir;
    exec::SpawnSpec spec;
    spec.path = "/bin/nonesuch";
    CHECK(text_of(exec::spawn(spec)) == "fork/exec /bin/nonesuch: no such file or directory");
    spec.path = make_file(dir / "plain", "#!/bin/sh\n", 0644);
    CHECK(text_of(exec::spawn(spec)) == "fork/exec " + dir / "plain" + ": permission denied");
    spec.path = dir.path();
    CHECK(text_of(exec::spawn(spec)) == "fork/exec " + dir.path() + ": permission denied");
}

EXEC_TEST("[go:70] a failed child is reaped before start returns, and there is no process") {
    const TemporaryDirectory dir;
    make_file(dir / "garbage", "neither ELF nor script", 0755);
    exec::Cmd missing = exec::command("/bin/nonesuch");
    exec::Cmd garbage = exec::command(dir / "garbage");
    exec::Cmd nowhere = helper("exit", {"0"});
    nowhere.sys.setsid = true; // so that the child finds out
    nowhere.dir = "/nowhere/at/all";
    REQUIRE(has_no_child());
    for (exec::Cmd* command : {&missing, &garbage, &nowhere}) {
        CAPTURE(command->path);
        const auto started = command->start();
        CHECK(has_no_child());
        REQUIRE_FALSE(started);
        CHECK(command->process() == nullptr);
        CHECK(command->state() == nullptr);
        const auto waited = command->wait();
        REQUIRE_FALSE(waited);
        CHECK(waited.error().message() == "exec: not started");
    }
}

EXEC_TEST("[go:71] a NUL in the path, an argument, the directory or the root is refused without a fork") {
    const std::string cut("/\0cut", 5);
    const auto faulty = [&](int place) {
        exec::SpawnSpec spec = helper_spec("exit", {"0"});
        if (place == 0) spec.path += cut;
        if (place == 1) spec.argv.push_back(cut);
        if (place == 2) spec.dir = cut; // which exists up to the NUL
        if (place == 3) spec.sys.chroot = cut;
        if (place == 4) spec.dir = std::string("/nowhere\0cut", 12);
        return spec;
    };
    const auto as_command = [&](int place) {
        const exec::SpawnSpec spec = faulty(place);
        exec::CmdConfig config;
        config.path = spec.path;
        config.args = spec.argv;
        config.env = spec.env; // of its own: else the directory is PWD, and it is the environment that has a NUL
        config.dir = spec.dir;
        config.sys = spec.sys;
        return exec::Cmd(std::move(config));
    };
    for (int place = 0; place < 5; ++place) {
        CAPTURE(place);
        const auto spawned = exec::spawn(faulty(place));
        REQUIRE_FALSE(spawned);
        CHECK(spawned.error().is(std::errc::invalid_argument));
        exec::Cmd command = as_command(place);
        const auto started = command.start();
        REQUIRE_FALSE(started);
        CHECK(started.error().is(std::errc::invalid_argument));
        CHECK(in_forked_child([&] {
                  if (!forbid_new_processes()) return could_not_arrange;
                  exec::Cmd again = as_command(place);
                  const auto forking = exec::spawn(helper_spec("exit", {"0"}));
                  const auto refused = exec::spawn(faulty(place));
                  const auto refused_too = again.start();
                  return first_unmet({!forking && forking.error().is(std::errc::operation_not_permitted),
                                      !refused && refused.error().is(std::errc::invalid_argument),
                                      !refused_too && refused_too.error().is(std::errc::invalid_argument)});
              }) == 0);
    }
    const std::string text = text_of(exec::spawn(faulty(1)));
    CHECK(text.starts_with("fork/exec " + helper_path() + ": "));
    CHECK(text.ends_with(": invalid argument"));
}

EXEC_TEST("[go:72] a text without a shebang is no program, and no shell is tried") {
    const TemporaryDirectory dir;
    const std::string marker = dir / "marker";
    make_file(dir / "script", "echo ran > " + marker + "\n", 0755);
    exec::Cmd command = exec::command(dir / "script");
    const auto run = command.run();
    REQUIRE_FALSE(run);
    CHECK(run.error().is(std::errc::executable_format_error));
    CHECK(run.error().message() == "fork/exec " + dir / "script" + ": exec format error");
    CHECK_FALSE(std::filesystem::exists(marker));
    make_file(dir / "with-shebang", "#!/bin/sh\necho ran > " + marker + "\n", 0755);
    CHECK(exec::command(dir / "with-shebang").run());
    CHECK(std::filesystem::exists(marker));
}
