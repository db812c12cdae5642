// What a stream's target may be, and what other people do to it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/host/pump_support.hpp"

using namespace pump_test;
using keepd::logs::Pump;
using keepd::logs::Target;

TEST_CASE("target: file and directories are made, not for everybody to read") {
    TempDir dir;
    const mode_t before = ::umask(0);
    auto pump = std::move(*Pump::start());
    write_to(*pump->open("w", {dir / "a/b/c/log", 0, 1}), "hello\n");
    REQUIRE(pump->drain(patience));
    ::umask(before);
    CHECK(content(dir / "a/b/c/log") == "hello\n");
    struct stat status{};
    REQUIRE(::stat((dir / "a/b/c/log").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0640);
    REQUIRE(::stat((dir / "a/b").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0750);
}

TEST_CASE("target: an idle stream's file is there, or its problem is") {
    TempDir dir;
    put(dir / "file", "");
    auto pump = std::move(*Pump::start());
    pump->open("good", {dir / "good", 0, 1});
    pump->open("bad", {dir / "file/log", 0, 1});
    CHECK(await(*pump, "bad", has_problem));
    REQUIRE(pump->drain(patience));
    CHECK(exists(dir / "good"));
    CHECK(pump->status().at("bad").problem.find("Not a directory, retrying; the program waits") != std::string::npos);
    // Its cause removed, the problem ends without a byte being written.
    REQUIRE(::unlink((dir / "file").c_str()) == 0);
    CHECK(await(*pump, "bad", has_no_problem));
    CHECK(exists(dir / "file/log"));
}

TEST_CASE("target: a symbolic link is refused, and followed by nobody") {
    TempDir dir;
    put(dir / "victim", "mine\n");
    REQUIRE(::symlink((dir / "victim").c_str(), (dir / "log").c_str()) == 0);
    auto pump = std::move(*Pump::start());
    write_to(*pump->open("w", {dir / "log", 0, 1}), "hello\n");
    REQUIRE(await(*pump, "w", has_problem));
    CHECK(pump->status().at("w").problem ==
          "open '" + dir / "log" + "': a symbolic link, which is not followed, retrying; the program waits");
    CHECK_FALSE(pump->drain(std::chrono::milliseconds(1)));
    CHECK(content(dir / "victim") == "mine\n");
    REQUIRE(::unlink((dir / "log").c_str()) == 0);
    REQUIRE(await(*pump, "w", has_no_problem));
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log") == "hello\n");
    CHECK(content(dir / "victim") == "mine\n");
}

TEST_CASE("target: a directory, a socket's absence of a reader, a missing device: each is a problem that is named") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    REQUIRE(::mkdir((dir / "directory").c_str(), 0700) == 0);
    REQUIRE(::mknod((dir / "socket").c_str(), S_IFSOCK | 0600, 0) == 0);
    pump->open("directory", {dir / "directory", 0, 1});
    pump->open("socket", {dir / "socket", 0, 1});
    CHECK(await(*pump, "directory", has_problem));
    CHECK(await(*pump, "socket", has_problem));
    CHECK(pump->status().at("directory").problem.starts_with("open '" + dir / "directory" + "': Is a directory"));
    CHECK(pump->status().at("socket").problem.starts_with("open '" + dir / "socket" + "': nobody reads there"));
}

TEST_CASE("target: without a path bytes are discarded, and a program never waits") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {});
    write_to(fd, std::string(3 << 20, 'x'));
    REQUIRE(pump->drain(patience));
    CHECK(pump->status().at("w").bytes == 0);
    CHECK(pump->status().at("w").dropped_bytes == 0);
    pump->open("w", {dir / "log", 0, 1});
    REQUIRE(pump->drain(patience));
    write_to(fd, "kept\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log") == "kept\n");
    pump->open("w", {});
    REQUIRE(pump->drain(patience));
    write_to(fd, "gone\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log") == "kept\n");
}

TEST_CASE("target: an open stream is retargeted live; size and number alone keep the file") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {dir / "a", 0, 1});
    write_to(fd, "one\n");
    REQUIRE(pump->drain(patience));
    CHECK(*pump->open("w", {dir / "b", 0, 1}) == fd);
    REQUIRE(pump->drain(patience));
    write_to(fd, "two\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "a") == "one\n");
    CHECK(content(dir / "b") == "two\n");
    CHECK(*pump->open("w", {dir / "b", 4, 2}) == fd);
    REQUIRE(pump->drain(patience));
    write_to(fd, "three\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "b.1") == "two\n");
    CHECK(content(dir / "b") == "three\n");
}

TEST_CASE("target: retargeting away from a file that fails frees the program at once") {
    TempDir dir;
    BadDisk disk;
    auto pump = std::move(*Pump::start(&disk));
    disk.fail_writes("/full", ENOSPC);
    const int fd = *pump->open("w", {dir / "full", 0, 1});
    write_to(fd, "hello\n");
    REQUIRE(await(*pump, "w", has_problem));
    pump->open("w", {dir / "good", 0, 1});
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "good") == "hello\n");
    CHECK(pump->status().at("w").problem == "");
}

