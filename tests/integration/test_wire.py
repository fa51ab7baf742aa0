# SPDX-License-Identifier: MIT
"""The wire: framing, envelopes, batches, and how a connection goes on after clumsy input. What each
such input is answered is in test_json_rpc_table.py, input in hostile amounts in test_hostile.py.
"""

import json
import select
import threading

import sysv
from harness import (
    DEADLINE,
    INVALID_REQUEST,
    PARSE_ERROR,
    TestCase,
    encode,
    main,
    slow,
    wait_until,
)

PROBE = encode("list", id="probe")


class WireCase(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def check_still_serves(self, client=None):
        client = client or self.client
        client.send(PROBE)
        reply = client.reply()
        self.assertIsNotNone(reply, "closed")
        self.assertEqual(reply["id"], "probe", reply)
        self.assertIn("result", reply)

    def check_parse_error(self, data, resync=b"\n"):
        """DATA is answered with a parse error, and the connection goes on behind RESYNC."""
        client = self.connect(self.daemon)
        client.send(data)
        client.send(resync)
        self.check_envelope_error(client.reply(), PARSE_ERROR)
        self.check_still_serves(client)
        client.close()


class Framing(WireCase):
    def test_one_compact_line_per_reply(self):
        self.client.send(b'{"jsonrpc": "2.0", "id": 7, "method": "list"}\n')
        self.assertEqual(
            self.client.read_line(), b'{"jsonrpc":"2.0","id":7,"result":{"segments":[]}}'
        )

    def test_indented_and_without_a_newline(self):
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "list", "params": {}}, indent=4)
        self.client.send(request.encode())
        self.assertEqual(self.client.reply()["id"], 1)

    def test_no_newlines_between(self):
        request = PROBE.rstrip()
        self.assertEqual(len(self.client.exchange(request * 5)), 5)

    def test_white_space_between(self):
        data = b"\n\r\n  \t" + PROBE + b"\r\n\r\n" + PROBE.rstrip() + b" \t " + PROBE + b"\n\n\n"
        self.assertEqual([r["id"] for r in self.client.exchange(data)], ["probe"] * 3)

    def test_crlf(self):
        data = PROBE.replace(b"\n", b"\r\n") * 3
        self.assertEqual(len(self.client.exchange(data)), 3)

    def test_one_byte_at_a_time(self):
        request = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "create",
             "params": {"name": "slowly", "size": 10, "labels": {"t": 'é"\\\n{[,'}}},
            indent=2, ensure_ascii=False,
        ).encode()
        for byte in request:
            self.client.send(bytes([byte]))
        self.assertEqual(self.client.reply()["result"]["segment"]["labels"], {"t": 'é"\\\n{[,'})
        for byte in b"[{]":
            self.client.send(bytes([byte]))
        self.check_envelope_error(self.client.reply(), PARSE_ERROR)

    def test_brackets_and_escapes_in_strings(self):
        for text in ('}"{', "]}[{", "\\", '\\"', "\\\\\"}", "\x00".replace("\x00", "\x01")):
            with self.subTest(text=text):
                segment = self.client.create(labels={"t": text})
                self.assertEqual(segment["labels"], {"t": text})

    def test_unicode_escapes(self):
        self.client.send(
            rb'{"jsonrpc":"2.0","id":1,"method":"create","params":{"name":"\u0066rames","size":1,'
            rb'"labels":{"clef":"\ud834\udd1e"}}}'
        )
        segment = self.client.reply()["result"]["segment"]
        self.assertEqual((segment["name"], segment["labels"]), ("frames", {"clef": "\U0001d11e"}))

    def test_no_greeting(self):
        self.client.finish()
        self.assertEqual(self.client.replies(), [])


