#include "daemon/ctl/text_width.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace keepd::ctl {
namespace {

struct Character {
    std::uint32_t code = 0; // replacement_code: broken
    std::size_t bytes = 1;
};
constexpr std::uint32_t broken = 0xFFFFFFFF;

Character next_character(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80) return {lead, 1};
    const std::size_t length = lead >= 0xF0 && lead < 0xF5 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
    if (length == 0 || lead >= 0xF5 || text.size() < length) return {broken, 1};
    std::uint32_t code = lead & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((byte & 0xC0) != 0x80) return {broken, 1};
        code = code << 6 | (byte & 0x3Fu);
    }
    const std::uint32_t smallest = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    if (code < smallest || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {broken, 1};
    return {code, length};
}

struct Range {
    std::uint32_t first, last;
};
// What is met in names and messages; not the whole of Unicode.
constexpr std::array zero_width{
    Range{0x0300, 0x036F}, Range{0x0483, 0x0489}, Range{0x0591, 0x05BD}, Range{0x064B, 0x065F},
    Range{0x1AB0, 0x1AFF}, Range{0x200B, 0x200F}, Range{0x20D0, 0x20FF}, Range{0xFE00, 0xFE0F},
};
constexpr std::array double_width{
    Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},   Range{0x3041, 0xA4CF},   Range{0xAC00, 0xD7A3},
    Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},
    Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD},
};

template <std::size_t count>
bool within(const std::array<Range, count>& ranges, std::uint32_t code) {
    return std::ranges::any_of(ranges,
                               [code](const Range& range) { return code >= range.first && code <= range.last; });
}

std::size_t columns_of(std::uint32_t code) {
    if (code == broken) return 1;
    if (within(zero_width, code)) return 0;
    return within(double_width, code) ? 2 : 1;
}

bool is_control(std::uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The number at the front of `text` without leading zeros, taken off it.
std::string_view take_digits(std::string_view& text) {
    const std::size_t length = std::min(text.find_first_not_of("0123456789"), text.size());
    std::string_view digits = text.substr(0, length);
    text.remove_prefix(length);
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
    return digits;
}

} // namespace

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    while (!text.empty()) {
        const Character character = next_character(text);
        width += columns_of(character.code);
        text.remove_prefix(character.bytes);
    }
    return width;
}

std::string fit(std::string_view text, std::size_t columns) {
    if (display_width(text) <= columns) return std::string(text);
    if (columns == 0) return {};
    std::string kept;
    for (std::size_t width = 1; !text.empty();) { // 1: the ellipsis
        const Character character = next_character(text);
        width += columns_of(character.code);
        if (width > columns) break;
        kept += text.substr(0, character.bytes);
        text.remove_prefix(character.bytes);
    }
    return kept + "…";
}

std::string printable(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        const Character character = next_character(text);
        if (character.code == '\n' || character.code == '\t') {
            shown += ' ';
        } else if (character.code == broken || is_control(character.code)) {
            shown += '?';
        } else {
            shown += text.substr(0, character.bytes);
        }
        text.remove_prefix(character.bytes);
    }
    return shown;
}

bool natural_less(std::string_view left, std::string_view right) {
    const std::string_view whole_left = left;
    const std::string_view whole_right = right;
    while (!left.empty() && !right.empty()) {
        if (is_digit(left[0]) && is_digit(right[0])) {
            const std::string_view a = take_digits(left);
            const std::string_view b = take_digits(right);
            if (a.size() != b.size()) return a.size() < b.size();
            if (a != b) return a < b;
            continue;
        }
        if (left[0] != right[0]) return static_cast<unsigned char>(left[0]) < static_cast<unsigned char>(right[0]);
        left.remove_prefix(1);
        right.remove_prefix(1);
    }
    if (left.empty() != right.empty()) return left.empty();
    return whole_left < whole_right; // "a01" and "a1": some order all the same
}

} // namespace keepd::ctl
