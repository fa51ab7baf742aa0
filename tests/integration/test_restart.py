# SPDX-License-Identifier: MIT
"""What a daemon finds that starts where another ended, in order or not: what was acknowledged, all
of it, and what has become of it; and nothing else is touched.
"""

import os

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    SOMEBODY,
    as_user,
    encode,
    main,
    needs_several_uids,
    needs_to_be_alone,
    wait_until,
)
from journal_file import Header
from peers import LifeCase, kill
from tracing import killed_at, needs_strace


class RestartCase(LifeCase):
    CONFIG = LifeCase.RELAXED

    def everything(self):
        """All that is managed, by serial."""
        with self.daemon.connect(ROOT) as root:
            segments, cursor = {}, None
            while True:
                page = root.call("list", **({"cursor": cursor} if cursor else {}))
                segments.update((segment["serial"], segment) for segment in page["segments"])
                cursor = page.get("cursor")
                if cursor is None:
                    return segments


class Kept(RestartCase):
    def test_a_thousand(self):
        modes = ("0600", "0640", "0604", "0666", "0400")
        requests = [{"name": f"s{i}", "size": 1 + i * 8, "mode": modes[i % 5],
                     "key": 0x1000 + i if i % 3 == 0 else 0,
                     "labels": {"number": str(i), "umlaut": "ä\n\""} if i % 2 else {}}
                    for i in range(1000)]
        self.client.send(b"".join(encode("create", params, id=i)
                                  for i, params in enumerate(requests)))
        made = [self.client.reply()["result"]["segment"] for _ in requests]
        before, kernel = self.everything(), sysv.proc_table()
        self.assertEqual(before, {segment["serial"]: segment for segment in made})
        for end in (kill, lambda daemon: daemon.stop()) * 3:
            end(self.daemon)
            self.assertEqual(sysv.proc_table(), kernel)
            self.restart()
            self.assertEqual(self.everything(), before)
            self.assertEqual(sysv.proc_table(), kernel)
        usage = self.client.call("info")["usage"]
        self.assertEqual((usage["segments"], usage["bytes"]),
                         (1000, sum(request["size"] for request in requests)))
        self.assertGreater(self.client.create(name="next")["serial"], max(before))

    def test_changes_and_removals(self):
        for i in range(20):
            self.client.create(name=f"s{i}", labels={"a": "1"})
        for i in range(0, 20, 2):
            self.client.call("set", name=f"s{i}", mode="0640", new_name=f"t{i}", labels={"b": "2"})
        for i in range(0, 20, 5):
            self.client.call("remove", name=f"s{i}" if i % 2 else f"t{i}")
        before = self.everything()
        self.assertEqual(len(before), 16)
        self.kill_and_restart()
        self.assertEqual(self.everything(), before)

    def test_a_serial_is_never_given_twice(self):
        serials = []
        for _ in range(4):
            made = self.client.create()
            serials.append(made["serial"])
            self.client.call("remove", serial=made["serial"])
            self.kill_and_restart()
        self.assertEqual(serials, sorted(set(serials)))

    def test_one_that_is_still_being_removed(self):
        made = self.client.create(name="frames")
        attachment = self.hold(SOMEBODY, made["shmid"])
        self.client.call("remove", name="frames")
        again = self.client.create(name="frames")
        self.kill_and_restart()
        self.assertEqual(self.client.stat(serial=made["serial"])["state"], "removing")
        self.assertEqual(self.client.stat(name="frames")["serial"], again["serial"])
        attachment.kill()
        self.assertFalse(self.is_known(made))
        self.assertTrue(self.is_known(again))


