# SPDX-License-Identifier: MIT
"""`ready:false`, `ready` and `wait`: whoever needs a segment gets it filled, or hears why not."""

import os
import select
import signal

import sysv
from harness import ALICE, BOB, ROOT, encode, main, needs_several_uids, wait_until
from peers import LifeCase, kill


class ReadinessCase(LifeCase):
    CONFIG = LifeCase.RELAXED + "max_waiters_per_uid = 400\n"

    def waiting(self, name, user=None, **params):
        """A connection that waits for NAME, under the id 1."""
        client = self.connect(self.daemon, user)
        client.send(encode("wait", {"name": name, **params}, id=1))
        return client

    def check_silent(self, *clients):
        """Nothing is said to them, though the daemon has dealt with all that was sent before."""
        for _ in range(3):
            self.client.call("list")
        readable, _, _ = select.select([client.socket for client in clients], [], [], 0)
        self.assertEqual(readable, [])

    def answer(self, client, request_id=1):
        """The segment that a waiter gets."""
        reply = client.reply()
        self.assertIsNotNone(reply, "closed instead of an answer")
        self.assertEqual(reply["id"], request_id, reply)
        self.assertIn("result", reply)
        return reply["result"]["segment"]

    def check_failed(self, client, code, name):
        """A waiter is answered with that error; returns its parameters."""
        reply = client.reply()
        self.assertIsNotNone(reply, "closed instead of an answer")
        self.assertEqual((reply["id"], reply["error"]["code"], reply["error"]["data"]["error"]),
                         (1, code, name), reply)
        return reply["error"]["data"]

    LIFETIMES = [("persistent", False), ("process", False), ("connection", False),
                 ("attached", False), ("attached", True)]

    def dying(self, lifetime, attaches):
        """A segment being initialised, and who does it."""
        peer = self.peer()
        made = peer.create(name="frames", ready=False, lifetime=lifetime)
        if attaches:
            peer.attach(made["shmid"])
        return peer, made


class State(ReadinessCase):
    def test_who_waits_is_told_to_whoever_may_read_the_segment(self):
        self.client.create(name="a", ready=False, mode="0644")
        self.assertEqual(self.client.stat(name="a")["waiter_list"], [])
        waiters = [self.waiting("a") for _ in range(3)]
        self.waiting("b")
        wait_until(lambda: self.client.stat(name="a")["waiters"] == 3, "all wait")
        told = self.client.stat(name="a")["waiter_list"]
        self.assertEqual([w["pid"] for w in told], [os.getpid()] * 3)
        self.assertEqual(set(told[0]), {"pid", "uid", "comm", "since_at_ms"})
        self.assertNotIn("waiter_list", self.client.list()[0])
        waiters.pop().close()
        wait_until(lambda: self.client.stat(name="a")["waiters"] == 2, "one has gone")
        self.client.call("ready", name="a")
        for client in waiters:
            self.answer(client)
        self.assertNotIn("waiter_list", self.client.stat(name="a"))

    def test_not_all_of_many_waiters_are_told(self):
        self.client.create(name="a", ready=False)
        client = self.connect(self.daemon)
        client.send(b"".join(encode("wait", {"name": "a"}, id=i) for i in range(300)))
        wait_until(lambda: self.client.stat(name="a")["waiters"] == 300, "all wait")
        self.assertEqual(len(self.client.stat(name="a")["waiter_list"]), 256)

    def test_from_initialising_to_ready(self):
        subscriber = self.subscribe(kinds=["created", "ready"])
        made = self.client.create(name="frames", ready=False)
        self.assertEqual(made["state"], "initialising")
        self.assertEqual(self.client.stat(name="frames")["state"], "initialising")
        for _ in range(2):
            segment = self.client.call("ready", name="frames")["segment"]
            self.assertEqual((segment["state"], segment["serial"]), ("ready", made["serial"]))
        self.client.create(name="last")
        kinds = [(event["kind"], event["segment"]["state"])
                 for event in self.events(subscriber, 3)]
        self.assertEqual(kinds, [("created", "initialising"), ("ready", "ready"),
                                 ("created", "ready")])

    def test_its_filler_dies(self):
        subscriber = self.subscribe()
        for lifetime, attaches in self.LIFETIMES:
            with self.subTest(lifetime=lifetime, attaches=attaches):
                peer, made = self.dying(lifetime, attaches)
                peer.end()
                event = self.event_of(subscriber, made["serial"])
                self.assertEqual(event["reason"], "initialiser-died")
                self.assertFalse(sysv.exists(made["shmid"]))

    def test_a_ready_one_outlives_its_filler(self):
        before = self.descriptors()
        peer = self.peer()
        made = peer.create(ready=False)
        peer.call("ready", serial=made["serial"])
        peer.end()
        wait_until(lambda: self.descriptors() == before, "its end is dealt with")
        self.assertTrue(self.is_known(made))

    def test_its_filler_dies_while_no_daemon_is_there(self):
        peer = self.peer()
        made = peer.create(ready=False)
        kill(self.daemon)
        peer.end()
        self.restart()
        self.assertFalse(self.is_known(made))
        self.assertFalse(sysv.exists(made["shmid"]))

    def test_its_filler_outlives_the_daemon(self):
        subscriber = None
        peer = self.peer()
        made = peer.create(ready=False, name="a")
        other = peer.create(ready=False, name="b")
        self.kill_and_restart()
        self.assertEqual(self.client.stat(name="a")["state"], "initialising")
        self.client.call("ready", name="a")
        subscriber = self.subscribe()
        peer.end()
        self.check_removed(subscriber, other, "initialiser-died")
        self.assertEqual(self.client.stat(name="a")["serial"], made["serial"])

    @needs_several_uids
    def test_who_may_say_so(self):
        self.connect(self.daemon, ALICE).create(name="frames", ready=False, mode="0666")
        self.refused("PermissionDenied", self.connect(self.daemon, BOB), "ready", name="frames")
        # Another process of hers may.
        segment = self.peer(ALICE).call("ready", name="frames")["segment"]
        self.assertEqual(segment["state"], "ready")


