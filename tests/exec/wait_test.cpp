// Section H of the list: waiting, its errors, and what is left after it.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

using namespace keep;
using namespace keep::test;

EXEC_TEST("[go:83] a command that was not started cannot be waited for") {
    exec::Cmd command = helper("exit", {"0"});
    const auto result = command.wait();
    CHECK(said(result) == "exec: not started");
    CHECK(result.error().code() == exec::Errc::not_started);
    CHECK(command.wait_fd().error().is(exec::Errc::not_started));
    CHECK(command.state() == nullptr);
}

EXEC_TEST("[go:83] after a start that failed there is nothing to wait for either") {
    exec::Cmd command = exec::command("/no/such/program");
    CHECK_FALSE(command.start());
    CHECK(said(command.wait()) == "exec: not started");
}

EXEC_TEST("[go:83] a command cannot be waited for twice, whatever the first wait said") {
    for (const char* code : {"0", "3"}) {
        exec::Cmd command = helper("exit", {code});
        REQUIRE(said(command.start()) == "");
        (void)command.wait();
        const auto again = command.wait();
        CHECK(said(again) == "exec: Wait was already called");
        CHECK(again.error().code() == exec::Errc::already_waited);
        CHECK(said(command.wait()) == "exec: Wait was already called");
        CHECK(command.state()->exit_code() == (*code - '0'));
    }
}

EXEC_TEST("[go:83] a command that run() or try_wait() has waited for cannot be waited for again") {
    exec::Cmd run = helper("exit", {"0"});
    CHECK(said(run.run()) == "");
    CHECK(said(run.wait()) == "exec: Wait was already called");

    exec::Cmd tried = helper("exit", {"0"});
    REQUIRE(said(tried.start()) == "");
    const auto end = tried.wait_fd();
    REQUIRE(end);
    REQUIRE(readable(*end));
    const auto result = tried.try_wait();
    REQUIRE(result.has_value());
    CHECK(said(*result) == "");
    CHECK(said(tried.wait()) == "exec: Wait was already called");
}

EXEC_TEST("[go:84] the state is there after a wait that succeeded") {
    exec::Cmd command = helper("exit", {"0"});
    CHECK(command.state() == nullptr);
    CHECK(said(command.run()) == "");
    REQUIRE(command.state() != nullptr);
    CHECK(command.state()->success());
}

EXEC_TEST("[go:84] the state is there after a wait that failed, for the exit or for something else") {
    exec::Cmd unsuccessful = helper("exit", {"7"});
    CHECK(said(unsuccessful.run()) == "exit status 7");
    REQUIRE(unsuccessful.state() != nullptr);
    CHECK(unsuccessful.state()->exit_code() == 7);

    exec::Cmd unreadable = helper("cat");
    unreadable.in = exec::Source::reader([](std::span<char>) -> exec::Result<std::size_t> {
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error)));
    });
    CHECK_FALSE(unreadable.run());
    REQUIRE(unreadable.state() != nullptr);
    CHECK(unreadable.state()->success());
}

EXEC_TEST("[go:86] a stopped child is not done: signals reach it, and going on it ends and is waited for") {
    exec::Cmd command = helper("hang", {"interrupt"});
    auto output = command.stdout_pipe();
    REQUIRE(output);
    REQUIRE(said(command.start()) == "");
    REQUIRE(read_line(*output) == "ready\n");
    REQUIRE(said(command.process()->signal(SIGSTOP)) == "");
    siginfo_t stop{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(command.process()->pid()), &stop, WSTOPPED | WNOWAIT) == 0);
    CHECK(stop.si_code == CLD_STOPPED);
    CHECK_FALSE(command.try_wait().has_value());
    const auto end = command.wait_fd();
    REQUIRE(end);
    CHECK_FALSE(readable(*end, while_nothing_happens));
    CHECK(command.state() == nullptr);
    CHECK(said(command.process()->signal(SIGINT)) == "");
    CHECK_FALSE(readable(*end, while_nothing_happens));
    CHECK(said(command.process()->signal(SIGCONT)) == "");
    CHECK(said(command.wait()) == "");
    CHECK(command.state()->exit_code() == 0);
}

