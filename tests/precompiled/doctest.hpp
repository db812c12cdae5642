// What every doctest source takes in, precompiled once per test program (lib/precompiled/std.hpp says more).
#include "lib/precompiled/std.hpp"

#include <doctest/doctest.h>
