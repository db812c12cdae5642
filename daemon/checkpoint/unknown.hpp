// The side table of unknown optional fields (checkpoint.hpp).
#pragma once

#include <map>
#include <string>

#include "daemon/checkpoint/codec_type.hpp"

namespace keepd::checkpoint {

struct Unknown {
    std::map<std::string, Kept, std::less<>> records; // by the record's key; none of them empty
    // Of one record; null: none.
    const Kept* of(std::string_view key) const {
        if (records.empty()) return nullptr;
        const auto found = records.find(key);
        return found == records.end() ? nullptr : &found->second;
    }
    // The program is gone for good: a later one of its name shall not inherit.
    void forget(std::string_view key) {
        if (const auto found = records.find(key); found != records.end()) records.erase(found);
    }
    bool operator==(const Unknown&) const = default;
};

} // namespace keepd::checkpoint
