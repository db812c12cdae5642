// Commands in an event loop: wait_fd() and try_wait(). Whenever the descriptor is readable, wait() would not wait.
#include "tests/exec/watching.hpp"

#include <csignal>
#include <stop_token>
#include <sys/epoll.h>
#include <thread>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

using std::chrono::milliseconds;

constexpr std::chrono::hours one_hour{1};
constexpr int rounds = 20;

exec::Context stoppable(const std::stop_source& source) {
    return {source.get_token(), {}};
}

bool running(exec::Cmd& cmd) {
    const auto fd = cmd.wait_fd();
    REQUIRE(fd);
    return !readable(*fd, milliseconds(0)) && !cmd.try_wait().has_value();
}

// The result, as soon as the descriptor says that there is one.
exec::Result<> result_of(exec::Cmd& cmd) {
    const auto fd = cmd.wait_fd();
    REQUIRE(fd);
    REQUIRE(readable(*fd));
    auto result = cmd.try_wait();
    REQUIRE(result.has_value()); // at once: not "nearly"
    return *std::move(result);
}

} // namespace

EXEC_TEST("before the start there is nothing to wait for") {
    exec::Cmd cmd = helper("exit", {"0"});
    const auto fd = cmd.wait_fd();
    REQUIRE_FALSE(fd);
    CHECK(fd.error().is(exec::Errc::not_started));
    const auto result = cmd.try_wait();
    REQUIRE(result.has_value());
    REQUIRE_FALSE(*result);
    CHECK(result->error().message() == "exec: not started");
}

EXEC_TEST("a command of descriptors alone is awaited without a thread") {
    PipePair input = make_pipe();
    const int before = threads();
    exec::Cmd cmd = helper("cat");
    cmd.in = exec::Source::fd(input.read.get());
    REQUIRE(cmd.start());
    CHECK(running(cmd));
    CHECK(threads() == before);
    CHECK(cmd.state() == nullptr);
    input.write.reset();
    CHECK(result_of(cmd));
    REQUIRE(cmd.state() != nullptr);
    CHECK(cmd.state()->success());
}

EXEC_TEST("the descriptor is the same one until the command was waited for") {
    Gate written;
    const int before = threads();
    exec::Cmd cmd = helper("echo", {"text"});
    cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        written.open();
        return {};
    });
    REQUIRE(cmd.start());
    const int first = cmd.wait_fd().value();
    REQUIRE(written.wait());
    REQUIRE(readable(first));
    REQUIRE(eventually([&] { return threads() == before; })); // also when its thread has ended
    CHECK(cmd.wait_fd().value() == first);
    CHECK(cmd.wait());
}

EXEC_TEST("a command can be waited for once, whichever way") {
    exec::Cmd cmd = helper("exit", {"7"});
    REQUIRE(cmd.start());
    const auto first = result_of(cmd);
    REQUIRE_FALSE(first);
    CHECK(first.error().message() == "exit status 7");
    const auto second = cmd.try_wait();
    REQUIRE(second.has_value());
    REQUIRE_FALSE(*second);
    CHECK(second->error().message() == "exec: Wait was already called");
    const auto third = cmd.wait();
    REQUIRE_FALSE(third);
    CHECK(third.error().is(exec::Errc::already_waited));
}

EXEC_TEST("wait() may follow a descriptor and a try_wait() that had nothing yet") {
    Listener listener;
    exec::Cmd cmd = helper("hang");
    cmd.out = listener.sink();
    REQUIRE(cmd.start());
    CHECK(running(cmd));
    REQUIRE(cmd.process()->kill());
    const auto result = cmd.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}

EXEC_TEST("a command that is dead already is found so by the first question") {
    for (int i = 0; i < rounds; ++i) {
        exec::Cmd cmd = helper("exit", {"3"});
        REQUIRE(cmd.start());
        REQUIRE(readable(cmd.process()->pidfd()));
        if (i % 2 == 0) {
            const auto at_once = cmd.try_wait(); // nobody asked for a descriptor
            REQUIRE(at_once.has_value());
            CHECK(at_once->error().message() == "exit status 3");
        } else {
            CHECK(result_of(cmd).error().message() == "exit status 3");
        }
    }
}

EXEC_TEST("a command that is dead already, and whose output was copied") {
    for (int i = 0; i < rounds; ++i) {
        std::string text;
        exec::Cmd cmd = helper("echo", {"text"});
        cmd.out = exec::Sink::buffer(text);
        REQUIRE(cmd.start());
        REQUIRE(readable(cmd.process()->pidfd()));
        CHECK(result_of(cmd));
        CHECK(text == "text\n");
    }
}

EXEC_TEST("with copying the descriptor waits for all that is written, also by what the command left behind") {
    Lingering lingering;
    std::string text;
    exec::Cmd cmd = lingering.command();
    cmd.out = exec::Sink::buffer(text);
    REQUIRE(cmd.start());
    const Fd process = Fd::adopt(::dup(cmd.process()->pidfd())); // the library closes its own when it has reaped
    CHECK(running(cmd));
    lingering.leave();
    REQUIRE(readable(process.get())); // it has ended, but
    CHECK_FALSE(readable(cmd.wait_fd().value(), while_nothing_happens));
    CHECK_FALSE(cmd.try_wait().has_value());
    lingering.release();
    CHECK(result_of(cmd));
    CHECK(text == "ready\nlate\n");
}

