// The counterpart of Go's syscall.Exec: this process becomes another program, with the same pid and children.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/base/error.hpp"

namespace keep::exec {

struct Replacement {
    std::string path;              // by path, when fd < 0
    int fd = -1;                   // by descriptor: execveat(fd, "", AT_EMPTY_PATH)
    std::vector<std::string> argv; // argv[0] included
    std::vector<std::string> env;  // "KEY=value"
    std::vector<int> keep;         // descriptors that stay open, besides 0, 1 and 2 (close-on-exec cleared just before)
};

// Replaces this process's image; call it from the main thread with no other thread alive. Signal mask and pending
// signals pass to the new image unchanged (execve(2)). Returns only on failure, and then the close-on-exec flags are
// as they were before. Descriptors that are neither kept nor close-on-exec are the caller's fault and are inherited.
Error replace(const Replacement& with);

} // namespace keep::exec
