// The environment and the directory that a command gets.
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include "tests/exec/support.hpp"
#include "tests/exec/surroundings.hpp"

using namespace keep;
using namespace keep::test;
using exec::Errc;
using Texts = std::vector<std::string>;

namespace {

std::string output_of(exec::Cmd command) {
    exec::Output output = command.output();
    if (!output) FAIL(output.result.error().message());
    return output.bytes.str();
}

std::string as_lines(const Texts& texts) {
    std::string lines;
    for (const std::string& text : texts)
        lines += text + "\n";
    return lines;
}

// What Cmd::environ() says of `given`, having made sure that a command gets just that.
Texts effective(const Texts& given) {
    exec::Cmd command = helper("environ");
    command.env = given;
    Texts said = command.environ();
    CHECK(output_of(std::move(command)) == as_lines(said));
    return said;
}

int count_of(const Texts& environment, const std::string& name) {
    int count = 0;
    for (const std::string& entry : environment)
        count += entry.starts_with(name + "=") ? 1 : 0;
    return count;
}

// The helper's report with this directory: where it is, then its variable PWD.
std::string place_of(const std::string& dir) {
    exec::Cmd command = helper("pwd");
    command.dir = dir;
    CHECK(count_of(command.environ(), "PWD") == 1);
    return output_of(std::move(command));
}

} // namespace

EXEC_TEST("[go:29] without an environment of its own a command gets ours as it is at the start") {
    const Variable before("KEEP_TEST_BEFORE", "at construction");
    const Variable dropped("KEEP_TEST_DROPPED", "at construction");
    exec::Cmd command = helper("echoenv", {"KEEP_TEST_BEFORE", "KEEP_TEST_LATER", "KEEP_TEST_DROPPED"});
    const Variable changed("KEEP_TEST_BEFORE", "at start");
    const Variable later("KEEP_TEST_LATER", "new");
    const Variable unset("KEEP_TEST_DROPPED", std::nullopt);
    CHECK(output_of(std::move(command)) == "at start\nnew\n\n");
}

EXEC_TEST("[go:29] an empty environment is an empty one") {
    const Variable ours("KEEP_TEST_OURS", "1");
    exec::Cmd command = helper("environ");
    command.env.emplace();
    CHECK(command.environ().empty());
    CHECK(output_of(std::move(command)).empty());
}

EXEC_TEST("[go:29] layer 1: no environment is ours as of the call, an empty one is empty") {
    exec::SpawnSpec spec = helper_spec("echoenv", {"KEEP_TEST_OURS"});
    const Variable ours("KEEP_TEST_OURS", "seen");
    CHECK(run(spec).output == "\n");
    spec.env.reset();
    CHECK(run(spec).output == "seen\n");
}

EXEC_TEST("[go:30] of equal keys the last value counts, at its own place; keys differ by case") {
    CHECK(effective({"k1=v1", "k2=v2", "k1=v3"}) == Texts{"k2=v2", "k1=v3"});
    CHECK(effective({"k1=v1", "K1=V2", "k1=v3"}) == Texts{"K1=V2", "k1=v3"});
    CHECK(effective({"a=1", "b=1", "a=2", "b=2", "a=3"}) == Texts{"b=2", "a=3"});
    CHECK(effective({"a=1", "a=", "ab=1"}) == Texts{"a=", "ab=1"});
    CHECK(effective({"a=1=2", "a=1=3"}) == Texts{"a=1=3"}); // the key ends at the first sign
}

EXEC_TEST("[go:31] entries without an equals sign are kept, each of them; empty ones are dropped") {
    CHECK(effective({"dodgy", "entries"}) == Texts{"dodgy", "entries"});
    CHECK(effective({"dodgy", "a=1", "dodgy", "a"}) == Texts{"dodgy", "a=1", "dodgy", "a"});
    CHECK(effective({"", "a=1", "", "b=1", ""}) == Texts{"a=1", "b=1"});
}

EXEC_TEST("[go:32] with a leading equals sign the key extends to the next one") {
    CHECK(effective({"=C:=C:\\golang", "=D:=D:\\tmp", "=D:=D:\\"}) == Texts{"=C:=C:\\golang", "=D:=D:\\"});
    CHECK(effective({"=a", "=b"}) == Texts{"=b"});
    CHECK(effective({"=a=1", "=b=1", "=a=2"}) == Texts{"=b=1", "=a=2"});
    CHECK(effective({"=", "=a"}) == Texts{"=a"});
}

EXEC_TEST("[go:33] an entry with a NUL is left out of environ(), and start refuses it") {
    const std::string in_value("A=a\0b", 5);
    const std::string in_key("C\0C=c", 5);
    const std::string alone("\0", 1);
    for (const Texts& given : {Texts{in_value, "B=b", in_key}, Texts{"B=b", alone}, Texts{in_value, "B=b", "A=a"}}) {
        CAPTURE(given.size());
        exec::Cmd command = helper("environ");
        command.env = given;
        Texts expected{"B=b"};
        if (given.back() == "A=a") expected.emplace_back("A=a");
        CHECK(command.environ() == expected);
        const auto started = command.start();
        REQUIRE_FALSE(started);
        CHECK(started.error().code() == Errc::nul_in_environment);
        CHECK(started.error().message() == "exec: environment variable contains NUL");
        CHECK(command.process() == nullptr);
    }
}

