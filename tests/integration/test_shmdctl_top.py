# SPDX-License-Identifier: MIT
"""shmdctl top: on terminals of several sizes, made by tmux; and once, for scripts."""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time

import harness
import sysv
from command import REFUSED, UNREACHABLE, USAGE, Shmdctl
from fake_daemon import SEGMENT, FakeDaemon, good_reply, reply
from harness import ROOT, main
from terminal import Terminal, needs_tmux

MIB = 1 << 20


class Once(Shmdctl):
    """What scripts get. It needs no terminal."""

    def rows(self, *arguments, first="NAME"):
        out = self.ctl("top", "--once", *arguments)
        table = next(part for part in out.split("\n\n") if part.startswith(first))
        return [line.split()[0] for line in table.splitlines()[1:]]

    def json(self, *arguments):
        return json.loads(self.ctl("top", "--once", "--json", *arguments))

    def test_text(self):
        self.client.create(name="small", size=4096)
        self.client.create(name="large", size=3 * MIB)
        out = self.ctl("top", "--once")
        self.assertRegex(out, r"(?m)^kernel segments 2 of \d+ \(0 %\)$")
        self.assertRegex(out, r"(?m)^your segments   2 of 1024 \(0 %\)$")
        self.assertRegex(out, r"(?m)^large +3M ")
        self.assertEqual(self.rows(), ["large", "small"])
        self.assertEqual(len(self.rows(first="USER")), 1)

    def test_order_and_filters(self):
        for name, size in (("a", 1), ("b", 3 * MIB), ("c", 2 * MIB)):
            self.client.create(name=name, size=size)
        self.assertEqual(self.rows("--sort", "name"), ["a", "b", "c"])
        self.assertEqual(self.rows("--sort", "SIZE", "--reverse"), ["a", "c", "b"])
        self.assertEqual(self.rows("b"), ["b"])
        shmid = sysv.create(100, mode=0o666)
        self.assertEqual([s["shmid"] for s in self.json("--foreign")["segments"]], [shmid])
        self.ctl("top", "--once", "--sort", "PID", status=USAGE)
        self.assertIn("SIZE, RSS, GROWTH", self.message)

    def test_json(self):
        shmid = self.client.create(name="x", size=2 * MIB)["shmid"]
        address = sysv.attach(shmid)
        self.addCleanup(sysv.detach, address)
        got = self.json("--delay", "100ms")
        (segment,) = got["segments"]
        self.assertEqual((segment["name"], segment["size"], segment["nattch"]), ("x", 2 * MIB, 1))
        self.assertEqual((segment["rss"], segment["growth"]), (0, 0))
        self.assertEqual([(u["segments"], u["size"], u["nattch"]) for u in got["users"]], [(1, 2 * MIB, 1)])
        self.assertEqual({limit["name"] for limit in got["limits"]} & {"kernel segments", "your bytes"},
                         {"kernel segments", "your bytes"})
        self.assertNotIn("growth", self.json()["segments"][0])

    def test_growth(self):
        size = 512 * MIB
        shmid = self.client.create(name="x", size=size, mode="0666", noreserve=True)["shmid"]
        address = sysv.attach(shmid)
        self.addCleanup(sysv.detach, address)
        process = self.start("top", "--once", "--json", "--delay", "500ms")
        # A page at a time, so that there is always more than before.
        for offset in range(0, size, 4096):
            ctypes.memset(address + offset, 1, 1)
            if process.poll() is not None:
                break
            time.sleep(0.001)
        out, _ = process.communicate(timeout=harness.DEADLINE)
        (segment,) = json.loads(out)["segments"]
        self.assertGreater(segment["rss"], 0)
        self.assertGreater(segment["growth"], 0)

    @harness.needs_to_be_alone
    def test_processes(self):
        shmid = self.client.create(name="x", size=2 * MIB, mode="0666")["shmid"]
        self.client.create(name="y")
        held = self.hold(ROOT, shmid)
        out = json.loads(self.ctl("top", "--once", "--json", user=ROOT))
        got = {p["pid"]: (p["segments"], p["size"], p["nattch"]) for p in out["processes"]}
        self.assertEqual(got, {held.pid: (1, 2 * MIB, 1)})

    def test_what_is_refused(self):
        self.ctl("top", status=USAGE)
        self.assertIn("--once", self.message)
        self.ctl("top", "--json", status=USAGE)
        self.ctl("top", "a", "--prefix", "b", status=USAGE)
        self.ctl("top", "--once", "--delay", "1ms", status=USAGE)
        self.daemon.stop()
        self.ctl("top", "--once", status=UNREACHABLE)


