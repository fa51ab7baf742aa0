# SPDX-License-Identifier: MIT
"""What the three analyses share: the files, the findings, the list of those accepted, TAP.

An analysis first shows on planted defects that it can fail; then each room of the tree is a test,
good when the tool finds nothing there that tests/analysis/accepted does not name. A line of that list
that covers nothing fails as well, where the tool has one of the versions that the list is for.
"""

import concurrent.futures
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import typing

TOP = os.path.realpath(
    os.environ.get("abs_top_srcdir") or os.path.join(os.path.dirname(__file__), "..", "..")
)
BUILD = os.path.realpath(os.environ.get("abs_top_builddir") or os.getcwd())
ROOMS = ("protocol", "daemon", "client", "examples", "tests/fakes", "tests/fuzz", "tests/bench")
_FUNCTION = re.compile(r"^[A-Za-z_][^;=]*?\b(\w+)\(")
_LINE = re.compile(
    r"^(?P<file>[^\s:][^:]*):(?P<line>\d+):\d+: (?:fatal )?(?:warning|error|style|performance|portability): "
    r"(?P<message>.*) \[(?P<check>[^\s\]]+)\]$"
)


class Finding(typing.NamedTuple):
    file: str
    line: int
    function: str
    check: str
    message: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.function}: {self.message} [{self.check}]"


class Accepted(typing.NamedTuple):
    """A line of the list. TOOL-VERSION is only for that version, CHECK/WORD only what has WORD in its
    message."""

    tool: str
    file: str
    function: str
    check: str
    reason: str

    def covers(self, finding):
        check, _, word = self.check.partition("/")
        return (
            fnmatch.fnmatchcase(finding.file, self.file)
            and fnmatch.fnmatchcase(finding.function, self.function)
            and check == finding.check
            and word in finding.message
        )


def has_version(version, prefix):
    """Whether VERSION, such as 14.0.6, is PREFIX, such as 14."""
    return (version + ".").startswith(prefix + ".")


def read_accepted(path, tool, version):
    """Of the list in PATH, the lines for VERSION of TOOL; and whether the list is for that version."""
    accepted, is_for_it = [], False
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.split(maxsplit=4)
            if not fields or fields[0].startswith("#"):
                continue
            name, _, only = fields[0].removeprefix(tool).partition("-")
            if not fields[0].startswith(tool) or name or (only and not has_version(version, only)):
                continue
            if fields[1] == "version":
                is_for_it |= has_version(version, fields[2])
            elif len(fields) == 5:
                accepted.append(Accepted(*fields))
            else:
                raise ValueError(f"{path}: this line gives no reason: {line}")
    return accepted, is_for_it


def sift(findings, accepted):
    """The findings that no line covers, and the lines that cover none."""
    used = set()
    left = []
    for finding in findings:
        covering = [line for line in accepted if line.covers(finding)]
        used.update(covering)
        if not covering:
            left.append(finding)
    return left, [line for line in accepted if line not in used]


def function_at(path, number):
    """The name of the function that line NUMBER is in: definitions begin in the first column."""
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()[:number]
    for line in reversed(lines):
        match = _FUNCTION.match(re.sub(r"__attribute__\(\(.*?\)\)\s*", "", line))
        if match:
            return match.group(1)
    return "-"


def parse(text, root, directory):
    """The findings in a tool's output, with paths relative to ROOT; those outside it are not ours."""
    findings = set()
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        path = os.path.realpath(os.path.join(directory, match["file"]))
        relative = os.path.relpath(path, root)
        if relative.startswith(".."):
            continue
        check = match["check"].split(",")[0].removeprefix("-W").removeprefix("error=")
        message = re.sub(r" \[CWE-\d+\]$", "", match["message"])
        number = int(match["line"])
        findings.add(Finding(relative, number, function_at(path, number), check, message))
    return sorted(findings)


