// The cgroup that a child is born in.
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/exec/attributes.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;
using exec::Step;

namespace {

Fd open_directory(const std::string& path) {
    Fd fd = Fd::adopt(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(fd);
    return fd;
}

bool write_word(const std::string& path, std::string_view word) {
    const Fd fd = Fd::adopt(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), word.data(), word.size()) == static_cast<ssize_t>(word.size());
}

// Where cgroup v2 is mounted from its root on; empty where it is not.
std::string mount_point() {
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream fields(line);
        std::string skipped, root, point;
        fields >> skipped >> skipped >> skipped >> root >> point;
        if (root == "/" && line.find(" - cgroup2 ") != std::string::npos) return point;
    }
    return "";
}

// A cgroup of the test's own with two below it, all removed in the end.
class Cgroup {
  public:
    Cgroup() : mount_(mount_point()) {
        const std::string own = report_of(attributes_spec()).at("cgroup");
        name_ = (own == "/" ? "" : own) + "/keep-conformance-" + std::to_string(::getpid());
        made_ = !mount_.empty() && ::mkdir(path().c_str(), 0755) == 0;
        if (!made_) MESSAGE("skipped: no cgroup v2 can be made here");
    }
    ~Cgroup() {
        for (const char* below : {"/one", "/two", ""})
            (void)::rmdir((path() + below).c_str());
    }
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;

    explicit operator bool() const { return made_; }
    const std::string& name() const { return name_; } // as /proc/self/cgroup shows it
    std::string path() const { return mount_ + name_; }
    std::string add(const std::string& below) const {
        REQUIRE(::mkdir((path() + "/" + below).c_str(), 0755) == 0);
        return path() + "/" + below;
    }

  private:
    std::string mount_;
    std::string name_;
    bool made_ = false;
};

std::string own_cgroup() {
    return report_of(attributes_spec()).at("cgroup");
}

// Refuses `spec` as it is; with cgroup_fallback the child is where its parent is.
void check_fallback_only_when_asked_for(exec::SpawnSpec spec, int error_number) {
    spec.sys.cgroup_fallback = false;
    check_fails(spec, Step::cgroup, error_number);
    spec.sys.cgroup_fallback = true;
    CHECK(report_of(spec).at("cgroup") == own_cgroup());
}

} // namespace

EXEC_TEST("[go:129] a child is born in its cgroup") {
    if (!is_root()) return;
    const Cgroup cgroup;
    if (!cgroup) return;
    const Fd fd = open_directory(cgroup.path());
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.cgroup_fd = fd.get();
    CHECK(report_of(spec).at("cgroup") == cgroup.name());
}

EXEC_TEST("[go:129] where clone3 is refused the child joins its cgroup by itself") {
    if (!is_root()) return;
    const Cgroup cgroup;
    if (!cgroup) return;
    const Fd fd = open_directory(cgroup.path());
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.cgroup_fd = fd.get();
    const Report report = report_from_fork([] { refuse_calls({{SYS_clone3, -1, 0, ENOSYS}}); }, spec);
    CHECK(report.at("cgroup") == cgroup.name());
}

EXEC_TEST("[go:129] what is no cgroup is an error, with the fallback too") {
    const TemporaryDirectory dir;
    const Fd fd = open_directory(dir.path());
    exec::SpawnSpec spec = attributes_spec();
    for (const bool fallback : {false, true}) {
        spec.sys.cgroup_fallback = fallback;
        spec.sys.cgroup_fd = fd.get();
        check_fails(spec, Step::cgroup, EBADF);
        spec.sys.cgroup_fd = 888;
        check_fails(spec, Step::cgroup, EBADF);
    }
}

EXEC_TEST("[go:129] what is no cgroup is the same error where clone3 is refused, whatever files it has") {
    const TemporaryDirectory dir;
    std::ofstream(dir / "cgroup.procs") << "";
    const Fd fd = open_directory(dir.path());
    exec::SpawnSpec spec = attributes_spec();
    for (const int number : {fd.get(), 888}) {
        spec.sys.cgroup_fd = number;
        const Report report = report_from_fork([] { refuse_calls({{SYS_clone3, -1, 0, ENOSYS}}); }, spec);
        CHECK(report.at("failed") == "cgroup " + std::to_string(EBADF));
    }
}

EXEC_TEST("[go:129] a cgroup that has been removed is an error, with the fallback too") {
    if (!is_root()) return;
    const Cgroup cgroup;
    if (!cgroup) return;
    const std::string path = cgroup.add("one");
    const Fd fd = open_directory(path);
    REQUIRE(::rmdir(path.c_str()) == 0);
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.cgroup_fd = fd.get();
    for (const bool fallback : {false, true}) {
        spec.sys.cgroup_fallback = fallback;
        const std::string outcome = outcome_of(spec);
        const bool gone = outcome == "cgroup " + std::to_string(ENODEV) || // as the kernel's version has it
                          outcome == "cgroup " + std::to_string(ENOENT);
        CHECK_MESSAGE(gone, outcome);
    }
}

EXEC_TEST("[go:129] a cgroup beside a threaded one takes no processes: an error, or the parent's if so asked for") {
    if (!is_root()) return;
    const Cgroup cgroup;
    if (!cgroup) return;
    REQUIRE(write_word(cgroup.add("one") + "/cgroup.type", "threaded"));
    const Fd fd = open_directory(cgroup.add("two")); // "domain invalid" until it is made threaded, too
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.cgroup_fd = fd.get();
    check_fallback_only_when_asked_for(spec, EOPNOTSUPP);
}

EXEC_TEST("[go:129] a cgroup with controllers for its children takes no processes: an error, or the parent's") {
    if (!is_root()) return;
    const Cgroup cgroup;
    if (!cgroup) return;
    const std::string controllers = read_text(cgroup.path() + "/cgroup.controllers");
    const std::string first = controllers.substr(0, controllers.find_first_of(" \n"));
    if (first.empty() || !write_word(cgroup.path() + "/cgroup.subtree_control", "+" + first)) {
        MESSAGE("skipped: no controller can be given to a cgroup here");
        return;
    }
    const Fd fd = open_directory(cgroup.path());
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.cgroup_fd = fd.get();
    check_fallback_only_when_asked_for(spec, EBUSY);
}

EXEC_TEST("[go:129] another's cgroup is refused to an ordinary user: an error, or the parent's if so asked for") {
    if (!is_root()) return;
    const Cgroup cgroup;
    if (!cgroup) return;
    const Fd fd = open_directory(cgroup.path());
    const Fd image = attributes_image();
    exec::SpawnSpec spec = attributes_spec();
    spec.exec_fd = image.get();
    spec.sys.cgroup_fd = fd.get();
    CHECK(report_from_fork(become_stranger, spec).at("failed") == "cgroup " + std::to_string(EACCES));
    spec.sys.cgroup_fallback = true;
    CHECK(report_from_fork(become_stranger, spec).at("cgroup") == own_cgroup());
}
