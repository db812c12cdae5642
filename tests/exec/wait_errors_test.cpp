// Which of several errors wait() reports, and a kill that fails.
#include "tests/exec/watching.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stop_token>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>

using namespace keep;
using namespace keep::test;

namespace {

using std::chrono::milliseconds;

exec::Context stoppable(const std::stop_source& source) {
    return {source.get_token(), {}};
}

exec::Sink failing_writer() {
    return exec::Sink::writer([](std::string_view) -> exec::Result<> {
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error), "the writer's own trouble"));
    });
}

// From now on this thread, and those and the programs that it starts, cannot send a signal: EPERM.
bool forbid_signals() {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{std::size(program), program};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

} // namespace

EXEC_TEST("[go:115] a kill at the end of the delay that fails is told, with its reason") {
    std::optional<exec::Error> error;
    std::optional<exec::ProcessState> state;
    bool forbidden = false;
    std::thread([&] {
        forbidden = forbid_signals();
        if (!forbidden) return;
        std::stop_source source;
        exec::Cmd cmd = helper(stoppable(source), "yes"); // exits with 0 when its pipe is closed: after the kill
        cmd.cancel = nullptr;
        cmd.wait_delay = milliseconds(10);
        cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
            source.request_stop();
            return {};
        });
        if (auto started = cmd.start(); !started) {
            error = started.error();
            return;
        }
        if (auto result = cmd.wait(); !result) error = result.error();
        if (cmd.state() != nullptr) state = *cmd.state();
    }).join();
    if (!forbidden) {
        MESSAGE("skipped: no seccomp filter can be set here");
        return;
    }
    REQUIRE(error);
    CHECK(error->message() == "exec: killing Cmd: operation not permitted");
    CHECK(error->is(std::errc::operation_not_permitted));
    REQUIRE(state);
    CHECK(state->success());
}

EXEC_TEST("[go:116] first: that the command failed, whatever else did") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "hang", {"interrupt=5"});
    cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        source.request_stop();
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error)));
    });
    cmd.cancel = [](exec::Process& process) { return process.signal(SIGINT); };
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "exit status 5");
}

EXEC_TEST("[go:116] first: that the end could not be told, whatever else failed") {
    const Disposition reaped_by_the_kernel(SIGCHLD, SIG_IGN);
    exec::Cmd cmd = helper("yes");
    cmd.out = failing_writer();
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(std::errc::no_child_process));
    CHECK(result.error().exit() == nullptr);
}

EXEC_TEST("[go:116] second: the context's error, before a writer's") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "hang", {"interrupt"});
    cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        source.request_stop();
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error)));
    });
    cmd.cancel = [](exec::Process& process) { return process.signal(SIGINT); };
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(exec::Errc::canceled));
    CHECK_FALSE(result.error().is(std::errc::io_error));
}

EXEC_TEST("[go:116] second: the context's or cancel's error, before a delay that expired") {
    for (const bool cancel_fails : {false, true}) {
        CAPTURE(cancel_fails);
        std::stop_source source;
        Lingering lingering;
        Listener listener;
        exec::Cmd cmd = lingering.command(stoppable(source));
        cmd.out = listener.sink();
        cmd.wait_delay = milliseconds(20);
        cmd.cancel = [&](exec::Process& process) -> exec::Result<> {
            lingering.leave();
            (void)readable(process.pidfd()); // so that it is never killed
            if (!cancel_fails) return {};
            return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error), "trouble"));
        };
        REQUIRE(cmd.start());
        REQUIRE(listener.heard_line());
        source.request_stop();
        const auto result = cmd.wait();
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == (cancel_fails ? "exec: canceling Cmd: trouble" : "context canceled"));
        CHECK_FALSE(result.error().is(exec::Errc::wait_delay));
        CHECK(cmd.state()->success());
    }
}

EXEC_TEST("[go:116] cancel that says the process was over leaves the third place to speak") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "hang", {"interrupt"});
    cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        source.request_stop();
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error), "the writer's own trouble"));
    });
    cmd.cancel = [](exec::Process& process) -> exec::Result<> {
        (void)process.signal(SIGINT);
        return std::unexpected(exec::Error(exec::Errc::process_done));
    };
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "the writer's own trouble");
}

EXEC_TEST("[go:116] third: a writer's error, where the context has not ended") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "echo", {"text"});
    cmd.out = failing_writer();
    cmd.wait_delay = std::chrono::hours(1);
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "the writer's own trouble");
}
