#include "config/document.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>

#include <nlohmann/json.hpp>

#include "config/syntax.hpp"

namespace keepd::config {

namespace {

// Tells how far the lexer has read.
struct CountingIterator {
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    const char* at = nullptr;
    const char** seen = nullptr;

    const char& operator*() const { return *at; }
    CountingIterator& operator++() {
        *seen = ++at;
        return *this;
    }
    CountingIterator operator++(int) {
        const CountingIterator before = *this;
        ++*this;
        return before;
    }
    bool operator==(const CountingIterator& other) const { return at == other.at; }
    bool operator!=(const CountingIterator& other) const { return at != other.at; }
};

// The begin of the next token: past white space, commas, colons and comments that the lexer has accepted already.
std::size_t skip_filler(std::string_view text, std::size_t at) {
    while (at < text.size()) {
        const char c = text[at];
        if (c == '/') {
            if (at + 1 < text.size() && text[at + 1] == '*') {
                const auto end = text.find("*/", at + 2);
                at = end == std::string_view::npos ? text.size() : end + 2;
            } else {
                at = std::min(text.find_first_of("\n\r", at), text.size());
            }
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ':') {
            ++at;
        } else {
            break;
        }
    }
    return at;
}

// Members that repeat an earlier key; `report` is called with each.
template <typename Report>
void find_duplicates(const std::vector<Node>& members, Report report) {
    if (members.size() <= 16) {
        for (std::size_t i = 1; i < members.size(); ++i)
            for (std::size_t j = 0; j < i; ++j)
                if (members[j].key == members[i].key) {
                    report(members[i]);
                    break;
                }
        return;
    }
    std::vector<const Node*> sorted(members.size());
    std::transform(members.begin(), members.end(), sorted.begin(), [](const Node& node) { return &node; });
    std::sort(sorted.begin(), sorted.end(), [](const Node* a, const Node* b) {
        const int order = a->key.compare(b->key);
        return order != 0 ? order < 0 : a < b;
    });
    for (std::size_t i = 1; i < sorted.size(); ++i)
        if (sorted[i]->key == sorted[i - 1]->key) report(*sorted[i]);
}

} // namespace

// Turns SAX events into nodes. A pointer to an open container stays valid: only the innermost one grows.
struct Builder {
    explicit Builder(Document& document) : document(document), seen(document.text_.data()) {}

    Document& document;
    const char* seen;       // end of what the lexer has read
    std::size_t cursor = 0; // end of the last token that became an event
    std::string_view key;   // of the member that comes next
    std::size_t key_at = 0;
    std::vector<Node*> open;
    std::vector<std::uint32_t> duplicate_offsets;
    bool too_deep = false;

    std::string_view text() const { return document.text_; }

    Node& add(Kind kind) {
        cursor = skip_filler(text(), cursor);
        Node& node = open.empty() ? document.root_ : open.back()->children.emplace_back();
        node.kind = kind;
        node.at = static_cast<std::uint32_t>(cursor);
        node.key = key;
        node.key_at = static_cast<std::uint32_t>(key_at);
        return node;
    }

    // A string token ends where the lexer stands. Without escapes it is a view of the text, and costs nothing.
    std::string_view take_string(const std::string& value) {
        cursor = skip_filler(text(), cursor);
        const auto end = static_cast<std::size_t>(seen - text().data());
        const std::string_view raw = text().substr(cursor + 1, end - cursor - 2);
        cursor = end;
        return raw.size() == value.size() ? raw : std::string_view(document.unescaped_.emplace_back(value));
    }

    bool null() {
        add(Kind::null);
        cursor += 4;
        return true;
    }
    bool boolean(bool value) {
        add(Kind::boolean).truth = value;
        cursor += value ? 4 : 5;
        return true;
    }
    bool number(double value, std::int64_t integer, bool whole) {
        Node& node = add(Kind::number);
        const std::size_t end = std::min(text().find_first_not_of("+-.0123456789eE", cursor), text().size());
        node.text = text().substr(cursor, end - cursor);
        node.number = value;
        node.integer = integer;
        node.whole = whole;
        cursor = end;
        return true;
    }
    bool number_integer(std::int64_t value) { return number(static_cast<double>(value), value, true); }
    bool number_unsigned(std::uint64_t value) {
        const bool fits = value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        return number(static_cast<double>(value), fits ? static_cast<std::int64_t>(value) : 0, fits);
    }
    bool number_float(double value, const std::string&) {
        constexpr double limit = 9223372036854775808.0; // 2^63
        const bool whole = value > -limit && value < limit && std::trunc(value) == value;
        return number(value, whole ? static_cast<std::int64_t>(value) : 0, whole);
    }
    bool string(std::string& value) {
        Node& node = add(Kind::string);
        node.text = take_string(value);
        return true;
    }
    bool binary(nlohmann::json::binary_t&) { return false; } // no such thing in text
    bool start(Kind kind) {
        Node& node = add(kind);
        too_deep = open.size() >= Document::max_depth;
        open.push_back(&node);
        ++cursor;
        return !too_deep;
    }
    bool end() {
        cursor = skip_filler(text(), cursor) + 1;
        open.back()->children.shrink_to_fit();
        open.pop_back();
        key = {};
        return true;
    }
    bool start_object(std::size_t) { return start(Kind::object); }
    bool end_object() {
        find_duplicates(open.back()->children, [&](const Node& node) { duplicate_offsets.push_back(node.key_at); });
        return end();
    }
    bool start_array(std::size_t) {
        const bool fine = start(Kind::array);
        key = {};
        return fine;
    }
    bool end_array() { return end(); }
    bool key_event(std::string& value) {
        key_at = skip_filler(text(), cursor);
        key = take_string(value);
        return true;
    }

