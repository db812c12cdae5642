// Section M of the list: the guard around each test notices what was left behind, and a child's own view of itself in
// /proc is as it must be.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

std::uint64_t mask(const std::map<std::string, std::string>& status, const std::string& field) {
    return std::stoull(status.at(field), nullptr, 16);
}
constexpr std::uint64_t bit_of(int signal) {
    return std::uint64_t{1} << (signal - 1);
}

} // namespace

EXEC_TEST("[go:147] the guard's comparison notices a descriptor that is left open, or is another file now") {
    const Holdings before = holdings();
    CHECK(holdings() == before);
    Fd left = Fd::adopt(::open("/dev/null", O_RDONLY));
    CHECK_FALSE(holdings() == before);
    const Holdings with_it = holdings();
    const Fd other = Fd::adopt(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    REQUIRE(::dup2(other.get(), left.get()) == left.get());
    CHECK_FALSE(holdings().descriptors.at(left.get()) == with_it.descriptors.at(left.get()));
    CHECK(to_string(holdings()).find(std::to_string(left.get()) + "=/dev/zero") != std::string::npos);
    left.reset();
    CHECK_FALSE(holdings() == before); // `other` is still there
}

EXEC_TEST("[go:147] the guard's comparison notices a thread that still runs") {
    const Holdings before = holdings();
    Gate end;
    std::thread left([&end] { end.wait(std::chrono::hours(1)); });
    CHECK(holdings().threads == before.threads + 1);
    CHECK_FALSE(holdings() == before);
    end.open();
    left.join();
    CHECK(eventually([&] { return holdings() == before; }));
}

EXEC_TEST("[go:147] the guard's comparison notices a child that runs, and one that nobody waited for") {
    const Holdings before = holdings();
    auto process = exec::spawn(helper_spec("hang"));
    REQUIRE(process);
    const int pid = process->pid();
    CHECK(holdings().children.contains(pid));
    CHECK(said(process->kill()) == "");
    siginfo_t end{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOWAIT) == 0); // a zombie from now on
    CHECK(holdings().children.contains(pid));
    CHECK_FALSE(holdings() == before);
    CHECK(process->wait());
    CHECK_FALSE(holdings().children.contains(pid));
    *process = {};
    CHECK(holdings() == before);
}

EXEC_TEST("[go:147] the guard's comparison notices children of other threads") {
    const Holdings before = holdings();
    Gate started;
    Gate end;
    exec::Result<exec::Process> process{exec::Process()};
    std::thread parent([&] {
        process = exec::spawn(helper_spec("hang"));
        started.open();
        end.wait(std::chrono::hours(1));
    });
    CHECK(started.wait());
    REQUIRE(process);
    CHECK(holdings().children.contains(process->pid()));
    CHECK(said(process->kill()) == "");
    CHECK(process->wait());
    end.open();
    parent.join();
    *process = {};
    CHECK(eventually([&] { return holdings() == before; }));
}

EXEC_TEST(
    "[go:148] in /proc a child has our mask and what we ignore, handles nothing, and has our groups and its pid") {
    const auto ours = status_fields(read_text("/proc/thread-self/status"));
    for (const bool by_command : {false, true}) {
        std::map<std::string, std::string> child;
        std::string pid;
        if (by_command) {
            exec::Cmd command = helper("status");
            const exec::Output output = command.output();
            CHECK(said(output.result) == "");
            child = status_fields(output.bytes.view());
            pid = std::to_string(command.state()->pid());
        } else {
            const Ran ran = run(helper_spec("status"));
            child = status_fields(ran.output);
            pid = std::to_string(ran.state.pid());
        }
        CHECK(mask(child, "SigBlk") == mask(ours, "SigBlk"));
        CHECK(mask(child, "SigIgn") == (mask(ours, "SigIgn") & ~bit_of(SIGPIPE)));
        CHECK(mask(child, "SigCgt") == 0);
        CHECK(child.at("Pid") == pid);
        CHECK(child.at("PPid") == std::to_string(::getpid()));
        CHECK(child.at("NSpid").substr(0, child.at("NSpid").find('\t')) == pid);
        CHECK(mask(child, "CapAmb") == mask(ours, "CapAmb"));
        CHECK(child.at("Groups") == ours.at("Groups"));
        CHECK(child.at("Threads") == "1");
    }
}

EXEC_TEST("[go:148] in /proc a child sees the mask and the ignored signals of the thread that started it") {
    const Disposition ignored(SIGUSR2, SIG_IGN);
    const Disposition handled(SIGUSR1, [](int) {});
    sigset_t blocked;
    sigset_t former;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGWINCH);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &former);
    const auto child = status_fields(run(helper_spec("status")).output);
    ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
    CHECK((mask(child, "SigBlk") & bit_of(SIGWINCH)) != 0);
    CHECK((mask(child, "SigIgn") & bit_of(SIGUSR2)) != 0);
    CHECK((mask(child, "SigIgn") & bit_of(SIGUSR1)) == 0);
    CHECK(mask(child, "SigCgt") == 0);
}

EXEC_TEST("[go:148] in /proc a child's descriptors are the expected ones and no others") {
    PipePair output = make_pipe();
    exec::SpawnSpec spec = helper_spec("describefiles");
    spec.stdio[1] = output.write.get();
    auto process = exec::spawn(spec);
    REQUIRE(process);
    output.write.reset();
    const std::map<int, std::string> wanted{
        {0, "/dev/null"}, {1, holdings().descriptors.at(output.read.get())}, {2, "/dev/null"}};
    CHECK(described(read_to_end(output.read.get())) == wanted);
    CHECK(process->wait()->success());
}
