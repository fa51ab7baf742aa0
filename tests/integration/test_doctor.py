# SPDX-License-Identifier: MIT
"""shmdctl doctor on this machine: with a daemon, without one, and with one that is ill. What each
check says of machines that there are not is tested on planted ones, in tests/unit/test_doctor.c."""

import fcntl
import glob
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios

import sysv
from harness import (
    ALICE,
    BOB,
    Client,
    DEADLINE,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    TestCase,
    as_user,
    enter_private_network,
    main,
    needs_several_uids,
    needs_to_be_alone,
)
from programs import Programs

CHECKS = (
    "socket socket-directory ipc-namespace group-members logind-remove-ipc config-files declared-at-boot "
    "declared-files declared-missing declared-drift shm-rmid-forced orphans left undecided lost pid-namespace "
    "store quota shmmni shmall shmmax "
    "semaphores message-queues huge-pages memlock pidfd peerpidfd pidfs shm-stat-any"
).split()
enter_private_network()

STATUS = {"ok": 0, "info": 0, "warning": 1, "error": 2}


@needs_to_be_alone
class DoctorCase(Programs, TestCase):
    path = "/nonexistent/shmd.sock"

    def doctor(self, *arguments, user=ROOT, environment=None):
        """Exit status and output; nothing is said on standard error."""
        environment = {"SHMD_SOCKET": self.path, **(environment or {})}
        status, out, err = self.run_program("shmdctl", "doctor", *arguments, user=user,
                                            environment=environment)
        self.assertEqual(err, b"")
        return status, out.decode()

    def check_report(self, status, out):
        findings = json.loads(out)
        self.assertEqual([finding["id"] for finding in findings], CHECKS)
        worst = max(STATUS[finding["severity"]] for finding in findings)
        self.assertEqual(status, worst, findings)
        for finding in findings:
            self.assertLessEqual(set(finding), {"id", "severity", "found", "why", "mend"})
            if finding["severity"] in ("warning", "error"):
                self.assertTrue(finding["why"] and finding["mend"], finding)
        return {finding["id"]: finding for finding in findings}

    def findings(self, **more):
        return self.check_report(*self.doctor("--json", **more))

    def finding(self, check, severity, **more):
        finding = self.findings(**more)[check]
        self.assertEqual(finding["severity"], severity, finding)
        return finding


