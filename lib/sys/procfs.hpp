// What /proc tells about processes. Everything here is a look at a moment; only a pidfd holds a process still.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keep::sys {

// The parts of /proc/PID/stat that we use; proc(5).
struct ProcessStat {
    pid_t pid = 0;
    std::string comm; // at most 15 bytes, any bytes
    char state = '?'; // R S D Z T t X I
    pid_t parent = 0;
    pid_t group = 0;
    pid_t session = 0;
    std::uint64_t start_ticks = 0; // since boot, in sysconf(_SC_CLK_TCK): with the pid, who this process is
    bool operator==(const ProcessStat&) const = default;
};

// /proc/PID/stat, held open: it goes on telling of that process, a zombie included, and of no other one that gets the
// number. ENOENT, ESRCH: there is none.
Result<Fd> open_process_stat(pid_t pid);

// What it tells of an end.
struct ProcessEnd {
    char state = '?';
    bool full = false;   // the kernel let us see what only a tracer may (else exit_code shows as 0)
    int wait_status = 0; // field 52, exit_code; of a zombie
};
std::optional<ProcessEnd> parse_process_end(std::string_view stat);
// Whether we have CAP_SYS_PTRACE in effect; capabilities(7).
bool may_trace_all();
// The real user id of a process, zombies included; nothing if it is gone.
std::optional<uid_t> real_user(pid_t pid);
// ESRCH: it has been reaped.
Result<ProcessEnd> process_end(int stat_fd);

// Nothing on text of another form. The name may contain spaces, parentheses and newlines.
std::optional<ProcessStat> parse_process_stat(std::string_view text);

// ENOENT or ESRCH: no such process (any more).
Result<ProcessStat> process_stat(pid_t pid);

// Its children, all threads' together. From /proc/PID/task/*/children, or a look at every process where the kernel
// was built without that file.
Result<std::vector<pid_t>> children_of(pid_t pid);

// Its children, theirs, and so on; a parent stands before its children. Children that were handed to a subreaper
// are no descendants any more.
Result<std::vector<pid_t>> descendants_of(pid_t pid);

// Every process in /proc.
Result<std::vector<pid_t>> all_processes();

} // namespace keep::sys
