# SPDX-License-Identifier: MIT
"""What each kind of input is answered, to the byte: a table of inputs, and after each of them what
becomes of the connection. Each input is sent whole and one byte at a time.
"""

import json

from harness import TestCase, encode, main

# What becomes of the connection behind the input.
GOES_ON = "goes on right behind it"
NEXT_LINE = "goes on with the next line"
CLOSES = "closes"

PARSE, INVALID, NO_METHOD, BAD_PARAMETER, INTERNAL = -32700, -32600, -32601, -32602, -32603
NOT_OBJECT = "a request must be an object with jsonrpc, method and params"
NO_VALUE = 'not JSON: a value begins with {, [, ", a digit, -, true, false or null'
BEYOND = "is beyond the range of a 64-bit integer"
EXPECTED = (
    "; expected JSON-RPC 2.0 requests as plain JSON values, one after the other, without headers or framing"
)
MARK = b"\xef\xbb\xbf"


def failure(code, message, request_id="null", data=""):
    """One line of an answer. REQUEST_ID and DATA are JSON."""
    data = f',"data":{data}' if data else ""
    return (
        f'{{"jsonrpc":"2.0","id":{request_id},"error":{{"code":{code},'
        f'"message":{json.dumps(message, ensure_ascii=False)}{data}}}}}'
    ).encode()


def parse_error(message):
    return failure(PARSE, message)


def invalid(message, request_id="null"):
    return failure(INVALID, message, request_id)


def bad_parameter(parameter, reason, request_id):
    data = {"error": "org.varlink.service.InvalidParameter", "parameter": parameter, "reason": reason}
    return failure(
        BAD_PARAMETER, f"parameter {parameter}: {reason}", request_id,
        json.dumps(data, separators=(",", ":")),
    )


def good(request_id="1"):
    """The answer to `list`, where there is nothing."""
    return b'{"jsonrpc":"2.0","id":' + request_id.encode() + b',"result":{"segments":[]}}'


def request(method='"list"', params=None, request_id="1", more=""):
    """A request of parts that are JSON texts; None leaves a part out."""
    parts = ['"jsonrpc":"2.0"']
    parts += [f'"id":{request_id}'] if request_id is not None else []
    parts += [f'"method":{method}'] if method is not None else []
    parts += [f'"params":{params}'] if params is not None else []
    return ("{" + ",".join(parts) + more + "}").encode()


def nested(depth):
    return "[" * depth + "]" * depth


def duplicate(key, at, request_id="null"):
    return invalid(f'duplicate key "{key}", at byte {at}: an object may have each key once', request_id)


NOT_JSON_BALANCED = [
    (b"{nonsense}", [parse_error("not JSON: expected a key in double quotes, at byte 1")]),
    (b"{bad} ", [parse_error("not JSON: expected a key in double quotes, at byte 1")]),
    (b"[NaN]", [parse_error("not JSON: not a value, at byte 1")]),
    (b"[-Infinity]", [parse_error("not JSON: not a number as JSON writes them, at byte 2")]),
    (b"[1,]", [parse_error("not JSON: not a value, at byte 3")]),
    (b"[1 2]", [parse_error("not JSON: expected a comma or ], at byte 3")]),
    (b'{"a" 1}', [parse_error("not JSON: expected a colon after the key, at byte 5")]),
    (b'{"a":1,}', [parse_error("not JSON: expected a key in double quotes, at byte 7")]),
    (b"{'a':1}", [parse_error("not JSON: expected a key in double quotes, at byte 1")]),
    (b"[01]", [parse_error("not JSON: not a number as JSON writes them, at byte 2")]),
    (b"[1.]", [parse_error("not JSON: not a number as JSON writes them, at byte 3")]),
    (b"[+1]", [parse_error("not JSON: not a value, at byte 1")]),
    (b"[0x10]", [parse_error("not JSON: expected a comma or ], at byte 2")]),
    (b"[True]", [parse_error("not JSON: not a value, at byte 1")]),
    (b"[// why\n1]", [parse_error("not JSON: a comment, which JSON does not have, at byte 1")]),
    (b"{/* why */}", [parse_error("not JSON: expected a key in double quotes, at byte 1")]),
    (b'["\xff"]', [parse_error("not JSON: not UTF-8, at byte 2")]),
    (b'["\xc0\x80"]', [parse_error("not JSON: not UTF-8, at byte 2")]),
    (b'["\xed\xa0\x80"]', [parse_error("not JSON: not UTF-8, at byte 2")]),
    (b'"\xc3"', [parse_error("not JSON: not UTF-8, at byte 1")]),
    (b'["\\x"]', [parse_error("not JSON: no such escape, at byte 2")]),
    (b'"\\u12"', [parse_error("not JSON: \\u wants four hexadecimal digits, at byte 1")]),
    (b'["\\ud834"]', [parse_error("not JSON: half of a surrogate pair, which is no character, at byte 2")]),
    (MARK + request(), [parse_error("not JSON: a byte order mark; leave it out, at byte 0")]),
    (MARK + b"{\n\n}", [parse_error("not JSON: a byte order mark; leave it out, at byte 0")]),
    # One error for the whole value, over however many lines it goes; nothing in it is a request.
    (b"[\n" + request() + b"\n" + request() + b"\n]",
     [parse_error("not JSON: expected a comma or ], at byte 43 in line 3")]),
    (b'{"a":\n' + request() + b"\nb}", [parse_error("not JSON: expected a comma or }, at byte 47 in line 3")]),
    (b"[1,]{2}[,]", [parse_error("not JSON: not a value, at byte 3"),
                     parse_error("not JSON: expected a key in double quotes, at byte 1"),
                     parse_error("not JSON: not a value, at byte 1")]),
    # What is not JSON at all is told as that, whatever else it is.
    (request(params='{"a":1,"a":"\\u0000",}'),
     [parse_error("not JSON: expected a key in double quotes, at byte 69")]),
]

