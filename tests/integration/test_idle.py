# SPDX-License-Identifier: MIT
"""`idle_ttl_ms`: a segment goes when nobody has attached it for so long."""

import sysv
from harness import main
from peers import LifeCase


class Idle(LifeCase):
    def test_never_attached(self):
        subscriber = self.subscribe(kinds=["removed"])
        made = self.client.create(name="frames", idle_ttl_ms=300)
        self.assertGreater(made["expires_at_ms"], made["created_at_ms"])
        self.check_removed(subscriber, made, "expired")

    def test_not_while_it_is_attached(self):
        subscriber = self.subscribe(kinds=["removed"])
        used = self.client.create(name="used", idle_ttl_ms=300)
        peer = self.peer()
        peer.attach(used["shmid"])
        # Others that are made later go first.
        for name in ("a", "b", "c"):
            self.check_removed(subscriber, self.client.create(name=name, idle_ttl_ms=300),
                               "expired")
        self.assertNotIn("expires_at_ms", self.client.stat(name="used"))
        peer.end()
        self.check_removed(subscriber, used, "expired")

    def test_set(self):
        subscriber = self.subscribe(kinds=["removed"])
        made = self.client.create(name="frames", idle_ttl_ms=3600000)
        seen = self.client.call("set", name="frames", idle_ttl_ms=0)["segment"]
        self.assertNotIn("expires_at_ms", seen)
        self.client.call("set", name="frames", idle_ttl_ms=200)
        self.check_removed(subscriber, made, "expired")

    def test_with_a_ttl_the_earlier_counts(self):
        made = self.client.create(name="frames", idle_ttl_ms=3600000, ttl_ms=7200000)
        without = self.client.create(name="other", ttl_ms=3600000)
        self.assertLess(abs(made["expires_at_ms"] - without["expires_at_ms"]), 60000)
        subscriber = self.subscribe(kinds=["removed"])
        short = self.client.create(name="short", idle_ttl_ms=3600000, ttl_ms=100)
        self.check_removed(subscriber, short, "expired")

    def test_survives_a_restart(self):
        made = self.client.create(name="frames", idle_ttl_ms=2000)
        self.kill_and_restart()
        self.assertIn("expires_at_ms", self.client.stat(name="frames"))
        subscriber = self.subscribe(kinds=["removed"])
        self.check_removed(subscriber, made, "expired")
        self.assertFalse(sysv.exists(made["shmid"]))


if __name__ == "__main__":
    main()
