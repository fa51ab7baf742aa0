# SPDX-License-Identifier: MIT
"""The sweep, SIGHUP and kernel.shm_rmid_forced: the daemon's idea of things follows the kernel's,
and its configuration the file - or stays as it was.
"""

import os
import signal
import time

import sysv
from harness import ALICE, BOB, ROOT, SOMEBODY, as_user, main, needs_several_uids, wait_until
from peers import LifeCase, kill


class ReloadCase(LifeCase):
    CONFIG = LifeCase.RELAXED

    def reload(self, text=None):
        """SIGHUP, and it is dealt with."""
        if text is not None:
            self.daemon.configure(text)
        reloads = self.daemon.log().count("configuration is")
        self.daemon.signal(signal.SIGHUP)
        wait_until(lambda: self.daemon.log().count("configuration is") > reloads,
                   "the daemon has read its configuration")
        self.client.call("list", limit=1)  # and all that belongs to it


class Sweep(LifeCase):
    """Nobody asks: it is seen all the same."""

    def test_removed_by_another(self):
        subscriber = self.subscribe()
        kept = self.client.create(name="kept")
        made = self.client.create(name="frames")
        as_user(SOMEBODY, lambda: sysv.remove(made["shmid"]))
        self.check_removed(subscriber, made, "out-of-band")
        self.assertTrue(self.is_known(kept))
        self.assertIn("out-of-band", self.daemon.log())

    def test_marked_by_another(self):
        subscriber = self.subscribe()
        made = self.client.create(name="frames")
        attachment = self.hold(SOMEBODY, made["shmid"])
        as_user(SOMEBODY, lambda: sysv.remove(made["shmid"]))
        event = self.event_of(subscriber, made["serial"])
        self.assertEqual((event["reason"], event["segment"]["state"]), ("out-of-band", "removing"))
        attachment.kill()
        wait_until(lambda: not self.is_known(made), "it is gone")
        # Told once.
        last = self.client.create()
        self.assertEqual(self.event(subscriber)["segment"]["serial"], last["serial"])

    @needs_several_uids
    def test_closed_by_its_owner_it_is_kept(self):
        subscriber = self.subscribe(user=ROOT)
        made = self.client.create(name="frames")
        as_user(SOMEBODY, lambda: sysv.set_owner(made["shmid"], SOMEBODY.uid, SOMEBODY.gid, 0))
        attachment = self.hold(ROOT, made["shmid"])
        self.event_of(subscriber, made["serial"], "attached")  # a sweep has seen it so
        attachment.kill()
        self.event_of(subscriber, made["serial"], "detached")
        with self.daemon.connect(ROOT) as root:
            segment = root.stat(name="frames")
        self.assertEqual((segment["serial"], segment["mode"], segment["state"]),
                         (made["serial"], "0000", "ready"))
        self.kill_and_restart()
        with self.daemon.connect(ROOT) as root:
            self.assertEqual(root.stat(name="frames")["serial"], made["serial"])

    @needs_several_uids
    def test_then_it_goes_by_another_mode(self):
        bob = self.connect(self.daemon, BOB)
        made = self.connect(self.daemon, ALICE).create(name="frames", mode="0600")
        self.refused("PermissionDenied", bob, "stat", name="frames")
        as_user(ALICE, lambda: sysv.set_owner(made["shmid"], BOB.uid, BOB.gid, 0o600))
        self.assertEqual(bob.stat(name="frames")["uid"], BOB.uid)
        self.refused("PermissionDenied", self.connect(self.daemon, ALICE), "stat", name="frames")

    def test_many_at_once(self):
        subscriber = self.subscribe(kinds=["removed"])
        made = [self.client.create() for _ in range(200)]
        for segment in made[::2]:
            sysv.remove(segment["shmid"])
        told = {event["segment"]["serial"] for event in self.events(subscriber, 100)}
        self.assertEqual(told, {segment["serial"] for segment in made[::2]})
        self.assertEqual(len(self.client.list()), 100)
        self.assertEqual(self.client.call("info")["usage"]["segments"], 100)

    def test_holders_are_nobodys_to_sweep(self):
        peers = [self.peer() for _ in range(3)]
        made = peers[0].create(lifetime="process")
        for peer in peers[1:]:
            peer.call("hold", serial=made["serial"])
        peers[0].end()
        peers[1].end()
        self.wait_for_holders(made, 1)
        subscriber = self.subscribe()
        other = self.client.create()
        sysv.remove(other["shmid"])
        self.check_removed(subscriber, other, "out-of-band")
        self.assertEqual(self.holders(made), 1)

    def test_without_segments_nothing_is_done(self):
        """Then it sleeps: in the time of many sweeps it does not run once."""
        made = self.client.create()
        self.client.call("remove", serial=made["serial"])
        self.client.close()
        time.sleep(0.3)  # the sweep that was due then is the last
        before = self.daemon.proc_status("voluntary_ctxt_switches")
        time.sleep(1)
        self.assertEqual(self.daemon.proc_status("voluntary_ctxt_switches"), before)


