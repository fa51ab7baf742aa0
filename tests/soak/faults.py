# SPDX-License-Identifier: MIT
"""Random methods of four users, whose processes are killed all the time, against a daemon whose
allocations fail at random and whose address space is nearly used up.

    faults.py [--seconds N] [--seed N]     (abs_top_builddir names the build)

In a build with --enable-sanitizers it ends with 1 on any report of theirs, too. The daemon may not
end on its own, each answer is one that the protocol knows, and when there is memory again and all
have gone, nothing is left of anybody. The daemon itself is killed, or ended, and started again.
"""

import argparse
import collections
import contextlib
import json
import mmap
import os
import random
import re
import signal
import struct
import sys
import time
import traceback
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import harness  # noqa: E402
import sysv  # noqa: E402
from harness import ALICE, BOB, ERRORS, ROOT, Child, TestCase, User, encode, wait_until  # noqa: E402

TEAM = 3100
# What is locked in memory counts by uid, for all of the machine: the daemon has one of its own.
_uid = random.randrange(1 << 20, 1 << 30)
DAEMON = User(_uid, _uid, ())
USERS = (ALICE, BOB, User(3003, 3003, (TEAM,)), User(3004, 3004, (TEAM,)))
WORKERS = 6
OPTIONS = argparse.Namespace(seconds=30, seed=0)
# One in so many allocations of the daemon, by turns.
FAULTS = (0, 500, 100, 30, 10)
# Bytes that the daemon may take beyond what it has.
ROOM = 16 << 20
CODES = {code for code, _ in ERRORS.values()} | {-32700, -32600, -32603}
REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error|Assertion|WARNING: \w+Sanitizer")

NAMES = [f"n{i}" for i in range(12)] + ["team/a", "team/b", "n0/x"]
WORDS = {
    "lifetime": ("persistent", "process", "connection", "attached"),
    "scope": ("managed", "foreign", "all"),
    "mode": ("0600", "0640", "0666", "0000", "0200", "0444"),
    "kinds": ("created", "ready", "changed", "removed", "attached", "detached", "adopted"),
}
METHODS = {
    "info": (), "metrics": (), "reload": (),
    "create": ("name", "key", "size", "mode", "uid", "gid", "lifetime", "ttl_ms", "idle_ttl_ms",
               "labels", "exclusive", "replace", "ready", "hold", "locked", "noreserve", "any_owner",
               "huge_page_size"),
    "stat": ("target", "owner"), "hold": ("target", "owner"), "release": ("target",),
    "ready": ("target",), "disown": ("target",), "remove": ("target", "only_if_unattached"),
    "set": ("target", "mode", "uid", "gid", "new_name", "labels", "lifetime", "ttl_ms",
            "idle_ttl_ms", "locked"),
    "list": ("scope", "limit", "uid", "prefix", "labels", "state", "lifetime", "cursor"),
    "wait": ("name", "timeout_ms", "hold", "owner"),
    "adopt": ("shmid", "key", "name", "lifetime", "ttl_ms", "labels"),
    "subscribe": ("kinds", "prefix", "after"),
}
# Most requests are of these.
OFTEN = ("create", "create", "stat", "set", "remove", "hold", "release", "wait", "list", "ready")


