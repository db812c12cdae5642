// What the tests of running commands share: events awaited with a deadline, a child's descriptors seen from outside,
// and a
// command that leaves something running.
#pragma once

#include <doctest/doctest.h>

#include <keep/exec.hpp>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "tests/exec/support.hpp"

namespace keep::test {

// As long as a test waits for what must come: a library that never does it fails the test, and does not hang it.
inline constexpr std::chrono::milliseconds patience{20'000};
// As long as a test watches that something does not come.
inline constexpr std::chrono::milliseconds while_nothing_happens{100};

bool readable(int fd, std::chrono::milliseconds longest = patience); // within that time
bool eventually(const std::function<bool()>& holds);                 // within `patience`

// Opens once. Opening and waiting from any threads.
class Gate {
  public:
    void open();
    bool wait(std::chrono::milliseconds longest = patience); // whether it is open
    bool is_open() { return wait(std::chrono::milliseconds(0)); }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

// A sink made of a callable, which keeps what came and tells of its first line: the helper's "ready". Outlives the
// command.
class Listener {
  public:
    exec::Sink sink();
    bool heard_line() { return line_.wait(); }
    std::string text();

  private:
    std::mutex mutex_;
    std::string text_;
    Gate line_;
};

// The next line, with its end; what there is of it when the stream ends or nothing comes for `patience`.
std::string read_line(exec::PipeReader& reader);
std::string read_line(int fd);

struct PipePair {
    Fd read;
    Fd write;
};
PipePair make_pipe();
Fd file_with(std::string_view text); // without a name, at its beginning
std::string content(int fd);         // the whole file, wherever the offset is

int threads(); // of this process
// What /proc shows of a process's descriptor: its target and its access mode (O_RDONLY ...).
std::string descriptor_target(pid_t pid, int number);
int access_mode(pid_t pid, int number);
// How many of our descriptors refer to that.
int descriptors_of(const std::string& target);
// How many of our descriptors are pipes.
int pipes();

bool asleep(pid_t thread); // one of ours, in a system call that waits
bool gone(pid_t pid);      // reaped: no such process, not even a zombie

// A command whose end leaves its streams open: a shell that says "ready" and exits when it is told to, and a descendant
// that holds the streams until it is released, says "late" and ends. Both end with this object at the latest; the
// descendant, an orphan then, is no child of ours. Outlives the command.
class Lingering {
  public:
    explicit Lingering(int exit_code = 0) : exit_code_(exit_code), leave_(make_pipe()), release_(make_pipe()) {}
    exec::Cmd command();
    exec::Cmd command(exec::Context context);
    void leave() { leave_.write.reset(); }
    void release() { release_.write.reset(); }

  private:
    std::vector<std::string> arguments() const;
    exec::Cmd prepared(exec::Cmd cmd);
    int exit_code_;
    PipePair leave_;
    PipePair release_;
};

// For an event loop: whether neither wait_fd() nor try_wait() has anything; and the result, as soon as wait_fd() says
// that there is one. Fails the test if try_wait() has none then, or nothing comes for `patience`.
bool still_running(exec::Cmd& cmd);
exec::Result<> result_when_ready(exec::Cmd& cmd);

// A disposition of a signal, in place for a while.
class Disposition {
  public:
    Disposition(int signal, void (*handler)(int));
    ~Disposition();
    Disposition(const Disposition&) = delete;
    Disposition& operator=(const Disposition&) = delete;

  private:
    int signal_;
    struct sigaction before_;
};

} // namespace keep::test
