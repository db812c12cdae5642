// Cmd::stdin_pipe(), stdout_pipe() and stderr_pipe(): when they can be made, who closes them, and detach().
#include "tests/exec/watching.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace keep;
using namespace keep::test;

namespace {

struct Failure {
    bool failed = false;
    std::error_code code;
    std::string message;
};

template <typename T>
Failure failure(const exec::Result<T>& result) {
    if (result) return {};
    return {true, result.error().code(), result.error().message()};
}

void check_refused(const Failure& seen, exec::Errc code, const std::string& message) {
    CHECK(seen.failed);
    CHECK(seen.code == make_error_code(code));
    CHECK(seen.message == message);
}

// `call`, on a closed pipe, in the words of Go's PathError: "read |0".
void check_closed(const Failure& seen, const std::string& call) {
    check_refused(seen, exec::Errc::closed, call + ": file already closed");
}

} // namespace

EXEC_TEST("[go:56] a pipe cannot be made for a stream that is set") {
    std::string text;
    exec::Cmd cmd = helper("cat");
    cmd.in = exec::Source::bytes("text");
    cmd.out = exec::Sink::buffer(text);
    cmd.err = exec::Sink::fd(2);
    check_refused(failure(cmd.stdin_pipe()), exec::Errc::stream_set, "exec: Stdin already set");
    check_refused(failure(cmd.stdout_pipe()), exec::Errc::stream_set, "exec: Stdout already set");
    check_refused(failure(cmd.stderr_pipe()), exec::Errc::stream_set, "exec: Stderr already set");
    CHECK(cmd.run()); // as if nothing had been asked
    CHECK(text == "text");
}

EXEC_TEST("[go:56] a pipe cannot be made once the command was started") {
    exec::Cmd cmd = helper("exit", {"0"});
    REQUIRE(cmd.start());
    const auto check = [&] {
        check_refused(failure(cmd.stdin_pipe()), exec::Errc::pipe_after_start, "exec: StdinPipe after process started");
        check_refused(failure(cmd.stdout_pipe()), exec::Errc::pipe_after_start,
                      "exec: StdoutPipe after process started");
        check_refused(failure(cmd.stderr_pipe()), exec::Errc::pipe_after_start,
                      "exec: StderrPipe after process started");
    };
    check();
    CHECK(cmd.wait());
    check();
}

EXEC_TEST("[go:57] a second pipe for the same stream is refused, and the first one works") {
    exec::Cmd cmd = helper("cat");
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    auto err = cmd.stderr_pipe();
    REQUIRE((in && out && err));
    check_refused(failure(cmd.stdin_pipe()), exec::Errc::stream_set, "exec: Stdin already set");
    check_refused(failure(cmd.stdout_pipe()), exec::Errc::stream_set, "exec: Stdout already set");
    check_refused(failure(cmd.stderr_pipe()), exec::Errc::stream_set, "exec: Stderr already set");
    REQUIRE(cmd.start());
    CHECK(in->write("through\n"));
    CHECK(read_line(*out) == "through\n");
    CHECK(in->close());
    CHECK(cmd.wait());
}

EXEC_TEST("[go:58] a failed start closes both ends of every pipe, while their handles still exist") {
    std::vector<exec::PipeReader> held;
    const int before = pipes();
    for (int i = 0; i < 6; ++i) {
        exec::Cmd cmd = exec::command(i % 2 == 0 ? "/nonesuch/program" : "no-such-program-anywhere");
        auto in = cmd.stdin_pipe();
        auto out = cmd.stdout_pipe();
        auto err = cmd.stderr_pipe();
        REQUIRE((in && out && err));
        CHECK(pipes() == before + 6);
        REQUIRE_FALSE(cmd.start());
        CHECK(pipes() == before);
        CHECK(in->fd() == -1);
        CHECK(out->fd() == -1);
        check_closed(failure(in->write("text")), "write |1");
        check_closed(failure(err->read_all()), "read |0");
        CHECK(failure(out->detach()).code == make_error_code(exec::Errc::closed));
        held.push_back(*out);
    }
    CHECK(pipes() == before);
}

EXEC_TEST("[go:58] a start that fails by a context that has ended closes the pipes too") {
    std::stop_source source;
    source.request_stop();
    exec::Cmd cmd = helper(exec::Context{source.get_token(), {}}, "cat");
    const int before = pipes();
    auto out = cmd.stdout_pipe();
    REQUIRE(out);
    CHECK_FALSE(cmd.start());
    CHECK(pipes() == before);
    check_closed(failure(out->close()), "close |0");
}

EXEC_TEST("[go:58] pipes of a command that is never started go with it") {
    const int before = pipes();
    {
        exec::Cmd cmd = helper("cat");
        REQUIRE((cmd.stdin_pipe() && cmd.stdout_pipe()));
        CHECK(pipes() == before + 4);
    }
    CHECK(pipes() == before);
}

EXEC_TEST("[go:59] after a start the parent has its own ends of the pipes alone") {
    exec::Cmd cmd = helper("cat");
    const int before = pipes();
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    auto err = cmd.stderr_pipe();
    REQUIRE((in && out && err));
    REQUIRE(cmd.start());
    CHECK(pipes() == before + 3);
    const pid_t self = ::getpid();
    const pid_t child = cmd.process()->pid();
    CHECK(descriptor_target(self, in->fd()) == descriptor_target(child, 0));
    CHECK(descriptor_target(self, out->fd()) == descriptor_target(child, 1));
    CHECK(descriptor_target(self, err->fd()) == descriptor_target(child, 2));
    CHECK(in->close());
    CHECK(failure(out->read_all()).failed == false); // ends, for nobody else can write
    CHECK(cmd.wait());
}

