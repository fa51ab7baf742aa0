# SPDX-License-Identifier: MIT
"""Runs a file's unittest tests and reports them as TAP on standard output."""

import sys
import traceback
import unittest


def skip_all(reason):
    """Ends the process, telling that no test of this file can run here."""
    print(f"1..0 # SKIP {reason}", flush=True)
    sys.exit(0)


def bail_out(reason):
    print(f"Bail out! {reason}", flush=True)
    sys.exit(99)


def diagnostics(text):
    for line in text.splitlines():
        print(f"# {line}", flush=True)


class _TapResult(unittest.TestResult):
    """A test is one line, whatever went wrong in its body, its subtests and its cleanups."""

    def __init__(self):
        super().__init__()
        self.exit_status = None  # of a test that ended the program
        self._current = None
        self._problems = []
        self._skipped = None

    def startTest(self, test):
        super().startTest(test)
        self._current, self._problems, self._skipped = test, [], None

    def stopTest(self, test):
        super().stopTest(test)
        self._current = None
        name = ".".join(test.id().split(".")[-2:])
        if self._problems:
            print(f"not ok {self.testsRun} - {name}")
            for problem in self._problems:
                diagnostics(problem)
            for text in getattr(test, "logs", ()):
                diagnostics(text)
        elif self._skipped is not None:
            print(f"ok {self.testsRun} - {name} # SKIP {self._skipped}")
        else:
            print(f"ok {self.testsRun} - {name}")
        sys.stdout.flush()

    def addError(self, test, err):
        super().addError(test, err)
        text = "".join(traceback.format_exception(*err))
        if issubclass(err[0], SystemExit):
            # A bail-out or a signal: unittest would go on to the next test.
            self.exit_status = err[1].code
            self.stop()
        if self._current is not None:
            self._problems.append(text)
            return
        # A class's or a module's fixture: no test of it will run, so this is the line that fails.
        self.testsRun += 1
        print(f"not ok {self.testsRun} - {test.id()}")
        diagnostics(text)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._problems.append("".join(traceback.format_exception(*err)))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            text = "".join(traceback.format_exception(*err))
            self._problems.append(f"{subtest._subDescription()}\n{text}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._skipped = reason


def main():
    """Runs the tests of the program; arguments, if any, are parts of the names of those wanted."""
    loader = unittest.TestLoader()
    if sys.argv[1:]:
        loader.testNamePatterns = [f"*{part}*" for part in sys.argv[1:]]
    result = _TapResult()
    loader.loadTestsFromModule(sys.modules["__main__"]).run(result)
    print(f"1..{result.testsRun}", flush=True)
    if result.exit_status is not None:
        sys.exit(result.exit_status)
    sys.exit(0 if result.wasSuccessful() else 1)
