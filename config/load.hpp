// JSON text to Plan. Either a Plan, or every fault of the files with its place; never half of either.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/plan.hpp"
#include "lib/base/error.hpp"

namespace keepd::config {

// One fault. to_text() gives "FILE:LINE:COLUMN: POINTER: MESSAGE".
struct Fault {
    std::string file;
    std::size_t line = 0;   // from 1; 0: the file as a whole
    std::size_t column = 0; // from 1, in bytes
    std::string pointer;    // JSON pointer (RFC 6901), "" for the document
    std::string message;    // what is wrong, what was expected, the nearest valid word
    bool operator==(const Fault&) const = default;
};
std::string to_text(const Fault&);

// What the checks need to know of the host. The real one (host_facts()) asks the system; tests bring their own.
// A check that must not look (keepctl check --offline on another machine) can answer as it likes.
struct Facts {
    struct Names {
        std::uint32_t uid = 0, gid = 0;
        std::vector<std::uint32_t> groups;
        std::string name, home, shell;
    };
    std::function<keep::Result<std::string>(const std::string& path)> read_file;
    std::function<std::vector<std::string>(const std::string& pattern)> glob; // sorted absolute paths
    std::function<std::optional<Names>(const std::string& user)> user;        // by name or number
    std::function<std::optional<std::uint32_t>(const std::string& group)> group;
    // Absolute path of an argv[0] (looked up in PATH when it has no slash), or why not: "no such file", ...
    std::function<std::expected<std::string, std::string>(const std::string& command)> executable;
    std::function<std::optional<std::string>(const std::string& path)> directory; // nothing: fine; else why not
    // Why a config file must not be trusted (as root: it or its directory writable by others); nothing: fine.
    std::function<std::optional<std::string>(const std::string& path)> distrust;
    bool root = false;                                       // decides the default directories
    std::string home, config_home, state_home, runtime_home; // XDG, where not root
    std::uint32_t uid = 0;                                   // keepd's own user
    std::string current_dir;                                 // makes the path given to load() absolute
};
Facts host_facts();

// Reads the file at `path` (made absolute) with its includes.
// Errors: at most one syntax error per file, or all semantic faults, in the order of the text. Never empty.
std::expected<Plan, std::vector<Fault>> load(const std::string& path, const Facts&);

// The default place of the config: /etc/keepd/keepd.json as root, else $XDG_CONFIG_HOME/keepd/keepd.json.
std::string default_path(const Facts&);
// The control socket's default path, for keepctl without a config.
std::string default_socket(const Facts&);

} // namespace keepd::config
