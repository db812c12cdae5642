// Errors of the exec library: values that say which operation failed, on what, at which step, and why. The texts are
// those of Go's os/exec, os and syscall packages, so that what is known of those holds here.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include <keep/exec/api.hpp>

namespace keep::exec {

class ProcessState;

// What the library itself can say; what the kernel says is an errno (std::errc). Go's name of each stands beside it.
enum class Errc : std::uint8_t {
    not_found = 1,          // exec.ErrNotFound: "executable file not found in $PATH"
    dot,                    // exec.ErrDot: "cannot run executable found relative to current directory"
    wait_delay,             // exec.ErrWaitDelay: "exec: WaitDelay expired before I/O complete"
    process_done,           // os.ErrProcessDone: "os: process already finished"
    process_released,       // "os: process already released"
    canceled,               // context.Canceled: "context canceled"
    deadline_exceeded,      // context.DeadlineExceeded: "context deadline exceeded"
    no_command,             // "exec: no command"
    already_started,        // "exec: already started"
    not_started,            // "exec: not started"
    already_waited,         // "exec: Wait was already called"
    stream_set,             // "exec: Stdout already set"
    pipe_after_start,       // "exec: StdoutPipe after process started"
    cancel_without_context, // "exec: command with a non-nil Cancel was not created with CommandContext"
    nul_in_environment,     // "exec: environment variable contains NUL"
    closed,                 // os.ErrClosed: "file already closed"
    unsuccessful,           // an exit other than 0, or a signal: Error::exit() has the state
};
KEEPEXEC_API const std::error_category& exec_category() noexcept;
inline std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), exec_category()};
}

// The steps of a start, in the order in which they are taken; the last of them run in the child.
enum class Step : std::uint8_t {
    none,
    prepare, // before anything was started
    clone,
    cgroup,
    keep_capabilities, // PR_SET_KEEPCAPS
    id_maps,           // uid_map, setgroups, gid_map of a new user namespace
    setsid,
    setpgid,
    foreground, // TIOCSPGRP
    unshare,
    private_mounts, // "/" made private after unshare(CLONE_NEWNS)
    nice,
    io_priority,
    cpu_affinity,
    oom_score_adjust,
    chroot,
    rlimit,
    bounding_set,
    no_new_privileges,
    groups,
    gid,
    uid,
    ambient_capabilities,
    chdir,
    parent_death_signal,
    fds,
    noctty,  // TIOCNOTTY
    setctty, // TIOCSCTTY
    signals,
    ptrace,
    execve
};
KEEPEXEC_API const char* step_name(Step) noexcept; // "chdir", "bounding_set"

// How a command ended badly: Go's exec.ExitError.
struct ExitError;

// A failure. Copies are cheap and share; never empty but after a move. Never thrown by this library.
class KEEPEXEC_API Error {
  public:
    // For what a callable of the user's reports. `message` empty: the code's own text.
    explicit Error(std::error_code code, std::string message = {});

    // The whole text, Go's where Go has one: "fork/exec /bin/nonesuch: no such file or directory". A start that failed
    // at another step than the exec names it besides: "fork/exec /bin/true: setsid: operation not permitted".
    const std::string& message() const noexcept;
    // The innermost cause: an Errc, or an errno in std::generic_category().
    std::error_code code() const noexcept;
    int error_number() const noexcept; // errno; 0 where no system call failed

    std::string_view op() const noexcept;     // "fork/exec", "chdir", "exec", "wait"; may be empty
    std::string_view path() const noexcept;   // to what: Error::dot carries the file found here
    Step step() const noexcept;               // of a start; none elsewhere
    std::string_view object() const noexcept; // of the step: "/srv/web", "nofile"; may be empty

    // Whether this error or one that it wraps is this one: Go's errors.Is.
    bool is(std::error_code wanted) const noexcept;
    bool is(Errc wanted) const noexcept { return is(make_error_code(wanted)); }
    bool is(std::errc wanted) const noexcept;

    // How the command ended, where that is the failure: Go's errors.As(err, *exec.ExitError). Lives as long as a copy
    // of this error.
    const ExitError* exit() const noexcept;

    struct Data; // the library's
    explicit Error(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
    const std::shared_ptr<const Data>& data() const noexcept { return data_; }

  private:
    std::shared_ptr<const Data> data_;
};

template <typename T = void>
using Result = std::expected<T, Error>;

} // namespace keep::exec

template <>
struct std::is_error_code_enum<keep::exec::Errc> : std::true_type {};