class Worker:
    """One process of a user: connections that come and go, requests of all kinds, and attachments."""

    def __init__(self, daemon, user, seed, methods):
        self.random = random.Random(seed)
        self.methods = methods
        self.daemon, self.user = daemon, user
        self.known = collections.deque([], 30)  # shmids and serials
        self.attached = []

    def value(self, name):
        r = self.random
        if r.random() < 0.02:
            return r.choice((None, -1, 1 << 63, "", "x" * 300, [], {}, True, 1.5, "\u0085\ud7ff"))
        if name in WORDS:
            return r.choice(WORDS[name]) if name != "kinds" else r.sample(WORDS[name], r.randrange(1, 5))
        if name in ("name", "new_name", "prefix"):
            return r.choice(NAMES)
        if name in ("uid", "gid", "owner"):
            return r.choice((0, DAEMON.uid, *(user.uid for user in USERS), TEAM))
        if name == "size":
            return r.choice((1, 4096, 1 << 20, 1 << 28, 1 << 40, 1 << 47))
        if name in ("ttl_ms", "idle_ttl_ms", "timeout_ms"):
            return r.choice((0, 1, 20, 500, 5000))
        if name == "labels":
            return {f"k{i}": "v" * r.randrange(200) for i in range(r.randrange(17))}
        if name == "cursor":
            return r.choice("mf") + str(r.randrange(300))
        if name == "state":
            return r.choice(("ready", "initialising", "removing"))
        if name in ("limit", "after", "key"):
            return r.randrange(1, 40)
        if name == "huge_page_size":
            return 2 << 20
        return r.random() < 0.5

    def target(self):
        r = self.random
        if not self.known or r.random() < 0.3:
            return {"name": self.value("name")}
        shmid, serial = r.choice(self.known)
        return r.choice(({"serial": serial}, {"shmid": shmid}, {"shmid": shmid, "serial": serial}))

    def params(self, method):
        params = {}
        for name in METHODS[method]:
            if name == "target":
                params.update(self.target())
            elif self.random.random() < 0.3 or name in ("size", "timeout_ms"):
                params[name] = self.value(name)
        if method == "adopt" and self.known and self.random.random() < 0.7:
            params["shmid"] = self.random.choice(self.known)[0]
        return params

    def one(self, number):
        r = self.random
        method = r.choice(OFTEN) if r.random() < 0.8 else r.choice(self.methods)
        return json.loads(encode(method, self.params(method), **({} if r.random() < 0.03 else {"id": number})))

    def bytes(self):
        """What is sent at a time: requests, a batch, or something broken; and how many answers it has,
        if that is known."""
        r = self.random
        what = r.random()
        if what < 0.75:
            return json.dumps(self.one(1)).encode() + b"\n"
        if what < 0.9:
            return b"".join(json.dumps(self.one(i)).encode() + b"\n" for i in range(r.randrange(2, 30)))
        if what < 0.97:
            return json.dumps([self.one(i) for i in range(r.randrange(1, 20))]).encode() + b"\n"
        broken = bytearray(json.dumps(self.one(1)).encode())
        broken[r.randrange(len(broken))] = r.randrange(256)
        return bytes(broken) + b"\n"

    def hear(self, line):
        for reply in (line if isinstance(line, list) else [line]):
            assert reply["jsonrpc"] == "2.0", reply
            if "error" in reply:
                assert reply["error"]["code"] in CODES, reply
                assert len(reply["error"]["message"]) > 5, reply
            segment = reply.get("result", {}).get("segment") if "result" in reply else None
            if segment and "serial" in segment:
                self.known.append((segment["shmid"], segment["serial"]))

    def read(self, client):
        """What has come, and perhaps waits for some."""
        client.socket.settimeout(self.random.choice((0.002, 0.002, 0.02)))
        with contextlib.suppress(TimeoutError):
            while True:
                line = client.read_line(may_be_cut_off=True)
                if line is None:
                    return False
                self.hear(json.loads(line))
        return True

    def touch(self):
        """Uses segments behind the daemon's back."""
        r = self.random
        with contextlib.suppress(OSError):
            if self.attached and r.random() < 0.5:
                sysv.detach(self.attached.pop())
            elif self.known:
                shmid = r.choice(self.known)[0]
                what = r.random()
                if what < 0.8:
                    self.attached.append(sysv.attach(shmid))
                elif what < 0.9:
                    sysv.set_owner(shmid, self.user.uid, self.user.gid, r.choice((0o600, 0o666, 0)))
                else:
                    sysv.remove(shmid)

    def talk(self):
        r = self.random
        with self.daemon.connect(self.user) as client:
            for _ in range(r.randrange(1, 120)):
                data = self.bytes()
                if r.random() < 0.05:
                    data = data[: r.randrange(len(data))]
                client.send(data)
                if r.random() < 0.1:
                    self.touch()
                if r.random() < 0.9 and not self.read(client):
                    return
            if r.random() < 0.3:
                client.finish()
                self.read(client)

    def live(self, _report):
        try:
            while True:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError, ConnectionRefusedError,
                                         FileNotFoundError, TimeoutError):
                    self.talk()
        except BaseException:
            traceback.print_exc()  # where, which its report does not say
            raise


