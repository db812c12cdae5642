#include <cstdint>
#include <doctest/doctest.h>

#include <limits>

#include "lib/base/time.hpp"

using namespace keep;
using namespace std::chrono_literals;

TEST_CASE("more digits than any number holds are refused before they overflow") {
    CHECK_FALSE(parse_duration(std::string(60, '9') + "s"));
    CHECK_FALSE(parse_duration("0." + std::string(60, '9') + "s").value_or(0s) > 1s);
}

TEST_CASE("durations are read in each unit, joined and with a fraction") {
    CHECK(parse_duration("500ms") == 500ms);
    CHECK(parse_duration("10s") == 10s);
    CHECK(parse_duration("5m") == 5min);
    CHECK(parse_duration("1h") == 1h);
    CHECK(parse_duration("2d") == 48h);
    CHECK(parse_duration("0s") == 0s);
    CHECK(parse_duration("1h30m") == 90min);
    CHECK(parse_duration("1m30s500ms") == 90500ms);
    CHECK(parse_duration("1.5s") == 1500ms);
    CHECK(parse_duration("1h0.5m") == 3630s);
    CHECK(parse_duration("0.000001ms") == 1ns);
    CHECK(parse_duration("1.5d") == 36h);
}

TEST_CASE("what is no duration is refused") {
    for (const char* const text :
         {"",    "10",    "s",    "ms",   "10 s", " 10s",    "10s ", "-1s",  "+1s", "1.s",   ".5s",   "1,5s",
          "10S", "10sec", "10us", "1s1h", "1s1s", "1.5h30m", "1e3s", "0x1s", "1s2", "1..5s", "10mss", "ten"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text));
    }
    CHECK_FALSE(parse_duration(std::string_view("1s\0", 3)));
}

TEST_CASE("a duration that does not fit is refused, not wrapped") {
    CHECK(parse_duration("106751d"));
    CHECK_FALSE(parse_duration("106752d"));
    CHECK_FALSE(parse_duration("106751d23h59m"));
    CHECK_FALSE(parse_duration("999999999999999999d"));
    CHECK_FALSE(parse_duration("99999999999999999999999999999999s"));
}

TEST_CASE("the text of a duration is short and reads back to the same") {
    CHECK(to_text(0s) == "0s");
    CHECK(to_text(500ms) == "500ms");
    CHECK(to_text(90s) == "1m30s");
    CHECK(to_text(1500ms) == "1.5s");
    CHECK(to_text(24h) == "1d");
    CHECK(to_text(1ns) == "0.000001ms");
    CHECK(to_text(-5s) == "-5s");
    for (const std::int64_t ns : {std::int64_t{1}, std::int64_t{999'999}, std::int64_t{1'000'001},
                                  std::int64_t{59'999'999'999}, std::int64_t{3'600'000'000'001},
                                  std::int64_t{90'061'001'000'000}, std::numeric_limits<std::int64_t>::max()}) {
        CAPTURE(ns);
        CHECK(parse_duration(to_text(Duration(ns))) == Duration(ns));
    }
    CHECK(to_text(Duration::min()).starts_with("-106751d"));
}

TEST_CASE("people read two significant parts") {
    CHECK(to_human(0s) == "0 s");
    CHECK(to_human(5ms) == "5 ms");
    CHECK(to_human(300ms) == "0.3 s");
    CHECK(to_human(2s) == "2 s");
    CHECK(to_human(9949ms) == "9.9 s");
    CHECK(to_human(9970ms) == "10 s");
    CHECK(to_human(14s) == "14 s");
    CHECK(to_human(125s) == "2 min 5 s");
    CHECK(to_human(120s) == "2 min");
    CHECK(to_human(200min) == "3 h 20 min");
    CHECK(to_human(122h) == "5 d 2 h");
    CHECK(to_human(-14s) == "-14 s");
}

TEST_CASE("wall time is shown in UTC with milliseconds") {
    CHECK(to_rfc3339({0}) == "1970-01-01T00:00:00.000Z");
    CHECK(to_rfc3339({1'795'366'923'123'999'999}) == "2026-11-22T17:02:03.123Z");
    CHECK(to_rfc3339({951'782'400'000'000'000}) == "2000-02-29T00:00:00.000Z");
    CHECK(to_rfc3339({-1}) == "1969-12-31T23:59:59.999Z");
}
