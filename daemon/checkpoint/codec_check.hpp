// The compile-time check of manifests: a struct with a member that its manifest forgets does not compile.
//
// The number of members is found by trying: an aggregate takes as many `{}` as it has members, and not one more. The
// manifest itself runs in the compiler and is counted; it must name each member once, under a name of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "daemon/checkpoint/codec_type.hpp"

namespace keepd::checkpoint::codec {

// Whether T{...} takes N empty braces.
template <class T, std::size_t N>
struct TakesBraces;
template <class T>
struct TakesBraces<T, 0> : std::true_type {};

// clang-format off
#define KEEPD_TAKES(n, ...) \
    template <class T> struct TakesBraces<T, n> : std::bool_constant<requires { T{__VA_ARGS__}; }> {};
#define KEEPD_TAKES_5(n1, n2, n3, n4, n5, before) \
    KEEPD_TAKES(n1, before {}) KEEPD_TAKES(n2, before {}, {}) KEEPD_TAKES(n3, before {}, {}, {}) \
    KEEPD_TAKES(n4, before {}, {}, {}, {}) KEEPD_TAKES(n5, before {}, {}, {}, {}, {})
#define KEEPD_COMMA ,
#define KEEPD_5 {} KEEPD_COMMA {} KEEPD_COMMA {} KEEPD_COMMA {} KEEPD_COMMA {} KEEPD_COMMA
#define KEEPD_10 KEEPD_5 KEEPD_5
KEEPD_TAKES_5(1, 2, 3, 4, 5, )
KEEPD_TAKES_5(6, 7, 8, 9, 10, KEEPD_5)
KEEPD_TAKES_5(11, 12, 13, 14, 15, KEEPD_10)
KEEPD_TAKES_5(16, 17, 18, 19, 20, KEEPD_10 KEEPD_5)
KEEPD_TAKES_5(21, 22, 23, 24, 25, KEEPD_10 KEEPD_10)
KEEPD_TAKES_5(26, 27, 28, 29, 30, KEEPD_10 KEEPD_10 KEEPD_5)
KEEPD_TAKES_5(31, 32, 33, 34, 35, KEEPD_10 KEEPD_10 KEEPD_10)
KEEPD_TAKES_5(36, 37, 38, 39, 40, KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_5)
KEEPD_TAKES_5(41, 42, 43, 44, 45, KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_10)
KEEPD_TAKES_5(46, 47, 48, 49, 50, KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_5)
KEEPD_TAKES_5(51, 52, 53, 54, 55, KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_10)
KEEPD_TAKES_5(56, 57, 58, 59, 60, KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_10 KEEPD_5)
#undef KEEPD_TAKES_5
#undef KEEPD_TAKES
#undef KEEPD_10
#undef KEEPD_5
#undef KEEPD_COMMA
// clang-format on

// What a manifest says, as far as the compiler can see it.
struct Listing {
    static constexpr std::size_t most = 59;
    std::size_t count = 0;
    bool distinct = true; // no member and no name twice, every name 1..127 long
    std::array<const void*, most> members{};
    std::array<std::string_view, most> names{};

    template <class M>
    constexpr void operator()(std::string_view name, M& member, Trait = Trait::optional) {
        const void* where = &member;
        if (name.empty() || name.size() > 127) distinct = false;
        for (std::size_t i = 0; i < count && i < most; ++i)
            if (names[i] == name || members[i] == where) distinct = false;
        if (count < most) {
            names[count] = name;
            members[count] = where;
        }
        ++count;
    }
};

// Somewhere to point into at compile time; no value is ever read from it.
template <class T>
union Ghost {
    constexpr Ghost() : nothing(0) {}
    constexpr ~Ghost() {}
    char nothing;
    T value;
};
template <class T>
inline Ghost<T> ghost;

template <class T>
consteval Listing listing() {
    Listing found;
    fields(ghost<T>.value, found);
    return found;
}

enum class ManifestFault : std::uint8_t { none, named_twice, too_many, lists_more, forgets };

template <class T>
consteval ManifestFault manifest_fault() {
    constexpr Listing found = listing<T>();
    if constexpr (found.count >= Listing::most)
        return ManifestFault::too_many;
    else if constexpr (!found.distinct)
        return ManifestFault::named_twice;
    else if constexpr (!TakesBraces<T, found.count>::value)
        return ManifestFault::lists_more;
    else if constexpr (TakesBraces<T, found.count + 1>::value)
        return ManifestFault::forgets;
    else
        return ManifestFault::none;
}

template <class T>
consteval bool manifest_is_complete() {
    static_assert(std::is_aggregate_v<T>, "only plain structs have manifests");
    constexpr ManifestFault fault = manifest_fault<T>();
    static_assert(fault != ManifestFault::too_many, "more members than the check can count: extend codec_check.hpp");
    static_assert(fault != ManifestFault::named_twice, "the manifest names a member twice, or two members alike");
    static_assert(fault != ManifestFault::lists_more, "the manifest lists more than the struct's own members");
    static_assert(fault != ManifestFault::forgets, "the manifest forgets a member of the struct");
    return true;
}

} // namespace keepd::checkpoint::codec
