# SPDX-License-Identifier: MIT
"""How much of an attacker's work comes before a victim's, counted in requests.

The daemon is stopped while the attackers queue their requests and the victim queues a few behind them,
each on a connection of its own. Then it goes on, and has all of it before it at one moment. What the
victim asks for are the daemon's own counters: each answer says how many of the attackers' requests were
served before it. Neither the machine's speed nor the programs' is in these numbers.
"""

import contextlib
import json
import os
import re

from isolation import ATTACKER, ATTACKERS, BOUNDS, ROOT, VICTIM, IsolationCase, batch, encode, main
from isolation import diagnostics, needs_several_uids, parse_metrics, sysv, unread, wait_until

SEGMENTS = 5000
VICTIMS = 5

# The most requests of one uid that may come before the victim's. The daemon's own bound is 0.03 ms or
# one request, whichever is longer: one list of thousands of segments, some dozen small requests.
LISTS = 32
FULL_PAGES = 8
SMALL = BOUNDS["shmd_share_longest_requests"]

LIST = encode("list", {"limit": 1000}, id=1)
LIST_ALL = encode("list", {"limit": 1000, "scope": "all"}, id=1)
LIST_NOTHING = encode("list", {"labels": {"none": "has this"}}, id=1)
LIST_PREFIX = encode("list", {"prefix": "none/"}, id=1)


def served(text, method):
    """How many requests of METHOD the daemon has served, whatever became of them."""
    return sum(
        value
        for name, value in parse_metrics(text).items()
        if re.match(rf'shmd_requests_total\{{(.*,)?method="{method}"', name)
    )


@needs_several_uids
class Turns(IsolationCase):
    def setUp(self):
        super().setUp()
        self.start("max_segments_per_uid = 0\n")

    def fill(self):
        self.allow_segments()
        self.fill_managed(SEGMENTS)

    def attackers(self, count, users=(ATTACKER,)):
        """COUNT connections of each."""
        return [self.connect(self.daemon, user) for user in users for _ in range(count)]

    def queue(self, connection, data):
        """What the kernel takes of it."""
        connection.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while data:
                data = data[connection.socket.send(data) :]

    def send_beginning(self, attackers, data):
        """The daemon has read it when this returns."""
        for attacker in attackers:
            attacker.send(data)
        wait_until(lambda: not any(unread(a.socket) for a in attackers), "all of it is read")

    def counts(self, attackers, payload, method):
        """How many of the attackers' requests came before each of the victim's."""
        victims = [self.connect(self.daemon, VICTIM) for _ in range(VICTIMS)]
        for victim in victims:  # accepted, and done with
            before = served(victim.call("metrics")["text"], method)
        if payload.startswith(b"["):  # nothing of a batch is done before its end is there
            self.send_beginning(attackers, payload[:-2])
            payload = payload[-2:]
        with self.held_up():
            for attacker in attackers:
                self.queue(attacker, payload)
            for victim in victims:
                victim.send(encode("metrics", id="behind"))
        return sorted(
            served(victim.reply()["result"]["text"], method) - before for victim in victims
        )

    def check_share(self, attackers, payload, method, most):
        counts = [0] + self.counts(attackers, payload, method)
        diagnostics(f"{method} requests before each of the victim's: {counts[1:]}")
        gaps = [after - before for before, after in zip(counts, counts[1:])]
        self.assertLessEqual(
            max(gaps), most, f"{method} requests before each of the victim's: {counts[1:]}"
        )

    def test_batches(self):
        self.fill()
        payload = batch(*[LIST_NOTHING] * 64)
        self.check_share(self.attackers(40), payload, "list", LISTS)

    def test_batches_of_full_pages(self):
        self.fill()
        self.check_share(self.attackers(40), batch(*[LIST] * 64), "list", FULL_PAGES)

    def test_batches_of_all_segments(self):
        self.allow_segments()
        self.fill_foreign(SEGMENTS)
        self.check_share(self.attackers(40), batch(*[LIST_ALL] * 64), "list", FULL_PAGES)

    def test_a_pipeline(self):
        self.fill()
        self.check_share(self.attackers(1), LIST_PREFIX * 1000, "list", LISTS)

    def test_notifications(self):
        self.fill()
        self.check_share(self.attackers(1), encode("list", {"limit": 1000}) * 1500, "list", LISTS)

    def test_one_request_on_each_of_many_connections(self):
        self.fill()
        self.check_share(self.attackers(500), LIST_NOTHING, "list", LISTS)

    def test_refused_requests(self):
        payload = encode("remove", {"name": "none"}, id=1) * 60
        self.check_share(self.attackers(200), payload, "remove", SMALL)

    def test_changes_of_nothing(self):
        self.fill_managed(1)
        payload = encode("set", {"name": f"fill-{ATTACKER.uid}/0", "mode": "0600"}, id=1) * 50
        self.check_share(self.attackers(200), payload, "set", SMALL)

    def test_four_uids(self):
        self.fill()
        payload = batch(*[LIST_NOTHING] * 64)
        self.check_share(
            self.attackers(20, ATTACKERS), payload, "list", LISTS * len(ATTACKERS)
        )

    def test_a_page_of_nothing_ends(self):
        """It says where to go on, and has cost no more than a full one."""
        self.fill()
        page = self.connect(self.daemon, ATTACKER).call("list", labels={"none": "has this"})
        self.assertEqual(page["segments"], [])
        self.assertIn("cursor", page)

    def test_nothing_comes_between_the_answers_of_a_batch(self):
        """It is so long that the victim's request is served in the midst of it, which answers a wait of
        the same connection."""
        self.fill()
        attacker, victim = self.connect(self.daemon, ATTACKER), self.connect(self.daemon, VICTIM)
        attacker.send(encode("wait", {"name": "frames"}, id="waits"))
        attacker.call("info")
        with self.held_up():
            attacker.send(batch(*[encode("list", {"labels": {"none": "has this"}}, id=i)
                                  for i in range(64)]))
            victim.send(encode("create", {"name": "frames", "size": 1, "mode": "0644"}, id=1))
        answers = [attacker.reply(), attacker.reply()]
        wait, lists = sorted(answers, key=lambda answer: isinstance(answer, list))
        self.assertEqual(wait["id"], "waits")
        self.assertEqual([answer["id"] for answer in lists], list(range(64)))

    def test_many_connections_get_what_one_gets(self):
        """Of two uids with work, the one with 60 connections is not served more than the other."""
        self.fill()
        many = self.attackers(60)
        one = self.connect(self.daemon, ATTACKERS[1])
        self.send_beginning(many, batch(*[LIST_NOTHING] * 64)[:-2])
        one.call("info")
        with self.held_up():
            for attacker in many:
                attacker.send(b"]\n")
            one.send(encode("stat", {"name": "none"}) * 400 + encode("metrics", id="last"))
        lists = served(one.reply()["result"]["text"], "list")
        # Shares are of one length, so the machine's speed is not in this number.
        self.assertLessEqual(lists, 4 * LISTS, "lists before the 400th request of the other")


