"""The books of the victim's numbered lines: each once, in order, over all files of a log that was rotated."""
import os
import re

from harness import check, check_equal

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


def check_lines(data, name, expected=1):
    """All that `data` holds are numbered lines, from `expected` on; returns the number that comes next."""
    check(data.endswith(b"\n") or not data, f"{name} ends inside a line: {data[-80:]!r}")
    end = 0
    for match in LINE.finditer(data):
        check(match.start() == end, f"{name}: at byte {end}: {data[end:end + 120]!r} instead of a line")
        check(int(match[1]) == expected, f"{name}: line {int(match[1])} instead of {expected}")
        end = match.end()
        expected += 1
    check(end == len(data), f"{name}: at byte {end}: {data[end:end + 120]!r} instead of a line")
    return expected


def check_ledger(log, lines):
    expected = 1
    for path in rotated(log):
        expected = check_lines(path.read_bytes(), path.name, expected)
    check_equal(expected - 1, lines, f"lines of {log.name}")
