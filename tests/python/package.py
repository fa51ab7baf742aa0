# SPDX-License-Identifier: MIT
"""What the tests of the Python package use: the package itself, on a daemon of the test's own, and programs
in Python that can be killed.
"""

import os
import signal
import subprocess
import sys

TOP = os.environ.get("abs_top_srcdir") or os.path.join(os.path.dirname(__file__), "..", "..")
PACKAGE = os.path.join(TOP, "client", "python")
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))
sys.path.insert(0, PACKAGE)

import harness  # noqa: E402 # from here on this process is in namespaces of its own
import sysv  # noqa: E402
from harness import DEADLINE, ROOT, RpcError, wait_until  # noqa: E402

import shmd  # noqa: E402

# What a program of a test begins with.
PROLOGUE = """
import os, sys, time
import shmd
def tell(*words):
    print(*words, flush=True)
def hear():
    return sys.stdin.readline()
"""


class Program:
    """A program in Python that uses the package. It tells lines and hears lines."""

    def __init__(self, code, arguments, environment, interpreter=sys.executable, **more):
        self.process = subprocess.Popen(
            [interpreter, "-c", PROLOGUE + code, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment, preexec_fn=harness._die_with_parent, **more,
        )
        self.pid = self.process.pid

    def line(self):
        """The next line that it tells."""
        line = self.process.stdout.readline()
        assert line, f"it has ended: {self.process.stderr.read()}"
        return line.strip()

    def say(self, line=""):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def kill(self, number=signal.SIGKILL):
        """Dead and reaped when it returns."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=DEADLINE)

    def ends(self):
        """Its exit status, output and error output."""
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err


class PackageCase(harness.TestCase):
    CONFIG = "reconcile_ms = 3600000\n"  # nothing here needs a sweep

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon, ROOT)
        os.environ["SHMD_SOCKET"] = self.daemon.socket_path
        self.addCleanup(os.environ.pop, "SHMD_SOCKET", None)
        self.addCleanup(lambda: shmd.default_connection().close())

    def restart(self):
        """The daemon dies by SIGKILL, and another takes over."""
        self.daemon.process.kill()
        self.daemon.wait()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon, ROOT)

    def environment(self, **more):
        return {"PATH": os.environ["PATH"], "PYTHONPATH": PACKAGE, "PYTHONDONTWRITEBYTECODE": "1",
                "SHMD_SOCKET": self.daemon.socket_path, **more}

    def program(self, code, *arguments, **more):
        program = Program(code, arguments, self.environment(), **more)
        self.addCleanup(program.kill)
        return program

    def check_program(self, code, *arguments, **more):
        """It ends in order; gives its output."""
        status, out, err = self.program(code, *arguments, **more).ends()
        self.assertEqual((status, err), (0, ""))
        return out

    def segment(self, name):
        """As the daemon has it, or None."""
        try:
            return self.client.stat(name=name)
        except RpcError as error:
            self.check_error(error, "NoSuchSegment")
            return None

    def wait_until_gone(self, name):
        wait_until(lambda: self.segment(name) is None, f"{name} is gone")

    def check_nothing_is_left(self):
        wait_until(lambda: not sysv.proc_table(), "the kernel has no segment")
        self.assertEqual(self.client.list(), [])

    def wait_for_waiters(self, count):
        line = f"shmd_waiters {count}"
        wait_until(lambda: line in self.client.call("metrics")["text"].splitlines(),
                   f"{count} processes wait")
