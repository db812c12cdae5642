// The server on real sockets and a real loop; the client's end is in the same thread.
#include <cerrno>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control/socket_server.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/sockets.hpp"
#include "tests/host/control_support.hpp"

using namespace keepd;
using namespace keepd::test;
using nlohmann::json;

namespace {

struct Directory {
    Directory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "keepd-control-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Directory() { std::filesystem::remove_all(path); }
    std::string path;
};

// Tells the server what the fake host does; the desk's half of it is inside the server.
class ServedPort : public FakePort {
  public:
    control::Server* server = nullptr;
    void submit(const core::Event& event) override {
        const core::Effects effects = core::step(state_, event, now_);
        for (const core::Action& action : effects.actions) {
            if (const auto* announce = std::get_if<core::Announce>(&action)) {
                if (server) server->announce(announce->notice);
            } else if (const auto* spawn = std::get_if<core::Spawn>(&action)) {
                submit(core::Spawned{spawn->name, spawn->run, 4711});
            }
        }
        if (server) server->changed(effects.touched, effects.daemon_touched);
    }
};

struct Site {
    explicit Site(control::Surroundings around = control::Surroundings::real()) : surroundings(std::move(around)) {
        settings.path = directory.path + "/run/control.sock";
        auto made = systemd::Loop::create();
        REQUIRE(made);
        loop.emplace(std::move(*made));
        port.config.programs.emplace("web", FakePort::program("web"));
        port.boot();
        auto listening = control::SocketServer::listen(*loop, port, settings, surroundings);
        REQUIRE_MESSAGE(listening, listening.error().message);
        serve(std::move(*listening));
    }
    void serve(std::unique_ptr<control::Server> next) {
        server = std::move(next);
        port.server = server.get();
    }
    // Turns the loop until `done`; fails when nothing happens for long.
    void until(const std::function<bool()>& done) {
        if (done()) return;
        bool late = false;
        auto after = loop->after_turn([&] {
            if (done()) loop->quit();
        });
        auto timer = loop->timer([&] {
            late = true;
            loop->quit();
        });
        REQUIRE(after);
        REQUIRE(timer);
        REQUIRE(timer->set_time(keep::sys::monotonic_now() + std::chrono::seconds(20)));
        REQUIRE(loop->run());
        REQUIRE_FALSE(late);
    }
    // As the host does it between two images.
    void upgrade() {
        control::Parked parked = server->park();
        server.reset();
        auto resumed = control::SocketServer::resume(*loop, port, std::move(parked), control::Server::Losing::nobody,
                                                     surroundings);
        REQUIRE_MESSAGE(resumed, resumed.error().message);
        serve(std::move(*resumed));
    }

    Directory directory;
    config::Control settings;
    std::optional<systemd::Loop> loop;
    ServedPort port;
    control::Surroundings surroundings;
    std::unique_ptr<control::Server> server;
};

class SocketClient {
  public:
    explicit SocketClient(Site& site) : site_(site) {
        auto connected = keep::sys::connect_unix(site.settings.path);
        REQUIRE_MESSAGE(connected, connected.error().message);
        socket = std::move(*connected);
    }
    void send(std::string_view bytes) {
        const auto sent = keep::sys::send(socket.get(), bytes);
        REQUIRE(sent);
        REQUIRE(*sent == bytes.size());
    }
    void ask(const std::string& method, const json& parameters = json::object()) {
        send(control::request_message("io.keepd.Manager." + method, parameters.dump()));
    }
    json reply() {
        site_.until([&] { return receive() || ended; });
        const auto message = inbox_.take();
        REQUIRE(message);
        return json::parse(*message);
    }
    void wait_for_end() {
        site_.until([&] {
            receive();
            return ended;
        });
    }
    bool receive() {
        char buffer[65536];
        for (;;) {
            const auto got = keep::sys::receive(socket.get(), buffer);
            if (!got || (*got && **got == 0)) ended = true;
            if (!got || !*got || **got == 0) return inbox_.has_message();
            inbox_.append(std::string_view(buffer, **got));
        }
    }
    keep::sys::Fd socket;
    bool ended = false;

  private:
    Site& site_;
    control::Inbox inbox_{std::size_t{64} << 20};
};

control::Surroundings as(const control::Caller& caller) {
    return {
        .peer = [caller](int) { return keep::Result<control::Caller>(caller); }, .own_uid = keepd_uid, .limits = {}};
}

} // namespace

TEST_CASE("a client on the socket is served, with its own credentials") {
    Site site;
    SocketClient client(site);
    client.ask("Status");
    CHECK(client.reply().at("parameters").at("daemon").at("version") == "1.2.3");
    client.ask("ReopenLogs"); // we are keepd's own user
    CHECK_FALSE(client.reply().contains("error"));
    CHECK(site.port.reopened == 1);
}

