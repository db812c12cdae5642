#include <cstdint>
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "daemon/logs/line_cut.hpp"
#include "tests/host/pump_support.hpp"

using namespace pump_test;
using keepd::logs::Pump;
using keepd::logs::Target;

namespace {

// Each file but the last ends in a newline and is no bigger than allowed.
void check_files(const std::string& path, std::uint64_t max_size, std::size_t longest) {
    const auto files = rotated(path);
    for (const std::string& file : files) {
        const std::string bytes = content(file);
        CAPTURE(file);
        CHECK_FALSE(bytes.empty());
        if (file == path) continue;
        CHECK(bytes.back() == '\n');
        CHECK(bytes.size() <= max_size + longest);
        // No bigger than max_size but for its last line.
        const std::size_t last_line = bytes.rfind('\n', bytes.size() - 2);
        CHECK((bytes.size() <= max_size || last_line == bytes.npos || last_line + 1 <= max_size));
    }
}

} // namespace

TEST_CASE("rotation: the files together hold every byte in order, and end at line ends") {
    for (const auto& [max_size, lines] : {std::pair{1u, 150}, {100u, 200}, {4096u, 3000}, {70000u, 5000}}) {
        CAPTURE(max_size);
        TempDir dir;
        auto pump = std::move(*Pump::start());
        std::mt19937 random(7);
        const std::string text = numbered_lines("w", lines, random);
        const int fd = *pump->open("w/stdout", {dir / "log", max_size, 100000});
        write_to(fd, text, &random);
        REQUIRE(pump->drain(patience));
        CHECK((joined(dir / "log") == text));
        CHECK(rotated(dir / "log").size() > 3);
        check_files(dir / "log", max_size, 320);
        CHECK(pump->status().at("w/stdout").bytes == text.size());
    }
}

TEST_CASE("rotation: far from the limit bytes are moved unseen, and the files are still whole") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    std::mt19937 random(11);
    const std::string text = numbered_lines("w", 100000, random);
    const std::uint64_t max_size = keepd::logs::longest_line * 3;
    const int fd = *pump->open("w/stdout", {dir / "log", max_size, 100});
    write_to(fd, text, &random);
    REQUIRE(pump->drain(patience));
    CHECK((joined(dir / "log") == text));
    CHECK(rotated(dir / "log").size() >= 5);
    check_files(dir / "log", max_size, 320);
    for (const std::string& file : rotated(dir / "log"))
        if (file != dir / "log") CHECK(content(file).size() + 1000 > max_size);
}

TEST_CASE("rotation: at exact sizes") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const auto run = [&](const char* name, std::vector<std::string> writes) {
        const int fd = *pump->open(name, {dir / name, 10, 9});
        for (const std::string& bytes : writes) {
            write_to(fd, bytes);
            REQUIRE(pump->drain(patience));
        }
        std::vector<std::string> files;
        for (const std::string& file : rotated(dir / name))
            files.push_back(content(file));
        return files;
    };
    using Files = std::vector<std::string>;
    CHECK(run("full", {"123456789\n"}) == Files{"123456789\n"}); // not rotated before the next byte comes
    CHECK(run("full+1", {"123456789\n", "a"}) == Files{"123456789\n", "a"});
    CHECK(run("one-less", {"12345678\n", "a\n"}) == Files{"12345678\n", "a\n"});
    CHECK(run("newline-fits", {"12345678", "\n\n\n"}) == Files{"12345678\n\n", "\n"});
    CHECK(run("newline-11th", {"1234567890", "\n"}) == Files{"1234567890\n"});
    CHECK(run("newline-11th-more", {"1234567890\nb"}) == Files{"1234567890\n", "b"});
    CHECK(run("long-line", {"1\n", "this line is longer than a file\nx\n"}) ==
          Files{"1\n", "this line is longer than a file\n", "x\n"});
    CHECK(run("began-before", {"1\n2345", "67890 goes on", " and ends\nx\n"}) ==
          Files{"1\n234567890 goes on and ends\n", "x\n"});
    CHECK(run("at-once", {"1\n2\n3\n4\n5\n6\n7\n8\n"}) == Files{"1\n2\n3\n4\n5\n", "6\n7\n8\n"});
}

TEST_CASE("rotation: keeps max_files, the live one included, and removes what is beyond") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    put(dir / "log.3", "left over from max_files 5\n");
    put(dir / "log.4", "left over from max_files 5\n");
    const int fd = *pump->open("w", {dir / "log", 4, 3});
    for (const char* line : {"aaa\n", "bbb\n", "ccc\n", "ddd\n", "eee\n"}) {
        write_to(fd, line);
        REQUIRE(pump->drain(patience));
    }
    CHECK(content(dir / "log") == "eee\n");
    CHECK(content(dir / "log.1") == "ddd\n");
    CHECK(content(dir / "log.2") == "ccc\n");
    CHECK_FALSE(exists(dir / "log.3"));
    CHECK_FALSE(exists(dir / "log.4"));
}

TEST_CASE("rotation: with one file, the old bytes go") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {dir / "log", 4, 1});
    for (const char* line : {"aaa\n", "bbb\n"}) {
        write_to(fd, line);
        REQUIRE(pump->drain(patience));
    }
    CHECK(content(dir / "log") == "bbb\n");
    CHECK_FALSE(exists(dir / "log.1"));
}

TEST_CASE("rotation: a gap in the numbers is filled, nothing is pushed out for it") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    put(dir / "log.1", "one\n");
    put(dir / "log.3", "three\n");
    const int fd = *pump->open("w", {dir / "log", 4, 5});
    write_to(fd, "aaa\n");
    REQUIRE(pump->drain(patience));
    write_to(fd, "bbb\n");
    REQUIRE(pump->drain(patience));
    CHECK(joined(dir / "log") == "three\none\naaa\nbbb\n");
}

