#!/usr/bin/python3
"""keepd's figures as a whole daemon, each beside its floor in the same run: daemon_bench.py --build DIR [--n N] [--only WORDS]

The floor is floor_supervisor.cpp, the least that a supervisor can do. Both sides take turns, so that what else the machine
does hits both: believe the ratios, and the absolute figures only of a quiet machine. README.md says what each means.
"""
import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import threading
from pathlib import Path

import bench_programs as programs
from bench_supervisors import Floor, FloorWithSessions, Keepd

HERE = Path(__file__).resolve().parent


# ---- arithmetic ----------------------------------------------------------------------------------------------------

def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values):
    return {"median": statistics.median(values), "p99": quantile(values, 0.99), "least": min(values), "most": max(values),
            "samples": len(values)}


class Figure:
    """One line of the table. `target` is a bound on keepd's figure, `ratio_target` one on its ratio to the floor."""

    def __init__(self, name, unit, floor, keepd, target=None, ratio_target=None, details=None):
        self.name, self.unit, self.floor, self.keepd = name, unit, floor, keepd
        self.target, self.ratio_target, self.details = target, ratio_target, details or {}

    @property
    def ratio(self):
        return self.keepd / self.floor if self.floor else None

    @property
    def met(self):
        if self.target is not None:
            return self.keepd <= self.target
        return None if self.ratio_target is None or self.ratio is None else self.ratio <= self.ratio_target

    def row(self):
        def text(value):
            return "–" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
        target = (f"≤ {self.target:g} {self.unit}" if self.target is not None
                  else f"≤ {self.ratio_target:g}×" if self.ratio_target is not None else "")
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        ratio = f"{self.ratio:.2f}×" if self.ratio else "–"
        return f"| {self.name} | {self.unit} | {text(self.floor)} | {text(self.keepd)} | {ratio} | {target} | {met} |"

    def as_json(self):
        return {"name": self.name, "unit": self.unit, "floor": self.floor, "keepd": self.keepd, "ratio": self.ratio,
                "target": self.target, "ratio_target": self.ratio_target, "met": self.met, **self.details}


def say(*words):
    print(*words, file=sys.stderr, flush=True)


# ---- the figures ---------------------------------------------------------------------------------------------------

def measure_start(floor, sessions, keepd, options):
    seconds = {floor: [], sessions: [], keepd: []}
    for _ in range(options.rounds):
        for side in seconds:
            seconds[side].append(side.start(options.n))
            side.stop()
        say("start:", ", ".join(f"{side.name} {taken[-1]:.3f} s" for side, taken in seconds.items()))
    floor_s, sessions_s, keepd_s = map(statistics.median, seconds.values())
    yield Figure(f"start of {options.n} programs until all run", "s", floor_s, keepd_s, ratio_target=1.3,
                 details={"runs": {side.name: taken for side, taken in seconds.items()}})
    yield Figure("start, beside a floor with sessions", "s", sessions_s, keepd_s)


def measure_memory(floor, _, keepd, options):
    kib, private = {}, {}
    for count in (options.n, 2 * options.n):
        for side in (floor, keepd):
            side.start(count)
            programs.pause(options.calm)
            kib[side, count] = programs.memory_kib(side.pid())
            private[side, count] = programs.memory_kib(side.pid(), "Private_Dirty")
            say(f"memory: {side.name} with {count}: {kib[side, count]} KiB")
            side.stop()
    yield Figure(f"memory (PSS) with {options.n} programs", "MiB", kib[floor, options.n] / 1024, kib[keepd, options.n] / 1024,
                 target=8 if options.n <= 1000 else None, details={"private_dirty_kib": private[keepd, options.n]})
    yield Figure("memory of each further program", "KiB", (kib[floor, 2 * options.n] - kib[floor, options.n]) / options.n,
                 (kib[keepd, 2 * options.n] - kib[keepd, options.n]) / options.n, target=3)


def measure_restart(floor, sessions, keepd, options):
    latencies = {floor: [], sessions: [], keepd: []}
    rhythm = random.Random(7)
    for k in range(options.samples):
        for side in latencies:
            names = side.names()
            latencies[side].append(side.restart_ms(names[k * 37 % len(names)]))
            programs.pause(0.01 + 0.01 * rhythm.random())
    of_floor, of_sessions, of_keepd = map(spread, latencies.values())
    yield Figure("restart, SIGKILL to the new process, median", "ms", of_floor["median"], of_keepd["median"], ratio_target=1.5,
                 details={"floor_spread": of_floor, "keepd_spread": of_keepd})
    yield Figure("restart, beside a floor with sessions", "ms", of_sessions["median"], of_keepd["median"])
    yield Figure("restart, p99", "ms", of_floor["p99"], of_keepd["p99"])


