#!/usr/bin/env python3
"""The watch on the binary, and --if-changed: what they upgrade to, and what they leave alone."""
import json
import os
import shutil
import signal
import sys

from harness import (Keepd, at_once, check, check_equal, count, eventually, main, program, scenario, start_time,
                     victim)

LONGER_THAN_A_FILE_MUST_LIE_STILL = 2   # starts of the ticker, each 400 ms after the one before


def watching(**more):
    """A keepd that watches its binary, with a program that must not notice, and one by whose starts time passes."""
    settings = {"upgrade": {"watch_binary": True, "min_interval": "0s", **more}}
    ticker = {"command": ["/bin/true"], "restart": at_once(delay="400ms", max_delay="400ms"), "stdout": "null"}
    return Keepd({"one": victim("pause"), "ticker": ticker}, daemon=settings)


def one(keepd):
    status = keepd.status("one")
    return status["pid"], start_time(status["pid"]), status["run"], status["restarts"]


def await_upgrade(events):
    return events.wait(lambda notice: notice["kind"] == "upgrade" and notice["text"].startswith("upgraded from"),
                       "an upgrade by the watch")


def await_refusal(events):
    return events.wait(lambda notice: notice["kind"] == "upgrade" and notice["level"] == "error", "a refusal")


def let_a_while_pass(events):
    """By keepd's own clock: its timers of before have fired."""
    for _ in range(LONGER_THAN_A_FILE_MUST_LIE_STILL):
        events.wait(lambda notice: notice["kind"] == "started" and notice["program"] == "ticker", "the ticker")


def upgrade_notices(events):
    return [notice["text"] for notice in events.drain() if notice["kind"] == "upgrade"]


def begun(events):
    return sum(text.startswith("begins:") for text in upgrade_notices(events))


def build_of(name):
    return "+b" if name == "keepd-b" else ""


@scenario
def a_binary_that_is_renamed_over_the_old_one():
    with watching().start() as keepd, keepd.events() as events:
        before = one(keepd)
        for number in range(count(3, 50)):
            name = "keepd" if number % 2 else "keepd-b"
            keepd.install(name)
            await_upgrade(events)
            daemon = keepd.status()["daemon"]
            check_equal((daemon["generation"], daemon["pid"]), (number + 2, keepd.pid), "generation and pid")
            check(daemon["version"].endswith(build_of(name)), f"the version that was installed: {daemon['version']}")
        check_equal(one(keepd), before, "the program")
        let_a_while_pass(events)
        check_equal(begun(events), count(3, 50), "upgrades for as many files")


@scenario
def a_symlink_of_the_way_that_is_switched():
    with watching() as keepd:
        for release, name in (("7", "keepd"), ("8", "keepd-b")):
            place = keepd.directory / "releases" / release
            place.mkdir(parents=True)
            shutil.copyfile(program(name), place / "keepd")
            (place / "keepd").chmod(0o755)

        def switch(link, target):
            fresh = keepd.directory / "link.new"
            fresh.symlink_to(target)
            os.rename(fresh, link)
        current = keepd.directory / "current"
        switch(current, "releases/7")
        switch(keepd.bin, "current/keepd")
        keepd.start()
        with keepd.events() as events:
            before = one(keepd)
            switch(current, "releases/8")
            await_upgrade(events)
            check(keepd.status()["daemon"]["version"].endswith("+b"), "what the link leads to now")
            switch(current, "releases/7")   # the next image watches as well
            await_upgrade(events)
            # A directory of the way goes, and comes back with the other one's content.
            os.rename(keepd.directory / "releases", keepd.directory / "old")
            let_a_while_pass(events)
            shutil.copytree(keepd.directory / "old", keepd.directory / "fresh")
            switch(keepd.directory / "fresh" / "latest", "8")
            shutil.rmtree(keepd.directory / "fresh" / "7")
            os.rename(keepd.directory / "fresh" / "8", keepd.directory / "fresh" / "7")
            os.rename(keepd.directory / "fresh", keepd.directory / "releases")
            await_upgrade(events)
            check(keepd.status()["daemon"]["version"].endswith("+b"), "what lies there now")
            check_equal(one(keepd), before, "the program")


