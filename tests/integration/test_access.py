# SPDX-License-Identifier: MIT
"""Who may do what, with a daemon that has no privilege: the kernel judges every attach, the
daemon every request, and both by the same owner, group and mode.
"""

import errno
import re
import resource

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    TestCase,
    User,
    as_user,
    encode,
    main,
    needs_several_uids,
)
from peers import Peer

PROJECT = 4001  # a group
MEMBER = User(BOB.uid, BOB.gid, (PROJECT,))
ADMINS = 4444
OPERATOR = User(3003, 3003, (ADMINS,))
ALICE_OF_PROJECT = User(ALICE.uid, ALICE.gid, (PROJECT,))


@needs_several_uids
class AccessCase(TestCase):
    CONFIG = f"admin_group = {ADMINS}\n"

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.alice = self.connect(self.daemon, ALICE_OF_PROJECT)
        self.bob = self.connect(self.daemon, BOB)

    def shown_to(self, client):
        return [segment["name"] for segment in client.list()]


class Private(AccessCase):
    def setUp(self):
        super().setUp()
        self.shmid = self.alice.create(name="frames", mode="0600")["shmid"]

    def test_its_owner_attaches(self):
        as_user(ALICE, lambda: sysv.write(self.shmid, b"hers"))
        self.assertEqual(as_user(ALICE, lambda: sysv.read(self.shmid, 4)), b"hers")

    def test_the_kernel_refuses_a_stranger(self):
        for flags in (0, sysv.SHM_RDONLY):
            with self.subTest(flags=flags), self.fails_with(errno.EACCES):
                as_user(BOB, lambda f=flags: sysv.attach(self.shmid, f) and None)

    def test_the_daemon_refuses_a_stranger(self):
        serial = self.alice.stat(name="frames")["serial"]
        for target in ({"name": "frames"}, {"shmid": self.shmid}, {"serial": serial}):
            for method in ("stat", "set", "remove"):
                with self.subTest(method=method, target=target):
                    data = self.refused("PermissionDenied", self.bob, method, **target)
                    self.assertTrue(data["needs"])
        self.assertTrue(sysv.exists(self.shmid))

    def test_the_log_tells_of_it(self):
        serial = self.alice.stat(name="frames")["serial"]
        self.refused("PermissionDenied", self.bob, "remove", shmid=self.shmid)
        self.refused("SizeMismatch", self.alice, "create", name="frames", size=1 << 20)
        self.refused("NoSuchSegment", self.alice, "remove", name="none")
        segment = f"frames serial {serial} shmid {self.shmid}"
        for start, user in (
            (f"remove refused: {segment}, PermissionDenied: owner, creator or admin", BOB),
            (f"create refused: {segment}, SizeMismatch", ALICE),
            ("remove refused: none, NoSuchSegment", ALICE),
        ):
            with self.subTest(start=start):
                self.assertRegex(self.daemon.log(),
                                 re.escape(start) + rf" \(peer pid \d+ uid {user.uid} \S+\)\n")

    def test_a_stranger_does_not_see_it(self):
        self.assertEqual(self.shown_to(self.bob), [])
        self.assertEqual(self.shown_to(self.alice), ["frames"])


class ReadOnly(AccessCase):
    def setUp(self):
        super().setUp()
        self.shmid = self.alice.create(name="frames", mode="0644")["shmid"]
        as_user(ALICE, lambda: sysv.write(self.shmid, b"hers"))

    def test_a_stranger_attaches_read_only(self):
        self.assertEqual(as_user(BOB, lambda: sysv.read(self.shmid, 4)), b"hers")
        with self.fails_with(errno.EACCES):
            as_user(BOB, lambda: sysv.write(self.shmid, b"mine"))

    def test_a_stranger_sees_and_may_not_change(self):
        self.assertEqual(self.bob.stat(name="frames")["mode"], "0644")
        self.assertEqual(self.shown_to(self.bob), ["frames"])
        self.refused("PermissionDenied", self.bob, "set", name="frames", mode="0666")
        self.refused("PermissionDenied", self.bob, "set", name="frames", new_name="mine")
        self.refused("PermissionDenied", self.bob, "set", name="frames", labels={})
        self.refused("PermissionDenied", self.bob, "remove", name="frames")
        self.assertEqual(self.alice.stat(name="frames")["mode"], "0644")

    def test_write_only_is_not_read(self):
        self.alice.call("set", name="frames", mode="0602")
        self.refused("PermissionDenied", self.bob, "stat", name="frames")
        with self.fails_with(errno.EACCES):
            as_user(BOB, lambda: sysv.stat(self.shmid))


class Closed(AccessCase):
    def test_mode_0_is_listed_for_those_who_may_change_it(self):
        self.alice.create(name="frames", mode="0600")
        self.alice.call("set", name="frames", mode="0000")
        self.assertEqual(self.shown_to(self.alice), ["frames"])
        self.assertEqual(self.shown_to(self.bob), [])
        self.refused("PermissionDenied", self.bob, "stat", name="frames")


