# SPDX-License-Identifier: MIT
"""What is done behind the daemon's back: by ipcrm, by the owner, by a recycled id."""

import sysv
from harness import (
    ALICE,
    BOB,
    ROOT,
    SOMEBODY,
    RpcError,
    TestCase,
    as_user,
    main,
    needs_several_uids,
    wait_until,
)


class OutOfBandCase(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)
        self.segment = self.client.create(name="frames", key=0xABCD)
        self.shmid = self.segment["shmid"]


class Gone(OutOfBandCase):
    def setUp(self):
        super().setUp()
        as_user(SOMEBODY, lambda: sysv.remove(self.shmid))

    def test_it_is_no_more(self):
        for target in ({"name": "frames"}, {"shmid": self.shmid}, {"key": 0xABCD},
                       {"serial": self.segment["serial"]}):
            with self.subTest(target=target):
                self.refused("NoSuchSegment", self.client, "stat", **target)

    def test_there_is_nothing_to_remove(self):
        self.refused("NoSuchSegment", self.client, "remove", name="frames")

    def test_there_is_nothing_to_set(self):
        self.refused("NoSuchSegment", self.client, "set", name="frames", mode="0644")

    def test_it_is_not_listed(self):
        self.assertEqual(self.client.list(), [])

    def test_name_and_key_are_free(self):
        result = self.client.call("create", name="frames", key=0xABCD, size=1 << 16)
        self.assertIs(result["created"], True)
        self.assertGreater(result["segment"]["serial"], self.segment["serial"])

    def test_the_charge_is_given_back(self):
        def usage():
            return self.client.call("info")["usage"]["segments"] == 0

        wait_until(usage, "the usage is zero")

    def test_a_guarded_request_does_not_hit_the_successor(self):
        again = self.client.create(name="frames")
        self.refused(
            "StaleSegment", self.client, "remove", name="frames", serial=self.segment["serial"]
        )
        self.assertTrue(sysv.exists(again["shmid"]))


class Going(OutOfBandCase):
    def test_removed_by_another_while_attached(self):
        holder = self.hold(SOMEBODY, self.shmid)
        as_user(SOMEBODY, lambda: sysv.remove(self.shmid))
        segment = self.client.stat(serial=self.segment["serial"])
        self.assertEqual((segment["state"], segment["nattch"]), ("removing", 1))
        again = self.client.call("create", name="frames", key=0xABCD, size=4096)
        self.assertIs(again["created"], True)
        self.assertNotEqual(again["segment"]["shmid"], self.shmid)
        holder.kill()

        def gone():
            try:
                self.client.stat(serial=self.segment["serial"])
            except RpcError as error:
                self.check_error(error, "NoSuchSegment")
                return True
            return False

        wait_until(gone, "the daemon knows no more of it")
        self.assertEqual(self.client.stat(name="frames")["serial"], again["segment"]["serial"])


