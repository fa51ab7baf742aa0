# SPDX-License-Identifier: MIT
"""A real systemd in a container, on a throw-away overlay of this machine's root.

Everything hangs on this process: the mounts are in its own mount namespace and go with it, the
container is shut down when it dies, and stop() takes away the cgroups. Needs root and systemd-nspawn;
unusable() tells what is missing.
"""

import atexit
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time

from missing import lacks

_CLONE_NEWNS = 0x00020000
_PR_SET_PDEATHSIG = 1
_DEADLINE = int(os.environ.get("SHMD_TEST_DEADLINE", 120))

_libc = ctypes.CDLL(None, use_errno=True)

# What the container boots to: enough for sockets, logins and a user's own manager.
_TARGET = """[Unit]
Description=Everything the tests need
Requires=basic.target
After=basic.target
Wants=dbus.socket systemd-logind.service
AllowIsolate=yes
"""
_MASKED = (
    "systemd-networkd.service systemd-resolved.service systemd-timesyncd.service "
    "systemd-udev-trigger.service systemd-hwdb-update.service systemd-journal-catalog-update.service "
    "systemd-update-utmp.service systemd-firstboot.service systemd-pstore.service "
    "keyboard-setup.service console-getty.service apt-daily.timer apt-daily-upgrade.timer "
    "man-db.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service "
    "logrotate.timer"
).split()


def unusable():
    """Why no container can run here, or None."""
    if os.geteuid() != 0:
        return "needs root to boot a systemd in a container"
    for program in ("systemd-nspawn", "nsenter", "mount"):
        if not shutil.which(program):
            return lacks(program)
    if not os.path.exists("/lib/systemd/systemd"):
        return lacks("systemd")
    if not os.access("/sys/fs/cgroup", os.W_OK):
        return "a container needs cgroups, and /sys/fs/cgroup cannot be written"
    return _obstacle_to_mounts()


def _obstacle_to_mounts():
    """Why the container's mounts are not possible here, or None. Some containers forbid all mounts, some
    have no overlay, and in a chroot the root is no mount."""
    script = (
        "mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir /run/u /run/w /run/root && "
        "mount -t overlay overlay -o lowerdir=/,upperdir=/run/u,workdir=/run/w /run/root"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    return f"no container can be made here: {done.stdout.splitlines()[0] if done.stdout else 'mount'}"


def wait_until(condition, what, deadline=_DEADLINE):
    """Polls CONDITION until it gives something true, and returns that."""
    end = time.monotonic() + deadline
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline} s in vain until {what}")
        time.sleep(0.05)
    return value


def as_user(user):
    """What comes before a command that USER (None: root) is to run."""
    return () if user is None else ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups")


def _end_with_parent():
    # Not SIGKILL: systemd-nspawn is to take the container with it.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _mount(*arguments):
    subprocess.run(["mount", *arguments], check=True, stdin=subprocess.DEVNULL)


def _is_first(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            ids = next(line.split()[1:] for line in file if line.startswith("NSpid:"))
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return False
    return len(ids) > 1 and ids[-1] == "1"


class Container:
    def __init__(self):
        self._base = tempfile.mkdtemp(prefix="shmd-container-")
        self._nspawn = None
        self._made = []
        self._log = os.path.join(self._base, "console")
        self.root = os.path.join(self._base, "root")
        self.pid = None  # of its systemd, seen from here
        atexit.register(self.stop)
        # Two containers at a time would share a cgroup, and neither boots then.
        self._lock = os.open("/sys/fs/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        wait_until(self._is_locked, "another test's container is gone", 600)
        if _libc.unshare(_CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "no mount namespace")
        _mount("--make-rprivate", "/")
        _mount("-t", "tmpfs", "-o", "size=1G,mode=755", "tmpfs", self._base)
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(self._base, name))
        options = f"lowerdir=/,upperdir={self._base}/upper,workdir={self._base}/work"
        _mount("-t", "overlay", "overlay", "-o", options, self.root)
        self._made = _make_directories("/run/systemd/nspawn")
        _mount("-t", "tmpfs", "tmpfs", "/run/systemd/nspawn")

    def _is_locked(self):
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def path(self, name):
        return self.root + name

    def write(self, name, text):
        """A file before the start, or below a directory that is not a mount of the container's."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        self.write("/etc/machine-id", "")
        self.write("/etc/systemd/system/tests.target", _TARGET)
        for unit in _MASKED:
            path = self.path(f"/etc/systemd/system/{unit}")
            if os.path.lexists(path):
                os.unlink(path)
            os.symlink("/dev/null", path)
        default = self.path("/etc/systemd/system/default.target")
        if os.path.lexists(default):
            os.unlink(default)
        os.symlink("/etc/systemd/system/tests.target", default)
        with open(self._log, "wb") as log:
            self._nspawn = subprocess.Popen(
                [
                    *("systemd-nspawn", "--quiet", "-D", self.root, "--boot", "--register=no"),
                    *("--keep-unit", "--private-network", "--capability=CAP_IPC_LOCK"),
                    "--console=pipe",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                preexec_fn=_end_with_parent,
            )
        self.pid = wait_until(self._init, "the container has an init")
        wait_until(self._is_up, "the container has booted")

    def _init(self):
        """The child that is the first process of its namespace; there is another one before it."""
        if self._nspawn.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended: {self.console()}")
        return next((pid for pid in self._children() if _is_first(pid)), None)

    def _children(self):
        path = f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children"
        try:
            with open(path, encoding="ascii") as file:
                return [int(pid) for pid in file.read().split()]
        except FileNotFoundError:
            return []

    def _is_up(self):
        if self._nspawn.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended: {self.console()}")
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def console(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def command(self, *command, user=None):
        """COMMAND as one to run from here inside the container."""
        return ["nsenter", "-t", str(self.pid), "-a", *as_user(user), *command]

    def run(self, *command, user=None, check=True, **options):
        done = subprocess.run(
            self.command(*command, user=user),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_DEADLINE,
            check=False,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            **options,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def stop(self):
        """Whatever has happened: afterwards there is neither process, mount nor cgroup of it."""
        atexit.unregister(self.stop)
        end = time.monotonic() + 10
        while self._nspawn and self._nspawn.poll() is None:
            # All that is in the container dies with its init; systemd-nspawn ends after it.
            for pid in self._children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > end:
                self._nspawn.kill()
            time.sleep(0.05)
        for path in (self.root, "/run/systemd/nspawn", self._base):
            subprocess.run(
                ["umount", "--recursive", "--lazy", path], stderr=subprocess.DEVNULL, check=False
            )
        shutil.rmtree(self._base, ignore_errors=True)
        for path in self._made:
            _remove_when_empty(path)
        for path in reversed(_cgroups()):
            _remove_when_empty(path)
        os.close(self._lock)


def _make_directories(path):
    """Those that were not there, the innermost first."""
    made = []
    while not os.path.isdir(path):
        made.append(path)
        path = os.path.dirname(path)
    for path in reversed(made):
        os.mkdir(path)
    return made


def _remove_when_empty(path):
    for _ in range(100):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return


def _cgroups():
    """Directories of cgroups that systemd-nspawn makes, parents first."""
    found = []
    for hierarchy in ("", "unified", "systemd"):
        for name in ("payload", "supervisor"):
            for path, _, _ in os.walk(os.path.join("/sys/fs/cgroup", hierarchy, name)):
                found.append(path)
    return found
