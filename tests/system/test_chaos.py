#!/usr/bin/env python3
"""The chaos ledger: keepd is replaced again and again while everything happens to it, and the books balance exactly.

    KEEPD_FULL=1 python3 -B tests/system/test_chaos.py --build BUILD      10,000 upgrades (KEEPD_UPGRADES: another number)

Programs print numbered lines and pieces of lines, crash in loops with known codes at every millisecond, are stopped, started,
restarted, signalled, added, removed and changed by several clients at once; others follow events and logs. In the end
every line, start, exit, event and answer is there once, and says what happened.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from books import Notes, Notices, balance, sum_of
from harness import (ControlError, Keepd, at_once, check, check_equal, count, descriptors_of, eventually, main, program,
                     scenario, victim, zombies_below)
from ledger import check_ledger, check_lines, last_number, rotated
from stewards import Editor, Pace, Rival, Sluggard, Steward, Waiter

UPGRADES = int(os.environ.get("KEEPD_UPGRADES") or count(200, 10_000))
WRITERS, CRASHERS, BATCH = 3, 6, 60
IMPOSTORS = ("fails", "crashes", "nonsense", "forgets", "silent")
BAD_IMAGES = ("abort-0", "segfault-10", "throw-0", "exit-0", "trap-0", "lies-0")


class Chaos(Keepd):
    def __init__(self):
        super().__init__(daemon={"log": {"level": "warning", "target": "stderr"}})
        self.faults = []
        self.ledger = self.directory / "ledger"
        self.notes = Notes(self.ledger, self.faults)
        self.fifos = []
        self.lines = 0
        self.replaced = 0
        self.steady = {
            **{f"writer-{index}": self.writer(index) for index in range(WRITERS)},
            **{f"crasher-{index}": victim("exits", f"crasher-{index}", self.ledger, 40, restart=at_once(), stdout="null")
               for index in range(CRASHERS)},
            **{f"{name}": self.worker(name, "steady") for name in ("owned-0", "owned-1", "owned-2", "shared-0", "shared-1")},
            "slow": self.worker("slow", "lingers", stop={"timeout": "1h"}, autostart=False)}
        self.write(self.steady)

    def worker(self, name, tag, **more):
        return victim("worker", name, self.ledger, tag, stdout="null", **more)

    def writer(self, index):
        fifo = self.directory / f"go-{index}"
        os.mkfifo(fifo)
        self.fifos.append(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
        return victim("lines", 100_000_000, BATCH, fifo, stdout={
            "path": str(self.log_dir / f"writer-{index}.log"), "max_size": count("32KiB", "512KiB"), "max_files": 1000})

    def install(self, binary):
        """By another link to one of two copies, which takes no time: it happens thousands of times."""
        copy = self.directory / f"{binary}.copy"
        if not copy.exists():
            shutil.copy(program(binary), copy)
        fresh = self.directory / "keepd.new"
        os.link(copy, fresh)
        os.rename(fresh, self.bin)
        fresh.unlink(missing_ok=True)   # it was the same file already: rename(2) leaves both names

    def __exit__(self, *details):
        super().__exit__(*details)
        for fifo in self.fifos:
            os.close(fifo)

    # ---- upgrades: each of these ends with another image, or says why not

    def order(self, binary, **parameters):
        self.install(binary)
        with self.control() as control:
            answer = control.call("Upgrade", **parameters)
        check_equal(answer["replaced"], True, f"an upgrade to {binary}: {answer['text']}")
        self.replaced += 1
        check_equal(answer["generation"], self.replaced + 1, "the generation in the answer")

    def order_by_keepctl(self, binary):
        self.install(binary)
        self.upgrade()
        self.replaced += 1

    def order_by_rivals(self, binary):
        """Four ask at once: one gets it, to the others keepd says that it is busy, or has it already."""
        self.install(binary)
        controls = [self.control() for _ in range(4)]
        for control in controls:
            control.send("Upgrade")
        replaced = 0
        for control in controls:
            try:
                replaced += control.receive()["replaced"]
            except ControlError as error:
                check_equal(error.name, "io.keepd.Manager.Busy", f"an answer to a rival: {error}")
            control.close()
        check_equal(replaced, 1, "rivals who got their upgrade")
        self.replaced += 1

    def order_what_is_refused(self, mode):
        path = self.directory / f"impostor-{mode}"
        shutil.copy(program("impostor"), path)
        said = self.keepctl("upgrade", path, expect=1).stderr
        check("refused" in said or "failed" in said, f"a refusal: {said}")

    def order_what_is_rolled_back(self, mode):
        path = self.directory / f"keepd-{mode}"     # its name says what it does
        if not path.exists():
            shutil.copy(program("bad-image"), path)
        said = self.keepctl("upgrade", path, expect=1).stderr
        check("rolled back: " in said, f"an upgrade that had to be undone: {said}")

    def upgrade_once(self, number):
        binary = "keepd" if number % 2 else "keepd-b"
        kind = number % 12
        if kind == 3:
            self.order_by_keepctl(binary)
        elif kind == 5:
            self.order_by_rivals(binary)
        elif kind == 8:
            self.order_what_is_refused(IMPOSTORS[number // 12 % len(IMPOSTORS)])
            self.order(binary)
        elif kind == 9:
            self.order_what_is_rolled_back(BAD_IMAGES[number // 12 % len(BAD_IMAGES)])
            self.order(binary)
        elif kind == 10:
            self.order(binary)
            self.order(binary, force=True)  # once more, to the same build
        else:
            self.order(binary)

    def let_writers_write(self):
        for fifo in self.fifos:
            os.write(fifo, b".")
        self.lines += BATCH

    # ---- in the end

    def halt(self):
        for fifo in self.fifos:
            os.write(fifo, b"!")
        (self.directory / "ledger.halt").touch()
        self.notes.wait(lambda: len(self.notes.halted) == CRASHERS, "every crasher to halt")

    def check_all_is_told(self, notices):
        """All programs are at rest: what is to be told has been, once the newest notice has come."""
        with self.control() as control:
            newest = control.call("Events", since=0)["events"][-1]["number"]
        notices.wait(lambda: notices.first + len(notices.sums) > newest, "the newest notice")
        alive = {one["run"] for one in self.status()["programs"] if one["pid"]}
        check_equal(set(notices.runs_started) - set(notices.runs_ended), alive, "runs that were started and have not ended")
        return balance(self.notes, notices, self.writers())

    def check_logs(self, follower, followed):
        logs = [self.log_dir / f"writer-{index}.log" for index in range(WRITERS)]
        eventually(lambda: all(last_number(log) == self.lines for log in logs), "the last lines to be stored", 120)
        for log in logs:
            check_ledger(log, self.lines)
        check(len(rotated(logs[0])) > 5, f"rotation was on: {len(rotated(logs[0]))} files")
        whole = sum(path.stat().st_size for path in rotated(logs[0]))
        eventually(lambda: followed.stat().st_size >= whole, "keepctl logs -f to have shown all")
        check_equal(check_lines(followed.read_bytes(), "keepctl logs -f"), self.lines + 1, "lines that keepctl logs -f showed")
        check_equal(follower.poll(), None, "keepctl logs -f is still there")

    def check_status(self, notices):
        status = self.status()
        check_equal(status["daemon"]["generation"], self.replaced + 1, "generation")
        check_equal(notices.upgrades, self.replaced, "upgrades in the event stream")
        ends = {}
        for (name, _, _), times in self.notes.ended.items():
            ends[name] = ends.get(name, 0) + times
        for one in status["programs"]:
            if one["name"].startswith("crasher-"):
                check_equal(one["restarts"], ends[one["name"]], f"automatic restarts of {one['name']}")
            if one["name"].startswith("writer-"):
                log = self.log_dir / f"{one['name']}.log"
                check_equal(one["log"]["stdout"], {"path": str(log), "dropped_bytes": 0, "problem": "", "bytes": sum(
                    path.stat().st_size for path in rotated(log))}, "accounting of bytes")

    def writers(self):
        return {(one["name"], one["pid"]) for one in self.status()["programs"] if one["name"].startswith("writer-")}

    def follow(self, name, *arguments):
        output = self.directory / name
        with output.open("wb") as file:
            return subprocess.Popen([program("keepctl"), "--socket", self.socket, *arguments], stdout=file,
                                    stdin=subprocess.DEVNULL), output


def check_same_events(notices, told):
    """keepctl events -f has shown from some moment on what our own connection was told."""
    eventually(lambda: told.read_bytes()[-1:] == b"\n", "a whole last line")
    number = None
    with told.open() as file:
        for line in file:
            notice = json.loads(line)
            number = notice["number"] if number is None else number + 1
            check_equal(notice["number"], number, "number of a notice that keepctl showed")
            check_equal(sum_of(notice), notices.sums[number - notices.first], f"notice {number}, as keepctl showed it")
    return number


@scenario
def everything_balances():
    with Chaos() as keepd:
        keepd.start()
        notices = Notices(keepd.socket, keepd.faults)
        log_follower, followed = keepd.follow("followed", "logs", "-f", "-n", "1000000", "writer-0")
        event_follower, told = keepd.follow("told", "events", "-f", "--json")
        pace = Pace()
        hands = (keepd, keepd.notes, pace, keepd.faults)
        clients = [Steward(f"owned-{index}", *hands) for index in range(3)]
        clients += [Rival(f"rival-{index}", *hands) for index in range(2)]
        clients += [Sluggard("sluggard", *hands), Waiter("waiter", *hands), Editor("editor", *hands)]
        untouched = keepd.writers()
        began = time.monotonic()
        for number in range(UPGRADES):
            keepd.let_writers_write()
            keepd.upgrade_once(number)
            if keepd.faults:
                raise keepd.faults[0]
            pace.next()
            if (number + 1) % 1000 == 0:
                print(f"#   {number + 1} upgrades, {time.monotonic() - began:.0f} s", flush=True)
        pace.end()
        for client in clients:
            client.join(120)
            check(not client.is_alive(), f"{client.name} waits for an answer")
        if keepd.faults:
            raise keepd.faults[0]
        keepd.halt()
        silent = keepd.check_all_is_told(notices)
        keepd.check_logs(log_follower, followed)
        keepd.check_status(notices)
        check_equal(keepd.writers(), untouched, "the writers' pids")
        check_equal(event_follower.poll(), None, "keepctl events -f is still there")
        newest = notices.first + len(notices.sums) - 1
        eventually(lambda: check_same_events(notices, told) == newest, "keepctl events -f to have shown all")
        eventually(lambda: not zombies_below(keepd.pid), "no zombie")
        print(f"#   {keepd.replaced} upgrades in {time.monotonic() - began:.0f} s; {WRITERS * keepd.lines} lines, "
              f"{sum(notices.started.values())} starts ({silent} ended before a word), {sum(notices.ended.values())} exits, "
              f"{len(notices.sums)} notices, {sum(client.answers for client in clients)} answers")
        for follower in (log_follower, event_follower):
            follower.kill()
            follower.wait()
        notices.close()
        check_equal(keepd.stop(signal.SIGTERM), 0, "keepd's exit code")
        keepd.notes.close()


if __name__ == "__main__":
    sys.exit(main())
