// In which format the state is written for another image, told from its ELF note before anything of it runs.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/error.hpp"

namespace keepd::upgrade {

struct Format {
    int major = 0;
    int minor = 0;
    auto operator<=>(const Format&) const = default;
};

std::string to_text(const Format& format); // "1.0"

// The highest format that this image writes and one with such a note reads. `formats` is the note's: "1.4,2.0", the
// newest of each major; who reads a minor reads all below it. Errors, clauses about "it": there is none, or the note
// makes no sense.
keep::Result<Format> choose_format(std::string_view formats);
// The same for an image that writes one major, up to `ours`.
keep::Result<Format> choose_format(std::string_view formats, const Format& ours);

} // namespace keepd::upgrade
