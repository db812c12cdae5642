// What a start costs beside its floor, with parents of several sizes.
//   bench-spawn CHILD [ROUNDS [HEAP_MIB...]]        CHILD: bench-exit-at-once
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <keep/exec.hpp>

#include "tests/bench/exec_floor.hpp"
#include "tests/bench/exec_ways.hpp"
#include "tests/bench/turns.hpp"

using namespace keep::bench;

namespace {

void measure(const std::string& child, int rounds, std::size_t heap_mib) {
    const auto heap = touched_heap(heap_mib);
    const Floor floor(child);
    const std::vector<Way> ways{
        {"clone3 with a pidfd", [&] { floor.run(true); }},
        {"the same again (noise)", [&] { floor.run(true); }},
        {"clone3 without (vfork)", [&] { floor.run(false); }},
        {"spawn, inherited", [&] { spawn_and_wait(child, inherited); }},
        {"command.run, inherited", [&] { command_run(child, Streams::inherited); }},
        {"command.start, wait, inherited", [&] { command_start_and_wait(child, Streams::inherited); }},
        {"spawn, /dev/null", [&] { spawn_and_wait(child, nothing); }},
        {"command.run, /dev/null", [&] { command_run(child, Streams::null_device); }},
        {"command.start, wait, /dev/null", [&] { command_start_and_wait(child, Streams::null_device); }},
    };
    constexpr int warm_up = 50;
    report("spawn and wait", std::to_string(heap_mib) + " MiB heap", take_turns(ways, rounds, warm_up));
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: bench-spawn CHILD [ROUNDS [HEAP_MIB...]]\n");
        return 2;
    }
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 2000;
    std::vector<std::size_t> heaps;
    for (int i = 3; i < argc; ++i)
        heaps.push_back(std::strtoul(argv[i], nullptr, 10));
    if (heaps.empty()) heaps = {0, 1024, 4096};
    for (const std::size_t heap : heaps)
        measure(argv[1], rounds, heap);
}
