#include "daemon/checkpoint/codec_type.hpp"

#include <cassert>
#include <cstdint>

#include "daemon/checkpoint/hash.hpp"

namespace keepd::checkpoint::codec {

std::string to_text(const Path* path) {
    if (!path) return {};
    std::string text = to_text(path->up);
    switch (path->kind) {
    case Path::Kind::field:
        if (!text.empty()) text += '.';
        return text.append(path->name);
    case Path::Kind::index: return text + '[' + std::to_string(path->index) + ']';
    case Path::Kind::key:
        text += "[\"";
        for (const char c : path->name) {
            if (c == '"' || c == '\\') text += '\\'; // so that no two paths read alike
            text += c;
        }
        return text += "\"]";
    }
    return text;
}

// ---- writing ---------------------------------------------------------------------------------------------------

void Writer::number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        out += static_cast<char>(0x80 | (value & 0x7F));
    out += static_cast<char>(value);
}

void Writer::signed_number(std::int64_t value) {
    number((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

// Most parts are short: one byte is set aside for the length, and a longer one moves the part.
std::size_t Writer::begin() {
    out += '\0';
    return out.size();
}

void Writer::end(std::size_t at) {
    std::uint64_t length = out.size() - at;
    char digits[10];
    std::size_t count = 0;
    for (; length >= 0x80; length >>= 7)
        digits[count++] = static_cast<char>(0x80 | (length & 0x7F));
    digits[count] = static_cast<char>(length);
    out[at - 1] = digits[0];
    if (count > 0) out.insert(at, digits + 1, count);
}

namespace {

// A field as it stands in the bytes.
struct Raw {
    std::string_view name, value, all;
    bool critical = false;
};

// Takes the field that `rest` starts with; false if the bytes are no field. The hottest loop of a decode: no Reader.
bool take_field(std::string_view& rest, Raw& raw) {
    const char* at = rest.data();
    const char* const end = at + rest.size();
    if (at == end) return false;
    const auto head = static_cast<unsigned char>(*at++);
    raw.critical = (head & 0x80) != 0;
    const std::size_t name = head & 0x7F;
    if (name == 0 || static_cast<std::size_t>(end - at) < name) return false;
    raw.name = {at, name};
    at += name;
    std::uint64_t length = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (at == end || shift > 28) return false; // no record is longer than 2^35
        const auto byte = static_cast<unsigned char>(*at++);
        length |= std::uint64_t{byte & 0x7Fu} << shift;
        if (byte >= 0x80) continue;
        if (byte == 0 && shift > 0) return false; // not the shortest form
        break;
    }
    if (length > static_cast<std::size_t>(end - at)) return false;
    raw.value = {at, static_cast<std::size_t>(length)};
    at += length;
    raw.all = {rest.data(), static_cast<std::size_t>(at - rest.data())};
    rest.remove_prefix(raw.all.size());
    return true;
}

const void* member(const void* self, const Field& field) {
    return static_cast<const char*>(self) + field.offset;
}

} // namespace

void Structure::write_known(const void* self, const void* base, Writer& writer, std::string_view kept) const {
    Raw next;
    bool more = take_field(kept, next);
    for (const Field& field : fields) {
        for (; more && next.name < field.name; more = take_field(kept, next))
            writer.bytes(next.all);
        const void* value = member(self, field);
        const void* default_value = member(base, field);
        if (!field.type->structure && field.type->same(value, default_value)) continue;
        const std::size_t before = writer.out.size();
        const bool is_critical = field.trait == Trait::critical || field.trait == Trait::critical_whole;
        writer.out += static_cast<char>((is_critical ? 0x80 : 0) | field.name.size());
        writer.bytes(field.name);
        const std::size_t at = writer.begin();
        {
            const Step step(writer, field.name);
            field.type->write(value, default_value, writer);
        }
        if (field.type->structure && writer.out.size() == at)
            writer.out.resize(before); // as its default
        else
            writer.end(at);
    }
    for (; more; more = take_field(kept, next))
        writer.bytes(next.all);
}

void Structure::write(const void* self, const void* base, Writer& writer) const {
    std::string_view unknown;
    if (writer.kept_) {
        const auto found = writer.kept_->find(to_text(writer.path_));
        if (found != writer.kept_->end() && (!found->second.only_with || found->second.only_with == known_hash(self)))
            unknown = found->second.bytes;
    }
    write_known(self, base, writer, unknown);
}

std::uint64_t Structure::known_hash(const void* self) const {
    Writer known;
    write_known(self, blank, known, {});
    return hash64(known.out);
}

// ---- reading ---------------------------------------------------------------------------------------------------

bool Reader::fail(std::string_view message) const {
    if (!reading_->error.empty()) return false;
    const std::string where = to_text(path_);
    if (!where.empty()) reading_->error.append(where).append(": ");
    reading_->error.append(message);
    return false;
}

bool Reader::fail_quoted(std::string_view message, std::string_view word) const {
    return fail(std::string(message).append(" '").append(word.substr(0, 64)).append("'"));
}

bool Reader::number(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (rest_.empty()) return fail("cut short");
        const auto byte = static_cast<unsigned char>(rest_[0]);
        rest_.remove_prefix(1);
        if (shift == 63 && byte > 1) return fail("number out of range");
        value |= std::uint64_t{byte & 0x7Fu} << shift;
        if (byte < 0x80) return byte != 0 || shift == 0 ? true : fail("number not in its shortest form");
    }
    return fail("number out of range");
}

bool Reader::signed_number(std::int64_t& value) {
    std::uint64_t folded = 0;
    if (!number(folded)) return false;
    value = static_cast<std::int64_t>((folded >> 1) ^ (~(folded & 1) + 1));
    return true;
}

bool Reader::take(std::size_t count, std::string_view& taken) {
    if (count > rest_.size()) return fail("cut short");
    taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return true;
}

bool Reader::part(std::string_view& taken) {
    std::uint64_t length = 0;
    if (!number(length)) return false;
    if (length > rest_.size()) return fail("cut short");
    return take(static_cast<std::size_t>(length), taken);
}

std::string_view Reader::rest() {
    const std::string_view all = rest_;
    rest_ = {};
    return all;
}

bool Structure::read(void* self, Reader& in) const {
    std::string_view last;
    std::string unknown;
    auto known = fields.begin();
    Raw raw;
    while (!in.done()) {
        if (!take_field(in.rest_, raw)) return in.fail("not a sequence of fields");
        if (raw.name <= last) return in.fail_quoted("field twice or out of order:", raw.name);
        last = raw.name;
        int order = 1;
        while (known != fields.end() && (order = known->name.compare(raw.name)) < 0)
            ++known;
        if (known != fields.end() && order == 0) {
            const Path path = in.below(known->name);
            Reader value(raw.value, in, path);
            if (known->trait == Trait::whole || known->trait == Trait::critical_whole) value.mark_whole();
            if (!known->type->read(static_cast<char*>(self) + known->offset, value)) return false;
            if (!value.done()) return value.fail("more bytes than its type has");
        } else if (raw.critical) {
            return in.fail_quoted("unknown critical field", raw.name);
        } else {
            unknown.append(raw.all);
        }
    }
    if (!unknown.empty()) keep(self, unknown, in);
    return true;
}

void Structure::keep(const void* self, const std::string& unknown, const Reader& in) const {
    if (!in.reading_->kept) return;
    KeptFields fields_here{unknown, std::nullopt};
    if (in.whole_) fields_here.only_with = known_hash(self);
    in.reading_->kept->insert_or_assign(to_text(in.path_), std::move(fields_here));
}

void Structure::print(const void* self, JsonText& json) const {
    json.begin_object();
    for (const Field& field : fields) {
        json.key(field.name);
        field.type->print(member(self, field), json);
    }
    json.end_object();
}

} // namespace keepd::checkpoint::codec
