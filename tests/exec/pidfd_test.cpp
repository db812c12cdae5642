// The pidfd that a start gives away, and the child that its starter traces.
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/exec/attributes.hpp"

using namespace keep;
using namespace keep::test;

EXEC_TEST("[go:130] pidfd receives a descriptor of the child that is the caller's own") {
    int number = -1;
    exec::SpawnSpec spec = attributes_spec("hang");
    spec.sys.pidfd = &number;
    auto process = exec::spawn(spec);
    REQUIRE(process);
    const Fd ours = Fd::adopt(number);
    REQUIRE(ours);
    CHECK(ours.get() != process->pidfd());
    CHECK(::fcntl(ours.get(), F_GETFD) == FD_CLOEXEC);
    const Report about = status_fields(read_text("/proc/self/fdinfo/" + std::to_string(ours.get())));
    CHECK(about.at("Pid") == std::to_string(process->pid()));

    pollfd watched{ours.get(), POLLIN, 0};
    CHECK(::poll(&watched, 1, 0) == 0); // it runs
    CHECK(process->kill());
    CHECK(process->wait());
    *process = exec::Process();         // the library's own is closed
    CHECK(::poll(&watched, 1, 0) == 1); // ours is as it was, and says that the child has ended
    CHECK(::fcntl(ours.get(), F_GETFD) == FD_CLOEXEC);
}

EXEC_TEST("[go:130] a start that fails leaves what stood where the pidfd was to go") {
    int number = 4711;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.pidfd = &number;
    spec.dir = "/no/such/directory";
    check_fails(spec, exec::Step::chdir, ENOENT);
    CHECK(number == 4711);
    spec.dir.clear();
    spec.path = "/no/such/program";
    check_fails(spec, exec::Step::execve, ENOENT);
    CHECK(number == 4711);
}

EXEC_TEST("[go:131] a traced child stops with SIGTRAP at its exec, and waits for its starter") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.ptrace = true;
    auto process = exec::spawn(spec);
    REQUIRE(process);
    int status = 0;
    REQUIRE(::waitpid(process->pid(), &status, 0) == process->pid());
    const exec::ProcessState stopped(process->pid(), status, {});
    CHECK(stopped.stopped());
    CHECK(stopped.stop_signal() == SIGTRAP);
    // It is the new program that is stopped, not a copy of this one.
    const auto image = std::filesystem::read_symlink("/proc/" + std::to_string(process->pid()) + "/exe");
    CHECK(std::filesystem::equivalent(image, attributes_helper()));
    CHECK(::ptrace(PTRACE_DETACH, process->pid(), nullptr, nullptr) == 0);
    const auto state = process->wait();
    REQUIRE(state);
    CHECK(state->success());
}
