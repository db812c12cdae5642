// Which files keepd would become, judged without executing anything of them.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "daemon/upgrade/candidate.hpp"

namespace {

struct TemporaryDirectory {
    std::string path;
    TemporaryDirectory() {
        char name[] = "/tmp/keepd-candidate-XXXXXX";
        path = mkdtemp(name);
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
    std::string file(const std::string& name, const std::string& text, mode_t mode) const {
        std::ofstream(path + "/" + name) << text;
        chmod((path + "/" + name).c_str(), mode);
        return path + "/" + name;
    }
};

std::string reason(const std::string& path) {
    const auto candidate = keepd::upgrade::examine(path);
    return candidate ? "accepted" : candidate.error().message;
}

bool says(const std::string& path, const std::string& words) {
    return reason(path).find(words) != std::string::npos;
}

} // namespace

TEST_CASE("what is no program file is refused by what it is") {
    const TemporaryDirectory directory;
    CHECK(says(directory.path + "/missing", "No such file"));
    CHECK(says(directory.path, "it is a directory"));
    CHECK(says(directory.file("empty", "", 0755), "it is empty"));
    CHECK(says(directory.file("text", "hello\n", 0755), "it is not an ELF program"));
    CHECK(says(directory.file("plain", "hello\n", 0644), "it is not executable"));
    CHECK(says("/dev/null", "it is not a regular file"));
    const std::string fifo = directory.path + "/fifo";
    REQUIRE(mkfifo(fifo.c_str(), 0700) == 0);
    CHECK(says(fifo, "it is not a regular file")); // and did not wait for a writer
    CHECK(says("/bin/false", "it is not a keepd"));
}

TEST_CASE("what would change who keepd is, or others could write, is refused") {
    const TemporaryDirectory directory;
    CHECK(says(directory.file("setuid", "x", 04755), "set-id"));
    if (geteuid() != 0) return;
    CHECK(says(directory.file("group", "x", 0775), "others than its owner may write"));
    CHECK(says(directory.file("world", "x", 0757), "others than its owner may write"));
    const auto foreign = directory.file("foreign", "x", 0755);
    REQUIRE(chown(foreign.c_str(), 1, 1) == 0);
    CHECK(says(foreign, "belongs to uid 1"));
    // capabilities(7), vfs_cap_data of revision 2: CAP_NET_BIND_SERVICE, effective.
    const std::uint32_t capability[] = {0x02000001, 1U << 10, 0, 0, 0};
    const auto capable = directory.file("capable", "x", 0755);
    if (setxattr(capable.c_str(), "security.capability", capability, sizeof capability, 0) == 0)
        CHECK(says(capable, "it carries file capabilities"));
    else
        MESSAGE("no file capabilities here: " << std::strerror(errno));
}

TEST_CASE("the path of the running image is found as it was written, symlinks left alone") {
    char self[4096];
    const auto size = readlink("/proc/self/exe", self, sizeof self);
    REQUIRE(size > 0);
    const std::string own(self, static_cast<std::size_t>(size));
    CHECK(keepd::upgrade::path_started_by(own) == own);
    const TemporaryDirectory directory;
    const std::string link = directory.path + "/link";
    std::filesystem::create_symlink(own, link);
    CHECK(keepd::upgrade::path_started_by(link) == link);
    CHECK(keepd::upgrade::path_started_by("/bin/false").empty());
    CHECK(keepd::upgrade::path_started_by("").empty());
}