def measure_idle(floor, _, keepd, options):
    programs.pause(options.calm)
    before = {side: programs.work_of(side.pid()) for side in (floor, keepd)}
    programs.pause(options.idle)
    did = {side: [b - a for a, b in zip(before[side], programs.work_of(side.pid()))] for side in (floor, keepd)}
    yield Figure(f"idle for {options.idle:g} s, CPU", "ms", did[floor][0] / 1e6, did[keepd][0] / 1e6, target=0)
    yield Figure(f"idle for {options.idle:g} s, context switches", "", did[floor][1], did[keepd][1], target=0)


def measure_reload(floor, _, keepd, options):
    before = keepd.identities()
    taken = {"floor": [], "signal": [], "keepctl": []}
    changed = set()
    for k in range(options.rounds * 2):
        name = keepd.names()[k * 37 % keepd.count]
        changed.add(name)
        taken["floor"].append(floor.change_ms(floor.names()[k * 37 % floor.count], floor.reload_by_signal))
        taken["signal"].append(keepd.change_ms(name, keepd.reload_by_signal))
        taken["keepctl"].append(keepd.change_ms(name, keepd.reload_by_keepctl))
    after = keepd.identities()
    kept = sum(before[name] == after[name] for name in before if name not in changed)
    if kept != len(before) - len(changed):
        raise AssertionError(f"a reload touched {len(before) - len(changed) - kept} programs that it had no reason to touch")
    median = statistics.median
    for how in ("signal", "keepctl"):
        words = {"signal": "SIGHUP", "keepctl": "keepctl reload"}[how]
        yield Figure(f"reload by {words}, one of {options.n} changed, until it runs", "ms", median(taken["floor"]),
                     median(taken[how]), target=40, details={"spread": spread(taken[how]), "others_kept": kept})


class Storm:
    """Children killed one after the other all the while; the longest wait for a restart is the gap."""

    def __init__(self, side, period):
        self.side, self.period = side, period
        self.kills, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self._rage, daemon=True)

    def _rage(self):
        names = self.side.names()
        killed = dict.fromkeys(names, -1)
        at = 0
        while not self.over.is_set():
            name = names[at % len(names)]
            at += 1
            if self.side.reports.starts(name) > killed[name]:  # else its restart is not reported yet
                before, starts = self.side.kill_one(name)
                killed[name] = starts
                self.kills.append((name, before, starts))
            programs.pause(self.period)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def waits_ms(self):
        for name, _, starts in self.kills:
            self.side.await_starts({name: starts}, f"a restart of {name} after the storm")
        return [(self.side.reports.of[name][starts][0] - before) / 1e6 for name, before, starts in self.kills]


def longest_wait(side, options, action):
    with Storm(side, options.period) as storm:
        programs.pause(0.2)
        said = action()
        programs.pause(0.2)
    return max(storm.waits_ms()), said


def measure_upgrade(floor, _, keepd, options):
    # In peace first: nobody is touched.
    before = keepd.identities()
    starts = sum(map(keepd.reports.starts, keepd.names()))
    keepd.upgrade()
    after = keepd.identities()
    if before != after or starts != sum(map(keepd.reports.starts, keepd.names())):
        raise AssertionError("an upgrade restarted programs")
    gaps, said, storms = {floor: [], keepd: []}, [], []
    for _ in range(options.rounds):
        storms.append(longest_wait(keepd, options, lambda: None)[0])
        gaps[floor].append(longest_wait(floor, options, floor.upgrade)[0])
        gap, notice = longest_wait(keepd, options, keepd.upgrade)
        gaps[keepd].append(gap)
        if notice is not None:
            said.append(notice)
        say(f"upgrade: gap floor {gaps[floor][-1]:.2f} ms, keepd {gap:.2f} ms (its own figure {notice} ms), "
            f"storm alone {storms[-1]:.2f} ms")
    median = statistics.median
    yield Figure(f"upgrade with {options.n} programs, longest wait in a storm of kills", "ms", median(gaps[floor]),
                 median(gaps[keepd]), target=60,
                 details={"keepd_gaps": gaps[keepd], "floor_gaps": gaps[floor], "storm_alone_ms": median(storms)})
    if said:
        yield Figure("upgrade, the gap as keepd's notice says it", "ms", None, median(said), details={"runs": said})
    yield Figure("the same storm without an upgrade", "ms", None, median(storms))