TEST_CASE("rotation: an existing file is continued; one that ends within a line is finished first") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    put(dir / "whole", "old\n");
    put(dir / "partial", "old, unfin");
    int fd = *pump->open("whole", {dir / "whole", 10, 5});
    write_to(fd, "a longer line\n");
    fd = *pump->open("partial", {dir / "partial", 10, 5});
    write_to(fd, "ished\nnext\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "whole.1") == "old\n");
    CHECK(content(dir / "whole") == "a longer line\n");
    CHECK(content(dir / "partial.1") == "old, unfinished\n");
    CHECK(content(dir / "partial") == "next\n");
}

TEST_CASE("rotation: a line of 3 MiB is cut at each MiB") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const std::string text = "before\n" + std::string(3 << 20, 'x') + "y\nafter\n";
    const int fd = *pump->open("w", {dir / "log", 4096, 100});
    write_to(fd, text);
    REQUIRE(pump->drain(patience));
    CHECK((joined(dir / "log") == text));
    std::vector<std::size_t> sizes;
    for (const std::string& file : rotated(dir / "log"))
        sizes.push_back(content(file).size());
    // The new line does not fit behind "before\n", so it begins a file.
    const std::size_t mib = std::size_t{1} << 20;
    CHECK(sizes == std::vector<std::size_t>{7, mib, mib, mib, 2 + 6});
}

TEST_CASE("rotation: bytes without any newline are cut at the limit, or each MiB where that is smaller") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const std::string text(5 << 20, 'x');
    for (const auto& [name, max_size, expected] : {std::tuple{"small", std::size_t{1000}, std::size_t{1} << 20},
                                                   {"big", std::size_t{2} << 20, std::size_t{2} << 20}}) {
        CAPTURE(name);
        const int fd = *pump->open(name, {dir / name, max_size, 100});
        write_to(fd, text);
        REQUIRE(pump->drain(patience));
        CHECK((joined(dir / name) == text));
        for (const std::string& file : rotated(dir / name))
            if (file != dir / name) CHECK(content(file).size() == expected);
    }
}

TEST_CASE("rotation: a file renamed by somebody stays where it was put, and the path is begun anew") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {dir / "log", 8, 5});
    write_to(fd, "one\n");
    REQUIRE(pump->drain(patience));
    REQUIRE(::rename((dir / "log").c_str(), (dir / "taken").c_str()) == 0);
    write_to(fd, "two\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "taken") == "one\ntwo\n"); // goes on in the open file
    CHECK_FALSE(exists(dir / "log"));
    write_to(fd, "three\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "taken") == "one\ntwo\n");
    CHECK(content(dir / "log") == "three\n");
    CHECK_FALSE(exists(dir / "log.1"));
}

TEST_CASE("rotation: one that fails leaves the file growing, says so, and is tried again") {
    TempDir dir;
    BadDisk disk;
    disk.fail_renames(EACCES);
    auto pump = std::move(*Pump::start(&disk));
    std::mt19937 random(3);
    const std::string text = numbered_lines("w", 3000, random);
    const int fd = *pump->open("w", {dir / "log", 10000, 200});
    write_to(fd, text);
    REQUIRE(pump->drain(patience));
    CHECK((content(dir / "log") == text));
    CHECK_FALSE(exists(dir / "log.1"));
    CHECK(pump->status().at("w").problem ==
          "rotate: rename '" + dir / "log" + "': Permission denied; the file grows beyond its max_size");
    disk.fail_renames(0);
    const std::string more = numbered_lines("w", 3000, random);
    write_to(fd, more);
    REQUIRE(pump->drain(patience));
    CHECK((joined(dir / "log") == text + more));
    CHECK(exists(dir / "log.2"));
    CHECK(pump->status().at("w").problem == "");
}

TEST_CASE("rotation: a directory in the way of a number is a problem, not a loss") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    REQUIRE(::mkdir((dir / "log.1").c_str(), 0700) == 0);
    put(dir / "log.1/something", "x");
    const int fd = *pump->open("w", {dir / "log", 4, 2});
    write_to(fd, "aaa\nbbb\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log") == "aaa\nbbb\n");
    CHECK(has_problem(pump->status().at("w")));
}

TEST_CASE("rotation: many streams at once, each whole and in its order") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    constexpr int streams = 6;
    std::vector<std::string> texts;
    std::mt19937 random(5);
    for (int i = 0; i < streams; ++i)
        texts.push_back(numbered_lines("s" + std::to_string(i), 20000, random));
    std::vector<std::thread> writers;
    for (int i = 0; i < streams; ++i) {
        const std::string name = "s" + std::to_string(i);
        const int fd = *pump->open(name, {dir / name, 50000u + 7777u * static_cast<unsigned>(i), 10000});
        writers.emplace_back([fd, i, &texts] {
            std::mt19937 sizes(static_cast<unsigned>(i));
            write_to(fd, texts[static_cast<std::size_t>(i)], &sizes);
        });
    }
    for (auto& writer : writers)
        writer.join();
    REQUIRE(pump->drain(patience));
    for (int i = 0; i < streams; ++i) {
        const std::string name = "s" + std::to_string(i);
        CHECK((joined(dir / name) == texts[static_cast<std::size_t>(i)]));
        check_files(dir / name, 50000u + 7777u * static_cast<unsigned>(i), 320);
    }
}
