#!/usr/bin/env python3
"""At the k-th system call of an upgrade a failure instead of the call: an old or a new image serves, and nobody noticed.

Every system call of keepd's main thread from the request to its answer that can fail (see faults.py) is made to fail once
with each errno that its manual page gives it; the fast tier takes some, others each day. Between the exec and the new
image's first own call there is the loader, which nothing can guard and which the rehearsal has seen succeed: left out.
"""
import os
import re
import sys
from collections import Counter

from faults import DONE_ALL_THE_SAME, chosen, failures_of
from harness import (Keepd, at_once, check, check_equal, count, descriptors_of, eventually, main, scenario_for,
                     start_time, victim)
from ledger import check_ledger, last_number
from tracer import Tracer, keepctl_begun, name_of

EXECS = ("execve", "execveat")
GUARD = ("sigaltstack", "rt_sigaction")   # with one of these the new image begins
BATCH = 3   # lines that the writer writes in each case
SAMPLES = count(30, None)


class Injection:
    """look() for a tracer: of the calls before or after the exec, the first from the number-th on that can fail so does."""

    def __init__(self, pid, side=None, number=None, code=None):
        self.pid, self.side, self.number, self.code = pid, side, number, code
        self.now = "before the exec"
        self.calls = {"before the exec": [], "after the exec": []}  # every entry: its name, and the failures that it can meet
        self.injected = None
        self.at_exit = None
        self.loading = False

    def __call__(self, call):
        if not call.is_entry:
            if self.at_exit:
                self.at_exit()
            return bool(self.at_exit)
        name = call.name
        if self.loading and name in GUARD:
            self.loading = False
        failures = () if self.loading else failures_of(name, call.arguments, self.target)
        calls = self.calls[self.now]
        calls.append((name, failures))
        side = self.now
        if name in EXECS:
            self.loading, self.now = True, "after the exec"
        if side != self.side or len(calls) <= self.number or self.code not in failures:
            return False
        self.injected = f"{name_of(self.code)} at call {len(calls) - 1} {side} ({name})"
        self.at_exit = call.fail(self.code, done=name in DONE_ALL_THE_SAME)
        return self.at_exit is None

    def target(self, fd):
        try:
            return os.readlink(f"/proc/{self.pid}/fd/{fd}")
        except OSError:
            return ""


