"""shmdctl gc: what it takes for an orphan, and that it removes nothing else, whatever happens
between its looking and its acting."""

import glob
import json
import os
import signal
import socket
import subprocess

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
    main,
    needs_several_uids,
    needs_to_be_alone,
    wait_until,
)
from programs import Programs

FAILED, PERMISSION_DENIED = 1, 5
NOWHERE = "/nonexistent/shmd.sock"


@needs_to_be_alone
class GcCase(Programs, TestCase):
    path = NOWHERE

    def orphan(self, user=SOMEBODY, size=4096, key=0, mode=0o600):
        """A segment whose creator has died."""
        return as_user(user, lambda: sysv.create(size, key=key, mode=mode))

    def gc(self, *arguments, status=0, user=ROOT):
        """Its output."""
        environment = {"SHMD_SOCKET": self.path}
        got, out, err = self.run_program("shmdctl", "gc", *arguments, user=user,
                                         environment=environment)
        self.message = err.decode()
        self.assertEqual(got, status, f"{arguments}: {self.message}{out!r}")
        if status == 0:
            self.assertEqual(self.message, "")
        else:
            self.assertRegex(self.message, r"^shmdctl: .{10,}\n$")
        return out.decode()

    def result(self, *arguments, **more):
        return json.loads(self.gc("--json", *arguments, **more))

    def verdicts(self, *arguments, **more):
        """shmid -> verdict."""
        segments = self.result(*arguments, **more)["segments"]
        return {segment["shmid"]: segment["verdict"] for segment in segments}


