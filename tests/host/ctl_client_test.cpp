// keepctl's connection, against a listener that plays keepd.
#include <doctest/doctest.h>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <stdlib.h>
#include <thread>

#include "daemon/ctl/client.hpp"
#include "lib/sys/sockets.hpp"

using namespace keepd::ctl;
using namespace keepd;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

// Reads one request from the one client that connects, then plays `act`, then closes.
class Player {
  public:
    using Act = std::function<void(int socket, const control::Request& request)>;
    explicit Player(Act act) {
        std::string pattern = (std::filesystem::temp_directory_path() / "keepctl-client-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        directory_ = pattern;
        path = directory_ + "/control.sock";
        auto listener = keep::sys::listen_unix(path);
        REQUIRE(listener);
        listener_ = std::move(*listener);
        thread_ = std::thread([this, act = std::move(act)] { play(act); });
    }
    ~Player() {
        thread_.join();
        std::filesystem::remove_all(directory_);
    }
    std::string path;

  private:
    static bool readable(int fd) {
        pollfd waits{fd, POLLIN, 0};
        return ::poll(&waits, 1, 20'000) == 1;
    }
    void play(const Act& act) {
        if (!readable(listener_.get())) return;
        const auto client = keep::sys::accept(listener_.get());
        if (!client || !*client) return;
        const int socket = (**client).get();
        control::Inbox inbox(1 << 20);
        char buffer[4096];
        while (!inbox.has_message() && readable(socket)) {
            const auto got = keep::sys::receive(socket, buffer);
            if (!got || !*got || **got == 0) return;
            inbox.append(std::string_view(buffer, **got));
        }
        const auto message = inbox.take();
        const auto request = control::parse_request(message.value_or(""));
        if (request) act(socket, *request);
    }
    std::string directory_;
    keep::sys::Fd listener_;
    std::thread thread_;
};

void send(int socket, std::string_view bytes) {
    (void)keep::sys::send(socket, bytes);
}

Client connected(const std::string& path) {
    auto client = Client::connect(path);
    REQUIRE(client);
    return std::move(*client);
}

} // namespace

TEST_CASE("no socket: unreachable, and the socket is named") {
    const auto client = Client::connect("/nonexistent/control.sock");
    REQUIRE_FALSE(client);
    CHECK(client.error().code == ExitCode::unreachable);
    CHECK(client.error().text.find("/nonexistent/control.sock") != std::string::npos);
}

TEST_CASE("a call sends its parameters and returns the reply's") {
    Player keepd([](int socket, const control::Request& request) {
        send(socket, control::reply_message(json{{"method", request.method}, {"got", *request.parameters}}.dump()));
    });
    Client client = connected(keepd.path);
    const auto reply = client.call("Stop", {{"names", {"web"}}});
    REQUIRE(reply);
    CHECK(reply->at("method") == "io.keepd.Manager.Stop");
    CHECK(reply->at("got") == json{{"names", {"web"}}});
}

TEST_CASE("an error of keepd is one with its exit code") {
    Player keepd([](int socket, const control::Request&) {
        send(socket, control::error_message("io.keepd.Manager.Busy", R"({"reason":"an upgrade is under way"})"));
    });
    Client client = connected(keepd.path);
    const auto reply = client.call("Upgrade", json::object());
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == ExitCode::refused);
    CHECK(reply.error().text == "an upgrade is under way");
}

TEST_CASE("a connection that ends before the reply is unreachable, not done") {
    Player keepd([](int socket, const control::Request&) { send(socket, R"({"parameters":)"); });
    Client client = connected(keepd.path);
    const auto reply = client.call("Stop", json::object());
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == ExitCode::unreachable);
}

TEST_CASE("a reply that is no Varlink is told as such") {
    Player keepd([](int socket, const control::Request&) { send(socket, std::string_view("nonsense\0", 9)); });
    Client client = connected(keepd.path);
    const auto reply = client.call("Stop", json::object());
    REQUIRE_FALSE(reply);
    CHECK(reply.error().text.find("no Varlink") != std::string::npos);
}

TEST_CASE("a wait has an end where one was asked for") {
    Player keepd([](int socket, const control::Request&) {
        pollfd hangs_up{socket, POLLIN, 0}; // says nothing until the client goes
        ::poll(&hangs_up, 1, 20'000);
    });
    Client client = connected(keepd.path);
    const auto reply = client.call("Stop", json::object(), 1ms);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == ExitCode::timed_out);
}

TEST_CASE("a stream is read reply by reply") {
    Player keepd([](int socket, const control::Request& request) {
        if (!request.more) return;
        send(socket, control::reply_message(R"({"n":1})", true) + control::reply_message(R"({"n":2})", true) +
                         control::reply_message(R"({"n":3})"));
    });
    Client client = connected(keepd.path);
    REQUIRE(client.begin("Events", json::object(), true));
    for (int n = 1; n <= 3; ++n) {
        const auto step = client.next();
        REQUIRE(step);
        CHECK(step->parameters->at("n") == n);
        CHECK(step->continues == (n < 3));
    }
}

TEST_CASE("the end of keepd is waited for, up to the deadline") {
    Player keepd([](int socket, const control::Request& request) {
        send(socket, control::reply_message("{}"));
        if (request.more) return; // closes at once
        pollfd hangs_up{socket, POLLIN, 0};
        ::poll(&hangs_up, 1, 20'000);
    });
    Client client = connected(keepd.path);
    SUBCASE("it ends") {
        REQUIRE(client.begin("Shutdown", json::object(), true));
        CHECK(client.wait_for_end(std::nullopt));
    }
    SUBCASE("it does not") {
        REQUIRE(client.begin("Shutdown", json::object(), false));
        CHECK_FALSE(client.wait_for_end(keep::Time{}));
    }
}
