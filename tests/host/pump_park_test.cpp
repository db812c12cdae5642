#include <algorithm>
#include <csignal>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "daemon/logs/manifest.hpp"
#include "tests/host/pump_support.hpp"

using namespace pump_test;
using keepd::logs::Pump;
using keepd::logs::StreamState;
using keepd::logs::Target;

TEST_CASE("park: hundreds of times under load, every line once and in order over the rotated files") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    constexpr int alone = 3;  // streams with a writer of their own, which cuts lines anywhere
    constexpr int shared = 3; // writers of one stream, whole lines each
    std::mt19937 random(17);
    std::vector<std::string> texts;
    std::vector<std::thread> writers;
    std::atomic<int> writing{alone + shared};
    for (int i = 0; i < alone + shared; ++i)
        texts.push_back(numbered_lines("w" + std::to_string(i), 30000, random));
    for (int i = 0; i < alone; ++i) {
        const std::string name = "w" + std::to_string(i);
        const int fd = *pump->open(name, {dir / name, i == 0 ? 1300000u : 60000u, 10000});
        writers.emplace_back([fd, i, &texts, &writing] {
            std::mt19937 sizes(static_cast<unsigned>(i));
            write_to(fd, texts[static_cast<std::size_t>(i)], &sizes);
            --writing;
        });
    }
    const int common = *pump->open("common", {dir / "common", 60000, 10000});
    for (int i = alone; i < alone + shared; ++i) {
        writers.emplace_back([common, i, &texts, &writing] {
            std::istringstream lines(texts[static_cast<std::size_t>(i)]);
            for (std::string line; std::getline(lines, line);)
                write_to(common, line + "\n");
            --writing;
        });
    }

    int parks = 0;
    while (writing > 0 || parks < 300) {
        auto states = pump->park(patience);
        REQUIRE(states);
        REQUIRE(states->size() == alone + 1);
        CHECK(pump->write_end("common") == -1);
        pump = std::move(*Pump::resume(std::move(*states)));
        REQUIRE(pump->write_end("common") == common);
        ++parks;
        if (parks % 7 == 0) (void)pump->drain(std::chrono::microseconds(parks)); // lets it run for a while
    }
    for (auto& writer : writers)
        writer.join();
    REQUIRE(pump->drain(patience));
    MESSAGE("parks: " << parks);

    for (int i = 0; i < alone; ++i)
        CHECK((joined(dir / ("w" + std::to_string(i))) == texts[static_cast<std::size_t>(i)]));
    std::map<std::string, std::string> by_writer;
    std::istringstream lines(joined(dir / "common"));
    for (std::string line; std::getline(lines, line);)
        by_writer[line.substr(0, 2)] += line + "\n";
    CHECK(by_writer.size() == shared);
    for (int i = alone; i < alone + shared; ++i)
        CHECK((by_writer["w" + std::to_string(i)] == texts[static_cast<std::size_t>(i)]));
    std::size_t common_bytes = 0;
    for (int i = alone; i < alone + shared; ++i)
        common_bytes += texts[static_cast<std::size_t>(i)].size();
    CHECK(pump->status().at("common").bytes == common_bytes); // the counters travelled
}

