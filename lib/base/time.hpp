// Time as the project counts it. Everything that decides uses Time (CLOCK_MONOTONIC: suspend does not count, an
// operator's `date -s` does not either); WallTime is for people's eyes only and must never be compared to decide.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keep {

using Duration = std::chrono::nanoseconds;

// Tag of CLOCK_MONOTONIC. It has no now(): reading the clock is lib/sys's (sys::monotonic_now()).
struct Monotonic {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<Monotonic, Duration>;
    static constexpr bool is_steady = true;
};
using Time = Monotonic::time_point;

// Nanoseconds since 1970-01-01 UTC, CLOCK_REALTIME. For display.
struct WallTime {
    std::int64_t ns = 0;
    auto operator<=>(const WallTime&) const = default;
};

// "500ms", "10s", "5m", "1h", "2d", also joined from the largest unit to the smallest ("1h30m") and with a fraction in
// the last part ("1.5s"; below a nanosecond it is cut). Nothing on anything else, on a negative value and on overflow.
std::optional<Duration> parse_duration(std::string_view text);

// The shortest exact text that parse_duration reads back: "500ms", "1m30s", "0s".
std::string to_text(Duration);

// For people: two significant parts, "0.3 s", "14 s", "2 min 5 s", "3 h 20 min", "5 d 2 h".
std::string to_human(Duration);

// RFC 3339 in UTC with milliseconds: "2026-11-22T17:02:03.123Z".
std::string to_rfc3339(WallTime);

} // namespace keep
