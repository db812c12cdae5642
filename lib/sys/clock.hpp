// The one place that reads clocks.
#pragma once

#include "lib/base/time.hpp"

namespace keep::sys {

Time monotonic_now(); // clock_gettime(CLOCK_MONOTONIC)
WallTime wall_now();  // clock_gettime(CLOCK_REALTIME)

} // namespace keep::sys
