#!/usr/bin/env python3
"""Upgrades leave no trace: keepd, and a program that it starts, are what they were, however many there have been."""
import statistics
import sys
from pathlib import Path

from harness import Keepd, check, check_equal, count, descriptors_of, eventually, main, scenario, victim
from portrait import check_same, portrait, status_of

PAUSE = victim("pause")
UPGRADES = count(60, 1000)
PROGRAMS = count(100, 1000)
SAMPLES = 10


def at_rest(keepd):
    """Nobody but ourselves is connected: what was closed before the first answer has been noticed before the second."""
    with keepd.control() as control:
        for _ in range(2):
            control.call("Status", names=["first"])
        return portrait(keepd.pid)


def fresh_program(keepd):
    keepd.keepctl("start", "fresh")
    pid = keepd.status("fresh")["pid"]
    eventually(lambda: len(descriptors_of(pid)) == 3, "the dynamic linker to have closed its own")
    found = portrait(pid)
    keepd.keepctl("stop", "fresh")
    return found


def figures(pid):
    mappings = len(Path(f"/proc/{pid}/maps").read_text().splitlines())
    status = status_of(pid)
    return {"mappings": mappings, **{name: int(status[name].split()[0]) for name in ("VmRSS", "RssAnon", "VmSize", "VmData")}}


@scenario
def upgrades_leave_no_trace():
    programs = {f"p{number}": PAUSE for number in range(PROGRAMS)}
    with Keepd({"first": PAUSE, "fresh": {**PAUSE, "autostart": False}, **programs}) as keepd:
        keepd.start()
        program, started = fresh_program(keepd), at_rest(keepd)  # in this order: a start opens what an image keeps
        seen = []   # from the first upgrade on: what a first start needs is no measure
        for number in range(UPGRADES):
            keepd.install("keepd" if number % 2 else "keepd-b")
            keepd.upgrade()
            if number < SAMPLES or number >= UPGRADES - SAMPLES:
                at_rest(keepd)
                seen.append(figures(keepd.pid))
        check_equal(keepd.generation(), UPGRADES + 1, "generation")
        check_same(program, fresh_program(keepd), "a program that is started then")
        check_same(started, at_rest(keepd), f"keepd after {UPGRADES} upgrades")
        # How much of a library's file is mapped at a moment is chance: the middle of some looks.
        first, last = ({name: statistics.median_low([look[name] for look in looks]) for name in looks[0]}
                       for looks in (seen[:SAMPLES], seen[-SAMPLES:]))
        print(f"#   {UPGRADES} upgrades with {PROGRAMS + 1} programs: {first} became {last}")
        check(last["mappings"] <= first["mappings"], f"mappings: {first} became {last}")
        check(last["VmRSS"] <= first["VmRSS"] * 1.05, f"memory: {first} became {last}")
        check_equal(len({one["pid"] for one in keepd.status()["programs"] if one.get("pid")}), PROGRAMS + 1, "programs")


if __name__ == "__main__":
    sys.exit(main())
