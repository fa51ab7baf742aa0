# SPDX-License-Identifier: MIT
"""The same program in five languages, examples/hello.*: any of them reads what any other has written, also when the
daemon is killed and started again while they wait, while one fills, and after that. Their lengths are as told.
"""

import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile

import sysv
from harness import DEADLINE, ROOT, RpcError, TestCase, is_instrumented, main, wait_until
from missing import need
from programs import Programs, real_program

_TOP = os.environ["abs_top_srcdir"]
_BUILD = os.environ["abs_top_builddir"]
_EXAMPLES = os.path.join(_TOP, "examples")
SOURCES = {"c": "hello.c", "c++": "hello.cpp", "python": "hello.py", "node": "hello.js", "shell": "hello.sh"}
TEXT = b"good morning, \xc3\x84nn\n"


def compile_for_cxx(directory):
    """The program, or None where there is no compiler."""
    if not shutil.which("c++"):
        return None
    program = os.path.join(directory, "hello_cpp")
    instruments = ["-fsanitize=address,undefined"] if is_instrumented() else []
    subprocess.run(
        ["c++", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *instruments,
         "-I", os.path.join(_TOP, "client"), os.path.join(_EXAMPLES, "hello.cpp"), "-o", program,
         "-L" + os.path.join(_BUILD, ".libs"), "-lshmd"], check=True)
    return program


