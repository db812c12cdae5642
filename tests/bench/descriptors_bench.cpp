// What a start costs a parent with 10, 1,000 and 10,000 descriptors open, with and without reserve_descriptors() called
// before they were opened.
//   bench-descriptors CHILD [ROUNDS [DESCRIPTORS...]]        CHILD: bench-exit-at-once
//
// What was opened, and what the library found, stays with a process: so each combination is a process of its own, and
// they take turns. The one that leads tells one of them at a time to take a few samples of each way, in an order drawn
// anew for each round.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <keep/exec.hpp>

#include "tests/bench/exec_floor.hpp"
#include "tests/bench/exec_ways.hpp"
#include "tests/bench/turns.hpp"

using namespace keep;
using namespace keep::bench;

namespace {

constexpr int samples_a_turn = 5;

constexpr std::array way_names{
    "clone3 without a pidfd (vfork)",
    "clone3 with a pidfd",
    "clone3, three pipes",
    "spawn, inherited",
    "spawn, /dev/null",
    "spawn, three pipes",
    "command.run, inherited",
    "command.run, /dev/null",
    "command.run, pipes and copying",
};
using Samples = std::array<double, way_names.size()>;

// A follower: opens its descriptors, then answers each byte on its standard input by samples on its standard output.
int follow(const std::string& child, std::size_t descriptors, bool reserved) {
    if (reserved && exec::reserve_descriptors() < 1) die("reserve_descriptors");
    // The null device takes its low number early, as with a program that has started something before it grew.
    spawn_and_wait(child, nothing);
    raise_descriptor_limit();
    while (descriptors-- > 0) {
        if (::open("/dev/null", O_RDWR | O_CLOEXEC) < 0) die("/dev/null");
    }
    const Pipe in; // numbers above all the others
    const Pipe out;
    const Pipe err;
    const std::array<int, 3> pipes{in.read, out.write, err.write};

    const Floor floor(child);
    const std::array<std::function<void()>, way_names.size()> ways{
        [&] { floor.run(false); },
        [&] { floor.run(true); },
        [&] { Floor::wait(floor.start(true, pipes)); },
        [&] { spawn_and_wait(child, inherited); },
        [&] { spawn_and_wait(child, nothing); },
        [&] { spawn_and_wait(child, pipes); },
        [&] { command_run(child, Streams::inherited); },
        [&] { command_run(child, Streams::null_device); },
        [&] { command_run(child, Streams::pipes); },
    };
    std::array<std::size_t, way_names.size()> order{};
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::minstd_rand dice(1);
    char go = 0;
    // "Inherited" is then the pipe to the leader; nothing is written to it by the child.
    while (::read(0, &go, 1) == 1) {
        Samples samples{};
        ways[1](); // the caches are this process's again
        std::ranges::shuffle(order, dice);
        for (const std::size_t at : order)
            samples[at] = micros_of(ways[at]);
        if (::write(1, samples.data(), sizeof samples) != sizeof samples) return 1;
    }
    return 0;
}

struct Follower {
    std::size_t descriptors;
    bool reserved;
    exec::Cmd cmd;
    exec::PipeWriter ask;
    exec::PipeReader answer;
    std::vector<Series> series;

    void take(bool keep) {
        must(ask.write("?"));
        Samples samples{};
        auto* const bytes = reinterpret_cast<char*>(samples.data());
        for (std::size_t have = 0; have < sizeof samples;) {
            const auto got = answer.read({bytes + have, sizeof samples - have});
            must(got);
            if (*got == 0) die("a follower ended");
            have += *got;
        }
        for (std::size_t i = 0; keep && i < samples.size(); ++i)
            series[i].micros.push_back(samples[i]);
    }
};

Follower begin(const std::string& child, std::size_t descriptors, bool reserved) {
    exec::Cmd cmd = exec::command("/proc/self/exe", "follow", child, std::to_string(descriptors),
                                  std::string(reserved ? "1" : "0"));
    cmd.err = exec::Sink::fd(2);
    auto ask = cmd.stdin_pipe();
    auto answer = cmd.stdout_pipe();
    must(ask);
    must(answer);
    must(cmd.start());
    Follower follower{descriptors, reserved, std::move(cmd), *ask, *answer, {}};
    for (const char* name : way_names)
        follower.series.push_back({name, {}});
    return follower;
}

void compare(const std::vector<Follower>& all) {
    for (const bool reserved : {false, true}) {
        const Follower* fewest = nullptr;
        for (const Follower& follower : all) {
            if (follower.reserved != reserved) continue;
            if (fewest == nullptr) fewest = &follower;
            std::fprintf(stderr, "\n%zu descriptors beside %zu, %s\n", follower.descriptors, fewest->descriptors,
                         reserved ? "reserved before" : "nothing reserved");
            for (std::size_t i = 0; i < way_names.size(); ++i) {
                const double ratio = median(follower.series[i].micros) / median(fewest->series[i].micros);
                std::fprintf(stderr, "%-34s %8.3f\n", way_names[i], ratio);
            }
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 4 && words[0] == "follow") {
        return follow(words[1], std::strtoul(words[2].c_str(), nullptr, 10), words[3] == "1");
    }
    if (words.empty()) {
        std::fprintf(stderr, "usage: bench-descriptors CHILD [ROUNDS [DESCRIPTORS...]]\n");
        return 2;
    }
    const int rounds = words.size() > 1 ? std::atoi(words[1].c_str()) : 150;
    std::vector<std::size_t> numbers;
    for (std::size_t i = 2; i < words.size(); ++i)
        numbers.push_back(std::strtoul(words[i].c_str(), nullptr, 10));
    if (numbers.empty()) numbers = {10, 1000, 10000};
    const std::size_t limit = raise_descriptor_limit();
    std::erase_if(numbers, [&](std::size_t number) { return number + 64 > limit; });

    std::vector<Follower> all;
    for (const std::size_t number : numbers) {
        all.push_back(begin(words[0], number, false));
        all.push_back(begin(words[0], number, true));
    }
    std::vector<Follower*> order;
    for (Follower& follower : all)
        order.push_back(&follower);
    std::minstd_rand dice(1);
    for (int round = -2; round < rounds; ++round) {
        std::ranges::shuffle(order, dice);
        for (Follower* const follower : order) {
            for (int i = 0; i < samples_a_turn; ++i)
                follower->take(round >= 0);
        }
    }
    for (Follower& follower : all) {
        report("descriptors",
               std::to_string(follower.descriptors) + " open, " +
                   (follower.reserved ? "reserved before" : "nothing reserved"),
               follower.series, 1);
        must(follower.ask.close());
        must(follower.cmd.wait());
    }
    compare(all);
}
