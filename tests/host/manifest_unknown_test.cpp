// What a newer image handed over beside what this one knows: kept, told, or refused by name.
#include <doctest/doctest.h>
#include <fcntl.h>

#include "daemon/upgrade/state_file.hpp"
#include "lib/sys/fd.hpp"
#include "tests/host/manifest_support.hpp"

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

namespace {

keep::sys::Fd sealed(const Records& records) {
    return *Live::create({})->sealed_copy(records);
}

keep::Result<upgrade::Resumed> read(const Records& records) {
    return upgrade::read_state(sealed(records).get());
}

std::string refusal(const Records& records) {
    const auto state = read(records);
    return state ? "accepted" : state.error().message;
}

// The records that go on from there, as the next upgrade writes them.
Records written_by(const upgrade::Resumed& resumed) {
    Records records = encode(resumed.state, resumed.unknown);
    records.merge(upgrade::encode(resumed.handoff, resumed.unknown));
    return records;
}

upgrade::CarriedFd listed(int fd) {
    const auto identity = keep::sys::identify(fd);
    return {fd, identity->device, identity->inode, identity->type};
}

// The handoff's bytes with one stream, and a further field in that stream.
std::string with_odd_stream(std::string_view stream_field) {
    logs::StreamState stream;
    stream.id = "web/stdout";
    codec::Writer list;
    const std::size_t at = list.begin();
    list.bytes(save(stream) + std::string(stream_field));
    list.end(at);
    return raw_field("streams", false, list.out);
}

} // namespace

TEST_CASE("a rehearsal hands back all that it does not know: its digest is the writer's") {
    Records records = records_of({marked_state(), marked_handoff()});
    for (auto& [key, bytes] : records)
        bytes += raw_field("zz", false, "of a newer keepd");
    const auto resumed = read(records);
    REQUIRE_MESSAGE(resumed, resumed.error().message);
    CHECK(written_by(*resumed) == records);
    CHECK(upgrade::digest(resumed->state, resumed->unknown, resumed->handoff) == digest(records));
}

TEST_CASE("an unknown critical field is refused by its record and its name, in the handoff as well") {
    Records records = records_of({marked_state(), marked_handoff()});
    records["program/program3"] += raw_field("zeal", true, "3");
    CHECK(refusal(records) == "program/program3: unknown critical field 'zeal'");

    records = records_of({marked_state(), {}});
    records[upgrade::handoff_key] += raw_field("zeal", true, "3");
    CHECK(refusal(records) == "handoff: unknown critical field 'zeal'");
    records[upgrade::handoff_key] = with_odd_stream(raw_field("zeal", true, "3"));
    CHECK(refusal(records) == "handoff: streams[0]: unknown critical field 'zeal'");
}

TEST_CASE(
    "of the handoff, what is true for good is carried on, and what was true at one exec alone ends, and is named") {
    Records records = records_of({marked_state(), {}});
    const std::string fact = raw_field("zz", false, "since the first start");
    records[upgrade::handoff_key] = with_odd_stream(raw_field("mood", false, "calm")) + fact;
    auto resumed = *read(records);
    CHECK(upgrade::carry_along(resumed) == std::vector<std::string>{"streams[0]"});
    CHECK(written_by(resumed)[upgrade::handoff_key] == with_odd_stream("") + fact);
    CHECK(upgrade::encode({}, resumed.unknown)[upgrade::handoff_key] == fact); // of another exec
}

TEST_CASE("descriptors that only unknown fields can name go along with them") {
    const auto pipe = keep::sys::pipe();
    Whole whole{marked_state(), {}};
    whole.handoff.control.listener = pipe->read.get();
    whole.handoff.descriptors = {listed(pipe->write.get()), listed(pipe->read.get())};
    Records records = records_of(whole);

    auto plain = *read(records);
    REQUIRE(upgrade::verify_descriptors(plain.handoff));
    CHECK(upgrade::carry_along(plain).empty());
    CHECK(plain.unclaimed.empty()); // nobody's: a stranger
    CHECK(plain.handoff.descriptors == std::vector{listed(pipe->read.get())});

    records[upgrade::handoff_key] += raw_field("zz", false, "names it");
    auto carried = *read(records);
    REQUIRE(upgrade::verify_descriptors(carried.handoff));
    CHECK(upgrade::carry_along(carried).empty());
    CHECK(carried.unclaimed == std::vector{listed(pipe->write.get())});
    CHECK(carried.handoff.descriptors == std::vector{listed(pipe->read.get())});
}

TEST_CASE("a descriptor that is used and not listed is refused") {
    const auto pipe = keep::sys::pipe();
    upgrade::Handoff handoff;
    handoff.control.listener = pipe->read.get();
    const auto verified = upgrade::verify_descriptors(handoff);
    REQUIRE_FALSE(verified);
    CHECK(verified.error().message.find("is used, but was not handed over") != std::string::npos);
}