class Held(AccessCase):
    """Who holds a segment may let go of it, whatever became of its mode meanwhile."""

    def check(self, lifetime, alice, bob, stranger):
        alice.call("create", name="frames", size=1, mode="0644", lifetime=lifetime)
        self.assertEqual(bob.call("hold", name="frames")["segment"]["holders"], 2)
        alice.call("set", name="frames", mode="0600")
        self.refused("PermissionDenied", self.bob, "stat", name="frames")
        self.refused("PermissionDenied", stranger, "release", name="frames")
        self.assertEqual(bob.call("release", name="frames")["segment"]["holders"], 1)
        data = self.refused("PermissionDenied", self.bob, "release", name="frames")
        self.assertEqual(data["needs"], "read")
        self.assertEqual(alice.call("release", name="frames")["segment"]["state"], "removed")

    def test_by_a_connection(self):
        self.check("connection", self.alice, self.connect(self.daemon, BOB), self.bob)

    def test_by_a_process(self):
        peers = [Peer(self.daemon.socket_path, user) for user in (ALICE, BOB)]
        for peer in peers:
            self.addCleanup(peer.end)
        self.check("process", *peers, self.bob)


class Groups(AccessCase):
    def setUp(self):
        super().setUp()
        self.shmid = self.alice.create(name="frames", mode="0660", gid=PROJECT)["shmid"]

    def test_a_supplementary_group_gets_in(self):
        as_user(MEMBER, lambda: sysv.write(self.shmid, b"ours"))
        member = self.connect(self.daemon, MEMBER)
        self.assertEqual(member.stat(name="frames")["gid"], PROJECT)
        self.assertEqual(self.shown_to(member), ["frames"])

    def test_it_may_not_change(self):
        member = self.connect(self.daemon, MEMBER)
        self.refused("PermissionDenied", member, "set", name="frames", mode="0666")
        self.refused("PermissionDenied", member, "remove", name="frames")

    def test_the_primary_group_gets_in(self):
        user = User(3005, PROJECT, ())
        as_user(user, lambda: sysv.write(self.shmid, b"ours"))
        self.assertEqual(self.shown_to(self.connect(self.daemon, user)), ["frames"])

    def test_who_is_not_in_it_stays_out(self):
        with self.fails_with(errno.EACCES):
            as_user(BOB, lambda: sysv.read(self.shmid, 1))
        self.refused("PermissionDenied", self.bob, "stat", name="frames")

    def test_group_bits_bind_the_group(self):
        """As the kernel has it: a member is not «the rest», even when the rest may more."""
        self.alice.call("set", name="frames", mode="0604")
        self.refused("PermissionDenied", self.connect(self.daemon, MEMBER), "stat", name="frames")
        with self.fails_with(errno.EACCES):
            as_user(MEMBER, lambda: sysv.stat(self.shmid))
        self.assertEqual(self.bob.stat(name="frames")["mode"], "0604")

    def test_many_groups(self):
        groups = tuple(range(5000, 5300)) + (PROJECT,)
        member = self.connect(self.daemon, User(BOB.uid, BOB.gid, groups))
        self.assertEqual(self.shown_to(member), ["frames"])


class SameJudgement(AccessCase):
    def test_stat_is_allowed_where_the_kernels_is(self):
        """Every mode, as owner, group and the rest: the daemon says what IPC_STAT would."""
        everyone = {
            "owner": ALICE,
            "group": User(3006, PROJECT, ()),
            "member": MEMBER,
            "daemon's group": User(3007, DAEMON.gid, ()),
            "rest": BOB,
        }
        clients = {who: self.connect(self.daemon, user) for who, user in everyone.items()}
        root = self.connect(self.daemon, ROOT)
        shmid = self.alice.create(name="frames", gid=PROJECT)["shmid"]

        def kernel_lets(user):
            try:
                as_user(user, lambda: sysv.stat(shmid))
            except PermissionError:
                return False
            return True

        for mode in ("0400", "0200", "0040", "0020", "0004", "0002", "0440", "0404", "0044"):
            root.call("set", name="frames", mode=mode)
            for who, user in everyone.items():
                with self.subTest(mode=mode, who=who):
                    reply = clients[who].request("stat", name="frames")
                    self.assertEqual("result" in reply, kernel_lets(user))
                    shown = bool(clients[who].list())
                    self.assertEqual(shown, "result" in reply)


