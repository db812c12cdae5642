// When a file at a path counts as another binary: judged from looks alone.
#include <doctest/doctest.h>
#include <string>

#include "daemon/upgrade/coming_to_rest.hpp"

using keepd::core::FileIdentity;
using keepd::core::Time;
using keepd::upgrade::ComingToRest;
using namespace std::chrono_literals;

namespace {

constexpr Time start{1h};
const FileIdentity known{.inode = 1, .size = 100};
const FileIdentity other{.inode = 2, .size = 100};
const FileIdentity third{.inode = 3, .size = 100};

FileIdentity grown(FileIdentity file) {
    file.size += 10;
    return file;
}

} // namespace

TEST_CASE("two looks a while apart that see the same other file") {
    ComingToRest rest(known);
    CHECK(rest.stirred(other, start) == start + ComingToRest::pause);
    CHECK(rest.still(other));
    SUBCASE("it is reported once") {
        CHECK_FALSE(rest.stirred(other, start + 1s));
        CHECK_FALSE(rest.still(other));
    }
    SUBCASE("and again when something of it has changed") {
        FileIdentity mended = other;
        mended.mode = 0755;
        CHECK(rest.stirred(mended, start + 1s));
        CHECK(rest.still(mended));
    }
    SUBCASE("and the one before is news again") {
        CHECK(rest.stirred(known, start + 1s));
        CHECK(rest.still(known));
        CHECK(rest.stirred(other, start + 2s));
    }
    SUBCASE("a short visit of the one before is none") {
        CHECK(rest.stirred(known, start + 1s));
        CHECK_FALSE(rest.stirred(other, start + 1s));
        CHECK_FALSE(rest.still(other));
    }
}

TEST_CASE("no news: the known file, none, an empty one") {
    ComingToRest rest(known);
    CHECK_FALSE(rest.stirred(known, start));
    CHECK_FALSE(rest.stirred({}, start));
    CHECK_FALSE(rest.stirred(FileIdentity{.inode = 2}, start));
    CHECK_FALSE(rest.still({}));
    // Nothing is known: then each is another one.
    CHECK(ComingToRest({}).stirred(known, start));
}

TEST_CASE("what differs at the second look starts anew") {
    ComingToRest rest(known);
    CHECK(rest.stirred(other, start));
    CHECK_FALSE(rest.still(grown(other)));
    CHECK(rest.stirred(grown(other), start + 300ms) == start + 300ms + ComingToRest::pause);
    CHECK_FALSE(rest.still({}));
    CHECK_FALSE(rest.still(third));
    CHECK(rest.still(grown(other)));
}

TEST_CASE("something heard between the looks starts anew, even if it looks the same") {
    ComingToRest rest(known);
    CHECK(rest.stirred(other, start) == start + ComingToRest::pause);
    CHECK(rest.stirred(other, start + 200ms) == start + 200ms + ComingToRest::pause);
    CHECK(rest.still(other));
}

TEST_CASE("what is being written is not at rest, however long the writer pauses") {
    ComingToRest rest(known);
    rest.written();
    CHECK_FALSE(rest.stirred(other, start));
    CHECK_FALSE(rest.still(other));
    CHECK(rest.stirred(other, start).has_value() == false);
    rest.closed();
    CHECK(rest.stirred(other, start + 1min));
    SUBCASE("a writer who comes between the looks") {
        rest.written();
        CHECK_FALSE(rest.still(other));
    }
    SUBCASE("none does") {
        CHECK(rest.still(other));
    }
}
