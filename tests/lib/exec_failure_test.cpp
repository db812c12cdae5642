// Every step that can fail, failing: it is named, with its errno, and nothing of the child is left.
#include <doctest/doctest.h>

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sys/fd.hpp"
#include "lib/sys/pidfd.hpp"
#include "tests/lib/exec_victim.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;
using exec::Step;

namespace {

exec::SpawnSpec program(const std::string& path = "/bin/true") {
    exec::SpawnSpec spec;
    spec.path = path;
    return spec;
}

// Fails as told on each of the rungs, and leaves no zombie.
void fails(const exec::SpawnSpec& spec, Step step, int code, const std::vector<NamedRung>& rungs = every_rung) {
    for (const NamedRung& rung : rungs) {
        CAPTURE(rung.name);
        const auto process = exec::spawn_on(rung.rung, spec);
        REQUIRE_FALSE(process);
        CAPTURE(process.error().message());
        CHECK(std::string(exec::step_name(process.error().step())) == exec::step_name(step));
        CHECK(process.error().error_number() == code);
        CHECK(process.error().message().starts_with("fork/exec " + spec.path + ": "));
        CHECK_FALSE(sys::peek_any_exit()->has_value());
    }
}

std::string file(const TemporaryDirectory& dir, const std::string& name, std::string_view content, mode_t mode) {
    auto opened = sys::open(dir / name, O_CREAT | O_WRONLY, 0600);
    REQUIRE(opened);
    REQUIRE(sys::write_all(opened->get(), content));
    REQUIRE(::chmod((dir / name).c_str(), mode) == 0);
    return dir / name;
}

} // namespace

TEST_CASE("a NUL in any string is refused: it would cut what the child sees") {
    const std::string cut("a\0b", 3);
    exec::SpawnSpec spec = program(cut);
    fails(spec, Step::prepare, EINVAL);
    spec = program();
    spec.argv = {"x", cut};
    fails(spec, Step::prepare, EINVAL);
    spec = program();
    spec.env = {cut};
    fails(spec, Step::prepare, EINVAL);
    spec = program();
    spec.dir = cut;
    fails(spec, Step::prepare, EINVAL);
}

TEST_CASE("a directory that cannot be entered is named") {
    const TemporaryDirectory dir;
    exec::SpawnSpec spec = program();
    spec.dir = dir / "missing";
    fails(spec, Step::chdir, ENOENT);
    CHECK(exec::spawn(spec).error().message() ==
          "fork/exec /bin/true: chdir '" + dir / "missing" + "': no such file or directory");
    spec.dir = file(dir, "file", "", 0600);
    fails(spec, Step::chdir, ENOTDIR);
}

TEST_CASE("a program that cannot be executed is told from one that is not there") {
    const TemporaryDirectory dir;
    fails(program(dir / "missing"), Step::execve, ENOENT);
    fails(program(file(dir, "plain", "#!/bin/sh\n", 0644)), Step::execve, EACCES);
    fails(program(file(dir, "garbage", "neither ELF nor script", 0755)), Step::execve, ENOEXEC);
    fails(program(file(dir, "empty", "", 0755)), Step::execve, ENOEXEC);
    fails(program(file(dir, "orphan-script", "#!/no/such/interpreter\n", 0755)), Step::execve, ENOENT);
    fails(program(dir.path()), Step::execve, EACCES);
    fails(program(dir / "plain" + "/below"), Step::execve, ENOTDIR);
    REQUIRE(::symlink((dir / "loop").c_str(), (dir / "loop").c_str()) == 0);
    fails(program(dir / "loop"), Step::execve, ELOOP);
    fails(program(std::string(5000, 'x')), Step::execve, ENAMETOOLONG);
    exec::SpawnSpec spec = program();
    spec.argv = {"true", std::string(std::size_t{1} << 20, 'x')};
    fails(spec, Step::execve, E2BIG);
}

TEST_CASE("a descriptor that is no program, or is closed, cannot be executed") {
    exec::SpawnSpec spec = program("by descriptor");
    auto ends = sys::pipe();
    REQUIRE(ends);
    spec.exec_fd = ends->read.get();
    fails(spec, Step::execve, EACCES);
    spec.exec_fd = 888;
    fails(spec, Step::fds, EBADF);
}

