// What an ELF file says of itself, read before anything of it runs: machine, build id, and keepd's own note.
// elf(5); the note's form is in daemon/version.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "lib/base/error.hpp"

namespace keepd::upgrade {

struct ElfImage {
    std::string version;  // of keepd's note
    std::string formats;  // of the saved state that it reads, the newest of each major: "1.0", "1.4,2.0"
    std::string build_id; // hex
    bool operator==(const ElfImage&) const = default;
};

// Fills `into` from `offset`; false if the file has no such bytes.
using ReadAt = std::function<bool(std::uint64_t offset, std::span<char> into)>;

// Errors, each a complete clause about "it": not an ELF file, cut short, for another machine, not a program, not keepd
// (no note), no build id. Every byte is taken for hostile.
keep::Result<ElfImage> examine_elf(const ReadAt& read_at, std::uint64_t file_size);

} // namespace keepd::upgrade
