#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <sys/xattr.h>
#include <unistd.h>

#include <keep/exec/spawn.hpp>

#include "lib/sys/cgroup.hpp"
#include "lib/sys/cgroup_paths.hpp"

using namespace keep;
namespace cgroup = keep::sys::cgroup;
using cgroup::Mount;

TEST_CASE("our path is the one of the 0:: line") {
    CHECK(cgroup::parse_own_path("0::/\n") == "/");
    CHECK(cgroup::parse_own_path("9:name=systemd:/x\n1:cpu:/y\n0::/system.slice/keepd.service\n") ==
          "/system.slice/keepd.service");
    CHECK(cgroup::parse_own_path("0::/a b:c") == "/a b:c");
    CHECK_FALSE(cgroup::parse_own_path(""));
    CHECK_FALSE(cgroup::parse_own_path("4:memory:/x\n10::/y\n"));
    CHECK_FALSE(cgroup::parse_own_path("0::/..\n"));       // moved out of the namespace's root
    CHECK_FALSE(cgroup::parse_own_path("0::/../other\n")); // so nothing here shows it
    CHECK(cgroup::parse_own_path("0::/..x\n") == "/..x");
}

TEST_CASE("cgroup2 mounts are found among others, with any optional fields and escapes") {
    const auto mounts = cgroup::parse_mounts(
        "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        "30 22 0:26 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs ro\n"
        "31 30 0:27 / /sys/fs/cgroup/unified rw shared:9 master:2 propagate_from:1 - cgroup2 cgroup2 rw,nsdelegate\n"
        "32 30 0:28 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n"
        "33 30 0:29 /docker/ab\\040c /mnt/a\\134b\\011 rw - cgroup2 none rw\n"
        "34 30 0:29 / /x-cgroup2 rw - tmpfs cgroup2 rw\n"
        "garbage\n");
    REQUIRE(mounts.size() == 2);
    CHECK(mounts[0] == Mount{"/", "/sys/fs/cgroup/unified"});
    CHECK(mounts[1] == Mount{"/docker/ab c", "/mnt/a\\b\t"});
    CHECK(cgroup::parse_mounts("").empty());
}

TEST_CASE("a cgroup's directory depends on which part of the hierarchy is mounted") {
    CHECK(cgroup::directory_under({"/", "/sys/fs/cgroup"}, "/") == "/sys/fs/cgroup");
    CHECK(cgroup::directory_under({"/", "/sys/fs/cgroup"}, "/a/b") == "/sys/fs/cgroup/a/b");
    CHECK(cgroup::directory_under({"/docker/x", "/sys/fs/cgroup"}, "/docker/x") == "/sys/fs/cgroup");
    CHECK(cgroup::directory_under({"/docker/x", "/sys/fs/cgroup"}, "/docker/x/y") == "/sys/fs/cgroup/y");
    CHECK_FALSE(cgroup::directory_under({"/docker/x", "/sys/fs/cgroup"}, "/docker/xy"));
    CHECK_FALSE(cgroup::directory_under({"/docker/x", "/sys/fs/cgroup"}, "/"));
}

TEST_CASE("events and processes are read, whatever else stands there") {
    CHECK(cgroup::parse_populated("populated 1\nfrozen 0\n") == true);
    CHECK(cgroup::parse_populated("frozen 1\npopulated 0\n") == false);
    CHECK_FALSE(cgroup::parse_populated(""));
    CHECK_FALSE(cgroup::parse_populated("populated 10\n"));
    CHECK(cgroup::parse_procs("12\n0\n34\nx\n") == std::vector<pid_t>{12, 0, 34});
    CHECK(cgroup::parse_procs("").empty());
}

TEST_CASE("what is no cgroup is not our own") {
    CHECK_FALSE(cgroup::is_our_own("/tmp"));
    CHECK_FALSE(cgroup::is_our_own("/no/such/dir"));
    CHECK(cgroup::check_our_own("/tmp").error().message.find("'/tmp'") != std::string::npos);
    CHECK_FALSE(cgroup::open_dir("/no/such/dir"));
    CHECK(cgroup::remove("/no/such/dir")); // nothing to remove
}

namespace {

// A cgroup of this test's own, below the one that we are in; empty where none can be made.
class TestCgroup {
  public:
    TestCgroup() {
        const auto own = cgroup::find_own();
        const std::string name = "keep-test-" + std::to_string(::getpid());
        if (own && cgroup::create_child(*own, name)) path_ = *own + "/" + name;
    }
    ~TestCgroup() {
        if (path_.empty()) return;
        (void)cgroup::kill(path_);
        (void)cgroup::await_empty(path_, std::chrono::seconds(5));
        (void)cgroup::remove(path_);
    }
    TestCgroup(const TestCgroup&) = delete;
    TestCgroup& operator=(const TestCgroup&) = delete;

