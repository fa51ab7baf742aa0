# SPDX-License-Identifier: MIT
"""Segments that the administrator declares in files: the daemon creates missing ones at its start, on
reload and by the next sweep, changes others at its start and on reload, and shows what differs."""

import json
import os

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    HeldAttachment,
    ROOT,
    RpcError,
    SEVERAL_UIDS,
    SOMEBODY,
    as_user,
    main,
    needs_several_uids,
    wait_until,
)
from peers import LifeCase, kill
from programs import Programs


class DeclaredCase(LifeCase):
    def setUp(self):
        self.files = None
        super().setUp()
        kill(self.daemon)
        self.files = os.path.join(self.directory, "segments.d")
        os.mkdir(self.files)

    def restart(self, **arguments):
        if self.files is None:
            config = LifeCase.RELAXED
        else:
            config = LifeCase.RELAXED + f"segments_dir = {self.files}\n"
        super().restart(config=config, **arguments)

    def declare(self, file, *segments, text=None):
        path = os.path.join(self.files, file)
        with open(path, "w", encoding="utf-8") as stream:
            if text is None:
                text = json.dumps(segments[0] if len(segments) == 1 else segments, indent=2)
            stream.write(text)
        return path

    def reload(self):
        with self.daemon.connect(ROOT) as root:
            root.call("reload")

    def listed(self):
        with self.daemon.connect(ROOT) as root:
            return {segment["name"]: segment for segment in root.list()}


class Start(DeclaredCase):
    def test_created_as_declared(self):
        self.declare("10-frames.json", {"name": "frames", "size": 5000, "mode": "0666", "key": 77,
                                        "labels": {"a": "1"}})
        self.declare("20-more.json", {"name": "a", "size": 1}, {"name": "b", "size": 2})
        self.restart()
        listed = self.listed()
        self.assertEqual(sorted(listed), ["a", "b", "frames"])
        frames = listed["frames"]
        self.assertEqual([frames[field] for field in ("size", "mode", "key", "labels", "lifetime",
                                                      "state", "declared", "managed")],
                         [5000, "0666", 77, {"a": "1"}, "persistent", "ready", True, True])
        uid = self.client.call("info")["uid"]
        self.assertEqual((frames["uid"], frames["creator"]["uid"]), (uid, uid))
        self.assertEqual({row["size"] for row in sysv.proc_table().values()}, {"5000", "1", "2"})
        # As any other segment of the daemon's, a client gets it.
        self.assertEqual(self.client.call("create", name="frames", size=5000)["created"], False)
        self.assertIs(self.client.stat(name="frames")["declared"], True)

    def test_by_key_alone(self):
        path = self.declare("a.json", {"key": 77, "size": 5000})
        self.restart()
        self.assertIn(f"{path}: created (key 77), which is declared here", self.daemon.log())
        with self.daemon.connect(ROOT) as root:
            made = root.stat(key=77)
        self.assertEqual((made["size"], made["declared"]), (5000, True))
        self.assertNotIn("name", made)
        for end in (kill, lambda daemon: daemon.stop()):
            end(self.daemon)
            self.restart()
            self.assertNotIn(path, self.daemon.log())
            with self.daemon.connect(ROOT) as root:
                self.assertEqual(root.stat(key=77), made)

    @needs_several_uids
    def test_for_somebody(self):
        self.declare("a.json", {"name": "hers", "size": 1, "uid": ALICE.uid, "gid": ALICE.gid,
                                "mode": "0600"})
        self.restart()
        segment = self.connect(self.daemon, ALICE).stat(name="hers")
        self.assertEqual((segment["uid"], segment["gid"]), (ALICE.uid, ALICE.gid))

    def test_left_alone_where_the_file_does_not_say(self):
        self.declare("a.json", {"name": "frames", "size": 5000})
        self.restart()
        with self.daemon.connect(ROOT) as root:
            root.call("set", name="frames", mode="0666", labels={"mine": "1"})
        before = self.listed()
        self.assertNotIn("drift", before["frames"])
        for end in (kill, lambda daemon: daemon.stop()):
            end(self.daemon)
            self.restart()
            self.assertEqual(self.listed(), before)
            self.assertNotIn("created frames", self.daemon.log())

    def test_one_that_is_not_declared_is_not(self):
        self.declare("a.json", {"name": "declared", "size": 1})
        self.restart()
        made = self.client.create(name="made")
        self.assertFalse(made.get("declared", False))
        self.assertFalse(self.listed()["made"].get("declared", False))

    def test_no_directory(self):
        """The start goes on without it; what a reload says of it is in test_reload.py."""
        os.rmdir(self.files)
        self.restart()
        self.assertEqual(self.listed(), {})
        self.assertEqual(self.daemon.log().count(f'"{self.files}": there is no such directory'), 1)
        os.mkdir(self.files)
        self.declare("a.json", {"name": "a", "size": 1})
        self.reload()
        self.assertEqual(list(self.listed()), ["a"])

    def test_only_json_files(self):
        for file in ("a.json.bak", ".b.json", "json", "c.conf"):
            self.declare(file, {"name": "x", "size": 1})
        self.restart()
        self.assertEqual(self.listed(), {})


