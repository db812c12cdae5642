// The vaults: whatever instant keepd dies at, the one that counts holds a copy of each descriptor that lives.
#include <doctest/doctest.h>

#include <algorithm>

#include "daemon/upgrade/vault.hpp"
#include "lib/sys/fd.hpp"

using namespace keepd;
using upgrade::Found;
using upgrade::Item;
using upgrade::Slip;
using upgrade::Vaults;

namespace {

Item run_item(std::uint64_t run, int fd) {
    return {{.kind = Slip::Kind::run, .name = "web", .run = core::RunId{run}, .pid = static_cast<int>(1000 + run)},
            {fd}};
}

std::vector<std::uint64_t> runs_in(const Vaults& vaults) {
    const auto found = vaults.look();
    REQUIRE(found);
    std::vector<std::uint64_t> runs;
    for (const Found& one : *found)
        if (one.slip.kind == Slip::Kind::run) runs.push_back(one.slip.run.value);
    return runs;
}

// What the next keepd would find: the same queues, with the record that says which one counts.
Vaults after_a_crash(const Vaults& vaults, int active) {
    std::array<keep::sys::Fd, 4> ends;
    const auto numbers = vaults.descriptors();
    for (std::size_t i = 0; i < ends.size(); ++i)
        ends[i] = std::move(*keep::sys::duplicate(numbers[i]));
    return Vaults::adopt(std::move(ends), active);
}

} // namespace

TEST_CASE("what was parked is found as often as one looks, with its slip") {
    auto vaults = std::move(*Vaults::create());
    const auto pipe = keep::sys::pipe();
    Item stream{{.kind = Slip::Kind::stream, .name = "web/stdout", .target = {"/var/log/web.log", 100, 3}},
                {pipe->read.get(), pipe->write.get()}};
    REQUIRE(vaults.park(run_item(7, pipe->read.get())));
    REQUIRE(vaults.park(stream));
    for (int look = 0; look < 2; ++look) {
        const auto found = after_a_crash(vaults, vaults.active()).look();
        REQUIRE(found);
        REQUIRE(found->size() == 2);
        CHECK((*found)[0].slip.run == core::RunId{7});
        CHECK((*found)[0].slip.pid == 1007);
        CHECK((*found)[1].slip.name == "web/stdout");
        CHECK((*found)[1].slip.target == logs::Target{"/var/log/web.log", 100, 3});
        REQUIRE((*found)[1].fds.size() == 2);
        CHECK(*keep::sys::identify((*found)[1].fds[1].get()) == *keep::sys::identify(pipe->write.get()));
    }
}

TEST_CASE("a compaction loses nothing at any of its steps, and drops what is stale") {
    auto vaults = std::move(*Vaults::create());
    const auto pipe = keep::sys::pipe();
    std::vector<Item> living;
    for (std::uint64_t run = 1; run <= 600; ++run) {
        REQUIRE(vaults.park(run_item(run, pipe->read.get())));
        if (run % 2 == 0) living.push_back(run_item(run, pipe->read.get()));
    }
    std::vector<std::uint64_t> alive;
    for (const Item& item : living)
        alive.push_back(item.slip.run.value);
    for (int round = 0; round < 3; ++round) {
        const int before = vaults.active();
        const auto all = runs_in(vaults);
        REQUIRE(vaults.fill_other(living));
        // Killed here: the record still names the former one.
        CHECK(runs_in(after_a_crash(vaults, before)) == all);
        // Killed here: it names the other one already.
        CHECK(runs_in(after_a_crash(vaults, 1 - before)) == alive);
        vaults.switch_over();
        CHECK(vaults.active() == 1 - before);
        CHECK(runs_in(vaults) == alive);
        CHECK(runs_in(after_a_crash(vaults, before)).empty());
    }
    // A compaction that was cut short leaves what the next one clears first.
    REQUIRE(vaults.fill_other(std::span(living).first(10)));
    REQUIRE(vaults.fill_other(living));
    vaults.switch_over();
    CHECK(runs_in(vaults) == alive);
}

TEST_CASE("a parcel of somebody else's making is passed over") {
    auto vaults = std::move(*Vaults::create());
    const auto pipe = keep::sys::pipe();
    REQUIRE(keep::sys::send_parcel(vaults.descriptors()[0], "no slip at all", {}));
    REQUIRE(vaults.park(run_item(3, pipe->read.get())));
    CHECK(runs_in(vaults) == std::vector<std::uint64_t>{3});
}
