# SPDX-License-Identifier: MIT
"""What the tests of isolation stand on, the integration tests' harness included: an attacker's uid, a
victim's uid and an admin, each with programs of its own, and what the daemon does meanwhile.

The attackers and the victims are programs in C (flood.c, victim.c), because a Python program is too
slow to be an attacker and too slow to measure a victim's call.
"""

import contextlib
import fcntl
import os
import select
import signal
import statistics
import struct
import sys
import termios
import threading
from collections import Counter, namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import sysv  # noqa: E402
from harness import (  # noqa: E402, F401: the tests take them from here
    ALICE,
    DAEMON,
    DEADLINE,
    ROOT,
    SEVERAL_UIDS,
    Child,
    TestCase,
    User,
    diagnostics,
    encode,
    RpcError,
    as_user,
    is_instrumented,
    main,
    needs_several_uids,
    wait_until,
)
from programs import Programs  # noqa: E402
from smallfs import SmallFilesystem, enter_private_mounts  # noqa: E402

VICTIM = ALICE
ATTACKERS = [User(3100 + i, 3100 + i, ()) for i in range(4)]
ATTACKER = ATTACKERS[0]

PERIOD_MS = 10
LOG_LINES = 10
# A call that is not answered by then counts as one that is never answered.
SILENCE = DEADLINE // 3

MEBIBYTE = 1 << 20

# What the daemon tells of its own work, and the most that it may tell, whatever clients do. All count
# work: the daemon's own bounds are times (2 ms a turn, 0.5 ms a request, 0.03 ms a share), and these
# are what no machine does in such a time. An unbounded turn does millions.
BOUNDS = {
    "shmd_turn_longest_requests": 4096,  # requests served in one turn of the loop
    "shmd_turn_longest_records": 65536,  # records that one turn looked at
    "shmd_turn_longest_accepts": 256,  # connections that one turn accepted
    "shmd_share_longest_requests": 1024,  # served to one uid in a row while another uid had work
    "shmd_share_longest_records": 16384,  # the records that these looked at
    "shmd_journal_longest_write_bytes": 65536,  # of records that waited, in one write to the store
}

Sample = namedtuple("Sample", "method ns outcome")


def batch(*requests):
    """One batch of what encode() gives."""
    return b"[" + b",".join(request.rstrip() for request in requests) + b"]\n"


def unread(socket):
    """Bytes that were sent on a Unix socket and that nobody has read."""
    return struct.unpack("i", fcntl.ioctl(socket, termios.TIOCOUTQ, bytes(4)))[0]


def parse_metrics(text):
    """OpenMetrics: the name of a sample, with its labels, -> its value."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Calls:
    """What became of a victim's calls."""

    def __init__(self, output):
        rows = (line.split(" ", 2) for line in output.splitlines())
        self.samples = [Sample(method, int(ns), outcome) for method, ns, outcome in rows]

    def failed(self):
        """(method, outcome) -> how many calls were not answered with a result."""
        return Counter((s.method, s.outcome) for s in self.samples if s.outcome != "ok")

    def median_us(self):
        return statistics.median(s.ns for s in self.samples) / 1000

    def p99_us(self):
        return quantile([s.ns for s in self.samples], 0.99) / 1000


class Flood:
    """A running flood.c."""

    def __init__(self, process):
        self._process = process

    def _read(self):
        ready, _, _ = select.select([self._process.stdout], [], [], DEADLINE)
        if not ready:
            raise AssertionError(f"the attacker was not ready in {DEADLINE} s")
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the attacker ended: {self._process.stderr.read().decode()}")
        return line.decode().strip()

    def _order(self, word):
        self._process.stdin.write(word + b"\n")
        self._process.stdin.flush()
        answers, closed = self._read().split()
        return int(answers), int(closed)

    def wait_until_ready(self):
        assert self._read() == "ready"
        return self

    def go(self):
        return self._order(b"go")

    def count(self):
        """(lines that have come in, connections that were closed)"""
        return self._order(b"count")

    def end(self):
        self._process.stdin.close()
        self._process.stdin = None
        self._process.wait(DEADLINE)


class Attacher:
    """A process of USER's that has HELD attached all the time. From go() on it attaches and detaches USED."""

    def __init__(self, user, held, used):
        def attack(report):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            for shmid in held:
                sysv.attach(shmid)
            report(None)
            signal.sigwait({signal.SIGUSR1})
            while True:
                for shmid in used:
                    sysv.detach(sysv.attach(shmid))

        self._child = Child(user, attack)
        self._child.outcome()

    def go(self):
        os.kill(self._child.pid, signal.SIGUSR1)

    def end(self):
        self._child.end()


