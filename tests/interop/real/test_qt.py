# SPDX-License-Identifier: MIT
"""Qt's QSharedMemory. Qt removes a segment when its last process detaches, whoever created it."""

import ctypes
import os
import subprocess

from real import RealCase, lacks, main, needs_a_uid_of_its_own, sysv

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shared_memory.cpp")
ALREADY_EXISTS = 4  # QSharedMemory::AlreadyExists
BUILD_TIMEOUT = 300


class Qt(RealCase):
    def setUp(self):
        super().setUp()
        compiler, pkg_config = self.need("c++"), self.need("pkg-config")
        flags = subprocess.run([pkg_config, "--cflags", "--libs", "Qt5Core"], capture_output=True,
                               text=True, check=False)
        if flags.returncode != 0:
            self.skipTest(lacks("Qt5Core"))
        self.program = os.path.join(self.directory, "shared_memory")
        subprocess.run([compiler, "-fPIC", "-o", self.program, SOURCE, *flags.stdout.split()],
                       check=True, timeout=BUILD_TIMEOUT)
        self.key_file = os.path.join(self.home, "key")
        with open(self.key_file, "w", encoding="ascii"):
            pass
        # As QSharedMemory does it.
        self.key = sysv.libc.ftok(self.key_file.encode(), ctypes.c_int(ord("Q"))) & 0xFFFFFFFF

    def start_qt(self, *arguments):
        """The process, and the line that it prints."""
        process = self.start_real(self.program, arguments[0], self.key_file, *arguments[1:],
                                  stdin=-1, stdout=-1)
        return process, process.stdout.readline()

    def test_a_segment_of_shmd(self):
        made = self.client.create(name="frames", size=200, key=self.key)
        self.ctl("write", "frames", data=b"by shmdctl")
        process, said = self.start_qt("attach")
        self.assertEqual(said, "200 by shmdctl\n")
        other, said = self.start_qt("attach", "by Qt")
        self.assertEqual(said, "200 by Qt\n")
        self.assertEqual(self.ctl("read", "frames", "--length", 5), b"by Qt")
        self.assertEqual(self.client.stat(name="frames")["nattch"], 2)
        process.communicate()
        self.assertEqual(self.client.stat(name="frames")["serial"], made["serial"])
        # The last one removes it, and the daemon tells that.
        self.client.call("subscribe", kinds=["removed"])
        other.communicate()
        self.refused("NoSuchSegment", self.connect(self.daemon, self.user), "stat", name="frames")
        event = self.client.reply()["params"]
        self.assertEqual((event["reason"], event["segment"]["serial"]),
                         ("out-of-band", made["serial"]))

    @needs_a_uid_of_its_own
    def test_one_that_a_killed_program_has_left(self):
        process, said = self.start_qt("create", "by Qt")
        self.assertEqual(said, "129 by Qt\n")
        shmid = sysv.find(self.key)
        self.assertEqual(self.gc("--remove", "--left"), {})  # it is in use
        process.kill()
        process.wait()
        # It stands in the way of the next start.
        _, said = self.start_qt("create")
        self.assertEqual(said, f"error {ALREADY_EXISTS}\n")
        self.assertEqual(self.gc("--remove"), {shmid: ("leaked", "removed")})
        process, said = self.start_qt("create", "again")
        self.assertEqual(said, "129 again\n")
        process.communicate()
        self.assertEqual(self.foreign(), {})


main()
