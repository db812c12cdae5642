// Descriptors with one owner. Everything is born close-on-exec; the upgrade's handoff alone clears that flag.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <keep/fd.hpp>

#include "lib/base/error.hpp"

namespace keep::sys {

using keep::Fd; // one owner, closes in its destructor

struct Pipe {
    Fd read;
    Fd write;
};

// What a descriptor is, to tell a carried one from a stranger that got its number. fstat(2).
struct FdIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint32_t type = 0; // st_mode & S_IFMT
    bool operator==(const FdIdentity&) const = default;
};

Result<Fd> open(const std::string& path, int flags, mode_t mode = 0); // O_CLOEXEC is added
Result<Pipe> pipe(int flags = 0);                                     // pipe2 with O_CLOEXEC added
Result<Fd> duplicate(int fd, int at_least = 3);                       // F_DUPFD_CLOEXEC
Result<> set_close_on_exec(int fd, bool on);
Result<> set_nonblocking(int fd, bool on);
Result<FdIdentity> identify(int fd);
// Whether somebody has this file open for writing, as a read lease shows; fcntl(2), F_SETLEASE. False also where that
// can't be known: of a file that is not ours, without CAP_LEASE, on a filesystem without leases.
bool has_writer(const std::string& path);

// Which of these numbers are open, by one system call for thousands of them (poll(2)).
Result<std::vector<bool>> are_open(std::span<const int> fds);
// close-on-exec for every open descriptor from `first` on. close_range(2), Linux 5.11.
Result<> close_on_exec_from(int first);

// A file that somebody else may have put there: errors also for what is no regular file (EINVAL; a FIFO would let the
// caller wait) and for one of more than `limit` bytes (EFBIG).
Result<std::string> read_regular_file(const std::string& path, std::size_t limit);
Result<std::string> read_file(const std::string& path, std::size_t limit = std::size_t{64} << 20);
Result<std::string> read_all(int fd, std::size_t limit = std::size_t{64} << 20); // from the current offset to the end
Result<> write_all(int fd, std::string_view bytes);                              // retries EINTR and short writes

} // namespace keep::sys
