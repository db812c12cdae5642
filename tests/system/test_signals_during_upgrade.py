#!/usr/bin/env python3
"""SIGHUP, SIGTERM and a second upgrade at every stage of an upgrade: none is lost, none is acted upon early.

A stage is a stop at a system call of keepd's main thread, from the request to its answer: the tracer stops it at one of
them, the signal is sent, and keepd goes on. They are taken evenly spread, fewer in the fast tier.
"""
import os
import signal
import subprocess
import sys

from harness import (Keepd, check, check_equal, count, descendants_of, eventually, leaves_one, main, pid_noted_in, program,
                     scenario, start_time, victim)
from tracer import at_system_call, begin_upgrade

PAUSE = victim("pause")
SAMPLES = count(24, 400)


def stages(keepd):
    """Numbers of the system calls at which something is to happen: spread over a whole upgrade, ends included."""
    output = keepd.directory / "said"
    total, code = at_system_call(keepd.pid, None, begin_upgrade(keepd, output), lambda: None)
    check_equal(code, 0, f"a traced upgrade: {output.read_text()}")
    check(total > 50, f"an upgrade of {total} stops is none")
    print(f"#   {total} stops of the main thread at system calls in one upgrade")
    step = max(1.0, (total - 1) / SAMPLES)
    return sorted({int(1 + index * step) for index in range(SAMPLES + 1) if 1 + index * step <= total})


@scenario
def hangups_are_served_after_the_upgrade():
    with Keepd({"one": PAUSE}).start() as keepd:
        output = keepd.directory / "said"
        pid, born = keepd.status("one")["pid"], start_time(keepd.pid)
        for stage in stages(keepd):
            generation = keepd.generation()
            with keepd.events() as events:
                keepd.write({"one": PAUSE, f"added-{stage}": PAUSE})
                stops, code = at_system_call(keepd.pid, stage, begin_upgrade(keepd, output),
                                             lambda: os.kill(keepd.pid, signal.SIGHUP))
                if stops < stage:       # the upgrade took fewer calls this time: the signal was not sent
                    keepd.kill(signal.SIGHUP)
                check_equal(code, 0, f"stage {stage}: the upgrade: {output.read_text()}")
                events.wait_state(f"added-{stage}", "running")
                check_equal(keepd.generation(), generation + 1, f"stage {stage}: generation")
                eventually(lambda stage=stage: sorted(one["name"] for one in keepd.status()["programs"])
                           == sorted(["one", f"added-{stage}"]), f"stage {stage}: the former addition to be gone", 20)
                notices = [notice for notice in events.drain() if notice["kind"] in ("reload", "upgrade")]
                put_off = [notice for notice in notices if "as soon as" in notice["text"]]
                reloads = [notice for notice in notices if notice["kind"] == "reload" and notice not in put_off]
                check_equal(len(reloads), 1, f"stage {stage}: reloads for one SIGHUP: {notices}")
                if put_off:
                    done = next(notice for notice in notices if notice["text"].startswith("upgraded"))
                    check(put_off[0]["number"] < done["number"] < reloads[0]["number"], f"stage {stage}: order: {notices}")
        check_equal(keepd.status("one")["pid"], pid, "the program that no reload touched")
        check_equal(start_time(keepd.pid), born, "keepd")


@scenario
def terms_are_served_after_the_upgrade():
    todo, served = None, 0
    while todo is None or todo:
        with Keepd({"one": PAUSE}).start() as keepd:
            if todo is None:
                todo = stages(keepd)
            stage = todo.pop(0)
            output = keepd.directory / "said"
            programs = descendants_of(keepd.pid)
            stops, code = at_system_call(keepd.pid, stage, begin_upgrade(keepd, output),
                                         lambda: os.kill(keepd.pid, signal.SIGTERM))
            if stops < stage:
                keepd.kill(signal.SIGTERM)
            check_equal(keepd.wait(), 0, f"stage {stage}: keepd's exit code")
            check_equal([pid for pid in programs if start_time(pid)], [], f"stage {stage}: programs that are left")
            def words():
                return [word for note in list(keepd.notify.notes) for word in ("RELOADING", "READY", "STOPPING")
                        if word in note]
            # Two are awaited: it may be that what was sent is still being read.
            eventually(lambda: words()[-1] == "STOPPING" and words().count("READY") == 1 + words().count("RELOADING"),
                       f"stage {stage}: READY for each RELOADING, and STOPPING as the last word")
            # Either it was under way, and is answered before the shutdown, or it came too late and is told so.
            check(code in (0, 4, 6), f"stage {stage}: keepctl upgrade ended with {code}: {output.read_text()}")
            said = keepd.stderr()
            if code == 0:
                check(said.rindex("upgraded from") < said.index(": stopping 1 program"),
                      f"stage {stage}: first the upgrade, then the shutdown")
                served += 1
    check(served > SAMPLES / 2, f"most signals fell into an upgrade: {served} of {SAMPLES}")


