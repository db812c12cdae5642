#!/usr/bin/env python3
"""SIGKILL at the k-th system call of keepd, under systemd: the keepd that follows has everything, and nothing runs twice.

What is interrupted: an upgrade, a reload that adds, removes and changes programs, a start, a stop with a ladder of two rungs,
and the adoption of what a killed keepd left. Each is traced once to count its calls, then killed at one after another; the
fast tier takes some, others each day.
"""
import os
import signal
import sys

from faults import chosen
from harness import check, check_equal, count, eventually, main, scenario
from kill_machine import EDITIONS, Killing, Sweep, identity
from tracer import Tracer

SAMPLES = count(10, None)    # of each kind
# Stops before it becomes keepd, so that its first call already can be traced.
STOPPING_FIRST = """[Service]
RestartSec=0
TimeoutStartSec=60
ExecStart=
ExecStart=/bin/sh -c 'kill -STOP $$$$; exec /usr/sbin/keepd --config /etc/keepd/keepd.json'
"""


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
        machine.call("Stop", names=["pausing"])

    def check_done(code, _old, _daemon, _before, after):
        state = after["pausing"]["state"]
        check(state in (("running",) if code == 0 else ("running", "stopped")), f"state after a start ({code}): {state}")
    return ("start", "pausing"), check_done


def stop(machine):
    machine.call("Stop", names=["laddered"])
    machine.path("/tmp/caught").unlink(missing_ok=True)
    machine.call("Start", names=["laddered"])
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


def kill_at_any_call(operation):
    with Sweep() as machine:
        def case(number, kill_mortal=False):
            arguments, check_done = operation(machine)
            old, before, killing, code = machine.interrupt(arguments, number, kill_mortal)
            if not killing.at:  # it took fewer calls this time, or none was to be its last
                check_equal(code, 0, f"{arguments} undisturbed: {machine.output.read_text()}")
                daemon, after = machine.now()
                check_done(code, old, daemon, before, after)
                return killing
            try:
                daemon, after = machine.check_after(old, before, kill_mortal)
                check_done(code, old, daemon, before, after)
            except Exception as fault:
                raise AssertionError(f"killed at {killing.at}: {fault}") from fault
            return killing
        case(None)      # what happens only once has happened
        sweep(machine, len(case(None).calls), case)


def sweep(machine, calls, case):
    numbers = chosen(range(calls), SAMPLES)
    killed = [killing.at for index, number in enumerate(numbers) if (killing := case(number, index % 3 == 0)).at]
    print(f"#   {calls} calls, killed at {len(killed)} of them", flush=True)
    check(len(killed) > len(numbers) * 0.5, f"most of the kills met a call: {killed}")
    machine.balance()


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


@scenario
def killed_in_an_adoption():
    """Twice: the second time while the next keepd takes over."""
    with Sweep(STOPPING_FIRST) as machine:
        def case(number, kill_mortal=False):
            old, before, outside, mortal = machine.prepare()
            os.kill(outside, signal.SIGKILL)
            if kill_mortal:
                os.kill(mortal, signal.SIGUSR2)
            heir = machine.await_stopped()
            killing = Killing(heir, number, until="epoll_wait")
            Tracer(heir).follow(killing)
            if killing.at:
                machine.go_on()
            try:
                machine.check_after(old, before, kill_mortal)
            except Exception as fault:
                raise AssertionError(f"killed at {killing.at} of the adoption: {fault}") from fault
            return killing
        sweep(machine, len(case(None).calls), case)


if __name__ == "__main__":
    sys.exit(main())
