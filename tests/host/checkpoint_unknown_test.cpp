// What a newer image wrote, through an older one and back.
#include <doctest/doctest.h>

#include "daemon/checkpoint/unknown.hpp"
#include "tests/host/checkpoint_support.hpp"

// Two versions of one format: the newer one knows a field more in each place.
namespace older {
struct Part {
    int a = 0;
    bool operator==(const Part&) const = default;
};
struct Whole {
    Part part;
    Part replaced; // as a whole
    std::vector<Part> list;
    std::map<std::string, Part> map;
    std::optional<Part> maybe;
    std::variant<Part> choice;
    bool operator==(const Whole&) const = default;
};
} // namespace older
namespace newer {
struct Part {
    int a = 0;
    std::string added; // sorts behind `a`
    int Early = 0;     // and before it
    bool operator==(const Part&) const = default;
};
struct Whole {
    Part part, replaced;
    std::vector<Part> list;
    std::map<std::string, Part> map;
    std::optional<Part> maybe;
    std::variant<Part> choice;
    int mountain = 0; // sorts amidst the others
    bool operator==(const Whole&) const = default;
};
} // namespace newer

namespace {

using keepd::checkpoint::whole;

template <class T, class V>
constexpr void fields_of_whole(T& self, V& visit) {
    visit("part", self.part);
    visit("replaced", self.replaced, whole);
    visit("list", self.list);
    visit("map", self.map);
    visit("maybe", self.maybe);
    visit("choice", self.choice);
}

} // namespace

namespace older {
constexpr std::string_view alternative_word(const Part*) {
    return "part";
}
template <class V>
constexpr void fields(Part& self, V& visit) {
    visit("a", self.a);
}
template <class V>
constexpr void fields(Whole& self, V& visit) {
    fields_of_whole(self, visit);
}
} // namespace older
namespace newer {
constexpr std::string_view alternative_word(const Part*) {
    return "part";
}
template <class V>
constexpr void fields(Part& self, V& visit) {
    visit("a", self.a);
    visit("added", self.added);
    visit("Early", self.Early);
}
template <class V>
constexpr void fields(Whole& self, V& visit) {
    fields_of_whole(self, visit);
    visit("mountain", self.mountain);
}

Whole sample() {
    const Part part{1, "new", 5};
    return {part, part, {part, Part{2, "other", 0}}, {{"k", part}}, part, part, 8};
}
} // namespace newer

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

TEST_CASE("unknown optional fields go out again byte for byte, at every depth") {
    const std::string bytes = save(newer::sample());
    Kept kept;
    const auto old = restore<older::Whole>(bytes, &kept);
    REQUIRE(old);
    CHECK(kept.size() == 8);
    CHECK(save(*old, &kept) == bytes);
    CHECK(restore<newer::Whole>(save(*old, &kept)) == newer::sample());
}

TEST_CASE("without a place to keep them they are dropped, and the rest is read") {
    const auto old = restore<older::Whole>(save(newer::sample()));
    REQUIRE(old);
    CHECK(old->part.a == 1);
    CHECK(save(*old) == save(*restore<older::Whole>(save(*old))));
}

TEST_CASE("unknown fields stay while what is known of their struct changes") {
    Kept kept;
    auto old = *restore<older::Whole>(save(newer::sample()), &kept);
    old.part.a = 100;
    auto expected = newer::sample();
    expected.part.a = 100;
    CHECK(restore<newer::Whole>(save(old, &kept)) == expected);
    old.part.a = 0; // as its default: left out, were it not for what is kept
    expected.part.a = 0;
    CHECK(restore<newer::Whole>(save(old, &kept)) == expected);
}

TEST_CASE("unknown fields do not wander to values that took the place of theirs") {
    Kept kept;
    auto old = *restore<older::Whole>(save(newer::sample()), &kept);
    old.replaced.a = old.list[0].a = old.maybe->a = 100;
    old.choice = older::Part{100};
    auto expected = newer::sample();
    expected.replaced = expected.list[0] = *expected.maybe = newer::Part{100, "", 0};
    expected.choice = newer::Part{100, "", 0};
    CHECK(restore<newer::Whole>(save(old, &kept)) == expected);
}

TEST_CASE("the state's own records keep theirs beside the state") {
    core::State state;
    state.programs["web"].spec.name = "web";
    Records records = encode(state);
    records["daemon"] += raw_field("zz", false, "of a newer keepd");
    records["program/web"] += raw_field("zz", false, "too");
    Unknown kept;
    const auto read = decode(records, kept);
    REQUIRE(read);
    CHECK(*read == state);
    CHECK(encode(*read, kept) == records);
    CHECK(encode(read->daemon, kept) == records["daemon"]);
    CHECK(encode(read->programs.at("web"), kept) == records["program/web"]);
    CHECK(encode(*read) == encode(state));

    kept.forget("program/web");
    CHECK(encode(read->programs.at("web"), kept) == encode(state.programs.at("web")));
}

TEST_CASE("any state with unknown fields strewn in comes through unchanged") {
    Random random(2);
    for (int round = 0; round < 200; ++round) {
        Records records = encode(random_state(random));
        for (auto& [key, bytes] : records) {
            bytes.insert(0, raw_field("A", false, std::string(random() % 300, 'q'))); // capitals sort first
            bytes += raw_field("zz", false, "z");
        }
        Unknown kept;
        const auto read = decode(records, kept);
        REQUIRE_MESSAGE(read, read.error().message);
        CHECK(encode(*read, kept) == records);
    }
}
