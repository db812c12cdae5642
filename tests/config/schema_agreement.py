#!/usr/bin/python3
"""config/keepd.schema.json and the parser agree on every structural fault: schema_agreement.py CHECK_TOOL SCHEMA

Every field gets every odd value, every object gets every word that stands anywhere in the parser's sources as a key, and
both must give the same verdict on each document. What a schema cannot say is in EXCLUSIONS: there the parser refuses and
the schema accepts, and that is checked too, so that the list stays true. config/README.md has the same list for readers.
"""
import json
import re
import subprocess
import sys
import unittest
from pathlib import Path

import jsonschema

TOOL, SCHEMA_PATH = sys.argv[1], Path(sys.argv[2])
SCHEMA = json.loads(SCHEMA_PATH.read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def faults(texts, *options):
    """The parser's faults for each document; an empty text for a good one."""
    joined = "\0".join(texts).encode() + b"\0"
    run = subprocess.run([TOOL, *options], input=joined, stdout=subprocess.PIPE, check=True)
    verdicts = run.stdout.decode().split("\0")[:-1]
    assert len(verdicts) == len(texts), f"{len(texts)} documents, {len(verdicts)} verdicts"
    return verdicts


# Every field by its path, with a good value. The path of a program's field begins below the program.
DAEMON_FIELDS = {
    "version": 1, "include": ["conf.d/*.json"], "defaults": {}, "programs": {},
    "log": {"level": "info", "target": "stderr"}, "log_dir": "/a", "state_dir": "/a", "runtime_dir": "/a",
    "control": {"path": "/a", "mode": "0660", "group": "adm"}, "shutdown_timeout": "10s", "subreaper": True,
    "upgrade": {"binary": "/a", "watch_binary": True, "rehearsal_timeout": "10s", "commit_timeout": "15s", "min_interval": "10s"},
}
LIMITS = ["as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
          "rttime", "sigpending", "stack"]
PROGRAM_FIELDS = {
    "command": ["a", "b"], "shell": False, "description": "a", "type": "simple", "autostart": True, "working_dir": "/a",
    "environment": {"A": "b"}, "env_file": ["-/a"], "env_inherit": ["A"], "user": "a", "group": "a", "umask": "022",
    "instances": 2,
    "restart": {"policy": "no", "delay": "1s", "backoff_factor": 2, "max_delay": "1s", "jitter": 0.5, "reset_after": "1s",
                "start_limit_burst": 1, "start_limit_interval": "1s", "start_limit_action": "slow", "slow_delay": "1s",
                "success_exit_codes": [0], "prevent_exit_codes": ["TERM"], "force_exit_codes": []},
    "stop": {"signal": "TERM", "timeout": "1s", "sequence": [["TERM", "1s"]], "kill_mode": "tree"},
    "stdout": {"path": "/a", "max_size": "1MB", "max_files": 1},
    "stderr": {"path": "/b", "max_size": "1MB", "max_files": 1},
    "limits": {name: 1 for name in LIMITS}, "nice": 1, "oom_score_adjust": 1, "no_new_privileges": True,
    "parent_death_signal": "TERM",
}

VALUES = [
    None, True, False, 0, 1, 1.0, -1, 0.5, 1.5, 2, 1e3, 1e17, 1e300, -20, -21, 19, 20, 22, 30, 31, 32, 33, 34, 64, 65, 255, 256,
    1000, 1001, -1000, -1001, 10000, 10001, 100000, 100001, 1000000, 1000001, 4294967294, 4294967295, 9223372036, 9223372037,
    2**63 - 1, 2**63, 2**64,
    "", " ", "x", "\u00e4", "a\u0000b", "/a\u0000b", "A=B", "1", "0",
    "10s", "500ms", "5m", "1h30m", "2d", "1.5s", "1.5h30m", "30m1h", "1s1s", "10 s", " 10s", "-1s", "+1s", "0s", "0.0s", "0m0s",
    "10", "1.s", ".5s", "s", "1us", "1S", "1s ", "0" * 36 + "s", "0" * 17 + "1s", "1" * 19 + "ms", "1." + "1" * 19 + "s",
    "50MB", "50 MB", "50mb", "1.5MB", "1KiB", "1kB", "5B", "5K", "5iB", "007", "-5", "MB",
    "SIGTERM", "TERM", "term", "SIGSIGTERM", "15", "015", "32", "65", "99", "SIG15", "IOT", "SIGCLD", "RTMIN", "RTMIN+3",
    "SIGRTMAX-2", "RTMIN+30", "RTMIN+31", "RTMAX+1", "RTMIN-1",
    "no", "always", "on-failure", "on_failure", "No", "simple", "oneshot", "notify", "slow", "fail", "tree", "cgroup", "null",
    "inherit", "stdout", "stderr", "journal", "infinity", "unlimited", "none", "auto", "info", "warn",
    "0022", "022", "22", "00022", "0778", "0o22",
    "/", "//", "/a", "/a/", "/a/.", "/a/./b", "/.", "/..", "a/b", "./a", "-/a", "--/a", "-a", "-", "/" + "a" * 106, "/" + "a" * 107,
    [], [None], [True], [0], [1], [255], [256], [-1], [0.5], ["a"], [""], ["/a"], ["-/a"], ["/a/"], ["a/b"], ["a", 1], ["a", ""],
    ["a", "\u0000"], ["A=B"], ["TERM"], ["15"], ["SIGNO"], [1, 2], ["infinity", "infinity"], [1, "infinity"], [1, 2, 3], [1.5, 2],
    ["TERM", "1s"], [["TERM", "1s"]], [["TERM"]], [["TERM", 1, 2]], [["TERM", "x"]], [["X", "1s"]], [[9, 0], ["INT", 0.5]], [[]],
    [[None, None]], [{}],
    {}, {"a": 1}, {"A": "b"}, {"A": None}, {"A": 1}, {"A=": "b"}, {"": "b"}, {"x-a": 1}, {"A": "\u0000"}, {"X-a": 1},
]

PROGRAM_NAMES = ["a", "A0", "0", "a.b-c_d", "a" * 64, "a" * 65, "", ".a", "-a", "_a", "a b", "a@1", "a/b", "\u00e4", "x-a", "a\n b"]


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def in_program(path, value, holder):
    """A document whose only program, or whose defaults, hold `value` at `path`."""
    fields = nested(path, value)
    if path != ("command",):
        # Two streams on the default path, and a command that is missing, are no business of these documents.
        fields = {"command": ["a"], **({"stdout": "null"} if path[0] == "stderr" else {}), **fields}
    elif isinstance(value, str):
        fields["shell"] = True  # that a string needs it is an exclusion of its own
    return {holder: {"p": fields} if holder == "programs" else fields}


def paths(fields, prefix=()):
    for key, value in fields.items():
        yield prefix + (key,)
        if isinstance(value, dict) and key not in ("defaults", "programs", "environment"):
            yield from paths(value, prefix + (key,))


def objects(fields, prefix=()):
    """Every object whose keys are known words."""
    yield prefix
    for key, value in fields.items():
        if isinstance(value, dict) and key not in ("defaults", "programs", "environment"):
            yield from objects(value, prefix + (key,))


def properties(schema, prefix=()):
    """Every path that the schema names."""
    if "$ref" in schema:
        yield from properties(SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], prefix)
    for option in schema.get("anyOf", []):
        yield from properties(option, prefix)
    for key, inner in schema.get("properties", {}).items():
        yield prefix + (key,)
        if key not in ("defaults", "programs"):
            yield from properties(inner, prefix + (key,))


