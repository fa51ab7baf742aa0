# SPDX-License-Identifier: MIT
"""`subscribe`: what happened is told, in order, once, to those who may know."""

import signal

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    SOMEBODY,
    Child,
    Client,
    as_user,
    encode,
    main,
    needs_several_uids,
    wait_until,
)
from peers import LifeCase, kill


class EventCase(LifeCase):
    def check_in_sequence(self, events):
        serials = [event["event_serial"] for event in events]
        self.assertEqual(serials, list(range(serials[0], serials[0] + len(serials))))

    def newest(self):
        with self.daemon.connect() as client:
            return client.call("subscribe")["event_serial"]

    def adoptable(self, **more):
        shmid = sysv.create(4096, **more)
        sysv.set_owner(shmid, self.client.call("info")["uid"], 0, 0o666)
        return shmid


class Kinds(EventCase):
    def test_every_kind(self):
        subscriber = self.subscribe(user=ROOT)
        root = self.connect(self.daemon, ROOT)
        made = root.create(name="frames", ready=False, labels={"a": "1"})
        root.call("ready", name="frames")
        root.call("set", name="frames", mode="0640", labels={"b": "2"})
        attachment = self.hold(ROOT, made["shmid"])
        seen = [self.event(subscriber) for _ in range(4)]
        attachment.kill()
        seen.append(self.event(subscriber))
        root.call("remove", name="frames")
        shmid = self.adoptable()
        root.call("adopt", shmid=shmid, name="taken")
        seen += self.events(subscriber, 2)
        self.assertEqual([event["kind"] for event in seen],
                         ["created", "ready", "changed", "attached", "detached", "removed",
                          "adopted"])
        self.check_in_sequence(seen)
        for event in seen:
            with self.subTest(kind=event["kind"]):
                self.assertLessEqual({"event_serial", "at_ms", "kind", "segment"}, set(event))
                self.assertEqual("reason" in event, event["kind"] == "removed")
                self.assertIs(event["segment"]["managed"], True)
                self.assertGreaterEqual(event["at_ms"], made["created_at_ms"])
        self.assertEqual([event["segment"]["serial"] for event in seen[:6]],
                         [made["serial"]] * 6)
        self.assertEqual([event["segment"]["nattch"] for event in seen[:6]], [0, 0, 0, 1, 0, 0])
        self.assertEqual([event["segment"]["mode"] for event in seen[:3]],
                         ["0600", "0600", "0640"])
        self.assertEqual([event["segment"]["labels"] for event in seen[1:3]],
                         [{"a": "1"}, {"b": "2"}])
        self.assertEqual([event["segment"]["state"] for event in seen],
                         ["initialising", "ready", "ready", "ready", "ready", "removed", "ready"])

    def test_every_reason(self):
        subscriber = self.subscribe(user=ROOT)
        root = self.connect(self.daemon, ROOT)

        def request():
            made = root.create()
            root.call("remove", serial=made["serial"])
            return made

        def last_holder_exited():
            peer = self.peer()
            made = peer.create(lifetime="process")
            peer.end()
            return made

        def connection_closed():
            with self.daemon.connect() as client:
                return client.create(lifetime="connection")

        def initialiser_died():
            peer = self.peer()
            made = peer.create(ready=False)
            peer.end()
            return made

        def last_detach():
            made = root.create(lifetime="attached")
            attachment = self.hold(ROOT, made["shmid"])
            wait_until(lambda: sysv.proc_table()[made["shmid"]]["nattch"] == "1",
                       "the anchor is let go")
            attachment.kill()
            return made

        def out_of_band():
            made = root.create()
            sysv.remove(made["shmid"])
            return made

        reasons = {
            "request": request,
            "expired": lambda: root.create(ttl_ms=1),
            "last-holder-exited": last_holder_exited,
            "connection-closed": connection_closed,
            "initialiser-died": initialiser_died,
            "last-detach": last_detach,
            "out-of-band": out_of_band,
        }
        for reason, end in reasons.items():
            with self.subTest(reason=reason):
                made = end()
                event = self.event_of(subscriber, made["serial"])
                self.assertEqual((event["reason"], event["segment"]["state"]), (reason, "removed"))

    def test_recycled(self):
        subscriber = self.subscribe(user=ROOT)
        kept = self.client.create()
        made = self.client.create()
        # Between two sweeps: whichever comes in between sees it gone.
        self.daemon.signal(signal.SIGSTOP)
        sysv.remove(made["shmid"])
        sysv.create_with_shmid(made["shmid"], 8192)
        self.daemon.signal(signal.SIGCONT)
        event = self.event_of(subscriber, made["serial"])
        self.assertEqual(event["reason"], "recycled")
        self.assertEqual(event["segment"]["size"], 4096, "what is told of is the old one")
        self.assertEqual(sysv.stat_any(made["shmid"] & 0x7FFF).size, 8192)
        self.assertTrue(self.is_known(kept))

    def test_nothing_is_told_of_a_look(self):
        made = self.client.create(name="frames")
        subscriber = self.subscribe()
        self.client.stat(name="frames")
        self.client.list()
        self.client.call("create", name="frames", size=1)  # it exists
        self.client.call("wait", name="frames")
        self.client.call("remove", name="frames")
        self.assertEqual(self.event(subscriber)["kind"], "removed")
        self.assertFalse(self.is_known(made))

    def test_hold_and_release_are_changes(self):
        made = self.client.create(lifetime="process")
        subscriber = self.subscribe()
        peer = self.peer()
        peer.call("hold", serial=made["serial"])
        peer.call("hold", serial=made["serial"])
        peer.call("release", serial=made["serial"])
        events = self.events(subscriber, 2)
        self.assertEqual([(event["kind"], event["segment"]["holders"]) for event in events],
                         [("changed", 2), ("changed", 1)])


