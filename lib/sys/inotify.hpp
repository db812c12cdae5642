// Watching files and directories change; inotify(7).
#pragma once

#include <cstdint>
#include <string>
#include <sys/inotify.h>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keep::sys {

struct FileEvent {
    int watch = -1;         // -1 with IN_Q_OVERFLOW: events were lost, look at everything anew
    std::uint32_t mask = 0; // IN_*; IN_IGNORED: the watch is gone (removed, or its file is)
    std::string name;       // of the entry, where a directory is watched
};

// One inotify instance. Move-only, close-on-exec, non-blocking.
class Inotify {
  public:
    static Result<Inotify> create();

    int fd() const { return fd_.get(); } // readable when events wait

    // Returns the watch's number; the same number again for a file that is watched already, whose mask it replaces.
    Result<int> add(const std::string& path, std::uint32_t mask);
    // EINVAL: no such watch (any more).
    Result<> remove(int watch);

    // All events that wait now; empty if there are none.
    Result<std::vector<FileEvent>> read();

  private:
    explicit Inotify(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

} // namespace keep::sys
