#include "daemon/core/field_text.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "lib/base/signals.hpp"

namespace keepd::core::field_text {

namespace {

template <typename Element, typename Text>
std::string list(const std::vector<Element>& elements, Text text) {
    std::string out = "[";
    for (const Element& element : elements) {
        if (out.size() > 1) out += ", ";
        out += text(element);
    }
    return out + "]";
}

std::string quoted_word(std::string_view word) {
    return "\"" + std::string(word) + "\"";
}

} // namespace

std::string of(const std::string& text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out = "\"";
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        switch (letter) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\t': out += "\\t"; break;
        default:
            if (byte < 0x20 || byte == 0x7f)
                out += std::string("\\u00") + digits[byte >> 4] + digits[byte & 15];
            else
                out += letter;
        }
    }
    return out + "\"";
}

std::string of(bool value) {
    return value ? "true" : "false";
}
std::string of(int number) {
    return std::to_string(number);
}
std::string of(std::uint64_t number) {
    return std::to_string(number);
}

std::string of(double number) {
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
    return {buffer.data(), end};
}

std::string of(config::Duration duration) {
    return quoted_word(keep::to_text(duration));
}

std::string of(config::Type type) {
    switch (type) {
    case config::Type::simple: return quoted_word("simple");
    case config::Type::oneshot: return quoted_word("oneshot");
    }
    return {};
}

std::string of(config::RestartPolicy policy) {
    switch (policy) {
    case config::RestartPolicy::no: return quoted_word("no");
    case config::RestartPolicy::always: return quoted_word("always");
    case config::RestartPolicy::on_failure: return quoted_word("on-failure");
    case config::RestartPolicy::on_abnormal: return quoted_word("on-abnormal");
    }
    return {};
}

std::string of(config::StartLimitAction action) {
    switch (action) {
    case config::StartLimitAction::slow: return quoted_word("slow");
    case config::StartLimitAction::fail: return quoted_word("fail");
    case config::StartLimitAction::shutdown: return quoted_word("shutdown");
    }
    return {};
}

std::string of(config::KillMode mode) {
    switch (mode) {
    case config::KillMode::tree: return quoted_word("tree");
    case config::KillMode::group: return quoted_word("group");
    case config::KillMode::process: return quoted_word("process");
    }
    return {};
}

std::string of(config::LogLevel level) {
    switch (level) {
    case config::LogLevel::debug: return quoted_word("debug");
    case config::LogLevel::info: return quoted_word("info");
    case config::LogLevel::warning: return quoted_word("warning");
    case config::LogLevel::error: return quoted_word("error");
    }
    return {};
}

std::string of(const std::vector<std::string>& texts) {
    return list(texts, [](const std::string& text) { return of(text); });
}

std::string of(const std::vector<config::ExitMatch>& matches) {
    return list(matches, [](const config::ExitMatch& match) {
        return match.kind == config::ExitMatch::Kind::code ? of(match.value) : signal(match.value);
    });
}

std::string of(const std::vector<config::StopStep>& sequence) {
    return list(sequence,
                [](const config::StopStep& step) { return "[" + signal(step.signal) + ", " + of(step.wait) + "]"; });
}

std::string of(const std::vector<config::EnvFile>& files) {
    return list(files, [](const config::EnvFile& file) { return of((file.optional ? "-" : "") + file.path); });
}

std::string of(const config::EnvInherit& inherit) {
    return inherit.all ? "true" : of(inherit.names);
}

std::string of(const config::Limit& limit) {
    const auto one = [](std::uint64_t value) {
        return value == config::Limit::infinity ? quoted_word("infinity") : of(value);
    };
    return limit.soft == limit.hard ? one(limit.soft) : "[" + one(limit.soft) + ", " + one(limit.hard) + "]";
}

std::string of(const config::Output& output) {
    switch (output.kind) {
    case config::Output::Kind::file: return of(output.path);
    case config::Output::Kind::null: return quoted_word("null");
    case config::Output::Kind::inherit: return quoted_word("inherit");
    case config::Output::Kind::to_stdout: return quoted_word("stdout");
    }
    return {};
}

std::string octal(std::uint32_t mode) {
    std::array<char, 16> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), mode, 8).ptr;
    const std::string digits(buffer.data(), end);
    return quoted_word(std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits);
}

std::string signal(int number) {
    return number == 0 ? absent : quoted_word(keep::signal_name(number));
}

std::string user(const std::optional<config::Identity>& identity) {
    if (!identity) return absent;
    return of(identity->user.empty() ? std::to_string(identity->uid) : identity->user);
}

std::string group(const config::Identity& identity) {
    return of(std::to_string(identity.gid));
}

} // namespace keepd::core::field_text