class Order(EventCase):
    def test_the_result_is_the_newest(self):
        first = self.client.call("subscribe")["event_serial"]
        self.client.send(encode("create", {"size": 1}, id="a"))
        self.assertEqual(self.client.reply()["id"], "a")
        self.assertEqual(self.event(self.client)["event_serial"], first + 1)
        self.assertEqual(self.connect(self.daemon).call("subscribe")["event_serial"], first + 1)

    def test_a_reply_comes_before_its_event(self):
        self.client.call("subscribe")
        for data in (encode("create", {"size": 1}, id=1),
                     b"[" + encode("create", {"size": 1}, id=1) + b"]"):
            self.client.send(data * 10)
            replies, events = 0, 0
            for _ in range(20):
                message = self.client.reply()
                if isinstance(message, dict) and "method" in message:
                    events += 1
                else:
                    replies += 1
                self.assertGreaterEqual(replies, events)
            self.assertEqual((replies, events), (10, 10))

    def test_all_see_the_same(self):
        subscribers = [self.subscribe() for _ in range(5)]
        for i in range(50):
            self.client.create(name=f"s{i}")
        for i in range(50):
            self.client.call("remove", name=f"s{i}")
        seen = [self.events(subscriber, 100) for subscriber in subscribers]
        self.check_in_sequence(seen[0])
        for other in seen[1:]:
            self.assertEqual(other, seen[0])

    def test_the_connection_stays_usable(self):
        self.client.call("subscribe")
        other = self.connect(self.daemon)
        made = other.create(name="frames")
        self.assertEqual(self.event(self.client)["kind"], "created")
        self.assertEqual(self.client.stat(name="frames")["serial"], made["serial"])

    def test_after_a_half_close_they_come_still(self):
        subscriber = self.subscribe()
        subscriber.finish()
        before = self.descriptors()
        for i in range(5):
            self.client.create(name=f"s{i}")
            self.assertEqual(self.event(subscriber)["segment"]["name"], f"s{i}")
        subscriber.close()
        wait_until(lambda: self.descriptors() == before - 1,
                   "it is closed when the peer is really gone")
        self.client.create(name="after")


