# SPDX-License-Identifier: MIT
"""`adopt`: what somebody else made comes into the daemon's care, once it is handed over."""

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    SEVERAL_UIDS,
    as_user,
    main,
    needs_several_uids,
    without_details,
)
from peers import LifeCase, kill


class AdoptCase(LifeCase):
    CONFIG = LifeCase.RELAXED + "max_segments_per_uid = 4\nmax_bytes_per_uid = 100000\n"

    def setUp(self):
        super().setUp()
        self.owner = ALICE if SEVERAL_UIDS else ROOT
        self.client = self.connect(self.daemon, self.owner)
        self.daemon_uid = self.client.call("info")["uid"]

    def foreign(self, user=None, size=5000, key=sysv.IPC_PRIVATE, mode=0o640):
        return as_user(user or self.owner, lambda: sysv.create(size, mode, key))

    def hand_over(self, shmid, user=None, mode=0o640):
        user = user or self.owner
        as_user(user, lambda: sysv.set_owner(shmid, self.daemon_uid, user.gid, mode))

    def handed_over(self, **arguments):
        shmid = self.foreign(**arguments)
        self.hand_over(shmid, arguments.get("user"), arguments.get("mode", 0o640))
        return shmid


class Adoption(AdoptCase):
    def test_by_its_shmid(self):
        shmid = self.handed_over()
        segment = self.client.call("adopt", shmid=shmid, name="taken", labels={"a": "1"},
                                   ttl_ms=3600000)["segment"]
        for seen in (segment, self.client.stat(name="taken"), self.client.stat(shmid=shmid)):
            with self.subTest(seen=seen):
                self.assertIs(seen["managed"], True)
                self.assertEqual(
                    [seen[field] for field in ("name", "shmid", "size", "mode", "labels", "state",
                                               "lifetime", "nattch")],
                    ["taken", shmid, 5000, "0640", {"a": "1"}, "ready", "persistent", 0],
                )
                self.assertEqual((seen["uid"], seen["creator"]["uid"], seen["creator"]["gid"]),
                                 (self.owner.uid, self.owner.uid, self.owner.gid))
                self.assertGreater(seen["serial"], 0)
                self.assertGreater(seen["expires_at_ms"], seen["created_at_ms"])
        self.assertEqual([found["serial"] for found in self.client.list()], [segment["serial"]])

    def test_by_its_key(self):
        shmid = self.handed_over(key=0xABCD)
        segment = self.client.call("adopt", key=0xABCD)["segment"]
        self.assertEqual((segment["shmid"], segment["key"]), (shmid, 0xABCD))
        self.assertNotIn("name", segment)
        self.assertEqual(self.client.stat(key=0xABCD)["serial"], segment["serial"])
        result = self.client.call("create", key=0xABCD, size=1)
        self.assertEqual((result["created"], result["segment"]["serial"]),
                         (False, segment["serial"]))

    def test_its_creator_reads_what_is_its_owners(self):
        """As the kernel has it, though the daemon is the owner."""
        shmid = self.handed_over(mode=0o600)
        self.client.call("adopt", shmid=shmid, name="taken")
        self.assertEqual(as_user(self.owner, lambda: sysv.stat(shmid)).mode, 0o600)
        self.assertEqual(self.client.stat(name="taken")["mode"], "0600")
        self.assertEqual([found["shmid"] for found in self.client.list()], [shmid])

    @needs_several_uids
    def test_it_is_an_admins_only_if_an_admin_made_it(self):
        """Whatever group its owner has set: to others it is a stranger's."""
        shmid = self.foreign()
        as_user(ALICE, lambda: sysv.set_owner(shmid, self.daemon_uid, 0, 0o644))
        self.client.call("adopt", shmid=shmid, name="taken")
        bob = self.connect(self.daemon, BOB)
        data = self.refused("PermissionDenied", bob, "stat", name="taken", owner=BOB.uid)
        self.assertEqual((data["needs"], data["uid"]), ("owner", ALICE.uid))
        made = sysv.create(4096, 0o644)
        sysv.set_owner(made, self.daemon_uid, 0, 0o644)
        self.connect(self.daemon, ROOT).call("adopt", shmid=made, name="roots")
        bob.stat(name="roots", owner=BOB.uid)

    def test_the_contents_stay(self):
        shmid = self.foreign()
        as_user(self.owner, lambda: sysv.write(shmid, b"precious"))
        self.hand_over(shmid)
        self.client.call("adopt", shmid=shmid)
        self.assertEqual(as_user(self.owner, lambda: sysv.read(shmid, 8)), b"precious")

    def test_while_it_is_attached(self):
        shmid = self.foreign()
        self.hold(self.owner, shmid)
        self.hand_over(shmid)
        self.assertEqual(self.client.call("adopt", shmid=shmid)["segment"]["nattch"], 1)

    def test_remove(self):
        shmid = self.handed_over()
        self.client.call("adopt", shmid=shmid, name="taken")
        self.assertEqual(self.client.call("remove", name="taken")["segment"]["state"], "removed")
        self.assertFalse(sysv.exists(shmid))
        self.assertEqual(self.client.call("info")["usage"], {"segments": 0, "bytes": 0})

    def test_set(self):
        shmid = self.handed_over()
        self.client.call("adopt", shmid=shmid, name="taken")
        segment = self.client.call("set", name="taken", mode="0604", new_name="mine",
                                   labels={"b": "2"})["segment"]
        self.assertEqual((segment["name"], segment["mode"], segment["labels"], segment["uid"]),
                         ("mine", "0604", {"b": "2"}, self.owner.uid))
        now = sysv.stat_any(shmid & 0x7FFF)
        self.assertEqual((now.mode, now.uid, now.cuid),
                         (0o604, self.daemon_uid, self.owner.uid))

    @needs_several_uids
    def test_another_owner_cannot_be_set(self):
        shmid = self.handed_over()
        self.client.call("adopt", shmid=shmid, name="taken")
        for client, uid in ((self.client, self.owner.uid), (self.connect(self.daemon, ROOT), 3002)):
            with self.subTest(uid=uid):
                data = self.refused("NotSupported", client, "set", name="taken", uid=uid)
                self.assertIn("uid", data["what"])
                self.assertEqual(sysv.stat_any(shmid & 0x7FFF).uid, self.daemon_uid)

    def test_lifetimes(self):
        subscriber = self.subscribe(user=self.owner)
        for lifetime, reason in (("process", "last-holder-exited"),
                                 ("connection", "connection-closed"),
                                 ("attached", "last-detach")):
            with self.subTest(lifetime=lifetime):
                peer = self.peer(self.owner)
                shmid = self.handed_over()
                segment = peer.call("adopt", shmid=shmid, lifetime=lifetime)["segment"]
                self.assertEqual((segment["lifetime"], segment["holders"]),
                                 (lifetime, 0 if lifetime == "attached" else 1))
                peer.end()
                self.check_removed(subscriber, segment, reason)
        shmid = self.handed_over(key=77)
        self.refuses_parameter("lifetime", self.client, "adopt", key=77, lifetime="attached")
        self.assertTrue(sysv.exists(shmid))

    def test_a_restart_knows_it(self):
        shmid = self.handed_over(key=77)
        segment = self.client.call("adopt", shmid=shmid, name="taken")["segment"]
        for end in (kill, lambda daemon: daemon.stop()):
            end(self.daemon)
            self.restart()
            with self.daemon.connect(self.owner) as client:
                again = without_details(client.stat(name="taken"))
                self.assertEqual(again, segment)
                self.assertEqual(client.call("info")["usage"]["segments"], 1)

    def test_it_is_told(self):
        subscriber = self.subscribe(user=self.owner)
        shmid = self.handed_over()
        segment = self.client.call("adopt", shmid=shmid)["segment"]
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["segment"]["serial"]),
                         ("adopted", segment["serial"]))


