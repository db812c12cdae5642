#!/usr/bin/env python3
"""keepd is killed: the next one, under a real systemd, has every program, pipe, socket, deadline and counter."""
import json
import subprocess
import sys

from harness import at_once, check, check_equal, eventually, main, program, scenario
from machine import KeepdMachine

PAUSE = {"command": ["/opt/victim", "pause"], "restart": {"policy": "no"}}
AT_ONCE = "[Service]\nRestartSec=0\n"


def killed(machine, number="KILL", restarts=1):
    """Kills keepd and waits for the next one to serve."""
    machine.kill(number)
    await_restart(machine, restarts)


def await_restart(machine, restarts=1):
    eventually(lambda: machine.show("keepd", "NRestarts", "ActiveState") ==
               {"NRestarts": str(restarts), "ActiveState": "active"}, "the restart", 20)


def identities(machine):
    return {one["name"]: (one["pid"], one["run"], one["restarts"], one["state"]) for one in machine.status()["programs"]}


@scenario
def every_program_goes_on():
    with KeepdMachine({"one": PAUSE, "two": PAUSE, "down": {**PAUSE, "autostart": False},
                       "oneshot": {"type": "oneshot", "command": ["/bin/true"]}}, AT_ONCE) as machine:
        machine.systemctl("start", "keepd")
        eventually(lambda: machine.program_status("oneshot")["state"] == "completed", "the oneshot")
        before, pid = identities(machine), machine.main_pid()
        for number in range(1, 4):
            killed(machine, restarts=number)
            check_equal(identities(machine), before, "the programs")
            check_equal(sorted(machine.unit_processes()), sorted([machine.main_pid(), before["one"][0], before["two"][0]]),
                        "processes of the unit")
        check(machine.main_pid() != pid, "it is another keepd")
        status = machine.status()["daemon"]
        check(status["last_adoption"]["ok"], f"status tells of it: {status}")
        check("2 processes untouched" in machine.journal("-u", "keepd"), "the journal tells of it")
        # What was taken over is supervised as before: stopped, restarted, upgraded, ended.
        machine.keepctl("stop", "one")
        check_equal(machine.program_status("one")["state"], "stopped", "a program that was stopped")
        machine.install(program("keepd-b"), "/usr/sbin/keepd")
        machine.keepctl("upgrade")
        check_equal(identities(machine)["two"], before["two"], "a program over adoption and upgrade")
        machine.keepctl("restart", "two")
        machine.systemctl("stop", "keepd")
        check_equal(machine.unit_processes(), [], "processes that are left")


@scenario
def the_numbers_of_events_go_on():
    """None is used twice, and none is missing: who followed the events before knows what is new."""
    with KeepdMachine({"one": PAUSE}, AT_ONCE) as machine:
        machine.systemctl("start", "keepd")
        machine.keepctl("restart", "one")
        for restarts in range(1, 4):
            last = event_numbers(machine)[-1]
            killed(machine, restarts=restarts)
            machine.keepctl("restart", "one")
            numbers = event_numbers(machine)
            check_equal(numbers, list(range(last + 1, last + 1 + len(numbers))), f"the numbers of events after {last}")


def event_numbers(machine):
    return [json.loads(line)["number"] for line in machine.keepctl("events", "--json").stdout.splitlines()]


@scenario
def exits_in_between_are_learned_with_their_code():
    deaths = {"code": ("exit 7", {"code": 7}), "signal": ("kill -9 $$", {"signal": "SIGKILL"}), "clean": ("exit 0", {"code": 0})}
    programs = {name: {"shell": True, "command": f"read x </run/go-{name}; {what}", "restart": {"policy": "no"}}
                for name, (what, _) in deaths.items()}
    programs["again"] = {"shell": True, "command": "read x </run/go-again; exit 3", "restart": at_once()}
    with KeepdMachine(programs, "[Service]\nRestartSec=1\n") as machine:
        for name in programs:
            machine.run("mkfifo", f"/run/go-{name}")
        machine.systemctl("start", "keepd")
        before = identities(machine)
        machine.kill("KILL")
        eventually(lambda: machine.show("keepd", "ActiveState")["ActiveState"] != "active", "keepd to be gone")
        for name in programs:
            machine.run("sh", "-c", f"echo >/run/go-{name}")
            eventually(lambda name=name: not machine.path(f"/proc/{before[name][0]}").exists(), f"the end of {name}")
        await_restart(machine)
        for name, (_, expected) in deaths.items():
            status = eventually(lambda name=name: machine.program_status(name)["exit"] and machine.program_status(name),
                                f"the exit of {name}")
            got = {key: value for key, value in status["exit"].items() if key in ("code", "signal") and value is not None}
            check_equal(got, expected, f"how {name} ended")
            check_equal(status["run"], before[name][1], f"the run of {name}")
        again = eventually(lambda: machine.program_status("again")["state"] == "running" and machine.program_status("again"),
                           "the restart")
        check_equal((again["run"] > before["again"][1], again["restarts"], again["exit"]["code"]), (True, 1, 3), "again")


