# SPDX-License-Identifier: MIT
"""stat, set and remove: every field and error that PROTOCOL.md names."""

import os
import subprocess
import sys
import time

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    SOMEBODY,
    RpcError,
    TestCase,
    User,
    as_user,
    main,
    needs_several_uids,
    wait_until,
)


def state_of(pid):
    """The letter of /proc/PID/stat."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


def now_ms():
    return time.time_ns() // 1_000_000


class MethodsCase(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def check_adopt_is_hinted(self, method, /, **params):
        with self.assertRaises(RpcError) as caught:
            self.client.call(method, **params)
        self.check_error(caught.exception, "NoSuchSegment")
        self.assertIn("adopt", str(caught.exception))


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
                "rss": 0,
                "swap": 0,
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
        self.assertGreaterEqual(attached["attached_at_ms"], attached["created_at_ms"])
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
                for field in ("serial", "name", "lifetime"):
                    self.assertNotIn(field, segment)
                for field, value in {
                    "managed": False,
                    "orphaned": True,
                    "used_by_others": False,
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
                self.assertEqual(segment["creator"], {"uid": 0, "gid": 0, "pid": creator})

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
        segment = self.client.create(name="frames")
        self.assertNotIn("orphaned", segment)
        self.assertNotIn("used_by_others", segment)

    def test_a_creator_that_is_a_zombie_is_dead(self):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, str(sysv.create(4096)).encode())
            os._exit(0)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, write)
        self.addCleanup(os.close, read)
        shmid = int(os.read(read, 32))
        wait_until(lambda: state_of(pid) == "Z", "it is a zombie")
        segment = self.client.stat(shmid=shmid)
        self.assertIs(segment["orphaned"], True)
        self.assertNotIn("comm", segment["creator"])

    def test_a_creator_that_lives_is_named(self):
        shmid = sysv.create(4096)
        with open("/proc/self/comm", encoding="ascii") as file:
            comm = file.read().strip()
        self.assertEqual(self.client.stat(shmid=shmid)["creator"]["comm"], comm)
        (listed,) = self.client.list(scope="foreign")
        self.assertEqual(listed["creator"]["comm"], comm)

    def test_used_by_others(self):
        mine = sysv.create(4096)
        sysv.read(mine, 1)
        self.assertIs(self.client.stat(shmid=mine)["used_by_others"], False)
        as_user(ROOT, lambda: sysv.read(mine, 1))
        self.assertIs(self.client.stat(shmid=mine)["used_by_others"], True)

    def test_memory(self):
        managed = self.client.create(name="frames", size=16 * sysv.PAGE, mode="0600")
        self.assertNotIn("rss", managed)
        foreign = as_user(SOMEBODY, lambda: sysv.create(16 * sysv.PAGE))
        for number, shmid in enumerate((managed["shmid"], foreign), 1):
            with self.subTest(shmid=shmid):
                self.assertEqual(self.client.stat(shmid=shmid)["rss"], 0)
                as_user(SOMEBODY, lambda: sysv.write(shmid, b"x" * number * sysv.PAGE))
                segment = self.client.stat(shmid=shmid)
                row = sysv.proc_table()[shmid]
                self.assertEqual((segment["rss"], segment["swap"]), (int(row["rss"]), int(row["swap"])))
                self.assertEqual(segment["rss"] + segment["swap"], number * sysv.PAGE)
        for segment in self.client.list(scope="all"):
            self.assertNotIn("rss", segment)

    def test_the_name_of_what_a_holder_has_become(self):
        # `exec` is how shmdctl run becomes its command.
        code = ("import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                "s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":"
                "{\"name\":\"run\",\"size\":1,\"lifetime\":\"process\"}}'); s.recv(65536); "
                "os.execvp('cat', ['cat'])")
        process = subprocess.Popen([sys.executable, "-c", code, self.daemon.socket_path],
                                   stdin=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        admin = self.connect(self.daemon, ROOT)

        def held_by():
            try:
                segment = admin.stat(name="run")
            except RpcError:
                return None
            return segment if segment["holder_list"][0]["comm"] == "cat" else None

        segment = wait_until(held_by, "the process is called cat")
        self.assertEqual(segment["holder_list"][0]["pid"], process.pid)
        self.assertEqual(segment["creator"]["comm"], "cat")

    def test_unknown_parameter(self):
        self.refuses_parameter("nmae", self.client, "stat", nmae="frames")


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
                self.refuses_parameter(parameter, self.client, "set", name="frames", **{parameter: value})

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

    def test_what_cannot_be_done_while_it_is_being_removed(self):
        for state in ("ready", "initialising"):
            segment = self.client.create(ready=state == "ready")
            self.hold(SOMEBODY, segment["shmid"])
            self.client.call("remove", serial=segment["serial"])
            for method in ("ready", "disown"):
                for member in ("serial", "shmid"):
                    with self.subTest(state=state, method=method, member=member):
                        data = self.refuses_parameter(member, self.client, method,
                                                      **{member: segment[member]})
                        self.assertIn("is being removed", data["reason"])
            self.assertEqual(self.client.stat(serial=segment["serial"])["state"], "removing")

    def test_what_can_be_set_while_it_is_being_removed(self):
        self.hold(SOMEBODY, self.shmid)
        self.client.call("remove", name="frames")
        serial = self.segment["serial"]
        for parameter, value in (
            ("new_name", "films"),
            ("lifetime", "process"),
            ("ttl_ms", 60000),
            ("ttl_ms", 0),
            ("idle_ttl_ms", 60000),
            ("idle_ttl_ms", 0),
        ):
            with self.subTest(parameter=parameter, value=value):
                self.refuses_parameter(parameter, self.client, "set", serial=serial, mode="0644",
                                       **{parameter: value})
        self.assertEqual(sysv.stat(self.shmid).mode & 0o777, 0o600)
        segment = self.client.call("set", serial=serial, mode="0640", labels={"a": "1"},
                                   locked=True)["segment"]
        self.assertEqual((segment["state"], segment["mode"], segment["labels"], segment["locked"]),
                         ("removing", "0640", {"a": "1"}, True))
        self.assertEqual([s["serial"] for s in self.client.list(labels={"a": "1"})], [serial])
        self.assertEqual(sysv.stat(self.shmid).mode & 0o777, 0o640)

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
        self.refuses_parameter(
            "only_if_unattached", self.client, "remove", name="frames", only_if_unattached=1
        )
        self.refuses_parameter("force", self.client, "remove", name="frames", force=True)


main()
