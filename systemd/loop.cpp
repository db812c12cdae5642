#include "systemd/loop.hpp"

#include <cstdint>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <utility>

namespace keepd::systemd {

// The handler is shared with the call in progress: a handler may destroy its own Source.
struct Source::Data {
    sd_event_source* source = nullptr;
    std::shared_ptr<Loop::IoHandler> on_io;
    std::shared_ptr<Loop::Handler> handler;

    Data() = default;
    Data(const Data&) = delete;
    Data& operator=(const Data&) = delete;
    ~Data() {
        if (source == nullptr) return;
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        sd_event_source_unref(source);
    }
};

namespace {

int dispatch_io(sd_event_source*, int, std::uint32_t revents, void* user) {
    const auto handler = static_cast<Source::Data*>(user)->on_io;
    (*handler)(revents);
    return 0;
}

int dispatch_time(sd_event_source*, std::uint64_t, void* user) {
    const auto handler = static_cast<Source::Data*>(user)->handler;
    (*handler)();
    return 0;
}

int dispatch_post(sd_event_source*, void* user) {
    const auto handler = static_cast<Source::Data*>(user)->handler;
    (*handler)();
    return 0;
}

} // namespace

Source::Source(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Source::Source() = default;
Source::Source(Source&&) noexcept = default;
Source& Source::operator=(Source&&) noexcept = default;
Source::~Source() = default;
void Source::reset() {
    data_.reset();
}

keep::Result<> Source::set_events(std::uint32_t events) {
    const int r = sd_event_source_set_io_events(data_->source, events);
    if (r < 0) return keep::fail_errno("sd_event_source_set_io_events", "", -r);
    return {};
}

keep::Result<> Source::set_time(std::optional<keep::Time> at) {
    int r = 0;
    if (at) {
        // Rounded up: a timer that fires before its deadline would find nothing due and spin.
        const auto usec = (at->time_since_epoch().count() + 999) / 1000;
        r = sd_event_source_set_time(data_->source, usec < 0 ? 0 : static_cast<std::uint64_t>(usec));
        if (r >= 0) r = sd_event_source_set_enabled(data_->source, SD_EVENT_ONESHOT);
    } else {
        r = sd_event_source_set_enabled(data_->source, SD_EVENT_OFF);
    }
    if (r < 0) return keep::fail_errno("arm a timer", "", -r);
    return {};
}

Loop::Loop(sd_event* event) : event_(event) {}
Loop::Loop(Loop&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
Loop& Loop::operator=(Loop&& other) noexcept {
    std::swap(event_, other.event_);
    std::swap(quit_, other.quit_);
    return *this;
}
Loop::~Loop() {
    sd_event_unref(event_);
}

keep::Result<Loop> Loop::create() {
    sd_event* event = nullptr;
    const int r = sd_event_new(&event);
    if (r < 0) return keep::fail_errno("sd_event_new", "", -r);
    return Loop(event);
}

keep::Result<Source> Loop::watch(int fd, std::uint32_t events, IoHandler handler, int priority) {
    auto data = std::make_unique<Source::Data>();
    data->on_io = std::make_shared<IoHandler>(std::move(handler));
    int r = sd_event_add_io(event_, &data->source, fd, events, dispatch_io, data.get());
    if (r >= 0 && priority != 0) r = sd_event_source_set_priority(data->source, priority);
    if (r < 0) return keep::fail_errno("sd_event_add_io", "", -r);
    return Source(std::move(data));
}

keep::Result<Source> Loop::timer(Handler handler) {
    auto data = std::make_unique<Source::Data>();
    data->handler = std::make_shared<Handler>(std::move(handler));
    int r = sd_event_add_time(event_, &data->source, CLOCK_MONOTONIC, UINT64_MAX, 1, dispatch_time, data.get());
    if (r >= 0) r = sd_event_source_set_enabled(data->source, SD_EVENT_OFF);
    if (r < 0) return keep::fail_errno("sd_event_add_time", "", -r);
    return Source(std::move(data));
}

keep::Result<Source> Loop::after_turn(Handler handler) {
    auto data = std::make_unique<Source::Data>();
    data->handler = std::make_shared<Handler>(std::move(handler));
    const int r = sd_event_add_post(event_, &data->source, dispatch_post, data.get());
    if (r < 0) return keep::fail_errno("sd_event_add_post", "", -r);
    return Source(std::move(data));
}

// Not sd_event_loop() and sd_event_exit(): what has exited can't run again, and an upgrade that fails goes on.
keep::Result<> Loop::run() {
    quit_ = false;
    while (!quit_) {
        const int r = sd_event_run(event_, UINT64_MAX);
        if (r < 0) return keep::fail_errno("sd_event_run", "", -r);
    }
    return {};
}

} // namespace keepd::systemd
