// Section G of the list: that a child gets no descriptor which was not meant for it, and that this process keeps none.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <atomic>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

namespace {

// What the helper sees open, its own three streams included.
std::map<int, std::string> seen_by(exec::Cmd command) {
    const exec::Output output = command.output();
    CHECK(said(output.result) == "");
    return described(output.bytes);
}
std::map<int, std::string> seen_by(const exec::SpawnSpec& spec) {
    return described(run(spec).output);
}

exec::SpawnSpec describing() {
    return helper_spec("describefiles");
}

// What a careless library leaves around: at `at_least` or above, and without close-on-exec.
Fd leaked(const Fd& file, int at_least) {
    Fd copy = Fd::adopt(::fcntl(file.get(), F_DUPFD, at_least));
    REQUIRE(copy);
    return copy;
}

} // namespace

EXEC_TEST("[go:79] whatever is open in this process, the child sees its streams and the extra files alone") {
    const TemporaryDirectory dir;
    const Fd file = open_file(dir / "file");
    const Fd inheritable = leaked(file, 3);
    const Fd listener = Fd::adopt(::socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in anywhere{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {INADDR_ANY}, .sin_zero = {}};
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&anywhere), sizeof anywhere) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0); // what a TLS connection is to the kernel
    const Fd near = Fd::adopt(ends[0]);
    const Fd far = Fd::adopt(ends[1]);
    const Fd poller = Fd::adopt(::epoll_create1(0));
    const Fd memory = Fd::adopt(::memfd_create("memory", 0));
    const Fd high = leaked(listener, 700);

    exec::Cmd command = helper("describefiles");
    command.extra_files = {file.get()};
    const auto seen = seen_by(std::move(command));
    CHECK(numbers_of(seen) == "0 1 2 3");
    CHECK(seen.at(0) == "/dev/null");
    CHECK(seen.at(3) == dir / "file");
}

EXEC_TEST("[go:79] all that the library opens for a running command is close-on-exec") {
    const Holdings before = holdings();
    std::stop_source stop;
    exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "hang", {"read"});
    std::string captured;
    command.err = exec::Sink::buffer(captured);
    auto input = command.stdin_pipe();
    auto output = command.stdout_pipe();
    REQUIRE(input);
    REQUIRE(output);
    REQUIRE(said(command.start()) == "");
    CHECK(read_line(*output) == "ready\n");
    REQUIRE(command.wait_fd());
    int opened = 0;
    for (const auto& [number, target] : holdings().descriptors) {
        if (before.descriptors.contains(number)) continue;
        ++opened;
        CHECK_MESSAGE(is_close_on_exec(number), number << " " << target);
    }
    CHECK(opened >= 3); // two pipes' ends and a pidfd at the least
    CHECK(said(input->close()) == "");
    CHECK(said(command.wait()) == "");
}