class Filters(EventCase):
    def test_prefix(self):
        subscriber = self.subscribe(prefix="cam/")
        self.client.create(name="cam/1")
        self.client.create(name="camera")
        self.client.create()
        self.client.create(name="x/cam/")
        self.client.create(name="cam/2")
        names = [event["segment"]["name"] for event in self.events(subscriber, 2)]
        self.assertEqual(names, ["cam/1", "cam/2"])

    def test_kinds(self):
        subscriber = self.subscribe(kinds=["removed", "changed"])
        self.client.create(name="frames")
        self.client.call("set", name="frames", labels={"a": "1"})
        self.client.call("remove", name="frames")
        self.assertEqual([event["kind"] for event in self.events(subscriber, 2)],
                         ["changed", "removed"])

    def test_both(self):
        subscriber = self.subscribe(prefix="a", kinds=["removed"])
        for name in ("a1", "b1", "a2"):
            self.client.create(name=name)
            self.client.call("remove", name=name)
        self.assertEqual([event["segment"]["name"] for event in self.events(subscriber, 2)],
                         ["a1", "a2"])

    def test_what_is_no_kind(self):
        for kinds in (["gone"], ["created", 7], "created", [None]):
            with self.subTest(kinds=kinds):
                self.refuses_parameter("kinds", self.client, "subscribe", kinds=kinds)

    def test_once_more_is_instead(self):
        subscriber = self.subscribe(prefix="a")
        subscriber.call("subscribe", prefix="b")
        for name in ("a1", "b1", "a2", "b2"):
            self.client.create(name=name)
        self.assertEqual([event["segment"]["name"] for event in self.events(subscriber, 2)],
                         ["b1", "b2"])


class Resume(EventCase):
    CONFIG = LifeCase.RELAXED

    def test_after(self):
        first = self.newest()
        for i in range(5):
            self.client.create(name=f"s{i}")
        subscriber = self.subscribe(after=first + 2)
        self.assertEqual([event["segment"]["name"] for event in self.events(subscriber, 3)],
                         ["s2", "s3", "s4"])
        self.client.create(name="now")
        self.assertEqual(self.event(subscriber)["segment"]["name"], "now")

    def test_after_the_newest_and_beyond(self):
        last = self.newest()
        self.client.create(name="a")
        for after in (last + 1, last + 2, 1 << 60):
            with self.subTest(after=after):
                subscriber = self.subscribe(after=after)
                name = f"b{after}"
                self.client.create(name=name)
                self.assertEqual(self.event(subscriber)["segment"]["name"], name)

    def test_with_filters(self):
        first = self.newest()
        for name in ("a1", "b1", "a2"):
            self.client.create(name=name)
        subscriber = self.subscribe(after=first, prefix="a")
        self.assertEqual([event["segment"]["name"] for event in self.events(subscriber, 2)],
                         ["a1", "a2"])

    def test_a_gap(self):
        first = self.newest()
        self.client.create(name="frames")
        many = 1100
        self.client.send(b"".join(encode("set", {"name": "frames", "labels": {"n": str(i)}}, id=i)
                                  for i in range(many)))
        for i in range(many):
            self.assertIn("result", self.client.reply())
        subscriber = self.subscribe(after=first)
        gap = self.event(subscriber)
        self.assertEqual(gap, {"kind": "gap", "missed": many + 1 - 1024})
        events = self.events(subscriber, 1024)
        self.check_in_sequence(events)
        self.assertEqual(events[0]["event_serial"], first + gap["missed"] + 1)
        self.assertEqual(events[-1]["segment"]["labels"], {"n": str(many - 1)})

    def restarted_by(self, end):
        """The serials of the last two events before, and of the next one after."""
        first = self.newest()
        self.client.create()
        last = self.event(self.subscribe(after=first))["event_serial"]
        end(self.daemon)
        self.restart()
        return first, last

    def check_next(self, subscriber, serial):
        self.client.create(name=f"after-{serial}")
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["event_serial"]), ("created", serial))

    def test_a_restart_loses_what_was_told_before(self):
        first, last = self.restarted_by(lambda daemon: daemon.stop())
        subscriber = self.subscribe(after=first)
        gap = self.event(subscriber)
        self.assertEqual((gap["kind"], gap["missed"]), ("gap", last - first))
        self.check_next(subscriber, last + 1)

    def test_a_restart_loses_nothing_that_was_heard(self):
        _, last = self.restarted_by(lambda daemon: daemon.stop())
        self.check_next(self.subscribe(after=last), last + 1)

    def test_a_kill_is_a_gap(self):
        _, last = self.restarted_by(kill)
        subscriber = self.subscribe(after=last)
        gap = self.event(subscriber)
        self.assertEqual(gap["kind"], "gap")
        self.check_next(subscriber, last + gap["missed"] + 1)

    def test_what_a_start_finds_is_told(self):
        made = self.client.create(name="frames")
        last = self.newest()
        kill(self.daemon)
        as_user(SOMEBODY, lambda: sysv.remove(made["shmid"]))
        self.restart()
        subscriber = self.subscribe(after=last)
        self.assertEqual(self.event(subscriber)["kind"], "gap")
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["reason"], event["segment"]["serial"]),
                         ("removed", "out-of-band", made["serial"]))


