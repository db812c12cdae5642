// Section H of the list: a signal handler that runs in a thread which waits for a command does not end the wait.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <pthread.h>
#include <thread>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

// How often a thread of ours has gone to sleep; -1 once it has ended.
long sleeps(pid_t thread) {
    std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
    for (std::string key, value; status >> key; std::getline(status, value)) {
        long count = -1;
        if (key == "voluntary_ctxt_switches:" && status >> count) return count;
    }
    return -1;
}

// Interrupts the thread in its sleep, again and again, and says whether each time it went to sleep again.
bool sleeps_on(std::thread& thread, pid_t id) {
    for (int times = 0; times < 10; ++times) {
        if (!eventually([&] { return asleep(id) || sleeps(id) < 0; })) return false;
        const long before = sleeps(id);
        if (before < 0) return false;
        ::pthread_kill(thread.native_handle(), SIGUSR1);
        if (!eventually([&] { return sleeps(id) < 0 || (sleeps(id) > before && asleep(id)); })) return false;
    }
    return sleeps(id) >= 0;
}

// Runs `waiting` in a thread, with a standard input for its command, which ends when that does. The handler is
// installed without SA_RESTART: every call that can fail with EINTR does.
void check_interrupted(const std::function<std::string(int)>& waiting) {
    const Disposition handled(SIGUSR1, [](int) {});
    PipePair input = make_pipe();
    std::atomic<pid_t> id = 0;
    std::string result;
    std::thread thread([&] {
        id = ::gettid();
        result = waiting(input.read.get());
    });
    CHECK(eventually([&] { return id.load() != 0; }));
    CHECK(sleeps_on(thread, id));
    input.write.reset(); // only now the command ends
    thread.join();
    CHECK(result == "");
}

} // namespace

EXEC_TEST("[go:85] an interrupted wait for a process goes on") {
    check_interrupted([](int input) {
        exec::SpawnSpec spec = helper_spec("hang", {"read"});
        spec.stdio[0] = input;
        auto process = exec::spawn(spec);
        if (!process) return said(process);
        const auto state = process->wait();
        return state ? (state->success() ? "" : state->to_string()) : said(state);
    });
}

EXEC_TEST("[go:85] an interrupted wait with a limit goes on") {
    check_interrupted([](int input) -> std::string {
        exec::SpawnSpec spec = helper_spec("hang", {"read"});
        spec.stdio[0] = input;
        auto process = exec::spawn(spec);
        if (!process) return said(process);
        const auto state = process->wait_for(std::chrono::hours(1));
        if (!state) return said(state);
        return *state ? "" : "an hour is not over";
    });
}

EXEC_TEST("[go:85] an interrupted wait for a command goes on") {
    check_interrupted([](int input) {
        exec::Cmd command = helper("hang", {"read"});
        command.in = exec::Source::fd(input);
        const auto started = command.start();
        return started ? said(command.wait()) : said(started);
    });
}

EXEC_TEST("[go:85] an interrupted wait for a command whose output a thread copies goes on") {
    check_interrupted([](int input) {
        std::stop_source stop;
        std::string text;
        exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "hang", {"read"});
        command.in = exec::Source::fd(input);
        command.out = exec::Sink::buffer(text);
        const auto started = command.start();
        return started ? said(command.wait()) : said(started);
    });
}

EXEC_TEST("[go:85] an interrupted run goes on, with all of the output") {
    check_interrupted([](int input) {
        exec::Cmd command = helper("hang", {"read"});
        command.in = exec::Source::fd(input);
        const exec::Output output = command.output();
        return output.bytes == "ready\n" ? said(output.result) : "output: " + output.bytes.str();
    });
}

EXEC_TEST("[go:85] an interrupted read from a command's pipe goes on") {
    check_interrupted([](int input) -> std::string {
        exec::Cmd command = helper("cat");
        command.in = exec::Source::fd(input);
        auto output = command.stdout_pipe();
        if (!output) return said(output);
        if (const auto started = command.start(); !started) return said(started);
        const auto text = output->read_all();
        if (!text || !text->empty()) return text ? "output: " + text->str() : said(text);
        return said(command.wait());
    });
}

EXEC_TEST("[go:85] an interrupted write to a command's pipe goes on") {
    PipePair output = make_pipe(); // unread, so that "cat" stops reading
    check_interrupted([&](int input) -> std::string {
        exec::Cmd command = helper("cat");
        command.out = exec::Sink::fd(output.write.get());
        auto writer = command.stdin_pipe();
        if (!writer) return said(writer);
        if (const auto started = command.start(); !started) return said(started);
        output.write.reset();
        std::thread reading([&output, input] {
            read_to_end(input); // until the interruptions are over
            read_to_end(output.read.get());
        });
        const auto written = writer->write(std::string(1'000'000, 'x'));
        const auto closed = writer->close();
        reading.join(); // before its descriptors are closed
        if (!written || !closed) return written ? said(closed) : said(written);
        return said(command.wait());
    });
}
