// Starts in a second from one, two and four threads, beside the bare loop.
//   bench-threads CHILD [STARTS [ROUNDS]]        CHILD: bench-exit-at-once; STARTS: of all threads together
#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <keep/exec.hpp>

#include "tests/bench/exec_floor.hpp"
#include "tests/bench/exec_ways.hpp"
#include "tests/bench/turns.hpp"

using namespace keep::bench;

namespace {

using Start = std::function<void()>;

// Starts a second. Each thread makes its way by `make`, warms it up, and waits for the others.
double rate(int threads, int starts, const std::function<Start()>& make) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point begin;
    std::barrier ready(threads, [&]() noexcept { begin = Clock::now(); });
    {
        std::vector<std::jthread> all;
        for (int i = 0; i < threads; ++i) {
            all.emplace_back([&] {
                const Start start = make();
                start();
                ready.arrive_and_wait();
                for (int k = 0; k < starts / threads; ++k)
                    start();
            });
        }
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return static_cast<double>(starts / threads * threads) / seconds;
}

struct Contender {
    int place;
    const char* name;
    std::function<Start()> make;
    std::vector<std::vector<double>> rates; // for each number of threads, one of each round
};

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: bench-threads CHILD [STARTS [ROUNDS]]\n");
        return 2;
    }
    const std::string child = argv[1];
    const int starts = argc > 2 ? std::atoi(argv[2]) : 1200;
    const int rounds = argc > 3 ? std::atoi(argv[3]) : 15;
    constexpr std::array<int, 3> numbers{1, 2, 4};

    const auto bare = [&]() -> Start { return [floor = std::make_shared<Floor>(child)] { floor->run(true); }; };
    std::vector<Contender> contenders{
        {0, "clone3 with a pidfd", bare, {}},
        {1, "spawn", [&]() -> Start { return [&] { spawn_and_wait(child, inherited); }; }, {}},
        {2, "command.run", [&]() -> Start { return [&] { command_run(child, Streams::inherited); }; }, {}},
        {3,
         "command.start, wait",
         [&]() -> Start { return [&] { command_start_and_wait(child, Streams::inherited); }; },
         {}},
    };
    for (Contender& contender : contenders)
        contender.rates.resize(numbers.size());
    std::minstd_rand dice(1);
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t at = 0; at < numbers.size(); ++at) {
            std::ranges::shuffle(contenders, dice);
            for (Contender& contender : contenders)
                contender.rates[at].push_back(rate(numbers[at], starts, contender.make));
        }
    }
    std::ranges::sort(contenders, {}, &Contender::place);

    std::fprintf(stderr, "\nstarts a second, medians of %d rounds\n%-24s %10s %10s %10s %14s %14s\n", rounds, "",
                 "1 thread", "2 threads", "4 threads", "2 threads : 1", "4 threads : 1");
    std::printf("{\"bench\": \"starts a second\", \"ways\": [");
    for (const Contender& contender : contenders) {
        std::array<double, numbers.size()> middle{};
        for (std::size_t at = 0; at < numbers.size(); ++at)
            middle[at] = median(contender.rates[at]);
        // Ratios within a round: what disturbs one number of threads is likely to disturb its neighbour.
        const Series one{"", contender.rates[0]};
        const double two_to_one = paired_ratio({"", contender.rates[1]}, one);
        const double four_to_one = paired_ratio({"", contender.rates[2]}, one);
        std::fprintf(stderr, "%-24s %10.0f %10.0f %10.0f %14.2f %14.2f\n", contender.name, middle[0], middle[1],
                     middle[2], two_to_one, four_to_one);
        std::printf("%s{\"name\": \"%s\", \"one\": %.0f, \"two\": %.0f, \"four\": %.0f, \"two_to_one\": %.3f}",
                    &contender == contenders.data() ? "" : ", ", contender.name, middle[0], middle[1], middle[2],
                    two_to_one);
    }
    std::printf("]}\n");
}
