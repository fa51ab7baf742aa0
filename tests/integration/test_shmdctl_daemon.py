# SPDX-License-Identifier: MIT
"""shmdctl and its daemon: which one it asks, one that is slow, lost, restarted, or hostile."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import tempfile

import sysv
from command import (
    COMMANDS,
    NOT_STARTED,
    REFUSED,
    UNREACHABLE,
    USAGE,
    CommandCase,
    Shmdctl,
)
from fake_daemon import (
    SEGMENT,
    FakeDaemon,
    good_reply,
    info_reply,
    page_reply,
    refusal,
    reply,
    segment_reply,
)
from harness import DEADLINE, ROOT, SOMEBODY, main, wait_until
from programs import DELAY

# Every command that needs the daemon.
ASKING = {
    "create": ["create", "x", "--size", "1"],
    "stat": ["stat", "x"],
    "set": ["set", "x", "--mode", "600"],
    "rm": ["rm", "x"],
    "list": ["list"],
    "info": ["info"],
    "read": ["read", "x"],
    "write": ["write", "x"],
    "call": ["call", "info"],
    "wait": ["wait", "x"],
    "ready": ["ready", "x"],
    "hold": ["hold", "x"],
    "release": ["release", "x"],
    "adopt": ["adopt", "--shmid", "0"],
    "events": ["events", "--count", "1"],
    "run": ["run", "x", "--size", "1", "--", "true"],
    "disown": ["disown", "x"],
    "reload": ["reload"],
    "metrics": ["metrics"],
    "ps": ["ps", "x"],
    "top": ["top", "--once"],
}
# What they ask for happens even when nobody waits for it any more.
CHANGING = {"create", "set", "rm", "ready", "hold", "release", "adopt", "disown", "run", "reload"}
# These do what they can without it.
NOT_IN_NEED = {"gc", "doctor", "help", "version"}
# Those of all commands that print JSON.
PRINTING_JSON = {
    **{name: line for name, line in ASKING.items()
       if name not in ("read", "write", "run", "reload", "metrics")},
    "ps": ["ps"],
    "rm": ["rm", "x", "y", "z"],
    "gc": ["gc"],
    "doctor": ["doctor"],
}


def unreachable(command):
    """The exit status of COMMAND when it has lost the daemon: that of `run` cannot be its
    command's."""
    return NOT_STARTED if command == "run" else UNREACHABLE


class Commands(CommandCase):
    def test_none_is_left_out_here(self):
        self.assertEqual({*ASKING, *NOT_IN_NEED}, set(COMMANDS))
        for name in COMMANDS:
            prints_json = re.search(r"(?m)^  -j, --json ", self.ctl(name, "--help")) is not None
            self.assertEqual(prints_json, name in PRINTING_JSON, name)


class WithAFake(CommandCase):
    def serve(self, answer):
        """Another fake daemon, which is asked from now on."""
        directory = tempfile.mkdtemp(dir=self.directory)
        os.chmod(directory, 0o755)
        fake = FakeDaemon(directory, answer)
        self.addCleanup(fake.close)
        self.path = fake.path
        return fake


