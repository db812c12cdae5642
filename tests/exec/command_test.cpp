// Building a command: what command() fills in, what may be edited afterwards, and how it reads as text.
#include <atomic>
#include <csignal>
#include <latch>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/exec/support.hpp"
#include "tests/exec/surroundings.hpp"

using namespace keep;
using namespace keep::test;
using exec::Errc;
using Texts = std::vector<std::string>;

namespace {

std::string output_of(exec::Cmd& command) {
    exec::Output output = command.output();
    if (!output) FAIL(output.result.error().message());
    return output.bytes.str();
}

int exit_code_of(exec::Cmd command) {
    (void)command.run();
    REQUIRE(command.state() != nullptr);
    return command.state()->exit_code();
}

exec::Cmd by_hand(std::string path, Texts args = {}) {
    exec::CmdConfig config;
    config.path = std::move(path);
    config.args = std::move(args);
    return exec::Cmd(std::move(config));
}

} // namespace

EXEC_TEST("[go:1] a command has a path and arguments, and everything else as it is by itself") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const Variable path("PATH", dir.path());
    const exec::Cmd command = exec::command("prog", "a", "", "c d");
    CHECK(command.path == dir / "prog");
    CHECK(command.args == Texts{"prog", "a", "", "c d"}); // the name as given, not what it was resolved to
    CHECK_FALSE(command.lookup_error);
    CHECK_FALSE(command.env);
    CHECK(command.dir.empty());
    CHECK_FALSE(command.in.is_set());
    CHECK_FALSE(command.out.is_set());
    CHECK_FALSE(command.err.is_set());
    CHECK(command.extra_files.empty());
    CHECK(command.sys == exec::SysProcAttr{});
    CHECK_FALSE(command.has_context);
    CHECK_FALSE(command.context.can_end());
    CHECK_FALSE(command.cancel);
    CHECK(command.wait_delay.count() == 0);
}

EXEC_TEST("[go:1] the program finds the name as given as its own") {
    const TemporaryDirectory dir;
    REQUIRE(::symlink(helper_path().c_str(), (dir / "prog").c_str()) == 0);
    const Variable path("PATH", dir.path());
    exec::Cmd command = exec::command("prog", "args", "x");
    CHECK(output_of(command) == "prog\nx\n");
}

EXEC_TEST("[go:2] a name without a slash is looked up, one with a slash is taken as it is until the start") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const Variable path("PATH", dir.path());
    CHECK(exec::command("prog").path == dir / "prog");
    exec::Cmd missing = exec::command("./missing//prog", "x");
    CHECK(missing.path == "./missing//prog");
    CHECK(missing.args == Texts{"./missing//prog", "x"});
    CHECK_FALSE(missing.lookup_error);
    const auto started = missing.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().is(std::errc::no_such_file_or_directory));
    CHECK(started.error().message() == "fork/exec ./missing//prog: no such file or directory");
}

EXEC_TEST("[go:3] a failed lookup is kept, and is what start says, without starting anything") {
    const TemporaryDirectory dir;
    const Variable path("PATH", dir.path());
    exec::Cmd command = exec::command("prog", "x");
    REQUIRE(command.lookup_error);
    CHECK(command.lookup_error->is(Errc::not_found));
    CHECK(command.path == "prog");
    // Too late: the lookup is over.
    make_program(dir / "prog");
    const std::string kept = command.lookup_error->message();
    CHECK(kept == "exec: \"prog\": executable file not found in $PATH");
    const auto started = command.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().message() == kept);
    CHECK(started.error().code() == Errc::not_found);
    CHECK(command.process() == nullptr);
    CHECK(command.state() == nullptr);
}

EXEC_TEST("[go:4] a relative hit is in the path beside the error; without the error it runs") {
    const TemporaryDirectory dir;
    REQUIRE(::mkdir((dir / "bin").c_str(), 0755) == 0);
    make_program(dir / "prog", 4);
    make_program(dir / "bin/tool", 5);
    const InDirectory here(dir.path());
    for (const auto& [list, name, hit, code] : {std::tuple{".", "prog", "prog", 4}, std::tuple{"", "prog", "prog", 4},
                                                std::tuple{"bin", "tool", "bin/tool", 5}}) {
        CAPTURE(std::string(list));
        const Variable path("PATH", std::string(list) + ":/nowhere");
        exec::Cmd refused = exec::command(name);
        CHECK(refused.path == hit);
        REQUIRE(refused.lookup_error);
        CHECK(refused.lookup_error->is(Errc::dot));
        exec::Cmd allowed = exec::command(name);
        allowed.lookup_error.reset();
        const auto started = refused.start();
        REQUIRE_FALSE(started);
        CHECK(started.error().code() == Errc::dot);
        CHECK(started.error().message() ==
              "exec: \"" + std::string(name) + "\": cannot run executable found relative to current directory");
        CHECK(exit_code_of(std::move(allowed)) == code);
    }
}

