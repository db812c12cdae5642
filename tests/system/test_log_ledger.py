#!/usr/bin/env python3
"""Numbered lines from several programs, written during upgrades and with rotation on: each is kept once, in order."""
import os
import re
import sys

from harness import Keepd, check, check_equal, count, eventually, main, scenario, victim

LINE = re.compile(rb"line (\d{8}) of the ledger x*\n")


def rotated(log):
    """The log's files, oldest first."""
    numbers = sorted((int(path.name.rsplit(".", 1)[1]) for path in log.parent.glob(log.name + ".*")), reverse=True)
    check_equal(numbers, list(range(len(numbers), 0, -1)), f"the numbers of the rotated files of {log.name}")
    return [log.with_name(f"{log.name}.{number}") for number in numbers] + [log]


def last_number(log):
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 200))
            found = LINE.findall(file.read())
    except OSError:
        return 0
    return int(found[-1]) if found else 0


def check_ledger(log, lines):
    expected = 1
    for path in rotated(log):
        data = path.read_bytes()
        check(data.endswith(b"\n") or not data, f"{path.name} ends inside a line: {data[-80:]!r}")
        end = 0
        for match in LINE.finditer(data):
            check(match.start() == end, f"{path.name}: at byte {end}: {data[end:end + 120]!r} instead of a line")
            check(int(match[1]) == expected, f"{path.name}: line {int(match[1])} instead of {expected}")
            end = match.end()
            expected += 1
        check(end == len(data), f"{path.name}: at byte {end}: {data[end:end + 120]!r} instead of a line")
    check_equal(expected - 1, lines, f"lines of {log.name}")


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
def each_line_once_and_in_order_over_upgrades_and_rotations():
    keep_a_ledger(programs=5, lines=count(20_000, 200_000), upgrades=count(40, 200), max_size=count("32KiB", "256KiB"))


@scenario
def each_line_once_and_in_order_with_a_rotation_every_few_lines():
    keep_a_ledger(programs=2, lines=count(2_000, 20_000), upgrades=count(10, 50), max_size=count("2KiB", "4KiB"))


if __name__ == "__main__":
    sys.exit(main())
