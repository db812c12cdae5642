#include <array>
#include <sys/resource.h>

#include "lib/exec/preparation.hpp"

namespace keep::exec {
namespace {

struct NamedLimit {
    int resource;
    const char* name;
};
constexpr std::array limit_names{
    NamedLimit{RLIMIT_CPU, "cpu"},           NamedLimit{RLIMIT_FSIZE, "fsize"},
    NamedLimit{RLIMIT_DATA, "data"},         NamedLimit{RLIMIT_STACK, "stack"},
    NamedLimit{RLIMIT_CORE, "core"},         NamedLimit{RLIMIT_RSS, "rss"},
    NamedLimit{RLIMIT_NPROC, "nproc"},       NamedLimit{RLIMIT_NOFILE, "nofile"},
    NamedLimit{RLIMIT_MEMLOCK, "memlock"},   NamedLimit{RLIMIT_AS, "as"},
    NamedLimit{RLIMIT_LOCKS, "locks"},       NamedLimit{RLIMIT_SIGPENDING, "sigpending"},
    NamedLimit{RLIMIT_MSGQUEUE, "msgqueue"}, NamedLimit{RLIMIT_NICE, "nice"},
    NamedLimit{RLIMIT_RTPRIO, "rtprio"},     NamedLimit{RLIMIT_RTTIME, "rttime"},
};

std::string limit_name(int resource) {
    for (const NamedLimit& limit : limit_names) {
        if (limit.resource == resource) return limit.name;
    }
    return std::to_string(resource);
}

std::string descriptor_name(const Preparation& prepared, const ChildReport& report) {
    if (report.index >= prepared.moves.size()) return "";
    return "descriptor for " + std::to_string(prepared.moves[report.index].to);
}

} // namespace

std::string object_of(const SpawnSpec& spec, const Preparation& prepared, const ChildReport& report) {
    const SysProcAttr& sys = spec.sys;
    const auto in = [&](std::size_t count) { return report.index < count; };
    switch (report.step) {
    case Step::setpgid: return sys.pgid != 0 ? std::to_string(sys.pgid) : "";
    case Step::foreground:
    case Step::setctty: return std::to_string(sys.ctty);
    case Step::nice: return std::to_string(sys.nice.value_or(0));
    case Step::oom_score_adjust: return std::to_string(sys.oom_score_adjust.value_or(0));
    case Step::chroot: return sys.chroot;
    case Step::rlimit: return in(sys.limits.size()) ? limit_name(sys.limits[report.index].resource) : "";
    case Step::bounding_set: return in(64) ? std::to_string(report.index) : "";
    case Step::gid: return sys.credential ? std::to_string(sys.credential->gid) : "";
    case Step::uid: return sys.credential ? std::to_string(sys.credential->uid) : "";
    case Step::ambient_capabilities:
        return in(sys.ambient_caps.size()) ? std::to_string(sys.ambient_caps[report.index]) : "";
    case Step::chdir: return spec.dir.empty() ? "/" : spec.dir;
    case Step::parent_death_signal: return std::to_string(sys.pdeathsig);
    case Step::fds: return descriptor_name(prepared, report);
    case Step::none:
    case Step::prepare:
    case Step::clone:
    case Step::cgroup:
    case Step::keep_capabilities:
    case Step::id_maps:
    case Step::setsid:
    case Step::unshare:
    case Step::private_mounts:
    case Step::io_priority:
    case Step::cpu_affinity:
    case Step::no_new_privileges:
    case Step::groups:
    case Step::noctty:
    case Step::signals:
    case Step::ptrace:
    case Step::execve: return "";
    }
    return "";
}

} // namespace keep::exec
