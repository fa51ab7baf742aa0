# SPDX-License-Identifier: MIT
"""Every limit hit on purpose: the answer has its name and the numbers, and what was refused leaves
nothing behind.
"""

import os
import resource
import unittest

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    SOMEBODY,
    TestCase,
    User,
    as_user,
    main,
    needs_several_uids,
    wait_until,
)

HUGE_PAGE = 2 << 20

has_huge_pages = unittest.skipUnless(
    os.path.isdir(f"/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE >> 10}kB"),
    "this kernel has no huge pages of 2 MiB",
)


class LimitsCase(TestCase):
    def start(self, config="", **arguments):
        self.daemon = self.start_daemon(config=config, **arguments)
        self.client = self.connect(self.daemon)
        # After every test: not a segment more or less than the daemon tells.
        self.addCleanup(self.check_kernel_agrees)

    def check_kernel_agrees(self):
        with self.daemon.connect(ROOT) as root:
            listed = {s["shmid"]: s["size"] for s in root.list(limit=1000)}
            kernel = {shmid: int(row["size"]) for shmid, row in sysv.proc_table().items()}
            self.assertEqual(listed, kernel)
            self.assertEqual(root.call("info")["kernel"]["segments"], len(kernel))

    def exceeds(self, quota, used, most, client, /, **params):
        data = self.refused("QuotaExceeded", client, "create", **{"size": 4096, **params})
        self.assertEqual((data["quota"], data["used"], data["max"]), (quota, used, most))

    def reaches(self, limit, client, /, **params):
        data = self.refused("LimitReached", client, "create", **{"size": 4096, **params})
        self.assertEqual(data["limit"], limit)
        self.assertTrue(data["hint"])
        return data


