# SPDX-License-Identifier: MIT
"""The tour of README.md, command by command, after either way of building: in build/ and in the tree.

What a command prints is compared where README.md shows it.
"""

import os
import re
import subprocess
import tempfile

from harness import DEADLINE, TestCase, main

_TOP = os.environ["abs_top_srcdir"]
_BUILD = os.environ["abs_top_builddir"]

# Runs a command as somebody types it and separates its output from the next one's. Only the daemon
# must be there before the next command; a reader of the tour takes longer than that to type.
_STEP = """
{command}
status=$?
{wait}
printf '\\n<<<%s %s>>>\\n' {number} $status
"""
_WAIT_FOR_THE_DAEMON = 'while ! [ -S "$SHMD_SOCKET" ] && jobs %1 >/dev/null; do sleep 0.05; done'


def tour(text):
    """[(command, what it prints or None)], in order."""
    section = text.split("\n## A tour\n")[1].split("\n## ")[0]
    steps, in_quotes = [], False
    for line in section.splitlines():
        if not line.startswith("    "):
            assert not in_quotes, f"the command before {line!r} has no end"
            continue
        line = line[4:]
        if in_quotes:
            steps[-1][0] += "\n" + line
        elif line.startswith("$ "):
            steps.append([line[2:], None])
        else:
            steps[-1][1] = (steps[-1][1] or "") + line + "\n"
        if in_quotes or line.startswith("$ "):
            in_quotes = steps[-1][0].count("'") % 2 == 1
    return steps


class TourTest(TestCase):
    def replay(self, directory):
        with open(os.path.join(_TOP, "README.md"), encoding="utf-8") as file:
            steps = tour(file.read())
        self.assertGreater(len(steps), 10)
        script = "set -m\ntrap 'kill -9 $(jobs -p) 2>/dev/null' EXIT\n"
        for number, (command, _) in enumerate(steps):
            wait = _WAIT_FOR_THE_DAEMON if command.startswith("shmd ") else ":"
            script += _STEP.format(command=command, wait=wait, number=number)
        temporary = os.path.join(self.directory, "tmp")
        os.mkdir(temporary)
        with tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                ["bash", "--norc", "-c", script], cwd=directory, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=err, text=True, check=False, timeout=DEADLINE,
                env={"PATH": os.environ["PATH"], "HOME": self.directory, "TMPDIR": temporary},
            )
            err.seek(0)
            said = err.read()
        self.logs.append(said)
        outputs = re.split(r"\n<<<(\d+) (\d+)>>>\n", done.stdout)
        self.assertEqual(outputs[1::3], [str(i) for i in range(len(steps))], done.stdout + said)
        for (command, wanted), output, status in zip(steps, outputs[0::3], outputs[2::3]):
            with self.subTest(command=command):
                self.assertEqual(status, "0", output + said)
                if wanted is not None:
                    self.assertEqual(output, wanted)
        # No message but those of the shell about its jobs, and one of a list that is empty.
        (message,) = re.findall(r"^shmd.*", said, re.M)
        self.assertIn("there is no segment", message)
        self.assertEqual(os.listdir(temporary), [], "the tour leaves nothing behind")
        printed = dict(zip((command for command, _ in steps), outputs[0::3]))
        self.assertIn("frames", printed["shmdctl wait frames --timeout 10s"])
        self.assertIn("model", printed["shmdctl create model --size 1M --ttl 10m"])
        events = printed["shmdctl events --after 0 --kinds created,ready,removed --count 3"]
        self.assertEqual(re.findall(r"^\S+ (\w+) +frames", events, re.M),
                         ["created", "ready", "removed"])

    def test_after_quickstart(self):
        """The programs are in build/."""
        os.symlink(_BUILD, os.path.join(self.directory, "build"))
        self.replay(self.directory)

    def test_after_a_build_in_the_tree(self):
        self.replay(_BUILD)


if __name__ == "__main__":
    main()
