# SPDX-License-Identifier: MIT
"""The manual pages of libshmd beside client/shmd.h: each thing of the header is in the synopsis of one page, word for
word, and is explained there; no page tells of what the header does not have; the examples compile.
"""

import glob
import os
import re
import subprocess
import tempfile
import unittest

from missing import need
from tap import main

_TOP = os.environ["abs_top_srcdir"]
_HEADER = os.path.join(_TOP, "client/shmd.h")
_PAGES = os.path.join(_TOP, "client/man")

_COMMENT = re.compile(r"/\*.*?\*/", re.S)
# What stands at the outermost level of the header, comments aside.
_DECLARATION = re.compile(r"""
    \#define[ ][^\n]*\n | typedef[ ][^;]*; | (?:struct|enum)[ ]\w+[ ]\{.*?\n\}; | (?:struct|enum)[ ]\w+; |
    [^;\#/]+?\([^;]*\);""", re.S | re.X)


def one_line(text):
    return " ".join(text.split())


def name_of(declaration):
    """As `struct shmd_info` or `shmd_info`, which are two things."""
    match = re.match(r"(?:struct|enum) \w+(?= \{)|#define (\w+)", declaration)
    if match:
        return match[1] or match[0]
    return re.search(r"(\w+)\(", declaration)[1]


def declared(header):
    """{name: its declaration on one line}; comments stay inside of structs and enums."""
    text = header[header.index("struct shmd;\n"):header.rindex("#ifdef __cplusplus")]
    # Of what C and C++ write differently, C's is told.
    text = re.sub(r"#ifdef __cplusplus\n.*?#else\n(.*?)#endif\n", r"\1", text, flags=re.S)
    found, at = {}, 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        comment = _COMMENT.match(text, at)
        if comment:
            at = comment.end()
            continue
        match = _DECLARATION.match(text, at)
        assert match, f"not understood: {text[at:at + 100]}"
        at = match.end()
        if not re.fullmatch(r"(struct|enum) \w+;", match[0]):
            whole = match[0] if "{" in match[0] else _COMMENT.sub("", match[0])
            found[name_of(match[0])] = one_line(whole)
    return found


def section(page, name):
    """The lines of one section, without those of comments."""
    match = re.search(rf"(?ms)^\.Sh {name}\n(.*?)(?=^\.Sh |\Z)", page)
    return match[1].splitlines() if match else []


def blocks(lines):
    """What is displayed as it is, in order; mdoc's escapes undone."""
    text = "\n".join(lines) + "\n"
    return [block.replace("\\&", "").replace("\\e", "\\")
            for block in re.findall(r"(?ms)^\.Bd -literal\n(.*?)^\.Ed$", text)]


def told(page):
    """{name: the declaration in the synopsis, on one line}"""
    found, kind, words = {}, "", []

    def add(declaration):
        found[name_of(declaration)] = one_line(declaration)

    lines = section(page, "SYNOPSIS")
    for block in blocks(lines):
        add(block)
    for line in lines:
        macro, _, rest = line.partition(" ")
        rest = rest.strip('"')
        if macro == ".Ft":
            kind = rest if rest.endswith("*") else rest + " "
        elif macro == ".Fo":
            words = [rest]
        elif macro == ".Fa":
            words.append(rest)
        elif macro == ".Fc":
            add(f"{kind}{words[0]}({', '.join(words[1:])});")
        elif macro == ".Fn":
            name, _, arguments = rest.partition(" ")
            add(f"{kind}{name}({arguments});")
        elif macro == ".Dl":
            add(rest.replace("\\e", "\\"))
    return found


def explained(page):
    """The functions, macros and types that are entries of the description."""
    entries = [line for line in section(page, "DESCRIPTION") if line.startswith(".It ")]
    return set(re.findall(r"(?:Fn|Dv) (\w+)|Vt \"(\w+ \w+)\"", "\n".join(entries), re.S))


def mentioned(page):
    """Names that the text uses as the library's."""
    text = "\n".join(line for line in page.splitlines() if line.startswith("."))
    names = set(re.findall(r"\bFn (shmd_\w+)", text)) | set(re.findall(r"\bDv (SHMD_\w+)", text))
    return names | set(re.findall(r"\bVt \"((?:struct|enum) shmd\w*)", text))


