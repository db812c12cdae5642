#!/usr/bin/env python3
"""keepd as PID 1 of a container, and process trees: orphans are reaped, and what is stopped is gone."""
import signal
import sys

from harness import (Keepd, Skip, check, check_equal, children_of, descriptors_of, eventually, is_alive, main, need_root, program,
                     scenario, stat_of, victim, zombies_below)
from machine import ControlGroup, need_namespaces

# As a container's run time prepares it: a view of its own of processes and, where asked for, of control groups, with the
# group that it starts in as the root of all that it sees.
PREPARE = """[ "$1" = none ] || echo 0 >"$1/cgroup.procs" || exit 1
exec unshare --mount --cgroup sh -c '
    mount --make-rprivate / && mount -t proc proc /proc || exit 1
    [ "$1" = none ] || { umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; } || exit 1
    shift
    exec "$@"' mounts "$@"
"""


class Container(Keepd):
    """keepd as PID 1 of its own PID namespace; `inner` below is a pid inside."""

    def __init__(self, programs=None, group=None, **options):
        need_namespaces()
        if group:
            (group.path / "container").mkdir()
        super().__init__(programs, prefix=["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", PREPARE, "prepare",
                                           str(group.path / "container") if group else "none"], **options)

    @property
    def pid(self):
        return children_of(self.process.pid)[0]

    def proc(self):
        return f"/proc/{self.pid}/root/proc"

    def is_there(self, inner):
        """It runs: what has ended and waits to be reaped by keepd in its next turn is no process beside another."""
        return (stat_of(inner, self.proc()) or ["X"])[0] not in "ZX"


class with_group:
    def __enter__(self):
        need_root()
        self.group = ControlGroup("keepd-container")
        return self.group

    def __exit__(self, *_):
        self.group.remove()


def pids_in(file, number):
    def look():
        pids = [int(line) for line in file.read_text().split()] if file.exists() else []
        return pids if len(pids) == number else None
    return eventually(look, f"{number} pids in {file.name}")


@scenario
def as_pid_1_it_reaps_orphans():
    with Container() as keepd:
        pids = keepd.directory / "pids"
        keepd.write({"parent": victim("orphan", pids, type="oneshot"), "other": victim("pause")})
        keepd.start()
        check_equal(keepd.status()["daemon"]["pid"], 1, "keepd's pid")
        [orphan] = pids_in(pids, 1)
        eventually(lambda: stat_of(orphan, keepd.proc()) is None, "the orphan to end and be reaped")
        check_equal(zombies_below(keepd.pid), [], "zombies")
        check_equal(keepd.status("other")["state"], "running", "the other program")


@scenario
def as_pid_1_it_shuts_down_on_sigterm():
    with Container({"one": victim("pause"), "two": victim("pause")}).start() as keepd:
        check_equal(keepd.status()["daemon"]["pid"], 1, "keepd's pid")
        keepd.kill(signal.SIGTERM)
        check_equal(keepd.wait(), 0, "exit code")


@scenario
def as_pid_1_it_upgrades_itself():
    with Container({"one": victim("pause")}).start() as keepd:
        before, descriptors = keepd.status("one"), descriptors_of(keepd.pid)
        for number in range(6):
            keepd.install("keepd" if number % 2 else "keepd-b")
            keepd.upgrade()
        after = keepd.status()
        check_equal((after["daemon"]["pid"], after["daemon"]["generation"]), (1, 7), "pid and generation")
        check_equal(after["programs"][0]["pid"], before["pid"], "the program")
        eventually(lambda: len(descriptors_of(keepd.pid)) <= len(descriptors) + 1, "no descriptors pile up", 10)


@scenario
def beside_others_it_reaps_orphans_too():
    """Not PID 1, but a subreaper: what a program leaves behind is keepd's to reap."""
    with Keepd() as keepd:
        pids = keepd.directory / "pids"
        keepd.write({"parent": victim("orphan", pids, type="oneshot"), "other": victim("pause")})
        keepd.start()
        [orphan] = pids_in(pids, 1)
        eventually(lambda: stat_of(orphan) is None, "the orphan to end and be reaped")
        check_equal(zombies_below(keepd.pid), [], "zombies")


