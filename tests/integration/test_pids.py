# SPDX-License-Identifier: MIT
"""What a pid does not say: it is reused, /proc may hide it, and it means nothing in another namespace.

Kernels differ in what the daemon has to tell processes apart; what is asserted here is the same on all.
"""

import contextlib
import os
import signal
import socket

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    DEADLINE,
    ROOT,
    Child,
    Client,
    connect,
    encode,
    main,
    needs_several_uids,
    needs_to_be_alone,
    wait_until,
)
from peers import LifeCase, can_choose_pids, child_with_pid, kill
from tracing import failing, needs_strace

_NEWPID = 0x20000000
_MS_REMOUNT = 32


class DeadPeersClient(Client):
    """A connection that another process of USER's has made, which is dead and reaped."""

    def __init__(self, path, user):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._input = b""
        self._last_id = 0
        child = Child(user, lambda report: connect(self.socket, path) or (True, os.getpid()),
                      keep=(self.socket.fileno(),))
        self.pid = child.outcome()
        child.end()
        self.socket.settimeout(DEADLINE)


def process_of(user, pid):
    """A process of USER with that pid."""
    child = child_with_pid(user, pid, lambda report: (report("there"), signal.pause()))
    child.outcome()
    return child


def needs_to_choose_pids(test):
    if not can_choose_pids():
        test.skipTest("/proc/sys/kernel/ns_last_pid cannot be written here")


@needs_several_uids
@needs_to_be_alone
class Dead(LifeCase):
    """Whoever has connected is dead, and its pid another's or nobody's: nothing can depend on it."""

    CONFIG = LifeCase.RELAXED
    REQUESTS = (
        ("create", {"name": "hers", "size": 4096, "lifetime": "process"}),
        ("create", {"name": "hers", "size": 4096, "ready": False}),
        ("create", {"name": "hers", "size": 4096, "lifetime": "attached"}),
        ("hold", {"name": "shared"}),
    )

    def setUp(self):
        super().setUp()
        self.client = self.connect(self.daemon, ROOT)
        self.shared = self.peer(ALICE).create(name="shared", lifetime="process", mode="0666")
        self.before = self.client.call("subscribe")["event_serial"]

    def check_nothing_has_happened(self, client):
        self.check_refused(client)
        self.check_as_before()

    def check_refused(self, client):
        for method, params in self.REQUESTS:
            with self.subTest(method=method, params=params):
                self.refused("NotSupported", client, method, **params)

    def check_as_before(self):
        with self.daemon.connect(ROOT) as root:
            self.assertEqual(root.call("subscribe")["event_serial"], self.before)
            self.assertEqual([s["name"] for s in root.list()], ["shared"])
            self.assertEqual(root.stat(name="shared")["holders"], 1)

    def dead_peer(self):
        client = DeadPeersClient(self.daemon.socket_path, ALICE)
        self.addCleanup(client.close)
        return client

    def test_nobody_has_its_pid(self):
        self.check_nothing_has_happened(self.dead_peer())

    def test_another_has_its_pid(self):
        needs_to_choose_pids(self)
        client = self.dead_peer()
        self.addCleanup(process_of(BOB, client.pid).end)
        self.check_nothing_has_happened(client)

    @needs_strace
    def test_another_has_its_pid_and_the_kernel_hands_out_no_pidfd(self):
        """As before Linux 6.5."""
        needs_to_choose_pids(self)
        client = self.dead_peer()
        self.client.call("list")  # it is accepted by then
        self.addCleanup(process_of(BOB, client.pid).end)
        with failing(self.daemon, "getsockopt", "ENOPROTOOPT"):
            self.check_refused(client)
        self.check_as_before()

    def test_another_has_its_pid_before_it_is_accepted(self):
        needs_to_choose_pids(self)
        self.daemon.signal(signal.SIGSTOP)
        try:
            client = self.dead_peer()
            self.addCleanup(process_of(BOB, client.pid).end)
        finally:
            self.daemon.signal(signal.SIGCONT)
        self.check_nothing_has_happened(client)

    def test_all_connections_of_it_are_closed(self):
        """The request is there, and nobody to read the answer."""
        self.daemon.signal(signal.SIGSTOP)
        try:
            client = self.dead_peer()
            if can_choose_pids():
                self.addCleanup(process_of(ALICE, client.pid).end)
            client.send(encode("create", {"name": "hers", "size": 4096, "lifetime": "process"}, id=1))
            client.close()
        finally:
            self.daemon.signal(signal.SIGCONT)
        with self.daemon.connect(ROOT) as root:
            root.call("list")  # what came before it is dealt with then
            self.assertEqual(root.call("subscribe")["event_serial"], self.before)


