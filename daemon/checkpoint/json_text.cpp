#include "daemon/checkpoint/json_text.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>

namespace keepd::checkpoint {
namespace {

// Length of the well-formed UTF-8 sequence that `text` starts with (Unicode table 3-7); 0 if there is none.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                               : (lead & 0xF0) == 0xE0        ? 3
                               : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                              : 0;
    if (length == 0 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte(i) & 0xC0) != 0x80) return 0;
    const unsigned char second = byte(1);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0; // overlong, surrogate
    if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0; // overlong, beyond U+10FFFF
    return length;
}

template <class Number>
void append_number(std::string& out, Number value) {
    char digits[40];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

} // namespace

void JsonText::in_quotes(std::string_view text) {
    out_ += '"';
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const char c = text[0];
        if (length == 0)
            out_ += "\\ufffd";
        else if (length > 1)
            out_.append(text.substr(0, length));
        else if (c == '"' || c == '\\')
            (out_ += '\\') += c;
        else if (c == '\n')
            out_ += "\\n";
        else if (c == '\t')
            out_ += "\\t";
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            constexpr std::string_view hex = "0123456789abcdef";
            ((out_ += "\\u00") += hex[static_cast<unsigned char>(c) >> 4]) += hex[c & 15];
        } else
            out_ += c;
        text.remove_prefix(length == 0 ? 1 : length);
    }
    out_ += '"';
}

void JsonText::new_line() {
    (out_ += '\n').append(static_cast<std::size_t>(depth_) * 2, ' ');
}

void JsonText::before_value() {
    if (!after_key_ && depth_ > 0) {
        if (!first_) out_ += ',';
        new_line();
    }
    first_ = after_key_ = false;
}

void JsonText::begin(char bracket) {
    before_value();
    out_ += bracket;
    ++depth_;
    first_ = true;
}

void JsonText::end(char bracket) {
    --depth_;
    if (!first_) new_line();
    out_ += bracket;
    first_ = false;
}

void JsonText::key(std::string_view name) {
    before_value();
    in_quotes(name);
    out_ += ": ";
    after_key_ = true;
}

void JsonText::text(std::string_view value) {
    before_value();
    in_quotes(value);
}

void JsonText::number(std::int64_t value) {
    before_value();
    append_number(out_, value);
}

void JsonText::number(std::uint64_t value) {
    before_value();
    append_number(out_, value);
}

void JsonText::number(double value) {
    before_value();
    append_number(out_, value);
}

void JsonText::boolean(bool value) {
    before_value();
    out_ += value ? "true" : "false";
}

void JsonText::null() {
    before_value();
    out_ += "null";
}

} // namespace keepd::checkpoint