TEST_CASE("park: the state says all, and streams that are being drained come along") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const Target target{dir / "log", 1000, 3};
    const int fd = *pump->open("web/stdout", target);
    const keep::sys::Fd held = std::move(*keep::sys::duplicate(*pump->open("old", {dir / "old", 0, 1})));
    write_to(fd, "abc\nde");
    write_to(held.get(), "first ");
    REQUIRE(pump->drain(patience));
    pump->close("old");
    CHECK(pump->write_end("old") == -1);

    auto states = std::move(*pump->park(patience));
    REQUIRE(states.size() == 2);
    const StreamState& web = states[0];
    CHECK(web.id == "web/stdout");
    CHECK(web.target == target);
    CHECK(web.pipe_write == fd);
    CHECK(web.pipe_read >= 0);
    CHECK(web.file >= 0);
    CHECK(web.offset == 6);
    CHECK_FALSE(web.at_line_start);
    CHECK(web.line_length == 2);
    CHECK(web.bytes == 6);
    CHECK(states[1].id == "old");
    CHECK(states[1].pipe_write == -1);
    for (const StreamState& state : states) {
        CHECK((::fcntl(state.pipe_read, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((::fcntl(state.pipe_read, F_GETFL) & O_NONBLOCK) != 0);
    }
    CHECK((::fcntl(web.pipe_write, F_GETFL) & O_NONBLOCK) == 0);

    write_to(held.get(), "last"); // while nobody pumps
    write_to(fd, "f\n");
    pump = std::move(*Pump::resume(std::move(states)));
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log") == "abc\ndef\n");
    CHECK(content(dir / "old") == "first last");
    CHECK(pump->status().at("web/stdout").bytes == 8);
}

TEST_CASE("park: anywhere in a line, at a rotation, in a line that is cut: the files are those of a pump that was left "
          "alone") {
    // Lines of all lengths up to twice the cut, in pieces that end anywhere; files that are full every few pieces.
    std::string text;
    std::vector<std::size_t> ends;
    std::mt19937 random(11);
    for (const std::size_t length : {10, 70000, 99980, 20, 0, 1 << 20, 1, (1 << 20) + 1, 3, 2200000, 50, 100000, 5})
        text += std::string(length, static_cast<char>('a' + text.size() % 26)) + '\n';
    text += "and a piece of a line";
    for (std::size_t at = 0; at < text.size();)
        ends.push_back(at = std::min(text.size(), at + 1 + random() % 60000));
    for (const bool at_rest :
         {true, false}) { // else what was not read yet stays in the pipe, and files may end elsewhere
        TempDir dir;
        auto alone = std::move(*Pump::start()), parked = std::move(*Pump::start());
        const int first = *alone->open("s", {dir / "alone", 100000, 1000});
        const int second = *parked->open("s", {dir / "parked", 100000, 1000});
        std::size_t from = 0;
        for (const std::size_t to : ends) {
            const std::string piece = text.substr(from, to - from);
            from = to;
            write_to(first, piece);
            REQUIRE(alone->drain(patience));
            write_to(second, piece);
            if (at_rest) REQUIRE(parked->drain(patience));
            parked = std::move(*Pump::resume(std::move(*parked->park(patience))));
        }
        REQUIRE(parked->drain(patience));
        CHECK((joined(dir / "parked") == text));
        if (!at_rest) continue;
        const auto expected = rotated(dir / "alone"), got = rotated(dir / "parked");
        REQUIRE(got.size() == expected.size());
        for (std::size_t i = 0; i < got.size(); ++i)
            CHECK((content(got[i]) == content(expected[i])));
    }
}

TEST_CASE("park: orders given just before are carried out, or carried along") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    for (int round = 0; round < 100; ++round) {
        const std::string name = "s" + std::to_string(round);
        const int fd = *pump->open(name, {dir / "first", 0, 1});
        write_to(fd, "x\n");
        pump->open(name, {dir / name, 0, 1});
        if (round > 0) pump->close("s" + std::to_string(round - 1));
        auto states = pump->park(patience);
        REQUIRE(states);
        CHECK(std::ranges::count(*states, name, &StreamState::id) == 1);
        CHECK(states->back().target.path == dir / name);
        pump = std::move(*Pump::resume(std::move(*states)));
    }
    write_to(pump->write_end("s99"), "y\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "s99").ends_with("y\n"));
    std::size_t lines = content(dir / "first").size() / 2;
    for (int round = 0; round < 100; ++round)
        lines += content(dir / ("s" + std::to_string(round))).size() / 2;
    CHECK(lines == 101);
}

TEST_CASE("park: a reopening that was not done yet is done by the next image") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {dir / "log", 0, 1});
    write_to(fd, "one\n");
    REQUIRE(pump->drain(patience));
    REQUIRE(::rename((dir / "log").c_str(), (dir / "taken").c_str()) == 0);
    pump->reopen();
    auto states = std::move(*pump->park(patience));
    write_to(fd, "two\n");
    pump = std::move(*Pump::resume(std::move(states)));
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "taken") == "one\n");
    CHECK(content(dir / "log") == "two\n");
}

