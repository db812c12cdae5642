// Each field that a manifest lists is changed, alone and all together, written as an upgrade writes it, and read by
// real images: they have to rebuild the very same state, which their digest tells. The changes are made from the
// manifests, so that no field can be forgotten here.
#include <cstdlib>
#include <doctest/doctest.h>
#include <string>
#include <unistd.h>
#include <variant>
#include <vector>

#include <keep/exec/spawn.hpp>

#include "daemon/upgrade/rehearsal_answer.hpp"
#include "daemon/upgrade/state_file.hpp"
#include "lib/sys/fd.hpp"
#include "tests/host/manifest_support.hpp"

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

namespace {

// What one keepd-to-be answers to a rehearsal of that state.
keep::Result<upgrade::Answer> ask(const char* image, int state_fd) {
    auto out = keep::sys::pipe();
    REQUIRE(out);
    keep::exec::SpawnSpec spec;
    spec.path = image;
    spec.argv = {image, "--rehearse=3"};
    spec.stdio = {keep::exec::null_device, out->write.get(), out->write.get()};
    spec.extra_fds = {{state_fd, 3}};
    auto process = keep::exec::spawn(spec);
    REQUIRE(process);
    out->write.reset();
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = read(out->read.get(), buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    REQUIRE(process->wait());
    auto answer = upgrade::parse_answer(text);
    if (!answer) return keep::fail(text);
    return answer;
}

// Images in turn: with the full counts each of them reads everything.
class Images {
  public:
    void read(const Whole& whole, const std::string& before) {
        const std::string expected = upgrade::digest(whole.state, {}, whole.handoff);
        CHECK(expected != before);
        const auto fd = sealed(whole);
        for (std::size_t i = 0; i < (full_ ? paths_.size() : 1); ++i) {
            const auto answer = ask(paths_[next_++ % paths_.size()].c_str(), fd.get());
            REQUIRE_MESSAGE(answer, answer.error().message);
            CHECK(answer->digest == expected);
            CHECK(answer->programs == whole.state.programs.size());
        }
    }

  private:
    const std::vector<std::string> paths_{std::getenv("KEEPD"), std::getenv("KEEPD_B")};
    const bool full_ = std::getenv("KEEPD_FULL") != nullptr;
    std::size_t next_ = 0;
};

// A keepd with one program and a handoff, everything at its default but what the decoder insists on.
Whole plain() {
    Whole whole;
    core::Program program;
    program.run.value = 5;
    whole.state.daemon.next_run = 10; // so that a change of it to 0 is one, when it has been made to keep its promise
    settle(whole, program);
    return whole;
}

// decode(encode(x)) == x, and encode(decode(bytes)) == bytes.
void comes_back(const Whole& whole) {
    const Records records = records_of(whole);
    Records state_records = records;
    state_records.erase(upgrade::handoff_key);
    const auto state = decode(state_records);
    REQUIRE_MESSAGE(state, state.error().message);
    CHECK(*state == whole.state);
    const auto handoff = restore<upgrade::Handoff>(records.at(upgrade::handoff_key));
    REQUIRE_MESSAGE(handoff, handoff.error().message);
    CHECK(*handoff == whole.handoff);
    CHECK(records_of({*state, *handoff}) == records);
}

// Calls with plain() but for one change, for each change of each field.
template <class Look>
std::size_t for_each_change(const Look& look) {
    std::size_t count = 0;
    for (const auto& change : changes<core::Daemon>()) {
        Whole whole = plain();
        change(whole.state.daemon);
        settle(whole, whole.state.programs.begin()->second);
        look(whole);
        ++count;
    }
    for (const auto& change : changes<core::Program>()) {
        Whole whole = plain();
        core::Program program = whole.state.programs.begin()->second;
        change(program);
        settle(whole, program);
        look(whole);
        ++count;
    }
    for (const auto& change : changes<upgrade::Handoff>()) {
        Whole whole = plain();
        change(whole.handoff);
        look(whole);
        ++count;
    }
    return count;
}

} // namespace

TEST_CASE("each field of the state and of the handoff, changed alone, is read by a real image as it was meant") {
    const std::string before = upgrade::digest(plain().state, {}, plain().handoff);
    Images images;
    const std::size_t count = for_each_change([&](const Whole& whole) { images.read(whole, before); });
    CHECK(count > 400);
}

TEST_CASE("all fields at once, each phase and each word in turn, are read by a real image as they were meant") {
    const std::string before = upgrade::digest(plain().state, {}, plain().handoff);
    Images images;
    for (std::size_t turn = 0; turn < std::variant_size_v<core::Phase>; ++turn) {
        Whole whole;
        Marks marks;
        marks.turn = turn;
        mark(whole.state.daemon, marks);
        mark(whole.handoff, marks);
        core::Program program;
        mark(program, marks);
        settle(whole, program);
        images.read(whole, before);
        comes_back(whole);
    }
    const Whole all{marked_state(), marked_handoff()};
    images.read(all, before);
    comes_back(all);
}

TEST_CASE("each changed value comes back as it was, and goes out as the same bytes") {
    comes_back(plain());
    for_each_change(comes_back);
}
