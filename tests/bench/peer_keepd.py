"""keepd as one more peer of a benchmark of supervisors, whose adapters derive from common.Peer (README.md says how to
bring the two together). KEEPD_BUILD names the meson build directory; KEEPD and KEEPCTL name single programs."""
import json
import os
import signal
import subprocess

from common import LOGDIR, Peer, sh


class Keepd(Peer):
    name = "keepd"
    title = "keepd"
    upgrade_kind = "inplace"
    build = os.environ.get("KEEPD_BUILD", "build")

    def __init__(self, collector):
        super().__init__(collector)
        self.images = [os.path.abspath(os.environ.get("KEEPD", f"{self.build}/daemon/host/keepd")),
                       os.path.abspath(f"{self.build}/daemon/host/keepd-b")]
        self.keepctl = os.path.abspath(os.environ.get("KEEPCTL", f"{self.build}/daemon/ctl/keepctl"))
        self.running = 0

    def available(self):
        return os.path.exists(self.images[0]) and os.path.exists(self.keepctl)

    def version(self):
        return sh(self.images[0], "--version").strip()

    def output(self):
        """Where a program's output goes: nowhere, or for the log test into rotated files, of which all are kept."""
        if self.kind != "log":
            return "null"
        os.makedirs(os.path.join(LOGDIR, self.name), exist_ok=True)
        return {"path": f"{LOGDIR}/{self.name}/log", "max_size": "16MB", "max_files": 1000}

    def configure(self):
        programs = {self.child(i): {"command": self.argv(i, self.tags.get(i, "v1"))} for i in range(self.n)}
        if self.kind == "log":
            for program in programs.values():
                program["restart"] = {"policy": "no"}
        document = {
            "version": 1, "programs": programs, "upgrade": {"min_interval": 0},
            "runtime_dir": f"{self.dir}/run", "state_dir": f"{self.dir}/state", "log_dir": f"{self.dir}/log",
            "defaults": {"stdout": self.output(), "restart": {"delay": 0, "jitter": 0, "backoff_factor": 1,
                                                              "start_limit_burst": 0}}}
        path = os.path.join(self.dir, "keepd.json")
        with open(path + ".new", "w") as f:
            json.dump(document, f, indent=1)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def command(self):
        self.running = 0
        return [self.images[0], "--config", os.path.join(self.dir, "keepd.json")]

    def env(self):
        return {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "KEEPD_SOCKET")}

    def ctl(self, *arguments):
        subprocess.run([self.keepctl, "--socket", f"{self.dir}/run/control.sock", *arguments], check=True,
                       stdout=subprocess.DEVNULL, timeout=120)

    def change(self, i):
        self.tags[i] = "v2"
        self.configure()
        self.proc.send_signal(signal.SIGHUP)

    def upgrade(self):
        self.running = 1 - self.running
        self.ctl("upgrade", self.images[self.running])

    def log_files(self):
        """Oldest first: log.N ... log.1, log."""
        directory = os.path.join(LOGDIR, self.name)
        return f"cd {directory} && ls -1 | sort -t. -k2,2nr | tr '\\n' '\\0' | xargs -0 cat"


PEERS = [Keepd]