class Admins(AccessCase):
    def setUp(self):
        super().setUp()
        self.alice.create(name="frames", mode="0600")

    def check_is_admin(self, user):
        client = self.connect(self.daemon, user)
        self.assertEqual(self.shown_to(client), ["frames"])
        self.assertEqual(client.stat(name="frames")["uid"], ALICE.uid)
        client.call("set", name="frames", uid=BOB.uid, gid=BOB.gid, mode="0640")
        found = sysv.stat(client.stat(name="frames")["shmid"])
        self.assertEqual((found.uid, found.gid, found.mode), (BOB.uid, BOB.gid, 0o640))
        given = client.create(name="given", uid=ALICE.uid, gid=ALICE.gid)
        self.assertEqual(given["uid"], ALICE.uid)
        client.call("remove", name="frames")
        self.assertEqual(self.shown_to(client), ["given"])

    def test_root(self):
        self.check_is_admin(ROOT)

    def test_the_daemons_own_uid(self):
        self.check_is_admin(User(DAEMON.uid, 3999, ()))

    def test_a_member_of_the_admin_group(self):
        self.check_is_admin(OPERATOR)

    def test_a_primary_admin_group(self):
        self.check_is_admin(User(3004, ADMINS, ()))

    def test_nobody_else(self):
        client = self.connect(self.daemon, User(3003, 3003, (ADMINS + 1,)))
        self.assertEqual(self.shown_to(client), [])
        self.refused("PermissionDenied", client, "remove", name="frames")
        self.refused("PermissionDenied", client, "create", size=1, uid=ALICE.uid)


class WithoutAdminGroup(AccessCase):
    CONFIG = ""

    def test_the_group_means_nothing(self):
        self.alice.create(name="frames", mode="0600")
        operator = self.connect(self.daemon, OPERATOR)
        self.assertEqual(self.shown_to(operator), [])
        self.refused("PermissionDenied", operator, "remove", name="frames")

    def test_nor_does_group_0(self):
        self.alice.create(name="frames", mode="0600")
        for user in (User(3003, 0, ()), User(3003, 3003, (0,))):
            client = self.connect(self.daemon, user)
            self.assertEqual(self.shown_to(client), [])
            self.refused("PermissionDenied", client, "remove", name="frames")


class CreatorOfRecord(AccessCase):
    """Who asked for a segment keeps its right to change and remove it when another owns it."""

    def test_after_an_admin_gave_it_away(self):
        shmid = self.alice.create(name="frames")["shmid"]
        self.connect(self.daemon, ROOT).call("set", name="frames", uid=BOB.uid, gid=BOB.gid)
        self.refused("PermissionDenied", self.alice, "stat", name="frames")
        self.alice.call("set", name="frames", labels={"a": "1"})
        self.assertEqual(self.bob.stat(name="frames")["labels"], {"a": "1"})
        self.alice.call("remove", name="frames")
        self.assertFalse(sysv.exists(shmid))

    def test_the_new_owner_may_too(self):
        self.alice.create(name="frames")
        self.connect(self.daemon, ROOT).call("set", name="frames", uid=BOB.uid, gid=BOB.gid)
        self.bob.call("set", name="frames", mode="0644")
        self.bob.call("remove", name="frames")

    def test_the_daemons_segment_stays_the_callers_business(self):
        segment = self.alice.create(name="frames", uid=DAEMON.uid, gid=PROJECT, mode="0660")
        as_user(ALICE_OF_PROJECT, lambda: sysv.write(segment["shmid"], b"x"))
        self.refused("PermissionDenied", self.connect(self.daemon, MEMBER), "remove", name="frames")
        self.alice.call("remove", name="frames")


class Socket(AccessCase):
    def test_its_mode_says_who_gets_in(self):
        daemon = self.launch_daemon(
            "--socket-mode", "0600", directory=self.daemon_directory("private")
        )
        daemon.wait_until_ready()
        with self.assertRaises(PermissionError):
            daemon.connect(ALICE)
        self.assertEqual(self.connect(daemon, DAEMON).list(), [])

    def turned_away(self, daemon, user):
        """What is said, and the line that the log has of it."""
        client = self.connect(daemon, user)
        error = client.reply()["error"]
        self.assertIsNone(client.reply())
        lines = re.findall(r"connection refused: .*", daemon.log())
        self.assertEqual(len(lines), 1, lines)
        return error["message"], lines[0]

    def test_whom_a_quota_keeps_out(self):
        daemon = self.start_daemon(directory=self.daemon_directory("full"),
                                   config="max_connections_per_uid = 1\n")
        self.connect(daemon, ALICE).list()
        said, line = self.turned_away(daemon, ALICE)
        self.assertIn("close connections that are idle", said)
        self.assertRegex(line, r": QuotaExceeded: max_connections_per_uid "
                               rf"\(peer pid \d+ uid {ALICE.uid}\)$")

    def test_whom_the_lack_of_descriptors_keeps_out(self):
        daemon = self.start_daemon(directory=self.daemon_directory("short"),
                                   rlimits={resource.RLIMIT_NOFILE: 40})
        clients = []
        while "connection refused" not in daemon.log():
            self.assertLess(len(clients), 40)
            clients.append(self.connect(daemon, ALICE))
            clients[-1].send_what_is_taken(encode("list", id=1))
            clients[-1].reply()
        self.assertRegex(daemon.log(), r"connection refused: LimitReached: Too many open files "
                                       rf"\(peer pid \d+ uid {ALICE.uid}\)\n")


main()
