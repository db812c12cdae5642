#include "daemon/upgrade/format_choice.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "daemon/checkpoint/format.hpp"

namespace keepd::upgrade {

namespace {

std::optional<int> number(std::string_view text) {
    int value = 0;
    const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (bad != std::errc{} || end != text.data() + text.size() || value < 0 || value > 0xFFFF) return {};
    return value;
}

std::optional<Format> parse(std::string_view text) {
    const auto dot = text.find('.');
    if (dot == std::string_view::npos) return {};
    const auto major = number(text.substr(0, dot));
    const auto minor = number(text.substr(dot + 1));
    if (!major || !minor) return {};
    return Format{*major, *minor};
}

// Out of a foreign file, for an operator's eyes.
std::string shown(std::string_view text) {
    std::string safe(text.substr(0, 60));
    std::ranges::replace_if(safe, [](char c) { return c < ' ' || c > '~'; }, '?');
    return safe;
}

} // namespace

std::string to_text(const Format& format) {
    return std::to_string(format.major) + "." + std::to_string(format.minor);
}

keep::Result<Format> choose_format(std::string_view formats, const Format& ours) {
    std::optional<Format> best;
    for (std::string_view rest = formats; !rest.empty();) {
        const auto word = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        const auto theirs = parse(word);
        if (!theirs) return keep::fail("its note says that it reads the format '" + shown(word) + "', which is none");
        if (theirs->major != ours.major) continue;
        best = std::max(best.value_or(Format{}), std::min(*theirs, ours));
    }
    if (!best)
        return keep::fail("it reads the saved state in format " + shown(formats) + " alone, and this keepd writes " +
                          to_text(ours));
    return *best;
}

keep::Result<Format> choose_format(std::string_view formats) {
    return choose_format(formats, {checkpoint::format_major, checkpoint::format_minor});
}

} // namespace keepd::upgrade