@scenario
def a_second_upgrade_is_answered():
    with Keepd({"one": PAUSE}).start() as keepd:
        output = keepd.directory / "said"
        for stage in stages(keepd):
            generation = keepd.generation()
            second = []

            def ask():
                second.append(subprocess.Popen(
                    [program("keepctl"), "--socket", keepd.socket, "upgrade", "--force"], stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
            stops, code = at_system_call(keepd.pid, stage, begin_upgrade(keepd, output), ask)
            if stops < stage:
                ask()
            said = second[0].communicate(timeout=60)[0]
            codes = [code, second[0].returncode]
            what = f"stage {stage}: {codes}: {output.read_text()!r}, {said!r}"
            check(set(codes) <= {0, 4} and 0 in codes, what)
            check_equal(keepd.generation(), generation + codes.count(0), f"generation: {what}")


@scenario
def programs_that_die_at_any_stage_are_reported():
    with Keepd({"one": {**PAUSE, "restart": {"policy": "always", "delay": "0s", "jitter": 0, "start_limit_burst": 0,
                                               "backoff_factor": 1}}}).start() as keepd:
        output = keepd.directory / "said"
        for stage in stages(keepd):
            one = keepd.status("one")
            with keepd.events() as events:
                stops, code = at_system_call(keepd.pid, stage, begin_upgrade(keepd, output),
                                             lambda: os.kill(one["pid"], signal.SIGKILL))
                if stops < stage:
                    os.kill(one["pid"], signal.SIGKILL)
                check_equal(code, 0, f"stage {stage}: the upgrade: {output.read_text()}")
                events.wait(lambda notice: notice["kind"] == "started", f"stage {stage}: the next run")
                exits = [notice for notice in events.drain() if notice["kind"] == "exited"]
                check_equal([(notice["run"], notice["exit"]["signal"]) for notice in exits], [(one["run"], "SIGKILL")],
                            f"stage {stage}: exits")
        eventually(lambda: len(descendants_of(keepd.pid)) == 1, "one process below keepd")


@scenario
def leftovers_that_go_at_any_stage_are_noticed():
    """A stop whose main process has ended, and the rest of whose tree goes just then: the stop is over, keepd is not."""
    with Keepd({"one": PAUSE}).start() as keepd:
        output = keepd.directory / "said"
        file = keepd.directory / "left"
        for stage in stages(keepd):
            file.unlink(missing_ok=True)
            keepd.write({"one": PAUSE, "two": leaves_one(file, "1h")})
            keepd.keepctl("reload")
            left = pid_noted_in(file)
            with keepd.events() as events:
                keepd.keepctl("stop", "--no-wait", "two")
                events.wait(lambda notice: notice["kind"] == "exited", f"stage {stage}: the main process to end")
                check_equal(keepd.status("two")["state"], "stopping", f"stage {stage}: state while the child is there")
                stops, code = at_system_call(keepd.pid, stage, begin_upgrade(keepd, output),
                                             lambda: os.kill(left, signal.SIGKILL))
                check_equal(code, 0, f"stage {stage}: the upgrade: {output.read_text()}")
                if stops < stage:
                    os.kill(left, signal.SIGKILL)
                events.wait_state("two", "stopped")
            keepd.write({"one": PAUSE})
            keepd.keepctl("reload")


if __name__ == "__main__":
    sys.exit(main())
