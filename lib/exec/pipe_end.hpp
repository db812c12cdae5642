// Our end of a command's pipe, which its user and the command's wait() share: who closes it first does no harm to the
// other, and the number is not given back while anybody uses it.
#pragma once

#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include <keep/exec/error.hpp>
#include <keep/fd.hpp>

namespace keep::exec {

class PipeEnd {
  public:
    // `name` is for messages: "|0" reads, "|1" writes. `fd` is non-blocking.
    PipeEnd(Fd fd, std::string_view name) : name_(name), fd_(std::move(fd)) {}

    Result<std::size_t> read(std::span<char> into);
    Result<> write(std::string_view bytes);
    bool close(); // false if it was closed before
    Result<Fd> detach();
    int number() const;

  private:
    class Use;
    Error closed_error(std::string_view operation) const;
    // Waits for the descriptor, or for close(). errno of a failed poll(2).
    int await(int fd, short events);

    std::string name_;
    mutable std::mutex mutex_;
    Fd fd_;
    Fd wake_; // readable once it is closed; made by the first who has to wait
    int users_ = 0;
    bool closed_ = false;
};

} // namespace keep::exec
