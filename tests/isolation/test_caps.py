# SPDX-License-Identifier: MIT
"""What one uid can make the daemon have: each thing has a cap for a uid, a total, and a reserve for
admins. Who is at a cap is refused with the name of its key; nobody else notices.
"""

import json
import random
import resource
import time

from isolation import (
    ATTACKER,
    ATTACKERS,
    ROOT,
    VICTIM,
    IsolationCase,
    RpcError,
    batch,
    diagnostics,
    encode,
    is_instrumented,
    main,
    needs_several_uids,
    unread,
    wait_until,
)
from harness import User
from peers import Peer

KEYS = (
    "max_segments_per_uid",
    "max_bytes_per_uid",
    "max_connections_per_uid",
    "max_waiters_per_uid",
    "max_processes_per_uid",
    "max_subscriptions_per_uid",
    "max_buffer_bytes_per_uid",
    "max_locked_bytes_per_uid",
    "max_anchored_bytes_per_uid",
)


def memory_and_swap():
    with open("/proc/meminfo", encoding="ascii") as file:
        rows = dict(line.split(":") for line in file)
    return 1024 * sum(int(rows[name].split()[0]) for name in ("MemTotal", "SwapTotal"))


class CapsCase(IsolationCase):
    def check_quota(self, data, quota, most):
        self.assertEqual((data["quota"], data["used"], data["max"]), (quota, most, most))

    def refused_at(self, quota, most, client, method, **params):
        self.check_quota(self.refused("QuotaExceeded", client, method, **params), quota, most)

    def answers(self, client, payload, count):
        client.send(payload)
        return [client.reply() for _ in range(count)]


@needs_several_uids
class PerUid(CapsCase):
    def test_info_tells_each_with_what_is_used(self):
        self.start()
        client = self.connect(self.daemon, VICTIM)
        client.create(size=4096)
        limits = client.call("info")["limits"]
        for key in KEYS:
            with self.subTest(key=key):
                self.assertEqual(set(limits[key]), {"used", "max"})
        self.assertEqual(limits["max_segments_per_uid"], {"used": 1, "max": 1024})
        self.assertEqual(limits["max_connections_per_uid"], {"used": 1, "max": 512})
        self.assertEqual(limits["max_waiters_per_uid"], {"used": 0, "max": 256})
        self.assertEqual(limits["max_subscriptions_per_uid"], {"used": 0, "max": 64})
        self.assertEqual(limits["max_bytes_per_uid"]["max"], memory_and_swap())

    def test_waiters(self):
        self.start("max_waiters_per_uid = 5\n")
        attacker = self.connect(self.daemon, ATTACKER)
        for i in range(5):
            attacker.send(encode("wait", {"name": "never"}, id=i))
        self.refused_at("max_waiters_per_uid", 5, attacker, "wait", name="never")
        victim = self.connect(self.daemon, VICTIM)
        victim.send(encode("wait", {"name": "mine"}, id="waits"))
        self.connect(self.daemon, VICTIM).create(name="mine")
        self.assertIn("result", victim.reply())
        # Each gives its place back once.
        attacker.close()
        again = self.connect(self.daemon, ATTACKER)
        self.refused("TimedOut", again, "wait", name="never", timeout_ms=0)

    def test_subscriptions(self):
        self.start("max_subscriptions_per_uid = 2\n")
        for _ in range(2):
            self.connect(self.daemon, ATTACKER).call("subscribe")
        third = self.connect(self.daemon, ATTACKER)
        self.refused_at("max_subscriptions_per_uid", 2, third, "subscribe")
        self.connect(self.daemon, VICTIM).call("subscribe")

    def test_watched_processes(self):
        self.start("max_processes_per_uid = 3\n")

        def peer(user):
            peer = Peer(self.daemon.socket_path, user)
            self.addCleanup(peer.end)
            return peer

        attackers = [peer(ATTACKER) for _ in range(3)]
        for attacker in attackers:
            attacker.create(lifetime="process")
            attacker.create(lifetime="process")  # a process counts once
        fourth = peer(ATTACKER)
        self.refused_at("max_processes_per_uid", 3, fourth, "create", size=1, lifetime="process")
        fourth.create()
        peer(VICTIM).create(lifetime="process")
        attackers[0].end()

        def has_room():
            try:
                fourth.create(lifetime="process")
            except RpcError:
                return False
            return True

        wait_until(has_room, "a process that ended has given its place back")

    def test_locked_memory(self):
        # The kernel counts it by uid, for all processes of the machine: the daemon has one of its own.
        uid = random.randrange(1 << 20, 1 << 30)
        self.start(user=User(uid, uid, ()), rlimits={resource.RLIMIT_MEMLOCK: 1 << 20})
        attacker = self.connect(self.daemon, ATTACKER)
        attacker.create(size=1 << 18, locked=True)  # a quarter
        self.refused_at(
            "max_locked_bytes_per_uid", 1 << 18, attacker, "create", size=4096, locked=True
        )
        plain = attacker.create(size=4096)
        self.refused_at(
            "max_locked_bytes_per_uid", 1 << 18, attacker, "set", serial=plain["serial"], locked=True
        )
        self.connect(self.daemon, VICTIM).create(size=1 << 18, locked=True)

    def test_bytes_are_the_machines_by_default(self):
        self.start()
        attacker = self.connect(self.daemon, ATTACKER)
        most = memory_and_swap()
        data = self.refused(
            "QuotaExceeded", attacker, "create", size=most + 4096, noreserve=True
        )
        self.assertEqual((data["quota"], data["max"]), ("max_bytes_per_uid", most))
        self.connect(self.daemon, VICTIM).create(size=4096)

    def test_sums_of_bytes_never_wrap(self):
        self.start(f"max_bytes_per_uid = {2**63 - 1}\n")
        attacker = self.connect(self.daemon, ATTACKER)
        for size in (2**63 - 1, 2**47 + 1):
            for _ in range(3):
                data = self.refused("LimitReached", attacker, "create", size=size, noreserve=True)
                self.assertEqual(data["limit"], "address-space")
        self.assertEqual(attacker.call("info")["usage"], {"segments": 0, "bytes": 0})
        self.connect(self.daemon, VICTIM).create(size=4096)
        self.connect(self.daemon, ROOT).create(size=4096)

    def test_address_space_of_anchors(self):
        self.start("max_bytes_per_uid = 8T\n")
        attacker = self.connect(self.daemon, ATTACKER)
        attached = {"lifetime": "attached", "noreserve": True}
        attacker.create(size=1 << 39, **attached)
        attacker.create(size=1 << 39, **attached)
        self.refused_at(
            "max_anchored_bytes_per_uid", 1 << 40, attacker, "create", size=1 << 30, **attached
        )
        self.connect(self.daemon, VICTIM).create(size=1 << 30, **attached)


