// A command's standard streams: what they are made of, and who copies them.
// stream_errors_test.cpp has what goes wrong.
#include "tests/exec/watching.hpp"

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

constexpr std::size_t ten_megabytes = 10'000'000;

// A reader that gives these pieces, one a call, and then the end.
exec::Source pieces(std::vector<std::string> texts) {
    auto next = std::make_shared<std::size_t>(0);
    return exec::Source::reader([next, texts = std::move(texts)](std::span<char> room) -> exec::Result<std::size_t> {
        if (*next == texts.size()) return 0;
        const std::string& text = texts[(*next)++];
        std::ranges::copy(text, room.begin());
        return text.size();
    });
}

exec::Result<> start_and_wait(exec::Cmd& cmd) {
    if (auto started = cmd.start(); !started) return started;
    return cmd.wait();
}

} // namespace

EXEC_TEST("[go:39] a stream that is not set is the null device: read-only as input, write-only as output and error") {
    exec::Cmd cmd = helper("hang");
    REQUIRE(cmd.start());
    const pid_t pid = cmd.process()->pid();
    for (const int number : {0, 1, 2}) {
        CAPTURE(number);
        CHECK(descriptor_target(pid, number) == "/dev/null");
        CHECK(access_mode(pid, number) == (number == 0 ? O_RDONLY : O_WRONLY));
    }
    REQUIRE(cmd.process()->kill());
    CHECK_FALSE(cmd.wait());
}

EXEC_TEST("[go:39] nothing of the null device stays open in the parent after a start") {
    const int before = descriptors_of("/dev/null");
    exec::Cmd cmd = helper("hang");
    REQUIRE(cmd.start());
    CHECK(descriptors_of("/dev/null") == before);
    REQUIRE(cmd.process()->kill());
    CHECK_FALSE(cmd.wait());
}

EXEC_TEST("[go:40] an open file is handed over as it is: no pipe, no thread, and the offset is shared") {
    const Fd input = file_with("passed over, then read\n");
    const Fd output = file_with("");
    REQUIRE(::lseek(input.get(), 13, SEEK_SET) == 13);
    exec::Cmd cmd = helper("cat");
    cmd.in = exec::Source::fd(input.get());
    cmd.out = exec::Sink::fd(output.get());
    cmd.err = exec::Sink::fd(output.get());
    const int pipes_before = pipes();
    const int threads_before = threads();
    REQUIRE(cmd.start());
    CHECK(pipes() == pipes_before);
    CHECK(threads() == threads_before);
    CHECK(cmd.wait());
    CHECK(content(output.get()) == "then read\n");
    CHECK(::lseek(input.get(), 0, SEEK_CUR) == 23);
    CHECK(::lseek(output.get(), 0, SEEK_CUR) == 10);
}

EXEC_TEST("[go:40] a borrowed descriptor is never closed, neither by a command nor by its end") {
    const Fd file = file_with("");
    for (const char* const name : {"/bin/true", "/bin/false", "/nonesuch/program"}) {
        CAPTURE(name);
        {
            exec::Cmd cmd = exec::command(name);
            cmd.in = exec::Source::fd(file.get());
            cmd.out = exec::Sink::fd(file.get());
            (void)cmd.run();
            CHECK(::fcntl(file.get(), F_GETFD) >= 0);
        }
        CHECK(::fcntl(file.get(), F_GETFD) >= 0);
    }
}

EXEC_TEST("[go:40] a descriptor that a stream owns is closed once the command has been started") {
    PipePair pipe = make_pipe();
    exec::Cmd cmd = helper("echo", {"handed over"});
    cmd.out = exec::Sink::owned(std::move(pipe.write));
    CHECK(cmd.run());
    CHECK(read_line(pipe.read.get()) == "handed over\n");
    char letter = 0;
    REQUIRE(readable(pipe.read.get()));
    CHECK(::read(pipe.read.get(), &letter, 1) == 0); // nobody holds the other end, while cmd still exists
}

