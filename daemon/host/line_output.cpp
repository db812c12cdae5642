#include "daemon/host/line_output.hpp"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include "lib/sys/clock.hpp"

namespace keepd::host {

namespace {

constexpr auto patience = std::chrono::milliseconds(100);
// What poll(2) promises of a pipe that is ready.
constexpr std::size_t sure_piece = 4096;

bool writable(int fd, keep::Duration limit) {
    pollfd look{fd, POLLOUT, 0};
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
    return ::poll(&look, 1, static_cast<int>(milliseconds)) > 0;
}

} // namespace

LineOutput::LineOutput(int fd) : fd_(fd) {
    struct stat about{};
    if (fstat(fd, &about) != 0) return;
    if (S_ISREG(about.st_mode)) kind_ = Kind::file;
    if (S_ISSOCK(about.st_mode)) kind_ = Kind::socket;
}

keep::Result<LineOutput> LineOutput::open(const std::string& path) {
    std::error_code ignored; // the open says what is wrong
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    // A FIFO is opened for both: without a reader it takes what fits, and its lines are there when one comes.
    struct stat about{};
    const bool fifo = stat(path.c_str(), &about) == 0 && S_ISFIFO(about.st_mode);
    const int flags = (fifo ? O_RDWR : O_WRONLY) | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    auto fd = keep::sys::Fd::adopt(::open(path.c_str(), flags, 0666));
    if (!fd) return keep::fail_errno("open", path, errno);
    LineOutput output(fd.get());
    output.own_ = std::move(fd);
    return output;
}

void LineOutput::write(std::string_view line) {
    if (!rest_.empty()) {
        rest_.erase(0, put(rest_));
        hangs_ = !rest_.empty();
    }
    if (rest_.empty() && lost_ != 0) {
        if (send("(" + std::to_string(lost_) + " lines of this log are missing here: nobody took them)\n")) lost_ = 0;
    }
    if (!rest_.empty() || lost_ != 0 || !send(line)) ++lost_;
}

// True: it was taken, or the rest of it will be.
bool LineOutput::send(std::string_view text) {
    const std::size_t taken = put(text);
    hangs_ = taken < text.size();
    if (taken != 0) rest_ = text.substr(taken);
    return taken != 0;
}

std::size_t LineOutput::put(std::string_view text) const {
    const keep::Time deadline = keep::sys::monotonic_now() + (hangs_ ? keep::Duration{} : patience);
    std::size_t done = 0;
    while (done < text.size()) {
        const std::int64_t taken = try_to_write(text.substr(done));
        if (taken > 0) {
            done += static_cast<std::size_t>(taken);
            continue;
        }
        if (taken < 0 && errno == EINTR) continue;
        const keep::Duration left = deadline - keep::sys::monotonic_now();
        if (taken == 0 || errno != EAGAIN || left <= keep::Duration{} || !writable(fd_, left)) break;
    }
    return done;
}

std::int64_t LineOutput::try_to_write(std::string_view text) const {
    if (kind_ == Kind::file || own_) return ::write(fd_, text.data(), text.size()); // ours does not block
    if (kind_ == Kind::socket) return ::send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    const iovec piece{const_cast<char*>(text.data()), text.size()}; // only read
    const auto taken = ::pwritev2(fd_, &piece, 1, -1, RWF_NOWAIT);
    if (taken >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return taken;
    // Terminals, and older kernels' pipes: another writer may come between, which is as near as it gets.
    if (writable(fd_, {})) return ::write(fd_, text.data(), std::min(text.size(), sure_piece));
    errno = EAGAIN;
    return -1;
}

} // namespace keepd::host
