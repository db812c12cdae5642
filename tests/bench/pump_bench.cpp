// 1 GiB of numbered lines through the log pump into rotated files, beside `child | cat > file` in the same run.
//
//   pump_bench [--bytes N] [--rounds N] [--dir DIR] [--max-size N] [--json FILE]
//
// The clock runs from the start of the child until all its bytes are in files. Every byte of the pump's files is
// checked after each round: each line once, in order, no line over two files.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "daemon/logs/pump.hpp"
#include "tests/bench/logcheck.hpp"

namespace {

constexpr std::size_t line_size = 100;

struct Options {
    std::uint64_t bytes = std::uint64_t{1} << 30;
    int rounds = 5;
    std::string dir = "/dev/shm";
    std::uint64_t max_size = 50 * 1000 * 1000; // keepd's default
    std::string json;
};

[[noreturn]] void die(std::string_view what) {
    std::fprintf(stderr, "pump_bench: %.*s: %s\n", static_cast<int>(what.size()), what.data(), std::strerror(errno));
    std::exit(1);
}

// The program that logs: whole blocks of lines, written in pieces of `piece` bytes.
int write_lines(std::uint64_t lines, std::size_t piece) {
    constexpr std::size_t block_lines = 2048;
    std::string block(block_lines * line_size, 'x');
    std::uint64_t number = 0;
    while (number < lines) {
        const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(block_lines, lines - number));
        for (std::size_t i = 0; i < count; ++i) {
            char* line = block.data() + i * line_size;
            std::uint64_t rest = number++;
            std::memcpy(line, "SEQ=", 4);
            for (int digit = 15; digit >= 4; --digit, rest /= 10)
                line[digit] = static_cast<char>('0' + rest % 10);
            line[16] = ' ';
            line[line_size - 1] = '\n';
        }
        const std::size_t size = count * line_size;
        for (std::size_t done = 0; done < size;) {
            const ssize_t written = ::write(1, block.data() + done, std::min(piece, size - done));
            if (written > 0)
                done += static_cast<std::size_t>(written);
            else if (errno != EINTR)
                die("write");
        }
    }
    return 0;
}

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds(int who) {
    rusage usage{};
    ::getrusage(who, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// Starts argv with these for standard input and output, and nothing else.
pid_t run(std::vector<std::string> argv, int in, int out) {
    std::vector<char*> words;
    for (std::string& word : argv)
        words.push_back(word.data());
    words.push_back(nullptr);
    const pid_t pid = ::vfork();
    if (pid < 0) die("vfork");
    if (pid == 0) {
        if (in >= 0) ::dup2(in, 0);
        ::dup2(out, 1);
        ::execvp(words[0], words.data());
        ::_exit(127);
    }
    return pid;
}

void wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) {
        errno = 0;
        die("a child failed");
    }
}

std::vector<std::string> writer(std::uint64_t lines, std::size_t piece) {
    return {"/proc/self/exe", "--write", std::to_string(lines), std::to_string(piece)};
}

struct Round {
    double seconds = 0;
    double cpu = 0; // of what moves the bytes
    std::string problem;
};

Round run_cat(const std::string& path, std::uint64_t lines, std::size_t piece) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) die("pipe");
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) die(path);
    Round round;
    const double begin = seconds_now();
    const pid_t child = run(writer(lines, piece), -1, ends[1]);
    const pid_t cat = run({"cat"}, ends[0], file);
    ::close(ends[0]);
    ::close(ends[1]);
    wait_for(child);
    const double before = cpu_seconds(RUSAGE_CHILDREN);
    wait_for(cat);
    round.seconds = seconds_now() - begin;
    round.cpu = cpu_seconds(RUSAGE_CHILDREN) - before;
    ::close(file);
    if (!bench::check_logs({path}).complete(lines)) round.problem = "cat's file is not whole";
    ::unlink(path.c_str());
    return round;
}

