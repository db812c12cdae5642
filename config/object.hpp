// Tables of fields, and the one function that reads an object by such a table.
//
// A program's object lies over that of `defaults`. The merge is not made: a Slot looks at both layers, so that each
// value that wins keeps its place in its file, and a thousand programs copy nothing.
#pragma once

#include <array>
#include <bitset>
#include <span>
#include <string_view>

#include "config/reader.hpp"

namespace keepd::config {

// What a key holds after merging: `top` wins; `under` is the object of `defaults` beneath an object.
struct Slot {
    Value top;
    Value under;
    bool inherited = false; // `top` is the one of `defaults`

    const Node* operator->() const { return top.node; }
    explicit operator bool() const { return static_cast<bool>(top); }

    // null stands for what lies beneath it.
    static Slot over(Value own, Value base) {
        if (base && base->kind == Kind::null) base = {};
        if (!own || own->kind == Kind::null) return {base, {}, static_cast<bool>(base)};
        return {own, base, false};
    }
};

// One key of an object that is read into a Target.
template <typename Target>
struct Field {
    std::string_view key;
    void (*read)(Reader&, const Slot&, Target&);
    std::span<const std::string_view> (*inner)() =
        nullptr; // keys of the object it holds: says where a lost key belongs
};

template <typename Target, std::size_t N>
constexpr std::array<std::string_view, N> keys_of(const Field<Target> (&fields)[N]) {
    std::array<std::string_view, N> keys{};
    for (std::size_t i = 0; i < N; ++i)
        keys[i] = fields[i].key;
    return keys;
}

// Keys of the user's own, that keepd never looks at.
inline bool is_users_own(std::string_view key) {
    return key.starts_with("x-");
}

// Reads every known key of an object into `target`. Reports what is not an object (`what`: "an object with ...") and
// every key that is unknown.
template <typename Target, std::size_t N>
bool read_object(Reader& in, const Slot& slot, const Field<Target> (&fields)[N], Target& target,
                 std::string_view what) {
    if (slot->kind != Kind::object) {
        in.expected(slot.top, what);
        return false;
    }
    const Value under = slot.under && slot.under->kind == Kind::object ? slot.under : Value{};
    std::bitset<N> done;

    const auto read_member = [&](const Value& member, bool of_top) {
        for (std::size_t i = 0; i < N; ++i) {
            if (fields[i].key != member->key) continue;
            if (done[i]) return;
            done.set(i);
            const Node* beneath = of_top && under ? under->find(member->key) : nullptr;
            Slot inner = Slot::over(member, beneath != nullptr ? under.child(*beneath) : Value{});
            inner.inherited = inner.inherited || slot.inherited || !of_top;
            if (inner) fields[i].read(in, inner, target);
            return;
        }
        if (is_users_own(member->key)) return;
        for (const Field<Target>& field : fields) {
            if (field.inner == nullptr) continue;
            for (const std::string_view key : field.inner())
                if (key == member->key) {
                    in.faults.at_key(member,
                                     "unknown key " + in_quotes(key) + " here: it belongs in " + in_quotes(field.key));
                    return;
                }
        }
        in.unknown_key(member, keys_of(fields));
    };

    for (const Node& member : slot->children)
        read_member(slot.top.child(member), true);
    if (under)
        for (const Node& member : under->children)
            read_member(under.child(member), false);
    return true;
}

} // namespace keepd::config