EXEC_TEST("[go:60] wait() closes the pipes: what is unread is lost, and later calls say so") {
    exec::Cmd cmd = helper("echo", {"never read"});
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    auto err = cmd.stderr_pipe();
    REQUIRE((in && out && err));
    const int before = pipes();
    REQUIRE(cmd.start());
    CHECK(cmd.wait());
    CHECK(pipes() == before - 6);
    char letter = 0;
    check_closed(failure(out->read({&letter, 1})), "read |0");
    check_closed(failure(out->read_all()), "read |0");
    CHECK(failure(out->detach()).code == make_error_code(exec::Errc::closed));
    check_closed(failure(err->close()), "close |0");
    check_closed(failure(in->write("text")), "write |1");
    CHECK(failure(in->detach()).code == make_error_code(exec::Errc::closed));
    CHECK(in->close());
    CHECK(in->fd() == -1);
    CHECK(out->fd() == -1);
    CHECK(err->fd() == -1);
}

EXEC_TEST("[go:60] a reader that was detached outlives wait(), with all that is unread") {
    exec::Cmd cmd = helper("echo", {"still here"});
    auto out = cmd.stdout_pipe();
    REQUIRE(out);
    REQUIRE(cmd.start());
    exec::Result<Fd> mine = out->detach();
    REQUIRE(mine);
    CHECK(cmd.wait());
    CHECK(read_line(mine->get()) == "still here\n");
    char letter = 0;
    CHECK(::read(mine->get(), &letter, 1) == 0);
    // The handle has nothing any more.
    CHECK(out->fd() == -1);
    check_closed(failure(out->read({&letter, 1})), "read |0");
    check_closed(failure(out->close()), "close |0");
    CHECK(failure(out->detach()).code == make_error_code(exec::Errc::closed));
}

EXEC_TEST("[go:60] a reader can be detached before the start, and outlives the command as well") {
    exec::Result<Fd> mine = std::unexpected(exec::Error(exec::Errc::closed));
    {
        exec::Cmd cmd = helper("echo", {"still here"});
        auto out = cmd.stdout_pipe();
        REQUIRE(out);
        mine = out->detach();
        REQUIRE(mine);
        CHECK(cmd.run());
    }
    CHECK(read_line(mine->get()) == "still here\n");
}

EXEC_TEST("[go:60] a writer that was detached is not closed by wait()") {
    exec::Cmd cmd = helper("exit", {"0"});
    auto in = cmd.stdin_pipe();
    REQUIRE(in);
    REQUIRE(cmd.start());
    exec::Result<Fd> mine = in->detach();
    REQUIRE(mine);
    CHECK(cmd.wait());
    CHECK(::fcntl(mine->get(), F_GETFD) >= 0);
    CHECK(in->fd() == -1);
    check_closed(failure(in->write("text")), "write |1");
}

EXEC_TEST("[go:61] a stdin pipe can be closed twice, and again after wait()") {
    exec::Cmd cmd = helper("stdin-close");
    auto in = cmd.stdin_pipe();
    REQUIRE(in);
    REQUIRE(cmd.start());
    CHECK(in->write("ok"));
    CHECK(in->close());
    CHECK(in->close());
    check_closed(failure(in->write("more")), "write |1");
    CHECK(cmd.wait());
    CHECK(in->close());
}

EXEC_TEST("[go:62] the descriptor of a pipe can be reached, and is close-on-exec and without blocking") {
    exec::Cmd cmd = helper("cat");
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    REQUIRE((in && out));
    for (const int fd : {in->fd(), out->fd()}) {
        struct stat about{};
        REQUIRE(::fstat(fd, &about) == 0);
        CHECK(S_ISFIFO(about.st_mode));
        CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    }
    REQUIRE(cmd.start());
    // The child's ends are ordinary ones.
    const pid_t child = cmd.process()->pid();
    CHECK(access_mode(child, 0) == O_RDONLY);
    CHECK(access_mode(child, 1) == O_WRONLY);
    REQUIRE(::write(in->fd(), "by hand\n", 8) == 8);
    CHECK(read_line(out->fd()) == "by hand\n");
    CHECK(in->close());
    CHECK(cmd.wait());
}

EXEC_TEST("[go:63] a write to a command that ends may fail, but its wait() does not") {
    exec::Cmd cmd = helper("exit", {"0"});
    auto in = cmd.stdin_pipe();
    REQUIRE(in);
    REQUIRE(cmd.start());
    exec::Result<> written;
    while (written)
        written = in->write("some more text");
    CHECK(written.error().is(std::errc::broken_pipe));
    CHECK(written.error().error_number() == EPIPE);
    CHECK(cmd.wait());
}

EXEC_TEST("[go:64] three pipes serve a conversation, line by line") {
    exec::Cmd cmd = helper("pipetest");
    auto in = cmd.stdin_pipe();
    auto out = cmd.stdout_pipe();
    auto err = cmd.stderr_pipe();
    REQUIRE((in && out && err));
    REQUIRE(cmd.start());
    for (int i = 0; i < 100; ++i) {
        const std::string number = std::to_string(i) + "\n";
        REQUIRE(in->write("O:" + number));
        REQUIRE(read_line(*out) == "O:" + number);
        REQUIRE(in->write("E:" + number));
        REQUIRE(read_line(*err) == "E:" + number);
    }
    CHECK(in->close());
    CHECK(out->read_all().value().empty());
    CHECK(err->read_all().value().empty());
    CHECK(cmd.wait());
}
