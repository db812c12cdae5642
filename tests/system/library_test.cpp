// keepd and keepctl as programs that somebody runs with the exec library: its first user, used through it.
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/exec/support.hpp"

using namespace keep;
using namespace keep::test;
using namespace std::chrono_literals;

namespace {

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    REQUIRE_MESSAGE(value != nullptr, name << " names a program; meson test sets it");
    return value;
}

class Folder {
  public:
    Folder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  private:
    std::string path_ = "/tmp/keepd-library-XXXXXX";
};

// Where a service manager listens: keepd says there when it is ready.
class NotifySocket {
  public:
    explicit NotifySocket(const std::string& path) : fd_(Fd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        const timeval patience{60, 0};
        REQUIRE(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    }
    void await(std::string_view word) {
        for (char buffer[4096];;) {
            const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
            REQUIRE(count > 0);
            if (std::string_view(buffer, static_cast<std::size_t>(count)).find(word) != std::string_view::npos) return;
        }
    }

  private:
    Fd fd_;
};

class Keepd {
    const Folder& folder_;
    NotifySocket notify_;
    std::string log_;

  public:
    explicit Keepd(const Folder& folder) : folder_(folder), notify_(folder / "notify") {
        std::ofstream(folder / "keepd.json")
            << R"({"version": 1, "log_dir": ")" << folder / "log" << R"(", "state_dir": ")" << folder / "state"
            << R"(", "runtime_dir": ")" << folder / "run" << R"(",
            "programs": {"waiter": {"command": ["/bin/cat"], "shell": false, "stdout": "null"},
                         "sleeper": {"command": ["/bin/sleep", "1000"], "stdout": "null"}}})";
        cmd.env = {"PATH=/usr/bin:/bin", "NOTIFY_SOCKET=" + (folder / "notify")};
        cmd.err = exec::Sink::buffer(log_);
        cmd.cancel = [](exec::Process& process) { return process.signal(SIGTERM); };
        cmd.wait_delay = 20s;
        REQUIRE(cmd.start());
        notify_.await("READY=1");
    }

    exec::Cmd keepctl(std::vector<std::string> words) const {
        words.insert(words.begin(), {"--socket", folder_ / "run/control.sock"});
        return exec::command(exec::Context::with_timeout(60s), from_environment("KEEPCTL"), std::move(words));
    }

    exec::Cmd cmd =
        exec::command(exec::Context::with_timeout(120s), from_environment("KEEPD"), "--config", folder_ / "keepd.json");
};

} // namespace

EXEC_TEST("keepd runs, answers, replaces itself and ends as a command of the exec library") {
    const Folder folder;
    Keepd keepd(folder);
    const pid_t pid = keepd.cmd.process()->pid();

    auto [before, asked] = keepd.keepctl({"status", "--json"}).output();
    REQUIRE(asked);
    CHECK(before.view().find("\"sleeper\"") != std::string_view::npos);

    CHECK(keepd.keepctl({"upgrade", "--force"}).run());
    CHECK(keepd.cmd.process()->pid() == pid);
    CHECK_FALSE(keepd.cmd.try_wait()); // it goes on, and we still hold it

    auto [after, asked_again] = keepd.keepctl({"status", "--json"}).output();
    REQUIRE(asked_again);
    CHECK(after.view().find("\"generation\": 2") != std::string_view::npos);

    const auto refused = keepd.keepctl({"stop", "nobody"}).output();
    REQUIRE_FALSE(refused);
    REQUIRE(refused.result.error().exit() != nullptr);
    CHECK(refused.result.error().exit()->state.exit_code() == 3);
    CHECK(refused.result.error().exit()->stderr_text.find("nobody") != std::string::npos);

    CHECK(keepd.keepctl({"shutdown"}).run());
    CHECK(keepd.cmd.wait());
    CHECK(keepd.cmd.state()->pid() == pid);
}

EXEC_TEST("keepd that is given up ends in order, its programs with it") {
    const Folder folder;
    std::stop_source stop;
    exec::CmdConfig config;
    {
        Keepd keepd(folder);
        config = keepd.cmd.config();
        CHECK(keepd.keepctl({"shutdown"}).run());
        CHECK(keepd.cmd.wait());
    }
    // The same configuration again, under a context that is cancelled as soon as keepd answers.
    config.context = {stop.get_token(), std::nullopt};
    std::string log;
    config.err = exec::Sink::writer([&](std::string_view text) -> exec::Result<> {
        log += text;
        if (log.find("starts with") != std::string::npos) stop.request_stop();
        return {};
    });
    config.env = {"PATH=/usr/bin:/bin"};
    exec::Cmd again(std::move(config));
    const auto result = again.run();
    REQUIRE_FALSE(result);
    CHECK(result.error().is(exec::Errc::canceled)); // it exited with 0 after its SIGTERM
    CHECK(again.state()->exit_code() == 0);
}
