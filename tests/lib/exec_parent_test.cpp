// What a spawn must not do to its parent, whatever becomes of the child.
#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>

#include "lib/sys/fd.hpp"
#include "lib/sys/pidfd.hpp"
#include "lib/sys/procfs.hpp"
#include "lib/sys/signals.hpp"
#include "tests/lib/exec_victim.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

namespace {

std::size_t entries(const char* dir) {
    DIR* list = ::opendir(dir);
    std::size_t count = 0;
    while (::readdir(list) != nullptr)
        ++count;
    ::closedir(list);
    return count;
}

// Everything of ours that a careless spawn is known to have changed in other libraries.
struct Ourselves {
    std::size_t descriptors = entries("/proc/self/fd");
    std::size_t threads = entries("/proc/self/task");
    std::string signals = signal_lines();
    int dumpable = ::prctl(PR_GET_DUMPABLE);
    bool zombie = sys::peek_any_exit().value().has_value();

    bool operator==(const Ourselves&) const = default;

    static std::string signal_lines() {
        const std::string status = sys::read_file("/proc/thread-self/status").value();
        return status.substr(status.find("SigBlk:"), status.find("CapInh:") - status.find("SigBlk:"));
    }
};

void check_unchanged(const Ourselves& before) {
    const Ourselves after;
    CHECK(after.descriptors == before.descriptors);
    CHECK(after.threads == before.threads);
    CHECK(after.signals == before.signals);
    CHECK(after.dumpable == before.dumpable);
    CHECK(after.zombie == before.zombie);
}

exec::SpawnSpec program(const std::string& path) {
    exec::SpawnSpec spec;
    spec.path = path;
    return spec;
}

} // namespace

TEST_CASE("starts and failures leave no descriptor, thread, zombie, mask or disposition behind") {
    for (const NamedRung& rung : every_rung)
        REQUIRE(exec::spawn_on(rung.rung, program("/bin/true"))->wait()); // warm
    const sigset_t former = sys::block(sys::signal_set({SIGUSR1})).value();
    REQUIRE(sys::ignore_signal(SIGUSR2));
    const Ourselves before;
    for (int times = 0; times < 50; ++times) {
        for (const NamedRung& rung : every_rung) {
            CAPTURE(rung.name);
            auto started = exec::spawn_on(rung.rung, program("/bin/true"));
            REQUIRE(started);
            CHECK(started->wait()->success());
            CHECK_FALSE(exec::spawn_on(rung.rung, program("/no/such/program")));
        }
    }
    check_unchanged(before);
    REQUIRE(sys::default_signal(SIGUSR2));
    REQUIRE(sys::set_mask(former));
}

TEST_CASE("a child that becomes another user does not take our dumpable flag") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program("/bin/true");
    spec.sys.credential = exec::Credential{61234, 61234, {}};
    REQUIRE(exec::spawn(spec)->wait());
    const Ourselves before;
    CHECK(before.dumpable == 1);
    REQUIRE(exec::spawn(spec)->wait());
    REQUIRE(exec::spawn_on(exec::Rung::private_classic, spec)->wait());
    spec.dir = "/no/such/dir";
    CHECK_FALSE(exec::spawn(spec));
    check_unchanged(before);
}

TEST_CASE("a failing child is reaped even where children are not to become zombies") {
    REQUIRE(sys::ignore_signal(SIGCHLD));
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        const auto failed = exec::spawn_on(rung.rung, program("/no/such/program"));
        REQUIRE_FALSE(failed);
        CHECK(failed.error().step() == exec::Step::execve);
    }
    REQUIRE(sys::default_signal(SIGCHLD));
    CHECK(sys::children_of(::getpid())->empty());
}

TEST_CASE("several threads spawn at once, each gets its own child's words, and nothing is mixed up") {
    constexpr int thread_count = 8;
    constexpr int spawns_each = 25;
    std::thread([] {}).join(); // the first thread makes the C library take a signal for itself
    const Ourselves before;
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int number = 0; number < thread_count; ++number) {
        threads.emplace_back([number, &right] {
            for (int times = 0; times < spawns_each; ++times) {
                const std::string word = std::to_string(number) + "-" + std::to_string(times);
                exec::SpawnSpec spec = program("/bin/sh");
                spec.argv = {"sh", "-c", "echo " + word + "; exit " + std::to_string(number)};
                auto output = sys::pipe();
                if (!output) continue;
                spec.stdio[1] = output->write.get();
                const NamedRung& rung = every_rung[static_cast<std::size_t>(times) % every_rung.size()];
                auto process = exec::spawn_on(rung.rung, spec);
                output->write.reset();
                if (!process) continue;
                const auto text = sys::read_all(output->read.get());
                const auto ended = process->wait();
                const bool ok = text && *text == word + "\n" && ended && ended->exit_code() == number;
                if (ok) ++right;
                const auto failed = exec::spawn_on(rung.rung, program("/no/" + word));
                if (failed || failed.error().message().find("fork/exec /no/" + word + ":") == std::string::npos)
                    --right;
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    CHECK(right == thread_count * spawns_each);
    check_unchanged(before);
}

TEST_CASE("a file that another thread opens without close-on-exec, just now, does not reach a child") {
    const TemporaryDirectory dir;
    std::atomic<bool> stop = false;
    std::thread careless([&] {
        while (!stop) {
            const int fd = ::open((dir / "secret").c_str(), O_CREAT | O_RDWR, 0600);
            ::close(fd);
        }
    });
    for (int times = 0; times < 50; ++times) {
        exec::SpawnSpec spec = program("/bin/sh");
        spec.argv = {"sh", "-c", "readlink /proc/$$/fd/*"};
        spec.env = {"PATH=/usr/bin:/bin"};
        const std::string open = run(spec).output;
        CHECK(open.find("secret") == std::string::npos);
    }
    stop = true;
    careless.join();
}

TEST_CASE("a signal that arrives while the child starts is handled by us, not by the child") {
    static std::atomic<int> handled;
    static std::atomic<pid_t> handler_pid;
    handled = 0;
    struct sigaction former{};
    struct sigaction action{};
    action.sa_handler = [](int) {
        handler_pid = ::getpid();
        ++handled;
    };
    ::sigaction(SIGUSR1, &action, &former);
    std::atomic<bool> stop = false;
    std::thread sender([&] {
        while (!stop)
            ::kill(::getpid(), SIGUSR1);
    });
    while (handled == 0)
        std::this_thread::yield(); // until they rain
    for (int times = 0; times < 100; ++times) {
        auto process = exec::spawn(program("/bin/true"));
        REQUIRE(process);
        CHECK(process->wait()->success());
        CHECK(handler_pid.load() == ::getpid());
    }
    stop = true;
    sender.join();
    ::sigaction(SIGUSR1, &former, nullptr);
    CHECK(handled > 0);
}
