#!/usr/bin/env python3
"""keepd in the foreground, without a service manager: what keepctl does, says and exits with."""
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

from harness import (Control, ControlError, Keepd, at_once, await_readable, check, check_equal, eventually, is_alive, main, need_root,
                     program, scenario, scenario_for, start_time, victim)

PAUSE = victim("pause")


def two(**more):
    return {"one": PAUSE, "two": {**PAUSE, "autostart": False}, **more}


# ---- verbs ---------------------------------------------------------------------------------------------------------

@scenario
def autostarted_programs_run_and_others_wait_for_an_operator():
    with Keepd(two()).start() as keepd, keepd.events(since=0) as events:
        events.wait_state("one", "running")
        check_equal(keepd.status("two")["state"], "stopped", "the state of a program without autostart")
        check(is_alive(keepd.status("one")["pid"]), "the pid in status is a live process")


@scenario
def start_and_stop_return_when_it_is_done():
    with Keepd(two()).start() as keepd:
        keepd.keepctl("start", "two")
        pid = keepd.status("two")["pid"]
        check(is_alive(pid), "it runs when start returns")
        keepd.keepctl("stop", "two")
        check(not Path(f"/proc/{pid}").exists(), "it is gone, and reaped, when stop returns")
        check_equal(keepd.status("two")["state"], "stopped", "state")
        keepd.keepctl("stop", "two")   # nothing to do is done
        keepd.keepctl("start", "two")
        keepd.keepctl("start", "two")


@scenario
def restart_makes_a_new_run():
    with Keepd(two()).start() as keepd:
        keepd.keepctl("restart", "one")
        before = keepd.status("one")
        keepd.keepctl("restart", "one")
        after = keepd.status("one")
        check(after["run"] > before["run"] and after["pid"] != before["pid"], f"a newer run: {before} {after}")
        check(not is_alive(before["pid"]), "the old run is gone")
        check_equal(after["restarts"], before["restarts"], "an operator's restart is no automatic one")


@scenario
def signal_reaches_the_program_and_nobody_else():
    with Keepd({}) as keepd:
        caught = keepd.directory / "caught"
        keepd.write({"catcher": victim("catch", caught), "other": PAUSE})
        keepd.start()
        eventually(lambda: caught.exists() and "ready" in caught.read_text(), "the catcher to be ready")
        other = keepd.status("other")["pid"]
        keepd.keepctl("signal", "USR1", "catcher")
        keepd.keepctl("signal", "SIGHUP", "catcher")
        eventually(lambda: caught.read_text().count("\n") == 3, "both signals")
        check("User defined signal 1" in caught.read_text() and "Hangup" in caught.read_text(), caught.read_text())
        check_equal(keepd.status("other")["pid"], other, "the other program")
        keepd.keepctl("signal", "NOSUCH", "catcher", expect=2)


@scenario
def globs_select_and_unknown_names_suggest():
    with Keepd({"web-a": PAUSE, "web-b": PAUSE, "db": PAUSE}).start() as keepd:
        keepd.keepctl("stop", "web-*")
        states = {one["name"]: one["state"] for one in keepd.keepctl_json("status")["programs"]}
        check_equal(states, {"web-a": "stopped", "web-b": "stopped", "db": "running"}, "states")
        done = keepd.keepctl("start", "web-c", expect=3)
        check("web-" in done.stderr, f"the nearest name is suggested: {done.stderr}")


@scenario
def instances_run_side_by_side():
    with Keepd({"web": {**PAUSE, "instances": 3}}).start() as keepd:
        names = [one["name"] for one in keepd.keepctl_json("status", "web")["programs"]]
        check_equal(names, ["web@1", "web@2", "web@3"], "names")
        keepd.keepctl("stop", "web@2")
        check_equal(keepd.status("web@3")["state"], "running", "web@3")


@scenario
def status_tells_people_and_machines_the_same():
    with Keepd(two(failing={"command": ["/bin/sh", "-c", "exit 3"], "restart": {"policy": "no"}})).start() as keepd, \
            keepd.events(since=0) as events:
        events.wait(lambda notice: notice["kind"] == "exited" and notice["program"] == "failing", "failing to exit")
        machine = keepd.keepctl_json("status")
        check_equal(machine["daemon"]["pid"], keepd.pid, "daemon.pid")
        check_equal(machine["daemon"]["generation"], 1, "daemon.generation")
        failing = next(one for one in machine["programs"] if one["name"] == "failing")
        check_equal(failing["exit"], {"code": 3}, "exit")
        check_equal((failing["state"], failing["cause"]), ("failed", "exit"), "state and cause")
        people = keepd.keepctl("status").stdout
        for word in ("one", "running", "two", "stopped", "failing", "failed"):
            check(word in people, f"{word!r} in\n{people}")
        check("\x1b" not in people, "no colour where there is no terminal")


