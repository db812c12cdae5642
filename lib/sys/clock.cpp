#include "lib/sys/clock.hpp"

#include <cstdint>
#include <ctime>

namespace keep::sys {
namespace {

// clock_gettime(2) cannot fail for these two clocks and a valid address.
std::int64_t nanoseconds_of(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

} // namespace

Time monotonic_now() {
    return Time(Duration(nanoseconds_of(CLOCK_MONOTONIC)));
}

WallTime wall_now() {
    return WallTime{nanoseconds_of(CLOCK_REALTIME)};
}

} // namespace keep::sys
