// What a spawn costs beside its floor: a bare clone3(VM, VFORK) and execve in the same process, taken in turn, so that
// each measurement has its floor next to it in time. Table on stderr, JSON on stdout.
//   bench-spawn CHILD [ROUNDS] [HEAP_MIB...]
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "lib/exec/clone_stub.hpp"
#include "lib/exec/raw_syscall.hpp"
#include "lib/exec/spawn.hpp"
#include "lib/sys/clock.hpp"

using namespace keep;

namespace {

constexpr std::size_t stack_size = 64 * 1024;

struct Bare {
    const char* path;
    std::array<char*, 2> argv;
    std::array<char*, 1> envp;
    char* stack;
};

int bare_child(void* argument) {
    const auto* job = static_cast<const Bare*>(argument);
    exec::raw_syscall(SYS_execve, reinterpret_cast<long>(job->path), reinterpret_cast<long>(job->argv.data()),
                      reinterpret_cast<long>(job->envp.data()));
    exec::raw_syscall(SYS_exit_group, 127);
    return 127;
}

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

void check_clean(const siginfo_t& info) {
    if (info.si_code != CLD_EXITED || info.si_status != 0) {
        std::fprintf(stderr, "the child did not exit with 0\n");
        std::exit(1);
    }
}

void spawn_bare(Bare& job, bool with_pidfd) {
    int pidfd = -1;
    clone_args args{};
    args.flags = CLONE_VM | CLONE_VFORK | (with_pidfd ? std::uint64_t{CLONE_PIDFD} : 0);
    args.pidfd = with_pidfd ? reinterpret_cast<std::uintptr_t>(&pidfd) : 0;
    args.exit_signal = SIGCHLD;
    args.stack = reinterpret_cast<std::uintptr_t>(job.stack);
    args.stack_size = stack_size;
    const long pid = keep_exec_clone3(&args, CLONE_ARGS_SIZE_VER0, bare_child, &job);
    if (pid < 0) die("clone3");
    siginfo_t info{};
    const int failed = with_pidfd ? ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED)
                                  : ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED);
    if (failed != 0) die("waitid");
    check_clean(info);
    if (with_pidfd) ::close(pidfd);
}

void spawn_ours(const exec::SpawnSpec& spec) {
    auto process = exec::spawn(spec);
    if (!process) {
        std::fprintf(stderr, "%s\n", process.error().message.c_str());
        std::exit(1);
    }
    const auto ended = process->wait();
    if (!ended || !ended->status.success()) die("wait");
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

template <typename Spawn>
double micros(Spawn spawn) {
    const Time begin = sys::monotonic_now();
    spawn();
    return std::chrono::duration<double, std::micro>(sys::monotonic_now() - begin).count();
}

enum Way { bare, bare_pidfd, ours, ways };

void measure(const std::string& child, int rounds, long heap_mib, bool first) {
    std::vector<char> heap(static_cast<std::size_t>(heap_mib) << 20);
    for (std::size_t at = 0; at < heap.size(); at += 4096)
        heap[at] = static_cast<char>(at >> 12 | 1);

    void* stack = ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) die("mmap");
    Bare job{child.c_str(), {const_cast<char*>(child.c_str()), nullptr}, {nullptr}, static_cast<char*>(stack)};
    exec::SpawnSpec spec;
    spec.path = child;
    spec.stdio = {0, 1, 2};

    std::array<std::vector<double>, ways> times;
    constexpr int warm_up = 50;
    for (int round = -warm_up; round < rounds; ++round) {
        for (int turn = 0; turn < ways; ++turn) {
            const int way = (turn + round + warm_up) % ways; // nobody is always behind the same neighbour
            const double took = micros([&] { way == ours ? spawn_ours(spec) : spawn_bare(job, way == bare_pidfd); });
            if (round >= 0) times[static_cast<std::size_t>(way)].push_back(took);
        }
    }
    const auto paired = [&](Way floor) {
        std::vector<double> ratios;
        for (std::size_t i = 0; i < times[ours].size(); ++i)
            ratios.push_back(times[ours][i] / times[floor][i]);
        return median(ratios);
    };
    std::fprintf(stderr, "%8ld %12.1f %12.1f %12.1f %10.3f %10.3f\n", heap_mib, median(times[bare]),
                 median(times[bare_pidfd]), median(times[ours]), paired(bare), paired(bare_pidfd));
    std::printf(
        "%s\n    {\"heap_mib\": %ld, \"rounds\": %d, \"bare_us\": %.2f, \"bare_pidfd_us\": %.2f, \"ours_us\": %.2f, "
        "\"ours_to_bare\": %.4f, \"ours_to_bare_pidfd\": %.4f}",
        first ? "" : ",", heap_mib, rounds, median(times[bare]), median(times[bare_pidfd]), median(times[ours]),
        paired(bare), paired(bare_pidfd));
    ::munmap(stack, stack_size);
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: bench-spawn CHILD [ROUNDS] [HEAP_MIB...]\n");
        return 2;
    }
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 2000;
    std::vector<long> heaps;
    for (int i = 3; i < argc; ++i)
        heaps.push_back(std::atol(argv[i]));
    if (heaps.empty()) heaps = {0, 1024};
    std::fprintf(stderr, "spawn and wait, medians in us; ratios are medians of pairs\n%8s %12s %12s %12s %10s %10s\n",
                 "heap MiB", "bare", "bare+pidfd", "ours", "to bare", "to +pidfd");
    std::printf("{\"spawn\": [");
    for (std::size_t i = 0; i < heaps.size(); ++i)
        measure(argv[1], rounds, heaps[i], i == 0);
    std::printf("\n]}\n");
}