class Subject:
    """A keepd that goes through case after case."""

    def __init__(self):
        self.keepd = Keepd()
        self.fifo = self.keepd.directory / "go"
        os.mkfifo(self.fifo)
        self.go = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        self.lines = 0
        self.output = self.keepd.directory / "said"
        self.keepd.write({"writer": victim("lines", 10_000_000, BATCH, self.fifo),
                          "one": victim("pause", restart=at_once()), "off": victim("pause", autostart=False)})
        self.keepd.start()
        self.events = self.keepd.events()
        self.run(self.injection())   # once, so that all that is done only once has been done
        # An image that has spawned keeps one of /dev/null: as after a refusal, and as after an upgrade.
        self.descriptors = [self.descriptors_at_rest()]
        self.keepd.upgrade("--rehearse-only")
        self.descriptors.append(self.descriptors_at_rest())

    def close(self):
        self.events.close()
        os.close(self.go)
        self.keepd.__exit__(None)

    def descriptors_at_rest(self):
        with self.keepd.control() as control:
            for _ in range(2):  # what was closed before the first answer has been noticed before the second
                control.call("Status")
            return Counter(re.sub(r"\d+", "N", target) for target in descriptors_of(self.keepd.pid).values())

    def picture(self):
        status = self.keepd.status()
        return (start_time(self.keepd.pid), status["daemon"]["pid"],
                [(one["name"], one["state"], one["pid"], start_time(one["pid"] or 0), one["run"], one["restarts"])
                 for one in status["programs"]])

    def run(self, injection):
        return Tracer(self.keepd.pid).run(keepctl_begun(self.keepd, self.output, "upgrade", "--force"), injection)

    def injection(self, *what):
        return Injection(self.keepd.pid, *what)

    def undergo(self, injection):
        before, generation = self.picture(), self.keepd.generation()
        os.write(self.go, b".")
        self.lines += BATCH
        code = self.run(injection)
        check(code is not None, "keepd ended")
        check_equal(self.picture(), before, "processes, states, runs and restarts")
        daemon = self.keepd.status()["daemon"]
        said = self.output.read_text()
        check(code in (0, 1, 4, 6), f"keepctl's exit code: {code}: {said}")
        check_equal(daemon["generation"], generation + (code == 0), f"generation after keepctl said ({code}): {said}")
        check_equal(daemon["upgrading"], False, "an upgrade under way")
        if code == 1:
            check_equal(daemon["last_upgrade"]["ok"], False, f"last_upgrade after: {said}")
        self.check_events(code)
        self.check_descriptors()
        return code, said.strip()

    def check_descriptors(self):
        """None is left open, and none is missing but what is only good to have (reserved numbers, one of /dev/null)."""
        after_upgrade, after_refusal = self.descriptors
        least = Counter({one: times for one, times in after_upgrade.items() if "reserved" not in one and one != "/dev/null"})
        now = Counter()

        def same():
            nonlocal now
            now = self.descriptors_at_rest()
            return not now - after_refusal and not least - now
        try:
            eventually(same, "the descriptors of an undisturbed upgrade", 5)
        except TimeoutError:
            raise AssertionError(f"descriptors: too many: {now - after_refusal}, missing: {least - now}") from None

    def check_events(self, code):
        """The stream has gone on, number by number, and tells the end of the upgrade as keepctl did."""
        if code in (0, 1):
            self.events.wait(lambda notice: notice["kind"] == "upgrade" and not notice["text"].startswith("begins"),
                             "the end of the upgrade in the event stream", 10)
        seen = self.events.drain()
        numbers = [notice["number"] for notice in seen]
        check_equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "numbers of notices")
        odd = [notice for notice in seen if notice["kind"] not in ("upgrade", "started", "state")]
        check_equal(odd, [], "notices of anything but the upgrade")

    def balance(self):
        os.write(self.go, b"!")
        log = self.keepd.log_dir / "writer.log"
        eventually(lambda: last_number(log) == self.lines, "the last line", 10)
        check_ledger(log, self.lines)


@scenario_for([("before_the_exec", "before the exec"), ("after_the_exec", "after the exec")])
def a_failure_at_any_system_call_disturbs_nobody(side):
    subject = Subject()
    try:
        undisturbed = subject.injection()
        check_equal(subject.undergo(undisturbed)[0], 0, "keepctl's exit code without a failure")
        calls = undisturbed.calls[side]
        check(len(calls) > 50 and not undisturbed.loading, f"an upgrade of {len(calls)} calls {side} is none")
        cases = chosen([(number, code) for number, (_, failures) in enumerate(calls) for code in failures], SAMPLES)
        done, faults, answers = 0, [], Counter()
        for number, code in cases:
            injection = subject.injection(side, number, code)
            try:
                exit_code, _ = subject.undergo(injection)
                done += injection.injected is not None
                answers[exit_code] += 1
            except Exception as fault:  # noqa: BLE001 - each is one finding; the others are worth having, too
                faults.append(f"{injection.injected}: {fault}")
                print(f"#   {faults[-1]}", flush=True)
                subject.keepd.report(4)
                subject.close()
                subject = Subject()
        print(f"#   {len(calls)} calls, {done} failures {side}, keepctl's exit codes: {dict(answers)}", flush=True)
        check_equal(len(faults), 0, f"disturbances: {faults}")
        check(done > len(cases) * 0.8, f"most of the failures met a call: {done} of {len(cases)}")
        check_equal(subject.undergo(subject.injection())[0], 0, "keepctl's exit code for an undisturbed upgrade afterwards")
        subject.balance()
    finally:
        subject.close()


if __name__ == "__main__":
    sys.exit(main())
