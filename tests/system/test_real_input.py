#!/usr/bin/env python3
"""Real programs under a real systemd, under load, while keepd is replaced again and again and its config changes."""
import json
import re
import subprocess
import sys
import threading
import time
from datetime import datetime

from harness import HERE, await_readable, check, check_equal, count, descriptors_of, eventually, main, program, scenario, stat_of
from machine import KeepdMachine, need_inside

HTTP, REDIS, LEDGER = 8080, 6379, 8090
UPGRADES = count(100, 100)

NGINX_CONF = f"""
daemon off;
pid /run/nginx-of-keepd.pid;
worker_processes 2;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{HTTP};
        keepalive_requests 1000000000;
        keepalive_timeout 600;
        location / {{ return 200 "hello from nginx\\n"; }}
    }}
}}
"""

# Delays of the crash-looper, as its config says: doubling from the first up to a cap, without jitter.
FIRST, CAP = 0.1, 0.8


def scheduled_delay(failures):
    """Seconds before the start that follows this many failures in a row."""
    return min(FIRST * 2 ** (failures - 1), CAP)


PAUSE = ["/opt/victim", "pause"]
STEADY = {
    "nginx": {"command": ["/usr/sbin/nginx", "-c", "/etc/keepd/nginx.conf"], "stop": {"signal": "QUIT"}},
    "redis": {"command": ["/usr/bin/redis-server", "--port", str(REDIS), "--bind", "127.0.0.1", "--save", "",
                          "--appendonly", "no", "--dir", "/tmp"], "user": "redis"},
    "ledger": {"command": ["/usr/bin/python3", "/opt/ledger_server.py", str(LEDGER)], "environment": {"LANG": "C.UTF-8"},
               "stdout": {"path": "/var/log/keepd/ledger.log", "max_size": "16KiB", "max_files": 1000}},
    "other-user": {"command": PAUSE, "user": "nobody"},
    "looper": {"command": ["/bin/sh", "-c", "exit 7"], "stdout": "null", "restart": {
        "policy": "always", "delay": f"{int(FIRST * 1000)}ms", "backoff_factor": 2, "max_delay": f"{int(CAP * 1000)}ms",
        "jitter": 0, "start_limit_burst": 0, "reset_after": "1h"}},
}
UNTOUCHED = ["nginx", "redis", "ledger", "other-user", "live"]


def programs_of(revision):
    """The config's revision-th form: `live` changes only what applies live, `changing` restarts, others come and go."""
    extras = {f"guest-{index}": {"command": PAUSE} for index in range(4) if (revision >> index) & 1}
    return {**STEADY, "live": {"command": PAUSE, "stop": {"timeout": f"{5 + revision % 7}s"}},
            "changing": {"command": PAUSE, "environment": {"REVISION": str(revision)}}, **extras}


class Watch(threading.Thread):
    """Looks at the unit again and again."""

    def __init__(self, machine):
        super().__init__(daemon=True)
        self.machine, self.over, self.seen, self.looks, self.error = machine, threading.Event(), set(), 0, None

    def run(self):
        try:
            while not self.over.wait(0.02):
                unit = self.machine.show("keepd", "ActiveState", "MainPID", "NRestarts")
                self.seen.add((unit["ActiveState"], unit["MainPID"], unit["NRestarts"]))
                self.looks += 1
        except BaseException as error:  # noqa: BLE001 - told by finish()
            self.error = error

    def finish(self):
        self.over.set()
        self.join(60)
        if self.error:
            raise self.error


def processes_of(machine, names):
    """{(pid, start time)} of these programs' whole trees, by the machine's own /proc."""
    found = {}
    for name in names:
        pid = machine.program_status(name)["pid"]
        todo, tree = [pid], set()
        while todo:
            one = todo.pop()
            tree.add((one, stat_of(one, machine.proc())[19]))
            todo += [int(word) for word in machine.run(
                "sh", "-c", f"cat /proc/{one}/task/*/children").stdout.split()]
        found[name] = tree
    return found


def looper_deadline(machine):
    """(run, earliest, latest) of the looper's next start in monotonic time, or None if it is not waiting just now."""
    before = time.monotonic()
    looper = machine.program_status("looper")
    after = time.monotonic()
    if looper["state"] != "backoff":
        return None
    return looper["run"], before + looper["next_start_in_s"], after + looper["next_start_in_s"]


