# SPDX-License-Identifier: MIT
"""Small changes of the daemon, each of which breaks a promise and must therefore fail a test.

A mutant is a file NAME.mutant in three paragraphs: the promise; the file and the tests that are to
find the change; and the change, as in a diff, without line numbers:

    A segment is told from another in its place by the uid that made it, too.

    file: daemon/core/verdict.c
    killed by: tests/unit/test_verdict
    killed by: tests/integration/test_reconcile.py recycled

    -    if (kernel->shmid != segment->shmid || kernel->cuid != segment->cuid ||
    +    if (kernel->shmid != segment->shmid ||

What is to be found are whole lines, those with - and those that begin with a space, which stand
together in the file and only there; how they are indented does not count. The words behind a test
choose among its cases.

Each is applied to a copy of the tree, what its tests need is built, and these run until one fails; if
none does, the other tests of `--more`. With `--outside` only tests of the real programs count, and no unit
test; a mutant that none of these can find says so in a line `not from outside: REASON`. A mutant that no
test finds, that does not apply or that does not compile is a failure, and so is a test that fails, or runs
nothing, without any change.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

# So many have their turn each day at the least, where the time allows it.
STEP = 16
# What tests one part of the daemon, without the others.
INSIDE = ("tests/unit/", "tests/contract/")
GENERATED = {".git", "autom4te.cache", "__pycache__"}


class Wrong(Exception):
    """What is the matter with a mutant, other than that it survives."""


# --- mutants


class Mutant:
    def __init__(self, path):
        self.name = path.stem
        self.promise, self.file, self.tests, self.old, self.new = "", None, [], [], []
        self.excuse = None  # why the simulation cannot find it
        self.hidden = None  # why no test of the real daemon can
        paragraphs = path.read_text(encoding="utf-8").strip("\n").split("\n\n", 2)
        if len(paragraphs) != 3:
            raise Wrong("it has no three paragraphs: promise, file and tests, change")
        self.promise = " ".join(paragraphs[0].split())
        for line in paragraphs[1].splitlines():
            key, _, value = line.partition(": ")
            if key == "file" and not self.file:
                self.file = value
            elif key == "killed by":
                self.tests.append(value)
            elif key == "not by the simulation" and value and not self.excuse:
                self.excuse = value
            elif key == "not from outside" and value and not self.hidden:
                self.hidden = value
            else:
                raise Wrong(f"what is «{line}»?")
        if not self.file or not self.tests:
            raise Wrong("it names no file, or no test")
        self.outside = [test for test in self.tests if not test.startswith(INSIDE)]
        if self.outside and self.hidden:
            raise Wrong(f"{self.outside[0]} finds it from outside, and it says that none can")
        for line in paragraphs[2].splitlines():
            kind, text = line[:1] or " ", line[1:]
            if kind not in "-+ ":
                raise Wrong(f"what is «{line}»?")
            if kind != "+":
                self.old.append(text)
            if kind != "-":
                self.new.append(text)
        if not any(line.strip() for line in self.old):
            raise Wrong("it has no line that is to be found")

    def apply(self, text):
        """TEXT with the change."""
        lines = text.splitlines()
        wanted = [line.strip() for line in self.old]
        bare = [line.strip() for line in lines]
        places = [i for i in range(len(lines) - len(wanted) + 1) if bare[i : i + len(wanted)] == wanted]
        if len(places) != 1:
            raise Wrong(f"its lines stand in {self.file} {len(places)} times")
        at = places[0]
        return "\n".join(lines[:at] + self.new + lines[at + len(wanted) :]) + "\n"


def load(directory, pattern):
    """The mutants whose name fits PATTERN, and those that cannot be read, with why."""
    good, bad = [], []
    for path in sorted(directory.glob("*.mutant")):
        if fnmatch.fnmatch(path.stem, pattern):
            try:
                good.append(Mutant(path))
            except Wrong as wrong:
                bad.append((path.stem, str(wrong)))
    return good, bad


def within(mutants, folders):
    """Those of a file in one of FOLDERS; of no folders, all."""
    return [mutant for mutant in mutants
            if not folders or any(mutant.file.startswith(folder + "/") for folder in folders)]


def rotated(mutants, day):
    start = day * STEP % len(mutants) if mutants else 0
    return mutants[start:] + mutants[:start]


# --- the copies


def files_of(source):
    """All that is no other build's. What is generated for every build, such as configure, is there."""
    for directory, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in GENERATED
                      and not os.path.exists(os.path.join(directory, name, "config.status"))
                      and not os.path.exists(os.path.join(directory, name, ".no-source"))]
        for name in files:
            yield os.path.relpath(os.path.join(directory, name), source)


