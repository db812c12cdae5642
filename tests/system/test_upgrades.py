#!/usr/bin/env python3
"""An upgrade of a keepd in the foreground: what stays, what is told, and what is left alone."""
import os
import signal
import sys
from pathlib import Path

from harness import (ControlError, Keepd, at_once, check, check_equal, count, descriptors_of, eventually, is_alive, leaves_one, main,
                     pid_noted_in, scenario, start_time, victim, zombies_below)

PAUSE = victim("pause")


def others():
    """Two builds in turn, beginning with the one that does not run."""
    while True:
        yield "keepd-b"
        yield "keepd"


def identities(status):
    return {one["name"]: (one["pid"], start_time(one["pid"] or 0), one["run"], one["restarts"])
            for one in status["programs"]}


@scenario
def an_upgrade_changes_keepd_alone():
    with Keepd({"one": PAUSE, "two": PAUSE, "off": {**PAUSE, "autostart": False}}).start() as keepd:
        before = keepd.status()
        born = start_time(keepd.pid)
        keepd.install("keepd-b")
        done = keepd.upgrade()
        after = keepd.status()
        check_equal(identities(after), identities(before), "programs")
        check_equal((after["daemon"]["pid"], start_time(keepd.pid)), (before["daemon"]["pid"], born), "keepd's process")
        check_equal(after["daemon"]["generation"], 2, "generation")
        check(after["daemon"]["build_id"] != before["daemon"]["build_id"], "another build runs")
        check(after["daemon"]["version"].endswith("+b"), f"version: {after['daemon']['version']}")
        check_equal(after["daemon"]["last_upgrade"]["ok"], True, "last_upgrade")
        check("+b" in done.stdout, f"keepctl says what it became: {done.stdout}")


def descriptors_at_rest(keepd):
    """keepd's descriptors while nobody but ourselves is connected."""
    with keepd.control() as control:
        for _ in range(2):  # what was closed before the first answer has been noticed before the second
            control.call("Status")
        return descriptors_of(keepd.pid)


@scenario
def many_upgrades_leave_nothing_behind():
    with Keepd({"one": PAUSE, "two": {**PAUSE, "restart": at_once()}}).start() as keepd:
        binaries = others()
        keepd.install(next(binaries))
        keepd.upgrade()
        before, descriptors = keepd.status(), descriptors_at_rest(keepd)
        for _ in range(count(10, 100)):
            keepd.install(next(binaries))
            keepd.upgrade()
        after = keepd.status()
        check_equal(identities(after), identities(before), "programs")
        check_equal(after["daemon"]["generation"], before["daemon"]["generation"] + count(10, 100), "generation")
        now = descriptors_at_rest(keepd)
        check_equal(len(now), len(descriptors), f"descriptors, before: {descriptors}, now: {now}")
        check_equal(zombies_below(keepd.pid), [], "zombies")


@scenario
def connections_and_their_waits_are_carried():
    with Keepd({"one": PAUSE}).start() as keepd, keepd.control() as control, keepd.events() as events:
        control.call("Status")
        control.socket.sendall(b'{"method":"io.keepd.Manager.Sta')    # half a request, at rest during the exec
        keepd.install("keepd-b")
        keepd.upgrade()
        control.socket.sendall(b'tus"}\0')
        check_equal(control.receive()["daemon"]["generation"], 2, "the answer to a request that began before")
        notice = events.wait(lambda notice: notice["kind"] == "upgrade" and "+b" in notice["text"], "the upgrade's end")
        check_equal(notice["level"], "info", "level")
        numbers = [notice["number"] for notice in events.drain()]
        check_equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "numbers of notices")


@scenario
def who_asks_is_answered_by_the_new_image():
    with Keepd({"one": PAUSE}).start() as keepd, keepd.control() as control:
        before = control.call("Status")["daemon"]
        keepd.install("keepd-b")
        answer = control.call("Upgrade")
        after = control.call("Status")["daemon"]
        check_equal((answer["replaced"], answer["generation"]), (True, 2), f"the answer: {answer['text']}")
        for image, daemon in (("from", before), ("to", after)):
            check_equal(answer[image], {key: daemon[key] for key in ("version", "build_id")}, f"the image that it went {image}")
        check(after["build_id"] != before["build_id"], "another build answers on the same connection")


