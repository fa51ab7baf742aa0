# SPDX-License-Identifier: MIT
"""What the tests themselves rely on."""

import ctypes
import os
import signal
import unittest.mock

import harness
import sysv
from harness import ROOT, HeldAttachment, TestCase, main

_SYS_VFORK = {"x86_64": 58}


class Attachments(TestCase):
    def test_a_dead_process_is_waited_for_until_its_memory_goes(self):
        """Here another process has the memory of the dead one, for longer than a reader of /proc has it."""
        number = _SYS_VFORK.get(os.uname().machine)
        if number is None:
            self.skipTest("the number of the system call is that of x86-64")
        shmid = sysv.create(sysv.PAGE)
        attach, sleep = sysv.attach, harness.time.sleep

        def attach_and_share(shmid, flags):
            address = attach(shmid, flags)
            # The process stops here. Its child has its memory and goes on in its place.
            if sysv.libc.syscall(ctypes.c_long(number)) == 0:
                ctypes.memmove(address, os.getpid().to_bytes(4, "little"), 4)

        with unittest.mock.patch.object(sysv, "attach", attach_and_share):
            held = HeldAttachment(ROOT, shmid)
        other = int.from_bytes(sysv.read(shmid, 4), "little")
        self.assertNotEqual(other, held.pid)
        nattch = []

        def end_the_other(seconds):
            """The first time that somebody waits."""
            if not nattch:
                nattch.append(sysv.stat(shmid).nattch)
                os.kill(other, signal.SIGKILL)
            sleep(seconds)

        try:
            with unittest.mock.patch.object(harness.time, "sleep", end_the_other):
                held.kill()
            self.assertEqual(sysv.stat(shmid).nattch, 0)
            self.assertEqual(nattch, [1], "it has waited")
        finally:
            if not nattch:
                os.kill(other, signal.SIGKILL)


if __name__ == "__main__":
    main()
