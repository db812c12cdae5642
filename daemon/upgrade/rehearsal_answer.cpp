#include "daemon/upgrade/rehearsal_answer.hpp"

#include <algorithm>
#include <charconv>
#include <map>

namespace keepd::upgrade {

namespace {
constexpr std::string_view first_line = "keepd-rehearsal=1";
}

std::string to_text(const Answer& answer) {
    std::string text(first_line);
    text += "\nversion=" + answer.version + "\nbuild_id=" + answer.build_id + "\nformat=" + answer.format +
            "\ndigest=" + answer.digest + "\nprograms=" + std::to_string(answer.programs) + "\nend\n";
    return text;
}

keep::Result<Answer> parse_answer(std::string_view text) {
    if (text.empty()) return keep::fail("it answered nothing");
    if (!text.starts_with(first_line)) return keep::fail("it answered something that is no rehearsal's answer");
    if (!text.ends_with("\nend\n")) return keep::fail("its answer is cut short");
    text.remove_prefix(first_line.size() + 1);
    text.remove_suffix(4);
    std::map<std::string_view, std::string_view> values;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        const auto equals = line.find('=');
        if (equals == std::string_view::npos || !values.emplace(line.substr(0, equals), line.substr(equals + 1)).second)
            return keep::fail("its answer makes no sense");
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    Answer answer;
    for (auto [key, field] : {std::pair{"version", &answer.version},
                              {"build_id", &answer.build_id},
                              {"format", &answer.format},
                              {"digest", &answer.digest}}) {
        const auto found = values.find(key);
        if (found == values.end() || found->second.empty())
            return keep::fail(std::string("its answer names no ") + key);
        *field = found->second;
    }
    const auto programs = values.find("programs");
    if (programs == values.end()) return keep::fail("its answer names no programs");
    const auto number = programs->second;
    const auto [end, bad] = std::from_chars(number.data(), number.data() + number.size(), answer.programs);
    if (bad != std::errc{} || end != number.data() + number.size()) return keep::fail("its answer makes no sense");
    return answer;
}

} // namespace keepd::upgrade