def seconds(at):
    """RFC 3339 to seconds; Python reads at most microseconds."""
    whole, fraction = re.fullmatch(r"(.*?)(\.\d+)?(?:Z|[+-]00:00)", at).groups()
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(fraction or 0)


def check_looper(machine, notices):
    """Each crash is counted, and each start comes after the scheduled delay, as if there had been no upgrade."""
    mine = [notice for notice in notices if notice["program"] == "looper" and notice["kind"] in ("started", "exited")]
    kinds = "".join(notice["kind"][0] for notice in mine)
    check(re.fullmatch(r"(se)*s?", kinds), f"starts and exits take turns: {kinds}")
    failures = 0
    for before, after in zip(mine, mine[1:]):
        if before["kind"] == "started":
            check_equal((after["run"], after["exit"]["code"]), (before["run"], 7), "the exit of a run")
            failures += 1
        else:
            gap = seconds(after["at"]) - seconds(before["at"])
            # Clocks are read twice, to the nearest of what they show; earlier than that would be a schedule of its own.
            check(gap > scheduled_delay(failures) - 0.005,
                  f"start {failures + 1} came after {gap:.3f} s instead of {scheduled_delay(failures)} s")
    check(failures > 6, f"enough crashes to tell: {failures}")
    looper = machine.program_status("looper")
    exits = sum(notice["kind"] == "exited" for notice in mine)
    check(looper["failures"] in (exits, exits + 1), f"failures in a row: {looper['failures']}, reported exits: {exits}")
    check(looper["restarts"] in (exits - 1, exits, exits + 1), f"restarts: {looper['restarts']}, exits: {exits}")


def check_ledger_log(machine, requests):
    folder = machine.path("/var/log/keepd")
    files = sorted(folder.glob("ledger.log.*"), key=lambda path: -int(path.name.rsplit(".", 1)[1])) + [folder / "ledger.log"]
    lines = "".join(path.read_text() for path in files).splitlines()
    numbers = []
    for line in lines:
        match = re.fullmatch(r"served (\d+) to 127\.0\.0\.1", line)
        check(match, f"a line that the server did not write: {line!r}")
        numbers.append(int(match[1]))
    check(len(files) > 2, "the log was rotated")
    # The last request may have been answered by the server and not read by the client.
    check(numbers in (list(range(1, requests + 1)), list(range(1, requests + 2))),
          f"{requests} requests, {len(numbers)} lines; "
          f"first differences: {[(want, got) for want, got in zip(range(1, requests + 1), numbers) if want != got][:5]}")


