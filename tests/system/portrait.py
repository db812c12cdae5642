"""What /proc tells of a process and does not change by itself: to be compared before and after."""
import os
import re
from collections import Counter
from itertools import takewhile
from pathlib import Path

from harness import check, descriptors_of, eventually, stat_of

INTERNAL = ("--resume=", "--way-back=", "--rolled-back=")   # arguments that keepd gives to itself, in the first places
# Of /proc/PID/status: what is a figure of the moment, or the process's own number.
PASSING = re.compile(r"(Vm|Rss|Hugetlb|voluntary_|nonvoluntary_|SigQ|SigPnd|ShdPnd|State|Pid|Tgid|Ngid|NSpid|NStgid|"
                     r"NSpgid|NSsid|FDSize)")
FILES = ("limits", "cgroup", "oom_score_adj", "coredump_filter", "personality", "timerslack_ns", "loginuid")
LINKS = ("cwd", "root", "ns/pid", "ns/mnt", "ns/user", "ns/cgroup", "ns/net", "ns/ipc", "ns/uts")


def status_of(pid, proc="/proc"):
    lines = (line.split(":", 1) for line in Path(f"{proc}/{pid}/status").read_text().splitlines())
    return {name: value.strip() for name, value in lines}


def words(pid, file, proc="/proc"):
    """The entries of /proc/PID/cmdline or environ. (The kernel shows a new program before its words.)"""
    return eventually(Path(f"{proc}/{pid}/{file}").read_bytes, file).decode().split("\0")[:-1]


def arguments_of(pid, proc="/proc"):
    """(keepd's own, the others)"""
    all_words = words(pid, "cmdline", proc)
    own = list(takewhile(lambda word: word.startswith(INTERNAL), all_words[1:]))
    return own, [all_words[0], *all_words[1 + len(own):]]


def kind(target):
    """What a descriptor is, or where a control group lies, without the number that this one has."""
    return re.sub(r"(:\[|run-)\d+", r"\1N", target)


def portrait(pid, proc="/proc"):
    directory = Path(f"{proc}/{pid}")
    stat = stat_of(pid, proc)
    return {
        **{name: value for name, value in status_of(pid, proc).items() if not PASSING.match(name)},
        **{file: kind((directory / file).read_text()) for file in FILES if (directory / file).exists()},
        **{link: os.readlink(directory / link) for link in LINKS},
        "arguments": arguments_of(pid, proc)[1],
        "environment": [word for word in words(pid, "environ", proc) if not word.startswith("KEEPD_RUN=")],
        "terminal": stat[4], "nice": stat[16], "real-time priority": stat[37], "policy": stat[38],
        "descriptors": sorted(map(kind, descriptors_of(pid, proc).values()))}


def _difference(before, now):
    if not isinstance(before, list) or not isinstance(now, list):
        return before, now
    return list((Counter(before) - Counter(now)).elements()), list((Counter(now) - Counter(before)).elements())


def check_same(before, now, what):
    different = {name: _difference(before.get(name), now.get(name)) for name in {*before, *now}
                 if before.get(name) != now.get(name)}
    check(not different, f"{what}: {different}")
