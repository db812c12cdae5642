#include "lib/base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace keep {
namespace {

// Optimal string alignment: insert, delete, replace, and swap of neighbours, each costs one.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before_last(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        std::swap(before_last, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

// Matches `c` against the class that begins at pattern[at] == '['. Returns the position after ']' and the verdict, or
// nothing if no ']' closes it (the bracket is then an ordinary character, as in the shell).
struct ClassMatch {
    std::size_t next;
    bool matches;
};
std::optional<ClassMatch> match_class(std::string_view pattern, std::size_t at, char c) {
    std::size_t i = at + 1;
    const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    if (negated) ++i;
    bool found = false;
    const auto value = static_cast<unsigned char>(c);
    for (bool first = true; i < pattern.size(); first = false) {
        if (pattern[i] == ']' && !first) return ClassMatch{i + 1, found != negated};
        const auto low = static_cast<unsigned char>(pattern[i]);
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
            found = found || (low <= value && value <= static_cast<unsigned char>(pattern[i + 2]));
            i += 3;
        } else {
            found = found || low == value;
            ++i;
        }
    }
    return std::nullopt;
}

} // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string_view> known) {
    std::optional<std::string> best;
    std::size_t best_distance = 0;
    for (std::string_view candidate : known) {
        const std::size_t longer = std::max(word.size(), candidate.size());
        const std::size_t distance = edit_distance(word, candidate);
        // A distance of the whole length would offer any word for any other: nothing in common is no slip.
        if (distance > std::max<std::size_t>(1, longer / 3) || distance >= longer) continue;
        if (best && distance >= best_distance) continue;
        best = std::string(candidate);
        best_distance = distance;
    }
    return best;
}

bool glob_match(std::string_view pattern, std::string_view text) {
    std::size_t p = 0;
    std::size_t t = 0;
    // Where to go on after a mismatch: the last star takes one more character. One star back is enough.
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_text = t;
            continue;
        }
        bool matched = false;
        std::size_t next = p + 1;
        if (p < pattern.size()) {
            if (pattern[p] == '?') {
                matched = true;
            } else if (const auto group = pattern[p] == '[' ? match_class(pattern, p, text[t]) : std::nullopt) {
                matched = group->matches;
                next = group->next;
            } else {
                matched = pattern[p] == text[t];
            }
        }
        if (matched) {
            p = next;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::uint64_t factor;
    };
    static constexpr std::array units{
        Unit{"", 1},
        Unit{"B", 1},
        Unit{"KB", 1'000},
        Unit{"MB", 1'000'000},
        Unit{"GB", 1'000'000'000},
        Unit{"TB", 1'000'000'000'000},
        Unit{"KiB", std::uint64_t{1} << 10},
        Unit{"MiB", std::uint64_t{1} << 20},
        Unit{"GiB", std::uint64_t{1} << 30},
        Unit{"TiB", std::uint64_t{1} << 40},
    };
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
    for (const Unit& unit : units) {
        if (unit.name != name) continue;
        if (number > UINT64_MAX / unit.factor) return std::nullopt;
        return number * unit.factor;
    }
    return std::nullopt;
}

std::string human_size(std::uint64_t bytes) {
    static constexpr std::array names{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return std::to_string(bytes) + " B";
    std::size_t unit = 0;
    std::uint64_t whole = bytes;
    std::uint64_t rest = 0;
    for (;; ++unit) {
        rest = whole % 1024;
        whole /= 1024;
        if (whole < 1024) break;
    }
    // One decimal where it tells something; cut, not rounded, so 1023.9 KiB never reads as 1024 KiB.
    std::string text = std::to_string(whole);
    if (const std::uint64_t tenths = rest * 10 / 1024; whole < 100 && tenths > 0) text += "." + std::to_string(tenths);
    return text + " " + names[unit];
}

std::string quoted_list(std::span<const std::string> words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += i + 1 == words.size() ? " and " : ", ";
        text += "'" + words[i] + "'";
    }
    return text;
}

} // namespace keep
