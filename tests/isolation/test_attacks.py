# SPDX-License-Identifier: MIT
"""Each attack flat out by one uid, while a victim of another uid works once every 10 ms and an admin asks
`info`: nobody else is refused, cut off or left without an answer, the daemon's memory stays small, and it
ends in order while the attack goes on.

How long an answer takes is never asserted here; `make bench-isolation` measures it. That the attacker
gets no more than its share before a victim's request is in test_turns.py, counted in requests.
"""

import attacks
from isolation import IsolationCase, Watch, diagnostics, main, needs_several_uids

ROUNDS = 40


@needs_several_uids
class Attacks(IsolationCase):
    def check(self, *made):
        first = made[0]
        self.start(first.config, *first.options(self), rlimits=first.rlimits)
        floods = [flood for attack in made for flood in attack.start(self, False)]
        with Watch(self.daemon) as watch:
            for flood in floods:
                flood.go()
            victim, admin = self.play(ROUNDS)
        diagnostics(
            f"victim: {len(victim.samples)} calls, {victim.median_us():.0f} µs in the median, "
            f"{victim.p99_us():.0f} in 99 of 100; the daemon: {watch.rss_kib >> 10} MiB, "
            f"{watch.descriptors} descriptors"
        )
        self.check_served(victim, but=first.victim_may_hear)
        self.check_served(admin)
        self.check_memory(watch.rss_kib, first.most_mib, "under attack")
        self.check_bounds(self.metrics())
        self.daemon.stop()
        for flood in floods:
            flood.end()

    def test_batches_released_at_one_moment(self):
        self.check(attacks.Batches())

    def test_batches_of_all_segments(self):
        self.check(attacks.BatchesOfAll())

    def test_notifications(self):
        self.check(attacks.Notifications())

    def test_pipelines_that_nobody_reads(self):
        self.check(attacks.UnreadPipelines())

    def test_connects(self):
        self.check(attacks.Connects())

    def test_as_many_connections_as_there_may_be(self):
        self.check(attacks.ManyConnections())

    def test_waiters(self):
        self.check(attacks.Waiters())

    def test_large_waiters(self):
        self.check(attacks.LargeWaiters())

    def test_processes(self):
        self.check(attacks.Processes())

    def test_subscribers_that_do_not_read(self):
        self.check(attacks.Subscribers())

    def test_address_space(self):
        self.check(attacks.AddressSpace())

    def test_bytes_that_wrap(self):
        self.check(attacks.BytesThatWrap())

    def test_refusals(self):
        self.check(attacks.Refusals())

    def test_unfinished_values(self):
        self.check(attacks.Unfinished())

    def test_holders(self):
        self.check(attacks.Holders())

    def test_a_full_disk_with_many_facts(self):
        self.check(attacks.FullDisk())

    def test_several_at_once(self):
        self.check(
            attacks.Notifications(),
            attacks.Refusals(),
            attacks.Subscribers(),
            attacks.UnreadPipelines(),
            attacks.Waiters(),
            attacks.Unfinished(),
        )


main()
