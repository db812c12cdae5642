#!/usr/bin/env python3
"""keepd.service as its administrator has hardened it: it upgrades as well as a plain one, and nothing widens."""
import sys

from harness import check, check_equal, count, eventually, main, program, scenario
from machine import KeepdMachine
from portrait import check_same, portrait

PAUSE = {"command": ["/opt/victim", "pause"], "restart": {"policy": "no"}}
BUSY = {"command": ["/bin/sh", "-c", "while :; do :; done"], "instances": 3, "stop": {"signal": "KILL"}}

HARDENED = """[Service]
NoNewPrivileges=yes
MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service
SystemCallArchitectures=native
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
PrivateTmp=yes
PrivateDevices=yes
CapabilityBoundingSet=CAP_KILL CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_SYS_RESOURCE
AmbientCapabilities=CAP_KILL
UMask=0077
Nice=3
OOMScoreAdjust=77
CPUAffinity=0
IOSchedulingClass=best-effort
IOSchedulingPriority=6
TimerSlackNSec=77us
LimitCORE=0:4096
LimitSTACK=9437184
LimitNPROC=4321
WatchdogSec=1
"""


def portraits(machine):
    """Of keepd and of a program that it has just started."""
    machine.keepctl("restart", "one")
    pid = machine.program_status("one")["pid"]
    eventually(lambda: len(list(machine.path(f"/proc/{pid}/fd").iterdir())) == 3, "the dynamic linker's end")
    return portrait(machine.main_pid(), machine.proc()), portrait(pid, machine.proc())


@scenario
def a_hardened_unit_upgrades_under_load_with_a_tight_watchdog():
    with KeepdMachine({"one": PAUSE, "busy": BUSY, "other": PAUSE}, HARDENED) as machine:
        machine.systemctl("start", "keepd")
        before = machine.show("keepd", "MainPID", "NRestarts", "WatchdogUSec")
        other = machine.program_status("other")["pid"]
        keepd, started = portraits(machine)
        check_equal((keepd["Seccomp"], keepd["NoNewPrivs"], keepd["nice"], keepd["timerslack_ns"]), ("2", "1", "3", "77000\n"),
                    "the unit's settings reach keepd")
        check_equal((started["Seccomp"], started["NoNewPrivs"], started["nice"], started["oom_score_adj"]),
                    ("2", "1", "3", "77\n"), "and its programs")
        for number in range(count(6, 60)):
            machine.install(program("keepd" if number % 2 else "keepd-b"), "/usr/sbin/keepd")
            machine.keepctl("upgrade")
        check_equal(machine.show("keepd", "MainPID", "NRestarts", "WatchdogUSec"), before, "the unit")
        keepd_now, started_now = portraits(machine)
        check_same(keepd, keepd_now, "keepd after the upgrades")
        check_same(started, started_now, "a program that is started then")
        check_equal(machine.program_status("other")["pid"], other, "a program that runs")
        check_equal(machine.status()["daemon"]["generation"], count(6, 60) + 1, "generation")
        machine.systemctl("stop", "keepd")
        check_equal(machine.show("keepd", "Result")["Result"], "success", "the end")


@scenario
def a_journal_that_hangs_holds_up_neither_programs_nor_an_upgrade():
    with KeepdMachine({"one": PAUSE}, "[Service]\nWatchdogSec=2\n", {"log": {"level": "debug"}}) as machine:
        machine.systemctl("start", "keepd")
        before = machine.show("keepd", "MainPID", "NRestarts")
        machine.systemctl("kill", "--kill-whom=main", "--signal=STOP", "systemd-journald")
        try:
            # More records than the journal's socket holds (net.unix.max_dgram_qlen), whatever that is here.
            records = int(machine.path("/proc/sys/net/unix/max_dgram_qlen").read_text())
            for _ in range(min(records, 600) // 3 + 4):
                machine.keepctl("restart", "one")
            machine.install(program("keepd-b"), "/usr/sbin/keepd")
            machine.keepctl("upgrade")
            machine.keepctl("restart", "one")
            check_equal(machine.status()["daemon"]["generation"], 2, "generation")
        finally:
            machine.systemctl("kill", "--kill-whom=main", "--signal=CONT", "systemd-journald")
        check_equal(machine.show("keepd", "MainPID", "NRestarts"), before, "keepd")
        machine.keepctl("restart", "one")
        run = machine.program_status("one")["run"]
        check(f"run {run}" in eventually(lambda: machine.journal("-u", "keepd"), "the journal"), "what came after is there")


if __name__ == "__main__":
    sys.exit(main())
