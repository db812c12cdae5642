// The saved form of plain structs, made from their manifests.
//
// A struct is saved as a sequence of tagged fields: name, criticality, length, value. Fields that equal their default
// are left out, so a record says only what differs and an older image is not bothered by what it never knew. Enums are
// words, variants are {alternative's word, value}. A reader that meets an unknown *optional* field keeps its bytes and
// writes them out again; an unknown *critical* one, or an unknown word, refuses the load. One value has one form:
// fields stand in the order of their names, numbers in their shortest form.
//
// A manifest is a function in the namespace of the struct, found by argument-dependent lookup:
//
//     namespace keepd::logs {
//     constexpr std::string_view enum_word(Mode mode) {          // enumerators count from 0; no default, so that the
//         switch (mode) {                                        // compiler sees a forgotten one
//         case Mode::raw: return "raw";
//         case Mode::prefix: return "prefix";
//         }
//         return {};
//     }
//     template <class V> constexpr void fields(StreamState& self, V& visit) {
//         visit("id", self.id, checkpoint::critical);
//         visit("mode", self.mode);
//         visit("offset", self.offset);
//     }
//     // in a variant, each alternative has a word:
//     constexpr std::string_view alternative_word(const Idle*) { return "idle"; }
//     }
//     std::string bytes = checkpoint::save(stream);
//     Result<logs::StreamState> again = checkpoint::restore<logs::StreamState>(bytes);
//
// `constexpr` is needed: the compiler runs the manifest and checks that it lists every member (codec_check.hpp); a
// forgotten field fails the build. Types: codec_values.hpp. Include manifests in few source files, they cost seconds.
//
// What a release may change: add an optional field; add a word or a critical field (older images refuse it when it is
// used). What it may not: rename, change a field's type, or change a default without saved_default()
// (codec_values.hpp).
#pragma once

#include <string>
#include <string_view>

#include "daemon/checkpoint/codec_containers.hpp"
#include "daemon/checkpoint/codec_values.hpp"
#include "lib/base/error.hpp"

namespace keepd::checkpoint {

// The saved form of one value. `kept`: unknown fields that restore() kept for it; they go out again.
template <class T>
std::string save(const T& value, const Kept* kept = nullptr) {
    codec::Writer out(kept);
    const codec::Structure& table = codec::structure<T>();
    table.write(&value, table.blank, out);
    return std::move(out.out);
}

// The same in place, for values that are dear to move. `value` must be a blank one; after an error it holds whatever
// was read by then.
template <class T>
keep::Result<> restore_into(T& value, std::string_view bytes, Kept* kept = nullptr) {
    codec::Reading reading{kept, {}};
    codec::Reader in(bytes, reading);
    if (!codec::Code<T>::read(value, in)) return keep::fail(std::move(reading.error));
    return {};
}

// The value of a saved form; any bytes are safe to give. `kept` receives unknown optional fields, which are dropped
// without it. Error: "PATH: what is wrong", such as "phase: unknown word 'resting'".
template <class T>
keep::Result<T> restore(std::string_view bytes, Kept* kept = nullptr) {
    keep::Result<T> value{codec::blank<T>()};
    if (auto done = restore_into(*value, bytes, kept); !done) return std::unexpected(std::move(done.error()));
    return value;
}

// The value as JSON, every field with its name, for people.
template <class T>
void print(const T& value, JsonText& json) {
    codec::Code<T>::print(value, json);
}

template <class T>
std::string to_json(const T& value) {
    JsonText json;
    print(value, json);
    return json.take() + '\n';
}

} // namespace keepd::checkpoint
