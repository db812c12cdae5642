// Cmd::output() and combined_output(): what is captured, and what of the standard error an error keeps.
#include "tests/exec/watching.hpp"

#include <stop_token>
#include <vector>

using namespace keep;
using namespace keep::test;

namespace {

constexpr std::size_t half = 32768; // of what is kept of a standard error

// So many bytes in which every place can be told from every other.
std::string numbered(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; text.size() < size; ++i) {
        std::string number = std::to_string(i);
        text += std::string(7 - number.size(), '0') + number + (i % 8 == 7 ? '\n' : ' ');
    }
    text.resize(size);
    return text;
}

std::string head_and_tail(const std::string& text) {
    if (text.size() <= 2 * half) return text;
    return text.substr(0, half) + "\n... omitting " + std::to_string(text.size() - 2 * half) + " bytes ...\n" +
           text.substr(text.size() - half);
}

exec::Cmd shell(const char* script) {
    return exec::command("/bin/sh", "-c", script, helper_path());
} // the helper is $0

// What the error of a failed command keeps of this standard error.
std::string kept_of(const std::string& text) {
    exec::Cmd cmd = shell("cat >&2; exit 3");
    cmd.in = exec::Source::bytes(text);
    const exec::Output output = cmd.output();
    REQUIRE_FALSE(output);
    REQUIRE(output.result.error().exit() != nullptr);
    return output.result.error().exit()->stderr_text;
}

void check_not_started(exec::Cmd& cmd, const exec::Output& output, const char* message) {
    REQUIRE_FALSE(output);
    CHECK(output.result.error().is(exec::Errc::stream_set));
    CHECK(output.result.error().message() == message);
    CHECK(output.bytes.empty());
    CHECK(cmd.process() == nullptr);
    CHECK(cmd.state() == nullptr);
    CHECK(holdings().children.empty());
}

} // namespace

EXEC_TEST("[go:50] output() of a command whose standard output is set fails, and nothing starts") {
    std::string text;
    exec::Cmd cmd = helper("echo", {"text"});
    cmd.out = exec::Sink::buffer(text);
    check_not_started(cmd, cmd.output(), "exec: Stdout already set");
    CHECK(text.empty());
}

EXEC_TEST("[go:50] output() of a command with a stdout pipe fails, and nothing starts") {
    exec::Cmd cmd = helper("echo", {"text"});
    REQUIRE(cmd.stdout_pipe());
    check_not_started(cmd, cmd.output(), "exec: Stdout already set");
}

EXEC_TEST("[go:50] combined_output() of a command with a stream that is set fails, standard output first") {
    std::string text;
    exec::Cmd cmd = helper("echo", {"text"});
    const char* message = "exec: Stdout already set";
    SUBCASE("output") {
        cmd.out = exec::Sink::buffer(text);
    }
    SUBCASE("error") {
        cmd.err = exec::Sink::buffer(text);
        message = "exec: Stderr already set";
    }
    SUBCASE("both") {
        cmd.out = cmd.err = exec::Sink::buffer(text);
    }
    check_not_started(cmd, cmd.combined_output(), message);
    CHECK(text.empty());
}

EXEC_TEST("[go:51] output() gives what a command wrote before it failed") {
    exec::Cmd failing = shell("echo gathered; exit 4");
    const exec::Output failed = failing.output();
    REQUIRE_FALSE(failed);
    CHECK(failed.result.error().message() == "exit status 4");
    CHECK(failed.bytes == "gathered\n");

    exec::Cmd killed = shell("echo gathered; kill -KILL $$");
    const exec::Output dead = killed.output();
    REQUIRE_FALSE(dead);
    CHECK(dead.result.error().message() == "signal: killed");
    CHECK(dead.bytes == "gathered\n");
}

EXEC_TEST("[go:51] output() gives what a command wrote before its context ended") {
    std::stop_source source;
    exec::Cmd cmd = exec::command(exec::Context{source.get_token(), {}}, "/bin/sh", "-c",
                                  "echo gathered; echo now >&2; exec \"$0\" hang", helper_path());
    cmd.err = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        source.request_stop();
        return {};
    });
    const exec::Output output = cmd.output();
    REQUIRE_FALSE(output);
    CHECK(output.result.error().message() == "signal: killed");
    CHECK(output.bytes.view().starts_with("gathered\n"));
}

EXEC_TEST("output() gives all of a long output, not its head and tail") {
    const std::string text = numbered(5'000'000);
    exec::Cmd cmd = helper("cat");
    cmd.in = exec::Source::bytes(text);
    const exec::Output output = cmd.output();
    CHECK(output);
    CHECK((output.bytes == text)); // not printed when it differs
}

