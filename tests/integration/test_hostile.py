# SPDX-License-Identifier: MIT
"""Input in hostile amounts: too large, too many, and readers that do not read. The daemon answers or
closes, goes on serving others, and stays small. Input at random is in test_mutations.py.
"""

import collections
import contextlib
import resource
import select
import signal
import socket
import threading
import unittest

from harness import (
    ALICE,
    BOB,
    DEADLINE,
    INVALID_REQUEST,
    ROOT,
    Client,
    TestCase,
    diagnostics,
    encode,
    is_instrumented,
    main,
    needs_several_uids,
)

MEMORY_CEILING_KB = 60 * 1024


class HostileCase(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()

    def check_serves(self, user=None):
        client = self.connect(self.daemon, user)
        self.assertIn("segments", client.call("list"))
        client.close()

    def check_is_small(self):
        if is_instrumented():
            diagnostics("VmRSS is not looked at: the daemon is instrumented")
            return
        self.assertLess(self.daemon.proc_status("VmRSS"), MEMORY_CEILING_KB)


class TooLarge(HostileCase):
    def padded(self, length):
        request = encode("list", id=1).rstrip()
        return request[:-1] + b" " * (length - len(request)) + b"}"

    def test_the_limit_itself(self):
        client = self.connect(self.daemon)
        client.send(self.padded(65536))
        self.assertIn("result", client.reply())
        client.send(self.padded(65537) + b"\n")
        reply = client.reply()
        self.check_envelope_error(reply, INVALID_REQUEST)
        self.assertIn("too large", reply["error"]["message"])
        self.assertIn("65536", reply["error"]["message"])
        self.assertIsNone(client.reply(), "and then the connection ends")

    def test_the_configured_limit(self):
        daemon = self.start_daemon(
            directory=self.daemon_directory("small"), config="max_message_bytes = 2000\n"
        )
        client = self.connect(daemon)
        client.send(self.padded(2000))
        self.assertIn("result", client.reply())
        client.send(self.padded(2001))
        reply = client.reply()
        self.check_envelope_error(reply, INVALID_REQUEST)
        self.assertIn("2000", reply["error"]["message"])

    def test_what_came_before_is_answered(self):
        client = self.connect(self.daemon)
        client.send(encode("create", {"name": "a", "size": 1}, id=1) + self.padded(70000))
        self.assertEqual(client.reply()["id"], 1)
        self.check_envelope_error(client.reply(), INVALID_REQUEST)
        self.assertIsNone(client.reply())

    def test_4_megabytes(self):
        for data in (self.padded(4 << 20), b'["' + b"x" * (4 << 20), b"[" + b"1," * (2 << 20)):
            with self.subTest(start=data[:8]):
                client = self.connect(self.daemon)
                sender = threading.Thread(target=client.send_what_is_taken, args=(data,))
                sender.start()
                self.check_envelope_error(client.reply(), INVALID_REQUEST)
                self.assertIsNone(client.reply(), "and then the connection ends")
                sender.join(DEADLINE)
                self.assertFalse(sender.is_alive())
                client.close()
        self.check_serves()
        self.check_is_small()

    def test_white_space_is_no_message(self):
        client = self.connect(self.daemon)
        client.send(b" \n" * (1 << 20) + encode("list", id=1))
        self.assertIn("result", client.reply())
        self.check_is_small()


class Readers(HostileCase):
    def test_a_client_that_reads_nothing(self):
        owner = self.connect(self.daemon)
        for i in range(200):
            owner.create(name=f"s{i}", labels={f"k{k}": "x" * 200 for k in range(4)})
        deaf = self.connect(self.daemon)
        deaf.socket.setblocking(False)
        # Long, so that few of them fill the kernel's buffers.
        request = encode("list", {"limit": 200}, id=1).replace(b"{", b"{" + b" " * 1000)
        limit = 4000 * len(request)  # with their answers, a gigabyte
        sent = 0
        while sent < limit and select.select([], [deaf.socket], [], 0.5)[1]:
            sent += deaf.socket.send(request[sent % len(request) :])
        self.assertLess(sent, limit, "the daemon stops to read")
        self.check_serves()
        self.check_is_small()

        def say_the_rest():
            deaf.send(request[sent % len(request) :])
            deaf.finish()

        deaf.socket.settimeout(DEADLINE)
        sender = threading.Thread(target=say_the_rest)
        sender.start()
        answers = iter(deaf.read_line, None)
        start = b'{"jsonrpc":"2.0","id":1,"result":{"segments":[{'
        self.assertEqual(
            sum(answer.startswith(start) for answer in answers),
            sent // len(request) + 1,
            "nothing is dropped",
        )
        sender.join(DEADLINE)

    def test_many_clients_that_read_nothing(self):
        owner = self.connect(self.daemon)
        for i in range(200):
            owner.create(name=f"s{i}", labels={f"k{k}": "x" * 200 for k in range(4)})
        # Each may have a mebibyte waiting for it, and all of them together may not.
        deaf = [self.connect(self.daemon) for _ in range(300)]
        for client in deaf:
            client.send(encode("list", {"limit": 200}, id=1) * 20)
        subscriber = self.connect(self.daemon)
        subscriber.call("subscribe")
        self.check_serves()
        if not is_instrumented():
            self.assertLess(self.daemon.proc_status("VmRSS"), 200 << 10, "KiB of memory")
        # Nothing is dropped: whoever reads gets it all, in pages that may be smaller.
        for client in deaf[:20]:
            client.finish()
            answers = client.replies()
            self.assertEqual(len(answers), 20)
            for answer in answers:
                result = answer["result"]
                self.assertTrue(len(result["segments"]) == 200 or "cursor" in result)

    def test_a_client_that_reads_nothing_and_dies(self):
        owner = self.connect(self.daemon)
        for i in range(200):
            owner.create(name=f"s{i}", labels={f"k{k}": "x" * 200 for k in range(4)})
        for _ in range(20):
            client = self.daemon.connect()
            client.send(encode("list", {"limit": 200}, id=1) * 100)
            client.close()
        self.check_serves()
        self.check_is_small()


@unittest.skipIf(is_instrumented(), "the daemon is instrumented: its address space is not its own")
class Memory(HostileCase):
    """The address space is used up: requests are refused, and nothing else happens."""

    def setUp(self):
        TestCase.setUp(self)
        # Of the test's own user, who may thus limit it without a capability.
        self.daemon = self.start_daemon(user=ROOT)

    @contextlib.contextmanager
    def scarce(self, room):
        """The daemon can have ROOM bytes more of address space than it has now."""
        before = resource.prlimit(self.daemon.pid, resource.RLIMIT_AS)
        limit = (self.daemon.proc_status("VmSize") << 10) + room
        resource.prlimit(self.daemon.pid, resource.RLIMIT_AS, (limit, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.daemon.pid, resource.RLIMIT_AS, before)

    def test_a_message_whose_tree_does_not_fit(self):
        client, neighbour = self.connect(self.daemon), self.connect(self.daemon)
        client.call("list")
        neighbour.call("list")
        # 60 KB of text, and some megabytes when it is decoded.
        costly = encode("list", [{}] * 20000, id="costly").replace(b" ", b"")
        with self.scarce(1 << 20):
            client.send(costly)
            self.check_envelope_error(client.reply(), -32603, "costly")
            neighbour.call("list")
            client.call("list")
        client.send(costly)
        reply = client.reply()
        self.assertEqual((reply["id"], reply["error"]["code"]), ("costly", -32602), reply)

    def test_no_memory_at_all(self):
        """Long strings and many values, whole and in batches: each is answered, or its connection
        is closed, for a batch also in the midst of its answers."""
        watcher = self.connect(self.daemon)
        watcher.call("list")
        texts = [
            encode("create", {"name": "x" * n, "size": 1, "labels": {"k": "v" * n}}, id=1)
            for n in (10, 120, 128, 200, 255, 5000, 30000)
        ]
        texts += [encode("list", [[]] * n, id=2) for n in (1, 100, 10000)]
        texts += [b"[" + b",".join([encode("metrics", id=3).rstrip()] * 60) + b"]\n"]
        with self.scarce(0):
            for text in texts * 20:
                client = self.connect(self.daemon)
                client.send_what_is_taken(text)
                reply = client.reply(may_be_cut_off=True)  # a batch of which a part was sent
                if reply is not None:
                    self.assertTrue(isinstance(reply, list) or "error" in reply or "result" in reply)
                client.close()
                self.assertIsNone(self.daemon.process.poll(), self.daemon.log())
        self.assertIn("segments", watcher.call("list"))
        self.check_serves()


class Connections(HostileCase):
    CONFIG = HostileCase.CONFIG + "max_connections_per_uid = 1000\n"

    def test_900(self):
        clients = [self.connect(self.daemon) for _ in range(900)]
        for client in clients:
            client.send(encode("list", id=1))
        for client in clients:
            self.assertIn("result", client.reply())
        self.check_is_small()
        for client in clients:
            client.send(b'{"jsonrpc":"2.0","id":2,"meth')  # 900 unfinished values
        self.check_serves()
        self.check_is_small()
        for client in clients:
            client.send(b'od":"list"}')
        for client in clients:
            self.assertEqual(client.reply()["id"], 2)


class Caps(TestCase):
    def check_turned_away(self, daemon, user, quota, cap):
        client = self.connect(daemon, user)
        reply = client.reply()
        self.assertIsNotNone(reply, "closed without a word")
        self.assertEqual((reply["jsonrpc"], reply["id"]), ("2.0", None))
        self.assertEqual(reply["error"]["code"], 6, reply)
        data = reply["error"]["data"]
        self.assertEqual(
            (data["error"], data["quota"], data["used"], data["max"]),
            ("io.shmd.QuotaExceeded", quota, cap, cap),
        )
        self.assertIsNone(client.reply(), "and then the connection ends")
        client.close()

    def served(self, daemon, user=None):
        client = self.connect(daemon, user)
        client.call("list")
        return client

    def check_comes_in_after(self, daemon, user, leaving):
        """Once LEAVING has left, there is room for one."""
        leaving.finish()
        self.assertIsNone(leaving.reply())
        leaving.close()
        self.served(daemon, user)

    @needs_several_uids
    def test_per_uid(self):
        daemon = self.start_daemon(config="max_connections_per_uid = 5\n")
        clients = [self.served(daemon, ALICE) for _ in range(5)]
        for _ in range(3):
            self.check_turned_away(daemon, ALICE, "max_connections_per_uid", 5)
        self.served(daemon, BOB)
        clients[0].call("list")
        self.check_comes_in_after(daemon, ALICE, clients[0])
        self.check_turned_away(daemon, ALICE, "max_connections_per_uid", 5)

    @needs_several_uids
    def test_in_all(self):
        daemon = self.start_daemon(config="max_connections = 6\n")
        clients = [self.served(daemon, user) for user in (ALICE, BOB) * 3]
        for client in clients:
            client.create(lifetime="connection")  # else one that is idle would make room
        for user in (ALICE, BOB):
            self.check_turned_away(daemon, user, "max_connections", 6)
        self.check_comes_in_after(daemon, BOB, clients[0])

    def test_no_more_file_descriptors(self):
        """Who comes when there are none is told so or sent away, and it passes."""
        daemon = self.start_daemon(rlimits={resource.RLIMIT_NOFILE: 40})
        clients, refused = [], 0
        for _ in range(60):
            client = Client(daemon.socket_path)
            self.addCleanup(client.close)
            client.send_what_is_taken(encode("list", id=1))
            reply = client.reply()
            if reply is None:
                refused += 1
            elif "error" in reply:
                refused += 1
                self.assertIsNone(reply["id"])
                data = reply["error"]["data"]
                self.assertEqual(
                    (data["error"], data["limit"]), ("io.shmd.LimitReached", "RLIMIT_NOFILE")
                )
            else:
                clients.append(client)
        self.assertGreater(refused, 10)
        self.assertGreater(len(clients), 5)
        clients[0].call("list")
        for client in clients:
            client.finish()
            self.assertIsNone(client.reply())
        self.served(daemon)

    def test_a_dead_peer_is_no_connection(self):
        daemon = self.start_daemon(config="max_connections_per_uid = 5\n")
        for _ in range(50):
            client = self.served(daemon)
            client.socket.shutdown(socket.SHUT_RDWR)
            client.close()
            # Its end is seen in the turn of the loop before the next one's request at the latest.
            self.served(daemon, ROOT).close()

    # Whoever closed a connection before it connects again has made its own room.

    @contextlib.contextmanager
    def held_up(self, daemon):
        """What is done meanwhile the daemon finds all at once."""
        daemon.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            daemon.signal(signal.SIGCONT)

    def asked(self, daemon, user=None):
        """One that has said something, and has no answer yet."""
        client = self.connect(daemon, user)
        client.send_what_is_taken(encode("list", id=1))
        return client

    def check_room_again(self, daemon, users):
        """USERS are as many as may be; one leaves, and at once another comes in its place."""
        clients = collections.deque((user, self.served(daemon, user)) for user in users)
        for i in range(300):
            # The daemon is as fast as it is, or slower than both.
            with self.held_up(daemon) if i % 10 == 0 else contextlib.nullcontext():
                user, leaving = clients.popleft()
                leaving.close()
                new = self.asked(daemon, user)
            self.assertIn("result", new.reply() or {}, "refused")
            clients.append((user, new))

    @needs_several_uids
    def test_room_of_ones_own(self):
        daemon = self.start_daemon(config="max_connections_per_uid = 5\n")
        self.check_room_again(daemon, [ALICE] * 5)
        self.check_turned_away(daemon, ALICE, "max_connections_per_uid", 5)

    @needs_several_uids
    def test_room_in_all(self):
        daemon = self.start_daemon(config="max_connections = 6\n")
        self.check_room_again(daemon, [ALICE, BOB] * 3)

    @needs_several_uids  # the watcher would be one of the five
    def test_room_of_whoever_leaves_in_the_midst(self):
        """Whatever it was at, what it had sent is executed, and then there is room."""

        def create(name):
            return encode("create", {"name": name, "size": 1})

        wait = encode("wait", {"name": "never", "timeout_ms": 3600000}, id=1)
        filler = encode("lookup", {"name": "x" * 100}) * 500
        kinds = {
            "asks": lambda name: (b"", create(name)),
            "does not finish": lambda name: (b'{"jsonrpc', b'":1}\n' + create(name) + b"["),
            "asks for much": lambda name: (b"", filler + create(name)),
            "listens": lambda name: (encode("subscribe", id=1), create(name)),
            "waits": lambda name: (wait, wait * 3 + create(name) + wait),
            "is refused": lambda name: (create(name) + b"[" + b" " * 3000, b" " * 1000),
            "is wrong": lambda name: (create(name) + encode("list", id=1)[:-2], b"]"),
        }
        daemon = self.start_daemon(config="max_connections_per_uid = 5\nmax_message_bytes = 2000\n")
        watcher = self.connect(daemon, ROOT)
        for kind, sends in kinds.items():
            for together in (False, True):
                with self.subTest(kind=kind, together=together):
                    clients = [self.served(daemon) for _ in range(5)]
                    names = [f"{kind}-{together}-{i}".replace(" ", "-") for i in range(5)]
                    for client, name in zip(clients, names):
                        client.send_what_is_taken(sends(name)[0])
                    watcher.call("list")  # behind what they said
                    with self.held_up(daemon) if together else contextlib.nullcontext():
                        for client, name in zip(clients, names):
                            client.send_what_is_taken(sends(name)[1])
                            client.close()
                        new = [self.asked(daemon) for _ in names]
                    for client in new:
                        self.assertIn("result", client.reply() or {}, "refused")
                    there = {s.get("name") for s in watcher.list()}
                    self.assertLessEqual(set(names), there, "what they sent is executed")
                    for client in new:
                        client.finish()
                        self.assertIsNone(client.reply())
                        client.close()

    def test_room_of_many(self):
        """More than the kernel tells of at once."""
        daemon = self.start_daemon(config="max_connections_per_uid = 200\n")
        clients = [self.served(daemon) for _ in range(200)]
        for _ in range(5):
            with self.held_up(daemon):
                for client in clients:
                    client.close()
                clients = [self.asked(daemon) for _ in range(200)]
            for client in clients:
                self.assertIn("result", client.reply() or {}, "refused")
        # Those who leave stand behind a crowd that asks.
        for _ in range(20):
            with self.held_up(daemon):
                for client in clients[:-1]:
                    client.send(encode("list", id=2))
                clients.pop().close()
                clients.insert(0, self.asked(daemon))
            self.assertEqual((clients[0].reply() or {}).get("id"), 1, "refused")
            for client in clients[1:]:
                self.assertEqual(client.reply()["id"], 2)

    def test_room_behind_one_that_did_not_stay(self):
        daemon = self.start_daemon(config="max_connections_per_uid = 5\n")
        clients = [self.served(daemon) for _ in range(5)]
        for _ in range(20):
            with self.held_up(daemon):
                for _ in range(3):
                    self.connect(daemon).close()
                clients.pop(0).close()
                for _ in range(3):
                    self.connect(daemon).close()
                clients.append(self.asked(daemon))
            self.assertIn("result", clients[-1].reply() or {}, "refused")

    @needs_several_uids
    def test_a_crowd_is_turned_away(self):
        daemon = self.start_daemon(config="max_connections_per_uid = 5\n")
        clients = [self.served(daemon, ALICE) for _ in range(5)]
        for leaving in (0, 2):
            with self.held_up(daemon):
                for _ in range(leaving):
                    clients.pop(0).close()
                crowd = [self.asked(daemon, ALICE) for _ in range(300)]
                other = self.asked(daemon, BOB)
            self.assertIn("result", other.reply() or {}, "another is not in it")
            replies = [client.reply() for client in crowd]
            for reply in replies[:leaving]:
                self.assertIn("result", reply)
            for reply in replies[leaving:]:
                data = reply["error"]["data"]
                self.assertEqual(
                    (data["quota"], data["used"], data["max"]), ("max_connections_per_uid", 5, 5)
                )
            clients += crowd[:leaving]
            for client in crowd[leaving:]:
                self.assertIsNone(client.reply(), "and then the connection ends")
                client.close()
            for client in clients:
                client.call("list")


main()
