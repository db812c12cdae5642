// Go's LookPath: what counts as executable. The answers of the kernel are those for a user, a mount or a filter of
// system calls that this process must not have itself, so they are asked for in forked children.
#include <cerrno>
#include <grp.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/exec/support.hpp"
#include "tests/exec/surroundings.hpp"

using namespace keep;
using namespace keep::test;
using exec::Errc;
using exec::look_path;

namespace {

constexpr int could_not_arrange = 99; // of a forked child
constexpr uid_t somebody = 61234;     // nobody's

// Only the effective ids: the real ones stay root's.
bool act_as_somebody() {
    return ::setgroups(0, nullptr) == 0 && ::setegid(somebody) == 0 && ::seteuid(somebody) == 0;
}

bool is_not_found(const exec::Result<std::string>& result) {
    return !result && result.error().is(Errc::not_found);
}

bool fails_with(const exec::Result<std::string>& result, std::errc reason) {
    return !result && result.error().is(reason);
}

// The check for the effective ids, and whatever may stand in for it, fail with this errno.
bool refuse_access_checks(int error_number) {
    std::vector<unsigned> numbers{SYS_faccessat, SYS_faccessat2};
#ifdef SYS_access
    numbers.push_back(SYS_access);
#endif
    return filter_system_calls(numbers, SECCOMP_RET_ERRNO | static_cast<unsigned>(error_number)) == 0;
}

} // namespace

EXEC_TEST("[go:21] a directory that may not be searched is skipped, and is not the reason that is told") {
    if (!is_root()) return;
    const TemporaryDirectory dir;
    REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
    REQUIRE(::mkdir((dir / "locked").c_str(), 0700) == 0);
    REQUIRE(::mkdir((dir / "open").c_str(), 0755) == 0);
    make_program(dir / "locked/prog");
    make_program(dir / "open/prog");
    const std::string locked = dir / "locked";
    const std::string open = dir / "open";
    CHECK(look_path("prog", locked) == locked + "/prog"); // for root there is nothing in the way
    CHECK(in_forked_child([&] {
              if (!act_as_somebody()) return could_not_arrange;
              return first_unmet({is_not_found(look_path("prog", locked)),
                                  look_path("prog", locked + ":" + open) == open + "/prog",
                                  fails_with(look_path(locked + "/prog", open), std::errc::permission_denied)});
          }) == 0);
}

EXEC_TEST("[go:24] executable is what the effective ids may execute, not the real ones") {
    if (!is_root()) return;
    const TemporaryDirectory dir;
    REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
    make_file(dir / "roots", "#!/bin/sh\n", 0700);
    make_file(dir / "theirs", "#!/bin/sh\n", 0100);
    REQUIRE(::chown((dir / "theirs").c_str(), somebody, somebody) == 0);
    const std::string list = dir.path();
    CHECK(look_path("roots", list) == dir / "roots");
    CHECK(in_forked_child([&] {
              if (!act_as_somebody()) return could_not_arrange;
              return first_unmet({::getuid() == 0, is_not_found(look_path("roots", list)),
                                  fails_with(look_path(dir / "roots", ""), std::errc::permission_denied),
                                  look_path("theirs", list) == dir / "theirs"});
          }) == 0);
}

EXEC_TEST("[go:24] a program on a noexec mount is not executable") {
    if (!is_root()) return;
    const TemporaryDirectory dir;
    const int code = in_forked_child([&] {
        if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, nullptr) != 0)
            return could_not_arrange;
        make_program(dir / "prog");
        const bool found_before = look_path("prog", dir.path()) == dir / "prog";
        if (::mount("none", dir.path().c_str(), nullptr, MS_REMOUNT | MS_NOEXEC, nullptr) != 0)
            return could_not_arrange;
        return first_unmet({found_before, is_not_found(look_path("prog", dir.path())),
                            fails_with(look_path(dir / "prog", ""), std::errc::permission_denied)});
    });
    if (code == could_not_arrange) {
        MESSAGE("skipped: no mounts of one's own here");
        return;
    }
    CHECK(code == 0);
}

EXEC_TEST("[go:25] where the access check is refused with ENOSYS or EPERM, any x bit will do") {
    const TemporaryDirectory dir;
    REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
    // A bit that is of no use to its owner: the mode alone is looked at.
    for (const auto& [name, mode] : {std::pair{"owners", 0100}, std::pair{"groups", 0010}, std::pair{"others", 0001}})
        make_file(dir / name, "", static_cast<mode_t>(mode));
    make_file(dir / "nobodys", "", 0666);
    REQUIRE(::mkdir((dir / "directory").c_str(), 0755) == 0);
    const std::string list = dir.path();
    for (const int refusal : {ENOSYS, EPERM}) {
        CAPTURE(refusal);
        CHECK(in_forked_child([&] {
                  // Another user than the files' owner, where this process may become one.
                  if (::geteuid() == 0 && !act_as_somebody()) return could_not_arrange;
                  if (!refuse_access_checks(refusal) || ::access("/", F_OK) == 0 || errno != refusal)
                      return could_not_arrange;
                  return first_unmet(
                      {look_path("owners", list) == dir / "owners", look_path("groups", list) == dir / "groups",
                       look_path("others", list) == dir / "others", look_path(dir / "others", "") == dir / "others",
                       is_not_found(look_path("nobodys", list)),
                       fails_with(look_path(dir / "nobodys", ""), std::errc::permission_denied),
                       fails_with(look_path(dir / "directory", ""), std::errc::is_a_directory),
                       fails_with(look_path(dir / "missing", ""), std::errc::no_such_file_or_directory)});
              }) == 0);
    }
}

EXEC_TEST("[go:25] another refusal of the access check counts") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    CHECK(in_forked_child([&] {
              if (!refuse_access_checks(EACCES)) return could_not_arrange;
              return first_unmet({is_not_found(look_path("prog", dir.path())),
                                  fails_with(look_path(dir / "prog", ""), std::errc::permission_denied)});
          }) == 0);
}

EXEC_TEST("[go:26] content is not looked at: garbage is found, and fails when it is run, not as a relative hit") {
    const TemporaryDirectory dir;
    make_file(dir / "garbage", "neither ELF nor script", 0777);
    make_file(dir / "empty", "", 0777);
    const Variable path("PATH", dir.path());
    for (const char* name : {"garbage", "empty"}) {
        CAPTURE(std::string(name));
        CHECK(look_path(name) == dir / name);
        exec::Cmd command = exec::command(name);
        CHECK_FALSE(command.lookup_error);
        const auto started = command.start();
        REQUIRE_FALSE(started);
        CHECK(started.error().is(std::errc::executable_format_error));
        CHECK_FALSE(started.error().is(Errc::dot));
    }
}
