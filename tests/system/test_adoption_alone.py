#!/usr/bin/env python3
"""keepd is killed where no service manager keeps its descriptors: the next one has what the checkpoint file tells."""
import os
import signal
import sys

from harness import (Deadline, Keepd, at_once, await_end, check, check_equal, descendants_of, eventually, is_alive, main, scenario,
                     start_time, victim)

QUIET = {"stdout": "null"}  # a program whose pipe is lost dies of its next word


def identities(keepd):
    return {one["name"]: (one["pid"], one["run"], one["restarts"], one["state"]) for one in keepd.status()["programs"]}


def killed(keepd):
    keepd.kill(signal.SIGKILL)
    keepd.process.wait()


@scenario
def processes_and_counters_go_on():
    with Keepd({"one": victim("pause", **QUIET), "loud": victim("pause"), "crasher": {
            "command": ["/bin/false"], **QUIET, "restart": {"policy": "always", "delay": "1h", "max_delay": "1h", "jitter": 0}}}).start() as keepd:
        eventually(lambda: keepd.status("crasher")["state"] == "backoff", "the pause")
        before = identities(keepd)
        killed(keepd)
        check_equal(os.stat(keepd.directory / "run" / "checkpoint").st_mode & 0o777, 0o600, "the file's mode")
        keepd.start()
        check_equal(identities(keepd), before, "the programs")
        adoption = keepd.status()["daemon"]["last_adoption"]
        check("the pipe of loud/stdout" in adoption["text"] and "one/" not in adoption["text"], f"what was lost: {adoption}")
        keepd.keepctl("stop", "one")
        check(not is_alive(before["one"][0]), "a program that was stopped is gone")
        keepd.keepctl("restart", "loud")
        check_equal(keepd.stop(), 0, "exit code")
        check(not (keepd.directory / "run" / "checkpoint").exists(), "after an orderly end there is nothing to adopt")


@scenario
def an_exit_in_between_or_later_counts_once():
    with Keepd({"between": victim("pause", **QUIET), "later": victim("pause", **QUIET),
                "again": victim("pause", **QUIET, restart=at_once())}).start() as keepd:
        before = identities(keepd)
        killed(keepd)
        for name in ("between", "again"):
            os.kill(before[name][0], signal.SIGKILL)
            await_end(before[name][0])
        keepd.start()
        os.kill(before["later"][0], signal.SIGTERM)
        later = eventually(lambda: keepd.status("later")["exit"] and keepd.status("later"), "the exit")
        check_equal(later["exit"]["signal"], "SIGTERM", "how it ended")
        between = eventually(lambda: keepd.status("between")["exit"] and keepd.status("between"), "the exit in between")
        check(between["state"] != "running" and between["exit"].get("code") != 0, f"its end is not a success: {between}")
        again = eventually(lambda: keepd.status("again")["restarts"] and keepd.status("again"), "the restart")
        check(again["state"] == "running" and again["pid"] != before["again"][0] and again["restarts"] == 1, f"again: {again}")


@scenario
def a_stranger_with_the_number_is_left_alone():
    """The pid of a program that is gone has become another process's: the record says when ours began."""
    with Keepd({"one": victim("pause", **QUIET)}).start() as keepd:
        one = keepd.status("one")["pid"]
        killed(keepd)
        os.kill(one, signal.SIGKILL)
        await_end(one)
        while True:     # our subreaper's zombies
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break
        stranger = take_number(one)
        began = start_time(stranger)
        keepd.start()
        check_equal(keepd.status("one")["pid"], None, "the program is gone")
        keepd.keepctl("stop", "one")
        check_equal(start_time(stranger), began, "the stranger lives")
        os.kill(stranger, signal.SIGKILL)
        os.waitpid(stranger, 0)


def take_number(wanted):
    """A process of ours with this pid. Others of the machine take numbers as well, and may be quicker."""
    deadline = Deadline(what="the number of the stranger")
    while True:
        with open("/proc/sys/kernel/ns_last_pid", "r+") as last:
            last.write(str(wanted - 1))
            last.flush()
            pid = os.fork()
            if pid == 0:
                signal.pause()
        if pid == wanted:
            return pid
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        deadline.left()


@scenario
def a_second_keepd_does_not_adopt_from_one_that_lives():
    with Keepd({"one": victim("pause", **QUIET)}).start() as keepd:
        before = identities(keepd)
        first = keepd.process
        keepd.spawn()
        check_equal(keepd.process.wait(60), 1, "the second one's exit code")
        check("answers there already" in keepd.stderr(), "it says why")
        keepd.process = first
        check_equal(identities(keepd), before, "the programs")
        killed(keepd)
        keepd.start()
        check_equal(identities(keepd), before, "the programs of the first one")


@scenario
def an_end_that_was_cut_short_is_not_gone_on_with():
    with Keepd({"one": {**victim("stubborn", "/dev/null", **QUIET), "stop": {"timeout": "1h"}}},
               daemon={"shutdown_timeout": "1h"}).start() as keepd:
        one = keepd.status("one")["pid"]
        with keepd.events() as events:
            keepd.kill(signal.SIGTERM)
            events.wait_state("one", "stopping")
        killed(keepd)
        check(is_alive(one), "it outlives keepd")
        keepd.start()
        await_end(one, "the end of what was left")
        status = keepd.status()
        check_equal(status["daemon"]["last_adoption"], None, "nothing was adopted")
        check(status["programs"][0]["state"] == "running" and status["programs"][0]["pid"] != one, "it was started anew")
        check("killed while it ended" in keepd.stderr(), "the log tells of it")


@scenario
def a_damaged_or_foreign_file_is_no_checkpoint():
    with Keepd({"one": victim("pause", **QUIET)}).start() as keepd:
        one = keepd.status("one")["pid"]
        killed(keepd)
        file = keepd.directory / "run" / "checkpoint"
        file.write_bytes(b"x" * 5000)
        os.kill(one, signal.SIGKILL)
        keepd.start()
        check("starts anew" in keepd.stderr(), "it says so")
        check_equal(keepd.status("one")["state"], "running", "the program")
        killed(keepd)
        file.chmod(0o666)       # whoever may write there could have keepd signal anything
        for pid in descendants_of(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        keepd.start()
        check_equal(keepd.status()["daemon"]["last_adoption"], None, "nothing was adopted")


if __name__ == "__main__":
    sys.exit(main())
