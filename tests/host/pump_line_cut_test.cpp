#include <cstdint>
#include <doctest/doctest.h>
#include <string>

#include "daemon/logs/line_cut.hpp"

using keepd::logs::Cut;
using keepd::logs::cut_at_line_end;
using keepd::logs::LineState;
using keepd::logs::longest_line;

namespace {
const LineState start{true, 0};
LineState inside(std::uint64_t length) {
    return {false, length};
}
} // namespace

TEST_CASE("line cut: what fits is taken whole, a partial line too when nothing is behind it") {
    CHECK(cut_at_line_end("ab\ncd", false, 0, 10, start) == Cut{5, false});
    CHECK(cut_at_line_end("ab\ncd", false, 5, 10, start) == Cut{5, false}); // exactly full
}

TEST_CASE("line cut: with more behind, a partial line is left for the next look") {
    CHECK(cut_at_line_end("ab\ncd", true, 0, 10, start) == Cut{3, false});
    CHECK(cut_at_line_end("abcd", true, 0, 10, start) == Cut{4, false}); // no line end: it goes on
}

TEST_CASE("line cut: a full file ends behind the last newline that fits") {
    CHECK(cut_at_line_end("a\nb\ncc\n", false, 0, 5, start) == Cut{4, true});
    CHECK(cut_at_line_end("a\nb\ncc\n", false, 3, 7, inside(3)) == Cut{4, true});
    CHECK(cut_at_line_end("abcd\ne\n", false, 0, 5, start) == Cut{5, true}); // the newline is the last byte that fits
}

TEST_CASE("line cut: at a line start, a line that does not fit goes into a new file") {
    CHECK(cut_at_line_end("abcdef\n", false, 8, 10, start) == Cut{0, true});
    CHECK(cut_at_line_end("a", false, 10, 10, start) == Cut{0, true});
    CHECK(cut_at_line_end("a", false, 99, 10, start) == Cut{0, true}); // beyond its limit already
}

TEST_CASE("line cut: a line that began in the file is finished there, then the file is full") {
    CHECK(cut_at_line_end("abcdef\ngh", false, 8, 10, inside(4)) == Cut{7, true});
    CHECK(cut_at_line_end("abcdef\n", false, 8, 10, inside(4)) == Cut{7, false}); // rotated by the next byte
    CHECK(cut_at_line_end("abcdef", false, 8, 10, inside(4)) == Cut{6, false});
    CHECK(cut_at_line_end("abcdef\ngh", false, 0, 3, start) == Cut{7, true}); // longer than a whole file
}

TEST_CASE("line cut: a line of more than 1 MiB is cut there") {
    const std::string text(1000, 'x');
    CHECK(cut_at_line_end(text, false, 5000, 10, inside(longest_line - 300)) == Cut{300, true});
    CHECK(cut_at_line_end(text, false, 5000, 10, inside(longest_line)) == Cut{0, true});
    CHECK(cut_at_line_end(text, false, 5000, 10, inside(longest_line + 7)) == Cut{0, true});
    const std::string ends = std::string(299, 'x') + "\n" + text;
    CHECK(cut_at_line_end(ends, false, 5000, 10, inside(longest_line - 300)) == Cut{300, true});
    CHECK(cut_at_line_end(ends, false, 5000, 10, inside(longest_line - 299)) == Cut{299, true});
}

TEST_CASE("line cut: an empty file is never rotated") {
    for (const std::uint64_t length : {std::uint64_t{0}, longest_line, longest_line * 3}) {
        const Cut cut = cut_at_line_end("abc", false, 0, 2, inside(length));
        CHECK(cut.take > 0);
    }
}

TEST_CASE("line state: follows what is appended") {
    LineState line;
    line.append("abc");
    CHECK_FALSE(line.at_start);
    CHECK(line.length == 3);
    line.append("d\nef");
    CHECK_FALSE(line.at_start);
    CHECK(line.length == 2);
    line.append("\n");
    CHECK(line.at_start);
    CHECK(line.length == 0);
    line.append("");
    CHECK(line.at_start);
    line.append_unseen();
    CHECK_FALSE(line.at_start);
}
