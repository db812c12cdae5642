#include "lib/sys/procfs.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

#include "lib/sys/fd.hpp"

namespace keep::sys {
namespace {

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string directory_of(pid_t pid) {
    return "/proc/" + std::to_string(pid);
}

// The numeric names in a directory of /proc.
Result<std::vector<pid_t>> numbers_in(const std::string& dir) {
    const std::unique_ptr<DIR, decltype([](DIR* open) { ::closedir(open); })> list(::opendir(dir.c_str()));
    if (!list) return fail_errno("opendir", dir, errno);
    std::vector<pid_t> numbers;
    while (const dirent* entry = ::readdir(list.get())) {
        if (const auto number = number_of<pid_t>(entry->d_name)) numbers.push_back(*number);
    }
    return numbers;
}

std::vector<pid_t> pids_in(std::string_view text) {
    std::vector<pid_t> pids;
    while (!text.empty()) {
        const std::size_t end = text.find_first_of(" \n");
        if (const auto pid = number_of<pid_t>(text.substr(0, end))) pids.push_back(*pid);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return pids;
}

Result<std::vector<pid_t>> children_by_scan(pid_t parent) {
    auto everyone = all_processes();
    if (!everyone) return everyone;
    std::erase_if(*everyone, [parent](pid_t pid) {
        const auto stat = process_stat(pid);
        return !stat || stat->parent != parent;
    });
    return everyone;
}

} // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
    // The name is between the first '(' and the last ')': what follows are numbers only.
    const std::size_t open = text.find(" (");
    const std::size_t close = text.rfind(") ");
    if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2) return std::nullopt;
    std::array<std::string_view, 20> fields; // the 3rd (state) to the 22nd (start time) as proc(5) counts
    std::string_view rest = text.substr(close + 2);
    for (std::string_view& field : fields) {
        const std::size_t end = rest.find_first_of(" \n");
        field = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    const auto pid = number_of<pid_t>(text.substr(0, open));
    const auto parent = number_of<pid_t>(fields[1]);
    const auto group = number_of<pid_t>(fields[2]);
    const auto session = number_of<pid_t>(fields[3]);
    const auto start = number_of<std::uint64_t>(fields[19]);
    if (!pid || fields[0].size() != 1 || !parent || !group || !session || !start) return std::nullopt;
    return ProcessStat{
        *pid, std::string(text.substr(open + 2, close - open - 2)), fields[0][0], *parent, *group, *session, *start};
}

Result<ProcessStat> process_stat(pid_t pid) {
    const std::string path = directory_of(pid) + "/stat";
    auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    auto stat = parse_process_stat(*text);
    if (!stat) return fail("'" + path + "' is not of the form that proc(5) describes", EPROTO);
    return *stat;
}

Result<std::vector<pid_t>> children_of(pid_t pid) {
    const std::string tasks = directory_of(pid) + "/task";
    auto threads = numbers_in(tasks);
    if (!threads) return threads;
    std::vector<pid_t> all;
    for (const pid_t thread : *threads) {
        auto text = read_file(tasks + "/" + std::to_string(thread) + "/children");
        if (text) {
            const auto pids = pids_in(*text);
            all.insert(all.end(), pids.begin(), pids.end());
        } else if (thread == pid) {
            return children_by_scan(pid); // no such file for a thread that lives: no CONFIG_PROC_CHILDREN
        }
    }
    return all;
}

Result<std::vector<pid_t>> descendants_of(pid_t pid) {
    auto found = children_of(pid);
    if (!found) return found;
    for (std::size_t next = 0; next < found->size(); ++next) {
        // One that ended since it was found has no children left: they have been handed on.
        const auto below = children_of((*found)[next]);
        if (!below) continue;
        for (const pid_t child : *below) {
            // Twice where one was handed to a subreaper within the tree while we looked.
            if (std::ranges::find(*found, child) == found->end()) found->push_back(child);
        }
    }
    return found;
}

Result<std::vector<pid_t>> all_processes() {
    return numbers_in("/proc");
}

Result<Fd> open_process_stat(pid_t pid) {
    return sys::open(directory_of(pid) + "/stat", O_RDONLY);
}

std::optional<ProcessEnd> parse_process_end(std::string_view stat) {
    const std::size_t close = stat.rfind(") ");
    if (close == std::string_view::npos) return std::nullopt;
    std::array<std::string_view, 50> fields; // the 3rd to the 52nd
    std::string_view rest = stat.substr(close + 2);
    for (std::string_view& field : fields) {
        const std::size_t end = rest.find_first_of(" \n");
        field = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    const auto start_code = number_of<std::uint64_t>(fields[23]); // 1 where we may not know
    const auto exit_code = number_of<int>(fields[49]);
    if (fields[0].size() != 1 || !start_code || !exit_code) return std::nullopt;
    return ProcessEnd{fields[0][0], *start_code > 1, *exit_code};
}

Result<ProcessEnd> process_end(int stat_fd) {
    std::array<char, 2048> text{};
    const ssize_t size = ::pread(stat_fd, text.data(), text.size(), 0);
    if (size < 0) return fail_errno("read stat of a process", "", errno);
    const auto end = parse_process_end({text.data(), static_cast<std::size_t>(size)});
    if (!end) return fail("stat of a process: not in its form", EPROTO);
    return *end;
}

namespace {

// The text behind "Key:\t" in /proc/PID/status; "" without.
std::string status_value(const std::string& process, std::string_view key) {
    const auto text = read_file("/proc/" + process + "/status");
    if (!text) return {};
    const std::string wanted = "\n" + std::string(key) + ":\t";
    const auto at = text->find(wanted);
    if (at == std::string::npos) return {};
    return text->substr(at + wanted.size(), text->find('\n', at + 1) - at - wanted.size());
}

} // namespace

bool may_trace_all() {
    constexpr std::uint64_t sys_ptrace = std::uint64_t{1} << 19;
    const std::string text = status_value("self", "CapEff");
    std::uint64_t effective = 0;
    std::from_chars(text.data(), text.data() + text.size(), effective, 16);
    return (effective & sys_ptrace) != 0;
}

std::optional<uid_t> real_user(pid_t pid) {
    const std::string text = status_value(std::to_string(pid), "Uid");
    return number_of<uid_t>(std::string_view(text).substr(0, text.find('\t')));
}

} // namespace keep::sys