class Hello(Programs, TestCase):
    @classmethod
    def setUpClass(cls):
        cls.built = tempfile.mkdtemp(prefix="shmd-test-")
        cls.addClassCleanup(shutil.rmtree, cls.built)
        cls.cxx = compile_for_cxx(cls.built)

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon, ROOT)
        self.place = os.path.join(self.directory, "bin")
        os.mkdir(self.place)
        os.symlink(real_program("shmdctl"), os.path.join(self.place, "shmdctl"))

    def languages(self):
        """Those that this machine has."""
        missing = set() if self.cxx else {"c++"}
        if not shutil.which("node"):
            missing.add("node")
        return [language for language in SOURCES if language not in missing]

    def start(self, language, *arguments):
        """From here on its standard input is open."""
        if language in ("c", "c++"):
            command = [real_program("examples/hello") if language == "c" else self.cxx]
        else:
            command = [{"python": "python3", "shell": "sh"}.get(language, language),
                       os.path.join(_EXAMPLES, SOURCES[language])]
        inherited = [os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ]
        process = subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
            env={"PATH": f"{self.place}:{os.environ['PATH']}", "SHMD_SOCKET": self.daemon.socket_path,
                 "LD_LIBRARY_PATH": ":".join([os.path.join(_BUILD, ".libs"), *inherited]),
                 "PYTHONPATH": os.path.join(_TOP, "client/python"), "PYTHONDONTWRITEBYTECODE": "1"})

        def end():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            if process.returncode is None:
                process.communicate(timeout=DEADLINE)

        self.addCleanup(end)
        return process

    def output(self, process, data=b""):
        out, err = process.communicate(data, timeout=DEADLINE)
        # shmdctl says that it waits for a daemon that does not answer.
        err = re.sub(rb"(?m)^shmdctl: .* waiting for it.*\n", b"", err)
        self.assertEqual((process.returncode, err), (0, b""), process.args)
        return out

    def restart(self):
        """The daemon dies by SIGKILL, and another takes over."""
        self.daemon.process.kill()
        self.daemon.wait()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon, ROOT)

    def state(self, name):
        try:
            return self.client.stat(name=name)["state"]
        except RpcError:
            return None

    def wait_for_waiters(self, count):
        line = f"shmd_waiters {count}"
        wait_until(lambda: line in self.client.call("metrics")["text"].splitlines(), f"{count} wait")

    def test_each_reads_what_each_has_written(self):
        for writer, reader in itertools.product(self.languages(), repeat=2):
            with self.subTest(writer=writer, reader=reader):
                waiting = self.start(reader, "read", "greeting")
                self.wait_for_waiters(1)
                self.assertEqual(self.output(self.start(writer, "write", "greeting"), TEXT), b"")
                self.assertEqual(self.output(waiting), TEXT)
                self.client.call("remove", name="greeting")

    def test_the_daemon_is_killed_while_they_wait(self):
        waiting = [self.start(language, "read", "greeting") for language in self.languages()]
        self.wait_for_waiters(len(waiting))
        self.restart()
        self.wait_for_waiters(len(waiting))
        self.output(self.start("c", "write", "greeting"), TEXT)
        for process in waiting:
            self.assertEqual(self.output(process), TEXT)

    def test_the_daemon_is_killed_while_one_fills(self):
        for writer in self.languages():
            with self.subTest(writer=writer):
                filling = self.start(writer, "write", "greeting")
                wait_until(lambda: self.state("greeting") == "initialising", "it has begun")
                wait_until(lambda: self.client.stat(name="greeting")["nattch"], "it fills")
                self.restart()
                self.assertEqual(self.state("greeting"), "initialising")
                self.assertEqual(self.output(filling, TEXT), b"")
                self.assertEqual(self.state("greeting"), "ready")
                self.assertEqual(self.output(self.start("c", "read", "greeting")), TEXT)
                self.client.call("remove", name="greeting")

    def test_the_daemon_is_killed_between_writing_and_reading(self):
        for writer in self.languages():
            self.output(self.start(writer, "write", SOURCES[writer]), TEXT)
        self.restart()
        for reader, writer in itertools.product(self.languages(), repeat=2):
            with self.subTest(writer=writer, reader=reader):
                self.assertEqual(self.output(self.start(reader, "read", SOURCES[writer])), TEXT)

    def test_one_that_is_killed_leaves_nothing(self):
        for writer in self.languages():
            with self.subTest(writer=writer):
                filling = self.start(writer, "write", "greeting")
                wait_until(lambda: self.state("greeting") == "initialising", "it has begun")
                os.killpg(filling.pid, signal.SIGKILL)
                wait_until(lambda: not sysv.proc_table(), "it is gone")

    def test_what_is_not_copied_is_not_ready(self):
        """By shmdctl, where the language cannot attach memory."""
        self.place = os.path.join(self.directory, "failing")
        os.mkdir(self.place)
        with open(os.path.join(self.place, "shmdctl"), "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 1\n")
        os.chmod(file.name, 0o755)
        for language in {"node", "shell"} & set(self.languages()):
            with self.subTest(language):
                process = self.start(language, "write", "greeting")
                process.communicate(TEXT, timeout=DEADLINE)
                self.assertEqual(process.returncode, 1)
                wait_until(lambda: self.state("greeting") is None, "it is gone, and never was ready")

    def test_their_use_is_told(self):
        """To whoever gives too little, too much, or a word that is none."""
        for language in self.languages():
            for arguments in ((), ("read",), ("write",), ("foo", "bar"), ("read", "a", "b"), ("fill", "a")):
                with self.subTest(language=language, arguments=arguments):
                    process = self.start(language, *arguments)
                    out, err = process.communicate(b"", timeout=DEADLINE)
                    self.assertEqual((process.returncode, out), (2, b""), err)
                    self.assertRegex(err.decode(), r"\Ausage: hello(\.\w+)? write\|read NAME\n\Z")

    def test_no_daemon(self):
        """What is wrong, and what to do."""
        self.daemon.process.kill()
        self.daemon.wait()
        for language in self.languages():
            if language in ("c", "c++"):
                with self.subTest(language):
                    process = self.start(language, "read", "greeting")
                    _, err = process.communicate(b"", timeout=DEADLINE)
                    self.assertEqual(process.returncode, 1)
                    self.assertIn("is it running?", err.decode())

    def test_all_languages_are_here(self):
        need(self, "c++", "node")
        self.assertEqual(self.languages(), list(SOURCES))

    def test_their_lengths(self):
        with open(os.path.join(_EXAMPLES, "README.md"), encoding="utf-8") as file:
            told = dict(re.findall(r"(?m)^\| `(hello\.\w+)` \|.*\| (\d+) \|$", file.read()))
        lengths = {}
        for name in SOURCES.values():
            with open(os.path.join(_EXAMPLES, name), encoding="utf-8") as file:
                lengths[name] = str(len(file.readlines()))
        self.assertEqual(told, lengths)


if __name__ == "__main__":
    main()
