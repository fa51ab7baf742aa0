# SPDX-License-Identifier: MIT
"""Who a peer is, and what a daemon believes: peers of another pid namespace, segments that only look like
the daemon's, states that somebody else has made, and settings of the kernel that cannot be read.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess

from isolation import ATTACKER, ROOT, VICTIM, IsolationCase, RpcError, as_user, encode, main
from isolation import needs_several_uids, sysv, wait_until
from harness import DAEMON, daemon_program
from peers import Peer, can_choose_pids, child_with_pid, kill

_CLONE_NEWPID = 0x20000000


@needs_several_uids
class PidNamespaces(IsolationCase):
    """The daemon is in a pid namespace of its own, its clients are outside: it cannot see them,
    and their pid is 0 to it. One IPC namespace and a pid namespace for each container is what Kubernetes
    does by default."""

    CONFIG = "reconcile_ms = 100\n"

    def setUp(self):
        super().setUp()
        self.own = self.open_namespace("pid")
        if sysv.libc.unshare(_CLONE_NEWPID) != 0:
            self.skipTest(f"no pid namespace: {os.strerror(ctypes.get_errno())}")
        try:
            # The namespace lasts as long as its first process: longer than one daemon.
            first = subprocess.Popen(["sleep", "infinity"])
            self.addCleanup(first.wait)
            self.addCleanup(first.kill)
            self.namespace = self.open_namespace("pid_for_children")
        finally:
            sysv.libc.setns(self.own, _CLONE_NEWPID)
        self.start_unseen()

    def open_namespace(self, kind):
        fd = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
        self.addCleanup(os.close, fd)
        return fd

    def _accessible_program(self, user):
        # It forks, which is for a process of this namespace.
        if not self.is_apart:
            super()._accessible_program(user)

    is_apart = False

    def start_unseen(self):
        self._accessible_program(DAEMON)
        sysv.libc.setns(self.namespace, _CLONE_NEWPID)
        self.is_apart = True
        try:
            daemon = self.launch_daemon(config=self.CONFIG)
        finally:
            self.is_apart = False
            sysv.libc.setns(self.own, _CLONE_NEWPID)
        daemon.wait_until_ready()
        self.daemon = daemon

    def peer(self, user=VICTIM):
        peer = Peer(self.daemon.socket_path, user)
        self.addCleanup(peer.end)
        return peer

    def is_known(self, serial):
        with self.daemon.connect(ROOT) as root:
            try:
                root.stat(serial=serial)
            except RpcError as error:
                self.check_error(error, "NoSuchSegment")
                return False
            return True

    def check_goes(self, serial):
        wait_until(lambda: not self.is_known(serial), "the segment goes")

    def test_the_premise(self):
        segment = self.peer().create()
        self.assertEqual(segment["creator"]["pid"], 0)

    def test_a_process_holds(self):
        peer = self.peer()
        made = peer.create(lifetime="process")
        self.assertEqual(made["holders"], 1)
        other = self.peer()
        self.assertEqual(other.call("hold", serial=made["serial"])["segment"]["holders"], 2)
        peer.end()
        wait_until(lambda: other.stat(serial=made["serial"])["holders"] == 1, "one holder is left")
        other.end()
        self.check_goes(made["serial"])

    def test_release(self):
        first, second = self.peer(), self.peer()
        made = first.create(lifetime="process")
        second.call("hold", serial=made["serial"])
        first.call("release", serial=made["serial"])
        second.end()
        self.check_goes(made["serial"])

    def test_an_initialiser_that_dies(self):
        peer, waiter = self.peer(), self.connect(self.daemon, VICTIM)
        made = peer.create(name="frames", ready=False)
        waiter.send(encode("wait", {"name": "frames"}, id=1))
        peer.end()
        self.assertEqual(waiter.reply()["error"]["code"], 9)
        self.check_goes(made["serial"])

    def test_attached(self):
        peer = self.peer()
        made = peer.create(lifetime="attached")
        peer.attach(made["shmid"])
        peer.end()
        wait_until(lambda: not sysv.exists(made["shmid"]), "the kernel has it no more")

    def test_attached_and_never_attached(self):
        peer = self.peer()
        made = peer.create(lifetime="attached")
        peer.end()
        wait_until(lambda: not sysv.exists(made["shmid"]), "the kernel has it no more")

    def test_a_victims_creates_do_not_suffer(self):
        attacker, victim = self.connect(self.daemon, ATTACKER), self.connect(self.daemon, VICTIM)
        for i in range(50):
            for lifetime in ("process", "attached", "connection"):
                attacker.send(encode("create", {"size": 1, "lifetime": lifetime}, id=lifetime))
            victim.create(name=f"v{i}")
        for _ in range(150):
            attacker.reply()
        self.assertNotIn("StoreFailure", self.daemon.log())

    def test_after_a_restart_it_is_kept_while_attached(self):
        peer = self.peer()
        made = peer.create(name="frames", lifetime="process")
        held = self.hold(VICTIM, made["shmid"])
        kill(self.daemon)
        self.start_unseen()
        self.assertTrue(self.is_known(made["serial"]))
        self.assertTrue(sysv.exists(made["shmid"]))
        held.kill()
        self.check_goes(made["serial"])

    def test_after_a_restart_it_goes_when_nobody_has_it(self):
        made = self.peer().create(name="frames", lifetime="process")
        kill(self.daemon)
        self.start_unseen()
        self.check_goes(made["serial"])
        self.assertFalse(sysv.exists(made["shmid"]))


@needs_several_uids
class Unreadable(IsolationCase):
    """What cannot be read is taken as the unsafe case."""

    def test_descriptors_that_run_out_do_not_end_a_segment(self):
        """kernel.shm_rmid_forced is 1, and no descriptor is left to read that with."""
        sysv.sysctl("shm_rmid_forced", 1)
        self.start("reconcile_ms = 20\n", rlimits={resource.RLIMIT_NOFILE: 60})
        victim = self.connect(self.daemon, VICTIM)
        before = victim.create(name="before")
        for _ in range(80):
            self.connect(self.daemon, ATTACKER).send_what_is_taken(encode("list", id=1))
        for i in range(20):  # sweeps come and go meanwhile
            during = victim.create(name=f"during{i}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.daemon.process.wait(0.02)
        self.assertIs(victim.call("info")["durable"], False)
        for segment in (before, during):
            as_user(VICTIM, lambda s=segment: sysv.read(s["shmid"], 1))  # the last one detaches
            self.assertTrue(sysv.exists(segment["shmid"]), "the kernel has removed it")


@needs_several_uids
class Recycled(IsolationCase):
    def test_the_pid_of_a_former_daemon(self):
        """A process of the daemon's own user gets the pid of a daemon that was stopped in order. What it
        makes is not the daemon's."""
        self.start()
        pid = self.daemon.pid
        self.connect(self.daemon, VICTIM).create(name="mine")
        self.daemon.stop()
        if not can_choose_pids():
            self.skipTest("a process cannot be given a pid here")

        def create(report):
            report(sysv.create(4096, 0o600))
            signal.pause()

        child = child_with_pid(DAEMON, pid, create)
        self.addCleanup(child.end)
        shmid = child.outcome()
        self.start_again()
        self.assertTrue(sysv.exists(shmid), self.daemon.log())
        with self.daemon.connect(ROOT) as root:
            self.assertIs(root.stat(shmid=shmid)["managed"], False)

    def start_again(self):
        self.daemon = self.start_daemon(directory=self.daemon.directory)


