// The ladder's own choice, under filters like those of containers and kernels without the newer calls.
#include <doctest/doctest.h>

#include <cerrno>
#include <fcntl.h>

#include "tests/lib/exec_victim.hpp"

using namespace keep;
using namespace keep::test;

TEST_CASE("where clone3 and close_range are refused, children start all the same, and as clean") {
    for (const int clone3_code : {ENOSYS, EPERM, EINVAL, E2BIG}) {
        for (const int close_range_code : {ENOSYS, EPERM}) {
            CAPTURE(clone3_code);
            CAPTURE(close_range_code);
            exec::SpawnSpec spec = victim("refused", {std::to_string(clone3_code), std::to_string(close_range_code)});
            const Outcome outcome = run(spec);
            CAPTURE(outcome.output);
            CHECK(outcome.status.success());
            CHECK(descriptors(outcome.report()) == "0 1 2 9");
        }
    }
}

TEST_CASE("the same for a child that becomes another user, without harm to the parent's dumpable flag") {
    if (!is_root()) return;
    exec::SpawnSpec spec = victim("refused", {std::to_string(ENOSYS), std::to_string(ENOSYS), "0"});
    const Outcome outcome = run(spec);
    CAPTURE(outcome.output);
    CHECK(outcome.status.success());
    CHECK(outcome.report().at("gid") == "61234 61234 61234");
    CHECK(outcome.report().at("dumpable") == "1");
}

TEST_CASE("a refusal of clone3 that is no matter of rungs is reported, not papered over") {
    const Outcome outcome = run(victim("refused", {std::to_string(ENOMEM), std::to_string(ENOSYS)}));
    CHECK(outcome.status == ExitStatus::exited(1));
    CHECK(outcome.output.find(": cannot allocate memory") != std::string::npos);
}
