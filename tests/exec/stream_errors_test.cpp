// What goes wrong with a command's streams, and whose errors count: broken pipes, SIGPIPE, callables that fail or
// block.
#include "tests/exec/watching.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <future>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

constexpr std::size_t ten_megabytes = 10'000'000;

exec::Source failing_reader(std::errc code) {
    return exec::Source::reader([code](std::span<char>) -> exec::Result<std::size_t> {
        return std::unexpected(exec::Error(std::make_error_code(code), "the reader's own trouble"));
    });
}

exec::Source endless_reader() {
    return exec::Source::reader([](std::span<char> room) -> exec::Result<std::size_t> {
        std::ranges::fill(room, 'x');
        return room.size();
    });
}

exec::Sink failing_writer() {
    return exec::Sink::writer([](std::string_view) -> exec::Result<> {
        return std::unexpected(
            exec::Error(std::make_error_code(std::errc::no_space_on_device), "the writer's own trouble"));
    });
}

exec::Cmd shell(const char* script) {
    return exec::command("/bin/sh", "-c", script, helper_path());
} // the helper is $0

exec::Result<> start_and_wait(exec::Cmd& cmd) {
    if (auto started = cmd.start(); !started) return started;
    return cmd.wait();
}

// Both ways to run: the caller's thread copies, or one of the library's.
constexpr std::array ways{+[](exec::Cmd& cmd) { return cmd.run(); },
                          +[](exec::Cmd& cmd) { return start_and_wait(cmd); }};

std::atomic<int> broken_pipes_seen = 0;

bool pending(int signal) {
    sigset_t set;
    ::sigpending(&set);
    return ::sigismember(&set, signal) == 1;
}

} // namespace

EXEC_TEST("[go:44] a command that does not read its input, or stops to, is no error") {
    for (const auto way : ways) {
        for (const char* const script : {"exit 0", "head -c 100000 >/dev/null"}) {
            CAPTURE(script);
            exec::Cmd much = shell(script);
            much.in = exec::Source::bytes(std::string(ten_megabytes, 'x'));
            CHECK(way(much));
            exec::Cmd endless = shell(script);
            endless.in = endless_reader();
            CHECK(way(endless));
        }
    }
}

EXEC_TEST("[go:44] nor is one that ends between two pieces of its input") {
    exec::Cmd cmd = shell("read line");
    cmd.in = exec::Source::reader([&cmd, calls = 0](std::span<char> room) mutable -> exec::Result<std::size_t> {
        if (++calls == 1) {
            room[0] = '\n';
            return 1;
        }
        (void)readable(cmd.process()->pidfd()); // asked for more before anybody could see that it ends
        std::ranges::fill(room, 'x');
        return room.size();
    });
    CHECK(cmd.run());
}

EXEC_TEST("[go:45] a broken pipe that the user's reader reports is an error like any other") {
    for (const auto way : ways) {
        exec::Cmd cmd = helper("cat");
        cmd.in = failing_reader(std::errc::broken_pipe);
        const auto result = way(cmd);
        REQUIRE_FALSE(result);
        CHECK(result.error().is(std::errc::broken_pipe));
        CHECK(result.error().message() == "the reader's own trouble");
        CHECK(cmd.state()->success());
    }
}

EXEC_TEST("[go:45] ENOTCONN of the user's reader is not forgiven either") {
    exec::Cmd cmd = helper("cat");
    cmd.in = failing_reader(std::errc::not_connected);
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(std::errc::not_connected));
}

EXEC_TEST("[go:46] feeding a command that does not read survives SIGPIPE at its default action") {
    const Disposition deadly(SIGPIPE, SIG_DFL);
    for (const auto way : ways) {
        exec::Cmd cmd = helper("exit", {"0"});
        cmd.in = exec::Source::bytes(std::string(ten_megabytes, 'x'));
        CHECK(way(cmd));
    }
    CHECK_FALSE(pending(SIGPIPE));
    struct sigaction now{};
    REQUIRE(::sigaction(SIGPIPE, nullptr, &now) == 0);
    CHECK((now.sa_handler == SIG_DFL));
}

EXEC_TEST("[go:46] writing to a stdin pipe that nobody reads survives SIGPIPE at its default action") {
    const Disposition deadly(SIGPIPE, SIG_DFL);
    exec::Cmd cmd = helper("exit", {"0"});
    auto input = cmd.stdin_pipe();
    REQUIRE(input);
    REQUIRE(cmd.start());
    const auto written = input->write(std::string(ten_megabytes, 'x'));
    REQUIRE_FALSE(written);
    CHECK(written.error().is(std::errc::broken_pipe));
    CHECK_FALSE(pending(SIGPIPE));
    CHECK(cmd.wait());
}

EXEC_TEST("[go:46] a handler of SIGPIPE hears nothing of a command's broken pipe") {
    broken_pipes_seen = 0;
    const Disposition counting(SIGPIPE, [](int) { ++broken_pipes_seen; });
    for (const auto way : ways) {
        exec::Cmd cmd = helper("exit", {"0"});
        cmd.in = endless_reader();
        CHECK(way(cmd));
    }
    exec::Cmd cmd = helper("exit", {"0"});
    auto input = cmd.stdin_pipe();
    REQUIRE(input);
    REQUIRE(cmd.start());
    CHECK_FALSE(input->write(std::string(ten_megabytes, 'x')));
    CHECK(cmd.wait());
    CHECK(broken_pipes_seen == 0);
}