class Drift(DeclaredCase):
    """The file says otherwise than the segment is."""

    DECLARED = {"name": "frames", "size": 5000, "mode": "0640", "labels": {"a": "1"},
                "ttl_ms": 3600000, "idle_ttl_ms": 7200000}
    OTHERWISE = {"mode": "0666", "labels": {"mine": "1"}, "ttl_ms": 0, "idle_ttl_ms": 0}

    def setUp(self):
        super().setUp()
        self.path = self.declare("a.json", self.DECLARED)
        self.restart()
        self.made = self.listed()["frames"]
        self.assertNotIn("drift", self.made)

    def set(self, **parameters):
        with self.daemon.connect(ROOT) as root:
            return root.call("set", name="frames", **parameters)["segment"]

    def stat(self):
        with self.daemon.connect(ROOT) as root:
            return root.stat(name="frames")

    def as_declared(self):
        """The segment, which is as the file says."""
        segment = self.stat()
        self.assertEqual([segment["serial"], segment["mode"], segment["labels"]],
                         [self.made["serial"], "0640", {"a": "1"}])
        self.assertIn("expires_at_ms", segment)
        self.assertNotIn("drift", segment)
        return segment

    def test_it_is_shown(self):
        drift = ["mode", "labels", "ttl_ms", "idle_ttl_ms"]
        self.assertEqual(self.set(**self.OTHERWISE)["drift"], drift)
        self.assertEqual(self.stat()["drift"], drift)
        self.assertEqual(self.listed()["frames"]["drift"], drift)
        self.set(mode="0640", labels={"a": "1"}, ttl_ms=3600000, idle_ttl_ms=7200000)
        self.as_declared()

    def test_changed_behind_its_back(self):
        sysv.set_owner(self.made["shmid"], self.made["uid"], self.made["gid"], 0o600)
        self.assertEqual(self.stat()["drift"], ["mode"])
        self.reload()
        self.as_declared()

    def test_reload_changes_it(self):
        self.set(**self.OTHERWISE)
        subscriber = self.subscribe(user=ROOT)
        self.reload()
        self.as_declared()
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["segment"]["mode"]), ("changed", "0640"))
        self.assertIn(f"{self.path}: changed frames to what is declared here: "
                      f"mode, labels, ttl_ms, idle_ttl_ms (serial {self.made['serial']}",
                      self.daemon.log())
        kill(self.daemon)
        self.restart()
        self.as_declared()

    def test_the_start_changes_it(self):
        for end in (kill, lambda daemon: daemon.stop()):
            self.set(**self.OTHERWISE)
            end(self.daemon)
            self.restart()
            self.as_declared()

    def test_a_changed_file(self):
        self.declare("a.json", {**self.DECLARED, "mode": "0644", "labels": {"a": "2"},
                                "ttl_ms": 1800000})
        self.reload()
        segment = self.stat()
        self.assertEqual([segment["serial"], segment["mode"], segment["labels"]],
                         [self.made["serial"], "0644", {"a": "2"}])
        self.assertLess(segment["expires_at_ms"], self.made["expires_at_ms"])
        self.assertNotIn("drift", segment)

    @needs_several_uids
    def test_another_owner(self):
        self.declare("a.json", {**self.DECLARED, "uid": ALICE.uid, "gid": ALICE.gid})
        self.reload()
        segment = self.as_declared()
        self.assertEqual((segment["uid"], segment["gid"]), (ALICE.uid, ALICE.gid))
        self.assertEqual(self.set(uid=ROOT.uid, gid=ROOT.gid)["drift"], ["uid", "gid"])