@needs_several_uids
class Connections(CapsCase):
    """max_connections 200, of which the last 64 are for admins."""

    CONFIG = "max_connections = 200\nmax_connections_per_uid = 150\n"

    def setUp(self):
        super().setUp()
        self.start(self.CONFIG)

    def served(self, user):
        client = self.connect(self.daemon, user)
        client.call("list")
        return client

    def is_closed(self, client):
        client.socket.setblocking(False)
        try:
            return not client.socket.recv(65536)
        except BlockingIOError:
            return False
        finally:
            client.socket.settimeout(60)

    def test_the_longest_idle_of_whoever_has_most_makes_room(self):
        few = [self.served(ATTACKERS[1]) for _ in range(36)]
        many = [self.served(ATTACKERS[0]) for _ in range(100)]
        many[0].call("info")  # the longest idle is now the second
        victim = self.served(VICTIM)
        closed = [i for i, client in enumerate(many) if self.is_closed(client)]
        self.assertEqual(closed, [1])
        self.assertFalse(any(self.is_closed(client) for client in few))
        victim.call("list")

    def test_room_is_made_beside_admins(self):
        """They count, so that one that goes may be too few."""
        idle = [self.served(user) for user in ATTACKERS[:2] for _ in range(68)]
        admins = [self.served(ROOT) for _ in range(3)]
        for client in (self.served(VICTIM), *admins):
            client.call("list")
        self.assertEqual(sum(self.is_closed(client) for client in idle), 4)

    def test_what_is_in_use_is_not_closed(self):
        """A holder, a waiter and a subscriber stay, though they say nothing."""
        holder, waiter, subscriber = (self.served(ATTACKER) for _ in range(3))
        holder.create(name="held", lifetime="connection")
        waiter.send(encode("wait", {"name": "never"}, id=9))
        subscriber.call("subscribe", prefix="none/")
        idle = [self.served(ATTACKER) for _ in range(133)]
        for _ in range(3):
            self.served(VICTIM)
        for client in (holder, waiter, subscriber):
            self.assertFalse(self.is_closed(client))
        self.assertEqual(sum(self.is_closed(client) for client in idle), 3)

    def test_admins_have_a_reserve(self):
        """What others may not take, however many they are."""
        for user in ATTACKERS[:2]:
            for _ in range(70):
                self.connect(self.daemon, user).send_what_is_taken(encode("list", id=1))
        for admin in [self.served(ROOT) for _ in range(64)]:
            admin.call("info")