@scenario
def a_run_of_bad_luck_backs_off_and_says_when():
    with Keepd({"bad": {"command": ["/bin/false"], "restart": {"policy": "always", "delay": "1h", "max_delay": "1h",
                                                                  "jitter": 0}}}).start() as keepd, \
            keepd.events(since=0) as events:
        events.wait_state("bad", "backoff")
        bad = keepd.status("bad")
        check(3500 < bad["next_start_in_s"] <= 3600, f"next start: {bad['next_start_in_s']}")
        keepd.keepctl("start", "bad", "--no-wait")     # an operator's start is never rate-limited
        events.wait_state("bad", "backoff")


@scenario
def an_exited_program_is_restarted_at_once_if_so_configured():
    with Keepd({"one": {**PAUSE, "restart": at_once()}}).start() as keepd, keepd.events(since=0) as events:
        first = events.wait(lambda notice: notice["kind"] == "started", "the first run")
        os.kill(first["pid"], signal.SIGKILL)
        exited = events.wait(lambda notice: notice["kind"] == "exited", "its exit")
        check_equal(exited["exit"]["signal"], "SIGKILL", "the signal")
        second = events.wait(lambda notice: notice["kind"] == "started", "the second run")
        check(second["run"] > first["run"], "runs count on")
        eventually(lambda: keepd.status("one")["restarts"] == 1, "one restart")


