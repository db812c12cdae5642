#!/usr/bin/env python3
"""PID 1 executes itself anew (systemctl daemon-reexec) at the same time as keepd does: both keep what they have."""
import os
import sys
import threading

from harness import at_once, check, check_equal, count, eventually, main, program, scenario, start_time
from ledger import check_ledger, last_number
from machine import KeepdMachine

TIGHT = "[Service]\nRestartSec=0\nWatchdogSec=2\n"
BATCH = 5
PAUSE = {"command": ["/opt/victim", "pause"], "restart": {"policy": "no"}}
STEADY = ("one", "two", "writer", "busy@1", "busy@2")
PROGRAMS = {"one": PAUSE, "two": PAUSE,
            "writer": {"command": ["/opt/victim", "lines", "100000000", str(BATCH), "/tmp/go"], "restart": {"policy": "no"}},
            "busy": {"command": ["/bin/sh", "-c", "while :; do :; done"], "instances": 2, "stop": {"signal": "KILL"}},
            "looper": {"command": ["/bin/false"], "stdout": "null", "restart": at_once(delay="50ms")}}


class Companion(threading.Thread):
    """Does the same thing again and again beside the scenario."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work, self.over, self.turns, self.error = work, threading.Event(), 0, None
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                self.work()
                self.turns += 1
        except BaseException as error:  # noqa: BLE001 - told by finish()
            self.error = error
            self.over.set()

    def finish(self):
        self.over.set()
        self.join(120)
        if self.error:
            raise self.error


class Reexecuted(KeepdMachine):
    def __init__(self):
        super().__init__(PROGRAMS, TIGHT)
        self.states = set()
        self.lines = 0

    def boot(self):
        super().boot()
        os.mkfifo(self.path("/tmp/go"))
        self.go = os.open(self.path("/tmp/go"), os.O_RDWR | os.O_NONBLOCK)
        self.systemctl("start", "keepd")

    def __exit__(self, *details):
        super().__exit__(*details)
        os.close(self.go)

    def tell(self, *properties):
        """What PID 1 says of the unit; it is asked again while it does not serve."""
        told = eventually(lambda: self.systemctl("show", "keepd", "--property", ",".join(properties), expect=None).stdout,
                          "PID 1 to answer")
        return dict(line.split("=", 1) for line in told.splitlines())

    def look(self):
        told = self.tell("ActiveState", "Result")
        self.states.add((told["ActiveState"], told["Result"]))

    def write_lines(self):
        os.write(self.go, b".")
        self.lines += BATCH

    def upgrade(self, number):
        self.write_lines()
        self.install(program("keepd-b" if number % 2 else "keepd"), "/usr/sbin/keepd")
        self.keepctl("upgrade")

    def identities(self):
        return {one["name"]: (one["pid"], start_time(one["pid"], self.proc()), one["run"], one["restarts"])
                for one in self.status()["programs"] if one["name"] in STEADY}

    def check_lines(self):
        os.write(self.go, b"!")     # the piece of a line that it holds back
        log = self.path("/var/log/keepd/writer.log")
        eventually(lambda: last_number(log) == self.lines, "the last line")
        check_ledger(log, self.lines)

    def await_adoption(self, killed):
        """A next keepd serves, and has taken over. (systemd 252 counts one restart twice if it is executed in between.)"""
        def look():
            told = self.tell("MainPID", "ActiveState")
            return told["ActiveState"] == "active" and told["MainPID"] not in ("0", str(killed)) and \
                self.keepctl("status", expect=None).returncode == 0
        eventually(look, "the next keepd")
        check(self.status()["daemon"]["last_adoption"]["ok"], "the adoption")


@scenario
def upgrades_while_pid_1_executes_itself():
    with Reexecuted() as machine:
        before = machine.identities()
        unit = machine.tell("MainPID", "NRestarts", "InvocationID", "NFileDescriptorStore")
        check(unit["NFileDescriptorStore"] != "0", "something is stored")
        re_executing, looking = Companion(machine.re_execute), Companion(machine.look)
        upgrades = 0
        while (upgrades < count(8, 300) or re_executing.turns < count(3, 100)) and not re_executing.error:
            upgrades += 1
            machine.upgrade(upgrades)
        re_executing.finish()
        looking.finish()
        print(f"#   {upgrades} upgrades, PID 1 executed itself {re_executing.turns} times, {looking.turns} looks at the unit")
        check_equal(machine.states - {("reloading", "success")}, {("active", "success")}, "states of the unit")
        check_equal(machine.tell("MainPID", "NRestarts", "InvocationID", "NFileDescriptorStore"), unit, "the unit")
        eventually(lambda: machine.tell("ActiveState") == {"ActiveState": "active"}, "the last READY to be heard")
        check_equal(machine.identities(), before, "the programs")
        check_equal(machine.status()["daemon"]["generation"], upgrades + 1, "generation")
        machine.check_lines()

        # The store of the PID 1 that was executed last still has all: a killed keepd is adopted whole.
        for number in (1, 2):
            keepd = machine.main_pid()
            machine.kill("KILL")
            machine.await_adoption(keepd)
            check_equal(machine.identities(), before, "the programs after a crash")
            machine.write_lines()
            machine.check_lines()
            machine.upgrade(number)
            machine.re_execute()
        machine.systemctl("stop", "keepd")
        check_equal(machine.tell("Result", "NFileDescriptorStore"), {"Result": "success", "NFileDescriptorStore": "0"}, "the end")
        check_equal(machine.unit_processes(), [], "processes that are left")


@scenario
def keepd_is_killed_while_pid_1_executes_itself():
    # systemctl returns when the old image of PID 1 is gone, and the new one is not ready yet.
    orders = ["systemctl daemon-reexec; kill -KILL {}", "kill -KILL {}; systemctl daemon-reexec",
              "systemctl daemon-reexec & kill -KILL {}; wait"]
    with Reexecuted() as machine:
        before = machine.identities()
        for number in range(count(6, 120)):
            machine.upgrade(number)
            keepd = machine.main_pid()
            machine.run("sh", "-c", orders[number % len(orders)].format(keepd))
            machine.await_adoption(keepd)
            check_equal(machine.identities(), before, "the programs")
            machine.check_lines()
        machine.systemctl("stop", "keepd")
        check_equal(machine.unit_processes(), [], "processes that are left")


if __name__ == "__main__":
    sys.exit(main())
