// Layer 1 of the exec library: one description in, one process out. The counterpart of Go's os.StartProcess, with
// what a supervisor needs beyond it. Nothing between clone and exec allocates, locks or returns through C++ code.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/exit_status.hpp"
#include "lib/sys/fd.hpp"

namespace keep::exec {

// The step of a spawn that failed, in the order in which the child takes them.
enum class Step : std::uint8_t {
    none,
    prepare,
    clone,
    cgroup,
    setsid,
    setpgid,
    nice,
    oom_score_adjust,
    rlimit,
    no_new_privileges,
    groups,
    gid,
    uid,
    parent_death_signal,
    umask,
    chdir,
    fds,
    execve
};
const char* step_name(Step);

// Error of spawn(): which step failed, with errno, and a readable message such as
// "start '/usr/bin/web': chdir '/srv/web': No such file or directory".
struct SpawnError {
    Step step = Step::none;
    int code = 0;
    std::string message;
};

struct Credentials {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups; // supplementary
};

struct Limit {
    int resource = 0; // RLIMIT_*
    rlimit value{};
};

// What to start. Copyable value; descriptors in it are borrowed and must stay open until spawn() returns.
struct SpawnSpec {
    std::string path;              // file to execute; absolute, or relative to dir as execve sees it
    int exec_fd = -1;              // >= 0: execute this descriptor (execveat, AT_EMPTY_PATH); path is then for messages
    std::vector<std::string> argv; // argv[0] included; empty means {path}
    std::vector<std::string> env;  // "KEY=value", exactly what the child gets
    std::string dir;               // "" = the parent's
    std::array<int, 3> stdio{-1, -1, -1};       // parent's descriptors for 0, 1, 2; -1 = /dev/null
    std::vector<std::pair<int, int>> extra_fds; // {parent's, child's number >= 3}; everything else is closed
    std::optional<Credentials> credentials;
    bool new_session = false; // setsid
    bool new_group = false;   // setpgid(0, 0); implied by new_session
    std::optional<mode_t> umask;
    std::vector<Limit> limits;
    std::optional<int> nice; // absolute nice value
    std::optional<int> oom_score_adjust;
    bool no_new_privileges = false;
    int parent_death_signal = 0; // prctl(PR_SET_PDEATHSIG); bound to the spawning thread
    int cgroup_fd = -1;          // directory of a cgroup v2 to be born in (CLONE_INTO_CGROUP)
};

// A started child. Owns its pidfd. Destroying it neither kills nor reaps the child: the caller who lets go of a
// Process keeps the pid (release()) or has waited for it.
class Process {
  public:
    Process() = default;
    Process(pid_t pid, sys::Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
    static Process adopt(pid_t pid, int pidfd) { return Process(pid, sys::Fd::adopt(pidfd)); }

    pid_t pid() const { return pid_; }
    int pidfd() const { return pidfd_.get(); }
    explicit operator bool() const { return pid_ > 0; }

    // pidfd_send_signal(2): never a stranger with a reused pid. ESRCH when it has been reaped.
    Result<> signal(int number) const;

    struct Ended {
        ExitStatus status;
        ResourceUsage usage;
    };
    // Waits until it has ended, and reaps. waitid(P_PIDFD).
    Result<Ended> wait();
    // The same without waiting: nothing while it runs.
    Result<std::optional<Ended>> try_wait();

    [[nodiscard]] int release() {
        pid_ = 0;
        return pidfd_.release();
    }

  private:
    pid_t pid_ = 0;
    sys::Fd pidfd_;
};

// Starts spec and returns when the exec has succeeded or failed; a failed child is reaped. The calling thread is
// suspended until then (CLONE_VFORK); other threads go on. In the child all signals are unblocked with default
// dispositions (who ignores a signal by sigaction(2) after the first spawn, past lib/sys, says so with
// sys::forget_ignored_signals()), and only stdio and extra_fds are open. Linux 5.9+ (clone3 5.3, CLEAR_SIGHAND 5.5,
// INTO_CGROUP 5.7, close_range 5.9); falls back to the clone() rung where clone3 is refused.
std::expected<Process, SpawnError> spawn(const SpawnSpec& spec);

} // namespace keep::exec
