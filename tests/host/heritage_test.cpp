// What a program inherits is what keepd was started with, unless its config says otherwise.
#include <algorithm>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/host/heritage.hpp"

using keep::exec::SysProcAttr;
using keepd::config::Program;
using keepd::host::Heritage;
using keepd::host::Origins;
using keepd::host::own_attributes;

namespace {

constexpr keep::Time now{};

const rlimit* limit_in(const SysProcAttr& given, int resource) {
    const auto found = std::ranges::find(given.limits, resource, [](const auto& limit) { return limit.resource; });
    return found == given.limits.end() ? nullptr : &found->value;
}

SysProcAttr given_by(Heritage& heritage, const Program& program = {}) {
    SysProcAttr given;
    heritage.give(program, given, now);
    return given;
}

keep::exec::SpawnSpec spec_with(const SysProcAttr& given) {
    keep::exec::SpawnSpec spec;
    spec.path = "/bin/true";
    spec.sys = given;
    return spec;
}

} // namespace

TEST_CASE("what keepd still has is not set again: a start costs no more for it") {
    Heritage heritage(Origins{{}, own_attributes()});
    CHECK(given_by(heritage) == SysProcAttr{});
}

TEST_CASE("what keepd has lost is set, what the config says wins, and what is not known stays") {
    Origins origins{{}, own_attributes()};
    CHECK(origins.attributes.limits.size() == 16);
    origins.attributes.limits["core"] = {123, 456};
    origins.attributes.limits["nofile"] = {50, 60};
    origins.attributes.nice = *origins.attributes.nice + 1;
    origins.attributes.oom_score_adjust.reset();
    origins.attributes.cpus = {0, 5};
    Heritage heritage(origins);
    const auto plain = given_by(heritage);
    CHECK(plain.limits.size() == 2);
    REQUIRE(limit_in(plain, RLIMIT_CORE) != nullptr);
    CHECK(limit_in(plain, RLIMIT_CORE)->rlim_cur == 123);
    CHECK(limit_in(plain, RLIMIT_CORE)->rlim_max == 456);
    CHECK(plain.nice == origins.attributes.nice);
    CHECK_FALSE(plain.oom_score_adjust);
    CHECK(plain.cpu_affinity == std::vector{0, 5});

    Program program;
    program.nice = 7;
    program.limits["core"] = {keepd::config::Limit::infinity, keepd::config::Limit::infinity};
    const auto own = given_by(heritage, program);
    CHECK(own.limits.size() == 2);
    CHECK(limit_in(own, RLIMIT_CORE)->rlim_cur == RLIM_INFINITY);
    CHECK(limit_in(own, RLIMIT_NOFILE)->rlim_max == 60);
    CHECK(own.nice == 7);
}

TEST_CASE("keepd's own values are looked up again when some time has passed") {
    Origins origins{{}, own_attributes()};
    Heritage heritage(origins);
    CHECK_FALSE(limit_in(given_by(heritage), RLIMIT_CORE));
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_CORE, &before) == 0);
    const rlimit other{before.rlim_cur == 0 ? 1 : before.rlim_cur - 1, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_CORE, &other) == 0);
    CHECK_FALSE(limit_in(given_by(heritage), RLIMIT_CORE)); // in the same instant
    SysProcAttr given;
    heritage.give({}, given, now + std::chrono::seconds(1));
    REQUIRE(limit_in(given, RLIMIT_CORE) != nullptr);
    CHECK(limit_in(given, RLIMIT_CORE)->rlim_cur == before.rlim_cur);
    REQUIRE(setrlimit(RLIMIT_CORE, &before) == 0);
}

TEST_CASE("what can't be had back is done without, as far as the config does not ask for it, and told once") {
    Origins origins{{}, own_attributes()};
    origins.attributes.cpus = {1000};                                           // no such CPU here
    origins.attributes.limits["nofile"] = {10, keepd::config::Limit::infinity}; // more than fs.nr_open
    Heritage heritage(origins);
    for (int start = 0; start < 2; ++start) {
        auto spec = spec_with(given_by(heritage));
        auto process = keep::exec::spawn(spec);
        int refusals = 0;
        for (; !process && heritage.do_without({}, process.error(), spec.sys); ++refusals)
            process = keep::exec::spawn(spec);
        CHECK(refusals == 2);
        REQUIRE(process);
        CHECK(process->wait());
        REQUIRE(limit_in(spec.sys, RLIMIT_NOFILE) != nullptr); // as much as there is
        CHECK(limit_in(spec.sys, RLIMIT_NOFILE)->rlim_cur == 10);
        CHECK(heritage.take_losses() ==
              (start == 0 ? std::vector<std::string>{"CPU affinity", "limit nofile"} : std::vector<std::string>{}));
    }
    Program program;
    program.limits["nofile"] = origins.attributes.limits["nofile"];
    auto spec = spec_with(given_by(heritage, program));
    spec.sys.cpu_affinity.clear();
    const auto process = keep::exec::spawn(spec);
    REQUIRE_FALSE(process);
    CHECK_FALSE(heritage.do_without(program, process.error(), spec.sys)); // the operator is told that
}
