# SPDX-License-Identifier: MIT
"""What all integration tests use: a private machine, the real daemon, its clients.

Importing this module moves the process into namespaces of its own (machine.py). Tests need root to
act as several users; without it those tests are skipped.

A test file imports it, derives its tests from `TestCase` and ends in `main()`; tests and TAP lines
correspond one to one. Nothing here or in the tests measures time: DEADLINE only ends hangs.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import pickle
import resource
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from collections import namedtuple

import machine
import sysv
import tap
from tap import diagnostics, main  # for the test files

User = namedtuple("User", "uid gid groups")

ROOT = User(0, 0, ())
DAEMON = User(2500, 2500, ())
ALICE = User(3001, 3001, ())
BOB = User(3002, 3002, ())

# Run in front of the daemon's command, such as valgrind with its options.
WRAPPER = shlex.split(os.environ.get("SHMD_TEST_WRAPPER", ""))
DEADLINE = int(os.environ.get("SHMD_TEST_DEADLINE", 300 if WRAPPER else 60))

sysv.libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
sysv.libc.mmap.restype = ctypes.c_void_p
sysv.libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1

ERRORS = {
    "NoSuchSegment": (1, "io.shmd.NoSuchSegment"),
    "SegmentExists": (2, "io.shmd.SegmentExists"),
    "PermissionDenied": (3, "org.varlink.service.PermissionDenied"),
    "SizeMismatch": (4, "io.shmd.SizeMismatch"),
    "LimitReached": (5, "io.shmd.LimitReached"),
    "QuotaExceeded": (6, "io.shmd.QuotaExceeded"),
    "SegmentBusy": (7, "io.shmd.SegmentBusy"),
    "StaleSegment": (8, "io.shmd.StaleSegment"),
    "InitialiserDied": (9, "io.shmd.InitialiserDied"),
    "TimedOut": (10, "io.shmd.TimedOut"),
    "KeyInUse": (11, "io.shmd.KeyInUse"),
    "NotHoldable": (12, "io.shmd.NotHoldable"),
    "StoreFailure": (13, "io.shmd.StoreFailure"),
    "ShuttingDown": (14, "io.shmd.ShuttingDown"),
    "NotSupported": (15, "io.shmd.NotSupported"),
    "InvalidConfiguration": (16, "io.shmd.InvalidConfiguration"),
    "InvalidParameter": (-32602, "org.varlink.service.InvalidParameter"),
    "MethodNotFound": (-32601, "org.varlink.service.MethodNotFound"),
}
PARSE_ERROR, INVALID_REQUEST = -32700, -32600


if sys.maxsize < 2**32:
    tap.skip_all("the tests know only the structures of 64-bit Linux")
_HOST_NAMESPACE = os.stat("/proc/self/ns/ipc").st_ino
try:
    SEVERAL_UIDS, IS_ALONE = machine.enter()
except OSError as _error:
    tap.skip_all(f"this test needs an IPC namespace of its own: {_error}")
# Whoever stands for «any user» in tests where rights do not matter.
SOMEBODY = ALICE if SEVERAL_UIDS else ROOT

# For tests of what looks at all processes, or at all daemons.
needs_to_be_alone = unittest.skipUnless(
    IS_ALONE, "needs a pid namespace and a /proc of its own, which this container does not allow"
)
needs_several_uids = unittest.skipUnless(
    SEVERAL_UIDS, "needs root: without it there is only one uid to act as"
)
# Tests that cannot but wait. SHMD_TEST_FAST=1 leaves them out.
slow = unittest.skipIf(os.environ.get("SHMD_TEST_FAST"), "slow, and SHMD_TEST_FAST is set")


def _exit_on_signal(_signal, _frame):
    # Unwinds, so that daemons and directories go even when the test program is interrupted.
    sys.exit(99)


for _number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, _exit_on_signal)
# A shell starts what it puts into the background with this ignored, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until(condition, what):
    """Polls CONDITION until it gives something true, and returns that."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {DEADLINE} s in vain until {what}")
        time.sleep(0.01)
    return value


def enter_private_network():
    """What listens in the machine is not seen from now on, other tests' daemons above all. Sockets
    in the file system work all the same."""
    sysv.libc.unshare(_CLONE_NEWNET)  # where it fails, the machine is as it is


# --- users


def _die_with_parent():
    sysv.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _become(user):
    """For good: root's capabilities go too."""
    if SEVERAL_UIDS:
        os.setgroups(user.groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)


@contextlib.contextmanager
def _effective(user):
    """Acts as USER for a moment: enough for connect(), which is when the kernel notes a peer."""
    if not SEVERAL_UIDS or user.uid in (ROOT.uid, os.geteuid()):
        yield
        return
    groups = os.getgroups()
    os.setgroups(user.groups)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