@needs_several_uids
class Reserves(CapsCase):
    """A sixteenth of each total is for admins, however many the users are who want it."""

    def setUp(self):
        super().setUp()
        self.start("max_segments = 32\nmax_bytes = 32M\nmax_waiters = 32\n")
        self.users = [self.connect(self.daemon, user) for user in ATTACKERS[:2]]
        self.admin = self.connect(self.daemon, ROOT)

    def is_full(self, quota, client, method, **params):
        data = self.refused("QuotaExceeded", client, method, **params)
        self.assertEqual(data["quota"], quota)

    def test_of_segments(self):
        for i in range(30):
            self.users[i % 2].create(size=1)
        for user in self.users:
            self.is_full("max_segments", user, "create", size=1)
        for _ in range(2):
            self.admin.create(size=1)
        self.refused_at("max_segments", 32, self.admin, "create", size=1)

    def test_of_bytes(self):
        for user in self.users:
            user.create(size=15 << 20)
        for user in self.users:
            self.is_full("max_bytes", user, "create", size=1)
        self.admin.create(size=2 << 20)
        self.refused_at("max_bytes", 32 << 20, self.admin, "create", size=1)

    def test_of_waiters(self):
        for i in range(30):
            self.users[i % 2].send(encode("wait", {"name": "never"}, id=i))
        wait_until(lambda: self.metrics()["shmd_waiters"] == 30, "all of them wait")
        for user in self.users:
            self.is_full("max_waiters", user, "wait", name="never")
        self.refused("TimedOut", self.admin, "wait", name="never", timeout_ms=1)