class Wait(ReadinessCase):
    def test_it_is_ready(self):
        made = self.client.create(name="frames")
        for params in ({}, {"timeout_ms": 0}, {"timeout_ms": 60000}):
            with self.subTest(params=params):
                found = self.client.call("wait", name="frames", **params)["segment"]
                self.assertEqual((found["serial"], found["state"]), (made["serial"], "ready"))

    def test_eight_are_answered_together(self):
        self.client.create(name="frames", ready=False)
        waiters = [self.waiting("frames") for _ in range(8)]
        self.check_silent(*waiters)
        self.client.call("ready", name="frames")
        answers = [self.answer(waiter) for waiter in waiters]
        self.assertEqual({answer["state"] for answer in answers}, {"ready"})
        self.assertEqual(len({answer["serial"] for answer in answers}), 1)

    def test_its_filler_is_killed(self):
        for lifetime, attaches in self.LIFETIMES:
            with self.subTest(lifetime=lifetime, attaches=attaches):
                peer, made = self.dying(lifetime, attaches)
                waiters = [self.waiting("frames") for _ in range(8)]
                self.check_silent(*waiters)
                peer.end()
                for waiter in waiters:
                    data = self.check_failed(waiter, 9, "io.shmd.InitialiserDied")
                    self.assertEqual(data["name"], "frames")
                self.assertFalse(sysv.exists(made["shmid"]))
                self.assertEqual(self.client.list(), [])

    def test_its_filler_is_killed_while_another_has_it_attached(self):
        subscriber = self.subscribe(kinds=["removed"])
        for lifetime, attaches in self.LIFETIMES:
            with self.subTest(lifetime=lifetime, attaches=attaches):
                peer, made = self.dying(lifetime, attaches)
                other = self.peer()
                other.attach(made["shmid"])
                waiters = [self.waiting("frames") for _ in range(2)]
                self.check_silent(*waiters)
                peer.end()
                for waiter in waiters:
                    self.check_failed(waiter, 9, "io.shmd.InitialiserDied")
                self.assertEqual(self.event_of(subscriber, made["serial"])["reason"],
                                 "initialiser-died")
                self.assertTrue(sysv.exists(made["shmid"]))
                self.refused("NoSuchSegment", self.client, "stat", name="frames")
                other.end()
                self.assertFalse(sysv.exists(made["shmid"]))

    def test_its_filler_lives_and_holds_no_more(self):
        subscriber = self.subscribe(kinds=["removed"])
        for lifetime, reason in (("process", "last-holder-exited"),
                                 ("connection", "connection-closed")):
            with self.subTest(lifetime=lifetime):
                peer, made = self.dying(lifetime, False)
                waiter = self.waiting("frames")
                self.check_silent(waiter)
                peer.call("release", name="frames")
                self.assertEqual(self.event_of(subscriber, made["serial"])["reason"], reason)
                self.check_silent(waiter)
                again = peer.create(name="frames")
                self.assertEqual(self.answer(waiter)["serial"], again["serial"])
                peer.call("remove", name="frames")

    def test_before_it_exists(self):
        waiters = [self.waiting("frames") for _ in range(3)]
        other = self.waiting("frames.2")
        self.check_silent(*waiters, other)
        made = self.client.create(name="frames")
        for waiter in waiters:
            self.assertEqual(self.answer(waiter)["serial"], made["serial"])
        self.check_silent(other)

    def test_before_it_exists_and_then_until_it_is_filled(self):
        waiter = self.waiting("frames")
        self.client.create(name="frames", ready=False)
        self.check_silent(waiter)
        self.client.call("ready", name="frames")
        self.assertEqual(self.answer(waiter)["state"], "ready")

    def test_it_comes_by_another_name(self):
        waiter = self.waiting("new")
        made = self.client.create(name="old")
        self.check_silent(waiter)
        self.client.call("set", name="old", new_name="new")
        self.assertEqual(self.answer(waiter)["serial"], made["serial"])

    def test_it_comes_by_adoption(self):
        waiter = self.waiting("found")
        shmid = sysv.create(4096)
        sysv.set_owner(shmid, self.client.call("info")["uid"], 0, 0o666)
        self.connect(self.daemon, ROOT).call("adopt", shmid=shmid, name="found")
        self.assertEqual(self.answer(waiter)["shmid"], shmid)

    def test_one_that_is_removed_is_waited_for_anew(self):
        self.client.create(name="frames", ready=False)
        waiter = self.waiting("frames")
        self.client.call("remove", name="frames")
        self.check_silent(waiter)
        made = self.client.create(name="frames")
        self.assertEqual(self.answer(waiter)["serial"], made["serial"])

    def test_the_time_is_over(self):
        for state in ({}, {"ready": False}):
            if state:
                self.client.create(name="frames", **state)
            for timeout_ms in (0, 1, 50):
                with self.subTest(timeout_ms=timeout_ms, **state):
                    data = self.refused("TimedOut", self.client, "wait", name="frames",
                                        timeout_ms=timeout_ms)
                    self.assertEqual(data["timeout_ms"], timeout_ms)

    def test_a_wait_that_timed_out_is_not_answered_again(self):
        self.refused("TimedOut", self.client, "wait", name="frames", timeout_ms=1)
        self.connect(self.daemon).create(name="frames")
        self.assertEqual(self.client.stat(name="frames")["name"], "frames")

    def test_nobody_waits_for_another(self):
        waiter = self.waiting("frames")
        for i in range(10):
            self.assertIs(self.client.call("create", name=f"s{i}", size=1)["created"], True)
        self.check_silent(waiter)

    def test_in_a_batch(self):
        client = self.connect(self.daemon)
        client.send(b"[" + b",".join((encode("list", {}, id=1), encode("wait", {"name": "a"}, id=2),
                                      encode("stat", {"name": "a"}, id=3),
                                      encode("wait", {"name": "b", "timeout_ms": 1}, id=4))) + b"]")
        self.check_silent()  # the batch itself may have been begun
        made = self.client.create(name="a")
        replies = client.reply()
        self.assertEqual([reply["id"] for reply in replies], [1, 2, 3, 4])
        self.assertEqual(replies[0]["result"]["segments"], [])
        self.assertEqual(replies[1]["result"]["segment"]["serial"], made["serial"])
        self.assertEqual(replies[2]["error"]["code"], 1)  # the wait held nothing up
        self.assertEqual(replies[3]["error"]["code"], 10)

    def test_what_a_batch_brings_about_is_told_behind_it(self):
        waiter = self.connect(self.daemon)
        waiter.send(encode("wait", {"name": "frames"}, id="waits"))
        waiter.send(b"[" + b",".join(request.rstrip() for request in (
            encode("create", {"name": "frames", "size": 1}, id=1), encode("list", id=2))) + b"]\n")
        self.assertEqual([answer["id"] for answer in waiter.reply()], [1, 2])
        self.assertEqual(waiter.reply()["id"], "waits")

    def test_its_id_has_at_most_1024_bytes(self):
        """The daemon keeps it until the answer."""
        waiter = self.connect(self.daemon)
        waiter.send(encode("wait", {"name": "frames"}, id="x" * 1023))  # and two quotation marks
        self.assertEqual(waiter.reply()["error"]["code"], -32600)
        self.client.create(name="frames")
        waiter.send(encode("wait", {"name": "frames"}, id="x" * 1022))
        self.assertEqual(self.answer(waiter, "x" * 1022)["name"], "frames")

    def test_as_a_notification_it_is_nothing(self):
        client = self.connect(self.daemon)
        client.send(encode("wait", {"name": "frames"}))
        self.assertEqual(client.call("list")["segments"], [])

    def test_half_closed_it_is_answered_still(self):
        client = self.waiting("frames")
        client.finish()
        self.check_silent(client)
        made = self.client.create(name="frames")
        self.assertEqual(self.answer(client)["serial"], made["serial"])
        self.assertIsNone(client.reply())

    def test_the_daemons_end_is_told(self):
        waiter = self.waiting("frames")
        self.check_silent(waiter)
        self.daemon.stop()
        self.check_failed(waiter, 14, "io.shmd.ShuttingDown")
        self.assertIsNone(waiter.reply())

    @needs_several_uids
    def test_it_needs_to_read(self):
        early, early_to_open = self.waiting("closed", BOB), self.waiting("open", BOB)
        self.check_silent(early, early_to_open)
        alice = self.connect(self.daemon, ALICE)
        alice.create(name="closed", mode="0600")
        alice.create(name="open", mode="0604")
        denied = (3, "org.varlink.service.PermissionDenied")
        self.check_failed(early, *denied)
        self.assertEqual(self.answer(early_to_open)["name"], "open")
        self.check_failed(self.waiting("closed", BOB), *denied)


