#include "lib/sys/parcel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <sys/socket.h>

namespace keep::sys {

namespace {

constexpr std::size_t longest = std::size_t{64} << 10; // bytes of one parcel

// Room for the descriptors of one message.
union Ancillary {
    cmsghdr header;
    std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> bytes;
};

Result<> set_peek_offset(int socket, int offset) {
    if (::setsockopt(socket, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0) return {};
    return fail_errno("setsockopt SO_PEEK_OFF", "", errno);
}

// One message into `parcel`, by way of `room` for the longest; false if there is none.
Result<bool> receive(int socket, int flags, std::string& room, Parcel& parcel) {
    Ancillary ancillary; // the kernel says how much of it counts
    room.resize(longest);
    iovec part{room.data(), room.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &ancillary;
    message.msg_controllen = sizeof ancillary;
    ssize_t size = 0;
    do
        size = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (size < 0) return fail_errno("recvmsg", "", errno);
    parcel.bytes.assign(room, 0, static_cast<std::size_t>(size));
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            parcel.fds.push_back(Fd::adopt(fd));
        }
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0) return fail_errno("receive descriptors", "", EMFILE);
    if (size == 0 && parcel.fds.empty()) return false; // the other end is closed
    return true;
}

} // namespace

void Enclosure::put(msghdr& message, std::span<const int> fds) {
    if (fds.empty()) return;
    message.msg_control = bytes_.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
}

Result<ParcelQueue> parcel_queue(std::size_t room) {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return fail_errno("socketpair", "", errno);
    ParcelQueue queue{Fd::adopt(ends[0]), Fd::adopt(ends[1])};
    const int size = static_cast<int>(std::min<std::size_t>(room, std::numeric_limits<int>::max() / 2));
    if (::setsockopt(queue.in.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        (void)::setsockopt(queue.in.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return queue;
}

Result<> send_parcel(int in, std::string_view bytes, std::span<const int> fds) {
    if (bytes.empty() || bytes.size() > longest || fds.size() > most_descriptors)
        return fail("a parcel has 1 to 65536 bytes and 253 descriptors at most", EINVAL);
    Enclosure enclosure;
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    enclosure.put(message, fds);
    for (;;) {
        if (::sendmsg(in, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return {};
        if (errno != EINTR) return fail_errno("sendmsg", "", errno);
    }
}

Result<std::vector<Parcel>> peek_parcels(int out) {
    // The offset is the socket's, not ours: an earlier reader may have left one.
    if (auto set = set_peek_offset(out, 0); !set) return std::unexpected(set.error());
    std::vector<Parcel> parcels;
    std::string room;
    for (;;) {
        Parcel parcel;
        const auto got = receive(out, MSG_PEEK, room, parcel);
        if (!got) return std::unexpected(got.error());
        if (!*got) break;
        parcels.push_back(std::move(parcel));
    }
    if (auto set = set_peek_offset(out, -1); !set) return std::unexpected(set.error());
    return parcels;
}

Result<> empty_parcels(int out) {
    std::string room;
    for (;;) {
        Parcel parcel;
        const auto got = receive(out, 0, room, parcel);
        // Descriptors that find no room here are closed with their message all the same.
        if (!got && got.error().code == EMFILE) continue;
        if (!got) return std::unexpected(got.error());
        if (!*got) return {};
    }
}

} // namespace keep::sys
