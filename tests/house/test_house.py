#!/usr/bin/env python3
"""The rules of the house hold in this tree, and each check finds the breach it is there for."""
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import house  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
needs_formatter = unittest.skipUnless(shutil.which("clang-format-19"), "clang-format-19 is not installed")


class ThisTree(unittest.TestCase):
    def holds(self, check):
        breaches = list(check(ROOT))
        self.assertFalse(breaches, "\n" + "\n".join(breaches))

    def test_rooms_include_only_whom_they_may(self):
        self.holds(house.check_room_includes)

    def test_keepctl_never_reaches_the_policy(self):
        self.holds(house.check_reached_includes)

    def test_pure_rooms_include_no_system_headers(self):
        self.holds(house.check_pure_rooms)

    def test_libraries_stay_out_of_headers(self):
        self.holds(house.check_libraries_stay_in_sources)

    def test_only_systemd_includes_libsystemd(self):
        self.holds(house.check_systemd_has_one_door)

    def test_only_lib_exec_starts_processes(self):
        self.holds(house.check_spawning_has_one_door)

    def test_no_test_sleeps(self):
        self.holds(house.check_no_sleeping_in_tests)

    def test_no_path_of_one_machine_is_written_down(self):
        self.holds(house.check_no_foreign_paths)

    def test_files_are_read_in_one_sitting(self):
        self.holds(house.check_file_lengths)

    def test_libraries_link_only_what_they_may_include(self):
        self.holds(house.check_link_lines)

    def test_every_source_is_built(self):
        self.holds(house.check_every_source_is_built)

    def test_folders_explain_themselves(self):
        self.holds(house.check_front_matter)

    @needs_formatter
    def test_sources_are_formatted(self):
        self.holds(house.check_formatting)

    def test_every_room_is_known(self):
        # The folders below lib/include are those that the public names need: one room.
        rooms = {room if room == "lib/include" else path.parent.relative_to(ROOT).as_posix()
                 for path, _, room in house.code_files(ROOT) if room}
        self.assertTrue(rooms, "no source found at all")
        self.assertLessEqual(rooms, set(house.ROOMS))


