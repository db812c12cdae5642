// Commands in an event loop whose streams are copied, whose context is watched, or whose wait delay counts: by the
// library's thread, while the program waits for wait_fd().
#include "tests/exec/watching.hpp"

#include <stop_token>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

using std::chrono::milliseconds;

exec::Context stoppable(const std::stop_source& source) {
    return {source.get_token(), {}};
}

} // namespace

EXEC_TEST(
    "event loop: with copying the descriptor waits for all that is written, also by what the command left behind") {
    Lingering lingering;
    std::string text;
    exec::Cmd cmd = lingering.command();
    cmd.out = exec::Sink::buffer(text);
    REQUIRE(cmd.start());
    const Fd process = Fd::adopt(::dup(cmd.process()->pidfd())); // the library closes its own when it has reaped
    CHECK(still_running(cmd));
    lingering.leave();
    REQUIRE(readable(process.get())); // it has ended, but
    CHECK_FALSE(readable(cmd.wait_fd().value(), while_nothing_happens));
    CHECK_FALSE(cmd.try_wait().has_value());
    lingering.release();
    CHECK(result_when_ready(cmd));
    CHECK(text == "ready\nlate\n");
}

EXEC_TEST("event loop: with copying that has ended the descriptor waits for the command, which lives on") {
    PipePair input = make_pipe();
    Listener listener;
    exec::Cmd cmd = exec::command("/bin/sh", "-c", "echo bye; exec >&-; read line; exit 0");
    cmd.in = exec::Source::fd(input.read.get());
    cmd.out = listener.sink();
    const int before = pipes();
    REQUIRE(cmd.start());
    CHECK(still_running(cmd));
    REQUIRE(listener.heard_line());
    REQUIRE(eventually([&] { return pipes() == before; })); // our end is closed: all is copied
    CHECK_FALSE(readable(cmd.wait_fd().value(), while_nothing_happens));
    CHECK_FALSE(cmd.try_wait().has_value());
    input.write.reset();
    CHECK(result_when_ready(cmd));
}

EXEC_TEST("event loop: with copying of much output in both directions") {
    const std::string much(3'000'000, 'x');
    std::string text;
    exec::Cmd cmd = helper("cat");
    cmd.in = exec::Source::bytes(much);
    cmd.out = exec::Sink::buffer(text);
    REQUIRE(cmd.start());
    CHECK(result_when_ready(cmd));
    CHECK((text == much));
}

EXEC_TEST("event loop: with a sink whose callable fails") {
    exec::Cmd cmd = helper("yes");
    cmd.out = exec::Sink::writer([](std::string_view) -> exec::Result<> {
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error)));
    });
    REQUIRE(cmd.start());
    const auto result = result_when_ready(cmd);
    REQUIRE_FALSE(result);
    CHECK(result.error().is(std::errc::io_error));
}

EXEC_TEST("event loop: with a context: its end is acted on though nobody waits in the library") {
    for (const bool copying : {false, true}) {
        CAPTURE(copying);
        std::stop_source source;
        Listener listener;
        exec::Cmd cmd = helper(stoppable(source), "hang");
        if (copying) cmd.out = listener.sink();
        REQUIRE(cmd.start());
        CHECK(still_running(cmd));
        source.request_stop();
        const auto result = result_when_ready(cmd);
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == "signal: killed");
    }
}

EXEC_TEST("event loop: with a deadline") {
    exec::Cmd cmd = helper(exec::Context::with_timeout(milliseconds(400)), "hang");
    REQUIRE(cmd.start());
    const auto result = result_when_ready(cmd);
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}

EXEC_TEST("event loop: with a context whose end changes nothing") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "exit", {"0"});
    cmd.cancel = nullptr;
    REQUIRE(cmd.start());
    source.request_stop();
    CHECK(result_when_ready(cmd));
}

EXEC_TEST("event loop: with a wait delay: it counts from the exit though nobody waits in the library") {
    Lingering lingering;
    std::string text;
    exec::Cmd cmd = lingering.command();
    cmd.out = exec::Sink::buffer(text);
    cmd.wait_delay = milliseconds(20);
    REQUIRE(cmd.start());
    CHECK(still_running(cmd));
    lingering.leave();
    const auto result = result_when_ready(cmd);
    REQUIRE_FALSE(result);
    CHECK(result.error().is(exec::Errc::wait_delay));
    CHECK(cmd.state()->success());
    CHECK(text == "ready\n");
}

EXEC_TEST("event loop: with a wait delay after the end of a context that cancels nothing") {
    std::stop_source source;
    exec::Cmd cmd = helper(stoppable(source), "hang", {"ignore"});
    cmd.cancel = nullptr;
    cmd.wait_delay = milliseconds(20);
    REQUIRE(cmd.start());
    source.request_stop();
    const auto result = result_when_ready(cmd);
    REQUIRE_FALSE(result);
    CHECK(result.error().message() == "signal: killed");
}

EXEC_TEST("event loop: with a wait delay that is not needed") {
    std::string text;
    exec::Cmd cmd = helper("echo", {"text"});
    cmd.wait_delay = std::chrono::hours(1);
    SUBCASE("descriptors alone") {}
    SUBCASE("copying") {
        cmd.out = exec::Sink::buffer(text);
    }
    REQUIRE(cmd.start());
    CHECK(result_when_ready(cmd));
    CHECK((text.empty() || text == "text\n"));
}
