#include "tests/exec/faults.hpp"

#include <cerrno>
#include <climits>
#include <csignal>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace keep::test {
namespace {

using exec::SpawnSpec;
using exec::Step;

constexpr int no_descriptor = 888;

void nothing(SpawnSpec&) {}

Fault refused(Step step, long number, void (*ask)(SpawnSpec&) = nothing) {
    const int error_number = 100 + static_cast<int>(step);
    return {step, error_number, ask, RefusedCall{number, -1, 0, error_number}};
}
Fault refused_if(Step step, long number, unsigned first_argument, void (*ask)(SpawnSpec&) = nothing) {
    const int error_number = 100 + static_cast<int>(step);
    return {step, error_number, ask, RefusedCall{number, 0, first_argument, error_number}};
}
Fault natural(Step step, int error_number, void (*ask)(SpawnSpec&)) {
    return {step, error_number, ask, std::nullopt};
}

} // namespace

std::vector<Fault> every_fault() {
    return {
        refused(Step::clone, SYS_clone3),
        natural(Step::cgroup, EBADF, [](SpawnSpec& spec) { spec.sys.cgroup_fd = no_descriptor; }),
        refused_if(Step::keep_capabilities, SYS_prctl, PR_SET_KEEPCAPS),
        natural(Step::id_maps, EINVAL,
                [](SpawnSpec& spec) {
                    spec.sys.clone_flags = CLONE_NEWUSER;
                    spec.sys.uid_mappings = {{0, 0, 0}};
                }),
        refused(Step::setsid, SYS_setsid, [](SpawnSpec& spec) { spec.sys.setsid = true; }),
        natural(Step::setpgid, EPERM,
                [](SpawnSpec& spec) {
                    spec.sys.setpgid = true;
                    spec.sys.pgid = INT_MAX; // above the kernel's limit of pids: no such group
                }),
        natural(Step::foreground, EBADF,
                [](SpawnSpec& spec) {
                    spec.sys.foreground = true;
                    spec.sys.ctty = no_descriptor;
                }),
        refused_if(Step::unshare, SYS_unshare, CLONE_NEWNS,
                   [](SpawnSpec& spec) { spec.sys.unshare_flags = CLONE_NEWNS; }),
        refused(Step::private_mounts, SYS_mount, [](SpawnSpec& spec) { spec.sys.unshare_flags = CLONE_NEWNS; }),
        refused(Step::nice, SYS_setpriority, [](SpawnSpec& spec) { spec.sys.nice = 5; }),
        refused(Step::io_priority, SYS_ioprio_set,
                [](SpawnSpec& spec) { spec.sys.io_priority = exec::IoPriority{exec::IoPriority::Class::idle, 0}; }),
        natural(Step::cpu_affinity, EINVAL, [](SpawnSpec& spec) { spec.sys.cpu_affinity = {4000}; }),
        natural(Step::oom_score_adjust, EINVAL, [](SpawnSpec& spec) { spec.sys.oom_score_adjust = 2000; }),
        natural(Step::chroot, ENOENT, [](SpawnSpec& spec) { spec.sys.chroot = "/no/such/root"; }),
        natural(Step::rlimit, EINVAL, [](SpawnSpec& spec) { spec.sys.limits = {{RLIMIT_NOFILE, {200, 100}}}; }),
        refused_if(Step::bounding_set, SYS_prctl, PR_CAPBSET_DROP, [](SpawnSpec& spec) { spec.sys.bounding_set = 0; }),
        refused_if(Step::no_new_privileges, SYS_prctl, PR_SET_NO_NEW_PRIVS,
                   [](SpawnSpec& spec) { spec.sys.no_new_privileges = true; }),
        refused(Step::groups, SYS_setgroups),
        refused(Step::gid, SYS_setresgid),
        refused(Step::uid, SYS_setresuid),
        refused_if(Step::ambient_capabilities, SYS_prctl, PR_CAP_AMBIENT),
        natural(Step::chdir, ENOENT, [](SpawnSpec& spec) { spec.dir = "/no/such/directory"; }),
        refused_if(Step::parent_death_signal, SYS_prctl, PR_SET_PDEATHSIG,
                   [](SpawnSpec& spec) { spec.sys.pdeathsig = SIGTERM; }),
        natural(Step::fds, EBADF, [](SpawnSpec& spec) { spec.extra_fds = {{no_descriptor, 5}}; }),
        natural(Step::noctty, ENOTTY, [](SpawnSpec& spec) { spec.sys.noctty = true; }), // descriptor 0 is /dev/null
        natural(Step::setctty, ENOTTY,
                [](SpawnSpec& spec) {
                    spec.sys.setctty = true;
                    spec.sys.ctty = 0;
                }),
        refused(Step::ptrace, SYS_ptrace, [](SpawnSpec& spec) { spec.sys.ptrace = true; }),
        natural(Step::execve, ENOENT, [](SpawnSpec& spec) { spec.path = "/no/such/program"; }),
    };
}

exec::SpawnSpec faultless() {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    spec.sys.credential = exec::Credential{stranger, stranger, {stranger}};
    spec.sys.ambient_caps = {CAP_NET_BIND_SERVICE};
    return spec;
}

std::string outcome_with(const std::vector<Fault>& faults) {
    SpawnSpec spec = faultless();
    std::vector<RefusedCall> refusals;
    for (const Fault& fault : faults) {
        fault.ask(spec);
        if (fault.refusal) refusals.push_back(*fault.refusal);
    }
    refuse_calls(refusals);
    return outcome_of(spec);
}

} // namespace keep::test