def put_same(source, target):
    """Writes only what differs, so that make builds no more than that needs."""
    if os.path.islink(source):
        if not os.path.islink(target):
            os.symlink(os.readlink(source), target)
        return
    with open(source, "rb") as stream:
        wanted = stream.read()
    if os.path.exists(target):
        with open(target, "rb") as stream:
            if stream.read() == wanted:
                return
    is_new = not os.path.exists(target)
    shutil.copy2(source, target)
    if not is_new and not target.endswith((".in", ".m4", ".ac", ".am", ".mk", "configure")):
        os.utime(target)  # later than what was built of the former one


def run(command, seconds, **options):
    """The exit status, None when it had no end, and what was printed. Nothing of it stays."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True, **options) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
            status = process.returncode
        except subprocess.TimeoutExpired:
            status = None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if status is None:
            output, _ = process.communicate()
    return status, output.decode(errors="replace")


class Copy:
    """A copy of the tree, and a build of it."""

    def __init__(self, options, number):
        self.options = options
        self.source = options.work / str(number) / "source"
        self.build = options.work / str(number) / "build"
        self.sound = {}  # test: whether it passes without any change; None: it runs nothing here
        self.environment = dict(
            os.environ, abs_top_srcdir=str(self.source), abs_top_builddir=str(self.build),
            CMOCKA_MESSAGE_OUTPUT="TAP", PYTHONDONTWRITEBYTECODE="1")
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
            self.environment.pop(name, None)

    def prepare(self):
        wanted = set(files_of(self.options.source))
        for name in wanted:
            target = self.source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            put_same(os.path.join(self.options.source, name), str(target))
        for name in set(files_of(self.source)) - wanted:
            (self.source / name).unlink()
        self.build.mkdir(exist_ok=True)
        if self.options.configure and not (self.build / "config.status").exists():
            self.must(self.options.configure)
        self.must(f"{self.options.make} -j{os.cpu_count()} {self.options.targets}")

    def must(self, command):
        status, output = self.shell(command, 3600)
        if status != 0:
            raise SystemExit(f"{output}\n{command}: failed in {self.build}")

    def shell(self, command, seconds):
        return run(["sh", "-c", command], seconds, cwd=self.build, env=self.environment)

    def make(self, tests):
        """Builds what TESTS need."""
        if not tests:
            return
        names = {test.split()[0] for test in tests}
        programs = {name for name in names if not name.endswith((".py", ".sh"))}
        # One after the other: `all` is a make of its own.
        commands = [f"{self.options.make} {' '.join(sorted(programs))}"] if programs else []
        if programs != names:
            commands.append(f"{self.options.make} {self.options.targets}")
        status, output = self.shell(" && ".join(commands), 900)
        if status != 0:
            raise Wrong("it does not compile:\n" + output[-2000:])

    def runs_well(self, test):
        """Whether TEST passes; None when all of it is skipped."""
        name, *words = test.split()
        program = {".py": ["python3"], ".sh": ["bash"]}.get(os.path.splitext(name)[1])
        command = [*program, str(self.source / name)] if program else [str(self.build / name)]
        status, output = run(command + words, self.options.test_seconds, cwd=self.build,
                             env=self.environment)
        lines = output.splitlines()
        if status != 0 or any(line.startswith("not ok") for line in lines):
            return False
        done = [line for line in lines if line.startswith("ok ")]
        skipped = [line for line in lines if "# SKIP" in line]
        return None if len(done) <= len(skipped) else True

    def is_sound(self, test):
        if test not in self.sound:
            self.sound[test] = self.runs_well(test)
        return self.sound[test]

    def try_tests(self, mutant, tests):
        """The first of TESTS that fails with MUTANT, and how many could tell."""
        self.make([test for test in tests if test not in self.sound])
        for test in tests:
            if self.is_sound(test) is False:
                raise Wrong(f"{test} fails without any change")
        sound = [test for test in tests if self.sound[test]]
        file = self.source / mutant.file
        before = file.read_text(encoding="utf-8")
        file.write_text(mutant.apply(before), encoding="utf-8")
        try:
            for test in sound:
                self.make([test])
                if not self.runs_well(test):
                    return test, len(sound)
        finally:
            file.write_text(before, encoding="utf-8")
        return None, len(sound)

    def judge(self, mutant):
        """Which test kills MUTANT, or None; and a remark."""
        if not (self.source / mutant.file).exists():
            raise Wrong(f"there is no {mutant.file}")
        if self.options.killer:
            return self.judge_by_killer(mutant)
        tests = mutant.outside if self.options.outside else mutant.tests
        killer, could_tell = self.try_tests(mutant, tests)
        if killer:
            return killer, ""
        more = [test for test in self.options.more if test not in tests]
        if more:
            killer, told = self.try_tests(mutant, more)
            could_tell += told
        if not could_tell:
            raise Wrong("none of its tests can run here")
        return killer, "which it does not name"

    def judge_by_killer(self, mutant):
        """By the exit status of one command, in the build of the mutant, and what it must say then."""
        command = self.options.killer
        if command not in self.sound:
            self.make(self.options.killer_needs)
            self.sound[command] = self.shell(command, self.options.test_seconds)[0] == 0
        if not self.sound[command]:
            raise SystemExit(f"{command}: fails without any change")
        file = self.source / mutant.file
        before = file.read_text(encoding="utf-8")
        file.write_text(mutant.apply(before), encoding="utf-8")
        try:
            self.make(self.options.killer_needs or ["tests.sh"])
            status, output = self.shell(command, self.options.test_seconds)
        finally:
            file.write_text(before, encoding="utf-8")
        says = self.options.killer_says
        if says and status != 0 and not re.search(says, output, re.MULTILINE):
            end = f"ends with status {status}" if status is not None else "has no end"
            raise Wrong(f"the killer {end} and does not say why:\n{output[-2000:]}")
        return ("the killer" if status != 0 else None), ""


# --- all of them


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def killed(self, name, by, remark, seconds):
        self.passed += 1
        remark = f" ({remark})" if remark else ""
        print(f"killed    {name}: by {by}{remark}, {seconds:.0f} s", flush=True)

    def survived(self, mutant):
        self.failed += 1
        print(f"SURVIVED  {mutant.name}: {mutant.promise}", flush=True)

    def excused(self, mutant, why):
        self.skipped += 1
        print(f"survives  {mutant.name}: {why}", flush=True)

    def unasked(self, mutant):
        self.skipped += 1
        print(f"UNASKED   {mutant.name}: {mutant.promise}", flush=True)

    def wrong(self, name, why):
        self.failed += 1
        print(f"WRONG     {name}: {why}", flush=True)


def leave_out(mutants, report):
    """Those of MUTANTS that name a test from outside; the others are told and counted."""
    for mutant in mutants:
        if mutant.hidden:
            report.excused(mutant, mutant.hidden)
        elif not mutant.outside:
            report.unasked(mutant)
    unasked = sum(not mutant.outside and not mutant.hidden for mutant in mutants)
    hidden = sum(bool(mutant.hidden) for mutant in mutants)
    print(f"of {len(mutants)}, {hidden} cannot be found from outside, and {unasked} name no test that "
          "could", flush=True)
    return [mutant for mutant in mutants if mutant.outside]


def try_all(options, mutants, report):
    copies = queue.Queue()
    for number in range(min(options.jobs, len(mutants))):
        copy = Copy(options, number)
        copy.prepare()
        copies.put(copy)
    began = time.monotonic()
    tried = 0

    def work(mutant):
        is_late = options.seconds and time.monotonic() - began > options.seconds
        if is_late and mutant is not mutants[0]:
            return None
        start = time.monotonic()
        copy = copies.get()
        try:
            return mutant, *copy.judge(mutant), time.monotonic() - start
        except Wrong as wrong:
            return mutant, wrong, "", 0
        finally:
            copies.put(copy)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(work, mutants):
            if not result:
                continue
            mutant, killer, remark, seconds = result
            tried += 1
            if isinstance(killer, Wrong):
                report.wrong(mutant.name, killer)
            elif killer:
                report.killed(mutant.name, killer, remark, seconds)
            elif options.killer_excuses and mutant.excuse:
                report.excused(mutant, mutant.excuse)
            else:
                report.survived(mutant)
    return tried


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--mutants", type=pathlib.Path, required=True, help="the folder of the mutants")
    parser.add_argument("--source", type=pathlib.Path, required=True, help="the tree")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="where the copies are")
    parser.add_argument("--only", default="*", metavar="GLOB", help="those of that name")
    parser.add_argument("--configure", default="", help="how a build is configured")
    parser.add_argument("--make", default="make", help="how it is built")
    parser.add_argument("--targets", default="all", help="what is built at first, and for scripts")
    parser.add_argument("--more", default="", type=str.split, help="tests when those named do not fail")
    parser.add_argument("--killer", default="", help="a command in the place of all tests")
    parser.add_argument("--killer-needs", default="", type=str.split, help="what it needs built")
    parser.add_argument("--killer-says", default="", metavar="REGEX",
                        help="what it prints when it kills: that it fails otherwise is no kill")
    parser.add_argument("--killer-excuses", action="store_true",
                        help="a mutant may say why the killer, the simulation, cannot find it")
    parser.add_argument("--least-share", type=int, default=0, metavar="PERCENT",
                        help="so many must be killed, excused or not")
    parser.add_argument("--outside", action="store_true",
                        help="only tests of the real programs count; mutants that name none are skipped")
    parser.add_argument("--within", default="", type=str.split, metavar="FOLDERS",
                        help="only mutants of files there")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=int, default=0, help="begin no mutant after that; 0: all")
    parser.add_argument("--test-seconds", type=int, default=180, help="a test that takes longer fails")
    parser.add_argument("--day", type=int, default=int(time.time() // 86400),
                        help="of a run that is too short for all, the day says where it begins")
    return parser.parse_args()


def main():
    options = parse()
    options.source = options.source.resolve()
    options.work = options.work.resolve()
    if (options.source / "config.status").exists():
        raise SystemExit(f"{options.source} is configured itself: build out of the tree")
    options.work.mkdir(parents=True, exist_ok=True)
    (options.work / ".no-source").touch()
    mutants, bad = load(options.mutants, options.only)
    mutants = within(mutants, options.within)
    report = Report()
    for name, why in bad:
        report.wrong(name, why)
    if options.outside:
        mutants = leave_out(mutants, report)
    if options.seconds:
        mutants = rotated(mutants, options.day)
    tried = try_all(options, mutants, report)
    if tried < len(mutants):
        print(f"{tried} of {len(mutants)} in {options.seconds} s on day {options.day}, from "
              f"{mutants[0].name} on; the others have their turn on other days")
    of_all = tried + len(bad)
    share = 100 * report.passed / of_all if of_all else 0
    if options.least_share:
        print(f"{report.passed} of {of_all} are killed, {share:.0f} %; {options.least_share} % must be")
    skipped = f", {report.skipped} skipped" if report.skipped else ""
    print(f"{report.passed} passed, {report.failed} failed{skipped}", flush=True)
    is_good = report.passed and not report.failed and share >= options.least_share
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
