#!/usr/bin/env python3
"""What a program's config says arrives at its process, and at nothing but its process."""
import json
import os
import signal
import sys
from pathlib import Path

from harness import (Keepd, check, check_equal, eventually, is_alive, leaves_one, main, need_root, pid_noted_in, program,
                     scenario, start_time, victim)

PAUSE = victim("pause")


def facts_of(pid):
    # The kernel shows a new program before its arguments and environment.
    environ = eventually(Path(f"/proc/{pid}/environ").read_bytes, "the environment")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    limits = {line[:26].strip(): tuple(line[26:].split()[:2])
              for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]}
    return {
        "uid": status["Uid"].split(), "gid": status["Gid"].split(), "groups": status["Groups"].split(),
        "umask": status["Umask"], "no_new_privileges": status["NoNewPrivs"],
        "nice": Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[16],
        "oom": Path(f"/proc/{pid}/oom_score_adj").read_text().strip(), "cwd": os.readlink(f"/proc/{pid}/cwd"),
        "nofile": limits["Max open files"], "core": limits["Max core file size"], "stack": limits["Max stack size"],
        "environment": dict(word.split("=", 1) for word in
                            environ.decode().split("\0") if word),
        "command": Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]}


FIELDS = {
    "user": "nobody", "group": "adm", "umask": "027", "nice": 7, "oom_score_adjust": 321, "no_new_privileges": True,
    "working_dir": "/usr", "limits": {"nofile": [100, 200], "core": 0, "stack": 16 << 20},
    "environment": {"WHO": "{name}", "PATH": None}}


@scenario
def every_field_reaches_its_program_and_no_other():
    need_root()
    with Keepd() as keepd:
        keepd.write({"plain": PAUSE})
        keepd.start()
        plain = facts_of(keepd.status("plain")["pid"])
        keepd.write({"plain": PAUSE, "all": {**victim("pause", "{name}"), **FIELDS}})
        keepd.keepctl("reload")
        pid = keepd.status("all")["pid"]
        found = facts_of(pid)
        nobody, adm = "65534", "4"
        check_equal(found["uid"], [nobody] * 4, "user")
        check_equal((found["gid"], found["groups"]), ([adm] * 4, [adm]), "group")
        check_equal((found["umask"], found["no_new_privileges"], found["nice"], found["oom"]), ("0027", "1", "7", "321"),
                    "umask, no_new_privileges, nice, oom_score_adjust")
        check_equal((found["cwd"], found["command"][-1]), ("/usr", "all"), "working_dir, {name} in command")
        check_equal((found["nofile"], found["core"], found["stack"]),
                    (("100", "200"), ("0", "0"), (str(16 << 20), str(16 << 20))), "limits")
        environment = found["environment"]
        check_equal((environment.get("WHO"), environment.get("PATH"), environment.get("USER")), ("all", None, "nobody"),
                    "environment")
        check_equal(facts_of(keepd.status("plain")["pid"]), plain, "the other program")
        check_equal((plain["umask"], plain["no_new_privileges"], plain["oom"]),
                    ("0022", "0", Path(f"/proc/{keepd.pid}/oom_score_adj").read_text().strip()), "without fields")
        # The same after an upgrade, by a new run.
        keepd.install("keepd-b")
        keepd.upgrade()
        keepd.keepctl("restart", "all")
        again = facts_of(keepd.status("all")["pid"])
        # Where no cgroup tells whose a process is, its environment does; that is all that tells one run from another.
        marks = [facts["environment"].pop("KEEPD_RUN", "") for facts in (found, again)]
        check(all(marks) and marks[0] != marks[1], f"the runs' marks: {marks}")
        check_equal(again, found, "a run of the new image")


@scenario
def env_files_are_read_at_each_start_and_waited_for_by_nobody():
    with Keepd() as keepd:
        file = keepd.directory / "env"
        file.write_text("FROM_FILE=one\nBOTH=file\n")
        keepd.write({"one": {**PAUSE, "env_file": [str(file)], "environment": {"BOTH": "config"}}})
        keepd.start()
        found = facts_of(keepd.status("one")["pid"])["environment"]
        check_equal((found["FROM_FILE"], found["BOTH"]), ("one", "config"), "environment")
        file.unlink()
        os.mkfifo(file)
        done = keepd.keepctl("restart", "one", expect=1)
        check("not a regular file" in done.stderr, f"why it did not start: {done.stderr}")
        check("not a regular file" in keepd.stderr(), "keepd's own log says so, too")
        file.unlink()
        file.write_text("FROM_FILE=two\n")
        keepd.keepctl("start", "one")
        check_equal(facts_of(keepd.status("one")["pid"])["environment"]["FROM_FILE"], "two", "read anew")


@scenario
def parent_death_signal_ends_a_program_whose_keepd_was_killed():
    with Keepd({"bound": {**PAUSE, "parent_death_signal": "KILL"}, "free": PAUSE}).start() as keepd:
        pids = {name: keepd.status(name)["pid"] for name in ("bound", "free")}
        keepd.install("keepd-b")
        keepd.upgrade()     # an exec of keepd is no death
        check_equal({name: keepd.status(name)["pid"] for name in pids}, pids, "programs over an upgrade")
        keepd.kill(signal.SIGKILL)
        keepd.wait()
        eventually(lambda: not is_alive(pids["bound"]), "the bound program's end")
        check(is_alive(pids["free"]), "the other one goes on")


