// When to give a command up: Go's context.Context, made of what C++ has.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>

#include <keep/exec/error.hpp>

namespace keep::exec {

// Ends by a stop request or at a deadline, whichever comes first. A value; the default never ends (context.Background).
struct Context {
    using Clock = std::chrono::steady_clock;

    std::stop_token stop;
    std::optional<Clock::time_point> deadline;

    static Context with_deadline(Clock::time_point at, std::stop_token stop = {}) { return {std::move(stop), at}; }
    static Context with_timeout(Clock::duration after, std::stop_token stop = {}) {
        const auto now = Clock::now();
        const bool endless = after >= Clock::time_point::max() - now;
        return {std::move(stop), endless ? Clock::time_point::max() : now + after};
    }

    // Whether it can ever end.
    bool can_end() const noexcept { return deadline.has_value() || stop.stop_possible(); }
    // Errc::canceled or Errc::deadline_exceeded once it has ended: Go's Context.Err.
    std::optional<Errc> ended() const noexcept {
        if (stop.stop_requested()) return Errc::canceled;
        if (deadline && Clock::now() >= *deadline) return Errc::deadline_exceeded;
        return std::nullopt;
    }
};

} // namespace keep::exec