EXEC_TEST("[go:46] a SIGPIPE that was blocked and pending before is pending still") {
    const Disposition deadly(SIGPIPE, SIG_DFL);
    sigset_t only;
    sigset_t mask_before;
    ::sigemptyset(&only);
    ::sigaddset(&only, SIGPIPE);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &only, &mask_before) == 0);
    ::raise(SIGPIPE);
    exec::Cmd cmd = helper("exit", {"0"});
    auto input = cmd.stdin_pipe();
    REQUIRE(input);
    REQUIRE(cmd.start());
    REQUIRE(readable(cmd.process()->pidfd()));
    CHECK_FALSE(input->write("to nobody"));
    CHECK(cmd.wait());
    CHECK(pending(SIGPIPE));
    const timespec at_once{};
    ::sigtimedwait(&only, nullptr, &at_once); // taken away, for it would be deadly below
    sigset_t mask_after;
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &mask_before, &mask_after) == 0);
    CHECK(::sigismember(&mask_after, SIGPIPE) == 1);
}

EXEC_TEST("[go:47] a reader's or a writer's error is the result of a command that succeeded") {
    for (const auto way : ways) {
        exec::Cmd reading = helper("cat");
        reading.in = failing_reader(std::errc::io_error);
        const auto read = way(reading);
        REQUIRE_FALSE(read);
        CHECK(read.error().is(std::errc::io_error));
        CHECK(read.error().message() == "the reader's own trouble");
        CHECK(read.error().exit() == nullptr);

        exec::Cmd writing = helper("echo", {"text"});
        writing.out = failing_writer();
        const auto wrote = way(writing);
        REQUIRE_FALSE(wrote);
        CHECK(wrote.error().is(std::errc::no_space_on_device));
        CHECK(wrote.error().message() == "the writer's own trouble");
    }
}

EXEC_TEST("[go:47] a command that failed outweighs its reader's and its writer's errors") {
    for (const auto way : ways) {
        exec::Cmd cmd = shell("cat; echo text; exit 3");
        cmd.in = failing_reader(std::errc::io_error);
        cmd.out = failing_writer();
        const auto result = way(cmd);
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == "exit status 3");
        CHECK_FALSE(result.error().is(std::errc::io_error));
    }
}

EXEC_TEST("[go:48] a writer that fails closes the pipe, so a command that writes without end ends") {
    for (const auto way : ways) {
        exec::Cmd cmd = helper("yes");
        cmd.out = failing_writer();
        const auto result = way(cmd);
        REQUIRE_FALSE(result);
        CHECK(result.error().is(std::errc::no_space_on_device));
        CHECK(cmd.state()->success()); // yes says 0 to a broken pipe
    }
}

EXEC_TEST("[go:48] a writer that fails is not called again, and the other stream goes on") {
    for (const auto way : ways) {
        int calls = 0;
        std::string errors;
        exec::Cmd cmd = shell("\"$0\" yes; echo still heard >&2");
        cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
            ++calls;
            return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error)));
        });
        cmd.err = exec::Sink::buffer(errors);
        const auto result = way(cmd);
        REQUIRE_FALSE(result);
        CHECK(result.error().is(std::errc::io_error));
        CHECK(calls == 1);
        CHECK(errors == "still heard\n");
    }
}

EXEC_TEST("[go:48] one failing writer for both streams closes both") {
    exec::Cmd cmd = shell("\"$0\" yes; \"$0\" yes >&2; exit 0");
    cmd.out = failing_writer();
    cmd.err = cmd.out;
    const auto result = cmd.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(std::errc::no_space_on_device));
}

EXEC_TEST("[go:49] a reader that blocks keeps wait() from returning, also past the wait delay, until it returns") {
    Gate asked;
    Gate answer;
    exec::Cmd cmd = helper("hang", {"interrupt"});
    auto ready = cmd.stdout_pipe();
    REQUIRE(ready);
    cmd.wait_delay = std::chrono::milliseconds(1);
    cmd.in = exec::Source::reader([&](std::span<char>) -> exec::Result<std::size_t> {
        asked.open();
        answer.wait();
        return 0;
    });
    REQUIRE(cmd.start());
    REQUIRE(asked.wait());
    CHECK(read_line(*ready) == "ready\n");
    REQUIRE(cmd.process()->signal(SIGINT));
    REQUIRE(readable(cmd.process()->pidfd())); // it has ended
    auto waiting = std::async(std::launch::async, [&] { return cmd.wait(); });
    CHECK(waiting.wait_for(while_nothing_happens) == std::future_status::timeout);
    CHECK_FALSE(answer.is_open());
    answer.open();
    REQUIRE(waiting.wait_for(patience) == std::future_status::ready);
    (void)waiting.get();
    CHECK(cmd.state()->success());
}
