// Section M of the list: edges that no other section has.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <cerrno>
#include <csignal>
#include <utility>

using namespace keep;
using namespace keep::test;

namespace {

std::chrono::nanoseconds negative() {
    return std::chrono::nanoseconds(-1);
}

// A command that ends with 0 when its context does: then its input is closed.
struct Closing {
    exec::Cmd command;
    exec::PipeWriter input;

    explicit Closing(exec::Context context)
        : command(helper(std::move(context), "hang", {"read"})), input(command.stdin_pipe().value()) {
        command.cancel = [writer = input](exec::Process&) mutable { return writer.close(); };
    }
};

} // namespace

EXEC_TEST("[go:140] a context that was cancelled and one whose deadline is over are told apart before the start") {
    std::stop_source stop;
    stop.request_stop();
    const auto cancelled = helper(exec::Context{stop.get_token(), {}}, "exit", {"0"}).start();
    CHECK(said(cancelled) == "context canceled");
    CHECK(cancelled.error().is(exec::Errc::canceled));
    CHECK_FALSE(cancelled.error().is(exec::Errc::deadline_exceeded));
    const auto late = helper(exec::Context::with_deadline({}), "exit", {"0"}).start();
    CHECK(said(late) == "context deadline exceeded");
    CHECK(late.error().is(exec::Errc::deadline_exceeded));
    CHECK_FALSE(late.error().is(exec::Errc::canceled));
}

EXEC_TEST("[go:140] a running command's wait says that its context was cancelled") {
    std::stop_source stop;
    Closing closing(exec::Context{stop.get_token(), {}});
    REQUIRE(said(closing.command.start()) == "");
    stop.request_stop();
    const auto result = closing.command.wait();
    CHECK(said(result) == "context canceled");
    CHECK(result.error().code() == exec::Errc::canceled);
    CHECK(closing.command.state()->success());
}

EXEC_TEST("[go:140] a running command's wait says that its deadline is over") {
    // On a slow machine the deadline may be over before the start: then a later one is tried.
    for (auto time = std::chrono::milliseconds(50); time < std::chrono::minutes(1); time *= 2) {
        Closing closing(exec::Context::with_timeout(time));
        if (const auto started = closing.command.start(); !started) {
            CHECK(started.error().is(exec::Errc::deadline_exceeded));
            continue;
        }
        const auto result = closing.command.wait();
        CHECK(said(result) == "context deadline exceeded");
        CHECK(result.error().code() == exec::Errc::deadline_exceeded);
        CHECK(closing.command.state()->success());
        return;
    }
    FAIL("no command starts within a minute");
}

EXEC_TEST("[go:141] a negative delay changes nothing until its clock starts") {
    std::stop_source stop;
    exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "pipetest");
    command.wait_delay = negative();
    auto input = command.stdin_pipe();
    auto output = command.stdout_pipe();
    REQUIRE(input);
    REQUIRE(output);
    REQUIRE(said(command.start()) == "");
    for (const char* line : {"O:one\n", "O:two\n"}) {
        CHECK(said(input->write(line)) == "");
        CHECK(read_line(*output) == line);
    }
    CHECK_FALSE(readable(command.process()->pidfd(), while_nothing_happens));
    CHECK(said(input->close()) == "");
    CHECK(said(command.wait()) == "");
}

EXEC_TEST("[go:141] with a negative delay the end of the context kills at once what cancel has left alive") {
    std::stop_source stop;
    exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "hang", {"ignore"});
    command.wait_delay = negative();
    command.cancel = [](exec::Process& process) { return process.signal(SIGTERM); };
    auto output = command.stdout_pipe();
    REQUIRE(output);
    REQUIRE(said(command.start()) == "");
    REQUIRE(read_line(*output) == "ready\n");
    stop.request_stop();
    const auto result = command.wait();
    CHECK(said(result) == "signal: killed");
    CHECK(result.error().exit() != nullptr);
}

EXEC_TEST("[go:141] with a negative delay pipes that others hold after the exit are closed at once") {
    std::string text;
    exec::Cmd command = helper("hang", {"subsleep", "read"});
    LeftBehind sleeper(command);
    command.wait_delay = negative();
    command.out = exec::Sink::buffer(text);
    REQUIRE(said(command.start()) == "");
    sleeper.started(command.process()->pid());
    const auto result = command.wait();
    CHECK(said(result) == "exec: WaitDelay expired before I/O complete");
    CHECK(result.error().is(exec::Errc::wait_delay));
    CHECK(command.state()->success());
    CHECK(sleeper.lives()); // nobody but it held the pipe
}

