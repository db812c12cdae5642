// A command's output captured in memory by Cmd::output(), beside loops written by hand.
//   bench-capture WRITER [ROUNDS [ROUNDS_OF_A_GIBIBYTE]]        WRITER: bench-write-bytes
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <keep/exec.hpp>

#include "tests/bench/exec_floor.hpp"
#include "tests/bench/exec_ways.hpp"
#include "tests/bench/turns.hpp"

using namespace keep;
using namespace keep::bench;

namespace {

void check_size(std::size_t got, std::size_t wanted) {
    if (got == wanted) return;
    std::fprintf(stderr, "%zu bytes were captured instead of %zu\n", got, wanted);
    std::exit(1);
}

void measure(const std::string& writer, std::size_t size, const char* shown, int rounds, int warm_up) {
    const std::string argument = std::to_string(size);
    const Floor floor(writer, {argument});
    // What was captured is given back in the next turn, outside of the clock.
    Captured by_hand;
    exec::Output by_library;
    std::string into_string;
    const auto give_back = [&] {
        std::free(by_hand.bytes);
        by_hand = {};
        by_library = {};
        std::string().swap(into_string);
    };
    const auto loop = [&](Loop kind) {
        by_hand = capture(floor, kind);
        check_size(by_hand.size, size);
    };
    const auto output = [&] {
        by_library = exec::command(writer, argument).output();
        must(by_library.result);
        check_size(by_library.bytes.size(), size);
    };
    const auto string_sink = [&] {
        exec::Cmd cmd = exec::command(writer, argument);
        cmd.out = exec::Sink::buffer(into_string);
        must(cmd.run());
        check_size(into_string.size(), size);
    };
    const std::vector<Way> ways{
        {"a loop by hand, the fastest", [&] { loop(Loop::fast); }, give_back},
        {"a loop by hand, plain", [&] { loop(Loop::plain); }, give_back},
        {"command.output", output, give_back},
        {"command.run into std::string", string_sink, give_back},
    };
    report("capture", shown, take_turns(ways, rounds, warm_up));
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: bench-capture WRITER [ROUNDS [ROUNDS_OF_A_GIBIBYTE]]\n");
        return 2;
    }
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 500;
    const int large_rounds = argc > 3 ? std::atoi(argv[3]) : 11;
    measure(argv[1], std::size_t{1} << 20, "1 MiB", rounds, 20);
    if (large_rounds > 0) measure(argv[1], std::size_t{1} << 30, "1 GiB", large_rounds, 1);
}
