// Section M of the list: the helper program's modes do what the other tests take for granted.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <unistd.h>

#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

namespace {

// What a mode of the helper did, with this on its standard input.
struct Did {
    std::string output;
    std::string error;
    std::string end;
};
Did did(std::string_view mode, std::vector<std::string> args = {}, std::string input = {}) {
    Did did;
    exec::Cmd command = helper(mode, std::move(args));
    command.in = exec::Source::bytes(std::move(input));
    command.out = exec::Sink::buffer(did.output);
    command.err = exec::Sink::buffer(did.error);
    const auto result = command.run();
    did.end = command.state() == nullptr ? said(result) : command.state()->to_string();
    return did;
}

// A helper that hangs, with the flags; ready.
struct Hanging {
    exec::Process process;
    Fd output;
    Fd error;
    Fd input;

    explicit Hanging(std::vector<std::string> flags) {
        PipePair in = make_pipe();
        PipePair out = make_pipe();
        PipePair err = make_pipe();
        exec::SpawnSpec spec = helper_spec("hang", std::move(flags));
        spec.stdio = {in.read.get(), out.write.get(), err.write.get()};
        spec.sys.setpgid = true;
        process = exec::spawn(spec).value();
        output = std::move(out.read);
        error = std::move(err.read);
        input = std::move(in.write);
        CHECK(read_line(output.get()) == "ready\n");
    }
    std::string end() {
        const auto state = process.wait();
        return state ? state->to_string() : said(state);
    }
    std::map<std::string, std::string> status() const {
        return status_fields(read_text("/proc/" + std::to_string(process.pid()) + "/status"));
    }
};

std::uint64_t mask(const std::map<std::string, std::string>& status, const std::string& field) {
    return std::stoull(status.at(field), nullptr, 16);
}
constexpr std::uint64_t bit_of(int signal) {
    return std::uint64_t{1} << (signal - 1);
}

} // namespace

EXEC_TEST("[go:146] the helper's modes echo, echoenv, cat, pwd and exit do what their names say") {
    CHECK(did("echo", {"one", "two  three"}).output == "one two  three\n");
    CHECK(did("cat", {}, "from the input").output == "from the input");
    for (const int code : {0, 3, 255})
        CHECK(did("exit", {std::to_string(code)}).end == "exit status " + std::to_string(code));
    exec::SpawnSpec spec = helper_spec("echoenv", {"ONE", "MISSING", "TWO"});
    spec.env = {"ONE=1", "TWO=2"};
    CHECK(run(spec).output == "1\n\n2\n");
    spec = helper_spec("pwd");
    spec.env = {"PWD=/as/told"};
    spec.dir = "/";
    CHECK(run(spec).output == "/\n/as/told\n");
}

EXEC_TEST("[go:146] the helper's cat reads files, names the one that it cannot open, and fails then") {
    const TemporaryDirectory dir;
    open_file(dir / "file", "content");
    const Did cat = did("cat", {dir / "file", dir / "missing"});
    CHECK(cat.output == "content");
    CHECK(cat.error == "Error: open " + (dir / "missing") + ": No such file or directory\n");
    CHECK(cat.end == "exit status 1");
}

EXEC_TEST("[go:146] the helper's modes pipetest, stdin-close and stderrfail use the streams as told") {
    const Did pipes = did("pipetest", {}, "O:one\nE:two\nX:three\nO:four\n");
    CHECK(pipes.output == "O:one\nO:four\n");
    CHECK(pipes.error == "E:two\n");
    CHECK(pipes.end == "exit status 0");
    CHECK(did("stdin-close", {}, "ok").end == "exit status 0");
    const Did unexpected = did("stdin-close", {}, "bad");
    CHECK(unexpected.error == "unexpected input: bad\n");
    CHECK(unexpected.end == "exit status 1");
    const Did failing = did("stderrfail");
    CHECK(failing.error == "some stderr text\n");
    CHECK(failing.end == "exit status 1");
}

