#!/usr/bin/env python3
"""The documents of the exec library hold: their code compiles, and they leave no name out.

Takes each ```cpp block of the Markdown files of the tree, and each .EX block of the EXAMPLES of keepexec(3), and compiles
it against the public headers alone. A block without a main() is the body of a function. One TAP line for each.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ROOT / "lib/include"
MANUAL = ROOT / "packaging/man/keepexec.3"
GUIDE = ROOT / "lib/exec/coming-from-go.md"

# An example may show a value and leave its use to the reader; else it must be clean.
FLAGS = ["-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror",
         "-Wno-unused-variable", "-Wno-unused-but-set-variable", f"-I{HEADERS}"]

# What both documents say stands before each block that is no whole program.
PREAMBLE = """#include <iostream>
#include <keep/exec.hpp>
namespace exec = keep::exec;
using namespace std::chrono_literals;
"""

# Every exported name of os/exec, of os about processes, of syscall.SysProcAttr and its parts, and syscall.Exec.
GO_NAMES = """
exec.Command exec.CommandContext exec.LookPath exec.ErrDot exec.ErrNotFound exec.ErrWaitDelay
exec.Error Error.Name Error.Err Error.Unwrap exec.ExitError ExitError.ProcessState ExitError.Stderr exec.Cmd
Cmd.Path Cmd.Args Cmd.Env Cmd.Dir Cmd.Stdin Cmd.Stdout Cmd.Stderr Cmd.ExtraFiles Cmd.SysProcAttr Cmd.Process
Cmd.ProcessState Cmd.Err Cmd.Cancel Cmd.WaitDelay
Cmd.CombinedOutput Cmd.Environ Cmd.Output Cmd.Run Cmd.Start Cmd.StderrPipe Cmd.StdinPipe Cmd.StdoutPipe Cmd.String Cmd.Wait
os.StartProcess os.ProcAttr ProcAttr.Dir ProcAttr.Env ProcAttr.Files ProcAttr.Sys
os.Process Process.Pid Process.Kill Process.Release Process.Signal Process.Wait Process.WithHandle
os.FindProcess os.ErrProcessDone os.ErrNoHandle os.Signal os.Interrupt os.Kill os.PathError os.SyscallError os.ErrClosed
os.ProcessState ProcessState.ExitCode ProcessState.Exited ProcessState.Pid ProcessState.String ProcessState.Success
ProcessState.Sys ProcessState.SysUsage ProcessState.SystemTime ProcessState.UserTime
context.Context context.Background context.WithCancel context.WithTimeout context.WithDeadline context.Canceled
context.DeadlineExceeded context.Cause
SysProcAttr.Chroot SysProcAttr.Credential SysProcAttr.Ptrace SysProcAttr.Setsid SysProcAttr.Setpgid SysProcAttr.Setctty
SysProcAttr.Noctty SysProcAttr.Ctty SysProcAttr.Foreground SysProcAttr.Pgid SysProcAttr.Pdeathsig SysProcAttr.Cloneflags
SysProcAttr.Unshareflags SysProcAttr.UidMappings SysProcAttr.GidMappings SysProcAttr.GidMappingsEnableSetgroups
SysProcAttr.AmbientCaps SysProcAttr.UseCgroupFD SysProcAttr.CgroupFD SysProcAttr.PidFD
Credential.Uid Credential.Gid Credential.Groups Credential.NoSetGroups
SysProcIDMap.ContainerID SysProcIDMap.HostID SysProcIDMap.Size
syscall.Exec syscall.ForkExec syscall.StartProcess syscall.ForkLock syscall.CloseOnExec syscall.Errno syscall.WaitStatus
syscall.Rusage syscall.Setrlimit
""".split()


@dataclass
class Block:
    place: str  # "lib/exec/coming-from-go.md:12"
    code: str


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def markdown_files():
    for path in sorted(ROOT.rglob("*.md")):
        top = path.relative_to(ROOT).parts[0]
        if not top.startswith((".", "build")):
            yield path


def markdown_blocks(path):
    lines, begin = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if begin is None and line.strip() == "```cpp":
            lines, begin = [], number + 1
        elif begin is not None and line.strip() == "```":
            yield Block(f"{name_of(path)}:{begin}", "\n".join(lines) + "\n")
            begin = None
        elif begin is not None:
            lines.append(line)


ESCAPES = {r"\-": "-", r"\e": "\\", r"\(aq": "'", r"\(dq": '"', r"\(ha": "^", r"\(ti": "~", r"\&": ""}


def unescaped(line):
    return re.sub(r"\\(?:\(..|.)", lambda match: ESCAPES[match[0]], line)


def manual_blocks(path):
    section, lines, begin = "", [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith(".SH"):
            section = line[3:].strip().strip('"')
        elif line == ".EX" and section == "EXAMPLES":
            lines, begin = [], number + 1
        elif line == ".EE" and begin is not None:
            yield Block(f"{name_of(path)}:{begin}", "\n".join(lines) + "\n")
            begin = None
        elif begin is not None:
            lines.append(unescaped(line))


def as_source(block):
    if re.search(r"^int main\(", block.code, re.M):
        return block.code
    includes = re.findall(r"^#include .*$", block.code, re.M)
    body = re.sub(r"^#include .*$", "", block.code, flags=re.M)
    return "\n".join(includes) + f"\n{PREAMBLE}void example();\nvoid example() {{\n{body}}}\n"


def compile_block(compiler, folder, block):
    """The compiler's words if it does not compile."""
    source = Path(folder) / (re.sub(r"\W", "_", block.place) + ".cpp")
    source.write_text(as_source(block))
    result = subprocess.run([*compiler, *FLAGS, str(source)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.stdout if result.returncode else ""


def syntax_tree(header):
    """What clang makes of namespace keep in this header, as parsed JSON objects."""
    text = subprocess.run(["clang++-19", "-std=c++23", "-fsyntax-only", "-x", "c++", f"-I{HEADERS}", "-Xclang",
                           "-ast-dump=json", "-Xclang", "-ast-dump-filter=keep::", "-"], check=True, text=True,
                          input=f"#include <{header}>\n", stdout=subprocess.PIPE).stdout
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        tree, at = decoder.raw_decode(text, at)
        yield tree


NAMED = {"EnumDecl", "EnumConstantDecl", "FieldDecl", "CXXMethodDecl", "FunctionDecl", "TypeAliasDecl",
         "TypeAliasTemplateDecl", "FunctionTemplateDecl", "VarDecl"}


def public_names(node, names):
    """Adds the names that a user of the headers may write."""
    kind, name = node.get("kind"), node.get("name", "")
    if node.get("isImplicit"):
        return
    if kind in NAMED and not name.startswith("operator"):
        names.add(name)
    if kind == "CXXRecordDecl" and not node.get("completeDefinition"):
        return
    if kind == "CXXRecordDecl":
        names.add(name)
    if kind in ("NamespaceDecl", "CXXRecordDecl", "EnumDecl"):
        access = "private" if node.get("tagUsed") == "class" else "public"
        for child in node.get("inner", []):
            if child.get("kind") == "AccessSpecDecl":
                access = child["access"]
            elif access == "public":
                public_names(child, names)


def missing_names():
    """(whether it could be found out, the public names that keepexec(3) leaves out)."""
    names = set()
    for tree in syntax_tree("keep/exec.hpp"):
        public_names(tree, names)
    words = set()  # in bold: that is how the manual names a name
    for line in MANUAL.read_text().splitlines():
        bold = line if line.startswith((".B", ".RB", ".IB")) else " ".join(re.findall(r"\\fB(.*?)\\f[RPI]", line))
        words.update(re.findall(r"\w+", re.sub(r"\\f.|\\&", " ", bold)))
    if len(names) < 200:  # there are more: then the tree was not understood
        return [f"only {len(names)} names were found in the headers"]
    return sorted(names - words)


def missing_headers():
    text = MANUAL.read_text()
    return [header for header in sorted(path.relative_to(HEADERS).as_posix() for path in HEADERS.rglob("*.hpp"))
            if f"<{header}>" not in text]


def lint():
    return subprocess.run(["mandoc", "-Tlint", "-W", "warning", str(MANUAL)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout.splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--compiler", default="g++")
    options = parser.parse_args()
    compiler = (["ccache"] if shutil.which("ccache") else []) + [options.compiler]

    blocks = [block for path in markdown_files() for block in markdown_blocks(path)] + list(manual_blocks(MANUAL))
    checks = []  # (what, words of the failure)
    with tempfile.TemporaryDirectory(prefix="documents-") as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = pool.map(lambda block: compile_block(compiler, folder, block), blocks)
        checks += [(f"{block.place}: its code compiles", answer) for block, answer in zip(blocks, answers)]
    # A document whose blocks are not recognised any more would pass in silence.
    for path, least in ((GUIDE, 5), (MANUAL, 5)):
        found = sum(block.place.startswith(name_of(path) + ":") for block in blocks)
        checks.append((f"{name_of(path)}: has its examples", "" if found >= least else f"{found} blocks, not {least}"))
    guide = GUIDE.read_text()
    checks.append((f"{name_of(GUIDE)}: maps every name of Go's", "\n".join(
        name for name in GO_NAMES if f"`{name}`" not in guide)))
    checks.append((f"{name_of(MANUAL)}: names every header", "\n".join(missing_headers())))
    if shutil.which("clang++-19"):
        checks.append((f"{name_of(MANUAL)}: names every public name", "\n".join(missing_names())))
    else:
        checks.append((f"{name_of(MANUAL)}: names every public name # SKIP clang++-19 is not installed", ""))
    if shutil.which("mandoc"):
        checks.append((f"{name_of(MANUAL)}: mandoc has nothing to say", "\n".join(lint())))
    else:
        checks.append((f"{name_of(MANUAL)}: mandoc has nothing to say # SKIP mandoc is not installed", ""))

    print(f"1..{len(checks)}")
    for number, (what, words) in enumerate(checks, 1):
        print(f"{'not ok' if words else 'ok'} {number} - {what}")
        for line in words.splitlines():
            print(f"# {line}")
    return 1 if any(words for _, words in checks) else 0


if __name__ == "__main__":
    sys.exit(main())