@scenario
def keepd_is_replaced_under_load_and_nobody_notices():
    need_inside("/usr/sbin/nginx", "/usr/bin/redis-server")
    with KeepdMachine(programs_of(0)) as machine:
        machine.install(HERE / "ledger_server.py", "/opt/ledger_server.py")
        machine.install(HERE / "load.py", "/opt/load.py")
        machine.write("/etc/keepd/nginx.conf", NGINX_CONF)
        machine.systemctl("start", "keepd")
        for port in (HTTP, REDIS, LEDGER):
            eventually(lambda port=port: machine.run("/usr/bin/python3", "-c",
                       f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)", expect=None).returncode == 0,
                       f"port {port} to be served")
        eventually(lambda: len(processes_of(machine, ["nginx"])["nginx"]) == 3, "nginx and its two workers")
        events = machine.path("/tmp/events")
        follower = machine.popen("sh", "-c", "exec keepctl events -f --json >/tmp/events")
        uid = machine.run("stat", "-c", "%U", f"/proc/{machine.program_status('other-user')['pid']}").stdout.strip()
        check_equal(uid, "nobody", "the user of a program with `user`")

        # Both builds have run, and the second has started a program: what is opened at first is open.
        upgrades = 0

        def upgrade():
            nonlocal upgrades
            upgrades += 1
            machine.install(program("keepd-b" if upgrades % 2 else "keepd"), "/usr/sbin/keepd")
            machine.keepctl("upgrade")
        upgrade()
        runs = machine.program_status("looper")["run"]
        eventually(lambda: machine.program_status("looper")["run"] > runs, "the new image to start a program")
        before = machine.show("keepd", "MainPID", "NRestarts", "InvocationID")
        steady = processes_of(machine, UNTOUCHED)
        main_pid = int(before["MainPID"])
        descriptors = descriptors_of(main_pid, machine.proc())
        keepd_born = stat_of(main_pid, machine.proc())[19]

        load = subprocess.Popen(machine.command("/usr/bin/python3", "/opt/load.py", str(HTTP), str(REDIS), str(LEDGER)),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        await_readable(load.stdout, "the load to start")
        check_equal(load.stdout.readline(), "started\n", "load")
        watch = Watch(machine)
        watch.start()

        revision = compared = 0
        for number in range(UPGRADES):
            due = looper_deadline(machine)
            upgrade()
            still = looper_deadline(machine)
            if due and still and due[0] == still[0]:
                compared += 1
                check(due[1] - 0.002 <= still[2] and still[1] <= due[2] + 0.002,
                      f"the looper's next start moved over an upgrade: {due} -> {still}")
            if number % 3 == 0:
                revision += 1
                machine.configure(programs_of(revision))
                if revision % 2:
                    machine.systemctl("reload", "keepd")
                else:
                    machine.run("sh", "-c", f"kill -HUP {main_pid}")
                wanted = sorted(programs_of(revision))
                eventually(lambda wanted=wanted: sorted(one["name"] for one in machine.status()["programs"]
                                                        if one["state"] != "stopping") == wanted, "the reload")
                changing = eventually(lambda: (lambda one: one["state"] == "running" and one)(machine.program_status("changing")),
                                      "the changed program to run")
                environment = eventually(machine.path(f"/proc/{changing['pid']}/environ").read_bytes, "the environment")
                check(f"REVISION={revision}".encode() in environment.split(b"\0"), f"revision {revision}: {environment}")
        while machine.program_status("looper")["failures"] <= 8:  # a quick machine is done before it has crashed enough
            upgrade()
        machine.configure(programs_of(0))
        machine.systemctl("reload", "keepd")

        load.stdin.close()
        report = json.loads(load.stdout.read())
        load.wait()
        watch.finish()
        print(f"#   {upgrades} upgrades, {revision + 1} reloads, {watch.looks} looks at the unit, {compared} backoffs compared,"
              f" requests: { {name: client['requests'] for name, client in report.items()} }")
        for name, client in report.items():
            check_equal((client["failures"], client["ended"]), ([], True), f"failed requests of {name}")
            check(client["requests"] > 100, f"{name} made {client['requests']} requests")
        check_equal({state for state, _, _ in watch.seen} - {"active", "reloading"}, set(), "states of the unit")
        check_equal({(pid, restarts) for _, pid, restarts in watch.seen}, {(before["MainPID"], "0")}, "MainPID and NRestarts")
        check_equal(machine.show("keepd", "MainPID", "NRestarts", "InvocationID"), before, "the unit at the end")
        check_equal(stat_of(main_pid, machine.proc())[19], keepd_born, "keepd's start time")
        check_equal(machine.status()["daemon"]["generation"], upgrades + 1, "generation")
        check_equal(processes_of(machine, UNTOUCHED), steady, "processes that no reload had to touch")
        check_ledger_log(machine, report["ledger"]["requests"])
        check(compared > 0, "an upgrade fell into a backoff of the looper")
        check_equal(follower.poll(), None, "the event stream lives on")
        text = events.read_text()
        notices = [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]
        numbers = [notice["number"] for notice in notices]
        check_equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "numbers of notices")
        check_looper(machine, notices)
        try:
            eventually(lambda: len(descriptors_of(main_pid, machine.proc())) <= len(descriptors), "as few descriptors")
        except TimeoutError as error:
            now = descriptors_of(main_pid, machine.proc())
            raise AssertionError(f"{len(descriptors)} descriptors before: {sorted(descriptors.values())}\n"
                                 f"{len(now)} now: {sorted(now.values())}") from error

        def zombies():
            pids = [int(word) for word in machine.run("sh", "-c", f"cat /proc/{main_pid}/task/*/children").stdout.split()]
            return [pid for pid in pids if (stat_of(pid, machine.proc()) or ["?"])[0] == "Z"]
        eventually(lambda: not zombies(), "no zombie")
        machine.systemctl("stop", "keepd")
        check_equal(machine.unit_processes(), [], "processes that are left")
        follower.wait(60)


if __name__ == "__main__":
    sys.exit(main())
