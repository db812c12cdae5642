"""What the system tests share: scenarios, a keepd in the foreground, a control client, waits with an end.

A test script registers scenarios and ends with `main()`:

    @scenario
    def reload_refused(): ...

It prints one TAP-like line for each scenario ("ok NAME", "not ok NAME", "ok NAME # skipped: reason"), and what keepd said
where one failed. Waits are on descriptors (a pidfd, a socket, inotify), each with a generous deadline that is only there
so that a hang becomes a failure; nothing is decided by how long something took.
"""
import argparse
import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FULL = bool(os.environ.get("KEEPD_FULL"))
PATIENCE = 60.0  # seconds; the end of every wait that names no other
LIBC = ctypes.CDLL(None, use_errno=True)


def count(fast, full):
    """How often to do something: the fast tier's number, or the full one's."""
    return full if FULL else fast


class Skip(Exception):
    """This scenario cannot run here; its text says why."""


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


# ---- scenarios -----------------------------------------------------------------------------------------------------

def _parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.environ.get("KEEPD_BUILD", str(ROOT / "build-plain")), type=Path)
    parser.add_argument("--limit", default=count(600, 7200), type=int, help="seconds for one scenario")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("scenarios", nargs="*")
    return parser.parse_args()


_scenarios = []
_options = _parse_options()  # at once: test scripts name the programs under test at their top level
build = _options.build.resolve()


def scenario(function):
    _scenarios.append(function)
    return function


def scenario_for(values):
    """One scenario for each (name, value): the function is called with the value."""
    def register(function):
        for name, value in values:
            def one(value=value):
                function(value)
            one.__name__ = f"{function.__name__}_{name}"
            _scenarios.append(one)
        return function
    return register


def program(name):
    """Path of something built: keepd, keepd-b, keepctl, victim."""
    places = {"keepd": "daemon/host/keepd", "keepd-b": "daemon/host/keepd-b", "keepctl": "daemon/ctl/keepctl",
              "victim": "tests/system/victim", "impostor": "tests/system/impostor",
              "bad-image": "tests/system/bad-image",
              "keepd-next": "tests/system/next/keepd-next"}
    path = build / places[name]
    return without_debug_information(path) if name.startswith("keepd") or name == "bad-image" else path


def without_debug_information(path):
    """A copy of a tenth of the size: it is installed hundreds of times. (The build id stays.)"""
    small = build / "tests" / "system" / f"{path.name}.installed"
    if not small.exists() or small.stat().st_mtime < path.stat().st_mtime:
        fresh = small.with_name(f"{small.name}.{os.getpid()}")
        subprocess.run(["objcopy", "--strip-debug", path, fresh], check=True)
        os.rename(fresh, small)
    return small


class _Hang(BaseException):
    """The scenario as a whole took too long."""


def _on_alarm(_signal, _frame):
    raise _Hang("the scenario did not end")


