"""Which failures a system call may meet: of ENOSPC, ENOMEM, EMFILE, EINTR and EIO those that its manual page lists.

Left out are calls that the manual gives none of these for (F_SETFD and F_GETFD, getpid, clock_gettime, rt_sigprocmask,
rt_sigaction, sigaltstack, prctl, prlimit64, timerfd_settime, epoll's removal, lseek, ...): what can't fail is not made to fail. So are
futex (its EINTR never leaves the C library) and what the kernel has done before it tells of a failure (execve of one's
own image after the point of no return).
"""
import random
import time
from errno import EINTR, EIO, EMFILE, ENOMEM, ENOSPC
from os import environ

F_DUPFD, F_DUPFD_CLOEXEC = 0, 1030
EPOLL_CTL_DEL = 2
O_CREAT = 0o100

# Carried out whatever it returns (close(2): "the file descriptor is always released").
DONE_ALL_THE_SAME = {"close"}

MEMORY = (ENOMEM,)
DESCRIPTOR = (EMFILE, ENOMEM)
INPUT = (EINTR, EIO)
OUTPUT = (EINTR, EIO, ENOSPC)
TALK = (EINTR, ENOMEM)

PLAUSIBLE = {
    "read": INPUT, "pread64": INPUT, "readv": INPUT, "preadv": INPUT, "readlink": (EIO, ENOMEM), "readlinkat": (EIO, ENOMEM),
    "write": OUTPUT, "pwrite64": OUTPUT, "writev": OUTPUT, "pwritev": OUTPUT, "fsync": OUTPUT, "fdatasync": OUTPUT,
    "close": OUTPUT, "ftruncate": (EINTR, EIO), "fallocate": OUTPUT, "splice": (ENOMEM,), "tee": (ENOMEM,),
    "sendfile": (EIO, ENOMEM), "copy_file_range": (EIO, ENOMEM, ENOSPC),
    "mmap": MEMORY, "mremap": MEMORY, "mprotect": MEMORY, "munmap": MEMORY, "madvise": (ENOMEM, EIO), "brk": MEMORY,
    "mlock": MEMORY, "mlock2": MEMORY,
    "stat": MEMORY, "fstat": MEMORY, "lstat": MEMORY, "newfstatat": MEMORY, "statx": MEMORY, "statfs": (EINTR, EIO, ENOMEM),
    "fstatfs": (EINTR, EIO, ENOMEM), "access": (EIO, ENOMEM), "faccessat": (EIO, ENOMEM), "faccessat2": (EIO, ENOMEM),
    "getdents64": (EIO,), "memfd_create": DESCRIPTOR, "dup": (EMFILE,), "dup2": (EINTR, EMFILE), "dup3": (EINTR, EMFILE),
    "mkdir": (ENOMEM, ENOSPC), "mkdirat": (ENOMEM, ENOSPC), "unlink": (EIO, ENOMEM), "unlinkat": (EIO, ENOMEM),
    "rename": (ENOMEM, ENOSPC), "renameat2": (ENOMEM, ENOSPC), "chmod": (EIO, ENOMEM), "fchmod": (EIO,),
    "epoll_create1": DESCRIPTOR, "epoll_wait": (EINTR,), "epoll_pwait": (EINTR,), "epoll_pwait2": (EINTR,),
    "timerfd_create": DESCRIPTOR, "signalfd4": DESCRIPTOR, "eventfd2": DESCRIPTOR,
    "inotify_init1": DESCRIPTOR, "inotify_add_watch": (ENOMEM, ENOSPC),
    "pidfd_open": DESCRIPTOR, "pipe2": (EMFILE,), "poll": TALK, "ppoll": TALK, "close_range": DESCRIPTOR,
    "socket": DESCRIPTOR, "socketpair": (EMFILE,), "connect": (EINTR,), "accept4": (EINTR, EMFILE, ENOMEM),
    "bind": (ENOMEM, EIO), "sendto": TALK, "sendmsg": TALK, "recvfrom": TALK, "recvmsg": TALK,
    "clone": (ENOMEM, ENOSPC), "clone3": (ENOMEM, ENOSPC), "vfork": MEMORY, "fork": MEMORY,
    "execve": (ENOMEM, EMFILE, EIO), "execveat": (ENOMEM, EMFILE, EIO), "waitid": (EINTR,), "wait4": (EINTR,),
    "getrandom": (EINTR,), "fgetxattr": (),
}


ON_A_FILE = {"read", "pread64", "readv", "preadv", "write", "pwrite64", "writev", "pwritev", "close"}


def failures_of(name, arguments, target):
    """What this call, made with these arguments, may return instead of succeeding. target(fd): what /proc calls it."""
    if name in ON_A_FILE and not target(arguments[0]).startswith("/"):
        return (EINTR,)     # no disk that could break or fill
    if name == "openat":
        return (EINTR, EIO, EMFILE, ENOMEM) + ((ENOSPC,) if arguments[2] & O_CREAT else ())
    if name == "fcntl":
        return (EMFILE,) if arguments[1] in (F_DUPFD, F_DUPFD_CLOEXEC) else ()
    if name == "epoll_ctl":
        return () if arguments[1] == EPOLL_CTL_DEL else (ENOMEM, ENOSPC)
    return PLAUSIBLE.get(name, ())


def chosen(cases, samples):
    """All of the cases if `samples` is none; else so many, evenly spread, others each day (or by KEEPD_SEED)."""
    if samples is None or samples >= len(cases):
        return list(cases)
    seed = int(environ.get("KEEPD_SEED") or time.time() // 86400)
    print(f"#   KEEPD_SEED={seed} chooses {samples} of {len(cases)}", flush=True)
    step = len(cases) / samples
    offset = random.Random(seed).random() * step
    return [cases[int(offset + index * step)] for index in range(samples)]
