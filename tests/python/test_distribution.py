# SPDX-License-Identifier: MIT
"""The Python package as it is given away: what mypy says of it, what is in the wheel and in the source
archive, and that they are shmd's version. The examples as a user runs them, with numpy."""

import ast
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile

from package import PACKAGE, TOP, PackageCase, shmd, sysv

from harness import DEADLINE, main, wait_until
from missing import lacks

EXAMPLES = os.path.join(TOP, "examples")
OLDEST = (3, 9)

# As a program with types uses the package.
TYPED_PROGRAM = """
import asyncio
from typing import List, Optional
import shmd
import shmd.aio

def use() -> List[str]:
    with shmd.create("frames", 4096, mode=0o640, labels={"a": "b"}) as seg:
        view: memoryview = seg.buf
        size: int = seg.size
        name: Optional[str] = seg.info.name
    with shmd.wait("frames", timeout=1.5, readonly=True, owner="root") as seg:
        seg.refresh().expires_at_ms
    try:
        shmd.remove("frames", only_if_unattached=True)
    except shmd.SegmentBusy as error:
        code: int = error.code
        print(error.data["nattch"])
    for event in shmd.events(kinds=["created"]):
        if event.segment is not None:
            return [event.segment.name or ""]
    block = shmd.SharedMemory(create=True, size=10)
    return [info.state for info in shmd.segments("a/")]

async def use_async() -> None:
    async with shmd.aio.Connection() as connection:
        async with await connection.wait("frames") as seg:
            shmid: int = seg.shmid
        async for event in connection.events():
            serial: Optional[int] = event.event_serial
"""
# One wrong use a line.
WRONG_USES = (
    "shmd.create(5)",
    "shmd.wait('a', timeout='soon')",
    "shmd.wait('a').no_such_member",
    "shmd.stat('a', nonsense=1)",
    "x: str = shmd.stat('a').size",
    "shmd.no_such_function()",
    "shmd.aio.no_such_function()",
    "with shmd.wait('a') as seg: seg.set(mode='0640')",
)


def interpreter_with(*modules):
    """One that has all of them, or None."""
    for python in (sys.executable, "/usr/bin/python3"):
        words = [python, "-c", f"import {', '.join(modules)}"]
        if os.path.exists(python) and subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return python
    return None


