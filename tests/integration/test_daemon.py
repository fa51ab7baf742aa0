# SPDX-License-Identifier: MIT
"""The process: how it starts, refuses to start, takes over a socket and ends."""

import os
import re
import signal
import socket
import subprocess

import sysv
from harness import (
    ALICE,
    DEADLINE,
    ROOT,
    SOMEBODY,
    WRAPPER,
    Client,
    TestCase,
    as_user,
    daemon_program,
    encode,
    main,
    needs_several_uids,
    wait_until,
)
from missing import need

EXIT_CONFIG = 78  # as sysexits.h has it; the units name it in RestartPreventExitStatus=

# The sanitizer that looks for leaks cannot work in a process that is traced.
UNDER_STRACE = {"ASAN_OPTIONS": "detect_leaks=0"}

# What systemd does for a service: descriptor 3 is the socket, and the pid is the service's.
HAND_OVER = (
    "sh",
    "-c",
    'LISTEN_FDS=1 LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; exec 3<&0; exec "$@"',
    "hand-over",
)


class ProcessCase(TestCase):
    def run_shmd(self, *arguments, cwd="/"):
        """Runs it to its end, as whoever runs the tests."""
        return subprocess.run(
            [*WRAPPER, daemon_program(), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            cwd=cwd,
            check=False,
        )

    def check_ends_badly(self, daemon, *words):
        self.assertNotEqual(daemon.wait(), 0)
        for word in words:
            self.assertIn(word, daemon.log())

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class CommandLine(ProcessCase):
    def test_version(self):
        outcome = self.run_shmd("--version")
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
        self.assertRegex(outcome.stdout, r"^shmd \d+\.\d+\.\d+\S*\n")
        info = self.connect(self.start_daemon()).call("info")
        self.assertEqual(outcome.stdout.split()[1], info["version"])

    def test_help(self):
        outcome = self.run_shmd("--help")
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
        self.assertEqual(self.run_shmd("-h").stdout, outcome.stdout)
        for option in ("--config", "--socket", "--socket-mode", "--state-dir", "--check-config",
                       "--help", "--version"):
            with self.subTest(option=option):
                self.assertIn(option, outcome.stdout)

    def test_unknown_option(self):
        outcome = self.run_shmd("--colour")
        self.assertNotEqual(outcome.returncode, 0)
        self.assertIn("--colour", outcome.stderr)
        self.assertEqual(outcome.stdout, "")

    def test_stray_argument(self):
        outcome = self.run_shmd("--check-config", "stray")
        self.assertNotEqual(outcome.returncode, 0)
        self.assertIn("stray", outcome.stderr)

    def test_bad_socket_mode(self):
        for mode in ("rw", "0999", "77777"):
            with self.subTest(mode=mode):
                outcome = self.run_shmd("--socket-mode", mode, "--check-config")
                self.assertNotEqual(outcome.returncode, 0)
                self.assertIn(mode, outcome.stderr)


class Configuration(ProcessCase):
    def check(self, text):
        self.path = self.write("shmd.conf", text)
        return self.run_shmd("--config", self.path, "--check-config")

    def check_is_bad(self, text, line, *words):
        outcome = self.check(text)
        self.assertNotEqual(outcome.returncode, 0)
        self.assertIn(f"{self.path}:{line}", outcome.stderr)
        for word in words:
            self.assertIn(word, outcome.stderr)

    def test_good(self):
        for text in (
            "",
            "# nothing\n",
            "max_segments = 10\nmax_bytes=1000000\n\n; comment\nmax_connections = 50\n",
            "admin_group = 0\nreconcile_ms = 1000\nattach_timeout_ms = 100\n",
            "[shmd]\nmax_segments_per_uid = 0\n",
        ):
            with self.subTest(text=text):
                outcome = self.check(text)
                self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))

    def test_unknown_key(self):
        self.check_is_bad("max_segments = 1\n\nmax_segmnets = 2\n", 3, "max_segmnets")

    def test_out_of_range(self):
        self.check_is_bad("# one\nmax_connections = 0\n", 2, "max_connections", "1", "1000000")
        self.check_is_bad("max_message_bytes = 1023\n", 1, "max_message_bytes", "1024",
                          "16777216")
        self.check_is_bad("output_high_water = 1023\n", 1, "output_high_water", "1024")
        self.check_is_bad("subscriber_cap = 1023\n", 1, "subscriber_cap", "1024")
        self.check_is_bad("reconcile_ms = 9\n", 1, "reconcile_ms", "from 10 to")
        self.check_is_bad("max_segments = -1\n", 1, "max_segments")
        self.check_is_bad("max_segments = 99999999999999999999\n", 1, "max_segments")

    def test_wrong_type(self):
        for value in ("many", "10 or so", "", "1.5", "0x10"):
            with self.subTest(value=value):
                self.check_is_bad(f"max_segments = {value}\n", 1, "max_segments")

    def test_not_ini(self):
        self.check_is_bad("max_segments = 1\nnonsense\n", 2)

    def test_every_error_is_told(self):
        outcome = self.check("max_segments = x\nnonsense\n\nmax_byte = 1\n")
        self.assertNotEqual(outcome.returncode, 0)
        lines = outcome.stderr.splitlines()
        self.assertEqual([line[: line.index(": ", 6)] for line in lines],
                         [f"shmd: {self.path}:{number}" for number in (1, 2, 4)])
        daemon = self.launch_daemon(config="max_segments = x\nnonsense\n")
        self.check_ends_badly(daemon, f"{daemon.config_path}:1: ", f"\nshmd: {daemon.config_path}:2: ")

    def test_unknown_group(self):
        self.check_is_bad("admin_group = no-such-group-here\n", 1, "no-such-group-here")

    def test_a_file_that_is_not_there(self):
        outcome = self.run_shmd("--config", "/nonexistent/shmd.conf", "--check-config")
        self.assertNotEqual(outcome.returncode, 0)
        self.assertIn("/nonexistent/shmd.conf", outcome.stderr)

    def declare(self, name, text):
        directory = os.path.join(self.directory, "segments.d")
        os.makedirs(directory, exist_ok=True)
        return self.write(os.path.join("segments.d", name), text)

    def everything(self):
        """What there is in the directory and in the kernel."""
        return sorted(os.walk(self.directory)), sysv.proc_table()

    def test_declared_segments_that_are_good(self):
        self.declare("a.json", '[{"name": "a", "size": 1}, {"name": "b", "size": 2, "uid": 7}]')
        self.declare("b.json", "[]")
        self.declare("README", "nonsense")
        self.check("")
        before = self.everything()
        outcome = self.check("")
        self.assertEqual((outcome.returncode, outcome.stdout, outcome.stderr), (0, "", ""))
        self.assertEqual(self.everything(), before, "nothing is made")

    def test_declared_segments_that_are_bad(self):
        bad = [
            self.declare("1.json", '{"name": "a b", "size": 1}'),
            self.declare("2.json", '[{"name": "a", "size": 1}, {"name": "b"}]'),
            self.declare("3.json", "nonsense"),
        ]
        self.declare("4.json", '{"name": "good", "size": 1}')
        self.check("")
        before = self.everything()
        outcome = self.check("")
        self.assertEqual(outcome.returncode, self.check("nonsense").returncode)
        self.assertEqual(self.everything(), before, "nothing is made")
        lines = outcome.stderr.splitlines()
        self.assertEqual(len(lines), len(bad), lines)
        for line, path in zip(lines, bad):
            self.assertIn(f"{path}:1: ", line)
        self.assertIn("entry 2: parameter size", lines[1])
        # It says what the start says.
        daemon = self.start_daemon(config=f"segments_dir = {os.path.dirname(bad[0])}\n")
        for line in lines:
            self.assertIn(line[line.index(self.directory) :] + "\n", daemon.log())

    def test_declared_segments_that_contradict_each_other(self):
        earlier = self.declare("1.json", '[{"name": "a", "size": 1}, {"name": "b", "size": 1}]')
        later = self.declare("2.json", '[{"name": "b", "size": 2}, {"name": "a", "size": 1}]')
        outcome = self.check("")
        self.assertNotEqual(outcome.returncode, 0)
        self.assertEqual(outcome.stderr,
                         f"shmd: {later}:1: b is declared differently in {earlier}, line 1\n")

    def test_what_the_start_would_refuse(self):
        path = self.declare("1.json", '[{"name": "a", "size": 1, "huge_page_size": 12345},\n'
                                      f'{{"name": "b", "size": {1 << 62}}}]')
        outcome = self.check("")
        self.assertNotEqual(outcome.returncode, 0)
        first, second = outcome.stderr.splitlines()
        self.assertIn(f"{path}:1: entry 1: parameter huge_page_size: this kernel has no pages of that size", first)
        self.assertIn(f"{path}:2: entry 2: parameter size: no process can attach so many bytes", second)

    def test_a_directory_of_declared_segments_that_is_not_there(self):
        outcome = self.check("segments_dir = /nonexistent/segments.d\n")
        self.assertNotEqual(outcome.returncode, 0)
        self.assertEqual(outcome.stderr, f"shmd: {self.path}:1: segments_dir "
                         '"/nonexistent/segments.d": there is no such directory\n')
        self.assertEqual(self.check("").returncode, 0, "where none is set")

    def test_declared_segments_elsewhere(self):
        path = self.declare("a.json", "nonsense")
        outcome = self.run_shmd("--config", self.write("segments.d/a.conf", ""), "--check-config")
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
        text = f"segments_dir = {os.path.dirname(path)}\n"
        outcome = self.run_shmd("--config", self.write("segments.d/a.conf", text), "--check-config")
        self.assertNotEqual(outcome.returncode, 0)
        self.assertIn(path, outcome.stderr)

    def test_relative_paths(self):
        self.declare("a.json", "nonsense")
        self.check("")
        outcome = self.run_shmd("--config", "shmd.conf", "--check-config", cwd=self.directory)
        self.assertNotEqual(outcome.returncode, 0)
        self.assertIn("segments.d/a.json:1: not JSON", outcome.stderr)

    def test_a_bad_file_does_not_start(self):
        daemon = self.launch_daemon(config="max_connections = none\n")
        self.check_ends_badly(daemon, f"{daemon.config_path}:1", "max_connections")
        self.assertFalse(os.path.exists(daemon.socket_path))
        self.assertEqual(daemon.wait(), EXIT_CONFIG)

    def test_a_private_daemon_reads_no_file_of_the_system(self):
        """Neither shmd.conf nor segments.d: not even whether they are there is looked at."""
        program = need(self, "strace")
        directory = os.path.join(self.directory, "own")  # of the user who runs the daemon
        os.mkdir(directory, 0o700)
        path = os.path.join(directory, "shmd.sock")
        trace = os.path.join(directory, "trace")
        daemon = subprocess.Popen(
            [program, "-qq", "-f", "-o", trace, "-e", "trace=%file", daemon_program(),
             "--socket", path],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], "HOME": self.directory, **UNDER_STRACE},
            start_new_session=True,
        )
        self.addCleanup(daemon.stderr.close)
        self.addCleanup(daemon.wait)
        self.addCleanup(lambda: daemon.poll() is None and os.killpg(daemon.pid, signal.SIGKILL))
        wait_until(lambda: os.path.exists(path) or daemon.poll() is not None, "it serves")
        os.killpg(daemon.pid, signal.SIGTERM)
        said = daemon.communicate(timeout=DEADLINE)[1]
        with open(trace, encoding="utf-8", errors="replace") as file:
            calls = file.read()
        self.assertIn("shmd.sock", calls)
        for name in ("shmd.conf", "segments.d"):
            self.assertNotIn(name, calls)
        self.assertIn("no configuration file is read", said)

    def test_a_named_file_has_no_segments_but_those_beside_it(self):
        """Not those of the system."""
        self.check("")
        program = need(self, "strace")
        trace = os.path.join(self.directory, "trace")
        subprocess.run([program, "-qq", "-f", "-o", trace, "-e", "trace=%file", daemon_program(),
                        "--config", self.path, "--check-config"], check=True,
                       env={**os.environ, **UNDER_STRACE})
        with open(trace, encoding="utf-8", errors="replace") as file:
            calls = file.read()
        named = re.findall(r'"([^"]*segments\.d[^"]*)"', calls)
        self.assertTrue(named, calls)
        for name in named:
            self.assertTrue(name.startswith(self.directory), name)

    def test_the_least_of_each(self):
        daemon = self.start_daemon(config="max_message_bytes = 1024\noutput_high_water = 1K\n"
                                   "subscriber_cap = 1K\nreconcile_ms = 10\n")
        subscriber = self.connect(daemon)
        subscriber.call("subscribe", kinds=["removed"])
        client = self.connect(daemon)
        made = [client.create(name=f"s{i}", labels={"k": "x" * 100}) for i in range(20)]
        # An answer above the mark is sent whole; what is asked behind it waits, and is answered.
        client.send(b"".join(encode("list", id=i) for i in range(50)))
        for i in range(50):
            reply = client.reply()
            self.assertEqual((reply["id"], len(reply["result"]["segments"])), (i, 20))
        request = encode("list", id=1).rstrip()
        client.send(request[:-1] + b" " * (1024 - len(request)) + b"}")
        self.assertIn("result", client.reply())
        # Every name is usable, also where an encoder escapes what need not be.
        longest = "n/" * 127 + "n"
        client.call("set", name="s1", new_name=longest)
        client.call("set", name=longest, new_name="m" + longest[1:])
        slashes = b"m" + rb"\/" * 254
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"create","params":{"size":1,"name":"'
                    + slashes + b'"}}')
        self.assertEqual(client.reply()["result"]["segment"]["name"], "m" + "/" * 254)
        client.send(request[:-1] + b" " * (1025 - len(request)) + b"}")
        self.assertIn("1024", client.reply()["error"]["message"])
        self.assertIsNone(client.reply(), "and then the connection ends")
        as_user(SOMEBODY, lambda: sysv.remove(made[0]["shmid"]))
        event = subscriber.reply()["params"]
        self.assertEqual((event["reason"], event["segment"]["name"]), ("out-of-band", "s0"))


