// What a child is given beside its program, arguments, environment and descriptors: Go's syscall.SysProcAttr on Linux,
// and what supervisors need beyond it. Every field at its default leaves things as Go does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>
#include <vector>

namespace keep::exec {

// setgroups(2), setresgid(2), setresuid(2), in that order. An id of -1 is refused with EINVAL: the kernel takes it for
// "leave as it is", so a child that was to lose its rights would keep them.
struct Credential {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  // supplementary; an empty list drops all of the parent's
    bool no_set_groups = false; // leave the supplementary groups alone
    bool operator==(const Credential&) const = default;
};

// One range of a user namespace's id map; user_namespaces(7).
struct IdMap {
    unsigned container_id = 0; // first id inside
    unsigned host_id = 0;      // first id outside
    unsigned size = 0;         // number of ids
    bool operator==(const IdMap&) const = default;
};

struct Limit {
    int resource = 0; // RLIMIT_*
    rlimit value{};
    bool operator==(const Limit& other) const {
        return resource == other.resource && value.rlim_cur == other.value.rlim_cur &&
               value.rlim_max == other.value.rlim_max;
    }
};

// ioprio_set(2).
struct IoPriority {
    enum class Class : std::uint8_t { none, realtime, best_effort, idle };
    Class scheduling = Class::best_effort;
    int level = 4; // 0 (first) to 7
    bool operator==(const IoPriority&) const = default;
};

// What becomes of signals that the parent ignores. SIGPIPE has its default action in every child: a parent's choice to
// get EPIPE instead is not its children's.
enum class IgnoredSignals : std::uint8_t {
    keep, // stay ignored, as execve(2) and Go have it
    reset // default action for all
};

struct SysProcAttr {
    // Go's fields
    std::string chroot; // "": none. Path and directory then count inside; without a directory the child is in its "/"
    std::optional<Credential> credential;
    bool ptrace = false; // PTRACE_TRACEME: stops with SIGTRAP at the exec; the tracer is the starting thread
    bool setsid = false;
    bool setpgid = false;
    pid_t pgid = 0;                  // with setpgid or foreground: the group to join; 0: one of its own
    bool setctty = false;            // with setsid: makes ctty, a descriptor of the child's, its controlling terminal
    bool noctty = false;             // gives up the controlling terminal on descriptor 0
    int ctty = 0;                    // a number of the child's with setctty, of the parent's with foreground
    bool foreground = false;         // makes its group the foreground one of the terminal ctty; implies setpgid
    int pdeathsig = 0;               // PR_SET_PDEATHSIG. Bound to the starting *thread*: its end counts as the parent's
    std::uint64_t clone_flags = 0;   // CLONE_NEW*: namespaces to be born in
    int unshare_flags = 0;           // CLONE_NEW*, by unshare(2) in the child; with CLONE_NEWNS "/" becomes private
    std::vector<IdMap> uid_mappings; // with CLONE_NEWUSER in either of the two
    std::vector<IdMap> gid_mappings;
    bool gid_mappings_enable_setgroups = false; // needs privilege outside of the namespace
    std::vector<int> ambient_caps;              // numbers of capabilities(7); they outlive the change of the user
    int cgroup_fd = -1;   // directory of a cgroup v2 to be born in. The error is EBADF for anything else
    int* pidfd = nullptr; // receives a pidfd (close-on-exec) that the caller owns, only when the start succeeds; -1: no
                          // descriptor was left

    // Beyond Go
    std::optional<mode_t> umask;
    std::vector<Limit> limits;           // set before the user changes, so that root may raise them
    std::optional<int> nice;             // -20..19, absolute
    std::optional<int> oom_score_adjust; // -1000..1000
    std::vector<int> cpu_affinity;       // CPU numbers; empty: the parent's
    std::optional<IoPriority> io_priority;
    bool no_new_privileges = false;
    std::optional<std::uint64_t> bounding_set; // bit N: capability N stays in the bounding set, all others leave it
    std::optional<std::uint64_t> signal_mask;  // bit N-1: signal N is blocked; nothing: the starting thread's mask
    IgnoredSignals ignored_signals = IgnoredSignals::keep;

    // Descriptors that somebody opened without close-on-exec are closed in the child unless they are handed over.
    bool close_others = true;
    std::vector<int> keep_fds; // numbers that stay open as they are, without close-on-exec, if they are open

    // A program that somebody is just writing to (ETXTBSY, golang/go#22315) is tried again for up to about 63 ms.
    bool retry_text_busy = true;
    // A cgroup that refuses newborns (EBUSY: it has controllers for its children; EOPNOTSUPP: threaded; EACCES) is an
    // error; with this the child is started in the parent's instead.
    bool cgroup_fallback = false;

    bool operator==(const SysProcAttr&) const = default;
};

} // namespace keep::exec
