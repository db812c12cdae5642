// What /proc says about control groups, read from its text. Pure: cgroup.cpp does the reading. cgroups(7), proc(5).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace keep::sys::cgroup {

// The path of the "0::" line of /proc/PID/cgroup, as seen from the reader's cgroup namespace. Nothing without cgroup
// v2, and for a path outside of that namespace ("/../x").
std::optional<std::string> parse_own_path(std::string_view proc_cgroup);

// A cgroup v2 mount of /proc/PID/mountinfo. On a hybrid host it lies beside the v1 ones (/sys/fs/cgroup/unified).
struct Mount {
    std::string root;  // the directory of the hierarchy that is mounted, "/" mostly
    std::string point; // where
    bool operator==(const Mount&) const = default;
};
std::vector<Mount> parse_mounts(std::string_view mountinfo);

// The directory of the cgroup `path` under `mount`; nothing if it lies outside of the part that is mounted there.
std::optional<std::string> directory_under(const Mount& mount, std::string_view path);

// "populated 1" of cgroup.events.
std::optional<bool> parse_populated(std::string_view events);

// The lines of cgroup.procs. A process of a foreign PID namespace shows as 0.
std::vector<pid_t> parse_procs(std::string_view procs);

} // namespace keep::sys::cgroup
