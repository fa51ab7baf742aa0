"""info, stat, set and remove: every field and error that PROTOCOL.md names. create and list have
files of their own.
"""

import os
import time

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    RpcError,
    TestCase,
    User,
    as_user,
    main,
    needs_several_uids,
    wait_until,
)

INT64_MAX = 2**63 - 1
NOWHERE = 0x7FFFFFFF  # a shmid and a serial that denote nothing


def now_ms():
    return time.time_ns() // 1_000_000


class MethodsCase(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def check_refuses_parameter(self, parameter, method, /, **params):
        data = self.refused("InvalidParameter", self.client, method, **params)
        self.assertEqual(data["parameter"], parameter, data)
        self.assertTrue(data["reason"])
        return data

    def check_adopt_is_hinted(self, method, /, **params):
        with self.assertRaises(RpcError) as caught:
            self.client.call(method, **params)
        self.check_error(caught.exception, "NoSuchSegment")
        self.assertIn("adopt", str(caught.exception))


class Info(MethodsCase):
    def test_who_runs(self):
        info = self.client.call("info")
        self.assertEqual(info["pid"], self.daemon.pid)
        self.assertEqual(info["uid"], DAEMON.uid if SEVERAL_UIDS else ROOT.uid)
        self.assertEqual(info["protocol"], 1)
        self.assertRegex(info["version"], r"^\d+\.\d+\.\d+")
        self.assertLessEqual(abs(info["started_at_ms"] - now_ms()), 3_600_000)
        self.assertIs(info["durable"], True)

    def test_where_it_runs(self):
        info = self.client.call("info")
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self.assertEqual(info["boot_id"], file.read().strip())
        self.assertEqual(info["ipc_namespace"], os.stat("/proc/self/ns/ipc").st_ino)
        sizes = [
            int(name.removeprefix("hugepages-").removesuffix("kB")) * 1024
            for name in os.listdir("/sys/kernel/mm/hugepages")
        ]
        self.assertEqual(sorted(info["huge_page_sizes"]), sorted(sizes))

    def test_the_kernels_state(self):
        sysv.sysctl("shmmax", 1 << 40)
        sysv.sysctl("shmall", 1 << 30)
        sysv.sysctl("shmmni", 77)
        self.client.create(size=4096)
        sysv.create(8192)  # not the daemon's, and counts all the same
        kernel = self.client.call("info")["kernel"]
        self.assertEqual(
            kernel,
            {
                "shmmax": 1 << 40,
                "shmall": 1 << 30,
                "shmmni": 77,
                "segments": 2,
                "bytes": 4096 + 8192,
                "shm_rmid_forced": False,
            },
        )

    def test_what_does_not_fit_int64_is_clamped(self):
        sysv.sysctl("shmmax", 2**64 - 1)
        sysv.sysctl("shmall", 2**64 - 1)
        kernel = self.client.call("info")["kernel"]
        self.assertEqual((kernel["shmmax"], kernel["shmall"]), (INT64_MAX, INT64_MAX))

    def test_the_callers_limits_and_usage(self):
        self.client.create(size=4096)
        self.client.create(size=100)
        info = self.client.call("info")
        self.assertEqual(info["usage"], {"segments": 2, "bytes": 4196})
        for name, value in {
            "max_segments_per_uid": 1024,
            "max_bytes_per_uid": 0,
            "max_connections": 4096,
            "max_connections_per_uid": 1024,
            "max_message_bytes": 65536,
        }.items():
            with self.subTest(limit=name):
                self.assertEqual(info["limits"][name], value)

    @needs_several_uids
    def test_usage_is_the_callers_own(self):
        self.client.create(size=4096)
        usage = self.connect(self.daemon, BOB).call("info")["usage"]
        self.assertEqual(usage, {"segments": 0, "bytes": 0})

    def test_rmid_forced_is_not_durable(self):
        sysv.sysctl("shm_rmid_forced", 1)
        daemon = self.start_daemon(directory=self.daemon_directory("forced"))
        info = self.connect(daemon).call("info")
        self.assertIs(info["durable"], False)
        self.assertTrue(info["kernel"]["shm_rmid_forced"])
        self.assertIn("shm_rmid_forced", daemon.log())

    def test_rmid_forced_segments_are_anchored(self):
        sysv.sysctl("shm_rmid_forced", 1)
        daemon = self.start_daemon(directory=self.daemon_directory("forced"))
        shmid = self.connect(daemon).create(name="kept")["shmid"]
        as_user(SOMEBODY, lambda: sysv.write(shmid, b"x"))
        self.assertTrue(sysv.exists(shmid))

    def test_takes_no_parameters(self):
        self.check_refuses_parameter("colour", "info", colour="blue")


class Target(MethodsCase):
    """How a segment is named, by the example of stat."""

    def setUp(self):
        super().setUp()
        self.segment = self.client.create(name="one", key=0xC0FFEE)
        self.other = self.client.create(name="two")

    def test_by_each_of_the_four(self):
        for field in ("name", "shmid", "key", "serial"):
            with self.subTest(field=field):
                found = self.client.stat(**{field: self.segment[field]})
                self.assertEqual(found["serial"], self.segment["serial"])

    def test_a_key_may_be_signed(self):
        segment = self.client.create(key=-5)
        self.assertEqual(segment["key"], 2**32 - 5)
        for key in (-5, 2**32 - 5):
            with self.subTest(key=key):
                self.assertEqual(self.client.stat(key=key)["serial"], segment["serial"])

    def test_nothing_there(self):
        for field, value in (
            ("name", "three"),
            ("shmid", NOWHERE),
            ("key", 0x1234),
            ("serial", NOWHERE),
        ):
            with self.subTest(field=field):
                data = self.refused("NoSuchSegment", self.client, "stat", **{field: value})
                self.assertEqual(data[field], value)

    def test_not_exactly_one(self):
        self.refused("InvalidParameter", self.client, "stat")
        self.refused("InvalidParameter", self.client, "stat", name="one", key=0xC0FFEE)
        self.refused(
            "InvalidParameter", self.client, "stat", name="one", shmid=self.segment["shmid"]
        )

    def test_key_0_denotes_nothing(self):
        self.check_refuses_parameter("key", "stat", key=0)

    def test_a_fitting_serial_guards(self):
        serial = self.segment["serial"]
        for field in ("name", "shmid", "key"):
            with self.subTest(field=field):
                target = {field: self.segment[field], "serial": serial}
                self.assertEqual(self.client.stat(**target)["serial"], serial)

    def test_another_serial_is_stale(self):
        for serial in (self.other["serial"], NOWHERE):
            for field in ("name", "shmid", "key"):
                with self.subTest(field=field, serial=serial):
                    target = {field: self.segment[field], "serial": serial}
                    for method in ("stat", "set", "remove"):
                        self.refused("StaleSegment", self.client, method, **target)
        self.assertEqual(self.client.stat(name="one")["state"], "ready")

    def test_a_serial_whose_name_is_gone_is_stale(self):
        for method in ("stat", "set", "remove"):
            with self.subTest(method=method):
                data = self.refused(
                    "StaleSegment", self.client, method, name="three", serial=self.other["serial"]
                )
                self.assertEqual(data["serial"], self.other["serial"])
        self.assertEqual(self.client.stat(name="two")["state"], "ready")

    def test_both_denote_nothing(self):
        for method in ("stat", "set", "remove"):
            with self.subTest(method=method):
                self.refused("NoSuchSegment", self.client, method, name="three", serial=NOWHERE)

    def test_serials_are_never_reused(self):
        self.client.call("remove", name="two")
        again = self.client.create(name="two")
        self.assertGreater(again["serial"], self.other["serial"])
        self.refused("StaleSegment", self.client, "remove", name="two", serial=self.other["serial"])
        self.assertTrue(sysv.exists(again["shmid"]))


class Stat(MethodsCase):
    def test_every_field(self):
        before = now_ms()
        created = self.client.create(
            name="frames", key=0xABCD, size=129, mode="0640", labels={"app": "camera"}
        )
        segment = self.client.stat(name="frames")
        with open("/proc/self/comm", encoding="utf-8") as file:
            comm = file.read().strip()
        moments = {field: segment.pop(field) for field in ("created_at_ms", "changed_at_ms")}
        self.assertEqual(
            segment,
            {
                "serial": created["serial"],
                "name": "frames",
                "shmid": sysv.find(0xABCD),
                "key": 0xABCD,
                "size": 129,
                "mode": "0640",
                "uid": SOMEBODY.uid,
                "gid": SOMEBODY.gid,
                "nattch": 0,
                "last_pid": 0,
                "creator": {
                    "uid": SOMEBODY.uid,
                    "gid": SOMEBODY.gid,
                    "pid": os.getpid(),
                    "comm": comm,
                },
                "state": "ready",
                "lifetime": "persistent",
                "holders": 0,
                "holder_list": [],
                "locked": False,
                "huge_page_size": 0,
                "noreserve": False,
                "labels": {"app": "camera"},
                "managed": True,
                "declared": False,
            },
        )
        for field, moment in moments.items():
            # The kernel's own times are whole seconds.
            self.assertTrue(before - 1000 <= moment <= now_ms() + 1000, (field, moment, before))

    def test_times_come_as_they_happen(self):
        segment = self.client.create(name="frames")
        for field in ("attached_at_ms", "detached_at_ms", "expires_at_ms"):
            self.assertNotIn(field, segment)
        holder = self.hold(SOMEBODY, segment["shmid"])
        attached = self.client.stat(name="frames")
        self.assertEqual((attached["nattch"], attached["last_pid"]), (1, holder.pid))
        self.assertGreater(attached["attached_at_ms"], 0)
        self.assertEqual(attached["attached_at_ms"] % 1000, 0)
        self.assertNotIn("detached_at_ms", attached)
        holder.kill()
        detached = self.client.stat(name="frames")
        self.assertEqual(detached["nattch"], 0)
        self.assertGreaterEqual(detached["detached_at_ms"], attached["attached_at_ms"])

    def test_neither_name_nor_key(self):
        segment = self.client.stat(serial=self.client.create()["serial"])
        self.assertNotIn("name", segment)
        self.assertEqual(segment["key"], 0)

    def test_a_foreign_segment(self):
        shmid = as_user(ROOT, lambda: sysv.create(8192, 0o604, key=0xF00D))
        creator = sysv.stat(shmid).cpid
        for target in ({"shmid": shmid}, {"key": 0xF00D}):
            with self.subTest(target=target):
                segment = self.client.stat(**target)
                self.assertNotIn("serial", segment)
                self.assertNotIn("name", segment)
                for field, value in {
                    "managed": False,
                    "orphaned": True,
                    "shmid": shmid,
                    "key": 0xF00D,
                    "size": 8192,
                    "mode": "0604",
                    "uid": 0,
                    "gid": 0,
                    "nattch": 0,
                    "labels": {},
                }.items():
                    self.assertEqual(segment[field], value, field)
                self.assertEqual(segment["creator"]["uid"], 0)
                self.assertEqual(segment["creator"]["pid"], creator)

    def test_orphaned_is_a_dead_creator_and_nobody_attached(self):
        mine = sysv.create(4096)
        self.assertIs(self.client.stat(shmid=mine)["orphaned"], False)
        orphan = as_user(ROOT, lambda: sysv.create(4096))
        self.assertIs(self.client.stat(shmid=orphan)["orphaned"], True)
        holder = self.hold(ROOT, orphan)
        self.assertIs(self.client.stat(shmid=orphan)["orphaned"], False)
        holder.kill()
        self.assertIs(self.client.stat(shmid=orphan)["orphaned"], True)

    def test_a_managed_segment_is_not_orphaned(self):
        self.assertNotIn("orphaned", self.client.create(name="frames"))

    def test_unknown_parameter(self):
        self.check_refuses_parameter("nmae", "stat", nmae="frames")


class Set(MethodsCase):
    def setUp(self):
        super().setUp()
        self.segment = self.client.create(name="frames", labels={"a": "1", "b": "2"})
        self.shmid = self.segment["shmid"]

    def set(self, **params):
        return self.client.call("set", name="frames", **params)["segment"]

    def test_mode(self):
        self.assertEqual(self.set(mode="640")["mode"], "0640")
        self.assertEqual(sysv.stat(self.shmid).mode, 0o640)

    def test_mode_leaves_the_owner(self):
        self.set(mode="0000")
        found = sysv.stat(self.shmid)
        self.assertEqual((found.uid, found.gid, found.mode), (SOMEBODY.uid, SOMEBODY.gid, 0))

    def test_nothing(self):
        self.assertEqual(self.set()["serial"], self.segment["serial"])

    def test_labels_replace(self):
        self.assertEqual(self.set(labels={"c": "3"})["labels"], {"c": "3"})
        self.assertEqual(self.set(labels={})["labels"], {})
        self.assertEqual(self.client.stat(name="frames")["labels"], {})

    def test_new_name(self):
        segment = self.set(new_name="films")
        self.assertEqual(segment["name"], "films")
        self.assertEqual(self.client.stat(name="films")["serial"], self.segment["serial"])
        self.refused("NoSuchSegment", self.client, "stat", name="frames")
        self.assertNotEqual(self.client.create(name="frames")["serial"], self.segment["serial"])

    def test_new_name_for_one_that_had_none(self):
        serial = self.client.create()["serial"]
        self.client.call("set", serial=serial, new_name="late")
        self.assertEqual(self.client.stat(name="late")["serial"], serial)

    def test_new_name_that_is_its_own(self):
        self.assertEqual(self.set(new_name="frames")["name"], "frames")

    def test_new_name_that_is_taken(self):
        other = self.client.create(name="films")
        data = self.refused(
            "SegmentExists", self.client, "set", name="frames", new_name="films", mode="0644"
        )
        self.assertEqual((data["serial"], data["shmid"]), (other["serial"], other["shmid"]))
        # Nothing was done, not the other half either.
        self.assertEqual(self.client.stat(name="frames")["mode"], "0600")

    def test_locked(self):
        self.assertIs(self.set(locked=True)["locked"], True)
        self.assertTrue(sysv.stat(self.shmid).mode & sysv.SHM_LOCKED)
        self.assertIs(self.set(locked=False)["locked"], False)
        self.assertFalse(sysv.stat(self.shmid).mode & sysv.SHM_LOCKED)

    def test_bad_parameters(self):
        for parameter, value in (
            ("mode", 600),
            ("mode", "0888"),
            ("uid", -1),
            ("gid", 2**32 - 1),
            ("new_name", "white space"),
            ("labels", ["a"]),
            ("lifetime", "eternal"),
            ("ttl_ms", -1),
            ("locked", "yes"),
            ("size", 8192),
        ):
            with self.subTest(parameter=parameter, value=value):
                self.check_refuses_parameter(parameter, "set", name="frames", **{parameter: value})

    @needs_several_uids
    def test_admin_hands_over(self):
        root = self.connect(self.daemon, ROOT)
        segment = root.call("set", name="frames", uid=BOB.uid, gid=BOB.gid)["segment"]
        self.assertEqual((segment["uid"], segment["gid"]), (BOB.uid, BOB.gid))
        self.assertEqual(segment["creator"]["uid"], ALICE.uid)
        found = sysv.stat(self.shmid)
        self.assertEqual((found.uid, found.gid, found.mode), (BOB.uid, BOB.gid, 0o600))
        as_user(BOB, lambda: sysv.write(self.shmid, b"his"))

    @needs_several_uids
    def test_owner_hands_over_to_the_daemon_and_takes_back(self):
        self.assertEqual(self.set(uid=DAEMON.uid)["uid"], DAEMON.uid)
        self.assertEqual(sysv.stat(self.shmid).uid, DAEMON.uid)
        # Still creator of record.
        self.assertEqual(self.set(uid=ALICE.uid)["uid"], ALICE.uid)

    @needs_several_uids
    def test_owner_may_not_give_to_a_stranger(self):
        data = self.refused("PermissionDenied", self.client, "set", name="frames", uid=BOB.uid)
        self.assertTrue(data["needs"])
        data = self.refused("PermissionDenied", self.client, "set", name="frames", gid=BOB.gid)
        self.assertTrue(data["needs"])
        self.assertEqual(sysv.stat(self.shmid).uid, ALICE.uid)

    @needs_several_uids
    def test_a_group_of_the_callers(self):
        member = self.connect(self.daemon, User(ALICE.uid, ALICE.gid, (4001,)))
        segment = member.call("set", name="frames", gid=4001, mode="0660")["segment"]
        self.assertEqual(segment["gid"], 4001)
        as_user(User(BOB.uid, BOB.gid, (4001,)), lambda: sysv.write(self.shmid, b"x"))

    def test_foreign_segments_are_left_alone(self):
        shmid = sysv.create(4096, key=0xF00D)
        before = sysv.stat(shmid)
        for target in ({"shmid": shmid}, {"key": 0xF00D}):
            for method, more in (("set", {"mode": "0666"}), ("remove", {}), ("hold", {})):
                with self.subTest(method=method, target=target):
                    self.check_adopt_is_hinted(method, **target, **more)
        self.assertEqual(sysv.stat(shmid), before)


class Remove(MethodsCase):
    def setUp(self):
        super().setUp()
        self.segment = self.client.create(name="frames", key=0xABCD)
        self.shmid = self.segment["shmid"]

    def test_unattached(self):
        segment = self.client.call("remove", name="frames")["segment"]
        self.assertEqual(segment["state"], "removed")
        self.assertEqual(
            (segment["serial"], segment["shmid"]), (self.segment["serial"], self.shmid)
        )
        self.assertFalse(sysv.exists(self.shmid))
        for target in ({"name": "frames"}, {"shmid": self.shmid}, {"key": 0xABCD},
                       {"serial": self.segment["serial"]}):
            for method in ("stat", "remove"):
                with self.subTest(method=method, target=target):
                    self.refused("NoSuchSegment", self.client, method, **target)
        self.assertEqual(self.client.list(), [])

    def test_attached(self):
        holder = self.hold(SOMEBODY, self.shmid)
        segment = self.client.call("remove", name="frames")["segment"]
        self.assertEqual((segment["state"], segment["nattch"]), ("removing", 1))
        self.assertTrue(sysv.stat(self.shmid).mode & sysv.SHM_DEST)
        self.assertEqual(self.client.stat(serial=segment["serial"])["state"], "removing")
        holder.kill()

        def gone():
            try:
                self.client.stat(serial=segment["serial"])
            except RpcError as error:
                self.check_error(error, "NoSuchSegment")
                return True
            return False

        wait_until(gone, "the daemon knows no more of it")
        self.assertFalse(sysv.exists(self.shmid))

    def test_name_and_key_are_free_at_once(self):
        self.hold(SOMEBODY, self.shmid)
        self.client.call("remove", name="frames")
        self.refused("NoSuchSegment", self.client, "stat", name="frames")
        again = self.client.create(name="frames", key=0xABCD, exclusive=True)
        self.assertNotEqual(again["shmid"], self.shmid)
        self.assertEqual(self.client.stat(name="frames")["serial"], again["serial"])

    def test_what_is_being_removed_is_listed(self):
        self.hold(SOMEBODY, self.shmid)
        self.client.call("remove", name="frames")
        listed = self.client.list(state="removing")
        self.assertEqual([segment["shmid"] for segment in listed], [self.shmid])
        self.assertEqual(self.client.list(state="ready"), [])

    def test_only_if_unattached(self):
        holders = [self.hold(SOMEBODY, self.shmid) for _ in range(2)]
        data = self.refused(
            "SegmentBusy", self.client, "remove", name="frames", only_if_unattached=True
        )
        self.assertEqual(data["nattch"], 2)
        self.assertEqual(self.client.stat(name="frames")["state"], "ready")
        for holder in holders:
            holder.kill()
        segment = self.client.call("remove", name="frames", only_if_unattached=True)["segment"]
        self.assertEqual(segment["state"], "removed")

    def test_bad_parameters(self):
        self.check_refuses_parameter(
            "only_if_unattached", "remove", name="frames", only_if_unattached=1
        )
        self.check_refuses_parameter("force", "remove", name="frames", force=True)


class Other(MethodsCase):
    def test_unknown_method(self):
        for method in ("destroy", "Stat", "io.shmd.Stat", "", "stat "):
            with self.subTest(method=method):
                data = self.refused("MethodNotFound", self.client, method)
                self.assertEqual(data["method"], method)

    def test_parameters_go_by_name(self):
        self.client.create(name="frames")
        for params in (["frames"], "frames", 1):
            with self.subTest(params=params):
                self.client.send(
                    b'{"jsonrpc":"2.0","id":9,"method":"stat","params":%s}\n'
                    % str(params).replace("'", '"').encode()
                )
                reply = self.client.reply()
                self.assertEqual(reply["id"], 9)
                self.assertEqual(reply["error"]["code"], -32602, reply)

    def test_no_parameters_has_three_spellings(self):
        for params in (b"", b',"params":{}', b',"params":[]'):
            with self.subTest(params=params):
                self.client.send(b'{"jsonrpc":"2.0","id":9,"method":"list"%s}\n' % params)
                self.assertEqual(self.client.reply()["result"]["segments"], [])


main()