class Cap(EventCase):
    CONFIG = LifeCase.RELAXED + "subscriber_cap = 65536\n"

    def test_who_does_not_read_is_disconnected(self):
        deaf, listener = self.subscribe(), self.subscribe()
        before = self.descriptors()
        self.client.create(name="frames")
        self.assertEqual(self.event(listener)["kind"], "created")
        told = 1
        while self.descriptors() == before:
            self.assertLess(told, 100000, "the cap is never reached")
            self.client.send(b"".join(encode("set", {"name": "frames", "labels": {"x": "y" * 255}},
                                             id=i) for i in range(20)))
            for _ in range(20):
                self.assertIn("result", self.client.reply())
            self.events(listener, 20)
            told += 20
        # What it was sent before is whole; then comes the end, and it can resume.
        seen = [message["params"]["event_serial"] for message in deaf.replies()]
        self.assertEqual(seen, list(range(seen[0], seen[0] + len(seen))))
        self.assertLess(len(seen), told)
        again = self.subscribe(after=seen[-1])
        event = self.event(again)
        self.assertTrue(event["kind"] == "gap" or event["event_serial"] == seen[-1] + 1, event)
        self.client.create(name="last")
        self.assertEqual(self.event(listener)["segment"]["name"], "last")

    def fill_the_log(self):
        """Events of several times the cap; returns the serial of the last before them."""
        first = self.newest()
        self.client.create(name="frames")
        self.client.send(b"".join(encode("set", {"name": "frames", "labels": {"x": "y" * 255}},
                                         id=i) for i in range(999)))
        for _ in range(999):
            self.assertIn("result", self.client.reply())
        return first

    def test_what_was_is_told_as_fast_as_it_is_read(self):
        first = self.fill_the_log()
        subscriber = self.subscribe(after=first)
        self.client.create(name="new")
        events = self.events(subscriber, 1001)
        self.check_in_sequence(events)
        self.assertEqual(events[0]["event_serial"], first + 1)
        self.assertEqual(events[-1]["segment"]["name"], "new")

    def test_what_came_during_a_wait_too(self):
        subscriber = self.subscribe()
        subscriber.send(encode("wait", {"name": "last"}, id=7))
        first = self.newest()
        self.client.create(name="frames")
        events = self.events(subscriber, 1)
        for _ in range(50):
            for i in range(20):
                self.client.call("set", name="frames", labels={"x": "y" * 255, "i": str(i)})
            events += self.events(subscriber, 20)
        self.client.create(name="last")
        messages = [subscriber.reply(), subscriber.reply()]
        self.assertEqual([m["id"] for m in messages if "id" in m], [7])
        events += [m["params"] for m in messages if "params" in m]
        self.check_in_sequence(events)
        self.assertEqual(events[0]["event_serial"], first + 1)


