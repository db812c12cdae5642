// How a process ended: Go's os.ProcessState.
#pragma once

#include <chrono>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>

#include <keep/exec/error.hpp>

namespace keep::exec {

// A value. The wait status is that of wait(2).
class KEEPEXEC_API ProcessState {
  public:
    ProcessState() = default; // of no process: exit_code() is -1, text "exit status 0"
    ProcessState(pid_t pid, int wait_status, const rusage& usage) : pid_(pid), status_(wait_status), usage_(usage) {}

    pid_t pid() const noexcept { return pid_; }
    int wait_status() const noexcept { return status_; }

    bool exited() const noexcept;   // by exit(2); false if a signal ended it
    bool success() const noexcept;  // exit 0
    int exit_code() const noexcept; // 0..255; -1 if a signal ended it
    bool signaled() const noexcept;
    int signal() const noexcept; // which; 0 if none did
    bool core_dumped() const noexcept;
    bool stopped() const noexcept; // of a traced process
    int stop_signal() const noexcept;
    bool continued() const noexcept;

    // CPU time of the process and of the children that it waited for; getrusage(2), exact to the microsecond.
    std::chrono::microseconds user_time() const noexcept;
    std::chrono::microseconds system_time() const noexcept;
    const rusage& usage() const noexcept { return usage_; }

    // Go's: "exit status 7", "signal: killed", "signal: aborted (core dumped)", "stop signal: stopped (signal)",
    // "continued".
    std::string to_string() const;

  private:
    pid_t pid_ = 0;
    int status_ = 0;
    rusage usage_{};
};

struct ExitError {
    ProcessState state;
    // The head and the tail (32 KiB each) of what the command wrote to its standard error, where Cmd::output() had it
    // captured: for messages.
    std::string stderr_text;
};

// Go's names: "killed", "broken pipe", "signal 42" for one without a name. Not strsignal(3)'s.
KEEPEXEC_API std::string signal_text(int signal);

// Go's texts of an errno, never translated: "no such file or directory".
KEEPEXEC_API std::string errno_text(int error_number);

} // namespace keep::exec
