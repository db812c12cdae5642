#include <algorithm>
#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "daemon/ctl/table.hpp"
#include "daemon/ctl/text_width.hpp"

using namespace keepd::ctl;

TEST_CASE("width is counted in columns, not in bytes") {
    CHECK(display_width("") == 0);
    CHECK(display_width("web") == 3);
    CHECK(display_width("●○") == 2);
    CHECK(display_width("Zürich") == 6);
    CHECK(display_width("u\u0308") == 1); // a combining diaeresis
    CHECK(display_width("日本") == 4);
    CHECK(display_width("🙂") == 2);
    CHECK(display_width("\xff\xfe") == 2);
    CHECK(display_width("\xe6\x97") == 2); // cut in the middle of a character
}

TEST_CASE("text is cut between characters and marked") {
    CHECK(fit("running", 7) == "running");
    CHECK(fit("running", 6) == "runni…");
    CHECK(fit("日本語", 4) == "日…");
    CHECK(fit("日本語", 1) == "…");
    CHECK(fit("web", 0) == "");
    for (std::size_t columns = 0; columns < 12; ++columns)
        CHECK(display_width(fit("aü日b本🙂c", columns)) <= columns);
}

TEST_CASE("a program's words can not drive the terminal") {
    CHECK(printable("a\033[31mb") == "a?[31mb");
    CHECK(printable("a\nb\tc\rd") == "a b c?d");
    CHECK(printable("\xc2\x9b"
                    "31m") == "?31m"); // a C1 control character
    CHECK(printable("a\xff") == "a?");
    CHECK(printable("Zürich 日本") == "Zürich 日本");
}

TEST_CASE("names sort as people count") {
    std::vector<std::string> names = {"web@10", "web@2", "web@1", "web", "db", "web@2a", "web@02", "a9", "a10"};
    std::ranges::sort(names, [](const auto& left, const auto& right) { return natural_less(left, right); });
    CHECK(names == std::vector<std::string>{"a9", "a10", "db", "web", "web@1", "web@02", "web@2", "web@2a", "web@10"});
    CHECK_FALSE(natural_less("web", "web"));
}

TEST_CASE("columns are aligned by width, without trailing blanks") {
    const std::string text = table({{"NAME"}, {"N", true}, {"NOTE"}},
                                   {{{"日本"}, {"1"}, {"x"}}, {{"a"}, {"200"}, {""}}, {{""}, {""}, {"z"}}}, Look{});
    CHECK(text == "NAME    N  NOTE\n"
                  "日本    1  x\n"
                  "a     200\n"
                  "           z\n");
}

TEST_CASE("the last column alone is cut to a narrow terminal, and keeps a little") {
    const std::vector<Column> columns = {{"NAME"}, {"NOTE"}};
    const std::vector<std::vector<Cell>> rows = {{{"program"}, {"a long note about it"}}};
    CHECK(table(columns, rows, Look{false, 20}) == "NAME     NOTE\nprogram  a long not…\n");
    CHECK(table(columns, rows, Look{false, 5}) == "NAME     NOTE\nprogram  a long …\n");
}

TEST_CASE("colours surround text, never blanks, and only where they are wanted") {
    const std::vector<Column> columns = {{"A"}, {"B"}};
    const std::vector<std::vector<Cell>> rows = {{{"x", Color::red}, {"y"}}};
    CHECK(table(columns, rows, Look{true, {}}) == "\033[1mA\033[0m  \033[1mB\033[0m\n\033[31mx\033[0m  y\n");
    CHECK(table(columns, rows, Look{}).find('\033') == std::string::npos);
}
