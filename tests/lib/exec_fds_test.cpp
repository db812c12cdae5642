#include <doctest/doctest.h>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

#include "lib/sys/fd.hpp"
#include "lib/sys/process.hpp"
#include "tests/lib/exec_victim.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

namespace {

// A file at exactly this number, without close-on-exec: what a careless library leaves around.
class FileAt {
  public:
    FileAt(int number, const std::string& path) : number_(number) {
        const int opened = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
        REQUIRE(opened >= 0);
        if (opened == number) return;
        REQUIRE(::dup2(opened, number) == number);
        ::close(opened);
    }
    ~FileAt() { ::close(number_); }
    FileAt(const FileAt&) = delete;
    FileAt& operator=(const FileAt&) = delete;

  private:
    int number_;
};

} // namespace

TEST_CASE("a child has its three streams and nothing else, whatever the parent left inheritable") {
    const TemporaryDirectory dir;
    const FileAt low(40, dir / "a");
    const FileAt high(900, dir / "b");
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        const Report report = run(victim("report"), rung.rung).report();
        CHECK(descriptors(report) == "0 1 2");
        CHECK(report.at("fd 0") == "/dev/null");
    }
}

TEST_CASE("a child that was born with the parent's table of descriptors takes nothing away from the parent") {
    const TemporaryDirectory dir;
    std::vector<std::unique_ptr<FileAt>> held;
    for (int number = 200; number < 900; ++number)
        held.push_back(std::make_unique<FileAt>(number, dir / "held"));
    const auto open_here = [] {
        std::string open;
        for (int number = 0; number < 1024; ++number)
            if (::fcntl(number, F_GETFD) >= 0)
                open += std::to_string(number) + (::fcntl(number, F_GETFD) != 0 ? "c " : " ");
        return open;
    };
    (void)run(victim("report")); // opens what the library keeps open
    const std::string before = open_here();
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec = victim("report");
        spec.extra_fds = {{899, 5}, {200, 300}};
        CHECK(descriptors(run(spec, rung.rung).report()) == "0 1 2 5 300");
        exec::SpawnSpec missing;
        missing.path = dir / "missing";
        CHECK_FALSE(exec::spawn_on(rung.rung, missing));
        CHECK(open_here() == before);
    }
}

TEST_CASE("streams that are left out are the null device, and it can be written and read") {
    exec::SpawnSpec spec;
    spec.path = "/bin/sh";
    spec.argv = {"sh", "-c", "cat && echo lost && echo lost >&2"};
    auto process = exec::spawn(spec);
    REQUIRE(process);
    CHECK(process->wait()->success());
}

TEST_CASE("a closed null device is opened anew, not replaced by a stranger at its number") {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    auto warm = exec::spawn(spec);
    REQUIRE((warm && warm->wait()));
    const TemporaryDirectory dir;
    for (int number = 3; number < 1024; ++number) {
        const auto target = sys::read_link("/proc/self/fd/" + std::to_string(number));
        if (!target || *target != "/dev/null") continue;
        const FileAt stranger(number, dir / "stranger"); // closes the null device behind the library's back
        CHECK(run(victim("report")).report().at("fd 0") == "/dev/null");
    }
}

TEST_CASE("descriptors land at their numbers, with all between them closed") {
    const TemporaryDirectory dir;
    const FileAt a(20, dir / "a");
    const FileAt b(21, dir / "b");
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec = victim("report");
        spec.extra_fds = {{20, 7}, {21, 3}, {20, 100}};
        const Report report = run(spec, rung.rung).report();
        CHECK(descriptors(report) == "0 1 2 3 7 100");
        CHECK(report.at("fd 7") == dir / "a");
        CHECK(report.at("fd 3") == dir / "b");
        CHECK(report.at("fd 100") == dir / "a");
    }
}

