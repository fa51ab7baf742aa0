# SPDX-License-Identifier: MIT
"""Chaos: daemon and clients are killed at random, segments removed behind the daemon's back, the
disk is full now and then - and a model remembers what was acknowledged.

After every restart, and at the end, three numbers must be 0:
  lost     acknowledged segments or changes that are not there, and removed ones that are again
  leaked   segments in the kernel that are neither listed nor a stranger's
  touched  strangers' segments that are not as they were
What was in flight when the daemon was killed may have been done or not; which, is found out then.

    chaos.py [--seconds N] [--seed N]     (abs_top_builddir names the build)
"""

import argparse
import collections
import contextlib
import json
import os
import random
import re
import signal
import sys
import time
import unittest

import sysv
from harness import ALICE, BOB, DAEMON, ROOT, SEVERAL_UIDS, RpcError, as_user, encode
from peers import LifeCase, Peer, kill
from smallfs import SmallFilesystem, enter_private_mounts

USERS = (ALICE, BOB, ROOT) if SEVERAL_UIDS else (ROOT,)
MODES = ("0600", "0640", "0644", "0666")
LIFETIMES = ("persistent", "persistent", "process", "connection", "attached")
MOST_SEGMENTS = 120
SETTLE_SECONDS = 20  # what ends of itself has ended by then, or never will

# Of what is listed, what must be as it was acknowledged.
FIELDS = ("shmid", "name", "size", "mode", "labels", "lifetime", "state", "holders", "creator_uid")


class Segment:
    """What was acknowledged of one; in MAYBE, by field, what it may be instead."""

    def __init__(self, listed, user, holder, initialiser=None):
        self.serial = listed["serial"]
        self.user = user
        self.shmid = listed["shmid"]
        self.lifetime = listed["lifetime"]
        self.holders = {holder} if self.lifetime in ("process", "connection") else set()
        self.creator = holder  # an `attached` one that nobody has attached goes with it
        self.initialiser = initialiser
        self.attachers = set()
        self.was_attached = False
        self.is_fading = "expires_at_ms" in listed
        self.maybe = collections.defaultdict(set)
        self.may_be_gone = False
        self.known = {}
        self.learn(listed)

    def learn(self, listed):
        self.known = summary(listed)
        self.lifetime = listed["lifetime"]
        self.maybe.clear()
        self.may_be_gone = False

    def expected(self, field):
        if field == "holders":
            return len(self.holders)
        return self.known[field]

    def differences(self, listed):
        found = summary(listed)
        return [f"{field} is {found[field]!r}, not {self.expected(field)!r}" for field in FIELDS
                if found[field] != self.expected(field) and found[field] not in self.maybe[field]]


def summary(listed):
    """FIELDS of a segment as hashable values."""
    found = {field: listed.get(field) for field in FIELDS}
    found["labels"] = tuple(sorted(listed["labels"].items()))
    found["creator_uid"] = listed["creator"]["uid"]
    return found


class Problem(AssertionError):
    """What is not as it should be; the counts say of which kind."""


