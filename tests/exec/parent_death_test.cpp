// The signal that a child gets when its parent ends.
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "tests/exec/attributes.hpp"

using namespace keep;
using namespace keep::test;
using exec::Step;

namespace {

// Orphans become ours, so that their end is told to us.
class Subreaper {
  public:
    Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
    ~Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
    Subreaper(const Subreaper&) = delete;
    Subreaper& operator=(const Subreaper&) = delete;
};

std::string end_of(pid_t child) {
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return "no child of ours";
    return exec::ProcessState(child, status, {}).to_string();
}

// For the bodies below: a child that hangs, with our standard output but nothing else of ours.
exec::Result<exec::Process> start_hanging(int signal) {
    exec::SpawnSpec spec = attributes_spec("hang");
    spec.sys.pdeathsig = signal;
    return exec::spawn(spec);
}

} // namespace

EXEC_TEST("[go:128] the parent death signal is set after the credentials, whose change clears it") {
    if (!is_root()) return;
    const Fd image = attributes_image();
    exec::SpawnSpec spec = attributes_spec();
    spec.exec_fd = image.get();
    spec.sys.credential = exec::Credential{stranger, stranger, {}};
    spec.sys.pdeathsig = SIGUSR2;
    CHECK(report_of(spec).at("parent death signal") == std::to_string(SIGUSR2));
}

EXEC_TEST("[go:128] a child gets its signal when its parent ends") {
    const Subreaper ours;
    const Ran ran = in_fork([] {
        auto process = start_hanging(SIGUSR2);
        say(process ? std::to_string(process->pid()) : process.error().message());
    });
    CHECK(end_of(std::stoi(ran.output)) == "signal: user defined signal 2");
}

EXEC_TEST("[go:128] the parent that counts is the thread that started the child: its end is enough") {
    exec::Result<exec::Process> process;
    std::thread([&] { process = start_hanging(SIGTERM); }).join();
    REQUIRE(process);
    const auto state = process->wait();
    REQUIRE(state);
    CHECK(state->to_string() == "signal: terminated");
}

EXEC_TEST("[go:128] what is no signal cannot be set") {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    spec.sys.pdeathsig = 99;
    check_fails(spec, Step::parent_death_signal, EINVAL);
}

// getppid() is 0 there: nobody's death.
EXEC_TEST("[go:128] a child in a pid namespace of its own does not take its parent for gone") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.clone_flags = CLONE_NEWPID;
    spec.sys.pdeathsig = SIGTERM;
    spec.sys.signal_mask = std::uint64_t{1} << (SIGTERM - 1); // where it would stay pending
    const Report report = report_of(spec);
    CHECK(report.at("SigBlk") == "0000000000004000");
    CHECK(report.at("ShdPnd") == "0000000000000000");
}

namespace {

// For the body of in_fork(): from now on prctl(PR_SET_PDEATHSIG) waits until who has the returned descriptor lets it go
// on; seccomp_unotify(2). -1 where there is no such thing.
int hold_parent_death_signal() {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_PDEATHSIG, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{sizeof program / sizeof *program, program};
    return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter));
}

// A process that starts a child, which is being held.
struct Held {
    pid_t parent = -1;
    Fd listener;
    seccomp_notif call{};
};

Held start_and_hold(int signal) {
    Held held;
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const Fd read = Fd::adopt(ends[0]);
    Fd write = Fd::adopt(ends[1]);
    std::cout.flush();
    std::fflush(nullptr);
    held.parent = ::fork();
    REQUIRE(held.parent >= 0);
    if (held.parent == 0) {
        const int listener = hold_parent_death_signal();
        if (::write(write.get(), &listener, sizeof listener) != sizeof listener) ::_exit(1);
        write.reset();
        (void)start_hanging(signal); // does not return
        ::_exit(2);
    }
    write.reset();
    int number = -1;
    REQUIRE(::read(read.get(), &number, sizeof number) == sizeof number);
    const Fd parent = Fd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, held.parent, 0)));
    held.listener = Fd::adopt(static_cast<int>(::syscall(SYS_pidfd_getfd, parent.get(), number, 0)));
    if (held.listener) REQUIRE(::ioctl(held.listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &held.call) == 0);
    return held;
}

} // namespace

EXEC_TEST("[go:128] a child whose parent is gone before the signal is set sends it to itself") {
    if (!is_root()) return;
    const Subreaper ours;
    Held held = start_and_hold(SIGTERM);
    ::kill(held.parent, SIGKILL);
    CHECK(end_of(held.parent) == "signal: killed"); // and its child is ours
    if (!held.listener) {
        MESSAGE("skipped: no seccomp notifications here");
        return;
    }
    seccomp_notif_resp answer{};
    answer.id = held.call.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    REQUIRE(::ioctl(held.listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0);
    CHECK(end_of(static_cast<pid_t>(held.call.pid)) == "signal: terminated");
}
