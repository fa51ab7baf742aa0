# SPDX-License-Identifier: MIT
"""What a refusal says: what was asked, what is missing, whose it is, and what to type."""

import ctypes
import errno
import os
import struct
import subprocess

import sysv
from command import EXISTS, LIMIT, NO_SUCH_SEGMENT, PERMISSION_DENIED, REFUSED, Shmdctl
from harness import ALICE, BOB, DAEMON, ROOT, TestCase, main, needs_several_uids
from programs import Programs


class Words(Shmdctl):
    def test_what_does_not_exist_is_not_to_be_created_by_rm(self):
        for command in (["rm"], ["stat"], ["set", "--locked"]):
            self.ctl(*command, "nothing", status=NO_SUCH_SEGMENT)
            self.assertIn("no such segment: list shows what there is", self.message)

    def test_a_hint_is_said_once(self):
        shmid = sysv.create(4096, mode=0o666)
        self.ctl("set", "--shmid", shmid, "--mode", "600", status=NO_SUCH_SEGMENT)
        self.assertEqual(self.message.count("adopt it first"), 1)
        self.client.create(name="x")
        self.ctl("adopt", "--shmid", self.client.stat(name="x")["shmid"], status=EXISTS)
        self.assertEqual((self.message.count("already"), self.message.count("manages it")), (1, 1))
        self.assertNotIn("choose another name", self.message)

    def test_the_segment_that_has_the_key_is_named(self):
        named = self.client.create(name="a", key=0x1111)
        other = self.client.create(name="b", key=0x2222)
        foreign = sysv.create(10, key=0x3333)
        data = self.refused("SegmentExists", self.client, "create", name="a", key=0x2222, size=1)
        self.assertEqual((data["shmid"], data["serial"], data["key"]),
                         (other["shmid"], other["serial"], 0x2222))
        data = self.refused("SegmentExists", self.client, "create", name="c", key=0x2222, size=1)
        self.assertEqual(data["shmid"], other["shmid"])
        data = self.refused("KeyInUse", self.client, "create", name="a", key=0x3333, size=1)
        self.assertEqual(data["shmid"], foreign)
        data = self.refused("SegmentExists", self.client, "create", name="a", key=0x4444, size=1)
        self.assertEqual((data["shmid"], "key" in data), (named["shmid"], False))
        self.ctl("create", "a", "--key", "0x2222", "--size", "1", status=EXISTS)
        self.assertIn(f"the key 0x00002222 belongs to segment {other['shmid']}", self.message)

    @needs_several_uids
    def test_a_key_of_a_segment_that_may_not_be_read_tells_nothing(self):
        self.connect(self.daemon, BOB).create(name="b", key=0x2222, mode="0600")
        self.client.create(name="a")
        data = self.refused("SegmentExists", self.client, "create", name="a", key=0x2222, size=1)
        self.assertEqual(set(data) & {"serial", "shmid"}, set())

    @needs_several_uids
    def test_a_mode_that_shuts_the_owner_out(self):
        self.client.create(name="x", mode="0000")
        self.assertEqual([s["name"] for s in self.client.list()], ["x"])
        self.assertEqual(self.connect(self.daemon, BOB).list(), [])
        for method, params in (("stat", {}), ("wait", {}), ("hold", {}), ("create", {"size": 1})):
            with self.subTest(method=method):
                data = self.refused("PermissionDenied", self.client, method, name="x", **params)
                self.assertEqual(data["needs"], "read")
        self.ctl("stat", "x", status=PERMISSION_DENIED)
        self.assertIn("set another mode", self.message)
        self.ctl("stat", "x", user=BOB, status=PERMISSION_DENIED)
        self.assertNotIn("set another mode", self.message)
        self.client.call("set", name="x", mode="0600")
        self.client.stat(name="x")

    @needs_several_uids
    def test_a_mode_that_shuts_a_creator_out_who_does_not_own_it(self):
        """To the kernel he is one of the group, or of the others: the owner's bits do not help him."""
        for gid, who, mode in ((ALICE.gid, "its group", "0640"), (DAEMON.gid, "everybody", "0644")):
            for how in (["--uid", ALICE.uid], ["--mode", mode]):
                with self.subTest(who=who, how=how):
                    self.client.create(name="x", uid=DAEMON.uid)
                    with self.daemon.connect(ROOT) as root:
                        root.call("set", name="x", gid=gid)
                    self.ctl("stat", "x", user=ALICE, status=PERMISSION_DENIED)
                    self.assertIn("set your uid as its owner's, or a mode by which "
                                  f'{who} may read it ("{mode}")', self.message)
                    self.ctl("set", "x", *how, user=ALICE)
                    self.ctl("stat", "x", user=ALICE)
                    self.ctl("rm", "x", user=ALICE)

    def test_what_is_missing_of_a_limit(self):
        sysv.sysctl("shmall", 10)
        self.client.create(size=8 * sysv.PAGE)
        data = self.refused("LimitReached", self.client, "create", size=3 * sysv.PAGE)
        self.assertEqual((data["used"], data["max"], data["requested"], data["missing"]),
                         (8, 10, 3, 1))
        self.ctl("create", "--size", 3 * sysv.PAGE, status=LIMIT)
        self.assertIn(f"asked for: 3 pages ({3 * sysv.PAGE} bytes), missing: 1 pages "
                      f"({sysv.PAGE} bytes)", self.message)
        sysv.sysctl("shmmax", 8192)
        data = self.refused("LimitReached", self.client, "create", size=8193)
        self.assertEqual((data["max"], data["requested"], data["missing"]), (8192, 8193, 1))

    def test_gc_is_named_where_there_are_orphans(self):
        sysv.sysctl("shmmni", 2)
        self.client.create()
        self.client.create(name="x")
        self.ctl("create", "--size", "1", status=LIMIT)
        self.assertNotIn("shmdctl gc", self.message)
        self.client.call("remove", name="x")
        subprocess.run(["python3", "-c", f"import sys; sys.path.insert(0, {HERE!r}); import sysv; "
                                         "sysv.create(10, mode=0o666)"], check=True)
        self.ctl("create", "--size", "1", status=LIMIT)
        self.assertIn("the creators of 1 segments are dead and nobody has them attached: see "
                      "shmdctl gc", self.message)