EXEC_TEST("[go:86] a process that was stopped is not done for layer 1 either") {
    auto process = exec::spawn(helper_spec("stop"));
    REQUIRE(process);
    siginfo_t stop{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(process->pid()), &stop, WSTOPPED | WNOWAIT) == 0);
    const auto now = process->try_wait();
    REQUIRE(now);
    CHECK_FALSE(now->has_value());
    const auto later = process->wait_for(while_nothing_happens);
    REQUIRE(later);
    CHECK_FALSE(later->has_value());
    CHECK_FALSE(readable(process->pidfd(), std::chrono::milliseconds(0)));
    CHECK(said(process->signal(SIGCONT)) == "");
    const auto ended = process->wait();
    REQUIRE(ended);
    CHECK(ended->exit_code() == 7);
}

EXEC_TEST("[go:87] exit 0 is no error") {
    CHECK(said(helper("exit", {"0"}).run()) == "");
    exec::Cmd command = helper("exit", {"0"});
    REQUIRE(said(command.start()) == "");
    CHECK(said(command.wait()) == "");
}

EXEC_TEST("[go:87] any other exit is an error with the state, whose text is the state's") {
    for (const char* code : {"1", "7", "128", "255"}) {
        CAPTURE(code);
        exec::Cmd command = helper("exit", {code});
        const auto result = command.run();
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == std::string("exit status ") + code);
        CHECK(result.error().is(exec::Errc::unsuccessful));
        CHECK(result.error().error_number() == 0);
        REQUIRE(result.error().exit() != nullptr);
        CHECK(result.error().exit()->state.exit_code() == std::stoi(code));
        CHECK(result.error().exit()->state.pid() == command.process()->pid());
        CHECK(result.error().message() == command.state()->to_string());
    }
}

EXEC_TEST("[go:87] a death by signal is an error with the state, whose text is the state's") {
    for (const auto& [signal, text] : {std::pair(SIGKILL, "signal: killed"), {SIGTERM, "signal: terminated"}}) {
        CAPTURE(text);
        exec::Cmd command = helper("kill", {std::to_string(signal)});
        const auto result = command.run();
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == text);
        CHECK(result.error().is(exec::Errc::unsuccessful));
        REQUIRE(result.error().exit() != nullptr);
        CHECK(result.error().exit()->state.signal() == signal);
        CHECK(result.error().exit()->state.exit_code() == -1);
    }
}

EXEC_TEST("[go:87] what is no exit is no exit error") {
    const auto missing = exec::command("/no/such/program").run();
    REQUIRE_FALSE(missing);
    CHECK(missing.error().exit() == nullptr);
    CHECK_FALSE(missing.error().is(exec::Errc::unsuccessful));
}

EXEC_TEST("[go:95] a released process takes no signal and cannot be waited for") {
    auto process = exec::spawn(helper_spec("exit", {"5"}));
    REQUIRE(process);
    const pid_t pid = process->pid();
    const Fd pidfd = Fd::adopt(process->release());
    const auto signalled = process->signal(SIGTERM);
    CHECK(said(signalled) == "os: process already released");
    CHECK(signalled.error().code() == exec::Errc::process_released);
    CHECK(said(process->kill()) == "os: process already released");
    const std::error_code first = process->wait().error().code();
    const std::error_code second = process->try_wait().error().code();
    const std::error_code third = process->wait_for(std::chrono::seconds(1)).error().code();
    for (const auto& code : {first, second, third})
        CHECK(code == std::errc::invalid_argument);
    CHECK_FALSE(*process);

    int status = 0; // whoever has the pidfd now reaps
    REQUIRE(readable(pidfd.get()));
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(WEXITSTATUS(status) == 5);
}

