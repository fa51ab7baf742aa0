# SPDX-License-Identifier: MIT
"""Ten thousand rounds of what comes and goes: afterwards the daemon has as many descriptors, and as
much memory, as before.
"""

from harness import encode, is_instrumented, main, slow, wait_until
from peers import LifeCase

ROUNDS = 10000
WARM_UP = 1000
AT_ONCE = 100  # rounds in a write
EVENTS_KEPT = 1024
TOLERANCE_KB = 400


class Leaks(LifeCase):
    CONFIG = LifeCase.RELAXED
    options = ("--log-level", "warning")

    def setUp(self):
        super().setUp()
        # The newest events are kept: that memory is taken once.
        self.client.create(name="first")
        self.repeat(EVENTS_KEPT + AT_ONCE, [("set", {"name": "first", "labels": {"a": "b" * 200}})])
        self.before = self.descriptors()

    def check_nothing_grows(self, some_rounds):
        """SOME_ROUNDS(n) does n of them."""
        some_rounds(WARM_UP)
        memory = self.daemon.proc_status("VmRSS")
        some_rounds(ROUNDS - WARM_UP)
        wait_until(lambda: self.descriptors() == self.before, "descriptors are as before")
        if is_instrumented():
            return
        grown = self.daemon.proc_status("VmRSS") - memory
        self.assertLess(grown, TOLERANCE_KB, "kB more than after the warm-up")

    def repeat(self, rounds, requests, code=None):
        """REQUESTS in each round, over one connection; CODE: of the error of each, None: none."""
        data = b"".join(encode(method, params, id=1) for method, params in requests)
        for _ in range(rounds // AT_ONCE):
            self.client.send(data * AT_ONCE)
            for _ in range(AT_ONCE * len(requests)):
                reply = self.client.reply()
                self.assertEqual(reply.get("error", {}).get("code"), code, reply)

    @slow
    def test_subscribe_and_close(self):
        made = self.client.create(name="frames")

        def rounds(count):
            for i in range(count):
                with self.daemon.connect() as subscriber:
                    subscriber.call("subscribe", prefix="f", kinds=["changed", "removed"])
                    if i % 10 == 0:
                        self.client.call("set", serial=made["serial"], labels={"i": str(i)})
                        self.assertEqual(self.event(subscriber)["kind"], "changed")

        self.check_nothing_grows(rounds)

    @slow
    def test_subscribe_again(self):
        self.check_nothing_grows(
            lambda count: self.repeat(count, [("subscribe", {"prefix": "x" * 200})]))

    @slow
    def test_hold_and_release(self):
        made = self.peer().create(lifetime="process")
        self.before = self.descriptors()
        target = {"serial": made["serial"]}
        self.check_nothing_grows(
            lambda count: self.repeat(count, [("hold", target), ("release", target)]))
        self.assertEqual(self.holders(made), 1)

    @slow
    def test_wait_in_vain(self):
        for timeout_ms in (0, 1):
            with self.subTest(timeout_ms=timeout_ms):
                params = {"name": "never", "timeout_ms": timeout_ms}
                # A millisecond each takes as long as that.
                share = 1 if timeout_ms == 0 else 5
                self.check_nothing_grows(
                    lambda count, params=params, share=share: self.repeat(
                        count // share, [("wait", params)], code=10))

    @slow
    def test_wait_and_close(self):
        def rounds(count):
            for _ in range(count):
                with self.daemon.connect() as waiter:
                    waiter.send(encode("wait", {"name": "never", "timeout_ms": 3600000}, id=1))

        self.check_nothing_grows(rounds)

    @slow
    def test_create_and_remove(self):
        for lifetime in ("persistent", "process", "connection", "attached"):
            with self.subTest(lifetime=lifetime):
                self.check_nothing_grows(lambda count, lifetime=lifetime: self.repeat(count // 2, [
                    ("create", {"name": "frames", "size": 1, "lifetime": lifetime, "ready": False,
                                "ttl_ms": 3600000, "labels": {"a": "b" * 100}}),
                    ("remove", {"name": "frames"}),
                ]))

    @slow
    def test_processes_that_come_and_go(self):
        """A watch, a party and a tie each."""
        def rounds(count):
            for _ in range(count // 50):
                peer = self.peer()
                made = peer.create(lifetime="process")
                peer.end()
                wait_until(lambda serial=made["serial"]: not self.is_known({"serial": serial}),
                           "it is gone")

        self.check_nothing_grows(rounds)


main()
