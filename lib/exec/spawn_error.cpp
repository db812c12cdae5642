#include <array>
#include <string_view>
#include <sys/resource.h>
#include <system_error>

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

} // namespace

const char* step_name(Step step) {
    switch (step) {
    case Step::none: return "none";
    case Step::prepare: return "prepare";
    case Step::clone: return "clone";
    case Step::cgroup: return "cgroup";
    case Step::setsid: return "setsid";
    case Step::setpgid: return "setpgid";
    case Step::nice: return "nice";
    case Step::oom_score_adjust: return "oom_score_adjust";
    case Step::rlimit: return "rlimit";
    case Step::no_new_privileges: return "no_new_privileges";
    case Step::groups: return "groups";
    case Step::gid: return "gid";
    case Step::uid: return "uid";
    case Step::parent_death_signal: return "parent_death_signal";
    case Step::umask: return "umask";
    case Step::chdir: return "chdir";
    case Step::fds: return "fds";
    case Step::execve: return "execve";
    }
    return "unknown step";
}

SpawnError spawn_error(const SpawnSpec& spec, Step step, int code, std::string_view object) {
    std::string text = "start '" + spec.path + "': " + step_name(step);
    if (!object.empty()) text.append(" '").append(object).append("'");
    text.append(": ").append(std::generic_category().message(code));
    return {step, code, std::move(text)};
}

std::string object_of(const SpawnSpec& spec, const Preparation& prepared, const ChildReport& report) {
    const auto in = [&](std::size_t count) { return report.index < count; };
    switch (report.step) {
    case Step::nice: return std::to_string(spec.nice.value_or(0));
    case Step::oom_score_adjust: return std::to_string(spec.oom_score_adjust.value_or(0));
    case Step::rlimit: return in(spec.limits.size()) ? limit_name(spec.limits[report.index].resource) : "";
    case Step::gid: return spec.credentials ? std::to_string(spec.credentials->gid) : "";
    case Step::uid: return spec.credentials ? std::to_string(spec.credentials->uid) : "";
    case Step::parent_death_signal: return std::to_string(spec.parent_death_signal);
    case Step::chdir: return spec.dir;
    case Step::fds:
        if (!in(prepared.moves.size())) return "";
        return "descriptor for " + std::to_string(prepared.moves[report.index].to);
    case Step::none:
    case Step::prepare:
    case Step::clone:
    case Step::cgroup:
    case Step::setsid:
    case Step::setpgid:
    case Step::no_new_privileges:
    case Step::groups:
    case Step::umask:
    case Step::execve: return "";
    }
    return "";
}

} // namespace keep::exec
