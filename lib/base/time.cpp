#include "lib/base/time.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

namespace keep {
namespace {

__extension__ using Wide = __int128; // products of 18 digits and a day of nanoseconds fit

struct Unit {
    std::string_view name;
    std::int64_t ns;
};
// Largest first: the order in which parts may follow each other.
constexpr std::array units{
    Unit{"d", 86'400'000'000'000}, Unit{"h", 3'600'000'000'000}, Unit{"m", 60'000'000'000},
    Unit{"s", 1'000'000'000},      Unit{"ms", 1'000'000},
};
constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t millisecond = 1'000'000;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// "12" or "12.5" in front of a unit, as whole and decimal digits.
struct Number {
    Wide whole = 0;
    Wide fraction = 0;
    Wide scale = 1; // fraction / scale < 1
    std::size_t length = 0;
};
std::optional<Number> take_number(std::string_view text) {
    constexpr std::size_t most_digits = 18;
    Number number;
    std::size_t i = 0;
    for (; i < text.size() && is_digit(text[i]) && i <= most_digits; ++i)
        number.whole = number.whole * 10 + (text[i] - '0');
    if (i == 0 || i > most_digits) return std::nullopt;
    if (i < text.size() && text[i] == '.') {
        const std::size_t begin = ++i;
        for (; i < text.size() && is_digit(text[i]) && i - begin < most_digits; ++i) {
            number.fraction = number.fraction * 10 + (text[i] - '0');
            number.scale *= 10;
        }
        if (i == begin) return std::nullopt;
    }
    number.length = i;
    return number;
}

// `value` in a unit, without trailing zeros: 1500000000 in seconds is "1.5".
std::string decimal(std::int64_t value, std::int64_t unit) {
    std::string text = std::to_string(value / unit);
    std::int64_t rest = value % unit;
    if (rest == 0) return text;
    text += '.';
    for (std::int64_t place = unit / 10; rest > 0; place /= 10) {
        text += static_cast<char>('0' + rest / place);
        rest %= place;
    }
    return text;
}

} // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    Wide total = 0;
    std::size_t next_unit = 0; // each unit at most once, larger before smaller
    bool had_fraction = false; // only the last part may have one
    if (text.empty()) return std::nullopt;
    while (!text.empty()) {
        const auto number = take_number(text);
        if (!number || had_fraction) return std::nullopt;
        text.remove_prefix(number->length);
        std::size_t name_length = 0;
        while (name_length < text.size() && text[name_length] >= 'a' && text[name_length] <= 'z')
            ++name_length;
        const std::string_view name = text.substr(0, name_length);
        text.remove_prefix(name_length);
        while (next_unit < units.size() && units[next_unit].name != name)
            ++next_unit;
        if (next_unit == units.size()) return std::nullopt;
        const Wide unit = units[next_unit++].ns;
        had_fraction = number->scale > 1;
        total += number->whole * unit + number->fraction * unit / number->scale;
        if (total > INT64_MAX) return std::nullopt;
    }
    return Duration(static_cast<std::int64_t>(total));
}

std::string to_text(Duration duration) {
    std::int64_t left = duration.count();
    if (left == 0) return "0s";
    // The most negative value has no counterpart; nobody sets it, but it must not be undefined behaviour.
    if (left < 0) return "-" + to_text(Duration(left == INT64_MIN ? INT64_MAX : -left));
    std::string text;
    for (const Unit& unit : {units[0], units[1], units[2]}) {
        if (left >= unit.ns) text += std::to_string(left / unit.ns) + std::string(unit.name);
        left %= unit.ns;
    }
    if (left >= second) return text + decimal(left, second) + "s";
    if (left > 0) return text + decimal(left, millisecond) + "ms";
    return text;
}

std::string to_human(Duration duration) {
    const std::int64_t ns = duration.count();
    if (ns < 0) return "-" + to_human(Duration(ns == INT64_MIN ? INT64_MAX : -ns));
    if (ns < 100 * millisecond) {
        const std::int64_t ms = (ns + millisecond / 2) / millisecond;
        return ms == 0 ? "0 s" : std::to_string(ms) + " ms";
    }
    if (const std::int64_t tenths = (ns + second / 20) / (second / 10); tenths < 100) {
        return decimal(tenths, 10) + " s";
    }
    const auto two = [](std::int64_t large, const char* large_name, std::int64_t small, const char* small_name) {
        std::string text = std::to_string(large) + " " + large_name;
        if (small > 0) text += " " + std::to_string(small) + " " + small_name;
        return text;
    };
    const std::int64_t s = ns / second;
    if (s < 60) return std::to_string(s < 10 ? 10 : s) + " s"; // 9.97 s was rounded up above, not cut to 9
    if (s < 3600) return two(s / 60, "min", s % 60, "s");
    if (s < 86400) return two(s / 3600, "h", s / 60 % 60, "min");
    return two(s / 86400, "d", s / 3600 % 24, "h");
}

std::string to_rfc3339(WallTime time) {
    using namespace std::chrono;
    const auto since_epoch = floor<milliseconds>(nanoseconds(time.ns));
    const auto day = floor<days>(since_epoch);
    const year_month_day date{sys_days(day)};
    const hh_mm_ss clock{since_epoch - day};
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    return text.data();
}

} // namespace keep
