#!/usr/bin/env python3
"""keepd.service under a real systemd: ready, reload, stop, watchdog, crash, journal."""
import json
import subprocess
import sys

from harness import check, check_equal, count, eventually, main, program, scenario
from machine import KeepdMachine

PAUSE = {"command": ["/opt/victim", "pause"], "restart": {"policy": "no"}}


@scenario
def start_is_ready_when_it_returns_and_stop_leaves_nothing():
    with KeepdMachine({"one": PAUSE, "two": {"command": ["/opt/victim", "stubborn", "/tmp/pids"],
                                             "stop": {"timeout": "300ms"}}}) as machine:
        machine.systemctl("start", "keepd")
        unit = machine.show("keepd", "ActiveState", "SubState", "StatusText", "NRestarts", "MainPID")
        check_equal((unit["ActiveState"], unit["SubState"], unit["NRestarts"]), ("active", "running", "0"), "the unit")
        check("2" in unit["StatusText"], f"the status line counts programs: {unit['StatusText']!r}")
        status = machine.status()
        check_equal(str(status["daemon"]["pid"]), unit["MainPID"], "MainPID")
        check_equal(status["daemon"]["process_trees"], "cgroup", "process trees")
        eventually(lambda: len(machine.unit_processes()) == 4, "keepd and three processes of programs")
        machine.systemctl("stop", "keepd")
        unit = machine.show("keepd", "ActiveState", "Result")
        check_equal((unit["ActiveState"], unit["Result"]), ("inactive", "success"), "the unit after stop")
        check_equal(machine.unit_processes(), [], "processes that are left")
        check_equal(machine.run("pgrep", "-x", "victim", expect=None).stdout, "", "victims that are left")


@scenario
def each_run_lives_in_a_control_group_below_the_unit():
    with KeepdMachine({"one": PAUSE}) as machine:
        machine.systemctl("start", "keepd")
        pid = machine.program_status("one")["pid"]
        group = machine.run("cat", f"/proc/{pid}/cgroup").stdout.strip().rsplit(":", 1)[1]
        own = machine.run("cat", f"/proc/{machine.main_pid()}/cgroup").stdout.strip().rsplit(":", 1)[1]
        check("/keepd.service/" in group, f"the run's group: {group}")
        check(group != own, "keepd and the run do not share one")
        machine.keepctl("stop", "one")
        gone = machine.run("test", "-e", f"/sys/fs/cgroup{group}", expect=None).returncode
        check_equal(gone, 1, "the run's group after the stop exists")


@scenario
def systemctl_reload_reloads_or_tells_that_it_could_not():
    with KeepdMachine({"one": PAUSE}) as machine:
        machine.systemctl("start", "keepd")
        before = machine.show("keepd", "MainPID", "NRestarts")
        one = machine.program_status("one")["pid"]
        machine.configure({"one": PAUSE, "two": PAUSE})
        machine.systemctl("reload", "keepd")
        check_equal(machine.program_status("two")["state"], "running", "what the reload added, when it returned")
        machine.configure({"one": {**PAUSE, "umask": "99"}})
        failed = machine.systemctl("reload", "keepd", expect=None)
        check(failed.returncode != 0, "a reload that is refused fails")
        check_equal(machine.show("keepd", "ActiveState")["ActiveState"], "active", "the unit")
        check_equal(machine.show("keepd", "MainPID", "NRestarts"), before, "keepd")
        check_equal(machine.program_status("one")["pid"], one, "the program")


@scenario
def an_upgrade_is_no_restart():
    with KeepdMachine({"one": PAUSE}) as machine:
        machine.systemctl("start", "keepd")
        before = machine.show("keepd", "MainPID", "NRestarts", "ActiveEnterTimestampMonotonic", "ExecMainStartTimestamp")
        one = machine.program_status("one")["pid"]
        for number in range(count(4, 20)):
            machine.install(program("keepd" if number % 2 else "keepd-b"), "/usr/sbin/keepd")
            machine.keepctl("upgrade")
            after = machine.show("keepd", "MainPID", "NRestarts", "ActiveState")
            check_equal(after["ActiveState"], "active", "the unit")
            check_equal((after["MainPID"], after["NRestarts"]), (before["MainPID"], "0"), "MainPID and NRestarts")
        check_equal(machine.program_status("one")["pid"], one, "the program")
        machine.systemctl("reload", "keepd")     # systemd still takes its notifications
        machine.systemctl("stop", "keepd")
        check_equal(machine.show("keepd", "Result")["Result"], "success", "result")


