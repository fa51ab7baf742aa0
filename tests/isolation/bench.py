# SPDX-License-Identifier: MIT
"""`make bench-isolation`: each attack, and what a victim's calls take alone and under it. It measures and
asserts nothing; what must hold is in the tests beside it.

    bench.py JSON [ATTACK...]

An ATTACK is the name of a class of attacks.py; without one all are made. The figures of one attack are
of one daemon: the quiet ones first, then those under attack. "longest turn" and "share" are the daemon's
own counters, in requests; a daemon that does not have them shows "-".
"""

import json
import os
import signal
import sys
import time

import attacks
from isolation import ATTACKERS, SEVERAL_UIDS, IsolationCase, Watch

QUIET_ROUNDS, ROUNDS = 200, 200

COLUMNS = (
    ("attack", 46, "{}"),
    ("alone", 8, "{:.0f}"),
    ("p99", 8, "{:.0f}"),
    ("under", 9, "{:.0f}"),
    ("p99", 9, "{:.0f}"),
    ("ratio", 7, "{:.1f}"),
    ("p99", 8, "{:.1f}"),
    ("failed", 7, "{}"),
    ("MiB", 5, "{:.0f}"),
    ("fds", 6, "{}"),
    ("turn", 6, "{}"),
    ("share", 6, "{}"),
    ("stop ms", 8, "{}"),
)


class Measured(IsolationCase):
    """One attack, and its figures in `self.row`."""

    attack = None

    def runTest(self):
        attack = self.attack
        self.start(attack.config, *attack.options(self), rlimits=attack.rlimits)
        quiet, _ = self.play(QUIET_ROUNDS)
        floods = attack.start(self, True)
        with Watch(self.daemon) as watch:
            for flood in floods:
                flood.go()
            victim, admin = self.play(ROUNDS)
        self.row = {
            "attack": type(attack).__name__,
            "title": attack.title,
            "alone_median_us": quiet.median_us(),
            "alone_p99_us": quiet.p99_us(),
            "under_median_us": victim.median_us(),
            "under_p99_us": victim.p99_us(),
            "median_ratio": victim.median_us() / quiet.median_us(),
            "p99_ratio": victim.p99_us() / quiet.p99_us(),
            "admin_median_us": admin.median_us(),
            "admin_p99_us": admin.p99_us(),
            "calls": len(victim.samples),
            "failed": sum(victim.failed().values()) + sum(admin.failed().values()),
            "rss_mib": watch.rss_kib / 1024,
            "descriptors": watch.descriptors,
            **self.counters(),
        }
        self.row["stop_ms"] = self.stop_under_attack()
        for flood in floods:
            flood.end()

    def counters(self):
        try:
            metrics = self.metrics()
        except (OSError, AssertionError):
            return {}
        names = ("turn_longest_requests", "turn_longest_records", "turn_longest_accepts",
                 "share_longest_requests", "share_longest_records", "turn_longest_seconds",
                 "journal_longest_write_bytes")
        return {n: metrics[f"shmd_{n}"] for n in names if f"shmd_{n}" in metrics}

    def stop_under_attack(self):
        """How long it takes to end; None when it had to be killed."""
        if self.daemon.process.poll() is not None:
            return None
        begin = time.monotonic()
        self.daemon.signal(signal.SIGTERM)
        try:
            self.daemon.wait()
        except Exception:
            self.daemon.process.kill()
            self.daemon.process.wait()
            return None
        return round((time.monotonic() - begin) * 1000)


def measure(kind):
    case = Measured()
    case.attack = kind()
    problem = None
    try:
        case.setUp()
        try:
            case.runTest()
        finally:
            case.doCleanups()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"[:300]
    row = getattr(case, "row", {"attack": kind.__name__, "title": kind.title})
    if problem:
        row["problem"] = problem
    return row


def cells(row):
    if "under_median_us" not in row:
        return [row["title"][:46], *[None] * 12]
    keys = ("alone_median_us", "alone_p99_us", "under_median_us", "under_p99_us", "median_ratio",
            "p99_ratio", "failed", "rss_mib", "descriptors")
    counters = [row.get(key) for key in ("turn_longest_requests", "share_longest_requests", "stop_ms")]
    return [row["title"][:46], *(row[key] for key in keys), *counters]


def print_line(values):
    texts = [
        f"{'-' if value is None else form.format(value):{'<' if i == 0 else '>'}{width}}"
        for i, ((_, width, form), value) in enumerate(zip(COLUMNS, values))
    ]
    print(" ".join(texts), flush=True)


def main(path, wanted):
    if not SEVERAL_UIDS:
        sys.exit("bench-isolation needs root: without it there is only one uid to act as")
    kinds = [kind for kind in attacks.ALL if not wanted or kind.__name__ in wanted]
    if not kinds:
        names = ", ".join(kind.__name__ for kind in attacks.ALL)
        sys.exit(f"no attack is called {' or '.join(wanted)}; there are: {names}")
    print(f"A victim's calls in µs; {ROUNDS} rounds of 5 calls every 10 ms, attackers of uid "
          f"{ATTACKERS[0].uid} and up; {os.cpu_count()} cores.")
    print(" ".join(f"{name:{'<' if i == 0 else '>'}{width}}"
                   for i, (name, width, _) in enumerate(COLUMNS)))
    rows = []
    for kind in kinds:
        row = measure(kind)
        rows.append(row)
        print_line(cells(row))
        if "problem" in row:
            print(f"    {row['problem']}", flush=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"rounds": ROUNDS, "attacks": rows}, file, indent=2)
        file.write("\n")
    print(f"The same as JSON: {path}")


main(sys.argv[1], sys.argv[2:])