# Each planted fault: (check, file, its text, a part of the breach that must be reported).
PLANTED = [
    (house.check_room_includes, "lib/base/a.cpp", '#include "lib/sys/fd.hpp"\n', "lib/base must not include"),
    (house.check_room_includes, "lib/sys/a.cpp", '#include "lib/exec/spawn.hpp"\n', "lib/sys must not include"),
    (house.check_room_includes, "lib/exec/a.cpp", '#include "config/plan.hpp"\n', "lib/exec must not include"),
    (house.check_room_includes, "lib/include/keep/a.hpp", '#include "lib/sys/fd.hpp"\n', "lib/include must not include"),
    (house.check_room_includes, "lib/base/a.cpp", "#include <keep/exec.hpp>\n", "lib/base must not include"),
    (house.check_room_includes, "daemon/core/a.cpp", "#include <keep/exec.hpp>\n", "daemon/core must not include"),
    (house.check_room_includes, "lib/exec/a.cpp", "#include <keep/gone.hpp>\n", "not a path from the top"),
    (house.check_room_includes, "config/a.cpp", '#include "lib/sys/fd.hpp"\n', "config must not include"),
    (house.check_room_includes, "systemd/a.cpp", '#include "daemon/core/state.hpp"\n', "systemd must not include"),
    (house.check_room_includes, "daemon/core/a.cpp", '#include "lib/sys/fd.hpp"\n', "daemon/core must not include"),
    (house.check_room_includes, "daemon/core/a.cpp", '#include "config/load.hpp"\n', "daemon/core must not include"),
    (house.check_room_includes, "daemon/checkpoint/a.cpp", '#include "systemd/loop.hpp"\n', "must not include"),
    (house.check_room_includes, "daemon/logs/a.cpp", '#include "daemon/core/state.hpp"\n', "daemon/logs must not"),
    (house.check_room_includes, "daemon/control/a.cpp", '#include "daemon/host/host.hpp"\n', "daemon/control must not"),
    (house.check_room_includes, "daemon/ctl/a.cpp", '#include "daemon/core/state.hpp"\n', "daemon/ctl must not include"),
    (house.check_room_includes, "daemon/upgrade/a.cpp", '#include "daemon/host/host.hpp"\n', "daemon/upgrade must not"),
    (house.check_room_includes, "daemon/host/a.cpp", '#include "daemon/ctl/main.hpp"\n', "daemon/host must not"),
    (house.check_room_includes, "lib/base/a.cpp", '#include "text.hpp"\n', "not a path from the top"),
    (house.check_room_includes, "daemon/a.cpp", "\n", "lies in no room"),
    (house.check_reached_includes, "daemon/ctl/a.cpp", '#include "daemon/control/port.hpp"\n', "reaches"),
    (house.check_pure_rooms, "lib/base/a.cpp", "#include <unistd.h>\n", "<unistd.h>"),
    (house.check_pure_rooms, "lib/base/a.cpp", "#  include <sys/wait.h>\n", "<sys/wait.h>"),
    (house.check_pure_rooms, "daemon/core/a.hpp", "#include <random>\n", "<random>"),
    (house.check_pure_rooms, "daemon/core/a.hpp", "#include <signal.h>\n", "<signal.h>"),
    (house.check_pure_rooms, "daemon/core/a.hpp", "#include <fstream>\n", "<fstream>"),
    (house.check_pure_rooms, "daemon/core/a.cpp", "#include <spdlog/spdlog.h>\n", "<spdlog/spdlog.h>"),
    (house.check_pure_rooms, "config/a.cpp", "#include <fcntl.h>\n", "<fcntl.h>"),
    (house.check_libraries_stay_in_sources, "config/a.hpp", "#include <nlohmann/json.hpp>\n", "belongs into a .cpp"),
    (house.check_libraries_stay_in_sources, "daemon/ctl/a.hpp", "#include <CLI/CLI.hpp>\n", "belongs into a .cpp"),
    (house.check_libraries_stay_in_sources, "daemon/host/a.hpp", "#include <spdlog/spdlog.h>\n", "belongs into a .cpp"),
    (house.check_systemd_has_one_door, "daemon/host/a.cpp", "#include <systemd/sd-daemon.h>\n", "only systemd/"),
    (house.check_spawning_has_one_door, "daemon/host/a.cpp", "auto p = ::fork();\n", "fork"),
    (house.check_spawning_has_one_door, "daemon/upgrade/a.cpp", "    execve(path, argv, env);\n", "execve"),
    (house.check_spawning_has_one_door, "lib/sys/a.cpp", "syscall(SYS_clone3, &args, sizeof args);\n", "SYS_clone3"),
    (house.check_spawning_has_one_door, "config/a.cpp", 'if (system("ls")) {}\n', "system"),
    (house.check_no_sleeping_in_tests, "tests/a.cpp", "std::this_thread::sleep_for(1ms);\n", "sleep_for"),
    (house.check_no_sleeping_in_tests, "tests/a.py", "    time.sleep(1)\n", "time.sleep"),
    (house.check_no_sleeping_in_tests, "tests/a.cpp", "    ::usleep(10);\n", "usleep"),
    (house.check_no_foreign_paths, "README.md", "see /work/shared\n", "/work/"),
    (house.check_file_lengths, "lib/base/a.cpp", "\n" * 401, "over 400 lines"),
    (house.check_link_lines, "daemon/core/meson.build",
     "core_lib = static_library('c', 'a.cpp',\n  dependencies: [base, sys])\n", "must not link sys"),
    (house.check_link_lines, "daemon/ctl/meson.build",
     "ctl_lib = static_library('c', 'a.cpp', dependencies: [control_vocabulary, core])\n", "must not link core"),
    (house.check_link_lines, "tests/core/meson.build",
     "test('x', executable('x', 'x.cpp', dependencies: [core, exec, test_support]))\n", "must not link exec"),
    (house.check_every_source_is_built, "lib/base/forgotten.cpp", "\n", "is not in lib/base/meson.build"),
]

