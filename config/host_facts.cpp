// What the config's checks ask the system. The one file of this room that does.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/load.hpp"
#include "config/lookup.hpp"
#include "config/paths.hpp"

namespace keepd::config {

namespace {

constexpr std::size_t most_bytes = (std::size_t{16} << 20) + 1; // one more than the parser takes: it will say so

std::string reason(int code) {
    return std::string(strerrordesc_np(code));
}

// An open file that is closed at the end of its scope; lib/sys has a better one, above this layer.
struct OpenFile {
    int fd = -1;
    explicit OpenFile(const std::string& path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile() {
        if (fd >= 0) close(fd);
    }
};

keep::Result<std::string> read_file(const std::string& path) {
    const OpenFile file(path);
    struct stat status{};
    if (file.fd < 0) return keep::fail_errno("open", path, errno);
    if (fstat(file.fd, &status) != 0) return keep::fail_errno("stat", path, errno);
    if (S_ISDIR(status.st_mode)) return keep::fail_errno("read", path, EISDIR);
    if (!S_ISREG(status.st_mode)) return keep::fail("read '" + path + "': not a regular file"); // a FIFO would block
    std::string text(std::min(static_cast<std::size_t>(status.st_size) + 1, most_bytes), '\0');
    std::size_t used = 0;
    while (used < most_bytes) {
        if (used == text.size()) text.resize(std::min(text.size() * 2, most_bytes)); // it grew meanwhile
        const ssize_t count = read(file.fd, text.data() + used, text.size() - used);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return keep::fail_errno("read", path, errno);
        if (count == 0) break;
        used += static_cast<std::size_t>(count);
    }
    text.resize(used);
    return text;
}

std::vector<std::string> find_paths(const std::string& pattern) {
    glob_t found{};
    std::vector<std::string> paths;
    if (glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    globfree(&found);
    std::sort(paths.begin(), paths.end()); // glob() sorts by locale
    return paths;
}

// Calls one of the getXX_r functions with a buffer that grows until the entry fits.
template <typename Entry, typename Call>
bool ask_database(Entry& entry, std::vector<char>& buffer, Call call) {
    constexpr std::size_t most = std::size_t{1} << 20;
    for (buffer.resize(1024); buffer.size() <= most; buffer.resize(buffer.size() * 4)) {
        Entry* found = nullptr;
        const int code = call(&entry, buffer.data(), buffer.size(), &found);
        if (code == EINTR) continue;
        if (code != ERANGE) return code == 0 && found != nullptr;
    }
    return false;
}

std::optional<Facts::Names> find_user(const std::string& user) {
    passwd entry{};
    std::vector<char> buffer;
    const auto by_name = [&](passwd* into, char* data, std::size_t size, passwd** found) {
        return getpwnam_r(user.c_str(), into, data, size, found);
    };
    const auto id = as_id(user);
    const auto by_id = [&](passwd* into, char* data, std::size_t size, passwd** found) {
        return getpwuid_r(*id, into, data, size, found);
    };
    if (!(id ? ask_database(entry, buffer, by_id) : ask_database(entry, buffer, by_name))) return std::nullopt;

    Facts::Names names{entry.pw_uid, entry.pw_gid, {}, entry.pw_name, entry.pw_dir, entry.pw_shell};
    if (names.shell.empty()) names.shell = "/bin/sh"; // passwd(5)
    int count = 32;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    while (getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0 && count > 0) {
        if (static_cast<std::size_t>(count) <= groups.size()) count = static_cast<int>(groups.size()) * 2;
        groups.resize(static_cast<std::size_t>(count));
    }
    names.groups.assign(groups.begin(), groups.begin() + std::max(count, 0));
    return names;
}

std::optional<std::uint32_t> find_group(const std::string& name) {
    if (const auto id = as_id(name)) return id; // a number needs no entry
    group entry{};
    std::vector<char> buffer;
    const auto by_name = [&](group* into, char* data, std::size_t size, group** found) {
        return getgrnam_r(name.c_str(), into, data, size, found);
    };
    if (!ask_database(entry, buffer, by_name)) return std::nullopt;
    return entry.gr_gid;
}

// Nothing: `path` can be executed; else why not.
std::optional<std::string> why_not_executable(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0) return errno == ENOENT ? "no such file" : reason(errno);
    if (S_ISDIR(status.st_mode)) return "it is a directory";
    if (!S_ISREG(status.st_mode)) return "it is not a regular file";
    if (faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0)
        return errno == EACCES ? "it is not executable" : reason(errno);
    return std::nullopt;
}

// A bare name is looked for in the absolute directories of keepd's own PATH: the first that can be executed wins.
std::expected<std::string, std::string> find_executable(const std::string& command) {
    if (command.find('/') != std::string::npos) {
        if (auto why = why_not_executable(command)) return std::unexpected(std::move(*why));
        return command;
    }
    const char* set = std::getenv("PATH");
    const std::string list = set != nullptr ? set : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::string nearly;
    for (std::size_t begin = 0; begin <= list.size();) {
        const std::size_t end = std::min(list.find(':', begin), list.size());
        const std::string directory = list.substr(begin, end - begin);
        begin = end + 1;
        if (!directory.starts_with('/')) continue; // the current directory has no say in what a daemon executes
        std::string path = directory + "/" + command;
        const auto why = why_not_executable(path);
        if (!why) return path;
        if (*why == "it is not executable" && nearly.empty()) nearly = path + " is not executable";
    }
    return std::unexpected(nearly.empty() ? "no such file in PATH (" + list + ")" : nearly);
}

std::optional<std::string> why_no_directory(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0) return errno == ENOENT ? "it does not exist" : reason(errno);
    if (!S_ISDIR(status.st_mode)) return "it is not a directory";
    return std::nullopt;
}

// Who can write here decides what root executes.
std::optional<std::string> writable_by_others(const std::string& path, const char* what) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0) return std::nullopt; // reading it will say what is wrong
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return std::nullopt;
    const std::string who = (status.st_mode & S_IWOTH) != 0 ? "everybody" : "its group";
    return std::string(what) + " '" + path + "' is writable by " + who +
           ": as root keepd does not read it (chmod go-w would mend it)";
}