class Again(DeclaredCase):
    """Removed since the files were read."""

    def restart(self, **arguments):
        config = f"segments_dir = {self.files}\n" if self.files else ""
        LifeCase.restart(self, config=LifeCase.CONFIG + config, **arguments)

    def setUp(self):
        super().setUp()
        self.path = self.declare("a.json", {"name": "frames", "size": 5000, "mode": "0644"})
        self.restart()
        self.subscriber = self.subscribe(user=ROOT)
        self.made = self.listed()["frames"]

    def comes_again(self, reason):
        removed, created = self.event(self.subscriber), self.event(self.subscriber)
        self.assertEqual((removed["kind"], removed["reason"]), ("removed", reason))
        self.assertEqual(created["kind"], "created")
        segment = created["segment"]
        self.assertEqual([segment[field] for field in ("name", "size", "mode", "declared")],
                         ["frames", 5000, "0644", True])
        self.assertGreater(segment["serial"], self.made["serial"])
        self.assertEqual(self.daemon.log().count(f"{self.path}: created frames"), 2)

    def test_behind_its_back(self):
        sysv.remove(self.made["shmid"])
        self.comes_again("out-of-band")

    def test_by_request(self):
        with self.daemon.connect(ROOT) as root:
            root.call("remove", name="frames")
        self.comes_again("request")

    def test_not_when_no_file_asks_for_it(self):
        os.unlink(self.path)
        self.reload()
        with self.daemon.connect(ROOT) as root:
            root.call("remove", name="frames")
            self.assertEqual(self.event(self.subscriber)["kind"], "removed")
            # The sweep that finds the next one gone has looked at what is declared, too.
            sysv.remove(root.create(name="other", size=1)["shmid"])
        self.assertEqual(self.event(self.subscriber)["kind"], "created")
        self.assertEqual(self.event(self.subscriber)["reason"], "out-of-band")
        self.assertEqual(self.listed(), {})

    def test_a_conflict_is_logged_once(self):
        self.declare("a.json", {"name": "frames", "size": 6000, "mode": "0644"})
        self.reload()
        self.assertEqual(self.listed()["frames"]["drift"], ["size"])
        for _ in range(3):
            with self.daemon.connect(ROOT) as root:
                sysv.remove(root.create(name="other", size=1)["shmid"])
            self.assertEqual(self.event(self.subscriber)["kind"], "created")
            self.assertEqual(self.event(self.subscriber)["reason"], "out-of-band")
        said = [line for line in self.daemon.log().splitlines() if self.path in line]
        self.assertEqual(len(said), 2, said)
        self.assertIn("the declared segment frames: its size is 5000, not 6000.", said[1])
        # Removed, it is created as declared.
        with self.daemon.connect(ROOT) as root:
            root.call("remove", name="frames")
        self.assertEqual(self.event(self.subscriber)["kind"], "removed")
        self.assertEqual(self.event(self.subscriber)["segment"]["size"], 6000)