# What no schema can say, or none that an editor would run: name, document, options of the tool.
ALL = "--all-exist"
WEB = '{"programs": {"web": {"command": ["a"], %s}}}'
EXCLUSIONS = [
    ("a duplicate key", WEB % '"nice": 1, "nice": 2', ALL),
    ("an unknown user", WEB % '"user": "bob"', None),
    ("an unknown group", WEB % '"group": "wheel"', None),
    ("an unknown group of the socket", '{"control": {"group": "wheel"}}', None),
    ("a user by number without an entry and without a group", WEB % '"user": 4242', None),
    ("a command that is not there", '{"programs": {"web": {"command": ["no-such-program"]}}}', None),
    ("a missing working directory", WEB % '"working_dir": "/missing"', None),
    ("a missing directory of a log file", WEB % '"stdout": {"path": "/missing/a.log"}', None),
    ("a duration beyond 292 years", WEB % '"restart": {"delay": "400000d"}', ALL),
    ("a duration that is 0 when rounded to nanoseconds", '{"upgrade": {"rehearsal_timeout": "0.0000000001s"}}', ALL),
    ("a size beyond 64 bits", WEB % '"stdout": {"max_size": "99999999999TiB"}', ALL),
    ("a soft limit above the hard one", WEB % '"limits": {"nofile": [2, 1]}', ALL),
    ("a soft limit above the hard one, without end", WEB % '"limits": {"nofile": ["infinity", 1]}', ALL),
    ("a oneshot that restarts always", WEB % '"type": "oneshot", "restart": {"policy": "always"}', ALL),
    ("a command in one string without a shell", '{"programs": {"web": {"command": "a b"}}}', ALL),
    ("a command in a list with a shell", WEB % '"shell": true', ALL),
    ("two streams of a program on one path", WEB % '"stderr": {}', ALL),
    ("two programs on one path", '{"programs": {"a": {"command": ["a"], "stdout": {"path": "/x"}}, '
                                 '"b": {"command": ["b"], "stdout": {"path": "/x"}}}}', ALL),
    ("a program on the path of another one's rotated files", '{"programs": {"a": {"command": ["a"], "stdout": {"path": "/x"}}, '
                                                             '"b": {"command": ["b"], "stdout": {"path": "/x.1"}}}}', ALL),
    ("instances on one path", WEB % '"instances": 2, "stdout": {"path": "/x"}', ALL),
    ("a program on the path of keepd's own log",
     '{"log": {"target": "/x"}, "programs": {"a": {"command": ["a"], "stdout": {"path": "/x"}}}}', ALL),
    ("an included file that is not there", '{"include": ["more.json"]}', ALL),
    ("a socket's path of too many bytes", '{"control": {"path": "/%s"}}' % ("\u00e4" * 60), ALL),
    ("a runtime directory too long for its socket", '{"runtime_dir": "/%s"}' % ("a" * 100), ALL),
    ("nesting deeper than 64 levels", '{"x-deep": %s%s}' % ("[" * 70, "]" * 70), ALL),
]


