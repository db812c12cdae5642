#include "daemon/control/socket.hpp"

#include <cerrno>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sys/credentials.hpp"
#include "lib/sys/sockets.hpp"

namespace keepd::control {

using keep::fail_errno;
using keep::Result;
using keep::sys::Fd;

namespace {

// The kernel is short of memory for a moment: no fault of the peer's, and the loop comes back to this socket.
bool passes(const keep::Error& error) {
    return error.code == ENOMEM || error.code == ENOBUFS;
}

} // namespace

Result<Fd> listen_at(const config::Control& settings) {
    std::error_code ignored; // binding tells it better
    std::filesystem::create_directories(std::filesystem::path(settings.path).parent_path(), ignored);
    const auto probe = keep::sys::connect_unix(settings.path);
    // EAGAIN: somebody listens, with a full backlog.
    if (probe || probe.error().code == EAGAIN) {
        const auto owner = probe ? keep::sys::peer_credentials(probe->get()) : keep::fail("");
        return keep::fail("listen on '" + settings.path + "': a keepd answers there already" +
                              (owner ? " (pid " + std::to_string(owner->pid) + ")" : ""),
                          EADDRINUSE);
    }
    return keep::sys::listen_unix(settings.path, {.mode = settings.mode, .group = settings.group});
}

Result<> set_access(const config::Control& settings) {
    const char* path = settings.path.c_str();
    const gid_t group = settings.group.value_or(::getegid());
    if (::lchown(path, static_cast<uid_t>(-1), group) != 0) {
        return fail_errno("give to group " + std::to_string(group), settings.path, errno);
    }
    if (::chmod(path, settings.mode) != 0) return fail_errno("set the mode of", settings.path, errno);
    return {};
}

Result<Caller> peer_of(int socket) {
    const auto peer = keep::sys::peer_credentials(socket);
    if (!peer) return std::unexpected(peer.error());
    return Caller{peer->uid, peer->gid, peer->pid};
}

Result<Received> receive_some(int socket, std::size_t limit) {
    Received received;
    while (received.bytes.size() < limit) {
        char buffer[16384];
        const auto count = keep::sys::receive(socket, buffer);
        if (!count && passes(count.error())) break;
        if (!count) return std::unexpected(count.error());
        if (!*count) break;
        if (**count == 0) {
            received.end = true;
            break;
        }
        received.bytes.append(buffer, **count);
    }
    return received;
}

Result<std::size_t> send_some(int socket, std::string_view bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const auto count = keep::sys::send(socket, bytes.substr(done));
        if (!count && passes(count.error())) break;
        if (!count) return std::unexpected(count.error());
        if (!*count) break;
        done += **count;
    }
    return done;
}

} // namespace keepd::control
