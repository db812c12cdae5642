// Control groups v2 as the means to hold a whole process tree: no process leaves one by forking, setsid or a new
// parent. Only the hierarchy is used, no controller. cgroups(7), Documentation/admin-guide/cgroup-v2.rst.
// A cgroup is named by its directory, an absolute path.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/time.hpp"
#include "lib/sys/fd.hpp"

namespace keep::sys::cgroup {

// The directory of the cgroup that this process is in. Fails where there is no cgroup v2, or it is not mounted here.
Result<std::string> find_own();

// Succeeds where we may make children in `dir` and nobody else does: it is writable, and either whoever made it says
// that it is delegated (xattr trusted.delegate or user.delegate is "1": systemd's Delegate=yes), or we are the only
// process in it (a container). The error says why not, for status.
Result<> check_our_own(const std::string& dir);
inline bool is_our_own(const std::string& dir) {
    return check_our_own(dir).has_value();
}

// Makes dir/name and opens it. One that is left over from an earlier life is killed and removed first; waiting for
// that takes at most `patience`.
Result<Fd> create_child(const std::string& dir, const std::string& name, Duration patience = std::chrono::seconds(2));

// For CLONE_INTO_CGROUP. Close-on-exec.
Result<Fd> open_dir(const std::string& dir);

// SIGKILL to each process of the whole tree, at once and free of races with fork. Linux 5.14.
Result<> kill(const std::string& dir);

// Whether a process lives in it or below. A zombie does not count.
Result<bool> populated(const std::string& dir);

// cgroup.events, opened to be watched: poll(2) says POLLPRI, epoll EPOLLPRI, when "populated" changes. Read it from
// offset 0 (populated_of) before each wait.
Result<Fd> open_events(const std::string& dir);
Result<bool> populated_of(int events_fd);

// Waits until nothing lives in it; ETIMEDOUT after `patience`.
Result<> await_empty(const std::string& dir, Duration patience);

// Removes it and the cgroups below it. EBUSY while a process lives there; nothing to remove is a success.
Result<> remove(const std::string& dir);

// The processes in it; in it and below it. In no order; outdated as soon as they are read.
Result<std::vector<pid_t>> procs(const std::string& dir);
Result<std::vector<pid_t>> all_procs(const std::string& dir);

// The names of the cgroups directly below.
Result<std::vector<std::string>> children(const std::string& dir);

} // namespace keep::sys::cgroup
