"""Clients that ask keepd for things all the while it is being replaced, and check that what it answers is true."""
import random
import subprocess
import threading

from books import Life
from harness import Control, ControlError, check, check_equal, program


class Pace:
    """So many turns for each client as there were upgrades, and the word to stop."""

    def __init__(self):
        self.changed = threading.Condition()
        self.turn = 0
        self.over = False

    def next(self):
        with self.changed:
            self.turn += 1
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def await_turn(self, number):
        """Whether there is one more."""
        with self.changed:
            self.changed.wait_for(lambda: self.turn >= number or self.over)
            return not self.over


class Client(threading.Thread):
    """One connection for its whole life; one request, one answer."""
    every = 1   # acts at each so manieth upgrade

    def __init__(self, name, keepd, notes, pace, faults):
        super().__init__(name=name, daemon=True)
        self.keepd, self.notes, self.pace, self.faults = keepd, notes, pace, faults
        self.control = Control(keepd.socket)
        self.random = random.Random(name)
        self.answers = 0
        self.start()

    def run(self):
        turn = self.every
        try:
            while self.pace.await_turn(turn):
                self.act()
                turn = max(turn + self.every, self.pace.turn)
            self.leave()
            self.control.send("Status", names=[])   # whatever came before its answer was one too many
            check("daemon" in self.control.receive(), f"{self.name}: the answer to the last request")
            check_equal(self.control.buffer, b"", f"{self.name}: what came after the last answer")
        except Exception as fault:  # noqa: BLE001 - told to the scenario
            self.faults.append(AssertionError(f"{self.name}: {type(fault).__name__}: {fault}"))

    def leave(self):
        pass

    def call(self, method, **parameters):
        self.answers += 1
        return self.control.call(method, **parameters)

    def status(self, name):
        return self.call("Status", names=[name], usage=False)["programs"][0]


class Steward(Client):
    """The only one who touches its program: every answer can be checked."""

    def act(self):
        self.random.choice([self.stop, self.restart, self.restart, self.signal, self.pipeline])()

    def leave(self):
        self.order("Start")

    def order(self, method):
        results = self.call(method, names=[self.name])["results"]
        check_equal([(one["name"], one["ok"], one["done"]) for one in results], [(self.name, True, True)], f"{method}")

    def alive(self):
        status = self.status(self.name)
        check_equal(status["state"], "running", f"the state of {self.name}")
        return Life(status["pid"]), status

    def stop(self):
        self.order("Start")
        life, before = self.alive()
        self.order("Stop")
        check(life.is_over(), f"{self.name} (pid {life.pid}) lives after a stop")
        status = self.status(self.name)
        check_equal((status["state"], status["pid"], status["run"]), ("stopped", None, before["run"]), "after a stop")
        self.order("Start")
        check(self.alive()[1]["run"] > before["run"], "a start makes a run")

    def restart(self):
        life, before = self.alive()
        self.order("Restart")
        check(life.is_over(), f"{self.name} (pid {life.pid}) lives after a restart")
        check(self.alive()[1]["run"] > before["run"], "a restart makes a run")

    def signal(self):
        pid = self.alive()[0].pid
        self.notes.wait(lambda: self.notes.tags.get(self.name, (0,))[0] == pid, f"{self.name} to be ready for signals")
        before = self.notes.signaled[self.name, pid]
        results = self.call("Signal", names=[self.name], signal="USR1")["results"]
        check_equal([(one["ok"], one["text"]) for one in results], [(True, "SIGUSR1 sent")], "answer to a signal")
        self.notes.wait(lambda: self.notes.signaled[self.name, pid] == before + 1, "the signal to arrive, once")

    def pipeline(self):
        """Several requests in one breath: as many answers, in that order."""
        run = self.alive()[1]["run"]
        self.control.send("Restart", names=[self.name])
        self.control.send("Status", names=[self.name], usage=False)
        self.control.send("Stop", names=[self.name])
        self.control.send("Status", names=[self.name], usage=False)
        self.control.send("Start", names=[self.name])
        self.answers += 5
        check(self.control.receive()["results"][0]["ok"], "the first of five answers")
        check(self.control.receive()["programs"][0]["run"] > run, "the second of five answers")
        check(self.control.receive()["results"][0]["ok"], "the third of five answers")
        check_equal(self.control.receive()["programs"][0]["state"], "stopped", "the fourth of five answers")
        check(self.control.receive()["results"][0]["ok"], "the fifth of five answers")


class Rival(Client):
    """One of several who order the same programs about: some answers are that another one was faster."""

    def act(self):
        name = self.random.choice(["shared-0", "shared-1", "shared-*"])
        try:
            results = self.call(self.random.choice(["Stop", "Start", "Restart"]), names=[name])["results"]
            check(all(one["ok"] and one["done"] for one in results), f"an answer of success: {results}")
        except ControlError as error:
            check_equal(error.name, "io.keepd.Manager.Failed", f"an answer to a rival: {error}")


class Sluggard(Client):
    """Asks for more than a socket holds and does not read: what is half written then must be carried."""
    every = 4
    REQUESTS = 40
    owed = 0

    def act(self):
        if self.owed:
            self.leave()
            return
        for _ in range(self.REQUESTS):
            self.control.send("Status")
        self.owed = self.REQUESTS

    def leave(self):
        names = None
        while self.owed:
            got = [one["name"] for one in self.control.receive()["programs"] if not one["name"].startswith("changing-")]
            check_equal(got, names or got, "the programs in an answer that waited")
            names = got
            self.owed -= 1
            self.answers += 1


class Waiter(Client):
    """`keepctl stop` of a program that takes its time: it returns when the program has ended, some images later."""
    every = 5
    waiting = None

    def act(self):
        if self.waiting:
            self.leave()
        check_equal(self.call("Start", names=["slow"])["results"][0]["ok"], True, "the start of what is slow")
        self.life = Life(self.status("slow")["pid"])
        self.notes.wait(lambda: self.notes.tags.get("slow", (0,))[0] == self.life.pid, "what is slow to be ready")
        self.waiting = subprocess.Popen([program("keepctl"), "--socket", self.keepd.socket, "stop", "slow"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.notes.wait(lambda: ("slow", self.life.pid) in self.notes.terms, "the stop to have begun")
        self.notes.terms.clear()

    def leave(self):
        if not self.waiting:
            return
        check_equal(self.waiting.poll(), None, "keepctl stop, while the program lives")
        self.call("Signal", names=["slow"], signal="USR2")
        said = self.waiting.communicate(timeout=60)[0]
        check_equal(self.waiting.returncode, 0, f"keepctl stop: {said}")
        check(self.life.is_over(), "what is slow lives after keepctl stop")
        self.waiting = None


class Editor(Client):
    """Adds, removes and changes programs, and reloads."""
    every = 3
    edition = 0

    def act(self):
        self.edition += 1
        entries = {f"changing-{index}": f"v{self.edition if self.random.random() < 0.5 else 0}" for index in range(4)
                   if self.random.random() < 0.7}
        self.keepd.write({**self.keepd.steady, **{name: self.keepd.worker(name, tag) for name, tag in entries.items()}})
        self.call("Reload")
        status = {one["name"]: one for one in self.call("Status", usage=False)["programs"]}
        check_equal(sorted(name for name in status if name.startswith("changing-")), sorted(entries), "programs after a reload")
        for name, tag in entries.items():
            check_equal(status[name]["state"], "running", f"{name} after a reload")
            self.notes.wait(lambda name=name, tag=tag: self.notes.tags.get(name) == (status[name]["pid"], tag),
                            f"{name} to run as the config has it ({tag})")