@needs_several_uids
class Parts(IsolationCase):
    """What goes on by itself is done in parts, too. A turn is short here, and what is counted are the
    records that the longest turn looked at."""

    def longest(self):
        return self.metrics()["shmd_turn_longest_records"]

    def check_parts(self):
        longest = self.longest()
        diagnostics(f"{longest:.0f} of {SEGMENTS} records in one turn")
        self.assertLess(longest, SEGMENTS / 2, "records in one turn")

    def start_with_many(self, config, **params):
        self.start("max_segments_per_uid = 0\nturn_work_us = 250\n" + config)
        self.allow_segments()
        return self.fill_managed(SEGMENTS, **params)

    def test_a_sweep(self):
        self.start_with_many("reconcile_ms = 100\n")
        shmid = sysv.create(1)
        wait_until(lambda: self.metrics()["shmd_foreign_segments"] == 1, "a sweep has ended")
        sysv.remove(shmid)
        wait_until(lambda: self.metrics()["shmd_foreign_segments"] == 0, "another has")
        self.check_parts()

    def test_a_reload(self):
        """The sweep that it asks for ends with a look at what is not the daemon's."""
        self.start_with_many("reconcile_ms = 3600000\n")
        shmid = sysv.create(1)
        self.connect(self.daemon, ROOT).call("reload")
        wait_until(lambda: self.metrics()["shmd_foreign_segments"] == 1, "the sweep has ended")
        sysv.remove(shmid)
        self.check_parts()

    def test_a_look_at_what_is_declared(self):
        files = os.path.join(self.directory, "segments.d")
        os.mkdir(files)
        declared = [{"name": f"declared/{i}", "size": 1} for i in range(SEGMENTS)]
        with open(os.path.join(files, "many.json"), "w", encoding="ascii") as file:
            json.dump(declared, file)
        self.allow_segments()
        self.start("max_segments_per_uid = 0\nturn_work_us = 250\nreconcile_ms = 100\n"
                   f"segments_dir = {files}\n")
        self.assertEqual(self.metrics()["shmd_segments"], SEGMENTS)
        for name in ("declared/0", f"declared/{SEGMENTS - 1}"):
            self.connect(self.daemon, ROOT).call("remove", name=name)
        wait_until(lambda: self.metrics()["shmd_segments"] == SEGMENTS, "both exist again")
        self.check_parts()

    def test_the_end_of_a_process(self):
        holder = self.start_with_many("reconcile_ms = 3600000\n", lifetime="process")
        holder.end()
        wait_until(lambda: self.metrics()["shmd_segments"] == 0, "all of its segments are gone")
        self.check_parts()

    def test_refusals_do_not_look_at_segments_over_and_over(self):
        """The first in a turn does, for some may be gone."""
        most = 200
        self.start(f"max_segments_per_uid = {most}\nreconcile_ms = 3600000\nturn_work_us = 20000\n")
        attacker = self.connect(self.daemon, ATTACKER)
        for _ in range(most):  # each in a turn of its own: what is written counts, too
            attacker.create()
        self.assertLess(self.longest(), most, "records in one turn")
        with self.held_up():
            attacker.send(encode("create", {"size": 1}, id=1) * 100)
        for _ in range(100):
            self.assertEqual(attacker.reply()["error"]["code"], 6)
        self.assertLess(self.longest(), 2 * most, "records in one turn")


main()
