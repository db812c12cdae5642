#include "tests/config/hermetic_facts.hpp"

#include <cstdint>

#include "lib/base/text.hpp"

namespace keepd::config::testing {

namespace {

const std::string directory = "/etc/keepd/";

} // namespace

Facts hermetic_facts(Files files) {
    Facts facts;
    facts.root = true;
    facts.read_file = [files](const std::string& path) -> keep::Result<std::string> {
        const auto found = files.find(path);
        if (found == files.end()) return keep::fail_errno("open", path, 2);
        return found->second;
    };
    facts.glob = [files](const std::string& pattern) {
        std::vector<std::string> paths;
        for (const auto& [path, text] : files)
            if (keep::glob_match(pattern, path)) paths.push_back(path);
        return paths;
    };
    facts.user = [](const std::string& user) -> std::optional<Facts::Names> {
        if (user == "root" || user == "0") return Facts::Names{0, 0, {0}, "root", "/root", "/bin/bash"};
        if (user == "www-data" || user == "33") return Facts::Names{33, 33, {33}, "www-data", "/var/www", "/bin/sh"};
        if (user == "alice" || user == "1000")
            return Facts::Names{1000, 1000, {4, 1000}, "alice", "/home/alice", "/bin/zsh"};
        return std::nullopt;
    };
    facts.group = [](const std::string& group) -> std::optional<std::uint32_t> {
        static const std::map<std::string, std::uint32_t> groups{
            {"root", 0}, {"adm", 4}, {"www-data", 33}, {"alice", 1000}};
        const auto found = groups.find(group);
        return found == groups.end() ? std::nullopt : std::optional(found->second);
    };
    facts.executable = [](const std::string& command) -> std::expected<std::string, std::string> {
        if (command.starts_with("no-")) return std::unexpected("no such file in PATH (/usr/bin)");
        if (command.starts_with("/missing")) return std::unexpected("no such file");
        if (command == "/etc/passwd") return std::unexpected("it is not executable");
        return command.starts_with('/') ? command : "/usr/bin/" + command;
    };
    facts.directory = [](const std::string& path) -> std::optional<std::string> {
        if (path.starts_with("/missing")) return "it does not exist";
        return std::nullopt;
    };
    facts.distrust = [](const std::string&) { return std::nullopt; };
    return facts;
}

std::expected<Plan, std::vector<Fault>> load_files(Files files) {
    return load(directory + "keepd.json", hermetic_facts(std::move(files)));
}

std::expected<Plan, std::vector<Fault>> load_text(const std::string& text) {
    return load_files({{directory + "keepd.json", text}});
}

std::string listed(const std::vector<Fault>& faults) {
    std::string text;
    for (const Fault& fault : faults) {
        std::string line = to_text(fault);
        if (line.starts_with(directory)) line.erase(0, directory.size());
        text += line + "\n";
    }
    return text;
}

} // namespace keepd::config::testing
