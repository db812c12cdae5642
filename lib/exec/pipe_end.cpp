#include "lib/exec/pipe_end.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <keep/exec/pipe.hpp>

#include "lib/exec/error_data.hpp"
#include "lib/exec/quiet_write.hpp"

namespace keep::exec {

// The number stays ours while this lives; -1 if it is closed.
class PipeEnd::Use {
  public:
    explicit Use(PipeEnd& end) : end_(end) {
        const std::lock_guard lock(end_.mutex_);
        if (end_.closed_) return;
        fd_ = end_.fd_.get();
        ++end_.users_;
    }
    ~Use() {
        if (fd_ < 0) return;
        const std::lock_guard lock(end_.mutex_);
        if (--end_.users_ == 0 && end_.closed_) end_.fd_.reset();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    int fd() const { return fd_; }
    bool is_closed() const {
        const std::lock_guard lock(end_.mutex_);
        return fd_ < 0 || end_.closed_;
    }

  private:
    PipeEnd& end_;
    int fd_ = -1;
};

Error PipeEnd::closed_error(std::string_view operation) const {
    return call_error(operation, name_, make_error_code(Errc::closed));
}

int PipeEnd::await(int fd, short events) {
    int wake = -1;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return 0;
        if (!wake_) wake_ = Fd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!wake_) return errno;
        wake = wake_.get();
    }
    std::array<pollfd, 2> watched{{{fd, events, 0}, {wake, POLLIN, 0}}};
    return ::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR && errno != EAGAIN ? errno : 0;
}

Result<std::size_t> PipeEnd::read(std::span<char> into) {
    const Use use(*this);
    for (;;) {
        if (use.is_closed()) return failed(closed_error("read"));
        const ssize_t count = ::read(use.fd(), into.data(), into.size());
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno == EINTR) continue;
        const int code = errno == EAGAIN ? await(use.fd(), POLLIN) : errno;
        if (code != 0) return failed(call_error("read", name_, code));
    }
}

Result<> PipeEnd::write(std::string_view bytes) {
    const Use use(*this);
    for (;;) {
        if (use.is_closed()) return failed(closed_error("write"));
        if (bytes.empty()) return {};
        const ssize_t count = write_quietly(use.fd(), bytes.data(), bytes.size());
        if (count >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(count));
            continue;
        }
        if (errno == EINTR) continue;
        const int code = errno == EAGAIN ? await(use.fd(), POLLOUT) : errno;
        if (code != 0) return failed(call_error("write", name_, code));
    }
}

bool PipeEnd::close() {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    closed_ = true;
    if (users_ == 0) {
        fd_.reset();
    } else if (wake_) {
        const std::uint64_t one = 1;
        (void)!::write(wake_.get(), &one, sizeof one);
    }
    return true;
}

Result<Fd> PipeEnd::detach() {
    const std::lock_guard lock(mutex_);
    if (closed_) return failed(closed_error("detach"));
    if (users_ > 0) return failed(call_error("detach", name_, EBUSY));
    closed_ = true;
    const int flags = ::fcntl(fd_.get(), F_GETFL);
    if (flags >= 0) ::fcntl(fd_.get(), F_SETFL, flags & ~O_NONBLOCK);
    return std::move(fd_);
}

int PipeEnd::number() const {
    const std::lock_guard lock(mutex_);
    return closed_ ? -1 : fd_.get();
}

Result<std::size_t> PipeReader::read(std::span<char> into) {
    return end_->read(into);
}

Result<Bytes> PipeReader::read_all() {
    constexpr std::size_t step = 65536;
    Bytes all;
    for (;;) {
        const auto count = end_->read(all.room(step));
        if (!count) return failed(count.error());
        if (*count == 0) return all;
        all.grow(*count);
    }
}

Result<> PipeReader::close() {
    if (end_->close()) return {};
    return failed(call_error("close", "|0", make_error_code(Errc::closed)));
}
Result<Fd> PipeReader::detach() {
    return end_->detach();
}
int PipeReader::fd() const noexcept {
    return end_->number();
}

Result<> PipeWriter::write(std::string_view bytes) {
    return end_->write(bytes);
}
Result<> PipeWriter::close() {
    end_->close();
    return {};
}
Result<Fd> PipeWriter::detach() {
    return end_->detach();
}
int PipeWriter::fd() const noexcept {
    return end_->number();
}

} // namespace keep::exec