def faults(header, pages):
    """A line for each way in which PAGES ({name: text}) do not tell what HEADER has."""
    there = declared(header)
    constants = set(re.findall(r"\b(SHMD_\w+)\b", _COMMENT.sub("", header)))
    known = set(there) | constants | {"struct shmd"}
    places = {}
    for page, text in pages.items():
        of_page = told(text)
        entries = {a or b for a, b in explained(text)}
        for name, declaration in of_page.items():
            places.setdefault(name, []).append(page)
            if name not in there:
                yield f"{page}: the header has no {name}"
            elif declaration != there[name]:
                yield f"{page}: {declaration}\nshmd.h: {there[name]}"
            if " " not in name and name not in entries:
                yield f"{page}: {name} is not explained"
        names = re.findall(r"(?m)^\.Nm (\w+)", "\n".join(section(text, "NAME")))
        functions = [name for name, declaration in of_page.items()
                     if "{" not in declaration and not declaration.startswith(("#", "typedef"))]
        if sorted(set(names) - {"shmd"}) != sorted(functions):
            yield f"{page}: NAME has {names}, and the synopsis {functions}"
        for name in sorted(mentioned(text) - known):
            yield f"{page}: mentions {name}, which is not in the header"
    for name in there:
        if len(places.get(name, [])) != 1:
            yield f"{name} is told in {places.get(name, 'no page')}"


def texts():
    pages = {}
    for path in sorted(glob.glob(os.path.join(_PAGES, "*.3"))):
        with open(path, encoding="utf-8") as file:
            pages[os.path.basename(path)] = file.read()
    return pages


class Manuals(unittest.TestCase):
    def setUp(self):
        with open(_HEADER, encoding="utf-8") as file:
            self.header = file.read()
        self.pages = texts()

    def test_they_tell_what_the_header_has(self):
        self.assertGreater(len(declared(self.header)), 90)
        self.assertEqual(list(faults(self.header, self.pages)), [])

    def test_each_kind_of_fault_is_found(self):
        new = "int shmd_new(struct shmd *shmd);\n"
        for what, header, page in (
            ("a function that no page has", self.header.replace("int shmd_reload", new + "int shmd_reload"), None),
            ("one that is gone", self.header.replace("int shmd_reload(struct shmd *shmd);", ""), None),
            ("another prototype", self.header.replace("shmd_reload(struct", "shmd_reload(const struct"), None),
            ("another member", self.header.replace("uint64_t rss, swap;", "uint64_t rss;"), None),
            ("another number", self.header.replace("SHMD_REASON_REPLACED = 9", "SHMD_REASON_REPLACED = 8"), None),
            ("another flag", self.header.replace("#define SHMD_WAIT_HOLD 1U", "#define SHMD_WAIT_HOLD 2U"), None),
            ("a function that is only in the text", None, ".Sh DESCRIPTION\n.Fn shmd_gone\n"),
            ("a name without a function", None, ".Sh NAME\n.Nm shmd_gone\n"),
        ):
            with self.subTest(what):
                self.assertNotEqual(header, self.header)
                pages = self.pages if page is None else {**self.pages, "planted.3": page}
                self.assertTrue(list(faults(header or self.header, pages)))

    def test_what_they_refer_to_is_there(self):
        others = {"shmdctl(1)", "shmd(8)", "shmd.conf(5)"}
        there = {f"{name[:-2]}(3)" for name in self.pages} | others
        for page, text in self.pages.items():
            for name, number in re.findall(r"\bXr (shmd(?:ctl|\.conf|_\w+)?) (\d)", text):
                self.assertIn(f"{name}({number})", there, page)
        for name in self.pages:
            if name != "shmd.3":
                self.assertIn(f".Xr {name[:-2]} 3", self.pages["shmd.3"])

    def test_the_examples_compile(self):
        compiler = need(self, "cc")
        n = 0
        for page, text in self.pages.items():
            for example in blocks(section(text, "EXAMPLES")):
                n += 1
                with self.subTest(page), tempfile.TemporaryDirectory() as directory:
                    source = os.path.join(directory, "example.c")
                    with open(source, "w", encoding="utf-8") as file:
                        file.write(example)
                    done = subprocess.run(
                        [compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wno-missing-field-initializers",
                         "-Werror", "-fsyntax-only", "-I", os.path.dirname(_HEADER), source],
                        capture_output=True, text=True, check=False)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertGreater(n, 5)

    def test_the_examples_say_why_nothing_answers(self):
        """A code alone says neither where the daemon was looked for nor what to do."""
        texts = [example for text in self.pages.values() for example in blocks(section(text, "EXAMPLES"))]
        with open(_HEADER, encoding="utf-8") as file:
            texts.append(file.read().split("*/")[1])
        connecting = [text for text in texts if "shmd_connect(" in text]
        self.assertEqual(len(connecting), 2)
        for text in connecting:
            self.assertIn("shmd_unreachable_text(", text)
            self.assertNotIn("shmd_strerror(", text)

    def test_mandoc_has_no_complaint(self):
        need(self, "mandoc")
        for page in self.pages:
            with self.subTest(page):
                done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", os.path.join(_PAGES, page)],
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.stdout + done.stderr, "")


if __name__ == "__main__":
    main()
