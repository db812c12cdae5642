// The file at the end of a stream: how it is opened, what kind of thing it is, where its end is, and how it is rotated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "daemon/logs/io.hpp"
#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::logs {

enum class FileKind : std::uint8_t {
    regular,    // written at an explicit offset, rotated
    appending,  // a regular file that others write too ("/dev/stderr" redirected): O_APPEND, which splice refuses
    sequential, // FIFO, terminal, character device: no offset, may be full (EAGAIN)
};

class LogFile {
  public:
    // Opens the file at `path`, at its end, and makes its directories. Never waits for a reader of a FIFO (ENXIO),
    // never follows a link except those that name an open descriptor ("/dev/stderr", "/proc/self/fd/2"). The error's
    // message is complete.
    static keep::Result<LogFile> open(Io&, const std::string& path);
    // One that an earlier image opened.
    static keep::Result<LogFile> adopt(keep::sys::Fd);

    int fd() const { return fd_.get(); }
    FileKind kind() const { return kind_; }
    bool rotates() const { return kind_ == FileKind::regular; }
    // splice(2) turned out to be refused (some filesystems, O_APPEND): bytes are copied instead.
    bool copies() const { return copies_; }
    void copy_from_now_on() { copies_ = true; }

    // Where the next byte goes. Moved by writes through offset_for_write(), and to the file's true end by seek_end().
    std::uint64_t offset() const { return static_cast<std::uint64_t>(offset_); }
    std::int64_t* offset_for_write() { return kind_ == FileKind::regular ? &offset_ : nullptr; }
    // Follows the file's size: somebody truncated it (no hole must come to be) or appended (nothing of it overwritten).
    void seek_end();

    // Whether the file at `path` is this one: not renamed or removed by somebody.
    bool is_at(const std::string& path) const;
    // Whether the last byte is a newline, or the file is empty. Nothing where that cannot be read.
    std::optional<bool> ends_in_newline() const;

    [[nodiscard]] keep::sys::Fd release() { return std::move(fd_); }

  private:
    keep::sys::Fd fd_;
    FileKind kind_ = FileKind::regular;
    bool copies_ = false;
    std::int64_t offset_ = 0;
};

// Renames PATH.n .. PATH to PATH.(n+1) .. PATH.1, so that at most `max_files` files exist with a new PATH among them;
// a gap in the numbers is filled first, numbers beyond are removed. With one file allowed, PATH is removed.
// Error: what rename or remove failed; PATH itself is untouched then.
keep::Result<> shift_rotated(Io&, const std::string& path, std::uint32_t max_files);

} // namespace keepd::logs
