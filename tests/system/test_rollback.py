#!/usr/bin/env python3
"""New images that pass the rehearsal and fail after the exec: the old one comes back, with everything as it was."""
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from harness import (FULL, Keepd, at_once, check, check_equal, descriptors_of, eventually, main, program, scenario,
                     scenario_for, start_time, victim)

MOMENTS = (0, 10, 100, 500)
FAILURES = {
    "abort": "it died of SIGABRT",
    "segfault": "it died of SIGSEGV",
    "overflow": "it died of SIGSEGV",
    "trap": "it died of SIGTRAP",
    "throw": "it died of SIGABRT",
    "exit": "it ended by itself with exit code 3",
    "eat": "it died of SIGABRT",
    "hang": "it did not commit within 700 ms",
    "lies": "999",
}
# Each failure at once; one of them at each moment. In full: each at each.
CASES = [(how, after) for how in FAILURES for after in MOMENTS if FULL or after == 0 or how == "abort"]


def put(keepd, name, source="bad-image"):
    path = keepd.directory / name
    shutil.copyfile(program(source), path)
    path.chmod(0o755)
    return path


def living(keepd):
    return {one["name"]: (one["pid"], start_time(one["pid"]), one["restarts"], one["run"])
            for one in keepd.status()["programs"]}


@scenario_for((f"{how}_{after}", (how, after)) for how, after in CASES)
def rolled_back(case):
    how, after = case
    settings = {"upgrade": {"commit_timeout": "700ms" if how == "hang" else "30s"}}
    with Keepd({"one": victim("pause"), "two": victim("pause")}, daemon=settings).start() as keepd:
        before = living(keepd)
        pid = keepd.pid
        bad = put(keepd, f"keepd-{how}-{after}")
        with keepd.events() as events:
            answer = keepd.upgrade(bad, expect=1)
            notice = events.wait(lambda one: "rolled back" in one["text"], "the event that tells of it", 20)
        check("rolled back: " in answer.stderr and FAILURES[how] in answer.stderr, f"the answer: {answer.stderr!r}")
        check(str(bad) in notice["text"] and "2 processes untouched" in notice["text"], f"the event: {notice['text']!r}")
        status = keepd.status()["daemon"]
        check_equal((status["pid"], status["generation"]), (pid, 1), "keepd")
        check(status["last_upgrade"]["text"].startswith("rolled back: "), f"status: {status['last_upgrade']}")
        check("rolled back: " in keepd.stderr(), "the log tells of it")
        check_equal(living(keepd), before, "the programs")
        check_equal(keepd.notify.notes[-1].get("READY") or keepd.notify.notes[-2].get("READY"), "1", "the manager's last word")

        # What has come back is a keepd like any other.
        keepd.keepctl("restart", "two")
        check_equal(living(keepd)["one"], before["one"], "a program that nobody touched")
        keepd.install("keepd-b")
        keepd.upgrade()
        check_equal(keepd.generation(), 2, "generation after a good upgrade")
        check_equal(living(keepd)["one"], before["one"], "a program that nobody touched")


def reasons(keepd):
    words = Path(f"/proc/{keepd.pid}/cmdline").read_bytes().split(b"\0")
    return sum(word.startswith(b"--rolled-back=") for word in words)


@scenario
def many_failures_leave_nothing_behind():
    with Keepd({"one": victim("pause")}).start() as keepd:
        bad = put(keepd, "keepd-segfault-0")
        keepd.upgrade(bad, expect=1)
        with keepd.control() as control: # answered, so those who asked before are gone
            control.call("Status")
            at_rest = sorted(descriptors_of(keepd.pid).items())
        for _ in range(10):
            keepd.upgrade(bad, expect=1)
        with keepd.control() as control:
            control.call("Status")
            eventually(lambda: len(descriptors_of(keepd.pid)) == len(at_rest),
                       f"as many descriptors as before, {at_rest}; now {descriptors_of(keepd.pid)}")
        check_equal(reasons(keepd), 1, "the last reason on the command line, and no older one")
        keepd.install("keepd-b")
        keepd.upgrade()
        check_equal(reasons(keepd), 0, "reasons on the command line after a good upgrade")


@scenario
def what_happens_during_a_failed_upgrade_is_not_lost():
    """Exits, a request cut in half, and a client that waits for a stop."""
    pids = Path(tempfile.mkdtemp()) / "pids"
    programs = {"brief": victim("pause"), "again": {**victim("pause"), "restart": at_once()},
                "stubborn": {**victim("stubborn", pids), "stop": {"timeout": "60s"}}}
    with Keepd(programs).start() as keepd:
        eventually(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the stubborn ones")
        before = living(keepd)
        bad = put(keepd, "keepd-abort-100")
        with keepd.events() as events, keepd.control() as stopping, keepd.control() as upgrading, keepd.control() as half:
            stopping.send("Stop", names=["stubborn"])
            events.wait_state("stubborn", "stopping")
            half.socket.sendall(b'{"method": "io.keepd.Manager.Sta')
            upgrading.send("Upgrade", binary=str(bad))
            events.wait(lambda one: one["kind"] == "upgrade", "the upgrade to begin")
            for name in ("brief", "again"):
                os.kill(before[name][0], signal.SIGKILL)
            events.wait(lambda one: "rolled back" in one["text"], "the way back")
            half.socket.sendall(b'tus"}\0')
            check_equal(len(half.receive()["programs"]), 3, "the answer to a request that was cut in half")
            for pid in pids.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            stopping.receive()
            events.wait_state("stubborn", "stopped")
            eventually(lambda: keepd.status("again")["pid"] not in (None, before["again"][0]), "the restart")
            check_equal(keepd.status("brief")["exit"]["signal"], "SIGKILL", "how the other one ended")
            numbers = [one["number"] for one in events.drain()]
            check_equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "event numbers")
            for name in ("brief", "again"):
                exits = [one for one in events.seen if one["kind"] == "exited" and one["program"] == name]
                check_equal(len(exits), 1, f"exits of {name}: {exits}")
    shutil.rmtree(pids.parent)


@scenario
def without_a_way_back_it_takes_force():
    """The running image can't be rehearsed any more: the library that it needs was taken away."""
    with Keepd({"one": victim("pause")}, binary="bad-image").start() as keepd:
        before = living(keepd)
        library = program("bad-image").resolve().parent / "libfleeting.so"
        with taken_away(keepd, library):
            keepd.install("keepd-b")
            refused = keepd.upgrade(expect=1)
            check("no way back" in refused.stderr and "--force" in refused.stderr, f"the answer: {refused.stderr!r}")
            check_equal(keepd.generation(), 1, "generation")
            keepd.upgrade("--force")
        check_equal(keepd.generation(), 2, "generation")
        check_equal(living(keepd), before, "the programs")


@scenario
def a_candidate_whose_library_is_missing_is_refused():
    with Keepd({"one": victim("pause")}).start() as keepd:
        library = program("bad-image").resolve().parent / "libfleeting.so"
        keepd.install("bad-image")
        with taken_away(keepd, library):
            refused = keepd.upgrade(expect=1)
            check("libfleeting.so" in refused.stderr, f"the answer: {refused.stderr!r}")
        check_equal(keepd.generation(), 1, "generation")


class taken_away:
    """The library is not there for a while."""

    def __init__(self, keepd, library):
        self.library, self.aside = library, library.with_name(library.name + f".{keepd.pid}")

    def __enter__(self):
        os.rename(self.library, self.aside)

    def __exit__(self, *_):
        os.rename(self.aside, self.library)


if __name__ == "__main__":
    sys.exit(main())
