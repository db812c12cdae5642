// Pipe handles used by several threads: what one of them does while another is in the middle of a call.
#include "tests/exec/watching.hpp"

#include <atomic>
#include <csignal>
#include <future>
#include <thread>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

constexpr int rounds = 20;

// A call on a pipe in a thread of its own. A test that fails closes the pipe, so that the call comes back.
template <typename T, typename Pipe>
class Elsewhere {
  public:
    template <typename Call>
    Elsewhere(Pipe pipe, Call call) : pipe_(std::move(pipe)) {
        result_ = std::async(std::launch::async, [this, call]() mutable {
            thread_ = ::gettid();
            return call(pipe_);
        });
    }
    ~Elsewhere() {
        if (result_.valid()) (void)pipe_.close();
    }
    Elsewhere(const Elsewhere&) = delete;
    Elsewhere& operator=(const Elsewhere&) = delete;

    // Until it waits inside the call; false if it came back instead.
    bool waits() {
        return eventually([this] { return done() || (thread_ != 0 && asleep(thread_)); }) && !done();
    }
    bool done() { return result_.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
    exec::Result<T> result() {
        if (result_.wait_for(patience) != std::future_status::ready) FAIL("the call does not come back");
        return result_.get();
    }

  private:
    Pipe pipe_;
    std::atomic<pid_t> thread_ = 0;
    std::future<exec::Result<T>> result_;
};

template <typename T>
void check_closed(const exec::Result<T>& result) {
    REQUIRE_FALSE(result);
    CHECK(result.error().is(exec::Errc::closed));
}

using Reading = Elsewhere<std::size_t, exec::PipeReader>;
using Writing = Elsewhere<void, exec::PipeWriter>;

Reading reading(const exec::PipeReader& reader) {
    return Reading(reader, [](exec::PipeReader& pipe) {
        char buffer[16];
        return pipe.read(buffer);
    });
}

Writing writing_much(const exec::PipeWriter& writer) {
    return Writing(writer, [](exec::PipeWriter& pipe) { return pipe.write(std::string(1'000'000, 'x')); });
}

} // namespace

EXEC_TEST("[go:60] close() ends a read() that waits in another thread") {
    exec::Cmd cmd = helper("cat");
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    REQUIRE((in && out));
    REQUIRE(cmd.start());
    auto read = reading(*out);
    REQUIRE(read.waits());
    CHECK(out->close());
    check_closed(read.result());
    CHECK(in->close());
    CHECK(cmd.wait());
}

EXEC_TEST("[go:60] close() and read() at the same moment: closed, whichever is first") {
    for (int i = 0; i < rounds; ++i) {
        exec::Cmd cmd = helper("cat");
        auto in = cmd.stdin_pipe();
        auto out = cmd.stdout_pipe();
        REQUIRE((in && out));
        REQUIRE(cmd.start());
        auto read = reading(*out);
        CHECK(out->close());
        check_closed(read.result());
        CHECK(in->close());
        CHECK(cmd.wait());
    }
}

EXEC_TEST("[go:60] wait() ends a read() that waits in another thread, for a descendant that lives on") {
    Lingering lingering;
    exec::Cmd cmd = lingering.command();
    auto out = cmd.stdout_pipe();
    REQUIRE(out);
    REQUIRE(cmd.start());
    CHECK(read_line(*out) == "ready\n");
    auto read = reading(*out);
    REQUIRE(read.waits());
    lingering.leave();
    CHECK(cmd.wait());
    check_closed(read.result());
}

EXEC_TEST("[go:60] detach() takes nothing away from a read() that waits in another thread: it is refused meanwhile") {
    exec::Cmd cmd = helper("cat");
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    REQUIRE((in && out));
    REQUIRE(cmd.start());
    auto read = reading(*out);
    REQUIRE(read.waits());
    const exec::Result<Fd> refused = out->detach();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is(std::errc::device_or_resource_busy));
    CHECK(in->write("for the reader"));
    const auto count = read.result();
    REQUIRE(count);
    CHECK(*count == 14);
    exec::Result<Fd> mine = out->detach();
    REQUIRE(mine);
    CHECK(in->write("for the detacher\n"));
    CHECK(read_line(mine->get()) == "for the detacher\n");
    CHECK(in->close());
    CHECK(cmd.wait());
}

EXEC_TEST("[go:61] close() ends a write() that waits for room in another thread") {
    exec::Cmd cmd = helper("hang");
    auto in = cmd.stdin_pipe();
    REQUIRE(in);
    REQUIRE(cmd.start());
    auto written = writing_much(*in);
    REQUIRE(written.waits());
    CHECK(in->close());
    check_closed(written.result());
    REQUIRE(cmd.process()->kill());
    CHECK_FALSE(cmd.wait());
}

EXEC_TEST("[go:61] wait() ends a write() that waits for room, for a descendant that keeps the pipe open") {
    Lingering lingering;
    exec::Cmd cmd = lingering.command();
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    REQUIRE((in && out));
    REQUIRE(cmd.start());
    CHECK(read_line(*out) == "ready\n");
    auto written = writing_much(*in);
    REQUIRE(written.waits());
    lingering.leave();
    CHECK(cmd.wait());
    check_closed(written.result());
}

EXEC_TEST("[go:61] a stdin pipe may be closed while wait() closes it") {
    for (int i = 0; i < rounds; ++i) {
        exec::Cmd cmd = helper("hang");
        auto in = cmd.stdin_pipe();
        REQUIRE(in);
        REQUIRE(cmd.start());
        Gate go;
        std::jthread killer([&go, process = cmd.process()] {
            go.wait();
            (void)process->kill();
        });
        std::jthread closer([&go, in = *in]() mutable {
            go.wait();
            CHECK(in.close());
            CHECK(in.close());
        });
        go.open();
        const auto result = cmd.wait();
        REQUIRE_FALSE(result);
        CHECK(result.error().message() == "signal: killed");
        CHECK(in->close());
    }
}

EXEC_TEST("[go:63] a write() that waits for room ends with the command that should have read") {
    exec::Cmd cmd = helper("hang");
    auto in = cmd.stdin_pipe();
    REQUIRE(in);
    REQUIRE(cmd.start());
    auto written = writing_much(*in);
    REQUIRE(written.waits());
    REQUIRE(cmd.process()->kill());
    const auto result = written.result();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(std::errc::broken_pipe));
    CHECK_FALSE(cmd.wait());
}

EXEC_TEST("[go:64] output and error are read to their ends by two threads while a third one writes") {
    std::string lines;
    std::string expected_out;
    std::string expected_err;
    for (int i = 0; i < 20'000; ++i) {
        const std::string number = std::to_string(i) + "\n";
        lines += (i % 2 == 0 ? "O:" : "E:") + number;
        (i % 2 == 0 ? expected_out : expected_err) += (i % 2 == 0 ? "O:" : "E:") + number;
    }
    exec::Cmd cmd = helper("pipetest");
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    auto err = cmd.stderr_pipe();
    REQUIRE((in && out && err));
    REQUIRE(cmd.start());
    Writing written(*in, [&lines](exec::PipeWriter& pipe) -> exec::Result<> {
        if (auto result = pipe.write(lines); !result) return result;
        return pipe.close();
    });
    Elsewhere<exec::Bytes, exec::PipeReader> errors(*err, [](exec::PipeReader& pipe) { return pipe.read_all(); });
    const auto text = out->read_all();
    REQUIRE(text);
    CHECK((*text == expected_out));
    CHECK(written.result());
    const auto error_text = errors.result();
    REQUIRE(error_text);
    CHECK((*error_text == expected_err));
    CHECK(cmd.wait());
}
