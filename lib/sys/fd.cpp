#include "lib/sys/fd.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keep {

// Not retried on EINTR: Linux has released the number by then, and it may already be someone else's (close(2)).
void Fd::reset() noexcept {
    if (fd_ < 0) return;
    const int saved = errno; // a destructor must not replace the errno that its caller is about to report
    ::close(std::exchange(fd_, -1));
    errno = saved;
}

} // namespace keep

namespace keep::sys {

Result<Fd> open(const std::string& path, int flags, mode_t mode) {
    for (;;) {
        const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
        if (fd >= 0) return Fd::adopt(fd);
        if (errno != EINTR) return fail_errno("open", path, errno);
    }
}

Result<Pipe> pipe(int flags) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, flags | O_CLOEXEC) != 0) return fail_errno("pipe2", "", errno);
    return Pipe{Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}

Result<Fd> duplicate(int fd, int at_least) {
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, at_least);
    if (copy < 0) return fail_errno("duplicate descriptor", std::to_string(fd), errno);
    return Fd::adopt(copy);
}

Result<> set_close_on_exec(int fd, bool on) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0) return fail_errno("read close-on-exec of descriptor", std::to_string(fd), errno);
    const int wanted = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
    if (wanted == flags || ::fcntl(fd, F_SETFD, wanted) == 0) return {};
    return fail_errno("set close-on-exec of descriptor", std::to_string(fd), errno);
}

Result<> set_nonblocking(int fd, bool on) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) return fail_errno("read flags of descriptor", std::to_string(fd), errno);
    const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (wanted == flags || ::fcntl(fd, F_SETFL, wanted) == 0) return {};
    return fail_errno("set non-blocking of descriptor", std::to_string(fd), errno);
}

Result<FdIdentity> identify(int fd) {
    struct stat about{};
    if (::fstat(fd, &about) != 0) return fail_errno("fstat descriptor", std::to_string(fd), errno);
    return FdIdentity{about.st_dev, about.st_ino, static_cast<std::uint32_t>(about.st_mode & S_IFMT)};
}

bool has_writer(const std::string& path) {
    const auto fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return false;
    if (::fcntl(fd->get(), F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;
    (void)::fcntl(fd->get(), F_SETLEASE, F_UNLCK);
    return false;
}

Result<std::string> read_regular_file(const std::string& path, std::size_t limit) {
    auto fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return std::unexpected(fd.error());
    struct stat about{};
    if (::fstat(fd->get(), &about) != 0) return fail_errno("fstat", path, errno);
    if (!S_ISREG(about.st_mode)) return fail("read '" + path + "': it is not a regular file", EINVAL);
    auto text = read_all(fd->get(), limit);
    if (!text) return fail_in("'" + path + "'", text.error());
    return text;
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    auto fd = open(path, O_RDONLY);
    if (!fd) return std::unexpected(fd.error());
    auto text = read_all(fd->get(), limit);
    if (!text) return fail_in("'" + path + "'", text.error());
    return text;
}

Result<std::string> read_all(int fd, std::size_t limit) {
    constexpr std::size_t first_step = 4096; // /proc and cgroup files fit; others grow
    std::string text;
    std::size_t used = 0;
    for (;;) {
        // One byte over the limit is asked for, so that a file of exactly `limit` bytes is told from a longer one.
        if (used == text.size()) text.resize(std::min(limit + 1, std::max(first_step, text.size() * 2)));
        const ssize_t count = ::read(fd, text.data() + used, text.size() - used);
        if (count < 0) {
            if (errno == EINTR) continue;
            return fail_errno("read", "", errno);
        }
        if (count == 0) break;
        used += static_cast<std::size_t>(count);
        if (used > limit) return fail("read: more than the allowed " + std::to_string(limit) + " bytes", EFBIG);
    }
    text.resize(used);
    return text;
}

Result<> write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno != EINTR) {
            return fail_errno("write", "", errno);
        }
    }
    return {};
}

Result<std::vector<bool>> are_open(std::span<const int> fds) {
    std::vector<bool> open;
    open.reserve(fds.size());
    std::vector<pollfd> looks;
    constexpr std::size_t at_once = 4096; // poll(2) refuses more than RLIMIT_NOFILE
    for (std::size_t from = 0; from < fds.size(); from += at_once) {
        const auto part = fds.subspan(from, std::min(at_once, fds.size() - from));
        looks.clear();
        for (const int fd : part)
            looks.push_back({fd, 0, 0});
        int done = 0;
        do
            done = ::poll(looks.data(), looks.size(), 0);
        while (done < 0 && errno == EINTR);
        if (done < 0 && errno == EINVAL) { // the limit is low: one by one
            for (const int fd : part)
                open.push_back(::fcntl(fd, F_GETFD) >= 0);
            continue;
        }
        if (done < 0) return fail_errno("poll", "", errno);
        for (const pollfd& look : looks)
            open.push_back((look.revents & POLLNVAL) == 0);
    }
    return open;
}

Result<> close_on_exec_from(int first) {
    if (::syscall(SYS_close_range, first, ~0U, 1U << 2) == 0) return {}; // CLOSE_RANGE_CLOEXEC
    return fail_errno("close_range", "", errno);
}

} // namespace keep::sys
