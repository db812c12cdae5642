#include "daemon/checkpoint/hash.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace keepd::checkpoint {
namespace {

constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87, prime2 = 0xC2B2AE3D27D4EB4F, prime3 = 0x165667B19E3779F9,
                        prime4 = 0x85EBCA77C2B2AE63, prime5 = 0x27D4EB2F165667C5;

std::uint64_t load64(const char* at) {
    std::uint64_t value;
    std::memcpy(&value, at, sizeof value);
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
    return value;
}

std::uint64_t load32(const char* at) {
    std::uint32_t value;
    std::memcpy(&value, at, sizeof value);
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap32(value);
    return value;
}

std::uint64_t mixed(std::uint64_t lane, std::uint64_t input) {
    return std::rotl(lane + input * prime2, 31) * prime1;
}

std::uint64_t merged(std::uint64_t hash, std::uint64_t lane) {
    return (hash ^ mixed(0, lane)) * prime1 + prime4;
}

} // namespace

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed) {
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    std::uint64_t hash = seed + prime5;
    if (bytes.size() >= 32) {
        std::uint64_t a = seed + prime1 + prime2, b = seed + prime2, c = seed, d = seed - prime1;
        for (; end - at >= 32; at += 32) {
            a = mixed(a, load64(at));
            b = mixed(b, load64(at + 8));
            c = mixed(c, load64(at + 16));
            d = mixed(d, load64(at + 24));
        }
        hash = std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
        hash = merged(merged(merged(merged(hash, a), b), c), d);
    }
    hash += bytes.size();
    for (; end - at >= 8; at += 8)
        hash = std::rotl(hash ^ mixed(0, load64(at)), 27) * prime1 + prime4;
    if (end - at >= 4) {
        hash = std::rotl(hash ^ (load32(at) * prime1), 23) * prime2 + prime3;
        at += 4;
    }
    for (; at != end; ++at)
        hash = std::rotl(hash ^ (static_cast<unsigned char>(*at) * prime5), 11) * prime1;
    hash = (hash ^ (hash >> 33)) * prime2;
    hash = (hash ^ (hash >> 29)) * prime3;
    return hash ^ (hash >> 32);
}

} // namespace keepd::checkpoint
