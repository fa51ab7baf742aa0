# SPDX-License-Identifier: MIT
"""create: what makes a segment, what returns one that is there, and what is refused."""

import os

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    TestCase,
    User,
    as_user,
    main,
    needs_several_uids,
    without_details,
)

HUGE_PAGE = 2 << 20


class CreateCase(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def check_refuses_parameter(self, parameter, /, **params):
        data = self.refuses_parameter(parameter, self.client, "create", **params)
        self.assertEqual(sysv.proc_table(), {}, "nothing was made")
        return data


class New(CreateCase):
    def test_it_is_the_daemons_making_and_the_callers_own(self):
        result = self.client.call("create", name="frames", size=4096)
        self.assertIs(result["created"], True)
        found = sysv.stat(result["segment"]["shmid"])
        maker = DAEMON if SEVERAL_UIDS else ROOT
        self.assertEqual((found.uid, found.gid), (SOMEBODY.uid, SOMEBODY.gid))
        self.assertEqual((found.cuid, found.cgid), (maker.uid, maker.gid))
        self.assertEqual((found.size, found.mode), (4096, 0o600))
        self.assertEqual(found.cpid, self.daemon.pid)

    def test_the_answer_is_what_stat_says(self):
        created = self.client.create(name="frames", labels={"a": "b"})
        found = without_details(self.client.stat(name="frames"))
        self.assertEqual(created, found)

    def test_it_is_empty_and_writable_to_its_owner(self):
        shmid = self.client.create(size=129)["shmid"]
        self.assertEqual(as_user(SOMEBODY, lambda: sysv.read(shmid, 129)), bytes(129))
        as_user(SOMEBODY, lambda: sysv.write(shmid, b"hello"))
        self.assertEqual(sysv.read(shmid, 5), b"hello")

    def test_no_name_is_always_a_new_one(self):
        serials = {self.client.create()["serial"] for _ in range(3)}
        self.assertEqual(len(serials), 3)

    def test_key_0_is_private(self):
        one, two = self.client.create(key=0), self.client.create(key=0)
        self.assertNotEqual(one["serial"], two["serial"])
        self.assertEqual((one["key"], two["key"]), (0, 0))

    def test_keys_signed_and_unsigned(self):
        for given, shown in ((1, 1), (2**31 - 1, 2**31 - 1), (2**31, 2**31),
                             (2**32 - 1, 2**32 - 1), (-2, 2**32 - 2), (-(2**31) + 1, 2**31 + 1)):
            with self.subTest(key=given):
                segment = self.client.create(key=given)
                self.assertEqual(segment["key"], shown)
                self.assertEqual(sysv.find(given), segment["shmid"])

    def test_the_lowest_key_is_the_same_as_2_to_the_31(self):
        segment = self.client.create(key=2**31)
        again = self.client.call("create", key=-(2**31), size=4096)
        self.assertIs(again["created"], False)
        self.assertEqual(again["segment"]["serial"], segment["serial"])

    def test_modes(self):
        for given, shown in (("0600", "0600"), ("640", "0640"), ("0777", "0777"), ("000", "0000")):
            with self.subTest(mode=given):
                segment = self.client.create(mode=given)
                self.assertEqual(segment["mode"], shown)
                self.assertEqual(sysv.stat(segment["shmid"]).mode, int(given, 8))

    def test_names(self):
        for name in ("a", "_x", "9", "A.b_c:d@e/f-g", "x" * 255):
            with self.subTest(name=name):
                self.assertEqual(self.client.create(name=name)["name"], name)
                self.assertEqual(self.client.stat(name=name)["name"], name)

    def test_labels(self):
        labels = {f"k{i}": "é" * 127 for i in range(15)} | {"k" * 63: ""}
        self.assertEqual(self.client.create(name="full", labels=labels)["labels"], labels)
        self.assertEqual(self.client.stat(name="full")["labels"], labels)

    def test_labels_of_any_utf8(self):
        value = 'quote " backslash \\ tab \t newline \n euro € clef 𝄞'
        self.client.create(name="odd", labels={"text": value})
        self.assertEqual(self.client.stat(name="odd")["labels"], {"text": value})

    def test_explicit_defaults(self):
        segment = self.client.create(
            name="plain", lifetime="persistent", ttl_ms=0, ready=True, labels={},
            huge_page_size=0, noreserve=False, locked=False, any_owner=False, exclusive=False,
        )
        self.assertEqual((segment["lifetime"], segment["state"]), ("persistent", "ready"))
        self.assertNotIn("expires_at_ms", segment)

    def test_noreserve(self):
        segment = self.client.create(size=64 << 20, noreserve=True)
        self.assertIs(segment["noreserve"], True)
        self.assertEqual(sysv.stat(segment["shmid"]).size, 64 << 20)

    def test_locked(self):
        segment = self.client.create(locked=True)
        self.assertIs(segment["locked"], True)
        self.assertTrue(sysv.stat(segment["shmid"]).mode & sysv.SHM_LOCKED)


@needs_several_uids
class HugePages(TestCase):
    def setUp(self):
        super().setUp()
        if not os.path.isdir(f"/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE >> 10}kB"):
            self.skipTest("this kernel has no huge pages of 2 MiB")
        with open("/proc/sys/vm/hugetlb_shm_group", encoding="ascii") as file:
            group = int(file.read())
        daemon = self.start_daemon(user=User(DAEMON.uid, DAEMON.gid, (group,)))
        self.client = self.connect(daemon)

    def test_without_reservation(self):
        segment = self.client.create(size=HUGE_PAGE, huge_page_size=HUGE_PAGE, noreserve=True)
        self.assertEqual((segment["huge_page_size"], segment["noreserve"]), (HUGE_PAGE, True))
        found = self.client.stat(serial=segment["serial"])
        self.assertEqual(found["huge_page_size"], HUGE_PAGE)

    def test_with_reservation(self):
        path = f"/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE >> 10}kB/free_hugepages"
        with open(path, encoding="ascii") as file:
            if int(file.read()) == 0:
                self.skipTest("no huge page is free on this machine")
        shmid = self.client.create(size=HUGE_PAGE, huge_page_size=HUGE_PAGE)["shmid"]
        as_user(SOMEBODY, lambda: sysv.write(shmid, b"huge"))

    def test_a_size_that_is_no_power_of_two(self):
        data = self.refused(
            "InvalidParameter", self.client, "create", size=HUGE_PAGE, huge_page_size=3000000
        )
        self.assertEqual(data["parameter"], "huge_page_size")

    def test_a_size_this_machine_has_not(self):
        if os.path.isdir("/sys/kernel/mm/hugepages/hugepages-4096kB"):
            self.skipTest("this machine has huge pages of 4 MiB")
        with self.assertRaises(Exception) as caught:
            self.client.create(size=4 << 20, huge_page_size=4 << 20)
        self.assertIn(
            caught.exception.data["error"],
            ("io.shmd.NotSupported", "org.varlink.service.InvalidParameter"),
        )
        self.assertIn("huge_page_size", str(caught.exception))
        self.assertEqual(sysv.proc_table(), {})


class Owner(CreateCase):
    def test_ones_own_uid_may_be_said(self):
        segment = self.client.create(uid=SOMEBODY.uid, gid=SOMEBODY.gid)
        self.assertEqual((segment["uid"], segment["gid"]), (SOMEBODY.uid, SOMEBODY.gid))

    @needs_several_uids
    def test_the_daemons_uid_and_a_group_of_ones_own(self):
        # What survives logind: a system user's segment, the user's by group.
        member = self.connect(self.daemon, User(ALICE.uid, ALICE.gid, (4001,)))
        segment = member.create(uid=DAEMON.uid, gid=4001, mode="0660")
        self.assertEqual((segment["uid"], segment["gid"]), (DAEMON.uid, 4001))
        as_user(User(BOB.uid, BOB.gid, (4001,)), lambda: sysv.write(segment["shmid"], b"x"))

    @needs_several_uids
    def test_anybody_else_needs_an_admin(self):
        for params in ({"uid": BOB.uid}, {"gid": BOB.gid}, {"uid": 0}, {"gid": DAEMON.gid}):
            with self.subTest(params=params):
                data = self.refused(
                    "PermissionDenied", self.client, "create", size=4096, **params
                )
                self.assertTrue(data["needs"])
        self.assertEqual(sysv.proc_table(), {})
        segment = self.connect(self.daemon, ROOT).create(uid=BOB.uid, gid=BOB.gid)
        self.assertEqual((segment["uid"], segment["gid"]), (BOB.uid, BOB.gid))
        self.assertEqual(segment["creator"]["uid"], ROOT.uid)
        as_user(BOB, lambda: sysv.write(segment["shmid"], b"x"))


class Existing(CreateCase):
    def test_the_same_name_gives_the_same_segment(self):
        one = self.client.create(name="frames", size=8192, labels={"a": "1"})
        for size in (8192, 1):
            with self.subTest(size=size):
                two = self.client.call(
                    "create", name="frames", size=size, mode="0666", labels={"a": "2"}
                )
                self.assertIs(two["created"], False)
                two["segment"].pop("holder_list", None)
                self.assertEqual(two["segment"], one, "it is not changed")

    def test_the_same_key_gives_the_same_segment(self):
        one = self.client.create(key=77)
        two = self.client.call("create", key=77, size=4096)
        self.assertIs(two["created"], False)
        self.assertEqual(two["segment"]["serial"], one["serial"])

    def test_exclusive(self):
        one = self.client.create(name="frames", key=77)
        for params in ({"name": "frames"}, {"key": 77}):
            with self.subTest(params=params):
                data = self.refused(
                    "SegmentExists", self.client, "create", size=4096, exclusive=True, **params
                )
                self.assertEqual((data["serial"], data["shmid"]), (one["serial"], one["shmid"]))
        self.assertEqual(list(sysv.proc_table()), [one["shmid"]])

    def test_exclusive_makes_what_is_not_there(self):
        result = self.client.call("create", name="frames", size=4096, exclusive=True)
        self.assertIs(result["created"], True)

    def test_too_small(self):
        self.client.create(name="frames", key=77, size=4096)
        for params in ({"name": "frames"}, {"key": 77}):
            with self.subTest(params=params):
                data = self.refused("SizeMismatch", self.client, "create", size=4097, **params)
                self.assertEqual((data["size"], data["requested"]), (4096, 4097))

    def test_name_and_key_of_two_segments(self):
        one, two = self.client.create(name="one"), self.client.create(key=77)
        data = self.refused("SegmentExists", self.client, "create", size=1, name="one", key=77)
        self.assertIn(data["serial"], (one["serial"], two["serial"]))
        self.assertEqual(len(sysv.proc_table()), 2)

    def test_a_foreign_segment_has_the_key(self):
        shmid = sysv.create(4096, key=77)
        for exclusive in (False, True):
            with self.subTest(exclusive=exclusive):
                data = self.refused(
                    "KeyInUse", self.client, "create", name="mine", key=77, size=4096,
                    exclusive=exclusive,
                )
                self.assertEqual((data["key"], data["shmid"]), (77, shmid))
        self.assertEqual(list(sysv.proc_table()), [shmid])
        self.refused("NoSuchSegment", self.client, "stat", name="mine")

    def test_key_in_use_shows_the_key_unsigned(self):
        sysv.create(4096, key=-3)
        data = self.refused("KeyInUse", self.client, "create", key=-3, size=4096)
        self.assertEqual(data["key"], 2**32 - 3)


@needs_several_uids
class Squatting(CreateCase):
    """Nobody is fed a stranger's segment by a squatted name."""

    def setUp(self):
        super().setUp()
        self.bob = self.connect(self.daemon, BOB)
        self.root = self.connect(self.daemon, ROOT)
        self.operator = self.connect(self.daemon, DAEMON)

    def test_a_strangers_segment_needs_any_owner(self):
        squatted = self.client.create(name="frames", key=77, mode="0666")
        for client in (self.bob, self.root):
            for params in ({"name": "frames"}, {"key": 77}):
                with self.subTest(params=params):
                    data = self.refused("PermissionDenied", client, "create", size=4096, **params)
                    self.assertEqual(data["needs"], "any_owner")
                    result = client.call("create", size=4096, any_owner=True, **params)
                    self.assertIs(result["created"], False)
                    self.assertEqual(result["segment"]["serial"], squatted["serial"])

    def test_exclusive_tells_that_it_is_there(self):
        self.client.create(name="frames", mode="0666")
        self.refused("SegmentExists", self.bob, "create", name="frames", size=1, exclusive=True)

    def test_any_owner_is_no_way_in(self):
        self.client.create(name="frames", mode="0600")
        data = self.refused(
            "PermissionDenied", self.bob, "create", name="frames", size=1, any_owner=True
        )
        self.assertNotEqual(data["needs"], "any_owner")

    def test_roots_and_the_daemons_are_trusted(self):
        for name, client in (("roots", self.root), ("daemons", self.operator)):
            with self.subTest(name=name):
                made = client.create(name=name, mode="0644")
                found = self.bob.call("create", name=name, size=1)
                self.assertIs(found["created"], False)
                self.assertEqual(found["segment"]["serial"], made["serial"])

    def test_a_gift_is_not_ones_own_by_name(self):
        # Alice keeps rights on what she handed to the daemon: it is no safer than hers.
        self.client.create(name="frames", mode="0666")
        self.client.call("set", name="frames", uid=DAEMON.uid)
        self.refused("PermissionDenied", self.bob, "create", name="frames", size=1)

    def test_an_admins_gift_is_trusted(self):
        made = self.root.create(name="frames", uid=BOB.uid, gid=BOB.gid)
        found = self.bob.call("create", name="frames", size=1)
        self.assertEqual(found["segment"]["serial"], made["serial"])


class Refused(CreateCase):
    def test_size(self):
        for size in (0, -1, "4096", 4096.5, None, True, [4096]):
            with self.subTest(size=size):
                self.check_refuses_parameter("size", name="x", size=size)
        self.check_refuses_parameter("size", name="x")

    def test_name(self):
        for name in ("", ".x", "-x", "/x", "a b", "x" * 256, "é", "a\n", "a\t", 5, None):
            with self.subTest(name=name):
                self.check_refuses_parameter("name", name=name, size=4096)

    def test_key(self):
        for key in (2**32, -(2**31) - 1, "77", 1.5):
            with self.subTest(key=key):
                self.check_refuses_parameter("key", key=key, size=4096)

    def test_mode(self):
        for mode in ("", "77", "00600", "0888", "1777", "rw-", "0x1ff", "-600", " 600"):
            with self.subTest(mode=mode):
                self.check_refuses_parameter("mode", mode=mode, size=4096)

    def test_a_mode_in_numbers_is_told_why(self):
        reason = self.check_refuses_parameter("mode", mode=644, size=4096)["reason"]
        self.assertIn("0644", reason)

    def test_labels(self):
        for labels in (
            {f"k{i}": "" for i in range(17)},
            {"k" * 64: ""},
            {"": "empty"},
            {"a b": ""},
            {"a": "x" * 256},
            {"a": "é" * 128},
            {"a": 1},
            {"a": None},
            ["a"],
            "a",
        ):
            with self.subTest(labels=labels):
                self.check_refuses_parameter("labels", labels=labels, size=4096)

    def test_ids(self):
        for field in ("uid", "gid"):
            for value in (-1, 2**32 - 1, 2**32, "0", 0.5):
                with self.subTest(field=field, value=value):
                    self.check_refuses_parameter(field, size=4096, **{field: value})

    def test_the_rest(self):
        for field, value in (
            ("exclusive", 1),
            ("lifetime", "forever"),
            ("lifetime", 1),
            ("ttl_ms", -1),
            ("ttl_ms", "1000"),
            ("ready", "yes"),
            ("huge_page_size", -1),
            ("noreserve", None),
            ("locked", 0),
            ("any_owner", "true"),
            ("colour", "blue"),
            ("Name", "x"),
        ):
            with self.subTest(field=field, value=value):
                self.check_refuses_parameter(field, size=4096, **{field: value})


main()
