// Values with every field set, made from the manifests themselves: a field that is added is set here without anybody
// thinking of it. For samples that people read: texts and numbers count up, in the order of the manifest.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "daemon/checkpoint/codec.hpp"
#include "daemon/upgrade/handoff.hpp"

namespace keepd::checkpoint::testing {

// `turn` chooses what a value can be only one at a time: which enumerator, which alternative of a variant.
struct Marks {
    std::size_t turn = 0;
    std::int64_t count = 0;
};

template <class T>
struct Marker;
template <class T>
void mark(T& value, Marks& marks) {
    ++marks.count;
    Marker<T>::mark(value, marks);
}

struct MarkFields {
    Marks& marks;
    template <class M>
    void operator()(std::string_view, M& member, Trait = Trait::optional) {
        mark(member, marks);
    }
};

template <class T>
struct Marker {
    static void mark(T& value, Marks& marks) {
        if constexpr (std::is_same_v<T, bool>)
            value = !value;
        else if constexpr (std::is_enum_v<T>)
            value = static_cast<T>((marks.turn + 1) % codec::word_count<T>());
        else if constexpr (std::is_same_v<T, double>)
            value = static_cast<double>(marks.count) + 0.5;
        else if constexpr (std::is_integral_v<T>)
            value = static_cast<T>(marks.count);
        else {
            MarkFields visit{marks};
            fields(value, visit);
        }
    }
};
template <>
struct Marker<std::string> {
    static void mark(std::string& value, Marks& marks) { value = "text " + std::to_string(marks.count); }
};
template <>
struct Marker<keep::Duration> {
    static void mark(keep::Duration& value, Marks& marks) { value = std::chrono::seconds(marks.count); }
};
template <>
struct Marker<keep::Time> {
    static void mark(keep::Time& value, Marks& marks) { value = keep::Time(std::chrono::minutes(marks.count)); }
};
template <>
struct Marker<keep::WallTime> {
    static void mark(keep::WallTime& value, Marks& marks) { value.ns = (1'800'000'000 + marks.count) * 1'000'000'000; }
};
template <class T>
struct Marker<std::optional<T>> {
    static void mark(std::optional<T>& value, Marks& marks) { testing::mark(value.emplace(), marks); }
};
template <class List>
    requires codec::is_list<List>
struct Marker<List> {
    static void mark(List& list, Marks& marks) {
        list.clear();
        for (int i = 0; i < 2; ++i) {
            typename List::value_type value{};
            testing::mark(value, marks);
            list.insert(list.end(), value);
        }
    }
};
template <class T, class Less>
struct Marker<std::map<std::string, T, Less>> {
    static void mark(std::map<std::string, T, Less>& map, Marks& marks) {
        map.clear();
        for (const char* key : {"one", "two"})
            testing::mark(map[key], marks);
    }
};
template <class... A>
struct Marker<std::variant<A...>> {
    static void mark(std::variant<A...>& value, Marks& marks) {
        std::size_t index = 0;
        (void)(... ||
               (index++ == marks.turn % sizeof...(A) && (testing::mark(value.template emplace<A>(), marks), true)));
    }
};

// What the policy takes for granted and a decoder refuses to miss; `name` is the program's key.
inline void keep_promises(core::Program& program, const std::string& name, std::uint64_t& next_run) {
    program.spec.name = name;
    if (program.spec.stop.sequence.empty()) program.spec.stop.sequence.emplace_back();
    std::visit(
        [&](const auto& phase) {
            if constexpr (requires { phase.run; }) program.run = std::max(program.run, phase.run);
        },
        program.phase);
    next_run = std::max(next_run, program.run.value + 1);
}

// keepd serving or ending, and a program in each phase, with every field set.
inline core::State marked_state() {
    Marks marks;
    core::State state;
    marks.turn = 1; // shutting down: the stage that holds something
    mark(state.daemon, marks);
    for (marks.turn = 0; marks.turn < std::variant_size_v<core::Phase>; ++marks.turn) {
        core::Program program;
        mark(program, marks);
        const std::string name = "program" + std::to_string(marks.turn);
        keep_promises(program, name, state.daemon.next_run);
        state.programs.emplace(name, std::move(program));
    }
    return state;
}

inline upgrade::Handoff marked_handoff() {
    Marks marks;
    upgrade::Handoff handoff;
    mark(handoff, marks);
    return handoff;
}

} // namespace keepd::checkpoint::testing
