// How many threads a command costs: none for run() and for what needs no copying, one at the most otherwise.
#include "tests/exec/watching.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <stop_token>
#include <thread>

using namespace keep;
using namespace keep::test;

namespace {

constexpr std::chrono::hours one_hour{1};

exec::Context stoppable(const std::stop_source& source) {
    return {source.get_token(), {}};
}

// The most threads that were seen from within the callables that it makes.
class Census {
  public:
    exec::Source source(std::string text) {
        return exec::Source::reader(
            [this, text = std::move(text), given = false](std::span<char> room) mutable -> exec::Result<std::size_t> {
                count();
                if (std::exchange(given, true)) return 0;
                std::ranges::copy(text, room.begin());
                return text.size();
            });
    }
    exec::Sink sink() {
        return exec::Sink::writer([this](std::string_view) -> exec::Result<> {
            count();
            return {};
        });
    }
    void count() {
        ++calls_;
        most_ = std::max(most_.load(), threads());
    }
    int most() const { return most_; }
    int calls() const { return calls_; }

  private:
    std::atomic<int> most_ = 0;
    std::atomic<int> calls_ = 0;
};

void end(exec::Cmd& cmd) {
    REQUIRE(cmd.process()->kill());
    CHECK_FALSE(cmd.wait());
}

} // namespace

EXEC_TEST("[go:41][go:98] a started command has one thread, however much it copies and watches") {
    std::stop_source source;
    Census census;
    Gate ready;
    const int before = threads();
    exec::Cmd cmd = helper(exec::Context::with_timeout(one_hour, source.get_token()), "hang", {"probe", "read"});
    cmd.in = exec::Source::reader([](std::span<char> room) -> exec::Result<std::size_t> {
        std::ranges::fill(room, 'x');
        return room.size();
    });
    cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        census.count();
        ready.open();
        return {};
    });
    cmd.err = census.sink();
    cmd.wait_delay = one_hour;
    REQUIRE(cmd.start());
    CHECK(threads() == before + 1);
    REQUIRE(ready.wait());
    CHECK(threads() == before + 1);
    CHECK(census.most() == before + 1);
    end(cmd);
    CHECK(eventually([&] { return threads() == before; }));
}

EXEC_TEST("[go:40][go:98] a started command has no thread when everything is a descriptor, and nothing is watched") {
    const Fd file = file_with("");
    const int before = threads();
    exec::Cmd cmd = helper("hang");
    cmd.wait_delay = one_hour; // concerns no copying
    SUBCASE("null devices") {}
    SUBCASE("files") {
        cmd.in = exec::Source::fd(file.get());
        cmd.out = exec::Sink::fd(file.get());
        cmd.err = exec::Sink::fd(file.get());
    }
    SUBCASE("pipes of our own") {
        REQUIRE((cmd.stdin_pipe() && cmd.stdout_pipe() && cmd.stderr_pipe()));
    }
    SUBCASE("a context that never ends") {
        cmd = helper(exec::Context{}, "hang");
        cmd.wait_delay = one_hour;
    }
    REQUIRE(cmd.start());
    CHECK(threads() == before);
    end(cmd);
}

EXEC_TEST("[go:41] each of many started commands has one thread, which is gone after its wait()") {
    const int before = threads();
    std::vector<std::unique_ptr<Listener>> listeners;
    std::vector<exec::Cmd> commands;
    for (int i = 1; i <= 6; ++i) {
        listeners.push_back(std::make_unique<Listener>());
        commands.push_back(helper("hang"));
        commands.back().out = listeners.back()->sink();
        commands.back().err = listeners.back()->sink();
        REQUIRE(commands.back().start());
        CHECK(threads() == before + i);
    }
    for (int i = 5; i >= 0; --i) {
        end(commands[static_cast<std::size_t>(i)]);
        CHECK(eventually([&] { return threads() == before + i; }));
    }
}

EXEC_TEST("[go:41] run() copies three streams without a thread") {
    Census census;
    const int before = threads();
    exec::Cmd cmd = helper("pipetest");
    cmd.in = census.source("O:to output\nE:to error\n");
    cmd.out = census.sink();
    cmd.err = census.sink();
    CHECK(cmd.run());
    CHECK(census.calls() >= 4);
    CHECK(census.most() == before);
}

EXEC_TEST("[go:98] run() watches a context without a thread") {
    Census census;
    const int before = threads();
    std::stop_source source;
    exec::Cmd cmd = helper(exec::Context::with_timeout(one_hour, source.get_token()), "hang");
    cmd.out = exec::Sink::writer([&](std::string_view) -> exec::Result<> {
        census.count();
        source.request_stop();
        return {};
    });
    cmd.cancel = [&](exec::Process& process) {
        census.count();
        return process.kill();
    };
    cmd.wait_delay = one_hour;
    CHECK_FALSE(cmd.run());
    CHECK(census.calls() == 2);
    CHECK(census.most() == before);
}

EXEC_TEST("[go:98] run() waits for a deadline without a thread") {
    Census census;
    const int before = threads();
    exec::Cmd cmd = helper(exec::Context::with_timeout(std::chrono::milliseconds(400)), "hang");
    cmd.cancel = [&](exec::Process& process) {
        census.count();
        return process.kill();
    };
    CHECK_FALSE(cmd.run());
    CHECK(census.calls() == 1);
    CHECK(census.most() == before);
}

EXEC_TEST("[go:40] run() of a command that is all descriptors waits without a thread") {
    PipePair input = make_pipe();
    PipePair output = make_pipe();
    Census census;
    const int before = threads();
    std::jthread observer([&] {
        (void)read_line(output.read.get()); // "ready": run() waits
        census.count();
        input.write.reset();
    });
    exec::Cmd cmd = helper("hang", {"read"});
    cmd.in = exec::Source::fd(input.read.get());
    cmd.out = exec::Sink::fd(output.write.get());
    CHECK(cmd.run());
    observer.join();
    CHECK(census.calls() == 1);
    CHECK(census.most() == before + 1); // the observer itself
}

EXEC_TEST("[go:51][go:55] output() and combined_output() capture without a thread") {
    for (const bool combined : {false, true}) {
        CAPTURE(combined);
        Census census;
        std::stop_source source;
        const int before = threads();
        exec::Cmd cmd = helper(stoppable(source), "pipetest");
        cmd.in = census.source("O:to output\nE:to error\n");
        const exec::Output output = combined ? cmd.combined_output() : cmd.output();
        CHECK(output);
        CHECK(output.bytes == (combined ? "O:to output\nE:to error\n" : "O:to output\n"));
        CHECK(census.calls() == 2);
        CHECK(census.most() == before);
    }
}

EXEC_TEST("[go:51][go:55] output() and combined_output() are canceled without a thread") {
    for (const bool combined : {false, true}) {
        CAPTURE(combined);
        Census census;
        const int before = threads();
        exec::Cmd cmd = helper(exec::Context::with_timeout(std::chrono::milliseconds(400)), "hang");
        cmd.cancel = [&](exec::Process& process) {
            census.count();
            return process.kill();
        };
        const exec::Output output = combined ? cmd.combined_output() : cmd.output();
        REQUIRE_FALSE(output);
        CHECK(output.result.error().message() == "signal: killed");
        CHECK(census.calls() == 1);
        CHECK(census.most() == before);
    }
}
