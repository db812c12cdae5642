"""Something happens at exactly the k-th system call of keepd: a small ptrace(2) client.

keepd's main thread is traced from outside while something is asked of it; at each stop at a system call a function of the
test looks at the call, and may do anything to it or to keepd. The thread stands still meanwhile, so that what the function
does happens between two system calls of keepd, in the old image or in the new one. No other thread is traced.
"""
import ctypes
import errno
import functools
import os
import platform
import re
import signal
import struct
from pathlib import Path

from harness import LIBC, Deadline, Skip, program

PTRACE_SYSCALL, PTRACE_DETACH, PTRACE_POKEUSER, PTRACE_SEIZE, PTRACE_INTERRUPT = 24, 17, 6, 0x4206, 0x4207
PTRACE_GET_SYSCALL_INFO = 0x420e
PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACEEXEC = 1, 16
PTRACE_EVENT_EXEC, PTRACE_EVENT_STOP = 4, 128
THE_EXEC = "the exec"
WALL = 0x40000000
SYSCALL_STOP = signal.SIGTRAP | 0x80
ENTRY = 1  # PTRACE_SYSCALL_INFO_ENTRY


def _ptrace(request, pid, data=0, address=None):
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    LIBC.ptrace.restype = ctypes.c_long
    if LIBC.ptrace(request, pid, address, data) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace({request:#x}, {pid}): {os.strerror(code)}")


@functools.cache
def names_of_calls():
    """Numbers of this machine's system calls to their names, as the C library's own headers have them."""
    for header in (f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h",
                   "/usr/include/asm-generic/unistd.h"):
        if Path(header).exists():
            return {int(number): name for name, number
                    in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text(), re.M)}
    raise Skip("needs the kernel's headers, for the names of system calls")


class Call:
    """A system call at which the traced thread stands: at its entry, or at its exit."""
    AX, DI, ORIG_AX = 80, 112, 120  # where x86-64 keeps them in its struct user

    def __init__(self, pid):
        self.pid = pid
        self._info = None

    def _details(self):
        if self._info is None:
            buffer = ctypes.create_string_buffer(96)
            _ptrace(PTRACE_GET_SYSCALL_INFO, self.pid, ctypes.addressof(buffer), len(buffer))
            self._info = struct.unpack_from("=BxxxIQQQ6Q", buffer)
        return self._info

    @property
    def is_entry(self):
        return self._details()[0] == ENTRY

    @property
    def name(self):
        """At an entry only: the kernel does not tell at the exit."""
        number = self._details()[4]
        return names_of_calls().get(number, f"call {number}")

    @property
    def arguments(self):
        return self._details()[5:]

    def _poke(self, offset, value):
        if platform.machine() != "x86_64":
            raise Skip("knows the registers of x86-64 only")
        _ptrace(PTRACE_POKEUSER, self.pid, ctypes.c_void_p(value & (1 << 64) - 1), offset)

    def fail(self, code, done=False):
        """At an entry: the call is not carried out (done: it is, all the same) and returns this errno.

        Returns what is to be called at its exit before the thread may go on untraced, or None.
        """
        if self.name == "brk":
            # Its own way to say so: the break stays where it was. The program finds its registers as they were.
            wanted = self.arguments[0]
            self._poke(self.DI, 0)
            return lambda: self._poke(self.DI, wanted)
        if done:
            return lambda: self._poke(self.AX, -code)
        self._poke(self.ORIG_AX, -1)
        self._poke(self.AX, -code)
        return None


class Tracer:
    """Stops at each system call of `pid`'s main thread, from attach() until let_go()."""

    def __init__(self, pid, seconds=60):
        self.pid = pid
        self.deadline = Deadline(seconds, "what is traced")
        self.at_exec = lambda: False    # a new image is loaded and nothing of it has run; true: let it go

    def attach(self):
        _ptrace(PTRACE_SEIZE, self.pid, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC)
        _ptrace(PTRACE_INTERRUPT, self.pid)

    def run(self, begin, look):
        """Calls begin() -> pid of a child of ours once the thread is held, then look(call) at each stop.

        Returns that child's exit code, or None if keepd ended first. If look() returns true the thread runs on untraced;
        else it does once the child has ended.
        """
        self.attach()
        child = None
        while True:
            self.deadline.left()
            changed, status = os.waitpid(-1, WALL)
            if changed == child:
                self.let_go()
                return os.waitstatus_to_exitcode(status)
            if changed != self.pid:
                continue  # an orphan that came to us
            if not os.WIFSTOPPED(status):
                self.ended_with = status
                return None
            event, got = status >> 16, os.WSTOPSIG(status)
            deliver = 0
            if got == SYSCALL_STOP or event == PTRACE_EVENT_EXEC:
                if self.at_exec() if event == PTRACE_EVENT_EXEC else look(Call(self.pid)):
                    self._detach()
                    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            elif event != PTRACE_EVENT_STOP:
                deliver = got   # a signal on its way to keepd
            if child is None:
                child = begin()
            self._on(deliver)

    def follow(self, look):
        """look(call) at each stop of a process that stands still by SIGSTOP now; until it returns true, or the process ends.

        Returns whether it goes on, untraced.
        """
        _ptrace(PTRACE_SEIZE, self.pid, PTRACE_O_TRACESYSGOOD)
        os.kill(self.pid, signal.SIGCONT)
        while True:
            self.deadline.left()
            status = os.waitpid(self.pid, WALL)[1]
            if not os.WIFSTOPPED(status):
                return False
            event, got = status >> 16, os.WSTOPSIG(status)
            if got == SYSCALL_STOP and look(Call(self.pid)):
                self._detach()
                return True
            self._on(0 if got == SYSCALL_STOP or event == PTRACE_EVENT_STOP else got)

    def _on(self, deliver=0):
        try:
            _ptrace(PTRACE_SYSCALL, self.pid, deliver)
        except ProcessLookupError:
            pass  # it was killed while it stood; its end is still to be waited for

    def _detach(self):
        try:
            _ptrace(PTRACE_DETACH, self.pid)
        except ProcessLookupError:
            pass

    def let_go(self):
        """Untraced again: it must be standing still for that."""
        _ptrace(PTRACE_INTERRUPT, self.pid)
        while True:
            stop = os.waitpid(self.pid, WALL)[1]
            if not os.WIFSTOPPED(stop):
                return
            event, got = stop >> 16, os.WSTOPSIG(stop)
            if event in (PTRACE_EVENT_STOP, PTRACE_EVENT_EXEC) or got == SYSCALL_STOP:
                self._detach()
                return
            self._on(got)


def at_system_call(pid, number, begin, act, seconds=60):
    """Traces `pid`, calls begin() -> pid of a child of ours, and act() at the number-th stop from then on.

    Stops are counted at entries and exits alike. Returns how many were seen until that child ended (act() was called only
    if that is >= number), and the child's exit code. `number` None: only counts; THE_EXEC: act() is called when a new image
    is loaded and nothing of it has run. After act() the thread runs on untraced; the child is waited for.
    """
    stops = 0

    def look(_call):
        nonlocal stops
        stops += 1
        if stops == number:
            act()
        return stops == number
    def at_exec():
        if number == THE_EXEC:
            act()
        return number == THE_EXEC
    tracer = Tracer(pid, seconds)
    tracer.at_exec = at_exec
    code = tracer.run(begin, look)
    if code is None:
        raise AssertionError(f"keepd ended while it was traced: {tracer.ended_with:#x}")
    return stops, code


def name_of(code):
    return errno.errorcode[code]


def keepctl_begun(keepd, output, *arguments):
    """begin() for a tracer: keepctl with these arguments, whose words go to `output`. (Not a Popen: a tracer waits for all
    of our children.)"""
    def begin():
        null = os.open(os.devnull, os.O_RDONLY)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            command = [str(program("keepctl")), "--socket", str(keepd.socket), *map(str, arguments)]
            return os.posix_spawn(command[0], command, dict(os.environ), file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, file, 1), (os.POSIX_SPAWN_DUP2, file, 2)])
        finally:
            os.close(null)
            os.close(file)
    return begin


def begin_upgrade(keepd, output):
    return keepctl_begun(keepd, output, "upgrade", "--force")
