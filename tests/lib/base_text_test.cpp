#include <cstdint>
#include <doctest/doctest.h>

#include <array>

#include "lib/base/error.hpp"
#include "lib/base/text.hpp"

using namespace keep;

namespace {

constexpr std::array<std::string_view, 5> fields{"command", "environment", "user", "umask", "restart"};

} // namespace

TEST_CASE("the nearest word is offered for a slip") {
    CHECK(nearest("comand", fields) == "command");
    CHECK(nearest("commnad", fields) == "command"); // a swap is one slip
    CHECK(nearest("enviroment", fields) == "environment");
    CHECK(nearest("usr", fields) == "user");
    CHECK(nearest("user", fields) == "user");
}

TEST_CASE("a word that is far from all gets no offer") {
    CHECK_FALSE(nearest("wibble", fields));
    CHECK_FALSE(nearest("u", fields));
    CHECK_FALSE(nearest("", fields));
    CHECK_FALSE(nearest("command", {}));
    constexpr std::array<std::string_view, 1> letter{"x"};
    CHECK_FALSE(nearest("y", letter));
}

TEST_CASE("of two words that are equally near the first is offered") {
    constexpr std::array<std::string_view, 2> words{"abcx", "abcy"};
    CHECK(nearest("abcz", words) == "abcx");
}

TEST_CASE("globs match as in the shell") {
    CHECK(glob_match("*", ""));
    CHECK(glob_match("web*", "web@1"));
    CHECK(glob_match("*@?", "web@1"));
    CHECK_FALSE(glob_match("*@?", "web@12"));
    CHECK(glob_match("a*b*c", "aXbYbZc"));
    CHECK_FALSE(glob_match("a*b*c", "aXbYbZ"));
    CHECK(glob_match("[a-c]x", "bx"));
    CHECK_FALSE(glob_match("[a-c]x", "dx"));
    CHECK(glob_match("[!a-c]x", "dx"));
    CHECK_FALSE(glob_match("[!a-c]x", "ax"));
    CHECK(glob_match("[]]", "]"));
    CHECK(glob_match("[a-]", "-"));
    CHECK_FALSE(glob_match("Web", "web"));
    CHECK_FALSE(glob_match("", "x"));
    CHECK_FALSE(glob_match("abc", "ab"));
}

TEST_CASE("a bracket that nothing closes is an ordinary character") {
    CHECK(glob_match("a[b", "a[b"));
    CHECK_FALSE(glob_match("a[b", "ab"));
}

TEST_CASE("a hostile glob is matched in reasonable time") {
    // Naive backtracking would take longer than the universe; this ends or the test runner's deadline ends it.
    std::string pattern;
    for (int i = 0; i < 200; ++i)
        pattern += "*a";
    CHECK_FALSE(glob_match(pattern + "b", std::string(5000, 'a')));
}

TEST_CASE("sizes have decimal and binary units") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("1024") == 1024);
    CHECK(parse_size("1024B") == 1024);
    CHECK(parse_size("50MB") == 50'000'000);
    CHECK(parse_size("50MiB") == 52'428'800);
    CHECK(parse_size("2KB") == 2000);
    CHECK(parse_size("3GiB") == std::uint64_t{3} << 30);
    CHECK(parse_size("4TiB") == std::uint64_t{4} << 40);
    CHECK(parse_size("18446744073709551615") == UINT64_MAX);
}

TEST_CASE("what is no size, or does not fit, is refused") {
    for (const char* const text : {"", "MB", "-1", "+1", "1.5MB", "1 MB", " 1", "1mb", "1M", "1MBB",
                                   "18446744073709551616", "18446744073709551615KB", "16777216TiB", "0x10"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_size(text));
    }
}

TEST_CASE("sizes for people") {
    CHECK(human_size(312) == "312 B");
    CHECK(human_size(1024) == "1 KiB");
    CHECK(human_size(1536 * 1024) == "1.5 MiB");
    CHECK(human_size(1023 * 1024 + 1023) == "1023 KiB");
    CHECK(human_size(UINT64_MAX) == "15.9 EiB");
}

TEST_CASE("lists of words read as a sentence") {
    const std::vector<std::string> words{"a", "b", "c"};
    CHECK(quoted_list(words) == "'a', 'b' and 'c'");
    CHECK(quoted_list(std::span(words).first(2)) == "'a' and 'b'");
    CHECK(quoted_list(std::span(words).first(1)) == "'a'");
    CHECK(quoted_list({}).empty());
}

TEST_CASE("an error says what was being done, to what, and why it failed") {
    const Result<> failed = fail_errno("open", "/etc/x", 2);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == 2);
    CHECK(failed.error().message == "open '/etc/x': No such file or directory");
    const Result<int> outer = fail_in("reload", failed.error());
    CHECK(outer.error().code == 2);
    CHECK(outer.error().message == "reload: open '/etc/x': No such file or directory");
    CHECK(Result<>(fail_errno("pipe2", "", 24)).error().message == "pipe2: Too many open files");
}
