"""A machine whose keepd is killed on purpose, and what must be true of the one that follows."""
import os
import signal
from pathlib import Path

from harness import Control, ControlError, at_once, check, check_equal, eventually, start_time, stat_of
from ledger import check_ledger, last_number
from machine import KeepdMachine
from tracer import Tracer, keepctl_begun

BATCH = 5
DROP_IN = "[Service]\nRestartSec=0\n"
LIVING = ("one", "writer", "mortal")    # programs that nothing but their own end may touch


def victim(*arguments, **fields):
    return {"command": ["/opt/victim", *map(str, arguments)], "restart": {"policy": "no"}, **fields}


STEADY = {
    "one": victim("pause"),
    "writer": victim("lines", 100_000_000, BATCH, "/tmp/go"),
    "mortal": victim("worker", "mortal", "/tmp/ledger", "v0", restart=at_once(), stdout="null"),
    "late": {"command": ["/bin/false"], "restart": {"policy": "always", "delay": "1h", "max_delay": "1h", "jitter": 0}},
    "pausing": victim("pause", autostart=False),
    "laddered": victim("catch", "/tmp/caught", autostart=False, stop={"sequence": [["USR1", "50ms"], ["TERM", "10s"]]})}
EDITIONS = (
    {**STEADY, "removed": victim("pause"), "changed": victim("worker", "changed", "/dev/null", "a")},
    {**STEADY, "added": victim("pause"), "changed": victim("worker", "changed", "/dev/null", "b")})


class Killing:
    """look() for a tracer: kills at the entry of keepd's number-th call (None: never), then does `and_then`."""

    def __init__(self, pid, number=None, and_then=lambda: None, until=None):
        self.pid, self.number, self.and_then, self.until = pid, number, and_then, until
        self.calls = []
        self.at = None

    def __call__(self, call):
        """Whether that was all: with `until`, a call that ends it."""
        if not call.is_entry or self.at:
            return False
        self.calls.append(call.name)
        if len(self.calls) - 1 == self.number:
            self.at = f"call {self.number} ({call.name})"
            os.kill(self.pid, signal.SIGKILL)
            self.and_then()
            return False
        return call.name == self.until


