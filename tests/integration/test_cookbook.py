# SPDX-License-Identifier: MIT
"""docs/cookbook.md: each recipe as somebody types it, command by command, with a daemon of its own.

A line of the document that begins with a prompt is a command, up to where the shell finds it complete; what stands
below it is what it prints. Its sign says who types: ann and bob are users of a private /etc/passwd.
"""

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import threading
import unittest

import harness
import machine
from harness import (ALICE, DAEMON, DEADLINE, IS_ALONE, ROOT, SEVERAL_UIDS, SOMEBODY, TestCase, User,
                     main, needs_several_uids, wait_until)  # fmt: skip
from missing import find_module, lacks, need
from programs import Programs, real_program

_TOP = os.environ["abs_top_srcdir"]
_TEAM = 3100
_ANN, _BOB = User(3001, 3001, (_TEAM,)), User(3002, 3002, (_TEAM,))
_USERS = {"$": SOMEBODY if SOMEBODY == ROOT else User(ALICE.uid, ALICE.gid, (_TEAM,)),
          "#": ROOT, "ann$": _ANN, "bob$": _BOB}
_PROMPT = re.compile(r"(\$|#|ann\$|bob\$) (.*)")

_PASSWD = "".join(f"{name}:x:{user.uid}:{user.gid}::/nonexistent:/bin/sh\n"
                  for name, user in (("ann", _ANN), ("bob", _BOB), ("shmd", DAEMON)))
_GROUP = f"ann:x:3001:\nbob:x:3002:\nshmd:x:{DAEMON.gid}:\nteam:x:{_TEAM}:ann,bob\n"

needs_users = unittest.skipUnless(
    SEVERAL_UIDS and IS_ALONE, "needs root, and mounts of its own: ann and bob are users of a private /etc/passwd")


def opening():
    """What stands above the recipes."""
    with open(os.path.join(_TOP, "docs/cookbook.md"), encoding="utf-8") as file:
        return file.read().split("\n## ")[0]


def sections():
    """{heading: [line]}, in order."""
    with open(os.path.join(_TOP, "docs/cookbook.md"), encoding="utf-8") as file:
        parts = file.read().split("\n## ")[1:]
    return {part.split("\n")[0]: part.split("\n")[1:] for part in parts}


def is_whole(command):
    """Whether the shell does not wait for more: an open quote, or a here-document without its end."""
    done = subprocess.run(["bash", "-n"], input=command + "\n", capture_output=True, text=True, check=False)
    return not done.stderr


def steps(lines):
    """[[prompt, command, what it prints]]"""
    found = []
    for line in lines:
        if not line.startswith("    "):
            assert not line.strip() or not found or is_whole(found[-1][1]), f"no end: {found[-1][1]}"
            continue
        match = _PROMPT.fullmatch(line[4:])
        if found and not is_whole(found[-1][1]):
            found[-1][1] += "\n" + line[4:]
        elif match:
            found.append([match[1], match[2], ""])
        elif found:
            found[-1][2] += line[4:] + "\n"
    return found