class Chaos:
    """One run, of so many seconds and at least so many kills of the daemon. CASE starts daemons."""

    def __init__(self, case, seconds, seed, disk, fewest_kills):
        self.case = case
        self.random = random.Random(seed)
        self.seconds, self.seed, self.fewest_kills = seconds, seed, fewest_kills
        self.disk, self.is_full = disk, False
        self.counts = collections.Counter()
        self.live = {}  # serial -> Segment
        self.removing = set()  # serials of those that are marked, as long as they are attached
        self.ended = set()  # serials of those that must be gone, or go at once
        self.unknown = {}  # label -> (parameters, user): creations nobody answered
        self.strangers = {}  # shmid -> how it was
        self.peers = []
        self.connections = {}
        self.number = 0

    # --- what there is

    def connect(self):
        self.connections = {user: self.case.daemon.connect(user) for user in USERS}
        for peer in self.peers:
            peer.through += 1
            peer.connect(self.case.daemon.socket_path)

    def disconnect(self):
        for connection in self.connections.values():
            connection.close()

    def one_of(self, candidates):
        candidates = list(candidates)
        return self.random.choice(candidates) if candidates else None

    def segment(self, condition=lambda segment: True):
        return self.one_of(s for s in self.live.values() if not s.is_fading and condition(s))

    def end(self, segment):
        """It goes: at once, or with its last attachment."""
        del self.live[segment.serial]
        if segment.attachers:
            self.removing.add(segment.serial)
        else:
            self.ended.add(segment.serial)

    # --- requests, and what follows from their answers

    def new_parameters(self):
        self.number += 1
        lifetime = self.random.choice(LIFETIMES)
        params = {"size": self.random.randrange(1, 20000), "lifetime": lifetime,
                  "mode": self.random.choice(MODES), "labels": {"n": str(self.number)}}
        if self.random.random() < 0.7:
            params["name"] = f"s{self.number}"
        if self.random.random() < 0.2 and lifetime != "attached":
            params["key"] = 0x10000 + self.number
        if self.random.random() < 0.1:
            params["ready"] = False
        if self.random.random() < 0.05:
            params["ttl_ms"] = self.random.randrange(1, 300)
        return params

    def created(self, params, user, holder, listed):
        segment = Segment(listed, user, holder, None if params.get("ready", True) else holder)
        self.live[segment.serial] = segment
        self.counts["created"] += 1

    def new_settings(self, segment):
        """Parameters of a `set` and what it changes."""
        params, changes = {"serial": segment.serial}, {}
        if self.random.random() < 0.6:
            params["mode"] = changes["mode"] = self.random.choice(MODES)
        if self.random.random() < 0.6 or len(params) == 1:
            labels = {**dict(segment.known["labels"]), "v": str(self.random.randrange(10**6))}
            params["labels"], changes["labels"] = labels, tuple(sorted(labels.items()))
        if self.random.random() < 0.3:
            self.number += 1
            params["new_name"] = changes["name"] = f"t{self.number}"
        return params, changes

    def ask(self, method, params, connection):
        """The result, or None when a full disk refuses it."""
        try:
            return connection(method, **params)
        except RpcError as error:
            if error.data.get("error") == "io.shmd.StoreFailure" and self.is_full:
                self.counts["refused by the full store"] += 1
                return None
            raise Problem(f"{method} {params}: {error}") from error

    def do_create(self):
        if len(self.live) >= MOST_SEGMENTS:
            return
        params = self.new_parameters()
        peer = self.one_of(self.peers) if self.random.random() < 0.6 else None
        if peer:
            user, holder = peer.user, peer
            result = self.ask("create", params, peer.ask)
        else:
            user = self.random.choice(USERS)
            holder = self.connections[user]
            result = self.ask("create", params, holder.call)
        if result:
            self.created(params, user, holder, result["segment"])

    def do_set(self):
        segment = self.segment()
        if not segment:
            return
        params, changes = self.new_settings(segment)
        if self.ask("set", params, self.connections[segment.user].call):
            segment.known.update(changes)
            self.counts["changed"] += 1

    def do_remove(self):
        segment = self.segment()
        if not segment or (len(self.live) < 20 and self.random.random() < 0.8):
            return
        if self.ask("remove", {"serial": segment.serial}, self.connections[segment.user].call):
            self.end(segment)
            self.counts["removed"] += 1

    def do_ready(self):
        segment = self.segment(lambda s: s.initialiser)
        if segment and self.ask("ready", {"serial": segment.serial},
                                self.connections[segment.user].call):
            segment.initialiser = None
            segment.known["state"] = "ready"
            self.counts["changed"] += 1

    def do_hold(self):
        peer = self.one_of(self.peers)
        segment = self.segment(lambda s: s.lifetime == "process" and s.user == peer.user)
        if segment and self.ask("hold", {"serial": segment.serial}, peer.ask):
            segment.holders.add(peer)
            self.counts["held"] += 1

    def do_release(self):
        segment = self.segment(lambda s: s.lifetime == "process"
                               and any(h in self.peers for h in s.holders))
        if not segment:
            return
        peer = self.one_of(h for h in segment.holders if h in self.peers)
        if self.ask("release", {"serial": segment.serial}, peer.ask):
            segment.holders.discard(peer)
            self.counts["released"] += 1
            if not segment.holders:
                self.end(segment)

    def do_set_lifetime(self):
        peer = self.one_of(self.peers)
        segment = self.segment(lambda s: s.user == peer.user and s.lifetime != "attached")
        lifetime = self.random.choice(("persistent", "process"))
        if not segment or segment.lifetime == lifetime:
            return
        if self.ask("set", {"serial": segment.serial, "lifetime": lifetime}, peer.ask):
            segment.lifetime = segment.known["lifetime"] = lifetime
            segment.holders = {peer} if lifetime == "process" else set()
            self.counts["changed"] += 1

    def do_adopt(self):
        shmid = self.one_of(s for s, was in self.strangers.items() if was.uid == ALICE.uid)
        if shmid is None or self.random.random() < 0.7:
            return
        daemon = self.connections[ROOT].call("info")["uid"]
        as_user(ALICE, lambda: sysv.set_owner(shmid, daemon, ALICE.gid, 0o600))
        self.number += 1
        result = self.ask("adopt", {"shmid": shmid, "labels": {"n": str(self.number)}},
                          self.connections[ALICE].call)
        if result:
            del self.strangers[shmid]
            self.created({}, ALICE, self.connections[ALICE], result["segment"])
            self.counts["adopted"] += 1
        else:
            self.strangers[shmid] = sysv.stat_any(shmid & 0x7FFF)

    # --- what happens without the daemon

    def do_attach(self):
        peer = self.one_of(self.peers)
        segment = self.segment(lambda s: s.user == peer.user and peer not in s.attachers
                               and not s.may_be_gone)
        if not segment:
            return
        peer.attach(segment.shmid)
        segment.attachers.add(peer)
        segment.was_attached = True
        self.counts["attached"] += 1

    def do_detach(self):
        segment = self.segment(lambda s: s.attachers)
        if segment:
            peer = self.one_of(segment.attachers)
            peer.detach(segment.shmid)
            self.left(segment, peer)

    def left(self, segment, peer):
        """PEER has detached: what this means for an `attached` one."""
        segment.attachers.discard(peer)
        if segment.lifetime == "attached" and segment.was_attached and not segment.attachers:
            self.end(segment)

    def do_start_peer(self):
        if len(self.peers) < 5:
            user = self.random.choice(USERS)
            peer = Peer(self.case.daemon.socket_path, user)
            peer.user, peer.through = user, 0
            peer.ask = lambda method, **params: peer.call(method, through=peer.through, **params)
            self.peers.append(peer)
            self.case.addCleanup(peer.end)

    def do_kill_peer(self):
        if len(self.peers) > 2:
            self.kill_peer(self.one_of(self.peers))

    def kill_peer(self, peer):
        peer.end()
        self.peers.remove(peer)
        self.counts["clients killed"] += 1
        for segment in list(self.live.values()):
            was_holder = peer in segment.holders
            segment.holders.discard(peer)
            if peer in segment.attachers:
                self.left(segment, peer)
            if segment.serial not in self.live:
                continue
            unattached = (segment.lifetime == "attached" and not segment.was_attached
                          and segment.creator is peer)
            if (segment.initialiser is peer or unattached
                    or (was_holder and not segment.holders
                        and segment.lifetime in ("process", "connection"))):
                self.end(segment)

    def do_ipcrm(self):
        segment = self.segment()
        if segment and self.random.random() < 0.5:
            sysv.remove(segment.shmid)
            # An `attached` one is marked anyway: nothing changes for it.
            if segment.lifetime != "attached":
                self.end(segment)
            self.counts["ipcrm"] += 1

    def do_stranger(self):
        if len(self.strangers) > 20:
            shmid = self.one_of(self.strangers)
            sysv.remove(shmid)
            del self.strangers[shmid]
        else:
            user = self.random.choice((DAEMON, ALICE, ROOT))
            shmid = as_user(user, lambda: sysv.create(self.random.randrange(1, 20000)))
            self.strangers[shmid] = sysv.stat_any(shmid & 0x7FFF)
            self.counts["strangers"] += 1

    def recycle(self):
        """While no daemon is there: a segment's id becomes a stranger's of the same size."""
        segment = self.segment(lambda s: not s.attachers and s.lifetime != "attached")
        if segment and sysv.exists(segment.shmid):
            sysv.remove(segment.shmid)
            shmid = sysv.create_with_shmid(segment.shmid, segment.known["size"])
            self.strangers[shmid] = sysv.stat_any(shmid & 0x7FFF)
            self.end(segment)
            self.counts["recycled" if shmid == segment.shmid else "ipcrm"] += 1

    def do_disk(self):
        if not self.disk or self.random.random() < 0.6:
            return
        if self.is_full:
            self.disk.empty()
        else:
            self.disk.fill()
            self.counts["times full"] += 1
        self.is_full = not self.is_full

    # --- the daemon's end, in the midst of requests

    def send_burst(self):
        """Requests whose answers are not waited for; what to do about each, by connection."""
        sent = {}
        for user in self.random.sample(USERS, self.random.randrange(len(USERS) + 1)):
            data, pending = [], []
            for _ in range(self.random.choice((1, 3, 10, 40))):
                request = self.burst_request(user)
                if request:
                    method, params, unknown, done = request
                    data.append(encode(method, params, id=len(pending)))
                    pending.append((unknown, done))
            self.connections[user].send(b"".join(data))
            sent[user] = pending
        return sent

    def burst_request(self, user):
        kind = self.random.random()
        segment = self.segment(lambda s: s.user == user and not s.may_be_gone)
        if kind < 0.5 or not segment:
            if len(self.live) >= MOST_SEGMENTS:
                return None
            params = self.new_parameters()
            label, holder = params["labels"]["n"], self.connections[user]

            def unknown_create():
                self.unknown[label] = (params, user)

            return ("create", params, unknown_create,
                    lambda result: self.created(params, user, holder, result["segment"]))
        if kind < 0.85:
            params, changes = self.new_settings(segment)

            def unknown_set():
                for field, value in changes.items():
                    segment.maybe[field].add(value)

            return ("set", params, unknown_set, lambda result: self.was_set(segment, changes))
        segment.may_be_gone = True  # at least until its answer is there

        def unknown_remove():
            segment.may_be_gone = True

        return ("remove", {"serial": segment.serial}, unknown_remove,
                lambda result: self.was_removed(segment))

    def was_set(self, segment, changes):
        segment.known.update(changes)
        self.counts["changed"] += 1

    def was_removed(self, segment):
        if segment.serial in self.live:
            self.end(segment)
        self.counts["removed"] += 1

    def take_answers(self, sent):
        """All that had been sent when the daemon ended; what has no answer is unknown."""
        for user, pending in sent.items():
            answers = {answer["id"]: answer for answer in self.drain(self.connections[user])}
            # In the order of the requests, for a `set` may follow its `create`.
            for i, (unknown, done) in enumerate(pending):
                answer = answers.get(i)
                if answer is None:
                    self.counts["in flight"] += 1
                    unknown()
                elif "result" in answer:
                    done(answer["result"])
                else:
                    self.refused_in_burst(answer["error"])

    def refused_in_burst(self, error):
        name = error.get("data", {}).get("error")
        if name == "io.shmd.StoreFailure" and self.is_full:
            self.counts["refused by the full store"] += 1
        else:
            raise Problem(f"refused: {error}")

    @staticmethod
    def drain(connection):
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while received := connection.socket.recv(1 << 16):
                data += received
        # A line without its end was cut off: that is no answer.
        return [json.loads(line) for line in data.split(b"\n")[:-1]]

    def end_daemon(self):
        sent = self.send_burst()
        if self.random.random() < 0.7:
            time.sleep(self.random.random() * 0.004)
        if self.random.random() < 0.85:
            kill(self.case.daemon)
            self.counts["daemon kills"] += 1
        else:
            self.case.daemon.signal(signal.SIGTERM)
            if self.case.daemon.wait() != 0:
                raise Problem(f"SIGTERM: {self.case.daemon.log()}")
            self.counts["daemon stops"] += 1
        self.take_answers(sent)
        self.disconnect()
        for segment in list(self.live.values()):
            if segment.lifetime == "connection" or (segment.lifetime == "attached"
                                                    and not segment.attachers):
                self.end(segment)

    def while_it_is_away(self):
        for _ in range(self.random.randrange(4)):
            self.random.choice((self.do_ipcrm_safely, self.recycle, self.do_stranger,
                                self.do_kill_peer, self.do_detach, self.do_disk))()

    def do_ipcrm_safely(self):
        segment = self.segment(lambda s: not s.may_be_gone)
        if segment and segment.lifetime != "attached":
            sysv.remove(segment.shmid)
            self.end(segment)
            self.counts["ipcrm"] += 1

    # --- looking

    def listed(self):
        found, cursor = {}, None
        while True:
            page = self.connections[ROOT].call("list", **({"cursor": cursor} if cursor else {}))
            found.update((segment["serial"], segment) for segment in page["segments"])
            cursor = page.get("cursor")
            if cursor is None:
                return found

    def lost(self, listed):
        """What is listed and should not be, or the other way round."""
        problems = []
        for serial, segment in list(self.live.items()):
            found = listed.get(serial)
            if found is None:
                if not segment.may_be_gone and not segment.is_fading:
                    problems.append(f"{segment.known} is not there")
            elif found["state"] == "removing" and segment.may_be_gone:
                pass
            elif not segment.is_fading:
                problems += [f"serial {serial}: {what}" for what in segment.differences(found)]
        for serial, found in listed.items():
            if serial in self.live or (serial in self.removing and found["state"] == "removing"):
                continue
            if found["labels"].get("n") in self.unknown:
                continue
            problems.append(f"{found} is there")
        return problems

    def leaked(self, listed):
        known = {segment["shmid"] for segment in listed.values()}
        return [str(row) for shmid, row in sysv.proc_table().items()
                if shmid not in known and shmid not in self.strangers]

    def touched(self):
        return [str(was) for shmid, was in self.strangers.items() if not self.is_as(shmid, was)]

    @staticmethod
    def is_as(shmid, was):
        try:
            return sysv.stat_any(shmid & 0x7FFF) == was
        except OSError:
            return False

    def check(self):
        """What ends of itself may take a moment to; then all must be as it should be."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            listed = self.listed()
            lost, leaked = self.lost(listed), self.leaked(listed)
            if not lost and not leaked or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        touched = self.touched()
        self.counts["checks"] += 1
        self.counts["lost"] += len(lost)
        self.counts["leaked"] += len(leaked)
        self.counts["touched"] += len(touched)
        if lost or leaked or touched:
            raise Problem("\n".join(["lost:", *lost, "leaked:", *leaked, "touched:", *touched]))
        self.learn(listed)

    def learn(self, listed):
        """What had been uncertain is known now."""
        for serial, segment in list(self.live.items()):
            found = listed.get(serial)
            if found is None:
                del self.live[serial]
            elif found["state"] == "removing":
                self.end(segment)
            else:
                segment.learn(found)
        for serial, found in listed.items():
            label = found["labels"].get("n")
            if label in self.unknown and serial not in self.live and serial not in self.removing:
                params, user = self.unknown[label]
                if found["state"] == "removing":
                    self.removing.add(serial)
                    continue
                self.created(params, user, self, found)
                self.counts["in flight and done"] += 1
        self.unknown.clear()
        self.removing &= set(listed)
        self.ended.clear()

    # --- the run

    def work(self):
        """A while of this and that."""
        deeds = ((self.do_create, 10), (self.do_set, 8), (self.do_remove, 6), (self.do_ready, 2),
                 (self.do_hold, 4), (self.do_release, 3), (self.do_set_lifetime, 2),
                 (self.do_adopt, 1), (self.do_attach, 4), (self.do_detach, 3),
                 (self.do_start_peer, 3), (self.do_kill_peer, 1), (self.do_ipcrm, 1),
                 (self.do_stranger, 1), (self.do_disk, 1))
        deeds, weights = zip(*deeds)
        for deed in self.random.choices(deeds, weights, k=self.random.randrange(5, 60)):
            deed()

    def run(self):
        deadline = time.monotonic() + self.seconds
        self.connect()
        for _ in range(3):
            self.do_start_peer()
        # A busy machine may take long for a kill.
        while time.monotonic() < deadline or self.counts["daemon kills"] < self.fewest_kills:
            self.work()
            self.end_daemon()
            self.while_it_is_away()
            self.case.restart()
            self.case.client.close()
            self.count_unacknowledged()
            self.connect()
            self.check()
        self.finish()

    def count_unacknowledged(self):
        """Killed between shmget() and the commit: that it happens at all is worth to know."""
        for count in re.findall(r"(\d+) that were never acknowledged", self.case.daemon.log()):
            self.counts["killed within a commit"] += int(count) > 0

    def finish(self):
        """Everything goes; then nothing is left but the strangers'."""
        if self.is_full:
            self.do_disk_empty()
        for peer in list(self.peers):
            self.kill_peer(peer)
        self.check()
        for serial in list(self.live):
            segment = self.live[serial]
            if not segment.is_fading:
                self.connections[ROOT].call("remove", serial=serial)
                self.end(segment)
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.listed() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.live.clear()
        self.check()
        usage = self.connections[ROOT].call("info")["usage"]
        if usage["segments"]:
            raise Problem(f"charges are left: {usage}")
        self.disconnect()

    def do_disk_empty(self):
        self.disk.empty()
        self.is_full = False

    def line(self):
        counts = {"seed": self.seed, "lost": 0, "leaked": 0, "touched": 0, **self.counts}
        return "chaos: " + ", ".join(f"{what} {count}" for what, count in counts.items())