NO_END = [
    # Brackets that do not match.
    (b"[{]", [parse_error("not JSON: a ] at byte 2 where a { is open")]),
    (b'{"a":[}', [parse_error("not JSON: a } at byte 6 where a [ is open")]),
    (b"  [}", [parse_error("not JSON: a } at byte 1 where a [ is open")]),
    (b'{"jsonrpc":"2.0","x":[[1,2},', [parse_error("not JSON: a } at byte 26 where a [ is open")]),
    (nested(40).encode()[:-1] + b"}", [parse_error("not JSON: a } at byte 79 where a [ is open")]),
    (b"[[[[[{]]]]]", [parse_error("not JSON: a ] at byte 6 where a { is open")]),
    (b"[" * 80 + b"{]", [parse_error("not JSON: a ] at byte 81 where a { is open")]),
    # A control character in a string.
    *(
        (b'{"a":"x' + bytes([byte]), [parse_error(
            f"not JSON: the control character 0x{byte:02x} at byte 7, in a string: close the string, or write "
            "the character as an escape")])
        for byte in (0x01, 0x09, 0x0D, 0x1F)
    ),
    (b'["\\\t"]', [parse_error(
        "not JSON: the control character 0x09 at byte 3, in a string: close the string, or write the character "
        "as an escape")]),
    # What begins no value.
    (b"}", [parse_error(NO_VALUE)]),
    (b"]", [parse_error(NO_VALUE)]),
    (b", 1", [parse_error(NO_VALUE)]),
    (b"hello", [parse_error(NO_VALUE)]),
    (b"NaN", [parse_error(NO_VALUE)]),
    (b"Infinity", [parse_error(NO_VALUE)]),
    (b"'a'", [parse_error(NO_VALUE)]),
    (b"// why", [parse_error(NO_VALUE)]),
    (b"/* why */", [parse_error(NO_VALUE)]),
    (b"# why", [parse_error(NO_VALUE)]),
    (b"+1", [parse_error(NO_VALUE)]),
    (b"\xff\xfe{}", [parse_error(NO_VALUE)]),
    (b"\\", [parse_error(NO_VALUE)]),
    (b"Content", [parse_error(NO_VALUE)]),
    (b"GETTING", [parse_error(NO_VALUE)]),
    (b"]]]] more ]]] {{{", [parse_error(NO_VALUE)]),
    # A bare word or number that is none: its end is a guess.
    (b"nonsense", [parse_error("not JSON: not a value, at byte 0")]),
    (b"this is not json", [parse_error("not JSON: not a value, at byte 0")]),
    (b"nul", [parse_error("not JSON: not a value, at byte 0")]),
    (b"truefalse", [parse_error("not JSON: more behind the end of the value, at byte 4")]),
    (b"01", [parse_error("not JSON: not a number as JSON writes them, at byte 1")]),
    (b"-", [parse_error("not JSON: not a number as JSON writes them, at byte 1")]),
    (b"1.5.2", [parse_error("not JSON: more behind the end of the value, at byte 3")]),
    (b"12}", [parse_error("not JSON: unexpected byte 0x7d at byte 2")]),
    (MARK + b"x", [parse_error("not JSON: unexpected byte 0x78 at byte 3")]),
]

