// Section H of the list: what is known of how a process ended, in numbers and in Go's words.
#include "tests/exec/findings.hpp"

#include <cerrno>
#include <csignal>
#include <sys/resource.h>
#include <sys/wait.h>
#include <utility>
#include <vector>

using namespace keep;
using namespace keep::test;

namespace {

exec::ProcessState end_of(std::string_view mode, const std::string& argument) {
    return run(helper_spec(mode, {argument})).state;
}

// Of no process, but with a wait status as the kernel makes it; wait(2).
exec::ProcessState with_status(int wait_status) {
    return {1, wait_status, {}};
}
constexpr int core_bit = 0x80;

std::chrono::microseconds duration_of(const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

rusage usage_of_children() {
    rusage usage{};
    REQUIRE(::getrusage(RUSAGE_CHILDREN, &usage) == 0);
    return usage;
}

} // namespace

EXEC_TEST("[go:88] an exit code is what the process gave, from 0 to 255") {
    for (const int code : {0, 1, 2, 42, 125, 126, 127, 128, 137, 253, 254, 255}) {
        CAPTURE(code);
        CHECK(end_of("exit", std::to_string(code)).exit_code() == code);
    }
    CHECK(end_of("exit", "256").exit_code() == 0); // the kernel keeps eight bits
}

EXEC_TEST("[go:88] the exit code is -1 for a death by signal, and for no process") {
    CHECK(end_of("kill", std::to_string(SIGKILL)).exit_code() == -1);
    CHECK(end_of("kill", std::to_string(SIGTERM)).exit_code() == -1);
    CHECK(exec::ProcessState().exit_code() == -1);
}

EXEC_TEST("[go:88] a command that was not waited for has no state") {
    exec::Cmd command = helper("exit", {"42"});
    CHECK(command.state() == nullptr);
    REQUIRE(said(command.start()) == "");
    CHECK(command.state() == nullptr);
    CHECK_FALSE(command.wait());
    REQUIRE(command.state() != nullptr);
    CHECK(command.state()->exit_code() == 42);
}

EXEC_TEST("[go:89] a process that a signal ended has not exited, and one that exited was not signalled") {
    const exec::ProcessState killed = end_of("kill", std::to_string(SIGTERM));
    CHECK_FALSE(killed.exited());
    CHECK(killed.signaled());
    CHECK(killed.signal() == SIGTERM);
    const exec::ProcessState exited = end_of("exit", "7");
    CHECK(exited.exited());
    CHECK_FALSE(exited.signaled());
    CHECK(exited.signal() == 0);
}

EXEC_TEST("[go:89] only an exit with 0 is a success") {
    CHECK(end_of("exit", "0").success());
    CHECK_FALSE(end_of("exit", "1").success());
    CHECK_FALSE(end_of("exit", "255").success());
    CHECK_FALSE(end_of("kill", std::to_string(SIGTERM)).success());
}

EXEC_TEST("[go:90] the text of an exit and of a death by signal") {
    CHECK(end_of("exit", "7").to_string() == "exit status 7");
    CHECK(end_of("exit", "0").to_string() == "exit status 0");
    CHECK(end_of("kill", std::to_string(SIGKILL)).to_string() == "signal: killed");
    CHECK(end_of("kill", std::to_string(SIGINT)).to_string() == "signal: interrupt");
    CHECK(end_of("kill", "42").to_string() == "signal: signal 42");
}

EXEC_TEST("[go:90] the texts of a stop, of going on, and of the end that follows") {
    auto process = exec::spawn(helper_spec("stop"));
    REQUIRE(process);
    int status = 0;
    rusage usage{};
    REQUIRE(::wait4(process->pid(), &status, WUNTRACED, &usage) == process->pid());
    const exec::ProcessState stopped(process->pid(), status, usage);
    CHECK(stopped.to_string() == "stop signal: stopped (signal)");
    CHECK(stopped.stopped());
    CHECK(stopped.stop_signal() == SIGSTOP);
    CHECK_FALSE(stopped.exited());
    CHECK_FALSE(stopped.signaled());
    REQUIRE(said(process->signal(SIGCONT)) == "");
    REQUIRE(::wait4(process->pid(), &status, WCONTINUED, &usage) == process->pid());
    const exec::ProcessState continued(process->pid(), status, usage);
    CHECK(continued.to_string() == "continued");
    CHECK(continued.continued());
    CHECK_FALSE(continued.stopped());
    CHECK_FALSE(continued.exited());
    CHECK_FALSE(continued.signaled());
    const auto ended = process->wait();
    REQUIRE(ended);
    CHECK(ended->to_string() == "exit status 7");
    CHECK_FALSE(ended->stopped());
    CHECK_FALSE(ended->continued());
}

EXEC_TEST("[go:90] a dumped core is added to the text of a death by signal, and to nothing else") {
    CHECK(with_status(SIGABRT | core_bit).to_string() == "signal: aborted (core dumped)");
    CHECK(with_status(SIGSEGV | core_bit).to_string() == "signal: segmentation fault (core dumped)");
    CHECK(with_status(SIGABRT | core_bit).core_dumped());
    CHECK(with_status(SIGABRT).to_string() == "signal: aborted");
    CHECK_FALSE(with_status(SIGABRT).core_dumped());
    CHECK(with_status(128 << 8).to_string() == "exit status 128");
    CHECK_FALSE(with_status(128 << 8).core_dumped());
    CHECK_FALSE(with_status(0xffff).core_dumped()); // continued: all bits are set
}

EXEC_TEST("[go:91] each signal has Go's name") {
    const std::vector<std::pair<int, const char*>> names{{SIGHUP, "hangup"},
                                                         {SIGINT, "interrupt"},
                                                         {SIGQUIT, "quit"},
                                                         {SIGILL, "illegal instruction"},
                                                         {SIGTRAP, "trace/breakpoint trap"},
                                                         {SIGABRT, "aborted"},
                                                         {SIGBUS, "bus error"},
                                                         {SIGFPE, "floating point exception"},
                                                         {SIGKILL, "killed"},
                                                         {SIGUSR1, "user defined signal 1"},
                                                         {SIGSEGV, "segmentation fault"},
                                                         {SIGUSR2, "user defined signal 2"},
                                                         {SIGPIPE, "broken pipe"},
                                                         {SIGALRM, "alarm clock"},
                                                         {SIGTERM, "terminated"},
                                                         {SIGSTKFLT, "stack fault"},
                                                         {SIGCHLD, "child exited"},
                                                         {SIGCONT, "continued"},
                                                         {SIGSTOP, "stopped (signal)"},
                                                         {SIGTSTP, "stopped"},
                                                         {SIGTTIN, "stopped (tty input)"},
                                                         {SIGTTOU, "stopped (tty output)"},
                                                         {SIGURG, "urgent I/O condition"},
                                                         {SIGXCPU, "CPU time limit exceeded"},
                                                         {SIGXFSZ, "file size limit exceeded"},
                                                         {SIGVTALRM, "virtual timer expired"},
                                                         {SIGPROF, "profiling timer expired"},
                                                         {SIGWINCH, "window changed"},
                                                         {SIGIO, "I/O possible"},
                                                         {SIGPWR, "power failure"},
                                                         {SIGSYS, "bad system call"}};
    CHECK(names.size() == 31);
    for (const auto& [signal, name] : names)
        CHECK(exec::signal_text(signal) == name);
}

EXEC_TEST("[go:91] a signal without a name is its number") {
    for (const int signal : {32, 33, 34, 42, 63, 64, 65, 1000, 0, -1, -9})
        CHECK(exec::signal_text(signal) == "signal " + std::to_string(signal));
}

EXEC_TEST("[go:92] the state has the pid that the process had") {
    exec::Cmd command = helper("exit", {"3"});
    REQUIRE(said(command.start()) == "");
    const pid_t pid = command.process()->pid();
    CHECK_FALSE(command.wait());
    CHECK(command.state()->pid() == pid);
    auto process = exec::spawn(helper_spec("exit", {"0"}));
    REQUIRE(process);
    CHECK(process->wait()->pid() == process->pid());
}

EXEC_TEST("[go:92] times and usage are what the kernel counted of the process") {
    const rusage before = usage_of_children();
    const exec::ProcessState state = run(helper_spec("spew", {"10000000"})).state;
    const rusage after = usage_of_children();
    CHECK(state.usage().ru_minflt > 0);
    CHECK(state.usage().ru_minflt == after.ru_minflt - before.ru_minflt);
    CHECK(state.usage().ru_nvcsw == after.ru_nvcsw - before.ru_nvcsw);
    CHECK(state.usage().ru_maxrss > 0);
    CHECK(state.user_time() == duration_of(state.usage().ru_utime));
    CHECK(state.system_time() == duration_of(state.usage().ru_stime));
    CHECK((state.user_time() + state.system_time()).count() > 0);
    // Two sums that were cut off to microseconds, and their difference: two microseconds at the most.
    const auto user = duration_of(after.ru_utime) - duration_of(before.ru_utime) - state.user_time();
    const auto system = duration_of(after.ru_stime) - duration_of(before.ru_stime) - state.system_time();
    CHECK(std::abs(user.count()) <= 2);
    CHECK(std::abs(system.count()) <= 2);
}

EXEC_TEST("[go:92] times are exact to the microsecond, beyond a second too") {
    rusage usage{};
    usage.ru_utime = {2, 345678};
    usage.ru_stime = {4000000, 1};
    const exec::ProcessState state(1, 0, usage);
    CHECK(state.user_time() == std::chrono::microseconds(2'345'678));
    CHECK(state.system_time() == std::chrono::microseconds(4'000'000'000'001));
}
