// keepd dies at every instant of a put and of a compaction: what is loaded is the old or the new, never neither.
#include <doctest/doctest.h>

#include "daemon/checkpoint/form.hpp"
#include "tests/host/checkpoint_support.hpp"

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

namespace {

// The bytes before and after one put, and where they differ.
struct OnePut {
    std::string before, after;
    std::size_t from = 0, to = 0; // the record's place in the file
    Records old_records, new_records;

    OnePut() {
        Live live = *Live::create({1, 0, "writer", "id"});
        (void)live.put("daemon", "the daemon's record");
        (void)live.put("program/db", "untouched");
        (void)live.put("program/web", "the former state of web");
        before = bytes_of(live);
        const Live::Size size = live.size();
        from = form::page_size + size.living + size.stale;
        (void)live.put("program/web", "the next state of web, which is longer");
        after = bytes_of(live);
        to = from + form::record_size(std::string_view("program/web").size(), 38);
        old_records = load(before)->records;
        new_records = load(after)->records;
    }
    bool is_old_or_new(const keep::Result<Loaded>& loaded) const {
        return loaded && (loaded->records == old_records || loaded->records == new_records);
    }
};

} // namespace

TEST_CASE("the put changes exactly its record's place") {
    const OnePut put;
    REQUIRE(put.before.size() == put.after.size());
    CHECK(put.before.substr(0, put.from) == put.after.substr(0, put.from));
    CHECK(put.before.substr(put.to) == put.after.substr(put.to));
    CHECK(put.old_records != put.new_records);
    CHECK(put.new_records.at("program/web") == "the next state of web, which is longer");
}

TEST_CASE("a put that stops at any byte, in the order of its stores, leaves the old record") {
    const OnePut put;
    // Body and checksum first, the first word last and in one store.
    for (std::size_t end = put.from + 8; end <= put.to; ++end) {
        std::string torn = put.before;
        torn.replace(put.from + 8, end - put.from - 8, put.after, put.from + 8, end - put.from - 8);
        const auto loaded = load(torn);
        REQUIRE(loaded);
        CHECK(loaded->records == put.old_records);
        CHECK(loaded->torn == 0);
    }
}

TEST_CASE("a put of which only the first bytes arrived leaves the old or the new record") {
    const OnePut put;
    int old = 0;
    for (std::size_t end = put.from; end < put.to; ++end) {
        std::string torn = put.before;
        torn.replace(put.from, end - put.from, put.after, put.from, end - put.from);
        const auto loaded = load(torn);
        CHECK(put.is_old_or_new(loaded));
        if (loaded && loaded->records == put.old_records) ++old;
    }
    CHECK(old > 40);
}

TEST_CASE("a damaged byte anywhere in the last record leaves the old one and is told") {
    const OnePut put;
    int told = 0;
    for (std::size_t at = put.from; at < put.to; ++at)
        for (const int flip : {0x01, 0x80, 0xFF}) {
            std::string damaged = put.after;
            damaged[at] = static_cast<char>(damaged[at] ^ flip);
            const auto loaded = load(damaged);
            CHECK(put.is_old_or_new(loaded));
            if (loaded && loaded->records == put.old_records) told += loaded->torn == 1;
        }
    CHECK(told > 100);
}

TEST_CASE("a file cut at any byte of the last record leaves the old one") {
    const OnePut put;
    for (std::size_t length = put.from; length < put.to; ++length) {
        const std::string cut = put.after.substr(0, length); // a buffer of its own: the sanitizer sees one byte too far
        CHECK(put.is_old_or_new(load(cut)));
    }
}

TEST_CASE("a crash at any instant of a compaction finds every record") {
    Live live = *Live::create({1, 0, "writer", "id"});
    Records expected;
    std::map<std::string, int, std::less<>> steps;
    std::size_t wrong = 0;
    live.observe_compaction([&](std::string_view step) {
        ++steps[std::string(step)];
        const auto loaded = load(bytes_of(live));
        if (!loaded || loaded->records != expected || loaded->torn != 0) ++wrong;
    });
    Random random(6);
    for (int round = 0; live.size().compactions < 6; ++round) {
        const std::string key = "program/" + std::to_string(random() % 60);
        std::string bytes(200 + random() % 1500, static_cast<char>(random()));
        if (random() % 10 == 0) {
            REQUIRE(live.erase(key));
            expected.erase(key);
        } else {
            REQUIRE(live.put(key, bytes));
            expected[key] = std::move(bytes);
        }
        REQUIRE(round < 100'000);
    }
    CHECK(wrong == 0);
    CHECK(steps["switched"] == 6);
    CHECK(steps["cleared"] == 6);
    CHECK(steps["copied"] > 200);
}

TEST_CASE("the switch between the halves is one aligned word") {
    static_assert(form::active_offset % 8 == 0);
    Live live = *Live::create({1, 0, "writer", "id"});
    Records expected;
    std::string before;
    std::size_t checked = 0;
    live.observe_compaction([&](std::string_view step) {
        const std::string now = bytes_of(live);
        if (step == "switched") {
            std::string with_old_word = now;
            with_old_word.replace(form::active_offset, 8, before, form::active_offset, 8);
            CHECK(with_old_word == before);
            CHECK(now != before);
            ++checked;
        }
        before = now;
    });
    for (int i = 0; live.size().compactions < 2; ++i)
        REQUIRE(live.put("k" + std::to_string(i % 5), std::string(3000, static_cast<char>('a' + i % 26))));
    CHECK(checked == 2);
}
