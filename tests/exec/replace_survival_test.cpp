// What of a process survives its replacement by another image, and what does not.
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "tests/exec/attributes.hpp"

using namespace keep;
using namespace keep::test;
using exec::Replacement;

namespace {

Replacement to_report() {
    Replacement with;
    with.path = attributes_helper();
    with.argv = {"exec-attributes-helper", "report"};
    return with;
}

void become(const Replacement& with) {
    say("failed:\t" + exec::replace(with).message());
}

// A process that becomes a report of itself after `before`.
Report report_after(const std::function<void()>& before, const Replacement& with = to_report()) {
    const Ran ran = in_fork([&] {
        before();
        become(with);
    });
    CHECK(ran.state.success());
    return status_fields(ran.output);
}

void block(int signal) {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, signal);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

void handler(int) {}

std::string signals(int number) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", 1ULL << (number - 1));
    return text;
}

constexpr const char* none = "0000000000000000";

// Threads that do nothing, for the body of in_fork(): they never end by themselves.
class Idle {
  public:
    explicit Idle(int count) {
        for (int i = 0; i < count; ++i)
            std::thread([this] { stay(); }).detach();
    }
    void stay() {
        std::unique_lock lock(mutex_);
        for (;;)
            never_.wait(lock);
    }

  private:
    std::mutex mutex_;
    std::condition_variable never_;
};

} // namespace

EXEC_TEST("[go:137] pid, parent, directory and umask survive") {
    const Report report = report_after([] {
        (void)!::chdir("/usr");
        ::umask(0051);
        say("before:\t" + std::to_string(::getpid()));
    });
    CHECK(report.at("pid") == report.at("before"));
    CHECK(report.at("parent") == std::to_string(::getpid()));
    CHECK(report.at("directory") == "/usr");
    CHECK(report.at("Umask") == "0051");
}

EXEC_TEST("[go:137] ignored signals, the mask and pending signals survive; handlers do not") {
    const Report report = report_after([] {
        ::signal(SIGHUP, SIG_IGN);
        ::signal(SIGUSR1, handler);
        block(SIGUSR2);
        ::kill(::getpid(), SIGUSR2);
    });
    CHECK(report.at("SigIgn") == signals(SIGHUP));
    CHECK(report.at("SigCgt") == none);
    CHECK(report.at("SigBlk") == signals(SIGUSR2));
    CHECK(report.at("ShdPnd") == signals(SIGUSR2));
}

EXEC_TEST("[go:137] the mask can be reset") {
    Replacement with = to_report();
    with.reset_mask = true;
    CHECK(report_after([] { block(SIGUSR2); }, with).at("SigBlk") == none);
}

EXEC_TEST("[go:137] descriptors that are not marked survive, and marked ones that are on the keep list") {
    const auto descriptors = [](bool keep_only) {
        const Ran ran = in_fork([&] {
            ::fcntl(0, F_DUPFD, 20);
            ::fcntl(0, F_DUPFD_CLOEXEC, 30);
            ::fcntl(0, F_DUPFD_CLOEXEC, 40);
            Replacement with = to_report();
            with.keep = {30};
            with.keep_only = keep_only;
            become(with);
        });
        return " " + status_fields(ran.output).at("descriptors") + " ";
    };
    const std::string inherited = descriptors(false); // and what the test's own starter has left open to it
    CHECK(inherited.find(" 20 30 ") != std::string::npos);
    CHECK(inherited.find(" 40 ") == std::string::npos);
    CHECK(descriptors(true) == " 0 1 2 30 ");
}

EXEC_TEST("[go:137] a descriptor on the keep list that is not open is EBADF, and the others stay marked") {
    const Fd open = Fd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(open);
    Replacement with = to_report();
    with.keep = {open.get(), 888};
    CHECK(exec::replace(with).error_number() == EBADF);
    CHECK(::fcntl(open.get(), F_GETFD) == FD_CLOEXEC);
}

