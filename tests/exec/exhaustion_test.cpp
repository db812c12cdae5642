// Section M of the list: a process that runs out of descriptors half-way through a start.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <sys/resource.h>

using namespace keep;
using namespace keep::test;

namespace {

// The soft limit of open files for as long as this lives. UndefinedBehaviorSanitizer needs a pipe of its own when it
// meets a type for the first time, so an error like those to come is made before.
class OpenFiles {
  public:
    explicit OpenFiles(int count) {
        (void)exec::Error(std::make_error_code(std::errc::too_many_files_open));
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &former_) == 0);
        const rlimit lower{static_cast<rlim_t>(count), former_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) == 0);
    }
    ~OpenFiles() { ::setrlimit(RLIMIT_NOFILE, &former_); }
    OpenFiles(const OpenFiles&) = delete;
    OpenFiles& operator=(const OpenFiles&) = delete;

  private:
    rlimit former_{};
};

int lowest_free_number() {
    return Fd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC)).get();
}

// Runs `attempt` with one descriptor more each time, until it succeeds, and returns how often it failed: each time for
// want of descriptors, and with all closed again that it had opened.
int failures_before_success(const std::function<exec::Result<>()>& attempt) {
    CHECK(said(attempt()) == ""); // also for the sanitizer: each type has been met
    const int base = lowest_free_number();
    const Holdings before = holdings();
    for (int failures = 0; failures < 40; ++failures) {
        exec::Result<> result;
        {
            const OpenFiles limit(base + failures);
            result = attempt();
        }
        CHECK(to_string(holdings()) == to_string(before));
        if (result) return failures;
        CHECK(result.error().error_number() == EMFILE);
    }
    return -1;
}

} // namespace

EXEC_TEST("[go:142] a start that runs out of descriptors closes what it had opened") {
    std::stop_source stop;
    const int failures = failures_before_success([&] {
        std::string output;
        std::string error;
        exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "cat");
        command.in = exec::Source::bytes("text");
        command.out = exec::Sink::buffer(output);
        command.err = exec::Sink::buffer(error);
        if (auto started = command.start(); !started) return started;
        return command.wait();
    });
    CHECK(failures > 6); // three pipes need six
}

EXEC_TEST("[go:142] a start that runs out of descriptors closes the pipes that were made for it before") {
    const int base = lowest_free_number();
    int failures = 0;
    for (int more = 0; more < 40; ++more) {
        const Holdings before = holdings();
        exec::Cmd command = helper("cat");
        auto input = command.stdin_pipe();
        auto output = command.stdout_pipe();
        REQUIRE(input);
        REQUIRE(output);
        std::string text;
        command.err = exec::Sink::buffer(text);
        exec::Result<> started;
        {
            const OpenFiles limit(base + 4 + more);
            started = command.start();
        }
        if (started) {
            CHECK(said(input->close()) == "");
            CHECK(said(command.wait()) == "");
            break;
        }
        ++failures;
        CHECK(started.error().error_number() == EMFILE);
        CHECK(input->fd() == -1);
        CHECK(output->fd() == -1);
        CHECK(to_string(holdings()) == to_string(before));
    }
    CHECK(failures > 1);
}

EXEC_TEST("[go:142] a pipe for which there is no descriptor is an error at once, and the command still runs") {
    exec::Cmd command = helper("exit", {"0"});
    const int base = lowest_free_number();
    for (const int more : {0, 1}) {
        const OpenFiles limit(base + more);
        CHECK(command.stdin_pipe().error().error_number() == EMFILE);
        CHECK(command.stdout_pipe().error().error_number() == EMFILE);
        CHECK(command.stderr_pipe().error().error_number() == EMFILE);
    }
    CHECK(said(command.run()) == "");
}

EXEC_TEST("[go:142] layer 1 fails for want of a descriptor for the pidfd, and leaves no child") {
    const int failures = failures_before_success([]() -> exec::Result<> {
        auto process = exec::spawn(helper_spec("exit", {"0"}));
        if (!process) return std::unexpected(process.error());
        if (auto state = process->wait(); !state) return std::unexpected(state.error());
        return {};
    });
    CHECK(failures > 0);
}
