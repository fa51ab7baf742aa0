# SPDX-License-Identifier: MIT
"""Boots a system that run.sh has made under qemu's software emulation, and tests shmd on its kernel:

    boot.py KERNEL DIRECTORY DISK [PART...]

DIRECTORY has the system: its disk, vmlinuz and initrd. DISK has the build, and what `make install` has
installed of it. Nothing is written to either. One boot, a reboot and a power cut in turn; without PART
all parts are tested. The last line is the sum: N passed, N failed, N skipped.
"""

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

_BOOT, _COMMAND, _TESTS = 600, 300, 3600  # seconds: emulation is slow, and these only end hangs
_PR_SET_PDEATHSIG = 1

_INTEGRATION = (
    "test_kernel_facts test_pids test_lifetimes test_holding test_holding_races test_restart test_reconcile "
    "test_access test_events test_doctor"
).split()

_libc = ctypes.CDLL(None, use_errno=True)


class Stuck(Exception):
    """The machine does not answer."""


def _end_with_parent():
    os.nice(10)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Port:
    """A serial port of the machine."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + 60
        while self._socket.connect_ex(path) != 0:
            if time.monotonic() > end:
                raise Stuck(f"qemu did not open {path}")
            time.sleep(0.1)
        self._unread = ""

    def send(self, text):
        self._socket.sendall(text.encode())

    def read_until(self, pattern, seconds):
        """What comes before the regular expression PATTERN, and its match."""
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self._unread)):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise Stuck(f"waited {seconds} s in vain for {pattern!r} after {self._unread[-2000:]!r}")
            data = self._socket.recv(65536)
            if not data:
                raise Stuck("qemu has ended")
            self._unread += data.decode(errors="replace")
        before, self._unread = self._unread[: match.start()], self._unread[match.end():]
        return before, match


class Machine:
    """Its console is a file, ttyS1 a shell of root's, ttyS2 has a login; a monitor pulls the plug."""

    def __init__(self, directory, disk, scratch):
        ports = [os.path.join(scratch, name) for name in ("shell", "login", "monitor")]
        drive = lambda path: ("-drive", f"file={path},format=raw,if=virtio,snapshot=on,cache=unsafe")
        self.console = os.path.join(scratch, "console")
        self._qemu = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "2G"),
                *("-smp", "2", "-nodefaults", "-display", "none", "-nic", "none"),
                *("-kernel", os.path.join(directory, "vmlinuz")),
                *("-initrd", os.path.join(directory, "initrd")),
                *("-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1"),
                *drive(os.path.join(directory, "disk")),
                *drive(disk),
                *("-object", "rng-random,id=random,filename=/dev/urandom"),
                *("-device", "virtio-rng-pci,rng=random"),
                *("-serial", f"file:{self.console}"),
                *("-serial", f"unix:{ports[0]},server=on,wait=off"),
                *("-serial", f"unix:{ports[1]},server=on,wait=off"),
                *("-monitor", f"unix:{ports[2]},server=on,wait=off"),
            ],
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "TMPDIR": scratch},
            preexec_fn=_end_with_parent,
        )
        self._shell, self.login, self._monitor = (Port(path) for path in ports)
        self._n = 0

    def wait_until_up(self):
        """After a start: the shell answers, and systemd has started everything. Returns its state."""
        self._shell.read_until("the shell of the tests\r?\n", _BOOT)
        state = self.run("systemctl is-system-running --wait", _BOOT, check=False)[1].strip()
        self.run("mkdir -p /srv && mount /dev/vdb /srv && mount -t tmpfs tmpfs /tmp")
        return state

    def run(self, command, seconds=_COMMAND, check=True):
        """COMMAND in root's shell: its exit status and output."""
        self._n += 1
        self._shell.send(f"( {command} ) </dev/null 2>&1; echo \"@{self._n}:\"$?\n")
        output, match = self._shell.read_until(rf"@{self._n}:(\d+)\r?\n", seconds)
        status = int(match.group(1))
        if check and status != 0:
            raise AssertionError(f"{command} ended with {status}: {output}")
        return status, output.replace("\r", "")

    def reboot(self):
        self._shell.send("systemctl reboot\n")
        return self.wait_until_up()

    def cut_power(self):
        self._monitor.send("system_reset\n")
        return self.wait_until_up()

    def stop(self):
        self._qemu.kill()
        self._qemu.wait()


