#include "lib/exec/preparation.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <linux/ioprio.h>
#include <unistd.h>

#include "lib/exec/clone.hpp"
#include "lib/exec/error_data.hpp"
#include "lib/exec/nofile_limit.hpp"
#include "lib/exec/prepare_descriptors.hpp"
#include "lib/sys/signals.hpp"

namespace keep::exec {
namespace {

constexpr std::uint64_t known_namespaces = new_time | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                           CLONE_NEWUSER | CLONE_NEWPID | std::uint64_t{CLONE_NEWNET};

bool has_nul(const std::string& text) {
    return std::memchr(text.data(), '\0', text.size()) != nullptr;
}

Result<> prepare_strings(const SpawnSpec& spec, char* const* env, Preparation& into) {
    if (has_nul(spec.path)) return refuse(spec, Step::prepare, EINVAL, "path with a NUL");
    if (has_nul(spec.dir)) return refuse(spec, Step::prepare, EINVAL, "dir with a NUL");
    if (has_nul(spec.sys.chroot)) return refuse(spec, Step::prepare, EINVAL, "chroot with a NUL");
    into.strings.reserve(spec.argv.size() + (env == nullptr && spec.env ? spec.env->size() : 0) + 3);
    // execve(2) takes char*, but writes to none of them.
    const auto add = [&](const std::string& text) { into.strings.push_back(const_cast<char*>(text.c_str())); };
    for (const std::string& text : spec.argv) {
        if (has_nul(text)) return refuse(spec, Step::prepare, EINVAL, "argv with a NUL");
        add(text);
    }
    if (spec.argv.empty()) add(spec.path);
    into.strings.push_back(nullptr);
    const std::size_t env_begin = into.strings.size();
    if (env == nullptr && spec.env) {
        for (const std::string& text : *spec.env) {
            if (has_nul(text)) return refuse(spec, Step::prepare, EINVAL, "env with a NUL");
            add(text);
        }
    }
    into.strings.push_back(nullptr);
    ChildPlan& plan = into.plan;
    plan.path = spec.path.c_str();
    plan.argv = into.strings.data();
    if (env != nullptr) {
        plan.envp = env;
    } else if (spec.env) {
        plan.envp = into.strings.data() + env_begin;
    } else {
        plan.envp = environ;
    }
    plan.dir = spec.dir.empty() ? nullptr : spec.dir.c_str();
    plan.chroot = spec.sys.chroot.empty() ? nullptr : spec.sys.chroot.c_str();
    return {};
}

// setresuid(2) takes -1 for "leave as it is": a child that was to lose its rights would silently keep ours.
Result<> prepare_credential(const SpawnSpec& spec, ChildPlan& plan) {
    const SysProcAttr& sys = spec.sys;
    if (sys.credential) {
        if (sys.credential->uid == static_cast<uid_t>(-1)) return refuse(spec, Step::uid, EINVAL, "-1");
        if (sys.credential->gid == static_cast<gid_t>(-1)) return refuse(spec, Step::gid, EINVAL, "-1");
        plan.credential = &*sys.credential;
        plan.groups = sys.credential->groups.data();
        plan.group_count = sys.credential->groups.size();
        // In a user namespace whose maps deny setgroups(2), an empty list could not be set, and needs not be.
        const bool denied = !sys.gid_mappings.empty() && !sys.gid_mappings_enable_setgroups;
        plan.set_groups = !sys.credential->no_set_groups && !(denied && sys.credential->groups.empty());
    }
    plan.keep_capabilities = !sys.ambient_caps.empty();
    plan.ambient_caps = sys.ambient_caps.data();
    plan.ambient_count = sys.ambient_caps.size();
    plan.bounding_set = sys.bounding_set ? &*sys.bounding_set : nullptr;
    plan.no_new_privileges = sys.no_new_privileges;
    return {};
}

Result<> prepare_namespaces(const SpawnSpec& spec, const Manner& manner, Preparation& into) {
    const SysProcAttr& sys = spec.sys;
    ChildPlan& plan = into.plan;
    if ((sys.clone_flags & ~known_namespaces) != 0) {
        return refuse(spec, Step::prepare, EINVAL, "clone_flags that are no namespace");
    }
    const bool maps = !sys.uid_mappings.empty() || !sys.gid_mappings.empty();
    const bool unshared_user = (sys.unshare_flags & CLONE_NEWUSER) != 0;
    if (maps && !unshared_user && (sys.clone_flags & CLONE_NEWUSER) == 0) {
        return refuse(spec, Step::prepare, EINVAL, "id maps without a user namespace");
    }
    plan.unshare_flags = sys.unshare_flags;
    plan.private_mounts = (sys.unshare_flags & CLONE_NEWNS) != 0;
    into.uid_map = map_text(sys.uid_mappings);
    into.gid_map = map_text(sys.gid_mappings);
    if (manner.parent_maps) return {};
    if (!into.uid_map.empty()) plan.uid_map = {into.uid_map.data(), into.uid_map.size()};
    if (!into.gid_map.empty()) {
        static constexpr std::string_view allow = "allow";
        static constexpr std::string_view deny = "deny";
        const std::string_view word = sys.gid_mappings_enable_setgroups ? allow : deny;
        plan.setgroups = {word.data(), word.size()};
        plan.gid_map = {into.gid_map.data(), into.gid_map.size()};
    }
    return {};
}

Result<> prepare_scheduling(const SpawnSpec& spec, Preparation& into) {
    const SysProcAttr& sys = spec.sys;
    ChildPlan& plan = into.plan;
    plan.nice = sys.nice ? &*sys.nice : nullptr;
    if (sys.io_priority) {
        if (sys.io_priority->level < 0 || sys.io_priority->level > 7) {
            return refuse(spec, Step::io_priority, EINVAL, std::to_string(sys.io_priority->level));
        }
        const bool leveled = sys.io_priority->scheduling == IoPriority::Class::realtime ||
                             sys.io_priority->scheduling == IoPriority::Class::best_effort;
        const int level = leveled ? sys.io_priority->level : 0;
        plan.io_priority = static_cast<int>(sys.io_priority->scheduling) << IOPRIO_CLASS_SHIFT | level;
    }
    constexpr int most_cpus = 1 << 16;
    constexpr std::size_t bits = 8 * sizeof(unsigned long);
    for (const int cpu : sys.cpu_affinity) {
        if (cpu < 0 || cpu >= most_cpus) return refuse(spec, Step::cpu_affinity, EINVAL, std::to_string(cpu));
        const auto at = static_cast<std::size_t>(cpu);
        if (at / bits >= into.cpus.size()) into.cpus.resize(at / bits + 1);
        into.cpus[at / bits] |= 1UL << at % bits;
    }
    if (!into.cpus.empty()) {
        plan.cpu_set = into.cpus.data();
        plan.cpu_set_size = into.cpus.size() * sizeof(unsigned long);
    }
    if (sys.oom_score_adjust) {
        char* const begin = into.oom_score.data();
        const auto end = std::to_chars(begin, begin + into.oom_score.size(), *sys.oom_score_adjust).ptr;
        plan.oom_score = {begin, static_cast<std::size_t>(end - begin)};
    }
    return {};
}

constexpr std::uint64_t bit_of(int signal) {
    return std::uint64_t{1} << (signal - 1);
}

void prepare_attributes(const SpawnSpec& spec, const Manner& manner, ChildPlan& plan) {
    const SysProcAttr& sys = spec.sys;
    plan.handshake_fd = manner.handshake_fd;
    plan.leaves_table = manner.share_table;
    plan.setsid = sys.setsid;
    plan.setpgid = sys.setpgid || sys.foreground;
    plan.pgid = sys.pgid;
    plan.limits = sys.limits.data();
    plan.limit_count = sys.limits.size();
    plan.limits_last = !sys.credential && !sys.no_new_privileges && !sys.bounding_set;
    plan.pdeathsig = sys.pdeathsig;
    plan.parent = sys.pdeathsig != 0 ? ::getpid() : 0;
    plan.umask = sys.umask ? &*sys.umask : nullptr;
    plan.close_others = sys.close_others;
    plan.noctty = sys.noctty;
    plan.ctty = sys.setctty ? sys.ctty : -1;
    plan.ptrace = sys.ptrace;
    plan.handlers_left = manner.handlers_left;
    plan.to_default = bit_of(SIGPIPE);
    if (sys.ignored_signals == IgnoredSignals::reset) plan.to_default |= sys::ignored_signals();
    plan.retry_text_busy = sys.retry_text_busy;
}

// Programs that use select(2) must not find our raised limit.
void prepare_nofile(const SpawnSpec& spec, Preparation& into) {
    const auto is_nofile = [](const Limit& limit) { return limit.resource == RLIMIT_NOFILE; };
    const auto own = std::ranges::find_if(spec.sys.limits, is_nofile);
    if (own == spec.sys.limits.end()) {
        into.nofile = original_nofile();
    } else if (!into.plan.limits_last && !into.kept.empty()) {
        into.plan.descriptors_first = static_cast<rlim_t>(into.kept.back()) >= own->value.rlim_cur;
    }
    into.plan.nofile = into.nofile ? &*into.nofile : nullptr;
}

} // namespace

std::unexpected<Error> refuse(const SpawnSpec& spec, Step step, int error_number, std::string_view object) {
    return failed(start_error(spec.path, step, error_number, object));
}

std::string map_text(std::span<const IdMap> maps) {
    std::string text;
    for (const IdMap& map : maps) {
        text += std::to_string(map.container_id) + ' ' + std::to_string(map.host_id) + ' ' + std::to_string(map.size) +
                '\n';
    }
    return text;
}

Result<> prepare(const SpawnSpec& spec, const Manner& manner, char* const* env, Preparation& into) {
    if (auto done = prepare_strings(spec, env, into); !done) return done;
    if (auto done = prepare_credential(spec, into.plan); !done) return done;
    if (auto done = prepare_namespaces(spec, manner, into); !done) return done;
    if (auto done = prepare_scheduling(spec, into); !done) return done;
    if (auto done = prepare_descriptors(spec, manner, into); !done) return done;
    prepare_attributes(spec, manner, into.plan);
    prepare_nofile(spec, into);
    return {};
}

} // namespace keep::exec
