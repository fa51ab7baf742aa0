# SPDX-License-Identifier: MIT
"""shmdctl rm by filters, what it would do first, and of segments that the daemon does not manage."""

import contextlib
import json
import os
import pty

import sysv
from command import BUSY, NO_SUCH_SEGMENT, PERMISSION_DENIED, REFUSED, USAGE, Shmdctl
from harness import ALICE, BOB, DEADLINE, ROOT, SOMEBODY, as_user, main, needs_several_uids


class Removing(Shmdctl):
    def names(self):
        return sorted(s.get("name", "") for s in self.client.list())


class Filters(Removing):
    def setUp(self):
        super().setUp()
        self.client.create(name="a/1", labels={"x": "1"})
        self.client.create(name="a/2", labels={"x": "1", "y": "2"}, lifetime="process")
        self.client.create(name="b/1", labels={"y": "2"})

    def test_prefix(self):
        self.assertEqual(sorted(self.ctl("rm", "--prefix", "a/", "--yes").splitlines()),
                         ["a/1: removed", "a/2: removed"])
        self.assertEqual(self.names(), ["b/1"])

    def test_label(self):
        self.ctl("rm", "--label", "y=2", "--yes")
        self.assertEqual(self.names(), ["a/1"])

    def test_lifetime(self):
        self.ctl("rm", "--lifetime", "process", "-y")
        self.assertEqual(self.names(), ["a/1", "b/1"])

    @needs_several_uids
    def test_uid(self):
        self.connect(self.daemon, BOB).create(name="bobs", mode="0666")
        self.ctl("rm", "--uid", BOB.uid, "--yes", user=ROOT)
        self.assertEqual(self.names(), ["a/1", "a/2", "b/1"])

    def test_all_filters_count(self):
        self.ctl("rm", "--prefix", "a/", "--label", "y=2", "--yes")
        self.assertEqual(self.names(), ["a/1", "b/1"])

    def test_unnamed_ones_are_called_by_their_serial(self):
        serial = self.client.create(labels={"z": "1"})["serial"]
        self.assertEqual(self.ctl("rm", "--label", "z=1", "--yes"), f"--serial {serial}: removed\n")

    def test_none(self):
        self.assertEqual(self.ctl("rm", "--prefix", "c", "--yes", note="there is no such segment$"), "")

    @needs_several_uids
    def test_a_refusal_keeps_no_other(self):
        self.connect(self.daemon, BOB).create(name="a/0", mode="0666", labels={"x": "1"})
        out = self.ctl("rm", "--label", "x=1", "--yes", user=ALICE, status=PERMISSION_DENIED)
        self.assertEqual(sorted(out.splitlines()), ["a/1: removed", "a/2: removed"])
        self.assertRegex(self.message, "^shmdctl: a/0: ")

    def test_only_if_unattached(self):
        self.hold(SOMEBODY, self.client.stat(name="a/1")["shmid"])
        self.ctl("rm", "--prefix", "a/", "--yes", "--if-unattached", status=BUSY)
        self.assertEqual(self.names(), ["a/1", "b/1"])

    def test_json(self):
        out = self.ctl("rm", "--prefix", "a/", "--yes", "--json")
        self.assertEqual({json.loads(line)["segment"]["state"] for line in out.splitlines()}, {"removed"})

    def test_either_segments_or_filters(self):
        self.ctl("rm", "a/1", "--prefix", "b", "--yes", status=USAGE)
        self.ctl("rm", "--serial", "1", "--label", "x=1", "--yes", status=USAGE)
        self.assertEqual(self.names(), ["a/1", "a/2", "b/1"])


    def test_an_empty_prefix_is_not_everything(self):
        for answer in ("--yes", "--dry-run"):
            self.ctl("rm", "--prefix", "", answer, status=USAGE)
            self.assertIn("rm --scope managed", self.message)
        self.assertEqual(self.names(), ["a/1", "a/2", "b/1"])

    def test_attached_ones_are_called_by_what_the_command_has(self):
        self.hold(SOMEBODY, self.client.stat(name="a/1")["shmid"])
        self.ctl("rm", "a/1", "--if-unattached", status=BUSY)
        self.assertIn("leave out --if-unattached", self.message)
        self.assertNotIn("only_if", self.message)


