// What the sources that speak JSON take in, precompiled once per library (std.hpp says more).
#include "lib/precompiled/std.hpp"

#include <nlohmann/json.hpp>
