# SPDX-License-Identifier: MIT
"""libshmd: its symbols, its header, and the scenarios of library.c with the daemon and with servers
that misbehave."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    DEADLINE,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    Client,
    TestCase,
    is_instrumented,
    main,
    needs_several_uids,
)
from missing import need
from programs import Programs

SOURCE = os.environ["abs_top_srcdir"]
BUILD = os.environ["abs_top_builddir"]
HEADER = os.path.join(SOURCE, "client", "shmd.h")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
STANDARDS = ("c99", "c11", "c++11", "c++17", "c++20")

SEGMENT = {
    "serial": 1,
    "shmid": 0,
    "key": 0,
    "size": 1,
    "mode": "0600",
    "uid": 0,
    "gid": 0,
    "nattch": 0,
    "last_pid": 0,
    "creator": {"uid": 0, "gid": 0, "pid": 1},
    "state": "ready",
    "lifetime": "persistent",
    "holders": 0,
    "labels": {},
    "managed": True,
}


def declared_functions():
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    # What is for C++ alone is in the header itself.
    text = re.sub(r"^#ifdef __cplusplus$.*?^#(else|endif)$", "", text, flags=re.S | re.M)
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("#", "typedef")))
    functions = re.findall(r"\b(shmd_\w+)\(", text)
    return set(functions)


class Interface(unittest.TestCase):
    """What is installed."""

    def test_only_what_the_header_declares_is_exported(self):
        library = os.path.join(BUILD, ".libs", "libshmd.so")
        output = subprocess.run(
            ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
        ).stdout
        exported = {line.split()[2].split("@")[0] for line in output.splitlines() if " T " in line}
        others = [line for line in output.splitlines() if " T " not in line and " A " not in line]
        self.assertEqual(exported, declared_functions())
        # The instruments' own, where there are any.
        others = [line for line in others if not re.search(r"__(asan|ubsan|odr|gcov|llvm)", line)]
        self.assertEqual(others, [])

    def test_every_export_has_a_version(self):
        output = subprocess.run(
            ["nm", "-D", os.path.join(BUILD, ".libs", "libshmd.so")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in declared_functions():
            self.assertIn(f"{name}@@LIBSHMD_0", output)

    def check_compiles(self, standard, text):
        """TEXT, which can include what is installed, with the warnings that a careful program has."""
        compiler, language = ("c++", "c++") if standard.startswith("c++") else ("cc", "c")
        done = subprocess.run([compiler, f"-std={standard}", *WARNINGS, "-I", os.path.dirname(HEADER),
                               "-fsyntax-only", "-x", language, "-"],
                              input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_each_header_stands_alone(self):
        need(self, "cc", "c++")
        with open(os.path.join(SOURCE, "client/local.mk"), encoding="utf-8") as file:
            headers = re.search(r"^include_HEADERS \+= (.*)$", file.read(), re.M)[1].split()
        self.assertIn("client/shmd.h", headers)
        for header in headers:
            name = os.path.basename(header)
            for standard in STANDARDS if name.endswith(".h") else ("c++17", "c++20"):
                with self.subTest(name, standard=standard):
                    self.check_compiles(standard, f"#include <{name}>\n#include <{name}>\n")

    def test_each_structure_says_how_it_may_grow(self):
        """It grows at its end, or into its `reserved`, or not at all, and then it is named as such."""
        with open(HEADER, encoding="utf-8") as file:
            text = file.read()
        growth = re.search(r"(?s)\* Growth\. (.*?)\n \*\n", text)[1]
        fixed = set(re.findall(r"struct[\s*]+(shmd_\w+)", growth))
        self.assertEqual(fixed, {"shmd_label", "shmd_holder", "shmd_limit", "shmd_target"})
        structures = re.findall(r"(?s)(/\*(?:(?!\*/).)*\*/\n)?struct (\w+) \{\n(.*?)\n\};", text)
        self.assertIn("shmd_event", [name for _, name, _ in structures])
        for comment, name, members in structures:
            with self.subTest(name):
                promises = ("add members at the end" in re.sub(r"\s+\*?\s*", " ", comment), "reserved[" in members,
                            name in fixed)
                self.assertEqual(sum(promises), 1, promises)

    def test_programs_in_c(self):
        need(self, "cc")
        program = """
            #include <shmd.h>
            int use(struct shmd *shmd, const char *name);
            int use(struct shmd *shmd, const char *name)
            {
                struct shmd_segment *segment = NULL;
                int r = shmd_create(shmd, &(struct shmd_create_options){.name = name, .size = 4096}, &segment, NULL);
                if (r != 0)
                    return r;
                r |= shmd_stat(shmd, SHMD_NAME(name), NULL);
                r |= shmd_ready(shmd, SHMD_SERIAL(segment->serial), NULL);
                r |= shmd_hold(shmd, SHMD_SHMID(segment->shmid), NULL);
                r |= shmd_remove(shmd, SHMD_KEY(segment->key), SHMD_REMOVE_IF_UNATTACHED, NULL);
                shmd_segment_free(segment);
                return r;
            }
        """
        for standard in ("c99", "c11"):
            with self.subTest(standard):
                self.check_compiles(standard, program)

    def test_programs_in_cxx(self):
        need(self, "c++")
        program = """
            #include <shmd.h>
            int use(struct shmd *shmd, const char *name, long number);
            int use(struct shmd *shmd, const char *name, long number)
            {
                struct shmd_segment *segment = NULL;
                struct shmd_create_options options = {};
                options.name = name;
                options.size = 4096;
                if (shmd_create(shmd, &options, &segment, NULL) != 0)
                    return 1;
                int r = shmd_stat(shmd, SHMD_NAME(name), NULL);
                r |= shmd_ready(shmd, SHMD_SERIAL(segment->serial), NULL);
                r |= shmd_hold(shmd, SHMD_SHMID(segment->shmid), NULL);
                r |= shmd_release(shmd, SHMD_SHMID(number), NULL);
                r |= shmd_remove(shmd, SHMD_KEY(0x1234), 0, NULL);
                shmd_segment_free(segment);
                return r;
            }
        """
        for standard in ("c++11", "c++17", "c++20"):
            with self.subTest(standard):
                self.check_compiles(standard, program)

    def test_a_program_needs_no_other_pkg_config_file(self):
        need(self, "pkg-config")
        environment = {**os.environ, "PKG_CONFIG_LIBDIR": os.path.join(BUILD, "client")}
        environment.pop("PKG_CONFIG_PATH", None)

        def ask(*options):
            return subprocess.run(["pkg-config", *options, "shmd"], env=environment, text=True,
                                  capture_output=True, check=True).stdout

        self.assertIn("-lshmd", ask("--cflags", "--libs"))
        self.assertIn("-ljansson", ask("--libs", "--static"))

    def test_the_pkg_config_file_names_the_library(self):
        with open(os.path.join(BUILD, "client", "shmd.pc"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("-lshmd", text)
        self.assertRegex(text, r"(?m)^Version: \d")


class LibraryCase(Programs, TestCase):
    PROGRAM = "tests/integration/library"

    def scenario(self, name, path, *arguments, user=SOMEBODY, environment=None):
        # The instruments may use what they like; the library may not print.
        status, out, err = self.run_program(
            self.PROGRAM,
            name,
            *arguments,
            user=user,
            environment={"SHMD_SOCKET": path, **(environment or {})},
        )
        self.assertEqual(status, 0, err.decode())
        self.assertEqual(err, b"")
        return out.decode()


class WithTheDaemon(LibraryCase):
    def setUp(self):
        super().setUp()
        self.path = self.start_daemon().socket_path

    def test_create(self):
        self.scenario("create", self.path)

    def test_set(self):
        self.scenario("set", self.path)

    def test_refusals(self):
        self.scenario("refusals", self.path)

    def test_list(self):
        self.scenario("list", self.path)

    def test_attach(self):
        self.scenario("attach", self.path)

    def test_attach_where_and_how(self):
        self.scenario("attach_with", self.path)

    def test_attachments(self):
        with Client(self.path, SOMEBODY) as client:
            shmid = client.create(name="shared", mode="0666")["shmid"]
        strangers = 0
        if SEVERAL_UIDS:
            self.hold(BOB, shmid)
            strangers = 1
        self.scenario("attachments", self.path, strangers)

    def test_hold(self):
        self.scenario("hold", self.path)

    def test_finding_and_holding_are_one_step(self):
        self.scenario("find", self.path)

    def test_filled(self):
        self.scenario("filled", self.path)

    def test_replace(self):
        self.scenario("replace", self.path)

    def test_who_adopts_goes_on_holding(self):
        self.scenario("adopted_is_held", self.path)

    def test_who_gives_a_lifetime_goes_on_holding(self):
        self.scenario("changed_is_held", self.path)

    def test_what_cannot_be_held_again(self):
        self.scenario("not_held_again", self.path)

    def test_disown(self):
        self.scenario("disown", self.path)

    @needs_several_uids
    def test_trust(self):
        with Client(self.path, BOB) as client:
            client.create(name="theirs", mode="0666", lifetime="process")
            self.scenario("trust", self.path, BOB.uid, user=ALICE)

    def test_events(self):
        self.scenario("events", self.path)

    def test_call(self):
        self.scenario("call", self.path)

    def test_null_is_a_default_or_an_error(self):
        self.scenario("nulls", self.path)

    def test_the_wrapper_for_cxx(self):
        need(self, "c++")
        source = os.path.join(SOURCE, "tests/integration/wrapped.cpp")
        library = os.path.join(BUILD, ".libs")
        program = os.path.join(self.directory, "wrapped")
        for standard in ("c++17", "c++20"):
            with self.subTest(standard=standard):
                flags = [f"-std={standard}", *WARNINGS]
                instruments = ["-fsanitize=address,undefined"] if is_instrumented() else []
                subprocess.run(["c++", *flags, *instruments, "-I", SOURCE, source, "-o", program,
                                f"-L{library}", "-lshmd"], check=True)
                done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=DEADLINE,
                                      env={**os.environ, "SHMD_SOCKET": self.path, "LD_LIBRARY_PATH": library})
                self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_socket_takes_no_standard_streams_place(self):
        self.scenario("streams_closed", self.path)

    @needs_several_uids
    def test_adopt(self):
        self.scenario("adopt", self.path, DAEMON.uid)

    @needs_several_uids
    def test_adopting_a_strangers_segment_changes_nothing(self):
        shmid = sysv.create(4096, mode=0o666)
        sysv.set_owner(shmid, BOB.uid, BOB.gid, 0o666)
        self.scenario("adopt_strange", self.path, shmid, user=ALICE)
        self.assertEqual(sysv.stat(shmid).uid, BOB.uid)


class AnotherNamespace(LibraryCase):
    def test_neither_attached_nor_handed_over(self):
        daemon = self.start_daemon(user=ROOT, shell=("unshare", "--ipc", "--"))
        with self.connect(daemon, ROOT) as client:
            shmid = client.create(name="theirs", mode="0666")["shmid"]
        # Ours, with the very same id.
        sysv.create_with_shmid(shmid, 4096, mode=0o666)
        before = sysv.stat(shmid)
        self.scenario("namespace", daemon.socket_path, shmid)
        self.assertEqual(sysv.stat(shmid), before)


class Server:
    """Accepts a connection for each of FUNCTIONS and does with it as that says."""

    def __init__(self, directory, *functions):
        self.path = os.path.join(directory, "server.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.listen(1)
        self.problem = None
        self.thread = threading.Thread(target=self._serve, args=functions, daemon=True)
        self.thread.start()

    def _serve(self, *functions):
        try:
            for function in functions:
                connection, _ = self.socket.accept()
                with connection, connection.makefile("rwb") as stream:
                    function(stream)
                    stream.flush()
        except (OSError, AssertionError) as problem:
            self.problem = problem

    def close(self):
        self.thread.join(60)
        self.socket.close()


def request_of(stream):
    return json.loads(stream.readline())


def answer(request, **changes):
    segment = {**SEGMENT, "name": request["params"].get("name")}
    reply = {"jsonrpc": "2.0", "id": request["id"], "result": {"segment": segment}}
    return json.dumps({**reply, **changes}).encode() + b"\n"


CODES = {"NoSuchSegment": 1, "QuotaExceeded": 6, "StoreFailure": 13, "ShuttingDown": 14}

TURNED_AWAY = {
    "jsonrpc": "2.0",
    "id": None,
    "error": {
        "code": 6,
        "message": "too many connections",
        "data": {"error": "io.shmd.QuotaExceeded", "quota": "max_connections_per_uid"},
    },
}
TURNED_AWAY = json.dumps(TURNED_AWAY).encode() + b"\n"


class BadServerCase(LibraryCase):
    def against(self, scenario, functions, *arguments, ends_by=type(None)):
        """FUNCTIONS: one, or one for each connection."""
        server = Server(self.directory, *(functions if isinstance(functions, list) else [functions]))
        try:
            self.scenario(scenario, server.path, *arguments)
        finally:
            server.close()
        self.assertIsInstance(server.problem, ends_by)


class WithABadServer(BadServerCase):
    def test_a_late_answer_is_passed_over(self):
        def serve(stream):
            first = request_of(stream)
            second = request_of(stream)
            stream.write(answer(first) + answer(second))

        self.against("late", serve)

    def test_a_delay_is_told_once(self):
        def serve(stream):
            for pause in (0.3, 0, 0.3, 0.3):
                request = request_of(stream)
                time.sleep(pause)
                stream.write(answer(request))
                stream.flush()

        self.against("delay", serve)

    def test_no_flood_puts_a_deadline_off(self):
        event = {"jsonrpc": "2.0", "method": "event", "params": {}}
        for piece in (json.dumps(event).encode() + b"\n", b'{"jsonrpc":"2.0","id":9,"result":{}}\n', b" "):
            def serve(stream, piece=piece):
                request_of(stream)
                while True:
                    stream.write(piece)
                    stream.flush()

            with self.subTest(piece=piece):
                self.against("flood", serve, ends_by=(BrokenPipeError, ConnectionResetError))
                os.unlink(os.path.join(self.directory, "server.sock"))

    def test_words_of_a_newer_daemon(self):
        def event(**params):
            line = {"jsonrpc": "2.0", "method": "event", "params": {"at_ms": 1, **params}}
            return json.dumps(line).encode() + b"\n"

        def serve(stream):
            changed = {**SEGMENT, "state": "frozen", "lifetime": "eternal"}
            stream.write(answer(request_of(stream), result={"segment": changed}))
            stream.flush()
            stream.write(answer(request_of(stream), result={"event_serial": 1}))
            foreign = {k: v for k, v in SEGMENT.items() if k != "lifetime"}
            stream.write(event(event_serial=7, kind="moved"))
            stream.write(event(event_serial=8, kind="removed", reason="boredom",
                               segment={**foreign, "managed": False}))
            stream.flush()
            request = request_of(stream)
            error = {"code": 99, "message": "too new", "data": {"error": "io.shmd.TooNew"}}
            line = {"jsonrpc": "2.0", "id": request["id"], "error": error}
            stream.write(json.dumps(line).encode() + b"\n")

        self.against("newer", serve)

    def test_an_end_in_the_midst_of_an_answer(self):
        def serve(stream):
            stream.write(answer(request_of(stream))[:-10])

        self.against("closes", serve)

    def test_an_end_without_an_answer(self):
        self.against("closes", lambda stream: request_of(stream))

    def test_turned_away_without_being_heard(self):
        self.against("turned_away", lambda stream: stream.write(TURNED_AWAY))

    def test_what_is_refused_for_now_is_held_later(self):
        """A new connection holds it when the daemon takes it again, and forgets what is gone."""
        held = {"segment": {**SEGMENT, "lifetime": "process", "holders": 1}, "created": True}

        def begin(stream):
            for result in (held, {"event_serial": 7}):
                stream.write(answer(request_of(stream), result=result))
                stream.flush()

        def then(*answers):
            def serve(stream):
                for method, outcome in zip(("subscribe", "hold"), answers):
                    request = request_of(stream)
                    self.assertEqual(request["method"], method)
                    if isinstance(outcome, str):
                        error = {"code": CODES[outcome], "message": "no", "data": {"error": f"io.shmd.{outcome}"}}
                        reply = {"jsonrpc": "2.0", "id": request["id"], "error": error}
                        stream.write(json.dumps(reply).encode() + b"\n")
                    else:
                        stream.write(answer(request, result=outcome))
                    stream.flush()
                self.assertEqual(stream.readline(), b"")  # nothing else is asked

            return serve

        on = {"event_serial": 7}
        self.against("refused_for_now", [
            begin,
            then(on, "ShuttingDown"),
            then(on, "QuotaExceeded"),
            then("QuotaExceeded", "StoreFailure"),
            then(on, held),
            then("QuotaExceeded", "NoSuchSegment"),
            then(on, "NoSuchSegment"),
            then(on),
        ])

    def test_nonsense(self):
        bad = [
            b"hello\n",
            b"\n",
            b"[]\n",
            b"{}\n",
            b'{"jsonrpc":"2.0","id":5,"result":{"segment":{}}}\n',
            b'{"jsonrpc":"2.0","id":6,"result":[]}\n',
            b'{"jsonrpc":"2.0","id":7,"error":{}}\n',
            b'{"jsonrpc":"2.0","id":8,"result":{"seg\0ment":1}}\n',
        ]

        def serve(stream):
            for line in bad:
                request_of(stream)
                stream.write(line)
                stream.flush()

        self.against("nonsense", serve, len(bad))

    def test_signals_end_nothing(self):
        def serve(stream):
            for _ in range(2):
                for byte in answer(request_of(stream)):
                    stream.write(bytes([byte]))
                    stream.flush()

        self.against("signals", serve)


class Reconnecting(LibraryCase):
    def test_a_restart_of_the_daemon(self):
        daemon = self.start_daemon()
        process = self.popen(self.PROGRAM, "reconnect", user=SOMEBODY, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             environment={"SHMD_SOCKET": daemon.socket_path})
        self.assertEqual(process.stdout.readline(), b"kill it\n")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        process.stdin.write(b"\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"start it\n")
        # It is tried until somebody serves there.
        process.stdin.write(b"\n")
        process.stdin.flush()
        self.start_daemon()
        _, err = process.communicate(timeout=DEADLINE)
        self.assertEqual((process.returncode, err), (0, b""))

    def test_a_restart_while_a_segment_is_filled(self):
        daemon = self.start_daemon()
        process = self.popen(self.PROGRAM, "fill_restart", user=SOMEBODY, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             environment={"SHMD_SOCKET": daemon.socket_path})
        self.assertEqual(process.stdout.readline(), b"restart it\n")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        self.start_daemon()
        _, err = process.communicate(b"\n", timeout=DEADLINE)
        self.assertEqual((process.returncode, err), (0, b""))


class PipelinedWithTheDaemon(LibraryCase):
    """Calls that do not wait."""

    PROGRAM = "tests/integration/pipelined"

    def setUp(self):
        super().setUp()
        self.path = self.start_daemon().socket_path

    def test_more_than_a_socket_takes(self):
        self.scenario("many", self.path)

    def test_each_call(self):
        self.scenario("each", self.path)

    def test_each_call_that_answers_with_no_segment(self):
        self.scenario("others", self.path)

    def test_a_wait_holds_nothing_up(self):
        self.scenario("wait", self.path)

    def test_beside_calls_that_wait_and_events(self):
        self.scenario("mixed", self.path)

    def test_what_is_told_may_send(self):
        self.scenario("from_within", self.path)

    def test_in_an_event_loop(self):
        self.scenario("poll", self.path)

    def test_what_is_unanswered_is_freed(self):
        self.scenario("unanswered", self.path)


class PipelinedWithABadServer(BadServerCase):
    PROGRAM = "tests/integration/pipelined"

    def test_the_end_of_the_connection(self):
        self.against("lost", lambda stream: [request_of(stream) for _ in range(3)])

    def test_turned_away(self):
        self.against("turned_away", lambda stream: stream.write(TURNED_AWAY))

    def test_nonsense(self):
        def serve(stream):
            request_of(stream)
            stream.write(b'{"jsonrpc":"2.0","id":1,"result":[}\n')

        self.against("nonsense", serve)


class WithoutAServer(LibraryCase):
    def socket_path(self, user, **environment):
        environment = {"SHMD_SOCKET": "", **environment}
        lines = self.scenario("path", "", user=user, environment=environment).splitlines()
        runtime = environment.get("XDG_RUNTIME_DIR")
        self.assertEqual(lines[1:], [f"{runtime}/shmd/shmd.sock"] if runtime else [])
        return lines[0]

    def test_the_search_for_the_socket(self):
        system = "/run/shmd/shmd.sock"
        runtime = os.path.join(self.directory, "runtime")
        os.makedirs(os.path.join(runtime, "shmd"))
        own = os.path.join(runtime, "shmd", "shmd.sock")
        self.assertEqual(self.socket_path(ROOT, SHMD_SOCKET="/x/y"), "/x/y")
        self.assertEqual(self.socket_path(SOMEBODY, XDG_RUNTIME_DIR=runtime), system)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(own)
            self.assertEqual(self.socket_path(ROOT, XDG_RUNTIME_DIR=runtime), system)
            if SOMEBODY != ROOT:
                self.assertEqual(self.socket_path(ALICE, XDG_RUNTIME_DIR=runtime), own)
            self.assertEqual(
                self.socket_path(ROOT, XDG_RUNTIME_DIR=runtime, SHMD_SOCKET="/x"), "/x"
            )

    def test_no_daemon(self):
        path = os.path.join(self.directory, "closed.sock")
        socket.socket(socket.AF_UNIX).bind(path)
        os.chmod(path, 0o666)
        self.scenario("connect_fails", "", path)

    def test_why_it_cannot_be_reached(self):
        self.scenario("unreachable", "")

    def test_a_daemon_that_accepts_nobody(self):
        path = os.path.join(self.directory, "full.sock")
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
            listener.bind(path)
            os.chmod(path, 0o666)
            listener.listen(0)
            first.connect(path)
            self.scenario("connect_times_out", "", path)


if __name__ == "__main__":
    main()