EXEC_TEST("[go:143] after a wait for the process itself the command's wait fails, yet closes its pipes and ends its "
          "threads") {
    const int threads_before = threads();
    const int pipes_before = pipes();
    std::stop_source stop;
    std::string error;
    exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "pipetest");
    command.in = exec::Source::bytes("O:output\nE:error\n");
    command.err = exec::Sink::buffer(error);
    auto output = command.stdout_pipe();
    REQUIRE(output);
    REQUIRE(said(command.start()) == "");
    const auto state = command.process()->wait();
    REQUIRE(state);
    CHECK(state->exit_code() == 0);
    const auto result = command.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().error_number() == ECHILD);
    CHECK(result.error().exit() == nullptr);
    CHECK(error == "E:error\n"); // what was under way has been copied all the same
    CHECK(output->fd() == -1);
    CHECK(pipes() == pipes_before);
    CHECK(eventually([&] { return threads() == threads_before; }));
    CHECK(said(command.wait()) == "exec: Wait was already called");
}

EXEC_TEST("[go:144] with pipe handles alone the end of the delay kills the command, and leaves the handles to wait") {
    std::stop_source stop;
    exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "hang", {"ignore", "probe"});
    command.cancel = [](exec::Process&) { return exec::Result<>(); };
    command.wait_delay = std::chrono::milliseconds(1);
    auto input = command.stdin_pipe();
    auto output = command.stdout_pipe();
    auto error = command.stderr_pipe();
    REQUIRE(input);
    REQUIRE(output);
    REQUIRE(error);
    REQUIRE(said(command.start()) == "");
    REQUIRE(read_line(*output) == "ready\n");
    stop.request_stop();
    CHECK(readable(command.process()->pidfd())); // killed, though nobody waits
    CHECK(input->fd() >= 0);
    CHECK(output->fd() >= 0);
    const auto rest = output->read_all();
    REQUIRE(rest);
    CHECK(*rest == "");
    const auto probe = error->read_all();
    REQUIRE(probe);
    CHECK(*probe == "probe\n");
    const auto result = command.wait();
    CHECK(said(result) == "signal: killed");
    CHECK(input->fd() == -1);
    CHECK(output->fd() == -1);
    CHECK(error->fd() == -1);
    char byte = 0;
    CHECK(output->read({&byte, 1}).error().is(exec::Errc::closed));
}

EXEC_TEST("[go:145] a command that was started runs never again, in whatever way one asks") {
    for (const char* code : {"0", "7"}) {
        exec::Cmd command = helper("exit", {code});
        (void)command.run();
        CHECK(said(command.start()) == "exec: already started");
        CHECK(said(command.run()) == "exec: already started");
        const exec::Output output = command.output();
        CHECK(said(output.result) == "exec: already started");
        CHECK(output.result.error().code() == exec::Errc::already_started);
        CHECK(command.state()->exit_code() == *code - '0'); // the first run's, still
    }
}

EXEC_TEST("[go:145] the configuration of a command, before and after it ran, makes others that run the same") {
    std::string text;
    exec::Cmd first = helper("cat");
    first.in = exec::Source::bytes("text;");
    first.out = exec::Sink::buffer(text);
    exec::CmdConfig kept = first.config();
    CHECK(said(first.run()) == "");
    CHECK(text == "text;");
    CHECK(said(exec::Cmd(kept).run()) == "");
    CHECK(said(exec::Cmd(first.config()).run()) == "");
    CHECK(text == "text;text;text;");

    kept.args = {"exec-helper", "pwd"}; // a copy: the commands that were made of it do not change
    kept.dir = "/";
    exec::Cmd changed(kept);
    kept.dir = "/proc";
    CHECK(first.dir == "");
    CHECK(said(changed.run()) == "");
    CHECK(text == "text;text;text;/\n/\n");
}

EXEC_TEST("[go:145] streams that a pipe method made are not part of the configuration") {
    exec::Cmd first = helper("cat");
    auto input = first.stdin_pipe();
    auto output = first.stdout_pipe();
    REQUIRE(input);
    REQUIRE(output);
    exec::Cmd second(first.config());
    CHECK_FALSE(second.in.is_set());
    CHECK_FALSE(second.out.is_set());
    auto second_output = second.stdout_pipe();
    REQUIRE(second_output);
    REQUIRE(said(second.start()) == ""); // the first one's pipes are open, and not used
    const auto nothing = second_output->read_all();
    REQUIRE(nothing);
    CHECK(*nothing == "");
    CHECK(said(second.wait()) == "");
    REQUIRE(said(first.start()) == "");
    CHECK(said(input->write("line\n")) == "");
    CHECK(read_line(*output) == "line\n");
    CHECK(said(input->close()) == "");
    CHECK(said(first.wait()) == "");
}
