#!/usr/bin/env python3
"""Upgrades between images of different formats, with real binaries: up, down, and up again.

keepd-next is a release that is still to come (daemon/host/next.hpp): it knows fields that keepd and keepd-b do not.
"""
import re
import sys

from harness import (Keepd, check, check_equal, descriptors_of, eventually, is_alive, main, program, scenario, start_time, victim)

PAUSE = victim("pause")
OURS = re.search(rb"version=\S+ format=([\d.]+)\0", program("keepd").read_bytes())[1].decode()
NEXT = re.search(rb"version=\S+ format=([\d.]+)\0", program("keepd-next").read_bytes())[1].decode()


class Skewed(Keepd):
    """A keepd whose environment tells a keepd-next which values to set when it takes over."""

    def __init__(self, programs, **options):
        super().__init__(programs, **options)
        self.values = self.directory / "next"
        self.environment["KEEPD_NEXT"] = str(self.values)

    def to(self, binary, *arguments):
        """Upgrades to that build, and returns what a keepd-next says that it found."""
        self.install(binary)
        heard, generation = len(self.stderr()), self.generation()
        self.upgrade(*arguments)
        check_equal(self.generation(), generation + 1, f"generation after the upgrade to {binary}")
        text = self.stderr()[heard:]
        wrote = re.search(r"executing \S+ \(build \w+\), the state in format ([\d.]+)", text)
        found = {whose: (note, int(weight)) for whose, note, weight in
                 re.findall(r"next: found (\S+) note '(.*)' weight (\d+)", text)}
        found["keepd"] = (re.findall(r"next: found keepd motto '(.*)'", text) or [None])[0]
        found["handoff"] = (re.findall(r"next: found handoff remark '(.*)' spare '(.*)' of", text) or [None])[0]
        found["written"] = wrote[1]
        found["read"] = (re.findall(r"next: found handoff .* of format ([\d.]+)", text) or [None])[0]
        return found

    def alone(self, name):
        """What must never change of a program that nobody touches."""
        status = self.status(name)
        return status["pid"], start_time(status["pid"]), status["run"], status["restarts"]

    def refuses(self, binary, *arguments):
        """An upgrade to that build changes nothing; returns the reason that the operator reads."""
        def picture():
            return (self.pid, start_time(self.pid), self.generation(),
                    [(one["name"], one["pid"], one["run"], one["state"]) for one in self.status()["programs"]])
        before, descriptors = picture(), descriptors_of(self.pid)
        self.install(binary)
        done = self.upgrade(*arguments, expect=None)
        check(done.returncode in (1, 4), f"exit code {done.returncode}: {done.stderr}")
        check_equal(picture(), before, "the state after a refusal")
        eventually(lambda: len(descriptors_of(self.pid)) <= len(descriptors),
                   f"no descriptor is left open beside {descriptors}", 10)
        last = self.status()["daemon"]["last_upgrade"]
        check(not last["ok"] and last["text"].removeprefix("refused: ") in done.stderr, f"last_upgrade says the same: {last}, {done.stderr}")
        print("#   " + done.stderr.strip().replace(str(self.directory), ""))
        return done.stderr