EXEC_TEST("with copying of much output in both directions") {
    const std::string much(3'000'000, 'x');
    std::string text;
    exec::Cmd cmd = helper("cat");
    cmd.in = exec::Source::bytes(much);
    cmd.out = exec::Sink::buffer(text);
    REQUIRE(cmd.start());
    CHECK(result_of(cmd));
    CHECK((text == much));
}

EXEC_TEST("with a sink whose callable fails") {
    exec::Cmd cmd = helper("yes");
    cmd.out = exec::Sink::writer([](std::string_view) -> exec::Result<> {
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error)));
    });
    REQUIRE(cmd.start());
    const auto result = result_of(cmd);
    REQUIRE_FALSE(result);
    CHECK(result.error().is(std::errc::io_error));
}

EXEC_TEST("with a context: its end is acted on though nobody waits in the library") {
    for (const bool copying : {false, true}) {
        CAPTURE(copying);
        std::stop_source source;
        Listener listener;
        exec::Cmd cmd = helper(stoppable(source), "hang");
        if (copying) cmd.out = listener.sink();
        REQUIRE(cmd.start());
        CHECK(running(cmd));
        source.request_stop();
        const auto result = result_of(cmd);
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == "signal: killed");
    }
}

EXEC_TEST("with a deadline") {
    exec::Cmd cmd = helper(exec::Context::with_timeout(milliseconds(400)), "hang");
    REQUIRE(cmd.start());
    const auto result = result_of(cmd);
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}

EXEC_TEST("with a context that never ends, or ends for nothing") {
    std::stop_source source;
    exec::Context context;
    SUBCASE("never") {}
    SUBCASE("for nothing") {
        context = stoppable(source);
    }
    exec::Cmd cmd = helper(context, "exit", {"0"});
    if (context.can_end()) cmd.cancel = nullptr;
    REQUIRE(cmd.start());
    source.request_stop();
    CHECK(result_of(cmd));
}

EXEC_TEST("with a wait delay: it counts from the exit though nobody waits in the library") {
    Lingering lingering;
    std::string text;
    exec::Cmd cmd = lingering.command();
    cmd.out = exec::Sink::buffer(text);
    cmd.wait_delay = milliseconds(20);
    REQUIRE(cmd.start());
    CHECK(running(cmd));
    lingering.leave();
    const auto result = result_of(cmd);
    REQUIRE_FALSE(result);
    CHECK(result.error().is(exec::Errc::wait_delay));
    CHECK(cmd.state()->success());
    CHECK(text == "ready\n");
}

EXEC_TEST("with a wait delay after the end of a context that cancels nothing") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "hang", {"ignore"});
    cmd.cancel = nullptr;
    cmd.wait_delay = milliseconds(20);
    REQUIRE(cmd.start());
    source.request_stop();
    const auto result = result_of(cmd);
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}

EXEC_TEST("with a wait delay that is not needed") {
    std::string text;
    exec::Cmd cmd = helper("echo", {"text"});
    cmd.wait_delay = one_hour;
    SUBCASE("descriptors alone") {}
    SUBCASE("copying") {
        cmd.out = exec::Sink::buffer(text);
    }
    REQUIRE(cmd.start());
    CHECK(result_of(cmd));
    CHECK((text.empty() || text == "text\n"));
}

EXEC_TEST("with pipes of our own, which try_wait() closes as wait() does") {
    exec::Cmd cmd = helper("cat");
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    REQUIRE((in && out));
    REQUIRE(cmd.start());
    CHECK(in->write("line\n"));
    CHECK(read_line(*out) == "line\n");
    CHECK(running(cmd));
    CHECK(out->fd() >= 0);
    CHECK(in->close());
    CHECK(result_of(cmd));
    CHECK(out->fd() == -1);
}

EXEC_TEST("many commands in one epoll, each found once, at its end") {
    const Fd loop = Fd::adopt(::epoll_create1(EPOLL_CLOEXEC));
    REQUIRE(loop);
    std::stop_source source;
    std::vector<std::string> texts(12);
    std::vector<exec::Cmd> commands;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::vector<std::string> code{std::to_string(i)};
        commands.push_back(i % 3 == 0 ? helper("exit", code)
                                      : helper(stoppable(source), i % 3 == 1 ? "echo" : "hang", code));
        if (i % 2 == 0) commands.back().out = exec::Sink::buffer(texts[i]);
        REQUIRE(commands.back().start());
        epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
        REQUIRE(::epoll_ctl(loop.get(), EPOLL_CTL_ADD, commands.back().wait_fd().value(), &event) == 0);
    }
    std::size_t ended = 0;
    while (ended < commands.size()) {
        if (ended == 8) source.request_stop(); // the four that hang are left
        epoll_event event{};
        REQUIRE(::epoll_wait(loop.get(), &event, 1, static_cast<int>(patience.count())) == 1);
        const std::size_t i = event.data.u64;
        exec::Cmd& cmd = commands[i];
        ::epoll_ctl(loop.get(), EPOLL_CTL_DEL, cmd.wait_fd().value(), nullptr);
        const auto result = cmd.try_wait();
        REQUIRE(result.has_value());
        ++ended;
        CAPTURE(i);
        CHECK(result->has_value() == (i % 3 == 1 || i == 0));
        if (i % 3 == 2) CHECK(result->error().message() == "signal: killed");
    }
}
