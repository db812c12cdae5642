// A program's environment is a function of its config and keepd's beginnings.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fstream>
#include <unistd.h>

#include "daemon/host/program_environment.hpp"

using keepd::host::environment_of;
using keepd::host::parse_env_file;
using Lines = std::vector<std::string>;

namespace {

const Lines original{"PATH=/bin", "LANG=C", "SECRET=1", "NOTIFY_SOCKET=/run/n", "LISTEN_FDS=3", "INVOCATION_ID=x"};

// A file that is gone when the test is.
struct TemporaryFile {
    std::string path;
    explicit TemporaryFile(const std::string& text) {
        char name[] = "/tmp/keepd-env-XXXXXX";
        close(mkstemp(name));
        path = name;
        std::ofstream(path) << text;
    }
    ~TemporaryFile() { std::remove(path.c_str()); }
};

} // namespace

TEST_CASE("only the named variables are inherited") {
    keepd::config::Program program;
    CHECK(environment_of(program, original) == Lines{"LANG=C", "PATH=/bin"});
    program.env_inherit = {false, {}};
    CHECK(environment_of(program, original) == Lines{});
}

TEST_CASE("even env_inherit true leaves out what systemd said to keepd alone") {
    keepd::config::Program program;
    program.env_inherit.all = true;
    CHECK(environment_of(program, original) == Lines{"LANG=C", "PATH=/bin", "SECRET=1"});
}

TEST_CASE("later ones win: inherited, identity, env_file, environment") {
    const TemporaryFile file("# comment\n; another\n\nexport LANG=de\nHOME='/from file'\nQUOTED=\"a b\"\nEMPTY=\r\n");
    keepd::config::Program program;
    program.identity = keepd::config::Identity{1, 1, {}, "www", "/home/www", "/bin/sh"};
    program.env_files = {{file.path, false}};
    program.environment = {{"PATH", std::nullopt}, {"USER", "override"}};
    CHECK(environment_of(program, original) ==
          Lines{"EMPTY=", "HOME=/from file", "LANG=de", "LOGNAME=www", "QUOTED=a b", "SHELL=/bin/sh", "USER=override"});
}

TEST_CASE("an env_file that is missing fails the start unless it may be absent") {
    keepd::config::Program program;
    program.env_files = {{"/nonexistent/env", true}};
    CHECK(environment_of(program, original).has_value());
    program.env_files = {{"/nonexistent/env", false}};
    const auto failed = environment_of(program, original);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ENOENT);
    CHECK(failed.error().message.find("/nonexistent/env") != std::string::npos);
}

TEST_CASE("a line that is no assignment is named by its number") {
    CHECK(parse_env_file("A=1\nnonsense\n").error().message == "line 2 is not KEY=value");
    CHECK(parse_env_file("1A=1\n").error().message == "line 1 is not KEY=value");
    CHECK(parse_env_file(std::string_view("A=x\0y\n", 6)).error().message == "line 1 holds a NUL byte");
    CHECK(parse_env_file("A=b=c")->at(0) == std::pair<std::string, std::string>("A", "b=c"));
}
