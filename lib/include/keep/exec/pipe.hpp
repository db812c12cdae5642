// The ends of a command's pipes that its starter holds: Go's Cmd.StdinPipe, StdoutPipe and StderrPipe.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <keep/exec/api.hpp>
#include <keep/exec/bytes.hpp>
#include <keep/exec/error.hpp>
#include <keep/fd.hpp>

namespace keep::exec {

class PipeEnd;

// A handle shared with its command, whose wait() closes it once the command has ended: what is unread then is lost, as
// with Go. Read to the end first, or detach(). Copies share the end; every call may be made from any thread.
class KEEPEXEC_API PipeReader {
  public:
    // What is there, waiting for the first byte; 0 at the end. Errors: Errc::closed, also when close() or wait() comes
    // in the middle of it.
    Result<std::size_t> read(std::span<char> into);
    Result<Bytes> read_all();
    Result<> close(); // again: Errc::closed
    // The end is the caller's alone now, blocking; wait() does not close it. Errors: Errc::closed; EBUSY while another
    // thread uses it.
    Result<Fd> detach();
    int fd() const noexcept; // -1 once closed. Non-blocking: for an event loop

    explicit PipeReader(std::shared_ptr<PipeEnd> end) : end_(std::move(end)) {}

  private:
    std::shared_ptr<PipeEnd> end_;
};

class KEEPEXEC_API PipeWriter {
  public:
    // All of it, waiting for room. Errors: EPIPE when the command has stopped reading (no SIGPIPE is raised, whatever
    // its disposition), Errc::closed.
    Result<> write(std::string_view bytes);
    Result<> close(); // the command reads the end; again: no error, so that wait() may come first
    Result<Fd> detach();
    int fd() const noexcept;

    explicit PipeWriter(std::shared_ptr<PipeEnd> end) : end_(std::move(end)) {}

  private:
    std::shared_ptr<PipeEnd> end_;
};

} // namespace keep::exec
