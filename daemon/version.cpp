#include "daemon/version.hpp"

#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstring>

#include "daemon/checkpoint/format.hpp"

#ifndef KEEPD_VERSION
#error "the build gives KEEPD_VERSION"
#endif

namespace keepd {

namespace {

// Our own ELF note, what tells a keepd from any other program before anything of it runs. Type 1, as text: version, and
// the formats of the saved state that this image reads, the newest of each major ("1.4,2.0").
struct Note {
    Elf64_Nhdr header;
    char name[8];
    char text[64];
};

#define KEEPD_NOTE_TEXT "version=" KEEPD_VERSION " format=" KEEPD_FORMAT
static_assert(sizeof KEEPD_NOTE_TEXT <= sizeof(Note::text));

extern "C" {
extern const Note keepd_elf_note;
[[gnu::used, gnu::section(".note.keepd"), gnu::aligned(4)]] const Note keepd_elf_note = {
    {sizeof "keepd", sizeof(Note::text), 1}, "keepd", KEEPD_NOTE_TEXT};
}

// Finds NT_GNU_BUILD_ID in one loaded object's note segment.
bool find_build_id(const char* notes, std::size_t size, std::string& hex) {
    while (size >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr header;
        std::memcpy(&header, notes, sizeof header);
        const std::size_t name_size = (header.n_namesz + 3u) & ~3u;
        const std::size_t text_size = (header.n_descsz + 3u) & ~3u;
        const std::size_t whole = sizeof header + name_size + text_size;
        if (whole > size) return false;
        const char* name = notes + sizeof header;
        if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
            static const char digits[] = "0123456789abcdef";
            for (std::size_t i = 0; i < header.n_descsz; ++i) {
                const auto byte = static_cast<unsigned char>(name[name_size + i]);
                hex += digits[byte >> 4];
                hex += digits[byte & 15];
            }
            return true;
        }
        notes += whole;
        size -= whole;
    }
    return false;
}

} // namespace

const char* version() {
    return KEEPD_VERSION;
}

std::string own_build_id() {
    std::string hex;
    // The first object is the program itself.
    dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t, void* out) {
            for (int i = 0; i < object->dlpi_phnum; ++i) {
                const auto& segment = object->dlpi_phdr[i];
                if (segment.p_type != PT_NOTE) continue;
                // The kernel's and linker's addresses are numbers until here.
                const auto* notes = reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr);
                if (find_build_id(notes, segment.p_memsz, *static_cast<std::string*>(out))) break;
            }
            return 1;
        },
        &hex);
    return hex;
}

} // namespace keepd