class _Memory:
    """Tells whether the memory of a child is there. Another process that reads the child's files in
    /proc, as `ps` does, keeps its memory, and what is attached to that, for a moment after its death."""

    def __init__(self):
        # A file that the child will have in its memory, and nobody anywhere else. The lock goes with that.
        self._file = os.memfd_create("memory")
        self._locked = os.open(f"/proc/self/fd/{self._file}", os.O_RDWR)
        fcntl.flock(self._locked, fcntl.LOCK_EX)

    def enter(self):
        """In the child. The file is not in the memory of its own children."""
        address = sysv.libc.mmap(None, sysv.PAGE, mmap.PROT_READ, mmap.MAP_SHARED, self._locked, 0)
        assert sysv.libc.madvise(address, sysv.PAGE, mmap.MADV_DONTFORK) == 0
        os.close(self._locked)

    def forked(self):
        """In the parent."""
        os.close(self._locked)

    def wait_until_gone(self):
        wait_until(self._is_gone, "the memory of a dead process is gone")
        os.close(self._file)

    def _is_gone(self):
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Child:
    """A forked process that runs FUNCTION as USER and reports its outcome through a pipe. Of the
    descriptors it has only the standard ones and KEEP: no connection stays open by it. Once it is
    reaped it is attached to nothing."""

    def __init__(self, user, function, keep=()):
        self._memory = _Memory()
        self._read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(user, function, write, keep)
        os.close(write)
        self._memory.forked()
        self._reaped = False

    def _run(self, user, function, write, keep):
        # Never returns: the test program's own clean-up is not the child's.
        try:
            self._memory.enter()
            kept = sorted((2, write, *keep))
            for low, high in zip(kept, (*kept[1:], os.sysconf("SC_OPEN_MAX"))):
                os.closerange(low + 1, high)
            # Only the parent turns signals into an orderly end.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            _become(user)
            _die_with_parent()
            report = lambda outcome: os.write(write, pickle.dumps(outcome))
            try:
                value = function(lambda value: report((True, value)))
                if value is not None:
                    report(value)
            except BaseException as error:  # the parent raises it again
                report((False, error))
        finally:
            os._exit(0)

    def outcome(self):
        """What the child reported last: its value, or the exception it ended with."""
        ready, _, _ = select.select([self._read], [], [], DEADLINE)
        data = os.read(self._read, 1 << 20) if ready else b""
        if not data:
            raise AssertionError("the child did not report")
        good, value = pickle.loads(data)
        if not good:
            raise value
        return value

    def check(self):
        """Raises what a child that is not to end has ended with."""
        if select.select([self._read], [], [], 0)[0]:
            raise AssertionError(f"the child has ended with {self.outcome()}")

    def end(self, number=signal.SIGKILL):
        if not self._reaped:
            os.kill(self.pid, number)
            self.reap()

    def reap(self):
        os.waitpid(self.pid, 0)
        os.close(self._read)
        self._reaped = True
        self._memory.wait_until_gone()


def as_user(user, function):
    """Runs FUNCTION in a child without any of root's rights; returns what it returns (at most
    64 KiB when pickled), or raises what it raises."""
    child = Child(user, lambda _report: (True, function()))
    try:
        return child.outcome()
    finally:
        child.end()


class HeldAttachment:
    """A process of USER that stays attached to a segment until it is killed."""

    def __init__(self, user, shmid, flags=0):
        def hold(report):
            sysv.attach(shmid, flags)
            report(None)
            while True:
                signal.pause()

        self._child = Child(user, hold)
        self.pid = self._child.pid
        try:
            self._child.outcome()
        except BaseException:
            self.kill()
            raise

    def kill(self):
        self._child.end()


# --- the daemon and its clients


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(json.dumps(error))
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data", {})


