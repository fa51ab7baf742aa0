# SPDX-License-Identifier: MIT
"""What is drawn in docs/ is what its text says, its screens can be taken again, and links lead somewhere."""

import glob
import os
import re
import shutil
import subprocess
import sys
import unittest

from tap import main

_TOP = os.environ["abs_top_srcdir"]


def text_of(name):
    with open(os.path.join(_TOP, name), encoding="utf-8") as file:
        return file.read()


def run(*command):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=300)


class Documents(unittest.TestCase):
    def test_the_architecture(self):
        done = run(os.path.join(_TOP, "docs/make/architecture.py"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, text_of("docs/architecture.svg"))

    def test_the_floors_that_are_drawn_are_there(self):
        for room in re.findall(r">((?:daemon|protocol)/\w*)<", text_of("docs/architecture.svg")):
            self.assertTrue(os.path.isdir(os.path.join(_TOP, room)), room)

    def test_screens(self):
        if not shutil.which("tmux"):
            self.skipTest("tmux is not installed")
        done = run(os.path.join(_TOP, "docs/make/screens.py"))
        if "this needs root" in done.stderr:
            self.skipTest("needs root, and namespaces of its own")
        self.assertEqual(done.returncode, 0, done.stderr)
        pictures = re.findall(r"(?ms)^`shmdctl (\w+)[^`]*`, (\d+) columns:\n\n```\n(.*?)\n```$", done.stdout)
        self.assertGreaterEqual({command for command, _, _ in pictures}, {"list", "ps", "doctor"})
        for command, width, picture in pictures:
            with self.subTest(command=command, width=width):
                self.assertTrue(picture.strip())
                self.assertLessEqual(max(map(len, picture.split("\n"))), int(width))
                if command == "list":
                    self.assertRegex(picture, "^NAME .*\nvideo/")
        committed = re.findall(r"(?m)^`shmdctl (\w+)[^`]*`, (\d+) columns:$", text_of("docs/screens.md"))
        self.assertLessEqual(set(committed), {picture[:2] for picture in pictures})

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
