// Sessions, process groups and terminals.
#include <cerrno>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/exec/attributes.hpp"

using namespace keep;
using namespace keep::test;
using exec::Step;

namespace {

exec::SpawnSpec program() {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    return spec;
}

// "prepare: fork/exec PATH: ...", or "started": then it has been waited for.
std::string step_and_message(const exec::SpawnSpec& spec) {
    auto process = exec::spawn(spec);
    if (!process) return exec::step_name(process.error().step()) + (": " + process.error().message());
    (void)process->wait();
    return "started";
}

// For the body of in_fork(): the leader of a session whose terminal this is.
void own_terminal(const Pty& pty) {
    if (::setsid() < 0 || ::ioctl(pty.slave.get(), TIOCSCTTY, 0) != 0) say("no terminal of our own");
}

// The number that the starter of a report has; in_fork()'s processes say it themselves.
void say_our_group() {
    say("starter:\t" + std::to_string(::getpgrp()));
}

Fd null_device() {
    Fd fd = Fd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
    REQUIRE(fd);
    return fd;
}

} // namespace

EXEC_TEST("[go:119] without attributes a child is in its parent's process group and session") {
    const Report report = report_of(attributes_spec());
    CHECK(report.at("parent") == std::to_string(::getpid()));
    CHECK(report.at("group") == std::to_string(::getpgrp()));
    CHECK(report.at("session") == std::to_string(::getsid(0)));
}

EXEC_TEST("[go:119] setpgid makes a group of the child's own in its parent's session") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.setpgid = true;
    const Report report = report_of(spec);
    CHECK(report.at("group") == report.at("pid"));
    CHECK(report.at("session") == std::to_string(::getsid(0)));
}

EXEC_TEST("[go:119] setpgid with pgid joins that group") {
    exec::SpawnSpec leader = attributes_spec("hang");
    leader.sys.setpgid = true;
    auto process = exec::spawn(leader);
    REQUIRE(process);
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.setpgid = true;
    spec.sys.pgid = process->pid();
    CHECK(report_of(spec).at("group") == std::to_string(process->pid()));
    CHECK(process->kill());
    CHECK(process->wait());
}

EXEC_TEST("[go:119] a group that is not there cannot be joined") {
    exec::SpawnSpec spec = program();
    spec.sys.setpgid = true;
    spec.sys.pgid = INT_MAX;
    check_fails(spec, Step::setpgid, EPERM);
    spec.sys.pgid = -1;
    check_fails(spec, Step::setpgid, EINVAL);
}

EXEC_TEST("[go:119] setsid makes a session and a group of the child's own, without a terminal") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.setsid = true;
    const Report report = report_of(spec);
    CHECK(report.at("session") == report.at("pid"));
    CHECK(report.at("group") == report.at("pid"));
    CHECK(report.at("terminal group") == "-1");
}

EXEC_TEST("[go:119] setsid with setpgid is refused by the kernel: a session's leader cannot change its group") {
    exec::SpawnSpec spec = program();
    spec.sys.setsid = true;
    spec.sys.setpgid = true;
    check_fails(spec, Step::setpgid, EPERM);
}

// A background process that changes the foreground is stopped by SIGTTOU unless that is blocked: then the start would
// never return.
EXEC_TEST("[go:120] foreground makes a group of the child's own the foreground one, by a descriptor of the parent's") {
    const Pty pty = open_pty();
    if (!pty) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.foreground = true;
    spec.sys.ctty = pty.slave.get(); // the child does not get it
    const Ran ran = in_fork([&] {
        own_terminal(pty);
        say_our_group();
        start_here(spec);
        start_here(spec); // now from the background
        say("foreground:\t" + std::to_string(::tcgetpgrp(pty.slave.get())));
    });
    const Report second = status_fields(ran.output);
    CHECK(second.at("group") == second.at("pid"));
    CHECK(second.at("terminal group") == second.at("pid"));
    CHECK(second.at("foreground") == second.at("pid"));
    CHECK(second.at("session") == second.at("starter"));
    CHECK(second.at("descriptors") == "0 1 2");
}

EXEC_TEST("[go:120] foreground with pgid makes the group that the child joins the foreground one") {
    const Pty pty = open_pty();
    if (!pty) return;
    const Ran ran = in_fork([&] {
        own_terminal(pty);
        exec::SpawnSpec leader = attributes_spec("hang");
        leader.sys.setpgid = true;
        auto process = exec::spawn(leader);
        if (!process) return say(process.error().message());
        exec::SpawnSpec spec = attributes_spec();
        spec.sys.foreground = true;
        spec.sys.pgid = process->pid();
        spec.sys.ctty = pty.slave.get();
        start_here(spec);
        say("joined:\t" + std::to_string(process->pid()));
        (void)process->kill();
        (void)process->wait();
    });
    const Report report = status_fields(ran.output);
    CHECK(report.at("group") == report.at("joined"));
    CHECK(report.at("terminal group") == report.at("joined"));
}

