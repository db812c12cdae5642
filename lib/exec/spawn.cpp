#include <atomic>
#include <cerrno>
#include <sched.h>

#include "lib/exec/attempt.hpp"
#include "lib/exec/child_plan.hpp"
#include "lib/exec/clone.hpp"
#include "lib/exec/error_data.hpp"
#include "lib/exec/hold_off.hpp"
#include "lib/exec/rung.hpp"
#include "lib/sys/pidfd.hpp"

namespace keep::exec {
namespace {

class ErrnoKept {
  public:
    ErrnoKept() : saved_(errno) {}
    ~ErrnoKept() { errno = saved_; }
    ErrnoKept(const ErrnoKept&) = delete;
    ErrnoKept& operator=(const ErrnoKept&) = delete;

  private:
    int saved_;
};

// clone3 is not there (ENOSYS), knows less than we ask for (EINVAL, E2BIG), or a seccomp filter forbids it (EPERM).
// What the kernel itself forbids it forbids the older call as well.
bool is_clone3_refusal(int code) {
    return code == ENOSYS || code == EINVAL || code == E2BIG || code == EPERM;
}

// The kernel's or the filter's no does not change while we live.
std::atomic<bool> clone3_refused = false;

// Whether a child of CLONE_VM | CLONE_VFORK writes into our memory, and we wait for it: user-mode emulators (QEMU) and
// WSL1 make a fork of it, and a failure would never be told. Found once.
bool shares_memory_truly() {
    enum class Verdict { unknown, yes, no };
    static std::atomic<Verdict> verdict = Verdict::unknown;
    if (const Verdict known = verdict.load(); known != Verdict::unknown) return known == Verdict::yes;
    const auto stack = child_stack();
    if (!stack) return true;
    volatile int word = 0;
    const CloneRequest request{.share_memory = true, .suspend = true, .share_table = false, .with_pidfd = false};
    pid_t pid = 0;
    {
        const AllSignalsBlocked quiet;
        pid = clone_classic(request, *stack, probe_entry, const_cast<int*>(&word)).pid;
    }
    if (pid < 0) return pid != -EINVAL; // no process could be made: ask again next time
    const bool shared = word == 1;
    (void)sys::reap_pid_blocking(pid);
    verdict.store(shared ? Verdict::yes : Verdict::no);
    return shared;
}

// What changes the memory's owner in the kernel's eyes must not happen in ours.
bool needs_private_memory(const SysProcAttr& sys) {
    const std::uint64_t new_user = CLONE_NEWUSER;
    const auto unshared = static_cast<std::uint64_t>(static_cast<unsigned>(sys.unshare_flags));
    return sys.credential.has_value() || !sys.ambient_caps.empty() ||
           ((sys.clone_flags | unshared) & (new_user | new_time)) != 0;
}

bool needs_handshake(const SysProcAttr& sys) {
    const bool maps = !sys.uid_mappings.empty() || !sys.gid_mappings.empty();
    return maps && (sys.clone_flags & CLONE_NEWUSER) != 0;
}

struct Ladder {
    Rung best;
    Rung classic;
};

Ladder ladder_for(const SpawnSpec& spec) {
    if (needs_handshake(spec.sys) || !shares_memory_truly()) return {Rung::handshake, Rung::handshake_classic};
    if (needs_private_memory(spec.sys)) return {Rung::private_, Rung::private_classic};
    return {Rung::shared, Rung::shared_classic};
}

Result<Process> descend(const SpawnSpec& spec, char* const* env) {
    const Ladder ladder = ladder_for(spec);
    if (!clone3_refused.load(std::memory_order_relaxed)) {
        auto process = attempt(ladder.best, spec, env);
        if (process || process.error().step() != Step::clone || !is_clone3_refusal(process.error().error_number())) {
            return process;
        }
        // Without a cgroup or a namespace nothing but clone3 itself can have been refused; 5.3 to 5.6 know it, but not
        // INTO_CGROUP.
        if (spec.sys.cgroup_fd < 0 && spec.sys.clone_flags == 0) {
            clone3_refused.store(true, std::memory_order_relaxed);
        }
        if ((spec.sys.clone_flags & new_time) != 0) return process; // clone3's alone
    }
    auto process = attempt(ladder.classic, spec, env);
    const bool no_pidfd = !process && process.error().step() == Step::clone &&
                          process.error().error_number() == EINVAL && ladder.classic == Rung::handshake_classic;
    return no_pidfd ? attempt(Rung::plain, spec, env) : std::move(process);
}

bool is_cgroup_refusal(const Error& error) {
    const int code = error.error_number();
    return error.step() == Step::cgroup && (code == EBUSY || code == EOPNOTSUPP || code == EACCES);
}

Result<Process> spawn_somewhere(Rung rung, const SpawnSpec& spec, char* const* env) {
    return rung == Rung::automatic ? descend(spec, env) : attempt(rung, spec, env);
}

} // namespace

Result<Process> spawn(const SpawnSpec& spec) {
    return spawn_on(Rung::automatic, spec);
}

Result<Process> spawn_on(Rung rung, const SpawnSpec& spec, char* const* env) {
    const ErrnoKept kept;
    const Starting now;
    auto process = spawn_somewhere(rung, spec, env);
    if (!process && spec.sys.cgroup_fallback && spec.sys.cgroup_fd >= 0 && is_cgroup_refusal(process.error())) {
        SpawnSpec elsewhere = spec;
        elsewhere.sys.cgroup_fd = -1;
        process = spawn_somewhere(rung, elsewhere, env);
    }
    if (process && spec.sys.pidfd != nullptr) {
        auto copy = sys::duplicate(process->pidfd());
        *spec.sys.pidfd = copy ? copy->release() : -1;
    }
    return process;
}

} // namespace keep::exec
