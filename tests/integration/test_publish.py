# SPDX-License-Identifier: MIT
"""shmdctl create --from and --replace, --idle-ttl, and disown."""

import json
import os
import subprocess

import sysv
from command import PERMISSION_DENIED, REFUSED, USAGE, Shmdctl
from harness import BOB, DEADLINE, SOMEBODY, main, needs_several_uids, wait_until


class From(Shmdctl):
    def file(self, content, name="data"):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o644)
        return path

    def content(self, name, length):
        return sysv.read(self.client.stat(name=name)["shmid"], length)

    def create(self, name, path, *options, **more):
        return self.ctl("create", name, "--from", path, *options, **more)

    def test_the_file_s_size(self):
        data = bytes(i % 251 for i in range(3 << 20))
        out = self.create("model", self.file(data), "-o", "STATE,SIZE", "-nb")
        self.assertEqual(out.split(), ["ready", str(len(data))])
        self.assertEqual(self.content("model", len(data)), data)

    def test_a_size(self):
        self.create("model", self.file(b"abc"), "--size", "5")
        self.assertEqual(self.content("model", 5), b"abc\0\0")
        self.create("exact", self.file(b"abc"), "--size", "3")
        self.create("short", self.file(b"abcd"), "--size", "3", status=REFUSED)
        self.assertIn("longer than the segment's 3 bytes: nothing was created", self.message)
        self.assertTrue(self.is_gone("short"))

    def test_standard_input(self):
        self.create("model", "-", "--size", "5", data=b"abc")
        self.assertEqual(self.content("model", 5), b"abc\0\0")
        self.create("other", "-", data=b"abc", status=USAGE)
        self.assertIn("--size is missing: standard input", self.message)

    def test_what_cannot_be_read(self):
        self.create("model", "/nonexistent", status=REFUSED)
        self.assertIn("/nonexistent: No such file", self.message)
        for size in ([], ["--size", "10"]):
            self.create("model", self.directory, *size, status=REFUSED)
            self.assertEqual(self.message, f"shmdctl: cannot read {self.directory}: it is a directory, and --from "
                             "takes a regular file\n")
        self.create("model", self.file(b""), status=REFUSED)
        self.assertIn("is empty", self.message)
        self.assertEqual(self.client.list(), [])

    def test_an_input_that_fails_on_the_way(self):
        memory = os.open("/proc/self/mem", os.O_RDONLY)  # nothing is mapped at its beginning
        self.addCleanup(os.close, memory)
        self.create("model", "-", "--size", "10", stdin=memory, status=REFUSED)
        self.assertEqual(self.message, "shmdctl: cannot read standard input: Input/output error; nothing was created\n")
        self.assertEqual(self.client.list(), [])

    def test_a_mode_that_keeps_the_filler_out(self):
        self.create("model", self.file(b"abc"), "--mode", "440")
        self.assertEqual(self.client.stat(name="model")["mode"], "0440")
        self.assertEqual(self.content("model", 3), b"abc")

    def test_as_json(self):
        result = json.loads(self.create("model", self.file(b"abc"), "--json"))
        self.assertEqual(result["created"], True)
        self.assertEqual(result["segment"]["state"], "ready")
        self.assertEqual(json.loads(self.create("model", self.file(b"abc"), "-j"))["created"], False)

    def test_an_existing_one_is_not_filled(self):
        self.client.create(name="model")
        self.create("model", self.file(b"abc"),
                    note="model exists already and is left as it is and not filled; --replace")
        self.assertEqual(self.content("model", 3), bytes(3))

    def test_nobody_finds_it_before_it_is_filled(self):
        waiter = self.start("wait", "model", "-n", "-o", "SHMID")
        filler = self.start("create", "model", "--from", "-", "--size", "6", stdin=subprocess.PIPE)
        wait_until(lambda: not self.is_gone("model"), "it is created")
        self.assertEqual(self.client.stat(name="model")["state"], "initialising")
        self.assertIsNone(waiter.poll())
        filler.communicate(b"filled", timeout=DEADLINE)
        out, _ = waiter.communicate(timeout=DEADLINE)
        self.assertEqual(sysv.read(int(out), 6), b"filled")

    def test_it_goes_when_its_filler_is_killed(self):
        filler = self.start("create", "model", "--from", "-", "--size", "6", stdin=subprocess.PIPE)
        wait_until(lambda: not self.is_gone("model"), "it is created")
        filler.kill()
        self.wait_until_gone("model")

    def test_a_new_version_at_one_instant(self):
        self.create("model", self.file(b"old"))
        old = self.client.stat(name="model")
        filler = self.start("create", "model", "--from", "-", "--size", "3", "--replace",
                            stdin=subprocess.PIPE)
        wait_until(lambda: len(self.client.list()) == 2, "the new one is there")
        self.assertEqual(self.content("model", 3), b"old")
        filler.communicate(b"new", timeout=DEADLINE)
        self.assertEqual(filler.returncode, 0)
        self.assertEqual(self.content("model", 3), b"new")
        self.assertFalse(sysv.exists(old["shmid"]))
        self.assertEqual(len(self.client.list()), 1)

    def test_a_new_version_that_fails_changes_nothing(self):
        self.create("model", self.file(b"old"))
        self.create("model", self.file(b"newer"), "--size", "3", "--replace", status=REFUSED)
        self.assertEqual(self.content("model", 3), b"old")
        self.assertEqual(len(self.client.list()), 1)

    def test_a_lifetime_that_cannot_be(self):
        self.create("model", self.file(b"abc"), "--lifetime", "attached", status=USAGE)
        self.assertIn("choose another lifetime", self.message)
        self.create("model", self.file(b"abc"), "--not-ready", status=USAGE)


