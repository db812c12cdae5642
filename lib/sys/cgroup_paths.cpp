#include "lib/sys/cgroup_paths.hpp"

#include <charconv>

namespace keep::sys::cgroup {
namespace {

// Takes the text up to the next `separator` off the front of `text`.
std::string_view take(std::string_view& text, char separator) {
    const std::size_t end = text.find(separator);
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
}

bool is_octal(char c) {
    return c >= '0' && c <= '7';
}

// The kernel writes space, tab, newline and backslash in mountinfo as \040, \011, \012 and \134.
std::string unescape(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
            is_octal(text[i + 3])) {
            plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

} // namespace

std::optional<std::string> parse_own_path(std::string_view proc_cgroup) {
    while (!proc_cgroup.empty()) {
        std::string_view line = take(proc_cgroup, '\n');
        if (!line.starts_with("0::/")) continue;
        line.remove_prefix(3);
        if (line == "/.." || line.starts_with("/../")) return std::nullopt;
        return std::string(line);
    }
    return std::nullopt;
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
// (1)(2)(3)  (root)(point) (options) (optional, any number) (-) (type) ...
std::vector<Mount> parse_mounts(std::string_view mountinfo) {
    std::vector<Mount> mounts;
    while (!mountinfo.empty()) {
        std::string_view line = take(mountinfo, '\n');
        for (int skipped = 0; skipped < 3; ++skipped)
            take(line, ' ');
        const std::string_view root = take(line, ' ');
        const std::string_view point = take(line, ' ');
        while (!line.empty() && take(line, ' ') != "-") {
        }
        if (take(line, ' ') == "cgroup2") mounts.push_back({unescape(root), unescape(point)});
    }
    return mounts;
}

std::optional<std::string> directory_under(const Mount& mount, std::string_view path) {
    const std::string_view root = mount.root == "/" ? std::string_view() : std::string_view(mount.root);
    if (!path.starts_with(root)) return std::nullopt;
    path.remove_prefix(root.size());
    if (!path.empty() && path.front() != '/') return std::nullopt; // "/ab" is not below "/a"
    if (path == "/") path = {};
    return mount.point + std::string(path);
}

std::optional<bool> parse_populated(std::string_view events) {
    while (!events.empty()) {
        const std::string_view line = take(events, '\n');
        if (line == "populated 1") return true;
        if (line == "populated 0") return false;
    }
    return std::nullopt;
}

std::vector<pid_t> parse_procs(std::string_view procs) {
    std::vector<pid_t> pids;
    while (!procs.empty()) {
        const std::string_view line = take(procs, '\n');
        pid_t pid = 0;
        const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), pid);
        if (error == std::errc{} && end == line.data() + line.size()) pids.push_back(pid);
    }
    return pids;
}

} // namespace keep::sys::cgroup
