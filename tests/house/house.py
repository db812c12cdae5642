"""The rules of the house (daemon/README.md), as data, and the functions that find breaches in a source tree.

Each check takes the tree's root and yields one line per breach: "FILE:LINE: what is wrong". test_house.py runs them over
this tree, and over a tree with planted breaches, so that a check that finds nothing any more is noticed.
"""
import re
import subprocess
from pathlib import Path

# Who may include whom. A room is a folder; what it may include are folders or single headers.
ROOMS = {
    "lib/include": [],
    "lib/base": [],
    "lib/sys": ["lib/base", "lib/include/keep/fd.hpp"],
    "lib/exec": ["lib/base", "lib/sys", "lib/include"],
    "config": ["lib/base"],
    "systemd": ["lib/base", "lib/sys"],
    "daemon/core": ["lib/base", "config/plan.hpp"],
    "daemon/checkpoint": ["daemon/core", "lib/base", "lib/sys", "config/plan.hpp"],
    "daemon/logs": ["lib/base", "lib/sys"],
    "daemon/control": ["daemon/core", "daemon/logs/pump.hpp", "config/plan.hpp", "systemd/loop.hpp", "lib/base", "lib/sys"],
    "daemon/ctl": ["config", "lib/base", "lib/sys", "daemon/control"],
    "daemon/upgrade": ["daemon/core", "daemon/checkpoint", "daemon/logs", "daemon/control", "config", "systemd", "lib"],
    "daemon/host": ["daemon/core", "daemon/checkpoint", "daemon/logs", "daemon/control", "daemon/upgrade", "config",
                    "systemd", "lib"],
}
# What a room must not reach by any chain of includes.
NEVER_REACHED = {"daemon/ctl": ["daemon/core", "daemon/host", "daemon/upgrade", "daemon/checkpoint"]}
# Read by every room of the daemon: who this image is.
DAEMON_WIDE = "daemon/version.hpp"

# Headers that are, or lead to, system calls, clocks, randomness, files or threads.
IMPURE = re.compile(
    r"^(unistd\.h|fcntl\.h|poll\.h|sched\.h|time\.h|ctime|signal\.h|dirent\.h|pwd\.h|grp\.h|syslog\.h|spawn\.h|netdb\.h"
    r"|dlfcn\.h|link\.h|sys/.*|linux/.*|netinet/.*|arpa/.*|systemd/.*|spdlog/.*|random|iostream|fstream|filesystem"
    r"|thread|mutex|condition_variable|future|stop_token)$")
PURE_ROOMS = ["lib/base", "daemon/core", "config"]
# (room, header) or (file, header): allowed all the same, and why.
IMPURE_ALLOWED = {
    ("config/host_facts.cpp", None),      # the one place of config that asks the system, behind Facts
    ("lib/base/signals.cpp", "csignal"),  # only the numbers of signals
    ("lib/base/signals.cpp", "signal.h"),
}

# Libraries that must not leak into our headers; a forward declaration leaks nothing.
CPP_ONLY = re.compile(r"^(nlohmann/(?!json_fwd\.hpp)|spdlog/|CLI/)")

SPAWNING = re.compile(
    r"(?<![\w.>:])(?:::\s*)?(fork|vfork|_Fork|clone|clone3|execl|execlp|execle|execv|execvp|execvpe|execve|execveat|fexecve"
    r"|posix_spawn|posix_spawnp|system|popen)\s*\(|\b(?:SYS|__NR)_(?:fork|vfork|clone3?|execveat|execve)\b")

