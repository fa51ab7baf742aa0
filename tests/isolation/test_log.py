# SPDX-License-Identifier: MIT
"""The log: what one uid does fills neither the disk nor the budget of others, and a reader of standard
error that reads nothing does not stop the daemon.

A uid has 20 lines a second in the long run and bursts of 200; then one line tells how many more there
were of it. How long a flood took is measured, so that its lines can be counted against that.
"""

import fcntl
import os
import re
import time

from isolation import ATTACKER, ATTACKERS, VICTIM, IsolationCase, encode, main
from isolation import needs_several_uids, wait_until

BURST, PER_SECOND = 200, 20
FLOOD = 4000
_F_SETPIPE_SZ = 1031


@needs_several_uids
class Log(IsolationCase):
    def setUp(self):
        super().setUp()
        self.start()

    def lines(self, uid):
        """Those that are about a peer of that uid."""
        return [line for line in self.daemon.log().splitlines() if f" uid {uid} " in line + " "]

    def exchange(self, user, request, count):
        """Sends COUNT of them and reads every answer."""
        with self.daemon.connect(user) as client:
            for _ in range(0, count, 100):
                client.send(request * 100)
                for _ in range(100):
                    client.reply()

    def check_bounded(self, request):
        begin = time.monotonic()
        self.exchange(ATTACKER, request, FLOOD)
        seconds = time.monotonic() - begin
        self.assertLessEqual(
            len(self.lines(ATTACKER.uid)), BURST + PER_SECOND * (seconds + 2), "lines of the attacker"
        )

    def refused(self):
        return encode("create", {"size": 4096, "uid": 0}, id=1)

    def test_refused_requests(self):
        self.check_bounded(self.refused())

    def test_changes_of_nothing(self):
        with self.daemon.connect(ATTACKER) as client:
            client.create(name="mine")
        self.check_bounded(encode("set", {"name": "mine", "mode": "0600"}, id=1))

    def test_creates_and_removes(self):
        create, remove = encode("create", {"name": "a", "size": 1}), encode("remove", {"name": "a"}, id=1)
        self.check_bounded(create + remove)

    def test_connects_over_the_cap(self):
        daemon = self.start_daemon(
            directory=self.daemon_directory("small"), config="max_connections_per_uid = 1\n"
        )
        self.daemon = daemon
        first = self.connect(daemon, ATTACKER)
        first.call("list")
        begin = time.monotonic()
        for _ in range(FLOOD // 4):
            daemon.connect(ATTACKER).close()
        first.call("list")
        seconds = time.monotonic() - begin
        self.assertLessEqual(
            len(self.lines(ATTACKER.uid)), BURST + PER_SECOND * (seconds + 2), "lines of the attacker"
        )

    def test_what_was_left_out_is_counted(self):
        self.exchange(ATTACKER, self.refused(), FLOOD)

        def told():
            found = re.findall(rf"(\d+) more .*uid {ATTACKER.uid}\b", self.daemon.log())
            return sum(map(int, found)) + len(self.lines(ATTACKER.uid)) - len(found) >= FLOOD

        wait_until(told, "the log tells how many lines are missing")

    def test_the_victims_refusals_are_all_logged(self):
        flood = self.flood(ATTACKER, self.refused() * 500, 8, "repeat", "hold-back")
        flood.wait_until_ready().go()
        self.exchange(VICTIM, self.refused(), 100)
        flood.end()
        lines = [line for line in self.lines(VICTIM.uid) if "refused" in line]
        self.assertEqual(len(lines), 100)

    def test_a_full_pipe_behind_standard_error(self):
        """Lines are lost, not answers."""
        directory = self.daemon_directory("pipe")
        path = os.path.join(directory, "pipe")
        os.mkfifo(path)
        os.chmod(path, 0o666)
        pipe = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, pipe)
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, 4096)
        shell = ("sh", "-c", f'exec "$@" 2<>"{path}"', "sh")
        self.daemon = self.start_daemon(directory=directory, shell=shell)
        for user in ATTACKERS:
            create = encode("create", {"name": f"of-{user.uid}", "size": 1})
            self.exchange(user, create + encode("remove", {"name": f"of-{user.uid}"}, id=1), 300)
        with self.daemon.connect(VICTIM) as victim:
            victim.create(name="mine")
            victim.call("remove", name="mine")


main()
