#include "daemon/upgrade/elf_image.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <string_view>
#include <vector>

namespace keepd::upgrade {

namespace {

#if defined(__x86_64__)
constexpr Elf64_Half our_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half our_machine = EM_AARCH64;
#elif defined(__riscv)
constexpr Elf64_Half our_machine = EM_RISCV;
#else
#error "name this machine's ELF number here"
#endif

constexpr std::size_t most_segments = 128;
constexpr std::uint64_t most_note_bytes = 64 * 1024;

template <typename T>
bool read_struct(const ReadAt& read_at, std::uint64_t offset, T& into) {
    return read_at(offset, std::span(reinterpret_cast<char*>(&into), sizeof into));
}

std::string to_hex(std::string_view bytes) {
    static const char digits[] = "0123456789abcdef";
    std::string hex;
    for (const char c : bytes) {
        hex += digits[static_cast<unsigned char>(c) >> 4];
        hex += digits[static_cast<unsigned char>(c) & 15];
    }
    return hex;
}

// The value of `key=` among space-separated words.
std::string word_of(std::string_view text, std::string_view key) {
    std::size_t at = 0;
    while (at < text.size()) {
        const auto end = std::min(text.find(' ', at), text.size());
        const auto word = text.substr(at, end - at);
        if (word.starts_with(key)) return std::string(word.substr(key.size()));
        at = end + 1;
    }
    return {};
}

void take_note(ElfImage& image, std::uint32_t type, std::string_view name, std::string_view text) {
    if (name == std::string_view("GNU\0", 4) && type == NT_GNU_BUILD_ID) image.build_id = to_hex(text);
    if (name == std::string_view("keepd\0", 6) && type == 1) {
        text = text.substr(0, text.find('\0'));
        image.version = word_of(text, "version=");
        image.formats = word_of(text, "format=");
    }
}

void take_notes(ElfImage& image, std::string_view notes) {
    while (notes.size() >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr header;
        std::memcpy(&header, notes.data(), sizeof header);
        const std::uint64_t name_size = (std::uint64_t{header.n_namesz} + 3) & ~std::uint64_t{3};
        const std::uint64_t text_size = (std::uint64_t{header.n_descsz} + 3) & ~std::uint64_t{3};
        if (sizeof header + name_size + text_size > notes.size()) return;
        take_note(image, header.n_type, notes.substr(sizeof header, header.n_namesz),
                  notes.substr(sizeof header + name_size, header.n_descsz));
        notes.remove_prefix(sizeof header + name_size + text_size);
    }
}

} // namespace

keep::Result<ElfImage> examine_elf(const ReadAt& read_at, std::uint64_t file_size) {
    if (file_size == 0) return keep::fail("it is empty");
    Elf64_Ehdr header;
    char magic[SELFMAG];
    if (!read_at(0, magic) || std::memcmp(magic, ELFMAG, SELFMAG) != 0) return keep::fail("it is not an ELF program");
    if (!read_struct(read_at, 0, header)) return keep::fail("it is cut short inside the ELF header");
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != our_machine)
        return keep::fail("it is a program for another kind of machine (ELF machine " +
                          std::to_string(header.e_machine) + ")");
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) return keep::fail("it is an ELF file but not a program");
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > most_segments)
        return keep::fail("its ELF program headers make no sense");

    // Nothing loads the section headers, but they are what stands last: a copy that was not finished lacks them first.
    if (header.e_shoff != 0) {
        const std::uint64_t bytes = std::uint64_t{header.e_shnum} * header.e_shentsize;
        if (bytes > file_size || header.e_shoff > file_size - bytes)
            return keep::fail("it is cut short: its section headers end beyond the file's " +
                              std::to_string(file_size) + " bytes");
    }

    ElfImage image;
    for (std::size_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        const std::uint64_t at = header.e_phoff + i * sizeof segment;
        if (at < header.e_phoff || !read_struct(read_at, at, segment))
            return keep::fail("it is cut short inside the program headers");
        if (segment.p_filesz > file_size || segment.p_offset > file_size - segment.p_filesz)
            return keep::fail("it is cut short: a segment ends beyond the file's " + std::to_string(file_size) +
                              " bytes");
        if (segment.p_type != PT_NOTE || segment.p_filesz > most_note_bytes) continue;
        std::vector<char> notes(segment.p_filesz);
        if (!read_at(segment.p_offset, notes)) return keep::fail("it is cut short inside its notes");
        take_notes(image, {notes.data(), notes.size()});
    }
    if (image.version.empty() || image.formats.empty()) return keep::fail("it is not a keepd (it has no keepd note)");
    if (image.build_id.empty()) return keep::fail("it has no build id, so builds can't be told apart");
    return image;
}

} // namespace keepd::upgrade
