# SPDX-License-Identifier: MIT
"""What the tests with programs of other people have in common: a daemon, and shmdctl beside them.

A program that is not installed skips its tests, with the name of the package that has it. All of
them run in a private IPC namespace, as an ordinary user, in a directory that goes away.
"""

import glob
import json
import os
import subprocess
import sys

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "integration")
)

import harness
import sysv
from harness import DEADLINE, SOMEBODY, TestCase, as_user, enter_private_network, needs_several_uids
from harness import ROOT, SEVERAL_UIDS, User, main, wait_until  # for the test files
from missing import lacks
from programs import Programs, skip_beside_other_daemons

enter_private_network()

# gc takes what is of the daemon's uid for segments that the daemon has lost.
needs_a_uid_of_its_own = needs_several_uids

EMPTY = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


class RealCase(Programs, TestCase):
    user = SOMEBODY  # who runs the programs

    def setUp(self):
        super().setUp()
        skip_beside_other_daemons(self, self.user)
        self.home = os.path.join(self.directory, "home")
        os.mkdir(self.home, 0o755)
        if SEVERAL_UIDS:
            os.chown(self.home, self.user.uid, self.user.gid)
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon, self.user)

    def find(self, program, *directories):
        """The paths of PROGRAM that the user can run, in PATH and in DIRECTORIES (patterns)."""
        directories = (*os.environ["PATH"].split(":"), "/usr/bin", *directories)
        return [
            path for directory in directories
            for path in sorted(glob.glob(os.path.join(directory, program)), reverse=True)
            if as_user(self.user, lambda path=path: os.access(path, os.X_OK))
        ]

    def need(self, program, *directories):
        """The path of PROGRAM; where it is missing, the test is skipped."""
        found = self.find(program, *directories)
        if not found:
            self.skipTest(lacks(program))
        return found[0]

    def run_real(self, *command, data=None):
        """Runs a program to its end as the user; gives what it prints. It must succeed."""

        def run():
            return subprocess.run(
                command, input=data, capture_output=True, text=True, check=False, cwd=self.home,
                timeout=DEADLINE, env={**EMPTY, "HOME": self.home},
            )

        outcome = as_user(self.user, run)
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""), outcome)
        return outcome.stdout

    def start_real(self, *command, prepare=lambda: None, **more):
        """Starts a program as the user; it ends with the test. PREPARE: what its process does
        before, still with all rights."""

        def before():
            prepare()
            harness._become(self.user)
            harness._die_with_parent()

        process = subprocess.Popen(
            command, cwd=self.home, env={**EMPTY, "HOME": self.home}, preexec_fn=before,
            **{"stdin": subprocess.DEVNULL, "text": True, **more},
        )

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=DEADLINE)

        self.addCleanup(end)
        return process

    # --- shmdctl

    def ctl(self, *arguments, user=None, data=None):
        """What shmdctl prints; it must succeed."""
        status, out, err = self.run_program(
            "shmdctl", *arguments, user=user or self.user, data=data,
            environment={"SHMD_SOCKET": self.daemon.socket_path},
        )
        self.assertEqual(status, 0, (arguments, out, err))
        return out

    def gc(self, *arguments):
        """Class and result of each segment that gc lists, by shmid; segments of any age count."""
        out = self.ctl("gc", "--older-than", "0", "--json", *arguments, user=ROOT)
        rows = json.loads(out)["segments"]
        return {row["shmid"]: (row["class"], row["result"]) for row in rows}

    def foreign(self):
        """The segments that the daemon lists as not its own, by shmid."""
        with self.daemon.connect(ROOT) as root:
            return {segment["shmid"]: segment for segment in root.list(scope="foreign")}

    def is_there(self, shmid):
        """Whether there is such a segment, and nobody has removed it."""
        row = sysv.proc_table().get(shmid)
        return row is not None and int(row["perms"], 8) < 0o1000