class Reload(ReloadCase):
    def test_it_reconciles(self):
        subscriber = self.subscribe()
        made = self.client.create(name="frames")
        sysv.remove(made["shmid"])
        self.reload()
        self.check_removed(subscriber, made, "out-of-band")

    def test_limits_are_in_force(self):
        self.client.create()
        self.reload(self.CONFIG + "max_segments_per_uid = 2\n")
        self.client.create()
        data = self.refused("QuotaExceeded", self.client, "create", size=1)
        self.assertEqual((data["quota"], data["max"]), ("max_segments_per_uid", 2))
        self.assertEqual(self.client.call("info")["limits"]["max_segments_per_uid"]["max"], 2)
        self.reload(self.CONFIG + "max_segments_per_uid = 1\n")
        self.assertEqual(len(self.client.list()), 2, "what is there stays")
        self.reload(self.CONFIG)
        self.client.create()

    def test_the_period_is_in_force(self):
        subscriber = self.subscribe()
        made = self.client.create()
        self.reload(LifeCase.CONFIG)
        sysv.remove(made["shmid"])
        self.check_removed(subscriber, made, "out-of-band")

    @needs_several_uids
    def test_admins_are_in_force(self):
        made = self.connect(self.daemon, ALICE).create(name="frames", mode="0600")
        bob = self.connect(self.daemon, BOB)
        self.refused("PermissionDenied", bob, "stat", name="frames")
        self.reload(self.CONFIG + f"admin_group = {BOB.gid}\n")
        self.assertEqual(bob.stat(name="frames")["serial"], made["serial"])
        self.reload(self.CONFIG)
        self.refused("PermissionDenied", bob, "stat", name="frames")

    def test_a_bad_file_changes_nothing(self):
        self.reload(self.CONFIG + "max_segments_per_uid = 3\n")
        subscriber = self.subscribe()
        for line, word in (("max_bytes = many", "max_bytes"),
                           ("no_such_key = 1", "no_such_key"),
                           ("attach_timeout_ms = 0", "3600000"),
                           ("[other]\nmax_bytes = 1", "[other]")):
            with self.subTest(line=line):
                before = len(self.daemon.log())
                made = self.client.create()
                sysv.remove(made["shmid"])
                self.reload(self.CONFIG + "max_segments_per_uid = 1\n\n" + line + "\n")
                said = self.daemon.log()[before:]
                self.assertIn(f"{self.daemon.config_path}:{4 + line.count(chr(10))}", said)
                self.assertIn(word, said)
                self.assertIn("stays", said)
                self.assertEqual(self.client.call("info")["limits"]["max_segments_per_uid"]["max"], 3)
                self.check_removed(subscriber, made, "out-of-band")  # it reconciles still
        os.unlink(self.daemon.config_path)
        self.reload()
        self.assertEqual(self.client.call("info")["limits"]["max_segments_per_uid"]["max"], 3)

    def test_again_and_again(self):
        made = self.client.create(lifetime="process")
        before = self.descriptors()
        for _ in range(20):
            self.reload()
        self.assertEqual(self.descriptors(), before)
        self.assertTrue(self.is_known(made))


class Forced(ReloadCase):
    """kernel.shm_rmid_forced: what nobody has attached, the kernel removes."""

    WARNING = "shm_rmid_forced"

    def check_survives(self, made):
        self.hold(SOMEBODY, made["shmid"]).kill()
        self.assertTrue(sysv.exists(made["shmid"]), "the last detach of a client was not the last")
        segment = self.client.stat(serial=made["serial"])
        self.assertEqual((segment["nattch"], segment["state"]), (0, "ready"))

    def test_set_before_the_start(self):
        kill(self.daemon)
        sysv.sysctl("shm_rmid_forced", 1)
        self.restart()
        info = self.client.call("info")
        self.assertIs(info["durable"], False)
        self.assertTrue(info["kernel"]["shm_rmid_forced"])
        made = [self.client.create(lifetime=lifetime)
                for lifetime in ("persistent", "process", "connection")]
        for segment in made:
            self.assertEqual(segment["nattch"], 0)
            self.check_survives(segment)
            self.assertEqual(sysv.proc_table()[segment["shmid"]]["rss"], "0")
        for _ in range(2):
            self.reload()
        self.assertEqual(self.daemon.log().count(self.WARNING), 1, "warned once")
        self.client.call("remove", serial=made[0]["serial"])
        self.assertFalse(sysv.exists(made[0]["shmid"]))

    def test_set_later(self):
        self.assertIs(self.client.call("info")["durable"], True)
        made = self.client.create()
        adopted = sysv.create(4096)
        sysv.set_owner(adopted, self.client.call("info")["uid"], 0, 0o666)
        with self.daemon.connect(ROOT) as root:
            adopted = root.call("adopt", shmid=adopted)["segment"]
        sysv.sysctl("shm_rmid_forced", 1)
        self.reload()
        self.assertIs(self.client.call("info")["durable"], False)
        self.check_survives(made)
        self.assertTrue(sysv.exists(adopted["shmid"]))
        self.assertIn(self.WARNING, self.daemon.log())

    def test_a_restart_loses_them_and_knows_it(self):
        sysv.sysctl("shm_rmid_forced", 1)
        self.reload()
        made = self.client.create(name="frames")
        kept = self.client.create(name="kept")
        self.hold(SOMEBODY, kept["shmid"])
        kill(self.daemon)
        self.assertFalse(sysv.exists(made["shmid"]))
        self.restart()
        self.assertFalse(self.is_known(made))
        self.assertEqual(self.client.stat(name="kept")["serial"], kept["serial"])

    def test_unset_again(self):
        sysv.sysctl("shm_rmid_forced", 1)
        self.reload()
        made = self.client.create()
        sysv.sysctl("shm_rmid_forced", 0)
        self.reload()
        self.assertIs(self.client.call("info")["durable"], True)
        self.check_survives(made)
        later = self.client.create()
        kill(self.daemon)
        self.assertTrue(sysv.exists(later["shmid"]))


main()