@needs_several_uids
class State(IsolationCase):
    """A daemon serves no state that another user could have written."""

    def check_refuses(self, *options, directory, user):
        daemon = self.launch_daemon(*options, directory=directory, user=user)
        wait_until(
            lambda: daemon.process.poll() is not None or os.path.exists(daemon.socket_path),
            "it has ended or begun",
        )
        self.assertTrue(daemon.process.poll(), "it has begun, or ended without an error")
        self.assertIn(directory, daemon.log())
        self.assertGreater(len(daemon.log()), 40, "it says what to do")

    def test_a_directory_of_somebody_else(self):
        directory = os.path.join(self.directory, "others")
        os.makedirs(directory)
        os.chown(directory, ATTACKER.uid, ATTACKER.gid)
        self.check_refuses(directory=directory, user=ROOT)

    def test_a_directory_that_others_may_write(self):
        for mode in (0o1777, 0o777, 0o775, 0o757):
            with self.subTest(mode=oct(mode)):
                directory = os.path.join(self.directory, f"shared-{mode:o}")
                os.makedirs(directory)
                os.chmod(directory, mode)
                self.check_refuses(directory=directory, user=ROOT)

    def test_a_socket_in_a_directory_for_everybody(self):
        """Its state does not lie beside it, where all may reach it."""
        shared = os.path.join(self.directory, "tmp")
        os.makedirs(shared)
        os.chmod(shared, 0o1777)
        path = os.path.join(shared, "shmd.sock")
        # The harness gives a --state-dir: this one is started without.
        config = os.path.join(self.directory, "empty.conf")
        with open(config, "w", encoding="ascii"):
            pass
        process = subprocess.Popen(
            [daemon_program(), "--socket", path, "--config", config],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": self.directory},
            user=0,
        )
        try:
            wait_until(lambda: os.path.exists(path) or process.poll() is not None, "it has begun")
            others = [name for name in os.listdir(shared) if not name.startswith("shmd.sock")]
            self.assertEqual(others, [], "the state is in reach of everybody")
        finally:
            process.terminate()
            _, err = process.communicate(timeout=60)
        if process.returncode != 0:
            self.assertIn(shared, err.decode())


main()
