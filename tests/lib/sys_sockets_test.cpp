#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "lib/sys/credentials.hpp"
#include "lib/sys/inotify.hpp"
#include "lib/sys/sockets.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using keep::test::TemporaryDirectory;

namespace {

std::vector<std::string> names_in(const std::string& dir) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir))
        names.push_back(entry.path().filename());
    return names;
}

} // namespace

TEST_CASE("a client reaches the listener, and bytes go both ways") {
    const TemporaryDirectory dir;
    auto listener = sys::listen_unix(dir / "s", {.mode = 0660});
    REQUIRE(listener);
    CHECK_FALSE(sys::accept(listener->get())->has_value());
    auto client = sys::connect_unix(dir / "s");
    REQUIRE(client);
    auto server = sys::accept(listener->get());
    REQUIRE((server && *server));
    CHECK((::fcntl((*server)->get(), F_GETFD) & FD_CLOEXEC) != 0);
    std::array<char, 16> buffer{};
    CHECK_FALSE(sys::receive((*server)->get(), buffer)->has_value());
    CHECK(sys::send(client->get(), "hello").value() == std::size_t{5});
    CHECK(sys::receive((*server)->get(), buffer).value() == std::size_t{5});
    CHECK(std::string_view(buffer.data(), 5) == "hello");
    client->reset();
    CHECK(sys::receive((*server)->get(), buffer).value() == std::size_t{0}); // the end, not "nothing yet"
    CHECK(sys::send((*server)->get(), "x").error().code == EPIPE);           // and no SIGPIPE
}

TEST_CASE("the socket's file has the mode and group asked for, whatever the umask") {
    const TemporaryDirectory dir;
    const mode_t former = ::umask(0);
    auto open_to_group = sys::listen_unix(dir / "a", {.mode = 0660, .group = ::getgid()});
    ::umask(0777);
    auto again = sys::listen_unix(dir / "b", {.mode = 0600});
    ::umask(former);
    REQUIRE((open_to_group && again));
    struct stat about{};
    REQUIRE(::stat((dir / "a").c_str(), &about) == 0);
    CHECK((about.st_mode & 07777) == 0660);
    CHECK(about.st_gid == ::getgid());
    REQUIRE(::stat((dir / "b").c_str(), &about) == 0);
    CHECK((about.st_mode & 07777) == 0600);
    CHECK(names_in(dir.path()).size() == 2); // no temporary name is left
}

TEST_CASE("a stale socket is replaced, and clients reach the new listener") {
    const TemporaryDirectory dir;
    {
        REQUIRE(sys::listen_unix(dir / "s"));
    }
    CHECK(sys::connect_unix(dir / "s").error().code == ECONNREFUSED);
    auto listener = sys::listen_unix(dir / "s");
    REQUIRE(listener);
    CHECK(sys::connect_unix(dir / "s"));
}

TEST_CASE("a file that is no socket is never replaced") {
    const TemporaryDirectory dir;
    REQUIRE(sys::open(dir / "s", O_CREAT | O_WRONLY, 0600));
    const auto listener = sys::listen_unix(dir / "s");
    REQUIRE_FALSE(listener);
    CHECK(listener.error().code == EEXIST);
    struct stat about{};
    CHECK((::lstat((dir / "s").c_str(), &about) == 0 && S_ISREG(about.st_mode)));
    CHECK(sys::listen_unix("/no/such/dir/s").error().code == ENOENT);
    CHECK(sys::connect_unix(dir / "missing").error().code == ENOENT);
}

TEST_CASE("a path longer than a socket address works all the same") {
    const TemporaryDirectory dir;
    const std::string deep = dir / std::string(120, 'd');
    std::filesystem::create_directory(deep);
    auto listener = sys::listen_unix(deep + "/control.sock");
    REQUIRE(listener);
    CHECK(sys::connect_unix(deep + "/control.sock"));
    CHECK(names_in(deep).size() == 1);
    CHECK(sys::connect_unix(std::string(200, 'x')).error().code == ENAMETOOLONG);
}