EXEC_TEST("[go:95] a command whose process was released fails its wait with EINVAL, and closes its pipes") {
    const Holdings before = holdings();
    exec::Cmd command = helper("cat");
    auto input = command.stdin_pipe();
    auto output = command.stdout_pipe();
    REQUIRE(input);
    REQUIRE(output);
    REQUIRE(said(command.start()) == "");
    const pid_t pid = command.process()->pid();
    exec::Process taken = exec::Process::adopt(pid, command.process()->release());
    const auto result = command.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(std::errc::invalid_argument));
    CHECK(result.error().exit() == nullptr);
    CHECK(output->fd() == -1);
    CHECK(input->fd() == -1);
    const auto ended = taken.wait(); // "cat" has read the end of its input
    REQUIRE(ended);
    CHECK(ended->exit_code() == 0);
    taken = {};
    CHECK(to_string(holdings()) == to_string(before));
}

EXEC_TEST("[go:96] where SIGCHLD is ignored, wait says ECHILD and claims no exit") {
    const Disposition ignored(SIGCHLD, SIG_IGN);
    exec::Cmd command = helper("echo", {"text"});
    std::string text;
    command.out = exec::Sink::buffer(text);
    const auto result = command.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(std::errc::no_child_process));
    CHECK(result.error().error_number() == ECHILD);
    CHECK(result.error().exit() == nullptr);
    CHECK(text == "text\n");

    auto process = exec::spawn(helper_spec("exit", {"0"}));
    REQUIRE(process);
    const auto ended = process->wait();
    REQUIRE_FALSE(ended);
    CHECK(ended.error().error_number() == ECHILD);
}

EXEC_TEST("[go:96] where the kernel reaps children by SA_NOCLDWAIT, wait says ECHILD") {
    struct sigaction former{};
    struct sigaction without_zombies{};
    without_zombies.sa_handler = SIG_DFL;
    without_zombies.sa_flags = SA_NOCLDWAIT;
    REQUIRE(::sigaction(SIGCHLD, &without_zombies, &former) == 0);
    const auto result = helper("exit", {"3"}).run();
    ::sigaction(SIGCHLD, &former, nullptr);
    REQUIRE_FALSE(result);
    CHECK(result.error().error_number() == ECHILD);
    CHECK(result.error().exit() == nullptr);
}

EXEC_TEST("[go:96] a child that somebody else has reaped is ECHILD") {
    exec::Cmd command = helper("exit", {"3"});
    REQUIRE(said(command.start()) == "");
    REQUIRE(::waitpid(command.process()->pid(), nullptr, 0) == command.process()->pid());
    const auto result = command.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().error_number() == ECHILD);
    CHECK(result.error().exit() == nullptr);
    CHECK(said(command.wait()) == "exec: Wait was already called");
}

EXEC_TEST("[go:97] after wait no thread is left, though the command still exists and its context ends later") {
    std::stop_source stop;
    std::string text;
    const int before = threads();
    exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "cat");
    std::atomic<int> cancelled = 0;
    command.cancel = [&](exec::Process&) {
        ++cancelled;
        return exec::Result<>();
    };
    command.in = exec::Source::bytes("text");
    command.out = exec::Sink::buffer(text);
    command.wait_delay = std::chrono::hours(1);
    REQUIRE(said(command.start()) == "");
    CHECK(threads() > before); // it has something to copy
    CHECK(said(command.wait()) == "");
    CHECK(eventually([&] { return threads() == before; }));
    stop.request_stop(); // nobody watches any more
    CHECK(threads() == before);
    CHECK(cancelled == 0);
    CHECK(text == "text");
}

EXEC_TEST("[go:97] after a wait that failed no thread and no child is left") {
    std::stop_source stop;
    std::string text;
    const Holdings before = holdings();
    exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "hang");
    command.out = exec::Sink::buffer(text);
    REQUIRE(said(command.start()) == "");
    stop.request_stop();
    CHECK(said(command.wait()) == "signal: killed");
    CHECK(eventually([&] { return threads() == before.threads; }));
    CHECK(holdings().children == before.children);
}