class Order(WireCase):
    def test_many_pipelined(self):
        """3,000 requests that nobody waits for: all answered, in order, though their answers are
        more than the daemon is willing to keep."""
        self.client.create(name="frames", labels={f"k{i}": "x" * 200 for i in range(8)})
        requests = b"".join(encode("stat", {"name": "frames"}, id=i) for i in range(3000))
        sender = threading.Thread(target=lambda: (self.client.send(requests), self.client.finish()))
        sender.start()
        replies = self.client.replies()
        sender.join(DEADLINE)
        self.assertEqual([reply["id"] for reply in replies], list(range(3000)))
        self.assertTrue(all("result" in reply for reply in replies))

    def test_requests_see_what_the_ones_before_did(self):
        replies = self.client.exchange(
            encode("create", {"name": "a", "size": 1}, id=1)
            + encode("set", {"name": "a", "new_name": "b"}, id=2)
            + encode("stat", {"name": "a"}, id=3)
            + encode("remove", {"name": "b"}, id=4)
            + encode("list", id=5)
        )
        self.assertEqual([r["id"] for r in replies], [1, 2, 3, 4, 5])
        self.assertEqual(replies[2]["error"]["code"], 1)
        self.assertEqual(replies[3]["result"]["segment"]["state"], "removed")
        self.assertEqual(replies[4]["result"]["segments"], [])

    def test_errors_keep_their_place(self):
        replies = self.client.exchange(
            encode("list", id=1) + b"nonsense\n" + encode("nothing", id=2) + b"{}\n" + PROBE
        )
        self.assertEqual([r["id"] for r in replies], [1, None, 2, None, "probe"])


class Ids(WireCase):
    def test_echoed(self):
        for value in ("x", "", "é\"\\", 1, 0, -5, 2**63 - 1, -(2**63), 1.5, None):
            with self.subTest(id=value):
                self.client.send(encode("list", id=value))
                reply = self.client.reply()
                self.assertIn("result", reply)
                self.assertEqual(reply["id"], value)
                self.assertIs(type(reply["id"]), type(value))

    def test_neither_object_nor_array_nor_bool(self):
        for value in ({}, {"a": 1}, [], [1], True, False):
            with self.subTest(id=value):
                self.client.send(encode("list", id=value))
                self.check_envelope_error(self.client.reply(), INVALID_REQUEST)
        self.check_still_serves()

    def test_beyond_int64_cannot_be_recovered(self):
        self.client.send(encode("list", id=2**63))
        self.check_envelope_error(self.client.reply(), PARSE_ERROR)
        self.check_still_serves()

    def test_notifications_are_executed_and_never_answered(self):
        replies = self.client.exchange(
            encode("create", {"name": "quiet", "size": 1})
            + encode("stat", {"name": "not there"})
            + encode("create", {"size": "many"})
            + encode("no such method")
            + PROBE
        )
        self.assertEqual(len(replies), 1, replies)
        self.assertEqual(replies[0]["id"], "probe")
        self.assertEqual([s["name"] for s in replies[0]["result"]["segments"]], ["quiet"])


class Envelope(WireCase):
    def test_version(self):
        for version in ("1.0", "2", "2.00", 2, 2.0, None, ["2.0"], ""):
            with self.subTest(jsonrpc=version):
                self.client.send(
                    json.dumps({"jsonrpc": version, "id": 5, "method": "list"}).encode() + b"\n"
                )
                self.check_envelope_error(self.client.reply(), INVALID_REQUEST, 5)
        self.check_still_serves()

    def test_no_version_at_all(self):
        for request in (b'{"id":5,"method":"list"}', b"{}", b'{"method":"io.shmd.List"}'):
            with self.subTest(request=request):
                self.client.send(request + b"\n")
                reply = self.client.reply()
                self.assertEqual(reply["error"]["code"], INVALID_REQUEST, reply)
        self.check_still_serves()

    def test_method(self):
        for method in (None, 5, ["list"], {}):
            with self.subTest(method=method):
                self.client.send(
                    json.dumps({"jsonrpc": "2.0", "id": 5, "method": method}).encode() + b"\n"
                )
                self.check_envelope_error(self.client.reply(), INVALID_REQUEST, 5)
        self.client.send(b'{"jsonrpc":"2.0","id":5}\n')
        self.check_envelope_error(self.client.reply(), INVALID_REQUEST, 5)
        self.check_still_serves()

    def test_unknown_members_are_ignored(self):
        self.client.send(b'{"jsonrpc":"2.0","id":5,"method":"list","auth":"x","x":{"y":[1]}}\n')
        self.assertIn("result", self.client.reply())

    def test_an_error_has_its_data(self):
        self.client.send(encode("stat", {"name": "frames"}, id=5))
        reply = self.client.reply()
        self.assertEqual(set(reply), {"jsonrpc", "id", "error"})
        self.assertEqual(set(reply["error"]), {"code", "message", "data"})
        self.assertEqual(
            reply["error"]["data"], {"error": "io.shmd.NoSuchSegment", "name": "frames"}
        )