class BurstCase(EventCase):
    def create_at_once(self, client, count, **params):
        client.send(b"".join(encode("create", {"size": 1, **params}, id=i)
                             for i in range(count)))
        for _ in range(count):
            self.assertIn("result", client.reply())


class ASmallCap(BurstCase):
    CONFIG = LifeCase.RELAXED + "subscriber_cap = 1024\n"

    def test_what_nobody_could_have_read_is_held_against_nobody(self):
        subscriber = self.subscribe()
        self.create_at_once(self.client, 10)
        events = self.events(subscriber, 10)
        self.check_in_sequence(events)
        self.assertEqual({event["kind"] for event in events}, {"created"})


class ManyEnds(BurstCase):
    """The subscriber reads when all is over: what it has not read by then stays below the cap."""

    CONFIG = LifeCase.RELAXED + "max_segments_per_uid = 0\n"
    MANY = 1500

    def test_the_end_of_a_process_that_held_much(self):
        def hold_many(report):
            client = Client(self.daemon.socket_path)
            self.create_at_once(client, self.MANY, lifetime="process")
            report("done")
            signal.pause()

        child = Child(SOMEBODY, hold_many)
        child.outcome()
        # The last answers may be there before the turn that tells of the creations has ended.
        wait_until(lambda: f"shmd_event_serial {self.MANY}\n" in self.client.call("metrics")["text"],
                   "the creations are told")
        subscriber = self.subscribe()
        child.end()
        wait_until(lambda: not sysv.proc_table(), "they are gone")
        self.client.create(name="last")
        told, names = 0, []
        while names[-1:] != ["last"]:
            event = self.event(subscriber)
            told += event["missed"] if event["kind"] == "gap" else 1
            names.append(event.get("segment", {}).get("name"))
        self.assertEqual(told, self.MANY + 1)


class Attachments(EventCase):
    def test_attached_and_detached(self):
        made = self.client.create()
        subscriber = self.subscribe(kinds=["attached", "detached"])
        peers = [self.peer(connected=False) for _ in range(2)]
        for i, peer in enumerate(peers):
            peer.attach(made["shmid"])
            event = self.event(subscriber)
            self.assertEqual((event["kind"], event["segment"]["nattch"]), ("attached", i + 1))
            self.assertEqual(event["segment"]["last_pid"], peer.pid)
        peers[0].detach(made["shmid"])
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["segment"]["nattch"]), ("detached", 1))
        peers[1].end()
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["segment"]["nattch"]), ("detached", 0))

    def test_who_came_and_went_between_two_looks_is_told(self):
        made = self.client.create()
        subscriber = self.subscribe(kinds=["attached", "detached"])
        # While it cannot look.
        self.daemon.signal(signal.SIGSTOP)
        peer = self.peer(connected=False)
        peer.attach(made["shmid"])
        peer.end()
        self.daemon.signal(signal.SIGCONT)
        events = self.events(subscriber, 2)
        self.assertEqual([event["kind"] for event in events], ["attached", "detached"])
        for event in events:
            self.assertEqual((event["segment"]["nattch"], event["segment"]["last_pid"]), (0, peer.pid))
            self.assertGreater(event["segment"]["attached_at_ms"], 0)
            self.assertGreater(event["segment"]["detached_at_ms"], 0)

    def test_the_anchor_is_not_told(self):
        subscriber = self.subscribe()
        made = self.client.create(lifetime="attached")
        self.assertEqual(self.event(subscriber)["kind"], "created")
        peer = self.peer(connected=False)
        peer.attach(made["shmid"])
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["segment"]["nattch"]), ("attached", 1))
        peer.detach(made["shmid"])
        event = self.event(subscriber)
        self.assertEqual((event["kind"], event["reason"]), ("removed", "last-detach"))

    def test_what_was_attached_before_a_start_is_no_news(self):
        made = self.client.create()
        attachment = self.hold(SOMEBODY, made["shmid"])
        self.kill_and_restart()
        subscriber = self.subscribe(after=0)
        attachment.kill()
        kinds = []
        while not kinds or kinds[-1] != "detached":
            kinds.append(self.event(subscriber)["kind"])
        self.assertNotIn("attached", kinds)