@needs_several_uids
class Memory(CapsCase):
    def peak(self):
        return self.daemon.proc_status("VmHWM") / 1024

    def check_small(self, mib):
        if is_instrumented():
            diagnostics("memory is not checked: the daemon is instrumented")
        else:
            self.assertLess(self.peak(), mib, "MiB of memory at most")

    def wait_until_nothing_is_answered(self):
        """Whoever is left reads nothing."""
        def served():
            return {name: n for name, n in self.metrics().items()
                    if name.startswith("shmd_requests_total") and '"metrics"' not in name}

        def is_quiet():
            before = served()
            time.sleep(0.3)
            return served() == before

        wait_until(is_quiet, "no more requests are served")

    def test_a_waiter_keeps_no_message(self):
        self.start()
        request = encode("wait", {"name": "never"}, id=1, junk=[])
        payload = request.replace(b"[]", b"[" + b"{}," * 20000 + b"{}]")
        # Together less than max_buffer_bytes_per_uid, for they may come all at once.
        flood = self.flood(ATTACKER, payload, 100).wait_until_ready()
        wait_until(lambda: self.metrics()["shmd_waiters"] == 100, "all of them wait")
        self.check_small(64)
        flood.end()
        wait_until(lambda: self.metrics()["shmd_waiters"] == 0, "none of them waits")
        self.check_memory_comes_back(48)

    def test_unfinished_values_are_the_uids_own(self):
        """30 MiB of beginnings, of which a uid may have 8."""
        self.start()
        beginning = encode("list", id=1, junk="x" * 60000).rstrip()[:-1]
        victim = self.connect(self.daemon, VICTIM)
        victim.send(beginning)
        attackers = [self.connect(self.daemon, ATTACKER) for _ in range(500)]
        for attacker in attackers:
            attacker.send_what_is_taken(beginning)
        wait_until(lambda: not any(unread(a.socket) for a in attackers), "all of it is read")
        self.check_small(24)
        victim.send(b"}\n")
        self.assertIn("result", victim.reply() or {}, "the victim's own value is kept")

    def test_what_is_freed_goes_back_to_the_system(self):
        """Although what others have got later lies behind it in the heap."""
        self.start()
        beginning = encode("list", id=1, junk="x" * 30000).rstrip()[:-1]
        attackers = [self.connect(self.daemon, ATTACKER) for _ in range(200)]
        for attacker in attackers:
            attacker.send_what_is_taken(beginning)
        wait_until(lambda: not any(unread(a.socket) for a in attackers), "all of it is read")
        victim = self.connect(self.daemon, VICTIM)
        for i in range(50):
            victim.create(name=f"victim/{i}", labels={f"k{n}": "x" * 200 for n in range(16)})
        if is_instrumented():
            self.skipTest("the daemon is instrumented")
        rss = lambda: self.daemon.proc_status("VmRSS")
        full = rss()
        for attacker in attackers:
            attacker.close()
        wait_until(lambda: full - rss() > 3 << 10, "3 MiB of 6 have gone back")

    def test_many_connections_that_ask_for_much_at_once_are_served(self):
        """12 MiB of whole requests of each of two uids, of which the daemon holds few at a time:
        nobody is cut off who has done nothing but ask."""
        self.start()
        clients = [self.connect(self.daemon, user) for user in ATTACKERS[:2] for _ in range(200)]
        unanswered = encode("stat", {"name": "nobody-has-this"})
        payload = unanswered * (60000 // len(unanswered)) + encode("info", id=1)
        with self.held_up():
            for client in clients:
                client.send(payload)
        answers = [client.reply(may_be_cut_off=True) or {} for client in clients]
        self.assertEqual(sum("result" not in answer for answer in answers), 0)

    def test_answers_that_nobody_reads_are_the_uids_own(self):
        self.start()
        self.fill_managed(300, labels={f"k{i}": "x" * 200 for i in range(4)})
        payload = encode("list", {"limit": 300}, id=1) * 100
        self.flood(ATTACKER, payload, 150, "deaf").wait_until_ready()
        with self.daemon.connect(VICTIM) as victim:
            victim.call("list")
        self.wait_until_nothing_is_answered()
        self.check_small(32)

    def test_a_batch_waits_for_whoever_reads_nothing(self):
        """Its answers are longer than all that the uid may have buffered."""
        self.start("max_buffer_bytes_per_uid = 2M\nmax_segments_per_uid = 0\n")
        self.fill_managed(300, labels={f"k{i}": "x" * 200 for i in range(8)})
        attacker = self.connect(self.daemon, ATTACKER)
        attacker.send(batch(*[encode("list", {"limit": 300}, id=i) for i in range(64)]))
        self.wait_until_nothing_is_answered()
        self.check_small(24)
        answers = attacker.read_line(may_be_cut_off=True)
        self.assertIsNotNone(answers, "it is cut off")
        self.assertGreater(len(answers), 2 << 20)
        self.assertEqual([answer["id"] for answer in json.loads(answers)], list(range(64)))

    def test_an_honest_subscriber_gets_every_event(self):
        """Neither is it cut off, nor do the pages of others shrink, because somebody reads nothing."""
        self.start("max_segments_per_uid = 0\n")
        self.fill_managed(1000, mode="0644", labels={f"k{i}": "x" * 100 for i in range(4)})
        subscriber = self.connect(self.daemon, VICTIM)
        subscriber.call("subscribe", prefix="victim/", kinds=["created", "removed"])
        victim = self.connect(self.daemon, VICTIM)
        alone = self.largest_page(victim)
        payload = encode("list", {"limit": 1000}, id=1) * 100
        self.flood(ATTACKER, payload, 150, "deaf").wait_until_ready()
        for i in range(400):
            victim.create(name=f"victim/{i}")
            victim.call("remove", name=f"victim/{i}")
        events = [subscriber.reply() for _ in range(800)]
        self.assertNotIn(None, events, "the subscriber was cut off")
        self.assertEqual({event["params"]["kind"] for event in events}, {"created", "removed"})
        self.assertGreaterEqual(2 * self.largest_page(victim), alone, "segments in a page")

    def largest_page(self, client):
        """A page may be short at any time; of 20 the largest tells how long they may be."""
        return max(len(client.list(prefix="fill-", limit=1000)) for _ in range(20))


@needs_several_uids
class Holders(CapsCase):
    def written(self):
        """Bytes that the daemon has written, to files, sockets and its log."""
        with open(f"/proc/{self.daemon.pid}/io", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("wchar"))

    def test_a_change_costs_what_it_changes(self):
        """What is written for a change does not grow with the holders that the segment has."""
        self.start("max_segments_per_uid = 0\n")
        self.fill_managed(100, lifetime="process")
        names = [f"fill-{ATTACKER.uid}/{i}" for i in range(100)]
        hold = b"".join(encode("hold", {"name": name}, id=1) for name in names[:50])
        self.flood(ATTACKER, hold, 100, "processes").wait_until_ready()
        client = self.connect(self.daemon, ATTACKER)
        self.assertEqual(client.stat(name=names[0])["holders"], 101)

        def cost(names):
            before = self.written()
            for name in names:
                client.call("set", name=name, labels={"a": "b"})
            return self.written() - before

        held, alone = cost(names[:50]), cost(names[50:])
        diagnostics(f"{held // 50} bytes a change with 101 holders, {alone // 50} with one")
        self.assertLess(held, 2 * alone, "bytes written for 50 changes")


main()
