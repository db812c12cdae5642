#include "lib/exec/attempt.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <new>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/exec/clone.hpp"
#include "lib/exec/error_data.hpp"
#include "lib/exec/handshake.hpp"
#include "lib/exec/preparation.hpp"
#include "lib/exec/raw_syscall.hpp"
#include "lib/sys/pidfd.hpp"

namespace keep::exec {
namespace {

void change_mask(std::uint64_t mask, std::uint64_t* former) {
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&mask), reinterpret_cast<long>(former),
                sizeof mask);
}

bool shares_memory(Rung rung) {
    return rung == Rung::shared || rung == Rung::shared_classic;
}
bool is_classic(Rung rung) {
    return rung == Rung::shared_classic || rung == Rung::private_classic || rung == Rung::handshake_classic ||
           rung == Rung::plain;
}
bool has_handshake(Rung rung) {
    return rung == Rung::handshake || rung == Rung::handshake_classic || rung == Rung::plain;
}

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

// What clone3 says of the target cgroup, never of anything else. ENODEV and ENOENT: it has been removed.
bool is_about_cgroup(int code) {
    return code == EBADF || code == EBUSY || code == EOPNOTSUPP || code == EACCES || code == ENODEV || code == ENOENT;
}

CloneRequest request_for(Rung rung, const SpawnSpec& spec, const Manner& manner) {
    return {.share_memory = shares_memory(rung),
            .suspend = !has_handshake(rung),
            .share_table = manner.share_table,
            .with_pidfd = rung != Rung::plain,
            .namespaces = spec.sys.clone_flags,
            .cgroup_fd = is_classic(rung) ? -1 : spec.sys.cgroup_fd};
}

Manner manner_of(Rung rung, const SpawnSpec& spec) {
    Manner manner;
    manner.share_table = spec.sys.close_others && !has_handshake(rung);
    manner.joins_cgroup_fd = is_classic(rung) ? spec.sys.cgroup_fd : -1;
    manner.parent_maps = (spec.sys.clone_flags & CLONE_NEWUSER) != 0;
    manner.handlers_left = is_classic(rung);
    return manner;
}

Error failed_clone(const SpawnSpec& spec, const CloneRequest& request, int code) {
    const bool cgroup = request.cgroup_fd >= 0 && is_about_cgroup(code);
    return start_error(spec.path, cgroup ? Step::cgroup : Step::clone, code);
}

} // namespace

AllSignalsBlocked::AllSignalsBlocked() {
    change_mask(~std::uint64_t{0}, &former_);
}
AllSignalsBlocked::~AllSignalsBlocked() {
    change_mask(former_, nullptr);
}

Result<Process> attempt(Rung rung, const SpawnSpec& spec, char* const* env) {
    const auto stack = child_stack();
    if (!stack) return failed(start_error(spec.path, Step::prepare, stack.error().code, "child stack"));
    Report report(shares_memory(rung));
    if (const ChildReport& early = *report.get(); early.step != Step::none) {
        return failed(start_error(spec.path, early.step, early.code, "report page"));
    }
    Manner manner = manner_of(rung, spec);
    Handshake handshake;
    if (has_handshake(rung)) {
        if (const int code = handshake.open(spec); code != 0) {
            return failed(start_error(spec.path, Step::fds, code, "handshake"));
        }
        manner.handshake_fd = handshake.childs_end();
    }
    Preparation prepared;
    if (auto ready = prepare(spec, manner, env, prepared); !ready) return failed(ready.error());
    prepared.plan.report = report.get();
    const CloneRequest request = request_for(rung, spec, manner);
    Cloned child;
    {
        const AllSignalsBlocked quiet;
        prepared.plan.mask = spec.sys.signal_mask.value_or(quiet.former());
        child = is_classic(rung) ? clone_classic(request, *stack, child_entry, &prepared.plan)
                                 : clone3(request, *stack, child_entry, &prepared.plan);
    }
    if (child.pid < 0) return failed(failed_clone(spec, request, -child.pid));
    if (has_handshake(rung)) {
        if (child.pidfd < 0) child.pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0));
        handshake.lead(child.pid, child.pidfd, spec, *report.get());
    }
    Process process = Process::adopt(child.pid, child.pidfd);
    const ChildReport& outcome = *report.get();
    if (outcome.step == Step::none && child.pidfd >= 0) return process;
    // It has failed, and is ending or has ended. ECHILD where SIGCHLD is ignored: then the kernel reaps.
    if (child.pidfd < 0) ::kill(child.pid, SIGKILL);
    (void)sys::reap_pid_blocking(child.pid);
    if (outcome.step == Step::none) return failed(start_error(spec.path, Step::clone, EMFILE, "pidfd"));
    return failed(start_error(spec.path, outcome.step, outcome.code, object_of(spec, prepared, outcome)));
}

} // namespace keep::exec
