// Processes held by descriptor: signalled without meeting a stranger who got the number, waited for one at a time.
#pragma once

#include <optional>
#include <sys/resource.h>
#include <sys/types.h>

#include "lib/base/error.hpp"
#include "lib/base/exit_status.hpp"
#include "lib/sys/fd.hpp"

namespace keep::sys {

// pidfd_open(2), close-on-exec. Safe only while `pid` cannot have been reaped by anyone. Linux 5.3.
Result<Fd> pidfd_open(pid_t pid);

// The inode of this process's pidfds, all of them, in whatever process: never another one's until the next boot. 0
// before Linux 6.9, where pidfds have none of their own.
std::uint64_t process_inode(int pidfd);

// ESRCH once the process has been reaped. A zombie can be signalled, to no effect. `signal` 0 only asks. Linux 5.1.
Result<> pidfd_send_signal(int pidfd, int signal);

// A child that has ended.
struct ChildExit {
    pid_t pid = 0;
    ExitStatus status;
    ResourceUsage usage; // its own and that of the children it waited for
    int wait_status = 0; // the same as `status`, as wait(2) encodes it
    rusage used{};       // the same as `usage`, whole
};

// Whether and how the child behind `pidfd` ended; nothing while it runs. ECHILD: not our child, or already reaped.
Result<std::optional<ChildExit>> peek_exit(int pidfd); // leaves it a zombie
Result<std::optional<ChildExit>> reap(int pidfd);
Result<ChildExit> reap_blocking(int pidfd);     // waits for the end
Result<ChildExit> reap_pid_blocking(pid_t pid); // the same for a child that cannot have been reaped

// What a status means that is encoded as wait(2) does it.
ExitStatus status_of_wait(int wait_status);

// How a process that is no child of ours ended: PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15, valid once it has been
// reaped; nothing before. ENOTTY, EINVAL: this kernel does not tell.
Result<std::optional<ExitStatus>> exit_info(int pidfd);
// Whether exit_info() will tell of this process, which may live still: by the kernel's version, and by whether it
// answers at all. A kernel that has learned it earlier is not recognised.
bool tells_exits(int pidfd);

// Some child that has ended, whichever; nothing if there is none, also where there are no children at all.
Result<std::optional<ChildExit>> peek_any_exit();
Result<std::optional<ChildExit>> reap_any();

// The child with this number, which peek_any_exit() has reported: a number is enough while it is a zombie of ours.
Result<std::optional<ChildExit>> reap_zombie(pid_t pid);

} // namespace keep::sys
