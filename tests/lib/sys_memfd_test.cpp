#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <unistd.h>

#include "lib/sys/memfd.hpp"

using namespace keep;

TEST_CASE("a sealed copy holds the bytes, and no one can change them") {
    const std::string bytes("state\0with a NUL", 16);
    auto fd = sys::sealed_copy("test", bytes);
    REQUIRE(fd);
    CHECK(sys::is_sealed(fd->get()) == true);
    CHECK(sys::read_all(fd->get()) == bytes); // its offset is at the start
    CHECK(sys::write_all(fd->get(), "x").error().code == EPERM);
    CHECK(sys::resize(fd->get(), 3).error().code == EPERM);
    CHECK(sys::resize(fd->get(), 300).error().code == EPERM);
    CHECK(sys::Mapping::of(fd->get(), sys::Access::read_write).error().code == EPERM);
    const auto mapping = sys::Mapping::of(fd->get(), sys::Access::read_only);
    REQUIRE(mapping);
    CHECK(mapping->text() == bytes);
}

TEST_CASE("a memfd that is mapped writable cannot be sealed") {
    auto fd = sys::create_memfd("test");
    REQUIRE(fd);
    REQUIRE(sys::resize(fd->get(), 4096));
    auto mapping = sys::Mapping::of(fd->get(), sys::Access::read_write);
    REQUIRE(mapping);
    CHECK(sys::seal(fd->get()).error().code == EBUSY);
    CHECK(sys::is_sealed(fd->get()) == false);
    mapping->reset();
    CHECK(sys::seal(fd->get()));
}

TEST_CASE("two mappings of one memfd show the same bytes, also without the descriptor") {
    auto fd = sys::create_memfd("test");
    REQUIRE(fd);
    REQUIRE(sys::resize(fd->get(), 100));
    auto writer = sys::Mapping::of(fd->get(), sys::Access::read_write);
    auto reader = sys::Mapping::of(fd->get(), sys::Access::read_only);
    REQUIRE((writer && reader));
    fd->reset();
    std::memcpy(writer->data() + 95, "hello", 5);
    CHECK(reader->text().substr(95) == "hello");
    CHECK(reader->size() == 100);
}

TEST_CASE("resizing keeps the content and zeroes what is new") {
    auto fd = sys::create_memfd("test");
    REQUIRE(fd);
    auto mapping = sys::Mapping::of(fd->get(), sys::Access::read_write);
    REQUIRE(mapping);
    CHECK(mapping->size() == 0); // empty is no error
    REQUIRE(mapping->resize(fd->get(), 10));
    std::memcpy(mapping->data(), "0123456789", 10);
    REQUIRE(mapping->resize(fd->get(), std::size_t{1} << 20));
    CHECK(mapping->text().substr(0, 11) == std::string_view("0123456789\0", 11));
    CHECK(sys::size_of(fd->get()) == std::size_t{1} << 20);
    REQUIRE(mapping->resize(fd->get(), 5));
    CHECK(mapping->text() == "01234");
    REQUIRE(mapping->resize(fd->get(), 0));
    CHECK(mapping->data() == nullptr);
}

TEST_CASE("a resize that fails leaves the mapping as it was") {
    auto fd = sys::create_memfd("test");
    REQUIRE(fd);
    REQUIRE(sys::resize(fd->get(), 10));
    auto mapping = sys::Mapping::of(fd->get(), sys::Access::read_write);
    REQUIRE(mapping);
    std::memcpy(mapping->data(), "0123456789", 10);
    CHECK_FALSE(mapping->resize(fd->get(), ~std::size_t{0} >> 1));
    CHECK(mapping->text() == "0123456789");
    CHECK(sys::size_of(fd->get()) == 10);
}

TEST_CASE("what is no memfd cannot be mapped or sealed") {
    auto ends = sys::pipe();
    REQUIRE(ends);
    CHECK_FALSE(sys::seal(ends->read.get()));
    CHECK(sys::create_memfd(std::string(300, 'x')).error().code == EINVAL);
    CHECK_FALSE(sys::Mapping::of(-1, sys::Access::read_only));
}
