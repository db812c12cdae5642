#include "tests/exec/attributes.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <iostream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keep::test {

std::string attributes_helper() {
    const char* path = std::getenv("KEEP_EXEC_ATTRIBUTES_HELPER");
    REQUIRE_MESSAGE(path != nullptr, "KEEP_EXEC_ATTRIBUTES_HELPER names the program that tells; meson test sets it");
    return path;
}

exec::SpawnSpec attributes_spec(std::string_view mode, std::vector<std::string> args) {
    exec::SpawnSpec spec;
    spec.path = attributes_helper();
    spec.argv = {"exec-attributes-helper", std::string(mode)};
    spec.argv.insert(spec.argv.end(), args.begin(), args.end());
    spec.env.emplace();
    return spec;
}

Fd attributes_image() {
    Fd image = Fd::adopt(::open(attributes_helper().c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(image);
    return image;
}

Report report_of(exec::SpawnSpec spec) {
    const Ran ran = run(std::move(spec));
    CHECK(ran.state.to_string() == "exit status 0");
    return status_fields(ran.output);
}

void check_fails(const exec::SpawnSpec& spec, exec::Step step, int error_number) {
    auto process = exec::spawn(spec);
    if (process) {
        (void)process->kill();
        (void)process->wait();
        FAIL_CHECK("it started, where " << exec::step_name(step) << " was to fail");
        return;
    }
    CAPTURE(process.error().message());
    CHECK(std::string(exec::step_name(process.error().step())) == exec::step_name(step));
    CHECK(process.error().error_number() == error_number);
    CHECK(process.error().op() == "fork/exec");
}

std::string outcome_of(const exec::SpawnSpec& spec) {
    auto process = exec::spawn(spec);
    if (process) {
        (void)process->wait();
        return "started";
    }
    const exec::Error& error = process.error();
    return exec::step_name(error.step()) + std::string(" ") + std::to_string(error.error_number());
}

namespace {

[[noreturn]] void run_forked(const std::function<void()>& body, int output) {
    constexpr unsigned patience_s = 50;
    ::alarm(patience_s); // a body that hangs is a failure, and not the whole test run's end
    ::dup2(output, 1);
    ::close(output);
    int code = 0;
    try {
        body();
    } catch (...) { // doctest's, too: the tests that follow are not this process's
        code = 98;
    }
    ::_exit(code); // without the exit handlers of the process that it was
}

} // namespace

Ran in_fork(const std::function<void()>& body) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    Fd read = Fd::adopt(ends[0]);
    Fd write = Fd::adopt(ends[1]);
    std::cout.flush();
    std::fflush(nullptr); // what doctest has said is not to be said by the copy again
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        read.reset();
        run_forked(body, write.release());
    }
    write.reset();
    Ran ran;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(read.get(), buffer, sizeof buffer)) > 0;)
        ran.output.append(buffer, static_cast<std::size_t>(count));
    int status = 0;
    rusage usage{};
    REQUIRE(::wait4(child, &status, 0, &usage) == child);
    ran.state = exec::ProcessState(child, status, usage);
    return ran;
}

void say(std::string_view line) {
    const std::string text = std::string(line) + "\n";
    if (::write(1, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(97);
}

void start_here(exec::SpawnSpec spec) {
    spec.stdio[1] = 1;
    const std::string outcome = outcome_of(spec);
    if (outcome != "started") say("failed:\t" + outcome);
}

Report report_from_fork(const std::function<void()>& before, const exec::SpawnSpec& spec) {
    const Ran ran = in_fork([&] {
        before();
        start_here(spec);
    });
    CHECK(ran.state.to_string() == "exit status 0");
    return status_fields(ran.output);
}

void become_stranger() {
    const bool done = ::setgroups(0, nullptr) == 0 && ::setresgid(stranger, stranger, stranger) == 0 &&
                      ::setresuid(stranger, stranger, stranger) == 0;
    if (!done) ::_exit(96);
    ::prctl(PR_SET_DUMPABLE, 1); // as in a process that has always been this user's
}

void refuse_calls(const std::vector<RefusedCall>& refusals) {
    std::vector<sock_filter> program;
    for (const RefusedCall& refusal : refusals) {
        const auto answer = SECCOMP_RET_ERRNO | static_cast<unsigned>(refusal.error_number);
        const auto argument = static_cast<unsigned>(refusal.argument);
        const bool any = refusal.argument < 0;
        program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
        const auto skipped = static_cast<__u8>(any ? 1 : 3);
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(refusal.number), 0, skipped));
        if (!any) { // the low half of an argument comes first on little-endian machines
            program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                       static_cast<unsigned>(offsetof(seccomp_data, args) + 8UL * argument)));
            program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal.value, 0, 1));
        }
        program.push_back(BPF_STMT(BPF_RET | BPF_K, answer));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::geteuid() != 0) ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) ::_exit(95);
}

Pty open_pty() {
    Pty pty;
    int unlocked = 0;
    pty.master = Fd::adopt(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (pty.master && ::ioctl(pty.master.get(), TIOCSPTLCK, &unlocked) == 0)
        pty.slave = Fd::adopt(::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!pty.slave) MESSAGE("skipped: no pseudoterminal can be opened here");
    return pty;
}

} // namespace keep::test
