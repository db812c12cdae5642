// The engine of the codec: types described by tables that are made once from the manifests, and walked by plain code.
// Only the leaves are templates (codec_values.hpp), so that another struct costs a table and no new machinery.
//
//   struct    field*                     fields in strictly ascending order of their names
//   field     head name length value    head: bit 7 critical, bits 0-6 length of the name (1..127)
//   length    LEB128, the shortest form
//
// Everything is bounded by the length that encloses it. Decoding recurses as deep as the C++ types nest and no deeper:
// what is unknown is never looked into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/checkpoint/json_text.hpp"

namespace keepd::checkpoint {

// Unknown optional fields that stand in one struct.
struct KeptFields {
    std::string bytes; // whole fields, ascending by name
    // Hash of the struct's known part: they go out again only while that is unchanged. Set for structs that are
    // replaced as a whole (an element of a list, a program's spec), where they would else end up beside values they
    // never belonged to.
    std::optional<std::uint64_t> only_with;
    bool operator==(const KeptFields&) const = default;
};
// Those of one record, by the struct's path: "" for the record itself, "spec.restart", "phase.stopping".
using Kept = std::map<std::string, KeptFields, std::less<>>;

// What the manifest says of a field beyond its name.
enum class Trait : std::uint8_t {
    optional, // an image that does not know it may go on without it
    critical, // an image that does not know it must refuse the load
    whole,    // optional, and its struct is only ever replaced as a whole (as optionals, variants and elements are)
    critical_whole // both
};
inline constexpr Trait critical = Trait::critical;
inline constexpr Trait whole = Trait::whole;
inline constexpr Trait critical_whole = Trait::critical_whole;

namespace codec {

// Where we are, for messages and for what is kept: a chain on the stack that costs nothing until it is asked.
struct Path {
    enum class Kind : std::uint8_t { field, index, key };
    const Path* up = nullptr;
    std::string_view name;
    std::size_t index = 0;
    Kind kind = Kind::field;
};
std::string to_text(const Path*);

class Writer {
  public:
    explicit Writer(const Kept* kept = nullptr) : kept_(kept && !kept->empty() ? kept : nullptr) {}

    void number(std::uint64_t);
    void signed_number(std::int64_t); // zigzag
    void bytes(std::string_view text) { out.append(text); }
    // Length-prefixed part: begin() before it, end() with what begin() gave after it.
    std::size_t begin();
    void end(std::size_t at);

    std::string out;

  private:
    friend struct Step;
    friend struct Structure;
    const Kept* kept_;
    const Path* path_ = nullptr;
};

// One step down the path while it lives.
struct Step {
    Step(Writer& writer, std::string_view name, Path::Kind kind = Path::Kind::field, std::size_t index = 0)
        : here{writer.path_, name, index, kind}, writer_(writer) {
        writer.path_ = &here;
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { writer_.path_ = here.up; }
    const Path here;

  private:
    Writer& writer_;
};

// Shared by all readers of one record.
struct Reading {
    Kept* kept = nullptr; // where unknown optional fields go; null: they are dropped
    std::string error;    // "PATH: MESSAGE" of the first failure
};

// Reads one value, which takes exactly its bytes. Every function returns false after the first failure.
class Reader {
  public:
    Reader(std::string_view bytes, Reading& reading) : rest_(bytes), reading_(&reading) {}
    // A part of another's bytes, one step down the path, which must outlive it.
    Reader(std::string_view bytes, const Reader& outer, const Path& path)
        : rest_(bytes), reading_(outer.reading_), path_(&path), whole_(outer.whole_) {}

    bool number(std::uint64_t&);
    bool signed_number(std::int64_t&);
    bool part(std::string_view&); // length-prefixed
    bool take(std::size_t count, std::string_view&);
    std::string_view rest();
    bool done() const { return rest_.empty(); }
    bool fail(std::string_view message) const;
    bool fail_quoted(std::string_view message, std::string_view word) const;

    Path below(std::string_view name, Path::Kind kind = Path::Kind::field, std::size_t index = 0) const {
        return {path_, name, index, kind};
    }
    void mark_whole() { whole_ = true; }

  private:
    friend struct Structure;
    std::string_view rest_;
    Reading* reading_;
    const Path* path_ = nullptr;
    bool whole_ = false; // inside something that is replaced as a whole
};

// How one C++ type is saved. `base` is what the reader starts from: a struct writes only what differs from it.
struct Type {
    bool structure;
    void (*write)(const void* value, const void* base, Writer&);
    bool (*read)(void* value, Reader&);
    void (*print)(const void* value, JsonText&);
    bool (*same)(const void* a, const void* b);
};

struct Field {
    std::string_view name;
    std::size_t offset; // in the struct
    Trait trait;
    const Type* type;
};

// The table of a struct.
struct Structure {
    std::vector<Field> fields; // ascending by name
    const void* blank;         // a default one

    void write(const void* self, const void* base, Writer&) const;
    bool read(void* self, Reader&) const;
    void print(const void* self, JsonText&) const;

  private:
    void write_known(const void* self, const void* base, Writer&, std::string_view kept) const;
    void keep(const void* self, const std::string& unknown, const Reader&) const;
    std::uint64_t known_hash(const void* self) const;
};

} // namespace codec
} // namespace keepd::checkpoint
