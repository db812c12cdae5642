#!/usr/bin/env python3
"""SIGKILL at the k-th system call of keepd, under systemd: the keepd that follows has everything, and nothing runs twice.

What is interrupted: an upgrade, a reload that adds, removes and changes programs, a start, a stop with a ladder of two rungs.
Each is traced once to count its calls, then killed at one after another; the fast tier takes some, others each day.
"""
import os
import signal
import sys

from faults import chosen
from harness import (Control, ControlError, at_once, check, check_equal, count, eventually, main, scenario, start_time)
from ledger import check_ledger, last_number
from machine import KeepdMachine
from tracer import Tracer, keepctl_begun

SAMPLES = count(14, None)    # of each kind
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
    """look() for a tracer: kills at the entry of the number-th call (None: never), then does `and_then`."""

    def __init__(self, pid, number=None, and_then=lambda: None):
        self.pid, self.number, self.and_then = pid, number, and_then
        self.calls = []
        self.at = None

    def __call__(self, call):
        if not call.is_entry or self.at:
            return False
        self.calls.append(call.name)
        if len(self.calls) - 1 == self.number:
            self.at = f"call {self.number} ({call.name})"
            os.kill(self.pid, signal.SIGKILL)
            self.and_then()
        return False


def identity(one):
    return tuple(one[field] for field in ("state", "pid", "born", "run", "restarts"))


class Sweep(KeepdMachine):
    def __init__(self):
        super().__init__(EDITIONS[0], DROP_IN)
        self.edition = 0
        self.lines = 0
        self.expected_exit = None

    def boot(self):
        super().boot()
        os.mkfifo(self.path("/tmp/go"))
        self.go = os.open(self.path("/tmp/go"), os.O_RDWR | os.O_NONBLOCK)
        self.path("/tmp/ledger").touch()
        self.output = self.directory / "said"
        self.systemctl("start", "keepd")
        self.socket = self.path("/run/keepd/control.sock")
        eventually(lambda: self.one("late")["state"] == "backoff", "late to wait")

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
        for file in (self.group.path / "system.slice/keepd.service").rglob("cgroup.procs"):
            for pid in file.read_text().split():
                try:
                    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
                        inside = next(line.split()[-1] for line in lines if line.startswith("NSpid:"))
                    with open(f"/proc/{pid}/cmdline", encoding="ascii") as text:
                        found[int(inside)] = (int(pid), text.read().split("\0")[:-1])
                except OSError:
                    continue    # it has ended
        return found

    # ---- one case

    def interrupt(self, arguments, number, kill_mortal):
        daemon, before = self.now()
        outside = self.unit_members()[daemon["pid"]][0]
        mortal = before["mortal"]["pid"]
        mortal_outside = self.unit_members()[mortal][0]
        os.write(self.go, b".")
        self.lines += BATCH
        killing = Killing(outside, number, lambda: kill_mortal and os.kill(mortal_outside, signal.SIGUSR2))
        code = Tracer(outside).run(keepctl_begun(self, self.output, *arguments), killing)
        if killing.at and code is None:
            code = os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1])
        if not killing.at:
            return daemon, before, None, code
        eventually(lambda: self.serving(daemon["pid"]), "the next keepd")
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


def upgrade(machine):
    def check_done(code, old, daemon, _before, _after):
        if code == 0:
            check_equal(daemon["generation"], old["generation"] + 1, "generation after an upgrade that was answered")
    return ("upgrade", "--force"), check_done


def reload(machine):
    old_edition, new_edition = machine.edition, 1 - machine.edition
    machine.configure(EDITIONS[new_edition])

    def check_done(code, _old, _daemon, before, after):
        names = sorted(after)
        check(names in [sorted(edition) for edition in EDITIONS], f"wholly the old or wholly the new programs: {names}")
        machine.edition = 0 if "removed" in after else 1
        check(code != 0 or machine.edition == new_edition, "a reload that was answered")
        tag = "ab"[machine.edition]
        check_equal(after["changed"]["command"][-1], tag, "the changed program's config")
        check_equal(after["changed"]["state"], "running", "the changed program's state")
        command = machine.unit_members()[after["changed"]["pid"]][1]
        check_equal(command[-1], tag, "the changed program's process")
        if machine.edition == old_edition:
            check_equal(identity(after["changed"]), identity(before["changed"]), "changed, undone")
        check_equal(after["added" if machine.edition else "removed"]["state"], "running", "the other program's state")
    return ("reload",), check_done


