#include "lib/exec/exchange.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/exec/error_data.hpp"
#include "lib/exec/thread.hpp"

namespace keep::exec {
Result<> Exchange::prepare(Terms terms, bool own_thread) {
    terms_ = std::move(terms);
    const bool can_be_woken = own_thread ? has_work() : terms_.context.stop.stop_possible() && watches();
    if (!can_be_woken) return {};
    wake_ = Fd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_) return failed(call_error("eventfd", "", errno));
    return {};
}

bool Exchange::has_work() const {
    return !copies_done() || watches();
}

void Exchange::attach(Process& process) {
    process_ = &process;
    if (wake_ && watches() && terms_.context.stop.stop_possible()) {
        on_stop_.emplace(terms_.context.stop, Waker{this});
    }
}

Result<> Exchange::begin_thread() {
    thread_runs_ = true;
    auto thread = make_thread([this] { run(true); });
    if (thread) {
        thread_ = std::move(*thread);
        return {};
    }
    thread_runs_ = false;
    return failed(thread.error());
}

Exchange::~Exchange() {
    if (thread_.joinable()) thread_.join();
}

void Exchange::wake() {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

void Exchange::finish() {
    waiting_.store(true);
    if (thread_.joinable()) {
        wake();
        thread_.join();
    }
    if (!exit_) run(false);
}

void Exchange::abandon() {
    abandoned_.store(true);
    finish();
}

void Exchange::let_go() {
    on_stop_.reset();
    close_flows();
    handles_.clear();
    wake_.reset();
    done_.reset();
}

Result<int> Exchange::done_fd() {
    const std::lock_guard lock(mutex_);
    if (done_) return done_.get();
    if (!thread_runs_) return process_->pidfd(); // nothing but the end is left to wait for
    done_ = Fd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!done_) return failed(call_error("eventfd", "", errno));
    waiting_.store(true);
    wake();
    return done_.get();
}

bool Exchange::copies_done() const {
    return std::ranges::all_of(outflows_, [](const Outflow& flow) { return flow.fd() < 0; }) &&
           std::ranges::all_of(inflows_, [](const Inflow& flow) { return flow.fd() < 0; });
}

// A context that can end matters only if something follows from it, and only until the process has been seen to end.
bool Exchange::watches() const {
    const bool matters = terms_.context.can_end() && (terms_.cancel || terms_.wait_delay.count() != 0);
    return !exit_ && ((matters && !context_over_) || timer_);
}

bool Exchange::leave(bool own_thread) {
    if (abandoned_.load()) close_flows();
    const bool done = copies_done() && (exit_ || (own_thread && !watches()));
    if (!own_thread || !done) return done;
    const std::lock_guard lock(mutex_);
    if (waiting_.load() && !exit_) return false;
    thread_runs_ = false;
    if (done_) {
        const std::uint64_t one = 1;
        (void)!::write(done_.get(), &one, sizeof one);
    }
    return true;
}

void Exchange::run(bool own_thread) {
    while (!leave(own_thread)) {
        if (!own_thread && copies_done() && !watches()) {
            exit_ = process_->wait(); // nothing else can happen
        } else {
            turn();
        }
    }
}

Exchange::Clock::time_point Exchange::after(std::chrono::nanoseconds delay) {
    const auto now = Clock::now();
    const auto most = Clock::time_point::max() - now;
    return delay >= most ? Clock::time_point::max() : now + std::max(delay, std::chrono::nanoseconds(0));
}

std::optional<Exchange::Clock::time_point> Exchange::next_moment() const {
    std::optional<Clock::time_point> next = timer_;
    if (watches() && !context_over_ && terms_.context.deadline) {
        next = next ? std::min(*next, *terms_.context.deadline) : terms_.context.deadline;
    }
    return next;
}

void Exchange::turn() {
    if (waiting_.load() && !exit_ && process_->pidfd() < 0) { // somebody has waited for the process itself
        look_at_process();
        return;
    }
    // In the order of advance_flows(); a negative descriptor is passed over by poll(2).
    std::array<pollfd, 5> watched{};
    std::size_t count = 0;
    watched[count++] = {wake_.get(), POLLIN, 0};
    watched[count++] = {waiting_.load() && !exit_ ? process_->pidfd() : -1, POLLIN, 0};
    for (const Outflow& flow : outflows_)
        watched[count++] = {flow.fd(), POLLIN, 0};
    for (const Inflow& flow : inflows_)
        watched[count++] = {flow.fd(), POLLOUT, 0};

    timespec patience{};
    const timespec* limit = nullptr;
    if (const auto next = next_moment()) {
        const auto left = std::max<Clock::duration>(*next - Clock::now(), Clock::duration::zero());
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        patience = {seconds.count(), static_cast<long>((left - seconds).count())};
        limit = &patience;
    }
    if (::ppoll(watched.data(), count, limit, nullptr) < 0) return; // EINTR, ENOMEM: look again
    if (watched[0].revents != 0) {
        std::uint64_t calls = 0;
        (void)!::read(wake_.get(), &calls, sizeof calls);
    }
    if (watched[1].revents != 0) look_at_process(); // first: what has ended needs no cancel
    look_at_context();
    advance_flows(std::span(watched).subspan(2));
    look_at_timer();
}

void Exchange::look_at_context() {
    if (!watches() || context_over_) return;
    const auto ended = terms_.context.ended();
    if (!ended) return;
    context_over_ = true;
    if (terms_.cancel) {
        if (const auto canceled = terms_.cancel(*process_)) {
            watch_error_ = own_error(*ended);
        } else if (!canceled.error().is(Errc::process_done)) {
            watch_error_ = wrapped_error("exec: canceling Cmd", canceled.error());
        }
    }
    if (terms_.wait_delay.count() != 0) timer_ = after(terms_.wait_delay);
}

void Exchange::look_at_process() {
    auto ended = process_->try_wait();
    if (ended && !*ended) return; // readiness may be spurious
    if (ended) {
        exit_ = Result<ProcessState>(**ended);
    } else {
        exit_ = failed(ended.error());
    }
    if (terms_.wait_delay.count() != 0 && !timer_ && !copies_done()) timer_ = after(terms_.wait_delay);
}

// wait_delay is over: the process is killed first, so that it dies of that and not of a broken pipe.
void Exchange::look_at_timer() {
    if (!timer_ || Clock::now() < *timer_) return;
    timer_.reset();
    if (!exit_) {
        const auto killed = process_->kill();
        if (!killed && !killed.error().is(Errc::process_done)) {
            watch_error_ = wrapped_error("exec: killing Cmd", killed.error());
        }
    }
    if (copies_done()) return;
    close_flows();
    for (const auto& handle : handles_)
        handle->close();
    copy_error_ = own_error(Errc::wait_delay);
}

void Exchange::note_copy_error(std::optional<Error> error) {
    if (error && !copy_error_) copy_error_ = std::move(error);
}

void Exchange::advance_flows(std::span<const pollfd> ready) {
    std::size_t at = 0;
    for (Outflow& flow : outflows_) {
        if (ready[at++].revents != 0) note_copy_error(flow.advance());
    }
    for (Inflow& flow : inflows_) {
        const short events = ready[at++].revents;
        if ((events & POLLERR) != 0) {
            flow.end(); // nobody reads any more
        } else if (events != 0) {
            note_copy_error(flow.advance());
        }
    }
}

void Exchange::close_flows() {
    for (Outflow& flow : outflows_)
        flow.end();
    for (Inflow& flow : inflows_)
        flow.end();
}

} // namespace keep::exec
