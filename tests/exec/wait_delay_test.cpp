// wait_delay: from when it counts, what is done when it is over, and which error wins.
#include "tests/exec/watching.hpp"

#include <csignal>
#include <future>
#include <stop_token>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds short_delay{20};

exec::Context stoppable(const std::stop_source& source) {
    return {source.get_token(), {}};
}

exec::Sink failing_writer() {
    return exec::Sink::writer([](std::string_view) -> exec::Result<> {
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error), "the writer's own trouble"));
    });
}

// The delay is counted once. That it is not counted anew shows in a result that comes within less than the delay after
// the second event, which a timer started by that event cannot give: it never fires early. It may be missed on a slow
// machine, so there are several attempts, of which one must show it.
bool one_timer(bool context_first) {
    std::stop_source source;
    Lingering lingering;
    Listener listener;
    exec::Cmd cmd = lingering.command(stoppable(source));
    cmd.out = listener.sink();
    cmd.cancel = nullptr;
    cmd.wait_delay = milliseconds(500);
    REQUIRE(cmd.start());
    REQUIRE(listener.heard_line());
    const auto end_context = [&] { source.request_stop(); };
    const auto exit = [&] { lingering.leave(); };
    context_first ? end_context() : exit();
    if (readable(cmd.wait_fd().value(), milliseconds(300))) return false; // late: the delay is over already
    const auto second_event = Clock::now();
    context_first ? exit() : end_context();
    const auto result = cmd.wait();
    return Clock::now() - second_event < cmd.wait_delay && !result && result.error().is(exec::Errc::wait_delay);
}

} // namespace

EXEC_TEST("[go:109] the delay counts from the exit, where the context has not ended: it is never shorter") {
    std::stop_source source;
    Lingering lingering;
    Listener listener;
    exec::Cmd cmd = lingering.command(stoppable(source));
    cmd.out = listener.sink();
    cmd.wait_delay = milliseconds(60);
    REQUIRE(cmd.start());
    REQUIRE(listener.heard_line());
    CHECK_FALSE(readable(cmd.wait_fd().value(), while_nothing_happens)); // it has not begun
    const auto exited = Clock::now();
    lingering.leave();
    CHECK_FALSE(cmd.wait());
    CHECK(Clock::now() - exited >= cmd.wait_delay);
}

EXEC_TEST("[go:109] the delay counts from the end of the context: a command that lives on is not killed before") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "hang");
    cmd.cancel = nullptr;
    cmd.wait_delay = milliseconds(60);
    REQUIRE(cmd.start());
    const auto stopped = Clock::now();
    source.request_stop();
    CHECK_FALSE(cmd.wait());
    CHECK(Clock::now() - stopped >= cmd.wait_delay);
    CHECK(cmd.state()->signal() == SIGKILL);
}

EXEC_TEST("[go:109] a delay that the end of the context began is not begun anew by the exit") {
    bool shown = false;
    for (int attempt = 0; attempt < 8 && !shown; ++attempt)
        shown = one_timer(true);
    CHECK(shown);
}

EXEC_TEST("[go:109] a delay that the exit began is not begun anew by the end of the context") {
    bool shown = false;
    for (int attempt = 0; attempt < 8 && !shown; ++attempt)
        shown = one_timer(false);
    CHECK(shown);
}

EXEC_TEST("[go:110] a command alive at the end of the delay dies by SIGKILL, not by the pipes that are closed then") {
    for (int i = 0; i < 10; ++i) {
        for (const std::vector<std::string>& writing :
             {std::vector<std::string>{"yes"},
              {"spew", "1000000000000"}}) { // one exits with 0 on EPIPE, one dies of it
            CAPTURE(writing[0]);
            std::stop_source source;
            exec::Cmd cmd = helper(stoppable(source), writing[0], {writing.begin() + 1, writing.end()});
            cmd.cancel = nullptr;
            cmd.wait_delay = milliseconds(2);
            cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
                source.request_stop();
                return {};
            });
            REQUIRE(cmd.start());
            const auto result = cmd.wait();
            REQUIRE_FALSE(result);
            CHECK(result.error().message() == "signal: killed");
            CHECK_FALSE(result.error().is(exec::Errc::wait_delay));
            REQUIRE(result.error().exit() != nullptr);
        }
    }
}