def start(machine):
    if machine.one("pausing")["state"] == "running":
        machine_call(machine, "Stop", names=["pausing"])

    def check_done(code, _old, _daemon, _before, after):
        state = after["pausing"]["state"]
        check(state in (("running",) if code == 0 else ("running", "stopped")), f"state after a start ({code}): {state}")
    return ("start", "pausing"), check_done


def stop(machine):
    machine_call(machine, "Stop", names=["laddered"])
    machine.path("/tmp/caught").unlink(missing_ok=True)
    machine_call(machine, "Start", names=["laddered"])
    eventually(lambda: machine.path("/tmp/caught").exists(), "laddered to be ready")

    def check_done(code, _old, _daemon, before, after):
        one = after["laddered"]
        check(one["state"] in (("stopped",) if code == 0 else ("running", "stopped")), f"after a stop ({code}): {one['state']}")
        if one["state"] == "running":
            check_equal(identity(after["laddered"]), identity(before["laddered"]), "a stop that did not begin")
            return
        caught = machine.path("/tmp/caught").read_text().splitlines()
        check_equal((caught[0], caught[-1]), ("ready", "Terminated"), f"the rungs: {caught}")
        check("User defined signal 1" in caught, f"the first rung: {caught}")
        check_equal(one["exit"]["code"], 0, "the exit code of what was stopped")
    return ("stop", "laddered"), check_done


def machine_call(machine, method, **parameters):
    with Control(machine.socket) as control:
        return control.call(method, **parameters)


def kill_at_any_call(operation):
    with Sweep() as machine:
        def case(number, kill_mortal=False):
            arguments, check_done = operation(machine)
            old, before, killing, code = machine.interrupt(arguments, number, kill_mortal)
            if killing is None:     # it took fewer calls this time
                check_equal(code, 0, f"{arguments} undisturbed: {machine.output.read_text()}")
                daemon, after = machine.now()
                check_done(code, old, daemon, before, after)
                return None
            try:
                daemon, after = machine.check_after(old, before, kill_mortal)
                check_done(code, old, daemon, before, after)
            except Exception as fault:
                raise AssertionError(f"killed at {killing.at}: {fault}") from fault
            return killing.at
        case(None)
        counted = count_calls(machine, operation)
        numbers = chosen(range(counted), SAMPLES)
        done = [case(number, index % 3 == 0) for index, number in enumerate(numbers)]
        killed = [at for at in done if at]
        print(f"#   {counted} calls, killed at {len(killed)} of them", flush=True)
        check(len(killed) > len(numbers) * 0.8, f"most of the kills met a call: {killed}")
        os.write(machine.go, b"!")
        log = machine.path("/var/log/keepd/writer.log")
        eventually(lambda: last_number(log) == machine.lines, "the last line", 10)
        check_ledger(log, machine.lines)


def count_calls(machine, operation):
    arguments, check_done = operation(machine)
    old, before = machine.now()
    outside = machine.unit_members()[old["pid"]][0]
    counting = Killing(outside)
    code = Tracer(outside).run(keepctl_begun(machine, machine.output, *arguments), counting)
    check_equal(code, 0, f"{arguments}: {machine.output.read_text()}")
    daemon, after = machine.now()
    check_done(code, old, daemon, before, after)
    return len(counting.calls)


@scenario
def killed_in_an_upgrade():
    kill_at_any_call(upgrade)


@scenario
def killed_in_a_reload():
    kill_at_any_call(reload)


@scenario
def killed_in_a_start():
    kill_at_any_call(start)


@scenario
def killed_in_a_stop():
    kill_at_any_call(stop)


if __name__ == "__main__":
    sys.exit(main())
