// Contexts whose end changes nothing, or comes at an awkward moment.
#include "tests/exec/watching.hpp"

#include <atomic>
#include <csignal>
#include <future>
#include <optional>
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
constexpr int rounds = 50;

exec::Context stoppable(const std::stop_source& source) {
    return {source.get_token(), {}};
}

// `cat` in a conversation: proves that it lives.
struct Conversation {
    explicit Conversation(exec::Cmd& cmd) {
        auto in_made = cmd.stdin_pipe();
        auto out_made = cmd.stdout_pipe();
        REQUIRE((in_made && out_made));
        in = *in_made;
        out = *out_made;
    }
    bool answers() {
        REQUIRE(in->write("?\n"));
        return read_line(*out) == "?\n";
    }
    std::optional<exec::PipeWriter> in;
    std::optional<exec::PipeReader> out;
};

} // namespace

EXEC_TEST("[go:106] without cancel and wait delay the end of the context does nothing after the start") {
    std::stop_source source;
    exec::Cmd cmd = helper(exec::Context::with_timeout(soon, source.get_token()), "cat");
    cmd.cancel = nullptr;
    Conversation talk(cmd);
    REQUIRE(cmd.start());
    source.request_stop();
    CHECK(talk.answers());
    CHECK_FALSE(readable(cmd.process()->pidfd(), soon + while_nothing_happens)); // until the deadline is over as well
    CHECK(talk.answers());
    CHECK(talk.in->close());
    CHECK(cmd.wait());
}

EXEC_TEST("[go:106] that holds as well for a command whose streams are copied") {
    std::stop_source source;
    Listener listener;
    exec::Cmd cmd = helper(stoppable(source), "hang", {"interrupt"});
    cmd.cancel = nullptr;
    cmd.out = listener.sink();
    REQUIRE(cmd.start());
    REQUIRE(listener.heard_line());
    source.request_stop();
    CHECK_FALSE(readable(cmd.process()->pidfd(), while_nothing_happens));
    REQUIRE(cmd.process()->signal(SIGINT));
    CHECK(cmd.wait());
}

EXEC_TEST("[go:107] with a wait delay alone a command that exits with 0 within it succeeds") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "cat");
    cmd.cancel = nullptr;
    cmd.wait_delay = one_hour;
    Conversation talk(cmd);
    REQUIRE(cmd.start());
    source.request_stop();
    CHECK_FALSE(readable(cmd.process()->pidfd(), while_nothing_happens));
    CHECK(talk.answers());
    CHECK(talk.in->close());
    CHECK(cmd.wait());
}

EXEC_TEST("[go:107] with a wait delay alone a command that does not end within it is killed") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "hang", {"ignore"});
    cmd.cancel = nullptr;
    cmd.wait_delay = milliseconds(20);
    REQUIRE(cmd.start());
    CHECK_FALSE(readable(cmd.process()->pidfd(), while_nothing_happens)); // the delay has not begun
    source.request_stop();
    const auto result = cmd.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
    CHECK_FALSE(result.error().is(exec::Errc::canceled));
}

EXEC_TEST("[go:108] once wait() has seen the exit, the end of the context changes nothing, even if pipes are open") {
    Lingering lingering;
    std::stop_source source;
    std::atomic<int> cancels = 0;
    Listener listener;
    exec::Cmd cmd = lingering.command(stoppable(source));
    cmd.out = listener.sink();
    cmd.cancel = [&](exec::Process&) -> exec::Result<> {
        ++cancels;
        return {};
    };
    REQUIRE(cmd.start());
    const pid_t pid = cmd.process()->pid();
    REQUIRE(listener.heard_line());
    lingering.leave();
    auto waiting = std::async(std::launch::async, [&] { return cmd.wait(); });
    REQUIRE(eventually([&] { return gone(pid); })); // reaped: the exit has been seen
    source.request_stop();
    CHECK(waiting.wait_for(while_nothing_happens) == std::future_status::timeout); // for the pipe is open
    lingering.release();
    REQUIRE(waiting.wait_for(patience) == std::future_status::ready);
    CHECK(waiting.get());
    CHECK(listener.text() == "ready\nlate\n");
    CHECK(cancels == 0);
}

EXEC_TEST("[go:99][go:100] a context that ends at the moment of the exit gives one of the two results, whole") {
    for (int i = 0; i < rounds; ++i) {
        std::stop_source source;
        std::atomic<int> cancels = 0;
        std::string text;
        exec::Cmd cmd = helper(stoppable(source), "exit", {"0"});
        cmd.cancel = [&](exec::Process& process) {
            ++cancels;
            return process.kill();
        };
        if (i % 2 == 0) cmd.out = exec::Sink::buffer(text); // half of them with something to copy
        REQUIRE(cmd.start());
        const Fd ending = Fd::adopt(::dup(cmd.process()->pidfd())); // one of our own: wait() may close the command's
        std::jthread stopper([&] {
            if (i % 5 != 0) (void)readable(ending.get());
            source.request_stop();
        });
        const auto result = cmd.wait();
        stopper.join();
        REQUIRE(cmd.state() != nullptr);
        CHECK(cancels <= 1);
        if (result) {
            CHECK(cmd.state()->success());
        } else if (cmd.state()->success()) {
            CHECK(result.error().is(exec::Errc::canceled)); // killed when it was a zombie already: sent, without effect
            CHECK(cancels == 1);
        } else {
            CHECK(result.error().message() == "signal: killed");
            CHECK(cancels == 1);
        }
    }
}

EXEC_TEST("[go:100] a deadline that passes at the moment of the exit gives one of the two results, whole") {
    for (int i = 0; i < rounds; ++i) {
        const auto timeout = std::chrono::microseconds(50 * i + 1000);
        exec::Cmd cmd = helper(exec::Context::with_timeout(timeout), "exit", {"0"});
        const auto result = cmd.run();
        if (result) {
            CHECK(cmd.state()->success());
        } else if (cmd.process() == nullptr || cmd.state()->success()) {
            CHECK(result.error().is(exec::Errc::deadline_exceeded)); // also where it came before the start
        } else {
            CHECK(result.error().message() == "signal: killed");
        }
    }
}

EXEC_TEST("[go:99] a stop may be asked for by what the command's own thread calls") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "hang");
    cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        source.request_stop();
        return {};
    });
    exec::Result<> result;
    SUBCASE("run()") {
        result = cmd.run();
    }
    SUBCASE("start() and wait()") {
        REQUIRE(cmd.start());
        result = cmd.wait();
    }
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}

EXEC_TEST("[go:99] one stop ends many commands") {
    std::stop_source source;
    std::vector<exec::Cmd> commands;
    for (int i = 0; i < 8; ++i) {
        commands.push_back(helper(stoppable(source), "hang"));
        REQUIRE(commands.back().start());
    }
    source.request_stop();
    for (exec::Cmd& cmd : commands) {
        const auto result = cmd.wait();
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == "signal: killed");
    }
}

EXEC_TEST("[go:99] a command that is moved while its context is watched keeps its cancel") {
    std::stop_source source;
    exec::Cmd first = helper(stoppable(source), "hang");
    REQUIRE(first.start());
    exec::Cmd second = std::move(first);
    source.request_stop();
    const auto result = second.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}
