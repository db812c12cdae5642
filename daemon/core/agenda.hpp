// Which deadline comes next, without looking at every program. Derived from the phases and never saved.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "lib/base/time.hpp"

namespace keepd::core {

class Agenda {
  public:
    void set(const std::string& name, std::optional<keep::Time> old_at, std::optional<keep::Time> new_at) {
        if (old_at) entries_.erase({*old_at, name});
        if (new_at) entries_.insert({*new_at, name});
    }
    std::optional<keep::Time> next() const {
        return entries_.empty() ? std::nullopt : std::optional(entries_.begin()->first);
    }
    // A program whose deadline is at or before `now`; the caller moves its phase, which takes it off.
    std::optional<std::string> due(keep::Time now) const {
        if (entries_.empty() || entries_.begin()->first > now) return std::nullopt;
        return entries_.begin()->second;
    }
    void clear() { entries_.clear(); }
    std::size_t size() const { return entries_.size(); }
    bool operator==(const Agenda&) const = default;

  private:
    std::set<std::pair<keep::Time, std::string>> entries_;
};

} // namespace keepd::core