class Watch:
    """The most memory and descriptors that a daemon has while the block runs."""

    def __init__(self, daemon):
        self._daemon = daemon
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.rss_kib = self.descriptors = 0

    def look(self):
        try:
            self.rss_kib = max(self.rss_kib, self._daemon.proc_status("VmRSS"))
            count = len(os.listdir(f"/proc/{self._daemon.pid}/fd"))
            self.descriptors = max(self.descriptors, count)
        except (OSError, StopIteration):
            pass  # it has died: that is for the test to find

    def _look(self):
        while not self._over.wait(0.05):
            self.look()

    def __enter__(self):
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._over.set()
        self._thread.join()
        self.look()


class IsolationCase(Programs, TestCase):
    """With one daemon, in `self.daemon`."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self._shorten_logs)

    def _shorten_logs(self):
        """An attack may fill the daemon's log; of a test that failed the last lines are printed."""
        self.logs = ["\n".join(text.splitlines()[-LOG_LINES:]) for text in self.logs]

    def start(self, config="", *options, **arguments):
        self.daemon = self.start_daemon(*options, config=config, **arguments)
        return self.daemon

    # --- players

    def flood(self, user, payload, connections, *options):
        """An attacker; it is ready when its connections are there."""
        self._floods = getattr(self, "_floods", 0) + 1
        path = os.path.join(self.directory, f"payload-{self._floods}")
        with open(path, "wb") as file:
            file.write(payload)
        process = self.popen(
            "tests/isolation/flood",
            *(self.daemon.socket_path, path, connections, *options),
            user=user,
            stdin=-1,
            stdout=-1,
            stderr=-1,
        )
        return Flood(process)

    def start_victim(self, rounds, user=VICTIM):
        role = "admin" if user == ROOT else "user"
        prefix = f"victim-{user.uid}/"
        return self.popen(
            "tests/isolation/victim",
            *(self.daemon.socket_path, role, prefix, rounds, PERIOD_MS, SILENCE),
            user=user,
            stdout=-1,
            stderr=-1,
        )

    def finish_victim(self, process):
        out, err = process.communicate(timeout=3 * SILENCE + DEADLINE)
        self.assertEqual(process.returncode, 0, err.decode())
        return Calls(out.decode())

    def play(self, rounds):
        """A victim and an admin at the same time; what became of the calls of each."""
        players = [self.start_victim(rounds), self.start_victim(rounds, ROOT)]
        return [self.finish_victim(player) for player in players]

    @contextlib.contextmanager
    def held_up(self):
        """The daemon finds what is done meanwhile all at once."""
        self.daemon.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.daemon.signal(signal.SIGCONT)

    # --- what there is before an attack

    def fill_managed(self, count, user=ATTACKER, **params):
        """COUNT segments of USER's. The connection that made them stays."""
        requests = [
            encode("create", {"name": f"fill-{user.uid}/{i}", "size": 1, **params}, id=i)
            for i in range(count)
        ]
        flood = self.flood(user, b"".join(requests), 1, f"answers={count}")
        return flood.wait_until_ready()

    def shmids_of(self, user):
        """Of all segments that USER has made."""
        with self.daemon.connect(ROOT) as client:
            return [s["shmid"] for s in client.list(limit=1000) if s["creator"]["uid"] == user.uid]

    def attacher(self, user, held, used):
        attacher = Attacher(user, held, used)
        self.addCleanup(attacher.end)
        return attacher

    def allow_segments(self):
        """As many as a kernel can be asked for."""
        sysv.sysctl("shmmni", 32768)

    def fill_foreign(self, count):
        """COUNT segments that are not the daemon's."""
        for _ in range(count):
            sysv.create(1)

    # --- what the daemon tells

    def metrics(self):
        with self.daemon.connect(ROOT) as client:
            return parse_metrics(client.call("metrics")["text"])

    def check_bounds(self, metrics):
        """The daemon's own counters of its work. One that it does not have cannot be checked, and
        the output says so."""
        for name, most in BOUNDS.items():
            if name in metrics:
                self.assertLessEqual(metrics[name], most, name)
            else:
                diagnostics(f"not checked: the daemon does not tell {name}")

    def check_served(self, *players, but=None):
        """All calls have had a result. BUT: or an error that has these words."""
        for calls in players:
            self.assertTrue(calls.samples, "no call was made")
            failed = {call: n for call, n in calls.failed().items() if not (but and but in call[1])}
            self.assertEqual(failed, {})

    def check_memory(self, kib, most_mib, what):
        if is_instrumented():
            diagnostics(f"{what} is not checked: the daemon is instrumented")
            return
        self.assertLess(kib, most_mib * 1024, f"KiB of memory, {what}")

    def check_memory_comes_back(self, most_mib):
        """Once the attackers are gone."""
        if is_instrumented():
            diagnostics("memory that comes back is not checked: the daemon is instrumented")
            return
        wait_until(
            lambda: self.daemon.proc_status("VmRSS") < most_mib * 1024,
            f"the daemon has less than {most_mib} MiB of memory",
        )