class InOrder(LifeCase):
    CONFIG = LifeCase.RELAXED + "max_segments_per_uid = 4000\n"

    def test_all_that_ends_with_the_connections_is_recorded(self):
        """It is more than what one write takes."""
        count = 2500
        params = {"size": 1, "lifetime": "connection"}
        self.client.send(b"".join(encode("create", params, id=i) for i in range(count)))
        for _ in range(count):
            self.assertIn("result", self.client.reply())
        self.daemon.stop()
        self.restart()
        self.assertNotIn(" gone, ", self.daemon.log())
        self.assertIn("with 0 segments", self.daemon.log())


class Meanwhile(RestartCase):
    """While no daemon is there."""

    def test_gone(self):
        made, kept = self.client.create(name="frames"), self.client.create()
        last = self.newest()
        kill(self.daemon)
        as_user(SOMEBODY, lambda: sysv.remove(made["shmid"]))
        self.restart()
        self.assertFalse(self.is_known(made))
        self.assertTrue(self.is_known(kept))
        self.assertIn("1 gone", self.daemon.log())
        self.check_told(last, made, "out-of-band")
        self.assertIs(self.client.call("create", name="frames", size=1)["created"], True)

    def test_recycled(self):
        for size in (4096, 8192):
            with self.subTest(size=size):
                made, kept = self.client.create(name="frames"), self.client.create()
                last = self.newest()
                kill(self.daemon)
                as_user(SOMEBODY, lambda shmid=made["shmid"]: sysv.remove(shmid))
                self.assertEqual(sysv.create_with_shmid(made["shmid"], size, 0o640), made["shmid"])
                stranger = sysv.stat(made["shmid"])
                self.restart()
                self.assertEqual(sysv.stat(made["shmid"]), stranger)
                self.assertFalse(self.is_known(made))
                self.assertTrue(self.is_known(kept))
                self.assertIn("1 recycled", self.daemon.log())
                self.check_told(last, made, "recycled")
                self.assertIs(self.client.stat(shmid=made["shmid"])["managed"], False)
                self.daemon.stop()
                self.assertEqual(sysv.stat(made["shmid"]), stranger)
                self.restart()

    def test_marked_for_destruction(self):
        made = self.client.create(name="frames")
        attachment = self.hold(SOMEBODY, made["shmid"])
        kill(self.daemon)
        as_user(SOMEBODY, lambda: sysv.remove(made["shmid"]))
        self.restart()
        self.assertEqual(self.client.stat(serial=made["serial"])["state"], "removing")
        self.assertIs(self.client.call("create", name="frames", size=1)["created"], True)
        attachment.kill()
        self.assertFalse(self.is_known(made))

    @needs_several_uids
    def test_passed_on_and_closed(self):
        made = self.client.create(name="frames")
        kill(self.daemon)
        as_user(SOMEBODY, lambda: sysv.set_owner(made["shmid"], 3002, 3002, 0))
        self.restart()
        with self.daemon.connect(ROOT) as root:
            segment = root.stat(name="frames")
        self.assertEqual((segment["serial"], segment["uid"], segment["mode"]),
                         (made["serial"], 3002, "0000"))

    def newest(self):
        with self.daemon.connect() as client:
            return client.call("subscribe")["event_serial"]

    def check_told(self, last, segment, reason):
        subscriber = self.subscribe(after=last)
        event = self.event_of(subscriber, segment["serial"])
        self.assertEqual(event["reason"], reason)


@needs_several_uids
@needs_to_be_alone
class Lookalikes(RestartCase):
    """While no daemon is there, another segment comes in the place of one that is gone. It differs in one
    thing alone, and where the daemon's own user has made it the kernel would let the daemon remove it."""

    def check_is_a_strangers(self, user=DAEMON, size=4096, has_daemons_pid=True):
        made = self.client.create(name="frames", mode="0640", size=4096)
        kill(self.daemon)
        sysv.remove(made["shmid"])
        stranger = self.lookalike(made["shmid"], user, size, self.daemon.pid if has_daemons_pid else None)
        self.restart()
        self.assertEqual(self.everything(), {})
        self.assertIn("1 recycled", self.daemon.log())
        with self.daemon.connect(ROOT) as root:
            self.assertIs(root.stat(shmid=made["shmid"])["managed"], False)
            self.refused("NoSuchSegment", root, "remove", serial=made["serial"])
        self.daemon.stop()
        self.assertEqual(sysv.stat(made["shmid"]), stranger)

    def test_another_process(self):
        self.check_is_a_strangers(has_daemons_pid=False)

    def test_another_size(self):
        self.check_is_a_strangers(size=4097)

    def test_another_user(self):
        self.check_is_a_strangers(user=BOB)


