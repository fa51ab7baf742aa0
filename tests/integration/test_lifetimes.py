# SPDX-License-Identifier: MIT
"""When a segment goes: with its holders, with a connection, at the last detach, or in time."""

import signal

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    SOMEBODY,
    RpcError,
    main,
    needs_several_uids,
    wait_until,
)
from peers import LifeCase, kill


class Process(LifeCase):
    CONFIG = LifeCase.RELAXED + "max_holders_per_segment = 3\n"

    def test_the_creator_is_the_first_holder(self):
        peer = self.peer()
        made = peer.create(lifetime="process")
        self.assertEqual((made["lifetime"], made["holders"]), ("process", 1))
        segment = self.client.stat(serial=made["serial"])
        self.assertEqual(len(segment["holder_list"]), 1)
        holder = segment["holder_list"][0]
        self.assertEqual((holder["pid"], holder["uid"]), (peer.pid, SOMEBODY.uid))
        with open(f"/proc/{peer.pid}/comm", encoding="ascii") as file:
            self.assertEqual(holder["comm"], file.read().rstrip("\n"))
        self.assertGreaterEqual(holder["since_at_ms"], segment["created_at_ms"])

    def test_hold_adds_and_release_takes_off(self):
        first, second = self.peer(), self.peer()
        made = first.create(lifetime="process", name="shared")
        self.assertEqual(second.call("hold", name="shared")["segment"]["holders"], 2)
        pids = [holder["pid"] for holder in self.client.stat(name="shared")["holder_list"]]
        self.assertEqual(sorted(pids), sorted((first.pid, second.pid)))
        self.assertEqual(first.call("release", name="shared")["segment"]["holders"], 1)
        first.end()
        self.assertEqual(self.holders(made), 1)
        self.assertTrue(sysv.exists(made["shmid"]))

    def test_to_hold_twice_is_to_hold_once(self):
        first, second = self.peer(), self.peer()
        made = first.create(lifetime="process")
        for _ in range(2):
            held = second.call("hold", serial=made["serial"])["segment"]
            self.assertEqual(held["holders"], 2)
        self.assertEqual(second.call("release", serial=made["serial"])["segment"]["holders"], 1)

    def test_to_release_what_one_does_not_hold_is_nothing(self):
        peer = self.peer()
        made = peer.create(lifetime="process")
        released = self.client.call("release", serial=made["serial"])["segment"]
        self.assertEqual(released["holders"], 1)

    def test_the_last_release_removes_it(self):
        subscriber = self.subscribe()
        peer = self.peer()
        made = peer.create(lifetime="process")
        self.assertEqual(peer.call("release", serial=made["serial"])["segment"]["state"], "removed")
        self.assertFalse(sysv.exists(made["shmid"]))
        self.check_removed(subscriber, made, "last-holder-exited")

    def test_it_lives_until_the_second_of_two_is_killed(self):
        subscriber = self.subscribe()
        first, second = self.peer(), self.peer()
        made = first.create(lifetime="process")
        second.call("hold", serial=made["serial"])
        first.end()
        self.wait_for_holders(made, 1)
        self.assertTrue(sysv.exists(made["shmid"]))
        second.end()
        self.check_removed(subscriber, made, "last-holder-exited")
        self.assertFalse(self.is_known(made))

    def test_an_orderly_exit_is_an_end_too(self):
        subscriber = self.subscribe()
        peer = self.peer()
        made = peer.create(lifetime="process")
        peer.leave()
        self.check_removed(subscriber, made, "last-holder-exited")

    def test_the_same_when_no_daemon_was_there_to_see(self):
        first, second = self.peer(), self.peer()
        made = first.create(lifetime="process")
        second.call("hold", serial=made["serial"])
        kill(self.daemon)
        first.end()
        self.restart()
        self.assertEqual([holder["pid"] for holder in
                          self.client.stat(serial=made["serial"])["holder_list"]], [second.pid])
        kill(self.daemon)
        self.assertTrue(sysv.exists(made["shmid"]))
        second.end()
        self.restart()
        self.assertFalse(self.is_known(made))
        self.assertFalse(sysv.exists(made["shmid"]))

    def test_a_holder_that_lives_on_is_watched_again(self):
        peer = self.peer()
        made = peer.create(lifetime="process")
        before = self.client.stat(serial=made["serial"])["holder_list"]
        self.daemon.stop()
        self.restart()
        self.assertEqual(self.client.stat(serial=made["serial"])["holder_list"], before)
        subscriber = self.subscribe()
        peer.end()
        self.check_removed(subscriber, made, "last-holder-exited")

    def test_a_process_holds_by_all_its_connections(self):
        peer = self.peer()
        made = peer.create(lifetime="process")
        peer.connect(self.daemon.socket_path)
        self.assertEqual(peer.call("hold", serial=made["serial"], through=1)["segment"]["holders"],
                         1)
        peer.close(0)
        self.assertEqual(self.holders(made), 1)
        released = peer.call("release", serial=made["serial"], through=1)["segment"]
        self.assertEqual(released["state"], "removed")

    def test_still_attached_elsewhere(self):
        subscriber = self.subscribe()
        peer = self.peer()
        made = peer.create(lifetime="process", name="frames")
        attachment = self.hold(SOMEBODY, made["shmid"])
        peer.end()
        event = self.event_of(subscriber, made["serial"])
        self.assertEqual((event["reason"], event["segment"]["state"]),
                         ("last-holder-exited", "removing"))
        self.assertIs(self.client.call("create", name="frames", size=1)["created"], True)
        self.assertTrue(sysv.exists(made["shmid"]))
        attachment.kill()
        self.assertFalse(sysv.exists(made["shmid"]))
        self.assertFalse(self.is_known(made))

    def test_one_watch_a_process(self):
        peer = self.peer()
        before = self.descriptors()
        segments = [peer.create(lifetime="process") for _ in range(20)]
        self.assertEqual(self.descriptors(), before + 1)
        other = self.peer()
        for segment in segments:
            other.call("hold", serial=segment["serial"])
        self.assertEqual(self.descriptors(), before + 3,
                         "a connection and a watch more")
        for segment in segments:
            self.assertEqual(peer.call("release", serial=segment["serial"])["segment"]["holders"],
                             1)
        wait_until(lambda: self.descriptors() == before + 2,
                   "the watch goes with what was held")
        other.end()
        peer.end()
        wait_until(lambda: not sysv.proc_table(), "all of them are gone")
        wait_until(lambda: self.descriptors() == before - 1,
                   "no watch is left, and no connection of the two")

    def test_quota(self):
        made = self.peer().create(lifetime="process")
        self.peer().call("hold", serial=made["serial"])
        self.peer().call("hold", serial=made["serial"])
        data = self.refused("QuotaExceeded", self.client, "hold", serial=made["serial"])
        self.assertEqual((data["quota"], data["used"], data["max"]),
                         ("max_holders_per_segment", 3, 3))
        self.assertEqual(self.holders(made), 3)

    @needs_several_uids
    def test_strangers_leave_room_for_the_owner(self):
        self.daemon.end()
        self.restart(config=self.RELAXED + "max_holders_per_segment = 4\n")
        made = self.peer(ALICE).create(lifetime="process", mode="0644")
        for _ in range(2):
            self.peer(BOB).call("hold", serial=made["serial"])
        data = self.refused("QuotaExceeded", self.peer(BOB), "hold", serial=made["serial"])
        self.assertEqual((data["quota"], data["used"], data["max"]),
                         ("max_holders_per_segment", 3, 3))
        self.peer(ALICE).call("hold", serial=made["serial"])
        self.refused("QuotaExceeded", self.peer(ALICE), "hold", serial=made["serial"])

    @needs_several_uids
    def test_to_hold_needs_to_read(self):
        alice, bob = self.peer(ALICE), self.peer(BOB)
        made = alice.create(lifetime="process", mode="0600")
        for method in ("hold", "release"):
            with self.subTest(method=method):
                self.refused("PermissionDenied", bob, method, serial=made["serial"])
        alice.call("set", serial=made["serial"], mode="0604")
        self.assertEqual(bob.call("hold", serial=made["serial"])["segment"]["holders"], 2)
        alice.end()
        self.wait_for_holders(made, 1)


    @needs_several_uids
    def test_what_is_in_its_place_stays(self):
        """Its shmid is another segment's, which the kernel would let the daemon remove."""
        peer = self.peer(ALICE)
        made = peer.create(lifetime="process")
        sysv.remove(made["shmid"])
        stranger = self.lookalike(made["shmid"], DAEMON)
        peer.end()
        wait_until(lambda: self.client.call("info")["usage"]["segments"] == 0, "its end is noticed")
        self.assertEqual(sysv.stat(made["shmid"]), stranger)