class Batches(WireCase):
    def batch(self, *members):
        self.client.send(json.dumps(members).encode() + b"\n")

    @staticmethod
    def member(method="list", **members):
        return {"jsonrpc": "2.0", "method": method, **members}

    def test_answered_as_one_array_in_order(self):
        self.batch(*(self.member(id=i) for i in range(5)))
        replies = self.client.reply()
        self.assertEqual([reply["id"] for reply in replies], [0, 1, 2, 3, 4])
        self.assertTrue(all("result" in reply for reply in replies))

    def test_mixed(self):
        self.batch(
            self.member("create", id="a", params={"name": "n", "size": 1}),
            self.member("create", params={"name": "quiet", "size": 1}),
            17,
            {"jsonrpc": "1.0", "id": 3, "method": "list"},
            self.member("nothing", id=4),
            [],
            self.member(id=None),
        )
        replies = self.client.reply()
        self.assertEqual([r["id"] for r in replies], ["a", None, 3, 4, None, None])
        codes = [r.get("error", {}).get("code") for r in replies]
        self.assertEqual(
            codes, [None, INVALID_REQUEST, INVALID_REQUEST, -32601, INVALID_REQUEST, None]
        )
        names = {segment["name"] for segment in replies[-1]["result"]["segments"]}
        self.assertEqual(names, {"n", "quiet"})

    def test_empty(self):
        self.batch()
        self.check_envelope_error(self.client.reply(), INVALID_REQUEST)
        self.check_still_serves()

    def test_of_what_are_no_requests(self):
        self.batch(1, "two", None)
        replies = self.client.reply()
        self.assertEqual(len(replies), 3)
        for reply in replies:
            self.check_envelope_error(reply, INVALID_REQUEST)

    def test_of_notifications_alone(self):
        self.batch(self.member("create", params={"name": "quiet", "size": 1}), self.member())
        self.check_still_serves()
        self.assertEqual(self.client.stat(name="quiet")["size"], 1)

    def test_64_members_and_not_one_more(self):
        self.batch(*(self.member(id=i) for i in range(64)))
        self.assertEqual(len(self.client.reply()), 64)
        self.batch(*(self.member("create", id=i, params={"size": 1}) for i in range(65)))
        self.check_envelope_error(self.client.reply(), INVALID_REQUEST)
        self.assertEqual(sysv.proc_table(), {}, "none of the 65 is executed")
        self.check_still_serves()


