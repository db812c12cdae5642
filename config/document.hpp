// JSON text as a tree whose every value knows its place in the text.
//
// nlohmann's DOM keeps no positions and drops duplicate keys, so the tree is built from its SAX events, with the
// positions taken from a counting iterator under its lexer. Nothing here knows what a config means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"

namespace keepd::config {

enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

// One value. Its views point into the Document that owns it. Offsets are bytes from the begin of the text.
struct Node {
    Kind kind = Kind::null;
    bool truth = false;       // boolean
    bool whole = false;       // number: it is an integer that `integer` holds (1.0 and 1e3 are integers too)
    std::uint32_t at = 0;     // first byte of the value
    std::uint32_t key_at = 0; // members of an object: first byte of the key (its quote)
    std::string_view key;     // members of an object
    std::string_view text;    // string: the value, unescaped; number: as it was written
    std::int64_t integer = 0;
    double number = 0;
    std::vector<Node> children; // elements or members, in the order of the text; duplicates included

    // The first member with this key; null when there is none.
    const Node* find(std::string_view name) const;
};

// A member whose key was there before in the same object.
struct Duplicate {
    const Node* member = nullptr;
    const Node* first = nullptr;
};

// Both from 1; columns count bytes, as compilers do.
struct Place {
    std::size_t line = 0;
    std::size_t column = 0;
};

class Document {
  public:
    // Hostile input must cost neither the stack nor all memory.
    static constexpr std::size_t max_depth = 64;
    static constexpr std::size_t max_bytes = std::size_t{16} << 20;

    // Errors: the first syntax error, with its place and in words for an operator. `path` is for messages only.
    static std::expected<std::unique_ptr<const Document>, Fault> parse(std::string path, std::string text);

    Document(const Document&) = delete; // nodes point into it
    Document& operator=(const Document&) = delete;

    const std::string& path() const { return path_; }
    const Node& root() const { return root_; }
    const std::vector<Duplicate>& duplicates() const { return duplicates_; }

    Place place(std::size_t offset) const;
    // RFC 6901, found by descending to the node: only faults need it, so nodes do not carry their parents.
    std::string pointer(const Node&) const;

  private:
    friend struct Builder;
    Document(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {}

    std::string path_;
    std::string text_;
    std::deque<std::string> unescaped_; // strings that differ from what is written; a deque keeps them in place
    Node root_;
    std::vector<Duplicate> duplicates_;
    mutable std::vector<std::size_t> line_starts_; // made at the first fault
};

// One more step of a JSON pointer: "/" and the key with ~ and / escaped.
void append_pointer(std::string& pointer, std::string_view key);

// Line and column of an offset in a text.
Place place_in(std::string_view text, std::size_t offset);

} // namespace keepd::config