EXEC_TEST("[go:110] the delay's kill comes after a cancel that did not help") {
    std::stop_source source;
    Listener listener;
    exec::Cmd cmd = helper(stoppable(source), "hang", {"ignore"});
    cmd.out = listener.sink();
    cmd.cancel = [](exec::Process& process) { return process.signal(SIGTERM); };
    cmd.wait_delay = short_delay;
    REQUIRE(cmd.start());
    REQUIRE(listener.heard_line());
    source.request_stop();
    const auto result = cmd.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}

EXEC_TEST(
    "[go:111] a command that succeeded, but whose pipes stay open over the delay: they are closed, with an error") {
    for (const bool in_this_thread : {true, false}) {
        CAPTURE(in_this_thread);
        Lingering lingering;
        lingering.leave();
        std::string text;
        exec::Cmd cmd = lingering.command();
        cmd.out = exec::Sink::buffer(text);
        cmd.err = exec::Sink::writer([](std::string_view) -> exec::Result<> { return {}; });
        cmd.wait_delay = short_delay;
        const int before = pipes();
        if (!in_this_thread) REQUIRE(cmd.start());
        const auto result = in_this_thread ? cmd.run() : cmd.wait();
        CHECK(pipes() == before);
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == "exec: WaitDelay expired before I/O complete");
        CHECK(result.error().is(exec::Errc::wait_delay));
        CHECK(result.error().exit() == nullptr);
        CHECK(cmd.state()->success());
        CHECK(text == "ready\n"); // what had come
    }
}

EXEC_TEST("[go:111] output() gives what had come before the delay was over") {
    Lingering lingering;
    lingering.leave();
    exec::Cmd cmd = lingering.command();
    cmd.wait_delay = short_delay;
    const exec::Output output = cmd.output();
    REQUIRE_FALSE(output);
    CHECK(output.result.error().is(exec::Errc::wait_delay));
    CHECK(output.bytes == "ready\n");
}

EXEC_TEST("[go:112] a command that failed outweighs a delay that expired") {
    Lingering lingering(5);
    lingering.leave();
    std::string text;
    exec::Cmd cmd = lingering.command();
    cmd.out = exec::Sink::buffer(text);
    cmd.wait_delay = short_delay;
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "exit status 5");
    CHECK_FALSE(result.error().is(exec::Errc::wait_delay));
}

// A negative delay is over when it begins, so here the copying is at its end before that, whatever the machine does.
EXEC_TEST("[go:113] copying that was finished when the delay ended gives its own result: success") {
    for (int i = 0; i < 10; ++i) {
        exec::Cmd cmd = helper("stdin-close"); // exits when it has read the end
        cmd.in = exec::Source::bytes("ok");
        cmd.wait_delay = std::chrono::nanoseconds(-1);
        CHECK(cmd.run());
    }
}

EXEC_TEST("[go:113] copying that was finished when the delay ended gives its own result: its error") {
    for (int i = 0; i < 10; ++i) {
        exec::Cmd cmd = helper("yes"); // exits when nobody reads any more
        cmd.out = failing_writer();
        cmd.wait_delay = std::chrono::nanoseconds(-1);
        const auto result = cmd.run();
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == "the writer's own trouble");
    }
}

EXEC_TEST("[go:113] nor does a delay count that ended when command and copying were over, and nobody had waited") {
    std::stop_source source;
    const int before = threads();
    exec::Cmd cmd = helper(stoppable(source), "stdin-close");
    cmd.in = exec::Source::bytes("ok");
    cmd.cancel = nullptr;
    cmd.wait_delay = short_delay;
    REQUIRE(cmd.start());
    REQUIRE(readable(cmd.process()->pidfd()));
    source.request_stop();
    REQUIRE(eventually([&] { return threads() == before; })); // the delay has been watched to its end
    CHECK(cmd.wait());
}

EXEC_TEST("[go:114] without a delay wait() waits for the end of the output, long after the exit") {
    Lingering lingering;
    Listener listener;
    exec::Cmd cmd = lingering.command();
    cmd.out = listener.sink();
    REQUIRE(cmd.start());
    const pid_t pid = cmd.process()->pid();
    REQUIRE(listener.heard_line());
    lingering.leave();
    auto waiting = std::async(std::launch::async, [&] { return cmd.wait(); });
    CHECK(eventually([&] { return gone(pid); }));
    CHECK(waiting.wait_for(while_nothing_happens) == std::future_status::timeout);
    lingering.release();
    REQUIRE(waiting.wait_for(patience) == std::future_status::ready);
    CHECK(waiting.get());
    CHECK(listener.text() == "ready\nlate\n");
}