@needs_several_uids
class Charge(DeclaredCase):
    """Alice owns a declared segment, and may remove and rename it."""

    SIZE = 1 << 20

    def restart(self, **arguments):
        config = LifeCase.CONFIG + f"max_bytes_per_uid = {4 * self.SIZE}\n"
        config += f"segments_dir = {self.files}\n" if self.files else ""
        LifeCase.restart(self, config=config, **arguments)

    def setUp(self):
        super().setUp()
        # Of the daemon's own there would be room for one more.
        self.path = self.declare("a.json", {"name": "hers", "size": self.SIZE, "uid": ALICE.uid},
                                 {"name": "others", "size": 2 * self.SIZE, "uid": BOB.uid})
        self.restart()
        self.alice = self.connect(self.daemon, ALICE)

    def is_made_again(self, name):
        with self.daemon.connect(ROOT) as root:
            return root.call("wait", name=name, timeout_ms=10000)["segment"]

    def test_of_what_is_removed_and_attached(self):
        holders = []
        for _ in range(5):
            segment = self.is_made_again("hers")
            holders.append(HeldAttachment(ALICE, segment["shmid"]))
            self.addCleanup(holders[-1].kill)
            self.alice.call("remove", serial=segment["serial"])
        refusal = (f"the declared segment hers: max_bytes_per_uid of uid {ALICE.uid} is used up "
                   f"({5 * self.SIZE} of {4 * self.SIZE})")
        wait_until(lambda: refusal in self.daemon.log(), "the log says why there is no other")
        self.refused("NoSuchSegment", self.alice, "stat", name="hers")
        # It hurts nobody else, and a restart changes nothing.
        with self.daemon.connect(ROOT) as root:
            root.call("remove", name="others")
        self.is_made_again("others")
        kill(self.daemon)
        self.restart()
        wait_until(lambda: refusal in self.daemon.log(), "the log says so again")
        for holder in holders[:2]:
            holder.kill()
        self.is_made_again("hers")

    def test_of_what_is_renamed(self):
        for i in range(5):
            segment = self.is_made_again("hers")
            self.alice.call("set", serial=segment["serial"], new_name=f"kept-{i}")
        renamed = self.alice.stat(name="kept-0")
        self.assertEqual(renamed["creator"]["uid"], ALICE.uid)
        refusal = f"the declared segment hers: max_bytes_per_uid of uid {ALICE.uid} is used up"
        wait_until(lambda: refusal in self.daemon.log(), "the log says why there is no other")
        for i in range(2):
            self.alice.call("remove", name=f"kept-{i}")
        self.is_made_again("hers")

    def test_the_daemons_own_is_not_disowned(self):
        self.declare("a.json", text="[]")
        self.reload()
        data = self.refused("PermissionDenied", self.alice, "disown", name="hers")
        self.assertEqual(data["needs"], "admin")
        self.alice.call("remove", name="hers")


