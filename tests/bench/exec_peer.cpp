// The exec library as a peer in a benchmark of process libraries, whose programs take KEY=VALUE arguments and print
// their samples in nanoseconds on the standard output:
//   mode=lat  n= warm= child= [heap=MIB] [fds=N]   "L ns ns ..", start and wait; "C ns ..", the start alone
//   mode=cap  n= bytes= child=                     "L ns ..": all of the standard output captured, three pipes
//   mode=conc threads= n= child=                   "W wall_ns starts"
//   mode=leak threads= n= child=                   "K bad total": captures; bad: the child did not exit with 0
//   mode=hyg  child=                               what the child wrote
// Further: layer=1 or 2 (2), reserve=N: reserve_descriptors(N) first of all.
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

#include <keep/exec.hpp>

#include "tests/bench/turns.hpp"

using namespace keep;
using Clock = std::chrono::steady_clock;

namespace {

struct Arguments {
    std::vector<std::string_view> all;

    std::string text(std::string_view key, std::string_view otherwise) const {
        for (const std::string_view argument : all) {
            if (argument.starts_with(key) && argument.substr(key.size()).starts_with('=')) {
                return std::string(argument.substr(key.size() + 1));
            }
        }
        return std::string(otherwise);
    }
    long number(std::string_view key, long otherwise) const {
        const std::string value = text(key, "");
        long number = otherwise;
        std::from_chars(value.data(), value.data() + value.size(), number);
        return number;
    }
};

[[noreturn]] void give_up(const exec::Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    std::exit(98);
}

struct Captured {
    exec::Bytes bytes;
    bool success = false;
};

// How each layer starts with everything inherited, and captures.
class Layer {
  public:
    virtual ~Layer() = default;
    // When the start had returned; the wait is over when this returns.
    virtual Clock::time_point run(const std::string& child) = 0;
    virtual Captured capture(const std::string& child, std::vector<std::string> arguments) = 0;
};

class Two final : public Layer {
  public:
    Clock::time_point run(const std::string& child) override {
        exec::Cmd cmd = exec::command(child);
        cmd.in = exec::Source::fd(0);
        cmd.out = exec::Sink::fd(1);
        cmd.err = exec::Sink::fd(2);
        if (auto started = cmd.start(); !started) give_up(started.error());
        const auto started_at = Clock::now();
        if (auto ended = cmd.wait(); !ended) give_up(ended.error());
        return started_at;
    }
    Captured capture(const std::string& child, std::vector<std::string> arguments) override {
        exec::Cmd cmd = exec::command(child, std::move(arguments));
        cmd.in = exec::Source::bytes("");
        exec::Output output = cmd.output();
        if (!output && output.result.error().exit() == nullptr) give_up(output.result.error());
        return {std::move(output.bytes), output.result.has_value()};
    }
};

struct Pipe {
    Fd read;
    Fd write;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) bench::die("pipe2");
    return {Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}

class One final : public Layer {
  public:
    Clock::time_point run(const std::string& child) override {
        exec::SpawnSpec spec;
        spec.path = child;
        spec.stdio = {0, 1, 2};
        auto process = exec::spawn(spec);
        if (!process) give_up(process.error());
        const auto started_at = Clock::now();
        if (auto ended = process->wait(); !ended) give_up(ended.error());
        return started_at;
    }
    // The errors are read when the output has ended: these children write less than a pipe holds.
    Captured capture(const std::string& child, std::vector<std::string> arguments) override {
        Pipe in = make_pipe();
        Pipe out = make_pipe();
        Pipe err = make_pipe();
        exec::SpawnSpec spec;
        spec.path = child;
        spec.argv = std::move(arguments);
        spec.argv.insert(spec.argv.begin(), child);
        spec.stdio = {in.read.get(), out.write.get(), err.write.get()};
        auto process = exec::spawn(spec);
        if (!process) give_up(process.error());
        for (Fd* end : {&in.read, &in.write, &out.write, &err.write})
            end->reset();
        Captured captured;
        exec::Bytes errors;
        drain(out.read, captured.bytes);
        drain(err.read, errors);
        const auto ended = process->wait();
        if (!ended) give_up(ended.error());
        captured.success = ended->success();
        return captured;
    }