class DryRun(Removing):
    def test_what_is_attached_would_stay(self):
        self.client.create(name="a/1")
        self.hold(SOMEBODY, self.client.stat(name="a/1")["shmid"])
        for target in (["a/1"], ["--prefix", "a/"]):
            self.assertEqual(self.ctl("rm", *target, "--if-unattached", "--dry-run", status=BUSY), "")
        self.assertIn("a/1: not removed", self.message)

    @needs_several_uids
    def test_a_strangers_would_stay(self):
        self.connect(self.daemon, BOB).create(name="a/0", mode="0666")
        self.connect(self.daemon, ALICE).create(name="a/1")
        mine = "a/1: would be removed"
        out = self.ctl("rm", "--prefix", "a/", "--dry-run", user=ALICE, status=PERMISSION_DENIED)
        self.assertRegex(out, rf"^{mine}[^\n]*\n$")
        self.assertRegex(self.message, "^shmdctl: a/0: not removed: it needs its owner, creator or an admin\n$")
        for more in ([], ["--json"]):
            out = self.ctl("rm", "a/0", "--dry-run", *more, user=ALICE, status=PERMISSION_DENIED)
            self.assertEqual(out, "")
        self.assertIn("a/0: would", self.ctl("rm", "a/0", "--dry-run", user=ROOT))
        self.assertIn("a/0: would", self.ctl("rm", "a/0", "--dry-run", user=BOB))
        self.assertEqual(self.connect(self.daemon, ROOT).list()[0]["name"], "a/0")

    def test_nothing_is_removed(self):
        self.client.create(name="a/1", size=65536)
        self.client.create(name="a/2")
        out = self.ctl("rm", "--prefix", "a/", "--dry-run")
        self.assertRegex(out, r"(?m)^a/1: would be removed: 64K of \S+, 0 attached$")
        self.assertEqual(self.ctl("rm", "a/2", "--dry-run"), "a/2: would be removed: 4K, 0 attached\n")
        out = self.ctl("rm", "--prefix", "a/", "--dry-run", "--json")
        self.assertEqual({json.loads(line)["segment"]["state"] for line in out.splitlines()}, {"ready"})
        self.ctl("rm", "none", "--dry-run", status=NO_SUCH_SEGMENT)
        self.assertEqual(self.names(), ["a/1", "a/2"])


class Admins(Removing):
    CONFIG = f"admin_group = {ALICE.gid}\n"

    @needs_several_uids
    def test_the_daemon_tells_who_is_one(self):
        self.connect(self.daemon, BOB).create(name="bobs", mode="0666")
        self.assertIn("bobs: would", self.ctl("rm", "bobs", "--dry-run", user=ALICE))
        self.ctl("rm", "bobs", user=ALICE)