@needs_several_uids
class Taken(DeclaredCase):
    """The declared segment was removed, and no sweep has made it again."""

    def setUp(self):
        super().setUp()
        self.declare("a.json", {"name": "frames", "size": 5000, "mode": "0666", "key": 4242})
        self.restart()
        self.root, self.alice = self.connect(self.daemon, ROOT), self.connect(self.daemon, ALICE)
        self.root.call("remove", name="frames")

    def is_kept_free(self, method, **params):
        data = self.refused("PermissionDenied", self.alice, method, **params)
        self.assertEqual(data["needs"], "admin")

    def test_by_nobody(self):
        self.is_kept_free("create", name="frames", size=5000)
        self.is_kept_free("create", name="frames", size=5000, replace=True)
        self.is_kept_free("create", key=4242, size=5000)
        self.is_kept_free("create", name="other", key=4242, size=5000)
        self.alice.create(name="mine", size=5000)
        self.is_kept_free("set", name="mine", new_name="frames")
        shmid = as_user(ALICE, lambda: sysv.create(5000))
        as_user(ALICE, lambda: sysv.set_owner(shmid, DAEMON.uid, ALICE.gid, 0o600))
        self.is_kept_free("adopt", shmid=shmid, name="frames")
        self.reload()
        self.assertEqual(self.listed()["frames"]["creator"]["comm"], "shmd")
        self.assertFalse(self.alice.call("create", name="frames", size=5000)["created"])

    def test_by_a_replacement_that_was_begun_before(self):
        self.declare("a.json", text="[]")
        self.reload()
        hers = self.alice.create(name="frames", size=5000)
        new = self.alice.create(name="frames", size=5000, replace=True, ready=False)
        self.alice.call("remove", serial=hers["serial"])
        self.declare("a.json", {"name": "frames", "size": 5000})
        self.reload()
        self.root.call("remove", name="frames")
        self.is_kept_free("ready", serial=new["serial"])
        self.reload()
        self.assertEqual(self.root.stat(name="frames")["creator"]["comm"], "shmd")

    def test_an_admin_may(self):
        self.assertTrue(self.root.call("create", name="frames", size=5000)["created"])


class Shown(Programs, DeclaredCase):
    """By shmdctl."""

    def ctl(self, *arguments):
        return self.run_program("shmdctl", *arguments, user=ROOT,
                                environment={"SHMD_SOCKET": self.daemon.socket_path})

    def doctor(self):
        _, out, _ = self.ctl("doctor", "--json")
        return next(one for one in json.loads(out) if one["id"] == "declared-drift")

    def test_by_list_stat_and_doctor(self):
        self.declare("a.json", {"name": "frames", "size": 5000, "mode": "0644", "labels": {"a": "1"}},
                     {"name": "stills", "size": 1})
        self.restart()
        self.assertEqual(self.doctor()["severity"], "ok")
        self.assertEqual(self.ctl("list", "-n", "-o", "NAME,DRIFT")[1].decode().split(),
                         ["frames", "stills"])
        self.assertNotIn(b"DRIFT", self.ctl("stat", "frames")[1])
        self.ctl("set", "frames", "--mode", "600", "--label", "a=2")
        self.assertIn(["frames", "mode,labels"],
                      [line.split() for line in
                       self.ctl("list", "-n", "-o", "NAME,DRIFT")[1].decode().splitlines()])
        self.assertRegex(self.ctl("stat", "frames")[1].decode(), r"(?m)^DRIFT +mode,labels$")
        finding = self.doctor()
        self.assertEqual((finding["severity"], finding["found"]),
                         ("warning", "1 of 2 declared segments differs from its file: "
                                     "frames (mode,labels)"))
        self.assertIn("reload", finding["mend"])
        self.assertEqual(self.ctl("reload")[0], 0)
        self.assertEqual(self.doctor()["severity"], "ok")

    def test_a_reload_that_cannot_change_it_says_so(self):
        self.declare("a.json", {"name": "frames", "size": 5000}, {"name": "stills", "size": 1})
        self.restart()
        self.assertEqual(self.ctl("reload"), (0, b"", b""))
        self.declare("a.json", {"name": "frames", "size": 6000, "mode": "0644"}, {"name": "stills", "size": 1})
        status, out, err = self.ctl("reload")
        self.assertEqual((status, out), (1, b""))
        first, last = err.decode().splitlines()
        self.assertEqual(first, "shmdctl: the declared segment frames is not as its file says: size")
        self.assertIn("the new configuration is in force, but the segment above stays as it is", last)
        self.assertEqual(self.listed()["frames"]["mode"], "0644", "what can be changed is changed")
        with self.daemon.connect(ROOT) as root:
            root.call("remove", name="frames")
        self.assertEqual(self.ctl("reload"), (0, b"", b""))

    def test_a_foreign_segment_has_the_key(self):
        sysv.create(4096, 0o600, key=99)
        self.declare("a.json", {"name": "frames", "size": 1, "key": 99})
        self.restart()
        self.assertEqual(self.doctor()["found"],
                         "1 of 1 declared segments differs from its file: key 0x00000063 (managed)")