TEST_CASE("a full socket says that nothing fits") {
    auto ends = sys::socket_pair();
    REQUIRE(ends);
    const std::string chunk(65536, 'x');
    std::size_t total = 0;
    for (;;) {
        const auto sent = sys::send(ends->first.get(), chunk);
        REQUIRE(sent);
        if (!*sent) break;
        total += **sent;
    }
    CHECK(total > 0);
    std::array<char, 4096> buffer{};
    CHECK(sys::receive(ends->second.get(), buffer).value() == std::size_t{4096});
}

TEST_CASE("the peer of a socket is known") {
    auto ends = sys::socket_pair();
    REQUIRE(ends);
    const auto peer = sys::peer_credentials(ends->first.get());
    REQUIRE(peer);
    CHECK(peer->pid == ::getpid());
    CHECK(peer->uid == ::getuid());
    CHECK(peer->gid == ::getgid());
    CHECK(sys::peer_credentials(-1).error().code == EBADF);
}

TEST_CASE("users and groups are found by name and by number") {
    const auto root = sys::lookup_user("root");
    REQUIRE(root);
    CHECK(root->uid == 0);
    CHECK(root->name == "root");
    CHECK(root->home == "/root");
    CHECK(sys::lookup_user("0")->name == "root");
    CHECK(sys::lookup_group("root") == gid_t{0});
    CHECK(sys::lookup_group("4242424") == gid_t{4242424});
    CHECK(sys::user_name(0) == "root");
    CHECK(sys::user_name(4242424) == "4242424");
}

TEST_CASE("a number without an entry is a user with no rights of others") {
    const auto user = sys::lookup_user("4242424");
    REQUIRE(user);
    CHECK(user->uid == 4242424);
    CHECK(user->gid == 4242424); // never root's group
    CHECK(user->groups.empty());
    CHECK(user->home == "/");
}

TEST_CASE("who does not exist is not found, and no id is invented") {
    for (const char* const name : {"no-such-user", "", "-1", "4294967295", "4294967296", "1x", " 0"}) {
        CAPTURE(name);
        CHECK(sys::lookup_user(name).error().code == ENOENT);
        CHECK(sys::lookup_group(name).error().code == ENOENT);
    }
    CHECK(sys::lookup_user("no-such-user").error().message == "no such user: 'no-such-user'");
}

TEST_CASE("a change in a watched directory is told with its name") {
    const TemporaryDirectory dir;
    auto inotify = sys::Inotify::create();
    REQUIRE(inotify);
    const auto watch = inotify->add(dir.path(), IN_CREATE | IN_MOVED_TO);
    REQUIRE(watch);
    CHECK(inotify->read()->empty());
    REQUIRE(sys::open(dir / "new", O_CREAT | O_WRONLY, 0600));
    std::filesystem::rename(dir / "new", dir / "renamed");
    const auto events = inotify->read();
    REQUIRE(events);
    REQUIRE(events->size() == 2);
    CHECK(events->at(0).watch == *watch);
    CHECK(events->at(0).mask == IN_CREATE);
    CHECK(events->at(0).name == "new");
    CHECK(events->at(1).name == "renamed");
    REQUIRE(inotify->remove(*watch));
    const auto last = inotify->read();
    REQUIRE(last->size() == 1);
    CHECK((last->at(0).mask & IN_IGNORED) != 0);
    CHECK(inotify->remove(*watch).error().code == EINVAL);
    CHECK(inotify->add("/no/such/file", IN_MODIFY).error().code == ENOENT);
}

TEST_CASE("thousands of events are read whole") {
    const TemporaryDirectory dir;
    auto inotify = sys::Inotify::create();
    REQUIRE(inotify);
    REQUIRE(inotify->add(dir.path(), IN_CREATE));
    constexpr std::size_t count = 2000;
    const std::string name(200, 'n');
    for (std::size_t i = 0; i < count; ++i) {
        REQUIRE(sys::open(dir / (name + std::to_string(i)), O_CREAT | O_WRONLY, 0600));
    }
    const auto events = inotify->read();
    REQUIRE(events);
    REQUIRE(events->size() == count);
    for (std::size_t i = 0; i < count; ++i)
        REQUIRE(events->at(i).name == name + std::to_string(i));
}
