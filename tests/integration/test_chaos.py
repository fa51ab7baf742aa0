# SPDX-License-Identifier: MIT
"""Chaos for a while: see chaos.py. SHMD_TEST_SEED repeats a run, as far as time lets it be."""

import os

from chaos import ChaosCase
from harness import diagnostics, main, slow

SECONDS = 40
FEWEST_KILLS = 50


class Chaos(ChaosCase):
    @slow
    def test_nothing_is_lost_leaked_or_touched(self):
        seed = int(os.environ.get("SHMD_TEST_SEED", int.from_bytes(os.urandom(4), "little")))
        counts = self.chaos(SECONDS, seed, diagnostics, FEWEST_KILLS)
        for what in ("lost", "leaked", "touched"):
            self.assertEqual(counts[what], 0, what)
        for what in ("created", "changed", "removed", "clients killed", "checks"):
            self.assertGreater(counts[what], 0, what)


main()
