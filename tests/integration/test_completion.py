# SPDX-License-Identifier: MIT
"""What the shells complete: shmdctl tells it, and bash, zsh and fish hand it on."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import sysv
from command import COMMANDS, CommandCase
from harness import DEADLINE, ROOT, main
from missing import need

SCRIPTS = os.path.join(os.environ["abs_top_srcdir"], "client", "cli", "completion")


class CompletionCase(CommandCase):
    def start_with_segments(self):
        daemon = self.start_daemon()
        self.path = daemon.socket_path
        self.client = self.connect(daemon, ROOT)
        for name in ("left", "right/1", "right/2", "odd:a@1"):
            self.client.create(name=name, key=0x1234 if name == "left" else 0)


class Candidates(CompletionCase):
    def complete(self, *words, user=ROOT):
        """How they are to be taken, and the candidates."""
        first, *lines = self.ctl("__complete", "--", *words, user=user).splitlines()
        self.assertTrue(all(line.count("\t") == 1 for line in lines), lines)
        return first, [line.split("\t")[0] for line in lines]

    def test_commands(self):
        self.assertEqual(self.complete(""), ("words", COMMANDS))
        self.assertEqual(self.complete("re"), ("words", ["read", "ready", "release", "reload"]))
        self.assertEqual(self.complete("help", "ver"), ("words", ["version"]))
        self.assertEqual(self.complete("--json", "--socket", "x", "doc"), ("words", ["doctor"]))
        self.assertEqual(self.ctl("__complete", "--", "nonsense", ""), "")

    def test_options_of_each_command(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                told = re.findall(r"(?m)^  (?:-.,|   ) (--[a-z-]+)", self.ctl(command, "--help"))
                self.assertEqual(self.complete(command, "-"), ("words", told))
        self.assertEqual(self.complete("create", "--ex"), ("words", ["--exclusive"]))

    def test_values(self):
        for words, want in (
            (["create", "--lifetime", "at"], ("words", ["attached"])),
            (["create", "--lifetime=at"], ("words", ["--lifetime=attached"])),
            (["list", "--state", ""], ("words", ["initialising", "ready", "removing", "removed"])),
            (["list", "--scope", ""], ("words", ["managed", "foreign", "all"])),
            (["list", "--time-format", "u"], ("words", ["unix"])),
            (["list", "--sort", "NAT"], ("words", ["NATTCH"])),
            (["list", "-o", "NAME,SHM"], ("list", ["NAME,SHMID"])),
            (["list", "-o", "+KEY,SHM"], ("list", ["+KEY,SHMID"])),
            (["list", "-o", "na"], ("list", ["name", "nattch"])),
            (["list", "-o", "NAME,shm"], ("list", ["NAME,shmid"])),
            (["list", "--output=+key,Sh"], ("list", ["--output=+key,SHMID"])),
            (["list", "-o", "nA"], ("list", ["NAME", "NATTCH"])),
            (["list", "-o", "+key,shM"], ("list", ["+key,SHMID"])),
            (["list", "--sort", "nAt"], ("words", ["NATTCH"])),
            (["list", "--sort", "nat"], ("words", ["nattch"])),
            (["ps", "-o", "pid,wa"], ("list", ["pid,waits"])),
            (["top", "--sort", "gr"], ("words", ["growth"])),
            (["list", "--output=NAME,SHM"], ("list", ["--output=NAME,SHMID"])),
            (["events", "--kinds", "created,rem"], ("list", ["created,removed"])),
            (["list", "--uid", "roo"], ("words", ["root"])),
            (["create", "x", "--from", ""], ("files", [])),
            (["call", "ada"], ("words", [])),
            (["call", "ado"], ("words", ["adopt"])),
            (["create", "x", "--size", ""], ("words", [])),
            (["run", "x", "--size", "1", "--", "ls", "-"], ("command 5", [])),
        ):
            with self.subTest(words=words):
                self.assertEqual(self.complete(*words), want)

    def test_segments(self):
        self.start_with_segments()
        foreign = sysv.create(100, key=0xF00)
        left = self.client.stat(name="left")
        for words, want in (
            (["rm", "right"], ["right/1", "right/2"]),
            (["rm", "right/1", "--if-unattached", "l"], ["left"]),
            (["stat", "o"], ["odd:a@1"]),
            (["list", "le"], ["left"]),
            (["list", "--prefix", "le"], ["left"]),
            (["ready", "left", ""], []),
            (["rm", "--key", "0x"], ["0x00001234", "0x00000f00"]),
            (["stat", "--serial", str(left["serial"])], [str(left["serial"])]),
        ):
            with self.subTest(words=words):
                self.assertEqual(sorted(self.complete(*words)[1]), sorted(want))
        self.assertIn(str(foreign), self.complete("adopt", "--shmid", "")[1])
        path, self.path = self.path, "/nonexistent"
        self.assertEqual(self.complete("stat", ""), ("words", []))
        self.assertEqual(self.complete("--socket", path, "stat", "l"), ("words", ["left"]))


class Shell(CompletionCase):
    """A line is typed on a terminal, with a tab, and what has become of it is printed."""

    def setUp(self):
        super().setUp()
        self.start_with_segments()
        self.program, self.library = self.where_programs_are("shmdctl")

    def environment(self):
        return {
            "PATH": f"{os.path.dirname(self.program)}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": self.library, "SHMD_SOCKET": self.path, "TERM": "dumb",
            "HOME": self.directory, "LC_ALL": "C.UTF-8",
        }  # fmt: skip

    def type(self, shell, *preparation, line):
        """The words of LINE after its tabs."""
        main_end, terminal = pty.openpty()
        self.addCleanup(os.close, main_end)
        # So wide that no line is broken.
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 1000, 0, 0))
        process = subprocess.Popen(
            shell, stdin=terminal, stdout=terminal, stderr=terminal, cwd=self.directory,
            env=self.environment(), start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        seen = b""

        def read_until(pattern):
            nonlocal seen
            deadline = time.monotonic() + DEADLINE
            while not (found := re.search(pattern, seen)):
                self.assertLess(time.monotonic(), deadline, seen)
                if select.select([main_end], [], [], 1)[0]:
                    with contextlib.suppress(OSError):
                        seen += os.read(main_end, 65536)
            return found

        os.write(main_end, ("; ".join(preparation) + "; PS1='GO''>'\n").encode())
        read_until(rb"GO>")
        seen = b""
        # To the beginning of the line, to print all of it.
        os.write(main_end, line.encode() + b"\x01printf '<%s>' \r")
        return re.findall(r"<([^<>]*)>", read_until(rb"\n(<[^<>]*>)+").group().decode())

    CASES = (
        ("shmdctl rm le\t", ["shmdctl", "rm", "left"]),
        ("shmdctl stat odd:a\t", ["shmdctl", "stat", "odd:a@1"]),
        ("shmdctl li\t", ["shmdctl", "list"]),
        ("shmdctl create --lifet\tat\t", ["shmdctl", "create", "--lifetime", "attached"]),
        ("shmdctl list -o NAME,SHM\t", ["shmdctl", "list", "-o", "NAME,SHMID"]),
        ("shmdctl list -o name,shm\t", ["shmdctl", "list", "-o", "name,shmid"]),
        ("shmdctl list --sort nat\t", ["shmdctl", "list", "--sort", "nattch"]),
        ("shmdctl list -o nAm\t", ["shmdctl", "list", "-o", "NAME"]),
        ("shmdctl list -o key,nAm\t", ["shmdctl", "list", "-o", "key,NAME"]),
        ("shmdctl create x --from onlyf\t", ["shmdctl", "create", "x", "--from", "onlyfile"]),
    )

    def check(self, shell, *preparation):
        with open(os.path.join(self.directory, "onlyfile"), "w", encoding="ascii"):
            pass
        for line, want in self.CASES:
            with self.subTest(line=line):
                self.assertEqual(self.type(shell, *preparation, line=line), want)

    def test_bash(self):
        need(self, "bash")
        self.check(["bash", "--norc", "--noprofile", "-i"], f"source {SCRIPTS}/shmdctl.bash")

    def test_zsh(self):
        need(self, "zsh")
        self.check(["zsh", "-f", "-i"], "bindkey -e", f"fpath=({SCRIPTS} $fpath)", "unsetopt prompt_sp",
                   "autoload -Uz compinit", "compinit -u -D")

    def test_fish(self):
        need(self, "fish")
        for line, want in self.CASES[:9]:
            command, typed = line.rstrip("\t").replace("--lifet\t", "--lifetime ").rsplit(" ", 1)
            with self.subTest(line=line):
                out = subprocess.run(
                    ["fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"',
                     f"{SCRIPTS}/shmdctl.fish", f"{command} {typed}"],
                    capture_output=True, text=True, check=True, env=self.environment(), cwd=self.directory,
                ).stdout  # fmt: skip
                self.assertIn(want[-1], [candidate.split("\t")[0] for candidate in out.splitlines()])


class Installed(CommandCase):
    def test_the_scripts_are_where_the_shells_look(self):
        build = os.environ["abs_top_builddir"]
        with open(os.path.join(build, "Makefile"), encoding="utf-8") as file:
            makefile = file.read()
        for variable, path in (("bashcompletiondir", "bash-completion/completions"),
                               ("zshcompletiondir", "zsh/site-functions"),
                               ("fishcompletiondir", "fish/vendor_completions.d")):
            self.assertRegex(makefile, rf"(?m)^{variable} = \$\(datadir\)/{path}$")


if __name__ == "__main__":
    main()
