#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/wait.h>

#include <keep/exec/process_state.hpp>

namespace keep::exec {
namespace {

constexpr int continued_status = 0xffff;

// Go's names. strsignal(3) says half of them differently.
constexpr std::array<const char*, 32> signal_texts{
    nullptr,
    "hangup",
    "interrupt",
    "quit",
    "illegal instruction",
    "trace/breakpoint trap",
    "aborted",
    "bus error",
    "floating point exception",
    "killed",
    "user defined signal 1",
    "segmentation fault",
    "user defined signal 2",
    "broken pipe",
    "alarm clock",
    "terminated",
    "stack fault",
    "child exited",
    "continued",
    "stopped (signal)",
    "stopped",
    "stopped (tty input)",
    "stopped (tty output)",
    "urgent I/O condition",
    "CPU time limit exceeded",
    "file size limit exceeded",
    "virtual timer expired",
    "profiling timer expired",
    "window changed",
    "I/O possible",
    "power failure",
    "bad system call",
};

std::chrono::microseconds duration_of(const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

} // namespace

bool ProcessState::exited() const noexcept {
    return WIFEXITED(status_);
}
bool ProcessState::success() const noexcept {
    return exit_code() == 0;
}
int ProcessState::exit_code() const noexcept {
    return pid_ > 0 && WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
}
bool ProcessState::signaled() const noexcept {
    return WIFSIGNALED(status_);
}
int ProcessState::signal() const noexcept {
    return signaled() ? WTERMSIG(status_) : 0;
}
bool ProcessState::core_dumped() const noexcept {
    return signaled() && WCOREDUMP(status_);
}
bool ProcessState::stopped() const noexcept {
    return status_ != continued_status && WIFSTOPPED(status_);
}
int ProcessState::stop_signal() const noexcept {
    return stopped() ? WSTOPSIG(status_) : 0;
}
bool ProcessState::continued() const noexcept {
    return status_ == continued_status;
}
std::chrono::microseconds ProcessState::user_time() const noexcept {
    return duration_of(usage_.ru_utime);
}
std::chrono::microseconds ProcessState::system_time() const noexcept {
    return duration_of(usage_.ru_stime);
}

std::string ProcessState::to_string() const {
    std::string text;
    if (continued()) {
        text = "continued";
    } else if (stopped()) {
        text = "stop signal: " + signal_text(stop_signal());
    } else if (signaled()) {
        text = "signal: " + signal_text(signal());
    } else {
        text = "exit status " + std::to_string(WEXITSTATUS(status_));
    }
    return core_dumped() ? text + " (core dumped)" : text;
}

std::string signal_text(int signal) {
    if (signal > 0 && signal < static_cast<int>(signal_texts.size())) {
        return signal_texts[static_cast<std::size_t>(signal)];
    }
    return "signal " + std::to_string(signal);
}

// Go's table says what the C library's untranslated one says, but begins in lower case where no abbreviation stands.
std::string errno_text(int error_number) {
    const char* known = ::strerrordesc_np(error_number);
    if (error_number == ESTALE) return "stale NFS file handle"; // as Go says it
    if (error_number == 0 || known == nullptr) return "errno " + std::to_string(error_number);
    std::string text = known;
    const auto is_upper = [&](std::size_t at) { return std::isupper(static_cast<unsigned char>(text[at])) != 0; };
    if (text.size() > 1 && is_upper(0) && !is_upper(1)) {
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    }
    return text;
}

} // namespace keep::exec