SLEEPING = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep|clock_nanosleep)\s*\(|\btime\.sleep\b|(?<![\w.])sleep\s*\(")

# Files over the limit, each with the reason why it is one idea all the same.
LINE_LIMIT = 400
LONG_FILES = {}

# What each room's library may link, in meson's variable names.
LINKS = {
    "lib/base": set(),
    "lib/sys": {"base", "threads"},
    "lib/exec": {"base", "sys", "threads"},
    "config": {"base", "json"},
    "systemd": {"base", "sys", "libsystemd"},
    "daemon/core": {"base", "fmt"},
    "daemon/checkpoint": {"base", "sys", "core", "json"},
    "daemon/logs": {"base", "sys", "threads"},
    "daemon/control": {"base", "sys", "core", "logs", "systemd", "json", "fmt", "control_vocabulary"},
    "daemon/upgrade": {"base", "sys", "exec", "core", "checkpoint", "logs", "control", "systemd", "json", "fmt",
                       "spdlog_headers", "version", "version_lib", "config"},
    "daemon/host": {"upgrade", "config", "cli11", "host", "keepd_version", "keepd_version_b"},
    # keepctl is a client: a link to the policy or to the host would be a breach.
    "daemon/ctl": {"control_vocabulary", "config", "sys", "ctl", "cli11", "keepd_version"},
}
# The tests of the policy link the policy and nothing that could make a system call.
TEST_LINKS = {"tests/core": {"core", "base", "test_support", "core_tests"}}

TOP_FOLDERS = ["config", "daemon", "lib", "packaging", "systemd", "tests"]
CODE = {".cpp", ".hpp"}
TEXT = CODE | {".py", ".sh", ".md", ".build", ".json", ".service", ".txt", ".1", ".5", ".8", ".c", ".h", ""}

QUOTED = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
ANGLED = re.compile(r"^\s*#\s*include\s*<([^>]+)>")


def files(root, *folders):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def whole_tree(root):
    for entry in sorted(root.iterdir()):
        if entry.is_dir() and entry.name != ".git" and not entry.name.startswith("build") and entry.name != ".cache":
            yield from files(root, entry.name)
        elif entry.is_file():
            yield entry


def room_of(root, path):
    relative = path.relative_to(root).as_posix()
    for room in sorted(ROOMS, key=len, reverse=True):
        if relative.startswith(room + "/"):
            return room
    return None


def code_files(root):
    for path in files(root, "lib", "config", "systemd", "daemon"):
        if path.suffix in CODE and "precompiled" not in path.parts:  # lists for the compiler; no source includes them
            yield path, path.relative_to(root).as_posix(), room_of(root, path)


def without_comments_and_strings(text):
    """The same lines with comments and literals blanked, so that a word in a message is not taken for a call."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def included(path):
    """(line, path from the top) of each of our own headers; the public ones stand as <keep/...>."""
    yield from includes(path, QUOTED)
    for number, header in includes(path, ANGLED):
        if header.startswith("keep/"):
            yield number, f"lib/include/{header}"


def includes(path, pattern):
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        match = pattern.match(line)
        if match:
            yield number, match[1]


def is_under(header, places):
    return any(header == place or header.startswith(place + "/") for place in places)


def check_room_includes(root):
    for path, name, room in code_files(root):
        if room is None:
            if name not in ("daemon/version.hpp", "daemon/version.cpp"):
                yield f"{name}:1: lies in no room of the house"
            continue
        allowed = [room, *ROOMS[room]] + ([DAEMON_WIDE] if room.startswith("daemon/") else [])
        for number, header in included(path):
            if not (root / header).exists():
                yield f"{name}:{number}: \"{header}\" is not a path from the top of the tree"
            elif not is_under(header, allowed):
                yield f"{name}:{number}: {room} must not include \"{header}\""


def check_reached_includes(root):
    direct = {name: [header for _, header in included(path)] for path, name, _ in code_files(root)}
    for path, name, room in code_files(root):
        banned = NEVER_REACHED.get(room, [])
        seen, todo = {name}, [(header, header) for header in direct[name]]
        while banned and todo:
            header, first = todo.pop()
            if is_under(header, banned):
                yield f"{name}:1: {room} reaches \"{header}\" through \"{first}\""
                break
            if header not in seen:
                seen.add(header)
                todo += [(further, first) for further in direct.get(header, [])]


def check_pure_rooms(root):
    for path, name, room in code_files(root):
        if room not in PURE_ROOMS:
            continue
        for number, header in includes(path, ANGLED):
            if IMPURE.match(header) and (name, header) not in IMPURE_ALLOWED and (name, None) not in IMPURE_ALLOWED:
                yield f"{name}:{number}: {room} makes no system calls, so it must not include <{header}>"


def check_libraries_stay_in_sources(root):
    for path, name, _ in code_files(root):
        for number, header in includes(path, ANGLED):
            if path.suffix == ".hpp" and CPP_ONLY.match(header):
                yield f"{name}:{number}: <{header}> belongs into a .cpp file"


def check_systemd_has_one_door(root):
    for path, name, room in code_files(root):
        for number, header in includes(path, ANGLED):
            if header.startswith("systemd/") and room != "systemd":
                yield f"{name}:{number}: only systemd/ may include <{header}>"


def check_spawning_has_one_door(root):
    for path, name, room in code_files(root):
        if room == "lib/exec":
            continue
        for number, line in enumerate(without_comments_and_strings(path.read_text(errors="replace")).splitlines(), 1):
            match = SPAWNING.search(line)
            if match:
                yield f"{name}:{number}: only lib/exec may start processes: {match[0].strip()}"


def check_no_sleeping_in_tests(root):
    for path in files(root, "tests"):
        name = path.relative_to(root).as_posix()
        if path.suffix not in {".cpp", ".hpp", ".c", ".py"} or name.startswith("tests/house/"):
            continue
        text = path.read_text(errors="replace")
        if path.suffix != ".py":
            text = without_comments_and_strings(text)
        for number, line in enumerate(text.splitlines(), 1):
            match = SLEEPING.search(line.split("#")[0] if path.suffix == ".py" else line)
            # A victim program may sleep: it stands in a quoted command ("sleep 1000"), and is no call.
            if match:
                yield f"{name}:{number}: a test waits on a descriptor or a deadline, never by {match[0].strip()}"


def check_no_foreign_paths(root):
    banned = re.compile(r"(?<![\w.})])(?:/work/|/root/|/home/(?!user)\w+/)")
    for path in whole_tree(root):
        name = path.relative_to(root).as_posix()
        if path.suffix in TEXT and not name.startswith("tests/house/") and path.stat().st_size < 1 << 20:
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                match = banned.search(line)
                if match:
                    yield f"{name}:{number}: a path of one machine: {match[0]}"


def check_file_lengths(root):
    for path, name, _ in code_files(root):
        lines = len(path.read_text(errors="replace").splitlines())
        if lines > LINE_LIMIT and name not in LONG_FILES:
            yield f"{name}:{lines}: over {LINE_LIMIT} lines; look for the second idea in it"
        if name in LONG_FILES and lines <= LINE_LIMIT:
            yield f"{name}:{lines}: is not long any more; take it off LONG_FILES"


LIBRARY = re.compile(r"(?:static_library|executable|declare_dependency)\((?:[^()]|\([^()]*\))*\)", re.S)
DEPENDENCIES = re.compile(r"dependencies\s*:\s*(\[[^\]]*\]|[\w.]+(?:\([^)]*\))?)")


def links(build_file):
    """(line, names) of each dependencies: in a meson.build."""
    text = re.sub(r"#[^\n]*", "", build_file.read_text())
    for target in LIBRARY.finditer(text):
        for match in DEPENDENCIES.finditer(target[0]):
            line = text.count("\n", 0, target.start() + match.start()) + 1
            yield line, set(re.findall(r"[A-Za-z_]\w*", match[1]))


def check_link_lines(root):
    for room, allowed in {**LINKS, **TEST_LINKS}.items():
        build_file = root / room / "meson.build"
        if not build_file.exists():
            continue
        for line, names in links(build_file):
            for name in sorted(names - allowed - {"test_support", "doctest"} if room in LINKS else names - allowed):
                yield f"{room}/meson.build:{line}: {room} must not link {name}"


def check_every_source_is_built(root):
    for path, name, _ in code_files(root):
        build_file = path.parent / "meson.build"
        text = build_file.read_text() if build_file.exists() else ""
        if path.suffix == ".cpp" and f"'{path.name}'" not in text:
            yield f"{name}:1: is not in {path.parent.relative_to(root).as_posix()}/meson.build"


def check_front_matter(root):
    if not (root / "LICENSE").exists():
        yield "LICENSE:1: is missing"
    if not (root / "README.md").exists():
        yield "README.md:1: is missing"
    for folder in TOP_FOLDERS:
        if not (root / folder / "README.md").exists():
            yield f"{folder}/README.md:1: is missing: what lives here, who may include it, where to start reading"


def check_formatting(root, formatter="clang-format-19"):
    sources = [str(path) for path in files(root, "lib", "config", "systemd", "daemon", "tests") if path.suffix in CODE]
    if sources:
        result = subprocess.run([formatter, "--dry-run", *sources], text=True, stderr=subprocess.PIPE, cwd=root)
        broken = re.findall(r"^(.*?:\d+):\d+: warning: code should be clang-formatted", result.stderr, re.M)
        first = {place.rsplit(":", 1)[0]: place for place in reversed(broken)}
        for place in sorted(first.values()):
            yield f"{place}: is not formatted as {formatter} does it ({formatter} -i)".replace(str(root) + "/", "")
        if result.returncode:
            yield f".clang-format:1: {result.stderr.strip()}"