    const std::string& path() const { return path_; }
    bool skipped() const {
        if (path_.empty()) MESSAGE("skipped: no cgroup v2 can be made here");
        return path_.empty();
    }

  private:
    std::string path_;
};

// A shell that starts a second process which leaves the session and ignores SIGTERM, then says so.
exec::SpawnSpec escaping_tree(int cgroup_fd, int output) {
    exec::SpawnSpec spec;
    spec.path = "/bin/sh";
    spec.argv = {"sh", "-c", "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo out; sleep 1000' & wait"};
    spec.env = {"PATH=/usr/bin:/bin"};
    spec.stdio[1] = output;
    spec.sys.cgroup_fd = cgroup_fd;
    return spec;
}

} // namespace

TEST_CASE("a tree that tries to escape is born, counted, killed and removed as one") {
    const TestCgroup parent;
    if (parent.skipped()) return;
    auto dir = cgroup::create_child(parent.path(), "run-1");
    REQUIRE(dir);
    const std::string path = parent.path() + "/run-1";
    CHECK(cgroup::populated(path) == false);
    auto output = sys::pipe();
    REQUIRE(output);
    auto process = exec::spawn(escaping_tree(dir->get(), output->write.get()));
    REQUIRE(process);
    char byte = 0;
    REQUIRE(::read(output->read.get(), &byte, 1) == 1);
    CHECK(cgroup::populated(path) == true);
    const auto procs = cgroup::procs(path);
    REQUIRE(procs);
    CHECK(procs->size() >= 2);
    CHECK(std::ranges::find(*procs, process->pid()) != procs->end());
    CHECK(cgroup::all_procs(parent.path())->size() == procs->size());
    CHECK(cgroup::remove(path).error().code == EBUSY);
    CHECK(cgroup::await_empty(path, std::chrono::milliseconds(20)).error().code == ETIMEDOUT);
    REQUIRE(cgroup::kill(path));
    CHECK(cgroup::await_empty(path, std::chrono::seconds(10)));
    CHECK(process->wait()->signal() == SIGKILL);
    CHECK(cgroup::remove(path));
    CHECK_FALSE(cgroup::procs(path));
}

TEST_CASE("what an earlier life left in a cgroup is killed before the name is used again") {
    const TestCgroup parent;
    if (parent.skipped()) return;
    auto first = cgroup::create_child(parent.path(), "run-2");
    REQUIRE(first);
    REQUIRE(cgroup::create_child(parent.path() + "/run-2", "nested"));
    auto output = sys::pipe();
    auto process = exec::spawn(escaping_tree(first->get(), output->write.get()));
    REQUIRE(process);
    CHECK(cgroup::children(parent.path() + "/run-2") == std::vector<std::string>{"nested"});
    auto second = cgroup::create_child(parent.path(), "run-2");
    REQUIRE(second);
    CHECK(process->wait()->signal() == SIGKILL);
    CHECK(cgroup::populated(parent.path() + "/run-2") == false);
    CHECK(cgroup::children(parent.path() + "/run-2")->empty());
    // The old directory is another one: nobody can be born there any more.
    auto late = exec::spawn(escaping_tree(first->get(), -1));
    REQUIRE_FALSE(late);
    CHECK(late.error().step() == exec::Step::cgroup);
    const bool removed = late.error().is(std::errc::no_such_file_or_directory) ||
                         late.error().is(std::errc::no_such_device); // as the kernel's version has it
    CHECK(removed);
}

TEST_CASE("a cgroup with strangers is ours only where it says that it is delegated") {
    const TestCgroup parent;
    if (parent.skipped()) return;
    // Nobody is in it, so we are not alone in it either.
    CHECK_FALSE(cgroup::is_our_own(parent.path()));
    if (::setxattr(parent.path().c_str(), "user.delegate", "1", 1, 0) != 0) {
        MESSAGE("skipped: this kernel has no user.* attributes on cgroups");
        return;
    }
    CHECK(cgroup::is_our_own(parent.path()));
    REQUIRE(::setxattr(parent.path().c_str(), "user.delegate", "0", 1, 0) == 0);
    CHECK_FALSE(cgroup::is_our_own(parent.path()));
}