class Socket(ProcessCase):
    def on_socket(self, path, name="second"):
        """Another daemon, with a directory of its own, on PATH."""
        return self.launch_daemon(
            "--socket", path, "--socket-mode", "0666", directory=self.daemon_directory(name),
            socket=False,
        )

    def test_mode(self):
        daemon = self.start_daemon()
        self.assertEqual(os.stat(daemon.socket_path).st_mode & 0o777, 0o666)

    def test_held_by_a_live_daemon(self):
        first = self.start_daemon()
        client = self.connect(first)
        self.check_ends_badly(self.on_socket(first.socket_path), first.socket_path)
        client.call("list")
        self.connect(first).call("list")  # its socket is still there and its own

    def test_stale(self):
        path = os.path.join(self.daemon_directory(), "shmd.sock")
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(path)
        dead.close()
        os.chmod(path, 0o666)
        daemon = self.start_daemon()
        self.assertEqual(daemon.socket_path, path)
        self.connect(daemon).call("list")

    def test_left_by_a_killed_daemon(self):
        first = self.start_daemon()
        first.process.kill()
        first.wait()
        self.connect(self.start_daemon()).call("list")

    def test_a_file_is_not_a_stale_socket(self):
        path = os.path.join(self.daemon_directory(), "shmd.sock")
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        os.chmod(path, 0o666)
        self.check_ends_badly(self.launch_daemon(), path)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")

    @needs_several_uids
    def test_of_another_user_in_a_directory_for_everybody(self):
        public = os.path.join(self.directory, "public")
        os.mkdir(public)
        os.chmod(public, 0o1777)
        path = os.path.join(public, "shmd.sock")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            os.chown(path, SOMEBODY.uid, SOMEBODY.gid)
            other.listen()
            for mode in (0o600, 0o666):
                os.chmod(path, mode)
                with self.subTest("it listens", mode=oct(mode)):
                    self.check_ends_badly(self.on_socket(path, f"live-{mode}"), "another path by --socket")
        with self.subTest("it is dead"):
            self.check_ends_badly(self.on_socket(path, "dead"), "another path by --socket")
        self.assertEqual(os.stat(path).st_uid, SOMEBODY.uid)

    def test_path_too_long(self):
        path = os.path.join(self.daemon_directory(), "x" * 108)
        self.check_ends_badly(self.on_socket(path), "107")

    def test_no_such_directory(self):
        path = os.path.join(self.directory, "not there", "shmd.sock")
        self.check_ends_badly(self.on_socket(path), path)


