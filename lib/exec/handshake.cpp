#include "lib/exec/handshake.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/exec/preparation.hpp"

namespace keep::exec {
namespace {

// 0 or errno. A map is written whole, by one write(2); user_namespaces(7).
int write_file(const std::string& path, std::string_view text) {
    Fd file;
    do
        file = Fd::adopt(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    while (!file && errno == EINTR);
    if (!file) return errno;
    ssize_t written = 0;
    do
        written = ::write(file.get(), text.data(), text.size());
    while (written < 0 && errno == EINTR);
    return written < 0 ? errno : 0;
}

int write_maps(pid_t pid, const SysProcAttr& sys) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/";
    if (!sys.uid_mappings.empty()) {
        if (const int code = write_file(folder + "uid_map", map_text(sys.uid_mappings)); code != 0) return code;
    }
    if (sys.gid_mappings.empty()) return 0;
    const int code = write_file(folder + "setgroups", sys.gid_mappings_enable_setgroups ? "allow" : "deny");
    if (code != 0 && code != ENOENT) return code;
    return write_file(folder + "gid_map", map_text(sys.gid_mappings));
}

} // namespace

int Handshake::open(const SpawnSpec& spec) {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return errno;
    parent_ = Fd::adopt(ends[0]);
    child_ = Fd::adopt(ends[1]);
    int above = 3;
    for (const auto& [from, to] : spec.extra_fds)
        above = std::max(above, to + 1);
    for (const int fd : spec.sys.keep_fds)
        above = std::max(above, fd + 1);
    if (child_.get() >= above) return 0;
    const int copy = ::fcntl(child_.get(), F_DUPFD_CLOEXEC, above);
    if (copy < 0) return errno;
    child_ = Fd::adopt(copy);
    return 0;
}

// 0 or errno: then the child reads the end instead, and gives up. One that has ended reads nothing (EPIPE), and has
// said why; MSG_NOSIGNAL: its end must not end us.
int Handshake::tell(int verdict) {
    for (;;) {
        if (::send(parent_.get(), &verdict, sizeof verdict, MSG_NOSIGNAL) == sizeof verdict) return 0;
        if (errno == EINTR) continue;
        const int code = errno;
        ::shutdown(parent_.get(), SHUT_WR);
        return code == EPIPE ? 0 : code;
    }
}

void Handshake::lead(pid_t pid, int pidfd, const SpawnSpec& spec, ChildReport& report) {
    child_.reset();
    int verdict = (spec.sys.clone_flags & CLONE_NEWUSER) != 0 ? write_maps(pid, spec.sys) : 0;
    if (const int code = tell(verdict); code != 0) verdict = code;
    std::array<pollfd, 2> watched{{{parent_.get(), POLLIN, 0}, {pidfd, POLLIN, 0}}};
    const nfds_t count = pidfd >= 0 ? 2 : 1;
    for (;;) {
        const int ready = ::poll(watched.data(), count, -1);
        if (ready < 0 && errno != EINTR && errno != EAGAIN && errno != ENOMEM) break;
        if (ready <= 0) continue;
        if (watched[0].revents != 0) break; // nothing is ever sent to us: it is the end
        if (watched[1].revents != 0) break;
    }
    // What the child was told, or could not be told, is the cause; what it says of it is not.
    if (verdict != 0 && (report.step == Step::none || report.step == Step::id_maps)) {
        report.step = Step::id_maps;
        report.code = verdict;
    }
}

} // namespace keep::exec
