// The whole state through its saved form.
#include <cstdint>
#include <doctest/doctest.h>

#include "daemon/core/step.hpp"
#include "tests/core/random_history.hpp"
#include "tests/host/checkpoint_support.hpp"

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

namespace {

core::State one_program() {
    core::State state;
    state.programs["web"].spec.name = "web";
    return state;
}

std::string refusal(const Records& records) {
    const auto state = decode(records);
    return state ? "" : state.error().message;
}

} // namespace

TEST_CASE("a state comes back as it was, and encodes to the same bytes") {
    Random random(1);
    for (int round = 0; round < 500; ++round) {
        const core::State state = random_state(random);
        const Records records = encode(state);
        const auto again = decode(records);
        REQUIRE_MESSAGE(again, again.error().message);
        CHECK(*again == state);
        CHECK(encode(*again) == records);
        CHECK(digest(encode(*again)) == digest(records));
    }
}

TEST_CASE("each state that a random history of keepd goes through comes back as it was") {
    std::size_t states = 0;
    for (std::uint64_t seed = 1; seed <= 4; ++seed)
        core::test::for_each_random_state(seed, 500, [&](const core::State& state) {
            const Records records = encode(state);
            const auto again = decode(records);
            REQUIRE_MESSAGE(again, again.error().message);
            CHECK(*again == state);
            CHECK(core::next_deadline(*again) == core::next_deadline(state));
            CHECK(encode(*again) == records);
            ++states;
        });
    CHECK(states == 2000);
}

TEST_CASE("every field of a program travels") {
    const auto all = changes<core::Program>();
    CHECK(all.size() > 150);
    for (const auto& change : all) {
        core::Program program;
        change(program);
        const auto again = restore<core::Program>(encode(program));
        REQUIRE_MESSAGE(again, again.error().message);
        CHECK(*again == program);
        CHECK_FALSE(*again == core::Program{});
    }
}

TEST_CASE("every field of keepd itself travels") {
    for (const auto& change : changes<core::Daemon>()) {
        core::Daemon daemon;
        change(daemon);
        const auto again = restore<core::Daemon>(encode(daemon));
        REQUIRE_MESSAGE(again, again.error().message);
        CHECK(*again == daemon);
        CHECK_FALSE(*again == core::Daemon{});
    }
}

TEST_CASE("the agenda is rebuilt from the phases") {
    core::State state = one_program();
    state.programs["web"].phase = core::Backoff{core::Time(core::Duration(77))};
    const auto again = decode(encode(state));
    REQUIRE(again);
    CHECK(core::next_deadline(*again) == core::Time(core::Duration(77)));
}

TEST_CASE("records of other rooms are left alone") {
    Records records = encode(one_program());
    records["handoff"] = "anything at all";
    CHECK(decode(records) == one_program());
}

TEST_CASE("what the policy could not live with is refused by name") {
    const Records good = encode(one_program());
    Records records = good;
    records.erase("daemon");
    CHECK(refusal(records) == "no record 'daemon'");

    records = good;
    records["program/db"] = records["program/web"];
    CHECK(refusal(records) == "program/db: spec.name: not the record's own");

    records = good;
    records["program/web"] += raw_field("zzz", true, "");
    CHECK(refusal(records) == "program/web: unknown critical field 'zzz'");

    records["program/web"] = raw_field("phase", true, "\x07resting");
    CHECK(refusal(records) == "program/web: phase: unknown word 'resting'");

    core::State state = one_program();
    state.programs["web"].spec.stop.sequence.clear();
    CHECK(refusal(encode(state)) == "program/web: spec.stop.sequence: empty");

    state = one_program();
    state.programs["web"].run.value = state.daemon.next_run;
    CHECK(refusal(encode(state)) == "program/web: run: not below the next run's number");

    state = one_program();
    state.daemon.next_run = 9;
    state.programs["web"].phase = core::Running{{8}, 12, {}};
    CHECK(refusal(encode(state)) == "program/web: phase: a run newer than the newest");
}

TEST_CASE("the digest does not depend on the order of writing, and on everything else") {
    const Records records{{"a", "1"}, {"b", "2"}};
    auto live = *Live::create({});
    auto other = *Live::create({});
    REQUIRE(live.put("a", "1"));
    REQUIRE(live.put("b", "2"));
    REQUIRE(other.put("b", "0"));
    REQUIRE(other.put("a", "1"));
    REQUIRE(other.put("b", "2"));
    CHECK(digest(load(live.fd())->records) == digest(load(other.fd())->records));
    CHECK(digest(records) == digest(load(live.fd())->records));
    CHECK(digest(records).size() == 16);
    CHECK(digest(records) != digest({{"a", "1"}, {"b", "3"}}));
    CHECK(digest(records) != digest({{"a", "1"}, {"c", "2"}}));
    CHECK(digest({{"a", "12"}, {"b", ""}}) != digest({{"a", "1"}, {"b", "2"}}));
    CHECK(digest({{"a", ""}}) != digest({}));
}

TEST_CASE("JSON of a checkpoint names what can't be read instead of hiding it") {
    Records records = encode(one_program());
    records["program/db"] = "\x01";
    records["handoff"] = "12345";
    const std::string json = to_json(records);
    CHECK(json.find("\"error\": \"program/db: not a sequence of fields\"") != std::string::npos);
    CHECK(json.find("\"handoff\": {\n    \"bytes\": 5\n  }") != std::string::npos);
    CHECK(json.find("\"name\": \"web\"") != std::string::npos);
    CHECK(json.find("\"next_run\": 1") != std::string::npos);
}
