# SPDX-License-Identifier: MIT
"""A soak: clients of several users do everything at once, are killed and come back, for as long as
is asked for; the daemon's memory and descriptors are told as they were along the way.

    soak.py [--seconds N] [--seed N]     (abs_top_builddir names the build)

It ends with 1 when what is left when all have gone is not what was there before they came: a
segment, a descriptor, or memory that grew with the time and not with the load.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import sysv  # noqa: E402
from harness import ALICE, BOB, ROOT, SEVERAL_UIDS, Child, TestCase, wait_until  # noqa: E402

USERS = (ALICE, BOB, ROOT) if SEVERAL_UIDS else (ROOT,)
WORKERS = 6
OPTIONS = argparse.Namespace(seconds=30, seed=0)


class Worker:
    """One client's life: a few thousand requests on connections that come and go."""

    def __init__(self, daemon, user, seed):
        self.random = random.Random(seed)
        self.daemon = daemon
        self.user = user
        self.mine = []

    def request(self, client, method, **params):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, AssertionError):
            reply = client.request(method, **params)
            return reply.get("result")
        return None

    def step(self, client):
        r = self.random
        verb = r.choice(("create", "create", "stat", "stat", "set", "remove", "hold", "wait", "list"))
        if verb == "create" and len(self.mine) < 20:
            lifetime = r.choice(("persistent", "process", "connection", "attached"))
            result = self.request(
                client,
                "create",
                size=r.choice((1, 4096, 1 << 20)),
                mode=r.choice(("0600", "0640", "0666")),
                lifetime=lifetime,
                labels={"n": "x" * r.randrange(200)},
                **({"name": f"soak/{r.randrange(200)}"} if r.random() < 0.5 else {}),
                **({"ttl_ms": r.randrange(1, 5000)} if r.random() < 0.3 else {}),
            )
            if result:
                self.mine.append(result["segment"]["serial"])
        elif verb == "wait":
            self.request(client, "wait", name=f"soak/{r.randrange(200)}", timeout_ms=r.randrange(3))
        elif verb == "list":
            self.request(client, "list", limit=r.randrange(1, 100), scope=r.choice(("managed", "all")))
        elif self.mine:
            serial = r.choice(self.mine)
            if verb == "set":
                self.request(client, "set", serial=serial, mode=r.choice(("0600", "0644")), ttl_ms=9000)
            elif verb == "remove":
                self.mine.remove(serial)
                self.request(client, "remove", serial=serial)
            else:
                self.request(client, verb, serial=serial)

    def live(self, _report):
        while True:
            with self.daemon.connect(self.user) as client:
                if self.random.random() < 0.2:
                    self.request(client, "subscribe")
                    continue
                for _ in range(self.random.randrange(1, 400)):
                    self.step(client)


class Soak(TestCase):
    def sample(self, label):
        rss = self.daemon.proc_status("VmRSS")
        fds = len(os.listdir(f"/proc/{self.daemon.pid}/fd"))
        print(f"{label:>8}  VmRSS {rss:6} KiB  descriptors {fds:4}  "
              f"segments {len(sysv.proc_table()):4}  killed {self.killed:5}", flush=True)
        return rss, fds

    def spawn(self):
        user = self.random.choice(USERS)
        worker = Worker(self.daemon, user, self.random.random())
        return Child(user, worker.live)

    def clear(self):
        with self.daemon.connect(ROOT) as root:
            while segments := root.list(limit=1000):
                for segment in segments:
                    root.request("remove", serial=segment["serial"])

    def fill(self):
        """As many segments as the users may have: a long load leaves so many in the end."""
        for user in USERS:
            with self.daemon.connect(user) as client:
                while "result" in client.request("create", size=1, labels={"n": "x" * 199}):
                    pass
        self.clear()

    def quiet(self, label):
        """A sample once nobody is there and nothing is left of anybody."""
        self.clear()
        wait_until(lambda: not sysv.proc_table(), "the kernel holds nothing")
        with self.daemon.connect(ROOT) as root:
            wait_until(
                lambda: "shmd_connections 1\n" in root.call("metrics")["text"]
                and "shmd_watched_processes 0\n" in root.call("metrics")["text"],
                "only this connection is left",
            )
            # While it is: when the daemon notices its end is not known.
            return self.sample(label)

    def load(self, seconds, label):
        end = time.monotonic() + seconds
        workers = [self.spawn() for _ in range(WORKERS)]
        next_sample = time.monotonic()
        try:
            while time.monotonic() < end:
                if time.monotonic() >= next_sample:
                    self.sample(f"{label}{int(seconds - (end - time.monotonic())):5}")
                    next_sample += max(seconds / 15, 1)
                time.sleep(0.1)
                victim = self.random.randrange(WORKERS)
                workers[victim].check()
                if self.random.random() < 0.5:
                    workers[victim].end(signal.SIGKILL)
                    self.killed += 1
                    workers[victim] = self.spawn()
        finally:
            for worker in workers:
                worker.end()

    def test_soak(self):
        print(f"seed {OPTIONS.seed}", flush=True)
        self.random = random.Random(OPTIONS.seed)
        self.killed = 0
        self.daemon = self.start_daemon("--log-level", "error", config="reconcile_ms = 1000\n")
        # What a load makes the daemon grow to is learned once; more of it may not make it larger.
        self.fill()
        self.load(max(OPTIONS.seconds / 10, 5), "warm")
        before = self.quiet("before")
        self.load(OPTIONS.seconds, "t")
        after = self.quiet("after")
        with self.daemon.connect(ROOT) as root:
            text = root.call("metrics")["text"]
        requests = sum(
            int(line.split()[1]) for line in text.splitlines()
            if line.startswith("shmd_requests_total")
        )
        print(f"requests {requests}  killed {self.killed}", flush=True)
        self.assertEqual(after[1], before[1], "descriptors")
        self.assertLess(after[0], before[0] + 1024, "KiB of memory")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=OPTIONS.seconds)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    OPTIONS = parser.parse_args()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Soak)
    sys.exit(not unittest.TextTestRunner(stream=sys.stdout).run(suite).wasSuccessful())
