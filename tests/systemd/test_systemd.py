# SPDX-License-Identifier: MIT
"""The units under a real systemd: activation, restarts, the watchdog, logouts, the sandbox.

All tests share one container, into which the build is installed as a package would be. They leave
the service running and no segment behind.
"""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import container  # noqa: E402
import tap  # noqa: E402
import this_machine  # noqa: E402
from container import wait_until  # noqa: E402
from missing import lacks  # noqa: E402

_SOCKET = "/run/shmd/shmd.sock"
_USER = "shmd-tests-user"
_CLIENT = "/usr/local/lib/shmd-tests/client.py"
_PYTHON = "/usr/bin/python3"

_build = os.environ.get("abs_top_builddir") or os.getcwd()
_source = os.environ.get("abs_top_srcdir") or os.path.join(os.path.dirname(__file__), "..", "..")

_is_here = os.environ.get("SHMD_TEST_SYSTEMD") == "this"
_container = None


def _make_variable(name):
    with open(os.path.join(_build, "Makefile"), encoding="utf-8") as file:
        return re.search(rf"^{name} = (.*)$", file.read(), re.M).group(1)


def _check():
    reason = this_machine.unusable() if _is_here else container.unusable()
    if reason:
        tap.skip_all(reason)
    if not os.path.exists(_PYTHON):
        tap.skip_all(lacks("python3"))
    if not os.path.exists(os.path.join(_build, "Makefile")):
        tap.bail_out("run it from the build directory, or with abs_top_builddir set")
    prefix = _make_variable("prefix")
    if prefix not in ("/usr", "/usr/local"):
        tap.skip_all(f"systemd looks for nothing below the prefix {prefix}")
    for instrument in ("-fsanitize=", "--coverage"):
        if instrument in _make_variable("SHMD_CFLAGS"):
            tap.skip_all(f"the sandbox has no room for what {instrument} does")


