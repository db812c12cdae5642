"""The two sides of every figure: keepd, and the floor. Each runs N children of hello_child and knows how to start,
change one, and replace itself."""
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import bench_programs as programs


class Supervisor:
    """N programs `PREFIX0000`, ... under a supervisor in a directory of its own."""
    name = prefix = ""

    def __init__(self, built, reports, directory):
        self.built, self.reports = built, reports
        self.directory = Path(directory) / self.name
        self.directory.mkdir()
        self.process = None
        self.count = 0
        self.tags = {}

    def names(self):
        return [f"{self.prefix}{i:05}" for i in range(self.count)]

    def command_of(self, name):
        return [str(self.built["hello_child"]), self.reports.path, name, self.tags.get(name, "v1")]

    def configure(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {key: value for key, value in os.environ.items()
                if key not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "KEEPD_SOCKET")}

    def start(self, count):
        """Starts it with `count` programs; seconds from before its launch until the last of them had begun."""
        self.count, self.tags = count, {}
        for name in list(self.reports.of):
            if name.startswith(self.prefix):
                del self.reports.of[name]
        self.configure()
        with open(self.directory / "output", "ab") as output:
            before = programs.now()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            env=self.environment(), cwd=self.directory, start_new_session=True)
        self.await_starts({name: 0 for name in self.names()}, f"{self.name} to start {count} programs")
        return (max(self.reports.of[name][0][0] for name in self.names()) - before) / 1e9

    def await_starts(self, seen, what):
        """Until each of these programs has started more often than `seen` says."""
        left = list(seen)

        def all_started():
            while left and len(self.reports.of[left[-1]]) > seen[left[-1]]:
                left.pop()
            return not left
        self.reports.wait(all_started, what)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        if not programs.await_end(self.process, 30):
            self.process.kill()
            self.process.wait()
        self.process = None
        programs.reap_orphans()

    def identities(self):
        """Who runs: {name: (pid, start time)}."""
        found = {}
        for name in self.names():
            pid = self.reports.last(name)[1]
            found[name] = (pid, programs.start_time(pid))
        return found

    def pid(self):
        return self.process.pid

    def kill_one(self, name):
        """SIGKILL; the time just before it, and how often the program had started by then."""
        starts, pid = self.reports.starts(name), self.reports.last(name)[1]
        before = programs.now()
        os.kill(pid, signal.SIGKILL)
        return before, starts

    def restart_ms(self, name):
        before, starts = self.kill_one(name)
        self.await_starts({name: starts}, f"{self.name} to restart {name}")
        return (self.reports.of[name][starts][0] - before) / 1e6

    def change_ms(self, name, ask):
        """Milliseconds from ask() until the program runs as its definition says now."""
        starts = self.reports.starts(name)
        self.tags[name] = f"v{starts + 1}"
        self.configure()
        before = programs.now()
        ask()
        self.await_starts({name: starts}, f"{self.name} to reload {name}")
        stamp, _, tag = self.reports.of[name][starts]
        if tag != self.tags[name]:
            raise AssertionError(f"{self.name}: {name} runs with {tag}, not with {self.tags[name]}")
        return (stamp - before) / 1e6

    def reload_by_signal(self):
        self.process.send_signal(signal.SIGHUP)

    def upgrade(self):
        """Replaces itself. Returns what it says the gap was, in ms, or None."""
        raise NotImplementedError


class Floor(Supervisor):
    name, prefix, sessions = "floor", "f", False

    def environment(self):
        return {**super().environment(), **({"FLOOR_SESSIONS": "1"} if self.sessions else {})}

    def configure(self):
        lines = [" ".join(self.command_of(name)) for name in self.names()]
        fresh = self.directory / "list.new"
        fresh.write_text("\n".join(lines) + "\n")
        fresh.rename(self.directory / "list")

    def command(self):
        return [self.built["floor_supervisor"], self.directory / "list"]

    def upgrade(self):
        self.process.send_signal(signal.SIGUSR2)


class FloorWithSessions(Floor):
    """Each program in a session of its own, as keepd's are."""
    name, prefix, sessions = "floor with sessions", "s", True


class Keepd(Supervisor):
    name, prefix = "keepd", "k"

    def __init__(self, built, reports, directory, images, keepctl):
        super().__init__(built, reports, directory)
        self.images = [Path(image) for image in images]  # what it is upgraded to and fro between
        self.keepctl_path = keepctl
        self.running = 0

    def configure(self):
        d = self.directory
        document = {
            "version": 1, "runtime_dir": str(d / "run"), "state_dir": str(d / "state"), "log_dir": str(d / "log"),
            "upgrade": {"min_interval": 0},
            "defaults": {"stdout": "null", "restart": {"delay": 0, "jitter": 0, "backoff_factor": 1,
                                                       "start_limit_burst": 0}},
            "programs": {name: {"command": self.command_of(name)} for name in self.names()}}
        fresh = d / "keepd.json.new"
        fresh.write_text(json.dumps(document, indent=1))
        fresh.chmod(0o644)
        fresh.rename(d / "keepd.json")

    def command(self):
        self.running = 0
        return [self.images[0], "--config", self.directory / "keepd.json"]

    def keepctl(self, *arguments):
        done = subprocess.run([self.keepctl_path, "--socket", self.directory / "run" / "control.sock", *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"keepctl {' '.join(map(str, arguments))}: exit code {done.returncode}: "
                               f"{done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def reload_by_keepctl(self):
        self.keepctl("reload")

    def upgrade(self):
        self.running = 1 - self.running
        self.keepctl("upgrade", self.images[self.running])
        said = json.loads(self.keepctl("status", "--json"))["daemon"]["last_upgrade"]["text"]
        found = re.search(r"([\d.]+) ms without keepd", said)
        return float(found[1]) if found else None

    def watches(self):
        """Says "cgroups" or "process groups": what a start costs depends on it."""
        return "process groups" if "process groups are watched" in (self.directory / "output").read_text() else "cgroups"
