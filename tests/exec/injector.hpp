// Failure injection: a thread whose system calls, and those of the children that it clones until their exec, are
// counted by its supervisor; the n-th of them is answered with an error instead of being carried out. By seccomp's user
// notification (seccomp_unotify(2)): the kernel hands each call of the filtered thread to the supervisor, which answers
// it or lets it go on. The programs that are started inherit the filter, too; their calls all go on.
#pragma once

#include <functional>
#include <set>
#include <sys/types.h>
#include <thread>

#include <keep/fd.hpp>

namespace keep::test {

// Whose calls are counted: these go on side by side, but each of them calls in the same order every time.
enum class Caller {
    body,   // the thread under test
    thread, // one that it has made
    child   // before its exec
};

// What to do to the calls.
struct Fault {
    int code = 0; // the errno
    Caller caller = Caller::body;
    int at = 0;                 // to which call, counted from 1 among those that may be answered so; 0: to none
    bool refuse_clone3 = false; // clone3(2) is not there (ENOSYS), and not counted
};

// What was done; plain memory, so that it may be shared with another process.
struct Injected {
    int count = 0;        // calls that could have been answered so
    long call = -1;       // the number of the call that was; -1: there were fewer
    bool blocked = false; // with all signals blocked: so that a real call is never interrupted
};

// Supervises from the thread that it is used in, which has no filter itself. Use it in a process that ends afterwards.
class Injector {
  public:
    // Starts a thread with a filter that runs `body`. supported() says if that has worked.
    explicit Injector(std::function<void()> body);
    // Leaves the body at its mark for ever: only the process's end ends it.
    ~Injector();
    Injector(const Injector&) = delete;
    Injector& operator=(const Injector&) = delete;

    // False without CONFIG_SECCOMP_FILTER, before Linux 5.5, and under a supervisor like this one (some containers).
    bool supported() const { return static_cast<bool>(listener_); }

    // In `body`: stays here until the supervisor lets it go on.
    static void mark();

    // Lets `body` go on to its next mark, or to its end, and treats its calls so.
    void go_on(const Fault& fault, Injected& injected);

    // Lets calls that wait now go on: for the threads and programs other than `body`'s own thread.
    void let_others_go_on();

  private:
    struct Call;
    bool receive(Call& call);
    void answer(const Call& call, int code);
    void decide(const Call& call, const Fault& fault, Injected& injected);
    Caller caller_of(pid_t thread);
    bool is_program(pid_t thread);

    Fd listener_;
    std::thread thread_;
    pid_t body_ = 0;                // its thread's id
    unsigned long long marked_ = 0; // the mark that waits for its answer
    std::set<pid_t> programs_;      // known to have executed something
    std::set<pid_t> own_threads_;
};

} // namespace keep::test