@scenario
def the_watchdog_is_fed_also_over_an_upgrade():
    with KeepdMachine({"one": PAUSE}, "[Service]\nWatchdogSec=1\n") as machine:
        machine.systemctl("start", "keepd")
        pid = machine.main_pid()

        def fed(times):
            seen = set()

            def look():
                seen.add(machine.show("keepd", "WatchdogTimestampMonotonic")["WatchdogTimestampMonotonic"])
                return len(seen) > times
            eventually(look, f"{times} pings")
        fed(4)
        machine.install(program("keepd-b"), "/usr/sbin/keepd")
        machine.keepctl("upgrade")
        fed(4)
        check_equal((machine.main_pid(), machine.show("keepd", "NRestarts")["NRestarts"]), (pid, "0"), "keepd")


@scenario
def a_keepd_that_hangs_is_replaced():
    # It is stopped, so that what systemd sends first waits as well; a process that merely hangs ends at once.
    with KeepdMachine({"one": PAUSE}, "[Service]\nWatchdogSec=1\nRestartSec=0\nTimeoutAbortSec=1\n") as machine:
        machine.systemctl("start", "keepd")
        pid, one = machine.main_pid(), machine.program_status("one")["pid"]
        machine.kill("STOP")
        eventually(lambda: machine.show("keepd", "NRestarts", "ActiveState") == {"NRestarts": "1", "ActiveState": "active"},
                   "the restart")
        check(machine.main_pid() != pid, "another keepd")
        check("atchdog" in machine.journal("-u", "keepd"), "the journal says why")
        check_equal((machine.program_status("one")["state"], machine.program_status("one")["pid"]), ("running", one),
                    "the program")


@scenario
def what_the_watchdog_sends_ends_keepd():
    with KeepdMachine({"one": PAUSE}, "[Service]\nRestart=no\n") as machine:
        machine.systemctl("start", "keepd")
        machine.install(program("keepd-b"), "/usr/sbin/keepd")
        machine.keepctl("upgrade")
        machine.kill("ABRT")
        eventually(lambda: machine.show("keepd", "ActiveState")["ActiveState"] == "failed", "the unit to fail")
        check_equal(machine.show("keepd", "ExecMainStatus")["ExecMainStatus"], "6", "the signal")


@scenario
def keepctl_shutdown_stays_down():
    with KeepdMachine({"one": PAUSE}) as machine:
        machine.systemctl("start", "keepd")
        machine.keepctl("shutdown", expect=None)
        eventually(lambda: machine.show("keepd", "ActiveState")["ActiveState"] == "inactive", "the unit to be inactive")
        check_equal(machine.show("keepd", "NRestarts", "Result"), {"NRestarts": "0", "Result": "success"}, "the unit")


@scenario
def a_wrong_config_fails_the_start_with_its_place():
    with KeepdMachine({"one": {**PAUSE, "umask": "99"}}, "[Service]\nRestart=no\n") as machine:
        failed = machine.systemctl("start", "keepd", expect=None)
        check(failed.returncode != 0, "the start fails")
        check_equal(machine.show("keepd", "ExecMainStatus")["ExecMainStatus"], "78", "exit code")
        check("umask" in machine.journal("-u", "keepd"), "the journal names the fault")


@scenario
def the_journal_has_fields_to_ask_by():
    with KeepdMachine({"talker": {"command": ["/bin/sh", "-c", "exit 3"], "restart": {"policy": "no"}},
                       "one": PAUSE}) as machine:
        machine.systemctl("start", "keepd")

        def records():
            text = machine.journal("-o", "json", "-u", "keepd", "KEEPD_PROGRAM=talker")
            return [json.loads(line) for line in text.splitlines()]
        found = eventually(lambda: [record for record in records() if "exit" in record["MESSAGE"]],
                           "a record of the exit by KEEPD_PROGRAM")
        check(all("PRIORITY" in record for record in found), f"priorities: {found}")
        check_equal(machine.journal("-u", "keepd", "KEEPD_PROGRAM=one", "-o", "cat").count("talker"), 0, "others' records")


@scenario
def a_stop_during_an_upgrade_is_honoured():
    with KeepdMachine({"one": PAUSE}) as machine:
        machine.systemctl("start", "keepd")
        machine.install(program("keepd-b"), "/usr/sbin/keepd")
        upgrade = machine.popen("keepctl", "upgrade", stdout=subprocess.DEVNULL)
        machine.systemctl("stop", "keepd")
        upgrade.wait(60)
        unit = machine.show("keepd", "ActiveState", "Result", "NRestarts")
        check_equal(unit, {"ActiveState": "inactive", "Result": "success", "NRestarts": "0"}, "the unit")
        check_equal(machine.unit_processes(), [], "processes that are left")


if __name__ == "__main__":
    sys.exit(main())