TEST_CASE("descriptors that trade places both arrive") {
    const TemporaryDirectory dir;
    const FileAt a(10, dir / "a");
    const FileAt b(11, dir / "b");
    const FileAt c(12, dir / "c");
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec = victim("report");
        spec.extra_fds = {{10, 11}, {11, 12}, {12, 10}};
        const Report report = run(spec, rung.rung).report();
        CHECK(descriptors(report) == "0 1 2 10 11 12");
        CHECK(report.at("fd 11") == dir / "a");
        CHECK(report.at("fd 12") == dir / "b");
        CHECK(report.at("fd 10") == dir / "c");
    }
}

TEST_CASE("a descriptor that stays at its number loses close-on-exec in the child alone") {
    const TemporaryDirectory dir;
    const FileAt file(15, dir / "a");
    REQUIRE(sys::set_close_on_exec(15, true));
    exec::SpawnSpec spec = victim("report");
    spec.extra_fds = {{15, 15}};
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        const Report report = run(spec, rung.rung).report();
        CHECK(report.at("fd 15") == dir / "a");
        CHECK((::fcntl(15, F_GETFD) & FD_CLOEXEC) != 0);
    }
}

TEST_CASE("standard output and input can be swapped, and one stream can serve two numbers") {
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec;
        spec.path = "/bin/sh";
        spec.argv = {"sh", "-c", "seen=$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2); echo \"$seen\" >&9"};
        spec.stdio = {1, 0, 0};
        auto output = sys::pipe();
        REQUIRE(output);
        spec.extra_fds = {{output->write.get(), 9}};
        auto process = exec::spawn_on(rung.rung, spec);
        REQUIRE(process);
        output->write.reset();
        const auto text = sys::read_all(output->read.get());
        CHECK(process->wait());
        const std::string zero = sys::read_link("/proc/self/fd/0").value();
        const std::string one = sys::read_link("/proc/self/fd/1").value();
        CHECK(text.value() == one + "\n" + zero + "\n" + zero + "\n");
    }
}

TEST_CASE("an extra descriptor may land on another one's source") {
    const TemporaryDirectory dir;
    const FileAt out(5, dir / "out");
    const FileAt extra(6, dir / "extra");
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec = victim("report");
        spec.stdio[0] = 5;
        spec.extra_fds = {{6, 5}, {0, 6}};
        const Report report = run(spec, rung.rung).report();
        CHECK(report.at("fd 0") == dir / "out");
        CHECK(report.at("fd 5") == dir / "extra");
        CHECK(descriptors(report) == "0 1 2 5 6");
    }
}

TEST_CASE("a limit on open files below the parent's descriptors does not keep a child from starting") {
    const TemporaryDirectory dir;
    const FileAt high(500, dir / "a");
    exec::SpawnSpec spec = victim("report");
    spec.extra_fds = {{500, 3}};
    spec.sys.limits = {{RLIMIT_NOFILE, {32, 32}}};
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        const Report report = run(spec, rung.rung).report();
        CHECK(descriptors(report) == "0 1 2 3");
        CHECK(report.at("nofile") == "32 32");
    }
}

TEST_CASE("wrong descriptors are refused before anything starts") {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    spec.extra_fds = {{1, 2}};
    CHECK(exec::spawn(spec).error().step() == exec::Step::prepare);
    spec.extra_fds = {{1, 5}, {2, 5}};
    CHECK(exec::spawn(spec).error().message().find("given twice") != std::string::npos);
    spec.extra_fds = {{-1, 5}};
    CHECK(exec::spawn(spec).error().error_number() == EBADF);
}

TEST_CASE("a source that is not open is named with where it should have gone") {
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec;
        spec.path = "/bin/true";
        spec.extra_fds = {{777, 5}};
        const auto process = exec::spawn_on(rung.rung, spec);
        REQUIRE_FALSE(process);
        CHECK(process.error().step() == exec::Step::fds);
        CHECK(process.error().error_number() == EBADF);
        CHECK(process.error().message() == "fork/exec /bin/true: fds 'descriptor for 5': bad file descriptor");
    }
}