@scenario
def an_adopted_program_that_ends_later_is_noticed():
    programs = {"one": {"shell": True, "command": "read x </run/go; exit 9", "restart": {"policy": "no"}}, "two": PAUSE}
    with KeepdMachine(programs, AT_ONCE) as machine:
        machine.run("mkfifo", "/run/go")
        machine.systemctl("start", "keepd")
        killed(machine)
        machine.run("sh", "-c", "echo >/run/go")
        one = eventually(lambda: machine.program_status("one")["exit"] and machine.program_status("one"), "the exit")
        check_equal(one["exit"]["code"], 9, "the code")
        machine.keepctl("signal", "KILL", "two")
        two = eventually(lambda: machine.program_status("two")["exit"] and machine.program_status("two"), "the exit")
        check_equal(two["exit"]["signal"], "SIGKILL", "the signal")


@scenario
def what_programs_write_is_not_lost():
    writer = {"command": ["/opt/victim", "lines", "3000", "100", "/run/go"], "restart": {"policy": "no"}}
    with KeepdMachine({"writer": writer}, AT_ONCE, {"log_dir": "/var/log/keepd"}) as machine:
        machine.run("mkfifo", "/run/go")
        machine.systemctl("start", "keepd")
        for number in range(30):
            machine.run("sh", "-c", "printf x >/run/go")
            if number % 5 == 0:
                killed(machine, restarts=number // 5 + 1)
        log = machine.path("/var/log/keepd/writer.log")
        eventually(lambda: log.read_bytes().count(b"\n") >= 3000, "the last line")
        lines = log.read_text().splitlines()
        check_equal([int(line.split()[1]) for line in lines], list(range(1, 3001)), "the lines, each once and in order")


@scenario
def a_stop_goes_on_with_its_ladder():
    stubborn = {"command": ["/opt/victim", "stubborn", "/tmp/pids"], "restart": {"policy": "no"},
                "stop": {"sequence": [["TERM", "1s"], ["INT", "1s"]]}}
    with KeepdMachine({"one": stubborn, "two": PAUSE}, AT_ONCE) as machine:
        machine.systemctl("start", "keepd")
        eventually(lambda: len(machine.unit_processes()) >= 4, "the stubborn ones")
        machine.keepctl("stop", "--no-wait", "one")
        check_equal(machine.program_status("one")["state"], "stopping", "the state")
        killed(machine)
        eventually(lambda: machine.program_status("one")["state"] == "stopped", "the stop to end")
        check_equal(sorted(machine.unit_processes()), sorted([machine.main_pid(), machine.program_status("two")["pid"]]),
                    "what is left")


@scenario
def backoff_and_counters_go_on():
    crasher = {"command": ["/bin/false"], "restart": {"policy": "always", "delay": "1h", "max_delay": "1h", "jitter": 0}}
    with KeepdMachine({"one": crasher}, AT_ONCE) as machine:
        machine.systemctl("start", "keepd")
        eventually(lambda: machine.program_status("one")["state"] == "backoff", "the pause")
        before = machine.program_status("one")
        killed(machine)
        after = machine.program_status("one")
        check_equal([after[key] for key in ("state", "run", "restarts", "cause", "since")],
                    [before[key] for key in ("state", "run", "restarts", "cause", "since")], "the program")
        check(3500 < after["next_start_in_s"] <= before["next_start_in_s"], f"the deadline: {after['next_start_in_s']}")


@scenario
def the_control_socket_is_bound_anew_where_its_path_is_gone():
    with KeepdMachine({"one": PAUSE}, AT_ONCE) as machine:
        machine.systemctl("start", "keepd")
        before = identities(machine)
        machine.path("/run/keepd/control.sock").unlink()
        killed(machine)
        check_equal(identities(machine), before, "the programs")


@scenario
def a_client_that_connects_in_between_is_served_afterwards():
    with KeepdMachine({"one": PAUSE}, "[Service]\nRestartSec=1\n") as machine:
        machine.systemctl("start", "keepd")
        machine.kill("KILL")
        asking = machine.popen("keepctl", "status", "--json", stdout=subprocess.DEVNULL)
        check_equal(asking.wait(60), 0, "the client's exit code")


@scenario
def an_orderly_end_is_never_adopted():
    with KeepdMachine({"one": PAUSE}, AT_ONCE) as machine:
        machine.systemctl("start", "keepd")
        one = machine.program_status("one")["pid"]
        machine.systemctl("restart", "keepd")
        check(machine.program_status("one")["pid"] != one, "the program was started anew")
        check_equal(machine.status()["daemon"]["last_adoption"], None, "nothing was adopted")
        check_equal(len(machine.unit_processes()), 2, "processes")
        machine.systemctl("stop", "keepd")
        check_equal(machine.unit_processes(), [], "processes that are left")
        machine.systemctl("start", "keepd")
        check_equal(machine.status()["daemon"]["last_adoption"], None, "nothing was adopted")


@scenario
def a_stop_that_takes_too_long_leaves_nothing():
    stubborn = {"command": ["/opt/victim", "stubborn", "/tmp/pids"], "stop": {"timeout": "1h"}}
    daemon = {"shutdown_timeout": "1h", "runtime_dir": "/run/elsewhere", "control": {"path": "/run/keepd/control.sock"}}
    with KeepdMachine({"one": stubborn}, "[Service]\nTimeoutStopSec=500ms\n", daemon) as machine:
        machine.systemctl("start", "keepd")
        eventually(lambda: len(machine.unit_processes()) >= 3, "the stubborn ones")
        machine.systemctl("stop", "keepd")
        check_equal(machine.unit_processes(), [], "processes that are left")
        machine.systemctl("start", "keepd")
        check_equal(machine.status()["daemon"]["last_adoption"], None, "nothing was adopted")


STUBBORN = {"command": ["/opt/victim", "stubborn", "/tmp/pids"], "stop": {"timeout": "1h"}}


@scenario
def a_restart_whose_stop_takes_too_long_starts_anew():
    with KeepdMachine({"one": STUBBORN, "two": PAUSE}, "[Service]\nTimeoutStopSec=2\n", {"shutdown_timeout": "1h"}) as machine:
        machine.systemctl("start", "keepd")
        before = sorted(eventually(lambda: len(found := machine.unit_processes()) >= 4 and found, "the stubborn ones"))
        machine.systemctl("restart", "keepd")
        check_equal([one["state"] for one in machine.status()["programs"]], ["running", "running"], "the programs")
        eventually(lambda: len(machine.unit_processes()) >= 4, "the stubborn ones")
        check(not set(before) & set(machine.unit_processes()), "nothing of what was is left")
        check_equal(machine.status()["daemon"]["last_adoption"], None, "nothing was adopted")
        check_equal(machine.show("keepd", "ActiveState", "NRestarts"), {"ActiveState": "active", "NRestarts": "0"}, "the unit")


@scenario
def a_shutdown_that_is_cut_short_stays_down():
    with KeepdMachine({"one": STUBBORN, "two": PAUSE}, AT_ONCE, {"shutdown_timeout": "1h"}) as machine:
        machine.systemctl("start", "keepd")
        eventually(lambda: len(machine.unit_processes()) >= 4, "the stubborn ones")
        machine.keepctl("shutdown", "--no-wait")
        eventually(lambda: machine.program_status("two")["state"] == "stopped", "the end to have begun")
        machine.kill("KILL")
        eventually(lambda: "goes on for one" in machine.journal("-u", "keepd"), "the next keepd", 20)
        eventually(lambda: machine.show("keepd", "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"},
                   "the end", 20)
        check_equal(machine.unit_processes(), [], "processes that are left")


@scenario
def a_config_that_is_wrong_by_now_does_not_keep_the_programs_alone():
    with KeepdMachine({"one": PAUSE}, AT_ONCE) as machine:
        machine.systemctl("start", "keepd")
        before = identities(machine)
        machine.configure({"one": {**PAUSE, "umask": "99"}})
        killed(machine)
        check_equal(identities(machine), before, "the programs")


@scenario
def a_program_that_dies_with_keepd_is_restarted_by_its_policy():
    programs = {"one": {"command": ["/opt/victim", "pause"], "parent_death_signal": "SIGKILL", "restart": at_once()}, "two": PAUSE}
    with KeepdMachine(programs, AT_ONCE) as machine:
        machine.systemctl("start", "keepd")
        before = identities(machine)
        killed(machine)
        one = eventually(lambda: machine.program_status("one")["pid"] not in (None, before["one"][0]) and
                         machine.program_status("one"), "the restart")
        check_equal((one["state"], one["restarts"], one["exit"]["signal"]), ("running", 1, "SIGKILL"), "the program")
        check_equal(identities(machine)["two"], before["two"], "the other one")


if __name__ == "__main__":
    sys.exit(main())
