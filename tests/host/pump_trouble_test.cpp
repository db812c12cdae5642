// Disks that are full, fail, or hang.
#include <cerrno>
#include <chrono>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <functional>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "lib/sys/clock.hpp"
#include "tests/host/pump_support.hpp"

using namespace pump_test;
using keepd::logs::Pump;
using keepd::logs::StreamStatus;
using keepd::logs::Target;
using std::chrono::milliseconds;

TEST_CASE("trouble: on a full disk the program waits, nothing is lost, and the problem ends with its cause") {
    TempDir dir;
    BadDisk disk;
    auto pump = std::move(*Pump::start(&disk));
    const int fd = *pump->open("web", {dir / "log", 30000, 1000});
    const int other = *pump->open("other", {dir / "other", 0, 1});
    REQUIRE(pump->drain(patience));
    disk.fail_writes("/log", ENOSPC);

    std::mt19937 random(1);
    const std::string text = numbered_lines("w", 20000, random); // more than a pipe holds
    std::thread writer([&] { write_to(fd, text); });
    REQUIRE(await(*pump, "web", has_problem));
    CHECK(pump->status().at("web").problem ==
          "write '" + dir / "log" + "': No space left on device, retrying; the program waits");
    CHECK_FALSE(pump->drain(milliseconds(1)));

    write_to(other, "not disturbed\n");
    REQUIRE(await_content(dir / "other", "not disturbed\n"));

    disk.fail_writes("", 0);
    REQUIRE(await(*pump, "web", has_no_problem));
    writer.join();
    REQUIRE(pump->drain(patience));
    CHECK((joined(dir / "log") == text));
    CHECK(pump->status().at("web").dropped_bytes == 0);
}

TEST_CASE("trouble: every error of a write is kept out of the log's bytes, also across a park") {
    for (const int code : {EIO, EDQUOT, EROFS, EFBIG, EPIPE, ESTALE, EINTR}) {
        CAPTURE(code);
        TempDir dir;
        BadDisk disk;
        auto pump = std::move(*Pump::start(&disk));
        const int fd = *pump->open("web", {dir / "log", 0, 1});
        write_to(fd, "one\n");
        REQUIRE(pump->drain(patience));
        if (code != EINTR) {
            disk.fail_writes("/log", code);
            write_to(fd, "two\n");
            REQUIRE(await(*pump, "web", has_problem));
        }
        pump = std::move(*Pump::resume(std::move(*pump->park(patience)), &disk));
        write_to(fd, "three\n");
        disk.fail_writes("", 0);
        REQUIRE(await(*pump, "web", has_no_problem));
        REQUIRE(pump->drain(patience));
        CHECK(content(dir / "log") == (code == EINTR ? "one\nthree\n" : "one\ntwo\nthree\n"));
    }
}

TEST_CASE("trouble: a disk that takes a few bytes at a time") {
    TempDir dir;
    BadDisk disk;
    disk.short_writes(7);
    auto pump = std::move(*Pump::start(&disk));
    std::mt19937 random(2);
    const std::string text = numbered_lines("w", 500, random);
    write_to(*pump->open("splices", {dir / "splices", 5000, 100}), text);
    REQUIRE(pump->drain(patience));
    CHECK((joined(dir / "splices") == text));
    disk.refuse_splice(true);
    write_to(*pump->open("copies", {dir / "copies", 5000, 100}), text);
    REQUIRE(pump->drain(patience));
    CHECK((joined(dir / "copies") == text));
    CHECK(rotated(dir / "copies").size() == rotated(dir / "splices").size());
}

TEST_CASE("trouble: where splice is refused bytes are copied, and those not written stay in the pipe") {
    TempDir dir;
    BadDisk disk;
    disk.refuse_splice(true);
    auto pump = std::move(*Pump::start(&disk));
    const int fd = *pump->open("web", {dir / "log", 20000, 100});
    disk.fail_writes("/log", ENOSPC);
    std::mt19937 random(3);
    const std::string text = numbered_lines("w", 3000, random);
    std::thread writer([&] { write_to(fd, text); });
    REQUIRE(await(*pump, "web", has_problem));
    for (int i = 0; i < 20; ++i) {
        auto states = pump->park(patience);
        REQUIRE(states);
        pump = std::move(*Pump::resume(std::move(*states), &disk));
        if (i == 10) disk.fail_writes("", 0);
    }
    writer.join();
    REQUIRE(pump->drain(patience));
    CHECK((joined(dir / "log") == text));
}

