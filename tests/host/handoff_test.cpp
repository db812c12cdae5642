// A carried descriptor is believed only if it is what it was.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "daemon/upgrade/handoff.hpp"
#include "lib/sys/fd.hpp"

using namespace keepd::upgrade;

namespace {

Handoff with_stream(int read_end, int write_end) {
    Handoff handoff;
    keepd::logs::StreamState stream;
    stream.id = "web/stdout";
    stream.pipe_read = read_end;
    stream.pipe_write = write_end;
    handoff.streams.push_back(stream);
    return handoff;
}

} // namespace

TEST_CASE("descriptors that are what they were pass") {
    const auto pipe = keep::sys::pipe();
    auto handoff = with_stream(pipe->read.get(), pipe->write.get());
    handoff.descriptors = *identify_descriptors(handoff);
    CHECK(handoff.descriptors.size() == 2);
    CHECK(verify_descriptors(handoff).has_value());
}

TEST_CASE("a number that got another file, is closed, or is used twice is refused") {
    auto pipe = keep::sys::pipe();
    auto handoff = with_stream(pipe->read.get(), pipe->write.get());
    handoff.descriptors = *identify_descriptors(handoff);

    const int null_device = open("/dev/null", O_RDWR | O_CLOEXEC);
    REQUIRE(dup3(null_device, pipe->read.get(), O_CLOEXEC) == pipe->read.get());
    close(null_device);
    const auto stranger = verify_descriptors(handoff);
    REQUIRE_FALSE(stranger);
    CHECK(stranger.error().message.find("is not what was handed over (/dev/null)") != std::string::npos);

    const int number = pipe->write.get();
    pipe->write.reset();
    CHECK_FALSE(verify_descriptors(handoff));

    auto other = keep::sys::pipe();
    auto twice = with_stream(other->read.get(), other->read.get());
    twice.descriptors = *identify_descriptors(twice);
    const auto refused = verify_descriptors(twice);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("handed over twice") != std::string::npos);
    (void)number;
}

TEST_CASE("of thousands each is open, and those that are no program's are looked at") {
    Handoff handoff;
    std::vector<keep::sys::Pipe> pipes;
    for (int i = 0; i < 300; ++i) {
        pipes.push_back(std::move(*keep::sys::pipe()));
        keepd::logs::StreamState stream;
        stream.pipe_read = pipes.back().read.get();
        stream.pipe_write = pipes.back().write.get();
        handoff.streams.push_back(stream);
    }
    auto listener = keep::sys::pipe();
    handoff.control.listener = listener->read.get();
    handoff.descriptors = *identify_descriptors(handoff);
    CHECK(handoff.descriptors.size() == 1);
    CHECK(verify_descriptors(handoff).has_value());

    const int closed = pipes[217].read.get();
    pipes[217].read.reset();
    const auto missing = verify_descriptors(handoff);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.find("descriptor " + std::to_string(closed) + " ") != std::string::npos);
    handoff.streams.erase(handoff.streams.begin() + 217);
    CHECK(verify_descriptors(handoff).has_value());

    REQUIRE(dup3(listener->write.get(), listener->read.get(), O_CLOEXEC) >= 0);
    CHECK(verify_descriptors(handoff).has_value()); // the same pipe, as an inode
    REQUIRE(dup3(pipes[0].read.get(), listener->read.get(), O_CLOEXEC) >= 0);
    CHECK_FALSE(verify_descriptors(handoff));
}

TEST_CASE("descriptors that nobody handed over are closed and named, all others stay") {
    const auto kept = keep::sys::pipe();
    const int own = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int stranger = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    const auto handoff = with_stream(kept->read.get(), kept->write.get());
    const auto closed = close_strangers(handoff, {own});
    bool named = false;
    for (const auto& text : closed)
        named = named || text == std::to_string(stranger) + " (/dev/zero)";
    CHECK(named);
    CHECK(fcntl(stranger, F_GETFD) == -1);
    CHECK(fcntl(own, F_GETFD) >= 0);
    CHECK(fcntl(kept->read.get(), F_GETFD) >= 0);
    close(own);
}