// The file and its directory; where the path is a symbolic link, also the directory in which the file really lies.
std::optional<std::string> why_distrusted(const std::string& path) {
    if (auto why = writable_by_others(path, "the file")) return why;
    if (auto why = writable_by_others(directory_of(path), "the directory")) return why;
    char* real = realpath(path.c_str(), nullptr);
    if (real == nullptr) return std::nullopt;
    const std::string resolved = real;
    std::free(real);
    return writable_by_others(directory_of(resolved), "the directory");
}

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value == '/' ? value : ""; // the XDG specification ignores relative paths
}

} // namespace

std::optional<std::uint32_t> as_id(const std::string& text) {
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (id == std::numeric_limits<std::uint32_t>::max()) return std::nullopt; // "no change", for the kernel
    return id;
}

Facts host_facts() {
    Facts facts;
    facts.uid = geteuid();
    facts.root = facts.uid == 0;
    facts.read_file = read_file;
    facts.glob = find_paths;
    facts.user = find_user;
    facts.group = find_group;
    facts.executable = find_executable;
    facts.directory = why_no_directory;
    facts.distrust = [root = facts.root](const std::string& path) {
        return root ? why_distrusted(path) : std::nullopt;
    };
    if (char* here = getcwd(nullptr, 0); here != nullptr) {
        facts.current_dir = here;
        std::free(here);
    }
    facts.home = variable("HOME");
    if (facts.home.empty())
        if (const auto names = find_user(std::to_string(facts.uid))) facts.home = names->home;
    const auto xdg = [&](const char* name, const char* below_home) {
        const std::string set = variable(name);
        return set.empty() ? facts.home + below_home : set;
    };
    facts.config_home = xdg("XDG_CONFIG_HOME", "/.config");
    facts.state_home = xdg("XDG_STATE_HOME", "/.local/state");
    facts.runtime_home = xdg("XDG_RUNTIME_DIR", "/.local/state/run");
    return facts;
}

} // namespace keepd::config
