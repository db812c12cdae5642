// What a candidate answers in a rehearsal: lines of key=value on its standard output.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/error.hpp"

namespace keepd::upgrade {

struct Answer {
    std::string version;
    std::string build_id;
    std::string format;
    std::string digest; // of the state as the candidate encodes it again
    std::size_t programs = 0;
    bool operator==(const Answer&) const = default;
};

std::string to_text(const Answer&);

// Errors: anything but exactly one complete answer.
keep::Result<Answer> parse_answer(std::string_view text);

} // namespace keepd::upgrade