# Looks like a breach and is none.
INNOCENT = [
    (house.check_spawning_has_one_door, "daemon/host/a.cpp",
     '// fork() is lib/exec\'s\nlog("fork() failed"); step.clone(); keep::exec::spawn(spec); Step::clone;\n'),
    (house.check_room_includes, "daemon/core/a.cpp", '#include "config/plan.hpp"\n#include "daemon/version.hpp"\n'),
    (house.check_pure_rooms, "config/host_facts.cpp", "#include <pwd.h>\n#include <unistd.h>\n"),
    (house.check_pure_rooms, "lib/sys/a.cpp", "#include <unistd.h>\n"),
    (house.check_no_sleeping_in_tests, "tests/a.py", 'command = ["sleep", "1000"]  # never time.sleep\n'),
    (house.check_libraries_stay_in_sources, "config/a.cpp", "#include <nlohmann/json.hpp>\n"),
    (house.check_libraries_stay_in_sources, "daemon/control/a.hpp", "#include <nlohmann/json_fwd.hpp>\n"),
]


class PlantedBreaches(unittest.TestCase):
    """A small clean tree, into which one fault at a time is planted."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="house-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name, text in {
                "LICENSE": "", "README.md": "", "config/plan.hpp": "", "config/load.hpp": "", "lib/sys/fd.hpp": "",
                "lib/exec/spawn.hpp": "", "lib/include/keep/exec.hpp": "", "lib/base/text.hpp": "", "systemd/loop.hpp": "", "daemon/core/state.hpp": "",
                "daemon/host/host.hpp": "", "daemon/ctl/main.hpp": "", "daemon/version.hpp": "",
                "daemon/control/port.hpp": '#include "daemon/core/state.hpp"\n', "tests/README.md": "",
                "lib/base/meson.build": "base_lib = static_library('b', 'text.cpp')\n"}.items():
            self.plant(name, text)
        for folder in house.TOP_FOLDERS:
            self.plant(f"{folder}/README.md", "")

    def plant(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def test_a_clean_tree_has_no_breach(self):
        for check in {check for check, *_ in PLANTED} | {house.check_front_matter}:
            self.assertEqual(list(check(self.root)), [], check.__name__)

    def test_missing_front_matter_is_found(self):
        for name in ("LICENSE", "README.md", "lib/README.md", "packaging/README.md"):
            text = (self.root / name).read_text()
            (self.root / name).unlink()
            self.assertTrue(any(name in breach for breach in house.check_front_matter(self.root)), name)
            self.plant(name, text)

    @needs_formatter
    def test_an_unformatted_source_is_found(self):
        self.plant(".clang-format", "BasedOnStyle: LLVM\n")
        self.plant("lib/base/a.cpp", "int  x ;\n")
        self.assertTrue(any("lib/base/a.cpp:1: is not formatted" in breach for breach in house.check_formatting(self.root)))


def planted_test(check, name, text, expected):
    def test(self):
        self.plant(name, text)
        breaches = list(check(self.root))
        self.assertTrue(any(name in breach and expected in breach for breach in breaches), breaches)
    return test


def innocent_test(check, name, text):
    def test(self):
        self.plant(name, text)
        self.assertEqual(list(check(self.root)), [])
    return test


for index, (check, name, text, expected) in enumerate(PLANTED):
    setattr(PlantedBreaches, f"test_{check.__name__[6:]}_finds_breach_{index:02}", planted_test(check, name, text, expected))
for index, (check, name, text) in enumerate(INNOCENT):
    setattr(PlantedBreaches, f"test_{check.__name__[6:]}_lets_pass_{index:02}", innocent_test(check, name, text))


if __name__ == "__main__":
    unittest.main(verbosity=2 if "-v" in sys.argv else 1)
