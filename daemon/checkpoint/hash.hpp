// XXH64 of xxhash.com's specification: the checksum of records and the digest of a whole checkpoint. It tells torn and
// different bytes apart; it is no defence against someone who forges them.
#pragma once

#include <cstdint>
#include <string_view>

namespace keepd::checkpoint {

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);

} // namespace keepd::checkpoint