@scenario
def a_file_that_still_grows_is_not_tried():
    with watching().start() as keepd, keepd.events() as events:
        image = program("keepd-b").read_bytes()
        keepd.bin.unlink()      # a file that is executed can't be written to
        pieces = 3
        with open(keepd.bin, "wb", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o755)) as writer:
            for piece in range(pieces):
                writer.write(image[len(image) * piece // pieces:len(image) * (piece + 1) // pieces])
                let_a_while_pass(events)
            check_equal(upgrade_notices(events), [], "what was tried of a file with a writer")
        await_upgrade(events)
        check_equal(begun(events), 1, "attempts")


@scenario
def a_refused_file_is_not_tried_again_until_it_changes():
    with watching().start() as keepd, keepd.events() as events:
        before = one(keepd)
        keepd.install(program("impostor"))     # passes for keepd until it is rehearsed
        reason = await_refusal(events)["text"]
        check("rehearsal" in reason, f"the reason: {reason}")
        last = keepd.status()["daemon"]["last_upgrade"]
        check_equal((last["ok"], last["text"]), (False, reason), "status tells the reason")

        # Neither by a watch that begins anew, nor by who asks for what is new.
        keepd.daemon["upgrade"]["watch_binary"] = False
        keepd.write(keepd.programs)
        keepd.keepctl("reload")
        keepd.daemon["upgrade"]["watch_binary"] = True
        keepd.write(keepd.programs)
        keepd.keepctl("reload")
        refused = keepd.upgrade("--if-changed", expect=1)
        check("not tried again" in refused.stderr and reason in refused.stderr, f"told why: {refused.stderr}")
        let_a_while_pass(events)
        check_equal(begun(events), 1, "attempts")
        # Who asks for it by name insists.
        check(keepd.upgrade(expect=1).stderr.strip().endswith(reason), "the same reason, by another rehearsal")

        # It survives the exec: another image knows of it as well.
        elsewhere = keepd.directory / "elsewhere"
        shutil.copyfile(program("keepd-b"), elsewhere)
        elsewhere.chmod(0o755)
        keepd.upgrade(elsewhere)
        check("not tried again" in keepd.upgrade("--if-changed", expect=1).stderr, "the next image knows it, too")
        let_a_while_pass(events)
        check_equal(begun(events), 3, "attempts: the watch's and two that were asked for")

        # The same bytes in another file are another candidate; so is the file with another mode.
        keepd.install(program("impostor"))
        await_refusal(events)
        keepd.bin.chmod(0o700)
        await_refusal(events)
        check_equal(one(keepd), before, "the program")
        keepd.install("keepd")
        await_upgrade(events)


@scenario
def a_file_that_was_rolled_back_is_not_tried_again():
    with watching() as keepd:
        place = {}
        for name, source in (("keepd-a", "keepd"), ("keepd-abort-0", "bad-image"), ("keepd-c", "keepd-b")):
            place[name] = keepd.directory / name
            shutil.copyfile(program(source), place[name])
            place[name].chmod(0o755)
        current = keepd.directory / "current"

        def switch(name):
            (keepd.directory / "link.new").symlink_to(name)
            os.rename(keepd.directory / "link.new", current)
        switch("keepd-a")
        keepd.daemon["upgrade"]["binary"] = str(current)
        keepd.write(keepd.programs)
        keepd.start()
        with keepd.events() as events:
            let_a_while_pass(events)
            before = one(keepd)
            attempts = begun(events)      # keepd-a is the build that runs, in another file
            switch("keepd-abort-0")
            reason = await_refusal(events)["text"]
            check("rolled back" in reason, f"the reason: {reason}")
            let_a_while_pass(events)
            check_equal((begun(events), keepd.generation()), (attempts + 1, 1), "attempts and generation")
            check("rolled back" in keepd.upgrade("--if-changed", expect=1).stderr, "who asks is told the reason")
            switch("keepd-c")
            await_upgrade(events)
            check_equal(one(keepd), before, "the program")


@scenario
def files_that_follow_each_other_inside_the_interval():
    with watching(min_interval="1h").start() as keepd, keepd.events() as events:
        files = []
        for number in range(9):
            files.append(keepd.directory / f"file-{number}")
            shutil.copyfile(program("keepd" if number % 2 else "keepd-b"), files[-1])
            files[-1].chmod(0o755)
        os.rename(files[0], keepd.bin)
        await_upgrade(events)      # at once: there was none before
        os.link(keepd.bin, keepd.directory / "running")
        for file in files[1:-1]:   # the last of them is another build
            os.rename(file, keepd.bin)
        events.wait(lambda notice: "upgrade.min_interval" in notice["text"], "the next is put off")
        os.rename(keepd.directory / "running", keepd.bin)
        events.wait(lambda notice: "back in its place" in notice["text"], "and not due any more")
        os.rename(files[-1], keepd.bin)
        events.wait(lambda notice: "upgrade.min_interval" in notice["text"], "it is put off again")
        let_a_while_pass(events)
        check_equal((begun(events), keepd.generation()), (1, 2), "upgrades")
        # An operator is not kept waiting.
        keepd.install("keepd")
        keepd.upgrade("--if-changed")
        check_equal((begun(events), keepd.generation()), (2, 3), "upgrades")


@scenario
def an_operators_choice_of_another_file_stands():
    """What lies at the path is no news only because something else runs."""
    with watching().start() as keepd, keepd.events() as events:
        let_a_while_pass(events)     # the watch has seen what lies there
        other = keepd.directory / "other"
        shutil.copyfile(program("keepd-b"), other)
        other.chmod(0o755)
        keepd.upgrade(other)
        let_a_while_pass(events)
        check_equal((begun(events), keepd.generation()), (1, 2), "upgrades")


@scenario
def the_watch_is_switched_on_and_off_by_a_reload():
    with watching(watch_binary=False).start() as keepd, keepd.events() as events:
        keepd.install("keepd-b")
        let_a_while_pass(events)
        check_equal(upgrade_notices(events), [], "without a watch")
        keepd.daemon["upgrade"]["watch_binary"] = True
        keepd.write(keepd.programs)
        plan = keepd.keepctl("reload").stdout
        check("upgrade.watch_binary" in plan, f"the plan names it: {plan}")
        await_upgrade(events)


@scenario
def a_shutdown_and_a_reload_find_the_watch_in_no_way():
    with watching().start() as keepd:
        keepd.install(program("impostor"))
        keepd.kill(signal.SIGHUP)
        check_equal(keepd.stop(), 0, "exit code")


@scenario
def if_changed_tells_what_there_is_to_do():
    with Keepd({"one": victim("pause")}).start() as keepd:
        done = keepd.upgrade("--if-changed")
        check("nothing to do" in done.stdout and "the file that runs" in done.stdout, f"the running file: {done.stdout}")
        check_equal(keepd.status()["daemon"]["last_upgrade"], None, "nothing has happened")
        keepd.install("keepd")
        done = keepd.upgrade("--if-changed")
        check("nothing to do" in done.stdout, f"the same build in another file: {done.stdout}")
        check_equal(keepd.generation(), 1, "generation")
        keepd.install("keepd-b")
        reply = json.loads(keepd.upgrade("--if-changed", "--json").stdout)
        check_equal((reply["replaced"], reply["generation"]), (True, 2), "another build")
        # By path, too.
        path = keepd.directory / "candidate"
        path.touch(0o755)
        first = keepd.keepctl("upgrade", "--if-changed", path, expect=4).stderr
        again = keepd.keepctl("upgrade", "--if-changed", path, expect=1).stderr
        check("it is empty" in first and "it is empty" in again and "not tried again" in again, f"{first!r}, {again!r}")
        keepd.keepctl("upgrade", "--if-changed", "--force", expect=2)
        keepd.keepctl("upgrade", "--if-changed", "--rehearse-only", expect=2)


@scenario
def what_was_refused_is_known_after_a_crash():
    with Keepd({"one": victim("pause")}).start() as keepd:
        path = keepd.directory / "candidate"
        path.touch(0o755)
        keepd.keepctl("upgrade", "--if-changed", path, expect=4)
        keepd.kill(signal.SIGKILL)
        keepd.wait()
        keepd.start()
        again = keepd.keepctl("upgrade", "--if-changed", path, expect=1).stderr
        check("not tried again" in again and "it is empty" in again, f"the reason: {again!r}")


@scenario
def if_changed_joins_an_upgrade_to_the_same_file():
    settings = {"upgrade": {"rehearsal_timeout": "1s"}}
    with Keepd({"one": victim("pause")}, daemon=settings).start() as keepd, keepd.control() as first, \
            keepd.control() as second:
        path = keepd.directory / "impostor-hangs"
        shutil.copyfile(program("impostor"), path)
        path.chmod(0o755)
        first.send("Upgrade", binary=str(path))
        eventually(lambda: keepd.status()["daemon"]["upgrading"], "the rehearsal")
        second.send("Upgrade", binary=str(path), if_changed=True)
        keepd.keepctl("upgrade", "--if-changed", expect=4)       # of another file: busy
        reasons = []
        for control in (first, second):
            try:
                control.receive()
            except Exception as error:  # noqa: BLE001 (whatever it is, its text is compared)
                reasons.append(str(error))
        check_equal(len(reasons), 2, "both were refused")
        check_equal(reasons[0], reasons[1], "by one rehearsal")
        check("rehearsal_timeout" in reasons[0], f"the reason: {reasons[0]}")


@scenario
def without_a_keepd_if_changed_says_so():
    with Keepd().start() as keepd:
        keepd.stop()
        keepd.upgrade("--if-changed", expect=6)


if __name__ == "__main__":
    sys.exit(main())
