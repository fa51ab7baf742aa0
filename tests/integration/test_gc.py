# SPDX-License-Identifier: MIT
"""shmdctl gc: which segments it takes for leaked, left, undecided, lost or forgotten, and that it
removes nothing else, whatever happens between its looking and its acting."""

import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    DEADLINE,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    TestCase,
    as_user,
    enter_private_network,
    main,
    needs_several_uids,
    needs_to_be_alone,
    wait_until,
)
from peers import kill
from programs import Programs

REFUSED, USAGE, UNREACHABLE, NO_SUCH_SEGMENT, PERMISSION_DENIED = 1, 2, 3, 4, 5
NOWHERE = "/nonexistent/shmd.sock"
CLASSES = ("leaked", "left", "undecided", "lost", "guarded")

enter_private_network()


@needs_to_be_alone
class GcCase(Programs, TestCase):
    path = NOWHERE

    def leak(self, user=SOMEBODY, size=4096, key=0, mode=0o600):
        """A segment whose creator has died, and that nobody else has used."""
        return as_user(user, lambda: sysv.create(size, key=key, mode=mode))

    def leave(self, user=SOMEBODY, **more):
        """The same, but another process has used it."""
        shmid = self.leak(user, **more)
        as_user(user, lambda: sysv.read(shmid, 1))
        return shmid

    def gc(self, *arguments, status=0, user=ROOT, environment=None, any_age=True):
        """Its output. ANY_AGE: segments count however young they are."""
        environment = {"SHMD_SOCKET": self.path, **(environment or {})}
        one = any(str(word).startswith(("--shmid", "--key")) for word in arguments)
        if any_age and not one and "--older-than" not in arguments:
            arguments = (*arguments, "--older-than", "0")
        got, out, err = self.run_program("shmdctl", "gc", *arguments, user=user,
                                         environment=environment)
        self.message = err.decode()
        self.assertEqual(got, status, f"{arguments}: {self.message}{out!r}")
        if status == 0:
            self.assertEqual(self.message, "")
        else:
            self.assertRegex(self.message, r"^shmdctl: .{10,}\n")
        return out.decode()

    def result(self, *arguments, **more):
        return json.loads(self.gc("--json", *arguments, **more))

    def classes(self, *arguments, **more):
        """shmid -> class."""
        segments = self.result(*arguments, **more)["segments"]
        return {segment["shmid"]: segment["class"] for segment in segments}

    def results(self, *arguments, **more):
        """shmid -> what became of it."""
        segments = self.result(*arguments, **more)["segments"]
        return {segment["shmid"]: segment["result"] for segment in segments}


