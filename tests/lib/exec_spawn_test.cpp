#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "lib/sys/fd.hpp"
#include "lib/sys/pidfd.hpp"
#include "tests/lib/exec_victim.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

TEST_CASE("a child gets exactly the arguments and the environment given") {
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec = victim("report", {"", "a b", "\"quoted\"", "ü"});
        spec.env = {"A=1", "B=", "NOT_AN_ASSIGNMENT", "A=2"};
        const Report report = run(spec, rung.rung).report();
        CHECK(report.at("args") == "test-exec|--helper=report||a b|\"quoted\"|ü");
        CHECK(report.at("env") == "A=1|B=|NOT_AN_ASSIGNMENT|A=2");
    }
}

TEST_CASE("our own environment does not leak into a child") {
    ::setenv("KEEP_TEST_SECRET", "1", 1);
    CHECK(run(victim("report")).report().at("env").empty());
    ::unsetenv("KEEP_TEST_SECRET");
}

TEST_CASE("without arguments argv[0] is the path") {
    exec::SpawnSpec spec;
    spec.path = "/bin/cat";
    CHECK(run(spec).status.success());
}

TEST_CASE("a relative path counts from the child's directory") {
    const TemporaryDirectory dir;
    REQUIRE(::symlink("/bin/sh", (dir / "shell").c_str()) == 0);
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec;
        spec.path = "./shell";
        spec.argv = {"sh", "-c", "pwd"};
        spec.dir = dir.path();
        CHECK(run(spec, rung.rung).output == dir.path() + "\n");
    }
}

TEST_CASE("an open file is executed by its descriptor, also by one in the way of others") {
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec = victim("report");
        auto image = sys::open(spec.path, O_RDONLY);
        REQUIRE(image);
        spec.path = "only a name";
        spec.exec_fd = image->get();
        spec.extra_fds = {{1, image->get()}}; // the child's number is the image's own
        const Report report = run(spec, rung.rung).report();
        CHECK(descriptors(report) == "0 1 2 " + std::to_string(image->get()));
        CHECK(report.at("args") == "test-exec|--helper=report");
    }
}

TEST_CASE("the way a child ends is told exactly, once") {
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        for (const int code : {0, 1, 253, 255}) {
            CHECK(run(victim("exit", {std::to_string(code)}), rung.rung).status == ExitStatus::exited(code));
        }
        exec::SpawnSpec spec;
        spec.path = "/bin/sh";
        spec.argv = {"sh", "-c", "kill -TERM $$"};
        CHECK(run(spec, rung.rung).status == ExitStatus::signaled(SIGTERM));
    }
}

TEST_CASE("a process can be polled, signalled, waited for once, and let go") {
    exec::SpawnSpec spec;
    spec.path = "/bin/cat";
    auto ends = sys::pipe();
    REQUIRE(ends);
    spec.stdio[0] = ends->read.get();
    auto process = exec::spawn(spec);
    REQUIRE(process);
    CHECK(process->pid() > 0);
    CHECK((::fcntl(process->pidfd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_FALSE(process->try_wait()->has_value());
    CHECK(process->signal(0));
    CHECK(process->signal(99).error().error_number() == EINVAL);
    REQUIRE(process->signal(SIGKILL));
    pollfd watched{process->pidfd(), POLLIN, 0};
    REQUIRE(::poll(&watched, 1, 10'000) == 1);
    const auto ended = process->try_wait();
    REQUIRE((ended && *ended));
    CHECK(exit_of(**ended) == ExitStatus::signaled(SIGKILL));
    CHECK((*ended)->usage().ru_maxrss > 0);
    CHECK(process->wait().error().error_number() == ECHILD);
    CHECK(process->signal(SIGKILL).error().is(exec::Errc::process_done)); // never a stranger
    CHECK(process->pidfd() == -1);                                        // reaped: closed
    auto other = exec::spawn(spec);
    REQUIRE(other);
    auto owned = sys::Fd::adopt(other->release());
    CHECK_FALSE(*other);
    REQUIRE(sys::pidfd_send_signal(owned.get(), SIGKILL));
    CHECK(sys::reap_blocking(owned.get()));
}

TEST_CASE("a program that is still open for writing somewhere is tried again for a while") {
    const TemporaryDirectory dir;
    const auto image = sys::read_file("/bin/true");
    REQUIRE(image);
    auto writer = sys::open(dir / "program", O_CREAT | O_WRONLY, 0700);
    REQUIRE(writer);
    REQUIRE(sys::write_all(writer->get(), *image));
    exec::SpawnSpec spec;
    spec.path = dir / "program";
    const auto busy = exec::spawn(spec);
    REQUIRE_FALSE(busy);
    CHECK(busy.error().step() == exec::Step::execve);
    CHECK(busy.error().error_number() == ETXTBSY);
    writer->reset();
    auto process = exec::spawn(spec);
    REQUIRE(process);
    CHECK(process->wait()->success());
}
