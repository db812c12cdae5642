#!/usr/bin/python3
"""How long nobody serves during an upgrade, and after a crash: upgrade_bench.py --build DIR [--n 100,1000,10000]

Each round keepd replaces itself, and middle_design.cpp does: the same number of children, the descriptors of as many, a
kibibyte of state each, done plainly. Both take turns, so what else the machine does hits both: believe the ratio. README.md
says what each figure means.
"""
import argparse
import fcntl
import json
import os
import queue
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import bench_programs as programs
from bench_supervisors import Keepd
from daemon_bench import quantile, say

HERE = Path(__file__).resolve().parent
LOGGED_DESCRIPTORS = 3  # a pipe's two ends and a file, beside the pidfd


class Logged(Keepd):
    """Each program's output goes to a file of its own."""

    def configure(self):
        super().configure()
        path = self.directory / "keepd.json"
        document = json.loads(path.read_text())
        del document["defaults"]["stdout"]
        path.write_text(json.dumps(document))


class MiddleDesign:
    def __init__(self, binary, count, extra):
        self.process = subprocess.Popen([binary, str(count), str(extra)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.process.stdout.readline()

    def gap_ms(self):
        self.process.stdin.write("\n")
        return int(self.process.stdout.readline()) / 1e6

    def stop(self):
        self.process.kill()  # its children follow it
        self.process.communicate()


def enough_descriptors(count, logged):
    """Raises the limit that both sides inherit, if need be; whether it is high enough then."""
    wanted = count * (1 + (LOGGED_DESCRIPTORS if logged else 0)) + 1000
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            return False
    return True


class ServiceManager:
    """As much of one as a crash needs: it keeps what keepd stores, gives it to the next one, and hears READY=1."""

    def __init__(self, path):
        self.path, self.stored = str(path), {}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.ready = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def until_ready(self):
        """When the next READY=1 came."""
        return self.ready.get(timeout=60)

    def _listen(self):
        while True:
            if "READY=1" in self._hear():
                self.ready.put(programs.now())

    def _hear(self):
        data, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 8)
        words = data.decode().splitlines()
        names = [word[7:] for word in words if word.startswith("FDNAME=")]
        if "FDSTORE=1" in words:
            self.stored[names[0]] = descriptors[0]
        for fd in descriptors[1:] if "FDSTORE=1" in words else descriptors:
            os.close(fd)  # a barrier's: whoever sent it waits for this
        return words

    def launch(self, keepd):
        """As systemd does: what is stored from descriptor 3 on, in the order of its names."""
        first, number = 200, len(self.stored)
        held = [fcntl.fcntl(fd, fcntl.F_DUPFD, first) for fd in self.stored.values()]
        moves = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(held))
        script = f'LISTEN_PID=$$ LISTEN_FDS={number} LISTEN_FDNAMES={":".join(self.stored)} exec "$@" {moves}'
        with open(keepd.directory / "output", "ab") as output:
            # bash, whose descriptors may have more than one digit.
            process = subprocess.Popen(["bash", "-c", script, "bash", *keepd.command()], stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, env=keepd.environment(), cwd=keepd.directory,
                                       start_new_session=True, pass_fds=held)
        for fd in held:
            os.close(fd)
        return process

    def crash_ms(self, keepd):
        """SIGKILL; then from the start of the next one until it is ready."""
        before = keepd.identities()
        keepd.process.kill()
        keepd.process.wait()
        began = programs.now()
        keepd.process = self.launch(keepd)
        ready = self.until_ready()
        adoption = json.loads(keepd.keepctl("status", "--json"))["daemon"]["last_adoption"]
        if not adoption["ok"] or f"{keepd.count} processes untouched" not in adoption["text"]:
            raise AssertionError(f"not everything was taken over: {adoption['text']}")
        if keepd.identities() != before:
            raise AssertionError("a program was started again")
        return (ready - began) / 1e6