class Listing(GcCase):
    """Without a daemon."""

    def test_nothing(self):
        self.assertRegex(self.gc(), r"^No segment is leaked, left, undecided or lost\.\n")
        self.assertEqual(self.classes(), {})

    def test_a_leaked_segment(self):
        shmid = self.leak(size=3 << 20, key=0xBEEF)
        before = sysv.proc_table()
        lines = self.gc().splitlines()
        self.assertEqual(lines[0], "Leaked:")
        self.assertEqual(lines[1].split(), "SHMID KEY SIZE OWNER CPID IDLE WHY".split())
        row = lines[2].split(maxsplit=6)
        cpid = before[shmid]["cpid"]
        self.assertEqual([row[i] for i in (0, 1, 2, 4)], [str(shmid), "0x0000beef", "3M", cpid])
        self.assertRegex(row[5], r"^\d+s$")
        self.assertEqual(row[6], "creator dead, and nobody used it after its creator")
        self.assertIn("1 leaked, 3M: gc --remove removes them.", lines)
        self.assertIn("Nothing was removed.", lines)
        self.assertIn(NOWHERE, lines[-1])
        self.assertEqual(sysv.proc_table(), before)

    def test_as_json(self):
        shmid = self.leak(key=0xFFFFFFFF, mode=0o640)
        row = sysv.proc_table()[shmid]
        result = self.result()
        self.assertEqual(result["daemon_asked"], False)
        self.assertEqual(result["leaked"], {"segments": 1, "bytes": 4096})
        for name in (*CLASSES[1:], "removed"):
            self.assertEqual(result[name], {"segments": 0, "bytes": 0})
        self.assertEqual((result["forgotten"], result["younger"]), ([], 0))
        (segment,) = result["segments"]
        owner = {"uid": SOMEBODY.uid, "gid": SOMEBODY.gid}
        self.assertEqual(
            segment,
            {
                **{"shmid": shmid, "key": 0xFFFFFFFF, "size": 4096, "mode": "0640", **owner},
                "creator": {**owner, "pid": int(row["cpid"])},
                "last_pid": 0,
                "nattch": 0,
                "idle_since_at_ms": int(row["ctime"]) * 1000,
                "class": "leaked",
                "result": "kept",
                "reason": "creator dead, and nobody used it after its creator",
            },
        )

    def test_what_only_its_creator_has_used_is_leaked(self):
        def create_and_use():
            shmid = sysv.create(4096)
            sysv.write(shmid, b"x")
            return shmid

        self.assertEqual(self.classes(), {})
        shmid = as_user(SOMEBODY, create_and_use)
        self.assertEqual(self.classes(), {shmid: "leaked"})

    def test_what_others_have_used_is_left(self):
        leaked, left = self.leak(), self.leave()
        self.assertEqual(self.classes(), {leaked: "leaked", left: "left"})
        out = self.gc()
        self.assertLess(out.index("Leaked:"), out.index("Left:"))
        self.assertIn("1 left, 4K: kept, unless --remove comes with --left.", out)

    def test_what_is_none(self):
        sysv.create(4096)  # this process lives
        shmid = self.leak()
        holder = self.hold(SOMEBODY, shmid)
        self.assertEqual(self.classes(), {})
        holder.kill()
        self.assertEqual(self.classes(), {shmid: "left"})

    def test_a_creator_that_is_a_zombie_is_dead(self):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, str(sysv.create(4096)).encode())
            os._exit(0)
        self.addCleanup(os.waitpid, pid, 0)
        shmid = int(os.read(read, 32))
        os.close(read)
        os.close(write)
        wait_until(lambda: self.classes() == {shmid: "leaked"}, "it is a zombie")
        os.kill(pid, 0)  # it is still there

    def in_a_pid_namespace(self, *arguments):
        """What gc says there."""
        program, library = self.where_programs_are("shmdctl")
        result = subprocess.run(
            ["unshare", "--pid", "--fork", program, "gc", "--json", "--older-than", "0", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SHMD_SOCKET": self.path, "LD_LIBRARY_PATH": library},
        )
        if result.stderr.startswith("unshare"):
            self.skipTest(f"no private pid namespace: {result.stderr}")
        (segment,) = json.loads(result.stdout)["segments"]
        return segment

    def test_a_creator_of_another_pid_namespace(self):
        # This process lives, and cannot be seen from within a pid namespace below its own.
        shmid = sysv.create(4096)
        segment = self.in_a_pid_namespace("--remove", "--left", "--lost")
        self.assertEqual((segment["shmid"], segment["class"], segment["result"]),
                         (shmid, "undecided", "kept"))
        self.assertEqual(segment["creator"]["pid"], 0)
        self.assertTrue(sysv.exists(shmid))
        self.assertEqual(self.in_a_pid_namespace("--remove", "--undecided")["result"], "removed")
        self.assertFalse(sysv.exists(shmid))

    @needs_several_uids
    def test_only_root_removes_what_is_undecided(self):
        self.gc("--remove", "--undecided", user=BOB, status=PERMISSION_DENIED)
        self.assertIn("--undecided is for root", self.message)

    def test_what_is_young(self):
        leaked, left = self.leak(), self.leave()
        for arguments in ([], ["--older-than", "1d"]):
            with self.subTest(arguments=arguments):
                result = self.result(*arguments, any_age=False)
                self.assertEqual((result["segments"], result["younger"]), ([], 2))
                self.assertIn("2 more are too young: --older-than 0 includes them.",
                              self.gc(*arguments, any_age=False))
        self.assertEqual(self.results("--remove", "--left", any_age=False), {})
        wait_until(lambda: len(self.classes("--older-than", "1s")) == 2, "they are old")
        self.assertEqual(set(sysv.proc_table()), {leaked, left})

    def test_what_is_old(self):
        leaked, left = self.leak(), self.leave()
        later = {"environment": self.later(), "any_age": False}
        self.assertEqual(self.classes(**later), {leaked: "leaked", left: "left"})
        self.assertEqual(self.classes("--older-than", "59m", **later), {leaked: "leaked", left: "left"})
        self.assertEqual(self.classes("--older-than", "62m", **later), {})
        self.assertEqual(self.results("--remove", **later), {leaked: "removed", left: "kept"})

    def test_filters(self):
        shmid = self.leak()
        self.assertEqual(self.classes("--uid", SOMEBODY.uid), {shmid: "leaked"})
        self.assertEqual(self.classes("--uid", SOMEBODY.uid + 1), {})

    def test_use_makes_young(self):
        shmid = self.leak()
        wait_until(lambda: self.classes("--older-than", "1s"), "it is old")
        before = sysv.proc_table()[shmid]["ctime"]
        as_user(SOMEBODY, lambda: sysv.read(shmid, 1))
        row = sysv.proc_table()[shmid]
        self.assertGreater(int(row["dtime"]), int(before))
        (segment,) = self.result()["segments"]
        self.assertEqual(segment["idle_since_at_ms"], int(row["dtime"]) * 1000)

    def test_wrong_options(self):
        for arguments in (
            ["--older-than", "5"],
            ["--uid", "no such user"],
            ["x"],
            ["--key", "0"],
            ["--shmid=1", "--key=2"],
            ["--shmid=1", "--older-than=0"],
            ["--key=1", "--left"],
            ["--shmid=1", "--lost"],
        ):
            with self.subTest(arguments=arguments):
                got, out, _ = self.run_program("shmdctl", "gc", *arguments)
                self.assertEqual((got, out), (USAGE, b""))


class Removing(GcCase):
    def test_what_is_leaked(self):
        leaked = {self.leak(size=size) for size in (1 << 20, 2 << 20)}
        mine = sysv.create(4096)
        attached, left = self.leak(), self.leave()
        self.hold(SOMEBODY, attached)
        out = self.gc("--remove")
        self.assertIn("2 removed, 3M; 1 kept.\n", out)
        for shmid in leaked:
            self.assertRegex(out, rf"(?m)^ *{shmid} .* removed$")
        self.assertEqual(set(sysv.proc_table()), {mine, attached, left})
        self.assertRegex(self.gc("--remove"), "0 removed, 0B; 1 kept.")

    def test_what_is_left_only_when_told(self):
        leaked, left = self.leak(), self.leave()
        self.assertEqual(self.results("--remove", "--lost"), {leaked: "removed", left: "kept"})
        self.assertEqual(self.results("--remove", "--left"), {left: "removed"})
        self.assertEqual(sysv.proc_table(), {})

    def test_listing_removes_nothing(self):
        self.leak(), self.leave()
        for arguments in ([], ["--left"], ["--lost"], ["--undecided"]):
            self.gc(*arguments)
        self.assertEqual(len(sysv.proc_table()), 2)

    def test_as_json(self):
        shmid = self.leak()
        result = self.result("--remove")
        self.assertEqual(result["removed"], {"segments": 1, "bytes": 4096})
        self.assertEqual(result["leaked"], {"segments": 0, "bytes": 0})
        (segment,) = result["segments"]
        self.assertEqual((segment["class"], segment["result"]), ("leaked", "removed"))
        self.assertFalse(sysv.exists(shmid))

    @needs_several_uids
    def test_with_the_callers_rights(self):
        hers, his = self.leak(ALICE), self.leak(BOB)
        self.assertEqual(self.classes(user=BOB), {hers: "leaked", his: "leaked"})
        self.assertIn("2 leaked, 8K: gc --remove removes 1 of them; the owners of the others and root can remove "
                      "those.", self.gc(user=BOB))
        self.assertIn("2 leaked, 8K: gc --remove removes them.", self.gc())
        got = self.results("--remove", user=BOB, status=PERMISSION_DENIED)
        self.assertEqual(got, {hers: "not-permitted", his: "removed"})
        self.assertIn("1 leaked, 4K: not yours; their owners and root can remove them.", self.gc(user=BOB))
        self.assertIn("only its owner", self.gc("--remove", user=BOB, status=PERMISSION_DENIED))
        self.assertEqual(self.results("--remove", "--uid", BOB.uid, user=BOB), {})
        self.assertEqual(set(sysv.proc_table()), {hers})
        self.leave()
        out = self.gc("--remove", "--left", user=BOB, status=PERMISSION_DENIED)
        self.assertIn("1 left, 4K: kept for the reason above.", out)

    def test_many(self):
        def create():
            return [sysv.create(1) for _ in range(1500)]

        want = set(as_user(SOMEBODY, create))
        self.path = self.start_daemon().socket_path
        if SEVERAL_UIDS:
            self.assertEqual(self.results("--remove"), {shmid: "removed" for shmid in want})
            self.assertEqual(sysv.proc_table(), {})
        else:
            self.assertEqual(self.classes(), {shmid: "lost" for shmid in want})


class OneByDecision(GcCase):
    """A segment that is named can go in any state."""

    def one(self, shmid, *arguments, **more):
        (segment,) = self.result("--shmid", shmid, *arguments, **more)["segments"]
        return segment["class"], segment["result"]

    def test_each_state(self):
        attached = self.leak()
        self.hold(SOMEBODY, attached)
        for shmid, state in (
            (self.leak(), "leaked"),
            (self.leave(), "left"),
            (sysv.create(4096), "creator-lives"),
        ):
            with self.subTest(state=state):
                self.assertEqual(self.one(shmid), (state, "kept"))
                self.assertTrue(sysv.exists(shmid))
                self.assertEqual(self.one(shmid, "--remove"), (state, "removed"))
                self.assertFalse(sysv.exists(shmid))
        self.assertEqual(self.one(attached, "--remove"), ("attached", "removing"))
        self.assertTrue(sysv.stat(attached).mode & sysv.SHM_DEST)

    def test_by_key(self):
        shmid, other = sysv.create(4096, key=0xBEEF), sysv.create(4096)
        out = self.gc("--key", "0xbeef")
        self.assertRegex(out, rf"(?m)^ *{shmid} +0x0000beef ")
        self.assertIn("Nothing was removed; with --remove it is, though its creator may need it.", out)
        self.assertIn("1 removed, 4K; 0 kept.", self.gc("--key", "0xbeef", "--remove"))
        self.assertEqual(set(sysv.proc_table()), {other})

    def test_none_of_that_name(self):
        self.gc("--shmid", "4711", status=NO_SUCH_SEGMENT)
        self.assertIn("no segment with the id 4711", self.message)
        self.gc("--key", "0x10", "--remove", status=NO_SUCH_SEGMENT)
        self.assertIn("no segment with the key 0x00000010", self.message)

    @needs_several_uids
    def test_only_by_who_may(self):
        hers = self.leak(ALICE)
        self.assertEqual(self.one(hers, "--remove", user=BOB, status=PERMISSION_DENIED),
                         ("leaked", "not-permitted"))
        self.assertEqual(self.one(hers, "--remove", user=ALICE), ("leaked", "removed"))

    @needs_several_uids
    def test_one_that_the_daemon_manages_is_removed_by_the_daemon(self):
        daemon = self.start_daemon()
        self.path = daemon.socket_path
        with daemon.connect(ALICE) as client:
            shmid = client.create(name="kept", mode="0600")["shmid"]
            self.assertEqual(self.one(shmid), ("managed", "kept"))
            self.assertIn("\nNothing was removed; with --remove the daemon is asked to remove it, also while "
                          "processes hold it.\n", self.gc("--shmid", shmid, user=ALICE))
            self.assertIn("\nNothing was removed; the daemon removes it only for its owner, its creator and "
                          "admins.\n", self.gc("--shmid", shmid, user=BOB))
            self.gc("--shmid", shmid, "--remove", user=BOB, status=PERMISSION_DENIED)
            self.assertTrue(sysv.exists(shmid))
            self.assertEqual(self.one(shmid, "--remove", user=ALICE), ("managed", "removed"))
            self.assertEqual(client.list(), [])
            client.call("subscribe", after=0)
            events = [client.reply()["params"] for _ in range(2)]
            self.assertEqual([event["kind"] for event in events], ["created", "removed"])
            self.assertEqual(events[1]["reason"], "request")


    def test_what_is_said_of_one_that_the_daemon_manages(self):
        daemon = self.start_daemon()
        self.path = daemon.socket_path
        with daemon.connect(ROOT) as client:
            shmid = client.create(name="kept")["shmid"]
        self.assertIn("\nNothing was removed; with --remove the daemon is asked to remove it, also while "
                      "processes hold it.\n", self.gc("--shmid", shmid))
        self.assertIn("1 removed, 4K; 0 kept.", self.gc("--shmid", shmid, "--remove"))

    def test_one_that_is_held(self):
        daemon = self.start_daemon()
        self.path = daemon.socket_path
        with daemon.connect(ROOT) as client:
            shmid = client.create(name="kept", lifetime="process")["shmid"]
            self.assertEqual(self.one(shmid, "--remove"), ("managed", "removed"))
            self.assertFalse(sysv.exists(shmid))


class WithDaemon(GcCase):
    """What a daemon manages looks like an orphan once the daemon was restarted: its creator, the
    daemon of before, is dead."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.path = self.daemon.socket_path
        with self.daemon.connect() as client:
            self.managed = client.create(name="kept", mode="0600")["shmid"]
        self.foreign = self.leak()

    def restart(self):
        self.daemon = self.start_daemon(directory=self.daemon.directory)

    @needs_several_uids
    def test_what_it_manages(self):
        self.daemon.stop()
        self.restart()
        self.assertFalse(os.path.exists(f"/proc/{sysv.proc_table()[self.managed]['cpid']}"))
        self.assertEqual(self.result()["daemon_asked"], True)
        everything = ("--remove", "--left", "--lost", "--undecided")
        self.assertEqual(self.results(*everything), {self.foreign: "removed"})
        self.assertTrue(sysv.exists(self.managed))

    @needs_several_uids
    def test_what_the_caller_may_not_see(self):
        # The daemon does not show it to him, and yet it is not foreign.
        self.daemon.stop()
        self.restart()
        self.assertEqual(self.classes(user=BOB), {self.foreign: "leaked"})

    def test_what_was_adopted(self):
        def adopt():
            sysv.set_owner(self.foreign, os.stat(self.daemon.directory).st_uid, 0, 0o600)

        as_user(SOMEBODY, adopt)
        with self.daemon.connect() as client:
            client.call("adopt", shmid=self.foreign)
        self.assertEqual(self.results("--remove"), {})
        self.daemon.stop()
        if SEVERAL_UIDS:
            want = {self.foreign: "guarded", self.managed: "guarded"}
            self.assertEqual(self.classes("--remove", "--left", "--lost"), want)
        self.assertTrue(sysv.exists(self.foreign))

    @needs_several_uids
    def test_a_daemon_that_was_stopped(self):
        self.daemon.stop()
        want = {self.foreign: "leaked", self.managed: "guarded"}
        self.assertEqual(self.classes(), want)
        out = self.gc("--remove", "--left", "--lost")
        self.assertIn(f"may be another daemon's, which does not run: that of {self.path}", out)
        # What it says can be typed.
        advice = f"if it is gone for good: shmdctl gc --remove --shmid {self.managed}"
        self.assertIn(f"once it runs, it knows; {advice}", out)
        self.assertIn("1 guarded, 4K: kept for the reason above.", out)
        self.assertIn("1 removed, 4K; 1 kept.", out)
        self.assertIn(f"The daemon at {self.path} was not asked", out)
        self.assertEqual(set(sysv.proc_table()), {self.managed})
        self.gc("--remove", "--shmid", self.managed)
        self.assertEqual(sysv.proc_table(), {})

    @needs_several_uids
    def test_a_daemon_that_was_killed(self):
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        self.assertEqual(self.classes("--remove")[self.managed], "guarded")
        self.restart()
        with self.daemon.connect() as client:
            self.assertEqual(client.stat(name="kept")["shmid"], self.managed)

    def lose_the_state(self):
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        for path in glob.glob(os.path.join(self.daemon.directory, "state*")):
            os.remove(path)
        self.restart()

    @needs_several_uids
    def test_a_daemon_that_has_lost_its_records(self):
        self.lose_the_state()
        want = {self.foreign: "leaked", self.managed: "lost"}
        self.assertEqual(self.classes(), want)
        out = self.gc("--remove", "--left")
        self.assertIn("may be the daemon's, from before its records began", out)
        self.assertIn("1 removed, 4K; 1 kept.", out)
        self.assertIn("1 lost, 4K: kept, unless --remove comes with --lost", out)
        self.assertEqual(set(sysv.proc_table()), {self.managed})
        self.assertEqual(self.results("--remove", "--lost"), {self.managed: "removed"})

    @needs_several_uids
    def test_what_was_disowned_is_not_leaked(self):
        """For the kernel its creator is the daemon, so a restart of that says nothing."""
        with self.daemon.connect() as client:
            since = client.call("info")["records_since_at_ms"] // 1000

            def make_a_younger_one():
                shmid = client.create()["shmid"]
                return int(sysv.proc_table()[shmid]["ctime"]) > since and shmid

            shmid = wait_until(make_a_younger_one, "one is younger than the records")
            client.call("disown", shmid=shmid)
        self.daemon.stop()
        self.restart()
        self.assertEqual(self.classes("--remove", "--left")[shmid], "lost")
        self.assertTrue(sysv.exists(shmid))

    @needs_several_uids
    def test_the_lost_segments_of_a_users_own_daemon(self):
        # The daemon and its only user are one uid.
        own = self.start_daemon(user=ALICE, directory=self.daemon_directory("own", ALICE))
        with own.connect(ALICE) as client:
            shmid = client.create(name="mine")["shmid"]
        own.signal(signal.SIGKILL)
        own.wait()
        for path in glob.glob(os.path.join(own.directory, "state*")):
            os.remove(path)
        self.path = self.start_daemon(user=ALICE, directory=own.directory).socket_path
        self.assertEqual(self.classes(user=ALICE)[shmid], "lost")
        self.gc("--remove", "--left", user=ALICE)
        self.assertTrue(sysv.exists(shmid))
        self.assertEqual(self.results("--remove", "--lost", user=ALICE)[shmid], "removed")

    @needs_several_uids
    def test_what_was_lost_is_adopted(self):
        for user in (SOMEBODY, ROOT):
            with self.subTest(user=user):
                self.lose_the_state()
                status, _, err = self.run_program("shmdctl", "adopt", "--shmid", self.managed, "kept",
                                                  user=user, environment={"SHMD_SOCKET": self.path})
                self.assertEqual((status, err), (0, b""))
                self.assertEqual(self.classes(), {self.foreign: "leaked"})
                # It is whose it was.
                self.assertEqual(sysv.stat(self.managed).uid, SOMEBODY.uid)
                with self.daemon.connect() as client:
                    segment = client.stat(name="kept")
                self.assertEqual((segment["uid"], segment["creator"]["uid"]),
                                 (SOMEBODY.uid, SOMEBODY.uid))

    @needs_several_uids
    def test_a_daemon_that_may_not_be_asked(self):
        os.chmod(self.path, 0o600)
        self.assertEqual(self.result(user=BOB)["daemon_asked"], False)
        self.assertEqual(self.classes(user=BOB), {self.foreign: "leaked"})  # it lives, after all
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        self.assertEqual(self.classes(user=BOB)[self.managed], "guarded")

    def test_a_daemon_in_another_ipc_namespace(self):
        self.check_another_ipc_namespace()

    @needs_several_uids
    def test_a_daemon_of_the_same_user_in_another_ipc_namespace(self):
        # As in a container that has the host's socket mounted.
        directory = self.daemon_directory("roots", ROOT)
        self.path = self.start_daemon(user=ROOT, directory=directory).socket_path
        self.check_another_ipc_namespace()

    def check_another_ipc_namespace(self):
        # What it says is about other segments, even if they have the same ids. And the segments of
        # its socket's owner are none that it could have made.
        program, library = self.where_programs_are("shmdctl")
        create = 'python3 -c "import sysv; sysv.create(4096)"'
        command = f'{create} && exec "$0" gc --json --remove --older-than 0'
        result = subprocess.run(
            ["unshare", "--ipc", "sh", "-c", command, program],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "SHMD_SOCKET": self.path,
                "LD_LIBRARY_PATH": library,
                "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)),
            },
        )
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        told = json.loads(result.stdout)
        self.assertEqual(told["daemon_asked"], False)
        (segment,) = told["segments"]
        self.assertEqual(segment["result"], "removed")
        self.assertEqual(set(sysv.proc_table()), {self.managed, self.foreign})

    @needs_several_uids
    def test_another_daemon_that_runs_as_the_same_user(self):
        # Its socket is where nobody looks; only that it listens can be seen.
        asked = self.start_daemon(directory=self.daemon_directory("asked"))
        self.daemon.stop()
        self.restart()
        self.path = asked.socket_path
        reason = ("may be another daemon's, which was not asked: name its socket by --socket "
                  f"{self.daemon.socket_path}")
        result = self.result("--remove", "--left", "--lost")
        self.assertEqual(result["daemon_asked"], True)
        got = {s["shmid"]: (s["class"], s["result"]) for s in result["segments"]}
        self.assertEqual(got, {self.managed: ("guarded", "kept"),
                               self.foreign: ("leaked", "removed")})
        self.assertEqual(result["segments"][1]["reason"], reason)
        self.assertIn(reason, self.gc())
        self.assertTrue(sysv.exists(self.managed))
        # Asked itself, it tells them apart.
        self.path = self.daemon.socket_path
        self.assertNotIn(self.managed, self.classes())

    @needs_several_uids
    def test_the_advice_quotes_a_socket_that_others_named(self):
        # Whoever copies it runs no command of theirs.
        path = os.path.join(self.directory, "shmd $(id);'x")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(path)
            os.chown(path, SOMEBODY.uid, SOMEBODY.gid)
            other.listen(1)
            quoted = path.replace("'", r"\'")
            (segment,) = self.result("--uid", SOMEBODY.uid, user=SOMEBODY)["segments"]
            (to_root,) = self.result("--uid", SOMEBODY.uid)["segments"]
        self.assertEqual((segment["shmid"], segment["class"]), (self.foreign, "guarded"))
        self.assertTrue(segment["reason"].endswith(f"by --socket $'{quoted}'"), segment)
        # Nor is root sent to a daemon of theirs, which could say what it likes.
        self.assertEqual(to_root["class"], "guarded")
        self.assertTrue(to_root["reason"].endswith(
            f"which uid {SOMEBODY.uid} serves at {path}: leave it to that user"), to_root)

    @needs_several_uids
    def test_another_daemon_in_another_ipc_namespace(self):
        # What it manages are other segments.
        shmid = self.leak(ROOT)
        self.start_daemon(user=ROOT, directory=self.daemon_directory("other", ROOT),
                          shell=("unshare", "--ipc", "--"))
        self.assertEqual(self.classes("--uid", ROOT.uid), {shmid: "leaked"})

    @needs_several_uids
    def test_another_daemon_where_one_is_expected(self):
        other = self.start_daemon(user=ROOT, directory=self.daemon_directory("other", ROOT))
        self.daemon.stop()
        self.path = other.socket_path
        # The other does not know it; whose it is shows in a directory where a daemon is expected.
        directory = os.path.join(self.directory, "runtime", "shmd")
        os.makedirs(directory)
        os.chown(directory, DAEMON.uid, DAEMON.gid)
        runtime = {"XDG_RUNTIME_DIR": os.path.dirname(directory)}
        got = self.classes("--remove", "--left", "--lost", environment=runtime)
        self.assertEqual(got, {self.foreign: "leaked", self.managed: "guarded"})
        self.assertEqual(set(sysv.proc_table()), {self.managed})

    def listen_as(self, user, path):
        """A socket of USER's, on which nothing is ever answered."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind(path)
        os.chown(path, user.uid, user.gid)
        listener.listen(0)
        return listener

    @needs_several_uids
    def test_a_strangers_processes_and_sockets_keep_only_what_is_the_strangers(self):
        # 80 processes called shmd, which say nothing of a daemon, and 80 sockets, which do: but of
        # one of the stranger's uid.
        program = os.path.join(self.directory, "sleep", "shmd")  # the daemon may be a copy beside it
        os.mkdir(os.path.dirname(program))
        shutil.copy(shutil.which("sleep"), program)
        with contextlib.ExitStack() as stack:
            for _ in range(80):
                process = subprocess.Popen([program, "1000"], user=BOB.uid, group=BOB.gid)
                stack.callback(process.wait)
                stack.callback(process.kill)
            self.assertEqual(self.classes(), {self.foreign: "leaked"})
            self.assertEqual(self.classes("--uid", BOB.uid), {})
            his = self.leak(BOB)
            self.assertEqual(self.classes()[his], "leaked")
        for i in range(80):
            self.listen_as(BOB, os.path.join(self.directory, f"shmd-{i}.sock"))
        self.assertEqual(self.classes(), {self.foreign: "leaked", his: "guarded"})
        # A link to the socket of somebody else is not his.
        path = os.path.join(self.directory, "shmd-link.sock")
        self.listen_as(BOB, path)
        os.remove(path)
        os.mkdir(os.path.join(self.directory, "a"))
        os.mkdir(os.path.join(self.directory, "a", "b"))
        hers = os.path.join(self.directory, "a", "b", "hers.sock")
        self.listen_as(ALICE, hers)
        os.symlink(hers, path)
        self.assertEqual(self.classes()[self.foreign], "leaked")


    @needs_several_uids
    @needs_to_be_alone
    def test_links_in_the_directory_of_a_stranger_keep_nothing_of_others(self):
        if not os.path.isdir("/run/user"):
            self.skipTest("this machine has no /run/user")
        runtime = f"/run/user/{BOB.uid}"
        self.addCleanup(shutil.rmtree, runtime)
        os.mkdir(runtime)
        os.chown(runtime, BOB.uid, BOB.gid)
        hers = self.daemon_directory("hers", ALICE)
        place = os.path.join(runtime, "shmd")
        os.symlink(hers, place)
        self.assertEqual(self.classes(), {self.foreign: "leaked"})
        socket_of_hers = os.path.join(hers, "hers.sock")
        self.listen_as(ALICE, socket_of_hers)
        os.remove(place)
        os.mkdir(place)
        os.chown(place, BOB.uid, BOB.gid)
        os.symlink(socket_of_hers, os.path.join(place, "shmd.sock"))
        his = self.leak(BOB)
        self.assertEqual(self.classes(), {self.foreign: "leaked", his: "guarded"})


@needs_several_uids
class SiblingPidNamespaces(GcCase):
    """One IPC namespace, and a pid namespace for each container, as pods have them: nobody in one sees the
    processes of the others."""

    INSIDE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    CREATE = "import sys, sysv; print(sysv.create(4096, mode=0o666), flush=True); sys.stdin.read()"

    def setUp(self):
        super().setUp()
        try:
            subprocess.run([*self.INSIDE, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipTest(f"no private pid namespace: {error}")
        self.daemon = self.start_daemon(
            user=ROOT, directory=self.daemon_directory(),
            shell=(*self.INSIDE, "setpriv", f"--reuid={DAEMON.uid}", f"--regid={DAEMON.gid}",
                   "--clear-groups", "--"))
        self.addCleanup(kill, self.daemon)  # unshare heeds no other signal
        self.path = self.daemon.socket_path
        here = os.path.dirname(os.path.abspath(__file__))
        self.creator = subprocess.Popen(
            [*self.INSIDE, sys.executable, "-c", self.CREATE], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": here})
        self.addCleanup(self.end_creator)
        self.shmid = int(self.creator.stdout.readline())

    def end_creator(self):
        for stream in (self.creator.stdin, self.creator.stdout):
            stream.close()
        self.creator.wait()

    def ask(self, inside, *arguments):
        program, library = self.where_programs_are("shmdctl")
        environment = {**os.environ, **self.later(), "SHMD_SOCKET": self.path, "LD_LIBRARY_PATH": library}
        return subprocess.run([*(self.INSIDE if inside else ()), program, *arguments], text=True,
                              capture_output=True, check=False, env=environment).stdout

    def said(self, inside):
        """What list says of it, gc, and doctor: that from a namespace of its own, or from one that sees all."""
        column = self.ask(inside, "list", "--foreign", "-n", "-o", "ORPHANED").strip()
        told = json.loads(self.ask(inside, "gc", "--json"))
        self.assertEqual(told["daemon_asked"], True)
        findings = {one["id"]: one for one in json.loads(self.ask(inside, "doctor", "--json"))}
        return (column, [segment["class"] for segment in told["segments"]],
                [one for one in ("orphans", "left", "undecided", "lost") if findings[one]["severity"] != "ok"])

    def test_list_gc_and_doctor_say_the_same(self):
        undecided = ("undecided", ["undecided"], ["undecided"])
        self.assertEqual(self.said(inside=True), undecided)
        self.assertEqual(self.said(inside=False), ("no", [], []))
        self.end_creator()
        self.assertEqual(self.said(inside=True), undecided)
        self.assertEqual(self.said(inside=False), ("yes", ["leaked"], ["orphans"]))
        self.ask(True, "gc", "--remove", "--left", "--lost")
        self.assertTrue(sysv.exists(self.shmid))
        self.ask(True, "gc", "--remove", "--undecided")
        self.assertFalse(sysv.exists(self.shmid))


class Forgotten(GcCase):
    """Segments of the daemon's own that nobody seems to need are reported and nothing more."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.path = self.daemon.socket_path
        self.client = self.connect(self.daemon)

    def forgotten(self, *arguments, **more):
        result = self.result(*arguments, **more)
        self.assertEqual(result["segments"], [])
        return {row["name"]: row["never_attached"] for row in result["forgotten"]}

    def test_which(self):
        for name in ("never", "used", "in-use"):
            self.client.create(name=name, mode="0600")
        self.client.create(name="held", lifetime="process")
        used, in_use = (self.client.stat(name=name)["shmid"] for name in ("used", "in-use"))
        as_user(SOMEBODY, lambda: sysv.read(used, 1))
        self.hold(SOMEBODY, in_use)
        self.assertEqual(self.forgotten("--remove", "--left", "--lost"), {"never": True})
        self.assertEqual(self.forgotten("--idle", "0"), {"never": True, "used": False})
        self.assertEqual(self.forgotten(any_age=False), {})
        out = self.gc("--idle", "0", "--remove", "--left", "--lost")
        self.assertRegex(out, r"(?m)^Forgotten:\nNAME +SERIAL +SHMID +SIZE +OWNER +IDLE +WHY\n")
        self.assertRegex(out, r"(?m)^never .* never attached$")
        self.assertIn("2 of the daemon's own seem forgotten: gc never removes them", out)
        self.assertEqual(len(self.client.list()), 4)

    def test_after_a_while(self):
        self.client.create(name="never")
        self.assertEqual(self.forgotten(environment=self.later(), any_age=False), {"never": True})

    @needs_several_uids
    def test_only_what_the_caller_may_see(self):
        self.client.create(name="hers", mode="0600")
        self.assertEqual(self.forgotten(user=BOB), {})
        self.assertEqual(self.forgotten(user=ALICE), {"hers": True})
        self.client.call("set", name="hers", mode="0644")
        total = "1 of the daemon's own seems forgotten: gc never removes them; "
        self.assertIn(total + "their owners and admins can, by shmdctl rm.", self.gc(user=BOB))
        for user in (ALICE, ROOT):
            self.assertIn(total + "shmdctl rm does.", self.gc(user=user))
        self.connect(self.daemon, BOB).create(name="his")
        self.assertIn("2 of the daemon's own seem forgotten: gc never removes them; shmdctl rm does, of the 1 that",
                      self.gc(user=BOB))


class Between(GcCase):
    """A socket between gc and the daemon."""

    def setUp(self):
        super().setUp()
        # Its own socket looks like no daemon's, or it would be another one that was not asked.
        directory = self.daemon_directory("behind")
        path = os.path.join(directory, "socket")
        self.daemon = self.launch_daemon("--socket", path, "--socket-mode", "0666",
                                         directory=directory, socket=False)
        self.daemon.socket_path = path
        self.daemon.wait_until_ready()
        self.path = os.path.join(self.directory, "between.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.listener.close)
        self.listener.settimeout(DEADLINE)
        self.listener.bind(self.path)
        self.listener.listen(4)

    def run_gc(self, *arguments, exchange):
        """Runs gc; EXCHANGE(method, ask) is called for each of its requests, gets the daemon's
        answer by ask(), and gives what gc is answered; None: the connection ends."""
        process = self.popen("shmdctl", "gc", "--json", "--older-than", "0", *arguments,
                             environment={"SHMD_SOCKET": self.path},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.listener.accept()[0] as peer, self.daemon.connect(ROOT) as client:
            peer.settimeout(DEADLINE)
            for line in peer.makefile("rb"):
                def ask():
                    client.send(line)
                    return json.loads(client.read_line())

                answer = exchange(json.loads(line)["method"], ask)
                if answer is None:
                    break
                try:
                    peer.sendall(json.dumps(answer).encode() + b"\n")
                except OSError:
                    break
        out, err = process.communicate(timeout=DEADLINE)
        self.status, self.message = process.returncode, err.decode()
        return json.loads(out)


class Records(Between):
    @needs_several_uids
    def test_since_when_they_are_whole(self):
        shmid = self.leak(DAEMON)
        made_at_ms = int(sysv.proc_table()[shmid]["ctime"]) * 1000

        def since(records_since_at_ms):
            def exchange(method, ask):
                answer = ask()
                if method == "info":
                    answer["result"]["records_since_at_ms"] = records_since_at_ms
                return answer

            (segment,) = self.run_gc(exchange=exchange)["segments"]
            return segment["class"]

        self.assertEqual(since(made_at_ms - 1), "leaked")
        self.assertEqual(since(made_at_ms), "lost")
        self.assertEqual(since(made_at_ms + 5000), "lost")


class Meanwhile(Between):
    """Between the list and the removal: gc asks the daemon about each segment right before it
    removes it, and this test stands in between."""

    def setUp(self):
        super().setUp()
        self.shmid = self.leak()

    def remove(self, before_answer=lambda: None, before_question=lambda: None):
        """Runs gc --remove; when it asks about a segment, BEFORE_QUESTION is called before the
        daemon hears of it, and BEFORE_ANSWER before gc hears the answer. Gives class and result."""
        asked = []

        def exchange(method, ask):
            if method != "stat":
                return ask()
            asked.append(method)
            before_question()
            answer = ask()
            before_answer()
            return answer

        (segment,) = self.run_gc("--remove", exchange=exchange)["segments"]
        self.assertEqual((len(asked), self.status), (1, 0), self.message)
        self.assertEqual(segment["shmid"], self.shmid)
        return segment["class"], segment["result"]

    @needs_several_uids
    def test_nothing(self):
        self.assertEqual(self.remove(), ("leaked", "removed"))
        self.assertEqual(sysv.proc_table(), {})

    @needs_several_uids
    def test_it_is_recycled(self):
        def recycle():
            sysv.remove(self.shmid)
            # By somebody who has died as well: it is leaked, but not the one that was listed.
            sysv.sysctl("shm_next_id", self.shmid)
            self.assertEqual(self.leak(), self.shmid)

        before = sysv.proc_table()[self.shmid]["cpid"]
        self.assertEqual(self.remove(recycle), ("leaked", "changed"))
        self.assertNotEqual(sysv.proc_table()[self.shmid]["cpid"], before)

    @needs_several_uids
    def test_its_slot_is_taken(self):
        def recycle():
            sysv.remove(self.shmid)
            other = self.shmid + (1 << 15)
            self.assertEqual(sysv.create_with_shmid(other, 4096), other)

        self.assertEqual(self.remove(recycle), ("leaked", "gone"))
        self.assertEqual(len(sysv.proc_table()), 1)

    @needs_several_uids
    def test_somebody_attaches(self):
        self.assertEqual(self.remove(lambda: self.hold(SOMEBODY, self.shmid)), ("attached", "kept"))
        self.assertEqual(sysv.proc_table()[self.shmid]["nattch"], "1")
        self.assertEqual(sysv.stat(self.shmid).mode & sysv.SHM_DEST, 0)

    @needs_several_uids
    def test_somebody_uses_it(self):
        # It is another class then: others have used it.
        use = lambda: as_user(SOMEBODY, lambda: sysv.read(self.shmid, 1))
        self.assertEqual(self.remove(use), ("left", "kept"))
        self.assertTrue(sysv.exists(self.shmid))

    @needs_several_uids
    def test_it_is_removed(self):
        self.assertEqual(self.remove(lambda: sysv.remove(self.shmid)), ("leaked", "gone"))

    @needs_several_uids
    def test_its_owner_changes(self):
        def give_away():
            sysv.set_owner(self.shmid, os.geteuid(), BOB.gid, 0o640)

        self.assertEqual(self.remove(give_away), ("leaked", "changed"))
        self.assertTrue(sysv.exists(self.shmid))

    def adopt(self):
        sysv.set_owner(self.shmid, os.stat(self.daemon.directory).st_uid, 0, 0o600)
        with self.daemon.connect() as client:
            client.call("adopt", shmid=self.shmid)

    @needs_several_uids
    def test_the_daemon_adopts_it(self):
        self.assertEqual(self.remove(before_question=self.adopt), ("managed", "kept"))
        self.assertTrue(sysv.exists(self.shmid))

    @needs_several_uids
    def test_the_daemon_adopts_it_at_the_last_moment(self):
        # The answer that it is foreign is on its way already; its owner changes, though.
        self.assertEqual(self.remove(self.adopt), ("leaked", "changed"))
        self.assertTrue(sysv.exists(self.shmid))

    @needs_several_uids
    def test_the_daemon_falls_silent(self):
        exchange = lambda method, ask: None if method == "stat" else ask()
        (segment,) = self.run_gc("--remove", exchange=exchange)["segments"]
        self.assertEqual(self.status, UNREACHABLE)
        self.assertIn("some were not removed", self.message)
        self.assertEqual((segment["class"], segment["result"]), ("leaked", "unanswered"))
        self.assertGreater(len(segment["error"]), 5)
        self.assertTrue(sysv.exists(self.shmid))

    @needs_several_uids
    def test_the_daemon_falls_silent_at_once(self):
        exchange = lambda method, ask: None if method == "list" else ask()
        result = self.run_gc("--remove", exchange=exchange)
        self.assertEqual(result["daemon_asked"], False)
        self.assertEqual([s["result"] for s in result["segments"]], ["removed"])


if __name__ == "__main__":
    main()