@scenario
def an_optional_field_outlives_an_older_image():
    """Up, down, a life in the older image with restarts, reloads and upgrades of its own, and up again."""
    programs = {"calm": PAUSE, "busy": PAUSE, "gone": PAUSE}
    with Skewed(programs) as keepd:
        keepd.values.write_text("calm note kept of the calm one\nbusy note kept of the busy one\ngone note of the one that goes\n"
                                "keepd motto nothing is lost\n")
        keepd.start()
        calm, first = keepd.alone("calm"), keepd.status("busy")["run"]
        found = keepd.to("keepd-next")
        check_equal((found["calm"], found["busy"], found["keepd"], found["handoff"]), (("", 0), ("", 0), "", ("", "")),
                    "what an image that knows none of it has handed on")
        keepd.values.unlink()   # from here on nobody sets anything: what is found was carried
        keepd.to("keepd-next", "--force")

        found = keepd.to("keepd")
        check_equal((found["written"], found["calm"] if "calm" in found else None), (OURS, None), "an older image took over")
        keepd.keepctl("restart", "busy")
        keepd.write({**programs, "busy": {**PAUSE, "nice": 1}, "calm": {**PAUSE, "description": "as calm as ever"}, "new": PAUSE})
        keepd.keepctl("reload")             # restarts busy
        check(keepd.status("busy")["run"] > first + 1, "the program was restarted twice")
        keepd.write({"calm": PAUSE, "busy": PAUSE})
        keepd.keepctl("reload")             # takes gone away
        keepd.keepctl("stop", "busy")
        keepd.to("keepd-b")
        keepd.keepctl("start", "busy")
        keepd.to("keepd")
        keepd.write(programs)
        keepd.keepctl("reload")             # another one of its name

        found = keepd.to("keepd-next")
        check_equal((found["written"], found["read"]), (OURS, OURS), "the format from an older image")
        check_equal(found["calm"], ("kept of the calm one", 0), "the field of a program that only ran")
        check_equal(found["busy"], ("kept of the busy one", 0), "the field of a program that changed in every way")
        check_equal(found["gone"], ("", 0), "the field of a program that was removed, and came anew")
        check_equal(found["keepd"], "nothing is lost", "keepd's own field")
        check_equal(found["handoff"], ("of generation one", "spare since generation one"),
                    "the handoff's field, and the file behind the descriptor that another one names")
        found = keepd.to("keepd-next", "--force")
        check_equal((found["written"], found["read"]), (NEXT, NEXT), "the format between two that know it")
        check_equal(found["busy"], ("kept of the busy one", 0), "still")
        check_equal(keepd.alone("calm"), calm, "a program that nobody touched")
        check("is forgotten" not in keepd.stderr() and "nobody handed over" not in keepd.stderr(), "nothing was dropped")


@scenario
def a_critical_field_in_use_refuses_the_way_down():
    with Skewed({"one": PAUSE, "two": PAUSE}) as keepd:
        keepd.values.write_text("two weight 3\n")
        keepd.start()
        keepd.to("keepd-next")
        keepd.upgrade("--rehearse-only")    # after its first spawn and handoff it has all the descriptors that it ever has
        for arguments in [(), ("--force",), ("--rehearse-only",)]:
            reason = keepd.refuses("keepd", *arguments)
            check("program/two" in reason and "'weight'" in reason, f"the field is named: {reason}")
        found = keepd.to("keepd-next", "--force")
        check_equal(found["two"], ("", 3), "nothing was changed by the refusals")
        # At its default value it hinders nobody.
        keepd.values.write_text("two weight 0\n")
        keepd.to("keepd-next", "--force")
        pid = keepd.status("two")["pid"]
        keepd.to("keepd")
        keepd.keepctl("restart", "one")
        found = keepd.to("keepd-next")
        check_equal(found["two"], ("", 0), "the way down and up again")
        check(is_alive(pid) and keepd.status("two")["pid"] == pid, "the program")


def with_formats(source, target, formats):
    """A copy whose note says that it reads these."""
    data = source.read_bytes()
    found = re.search(rb"version=\S+ format=[\d.]+\0*", data)
    text = found[0][:found[0].rindex(b"=") + 1] + formats.encode()
    check(len(text) < len(found[0]), f"the note has no room for {formats}")
    target.write_bytes(data[:found.start()] + text.ljust(len(found[0]), b"\0") + data[found.end():])
    target.chmod(0o755)
    return target


@scenario
def an_image_that_reads_no_format_of_ours_is_not_even_run():
    with Skewed({"one": PAUSE}).start() as keepd:
        # Were it run, it would hang.
        hangs = with_formats(program("impostor"), keepd.directory / "impostor-hangs", "7.2,9.0")
        reason = keepd.refuses("keepd-b", hangs)
        check(f"it reads the saved state in format 7.2,9.0 alone, and this keepd writes {OURS}" in reason, reason)
        reason = keepd.refuses("keepd-b", with_formats(program("impostor"), keepd.directory / "impostor-crashes", "new"))
        check("which is none" in reason, reason)
        keepd.to(with_formats(program("keepd-b"), keepd.directory / "many", f"9.0,{OURS}"))


if __name__ == "__main__":
    sys.exit(main())