class Results:
    def __init__(self, kernel):
        self.kernel = kernel
        self.passed = self.failed = 0
        self.skipped = {}  # reason: how many

    def add(self, name, error=None):
        if error is None:
            self.passed += 1
            print(f"ok - {self.kernel}: {name}", flush=True)
            return
        self.failed += 1
        print(f"not ok - {self.kernel}: {name}", flush=True)
        for line in str(error).splitlines()[-60:]:
            print(f"# {line}", flush=True)

    @contextlib.contextmanager
    def part(self, name):
        try:
            yield
        except (AssertionError, KeyError, ValueError) as error:
            self.add(name, f"{type(error).__name__}: {error}")
        else:
            self.add(name)

    def add_tap(self, program, status, output):
        """What a test program has printed."""
        counts = {"ok": 0, "not ok": 0, "skip": 0}
        for line in output.splitlines():
            match = re.match(r"(ok|not ok) \d+ ?-? ?(.*?)(?: # SKIP (.*))?$", line)
            whole = re.match(r"1\.\.0 # SKIP (.*)", line)
            if whole or (match and match.group(3)):
                reason = whole.group(1) if whole else match.group(3)
                self.skipped[reason] = self.skipped.get(reason, 0) + 1
                counts["skip"] += 1
            elif match:
                counts[match.group(1)] += 1
                if match.group(1) == "not ok":
                    print(f"not ok - {self.kernel}: {program}: {match.group(2)}", flush=True)
        self.passed += counts["ok"]
        self.failed += counts["not ok"]
        if sum(counts.values()) == 0 or (status != 0 and counts["not ok"] == 0):
            self.failed += 1
            print(f"not ok - {self.kernel}: {program} ended with {status}", flush=True)
        if status != 0:
            for line in output.splitlines()[-200:]:
                print(f"#   {line}", flush=True)
        print(f"{self.kernel}: {program}: {counts['ok']} passed, {counts['not ok']} failed, "
              f"{counts['skip']} skipped", flush=True)


class Tests:
    """The parts, in their order. A part may need what one before it has installed."""

    def __init__(self, machine, results):
        self.m = machine
        self.r = results

    def call(self, method, socket="/run/shmd/shmd.sock", user=None, **params):
        become = f"setpriv --reuid={user} --regid={user} --init-groups " if user else ""
        _, output = self.m.run(f"{become}shmdctl --socket {socket} call {method} '{json.dumps(params)}' "
                               "2>/dev/null")
        try:
            return json.loads(output)["result"]
        except ValueError:
            raise AssertionError(f"{method} {params} is answered with {output!r}") from None

    def segments(self):
        return len(self.m.run("cat /proc/sysvipc/shm")[1].splitlines()) - 1

    def install(self):
        with self.r.part("the system's kernel is the one to be tested"):
            release = self.m.run("uname -r")[1].strip()
            assert release.startswith(self.r.kernel + "."), release
        self.m.run("cp -a /srv/installed/. / && ldconfig && systemd-sysusers && "
                   "systemd-tmpfiles --create shmd.conf && systemctl daemon-reload")

    def run_program(self, program):
        environment = ("cd /srv/shmd/build && abs_top_builddir=$PWD abs_top_srcdir=/srv/shmd "
                       "PYTHONDONTWRITEBYTECODE=1 CMOCKA_MESSAGE_OUTPUT=TAP SHMD_TEST_DEADLINE=600")
        start = time.monotonic()
        status, output = self.m.run(f"{environment} {program}", _TESTS, check=False)
        self.r.add_tap(program.split("/")[-1], status, output)
        print(f"{self.r.kernel}: {program.split('/')[-1]}: {time.monotonic() - start:.0f} s", flush=True)

    def programs(self):
        self.run_program("tests/contract/test_sysv")
        for name in _INTEGRATION:
            self.run_program(f"python3 ../tests/integration/{name}.py")

    def huge_pages(self):
        """The recipe of the cookbook, and the tests of create: elsewhere they are skipped, for most machines have no
        pool. The group is that of the tests' daemon."""
        self.m.run("echo 8 >/proc/sys/vm/nr_hugepages && echo 2500 >/proc/sys/vm/hugetlb_shm_group")
        skipped = sum(self.r.skipped.values())
        self.run_program("python3 ../tests/integration/test_cookbook.py huge_pages")
        self.run_program("python3 ../tests/integration/test_create.py HugePages")
        self.m.run("echo 0 >/proc/sys/vm/nr_hugepages && echo 0 >/proc/sys/vm/hugetlb_shm_group")
        with self.r.part("huge pages: nothing was skipped"):
            assert sum(self.r.skipped.values()) == skipped, self.r.skipped

    def service(self):
        """The units under the system's own systemd: what tests/systemd does in a container."""
        status, output = self.m.run(
            "cd /srv/shmd/build && abs_top_builddir=$PWD abs_top_srcdir=/srv/shmd "
            "PYTHONDONTWRITEBYTECODE=1 SHMD_TEST_DEADLINE=600 SHMD_TEST_SYSTEMD=this "
            "python3 ../tests/systemd/test_systemd.py", _TESTS, check=False)
        self.r.add_tap("test_systemd", status, output)

    def log_in(self):
        """On ttyS2, with name and password."""
        login = self.m.login
        login.send("\n")
        login.read_until("login: ", _COMMAND)
        login.send("alice\n")
        login.read_until("Password: ", _COMMAND)
        login.send("alice\n")
        login.read_until(r"alice@[^$]*\$ ", _COMMAND)

    def logout(self):
        """RemoveIPC=yes, which is logind's default, at the end of a real session."""
        self.m.run("systemctl enable --now shmd.socket")
        with self.r.part("a user logs in and out: what logind removes, and what stays"):
            self.log_in()
            login = self.m.login
            login.send("shmdctl create hers --size 4K >/dev/null && "
                       "shmdctl create kept --size 4K --uid shmd --gid alice --mode 660 >/dev/null && "
                       "echo 'ma''de'\n")
            login.read_until("made\r?\n", _COMMAND)
            assert self.segments() == 2
            sessions = self.m.run("loginctl list-sessions")[1]
            assert "alice" in sessions, sessions
            login.send("exit\n")
            self.m.run("for i in $(seq 120); do loginctl show-user alice >/dev/null 2>&1 || exit 0; "
                       "sleep 1; done; exit 1", 2 * _COMMAND)
            self.m.run("for i in $(seq 60); do [ $(wc -l </proc/sysvipc/shm) = 2 ] && exit 0; "
                       "sleep 1; done; exit 1", 2 * _COMMAND)
            names = [s.get("name") for s in self.call("list")["segments"]]
            assert names == ["kept"], names
            removed = self.m.run("shmdctl events --after 0 --kinds removed --count 1 --json")[1]
            assert "out-of-band" in removed, removed
        self.m.run("shmdctl rm kept", check=False)

    def _start_on_disk(self):
        """A daemon whose state survives the boot."""
        self.m.run("systemctl stop kept 2>/dev/null; "
                   "mkdir -p /var/lib/kept && chown shmd: /var/lib/kept && chmod 700 /var/lib/kept && "
                   "systemd-run --collect --unit=kept --uid=shmd -p Type=notify -- shmd --state-dir /var/lib/kept "
                   "--socket /var/lib/kept/sock --socket-mode 666 --config /dev/null")

    def _leave_state(self):
        self._start_on_disk()
        for name in ("one", "two", "three"):
            self.call("create", socket="/var/lib/kept/sock", name=name, size=1 << 20)
        self.call("create", name="of-the-service", size=4096)
        assert self.segments() == 4
        self.m.run("[ $(stat -c %s /var/lib/kept/state.journal) -gt 500 ] && sync")

    def _find_nothing(self):
        """Another boot: no segment, no record, and a daemon that works."""
        assert self.segments() == 0
        status, _ = self.m.run("test -s /var/lib/kept/state.journal", check=False)
        assert status == 0, "the state has not survived, so nothing is tested"
        self._start_on_disk()
        assert self.call("list", socket="/var/lib/kept/sock")["segments"] == []
        self.call("create", socket="/var/lib/kept/sock", name="one", size=4096)
        # The service starts with the first request; its state is in /run.
        assert self.call("list")["segments"] == []
        self.call("create", name="of-the-service", size=4096)
        assert self.segments() == 2
        self.call("remove", name="of-the-service")
        self.call("remove", socket="/var/lib/kept/sock", name="one")
        assert self.segments() == 0
        _, log = self.m.run("journalctl -b -u kept -u shmd -o cat")
        assert "corrupt" not in log, log
        self.m.run("systemctl stop kept shmd.service")

    def reboot(self):
        with self.r.part("a reboot: the state that was left is not taken for this boot's"):
            self.m.run("systemctl enable --now shmd.socket")
            self._leave_state()
            self.m.reboot()
            self._find_nothing()

    def power(self):
        with self.r.part("a power cut while segments are created: the next boot works"):
            self._leave_state()
            self.m.run("(while :; do shmdctl --socket /var/lib/kept/sock create --size 4K; done) "
                       ">/dev/null 2>&1 & for i in $(seq 60); do "
                       "[ $(wc -l </proc/sysvipc/shm) -gt 9 ] && exit 0; sleep 1; done; exit 1")
            self.m.cut_power()
            self._find_nothing()

    parts = {"logout": logout, "reboot": reboot, "power": power, "service": service,
             "huge_pages": huge_pages, "programs": programs}


