#include "config/syntax.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "config/document.hpp"

namespace keepd::config {

namespace {

constexpr auto npos = std::string_view::npos;
constexpr auto hash_comment = "a comment begins with // or /*, not with '#'";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_word(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '+' ||
           c == '.';
}

std::string hex_byte(unsigned char byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    return {'0', 'x', digits[byte >> 4], digits[byte & 15]};
}

// Length of the UTF-8 sequence at the begin of `text` (RFC 3629: no overlong forms, no surrogates); 0: not valid.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
        return byte(i) >= low && byte(i) <= high;
    };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF)
        return follows(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && follows(2) ? 3 : 0;
    if (first >= 0xF0 && first <= 0xF4)
        return follows(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && follows(2) && follows(3) ? 4 : 0;
    return 0;
}

// Walks the text by the grammar until it breaks. Each function that reads something returns false once `error_` is set.
class Explainer {
  public:
    explicit Explainer(std::string_view text) : text_(text) {}

    SyntaxError run() {
        if (walk()) fail(text_.size(), "this is not JSON"); // the parser refused what this walk did not
        return error_;
    }

  private:
    struct Open {
        bool object = false;
        std::size_t at = 0;
        std::string key;       // object: of the member that is being read
        std::size_t index = 0; // array: of the element that is being read
    };
    enum class Want : std::uint8_t { value, value_or_close, key, key_or_close, colon, comma_or_close, end };

    bool walk() {
        Want want = Want::value;
        while (skip_filler()) {
            if (want == Want::end) return at_ == text_.size() || fail(at_, "text after the end of the document");
            if (at_ == text_.size()) return fail_at_end();
            if (!step(want)) return false;
        }
        return false;
    }

    bool step(Want& want) {
        const char c = text_[at_];
        const bool closes = c == '}' || c == ']';
        switch (want) {
        case Want::value_or_close:
            if (c == ']') return close(want);
            [[fallthrough]];
        case Want::value:
            if (closes || c == ',' || c == ':') return fail_no_value(c);
            return read_value(want);
        case Want::key_or_close:
            if (c == '}') return close(want);
            [[fallthrough]];
        case Want::key:
            if (c != '"') return fail_no_key(c);
            if (!read_string(&open_.back().key)) return false;
            want = Want::colon;
            return true;
        case Want::colon:
            if (c != ':') return fail(at_, "expected ':' and a value after the key '" + open_.back().key + "'");
            ++at_;
            want = Want::value;
            return true;
        case Want::comma_or_close:
            if (closes) return close(want);
            if (c != ',')
                return fail(at_, std::string("expected ',' or '") + (open_.back().object ? '}' : ']') +
                                     "' here: is a comma missing after the value before?");
            comma_at_ = at_++;
            after_comma_ = true;
            ++open_.back().index;
            open_.back().key.clear();
            want = open_.back().object ? Want::key : Want::value;
            return true;
        case Want::end: break;
        }
        return false;
    }

    bool read_value(Want& want) {
        const char c = text_[at_];
        after_comma_ = false;
        if (c == '{' || c == '[') {
            open_.push_back({c == '{', at_++, {}, 0});
            want = c == '{' ? Want::key_or_close : Want::value_or_close;
            return true;
        }
        want = open_.empty() ? Want::end : Want::comma_or_close;
        if (c == '"') return read_string(nullptr);
        return read_bare_word();
    }

    bool close(Want& want) {
        const char c = text_[at_];
        const Open& innermost = open_.back();
        if ((c == '}') != innermost.object)
            return fail(at_, std::string("'") + c + "' does not close the " + opened_at(innermost));
        ++at_;
        open_.pop_back();
        want = open_.empty() ? Want::end : Want::comma_or_close;
        return true;
    }

    // A string with its escapes. `raw` gets what is between the quotes, as written.
    bool read_string(std::string* raw) {
        const std::size_t quote = at_++;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"') {
                if (raw != nullptr) *raw = text_.substr(quote + 1, at_ - quote - 1);
                ++at_;
                return true;
            }
            if (c == '\n' || c == '\r') break;
            if (static_cast<unsigned char>(c) < 0x20)
                return fail(at_, "a control character (" + hex_byte(static_cast<unsigned char>(c)) +
                                     ") inside a string" + (c == '\t' ? ": write \\t" : ""));
            if (c != '\\')
                ++at_;
            else if (!read_escape())
                return false;
        }
        return fail(quote, "this string is not closed: '\"' is missing on its line");
    }

    bool read_escape() {
        const std::size_t begin = at_;
        const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\n';
        if (c == 'u') return read_unicode_escape(begin);
        if (std::string_view("\"\\/bfnrt").find(c) == npos) {
            if (c == '\n' || c == '\r') return fail(begin, "a string cannot go on in the next line");
            return fail(begin, std::string("'\\") + c + "' is not an escape of JSON: write '\\\\' for a backslash");
        }
        at_ += 2;
        return true;
    }

    // -1: not four hexadecimal digits at `at`.
    int hex4(std::size_t at) const {
        int value = 0;
        for (std::size_t i = at; i < at + 4; ++i) {
            if (i >= text_.size()) return -1;
            const char c = text_[i];
            if (is_digit(c))
                value = value * 16 + (c - '0');
            else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                value = value * 16 + ((c | 0x20) - 'a' + 10);
            else
                return -1;
        }
        return value;
    }

    bool read_unicode_escape(std::size_t begin) {
        const int unit = hex4(begin + 2);
        if (unit < 0) return fail(begin, "'\\u' wants four hexadecimal digits");
        at_ = begin + 6;
        if (unit < 0xD800 || unit > 0xDFFF) return true;
        const int second = text_.substr(at_, 2) == "\\u" ? hex4(at_ + 2) : -1;
        if (unit >= 0xDC00 || second < 0xDC00 || second > 0xDFFF)
            return fail(begin, "'" + std::string(text_.substr(begin, 6)) + "' is one half of a surrogate pair");
        at_ += 6;
        return true;
    }

    // true, false, null, a number, or what somebody took for one.
    bool read_bare_word() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_word(text_[at_]))
            ++at_;
        const std::string word(text_.substr(begin, at_ - begin));
        if (word == "true" || word == "false" || word == "null") return true;
        if (word.empty()) {
            if (text_[begin] == '#') return fail(begin, hash_comment);
            if (text_[begin] == '\'') return fail(begin, "strings are written in double quotes");
            return fail(begin, "expected a value, not '" + one_character(begin) + "'");
        }
        if (is_digit(word[0]) || word[0] == '-' || word[0] == '+' || word[0] == '.') return check_number(begin, word);
        for (const auto& [meant, slips] : literals)
            for (const std::string_view slip : slips)
                if (word == slip) return fail(begin, "'" + word + "' is not JSON: write " + std::string(meant));
        return fail(begin,
                    "'" + word + "' is neither true, false, null nor a number: strings are written in double quotes");
    }

    bool check_number(std::size_t begin, const std::string& word) {
        const auto digits = [&](std::size_t i) {
            while (i < word.size() && is_digit(word[i]))
                ++i;
            return i;
        };
        const std::size_t first = word[0] == '-' ? 1 : 0;
        if (word[0] == '+') return fail(begin, "a number must not begin with '+'");
        std::size_t i = digits(first);
        if (i == first && word[i] == '.')
            return fail(begin, "'" + word + "': a number begins with a digit: write 0" + word.substr(i));
        if (i == first) return fail(begin, "'" + word + "' is not a number of JSON");
        if (word[first] == '0' && i > first + 1)
            return fail(begin,
                        "'" + word + "': a number must not begin with 0; octal modes are strings: \"" + word + "\"");
        if (i < word.size() && word[i] == '.') {
            const std::size_t fraction = digits(i + 1);
            if (fraction == i + 1) return fail(begin, "'" + word + "': a digit is missing after the point");
            i = fraction;
        }
        if (i < word.size() && (word[i] | 0x20) == 'e') {
            std::size_t exponent = i + 1;
            if (exponent < word.size() && (word[exponent] == '+' || word[exponent] == '-')) ++exponent;
            i = digits(exponent) == exponent ? i : digits(exponent);
        }
        if (i < word.size())
            return fail(begin,
                        "'" + word + "' is not a number of JSON: values with a unit are strings: \"" + word + "\"");
        if (std::isinf(std::strtod(word.c_str(), nullptr)))
            return fail(begin, "the number '" + word + "' is too large");
        return true;
    }

    // White space and comments. False once a comment is broken.
    bool skip_filler() {
        for (;;) {
            at_ = text_.find_first_not_of(" \t\n\r", at_);
            if (at_ == npos) at_ = text_.size();
            if (at_ == text_.size() || text_[at_] != '/') return true;
            const char kind = at_ + 1 < text_.size() ? text_[at_ + 1] : ' ';
            if (kind == '/') {
                at_ = std::min(text_.find_first_of("\n\r", at_), text_.size());
            } else if (kind == '*') {
                const auto end = text_.find("*/", at_ + 2);
                if (end == npos) return fail(at_, "this comment is not closed: '*/' is missing");
                at_ = end + 2;
            } else {
                return fail(at_, is_word(kind) ? "strings are written in double quotes, comments begin with // or /*"
                                               : "a comment begins with // or /*");
            }
        }
    }

    bool fail_at_end() {
        if (open_.empty()) return fail(text_.size(), "the file is empty: expected an object, at least {}");
        const Open innermost = open_.back();
        return fail(text_.size(), std::string("the file ends too early: '") + (innermost.object ? '}' : ']') +
                                      "' is missing for the " + opened_at(innermost));
    }

    bool fail_no_value(char c) {
        if (c == ']' && after_comma_) return fail(comma_at_, "a comma before ']': remove it");
        return fail(at_, std::string("expected a value before '") + c + "'");
    }

    bool fail_no_key(char c) {
        if (c == '#') return fail(at_, hash_comment);
        if (c == '}' && after_comma_) return fail(comma_at_, "a comma before '}': remove it");
        if (c == '\'' || is_word(c)) return fail(at_, "keys are written in double quotes");
        if (c == ']') return fail(at_, "']' does not close the " + opened_at(open_.back()));
        return fail(at_, "expected a key in double quotes, not '" + one_character(at_) + "'");
    }

    std::string one_character(std::size_t at) const {
        return std::string(text_.substr(at, std::max<std::size_t>(1, utf8_length(text_.substr(at)))));
    }

    std::string opened_at(const Open& open) const {
        const Place place = place_in(text_, open.at);
        return std::string(open.object ? "object" : "list") + " that begins at " + std::to_string(place.line) + ":" +
               std::to_string(place.column);
    }

    bool fail(std::size_t offset, std::string message) {
        error_ = {offset, {}, std::move(message)};
        for (const Open& open : open_) {
            if (open.object && open.key.empty()) break;
            append_pointer(error_.pointer, open.object ? open.key : std::to_string(open.index));
        }
        return false;
    }

    struct Slips {
        std::string_view meant;
        std::array<std::string_view, 6> slips;
    };
    static constexpr std::array<Slips, 3> literals{{
        {"true", {"True", "TRUE", "yes", "Yes", "on", "On"}},
        {"false", {"False", "FALSE", "no", "No", "off", "Off"}},
        {"null", {"Null", "NULL", "None", "nil", "undefined", "nullptr"}},
    }};

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t comma_at_ = 0; // the comma before the value or key that is wanted, if after_comma_
    bool after_comma_ = false;
    std::vector<Open> open_;
    SyntaxError error_;
};

} // namespace

std::optional<SyntaxError> find_encoding_error(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF"))
        return SyntaxError{0, "", "the file begins with a byte order mark: save it as UTF-8 without one"};
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        return SyntaxError{0, "", "the file is UTF-16: save it as UTF-8"};
    for (std::size_t at = 0; at < text.size();) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte == 0) return SyntaxError{at, "", "a NUL byte: this is not a text file"};
        const std::size_t length = byte < 0x80 ? 1 : utf8_length(text.substr(at));
        if (length == 0) return SyntaxError{at, "", "the byte " + hex_byte(byte) + " is not valid UTF-8"};
        at += length;
    }
    return std::nullopt;
}

SyntaxError explain_syntax_error(std::string_view text) {
    return Explainer(text).run();
}

} // namespace keepd::config
