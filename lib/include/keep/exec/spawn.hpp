// Layer 1: one description in, one process out. The counterpart of Go's os.StartProcess and os.Process, for programs
// with an event loop of their own: no thread, no pipe, no copying; a pidfd to wait on.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <keep/exec/error.hpp>
#include <keep/exec/process_state.hpp>
#include <keep/exec/sys_proc_attr.hpp>
#include <keep/fd.hpp>

namespace keep::exec {

inline constexpr int null_device = -1;       // in SpawnSpec::stdio: /dev/null
inline constexpr int closed_descriptor = -2; // in SpawnSpec::stdio: the child finds the number closed

// What to start. A copyable value; descriptors in it are borrowed and must stay open until spawn() returns.
struct SpawnSpec {
    std::string path;              // absolute, or relative to dir; never looked up in PATH
    int exec_fd = -1;              // >= 0: execute this descriptor (execveat(2)); path is then for messages
    std::vector<std::string> argv; // argv[0] included; empty: {path}
    std::optional<std::vector<std::string>> env; // "KEY=value", exactly these; nothing: this process's, as of the call
    std::string dir;                             // "": this process's
    std::array<int, 3> stdio{null_device, null_device, null_device}; // this process's descriptors for 0, 1 and 2
    std::vector<std::pair<int, int>> extra_fds;                      // {this process's, the child's number >= 3}
    SysProcAttr sys;
};

// A started child. Owns its pidfd, until the child has been reaped by one of the functions here. Move-only. Destroying
// it neither kills nor reaps the child: who lets go of a Process has waited for it, or keeps the pidfd (release()).
// signal() may be called while another thread waits; a move may not.
class KEEPEXEC_API Process {
  public:
    Process() = default; // none; as after release()
    Process(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
    static Process adopt(pid_t pid, int pidfd) { return Process(pid, Fd::adopt(pidfd)); }
    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process() = default;

    pid_t pid() const noexcept { return pid_; } // stays after the end
    // Readable once the process has ended: for poll(2), epoll(7). -1 once it has been reaped here.
    int pidfd() const noexcept { return pidfd_.get(); }
    explicit operator bool() const noexcept { return pid_ > 0; }

    // pidfd_send_signal(2): never a stranger that got the number. Errors: Errc::process_done once it has been reaped,
    // Errc::process_released, EINVAL, EPERM.
    Result<> signal(int number) const;
    Result<> kill() const { return signal(9); }
    // The same to each process of the child's process group, which must be its own (setsid, setpgid): the group's
    // number is the child's pid. Only before the child is reaped. Linux 6.9 does it by pidfd, older ones by kill(2).
    Result<> signal_group(int number) const;

    // Waits for the end, and reaps: waitid(2) by pidfd, EINTR retried. Errors: ECHILD if somebody else reaped it, or
    // SIGCHLD is ignored; EINVAL for a released one.
    Result<ProcessState> wait();
    // The same without waiting: nothing while it runs.
    Result<std::optional<ProcessState>> try_wait();
    // Waits that long at most; nothing when the time is over.
    Result<std::optional<ProcessState>> wait_for(std::chrono::nanoseconds longest);

    // The caller owns the pidfd now, and the duty to reap.
    [[nodiscard]] int release() noexcept;

  private:
    // Whether the pidfd may be used now: it is not closed while anybody does.
    bool hold() const noexcept;
    void let_go() const noexcept;
    void mark_reaped() const noexcept;
    Result<> send(int number, unsigned flags) const;

    pid_t pid_ = 0;
    mutable Fd pidfd_;
    mutable std::atomic<unsigned> uses_ = 0; // how many hold it; the highest bit: it has been reaped
};

// Starts `spec` and returns when the exec has succeeded or failed; a failed child has been reaped. The calling thread
// is suspended until then (CLONE_VFORK): on a hung network file system that takes as long as it hangs. Other threads go
// on, and may start programs too.
// In the child only stdio, extra_fds and sys.keep_fds are open, and handlers are reset. In this process nothing
// changes: mask, dispositions, dumpable flag, errno, descriptors.
// Errors carry the step that failed; op is "fork/exec". Linux 5.9; where clone3(2) is refused (old kernels, seccomp
// filters) clone(2) takes its place, and where memory cannot be shared (user-mode emulators) fork's semantics.
KEEPEXEC_API Result<Process> spawn(const SpawnSpec& spec);

// Keeps a few low descriptor numbers of this process for starts. A child copies the table of descriptors up to the
// highest number that it is given, so a process with thousands of descriptors whose pipes have high numbers starts
// slowly; through a reserved low number it does not. Call it early, while low numbers are free; a start that would
// profit does it by itself, as far as low numbers are left then. `count`: how many starts with three pipes each may
// run at once, 1 to 8. Returns how many of them there are now.
KEEPEXEC_API int reserve_descriptors(int count = 1);

} // namespace keep::exec