EXEC_TEST("[go:137] children survive, and are still the process's children") {
    const Ran ran = in_fork([] {
        exec::SpawnSpec spec = attributes_spec("hang");
        auto first = exec::spawn(spec);
        auto second = exec::spawn(spec);
        if (!first || !second) return say("no children");
        (void)first->signal(SIGUSR1);
        Replacement with = to_report();
        with.argv = {"", "reap", std::to_string(first->pid()), std::to_string(second->pid())};
        become(with);
    });
    const Report report = status_fields(ran.output);
    CHECK(report.at("first") == "signal " + std::to_string(SIGUSR1));
    CHECK(report.at("second") == "signal " + std::to_string(SIGTERM));
}

EXEC_TEST("[go:137] the other threads vanish") {
    const Report report = report_after([] {
        static Idle idle(3);
        say("before:\t" + std::to_string(holdings().threads));
    });
    CHECK(std::stoi(report.at("before")) >= 4); // a sanitizer may have one of its own
    CHECK(report.at("Threads") == "1");
}

EXEC_TEST("[go:137] a thread that is not the first becomes the process, with its pid") {
    const Report report = report_after([] {
        say("before:\t" + std::to_string(::getpid()));
        std::thread([] { become(to_report()); }).join();
    });
    CHECK(report.at("pid") == report.at("before"));
    CHECK(report.at("parent") == std::to_string(::getpid()));
    CHECK(report.at("Threads") == "1");
}

namespace {

exec::SpawnSpec doomed() {
    exec::SpawnSpec spec = attributes_spec("hang");
    spec.sys.pdeathsig = SIGKILL;
    return spec;
}

// How the two children end, when one of the threads becomes `reap` of them: by SIGKILL if the kernel has told them of
// their parent's death, by the SIGTERM that `reap` sends if it has not.
struct Ends {
    std::string of_the_first_threads;
    std::string of_the_second_threads;
};

Ends replace_with_two_parents(bool second_thread_replaces) {
    const Ran ran = in_fork([&] {
        static Idle forever(0);
        auto childs = exec::spawn(doomed());
        if (!childs) return say(childs.error().message());
        const pid_t first = childs->pid();
        const auto become_reap = [first](pid_t second, bool firsts_dies) {
            Replacement with = to_report();
            const std::string first_text = std::to_string(first);
            const std::string second_text = std::to_string(second);
            with.argv = {"", "reap", firsts_dies ? first_text : second_text, firsts_dies ? second_text : first_text};
            become(with);
        };
        std::mutex mutex;
        std::condition_variable started;
        pid_t second = 0;
        std::thread other([&] {
            auto process = exec::spawn(doomed());
            if (second_thread_replaces) become_reap(process ? process->pid() : -1, true);
            {
                const std::lock_guard lock(mutex);
                second = process ? process->pid() : -1;
            }
            started.notify_one();
            forever.stay();
        });
        if (second_thread_replaces) forever.stay();
        {
            std::unique_lock lock(mutex);
            started.wait(lock, [&] { return second != 0; });
        }
        become_reap(second, false);
    });
    const Report report = status_fields(ran.output);
    if (second_thread_replaces) return {report.at("first"), report.at("second")};
    return {report.at("second"), report.at("first")};
}

} // namespace

EXEC_TEST("[go:138] children with a parent death signal that another thread has started are killed") {
    const Ends ends = replace_with_two_parents(false);
    CHECK(ends.of_the_second_threads == "signal " + std::to_string(SIGKILL));
    CHECK(ends.of_the_first_threads == "signal " + std::to_string(SIGTERM)); // the calling thread's lives on
}

EXEC_TEST("[go:138] the first thread's children are killed where another thread becomes the new image") {
    const Ends ends = replace_with_two_parents(true);
    CHECK(ends.of_the_first_threads == "signal " + std::to_string(SIGKILL));
    CHECK(ends.of_the_second_threads == "signal " + std::to_string(SIGTERM));
}