TEST_CASE("park: no descriptor is left behind, neither by a pump nor by a parked one") {
    TempDir dir;
    const std::size_t before = open_descriptors();
    {
        auto pump = std::move(*Pump::start());
        std::vector<keep::sys::Fd> held;
        for (int i = 0; i < 20; ++i) {
            const std::string name = "s" + std::to_string(i);
            const int fd = *pump->open(name, {i % 5 == 0 ? std::string{} : dir / name, 10, 2});
            write_to(fd, "a line\nanother line\n");
            if (i % 3 == 0) held.push_back(std::move(*keep::sys::duplicate(fd)));
            if (i % 2 == 0) pump->close(name);
            if (i % 4 == 0) pump->reopen();
        }
        for (int i = 0; i < 20; ++i)
            pump = std::move(*Pump::resume(std::move(*pump->park(patience))));
        held.clear();
        REQUIRE(await(*pump, "s18", [&](const auto&) { return pump->status().size() == 10; })); // closed ones are gone
        REQUIRE(pump->drain(patience));
        // Ten pipes, eight files; three eventfds, the epoll set, /dev/null and the pipe for looking.
        CHECK(open_descriptors() == before + 20 + 8 + 7);
    }
    CHECK(open_descriptors() == before);
}

namespace {

// A process of its own that runs `body` and ends.
template <class Body>
pid_t in_child(Body body) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        body();
        ::_exit(0);
    }
    return pid;
}

} // namespace

TEST_CASE("kill: a pump that dies of SIGKILL at any moment has lost no byte and repeats none") {
    TempDir dir;
    std::mt19937 random(23);
    const std::string text = numbered_lines("w", 60000, random);
    auto programs = std::move(*keep::sys::pipe());
    REQUIRE(keep::sys::set_nonblocking(programs.read.get(), true));
    const auto state = [&] {
        StreamState carried;
        carried.id = "w";
        carried.target = {dir / "log", 300000, 1000};
        carried.pipe_read = programs.read.get();
        carried.pipe_write = programs.write.get();
        return carried;
    };
    const pid_t writer = in_child([&] { write_to(programs.write.get(), text, &random); });
    int kills = 0;
    int status = 0;
    while (::waitpid(writer, &status, WNOHANG) == 0) {
        auto ready = std::move(*keep::sys::pipe());
        const pid_t pumping = in_child([&] {
            auto pump = Pump::resume({state()});
            write_to(ready.write.get(), "r");
            ::pause();
        });
        CHECK(read_exactly(ready.read.get(), 1) == "r");
        // Some moment; nothing is waited for.
        const timespec moment{0, std::uniform_int_distribution<long>(0, 3000000)(random)};
        ::ppoll(nullptr, 0, &moment, nullptr);
        ::kill(pumping, SIGKILL);
        ::waitpid(pumping, nullptr, 0);
        ++kills;
    }
    CHECK(status == 0);
    auto pump = std::move(*Pump::resume({state()}));
    (void)programs.read.release();
    (void)programs.write.release();
    REQUIRE(pump->drain(patience));
    MESSAGE("kills: " << kills);
    CHECK(kills > 3);
    CHECK((joined(dir / "log") == text));
    CHECK(rotated(dir / "log").size() > 20);
}

namespace {
struct Names {
    std::vector<std::string> seen;
    template <class T>
    void operator()(const char* name, T&) {
        seen.emplace_back(name);
    }
};
} // namespace

TEST_CASE("manifest: names each member once") {
    StreamState state;
    Names names;
    fields(state, names);
    fields(state.target, names);
    CHECK(names.seen.size() == 13);
    std::ranges::sort(names.seen);
    CHECK(std::ranges::adjacent_find(names.seen) == names.seen.end());
}
