// Section H of the list: signals to a process that runs, that has ended, and whose number somebody else has by now.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

// A process of exactly this number, in which SIGUSR1 is blocked, so that one that comes stays visible.
class Stranger {
  public:
    explicit Stranger(pid_t number) {
        sigset_t blocked;
        sigset_t former;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR1);
        ::pthread_sigmask(SIG_BLOCK, &blocked, &former);
        const std::array<pid_t, 1> wanted{number};
        clone_args args{};
        args.exit_signal = SIGCHLD;
        args.set_tid = reinterpret_cast<std::uintptr_t>(wanted.data());
        args.set_tid_size = wanted.size();
        pid_ = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
        if (pid_ == 0) {
            for (;;)
                ::pause();
        }
        error_ = pid_ < 0 ? errno : 0;
        ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
    }
    ~Stranger() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;

    // Says so where the kernel does not let us choose a number.
    explicit operator bool() const {
        if (pid_ <= 0) MESSAGE("skipped: a process with a chosen number: " << exec::errno_text(error_));
        return pid_ > 0;
    }
    bool was_signalled() const {
        const auto fields = status_fields(read_text("/proc/" + std::to_string(pid_) + "/status"));
        const std::uint64_t pending =
            std::stoull(fields.at("ShdPnd"), nullptr, 16) | std::stoull(fields.at("SigPnd"), nullptr, 16);
        return (pending >> (SIGUSR1 - 1) & 1) != 0;
    }

  private:
    pid_t pid_ = -1;
    int error_ = 0;
};

} // namespace

EXEC_TEST("[go:93] a signal or a kill after wait finds the process finished") {
    exec::Cmd command = helper("exit", {"0"});
    REQUIRE(said(command.run()) == "");
    const auto signalled = command.process()->signal(SIGTERM);
    CHECK(said(signalled) == "os: process already finished");
    CHECK(signalled.error().code() == exec::Errc::process_done);
    CHECK(said(command.process()->kill()) == "os: process already finished");
}

EXEC_TEST("[go:93] the same holds for a process of layer 1, however it was waited for") {
    auto waited = exec::spawn(helper_spec("exit", {"0"}));
    REQUIRE(waited);
    REQUIRE(waited->wait());
    CHECK(said(waited->signal(SIGTERM)) == "os: process already finished");
    CHECK(said(waited->kill()) == "os: process already finished");

    auto tried = exec::spawn(helper_spec("exit", {"0"}));
    REQUIRE(tried);
    REQUIRE(readable(tried->pidfd()));
    const auto state = tried->try_wait();
    REQUIRE((state && state->has_value()));
    CHECK(said(tried->kill()) == "os: process already finished");
}

EXEC_TEST("[go:93] ESRCH, for a process that somebody else has reaped, means finished too") {
    auto process = exec::spawn(helper_spec("exit", {"0"}));
    REQUIRE(process);
    REQUIRE(::waitpid(process->pid(), nullptr, 0) == process->pid());
    const auto signalled = process->signal(SIGTERM);
    CHECK(said(signalled) == "os: process already finished");
    CHECK(signalled.error().is(exec::Errc::process_done));
    CHECK_FALSE(process->wait());
}

EXEC_TEST("[go:93] a signal that the kernel does not know is EINVAL, not finished") {
    auto process = exec::spawn(helper_spec("hang"));
    REQUIRE(process);
    const auto signalled = process->signal(1000);
    REQUIRE_FALSE(signalled);
    CHECK(signalled.error().error_number() == EINVAL);
    CHECK(said(process->kill()) == "");
    CHECK(process->wait());
}

EXEC_TEST("[go:94] a signal after wait does not reach the process that has the number now") {
    exec::Cmd command = helper("exit", {"0"});
    REQUIRE(said(command.run()) == "");
    const Stranger stranger(command.process()->pid());
    if (!stranger) return;
    CHECK(said(command.process()->signal(SIGUSR1)) == "os: process already finished");
    CHECK_FALSE(stranger.was_signalled());
}

EXEC_TEST("[go:94] a signal to a process that somebody else has reaped does not reach who has the number now") {
    auto process = exec::spawn(helper_spec("exit", {"0"}));
    REQUIRE(process);
    REQUIRE(::waitpid(process->pid(), nullptr, 0) == process->pid());
    const Stranger stranger(process->pid());
    if (!stranger) return;
    CHECK(said(process->signal(SIGUSR1)) == "os: process already finished");
    CHECK_FALSE(stranger.was_signalled());
    const auto waited = process->wait(); // nor does a wait take the stranger for ours
    REQUIRE_FALSE(waited);
    CHECK(waited.error().error_number() == ECHILD);
}

EXEC_TEST("[go:94] the witness of these tests notices a signal") {
    auto process = exec::spawn(helper_spec("exit", {"0"}));
    REQUIRE(process);
    REQUIRE(process->wait());
    const Stranger stranger(process->pid());
    if (!stranger) return;
    CHECK_FALSE(stranger.was_signalled());
    REQUIRE(::kill(process->pid(), SIGUSR1) == 0); // what the library must not do
    CHECK(stranger.was_signalled());
}

EXEC_TEST("[go:94] signals from other threads while a command is waited for fail with finished and nothing else") {
    std::atomic<int> wrong = 0;
    for (int times = 0; times < 20; ++times) {
        exec::Cmd command = helper("hang", {"read"});
        auto input = command.stdin_pipe();
        REQUIRE(input);
        REQUIRE(said(command.start()) == "");
        std::array<std::atomic<int>, 2> sent{};
        std::array<std::thread, 2> threads;
        for (std::size_t number = 0; number < threads.size(); ++number) {
            threads[number] = std::thread([&, number] {
                for (;;) {
                    const auto signalled = command.process()->signal(SIGCONT);
                    ++sent[number];
                    if (signalled) continue;
                    if (!signalled.error().is(exec::Errc::process_done)) ++wrong;
                    return;
                }
            });
        }
        CHECK(eventually([&] { return sent[0] > 0 && sent[1] > 0; }));
        CHECK(said(input->close()) == "");
        CHECK(said(command.wait()) == "");
        for (std::thread& thread : threads)
            thread.join();
    }
    CHECK(wrong == 0);
}

EXEC_TEST("[go:94] a group's signal reaches the child and its children, and nobody else") {
    PipePair alive = make_pipe();
    exec::SpawnSpec spec = helper_spec("hang", {"subsleep"});
    PipePair output = make_pipe();
    spec.stdio[1] = output.write.get();
    spec.extra_fds = {{alive.write.get(), 3}};
    spec.sys.setpgid = true;
    auto process = exec::spawn(spec);
    REQUIRE(process);
    alive.write.reset();
    output.write.reset();
    REQUIRE(read_line(output.read.get()) == "ready\n");
    CHECK(said(process->signal_group(SIGTERM)) == "");
    const auto state = process->wait();
    REQUIRE(state);
    CHECK(state->to_string() == "signal: terminated");
    CHECK(read_to_end(alive.read.get()) == ""); // the grandchild had held it
}
