# SPDX-License-Identifier: MIT
"""Python's sysv_ipc."""

from real import RealCase, lacks, main, needs_a_uid_of_its_own, sysv

KEY = 0x5059

ATTACHED = """
import sys, sysv_ipc
shm = sysv_ipc.SharedMemory(int(sys.argv[1]))
print(shm.id, shm.size, shm.number_attached, shm.read(10).decode(), flush=True)
shm.write(b"by sysv_ipc")
sys.stdin.readline()
shm.detach()
"""
CREATES = """
import sys, sysv_ipc
shm = sysv_ipc.SharedMemory(int(sys.argv[1]), sysv_ipc.IPC_CREX, mode=0o600, size=129)
shm.write(b"by sysv_ipc")
print(shm.id, flush=True)
sys.stdin.readline()
"""


class SysvIpc(RealCase):
    def setUp(self):
        super().setUp()
        self.python = next(filter(self.has_module, self.find("python3")), None)
        if not self.python:
            self.skipTest(lacks("sysv_ipc"))

    def has_module(self, python):
        script = "import importlib.util as u; print(u.find_spec('sysv_ipc') is not None)"
        return self.run_real(python, "-c", script) == "True\n"

    def start_python(self, script, *arguments):
        return self.start_real(self.python, "-c", script, *map(str, arguments), stdin=-1, stdout=-1)

    def test_a_segment_of_shmd(self):
        made = self.client.create(name="frames", size=129, key=KEY)
        self.ctl("write", "frames", data=b"by shmdctl")
        process = self.start_python(ATTACHED, KEY)
        self.assertEqual(process.stdout.readline(), f"{made['shmid']} 129 1 by shmdctl\n")
        now = self.client.stat(name="frames")
        self.assertEqual((now["nattch"], now["last_pid"]), (1, process.pid))
        process.communicate("\n")
        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.client.stat(name="frames")["nattch"], 0)
        self.assertEqual(self.ctl("read", "frames", "--length", 11), b"by sysv_ipc")

    @needs_a_uid_of_its_own
    def test_one_of_its_own(self):
        process = self.start_python(CREATES, KEY)
        shmid = int(process.stdout.readline())
        self.assertEqual(self.foreign()[shmid]["creator"]["pid"], process.pid)
        self.assertEqual(self.gc("--remove", "--left"), {})  # it is in use
        process.kill()
        process.wait()
        self.assertEqual(self.gc(), {shmid: ("leaked", "kept")})
        self.ctl("adopt", "--shmid", shmid, "frames")
        self.assertEqual(self.gc("--remove"), {})
        self.assertEqual(self.ctl("read", "frames", "--length", 11), b"by sysv_ipc")
        self.ctl("rm", "frames")
        self.assertNotIn(shmid, sysv.proc_table())


main()
