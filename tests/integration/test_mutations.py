# SPDX-License-Identifier: MIT
"""Requests mutated at random, and what was found by them: always an answer that is JSON or a close.

The seed is printed; SHMD_TEST_SEED=N runs it again.
"""

import json
import os
import random
import re

from harness import TestCase, diagnostics, encode, main


class Mutations(TestCase):
    SEED = int(os.environ.get("SHMD_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    ROUNDS = 1500

    REQUESTS = [
        encode("create", {"name": "frames", "size": 4096, "mode": "0640", "labels": {"a": "b"}}, id=1),
        encode("stat", {"name": "frames"}, id="two"),
        encode("set", {"name": "frames", "new_name": "other", "ttl_ms": 0}, id=3.5),
        encode("remove", {"key": -7, "serial": 1}, id=None),
        encode("list", {"prefix": "f", "scope": "all", "limit": 3}, id=-1),
        encode("info", id=0),
        b'[{"jsonrpc":"2.0","id":1,"method":"info"},{"jsonrpc":"2.0","method":"list","params":[]}]\n',
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "info", "params": {}}, indent=2).encode(),
        b'{"method":"io.shmd.List","parameters":{}}\0',
    ]
    PIECES = [
        b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\0", b"\n", b"null", b"true", b"-", b"1e999",
        b"9223372036854775808", b"\xff", b"\xf0\x9d\x84\x9e", b"\\u0000", b"\\ud800", b"[" * 40, b" " * 300,
        b'"jsonrpc":"2.0",', b'"id":1,', b"x" * 300,
    ]

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()

    def mutate(self, rng):
        data = bytearray(rng.choice(self.REQUESTS) * rng.choice((1, 1, 2)))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            at = rng.randrange(len(data) + 1)
            kind = rng.randrange(5)
            if kind == 0:
                data[at:at] = rng.choice(self.PIECES)
            elif kind == 1:
                del data[at : at + rng.choice((1, 1, 2, 10))]
            elif kind == 2:
                data[at : at + 1] = bytes([rng.randrange(256)])
            elif kind == 3:
                end = min(len(data), at + rng.randrange(1, 20))
                data[at:at] = data[at:end]
            else:
                data[at : at + 1] = rng.choice(self.PIECES)
        return bytes(data)

    def answer_to(self, data):
        client = self.daemon.connect()
        try:
            client.send_what_is_taken(data)
            try:
                client.finish()
            except OSError:
                pass  # closed already
            answer = b""
            while True:
                try:
                    part = client.socket.recv(65536)
                except ConnectionResetError:
                    return answer
                if not part:
                    return answer
                answer += part
        finally:
            client.close()

    def test_mutations_are_answered_or_closed(self):
        diagnostics(f"SHMD_TEST_SEED={self.SEED}")
        rng = random.Random(self.SEED)
        for number in range(self.ROUNDS):
            data = self.mutate(rng)
            try:
                answer = self.answer_to(data)
            except TimeoutError:
                self.fail(f"mutation {number} of seed {self.SEED} hangs: {data!r}")
            self.assertIsNone(self.daemon.process.poll(), f"{number}, {self.SEED}: {data!r}")
            self.assertIn(answer[-1:], (b"", b"\n", b"\0"), (data, answer))
            with self.subTest(mutation=number, seed=self.SEED, data=data):
                self.check_is_json(answer)
        with self.daemon.connect() as client:
            client.call("info")

    def check_is_json(self, answer):
        """Whatever was sent, what comes back is JSON, and that is UTF-8."""
        for reply in filter(None, re.split(rb"[\n\0]", answer)):
            json.loads(reply.decode("utf-8"))

    def test_errors_quote_no_half_characters(self):
        """An error that quotes what was sent cuts it between two characters, wherever it cuts."""
        for character in ("\u00e9", "\u20ac", "\U0001d11e"):
            for length in range(60, 140):
                name = "x" * length + character * 300
                for data in (
                    encode("list", {name: 1}, id=1),
                    json.dumps(
                        {"jsonrpc": "2.0", "id": 1, "method": "list", "params": {name: 1}},
                        ensure_ascii=False,
                    ).encode(),
                    encode(name, id=1),
                    b'{"jsonrpc":"2.0","id":"' + name.encode() + b"\\u00\n",
                ):
                    with self.subTest(length=length, data=data[:60]):
                        self.check_is_json(self.answer_to(data))

    def test_a_broken_escape_before_a_long_character(self):
        for character in ("\u00e9", "\u20ac", "\U0001d11e"):
            for escape in (b"\\", b"\\u", b"\\u0", b"\\u00", b"\\u000"):
                data = b'{"jsonrpc":"' + escape + character.encode() + b'2.0","id":1}\n'
                with self.subTest(data=data):
                    self.check_is_json(self.answer_to(data))


main()
