#include "daemon/checkpoint/form.hpp"

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "daemon/checkpoint/hash.hpp"

namespace keepd::checkpoint::form {
namespace {

constexpr std::string_view magic{"keepdCP\n", 8};
constexpr std::size_t strings_offset = 36, longest_string = 1024, checksum_offset = page_size - 8;
constexpr std::size_t record_head = 16;

template <class Number>
Number little_endian(Number value) {
    if constexpr (std::endian::native == std::endian::big)
        return std::byteswap(value);
    else
        return value;
}

template <class Number>
void store(char* at, Number value) {
    value = little_endian(value);
    std::memcpy(at, &value, sizeof value);
}

template <class Number>
Number load(const char* at) {
    Number value;
    std::memcpy(&value, at, sizeof value);
    return little_endian(value);
}

// An aligned store that other stores can't overtake.
void store_last(char* at, std::uint64_t value) {
    std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at))
        .store(little_endian(value), std::memory_order_release);
}

std::uint64_t packed(const Active& active) {
    return std::uint64_t{active.compactions} << 32 | active.page;
}

std::uint64_t header_checksum(const char* page) {
    const std::string_view bytes(page, page_size);
    return hash64(bytes.substr(active_offset + 8, checksum_offset - active_offset - 8),
                  hash64(bytes.substr(0, active_offset)));
}

} // namespace

void write_header(char* page, const Header& header, Kind kind, const Active& active, std::uint64_t count) {
    const std::string_view writer = std::string_view(header.writer).substr(0, longest_string);
    const std::string_view build_id = std::string_view(header.build_id).substr(0, longest_string);
    std::memset(page, 0, page_size);
    std::memcpy(page, magic.data(), magic.size());
    store(page + 8, static_cast<std::uint16_t>(header.major));
    store(page + 10, static_cast<std::uint16_t>(header.minor));
    store(page + 12, static_cast<std::uint32_t>(kind));
    store(page + 24, count);
    store(page + 32, static_cast<std::uint16_t>(writer.size()));
    store(page + 34, static_cast<std::uint16_t>(build_id.size()));
    std::memcpy(page + strings_offset, writer.data(), writer.size());
    std::memcpy(page + strings_offset + writer.size(), build_id.data(), build_id.size());
    store(page + checksum_offset, header_checksum(page));
    store_active(page, active);
}

void store_active(char* page, const Active& active) {
    store_last(page + active_offset, packed(active));
}

keep::Result<HeaderPage> read_header(std::string_view file) {
    if (file.size() < page_size || file.substr(0, magic.size()) != magic)
        return keep::fail("not a checkpoint of keepd");
    const char* page = file.data();
    HeaderPage read;
    read.header.major = load<std::uint16_t>(page + 8);
    read.header.minor = load<std::uint16_t>(page + 10);
    if (read.header.major != format_major)
        return keep::fail("format " + std::to_string(read.header.major) + "." + std::to_string(read.header.minor) +
                          " cannot be read here, only " + std::to_string(format_major) + ".x");
    if (load<std::uint64_t>(page + checksum_offset) != header_checksum(page))
        return keep::fail("the header is damaged");
    const std::size_t writer = load<std::uint16_t>(page + 32), build_id = load<std::uint16_t>(page + 34);
    const auto kind = load<std::uint32_t>(page + 12);
    if (writer > longest_string || build_id > longest_string || kind < 1 || kind > 2)
        return keep::fail("the header is damaged");
    read.header.writer = file.substr(strings_offset, writer);
    read.header.build_id = file.substr(strings_offset + writer, build_id);
    read.kind = static_cast<Kind>(kind);
    const auto active = load<std::uint64_t>(page + active_offset);
    read.active = {static_cast<std::uint32_t>(active), static_cast<std::uint32_t>(active >> 32)};
    read.count = load<std::uint64_t>(page + 24);
    return read;
}

std::size_t record_size(std::size_t key, std::size_t bytes) {
    return (record_head + key + bytes + 7) & ~std::size_t{7};
}

void write_record(char* at, RecordKind kind, std::string_view key, std::string_view bytes) {
    const std::uint64_t word =
        std::uint64_t{static_cast<std::uint16_t>(kind)} << 48 | std::uint64_t{key.size()} << 32 | bytes.size();
    char* const body = at + record_head;
    std::memcpy(body, key.data(), key.size());
    if (!bytes.empty()) std::memcpy(body + key.size(), bytes.data(), bytes.size());
    const std::size_t length = key.size() + bytes.size();
    std::memset(body + length, 0, record_size(key.size(), bytes.size()) - record_head - length);
    store(at + 8, hash64({body, length}, word));
    store_last(at, word);
}

Record known_record(const char* at) {
    const auto word = load<std::uint64_t>(at);
    const std::size_t bytes = word & 0xFFFFFFFF, key = (word >> 32) & 0xFFFF;
    return {static_cast<RecordKind>(word >> 48),
            {at + record_head, key},
            {at + record_head + key, bytes},
            record_size(key, bytes)};
}

Found read_record(std::string_view rest, Record& record) {
    if (rest.size() < 8 || load<std::uint64_t>(rest.data()) == 0) return Found::end;
    if (rest.size() < record_head) return Found::torn;
    const auto word = load<std::uint64_t>(rest.data());
    const std::size_t bytes = word & 0xFFFFFFFF, key = (word >> 32) & 0xFFFF;
    const auto kind = static_cast<RecordKind>(word >> 48);
    if (kind != RecordKind::put && kind != RecordKind::erased) return Found::torn;
    if (key == 0 || key > longest_key || record_size(key, bytes) > rest.size()) return Found::torn;
    record = known_record(rest.data());
    const std::string_view body = rest.substr(record_head, record.key.size() + record.bytes.size());
    if (hash64(body, word) != load<std::uint64_t>(rest.data() + 8)) return Found::torn;
    const std::string_view padding = rest.substr(record_head + body.size(), record.size - record_head - body.size());
    return padding.find_first_not_of('\0') == padding.npos ? Found::record : Found::torn;
}

} // namespace keepd::checkpoint::form