def _install(c):
    environment = {"PATH": os.environ["PATH"]}  # not the flags of a make that runs this test
    installed = subprocess.run(
        ["make", "-s", "-C", _build, "install", f"DESTDIR={c.root}"],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert installed.returncode == 0, installed.stdout


def _forget_the_user(c):
    """The machine may have shmd, and its user; a newcomer's has not."""
    for name in ("passwd", "group", "shadow", "gshadow"):
        path = c.path(f"/etc/{name}")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = [line for line in file if not line.startswith("shmd:")]
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(lines)


def _readme():
    """What README.md says of the service."""
    with open(os.path.join(_source, "README.md"), encoding="utf-8") as file:
        return file.read().split("\n## As a service\n")[1].split("\n## ")[0]


def _follow_readme(c):
    """Types its commands, but for the first one, which _install() has done."""
    install, *commands = re.findall(r"(?m)^    # ([^#\n]*?) *(?:#.*)?$", _readme())
    assert install == "make -C build install", install
    assert commands[-1] == "systemctl enable --now shmd.socket", commands
    for command in commands:
        c.run(*command.split())


def setUpModule():
    global _container
    _container = c = this_machine.ThisMachine() if _is_here else container.Container()
    if not _is_here:
        _forget_the_user(c)
    os.makedirs(os.path.dirname(c.path(_CLIENT)), exist_ok=True)
    shutil.copy(os.path.join(_source, "tests", "systemd", "client.py"), c.path(_CLIENT))
    c.write("/etc/systemd/logind.conf.d/tests.conf", "[Login]\nUserStopDelaySec=0\n")
    # A minimal Debian has no such program, and the units need none.
    for name in ("/bin/kill", "/usr/bin/kill"):
        if os.path.lexists(c.path(name)):
            os.unlink(c.path(name))
    # A hang must not take the test half a minute; an emulated processor takes its time.
    watchdog = 30 if _is_here else 3
    c.write(
        "/etc/systemd/system/shmd.service.d/tests.conf",
        f"[Service]\nWatchdogSec={watchdog}s\nTimeoutAbortSec=2s\nLimitCORE=0\n",
    )
    c.start()
    # Not before it has booted: that makes users by itself.
    if not _is_here:
        _install(c)
        ours, its = (os.stat(f"/proc/{pid}/ns/ipc").st_ino for pid in ("self", c.pid))
        assert ours != its, "the container has segments of its own"
    _follow_readme(c)
    c.run("useradd", "--create-home", _USER)
    if c.run("systemctl", "start", "shmd.service", check=False).returncode != 0:
        tap.diagnostics(c.run("journalctl", "-n", "40", "-u", "shmd.service").stdout)
        c.stop()
        tap.bail_out("the service does not start, so no test can tell anything")


def tearDownModule():
    if _container:
        _container.stop()


class SystemdTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.run_in = staticmethod(_container.run)

    def setUp(self):
        self.logs = []
        self.addCleanup(self._collect)
        self.run_in("systemctl", "start", "shmd.socket")
        self.addCleanup(self._remove_all)

    def _collect(self):
        journal = self.run_in("journalctl", "-u", "shmd.service", "-n", "40", "-o", "cat", check=False)
        self.logs.append(journal.stdout)

    def _remove_all(self):
        segments = self.call("list", limit=1000)["segments"]
        self.call_all("remove", [{"serial": segment["serial"]} for segment in segments])

    def exchange(self, requests, user=None, socket=_SOCKET):
        data = "".join(json.dumps(request) + "\n" for request in requests)
        done = subprocess.run(
            _container.command(_PYTHON, _CLIENT, socket, "once", user=user),
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def request(self, method, user=None, socket=_SOCKET, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        (reply,) = self.exchange([request], user, socket)
        return reply

    def call(self, method, user=None, socket=_SOCKET, **params):
        reply = self.request(method, user, socket, **params)
        self.assertIn("result", reply, reply)
        return reply["result"]

    def call_all(self, method, list_of_params):
        """The results of one call for each, on one connection."""
        if not list_of_params:
            return []
        replies = self.exchange(
            [
                {"jsonrpc": "2.0", "id": i, "method": method, "params": params}
                for i, params in enumerate(list_of_params)
            ]
        )
        self.assertEqual([reply["id"] for reply in replies], list(range(len(list_of_params))))
        for reply in replies:
            self.assertIn("result", reply, reply)
        return [reply["result"] for reply in replies]

    def property(self, name, unit="shmd.service"):
        return self.run_in("systemctl", "show", "-P", name, unit).stdout.strip()

    def main_pid(self):
        """As the container counts."""
        return int(self.property("MainPID"))

    def create(self, count, **params):
        results = self.call_all(
            "create", [{"name": f"s/{i}", "size": 4096, **params} for i in range(count)]
        )
        return [result["segment"] for result in results]

    def assert_kept(self, segments):
        """They are there, to the daemon and to the kernel."""
        lines = self.run_in("cat", "/proc/sysvipc/shm").stdout.splitlines()[1:]
        shmids = {int(line.split()[1]) for line in lines}
        results = self.call_all("stat", [{"serial": segment["serial"]} for segment in segments])
        for segment, result in zip(segments, results):
            now = result["segment"]
            for key in ("name", "shmid", "size", "mode", "uid", "gid", "creator", "lifetime"):
                self.assertEqual(now.get(key), segment.get(key))
            self.assertIn(segment["shmid"], shmids)

    def is_running_again(self, old_pid):
        return self.property("ActiveState") == "active" and self.main_pid() not in (0, old_pid)


class UnitFileTest(SystemdTest):
    def test_verify(self):
        units = _make_variable("prefix") + "/lib/systemd"
        for mode, folder in (("--system", "system"), ("--user", "user")):
            with self.subTest(mode=mode):
                done = self.run_in(
                    *("env", "XDG_RUNTIME_DIR=/run", "systemd-analyze", "verify", "--man=no", mode),
                    *(f"{units}/{folder}/shmd.service", f"{units}/{folder}/shmd.socket"),
                    check=False,
                )
                self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_no_user_has_an_instance_unasked(self):
        """systemd enables the units of all users at the first boot, but for those of a preset."""
        units = ("shmd.socket", "shmd.service")
        for unit in units:
            self.run_in("systemctl", "--global", "preset", unit)
            done = self.run_in("systemctl", "--global", "is-enabled", unit, check=False)
            self.assertEqual(done.stdout.strip(), "disabled", unit)

    def test_exposure(self):
        done = self.run_in(
            *("systemd-analyze", "security", "--no-pager", "--threshold=10", "shmd.service"),
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_verify_can_fail(self):
        self.run_in("sh", "-c", "printf '[Service]\\nExecStart=/nowhere\\nNoSuch=1\\n' >/run/bad.service")
        done = self.run_in("systemd-analyze", "verify", "--man=no", "/run/bad.service", check=False)
        self.assertIn("NoSuch", done.stderr)


class ServiceTest(SystemdTest):
    def test_first_request_starts_the_service(self):
        self.run_in("systemctl", "stop", "shmd.service", "shmd.socket")
        self.run_in("systemctl", "enable", "--now", "shmd.socket")
        self.assertEqual(self.property("ActiveState"), "inactive")
        info = self.call("info")
        shmd = int(self.run_in("id", "-u", "shmd").stdout)
        self.assertEqual(info["uid"], shmd)
        self.assertLess(shmd, 1000, "a system user")
        self.assertEqual(self.property("ActiveState"), "active")
        self.assertEqual(info["pid"], self.main_pid())

    def test_what_readme_says(self):
        """Its examples between users, of segments that always exist, and of a reload, word for word."""
        text = " ".join(_readme().split())
        create, wait, read = (re.search(rf"`(shmdctl {part}[^`]*)`", text)[1].replace("ann", _USER).split()
                              for part in ("create frames --size 4K --mode 644", "wait frames", "read frames"))
        self.run_in(*create, user=_USER)
        self.run_in(*wait, user="daemon")
        self.assertEqual(len(self.run_in(*read, user="daemon").stdout), 4096)
        self.call("remove", name="frames")
        directory = re.search(r"`mkdir -p (\S+)`", text)[1]
        file, declared = re.search(r"declare them in `([^`]*)`, such as `([^`]*)`", text).groups()
        path = file.replace("NAME", "frames")
        self.assertEqual(os.path.dirname(path), directory)
        self.addCleanup(self.run_in, "rm", "-f", path)
        self.run_in("mkdir", "-p", directory)
        self.run_in("sh", "-c", f"echo '{declared}' >{path}")
        self.run_in("shmdctl", "reload")
        self.assertIs(self.call("stat", name="frames")["segment"]["declared"], True)
        self.run_in("rm", path)
        self.run_in("shmdctl", "reload")
        self.assertIn("`shmdctl doctor`", text)
        self.assertIn("RemoveIPC=yes", self.run_in("shmdctl", "doctor", check=False).stdout)

    def test_files(self):
        self.call("info")
        listing = self.run_in("stat", "-c", "%n %U %a %F", "/run/shmd", _SOCKET).stdout.splitlines()
        self.assertEqual(listing[0], "/run/shmd shmd 755 directory")
        self.assertRegex(listing[1], r"^\S+ \w+ 666 socket$")
        names = self.run_in("ls", "/run/shmd").stdout.split()
        self.assertTrue([name for name in names if name == "state.journal"], names)
        for name in names:
            if name != "shmd.sock":
                mode = self.run_in("stat", "-c", "%a", f"/run/shmd/{name}").stdout.strip()
                self.assertEqual(mode, "600", name)

    def test_any_user_is_served(self):
        segment = self.call("create", user=_USER, name="hers", size=4096)["segment"]
        uid = int(self.run_in("id", "-u", _USER).stdout)
        self.assertEqual((segment["uid"], segment["creator"]["uid"]), (uid, uid))
        self.assertEqual(segment["creator"]["comm"], "python3")

    def test_restart_keeps_segments(self):
        segments = self.create(20)
        pid = self.main_pid()
        self.run_in("systemctl", "restart", "shmd.service")
        self.assertNotEqual(self.main_pid(), pid)
        self.assert_kept(segments)

    def test_kill_keeps_segments(self):
        segments = self.create(20)
        pid = self.main_pid()
        self.run_in("systemctl", "kill", "--signal=SIGKILL", "shmd.service")
        wait_until(lambda: self.is_running_again(pid), "the service is back")
        self.assert_kept(segments)

    def test_stop_keeps_segments(self):
        segments = self.create(20)
        self.run_in("systemctl", "stop", "shmd.service")
        self.assertEqual(self.property("Result"), "success")
        self.assert_kept(segments)  # the first request starts it

    def test_reload(self):
        segments = self.create(3)
        pid = self.main_pid()
        declared = '{"name":"declared","size":4096}'
        directory = "/etc/shmd/segments.d"
        self.run_in("sh", "-c", f"mkdir -p {directory} && echo '{declared}' >{directory}/a.json")
        self.run_in("systemctl", "reload", "shmd.service")
        self.assertIs(self.call("stat", name="declared")["segment"]["declared"], True)
        self.assertEqual(self.property("StatusText"), "reloaded")
        self.run_in("rm", f"{directory}/a.json")
        self.run_in("systemctl", "reload", "shmd.service")  # or it would be created again
        self.call("remove", name="declared")
        self.assert_kept(segments)
        self.assertEqual(self.main_pid(), pid)

    def configure(self, text):
        """The service's configuration until the test ends. The service goes on with the old one."""
        self.addCleanup(self.run_in, "rm", "-f", "/etc/shmd/shmd.conf")
        self.run_in("sh", "-c", f"mkdir -p /etc/shmd && printf '{text}' >/etc/shmd/shmd.conf")

    def test_reload_of_a_bad_configuration(self):
        segments = self.create(3)
        pid = self.main_pid()
        self.configure("max_segments = 10000\\nmax_bytes = all\\nmax_byte = 1\\n")
        for way in ("reload", "SIGHUP", "reload"):
            if way == "reload":
                done = self.run_in("systemctl", "reload", "shmd.service", check=False)
                self.assertNotEqual(done.returncode, 0, "systemctl tells that it was refused")
            else:
                self.run_in("systemctl", "kill", "--signal=SIGHUP", "shmd.service")
            status = wait_until(lambda: self.property("StatusText"), "there is a status")
            self.assertRegex(status, r"^reload refused: /etc/shmd/shmd\.conf:2: max_bytes ")
            self.assertTrue(status.endswith("(and 1 more)"), status)
            self.assertEqual(self.property("SubState"), "running")
            self.assertNotIn("max", self.call("info")["limits"]["max_segments"])
        journal = self.run_in("journalctl", "-u", "shmd.service", "-o", "cat").stdout
        self.assertIn("shmdctl: /etc/shmd/shmd.conf:3: max_byte: unknown key", journal)
        self.configure("max_segments = 10000\\n")
        self.run_in("systemctl", "reload", "shmd.service")
        self.assertEqual(self.property("StatusText"), "reloaded")
        self.assertEqual(self.call("info")["limits"]["max_segments"]["max"], 10000)
        self.run_in("rm", "/etc/shmd/shmd.conf")
        self.run_in("systemctl", "reload", "shmd.service")
        self.assertEqual(self.main_pid(), pid)
        self.assert_kept(segments)

    def starts(self):
        """How often systemd has started the service."""
        journal = self.run_in("journalctl", "-u", "shmd.service", "-o", "cat").stdout
        return journal.count("Starting shmd.service")

    def check_fails_to_start(self, status, code):
        """The service cannot start: each client gets a sentence, and nothing goes on for ever."""
        before = self.starts()
        for _ in range(3):
            reply = self.request("info")
            self.assertEqual((reply["id"], reply["error"]["code"]), (None, code), reply)
            self.assertIn("cannot start", reply["error"]["message"])
            # Were it to be started again, it would never come to this.
            wait_until(lambda: self.property("SubState") == "failed", "systemd has given up")
            self.assertEqual(self.property("NRestarts"), "0")
            self.assertEqual(self.property("ExecMainStatus"), str(status))
            self.assertEqual(self.property("SubState", "shmd.socket"), "listening")
        self.assertIn(self.starts() - before, (1, 2, 3), "no more often than a client came")
        # Many at once.
        load = "import socket,sys\nc=[socket.socket(socket.AF_UNIX) for i in range(100)]\n" \
            f"[s.connect('{_SOCKET}') for s in c]\n[s.settimeout(60) for s in c]\n" \
            "print(sum(b'cannot start' in s.recv(4096) for s in c))"
        self.assertEqual(self.run_in(_PYTHON, "-c", load).stdout, "100\n")
        wait_until(lambda: self.property("SubState") == "failed", "systemd has given up")
        self.assertEqual(self.property("SubState", "shmd.socket"), "listening")
        self.assertNotEqual(
            self.run_in("systemctl", "start", "shmd.service", check=False).returncode, 0
        )

    def test_a_bad_configuration_at_the_start(self):
        segments = self.create(3)
        self.run_in("systemctl", "stop", "shmd.service")
        self.configure("max_bytes = all\\n")
        self.check_fails_to_start(78, 16)
        self.assertRegex(self.property("StatusText"),
                         r"^cannot start: /etc/shmd/shmd\.conf:1: max_bytes ")
        done = self.run_in("shmdctl", "--socket", _SOCKET, "list", check=False)
        self.assertIn("cannot start", done.stderr)
        self.assertNotEqual(done.returncode, 0)
        # The first client after the correction has a daemon, and nobody had to start it.
        self.run_in("rm", "/etc/shmd/shmd.conf")
        wait_until(lambda: self.property("SubState") == "failed", "the last start has ended")
        self.assert_kept(segments)

    def test_a_bad_command_line_at_the_start(self):
        folder = "/etc/systemd/system/shmd.service.d"

        def take_back():
            self.run_in("rm", "-f", f"{folder}/bad.conf")
            self.run_in("systemctl", "daemon-reload")

        sbin = _make_variable("prefix") + "/sbin"
        self.run_in("systemctl", "stop", "shmd.service")
        self.addCleanup(take_back)
        self.run_in("sh", "-c", f"printf '[Service]\\nExecStart=\\nExecStart={sbin}/shmd --colour\\n'"
                    f" >{folder}/bad.conf")
        self.run_in("systemctl", "daemon-reload")
        self.check_fails_to_start(2, -32603)

    def test_a_bad_file_of_declared_segments_at_the_start(self):
        """The service starts without that segment, and its status says so."""
        directory = "/etc/shmd/segments.d"
        self.addCleanup(self.run_in, "rm", "-f", f"{directory}/a.json")
        self.run_in("sh", "-c", f"mkdir -p {directory} && echo 7 >{directory}/a.json")
        self.run_in("systemctl", "restart", "shmd.service")
        self.assertIn(f"{directory}/a.json:1: ", self.property("StatusText"))
        done = self.run_in("systemctl", "reload", "shmd.service", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.run_in("rm", f"{directory}/a.json")
        self.run_in("systemctl", "reload", "shmd.service")
        self.assertEqual(self.property("StatusText"), "reloaded")

    def test_the_journal_has_fields(self):
        segment = self.call("create", name="fields", size=4096)["segment"]

        def entries():
            text = self.run_in(
                "journalctl", "-u", "shmd.service", "-o", "json", "SHMD_NAME=fields"
            ).stdout
            return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

        (entry,) = wait_until(entries, "the journal has it")
        self.assertEqual(entry["SHMD_METHOD"], "create")
        self.assertEqual(entry["SHMD_SERIAL"], str(segment["serial"]))
        self.assertEqual(entry["SHMD_SHMID"], str(segment["shmid"]))
        self.assertEqual(entry["SHMD_PEER_UID"], "0")
        self.assertEqual(entry["SHMD_PEER_PID"], str(segment["creator"]["pid"]))
        self.assertEqual((entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]), ("6", "shmd"))
        self.call("remove", name="fields")

    def test_a_journal_that_does_not_read(self):
        """Lines are lost, not answers."""
        pid = self.main_pid()
        journal = self.property("MainPID", "systemd-journald.service")
        self.addCleanup(self.run_in, "sh", "-c", f"kill -CONT {journal}")
        self.run_in("sh", "-c", f"kill -STOP {journal}")
        # Lines of one uid, as many as it may have at once: more than a socket holds.
        segments = self.create(250)
        self.call_all("remove", [{"serial": segment["serial"]} for segment in segments])
        self.run_in("sh", "-c", f"kill -CONT {journal}")
        self.assertEqual(self.main_pid(), pid)

    def test_watchdog_ends_a_hang(self):
        segments = self.create(20)
        pid = self.main_pid()
        self.run_in("systemctl", "kill", "--signal=SIGSTOP", "shmd.service")
        wait_until(lambda: self.is_running_again(pid), "the watchdog has struck")
        journal = self.run_in("journalctl", "-u", "shmd.service", "-o", "cat").stdout
        self.assertIn("Watchdog timeout", journal)
        self.assert_kept(segments)

    def test_watchdog_spares_an_idle_daemon(self):
        self.call("info")
        pid = self.main_pid()
        stamp = self.property("WatchdogTimestampMonotonic")
        # Two more answers, without one request.
        for _ in range(2):
            old = stamp
            wait_until(
                lambda: self.property("WatchdogTimestampMonotonic") != old, "the loop answers"
            )
            stamp = self.property("WatchdogTimestampMonotonic")
        self.assertEqual(self.main_pid(), pid)

    def test_restart_under_load(self):
        """Nobody is ever refused: the socket is systemd's and outlives the daemon."""
        segments = self.create(5)
        clients = [
            subprocess.Popen(
                _container.command(_PYTHON, _CLIENT, _SOCKET, "load"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        try:
            for client in clients:
                self.assertEqual(client.stdout.readline(), "going\n")
            for _ in range(5):
                self.run_in("systemctl", "restart", "shmd.service")
                self.call("info")
        finally:
            results = [client.communicate(timeout=120)[0] for client in clients]
        results = [json.loads(text) for text in results]
        for result in results:
            self.assertEqual(result["refused"], 0, results)
            self.assertGreater(result["answered"], 5, results)
            # What was sent in the moment of an end, at the most.
            self.assertLessEqual(result["cut"], 5, results)
        self.assert_kept(segments)

    def test_locked_beyond_the_rlimit(self):
        """With allow-locked.conf, which comes along as a document, and not without it."""
        limit = int(self.property("LimitMEMLOCK"))
        segment = {"name": "locked", "size": 2 * limit, "locked": True, "noreserve": True}
        refused = self.request("create", **segment)
        self.assertEqual(refused["error"]["data"]["limit"], "RLIMIT_MEMLOCK", refused)
        folder = "/etc/systemd/system/shmd.service.d"

        def take_back():
            self.run_in("rm", f"{folder}/allow-locked.conf")
            self.run_in("systemctl", "daemon-reload")
            self.run_in("systemctl", "restart", "shmd.service")

        document = _make_variable("prefix") + "/share/doc/shmd/allow-locked.conf"
        self.run_in("cp", document, folder)
        self.addCleanup(take_back)
        self.run_in("systemctl", "daemon-reload")
        self.run_in("systemctl", "restart", "shmd.service")
        self.assertIs(self.call("create", **segment)["segment"]["locked"], True)
        self.call("remove", name="locked")

    def test_every_kind_of_request_fits_the_sandbox(self):
        """Lifetimes, expiry, the store and the kernel's calls behind the system call filter."""
        requests = [
            ("create", {"name": "a", "size": 4096, "lifetime": "persistent", "ttl_ms": 600000}),
            ("create", {"name": "b", "size": 4096, "lifetime": "process"}),
            ("create", {"name": "c", "size": 4096, "lifetime": "connection"}),
            ("create", {"name": "d", "size": 4096, "lifetime": "attached"}),
            ("create", {"name": "e", "size": 4096, "key": 4711, "noreserve": True}),
            ("create", {"name": "f", "size": 4096, "locked": True}),
            ("set", {"name": "a", "mode": "0640", "labels": {"x": "y"}, "new_name": "aa"}),
            ("stat", {"name": "aa"}),
            ("hold", {"name": "b"}),
            ("release", {"name": "b"}),
            ("list", {"scope": "all"}),
            ("wait", {"name": "aa", "timeout_ms": 0}),
            ("metrics", {}),
            ("remove", {"name": "aa"}),
            ("remove", {"name": "e"}),
            ("subscribe", {}),
        ]
        envelopes = [
            {"jsonrpc": "2.0", "id": i, "method": method, "params": params}
            for i, (method, params) in enumerate(requests)
        ]
        replies = {
            reply["id"]: reply for reply in self.exchange(envelopes) if reply.get("id") is not None
        }
        for i, (method, _) in enumerate(requests):
            self.assertIn("result", replies[i], (method, replies[i]))

    def test_no_call_is_refused_by_the_filter(self):
        """One that is refused fails quietly; here it would kill the daemon. On old kernels the daemon
        has other ways, with other calls."""
        drop_in = "/etc/systemd/system/shmd.service.d/kill.conf"
        self.addCleanup(self.run_in, "systemctl", "restart", "shmd.service")
        self.addCleanup(self.run_in, "systemctl", "daemon-reload")
        self.addCleanup(self.run_in, "rm", "-f", drop_in)
        # libcap, which libsystemd brings along, asks for capabilities by prctl() and does without an answer.
        self.run_in("sh", "-c", "printf '[Service]\\nSystemCallErrorNumber=kill\\nSystemCallFilter=prctl\\n' "
                    f">{drop_in}")
        self.run_in("systemctl", "daemon-reload")
        self.run_in("systemctl", "restart", "shmd.service")
        pid = self.main_pid()
        self.test_every_kind_of_request_fits_the_sandbox()
        holder = subprocess.Popen(
            _container.command("shmdctl", "run", "held", "--size", "4K", "--", "sh", "-c",
                               "echo held; exec cat"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        try:
            self.assertEqual(holder.stdout.readline(), "held\n")
            self.assertEqual(self.main_pid(), pid)
            # The next daemon finds the holder again.
            self.run_in("systemctl", "restart", "shmd.service")
            pid = self.main_pid()
            self.assertEqual(self.call("stat", name="held")["segment"]["holders"], 1)
        finally:
            holder.communicate(timeout=120)
        wait_until(lambda: "error" in self.request("stat", name="held"), "it went with its holder")
        self.assertEqual(self.main_pid(), pid)


class LogoutTest(SystemdTest):
    """systemd-logind's RemoveIPC=yes, which is its default."""

    def setUp(self):
        super().setUp()
        if not glob.glob("/usr/lib/*/security/pam_systemd.so"):
            self.skipTest(lacks("pam_systemd"))
        self.uid = int(self.run_in("id", "-u", _USER).stdout)
        self.run_in(
            *("systemd-run", "--unit=login", f"--uid={_USER}", "-p", "PAMName=login", "--"),
            *("sleep", "infinity"),
        )
        self.addCleanup(self.log_out)
        wait_until(self.is_logged_in, "logind knows the user")

    def is_logged_in(self):
        done = self.run_in("loginctl", "show-user", _USER, "-P", "State", check=False)
        return done.stdout.strip() in ("active", "online")

    def log_out(self):
        self.run_in("systemctl", "stop", "login.service", check=False)
        wait_until(
            lambda: self.run_in("loginctl", "show-user", _USER, check=False).returncode != 0,
            "logind has forgotten the user",
        )

    def is_gone(self, segment):
        return self.request("stat", serial=segment["serial"]).get("error", {}).get("code") == 1

    def test_logout(self):
        """What README.md says of it, and its second way out, word for word."""
        shmd = int(self.run_in("id", "-u", "shmd").stdout)
        gid = int(self.run_in("id", "-g", _USER).stdout)
        own = self.call("create", user=_USER, name="own", size=4096)["segment"]
        self.run_in(*f"shmdctl create frames --size 4K --uid shmd --gid {_USER} --mode 660".split(),
                    user=_USER)
        kept = self.call("stat", user=_USER, name="frames")["segment"]
        self.assertEqual((own["uid"], kept["uid"], kept["gid"]), (self.uid, shmd, gid))
        self.log_out()
        self.assert_kept([kept])
        wait_until(lambda: self.is_gone(own), "what the user owned was removed by logind")

    def test_logout_spares_what_is_attached(self):
        own, used = (self.call("create", user=_USER, name=name, size=4096)["segment"]
                     for name in ("own", "used"))
        attach = "import ctypes, sys; ctypes.CDLL(None).shmat(int(sys.argv[1]), None, 0); " \
            "print('attached', flush=True); sys.stdin.read()"
        process = subprocess.Popen(
            _container.command(_PYTHON, "-c", attach, str(used["shmid"])),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        try:
            self.assertEqual(process.stdout.readline(), "attached\n")
            self.log_out()
            wait_until(lambda: self.is_gone(own), "logind has removed the user's segments")
            self.assert_kept([used])
        finally:
            process.communicate(timeout=120)

    def test_a_user_who_lingers(self):
        """The first way out."""
        self.run_in("loginctl", "enable-linger", _USER)
        self.addCleanup(self.run_in, "loginctl", "disable-linger", _USER)
        own = self.call("create", user=_USER, name="own", size=4096)["segment"]
        self.run_in("systemctl", "stop", "login.service")
        state = ("loginctl", "show-user", _USER, "-P", "State")
        wait_until(lambda: self.run_in(*state).stdout.strip() == "lingering", "the session is over")
        self.assert_kept([own])
        self.run_in("loginctl", "disable-linger", _USER)
        wait_until(lambda: self.is_gone(own), "it was the lingering that kept it")

    def test_user_instance(self):
        runtime = f"/run/user/{self.uid}"
        environment = ("env", f"XDG_RUNTIME_DIR={runtime}")
        wait_until(
            lambda: self.run_in("test", "-S", f"{runtime}/systemd/private", check=False).returncode == 0,
            "the user's own manager is there",
        )
        self.run_in(*environment, "systemctl", "--user", "start", "shmd.socket", user=_USER)
        socket = f"{runtime}/shmd/shmd.sock"
        info = self.call("info", user=_USER, socket=socket)
        self.assertEqual(info["uid"], self.uid)
        segment = self.call("create", user=_USER, socket=socket, name="mine", size=4096)["segment"]
        self.run_in(*environment, "systemctl", "--user", "restart", "shmd.service", user=_USER)
        again = self.call("stat", user=_USER, socket=socket, name="mine")["segment"]
        # Its configuration is the user's own, and nothing of the system's.
        self.addCleanup(self.run_in, "rm", "-rf", "/etc/shmd/shmd.conf")
        self.run_in("sh", "-c", "mkdir -p /etc/shmd && echo max_bytes = all >/etc/shmd/shmd.conf")
        reload = (*environment, "systemctl", "--user", "reload", "shmd.service")
        self.run_in(*reload, user=_USER)
        own = f"/home/{_USER}/.config/shmd"
        self.addCleanup(self.run_in, "rm", "-rf", own)
        self.run_in("sh", "-c", f"mkdir -p {own} && echo max_segments = 7 >{own}/shmd.conf",
                    user=_USER)
        self.run_in(*reload, user=_USER)
        limits = self.call("info", user=_USER, socket=socket)["limits"]
        self.assertEqual(limits["max_segments"]["max"], 7)
        self.assertEqual(again["serial"], segment["serial"])
        self.assertEqual(self.run_in("stat", "-c", "%a", socket).stdout.strip(), "600")


class SandboxTest(SystemdTest):
    def test_what_is_forbidden(self):
        """The probe runs with every setting of the daemon's unit but its start."""
        sbin = _make_variable("prefix") + "/sbin"
        shutil.copy(
            os.path.join(_build, "tests", "systemd", "probe"), _container.path("/usr/sbin/shmd-probe")
        )
        unit_path = _make_variable("prefix") + "/lib/systemd/system/shmd.service"
        with open(_container.path(unit_path), encoding="utf-8") as file:
            unit = file.read()
        self.assertIn(f"ExecStart={sbin}/shmd\n", unit)
        unit = unit.replace(f"{sbin}/shmd", "/usr/sbin/shmd-probe").replace("=shmd\n", "=shmd-probe\n")
        unit = unit.replace("User=shmd-probe", "User=shmd").replace("Group=shmd-probe", "Group=shmd")
        unit = unit.replace("Type=notify", "Type=oneshot").replace("Restart=on-failure\n", "")
        unit = re.sub(r"^(Watchdog|TimeoutAbort|Requires|After).*\n", "", unit, flags=re.M)
        unit = unit.replace(
            "[Service]\n", "[Service]\nStandardOutput=file:/root/probe.out\n"
            "WorkingDirectory=/run/shmd-probe\n"
        )
        _container.write("/etc/systemd/system/shmd-probe.service", unit)
        self.run_in("systemctl", "daemon-reload")
        self.run_in("systemctl", "start", "shmd-probe.service")
        with open(_container.path("/root/probe.out"), encoding="utf-8") as file:
            told = dict(line.rstrip("\n").split(": ") for line in file)
        self.run_in("ipcrm", "--all=shm")
        self.assertEqual(len(told), 18, told)
        allowed = {name for name, result in told.items() if result == "allowed"}
        self.assertEqual(allowed, {"a socket of AF_UNIX", "a segment"}, told)


def _end(_signal, _frame):
    # Not sys.exit(): unittest would take it for a failed test and go on.
    tearDownModule()
    os._exit(99)


if __name__ == "__main__":
    _check()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _end)
    tap.main()