class WholeJson(WithAFake):
    """What is printed as JSON is one whole value, or for rm and events whole lines, or nothing."""

    def run_json(self, name):
        status, out, err = self.run_program(
            "shmdctl", *PRINTING_JSON[name], "--json", user=SOMEBODY,
            environment={"SHMD_SOCKET": self.path},
        )
        return status, out.decode(), err.decode()

    def check_is_whole(self, name, out):
        for text in out.splitlines() if name in ("rm", "events") else [out] if out else []:
            json.loads(text)

    def test_at_each_answer(self):
        # What the daemon does instead of its Nth answer.
        faults = {
            "refuses": lambda request: refusal(request),
            "closes": lambda request: None,
            "says nonsense": lambda request: b"{}\n",
            "says half of it": lambda request: good_reply(request)[:-30] + b"\n",
        }
        whole, failed = 0, 0
        for name in PRINTING_JSON:
            for what, fault in faults.items():
                for at in range(5):
                    def answer(request, n, fault=fault, at=at):
                        return fault(request) if n >= at else good_reply(request, pages=4)
                    # These would go on: by connecting again, or by holding.
                    if (name == "wait" and what == "closes") or name == "hold":
                        continue
                    fake = self.serve(answer)
                    with self.subTest(command=name, fault=what, at=at):
                        status, out, err = self.run_json(name)
                        self.check_is_whole(name, out)
                        if status == 0:
                            whole += 1
                        elif name not in ("gc", "doctor"):
                            failed += 1
                            self.assertNotEqual(err, "")
                            if name not in ("rm", "events", "call"):
                                self.assertEqual(out, "")
                    fake.close()
        self.assertGreater(whole, 20)
        self.assertGreater(failed, 60)

    def test_list_at_each_page(self):
        for refused in range(4):
            def answer(request, n, refused=refused):
                return refusal(request) if n == refused else page_reply(request, 4)
            fake = self.serve(answer)
            self.assertEqual(self.ctl("list", "--json", status=REFUSED), "")
            self.assertIn("refused by the test", self.message)
            self.assertEqual(self.ctl("list", status=REFUSED), "")
            self.assertEqual(fake.requests, ["list"] * 2 * (refused + 1))
        self.serve(lambda request, n: page_reply(request, 4))
        listed = json.loads(self.ctl("list", "--json"))["segments"]
        self.assertEqual([s["serial"] for s in listed], [1, 2, 3, 4])


