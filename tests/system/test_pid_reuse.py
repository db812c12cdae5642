#!/usr/bin/env python3
"""The number of a process that has ended goes to a stranger, as soon as the kernel lets it: the stranger is never
signalled, and what became of the program is told all the same."""
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from harness import (Keepd, Skip, at_once, await_end, check, check_equal, children_of, descendants_of, eventually, main,
                     pid_noted_in, program, scenario, stat_of, victim)
from machine import need_namespaces
from tracer import THE_EXEC, at_system_call, begin_upgrade

# PID 1 is a shell, which reaps whatever comes to it.
PREPARE = """mount --make-rprivate / && mount -t proc proc /proc || exit 1
"$@" &
wait $!
"""
# $1: the number wanted. A process of a session of its own, and a child of it.
STRANGER = """echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid || exit 1
setsid sh -c '"$1" catch "$2.child" & exec "$1" catch "$2"' stranger "$2" "$3" >/dev/null 2>&1 &
echo $!
"""


class Namespace(Keepd):
    """keepd in a PID namespace of its own. Its numbers are those of status; `outer` are ours."""

    def __init__(self, programs=None, **options):
        need_namespaces()
        if not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
            raise Skip("needs a kernel with ns_last_pid")
        super().__init__(programs, prefix=["unshare", "--pid", "--fork", "--kill-child", "--mount", "sh", "-c", PREPARE,
                                           "init"], **options)

    @property
    def pid(self):
        return children_of(children_of(self.process.pid)[0])[0]

    def outer(self, inner):
        for pid in descendants_of(self.process.pid):
            with contextlib.suppress(OSError):
                if f"NSpid:\t{pid}\t{inner}\n" in Path(f"/proc/{pid}/status").read_text():
                    return pid
        raise AssertionError(f"no process {inner} in the namespace")

    def stranger(self, number):
        """Asks for a stranger of that number; returns the number that it got, and itself."""
        file = self.directory / f"stranger-{number}-{len(list(self.directory.glob('stranger-*')))}"
        done = subprocess.run(["nsenter", "--target", str(self.pid), "--pid", "--mount", "sh", "-c", STRANGER, "sh",
                               str(number), str(program("victim")), str(file)], stdout=subprocess.PIPE, text=True, check=True)
        return int(done.stdout), Stranger(file)

    def stranger_called(self, number):
        got, stranger = self.stranger(number)
        check_equal(got, number, "the stranger's number")
        return stranger


class Stranger:
    def __init__(self, file):
        self.files = [file, file.with_name(file.name + ".child")]
        eventually(lambda: all(one.exists() and one.read_text() for one in self.files), "the stranger and its child")

    def check_untouched(self):
        check_equal([one.read_text() for one in self.files], ["ready\n"] * 2, "signals that reached a stranger")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.check_untouched()


def waits_for(fifo, code):
    return {"command": ["/bin/sh", "-c", f"read line <{fifo}; exit {code}"]}


def ended(name):
    return lambda notice: notice["program"] == name and notice["kind"] == "exited"


@scenario
def a_program_that_dies_in_the_gap_keeps_its_number_until_its_exit_is_known():
    with Namespace() as keepd:
        fifo = keepd.directory / "fifo"
        os.mkfifo(fifo)
        keepd.write({"one": {**waits_for(fifo, 7), "restart": at_once()}})
        keepd.start()
        number = keepd.status("one")["pid"]
        others = []

        def in_the_gap():
            process = keepd.outer(number)
            fifo.write_text("go\n")
            await_end(process)
            others.append(keepd.stranger(number))
        with keepd.events() as events:
            keepd.install("keepd-b")
            output = keepd.directory / "said"
            _, code = at_system_call(keepd.pid, THE_EXEC, begin_upgrade(keepd, output), in_the_gap)
            check_equal((code, len(others)), (0, 1), f"the upgrade: {output.read_text()}")
            check(others[0][0] != number, "the kernel gives the number to nobody while keepd has not taken the exit")
            exited = events.wait(ended("one"), "the exit")
            check_equal(exited["exit"]["code"], 7, "its code")
            events.wait_state("one", "running")
            check(keepd.status("one")["pid"] != number, "another process")
            with keepd.stranger_called(number):
                keepd.keepctl("restart", "one")
                keepd.install("keepd")
                keepd.upgrade()
                keepd.keepctl("signal", "USR1", "one")
                keepd.keepctl("stop", "one")
            check_equal(sum(1 for notice in events.drain() if ended("one")(notice) and notice["run"] == exited["run"]), 1,
                        "the exit is told once")
        others[0][1].check_untouched()


@scenario
def a_stop_of_what_has_ended_reaches_no_stranger():
    with Namespace() as keepd:
        fifo = keepd.directory / "fifo"
        os.mkfifo(fifo)
        keepd.write({"one": {**waits_for(fifo, 3), "restart": {"policy": "always", "delay": "1h"}}})
        keepd.start()
        number = keepd.status("one")["pid"]
        with keepd.events() as events:
            fifo.write_text("go\n")
            events.wait_state("one", "backoff")
        with keepd.stranger_called(number):
            keepd.install("keepd-b")
            keepd.upgrade()
            keepd.keepctl("signal", "TERM", "one", expect=1)
            keepd.keepctl("stop", "one")
            check_equal(keepd.status("one")["state"], "stopped", "the program")


@scenario
def a_session_whose_number_is_anothers_is_over():
    """The main process is gone, what it left behind dies in the gap, and another process gets the main one's number and
    makes a session and a group of that number."""
    with Namespace(daemon={"subreaper": False}) as keepd:
        file = keepd.directory / "left"
        left = f'trap \\"\\" TERM; echo \\$\\$ >{file}; exec {program("victim")} pause'
        keepd.write({"one": {"shell": True, "command": f'sh -c "{left}" & trap "exit 0" TERM; wait',
                             "stop": {"timeout": "1h"}, "restart": {"policy": "no"}}})
        keepd.start()
        number, left = keepd.status("one")["pid"], pid_noted_in(file)
        strangers = []
        with keepd.events() as events:
            keepd.keepctl("stop", "--no-wait", "one")
            events.wait(ended("one"), "the main process to end")
            check_equal(keepd.status("one")["state"], "stopping", "while something is left")

            def in_the_gap():
                process = keepd.outer(left)
                os.kill(process, signal.SIGKILL)
                eventually(lambda: stat_of(process) is None, "PID 1 to reap it")
                strangers.append(keepd.stranger_called(number))
            keepd.install("keepd-b")
            output = keepd.directory / "said"
            _, code = at_system_call(keepd.pid, THE_EXEC, begin_upgrade(keepd, output), in_the_gap)
            check_equal((code, len(strangers)), (0, 1), f"the upgrade: {output.read_text()}")
            events.wait_state("one", "stopped", 20)
        strangers[0].check_untouched()


if __name__ == "__main__":
    sys.exit(main())
