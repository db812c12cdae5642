// Section H of the list, its last number: what becomes of a command that is destroyed after start() and before wait().
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <csignal>
#include <fcntl.h>
#include <optional>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

using namespace keep;
using namespace keep::test;

namespace {

// Our own handle on the process, which outlives the command's.
Fd pidfd_of(exec::Cmd& command) {
    Fd pidfd = Fd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, command.process()->pid(), 0)));
    REQUIRE(pidfd);
    return pidfd;
}

bool runs(const Fd& pidfd) {
    return !readable(pidfd.get(), std::chrono::milliseconds(0));
}

// Starts a command that never ends by itself, and returns when it is there.
void start_hanging(exec::Cmd& command, Listener& listener) {
    command.out = listener.sink();
    REQUIRE(said(command.start()) == "");
    REQUIRE(listener.heard_line());
}

} // namespace

EXEC_TEST("[go:97] a destroyed command is killed and reaped before the destructor returns, unless told otherwise") {
    const Holdings before = holdings();
    CHECK(exec::CmdConfig().on_destroy == exec::OnDestroy::kill);
    Fd pidfd;
    pid_t pid = 0;
    Listener listener;
    {
        exec::Cmd command = helper("hang", {"ignore"});
        start_hanging(command, listener);
        pidfd = pidfd_of(command);
        pid = command.process()->pid();
        CHECK(runs(pidfd));
    }
    CHECK_FALSE(runs(pidfd));
    CHECK(gone(pid));
    pidfd.reset();
    CHECK(eventually([&] { return holdings() == before; }));
}

EXEC_TEST("[go:97] a destroyed command without any thread of its own is killed and reaped too") {
    pid_t pid = 0;
    {
        exec::Cmd command = helper("hang");
        REQUIRE(said(command.start()) == "");
        pid = command.process()->pid();
    }
    CHECK(gone(pid));
}

EXEC_TEST("[go:97] a killed command's streams are closed, though its child still holds them") {
    const Holdings before = holdings();
    Listener listener;
    std::optional<LeftBehind> sleeper;
    {
        exec::Cmd command = helper("hang", {"subsleep"});
        sleeper.emplace(command);
        start_hanging(command, listener);
        sleeper->started(command.process()->pid());
    }
    CHECK(sleeper->lives()); // and holds the stream, but the destructor did not wait for it
    sleeper.reset();
    CHECK(eventually([&] { return holdings() == before; }));
}

EXEC_TEST("[go:97] pipe handles of a killed command are closed and stay safe to use") {
    std::optional<exec::PipeReader> output;
    std::optional<exec::PipeWriter> input;
    {
        exec::Cmd command = helper("hang");
        output = command.stdout_pipe().value();
        input = command.stdin_pipe().value();
        REQUIRE(said(command.start()) == "");
    }
    char byte = 0;
    CHECK(output->read({&byte, 1}).error().is(exec::Errc::closed));
    CHECK(output->fd() == -1);
    CHECK(input->fd() == -1);
    CHECK_FALSE(input->write("text"));
}

EXEC_TEST("[go:97] a detached command goes on: its streams are copied, and it is reaped at its end") {
    const Holdings before = holdings();
    PipePair input = make_pipe();
    Listener listener;
    Fd pidfd;
    pid_t pid = 0;
    {
        exec::Cmd command = helper("cat");
        command.on_destroy = exec::OnDestroy::detach;
        command.in = exec::Source::fd(input.read.get());
        command.out = listener.sink();
        REQUIRE(said(command.start()) == "");
        pidfd = pidfd_of(command);
        pid = command.process()->pid();
    }
    CHECK(runs(pidfd));
    REQUIRE(::write(input.write.get(), "after\n", 6) == 6);
    CHECK(listener.heard_line());
    CHECK(listener.text() == "after\n");
    CHECK(runs(pidfd));
    input.write.reset();
    input.read.reset();
    CHECK(readable(pidfd.get()));
    CHECK(eventually([&] { return gone(pid); }));
    pidfd.reset();
    CHECK(eventually([&] { return holdings() == before; })); // before `listener` ends: its last word was said
}

EXEC_TEST("[go:97] a detached command with nothing to copy goes on and is reaped") {
    PipePair input = make_pipe();
    Fd pidfd;
    pid_t pid = 0;
    {
        exec::Cmd command = helper("hang", {"read"});
        command.on_destroy = exec::OnDestroy::detach;
        command.in = exec::Source::fd(input.read.get());
        REQUIRE(said(command.start()) == "");
        pidfd = pidfd_of(command);
        pid = command.process()->pid();
    }
    CHECK(runs(pidfd));
    input.write.reset();
    CHECK(readable(pidfd.get()));
    CHECK(eventually([&] { return gone(pid); }));
}

EXEC_TEST("[go:97] with abort, destroying a running command terminates this program") {
    PipePair alive = make_pipe();
    const Aftermath aftermath = in_own_process([&](Notes& notes) {
        ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO); // terminate()'s word, and doctest's report
        for (const int fatal : {SIGABRT, SIGSEGV, SIGTERM})
            ::signal(fatal, SIG_DFL);
        alive.read.reset();
        exec::Cmd command = helper("hang", {"read"});
        command.on_destroy = exec::OnDestroy::abort;
        command.extra_files = {alive.write.get()};
        auto input = command.stdin_pipe(); // ends with this process, and so does the command
        expect_equal(notes, said(input), "");
        expect_equal(notes, said(command.start()), "");
        {
            const exec::Cmd destroyed = std::move(command);
        }
        notes.line("the destructor returned");
    });
    CHECK(aftermath.notes == "");
    CHECK_FALSE(aftermath.hung);
    CHECK(WIFSIGNALED(aftermath.wait_status));
    CHECK(WTERMSIG(aftermath.wait_status) == SIGABRT);
    alive.write.reset();
    CHECK(read_to_end(alive.read.get()) == ""); // the command has ended
}

EXEC_TEST("[go:97] a command that is not running is destroyed without more ado, whatever the policy") {
    const auto policies = {exec::OnDestroy::kill, exec::OnDestroy::detach, exec::OnDestroy::abort};
    for (const exec::OnDestroy policy : policies) {
        exec::Cmd never_started = helper("exit", {"0"});
        never_started.on_destroy = policy;

        exec::Cmd failed = exec::command("/no/such/program");
        failed.on_destroy = policy;
        CHECK_FALSE(failed.start());

        exec::Cmd waited = helper("exit", {"0"});
        waited.on_destroy = policy;
        CHECK(said(waited.run()) == "");

        exec::Cmd moved_from = helper("exit", {"0"});
        moved_from.on_destroy = policy;
        REQUIRE(said(moved_from.start()) == "");
        exec::Cmd moved_to = std::move(moved_from);
        CHECK(said(moved_to.wait()) == "");
    }
}

EXEC_TEST("[go:97] a command that another one is moved into is destroyed by its own policy first") {
    exec::Cmd command = helper("hang");
    REQUIRE(said(command.start()) == "");
    const pid_t first = command.process()->pid();
    exec::Cmd next = helper("echo", {"next"});
    std::string text;
    next.out = exec::Sink::buffer(text);
    REQUIRE(said(next.start()) == "");
    command = std::move(next);
    CHECK(gone(first));
    CHECK(said(command.wait()) == "");
    CHECK(text == "next\n");
}
