#!/usr/bin/env python3
"""Numbered lines during upgrades, with a rotation every few of them: each is kept once, in order.

Larger files, and everything else at the same time: test_chaos.py.
"""
import os
import sys

from harness import Keepd, check, check_equal, count, eventually, main, scenario, victim
from ledger import check_ledger, last_number, rotated

def keep_a_ledger(programs, lines, upgrades, max_size):
    batch = -(-lines // upgrades)
    with Keepd() as keepd:
        fifos = []
        entries = {}
        for index in range(programs):
            fifo = keepd.directory / f"go-{index}"
            os.mkfifo(fifo)
            fifos.append(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
            entries[f"writer-{index}"] = victim(
                "lines", lines, batch, fifo, stdout={"path": str(keepd.log_dir / f"writer-{index}.log"),
                                                     "max_size": max_size, "max_files": 1000})
        keepd.write(entries)
        keepd.start()
        before = {one["name"]: one["pid"] for one in keepd.status()["programs"]}
        for number in range(upgrades):
            keepd.install("keepd" if number % 2 else "keepd-b")
            for fifo in fifos:
                os.write(fifo, b".")
            keepd.upgrade()
        for fifo in fifos:
            os.write(fifo, b"..")
        logs = [keepd.log_dir / f"writer-{index}.log" for index in range(programs)]
        eventually(lambda: all(last_number(log) == lines for log in logs), "the last lines to be stored", 120)
        status = keepd.status()
        check_equal({one["name"]: one["pid"] for one in status["programs"]}, before, "pids")
        check_equal(status["daemon"]["generation"], upgrades + 1, "generation")
        for log in logs:
            check_ledger(log, lines)
            check(len(rotated(log)) > 5, f"rotation was on: {len(rotated(log))} files")
        for one in status["programs"]:
            log = keepd.log_dir / f"{one['name']}.log"
            check_equal(one["log"]["stdout"], {"path": str(log), "dropped_bytes": 0, "problem": "",
                                               "bytes": sum(path.stat().st_size for path in rotated(log))}, "accounting")
        for fifo in fifos:
            os.close(fifo)


@scenario
def each_line_once_and_in_order_with_a_rotation_every_few_lines():
    keep_a_ledger(programs=2, lines=count(2_000, 20_000), upgrades=count(10, 50), max_size=count("2KiB", "4KiB"))


if __name__ == "__main__":
    sys.exit(main())