EXEC_TEST("[go:80] commands that start at the same time each get their own descriptor 3") {
    constexpr int thread_count = 4;
    constexpr int starts_each = 15;
    const TemporaryDirectory dir;
    std::vector<std::thread> threads;
    std::atomic<int> right = 0;
    std::vector<Fd> files;
    for (int number = 0; number < thread_count; ++number)
        files.push_back(open_file(dir / std::to_string(number), std::to_string(number)));
    for (int number = 0; number < thread_count; ++number) {
        threads.emplace_back([&, number] {
            for (int times = 0; times < starts_each; ++times) {
                exec::Cmd command = helper("cat", {"/proc/self/fd/3"});
                command.extra_files = {files[static_cast<std::size_t>(number)].get()};
                const exec::Output output = command.output();
                if (output && output.bytes == std::to_string(number)) ++right;
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    CHECK(right == thread_count * starts_each);
}

EXEC_TEST("[go:81] what others left without close-on-exec is closed in the child, at low numbers and at high ones") {
    const TemporaryDirectory dir;
    const Fd file = open_file(dir / "file");
    const Fd low = leaked(file, 3);
    const Fd high = leaked(file, 800);
    CHECK(numbers_of(seen_by(describing())) == "0 1 2");
    exec::SpawnSpec between = describing();
    between.extra_fds = {{file.get(), 60}, {file.get(), 850}};
    CHECK(numbers_of(seen_by(between)) == "0 1 2 60 850");
    CHECK(numbers_of(seen_by(helper("describefiles"))) == "0 1 2");
    CHECK_FALSE(is_close_on_exec(low.get()));
    CHECK_FALSE(is_close_on_exec(high.get()));
}

EXEC_TEST("[go:81] with close_others off it stays, and what is close-on-exec does not") {
    const TemporaryDirectory dir;
    const Fd file = open_file(dir / "file");
    const Fd low = leaked(file, 3);
    const Fd high = leaked(file, 800);
    exec::SpawnSpec spec = describing();
    spec.sys.close_others = false;
    exec::Cmd command = helper("describefiles");
    command.sys.close_others = false;
    for (const auto& seen : {seen_by(spec), seen_by(std::move(command))}) {
        REQUIRE(seen.contains(low.get()));
        REQUIRE(seen.contains(high.get()));
        CHECK(seen.at(low.get()) == dir / "file");
        CHECK(seen.at(high.get()) == dir / "file");
        CHECK_FALSE(seen.contains(file.get()));
    }
}

EXEC_TEST(
    "[go:81] descriptors to keep stay at their numbers, open ones alone, and the others are closed all the same") {
    const TemporaryDirectory dir;
    const Fd marked = open_file(dir / "marked");
    const Fd dropped = leaked(marked, 3);
    const Fd kept = leaked(marked, 800);
    constexpr int nothing_there = 950;
    exec::SpawnSpec spec = describing();
    spec.sys.keep_fds = {kept.get(), nothing_there, marked.get()};
    exec::Cmd command = helper("describefiles");
    command.sys.keep_fds = spec.sys.keep_fds;
    const std::string wanted = "0 1 2 " + std::to_string(marked.get()) + " " + std::to_string(kept.get());
    for (const auto& seen : {seen_by(spec), seen_by(std::move(command))}) {
        CHECK(numbers_of(seen) == wanted);
        CHECK(seen.at(marked.get()) == dir / "marked");
    }
    CHECK(is_close_on_exec(marked.get()));
}

EXEC_TEST("[go:82] once it has been waited for, a command holds no descriptor any more, its pidfd included") {
    const Holdings before = holdings();
    std::vector<exec::Cmd> finished;
    for (int times = 0; times < 20; ++times) {
        exec::Cmd command = helper("cat");
        command.in = exec::Source::bytes("text");
        std::string text;
        command.out = exec::Sink::buffer(text);
        REQUIRE(said(command.start()) == "");
        if (times % 2 == 0) REQUIRE(command.wait_fd());
        CHECK(said(command.wait()) == "");
        CHECK(text == "text");
        finished.push_back(std::move(command));
    }
    CHECK(to_string(holdings()) == to_string(before));
}

EXEC_TEST("[go:82] failed starts, unread pipes and forgotten handles leave the descriptors as they were") {
    const Holdings before = holdings();
    for (int times = 0; times < 20; ++times) {
        exec::Cmd failing = exec::command("/no/such/program");
        REQUIRE(failing.stdin_pipe());
        failing.out = exec::Sink::writer([](std::string_view) { return exec::Result<>(); });
        CHECK_FALSE(failing.start());

        exec::Cmd unread = helper("echo", {"nobody reads this"});
        auto output = unread.stdout_pipe();
        REQUIRE(output);
        REQUIRE(said(unread.start()) == "");
        CHECK(said(unread.wait()) == "");
        CHECK(output->fd() == -1);

        auto process = exec::spawn(helper_spec("exit", {"0"}));
        REQUIRE(process);
        CHECK(process->wait());
        exec::SpawnSpec missing;
        missing.path = "/no/such/program";
        CHECK_FALSE(exec::spawn(missing));
    }
    CHECK(to_string(holdings()) == to_string(before));
}
