"""Something happens at exactly the k-th system call of an upgrade: a small ptrace(2) client.

keepd's main thread is traced from outside while an upgrade is asked for; at its k-th stop at a system call (entries and
exits count alike) a function of the test is called, and the tracer lets go. The thread stands still meanwhile, so that
what the function does happens between two system calls of keepd, in the old image or in the new one.
"""
import ctypes
import os
import signal

from harness import LIBC, Deadline, program

PTRACE_SYSCALL, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 24, 17, 0x4206, 0x4207
PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACEEXEC = 1, 16
PTRACE_EVENT_EXEC, PTRACE_EVENT_STOP = 4, 128
THE_EXEC = "the exec"
WALL = 0x40000000
SYSCALL_STOP = signal.SIGTRAP | 0x80


def _ptrace(request, pid, data=0):
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    LIBC.ptrace.restype = ctypes.c_long
    if LIBC.ptrace(request, pid, None, data) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace({request}, {pid}): {os.strerror(code)}")


def at_system_call(pid, number, begin, act, seconds=60):
    """Traces `pid`, calls begin() -> pid of a child of ours, and act() at the number-th stop from then on.

    Returns how many stops were seen until that child ended (act() was called only if that is >= number), and the child's
    exit code. `number` None: only counts; THE_EXEC: act() is called when a new image is loaded and nothing of it
    has run. After act() the thread runs on untraced; the child is waited for.
    """
    deadline = Deadline(seconds, "the traced upgrade")
    _ptrace(PTRACE_SEIZE, pid, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC)
    _ptrace(PTRACE_INTERRUPT, pid)
    child = None
    stops = 0
    while True:
        deadline.left()
        changed, status = os.waitpid(-1, WALL)
        if changed == child:
            # Untraced again: it must be standing still to be let go.
            _ptrace(PTRACE_INTERRUPT, pid)
            while True:
                changed, stop = os.waitpid(pid, WALL)
                if not os.WIFSTOPPED(stop):
                    return stops, os.waitstatus_to_exitcode(status)
                event, got = stop >> 16, os.WSTOPSIG(stop)
                if event == PTRACE_EVENT_STOP or got == SYSCALL_STOP:
                    _ptrace(PTRACE_DETACH, pid)
                    return stops, os.waitstatus_to_exitcode(status)
                _ptrace(PTRACE_SYSCALL, pid, got)
        if changed != pid:
            continue  # an orphan that came to us
        if not os.WIFSTOPPED(status):
            raise AssertionError(f"keepd ended while it was traced: {status:#x}")
        event, got = status >> 16, os.WSTOPSIG(status)
        deliver = 0
        here = None
        if got == SYSCALL_STOP:
            here = stops = stops + 1
        elif event == PTRACE_EVENT_EXEC:
            here = THE_EXEC
        elif event != PTRACE_EVENT_STOP:
            deliver = got   # a signal on its way to keepd
        if here is not None and here == number:
            act()
            _ptrace(PTRACE_DETACH, pid)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            return stops, code
        if child is None:
            child = begin()
        _ptrace(PTRACE_SYSCALL, pid, deliver)


def begin_upgrade(keepd, output):
    """Starts `keepctl upgrade`; returns its pid. (Not a Popen: the tracer waits for all of our children.)"""
    def begin():
        null = os.open(os.devnull, os.O_RDONLY)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            arguments = [str(program("keepctl")), "--socket", str(keepd.socket), "upgrade", "--force"]
            return os.posix_spawn(arguments[0], arguments, dict(os.environ), file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, file, 1), (os.POSIX_SPAWN_DUP2, file, 2)])
        finally:
            os.close(null)
            os.close(file)
    return begin