TEST_CASE("a cgroup that is none is the cgroup's fault, on each rung") {
    const TemporaryDirectory dir;
    auto plain = sys::open(dir.path(), O_RDONLY | O_DIRECTORY);
    REQUIRE(plain);
    exec::SpawnSpec spec = program();
    spec.sys.cgroup_fd = plain->get();
    const std::vector<NamedRung> by_clone3{{exec::Rung::shared, "shared"}, {exec::Rung::automatic, "automatic"}};
    const std::vector<NamedRung> by_hand{{exec::Rung::shared_classic, "shared_classic"}};
    fails(spec, Step::cgroup, EBADF, by_clone3);
    fails(spec, Step::cgroup, EBADF, by_hand);
    spec.sys.cgroup_fd = 999;
    fails(spec, Step::cgroup, EBADF);
}

TEST_CASE("a limit that contradicts itself is named") {
    exec::SpawnSpec spec = program();
    spec.sys.limits = {{RLIMIT_CORE, {0, 0}}, {RLIMIT_NOFILE, {200, 100}}};
    fails(spec, Step::rlimit, EINVAL);
    CHECK(exec::spawn(spec).error().message() == "fork/exec /bin/true: rlimit 'nofile': invalid argument");
}

TEST_CASE("values outside of their range are named") {
    exec::SpawnSpec spec = program();
    spec.sys.oom_score_adjust = 5000;
    fails(spec, Step::oom_score_adjust, EINVAL);
    spec = program();
    spec.sys.pdeathsig = 99;
    fails(spec, Step::parent_death_signal, EINVAL);
}

TEST_CASE("an id of -1 is refused: the kernel would keep our rights") {
    exec::SpawnSpec spec = program();
    spec.sys.credential = exec::Credential{static_cast<uid_t>(-1), 1, {}};
    fails(spec, Step::uid, EINVAL);
    spec.sys.credential = exec::Credential{1, static_cast<gid_t>(-1), {}};
    fails(spec, Step::gid, EINVAL);
}

TEST_CASE("where a user may not go, or may not execute, is found as that user") {
    if (!is_root()) return;
    const TemporaryDirectory dir; // mode 0700, root's
    exec::SpawnSpec spec = program();
    spec.sys.credential = exec::Credential{61234, 61234, {}};
    const std::vector<NamedRung> rungs{{exec::Rung::automatic, "automatic"},
                                       {exec::Rung::private_, "private"},
                                       {exec::Rung::private_classic, "private_classic"}};
    spec.dir = dir.path();
    fails(spec, Step::chdir, EACCES, rungs);
    spec.dir.clear();
    REQUIRE(::symlink("/bin/true", (dir / "true").c_str()) == 0);
    spec.path = dir / "true";
    fails(spec, Step::execve, EACCES, rungs);
}

TEST_CASE("what only root may do fails by name for others") {
    if (!is_root()) return;
    struct Expected {
        const char* attribute;
        const char* line;
    };
    for (const Expected& expected : {
             Expected{"nice", "nice fork/exec /bin/true: nice '-20': permission denied\n"},
             Expected{"oom", "oom_score_adjust fork/exec /bin/true: oom_score_adjust '-500': permission denied\n"},
             Expected{"rlimit", "rlimit fork/exec /bin/true: rlimit 'nofile': operation not permitted\n"},
             Expected{"credentials", "groups fork/exec /bin/true: groups: operation not permitted\n"},
             Expected{"clone", "clone fork/exec /bin/true: resource temporarily unavailable\n"},
         }) {
        CAPTURE(std::string(expected.attribute));
        exec::SpawnSpec spec = victim("try", {expected.attribute});
        auto image = sys::open(spec.path, O_RDONLY);
        REQUIRE(image);
        spec.exec_fd = image->get();
        spec.sys.credential = exec::Credential{61237, 61237, {}};
        CHECK(run(spec).output == std::string(expected.line));
    }
}

TEST_CASE("no descriptor left for a copy out of the way is a failure of the descriptors") {
    auto ends = sys::pipe();
    REQUIRE(ends);
    exec::SpawnSpec spec = program();
    // A number that no process can have: copies must lie above it.
    spec.extra_fds = {{ends->read.get(), ends->write.get()}, {ends->write.get(), 0x7ffffffe}};
    fails(spec, Step::fds, EINVAL);
}
