// Go's LookPath: what a search finds, and in which words it fails. What counts as executable:
// look_path_access_test.cpp.
#include <cerrno>
#include <filesystem>
#include <string>
#include <unistd.h>

#include "tests/exec/support.hpp"
#include "tests/exec/surroundings.hpp"

using namespace keep;
using namespace keep::test;
using exec::Errc;
using exec::look_path;

namespace {

constexpr const char* not_found_reason = "executable file not found in $PATH";
constexpr const char* dot_reason = "cannot run executable found relative to current directory";

void make_directory(const std::string& path) {
    std::filesystem::create_directories(path);
}

// Looked up in PATH itself, and in the same list given by hand: it must not matter.
template <typename Check>
void either_way(const std::string& name, const std::string& list, const Check& check) {
    CAPTURE(name);
    CAPTURE(list);
    const Variable path("PATH", list);
    check(look_path(name));
    const Variable other("PATH", "/nowhere");
    check(look_path(name, list));
}

void finds(const std::string& name, const std::string& list, const std::string& expected) {
    either_way(name, list, [&](const exec::Result<std::string>& found) {
        if (!found) FAIL(found.error().message());
        CHECK(*found == expected);
    });
}

void finds_nothing(const std::string& name, const std::string& list) {
    either_way(name, list, [&](const exec::Result<std::string>& found) {
        REQUIRE_FALSE(found);
        CHECK(found.error().code() == Errc::not_found);
    });
}

void refuses_the_hit(const std::string& name, const std::string& list, const std::string& hit) {
    either_way(name, list, [&](const exec::Result<std::string>& found) {
        REQUIRE_FALSE(found);
        CHECK(found.error().code() == Errc::dot);
        CHECK(found.error().path() == hit);
    });
}

void fails_with(const std::string& name, const std::string& list, std::errc reason, const std::string& text) {
    either_way(name, list, [&](const exec::Result<std::string>& found) {
        REQUIRE_FALSE(found);
        CHECK(found.error().is(reason));
        CHECK(found.error().error_number() == static_cast<int>(reason));
        CHECK(found.error().message() == text);
    });
}

} // namespace

EXEC_TEST("[go:13] a name with a slash is tried directly and returned unchanged, whatever PATH holds") {
    const TemporaryDirectory dir;
    make_directory(dir / "bin");
    make_program(dir / "bin/prog");
    const InDirectory here(dir.path());
    for (const std::string& list : {std::string(), std::string("/nowhere"), dir / "bin", std::string(":.")}) {
        finds("bin/prog", list, "bin/prog"); // relative, and yet no Errc::dot
        finds(".//bin/../bin/./prog", list, ".//bin/../bin/./prog");
        finds(dir / "bin/prog", list, dir / "bin/prog");
    }
    // Not even below an element of PATH that has it.
    const InDirectory elsewhere(dir / "bin");
    const auto below = look_path("bin/prog", dir.path());
    REQUIRE_FALSE(below);
    CHECK(below.error().is(std::errc::no_such_file_or_directory));
}

EXEC_TEST("[go:14] the empty name, dot and dot-dot are never found, whatever PATH holds") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const InDirectory here(dir.path());
    // Joined and cleaned, each of the three names the program itself under one of these lists (CVE-2025-47906).
    for (const std::string& list : {std::string(), std::string("."), std::string("/bin:/:."), dir / "prog",
                                    dir / "prog/sub", std::string("prog"), std::string("prog/sub")}) {
        for (const char* name : {"", ".", ".."})
            finds_nothing(name, list);
    }
}

EXEC_TEST("[go:14] abc/.. fails, being a directory") {
    const TemporaryDirectory dir;
    make_directory(dir / "abc");
    const InDirectory here(dir.path());
    fails_with("abc/..", dir.path(), std::errc::is_a_directory, "exec: \"abc/..\": is a directory");
}

EXEC_TEST("[go:15] without PATH, or with an empty one, nothing is found, not even here") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const InDirectory here(dir.path());
    finds_nothing("prog", "");
    const Variable path("PATH", std::nullopt);
    const auto unset = look_path("prog");
    REQUIRE_FALSE(unset);
    CHECK(unset.error().code() == Errc::not_found);
}

