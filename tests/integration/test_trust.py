# SPDX-License-Identifier: MIT
"""shmdctl uses no segment that a stranger has made under the name that was expected."""

import subprocess

from command import NO_SUCH_SEGMENT, NOT_STARTED, PERMISSION_DENIED, SIZE_MISMATCH, Shmdctl
from harness import ALICE, BOB, DEADLINE, ROOT, main, needs_several_uids, wait_until

MINE, THEIRS = ALICE, BOB


@needs_several_uids
class Trust(Shmdctl):
    def setUp(self):
        super().setUp()
        self.bob = self.connect(self.daemon, THEIRS)
        self.bob.create(name="frames", mode="0666", lifetime="process")

    # What each command does with a segment of that name.
    USES = (
        (("read", "frames"), {}),
        (("write", "frames"), {"data": b"x"}),
        (("wait", "frames"), {}),
        (("hold", "frames", "--", "true"), {}),
        (("hold", "frames", "--wait", "--", "true"), {}),
    )

    def use(self, arguments, options=(), status=0, **more):
        if status and "--" in arguments:
            status = NOT_STARTED
        where = arguments.index("--") if "--" in arguments else len(arguments)
        arguments = (*arguments[:where], *options, *arguments[where:])
        return self.ctl(*arguments, status=status, user=MINE, **more)

    def test_a_strangers_is_refused(self):
        for arguments, more in self.USES:
            with self.subTest(arguments=arguments):
                self.use(arguments, status=PERMISSION_DENIED, **more)
                self.assertIn(f"frames belongs to user {THEIRS.uid} ", self.message)
                self.assertIn(f"--owner {THEIRS.uid}, or --any-owner", self.message)
        self.use(("hold", "frames"), status=PERMISSION_DENIED)

    def test_unless_that_is_said(self):
        for options in (("--owner", THEIRS.uid), ("--any-owner",)):
            for arguments, more in self.USES:
                with self.subTest(arguments=arguments, options=options):
                    self.use(arguments, options, **more)

    def test_another_owner_is_no_leave(self):
        self.use(("read", "frames"), ("--owner", DAEMONLESS), status=PERMISSION_DENIED)
        self.assertIn(f"--owner {THEIRS.uid}", self.message)

    def test_ones_own_passes_beside_another_owner(self):
        self.client.create(name="mine")
        for command in ("read", "wait"):
            self.use((command, "mine"), ("--owner", THEIRS.uid))

    def test_roots_and_the_daemons_pass(self):
        root = self.connect(self.daemon, ROOT)
        root.create(name="roots", mode="0666")
        root.create(name="daemons", mode="0666", uid=root.call("info")["uid"])
        for name in ("roots", "daemons"):
            self.use(("read", name))

    def test_a_key_can_be_taken_as_well(self):
        self.bob.create(key=0xBEEF, mode="0666")
        self.use(("read", "--key", "0xbeef"), status=PERMISSION_DENIED)
        self.use(("read", "--key", "0xbeef"), ("--owner", THEIRS.uid))

    def test_an_id_and_a_serial_are_what_they_are(self):
        segment = self.bob.stat(name="frames")
        self.use(("read", "--shmid", segment["shmid"]))
        self.use(("read", "--serial", segment["serial"]))

    def test_one_that_may_not_be_read_tells_nothing(self):
        self.bob.call("set", name="frames", mode="0600")
        self.use(("read", "frames"), status=PERMISSION_DENIED)
        self.assertNotIn(str(THEIRS.uid), self.message)

    def test_looking_needs_no_trust(self):
        self.assertIn("frames", self.ctl("stat", "frames", user=MINE))

    def test_a_wait_ends_when_a_stranger_takes_the_name(self):
        process = self.start("wait", "other", user=MINE, stderr=subprocess.PIPE)
        wait_until(lambda: "shmd_waiters 1\n" in self.client.call("metrics")["text"], "it waits")
        self.bob.create(name="other", mode="0666")
        _, err = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, PERMISSION_DENIED)
        self.assertIn(f"other belongs to user {THEIRS.uid}".encode(), err)


DAEMONLESS = 4444  # nobody


@needs_several_uids
class Run(Shmdctl):
    def setUp(self):
        super().setUp()
        self.bob = self.connect(self.daemon, THEIRS)
        self.bob.create(name="job", mode="0666", lifetime="process", size=100)

    def run_job(self, *options, size="1", **more):
        return self.ctl("run", "job", "--size", size, *options, "--", "sh", "-c",
                        "echo $SHMD_CREATED", user=MINE, **more)

    def test_a_strangers_is_refused(self):
        self.run_job(status=NOT_STARTED)
        self.assertIn(f"job belongs to user {THEIRS.uid} ", self.message)

    def test_unless_that_is_said(self):
        for options in (("--owner", THEIRS.uid), ("--any-owner",)):
            self.assertEqual(self.run_job(*options, note="job exists already"), "0\n")

    def test_but_it_must_be_large_enough(self):
        self.run_job("--owner", THEIRS.uid, size="101", status=NOT_STARTED)
        self.assertIn("job has 100 bytes, fewer than the 101 asked for", self.message)
        self.ctl("create", "job", "--size", "101", "--any-owner", user=MINE, status=SIZE_MISMATCH)

    def test_of_ones_own_nothing_is_asked(self):
        self.bob.call("remove", name="job")
        self.ctl("read", "job", status=NO_SUCH_SEGMENT)
        self.assertEqual(self.run_job("--owner", THEIRS.uid), "1\n")


if __name__ == "__main__":
    main()
