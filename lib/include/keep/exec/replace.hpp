// The counterpart of Go's syscall.Exec: this process becomes another program, with the same pid and children.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <keep/exec/error.hpp>

namespace keep::exec {

struct Replacement {
    std::string path;              // by path, when fd < 0. No PATH search
    int fd = -1;                   // by descriptor: execveat(2) with AT_EMPTY_PATH; path is then for messages
    std::vector<std::string> argv; // argv[0] included, free to be any text
    std::vector<std::string> env;  // "KEY=value", exactly these
    std::vector<int> keep;         // descriptors whose close-on-exec flag is cleared just before
    bool keep_is_marked = false;   // true: all of `keep` are close-on-exec now; spares a question for each
    bool keep_only = false;        // true: of the others nothing but 0, 1 and 2 stays open, whatever their flags
    bool reset_mask = false;       // true: the new image starts with no signal blocked
};

// Replaces this process's image: execve(2). What survives: pid, parent, children, current directory, umask, limits,
// ignored signals, the signal mask and pending signals (unless reset_mask), descriptors without close-on-exec. What
// does not: other threads, handlers, memory. Children with a parent death signal die if another thread than the calling
// one started them. A soft RLIMIT_NOFILE raised by raise_nofile_limit() is put back first; starts and threads of this
// library are held off meanwhile.
// Returns only on failure, with flags, limit and mask as they were before. op() is "exec".
KEEPEXEC_API Error replace(const Replacement& with);

// The same by descriptor and nothing else: execveat(2) with AT_EMPTY_PATH. Async-signal-safe (signal-safety(7)): for a
// handler that gives a broken image up. `argv` and `env` end with a null pointer. Returns errno, only on failure.
KEEPEXEC_API int replace_at_once(int fd, char* const* argv, char* const* env) noexcept;

// Raises the soft limit of descriptors to the hard one, as Go's runtime does by itself. Children and replacements get
// the former one back, unless the limit was set by somebody else since (or a SpawnSpec says otherwise): programs that
// use select(2) break above 1024.
KEEPEXEC_API Result<> raise_nofile_limit();

} // namespace keep::exec