class Choice(WithAFake):
    """--socket, --user and --system, and SHMD_SOCKET."""

    def setUp(self):
        super().setUp()
        self.runtime = os.path.join(self.directory, "runtime")
        os.makedirs(os.path.join(self.runtime, "shmd"))
        for name in (self.runtime, os.path.join(self.runtime, "shmd")):
            os.chmod(name, 0o755)
        self.own = os.path.join(self.runtime, "shmd", "shmd.sock")
        self.named = os.path.join(self.directory, "named.sock")
        for path, version in ((self.own, "own"), (self.named, "named")):
            fake = FakeDaemon(
                os.path.dirname(path), lambda request, n, v=version: self.answer(request, v),
                os.path.basename(path),
            )
            self.addCleanup(fake.close)

    def answer(self, request, version):
        if request["method"] == "info":
            line = json.loads(info_reply(request))
            line["result"]["version"] = version
            return json.dumps(line).encode() + b"\n"
        return refusal(request, 1, "io.shmd.NoSuchSegment")

    def version(self, *options, **environment):
        out = self.ctl(*options, "info", "--json", environment=self.environment(environment))
        return json.loads(out)["version"]

    def environment(self, changes):
        return {"SHMD_SOCKET": "", "XDG_RUNTIME_DIR": self.runtime, **changes}

    def test_who_is_asked(self):
        self.assertEqual(self.version("--user"), "own")
        self.assertEqual(self.version("--socket", self.named), "named")
        self.assertEqual(self.version(SHMD_SOCKET=self.named), "named")
        self.assertEqual(self.version("--socket", self.own, SHMD_SOCKET=self.named), "own")
        # What is typed counts more than what the environment says.
        self.assertEqual(self.version("--user", SHMD_SOCKET=self.named), "own")
        if SOMEBODY != ROOT:
            self.assertEqual(self.version(), "own")

    def test_the_systems(self):
        if os.path.exists("/run/shmd/shmd.sock"):
            self.skipTest("there is a daemon of the system's")
        for changes in ({}, {"SHMD_SOCKET": self.named}):
            self.ctl("--system", "info", environment=self.environment(changes), status=UNREACHABLE)
            self.assertIn("the system's daemon at /run/shmd/shmd.sock", self.message)

    def test_contradictions(self):
        for options in (["--user", "--system"], ["--user", "-s", "/x"], ["-s", "/x", "--system"]):
            for line in ([*options, "list"], ["list", *options]):
                with self.subTest(line=line):
                    self.ctl(*line, status=USAGE)
                    self.assertIn("exclude one another", self.message)

    def test_a_user_behind_the_option_that_takes_none(self):
        for word in ("61001", "root"):
            self.ctl("list", "--user", word, environment=self.environment({"XDG_RUNTIME_DIR": "/nowhere"}),
                     status=UNREACHABLE)
            self.assertIn(f"--user chooses your own daemon, and {word} is the beginning of a name; for the "
                          f"segments of a user: --uid {word}", self.message)
        self.ctl("list", "--user", "no-such", environment=self.environment({"XDG_RUNTIME_DIR": "/nowhere"}),
                 status=UNREACHABLE)
        self.assertNotIn("--uid", self.message)

    def test_without_a_runtime_directory(self):
        self.ctl("--user", "list", environment={"SHMD_SOCKET": ""}, status=UNREACHABLE)
        self.assertIn("XDG_RUNTIME_DIR is not set", self.message)

    def test_every_command_takes_them(self):
        for name, line in ASKING.items():
            with self.subTest(command=name):
                environment = {"SHMD_SOCKET": "", "XDG_RUNTIME_DIR": "/nowhere"}
                self.ctl(*line[:1], "--user", *line[1:], environment=environment,
                         status=unreachable(name))
                self.assertIn("your own daemon at /nowhere/shmd/shmd.sock", self.message)

    def test_who_answered_is_told_in_errors(self):
        told = {
            ("--user",): f"[your own daemon at {self.own}]",
            ("--socket", self.named): f"[the daemon at {self.named}]",
        }
        if SOMEBODY != ROOT:
            told[()] = f"[your own daemon at {self.own}; --system asks the system's]"
        for options, text in told.items():
            self.ctl(*options, "stat", "x", environment=self.environment({}), status=4)
            self.assertTrue(self.message.endswith(text + "\n"), self.message)

    def test_who_answered_is_told_in_info(self):
        out = self.ctl("--user", "info", environment=self.environment({}))
        self.assertRegex(out, r"(?m)^daemon +your own")
        self.assertRegex(out, rf"(?m)^socket +{self.own}$")
        out = self.ctl("info", environment=self.environment({"SHMD_SOCKET": self.named}))
        self.assertRegex(out, rf"(?m)^socket +{self.named}$")

    def test_a_command_that_is_run_asks_the_same(self):
        fake = self.serve(lambda request, n: good_reply(request))
        runtime = os.path.join(self.directory, "other")
        os.makedirs(os.path.join(runtime, "shmd"))
        os.symlink(fake.path, os.path.join(runtime, "shmd", "shmd.sock"))
        out = self.ctl(
            "--user", "run", "x", "--size", "1", "--", "sh", "-c", "echo $SHMD_SOCKET",
            environment={"SHMD_SOCKET": "", "XDG_RUNTIME_DIR": runtime},
        )
        self.assertEqual(out, f"{runtime}/shmd/shmd.sock\n")