@needs_several_uids
@needs_to_be_alone
class Reused(LifeCase):
    CONFIG = LifeCase.RELAXED

    def test_while_no_daemon_is_there(self):
        """A holder, and an initialiser, ends, and another process of its user has its pid."""
        needs_to_choose_pids(self)
        for params in ({"lifetime": "process"}, {"ready": False}):
            with self.subTest(params=params):
                holder = self.peer(ALICE)
                made = holder.create(**params)
                kill(self.daemon)
                holder.end()
                self.addCleanup(process_of(ALICE, holder.pid).end)
                self.restart()
                self.assertFalse(self.is_known(made))
                self.assertFalse(sysv.exists(made["shmid"]))


@needs_several_uids
@needs_to_be_alone
class Hidden(LifeCase):
    """/proc with hidepid=2 and a daemon that is not root: it sees no process of others."""

    CONFIG = LifeCase.RELAXED

    def setUp(self):
        self.mount_proc(b"hidepid=2")
        self.addCleanup(self.mount_proc, b"hidepid=0")
        super().setUp()

    def mount_proc(self, options):
        if sysv.libc.mount(b"proc", b"/proc", b"proc", _MS_REMOUNT, options) != 0:
            self.skipTest("/proc cannot be mounted so")

    def test_a_holder_that_lives(self):
        holder = self.peer(ALICE)
        made = holder.create(name="held", lifetime="process")
        for _ in range(2):
            self.kill_and_restart()
            with self.daemon.connect(ROOT) as root:
                self.assertEqual(root.stat(name="held")["holders"], 1)
        # It is that very process, also to itself.
        holder.connect(self.daemon.socket_path)
        self.assertEqual(holder.call("hold", through=1, name="held")["segment"]["holders"], 1)
        holder.end()
        wait_until(lambda: not sysv.exists(made["shmid"]), "it goes with its holder")

    def test_a_holder_that_ends_meanwhile(self):
        holder = self.peer(ALICE)
        made = holder.create(name="held", lifetime="process")
        kill(self.daemon)
        holder.end()
        self.restart()
        self.assertFalse(sysv.exists(made["shmid"]))

    def test_an_initialiser(self):
        filler = self.peer(ALICE)
        made = filler.create(name="filling", ready=False)
        self.kill_and_restart()
        self.assertTrue(sysv.exists(made["shmid"]))
        filler.end()
        wait_until(lambda: not sysv.exists(made["shmid"]), "it goes with its initialiser")


@needs_several_uids
@needs_to_be_alone
class OtherNamespace(LifeCase):
    """A daemon that is started again in another pid namespace, as in a container."""

    CONFIG = "reconcile_ms = 100\n"

    @contextlib.contextmanager
    def inside(self):
        """Children of the test are in a new pid namespace."""
        libc = sysv.libc
        ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.unshare(_NEWPID) != 0:
                self.skipTest("no pid namespace can be made here")
            # The first process of a namespace; the namespace ends with it.
            self.addCleanup(Child(ROOT, lambda _report: signal.pause()).end)
            yield
            if libc.setns(ours, _NEWPID) != 0:
                raise AssertionError("the test cannot come back to its pid namespace")
        finally:
            os.close(ours)

    def restart_inside(self):
        kill(self.daemon)
        with self.inside():
            self.daemon = self.start_daemon(
                user=ROOT, directory=self.daemon_directory(),
                shell=("unshare", "--mount", "sh", "-ec",
                       f"mount -t proc proc /proc; exec setpriv --reuid={DAEMON.uid} "
                       f"--regid={DAEMON.gid} --clear-groups \"$@\"", "sh"))

    def names(self):
        with self.daemon.connect(ROOT) as root:
            return sorted(segment["name"] for segment in root.list())

    def test_there_and_back(self):
        holder = self.peer(ALICE)
        used = holder.create(name="used", lifetime="process")
        holder.attach(used["shmid"])
        self.client.create(name="kept")
        for go in (self.restart_inside, self.restart_inside, self.kill_and_restart):
            go()
            self.assertEqual(self.names(), ["kept", "used"], self.daemon.log())
            with self.daemon.connect(ROOT) as root:
                self.assertEqual(root.stat(name="kept")["state"], "ready")
                root.call("set", name="kept", mode="0640")
        holder.end()
        wait_until(lambda: self.names() == ["kept"], "it goes when it is used no more")
        with self.daemon.connect(ROOT) as root:
            root.call("remove", name="kept")
        self.assertEqual(sysv.proc_table(), {})


main()
