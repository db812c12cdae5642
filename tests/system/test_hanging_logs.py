#!/usr/bin/env python3
"""A disk that hangs, or a reader that does not read, under programs' logs: an upgrade says no in bounded time, or goes its
way; nothing waits without end, and no line is lost or doubled."""
import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

from harness import (Keepd, Skip, check, check_equal, descriptors_of, eventually, main, need_root, scenario,
                     victim)
from portrait import check_same, portrait

# A filesystem of its own, which can be frozen: whoever writes to it then waits, as for a disk that does not answer.
PREPARE = """mount --make-rprivate / && mount -o loop "$1" "$2" || exit 1
shift 2
exec "$@"
"""


class Disk:
    """Below log_dir, visible to keepd alone."""

    def __init__(self, keepd_directory):
        self.image, self.at = keepd_directory / "image", keepd_directory / "log"
        self.at.mkdir()
        with self.image.open("wb") as image:
            image.truncate(8 << 20)
        done = subprocess.run(["mkfs.ext4", "-q", self.image], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise Skip(f"needs mkfs.ext4: {done.stderr.strip()}")

    def prefix(self):
        return ["unshare", "--mount", "sh", "-c", PREPARE, "prepare", str(self.image), str(self.at)]

    @contextlib.contextmanager
    def frozen(self, keepd):
        freeze = ["nsenter", "--target", str(keepd.pid), "--mount", "fsfreeze"]
        subprocess.run([*freeze, "--freeze", str(self.at)], check=True)
        try:
            yield
        finally:
            subprocess.run([*freeze, "--unfreeze", str(self.at)], check=True)


def mountable():
    need_root()
    with Keepd() as keepd:
        disk = Disk(keepd.directory)
        if subprocess.run([*disk.prefix(), "true"], stderr=subprocess.DEVNULL, check=False).returncode:
            raise Skip("needs loop devices and the right to mount")


def lines(first, last):
    return "".join(f"line {number}\n" for number in range(first, last))


def follower(fifo):
    """A program that prints what comes through a FIFO, so that the test decides when it writes."""
    return {"command": ["/bin/sh", "-c", f"exec cat <>{fifo}"], "restart": {"policy": "no"}}


def say(fifo, text):
    with fifo.open("w") as pipe:
        pipe.write(text)


def settled_portrait(pid):
    eventually(lambda: len(descriptors_of(pid)) == 3, "the dynamic linker to have closed its own")
    return portrait(pid)


def written(keepd, name):
    return (Path(f"/proc/{keepd.pid}/root") / str(keepd.log_dir / f"{name}.log")[1:]).read_text()


@scenario
def a_disk_that_hangs_refuses_the_upgrade_and_loses_nothing():
    mountable()
    with Keepd(environment={"WATCHDOG_USEC": "1000000"}, daemon={"upgrade": {"commit_timeout": "12s"}}) as keepd:
        disk, fifo = Disk(keepd.directory), keepd.directory / "fifo"
        os.mkfifo(fifo)
        keepd.prefix = disk.prefix()
        keepd.write({"one": follower(fifo), "other": victim("pause")})
        keepd.start()
        one, other = (keepd.status(name)["pid"] for name in ("one", "other"))
        started = settled_portrait(other)
        say(fifo, lines(0, 10) + "half a li")
        eventually(lambda: written(keepd, "one") == lines(0, 10) + "half a li", "the first lines")
        keepd.install("keepd-b")
        heard = len(keepd.notify.notes)
        with disk.frozen(keepd):
            say(fifo, "ne\n" + lines(10, 20))
            # It has begun to write, and will not come back.
            eventually(lambda: any(Path(f"/proc/{keepd.pid}/task/{task}/stat").read_text().rsplit(")", 1)[1].split()[0] == "D"
                                   for task in os.listdir(f"/proc/{keepd.pid}/task")), "the pump to hang")
            done = keepd.upgrade(expect=1)
            check("one.log': no answer for" in done.stderr, f"why not: {done.stderr}")
            check_equal(keepd.status()["daemon"]["generation"], 1, "generation")
            keepd.keepctl("restart", "other")
            # Signal masks and dispositions, limits, all: an upgrade that failed leaves no trace either.
            check_same(started, settled_portrait(keepd.status("other")["pid"]), "a program that is started then")
        asked = [note["WATCHDOG_USEC"] for note in keepd.notify.notes[heard:] if "WATCHDOG_USEC" in note]
        check_equal(asked, ["20000000", "1000000"], "what the watchdog is asked for, and that it is set back")
        keepd.upgrade()
        check_equal(keepd.status()["daemon"]["generation"], 2, "generation")
        say(fifo, lines(20, 30))
        expected = lines(0, 10) + "half a line\n" + lines(10, 30)
        eventually(lambda: written(keepd, "one") == expected, "every line once")
        check_equal(keepd.status("one")["pid"], one, "the program")
        check_equal(keepd.stop(), 0, "the end")


@scenario
def a_reader_that_does_not_read_gets_every_byte_after_the_upgrade():
    with Keepd() as keepd:
        source, target = keepd.directory / "source", keepd.directory / "target"
        for fifo in (source, target):
            os.mkfifo(fifo)
        reader = os.open(target, os.O_RDWR | os.O_NONBLOCK)
        try:
            fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
            keepd.write({"one": {**follower(source), "stdout": {"path": str(target)}}})
            keepd.start()
            text = "".join(f"line {number} {'x' * (number % 500)}\n" for number in range(300))
            say(source, text[:30_000])      # more than the target's pipe takes: the rest is on its way
            for number in range(4):
                keepd.install("keepd" if number % 2 else "keepd-b")
                keepd.upgrade()
            got = b""
            say(source, text[30_000:])

            def look():
                nonlocal got
                with contextlib.suppress(BlockingIOError):
                    got += os.read(reader, 1 << 16)
                return len(got) >= len(text)
            eventually(look, "all of it")
            check_equal(got.decode(), text, "what arrives")
        finally:
            os.close(reader)


if __name__ == "__main__":
    sys.exit(main())