@scenario
def of_several_who_ask_at_once_one_gets_it():
    with Keepd({"one": PAUSE}).start() as keepd:
        for number in range(count(3, 30)):
            controls = [keepd.control() for _ in range(5)]
            for control in controls:
                control.call("Status")      # accepted, all of them
            keepd.install("keepd" if number % 2 else "keepd-b")
            keepd.kill(signal.SIGSTOP)      # so that all that is asked is there at once
            for control in controls:
                control.send("Upgrade")
            keepd.kill(signal.SIGCONT)
            got, refusals = 0, []
            for control in controls:
                try:
                    got += control.receive()["replaced"]
                except ControlError as error:
                    refusals.append(error.name)
                control.close()
            check_equal((got, refusals), (1, ["io.keepd.Manager.Busy"] * 4), "who got it, and what the others were told")
            check_equal(keepd.generation(), number + 2, "generation")


@scenario
def replies_that_nobody_reads_are_carried():
    """A client with more to read than a socket holds, over several images: each answer is there once, whole and in order."""
    with Keepd({f"program-{index}": {**PAUSE, "autostart": False} for index in range(30)}).start() as keepd, \
            keepd.control() as slow:
        binaries = others()
        asked = 60
        for index in range(asked):
            slow.send("Status", names=[f"program-{index % 30}"] if index % 2 else None)
        for index in range(3):
            keepd.install(next(binaries))
            keepd.upgrade()
            if index == 1:      # some room: what was half written goes on, and stops again
                slow.buffer += slow.socket.recv(20_000)
        sizes = [len(slow.receive()["programs"]) for _ in range(asked)]
        check_equal(sizes, [1 if index % 2 else 30 for index in range(asked)], "the answers")
        slow.send("Status", names=["program-7"])
        check_equal(len(slow.receive()["programs"]), 1, "the answer to a request afterwards")
        check_equal(slow.buffer, b"", "what came after the last answer")


@scenario
def the_same_build_is_nothing_to_do_unless_forced():
    with Keepd({"one": PAUSE}).start() as keepd:
        keepd.upgrade()
        check_equal(keepd.generation(), 1, "generation")
        keepd.upgrade("--force")
        check_equal(keepd.generation(), 2, "generation")


@scenario
def rehearse_only_changes_nothing():
    with Keepd({"one": PAUSE}).start() as keepd:
        before = keepd.status()
        keepd.install("keepd-b")
        done = keepd.upgrade("--rehearse-only")
        after = keepd.status()
        check_equal((identities(after), after["daemon"]["generation"]), (identities(before), 1), "state")
        check(done.stdout, "keepctl says how it went")


@scenario
def usr2_upgrades_and_says_so():
    with Keepd({"one": PAUSE}, daemon={"upgrade": {"min_interval": "0s"}}).start() as keepd, keepd.events() as events:
        keepd.install("keepd-b")
        keepd.kill(signal.SIGUSR2)
        events.wait(lambda notice: notice["kind"] == "upgrade" and "+b" in notice["text"] and notice["level"] == "info"
                    and keepd.generation() == 2, "the upgrade's end")
        check("+b" in keepd.status()["daemon"]["last_upgrade"]["text"], "last_upgrade")
        keepd.install(Path("/bin/false"))
        keepd.kill(signal.SIGUSR2)
        events.wait(lambda notice: notice["kind"] == "upgrade" and notice["level"] != "info", "the refusal")
        check_equal(keepd.status()["daemon"]["last_upgrade"]["ok"], False, "last_upgrade")


@scenario
def waits_of_programs_go_on():
    """A backoff that is under way during an upgrade ends when it would have ended."""
    with Keepd({"bad": {"command": ["/bin/false"], "restart": {
            "policy": "always", "delay": "1s", "max_delay": "1s", "jitter": 0, "start_limit_burst": 0}}}).start() as keepd, \
            keepd.events() as events:
        binaries = others()
        for _ in range(3):
            events.wait_state("bad", "backoff")
            ends = keepd.status("bad")["next_start_in_s"]
            run = keepd.status("bad")["run"]
            keepd.install(next(binaries))
            keepd.upgrade()
            check(ends <= 1.0, f"{ends}")
            started = events.wait(lambda notice: notice["kind"] == "started", "the next start")
            check_equal(started["run"], run + 1, "one run each")