class Charge(AdoptCase):
    def test_the_creator_is_charged(self):
        shmid = self.handed_over(size=7000)
        self.client.call("adopt", shmid=shmid, name="taken")
        self.assertEqual(self.client.call("info")["usage"], {"segments": 1, "bytes": 7000})
        if SEVERAL_UIDS:
            usage = self.connect(self.daemon, ROOT).call("info")["usage"]
            self.assertEqual(usage, {"segments": 0, "bytes": 0})

    @needs_several_uids
    def test_whoever_asks(self):
        shmid = self.handed_over(size=7000)
        root = self.connect(self.daemon, ROOT)
        root.call("adopt", shmid=shmid)
        self.assertEqual(self.client.call("info")["usage"], {"segments": 1, "bytes": 7000})
        self.assertEqual(root.call("info")["usage"], {"segments": 0, "bytes": 0})

    def test_quotas(self):
        large = self.handed_over(size=100001)
        data = self.refused("QuotaExceeded", self.client, "adopt", shmid=large)
        self.assertEqual((data["quota"], data["max"]), ("max_bytes_per_uid", 100000))
        for _ in range(4):
            self.client.create(size=1)
        shmid = self.handed_over()
        data = self.refused("QuotaExceeded", self.client, "adopt", shmid=shmid)
        self.assertEqual((data["quota"], data["used"], data["max"]), ("max_segments_per_uid", 4, 4))
        for left in (large, shmid):
            self.assertIs(self.client.stat(shmid=left)["managed"], False)
        self.client.call("remove", serial=self.client.list()[0]["serial"])
        self.assertIs(self.client.call("adopt", shmid=shmid)["segment"]["managed"], True)

    def test_given_back_when_it_goes_of_itself(self):
        shmid = self.handed_over()
        self.client.call("adopt", shmid=shmid, name="taken")
        as_user(self.owner, lambda: sysv.remove(shmid))  # its creator still may
        self.refused("NoSuchSegment", self.client, "stat", name="taken")
        self.assertEqual(self.client.call("info")["usage"], {"segments": 0, "bytes": 0})