def family(keepd, kill_mode):
    """A main process, a child in its group, and one in a session of its own; their pids."""
    file = keepd.directory / f"family-{kill_mode}"
    pause = f"{program('victim')} pause"
    command = (f'{pause} & echo $! >>{file}; setsid sh -c "echo \\$\\$ >>{file}; exec {pause}" & '
               f'echo $$ >>{file}; wait')
    keepd.write({"one": {"shell": True, "command": command, "stop": {"kill_mode": kill_mode, "timeout": "5s"},
                         "restart": {"policy": "no"}}})
    keepd.keepctl("reload")
    pids = [int(word) for word in eventually(
        lambda: (lambda words: len(words) == 3 and words)(file.read_text().split() if file.exists() else []), "the family")]
    main_pid = keepd.status("one")["pid"]
    [in_group] = [pid for pid in pids if pid != main_pid and os.getpgid(pid) == main_pid]
    [away] = [pid for pid in pids if os.getpgid(pid) == pid and pid != main_pid]
    return main_pid, in_group, away


@scenario
def kill_modes_reach_as_far_as_they_say():
    with Keepd().start() as keepd:
        for kill_mode, survivors in (("tree", 0), ("group", 1), ("process", 2)):
            pids = family(keepd, kill_mode)
            born = [start_time(pid) for pid in pids]
            keepd.keepctl("stop", "one")
            left = [pid for pid, then in zip(pids, born) if is_alive(pid) and start_time(pid) == then]
            check_equal(left, list(pids[len(pids) - survivors:]), f"kill_mode {kill_mode}: still there")
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            keepd.write({})
            keepd.keepctl("reload")


@scenario
def a_signal_is_sent_to_a_main_process_or_not_at_all():
    with Keepd().start() as keepd:
        file = keepd.directory / "left"
        keepd.write({"one": leaves_one(file, "1h")})
        keepd.keepctl("reload")
        left = pid_noted_in(file)
        with keepd.events() as events:
            keepd.keepctl("stop", "--no-wait", "one")
            events.wait(lambda notice: notice["kind"] == "exited", "the main process to end")
            done = keepd.keepctl("signal", "USR1", "one", expect=1)
            check("has no process" in done.stderr, f"what keepctl says: {done.stderr}")
            os.kill(left, signal.SIGKILL)
            events.wait_state("one", "stopped")


@scenario
def what_this_host_cannot_do_refuses_a_reload_whole():
    with Keepd({"one": PAUSE}).start() as keepd:
        blocked = keepd.directory / "file"
        blocked.write_text("")
        before = keepd.status()
        for field, wrong in (("control", {"path": f"{blocked}/x.sock"}), ("control", {"path": str(blocked)}),
                             ("log", {"target": str(keepd.directory)})):
            document = {**keepd.document({"one": PAUSE, "two": PAUSE}), field: wrong}
            keepd.write_text(json.dumps(document))
            done = keepd.keepctl("reload", expect=78)
            check(f"/{field}/" in done.stderr, f"which field: {done.stderr}")
            now = keepd.status()
            check_equal([one["name"] for one in now["programs"]], ["one"], f"programs after {wrong}")
            check_equal(now["daemon"]["control"], before["daemon"]["control"], f"the socket after {wrong}")
            check_equal(now["daemon"]["last_reload"]["ok"], False, f"last_reload after {wrong}")


@scenario
def a_reload_is_over_for_the_manager_when_it_was_applied():
    with Keepd({"one": PAUSE}).start() as keepd:
        told = len(keepd.notify.notes)
        keepd.write({"one": PAUSE, "two": PAUSE, "three": PAUSE})
        keepd.kill(signal.SIGHUP)
        ready = eventually(lambda: [note for note in keepd.notify.notes[told:] if "READY" in note], "READY")
        check("3 programs: 3 up" in ready[0].get("STATUS", ""), f"what READY comes with: {ready}")


@scenario
def a_start_that_fails_is_in_the_log_and_in_the_answer():
    with Keepd({"one": PAUSE}, daemon={"log": {"level": "info", "target": "stderr"}}).start() as keepd:
        script = keepd.directory / "script"
        script.write_text("#!/nowhere/interpreter\n")
        script.chmod(0o755)
        keepd.write({"one": PAUSE, "bad": {"command": [str(script)], "restart": {"delay": "1h"}}})
        done = keepd.keepctl("reload", expect=1)
        check("bad: backoff" in done.stderr, f"what keepctl says: {done.stderr}")
        check("error bad: backoff: start" in keepd.stderr(), "what the log says")
        keepd.write({"one": PAUSE, "bad": {"command": [str(script)], "umask": "077", "restart": {"delay": "1h"}}})
        done = keepd.keepctl("reload", expect=1)    # it was not running before, either
        check("bad: backoff" in done.stderr, f"what keepctl says: {done.stderr}")
        done = keepd.keepctl("restart", "one", "bad", expect=1)
        check("one: running" in done.stdout and "bad: backoff" in done.stderr, f"both are told: {done.stdout} {done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