@scenario
def logs_are_shown_and_followed():
    with Keepd({"talk": {"command": ["/bin/sh", "-c", "echo first; echo second; read x < fifo; echo third; exec tail -f /dev/null"],
                         "restart": {"policy": "no"}}}) as keepd:
        fifo = keepd.directory / "fifo"
        os.mkfifo(fifo)
        keepd.write({"talk": {**keepd.programs["talk"], "working_dir": str(keepd.directory)}})
        keepd.start()
        eventually(lambda: (keepd.log_dir / "talk.log").exists() and "second" in keepd.log_text("talk"), "two lines")
        check_equal(keepd.keepctl("logs", "-n", "1", "talk").stdout.strip().endswith("second"), True, "-n 1")
        follower = subprocess.Popen([program("keepctl"), "--socket", keepd.socket, "logs", "-f", "-n", "2", "talk"],
                                    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        seen = b""
        while b"second" not in seen:
            await_readable(follower.stdout, "the old lines")
            seen += os.read(follower.stdout.fileno(), 4096)
        fifo.write_text("go\n")
        while b"third" not in seen:
            await_readable(follower.stdout, "the new line")
            seen += os.read(follower.stdout.fileno(), 4096)
        follower.kill()
        follower.wait()
        follower.stdout.close()
        check_equal([line.split()[-1] for line in seen.decode().splitlines()], ["first", "second", "third"], "lines")


@scenario
def events_follow_what_happens():
    with Keepd(two()).start() as keepd:
        follower = subprocess.Popen([program("keepctl"), "--socket", keepd.socket, "events", "-f", "--json"],
                                    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        # The follower is registered once it shows up as a client; a start before that would be missed.
        seen = b""
        fd = follower.stdout.fileno()
        while b'"started"' not in seen:
            keepd.keepctl("restart", "two")
            if follower.stdout in select.select([follower.stdout], [], [], 0.2)[0]:
                seen += os.read(fd, 65536)
        follower.kill()
        follower.wait()
        follower.stdout.close()
        first = json.loads(seen.splitlines()[0])
        check("kind" in first and "program" in first, f"one JSON object a line: {first}")


@scenario
def version_and_help_need_no_daemon():
    version = subprocess.run([program("keepctl"), "version"], capture_output=True, text=True)
    check("0." in version.stdout, f"a version: {version}")
    daemon = subprocess.run([program("keepd"), "--version"], capture_output=True, text=True)
    check(daemon.returncode == 0 and "0." in daemon.stdout, f"a version: {daemon}")


# ---- exit codes ----------------------------------------------------------------------------------------------------

@scenario
def exit_code_2_is_wrong_usage():
    for arguments in (["frobnicate"], ["start"], ["status", "--nonsense"]):
        done = subprocess.run([program("keepctl"), *arguments], capture_output=True, text=True)
        check_equal(done.returncode, 2, f"keepctl {arguments}: {done.stderr}")


@scenario
def exit_code_6_is_no_daemon():
    done = subprocess.run([program("keepctl"), "--socket", "/nonexistent/control.sock", "status"], capture_output=True, text=True)
    check_equal(done.returncode, 6, done.stderr)
    check("/nonexistent/control.sock" in done.stderr, f"it names the socket: {done.stderr}")


@scenario
def exit_code_1_is_a_start_that_did_not_succeed():
    with Keepd(two(bad={"command": ["/bin/sh", "-c", "exit 1"], "type": "oneshot", "autostart": False})).start() as keepd:
        done = keepd.keepctl("start", "bad", expect=1)
        check("bad" in done.stderr and "exit" in done.stderr, f"the reason: {done.stderr}")


@scenario
def exit_code_78_is_a_wrong_config():
    with Keepd(two()).start() as keepd:
        wrong = keepd.directory / "wrong.json"
        wrong.write_text('{"version": 1, "programs": {"x": {"comand": ["/bin/true"]}}}')
        for done in (subprocess.run([program("keepctl"), "check", wrong], capture_output=True, text=True),
                     subprocess.run([program("keepd"), "--check", "--config", wrong], capture_output=True, text=True),
                     subprocess.run([program("keepd"), "--config", wrong], capture_output=True, text=True)):
            check_equal(done.returncode, 78, f"{done}")
            check("wrong.json:1:" in done.stderr and "comand" in done.stderr and "command" in done.stderr,
                  f"place, wrong word and nearest word: {done.stderr}")
        keepd.keepctl("check", keepd.config)


# ---- reload --------------------------------------------------------------------------------------------------------

@scenario
def dry_run_shows_the_plan_and_does_nothing():
    with Keepd(two()).start() as keepd:
        before = keepd.status()
        keepd.write({"one": {**PAUSE, "environment": {"A": "1"}}, "three": PAUSE})
        plan = keepd.keepctl_json("reload", "--dry-run")
        kinds = {change["name"]: change["kind"] for change in plan["plan"]["programs"]}
        check_equal(kinds, {"one": "change", "two": "remove", "three": "add"}, f"the plan {plan}")
        text = keepd.keepctl("reload", "--dry-run").stdout
        check("environment" in text and "three" in text, f"for people: {text}")
        after = keepd.status()
        check_equal([one["run"] for one in after["programs"]], [one["run"] for one in before["programs"]], "runs")


@scenario
def reload_touches_only_what_changed():
    with Keepd({"kept": PAUSE, "live": PAUSE, "changed": PAUSE, "gone": PAUSE}).start() as keepd:
        before = {one["name"]: (one["pid"], start_time(one["pid"])) for one in keepd.status()["programs"]}
        keepd.write({"kept": PAUSE, "live": {**PAUSE, "stop": {"timeout": "3s"}},
                     "changed": {**PAUSE, "environment": {"A": "1"}}, "new": PAUSE})
        keepd.keepctl("reload")
        after = {one["name"]: (one["pid"], start_time(one["pid"])) for one in keepd.status()["programs"]}
        check_equal(sorted(after), ["changed", "kept", "live", "new"], "programs")
        check_equal(after["kept"], before["kept"], "kept")
        check_equal(after["live"], before["live"], "a live change")
        check(after["changed"] != before["changed"], "a changed environment restarts")
        check(not is_alive(before["gone"][0]), "what is removed is stopped when reload returns")
        environment = eventually(Path(f"/proc/{after['changed'][0]}/environ").read_bytes, "the environment")
        check(b"A=1" in environment.split(b"\0"), "the new environment")


@scenario
def a_wrong_config_is_refused_whole():
    with Keepd(two()).start() as keepd, keepd.events() as events:
        before = keepd.status()
        keepd.write({"one": {**PAUSE, "umask": "99"}, "three": PAUSE})
        done = keepd.keepctl("reload", expect=78)
        check("umask" in done.stderr and "keepd.json:" in done.stderr, f"the fault with its place: {done.stderr}")
        keepd.write_text("{")
        keepd.kill(signal.SIGHUP)
        events.wait(lambda notice: notice["kind"] == "reload" and notice["level"] != "info", "the refused reload")
        keepd.keepctl("reload", expect=78)
        after = keepd.status()
        check_equal([(one["name"], one["pid"]) for one in after["programs"]],
                    [(one["name"], one["pid"]) for one in before["programs"]], "programs")
        check_equal(after["daemon"]["last_reload"]["ok"], False, "last_reload")


def anonymous_kib(pid):
    return int(next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("RssAnon")).split()[1])


@scenario
def memory_is_given_back_after_a_reload():
    with Keepd({"one": victim("pause")}).start() as keepd:
        before = anonymous_kib(keepd.pid)
        many = {f"idle-{number}": {**victim("pause"), "autostart": False, "description": "x" * 400} for number in range(2000)}
        keepd.write({"one": victim("pause"), **many})
        keepd.keepctl("reload")
        held = anonymous_kib(keepd.pid) - before
        keepd.write({"one": victim("pause")})
        keepd.keepctl("reload")
        left = anonymous_kib(keepd.pid) - before
        print(f"#   {before} KiB with one program, {held} KiB more with 2,001, {left} KiB more afterwards")
        check(held > 2000, f"2,000 programs take something: {held} KiB")
        check(left < held / 2, f"of {held} KiB {left} KiB were not given back")


@scenario
def hangup_reloads():
    with Keepd(two()).start() as keepd, keepd.events() as events:
        keepd.write(two(three=PAUSE))
        keepd.kill(signal.SIGHUP)
        events.wait_state("three", "running")


# ---- the life of keepd ---------------------------------------------------------------------------------------------

@scenario_for([("term", signal.SIGTERM), ("int", signal.SIGINT)])
def a_signal_ends_everything_in_order(number):
    with Keepd(two(three=PAUSE)).start() as keepd:
        pids = [one["pid"] for one in keepd.status()["programs"] if one["pid"]]
        check_equal(keepd.stop(number), 0, "exit code")
        check_equal([pid for pid in pids if is_alive(pid)], [], "left behind")
        check(not keepd.socket.exists(), "the socket is removed")


@scenario
def shutdown_by_keepctl():
    with Keepd(two()).start() as keepd:
        keepd.keepctl("shutdown")
        check_equal(keepd.wait(), 0, "exit code")


@scenario
def a_second_signal_ends_at_once():
    with Keepd({}) as keepd:
        pids = keepd.directory / "pids"
        keepd.write({"slow": victim("stubborn", pids, stop={"timeout": "1h"})})
        keepd.start()
        eventually(lambda: pids.exists() and pids.read_text().count("\n") == 2, "both processes")
        pid = keepd.status("slow")["pid"]
        with keepd.events() as events:
            keepd.kill(signal.SIGTERM)
            events.wait_state("slow", "stopping")
            keepd.kill(signal.SIGTERM)
        keepd.wait()
        check(not is_alive(pid), "the main process was killed")


@scenario
def usr1_opens_logs_anew_after_a_rename():
    with Keepd({"talk": {"command": ["/bin/sh", "-c", "echo before; read x < fifo; echo after; exec tail -f /dev/null"],
                         "restart": {"policy": "no"}}}) as keepd:
        fifo = keepd.directory / "fifo"
        os.mkfifo(fifo)
        keepd.write({"talk": {**keepd.programs["talk"], "working_dir": str(keepd.directory)}})
        keepd.start()
        log = keepd.log_dir / "talk.log"
        eventually(lambda: log.exists() and "before" in log.read_text(), "the first line")
        os.rename(log, keepd.log_dir / "talk.old")
        keepd.kill(signal.SIGUSR1)
        eventually(log.exists, "a new file")
        fifo.write_text("go\n")
        eventually(lambda: "after" in log.read_text(), "the second line")
        check_equal((log.read_text(), (keepd.log_dir / "talk.old").read_text()), ("after\n", "before\n"), "the files")
        os.rename(log, keepd.log_dir / "talk.older")
        keepd.keepctl("reopen-logs")
        eventually(log.exists, "a new file by keepctl")


@scenario
def a_second_keepd_on_the_same_socket_is_refused():
    with Keepd(two()).start() as keepd:
        second = subprocess.run([keepd.bin, "--config", keepd.config], capture_output=True, text=True, timeout=60)
        check(second.returncode not in (0, 78), f"it ends with a failure: {second}")
        check("control.sock" in second.stderr, f"it names the socket: {second.stderr}")
        check_equal(keepd.status("one")["state"], "running", "the first one")


@scenario
def a_stale_socket_file_is_replaced():
    with Keepd(two()).start() as keepd:
        keepd.kill(signal.SIGKILL)
        keepd.process.wait()
        check(keepd.socket.exists(), "a killed keepd leaves its socket file")
        keepd.start()
        keepd.status()


@scenario
def programs_get_a_clean_environment_and_no_descriptors():
    with Keepd({}, environment={"SECRET": "1", "LANG": "C"}) as keepd:
        keepd.write({"clean": {**PAUSE, "environment": {"MINE": "2"}}})
        keepd.start()
        pid = keepd.status("clean")["pid"]
        # The kernel shows the new program before its environment.
        environment = eventually(Path(f"/proc/{pid}/environ").read_bytes, "the environment")
        names = {entry.split(b"=")[0].decode() for entry in environment.split(b"\0") if entry}
        check("SECRET" not in names and "NOTIFY_SOCKET" not in names and "MINE" in names, f"names: {names}")
        # The dynamic linker opens and closes some first.
        eventually(lambda: sorted(map(int, os.listdir(f"/proc/{pid}/fd"))) == [0, 1, 2], "descriptors 0 to 2 alone", 10)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        check_equal((status["SigBlk"].strip("0"), status["SigIgn"].strip("0")), ("", ""), "signals")


# ---- permissions and the wire --------------------------------------------------------------------------------------

@scenario
def others_may_look_but_not_touch():
    need_root()  # to become someone else
    with Keepd(two(), daemon={"control": {"mode": "0666"}}).start() as keepd:
        keepctl = keepd.directory / "keepctl"   # the build directory may lie where others may not look
        keepctl.write_bytes(program("keepctl").read_bytes())
        keepctl.chmod(0o755)
        keepd.socket.parent.chmod(0o755)

        def as_nobody(*arguments):
            return subprocess.run([keepctl, "--socket", keepd.socket, *arguments], capture_output=True, text=True,
                                  user=65534, group=65534, extra_groups=[])
        done = as_nobody("status")
        check_equal(done.returncode, 0, f"status: {done.stderr}")
        done = as_nobody("stop", "one")
        check_equal(done.returncode, 4, f"stop: {done.stderr}")
        check_equal(keepd.status("one")["state"], "running", "the program")


@scenario
def programs_that_end_at_once_keep_keepd_from_nothing():
    """There is always one more that has ended."""
    loops = {f"loop-{number}": {"command": ["/bin/true"], "stdout": "null", "restart": at_once()} for number in range(40)}
    with Keepd({**loops, **two()}, daemon={"log": {"level": "warning", "target": "stderr"}}).start() as keepd:
        eventually(lambda: keepd.status("loop-39")["restarts"] > 20, "the loops to loop")
        keepd.keepctl("start", "two")
        keepd.install("keepd-b")
        keepd.upgrade()
        keepd.keepctl("stop", "loop-0")
        check_equal(keepd.status("loop-0")["state"], "stopped", "one of them that was stopped")


def fill(path):
    """How many words a fresh sender gets into the queue."""
    sent = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.sendto(b"noise", path)
                sent += 1
    return sent


@scenario
def a_service_manager_that_does_not_read_hears_of_it_later():
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    keepd = Keepd(two(), notify=False)
    path = str(keepd.directory / "manager")
    manager.bind(path)
    keepd.environment.update(NOTIFY_SOCKET=path, FDSTORE="0")
    with keepd, manager:
        while fill(path):   # by one sender after the other: each has a limit of its own as well
            pass
        keepd.spawn()
        eventually(lambda: "it is told again" in keepd.stderr(), "keepd to say that it was not heard")
        with contextlib.suppress(BlockingIOError):
            while True:
                check_equal(manager.recv(4096), b"noise", "what came before it read")
        await_readable(manager, "READY=1")
        check(b"READY=1" in manager.recv(4096).splitlines(), "the first word it hears is what it has missed")


@scenario
def any_varlink_client_is_understood():
    with Keepd(two()).start() as keepd, keepd.control() as control:
        info = control.call("org.varlink.service.GetInfo")
        check("io.keepd.Manager" in info["interfaces"], f"interfaces: {info}")
        text = control.call("org.varlink.service.GetInterfaceDescription", interface="io.keepd.Manager")["description"]
        check("method Upgrade" in text, "the description of the interface")
        for method, error in (("io.keepd.Manager.Nonsense", "org.varlink.service.MethodNotFound"),
                              ("no.such.Interface", "org.varlink.service.InterfaceNotFound")):
            try:
                control.call(method)
            except ControlError as caught:
                check_equal(caught.name, error, method)
            else:
                raise AssertionError(f"{method} was accepted")


@scenario
def nonsense_on_the_socket_harms_nobody():
    with Keepd(two()).start() as keepd:
        for rubbish in (b"GET / HTTP/1.0\r\n\r\n\0", b"\0\0\0", b"{}\0", b'{"method":7}\0', b"[" * 100000 + b"\0",
                        b"x" * (4 << 20)):
            client = Control(keepd.socket)
            with contextlib.suppress(OSError):
                client.socket.sendall(rubbish)
                client.socket.shutdown(1)
            client.close()
        check_equal(keepd.status("one")["state"], "running", "the program")


if __name__ == "__main__":
    sys.exit(main())