def compare(options, scratch, built, count, logged):
    kind = Logged if logged else Keepd
    directory = scratch / f"{count}-{'logged' if logged else 'null'}"
    directory.mkdir()
    reports = programs.Reports(directory / "reports")
    keepd = kind(built, reports, directory, [options.keepd.resolve(), options.keepd_b.resolve()], options.keepctl.resolve())
    manager = ServiceManager(directory / "notify")
    keepd.environment = lambda: {**Keepd.environment(keepd), "NOTIFY_SOCKET": manager.path, "FDSTORE": "8"}
    middle = MiddleDesign(built["middle_design"], count, LOGGED_DESCRIPTORS if logged else 0)
    gaps = {"middle": [], "keepd": []}
    result = {"n": count, "logged": logged}
    try:
        keepd.start(count)
        manager.until_ready()
        for number in range(options.rounds + 1):
            ours, theirs = keepd.upgrade(), middle.gap_ms()
            manager.until_ready()
            if number == 0:
                result["rss_first"] = programs.memory_kib(keepd.pid(), "Rss")
                continue  # each side's first is one of a young process
            gaps["keepd"].append(ours)
            gaps["middle"].append(theirs)
        result["rss_last"] = programs.memory_kib(keepd.pid(), "Rss")
        result["restarts"] = sum(keepd.reports.starts(name) for name in keepd.names()) - count
        if options.crashes:
            middle.stop()
            result["crash"] = statistics.median(manager.crash_ms(keepd) for _ in range(options.crashes))
    finally:
        middle.process.kill()
        keepd.stop()
        programs.kill_descendants()
    if result["restarts"]:
        raise AssertionError(f"{result['restarts']} programs were started again")
    for side, values in gaps.items():
        result[side] = {"p50": statistics.median(values), "p99": quantile(values, 0.99), "least": min(values)}
    result["ratio"] = statistics.median(ours / theirs for ours, theirs in zip(gaps["keepd"], gaps["middle"]))
    return result


def row(result):
    ours, theirs = result["keepd"], result["middle"]
    crash = result.get("crash")
    return " | ".join(["", f"{result['n']}, {'logged' if result['logged'] else 'to null'}", f"{theirs['p50']:.2f}",
                       f"{ours['p50']:.2f}", f"{result['ratio']:.2f}×", f"{ours['p99']:.2f}", f"{ours['p99'] / ours['p50']:.2f}×",
                       "–" if crash is None else f"{crash:.1f} ({crash / ours['p50']:.1f}×)",
                       f"{100 * (result['rss_last'] / result['rss_first'] - 1):+.1f} %", ""]).strip()


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=HERE.parents[1] / "build", help="meson build directory, of a release build")
    parser.add_argument("--n", default="100,1000", help="numbers of programs, with commas (100,1000)")
    parser.add_argument("--rounds", type=int, default=100, help="upgrades of each side (100)")
    parser.add_argument("--crashes", type=int, default=5, help="SIGKILLs of keepd (5)")
    parser.add_argument("--only", choices=["null", "logged"], help="programs' output")
    parser.add_argument("--json", type=Path, help="writes every figure here too")
    options = parser.parse_args(arguments)
    options.keepd = options.build / "daemon/host/keepd"
    options.keepd_b = options.build / "daemon/host/keepd-b"
    options.keepctl = options.build / "daemon/ctl/keepctl"
    return options


def main(arguments=None):
    options = parse(arguments)
    programs.become_subreaper()
    scratch = Path(tempfile.mkdtemp(prefix="keepd-bench-", dir="/dev/shm"))
    scratch.chmod(0o755)
    results = []
    try:
        built = programs.build_programs(scratch)
        for count in map(int, options.n.split(",")):
            for logged in (False, True):
                if options.only == ("null" if logged else "logged"):
                    continue
                if not enough_descriptors(count, logged):
                    say(f"{count} programs: the limit on descriptors is too low and may not be raised")
                    continue
                results.append(compare(options, scratch, built, count, logged))
                say(row(results[-1]))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print("| programs | middle design, ms | keepd, ms | ratio | p99 | to p50 | READY after SIGKILL (to p50) | memory since the first |")
    print("|" + "---|" * 8)
    for result in results:
        print(row(result))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