class NotJson(WireCase):
    def test_words_and_rubbish(self):
        for data in (
            b"nonsense",
            b"NaN",
            b"'single'",
            b"// comment",
            b"/* comment */",
            b"}",
            b"]",
            b",",
            b"\\",
            b"\xff\xfe",
            b"nul",
            b"0x10",
            b"+1",
            b"01",
        ):
            with self.subTest(data=data):
                self.check_parse_error(data)

    def test_inside_a_request(self):
        good = PROBE.rstrip()
        for data in (
            good.replace(b'"probe"', b"NaN"),
            good.replace(b'"probe"', b"Infinity"),
            good.replace(b'"probe"', b"01"),
            good.replace(b'"probe"', b"1."),
            good.replace(b'"probe"', b"'x'"),
            good.replace(b'"probe"', b'"\\x"'),
            good.replace(b'"probe"', b'"\\ud834"'),
            good.replace(b'"probe"', b'"\xff"'),
            good.replace(b'"probe"', b'"\xc0\x80"'),
            good.replace(b'"probe"', b'"\xed\xa0\x80"'),
            good.replace(b'"probe"', b'"tab\t"'),
            good.replace(b"{", b"{/* comment */"),
            good.replace(b"{", b"{,"),
            good.replace(b"}", b",}"),
            b"\xef\xbb\xbf" + good,
        ):
            with self.subTest(data=data):
                self.check_parse_error(data)

    def test_mismatched_brackets_fail_at_their_byte(self):
        """No line end is needed, nor anything behind the wrong byte."""
        for data in (b"[{]", b'{"a":[}', b"[}", b'{"jsonrpc":"2.0","x":[[1,2},', b"}"):
            with self.subTest(data=data):
                client = self.connect(self.daemon)
                client.send(data)
                self.check_envelope_error(client.reply(), PARSE_ERROR)
                client.send(b" rest of it\n")
                self.check_still_serves(client)

    def test_depth(self):
        def nested(depth):
            inner = b"[" * (depth - 2) + b"]" * (depth - 2)
            return b'{"jsonrpc":"2.0","id":1,"method":"list","params":{"x":' + inner + b"}}"

        self.client.send(nested(32) + b"\n")
        self.assertEqual(self.client.reply()["error"]["code"], -32602)
        self.client.send(nested(33) + b"\n")
        self.check_envelope_error(self.client.reply(), INVALID_REQUEST, 1)
        self.check_still_serves()

    def test_one_answer_per_error_and_resync_at_lf(self):
        replies = self.client.exchange(b"]]]] more ]]]\n" + PROBE + b"]{{{\n" + PROBE)
        self.assertEqual([r["id"] for r in replies], [None, "probe", None, "probe"])

    def test_resync_at_nul(self):
        self.client.send(b"]]]]\0" + PROBE)
        self.check_envelope_error(self.client.reply(), PARSE_ERROR)
        self.assertEqual(self.client.reply()["id"], "probe")

    def test_a_forgotten_quote_costs_a_line(self):
        self.check_parse_error(b'{"jsonrpc":"2.0","id":"x,"method":"list}')

    def test_scalars_are_json_and_no_requests(self):
        for data in (b"1", b"-1.5e3", b"true", b"null", b'"text"'):
            with self.subTest(data=data):
                self.client.send(data + b"\n")
                self.check_envelope_error(self.client.reply(), INVALID_REQUEST)
        self.check_still_serves()


class Integers(WireCase):
    def test_beyond_int64_names_the_parameter(self):
        for value in ("9223372036854775808", "-9223372036854775809", "1" + "0" * 400):
            with self.subTest(value=value):
                self.client.send(
                    b'{"jsonrpc":"2.0","id":5,"method":"create","params":{"size":%s}}\n'
                    % value.encode()
                )
                reply = self.client.reply()
                self.assertEqual((reply["id"], reply["error"]["code"]), (5, -32602), reply)
                self.assertEqual(reply["error"]["data"]["parameter"], "size")

    def test_beyond_int64_and_no_request(self):
        for value in (b"9223372036854775808", b"-9223372036854775809", b"1" + b"0" * 400):
            with self.subTest(value=value):
                self.client.send(value + b"\n")
                self.check_envelope_error(self.client.reply(), PARSE_ERROR)
                self.client.send(b"[" + value + b",1," + PROBE.rstrip() + b"]\n")
                beyond, other, probe = self.client.reply()
                self.check_envelope_error(beyond, PARSE_ERROR)
                self.check_envelope_error(other, INVALID_REQUEST)
                self.assertEqual(probe["id"], "probe")
        # The line goes on behind such a value.
        self.client.send(b"9223372036854775808 " + PROBE)
        self.check_envelope_error(self.client.reply(), PARSE_ERROR)
        self.assertEqual(self.client.reply()["id"], "probe")

    def test_beyond_int64_where_none_is_wanted(self):
        self.client.send(
            b'{"jsonrpc":"2.0","id":5,"method":"create","params":'
            b'{"size":1,"labels":{"a":9223372036854775808}}}\n'
        )
        reply = self.client.reply()
        self.assertEqual((reply["id"], reply["error"]["code"]), (5, -32602), reply)
        self.assertEqual(reply["error"]["data"]["reason"],
                         'the value of "a" must be a string, not a number beyond the range of a '
                         "64-bit integer")

    def test_the_greatest_is_exact(self):
        data = self.refused("NoSuchSegment", self.client, "stat", serial=2**63 - 1)
        self.assertEqual(data["serial"], 2**63 - 1)