class Shell:
    """A shell of a user that stays, so that what one command has set is there for the next."""

    def __init__(self, user, directory, environment):
        def before():
            harness._become(user)
            os.umask(0o022)

        self._process = subprocess.Popen(
            ["bash", "--norc", "-s"], cwd=directory, env=environment, preexec_fn=before, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self._n = 0

    def run(self, command):
        """Its exit status and what it prints."""
        self._n += 1
        mark = f"<<<{self._n} "
        # In braces, so that bash has read all of it before it begins.
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{mark}%s>>>\\n' $?\n")
        self._process.stdin.flush()
        text = ""
        watch = threading.Timer(DEADLINE, self._kill)
        watch.start()
        try:
            for line in self._process.stdout:
                if line.startswith(mark):
                    return int(line[len(mark):-4]), text[:-1]
                text += line
        finally:
            watch.cancel()
        raise AssertionError(f"the shell has ended before this: {command}\n{text}")

    def _kill(self):
        """The shell and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self):
        self._process.stdin.close()
        self._kill()
        self._process.stdout.close()
        self._process.wait(DEADLINE)


class Cookbook(Programs, TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon(config="max_segments_per_uid = 100\n")
        self.place = os.path.join(self.directory, "place")
        os.mkdir(self.place)
        os.chmod(self.place, 0o1777)
        self.shells = {}

    def programs(self):
        """A directory for PATH that everybody can use: what this build has made, and what contrib has."""
        path = os.path.join(self.directory, "bin")
        if not os.path.isdir(path):
            os.mkdir(path, 0o755)
            library = os.path.join(os.environ["abs_top_builddir"], ".libs")
            for source in (real_program("shmdctl"), real_program("shmd"),
                           os.path.join(library, "libshmd.so.0"),
                           os.path.join(_TOP, "contrib/prometheus/shmd-textfile")):
                shutil.copy(source, path)
            shutil.copytree(os.path.join(_TOP, "client/python/shmd"), os.path.join(path, "python/shmd"))
            subprocess.run(["chmod", "-R", "a+rX", path], check=True)
        return path

    def environment(self):
        programs = self.programs()
        inherited = [os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ]
        return {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": self.place, "LC_ALL": "C.UTF-8",
                "LD_LIBRARY_PATH": ":".join([programs, *inherited]), "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.path.join(programs, "python"), "SHMD_SOCKET": self.daemon.socket_path}

    def shell(self, prompt, **more):
        if prompt not in self.shells:
            place = self.place
            if prompt.startswith(("ann", "bob")):
                place = os.path.join(self.directory, prompt[:3])
                os.mkdir(place)
                os.chown(place, _USERS[prompt].uid, _USERS[prompt].gid)
            self.shells[prompt] = Shell(_USERS[prompt], place, {**self.environment(), **more})
            self.addCleanup(self.shells[prompt].end)
        return self.shells[prompt]

    def follow(self, heading, **more):
        recipe = steps(sections()[heading])
        self.assertTrue(recipe)
        for prompt, command, wanted in recipe:
            with self.subTest(command=command):
                status, printed = self.shell(prompt, **more).run(command)
                self.assertEqual((printed, status), (wanted, 0))

    def make_users(self):
        """ann, bob and shmd are known from here on: to this process alone, and to those that it starts."""
        for file, text in (("passwd", _PASSWD), ("group", _GROUP)):
            with open(f"/etc/{file}", encoding="utf-8") as machines:
                text += machines.read()
            own = os.path.join(self.directory, file)
            with open(own, "w", encoding="utf-8") as copy:
                copy.write(text)
            machine._mount(own, f"/etc/{file}", "", _MS_BIND)
            self.addCleanup(subprocess.run, ["umount", f"/etc/{file}"], check=True)


_MS_BIND = 0x1000


class Recipes(Cookbook):
    def test_where_the_python_module_is(self):
        told = re.search(r"`export PYTHONPATH=\$PWD/(\S+)`", opening())
        self.assertTrue(told, opening())
        done = subprocess.run(
            ["python3", "-c", "import shmd; print(shmd.__file__)"], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.path.join(_TOP, told[1]), "PYTHONDONTWRITEBYTECODE": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(os.path.samefile(os.path.dirname(done.stdout.strip()), os.path.join(_TOP, told[1], "shmd")))

    def test_the_safe_pattern(self):
        self.follow("The safe pattern")

    def test_hot_reload(self):
        self.follow("Hot reload")

    @needs_users
    def test_segments_that_outlive_logout(self):
        self.make_users()
        self.follow("Segments that outlive logout")
        # What systemd-logind takes from her is what she owns.
        client = self.connect(self.daemon, ROOT)
        self.assertEqual([s["uid"] for s in client.list()], [DAEMON.uid])

    @needs_users
    def test_two_users_share(self):
        self.make_users()
        self.follow("Two users share")

    def test_huge_pages(self):
        client = self.connect(self.daemon, ROOT)
        try:
            client.create(name="probe", size=4 << 20, huge_page_size=2 << 20)
        except harness.RpcError as error:
            self.skipTest(f"there are no huge pages for it here: {error.message}")
        client.call("remove", name="probe")
        self.follow("Huge pages")

    @needs_users
    def test_a_cron_job_replaced(self):
        need(self, "jq", "ipcmk")
        self.make_users()
        self.follow("A cron job of ipcs, awk and ipcrm, replaced")
        with open(os.path.join(self.place, "shmd-gc"), encoding="utf-8") as file:
            (job,) = file.read().splitlines()
        *_when, user, command = job.split(None, 6)
        self.assertEqual(user, "root")
        self.assertEqual(self.shell("#").run(command), (0, ""))

    @needs_users
    def test_a_legacy_program_is_adopted(self):
        need(self, "ipcmk")
        self.make_users()
        self.follow("A legacy program is adopted")

    @needs_users
    def test_postgresql(self):
        found = [path for path in sorted(glob.glob("/usr/lib/postgresql/*/bin"))
                 if os.access(os.path.join(path, "postgres"), os.X_OK)]
        if not found:
            self.skipTest(lacks("postgres"))
        self.make_users()
        self.follow("PostgreSQL beside shmd", PATH=f"{self.environment()['PATH']}:{found[-1]}")

    def test_watching_with_prometheus(self):
        self.follow("Watching with Prometheus")
        if shutil.which("promtool"):
            with open(os.path.join(self.place, "shmd.prom"), "rb") as file:
                subprocess.run(["promtool", "check", "metrics"], stdin=file, check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Pod:
    """What Kubernetes does with a pod, as far as this document needs it: namespaces that its containers share,
    an emptyDir at /run/shmd, the sidecar's probe before the others start."""

    def __init__(self, test, spec, environment):
        self._test, self._environment = test, environment
        test.assertTrue(spec["shareProcessNamespace"])
        self._pause = subprocess.Popen(
            ["unshare", "--ipc", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "sh", "-c",
             "mount -t tmpfs tmpfs /run && mkdir -m 777 /run/shmd && echo up && exec sleep infinity"],
            stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.end)
        test.assertEqual(self._pause.stdout.readline(), "up\n")
        with open(f"/proc/{self._pause.pid}/task/{self._pause.pid}/children", encoding="ascii") as children:
            self._inside = children.read().split()[0]

    def end(self):
        """The first process goes, and with it all others of the pid namespace."""
        self._pause.kill()
        self._pause.communicate(timeout=DEADLINE)

    def start(self, container, command, uid):
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        self._test.assertEqual(mounts, {"shmd": "/run/shmd"})
        return subprocess.Popen(
            ["nsenter", "--target", self._inside, "--ipc", "--mount", "--pid", "setpriv", f"--reuid={uid}",
             f"--regid={uid}", "--clear-groups", "--", *command],
            env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Kubernetes(Cookbook):
    @needs_several_uids
    @harness.needs_to_be_alone
    def test_the_pod(self):
        yaml = find_module("yaml")
        if yaml is None:
            self.skipTest(lacks("yaml"))
        need(self, "nsenter", "unshare", "setpriv")
        self.follow("Containers and Kubernetes")
        with open(os.path.join(self.place, "pod.yaml"), encoding="utf-8") as file:
            spec = yaml.safe_load(file)["spec"]
        self.assertEqual(spec["volumes"], [{"name": "shmd", "emptyDir": {}}])
        environment = self.environment()
        del environment["SHMD_SOCKET"]
        pod = Pod(self, spec, environment)
        (sidecar,) = spec["initContainers"]
        daemon = pod.start(sidecar, sidecar["command"], DAEMON.uid)
        probe = sidecar["startupProbe"]["exec"]["command"]

        started = {}

        def answers():
            if daemon.poll() is not None:
                raise AssertionError(daemon.stderr.read())
            process = pod.start(sidecar, probe, DAEMON.uid)
            process.communicate(timeout=DEADLINE)
            return process.returncode == 0

        try:
            wait_until(answers, "the sidecar's probe succeeds")
            # The order in which the others start is Kubernetes' own.
            started = {each["name"]: pod.start(each, each["command"], DAEMON.uid)
                       for each in reversed(spec["containers"])}
            out, err = started["consumer"].communicate(timeout=DEADLINE)
            self.assertEqual((started["consumer"].returncode, err), (0, ""), out)
            self.assertRegex(out, r"(?s)^NAME .*\bframes .*\nhello\n$")
        finally:
            pod.end()
            for process in (daemon, *started.values()):
                process.communicate(timeout=DEADLINE)


class All(unittest.TestCase):
    def test_every_recipe_has_a_test(self):
        with open(__file__, encoding="utf-8") as file:
            own = file.read()
        followed = re.findall(r'self\.follow\("([^"]+)"', own)
        self.assertEqual(sorted(followed), sorted(sections()))


if __name__ == "__main__":
    main()
