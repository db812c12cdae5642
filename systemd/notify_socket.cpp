#include "systemd/notify_socket.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "lib/sys/fd.hpp"

namespace keepd::systemd {

namespace {

constexpr timeval patience{1, 0};
constexpr std::size_t most_fds = 16; // a store is made for a handful

union Ancillary {
    cmsghdr header;
    std::array<char, CMSG_SPACE(most_fds * sizeof(int))> bytes;
};

} // namespace

keep::Result<> send_to_manager(const std::string& text, Weight weight, std::span<const int> fds) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (path == nullptr || (path[0] != '/' && path[0] != '@') || std::strlen(path) >= sizeof address.sun_path)
        return keep::fail("no service manager to notify", ENOTCONN);
    if (fds.size() > most_fds) return keep::fail("too many descriptors in one notification", EINVAL);
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path, std::strlen(path));
    if (path[0] == '@') address.sun_path[0] = '\0'; // an abstract socket

    const auto socket = keep::sys::Fd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return keep::fail_errno("socket", "", errno);
    (void)setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    iovec part{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    Ancillary ancillary{};
    if (!fds.empty()) {
        message.msg_control = &ancillary;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    const int flags = MSG_NOSIGNAL | (weight == Weight::may_be_lost ? MSG_DONTWAIT : 0);
    while (::sendmsg(socket.get(), &message, flags) < 0)
        if (errno != EINTR) return keep::fail_errno("notify the service manager", "", errno);
    return {};
}

} // namespace keepd::systemd