TEST_CASE("trouble: a file that hangs is named, parks and drains in vain, and goes on when it comes back") {
    TempDir dir;
    BadDisk disk;
    auto pump = std::move(*Pump::start(&disk));
    const int fd = *pump->open("web/stdout", {dir / "hanging.log", 0, 1});
    const int other = *pump->open("other", {dir / "other", 0, 1});
    REQUIRE(pump->drain(patience));
    disk.hang("hanging.log");
    write_to(fd, "one\n");
    REQUIRE(disk.wait_for_hang());

    const auto refused = pump->park(milliseconds(5));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ETIMEDOUT);
    CHECK(refused.error().message.starts_with("write '" + dir / "hanging.log" + "': no answer for "));
    CHECK_FALSE(pump->drain(milliseconds(5)));

    // All the calls of the main thread answer at once.
    write_to(other, "waits\n");
    write_to(*pump->open("late", {dir / "late", 0, 1}), "late\n");
    pump->open("other", {dir / "other2", 0, 1});
    pump->open("other", {dir / "other", 0, 1});
    write_to(*pump->open("closed", {dir / "closed", 0, 1}), "closed\n");
    pump->close("closed");
    pump->reopen();
    CHECK(pump->write_end("web/stdout") == fd);
    CHECK(pump->status().size() == 4);

    // After two seconds status says where the thread is. (A wait of the test for that time to pass, on nothing.)
    const keep::Time deadline = keep::sys::monotonic_now() + patience;
    std::string problem;
    while (problem.empty() && keep::sys::monotonic_now() < deadline)
        problem = pump->status().at("web/stdout").problem;
    CHECK(problem.starts_with("write '" + dir / "hanging.log" + "': no answer for 2"));
    CHECK(pump->status().at("other").problem == "");

    disk.release();
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "hanging.log") == "one\n");
    CHECK(content(dir / "other") == "waits\n");
    CHECK(content(dir / "late") == "late\n");
    CHECK(content(dir / "closed") == "closed\n");
    CHECK(pump->status().at("web/stdout").problem == "");

    REQUIRE(await(*pump, "closed", [&](const auto&) { return pump->status().size() == 3; }));
    pump = std::move(*Pump::resume(std::move(*pump->park(patience))));
    write_to(fd, "two\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "hanging.log") == "one\ntwo\n");
}

TEST_CASE("trouble: a park that gave up is not done later, by a thread that comes back") {
    TempDir dir;
    BadDisk disk;
    auto pump = std::move(*Pump::start(&disk));
    const int fd = *pump->open("web", {dir / "log", 0, 1});
    REQUIRE(pump->drain(patience));
    for (int round = 0; round < 50; ++round) {
        disk.hang("/log");
        write_to(fd, "x\n");
        REQUIRE(disk.wait_for_hang());
        CHECK_FALSE(pump->park(std::chrono::microseconds(100)));
        disk.release();
        REQUIRE(pump->drain(patience));
    }
    CHECK(content(dir / "log").size() == 100);
}

TEST_CASE("trouble: a pump whose thread hangs can be destroyed; the thread ends when it comes back") {
    TempDir dir;
    static BadDisk& disk = *new BadDisk; // outlives the thread, which nobody joins
    auto pump = std::move(*Pump::start(&disk));
    const int fd = *pump->open("web", {dir / "log", 0, 1});
    const keep::sys::Fd held = std::move(*keep::sys::duplicate(fd));
    REQUIRE(pump->drain(patience));
    disk.hang("/log");
    write_to(fd, "x\n");
    REQUIRE(disk.wait_for_hang());
    pump.reset();
    disk.release();
    pollfd readers{held.get(), 0, 0}; // POLLERR: the thread took the reading end with it
    CHECK(::poll(&readers, 1, static_cast<int>(patience / milliseconds(1))) == 1);
    CHECK(content(dir / "log") == "x\n");
}

namespace {

// Runs `body` in a mount namespace of its own with a small tmpfs at `at`. False: not allowed here.
bool with_small_disk(const std::string& at, const std::function<void()>& body) {
    bool allowed = false;
    // Namespaces are a thread's, and so are those of the threads that it starts.
    std::thread([&] {
        ::mkdir(at.c_str(), 0700);
        allowed = ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                  ::mount("none", at.c_str(), "tmpfs", 0, "size=256k") == 0;
        if (allowed) body();
    }).join();
    return allowed;
}

} // namespace

TEST_CASE("trouble: a disk that is really full, several times") {
    TempDir dir;
    const std::string disk = dir / "disk";
    std::mt19937 random(4);
    const std::string text = numbered_lines("w", 12000, random); // about 2 MB: seven disks full
    std::string collected;
    bool drained = false;
    int times_full = 0;
    const bool allowed = with_small_disk(disk, [&] {
        auto pump = std::move(*Pump::start());
        const int fd = *pump->open("web", {disk + "/log", 60000, 100});
        std::thread writer([&] { write_to(fd, text); });
        // What was rotated is taken away, as an operator would, while nothing is shifted; the live file goes on.
        const auto take_rotated = [&] {
            auto states = std::move(*pump->park(patience));
            for (const std::string& file : rotated(disk + "/log")) {
                if (file == disk + "/log") continue;
                collected += content(file);
                ::unlink(file.c_str());
            }
            pump = std::move(*Pump::resume(std::move(states)));
        };
        // Four rotated files and a bit fill the disk, while there is enough to come.
        while (collected.size() + 350000 < text.size()) {
            if (!await_existence(disk + "/log.4") || !await(*pump, "web", has_problem)) break;
            ++times_full;
            take_rotated();
        }
        while (collected.size() + 200000 < text.size() && await_existence(disk + "/log.2"))
            take_rotated();
        writer.join();
        drained = pump->drain(patience);
        collected += joined(disk + "/log");
    });
    if (!allowed) {
        MESSAGE("not run: needs the right to mount");
        return;
    }
    CHECK(times_full > 3);
    CHECK(drained);
    CHECK((collected == text));
}

TEST_CASE("trouble: a file size limit is an error like others, not a signal") {
    TempDir dir;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("web", {dir / "log", 0, 1});
    REQUIRE(pump->drain(patience));
    const rlimit small{5000, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    const std::string text = std::string(6000, 'x') + "\n";
    write_to(fd, text);
    CHECK(await(*pump, "web", has_problem));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(await(*pump, "web", has_no_problem));
    REQUIRE(pump->drain(patience));
    CHECK((content(dir / "log") == text));
}
