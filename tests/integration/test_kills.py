# SPDX-License-Identifier: MIT
"""SIGKILL before each system call of each request that changes something, and of a start: the next
daemon has the segments as they were or as they were to be, whole, and nothing else has changed.

With SHMD_TEST_KILLS=all it is every system call, not only those that change something. And what the
log has when the daemon is killed.
"""

import os
import re
import time

import sysv
from harness import ALICE, DAEMON, ROOT, SEVERAL_UIDS, SOMEBODY, as_user, encode, main
from peers import LifeCase, Peer, kill
from tracing import counted, killed_at, needs_strace

# A state that a kill leaves differs from the one before only by one of these.
CHANGING = ("pwrite64", "shmget", "shmctl", "shmat", "shmdt", "sendto", "ftruncate", "renameat",
            "renameat2", "unlinkat")
# A start looks at each number that a segment can have, with one shmctl.
STARTS = 25
ALL = os.environ.get("SHMD_TEST_KILLS") == "all"


@needs_strace
class Kills(LifeCase):
    CONFIG = LifeCase.RELAXED

    def setUp(self):
        super().setUp()
        self.peers = []
        self.attachments = []
        self.stranger = as_user(ROOT, lambda: sysv.create(7777))
        self.stranger_was = sysv.stat_any(self.stranger & 0x7FFF)

    def view(self):
        """All segments there are, as one may compare them between two runs."""
        with self.daemon.connect(ROOT) as root:
            listed = root.list(scope="all")
        self.assertEqual(sorted(s["shmid"] for s in listed), sorted(sysv.proc_table()))
        return sorted(
            (s["size"], s["mode"], s["uid"], s["managed"], s.get("name", ""), s.get("state", ""),
             s.get("lifetime", ""), s.get("holders", 0), tuple(sorted(s["labels"].items())),
             s["nattch"] > 0)
            for s in listed)

    def peer_of(self, user=SOMEBODY):
        peer = Peer(self.daemon.socket_path, user)
        self.peers.append(peer)
        return peer

    def attach(self, segment):
        self.attachments.append(self.hold(SOMEBODY, segment["shmid"]))

    def prepare(self, scenario):
        """From the beginning: what SCENARIO needs, beside a segment that nobody means. Returns the
        request."""
        self.client.create(name="bystander", size=9999, labels={"a": "b"})
        return scenario()

    def clear(self):
        for peer in self.peers:
            peer.end()
        for attachment in self.attachments:
            attachment.kill()
        self.peers, self.attachments = [], []
        if self.daemon.process.returncode is None:
            kill(self.daemon)
        for shmid in sysv.proc_table():
            if shmid != self.stranger:
                sysv.remove(shmid)
        self.restart()
        self.assertEqual(self.client.list(), [])

    def check(self, allowed):
        """What a start makes of a kill."""
        log = self.daemon.log()
        for word in ("damaged", "corrupt", "cannot be"):
            self.assertNotIn(word, log)
        self.assertEqual(os.listdir(self.daemon.directory).count("state.journal"), 1)
        self.assertEqual([name for name in os.listdir(self.daemon.directory)
                          if name.startswith("state.journal.")], [])
        self.assertEqual(sysv.stat_any(self.stranger & 0x7FFF), self.stranger_was)
        self.assertIn(self.view(), allowed)

    def calls_of(self, block):
        """The names and numbers of calls to be killed at while BLOCK runs."""
        with counted(self.daemon, os.path.join(self.directory, "calls")) as calls:
            block()
        # strace begins within an epoll_wait, which is not the request's.
        return {call: n for call, n in calls.items()
                if call in CHANGING or (ALL and call != "epoll_wait")}

    def kill_everywhere(self, scenario, between=()):
        """BETWEEN: functions from the view before to others that are right too."""
        request = self.prepare(scenario)
        kill(self.daemon)
        self.restart()
        before = self.view()
        self.clear()

        request = self.prepare(scenario)
        reply = []

        def run():
            self.client.send(encode(*request, id=1))
            reply.append(self.client.reply())

        calls = self.calls_of(run)
        self.assertIn("result", reply[0])
        kill(self.daemon)
        self.restart()
        after = self.view()
        self.clear()
        self.assertNotEqual(before, after, "the request changes nothing")

        allowed = [before, after, *(function(before) for function in between)]
        seen = set()
        kills = 0
        for call, times in sorted(calls.items()):
            for when in range(1, times + 1):
                with self.subTest(call=call, when=when):
                    request = self.prepare(scenario)
                    with killed_at(self.daemon, call, when):
                        self.client.send(encode(*request, id=1))
                        answered = self.client.reply() is not None
                        if not answered:
                            self.daemon.wait()
                    kills += not answered
                    if answered:
                        kill(self.daemon)
                    self.restart()
                    self.check([after] if answered else allowed)
                    seen.add(str(self.view()))
                self.clear()
        self.assertGreater(kills, 1)
        self.assertIn(str(before), seen)
        self.assertIn(str(after), seen)
        print(f"# {self.id().rsplit('.', 1)[1]}: {kills} kills")

    # --- the requests

    def test_create(self):
        self.kill_everywhere(lambda: ("create", {"name": "a", "size": 5000, "mode": "0640"}))

    def test_create_of_a_process(self):
        self.kill_everywhere(lambda: ("create", {"name": "a", "size": 5000, "ready": False,
                                                 "lifetime": "process"}))

    def test_replace(self):
        def scenario():
            self.client.create(name="a", size=5000)
            return "create", {"name": "a", "size": 6000, "replace": True}
        self.kill_everywhere(scenario)

    def test_replace_of_an_attached_one(self):
        def scenario():
            self.attach(self.client.create(name="a", size=5000))
            return "create", {"name": "a", "size": 6000, "replace": True}
        self.kill_everywhere(scenario)

    def test_ready(self):
        def scenario():
            self.client.create(name="a", size=5000)
            new = self.client.create(name="a", size=6000, ready=False, replace=True)
            return "ready", {"serial": new["serial"]}
        self.kill_everywhere(scenario)

    def test_set(self):
        def scenario():
            self.client.create(name="a", size=5000, mode="0600")
            return "set", {"name": "a", "mode": "0644", "new_name": "b", "labels": {"x": "y"}}

        def mode_alone(before):
            return sorted((s[0], "0644" if s[0] == 5000 else s[1], *s[2:]) for s in before)
        self.kill_everywhere(scenario, [mode_alone])

    def test_remove(self):
        def scenario():
            self.client.create(name="a", size=5000)
            return "remove", {"name": "a"}
        self.kill_everywhere(scenario)

    def test_remove_of_one_in_use(self):
        def scenario():
            self.attach(self.client.create(name="a", size=5000))
            return "remove", {"name": "a"}
        self.kill_everywhere(scenario)

    def test_remove_of_an_attached_one_in_use(self):
        def scenario():
            made = self.client.create(name="a", size=5000, lifetime="attached", mode="0666")
            self.attach(made)
            self.client.stat(name="a")  # the daemon sees that, and lets go
            return "remove", {"name": "a"}
        self.kill_everywhere(scenario)

    def test_hold(self):
        def scenario():
            self.peer_of().create(name="a", size=5000, lifetime="process", mode="0666")
            return "hold", {"name": "a"}
        self.kill_everywhere(scenario)

    def test_release(self):
        def scenario():
            self.client.create(name="a", size=5000, lifetime="process", mode="0666")
            self.peer_of().call("hold", name="a")
            return "release", {"name": "a"}
        self.kill_everywhere(scenario)

    def test_release_of_the_last(self):
        def scenario():
            self.client.create(name="a", size=5000, lifetime="process")
            return "release", {"name": "a"}
        self.kill_everywhere(scenario)

    def handed_over(self):
        def make():
            shmid = sysv.create(5000)
            sysv.set_owner(shmid, DAEMON.uid, SOMEBODY.gid, 0o600)
            return shmid
        return as_user(SOMEBODY, make) if SEVERAL_UIDS else sysv.create(5000)

    def test_adopt(self):
        self.kill_everywhere(lambda: ("adopt", {"shmid": self.handed_over(), "name": "a"}))

    def test_disown(self):
        def scenario():
            self.client.create(name="a", size=5000)
            return "disown", {"name": "a"}
        self.kill_everywhere(scenario)

    def test_disown_of_an_adopted_one(self):
        def scenario():
            self.client.call("adopt", shmid=self.handed_over(), name="a")
            return "disown", {"name": "a"}

        # Once it is given back the daemon has no rights to it, so that the record goes first. Its
        # creator can take back the owner himself.
        def without_record(before):
            owner = DAEMON.uid if SEVERAL_UIDS else ROOT.uid
            return sorted((*s[:2], owner, False, "", "ready", "", 0, (), s[9])
                          if s[0] == 5000 else s for s in before)
        self.kill_everywhere(scenario, [without_record])

    # --- a start

    def leave_work(self):
        """A daemon was killed within a create, and since then a segment and a holder are gone."""
        self.prepare(lambda: None)
        gone = self.client.create(name="gone", size=5000)
        self.peer_of().create(name="held", size=6000, lifetime="process")
        self.attach(self.client.create(name="kept", size=7000))
        with killed_at(self.daemon, "pwrite64", 2):
            self.client.send(encode("create", {"name": "new", "size": 8000}, id=1))
            self.assertIsNone(self.client.reply())
            self.daemon.wait()
        sysv.remove(gone["shmid"])
        self.peers.pop().end()
        self.assertIn("8000", [row["size"] for row in sysv.proc_table().values()])

    def test_start(self):
        self.leave_work()
        self.restart()
        after = self.view()
        self.assertEqual([s[4] for s in after if s[3]], ["kept", "bystander"])
        self.assertEqual([s[0] for s in after if not s[3]], [7777])
        kills = 0
        for call in CHANGING:
            for when in range(1, STARTS):
                self.clear()
                self.leave_work()
                with self.subTest(call=call, when=when):
                    daemon = self.launch_daemon(shell=(
                        "strace", "-D", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                        "-e", f"inject={call}:signal=SIGKILL:when={when}"))
                    while daemon.process.poll() is None and not self.answers(daemon):
                        time.sleep(0.01)
                    was_killed = daemon.process.poll() is not None
                    kill(daemon)
                    self.restart()
                    self.check([after])
                    if not was_killed:
                        break
                    kills += 1
        self.assertGreater(kills, 1)
        print(f"# test_start: {kills} kills")

    @staticmethod
    def answers(daemon):
        try:
            with daemon.connect(ROOT) as client:
                return client.call("info") is not None
        except (OSError, AssertionError, ValueError):
            return False


@needs_strace
class Log(LifeCase):
    CONFIG = LifeCase.RELAXED

    def test_what_is_done_is_in_the_log_before_it_is_answered(self):
        """Lines of requests that come together leave in one write, and that is before their answers."""
        names = [f"s{i}" for i in range(3)]
        with killed_at(self.daemon, "sendto", 1):
            self.client.send(b"".join(encode("create", {"name": name, "size": 1}, id=name) for name in names))
            self.assertIsNone(self.client.reply())
            self.daemon.wait()
        # A slow daemon answers some of them first.
        done = re.findall(r"(?m)^shmd: create: (\w+) ", self.daemon.log())
        self.assertIn(done, (names[:1], names[:2], names))
        self.restart()
        self.assertEqual({segment["name"] for segment in self.client.list()}, set(done))


if __name__ == "__main__":
    main()