class NoAnswer(Shmdctl):
    """A daemon that is stopped, or does not accept."""

    def stop(self):
        self.daemon.signal(signal.SIGSTOP)
        self.addCleanup(self.daemon.signal, signal.SIGCONT)

    def test_it_is_told_and_waited_for(self):
        self.client.create(name="x", mode="0666")
        self.client.create(name="gone/1")
        self.client.create(name="gone/2")
        self.stop()
        lines = {
            name: line for name, line in ASKING.items()
            # These would not end, or need what is not there.
            if name not in ("hold", "release", "adopt", "run")
        }
        lines["rm"] = ["rm", "gone/1"]
        lines["disown"] = ["disown", "gone/2"]
        lines["events"] = ["events", "--count", "1", "--after", "0"]
        lines["gc"] = ["gc"]
        processes = {
            # Only admins may reload.
            name: self.start(*line, stderr=subprocess.PIPE, bufsize=0,
                             user=ROOT if name == "reload" else SOMEBODY)
            for name, line in lines.items()
        }
        for name, process in processes.items():
            with self.subTest(command=name):
                told = process.stderr.readline().decode()
                self.assertRegex(told, r"^shmdctl: the daemon at \S+ does not answer yet; waiting")
                self.assertIn(self.path, told)
        self.daemon.signal(signal.SIGCONT)
        for name, process in processes.items():
            with self.subTest(command=name):
                _, err = process.communicate(timeout=DEADLINE)
                self.assertEqual(process.returncode, 0, err)

    def test_a_timeout_for_every_command(self):
        self.stop()
        for name, line in ASKING.items():
            if name == "wait":
                continue  # the daemon may be some seconds late
            with self.subTest(command=name):
                line = [*line[:1], "--timeout", "20ms", *line[1:]]
                self.assertEqual(self.text(*line, status=unreachable(name)), "")
                self.assertIn("no answer from the daemon in time", self.message)
                told = "it may still do what was asked" in self.message
                self.assertEqual(told, name in CHANGING, self.message)
        self.ctl("-t", "20ms", "list", status=UNREACHABLE)

    def text(self, *arguments, **more):
        out = self.ctl(*arguments, **more)
        return out if isinstance(out, str) else out.decode()

    def test_gc_and_doctor_go_on_without_it(self):
        self.stop()
        self.assertIn("was not asked", self.ctl("gc", "--timeout", "20ms"))
        found = json.loads(self.run_program(
            "shmdctl", "doctor", "--json", "--timeout", "20ms", user=SOMEBODY,
            environment={"SHMD_SOCKET": self.path})[1])
        self.assertTrue(any("does not answer" in check["found"] for check in found), found)

    def test_wait(self):
        self.stop()
        self.ctl("wait", "x", "--timeout", "100ms", status=UNREACHABLE)
        self.assertEqual(self.waits, 1)
        self.assertIn("no answer from the daemon in time", self.message)

    def test_one_that_accepts_nobody(self):
        path = os.path.join(self.directory, "full.sock")
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(0)
        waiting = []
        while True:  # until its queue is full
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.setblocking(False)
            try:
                client.connect(path)
            except BlockingIOError:
                break
            waiting.append(client)
        self.path = path
        self.ctl("list", "--timeout", "20ms", status=UNREACHABLE)
        self.assertIn("did not answer in time", self.message)
        process = self.start("list", stderr=subprocess.PIPE)
        self.assertIn(b"does not answer yet", process.stderr.readline())

    def test_a_slow_list_is_bounded_as_a_whole(self):
        # A deadline is one for all pages: a daemon that gives one page after another for ever.
        fake = FakeDaemon(self.directory, lambda request, n: page_reply(request, 1 << 40))
        self.addCleanup(fake.close)
        self.path = fake.path
        self.ctl("list", "--timeout", "300ms", status=UNREACHABLE)