  private:
    static void drain(const Fd& from, exec::Bytes& into) {
        constexpr std::size_t piece = 65536;
        for (;;) {
            const ssize_t count = ::read(from.get(), into.room(piece).data(), piece);
            if (count <= 0) return;
            into.grow(static_cast<std::size_t>(count));
        }
    }
};

void print_samples(const char* tag, const std::vector<Clock::duration>& samples) {
    std::printf("%s", tag);
    for (const Clock::duration sample : samples)
        std::printf(" %lld", static_cast<long long>(std::chrono::nanoseconds(sample).count()));
    std::printf("\n");
}

void latency(const Arguments& arguments, Layer& layer, const std::string& child) {
    std::vector<Clock::duration> whole;
    std::vector<Clock::duration> start_alone;
    const long count = arguments.number("n", 200);
    for (long i = -arguments.number("warm", 20); i < count; ++i) {
        const auto begin = Clock::now();
        const auto started = layer.run(child);
        const auto end = Clock::now();
        if (i < 0) continue;
        whole.push_back(end - begin);
        start_alone.push_back(started - begin);
    }
    print_samples("L", whole);
    print_samples("C", start_alone);
}

void captures(const Arguments& arguments, Layer& layer, const std::string& child) {
    std::vector<Clock::duration> whole;
    const std::string bytes = arguments.text("bytes", "1048576");
    for (long i = 0; i < arguments.number("n", 200); ++i) {
        const auto begin = Clock::now();
        const Captured captured = layer.capture(child, {bytes});
        whole.push_back(Clock::now() - begin);
        if (std::to_string(captured.bytes.size()) != bytes) std::exit(96);
    }
    print_samples("L", whole);
}

void threads(const Arguments& arguments, Layer& layer, const std::string& child, bool leak) {
    const long count = arguments.number("threads", 2);
    const long each = arguments.number("n", 200);
    std::atomic<long> bad = 0;
    const auto begin = Clock::now();
    {
        std::vector<std::jthread> all;
        for (long k = 0; k < count; ++k) {
            all.emplace_back([&] {
                for (long i = 0; i < each; ++i) {
                    if (!leak) {
                        layer.run(child);
                    } else if (!layer.capture(child, {}).success) {
                        ++bad;
                    }
                }
            });
        }
    }
    if (leak) {
        std::printf("K %ld %ld\n", bad.load(), count * each);
    } else {
        const auto wall = std::chrono::nanoseconds(Clock::now() - begin).count();
        std::printf("W %lld %ld\n", static_cast<long long>(wall), count * each);
    }
}

} // namespace

int main(int argc, char** argv) {
    const Arguments arguments{{argv + 1, argv + argc}};
    if (const long count = arguments.number("reserve", 0); count > 0) {
        exec::reserve_descriptors(static_cast<int>(count));
    }
    const auto heap = bench::touched_heap(static_cast<std::size_t>(arguments.number("heap", 0)));
    std::vector<Fd> open;
    for (long i = arguments.number("fds", 0); i > 0; --i) {
        open.push_back(Fd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
        if (!open.back()) bench::die("/dev/null");
    }

    One one;
    Two two;
    Layer& layer = arguments.number("layer", 2) == 1 ? static_cast<Layer&>(one) : two;
    const std::string child = arguments.text("child", "bench-exit-at-once");
    const std::string mode = arguments.text("mode", "lat");
    if (mode == "lat") {
        latency(arguments, layer, child);
    } else if (mode == "cap") {
        captures(arguments, layer, child);
    } else if (mode == "hyg") {
        const Captured captured = layer.capture(child, {});
        std::fwrite(captured.bytes.data(), 1, captured.bytes.size(), stdout);
    } else {
        threads(arguments, layer, child, mode == "leak");
    }
}
