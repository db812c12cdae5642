// The order of the steps, and what a failing one leaves: nothing but its name and its errno.
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/exec/faults.hpp"

using namespace keep;
using namespace keep::test;
using exec::Step;

namespace {

std::string text_of(const Fault& fault) {
    return exec::step_name(fault.step) + std::string(" ") + std::to_string(fault.error_number);
}

// With all faults at once the first step in the order fails; with that one mended the next, and so on to the last.
void check_order_without(Step left_out) {
    std::vector<Fault> faults = every_fault();
    std::erase_if(faults, [&](const Fault& fault) { return fault.step == left_out; });
    while (!faults.empty()) {
        const Ran ran = in_fork([&] { say(outcome_with(faults)); });
        CHECK(ran.output == text_of(faults.front()) + "\n");
        faults.erase(faults.begin());
    }
    const Ran ran = in_fork([] { say(outcome_with({})); });
    CHECK(ran.output == "started\n"); // with no fault left
}

} // namespace

EXEC_TEST("[go:117] of several steps that would fail, the first in the order does: with a terminal from the parent") {
    if (is_root()) check_order_without(Step::setctty);
}

EXEC_TEST("[go:117] of several steps that would fail, the first in the order does: with a terminal of the child's") {
    if (is_root()) check_order_without(Step::foreground);
}

EXEC_TEST("[go:118] each step that fails is named, yields its errno, and leaves no child") {
    if (!is_root()) return;
    for (const Fault& fault : every_fault()) {
        const Ran ran = in_fork([&] {
            say(outcome_with({fault}));
            say(::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD ? "no child" : "a child is left");
        });
        CHECK(ran.output == text_of(fault) + "\nno child\n");
    }
}

EXEC_TEST("[go:118] the child of a failed start exits with 253, and has been reaped when start returns") {
    const Ran ran = in_fork([] {
        sigset_t child_ended;
        ::sigemptyset(&child_ended);
        ::sigaddset(&child_ended, SIGCHLD);
        ::sigprocmask(SIG_BLOCK, &child_ended, nullptr);
        exec::SpawnSpec spec;
        spec.path = "/no/such/program";
        say(outcome_of(spec));
        siginfo_t about{};
        const timespec at_once{};
        if (::sigtimedwait(&child_ended, &about, &at_once) != SIGCHLD) return say("no SIGCHLD");
        say(about.si_code == CLD_EXITED ? "exited with " + std::to_string(about.si_status) : "killed");
        say(::waitpid(about.si_pid, nullptr, WNOHANG) == -1 ? "reaped" : "not reaped");
    });
    CHECK(ran.output == "execve 2\nexited with 253\nreaped\n");
}

EXEC_TEST("[go:118] the error says what the step was about") {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    spec.dir = "/no/such/directory";
    spec.sys.limits = {{RLIMIT_CORE, {0, 0}}};
    auto failed = exec::spawn(spec);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().object() == "/no/such/directory");
    spec.dir.clear();
    spec.sys.limits.push_back({RLIMIT_NOFILE, {200, 100}});
    failed = exec::spawn(spec);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().object() == "nofile");
}
