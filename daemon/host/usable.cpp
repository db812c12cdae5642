#include "daemon/host/usable.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sys/sockets.hpp"

namespace keepd::host {

namespace {

std::string because(int code) {
    return std::strerror(code); // NOLINT(concurrency-mt-unsafe): the main thread alone asks
}

// The directory in which something is to be made: there, or below one in which it can be made.
std::optional<std::string> why_not_made_in(std::filesystem::path directory) {
    struct stat about{};
    while (stat(directory.c_str(), &about) != 0) {
        if (errno != ENOENT || !directory.has_relative_path())
            return "directory '" + directory.string() + "': " + because(errno);
        directory = directory.parent_path();
    }
    if (!S_ISDIR(about.st_mode)) return "'" + directory.string() + "' is not a directory";
    if (access(directory.c_str(), W_OK | X_OK) != 0) return "directory '" + directory.string() + "': " + because(errno);
    return std::nullopt;
}

std::optional<std::string> why_no_socket(const std::string& path) {
    struct stat about{};
    if (lstat(path.c_str(), &about) == 0) {
        if (!S_ISSOCK(about.st_mode)) return "'" + path + "' is there and is not a socket";
        if (keep::sys::connect_unix(path)) return "another process answers at '" + path + "'";
    }
    return why_not_made_in(std::filesystem::path(path).parent_path());
}

std::optional<std::string> why_no_log(const std::string& path) {
    if (!path.starts_with('/')) return std::nullopt; // the journal, or the standard error
    struct stat about{};
    if (stat(path.c_str(), &about) != 0) return why_not_made_in(std::filesystem::path(path).parent_path());
    if (S_ISDIR(about.st_mode)) return "'" + path + "' is a directory";
    if (access(path.c_str(), W_OK) != 0) return "'" + path + "': " + because(errno);
    return std::nullopt;
}

} // namespace

std::vector<config::Fault> find_unusable(const config::Daemon& now, const config::Daemon& next) {
    std::vector<config::Fault> faults;
    const auto add = [&](const char* pointer, std::optional<std::string> why) {
        if (why) faults.push_back({next.config_path, 0, 0, pointer, std::move(*why)});
    };
    // A socket that only follows the runtime_dir stays until the next start.
    if (now.control.path != next.control.path && now.runtime_dir == next.runtime_dir)
        add("/control/path", why_no_socket(next.control.path));
    if (now.log.target != next.log.target) add("/log/target", why_no_log(next.log.target));
    return faults;
}

} // namespace keepd::host
