// How values that hold other values are saved (codec_values.hpp): optionals, variants, lists, sets, maps.
//
// What they hold is replaced as a whole and not changed in place: unknown fields in there go out again only beside the
// values that they came with.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "daemon/checkpoint/codec_values.hpp"

namespace keepd::checkpoint::codec {

template <class... A>
struct Code<std::variant<A...>> : Leaf {
    using Variant = std::variant<A...>;
    static constexpr std::array<std::string_view, sizeof...(A)> words{
        alternative_word(static_cast<const A*>(nullptr))...};
    static_assert(
        [] {
            for (std::size_t i = 0; i < words.size(); ++i)
                for (std::size_t j = 0; j < i; ++j)
                    if (words[i].empty() || words[i] == words[j]) return false;
            return true;
        }(),
        "every alternative needs a word of its own");

    static void write(const Variant& value, const Variant&, Writer& out) {
        const std::string_view word = words[value.index()];
        out.number(word.size());
        out.bytes(word);
        const Step step(out, word);
        std::visit([&]<class X>(const X& held) { Code<X>::write(held, blank<X>(), out); }, value);
    }
    static bool read(Variant& value, Reader& in) {
        std::string_view word;
        if (!in.part(word)) return false;
        const Path path = in.below(word);
        Reader held(in.rest(), in, path);
        held.mark_whole();
        bool known = false;
        const bool ok = (... && (alternative_word(static_cast<const A*>(nullptr)) != word ||
                                 (known = true, Code<A>::read(value.template emplace<A>(blank<A>()), held) &&
                                                    (held.done() || held.fail("more bytes than its type has")))));
        return ok && !known ? in.fail_quoted("unknown word", word) : ok;
    }
    static void print(const Variant& value, JsonText& json) {
        json.begin_object();
        json.key(words[value.index()]);
        std::visit([&]<class X>(const X& held) { Code<X>::print(held, json); }, value);
        json.end_object();
    }
    static bool same(const Variant& a, const Variant& b) { return a == b; }
};

template <class T>
struct Code<std::optional<T>> : Leaf {
    static void write(const std::optional<T>& value, const std::optional<T>&, Writer& out) {
        out.out += static_cast<char>(value.has_value());
        if (value) Code<T>::write(*value, blank<T>(), out);
    }
    static bool read(std::optional<T>& value, Reader& in) {
        bool there = false;
        if (!Code<bool>::read(there, in)) return false;
        value.reset();
        if (!there) return true;
        in.mark_whole();
        return Code<T>::read(value.emplace(blank<T>()), in);
    }
    static void print(const std::optional<T>& value, JsonText& json) {
        if (value)
            Code<T>::print(*value, json);
        else
            json.null();
    }
    static bool same(const std::optional<T>& a, const std::optional<T>& b) { return a == b; }
};

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;
template <class T>
inline constexpr bool is_list<std::deque<T>> = true;
template <class T>
inline constexpr bool is_list<std::set<T>> = true;

// An element takes a byte at least, but may become a large struct: no more than this many are believed.
inline constexpr std::size_t most_elements = std::size_t{1} << 20;

// Reads one length-prefixed element of a list or map.
template <class T>
bool read_element(T& value, Reader& in, const Path& path) {
    std::string_view bytes;
    if (!in.part(bytes)) return false;
    Reader element(bytes, in, path);
    element.mark_whole();
    return Code<T>::read(value, element) && (element.done() || element.fail("more bytes than its type has"));
}

template <class List>
    requires is_list<List>
struct Code<List> : Leaf {
    using T = typename List::value_type;
    static constexpr bool is_set = requires(List list) { typename List::key_type; };

    static void write(const List& list, const List&, Writer& out) {
        std::size_t index = 0;
        for (const T& value : list) {
            const Step step(out, {}, Path::Kind::index, index++);
            const std::size_t at = out.begin();
            Code<T>::write(value, blank<T>(), out);
            out.end(at);
        }
    }
    static bool read(List& list, Reader& in) {
        list.clear();
        while (!in.done()) {
            if (list.size() == most_elements) return in.fail("too many elements");
            const Path path = in.below({}, Path::Kind::index, list.size());
            T value = blank<T>();
            if (!read_element(value, in, path)) return false;
            if constexpr (is_set) {
                if (!list.empty() && !(*list.rbegin() < value)) return in.fail("elements twice or out of order");
                list.insert(list.end(), std::move(value));
            } else {
                list.push_back(std::move(value));
            }
        }
        return true;
    }
    static void print(const List& list, JsonText& json) {
        json.begin_array();
        for (const T& value : list)
            Code<T>::print(value, json);
        json.end_array();
    }
    static bool same(const List& a, const List& b) { return a == b; }
};

template <class T, class Less>
struct Code<std::map<std::string, T, Less>> : Leaf {
    using Map = std::map<std::string, T, Less>;
    static void write(const Map& map, const Map&, Writer& out) {
        for (const auto& [key, value] : map) {
            out.number(key.size());
            out.bytes(key);
            const Step step(out, key, Path::Kind::key);
            const std::size_t at = out.begin();
            Code<T>::write(value, blank<T>(), out);
            out.end(at);
        }
    }
    static bool read(Map& map, Reader& in) {
        map.clear();
        std::string_view last;
        while (!in.done()) {
            std::string_view key;
            if (map.size() == most_elements) return in.fail("too many elements");
            if (!in.part(key)) return false;
            if (!map.empty() && key <= last) return in.fail_quoted("key twice or out of order:", key);
            last = key;
            const Path path = in.below(key, Path::Kind::key);
            if (!read_element(map.emplace_hint(map.end(), std::string(key), blank<T>())->second, in, path))
                return false;
        }
        return true;
    }
    static void print(const Map& map, JsonText& json) {
        json.begin_object();
        for (const auto& [key, value] : map) {
            json.key(key);
            Code<T>::print(value, json);
        }
        json.end_object();
    }
    static bool same(const Map& a, const Map& b) { return a == b; }
};

} // namespace keepd::checkpoint::codec
