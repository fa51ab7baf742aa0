# SPDX-License-Identifier: MIT
"""A terminal of any size whose screen can be read and whose keys can be pressed: a tmux of its own.

`Terminal(directory, width, height)` is a context manager. Its server is a child of this process and
ends with it; nothing of the user's tmux is read or touched.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import time
import unittest

from missing import lacks

needs_tmux = unittest.skipUnless(shutil.which("tmux"), lacks("tmux"))
_DEADLINE = int(os.environ.get("SHMD_TEST_DEADLINE", 60))


class Terminal:
    def __init__(self, directory, width, height, environment=None, die_with_parent=None):
        """DIRECTORY: where its socket goes. ENVIRONMENT: of what runs in it."""
        self._socket = os.path.join(directory, f"tmux-{width}x{height}-{time.monotonic_ns()}")
        self._size = (width, height)
        self._environment = {
            "PATH": os.environ["PATH"], "HOME": directory, "LANG": "C.UTF-8", "TZ": "UTC", "SHELL": "/bin/sh",
            "TERM": "xterm", **(environment or {}),
        }  # fmt: skip
        self._server = subprocess.Popen(
            self._command("-f", "/dev/null", "-D"), env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent,
        )  # fmt: skip
        try:
            self._wait(lambda: os.path.exists(self._socket), "tmux listens")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self._tmux("kill-server")
        self._server.kill()
        self._server.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._socket)

    def _command(self, *arguments):
        return ["tmux", "-u", "-S", self._socket, *arguments]

    def _tmux(self, *arguments):
        return subprocess.run(self._command(*arguments), env=self._environment, check=True, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True).stdout  # fmt: skip

    def _wait(self, condition, what):
        deadline = time.monotonic() + _DEADLINE
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {_DEADLINE} s in vain until {what}")
            time.sleep(0.02)
        return value

    def run(self, *command):
        """Starts COMMAND in it; when that has ended, what it has left on the screen stays."""
        width, height = map(str, self._size)
        line = f"{shlex.join(command)}; exec sleep 1000000"
        self._tmux("new-session", "-d", "-x", width, "-y", height, line, ";",
                   "set-option", "-g", "status", "off", ";",
                   "set-option", "-g", "window-size", "manual", ";",
                   "resize-window", "-x", width, "-y", height)  # fmt: skip

    def screen(self, *, escapes=False):
        """Its lines, without spaces at their ends; with what gives them colours, if ESCAPES."""
        return self._tmux("capture-pane", "-p", *(("-e",) if escapes else ())).split("\n")[:-1]

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen())

    def press(self, *keys):
        """Keys by tmux's names (`Enter`, `PageDown`, `C-c`), others by their character."""
        self._tmux("send-keys", *keys)

    def type(self, text):
        self._tmux("send-keys", "-l", text)

    def resize(self, width, height):
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def tells(self, variable):
        """Of tmux: `pane_pid`, `cursor_flag`, `alternate_on`."""
        return self._tmux("display-message", "-p", f"#{{{variable}}}").strip()

    def wait_for(self, condition, what):
        """Waits until CONDITION of the screen's text is true, and returns that text."""
        last = [""]

        def look():
            last[0] = self.text()
            return condition(last[0])

        try:
            self._wait(look, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen is:\n{last[0]}") from None
        return last[0]
