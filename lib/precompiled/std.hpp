// The standard headers that most sources take in, precompiled once per library: speed alone. Each source still includes
// what it uses; packaging/test --full builds once without (-Db_pch=false) to see that it does.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
