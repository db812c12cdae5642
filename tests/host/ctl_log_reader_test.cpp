#include <cstdint>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <stdlib.h>

#include "daemon/ctl/log_reader.hpp"

using keepd::ctl::LogReader;

namespace {

struct Logs {
    Logs() {
        std::string pattern = (std::filesystem::temp_directory_path() / "keepctl-logs-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        directory = pattern;
        path = directory + "/web.log";
    }
    ~Logs() { std::filesystem::remove_all(directory); }
    void write(const std::string& text, const std::string& suffix = {}) {
        std::ofstream(path + suffix, std::ios::app) << text;
    }
    // As the log pump does it.
    void rotate(int keep) {
        for (int i = keep - 1; i >= 1; --i) {
            const std::string from = i == 1 ? path : path + "." + std::to_string(i - 1);
            if (std::filesystem::exists(from)) std::filesystem::rename(from, path + "." + std::to_string(i));
        }
    }
    std::string directory;
    std::string path;
};

std::string tail(LogReader& reader, std::optional<std::size_t> lines) {
    std::string text;
    const auto read = reader.tail(lines, [&](std::string_view bytes) { text += bytes; });
    REQUIRE_MESSAGE(read, read.error().message);
    return text;
}

std::string more(LogReader& reader) {
    std::string text;
    const auto read = reader.more([&](std::string_view bytes) { text += bytes; });
    REQUIRE_MESSAGE(read, read.error().message);
    return text;
}

std::string last(Logs& logs, std::optional<std::size_t> lines, std::uint32_t max_files = 5) {
    LogReader reader(logs.path, max_files);
    return tail(reader, lines);
}

} // namespace

TEST_CASE("the last lines of a file, finished or not") {
    Logs logs;
    logs.write("one\ntwo\nthree\n");
    CHECK(last(logs, 2) == "two\nthree\n");
    CHECK(last(logs, 3) == "one\ntwo\nthree\n");
    CHECK(last(logs, 99) == "one\ntwo\nthree\n");
    CHECK(last(logs, 0) == "");
    CHECK(last(logs, std::nullopt) == "one\ntwo\nthree\n");
    logs.write("fo");
    CHECK(last(logs, 2) == "three\nfo");
}

TEST_CASE("the last lines reach into rotated predecessors, newest first") {
    Logs logs;
    logs.write("five\n");
    logs.write("three\nfour\n", ".1");
    logs.write("one\ntwo\n", ".2");
    CHECK(last(logs, 1) == "five\n");
    CHECK(last(logs, 2) == "four\nfive\n");
    CHECK(last(logs, 3) == "three\nfour\nfive\n");
    CHECK(last(logs, 4) == "two\nthree\nfour\nfive\n");
    CHECK(last(logs, std::nullopt) == "one\ntwo\nthree\nfour\nfive\n");
    CHECK(last(logs, 4, 2) == "three\nfour\nfive\n"); // older files are another setting's
}

TEST_CASE("an empty live file, right after a rotation, has the predecessor's lines") {
    Logs logs;
    logs.write("");
    logs.write("one\ntwo\n", ".1");
    CHECK(last(logs, 1) == "two\n");
}

TEST_CASE("long lines and files beyond one block are counted right") {
    Logs logs;
    std::string all;
    for (int i = 0; i < 5000; ++i)
        all += std::to_string(i) + std::string(60, 'x') + "\n";
    const std::string long_line = std::string(200'000, 'y') + "\n";
    logs.write(all + long_line);
    CHECK(last(logs, 1) == long_line);
    CHECK(last(logs, 2) == "4999" + std::string(60, 'x') + "\n" + long_line);
    CHECK(last(logs, 5001) == all + long_line);
    CHECK(last(logs, 5000) == all.substr(all.find('\n') + 1) + long_line);
}

TEST_CASE("a missing file has no lines, and is followed when it comes") {
    Logs logs;
    LogReader reader(logs.path, 5);
    CHECK(tail(reader, 10) == "");
    CHECK(more(reader) == "");
    logs.write("one\n");
    CHECK(more(reader) == "one\n");
}

TEST_CASE("a directory in place of a file is an error") {
    Logs logs;
    std::filesystem::create_directory(logs.path);
    LogReader reader(logs.path, 5);
    CHECK_FALSE(reader.tail(1, [](std::string_view) {}));
}

TEST_CASE("what is written later is read once, over rotations") {
    Logs logs;
    logs.write("one\n");
    LogReader reader(logs.path, 4);
    CHECK(tail(reader, 10) == "one\n");
    CHECK(more(reader) == "");
    logs.write("two\n");
    CHECK(more(reader) == "two\n");
    SUBCASE("one rotation") {
        logs.write("three\n");
        logs.rotate(4);
        logs.write("four\n");
        CHECK(more(reader) == "three\nfour\n");
    }
    SUBCASE("several rotations at once") {
        logs.write("three\n");
        logs.rotate(4);
        logs.write("four\n");
        logs.rotate(4);
        logs.write("five\n");
        CHECK(more(reader) == "three\nfour\nfive\n");
    }
    SUBCASE("between the renaming and the new file") {
        logs.write("three\n");
        logs.rotate(4);
        CHECK(more(reader) == "three\n");
        CHECK(more(reader) == "");
        logs.write("four\n");
        CHECK(more(reader) == "four\n");
    }
    SUBCASE("so many that the file is gone") {
        for (int i = 3; i < 9; ++i) {
            logs.rotate(4);
            logs.write("line " + std::to_string(i) + "\n");
        }
        CHECK(more(reader) == "line 5\nline 6\nline 7\nline 8\n"); // 3 and 4 were rotated away
    }
    CHECK(more(reader) == "");
    logs.write("six\n");
    CHECK(more(reader) == "six\n");
}

TEST_CASE("a truncated file is read from its beginning") {
    Logs logs;
    logs.write("one\ntwo\n");
    LogReader reader(logs.path, 4);
    CHECK(tail(reader, 10) == "one\ntwo\n");
    std::filesystem::resize_file(logs.path, 0);
    logs.write("new\n");
    CHECK(more(reader) == "new\n");
}
