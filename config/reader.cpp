#include "config/reader.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "lib/base/signals.hpp"
#include "lib/base/text.hpp"

namespace keepd::config {

namespace {

constexpr std::string_view a_duration = "a duration such as \"500ms\", \"10s\" or \"1h30m\", or a number of seconds";
constexpr std::string_view a_size = "a size such as \"50MB\" or \"64MiB\", or a number of bytes";
constexpr std::string_view a_signal = "a signal such as \"SIGTERM\" or 15";
constexpr std::string_view a_mode = "an octal string such as \"0022\" or \"0660\"";
constexpr std::string_view an_absolute_path = "an absolute path";

std::string without_empty_steps(std::string_view path) {
    std::string result;
    for (std::size_t at = 0; at < path.size();) {
        if (path[at] == '/' && path.substr(at, 2) == "//")
            at += 1;
        else if (path.substr(at, 3) == "/./" || path.substr(at) == "/.")
            at += 2;
        else
            result += path[at++];
    }
    if (result.size() > 1 && result.ends_with('/')) result.pop_back();
    return result.empty() ? "/" : result;
}

std::string shortest(double number) {
    std::string text = std::to_string(number);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
}

} // namespace

void Reader::expected(const Value& value, std::string_view what) {
    faults.at(value, "expected " + std::string(what) + ", not " + describe(value));
}

bool Reader::text(const Value& value, std::string& target, std::string_view what) {
    if (value->kind != Kind::string) {
        const bool bare = value->kind == Kind::number || value->kind == Kind::boolean;
        const std::string hint = bare ? ": write \"" + describe(value) + "\"" : "";
        faults.at(value, "expected " + std::string(what) + ", not " + describe(value) + hint);
        return false;
    }
    if (value->text.find('\0') != std::string_view::npos) {
        faults.at(value, "the string holds \\u0000, which no argument, variable or path can");
        return false;
    }
    target = value->text;
    return true;
}

bool Reader::text_not_empty(const Value& value, std::string& target, std::string_view what) {
    if (value->kind == Kind::string && value->text.empty()) {
        expected(value, std::string(what) + " that is not empty");
        return false;
    }
    return text(value, target, what);
}

bool Reader::path(const Value& value, std::string& target) {
    if (value->kind != Kind::string || !value->text.starts_with('/')) {
        expected(value, an_absolute_path);
        return false;
    }
    std::string path;
    if (!text(value, path)) return false;
    target = without_empty_steps(path);
    return true;
}

bool Reader::file_path(const Value& value, std::string& target) {
    if (value->kind == Kind::string && value->text.starts_with('/') &&
        (value->text.ends_with('/') || value->text.ends_with("/."))) {
        expected(value, "the path of a file");
        return false;
    }
    return path(value, target);
}

bool Reader::boolean(const Value& value, bool& target) {
    if (value->kind != Kind::boolean) {
        expected(value, "true or false");
        return false;
    }
    target = value->truth;
    return true;
}

bool Reader::integer_in(const Value& value, std::int64_t least, std::int64_t most) {
    if (value->kind == Kind::number && value->whole && value->integer >= least && value->integer <= most) return true;
    const bool open_end = most == std::numeric_limits<std::int64_t>::max();
    expected(value, open_end ? "a whole number of at least " + std::to_string(least)
                             : "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return false;
}

bool Reader::number(const Value& value, double least, double most, double& target) {
    if (value->kind == Kind::number && value->number >= least && value->number <= most) {
        target = value->number;
        return true;
    }
    expected(value, std::isinf(most) ? "a number of at least " + shortest(least)
                                     : "a number from " + shortest(least) + " to " + shortest(most));
    return false;
}

bool Reader::duration(const Value& value, keep::Duration& target, Zero zero) {
    constexpr std::size_t longest_text = 36;
    constexpr double most_seconds = 9223372036.0; // nanoseconds in 63 bits: 292 years
    std::optional<keep::Duration> duration;
    if (value->kind == Kind::string && value->text.size() <= longest_text) {
        duration = keep::parse_duration(value->text);
    } else if (value->kind == Kind::number && value->number >= 0 && value->number <= most_seconds) {
        duration = keep::Duration(static_cast<std::int64_t>(std::llround(value->number * 1e9)));
    }
    if (!duration) {
        const bool bare_number = value->kind == Kind::string && !value->text.empty() &&
                                 value->text.find_first_not_of("0123456789.") == std::string_view::npos;
        if (bare_number)
            faults.at(value, describe(value) + " lacks a unit: write " + std::string(value->text) + " or \"" +
                                 std::string(value->text) + "s\" for seconds");
        else
            expected(value, a_duration);
        return false;
    }
    if (zero == Zero::refused && duration->count() == 0) {
        expected(value, "a duration longer than 0");
        return false;
    }
    target = *duration;
    return true;
}

bool Reader::size(const Value& value, std::uint64_t& target) {
    if (value->kind == Kind::number && value->whole && value->integer >= 0) {
        target = static_cast<std::uint64_t>(value->integer);
        return true;
    }
    const auto size = value->kind == Kind::string ? keep::parse_size(value->text) : std::nullopt;
    if (!size) {
        expected(value, a_size);
        return false;
    }
    target = *size;
    return true;
}

bool Reader::signal(const Value& value, int& target) {
    std::optional<int> number;
    if (value->kind == Kind::string) {
        number = keep::parse_signal(value->text);
    } else if (value->kind == Kind::number && value->whole) {
        number = keep::parse_signal(std::to_string(value->integer));
    }
    if (number) {
        target = *number;
        return true;
    }
    std::string hint;
    if (value->kind == Kind::string) {
        std::string upper(value->text.substr(0, 16));
        std::transform(upper.begin(), upper.end(), upper.begin(),
                       [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
        if (!upper.starts_with("SIG")) upper.insert(0, "SIG");
        const auto& names = keep::signal_names();
        hint = did_you_mean(upper, std::vector<std::string_view>(names.begin(), names.end()), '"');
    }
    faults.at(value, "expected " + std::string(a_signal) + ", not " + describe(value) + hint);
    return false;
}

bool Reader::mode(const Value& value, std::uint32_t& target) {
    std::string_view digits = value->kind == Kind::string ? value->text : "";
    if (digits.size() == 4 && digits[0] == '0') digits.remove_prefix(1);
    if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("01234567") != std::string_view::npos) {
        expected(value, a_mode);
        return false;
    }
    target = 0;
    for (const char digit : digits)
        target = target * 8 + static_cast<std::uint32_t>(digit - '0');
    return true;
}

bool Reader::name_or_id(const Value& value, std::string& target, std::string_view what) {
    constexpr std::int64_t largest = 4294967294; // 2^32-1 means "no id" to the kernel
    if (value->kind == Kind::number) {
        if (!integer_in(value, 0, largest)) return false;
        target = std::to_string(value->integer);
        return true;
    }
    if (value->kind != Kind::string) {
        expected(value, std::string(what) + " by name or number");
        return false;
    }
    return text_not_empty(value, target, what);
}

bool Reader::is_list(const Value& value, std::string_view what, std::size_t least) {
    if (value->kind == Kind::array && value->children.size() >= least) return true;
    if (value->kind == Kind::array)
        faults.at(value, "expected " + std::string(what) + ", not an empty one");
    else
        expected(value, what);
    return false;
}

void Reader::unknown_word(const Value& value, std::span<const std::string_view> known, std::string_view also) {
    const std::string hint = value->kind == Kind::string ? did_you_mean(value->text, known, '"') : "";
    faults.at(value, "expected " + std::string(also) + either(known) + ", not " + describe(value) + hint);
}

void Reader::unknown_key(const Value& member, std::span<const std::string_view> known) {
    constexpr std::size_t few = 8;
    const std::string message = "unknown key " + in_quotes(member->key);
    std::string hint = did_you_mean(member->key, known);
    if (hint.empty())
        hint = known.size() <= few ? ": expected " + either(known, '\'') : ": keepd.json(5) lists the keys";
    faults.at_key(member, message + hint);
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known, char quote) {
    constexpr std::size_t longest = 64; // a slip is short; a hostile key must not cost a large comparison
    constexpr std::size_t shortest_prefix = 3;
    if (word.size() > longest) return "";
    if (const auto near = keep::nearest(word, known)) return ", did you mean " + in_quotes(*near, quote) + "?";
    if (word.size() >= shortest_prefix)
        for (const std::string_view one : known)
            if (one.starts_with(word) || word.starts_with(one)) return ", did you mean " + in_quotes(one, quote) + "?";
    return "";
}

std::string either(std::span<const std::string_view> words, char quote) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
        text += in_quotes(words[i], quote);
    }
    return text;
}

} // namespace keepd::config