EXEC_TEST("[go:146] the helper's describefiles lists what is open, neither more nor less") {
    const TemporaryDirectory dir;
    const Fd file = open_file(dir / "file");
    PipePair output = make_pipe();
    exec::SpawnSpec spec = helper_spec("describefiles");
    spec.stdio = {exec::null_device, output.write.get(), exec::closed_descriptor};
    spec.extra_fds = {{file.get(), 17}};
    auto process = exec::spawn(spec);
    REQUIRE(process);
    output.write.reset();
    const std::string pipe = holdings().descriptors.at(output.read.get());
    CHECK(read_to_end(output.read.get()) == "fd 0 /dev/null\nfd 1 " + pipe + "\nfd 17 " + (dir / "file") + "\n");
    CHECK(process->wait()->success());
}

EXEC_TEST("[go:146] the helper's yes writes until nobody reads, and ends well then") {
    PipePair output = make_pipe();
    exec::SpawnSpec spec = helper_spec("yes", {"again"});
    spec.stdio[1] = output.write.get();
    auto process = exec::spawn(spec);
    REQUIRE(process);
    output.write.reset();
    for (int times = 0; times < 20'000; ++times) // more than a pipe holds
        REQUIRE(read_line(output.read.get()) == "again\n");
    CHECK_FALSE(readable(process->pidfd(), std::chrono::milliseconds(0)));
    output.read.reset();
    CHECK(process->wait()->to_string() == "exit status 0");
}

EXEC_TEST("[go:146] the helper's hang ends by a signal alone; by flag SIGINT is an exit, or is ignored") {
    Hanging plain({});
    plain.input.reset();
    CHECK_FALSE(readable(plain.process.pidfd(), while_nothing_happens));
    CHECK(said(plain.process.signal(SIGTERM)) == "");
    CHECK(plain.end() == "signal: terminated");

    for (const auto& [flag, end] : {std::pair("interrupt", "exit status 0"), {"interrupt=9", "exit status 9"}}) {
        Hanging interruptible({flag});
        CHECK(said(interruptible.process.signal(SIGINT)) == "");
        CHECK(interruptible.end() == end);
    }

    Hanging ignoring({"ignore"});
    CHECK((mask(ignoring.status(), "SigIgn") & (bit_of(SIGINT) | bit_of(SIGTERM))) ==
          (bit_of(SIGINT) | bit_of(SIGTERM)));
    CHECK(said(ignoring.process.kill()) == "");
    CHECK(ignoring.end() == "signal: killed");
}

EXEC_TEST("[go:146] the helper's hang with read ends with its input") {
    Hanging reading({"read"});
    CHECK_FALSE(readable(reading.process.pidfd(), while_nothing_happens));
    reading.input.reset();
    CHECK(reading.end() == "exit status 0");
}

EXEC_TEST("[go:146] the helper's hang with subsleep leaves a child that holds the streams") {
    Hanging leaving({"subsleep"});
    const pid_t group = leaving.process.pid();
    CHECK(said(leaving.process.kill()) == "");
    CHECK(leaving.end() == "signal: killed");
    CHECK_FALSE(readable(leaving.output.get(), std::chrono::milliseconds(0))); // no end: somebody may still write
    REQUIRE(::kill(-group, SIGKILL) == 0);
    CHECK(read_to_end(leaving.output.get()) == "");
}

EXEC_TEST("[go:146] the helper's hang with probe writes to standard error, and fails if it cannot") {
    Hanging probing({"probe"});
    CHECK(read_line(probing.error.get()) == "probe\n");
    CHECK(said(probing.process.kill()) == "");
    CHECK(probing.end() == "signal: killed");

    const Fd full = Fd::adopt(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    REQUIRE(full);
    exec::SpawnSpec spec = helper_spec("hang", {"probe"});
    spec.stdio[2] = full.get();
    CHECK(run(spec).state.to_string() == "exit status 1");
}