# Each of these does something to a terminal that is given it, or is not text at all.
HOSTILE = (
    "esc\x1b]0;taken over\x07\x1b[2J\x1b[31m",
    "c1\x9b2J\x9d0;taken over\x9c",
    "turned\u202ename\u200b",
    "line\nfeed\rand\ttab\x08\x7f",
    "long" + "x" * 5000,
    "wide" + "\u6f22" * 300,
)
PLAIN = (r"esc\x1b]0;taken over\x07\x1b[2J\x1b[31m", r"c1\u009b2J\u009d0;taken over\u009c", r"turned\u202ename\u200b",
         r"line\x0afeed\x0dand\x09tab\x08\x7f")  # fmt: skip


def hostile_reply(request, _n):
    """Everything in it that is a text is hostile."""
    if request["method"] != "list":
        return good_reply(request)
    segments = [
        {**SEGMENT, "serial": i + 1, "shmid": i, "name": name, "size": 4096 * (len(HOSTILE) - i),
         "labels": {"k": name}, "creator": {"uid": 0, "gid": 0, "pid": 1, "comm": name}}
        for i, name in enumerate(HOSTILE)
    ]  # fmt: skip
    return reply(request, {"segments": segments})


class Fake(Shmdctl):
    """With a daemon that answers as the test says."""

    def serve(self, answer):
        fake = FakeDaemon(self.directory, answer)
        self.addCleanup(fake.close)
        self.path = fake.path
        return fake


class OnceWithAFake(Fake):
    def test_a_look_is_one_question_and_the_pages(self):
        """However many segments, processes and users there are: what it costs the daemon is known."""
        fake = self.serve(lambda request, _n: good_reply(request, pages=3))
        self.ctl("top", "--once")
        self.assertEqual(fake.requests, ["info", "list", "list", "list"])
        fake.requests.clear()
        self.ctl("top", "--once", "--json", "--delay", "100ms")
        self.assertEqual(fake.requests, 2 * ["info", "list", "list", "list"])

    def test_hostile_names(self):
        self.serve(hostile_reply)
        out = self.ctl("top", "--once")
        self.assertNotRegex(out, "[\0-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]")
        for name in PLAIN:
            self.assertIn(name, out)
        found = json.loads(self.ctl("top", "--once", "--json"))
        self.assertEqual([s["name"] for s in found["segments"]], list(HOSTILE))

    def test_an_answer_that_is_no_text(self):
        def answer(request, n):
            return hostile_reply(request, n).replace(b"turned", b"\xff\xc0\x80")

        self.serve(answer)
        self.ctl("top", "--once", status=REFUSED)
        self.assertIn("not one of shmd's protocol", self.message)

    @harness.needs_to_be_alone
    def test_programs_with_hostile_names(self):
        shmid = self.client.create(name="x", mode="0666")["shmid"]
        name = b"\xff\x1b[2J\xc2\x9b2J\xe2\x80\xae"
        program = f"""
import sys
sys.path.insert(0, {os.path.dirname(sysv.__file__)!r})
import sysv
sysv.attach({shmid})
with open("/proc/self/comm", "wb") as file:
    file.write({name!r})
print(flush=True)
sys.stdin.read()
"""
        process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.communicate)
        process.stdout.readline()
        plain = r"\xff\x1b[2J\u009b2J\u202e"
        for arguments in (["top", "--once"], ["ps"], ["stat", "x"]):
            out = self.ctl(*arguments, user=ROOT)
            self.assertIn(plain, out)
            self.assertNotRegex(out, "[\0-\x09\x0b-\x1f\x7f-\x9f\u202e]")
        (found,) = json.loads(self.ctl("top", "--once", "--json", user=ROOT))["processes"]
        self.assertEqual(found["pid"], process.pid)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