TEST_CASE("target: closing reads to the end what programs that hold the pipe still write") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    keep::sys::Fd held = std::move(*keep::sys::duplicate(*pump->open("w", {dir / "log", 0, 1})));
    write_to(held.get(), "one\n");
    pump->close("w");
    CHECK(pump->write_end("w") == -1);
    const int anew = *pump->open("w", {dir / "log2", 0, 1}); // the id is free
    write_to(held.get(), "two\n");
    write_to(anew, "other\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log") == "one\ntwo\n");
    CHECK(content(dir / "log2") == "other\n");
    pump->close("w");
    write_to(held.get(), "three\n");
    held.reset();
    REQUIRE(await(*pump, "w", [&](const auto&) { return pump->status().empty(); }));
    CHECK(content(dir / "log") == "one\ntwo\nthree\n");
}

TEST_CASE("target: closing a stream whose file cannot be opened ends it once its pipe is empty") {
    TempDir dir;
    put(dir / "file", "");
    auto pump = std::move(*Pump::start());
    pump->open("w", {dir / "file/log", 0, 1});
    REQUIRE(await(*pump, "w", has_problem));
    pump->close("w");
    CHECK(await(*pump, "w", [&](const auto&) { return pump->status().empty(); }));
}

TEST_CASE("target: a file that somebody truncates gets no hole; one that somebody appends to loses nothing") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    for (const bool carried : {false, true}) {
        const std::string name = carried ? "carried" : "live";
        const int fd = *pump->open(name, {dir / name, 0, 1});
        write_to(fd, "before the copy\n");
        REQUIRE(pump->drain(patience));
        auto states = carried ? std::move(*pump->park(patience)) : std::vector<keepd::logs::StreamState>{};
        REQUIRE(::truncate((dir / name).c_str(), 0) == 0);
        if (carried) pump = std::move(*Pump::resume(std::move(states)));
        write_to(fd, "after\n");
        REQUIRE(pump->drain(patience));
        CHECK(content(dir / name) == "after\n");
        const keep::sys::Fd other = std::move(*keep::sys::open(dir / name, O_WRONLY | O_APPEND));
        write_to(other.get(), "stranger\n");
        write_to(fd, "ours\n");
        REQUIRE(pump->drain(patience));
        CHECK(content(dir / name) == "after\nstranger\nours\n");
    }
}

TEST_CASE("target: a removed or renamed file is written on until reopen, which takes what is in the pipe with it") {
    TempDir dir;
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {dir / "log", 0, 1});
    write_to(fd, "one\n");
    REQUIRE(pump->drain(patience));
    REQUIRE(::rename((dir / "log").c_str(), (dir / "log.old").c_str()) == 0);
    write_to(fd, "two\n");
    REQUIRE(pump->drain(patience));
    CHECK_FALSE(exists(dir / "log"));
    pump->reopen();
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log.old") == "one\ntwo\n");
    CHECK(exists(dir / "log")); // at once, not with the next byte
    write_to(fd, "three\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log") == "three\n");
}

TEST_CASE("target: reopen under load splits at a line end") {
    TempDir dir;
    BadDisk disk;
    auto pump = std::move(*Pump::start(&disk));
    const int fd = *pump->open("w", {dir / "log", 0, 1});
    REQUIRE(pump->drain(patience));
    disk.hang("/log");
    write_to(fd, "one\n");
    REQUIRE(disk.wait_for_hang()); // the order finds "one" and "two" in the pipe, and the beginning of a line
    REQUIRE(::rename((dir / "log").c_str(), (dir / "taken").c_str()) == 0);
    write_to(fd, "two\nthr");
    pump->reopen();
    disk.release();
    REQUIRE(pump->drain(patience));
    write_to(fd, "ee\nfour\n");
    REQUIRE(pump->drain(patience));
    const std::string taken = content(dir / "taken");
    CHECK(taken + content(dir / "log") == "one\ntwo\nthree\nfour\n");
    CHECK(taken.starts_with("one\ntwo\n"));
    CHECK(content(dir / "log").ends_with("four\n"));
}

TEST_CASE("target: reopening leaves a full disk, without waiting for it") {
    TempDir dir;
    BadDisk disk;
    auto pump = std::move(*Pump::start(&disk));
    const int fd = *pump->open("w", {dir / "log", 0, 1});
    REQUIRE(pump->drain(patience));
    disk.fail_writes("/full", ENOSPC);
    REQUIRE(::rename((dir / "log").c_str(), (dir / "full").c_str()) == 0);
    write_to(fd, "hello\n");
    REQUIRE(await(*pump, "w", has_problem));
    pump->reopen();
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "log") == "hello\n");
}

