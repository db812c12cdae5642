// How each kind of C++ type is saved. A kind is one specialisation of Code with four functions; a struct is the
// primary.
//
//   bool       1 byte, 0 or 1             enum       its word
//   unsigned   LEB128, shortest           variant    length, alternative's word, value
//   signed     zigzag, then LEB128        optional   0, or 1 and the value
//   double     8 bytes, little-endian     list, set  (length, value)*
//   string     its bytes                  map        (length, key, length, value)*, ascending by key
//   Duration, Time, WallTime              nanoseconds, as signed
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "daemon/checkpoint/codec_check.hpp"
#include "daemon/checkpoint/codec_type.hpp"
#include "lib/base/time.hpp"

namespace keepd::checkpoint::codec {

// What a value starts from. A struct whose default changes after a release keeps the saved form's by
// `T saved_default(std::type_identity<T>)` in its own namespace: left-out fields mean what they meant when written.
template <class T>
T blank() {
    if constexpr (requires { saved_default(std::type_identity<T>{}); })
        return saved_default(std::type_identity<T>{});
    else
        return T{};
}

// Collects the table of T from its manifest.
struct Collector {
    Structure& into;
    const char* self;
    template <class M>
    void operator()(std::string_view name, M& member, Trait trait = Trait::optional);
};

template <class T>
const Structure& structure() {
    static const Structure made = [] {
        static_assert(manifest_is_complete<T>());
        static T blank_one = blank<T>();
        Structure table{{}, &blank_one};
        Collector collect{table, reinterpret_cast<const char*>(&blank_one)};
        fields(blank_one, collect);
        // Not for a struct without fields: g++ 12 then warns of the copy of nothing.
        if (table.fields.size() > 1)
            std::sort(table.fields.begin(), table.fields.end(),
                      [](const Field& a, const Field& b) { return a.name < b.name; });
        return table;
    }();
    return made;
}

// A struct with a manifest.
template <class T>
struct Code {
    static constexpr bool is_structure = true;
    static void write(const T& value, const T& base, Writer& out) { structure<T>().write(&value, &base, out); }
    static bool read(T& value, Reader& in) { return structure<T>().read(&value, in); }
    static void print(const T& value, JsonText& json) { structure<T>().print(&value, json); }
};

struct Leaf {
    static constexpr bool is_structure = false;
};

template <class T>
    requires std::is_unsigned_v<T>
struct Code<T> : Leaf {
    static void write(T value, T, Writer& out) { out.number(value); }
    static bool read(T& value, Reader& in) {
        std::uint64_t wide = 0;
        if (!in.number(wide)) return false;
        if (wide > std::numeric_limits<T>::max()) return in.fail("number out of range");
        value = static_cast<T>(wide);
        return true;
    }
    static void print(T value, JsonText& json) { json.number(static_cast<std::uint64_t>(value)); }
    static bool same(T a, T b) { return a == b; }
};

template <class T>
    requires(std::is_integral_v<T> && std::is_signed_v<T>)
struct Code<T> : Leaf {
    static void write(T value, T, Writer& out) { out.signed_number(value); }
    static bool read(T& value, Reader& in) {
        std::int64_t wide = 0;
        if (!in.signed_number(wide)) return false;
        if (!std::in_range<T>(wide)) return in.fail("number out of range");
        value = static_cast<T>(wide);
        return true;
    }
    static void print(T value, JsonText& json) { json.number(static_cast<std::int64_t>(value)); }
    static bool same(T a, T b) { return a == b; }
};

template <>
struct Code<bool> : Leaf {
    static void write(bool value, bool, Writer& out) { out.out += static_cast<char>(value); }
    static bool read(bool& value, Reader& in) {
        std::string_view byte;
        if (!in.take(1, byte)) return false;
        if (byte[0] != 0 && byte[0] != 1) return in.fail("neither true nor false");
        value = byte[0] == 1;
        return true;
    }
    static void print(bool value, JsonText& json) { json.boolean(value); }
    static bool same(bool a, bool b) { return a == b; }
};

template <>
struct Code<double> : Leaf {
    static void write(double value, double, Writer& out) {
        auto bits =
            std::bit_cast<std::uint64_t>(value == 0 ? 0.0 : value); // no negative zero: equal values, equal bytes
        for (int i = 0; i < 8; ++i, bits >>= 8)
            out.out += static_cast<char>(bits & 0xFF);
    }
    static bool read(double& value, Reader& in) {
        std::string_view bytes;
        if (!in.take(8, bytes)) return false;
        std::uint64_t bits = 0;
        for (int i = 7; i >= 0; --i)
            bits = bits << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
        value = std::bit_cast<double>(bits);
        return std::isfinite(value) ? true : in.fail("not a finite number");
    }
    static void print(double value, JsonText& json) { json.number(value); }
    static bool same(double a, double b) { return a == b; }
};

template <>
struct Code<std::string> : Leaf {
    static void write(const std::string& value, const std::string&, Writer& out) { out.bytes(value); }
    static bool read(std::string& value, Reader& in) {
        value = in.rest();
        return true;
    }
    static void print(const std::string& value, JsonText& json) { json.text(value); }
    static bool same(const std::string& a, const std::string& b) { return a == b; }
};

// ---- times: prints for people, saves nanoseconds -----------------------------------------------------------------

template <>
struct Code<keep::Duration> : Leaf {
    static void write(keep::Duration value, keep::Duration, Writer& out) { out.signed_number(value.count()); }
    static bool read(keep::Duration& value, Reader& in) {
        std::int64_t ns = 0;
        if (!in.signed_number(ns)) return false;
        value = keep::Duration(ns);
        return true;
    }
    static void print(keep::Duration value, JsonText& json) { json.text(keep::to_text(value)); }
    static bool same(keep::Duration a, keep::Duration b) { return a == b; }
};

// CLOCK_MONOTONIC has no meaning outside of its boot: printed as nanoseconds.
template <>
struct Code<keep::Time> : Leaf {
    static void write(keep::Time value, keep::Time, Writer& out) {
        out.signed_number(value.time_since_epoch().count());
    }
    static bool read(keep::Time& value, Reader& in) {
        std::int64_t ns = 0;
        if (!in.signed_number(ns)) return false;
        value = keep::Time(keep::Duration(ns));
        return true;
    }
    static void print(keep::Time value, JsonText& json) {
        json.number(static_cast<std::int64_t>(value.time_since_epoch().count()));
    }
    static bool same(keep::Time a, keep::Time b) { return a == b; }
};

template <>
struct Code<keep::WallTime> : Leaf {
    static void write(keep::WallTime value, keep::WallTime, Writer& out) { out.signed_number(value.ns); }
    static bool read(keep::WallTime& value, Reader& in) { return in.signed_number(value.ns); }
    static void print(keep::WallTime value, JsonText& json) { json.text(keep::to_rfc3339(value)); }
    static bool same(keep::WallTime a, keep::WallTime b) { return a == b; }
};

// ---- words -------------------------------------------------------------------------------------------------------

// Enumerators count from 0; enum_word() of the first one behind the last gives "".
template <class E>
constexpr int word_count() {
    int count = 0;
    while (count < 256 && !enum_word(static_cast<E>(count)).empty())
        ++count;
    return count;
}

template <class E>
    requires std::is_enum_v<E>
struct Code<E> : Leaf {
    static_assert(word_count<E>() > 0, "enum_word() knows no enumerator");
    static void write(E value, E, Writer& out) { out.bytes(enum_word(value)); }
    static bool read(E& value, Reader& in) {
        const std::string_view word = in.rest();
        for (int i = 0; i < word_count<E>(); ++i)
            if (enum_word(static_cast<E>(i)) == word) {
                value = static_cast<E>(i);
                return true;
            }
        return in.fail_quoted("unknown word", word);
    }
    static void print(E value, JsonText& json) { json.text(enum_word(value)); }
    static bool same(E a, E b) { return a == b; }
};

// ---- the tables' entries -----------------------------------------------------------------------------------------

template <class T>
inline constexpr Type type{
    Code<T>::is_structure,
    [](const void* value, const void* base, Writer& out) {
        Code<T>::write(*static_cast<const T*>(value), *static_cast<const T*>(base), out);
    },
    [](void* value, Reader& in) { return Code<T>::read(*static_cast<T*>(value), in); },
    [](const void* value, JsonText& json) { Code<T>::print(*static_cast<const T*>(value), json); },
    [](const void* a, const void* b) {
        // A struct is compared by what it writes, and need not have ==.
        if constexpr (Code<T>::is_structure)
            return false;
        else
            return Code<T>::same(*static_cast<const T*>(a), *static_cast<const T*>(b));
    },
};

template <class M>
void Collector::operator()(std::string_view name, M& member, Trait trait) {
    const auto offset = static_cast<std::size_t>(reinterpret_cast<const char*>(&member) - self);
    into.fields.push_back({name, offset, trait, &type<std::remove_const_t<M>>});
}

} // namespace keepd::checkpoint::codec