@needs_tmux
class Screen(Shmdctl):
    """On a terminal."""

    def terminal(self, width, height, environment=None):
        program, library = self.where_programs_are("shmdctl")
        self.program = program
        libraries = [library, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        terminal = Terminal(
            self.directory, width, height,
            {"SHMD_SOCKET": self.path, "LD_LIBRARY_PATH": ":".join(libraries), **(environment or {})},
            harness._die_with_parent,
        )  # fmt: skip
        self.addCleanup(terminal.close)
        return terminal

    def top(self, width=80, height=24, *arguments, environment=None, shows="EVENTS"):
        terminal = self.terminal(width, height, environment)
        terminal.run(self.program, "top", "--delay", "100ms", *arguments)
        if "built without ncurses" in terminal.wait_for(lambda text: shows in text or "--once" in text, "it shows"):
            self.skipTest("this build has no full screen")
        return terminal

    @staticmethod
    def names(text):
        """Those in the table, from the top down."""
        table = text.partition("\nNAME")[2].split("\n")[1:]
        return [line.split()[0] for line in table if re.match(r"[a-z]\S* +\d", line)]


class Sizes(Screen):
    def setUp(self):
        super().setUp()
        for i in range(3):
            self.client.create(name=f"frames/{i}", size=(i + 1) * MIB)
        self.client.create(name="n" * 90)

    def check(self, width, height, first_headings, absent):
        terminal = self.top(width, height)
        text = terminal.wait_for(lambda text: "frames/0" in text, "the segments are there")
        headings = next(line for line in text.split("\n") if line.startswith("NAME"))
        self.assertEqual(headings.split()[:len(first_headings)], first_headings)
        self.assertNotIn(absent, headings)
        self.assertEqual(self.names(text)[:3], ["frames/2", "frames/1", "frames/0"])
        self.assertIn("kernel segments", text)
        self.assertIn("q quit  ? help", text)
        self.assertLessEqual(max(map(len, text.split("\n"))), width)
        return text

    def test_80_columns(self):
        text = self.check(80, 24, ["NAME", "SIZE", "RSS", "GROWTH", "NATTCH", "OWNER", "SHMID"], "LIFETIME")
        self.assertRegex(text, r"(?m)^n+~ +4K ")

    def test_40_columns(self):
        self.check(40, 24, ["NAME", "SIZE", "RSS", "GROWTH", "NATTCH"], "OWNER")

    def test_200_columns(self):
        text = self.check(200, 40, ["NAME", "SIZE", "RSS", "GROWTH", "NATTCH", "OWNER", "SHMID", "STATE",
                                    "LIFETIME", "HOLDERS", "CREATOR", "CREATED"], "~")
        self.assertIn("n" * 90, text)

    def test_20_columns_and_5_lines(self):
        terminal = self.top(20, 5, shows="NAME")
        terminal.wait_for(lambda text: self.names(text) == ["frames/2", "frames/1"], "two are there")
        terminal.press("Down")
        terminal.wait_for(lambda text: self.names(text) == ["frames/1", "frames/0"], "it scrolls")

    def test_another_size(self):
        terminal = self.top(80, 24)
        terminal.wait_for(lambda text: "OWNER" in text, "80 columns")
        terminal.resize(40, 10)
        terminal.wait_for(lambda text: "OWNER" not in text and "frames/2" in text and "s sort" in text,
                          "it is as small as the terminal")
        terminal.resize(200, 30)
        terminal.wait_for(lambda text: "CREATOR" in text and "p processes" in text.split("\n")[29],
                          "it is as large as the terminal")


class Keys(Screen):
    def setUp(self):
        super().setUp()
        for name, size in (("b", 2 * MIB), ("c", 3 * MIB), ("a", MIB)):
            self.client.create(name=name, size=size)

    def shows(self, terminal, *names, title="shmd"):
        """Waits until the rows are NAMES, and the title has TITLE."""
        return terminal.wait_for(
            lambda text: self.names(text) == list(names) and title in text.split("\n")[0], f"it shows {names}"
        )

    def test_order(self):
        terminal = self.top()
        self.shows(terminal, "c", "b", "a", title="by SIZE,")
        terminal.press("r")
        self.shows(terminal, "a", "b", "c", title="by SIZE reversed,")
        terminal.press("r", "s", "s", "s", "s")
        self.shows(terminal, "a", "b", "c", title="by NAME,")
        terminal.press("S", "S", "S", "S")
        self.shows(terminal, "c", "b", "a", title="by SIZE,")

    def test_order_by_option(self):
        self.shows(self.top(80, 24, "--sort", "name", "--reverse"), "c", "b", "a")

    def test_filter(self):
        terminal = self.top()
        terminal.press("/")
        terminal.type("b")
        terminal.wait_for(lambda text: self.names(text) == ["b"] and "\n/b_" in text, "only that")
        terminal.press("Enter")
        terminal.wait_for(lambda text: "1 segment, 6M, filter b" in text, "the filter is told")
        terminal.press("Escape")
        self.shows(terminal, "c", "b", "a")
        terminal.press("/")
        terminal.type("\u00c4\u6f22")
        terminal.wait_for(lambda text: "\n/\u00c4\u6f22_" in text, "letters of all kinds")
        terminal.press("BSpace")
        terminal.wait_for(lambda text: "\n/\u00c4_" in text, "one letter less")

    def test_users(self):
        terminal = self.top()
        terminal.press("u")
        terminal.wait_for(lambda text: re.search(r"(?m)^\S+ +3 +6M \[#+ +\] +0 % of ", text), "a user's total")

    @harness.needs_to_be_alone
    def test_processes(self):
        shmid = self.client.create(name="x", size=5 * MIB)["shmid"]
        held = self.hold(ROOT, shmid)
        terminal = self.top()
        terminal.press("p")
        terminal.wait_for(lambda text: re.search(rf"(?m)^ *{held.pid} \S+ +5M +1 +1 ", text), "the process")
        held.kill()
        terminal.wait_for(lambda text: "0 processes" in text, "it is gone")

    def test_events(self):
        terminal = self.top()
        self.shows(terminal, "c", "b", "a")
        self.client.create(name="d")
        self.shows(terminal, "c", "b", "a", "d")
        terminal.wait_for(lambda text: re.search(r"(?m)^\d\d:\d\d:\d\d created  d  shmid", text), "it is told")
        self.client.call("remove", name="d")
        terminal.wait_for(lambda text: re.search(r"removed  d  .*  request$", text, re.M), "its end is told")
        terminal.press("e")
        terminal.wait_for(lambda text: "EVENTS" not in text, "events are off")

    def test_help(self):
        terminal = self.top()
        terminal.press("?")
        terminal.wait_for(lambda text: "sort by the next column" in text, "the help")
        terminal.press("Space")
        self.shows(terminal, "c", "b", "a")

    def test_thousands(self):
        self.daemon.stop()
        self.daemon = self.start_daemon(config="max_segments_per_uid = 0\n", directory=self.daemon.directory)
        client = self.connect(self.daemon)
        for i in range(2500):
            client.create(name=f"many/{i:04}", size=4096)
        terminal = self.top(80, 24, "--sort", "NAME")
        terminal.wait_for(lambda text: "2503 segments" in text, "all are there")
        terminal.press("End")
        terminal.wait_for(lambda text: "many/2499" in text and "many/0000" not in text, "the last ones")


class TheTerminalIsAsBefore(Screen):
    """However it ends."""

    def shell(self, environment=None):
        terminal = self.terminal(80, 24, environment)
        terminal.run("/bin/sh", "-c", 'trap : INT; before=$(stty -g); echo first; "$0" top -d 100ms; status=$?; '
                     'test "$before" = "$(stty -g)" && echo same; echo "status $status"; exec sleep 1000',
                     self.program)  # fmt: skip
        text = terminal.wait_for(lambda text: "EVENTS" in text or "--once" in text, "it shows")
        if "built without ncurses" in text:
            self.skipTest("this build has no full screen")
        self.assertNotIn("first", text)
        return terminal

    def pid(self, terminal):
        """Of top, the youngest that has come of what the terminal runs."""
        pid = int(terminal.tells("pane_pid"))
        while children := _children(pid):
            (pid,) = children
        return pid

    def check(self, terminal, status):
        text = terminal.wait_for(lambda text: "status" in text, "it has ended")
        # The shell may tell the signal.
        lines = [line for line in text.split("\n") if line and line not in ("Terminated", "Hangup")]
        self.assertEqual(lines, ["first", "same", f"status {status}"])
        self.assertEqual((terminal.tells("cursor_flag"), terminal.tells("alternate_on")), ("1", "0"))

    def test_q(self):
        terminal = self.shell()
        terminal.press("q")
        self.check(terminal, 0)

    def test_interrupted(self):
        terminal = self.shell()
        terminal.press("C-c")
        self.check(terminal, 0)

    def test_terminated(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number=number):
                terminal = self.shell()
                os.kill(self.pid(terminal), number)
                self.check(terminal, 128 + number)

    def test_stopped_and_continued(self):
        terminal = self.terminal(80, 24)
        terminal.run("/bin/sh", "-i")
        terminal.wait_for(lambda text: text.strip(), "the shell")
        terminal.type(f"{self.program} top -d 100ms\n")
        text = terminal.wait_for(lambda text: "\nEVENTS" in text or "without ncurses" in text, "it shows")
        if "without ncurses" in text:
            self.skipTest("this build has no full screen")
        terminal.press("C-z")
        terminal.wait_for(lambda text: "EVENTS" not in text, "the terminal is as it was")
        self.assertEqual(terminal.tells("alternate_on"), "0")
        terminal.type("echo here\n")
        terminal.wait_for(lambda text: "\nhere" in text, "the shell goes on")
        terminal.type("fg\n")
        terminal.wait_for(lambda text: "\nEVENTS" in text, "it is back")
        self.client.create(name="new")
        terminal.wait_for(lambda text: "created  new" in text, "it goes on")
        terminal.press("q")
        terminal.wait_for(lambda text: "EVENTS" not in text, "it has ended")


class Kinds(Screen):
    """Of terminals."""

    COLOUR = re.compile("\x1b\\[([0-9]+;)*[34][0-7][;m]")

    def coloured(self, **environment):
        self.client.create(name="x")
        terminal = self.top(environment=environment)
        terminal.wait_for(lambda text: "x   " in text, "the segment is there")
        return bool(self.COLOUR.search("\n".join(terminal.screen(escapes=True))))

    def test_colours(self):
        self.assertTrue(self.coloured())

    def test_no_color(self):
        self.assertFalse(self.coloured(NO_COLOR="1"))

    def run_as(self, kind):
        terminal = self.terminal(80, 24)
        terminal.run("env", f"TERM={kind}", self.program, "top", "-d", "100ms")
        return terminal

    def test_a_terminal_without_colours(self):
        terminal = self.run_as("vt100")
        text = terminal.wait_for(lambda text: "EVENTS" in text or "--once" in text, "it shows")
        if "without ncurses" in text:
            self.skipTest("this build has no full screen")
        self.assertFalse(self.COLOUR.search("\n".join(terminal.screen(escapes=True))))

    def test_a_terminal_that_cannot_be_drawn_on(self):
        for kind in ("nosuch", "dumb"):
            with self.subTest(kind=kind):
                text = self.run_as(kind).wait_for(lambda text: "--once" in text, "it is told")
                if "without ncurses" in text:
                    self.skipTest("this build has no full screen")
                self.assertIn(f"TERM is '{kind}'", " ".join(text.split()))


class Daemons(Screen):
    def test_goes_away_and_comes_back(self):
        self.client.create(name="old")
        terminal = self.top()
        terminal.wait_for(lambda text: self.names(text) == ["old"], "the segment is there")
        self.client.close()
        self.daemon.stop()
        text = terminal.wait_for(lambda text: "The daemon is away" in text, "it is told")
        self.assertEqual(self.names(text), ["old"])
        terminal.press("/")
        terminal.wait_for(lambda text: "\n/_" in text, "keys are heard meanwhile")
        terminal.press("Escape")
        self.daemon = self.start_daemon(directory=self.daemon.directory)
        self.connect(self.daemon).create(name="new", size=8192)
        text = terminal.wait_for(lambda text: self.names(text) == ["new", "old"], "it has looked again")
        terminal.wait_for(lambda text: "away" not in text and "created  new" in text, "all is as before")

    def test_does_not_answer(self):
        self.client.create(name="old")
        terminal = self.top()
        terminal.wait_for(lambda text: self.names(text) == ["old"], "the segment is there")
        self.daemon.signal(signal.SIGSTOP)
        self.addCleanup(self.daemon.signal, signal.SIGCONT)
        terminal.wait_for(lambda text: "The daemon does not answer" in text, "it is told")
        terminal.press("s")
        terminal.wait_for(lambda text: "by RSS" in text, "keys are heard meanwhile")
        self.daemon.signal(signal.SIGCONT)
        terminal.wait_for(lambda text: "does not answer" not in text, "it answers")

    def test_is_not_there_at_first(self):
        self.daemon.stop()
        terminal = self.terminal(80, 24)
        terminal.run(self.program, "top")
        terminal.wait_for(lambda text: "cannot reach the daemon" in text, "it is told")


class ScreenWithAFake(Screen):
    def serve(self, answer):
        fake = FakeDaemon(self.directory, answer)
        self.addCleanup(fake.close)
        self.path = fake.path
        return fake

    def test_a_look_is_one_question_and_the_pages(self):
        fake = self.serve(lambda request, _n: good_reply(request, pages=3))
        terminal = self.top()
        terminal.wait_for(lambda text: len(self.names(text)) == 3, "the segments are there")
        for key in ("s", "r", "u", "u", "?", "?", "e", "e", "/", "Escape", "Down", "End"):
            terminal.press(key)
        look = ["info", "list", "list", "list"]
        terminal.wait_for(lambda text: len(fake.requests) > 5 * len(look), "it has looked several times")
        asked = list(fake.requests)
        self.assertEqual(asked.count("subscribe"), 1)
        asked.remove("subscribe")
        looks = [asked[i:i + len(look)] for i in range(0, len(asked), len(look))]
        self.assertEqual(looks[:-1], [look] * (len(looks) - 1))
        self.assertEqual(looks[-1], look[:len(looks[-1])], "one that has not ended")

    def test_hostile_names(self):
        self.serve(hostile_reply)
        for width, height in ((300, 40), (80, 24), (20, 5)):
            with self.subTest(width=width):
                terminal = self.top(width, height, shows="esc" if width > 20 else "e")
                text = terminal.wait_for(lambda text: "esc" in text, "the names are there")
                if width == 300:
                    for name in PLAIN:
                        self.assertIn(name[:20], text)
                for keys in ("e", "s", "u", "?"):
                    terminal.press(keys)
                    text = terminal.wait_for(lambda text: text.strip(), "it draws")
                    self.assertNotIn("\u202e", text)
                self.assertNotIn("taken over", terminal.tells("pane_title"))
                terminal.press("q")

    def test_an_answer_that_is_no_text(self):
        broken = [True]

        def answer(request, n):
            line = good_reply(request, pages=1)
            is_bad = broken[0] and request["method"] == "list"
            return line.replace(b"page/0", b"\xff\xc0\x80") if is_bad else line

        self.serve(answer)
        terminal = self.top(shows="away")
        broken[0] = False
        text = terminal.wait_for(lambda text: self.names(text) == ["page/0"], "it goes on when all is well again")
        self.assertNotIn("\ufffd", text)


if __name__ == "__main__":
    main()
