// How the end of a process is learned that is not our child: each way forced, and never a wrong answer.
#include <csignal>
#include <cstddef>
#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>
#include <optional>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/host/foster.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/pidfd.hpp"
#include "lib/sys/procfs.hpp"

using namespace keepd;
using host::Foster;
using keep::ExitStatus;

namespace {

// A process that waits for a byte and ends so. Nobody reaps it before reap(): the test plays its other parent.
class Stranger {
  public:
    explicit Stranger(int code, int signal = 0) {
        REQUIRE(::pipe(go_) == 0);
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            char byte = 0;
            (void)!::read(go_[0], &byte, 1);
            if (signal != 0) {
                ::signal(signal, SIG_DFL); // the test framework has handlers
                ::raise(signal);
            }
            ::_exit(code);
        }
        pidfd_ = std::move(*keep::sys::pidfd_open(pid_));
    }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;
    ~Stranger() {
        end();
        reap();
        ::close(go_[0]);
        ::close(go_[1]);
    }
    int pid() const { return pid_; }
    int pidfd() const { return pidfd_.get(); }
    // It has ended when this returns; a zombie is left.
    void end() {
        if (ended_) return;
        ended_ = true;
        REQUIRE(::write(go_[1], "x", 1) == 1);
        siginfo_t info{};
        REQUIRE(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) == 0);
    }
    void reap() {
        if (std::exchange(reaped_, true)) return;
        REQUIRE(::waitpid(pid_, nullptr, 0) == pid_);
    }

  private:
    int go_[2] = {-1, -1};
    int pid_ = 0;
    keep::sys::Fd pidfd_;
    bool ended_ = false;
    bool reaped_ = false;
};

// What a foster tells.
class Watching {
  public:
    explicit Watching(std::unique_ptr<Foster> foster)
        : loop_(std::move(*systemd::Loop::create())), foster_(std::move(foster)) {
        REQUIRE(foster_->watch(loop_, [this](const ExitStatus& ended) {
            CHECK_FALSE(told_); // once
            told_ = ended;
        }));
        enough_ = std::move(*loop_.timer([this] { loop_.quit(); }));
    }
    // By now: nothing if it has nothing to say.
    std::optional<ExitStatus> told() {
        for (int turn = 0; turn < 3; ++turn) { // the timer may be ahead of what is ready as well
            REQUIRE(enough_.set_time(keep::sys::monotonic_now()));
            REQUIRE(loop_.run());
        }
        return told_;
    }

  private:
    systemd::Loop loop_;
    std::unique_ptr<Foster> foster_;
    systemd::Source enough_;
    std::optional<ExitStatus> told_;
};

constexpr int no_stat = -1; // of no process: its stat can't be had

bool kernel_tells() {
    Stranger stranger(3);
    stranger.end();
    stranger.reap();
    return keep::sys::exit_info(stranger.pidfd()).has_value();
}

// PIDFD_GET_INFO is refused as an older kernel does. For a forked process only.
void without_exit_info() {
    constexpr unsigned get_info = 0xc040ff0b;
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, get_info, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        ::_exit(100);
}

// Runs `body` in a process of its own on such a kernel; its answer is an exit code of one byte.
template <typename Body>
int on_an_older_kernel(Body body) {
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        without_exit_info();
        ::_exit(body());
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

int encoded(const std::optional<ExitStatus>& status) {
    if (!status) return 200;
    switch (status->kind) {
    case ExitStatus::Kind::exited: return status->value;
    case ExitStatus::Kind::signaled: return 128 + status->value;
    case ExitStatus::Kind::unknown: return 201;
    }
    return 202;
}

} // namespace

TEST_CASE("by the kernel, once it has been reaped") {
    if (!kernel_tells()) {
        MESSAGE("skipped: this kernel has no PIDFD_INFO_EXIT");
        return;
    }
    Stranger stranger(42);
    auto foster = std::make_unique<Foster>(no_stat, stranger.pidfd());
    Watching watching(std::move(foster));
    CHECK_FALSE(watching.told()); // it lives
    stranger.end();
    CHECK_FALSE(watching.told()); // a zombie's code is not told yet, and no other is made up
    stranger.reap();
    CHECK(watching.told() == ExitStatus::exited(42));
}

TEST_CASE("by the kernel, of one that was reaped before anybody watched") {
    if (!kernel_tells()) return;
    Stranger stranger(0, SIGTERM);
    stranger.end();
    stranger.reap();
    auto foster = std::make_unique<Foster>(stranger.pid(), stranger.pidfd());
    CHECK(Watching(std::move(foster)).told() == ExitStatus::signaled(SIGTERM));
}

TEST_CASE("by the stat of a zombie that nobody reaps, also where the kernel would tell later") {
    Stranger stranger(42);
    auto foster = std::make_unique<Foster>(stranger.pid(), stranger.pidfd());
    Watching watching(std::move(foster));
    CHECK_FALSE(watching.told());
    stranger.end();
    CHECK(watching.told() == ExitStatus::exited(42));
}

TEST_CASE("a stat is held from the beginning only where the kernel does not tell") {
    Stranger stranger(3);
    CHECK(keep::sys::tells_exits(stranger.pidfd()) == kernel_tells());
    CHECK((Foster(stranger.pid(), stranger.pidfd()).stat() < 0) == kernel_tells());
    CHECK(on_an_older_kernel([] {
              Stranger other(3);
              const bool held = Foster(other.pid(), other.pidfd()).stat() >= 0;
              return held && !keep::sys::tells_exits(other.pidfd()) ? 0 : 1;
          }) == 0);
}

TEST_CASE("by the zombie's stat, on a kernel that does not tell") {
    CHECK(on_an_older_kernel([] {
              Stranger stranger(42);
              auto foster = std::make_unique<Foster>(stranger.pid(), stranger.pidfd());
              if (!foster->trusted()) return 203;
              stranger.end();
              return encoded(Watching(std::move(foster)).told());
          }) == 42);
    // It was a zombie when it was found.
    CHECK(on_an_older_kernel([] {
              Stranger stranger(0, SIGKILL);
              stranger.end();
              auto foster = std::make_unique<Foster>(stranger.pid(), stranger.pidfd());
              return encoded(Watching(std::move(foster)).told());
          }) == 128 + SIGKILL);
}

TEST_CASE("where nothing tells it is unknown, and never a success") {
    CHECK(on_an_older_kernel([] {
              Stranger stranger(0);
              auto foster = std::make_unique<Foster>(no_stat, stranger.pidfd());
              stranger.end();
              return encoded(Watching(std::move(foster)).told());
          }) == 201);
    CHECK(on_an_older_kernel([] {
              Stranger stranger(0);
              stranger.end();
              stranger.reap();
              auto foster = std::make_unique<Foster>(stranger.pid(), stranger.pidfd());
              return encoded(Watching(std::move(foster)).told());
          }) == 201);
}

TEST_CASE("the stat of a process that ended tells its code to who may know it") {
    using keep::sys::parse_process_end;
    std::string text = "7 (a b) c) Z 1";
    for (int field = 5; field <= 52; ++field)
        text += " " + std::string(field == 26 ? "4096" : field == 52 ? "1792" : "0");
    const auto end = parse_process_end(text + "\n");
    REQUIRE(end);
    CHECK(end->state == 'Z');
    CHECK(end->full);
    CHECK(keep::sys::status_of_wait(end->wait_status) == ExitStatus::exited(7));
    CHECK_FALSE(parse_process_end("7 (cut short) Z 1 2 3"));
    CHECK_FALSE(parse_process_end(""));
}
