// Starting a program that somebody still has open for writing (ETXTBSY, golang/go#22315). The attempts are counted, and
// the writer goes away between two of them, by a filter of system calls that asks us before each execve(2).
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <future>
#include <linux/seccomp.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

#include "tests/exec/support.hpp"
#include "tests/exec/surroundings.hpp"

using namespace keep;
using namespace keep::test;

namespace {

// A copy of the helper that is open for writing, until the writer goes away: in this process, or in another that has
// got the descriptor handed over.
class ProgramInWork {
  public:
    enum class Writer : std::uint8_t { ourselves, another_process };

    explicit ProgramInWork(Writer writer) {
        make_file(path_, read_text(helper_path()), 0755);
        writer_ = Fd::adopt(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
        REQUIRE(writer_);
        if (writer == Writer::ourselves) return;
        holder_.emplace(helper("hang"));
        holder_->extra_files = {writer_.get()};
        REQUIRE(holder_->start());
        writer_.reset();
    }
    const std::string& path() const { return path_; }
    exec::Cmd command() const { return exec::command(path_, "exit", "0"); }

    void let_go() {
        writer_.reset();
        holder_.reset();
    }

  private:
    TemporaryDirectory directory_;
    std::string path_ = directory_ / "program";
    Fd writer_;
    std::optional<exec::Cmd> holder_; // killed and reaped when it goes
};

// Answers the announcements until `over` is readable or nothing happens any more; returns how many there were.
int answer(int listener, int over, const std::function<void(int)>& before_attempt) {
    int attempts = 0;
    for (;;) {
        pollfd watched[2] = {{listener, POLLIN, 0}, {over, POLLIN, 0}};
        if (::poll(watched, 2, 20'000) <= 0) return -1;
        if ((watched[0].revents & POLLIN) != 0) {
            seccomp_notif announced{};
            if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &announced) != 0) continue;
            before_attempt(++attempts);
            seccomp_notif_resp go_on{};
            go_on.id = announced.id;
            go_on.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
            ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &go_on);
        } else if (watched[1].revents != 0) {
            return attempts;
        }
    }
}

// Runs start() in a thread of its own, whose filter ends with it, and calls before_attempt(n) before its n-th execve is
// carried out. Returns the number of attempts; -1 if it took for ever, nothing if this kernel has no such filters.
std::optional<int> attempts_of(const std::function<void()>& start, const std::function<void(int)>& before_attempt) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const Fd over = Fd::adopt(ends[0]);
    Fd running = Fd::adopt(ends[1]);
    std::promise<int> filtering;
    std::thread starter([&] {
        const int listener =
            filter_system_calls({SYS_execve, SYS_execveat}, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        filtering.set_value(listener);
        if (listener >= 0) start();
        running.reset();
    });
    Fd listener = Fd::adopt(filtering.get_future().get());
    std::optional<int> attempts;
    if (listener) attempts = answer(listener.get(), over.get(), before_attempt);
    listener.reset(); // unanswered calls fail now
    starter.join();
    if (!attempts) MESSAGE("skipped: no announcing filters of system calls here");
    return attempts;
}

// Starts it so. `started` is what start() said.
std::optional<int>
attempts_of(exec::Cmd& command, exec::Result<>& started, const std::function<void(int)>& before_attempt = [](int) {}) {
    return attempts_of([&] { started = command.start(); }, before_attempt);
}

} // namespace

EXEC_TEST("[go:73] without retries ETXTBSY reaches the caller after one attempt") {
    const ProgramInWork program(ProgramInWork::Writer::another_process);
    exec::Cmd command = program.command();
    command.sys.retry_text_busy = false;
    exec::Result<> started;
    const auto attempts = attempts_of(command, started);
    if (!attempts) return;
    CHECK(*attempts == 1);
    REQUIRE_FALSE(started);
    CHECK(started.error().is(std::errc::text_file_busy));
    CHECK(started.error().error_number() == ETXTBSY);
    CHECK(started.error().message() == "fork/exec " + program.path() + ": text file busy");
    CHECK(command.process() == nullptr);
}

EXEC_TEST("[go:73] a program that stays busy is tried again, but not for ever") {
    const ProgramInWork program(ProgramInWork::Writer::another_process);
    exec::Cmd command = program.command();
    CHECK(command.sys.retry_text_busy); // by itself
    exec::Result<> started;
    const auto attempts = attempts_of(command, started);
    if (!attempts) return;
    CHECK(*attempts > 1);
    REQUIRE_FALSE(started);
    CHECK(started.error().is(std::errc::text_file_busy));
    CHECK(started.error().message() == "fork/exec " + program.path() + ": text file busy");
    CHECK(started.error().step() == exec::Step::execve);
}

EXEC_TEST("[go:73] a program whose writer has gone before the second attempt starts") {
    ProgramInWork program(ProgramInWork::Writer::another_process);
    exec::Cmd command = program.command();
    exec::Result<> started;
    const auto attempts = attempts_of(command, started, [&](int attempt) {
        if (attempt == 2) program.let_go();
    });
    if (!attempts) return;
    CHECK(*attempts == 2);
    REQUIRE(started);
    CHECK(command.wait());
}

EXEC_TEST("[go:73] the writer may also be this process itself, of whose descriptors a child has copies") {
    ProgramInWork program(ProgramInWork::Writer::ourselves);
    exec::Cmd command = program.command();
    exec::Result<> started;
    const auto attempts = attempts_of(command, started, [&](int attempt) {
        if (attempt == 2) program.let_go();
    });
    if (!attempts) return;
    CHECK(*attempts == 2);
    REQUIRE(started);
    CHECK(command.wait());
}

EXEC_TEST("[go:73] another failure is not tried again") {
    exec::Cmd command = exec::command("/bin/nonesuch");
    exec::Result<> started;
    const auto attempts = attempts_of(command, started);
    if (!attempts) return;
    CHECK(*attempts == 1);
    REQUIRE_FALSE(started);
    CHECK(started.error().is(std::errc::no_such_file_or_directory));
}
