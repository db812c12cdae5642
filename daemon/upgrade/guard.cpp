#include "daemon/upgrade/guard.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <keep/exec/replace.hpp>

#include "daemon/upgrade/memory_bound.hpp"

namespace keepd::upgrade {

namespace {

constexpr std::array fatal{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGSYS, SIGTRAP, SIGALRM};
constexpr std::size_t stack_size = std::size_t{64} << 10;

// All that a signal handler needs, without an allocation and before any constructor has to have run.
struct {
    bool up = false;
    int image = -1;
    char** argv = nullptr;
    std::uint64_t patience_ms = 0;
    rlimit memory{};
    bool memory_bound = false;
    volatile std::sig_atomic_t attempts = 0;
    timer_t alarm{};
    std::array<char, 1024> reason{};
    alignas(16) std::array<char, stack_size> stack{};
} guard;

// Text into guard.reason, cut where it would not fit. Control characters become spaces: it is one line of a log.
class ReasonText {
  public:
    ReasonText() { add(rolled_back_option); }
    ReasonText& add(std::string_view text) {
        for (const char c : text)
            if (used_ + 1 < guard.reason.size()) guard.reason[used_++] = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
        guard.reason[used_] = '\0';
        return *this;
    }
    ReasonText& add(std::uint64_t number) {
        std::array<char, 20> digits{};
        std::size_t at = digits.size();
        do
            digits[--at] = static_cast<char>('0' + number % 10);
        while ((number /= 10) != 0);
        return add({digits.data() + at, digits.size() - at});
    }

  private:
    std::size_t used_ = 0;
};

std::string_view name_of(int signal) {
    switch (signal) {
    case SIGABRT: return "SIGABRT";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    case SIGQUIT: return "SIGQUIT";
    case SIGSEGV: return "SIGSEGV";
    case SIGSYS: return "SIGSYS";
    case SIGTRAP: return "SIGTRAP";
    default: return "a signal";
    }
}

void say(std::string_view text) {
    (void)!::write(STDERR_FILENO, text.data(), text.size());
}

// Executes the old image. Async-signal-safe. Returns if that is impossible.
void execute_old() {
    if (guard.attempts != 0) return; // it failed once: a crash in here must not turn in circles
    guard.attempts = 1;
    // The old image blocks everything in its first lines; until then nothing may strike it.
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    if (guard.memory_bound) setrlimit(RLIMIT_AS, &guard.memory);
    guard.argv[2] = guard.reason.data();
    ::fcntl(guard.image, F_SETFD, FD_CLOEXEC); // it does not need itself
    (void)keep::exec::replace_at_once(guard.image, guard.argv, environ);
    say("keepd: the upgrade failed and the old image can't be executed again; keepd ends\n");
}

extern "C" void keepd_guard_on_signal(int signal) {
    ReasonText text;
    if (signal == SIGALRM)
        text.add("it did not commit within ").add(guard.patience_ms).add(" ms (upgrade.commit_timeout)");
    else
        text.add("it died of ").add(name_of(signal));
    execute_old();
    // With the signal's own end: a core dump, and a service manager that sees a crash.
    const int end = signal == SIGALRM ? SIGABRT : signal;
    ::signal(end, SIG_DFL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, end);
    sigprocmask(SIG_UNBLOCK, &one, nullptr);
    ::raise(end);
    ::_exit(1);
}

void on_end(int status, void*) {
    if (!guard.up) return;
    ReasonText().add("it ended by itself with exit code ").add(static_cast<std::uint64_t>(status & 0xFF));
    execute_old();
}

// The number at `text`, moved behind it; false if there is none.
bool take_number(const char*& text, std::uint64_t& number) {
    const char* const start = text;
    for (number = 0; *text >= '0' && *text <= '9' && number < 1'000'000'000'000; ++text)
        number = number * 10 + static_cast<std::uint64_t>(*text - '0');
    return text != start;
}

void handle_fatal_signals() {
    stack_t stack{};
    stack.ss_sp = guard.stack.data();
    stack.ss_size = guard.stack.size();
    sigaltstack(&stack, nullptr);
    struct sigaction action{};
    action.sa_handler = keepd_guard_on_signal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int signal : fatal) {
        sigaction(signal, &action, nullptr);
        sigaddset(&wanted, signal);
    }
    sigprocmask(SIG_UNBLOCK, &wanted, nullptr); // blocked over the exec, as everything is
}

// Armed only now that its handler stands.
bool arm_alarm() {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGALRM;
    itimerspec at{};
    at.it_value.tv_sec = static_cast<time_t>(guard.patience_ms / 1000);
    at.it_value.tv_nsec = static_cast<long>(guard.patience_ms % 1000) * 1'000'000;
    return timer_create(CLOCK_MONOTONIC, &event, &guard.alarm) == 0 && timer_settime(guard.alarm, 0, &at, nullptr) == 0;
}

// A new image that eats memory must not take the host's: its allocations fail, which is an end like others.
void bound_memory() {
    if (!memory_can_be_bound || getrlimit(RLIMIT_AS, &guard.memory) != 0) return;
    rlimit bound = guard.memory;
    if (bound.rlim_cur != RLIM_INFINITY && bound.rlim_cur <= most_memory) return;
    bound.rlim_cur = most_memory;
    guard.memory_bound = setrlimit(RLIMIT_AS, &bound) == 0;
}

} // namespace

std::string way_back_argument(int image_fd, keep::Duration patience) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
    return std::string(way_back_option) + std::to_string(image_fd) + ":" + std::to_string(ms < 1 ? 1 : ms);
}

void raise_guard(int argc, char** argv) {
    if (guard.up || argc < 3 || std::strncmp(argv[1], "--resume=", 9) != 0 ||
        std::strncmp(argv[2], way_back_option.data(), way_back_option.size()) != 0)
        return;
    const char* rest = argv[2] + way_back_option.size();
    std::uint64_t image = 0, patience = 0;
    if (!take_number(rest, image) || *rest++ != ':' || !take_number(rest, patience) || *rest != '\0') return;
    guard.image = static_cast<int>(image);
    guard.patience_ms = patience < 1 ? 1 : patience;
    guard.argv = argv;
    guard.up = true;
    handle_fatal_signals();
    bound_memory();
    if (::on_exit(on_end, nullptr) != 0) roll_back("its end can't be watched");
    if (!arm_alarm()) roll_back("no timer for upgrade.commit_timeout");
}

bool guarded() {
    return guard.up;
}

int way_back_fd() {
    return guard.image;
}

void lower_guard() {
    if (!guard.up) return;
    // First of all the alarm, so that it can't strike an image that has committed; one that is pending is dropped by
    // being ignored for an instant.
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, nullptr);
    timer_delete(guard.alarm);
    guard.up = false;
    ::signal(SIGALRM, SIG_IGN);
    for (const int signal : fatal)
        ::signal(signal, SIG_DFL);
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
    if (guard.memory_bound) setrlimit(RLIMIT_AS, &guard.memory);
    ::close(guard.image);
    guard.image = -1;
}

void roll_back(std::string_view reason) {
    if (!guard.up) return;
    ReasonText().add(reason);
    execute_old();
}

} // namespace keepd::upgrade