def stop_the_stubborn(upgrade):
    with with_group() as group, Container(group=group) as keepd:
        pids = keepd.directory / "pids"
        keepd.write({"stubborn": victim("stubborn", pids, stop={"timeout": "200ms"}), "other": victim("pause")})
        keepd.start()
        check_equal(keepd.status()["daemon"]["process_trees"], "cgroup", "process trees are held by")
        tree = pids_in(pids, 2)
        check(all(keepd.is_there(pid) for pid in tree), "both live")
        if upgrade:
            keepd.install("keepd-b")
            keepd.upgrade()
        keepd.keepctl("stop", "stubborn")
        check_equal([pid for pid in tree if keepd.is_there(pid)], [], "still there when stop returned")
        check_equal(keepd.status("stubborn")["state"], "stopped", "state")
        check_equal(keepd.status("other")["state"], "running", "the other program")
        pids.unlink()
        keepd.keepctl("start", "stubborn")
        pids_in(pids, 2)
        keepd.kill(signal.SIGTERM)
        check_equal(keepd.wait(), 0, "exit code")
        check(not group.populated(), "nothing is left in the control group")


@scenario
def a_stubborn_tree_is_gone_after_stop():
    stop_the_stubborn(upgrade=False)


@scenario
def a_stubborn_tree_from_before_an_upgrade_is_gone_after_stop():
    stop_the_stubborn(upgrade=True)


@scenario
def a_main_process_that_ends_leaves_no_tree_behind():
    """Killed from outside, with kill_mode tree: the rest of its tree is cleared before the next run."""
    with with_group() as group, Container(group=group) as keepd:
        pids = keepd.directory / "pids"
        keepd.write({"stubborn": victim("stubborn", pids, stop={"timeout": "200ms"},
                                        restart={"policy": "always", "delay": "0s", "jitter": 0})})
        keepd.start()
        with keepd.events(since=0) as events:
            tree = pids_in(pids, 2)
            first = events.wait(lambda notice: notice["kind"] == "started", "the first run")
            keepd.keepctl("signal", "KILL", "stubborn", expect=None)
            second = events.wait(lambda notice: notice["kind"] == "started", "the second run")
            check(second["run"] > first["run"], "a newer run")
            check_equal([pid for pid in tree if keepd.is_there(pid)], [], "processes of the first run beside the second")


@scenario
def control_groups_of_runs_do_not_pile_up():
    """kill_mode process leaves others in a run's control group: it goes when they have gone, also over an upgrade."""
    with with_group() as group, Container(group=group) as keepd:
        last = keepd.directory / "last"     # each run ends what the one before it left
        command = f"[ ! -e {last} ] || kill $(cat {last}); {program('victim')} pause & echo $! >{last}"
        keepd.write({"parent": {"shell": True, "command": command, "stop": {"kill_mode": "process"},
                                "restart": {"policy": "always", "delay": "10ms", "jitter": 0, "backoff_factor": 1,
                                            "start_limit_burst": 0}}})
        keepd.start()
        own = group.path / "container"

        def groups():
            return [path for path in own.rglob("run-*") if path.is_dir()]
        with keepd.events(since=0) as events:
            for _ in range(60):
                events.wait(lambda notice: notice["kind"] == "started", "the next run")
            check(len(groups()) < 30, f"60 runs left {len(groups())} control groups")
            keepd.install("keepd-b")
            keepd.upgrade()
            for _ in range(60):
                events.wait(lambda notice: notice["kind"] == "started", "the next run")
            check(len(groups()) < 30, f"120 runs left {len(groups())} control groups")


@scenario
def without_control_groups_status_says_what_is_watched():
    with Keepd({"one": victim("pause")}).start() as keepd:
        trees = keepd.status()["daemon"]["process_trees"]
        if trees == "cgroup":
            raise Skip("keepd has a control group of its own here")
        check_equal(trees, "process group", "process trees")
        pid = keepd.status("one")["pid"]
        keepd.keepctl("stop", "one")
        check(not is_alive(pid), "it is gone")


if __name__ == "__main__":
    sys.exit(main())