class Types(PackageCase):
    def mypy(self, *arguments):
        python = interpreter_with("mypy")
        if python is None:
            self.skipTest(lacks("mypy"))
        done = subprocess.run(
            [python, "-m", "mypy", "--strict", "--python-version", "%d.%d" % OLDEST, "--cache-dir", self.directory,
             *arguments],
            env={**os.environ, "MYPYPATH": PACKAGE}, cwd=self.directory, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.logs.append(done.stdout)
        return done.returncode, done.stdout

    def test_the_package(self):
        status, out = self.mypy(os.path.join(PACKAGE, "shmd"))
        self.assertEqual(status, 0, out)
        self.assertIn("Success", out)

    def test_a_program_that_uses_it(self):
        status, out = self.mypy("-c", TYPED_PROGRAM)
        self.assertEqual(status, 0, out)

    def test_asyncio_needs_no_import_of_its_own(self):
        status, out = self.mypy("-c", "import shmd\nconnection: shmd.aio.Connection = shmd.aio.Connection()")
        self.assertEqual(status, 0, out)

    def test_wrong_uses_are_found(self):
        for line in WRONG_USES:
            with self.subTest(line):
                self.assertEqual(self.mypy("-c", f"import shmd\n{line}")[0], 1)

    def test_the_syntax_is_of_the_oldest_python(self):
        for path in glob.glob(os.path.join(PACKAGE, "shmd", "*.py")):
            with open(path, encoding="utf-8") as file:
                ast.parse(file.read(), path, feature_version=OLDEST)


class Archives(PackageCase):
    def build(self, function):
        """The archive that FUNCTION of setuptools makes of a copy of the package."""
        python = interpreter_with("setuptools", "wheel") or interpreter_with("setuptools.command.bdist_wheel")
        if python is None:
            self.skipTest(lacks("setuptools with wheel"))
        source = os.path.join(self.directory, function)
        shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
        subprocess.run(["chmod", "-R", "u+w", source], check=True)
        done = subprocess.run(
            [python, "-c", f"from setuptools import build_meta; print(build_meta.{function}('.'))"],
            cwd=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return os.path.join(source, done.stdout.split()[-1])

    def modules(self):
        return {f"shmd/{os.path.basename(path)}" for path in glob.glob(os.path.join(PACKAGE, "shmd", "*.py"))}

    def test_the_wheel(self):
        wheel = self.build("build_wheel")
        version = shmd.info().version
        self.assertEqual(os.path.basename(wheel), f"shmd-{version}-py3-none-any.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = {name for name in archive.namelist() if ".dist-info/" not in name}
            self.assertEqual(names, self.modules() | {"shmd/py.typed"})
            metadata = archive.read(f"shmd-{version}.dist-info/METADATA").decode()
        self.assertIn("Requires-Python: >=3.9", metadata)
        self.assertNotIn("Requires-Dist", metadata)
        self.assertIn("## One page", metadata)
        done = subprocess.run([sys.executable, "-c", "import shmd; print(shmd.__file__, shmd.info().version)"],
                              env=self.environment(PYTHONPATH=wheel), stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(done.stdout.split(), [f"{wheel}/shmd/__init__.py", version])

    def test_the_source_archive(self):
        with tarfile.open(self.build("build_sdist")) as archive:
            names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
        self.assertLessEqual(self.modules() | {"shmd/py.typed", "pyproject.toml", "README.md"}, names)


class Readme(PackageCase):
    def test_the_page_runs(self):
        with open(os.path.join(PACKAGE, "README.md"), encoding="utf-8") as file:
            page = re.search(r"## One page\n\n((?:    .*\n|\n)+)", file.read())[1]
        python = interpreter_with("numpy")
        if python is None:
            self.skipTest(lacks("numpy"))
        code = "\n".join(line[4:] for line in page.splitlines())
        done = subprocess.run([python, "-c", code], env=self.environment(), timeout=DEADLINE, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.stdout, done.stderr), ("1500000.0\n", ""))
        self.check_nothing_is_left()

    def test_the_docstring_runs(self):
        code = "\n".join(line[4:] for line in shmd.__doc__.splitlines() if line.startswith("    "))
        self.assertEqual(self.check_program(code), "b'hello'\n")


class Examples(PackageCase):
    def start(self, name, *arguments, modules=("shmd",)):
        python = interpreter_with("numpy") if "numpy" in modules else sys.executable
        if python is None:
            self.skipTest(lacks("numpy"))
        process = subprocess.Popen(
            [python, os.path.join(EXAMPLES, name), *map(str, arguments)], env=self.environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=DEADLINE)

    def output(self, process, data=None):
        out, err = process.communicate(data, timeout=DEADLINE)
        self.assertEqual((process.returncode, err), (0, ""))
        return out

    def test_hello(self):
        reader = self.start("hello.py", "read", "greeting")
        self.wait_for_waiters(1)
        self.assertEqual(self.output(self.start("hello.py", "write", "greeting"), "good morning\n"), "")
        self.assertEqual(self.output(reader), "good morning\n")

    def test_frames(self):
        consumers = [self.start("frames.py", "consume", "pictures", 5, modules=("numpy",)) for _ in range(2)]
        self.wait_for_waiters(2)
        producer = self.start("frames.py", "produce", "pictures", 5, modules=("numpy",))
        self.assertEqual(producer.stdout.readline(), "produced 5\n")
        for consumer in consumers:
            lines = self.output(consumer).splitlines()
            numbers = [int(line.split()[0]) for line in lines]
            self.assertEqual(lines, [f"{number} {float(number)}" for number in numbers], "each is whole")
            self.assertEqual((numbers, numbers[-1]), (sorted({*numbers}), 5))
        self.end(producer)
        self.check_nothing_is_left()

    def test_workers(self):
        out = self.output(self.start("workers.py", 3, 1000, modules=("numpy",)))
        self.assertEqual(out, f"{sum(range(1000))} in 3 parts\n")
        self.check_nothing_is_left()

    def test_workers_that_are_killed(self):
        process = self.start("workers.py", 2, 5_000_000, modules=("numpy",))
        wait_until(lambda: sysv.proc_table() or process.poll() is not None, "it has made its array")
        self.end(process)
        self.check_nothing_is_left()


if __name__ == "__main__":
    main()
