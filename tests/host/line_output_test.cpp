// keepd's own log: whole lines, and no wait for whoever does not read them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/host/line_output.hpp"

using keepd::host::LineOutput;

namespace {

struct Directory {
    std::string path;
    Directory() {
        char name[] = "/tmp/keepd-lines-XXXXXX";
        path = mkdtemp(name);
    }
    ~Directory() { std::filesystem::remove_all(path); }
};

std::string line(int number) {
    return "line " + std::to_string(number) + " " + std::string(static_cast<std::size_t>(number % 200), 'x') + "\n";
}

std::string read_available(int fd) {
    std::string text;
    char piece[4096];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (ssize_t got = 0; (got = read(fd, piece, sizeof piece)) > 0;)
        text.append(piece, static_cast<std::size_t>(got));
    return text;
}

// Every line is one of ours, in order; `missing` is the sum of what is said to be missing. Returns how many there are.
int check_lines(const std::string& text, int& missing) {
    std::istringstream all(text);
    int next = 0, seen = 0;
    for (std::string one; std::getline(all, one);) {
        int count = 0;
        if (std::sscanf(one.c_str(), "(%d lines of this log are missing", &count) == 1) {
            missing += count;
            next += count;
            continue;
        }
        CHECK(one + "\n" == line(next++));
        ++seen;
    }
    CHECK(text.ends_with('\n'));
    return seen;
}

void fill_and_come_back(LineOutput output, int reader) {
    int number = 0;
    while (output.lost() < 100)
        output.write(line(number++));
    std::string text = read_available(reader);
    const int last = number + 10;
    while (number < last)
        output.write(line(number++)); // the first says how many are missing
    CHECK(output.lost() == 0);
    text += read_available(reader);
    int missing = 0;
    const int seen = check_lines(text, missing);
    CHECK(missing >= 100);
    CHECK(seen + missing == last);
}

} // namespace

TEST_CASE("a pipe that nobody reads holds nobody up, and what is missing is told when somebody does") {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    fill_and_come_back(LineOutput(ends[1]), ends[0]);
    CHECK((fcntl(ends[1], F_GETFL) & O_NONBLOCK) == 0); // others share it
    close(ends[0]);
    close(ends[1]);
}

TEST_CASE("the same with a socket, where a line may be taken in part") {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    fill_and_come_back(LineOutput(ends[1]), ends[0]);
    close(ends[0]);
    close(ends[1]);
}

TEST_CASE("a FIFO is opened without a reader, and one who comes later finds its lines") {
    const Directory directory;
    const std::string path = directory.path + "/fifo";
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    auto output = LineOutput::open(path);
    REQUIRE(output);
    output->write(line(0));
    const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(read_available(reader) == line(0));
    fill_and_come_back(std::move(*output), reader);
    close(reader);
}

TEST_CASE("files are made with their directories and appended to") {
    const Directory directory;
    const std::string path = directory.path + "/a/b/log";
    for (int number = 0; number < 3; ++number)
        LineOutput::open(path)->write(line(number));
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    CHECK(text.str() == line(0) + line(1) + line(2));
    const auto refused = LineOutput::open(directory.path);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find(directory.path) != std::string::npos);
}
