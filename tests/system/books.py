"""The two sides of the chaos ledger: what the programs noted of themselves, and what keepd told in its event stream."""
import os
import signal
import threading
import zlib
from array import array
from collections import Counter

from harness import Deadline, Events, check, check_equal, start_time

SENT_BY_KEEPD = (-signal.SIGTERM, -signal.SIGKILL)


class Bookkeeper(threading.Thread):
    """Reads on until closed; who waits for something it read is woken."""

    def __init__(self, faults):
        super().__init__(daemon=True)
        self.changed = threading.Condition()
        self.faults = faults

    def run(self):
        try:
            while self.read_some():
                with self.changed:
                    self.changed.notify_all()
        except Exception as fault:  # noqa: BLE001 - told to the scenario
            self.faults.append(fault)

    def wait(self, seen, what, seconds=120):
        deadline = Deadline(seconds, what)
        with self.changed:
            while not seen():
                if self.faults:
                    raise self.faults[0]
                self.changed.wait(min(0.5, deadline.left()))


class Notes(Bookkeeper):
    """What programs write into the ledger, a FIFO: WHAT NAME PID DETAIL (see victim.cpp)."""

    def __init__(self, path, faults):
        super().__init__(faults)
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR)  # also for writing: it never ends
        self.path = path
        self.rest = b""
        self.started, self.ended, self.signaled = Counter(), Counter(), Counter()
        self.halted, self.terms, self.tags = set(), set(), {}
        self.start()

    def read_some(self):
        *lines, self.rest = (self.rest + os.read(self.fd, 1 << 16)).split(b"\n")
        for line in lines:
            what, name, pid, detail = line.decode().split()
            pid = int(pid)
            if what == "start":
                self.started[name, pid] += 1
                self.tags[name] = (pid, detail)
            elif what == "exit":
                self.ended[name, pid, int(detail)] += 1
            elif what == "usr1":
                self.signaled[name, pid] += 1
            elif what == "term":
                self.terms.add((name, pid))
            elif what == "halt":
                self.halted.add(name)
            else:
                return False    # "over", by close()
        return True

    def close(self):
        os.write(self.fd, b"over - 0 -\n")
        self.join()
        os.close(self.fd)


class Notices(Bookkeeper):
    """keepd's event stream, on one connection from the first start to the end."""

    def __init__(self, socket, faults):
        super().__init__(faults)
        self.events = Events(socket, since=0)
        self.first = None
        self.sums = array("I")  # of each notice, by its number: for the comparison with another reader
        self.started, self.ended, self.runs_started, self.runs_ended = Counter(), Counter(), {}, {}
        self.kinds, self.upgrades = Counter(), 0
        self.closing = False
        for notice in self.events.seen:     # from keepd's start on
            self.enter(notice)
        self.start()

    def read_some(self):
        try:
            for notice in self.events.control.receive(3600)["events"]:
                self.enter(notice)
        except (ConnectionError, OSError, ValueError):
            if self.closing:
                return False
            raise
        return True

    def enter(self, notice):
        if self.first is None:
            self.first = notice["number"]
        check_equal(notice["number"], self.first + len(self.sums), "number of a notice")
        self.sums.append(sum_of(notice))
        self.kinds[notice["kind"]] += 1
        if notice["kind"] == "started":
            check(notice["run"] not in self.runs_started, f"run {notice['run']} started twice")
            self.runs_started[notice["run"]] = None
            self.started[notice["program"], notice["pid"]] += 1
        elif notice["kind"] == "exited":
            check(notice["run"] in self.runs_started, f"run {notice['run']} ended without a start")
            check(notice["run"] not in self.runs_ended, f"run {notice['run']} ended twice")
            self.runs_ended[notice["run"]] = None
            self.ended[notice["program"], notice["pid"], outcome(notice["exit"])] += 1
        elif notice["kind"] == "upgrade" and notice["text"].startswith("upgraded from"):
            self.upgrades += 1

    def close(self):
        self.closing = True
        self.events.control.socket.shutdown(2)
        self.join()
        self.events.close()


def sum_of(notice):
    told = (notice["number"], notice["kind"], notice["program"], notice["run"], notice.get("pid"), notice["state"],
            notice["text"])
    return zlib.crc32(repr(told).encode())


def outcome(exit_view):
    return exit_view["code"] if exit_view.get("code") is not None else -signal.Signals[exit_view["signal"]].value


def balance(notes, notices, mute):
    """Whether both sides tell the same story, once nothing happens any more.

    A run that keepd ended before its program could say a word is on one side only: it was started, and it ended by a signal
    of keepd's. Every other start and every other end stands in both. `mute`: who never says anything, as (name, pid).
    """
    check_equal(notes.started - notices.started, Counter(), "runs that keepd told nothing of")
    silent = Counter({run: times for run, times in (notices.started - notes.started).items() if run not in mute})
    check_equal(notes.ended - notices.ended, Counter(), "ends that were not told, or with another code")
    unexpected = notices.ended - notes.ended
    cut_short = Counter()
    for (name, pid, code), times in unexpected.items():
        check(code in SENT_BY_KEEPD, f"{name} (pid {pid}) is said to have ended with {code} and noted nothing of it")
        cut_short[name, pid] += times
    check_equal(cut_short, silent, "runs that ended without a note, and runs that never wrote one")
    return sum(silent.values())


class Life:
    """A process by more than its number."""

    def __init__(self, pid):
        self.pid = pid
        self.born = start_time(pid)

    def is_over(self):
        return start_time(self.pid) != self.born