NO_END_OVER_LINES = [
    (b"[\n{]", [parse_error("not JSON: a ] at byte 3 where a { is open")]),
    (b"[1,\n2}", [parse_error("not JSON: a } at byte 5 where a [ is open")]),
    (b'{"a":1,\n"b":"x\n', [parse_error(
        "not JSON: the control character 0x0a at byte 14, in a string: close the string, or write the character "
        "as an escape")]),
    (b'[\n"a\tb"]', [parse_error(
        "not JSON: the control character 0x09 at byte 4, in a string: close the string, or write the character "
        "as an escape")]),
    (b"[\n\0", [parse_error("not JSON: unexpected byte 0x00 at byte 2")]),
    (b"{\n\n\n]", [parse_error("not JSON: a ] at byte 4 where a { is open")]),
    (MARK + b"[\n}", [parse_error("not JSON: a } at byte 5 where a [ is open")]),
]

OTHER_FRAMING = [
    (b"Content-Length: 44\r\n\r\n", "a Content-Length header"),
    (b"content-length:44\r\n\r\n", "a Content-Length header"),
    (b"Content-Type: application/json\r\n", "a Content-Type header"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP (GET)"),
    (b"POST /rpc HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "HTTP (POST)"),
    (b"OPTIONS * HTTP/1.0\r\n\r\n", "HTTP (OPTIONS)"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
    (b"HTTP/1.1 200 OK\r\n\r\n", "HTTP"),
    (b"\x1e" + request() + b"\n", "the record separator 0x1e (RFC 7464)"),
]
OTHER_FRAMING = [
    (data, [parse_error(f"not JSON: this begins with {what}{EXPECTED}")]) for data, what in OTHER_FRAMING
]

NUL = "\\u0000 in a string, at byte {}: the character U+0000 is not allowed"
DEEP = "the depth is greater than 32, at byte {}: open fewer brackets inside each other"
HUGE = "a number that ends at byte {} is too large: no double holds it"
_twice = request(params='{"a":1,"a":2}')
_escaped = request(params='{"a":1,"\\u0061":2}')
_nul = request(params='{"a":"\\u0000"}', request_id='"é\\n"')
_nul_key = request(params='{"\\u0000":1}', request_id="-5")
_deep = request(params=nested(33), request_id="1.50")
_huge = request(params='{"size":1e400}', request_id="null")
JSON_BUT_NOT_OURS = [
    (_twice, [duplicate("a", _twice.rindex(b'"a"') + 1, "1")]),
    (_escaped, [duplicate("\\u0061", _escaped.rindex(b'"\\u') + 1, "1")]),
    (request(more=',"method":"list"'), [duplicate("method", 41, "1")]),
    (request(more=',"id":2'), [duplicate("id", 41)]),
    (request(request_id=None, more=',"method":"list"'), [duplicate("method", 34)]),
    (b"[" + request() + b',{"a":1,"a":2}]', [duplicate("a", 50)]),
    (_nul, [invalid(NUL.format(_nul.rindex(b"\\u0000")), '"é\\n"')]),
    (_nul_key, [invalid(NUL.format(_nul_key.rindex(b"\\u0000")), "-5")]),
    (request(request_id='"\\u0000"'), [invalid(NUL.format(23))]),
    (b'"\\u0000"', [invalid(NUL.format(1))]),
    (_deep, [invalid(DEEP.format(_deep.index(b"[") + 31), "1.50")]),
    (nested(33).encode(), [invalid(DEEP.format(32))]),
    (nested(20000).encode(), [invalid(DEEP.format(32))]),
    (request(more=',"x":' + '{"a":' * 5000 + "1" + "}" * 5000), [invalid(DEEP.format(44 + 5 * 31), "1")]),
    (_huge, [invalid(HUGE.format(_huge.index(b"1e400") + 5))]),
    (request(more=',"x":-1e999'), [invalid(HUGE.format(50), "1")]),
    (request(request_id="1e400"), [invalid(HUGE.format(27))]),
    (b"1e400 ", [invalid(HUGE.format(5))]),
]

INTEGERS = [
    (request('"create"', '{"size":9223372036854775808}'), [bad_parameter("size", BEYOND, "1")]),
    (request('"create"', '{"size":-99999999999999999999}', '"x"'), [bad_parameter("size", BEYOND, '"x"')]),
    (request('"create"', '{"size":1' + "0" * 400 + "}"), [bad_parameter("size", BEYOND, "1")]),
    (request('"create"', '{"size":1,"labels":{"a":9223372036854775808}}'),
     [bad_parameter("labels", 'the value of "a" must be a string, not a number beyond the range of a 64-bit '
                    "integer", "1")]),
    (request(request_id="9223372036854775808"), [parse_error("id " + BEYOND)]),
    (request(request_id="-9223372036854775809"), [parse_error("id " + BEYOND)]),
    (b"9223372036854775808 ", [parse_error("a number beyond the range of a 64-bit integer is no request")]),
    # A real without a fraction is an integer, up to 2^53.
    (request(params='{"limit":5.0}'), [good()]),
    (request(params='{"limit":5e0}'), [good()]),
    (request(params='{"limit":0.5e1}'), [good()]),
    (request(params='{"limit":-0.0}'), [bad_parameter("limit", "must be from 1 to 1000, not 0", "1")]),
    (request(params='{"limit":5.5}'),
     [bad_parameter("limit", "must be an integer, not a number that is not an integer", "1")]),
    (request('"create"', '{"size":1,"ttl_ms":9007199254740994.0}'),
     [bad_parameter("ttl_ms", "must be an integer, not a real number above 2^53, which is not exact", "1")]),
    (request('"create"', '{"size":1e300}'), [bad_parameter("size", BEYOND, "1")]),
    (request(params='{"limit":"5"}'), [bad_parameter("limit", "must be an integer, not a string", "1")]),
    # Where no number is wanted it does not matter how it is written.
    (request(more=',"x":99999999999999999999'), [good()]),
]

PARAMS = [
    *((request(params=params), [good()]) for params in (None, "null", "{}", "[]", " [ ] ")),
    *(
        (request(params=params),
         [bad_parameter("params", "must be an object: parameters go by name", "1")])
        for params in ("[1]", "[{}]", "[null]", "5", '"x"', "true")
    ),
    (request(params='{"x":1}'),
     [bad_parameter("x", "unknown; list takes: prefix, uid, lifetime, state, labels, scope, limit, cursor", "1")]),
]

NO_ID = [
    # Notifications, right or wrong.
    *((request(params=params, request_id=None), []) for params in (None, "null", "{}", "[]", '{"x":1}', "[1]")),
    (request('"nosuch"', request_id=None), []),
    (request('"create"', '{"size":99999999999999999999}', None), []),
    # What is no request is no notification.
    *(
        (request(params=params, request_id=None), [invalid("params must be an object")])
        for params in ("5", '"x"', "true", "1.5")
    ),
    (request('"nosuch"', "5", None), [invalid("params must be an object")]),
    *(
        (request(method, request_id=None), [invalid("method must be a string")])
        for method in ("5", "null", "{}", '["list"]', None)
    ),
    (b'{"method":"list"}', [invalid('jsonrpc must be exactly "2.0"')]),
    (b"{}", [invalid('jsonrpc must be exactly "2.0"')]),
]

IDS = [
    *((request(request_id=i), [good(i)])
      for i in ("0", "-1", "1.5", "1.0", "0.1", "1e300", "9223372036854775807", "null", '""', '"a\\n"', '"é"')),
    *((request(request_id=i), [invalid("id must be a string, a number or null")])
      for i in ("{}", "[]", "[1]", "true", "false")),
]

ENVELOPE = [
    *(
        (b'{"jsonrpc":' + version + b',"id":"x","method":"list"}',
         [invalid('jsonrpc must be exactly "2.0"', '"x"')])
        for version in (b'"1.0"', b'"2"', b"2.0", b"2", b"null", b'["2.0"]', b'""')
    ),
    (b'{"id":7,"method":"list"}', [invalid('jsonrpc must be exactly "2.0"', "7")]),
    (b'{"jsonrpc":"1.0","id":[1]}', [invalid("id must be a string, a number or null")]),
    *((request(method), [invalid("method must be a string", "1")]) for method in ("5", "null", "{}", None)),
    (request('"List"'), [failure(
        NO_METHOD, "no such method: PROTOCOL.md lists them", "1",
        '{"error":"org.varlink.service.MethodNotFound","method":"List"}')]),
    *((value, [invalid(NOT_OBJECT)]) for value in (b"5 ", b"-1.5 ", b"true ", b"null ", b'"list"')),
    (request(more=',"auth":"x","y":{"z":[1]}'), [good()]),
]


def batch(*members):
    return b"[" + b",".join(members) + b"]"


BATCHES = [
    (b"[]", [invalid("a batch must have 1 to 64 members, not 0")]),
    (b"[1]", [batch(invalid(NOT_OBJECT))]),
    (b'[1,"x",null,[]]', [batch(*[invalid(NOT_OBJECT)] * 4)]),
    (batch(request(request_id=None), request(request_id=None)), []),
    (batch(request(), request(request_id=None), request(request_id='"b"')), [batch(good(), good('"b"'))]),
    (batch(request(params="5", request_id=None), request()),
     [batch(invalid("params must be an object"), good())]),
    (batch(*[request()] * 64), [batch(*[good()] * 64)]),
    (batch(*[request()] * 65), [invalid("a batch must have 1 to 64 members, not 65")]),
    (batch(request(), b"99999999999999999999"),
     [batch(good(), parse_error("a number beyond the range of a 64-bit integer is no request"))]),
]

WHITE_SPACE = [
    (b"", []),
    (b" \t\r\n\n", []),
    (b"\r\n" + request() + b"\r\n\r\n" + request() + b" ", [good(), good()]),
    (request() + request() + request(), [good(), good(), good()]),
    (json.dumps(json.loads(request()), indent=4).encode(), [good()]),
]

AT_THE_END = [
    *((data, [parse_error("unexpected end of the input in a value")])
      for data in (b"{", b"[1,", b'"text', b'{"jsonrpc":"2.0"', request()[:-1], b"nul", b"-", b"1.", b"GET",
                   MARK, MARK + b"[", b"[" * 100)),
    (b"17", [invalid(NOT_OBJECT)]),
    (b"null", [invalid(NOT_OBJECT)]),
    (b"", []),
    (b" \n", []),
    (request(), [good()]),
    (request() + b"\n", [good()]),
    (b"[{]", [parse_error("not JSON: a ] at byte 2 where a { is open")]),
]

BEHIND = [b'{"jsonrpc":"2.0","id":"behind","result":{"segments":[]}}']
ON_THE_NEXT_LINE = [b'{"jsonrpc":"2.0","id":"next line","result":{"segments":[]}}']
TAIL = encode("list", id="behind") + encode("list", id="next line")


class Table(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()

    def answers(self, data, piece):
        client = self.connect(self.daemon)
        for start in range(0, len(data), piece):
            client.send_what_is_taken(data[start : start + piece])
        try:
            client.finish()
        except OSError:
            pass  # closed by the daemon already
        lines = list(iter(client.read_line, None))
        client.close()
        return lines

    def check(self, cases, becomes):
        self.assertGreater(len(cases), 4)
        behind = {GOES_ON: BEHIND + ON_THE_NEXT_LINE, NEXT_LINE: ON_THE_NEXT_LINE, CLOSES: [], None: []}
        for data, want in cases:
            sent = data if becomes is None else data + TAIL
            for piece in {len(sent) or 1, 1 if len(sent) < 500 else 977}:
                with self.subTest(data=data[:200], piece=piece):
                    self.assertEqual(self.answers(sent, piece), want + behind[becomes])

    def test_not_json_with_brackets_that_balance(self):
        self.check(NOT_JSON_BALANCED, GOES_ON)

    def test_an_end_that_cannot_be_found_on_one_line(self):
        self.check(NO_END, NEXT_LINE)

    def test_a_line_end_in_a_string(self):
        """The line where the value began ends there, and the next is a new beginning."""
        message = ("not JSON: the control character 0x0a at byte {}, in a string: close the string, or write the "
                   "character as an escape")
        for data, byte in ((b'["a\n', 3), (b'"\n', 1), (b'{"jsonrpc":"2.0","id":1,"method":"list}\n', 39)):
            with self.subTest(data=data):
                self.assertEqual(
                    self.answers(data + TAIL, len(data)),
                    [parse_error(message.format(byte)), *BEHIND, *ON_THE_NEXT_LINE],
                )

    def test_an_end_that_cannot_be_found_over_several_lines(self):
        self.check(NO_END_OVER_LINES, CLOSES)

    def test_another_framing(self):
        self.check(OTHER_FRAMING, CLOSES)

    def test_json_but_not_ours(self):
        self.check(JSON_BUT_NOT_OURS, GOES_ON)

    def test_integers(self):
        self.check(INTEGERS, GOES_ON)

    def test_params(self):
        self.check(PARAMS, GOES_ON)

    def test_without_id(self):
        self.check(NO_ID, GOES_ON)

    def test_ids(self):
        self.check(IDS, GOES_ON)

    def test_envelope(self):
        self.check(ENVELOPE, GOES_ON)

    def test_batches(self):
        self.check(BATCHES, GOES_ON)

    def test_white_space(self):
        self.check(WHITE_SPACE, GOES_ON)

    def test_at_the_end_of_the_input(self):
        self.check(AT_THE_END, None)

    def test_too_large(self):
        message = [invalid("message too large (limit 65536)")]
        blank = b" " * 65536
        self.check(
            [(b"[" + blank, message), (b'"' + b"x" * 65536, message), (b"{" * 65537, message),
             (b"1" * 65537, message), (MARK + blank, message)],
            CLOSES,
        )


class NothingInside(TestCase):
    """Whatever surrounds a request, inside a value that is broken or refused it is not carried out."""

    REMOVE = encode("remove", {"name": "kept"}, id=1)

    SURROUNDINGS = [
        # In a value that is broken, with lines in it that look like requests.
        (b"[\n{]\n", b"]\n"),
        (b"[\n\"broken\n", b"]\n"),
        (b"[\nbroken,\n", b"]\n"),
        (b"[\n", b"broken\n]\n"),
        (b"{\n\"a\":\n", b"\n]\n"),
        (b"[[[\n", b"\n}]]\n"),
        (b"[" * 40 + b"\n", b"\n" + b"]" * 40 + b"\n"),
        (MARK + b"[\n", b"\n]\n"),
        (b"[\n\0\n", b"]\n"),
        # On the line of one that is broken.
        (b"[{] ", b""),
        (b"} ", b""),
        (b"hello ", b""),
        (b"nonsense ", b""),
        (b"/* why */ ", b""),
        # Behind another framing.
        (b"Content-Length: 60\r\n\r\n", b""),
        (b"POST / HTTP/1.1\r\n\r\n", b""),
        (b"\x1e", b""),
        # In a value that is too large, and never ends.
        (b"[\n" + b" " * 65536, b"\n]"),
        (b"[" + b"\n" * 70000, b"]\n"),
        (b"[\n", b""),
        # In a batch that is refused as a whole.
        (b"[", b',{"a":1,"a":2}]\n'),
        (b"[", b',"\\u0000"]\n'),
        (b"[", b",1e400]\n"),
        (b"[", b"," + nested(32).encode() + b"]\n"),
        (b"[", b",1" * 64 + b"]\n"),
        (b"[", b",]\n"),
        # In a member of another.
        (b'{"jsonrpc":"2.0","id":1,"method":"list","params":', b"}\n"),
    ]

    def test_is_carried_out(self):
        daemon = self.start_daemon()
        owner = self.connect(daemon)
        for before, after in self.SURROUNDINGS:
            for request in (self.REMOVE, self.REMOVE.rstrip()):
                data = before + request + after
                for piece in (len(data), 7 if len(data) < 1000 else 1013):
                    with self.subTest(before=before[:20], after=after[:20], piece=piece):
                        serial = owner.create(name="kept", size=1)["serial"]
                        client = self.connect(daemon)
                        for start in range(0, len(data), piece):
                            client.send_what_is_taken(data[start : start + piece])
                        try:
                            client.finish()
                        except OSError:
                            pass  # closed by the daemon already
                        self.assertTrue(client.replies(), "it is answered")
                        client.close()
                        self.assertEqual(owner.stat(name="kept")["serial"], serial)

    def test_would_be_carried_out_otherwise(self):
        daemon = self.start_daemon()
        owner = self.connect(daemon)
        owner.create(name="kept", size=1)
        self.connect(daemon).exchange(self.REMOVE)
        self.refused("NoSuchSegment", owner, "stat", name="kept")


main()