EXEC_TEST("[go:120] the child of a foreground start has the mask of its starter, not the one of the step") {
    const Pty pty = open_pty();
    if (!pty) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.foreground = true;
    spec.sys.ctty = pty.slave.get();
    const Report report = report_from_fork([&] { own_terminal(pty); }, spec);
    CHECK(report.at("SigBlk") == "0000000000000000");
}

EXEC_TEST("[go:120] what is no terminal has no foreground") {
    const Fd null = null_device();
    exec::SpawnSpec spec = program();
    spec.sys.foreground = true;
    spec.sys.ctty = null.get();
    check_fails(spec, Step::foreground, ENOTTY);
    spec.sys.ctty = 888;
    check_fails(spec, Step::foreground, EBADF);
}

EXEC_TEST("[go:120] the terminal of another session has no foreground for us") {
    const Pty pty = open_pty();
    if (!pty) return;
    exec::SpawnSpec spec = program();
    spec.sys.foreground = true;
    spec.sys.ctty = pty.slave.get();
    check_fails(spec, Step::foreground, ENOTTY);
}

EXEC_TEST("[go:121] setctty makes a descriptor of the child's its controlling terminal") {
    const Pty pty = open_pty();
    if (!pty) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.setsid = true;
    spec.sys.setctty = true;
    SUBCASE("standard input") {
        spec.stdio[0] = pty.slave.get();
        spec.sys.ctty = 0;
    }
    SUBCASE("an extra descriptor") {
        spec.extra_fds = {{pty.slave.get(), 3}};
        spec.sys.ctty = 3;
    }
    const Report report = report_of(spec);
    CHECK(report.at("session") == report.at("pid"));
    CHECK(report.at("terminal group") == report.at("pid"));
}

EXEC_TEST("[go:121] a ctty that the child does not get is refused with Go's words") {
    exec::SpawnSpec spec = program();
    spec.sys.setsid = true;
    spec.sys.setctty = true;
    for (const int number : {3, 9, -1}) {
        spec.sys.ctty = number;
        CHECK(step_and_message(spec) == "prepare: fork/exec /bin/true: Setctty set but Ctty not valid in child");
    }
}

EXEC_TEST("[go:121] setctty with foreground is refused with Go's words") {
    exec::SpawnSpec spec = program();
    spec.sys.setsid = true;
    spec.sys.setctty = true;
    spec.sys.foreground = true;
    CHECK(step_and_message(spec) == "prepare: fork/exec /bin/true: both Setctty and Foreground set in SysProcAttr");
}

EXEC_TEST("[go:121] what is no terminal cannot be a controlling one") {
    exec::SpawnSpec spec = program(); // /dev/null as standard input
    spec.sys.setsid = true;
    spec.sys.setctty = true;
    check_fails(spec, Step::setctty, ENOTTY);
}

EXEC_TEST("[go:121] only the leader of a session gets a controlling terminal") {
    const Pty pty = open_pty();
    if (!pty) return;
    exec::SpawnSpec spec = program();
    spec.stdio[0] = pty.slave.get();
    spec.sys.setctty = true;
    spec.sys.setpgid = true; // so that the child leads a group at the most
    check_fails(spec, Step::setctty, EPERM);
}

EXEC_TEST("[go:122] noctty gives up the controlling terminal on standard input, for the child alone") {
    const Pty pty = open_pty();
    if (!pty) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.stdio[0] = pty.slave.get();
    spec.sys.noctty = true;
    const Ran ran = in_fork([&] {
        own_terminal(pty);
        start_here(spec);
        say("ours:\t" + std::to_string(::tcgetpgrp(pty.slave.get()) == ::getpgrp()));
    });
    const Report report = status_fields(ran.output);
    CHECK(report.at("terminal group") == "-1");
    CHECK(report.at("ours") == "1");
    spec.sys.noctty = false;
    const Report without = report_from_fork([&] { own_terminal(pty); }, spec);
    CHECK(without.at("terminal group") == without.at("session"));
}

EXEC_TEST("[go:122] noctty without a terminal on standard input is a failure that is reported") {
    exec::SpawnSpec spec = program();
    spec.sys.noctty = true;
    check_fails(spec, Step::noctty, ENOTTY);
    const Pty pty = open_pty();
    if (!pty) return;
    spec.stdio[0] = pty.slave.get(); // a terminal, but not the child's
    check_fails(spec, Step::noctty, ENOTTY);
}