EXEC_TEST("[go:16] an empty element of PATH is the current directory: a hit is named, and refused") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const InDirectory here(dir.path());
    for (const char* list : {":/nowhere", "/nowhere:", "/nowhere::/nowhere-else", ":"})
        refuses_the_hit("prog", list, "prog");
    // No hit, no refusal.
    finds_nothing("other", ":/nowhere:");
}

EXEC_TEST("[go:17] a hit whose joined path is not absolute is named, and refused") {
    const TemporaryDirectory dir;
    make_directory(dir / "d");
    make_directory(dir / "bin");
    make_program(dir / "here");
    make_program(dir / "d/there");
    make_program(dir / "bin/tool");
    const InDirectory here(dir.path());
    refuses_the_hit("here", ".", "here");
    refuses_the_hit("tool", "bin", "bin/tool");
    refuses_the_hit("there", "./d", "d/there");
    const InDirectory below(dir / "bin");
    refuses_the_hit("there", "../d", "../d/there");
    refuses_the_hit("here", "..", "../here");
}

EXEC_TEST("[go:18] the first hit decides: a relative one hides an absolute one behind it") {
    const TemporaryDirectory dir;
    make_directory(dir / "bin");
    make_program(dir / "prog");
    make_program(dir / "bin/prog");
    const InDirectory here(dir.path());
    refuses_the_hit("prog", ".:" + dir / "bin", "prog");
    refuses_the_hit("prog", "bin:" + dir.path(), "bin/prog");
    finds("prog", dir / "bin" + ":.", dir / "bin/prog");
    finds("prog", "/nowhere:" + dir.path() + ":" + dir / "bin", dir / "prog");
}

EXEC_TEST("[go:19] an absolute element that names the current directory finds what is here") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const InDirectory here(dir.path());
    finds("prog", dir.path(), dir / "prog");
}

EXEC_TEST("[go:20] joined paths are cleaned by their letters alone") {
    const TemporaryDirectory dir;
    make_directory(dir / "b");
    make_directory(dir / "far/deep");
    make_program(dir / "b/prog");
    make_program(dir / "prog");
    make_program(dir / "far/only-far");
    finds("prog", dir / "missing/..//b/./", dir / "b/prog");
    finds("prog", dir / "b//", dir / "b/prog");
    // Through the link, dot-dot would be dir/far; by its letters it is dir.
    REQUIRE(::symlink((dir / "far/deep").c_str(), (dir / "link").c_str()) == 0);
    finds("prog", dir / "link/..", dir / "prog");
    finds_nothing("only-far", dir / "link/..");
    const InDirectory here(dir.path());
    refuses_the_hit("prog", "./missing/../b", "b/prog");
    refuses_the_hit("prog", "b/../../" + std::filesystem::path(dir.path()).filename().string(),
                    "../" + std::filesystem::path(dir.path()).filename().string() + "/prog");
    finds("prog", "/.." + dir.path(), dir / "prog");
}

EXEC_TEST("[go:21] what is missing, a directory or not executable is skipped; in the end it is not found") {
    const TemporaryDirectory dir;
    make_directory(dir / "a/prog");
    make_directory(dir / "b");
    make_directory(dir / "c");
    make_file(dir / "b/prog", "#!/bin/sh\n", 0644);
    make_file(dir / "plain", "", 0644);
    REQUIRE(::symlink("nowhere", (dir / "prog").c_str()) == 0);
    // Missing, a directory, without the x bit, a dangling link, below a plain file: none is the reason that is told.
    const std::string list =
        dir / "missing" + ":" + dir / "a" + ":" + dir / "b" + ":" + dir.path() + ":" + dir / "plain";
    finds_nothing("prog", list);
    finds_nothing(std::string("l\0s", 3), "/bin:/usr/bin"); // a NUL must not cut the name that the kernel sees
    make_program(dir / "c/prog");
    finds("prog", list + ":" + dir / "c", dir / "c/prog");
}

