# SPDX-License-Identifier: MIT
"""shmd.SharedMemory in the place of multiprocessing's: what that promises, what it does not leak, and the
cases of Python's own tests of it, where Python came with its tests."""

import importlib
import os
import pickle
import subprocess
import sys
import unittest
import unittest.mock
from multiprocessing import shared_memory

from package import PackageCase, shmd, sysv

import harness
from harness import ALICE, diagnostics, main, needs_several_uids, wait_until
from missing import lacks


class DropIn(PackageCase):
    def block(self, *arguments, **more):
        block = shmd.SharedMemory(*arguments, **more)
        self.addCleanup(block.close)
        return block

    def test_create_and_open(self):
        one = self.block("psm_frames", create=True, size=512)
        self.assertEqual((one.name, one.size, len(one.buf)), ("psm_frames", 512, 512))
        one.buf[0] = 42
        two = self.block("psm_frames")
        self.assertEqual((two.size, two.buf[0]), (512, 42))
        two.buf[1] = 43
        self.assertEqual(one.buf[1], 43)
        self.assertEqual(repr(one), "SharedMemory('psm_frames', size=512)")

    def test_the_constructors_errors(self):
        for arguments, more, pattern in (((), {"create": True, "size": -1}, "positive"),
                                         ((), {"create": True, "size": 0}, "different from zero"),
                                         ((), {"create": False}, "'name' can only be None")):
            with self.assertRaisesRegex(ValueError, pattern):
                shmd.SharedMemory(*arguments, **more)
        with self.assertRaises(FileNotFoundError):
            shmd.SharedMemory("nobody")
        for create in (True, False):
            with self.assertRaisesRegex(ValueError, "null"):
                shmd.SharedMemory("frames\0a", create=create, size=10)
        self.block("frames", create=True, size=10)
        with self.assertRaises(FileExistsError):
            shmd.SharedMemory("frames", create=True, size=10)
        self.check_signature()

    def check_signature(self):
        """Whatever can be given to Python's own can be given to this, in the same order."""
        import inspect
        own = list(inspect.signature(shmd.SharedMemory).parameters.values())
        for parameter in inspect.signature(shared_memory.SharedMemory).parameters.values():
            self.assertIn((parameter.name, parameter.kind, parameter.default),
                          [(p.name, p.kind, p.default) for p in own])

    def test_generated_names_differ(self):
        blocks = [self.block(create=True, size=10) for _ in range(5)]
        self.assertEqual(len({block.name for block in blocks}), 5)
        for block in blocks:
            block.unlink()

    def test_a_slash_before_the_name(self):
        self.block("/frames", create=True, size=10).buf[0] = 1
        self.assertEqual(self.block("frames").buf[0], 1)

    def test_close(self):
        block = self.block("frames", create=True, size=10)
        block.close()
        block.close()
        self.assertIsNone(block.buf)
        self.assertEqual(block.size, 10)
        self.assertEqual(self.block("frames").size, 10, "a closed block can be opened again")

    def test_close_under_a_view(self):
        block = self.block("frames", create=True, size=10)
        view = block.buf[2:4]
        with self.assertRaises(BufferError):
            block.close()
        view[0] = 5
        del view
        block.close()

    def test_unlink(self):
        block = self.block("frames", create=True, size=10)
        other = self.block("frames")
        block.unlink()
        with self.assertRaises(FileNotFoundError):
            shmd.SharedMemory("frames")
        block.buf[0] = 9
        self.assertEqual(other.buf[0], 9, "who has it open keeps it")
        with self.assertRaises(FileNotFoundError):
            other.unlink()
        block.close()
        other.close()
        self.check_nothing_is_left()

    def test_unlink_removes_nobody_elses(self):
        """What has the name by now is another block."""
        block = self.block("frames", create=True, size=10)
        self.block("frames").unlink()
        self.block("frames", create=True, size=20)
        with self.assertRaises(FileNotFoundError):
            block.unlink()
        self.assertEqual(self.segment("frames")["size"], 20)

    def test_pickle(self):
        block = self.block("frames", create=True, size=100)
        block.buf[:3] = b"abc"
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(block, protocol))
            self.addCleanup(again.close)
            self.assertEqual((again.name, again.size, bytes(again.buf[:3])), ("frames", 100, b"abc"))
        block.close()
        self.assertEqual(pickle.loads(pickle.dumps(block)).buf[0], ord("a"))

    def test_a_forgotten_one(self):
        self.block("frames", create=True, size=10).close()
        shmid = self.segment("frames")["shmid"]
        other = shmd.SharedMemory("frames")
        self.assertEqual(sysv.stat(shmid).nattch, 1)
        del other
        self.assertEqual(sysv.stat(shmid).nattch, 0)


