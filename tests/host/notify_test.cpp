// What the service manager hears, and that one who does not listen holds nobody up.
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/sys/fd.hpp"
#include "systemd/notify.hpp"

namespace {

// A manager's end of NOTIFY_SOCKET for the length of a test.
struct Manager {
    std::string directory;
    keep::sys::Fd socket;

    Manager() {
        char name[] = "/tmp/keepd-notify-XXXXXX";
        directory = mkdtemp(name);
        socket = keep::sys::Fd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = directory + "/notify";
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    ~Manager() {
        unsetenv("NOTIFY_SOCKET");
        std::filesystem::remove_all(directory);
    }
    std::string heard() const {
        char text[512];
        const auto size = recv(socket.get(), text, sizeof text, 0);
        return size < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(size));
    }
};

} // namespace

using namespace keepd::systemd;

TEST_CASE("each word arrives as the protocol has it, a status on one line") {
    const Manager manager;
    notify_ready("5 programs:\n5 up");
    CHECK(manager.heard() == "READY=1\nSTATUS=5 programs: 5 up");
    notify_reloading(keep::Time(std::chrono::microseconds(1234567)));
    CHECK(manager.heard() == "RELOADING=1\nMONOTONIC_USEC=1234567");
    notify_stopping("soon");
    CHECK(manager.heard() == "STOPPING=1\nSTATUS=soon");
    notify_status("4 up");
    CHECK(manager.heard() == "STATUS=4 up");
    notify_watchdog();
    CHECK(manager.heard() == "WATCHDOG=1");
    notify_watchdog(std::chrono::seconds(20));
    CHECK(manager.heard() == "WATCHDOG=1\nWATCHDOG_USEC=20000000");
    CHECK(manager.heard() == "nothing");
}

TEST_CASE("a manager that does not read holds nobody up") {
    const Manager manager;
    for (int i = 0; i < 2000; ++i)
        notify_status("number " + std::to_string(i)); // far more than the queue of any datagram socket
    CHECK_FALSE(notify_ready("ready at last"));       // comes back as well: lost, after a second
    CHECK_FALSE(notify_ready_at_once("not yet"));
    CHECK(manager.heard() == "STATUS=number 0");
}

TEST_CASE("without a manager, or with a nonsense address, nothing happens") {
    unsetenv("NOTIFY_SOCKET");
    CHECK(notify_ready("nobody hears"));
    setenv("NOTIFY_SOCKET", "relative", 1);
    notify_ready("nobody hears");
    setenv("NOTIFY_SOCKET", std::string(300, '/').c_str(), 1);
    notify_ready("nobody hears");
    unsetenv("NOTIFY_SOCKET");
    CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
}
