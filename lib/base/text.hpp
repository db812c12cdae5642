// Small text helpers that several rooms share. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keep {

// The word of `known` nearest to `word` (edit distance with transpositions), if it is near enough to be a likely
// slip: at most a third of the longer length, at least 1, but less than that length. Ties go to the first.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string_view> known);

// Shell-style glob: `*`, `?`, `[a-c]`, `[!x]`. No slash rule; case matters.
bool glob_match(std::string_view pattern, std::string_view text);

// Sizes: "50MB" = 50e6, "50MiB" = 50*2^20, "1024" or "1024B"; units KB MB GB TB and KiB MiB GiB TiB, whole numbers.
// Nothing otherwise, or on overflow.
std::optional<std::uint64_t> parse_size(std::string_view text);

// "1.5 MiB", "312 B", for people.
std::string human_size(std::uint64_t bytes);

// Words with commas and quotes: 'a', 'b' and 'c'.
std::string quoted_list(std::span<const std::string> words);

} // namespace keep
