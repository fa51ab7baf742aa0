# SPDX-License-Identifier: MIT
"""Names: a segment that somebody else made under the name I expect is not handed to me, by no method and
by no command, unless I say so; a name that is reserved can be taken by its users alone; and what a caller
may not read is not told to it by a refusal either.
"""

import json
import os
import signal

from isolation import ATTACKER, ROOT, VICTIM, IsolationCase, as_user, encode, main
from isolation import needs_several_uids, sysv
from harness import DAEMON, Child, Client, User
from peers import Peer

PERMISSION_DENIED = 5
NOT_STARTED = 125
SECRET = b"the victim's secret"


class NamesCase(IsolationCase):
    CONFIG = ""

    def setUp(self):
        super().setUp()
        self.start(self.CONFIG)
        self.attacker = self.connect(self.daemon, ATTACKER)
        self.victim = self.connect(self.daemon, VICTIM)
        self.admin = self.connect(self.daemon, ROOT)

    def ctl(self, *arguments, user=VICTIM, data=None):
        """Exit status, output, error output."""
        return self.run_program(
            "shmdctl", *arguments, user=user, data=data,
            environment={"SHMD_SOCKET": self.daemon.socket_path},
        )


@needs_several_uids
class Owner(NamesCase):
    """The parameter `owner`."""

    METHODS = {"stat": {}, "hold": {}, "wait": {"timeout_ms": 0}}

    def check_another_owner(self, data):
        self.assertEqual((data["needs"], data["uid"]), ("owner", ATTACKER.uid))

    def test_a_strangers_segment_is_refused(self):
        self.attacker.create(name="frames", mode="0666", lifetime="process")
        for method, more in self.METHODS.items():
            with self.subTest(method=method):
                data = self.refused(
                    "PermissionDenied", self.victim, method, name="frames", owner=VICTIM.uid, **more
                )
                self.check_another_owner(data)
                self.victim.call(method, name="frames", owner=ATTACKER.uid, **more)

    def test_by_every_target(self):
        segment = self.attacker.create(key=77, mode="0666", lifetime="process")
        for target in ({"key": 77}, {"shmid": segment["shmid"]}, {"serial": segment["serial"]}):
            for method in ("stat", "hold"):
                with self.subTest(method=method, target=target):
                    data = self.refused(
                        "PermissionDenied", self.victim, method, owner=VICTIM.uid, **target
                    )
                    self.check_another_owner(data)

    def test_a_refused_hold_holds_nothing(self):
        segment = self.attacker.create(name="frames", mode="0666", lifetime="process")
        self.refused("PermissionDenied", self.victim, "hold", name="frames", owner=VICTIM.uid)
        self.refused(
            "PermissionDenied", self.victim, "wait", name="frames", owner=VICTIM.uid, hold=True
        )
        self.assertEqual(self.attacker.stat(serial=segment["serial"])["holders"], 1)

    def test_whoever_owns_it_now(self):
        """Both count, who has made it and who owns it; but what an admin has made is its owner's."""
        self.attacker.create(name="made", mode="0666", uid=DAEMON.uid)
        self.admin.create(name="given", mode="0666", uid=ATTACKER.uid, gid=ATTACKER.gid)
        self.admin.create(name="mine", mode="0666", uid=VICTIM.uid, gid=VICTIM.gid)
        for name in ("made", "given"):
            for method in ("stat", "wait"):
                with self.subTest(name=name, method=method):
                    data = self.refused(
                        "PermissionDenied", self.victim, method, name=name, owner=VICTIM.uid
                    )
                    self.check_another_owner(data)
        self.victim.stat(name="mine", owner=VICTIM.uid)

    def test_a_wait_that_began_before(self):
        self.victim.send(encode("wait", {"name": "frames", "owner": VICTIM.uid}, id=1))
        self.attacker.create(name="frames", mode="0666")
        reply = self.victim.reply()
        self.assertEqual(reply["error"]["code"], 3, reply)
        self.check_another_owner(reply["error"]["data"])

    def test_ones_own_roots_and_the_daemons_pass(self):
        self.connect(self.daemon, DAEMON).create(name="daemons", mode="0644")
        self.admin.create(name="roots", mode="0644")
        self.victim.create(name="mine")
        for name in ("mine", "roots", "daemons"):
            with self.subTest(name=name):
                self.assertEqual(self.victim.stat(name=name, owner=VICTIM.uid)["name"], name)
                self.victim.call("wait", name=name, owner=VICTIM.uid, timeout_ms=0)

    def test_it_is_no_way_in(self):
        self.attacker.create(name="frames")
        data = self.refused(
            "PermissionDenied", self.victim, "stat", name="frames", owner=ATTACKER.uid
        )
        self.assertNotEqual(data["needs"], "owner")


