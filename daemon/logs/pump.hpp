// The log pump: one thread that moves what programs write from their pipes to their files.
//
// Each stream has one pipe for its whole life, whatever number of runs write into it, and keepd holds both ends: a
// program's death loses nothing and a restart needs no new pipe. Bytes move by splice(2) at an explicit offset, so what
// is not in the file is still in the pipe: there is no buffer to lose. The main thread never touches a log file: it
// sends orders and reads counters; nothing it calls here takes a pipe's lock or waits for a disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/base/time.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::logs {

class Io;

// Where a stream's bytes go.
struct Target {
    // Absolute; directories are made (0750) as needed; empty: bytes are read and discarded. A symbolic link is refused,
    // except those that name an open descriptor ("/dev/stderr", "/proc/self/fd/2"). What is reached by one of these,
    // and what is no regular file (FIFO, terminal, /dev/null), is written to but never rotated.
    std::string path;
    std::uint64_t max_size = 0;  // rotate before the file grows beyond it, at a line end; 0 = never
    std::uint32_t max_files = 1; // PATH, PATH.1 (newest) ... PATH.(max_files-1)
    bool operator==(const Target&) const = default;
};

// What status shows of a stream.
struct StreamStatus {
    std::uint64_t bytes = 0;         // written to files since the stream was opened, upgrades included
    std::uint64_t dropped_bytes = 0; // read but not stored, other than by a target without a path
    std::string problem; // "" or "write '/var/log/x.log': No space left on device, retrying; the program waits"
};

// A stream as it is carried over an exec: plain data; the descriptors' numbers are the carried ones.
struct StreamState {
    std::string id; // "web/stdout"
    Target target;
    int pipe_read = -1;
    int pipe_write = -1;
    int file = -1;                 // -1: not open
    std::uint64_t offset = 0;      // of the next byte in the file
    bool at_line_start = true;     // the last byte written is known to be a newline (or none was written)
    std::uint64_t line_length = 0; // bytes of the unfinished line that were looked at so far, for the 1 MiB cut
    std::uint64_t bytes = 0;
    std::uint64_t dropped_bytes = 0;
    bool operator==(const StreamState&) const = default;
};

// What holds a stream's bytes: its pipe. Borrowed numbers.
struct StreamEnds {
    std::string id;
    Target target;
    int read = -1;
    int write = -1; // -1: it is being drained
};

class Pump {
  public:
    // Starts the thread (all signals blocked in it). `io` is for tests: the calls that may block or fail; it must
    // outlive the thread. Errors: no descriptors, no thread.
    static keep::Result<std::unique_ptr<Pump>> start(Io* io = nullptr);
    // The same with streams that an earlier image carried over; takes ownership of their descriptors. On an error
    // they are the caller's still, open. A state without pipe_write is one that was being drained, and still is.
    // With Begin::when_told the thread is there, so that this can't fail later, and touches nothing before begin().
    enum class Begin : std::uint8_t { at_once, when_told };
    static keep::Result<std::unique_ptr<Pump>> resume(const std::vector<StreamState>&, Io* io = nullptr,
                                                      Begin = Begin::at_once);
    void begin();
    Pump(const Pump&) = delete;
    Pump& operator=(const Pump&) = delete;
    // Stops the thread, closes everything; what is still in pipes is lost: drain() first. A thread that hangs in a
    // file for more than a second is left to itself.
    ~Pump();

    // ---- main thread ----
    // Opens a stream, or retargets the one of that id: what its pipe holds by then goes to the new target. Returns the
    // write end to hand to a child, borrowed, valid until close(). Errors: no descriptors left. Failing to open the
    // file is no error here: it is retried and shows in status.
    keep::Result<int> open(const std::string& id, const Target& target);
    int write_end(const std::string& id) const; // -1: no such stream
    // Streams that were opened since the last call, with pipes of their own.
    std::vector<StreamEnds> take_opened();
    // All of them, those included that are still being drained. Good until the next call of open(), close() or
    // status().
    std::vector<StreamEnds> ends() const;
    // How many have been closed so far.
    std::uint64_t closings() const;
    // Drops the stream as soon as its pipe is empty (the pump closes keepd's write end at its next turn; a program that
    // still holds the pipe is read until it lets go). The id is free again at once.
    void close(const std::string& id);
    // Opens all files anew by their paths (after an external rotation), once what is in the pipes is written, at a
    // line end if the pipe has one.
    void reopen();
    // Open streams, and closed ones that are still being drained where no open one has their id. Names the file in
    // which the thread has been for more than 2 s, in the problem of its stream.
    std::map<std::string, StreamStatus> status() const;
    // Readable (an eventfd) when a problem began or ended since the last status(): something to log, or to wait for.
    // A file that hangs does not show here.
    int problem_fd() const;

    // Waits until every pipe is empty at one look, at most `limit`; false: not so (a stuck disk). For an orderly end.
    bool drain(keep::Duration limit);

    // Stops the thread and joins it, at most `limit` later. On success all streams with their descriptors, now the
    // caller's (to carry, or to resume() again); the pump has no streams then. Error (ETIMEDOUT, naming the file that
    // hangs): nothing changed, the pump goes on.
    keep::Result<std::vector<StreamState>> park(keep::Duration limit);

  private:
    struct Impl;
    explicit Pump(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

} // namespace keepd::logs