class Connection(LifeCase):
    CONFIG = LifeCase.RELAXED

    def test_its_end_is_the_segments(self):
        subscriber = self.subscribe()
        for end in ("close", "finish"):
            with self.subTest(end=end):
                creator = self.connect(self.daemon)
                made = creator.create(lifetime="connection")
                self.assertEqual(made["holders"], 1)
                getattr(creator, end)()
                self.check_removed(subscriber, made, "connection-closed")

    def test_killed_with_its_process(self):
        subscriber = self.subscribe()
        peer = self.peer()
        made = peer.create(lifetime="connection")
        peer.end()
        self.check_removed(subscriber, made, "connection-closed")

    def test_it_lives_until_the_last_closes(self):
        subscriber = self.subscribe()
        first, second = self.connect(self.daemon), self.connect(self.daemon)
        made = first.create(lifetime="connection")
        held = second.call("hold", serial=made["serial"])["segment"]
        self.assertEqual(held["holders"], 2, "two connections are two, of one process too")
        first.close()
        self.wait_for_holders(made, 1)
        self.assertTrue(sysv.exists(made["shmid"]))
        second.close()
        self.check_removed(subscriber, made, "connection-closed")

    def test_release(self):
        first, second = self.connect(self.daemon), self.connect(self.daemon)
        made = first.create(lifetime="connection")
        second.call("hold", serial=made["serial"])
        self.assertEqual(first.call("release", serial=made["serial"])["segment"]["holders"], 1)
        self.assertEqual(second.call("release", serial=made["serial"])["segment"]["state"],
                         "removed")
        self.assertFalse(sysv.exists(made["shmid"]))

    def test_a_restart_removes_them(self):
        kept = self.client.create()
        for end in (kill, lambda daemon: daemon.stop()):
            made = self.client.create(lifetime="connection")
            end(self.daemon)
            self.restart()
            self.assertFalse(self.is_known(made))
            self.assertFalse(sysv.exists(made["shmid"]))
            self.assertTrue(self.is_known(kept))


