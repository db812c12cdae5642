#!/usr/bin/env python3
"""What keepd was started with reaches later images and programs alike, whatever has become of keepd itself meanwhile."""
import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

from harness import Keepd, check, check_equal, eventually, main, need_root, scenario, victim
from portrait import arguments_of, words

PAUSE = victim("pause")


def inherited(pid):
    """What a process has of its parent, unless it is told otherwise."""
    limits = {line[:26].strip(): tuple(line[26:].split()[:2])
              for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]}
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return {"limits": limits, "nice": os.getpriority(os.PRIO_PROCESS, pid), "umask": status["Umask"],
            "oom": Path(f"/proc/{pid}/oom_score_adj").read_text().strip(), "cpus": os.sched_getaffinity(pid),
            "cwd": os.readlink(f"/proc/{pid}/cwd")}


def started_peculiarly():
    """What the service manager does before keepd's first instruction."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 1 << 20))
    resource.setrlimit(resource.RLIMIT_NOFILE, (777, 3000))
    resource.setrlimit(resource.RLIMIT_STACK, (9 << 20, resource.RLIM_INFINITY))
    os.setpriority(os.PRIO_PROCESS, 0, 3)
    Path("/proc/self/oom_score_adj").write_text("111")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.umask(0o027)


def changed_by_an_operator(pid):
    # Not the hard limits: not every container's root may raise them again.
    resource.prlimit(pid, resource.RLIMIT_CORE, (4096, 1 << 20))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1500, 3000))
    resource.prlimit(pid, resource.RLIMIT_STACK, (7 << 20, resource.RLIM_INFINITY))
    os.setpriority(os.PRIO_PROCESS, pid, -4)
    Path(f"/proc/{pid}/oom_score_adj").write_text("333")
    os.sched_setaffinity(pid, range(os.cpu_count()))


@scenario
def what_becomes_of_keepd_becomes_of_no_program():
    need_root()
    with Keepd({"one": PAUSE, "own": {**PAUSE, "nice": 9, "limits": {"core": 512}}}, enter=started_peculiarly) as keepd:
        keepd.start()
        first = {name: inherited(keepd.status(name)["pid"]) for name in ("one", "own")}
        check_equal(first["one"]["limits"]["Max open files"], ("777", "3000"), "descriptors")
        check_equal((first["one"]["nice"], first["one"]["oom"], first["one"]["umask"], first["own"]["nice"]),
                    (3, "111", "0022", 9), "nice, OOM score adjustment, umask")
        changed_by_an_operator(keepd.pid)
        became = inherited(keepd.pid)

        def again(name):
            keepd.keepctl("restart", name)
            return inherited(keepd.status(name)["pid"])
        # It is noticed within the time in which nobody looks again, a tenth of a second.
        eventually(lambda: again("one") == first["one"], "a program that does not notice")
        check_equal(again("own"), first["own"], "a program with values of its own")
        for binary in ("keepd-b", "keepd"):
            keepd.install(binary)
            keepd.upgrade()
            check_equal(inherited(keepd.pid), became, "keepd is as its operator wants it")
            for name in ("one", "own"):
                check_equal(again(name), first[name], f"{name}, by {binary}")


@scenario
def all_cpus_stay_all_cpus():
    if os.cpu_count() == 1:
        return
    with Keepd({"one": PAUSE}).start() as keepd:
        first = os.sched_getaffinity(keepd.status("one")["pid"])
        os.sched_setaffinity(keepd.pid, {min(first)})
        keepd.install("keepd-b")
        keepd.upgrade()
        keepd.keepctl("restart", "one")
        check_equal(os.sched_getaffinity(keepd.status("one")["pid"]), first, "the program's CPUs")
        check_equal(os.sched_getaffinity(keepd.pid), {min(first)}, "keepd's")


@scenario
def what_keepd_may_not_give_back_keeps_no_program_down():
    need_root()

    def unprivileged():
        resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 1 << 20))
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    with Keepd({"one": PAUSE}, enter=unprivileged) as keepd:
        for name in ("run", "log", "state"):
            (keepd.directory / name).mkdir()
            os.chown(keepd.directory / name, 65534, 65534)
        os.chmod(keepd.directory / "notify", 0o777)
        keepd.start()
        first = inherited(keepd.status("one")["pid"])
        os.setpriority(os.PRIO_PROCESS, keepd.pid, 5)
        subprocess.run(["prlimit", "--pid", str(keepd.pid), "--core=0:4096"], user=65534, group=65534, extra_groups=[],
                       check=True)
        keepd.install("keepd-b")
        keepd.upgrade()
        for _ in range(2):
            keepd.keepctl("restart", "one")
        now = inherited(keepd.status("one")["pid"])
        check_equal((now["nice"], now["limits"].pop("Max core file size")), (5, ("0", "4096")), "as much as there is")
        first["limits"].pop("Max core file size")
        check_equal((now["limits"], now["oom"]), (first["limits"], first["oom"]), "the rest")
        log = keepd.stderr()
        for what in ("nice value", "limit core"):
            check_equal(log.count(f"programs can't get the {what} of keepd's first start"), 1, f"{what}: told once")


@scenario
def arguments_and_environment_are_the_first_ones():
    environment = {"ODD": "a=b\nc", "EMPTY": "", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "x:y", "UNLISTENED": "1"}
    with Keepd(environment=environment) as keepd:
        # An argument that looks like one of keepd's own is a foreign one in any place but the first.
        odd = keepd.directory / "--resume=7"
        keepd.write({"one": {**PAUSE, "env_inherit": ["PATH", "ODD", "EMPTY", "LISTEN_FDNAMES", "NOTIFY_SOCKET"]}})
        keepd.start("--log-target", str(odd), "--log-level=debug")
        arguments, variables = words(keepd.pid, "cmdline"), words(keepd.pid, "environ")
        check_equal(arguments[-3:], ["--log-target", str(odd), "--log-level=debug"], "arguments")
        program_got = words(keepd.status("one")["pid"], "environ")
        check("LISTEN_FDNAMES=x:y" in program_got and "EMPTY=" in program_got, f"what was asked for: {program_got}")
        for number in range(3):
            keepd.install("keepd" if number % 2 else "keepd-b")
            keepd.upgrade()
            own, others = arguments_of(keepd.pid)
            check_equal([word.split("=")[0] for word in own].count("--resume"), 1, f"keepd's own arguments: {own}")
            check_equal(others, arguments, "the others")
            check_equal(words(keepd.pid, "environ"),
                        [word for word in variables if not word.startswith("LISTEN_")], "the environment")
            keepd.keepctl("restart", "one")
            again = words(keepd.status("one")["pid"], "environ")
            check_equal([word for word in again if not word.startswith("KEEPD_RUN=")],
                        [word for word in program_got if not word.startswith("KEEPD_RUN=")], "the program's environment")
        check("upgraded from" in odd.read_text(), "the log is still where the arguments say")


@scenario
def a_log_that_nobody_reads_holds_up_no_upgrade():
    with Keepd({"one": PAUSE}) as keepd:
        path = keepd.directory / "fifo"
        os.mkfifo(path)
        fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            fcntl.fcntl(fifo, fcntl.F_SETPIPE_SZ, 4096)
            keepd.start("--log-target", str(path))
            with keepd.control() as control:
                for _ in range(20):     # more lines than the pipe holds
                    control.call("Restart", names=["one"], wait=True)
            for number in range(2):
                keepd.install("keepd" if number % 2 else "keepd-b")
                keepd.upgrade()
            check_equal(keepd.generation(), 3, "generation")
            first = os.read(fifo, 1 << 16)
            check(b" starts with " in first and len(first) > 2048, f"what was written first is there: {first}")
            keepd.keepctl("restart", "one")
            check(b"lines of this log are missing here" in os.read(fifo, 1 << 16), "what is missing is told")
        finally:
            os.close(fifo)


if __name__ == "__main__":
    sys.exit(main())
