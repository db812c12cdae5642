#include "tests/exec/own_process.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/exec/support.hpp"

namespace keep::test {
namespace {

// Orphans of the process come to us while this lives, instead of to init.
class Subreaper {
  public:
    Subreaper() {
        ::prctl(PR_GET_CHILD_SUBREAPER, &former_);
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
    ~Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, static_cast<long>(former_)); }
    Subreaper(const Subreaper&) = delete;
    Subreaper& operator=(const Subreaper&) = delete;

  private:
    int former_ = 0;
};

[[noreturn]] void live(const std::function<void(Notes&)>& body, Notes& notes) {
    const rlimit no_core{0, 0}; // a crash is a result here, not something to look into
    ::setrlimit(RLIMIT_CORE, &no_core);
    try {
        body(notes);
    } catch (const std::exception& thrown) {
        notes.line(std::string("thrown: ") + thrown.what());
    } catch (...) { // doctest's own, of a REQUIRE: it must not run the other tests in this process
        notes.line("a REQUIRE failed");
    }
    ::_exit(0);
}

bool ends_within(pid_t pid, std::chrono::seconds patience) {
    const Fd pidfd = Fd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd end{pidfd.get(), POLLIN, 0};
    int count = 0;
    do {
        count = ::poll(&end, 1, static_cast<int>(std::chrono::milliseconds(patience).count()));
    } while (count < 0 && errno == EINTR);
    return count > 0;
}

// Also the children of those that are killed here come to us.
std::string kill_orphans(const Holdings& before) {
    std::string text;
    for (bool any = true; any;) {
        any = false;
        for (const int pid : holdings().children) {
            if (before.children.contains(pid)) continue;
            any = true;
            text += (text.empty() ? "" : " ") + std::to_string(pid);
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, __WALL);
        }
    }
    return text;
}

} // namespace

void Notes::add(std::string_view text) noexcept {
    const std::size_t length = length_.load();
    const std::size_t added = std::min(text.size(), sizeof text_ - length);
    std::memcpy(text_ + length, text.data(), added);
    length_.store(length + added);
}

std::string Aftermath::faults() const {
    std::string text = notes;
    if (hung) text += "it hung and was killed\n";
    if (!hung && WIFSIGNALED(wait_status)) text += "it died of signal " + std::to_string(WTERMSIG(wait_status)) + "\n";
    if (!hung && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != 0)
        text += "it exited with " + std::to_string(WEXITSTATUS(wait_status)) + "\n";
    if (!orphans.empty()) text += "it left processes behind: " + orphans + "\n";
    return text;
}

Aftermath in_own_process(const std::function<void(Notes&)>& body, std::chrono::seconds patience) {
    const Shared<Notes> notes;
    const Subreaper subreaper;
    const Holdings before = holdings();
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) live(body, *notes);
    REQUIRE(pid > 0);
    Aftermath aftermath;
    aftermath.hung = !ends_within(pid, patience);
    if (aftermath.hung) ::kill(pid, SIGKILL);
    ::waitpid(pid, &aftermath.wait_status, 0);
    aftermath.orphans = kill_orphans(before);
    aftermath.notes = notes->text();
    return aftermath;
}

bool comes_true(const std::function<bool()>& reached, std::chrono::seconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!reached()) {
        if (std::chrono::steady_clock::now() > until) return false;
        ::sched_yield();
    }
    return true;
}

} // namespace keep::test