TEST_CASE("a stranger's credentials are refused what changes something") {
    Site site(as(guest));
    SocketClient client(site);
    client.ask("Stop", {{"names", {"web"}}});
    CHECK(client.reply().at("error") == "org.varlink.service.PermissionDenied");
}

TEST_CASE("the socket has the mode it was given, and a live keepd's is not taken away") {
    Site site;
    struct stat about{};
    REQUIRE(::stat(site.settings.path.c_str(), &about) == 0);
    CHECK((about.st_mode & 07777) == 0660);
    const auto second = control::SocketServer::listen(*site.loop, site.port, site.settings, site.surroundings);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == EADDRINUSE);

    site.settings.mode = 0600;
    REQUIRE(site.server->rebind(site.settings));
    REQUIRE(::stat(site.settings.path.c_str(), &about) == 0);
    CHECK((about.st_mode & 07777) == 0600);
}

TEST_CASE("a socket that a dead keepd left is replaced, another file is not") {
    Site site;
    site.server.reset(); // without say_goodbye(): the file stays
    site.port.server = nullptr;
    REQUIRE(std::filesystem::exists(site.settings.path));
    auto again = control::SocketServer::listen(*site.loop, site.port, site.settings, site.surroundings);
    REQUIRE_MESSAGE(again, again.error().message);
    site.serve(std::move(*again));
    SocketClient client(site);
    client.ask("ReopenLogs");
    CHECK_FALSE(client.reply().contains("error"));

    config::Control other = site.settings;
    other.path = site.directory.path + "/file";
    keep::sys::Fd::adopt(::open(other.path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK_FALSE(control::SocketServer::listen(*site.loop, site.port, other, site.surroundings));
    CHECK(std::filesystem::exists(other.path));
}

TEST_CASE("the socket moves with its path, and clients of the old one stay") {
    Site site;
    SocketClient before(site);
    before.ask("ReopenLogs");
    CHECK_FALSE(before.reply().contains("error"));
    const std::string old_path = site.settings.path;
    site.settings.path = site.directory.path + "/other.sock";
    REQUIRE(site.server->rebind(site.settings));
    CHECK_FALSE(std::filesystem::exists(old_path));
    SocketClient after(site);
    after.ask("ReopenLogs");
    CHECK_FALSE(after.reply().contains("error"));
    before.ask("ReopenLogs");
    CHECK_FALSE(before.reply().contains("error"));
}

TEST_CASE("clients stay connected over an upgrade, in the middle of what they say and of what they wait for") {
    Site site;
    SocketClient waiting(site);
    SocketClient talking(site);
    waiting.ask("Stop", {{"names", {"web"}}});
    const std::string request = control::request_message("io.keepd.Manager.ReopenLogs", "{}");
    talking.send(request.substr(0, 10));
    SocketClient probe(site);
    probe.ask("ReopenLogs"); // served after the two were read
    probe.reply();

    for (int image = 0; image < 3; ++image)
        site.upgrade();
    talking.send(request.substr(10));
    CHECK_FALSE(talking.reply().contains("error"));
    site.port.submit(core::Exited{
        "web", core::live_run(site.port.state_.programs.at("web")), keep::ExitStatus::exited(0), {}, true});
    CHECK(waiting.reply().at("parameters").at("results").at(0).at("ok") == true);
    SocketClient fresh(site);
    fresh.ask("ReopenLogs");
    CHECK_FALSE(fresh.reply().contains("error"));
}

TEST_CASE("a wait that ended between two images is answered without another word of the client") {
    Site site;
    SocketClient client(site);
    client.ask("Stop", {{"names", {"web"}}});
    SocketClient probe(site);
    probe.ask("ReopenLogs");
    probe.reply();
    control::Parked parked = site.server->park();
    site.port.server = nullptr;
    site.server.reset();
    site.port.submit(core::Exited{
        "web", core::live_run(site.port.state_.programs.at("web")), keep::ExitStatus::exited(0), {}, true});
    auto resumed = control::SocketServer::resume(*site.loop, site.port, std::move(parked),
                                                 control::Server::Losing::nobody, site.surroundings);
    REQUIRE(resumed);
    site.serve(std::move(*resumed));
    CHECK(client.reply().at("parameters").at("results").at(0).at("ok") == true);
}

TEST_CASE("who is served last is answered before the socket goes") {
    Site site;
    SocketClient client(site);
    client.ask("Stop", {{"names", {"web"}}});
    SocketClient probe(site);
    probe.ask("ReopenLogs");
    probe.reply();
    site.port.submit(core::Exited{
        "web", core::live_run(site.port.state_.programs.at("web")), keep::ExitStatus::exited(0), {}, true});
    site.server->say_goodbye(); // no turn of the loop in between
    CHECK_FALSE(std::filesystem::exists(site.settings.path));
    REQUIRE(client.receive());
    CHECK(client.reply().at("parameters").contains("results"));
}

TEST_CASE("requests and a one-way order of a client that hangs up at once are still carried out") {
    Site site;
    {
        SocketClient client(site);
        client.send(control::request_message("io.keepd.Manager.ReopenLogs", "{}", false, true));
    }
    site.until([&] { return site.port.reopened == 1; });
    CHECK(site.port.reopened == 1);
}

TEST_CASE("a client that does not read its replies is dropped, keepd and the others go on") {
    control::Surroundings small = control::Surroundings::real();
    small.limits.output = std::size_t{1} << 20;
    Site site(small);
    SocketClient slow(site);
    slow.send(control::request_message("io.keepd.Manager.Events", "{}", true));
    SocketClient other(site);
    other.ask("ReopenLogs");
    other.reply();
    core::Notice notice;
    notice.text = std::string(10'000, 'x');
    for (notice.number = 1000; notice.number < 1200; ++notice.number)
        site.server->announce(notice);
    other.ask("ReopenLogs");
    CHECK_FALSE(other.reply().contains("error"));
    slow.wait_for_end();
    CHECK(slow.ended);
}

TEST_CASE("too many clients are told so") {
    control::Surroundings small = control::Surroundings::real();
    small.limits.clients = 2;
    Site site(small);
    SocketClient first(site);
    SocketClient second(site);
    SocketClient third(site);
    CHECK(third.reply().at("error") == "io.keepd.Manager.Busy");
    first.ask("ReopenLogs");
    CHECK_FALSE(first.reply().contains("error"));
}

TEST_CASE("without a free descriptor clients are turned away, and served again when there is one") {
    Site site;
    SocketClient served(site);
    served.ask("ReopenLogs");
    served.reply();
    SocketClient turned_away(site);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const keep::sys::Fd next = keep::sys::Fd::adopt(::fcntl(0, F_DUPFD_CLOEXEC, 0));
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next.get()); // everything below is taken
    std::vector<keep::sys::Fd> fill;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    for (;;) {
        const int fd = ::fcntl(0, F_DUPFD_CLOEXEC, 0);
        if (fd < 0) break;
        fill.push_back(keep::sys::Fd::adopt(fd));
    }
    turned_away.wait_for_end();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    fill.clear();
    SocketClient later(site);
    later.ask("ReopenLogs");
    CHECK_FALSE(later.reply().contains("error"));
}

TEST_CASE("a server that can't go on leaves everything open for whoever was there before") {
    Site site;
    SocketClient client(site);
    client.ask("ReopenLogs");
    client.reply();
    control::Parked parked = site.server->park();
    site.port.server = nullptr;
    site.server.reset();
    auto with_bad = parked;
    with_bad.clients.push_back(parked.clients.front());
    with_bad.clients.back().fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC); // nothing to wait for: EPERM
    const int bad = with_bad.clients.back().fd;

    using Losing = control::Server::Losing;
    CHECK_FALSE(control::SocketServer::resume(*site.loop, site.port, with_bad, Losing::nobody, site.surroundings));
    for (const int fd : {parked.listener, parked.clients.front().fd, bad})
        CHECK(::fcntl(fd, F_GETFD) >= 0);
    auto broken = with_bad;
    broken.listener = bad;
    CHECK_FALSE(control::SocketServer::resume(*site.loop, site.port, broken, Losing::clients, site.surroundings));
    CHECK(::fcntl(bad, F_GETFD) >= 0);

    // Where nobody could serve it any more, a client is worth less than all the others.
    auto resumed = control::SocketServer::resume(*site.loop, site.port, with_bad, Losing::clients, site.surroundings);
    REQUIRE(resumed);
    CHECK(::fcntl(bad, F_GETFD) < 0);
    site.serve(std::move(*resumed));
    client.ask("ReopenLogs");
    CHECK_FALSE(client.reply().contains("error"));
}

TEST_CASE("resuming a parked server leaks no descriptor") {
    const auto open_descriptors = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    };
    Site site;
    SocketClient client(site);
    client.ask("ReopenLogs");
    client.reply();
    site.upgrade();
    const auto before = open_descriptors();
    for (int image = 0; image < 20; ++image)
        site.upgrade();
    CHECK(open_descriptors() == before);
}
