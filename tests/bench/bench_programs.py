"""What the daemon's benchmarks stand on: the two helper programs, the children's reports, and looks at processes."""
import ctypes
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
FREESTANDING = ("-Os -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie -fno-exceptions -fno-rtti"
                " -fno-asynchronous-unwind-tables").split()
PROGRAMS = {"hello_child": FREESTANDING, "floor_supervisor": ["-O2", "-static"], "middle_design": ["-O2", "-static"]}


def build_programs(directory):
    """Compiles the helpers into `directory`: {name: path}. Not meson's work: the build's own flags (sanitizers, a libc)
    would be part of what is measured."""
    built = {}
    for name, flags in PROGRAMS.items():
        built[name] = Path(directory) / name
        subprocess.run([os.environ.get("CXX", "c++").split()[-1], "-std=c++20", "-D_GNU_SOURCE", *flags,
                        "-o", built[name], HERE / f"{name}.cpp"], check=True)
    return built


def pause(seconds):
    """Time in which nothing is looked at: an idle supervisor, a storm's rhythm. No wait for something to happen."""
    select.select([], [], [], max(0, seconds))


# ---- reports -------------------------------------------------------------------------------------------------------

class Reports:
    """Receives the children's datagrams. `of[name]` holds (nanoseconds, pid, tag) of each of its starts, in order."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # the pid as we see it, whoever sent it
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.of = defaultdict(list)
        self.changed = threading.Condition()
        self.ready = None
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(300, 64)
            pid = struct.unpack_from("i", ancillary[0][2])[0] if ancillary else 0
            name, tag, stamp = data.decode().split(" ")
            with self.changed:
                self.of[name].append((int(stamp), pid, tag))
                if self.ready and self.ready():
                    self.changed.notify_all()

    def wait(self, ready, what, seconds=120):
        """Until ready() holds; only the receiving thread asks, once a datagram."""
        with self.changed:
            self.ready = ready
            try:
                if not self.changed.wait_for(ready, seconds):
                    raise TimeoutError(f"{what}: not within {seconds} s")
            finally:
                self.ready = None

    def last(self, name):
        return self.of[name][-1]

    def starts(self, name):
        return len(self.of[name])

    def forget(self):
        with self.changed:
            self.of.clear()


# ---- processes -----------------------------------------------------------------------------------------------------

def become_subreaper():
    """What a supervisor leaves behind becomes ours, so that nothing outlives the benchmark."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def children_of(pid):
    try:
        return [int(word) for task in os.listdir(f"/proc/{pid}/task")
                for word in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    except OSError:
        return []


def reap_orphans():
    """Takes in the orphans that have ended. Not while a Popen's end is awaited: it would be taken as well."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def kill_descendants():
    todo = children_of(os.getpid())
    while todo:
        pid = todo.pop()
        todo += children_of(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def start_time(pid):
    """Field 22 of /proc/PID/stat; None if there is no such process any more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return None if fields[0] in "ZX" else int(fields[19])


def memory_kib(pid, what="Pss"):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1])
    return 0


def work_of(pid):
    """(CPU in nanoseconds by the scheduler, context switches) of all threads so far."""
    cpu = switches = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        cpu += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
        for line in Path(f"/proc/{pid}/task/{task}/status").read_text().splitlines():
            if "ctxt_switches" in line:
                switches += int(line.split()[1])
    return cpu, switches


def now():
    return time.monotonic_ns()


def await_end(process, seconds):
    """True if the process ended in time."""
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False
