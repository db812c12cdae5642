// The raised limit of descriptors at a replacement, and starts that other threads make at the same time.
#include <atomic>
#include <cerrno>
#include <thread>
#include <unistd.h>

#include "tests/exec/attributes.hpp"

using namespace keep;
using namespace keep::test;
using exec::Replacement;

namespace {

constexpr rlim_t low = 256;

rlimit nofile() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit;
}

void set_soft(rlim_t soft) {
    const rlimit limit{soft, nofile().rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

void raise_from_low() {
    set_soft(low);
    if (const auto raised = exec::raise_nofile_limit(); !raised) say(raised.error().message());
}

std::string with_soft(rlim_t soft) {
    return std::to_string(soft) + " " + std::to_string(nofile().rlim_max);
}

Replacement to_report() {
    Replacement with;
    with.path = attributes_helper();
    with.argv = {"exec-attributes-helper", "report"};
    return with;
}

std::string limit_after(const std::function<void()>& before) {
    const Ran ran = in_fork([&] {
        before();
        say(exec::replace(to_report()).message());
    });
    return status_fields(ran.output).at("nofile");
}

// Starts programs until it is told to stop, or vanishes. The first that fails, or that has another limit than the one
// from before it was raised, is said.
class Starter {
  public:
    Starter() : thread_([this] { start_on_and_on(); }) {}
    void stop() {
        stopped_ = true;
        thread_.join();
    }
    bool has_started(int count) const { return started_ >= count; }

  private:
    void start_on_and_on() {
        exec::SpawnSpec spec;
        spec.path = "/bin/sh";
        spec.argv = {"sh", "-c", "test $(ulimit -S -n) = " + std::to_string(low)};
        while (!stopped_) {
            auto process = exec::spawn(spec);
            if (!process) return say(process.error().message());
            const auto state = process->wait();
            if (!state || !state->success()) return say("another limit");
            ++started_;
        }
    }

    std::atomic<bool> stopped_ = false;
    std::atomic<int> started_ = 0;
    std::thread thread_;
};

} // namespace

EXEC_TEST("[go:136] the new image has the limit of descriptors from before the library raised it") {
    CHECK(limit_after(raise_from_low) == with_soft(low));
}

EXEC_TEST("[go:136] a limit that the program has set itself since is the new image's") {
    const auto before = [] {
        raise_from_low();
        set_soft(300);
    };
    CHECK(limit_after(before) == with_soft(300));
}

EXEC_TEST("[go:136] without raise_nofile_limit() the new image has the limit of the old") {
    CHECK(limit_after([] { set_soft(low); }) == with_soft(low));
    CHECK(limit_after([] { set_soft(nofile().rlim_max); }) == with_soft(nofile().rlim_max));
}

EXEC_TEST("[go:136] failing replacements and starts in other threads do not disturb each other") {
    const Ran ran = in_fork([] {
        raise_from_low();
        Starter one;
        Starter two;
        Replacement with = to_report();
        with.path = "/no/such/program";
        while (!one.has_started(20) || !two.has_started(20)) {
            if (exec::replace(with).error_number() != ENOENT) say("another failure");
            if (nofile().rlim_cur != nofile().rlim_max) say("the limit is not raised any more");
        }
        one.stop();
        two.stop();
        say("done");
    });
    CHECK(ran.output == "done\n");
}

EXEC_TEST("[go:136] a replacement succeeds while other threads start programs, and is alone then") {
    const Ran alone = in_fork([] { say(exec::replace(to_report()).message()); });
    for (int times = 0; times < 10; ++times) {
        const Ran ran = in_fork([] {
            raise_from_low();
            Starter one;
            Starter two;
            while (!one.has_started(1) || !two.has_started(1))
                std::this_thread::yield();
            say(exec::replace(to_report()).message());
        });
        CHECK(ran.state.success());
        const Report report = status_fields(ran.output);
        CHECK(report.at("nofile") == with_soft(low));
        CHECK(report.at("Threads") == "1");
        CHECK(report.at("descriptors") == status_fields(alone.output).at("descriptors"));
    }
}
