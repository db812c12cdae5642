// Where a command's standard streams come from and go to: Go's Cmd.Stdin, Cmd.Stdout and Cmd.Stderr.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <keep/exec/api.hpp>
#include <keep/exec/bytes.hpp>
#include <keep/exec/error.hpp>
#include <keep/fd.hpp>

namespace keep::exec {

// Fills the front of the buffer and returns how much; 0 is the end (Go's io.Reader). It is called when the command can
// take more, by the thread that copies. While it waits, none of the command's streams move, its context is not looked
// at, and a wait() does not return, not even after wait_delay: one that has to wait for something else belongs behind
// Cmd::stdin_pipe(). What it throws ends the program, where a thread of the library calls it.
using ReadFunction = std::function<Result<std::size_t>(std::span<char>)>;
// Takes all of the bytes, or fails: then the stream is closed and the command finds a broken pipe (Go's io.Writer).
using WriteFunction = std::function<Result<>(std::string_view)>;

// What a command's standard input reads. Copyable; copies share.
class Source {
  public:
    Source() = default; // /dev/null
    // An open descriptor, handed over as it is: nothing is copied. Borrowed: must be open until start() returns.
    static Source fd(int borrowed) {
        Source source;
        source.fd_ = borrowed;
        return source;
    }
    // The same; closed when a command has been started with it, or the last copy is gone. For one command: another one
    // that is started with a copy gets EBADF.
    KEEPEXEC_API static Source owned(Fd fd);
    KEEPEXEC_API static Source bytes(std::string text); // through a pipe; a command that does not read it is no error
    KEEPEXEC_API static Source reader(ReadFunction read);

    bool is_set() const noexcept { return fd_ >= 0 || shared_ != nullptr; }

    struct Shared;
    int descriptor() const noexcept { return fd_; } // -1: none, or one to be made
    const std::shared_ptr<Shared>& shared() const noexcept { return shared_; }
    explicit Source(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  private:
    int fd_ = -1;
    std::shared_ptr<Shared> shared_;
};

// What a command's standard output or error goes to. Copyable; copies share. The same one as `out` and `err`, or a copy
// of it, makes one pipe: the order of what the command writes is kept, and no call overlaps another.
class Sink {
  public:
    Sink() = default;              // /dev/null
    static Sink fd(int borrowed) { // see Source::fd
        Sink sink;
        sink.fd_ = borrowed;
        return sink;
    }
    KEEPEXEC_API static Sink owned(Fd fd);
    // Appended to; must outlive the command's wait(), and not be touched before.
    KEEPEXEC_API static Sink buffer(std::string& into);
    KEEPEXEC_API static Sink buffer(Bytes& into);
    KEEPEXEC_API static Sink writer(WriteFunction write);

    bool is_set() const noexcept { return fd_ >= 0 || shared_ != nullptr; }
    bool operator==(const Sink& other) const noexcept { return fd_ == other.fd_ && shared_ == other.shared_; }

    struct Shared;
    int descriptor() const noexcept { return fd_; }
    const std::shared_ptr<Shared>& shared() const noexcept { return shared_; }
    explicit Sink(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  private:
    int fd_ = -1;
    std::shared_ptr<Shared> shared_;
};

} // namespace keep::exec
