#include <doctest/doctest.h>

#include <cerrno>
#include <fcntl.h>

#include "lib/exec/replace.hpp"
#include "tests/lib/exec_victim.hpp"

using namespace keep;
using namespace keep::test;

TEST_CASE("a process becomes another image with the same pid, and hands on what it lists") {
    for (const std::string how : {"path", "fd"}) {
        CAPTURE(how);
        const Outcome outcome = run(victim("replace", {how}));
        CAPTURE(outcome.output);
        CHECK(outcome.status.success());
        const Report report = outcome.report();
        const std::string before = report.at("before"); // PID kept N dropped N
        CHECK(before.starts_with(report.at("pid") + " "));
        const std::string kept =
            before.substr(before.find("kept ") + 5, before.find(" dropped") - before.find("kept ") - 5);
        CHECK(descriptors(report) == "0 1 2 " + kept);
        CHECK(report.at("fd " + kept) == "/dev/zero");
        CHECK(report.at("args") == "renamed|--helper=report|after");
        CHECK(report.at("env") == "ONLY=this");
    }
}

TEST_CASE("a replacement that fails returns, names the image, and leaves close-on-exec as it was") {
    const Outcome outcome = run(victim("replace", {"failing"}));
    CHECK(outcome.status == ExitStatus::exited(3));
    const Report report = outcome.report();
    CHECK(report.at("error") == "replace by '/no/such/image': execve: No such file or directory");
    CHECK(report.at("code") == std::to_string(ENOENT));
    CHECK(report.at("kept_flags") == std::to_string(FD_CLOEXEC));
}

TEST_CASE("what cannot be handed over is refused before anything changes") {
    auto kept = sys::open("/dev/null", O_RDONLY);
    REQUIRE(kept);
    exec::Replacement with;
    with.path = "/bin/true";
    with.argv = {"true"};
    with.keep = {kept->get(), 888};
    CHECK(exec::replace(with).message == "replace by '/bin/true': keep descriptor 888: Bad file descriptor");
    CHECK(::fcntl(kept->get(), F_GETFD) == FD_CLOEXEC);
    with.keep.clear();
    with.argv.clear();
    CHECK(exec::replace(with).code == EINVAL);
    with.argv = {std::string("a\0b", 3)};
    CHECK(exec::replace(with).code == EINVAL);
    with.argv = {"true"};
    with.env = {std::string("A=\0", 3)};
    CHECK(exec::replace(with).code == EINVAL);
    with.env.clear();
    with.fd = 888;
    CHECK(exec::replace(with).code == EBADF);
}