class Attached(LifeCase):
    CONFIG = LifeCase.RELAXED

    def wait_for_attachments(self, shmid, count):
        """As the kernel counts, the daemon's anchor too."""
        wait_until(lambda: sysv.proc_table()[shmid]["nattch"] == str(count),
                   f"nattch is {count}")

    def test_the_anchor_is_nobodys(self):
        made = self.peer().create(lifetime="attached", size=1 << 20)
        for segment in (made, self.client.stat(serial=made["serial"])):
            self.assertEqual(segment["nattch"], 0)
            self.assertNotEqual(segment.get("last_pid"), self.daemon.pid)
            self.assertNotIn("attached_at_ms", segment)
            self.assertEqual(segment["state"], "ready")
        row = sysv.proc_table()[made["shmid"]]
        self.assertEqual((row["nattch"], row["rss"], row["swap"]), ("1", "0", "0"))

    def test_the_kernel_keeps_it_whoever_is_killed(self):
        creator, user = self.peer(), self.peer(connected=False)
        made = creator.create(lifetime="attached")
        creator.attach(made["shmid"])
        self.wait_for_attachments(made["shmid"], 1)  # the anchor is gone again
        kill(self.daemon)
        self.assertEqual(sysv.proc_table()[made["shmid"]]["nattch"], "1")
        user.attach(made["shmid"])  # by id, still
        creator.end()
        self.assertTrue(sysv.exists(made["shmid"]))
        user.end()
        self.assertFalse(sysv.exists(made["shmid"]), "no daemon was there to remove it")

    def test_the_anchor_is_let_go_when_somebody_has_attached(self):
        peer = self.peer()
        made = peer.create(lifetime="attached", size=1 << 20)
        peer.attach(made["shmid"])
        self.wait_for_attachments(made["shmid"], 1)
        segment = self.client.stat(serial=made["serial"])
        self.assertEqual(segment["nattch"], 1)
        # The last to come or go was the anchor itself: then nobody is named.
        self.assertIn(segment["last_pid"], (0, peer.pid))
        self.assertEqual(sysv.proc_table()[made["shmid"]]["rss"], "0")
        peer.detach(made["shmid"])
        self.assertFalse(sysv.exists(made["shmid"]))
        self.assertFalse(self.is_known(made))

    def test_the_last_detach_is_told(self):
        self.daemon.configure(LifeCase.CONFIG)
        self.daemon.signal(signal.SIGHUP)
        subscriber = self.subscribe()
        first, second = self.peer(), self.peer()
        made = first.create(lifetime="attached", name="ring")
        first.attach(made["shmid"])
        second.attach(made["shmid"])
        first.end()
        self.wait_for_attachments(made["shmid"], 1)
        self.assertTrue(self.is_known(made))
        second.detach(made["shmid"])
        self.check_removed(subscriber, made, "last-detach")
        self.assertIs(self.client.call("create", name="ring", size=1)["created"], True)

    def test_a_creator_that_exits_without_attaching(self):
        subscriber = self.subscribe()
        peer = self.peer()
        made = peer.create(lifetime="attached")
        peer.end()
        self.check_removed(subscriber, made, "last-detach")

    def test_nobody_came_in_time(self):
        self.daemon.configure(LifeCase.RELAXED + "attach_timeout_ms = 100\n")
        self.daemon.signal(signal.SIGHUP)
        wait_until(lambda: "read again" in self.daemon.log(), "the configuration is read")
        subscriber = self.subscribe()
        made = self.peer().create(lifetime="attached")
        self.check_removed(subscriber, made, "last-detach")

    def test_a_restart_while_it_is_attached(self):
        for end in (kill, lambda daemon: daemon.stop()):
            peer = self.peer()
            made = peer.create(lifetime="attached", name="ring", labels={"a": "1"})
            peer.attach(made["shmid"])
            self.wait_for_attachments(made["shmid"], 1)
            end(self.daemon)
            self.restart()
            segment = self.client.stat(name="ring")
            self.assertEqual(
                [segment[field] for field in ("serial", "shmid", "labels", "state", "lifetime",
                                              "nattch")],
                [made["serial"], made["shmid"], {"a": "1"}, "ready", "attached", 1],
            )
            peer.detach(made["shmid"])
            self.refused("NoSuchSegment", self.client, "stat", name="ring")

    def test_without_a_daemon_what_nobody_attached_is_gone(self):
        made = self.peer().create(lifetime="attached")
        kill(self.daemon)
        self.assertFalse(sysv.exists(made["shmid"]))
        self.restart()
        self.assertFalse(self.is_known(made))

    def test_remove(self):
        made = self.client.create(lifetime="attached")
        removed = self.client.call("remove", serial=made["serial"])["segment"]
        self.assertEqual(removed["state"], "removed")
        self.assertFalse(sysv.exists(made["shmid"]))

    def test_what_it_refuses(self):
        self.refuses_parameter("key", self.client, "create", size=1, key=7, lifetime="attached")
        self.refuses_parameter("mode", self.client, "create", size=1, mode="0266",
                               lifetime="attached")
        self.assertEqual(sysv.proc_table(), {})
        keyed = self.client.create(key=7)
        self.refuses_parameter("lifetime", self.client, "set", serial=keyed["serial"],
                               lifetime="attached")
        unread = self.client.create(mode="0266")
        self.refuses_parameter("mode", self.client, "set", serial=unread["serial"],
                               lifetime="attached")


