#include "lib/exec/spawn.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <new>
#include <sys/mman.h>

#include "lib/exec/clone.hpp"
#include "lib/exec/preparation.hpp"
#include "lib/exec/raw_syscall.hpp"
#include "lib/exec/rung.hpp"
#include "lib/sys/pidfd.hpp"
#include "lib/sys/signals.hpp"

namespace keep::exec {
namespace {

// No handler may run in a child that shares our memory. By raw call: libc would leave its own two signals unblocked.
class AllSignalsBlocked {
  public:
    AllSignalsBlocked() { change(~std::uint64_t{0}, &former_); }
    ~AllSignalsBlocked() { change(former_, nullptr); }
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

  private:
    static void change(std::uint64_t mask, std::uint64_t* former) {
        raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&mask), reinterpret_cast<long>(former),
                    sizeof mask);
    }
    std::uint64_t former_ = 0;
};

// Where a child writes its failure. Our own stack will do while memory is shared; else a page that stays shared.
class Report {
  public:
    explicit Report(bool share_memory) {
        if (share_memory) return;
        void* page = ::mmap(nullptr, sizeof(ChildReport), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            here_.code = errno;
            here_.step = Step::prepare;
        } else {
            page_ = new (page) ChildReport;
        }
    }
    ~Report() {
        if (page_ != nullptr) ::munmap(page_, sizeof(ChildReport));
    }
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;

    ChildReport* get() { return page_ != nullptr ? page_ : &here_; }

  private:
    ChildReport here_;
    ChildReport* page_ = nullptr;
};

bool shares_memory(Rung rung) {
    return rung == Rung::shared || rung == Rung::shared_classic;
}
bool is_classic(Rung rung) {
    return rung == Rung::shared_classic || rung == Rung::private_classic;
}

// clone3 is not there (ENOSYS), knows less than we ask for (EINVAL, E2BIG), or a seccomp filter forbids it (EPERM: we
// ask for no namespace, so nothing else can be meant).
bool is_clone3_refusal(int code) {
    return code == ENOSYS || code == EINVAL || code == E2BIG || code == EPERM;
}

// The kernel's or the filter's no does not change while we live.
std::atomic<bool> clone3_refused = false;

// What clone3 says of the target cgroup, never of anything else. ENODEV and ENOENT: it has been removed.
bool is_about_cgroup(int code) {
    return code == EBADF || code == EBUSY || code == EOPNOTSUPP || code == EACCES || code == ENODEV || code == ENOENT;
}

constexpr std::uint64_t bit_of(int signal) {
    return std::uint64_t{1} << (signal - 1);
}

// clone3 has cleared the handlers; what is ignored stays so. Asking for all 62 on each spawn would be a tenth of its
// time: SIGPIPE, which libraries like to ignore behind our back, is reset always, the others by lib/sys's knowledge.
// The older call leaves everything as it is in us.
std::uint64_t signals_to_reset(Rung rung) {
    if (is_classic(rung)) return ~(bit_of(SIGKILL) | bit_of(SIGSTOP));
    return sys::ignored_signals() | bit_of(SIGPIPE);
}

std::expected<Process, SpawnError> attempt(Rung rung, const SpawnSpec& spec, Preparation& prepared) {
    const auto stack = child_stack();
    if (!stack) return std::unexpected(spawn_error(spec, Step::prepare, stack.error().code, "child stack"));
    Report report(shares_memory(rung));
    if (const ChildReport& early = *report.get(); early.step != Step::none) {
        return std::unexpected(spawn_error(spec, early.step, early.code, "report page"));
    }
    prepared.plan.report = report.get();
    prepared.plan.join_cgroup_fd = is_classic(rung) ? spec.cgroup_fd : -1;
    prepared.plan.needed_below =
        std::max(prepared.plan.needed_below, static_cast<unsigned>(prepared.plan.join_cgroup_fd + 1));
    prepared.plan.signals_to_reset = signals_to_reset(rung);
    const CloneRequest request{shares_memory(rung), is_classic(rung) ? -1 : spec.cgroup_fd};
    Cloned child;
    {
        const AllSignalsBlocked quiet;
        child = is_classic(rung) ? clone_classic(request, *stack, child_entry, &prepared.plan)
                                 : clone3(request, *stack, child_entry, &prepared.plan);
    }
    if (child.pid < 0) {
        const bool cgroup = request.cgroup_fd >= 0 && is_about_cgroup(-child.pid);
        return std::unexpected(spawn_error(spec, cgroup ? Step::cgroup : Step::clone, -child.pid));
    }
    Process process = Process::adopt(child.pid, child.pidfd);
    const ChildReport& outcome = *report.get();
    if (outcome.step == Step::none) return process;
    // It has failed, and is ending or has ended. ECHILD where SIGCHLD is ignored: then the kernel reaps.
    (void)sys::reap_blocking(process.pidfd());
    return std::unexpected(spawn_error(spec, outcome.step, outcome.code, object_of(spec, prepared, outcome)));
}

std::expected<Process, SpawnError> descend(const SpawnSpec& spec, Preparation& prepared) {
    const bool changes_credentials = spec.credentials.has_value();
    if (!clone3_refused.load(std::memory_order_relaxed)) {
        auto process = attempt(changes_credentials ? Rung::private_ : Rung::shared, spec, prepared);
        if (process || process.error().step != Step::clone || !is_clone3_refusal(process.error().code)) return process;
        // Without a cgroup nothing but clone3 itself can have been refused; 5.3 to 5.6 know it, but not INTO_CGROUP.
        if (spec.cgroup_fd < 0) clone3_refused.store(true, std::memory_order_relaxed);
    }
    return attempt(changes_credentials ? Rung::private_classic : Rung::shared_classic, spec, prepared);
}

} // namespace

std::expected<Process, SpawnError> spawn(const SpawnSpec& spec) {
    return spawn_on(Rung::automatic, spec);
}

std::expected<Process, SpawnError> spawn_on(Rung rung, const SpawnSpec& spec) {
    Preparation prepared;
    if (auto ready = prepare(spec, prepared); !ready) return std::unexpected(ready.error());
    return rung == Rung::automatic ? descend(spec, prepared) : attempt(rung, spec, prepared);
}

} // namespace keep::exec