class Recycled(OutOfBandCase):
    """The shmid denotes a stranger's segment now, alike but for who made it and when."""

    def recycle(self, size=4096):
        as_user(SOMEBODY, lambda: sysv.remove(self.shmid))
        self.assertEqual(sysv.create_with_shmid(self.shmid, size, 0o640), self.shmid)
        self.stranger = sysv.stat(self.shmid)

    def test_remove_is_stale(self):
        for size in (4096, 8192):
            for field in ("name", "serial"):
                with self.subTest(size=size, field=field):
                    self.recycle(size)
                    self.refused(
                        "StaleSegment", self.client, "remove", **{field: self.segment[field]}
                    )
                    self.assertEqual(sysv.stat(self.shmid), self.stranger)
                    sysv.remove(self.shmid)
                    self.segment = self.client.create(name="frames", key=0xABCD)
                    self.shmid = self.segment["shmid"]

    def test_set_is_stale(self):
        self.recycle()
        self.refused("StaleSegment", self.client, "set", name="frames", mode="0666")
        self.assertEqual(sysv.stat(self.shmid), self.stranger)

    def test_afterwards_it_is_foreign(self):
        self.recycle()
        self.refused("StaleSegment", self.client, "remove", name="frames")
        self.refused("NoSuchSegment", self.client, "stat", name="frames")
        segment = self.client.stat(shmid=self.shmid)
        self.assertIs(segment["managed"], False)
        self.assertEqual(self.client.list(), [])

    def test_by_its_shmid_it_is_not_removed_either(self):
        self.recycle()
        for method, more in (("remove", {}), ("set", {"mode": "0666"})):
            with self.subTest(method=method):
                with self.assertRaises(RpcError) as caught:
                    self.client.call(method, shmid=self.shmid, **more)
                self.assertIn(caught.exception.data["error"],
                              ("io.shmd.StaleSegment", "io.shmd.NoSuchSegment"))
                self.assertEqual(sysv.stat(self.shmid), self.stranger)

    def test_stat_and_list_do_not_take_it_for_ours(self):
        self.recycle()
        self.assertEqual(self.client.list(), [])
        with self.assertRaises(RpcError) as caught:
            self.client.stat(name="frames")
        self.assertIn(caught.exception.data["error"],
                      ("io.shmd.StaleSegment", "io.shmd.NoSuchSegment"))

    def test_create_makes_a_new_one(self):
        self.recycle()
        result = self.client.call("create", name="frames", size=4096)
        self.assertIs(result["created"], True)
        self.assertNotEqual(result["segment"]["shmid"], self.shmid)
        self.assertEqual(sysv.stat(self.shmid), self.stranger)

    def test_the_end_of_the_daemon_leaves_it_alone(self):
        self.recycle()
        self.daemon.stop()
        self.assertEqual(sysv.stat(self.shmid), self.stranger)


@needs_several_uids
class OwnersWhim(OutOfBandCase):
    def test_mode_0(self):
        as_user(ALICE, lambda: sysv.set_owner(self.shmid, ALICE.uid, ALICE.gid, 0))
        root = self.connect(self.daemon, ROOT)
        self.assertEqual(root.stat(name="frames")["mode"], "0000")
        # The kernel would not let her look either; but change it, yes.
        self.refused("PermissionDenied", self.client, "stat", name="frames")
        self.assertEqual(
            self.client.call("set", name="frames", mode="0600")["segment"]["mode"], "0600"
        )
        self.assertEqual(sysv.stat(self.shmid).mode, 0o600)

    def test_mode_0_can_be_removed(self):
        as_user(ALICE, lambda: sysv.set_owner(self.shmid, ALICE.uid, ALICE.gid, 0))
        self.client.call("remove", name="frames")
        self.assertFalse(sysv.exists(self.shmid))

    def test_passed_on(self):
        as_user(ALICE, lambda: sysv.set_owner(self.shmid, BOB.uid, BOB.gid, 0o600))
        bob = self.connect(self.daemon, BOB)
        segment = bob.stat(name="frames")
        self.assertEqual((segment["uid"], segment["gid"]), (BOB.uid, BOB.gid))
        self.assertEqual(segment["creator"]["uid"], ALICE.uid)
        self.refused("PermissionDenied", self.client, "stat", name="frames")
        # Creator of record: she may still change and remove it.
        self.client.call("set", name="frames", mode="0640")
        self.assertEqual(sysv.stat(self.shmid).uid, BOB.uid)
        bob.call("remove", name="frames")
        self.assertFalse(sysv.exists(self.shmid))

    def test_only_what_is_asked_for_is_set(self):
        as_user(ALICE, lambda: sysv.set_owner(self.shmid, ALICE.uid, ALICE.gid, 0o664))
        self.client.call("set", name="frames", labels={"a": "1"})
        self.assertEqual(sysv.stat(self.shmid).mode, 0o664)
        self.assertEqual(self.client.stat(name="frames")["mode"], "0664")

    def test_locked_by_another(self):
        sysv.lock(self.shmid)
        self.assertIs(self.client.stat(name="frames")["locked"], True)


main()
