# SPDX-License-Identifier: MIT
"""strace at a running daemon: it is killed at a system call, or its calls are counted."""

import collections
import contextlib
import re
import shutil
import signal
import subprocess
import unittest

from harness import WRAPPER, wait_until
from missing import lacks


def _obstacle():
    if WRAPPER:
        return "the daemon is traced already"
    if shutil.which("strace") is None:
        return lacks("strace")
    probe = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False,
                           stderr=subprocess.DEVNULL)
    return "processes cannot be traced here" if probe.returncode else None


_OBSTACLE = _obstacle()
needs_strace = unittest.skipIf(_OBSTACLE, _OBSTACLE)


@contextlib.contextmanager
def _strace(daemon, *arguments):
    tracer = subprocess.Popen(["strace", "-qq", *arguments, "-p", str(daemon.pid)],
                              stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: daemon.proc_status("TracerPid") == tracer.pid, "the daemon is traced")
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()


def killed_at(daemon, call, when):
    """SIGKILL comes before DAEMON's WHENth CALL in the block, which ends it."""
    return _strace(daemon, "-o", "/dev/null", "-e", f"trace={call}",
                   "-e", f"inject={call}:signal=SIGKILL:when={when}")


def failing(daemon, call, error):
    """DAEMON's CALL fails with ERROR as long as the block runs."""
    return _strace(daemon, "-o", "/dev/null", "-e", f"trace={call}",
                   "-e", f"inject={call}:error={error}")


@contextlib.contextmanager
def counted(daemon, path):
    """A Counter of DAEMON's system calls in the block, by name; full when the block has ended. PATH
    is a file to use."""
    calls = collections.Counter()
    with _strace(daemon, "-o", path):
        yield calls
    with open(path, encoding="utf-8", errors="replace") as lines:
        calls.update(match[1] for match in map(re.compile(r"(\w+)\(").match, lines) if match)
