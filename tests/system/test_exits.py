#!/usr/bin/env python3
"""Children that end with known codes at random moments around upgrades: each end is reported once, with the right code."""
import json
import signal
import subprocess
import sys
from collections import Counter

from harness import (Keepd, at_once, check, check_equal, count, eventually, main, program, scenario, victim,
                     zombies_below)

PROGRAMS = 8


def outcome(exit_view):
    return exit_view["code"] if exit_view.get("code") is not None else -signal.Signals[exit_view["signal"]].value


@scenario
def each_exit_is_reported_once_with_its_code():
    upgrades = count(60, 300)
    with Keepd() as keepd:
        ledger = keepd.directory / "ledger"
        ledger.touch()
        keepd.write({f"exit-{index}": victim("exits", f"exit-{index}", ledger, 40, restart=at_once(), autostart=False,
                                             stdout="null") for index in range(PROGRAMS)})
        keepd.start()
        said = keepd.directory / "events"
        with said.open("wb") as file:
            follower = subprocess.Popen([program("keepctl"), "--socket", keepd.socket, "events", "-f", "--json"],
                                        stdout=file, stdin=subprocess.DEVNULL)
        # A probe shows that the follower listens before the first exit.
        keepd.write({**keepd.programs, "probe": victim("pause", autostart=False)})

        def listening():
            keepd.kill(signal.SIGHUP)
            return '"reload"' in said.read_text()
        eventually(listening, "the follower to listen")
        keepd.keepctl("start", "--no-wait", "exit-*")
        for number in range(upgrades):
            keepd.install("keepd" if number % 2 else "keepd-b")
            keepd.upgrade()
        (keepd.directory / "ledger.halt").touch()

        def halted():
            return ledger.read_text().count("halted") == PROGRAMS
        eventually(halted, "every program to halt")
        expected = Counter()
        for line in ledger.read_text().splitlines():
            name, pid, what = line.split()
            if what != "halted":
                expected[name, int(pid), int(what)] += 1
        check(sum(expected.values()) > upgrades, f"enough ends to tell: {sum(expected.values())}")

        def notices():
            text = said.read_text()
            return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

        def exits():
            return [notice for notice in notices() if notice["kind"] == "exited"]
        eventually(lambda: len(exits()) >= sum(expected.values()), "every exit to be reported", 30)
        got = Counter((notice["program"], notice["pid"], outcome(notice["exit"])) for notice in exits())
        check_equal(got - expected, Counter(), "reported without having happened (or twice, or with another code)")
        check_equal(expected - got, Counter(), "happened without being reported")
        runs = Counter(notice["run"] for notice in exits())
        check_equal([run for run, times in runs.items() if times != 1], [], "runs whose exit was reported more than once")
        numbers = [notice["number"] for notice in notices()]
        check_equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "numbers of notices")
        for one in keepd.status()["programs"]:
            if one["name"] != "probe":
                ends = sum(times for (name, _, _), times in expected.items() if name == one["name"])
                check_equal(one["restarts"], ends, f"automatic restarts of {one['name']}")
        eventually(lambda: not zombies_below(keepd.pid), "no zombie")
        check_equal(follower.poll(), None, "the follower is still connected")
        follower.kill()
        follower.wait()


if __name__ == "__main__":
    sys.exit(main())