@needs_several_uids
class Privacy(EventCase):
    CONFIG = LifeCase.RELAXED

    def test_nothing_of_what_one_may_not_read(self):
        alice = self.connect(self.daemon, ALICE)
        subscribers = {user: self.subscribe(user=user) for user in (ALICE, BOB, ROOT, DAEMON)}
        alice.create(name="secret", mode="0600")
        alice.call("set", name="secret", labels={"a": "1"})
        alice.call("set", name="secret", mode="0604")  # from now on
        alice.call("set", name="secret", mode="0600")  # and no more
        alice.call("remove", name="secret")
        alice.create(name="public", mode="0644")
        alice.call("remove", name="public")
        kinds = ["created", "changed", "changed", "changed", "removed", "created", "removed"]
        for user, subscriber in subscribers.items():
            with self.subTest(user=user.uid):
                wanted = kinds if user is not BOB else ["changed", "created", "removed"]
                events = self.events(subscriber, len(wanted))
                self.assertEqual([event["kind"] for event in events], wanted)
        # Nor by what was before he came.
        late = self.subscribe(user=BOB, after=0)
        events = self.events(late, 3)
        self.assertEqual([event["segment"]["name"] for event in events],
                         ["secret", "public", "public"])

    def test_nor_when_it_goes_of_itself(self):
        subscriber = self.subscribe(user=BOB)
        alice = self.connect(self.daemon, ALICE)
        alice.create(name="secret", mode="0600", lifetime="connection")
        alice.create(name="public", mode="0644", lifetime="connection")
        alice.close()
        self.assertEqual([(event["kind"], event["segment"]["name"])
                          for event in self.events(subscriber, 2)],
                         [("created", "public"), ("removed", "public")])

    def test_nor_when_it_is_gone(self):
        subscriber = self.subscribe(user=BOB)
        alice = self.connect(self.daemon, ALICE)
        for name, mode in (("secret", "0600"), ("public", "0644")):
            shmid = alice.create(name=name, mode=mode)["shmid"]
            as_user(ALICE, lambda shmid=shmid: sysv.remove(shmid))
            self.refused("NoSuchSegment", alice, "stat", name=name)
        self.assertEqual([(event["kind"], event["segment"]["name"])
                          for event in self.events(subscriber, 2)],
                         [("created", "public"), ("removed", "public")])

    def test_nor_when_it_is_gone_and_was_closed_before(self):
        """In the kernel, which the daemon has seen."""
        subscriber = self.subscribe(user=BOB, kinds=["removed"])
        alice = self.connect(self.daemon, ALICE)
        for name, mode in (("secret", 0o600), ("public", 0o644)):
            shmid = alice.create(name=name, mode="0644")["shmid"]
            as_user(ALICE, lambda: sysv.set_owner(shmid, ALICE.uid, ALICE.gid, mode))
            alice.stat(name=name)
            as_user(ALICE, lambda: sysv.remove(shmid))
            self.refused("NoSuchSegment", alice, "stat", name=name)
        self.assertEqual(self.event(subscriber)["segment"]["name"], "public")

    def test_nor_when_it_went_while_no_daemon_was_there(self):
        """What its mode was then cannot be told."""
        with self.daemon.connect(ALICE) as alice:
            made = alice.create(name="frames", mode="0644")
            last = alice.call("subscribe")["event_serial"]
        kill(self.daemon)
        as_user(ALICE, lambda: sysv.remove(made["shmid"]))
        self.restart()
        owner, stranger = (self.subscribe(user=user, after=last) for user in (ALICE, BOB))
        self.connect(self.daemon, ALICE).create(name="fence", mode="0644")
        self.assertEqual([event["kind"] for event in self.events(owner, 3)],
                         ["gap", "removed", "created"])
        self.assertEqual([event["kind"] for event in self.events(stranger, 2)], ["gap", "created"])


main()
