// Everything that goes on beside a running command, in one loop around poll(2): copying its streams, watching its
// context, wait_delay, and its end. The loop runs in the thread that waits, or, if start() returns before, in one
// thread of its own until wait() comes.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include <keep/exec/context.hpp>
#include <keep/exec/spawn.hpp>
#include <keep/fd.hpp>

#include "lib/exec/flows.hpp"
#include "lib/exec/pipe_end.hpp"

namespace keep::exec {

class Exchange {
  public:
    struct Terms {
        Context context;
        std::function<Result<>(Process&)> cancel;
        std::chrono::nanoseconds wait_delay{0};
    };

    // Errors: what kept a stop request from being watched (EMFILE). Before the process exists, so that nothing is
    // started that could not be watched.
    Result<> prepare(Terms terms, bool own_thread);
    // At most two, and one.
    void copy(Outflow flow) { outflows_.push_back(std::move(flow)); }
    void copy(Inflow flow) { inflows_.push_back(std::move(flow)); }
    void also_close(std::shared_ptr<PipeEnd> handle) { handles_.push_back(std::move(handle)); }

    // Whether there is something to do before wait() is called.
    bool has_work() const;
    void attach(Process& process);
    Result<> begin_thread();
    ~Exchange();

    // Waits, here or for the thread, until the process has ended and all is copied.
    void finish();
    // Nothing is worth copying any more: the process has been killed.
    void abandon();
    // Closes all that it holds: after finish(), or when nothing was started.
    void let_go();
    // Readable when finish() would not wait.
    Result<int> done_fd();

    // After finish().
    const Result<ProcessState>& exit() const { return *exit_; }
    const std::optional<Error>& watch_error() const { return watch_error_; }
    const std::optional<Error>& copy_error() const { return copy_error_; }

  private:
    using Clock = Context::Clock;
    static Clock::time_point after(std::chrono::nanoseconds delay);

    void run(bool own_thread);
    bool leave(bool own_thread); // whether the loop has nothing to do any more
    void turn();
    void look_at_context();
    void look_at_timer();
    void look_at_process();
    void advance_flows(std::span<const pollfd> ready);
    bool copies_done() const;
    bool watches() const;
    void close_flows();
    void note_copy_error(std::optional<Error> error);
    void wake();
    std::optional<Clock::time_point> next_moment() const;

    Terms terms_;
    Process* process_ = nullptr;
    std::vector<Outflow> outflows_;
    std::vector<Inflow> inflows_;
    std::vector<std::shared_ptr<PipeEnd>> handles_; // of the user's; closed with the flows

    // The loop's own, by whichever thread it runs in.
    bool context_over_ = false;
    std::optional<Clock::time_point> timer_; // wait_delay
    std::optional<Result<ProcessState>> exit_;
    std::optional<Error> watch_error_;
    std::optional<Error> copy_error_;

    Fd wake_; // an eventfd
    std::thread thread_;
    std::mutex mutex_; // for the two below
    bool thread_runs_ = false;
    Fd done_;
    std::atomic<bool> waiting_ = false; // somebody wants the end to be seen
    std::atomic<bool> abandoned_ = false;

    struct Waker {
        Exchange* exchange;
        void operator()() const { exchange->wake(); }
    };
    std::optional<std::stop_callback<Waker>> on_stop_; // last: its destructor waits for a call under way
};

} // namespace keep::exec