def connect(client, path):
    """Connects the socket CLIENT, and sets its deadline. While the daemon's backlog is full this
    waits: a socket with Python's own timeout does not block, and would get EAGAIN."""
    seconds = struct.pack("ll", DEADLINE, 0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
    client.connect(path)
    client.settimeout(DEADLINE)


class Client:
    """One connection. Replies are JSON lines; a reply that does not come in time raises."""

    def __init__(self, path, user=ROOT):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._input = b""
        self._last_id = 0
        try:
            with _effective(user):
                connect(self.socket, path)
        except BaseException:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_what_is_taken(self, data):
        """Sends until the daemon has closed; one that it turns away it may close at any time."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send(data)

    def finish(self):
        """Half-close: there is nothing more to say, but to listen."""
        self.socket.shutdown(socket.SHUT_WR)

    def read_line(self, may_be_cut_off=False):
        """The next line without its LF, or None at the end."""
        while b"\n" not in self._input:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                assert may_be_cut_off or not self._input, f"the last line has no LF: {self._input[-200:]!r}"
                return None
            self._input += data
        line, self._input = self._input.split(b"\n", 1)
        return line

    def reply(self, may_be_cut_off=False):
        """The next reply, decoded, or None at the end."""
        line = self.read_line(may_be_cut_off)
        return None if line is None else json.loads(line)

    def replies(self):
        """All replies up to the end."""
        return list(iter(self.reply, None))

    def exchange(self, data):
        """Sends DATA, half-closes, and gives every reply up to the end."""
        self.send(data)
        self.finish()
        return self.replies()

    def request(self, method, /, **params):
        """The whole reply to one request."""
        self._last_id += 1
        self.send(encode(method, params, id=self._last_id))
        reply = self.reply()
        assert reply is not None, f"closed instead of an answer to {method}"
        assert reply["jsonrpc"] == "2.0" and reply["id"] == self._last_id, reply
        return reply

    def call(self, method, /, **params):
        """The result of one request; raises RpcError when it is an error."""
        reply = self.request(method, **params)
        if "error" in reply:
            raise RpcError(reply["error"])
        return reply["result"]

    def create(self, **params):
        return self.call("create", **{"size": 4096, **params})["segment"]

    def stat(self, **target):
        return self.call("stat", **target)["segment"]

    def list(self, **params):
        """All pages together; they may be short or empty."""
        segments, page = [], self.call("list", **params)
        segments += page["segments"]
        while "cursor" in page:
            page = self.call("list", **{**params, "cursor": page["cursor"]})
            segments += page["segments"]
        return segments


def without_details(segment):
    """A segment as stat tells it, without what only stat tells."""
    return {key: segment[key] for key in segment
            if key not in ("holder_list", "waiters", "waiter_list", "rss", "swap")}


def encode(method, params=None, **members):
    """A request as bytes, LF included; without `id` it is a notification."""
    request = {"jsonrpc": "2.0", **members, "method": method}
    if params is not None:
        request["params"] = params
    return json.dumps(request, separators=(",", ":")).encode() + b"\n"


class Daemon:
    """shmd on a socket in a directory of its own."""

    def __init__(self, directory, *, user, config, options, environment, rlimits, stdin, shell):
        self.directory = directory
        self.socket_path = os.path.join(directory, "shmd.sock")
        self.config_path = os.path.join(directory, "shmd.conf")
        self.configure(config)
        self._stderr_path = os.path.join(directory, "stderr")
        command = [
            *shell,
            *WRAPPER,
            daemon_program(),
            *("--config", self.config_path),
            *("--state-dir", directory),
            *options,
        ]

        def before_exec():
            for limit, value in rlimits.items():
                resource.setrlimit(limit, (value, value))
            _die_with_parent()

        identity = {}
        if SEVERAL_UIDS:
            identity = {"user": user.uid, "group": user.gid, "extra_groups": list(user.groups)}
        with open(self._stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd="/",
                env={"PATH": os.environ["PATH"], **environment},
                preexec_fn=before_exec,
                **identity,
            )
        self.pid = self.process.pid

    def configure(self, text):
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def log(self):
        with open(self._stderr_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_until_ready(self):
        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"shmd ended with {self.process.returncode}: {self.log()}")
            try:
                Client(self.socket_path).close()
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            return True

        wait_until(answers, "the daemon accepts connections")

    def connect(self, user=None):
        return Client(self.socket_path, SOMEBODY if user is None else user)

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self):
        """The exit status."""
        return self.process.wait(DEADLINE)

    def stop(self):
        self.signal(signal.SIGTERM)
        status = self.wait()
        assert status == 0, f"shmd ended with {status} on SIGTERM: {self.log()}"

    def proc_status(self, field):
        """A number of /proc/PID/status."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(field + ":"))

    def end(self):
        """Whatever has happened: afterwards it is gone. An orderly end is asserted if it ran."""
        if self.process.returncode is not None:
            return
        try:
            if self.process.poll() is None:
                self.stop()
            else:
                raise AssertionError(f"shmd ended with {self.process.returncode} on its own")
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


_program = None


def daemon_program():
    """The daemon's binary, somewhere the daemon's user may execute it."""
    global _program
    if _program is None:
        build = os.environ.get("abs_top_builddir")
        if build is None:
            tap.bail_out("abs_top_builddir is not set: it names the directory of the build")
        _program = os.path.join(build, "shmd")
        # Where libtool left a script, the program is elsewhere; a script would hide its pid from
        # wrappers.
        real = os.path.join(build, ".libs", "shmd")
        if os.path.exists(real):
            _program = real
        if not os.path.exists(_program):
            tap.bail_out(f"{_program} is not there: build it first")
    return _program


def is_instrumented():
    """Whether memory figures of the daemon say nothing about it."""
    with open(daemon_program(), "rb") as file:
        return bool(WRAPPER) or b"__asan_init" in file.read()


class TestCase(unittest.TestCase):
    """A test with a directory of its own, a kernel without segments, and daemons on demand."""

    maxDiff = None
    CONFIG = ""

    def setUp(self):
        self.logs = []  # printed by tap.py when the test fails
        self.directory = tempfile.mkdtemp(prefix="shmd-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        os.chmod(self.directory, 0o755)
        self.addCleanup(self._remove_all_segments)
        for name in ("shmmni", "shmall", "shmmax", "shm_rmid_forced"):
            self._restore_afterwards(name)

    def _remove_all_segments(self):
        assert os.stat("/proc/self/ns/ipc").st_ino != _HOST_NAMESPACE
        for shmid in sysv.proc_table():
            sysv.remove(shmid)

    def _restore_afterwards(self, name):
        value = sysv.sysctl(name)

        def restore():
            if sysv.sysctl(name) != value:
                sysv.sysctl(name, value)

        self.addCleanup(restore)

    def daemon_directory(self, name="run", user=DAEMON):
        """A directory in which a daemon of USER can make its socket."""
        path = os.path.join(self.directory, name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o755)
        if SEVERAL_UIDS:
            os.chown(path, user.uid, user.gid)
        return path

    def _accessible_program(self, user):
        """Build trees are often below a home that the daemon's user cannot enter."""
        global _program
        program = daemon_program()
        if not as_user(user, lambda: os.access(program, os.X_OK)):
            _program = shutil.copy(program, self.directory)
            self.addCleanup(self._forget_copy, program)

    def _forget_copy(self, program):
        global _program
        _program = program

    def launch_daemon(
        self,
        *options,
        user=DAEMON,
        config=None,
        environment=None,
        rlimits=None,
        directory=None,
        socket=True,
        stdin=subprocess.DEVNULL,
        shell=(),
    ):
        """Starts shmd without waiting for it. SOCKET False: on none of its own. SHELL: the
        beginning of its command."""
        self._accessible_program(user)
        directory = directory or self.daemon_directory(user=user)
        if socket:
            path = os.path.join(directory, "shmd.sock")
            options = ("--socket", path, "--socket-mode", "0666", *options)
        daemon = Daemon(
            directory,
            user=user,
            config=self.CONFIG if config is None else config,
            options=options,
            environment=environment or {},
            rlimits=rlimits or {},
            stdin=stdin,
            shell=shell,
        )
        self.addCleanup(lambda: self.logs.append(f"the daemon's stderr:\n{daemon.log()}"))
        self.addCleanup(daemon.end)
        return daemon

    def start_daemon(self, *options, **arguments):
        """Starts shmd and waits until it serves."""
        daemon = self.launch_daemon(*options, **arguments)
        daemon.wait_until_ready()
        return daemon

    def connect(self, daemon, user=None):
        client = daemon.connect(user)
        self.addCleanup(client.close)
        return client

    def hold(self, user, shmid, flags=0):
        attachment = HeldAttachment(user, shmid, flags)
        self.addCleanup(attachment.kill)
        return attachment

    def refused(self, error, client, method, /, **params):
        """Asserts that the request is answered with ERROR; returns the error's parameters."""
        with self.assertRaises(RpcError, msg=f"{method} {params}") as caught:
            client.call(method, **params)
        self.check_error(caught.exception, error)
        return caught.exception.data

    def refuses_parameter(self, parameter, client, method, /, **params):
        """Asserts InvalidParameter that names PARAMETER; returns the error's parameters."""
        data = self.refused("InvalidParameter", client, method, **params)
        self.assertEqual(data["parameter"], parameter, data)
        self.assertTrue(data["reason"])
        return data

    def check_error(self, exception, error):
        code, name = ERRORS[error]
        self.assertEqual((exception.code, exception.data.get("error")), (code, name), exception)
        self.assertGreater(len(exception.message), 10, "a message says what to do")

    def check_envelope_error(self, reply, code, request_id=None):
        """An error of JSON-RPC itself, which has no data."""
        self.assertIsNotNone(reply, "closed instead of an answer")
        self.assertEqual(reply["jsonrpc"], "2.0")
        self.assertEqual(reply["error"]["code"], code, reply)
        self.assertIn("id", reply)
        self.assertEqual(reply["id"], request_id, reply)
        self.assertNotIn("result", reply)

    @contextlib.contextmanager
    def fails_with(self, number):
        """Asserts that the kernel refuses with this errno."""
        with self.assertRaises(OSError) as caught:
            yield
        self.assertEqual(
            errno.errorcode.get(caught.exception.errno), errno.errorcode[number], caught.exception
        )
