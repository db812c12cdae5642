// Section G of the list: a descriptor that is marked close-on-exec only after it was made can slip into a child that
// another thread forks in between. No test that forks at the right moment would find that reliably; looking at each
// system call does.
#include "tests/exec/findings.hpp"
#include "tests/exec/surroundings.hpp"
#include "tests/exec/watching.hpp"

#include <atomic>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <map>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace keep;
using namespace keep::test;

namespace {

// Which argument of a call that makes a descriptor has the flag; without one it makes an inheritable one.
struct Flag {
    int argument = -1;
    std::uint64_t bit = 0;
};
const std::map<unsigned, Flag>& descriptor_makers() {
    static const std::map<unsigned, Flag> makers{
#ifdef SYS_open // architectures with the old calls
        {SYS_open, {1, O_CLOEXEC}},
        {SYS_creat, {}},
        {SYS_pipe, {}},
        {SYS_dup2, {}},
        {SYS_eventfd, {}},
        {SYS_epoll_create, {}},
        {SYS_inotify_init, {}},
#endif
        {SYS_openat, {2, O_CLOEXEC}},
        {SYS_pipe2, {1, O_CLOEXEC}},
        {SYS_dup, {}},
        {SYS_dup3, {2, O_CLOEXEC}},
        {SYS_eventfd2, {1, EFD_CLOEXEC}},
        {SYS_epoll_create1, {0, EPOLL_CLOEXEC}},
        {SYS_memfd_create, {1, MFD_CLOEXEC}},
        {SYS_socket, {1, SOCK_CLOEXEC}},
        {SYS_socketpair, {1, SOCK_CLOEXEC}},
        {SYS_accept4, {3, SOCK_CLOEXEC}},
        {SYS_timerfd_create, {1, O_CLOEXEC}},
        {SYS_signalfd4, {3, O_CLOEXEC}},
    };
    return makers;
}

// UndefinedBehaviorSanitizer asks whether memory can be read by writing it to a pipe of its own, pipe2(.., 0).
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define KEEP_TEST_RUNTIME_MAKES_PIPES
#endif
#endif
bool is_made_by_runtime([[maybe_unused]] const seccomp_data& call) {
#ifdef KEEP_TEST_RUNTIME_MAKES_PIPES
    return call.nr == SYS_pipe2 && call.args[1] == 0;
#else
    return false;
#endif
}

bool leaves_inheritable(const seccomp_data& call) {
    if (is_made_by_runtime(call)) return false;
    if (call.nr == SYS_fcntl) {
        return call.args[1] == F_DUPFD || (call.args[1] == F_SETFD && (call.args[2] & FD_CLOEXEC) == 0);
    }
    const Flag flag = descriptor_makers().at(static_cast<unsigned>(call.nr));
    return flag.argument < 0 || (call.args[flag.argument] & flag.bit) == 0;
}

bool is_thread_of_ours(pid_t thread) {
    return ::access(("/proc/self/task/" + std::to_string(thread)).c_str(), F_OK) == 0;
}

// Runs `body` in a thread whose calls, and those of the threads and children that it starts, are looked at first. Notes
// those of this process that leave a descriptor inheritable, and returns how many there were to look at; -1 where the
// kernel has no such filter. A child may do what it likes with its own table.
int calls_watched(Notes& notes, const std::function<void()>& body) {
    std::vector<unsigned> numbers{SYS_fcntl};
    for (const auto& [number, flag] : descriptor_makers())
        numbers.push_back(number);
    std::atomic<int> listener = -2;
    PipePair over = make_pipe();
    std::thread watched([&] {
        listener = filter_system_calls(numbers, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        if (listener >= 0) body();
        over.write.reset();
    });
    int count = 0;
    while (listener == -2)
        std::this_thread::yield();
    const Fd calls = Fd::adopt(listener);
    while (calls) {
        pollfd ready[] = {{calls.get(), POLLIN, 0}, {over.read.get(), POLLIN, 0}};
        if (::poll(ready, 2, -1) < 0) continue;
        if ((ready[0].revents & POLLIN) == 0) break; // the thread is over
        seccomp_notif call{};
        if (::ioctl(calls.get(), SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue; // its caller was killed
        if (is_thread_of_ours(static_cast<pid_t>(call.pid))) {
            ++count;
            if (leaves_inheritable(call.data)) notes.line("system call " + std::to_string(call.data.nr));
        }
        seccomp_notif_resp answer{};
        answer.id = call.id;
        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ::ioctl(calls.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    watched.join();
    if (calls) return count;
    MESSAGE("skipped: no system call can be looked at here");
    return -1;
}

// Every kind of descriptor that the library makes.
void run_all_kinds(Notes& notes) {
    std::stop_source stop;
    exec::Cmd copied = helper(exec::Context{stop.get_token(), {}}, "cat");
    std::string text;
    std::string error;
    copied.in = exec::Source::bytes("text");
    copied.out = exec::Sink::buffer(text);
    copied.err = exec::Sink::buffer(error);
    expect_equal(notes, said(copied.start()), "");
    const auto end = copied.wait_fd();
    expect(notes, end && readable(*end), "no end to wait for");
    expect_equal(notes, said(copied.wait()), "");
    expect_equal(notes, text, "text");

    exec::Cmd piped = helper("cat");
    auto input = piped.stdin_pipe();
    auto output = piped.stdout_pipe();
    auto errors = piped.stderr_pipe();
    expect_equal(notes, said(piped.start()), "");
    expect_equal(notes, said(input->write("line\n")), "");
    expect_equal(notes, read_line(*output), "line\n");
    expect_equal(notes, said(input->close()), "");
    expect(notes, output->read_all().has_value(), "reading to the end");
    expect_equal(notes, said(piped.wait()), "");

    exec::SpawnSpec crossing = helper_spec("exit", {"0"});
    const PipePair some = make_pipe();
    crossing.extra_fds = {{some.read.get(), some.write.get()}, {some.write.get(), some.read.get()}, {0, 70}};
    auto crossed = exec::spawn(crossing);
    expect_equal(notes, said(crossed), "");
    if (crossed) expect_equal(notes, said(crossed->wait()), "");
    expect(notes, !exec::command("/no/such/program").run(), "what is missing was started");
}

} // namespace

EXEC_TEST("[go:79] the library makes no descriptor that is not close-on-exec from its creation") {
    CHECK(in_own_process([](Notes& notes) {
              const int count = calls_watched(notes, [&] { run_all_kinds(notes); });
              expect(notes, count < 0 || count > 20, "hardly any call was looked at");
          }).faults() == "");
}

EXEC_TEST("[go:79] with reserved numbers and high ones too, all are close-on-exec from their creation") {
    CHECK(in_own_process([](Notes& notes) {
              calls_watched(notes, [&] {
                  exec::reserve_descriptors(2);
                  while (::open("/dev/null", O_RDONLY | O_CLOEXEC) < 150) {
                  }
                  run_all_kinds(notes);
              });
          }).faults() == "");
}

EXEC_TEST("[go:79] the witness of these tests notices a descriptor that is marked later") {
    const Aftermath aftermath = in_own_process([](Notes& notes) {
        const int count = calls_watched(notes, [] {
            const int fd = ::open("/dev/null", O_RDONLY);
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
            ::close(::fcntl(fd, F_DUPFD, 3));
            ::close(fd);
        });
        if (count < 0) notes.line("skipped");
    });
    const std::string openat = "system call " + std::to_string(SYS_openat) + "\n";
    const std::string fcntl = "system call " + std::to_string(SYS_fcntl) + "\n";
    CHECK((aftermath.notes == openat + fcntl || aftermath.notes == "skipped\n"));
}