@scenario
def programs_get_the_first_environment_and_limits_after_an_upgrade_too():
    with Keepd({}, environment={"SECRET": "1"}) as keepd:
        keepd.write({"early": PAUSE, "late": {**PAUSE, "autostart": False}})
        keepd.start()
        keepd.install("keepd-b")
        keepd.upgrade()
        keepd.keepctl("start", "late")
        early, late = keepd.status("early")["pid"], keepd.status("late")["pid"]
        for file in ("environ", "limits", "oom_score_adj"):
            before, after = (eventually(Path(f"/proc/{pid}/{file}").read_bytes, file).replace(b"early", b"late")
                             for pid in (early, late))
            drop = (b"KEEPD_RUN=",)
            check_equal(sorted(line for line in after.split(b"\0") if not line.startswith(drop)),
                        sorted(line for line in before.split(b"\0") if not line.startswith(drop)), file)
        # The dynamic linker opens and closes some first.
        eventually(lambda: sorted(map(int, os.listdir(f"/proc/{late}/fd"))) == [0, 1, 2], "descriptors 0 to 2 alone", 10)
        for line in ("SigBlk", "SigIgn", "SigCgt"):
            values = [next(row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith(line))
                      for pid in (early, late)]
            check_equal(values[1], values[0], line)


@scenario
def a_program_that_died_during_the_upgrade_is_noticed():
    with Keepd({"one": {**PAUSE, "restart": at_once()}}).start() as keepd, keepd.events() as events:
        binaries = others()
        for _ in range(count(5, 30)):
            pid = keepd.status("one")["pid"]
            keepd.install(next(binaries))
            control = keepd.control()
            control.send("Upgrade")
            os.kill(pid, signal.SIGKILL)
            control.receive()
            control.close()
            events.wait(lambda notice, pid=pid: notice["kind"] == "exited" and notice["pid"] == pid, "the exit")
            events.wait_state("one", "running")


@scenario
def a_stop_goes_on_until_nothing_is_left():
    """Without control groups: who left the process group is known to the old image alone, once the leader has gone."""
    with Keepd().start() as keepd:
        file = keepd.directory / "left"
        keepd.write({"two": leaves_one(file, "2s")})
        keepd.keepctl("reload")
        left = pid_noted_in(file)
        with keepd.events() as events:
            keepd.keepctl("stop", "--no-wait", "two")
            events.wait(lambda notice: notice["kind"] == "exited", "the main process to end")
            keepd.install("keepd-b")
            keepd.upgrade()
            check_equal(keepd.status("two")["state"], "stopping", "the state while the child is there")
            events.wait_state("two", "stopped")
            check(not is_alive(left), "what a stop has left behind")


@scenario
def what_many_clients_have_half_said_is_carried():
    """All that strangers can leave lying about fits into an upgrade."""
    with Keepd({"one": PAUSE}).start() as keepd:
        clients = []
        for _ in range(200):
            clients.append(keepd.control())
            clients[-1].call("Status")  # accepted: the backlog is shorter than that
        half = b'{"method":"io.keepd.Manager.Status","parameters":{"names":["' + b"x" * 60000
        for client in clients:
            client.socket.sendall(half)
        keepd.install("keepd-b")
        keepd.upgrade()
        for client in clients[::50]:
            client.socket.sendall(b'"]}}\0')
            try:
                client.receive()
                raise AssertionError("there is no such program")
            except ControlError as error:
                check("NoSuchProgram" in error.name, f"the answer to a carried request: {error}")
        clients[1].socket.sendall(b"x" * 8000)     # one that goes on without an end
        try:
            answer = clients[1].receive()
            raise AssertionError(f"too long a request was answered: {answer}")
        except (ConnectionError, ControlError):
            pass
        for client in clients:
            client.close()
        check_equal(keepd.generation(), 2, "generation")


if __name__ == "__main__":
    sys.exit(main())