class Refusal(AdoptCase):
    def check_untouched(self, shmid, before):
        self.assertEqual(sysv.stat_any(shmid & 0x7FFF), before)
        with self.daemon.connect(ROOT) as root:
            self.assertIs(root.stat(shmid=shmid)["managed"], False)

    @needs_several_uids
    def test_not_handed_over(self):
        shmid = self.foreign()
        before = sysv.stat_any(shmid & 0x7FFF)
        for client in (self.client, self.connect(self.daemon, ROOT)):
            data = self.refused("PermissionDenied", client, "adopt", shmid=shmid)
            self.assertTrue(data["needs"])
            with self.assertRaises(Exception) as caught:
                client.call("adopt", shmid=shmid)
            self.assertIn("IPC_SET", str(caught.exception))
        self.check_untouched(shmid, before)

    @needs_several_uids
    def test_anothers(self):
        shmid = self.handed_over(mode=0o666)
        before = sysv.stat_any(shmid & 0x7FFF)
        self.refused("PermissionDenied", self.connect(self.daemon, BOB), "adopt", shmid=shmid)
        self.check_untouched(shmid, before)
        # An admin may.
        self.connect(self.daemon, ROOT).call("adopt", shmid=shmid)
        self.assertIs(self.client.stat(shmid=shmid)["managed"], True)

    def test_the_name_is_taken(self):
        made = self.client.create(name="taken", size=1)
        shmid = self.handed_over()
        before = sysv.stat_any(shmid & 0x7FFF)
        data = self.refused("SegmentExists", self.client, "adopt", shmid=shmid, name="taken")
        self.assertEqual((data["serial"], data["shmid"]), (made["serial"], made["shmid"]))
        self.check_untouched(shmid, before)

    def test_it_is_managed_already(self):
        made = self.client.create(size=1, key=77)
        for target in ({"shmid": made["shmid"]}, {"key": 77}):
            data = self.refused("SegmentExists", self.client, "adopt", **target)
            self.assertEqual(data["serial"], made["serial"])
        shmid = self.handed_over()
        first = self.client.call("adopt", shmid=shmid, name="taken")["segment"]
        data = self.refused("SegmentExists", self.client, "adopt", shmid=shmid, name="other")
        self.assertEqual(data["serial"], first["serial"])
        self.assertEqual(self.client.call("info")["usage"]["segments"], 2)

    @needs_several_uids
    def test_a_stranger_is_not_told_that_it_is_managed(self):
        shmid = self.client.create(size=1, key=77, mode="0666")["shmid"]
        bob = self.connect(self.daemon, BOB)
        for target in ({"shmid": shmid}, {"key": 77}):
            data = self.refused("PermissionDenied", bob, "adopt", **target)
            self.assertEqual(set(data), {"error", "needs"})

    def test_there_is_none(self):
        self.refused("NoSuchSegment", self.client, "adopt", shmid=4711)
        self.refused("NoSuchSegment", self.client, "adopt", key=4711)

    def test_marked_for_destruction(self):
        shmid = self.handed_over()
        attachment = self.hold(ROOT, shmid)
        sysv.remove(shmid)
        self.refuses_parameter("shmid", self.client, "adopt", shmid=shmid)
        attachment.kill()
        self.assertFalse(sysv.exists(shmid))

    def test_parameters(self):
        shmid = self.handed_over()
        for params in ({}, {"shmid": shmid, "key": 1}, {"shmid": shmid, "size": 1},
                       {"shmid": shmid, "name": " "}, {"shmid": shmid, "lifetime": "eternal"}):
            with self.subTest(params=params):
                self.refused("InvalidParameter", self.client, "adopt", **params)
        self.assertIs(self.client.stat(shmid=shmid)["managed"], False)

    def test_before_it_the_daemon_touches_nothing(self):
        segments = [self.foreign(), self.handed_over(), self.foreign(DAEMON, key=78)]
        before = [sysv.stat_any(shmid & 0x7FFF) for shmid in segments]
        with self.daemon.connect(ROOT) as root:
            for shmid in segments:
                for method, params in (("remove", {}), ("set", {"mode": "0666"}), ("hold", {}),
                                       ("release", {}), ("ready", {})):
                    with self.subTest(method=method):
                        self.refused("NoSuchSegment", root, method, shmid=shmid, **params)
            self.refused("KeyInUse", root, "create", key=78, size=1)
        self.kill_and_restart()
        self.daemon.stop()
        self.assertEqual([sysv.stat_any(shmid & 0x7FFF) for shmid in segments], before)

    def test_recycled_since(self):
        """An id that the daemon knew denotes another's segment now: that can be adopted."""
        made = self.client.create(name="old")
        sysv.remove(made["shmid"])
        self.assertEqual(
            sysv.create_with_shmid(made["shmid"], 6000, 0o666), made["shmid"])
        sysv.set_owner(made["shmid"], self.daemon_uid, 0, 0o666)
        with self.daemon.connect(ROOT) as root:
            segment = root.call("adopt", shmid=made["shmid"], name="new")["segment"]
            self.assertGreater(segment["serial"], made["serial"])
            self.assertEqual((segment["size"], segment["name"]), (6000, "new"))
            self.refused("NoSuchSegment", root, "stat", name="old")


main()
