// A command whose context ends: when cancel is called, and what wait() says then.
#include "tests/exec/watching.hpp"

#include <atomic>
#include <csignal>
#include <stop_token>
#include <thread>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

using std::chrono::milliseconds;

constexpr std::chrono::hours one_hour{1};
// A deadline that a start comes before, and a test can wait for.
constexpr milliseconds soon{400};

exec::Context stoppable(const std::stop_source& source) {
    return {source.get_token(), {}};
}

exec::Result<> interrupt(exec::Process& process) {
    return process.signal(SIGINT);
}

// A cancel that interrupts the helper, so that it ends as its mode says, and reports `answer`.
auto interrupt_and_say(exec::Error answer) {
    return [answer](exec::Process& process) -> exec::Result<> {
        if (auto sent = process.signal(SIGINT); !sent) return sent;
        return std::unexpected(answer);
    };
}

// Runs the helper's `hang` with these flags, asks for its end once it is ready, and tells what wait() says.
exec::Result<> canceled_by(std::function<exec::Result<>(exec::Process&)> cancel, std::vector<std::string> flags) {
    std::stop_source source;
    Listener listener;
    exec::Cmd cmd = helper(stoppable(source), "hang", std::move(flags));
    cmd.out = listener.sink();
    if (cancel) cmd.cancel = std::move(cancel);
    REQUIRE(cmd.start());
    REQUIRE(listener.heard_line());
    source.request_stop();
    return cmd.wait();
}

} // namespace

EXEC_TEST("[go:98] a context is watched only if it can end and its end would change something") {
    struct Case {
        const char* name;
        bool can_stop;
        bool has_deadline;
        bool cancels;
        std::chrono::nanoseconds wait_delay;
        int watchers;
    };
    for (const Case& each : {Case{"never ends", false, false, true, one_hour, 0},
                             Case{"stoppable, cancel", true, false, true, milliseconds(0), 1},
                             Case{"deadline, cancel", false, true, true, milliseconds(0), 1},
                             Case{"stoppable, wait delay", true, false, false, one_hour, 1},
                             Case{"deadline, wait delay", false, true, false, one_hour, 1},
                             Case{"stoppable, both", true, true, true, one_hour, 1},
                             Case{"ends for nothing", true, true, false, milliseconds(0), 0}}) {
        CAPTURE(each.name);
        std::stop_source source;
        exec::Context context;
        if (each.can_stop) context.stop = source.get_token();
        if (each.has_deadline) context.deadline = exec::Context::Clock::now() + one_hour;
        exec::Cmd cmd = helper(context, "hang");
        if (!each.cancels) cmd.cancel = nullptr;
        cmd.wait_delay = each.wait_delay;
        const int before = threads();
        REQUIRE(cmd.start());
        CHECK(threads() == before + each.watchers);
        REQUIRE(cmd.process()->kill());
        CHECK_FALSE(cmd.wait());
        CHECK(eventually([&] { return threads() == before; }));
    }
}

EXEC_TEST("[go:99] cancel is called as soon as the context ends, before anybody waits, by the watcher") {
    std::stop_source source;
    Gate called;
    std::atomic<pid_t> by = 0;
    exec::Context context = stoppable(source);
    SUBCASE("stopped") {}
    SUBCASE("deadline") {
        context.deadline = exec::Context::Clock::now() + soon;
    }
    exec::Cmd cmd = helper(context, "hang");
    cmd.cancel = [&](exec::Process& process) {
        by = ::gettid();
        called.open();
        return process.kill();
    };
    REQUIRE(cmd.start());
    if (!context.deadline) {
        CHECK_FALSE(called.is_open());
        source.request_stop();
    }
    CHECK(called.wait());
    CHECK(by != ::gettid());
    CHECK(readable(cmd.process()->pidfd()));
    CHECK_FALSE(cmd.wait());
}

EXEC_TEST("[go:99] cancel is called once, though the context is stopped and its deadline passes") {
    std::stop_source source;
    std::atomic<int> calls = 0;
    Gate called;
    exec::Context context = exec::Context::with_timeout(soon, source.get_token());
    Listener listener;
    exec::Cmd cmd = helper(context, "hang", {"interrupt"});
    cmd.out = listener.sink();
    cmd.cancel = [&](exec::Process&) -> exec::Result<> {
        ++calls;
        called.open();
        return {};
    };
    REQUIRE(cmd.start());
    REQUIRE(listener.heard_line());
    source.request_stop();
    REQUIRE(called.wait());
    source.request_stop();
    CHECK_FALSE(readable(cmd.process()->pidfd(), soon + while_nothing_happens)); // until the deadline is over
    REQUIRE(cmd.process()->signal(SIGINT));
    CHECK_FALSE(cmd.wait());
    CHECK(calls == 1);
}

EXEC_TEST("[go:99] run() calls cancel in the thread that called it") {
    std::stop_source source;
    Gate asked;
    std::jthread stopper([&] {
        asked.wait();
        source.request_stop();
    });
    pid_t by = 0;
    exec::Cmd cmd = helper(stoppable(source), "hang");
    cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        asked.open();
        return {};
    });
    cmd.cancel = [&](exec::Process& process) {
        by = ::gettid();
        return process.kill();
    };
    CHECK_FALSE(cmd.run());
    CHECK(by == ::gettid());
}