class Lost(WithAFake):
    def test_one_exit_status_in_all_commands(self):
        for what, answer in (
            ("closes at once", lambda request, n: None),
            ("is shutting down", lambda request, n: refusal(request, 14, "io.shmd.ShuttingDown")),
        ):
            for name, line in ASKING.items():
                if name == "wait":
                    continue
                fake = self.serve(answer)
                with self.subTest(command=name, what=what):
                    out = self.ctl(*line, status=unreachable(name))
                    if name != "call":
                        self.assertIn(out, ("", b""))
                fake.close()

    def test_wait_ends_in_time_when_each_connection_is_closed(self):
        fake = self.serve(lambda request, n: None)
        self.ctl("wait", "x", "--timeout", "200ms", status=UNREACHABLE)
        self.assertGreater(len(fake.requests), 1, "it asks again")

    def test_an_empty_list_of_a_refusal_is_not_shown(self):
        error = {"code": 16, "message": "cannot start", "data": {
            "error": "io.shmd.InvalidConfiguration", "errors": [], "used": 7}}
        self.serve(lambda request, n: json.dumps(
            {"jsonrpc": "2.0", "id": request["id"], "error": error}).encode() + b"\n")
        self.ctl("list", status=REFUSED)
        self.assertIn("cannot start (used: 7) [", self.message)

    def test_events_say_how_to_go_on(self):
        def answer(request, n):
            events = b"".join(
                json.dumps({"jsonrpc": "2.0", "method": "event", "params": {
                    "event_serial": serial, "at_ms": 1, "kind": "created", "segment": SEGMENT,
                }}).encode() + b"\n"
                for serial in (41, 42)
            )
            return reply(request, {"event_serial": 40}) + events

        fake = self.serve(answer)
        process = self.start("events", "--json", stderr=subprocess.PIPE)
        for _ in range(2):
            process.stdout.readline()
        fake.drop()
        self.assertEqual(process.wait(DEADLINE), UNREACHABLE)
        self.assertIn("--after 42 goes on from here", process.stderr.read().decode())

    def test_events_without_one_have_nothing_to_go_on_from(self):
        fake = self.serve(lambda request, n: reply(request, {"event_serial": 40}))
        process = self.start("events", "--json", stderr=subprocess.PIPE)
        wait_until(lambda: fake.requests, "it has subscribed")
        fake.drop()
        self.assertEqual(process.wait(DEADLINE), UNREACHABLE)
        self.assertNotIn("--after", process.stderr.read().decode())


class WaitOverARestart(Shmdctl):
    def begin(self, *options):
        process = self.start("wait", "x", "-n", "-o", "NAME", *options, stderr=subprocess.PIPE)
        wait_until(self.somebody_waits, "it waits")
        return process

    def somebody_waits(self):
        return re.search(r"(?m)^shmd_waiters 1$", self.client.call("metrics")["text"])

    def test_it_goes_on(self):
        for options in ([], ["--timeout", "1h"]):
            with self.subTest(options=options):
                process = self.begin(*options)
                directory = self.daemon.directory
                self.daemon.stop()
                self.daemon = self.start_daemon(directory=directory)
                self.client = self.connect(self.daemon)
                self.client.create(name="x")
                out, _ = process.communicate(timeout=DEADLINE)
                self.assertEqual((process.returncode, out), (0, b"x\n"))
                self.client.call("remove", name="x")

    def test_it_does_not_come_back(self):
        process = self.begin("--timeout", "1500ms")
        self.daemon.stop()
        out, err = process.communicate(timeout=DEADLINE)
        self.assertEqual((process.returncode, out), (UNREACHABLE, b""), err)
        self.assertRegex(err, rb"lost the daemon at \S+, and it did not come back in time")

    def test_it_is_told(self):
        process = self.begin()
        self.daemon.stop()
        self.assertRegex(process.stderr.readline(), rb"lost the daemon at .*waiting for it to come")

    def test_one_that_was_never_there(self):
        self.daemon.stop()
        self.ctl("wait", "x", status=UNREACHABLE)
        self.assertIn("cannot reach the daemon", self.message)


EVIL = "\x1b[31m\u009b2J\n\r\t\x7f\u0085\u202eé"


def evil_reply(request, n):
    """A good answer in which every text is one that a terminal would obey, C1 unescaped."""
    holder = {"pid": 1, "uid": 0, "comm": EVIL, "since_at_ms": 1}
    segment = {
        "name": EVIL, "labels": {EVIL: EVIL, "a": EVIL}, "holders": 1, "holder_list": [holder],
        "creator": {"uid": 0, "gid": 0, "pid": 1, "comm": EVIL},
    }  # fmt: skip
    answers = [json.loads(line) for line in good_reply(request, 2).splitlines()]
    for answer in answers:
        result = answer["result"] if "result" in answer else answer["params"]
        for target in [result.get("segment"), *result.get("segments", [])]:
            if target:
                target.update(segment)
        if "text" in result:
            result.update(text=EVIL)
        if "version" in result:
            result.update(version=EVIL, boot_id=EVIL, limits={EVIL: {"used": 1, "max": 2}})
    return b"".join(json.dumps(a, ensure_ascii=False).encode() + b"\n" for a in answers)