EXEC_TEST("[go:22] a name with a slash fails for its own reason: a directory, no x bit, or what stat says") {
    const TemporaryDirectory dir;
    make_file(dir / "plain", "#!/bin/sh\n", 0644);
    const InDirectory here(dir.path());
    fails_with("./plain", "", std::errc::permission_denied, "exec: \"./plain\": permission denied");
    fails_with(dir.path(), "", std::errc::is_a_directory, "exec: \"" + dir.path() + "\": is a directory");
    fails_with("./missing", "", std::errc::no_such_file_or_directory,
               "exec: \"./missing\": stat ./missing: no such file or directory");
    fails_with("./plain/below", "", std::errc::not_a_directory,
               "exec: \"./plain/below\": stat ./plain/below: not a directory");
}

EXEC_TEST("[go:23] symbolic links are followed, and keep their own name") {
    const TemporaryDirectory dir;
    make_directory(dir / "real");
    make_program(dir / "real/prog");
    make_file(dir / "real/plain", "", 0644);
    REQUIRE(::symlink("real/prog", (dir / "link").c_str()) == 0);
    REQUIRE(::symlink("link", (dir / "link-to-link").c_str()) == 0);
    REQUIRE(::symlink("real/plain", (dir / "link-to-plain").c_str()) == 0);
    REQUIRE(::symlink("real", (dir / "other").c_str()) == 0);
    finds("link", dir.path(), dir / "link");
    finds("link-to-link", dir.path(), dir / "link-to-link");
    finds(dir / "link", "", dir / "link");
    finds("prog", dir / "other", dir / "other/prog");
    finds_nothing("link-to-plain", dir.path());
    finds_nothing("other", dir.path());
}

EXEC_TEST("[go:27] the text quotes the name and gives the reason, to which the error unwraps") {
    const TemporaryDirectory dir;
    const auto missing = look_path("prog", dir.path());
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message() == std::string("exec: \"prog\": ") + not_found_reason);
    CHECK(missing.error().is(Errc::not_found));
    CHECK(missing.error().code() == Errc::not_found);
    CHECK_FALSE(missing.error().is(Errc::dot));
    CHECK(missing.error().error_number() == 0);
    const auto directory = look_path("/", "");
    REQUIRE_FALSE(directory);
    CHECK(directory.error().message() == "exec: \"/\": is a directory");
    CHECK(directory.error().is(std::errc::is_a_directory));
}

EXEC_TEST("[go:27] names are quoted as Go quotes them") {
    const auto text_of = [](std::string_view name) {
        const auto found = look_path(name, "/nowhere");
        return found ? *found : found.error().message();
    };
    const auto quoted = [](std::string_view name) {
        return "exec: \"" + std::string(name) + "\": " + not_found_reason;
    };
    CHECK(text_of("") == quoted(""));
    CHECK(text_of("two words") == quoted("two words"));
    CHECK(text_of("a\"b\\c") == quoted("a\\\"b\\\\c"));
    CHECK(text_of("\a\b\f\n\r\t\v") == quoted("\\a\\b\\f\\n\\r\\t\\v"));
    CHECK(text_of(std::string_view("\0\x01\x1f\x7f", 4)) == quoted("\\x00\\x01\\x1f\\x7f"));
    CHECK(text_of("gr\xc3\xbc\xc3\x9f") == quoted("gr\xc3\xbc\xc3\x9f")); // printable UTF-8 stays
    CHECK(text_of("\xff\xc3") == quoted("\\xff\\xc3"));                   // bytes that are no UTF-8
}

EXEC_TEST("[go:28] the two reasons have Go's words, and a refused hit is wrapped") {
    CHECK(exec::make_error_code(Errc::not_found).message() == not_found_reason);
    CHECK(exec::make_error_code(Errc::dot).message() == dot_reason);
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const InDirectory here(dir.path());
    const auto refused = look_path("prog", ".");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is(Errc::dot));
    CHECK(refused.error().message() == std::string("exec: \"prog\": ") + dot_reason);
    CHECK_FALSE(refused.error().is(Errc::not_found));
}
