# SPDX-License-Identifier: MIT
"""System calls of the running daemon fail where a test says, one position after the other: every
request gets its named error, its neighbours are served, and afterwards the kernel holds exactly
what `list` shows. strace does the injecting.
"""

import contextlib
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import time
import unittest

import sysv
from harness import ALICE, DAEMON, ROOT, SOMEBODY, WRAPPER, TestCase, as_user, connect, encode
from harness import main, needs_several_uids, wait_until
from missing import lacks


def _can_trace():
    if shutil.which("strace") is None:
        return lacks("strace")
    if WRAPPER:
        return "the daemon runs under a tool that traces it already"
    probe = subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "true"], stderr=subprocess.PIPE, check=False
    )
    return None if probe.returncode == 0 else "processes cannot be traced here"


_OBSTACLE = _can_trace()
needs_strace = unittest.skipIf(_OBSTACLE, _OBSTACLE)

NAMED = {
    "ENOSPC": {"LimitReached"},
    "ENOMEM": {"LimitReached", "internal"},
    "EPERM": {"PermissionDenied"},
    "EACCES": {"PermissionDenied"},
    "EIO": {"internal"},
    "EINVAL": {"InvalidParameter", "NoSuchSegment", "internal", "StaleSegment"},
}


class FaultsCase(TestCase):
    def start(self, config="", **arguments):
        # No sweep of its own comes between the calls that are counted.
        self.daemon = self.start_daemon(config="reconcile_ms = 3600000\n" + config, **arguments)
        self.client = self.connect(self.daemon)
        self.root = self.connect(self.daemon, ROOT)

    @contextlib.contextmanager
    def injected(self, *injections):
        """The daemon's system calls fail as strace's `inject=` says while the block runs."""
        calls = ",".join(sorted({injection.split(":")[0] for injection in injections}))
        tracer = subprocess.Popen(
            ["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"trace={calls}"]
            + [word for injection in injections for word in ("-e", f"inject={injection}")]
            + ["-p", str(self.daemon.pid)],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(
                lambda: self.daemon.proc_status("TracerPid") == tracer.pid, "the daemon is traced"
            )
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            wait_until(lambda: self.daemon.proc_status("TracerPid") == 0, "the daemon is free")

    def outcome(self, method, **params):
        """'' for a result, else the short name of the error."""
        reply = self.client.request(method, **params)
        if "result" in reply:
            return ""
        error = reply["error"]
        self.assertGreater(len(error["message"]), 10, error)
        if error["code"] == -32603:
            return "internal"
        return error["data"]["error"].rsplit(".", 1)[1]

    def check_agreement(self):
        listed = {s["shmid"]: s["size"] for s in self.root.list(limit=1000)}
        kernel = {shmid: int(row["size"]) for shmid, row in sysv.proc_table().items()}
        self.assertEqual(listed, kernel)
        usage = self.client.call("info")["usage"]
        self.assertEqual(usage["segments"], len(kernel), "charges")
        self.assertEqual(usage["bytes"], sum(kernel.values()), "charges")

    def at_every_position(self, call, error, method, *, before=None, most=12, **params):
        """CALL fails with ERROR at its first, second, ... use until the request succeeds."""
        for position in range(1, most):
            if before:
                before()
            with self.injected(f"{call}:error={error}:when={position}"):
                got = self.outcome(method, **params)
            self.check_agreement()
            self.assertTrue(got == "" or got in NAMED[error], (call, error, position, got))
            if got == "":
                # It succeeded: either the position was never reached, or what failed did not matter.
                return position
        self.fail(f"{method} never succeeds")


@needs_strace
class Kernel(FaultsCase):
    def tidy(self):
        for segment in self.root.list(limit=1000):
            self.root.call("remove", serial=segment["serial"])

    def test_create(self):
        self.start()
        for error in ("ENOSPC", "ENOMEM", "EINVAL", "EACCES", "EIO"):
            with self.subTest(call="shmget", error=error):
                got = self.at_every_position(
                    "shmget", error, "create", before=self.tidy, name="a", size=4096
                )
                self.assertGreater(got, 1, "the first failed")
        for error in ("EPERM", "EIO", "EINVAL"):
            with self.subTest(call="shmctl", error=error):
                got = self.at_every_position(
                    "shmctl", error, "create", before=self.tidy, name="a", size=4096
                )
                self.assertGreater(got, 1, "the first failed")
        for error in ("ENOMEM", "EACCES"):
            with self.subTest(call="shmat", error=error):
                got = self.at_every_position(
                    "shmat", error, "create", before=self.tidy, size=4096, lifetime="attached"
                )
                self.assertGreater(got, 1, "the first failed")

    def test_set(self):
        self.start()
        self.client.create(name="a", size=4096, mode="0600", labels={"k": "v"})
        for error in ("EPERM", "EIO"):
            with self.subTest(error=error):
                for position in range(1, 12):
                    before = self.client.stat(name="a")
                    other = "0640" if before["mode"] == "0600" else "0600"
                    with self.injected(f"shmctl:error={error}:when={position}"):
                        got = self.outcome("set", name="a", mode=other, labels={"k": other})
                    self.check_agreement()
                    after = self.client.stat(name="a")
                    if got == "":
                        self.assertEqual((after["mode"], after["labels"]), (other, {"k": other}))
                        break
                    self.assertIn(got, NAMED[error])
                    self.assertEqual(after["mode"], before["mode"])
                    self.assertEqual(after["labels"], before["labels"])
                else:
                    self.fail("set never succeeds")
                self.assertGreater(position, 1)

    def test_remove(self):
        self.start()

        def make():
            self.client.call("create", name="a", size=4096)

        for error in ("EPERM", "EIO"):
            with self.subTest(error=error):
                got = self.at_every_position("shmctl", error, "remove", before=make, name="a")
                self.assertGreater(got, 1, "the first failed")


@needs_strace
class Settings(FaultsCase):
    def test_one_that_cannot_be_read_is_what_it_was(self):
        """The kernel removes what nobody has attached; the daemon cannot read that it does."""
        sysv.sysctl("shm_rmid_forced", 1)
        self.start()
        made = self.client.create(size=4096)
        with self.injected("pread64:error=EIO:when=1+"):
            self.daemon.signal(signal.SIGHUP)
            wait_until(lambda: "read again" in self.daemon.log(), "it has looked at everything")
            self.client.create(size=4096)
        self.assertIs(self.client.call("info")["durable"], False)
        for shmid in sysv.proc_table():
            self.hold(SOMEBODY, shmid).kill()
        self.assertEqual(len(sysv.proc_table()), 2)
        self.assertEqual(self.client.stat(serial=made["serial"])["state"], "ready")


@needs_strace
class Store(FaultsCase):
    def test_every_write_of_a_commit(self):
        self.start()
        kept = self.client.create(name="kept", size=100, mode="0600", labels={"a": "b"})
        for error in ("ENOSPC", "EIO", "EROFS"):
            refused = 0
            for position in range(1, 30):
                with self.subTest(error=error, position=position):
                    with self.injected(f"pwrite64:error={error}:when={position}+"):
                        created = self.outcome("create", name="new", size=4096)
                        changed = self.outcome(
                            "set", name="kept", mode="0640", labels={"c": "d"}, new_name="other"
                        )
                    self.assertIn(created, ("", "StoreFailure"))
                    self.assertIn(changed, ("", "StoreFailure"))
                    refused += bool(created) + bool(changed)
                    self.check_agreement()
                    now = self.client.stat(serial=kept["serial"])
                    if changed:
                        self.assertEqual(
                            (now["mode"], now["name"], now["labels"]), ("0600", "kept", {"a": "b"})
                        )
                    else:
                        self.client.call(
                            "set", name="other", mode="0600", labels={"a": "b"}, new_name="kept"
                        )
                    if created == "":
                        self.client.call("remove", name="new")
                    else:
                        self.refused("NoSuchSegment", self.client, "stat", name="new")
                if created == changed == "":
                    break
            else:
                self.fail("it never succeeds")
            self.assertGreater(refused, 0, error)
        # What is acknowledged now is there after a kill.
        self.client.create(name="after", size=4096)
        names = {s["name"] for s in self.root.list()}
        self.daemon.process.kill()
        self.daemon.process.wait()
        again = self.start_daemon(directory=self.daemon.directory)
        self.assertEqual({s["name"] for s in self.connect(again, ROOT).list()}, names)

    def test_neighbours_in_the_same_turn(self):
        self.start()
        with self.injected("pwrite64:error=ENOSPC:when=1+"):
            self.client.send(
                b'{"jsonrpc":"2.0","id":"a","method":"create","params":{"name":"x","size":1}}'
                b'{"jsonrpc":"2.0","id":2,"method":"info"}'
                b'[{"jsonrpc":"2.0","id":null,"method":"create","params":{"size":1}},'
                b'{"jsonrpc":"2.0","id":4,"method":"list"}]'
            )
            first, second, batch = (self.client.reply() for _ in range(3))
        self.assertEqual((first["id"], first["error"]["code"]), ("a", 13), first)
        self.assertTrue(first["error"]["data"]["reason"])
        self.assertEqual((second["id"], second["result"]["pid"]), (2, self.daemon.pid))
        self.assertEqual((batch[0]["id"], batch[0]["error"]["code"]), (None, 13))
        self.assertEqual((batch[1]["id"], batch[1]["result"]["segments"]), (4, []))
        self.check_agreement()

    @needs_several_uids
    def test_what_is_not_given_up_stays_the_daemons(self):
        """A created segment, and one that was adopted, which the daemon could not take back."""
        self.start()
        self.client.create(name="created", uid=DAEMON.uid, gid=ALICE.gid, mode="0640")
        shmid = as_user(ALICE, lambda: sysv.create(4096, 0o640))
        as_user(ALICE, lambda: sysv.set_owner(shmid, DAEMON.uid, ALICE.gid, 0o640))
        self.client.call("adopt", shmid=shmid, name="adopted")
        before = {shmid: sysv.stat(shmid) for shmid in sysv.proc_table()}
        with self.injected("pwrite64:error=ENOSPC:when=1+"):
            for name in ("created", "adopted"):
                self.assertEqual(self.outcome("disown", name=name), "StoreFailure")
        self.assertEqual({shmid: sysv.stat(shmid) for shmid in sysv.proc_table()}, before)
        self.check_agreement()

    def answer_when_it_goes_on(self):
        """The answer of a daemon that was stopped, as often as it is."""
        def answers():
            self.daemon.signal(signal.SIGCONT)
            return select.select([self.client.socket], [], [], 0)[0]

        wait_until(answers, "the daemon answers")
        return self.client.reply()

    def replace_behind_its_back(self, shmid, size):
        """By a segment that differs in the process that has made it, and that the kernel would let the
        daemon change."""
        sysv.remove(shmid)
        sysv.sysctl("shm_next_id", shmid)
        self.assertEqual(as_user(DAEMON, lambda: sysv.create(size, 0o640)), shmid)
        return sysv.stat(shmid)

    @needs_several_uids
    def test_a_creation_is_taken_back_from_no_other_segment(self):
        self.start()
        with self.injected("pwrite64:error=ENOSPC:signal=SIGSTOP:when=2+"):
            self.client.send(encode("create", {"size": 4096}, id=1))
            [shmid] = wait_until(lambda: list(sysv.proc_table()), "the segment is made")
            stranger = self.replace_behind_its_back(shmid, 4096)
            self.assertEqual(self.answer_when_it_goes_on()["error"]["code"], 13)
        self.assertEqual(sysv.stat(shmid), stranger)

    @needs_several_uids
    def test_settings_are_taken_back_from_no_other_segment(self):
        self.start()
        shmid = self.client.create(name="a", size=4096, mode="0600")["shmid"]
        with self.injected("pwrite64:error=ENOSPC:signal=SIGSTOP:when=1+"):
            self.client.send(encode("set", {"name": "a", "mode": "0644"}, id=1))
            wait_until(lambda: sysv.stat(shmid).mode == 0o644, "the mode is set")
            stranger = self.replace_behind_its_back(shmid, 4096)
            self.assertEqual(self.answer_when_it_goes_on()["error"]["code"], 13)
        self.assertEqual(sysv.stat(shmid), stranger)

    def test_a_file_that_vanished(self):
        """What cannot be kept is not acknowledged; when it can be, all is kept that there is."""
        directory = self.daemon_directory("state")
        self.start(directory=directory)
        self.client.create(name="kept", size=100)
        self.client.create(name="removed", size=100)
        os.unlink(os.path.join(directory, "state.journal"))
        with self.injected("openat:error=EACCES:when=1+"):
            for _ in range(2):
                self.assertEqual(self.outcome("create", name="lost", size=100), "StoreFailure")
                self.check_agreement()
            removed = self.client.call("remove", name="removed")["segment"]
            self.assertEqual(removed["state"], "removed")
            self.check_agreement()
        self.assertEqual(self.outcome("create", name="found", size=100), "")
        self.check_agreement()


class Descriptors(FaultsCase):
    def cpu_ticks(self):
        with open(f"/proc/{self.daemon.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def test_too_few_for_all_who_come(self):
        self.start(rlimits={resource.RLIMIT_NOFILE: 40})
        crowd = []
        self.addCleanup(lambda: [s.close() for s in crowd])
        for _ in range(80):
            s = socket.socket(socket.AF_UNIX)
            crowd.append(s)
            connect(s, self.daemon.socket_path)
        # Those it has no descriptor for are told; nothing of it is repeated without end.
        ticks, begin = self.cpu_ticks(), time.monotonic()
        time.sleep(2)
        used = (self.cpu_ticks() - ticks) / os.sysconf("SC_CLK_TCK")
        self.assertLess(used, 0.3 * (time.monotonic() - begin), "seconds of CPU time")
        refused = set()

        def most_are_refused():
            for s in crowd:
                s.settimeout(0)
                with contextlib.suppress(BlockingIOError):
                    if b"RLIMIT_NOFILE" in s.recv(65536):
                        refused.add(s)
            return len(refused) > 30

        wait_until(most_are_refused, "those without a descriptor are told")
        self.assertTrue(self.client.call("info"), "who was there first is served")
        for s in crowd:
            s.close()
        crowd.clear()

        def served():
            """Until the daemon has seen them leave, one more is turned away."""
            with self.daemon.connect() as client:
                client.send_what_is_taken(encode("info", id=1))
                return "result" in (client.reply() or {})

        wait_until(served, "there is room again")

    def test_a_holder_that_cannot_be_watched(self):
        self.start(rlimits={resource.RLIMIT_NOFILE: 40})
        crowd = [self.daemon.connect() for _ in range(20)]
        self.addCleanup(lambda: [c.close() for c in crowd])
        # All that are left, by connections that say nothing.
        while True:
            with contextlib.ExitStack() as stack:
                c = stack.enter_context(self.daemon.connect())
                c.send_what_is_taken(encode("info", id=1))
                if "result" not in (c.reply() or {}):
                    break
                stack.pop_all()
                crowd.append(c)
        self.assertEqual(self.outcome("create", size=4096, lifetime="process"), "LimitReached")
        self.check_agreement()
        self.assertEqual(self.outcome("create", size=4096), "")
        self.check_agreement()


class Stopped(FaultsCase):
    def test_sigstop_for_a_while(self):
        self.start()
        segment = self.client.create(name="a", size=100)
        self.daemon.signal(signal.SIGSTOP)
        self.addCleanup(self.daemon.signal, signal.SIGCONT)
        clients = [self.daemon.connect() for _ in range(20)]
        for i, client in enumerate(clients):
            client.send(b'{"jsonrpc":"2.0","id":%d,"method":"stat","params":{"name":"a"}}' % i)
        time.sleep(1)
        self.daemon.signal(signal.SIGCONT)
        for i, client in enumerate(clients):
            reply = client.reply()
            self.assertEqual((reply["id"], reply["result"]["segment"]["serial"]), (i, segment["serial"]))
            client.close()


if __name__ == "__main__":
    main()
