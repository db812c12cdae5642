// Commands in an event loop: wait_fd() and try_wait(). Whenever the descriptor is readable, wait() would not wait.
// event_loop_streams_test.cpp has those with copying, contexts and wait delays.
#include "tests/exec/watching.hpp"

#include <stop_token>
#include <sys/epoll.h>

using namespace keep;
using namespace keep::test;

namespace {

constexpr int rounds = 20;

} // namespace

EXEC_TEST("event loop: before the start there is nothing to wait for") {
    exec::Cmd cmd = helper("exit", {"0"});
    const auto fd = cmd.wait_fd();
    REQUIRE_FALSE(fd);
    CHECK(fd.error().is(exec::Errc::not_started));
    const auto result = cmd.try_wait();
    REQUIRE(result.has_value());
    REQUIRE_FALSE(*result);
    CHECK(result->error().message() == "exec: not started");
}

EXEC_TEST("event loop: a command of descriptors alone is awaited without a thread") {
    PipePair input = make_pipe();
    const int before = threads();
    exec::Cmd cmd = helper("cat");
    cmd.in = exec::Source::fd(input.read.get());
    REQUIRE(cmd.start());
    CHECK(still_running(cmd));
    CHECK(threads() == before);
    CHECK(cmd.state() == nullptr);
    input.write.reset();
    CHECK(result_when_ready(cmd));
    REQUIRE(cmd.state() != nullptr);
    CHECK(cmd.state()->success());
}

EXEC_TEST("event loop: the descriptor is the same one until the command was waited for") {
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

EXEC_TEST("event loop: a command can be waited for once, whichever way") {
    exec::Cmd cmd = helper("exit", {"7"});
    REQUIRE(cmd.start());
    const auto first = result_when_ready(cmd);
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

EXEC_TEST("event loop: wait() may follow a descriptor and a try_wait() that had nothing yet") {
    Listener listener;
    exec::Cmd cmd = helper("hang");
    cmd.out = listener.sink();
    REQUIRE(cmd.start());
    CHECK(still_running(cmd));
    REQUIRE(cmd.process()->kill());
    const auto result = cmd.wait();
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}

EXEC_TEST("event loop: a command that is dead already is found so by the first question") {
    for (int i = 0; i < rounds; ++i) {
        exec::Cmd cmd = helper("exit", {"3"});
        REQUIRE(cmd.start());
        REQUIRE(readable(cmd.process()->pidfd()));
        if (i % 2 == 0) {
            const auto at_once = cmd.try_wait(); // nobody asked for a descriptor
            REQUIRE(at_once.has_value());
            CHECK(at_once->error().message() == "exit status 3");
        } else {
            CHECK(result_when_ready(cmd).error().message() == "exit status 3");
        }
    }
}

EXEC_TEST("event loop: a command that is dead already, and whose output was copied") {
    for (int i = 0; i < rounds; ++i) {
        std::string text;
        exec::Cmd cmd = helper("echo", {"text"});
        cmd.out = exec::Sink::buffer(text);
        REQUIRE(cmd.start());
        REQUIRE(readable(cmd.process()->pidfd()));
        CHECK(result_when_ready(cmd));
        CHECK(text == "text\n");
    }
}

EXEC_TEST("event loop: with pipes of our own, which try_wait() closes as wait() does") {
    exec::Cmd cmd = helper("cat");
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    REQUIRE((in && out));
    REQUIRE(cmd.start());
    CHECK(in->write("line\n"));
    CHECK(read_line(*out) == "line\n");
    CHECK(still_running(cmd));
    CHECK(out->fd() >= 0);
    CHECK(in->close());
    CHECK(result_when_ready(cmd));
    CHECK(out->fd() == -1);
}

EXEC_TEST("event loop: many commands in one epoll, each found once, at its end") {
    const Fd loop = Fd::adopt(::epoll_create1(EPOLL_CLOEXEC));
    REQUIRE(loop);
    std::stop_source source;
    std::vector<std::string> texts(12);
    std::vector<exec::Cmd> commands;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::vector<std::string> code{std::to_string(i)};
        commands.push_back(i % 3 == 0
                               ? helper("exit", code)
                               : helper(exec::Context{source.get_token(), {}}, i % 3 == 1 ? "echo" : "hang", code));
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