class Beside(DeclaredCase):
    """Without `segments_dir` it is segments.d beside the configuration."""

    def start_beside(self, *options):
        beside = os.path.join(self.daemon_directory(), "segments.d")
        os.mkdir(beside)
        with open(os.path.join(beside, "a.json"), "w", encoding="utf-8") as stream:
            json.dump({"name": "beside", "size": 1}, stream)
        self.files, files = None, self.files
        LifeCase.restart(self, config=LifeCase.RELAXED)
        self.files = files

    def test_it_counts(self):
        self.start_beside()
        self.assertEqual(list(self.listed()), ["beside"])

    def test_segments_dir_counts_more(self):
        self.start_beside()
        with self.daemon.connect(ROOT) as root:
            root.call("remove", name="beside")
        self.declare("a.json", {"name": "said", "size": 1})
        self.daemon.configure(LifeCase.RELAXED + f"segments_dir = {self.files}\n")
        self.reload()
        self.assertEqual(list(self.listed()), ["said"])


class Conflict(DeclaredCase):
    def test_anothers_has_the_name(self):
        self.files, files = None, self.files
        self.restart()
        made = self.client.create(name="frames", size=100)
        self.daemon.stop()
        self.files = files
        path = self.declare("a.json", {"name": "frames", "size": 100})
        self.declare("b.json", {"name": "other", "size": 1})
        self.restart()
        if SEVERAL_UIDS:
            self.assertIn(path, self.daemon.log())
            self.assertIn("frames", self.daemon.log())
            self.assertEqual(self.listed()["frames"]["drift"], ["creator"])
        self.assertEqual(self.listed()["frames"]["serial"], made["serial"])
        self.assertIn("other", self.listed())

    def test_it_is_too_small(self):
        path = self.declare("a.json", {"name": "frames", "size": 100})
        self.restart()
        made = self.listed()["frames"]
        self.declare("a.json", {"name": "frames", "size": 101})
        before = len(self.daemon.log())
        self.reload()
        said = self.daemon.log()[before:]
        self.assertIn(path, said)
        self.assertIn("frames", said)
        self.assertEqual(self.listed()["frames"]["serial"], made["serial"])
        self.assertEqual(self.listed()["frames"]["size"], 100)
        self.assertEqual(self.listed()["frames"]["drift"], ["size"])

    def test_a_foreign_one_has_the_key(self):
        shmid = sysv.create(4096, 0o600, key=99)
        before = sysv.stat(shmid)
        path = self.declare("a.json", {"name": "frames", "size": 1, "key": 99},
                            {"name": "other", "size": 1})
        self.restart()
        self.assertIn(path, self.daemon.log())
        self.assertEqual(list(self.listed()), ["other"])
        self.assertEqual(sysv.stat(shmid), before)
        # What is advised makes it as it is declared; an adopted one would not be.
        (said,) = [line for line in self.daemon.log().splitlines() if path in line and "frames" in line]
        self.assertIn("has this key: have that segment's owner or root remove it, and the daemon makes the one "
                      "that a file in its segments.d declares", said)
        with self.daemon.connect(ROOT) as root:
            with self.assertRaises(RpcError) as caught:
                root.call("create", key=99, size=1)
        self.assertIn("segments.d declares", caught.exception.message)
        self.assertNotIn("adopt", caught.exception.message + said)
        sysv.remove(shmid)
        self.reload()
        self.assertEqual(sorted(self.listed()), ["frames", "other"])
        self.assertNotIn("drift", self.listed()["frames"])

    def test_the_key_alone_is_a_foreign_one_s(self):
        shmid = sysv.create(4096, 0o600, key=99)
        before = sysv.stat(shmid)
        path = self.declare("a.json", {"size": 1, "key": 99}, {"name": "other", "size": 1})
        self.restart()
        self.assertIn(f"{path}: the declared segment (key 99): a segment that shmd does not manage",
                      self.daemon.log())
        self.assertEqual(list(self.listed()), ["other"])
        self.assertEqual(sysv.stat(shmid), before)

    def test_name_and_key_of_two_segments(self):
        path = self.declare("a.json", {"name": "a", "size": 1, "key": 1},
                            {"name": "b", "size": 1, "key": 2})
        self.restart()
        self.declare("a.json", {"name": "a", "size": 1, "key": 2})
        before = len(self.daemon.log())
        self.reload()
        said = [line for line in self.daemon.log()[before:].splitlines() if path in line]
        self.assertEqual(len(said), 1, said)
        self.assertIn("the declared segment a: its key is 1, not 2.", said[0])
        self.assertEqual(self.listed()["a"]["drift"], ["key"])
        self.assertEqual({name: segment["key"] for name, segment in self.listed().items()},
                         {"a": 1, "b": 2})

    def test_an_entry_that_contradicts_another_is_left_out(self):
        self.declare("a.json", {"name": "a", "size": 1, "key": 1},
                     {"name": "b", "size": 1, "key": 2})
        path = self.declare("b.json", {"name": "a", "size": 1, "key": 2})
        self.restart()
        said = [line for line in self.daemon.log().splitlines() if path in line]
        self.assertEqual(len(said), 1, said)
        self.assertIn(f"{path}:1: a is declared differently in ", said[0])
        self.assertEqual({name: segment["key"] for name, segment in self.listed().items()},
                         {"a": 1, "b": 2})

    def test_declared_twice(self):
        self.declare("a.json", {"name": "frames", "size": 100})
        self.declare("b.json", {"name": "frames", "size": 50})
        self.restart()
        self.assertEqual(self.listed()["frames"]["size"], 100)
        self.assertEqual(len(self.listed()), 1)
        # In any parameter.
        self.declare("a.json", {"name": "frames", "size": 100, "idle_ttl_ms": 1000000})
        path = self.declare("b.json", {"name": "frames", "size": 100, "idle_ttl_ms": 2000000})
        with self.daemon.connect(ROOT) as root:
            self.refused("InvalidConfiguration", root, "reload")
        self.assertIn(f"{path}:1: frames is declared differently in ", self.daemon.log())