EXEC_TEST("[go:40] a descriptor that a stream owns is closed with the last copy, if no command took it") {
    PipePair pipe = make_pipe();
    {
        exec::Cmd cmd = helper("echo");
        cmd.out = exec::Sink::owned(std::move(pipe.write));
        const exec::CmdConfig copy = cmd.config();
    }
    char letter = 0;
    REQUIRE(readable(pipe.read.get()));
    CHECK(::read(pipe.read.get(), &letter, 1) == 0);
}

EXEC_TEST("[go:41] a writer gets a pipe, and one thread that copies") {
    Listener listener;
    exec::Cmd cmd = helper("hang");
    cmd.out = listener.sink();
    const int before = threads();
    REQUIRE(cmd.start());
    CHECK(descriptor_target(cmd.process()->pid(), 1).starts_with("pipe:"));
    CHECK(listener.heard_line());
    CHECK(threads() == before + 1);
    REQUIRE(cmd.process()->kill());
    CHECK_FALSE(cmd.wait());
    CHECK(listener.text() == "ready\n");
}

EXEC_TEST("[go:41] a reader gets a pipe, and one thread that copies") {
    Gate asked;
    Gate answer;
    exec::Cmd cmd = helper("stdin-close");
    cmd.in = exec::Source::reader([&, calls = 0](std::span<char> room) mutable -> exec::Result<std::size_t> {
        if (++calls == 2) return 0;
        asked.open();
        answer.wait();
        std::ranges::copy(std::string_view("ok"), room.begin());
        return 2;
    });
    const int before = threads();
    REQUIRE(cmd.start());
    CHECK(descriptor_target(cmd.process()->pid(), 0).starts_with("pipe:"));
    CHECK(asked.wait());
    CHECK(threads() == before + 1);
    answer.open();
    CHECK(cmd.wait());
}

EXEC_TEST("[go:42] one sink for output and error is one pipe and one thread") {
    Listener listener;
    exec::Cmd cmd = helper("hang", {"probe"});
    cmd.out = listener.sink();
    cmd.err = cmd.out;
    const int before = threads();
    REQUIRE(cmd.start());
    const std::string pipe = descriptor_target(cmd.process()->pid(), 1);
    CHECK(pipe.starts_with("pipe:"));
    CHECK(descriptor_target(cmd.process()->pid(), 2) == pipe);
    CHECK(descriptors_of(pipe) == 1); // the end that is read
    CHECK(threads() == before + 1);
    REQUIRE(eventually([&] { return listener.text() == "probe\nready\n"; }));
    REQUIRE(cmd.process()->kill());
    CHECK_FALSE(cmd.wait());
}

EXEC_TEST("[go:42] one sink for output and error keeps the order, and is never called twice at a time") {
    std::string lines;
    for (int i = 0; i < 500; ++i)
        lines += (i % 3 == 0 ? "E:" : "O:") + std::to_string(i) + "\n";
    std::atomic<int> inside = 0;
    std::atomic<int> most = 0;
    std::string text;
    exec::Cmd cmd = helper("pipetest");
    cmd.in = exec::Source::bytes(lines);
    cmd.out = exec::Sink::writer([&](std::string_view bytes) -> exec::Result<> {
        most = std::max(most.load(), ++inside);
        text += bytes;
        --inside;
        return {};
    });
    cmd.err = cmd.out;
    CHECK(start_and_wait(cmd));
    CHECK(text == lines);
    CHECK(most == 1);
}

EXEC_TEST("[go:43] the end of what a source gives is the end of the command's input") {
    exec::Cmd cmd = helper("stdin-close");
    SUBCASE("bytes") {
        cmd.in = exec::Source::bytes("ok");
    }
    SUBCASE("a reader, in pieces") {
        cmd.in = pieces({"o", "k"});
    }
    CHECK(cmd.run());
}

EXEC_TEST("[go:43] bytes of any length arrive as they are") {
    std::string text(ten_megabytes, '\0');
    for (std::size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<char>(i * 31 + i / 4096);
    std::string seen;
    exec::Cmd cmd = helper("cat");
    cmd.in = exec::Source::bytes(text);
    cmd.out = exec::Sink::buffer(seen);
    CHECK(start_and_wait(cmd));
    CHECK((seen == text)); // not printed when it differs
}