class Quotas(LimitsCase):
    def test_segments(self):
        self.start("max_segments = 3\n")
        for i in range(3):
            self.client.create(name=f"s{i}")
        for client in (self.client, self.connect(self.daemon, BOB), self.connect(self.daemon, ROOT)):
            self.exceeds("max_segments", 3, 3, client, name="more")
        # What is there already costs nothing.
        self.assertIs(self.client.call("create", name="s0", size=1)["created"], False)
        self.client.call("remove", name="s1")
        self.client.create(name="more")
        self.exceeds("max_segments", 3, 3, self.client)

    def test_bytes(self):
        self.start("max_bytes = 10000\n")
        self.client.create(size=6000)
        self.exceeds("max_bytes", 6000, 10000, self.client, size=4001)
        self.exceeds("max_bytes", 6000, 10000, self.connect(self.daemon, ROOT), size=4001)
        self.client.create(size=4000)
        self.exceeds("max_bytes", 10000, 10000, self.client, size=1)

    def test_more_bytes_than_there_are(self):
        self.start("max_bytes = 10000\nmax_bytes_per_uid = 256T\n")
        self.client.create(size=6000)
        self.exceeds("max_bytes", 6000, 10000, self.client, size=2**47)

    @needs_several_uids
    def test_segments_per_uid(self):
        self.start("max_segments_per_uid = 2\n")
        self.client.create(name="one")
        self.client.create(name="two")
        self.exceeds("max_segments_per_uid", 2, 2, self.client, name="three")
        bob = self.connect(self.daemon, BOB)
        bob.create(name="bobs")
        self.assertEqual(bob.call("info")["usage"], {"segments": 1, "bytes": 4096})
        self.assertEqual(bob.call("info")["limits"]["max_segments_per_uid"]["max"], 2)
        self.client.call("remove", name="one")
        self.client.create(name="three")

    @needs_several_uids
    def test_bytes_per_uid(self):
        self.start("max_bytes_per_uid = 8192\n")
        self.client.create(size=8000)
        self.exceeds("max_bytes_per_uid", 8000, 8192, self.client, size=193)
        self.connect(self.daemon, BOB).create(size=8192)
        self.client.create(size=192)

    @needs_several_uids
    def test_giving_away_is_no_way_round(self):
        self.start("max_segments_per_uid = 2\n")
        for name in ("one", "two"):
            self.client.create(name=name, uid=DAEMON.uid)
        self.exceeds("max_segments_per_uid", 2, 2, self.client)

    # No sweep comes to the help of these.
    SLOW = "reconcile_ms = 3600000\n"

    def check_given_back_once(self, quota, most, how):
        """HOW: ends a segment without the daemon's seeing it."""
        self.start(f"{quota} = {most}\n" + self.SLOW)
        shmid = self.client.create(name="one")["shmid"]
        self.client.create(name="two")
        end = how(shmid)
        self.exceeds(quota, most, most, self.client)
        end()
        # The daemon looks once in a turn, and on a busy machine the turn of the refusal may go on.
        wait_until(lambda: "result" in self.client.request("create", name="three", size=4096),
                   "there is room")
        self.exceeds(quota, most, most, self.client)

    def attached_and_removed(self, shmid):
        holder = self.hold(SOMEBODY, shmid)
        self.client.call("remove", name="one")
        return holder.kill

    @staticmethod
    def removed_behind_its_back(shmid):
        return lambda: as_user(SOMEBODY, lambda: sysv.remove(shmid))

    def test_removal_while_attached_gives_back_once(self):
        self.check_given_back_once("max_segments", 2, self.attached_and_removed)

    def test_removal_while_attached_gives_its_uid_back_once(self):
        self.check_given_back_once("max_segments_per_uid", 2, self.attached_and_removed)

    def test_removal_behind_its_back_gives_back_once(self):
        self.check_given_back_once("max_segments", 2, self.removed_behind_its_back)

    def test_removal_behind_its_back_gives_its_uid_back_once(self):
        self.check_given_back_once("max_bytes_per_uid", 8192, self.removed_behind_its_back)

    @needs_several_uids
    def test_removal_behind_its_back_by_another(self):
        self.start("max_segments = 2\n" + self.SLOW)
        bob = self.connect(self.daemon, BOB)
        shmid = bob.create(name="one")["shmid"]
        self.client.create(name="two")
        as_user(BOB, lambda: sysv.remove(shmid))
        self.client.create(name="three")
        self.exceeds("max_segments", 2, 2, bob)

    def test_a_refused_create_is_not_charged(self):
        self.start("max_segments = 2\nmax_bytes = 100000\n")
        sysv.sysctl("shmmax", 50000)
        for _ in range(5):
            self.refused("LimitReached", self.client, "create", size=60000)
        self.assertEqual(self.client.call("info")["usage"], {"segments": 0, "bytes": 0})
        self.client.create()
        self.client.create()

    def test_in_one_batch(self):
        self.start("max_segments = 3\n")
        self.client.send(
            b"["
            + b",".join(
                b'{"jsonrpc":"2.0","id":%d,"method":"create","params":{"size":1}}' % i
                for i in range(5)
            )
            + b"]"
        )
        outcomes = ["result" in reply for reply in self.client.reply()]
        self.assertEqual(outcomes, [True, True, True, False, False])


