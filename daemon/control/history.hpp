// The last notices, so that `keepctl events` has something to tell and a follower can catch up. Bounded.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "daemon/core/action.hpp"

namespace keepd::control {

class History {
  public:
    explicit History(std::size_t limit) : limit_(limit) {}

    void add(core::Notice notice) {
        notices_.push_back(std::move(notice));
        if (notices_.size() > limit_) notices_.pop_front();
    }
    // Those with this number and later ones, oldest first.
    std::vector<core::Notice> since(std::uint64_t number) const {
        std::vector<core::Notice> found;
        for (const core::Notice& notice : notices_) {
            if (notice.number >= number) found.push_back(notice);
        }
        return found;
    }
    std::vector<core::Notice> all() const { return {notices_.begin(), notices_.end()}; }
    // The number that the next one will have, as far as known here.
    std::uint64_t next() const { return notices_.empty() ? 0 : notices_.back().number + 1; }

  private:
    std::size_t limit_;
    std::deque<core::Notice> notices_;
};

} // namespace keepd::control