HERE = os.path.dirname(os.path.abspath(__file__))

# --- a kernel without System V shared memory

_SHMGET, _SHMAT, _SHMCTL = 29, 30, 31  # on x86-64
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # classic BPF
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def forbid(calls, error):
    """From now on this process gets ERROR from these system calls."""
    code = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for i, number in enumerate(calls):
        code.append(struct.pack("HBBI", _EQUAL, len(calls) - i, 0, number))
    code.append(struct.pack("HBBI", _RETURN, 0, 0, _ALLOW))
    code.append(struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | error))
    text = ctypes.create_string_buffer(b"".join(code))
    program = _Program(len(code), ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
            _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


class NoSharedMemory(Programs, TestCase):
    CASES = ((errno.ENOSYS, "System V shared memory (CONFIG_SYSVIPC)"),
             (errno.EPERM, "seccomp filter or a security module"))

    def setUp(self):
        super().setUp()
        if os.uname().machine != "x86_64":
            self.skipTest("the numbers of the system calls are those of x86-64")

    def run_without(self, calls, error, name, *arguments):
        program, library = self.where_programs_are(name)
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=False,
            env={**os.environ, "LD_LIBRARY_PATH": library}, preexec_fn=lambda: forbid(calls, error))

    def test_the_daemon_says_so_and_does_not_start(self):
        for error, words in self.CASES:
            with self.subTest(error=error):
                result = self.run_without((_SHMGET, _SHMAT, _SHMCTL), error, "shmd", "--socket",
                                          os.path.join(self.directory, "s"), "--state-dir",
                                          self.directory)
                self.assertEqual(result.returncode, 1)
                self.assertIn(words, result.stderr)

    def test_doctor_says_so(self):
        for error, words in self.CASES:
            with self.subTest(error=error):
                result = self.run_without((_SHMGET, _SHMAT, _SHMCTL), error, "shmdctl", "doctor")
                self.assertEqual(result.returncode, 2)
                self.assertIn(words, result.stderr)

    def test_shmget_alone(self):
        for error, words in ((errno.ENOSYS, "does not have it"), (errno.EPERM, "forbids it")):
            with self.subTest(error=error):
                script = (f"import sys; sys.path.insert(0, {HERE!r}); import test_words, os; "
                          f"test_words.forbid(({_SHMGET},), {error}); os.execv(sys.argv[1], sys.argv[1:])")
                daemon = self.start_daemon(user=ROOT, shell=("python3", "-c", script))
                data = self.refused("NotSupported", self.connect(daemon, ALICE), "create", size=1)
                self.assertIn(words, data["what"])
                daemon.end()


if __name__ == "__main__":
    main()