class Asking(Removing):
    def setUp(self):
        super().setUp()
        self.client.create(name="a/1", size=1 << 20)
        self.client.create(name="a/2", size=1 << 19)

    def on_terminal(self, answer, *arguments):
        """The exit status, and what the terminal shows."""
        main_end, terminal = pty.openpty()
        self.addCleanup(os.close, main_end)
        process = self.start(*arguments, stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while b"[y/N]" not in shown:
                shown += os.read(main_end, 65536)
            os.write(main_end, answer)
            while data := os.read(main_end, 65536):
                shown += data
        return process.wait(DEADLINE), shown.decode()

    def test_yes(self):
        status, shown = self.on_terminal(b"y\n", "rm", "--prefix", "a/")
        self.assertEqual(status, 0)
        self.assertIn("a/1: would be removed: 1M", shown)
        self.assertIn("Remove 2 segments, 1.5M? [y/N]", shown)
        self.assertEqual(self.names(), [])

    @needs_several_uids
    def test_a_strangers_is_not_asked_about(self):
        self.connect(self.daemon, BOB).create(name="a/0", mode="0666")
        status, shown = self.on_terminal(b"y\n", "rm", "--prefix", "a/")
        self.assertEqual(status, PERMISSION_DENIED)
        self.assertIn("a/0: not removed", shown)
        self.assertIn("Remove 2 segments, 1.5M? [y/N]", shown)
        self.assertEqual(self.names(), ["a/0"])

    def test_anything_else(self):
        for answer in (b"n\n", b"\n", b"\x04", b"yet\n"):
            with self.subTest(answer=answer):
                status, shown = self.on_terminal(answer, "rm", "--prefix", "a/")
                self.assertEqual(status, REFUSED)
                self.assertIn("nothing was removed", shown)
                self.assertEqual(self.names(), ["a/1", "a/2"])

    def test_without_a_terminal(self):
        self.ctl("rm", "--prefix", "a/", status=USAGE)
        self.assertIn("--yes", self.message)
        self.assertEqual(self.names(), ["a/1", "a/2"])

    def test_one_that_came_in_between_stays(self):
        # What was shown is removed, by its serial: not what has the name now.
        main_end, terminal = pty.openpty()
        self.addCleanup(os.close, main_end)
        process = self.start("rm", "--prefix", "a/", stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(main_end, 65536)
        self.client.call("remove", name="a/1")
        self.client.create(name="a/1")
        os.write(main_end, b"y\n")
        self.assertEqual(process.wait(DEADLINE), 0)
        self.assertEqual(self.names(), ["a/1"])


class Foreign(Removing):
    def test_by_force(self):
        shmid = as_user(SOMEBODY, lambda: sysv.create(100, mode=0o600, key=0xF00))
        self.ctl("rm", "--shmid", shmid, status=NO_SUCH_SEGMENT)
        self.ctl("rm", "--shmid", shmid, "--dry-run", status=NO_SUCH_SEGMENT)
        self.assertIn("--force", self.message)
        self.assertIn("not the daemon's", self.ctl("rm", "--shmid", shmid, "--dry-run", "--force"))
        self.assertTrue(sysv.exists(shmid))
        self.assertEqual(self.ctl("rm", "--key", "0xf00", "--force"), "--key 0x00000f00: removed\n")
        self.assertFalse(sysv.exists(shmid))

    def test_without_force_it_is_named(self):
        shmid = as_user(SOMEBODY, lambda: sysv.create(100))
        self.ctl("rm", "--shmid", shmid, status=NO_SUCH_SEGMENT)
        self.assertIn(f"; shmdctl rm --force --shmid {shmid} removes it ", self.message)
        keyed = as_user(SOMEBODY, lambda: sysv.create(100, key=0xF00))
        self.ctl("rm", "--key", "0xf00", status=NO_SUCH_SEGMENT)
        self.assertIn("; shmdctl rm --force --key 0x00000f00 removes it ", self.message)
        self.ctl("set", "--shmid", keyed, "--locked", status=NO_SUCH_SEGMENT)
        self.assertIn(f"; as its creator or root: shmdctl adopt --shmid {keyed} ", self.message)

    def test_all_is_said_and_looked_at(self):
        shmid = as_user(SOMEBODY, lambda: sysv.create(100))
        self.client.create(name="managed")
        for scope in (["--all"], ["--foreign"], ["--scope", "all"]):
            self.ctl("rm", *scope, "--yes", status=USAGE)
            self.assertRegex(self.message, r"rm --uid \S+, your own, or rm --scope managed.*--dry-run.*--force")
        out = self.ctl("rm", "--all", "--dry-run")
        self.assertIn("managed: would be removed: ", out)
        self.assertIn(f"--shmid {shmid}: would be removed with --force: ", out)
        self.assertEqual(len(self.ctl("rm", "--all", "--dry-run", "--json").splitlines()), 2)
        self.assertTrue(sysv.exists(shmid))
        self.assertEqual(self.names(), ["managed"])

    @needs_several_uids
    def test_a_strangers_would_stay(self):
        shmid = as_user(BOB, lambda: sysv.create(100, mode=0o666))
        for which in (["--shmid", shmid], ["--foreign"]):
            out = self.ctl("rm", *which, "--force", "--dry-run", user=ALICE, status=PERMISSION_DENIED)
            self.assertEqual(out, "")
            self.assertIn(f"--shmid {shmid}: not removed: it needs its owner, creator or root", self.message)
        self.assertIn("would be removed", self.ctl("rm", "--foreign", "--force", "--dry-run", user=ROOT))

    def test_json(self):
        shmid = as_user(SOMEBODY, lambda: sysv.create(100))
        holder = self.hold(SOMEBODY, shmid)
        self.ctl("rm", "--shmid", shmid, "--force", "--if-unattached", status=BUSY)
        result = json.loads(self.ctl("rm", "--shmid", shmid, "--force", "--json"))
        self.assertEqual(result["segment"], {"shmid": shmid, "managed": False, "state": "removing"})
        holder.kill()

    @needs_several_uids
    def test_only_by_who_may(self):
        shmid = as_user(BOB, lambda: sysv.create(100, mode=0o666))
        self.ctl("rm", "--shmid", shmid, "--force", user=ALICE, status=PERMISSION_DENIED)
        self.assertIn("only its owner", self.message)
        self.assertTrue(sysv.exists(shmid))
        self.ctl("rm", "--shmid", shmid, "--force", user=ROOT)
        self.assertFalse(sysv.exists(shmid))

    @needs_several_uids
    def test_by_filters(self):
        mine = as_user(ALICE, lambda: sysv.create(100))
        his = as_user(BOB, lambda: sysv.create(100))
        self.connect(self.daemon, ALICE).create(name="managed")
        self.ctl("rm", "--uid", ALICE.uid, "--foreign", "--yes", status=USAGE)
        self.assertIn("--force", self.message)
        self.assertEqual(self.ctl("rm", "--uid", ALICE.uid, "--foreign", "--yes", "--force", user=ROOT),
                         f"--shmid {mine}: removed\n")
        self.assertTrue(sysv.exists(his))
        self.assertEqual(self.names(), ["managed"])


if __name__ == "__main__":
    main()