@needs_several_uids
class Command(NamesCase):
    """shmdctl trusts the caller's, root's and the daemon's segments only."""

    def setUp(self):
        super().setUp()
        self.segment = self.attacker.create(name="frames", mode="0666")

    def check_refused(self, *arguments, **more):
        status, out, err = self.ctl(*arguments, **more)
        # Where a command is run, its exit status cannot be taken for the refusal.
        wanted = NOT_STARTED if "--" in arguments else PERMISSION_DENIED
        self.assertEqual((status, out), (wanted, b""), err)
        self.assertRegex(err.decode(), rf"\b{ATTACKER.uid}\b", "it says whose the segment is")
        self.assertIn("--owner", err.decode())
        self.assertIn("--any-owner", err.decode())

    def bytes_of_it(self):
        return as_user(ATTACKER, lambda: sysv.read(self.segment["shmid"], 64))

    def test_write(self):
        self.check_refused("write", "frames", data=SECRET)
        self.assertEqual(self.bytes_of_it(), bytes(64))
        status, _, err = self.ctl("write", "frames", "--any-owner", data=SECRET)
        self.assertEqual(status, 0, err)
        self.assertTrue(self.bytes_of_it().startswith(SECRET))

    def test_read(self):
        self.check_refused("read", "frames", "--length", 8)
        status, out, err = self.ctl("read", "frames", "--length", 8, "--owner", ATTACKER.uid)
        self.assertEqual((status, out), (0, bytes(8)), err)
        self.check_refused("read", "frames", "--length", 8, "--owner", VICTIM.uid)

    def test_wait(self):
        self.check_refused("wait", "frames", "--timeout", "1s")
        status, _, err = self.ctl("wait", "frames", "--timeout", "1s", "--any-owner")
        self.assertEqual(status, 0, err)

    def test_hold(self):
        self.attacker.call("set", name="frames", lifetime="process")
        self.check_refused("hold", "frames", "--", "true")
        status, _, err = self.ctl("hold", "frames", "--any-owner", "--", "true")
        self.assertEqual(status, 0, err)

    def test_run(self):
        self.check_refused("run", "frames", "--size", "4K", "--", "true")

    def test_ones_own(self):
        self.victim.create(name="mine")
        status, _, err = self.ctl("write", "mine", data=SECRET)
        self.assertEqual(status, 0, err)
        status, out, err = self.ctl("read", "mine", "--length", len(SECRET))
        self.assertEqual((status, out), (0, SECRET), err)


@needs_several_uids
class Reserved(NamesCase):
    """[names]: who may create or rename below a prefix."""

    MEMBER = User(3050, 3050, (4000,))
    CONFIG = f"[names]\npostgres/ = {VICTIM.uid}\nteam/mine/ = {VICTIM.uid}\nteam/ = @4000\n"

    def test_only_its_user_and_admins_create(self):
        self.refused("PermissionDenied", self.attacker, "create", name="postgres/a", size=1)
        self.victim.create(name="postgres/a")
        self.admin.create(name="postgres/b")
        self.attacker.create(name="postgres")
        self.attacker.create(name="postgres-a")

    def test_only_its_group(self):
        self.refused("PermissionDenied", self.attacker, "create", name="team/a", size=1)
        self.refused("PermissionDenied", self.victim, "create", name="team/a", size=1)
        self.connect(self.daemon, self.MEMBER).create(name="team/a")

    def test_the_longest_prefix_counts(self):
        member = self.connect(self.daemon, self.MEMBER)
        self.refused("PermissionDenied", member, "create", name="team/mine/a", size=1)
        self.victim.create(name="team/mine/a")

    def test_a_group_of_the_users_number_is_another(self):
        for user in (User(3051, VICTIM.uid, ()), User(3051, 3051, (VICTIM.uid,))):
            client = self.connect(self.daemon, user)
            self.refused("PermissionDenied", client, "create", name="postgres/a", size=1)

    def test_whose_segment_has_the_name_does_not_count(self):
        self.admin.create(name="postgres/a", uid=ATTACKER.uid, gid=ATTACKER.gid)
        self.refused(
            "PermissionDenied", self.attacker, "create", name="postgres/a", size=1, replace=True
        )

    def test_by_every_way_to_a_name(self):
        self.attacker.create(name="mine")
        self.refused("PermissionDenied", self.attacker, "set", name="mine", new_name="postgres/a")
        shmid = as_user(ATTACKER, lambda: sysv.create(4096))
        as_user(ATTACKER, lambda: sysv.set_owner(shmid, DAEMON.uid, ATTACKER.gid, 0o600))
        self.refused("PermissionDenied", self.attacker, "adopt", shmid=shmid, name="postgres/a")
        self.refused(
            "PermissionDenied", self.attacker, "create", name="postgres/a", size=1, replace=True
        )

    def test_what_is_there_is_found_by_all(self):
        self.victim.create(name="postgres/a", mode="0644")
        self.attacker.stat(name="postgres/a")
        self.attacker.call("wait", name="postgres/a", timeout_ms=0)