@needs_strace
class Unacknowledged(RestartCase):
    """Killed between shmget() and the end of the commit: nobody was told of the segment."""

    def killed_at(self, call, when):
        return killed_at(self.daemon, call, when)

    def test_it_is_removed_at_the_next_start(self):
        self.client.create(name="kept")
        for call in ("pwrite64", "sendto"):
            for when in range(1, 30):
                before = self.everything()
                with self.killed_at(call, when):
                    self.client.send(encode("create", {"name": "new", "size": 12345}, id=1))
                    reply = self.client.reply()
                if reply is not None:
                    self.assertIn("result", reply)
                    self.client.call("remove", name="new")
                    break
                with self.subTest(call=call, when=when):
                    self.daemon.wait()
                    # The first write announces the create, the second records it.
                    made = len(sysv.proc_table()) - len(before)
                    self.assertEqual(made, not (call == "pwrite64" and when == 1))
                    self.restart()
                    # Without the last write it is recorded, though nobody was told.
                    after = self.everything()
                    self.assertEqual({shmid: row["size"] for shmid, row
                                      in sysv.proc_table().items()},
                                     {segment["shmid"]: str(segment["size"])
                                      for segment in after.values()})
                    new = [segment for serial, segment in after.items() if serial not in before]
                    if call == "pwrite64" and when < 3:
                        self.assertEqual(new, [])
                    if call == "pwrite64" and when == 2:
                        self.assertIn("was about to create when it ended", self.daemon.log())
                    for segment in new:
                        self.client.call("remove", serial=segment["serial"])
                    self.assertEqual(self.everything(), before)
            else:
                self.fail(f"the request needs more than 30 {call}")
            self.assertGreater(when, 1, f"{call} is not what a request needs")
            self.kill_and_restart()

    @needs_several_uids
    def test_nothing_that_only_looks_like_it(self):
        kept = self.client.create(name="kept", size=5000)
        with self.killed_at("pwrite64", 2):
            self.client.send(encode("create", {"name": "a", "size": 5000}, id=1))
            self.assertIsNone(self.client.reply())
        self.daemon.wait()
        [ours] = [shmid for shmid in sysv.proc_table() if shmid != kept["shmid"]]
        self.assertEqual(sysv.stat_any(ours & 0x7FFF).cpid, self.daemon.pid)
        # Attached by a process; made by another process of the daemon's user; made by other users.
        self.hold(SOMEBODY, ours)
        strangers = [as_user(user, lambda: sysv.create(5000)) for user in (DAEMON, ALICE, ROOT)]
        before = {shmid: sysv.stat_any(shmid & 0x7FFF) for shmid in (ours, *strangers)}
        for _ in range(2):
            self.restart()
            for shmid, was in before.items():
                self.assertEqual(sysv.stat_any(shmid & 0x7FFF), was)
            self.assertTrue(self.is_known(kept))
            self.assertEqual(len(self.everything()), 1)
            kill(self.daemon)

    def die_creating(self, size):
        """The daemon is killed when it has made a segment and recorded nothing of it; that is gone."""
        before = set(sysv.proc_table())
        with self.killed_at("pwrite64", 2):
            self.client.send(encode("create", {"size": size}, id=1))
            self.assertIsNone(self.client.reply())
        self.daemon.wait()
        [made] = set(sysv.proc_table()) - before
        sysv.remove(made)

    def touch(self, shmid):
        """Its time of change is no longer before what the daemon has announced; it is in seconds."""
        announced = Header(os.path.join(self.daemon.directory, "state.journal"))
        was = sysv.stat(shmid)

        def is_later():
            sysv.set_owner(shmid, was.uid, was.gid, was.mode)
            return int(sysv.proc_table()[shmid]["ctime"]) >= announced.at_s

        wait_until(is_later, "it was changed later")

    def test_nothing_that_is_recorded(self):
        kept = self.client.create(name="kept", size=5000)
        self.die_creating(5000)
        self.touch(kept["shmid"])
        self.restart()
        self.assertTrue(sysv.exists(kept["shmid"]))
        self.assertTrue(self.is_known(kept))

    def given_up(self, size):
        """A segment that the daemon has made and no longer manages."""
        shmid = self.client.create(size=size)["shmid"]
        self.client.call("disown", shmid=shmid)
        return shmid

    def test_nothing_that_was_made_before(self):
        before = self.given_up(5000)
        self.die_creating(5000)
        self.restart()
        self.assertTrue(sysv.exists(before))

    def test_nothing_that_was_given_up(self):
        """Its owner changes it after what the daemon announced."""
        shmid = self.given_up(5000)
        was = sysv.stat(shmid)
        given_up_at = int(sysv.proc_table()[shmid]["ctime"])
        self.die_creating(5000)

        def is_later():
            sysv.set_owner(shmid, was.uid, was.gid, was.mode)
            return int(sysv.proc_table()[shmid]["ctime"]) >= given_up_at + 2

        wait_until(is_later, "it was changed later")
        self.restart()
        self.assertTrue(sysv.exists(shmid))

    @needs_several_uids
    @needs_to_be_alone
    def test_neither_of_two(self):
        """Other programs of the daemon's user have made them, with its pid."""
        kept = self.client.create(size=1)["shmid"]
        self.die_creating(5000)
        two = [self.lookalike(kept + n, DAEMON, 5000, self.daemon.pid) for n in (1, 2)]
        self.restart()
        for made in two:
            self.assertEqual(sysv.stat(made.shmid), made)
            self.assertIn(str(made.shmid), self.daemon.log())

    @needs_several_uids
    @needs_to_be_alone
    def test_nothing_of_another_user_with_the_daemons_pid(self):
        """The daemon is root, which may remove everything."""
        directory = self.daemon_directory("roots", ROOT)
        self.restart(user=ROOT, directory=directory)
        kept = self.client.create(size=1)
        self.die_creating(5000)
        made = self.lookalike(kept["shmid"] + 1, ALICE, 5000, self.daemon.pid)
        self.restart(user=ROOT, directory=directory)
        self.assertEqual(sysv.stat(made.shmid), made)

    def test_a_change_that_was_not_recorded_is_as_the_kernel_has_it(self):
        made = self.client.create(name="frames", labels={"a": "1"})
        with self.killed_at("pwrite64", 1):
            self.client.send(encode("set", {"name": "frames", "mode": "0640", "new_name": "other",
                                            "labels": {}}, id=1))
            self.assertIsNone(self.client.reply())
        self.daemon.wait()
        self.restart()
        segment = self.client.stat(serial=made["serial"])
        self.assertEqual((segment["name"], segment["labels"]), ("frames", {"a": "1"}))
        self.assertIn(segment["mode"], ("0600", "0640"))

    def test_a_removal_is_done_or_not(self):
        for when in (1, 2):
            made = self.client.create(name="frames")
            with self.killed_at("pwrite64", when):
                self.client.send(encode("remove", {"name": "frames"}, id=1))
                self.assertIsNone(self.client.reply())
            self.daemon.wait()
            self.restart()
            self.assertEqual(self.is_known(made), sysv.exists(made["shmid"]))
            if self.is_known(made):
                self.client.call("remove", name="frames")


main()
