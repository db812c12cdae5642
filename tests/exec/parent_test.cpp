// What a start must not do to its parent, whatever becomes of the child.
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/exec/faults.hpp"

using namespace keep;
using namespace keep::test;

namespace {

std::string dispositions() {
    std::ostringstream text;
    for (int signal = 1; signal < NSIG; ++signal) {
        struct sigaction action{};
        if (::sigaction(signal, nullptr, &action) != 0) continue; // the C library's own
        text << signal << ':' << reinterpret_cast<std::uintptr_t>(action.sa_handler) << ',' << action.sa_flags << ' ';
    }
    return text.str();
}

// All that the steps of a start change in the child, as it is in this process. The calling thread's, where threads have
// it each: not what starts at the same time do to others.
std::string ourselves() {
    std::ifstream status("/proc/thread-self/status");
    std::ostringstream text;
    for (std::string line; std::getline(status, line);) {
        for (const char* field : {"Umask:", "TracerPid:", "Uid:", "Gid:", "Groups:", "NSpid:", "Threads:", "SigPnd:",
                                  "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "CapInh:", "CapPrm:", "CapEff:",
                                  "CapBnd:", "CapAmb:", "NoNewPrivs:", "Cpus_allowed:"}) {
            if (line.starts_with(field)) text << line << '\n';
        }
    }
    text << "dispositions " << dispositions() << '\n';
    text << "dumpable " << ::prctl(PR_GET_DUMPABLE) << '\n';
    text << "keeps capabilities " << ::prctl(PR_GET_KEEPCAPS) << '\n';
    int death_signal = -1;
    ::prctl(PR_GET_PDEATHSIG, &death_signal);
    text << "parent death signal " << death_signal << '\n';
    text << "group " << ::getpgrp() << " session " << ::getsid(0) << '\n';
    text << "nice " << ::getpriority(PRIO_PROCESS, 0) << '\n';
    text << "io priority " << ::syscall(SYS_ioprio_get, 1, 0) << '\n';
    text << "oom score adjust " << std::ifstream("/proc/self/oom_score_adj").rdbuf();
    text << "limits " << std::ifstream("/proc/self/limits").rdbuf();
    text << "cgroup " << std::ifstream("/proc/self/cgroup").rdbuf();
    text << "mounts " << std::ifstream("/proc/self/mountinfo").rdbuf();
    text << to_string(holdings()) << '\n';
    for (const char* name : {"cwd", "root", "ns/cgroup", "ns/ipc", "ns/mnt", "ns/net", "ns/pid", "ns/pid_for_children",
                             "ns/time", "ns/time_for_children", "ns/user", "ns/uts"}) {
        char target[256]{};
        (void)!::readlink((std::string("/proc/thread-self/") + name).c_str(), target, sizeof target - 1);
        text << name << ' ' << target << '\n';
    }
    return text.str();
}

// Where two texts part.
std::string difference(const std::string& before, const std::string& after) {
    std::istringstream left(before);
    std::istringstream right(after);
    for (std::string was, is; std::getline(left, was);) {
        std::getline(right, is);
        if (was != is) return "was: " + was + "\nis: " + is;
    }
    return after.size() == before.size() ? "nothing changed" : "more lines";
}

void handler(int) {}

// Makes this process one whose state is easily disturbed: nothing is at its default.
void become_particular() {
    ::signal(SIGUSR1, handler);
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR2);
    ::sigaddset(&blocked, SIGRTMIN + 3);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    ::raise(SIGUSR2); // stays pending
    ::umask(0031);
}

constexpr int nobodys_errno = 4242;

// For the body of in_fork(): what `start` returns, then what it has changed here.
void say_what_changes(const std::function<std::string()>& start) {
    become_particular();
    exec::reserve_descriptors(); // what the library keeps for good is there now
    const std::string before = ourselves();
    errno = nobodys_errno;
    const std::string outcome = start();
    const int errno_after = errno;
    say(outcome);
    say(difference(before, ourselves()));
    if (errno_after != nobodys_errno) say("errno is now " + std::to_string(errno_after));
}

// The same without the wait: errno is spawn()'s alone.
std::string start_and_keep_errno(const exec::SpawnSpec& spec) {
    auto process = exec::spawn(spec);
    if (!process) return exec::step_name(process.error().step());
    const int errno_after = errno;
    (void)process->wait();
    errno = errno_after;
    return "started";
}

exec::SpawnSpec everything() {
    exec::SpawnSpec spec = faultless();
    exec::SysProcAttr& sys = spec.sys;
    spec.dir = "/";
    sys.chroot = "/";
    sys.setsid = true;
    sys.unshare_flags = CLONE_NEWNS | CLONE_NEWUTS;
    sys.clone_flags = CLONE_NEWIPC;
    sys.umask = 0077;
    sys.limits = {{RLIMIT_CORE, {0, 0}}};
    sys.nice = 7;
    sys.oom_score_adjust = 500;
    sys.io_priority = exec::IoPriority{exec::IoPriority::Class::idle, 0};
    sys.pdeathsig = SIGTERM;
    sys.signal_mask = 1;
    sys.ignored_signals = exec::IgnoredSignals::reset;
    return spec;
}

} // namespace

EXEC_TEST("a start changes nothing of its parent: neither dumpable flag, mask, dispositions nor errno") {
    const Ran ran = in_fork([] {
        say_what_changes([] {
            exec::SpawnSpec spec;
            spec.path = "/bin/true";
            return start_and_keep_errno(spec);
        });
    });
    CHECK(ran.output == "started\nnothing changed\n");
}

EXEC_TEST("a start that becomes another user, and changes all that can be, changes nothing of its parent") {
    if (!is_root()) return;
    const Ran ran = in_fork([] { say_what_changes([] { return start_and_keep_errno(everything()); }); });
    CHECK(ran.output == "started\nnothing changed\n");
}

EXEC_TEST("a start in a user namespace changes nothing of its parent") {
    if (!is_root()) return;
    const Ran ran = in_fork([] {
        say_what_changes([] {
            exec::SpawnSpec spec;
            spec.path = "/bin/true";
            spec.sys.clone_flags = CLONE_NEWUSER;
            spec.sys.uid_mappings = {{0, 0, 1}};
            spec.sys.gid_mappings = {{0, 0, 1}};
            return start_and_keep_errno(spec);
        });
    });
    CHECK(ran.output == "started\nnothing changed\n");
}

EXEC_TEST("a start that fails changes nothing of its parent, whichever the step, with another user's credentials") {
    if (!is_root()) return;
    for (const Fault& fault : every_fault()) {
        const Ran ran = in_fork([&] {
            if (fault.refusal) refuse_calls({*fault.refusal});
            say_what_changes([&] {
                exec::SpawnSpec spec = faultless();
                fault.ask(spec);
                return start_and_keep_errno(spec);
            });
        });
        CHECK(ran.output == std::string(exec::step_name(fault.step)) + "\nnothing changed\n");
    }
}

EXEC_TEST("a start that fails changes nothing of its parent, whichever the step, without credentials") {
    for (const Fault& fault : every_fault()) {
        if (fault.refusal) continue; // root or not, these fail
        const Ran ran = in_fork([&] {
            say_what_changes([&] {
                exec::SpawnSpec spec;
                spec.path = "/bin/true";
                fault.ask(spec);
                return start_and_keep_errno(spec);
            });
        });
        CHECK(ran.output == std::string(exec::step_name(fault.step)) + "\nnothing changed\n");
    }
}
