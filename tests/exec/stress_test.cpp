// Many starts at once, in many threads, while another thread forks without an exec.
#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <mutex>
#include <sched.h>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/exec/support.hpp"

using namespace keep;
using namespace keep::test;

namespace {

constexpr int thread_count = 8;

int starts_per_thread() {
    const char* full = std::getenv("KEEPD_FULL");
    return full != nullptr && std::string_view(full) == "1" ? 5000 : 100;
}

// What went wrong, in whichever thread. Only the first few are kept.
class Faults {
  public:
    void add(std::string text) {
        const std::lock_guard lock(mutex_);
        if (texts_.size() < 10) texts_.push_back(std::move(text));
    }
    std::string text() const {
        std::string all;
        for (const std::string& one : texts_)
            all += one + "\n";
        return all;
    }

  private:
    std::mutex mutex_;
    std::vector<std::string> texts_;
};

struct Ends {
    Fd read;
    Fd write;
    Ends() {
        int ends[2] = {-1, -1};
        if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
        read = Fd::adopt(ends[0]);
        write = Fd::adopt(ends[1]);
    }
};

std::string read_to_end(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(count));
    return text;
}

// As describefiles shows a descriptor that is this pipe.
std::string line_of(int number, const Fd& end) {
    struct stat about{};
    ::fstat(end.get(), &about);
    return "fd " + std::to_string(number) + " pipe:[" + std::to_string(about.st_ino) + "]\n";
}

// Layer 1: the child has its own three pipes, and none of anybody else's.
void spawn_once(const exec::SpawnSpec& describe, Faults& faults) {
    Ends in;
    Ends out;
    Ends err;
    exec::SpawnSpec spec = describe;
    spec.stdio = {in.read.get(), out.write.get(), err.write.get()};
    const std::string expected = line_of(0, in.read) + line_of(1, out.read) + line_of(2, err.read);
    auto process = exec::spawn(spec);
    if (!process) return faults.add(process.error().message());
    in.read.reset();
    out.write.reset();
    err.write.reset();
    const std::string output = read_to_end(out.read.get());
    const std::string errors = read_to_end(err.read.get());
    const pid_t pid = process->pid();
    const auto state = process->wait();
    if (!state) return faults.add("wait: " + state.error().message());
    if (!state->success() || state->pid() != pid) faults.add("ended with " + state->to_string());
    if (output != expected || !errors.empty()) faults.add("wanted\n" + expected + "but got\n" + output + errors);
}

// Layer 2: what goes in comes out, of both.
void run_once(const std::string& name, Faults& faults) {
    std::string output;
    std::string errors;
    exec::Cmd command = helper("pipetest");
    command.in = exec::Source::bytes("O:" + name + "\nE:" + name + "\n");
    command.out = exec::Sink::buffer(output);
    command.err = exec::Sink::buffer(errors);
    if (auto started = command.start(); !started) return faults.add("start: " + started.error().message());
    if (auto ended = command.wait(); !ended) return faults.add("wait: " + ended.error().message());
    if (output != "O:" + name + "\n" || errors != "E:" + name + "\n") faults.add("got " + output + errors);
}

// Children that never execute anything, and so hold copies of whatever was open when they were made: descriptors that
// are not marked yet, pipes of others. They live for a few turns of the scheduler.
void fork_until(const std::atomic<bool>& done, Faults& faults) {
    for (unsigned count = 0; !done.load(); ++count) {
        const int code = static_cast<int>(count % 100);
        const pid_t pid = ::fork();
        if (pid == 0) {
            for (int turn = 0; turn < code; ++turn)
                ::sched_yield();
            ::_exit(code);
        }
        int status = 0;
        if (pid < 0 || ::waitpid(pid, &status, 0) != pid || status != code << 8) {
            faults.add("fork: status " + std::to_string(status));
        }
    }
}

template <typename Once>
std::string in_many_threads(Once once) {
    Faults faults;
    std::atomic<bool> done = false;
    std::thread forking([&] { fork_until(done, faults); });
    std::vector<std::thread> starting;
    for (int thread = 0; thread < thread_count; ++thread) {
        starting.emplace_back([&, thread] {
            for (int count = 0; count < starts_per_thread(); ++count)
                once(std::to_string(thread) + "." + std::to_string(count), faults);
        });
    }
    for (std::thread& thread : starting)
        thread.join();
    done = true;
    forking.join();
    return faults.text();
}

} // namespace

EXEC_TEST("[go:74] [go:79] [go:80] of many spawns at once each child has its own three pipes and nothing else") {
    const exec::SpawnSpec describe = helper_spec("describefiles");
    CHECK(in_many_threads([&](const std::string&, Faults& faults) { spawn_once(describe, faults); }) == "");
}

EXEC_TEST("[go:74] many commands at once neither hang nor mix up their streams, and every end is seen") {
    CHECK(in_many_threads(run_once) == "");
}