@needs_several_uids
class Private(NamesCase):
    """A refusal tells nothing of what the caller may not read."""

    def check_tells_nothing(self, reply):
        self.assertIn("error", reply)
        self.assertLessEqual(set(reply["error"]["data"]), {"error", "needs"}, reply)
        for number in (self.secret["serial"], self.secret["shmid"]):
            self.assertNotRegex(reply["error"]["message"], rf"\b{number}\b")

    def setUp(self):
        super().setUp()
        # So that its serial is a number of some length.
        for i in range(40):
            self.admin.create(name=f"other/{i}")
        # A process of its own: this one is the attacker's, and would be a holder.
        self.owner = Peer(self.daemon.socket_path, VICTIM)
        self.addCleanup(self.owner.end)
        self.secret = self.owner.create(name="secret", key=99, mode="0600", lifetime="process")

    def test_by_name_and_key(self):
        requests = {
            "stat": {},
            "set": {"mode": "0666"},
            "remove": {},
            "ready": {},
            "hold": {},
            "release": {},
        }
        for target in ({"name": "secret"}, {"key": 99}):
            for method, more in requests.items():
                with self.subTest(method=method, target=target):
                    self.check_tells_nothing(self.attacker.request(method, **target, **more))

    def test_create(self):
        for target in ({"name": "secret"}, {"key": 99}):
            for more in ({}, {"exclusive": True}, {"any_owner": True}):
                with self.subTest(target=target, more=more):
                    self.check_tells_nothing(
                        self.attacker.request("create", size=1, **target, **more)
                    )

    def test_wait(self):
        self.check_tells_nothing(self.attacker.request("wait", name="secret", timeout_ms=0))

    def test_a_rename_onto_it(self):
        self.attacker.create(name="mine")
        self.check_tells_nothing(self.attacker.request("set", name="mine", new_name="secret"))

    def test_an_adoption_of_it(self):
        for target in ({"key": 99}, {"shmid": self.secret["shmid"]}):
            with self.subTest(target=target):
                self.check_tells_nothing(self.attacker.request("adopt", **target))
        # Nor to who may change it and no longer read it.
        self.attacker.create(key=98)
        self.admin.call("set", key=98, uid=VICTIM.uid, gid=VICTIM.gid)
        self.check_tells_nothing(self.attacker.request("adopt", key=98))

    def test_an_adoption_onto_it(self):
        shmid = as_user(ATTACKER, lambda: sysv.create(4096))
        as_user(ATTACKER, lambda: sysv.set_owner(shmid, DAEMON.uid, ATTACKER.gid, 0o600))
        self.check_tells_nothing(self.attacker.request("adopt", shmid=shmid, name="secret"))

    def test_who_may_read_is_told(self):
        self.victim.call("set", name="secret", mode="0644")
        data = self.refused(
            "SegmentExists", self.attacker, "create", name="secret", size=1, exclusive=True
        )
        self.assertEqual(
            (data["serial"], data["shmid"]), (self.secret["serial"], self.secret["shmid"])
        )


