# SPDX-License-Identifier: MIT
"""What plot.py puts into a page, and that it puts nothing of a quick run there."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import tap

PAGE = "before\n<!-- plot.py writes from here -->\n\nold\n\n<!-- to here -->\nafter\n"
BENCH = {"machine": "a machine", "measured_at_ms": 0, "notes": ["a note"],
         "rows": [{"id": "one", "title": "one thing", "figure": 2, "unit": "µs", "bar": 4, "met": True}]}


class Page(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.json, self.page, self.svg = (os.path.join(folder.name, name)
                                          for name in ("bench.json", "page.md", "page.svg"))
        with open(self.page, "w", encoding="utf-8") as file:
            file.write(PAGE)

    def plot(self, **more):
        """As `make bench-page` does; what it prints when it refuses, and the page."""
        with open(self.json, "w", encoding="utf-8") as file:
            json.dump({**BENCH, **more}, file)
        done = subprocess.run([sys.executable, os.path.join(HERE, "plot.py"), self.json, "--svg", self.svg,
                               "--page", self.page], check=False, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode != 0, bool(done.stderr), done.stderr)
        with open(self.page, encoding="utf-8") as file:
            return done.stderr, file.read()

    def test_a_run(self):
        refusal, page = self.plot()
        self.assertEqual(refusal, "")
        self.assertIn("one thing", page)
        self.assertNotIn("old", page)
        self.assertTrue(os.path.exists(self.svg))

    def test_a_quick_run(self):
        refusal, page = self.plot(quick=True)
        self.assertIn("is of a quick run (--quick), of which no figure counts: run `make bench` without it first",
                      refusal)
        self.assertEqual(page, PAGE)
        self.assertFalse(os.path.exists(self.svg))


if __name__ == "__main__":
    tap.main()
