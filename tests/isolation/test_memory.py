# SPDX-License-Identifier: MIT
"""Memory that runs out: a request that finds none is answered with an error of its own, and neither the
daemon nor anybody else's connection ends. RLIMIT_AS makes it run out.
"""

import resource

from isolation import ATTACKER, VICTIM, IsolationCase, diagnostics, encode, is_instrumented, main
from isolation import needs_several_uids

INTERNAL_ERROR = -32603
# What the kernel's buffers and the daemon's do not hold of answers: 8 requests are sent at a time.
AT_A_TIME = 8


@needs_several_uids
class Memory(IsolationCase):
    def start_small(self, mebibytes):
        if is_instrumented():
            self.skipTest("the daemon is instrumented, and takes more address space than that")
        # In steps: how much a daemon takes for itself is the machine's business.
        self.start(rlimits={resource.RLIMIT_AS: mebibytes << 20})

    def requests(self):
        """Each takes much more memory when it is decoded than it has bytes."""
        for text in (b"{}," * 20000 + b"{}", b'"' + b"x" * 60000 + b'"', b'"ab",' * 10000 + b'"c"',
                     b"1.5," * 14000 + b"1", b'{"k":[' * 14 + b"1" + b"]}" * 14):
            yield encode("stat", {"name": "none"}, id=1, junk=[]).replace(b"[]", b"[" + text + b"]")
        yield encode("create", {"size": 1, "labels": {f"k{i}": "x" * 255 for i in range(16)}}, id=1)

    def eat(self):
        """What the daemon may keep for the attacker: beginnings, waiters and segments with labels."""
        junk = b"[" + b"{}," * 20000 + b"{}]"
        wait = encode("wait", {"name": "never"}, id=1, junk=[]).replace(b"[]", junk)
        eaters = [self.connect(self.daemon, ATTACKER) for _ in range(80)]
        for i, eater in enumerate(eaters):
            eater.send_what_is_taken(wait if i % 2 else wait[:-2])
        labels = {f"k{i}": "x" * 255 for i in range(16)}
        maker = self.connect(self.daemon, ATTACKER)
        for i in range(1000):
            maker.send(encode("create", {"size": 1, "labels": labels}, id=i))
            self.check_outcome(maker.reply())
        return eaters

    def check_outcome(self, reply):
        self.assertIsNotNone(reply, "closed instead of an answer")
        if "error" in reply and reply["error"]["code"] < 0:
            self.assertEqual(reply["error"]["code"], INTERNAL_ERROR, reply)
            return 1
        return 0

    def test_with_24_mebibytes(self):
        self.check_goes_on(24)

    def test_with_32_mebibytes(self):
        self.check_goes_on(32)

    def test_with_48_mebibytes(self):
        self.check_goes_on(48)

    def check_goes_on(self, mebibytes):
        self.start_small(mebibytes)
        victim = self.connect(self.daemon, VICTIM)
        victim.create(name="mine")
        eaters = self.eat()
        attacker = self.connect(self.daemon, ATTACKER)
        internal = asked = 0
        for _ in range(10):
            for request in self.requests():
                attacker.send(request * AT_A_TIME)
                for _ in range(AT_A_TIME):
                    internal += self.check_outcome(attacker.reply())
                    asked += 1
                victim.send(encode("stat", {"name": "mine"}, id="victim"))
                self.check_outcome(victim.reply())
        diagnostics(f"{internal} of {asked} requests found no memory")
        for eater in eaters:
            eater.close()
        # There is memory again.
        self.assertEqual(victim.stat(name="mine")["name"], "mine")
        victim.call("remove", name="mine")


main()
