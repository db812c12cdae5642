// A descriptor with one owner.
#pragma once

#include <utility>

#include <keep/exec/api.hpp>

namespace keep {

// Owns one open descriptor, or none. Move-only; closes in its destructor.
class Fd {
  public:
    Fd() = default;
    static Fd adopt(int fd) { return Fd(fd); } // takes over an open descriptor (or -1)
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Fd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    [[nodiscard]] int release() { return std::exchange(fd_, -1); } // the caller owns it now
    // close(2), not retried on EINTR (the number is free by then); errno stays as it was.
    KEEPEXEC_API void reset() noexcept;

  private:
    explicit Fd(int fd) : fd_(fd) {}
    int fd_ = -1;
};

} // namespace keep
