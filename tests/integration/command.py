# SPDX-License-Identifier: MIT
"""shmdctl as tests run it: its commands, its exit statuses, and a case with the real daemon."""

import subprocess

from harness import SOMEBODY, TestCase, wait_until
from programs import Programs

REFUSED, USAGE, UNREACHABLE, NO_SUCH_SEGMENT, PERMISSION_DENIED = 1, 2, 3, 4, 5
EXISTS, LIMIT, BUSY, TIMED_OUT, INITIALISER_DIED, STALE, SIZE_MISMATCH = 6, 7, 8, 9, 10, 11, 12
NOT_STARTED = 125  # the command that was to be run

COMMANDS = (
    "create stat set rm list info read write call wait ready hold release adopt disown events run "
    "ps top gc doctor reload metrics help version"
).split()


class CommandCase(Programs, TestCase):
    path = ""

    def ctl(self, *arguments, status=0, note=None, user=SOMEBODY, environment=None, **more):
        """Runs the command to its end; its output. What it says on standard error is checked to be
        nothing on success, or the one line NOTE, and something to go by otherwise."""
        environment = {"SHMD_SOCKET": self.path, **(environment or {})}
        got, out, err = self.run_program(
            "shmdctl", *arguments, user=user, environment=environment, **more
        )
        out = out or b""  # it went elsewhere
        self.message = err.decode()
        self.assertEqual(got, status, f"{arguments}: {self.message}{out[-500:]!r}")
        if note:
            self.assertRegex(self.message, rf"^shmdctl: {note}[^\n]*\n$")
        elif status == 0:
            self.assertEqual(self.message, "")
        else:
            self.assertRegex(self.message, r"^shmdctl: .{10,}\n")
        is_text = arguments[:1] != ("read",) or "--help" in arguments
        return out.decode() if is_text else out

    def start(self, *arguments, user=SOMEBODY, **more):
        more.setdefault("stdout", subprocess.PIPE)
        return self.popen(
            "shmdctl", *arguments, user=user, environment={"SHMD_SOCKET": self.path}, **more
        )


class Shmdctl(CommandCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.path = self.daemon.socket_path
        self.client = self.connect(self.daemon)

    def is_gone(self, name):
        return name not in [s.get("name") for s in self.client.list()]

    def wait_until_gone(self, name):
        wait_until(lambda: self.is_gone(name), f"{name} is gone")
