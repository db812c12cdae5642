// What the pump's thread uses for every stream in turn, and the mark that says where it is.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/logs/io.hpp"
#include "lib/base/error.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::logs {

// Which stream the thread works for, since when. Written by the thread, read by the main thread: how a hung file gets
// its name while nobody can ask the thread.
class BusyMark {
  public:
    void begin(std::uint64_t serial) {
        since_.store(keep::sys::monotonic_now().time_since_epoch().count(), std::memory_order_relaxed);
        serial_.store(serial, std::memory_order_release);
    }
    void end() { serial_.store(0, std::memory_order_release); }

    struct Where {
        std::uint64_t serial = 0; // 0: in no file
        keep::Duration since{};   // how long already
    };
    Where look() const {
        const std::uint64_t serial = serial_.load(std::memory_order_acquire);
        if (serial == 0) return {};
        const keep::Time begun{keep::Duration{since_.load(std::memory_order_relaxed)}};
        // Meanwhile at another stream: then it does not hang.
        if (serial_.load(std::memory_order_acquire) != serial) return {};
        return {serial, keep::sys::monotonic_now() - begun};
    }

  private:
    std::atomic<std::uint64_t> serial_{0};
    std::atomic<std::int64_t> since_{0};
};

// A stream's figures, shared by both threads. The mutex is never held over a call that may wait.
struct Counters {
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<std::uint64_t> dropped_bytes{0};
    std::atomic<bool> ended{false}; // the stream is no more

    std::string problem() const {
        const std::lock_guard lock(mutex_);
        return problem_;
    }
    // Whether that changed it from or to none.
    bool set_problem(std::string text) {
        const std::lock_guard lock(mutex_);
        const bool turned = text.empty() != problem_.empty();
        problem_ = std::move(text);
        return turned;
    }

  private:
    mutable std::mutex mutex_;
    std::string problem_;
};

class Workbench {
  public:
    static keep::Result<Workbench> create(Io&);

    Io& io() const { return *io_; }
    int null() const { return null_.get(); }

    // The next bytes of the pipe, up to `limit`, without taking them: tee(2) into a pipe of our own, read from there.
    // The view is good until the next call. Empty with errno EAGAIN: nothing there; with errno 0: no writer is left.
    std::string_view look(int pipe, std::size_t limit);
    // How many bytes one look can show.
    static constexpr std::size_t look_size = std::size_t{256} << 10;

    // Takes the first `count` bytes out of the pipe, which are known to be there.
    void discard(int pipe, std::size_t count) const;

  private:
    Workbench() = default;
    Io* io_ = nullptr;
    keep::sys::Fd null_;
    keep::sys::Pipe copy_;
    std::vector<char> seen_;
};

} // namespace keepd::logs
