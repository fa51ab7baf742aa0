#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes the pictures of docs/screens.md, with tmux, on terminals of 40, 80 and 200 columns:

    abs_top_builddir=$PWD/build docs/make/screens.py >docs/screens.md

It runs in namespaces of its own, as root: a daemon, some segments, and processes of two users that use them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("abs_top_srcdir", TOP)
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))
sys.path.insert(0, os.path.join(TOP, "client", "python"))

import machine  # noqa: E402

BUILD = os.environ.get("abs_top_builddir", os.path.join(TOP, "build"))
WIDTHS = (40, 80, 200)
ANN, BOB, DAEMON = 3001, 3002, 2500
USERS = (("ann", ANN), ("bob", BOB), ("shmd", DAEMON))
MS_BIND = 0x1000
DEADLINE = 60

# What is shown: a title, the command, the lines of the terminal; of one that goes on, the key that is pressed, if any,
# and what the screen then has.
COMMANDS = (
    ("list", "shmdctl list --all", 12, None),
    ("ps", "shmdctl ps", 14, None),
    ("top", "shmdctl top", 24, ("", "NATTCH")),
    ("top: processes", "shmdctl top", 24, ("p", "python3")),
    ("top: users", "shmdctl top", 24, ("u", "576K")),
    ("doctor", "shmdctl doctor", 120, None),
)

USE = """
import shmd, sys, time
seg = shmd.hold(sys.argv[1]) if len(sys.argv) < 3 else shmd.publish(sys.argv[1], int(sys.argv[2]),
                                                                    lifetime="process")
if len(sys.argv) > 2:
    seg.__enter__()
    seg.ready()
view = seg.buf
print("up", flush=True)
time.sleep(100000)
"""

# In one request, so that no screen has it.
COME_AND_GO = """
import json, socket
s = socket.socket(socket.AF_UNIX)
s.connect("/run/shmd/shmd.sock")
s.sendall(json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "create", "params": {"name": "scratch", "size": 131072}},
                      {"jsonrpc": "2.0", "id": 2, "method": "remove", "params": {"name": "scratch"}}]).encode())
assert b"result" in s.recv(65536)
"""


class World:
    """A daemon and what it has to show."""

    def __init__(self, directory):
        self._processes = []
        self._make_users(directory)
        # The system's daemon has its place there; this is a mount of our own.
        machine._mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
        os.makedirs("/run/shmd")
        os.chown("/run/shmd", DAEMON, DAEMON)
        programs = self._copy_programs(directory)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}", "LD_LIBRARY_PATH": programs, "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.path.join(programs, "python"), "PYTHONDONTWRITEBYTECODE": "1", "TERM": "screen",
        }  # fmt: skip

    @staticmethod
    def _copy_programs(directory):
        """Build trees are often below a home that other users cannot enter."""
        path = os.path.join(directory, "programs")
        os.mkdir(path)
        for name in ("shmd", "shmdctl", "libshmd.so.0"):
            built = os.path.join(BUILD, ".libs", name)
            shutil.copy(built if os.path.exists(built) else os.path.join(BUILD, name), path)
        shutil.copytree(os.path.join(TOP, "client", "python", "shmd"), os.path.join(path, "python", "shmd"))
        subprocess.run(["chmod", "-R", "a+rX", path], check=True)
        return path

    def _make_users(self, directory):
        for file, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/bin/sh\n"), ("group", "{0}:x:{1}:\n")):
            own = os.path.join(directory, file)
            with open(own, "w", encoding="utf-8") as copy, open(f"/etc/{file}", encoding="utf-8") as machines:
                copy.write("".join(line.format(*user) for user in USERS) + machines.read())
            machine._mount(own, f"/etc/{file}", "", MS_BIND)

    def start(self, uid, *command):
        """Starts COMMAND as UID, and waits until it says that it is up."""
        process = subprocess.Popen(
            ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *command],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd="/")
        self._processes.append(process)
        return process

    def use(self, uid, *arguments):
        assert self.start(uid, "python3", "-c", USE, *arguments).stdout.readline() == "up\n"

    def do(self, uid, *command):
        process = self.start(uid, *command)
        process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, command

    def ctl(self, uid, *arguments):
        self.do(uid, "shmdctl", *arguments)

    def fill(self):
        self.start(DAEMON, "shmd", "--state-dir", "/run/shmd", "--socket", "/run/shmd/shmd.sock", "--socket-mode",
                   "666")
        wait_until(lambda: os.path.exists("/run/shmd/shmd.sock"))
        self.use(ANN, "video/frames", str(8 << 20))
        self.use(ANN, "video/frames")
        self.use(BOB, "prices", str(64 << 10))
        self.ctl(ANN, "create", "models/weights-of-the-large-one", "--size", "1G", "--noreserve", "--uid", "shmd",
                 "--gid", "ann", "--mode", "660")
        self.ctl(BOB, "create", "session-cache", "--size", "512K", "--ttl", "1h")
        self.start(BOB, "ipcmk", "-M", "4096").communicate(timeout=DEADLINE)
        self.start(ANN, "shmdctl", "run", "half-done", "--size", "4K", "--not-ready", "--", "sleep", "100000")
        wait_until(lambda: "half-done" in subprocess.run(["shmdctl", "list"], env=self.environment, check=True,
                                                         capture_output=True, text=True).stdout)

    def happen(self):
        """What events tell of, while somebody looks."""
        self.do(BOB, "python3", "-c", COME_AND_GO)

    def end(self):
        for process in reversed(self._processes):
            process.kill()
            process.communicate(timeout=DEADLINE)


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


