# SPDX-License-Identifier: MIT
"""Processes that come while the last holder goes: whoever makes or finds a segment has it, always.
And a `wait` beside them: it holds up nothing on its connection, and ends with it.

By hand, as long as one likes: SHMD_RACE_ROUNDS=1000 python3 test_holding_races.py
"""

import contextlib
import os
import subprocess

import sysv
from command import Shmdctl
from harness import (
    DEADLINE,
    SOMEBODY,
    Child,
    Client,
    RpcError,
    encode,
    main,
    wait_until,
)

ROUNDS = int(os.environ.get("SHMD_RACE_ROUNDS", "10"))
PROCESSES = 8
BATCH = 100  # rounds in one life of a process


class Races(Shmdctl):
    def together(self, act):
        """PROCESSES processes act ROUNDS times at the same time; none may fail."""
        failures = []
        for first in range(0, ROUNDS, BATCH):
            failures += self.batch(act, range(first, min(first + BATCH, ROUNDS)))
        self.assertEqual(failures[:10], [], f"{len(failures)} of {PROCESSES * ROUNDS} failed")

    def batch(self, act, rounds):
        def work(_report):
            failures = []
            for n in rounds:
                try:
                    act()
                except (RpcError, OSError) as error:
                    failures.append(f"round {n}: {error!r}")
            return True, failures

        children = [Child(SOMEBODY, work) for _ in range(PROCESSES)]
        failures = [failure for child in children for failure in child.outcome()]
        for child in children:
            child.reap()
        return failures

    def use(self, segment):
        """It is there, and stays while this process uses it."""
        address = sysv.attach(segment["shmid"])
        sysv.detach(address)

    def test_create_and_the_last_holders_exit(self):
        for lifetime in ("process", "connection"):
            with self.subTest(lifetime=lifetime):

                def act(lifetime=lifetime):
                    with Client(self.path) as client:
                        made = client.create(name="job", lifetime=lifetime)
                        self.use(made)
                        client.call("hold", serial=made["serial"])
                        self.use(client.stat(name="job"))
                        if lifetime == "process":
                            client.call("release", serial=made["serial"])

                self.together(act)

    @contextlib.contextmanager
    def makers(self, count):
        """Processes that make the segment and let go of it, again and again."""
        stop = os.path.join(self.directory, "stop")

        def work(_report):
            failures = []
            while not os.path.exists(stop):
                try:
                    with Client(self.path) as client:
                        segment = client.create(name="job", lifetime="process")
                        self.use(segment)
                        client.call("release", serial=segment["serial"])
                except (RpcError, OSError) as error:
                    failures.append(repr(error))
            return True, failures

        children = [Child(SOMEBODY, work) for _ in range(count)]
        try:
            yield
        finally:
            with open(stop, "w", encoding="ascii"):
                pass
            failures = [failure for child in children for failure in child.outcome()]
            for child in children:
                child.reap()
        self.assertEqual(failures, [])

    def test_wait_with_hold_and_the_last_holders_exit(self):
        def act():
            with Client(self.path) as client:
                segment = client.call("wait", name="job", hold=True)["segment"]
                self.use(segment)
                self.use(client.stat(serial=segment["serial"]))
                client.call("release", serial=segment["serial"])

        with self.makers(2):
            self.together(act)

    def use_both(self, client, answers):
        """The segments of a `wait` with hold and of a `create`, which may be one, are there."""
        for answer in answers:
            if "error" in answer:
                raise RpcError(answer["error"])
        segments = [answer["result"]["segment"] for answer in answers]
        for segment in segments:
            self.use(segment)
        for serial in {segment["serial"] for segment in segments}:
            client.call("release", serial=serial)

    WAIT = encode("wait", {"name": "job", "hold": True}, id=1)
    CREATE = encode("create", {"name": "job", "size": 4096, "lifetime": "process"}, id=2)

    def test_a_wait_and_the_creation_behind_it(self):
        def act():
            with Client(self.path) as client:
                client.send(self.WAIT + self.CREATE)
                self.use_both(client, [client.reply(), client.reply()])

        self.together(act)

    def test_a_batch_of_a_wait_and_a_creation(self):
        def act():
            with Client(self.path) as client:
                client.send(b"[" + self.WAIT + b"," + self.CREATE + b"]")
                self.use_both(client, client.reply())

        self.together(act)

    def test_closing_behind_a_wait(self):
        """Whether the wait is over or not, nothing of it is left; what stands behind it is done."""

        def act():
            with Client(self.path) as client:
                client.send(self.WAIT + self.CREATE)

        with self.makers(2):
            self.together(act)
        with Client(self.path) as client:
            wait_until(lambda: "shmd_waiters 0\n" in client.call("metrics")["text"], "nobody waits")
            wait_until(lambda: not client.list() and not sysv.proc_table(), "nothing is left")

    def commands(self, start):
        """ROUNDS rounds of PROCESSES commands at once: none fails."""
        failures = []
        for n in range(ROUNDS):
            processes = [start() for _ in range(PROCESSES)]
            for process in processes:
                _, err = process.communicate(timeout=DEADLINE)
                if process.returncode != 0:
                    failures.append(f"round {n}: {process.returncode} {err.decode()}")
        self.assertEqual(failures[:10], [], f"{len(failures)} of {PROCESSES * ROUNDS} failed")

    # The segment is there, whoever else has just gone.
    SCRIPT = 'grep -q " $SHMD_SHMID " /proc/sysvipc/shm'

    def test_run_and_the_last_holders_exit(self):
        self.commands(lambda: self.start(
            "run", "job", "--size", "1", "--", "sh", "-c", self.SCRIPT, stderr=subprocess.PIPE))

    def test_hold_and_the_last_holders_exit(self):
        with self.makers(2):
            self.commands(lambda: self.start(
                "hold", "job", "--wait", "--", "true", stderr=subprocess.PIPE))


if __name__ == "__main__":
    main()