def main():
    kernel, directory, disk, *wanted = sys.argv[1:]
    results = Results(kernel)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(99))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(99))
    with tempfile.TemporaryDirectory(prefix="shmd-kernels-") as scratch:
        start = time.monotonic()
        machine = Machine(directory, disk, scratch)
        try:
            state = machine.wait_until_up()
            print(f"{kernel}: booted in {time.monotonic() - start:.0f} s, {state}", flush=True)
            tests = Tests(machine, results)
            tests.install()
            for name, part in Tests.parts.items():
                if wanted and name not in wanted:
                    continue
                start = time.monotonic()
                part(tests)
                print(f"{kernel}: {name}: {time.monotonic() - start:.0f} s", flush=True)
        except Stuck as error:
            results.add("the machine answers", error)
            with open(machine.console, encoding="utf-8", errors="replace") as console:
                print("".join(f"# console: {line}" for line in console.readlines()[-40:]))
        except AssertionError as error:
            results.add("what the tests need", error)
        finally:
            machine.stop()
    for reason, count in sorted(results.skipped.items()):
        print(f"{kernel}: skipped {count}: {reason}")
    print(f"{results.passed} passed, {results.failed} failed, {sum(results.skipped.values())} skipped")
    return 0 if results.passed and not results.failed else 1


if __name__ == "__main__":
    sys.exit(main())
