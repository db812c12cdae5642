// In which format an image is told the state.
#include <doctest/doctest.h>

#include "daemon/checkpoint/format.hpp"
#include "daemon/upgrade/format_choice.hpp"

using keepd::upgrade::choose_format;
using keepd::upgrade::Format;

namespace {

std::string refusal(std::string_view formats) {
    const auto chosen = choose_format(formats, {2, 3});
    return chosen ? "accepted" : chosen.error().message;
}

} // namespace

TEST_CASE("the highest format that both know is written") {
    CHECK(choose_format("2.3", {2, 3}) == Format{2, 3});
    CHECK(choose_format("2.1", {2, 3}) == Format{2, 1}); // an older one
    CHECK(choose_format("2.9", {2, 3}) == Format{2, 3}); // a newer one
    CHECK(choose_format("2.0", {2, 3}) == Format{2, 0});
    CHECK(choose_format("1.9,2.2,3.0", {2, 3}) == Format{2, 2});
    CHECK(choose_format("3.0,2.12", {2, 3}) == Format{2, 3});
    CHECK(choose_format("2.10", {2, 9}) == Format{2, 9}); // numbers, not text
}

TEST_CASE("an image with the note of this one is written to in this one's format") {
    CHECK(choose_format(KEEPD_FORMAT) == Format{keepd::checkpoint::format_major, keepd::checkpoint::format_minor});
}

TEST_CASE("an image that reads nothing that we write is refused in a sentence") {
    CHECK(refusal("1.9") == "it reads the saved state in format 1.9 alone, and this keepd writes 2.3");
    CHECK(refusal("1.9,3.0") == "it reads the saved state in format 1.9,3.0 alone, and this keepd writes 2.3");
}

TEST_CASE("a note that makes no sense is refused, and shown without what would steer a terminal") {
    CHECK(refusal("2") == "its note says that it reads the format '2', which is none");
    CHECK(refusal("2.x") == "its note says that it reads the format '2.x', which is none");
    CHECK(refusal("2.3,,") == "its note says that it reads the format '', which is none");
    CHECK(refusal("2.-1") == "its note says that it reads the format '2.-1', which is none");
    CHECK(refusal("2.99999999999") == "its note says that it reads the format '2.99999999999', which is none");
    CHECK(refusal("2.\x1b[31m") == "its note says that it reads the format '2.?[31m', which is none");
}
