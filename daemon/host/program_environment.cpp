#include "daemon/host/program_environment.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <map>

#include "lib/sys/fd.hpp"

namespace keepd::host {

// More than execve takes in all.
constexpr std::size_t most_of_env_file = std::size_t{4} << 20;

namespace {

using Variables = std::map<std::string, std::string>;

bool is_name(std::string_view name) {
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
    return std::ranges::all_of(name,
                               [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; });
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

void inherit(Variables& into, const config::EnvInherit& which, const std::vector<std::string>& original) {
    for (const auto& variable : original) {
        const auto equals = variable.find('=');
        if (equals == std::string::npos || equals == 0) continue;
        const auto name = variable.substr(0, equals);
        // What systemd said to keepd is not meant for its programs: they would speak for keepd.
        const bool keepds_own = name == "NOTIFY_SOCKET" || name.starts_with("LISTEN_") ||
                                name.starts_with("WATCHDOG_") || name == "JOURNAL_STREAM" || name == "INVOCATION_ID" ||
                                name == "MAINPID";
        const bool named = std::ranges::find(which.names, name) != which.names.end();
        if (which.all ? !keepds_own : named) into[name] = variable.substr(equals + 1);
    }
}

} // namespace

keep::Result<std::vector<std::pair<std::string, std::string>>> parse_env_file(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> assignments;
    for (std::size_t number = 1; !text.empty(); ++number) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        line = trimmed(line);
        if (line.empty() || line[0] == '#' || line[0] == ';') continue;
        if (line.starts_with("export ")) line = trimmed(line.substr(7));
        const auto equals = line.find('=');
        const auto name = line.substr(0, equals == std::string_view::npos ? line.size() : equals);
        if (equals == std::string_view::npos || !is_name(name))
            return keep::fail("line " + std::to_string(number) + " is not KEY=value");
        auto value = line.substr(equals + 1);
        if (value.find('\0') != std::string_view::npos)
            return keep::fail("line " + std::to_string(number) + " holds a NUL byte");
        if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0])
            value = value.substr(1, value.size() - 2);
        assignments.emplace_back(name, value);
    }
    return assignments;
}

keep::Result<std::vector<std::string>> environment_of(const config::Program& program,
                                                      const std::vector<std::string>& original) {
    Variables variables;
    inherit(variables, program.env_inherit, original);
    if (program.identity) {
        variables["HOME"] = program.identity->home;
        variables["USER"] = variables["LOGNAME"] = program.identity->user;
        variables["SHELL"] = program.identity->shell;
    }
    for (const auto& file : program.env_files) {
        const auto text = keep::sys::read_regular_file(file.path, most_of_env_file);
        if (!text && file.optional && text.error().code == ENOENT) continue;
        if (!text) return keep::fail("env_file: " + text.error().message, text.error().code);
        const auto assignments = parse_env_file(*text);
        if (!assignments) return keep::fail_in("env_file '" + file.path + "'", assignments.error());
        for (const auto& [name, value] : *assignments)
            variables[name] = value;
    }
    for (const auto& [name, value] : program.environment) {
        if (value)
            variables[name] = *value;
        else
            variables.erase(name);
    }
    std::vector<std::string> result;
    result.reserve(variables.size());
    for (const auto& [name, value] : variables)
        result.push_back(name + "=" + value);
    return result;
}

std::string run_mark(core::RunId run, std::uint64_t instance) {
    char text[64];
    std::snprintf(text, sizeof text, "KEEPD_RUN=%llu-%016llx", static_cast<unsigned long long>(run.value),
                  static_cast<unsigned long long>(instance));
    return text;
}

} // namespace keepd::host