def evil_refusal(request, n):
    error = {"code": 1, "message": "no: " + EVIL, "data": {"error": EVIL, EVIL: EVIL, "x": EVIL}}
    line = {"jsonrpc": "2.0", "id": request["id"], "error": error}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


class HostileDaemon(WithAFake):
    def run_command(self, *arguments, **more):
        """Status, output and error output: without a crash, and harmless for a terminal."""
        status, out, err = self.run_program(
            "shmdctl", *arguments, user=SOMEBODY, environment={"SHMD_SOCKET": self.path}, **more
        )
        self.assertGreaterEqual(status, 0, (arguments, err))
        for text in (out, err):
            decoded = text.decode()  # it is UTF-8
            bad = [c for c in decoded if c != "\n" and (c < " " or "\x7f" <= c < "\xa0")]
            self.assertEqual(bad, [], (arguments, decoded))
        return status, out.decode(), err.decode()

    def test_nothing_reaches_a_terminal_raw(self):
        # Those that end by themselves, and whose output is text.
        names = sorted(set(ASKING) - {"read", "write", "hold"})
        for answer in (evil_reply, evil_refusal):
            self.serve(answer)
            for name in names:
                for json_option in ([], ["--json"]) if name != "run" else ([],):
                    with self.subTest(answer=answer.__name__, command=name, options=json_option):
                        line = ASKING[name]
                        _, out, err = self.run_command(*line[:1], *json_option, *line[1:])
                        self.assertTrue(out or err or name in ("run", "reload"))
        self.serve(evil_reply)
        out = self.run_command("stat", "x")[1]
        self.assertIn("\\x1b[31m\\u009b2J\\x0a\\x0d\\x09\\x7f\\u0085\\u202eé", out)
        listed = json.loads(self.run_command("list", "--json")[1])
        self.assertEqual(listed["segments"][0]["name"], EVIL)

    def test_labels_that_the_real_daemon_takes(self):
        daemon = self.start_daemon()
        self.path = daemon.socket_path
        with self.connect(daemon) as client:
            client.create(name="x", labels={"a": "\x1b]0;t\x07", "b": "\u009b1m", "c": "two\nlines"})
        for line in (["stat", "x"], ["list", "-o", "LABELS"], ["stat", "x", "--json"]):
            self.run_command(*line)

    def test_members_that_are_missing_or_wrong(self):
        for member in [*SEGMENT, "holder_list"]:
            for value in (None, "text", -1, 1 << 62, [], {}, ["x"], True):
                def answer(request, n, member=member, value=value):
                    lines = [json.loads(line) for line in good_reply(request, 1).splitlines()]
                    for line in lines:
                        body = line.get("result") or line["params"]
                        for target in [body.get("segment"), *body.get("segments", [])]:
                            if target and value is None:
                                target.pop(member, None)
                            elif target:
                                target[member] = value
                    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

                fake = self.serve(answer)
                for name in ("create", "stat", "rm", "list", "run", "events", "read"):
                    with self.subTest(member=member, value=value, command=name):
                        self.run_command(*ASKING[name])
                fake.close()

    def test_other_results(self):
        for result in ({}, {"segment": None}, {"segment": []}, {"segments": [1]}, {"segments": {}},
                       {"segment": {}, "created": 1}, {"text": 1}, {"event_serial": "x"}):  # fmt: skip
            fake = self.serve(lambda request, n, r=result: reply(request, r))
            for name in sorted(set(ASKING) - {"call", "hold"}):
                with self.subTest(result=result, command=name):
                    status, out, err = self.run_command(*ASKING[name])
                    self.assertNotEqual(status, 0)
                    self.assertEqual(out, "")
                    self.assertRegex(err, "not one of shmd's protocol")
            fake.close()

    def test_words_of_a_newer_daemon(self):
        self.serve(lambda request, n: segment_reply(request, state="frozen", lifetime="eternal"))
        out = self.ctl("stat", "x")
        self.assertRegex(out, r"(?m)^STATE +unknown$")
        self.assertRegex(out, r"(?m)^LIFETIME +unknown$")
        self.serve(lambda request, n: segment_reply(request, managed=False, lifetime=None))
        self.ctl("stat", "x", status=REFUSED)

    def test_a_foreign_segment_without_a_lifetime(self):
        foreign = {key: value for key, value in SEGMENT.items() if key not in ("lifetime", "serial")}
        self.serve(lambda request, n: reply(request, {"segment": {**foreign, "managed": False}}))
        out = self.ctl("stat", "x")
        self.assertIn("LIFETIME   foreign\n", out)
        self.assertRegex(out, r"(?m)^MANAGED +no$")

    def test_an_event_of_a_newer_daemon(self):
        def answer(request, n):
            lines = [
                {"event_serial": 1, "at_ms": 1, "kind": "moved"},
                {"event_serial": 2, "at_ms": 1, "kind": "removed", "reason": "boredom",
                 "segment": SEGMENT},
            ]
            events = [{"jsonrpc": "2.0", "method": "event", "params": p} for p in lines]
            return reply(request, {"event_serial": 0}) + b"".join(
                json.dumps(event).encode() + b"\n" for event in events
            )

        self.serve(answer)
        first, second = self.ctl("events", "--count", "2").splitlines()
        self.assertIn(" unknown  - event_serial=1", first)
        self.assertIn("reason=unknown", second)

    def test_a_flood_and_a_drip_end_with_the_timeout(self):
        event = {"event_serial": 1, "at_ms": 1, "kind": "created", "segment": SEGMENT}
        line = json.dumps({"jsonrpc": "2.0", "method": "event", "params": event}).encode() + b"\n"
        for what, piece in (("events", line), ("late answers", b'{"jsonrpc":"2.0","id":9,"result":{}}\n'),
                            ("bytes", b" ")):  # fmt: skip
            for name in ("stat", "list", "info"):
                fake = self.serve(lambda request, n, p=piece: itertools.repeat(p))
                with self.subTest(what=what, command=name):
                    self.ctl(*ASKING[name], "--timeout", "200ms", status=UNREACHABLE)
                    self.assertIn("no answer from the daemon in time", self.message)
                fake.close()

    def test_the_kernel_says_how_large_it_is(self):
        shmid = sysv.create(4096, mode=0o666)
        self.serve(lambda request, n: info_reply(request) if request["method"] == "info"
                   else segment_reply(request, shmid=shmid, size=102400))  # fmt: skip
        self.assertEqual(self.ctl("read", "x"), bytes(4096))
        self.ctl("read", "x", "--offset", "5000", status=USAGE)
        self.ctl("write", "x", data=b"y" * 5000, status=REFUSED)
        self.assertIn("longer than the 4096 bytes", self.message)
        self.assertEqual(sysv.read(shmid, 4096), b"y" * 4096)


class InOnePiece(Shmdctl):
    """What goes to a terminal is not torn by what others print there."""

    def test_a_table_and_a_message(self):
        for i in range(100):
            self.client.create(name=f"a-name-that-is-not-short/{i:03}")
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in pair:
            self.addCleanup(end.close)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.ctl("list", stdout=pair[1])
        self.assertEqual(pair[0].recv(1 << 20).count(b"\n"), 101)
        for arguments, expected in (
            (["none"], rb"^shmdctl: [^\n]*\n$"),
            (["--shmid", "x"], rb"^shmdctl: [^\n]*\nTry [^\n]*\n$"),
        ):
            process = self.start("stat", *arguments, stderr=pair[1])
            process.wait(DEADLINE)
            while DELAY.fullmatch(piece := pair[0].recv(1 << 20)):
                pass
            self.assertRegex(piece, expected)


if __name__ == "__main__":
    main()
