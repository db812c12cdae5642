// From the words of a request to programs. Pure.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/state.hpp"

namespace keepd::control {

struct NoSuchProgram {
    std::string name;                   // as asked
    std::optional<std::string> nearest; // what was probably meant
};

// Full names, each once, in the order asked; those of one glob or base name in their own order. No words: every
// program. A word is a full name, the base name of instances, or a glob (`*`, `?`, `[`) that must match something.
std::expected<std::vector<std::string>, NoSuchProgram> select(const core::State&, std::span<const std::string> words);

} // namespace keepd::control