class Bad(DeclaredCase):
    def test_the_others_go_on(self):
        bad = {
            "01-text.json": "frames, please",
            "02-cut.json": '{"name": "x", "size": 1',
            "03-no-size.json": '{"name": "x1"}',
            "04-no-name.json": '{"size": 1}',
            "05-unknown.json": '{"name": "x2", "size": 1, "colour": "red"}',
            "06-mode.json": '{"name": "x3", "size": 1, "mode": 600}',
            "07-lifetime.json": '{"name": "x4", "size": 1, "lifetime": "process"}',
            "08-number.json": "7",
            "09-empty.json": "",
            "10-twice.json": '{"name": "x5", "name": "x6", "size": 1}',
            "11-not-ready.json": '{"name": "x7", "size": 1, "ready": false}',
            "12-size.json": '{"name": "x8", "size": 0}',
        }
        for file, text in bad.items():
            self.declare(file, text=text)
        os.mkdir(os.path.join(self.files, "13-directory.json"))
        os.symlink("nowhere", os.path.join(self.files, "14-dangling.json"))
        self.declare("15-half.json", {"name": "good-1", "size": 1}, {"name": "bad", "size": "big"},
                     {"name": "good-2", "size": 1})
        self.declare("99-good.json", {"name": "good-3", "size": 1})
        self.restart()
        self.assertEqual(sorted(self.listed()), ["good-1", "good-2", "good-3"])
        lines = self.daemon.log().splitlines()
        for file in (*bad, "13-directory.json", "14-dangling.json", "15-half.json"):
            with self.subTest(file=file):
                said = [line for line in lines if os.path.join(self.files, file) in line
                        and "created" not in line]
                self.assertEqual(len(said), 1, said)
        self.assertFalse([line for line in lines if "99-good" in line and "created" not in line])
        self.assertTrue([line for line in lines if "15-half" in line and "entry 2" in line], lines)

    @needs_several_uids
    def test_a_file_that_cannot_be_read(self):
        path = self.declare("a.json", {"name": "secret", "size": 1})
        os.chmod(path, 0)
        self.declare("b.json", {"name": "good", "size": 1})
        self.restart()
        self.assertEqual(list(self.listed()), ["good"])
        self.assertIn(f"{path}: cannot be read: Permission denied", self.daemon.log())

    @needs_several_uids
    def test_a_directory_that_cannot_be_read(self):
        self.declare("a.json", {"name": "secret", "size": 1})
        os.chmod(self.files, 0)
        self.restart()
        self.assertEqual(self.listed(), {})
        self.assertIn(f"{self.files}: cannot be read: Permission denied", self.daemon.log())

    def test_more_than_a_quota_allows(self):
        path = self.declare("a.json", *({"name": f"s{i}", "size": 1} for i in range(3)))
        LifeCase.restart(self, config=LifeCase.RELAXED + f"segments_dir = {self.files}\n"
                         "max_segments = 2\n")
        self.assertEqual(sorted(self.listed()), ["s0", "s1"])
        self.assertIn(path, self.daemon.log())
        self.assertIn("s2", self.daemon.log())