# What starts and stops its own supervisors, and what looks at two that run.
ALONE = {"start": measure_start, "memory": measure_memory}
TOGETHER = {"idle": measure_idle, "restart": measure_restart, "reload": measure_reload, "upgrade": measure_upgrade}


# ---- the whole -----------------------------------------------------------------------------------------------------

def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=HERE.parents[1] / "build", help="meson build directory, of a release build")
    parser.add_argument("--keepd", type=Path, help="instead of the build's")
    parser.add_argument("--keepd-b", type=Path, help="what it is upgraded to")
    parser.add_argument("--keepctl", type=Path)
    parser.add_argument("--n", type=int, default=1000, help="programs (1000)")
    parser.add_argument("--only", default="", help=f"some of {','.join([*ALONE, *TOGETHER])}")
    parser.add_argument("--rounds", type=int, default=5, help="starts, reloads, upgrades of each side (5)")
    parser.add_argument("--samples", type=int, default=200, help="restarts of each side (200)")
    parser.add_argument("--idle", type=float, default=20, help="seconds (20)")
    parser.add_argument("--period", type=float, default=0.001, help="seconds between two kills of a storm (0.001)")
    parser.add_argument("--json", type=Path, help="writes every figure here too")
    parser.add_argument("--scratch", type=Path, help="where configs and sockets lie (a tmpfs: /dev/shm)")
    parser.add_argument("--smoke", action="store_true", help="small counts: shows that the benchmark works, not how fast")
    options = parser.parse_args(arguments)
    options.keepd = options.keepd or options.build / "daemon/host/keepd"
    options.keepd_b = options.keepd_b or options.build / "daemon/host/keepd-b"
    options.keepctl = options.keepctl or options.build / "daemon/ctl/keepctl"
    options.calm = 2
    if options.smoke:
        options.n, options.rounds, options.samples, options.idle, options.calm = 20, 1, 5, 0.2, 0.2
    options.only = [word for word in options.only.split(",") if word] or [*ALONE, *TOGETHER]
    unknown = set(options.only) - {*ALONE, *TOGETHER}
    if unknown:
        parser.error(f"--only: no such figure: {', '.join(unknown)}")
    return options


def measure(options, scratch):
    reports = programs.Reports(scratch / "reports")
    built = programs.build_programs(scratch)
    floor, sessions = Floor(built, reports, scratch), FloorWithSessions(built, reports, scratch)
    keepd = Keepd(built, reports, scratch, [options.keepd.resolve(), options.keepd_b.resolve()], options.keepctl.resolve())
    figures = []
    try:
        for word, function in ALONE.items():
            if word in options.only:
                figures += function(floor, sessions, keepd, options)
        together = [function for word, function in TOGETHER.items() if word in options.only]
        if together:
            for side in (floor, sessions, keepd):
                side.start(options.n)
        for function in together:
            figures += function(floor, sessions, keepd, options)
        return figures, keepd.watches()
    except BaseException:
        say((keepd.directory / "output").read_text()[-2000:] if (keepd.directory / "output").exists() else "")
        raise
    finally:
        for side in (keepd, floor, sessions):
            side.stop()
        programs.kill_descendants()


def main(arguments=None):
    options = parse(arguments)
    programs.become_subreaper()
    shm = Path("/dev/shm")
    scratch = Path(tempfile.mkdtemp(prefix="keepd-bench-", dir=options.scratch or (shm if shm.is_dir() else None)))
    scratch.chmod(0o755)
    try:
        figures, watches = measure(options, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{options.n} programs, output to null, runs held in {watches}\n")
    print("| figure | unit | floor | keepd | ratio | target | met |\n|---|---|---|---|---|---|---|")
    for figure in figures:
        print(figure.row())
    if options.json:
        options.json.write_text(json.dumps({"n": options.n, "watches": watches,
                                            "figures": [figure.as_json() for figure in figures]}, indent=1) + "\n")
    if options.smoke:
        # A difference of two readings of Pss, which other processes share in, may be a little below nothing.
        wrong = [figure.name for figure in figures
                 if figure.keepd is None or (figure.keepd < 0 and not figure.name.startswith("memory of each"))]
        for figure in figures:
            print(f"{'not ok' if figure.name in wrong else 'ok'} bench: {figure.name}")
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