EXEC_TEST("[go:34] with a directory and our environment, PWD is that directory, absolute") {
    const TemporaryDirectory dir;
    const std::string parent = physical(dir);
    const std::string current = parent + "/current";
    REQUIRE(::mkdir(current.c_str(), 0755) == 0);
    const InDirectory here(current);
    // Whether ours is right, wrong or missing: it is replaced, not added to.
    for (const std::optional<std::string>& inherited :
         {std::optional<std::string>(current), std::optional<std::string>("/stale"), std::optional<std::string>()}) {
        CAPTURE(inherited.value_or("unset"));
        const Variable pwd("PWD", inherited);
        CHECK(place_of(".") == as_lines({current, current}));
        CHECK(place_of("..") == as_lines({parent, parent}));
        CHECK(place_of(current) == as_lines({current, current}));
        CHECK(place_of(current + "/..") == as_lines({parent, parent}));
        CHECK(place_of("../current/./") == as_lines({current, current}));
        CHECK(place_of("/") == as_lines({"/", "/"}));
    }
}

EXEC_TEST("[go:34] without a directory PWD is inherited as it is") {
    const Variable pwd("PWD", "/stale");
    CHECK(output_of(helper("echoenv", {"PWD"})) == "/stale\n");
    const Variable none("PWD", std::nullopt);
    CHECK(count_of(helper("environ").environ(), "PWD") == 0);
}

EXEC_TEST("[go:35] symbolic links in the directory stay in PWD, and dot-dot takes off a name") {
    const TemporaryDirectory dir;
    const std::string top = physical(dir);
    std::filesystem::create_directories(top + "/real/deep");
    REQUIRE(::symlink("real/deep", (top + "/link").c_str()) == 0);
    const InDirectory here(top);
    CHECK(place_of(top + "/link") == as_lines({top + "/real/deep", top + "/link"}));
    CHECK(place_of("link") == as_lines({top + "/real/deep", top + "/link"}));
    CHECK(place_of("link/..") == as_lines({top + "/real", top}));
}

EXEC_TEST("[go:36] an environment of its own keeps its PWD, or has none, whatever the directory is") {
    const TemporaryDirectory dir;
    const std::string top = physical(dir);
    exec::Cmd contradicting = helper("pwd");
    contradicting.dir = top;
    contradicting.env = Texts{"PWD=/somewhere/else"};
    CHECK(contradicting.environ() == Texts{"PWD=/somewhere/else"});
    CHECK(output_of(std::move(contradicting)) == top + "\n/somewhere/else\n");
    exec::Cmd without = helper("environ");
    without.dir = top;
    without.env = Texts{"A=1"};
    CHECK(output_of(std::move(without)) == "A=1\n");
}

EXEC_TEST("[go:37] environ() is a copy of what start passes") {
    const TemporaryDirectory dir;
    const Variable ours("KEEP_TEST_OURS", "1");
    exec::Cmd inheriting = helper("environ");
    inheriting.dir = physical(dir);
    Texts said = inheriting.environ();
    CHECK(count_of(said, "KEEP_TEST_OURS") == 1);
    CHECK(count_of(said, "PWD") == 1);
    const std::string expected = as_lines(said);
    said.assign({"CHANGED=1"});  // the caller's own
    CHECK_FALSE(inheriting.env); // and asking changes nothing
    CHECK(output_of(std::move(inheriting)) == expected);

    exec::Cmd own = helper("environ");
    own.env = Texts{"a=1", "", "bare", "a=2"};
    CHECK(own.environ() == Texts{"bare", "a=2"});
    CHECK(own.env == Texts{"a=1", "", "bare", "a=2"});
    CHECK(output_of(std::move(own)) == "bare\na=2\n");
}

EXEC_TEST("[go:38] a missing directory is found before any fork") {
    const TemporaryDirectory dir;
    const std::string missing = dir / "missing";
    exec::Cmd command = helper("exit", {"0"});
    command.dir = missing;
    const auto started = command.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().op() == "chdir");
    CHECK(started.error().path() == missing);
    CHECK(started.error().is(std::errc::no_such_file_or_directory));
    CHECK(started.error().message() == "chdir " + missing + ": no such file or directory");
    CHECK(in_forked_child([&] {
              if (!forbid_new_processes()) return 99;
              exec::Cmd without_dir = helper("exit", {"0"});
              exec::Cmd again = helper("exit", {"0"});
              again.dir = missing;
              const auto forking = without_dir.start();
              const auto failed = again.start();
              return first_unmet({!forking && forking.error().is(std::errc::operation_not_permitted),
                                  !failed && failed.error().op() == "chdir"});
          }) == 0);
}

EXEC_TEST("[go:38] with attributes set, the child finds out that the directory is missing") {
    const TemporaryDirectory dir;
    const std::string missing = dir / "missing";
    exec::Cmd command = helper("exit", {"0"});
    command.dir = missing;
    command.sys.setsid = true;
    const auto started = command.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().op() == "fork/exec");
    CHECK(started.error().path() == helper_path());
    CHECK(started.error().is(std::errc::no_such_file_or_directory));
    CHECK(started.error().message().starts_with("fork/exec " + helper_path() + ": "));
    CHECK(started.error().message().ends_with(": no such file or directory"));
    CHECK(started.error().step() == exec::Step::chdir); // or it could be the program that is missing
    CHECK(started.error().object() == missing);
}