class Faults(TestCase):
    def setUp(self):
        super().setUp()
        build = os.environ["abs_top_builddir"]
        harness._program = os.path.join(build, "tests", "soak", "shmd_faults")
        path = os.path.join(self.directory, "faults")
        with open(path, "wb") as file:
            file.write(bytes(12))
        os.chmod(path, 0o666)
        self.file = open(path, "r+b")
        self.addCleanup(self.file.close)
        self.control = mmap.mmap(self.file.fileno(), 12)
        self.path = path
        self.random = random.Random(OPTIONS.seed)
        self.counts = collections.Counter()

    def set_faults(self, one_in):
        self.control[0:4] = struct.pack("=I", one_in)

    def set_room(self, room):
        """So many bytes more than the daemon has now; 0: as many as it likes."""
        self.control[8:12] = struct.pack("=I", room)

    def give_memory(self):
        self.set_faults(0)
        self.set_room(0)

    def failed(self):
        return struct.unpack("=I", self.control[4:8])[0]

    def start(self):
        """Without faults: what a start makes of them is another test's. The address space is bounded
        when the daemon has what it needs."""
        self.give_memory()
        self.daemon = self.start_daemon(
            "--log-level", "error", user=DAEMON, config="reconcile_ms = 500\nattach_timeout_ms = 2000\n",
            environment={"SHMD_FAULTS": self.path,
                         "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=1:abort_on_error=0",
                         "UBSAN_OPTIONS": "print_stacktrace=1"})
        self.set_room(ROOM)

    def check_log(self):
        report = REPORT.search(self.daemon.log())
        self.assertIsNone(report, f"{report and report[0]}\n{self.daemon.log()[-20000:]}")

    def check_alive(self):
        self.assertIsNone(self.daemon.process.poll(), f"it ended by itself:\n{self.daemon.log()[-20000:]}")
        self.check_log()

    def begin_anew(self):
        """Another daemon on the same state: after an order, or after a kill."""
        self.give_memory()
        self.check_alive()
        self.count_requests()
        if self.random.random() < 0.5:
            self.daemon.stop()
            self.counts["stops"] += 1
        else:
            self.daemon.signal(signal.SIGKILL)
            self.daemon.process.wait()
            self.counts["kills of the daemon"] += 1
        self.check_log()
        self.start()

    def metrics(self):
        with self.daemon.connect(ROOT) as root:
            return root.call("metrics")["text"]

    def count_requests(self):
        """By the daemon's own counters."""
        for line in self.metrics().splitlines():
            if found := re.match(r"shmd_requests_total.* (\d+)$", line):
                self.counts["requests"] += int(found[1])
            elif found := re.match(r"shmd_errors_total.* (\d+)$", line):
                self.counts["errors"] += int(found[1])

    def spawn(self, methods):
        user = self.random.choice(USERS)
        return Child(user, Worker(self.daemon, user, self.random.random(), methods).live)

    def end_worker(self, worker):
        """It runs until it is killed: what it reports is what it found wrong."""
        worker.check()
        worker.end(signal.SIGKILL)
        self.counts["kills of clients"] += 1

    def quiet(self):
        """With memory again: nothing is left of anybody."""
        self.give_memory()
        with self.daemon.connect(ROOT) as root:
            for segment in root.list():
                root.request("remove", serial=segment["serial"])
            wait_until(lambda: not root.list(), "no record is left")
            wait_until(
                lambda: "shmd_connections 1\n" in (text := root.call("metrics")["text"])
                and "shmd_watched_processes 0\n" in text and "shmd_waiters 0\n" in text,
                "only this connection is left")

    def load(self, seconds, methods):
        end = time.monotonic() + seconds
        next_line = next_daemon = time.monotonic() + 20
        workers = [self.spawn(methods) for _ in range(WORKERS)]
        while time.monotonic() < end:
            self.set_faults(self.random.choice(FAULTS))
            time.sleep(self.random.random())
            self.check_alive()
            i = self.random.randrange(WORKERS)
            self.end_worker(workers[i])
            workers[i] = self.spawn(methods)
            if time.monotonic() > next_daemon:
                self.begin_anew()
                next_daemon = time.monotonic() + self.random.uniform(5, 60)
            if time.monotonic() > next_line:
                self.tell(f"{end - time.monotonic():6.0f} s left")
                next_line = time.monotonic() + OPTIONS.seconds / 30
        for worker in workers:
            self.end_worker(worker)
        self.quiet()
        self.count_requests()

    def test_random_methods(self):
        print(f"seed {OPTIONS.seed}", flush=True)
        self.start()
        methods = list(METHODS)
        self.load(OPTIONS.seconds / 2, methods)
        # What was disowned stays, and hides what is lost. In the second half nobody disowns.
        self._remove_all_segments()
        methods.remove("disown")
        self.load(OPTIONS.seconds / 2, methods)
        self.assertEqual(sysv.proc_table(), {})
        self.tell("in the end")
        self.daemon.stop()
        self.check_log()

    def tell(self, when):
        counts = ", ".join(f"{name} {n}" for name, n in sorted(self.counts.items()))
        print(f"{when}: allocations that failed {self.failed()}, {counts}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=OPTIONS.seconds)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    OPTIONS = parser.parse_args()
    if not harness.SEVERAL_UIDS:
        harness.tap.bail_out("this needs root, to act as several users")
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Faults)
    sys.exit(not unittest.TextTestRunner(stream=sys.stdout).run(suite).wasSuccessful())
