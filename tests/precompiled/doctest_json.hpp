// What the tests of JSON speakers take in, precompiled once per test program (lib/precompiled/std.hpp says more).
#include "lib/precompiled/json.hpp"

#include <doctest/doctest.h>
