#!/usr/bin/env python3
"""Upgrades to what keepd must not become: refused with a reason, nothing changed, and a good upgrade works right after."""
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from harness import (Keepd, check, check_equal, descriptors_of, eventually, main, need_root, program, scenario,
                     scenario_for, start_time, victim)

E_MACHINE = 18     # offset in the ELF header
EM_AARCH64, EM_X86_64 = 183, 62


def give_capability(path):
    # capabilities(7), vfs_cap_data: version 2, effective; CAP_NET_RAW permitted.
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))


def missing(path):
    del path


def empty(path):
    path.touch(mode=0o755)


def directory(path):
    path.mkdir()


def text(path):
    path.write_text("#!/bin/sh\nexec /usr/sbin/keepd \"$@\"\n")
    path.chmod(0o755)


def fifo(path):
    os.mkfifo(path, 0o755)


def device(path):
    path.symlink_to("/dev/zero")


def copy(source, path):
    shutil.copyfile(source, path)
    path.chmod(0o755)


def truncated_in_the_header(path):
    path.write_bytes(program("keepd-b").read_bytes()[:40])
    path.chmod(0o755)


def truncated_in_the_middle(path):
    data = program("keepd-b").read_bytes()
    path.write_bytes(data[:len(data) // 3])
    path.chmod(0o755)


def truncated_at_the_end(path):
    path.write_bytes(program("keepd-b").read_bytes()[:-100])
    path.chmod(0o755)


def other_machine(path):
    data = bytearray(program("keepd-b").read_bytes())
    struct.pack_into("<H", data, E_MACHINE, EM_AARCH64 if data[E_MACHINE] == EM_X86_64 else EM_X86_64)
    path.write_bytes(data)
    path.chmod(0o755)


def stranger(path):
    copy("/bin/false", path)


def not_executable(path):
    copy(program("keepd-b"), path)
    path.chmod(0o644)


def set_id(path):
    copy(program("keepd-b"), path)
    path.chmod(0o4755)


def with_capabilities(path):
    copy(program("keepd-b"), path)
    give_capability(path)


def writable_by_others(path):
    copy(program("keepd-b"), path)
    path.chmod(0o777)


def library(path):
    copy(next(Path("/lib").glob("*-linux-gnu/libc.so.6")).resolve(), path)


def hostile_program_headers(path):
    """Numbers that lead far outside of the file."""
    data = bytearray(program("keepd-b").read_bytes())
    struct.pack_into("<Q", data, 32, (1 << 64) - 64)   # e_phoff
    struct.pack_into("<H", data, 56, 0xFFFE)           # e_phnum
    path.write_bytes(data)
    path.chmod(0o755)


def impostor(mode):
    def make(path):
        # How it behaves is in its name.
        copy(program("impostor"), path.with_name(f"impostor-{mode}"))
        return path.with_name(f"impostor-{mode}")
    return make


CANDIDATES = [(make.__name__, make) for make in (
    missing, empty, directory, text, fifo, device, truncated_in_the_header, truncated_in_the_middle, truncated_at_the_end,
    other_machine, stranger, not_executable, set_id, library, hostile_program_headers)]
if os.geteuid() == 0:   # who else may not give them
    CANDIDATES.append(("with_capabilities", with_capabilities))
CANDIDATES += [(f"that_{mode}", impostor(mode)) for mode in
               ("hangs", "nonsense", "babbles", "fails", "crashes", "forgets", "boasts", "silent")]


def picture(keepd):
    """All that must not change by a refused upgrade."""
    status = keepd.status()
    daemon = status["daemon"]
    return {"keepd": (daemon["pid"], daemon["generation"], daemon["build_id"], start_time(keepd.pid)),
            "programs": [(one["name"], one["state"], one["pid"], start_time(one["pid"] or 0), one["run"])
                         for one in status["programs"]]}


def refused(keepd, path):
    before, descriptors = picture(keepd), descriptors_of(keepd.pid)
    done = keepd.keepctl("upgrade", path, expect=None)
    check(done.returncode in (1, 4), f"exit code {done.returncode}: {done.stderr}")
    reason = done.stderr.strip()
    check(str(path) in reason and len(reason) > len(str(path)) + 8, f"a reason that names the file: {reason!r}")
    print(f"#   {reason}".replace(str(path.parent), ""))
    check_equal(picture(keepd), before, "the state after a refusal")
    eventually(lambda: len(descriptors_of(keepd.pid)) <= len(descriptors), "no descriptor is left open", 10)
    last = keepd.status()["daemon"]["last_upgrade"]
    check(last and not last["ok"], f"last_upgrade tells of it: {last}")


def upgrades_all_the_same(keepd):
    generation = keepd.generation()
    keepd.install("keepd-b")
    keepd.upgrade()
    check_equal(keepd.generation(), generation + 1, "generation after a good upgrade")


@scenario_for(CANDIDATES)
def candidate(make):
    settings = {"upgrade": {"rehearsal_timeout": "2s"}}
    with Keepd({"one": victim("pause"), "off": victim("pause", autostart=False)}, daemon=settings).start() as keepd:
        path = keepd.directory / "candidate"
        path = make(path) or path
        refused(keepd, path)
        upgrades_all_the_same(keepd)


@scenario
def candidate_writable_by_others():
    need_root()  # a user may do with his own files what he likes
    with Keepd({"one": victim("pause")}).start() as keepd:
        path = keepd.directory / "candidate"
        writable_by_others(path)
        refused(keepd, path)
        upgrades_all_the_same(keepd)


@scenario
def candidate_open_for_writing():
    with Keepd({"one": victim("pause")}).start() as keepd:
        path = keepd.directory / "candidate"
        copy(program("keepd-b"), path)
        with path.open("r+b"):
            refused(keepd, path)
        # Once the writer is done it is as good as any.
        generation = keepd.generation()
        keepd.upgrade(path)
        check_equal(keepd.generation(), generation + 1, "generation")


@scenario
def a_rehearsal_with_other_privileges_says_so():
    need_root()
    with Keepd() as keepd:
        path = keepd.directory / "privileged"
        with_capabilities(path)
        null = os.open(os.devnull, os.O_RDONLY)
        done = subprocess.run([path, f"--rehearse={null}"], pass_fds=[null], user=65534, group=65534, extra_groups=[],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        os.close(null)
        check_equal((done.returncode, done.stdout), (1, ""), "the rehearsal")
        check("other privileges" in done.stderr, f"what it says: {done.stderr}")


@scenario
def every_refusal_in_one_life():
    """All of them, one after another, to one keepd: nothing piles up."""
    with Keepd({"one": victim("pause")}, daemon={"upgrade": {"rehearsal_timeout": "1s"}}).start() as keepd:
        for name, make in CANDIDATES:
            path = keepd.directory / name
            refused(keepd, make(path) or path)
        upgrades_all_the_same(keepd)


if __name__ == "__main__":
    sys.exit(main())
