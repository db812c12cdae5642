#!/usr/bin/env python3
"""What an installation of libkeepexec is: its files, its symbols, its headers, programs outside of this tree that are
built against it, and the same sources on another architecture. test_product.py --build DIRECTORY"""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMPILERS = ["g++", "clang++-19"]
STRICT = ["-std=c++23", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
CACHE = ["ccache"] if shutil.which("ccache") else []
BUILD = None    # set by main()
INSTALL = None  # set once by setUpModule()


def run(*command, **options):
    """The standard output; a failure with all that was said otherwise."""
    result = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **options)
    if result.returncode:
        raise AssertionError(f"{shlex.join(str(word) for word in command)}: exit code {result.returncode}\n"
                             f"{result.stdout}{result.stderr}")
    return result.stdout


def at_once(work, items):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, items))


def need(program):
    if not shutil.which(program):
        raise unittest.SkipTest(f"{program} is not installed")


class Installation:
    """The build directory's installation, in a folder of its own."""

    def __init__(self):
        options = {option["name"]: option["value"]
                   for option in json.loads(run("meson", "introspect", "--buildoptions", BUILD))}
        if options.get("b_sanitize", "none") not in ("none", []):
            raise unittest.SkipTest("what is installed is built without sanitizers")
        self.folder = tempfile.TemporaryDirectory(prefix="product-")
        self.root = Path(self.folder.name) / "root"
        run("meson", "install", "--no-rebuild", "--destdir", self.root, "-C", BUILD)
        prefix = self.root / options["prefix"].lstrip("/")
        self.libraries = prefix / options["libdir"]
        self.headers = prefix / options["includedir"]
        self.manuals = prefix / options["mandir"]
        self.pkgconfig = self.libraries / "pkgconfig"

    def pkg_config(self, *arguments):
        # Paths of the system are left out by pkg-config unless it is told otherwise; these are not the system's.
        environment = dict(os.environ, PKG_CONFIG_PATH=str(self.pkgconfig), PKG_CONFIG_SYSROOT_DIR=str(self.root),
                           PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1", PKG_CONFIG_ALLOW_SYSTEM_LIBS="1")
        return shlex.split(run("pkg-config", *arguments, "keepexec", env=environment))

    def shared_library(self):
        return (self.libraries / "libkeepexec.so").resolve(strict=True)

    def header_names(self):
        return sorted(path.relative_to(self.headers).as_posix() for path in (self.headers / "keep").rglob("*.hpp"))


def setUpModule():
    global INSTALL
    INSTALL = Installation()


def tearDownModule():
    INSTALL.folder.cleanup()


def dynamic_entries(library, tag):
    return re.findall(rf"\({tag}\).*\[(.*)\]", run("readelf", "-dW", library))


class Files(unittest.TestCase):
    def test_the_shared_library_carries_its_version_and_is_linked_to(self):
        library = INSTALL.libraries / "libkeepexec.so.0.1.0"
        self.assertTrue(library.is_file() and not library.is_symlink(), library)
        self.assertEqual(INSTALL.shared_library(), library.resolve())
        self.assertTrue((INSTALL.libraries / "libkeepexec.so").is_symlink())

    def test_the_soname_has_a_version_and_is_a_link_to_the_library(self):
        [soname] = dynamic_entries(INSTALL.shared_library(), "SONAME")
        self.assertRegex(soname, r"^libkeepexec\.so\.\d+(\.\d+)*$")
        self.assertEqual((INSTALL.libraries / soname).resolve(strict=True), INSTALL.shared_library())

    def test_the_static_library_holds_its_objects_itself(self):
        with (INSTALL.libraries / "libkeepexec.a").open("rb") as archive:
            self.assertEqual(archive.read(8), b"!<arch>\n")  # "!<thin>": names of files of the build directory

    def test_every_public_header_is_installed_and_nothing_else(self):
        here = ROOT / "lib/include"
        there = [path.relative_to(INSTALL.headers).as_posix() for path in INSTALL.headers.rglob("*") if path.is_file()]
        self.assertEqual(sorted(there), sorted(path.relative_to(here).as_posix() for path in here.rglob("*.hpp")))

    def test_pkg_config_knows_the_version(self):
        self.assertEqual(INSTALL.pkg_config("--modversion"), ["0.1.0"])

    def test_pkg_config_names_no_path_of_the_build(self):
        text = (INSTALL.pkgconfig / "keepexec.pc").read_text()
        self.assertNotIn(str(ROOT), text)
        self.assertNotIn(str(BUILD), text)

    def test_the_manual_page_is_installed(self):
        self.assertTrue(list((INSTALL.manuals / "man3").glob("keepexec.3*")))


# keep::exec or keep::Fd, what the compiler makes beside a class (vtable, typeinfo), and what is local to their functions.
OURS = re.compile(r"^_Z(?:T[VIST]|GV)?Z?(?:T?h?n?\d*_)?N[VKrRO]*4keep(?:4exec|2Fd)")


class Symbols(unittest.TestCase):
    def setUp(self):
        self.symbols = []  # (name, version)
        for line in run("nm", "-D", "--defined-only", "--with-symbol-versions", INSTALL.shared_library()).splitlines():
            kind, name = line.split()[-2:]
            name, _, version = name.partition("@")
            if kind != "A":  # the names of the versions themselves
                self.symbols.append((name, version.lstrip("@")))

    def readable(self):
        text = run("c++filt", "--no-params", input="\n".join(name for name, _ in self.symbols))
        return text.replace("[abi:cxx11]", "").splitlines()

    def test_only_keep_exec_and_keep_fd_are_shown(self):
        strangers = [name for name, _ in self.symbols if not OURS.match(name)]
        self.assertFalse(strangers, run("c++filt", input="\n".join(strangers)))

    def test_what_is_shown_stands_in_the_public_headers(self):
        words = set(re.findall(r"\w+", "\n".join((INSTALL.headers / name).read_text() for name in INSTALL.header_names())))
        self.assertFalse([name for name in self.readable() if not set(re.findall(r"\w+", re.sub(
            r"^(vtable|typeinfo|typeinfo name|VTT|guard variable) for ", "", name))) <= words])

    def test_the_public_functions_are_shown(self):
        readable = self.readable()
        for name in ("spawn", "look_path", "replace", "command", "Cmd::start", "Cmd::wait", "Process::wait", "Bytes::room",
                     "Error::message", "PipeReader::read", "PipeWriter::write", "Sink::writer", "exec_category"):
            self.assertIn(f"keep::exec::{name}", readable)

    def test_every_symbol_has_a_version(self):
        self.assertFalse([name for name, version in self.symbols if not version])

    def test_the_library_needs_libc_and_the_compilers_run_time_alone(self):
        allowed = r"^(libc\.so\.6|libm\.so\.6|libstdc\+\+\.so\.6|libgcc_s\.so\.1|ld-linux.*\.so\.\d)$"
        for needed in dynamic_entries(INSTALL.shared_library(), "NEEDED"):
            self.assertRegex(needed, allowed)

    def test_no_memory_of_the_library_is_writable_and_executable(self):
        for line in run("readelf", "-lW", INSTALL.shared_library()).splitlines():
            if re.match(r"\s+(LOAD|GNU_STACK)\s", line):
                self.assertNotRegex(line, r"\sRWE\s", "the assembler's stub asks for an executable stack?")


class Headers(unittest.TestCase):
    def each(self, compiler, *flags):
        """(header, what the compiler printed) for a file that includes that header and nothing else."""
        need(compiler)
        with tempfile.TemporaryDirectory(prefix="headers-") as folder:
            def one(name):
                source = Path(folder) / (name.replace("/", "_") + ".cpp")
                source.write_text(f"#include <{name}>\n")
                return name, run(*CACHE, compiler, *STRICT, *flags, f"-I{INSTALL.headers}", source)
            return at_once(one, INSTALL.header_names())

    def test_each_compiles_alone_with_gcc(self):
        self.assertTrue(self.each("g++", "-fsyntax-only"))

    def test_each_compiles_alone_with_clang(self):
        self.assertTrue(self.each("clang++-19", "-fsyntax-only"))

    def test_they_reach_nothing_but_themselves_and_the_compilers_headers(self):
        foreign = re.compile(r"nlohmann|spdlog|/fmt/|systemd|/CLI/|doctest")
        own = INSTALL.headers / "keep"
        for name, rule in self.each("g++", "-M"):
            for path in map(Path, rule.replace("\\\n", " ").split()[2:]):  # after the target and the includer itself
                path = Path(os.path.normpath(path))
                self.assertTrue(path.is_relative_to(own) or path.is_relative_to("/usr"), f"{name} reaches {path}")
                self.assertNotRegex(str(path), foreign, f"reached by {name}")
                self.assertFalse(path.is_relative_to(ROOT), f"{name} reaches {path}")

    def test_the_lower_layer_costs_little_more_than_the_standard_headers_that_it_shows(self):
        def size(*names):
            text = "".join(f"#include <{name}>\n" for name in names)
            return len(run("g++", "-std=c++23", f"-I{INSTALL.headers}", "-E", "-P", "-x", "c++", "-", input=text))
        standard = size("string", "vector", "chrono", "optional", "expected", "memory")
        self.assertLessEqual(size("keep/exec/spawn.hpp"), standard * 1.10)


CONSUMER = HERE / "product/consumer.cpp"
CONSUMER_SAYS = """from a child
exit status 7, 7, why
fork/exec /nonexistent/program: no such file or directory
THROUGH A PIPE
exit status 0
1
replaced
"""


class Consumers(unittest.TestCase):
    """A project outside of this tree."""

    def build(self, compiler, static):
        need(compiler)
        folder = tempfile.TemporaryDirectory(prefix="consumer-")
        self.addCleanup(folder.cleanup)
        source, program = Path(folder.name) / "main.cpp", Path(folder.name) / "program"
        shutil.copy(CONSUMER, source)
        how = ["--static"] if static else []
        run(compiler, *STRICT, *INSTALL.pkg_config(*how, "--cflags"), source, "-o", program,
            *INSTALL.pkg_config(*how, "--libs"), *(["-static"] if static else []))
        return program

    def shared(self, compiler):
        program = self.build(compiler, static=False)
        self.assertIn(dynamic_entries(INSTALL.shared_library(), "SONAME")[0], dynamic_entries(program, "NEEDED"))
        self.assertEqual(run(program, env=dict(os.environ, LD_LIBRARY_PATH=str(INSTALL.libraries))), CONSUMER_SAYS)

    def static(self, compiler):
        program = self.build(compiler, static=True)
        self.assertEqual(dynamic_entries(program, "NEEDED"), [])
        self.assertEqual(run(program), CONSUMER_SAYS)

    def test_gcc_with_the_shared_library(self):
        self.shared("g++")

    def test_gcc_with_the_static_library(self):
        self.static("g++")

    def test_clang_with_the_shared_library(self):
        self.shared("clang++-19")

    def test_clang_with_the_static_library(self):
        self.static("clang++-19")


FOREIGN = HERE / "product/foreign.cpp"
FOREIGN_SAYS = """spawn: exit status 5
spawn: exit status 5
spawn: exit status 5
no program: execve, fork/exec /nonexistent/program: no such file or directory
no program: execve, fork/exec /nonexistent/program: no such file or directory
"""


class AnotherArchitecture(unittest.TestCase):
    COMPILER = "aarch64-linux-gnu-g++"
    EMULATOR = "qemu-aarch64"

    @classmethod
    def setUpClass(cls):
        need(cls.COMPILER)
        commands = json.loads((BUILD / "compile_commands.json").read_text())
        cls.sources = {}  # source -> (folder, flags): those of this build, but for what names the machine or its files
        for entry in commands:
            for source in cls.sources_of(Path(os.path.normpath(Path(entry["directory"]) / entry["file"]))):
                if source.parent in (ROOT / "lib/base", ROOT / "lib/sys", ROOT / "lib/exec"):
                    cls.sources.setdefault(source, (entry["directory"], cls.flags(shlex.split(entry["command"]))))
        if any("-fsanitize=fuzzer-no-link" in flags or "clang" in flags for _, flags in cls.sources.values()):
            raise unittest.SkipTest("this build's flags are clang's")
        cls.folder = tempfile.TemporaryDirectory(prefix="aarch64-")
        cls.addClassCleanup(cls.folder.cleanup)

    @staticmethod
    def sources_of(file):
        """Several, where meson has made them one translation unit."""
        if not re.search(r"-unity\d+\.cpp$", file.name):
            return [file]
        return [Path(os.path.normpath(file.parent / name)) for name in re.findall(r'#include *[<"](.*)[>"]', file.read_text())]

    @staticmethod
    def flags(words):
        kept, skip = [], False
        for word in words:
            if skip:
                skip = False
            elif word in ("-o", "-MQ", "-MF", "-c", "-include"):
                skip = True
            elif word.startswith("-") and not word.startswith(("-MD", "-m", "-g", "-fcf-protection", "-fpch", "-Winvalid-pch")):
                kept.append(word)
        return kept

    def compile(self, source):
        folder, flags = self.sources[source]
        target = Path(self.folder.name) / "_".join(source.relative_to(ROOT).with_suffix(".o").parts)
        run(*CACHE, self.COMPILER, *flags, "-Werror", "-c", source, "-o", target, cwd=folder)
        return target

    def test_it_compiles_links_and_runs_for_aarch64(self):
        self.assertEqual({source for folder in ("base", "sys", "exec") for source in (ROOT / "lib" / folder).glob("*.cpp")},
                         set(self.sources))
        objects = at_once(self.compile, sorted(self.sources))
        program = Path(self.folder.name) / "program"
        run(self.COMPILER, *STRICT, f"-I{INSTALL.headers}", "-static", FOREIGN, *objects, "-o", program)
        self.assertIn("AArch64", run("readelf", "-h", program))
        emulator = shutil.which(self.EMULATOR)
        if emulator is None:
            self.skipTest(f"it compiles and links; {self.EMULATOR}, which would run it, is not installed")
        said = run(emulator, program, emulator, program)
        self.assertTrue(said.startswith(FOREIGN_SAYS), said)
        rest = said[len(FOREIGN_SAYS):].splitlines()
        self.assertRegex(rest[0], "^no root: chroot, fork/exec .*: (no such file or directory|operation not permitted)$")
        self.assertEqual(rest[1:], ["says 3", "exit status 3"])


def main():
    global BUILD
    arguments = sys.argv[1:]
    if len(arguments) < 2 or arguments[0] != "--build":
        sys.exit(__doc__)
    BUILD = Path(arguments[1]).resolve()
    unittest.main(argv=[sys.argv[0], *arguments[2:]], verbosity=2)


if __name__ == "__main__":
    main()