class WithoutDaemon(DoctorCase):
    def test_is_a_finding(self):
        finding = self.finding("socket", "error")
        self.assertEqual(finding["found"], f"{self.path}: nothing is there")
        self.assertRegex(finding["mend"], "^start one there: (mkdir -p -m 755 /nonexistent &&|as a user who may "
                         f"write to /:) [^ ]*shmd --socket {self.path}; or name another")
        self.assertNotIn("systemctl", finding["mend"])
        runtime = {"SHMD_SOCKET": "", "XDG_RUNTIME_DIR": "/nonexistent"}
        own = self.run_program("shmdctl", "--user", "doctor", "--json", environment=runtime)[1]
        self.assertIn("systemctl --user start shmd.socket", json.loads(own)[0]["mend"])
        self.finding("ipc-namespace", "info")

    def test_the_rest_is_told(self):
        findings = self.findings()
        self.assertIn(f"of {sysv.limits().shmmni} segments", findings["shmmni"]["found"])
        for check in ("orphans", "shmmni", "shmall", "shmmax", "shm-stat-any"):
            self.assertEqual(findings[check]["severity"], "ok", findings[check])

    def test_options(self):
        for arguments in (["--bytes"], ["all"], ["--json=yes"]):
            with self.subTest(arguments=arguments):
                status, out, err = self.run_program("shmdctl", "doctor", *arguments)
                self.assertEqual((status, out), (2, b""))
                self.assertRegex(err.decode(), "^shmdctl: ")

    def test_a_long_path(self):
        self.path = "/x" * 100
        self.assertIn("too long", self.finding("socket", "error")["found"])
        status, out, _ = self.run_program("shmdctl", "doctor", "--json", "--socket", self.path)
        self.assertIn("too long", self.check_report(status, out)["socket"]["found"])

    def test_a_file_that_is_no_socket(self):
        self.path = os.path.join(self.directory, "file")
        with open(self.path, "w", encoding="ascii"):
            pass
        self.assertIn("is no socket", self.finding("socket", "error")["found"])

    def test_a_socket_that_nobody_serves(self):
        self.path = os.path.join(self.directory, "stale.sock")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.path)
        self.assertIn("nobody serves it", self.finding("socket", "error")["found"])

    def test_a_path_that_is_no_text(self):
        self.path = os.path.join(self.directory, "\udcff\n\x1b[31m")
        self.assertIn("???[31m: nothing is there", self.finding("socket", "error")["found"])

    def test_a_directory_that_is_open_to_all(self):
        self.path = os.path.join(self.directory, "open", "shmd.sock")
        os.mkdir(os.path.dirname(self.path))
        os.chmod(os.path.dirname(self.path), 0o777)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.path)
        self.assertIn("play the daemon", self.finding("socket-directory", "error")["why"])
        os.chmod(os.path.dirname(self.path), 0o1777)
        self.finding("socket-directory", "ok")

    def test_something_that_is_no_daemon(self):
        self.path = os.path.join(self.directory, "other.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(DEADLINE)
            listener.bind(self.path)
            listener.listen(1)
            process = self.popen("shmdctl", "doctor", "--json", stdout=subprocess.PIPE,
                                 environment={"SHMD_SOCKET": self.path})
            with listener.accept()[0] as peer:
                peer.recv(1)
                peer.sendall(b"220 mail.example.org ESMTP\n")
        out, _ = process.communicate(timeout=DEADLINE)
        finding = self.check_report(process.returncode, out)["socket"]
        self.assertIn("no sensible answer", finding["found"])
        self.assertNotIn("journalctl", finding["mend"])


class Kernel(DoctorCase):
    def test_shmmni(self):
        for _ in range(8):
            sysv.create(1)
        for shmmni, severity in ((11, "ok"), (10, "warning"), (8, "error"), (4, "error")):
            with self.subTest(shmmni=shmmni):
                sysv.sysctl("shmmni", shmmni)
                found = self.finding("shmmni", severity)["found"]
                self.assertIn(f"8 of {shmmni} segments", found)

    def test_shmall(self):
        sysv.create(90 * sysv.PAGE)
        for shmall, severity in ((200, "ok"), (100, "warning"), (90, "error")):
            with self.subTest(shmall=shmall):
                sysv.sysctl("shmall", shmall)
                self.assertIn(f"90 of {shmall} pages", self.finding("shmall", severity)["found"])

    def test_shmmax(self):
        sysv.sysctl("shmmax", 100 << 10)
        sysv.create(100 << 10)
        found = self.finding("shmmax", "warning")["found"]
        self.assertIn("100K of 100K", found)
        self.assertIn("this machine has", found)  # ten times as much, surely

    def test_rmid_forced(self):
        self.finding("shm-rmid-forced", "ok")
        sysv.sysctl("shm_rmid_forced", 1)
        self.assertIn("sysctl", self.finding("shm-rmid-forced", "warning")["mend"])

    def test_orphans(self):
        sysv.create(4096)
        self.finding("orphans", "ok")
        shmid = as_user(SOMEBODY, lambda: sysv.create(3 << 20))
        self.finding("orphans", "ok")  # it is too young for what would be proposed
        later = {"environment": self.later()}
        finding = self.finding("orphans", "warning", **later)
        self.assertIn("1 segment, 3M", finding["found"])
        self.assertEqual(finding["mend"], f"shmdctl --socket {self.path} gc --remove")
        # It is right to type as it stands.
        command = finding["mend"].split()
        status, out, _ = self.run_program(*command, **later)
        self.assertEqual((status, sysv.exists(shmid)), (0, False), out)
        self.finding("orphans", "ok", **later)

    def test_what_is_left_is_not_proposed(self):
        shmid = as_user(SOMEBODY, lambda: sysv.create(4096))
        as_user(SOMEBODY, lambda: sysv.read(shmid, 1))
        findings = self.findings(environment=self.later())
        self.assertEqual(findings["left"]["severity"], "info")
        self.assertIn("1 segment, 4K in all", findings["left"]["found"])
        self.assertEqual(findings["orphans"]["severity"], "ok")
        self.assertFalse([f for f in findings.values() if "--remove" in f.get("mend", "")])

    @needs_several_uids
    def test_what_only_root_may_remove(self):
        as_user(SOMEBODY, lambda: sysv.create(4096))
        finding = self.finding("orphans", "warning", user=BOB, environment=self.later())
        self.assertEqual(finding["mend"], f"as root: shmdctl --socket {self.path} gc --remove")

    def test_semaphores_and_queues(self):
        self.finding("semaphores", "ok")
        self.finding("message-queues", "ok")
        for file, value in (("sem", "32000 8 500 4"), ("msgmni", "2")):
            with open(f"/proc/sys/kernel/{file}", encoding="ascii") as now:
                before = now.read()
            self.addCleanup(self.write, f"/proc/sys/kernel/{file}", before)
            self.write(f"/proc/sys/kernel/{file}", value)
        sets = [sysv.libc.semget(0, 2, 0o600) for _ in range(4)]
        queues = [sysv.libc.msgget(0, 0o600) for _ in range(2)]
        self.addCleanup(lambda: [sysv.libc.semctl(number, 0, 0) for number in sets])
        self.addCleanup(lambda: [sysv.libc.msgctl(number, 0, None) for number in queues])
        self.assertIn("4 of 4 sets and 8 of 8 semaphores", self.finding("semaphores", "error")["found"])
        self.assertIn("2 of 2 message queues", self.finding("message-queues", "error")["found"])

    def write(self, path, text):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def test_a_limit_that_is_none(self):
        findings = self.findings()
        self.assertIn("kernel.shmmax is none", findings["shmmax"]["found"])
        self.assertIn("kernel.shmall is none", findings["shmall"]["found"])

    def test_changes_nothing(self):
        as_user(SOMEBODY, lambda: sysv.create(4096))
        before = sysv.proc_table()
        self.doctor()
        self.assertEqual(sysv.proc_table(), before)


class WithDaemon(DoctorCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.path = self.daemon.socket_path

    def test_it_is_well(self):
        findings = self.findings()
        for check in ("socket", "socket-directory", "ipc-namespace", "orphans", "left", "undecided",
                      "lost", "shm-rmid-forced", "pid-namespace", "quota"):
            self.assertEqual(findings[check]["severity"], "ok", findings[check])
        self.assertIn(f"{self.path}, mode 0666", findings["socket"]["found"])
        inode = os.stat("/proc/self/ns/ipc").st_ino
        self.assertIn(f"share IPC namespace {inode}", findings["ipc-namespace"]["found"])
        if SEVERAL_UIDS:
            self.assertEqual(findings["group-members"]["severity"], "ok")

    def test_it_checks_the_files_that_the_daemon_reads(self):
        config = os.path.join(self.directory, "config", "own.conf")
        declared = os.path.join(os.path.dirname(config), "segments.d")
        os.makedirs(declared)
        os.chmod(os.path.dirname(config), 0o755)
        for path, text in ((config, ""), (os.path.join(declared, "a.json"), '{"name": "a", "size": 1}')):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        daemon = self.start_daemon("--config", config, config="", directory=self.daemon_directory("configured"))
        self.path = daemon.socket_path
        findings = self.findings()
        self.assertIn(f"reads in {os.path.dirname(config)}", findings["config-files"]["found"])
        self.assertIn(f"1 file in {declared}", findings["declared-at-boot"]["found"])
        self.assertEqual(findings["declared-missing"]["found"], "every declared segment exists")
        with open(os.path.join(declared, "b.json"), "w", encoding="ascii") as file:
            file.write("{")
        self.assertIn(f"{declared}/b.json", self.finding("declared-files", "warning")["found"])

    @needs_several_uids
    def test_for_any_user(self):
        findings = self.findings(user=BOB)
        self.assertEqual(findings["socket"]["severity"], "ok")
        self.assertIn("the daemon has locked 0B of", findings["memlock"]["found"])

    def test_what_it_manages_is_no_orphan(self):
        with self.daemon.connect() as client:
            client.create(name="kept")
        self.daemon.stop()
        self.daemon = self.start_daemon(directory=self.daemon.directory)
        findings = self.findings(environment=self.later())
        for check in ("orphans", "left", "undecided", "lost"):
            self.assertEqual(findings[check]["severity"], "ok")

    @needs_several_uids
    def test_what_it_has_lost(self):
        with self.daemon.connect() as client:
            shmid = client.create(name="kept")["shmid"]
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        for path in glob.glob(os.path.join(self.daemon.directory, "state*")):
            os.remove(path)
        self.daemon = self.start_daemon(directory=self.daemon.directory)
        finding = self.finding("lost", "warning", environment=self.later())
        self.assertIn("1 segment, 4K in all: may be the daemon's", finding["found"])
        self.assertIn(f"adopt --shmid {shmid} ", finding["mend"])
        self.assertNotIn("--remove", finding["mend"])

    def test_a_quota_at_its_end(self):
        self.path = self.start_daemon(config="max_segments_per_uid = 5\n",
                                      directory=self.daemon_directory("narrow")).socket_path
        with Client(self.path) as client:
            for number, severity in enumerate(("ok", "ok", "ok", "warning", "warning"), 1):
                client.create()
                finding = self.finding("quota", severity)
                self.assertIn(f"{number} of 5 (max_segments_per_uid)", finding["found"])

    def test_another_pid_namespace(self):
        program, library = self.where_programs_are("shmdctl")
        result = subprocess.run(
            ["unshare", "--pid", "--fork", "--mount-proc", program, "doctor", "--json"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SHMD_SOCKET": self.path, "LD_LIBRARY_PATH": library},
        )
        if result.stderr:
            self.skipTest(f"no private pid namespace: {result.stderr}")
        finding = self.check_report(result.returncode, result.stdout)["pid-namespace"]
        self.assertEqual(finding["severity"], "info")
        self.assertIn("in another pid namespace", finding["found"])

    @needs_several_uids
    def test_a_socket_with_a_narrow_mode(self):
        os.chmod(self.path, 0o600)
        finding = self.finding("socket", "error", user=BOB)
        self.assertIn("may not connect", finding["found"])
        self.assertIn("its mode is 0600", finding["mend"])
        self.assertIn("shmd --socket-mode", finding["mend"])
        os.chmod(self.daemon.directory, 0o700)
        self.assertIn("search", self.finding("socket", "error", user=BOB)["mend"])

    def test_another_ipc_namespace(self):
        program, library = self.where_programs_are("shmdctl")
        result = subprocess.run(
            ["unshare", "--ipc", program, "doctor", "--json"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SHMD_SOCKET": self.path, "LD_LIBRARY_PATH": library},
        )
        self.assertEqual(result.stderr, "")
        findings = self.check_report(result.returncode, result.stdout)
        self.assertEqual(findings["socket"]["severity"], "ok")
        self.assertEqual(findings["ipc-namespace"]["severity"], "error")
        inode = os.stat("/proc/self/ns/ipc").st_ino
        self.assertIn(f"the daemon is in IPC namespace {inode}", findings["ipc-namespace"]["found"])

    @needs_several_uids
    def test_strangers_in_the_group(self):
        # Group 0 has a member in each /etc/passwd: root.
        daemon = self.start_daemon(user=ALICE._replace(gid=0),
                                   directory=self.daemon_directory("grouped", ALICE))
        self.path = daemon.socket_path
        found = self.finding("group-members", "warning")["found"]
        self.assertRegex(found, r"group root has other members: .*\broot\b")

    def test_locked_memory(self):
        self.assertNotEqual(self.findings()["memlock"]["severity"], "error")
        with self.daemon.connect() as client:
            client.create(name="locked", size=4096, locked=True)
        with open(f"/proc/{self.daemon.pid}/limits", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("Max locked memory"))
        soft = line.split()[3]
        found = self.findings()["memlock"]["found"]
        self.assertIn("any amount" if soft == "unlimited" or not SEVERAL_UIDS else "locked 4K of",
                      found)


class Report(DoctorCase):
    """The output for people."""

    def test_blocks(self):
        as_user(SOMEBODY, lambda: sysv.create(4096))
        later = {"environment": self.later()}
        findings = self.findings(**later)
        status, out = self.doctor(**later)
        self.assertEqual(status, 2)
        self.assertNotIn("\x1b", out)
        heads = re.findall(r"(?m)^(error|warning|info|ok) +([a-z-]+): (.+)$", out)
        self.assertEqual(sorted(check for _, check, _ in heads), sorted(CHECKS))
        for severity, check, found in heads:
            self.assertEqual(severity, findings[check]["severity"])
            self.assertEqual(found, findings[check]["found"])
        order = [("error", "warning", "info", "ok").index(severity) for severity, _, _ in heads]
        self.assertEqual(order, sorted(order), "the worst first")
        self.assertIn(f"\n         mend: {findings['orphans']['mend']}\n", out)
        self.assertIn(f"\n         why:  {findings['orphans']['why']}\n", out)
        counted = []
        for severity, noun in (("error", "error"), ("warning", "warning"), ("info", "note"),
                               ("ok", "check")):
            count = sum(finding["severity"] == severity for finding in findings.values())
            if count > 0 or severity == "ok":
                counted.append(f"{count} {noun}" + ("" if count == 1 else "s"))
        self.assertEqual(out.splitlines()[-1], ", ".join(counted) + " passed")

    def on_a_terminal(self, width=0, **environment):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        process = self.popen("shmdctl", "doctor", stdout=theirs,
                             environment={"SHMD_SOCKET": self.path, **environment})
        os.close(theirs)
        out = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                break
            out += data
        os.close(ours)
        self.assertEqual(process.wait(DEADLINE), 2)
        self.assertIn(b"nothing is there", b" ".join(out.split()))
        return out

    def test_it_fits_the_terminal(self):
        def words(text):
            return re.sub(r"\d+", "", " ".join(text.split()))  # numbers change meanwhile

        whole = self.on_a_terminal(TERM="dumb").decode()
        self.assertTrue(any(len(line) > 80 for line in whole.splitlines()))
        for width, below in ((80, " " * 15), (60, " " * 15), (20, "  ")):
            with self.subTest(width=width):
                out = self.on_a_terminal(width, TERM="dumb").decode()
                self.assertEqual(words(out), words(whole))
                lines = out.splitlines()
                long = [line for line in lines if len(line) > width]
                # What is longer is one word, which is left whole, and what says what it is.
                for line in long:
                    self.assertRegex(line, r"^( *|\w+ +)(\S+: +)?\S+$")
                at = next(i for i, line in enumerate(lines) if line.startswith(" " * 9 + "mend: "))
                self.assertRegex(lines[at + 1], f"^{below}\\S")

    def test_colours(self):
        self.assertIn(b"\x1b[1;31merror", self.on_a_terminal(TERM="xterm"))
        self.assertIn(b"\x1b[1;31merror", self.on_a_terminal(TERM="xterm", NO_COLOR=""))
        self.assertNotIn(b"\x1b", self.on_a_terminal(TERM="xterm", NO_COLOR="1"))
        self.assertNotIn(b"\x1b", self.on_a_terminal(TERM="dumb"))


if __name__ == "__main__":
    main()