    void resolve_duplicates();
};

namespace {

// The events under the names that nlohmann wants (`key` is a member of Builder already).
struct Sax {
    Builder& builder;
    bool null() { return builder.null(); }
    bool boolean(bool value) { return builder.boolean(value); }
    bool number_integer(std::int64_t value) { return builder.number_integer(value); }
    bool number_unsigned(std::uint64_t value) { return builder.number_unsigned(value); }
    bool number_float(double value, const std::string& text) { return builder.number_float(value, text); }
    bool string(std::string& value) { return builder.string(value); }
    bool binary(nlohmann::json::binary_t& value) { return builder.binary(value); }
    bool start_object(std::size_t size) { return builder.start_object(size); }
    bool key(std::string& value) { return builder.key_event(value); }
    bool end_object() { return builder.end_object(); }
    bool start_array(std::size_t size) { return builder.start_array(size); }
    bool end_array() { return builder.end_array(); }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) { return false; }
};

std::size_t begin_of(const Node& node, Kind parent) {
    return parent == Kind::object ? node.key_at : node.at;
}

// The child that an offset lies in. Children are in the order of the text.
const Node* child_at(const Node& parent, std::size_t offset) {
    const auto after =
        std::upper_bound(parent.children.begin(), parent.children.end(), offset,
                         [&](std::size_t wanted, const Node& child) { return wanted < begin_of(child, parent.kind); });
    return after == parent.children.begin() ? nullptr : &*std::prev(after);
}

} // namespace

// Nodes move while their container grows, so duplicates are noted by offset and looked up once the tree stands.
void Builder::resolve_duplicates() {
    std::sort(duplicate_offsets.begin(), duplicate_offsets.end());
    for (const std::uint32_t offset : duplicate_offsets) {
        const Node* parent = &document.root_;
        const Node* member = child_at(*parent, offset);
        while (member != nullptr && member->key_at != offset) {
            parent = member;
            member = child_at(*parent, offset);
        }
        if (member != nullptr) document.duplicates_.push_back({member, parent->find(member->key)});
    }
}

std::expected<std::unique_ptr<const Document>, Fault> Document::parse(std::string path, std::string text) {
    if (text.size() > max_bytes) return std::unexpected(Fault{std::move(path), 0, 0, "", "larger than 16 MiB"});

    std::unique_ptr<Document> document(new Document(std::move(path), std::move(text)));
    const std::string_view view = document->text_;
    const auto fault = [&](const SyntaxError& error) {
        const Place place = place_in(view, error.offset);
        return std::unexpected(Fault{document->path_, place.line, place.column, error.pointer, error.message});
    };

    if (const auto error = find_encoding_error(view)) return fault(*error);

    Builder builder(*document);
    Sax sax{builder};
    const CountingIterator first{view.data(), &builder.seen};
    const CountingIterator last{view.data() + view.size(), &builder.seen};
    const bool parsed =
        nlohmann::json::sax_parse(first, last, &sax, nlohmann::json::input_format_t::json, true, /*comments=*/true);
    if (builder.too_deep)
        return fault({builder.open.back()->at, document->pointer(*builder.open.back()),
                      "nested more than " + std::to_string(max_depth) + " levels deep"});
    if (!parsed) return fault(explain_syntax_error(view));

    builder.resolve_duplicates();
    return document;
}

const Node* Node::find(std::string_view name) const {
    for (const Node& child : children)
        if (child.key == name) return &child;
    return nullptr;
}

Place Document::place(std::size_t offset) const {
    if (line_starts_.empty()) {
        line_starts_.push_back(0);
        for (std::size_t at = text_.find('\n'); at != std::string::npos; at = text_.find('\n', at + 1))
            line_starts_.push_back(at + 1);
    }
    const auto next = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
    return {static_cast<std::size_t>(next - line_starts_.begin()), offset - *std::prev(next) + 1};
}

std::string Document::pointer(const Node& target) const {
    std::string pointer;
    const Node* node = &root_;
    while (node != &target) {
        const Node* child = child_at(*node, target.at);
        if (child == nullptr) break;
        if (node->kind == Kind::object)
            append_pointer(pointer, child->key);
        else
            append_pointer(pointer, std::to_string(child - node->children.data()));
        node = child;
    }
    return pointer;
}

void append_pointer(std::string& pointer, std::string_view key) {
    pointer += '/';
    for (const char c : key) {
        if (c == '~')
            pointer += "~0";
        else if (c == '/')
            pointer += "~1";
        else
            pointer += c;
    }
}

Place place_in(std::string_view text, std::size_t offset) {
    const std::string_view before = text.substr(0, offset);
    const auto newline = before.rfind('\n');
    return {static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1,
            newline == std::string_view::npos ? offset + 1 : offset - newline};
}

} // namespace keepd::config
