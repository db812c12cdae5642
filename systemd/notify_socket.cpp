#include "systemd/notify_socket.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "lib/sys/fd.hpp"
#include "lib/sys/parcel.hpp"

namespace keepd::systemd {

namespace {

constexpr timeval a_second{1, 0};

} // namespace

keep::Result<> send_to_manager(const std::string& text, Weight weight, std::span<const int> fds) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (path == nullptr || (path[0] != '/' && path[0] != '@') || std::strlen(path) >= sizeof address.sun_path)
        return keep::fail("no service manager to notify", ENOTCONN);
    if (fds.size() > keep::sys::most_descriptors) return keep::fail("too many descriptors in one notification", EINVAL);
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path, std::strlen(path));
    if (path[0] == '@') address.sun_path[0] = '\0'; // an abstract socket

    const auto socket = keep::sys::Fd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return keep::fail_errno("socket", "", errno);
    (void)setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &a_second, sizeof a_second);
    iovec part{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    keep::sys::Enclosure enclosure;
    enclosure.put(message, fds);
    const int flags = MSG_NOSIGNAL | (weight == Weight::may_be_lost ? MSG_DONTWAIT : 0);
    while (::sendmsg(socket.get(), &message, flags) < 0)
        if (errno != EINTR) return keep::fail_errno("notify the service manager", "", errno);
    return {};
}

} // namespace keepd::systemd
