// The main thread's half: which streams there are by name, orders to the engine, figures from it.
#include "daemon/logs/pump.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <pthread.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include "daemon/logs/engine.hpp"

namespace keepd::logs {

using keep::Duration;
using keep::Result;

namespace {

constexpr Duration hangs_after = std::chrono::seconds(2);
constexpr Duration patience_at_the_end = std::chrono::seconds(1);

// What the main thread knows of a stream. Its descriptors are the engine's.
struct Handle {
    std::uint64_t serial = 0;
    std::string id;
    Target target;
    int read_end = -1;
    int write_end = -1;
    std::shared_ptr<Counters> counters;
    keep::sys::Fd held; // of one that is being drained: the read end, which the engine closes when it likes
};

StreamEnds ends_of(const Handle& handle) {
    return {handle.id, handle.target, handle.held ? handle.held.get() : handle.read_end, handle.write_end};
}

StreamStatus status_of(const Handle& handle, const BusyMark::Where& where) {
    StreamStatus status;
    status.bytes = handle.counters->bytes;
    status.dropped_bytes = handle.counters->dropped_bytes;
    status.problem = handle.counters->problem();
    if (where.serial == handle.serial && where.since > hangs_after)
        status.problem = "write '" + handle.target.path + "': no answer for " + keep::to_human(where.since) +
                         "; the log files of other programs wait for it too";
    return status;
}

// A thread with all signals blocked: they are the main thread's, and SIGPIPE and SIGXFSZ are errors here.
Result<std::thread> start_thread(std::shared_ptr<Engine> engine) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    Result<std::thread> thread;
    try {
        thread = std::thread([engine = std::move(engine)] { engine->run(); });
        ::pthread_setname_np(thread->native_handle(), "keepd-logs");
    } catch (const std::system_error& error) {
        thread = keep::fail_errno("start the log thread", "", error.code().value());
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

} // namespace

struct Pump::Impl {
    std::shared_ptr<Engine> engine;
    std::thread thread;
    std::uint64_t last_serial = 0;
    std::map<std::string, Handle> open;
    mutable std::vector<Handle> draining; // closed, perhaps not ended yet
    std::vector<std::string> opened;      // since take_opened()
    std::uint64_t closings = 0;

    const Handle* find(std::uint64_t serial) const {
        for (const auto& [id, handle] : open)
            if (handle.serial == serial) return &handle;
        for (const Handle& handle : draining)
            if (handle.serial == serial) return &handle;
        return nullptr;
    }

    void forget_ended() const {
        std::erase_if(draining, [](const Handle& handle) { return handle.counters->ended.load(); });
    }

    // Before the engine hears of it. Without a copy of the read end (no descriptor left) it is drained all the same.
    void drain(Handle handle) {
        if (auto copy = keep::sys::duplicate(handle.read_end)) handle.held = std::move(*copy);
        handle.write_end = -1;
        draining.push_back(std::move(handle));
        ++closings;
    }