class ChaosCase(LifeCase):
    CONFIG = "reconcile_ms = 200\nattach_timeout_ms = 3600000\nmax_segments_per_uid = 0\n"

    def disk(self):
        """For the state, if this process may have mounts of its own."""
        try:
            enter_private_mounts()
        except OSError:
            return None
        kill(self.daemon)
        directory = self.daemon_directory("state")
        uid = DAEMON.uid if SEVERAL_UIDS else 0
        disk = SmallFilesystem(directory, 8 << 20, uid, uid)
        self.addCleanup(disk.unmount)
        self.options = ("--state-dir", directory)
        self.restart()
        return disk

    def chaos(self, seconds, seed, say, fewest_kills=0):
        """Returns the counts. SAY gets a line with them, whatever comes."""
        say(f"chaos: seed {seed}, {seconds} s")
        run = Chaos(self, seconds, seed, self.disk(), fewest_kills)
        try:
            run.run()
        finally:
            say(run.line())
        return run.counts


class _Alone(ChaosCase):
    arguments = None

    def runTest(self):
        self.chaos(self.arguments.seconds, self.arguments.seed,
                   lambda line: print(line, flush=True))


def _main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    _Alone.arguments = parser.parse_args()
    result = unittest.TestResult()
    case = _Alone()
    case.run(result)
    for _, text in result.errors + result.failures:
        print(text, file=sys.stderr)
    for log in case.logs[:1] if not result.wasSuccessful() else ():
        print("\n".join(log.splitlines()[-40:]), file=sys.stderr)
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    _main()
