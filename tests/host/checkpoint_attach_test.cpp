// A live checkpoint that another process goes on with: what it held is there, whatever instant its keeper died at.
#include <cstdint>
#include <doctest/doctest.h>
#include <random>
#include <vector>

#include "lib/sys/memfd.hpp"
#include "tests/host/checkpoint_support.hpp"

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

namespace {

Live fresh() {
    return *Live::create({1, 0, "0.1.0", "abcdef"});
}

// A copy of its memory as it is at this instant: what a killed keepd would leave.
keep::sys::Fd as_it_is(const Live& live) {
    const std::string bytes = bytes_of(live);
    auto copy = keep::sys::create_memfd("copy");
    REQUIRE(copy);
    REQUIRE(keep::sys::write_all(copy->get(), bytes));
    return std::move(*copy);
}

Records held_by(const Live& live) {
    const auto loaded = load(live.fd());
    REQUIRE(loaded);
    CHECK(loaded->torn == 0);
    return loaded->records;
}

} // namespace

TEST_CASE("attached, it goes on as if it had never been left") {
    Live first = fresh();
    REQUIRE(first.put("a", "1"));
    Live live = std::move(*Live::attach(as_it_is(first)));
    Records expected{{"a", "1"}};
    std::minstd_rand random(7);
    for (int round = 0; round < 40; ++round) {
        for (int i = 0; i < 60; ++i) {
            const std::string key = "program/" + std::to_string(random() % 40);
            if (random() % 4 == 0) {
                REQUIRE(live.erase(key));
                expected.erase(key);
            } else {
                expected[key] = std::string(random() % 3000, static_cast<char>('a' + random() % 26));
                REQUIRE(live.put(key, expected[key]));
            }
        }
        auto next = Live::attach(as_it_is(live));
        REQUIRE(next);
        CHECK(held_by(*next) == expected);
        CHECK(next->size().keys == live.size().keys);
        CHECK(next->size().living == live.size().living);
        live = std::move(*next);
    }
    CHECK(live.size().compactions > 0);
}

TEST_CASE("killed at any step of a compaction, all is there and more can be put") {
    std::vector<keep::sys::Fd> instants;
    Live live = fresh();
    bool watching = false;
    live.observe_compaction([&](std::string_view) {
        if (watching) instants.push_back(as_it_is(live));
    });
    Records expected;
    for (int round = 0; instants.empty() || round % 50 != 0; ++round) {
        watching = round > 200;
        const std::string key = std::to_string(round % 5);
        const Records before = expected;
        expected[key] = std::string(2000, static_cast<char>('a' + round % 26));
        instants.clear();
        REQUIRE(live.put(key, expected[key]));
        for (auto& instant : instants) {
            auto next = Live::attach(std::move(instant));
            REQUIRE(next);
            CHECK(held_by(*next) == before);
            for (int more = 0; more < 300; ++more)
                REQUIRE(next->put("more", std::string(1000, static_cast<char>('A' + more % 26))));
            Records after = before;
            after["more"] = std::string(1000, static_cast<char>('A' + 299 % 26));
            CHECK(held_by(*next) == after);
        }
        if (!instants.empty()) break;
        REQUIRE(round < 5000);
    }
}

TEST_CASE("several changes are there together or not at all") {
    Live live = fresh();
    REQUIRE(live.put("a", "1"));
    REQUIRE(live.put("b", "1"));
    const Records before = held_by(live);
    int instants = 0;
    live.observe_compaction([&](std::string_view step) {
        if (step != "applied") return;
        const Records seen = held_by(live);
        CHECK((seen == before || seen == Records{{"a", "2"}, {"c", "3"}}));
        auto next = Live::attach(as_it_is(live));
        REQUIRE(next);
        REQUIRE(next->put("d", "4"));
        CHECK(held_by(*next).at("d") == "4");
        CHECK(held_by(*next).size() == seen.size() + 1);
        ++instants;
    });
    REQUIRE(live.apply({{"a", "2"}, {"b", std::nullopt}, {"c", "3"}, {"never there", std::nullopt}}));
    CHECK(instants == 3);
    CHECK(held_by(live) == Records{{"a", "2"}, {"c", "3"}});
    CHECK(live.size().keys == 2);
    REQUIRE(live.apply({{"a", "2"}}));
    CHECK(instants == 3); // the same again costs nothing
    CHECK_FALSE(live.apply({{"", "x"}}));
}

TEST_CASE("what is no live checkpoint is not attached to") {
    Live live = fresh();
    REQUIRE(live.put("a", "1"));
    CHECK_FALSE(Live::attach(std::move(*live.sealed_copy({}))));
    auto empty = keep::sys::create_memfd("empty");
    CHECK_FALSE(Live::attach(std::move(*empty)));
    auto noise = keep::sys::create_memfd("noise");
    REQUIRE(keep::sys::write_all(noise->get(), std::string(10'000, 'x')));
    CHECK_FALSE(Live::attach(std::move(*noise)));
    CHECK(*noise); // it is the caller's still
}
