# SPDX-License-Identifier: MIT
"""What is drawn in docs/ is what its text says, its screens can be taken again, and links lead somewhere."""

import glob
import os
import re
import subprocess
import sys
import unittest

from missing import need
from tap import main

_TOP = os.environ["abs_top_srcdir"]


def text_of(name):
    with open(os.path.join(_TOP, name), encoding="utf-8") as file:
        return file.read()


def run(*command):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=300)


def pictures(text):
    """By the command, with the key that is pressed, and the width of the terminal."""
    return {(" ".join([*command.split()[:2], *(("then", key) if key else ())]), int(width)): picture
            for command, key, width, picture in re.findall(
                r"(?ms)^`(shmdctl [^`]*)`(?:, then `(\w)`)?, (\d+) columns:\n\n```\n(.*?)\n```$", text)}


# Checks of doctor whose findings are the machine's.
_MACHINES = {"huge-pages", "memlock", "ipc-namespace", "group-members", "logind-remove-ipc", "shm-rmid-forced",
             "pid-namespace", "quota", "shmmni", "shmall", "shmmax", "semaphores", "message-queues", "pidfd",
             "peerpidfd", "pidfs", "shm-stat-any"}  # fmt: skip


def _words(line):
    """Without numbers and times, and without the unit of a process: those are of the machine and the day."""
    return [re.sub(r"\d+", "0", word) for word in line.split()
            if not re.fullmatch(r"\d+|/.*|.*\.(service|scope)", word)]


def lasting(command, width, picture):
    """What of a picture is the same on every machine, on every day."""
    lines = picture.split("\n")
    if command == "shmdctl list":
        return lines
    if command == "shmdctl ps":
        # The unit may be long, and takes its room from the others.
        return [_words(line) for line in lines] if width == 200 else []
    if command == "shmdctl doctor":
        findings = dict(re.findall(r"(?m)^\w+ +([a-z-]+): (.*)$", picture))
        return {name: text if width == 200 and name not in _MACHINES else "" for name, text in findings.items()}
    first = next(i for i, line in enumerate(lines) if line.split()[0] in ("NAME", "PID", "USER"))
    events = lines.index("EVENTS")
    told = [_words(line) for line in lines[events:-1] if "scratch" in line]
    table = [_words(line) for line in lines[first:events] if line]
    if command.endswith("then u"):  # the rest of a row are shares of the machine's memory
        table[1:] = [row[:2] for row in table[1:]]
    return [table if width == 200 or "then" not in command else table[0][:2], told, lines[-1]]


class Documents(unittest.TestCase):
    def test_the_architecture(self):
        done = run(os.path.join(_TOP, "docs/make/architecture.py"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, text_of("docs/architecture.svg"))

    def test_the_floors_that_are_drawn_are_there(self):
        for room in re.findall(r">((?:daemon|protocol)/\w*)<", text_of("docs/architecture.svg")):
            self.assertTrue(os.path.isdir(os.path.join(_TOP, room)), room)

    def test_screens(self):
        need(self, "tmux")
        done = run(os.path.join(_TOP, "docs/make/screens.py"))
        if "this needs root" in done.stderr:
            self.skipTest("needs root, and namespaces of its own")
        self.assertEqual(done.returncode, 0, done.stderr)
        now, committed = pictures(done.stdout), pictures(text_of("docs/screens.md"))
        self.assertEqual(len(now), 18)
        for (command, width), picture in now.items():
            with self.subTest(command=command, width=width):
                self.assertTrue(picture.strip())
                self.assertLessEqual(max(map(len, picture.split("\n"))), width)
        # `make pictures` takes them again.
        self.assertEqual(list(now), list(committed))
        for title, picture in now.items():
            with self.subTest(title):
                self.assertEqual(lasting(*title, picture), lasting(*title, committed[title]))

    def test_a_screen_that_is_old_is_found(self):
        committed = pictures(text_of("docs/screens.md"))
        for title, old, new in ((("shmdctl list", 80), "HOLDERS", "HELD"), (("shmdctl ps", 200), "prices", "price"),
                                (("shmdctl top", 40), "removed", "remove"), (("shmdctl top", 80), "q quit", "q leave"),
                                (("shmdctl top then p", 200), "python3", "perl"),
                                (("shmdctl top then u", 200), "bob", "ann"),
                                (("shmdctl top then u", 40), "SEGMENTS", "NUMBER"),
                                (("shmdctl doctor", 200), "no lost segments", "nothing is lost"),
                                (("shmdctl doctor", 40), "shmall:", "shmany:")):
            with self.subTest(title):
                picture = committed[title]
                self.assertIn(old, picture)
                self.assertNotEqual(lasting(*title, picture), lasting(*title, picture.replace(old, new)))

    def test_all_say_the_same_of_the_idle_time(self):
        """It goes on over a restart of the daemon: tests/integration/test_idle.py."""
        for name in ("client/cli/shmdctl.1.in", "client/man/shmd_create.3", "client/python/shmd/_calls.py",
                     "client/shmd.h", "protocol/PROTOCOL.md"):
            with self.subTest(name):
                self.assertNotRegex(text_of(name), r"begins?\s+again\s+when\s+the\s+daemon\s+is\s+restarted")
        for name in ("client/cli/shmdctl.1.in", "client/man/shmd_create.3", "protocol/PROTOCOL.md"):
            with self.subTest(name):
                self.assertRegex(text_of(name), r"up\s+to\s+a\s+second\s+later", "the kernel's seconds are whole")

    def test_when_events_tell_how_to_go_on(self):
        """Without an event there is nothing to go on from: tests/integration/test_shmdctl_daemon.py."""
        self.assertRegex(text_of("client/cli/shmdctl.1.in"),
                         r"once\s+it\s+has\s+printed\s+an\s+event,\s+its\s+message\s+has\s+the\s+\.Fl -after")

    def test_links(self):
        for path in (*glob.glob(os.path.join(_TOP, "*.md")), *glob.glob(os.path.join(_TOP, "*/*.md")),
                     *glob.glob(os.path.join(_TOP, "client/python/*.md"))):
            with open(path, encoding="utf-8") as file:
                for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", file.read()):
                    if "://" not in link:
                        with self.subTest(path=path, link=link):
                            self.assertTrue(os.path.exists(os.path.join(os.path.dirname(path), link)))


if __name__ == "__main__":
    main()