class Terminal:
    """tmux, on sockets in DIRECTORY."""

    def __init__(self, directory, world):
        self._directory, self._socket, self._n = directory, None, 0
        self._world, self._environment = world, world.environment

    def _tmux(self, *arguments):
        return subprocess.run(["tmux", "-f", "/dev/null", "-S", self._socket, *arguments], check=True,
                              env=self._environment, capture_output=True, text=True, cwd="/").stdout

    def _screen(self):
        return self._tmux("capture-pane", "-p").rstrip()

    def _open(self, command, width, height):
        # A server that was told to end may not have, so each picture has one of its own.
        self._n += 1
        self._socket = os.path.join(self._directory, f"tmux-{self._n}.sock")
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), "-e", f"DONE={self._socket}.done", command)

    def _close(self):
        """What it shows last."""
        text = self._screen()
        self._tmux("kill-server")
        return "\n".join(line.rstrip() for line in text.split("\n"))

    def picture(self, command, width, height, full_screen):
        """What the terminal shows when the command has ended, or, of one that does not, when it has drawn what
        happened meanwhile."""
        if not full_screen:
            self._open(f"{command}; printf '\\033[?25l'; touch \"$DONE\"; exec sleep 1000", width, height)
            wait_until(lambda: os.path.exists(f"{self._socket}.done"))
            return self._close()
        key, sign = full_screen
        self._open(command, width, height)
        wait_until(lambda: "EVENTS" in self._screen())
        if key:
            self._tmux("send-keys", key)
        self._world.happen()
        wait_until(lambda: sign in self._screen() and "removed" in self._screen())
        return self._close()


def has(command, environment):
    done = subprocess.run([*command.split()[:2], "--help"], env=environment, capture_output=True, check=False)
    return done.returncode == 0


def document(terminal, environment):
    yield "# Screens"
    yield "\nWhat `shmdctl` shows on terminals of 40, 80 and 200 columns, taken by `docs/make/screens.py`."
    for title, command, height, full_screen in COMMANDS:
        if not has(command, environment):
            continue
        yield f"\n## {title}"
        for width in WIDTHS:
            key = f", then `{full_screen[0]}`" if full_screen and full_screen[0] else ""
            yield f"\n`{command}`{key}, {width} columns:\n\n```"
            yield terminal.picture(command, width, height, full_screen)
            yield "```"


def main():
    try:
        is_possible = all(machine.enter())
    except OSError:
        is_possible = False
    if not is_possible:
        sys.exit("screens: this needs root, and mounts and a pid namespace of its own")
    with tempfile.TemporaryDirectory(prefix="shmd-screens-") as directory:
        os.chmod(directory, 0o755)
        world = World(directory)
        try:
            world.fill()
            for line in document(Terminal(directory, world), world.environment):
                print(line)
        finally:
            world.end()
            for file in ("passwd", "group"):
                subprocess.run(["umount", f"/etc/{file}"], check=True)


if __name__ == "__main__":
    main()