class Ends(WireCase):
    def test_half_close(self):
        """As nc -N does: all that was received is executed, and every reply comes."""
        replies = self.client.exchange(
            b"".join(encode("create", {"name": f"s{i}", "size": 1}, id=i) for i in range(50))
        )
        self.assertEqual([r["id"] for r in replies], list(range(50)))
        self.assertEqual(len(sysv.proc_table()), 50)

    def test_end_of_a_scalar_is_the_end(self):
        for data in (b"17", b"-1.5", b"1e3", b"true", b"null"):
            with self.subTest(data=data):
                reply, = self.connect(self.daemon).exchange(data)
                self.check_envelope_error(reply, INVALID_REQUEST)

    def test_end_inside_a_value(self):
        for data in (b"{", b'{"jsonrpc":"2.0"', b'"text', b"[1,", PROBE.rstrip()[:-1],
                     b"tru", b"nul", b"fals", b"-", b"1.", b"1e"):
            with self.subTest(data=data):
                client = self.connect(self.daemon)
                replies = client.exchange(PROBE + data)
                self.assertEqual(len(replies), 2, replies)
                self.assertEqual(replies[0]["id"], "probe")
                self.check_envelope_error(replies[1], PARSE_ERROR)
                self.assertIn("unexpected end", replies[1]["error"]["message"])

    def test_send_and_close_at_once(self):
        for i in range(300):
            client = self.daemon.connect()
            client.send(encode("create", {"name": f"gone{i}", "size": 1}, id=i))
            client.close()
        wait_until(lambda: len(sysv.proc_table()) == 300, "all 300 are made")
        self.assertEqual(len(self.client.list(limit=1000)), 300)

    def test_more_than_one_read_send_and_close(self):
        # The first answers already find nobody.
        client = self.daemon.connect()
        requests = [encode("create", {"name": f"gone{i}", "size": 1, "labels": {"text": "x" * 90}})
                    for i in range(800)]
        client.send(b"".join(requests))
        client.close()
        wait_until(lambda: len(sysv.proc_table()) == 800, "all 800 are made")
        wait_until(lambda: "shmd_connections 1\n" in self.client.call("metrics")["text"],
                   "its connection is closed")

    def test_what_is_behind_a_wait_is_executed_when_the_peer_goes(self):
        client = self.daemon.connect()
        client.send(encode("wait", {"name": "never"}, id=1) + encode("create", {"size": 1}, id=2))
        client.close()
        wait_until(lambda: sysv.proc_table(), "it is made")
        wait_until(lambda: "shmd_waiters 0\n" in self.client.call("metrics")["text"],
                   "nobody waits any more")
        wait_until(lambda: "shmd_connections 1\n" in self.client.call("metrics")["text"],
                   "its connection is closed")

    def test_without_lf_send_and_close(self):
        client = self.daemon.connect()
        client.send(encode("create", {"name": "last", "size": 1}, id=1).rstrip())
        client.close()
        wait_until(lambda: sysv.proc_table(), "it is made")

    @slow
    def test_a_value_has_30_seconds_and_silence_is_free(self):
        idle, between = self.connect(self.daemon), self.connect(self.daemon)
        between.call("list")
        # Bytes that keep coming do not prolong it.
        trickle = self.connect(self.daemon)
        trickle.send(b"[")
        self.client.send(b'{"jsonrpc":"2.0","id":1,')
        # Each value has its own 30 seconds, however the pieces fall.
        busy = self.connect(self.daemon)
        busy.send(PROBE[:9])

        def is_over():
            busy.send(PROBE[9:] + PROBE[:9])
            self.assertEqual(busy.reply()["id"], "probe")
            if select.select([trickle.socket], [], [], 0.5)[0]:
                return True
            trickle.send(b" ")
            return False

        wait_until(is_over, "the trickle ends")
        for client in (trickle, self.client):
            self.check_envelope_error(client.reply(), PARSE_ERROR)
            self.assertIsNone(client.reply(), "and then the connection ends")
        self.check_still_serves(idle)
        self.check_still_serves(between)
        busy.send(PROBE[9:])
        self.check_still_serves(busy)


main()
