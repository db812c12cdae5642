// RAII over sd-event: the one loop of the main thread. sd_event(3).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "lib/base/error.hpp"
#include "lib/base/time.hpp"

struct sd_event;
struct sd_event_source;

namespace keepd::systemd {

// One registration; unregisters when destroyed. Must not outlive its Loop. Destroying it inside its own callback is
// fine.
class Source {
  public:
    Source();
    Source(Source&&) noexcept;
    Source& operator=(Source&&) noexcept;
    ~Source();
    explicit operator bool() const { return data_ != nullptr; }
    void reset();

    // Changes the awaited events (EPOLLIN, ...) of an I/O source; 0 pauses it.
    keep::Result<> set_events(std::uint32_t events);
    // (Re)arms a timer source for `at`, or disarms it.
    keep::Result<> set_time(std::optional<keep::Time> at);

    struct Data;

  private:
    friend class Loop;
    explicit Source(std::unique_ptr<Data>);
    std::unique_ptr<Data> data_;
};

class Loop {
  public:
    using IoHandler = std::function<void(std::uint32_t revents)>;
    using Handler = std::function<void()>;

    static keep::Result<Loop> create();
    Loop(Loop&&) noexcept;
    Loop& operator=(Loop&&) noexcept;
    ~Loop();

    // Level-triggered; `fd` is borrowed and must stay open as long as the Source. Lower priority numbers go first.
    keep::Result<Source> watch(int fd, std::uint32_t events, IoHandler, int priority = 0);
    // CLOCK_MONOTONIC, accuracy 1 us; disarmed until set_time(). One shot: arm again in the handler if wanted.
    keep::Result<Source> timer(Handler);
    // Runs at the end of each turn of the loop in which something else was handled.
    keep::Result<Source> after_turn(Handler);

    // Dispatches until quit() is called; can be called again after that, with all sources as they were.
    keep::Result<> run();
    void quit() { quit_ = true; }

  private:
    explicit Loop(sd_event*);
    sd_event* event_ = nullptr;
    bool quit_ = false;
};

} // namespace keepd::systemd
