#include "lib/sys/sockets.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace keep::sys {
namespace {

// sun_path holds 107 bytes. A longer path is reached through a descriptor of its directory, which must stay open
// until bind(2) or connect(2) has returned.
struct Address {
    sockaddr_un name{};
    Fd directory;
};
Result<Address> address_of(const std::string& path) {
    Address address;
    address.name.sun_family = AF_UNIX;
    std::string shown = path;
    if (path.size() >= sizeof address.name.sun_path) {
        const std::size_t slash = path.rfind('/');
        if (slash == std::string::npos) return fail_errno("use socket path", path, ENAMETOOLONG);
        auto directory = sys::open(path.substr(0, slash + 1), O_PATH | O_DIRECTORY);
        if (!directory) return std::unexpected(directory.error());
        address.directory = std::move(*directory);
        shown = "/proc/self/fd/" + std::to_string(address.directory.get()) + path.substr(slash);
        if (shown.size() >= sizeof address.name.sun_path) return fail_errno("use socket path", path, ENAMETOOLONG);
    }
    std::memcpy(address.name.sun_path, shown.c_str(), shown.size() + 1);
    return address;
}

Result<Fd> new_socket(Blocking blocking) {
    const int flags = SOCK_CLOEXEC | (blocking == Blocking::no ? SOCK_NONBLOCK : 0);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | flags, 0);
    if (fd < 0) return fail_errno("socket", "", errno);
    return Fd::adopt(fd);
}

const sockaddr* plain(const sockaddr_un& name) {
    return reinterpret_cast<const sockaddr*>(&name);
}

// A file of its own name until it is ready: bound, with its final group and mode, listening.
Result<> prepare_listener(int socket, const std::string& path, const ListenOptions& options) {
    auto address = address_of(path);
    if (!address) return std::unexpected(address.error());
    // The mode that bind(2) gives the file comes from the socket's inode: nobody may connect before we say so.
    if (::fchmod(socket, 0) != 0) return fail_errno("fchmod socket", path, errno);
    if (::bind(socket, plain(address->name), sizeof address->name) != 0) return fail_errno("bind", path, errno);
    if (options.group && ::lchown(path.c_str(), static_cast<uid_t>(-1), *options.group) != 0) {
        return fail_errno("chown", path, errno);
    }
    if (::chmod(path.c_str(), options.mode) != 0) return fail_errno("chmod", path, errno);
    if (::listen(socket, options.backlog) != 0) return fail_errno("listen", path, errno);
    return {};
}

bool would_block(int code) {
    return code == EAGAIN || code == EWOULDBLOCK;
}

} // namespace

Result<Fd> listen_unix(const std::string& path, const ListenOptions& options) {
    struct stat about{};
    if (::lstat(path.c_str(), &about) == 0 && !S_ISSOCK(about.st_mode)) return fail_errno("bind", path, EEXIST);
    auto socket = new_socket(Blocking::no);
    if (!socket) return socket;
    const std::string temporary = path + "." + std::to_string(::getpid());
    ::unlink(temporary.c_str()); // of an earlier process with our pid
    if (auto ready = prepare_listener(socket->get(), temporary, options); !ready) {
        ::unlink(temporary.c_str());
        return std::unexpected(ready.error());
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
        const int code = errno;
        ::unlink(temporary.c_str());
        return fail_errno("rename socket to", path, code);
    }
    return socket;
}

Result<std::optional<Fd>> accept(int listener) {
    for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) return Fd::adopt(fd);
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (would_block(errno)) return std::optional<Fd>{};
        return fail_errno("accept", "", errno);
    }
}

Result<Fd> connect_unix(const std::string& path, Blocking blocking) {
    auto address = address_of(path);
    if (!address) return std::unexpected(address.error());
    auto socket = new_socket(blocking);
    if (!socket) return socket;
    for (;;) {
        if (::connect(socket->get(), plain(address->name), sizeof address->name) == 0) return socket;
        if (errno != EINTR) return fail_errno("connect to", path, errno);
    }
}

Result<SocketPair> socket_pair(Blocking blocking) {
    int ends[2] = {-1, -1};
    const int flags = SOCK_CLOEXEC | (blocking == Blocking::no ? SOCK_NONBLOCK : 0);
    if (::socketpair(AF_UNIX, SOCK_STREAM | flags, 0, ends) != 0) return fail_errno("socketpair", "", errno);
    return SocketPair{Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}

Result<std::optional<std::size_t>> send(int socket, std::string_view bytes) {
    for (;;) {
        const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count >= 0) return static_cast<std::size_t>(count);
        if (would_block(errno)) return std::optional<std::size_t>{};
        if (errno != EINTR) return fail_errno("send", "", errno);
    }
}

Result<std::optional<std::size_t>> receive(int socket, std::span<char> buffer) {
    for (;;) {
        const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (count >= 0) return static_cast<std::size_t>(count);
        if (would_block(errno)) return std::optional<std::size_t>{};
        if (errno != EINTR) return fail_errno("receive", "", errno);
    }
}

} // namespace keep::sys