def main():
    options = _options
    if options.list:
        print("\n".join(function.__name__ for function in _scenarios))
        return
    chosen = [function for function in _scenarios if not options.scenarios or function.__name__ in options.scenarios]
    if not chosen:
        sys.exit(f"no such scenario; there are: {', '.join(function.__name__ for function in _scenarios)}")
    become_subreaper()
    signal.signal(signal.SIGALRM, _on_alarm)
    failed = skipped = 0
    for function in chosen:
        began = time.monotonic()
        signal.alarm(options.limit)
        try:
            function()
            verdict = f"ok {function.__name__}"
        except Skip as reason:
            skipped += 1
            verdict = f"ok {function.__name__} # skipped: {reason}"
        except (Exception, _Hang):
            failed += 1
            signal.alarm(0)
            traceback.print_exc(file=sys.stdout)
            verdict = f"not ok {function.__name__}"
        finally:
            signal.alarm(0)
            kill_descendants()
        print(verdict, flush=True)
        print(f"# {function.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    sys.exit(1 if failed else 77 if skipped == len(chosen) else 0)


def become_subreaper():
    """What keepd leaves behind becomes ours, so that no test leaves a process behind."""
    PR_SET_CHILD_SUBREAPER = 36
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    return found


def descendants_of(pid):
    found = []
    todo = [pid]
    while todo:
        below = children_of(todo.pop())
        found += below
        todo += below
    return found


def kill_descendants():
    while True:
        alive = descendants_of(os.getpid())
        for pid in alive:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


# ---- waiting -------------------------------------------------------------------------------------------------------

class Deadline:
    def __init__(self, seconds=PATIENCE, what="waiting"):
        self.end = time.monotonic() + seconds
        self.what = what

    def left(self):
        """Seconds that are left; raises when none are."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{self.what}: took too long")
        return left


def await_readable(fd, what, seconds=PATIENCE):
    if not select.select([fd], [], [], seconds)[0]:
        raise TimeoutError(f"{what}: took too long")


def await_end(pid, what="the end of a process", seconds=PATIENCE):
    """Returns when the process has ended (it may be a zombie still, or long gone)."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await_readable(pidfd, f"{what} (pid {pid})", seconds)
    finally:
        os.close(pidfd)


def eventually(look, what, seconds=PATIENCE):
    """Looks until there is something to see, for what nobody sends an event (/proc); returns what was seen."""
    deadline = Deadline(seconds, what)
    poll = select.poll()  # of nothing: a pause between two looks, not a time in which something must have happened
    while True:
        seen = look()
        if seen:
            return seen
        deadline.left()
        poll.poll(5)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def check_equal(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


# ---- processes -----------------------------------------------------------------------------------------------------

def stat_of(pid, proc="/proc"):
    """Fields of /proc/PID/stat after the name; [0] is the state, [19] the start time. None if it is gone."""
    try:
        text = Path(f"{proc}/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def start_time(pid, proc="/proc"):
    fields = stat_of(pid, proc)
    return fields and int(fields[19])


def is_alive(pid):
    fields = stat_of(pid)
    return bool(fields) and fields[0] not in "ZX"


def zombies_below(pid):
    return [child for child in descendants_of(pid) if (stat_of(child) or ["?"])[0] == "Z"]


def descriptors_of(pid, proc="/proc"):
    found = {}
    for name in os.listdir(f"{proc}/{pid}/fd"):
        with contextlib.suppress(OSError):
            found[int(name)] = os.readlink(f"{proc}/{pid}/fd/{name}")
    return found


# ---- control -------------------------------------------------------------------------------------------------------

class ControlError(Exception):
    def __init__(self, name, parameters):
        super().__init__(f"{name}: {json.dumps(parameters)}")
        self.name = name
        self.parameters = parameters


class Control:
    """A Varlink client of our own, so that a test may wait for events and hold connections over upgrades."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.buffer = b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, method, more=False, **parameters):
        if "." not in method:
            method = "io.keepd.Manager." + method
        call = {"method": method, "parameters": parameters}
        if more:
            call["more"] = True
        self.socket.sendall(json.dumps(call).encode() + b"\0")

    def receive(self, seconds=PATIENCE):
        deadline = Deadline(seconds, "a reply of keepd")
        while b"\0" not in self.buffer:
            self.socket.settimeout(deadline.left())
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise ConnectionError("keepd closed the connection")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        reply = json.loads(message)
        if reply.get("error"):
            raise ControlError(reply["error"], reply.get("parameters", {}))
        return reply.get("parameters", {})

    def call(self, method, **parameters):
        self.send(method, **parameters)
        return self.receive()


class Events:
    """The event stream on a connection of its own. Every notice is kept in `seen`."""

    def __init__(self, path, since=None):
        self.control = Control(path)
        self.seen = []
        self.control.send("Events", more=True, **({} if since is None else {"since": since}))
        self.seen += self.control.receive()["events"]  # the first reply: from now on nothing is missed
        self.next = 0

    def close(self):
        self.control.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def wait(self, matches, what, seconds=PATIENCE):
        """The next notice, in order and after the one last returned, that matches."""
        deadline = Deadline(seconds, what)
        while True:
            while self.next < len(self.seen):
                notice = self.seen[self.next]
                self.next += 1
                if matches(notice):
                    return notice
            self.seen += self.control.receive(deadline.left())["events"]

    def wait_state(self, name, state, seconds=PATIENCE):
        return self.wait(lambda notice: notice["program"] == name and notice["state"] == state,
                         f"{name} to be {state}", seconds)

    def drain(self):
        """Takes in what has arrived by now."""
        while select.select([self.control.socket], [], [], 0)[0] or b"\0" in self.control.buffer:
            self.seen += self.control.receive()["events"]
        return self.seen


# ---- keepd in the foreground ---------------------------------------------------------------------------------------

class ServiceManager(threading.Thread):
    """The other end of NOTIFY_SOCKET. Always reads: a sender blocks once ten messages wait."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.changed = threading.Condition()
        self.notes = []  # every message, as a dict
        self.start()

    def run(self):
        while True:
            message = self.socket.recv(1 << 16).decode()
            if message == "over":
                return
            with self.changed:
                self.notes.append(dict(line.split("=", 1) for line in message.splitlines() if line))
                self.changed.notify_all()

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"over", self.socket.getsockname())
        self.join()
        self.socket.close()


class Keepd:
    """A keepd in a directory of its own, started as a service manager would: with a NOTIFY_SOCKET."""

    def __init__(self, programs=None, binary="keepd", prefix=(), daemon=None, environment=None, notify=True, enter=None):
        self.directory = Path(tempfile.mkdtemp(prefix="keepd-test-", dir=os.environ.get("KEEPD_TEST_TMP")))
        self.directory.chmod(0o755)
        self.bin = self.directory / "keepd"     # replaced by rename, as dpkg does
        self.install(binary)
        self.config = self.directory / "keepd.json"
        self.socket = self.directory / "run" / "control.sock"
        self.log_dir = self.directory / "log"
        self.prefix = list(prefix)
        self.daemon = dict(daemon or {})
        self.environment = dict(environment or {})
        self.enter = enter      # called in the new process before it becomes keepd, or keepd's prefix
        self.process = None
        self.stderr_path = self.directory / "stderr"
        self.notify = ServiceManager(self.directory / "notify") if notify else None
        self.write(programs or {})

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.report()
        if self.process and self.process.poll() is None:
            for pid in [*descendants_of(self.process.pid), self.process.pid]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        if self.notify:
            self.notify.close()
        kill_descendants()
        if not os.environ.get("KEEPD_TEST_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)

    def report(self, lines=60):
        with contextlib.suppress(OSError):
            text = self.stderr_path.read_text(errors="replace").splitlines()
            print(f"# the last of keepd's {len(text)} lines:")
            for line in text[-lines:]:
                print(f"#   {line}")

    def install(self, binary):
        """Puts another build in the place of the binary: a new file, renamed over the old one."""
        source = program(binary) if isinstance(binary, str) else Path(binary)
        fresh = self.directory / "keepd.new"
        shutil.copyfile(source, fresh)
        fresh.chmod(0o755)
        os.rename(fresh, self.bin)

    def document(self, programs):
        return {"version": 1, "runtime_dir": str(self.directory / "run"), "state_dir": str(self.directory / "state"),
                "log_dir": str(self.log_dir), "log": {"level": "debug", "target": "stderr"},
                **self.daemon, "programs": programs}

    def write(self, programs):
        """Writes the config, as an editor does: another file, renamed."""
        self.programs = programs
        self.write_text(json.dumps(self.document(programs), indent=1))

    def write_text(self, text):
        fresh = self.directory / "keepd.json.new"
        fresh.write_text(text)
        os.rename(fresh, self.config)

    def spawn(self, *arguments):
        environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environment}
        environment.pop("KEEPD_SOCKET", None)
        if self.notify:
            environment["NOTIFY_SOCKET"] = str(self.directory / "notify")
        with self.stderr_path.open("ab") as stderr:
            self.process = subprocess.Popen(
                [*self.prefix, str(self.bin), "--config", str(self.config), *arguments], env=environment,
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, cwd="/", start_new_session=True,
                preexec_fn=self.enter)
        return self.process

    def start(self, *arguments):
        heard = len(self.notify.notes)
        self.spawn(*arguments)
        self.await_note("READY", "1", heard)
        return self

    def await_note(self, key, value, after=0, seconds=PATIENCE):
        """Waits until the service manager was told KEY=VALUE in a message from number `after` on; returns that message."""
        deadline = Deadline(seconds, f"keepd to notify {key}={value}")
        with self.notify.changed:
            while True:
                for note in self.notify.notes[after:]:
                    if note.get(key) == value:
                        return note
                if self.process.poll() is not None:
                    raise AssertionError(f"keepd ended with {self.process.returncode} instead of notifying {key}={value}")
                self.notify.changed.wait(min(0.2, deadline.left()))

    @property
    def pid(self):
        return self.process.pid

    def keepctl(self, *arguments, expect=0, seconds=PATIENCE, **options):
        """Runs keepctl; checks its exit code (None: any)."""
        done = subprocess.run([str(program("keepctl")), "--socket", str(self.socket), *map(str, arguments)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL, **options)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"keepctl {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {expect}\n"
                                 f"stdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def keepctl_json(self, *arguments, **options):
        return json.loads(self.keepctl(*arguments, "--json", **options).stdout)

    def control(self):
        return Control(self.socket)

    def events(self, since=None):
        return Events(self.socket, since)

    def status(self, name=None):
        with self.control() as control:
            status = control.call("Status")
        if name is None:
            return status
        return next(one for one in status["programs"] if one["name"] == name)

    def generation(self):
        return self.status()["daemon"]["generation"]

    def upgrade(self, *arguments, **options):
        return self.keepctl("upgrade", *arguments, **options)

    def kill(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        self.kill(number)
        return self.wait(seconds)

    def wait(self, seconds=PATIENCE):
        """keepd's exit code."""
        await_end(self.process.pid, "keepd's end", seconds)
        return self.process.wait()

    def log_text(self, name):
        return (self.log_dir / f"{name}.log").read_text()

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")


def victim(*arguments, **fields):
    """A program entry that runs the victim with these arguments, at once and for ever unless `fields` say otherwise."""
    entry = {"command": [str(program("victim")), *map(str, arguments)], "restart": {"policy": "no"}}
    entry.update(fields)
    return entry


def leaves_one(file, wait):
    """A program entry: its main process ends at SIGTERM; its child has left for a session of its own, ignores SIGTERM and
    notes its pid in `file`. `wait`: stop.timeout."""
    child = f'trap \\"\\" TERM; echo \\$\\$ >{file}; exec {program("victim")} pause'
    return {"shell": True, "command": f'setsid sh -c "{child}" & trap "exit 0" TERM; wait', "stop": {"timeout": wait},
            "restart": {"policy": "no"}}


def pid_noted_in(file):
    return int(eventually(lambda: file.exists() and file.read_text(), f"a pid in {file.name}"))


def at_once(**more):
    """A restart block that restarts without delay and without limit."""
    return {"policy": "always", "delay": "0s", "jitter": 0, "backoff_factor": 1, "start_limit_burst": 0, **more}