    std::uint64_t adopt(const StreamState& state) {
        auto stream = std::make_unique<Stream>(++last_serial, state);
        Handle handle{last_serial, state.id, state.target, state.pipe_read, state.pipe_write, stream->counters(), {}};
        engine->add(std::move(stream));
        if (state.pipe_write >= 0)
            open[state.id] = std::move(handle);
        else
            drain(std::move(handle));
        return last_serial;
    }
};

Pump::Pump(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Pump>> Pump::start(Io* io) {
    return resume({}, io);
}

Result<std::unique_ptr<Pump>> Pump::resume(const std::vector<StreamState>& states, Io* io, Begin begin) {
    auto engine = Engine::create(io ? *io : system_io());
    if (!engine) return keep::fail_in("start the log pump", engine.error());
    auto impl = std::make_unique<Impl>();
    impl->engine = *engine;
    for (const StreamState& state : states)
        impl->adopt(state);
    if (begin == Begin::when_told) impl->engine->hold();
    auto thread = start_thread(impl->engine);
    if (!thread) {
        for (auto& stream : impl->engine->take_streams())
            (void)stream->release(); // they are the caller's still
        return std::unexpected(thread.error());
    }
    impl->thread = std::move(*thread);
    return std::unique_ptr<Pump>(new Pump(std::move(impl)));
}

void Pump::begin() {
    impl_->engine->release();
}

Pump::~Pump() {
    if (!impl_->thread.joinable()) return;
    if (impl_->engine->stop(patience_at_the_end)) {
        impl_->thread.join();
    } else {
        impl_->engine->stop_whenever();
        impl_->thread.detach(); // it holds its engine
    }
}

Result<int> Pump::open(const std::string& id, const Target& target) {
    if (const auto found = impl_->open.find(id); found != impl_->open.end()) {
        Handle& handle = found->second;
        if (handle.target != target) {
            handle.target = target;
            impl_->engine->order([&](Engine::Orders& orders) { orders.retargeted[handle.serial] = target; });
        }
        return handle.write_end;
    }
    auto pipe = keep::sys::pipe();
    if (!pipe) return keep::fail_in("log stream " + id, pipe.error());
    // The programs' end stays blocking: it is their standard output.
    if (auto set = keep::sys::set_nonblocking(pipe->read.get(), true); !set)
        return keep::fail_in("log stream " + id, set.error());
    auto stream = std::make_unique<Stream>(++impl_->last_serial, id, target, std::move(*pipe));
    Handle handle{stream->serial(), id, target, stream->pipe_fd(), stream->write_fd(), stream->counters(), {}};
    impl_->opened.push_back(id);
    impl_->engine->order([&](Engine::Orders& orders) { orders.opened.push_back(std::move(stream)); });
    return impl_->open.emplace(id, std::move(handle)).first->second.write_end;
}

int Pump::write_end(const std::string& id) const {
    const auto found = impl_->open.find(id);
    return found == impl_->open.end() ? -1 : found->second.write_end;
}

std::vector<StreamEnds> Pump::take_opened() {
    std::vector<StreamEnds> all;
    for (const auto& id : std::exchange(impl_->opened, {}))
        if (const auto found = impl_->open.find(id); found != impl_->open.end()) all.push_back(ends_of(found->second));
    return all;
}

std::vector<StreamEnds> Pump::ends() const {
    impl_->forget_ended();
    std::vector<StreamEnds> all;
    for (const auto& [id, handle] : impl_->open)
        all.push_back(ends_of(handle));
    for (const Handle& handle : impl_->draining)
        if (handle.held) all.push_back(ends_of(handle));
    return all;
}

std::uint64_t Pump::closings() const {
    return impl_->closings;
}

void Pump::close(const std::string& id) {
    const auto found = impl_->open.find(id);
    if (found == impl_->open.end()) return;
    impl_->forget_ended();
    const std::uint64_t serial = found->second.serial;
    impl_->drain(std::move(found->second));
    impl_->open.erase(found);
    impl_->engine->order([&](Engine::Orders& orders) { orders.closed.insert(serial); });
}

void Pump::reopen() {
    impl_->engine->order([](Engine::Orders& orders) { orders.reopen = true; });
}

std::map<std::string, StreamStatus> Pump::status() const {
    std::uint64_t news = 0;
    while (::read(problem_fd(), &news, sizeof news) < 0 && errno == EINTR) {
    }
    impl_->forget_ended();
    const BusyMark::Where where = impl_->engine->busy().look();
    std::map<std::string, StreamStatus> all;
    for (const auto& [id, handle] : impl_->open)
        all.emplace(id, status_of(handle, where));
    for (const Handle& handle : impl_->draining)
        all.emplace(handle.id, status_of(handle, where));
    return all;
}

int Pump::problem_fd() const {
    return impl_->engine->problem_fd();
}

bool Pump::drain(Duration limit) {
    return impl_->thread.joinable() && impl_->engine->drain(limit);
}

Result<std::vector<StreamState>> Pump::park(Duration limit) {
    if (!impl_->thread.joinable()) return std::vector<StreamState>{};
    if (!impl_->engine->stop(limit)) {
        const BusyMark::Where where = impl_->engine->busy().look();
        const Handle* handle = impl_->find(where.serial);
        if (!handle) return keep::fail("the log pump did not stop within " + keep::to_human(limit), ETIMEDOUT);
        return keep::fail("write '" + handle->target.path + "': no answer for " + keep::to_human(where.since),
                          ETIMEDOUT);
    }
    impl_->thread.join();
    impl_->open.clear();
    impl_->draining.clear();
    std::vector<StreamState> states;
    for (auto& stream : impl_->engine->take_streams())
        states.push_back(stream->release());
    return states;
}

} // namespace keepd::logs
