"""Input in hostile amounts: too large, too many, and readers that do not read. The daemon answers or
closes, goes on serving others, and stays small. Input at random is in test_mutations.py.
"""

import resource
import select
import socket
import threading

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


class Connections(HostileCase):
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


main()