class Change(LifeCase):
    """`set` of a lifetime: the caller is the first holder, as if it had created it so."""

    CONFIG = LifeCase.RELAXED

    def test_to_process(self):
        subscriber = self.subscribe()
        made = self.client.create()
        peer = self.peer()
        segment = peer.call("set", serial=made["serial"], lifetime="process")["segment"]
        self.assertEqual((segment["lifetime"], segment["holders"]), ("process", 1))
        peer.end()
        self.check_removed(subscriber, made, "last-holder-exited")

    def test_to_connection(self):
        subscriber = self.subscribe()
        made = self.client.create()
        other = self.connect(self.daemon)
        segment = other.call("set", serial=made["serial"], lifetime="connection")["segment"]
        self.assertEqual((segment["lifetime"], segment["holders"]), ("connection", 1))
        other.close()
        self.check_removed(subscriber, made, "connection-closed")

    def test_to_persistent(self):
        for lifetime in ("process", "connection"):
            with self.subTest(lifetime=lifetime):
                peer = self.peer()
                made = peer.create(lifetime=lifetime)
                segment = self.client.call("set", serial=made["serial"], lifetime="persistent")
                self.assertEqual(segment["segment"]["holders"], 0)
                watched = self.descriptors()
                peer.end()
                wait_until(lambda: self.descriptors() < watched,
                           "the end of the connection is seen")
                self.assertTrue(self.is_known(made))
                self.kill_and_restart()
                self.assertEqual(self.client.stat(serial=made["serial"])["lifetime"], "persistent")

    def test_to_attached(self):
        made = self.client.create()
        peer = self.peer()
        segment = peer.call("set", serial=made["serial"], lifetime="attached")["segment"]
        self.assertEqual((segment["lifetime"], segment["state"], segment["nattch"]),
                         ("attached", "ready", 0))
        peer.attach(made["shmid"])
        wait_until(lambda: sysv.proc_table()[made["shmid"]]["nattch"] == "1", "the anchor is gone")
        kill(self.daemon)
        peer.end()
        self.assertFalse(sysv.exists(made["shmid"]))

    def test_attached_is_for_good(self):
        made = self.client.create(lifetime="attached")
        for lifetime in ("persistent", "process", "connection"):
            with self.subTest(lifetime=lifetime):
                data = self.refused("NotSupported", self.client, "set", serial=made["serial"],
                                    lifetime=lifetime)
                self.assertTrue(data["what"])

    def test_not_holdable(self):
        for lifetime in ("persistent", "attached"):
            made = self.client.create(lifetime=lifetime)
            for method in ("hold", "release"):
                with self.subTest(lifetime=lifetime, method=method):
                    with self.assertRaises(RpcError) as caught:
                        self.client.call(method, serial=made["serial"])
                    self.check_error(caught.exception, "NotHoldable")
                    self.assertEqual(caught.exception.data["lifetime"], lifetime)
                    # An attached one stays attached, so nobody is told to set another lifetime.
                    helps = (method, lifetime) == ("hold", "persistent")
                    self.assertEqual("set its lifetime" in caught.exception.message, helps)