class NothingLeaks(PackageCase):
    CREATOR = """
block = shmd.SharedMemory("frames", create=True, size=4096)
block.buf[0] = 1
tell(block.name)
hear()
"""
    OPENER = """
block = shmd.SharedMemory("frames")
block.buf[0] += 1
tell(block.buf[0])
hear()
block.close()
tell("closed")
hear()
"""

    def test_the_creator_is_killed(self):
        creator = self.program(self.CREATOR)
        creator.line()
        creator.kill()
        self.wait_until_gone("frames")
        self.check_nothing_is_left()

    def test_an_opener_is_killed(self):
        """It takes the block away from nobody, which Python's own does."""
        creator, opener = self.program(self.CREATOR), None
        creator.line()
        for expected in (2, 3, 4):
            opener = self.program(self.OPENER)
            self.assertEqual(opener.line(), str(expected))
            opener.kill()
        self.assertIsNotNone(self.segment("frames"))
        creator.kill()
        self.wait_until_gone("frames")
        self.check_nothing_is_left()

    def test_the_last_one_takes_it_along(self):
        creator = self.program(self.CREATOR)
        creator.line()
        opener = self.program(self.OPENER)
        opener.line()
        creator.kill()
        wait_until(lambda: self.segment("frames")["holders"] == 1, "the opener is left")
        opener.say()
        self.assertEqual(opener.line(), "closed")
        self.assertIsNone(self.segment("frames"), "who closes it does not use it any more")
        self.check_nothing_is_left()

    def test_killed_while_there_is_no_daemon(self):
        creator = self.program(self.CREATOR)
        creator.line()
        self.daemon.process.kill()
        self.daemon.wait()
        creator.kill()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)
        self.wait_until_gone("frames")
        self.check_nothing_is_left()

    def test_a_restart_in_between(self):
        block = shmd.SharedMemory("frames", create=True, size=10)
        block.buf[0] = 7
        self.restart()
        opener = self.program(self.OPENER)
        self.assertEqual(opener.line(), "8")
        opener.kill()
        self.assertEqual(block.buf[0], 8)
        block.close()
        block.unlink()
        self.check_nothing_is_left()

    def test_every_way_of_starting_a_process(self):
        script = os.path.join(self.directory, "workers.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write("""
import multiprocessing, sys
from shmd import SharedMemory
def work(block, number):
    block.buf[number] = number
    block.close()
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    block = SharedMemory(create=True, size=8)
    workers = [context.Process(target=work, args=(block, number)) for number in range(1, 8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(sum(block.buf), {worker.exitcode for worker in workers})
""")
        for method in ("fork", "spawn", "forkserver"):
            with self.subTest(method):
                done = subprocess.run(
                    [sys.executable, script, method], env=self.environment(), timeout=harness.DEADLINE, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
                self.assertEqual((done.stdout, done.stderr), ("28 {0}\n", ""))
                self.check_nothing_is_left()

    @needs_several_uids
    def test_mode(self):
        shmd.SharedMemory("frames", create=True, size=10)
        self.assertEqual(self.segment("frames")["mode"], "0600")

        def act():
            try:
                return shmd.SharedMemory("frames").name
            except PermissionError as error:
                return type(error).__name__

        self.assertEqual(harness.as_user(ALICE, act), "PermissionDenied")


# --- Python's own tests

# What does not apply, and why.
_OWN_CLASS = "it starts programs that use Python's own class"
_PRIVATE = "it changes private names of Python's own module"
DOES_NOT_APPLY = {
    "test_shared_memory_name_with_embedded_null": _PRIVATE,
    "test_shared_memory_cleaned_after_process_termination": _OWN_CLASS,
    "test_shared_memory_tracking": _OWN_CLASS,
    "test_shared_memory_untracking": _OWN_CLASS,
    "test_shared_memory_SharedMemoryManager_reuses_resource_tracker": _OWN_CLASS,
    "test_leaked_shared_memory": _OWN_CLASS,
}


class WithPrivateNames(shmd.SharedMemory):
    """Some cases say which names are to be generated, by a private function of Python's own module. Its _flags mean
    nothing here: a case that opens a block with them finds it there."""

    def __init__(self, name=None, create=False, size=0):
        if name is not None or not create or size <= 0:
            super().__init__(name, create, size)
            return
        while True:
            try:
                super().__init__(shared_memory._make_filename(), True, size)
                return
            except FileExistsError:
                pass


def pythons_own():
    """The class of its cases, or None."""
    try:
        module = importlib.import_module("test._test_multiprocessing")
        return type("Cases", (module._TestSharedMemory, module.ProcessesMixin, unittest.TestCase), {})
    except (ImportError, AttributeError):
        return None


class PythonsOwnTests(PackageCase):
    def test_the_cases_that_apply(self):
        cases = pythons_own()
        if cases is None:
            self.skipTest(lacks("test._test_multiprocessing"))
        count = 0
        with unittest.mock.patch.object(shared_memory, "SharedMemory", WithPrivateNames):
            for name in unittest.TestLoader().getTestCaseNames(cases):
                if name in DOES_NOT_APPLY:
                    diagnostics(f"{name} does not apply: {DOES_NOT_APPLY[name]}")
                    continue
                with self.subTest(name):
                    self.check_case(cases(name))
                    count += 1
        diagnostics(f"{count} of Python's own cases passed")
        self.assertGreaterEqual(count, 5)
        self.check_nothing_is_left()

    def check_case(self, case):
        result = unittest.TestResult()
        case.run(result)
        self.assertEqual([trace for _, trace in result.failures + result.errors], [])


if __name__ == "__main__":
    main()