def text_of(path):
    """What there is no more has none."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def identity(one):
    return tuple(one[field] for field in ("state", "pid", "born", "run", "restarts"))


class Sweep(KeepdMachine):
    def __init__(self, drop_in=DROP_IN):
        super().__init__(EDITIONS[0], drop_in)
        self.stops_first = drop_in != DROP_IN
        self.edition = 0
        self.lines = 0

    def boot(self):
        super().boot()
        os.mkfifo(self.path("/tmp/go"))
        self.go = os.open(self.path("/tmp/go"), os.O_RDWR | os.O_NONBLOCK)
        self.path("/tmp/ledger").touch()
        self.output = self.directory / "said"
        if self.stops_first:
            self.systemctl("start", "--no-block", "keepd")
            self.go_on()
        else:
            self.systemctl("start", "keepd")
        self.socket = self.path("/run/keepd/control.sock")
        eventually(lambda: (served := self.serving(None)) and served[1]["late"]["state"] == "backoff", "late to wait")

    def __exit__(self, *details):
        super().__exit__(*details)
        os.close(self.go)

    # ---- looks

    def now(self):
        with Control(self.socket) as control:
            status = control.call("Status")
        return status["daemon"], {one["name"]: {**one, "born": start_time(one["pid"] or 0, self.proc())}
                                  for one in status["programs"]}

    def one(self, name):
        return self.now()[1][name]

    def serving(self, before):
        """The next keepd's status, once there is one."""
        try:
            daemon, programs = self.now()
        except (OSError, ConnectionError, ControlError):
            return None
        return (daemon, programs) if daemon["pid"] != before and daemon["stage"] == "serving" else None

    def unit_members(self):
        """{pid inside: (pid outside, command)} of all processes of the unit."""
        found = {}
        for directory, _, _ in os.walk(self.group.path / "system.slice/keepd.service"):
            for pid in text_of(f"{directory}/cgroup.procs").split():
                status = text_of(f"/proc/{pid}/status").splitlines()
                command = text_of(f"/proc/{pid}/cmdline").split("\0")[:-1]
                if status:  # else it has ended
                    inside = next(line.split()[-1] for line in status if line.startswith("NSpid:"))
                    found[int(inside)] = (int(pid), command)
        return found

    def call(self, method, **parameters):
        with Control(self.socket) as control:
            return control.call(method, **parameters)

    def await_stopped(self):
        """The pid outside of what will be keepd once it is let go on."""
        def look():
            return next((outside for outside, command in self.unit_members().values()
                         if command[:1] == ["/bin/sh"] and (stat_of(outside) or "?")[0] == "T"), None)
        return eventually(look, "a start of keepd")

    def go_on(self):
        os.kill(self.await_stopped(), signal.SIGCONT)

    # ---- one case

    def prepare(self):
        """Lines are written; returns the status, and the pids outside of keepd and of the mortal one."""
        daemon, before = self.now()
        members = self.unit_members()
        os.write(self.go, b".")
        self.lines += BATCH
        return daemon, before, members[daemon["pid"]][0], members[before["mortal"]["pid"]][0]

    def interrupt(self, arguments, number, kill_mortal):
        daemon, before, outside, mortal = self.prepare()
        killing = Killing(outside, number, lambda: kill_mortal and os.kill(mortal, signal.SIGUSR2))
        code = Tracer(outside).run(keepctl_begun(self, self.output, *arguments), killing)
        if code is None:    # keepd ended first
            code = os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1])
        return daemon, before, killing, code

    def check_after(self, old, before, mortal_died):
        daemon, after = eventually(lambda: self.settled(old["pid"]), "what was interrupted to be over", 20)
        check_equal(daemon["generation"] >= old["generation"], True, "the generation goes on")
        check_equal(daemon["upgrading"], False, "an upgrade under way")
        for name in LIVING if not mortal_died else LIVING[:2]:
            check_equal(identity(after[name]), identity(before[name]), f"{name} after the crash")
        if mortal_died:
            one = eventually(lambda: (found := self.one("mortal"))["run"] > before["mortal"]["run"]
                             and found["state"] == "running" and found, "mortal's next run", 20)
            check_equal((one["exit"]["code"], one["restarts"]), (before["mortal"]["pid"] % 251, before["mortal"]["restarts"] + 1),
                        "mortal's exit, and restarts")
        for field in ("state", "run", "restarts", "failures", "exit"):
            check_equal(after["late"][field], before["late"][field], f"late's {field}")
        check(after["late"]["next_start_in_s"] <= before["late"]["next_start_in_s"], "late's deadline stays where it was")
        self.check_processes()
        return daemon, after

    def settled(self, old):
        """Nothing is on its way any more."""
        served = self.serving(old)
        return served if served and all(one["state"] not in ("starting", "stopping") for one in served[1].values()) else None

    def check_processes(self):
        """Each process of the unit is keepd or a run that keepd knows, and no program has two."""
        def fault():
            daemon, programs = self.now()
            known = sorted([daemon["pid"], *[one["pid"] for one in programs.values() if one["pid"]]])
            members = self.unit_members()
            return None if sorted(members) == known else f"processes of the unit: {members}, known: {known}"
        problem = "not looked"

        def look():
            nonlocal problem
            problem = fault()
            return problem is None
        try:
            eventually(look, "the unit to have no process but known ones", 5)
        except TimeoutError:
            raise AssertionError(problem) from None

    def balance(self):
        """Every line that was ever written."""
        os.write(self.go, b"!")
        log = self.path("/var/log/keepd/writer.log")
        eventually(lambda: last_number(log) == self.lines, "the last line", 10)
        check_ledger(log, self.lines)
