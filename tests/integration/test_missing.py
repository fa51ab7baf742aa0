# SPDX-License-Identifier: MIT
"""What a machine lacks: every test says it in the words of missing.py, and .ci/run installs all of it before."""

import ast
import glob
import os
import re
import sys
import tempfile
import unittest
import unittest.mock

import missing
from tap import main

_TOP = os.environ.get("abs_top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# Each Debian has them, or a package that is needed to build brings them.
_IN_EVERY_DEBIAN = {"bash", "mount", "perl", "util-linux"}

# Those that are no tests of make check write them out.
_HAVE_THE_WORDS = {"integration/missing.py", "integration/test_missing.py", "analysis/analysis.py", "bench/costs.py"}


def read(*path):
    with open(os.path.join(_TOP, *path), encoding="utf-8") as file:
        return file.read()


def other_words(text):
    """The lines of a Python program with a text of its own that tells that something is missing."""
    tree = ast.parse(text)
    documents = {id(node.body[0].value) for node in ast.walk(tree)
                 if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body
                 and isinstance(node.body[0], ast.Expr)}
    return [node.lineno for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
            and re.search(r"not installed|(is|are) not here|there is no C comp|\(Debian: ", node.value)]


def skips(text):
    """The reasons for which a shell script skips."""
    return re.findall(r"(?:skip_all|# SKIP) ['\"]?([^'\"\n]*)", text)


class Words(unittest.TestCase):
    def test_tests_in_python(self):
        for planted in ('self.skipTest(f"{program} is not installed")', 'REASON = "sysv_ipc is not here; get it"'):
            self.assertEqual(other_words(f'"""What is not installed is skipped."""\n{planted}\n'), [2])
        for path in glob.glob(os.path.join(_TOP, "tests/**/*.py"), recursive=True):
            name = os.path.relpath(path, os.path.join(_TOP, "tests"))
            text = read("tests", name)
            if "skip" in text.lower() and name not in _HAVE_THE_WORDS:
                with self.subTest(name):
                    self.assertEqual(other_words(text), [])

    def test_tests_in_shell(self):
        self.assertEqual(skips("skip_all 'nm is not there'\necho \"1..0 # SKIP a\"\n"), ["nm is not there", "a"])
        n = 0
        for path in glob.glob(os.path.join(_TOP, "tests/**/*.sh"), recursive=True):
            for reason in skips(read(os.path.relpath(path, _TOP))):
                if re.search(r"installed|missing|not there|is no pkg", reason):
                    n += 1
                    with self.subTest(path):
                        self.assertRegex(reason, r"is not installed \(Debian: ")
        self.assertGreater(n, 4)


class Packages(unittest.TestCase):
    def test_each_is_installed_before_the_tests(self):
        if not os.path.exists(os.path.join(_TOP, ".ci/run")):
            self.skipTest("a release has no .ci/run")
        lists = re.findall(r"\b(?:needed|useful|wanted)\w*\+?=[\"(][^\")]*", read("quickstart") + read(".ci/run"))
        words = " ".join(entry.split("=", 1)[1] for entry in lists)
        installed = set(re.findall(r"[\w.+-]+", words)) | _IN_EVERY_DEBIAN
        self.assertIn("fish", installed)
        own = f"libpython{sys.version_info[0]}.{sys.version_info[1]}-testsuite"  # of the release's Python alone
        for what, packages in missing.PACKAGES.items():
            with self.subTest(what):
                self.assertLessEqual(set(packages.split()) - {own}, installed)
        self.assertLessEqual({"libpython3.11-testsuite", "libpython3.13-testsuite"}, installed)

    def test_ci_knows_the_words(self):
        if not os.path.exists(os.path.join(_TOP, ".ci/run")):
            self.skipTest("a release has no .ci/run")
        pattern = re.search(r"^lacks='(.*)'$", read(".ci/run"), re.M)[1]
        for what in missing.PACKAGES:
            self.assertRegex(missing.lacks(what), pattern)


class Modules(unittest.TestCase):
    def test_one_of_debians_python(self):
        before = list(sys.path)
        with tempfile.TemporaryDirectory() as directory, unittest.mock.patch.object(missing, "_OF_DEBIAN", directory):
            self.assertIsNone(missing.find_module("planted_for_this"))
            with open(os.path.join(directory, "planted_for_this.py"), "w", encoding="ascii") as file:
                file.write("answer = 42\n")
            self.assertEqual(missing.find_module("planted_for_this").answer, 42)
        self.assertEqual(sys.path, before)


if __name__ == "__main__":
    main()
