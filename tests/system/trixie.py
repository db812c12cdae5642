#!/usr/bin/env python3
"""The scripts that boot a systemd, once more with Debian 13's: trixie.py [--build BUILD] [--root DIRECTORY] [SCRIPT...]

A SCRIPT is the part of its name after test_; without any: all of them. debootstrap makes the
root, once, from the mirror that this machine's own packages come from; it is made anew when the packages below change or
the directory is gone. keepd needs libc and libsystemd alone, so what was built here runs there.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SUITE = "trixie"
PACKAGES = ["systemd", "procps", "python3", "nginx-light", "redis-server"]
SKIPPED = 77


class CannotMake(Exception):
    """There is no root, and why."""


def mirror():
    """Of this machine's sources the first that is Debian's own; none: debootstrap's default."""
    told = subprocess.run(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return [line.split()[1] for line in told.stdout.splitlines() if line.startswith("Debian ")][:1]


def make_root(root):
    """The root, made if it is not there as wished."""
    stamp, wished = root / "etc/made-for-keepd", f"{SUITE} {' '.join(PACKAGES)}\n"
    if stamp.exists() and stamp.read_text() == wished:
        return
    if os.geteuid() != 0:
        raise CannotMake("needs root")
    if not shutil.which("debootstrap"):
        raise CannotMake("needs debootstrap")
    fresh = root.with_name(f"{root.name}.{os.getpid()}")
    print(f"# debootstrap makes {root} ...", flush=True)
    try:
        # In a mount namespace: what it mounts, or forgets to unmount, is gone with it.
        made = subprocess.run(["unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
                               SUITE, fresh, *mirror()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if made.returncode:
            said = [line for line in made.stdout.splitlines() if line.startswith(("E:", "W:"))] or made.stdout.splitlines()
            raise CannotMake(f"debootstrap: {' '.join(said[-3:]) or made.returncode}")
        for archive in fresh.glob("var/cache/apt/archives/*.deb"):
            archive.unlink()
        (fresh / stamp.relative_to(root)).write_text(wished)
        shutil.rmtree(root, ignore_errors=True)
        fresh.rename(root)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def scripts():
    """{name: file} of those that boot a machine."""
    return {path.stem.removeprefix("test_"): path for path in sorted(HERE.glob("test_*.py"))
            if re.search(r"^from (kill_machine import|machine import .*Machine)", path.read_text(), re.M)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.environ.get("KEEPD_BUILD", ROOT / "build-plain"), type=Path)
    parser.add_argument("--root", default=ROOT / "build-trixie", type=Path, help="where it is, or is to be made")
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT")
    options = parser.parse_args()
    if unknown := set(options.scripts) - set(scripts()):
        parser.error(f"no such script: {' '.join(unknown)}; there are: {' '.join(scripts())}")
    root = options.root.resolve()
    try:
        make_root(root)
    except CannotMake as reason:
        print(f"skipped: no Debian 13: {reason}")
        return SKIPPED
    version = subprocess.run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Version}", "systemd"],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    print(f"# systemd {version}", flush=True)
    codes = []
    for script in [scripts()[name] for name in options.scripts or scripts()]:
        began = time.monotonic()
        print(f"# {script.name}", flush=True)
        codes.append(subprocess.run([sys.executable, "-B", script, "--build", options.build], check=False,
                                    env={**os.environ, "KEEPD_MACHINE_ROOT": str(root)}).returncode)
        print(f"# {script.name}: {time.monotonic() - began:.0f} s", flush=True)
    return 1 if any(code not in (0, SKIPPED) for code in codes) else 0


if __name__ == "__main__":
    sys.exit(main())
