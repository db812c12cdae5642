// Many starts at once: no command may inherit a descriptor of another's pipes, or an end of file would never come.
#include <chrono>
#include <latch>
#include <poll.h>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/exec/support.hpp"

using namespace keep;
using namespace keep::test;

namespace {

constexpr int starters = 4;
constexpr int per_starter = 8;
constexpr std::chrono::seconds patience{30};

struct Piped {
    exec::Cmd command;
    exec::PipeWriter in;
    exec::PipeReader out;
};

// A cat(1) with a pipe at either end, or why there is none.
exec::Result<Piped> start_cat(bool close_others) {
    exec::Cmd command = helper("cat");
    command.sys.close_others = close_others;
    auto in = command.stdin_pipe();
    if (!in) return std::unexpected(in.error());
    auto out = command.stdout_pipe();
    if (!out) return std::unexpected(out.error());
    if (auto started = command.start(); !started) return std::unexpected(started.error());
    return Piped{std::move(command), *in, *out};
}

// All there is, up to the end; "no end" if that does not come.
std::string read_to_the_end(exec::PipeReader& reader) {
    const auto until = std::chrono::steady_clock::now() + patience;
    std::string text;
    char buffer[4096];
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        pollfd watched{reader.fd(), POLLIN, 0};
        if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0) return text + "no end";
        const auto count = reader.read(buffer);
        if (!count) return text + count.error().message();
        if (*count == 0) return text;
        text.append(buffer, *count);
    }
}

// What work(n) returns for n below `starters`, each called by a thread of its own, all at once.
template <typename Result, typename Work>
std::vector<Result> at_once(const Work& work) {
    std::vector<Result> results(starters);
    std::latch ready(starters);
    std::vector<std::thread> threads;
    for (int n = 0; n < starters; ++n) {
        threads.emplace_back([&, n] {
            ready.arrive_and_wait();
            results[static_cast<std::size_t>(n)] = work(n);
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    return results;
}

} // namespace

EXEC_TEST("[go:74] of many commands started at once, each sees the end of its input while the others live") {
    // With close_others the child closes what it should not have; without, nothing but close-on-exec protects it.
    for (const bool close_others : {true, false}) {
        CAPTURE(close_others);
        auto started = at_once<std::vector<exec::Result<Piped>>>([&](int) {
            std::vector<exec::Result<Piped>> cats;
            for (int i = 0; i < per_starter; ++i)
                cats.push_back(start_cat(close_others));
            return cats;
        });
        int number = 0;
        for (std::vector<exec::Result<Piped>>& cats : started) {
            for (exec::Result<Piped>& cat : cats) {
                if (!cat) FAIL(cat.error().message());
                const std::string line = "line " + std::to_string(++number) + "\n";
                REQUIRE(cat->in.write(line));
                REQUIRE(cat->in.close());
                REQUIRE(read_to_the_end(cat->out) == line);
                CHECK(cat->command.wait());
            }
        }
        CHECK(number == starters * per_starter);
    }
}

EXEC_TEST("[go:74] of many commands started at once, none has another pipe than its own") {
    // What this process was itself started with, and lets through, is not the library's doing.
    const Holdings before = holdings();
    const auto pipes_of = [&](const std::string& listing) { // lines of "fd N TARGET"
        std::istringstream lines(listing);
        std::string pipes;
        for (std::string line; std::getline(lines, line);) {
            const std::size_t space = line.find(' ', 3);
            const std::string number = line.substr(3, space - 3);
            const std::string target = line.substr(space + 1);
            const auto ours = before.descriptors.find(std::stoi(number));
            const bool inherited = ours != before.descriptors.end() && ours->second == target;
            if (target.starts_with("pipe:") && !inherited) pipes += number + " ";
        }
        return pipes;
    };
    const auto listings = at_once<std::vector<std::string>>([&](int) {
        std::vector<std::string> found;
        for (int i = 0; i < per_starter; ++i) {
            exec::Cmd command = helper("describefiles");
            command.sys.close_others = false;
            std::string errors;
            command.err = exec::Sink::buffer(errors);
            const exec::Output output = command.output();
            found.push_back(output ? pipes_of(output.bytes.str()) : output.result.error().message());
        }
        return found;
    });
    for (const std::vector<std::string>& found : listings)
        CHECK(found == std::vector<std::string>(per_starter, "1 2 "));
}

EXEC_TEST("[go:74] many threads run commands at once, and all of them end") {
    const auto failures = at_once<std::vector<std::string>>([](int starter) {
        std::vector<std::string> failed;
        for (int i = 0; i < per_starter; ++i) {
            const std::string text = std::to_string(starter) + " " + std::to_string(i);
            exec::Cmd command = helper("pipetest");
            std::string out;
            std::string err;
            command.in = exec::Source::bytes("O:" + text + "\nE:" + text + "\n");
            command.out = exec::Sink::buffer(out);
            command.err = exec::Sink::buffer(err);
            const auto run = command.run();
            if (!run) {
                failed.push_back(run.error().message());
            } else if (out != "O:" + text + "\n" || err != "E:" + text + "\n") {
                failed.push_back("wrote " + out + err);
            }
        }
        return failed;
    });
    for (const std::vector<std::string>& failed : failures)
        CHECK(failed == std::vector<std::string>());
}