class SchemaAgreement(unittest.TestCase):
    def agree(self, documents):
        """Compares the verdicts on [(what, document)]."""
        verdicts = faults([json.dumps(document) for _, document in documents], ALL)
        differences = []
        refused = 0
        for (what, document), verdict in zip(documents, verdicts):
            valid = VALIDATOR.is_valid(document)
            refused += not valid
            if valid != (verdict == ""):
                differences.append(f"{what}: schema {'accepts' if valid else 'refuses'} {json.dumps(document)[:200]}, "
                                   f"parser says: {verdict or 'fine'}")
        self.assertEqual(differences, [], f"{len(differences)} of {len(documents)} differ")
        self.assertGreater(refused, 0)
        self.assertLess(refused, len(documents))
        print(f"{len(documents)} documents, {refused} refused by both", file=sys.stderr)

    def test_schema_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_every_field_is_mutated_here(self):
        self.assertEqual(set(properties(SCHEMA)), set(paths(DAEMON_FIELDS)))
        self.assertEqual(set(properties(SCHEMA["$defs"]["program"])), set(paths(PROGRAM_FIELDS)))

    def test_every_field_is_described(self):
        def undescribed(schema, place):
            for key, inner in schema.get("properties", {}).items():
                if isinstance(inner, dict) and inner.keys() - {"not", "type", "required", "properties"}:
                    if "description" not in inner and "$ref" not in inner:
                        yield f"{place}/{key}"
                    yield from undescribed(inner, f"{place}/{key}")
        places = list(undescribed(SCHEMA, ""))
        for name, definition in SCHEMA["$defs"].items():
            places += undescribed(definition, name)
        self.assertEqual(places, [])

    def test_values_of_daemon_fields(self):
        self.agree([("/".join(path), nested(path, value)) for path in paths(DAEMON_FIELDS)
                    for value in VALUES if not is_exclusion(path, value)])

    def test_values_of_program_fields(self):
        for holder in ("programs", "defaults"):
            self.agree([("/".join(path), in_program(path, value, holder)) for path in paths(PROGRAM_FIELDS) for value in VALUES
                        if not (path == ("shell",) and value is True and holder == "programs")])  # its command is a list

    def test_keys(self):
        sources = "".join(path.read_text() for path in SCHEMA_PATH.parent.glob("*.cpp"))
        words = set(re.findall(r'"([A-Za-z_]+)"', sources)) | {"x-own", "x-", "x", "X-own", "Command", "watchdog", "ready"}
        self.assertGreater(len(words), 80)
        self.agree([("/".join(path), nested(path, {word: None})) for path in objects(DAEMON_FIELDS) for word in sorted(words)])
        defaults = {"command": ["a"], "stdout": "null"}
        self.agree([("/".join(path), {"defaults": defaults, "programs": {"p": nested(path, {word: None})}})
                    for path in objects(PROGRAM_FIELDS) for word in sorted(words)])

    def test_program_names(self):
        self.agree([(name, {"programs": {name: {"command": ["a"]}}}) for name in PROGRAM_NAMES])

    def test_a_command_is_required_unless_defaults_have_one(self):
        defaults = [{}, {"defaults": None}, {"defaults": {}}, {"defaults": {"command": None}}, {"defaults": {"command": ["a"]}}]
        programs = [{}, {"command": None}, {"command": ["a"]}, {"nice": 1}]
        self.agree([("command", {**default, "programs": {"p": program}}) for default in defaults for program in programs])

    def test_sequence_stands_alone(self):
        values = {"sequence": [None, [["TERM", 1]]], "signal": [None, "TERM"], "timeout": [None, 1]}
        self.agree([("stop", {"defaults": {"stop": {"sequence": a, "signal": b, "timeout": c}}})
                    for a in values["sequence"] for b in values["signal"] for c in values["timeout"]])

    def test_the_top_is_an_object(self):
        self.agree([("top", value) for value in [*VALUES, {"programs": {}}] if value != {"X-a": 1}])

    def test_samples_are_valid(self):
        for sample in SCHEMA_PATH.parent.glob("samples/*.json"):
            text = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda match: match[1] or "", sample.read_text(), flags=re.S)
            with self.subTest(sample.name):
                VALIDATOR.validate(json.loads(text))

    def test_exclusions_are_refused_by_the_parser_alone(self):
        for name, text, option in EXCLUSIONS:
            with self.subTest(name):
                verdict, = faults([text], *([option] if option else []))
                self.assertNotEqual(verdict, "", "the parser accepts it")
                VALIDATOR.validate(json.loads(text))

    def test_exclusions_are_listed_for_readers(self):
        readme = (SCHEMA_PATH.parent / "README.md").read_text()
        self.assertEqual([name for name, *_ in EXCLUSIONS if name not in readme], [])


def is_exclusion(path, value):
    """Values that make one of EXCLUSIONS in a field of keepd's own."""
    if path == ("include",):  # without a wildcard it must find its file
        return isinstance(value, list) and value != [] and all(isinstance(one, str) and one and "\0" not in one for one in value)
    return path == ("runtime_dir",) and isinstance(value, str) and len(value) > 90


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