TEST_CASE("target: a FIFO without a reader hangs nobody, and gets every byte when one comes") {
    TempDir dir;
    REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {dir / "fifo", 10, 5}); // max_size means nothing here
    const int other = *pump->open("other", {dir / "other", 0, 1});
    write_to(fd, "a long first line\n");
    write_to(other, "not disturbed\n");
    REQUIRE(await(*pump, "w", has_problem));
    CHECK(pump->status().at("w").problem.starts_with("open '" + dir / "fifo" + "': nobody reads there, retrying"));
    REQUIRE(await_content(dir / "other", "not disturbed\n"));

    keep::sys::Fd reader = std::move(*keep::sys::open(dir / "fifo", O_RDONLY | O_NONBLOCK));
    REQUIRE(await(*pump, "w", has_no_problem));
    CHECK(read_exactly(reader.get(), 18) == "a long first line\n");

    // The reader goes, another comes.
    reader.reset();
    write_to(fd, "second\n");
    REQUIRE(await(*pump, "w", has_problem));
    reader = std::move(*keep::sys::open(dir / "fifo", O_RDONLY | O_NONBLOCK));
    CHECK(read_exactly(reader.get(), 7) == "second\n");
    CHECK_FALSE(exists(dir / "fifo.1"));
}

TEST_CASE("target: a FIFO whose reader does not read holds up its program alone") {
    TempDir dir;
    REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
    const keep::sys::Fd reader = std::move(*keep::sys::open(dir / "fifo", O_RDONLY | O_NONBLOCK));
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {dir / "fifo", 0, 1});
    const int other = *pump->open("other", {dir / "other", 0, 1});
    const std::string text(100000, 'x'); // more than the FIFO holds
    write_to(fd, text);
    REQUIRE(await(*pump, "w", has_problem));
    CHECK(pump->status().at("w").problem ==
          "write '" + dir / "fifo" + "': its reader does not read; the program waits");
    write_to(other, "not disturbed\n");
    REQUIRE(await_content(dir / "other", "not disturbed\n"));

    auto states = pump->park(patience); // it does not hinder a park either
    REQUIRE(states);
    pump = std::move(*Pump::resume(std::move(*states)));
    CHECK((read_exactly(reader.get(), text.size()) == text));
    REQUIRE(pump->drain(patience));
    CHECK(await(*pump, "w", has_no_problem));
}

TEST_CASE("target: devices and terminals take bytes and are never rotated") {
    auto pump = std::move(*Pump::start());
    const int null = *pump->open("null", {"/dev/null", 10, 5});
    write_to(null, "a line\nanother line\n");

    const keep::sys::Fd terminal = keep::sys::Fd::adopt(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(terminal);
    REQUIRE(::grantpt(terminal.get()) == 0);
    REQUIRE(::unlockpt(terminal.get()) == 0);
    char name[100];
    REQUIRE(::ptsname_r(terminal.get(), name, sizeof name) == 0);
    const int tty = *pump->open("tty", {name, 10, 5});
    write_to(tty, "a line\nanother line\n");
    CHECK(read_exactly(terminal.get(), 22) == "a line\r\nanother line\r\n");
    REQUIRE(pump->drain(patience));
    CHECK(pump->status().at("null").problem == "");
    CHECK(pump->status().at("null").bytes == 20);
    CHECK_FALSE(exists("/dev/null.1"));
}

TEST_CASE("target: a standard error that is a file is appended to, beside its other writers") {
    TempDir dir;
    const keep::sys::Fd redirected = std::move(*keep::sys::open(dir / "stderr", O_WRONLY | O_CREAT | O_APPEND, 0600));
    const std::string path = "/proc/self/fd/" + std::to_string(redirected.get());
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {path, 10, 5});
    write_to(fd, "one\n");
    REQUIRE(pump->drain(patience));
    write_to(redirected.get(), "keepd's own\n");
    write_to(fd, "two\n");
    REQUIRE(pump->drain(patience));
    auto states = std::move(*pump->park(patience));
    pump = std::move(*Pump::resume(std::move(states)));
    write_to(fd, "three\n");
    REQUIRE(pump->drain(patience));
    CHECK(content(dir / "stderr") == "one\nkeepd's own\ntwo\nthree\n");
    CHECK(pump->status().at("w").problem == "");
}

TEST_CASE("target: the programs' end is an ordinary blocking pipe that no exec inherits") {
    auto pump = std::move(*Pump::start());
    const int fd = *pump->open("w", {});
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(pump->write_end("w") == fd);
    CHECK(pump->write_end("unknown") == -1);
}