EXEC_TEST("[go:52] a failed output() keeps the standard error that nobody asked for") {
    const exec::Output output = helper("stderrfail").output();
    REQUIRE_FALSE(output);
    REQUIRE(output.result.error().exit() != nullptr);
    CHECK(output.result.error().exit()->stderr_text == "some stderr text\n");
    CHECK(output.result.error().message() == "exit status 1");
    CHECK(output.bytes.empty());
}

EXEC_TEST("[go:52] a standard error that the caller set goes there alone") {
    std::string errors;
    exec::Cmd cmd = helper("stderrfail");
    cmd.err = exec::Sink::buffer(errors);
    const exec::Output output = cmd.output();
    REQUIRE_FALSE(output);
    REQUIRE(output.result.error().exit() != nullptr);
    CHECK(output.result.error().exit()->stderr_text.empty());
    CHECK(errors == "some stderr text\n");
}

EXEC_TEST("[go:52] errors other than a bad end carry no standard error") {
    exec::Cmd missing = exec::command("/nonesuch/program");
    const exec::Output output = missing.output();
    REQUIRE_FALSE(output);
    CHECK(output.result.error().exit() == nullptr);

    exec::Cmd fed_badly = shell("cat; echo complaint >&2");
    fed_badly.in = exec::Source::reader([](std::span<char>) -> exec::Result<std::size_t> {
        return std::unexpected(exec::Error(std::make_error_code(std::errc::io_error)));
    });
    const exec::Output badly = fed_badly.output();
    REQUIRE_FALSE(badly);
    CHECK(badly.result.error().is(std::errc::io_error));
    CHECK(badly.result.error().exit() == nullptr);
}

EXEC_TEST("[go:52] run() captures nothing") {
    const auto result = helper("stderrfail").run();
    REQUIRE_FALSE(result);
    REQUIRE(result.error().exit() != nullptr);
    CHECK(result.error().exit()->stderr_text.empty());
}

EXEC_TEST("[go:53] a standard error of up to 65536 bytes is kept whole") {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, half - 1, half, half + 1, 2 * half - 1, 2 * half}) {
        CAPTURE(size);
        const std::string text = numbered(size);
        CHECK((kept_of(text) == text)); // not printed when it differs
    }
}

EXEC_TEST("[go:53][go:54] of a longer one the first and the last 32768 bytes are kept, and how many are left out") {
    for (const std::size_t size :
         {2 * half + 1, 2 * half + 7, 3 * half - 1, 3 * half, 3 * half + 1, 10 * half + 12345}) {
        CAPTURE(size);
        const std::string text = numbered(size);
        const std::string kept = kept_of(text);
        CHECK(kept.size() == head_and_tail(text).size());
        CHECK((kept == head_and_tail(text)));
    }
    CHECK(kept_of(numbered(2 * half + 1)).find("\n... omitting 1 bytes ...\n") == half);
}

EXEC_TEST("[go:54] what is kept does not depend on the pieces that it came in") {
    // Go's example, "abc", "d", "e" with two bytes of each end kept, at our size; each line is one write.
    const auto line = [](char letter, std::size_t size) { return "E:" + std::string(size - 3, letter) + "\n"; };
    const std::vector<std::vector<std::string>> writes{
        {line('a', 3 * half / 2), line('d', half / 2), line('e', half / 2)},
        {line('a', half), line('b', 1000), line('c', half)},
        {line('a', half - 1), line('b', 3 * half), line('c', 5), line('d', half + 1)},
        std::vector<std::string>(1999, line('a', 37)),
    };
    for (const auto& lines : writes) {
        std::string text;
        for (const std::string& each : lines)
            text += each;
        CAPTURE(text.size());
        exec::Cmd cmd = shell("\"$0\" pipetest; exit 3");
        cmd.in = exec::Source::bytes(text);
        const exec::Output output = cmd.output();
        REQUIRE_FALSE(output);
        REQUIRE(output.result.error().exit() != nullptr);
        CHECK((output.result.error().exit()->stderr_text == head_and_tail(text)));
    }
}

EXEC_TEST("[go:55] combined_output() has both streams in the order in which they were written") {
    std::string lines;
    for (int i = 0; i < 300; ++i)
        lines += (i % 2 == 0 ? "O:" : "E:") + std::to_string(i) + "\n";
    exec::Cmd cmd = helper("pipetest");
    cmd.in = exec::Source::bytes(lines);
    const exec::Output output = cmd.combined_output();
    CHECK(output);
    CHECK(output.bytes == lines);
}

EXEC_TEST("[go:55] combined_output() has what a failing command wrote, and the error has no second copy") {
    exec::Cmd cmd = shell("echo out; echo err >&2; echo out again; exit 5");
    const exec::Output output = cmd.combined_output();
    REQUIRE_FALSE(output);
    CHECK(output.bytes == "out\nerr\nout again\n");
    CHECK(output.result.error().message() == "exit status 5");
    REQUIRE(output.result.error().exit() != nullptr);
    CHECK(output.result.error().exit()->stderr_text.empty());
}