class Listing(GcCase):
    """Without a daemon."""

    def test_nothing(self):
        self.assertRegex(self.gc(), r"^No orphaned segments\.\n")
        self.assertEqual(self.verdicts(), {})

    def test_an_orphan(self):
        shmid = self.orphan(size=3 << 20, key=0xBEEF)
        before = sysv.proc_table()
        lines = self.gc().splitlines()
        self.assertEqual(lines[0].split(), "SHMID KEY SIZE OWNER CPID IDLE WHY".split())
        row = lines[1].split(maxsplit=6)
        cpid = before[shmid]["cpid"]
        self.assertEqual([row[i] for i in (0, 1, 2, 4)], [str(shmid), "0x0000beef", "3M", cpid])
        self.assertRegex(row[5], r"^\d+s$")
        self.assertEqual(row[6], "creator dead, nobody attached")
        self.assertIn("1 orphaned, 3M. Nothing was removed: gc --remove does.", lines)
        self.assertIn(NOWHERE, lines[-1])
        self.assertEqual(sysv.proc_table(), before)

    def test_as_json(self):
        shmid = self.orphan(key=0xFFFFFFFF, mode=0o640)
        row = sysv.proc_table()[shmid]
        result = self.result()
        self.assertEqual(result["daemon_asked"], False)
        self.assertEqual(result["orphaned"], {"segments": 1, "bytes": 4096})
        self.assertEqual(result["removed"], {"segments": 0, "bytes": 0})
        (segment,) = result["segments"]
        self.assertEqual(segment.pop("reason"), "creator dead, nobody attached")
        owner = {"uid": SOMEBODY.uid, "gid": SOMEBODY.gid}
        self.assertEqual(
            segment,
            {
                **{"shmid": shmid, "key": 0xFFFFFFFF, "size": 4096, "mode": "0640", **owner},
                "creator": {**owner, "pid": int(row["cpid"])},
                "idle_since_at_ms": int(row["ctime"]) * 1000,
                "verdict": "orphaned",
            },
        )

    def test_what_is_none(self):
        sysv.create(4096)  # this process lives
        shmid = self.orphan()
        holder = self.hold(SOMEBODY, shmid)
        self.assertEqual(self.verdicts(), {})
        holder.kill()
        self.assertEqual(self.verdicts(), {shmid: "orphaned"})

    def test_a_creator_of_another_pid_namespace(self):
        # This process lives, and cannot be seen from within a pid namespace below its own.
        shmid = sysv.create(4096)
        program, library = self.where_programs_are("shmdctl")
        result = subprocess.run(
            ["unshare", "--pid", "--fork", program, "gc", "--json", "--remove"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SHMD_SOCKET": NOWHERE, "LD_LIBRARY_PATH": library},
        )
        if result.stderr.startswith("unshare"):
            self.skipTest(f"no private pid namespace: {result.stderr}")
        (segment,) = json.loads(result.stdout)["segments"]
        self.assertEqual((segment["shmid"], segment["verdict"]), (shmid, "creator-unknown"))
        self.assertEqual(segment["creator"]["pid"], 0)
        self.assertTrue(sysv.exists(shmid))

    def test_filters(self):
        private, keyed = self.orphan(), self.orphan(key=7)
        self.assertEqual(self.verdicts("--key", "7"), {keyed: "orphaned"})
        self.assertEqual(self.verdicts("--key", "0"), {private: "orphaned"})
        self.assertEqual(len(self.verdicts("--uid", SOMEBODY.uid)), 2)
        self.assertEqual(self.verdicts("--uid", SOMEBODY.uid + 1), {})
        self.assertEqual(self.verdicts("--older-than", "1d"), {})
        self.assertRegex(self.gc("--older-than", "1d"),
                         r"^No such orphaned segments; of others there are 2\.\n")
        self.assertEqual(len(self.verdicts("--older-than", "0")), 2)
        wait_until(lambda: len(self.verdicts("--older-than", "1s")) == 2, "they are old")

    def test_use_makes_young(self):
        shmid = self.orphan()
        wait_until(lambda: self.verdicts("--older-than", "1s"), "it is old")
        before = sysv.proc_table()[shmid]["ctime"]
        as_user(SOMEBODY, lambda: sysv.read(shmid, 1))
        row = sysv.proc_table()[shmid]
        self.assertGreater(int(row["dtime"]), int(before))
        (segment,) = self.result()["segments"]
        self.assertEqual(segment["idle_since_at_ms"], int(row["dtime"]) * 1000)

    def test_wrong_options(self):
        for arguments in (["--older-than", "5"], ["--uid", "no such user"], ["x"], ["--shmid=1"]):
            with self.subTest(arguments=arguments):
                got, out, _ = self.run_program("shmdctl", "gc", *arguments)
                self.assertEqual((got, out), (2, b""))


class Removing(GcCase):
    def test_all(self):
        orphans = {self.orphan(size=size) for size in (1 << 20, 2 << 20)}
        mine = sysv.create(4096)
        attached = self.orphan()
        self.hold(SOMEBODY, attached)
        out = self.gc("--remove")
        self.assertIn("2 removed, 3M; 0 kept.\n", out)
        for shmid in orphans:
            self.assertRegex(out, rf"(?m)^ *{shmid} .* removed$")
        self.assertEqual(set(sysv.proc_table()), {mine, attached})
        self.assertRegex(self.gc("--remove"), "^0 removed")

    def test_as_json(self):
        shmid = self.orphan()
        result = self.result("--remove")
        self.assertEqual(result["removed"], {"segments": 1, "bytes": 4096})
        self.assertEqual(result["orphaned"], {"segments": 0, "bytes": 0})
        self.assertEqual(result["segments"][0]["verdict"], "removed")
        self.assertFalse(sysv.exists(shmid))

    def test_only_what_the_filters_let_through(self):
        kept, removed = self.orphan(), self.orphan(key=9)
        self.assertEqual(self.verdicts("--remove", "--key", "9"), {removed: "removed"})
        self.assertEqual(self.verdicts("--remove", "--older-than", "1d"), {})
        self.assertEqual(set(sysv.proc_table()), {kept})

    @needs_several_uids
    def test_with_the_callers_rights(self):
        hers, his = self.orphan(ALICE), self.orphan(BOB)
        self.assertEqual(self.verdicts(user=BOB), {hers: "orphaned", his: "orphaned"})
        got = self.verdicts("--remove", user=BOB, status=PERMISSION_DENIED)
        self.assertEqual(got, {hers: "not-permitted", his: "removed"})
        self.assertIn("1 orphaned", self.gc(user=BOB))
        self.assertIn("only its owner", self.gc("--remove", user=BOB, status=PERMISSION_DENIED))
        self.assertEqual(self.verdicts("--remove", "--uid", BOB.uid, user=BOB), {})
        self.assertEqual(set(sysv.proc_table()), {hers})

    def test_many(self):
        def create():
            return [sysv.create(1) for _ in range(1500)]

        want = set(as_user(SOMEBODY, create))
        self.path = self.start_daemon().socket_path
        self.assertEqual(self.verdicts("--remove"), {shmid: "removed" for shmid in want})
        self.assertEqual(sysv.proc_table(), {})


class WithDaemon(GcCase):
    """What a daemon has in its care looks like an orphan once the daemon was restarted: its
    creator, the daemon of before, is dead."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.path = self.daemon.socket_path
        with self.daemon.connect() as client:
            self.managed = client.create(name="kept", mode="0600")["shmid"]
        self.foreign = self.orphan()

    def restart(self):
        self.daemon = self.start_daemon(directory=self.daemon.directory)

    def test_what_it_manages(self):
        self.daemon.stop()
        self.restart()
        self.assertFalse(os.path.exists(f"/proc/{sysv.proc_table()[self.managed]['cpid']}"))
        self.assertEqual(self.result()["daemon_asked"], True)
        self.assertEqual(self.verdicts("--remove"), {self.foreign: "removed"})
        self.assertTrue(sysv.exists(self.managed))

    @needs_several_uids
    def test_what_the_caller_may_not_see(self):
        # The daemon does not show it to him, and yet it is not foreign.
        self.daemon.stop()
        self.restart()
        self.assertEqual(self.verdicts(user=BOB), {self.foreign: "orphaned"})

    def test_what_was_adopted(self):
        def adopt():
            sysv.set_owner(self.foreign, os.stat(self.daemon.directory).st_uid, 0, 0o600)

        as_user(SOMEBODY, adopt)
        with self.daemon.connect() as client:
            client.call("adopt", shmid=self.foreign)
        self.assertEqual(self.verdicts("--remove"), {})
        self.daemon.stop()
        if SEVERAL_UIDS:
            want = {self.foreign: "guarded", self.managed: "guarded"}
            self.assertEqual(self.verdicts("--remove"), want)
        self.assertTrue(sysv.exists(self.foreign))

    @needs_several_uids
    def test_a_daemon_that_was_stopped(self):
        self.daemon.stop()
        want = {self.foreign: "orphaned", self.managed: "guarded"}
        self.assertEqual(self.verdicts(), want)
        out = self.gc("--remove")
        self.assertIn("kept: a shmd that does not answer could have it in its care", out)
        self.assertIn("1 removed, 4K; 1 kept.", out)
        self.assertIn("kept is what is of the user shmd, of the owner of a daemon's socket", out)
        self.assertEqual(set(sysv.proc_table()), {self.managed})

    @needs_several_uids
    def test_a_daemon_that_was_killed(self):
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        self.assertEqual(self.verdicts("--remove")[self.managed], "guarded")
        self.restart()
        with self.daemon.connect() as client:
            self.assertEqual(client.stat(name="kept")["shmid"], self.managed)

    def lose_the_state(self):
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        for path in glob.glob(os.path.join(self.daemon.directory, "state.db*")):
            os.remove(path)
        self.restart()

    @needs_several_uids
    def test_a_daemon_that_has_lost_its_records(self):
        self.lose_the_state()
        want = {self.foreign: "orphaned", self.managed: "lost"}
        self.assertEqual(self.verdicts(), want)
        out = self.gc("--remove")
        self.assertIn("kept: made by a daemon that has no record of it: adopt it", out)
        self.assertIn("1 removed, 4K; 1 kept.", out)
        self.assertIn("1 lost by the daemon, 4K: gc removes none of them.", out)
        self.assertEqual(set(sysv.proc_table()), {self.managed})
        status, out, _ = self.run_program("shmdctl", "doctor", "--json",
                                          environment={"SHMD_SOCKET": self.path})
        (finding,) = [f for f in json.loads(out) if f["id"] == "orphans"]
        self.assertIn("1 segment, 4K in all: made by the daemon", finding["found"])
        self.assertIn("shmdctl adopt", finding["mend"])
        self.assertNotIn("--remove", finding["mend"])
        self.assertNotEqual(status, 0)

    @needs_several_uids
    def test_what_was_lost_is_adopted(self):
        for user in (SOMEBODY, ROOT):
            with self.subTest(user=user):
                self.lose_the_state()
                status, _, err = self.run_program("shmdctl", "adopt", "--shmid", self.managed, "kept",
                                                  user=user, environment={"SHMD_SOCKET": self.path})
                self.assertEqual((status, err), (0, b""))
                self.assertEqual(self.verdicts(), {self.foreign: "orphaned"})
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
        self.assertEqual(self.verdicts(user=BOB), {self.foreign: "orphaned"})  # it lives, after all
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        self.assertEqual(self.verdicts(user=BOB)[self.managed], "guarded")

    def test_a_daemon_in_another_ipc_namespace(self):
        # What it says is about other segments, even if they have the same ids.
        program, library = self.where_programs_are("shmdctl")
        create = 'python3 -c "import sysv; sysv.create(4096)"'
        result = subprocess.run(
            ["unshare", "--ipc", "sh", "-c", f'{create} && exec "$0" gc --json --remove', program],
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
        self.assertEqual(segment["verdict"], "removed" if SEVERAL_UIDS else "guarded")
        self.assertEqual(set(sysv.proc_table()), {self.managed, self.foreign})

    def test_another_daemon_that_runs_as_the_same_user(self):
        # Its socket and its directory are where nobody looks; only that it runs can be seen.
        asked = self.start_daemon(directory=self.daemon_directory("asked"))
        self.daemon.stop()
        self.restart()
        self.path = asked.socket_path
        reason = (f"kept: the shmd with pid {self.daemon.pid}, which was not asked, may manage it: "
                  "name its socket by --socket")
        want = {self.managed: "unasked",
                self.foreign: "orphaned" if SEVERAL_UIDS else "unasked"}
        for options in ([], ["--remove"]):
            with self.subTest(options=options):
                result = self.result(*options)
                self.assertEqual(result["daemon_asked"], True)
                got = {s["shmid"]: s for s in result["segments"]}
                self.assertEqual(got[self.managed]["reason"], reason)
                want[self.foreign] = want[self.foreign].replace("orphaned", "removed"
                                                                if options else "orphaned")
                self.assertEqual({i: s["verdict"] for i, s in got.items()}, want)
                self.assertIn(reason, self.gc())
                self.assertTrue(sysv.exists(self.managed))
        # Asked itself, it tells them apart; and once it has ended, it is none that runs.
        self.path = self.daemon.socket_path
        self.assertNotIn(self.managed, self.verdicts())
        with self.daemon.connect() as client:
            self.assertEqual(client.stat(name="kept")["shmid"], self.managed)

    @needs_several_uids
    def test_another_daemon_in_another_ipc_namespace(self):
        # What it manages are other segments.
        shmid = self.orphan(ROOT)
        self.start_daemon(user=ROOT, directory=self.daemon_directory("other", ROOT),
                          shell=("unshare", "--ipc", "--"))
        self.assertEqual(self.verdicts("--uid", ROOT.uid), {shmid: "orphaned"})

    @needs_several_uids
    def test_another_daemon_that_was_not_asked(self):
        other = self.start_daemon(user=ROOT, directory=self.daemon_directory("other", ROOT))
        self.daemon.stop()
        self.restart()
        self.path = other.socket_path
        # The other does not know it; that it is the first one's shows where that one is expected.
        directory = os.path.join(self.directory, "runtime", "shmd")
        os.makedirs(directory)
        os.chown(directory, DAEMON.uid, DAEMON.gid)
        environment = {"SHMD_SOCKET": self.path,
                       "XDG_RUNTIME_DIR": os.path.dirname(directory)}
        status, out, err = self.run_program("shmdctl", "gc", "--json", "--remove",
                                            environment=environment)
        self.assertEqual((status, err), (0, b""))
        got = {s["shmid"]: s["verdict"] for s in json.loads(out)["segments"]}
        self.assertEqual(got, {self.foreign: "removed", self.managed: "unasked"})
        self.daemon.stop()
        status, out, err = self.run_program("shmdctl", "gc", "--json", "--remove",
                                            environment=environment)
        self.assertEqual((status, err), (0, b""))
        got = {s["shmid"]: s["verdict"] for s in json.loads(out)["segments"]}
        self.assertEqual(got, {self.managed: "guarded"})
        self.assertTrue(sysv.exists(self.managed))


class Meanwhile(GcCase):
    """Between the list and the removal: gc asks the daemon about each segment right before it
    removes it, and this test stands in between."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.path = os.path.join(self.directory, "between.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.listener.close)
        self.listener.settimeout(DEADLINE)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.shmid = self.orphan()

    def remove(self, before_answer=lambda: None, before_question=lambda: None, status=0):
        """Runs gc --remove; when it asks about a segment, BEFORE_QUESTION is called before the
        daemon hears of it, and BEFORE_ANSWER before gc hears the answer. Gives the one verdict."""
        process = self.popen("shmdctl", "gc", "--json", "--remove",
                             environment={"SHMD_SOCKET": self.path},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        asked = 0
        with self.listener.accept()[0] as peer, self.daemon.connect(ROOT) as client:
            peer.settimeout(DEADLINE)
            for line in peer.makefile("rb"):
                is_question = json.loads(line)["method"] == "stat"
                if is_question:
                    asked += 1
                    before_question()
                client.send(line)
                answer = client.read_line() + b"\n"
                if is_question:
                    before_answer()
                try:
                    peer.sendall(answer)
                except OSError:
                    break
        out, err = process.communicate(timeout=DEADLINE)
        self.assertEqual(asked, 1)
        self.assertEqual(process.returncode, status, err)
        (segment,) = json.loads(out)["segments"]
        self.assertEqual(segment["shmid"], self.shmid)
        return segment["verdict"]

    def test_nothing(self):
        self.assertEqual(self.remove(), "removed")
        self.assertEqual(sysv.proc_table(), {})

    def test_it_is_recycled(self):
        def recycle():
            sysv.remove(self.shmid)
            # By somebody who has died as well: it is an orphan, but not the one that was listed.
            sysv.sysctl("shm_next_id", self.shmid)
            self.assertEqual(self.orphan(), self.shmid)

        before = sysv.proc_table()[self.shmid]["cpid"]
        self.assertEqual(self.remove(recycle), "changed")
        self.assertNotEqual(sysv.proc_table()[self.shmid]["cpid"], before)

    def test_its_slot_is_taken(self):
        def recycle():
            sysv.remove(self.shmid)
            other = self.shmid + (1 << 15)
            self.assertEqual(sysv.create_with_shmid(other, 4096), other)

        self.assertEqual(self.remove(recycle), "gone")
        self.assertEqual(len(sysv.proc_table()), 1)

    def test_somebody_attaches(self):
        self.assertEqual(self.remove(lambda: self.hold(SOMEBODY, self.shmid)), "attached")
        self.assertEqual(sysv.proc_table()[self.shmid]["nattch"], "1")
        self.assertEqual(sysv.stat(self.shmid).mode & sysv.SHM_DEST, 0)

    def test_it_is_removed(self):
        self.assertEqual(self.remove(lambda: sysv.remove(self.shmid)), "gone")

    def test_its_owner_changes(self):
        def give_away():
            sysv.set_owner(self.shmid, os.geteuid(), BOB.gid if SEVERAL_UIDS else 0, 0o640)

        self.assertEqual(self.remove(give_away), "changed")
        self.assertTrue(sysv.exists(self.shmid))

    def adopt(self):
        sysv.set_owner(self.shmid, os.stat(self.daemon.directory).st_uid, 0, 0o600)
        with self.daemon.connect() as client:
            client.call("adopt", shmid=self.shmid)

    def test_the_daemon_adopts_it(self):
        self.assertEqual(self.remove(before_question=self.adopt), "managed")
        self.assertTrue(sysv.exists(self.shmid))

    @needs_several_uids
    def test_the_daemon_adopts_it_at_the_last_moment(self):
        # The answer that it is foreign is on its way already; its owner changes, though.
        self.assertEqual(self.remove(self.adopt), "changed")
        self.assertTrue(sysv.exists(self.shmid))

    def test_the_daemon_falls_silent(self):
        process = self.popen("shmdctl", "gc", "--json", "--remove",
                             environment={"SHMD_SOCKET": self.path},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.listener.accept()[0] as peer, self.daemon.connect(ROOT) as client:
            for line in peer.makefile("rb"):
                if json.loads(line)["method"] == "stat":
                    break
                client.send(line)
                peer.sendall(client.read_line() + b"\n")
        out, err = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, FAILED)
        self.assertRegex(err.decode(), r"^shmdctl: some were not removed")
        (segment,) = json.loads(out)["segments"]
        self.assertEqual(segment["verdict"], "unanswered")
        self.assertGreater(len(segment["error"]), 5)
        self.assertTrue(sysv.exists(self.shmid))

    def test_the_daemon_falls_silent_at_once(self):
        process = self.popen("shmdctl", "gc", "--json", "--remove",
                             environment={"SHMD_SOCKET": self.path},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.listener.accept()[0] as peer, self.daemon.connect(ROOT) as client:
            for line in peer.makefile("rb"):
                if json.loads(line)["method"] == "list":
                    break
                client.send(line)
                peer.sendall(client.read_line() + b"\n")
        out, _ = process.communicate(timeout=DEADLINE)
        result = json.loads(out)
        # Then it is one that was not asked, and that runs.
        self.assertEqual(result["daemon_asked"], False)
        got = {s["shmid"]: s["verdict"] for s in result["segments"]}
        self.assertEqual(got, {self.shmid: "removed" if SEVERAL_UIDS else "unasked"})


if __name__ == "__main__":
    main()
