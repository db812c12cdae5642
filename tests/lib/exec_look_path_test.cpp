#include <doctest/doctest.h>

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/exec/look_path.hpp"
#include "lib/sys/fd.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using exec::look_path;
using Kind = exec::LookPathError::Kind;
using keep::test::TemporaryDirectory;

namespace {

void make(const std::string& path, mode_t mode) {
    REQUIRE(sys::open(path, O_CREAT | O_WRONLY, 0600));
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

// The test's current directory for its duration.
class In {
  public:
    explicit In(const std::string& dir) : former_(std::filesystem::current_path()) {
        std::filesystem::current_path(dir);
    }
    ~In() { std::filesystem::current_path(former_); }
    In(const In&) = delete;
    In& operator=(const In&) = delete;

  private:
    std::filesystem::path former_;
};

} // namespace

TEST_CASE("the first directory that has it wins, and the path is clean") {
    const TemporaryDirectory dir;
    std::filesystem::create_directories(dir / "a");
    std::filesystem::create_directories(dir / "b");
    make(dir / "a/prog", 0755);
    make(dir / "b/prog", 0755);
    CHECK(look_path("prog", dir / "a" + ":" + dir / "b").value() == dir / "a/prog");
    CHECK(look_path("prog", "/no/such:" + dir / "b//" + ":" + dir / "a").value() == dir / "b/prog");
    CHECK(look_path("prog", dir / "a/../b/.").value() == dir / "b/prog");
}

TEST_CASE("directories, plain files and what is missing are passed over") {
    const TemporaryDirectory dir;
    std::filesystem::create_directories(dir / "a/prog");
    std::filesystem::create_directories(dir / "b");
    std::filesystem::create_directories(dir / "c");
    make(dir / "b/prog", 0644);
    const auto missing = look_path("prog", dir / "a" + ":" + dir / "b");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().kind == Kind::not_found);
    CHECK(missing.error().message == "exec: \"prog\": executable file not found in $PATH");
    make(dir / "c/prog", 0755);
    CHECK(look_path("prog", dir / "a" + ":" + dir / "b" + ":" + dir / "c").value() == dir / "c/prog");
}

TEST_CASE("an empty PATH finds nothing, not even here") {
    const TemporaryDirectory dir;
    make(dir / "prog", 0755);
    const In here(dir.path());
    CHECK(look_path("prog", "").error().kind == Kind::not_found);
}

TEST_CASE("what lies relative to the current directory is found and refused") {
    const TemporaryDirectory dir;
    std::filesystem::create_directories(dir / "bin");
    make(dir / "prog", 0755);
    make(dir / "bin/tool", 0755);
    const In here(dir.path());
    for (const std::string list : {".", ":/no/such", "/no/such:", "/no/such::/no/such", ":"}) {
        CAPTURE(list);
        const auto found = look_path("prog", list);
        REQUIRE_FALSE(found);
        CHECK(found.error().kind == Kind::dot);
        CHECK(found.error().path == "prog");
        CHECK(found.error().message == "exec: \"prog\": cannot run executable found relative to current directory");
    }
    CHECK(look_path("tool", "bin").error().path == "bin/tool");
    CHECK(look_path("tool", "./missing/../bin").error().path == "bin/tool"); // cleaned by its letters, as Go does
}

TEST_CASE("the first hit decides: a relative one hides an absolute one behind it") {
    const TemporaryDirectory dir;
    make(dir / "prog", 0755);
    const In here(dir.path());
    CHECK(look_path("prog", ".:" + dir.path()).error().kind == Kind::dot);
    CHECK(look_path("prog", dir.path() + ":.").value() == dir / "prog");
}

TEST_CASE("a name with a slash is tried as it stands, whatever PATH says") {
    const TemporaryDirectory dir;
    make(dir / "prog", 0755);
    make(dir / "plain", 0644);
    const In here(dir.path());
    CHECK(look_path("./prog", "").value() == "./prog");
    CHECK(look_path(dir / "prog", "/no/such").value() == dir / "prog");
    CHECK(look_path("./plain", "").error().code == EACCES);
    CHECK(look_path("./plain", "").error().message == "exec: \"./plain\": Permission denied");
    CHECK(look_path(dir.path(), "").error().code == EISDIR);
    CHECK(look_path("./missing", "").error().code == ENOENT);
    CHECK(look_path("./missing", "").error().kind == Kind::other);
    CHECK(look_path("abc/..", dir.path()).error().kind == Kind::other);
}

TEST_CASE("names that can only be directories are never found") {
    for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string("l\0s", 3)}) {
        CAPTURE(name);
        CHECK(look_path(name, "/bin:/:.").error().kind == Kind::not_found);
    }
}

TEST_CASE("symbolic links are followed, a broken one is passed over, content is not looked at") {
    const TemporaryDirectory dir;
    make(dir / "garbage", 0777);
    REQUIRE(::symlink("garbage", (dir / "link").c_str()) == 0);
    REQUIRE(::symlink("nowhere", (dir / "broken").c_str()) == 0);
    CHECK(look_path("link", dir.path()).value() == dir / "link");
    CHECK(look_path("broken", dir.path()).error().kind == Kind::not_found);
}

TEST_CASE("strange names are quoted in the message") {
    CHECK(look_path("a\"\n\x01", "/bin").error().message ==
          "exec: \"a\\\"\\n\\x01\": executable file not found in $PATH");
}

TEST_CASE("without a list this process's PATH counts") {
    REQUIRE(::setenv("PATH", "/usr/bin:/bin", 1) == 0);
    CHECK(look_path("sh").value().ends_with("/sh"));
}
