#include <keep/exec/error.hpp>

namespace keep::exec {

const char* step_name(Step step) noexcept {
    switch (step) {
    case Step::none: return "none";
    case Step::prepare: return "prepare";
    case Step::clone: return "clone";
    case Step::cgroup: return "cgroup";
    case Step::keep_capabilities: return "keep_capabilities";
    case Step::id_maps: return "id_maps";
    case Step::setsid: return "setsid";
    case Step::setpgid: return "setpgid";
    case Step::foreground: return "foreground";
    case Step::unshare: return "unshare";
    case Step::private_mounts: return "private_mounts";
    case Step::nice: return "nice";
    case Step::io_priority: return "io_priority";
    case Step::cpu_affinity: return "cpu_affinity";
    case Step::oom_score_adjust: return "oom_score_adjust";
    case Step::chroot: return "chroot";
    case Step::rlimit: return "rlimit";
    case Step::bounding_set: return "bounding_set";
    case Step::no_new_privileges: return "no_new_privileges";
    case Step::groups: return "groups";
    case Step::gid: return "gid";
    case Step::uid: return "uid";
    case Step::ambient_capabilities: return "ambient_capabilities";
    case Step::chdir: return "chdir";
    case Step::parent_death_signal: return "parent_death_signal";
    case Step::fds: return "fds";
    case Step::noctty: return "noctty";
    case Step::setctty: return "setctty";
    case Step::signals: return "signals";
    case Step::ptrace: return "ptrace";
    case Step::execve: return "execve";
    }
    return "unknown step";
}

} // namespace keep::exec