class Inherited(ProcessCase):
    def check_serves(self, daemon):
        daemon.wait_until_ready()
        self.assertEqual(self.connect(daemon).call("info")["pid"], daemon.pid)
        segment = self.connect(daemon).create(name="frames")
        self.assertEqual(sysv.stat(segment["shmid"]).uid, SOMEBODY.uid)

    def test_by_hand(self):
        path = os.path.join(self.daemon_directory(), "shmd.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o666)
            listener.listen()
            daemon = self.launch_daemon(socket=False, stdin=listener, shell=HAND_OVER)
        self.check_serves(daemon)
        daemon.stop()
        self.assertTrue(os.path.exists(path), "the socket is its giver's to remove")

    def test_by_systemd_socket_activate(self):
        program = need(self, "systemd-socket-activate")
        path = os.path.join(self.daemon_directory(), "shmd.sock")
        daemon = self.launch_daemon(socket=False, shell=(program, "-l", path))
        wait_until(lambda: os.path.exists(path), "the socket is there")
        os.chmod(path, 0o666)
        self.check_serves(daemon)

    def hand_over(self, *options, config):
        """A daemon that cannot start, with a socket at which two clients wait: its answers."""
        path = os.path.join(self.daemon_directory(), "shmd.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            clients = [Client(path), Client(path)]
            for client in clients:
                self.addCleanup(client.close)
            clients[0].send(encode("info", id=1))
            daemon = self.launch_daemon(*options, socket=False, stdin=listener, shell=HAND_OVER,
                                        config=config)
            answers = [client.replies() for client in clients]
            # Those who come in the moment after are answered, too, or have the listener's backlog.
            status = daemon.wait()
        self.assertTrue(os.path.exists(path), "the socket is its giver's to remove")
        for answer in answers:
            self.assertEqual(len(answer), 1, answers)
            self.assertIsNone(answer[0]["id"])
            self.assertEqual(answer[0]["jsonrpc"], "2.0")
        self.assertEqual(answers[0], answers[1])
        return daemon, status, answers[0][0]["error"]

    def test_clients_of_a_daemon_with_a_bad_configuration_are_answered(self):
        daemon, status, error = self.hand_over(config="max_connections = none\n")
        self.assertEqual(status, EXIT_CONFIG)
        self.assertEqual((error["code"], error["data"]),
                         (16, {"error": "io.shmd.InvalidConfiguration", "errors": []}))
        self.assertIn("cannot start", error["message"])
        self.assertNotIn(daemon.config_path, error["message"], "clients need not know the files")
        self.assertIn(f"{daemon.config_path}:1: ", daemon.log())

    def test_clients_of_a_daemon_with_a_bad_command_line_are_answered(self):
        daemon, status, error = self.hand_over("--colour", config="")
        self.assertEqual((status, error["code"]), (2, -32603))
        self.assertIn("--colour", daemon.log())

    def test_clients_of_a_daemon_that_cannot_keep_its_state_are_answered(self):
        state = self.write("state", "this is not a directory")
        daemon, status, error = self.hand_over("--state-dir", state, config="")
        self.assertEqual((status, error["code"]), (1, -32603))
        self.assertIn(state, daemon.log())

    def test_what_is_no_listening_socket(self):
        with open("/dev/null", "rb") as null:
            daemon = self.launch_daemon(socket=False, stdin=null, shell=HAND_OVER)
            self.check_ends_badly(daemon)
            self.assertTrue(daemon.log().strip(), "it says why")


class End(ProcessCase):
    def test_signals_end_it_in_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                daemon = self.start_daemon(directory=self.daemon_directory(number.name))
                shmid = self.connect(daemon).create(name="kept", size=100)["shmid"]
                daemon.signal(number)
                self.assertEqual(daemon.wait(), 0, daemon.log())
                self.assertTrue(sysv.exists(shmid), "persistent segments stay")

    def test_what_was_asked_is_answered(self):
        daemon = self.start_daemon()
        client = self.connect(daemon)
        client.send(b"".join(encode("create", {"size": 1}, id=i) for i in range(100)))
        self.assertEqual(client.reply()["id"], 0)
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        replies = client.replies()
        made = 1 + sum("result" in reply for reply in replies)
        self.assertEqual([reply["id"] for reply in replies], list(range(1, len(replies) + 1)))
        self.assertEqual(len(sysv.proc_table()), made, "acknowledged is made, and the other way")

    def test_clients_see_the_end(self):
        daemon = self.start_daemon()
        client = self.connect(daemon)
        client.call("list")
        daemon.stop()
        self.assertIsNone(client.reply())

    def test_a_reader_that_does_not_read_does_not_keep_it(self):
        daemon = self.start_daemon()
        owner = self.connect(daemon)
        for i in range(100):
            owner.create(name=f"s{i}", labels={"k": "x" * 255})
        deaf = self.connect(daemon)
        deaf.send(encode("list", {"limit": 100}, id=1) * 100)
        owner.call("list")
        daemon.stop()

    def test_the_next_one_knows_the_segments(self):
        first = self.start_daemon()
        client = self.connect(first)
        made = client.create(name="kept", key=77, labels={"a": "1"}, mode="0640")
        client.create(name="going")
        client.call("remove", name="going")
        first.stop()
        client = self.connect(self.start_daemon())
        found = client.stat(name="kept")
        for field in ("serial", "shmid", "key", "size", "mode", "uid", "gid", "creator", "labels",
                      "created_at_ms", "lifetime", "state"):
            with self.subTest(field=field):
                self.assertEqual(found[field], made[field])
        self.refused("NoSuchSegment", client, "stat", name="going")
        self.assertGreater(client.create(name="new")["serial"], made["serial"] + 1)

    def test_the_next_one_knows_them_after_a_kill(self):
        first = self.start_daemon()
        made = self.connect(first).create(name="kept")
        first.process.kill()
        first.wait()
        client = self.connect(self.start_daemon())
        self.assertEqual(client.stat(name="kept")["serial"], made["serial"])
        client.call("remove", name="kept")
        self.assertFalse(sysv.exists(made["shmid"]))


class Log(ProcessCase):
    def test_a_line_per_change_and_none_per_look(self):
        daemon = self.start_daemon()
        client = self.connect(daemon, ALICE if SOMEBODY is ALICE else ROOT)
        segment = client.create(name="talked-of")
        lines = len(daemon.log().splitlines())
        client.stat(name="talked-of")
        client.list()
        self.assertEqual(len(daemon.log().splitlines()), lines)
        client.call("set", name="talked-of", mode="0640")
        client.call("remove", name="talked-of")
        log = [line for line in daemon.log().splitlines() if "talked-of" in line]
        self.assertEqual(len(log), 3, log)
        for word, line in zip(("create", "set", "remove"), log):
            for part in (word, str(os.getpid()), str(SOMEBODY.uid), str(segment["shmid"])):
                with self.subTest(word=word, part=part):
                    self.assertIn(part, line)


main()
