# SPDX-License-Identifier: MIT
"""The examples of protocol/PROTOCOL.md replayed on the daemon, and its tables against the code.

An example is a block fenced as `replay`, on a daemon of its own: `--> ` is sent, `<-- ` must come
back byte for byte, a letter in front names the connection. <int> stands for an integer, <text> for
what a string holds, <...> for anything, and another <word> for an integer that is the same wherever
the word comes again in the block.
"""

import os
import re
import unittest

import harness

_TOP = os.environ.get("abs_top_srcdir") or os.path.join(os.path.dirname(__file__), "..", "..")
_LINE = re.compile(r"^([A-Z]?)(-->|<--) (.*)$")
_PLACEHOLDER = re.compile(r"<(\.\.\.|[a-z]+)>")


def _read(*path):
    with open(os.path.join(_TOP, *path), encoding="utf-8") as file:
        return file.read()


def _examples():
    """(number of the first line, lines) of every block."""
    examples, block = [], None
    for number, line in enumerate(_read("protocol", "PROTOCOL.md").splitlines(), 1):
        if block is None:
            if line == "```replay":
                block = (number + 1, [])
        elif line == "```":
            examples.append(block)
            block = None
        else:
            block[1].append(line)
    assert block is None, "the last example is not closed"
    return examples


def _pattern(text, known):
    """TEXT as a regular expression; numbers that are KNOWN are literal."""
    parts, named, end = [], set(), 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append(re.escape(text[end : match.start()]))
        end = match.end()
        word = match.group(1)
        if word == "int":
            parts.append(r"-?\d+")
        elif word == "text":
            parts.append(r'(?:[^"\\]|\\.)*')
        elif word == "...":
            parts.append(".*")
        elif word in known:
            parts.append(re.escape(known[word]))
        elif word in named:
            parts.append(f"(?P={word})")
        else:
            named.add(word)
            parts.append(rf"(?P<{word}>-?\d+)")
    parts.append(re.escape(text[end:]))
    return re.compile("".join(parts))


class PlaceholderTest(unittest.TestCase):
    """The replay can fail."""

    def test_placeholders(self):
        pattern = _pattern('{"a":<x>,"b":<int>,"c":"<text>","d":<x>}', {})
        self.assertEqual(pattern.fullmatch('{"a":7,"b":-1,"c":"z","d":7}').group("x"), "7")
        self.assertIsNone(pattern.fullmatch('{"a":7,"b":-1,"c":"z","d":8}'))
        self.assertIsNone(pattern.fullmatch('{"a":7,"b":"1","c":"z","d":7}'))
        self.assertIsNone(_pattern("<x>", {"x": "5"}).fullmatch("6"))
        self.assertIsNone(_pattern("a.c", {}).fullmatch("abc"))


class ExampleTest(harness.TestCase):
    def replay(self, first, lines):
        daemon = self.start_daemon()
        clients, known = {}, {}
        for number, line in enumerate(lines, first):
            where = f"PROTOCOL.md:{number}"
            parsed = _LINE.match(line)
            self.assertIsNotNone(parsed, f"{where}: {line}")
            who, arrow, text = parsed.groups()
            if who not in clients:
                clients[who] = self.connect(daemon)
            if arrow == "-->":
                text = _PLACEHOLDER.sub(lambda match: known[match.group(1)], text)
                clients[who].send(text.encode() + b"\n")
                continue
            reply = clients[who].read_line()
            self.assertIsNotNone(reply, f"{where}: closed instead of an answer")
            match = _pattern(text, known).fullmatch(reply.decode())
            self.assertIsNotNone(match, f"{where}:\n wants {text}\n  got  {reply.decode()}")
            known.update(match.groupdict())


def _add_example(first, lines):
    setattr(ExampleTest, f"test_line_{first}", lambda self: self.replay(first, lines))


for _example in _examples():
    _add_example(*_example)


class TableTest(unittest.TestCase):
    """The tables are those of the code."""

    def rows(self, heading):
        section = _read("protocol", "PROTOCOL.md").split(f"\n## {heading}\n")[1].split("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("| `")]
        return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]

    def test_errors(self):
        source = _read("protocol", "errors.h")
        code = dict(re.findall(r'X\(\w+, "([\w.]+)", (-?\d+),', source))
        del code["org.varlink.service.ExpectedMore"]  # no JSON-RPC client can meet it
        page = {row[0].strip("`"): row[1] for row in self.rows("Errors")}
        self.assertGreater(len(code), 10)
        self.assertEqual(page, code)

    def test_methods(self):
        source = _read("protocol", "methods.c")
        code = set(re.findall(r'\[METHOD_\w+\] = "(\w+)"', source))
        page = {word for row in self.rows("Methods") for word in re.findall(r"`(\w+)`", row[0])}
        self.assertGreater(len(code), 10)
        self.assertEqual(page, code)

    def test_parameters(self):
        """Every parameter that a method's table in params.c has is on the page, and no other."""
        source = _read("protocol", "params.c")
        tables = dict(re.findall(r"struct field (\w+)_fields\[\] = \{(.*?)\};\n", source, re.S))
        for row in self.rows("Methods"):
            for word in re.findall(r"`(\w+)`", row[0]):
                table = {"stat": "owned_target", "hold": "owned_target", "ready": "target",
                         "release": "target", "disown": "target"}.get(word, word)
                body = tables.get(table, "")
                code = set(re.findall(r"\b[A-Z]+\(\w+, (\w+)", body.replace("AT(", "at(")))
                code |= set(re.findall(r'\.name = "(\w+)"', body))
                page = set(re.findall(r"`(\w+)\??`", row[1]))
                with self.subTest(method=word):
                    self.assertEqual("TARGET" in row[1], "TARGET(" in body)
                    self.assertEqual(page, code)

    def test_configuration(self):
        """The manual has every key, with the ranges of the limits, and no other."""
        code = set(re.findall(r"^    X\((\w+),", _read("daemon", "core", "limits.h"), re.M))
        self.assertGreater(len(code), 10)
        ranges = re.findall(r"^    X\((\w+), (\d+), (\d+), (\d+)\)", _read("daemon", "core", "limits.h"), re.M)
        code |= set(re.findall(r'\{"(\w+)", KEY_', _read("daemon", "config.c")))
        manual = _read("daemon", "shmd.conf.5.in").split(".Sh EXAMPLES")[0]
        items = dict(re.findall(r"^\.It Cm (\w+)\n((?:(?!\.It ).*\n)*)", manual, re.M))
        self.assertEqual(set(items), code)
        for name, default, least, greatest in ranges:
            with self.subTest(name=name):
                self.assertIn(f"{default}, from {least} to {greatest}", items[name])


if __name__ == "__main__":
    harness.main()
