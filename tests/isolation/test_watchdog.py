# SPDX-License-Identifier: MIT
"""The shipped unit under a real systemd while a user attacks: the watchdog never fires, so nobody loses a
connection or a segment that is being filled."""

import os
import shutil
import signal
import subprocess
import sys

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(_here, "..", folder) for folder in ("systemd", "integration")]

import tap  # noqa: E402
import test_systemd  # noqa: E402
from container import wait_until  # noqa: E402

_SOCKET = "/run/shmd/shmd.sock"
_FOLDER = "/usr/local/lib/shmd-tests"
_ATTACKER = test_systemd._USER
_SEGMENTS = 20000

_CREATE = f"""
import ctypes
libc = ctypes.CDLL(None)
for _ in range({_SEGMENTS}):
    assert libc.shmget(0, 1, 0o1600) >= 0
"""

setUpModule = test_systemd.setUpModule
tearDownModule = test_systemd.tearDownModule


class Watchdog(test_systemd.SystemdTest):
    def container(self):
        return test_systemd._container

    def start_flood(self):
        """Batches of 64 lists of all segments, on 500 connections, their last byte held back."""
        container = self.container()
        built = os.path.join(os.environ["abs_top_builddir"], "tests", "isolation", "flood")
        shutil.copy(built, container.path(f"{_FOLDER}/flood"))
        request = '{"jsonrpc":"2.0","id":1,"method":"list","params":{"limit":1000,"scope":"all"}}'
        container.write(f"{_FOLDER}/payload", "[" + ",".join([request] * 64) + "]\n")
        flood = subprocess.Popen(
            container.command(
                *(f"{_FOLDER}/flood", _SOCKET, f"{_FOLDER}/payload", "500", "repeat", "hold-back"),
                user=_ATTACKER,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.end_flood, flood)
        self.assertEqual(flood.stdout.readline(), "ready\n")
        return flood

    def end_flood(self, flood):
        flood.stdin.close()
        flood.wait(60)
        flood.stdout.close()

    def test_it_never_fires_under_attack(self):
        # The container may not write this itself.
        write = ["sh", "-c", "echo 32768 >/proc/sys/kernel/shmmni"]
        subprocess.run(["nsenter", "-t", str(self.container().pid), "--ipc", *write], check=True)
        self.addCleanup(self.run_in, "ipcrm", "--all=shm")
        self.run_in("/usr/bin/python3", "-c", _CREATE)
        filling = self.call("create", name="filling", size=4096)["segment"]
        pid = self.main_pid()
        flood = self.start_flood()
        flood.stdin.write("go\n")
        flood.stdin.flush()
        stamp = self.property("WatchdogTimestampMonotonic")
        for _ in range(4):  # the loop answers systemd, again and again
            old = stamp
            wait_until(
                lambda: self.property("WatchdogTimestampMonotonic") != old
                or self.main_pid() != pid,
                "the loop answers or the watchdog has fired",
            )
            stamp = self.property("WatchdogTimestampMonotonic")
        journal = self.run_in("journalctl", "-u", "shmd.service", "-o", "cat").stdout
        self.assertNotIn("Watchdog timeout", journal)
        self.assertEqual(self.main_pid(), pid)
        self.call("remove", serial=filling["serial"])


def _end(_signal, _frame):
    tearDownModule()
    os._exit(99)


if __name__ == "__main__":
    test_systemd._check()
    for _number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(_number, _end)
    tap.main()