EXEC_TEST("[go:5] the lookup is done with this process's PATH at construction, never with the command's own") {
    const TemporaryDirectory first;
    const TemporaryDirectory second;
    make_program(first / "prog", 1);
    make_program(second / "prog", 2);
    make_program(second / "only-second", 2);
    const Variable path("PATH", first.path());
    exec::Cmd command = exec::command("prog");
    command.env = Texts{"PATH=" + second.path()};
    exec::Cmd missing = exec::command("only-second");
    missing.env = Texts{"PATH=" + second.path()};
    const Variable later("PATH", second.path());
    CHECK(command.path == first / "prog");
    CHECK(exit_code_of(std::move(command)) == 1);
    const auto started = missing.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().is(Errc::not_found));
}

EXEC_TEST("[go:5] a list of directories can be given in PATH's place") {
    const TemporaryDirectory first;
    const TemporaryDirectory second;
    make_program(first / "prog", 1);
    make_program(second / "prog", 2);
    const Variable path("PATH", first.path());
    exec::Cmd command = exec::command_in("/nowhere:" + second.path(), "prog", {"x"});
    CHECK(command.path == second / "prog");
    CHECK(command.args == Texts{"prog", "x"});
    CHECK_FALSE(command.lookup_error);
    CHECK_FALSE(command.env); // for the lookup alone: the program gets this process's PATH
    CHECK(exit_code_of(std::move(command)) == 2);
    CHECK(exec::look_path("prog", second.path()) == second / "prog");
    const exec::Cmd nowhere = exec::command_in("/nowhere", "prog", {});
    REQUIRE(nowhere.lookup_error);
    CHECK(nowhere.lookup_error->is(Errc::not_found));
    const InDirectory here(second.path());
    const exec::Cmd relative = exec::command_in(".", "prog", {});
    REQUIRE(relative.lookup_error);
    CHECK(relative.lookup_error->is(Errc::dot));
    CHECK(relative.path == "prog");
    CHECK(exec::command_in("/nowhere", "./prog", {}).path == "./prog");
}

EXEC_TEST("[go:6] without arguments the program gets its path as the only one") {
    exec::Cmd command = by_hand("/bin/sh");
    command.in = exec::Source::bytes("cat /proc/$$/cmdline\n");
    CHECK(output_of(command) == std::string("/bin/sh\0", 8));
    CHECK(command.args.empty());
}

EXEC_TEST("[go:6] the empty name is no command: nothing is looked up for it") {
    exec::Cmd command = exec::command("");
    CHECK_FALSE(command.lookup_error);
    const auto started = command.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().message() == "exec: no command");
}

EXEC_TEST("[go:10] an empty first word keeps its place in the text") {
    exec::CmdConfig config;
    config.args = {"a", "b"};
    CHECK(exec::Cmd(config).to_string() == " b");
}

EXEC_TEST("[go:6] without a path there is no command") {
    exec::Cmd command{exec::CmdConfig{}};
    const auto started = command.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().code() == Errc::no_command);
    CHECK(started.error().message() == "exec: no command");
    CHECK(command.process() == nullptr);
}

EXEC_TEST("[go:7] a path edited afterwards changes what runs, but no argument") {
    exec::Cmd command = exec::command("/bin/true", "args", "x");
    command.path = helper_path();
    CHECK(command.args == Texts{"/bin/true", "args", "x"});
    CHECK(output_of(command) == "/bin/true\nx\n");
}

EXEC_TEST("[go:8] a relative path counts from the command's directory, not from ours") {
    const TemporaryDirectory ours;
    const TemporaryDirectory theirs;
    make_program(ours / "prog", 1);
    make_program(theirs / "prog", 2);
    REQUIRE(::mkdir((theirs / "bin").c_str(), 0755) == 0);
    make_program(theirs / "bin/only-there", 3);
    const InDirectory here(ours.path());
    for (const auto& [path, code] : {std::pair{"./prog", 2}, std::pair{"prog", 2}, std::pair{"bin/only-there", 3}}) {
        CAPTURE(std::string(path));
        exec::Cmd command = by_hand(path);
        command.dir = theirs.path();
        CHECK(exit_code_of(std::move(command)) == code);
    }
    CHECK(exit_code_of(by_hand("./prog")) == 1);
}