class Quota(ReadinessCase):
    CONFIG = LifeCase.RELAXED + "max_waiters = 2\n"

    def test_max_waiters(self):
        waiters = [self.waiting("frames") for _ in range(2)]
        self.check_silent(*waiters)
        data = self.refused("QuotaExceeded", self.client, "wait", name="frames")
        self.assertEqual((data["quota"], data["used"], data["max"]), ("max_waiters", 2, 2))
        self.refused("TimedOut", self.client, "wait", name="frames", timeout_ms=0)
        made = self.connect(self.daemon).create(name="frames")
        self.assertEqual(self.client.call("wait", name="frames")["segment"]["serial"],
                         made["serial"])
        for waiter in waiters:
            self.answer(waiter)

    def test_who_goes_waits_no_more(self):
        def has_room():
            reply = self.client.request("wait", name="frames", timeout_ms=1)
            return reply["error"]["code"] == 10

        before = self.descriptors()
        for i in range(4):
            waiters = [self.waiting("frames"), self.waiting("frames", timeout_ms=3600000)]
            self.check_silent(*waiters)
            with self.subTest(round=i):
                self.assertFalse(has_room())
            for waiter in waiters:
                waiter.close()
            wait_until(has_room, "the places of those who went are free")
        wait_until(lambda: self.descriptors() == before, "they are closed here too")

    def test_a_killed_process_waits_no_more(self):
        peers = [self.peer(), self.peer()]
        for peer in peers:
            peer.send(encode("wait", {"name": "frames"}, id=1))
        self.check_silent()
        self.refused("QuotaExceeded", self.client, "wait", name="frames")
        for peer in peers:
            peer.end(signal.SIGKILL)
        wait_until(lambda: self.client.request("wait", name="frames", timeout_ms=1)["error"]["code"]
                   == 10, "their places are free")


main()
