// The pump's thread: waits for pipes, gives each ready stream its turn, takes orders, and stops when it is asked to.
//
// The main thread leaves orders and reads counters; it waits for the engine only in drain() and park(), with a limit.
// The one mutex guards the orders and is never held over a call that may wait.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <sys/epoll.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/logs/stream.hpp"
#include "daemon/logs/workbench.hpp"
#include "lib/base/error.hpp"
#include "lib/base/time.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::logs {

class Engine {
  public:
    static keep::Result<std::shared_ptr<Engine>> create(Io&);

    // ---- main thread ----
    // Before run(): streams are simply there.
    void add(std::unique_ptr<Stream>);
    // Before run() too: it moves nothing until release().
    void hold() { held_ = true; }
    void release();

    // What to do, newest last. At most one entry for each stream that exists, so it is bounded however long the thread
    // hangs.
    struct Orders {
        std::vector<std::unique_ptr<Stream>> opened;
        std::map<std::uint64_t, Target> retargeted; // by serial
        std::set<std::uint64_t> closed;             // by serial
        bool reopen = false;
    };
    // Changes the orders by `change(orders)`, and wakes the thread.
    template <typename Change>
    void order(Change change) {
        {
            const std::lock_guard lock(mutex_);
            change(orders_);
        }
        wake();
    }

    // Whether all pipes were empty at one look within `limit`.
    bool drain(keep::Duration limit);
    // Asks the thread to leave run(), and waits at most `limit` for it to be about to. False: it goes on as if never
    // asked.
    bool stop(keep::Duration limit);
    // The same without an end: it leaves run() if it ever comes back from where it hangs.
    void stop_whenever();
    // After stop(), or before run(): all streams, which are the caller's.
    std::vector<std::unique_ptr<Stream>> take_streams();

    const BusyMark& busy() const { return busy_; }
    int problem_fd() const { return problem_event_.get(); }

    // ---- the thread ----
    void run();

  private:
    enum class Phase : std::uint8_t { running, stop_asked, stopped };

    explicit Engine(Workbench bench) : bench_(std::move(bench)) {}
    void wake();
    bool wait_for_reply(keep::Time deadline);
    std::size_t wait(std::span<epoll_event>) const;
    void pause(keep::Duration) const;
    void take_orders();
    void carry_out(Orders);
    void retry_due();
    void turn(std::uint64_t serial);
    void wait_as(Stream&, Stream::Turn);
    bool watch(int fd, std::uint32_t events, std::uint64_t tag); // false: not, by errno
    void unwatch(int fd);
    void answer_drain(std::uint64_t asked);
    bool all_empty() const;

    // What a stream waits for besides orders.
    struct Entry {
        std::unique_ptr<Stream> stream;
        int watched_pipe = -1;   // in the epoll set: the pipe's read end
        int watched_target = -1; // in the epoll set: the target, for room
        bool retries = false;    // in retries_
    };

    // Shared by both threads.
    std::mutex mutex_;
    Orders orders_;
    std::atomic<Phase> phase_{Phase::running};
    std::atomic<bool> held_{false};
    std::atomic<std::uint64_t> drain_asked_{0};
    std::atomic<std::uint64_t> drain_answered_{0};
    BusyMark busy_;
    keep::sys::Fd wake_event_;    // to the thread
    keep::sys::Fd reply_event_;   // to drain() and stop()
    keep::sys::Fd problem_event_; // to whoever wants to know

    // The thread's own.
    keep::sys::Fd epoll_;
    Workbench bench_;
    std::unordered_map<std::uint64_t, Entry> streams_; // by serial
    std::set<std::pair<keep::Time, std::uint64_t>> retries_;
    std::size_t moved_ = 0; // bytes, since the thread last waited
};

} // namespace keepd::logs