EXEC_TEST("[go:9] a bare path set by hand is never searched for in PATH") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const Variable path("PATH", dir.path());
    REQUIRE(exec::look_path("prog"));
    exec::Cmd command = by_hand("prog");
    command.dir = "/";
    const auto started = command.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().is(std::errc::no_such_file_or_directory));
    CHECK(started.error().message() == "fork/exec prog: no such file or directory");
}

EXEC_TEST("[go:10] as text a command is its path and its further arguments, unquoted") {
    const TemporaryDirectory dir;
    make_program(dir / "prog");
    const Variable path("PATH", dir.path());
    CHECK(exec::command("prog", "a b", "", "\"c\"", "$d").to_string() == dir / "prog" + " a b  \"c\" $d");
    CHECK(exec::command("prog").to_string() == dir / "prog");
    CHECK(exec::command("./some/prog", "x").to_string() == "./some/prog x");
    exec::Cmd edited = exec::command("prog", "x");
    edited.path = "/bin/other";
    edited.args[0] = "never shown";
    CHECK(edited.to_string() == "/bin/other x");
}

EXEC_TEST("[go:10] with a failed lookup the text is the arguments as they were given") {
    const TemporaryDirectory dir;
    REQUIRE(::mkdir((dir / "bin").c_str(), 0755) == 0);
    make_program(dir / "bin/prog");
    const InDirectory here(dir.path());
    const Variable path("PATH", "bin");
    CHECK(exec::command("missing", "a", "b c").to_string() == "missing a b c");
    exec::Cmd relative = exec::command("prog", "x");
    CHECK(relative.to_string() == "prog x"); // and not bin/prog
    relative.lookup_error.reset();
    CHECK(relative.to_string() == "bin/prog x");
}

EXEC_TEST("[go:11] without arguments the text is the path, or nothing after a failed lookup") {
    exec::Cmd command = by_hand("/bin/prog");
    CHECK(command.to_string() == "/bin/prog");
    command.lookup_error = exec::Error(Errc::not_found);
    CHECK(command.to_string().empty());
    CHECK(exec::Cmd{exec::CmdConfig{}}.to_string().empty());
}

EXEC_TEST("[go:11] the text can be asked for while the command is being started and waited for") {
    exec::Cmd command = helper("exit", {"0"});
    const std::string expected = helper_path() + " exit 0";
    std::latch asking(2);
    std::atomic<bool> over = false;
    bool always = true;
    std::thread other([&] {
        asking.arrive_and_wait();
        do {
            always = always && command.to_string() == expected;
        } while (!over);
    });
    asking.arrive_and_wait();
    const auto started = command.start();
    const auto waited = command.wait();
    over = true;
    other.join();
    CHECK(started);
    CHECK(waited);
    CHECK(always);
}

EXEC_TEST("[go:12] with a context, cancel is preset to a kill and the wait delay to nothing") {
    const std::stop_source source;
    exec::Cmd command = helper(exec::Context{source.get_token(), std::nullopt}, "hang");
    CHECK(command.has_context);
    CHECK(command.context.can_end());
    CHECK(command.wait_delay.count() == 0);
    REQUIRE(command.cancel);
    auto out = command.stdout_pipe();
    REQUIRE(out);
    REQUIRE(command.start());
    char ready[6] = {};
    REQUIRE(out->read(ready));
    // By hand, while the context goes on: it is the kill alone that ends the command.
    CHECK(command.cancel(*command.process()));
    const auto waited = command.wait();
    REQUIRE_FALSE(waited);
    CHECK(waited.error().message() == "signal: killed");
    REQUIRE(waited.error().exit() != nullptr);
    CHECK(waited.error().exit()->state.signal() == SIGKILL);
}

EXEC_TEST("[go:12] there is no null context: the one that is made of nothing never ends") {
    exec::Cmd command = helper(exec::Context{}, "exit", {"0"});
    CHECK(command.has_context);
    CHECK_FALSE(command.context.can_end());
    CHECK_FALSE(command.context.ended());
    CHECK(command.cancel);
    CHECK(command.run());
}
