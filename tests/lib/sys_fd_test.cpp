#include <doctest/doctest.h>

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sys/clock.hpp"
#include "lib/sys/fd.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using keep::test::TemporaryDirectory;

namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}
bool closes_on_exec(int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

} // namespace

TEST_CASE("a descriptor is closed once, by its last owner") {
    auto opened = sys::open("/dev/null", O_RDONLY);
    REQUIRE(opened);
    const int number = opened->get();
    {
        const sys::Fd owner = std::move(*opened);
        CHECK_FALSE(*opened);
        CHECK(owner.get() == number);
        CHECK(is_open(number));
    }
    CHECK_FALSE(is_open(number));
}

TEST_CASE("assigning closes what was held before") {
    auto first = sys::open("/dev/null", O_RDONLY);
    auto second = sys::open("/dev/null", O_RDONLY);
    REQUIRE((first && second));
    const int held = first->get();
    const int taken = second->get();
    *first = std::move(*second);
    CHECK_FALSE(is_open(held));
    CHECK(first->get() == taken);
}

TEST_CASE("a released descriptor stays open") {
    auto opened = sys::open("/dev/null", O_RDONLY);
    REQUIRE(opened);
    const int number = opened->release();
    opened->reset();
    CHECK(is_open(number));
    ::close(number);
}

TEST_CASE("closing keeps errno") {
    auto opened = sys::open("/dev/null", O_RDONLY);
    REQUIRE(opened);
    errno = EPROTO;
    opened->reset();
    CHECK(errno == EPROTO);
}

TEST_CASE("everything is born close-on-exec") {
    auto opened = sys::open("/dev/null", O_RDONLY);
    auto ends = sys::pipe();
    REQUIRE((opened && ends));
    auto copy = sys::duplicate(opened->get(), 100);
    REQUIRE(copy);
    CHECK(copy->get() >= 100);
    for (const int fd : {opened->get(), ends->read.get(), ends->write.get(), copy->get()})
        CHECK(closes_on_exec(fd));
    REQUIRE(sys::set_close_on_exec(opened->get(), false));
    CHECK_FALSE(closes_on_exec(opened->get()));
    REQUIRE(sys::set_close_on_exec(opened->get(), true));
    CHECK(closes_on_exec(opened->get()));
}

TEST_CASE("non-blocking is set and taken back, other flags stay") {
    TemporaryDirectory dir;
    auto file = sys::open(dir / "f", O_RDWR | O_CREAT | O_APPEND, 0600);
    REQUIRE(file);
    REQUIRE(sys::set_nonblocking(file->get(), true));
    CHECK((::fcntl(file->get(), F_GETFL) & (O_NONBLOCK | O_APPEND)) == (O_NONBLOCK | O_APPEND));
    REQUIRE(sys::set_nonblocking(file->get(), false));
    CHECK((::fcntl(file->get(), F_GETFL) & (O_NONBLOCK | O_APPEND)) == O_APPEND);
}

TEST_CASE("calls on a closed descriptor say so") {
    CHECK(sys::duplicate(-1).error().code == EBADF);
    CHECK(sys::set_close_on_exec(-1, true).error().code == EBADF);
    CHECK(sys::set_nonblocking(-1, true).error().code == EBADF);
    CHECK(sys::identify(-1).error().code == EBADF);
    CHECK(sys::read_all(-1).error().code == EBADF);
    CHECK(sys::write_all(-1, "x").error().code == EBADF);
}

TEST_CASE("a failed open names the file") {
    const auto missing = sys::open("/no/such/file", O_RDONLY);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ENOENT);
    CHECK(missing.error().message == "open '/no/such/file': No such file or directory");
    CHECK(sys::read_file("/").error().message == "'/': read: Is a directory");
}

TEST_CASE("identity tells the same file from another") {
    TemporaryDirectory dir;
    auto first = sys::open(dir / "a", O_RDWR | O_CREAT, 0600);
    auto second = sys::open(dir / "b", O_RDWR | O_CREAT, 0600);
    REQUIRE((first && second));
    auto copy = sys::duplicate(first->get());
    REQUIRE(copy);
    CHECK(*sys::identify(first->get()) == *sys::identify(copy->get()));
    CHECK_FALSE(*sys::identify(first->get()) == *sys::identify(second->get()));
    CHECK(sys::identify(first->get())->type == S_IFREG);
}

TEST_CASE("a file is read whole, also one of /proc that has no size") {
    TemporaryDirectory dir;
    const std::string content(10'000, 'x');
    auto file = sys::open(dir / "f", O_RDWR | O_CREAT, 0600);
    REQUIRE(file);
    REQUIRE(sys::write_all(file->get(), content));
    CHECK(sys::read_file(dir / "f") == content);
    CHECK(sys::read_file("/proc/self/stat")->size() > 20);
}

TEST_CASE("a file of exactly the limit is read, one byte more is refused") {
    TemporaryDirectory dir;
    auto file = sys::open(dir / "f", O_RDWR | O_CREAT, 0600);
    REQUIRE(file);
    REQUIRE(sys::write_all(file->get(), std::string(5000, 'x')));
    CHECK(sys::read_file(dir / "f", 5000)->size() == 5000);
    CHECK(sys::read_file(dir / "f", 4999).error().code == EFBIG);
    CHECK(sys::read_file("/dev/zero", 1 << 16).error().code == EFBIG);
}

TEST_CASE("whether a file has a writer is seen from outside") {
    const TemporaryDirectory directory;
    const auto path = directory / "file";
    auto writer = sys::open(path, O_WRONLY | O_CREAT, 0600);
    REQUIRE(writer);
    CHECK(sys::has_writer(path));
    writer->reset();
    CHECK_FALSE(sys::has_writer(path));
    const auto reader = sys::open(path, O_RDONLY);
    CHECK_FALSE(sys::has_writer(path));
    CHECK_FALSE(sys::has_writer(directory / "nothing"));
}

TEST_CASE("clocks go forward and wall time is of this century") {
    const Time first = sys::monotonic_now();
    CHECK(sys::monotonic_now() >= first);
    CHECK(to_rfc3339(sys::wall_now()).starts_with("20"));
}
