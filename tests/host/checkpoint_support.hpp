// Values for the checkpoint's tests, made from the manifests themselves: what a manifest lists is filled and changed.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "daemon/checkpoint/checkpoint.hpp"
#include "daemon/checkpoint/live.hpp"
#include "daemon/checkpoint/manifest_core.hpp"
#include "lib/sys/memfd.hpp"

namespace keepd::checkpoint::testing {

using Random = std::mt19937_64;

// ---- fill: a random value of any type that the codec knows -------------------------------------------------------

template <class T>
struct Filler;
template <class T>
void fill(T& value, Random& random) {
    Filler<T>::fill(value, random);
}

struct FillFields {
    Random& random;
    template <class M>
    void operator()(std::string_view, M& member, Trait = Trait::optional) {
        fill(member, random);
    }
};

template <class T>
struct Filler {
    static void fill(T& value, Random& random) {
        if constexpr (std::is_same_v<T, bool>)
            value = random() % 2;
        else if constexpr (std::is_enum_v<T>)
            value = static_cast<T>(random() % codec::word_count<T>());
        else if constexpr (std::is_same_v<T, double>)
            value = static_cast<double>(random() % 1000) / 8 - 20;
        else if constexpr (std::is_integral_v<T>)
            value = random() % 8 == 0   ? std::numeric_limits<T>::max()
                    : random() % 8 == 0 ? std::numeric_limits<T>::min()
                                        : static_cast<T>(random() >> (random() % 64));
        else {
            FillFields visit{random};
            fields(value, visit);
        }
    }
};
template <>
struct Filler<std::string> {
    static void fill(std::string& value, Random& random) {
        value.resize(random() % 4 == 0 ? random() % 300 : random() % 12);
        for (char& c : value)
            c = static_cast<char>(random() % 3 == 0 ? random() : 'a' + random() % 26);
    }
};
template <>
struct Filler<keep::Duration> {
    static void fill(keep::Duration& value, Random& random) {
        value = keep::Duration(static_cast<std::int64_t>(random() >> 2));
    }
};
template <>
struct Filler<keep::Time> {
    static void fill(keep::Time& value, Random& random) {
        value = keep::Time(keep::Duration(static_cast<std::int64_t>(random() >> 2)));
    }
};
template <>
struct Filler<keep::WallTime> {
    static void fill(keep::WallTime& value, Random& random) { value.ns = static_cast<std::int64_t>(random()); }
};
template <class T>
struct Filler<std::optional<T>> {
    static void fill(std::optional<T>& value, Random& random) {
        value.reset();
        if (random() % 2) testing::fill(value.emplace(), random);
    }
};
template <class List>
    requires codec::is_list<List>
struct Filler<List> {
    static void fill(List& list, Random& random) {
        list.clear();
        for (auto count = random() % 4; count > 0; --count) {
            typename List::value_type value{};
            testing::fill(value, random);
            list.insert(list.end(), value);
        }
    }
};
template <class T>
struct Filler<std::map<std::string, T>> {
    static void fill(std::map<std::string, T>& map, Random& random) {
        map.clear();
        for (auto count = random() % 4; count > 0; --count) {
            std::string key;
            testing::fill(key, random);
            testing::fill(map[key], random);
        }
    }
};
template <class... A>
struct Filler<std::variant<A...>> {
    static void fill(std::variant<A...>& value, Random& random) {
        const std::size_t chosen = random() % sizeof...(A);
        std::size_t index = 0;
        (void)(... || (index++ == chosen && (testing::fill(value.template emplace<A>(), random), true)));
    }
};

// What the policy takes for granted and a decoder refuses to miss.
inline core::Program random_program(const std::string& name, Random& random, std::uint64_t newest_run) {
    core::Program program;
    fill(program, random);
    program.spec.name = name;
    if (program.spec.stop.sequence.empty()) program.spec.stop.sequence.emplace_back();
    program.run.value = newest_run;
    std::visit(
        [&](auto& phase) {
            if constexpr (requires { phase.run; }) phase.run = program.run;
        },
        program.phase);
    return program;
}

inline core::State random_state(Random& random) {
    core::State state;
    fill(state.daemon, random);
    state.daemon.next_run = 1000;
    for (auto count = random() % 5; count > 0; --count) {
        const std::string name = "p" + std::to_string(random() % 100);
        state.programs[name] = random_program(name, random, random() % 1000);
    }
    return state;
}

// ---- changes: every way in which one field of a value can differ from its default ---------------------------------

template <class T>
using Changes = std::vector<std::function<void(T&)>>;
template <class T>
struct Changer;
template <class T>
Changes<T> changes() {
    return Changer<T>::all();
}

template <class T>
struct ChangeFields {
    T& self;
    Changes<T>& into;
    template <class M>
    void operator()(std::string_view, M& member, Trait = Trait::optional) {
        const auto offset = reinterpret_cast<char*>(&member) - reinterpret_cast<char*>(&self);
        for (const auto& change : changes<M>())
            into.push_back([=](T& value) { change(*reinterpret_cast<M*>(reinterpret_cast<char*>(&value) + offset)); });
    }
};

template <class T>
struct Changer {
    static Changes<T> all() {
        if constexpr (std::is_same_v<T, bool>)
            return {[](T& value) { value = !value; }};
        else if constexpr (std::is_enum_v<T>)
            return {[](T& value) { value = static_cast<T>((static_cast<int>(value) + 1) % codec::word_count<T>()); }};
        else if constexpr (std::is_same_v<T, double>)
            return {[](T& value) { value += 0.125; }, [](T& value) { value -= 1e300; }};
        else if constexpr (std::is_integral_v<T>) {
            Changes<T> result{[](T& value) { value = value == 0 ? T{1} : T{0}; },
                              [](T& value) { value = std::numeric_limits<T>::max() - 1; }};
            if (std::is_signed_v<T>) result.push_back([](T& value) { value = std::numeric_limits<T>::min(); });
            return result;
        } else {
            Changes<T> result;
            static T sample{};
            ChangeFields<T> visit{sample, result};
            fields(sample, visit);
            return result;
        }
    }
};
template <>
struct Changer<std::string> {
    static Changes<std::string> all() {
        return {[](std::string& value) { value += 'x'; },
                [](std::string& value) { value = std::string("\0\xFF\n", 3); },
                [](std::string& value) { value.assign(200, 'y'); }};
    }
};
template <>
struct Changer<keep::Duration> {
    static Changes<keep::Duration> all() {
        return {[](keep::Duration& value) { value += keep::Duration(1); },
                [](keep::Duration& value) { value = -value - keep::Duration(7); }};
    }
};
template <>
struct Changer<keep::Time> {
    static Changes<keep::Time> all() {
        return {[](keep::Time& value) { value += keep::Duration(1); },
                [](keep::Time& value) { value -= keep::Duration(1); }};
    }
};
template <>
struct Changer<keep::WallTime> {
    static Changes<keep::WallTime> all() {
        return {[](keep::WallTime& value) { value.ns += 1'800'000'000'000'000'000; }};
    }
};
template <class T>
struct Changer<std::optional<T>> {
    static Changes<std::optional<T>> all() {
        Changes<std::optional<T>> result{[](auto& value) { value ? value.reset() : void(value.emplace()); }};
        for (const auto& change : changes<T>())
            result.push_back([=](auto& value) { change(value.emplace()); });
        return result;
    }
};
template <class List>
    requires codec::is_list<List>
struct Changer<List> {
    using T = typename List::value_type;
    static Changes<List> all() {
        Changes<List> result{[](List& list) { list.insert(list.end(), T{}); }, [](List& list) { list = {T{}, T{}}; }};
        for (const auto& change : changes<T>())
            result.push_back([=](List& list) {
                T value{};
                change(value);
                list.insert(list.end(), value);
            });
        return result;
    }
};
template <class T>
struct Changer<std::map<std::string, T>> {
    using Map = std::map<std::string, T>;
    static Changes<Map> all() {
        Changes<Map> result{[](Map& map) { map["b"]; }, [](Map& map) { map[""] = map["a.\"b"] = T{}; }};
        for (const auto& change : changes<T>())
            result.push_back([=](Map& map) { change(map["a"]); });
        return result;
    }
};
template <class... A>
struct Changer<std::variant<A...>> {
    using Variant = std::variant<A...>;
    static Changes<Variant> all() {
        Changes<Variant> result;
        (add<A>(result), ...);
        return result;
    }
    template <class X>
    static void add(Changes<Variant>& result) {
        if (Variant{}.index() != Variant{X{}}.index())
            result.push_back([](Variant& value) { value.template emplace<X>(); });
        for (const auto& change : changes<X>())
            result.push_back([=](Variant& value) { change(value.template emplace<X>()); });
    }
};

// ---- bytes -------------------------------------------------------------------------------------------------------

inline std::string bytes_of(int fd) {
    return std::string(keep::sys::Mapping::of(fd, keep::sys::Access::read_only)->text());
}
inline std::string bytes_of(const Live& live) {
    return bytes_of(live.fd());
}

// A field as it stands in a record.
inline std::string raw_field(std::string_view name, bool is_critical, std::string_view value) {
    codec::Writer out;
    out.out += static_cast<char>((is_critical ? 0x80 : 0) | name.size());
    out.bytes(name);
    const std::size_t at = out.begin();
    out.bytes(value);
    out.end(at);
    return out.out;
}

} // namespace keepd::checkpoint::testing
