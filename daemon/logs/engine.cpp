#include "daemon/logs/engine.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace keepd::logs {

using keep::Result;
using keep::sys::Fd;

namespace {

constexpr std::uint64_t wake_tag = 0; // serials begin at 1

// How long bytes may gather, and when that is good: the thread was waiting for less than `hot` and has moved little.
constexpr keep::Duration gathering_time = std::chrono::microseconds(100);
constexpr keep::Duration hot = std::chrono::microseconds(200);
constexpr std::size_t worth_a_turn = std::size_t{64} << 10;

Result<Fd> make_event() {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return keep::fail_errno("make eventfd", "", errno);
    return Fd::adopt(fd);
}

void ring(const Fd& event) {
    const std::uint64_t one = 1;
    while (::write(event.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void hush(const Fd& event) {
    std::uint64_t count = 0;
    while (::read(event.get(), &count, sizeof count) < 0 && errno == EINTR) {
    }
}

// For poll and epoll_wait, rounded up: waking early would turn into spinning.
int milliseconds_until(keep::Time deadline) {
    const keep::Duration left = deadline - keep::sys::monotonic_now();
    if (left <= keep::Duration{}) return 0;
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::min<std::int64_t>(rounded, 1'000'000'000));
}

} // namespace

Result<std::shared_ptr<Engine>> Engine::create(Io& io) {
    auto bench = Workbench::create(io);
    if (!bench) return std::unexpected(bench.error());
    std::shared_ptr<Engine> engine(new Engine(std::move(*bench)));
    for (Fd* event : {&engine->wake_event_, &engine->reply_event_, &engine->problem_event_}) {
        auto made = make_event();
        if (!made) return std::unexpected(made.error());
        *event = std::move(*made);
    }
    engine->epoll_ = Fd::adopt(::epoll_create1(EPOLL_CLOEXEC));
    if (!engine->epoll_) return keep::fail_errno("make epoll", "", errno);
    // Without it no order would ever reach the thread.
    if (!engine->watch(engine->wake_event_.get(), EPOLLIN, wake_tag))
        return keep::fail_errno("watch for orders", "", errno);
    return engine;
}

void Engine::add(std::unique_ptr<Stream> stream) {
    orders_.opened.push_back(std::move(stream));
}

void Engine::wake() {
    ring(wake_event_);
}

bool Engine::wait_for_reply(keep::Time deadline) {
    pollfd look{reply_event_.get(), POLLIN, 0};
    const int ready = ::poll(&look, 1, milliseconds_until(deadline));
    if (ready > 0) hush(reply_event_);
    return ready > 0 || (ready < 0 && errno == EINTR);
}

void Engine::release() {
    held_ = false;
    held_.notify_all();
}

bool Engine::drain(keep::Duration limit) {
    const keep::Time deadline = keep::sys::monotonic_now() + limit;
    const std::uint64_t asked = ++drain_asked_;
    wake();
    while (drain_answered_ < asked) {
        if (!wait_for_reply(deadline)) break;
    }
    return drain_answered_ >= asked;
}

bool Engine::stop(keep::Duration limit) {
    const keep::Time deadline = keep::sys::monotonic_now() + limit;
    phase_ = Phase::stop_asked;
    release();
    wake();
    while (phase_ != Phase::stopped) {
        if (wait_for_reply(deadline)) continue;
        // Taken back, unless the thread has stopped just now.
        Phase asked = Phase::stop_asked;
        if (phase_.compare_exchange_strong(asked, Phase::running)) return false;
    }
    return true;
}

void Engine::stop_whenever() {
    phase_ = Phase::stop_asked;
    release();
    wake();
}

std::vector<std::unique_ptr<Stream>> Engine::take_streams() {
    std::vector<std::unique_ptr<Stream>> streams = std::move(orders_.opened);
    orders_ = {};
    for (auto& [serial, entry] : streams_)
        streams.push_back(std::move(entry.stream));
    streams_.clear();
    std::ranges::sort(streams, {}, [](const auto& stream) { return stream->serial(); });
    return streams;
}

void Engine::run() {
    std::array<epoll_event, 64> events{};
    keep::Time rested{};
    held_.wait(true);
    take_orders();
    while (true) {
        const std::size_t count = wait(events);
        const keep::Time woken = keep::sys::monotonic_now();
        moved_ = 0;
        // Questions are read first, orders then: what was ordered before a stop or a drain is carried out before it.
        Phase asked = Phase::stop_asked;
        const bool stops = phase_ == asked;
        const std::uint64_t drain = drain_asked_;
        take_orders();
        for (std::size_t i = 0; i < count && phase_ != Phase::stop_asked; ++i)
            turn(events[i].data.u64);
        retry_due();
        if (stops && phase_.compare_exchange_strong(asked, Phase::stopped)) {
            ring(reply_event_);
            return;
        }
        answer_drain(drain);
        // Woken again at once for little: the next bytes are let gather, so that a program which writes line by line is
        // not served line by line.
        if (moved_ > 0 && moved_ < worth_a_turn && count < events.size() && woken - rested < hot) pause(gathering_time);
        rested = keep::sys::monotonic_now();
    }
}

// Waits for something to do, and fills `events` with what the streams have.
std::size_t Engine::wait(std::span<epoll_event> events) const {
    const int timeout = retries_.empty() ? -1 : milliseconds_until(retries_.begin()->first);
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
    if (count <= 0) return 0;
    const auto ready = events.first(static_cast<std::size_t>(count));
    // Silenced before anything that it stands for is read: a ring that comes later is a wake-up of its own.
    const auto woke = std::ranges::find(ready, wake_tag, [](const epoll_event& event) { return event.data.u64; });
    if (woke == ready.end()) return ready.size();
    hush(wake_event_);
    *woke = ready.back();
    return ready.size() - 1;
}

// Orders are not kept waiting.
void Engine::pause(keep::Duration time) const {
    const timespec limit{0, static_cast<long>(time.count())};
    pollfd look{wake_event_.get(), POLLIN, 0};
    ::ppoll(&look, 1, &limit, nullptr);
}

void Engine::take_orders() {
    Orders orders;
    {
        const std::lock_guard lock(mutex_);
        orders = std::exchange(orders_, {});
    }
    carry_out(std::move(orders));
}

void Engine::carry_out(Orders orders) {
    std::set<std::uint64_t> due;
    for (auto& stream : orders.opened) {
        const std::uint64_t serial = stream->serial();
        streams_[serial].stream = std::move(stream);
        due.insert(serial);
    }
    const auto tell = [&](std::uint64_t serial, auto what) {
        const auto found = streams_.find(serial);
        if (found == streams_.end()) return;
        unwatch(std::exchange(found->second.watched_target, -1));
        busy_.begin(serial); // it may close its file
        what(*found->second.stream);
        busy_.end();
        due.insert(serial);
    };
    for (auto& order : orders.retargeted)
        tell(order.first, [&](Stream& stream) { stream.retarget(std::move(order.second)); });
    if (orders.reopen) {
        std::vector<std::uint64_t> serials;
        serials.reserve(streams_.size());
        for (const auto& [serial, entry] : streams_)
            serials.push_back(serial);
        for (const std::uint64_t serial : serials)
            tell(serial, [](Stream& stream) { stream.reopen(); });
    }
    for (const std::uint64_t serial : orders.closed)
        tell(serial, [](Stream& stream) { stream.close(); });
    for (const std::uint64_t serial : due)
        turn(serial);
}

void Engine::retry_due() {
    if (retries_.empty()) return;
    const keep::Time now = keep::sys::monotonic_now();
    std::vector<std::uint64_t> due;
    for (const auto& [at, serial] : retries_) {
        if (at > now) break;
        due.push_back(serial);
    }
    for (const std::uint64_t serial : due)
        turn(serial);
}

void Engine::turn(std::uint64_t serial) {
    const auto found = streams_.find(serial);
    if (found == streams_.end()) return; // ended earlier in this batch of events
    Entry& entry = found->second;
    Stream& stream = *entry.stream;
    if (std::exchange(entry.retries, false)) retries_.erase({stream.retry_at(), serial});
    unwatch(std::exchange(entry.watched_target, -1));

    busy_.begin(serial);
    const Stream::Report report = stream.turn(bench_);
    const bool ended = report.next == Stream::Turn::ended;
    if (ended) {
        stream.counters()->ended = true;
        unwatch(entry.watched_pipe);
        streams_.erase(found);
    }
    busy_.end();

    moved_ += report.moved;
    if (!ended) wait_as(stream, report.next);
    if (report.problem_turned || ended) ring(problem_event_);
}

void Engine::wait_as(Stream& stream, Stream::Turn next) {
    const std::uint64_t serial = stream.serial();
    Entry& entry = streams_.at(serial);
    const bool wants_pipe = next == Stream::Turn::idle || next == Stream::Turn::more;
    int& watched = wants_pipe ? entry.watched_pipe : entry.watched_target;
    const int fd = wants_pipe ? stream.pipe_fd() : stream.target_fd();
    if (!wants_pipe) unwatch(std::exchange(entry.watched_pipe, -1));
    if ((wants_pipe && watched < 0) || next == Stream::Turn::full) {
        if (watch(fd, wants_pipe ? EPOLLIN : EPOLLOUT, serial)) {
            watched = fd;
        } else {
            stream.retry_later(next);
            next = Stream::Turn::stalled;
        }
    }
    if (next == Stream::Turn::stalled) entry.retries = retries_.emplace(stream.retry_at(), serial).second;
}

bool Engine::watch(int fd, std::uint32_t events, std::uint64_t tag) {
    epoll_event event{events, {}};
    event.data.u64 = tag;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Engine::unwatch(int fd) {
    if (fd >= 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Engine::answer_drain(std::uint64_t asked) {
    if (drain_answered_ >= asked || !all_empty()) return;
    drain_answered_ = asked;
    ring(reply_event_);
}

bool Engine::all_empty() const {
    return std::ranges::all_of(streams_, [](const auto& item) { return item.second.stream->bytes_in_pipe() == 0; });
}

} // namespace keepd::logs
