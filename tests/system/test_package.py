#!/usr/bin/env python3
"""The Debian package under a real systemd: a newer version upgrades the running keepd and restarts nothing."""
import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Skip, at_once, build, check, check_equal, count, eventually, main, program, scenario
from machine import KeepdMachine, Machine

FIRST, NEWER = "0.1.0", "0.1.0+b"
PAUSE = {"command": ["/opt/victim", "pause"], "restart": {"policy": "no"}}


@functools.cache
def workplace():
    place = Path(tempfile.mkdtemp(prefix="keepd-packages-"))
    atexit.register(shutil.rmtree, place, True)
    return place


@functools.cache
def first_package():
    """Built as a release would be, but for the compilation."""
    for tool in ("dpkg-buildpackage", "dh"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    made = subprocess.run([ROOT / "packaging/deb/build", "--built", build, "--daemon", program("keepd"),
                           "--version", FIRST, workplace()], stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.strip())


@functools.cache
def later_package(version, write_keepd):
    """The first package with another keepd in it."""
    tree = workplace() / f"tree-{version}"
    subprocess.run(["dpkg-deb", "-R", first_package(), tree], check=True)
    write_keepd(tree / "usr/sbin/keepd")
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {FIRST}\n", f"Version: {version}\n"))
    file = workplace() / f"keepd-{version}.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "-b", tree, file], check=True, stdout=subprocess.DEVNULL)
    return file


def works(path):
    shutil.copyfile(program("keepd-b"), path)


def newer_package():
    return later_package(NEWER, works)


def fails_the_rehearsal(path):
    shutil.copyfile(program("impostor"), path)


def misses_a_library(path):
    image = program("keepd-b").read_bytes()
    check(image.count(b"libsystemd.so.0") == 1, "the library's name")
    path.write_bytes(image.replace(b"libsystemd.so.0", b"libsystemd.so.9"))


def is_cut_short(path):
    path.write_bytes(program("keepd-b").read_bytes()[:100_000])


BROKEN = [fails_the_rehearsal, misses_a_library, is_cut_short]


class PackageMachine(KeepdMachine):
    """A machine on which nothing of keepd is installed; an operator has put programs into conf.d."""

    def boot(self):
        Machine.boot(self)
        self.run("rm", "-f", "/usr/sbin/policy-rc.d")   # a container's way to keep services from being started
        self.run("rm", "-f", "/var/lib/man-db/auto-update")
        self.install(program("victim"), "/opt/victim")
        self.write("/etc/keepd/conf.d/test.json", json.dumps({"programs": self.programs}))

    def dpkg(self, *arguments):
        """What it said; it has succeeded."""
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        done = self.run("dpkg", "--force-unsafe-io", *arguments, env=environment)
        return done.stdout + done.stderr

    def bring(self, file):
        self.install(file, f"/opt/{file.name}", 0o644)
        return self.dpkg("-i", f"/opt/{file.name}")

    def picture(self):
        """What must not change."""
        unit = self.show("keepd", "MainPID", "NRestarts", "ActiveState", "ActiveEnterTimestampMonotonic")
        return unit, [(one["name"], one["pid"], one["run"], one["restarts"]) for one in self.status()["programs"]]


@scenario
def a_newer_package_upgrades_the_running_keepd_and_a_removed_one_stops_it():
    with PackageMachine({"one": PAUSE, "two": PAUSE}) as machine:
        said = machine.bring(first_package())
        check_equal(machine.systemctl("is-enabled", "keepd").stdout.strip(), "enabled", f"the unit, after {said}")
        before = machine.picture()
        check_equal((before[0]["ActiveState"], before[0]["NRestarts"]), ("active", "0"), "the unit")
        check_equal(len(before[1]), 2, "programs of conf.d")
        first = machine.status()["daemon"]

        said = machine.bring(newer_package())
        newer = machine.status()["daemon"]
        check_equal((newer["version"], newer["generation"]), (NEWER, 2), "version and generation")
        check(newer["build_id"] != first["build_id"], "another build")
        check(f"upgraded: {FIRST}" in said and "2 programs untouched" in said, f"dpkg tells of it: {said}")
        check_equal(machine.picture(), before, "unit and programs")

        said = machine.bring(newer_package())
        check("nothing to do" in said, f"the same version again: {said}")
        check_equal(machine.status()["daemon"]["generation"], 2, "generation")

        machine.bring(first_package())      # a downgrade is an upgrade
        machine.run("/etc/needrestart/restart.d/keepd.service")
        check_equal((machine.status()["daemon"]["version"], machine.status()["daemon"]["generation"]), (FIRST, 4),
                    "version and generation")
        check_equal(machine.picture(), before, "unit and programs")

        machine.systemctl("disable", "--now", "keepd")
        machine.bring(newer_package())
        check_equal(machine.show("keepd", "ActiveState")["ActiveState"], "inactive", "a unit that was disabled")
        machine.systemctl("enable", "keepd")
        machine.bring(newer_package())
        check_equal(machine.show("keepd", "ActiveState")["ActiveState"], "active", "a unit that is enabled")

        machine.dpkg("--remove", "keepd")
        check_equal(machine.unit_processes(), [], "processes that are left")
        check_equal(machine.run("pgrep", "-x", "victim|keepd", expect=None).stdout, "", "processes that are left")
        check_equal(machine.show("keepd", "ActiveState", "LoadState"),
                    {"ActiveState": "inactive", "LoadState": "not-found"}, "the unit")
        check(machine.path("/etc/keepd/keepd.json").exists(), "the config is the operator's until a purge")
        machine.run("rm", "/etc/keepd/conf.d/test.json")
        machine.dpkg("--purge", "keepd")
        left = machine.run("sh", "-c", "find /etc /usr /var /run -name '*keepd*' ! -path '*/keepd-*' -newer "
                           "/opt/victim; ls -d /etc/keepd /var/log/keepd /var/lib/keepd 2>/dev/null", expect=None).stdout
        check_equal(left, "", "what a purge leaves")


@scenario
def a_broken_newer_package_leaves_the_old_keepd_running():
    with PackageMachine({"one": PAUSE}) as machine:
        machine.bring(first_package())
        before = machine.picture()
        broken = BROKEN[:count(2, 3)]
        for number, write_keepd in enumerate(broken, 1):
            said = machine.bring(later_package(f"0.2.{number}", write_keepd))
            state = machine.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "keepd").stdout
            check_equal(state, f"installed 0.2.{number}", "the package")
            status = machine.status()["daemon"]
            check_equal((status["version"], status["generation"]), (FIRST, 1), "the keepd that runs")
            last = status["last_upgrade"]
            reason = last["text"].removeprefix("refused: ")
            check(not last["ok"] and reason in said and "was not upgraded" in said,
                  f"{write_keepd.__name__}: dpkg tells the reason of {last}: {said}")
            check(reason in machine.keepctl("status").stdout, "status tells it")
            check_equal(machine.picture(), before, "unit and programs")
            print(f"#   {write_keepd.__name__}: {reason}")

        # Once more, as `dpkg --configure` would, and with a watch: it is not tried again, and that is no failure either.
        again = machine.run("/var/lib/dpkg/info/keepd.postinst", "configure", "0.2.0")
        check("not tried again" in again.stderr and reason in again.stderr, f"the reason again: {again.stderr}")
        machine.write("/etc/keepd/keepd.json", json.dumps({
            "version": 1, "include": ["conf.d/*.json"], "upgrade": {"watch_binary": True, "min_interval": "0s"},
            "programs": {"tick": {"command": ["/bin/true"], "stdout": "null", "restart": at_once(delay="100ms")}}}))
        machine.systemctl("reload", "keepd")

        def attempts_after_a_while():
            runs = machine.program_status("tick")["run"]
            eventually(lambda: machine.program_status("tick")["run"] > runs + 4, "time to pass for keepd")
            return machine.journal("-u", "keepd", "-o", "cat").count("upgrade: begins:")
        check_equal(attempts_after_a_while(), len(broken), "attempts")

        # The watch and the package's script see the same file, and make one upgrade of it.
        machine.bring(newer_package())
        check_equal(attempts_after_a_while(), len(broken) + 1, "attempts")
        check_equal(machine.status()["daemon"]["generation"], 2, "generation, by a good one")
        check_equal(machine.picture()[0], before[0], "the unit")
        check_equal(machine.picture()[1][0], before[1][0], "the program")


if __name__ == "__main__":
    sys.exit(main())
