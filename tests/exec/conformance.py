#!/usr/bin/env python3
"""Which test stands for which number of Go's conformance list: conformance.py [--write FILE | --check FILE] PROGRAM...

Each PROGRAM is a doctest executable. Its test cases are listed, and each [go:N] in their names ([go:3,5] and [go:3-5]
stand for several) makes an entry of a row. Without an option the table is printed, as Markdown; --write puts it into a
file; --check says whether the file is still what it would be. Then one line of TAP for each number, and one for all that
is wrong beside them: a number outside of the list, a tag that is none, a file that is out of date. Exit code 0: all is
well.

--self-test runs this script's own tests.
"""
import argparse
import difflib
import re
import subprocess
import sys
import unittest
from pathlib import Path

SECTIONS = [  # letter, title, first number; each goes on to the next one's
    ("A", "Building a command", 1),
    ("B", "LookPath", 13),
    ("C", "Environment and directory", 29),
    ("D", "Standard streams", 39),
    ("E", "Pipe methods", 56),
    ("F", "Start", 65),
    ("G", "Descriptors", 75),
    ("H", "Wait, Process, ProcessState", 83),
    ("I", "Context and Cancel", 98),
    ("J", "WaitDelay", 109),
    ("K", "SysProcAttr", 117),
    ("L", "syscall.Exec", 134),
    ("M", "Edges and harness", 139),
]
LAST = 148
NUMBERS = range(1, LAST + 1)

TAG = re.compile(r"\[go:([^\]]*)\]?")
PART = re.compile(r"(\d+)(?:-(\d+))?")
SEPARATOR = re.compile(r"=+")


def test_cases(listing):
    """The names in what a doctest executable prints for --list-test-cases: between its two lines of '='."""
    parts = [[]]
    for line in listing.splitlines():
        if SEPARATOR.fullmatch(line):
            parts.append([])
        else:
            parts[-1].append(line)
    if len(parts) != 3:
        raise ValueError("this is no list of doctest's: " + listing[:200])
    return [line for line in parts[1] if line]


def numbers_of(name):
    """The numbers that a test's name carries, and what stands in a tag but is no number."""
    numbers, wrong = [], []
    for tag in TAG.finditer(name):
        for text in tag[1].split(","):
            part = PART.fullmatch(text.strip())
            if not part or not tag[0].endswith("]"):
                wrong.append(tag[0])
                continue
            first, last = int(part[1]), int(part[2] or part[1])
            if first > last:
                wrong.append(tag[0])
            numbers += range(first, last + 1)
    return numbers, wrong


def without_tags(name):
    return re.sub(r"\s+", " ", TAG.sub("", name)).strip()


def in_a_cell(name):
    return name.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


class Conformance:
    def __init__(self, names):
        self.tests = {number: [] for number in NUMBERS}
        self.problems = []
        for name in names:
            numbers, wrong = numbers_of(name)
            self.problems += [f"a tag that is no number: {tag} in '{name}'" for tag in wrong]
            for number in numbers:
                if number not in self.tests:
                    self.problems.append(f"{number} is not in the list: '{name}'")
                elif without_tags(name) not in self.tests[number]:
                    self.tests[number].append(without_tags(name))

    def missing(self):
        return [number for number in NUMBERS if not self.tests[number]]

    def markdown(self):
        lines = ["# Conformance: each number of Go's list and its tests", "",
                 "Written by `tests/exec/conformance.py` from the names of the tests; do not edit."]
        ends = [first for _, _, first in SECTIONS[1:]] + [LAST + 1]
        for (letter, title, first), end in zip(SECTIONS, ends):
            lines += ["", f"## {letter}. {title}", "", "| Number | Tests |", "|---:|---|"]
            for number in range(first, end):
                names = [in_a_cell(name) for name in self.tests[number]]
                lines.append(f"| {number} | {'<br>'.join(names) or '**none**'} |")
        return "\n".join(lines) + "\n"

    def tap(self, problems):
        lines = [f"1..{LAST + len(problems)}"]
        for number in NUMBERS:
            count = len(self.tests[number])
            what = f"{count} test{'' if count == 1 else 's'}" if count else "no test"
            lines.append(f"{'ok' if count else 'not ok'} {number} - [go:{number}] {what}")
        lines += [f"not ok {LAST + place} - {problem}" for place, problem in enumerate(problems, 1)]
        return "\n".join(lines)


def differences(file, wanted):
    found = file.read_text() if file.exists() else ""
    return list(difflib.unified_diff(found.splitlines(), wanted.splitlines(), str(file), "now", lineterm="", n=0))