class Reload(DeclaredCase):
    def test_adds(self):
        self.declare("a.json", {"name": "a", "size": 1})
        self.restart()
        before = self.listed()
        self.declare("b.json", {"name": "b", "size": 1})
        self.reload()
        listed = self.listed()
        self.assertEqual(sorted(listed), ["a", "b"])
        self.assertEqual(listed["a"], before["a"])

    def test_never_removes(self):
        path = self.declare("a.json", {"name": "a", "size": 1}, {"name": "b", "size": 1})
        self.restart()
        before = self.listed()
        os.unlink(path)
        self.reload()
        listed = self.listed()
        self.assertEqual({name: segment["serial"] for name, segment in listed.items()},
                         {name: segment["serial"] for name, segment in before.items()})
        self.assertFalse(any(segment.get("declared", False) for segment in listed.values()))
        kill(self.daemon)
        self.restart()
        self.assertEqual(sorted(self.listed()), ["a", "b"])

    def test_what_is_gone_is_made_again(self):
        self.declare("a.json", {"name": "a", "size": 1})
        self.restart()
        before = self.listed()["a"]
        with self.daemon.connect(ROOT) as root:
            root.call("remove", name="a")
        self.assertEqual(self.listed(), {})
        self.reload()
        self.assertGreater(self.listed()["a"]["serial"], before["serial"])
        sysv.remove(self.listed()["a"]["shmid"])
        self.reload()
        self.assertIs(self.listed()["a"]["declared"], True)

    def test_what_was_made_by_hand_becomes_declared(self):
        self.restart()
        with self.daemon.connect(DAEMON if SEVERAL_UIDS else SOMEBODY) as own:
            made = own.create(name="a", size=10)
        self.declare("a.json", {"name": "a", "size": 10})
        self.reload()
        self.assertEqual(self.listed()["a"]["serial"], made["serial"])
        self.assertIs(self.listed()["a"]["declared"], True)

    def test_it_is_told(self):
        self.restart()
        subscriber = self.subscribe(user=ROOT)
        self.declare("a.json", {"name": "a", "size": 1})
        self.reload()
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["segment"]["name"]), ("created", "a"))


main()
