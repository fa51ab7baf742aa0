# SPDX-License-Identifier: MIT
"""PostgreSQL beside a loop of `gc --remove --left`: start, kill -9, restart, twelve times.

A cluster guards its directory with a System V segment. After kill -9 nobody needs that any more, and
it goes. While the cluster lives, its segment stays, and so do its data.
"""

import contextlib
import json
import os
import pwd
import signal
import subprocess
import unittest

from real import DEADLINE, EMPTY, ROOT, SEVERAL_UIDS, RealCase, User, as_user, lacks, main, sysv, wait_until

DIRECTORIES = ("/usr/lib/postgresql/*/bin",)
ROUNDS = 12


def is_alive(pid):
    """Whether the process is there, and not only a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


class GcLoop:
    """`shmdctl gc --remove --left` over and over, of segments of any age, as root."""

    SCRIPT = 'while "$0" gc --remove --left --older-than 0 --json; do :; done'

    def __init__(self, test):
        program, library = test.where_programs_are("shmdctl")
        environment = {**EMPTY, "LD_LIBRARY_PATH": library, "SHMD_SOCKET": test.daemon.socket_path}
        self._path = os.path.join(test.directory, "gc.json")
        with open(self._path, "wb") as output:
            self._process = subprocess.Popen(
                ["sh", "-c", self.SCRIPT, program], stdin=subprocess.DEVNULL, stdout=output,
                env=environment, start_new_session=True)
        test.addCleanup(self.end)

    def rounds(self):
        """What each has found, from its JSON."""
        assert self._process.poll() is None, "gc has failed"
        with open(self._path, encoding="utf-8") as output:
            whole, _, _ = output.read().rpartition("\n")
        return [json.loads(line)["segments"] for line in whole.splitlines()]

    def goes_round(self):
        """Waits for a round that has begun after this call."""
        before = len(self.rounds())
        wait_until(lambda: len(self.rounds()) > before + 1, "gc has gone round")

    def removed(self):
        """shmids"""
        return {segment["shmid"] for segments in self.rounds() for segment in segments
                if segment["result"] != "kept"}

    def end(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@unittest.skipUnless(SEVERAL_UIDS, "needs root: PostgreSQL runs as no root, and has to be a user")
class PostgreSQL(RealCase):
    @property
    def user(self):
        """initdb wants a user who has a name; the package makes this one."""
        try:
            entry = pwd.getpwnam("postgres")
        except KeyError:
            self.skipTest(lacks("postgres"))
        return User(entry.pw_uid, entry.pw_gid, ())

    def setUp(self):
        super().setUp()
        initdb = self.need("initdb", *DIRECTORIES)
        self.postgres = self.need("postgres", os.path.dirname(os.path.realpath(initdb)))
        self.psql = self.need("psql", *DIRECTORIES)
        self.data = os.path.join(self.home, "data")
        self.run_real(initdb, "--no-sync", "--auth=trust", "--no-locale", "-D", self.data)

    def start(self, memory):
        log = os.path.join(self.directory, "postgres.log")
        with open(log, "ab") as output:
            return self.start_real(
                self.postgres, "-D", self.data, "-k", self.home, "-c", "listen_addresses=",
                "-c", f"shared_memory_type={memory}", "-c", "fsync=off", "-c", "max_connections=10",
                # Killed, it would leave files behind in the machine's /dev/shm.
                "-c", "dynamic_shared_memory_type=mmap", "-c", "shared_buffers=1MB", stdout=output, stderr=output)

    def sql(self, text):
        """The answer, or None: it does not serve yet."""

        def run():
            return subprocess.run(
                [self.psql, "-XAtq", "-h", self.home, "-d", "postgres", "-c", text],
                capture_output=True, text=True, check=False, timeout=DEADLINE,
                env={**EMPTY, "HOME": self.home})

        outcome = as_user(self.user, run)
        return outcome.stdout.strip() if outcome.returncode == 0 else None

    def segment(self):
        """The shmid that the cluster has noted: the last number of postmaster.pid's seventh line."""
        with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as file:
            return int(file.read().splitlines()[6].split()[1])

    def test_beside_gc(self):
        gc = GcLoop(self)
        dead = set()
        for i in range(ROUNDS):
            server = self.start("sysv" if i % 2 else "mmap")
            wait_until(lambda: self.sql("select 1") == "1" or server.poll() is not None,
                       "PostgreSQL answers")
            self.assertIsNone(server.poll(), "PostgreSQL has ended")
            shmid = self.segment()
            self.assertNotIn(shmid, dead)
            self.sql("create table if not exists t (n int)")
            self.sql(f"insert into t values ({i})")
            gc.goes_round()
            self.assertTrue(self.is_there(shmid), "gc has taken a live segment")
            self.assertEqual(self.sql("select count(*), max(n) from t"), f"{i + 1}|{i}")
            everybody = [server.pid, *children_of(server.pid)]
            # Without their parent the others end by themselves, also before they are killed.
            for pid in everybody[: 1 if i % 3 else None]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            server.wait(DEADLINE)
            wait_until(lambda: not any(map(is_alive, everybody)), "all its processes have ended")
            wait_until(lambda: shmid not in sysv.proc_table(), "its segment goes")
            dead.add(shmid)
        wait_until(lambda: dead <= gc.removed(), "gc tells what it has removed")
        self.assertEqual(self.foreign(), {})


main()