@needs_several_uids
class Events(NamesCase):
    CONFIG = "reconcile_ms = 3600000\n"

    def test_a_mode_that_was_changed_in_the_kernel_decides(self):
        """The owner closes the segment in the kernel, and the daemon has not looked since."""
        listener = self.connect(self.daemon, ATTACKER)
        listener.call("subscribe", kinds=["removed", "created", "changed"])
        made = self.victim.create(name="v", mode="0644")
        self.assertEqual(listener.reply()["params"]["segment"]["serial"], made["serial"])
        as_user(VICTIM, lambda: sysv.set_owner(made["shmid"], VICTIM.uid, VICTIM.gid, 0o600))
        self.victim.call("remove", name="v")
        fence = self.victim.create(name="fence", mode="0644")
        event = listener.reply()["params"]
        self.assertEqual(event["segment"]["serial"], fence["serial"], event)


@needs_several_uids
class Escapes(NamesCase):
    """What others say reaches a terminal and a log escaped."""

    LABELS = {"a": "\x1b[31mred\x07", "b": "two\nlines\r", "c": "c1 \x9b31m \x85", "d": "plain é"}

    def check_plain(self, data):
        text = data.decode("utf-8")  # fails on what is not UTF-8
        bad = [c for c in text if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0]
        self.assertEqual(bad, [], text)

    def test_labels(self):
        self.attacker.create(name="a", mode="0644", labels=self.LABELS)
        for arguments in (["stat", "a"], ["stat", "a", "--json"], ["list"], ["list", "--json"],
                          ["wait", "a", "--any-owner"], ["stat", "a", "--output", "LABELS"]):
            with self.subTest(arguments=arguments):
                status, out, err = self.ctl(*arguments, user=ROOT)
                self.check_plain(out)
                self.check_plain(err)
                if arguments == ["stat", "a"]:
                    self.assertEqual(status, 0, err)
                    self.assertIn("plain é", out.decode())
                    self.assertNotIn("two\nlines", out.decode())
        with open(self.daemon._stderr_path, "rb") as log:
            self.check_plain(log.read())

    def test_the_daemons_answers(self):
        text = "".join(map(chr, range(1, 0xA0)))
        self.attacker.create(name="a", mode="0644", labels={"a": text})
        self.victim.send(encode("stat", {"name": "a"}, id=1))
        line = self.victim.read_line()
        self.assertEqual([byte for byte in line if byte < 0x20 or byte == 0x7F], [])
        self.assertEqual(json.loads(line)["result"]["segment"]["labels"], {"a": text})

    def test_the_name_of_a_process(self):
        def serve(report):
            sysv.libc.prctl(15, b"\x1b[2J\xff\x9b\n", 0, 0, 0)  # PR_SET_NAME
            with Client(self.daemon.socket_path) as client:
                client.create(name="a", mode="0644", lifetime="process")
                report(None)
                signal.pause()

        child = Child(ATTACKER, serve)
        self.addCleanup(child.end)
        child.outcome()
        for arguments in (["stat", "a"], ["stat", "a", "--json"]):
            status, out, err = self.ctl(*arguments)
            self.assertEqual(status, 0, err)
            self.check_plain(out)
        with open(self.daemon._stderr_path, "rb") as log:
            self.check_plain(log.read())


@needs_several_uids
class Impostors(NamesCase):
    def test_processes_called_shmd(self):
        """A daemon is known by its socket. 80 processes that are called like one switch nothing off."""

        def be_called_shmd():
            sysv.libc.prctl(15, b"shmd", 0, 0, 0)
            sysv.libc.prctl(1, signal.SIGKILL, 0, 0, 0)

        def serve(report):
            be_called_shmd()
            for _ in range(79):
                if os.fork() == 0:
                    be_called_shmd()
                    signal.pause()
            report(None)
            signal.pause()

        def is_collected():
            leaked = as_user(VICTIM, lambda: sysv.create(4096))
            status, out, err = self.ctl("gc", "--remove", "--older-than", "0", user=ROOT)
            self.assertEqual(status, 0, (out, err))
            return not sysv.exists(leaked)

        self.assertTrue(is_collected(), "without them")
        child = Child(ATTACKER, serve)
        self.addCleanup(child.end)
        child.outcome()
        self.assertTrue(is_collected(), "with them")


main()
