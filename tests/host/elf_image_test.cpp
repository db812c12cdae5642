// What keepd believes of a file before anything of it runs.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <elf.h>
#include <fstream>
#include <iterator>
#include <string>

#include "daemon/checkpoint/format.hpp"
#include "daemon/upgrade/elf_image.hpp"
#include "daemon/version.hpp"

namespace {

using keepd::upgrade::ElfImage;

keep::Result<ElfImage> examine(const std::string& bytes) {
    return keepd::upgrade::examine_elf(
        [&](std::uint64_t offset, std::span<char> into) {
            if (offset > bytes.size() || into.size() > bytes.size() - offset) return false;
            std::memcpy(into.data(), bytes.data() + offset, into.size());
            return true;
        },
        bytes.size());
}

std::string image_of(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string own_image() {
    return image_of("/proc/self/exe");
}

std::string reason(const std::string& bytes) {
    const auto image = examine(bytes);
    return image ? "accepted" : image.error().message;
}

template <typename T>
void patch(std::string& bytes, std::size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

} // namespace

TEST_CASE("a keepd says which it is, and a program without its note is none, however sound it is") {
    const auto own = examine(own_image()); // this test links the note as keepd does
    REQUIRE(own);
    CHECK(own->version == keepd::version());
    CHECK(own->build_id == keepd::own_build_id());
    CHECK(own->formats == KEEPD_FORMAT); // one number, in the note and in what is written
    CHECK(reason(image_of("/bin/sh")) == "it is not a keepd (it has no keepd note)");
}

TEST_CASE("what is no program of this machine is refused by name") {
    CHECK(reason("") == "it is empty");
    CHECK(reason("#!/bin/sh\nexit 0\n") == "it is not an ELF program");
    CHECK(reason("\177ELF") == "it is cut short inside the ELF header");

    std::string foreign = own_image();
    patch<Elf64_Half>(foreign, offsetof(Elf64_Ehdr, e_machine), EM_S390);
    CHECK(reason(foreign) == "it is a program for another kind of machine (ELF machine 22)");

    std::string object = own_image();
    patch<Elf64_Half>(object, offsetof(Elf64_Ehdr, e_type), ET_REL);
    CHECK(reason(object) == "it is an ELF file but not a program");
}

TEST_CASE("a program cut short anywhere before the end of its last segment is refused") {
    const std::string whole = own_image();
    Elf64_Ehdr header;
    std::memcpy(&header, whole.data(), sizeof header);
    std::size_t end = 0;
    for (std::size_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        std::memcpy(&segment, whole.data() + header.e_phoff + i * sizeof segment, sizeof segment);
        end = std::max(end, static_cast<std::size_t>(segment.p_offset + segment.p_filesz));
    }
    for (const std::size_t size : {std::size_t{70}, std::size_t{500}, end / 2, end - 1}) {
        CAPTURE(size);
        CHECK(reason(whole.substr(0, size)).starts_with("it is cut short"));
    }
}

TEST_CASE("headers that point anywhere do no harm") {
    std::string bytes = own_image().substr(0, 4096);
    for (const std::uint64_t offset : {~std::uint64_t{0}, ~std::uint64_t{0} - 56, std::uint64_t{1} << 63}) {
        patch<Elf64_Off>(bytes, offsetof(Elf64_Ehdr, e_phoff), offset);
        CHECK_FALSE(examine(bytes));
    }
    patch<Elf64_Half>(bytes, offsetof(Elf64_Ehdr, e_phnum), 0xffff);
    CHECK(reason(bytes) == "its ELF program headers make no sense");
}