EXEC_TEST("[go:99] cancel is not called for a command that ends by itself") {
    std::stop_source source;
    std::atomic<int> calls = 0;
    exec::Cmd cmd = helper(exec::Context::with_timeout(one_hour, source.get_token()), "exit", {"0"});
    cmd.cancel = [&](exec::Process&) -> exec::Result<> {
        ++calls;
        return {};
    };
    CHECK(cmd.run());
    source.request_stop();
    CHECK(calls == 0);
}

EXEC_TEST("[go:100] by default the command is killed, and that is the result, not the context's error") {
    const auto result = canceled_by(nullptr, {});
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
    CHECK(result.error().is(exec::Errc::unsuccessful));
    CHECK_FALSE(result.error().is(exec::Errc::canceled));
    REQUIRE(result.error().exit() != nullptr);
    CHECK(result.error().exit()->state.signal() == SIGKILL);
}

EXEC_TEST("[go:100] a deadline kills by default as a stop does") {
    exec::Cmd cmd = helper(exec::Context::with_timeout(soon), "hang");
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
    CHECK_FALSE(result.error().is(exec::Errc::deadline_exceeded));
    CHECK(cmd.state()->signal() == SIGKILL);
}

EXEC_TEST("[go:101] canceled, and the command exits with 0: the result is that the context was stopped") {
    const auto result = canceled_by(interrupt, {"interrupt"});
    REQUIRE_FALSE(result);
    CHECK(result.error().is(exec::Errc::canceled));
    CHECK_FALSE(result.error().is(exec::Errc::deadline_exceeded));
    CHECK(result.error().message() == "context canceled");
    CHECK(result.error().exit() == nullptr);
}

EXEC_TEST("[go:101] past its deadline a command that exits with 0 gives the deadline's error") {
    std::stop_source never_used;
    exec::Cmd cmd = helper(exec::Context::with_timeout(soon, never_used.get_token()), "hang", {"interrupt"});
    auto out = cmd.stdout_pipe();
    REQUIRE(out);
    cmd.cancel = [&](exec::Process& process) {
        CHECK(read_line(*out) == "ready\n"); // it handles the signal from now on
        return process.signal(SIGINT);
    };
    REQUIRE(cmd.start());
    const auto result = cmd.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(exec::Errc::deadline_exceeded));
    CHECK_FALSE(result.error().is(exec::Errc::canceled));
    CHECK(result.error().message() == "context deadline exceeded");
}

EXEC_TEST("[go:101] a stop before the deadline is told from it, and so is the deadline before a stop") {
    std::stop_source source;
    const exec::Context far = exec::Context::with_timeout(one_hour, source.get_token());
    CHECK_FALSE(far.ended());
    source.request_stop();
    CHECK(far.ended() == exec::Errc::canceled);
    std::stop_source unused;
    const exec::Context past = exec::Context::with_timeout(milliseconds(0), unused.get_token());
    CHECK(past.ended() == exec::Errc::deadline_exceeded);
}

EXEC_TEST("the longest timeout that can be said is not one that is over") {
    CHECK_FALSE(exec::Context::with_timeout(exec::Context::Clock::duration::max()).ended());
    CHECK_FALSE(exec::Context::with_deadline(exec::Context::Clock::time_point::max()).ended());
    exec::Cmd cmd = helper(exec::Context::with_timeout(exec::Context::Clock::duration::max()), "exit", {"0"});
    cmd.wait_delay = std::chrono::nanoseconds::max();
    CHECK(cmd.run());
}

EXEC_TEST("[go:102] canceled, and the command fails: its failure is the result") {
    const auto result = canceled_by(interrupt, {"interrupt=5"});
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "exit status 5");
    CHECK(result.error().exit() != nullptr);
    CHECK_FALSE(result.error().is(exec::Errc::canceled));
}

EXEC_TEST("[go:103] cancel says that the process had ended, and it exits with 0: no error") {
    CHECK(canceled_by(interrupt_and_say(exec::Error(exec::Errc::process_done)), {"interrupt"}));
    CHECK(
        canceled_by(interrupt_and_say(exec::Error(exec::Errc::process_done, "too late: it was over")), {"interrupt"}));
}

EXEC_TEST("[go:104] cancel fails, and the command exits with 0: cancel's error, which says so") {
    const exec::Error trouble(std::make_error_code(std::errc::io_error), "no line to the process");
    const auto result = canceled_by(interrupt_and_say(trouble), {"interrupt"});
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "exec: canceling Cmd: no line to the process");
    CHECK(result.error().is(std::errc::io_error));
    CHECK_FALSE(result.error().is(exec::Errc::canceled));
    CHECK(result.error().exit() == nullptr);
}

EXEC_TEST("[go:105] cancel fails, and the command fails: the command's failure alone") {
    const exec::Error trouble(std::make_error_code(std::errc::io_error), "no line to the process");
    const auto failed = canceled_by(interrupt_and_say(trouble), {"interrupt=5"});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message() == "exit status 5");
    CHECK_FALSE(failed.error().is(std::errc::io_error));

    const auto killed = canceled_by(
        [&](exec::Process& process) -> exec::Result<> {
            (void)process.kill();
            return std::unexpected(trouble);
        },
        {});
    REQUIRE_FALSE(killed);
    CHECK(killed.error().message() == "signal: killed");
    CHECK_FALSE(killed.error().is(std::errc::io_error));
}
