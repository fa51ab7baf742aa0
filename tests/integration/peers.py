# SPDX-License-Identifier: MIT
"""Processes that talk to the daemon, and subscribers: for tests of what ends with a process, with a
connection or with the daemon.

A connection of the test program itself is the test program's as far as the daemon can tell; a test
that must kill who holds a segment needs a Peer.
"""

import os
import pickle
import signal
import socket

import sysv
from harness import SOMEBODY, Child, Client, RpcError, TestCase, wait_until


_LAST_PID = "/proc/sys/kernel/ns_last_pid"


def can_choose_pids():
    try:
        with open(_LAST_PID, "r+", encoding="ascii") as file:
            file.write(file.read())
    except OSError:
        return False
    return True


def child_with_pid(user, pid, function):
    """A Child that has that pid, which is free."""
    for _ in range(100):
        with open(_LAST_PID, "w", encoding="ascii") as file:
            file.write(str(pid - 1))
        child = Child(user, lambda report: function(report) if os.getpid() == pid else None)
        if child.pid == pid:
            return child
        child.end()
    raise AssertionError(f"no process got the pid {pid}")


class _Acts:
    """What a peer can be told to do; each in the peer's own process."""

    def __init__(self):
        self._clients = []
        self._addresses = {}

    def connect(self, path):
        self._clients.append(Client(path))

    def call(self, which, method, params):
        return self._clients[which].call(method, **params)

    def send(self, which, data):
        self._clients[which].send(data)

    def close(self, which):
        self._clients[which].close()

    def attach(self, shmid, flags):
        self._addresses[shmid] = sysv.attach(shmid, flags)

    def detach(self, shmid):
        sysv.detach(self._addresses.pop(shmid))


class Peer:
    """A process of USER that does as it is told, until it is killed. With PATH it has a connection
    to the daemon there, its number 0."""

    def __init__(self, path=None, user=SOMEBODY):
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def serve(report):
            acts = _Acts()
            while order := theirs.recv(1 << 16):
                name, arguments = pickle.loads(order)
                try:
                    report(("value", getattr(acts, name)(*arguments)))
                except RpcError as error:
                    report(("refused", {"code": error.code, "message": error.message,
                                        "data": error.data}))
                except OSError as error:
                    report(("failed", error))

        self._child = Child(user, serve, keep=(theirs.fileno(),))
        theirs.close()
        self.pid = self._child.pid
        if path is not None:
            self.connect(path)

    def _tell(self, name, *arguments):
        self._orders.send(pickle.dumps((name, arguments)))
        how, value = self._child.outcome()
        if how == "refused":
            raise RpcError(value)
        if how == "failed":
            raise value
        return value

    def connect(self, path):
        """One more connection; they are numbered from 0."""
        self._tell("connect", path)

    def close(self, which=0):
        self._tell("close", which)

    def call(self, method, /, *, through=0, **params):
        return self._tell("call", through, method, params)

    def send(self, data, which=0):
        self._tell("send", which, data)

    def create(self, **params):
        return self.call("create", **{"size": 4096, **params})["segment"]

    def stat(self, **target):
        return self.call("stat", **target)["segment"]

    def attach(self, shmid, flags=0):
        self._tell("attach", shmid, flags)

    def detach(self, shmid):
        self._tell("detach", shmid)

    def end(self, number=signal.SIGKILL):
        """Dead and reaped when it returns."""
        self._child.end(number)
        self._orders.close()

    def leave(self):
        """It ends of itself, as a program that has come to its end."""
        self._orders.close()
        self._child.reap()


def kill(daemon):
    """SIGKILL, and it is gone when this returns."""
    daemon.process.kill()
    daemon.wait()


class LifeCase(TestCase):
    """With a daemon that can be killed and started again on the same state."""

    CONFIG = "reconcile_ms = 100\n"
    RELAXED = "reconcile_ms = 3600000\n"  # for tests of what must not need a sweep
    options = ()  # more of them, for every daemon

    def setUp(self):
        super().setUp()
        self.restart()

    def restart(self, **arguments):
        """A daemon on the state of the last, if there was one; and a connection to it."""
        self.daemon = self.start_daemon(*self.options, **arguments)
        self.client = self.connect(self.daemon)

    def kill_and_restart(self):
        kill(self.daemon)
        self.restart()

    def peer(self, user=None, connected=True):
        peer = Peer(self.daemon.socket_path if connected else None, user or SOMEBODY)
        self.addCleanup(peer.end)
        return peer

    def lookalike(self, shmid, user, size=4096, pid=None):
        """A segment of USER's in the place of one that is gone, made by a process with that pid."""
        if pid is not None and not can_choose_pids():
            self.skipTest(f"{_LAST_PID} cannot be written here")
        sysv.sysctl("shm_next_id", shmid)
        make = lambda _report: (True, sysv.create(size, 0o640))
        child = Child(user, make) if pid is None else child_with_pid(user, pid, make)
        try:
            self.assertEqual(child.outcome(), shmid)
        finally:
            child.end()
        return sysv.stat(shmid)

    def subscribe(self, user=None, **params):
        """A connection that has subscribed."""
        client = self.connect(self.daemon, user)
        client.call("subscribe", **params)
        return client

    def event(self, subscriber):
        """The next event, which must come."""
        message = subscriber.reply()
        self.assertIsNotNone(message, "the subscriber was disconnected")
        self.assertEqual((message["jsonrpc"], message.get("method")), ("2.0", "event"), message)
        self.assertNotIn("id", message)
        return message["params"]

    def events(self, subscriber, count):
        return [self.event(subscriber) for _ in range(count)]

    def event_of(self, subscriber, serial, kind="removed"):
        """The next event of that kind of that segment; others before it are passed over."""
        while True:
            event = self.event(subscriber)
            if event["kind"] == kind and event["segment"]["serial"] == serial:
                return event

    def check_removed(self, subscriber, segment, reason):
        """SEGMENT goes, for REASON, and the kernel has it no more."""
        event = self.event_of(subscriber, segment["serial"])
        self.assertEqual(event["reason"], reason)
        self.assertEqual(event["segment"]["shmid"], segment["shmid"])
        wait_until(lambda: not sysv.exists(segment["shmid"]), "the kernel has it no more")
        return event

    def holders(self, segment):
        return self.client.stat(serial=segment["serial"])["holders"]

    def wait_for_holders(self, segment, count):
        wait_until(lambda: self.holders(segment) == count, f"{count} holders are left")

    def is_known(self, segment):
        try:
            self.client.stat(serial=segment["serial"])
        except RpcError as error:
            self.check_error(error, "NoSuchSegment")
            return False
        return True

    def descriptors(self):
        """How many descriptors the daemon has."""
        for _ in range(3):  # what ended before this is dealt with
            self.client.call("list", limit=1)
        return len(os.listdir(f"/proc/{self.daemon.pid}/fd"))