class Replace(Shmdctl):
    def test_it_takes_the_name(self):
        old = self.client.create(name="frames", size=10)
        out = self.ctl("create", "frames", "--size", "20", "--replace", "-nb", "-o", "SIZE")
        self.assertEqual(out.split(), ["20"])
        self.assertNotEqual(self.client.stat(name="frames")["serial"], old["serial"])
        self.assertFalse(sysv.exists(old["shmid"]))

    def test_there_need_not_be_one(self):
        self.ctl("create", "frames", "--size", "20", "--replace")

    def test_contradictions(self):
        for option in (["--exclusive"], ["--key", "1"]):
            self.ctl("create", "frames", "--size", "1", "--replace", *option, status=USAGE)

    @needs_several_uids
    def test_a_strangers_stays(self):
        self.client.create(name="frames", mode="0666")
        self.ctl("create", "frames", "--size", "1", "--replace", "--any-owner", user=BOB,
                 status=PERMISSION_DENIED)
        self.assertEqual(self.client.stat(name="frames")["uid"], SOMEBODY.uid)


class IdleTtl(Shmdctl):
    def test_it_goes(self):
        self.ctl("create", "x", "--size", "1", "--idle-ttl", "20ms")
        self.wait_until_gone("x")
        self.client.create(name="x")
        self.ctl("set", "x", "--idle-ttl", "20ms")
        self.wait_until_gone("x")

    def test_it_is_taken_off(self):
        self.ctl("create", "x", "--size", "1", "--idle-ttl", "1d")
        segment = json.loads(self.ctl("set", "x", "--idle-ttl", "0", "--json"))["segment"]
        self.assertNotIn("expires_at_ms", segment)


class Disown(Shmdctl):
    def test_it_stays(self):
        shmid = self.client.create(name="x", key=0xBEEF)["shmid"]
        out = self.ctl("disown", "x", "-n", "-o", "SHMID,MANAGED")
        self.assertEqual(out.split(), [str(shmid), "no"])
        self.assertTrue(self.is_gone("x"))
        self.assertTrue(sysv.exists(shmid))

    def test_an_attached_one_cannot_be(self):
        self.client.create(name="x", lifetime="attached")
        self.ctl("disown", "x", status=REFUSED)


if __name__ == "__main__":
    main()
