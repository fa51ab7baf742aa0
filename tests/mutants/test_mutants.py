# SPDX-License-Identifier: MIT
"""What is told of mutants, in a tree of one C file: which are killed and by what, which survive, and
what is wrong with those that cannot be tried."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import tap

RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")

SUM_C = """
int sum(int a, int b);

int sum(int a, int b)
{
    return a + b;
}

int same(int a);

int same(int a)
{
    int b = a;
    return b;
}
"""

# The daemon of this tree is a program that a script calls, and its unit test another.
CHECK_C = """
#include <stdio.h>
int sum(int a, int b);
int main(void)
{
    puts(sum(2, 3) == 5 ? "ok 1" : "not ok 1");
    return 0;
}
"""

MAIN_C = """
int sum(int a, int b);
int main(void)
{
    return sum(1, 0) != 1;
}
"""

MAKEFILE = """
VPATH = ../source
all: whole
whole: main.c sum.c
\t$(CC) -o $@ $^
tests/check: check.c sum.c
\tmkdir -p tests && $(CC) -o $@ $^
"""

KILLED = "-    return a + b;\n+    return a - b;\n"
HARMLESS = "-    return a + b;\n+    return b + a;\n"


class Mutants(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="shmd-mutants."))
        self.addCleanup(shutil.rmtree, self.top)
        self.source = self.top / "source"
        (self.source / "tests").mkdir(parents=True)
        (self.source / "mutants").mkdir()
        for name, text in (("sum.c", SUM_C), ("check.c", CHECK_C), ("main.c", MAIN_C),
                           ("tests/whole.sh", "./whole && echo ok 1\n"),
                           ("tests/skipped.sh", "echo 'ok 1 # SKIP not here'\n"),
                           ("tests/broken.sh", "exit 1\n")):
            (self.source / name).write_text(text)
        self.add("some", KILLED)

    def add(self, name, change, *tests, file="sum.c"):
        tests = "".join(f"killed by: {test}\n" for test in tests or ("tests/check",))
        (self.source / "mutants" / f"{name}.mutant").write_text(
            f"What {name}\nis for.\n\nfile: {file}\n{tests}\n{change}")

    def run_all(self, *options):
        """The output, and the status."""
        configure = f"printf %s '{MAKEFILE}' >Makefile && touch config.status"
        done = subprocess.run(
            [sys.executable, RUNNER, "--mutants", self.source / "mutants", "--source", self.source,
             "--work", self.top / "work", "--configure", configure, "--make", "make -s", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        return done.stdout, done.returncode

    def told_of(self, name, *options):
        """The line about mutant NAME."""
        output, _ = self.run_all("--only", name, *options)
        lines = [line for line in output.splitlines() if f" {name}: " in line]
        self.assertEqual(len(lines), 1, output)
        return lines[0]

    def test_killed_by_the_test_it_names(self):
        self.assertRegex(self.told_of("some"), r"^killed    some: by tests/check, \d+ s$")

    def test_killed_by_a_script(self):
        self.add("script", KILLED.replace("a - b", "b - a"), "tests/whole.sh")
        self.assertRegex(self.told_of("script"), "^killed    script: by tests/whole.sh")

    def test_killed_by_another_test(self):
        self.add("other", "-    return a + b;\n+    return a + b + (a == 2);\n", "tests/whole.sh")
        self.assertRegex(self.told_of("other", "--more", "tests/check"),
                         r"^killed    other: by tests/check \(which it does not name\)")
        self.assertRegex(self.told_of("other"), "^SURVIVED ")

    def test_one_that_changes_nothing_survives(self):
        self.add("harmless", HARMLESS)
        self.assertEqual(self.told_of("harmless", "--more", "tests/whole.sh"),
                         "SURVIVED  harmless: What harmless is for.")

    def test_one_that_does_not_compile(self):
        self.add("nonsense", "-    return a + b;\n+    return a + c;\n")
        self.assertEqual(self.told_of("nonsense"), "WRONG     nonsense: it does not compile:")

    def test_one_that_does_not_apply(self):
        self.add("moved", "-    return a * b;\n+    return a - b;\n")
        self.assertEqual(self.told_of("moved"), "WRONG     moved: its lines stand in sum.c 0 times")
        self.add("unclear", "-}\n+}\n")
        self.assertEqual(self.told_of("unclear"), "WRONG     unclear: its lines stand in sum.c 2 times")
        self.add("gone", KILLED, file="gone.c")
        self.assertEqual(self.told_of("gone"), "WRONG     gone: there is no gone.c")

    def test_indentation_does_not_count_and_lines_around_do(self):
        self.add("around", " int sum(int a, int b)\n {\n-  return a + b;\n+  return a - b;\n")
        self.assertRegex(self.told_of("around"), "^killed ")

    def test_one_that_is_no_mutant(self):
        (self.source / "mutants" / "odd.mutant").write_text("What it is for.\n\nfile: sum.c\n")
        self.assertRegex(self.told_of("odd"), "^WRONG     odd: it has no three paragraphs")
        self.add("key", KILLED)
        path = self.source / "mutants" / "key.mutant"
        path.write_text(path.read_text().replace("killed by", "killed"))
        self.assertEqual(self.told_of("key"), "WRONG     key: what is «killed: tests/check»?")

    def test_a_test_that_cannot_tell(self):
        self.add("broken", KILLED, "tests/broken.sh")
        self.assertEqual(self.told_of("broken"),
                         "WRONG     broken: tests/broken.sh fails without any change")
        self.add("skipped", KILLED, "tests/skipped.sh")
        self.assertEqual(self.told_of("skipped"), "WRONG     skipped: none of its tests can run here")

    def test_one_that_hangs_is_killed(self):
        self.add("endless", "-    return a + b;\n+    while (a)\n+        ;\n+    return b;\n")
        self.assertRegex(self.told_of("endless", "--test-seconds", "2"), "^killed ")

    def test_the_source_stays_and_the_next_run_begins_anew(self):
        self.add("harmless", HARMLESS)
        self.run_all()
        self.assertEqual((self.source / "sum.c").read_text(), SUM_C)
        # As an interrupted run leaves it.
        copy = self.top / "work" / "0" / "source" / "sum.c"
        copy.write_text(SUM_C.replace("a + b", "a - b"))
        output, _ = self.run_all()
        self.assertIn("SURVIVED  harmless", output)
        self.assertIn("killed    some", output)

    def test_a_change_of_the_tree_counts(self):
        self.run_all()
        (self.source / "check.c").write_text(CHECK_C.replace("sum(2, 3) == 5", "sum(2, 0) == 2"))
        self.assertRegex(self.told_of("some"), "^SURVIVED ")

    def test_the_last_line_and_the_status(self):
        output, status = self.run_all()
        self.assertEqual((output.splitlines()[-1], status), ("1 passed, 0 failed", 0))
        self.add("harmless", HARMLESS)
        output, status = self.run_all()
        self.assertEqual((output.splitlines()[-1], status), ("1 passed, 1 failed", 1))
        output, status = self.run_all("--only", "none")
        self.assertEqual((output.splitlines()[-1], status), ("0 passed, 0 failed", 1))

    def test_another_killer(self):
        self.add("harmless", HARMLESS)
        output, status = self.run_all("--killer", "./whole")
        self.assertIn("SURVIVED  harmless", output)
        self.assertIn("SURVIVED  some", output)  # 1 - 0 is 1
        self.add("found", "-    return a + b;\n+    return b;\n")
        output, status = self.run_all("--killer", "./whole")
        self.assertIn("killed    found: by the killer", output)
        self.assertEqual((output.splitlines()[-1], status), ("1 passed, 2 failed", 1))
        output, status = self.run_all("--killer", "false")
        self.assertRegex(output, "false: fails without any change")
        self.assertNotEqual(status, 0)

    def test_a_killer_that_says_nothing_kills_nothing(self):
        self.add("some", "-    return a + b;\n+    return b;\n")
        killer = ("--killer", "./whole || { echo seed 7 fails: it is too little; exit 1; }",
                  "--killer-says", "^seed [0-9]+ fails: ")
        self.assertRegex(self.told_of("some", *killer), "^killed    some: by the killer")
        killer = ("--killer", "./whole || { echo no room; exit 3; }", *killer[2:])
        output, status = self.run_all("--only", "some", *killer)
        self.assertIn("WRONG     some: the killer ends with status 3 and does not say why:\nno room", output)
        self.assertEqual(status, 1)
        killer = ("--killer", "./whole || sleep 60", *killer[2:], "--test-seconds", "2")
        self.assertRegex(self.told_of("some", *killer),
                         "^WRONG     some: the killer has no end and does not say why:")
        self.add("some", "-    return a + b;\n+    return c;\n")
        self.assertEqual(self.told_of("some", *killer), "WRONG     some: it does not compile:")

    def test_one_that_the_killer_cannot_find_says_why(self):
        self.add("found", "-    return a + b;\n+    return b;\n")
        self.add("harmless", HARMLESS)
        path = self.source / "mutants" / "harmless.mutant"
        path.write_text(path.read_text().replace(
            "killed by: tests/check", "killed by: tests/check\nnot by the simulation: it is the same."))
        killer = ("--killer", "./whole", "--killer-needs", "whole", "--killer-excuses")
        output, status = self.run_all(*killer, "--only", "[fh]*", "--least-share", "50")
        self.assertEqual(status, 0, output)
        self.assertIn("survives  harmless: it is the same.", output)
        self.assertIn("1 of 2 are killed, 50 %; 50 % must be", output)
        self.assertEqual(output.splitlines()[-1], "1 passed, 0 failed, 1 skipped")
        output, status = self.run_all(*killer, "--only", "[fh]*", "--least-share", "51")
        self.assertEqual(status, 1, output)
        self.assertIn("SURVIVED  harmless", self.run_all("--only", "harmless")[0])

    def test_from_outside_unit_tests_do_not_count(self):
        (self.source / "tests" / "unit").mkdir()
        (self.source / "tests" / "unit" / "check.sh").write_text("! echo 'not ok 1'\n")
        self.add("some", KILLED, "tests/unit/check.sh")
        self.add("both", "-    return a + b;\n+    return b - a;\n", "tests/unit/check.sh",
                 "tests/whole.sh")
        self.add("inside", HARMLESS, "tests/unit/check.sh", "tests/whole.sh")
        self.add("hidden", KILLED, "tests/unit/check.sh\nnot from outside: it is deep.")
        output, status = self.run_all("--outside", "--more", "tests/whole.sh")
        for line in ("^killed    both: by tests/whole.sh", "^SURVIVED  inside: ",
                     "^survives  hidden: it is deep.$", "^UNASKED   some: What some is for.$",
                     "^of 4, 1 cannot be found from outside, and 1 name no test that could$",
                     "^1 passed, 1 failed, 2 skipped$"):
            self.assertRegex(output, f"(?m){line}")
        self.assertEqual(status, 1)
        output, status = self.run_all("--outside", "--only", "both")
        self.assertEqual(status, 0, output)
        self.add("hidden", KILLED, "tests/whole.sh\nnot from outside: it is deep.")
        self.assertRegex(self.told_of("hidden"), "^WRONG     hidden: tests/whole.sh finds it from outside")

    def test_those_of_some_folders(self):
        (self.source / "part").mkdir()
        (self.source / "part" / "other.c").write_text(SUM_C)
        self.add("inside", KILLED, file="part/other.c")
        output, _ = self.run_all("--within", "part nowhere")
        self.assertNotIn(" some: ", output)
        self.assertIn(" inside: ", output)

    def test_in_little_time_each_has_its_turn(self):
        for number in range(40):
            self.add(f"m{number:02}", KILLED)
        firsts = set()
        for day in range(3):
            output, status = self.run_all("--seconds", "1", "--day", str(day), "--jobs", "1",
                                          "--make", "sleep 1; make -s")
            self.assertEqual(status, 0, output)
            told = re.search(r"(\d+) of 41 in 1 s on day \d, from (\w+) on", output)
            self.assertLess(int(told[1]), 41)
            firsts.add(told[2])
        self.assertEqual(firsts, {"m00", "m16", "m32"})


if __name__ == "__main__":
    tap.main()
