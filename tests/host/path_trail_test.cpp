// The way to a file through directories and symlinks, and what of it deserves an eye.
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <sys/stat.h>

#include "daemon/upgrade/file_identity.hpp"
#include "daemon/upgrade/path_trail.hpp"
#include "tests/lib/temporary_directory.hpp"

using keepd::upgrade::follow;
using keepd::upgrade::Trail;

namespace {

// Below a directory that is no symlink itself; $ stands for it.
struct Tree {
    keep::test::TemporaryDirectory directory;
    std::string root = std::filesystem::canonical(directory.path()).string();

    std::string operator/(const std::string& name) const { return root + "/" + name; }
    void folder(const std::string& name) const { std::filesystem::create_directories(*this / name); }
    void file(const std::string& name, const std::string& text = "x") const { std::ofstream(*this / name) << text; }
    void link(const std::string& name, const std::string& target) const {
        std::filesystem::create_symlink(target, *this / name);
    }
    // Directories of the trail at and below the root, with the entries that matter.
    std::map<std::string, std::set<std::string>> eyes(const Trail& trail) const {
        std::map<std::string, std::set<std::string>> found;
        for (const auto& place : trail.directories)
            if (place.path.starts_with(root)) found["$" + place.path.substr(root.size())] = place.entries;
        return found;
    }
};

using Eyes = std::map<std::string, std::set<std::string>>;

} // namespace

TEST_CASE("a plain path: an eye on the last entry, and on each directory itself") {
    Tree tree;
    tree.folder("a/b");
    tree.file("a/b/keepd");
    const auto trail = follow(tree / "a/b/keepd");
    CHECK(trail.end == tree / "a/b/keepd");
    CHECK(trail.file == keepd::upgrade::identify_file(tree / "a/b/keepd"));
    CHECK(trail.directories.front().path == "/");
    CHECK(tree.eyes(trail) == Eyes{{"$", {}}, {"$/a", {}}, {"$/a/b", {"keepd"}}});
    // Written otherwise, it is the same way.
    CHECK(follow(tree / ".//a/./b//../b/keepd").directories == trail.directories);
}

TEST_CASE("symlinks of files and of directories, relative and absolute") {
    Tree tree;
    tree.folder("releases/7");
    tree.folder("bin");
    tree.file("releases/7/keepd");
    tree.link("current", "releases/7");
    tree.link("bin/keepd", tree / "current/keepd");
    const auto trail = follow(tree / "bin/keepd");
    CHECK(trail.end == tree / "releases/7/keepd");
    CHECK(tree.eyes(trail) ==
          Eyes{{"$", {"current"}}, {"$/bin", {"keepd"}}, {"$/releases", {}}, {"$/releases/7", {"keepd"}}});
    CHECK(follow(tree / "current/../7/keepd").end == tree / "releases/7/keepd");
}

TEST_CASE("where the way breaks off, an eye on what is missing") {
    Tree tree;
    tree.folder("a");
    const auto trail = follow(tree / "a/b/c/keepd");
    CHECK_FALSE(trail.file);
    CHECK(trail.end.empty());
    CHECK(tree.eyes(trail) == Eyes{{"$", {}}, {"$/a", {"b"}}});
    tree.link("dangling", "nowhere/keepd");
    CHECK(tree.eyes(follow(tree / "dangling")) == Eyes{{"$", {"dangling", "nowhere"}}});
}

TEST_CASE("no file: a directory, a FIFO, a file as a directory, a loop") {
    Tree tree;
    tree.folder("a");
    tree.file("plain");
    tree.link("one", "two");
    tree.link("two", "one");
    REQUIRE(mkfifo((tree / "fifo").c_str(), 0600) == 0);
    for (const std::string name : {"a", "fifo", "plain/keepd", "one", "one/keepd"}) {
        CAPTURE(name);
        const auto trail = follow(tree / name);
        CHECK_FALSE(trail.file);
        CHECK(trail.end.empty());
        CHECK_FALSE(tree.eyes(trail).at("$").empty());
    }
}

TEST_CASE("what needs other watches") {
    Tree tree;
    tree.folder("a");
    tree.file("a/keepd");
    const auto before = follow(tree / "a/keepd");
    CHECK(before.same_places(follow(tree / "a/keepd")));
    SUBCASE("not what is written into the file") {
        tree.file("a/keepd", "another text");
        const auto after = follow(tree / "a/keepd");
        CHECK(before.same_places(after));
        CHECK(before.file != after.file);
    }
    SUBCASE("another file in its place") {
        tree.file("a/new");
        std::filesystem::rename(tree / "a/new", tree / "a/keepd");
        CHECK_FALSE(before.same_places(follow(tree / "a/keepd")));
    }
    SUBCASE("another directory in its place") {
        tree.folder("b");
        std::filesystem::rename(tree / "a/keepd", tree / "b/keepd");
        std::filesystem::rename(tree / "a", tree / "c");
        std::filesystem::rename(tree / "b", tree / "a");
        CHECK(follow(tree / "a/keepd").file == before.file);
        CHECK_FALSE(before.same_places(follow(tree / "a/keepd")));
    }
}
