// Becoming another program, and failing to: what comes back from replace(), and what the new image is given.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/exec/attributes.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;
using exec::Replacement;

namespace {

Replacement to_helper(std::string_view mode, std::vector<std::string> args = {}) {
    Replacement with;
    with.path = helper_path();
    with.argv = {"exec-helper", std::string(mode)};
    with.argv.insert(with.argv.end(), args.begin(), args.end());
    return with;
}

// What the new image says on its standard output, after `before`.
Ran become(const Replacement& with, const std::function<void()>& before = [] {}) {
    return in_fork([&] {
        before();
        say("came back: " + exec::replace(with).message());
    });
}

int failure_of(const Replacement& with) {
    const exec::Error error = exec::replace(with);
    CHECK(error.op() == "exec");
    CHECK(error.path() == with.path);
    return error.error_number();
}

std::string file(const TemporaryDirectory& dir, const std::string& name, std::string_view content, mode_t mode) {
    std::ofstream(dir / name) << content;
    REQUIRE(::chmod((dir / name).c_str(), mode) == 0);
    return dir / name;
}

} // namespace

EXEC_TEST("[go:134] success never returns: nothing after it runs") {
    const Ran ran = become(to_helper("exit", {"42"}));
    CHECK(ran.output.empty());
    CHECK(ran.state.exit_code() == 42);
}

EXEC_TEST("[go:134] failure returns the errno") {
    const TemporaryDirectory dir;
    Replacement with = to_helper("args");
    with.path = dir / "missing";
    CHECK(failure_of(with) == ENOENT);
    CHECK(exec::replace(with).message() == "exec " + with.path + ": no such file or directory");
    with.path = dir.path();
    CHECK(failure_of(with) == EACCES);
    with.path = file(dir, "plain", "#!/bin/sh\n", 0644);
    CHECK(failure_of(with) == EACCES);
    with.path += "/below";
    CHECK(failure_of(with) == ENOTDIR);
    with.path = file(dir, "garbage", "exit 0\n", 0755); // and no shell is tried
    CHECK(failure_of(with) == ENOEXEC);
    with.path = "by descriptor";
    with.fd = 888;
    CHECK(failure_of(with) == EBADF);
    with = to_helper("args", {std::string(std::size_t{1} << 20, 'x')});
    CHECK(failure_of(with) == E2BIG);
}

EXEC_TEST("[go:134] a failure leaves descriptors, their flags, signal mask and limit as they were") {
    const Ran ran = in_fork([] {
        const int marked = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
        const int inherited = ::open("/dev/zero", O_RDONLY);
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = 256;
        ::setrlimit(RLIMIT_NOFILE, &limit);
        (void)exec::raise_nofile_limit();
        sigset_t blocked, now;
        ::sigemptyset(&blocked);
        ::sigaddset(&blocked, SIGUSR1);
        ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
        const Holdings before = holdings();
        for (const bool keep_only : {false, true}) {
            Replacement with;
            with.path = "/no/such/program";
            with.argv = {"x"};
            with.keep = {marked};
            with.keep_only = keep_only;
            with.reset_mask = true;
            say(exec::errno_text(exec::replace(with).error_number()));
            say(holdings() == before ? "holds the same" : "holds others");
            say("flags " + std::to_string(::fcntl(marked, F_GETFD)) + " " +
                std::to_string(::fcntl(inherited, F_GETFD)));
            ::sigprocmask(SIG_SETMASK, nullptr, &now);
            say(::sigismember(&now, SIGUSR1) == 1 && ::sigismember(&now, SIGUSR2) == 0 ? "same mask" : "other mask");
            ::getrlimit(RLIMIT_NOFILE, &limit);
            say(limit.rlim_cur == limit.rlim_max ? "raised limit" : "other limit");
        }
    });
    const std::string once = "no such file or directory\nholds the same\nflags 1 0\nsame mask\nraised limit\n";
    CHECK(ran.output == once + once);
}

EXEC_TEST("[go:134] a process that has failed to become another starts programs as before, and becomes a third") {
    const Ran ran = become(to_helper("echo", {"third"}), [] {
        Replacement with = to_helper("echo");
        with.path = "/no/such/program";
        (void)exec::replace(with);
        exec::SpawnSpec spec = helper_spec("echo", {"second"});
        start_here(spec);
    });
    CHECK(ran.output == "second\nthird\n");
}

EXEC_TEST("[go:135] a name without a slash is the current directory's: PATH is not searched") {
    const TemporaryDirectory dir;
    std::filesystem::create_symlink("/bin/true", dir / "keep-nothing-else-is-called-so");
    Replacement with;
    with.path = "keep-nothing-else-is-called-so";
    with.argv = {with.path};
    const auto in_path = [&] { ::setenv("PATH", dir.path().c_str(), 1); };
    CHECK(become(with, in_path).output ==
          "came back: exec keep-nothing-else-is-called-so: no such file or directory\n");
    const auto there = [&] { (void)!::chdir(dir.path().c_str()); };
    const Ran ran = become(with, there);
    CHECK(ran.output.empty());
    CHECK(ran.state.success());
}

EXEC_TEST("[go:135] the environment is the one given, nothing is inherited") {
    const auto before = [] { ::setenv("OURS", "is not inherited", 1); };
    Replacement with = to_helper("environ");
    CHECK(become(with, before).output.empty());
    with.env = {"ONLY=this", "AND=that", "ONLY=this", "without an equals sign"}; // exactly so
    CHECK(become(with, before).output == "ONLY=this\nAND=that\nONLY=this\nwithout an equals sign\n");
}

EXEC_TEST("[go:135] the arguments are those given, the first of them any text") {
    Replacement with = to_helper("args", {"one", "", "three and more"});
    with.argv[0] = "any text at all";
    CHECK(become(with).output == "any text at all\none\n\nthree and more\n");
    with.argv[0] = "";
    CHECK(become(with).output == "\none\n\nthree and more\n");
}

EXEC_TEST("[go:135] by descriptor the path is for messages alone") {
    const Fd image = Fd::adopt(::open(helper_path().c_str(), O_PATH | O_CLOEXEC));
    REQUIRE(image);
    Replacement with = to_helper("echo", {"by descriptor"});
    with.fd = image.get();
    with.path = "/no/such/program";
    CHECK(become(with).output == "by descriptor\n");
}

EXEC_TEST("[go:135] a NUL in path, argument or environment is EINVAL") {
    const std::string cut("/bin/true\0b", 11);
    Replacement with = to_helper("args");
    with.path = cut;
    CHECK(failure_of(with) == EINVAL);
    with = to_helper("args", {cut});
    CHECK(failure_of(with) == EINVAL);
    with = to_helper("args");
    with.argv[0] = cut;
    CHECK(failure_of(with) == EINVAL);
    with = to_helper("args");
    with.env = {"A=" + cut};
    CHECK(failure_of(with) == EINVAL);
}