class Kernel(LimitsCase):
    def test_shmmni(self):
        self.start()
        sysv.sysctl("shmmni", 2)
        self.client.create()
        self.client.create()
        data = self.reaches("kernel.shmmni", self.client, name="more")
        self.assertEqual((data["used"], data["max"]), (2, 2))
        self.refused("NoSuchSegment", self.client, "stat", name="more")

    def test_shmall(self):
        self.start()
        sysv.sysctl("shmall", 10)
        self.client.create(size=8 * sysv.PAGE)
        data = self.reaches("kernel.shmall", self.client, size=3 * sysv.PAGE)
        self.assertEqual((data["used"], data["max"]), (8, 10))
        self.client.create(size=2 * sysv.PAGE)

    def test_shmmax(self):
        self.start()
        sysv.sysctl("shmmax", 8192)
        data = self.reaches("kernel.shmmax", self.client, size=8193)
        self.assertEqual(data["max"], 8192)
        self.client.create(size=8192)

    def test_memory(self):
        with open("/proc/sys/vm/overcommit_memory", encoding="ascii") as file:
            if int(file.read()) == 1:
                self.skipTest("vm.overcommit_memory is 1: nothing is refused")
        self.start("max_bytes_per_uid = 64T\n")
        data = self.reaches("memory", self.client, size=1 << 45)
        self.assertGreater(data["max"], 0)

    def test_beyond_anything(self):
        self.start()
        with self.assertRaises(Exception) as caught:
            self.client.create(size=2**63 - 1)
        self.assertEqual(caught.exception.data["error"], "io.shmd.LimitReached")

    @needs_several_uids
    @has_huge_pages
    def test_hugepages(self):
        with open("/proc/sys/vm/hugetlb_shm_group", encoding="ascii") as file:
            group = int(file.read())
        self.start(user=User(DAEMON.uid, DAEMON.gid, (group,)))
        path = f"/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE >> 10}kB/"
        numbers = []
        for name in ("nr_hugepages", "free_hugepages", "resv_hugepages"):
            with open(path + name, encoding="ascii") as file:
                numbers.append(int(file.read()))
        total, free, reserved = numbers
        free -= reserved
        data = self.reaches(
            "hugepages", self.client, size=(free + 1) * HUGE_PAGE, huge_page_size=HUGE_PAGE
        )
        self.assertEqual((data["used"], data["max"]), (total - free, total))

    @needs_several_uids
    @has_huge_pages
    def test_hugepages_that_are_reserved_count_as_taken(self):
        """By numbers that stand in the place of the kernel's; those it refuses by are its own."""
        path = f"/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE >> 10}kB"
        size = 1 << 33
        with open(f"{path}/free_hugepages", encoding="ascii") as file:
            if int(file.read()) * HUGE_PAGE >= size:
                self.skipTest("there are huge pages enough")
        with open("/proc/sys/vm/hugetlb_shm_group", encoding="ascii") as file:
            group = int(file.read())
        planted = os.path.join(self.directory, "hugepages")
        os.mkdir(planted)
        for name, number in (("nr", 4), ("free", 3), ("resv", 2), ("surplus", 0), ("nr_overcommit", 0)):
            with open(f"{planted}/{name}_hugepages", "w", encoding="ascii") as file:
                file.write(f"{number}\n")
        if sysv.libc.mount(planted.encode(), path.encode(), None, 0x1000, None) != 0:  # MS_BIND
            self.skipTest(f"nothing can be mounted over {path}")
        self.addCleanup(sysv.libc.umount2, path.encode(), 0)
        self.start("max_bytes_per_uid = 64T\n", user=User(DAEMON.uid, DAEMON.gid, (group,)))
        data = self.reaches("hugepages", self.client, size=size, huge_page_size=HUGE_PAGE)
        self.assertEqual((data["used"], data["max"]), (3, 4))

    @needs_several_uids
    @has_huge_pages
    def test_hugepages_without_the_right_to_them(self):
        self.start(rlimits={resource.RLIMIT_MEMLOCK: 0})
        with self.assertRaises(Exception) as caught:
            self.client.create(size=HUGE_PAGE, huge_page_size=HUGE_PAGE, noreserve=True)
        self.assertIn("hugetlb_shm_group", str(caught.exception))

    @needs_several_uids
    def test_memlock(self):
        self.start(rlimits={resource.RLIMIT_MEMLOCK: 1 << 16})
        data = self.reaches("RLIMIT_MEMLOCK", self.client, size=1 << 17, locked=True)
        self.assertEqual(data["max"], 1 << 16)
        segment = self.client.create(name="large", size=1 << 17)
        data = self.refused("LimitReached", self.client, "set", name="large", locked=True)
        self.assertEqual((data["limit"], data["max"]), ("RLIMIT_MEMLOCK", 1 << 16))
        self.assertFalse(sysv.stat(segment["shmid"]).mode & sysv.SHM_LOCKED)

    @needs_several_uids
    def test_a_set_that_fails_half_way_does_nothing(self):
        self.start(rlimits={resource.RLIMIT_MEMLOCK: 1 << 16})
        self.client.create(name="large", size=1 << 17, labels={"a": "1"})
        before = self.client.stat(name="large")
        self.refused(
            "LimitReached", self.client, "set", name="large", locked=True, mode="0666",
            new_name="other", labels={},
        )
        after = self.client.stat(name="large")
        for field in ("mode", "name", "labels", "locked", "uid", "gid"):
            with self.subTest(field=field):
                self.assertEqual(after[field], before[field])


@needs_several_uids
class Connections(LimitsCase):
    """What the one who is turned away gets is in test_hostile.py."""

    def test_info_tells_them(self):
        self.start("max_connections = 50\nmax_connections_per_uid = 20\n")
        limits = self.connect(self.daemon, ALICE).call("info")["limits"]
        self.assertEqual(limits["max_connections"]["max"], 50)
        self.assertEqual(limits["max_connections_per_uid"]["max"], 20)


main()
