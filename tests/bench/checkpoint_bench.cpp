// What the checkpoint costs at 1,000 and 10,000 programs: one put, a sealed copy, load and decode, and its memory.
// Beside them the floor: the same bytes copied by memcpy into memory of its own.
//
//   checkpoint-bench [ROUNDS]        each figure is the median of ROUNDS (default 15)
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include <sys/stat.h>
#include <time.h>

#include "daemon/checkpoint/checkpoint.hpp"
#include "daemon/checkpoint/live.hpp"

using namespace keepd;

namespace {

core::Program realistic(int number) {
    core::Program program;
    const std::string name = "worker-" + std::to_string(number);
    program.spec.name = program.spec.base = name;
    program.spec.argv = {"/usr/local/bin/worker", "--listen", "127.0.0.1:" + std::to_string(20000 + number), "--shard",
                         std::to_string(number)};
    program.spec.executable = "/usr/local/bin/worker";
    program.spec.description = "worker of shard " + std::to_string(number);
    program.spec.working_dir = "/srv/worker/" + std::to_string(number);
    program.spec.environment = {{"SHARD", std::to_string(number)}, {"LOG_LEVEL", "info"}, {"LD_PRELOAD", std::nullopt}};
    program.spec.identity = config::Identity{1000, 1000, {1000, 100}, "worker", "/srv/worker", "/bin/sh"};
    program.spec.restart.delay = std::chrono::seconds(1);
    program.spec.out.path = "/var/log/keepd/" + name + ".log";
    program.spec.limits = {{"nofile", {65536, 65536}}};
    program.phase =
        core::Running{{static_cast<std::uint64_t>(number) + 1}, 1000 + number, core::Time(std::chrono::hours(30))};
    program.goal = core::Goal::up;
    program.since = core::Time(std::chrono::hours(30));
    program.since_wall = {1'790'000'000'000'000'000 + number};
    program.run = {static_cast<std::uint64_t>(number) + 1};
    program.restarts = 3;
    program.last_exit = core::LastExit{{1},
                                       core::ExitStatus::exited(1),
                                       {std::chrono::milliseconds(120), std::chrono::milliseconds(20), 20480},
                                       std::chrono::hours(2),
                                       {1'790'000'000'000'000'000}};
    return program;
}

// The processor time of this process: what others do on the machine should not show.
double now_us() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// Median of what `work` takes, in microseconds.
double median_us(int rounds, const std::function<void()>& work) {
    std::vector<double> times;
    for (int i = 0; i < rounds; ++i) {
        const double began = now_us();
        work();
        times.push_back(now_us() - began);
    }
    std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
    return times[static_cast<std::size_t>(rounds / 2)];
}

std::size_t resident(int fd) {
    struct stat about{};
    return ::fstat(fd, &about) == 0 ? static_cast<std::size_t>(about.st_blocks) * 512 : 0;
}

void measure(int programs, int rounds) {
    core::State state;
    state.daemon.next_run = static_cast<std::uint64_t>(programs) + 1;
    for (int i = 0; i < programs; ++i) {
        core::Program program = realistic(i);
        state.programs.emplace(program.spec.name, std::move(program));
    }
    const checkpoint::Records records = checkpoint::encode(state);
    std::size_t bytes = 0;
    for (const auto& [key, record] : records)
        bytes += record.size();
    auto live = checkpoint::Live::create({});
    for (const auto& [key, record] : records)
        if (!live->put(key, record)) std::abort();

    std::printf("%d programs, %zu bytes a record\n", programs, bytes / records.size());
    std::vector<std::pair<std::string, std::string>> changing(records.begin(), records.end());
    std::size_t turn = 0;
    const auto put_many = [&](int puts) {
        for (int i = 0; i < puts; ++i) {
            auto& [key, record] = changing[++turn % changing.size()];
            record.back() = static_cast<char>(record.back() + 1);
            if (!live->put(key, record)) std::abort();
        }
    };
    std::printf("  put of a record                         %9.3f us\n", median_us(2000, [&] { put_many(20); }) / 20);
    std::printf("  the same with its share of compactions  %9.3f us\n",
                median_us(3, [&] { put_many(100'000); }) / 100'000);
    std::printf("  encode of one program                   %9.3f us\n",
                median_us(rounds, [&] {
                    for (const auto& [name, program] : state.programs)
                        (void)checkpoint::encode(program);
                }) / programs);
    std::printf("  memory of the memfd and its index       %9.0f bytes a program\n",
                static_cast<double>(resident(live->fd()) + live->size().index) / programs);
    for (const auto& [key, record] : records)
        if (!live->put(key, record)) std::abort();

    std::string flat(bytes, 'x');
    std::printf("  floor: memcpy of the records            %9.1f us\n", median_us(rounds, [&] {
                    const std::string copy = flat;
                    (void)copy;
                }));
    std::printf("  sealed copy                             %9.1f us\n",
                median_us(rounds, [&] { (void)live->sealed_copy({}); }));
    const auto sealed = live->sealed_copy({});
    const auto loaded = checkpoint::load(sealed->get());
    if (!loaded || !checkpoint::decode(loaded->records)) std::abort();
    std::printf("  load                                    %9.1f us\n",
                median_us(rounds, [&] { (void)checkpoint::load(sealed->get()); }));
    std::vector<keep::Result<core::State>> states; // what is made is torn down outside of the time
    states.reserve(static_cast<std::size_t>(rounds));
    std::printf("  decode                                  %9.1f us\n",
                median_us(rounds, [&] { states.push_back(checkpoint::decode(loaded->records)); }));
    std::printf("  digest                                  %9.1f us\n",
                median_us(rounds, [&] { (void)checkpoint::digest(loaded->records); }));
}

} // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 15;
    measure(1000, rounds);
    measure(10'000, rounds);
}