def list_of(program):
    listing = subprocess.run([program, "--list-test-cases", "--no-colors=true"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    return test_cases(listing)


def report(names, write=None, check=None, out=sys.stdout):
    """Prints what main() promises, and returns the exit code."""
    conformance = Conformance(names)
    problems = list(conformance.problems)
    table = conformance.markdown()
    if write:
        write.write_text(table)
    if check and (changes := differences(check, table)):
        print("\n".join("# " + line for line in changes), file=out)
        problems.append(f"{check.name} is out of date: write it anew with --write")
    if not write and not check:
        print(table, file=out)
    print(conformance.tap(problems), file=out)
    if missing := conformance.missing():
        print(f"# without a test: {', '.join(map(str, missing))}", file=out)
    return 1 if missing or problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", metavar="PROGRAM", nargs="*")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--check", type=Path, metavar="FILE")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return 0 if unittest.main(argv=[sys.argv[0]], exit=False).result.wasSuccessful() else 1
    if not options.programs:
        parser.error("a PROGRAM is needed")
    try:
        names = [name for program in options.programs for name in list_of(program)]
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"Bail out! {error}")
        return 1
    return report(names, options.write, options.check)


class SelfTest(unittest.TestCase):
    LISTING = "[doctest] listing all test case names\n{0}\n{1}\n{0}\n[doctest] unskipped test cases: 2\n"
    COMPLETE = [f"[go:{number}] behaviour {number}" for number in NUMBERS]

    def run_report(self, names, **options):
        import io
        out = io.StringIO()
        code = report(names, out=out, **options)
        return code, out.getvalue()

    def test_names_are_those_between_the_lines(self):
        listing = self.LISTING.format("=" * 79, "[go:1] first, with a comma\nsecond")
        self.assertEqual(test_cases(listing), ["[go:1] first, with a comma", "second"])

    def test_what_is_no_list_is_refused(self):
        for text in ("", "usage: something else\n", "=====\nonly one line\n"):
            self.assertRaises(ValueError, test_cases, text)

    def test_tags_carry_one_number_several_or_a_range(self):
        self.assertEqual(numbers_of("[go:14] name"), ([14], []))
        self.assertEqual(numbers_of("[go:3] [go:4] name"), ([3, 4], []))
        self.assertEqual(numbers_of("[go:3, 7] name [go:9-11]"), ([3, 7, 9, 10, 11], []))
        self.assertEqual(numbers_of("a name [go] without, [nogo:3]"), ([], []))

    def test_what_is_no_number_is_named(self):
        for name in ("[go:] x", "[go:one] x", "[go:5-3] x", "[go:-4] x", "[go:4 x"):
            self.assertEqual(len(numbers_of(name)[1]), 1, name)
            code, out = self.run_report(self.COMPLETE + [name])
            self.assertEqual(code, 1, name)
            self.assertIn("not ok 149", out)

    def test_a_complete_list_is_well(self):
        code, out = self.run_report(self.COMPLETE)
        self.assertEqual(code, 0)
        self.assertNotIn("not ok", out)
        self.assertEqual(len(re.findall(r"^ok \d+", out, re.M)), LAST)

    def test_each_missing_number_is_noticed_and_named(self):
        for number in (1, 74, LAST):
            names = [name for name in self.COMPLETE if f"[go:{number}]" not in name]
            code, out = self.run_report(names)
            self.assertEqual(code, 1)
            self.assertEqual(re.findall(r"^not ok (\d+)", out, re.M), [str(number)])
            self.assertIn(f"# without a test: {number}\n", out)
            self.assertIn(f"| {number} | **none** |", out)

    def test_no_test_at_all_is_noticed(self):
        code, out = self.run_report([])
        self.assertEqual((code, len(re.findall(r"^not ok", out, re.M))), (1, LAST))

    def test_a_number_outside_of_the_list_is_noticed(self):
        for number in (0, LAST + 1, 1000):
            code, out = self.run_report(self.COMPLETE + [f"[go:{number}] too far"])
            self.assertEqual(code, 1)
            self.assertIn(f"{number} is not in the list: '[go:{number}] too far'", out)

    def test_the_table_has_each_test_once_in_the_rows_of_its_numbers(self):
        table = Conformance(["[go:12] [go:13] a|b", "[go:12] other", "[go:12] other", "untagged"]).markdown()
        self.assertIn("| 12 | a\\|b<br>other |\n", table)
        self.assertIn("| 13 | a\\|b |\n", table)
        self.assertNotIn("untagged", table)
        self.assertEqual(re.findall(r"^\| (\d+) \|", table, re.M), [str(number) for number in NUMBERS])

    def test_a_file_that_is_out_of_date_is_noticed(self):
        import tempfile
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "conformance.md"
            self.assertEqual(self.run_report(self.COMPLETE, check=file)[0], 1)  # not there
            code, out = self.run_report(self.COMPLETE, write=file)
            self.assertEqual((code, "| Number |" in out), (0, False))
            self.assertEqual(self.run_report(self.COMPLETE, check=file)[0], 0)
            code, out = self.run_report(self.COMPLETE + ["[go:1] one more"], check=file)
            self.assertEqual(code, 1)
            self.assertIn("not ok 149 - conformance.md is out of date", out)

    def test_sections_cover_the_list_in_order(self):
        firsts = [first for _, _, first in SECTIONS]
        self.assertEqual((firsts[0], firsts), (1, sorted(set(firsts))))


if __name__ == "__main__":
    sys.exit(main())