Round run_pump(const std::string& path, std::uint64_t lines, std::size_t piece, std::uint64_t max_size) {
    auto pump = keepd::logs::Pump::start();
    if (!pump) die(pump.error().message);
    const auto end = (*pump)->open("bench", {path, max_size, 100000});
    if (!end || !(*pump)->drain(std::chrono::seconds(10))) die("open");
    Round round;
    const double cpu = cpu_seconds(RUSAGE_SELF);
    const double begin = seconds_now();
    wait_for(run(writer(lines, piece), -1, *end));
    if (!(*pump)->drain(std::chrono::seconds(60))) round.problem = "the pump did not drain";
    round.seconds = seconds_now() - begin;
    round.cpu = cpu_seconds(RUSAGE_SELF) - cpu;

    std::vector<std::string> files;
    for (int number = 1; ::access((path + "." + std::to_string(number)).c_str(), F_OK) == 0; ++number)
        files.insert(files.begin(), path + "." + std::to_string(number));
    files.push_back(path);
    const bench::LogCheck check = bench::check_logs(files);
    if (!check.complete(lines))
        round.problem = "lines " + std::to_string(check.lines) + " wrong " + std::to_string(check.wrong) + " cut " +
                        std::to_string(check.files_cut);
    for (const std::string& file : files) {
        struct stat status{};
        if (::stat(file.c_str(), &status) != 0 ||
            (max_size > 0 && static_cast<std::uint64_t>(status.st_size) > max_size))
            round.problem = file + " is bigger than max_size";
        ::unlink(file.c_str());
    }
    return round;
}

template <class Get>
double median(const std::vector<Round>& rounds, Get get) {
    std::vector<double> values;
    for (const Round& round : rounds)
        values.push_back(get(round));
    std::ranges::sort(values);
    return values[values.size() / 2];
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 4 && std::string_view(argv[1]) == "--write")
        return write_lines(std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10));
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        if (name == "--bytes")
            options.bytes = std::strtoull(argv[i + 1], nullptr, 10);
        else if (name == "--rounds")
            options.rounds = std::max(1, std::atoi(argv[i + 1]));
        else if (name == "--dir")
            options.dir = argv[i + 1];
        else if (name == "--max-size")
            options.max_size = std::strtoull(argv[i + 1], nullptr, 10);
        else if (name == "--json")
            options.json = argv[i + 1];
    }
    const std::uint64_t lines = options.bytes / line_size;
    const std::string path = options.dir + "/pump_bench." + std::to_string(::getpid());
    const double megabytes = static_cast<double>(lines * line_size) / 1e6;

    std::string json = "{\"bytes\": " + std::to_string(lines * line_size) +
                       ", \"max_size\": " + std::to_string(options.max_size) +
                       ", \"rounds\": " + std::to_string(options.rounds);
    std::printf("%-12s %14s %14s %8s %12s %12s\n", "write size", "cat MB/s", "pump MB/s", "ratio", "cat CPU s",
                "pump CPU s");
    bool good = true;
    for (const std::size_t piece : {std::size_t{4096}, std::size_t{100}}) {
        std::vector<Round> cat;
        std::vector<Round> pump;
        for (int round = 0; round < options.rounds; ++round) {
            cat.push_back(run_cat(path, lines, piece));
            pump.push_back(run_pump(path, lines, piece, options.max_size));
            for (const Round* one : {&cat.back(), &pump.back()}) {
                if (one->problem.empty()) continue;
                good = false;
                std::fprintf(stderr, "pump_bench: %s\n", one->problem.c_str());
            }
        }
        const auto speed = [&](const Round& round) { return megabytes / round.seconds; };
        const auto cpu = [](const Round& round) { return round.cpu; };
        const double cat_speed = median(cat, speed);
        const double pump_speed = median(pump, speed);
        char row[300];
        std::snprintf(row, sizeof row, "%-12zu %14.0f %14.0f %8.2f %12.2f %12.2f\n", piece, cat_speed, pump_speed,
                      pump_speed / cat_speed, median(cat, cpu), median(pump, cpu));
        std::fputs(row, stdout);
        std::fflush(stdout);
        std::snprintf(
            row, sizeof row,
            ", \"write_%zu\": {\"cat_mb_s\": %.1f, \"pump_mb_s\": %.1f, \"ratio\": %.3f, \"cat_cpu_s\": %.3f, "
            "\"pump_cpu_s\": %.3f}",
            piece, cat_speed, pump_speed, pump_speed / cat_speed, median(cat, cpu), median(pump, cpu));
        json += row;
    }
    json += std::string(", \"whole\": ") + (good ? "true" : "false") + "}\n";
    if (options.json.empty())
        std::fputs(json.c_str(), stdout);
    else
        std::ofstream(options.json) << json;
    return good ? 0 : 1;
}