class Expiry(LifeCase):
    CONFIG = LifeCase.RELAXED

    def test_whatever_the_lifetime(self):
        subscriber = self.subscribe()
        for lifetime in ("persistent", "process", "connection", "attached"):
            with self.subTest(lifetime=lifetime):
                made = self.client.create(lifetime=lifetime, ttl_ms=50)
                self.assertGreater(made["expires_at_ms"], made["created_at_ms"])
                self.check_removed(subscriber, made, "expired")

    def test_attached_it_is_marked(self):
        subscriber = self.subscribe()
        peer = self.peer(connected=False)
        made = self.client.create(lifetime="attached", ttl_ms=1500, name="ring")
        peer.attach(made["shmid"])
        event = self.event_of(subscriber, made["serial"])
        self.assertEqual((event["reason"], event["segment"]["state"]), ("expired", "removing"))
        self.assertTrue(sysv.exists(made["shmid"]))
        self.refused("NoSuchSegment", self.client, "stat", name="ring")
        peer.detach(made["shmid"])
        self.assertFalse(sysv.exists(made["shmid"]))

    @needs_several_uids
    def test_what_is_in_its_place_stays(self):
        """Its shmid is another segment's, which the kernel would let the daemon remove."""
        made = self.client.create(ttl_ms=1500)
        sysv.remove(made["shmid"])
        stranger = self.lookalike(made["shmid"], DAEMON)
        wait_until(lambda: self.client.call("info")["usage"]["segments"] == 0, "it has expired")
        self.assertEqual(sysv.stat(made["shmid"]), stranger)

    def test_set_renews_it(self):
        subscriber = self.subscribe()
        renewed = self.client.create(ttl_ms=2000)
        freed = self.client.create(ttl_ms=2000)
        segment = self.client.call("set", serial=renewed["serial"], ttl_ms=3600000)["segment"]
        self.assertGreater(segment["expires_at_ms"], renewed["expires_at_ms"])
        segment = self.client.call("set", serial=freed["serial"], ttl_ms=0)["segment"]
        self.assertNotIn("expires_at_ms", segment)
        # What ends later than they would have ended is gone, and they are still there.
        clock = self.client.create(ttl_ms=2000)
        self.check_removed(subscriber, clock, "expired")
        self.assertTrue(self.is_known(renewed))
        self.assertTrue(self.is_known(freed))

    def test_set_gives_one(self):
        subscriber = self.subscribe()
        made = self.client.create()
        self.assertNotIn("expires_at_ms", made)
        self.client.call("set", serial=made["serial"], ttl_ms=50)
        self.check_removed(subscriber, made, "expired")

    def test_a_restart_does_not_move_it(self):
        made = self.client.create(ttl_ms=3600000)
        soon = self.client.create(ttl_ms=1500)
        self.kill_and_restart()
        again = self.client.stat(serial=made["serial"])["expires_at_ms"]
        self.assertLess(abs(again - made["expires_at_ms"]), 1000)
        wait_until(lambda: not self.is_known(soon), "it expires by the next daemon")
        self.assertFalse(sysv.exists(soon["shmid"]))

    def test_over_while_no_daemon_was_there(self):
        made = self.client.create(ttl_ms=1)
        kill(self.daemon)
        self.restart()
        wait_until(lambda: not self.is_known(made), "the next daemon removes it")
        self.assertFalse(sysv.exists(made["shmid"]))


main()
