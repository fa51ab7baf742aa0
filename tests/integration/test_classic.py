# SPDX-License-Identifier: MIT
"""Programs that have never heard of shmd (classic/*.c) work with its segments, and it sees theirs."""

import os
import shutil
import subprocess

import sysv
import tap
from harness import (
    BOB,
    DEADLINE,
    SOMEBODY,
    TestCase,
    as_user,
    main,
    needs_several_uids,
)
from missing import need

PROGRAMS = os.path.join(os.environ["abs_top_builddir"], "tests", "integration", "classic")
REQUEST = (
    '{"jsonrpc":"2.0","id":1,"method":"create","params":{"name":"demo","size":129}}'
)


class Classic(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def run_classic(self, name, *arguments, user=SOMEBODY):
        """Exit status, standard output and standard error of the program."""
        built = os.path.join(PROGRAMS, name)
        if not os.path.exists(built):
            tap.bail_out(f"{built} is not there: build it first (make check does)")
        # The build may be where only its owner gets in.
        program = os.path.join(self.directory, name)
        if not os.path.exists(program):
            shutil.copy(built, program)

        def run():
            outcome = subprocess.run(
                [program, *map(str, arguments)], capture_output=True, text=True, check=False,
                timeout=DEADLINE, cwd="/",
            )
            return outcome.returncode, outcome.stdout, outcome.stderr

        return as_user(user, run)

    def create_by_nc(self):
        need(self, "nc")

        def run():
            return subprocess.run(
                f"echo '{REQUEST}' | nc -N -U {self.daemon.socket_path}",
                shell=True, capture_output=True, text=True, check=True, timeout=DEADLINE,
            ).stdout

        return as_user(SOMEBODY, run)

    def test_a_line_of_shell_creates(self):
        answer = self.create_by_nc()
        self.assertEqual(answer.count("\n"), 1)
        self.assertTrue(answer.endswith("}\n"))
        segment = self.client.stat(name="demo")
        self.assertIn(f'"shmid":{segment["shmid"]},', answer)
        self.assertEqual((segment["size"], segment["uid"]), (129, SOMEBODY.uid))

    def test_reader_prints_what_writer_wrote(self):
        self.create_by_nc()
        shmid = self.client.stat(name="demo")["shmid"]
        self.assertEqual(self.run_classic("writer", shmid, "hello, world"), (0, "", ""))
        self.assertEqual(self.run_classic("reader", shmid), (0, "hello, world\n", ""))
        segment = self.client.stat(name="demo")
        self.assertEqual(segment["nattch"], 0)
        self.assertGreater(segment["attached_at_ms"], 0)
        self.assertGreater(segment["detached_at_ms"], 0)

    def test_its_size_is_what_was_asked_for(self):
        shmid = self.client.create(name="demo", size=129)["shmid"]
        self.assertEqual(self.run_classic("writer", shmid, "x" * 128)[0], 0)
        status, _, complaint = self.run_classic("writer", shmid, "x" * 129)
        self.assertNotEqual(status, 0)
        self.assertIn("129", complaint)

    def test_after_remover_there_is_no_such_segment(self):
        shmid = self.client.create(name="demo", size=129)["shmid"]
        self.assertEqual(self.run_classic("remover", shmid), (0, "", ""))
        for target in ({"name": "demo"}, {"shmid": shmid}):
            with self.subTest(target=target):
                self.refused("NoSuchSegment", self.client, "stat", **target)
        self.assertNotEqual(self.run_classic("reader", shmid)[0], 0)
        self.assertIs(self.client.call("create", name="demo", size=129)["created"], True)

    @needs_several_uids
    def test_a_stranger_gets_nowhere(self):
        shmid = self.client.create(name="demo")["shmid"]
        for name, *more in (("writer", "x"), ("reader",), ("remover",)):
            with self.subTest(program=name):
                status, _, complaint = self.run_classic(name, shmid, *more, user=BOB)
                self.assertNotEqual(status, 0)
                self.assertRegex(complaint, "Permission denied|Operation not permitted")
        self.assertEqual(self.client.stat(name="demo")["state"], "ready")

    def test_creators_segment_is_foreign(self):
        status, answer, _ = self.run_classic("creator", "0xBEEF", "hello")
        self.assertEqual(status, 0)
        shmid = int(answer)
        listed = self.client.list(scope="foreign")
        self.assertEqual([s["shmid"] for s in listed], [shmid])
        segment = listed[0]
        self.assertEqual(
            (segment["key"], segment["size"], segment["uid"], segment["managed"]),
            (0xBEEF, 6, SOMEBODY.uid, False),
        )
        self.assertIs(segment["orphaned"], True)
        self.assertEqual(sysv.read(shmid, 6), b"hello\0")
        data = self.refused("KeyInUse", self.client, "create", key=0xBEEF, size=6)
        self.assertEqual(data["shmid"], shmid)


main()
