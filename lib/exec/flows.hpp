// One direction of one stream, between our end of a pipe and what the user named.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <keep/exec/streams.hpp>
#include <keep/fd.hpp>

#include "lib/exec/stream_ends.hpp"

namespace keep::exec {

// From the command to a sink. The descriptor is non-blocking.
class Outflow {
  public:
    Outflow(Fd fd, std::shared_ptr<Sink::Shared> into) : fd_(std::move(fd)), into_(std::move(into)) {}

    int fd() const { return fd_.get(); } // -1: it has ended
    // Reads what is there. The error of a writer that failed: the flow has ended then, and the command finds a broken
    // pipe.
    std::optional<Error> advance();
    void end() { fd_.reset(); }

  private:
    ssize_t read_some();
    bool is_long() const; // much has come, and more will
    std::optional<Error> deliver(std::size_t count);

    Fd fd_;
    std::shared_ptr<Sink::Shared> into_;
    std::vector<char> buffer_; // where the sink has no memory of its own to read into
    int full_chunks_ = 0;
    std::size_t present_ = 0; // so much of the sink's memory has been made present
};

// From a source to the command.
class Inflow {
  public:
    Inflow(Fd fd, std::shared_ptr<Source::Shared> from) : fd_(std::move(fd)), from_(std::move(from)) {}

    int fd() const { return fd_.get(); }
    // Writes what there is room for. A command that has stopped reading is no error: the flow has ended. The error of a
    // reader that failed is.
    std::optional<Error> advance();
    void end() { fd_.reset(); }

  private:
    std::optional<Error> refill();

    Fd fd_;
    std::shared_ptr<Source::Shared> from_;
    std::vector<char> buffer_;
    std::string_view pending_;
    bool drained_ = false; // the source has no more than what is pending
};

} // namespace keep::exec
