// Descriptors that lie in a queue: they stay there until they are taken out, and what they refer to lives meanwhile.
#include <doctest/doctest.h>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "lib/sys/parcel.hpp"

using namespace keep::sys;

namespace {

std::size_t count_of(int out) {
    const auto parcels = peek_parcels(out);
    REQUIRE(parcels);
    return parcels->size();
}

} // namespace

TEST_CASE("a look takes nothing out, in whatever process it is taken again") {
    auto queue = parcel_queue(1 << 20);
    REQUIRE(queue);
    auto pipe = keep::sys::pipe();
    const int ends[] = {pipe->read.get(), pipe->write.get()};
    REQUIRE(send_parcel(queue->in.get(), "first", ends));
    REQUIRE(send_parcel(queue->in.get(), "second", {}));
    pipe->read.reset();
    pipe->write.reset(); // the queue alone holds it now

    for (int look = 0; look < 3; ++look) {
        const auto parcels = peek_parcels(queue->out.get());
        REQUIRE(parcels);
        REQUIRE(parcels->size() == 2);
        CHECK((*parcels)[0].bytes == "first");
        CHECK((*parcels)[0].bytes.capacity() < 100); // thousands are held at once
        CHECK((*parcels)[1].bytes == "second");
        CHECK((*parcels)[1].fds.empty());
        REQUIRE((*parcels)[0].fds.size() == 2);
        char byte = 0;
        REQUIRE(::write((*parcels)[0].fds[1].get(), "x", 1) == 1);
        REQUIRE(::read((*parcels)[0].fds[0].get(), &byte, 1) == 1);
    }
    REQUIRE(send_parcel(queue->in.get(), "third", {}));
    CHECK(count_of(queue->out.get()) == 3);
    REQUIRE(empty_parcels(queue->out.get()));
    CHECK(count_of(queue->out.get()) == 0);
}

TEST_CASE("what is taken out is closed") {
    auto queue = parcel_queue(1 << 20);
    auto pipe = keep::sys::pipe(O_NONBLOCK);
    const int write_end[] = {pipe->write.get()};
    REQUIRE(send_parcel(queue->in.get(), "w", write_end));
    pipe->write.reset();
    char byte = 0;
    CHECK(::read(pipe->read.get(), &byte, 1) < 0); // it has a writer: the queue
    CHECK(errno == EAGAIN);
    REQUIRE(empty_parcels(queue->out.get()));
    CHECK(::read(pipe->read.get(), &byte, 1) == 0);
}

TEST_CASE("a full queue says so and keeps what it has") {
    auto queue = parcel_queue(1);
    REQUIRE(queue);
    std::size_t sent = 0;
    keep::Result<> last;
    while ((last = send_parcel(queue->in.get(), std::string(1000, 'x'), {})))
        ++sent;
    CHECK(last.error().code == EAGAIN);
    REQUIRE(sent > 0);
    CHECK(count_of(queue->out.get()) == sent);
    CHECK_FALSE(send_parcel(queue->in.get(), "", {}));
    CHECK_FALSE(send_parcel(queue->in.get(), "x", std::vector<int>(most_descriptors + 1, 0)));
}

TEST_CASE("as many descriptors as a message holds come back in their order") {
    auto queue = parcel_queue(1 << 20);
    std::vector<Pipe> pipes;
    std::vector<int> fds;
    for (std::size_t i = 0; i < most_descriptors; ++i) {
        pipes.push_back(std::move(*keep::sys::pipe()));
        fds.push_back(pipes.back().read.get());
    }
    REQUIRE(send_parcel(queue->in.get(), "many", fds));
    const auto parcels = peek_parcels(queue->out.get());
    REQUIRE(parcels);
    REQUIRE((*parcels)[0].fds.size() == most_descriptors);
    for (std::size_t i = 0; i < most_descriptors; ++i)
        CHECK(*identify((*parcels)[0].fds[i].get()) == *identify(fds[i]));
}