def run(command, directory):
    """(status, output, diagnostics) of COMMAND."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=dict(os.environ, LC_ALL="C.UTF-8"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def flags_of(entry):
    """The arguments of an entry of the database without the compiler, -Werror and the file."""
    return [a for a in entry["arguments"][1:-2] if a != "-Werror"]


class Report:
    def __init__(self):
        self._count = self._failed = 0

    def test(self, name, problems):
        """A test point: good when there are no PROBLEMS."""
        self._count += 1
        self._failed += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {self._count} - {name}")
        for problem in problems:
            for line in str(problem).splitlines():
                print(f"#   {line}")
        sys.stdout.flush()

    def finish(self):
        print(f"1..{self._count}")
        sys.exit(1 if self._failed else 0)


class Analysis:
    """TOOL by its name, the Debian PACKAGE that has it, and COMMAND(file, flags), which gives the
    arguments to run it on a file. PLANTED is what it must find: (check, text of a C file)."""

    def __init__(self, tool, package, command, planted):
        self.tool, self.package, self.command, self.planted = tool, package, command, planted
        self.report = Report()

    def _findings(self, file, flags, root, directory):
        status, out, err = run(self.command(file, flags), directory)
        findings = parse(out + err, root, directory)
        if status != 0 and not findings:
            tail = "\n".join((out + err).splitlines()[-10:])
            findings = [Finding(os.path.relpath(file, root), 0, "-", f"status-{status}", tail)]
        return findings

    def _plant(self, directory, text):
        path = os.path.join(directory, "daemon", "planted.c")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        flags = ["-std=gnu11", "-O2", "-Wall", "-D_GNU_SOURCE"]
        return self._findings(path, flags, directory, directory)

    def _test_itself(self):
        with tempfile.TemporaryDirectory(prefix="shmd-analysis.") as directory:
            directory = os.path.realpath(directory)
            findings = []
            for check, text in self.planted:
                found = self._plant(directory, text)
                missed = [] if check in [f.check for f in found] else ["it was not found"] + found
                self.report.test(f"catches {check}", missed)
                findings = findings or found
            self.report.test(
                "accepts what is sound",
                self._plant(directory, "int sound(int x);\nint sound(int x)\n{\n    return x;\n}\n"),
            )
            found = self._plant(directory, "int broken( {\n")
            self.report.test("a file that is no C fails", [] if found else ["it was good"])
            path = os.path.join(directory, "accepted")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"{self.tool} version 1.2\n{self.tool}-1.2 a b c d\n{self.tool}-1.3 a b c d\n")
            wanted = {"1.2.1": (1, True), "1.3": (1, False), "1.20": (0, False)}
            read = {version: read_accepted(path, self.tool, version) for version in wanted}
            got = {version: (len(lines), is_for_it) for version, (lines, is_for_it) in read.items()}
            self.report.test("a line may be for one version", [] if got == wanted else [got])
        first = findings[0]
        line = Accepted(self.tool, first.file, first.function, first.check, "planted")
        left, unused = sift([first], [line])
        self.report.test("accepts what the list names", left + unused)
        left, unused = sift([first], [line._replace(function="another")])
        self.report.test("names a line that is not used", [] if left and unused else ["it was good"])

    def _version(self):
        """Such as 14.0.6; empty when the tool does not say."""
        status, out, err = run([self.tool, "--version"], BUILD)
        match = re.search(r"(?<![\w.-])\d+(\.\d+)+", re.sub(r"\(.*?\)", "", out + err))
        return match.group() if status == 0 and match else ""

    def _test_tree(self):
        with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
            database = json.load(file)
        version = self._version()
        accepted, is_for_it = read_accepted(
            os.path.join(TOP, "tests", "analysis", "accepted"), self.tool, version
        )
        findings = []
        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for room in ROOMS:
                entries = [e for e in database if e["file"].startswith(os.path.join(TOP, room, ""))]
                work = [
                    pool.submit(self._findings, e["file"], flags_of(e), TOP, BUILD) for e in entries
                ]
                found = sorted({f for done in work for f in done.result()})
                findings += found
                problems = sift(found, accepted)[0] if entries else ["no file of it is compiled"]
                self.report.test(f"{room}, {len(entries)} files", problems)
        unused = sift(findings, accepted)[1]
        skip = "" if is_for_it else f" # SKIP the list is not for version {version}"
        self.report.test(
            f"all of what is accepted is there{skip}",
            [f"found no more: {' '.join(line)}" for line in unused] if is_for_it else [],
        )

    def main(self):
        if not shutil.which(self.tool):
            print(f"Bail out! {self.tool} is not installed (Debian: {self.package})")
            sys.exit(99)
        self._test_itself()
        self._test_tree()
        self.report.finish()
