#!/usr/bin/env python3
"""Builds every flavour, runs every test, and says what ran: tally.py [--full] [--flavour NAME]...

Each flavour is one meson build directory, build-NAME in the source tree. While the tests of one run, most of which wait for
processes and clocks, the next one is built with what the processors have left. Test cases are counted one by one where the
test says what they were (doctest's summary, TAP lines, unittest's summary); a test that says nothing counts as one.
A build that fails, a crash, a time-out and a sanitizer's report each count as a failure. Skipped cases are listed with
their reason. The last line is "N passed, N failed"; the exit code is 0 only if nothing failed.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = 77  # exit code of a test that could not run at all, as in automake and meson


@dataclass
class Flavour:
    name: str
    why: str
    options: list
    wants: object  # (test as meson introspects it) -> whether this flavour runs it
    compiler: str = "g++"
    wrapper: list = field(default_factory=list)  # in front of each test program
    environment: dict = field(default_factory=dict)


def suites(test):
    return {suite.split(":")[-1] for suite in test["suite"]}


def has_its_turn(test):
    return "full" not in suites(test) or "--full" in sys.argv


def is_unit(test):
    return not suites(test) & {"system", "house", "fuzz"}


# Each call of a start failing in turn, for each errno: thousands of processes, which under a sanitizer take minutes.
SLOW = set() if "--full" in sys.argv else {"exec-failures"}

# Where threads are: the log pump, and the exec library's streams, contexts and starts.
THREADED = {"exec-commands", "exec-processes", "exec-streams"}


def has_threads(test):
    return ("pump" in test["name"] or test["name"] in THREADED) and is_unit(test)


# Newer kernels place mappings where an older ThreadSanitizer cannot stand them; without randomisation it can.
WITHOUT_ASLR = ["setarch", "-R"] if shutil.which("setarch") else []

# Headers are most of what a build reads: they are read once for a room.
QUICKER = ["-Db_pch=true", "-Dunity=subprojects"]

FLAVOURS = [
    # File by file and without precompiled headers, once in a while: then each shows that it includes what it uses.
    Flavour("plain", "everything, warnings are errors", ["-Dwerror=true", "-Ddebug=false", "-Dcpp_args=-g1",
                                                         *([] if "--full" in sys.argv else QUICKER)],
            lambda test: "fuzz" not in suites(test) and has_its_turn(test)),
    # With clang, whose instrumented code builds in a third of g++'s time, and whose libFuzzer wants the same libraries.
    Flavour("asan", "unit tests and bounded fuzzing under AddressSanitizer and UndefinedBehaviorSanitizer",
            ["-Dwerror=true", "-Db_sanitize=address,undefined", "-Doptimization=0", *QUICKER,
             # The vptr check looks at memory through a pipe of its own: tests that use up all descriptors would fail by it.
             "-Dcpp_args=-gline-tables-only -fno-sanitize=vptr -Wno-deprecated-declarations"],
            lambda test: (is_unit(test) and test["name"] not in SLOW) or "fuzz" in suites(test), compiler="clang++-19",
            # The plain flavour walks the long random histories; under the sanitizers short ones take as long.
            environment={"KEEPD_SEEDS": "60", "ASAN_OPTIONS": "detect_stack_use_after_return=1:abort_on_error=0",
                         "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}),
    Flavour("tsan", "what has threads under ThreadSanitizer",
            ["-Db_sanitize=thread", "-Doptimization=0", *QUICKER, "-Dcpp_args=-gline-tables-only"], has_threads,
            compiler="clang++-19", wrapper=WITHOUT_ASLR, environment={"TSAN_OPTIONS": "halt_on_error=1"}),
]


# Before a command that others go before. The kernel schedules a session as a group, whose weight counts as well.
STANDING_BACK = ["sh", "-c", 'echo 19 >/proc/self/autogroup; exec nice -n 19 "$@"', "sh"]


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skips: list = field(default_factory=list)  # "case: reason"

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skips += other.skips
        return self


DOCTEST = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")
UNITTEST = re.compile(r"^Ran (\d+) tests? in .*\n\n(?:OK|FAILED)(?: \((.*)\))?$", re.M)
TAP = re.compile(r"^(ok|not ok)\b *(?:\d+ *)?(?:- *)?(.*)$", re.M)
TAP_SKIP = re.compile(r"^(.*?) *# *skip\w*:? *(.*)$", re.I)
UNITTEST_SKIP = re.compile(r"^(.*?) \.\.\. skipped ['\"](.*)['\"]$", re.M)


def count_cases(name, text, code):
    """What one test program said of itself; `code` is its exit code, None if it was ended for taking too long."""
    count = Count()
    spoke = False
    for match in DOCTEST.finditer(text):
        spoke = True
        count.passed += int(match[2])
        count.failed += int(match[3])
        count.skips += [f"{name}: a doctest case that its own decorator skips"] * int(match[4])
    for match in UNITTEST.finditer(text):
        spoke = True
        details = dict(re.findall(r"(\w[\w ]*?)=(\d+)", match[2] or ""))
        failed = int(details.get("failures", 0)) + int(details.get("errors", 0))
        skipped = int(details.get("skipped", 0))
        count.failed += failed
        count.passed += max(int(match[1]) - failed - skipped, 0)
        reasons = [f"{name}: {case}: {reason}" for case, reason in UNITTEST_SKIP.findall(text)]
        count.skips += (reasons + [f"{name}: no reason given"] * skipped)[:skipped]
    if not spoke:
        for verdict, rest in TAP.findall(text):
            spoke = True
            skip = TAP_SKIP.match(rest)
            if verdict == "ok" and skip:
                count.skips.append(f"{name}: {skip[1]}: {skip[2]}")
            elif verdict == "ok":
                count.passed += 1
            else:
                count.failed += 1
    if code == SKIPPED and not count.failed:
        if not count.skips:
            reason = (text.strip().splitlines() or ["no reason given"])[-1]
            count.skips.append(f"{name}: {reason}")
    elif code == 0 and not spoke:
        count.passed += 1
    elif code != 0 and not count.failed:
        count.failed += 1  # a crash, a time-out, or a sanitizer's report at the end
    return count


def say(text=""):
    print(text, flush=True)


class Runner:
    def __init__(self, full):
        self.full = full
        self.total = Count()
        self.rows = []

    def environment(self, flavour):
        env = dict(os.environ, **flavour.environment)
        ccache = "ccache " if shutil.which("ccache") else ""
        env["CXX"] = ccache + flavour.compiler
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        if self.full:
            env["KEEPD_FULL"] = "1"
        else:
            env.pop("KEEPD_FULL", None)
        return env

    def fail(self, flavour, what, output):
        self.total.failed += 1
        self.rows.append((flavour.name, what, Count(failed=1), None))
        say(output.rstrip())
        say(f"FAILED: {flavour.name}: {what}")

    def build(self, flavour, env):
        """Configures, and builds what the chosen tests need. The tests, or None if the build failed."""
        directory = ROOT / f"build-{flavour.name}"
        began = time.monotonic()
        if not (directory / "build.ninja").exists():
            setup = subprocess.run(["meson", "setup", "--buildtype=debugoptimized", *flavour.options, str(directory)],
                                   cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if setup.returncode:
                shutil.rmtree(directory, ignore_errors=True)
                return self.fail(flavour, "meson setup", setup.stdout)
        # Reconfigures first if a meson.build changed, so that the list of tests is today's.
        ninja = subprocess.run(["ninja", "-C", str(directory), "build.ninja"], env=env, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if ninja.returncode:
            return self.fail(flavour, "meson setup", ninja.stdout)
        tests = [test for test in self.introspect(directory, "--tests") if flavour.wants(test)]
        files = {target["id"]: target["filename"] for target in self.introspect(directory, "--targets")}
        targets = {os.path.relpath(name, directory)
                   for test in tests for target in test["depends"] for name in files.get(target, [])}
        if flavour.name == "plain":
            targets = set()  # all of it: what no test needs must compile as well
        elif not tests:
            return []
        ninja = subprocess.run([*STANDING_BACK, "ninja", "-C", str(directory), "-k", "20", *sorted(targets)], env=env,
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        if ninja.returncode:
            return self.fail(flavour, "build", "\n".join(
                line for line in ninja.stdout.splitlines() if not line.startswith(("[", "ninja: Entering"))))
        say(f"{flavour.name}: built in {time.monotonic() - began:.0f} s")
        return tests

    @staticmethod
    def introspect(directory, what):
        return json.loads(subprocess.run(["meson", "introspect", what, str(directory)], check=True, text=True,
                                         stdout=subprocess.PIPE).stdout)

    def run_all(self, flavours):
        with ThreadPoolExecutor(max_workers=1) as builder:
            builds = [(flavour, builder.submit(self.build, flavour, self.environment(flavour))) for flavour in flavours]
            for flavour, build in builds:
                self.run(flavour, build.result())

    def run(self, flavour, tests):
        say(f"== {flavour.name}: {flavour.why}")
        env = self.environment(flavour)
        if tests is None:
            return
        if not tests:
            return self.fail(flavour, "no test found", "this flavour is expected to run something")
        directory = ROOT / f"build-{flavour.name}"
        # meson puts a wrapper's name behind the log's.
        suffix = f"-{Path(flavour.wrapper[0]).name}" if flavour.wrapper else ""
        log = directory / "meson-logs" / f"{flavour.name}{suffix}.json"
        log.unlink(missing_ok=True)
        command = ["meson", "test", "-C", str(directory), "--no-rebuild", "--logbase", flavour.name, "--quiet",
                   "--timeout-multiplier", "20" if self.full else "4", *sorted({test["name"] for test in tests})]
        if flavour.wrapper:
            command += ["--wrapper", " ".join(flavour.wrapper)]
        meson = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        results = {}
        if log.exists():
            results = {result["name"].split(" / ")[-1]: result for result in map(json.loads, log.open())}
        for test in tests:
            result = results.get(test["name"])
            if result is None:
                self.fail(flavour, f"{test['name']} did not run", meson.stdout)
            else:
                self.judge(flavour, test["name"], result)

    def judge(self, flavour, name, result):
        output = (result.get("stdout") or "") + (result.get("stderr") or "")
        code = None if result["result"] == "TIMEOUT" else result["returncode"]
        count = count_cases(name, output, code)
        self.total += count
        self.rows.append((flavour.name, name, count, result["duration"]))
        if count.failed:
            say(f"---- {flavour.name}: {name}: {result['result']}, exit code {result['returncode']} " + "-" * 20)
            say(output.rstrip())
            say(f"FAILED: {flavour.name}: {name}")

    def report(self):
        say()
        say(f"{'build':<7} {'test':<34} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
        for flavour, name, count, seconds in self.rows:
            took = "" if seconds is None else f"{seconds:.1f}"
            say(f"{flavour:<7} {name:<34} {count.passed:>7} {count.failed:>7} {len(count.skips):>8} {took:>8}")
        if self.total.skips:
            say(f"\n{len(self.total.skips)} skipped:")
            for reason in self.total.skips:
                say(f"  {reason}")
        say()
        say(f"{self.total.passed} passed, {self.total.failed} failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="full counts (hours are not needed, minutes are)")
    parser.add_argument("--flavour", action="append", choices=[flavour.name for flavour in FLAVOURS])
    options = parser.parse_args()
    runner = Runner(options.full)
    runner.run_all([flavour for flavour in FLAVOURS if not options.flavour or flavour.name in options.flavour])
    runner.report()
    return 1 if runner.total.failed or not runner.total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
