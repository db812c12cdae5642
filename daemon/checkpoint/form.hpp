// The bytes of a checkpoint, live or sealed: one page of header, then records. Pure; who owns the memory is live.cpp's.
//
//   header   0 magic   8 major, minor   12 kind   16 active   24 count   32 lengths of the strings   36 strings
//            4088 checksum of the page without `active`
//   active   where the records that count begin: page number, and above it the number of compactions so far. The one
//            8-byte word whose store switches from the old half to the new.
//   record   word (0: the end), checksum, key, bytes, padded to 8
//   word     length of bytes (32 bits), of the key (16), kind (16: 1 put, 2 erased)
//
// Numbers are little-endian. A record's word is stored last: until then it is not there. The checksum is for what no
// order of stores protects from: a file that was cut or damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "daemon/checkpoint/live.hpp"

namespace keepd::checkpoint::form {

inline constexpr std::size_t page_size = 4096;
inline constexpr std::size_t active_offset = 16;
inline constexpr std::size_t longest_key = 1024;
inline constexpr std::size_t longest_record = std::size_t{64} << 20;

enum class Kind : std::uint32_t { live = 1, sealed = 2 };

// Where the living records begin.
struct Active {
    std::uint32_t page = 1;
    std::uint32_t compactions = 0;
};

// Fills one page. `count`: of the records in a sealed form, so that a cut one is told from a whole one; 0 in a live
// one.
void write_header(char* page, const Header& header, Kind kind, const Active& active, std::uint64_t count);
// The switch: one store, after everything that was stored before it.
void store_active(char* page, const Active& active);

struct HeaderPage {
    Header header;
    Kind kind = Kind::live;
    Active active;
    std::uint64_t count = 0;
};
// Errors: too short, no magic, another major, a wrong checksum.
keep::Result<HeaderPage> read_header(std::string_view file);

enum class RecordKind : std::uint16_t { put = 1, erased = 2 };

std::size_t record_size(std::size_t key, std::size_t bytes); // in the file
// Writes a record to 8-byte aligned memory of record_size() bytes followed by a zero word; its first word last.
void write_record(char* at, RecordKind kind, std::string_view key, std::string_view bytes);

struct Record {
    RecordKind kind = RecordKind::put;
    std::string_view key, bytes;
    std::size_t size = 0; // in the file
};
enum class Found : std::uint8_t { record, end, torn };
// The record that `rest` starts with. `rest` begins 8-byte aligned within the file.
Found read_record(std::string_view rest, Record& record);
// The same of memory that is known to hold a whole one: nothing is checked.
Record known_record(const char* at);

} // namespace keepd::checkpoint::form
