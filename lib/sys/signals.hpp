// The signal mask, dispositions, and signals as readable descriptors. sigaction(2), sigprocmask(2), signalfd(2).
#pragma once

#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <sys/signalfd.h>

#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keep::sys {

sigset_t signal_set(std::initializer_list<int> signals);
sigset_t all_signals(); // but the two that the C library keeps for itself

// The calling thread's mask. All but current_mask() return the one that stood before.
Result<sigset_t> block_all();
Result<sigset_t> block(const sigset_t& signals);
Result<sigset_t> unblock(const sigset_t& signals);
Result<sigset_t> set_mask(const sigset_t& mask);
sigset_t current_mask();

// Ignored signals get their default action back: SIG_IGN outlives execve(2), so a parent's choice (nohup, a shell's
// background job) would otherwise be ours and our programs'. Returns how many were ignored.
int reset_ignored_signals();

// Discards a signal in this process from now on (SIG_IGN), or restores its default action.
Result<> ignore_signal(int signal);
Result<> default_signal(int signal);

// Which signals are ignored: bit N-1 for signal N. One system call for each of them, about 5 us in all.
std::uint64_t ignored_signals();

// Readable while one of `signals` is pending; they must be blocked. Non-blocking, close-on-exec.
Result<Fd> signal_fd(const sigset_t& signals);
// The next pending signal; nothing if there is none. Reading consumes it.
Result<std::optional<signalfd_siginfo>> read_signal(int signal_fd);

} // namespace keep::sys
