# SPDX-License-Identifier: MIT
"""The examples as a user runs them: what they compute, and what is left when some of them are killed.

They run on the daemon as on any other; how far they have come is seen in their own shared memory.
"""

import contextlib
import fcntl
import importlib.util
import itertools
import os
import random
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile

import sysv
from harness import DEADLINE, ROOT, RpcError, TestCase, main, wait_until
from programs import Programs, real_program

EXAMPLES = os.path.join(os.environ["abs_top_srcdir"], "examples")
LANGUAGES = ("c", "python")
FOR_EVER = ("--pause", "3600000")
INITIALISER_DIED, ABANDONED = 10, 12


def _import_ring():
    spec = importlib.util.spec_from_file_location("backbone", os.path.join(EXAMPLES, "backbone.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


backbone = _import_ring()


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return f"{value:016x}"


class Producer:
    """backbone producer: lines go in when the test says so."""

    def __init__(self, process, output):
        self._process, self._output = process, output
        self._lines = []

    def feed(self, *lines):
        self._lines += lines
        for line in lines:
            self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def feed_numbers(self, count):
        first = len(self._lines)
        self.feed(*(f"line {number}" for number in range(first, first + count)))

    def finish(self):
        """No more lines; gives how many jobs and tries it told of, after a look at the results."""
        _, err = self._process.communicate(timeout=DEADLINE)
        assert self._process.returncode == 0, (self._process.returncode, err)
        self._output.seek(0)
        results = self._output.read().decode().split()
        assert results == [fnv1a(line) for line in self._lines], "the results, in order"
        told = re.fullmatch(rf"producer {self._process.pid}: (\d+) jobs, (\d+) tries\n", err.decode())
        assert told, err
        return int(told[1]), int(told[2])

    def fails(self):
        """It has ended, with this on its error output."""
        _, err = self._process.communicate(timeout=DEADLINE)
        assert self._process.returncode == 1, (self._process.returncode, err)
        return err.decode()

    def kill(self):
        self._process.kill()
        self._process.wait()


class ExamplesCase(Programs, TestCase):
    CONFIG = "reconcile_ms = 3600000\n"  # nothing here needs a sweep

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon, ROOT)

    def start(self, program, *arguments, **more):
        environment = {"SHMD_SOCKET": self.daemon.socket_path, "PYTHONDONTWRITEBYTECODE": "1",
                       "PATH": f"{os.path.dirname(real_program('shmdctl'))}:{os.environ['PATH']}"}
        return self.popen(program, *arguments, environment=environment,
                          **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more})

    def producer(self, *options):
        output = tempfile.TemporaryFile(dir=self.directory)
        self.addCleanup(output.close)
        process = self.start("examples/backbone", "producer", "jobs", *options,
                             stdin=subprocess.PIPE, stdout=output)
        return Producer(process, output)

    def worker(self, language, *options):
        if language == "c":
            return self.start("examples/backbone", "worker", "jobs", *options)
        script = os.path.join(EXAMPLES, "backbone.py")
        return self.start(sys.executable, script, "worker", "jobs", *options)

    def ends(self, process):
        """Its exit status, output and error output."""
        out, err = process.communicate(timeout=DEADLINE)
        self.logs.append(f"{process.args}: {process.returncode}\n{err.decode()}")
        return process.returncode, out.decode(), err.decode()

    def check_finished(self, *workers):
        """They have ended in order; gives how many jobs each has done."""
        counts = []
        for worker in workers:
            status, out, err = self.ends(worker)
            self.assertEqual((status, err), (0, ""))
            told = re.fullmatch(rf"worker {worker.pid}: (\d+) jobs\n", out)
            self.assertTrue(told, out)
            counts.append(int(told[1]))
        return counts

    def check_abandoned(self, *workers):
        for worker in workers:
            status, _, err = self.ends(worker)
            self.assertEqual(status, ABANDONED, err)
            self.assertIn("the producer", err)

    def segment(self):
        """The segment of the jobs, or None."""
        try:
            return self.client.stat(name="jobs")
        except RpcError as error:
            self.check_error(error, "NoSuchSegment")
            return None

    def wait_for_holders(self, count):
        wait_until(lambda: (self.segment() or {}).get("holders") == count, f"there are {count} holders")

    def wait_for_state(self, state):
        return wait_until(lambda: (found := self.segment()) and found["state"] == state and found,
                          f"the segment is {state}")

    def wait_for_waiters(self, count):
        line = f"shmd_waiters {count}"
        wait_until(lambda: line in self.client.call("metrics")["text"].splitlines(),
                   f"{count} processes wait")

    @contextlib.contextmanager
    def ring(self):
        """The memory of the jobs, to look at."""
        with sysv.attached(self.segment()["shmid"], sysv.SHM_RDONLY) as address:
            yield backbone.Header.from_address(address)

    def wait_until_taken(self, number):
        """A worker is at that job."""
        with self.ring() as ring:
            slot = ring.slot[number % backbone.SLOTS]
            wait_until(lambda: slot.state == backbone.FULL and slot.tries > 0, f"job {number} is begun")

    def check_nothing_is_left(self):
        wait_until(lambda: not sysv.proc_table(), "the kernel has no segment")
        self.assertEqual(self.client.list(), [])


class Working(ExamplesCase):
    def work(self, jobs, *languages):
        """That many jobs by workers that wait from before there is anything to do."""
        workers = [self.worker(language) for language in languages]
        self.wait_for_waiters(len(workers))
        producer = self.producer()
        self.wait_for_holders(1 + len(workers))
        producer.feed_numbers(jobs)
        self.assertEqual(producer.finish(), (jobs, jobs), "nothing is done twice")
        self.assertEqual(sum(self.check_finished(*workers)), jobs)
        self.check_nothing_is_left()

    def test_workers_in_c(self):
        self.work(5000, "c", "c", "c")

    def test_workers_in_python(self):
        self.work(1000, "python", "python")

    def test_workers_in_both(self):
        self.work(3000, "c", "python", "c", "python")

    def test_one_worker(self):
        for language in LANGUAGES:
            with self.subTest(language):
                self.work(200, language)

    def test_no_jobs_at_all(self):
        self.work(0, *LANGUAGES)

    def test_all_bytes_and_lengths(self):
        producer, workers = self.producer(), [self.worker(language) for language in LANGUAGES]
        self.wait_for_holders(3)
        producer.feed("", "x", "grüße \x01\x7f", "y" * 160)
        self.assertEqual(producer.finish(), (4, 4))
        self.assertEqual(sum(self.check_finished(*workers)), 4)

    def test_workers_that_come_later(self):
        producer = self.producer()
        producer.feed_numbers(300)  # more than there is room for
        self.wait_for_state("ready")
        workers = [self.worker(language) for language in LANGUAGES]
        self.wait_for_holders(3)
        self.assertEqual(producer.finish(), (300, 300))
        self.assertEqual(sum(self.check_finished(*workers)), 300)

    def test_a_line_too_long_ends_the_producer_and_the_workers(self):
        producer, workers = self.producer(), [self.worker(language) for language in LANGUAGES]
        self.wait_for_holders(3)
        producer.feed("y" * 161)
        self.assertIn("a line cannot be a job", producer.fails())
        self.check_abandoned(*workers)
        self.check_nothing_is_left()

    def test_a_second_producer_is_refused(self):
        producer, worker = self.producer(), self.worker("c")
        self.wait_for_holders(2)
        status, _, err = self.ends(self.start("examples/backbone", "producer", "jobs"))
        self.assertEqual(status, 1)
        self.assertIn("exists already", err)
        producer.feed_numbers(100)
        self.assertEqual(producer.finish(), (100, 100))
        self.assertEqual(self.check_finished(worker), [100])

    def test_no_daemon(self):
        self.daemon.process.kill()
        self.daemon.wait()
        status, _, err = self.ends(self.start("examples/backbone", "worker", "jobs"))
        self.assertEqual(status, 1)
        self.assertIn("is it running?", err)

    def test_what_is_not_a_ring_is_left_alone(self):
        for size in (16, 32768):
            serial = self.client.create(name="jobs", size=size, lifetime="process")["serial"]
            for language in LANGUAGES:
                with self.subTest(size=size, language=language):
                    status, _, err = self.ends(self.worker(language))
                    self.assertEqual(status, 1)
                    self.assertIn("not a ring of this version", err)
            self.client.call("remove", serial=serial)

    def test_the_daemon_has_no_part_in_the_work(self):
        producer, workers = self.producer(), [self.worker(language) for language in LANGUAGES]
        self.wait_for_holders(3)
        self.daemon.process.kill()
        self.daemon.wait()
        producer.feed_numbers(500)
        self.assertEqual(producer.finish(), (500, 500))
        self.assertEqual(sum(self.check_finished(*workers)), 500)
        # The next one sees that all who had it are gone.
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon, ROOT)
        self.check_nothing_is_left()


class WorkersDie(ExamplesCase):
    def test_another_does_the_job(self):
        for dying, heir in itertools.product(LANGUAGES, LANGUAGES):
            with self.subTest(dying=dying, heir=heir):
                producer, dying = self.producer(), self.worker(dying, *FOR_EVER)
                producer.feed_numbers(100)
                self.wait_for_holders(2)
                self.wait_until_taken(0)
                dying.kill()
                dying.wait()
                self.wait_for_holders(1)
                heir = self.worker(heir)
                self.assertEqual(producer.finish(), (100, 101), "one job was begun twice")
                self.assertEqual(self.check_finished(heir), [100])
                self.check_nothing_is_left()

    def test_those_who_sleep_notice(self):
        # All jobs are taken or done when the worker dies, so there is nothing that would wake them.
        producer, dying = self.producer(), self.worker("python", *FOR_EVER)
        producer.feed_numbers(1)
        self.wait_for_holders(2)
        self.wait_until_taken(0)
        others = [self.worker(language) for language in LANGUAGES]
        self.wait_for_holders(4)
        dying.kill()
        self.assertEqual(producer.finish(), (1, 2))
        self.assertEqual(sum(self.check_finished(*others)), 1)

    def test_one_that_is_stopped_is_not_dead(self):
        producer, stopped = self.producer(), self.worker("c", *FOR_EVER)
        producer.feed_numbers(50)
        self.wait_for_holders(2)
        self.wait_until_taken(0)
        stopped.send_signal(signal.SIGSTOP)
        other = self.worker("c")
        with self.ring() as ring:
            wait_until(lambda: ring.slot[49].state == backbone.DONE, "the other works")
            self.assertEqual((ring.slot[0].state, ring.slot[0].tries), (backbone.FULL, 1))
        stopped.kill()
        self.assertEqual(producer.finish(), (50, 51))
        self.assertEqual(self.check_finished(other), [50])

    def die_at_random(self, seed, rounds, jobs):
        chance = random.Random(seed)
        producer = self.producer()
        workers = [self.worker("c"), self.worker("python"), self.worker("c")]
        for _ in range(rounds):
            producer.feed_numbers(chance.randrange(jobs))
            victim = workers.pop(chance.randrange(len(workers)))
            victim.kill()
            victim.wait()
            self.assertEqual(victim.returncode, -signal.SIGKILL, "it was at work until then")
            workers.append(self.worker(chance.choice(LANGUAGES)))
        self.wait_for_holders(1 + len(workers))
        done, tries = producer.finish()
        self.assertLessEqual(done, tries)
        self.assertLessEqual(tries, done + rounds, "a death costs one job's work")
        self.assertLessEqual(sum(self.check_finished(*workers)), done)
        self.check_nothing_is_left()

    def test_many_die_at_random(self):
        for seed in range(1, 5):
            with self.subTest(seed=seed):
                self.die_at_random(seed, rounds=15, jobs=200)

    def test_many_die_with_a_job_in_their_hands(self):
        chance = random.Random(11)
        producer = self.producer()
        producer.feed_numbers(40)
        self.wait_for_state("ready")
        for number in range(20):
            # Alone, and starting at the first slot, it takes the first job that is not done.
            victim = self.worker(chance.choice(LANGUAGES), *FOR_EVER)
            with self.ring() as ring:
                wait_until(lambda: ring.slot[0].tries == number + 1, "it has begun")
            victim.kill()
            victim.wait()
        worker = self.worker("c")
        self.assertEqual(producer.finish(), (40, 60))
        self.assertEqual(self.check_finished(worker), [40])


class ProducerDies(ExamplesCase):
    def test_workers_that_wait_for_jobs_end(self):
        # Several, for each of them looks into the lock that the producer has left.
        for languages in (("c",) * 4, ("python",) * 3, LANGUAGES * 3):
            with self.subTest(languages):
                producer, workers = self.producer(), [self.worker(each) for each in languages]
                self.wait_for_holders(1 + len(workers))
                producer.kill()
                self.check_abandoned(*workers)
                self.check_nothing_is_left()

    def test_workers_that_have_jobs_end(self):
        producer = self.producer()
        workers = [self.worker(language, "--pause", "1") for language in LANGUAGES * 3]
        self.wait_for_holders(7)
        producer.feed_numbers(1000)
        producer.kill()
        self.check_abandoned(*workers)
        self.check_nothing_is_left()

    def test_before_it_is_ready(self):
        producer = self.producer(*FOR_EVER)
        self.wait_for_state("initialising")
        workers = [self.worker(language) for language in (*LANGUAGES, "c")]
        self.wait_for_waiters(len(workers))
        producer.kill()
        for worker in workers:
            status, out, err = self.ends(worker)
            self.assertEqual((status, out), (INITIALISER_DIED, ""))
            self.assertTrue(err)
        self.check_nothing_is_left()

    def test_the_next_producer_has_what_the_last_left(self):
        workers = [self.worker(language) for language in LANGUAGES]
        self.wait_for_waiters(2)
        first = self.producer()
        self.wait_for_holders(3)
        first.kill()
        self.check_abandoned(*workers)
        self.check_nothing_is_left()
        second, workers = self.producer(), [self.worker(language) for language in LANGUAGES]
        self.wait_for_holders(3)
        second.feed_numbers(100)
        self.assertEqual(second.finish(), (100, 100))
        self.assertEqual(sum(self.check_finished(*workers)), 100)

    def test_the_segment_stays_while_somebody_holds_it(self):
        producer = self.producer()
        workers = [self.worker(language, *FOR_EVER) for language in LANGUAGES]
        producer.feed_numbers(2)
        self.wait_for_holders(3)
        self.wait_until_taken(0)
        self.wait_until_taken(1)
        for process, left in ((producer, 2), (workers[0], 1)):
            process.kill()
            self.wait_for_holders(left)
            self.assertTrue(sysv.exists(self.segment()["shmid"]))
        workers[1].kill()
        self.check_nothing_is_left()

    def test_all_at_once(self):
        producer = self.producer()
        workers = [self.worker(language) for language in (*LANGUAGES, "c", "c")]
        self.wait_for_holders(5)
        producer.feed_numbers(500)
        for process in (producer, *workers):
            process.kill()
        self.check_nothing_is_left()


class Shell(ExamplesCase):
    def script(self, name, *arguments):
        return self.start(os.path.join(EXAMPLES, name), *arguments)

    def file(self, data):
        path = os.path.join(self.directory, "model")
        with open(path, "wb") as file:
            file.write(data)
        return path

    def test_a_file_goes_to_those_who_wait(self):
        data = bytes(range(256)) * 500
        waiting = [self.script("wait.sh", "model") for _ in range(2)]
        self.wait_for_waiters(2)
        producer = self.script("producer.sh", "model", self.file(data))
        for process in (*waiting, self.script("wait.sh", "model")):
            out, err = process.communicate(timeout=DEADLINE)
            self.assertEqual((process.returncode, out, err), (0, data, b""))
        self.assertEqual(self.client.stat(name="model")["creator"]["pid"], producer.pid)
        producer.kill()
        self.check_nothing_is_left()

    def test_a_producer_that_dies_half_way(self):
        # The first reader of the pipe counts what is in it; the next, who fills the segment, waits
        # for more than it gets.
        pipe = os.path.join(self.directory, "pipe")
        os.mkfifo(pipe)
        producer = self.script("producer.sh", "model", pipe)
        with open(pipe, "wb") as file:
            file.write(b"12345")
        wait_until(lambda: [s["state"] for s in self.client.list()] == ["initialising"], "it is begun")
        with open(pipe, "r+b", buffering=0) as file:
            file.write(b"123")
            waiting = self.script("wait.sh", "model")
            self.wait_for_waiters(1)
            producer.kill()
            self.assertEqual(self.ends(waiting)[0], INITIALISER_DIED)
            self.refused("NoSuchSegment", self.client, "stat", name="model")
        # Its shmdctl, if it has come so far, comes to an end with the pipe.
        producer.communicate(timeout=DEADLINE)
        self.check_nothing_is_left()

    def test_a_file_that_is_not_there(self):
        """One line says so, and nothing is made."""
        status, out, err = self.ends(self.script("producer.sh", "model", "/nowhere/file"))
        self.assertNotEqual(status, 0)
        self.assertEqual((out, len(err.splitlines())), ("", 1), err)
        self.assertIn("/nowhere/file", err)
        self.check_nothing_is_left()

    def test_without_arguments_they_tell_their_use(self):
        for script in ("producer.sh", "wait.sh"):
            status, out, err = self.ends(self.script(script))
            self.assertEqual((status, out), (2, ""))
            self.assertIn(f"{script} NAME", err)


class Demo(TestCase):
    """The demonstration, which starts a daemon of its own."""

    def start(self, build=os.environ["abs_top_builddir"]):
        """It goes on while its output is read: each write is a packet, and the pipe has room for one. So it
        cannot come to its end before a signal that is sent at one of its lines."""
        self.place = tempfile.mkdtemp(dir=self.directory)
        output, writer = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, resource.getpagesize())
        process = subprocess.Popen(
            [os.path.join(EXAMPLES, "demo"), build],
            env={"PATH": os.environ["PATH"], "TMPDIR": self.place},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.STDOUT,
            text=True,
        )
        os.close(writer)
        process.stdout = open(output, encoding="utf-8")
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def read_until(self, process, step):
        for line in process.stdout:
            if re.search(step, line):
                return
        self.fail(f"it ended before {step}")

    def interrupt(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        # To the end of its output: nobody is left who could write.
        out, _ = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 130, out)
        self.check_nothing_is_left()

    def check_nothing_is_left(self):
        self.assertEqual(sysv.proc_table(), {})
        self.assertEqual(os.listdir(self.place), [])

    def test_to_its_end(self):
        process = self.start()
        out, _ = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 0, out)
        self.assertEqual(len(re.findall(r"worker [123], process \d+: forty-two frames", out)), 3, out)
        self.assertEqual(len(re.findall(r"worker \d+: \d+ jobs", out)), 3, out)
        self.check_nothing_is_left()

    def test_interrupted_at_each_step(self):
        steps = ("^The daemon, on", "^[$] shmd ", "^Three workers", "worker 1$", "worker 3$", "^A producer creates",
                 "producer.sh", "producer [0-9]+:", "worker [123], process", "^The producer is", "^A backbone",
                 "backbone producer", "backbone worker", "^demo/jobs ", "the workers notice")  # fmt: skip
        for number, step in itertools.product((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), steps):
            with self.subTest(step=step, signal=number):
                process = self.start()
                self.read_until(process, step)
                self.interrupt(process, number)

    def test_interrupted_when_there_is_a_segment(self):
        process = self.start()
        self.read_until(process, "producer.sh")
        wait_until(sysv.proc_table, "there is a segment")
        self.interrupt(process)

    def test_interrupted_when_its_workers_have_not_asked_yet(self):
        # What the daemon never hears of, its end does not end.
        build = os.path.join(self.directory, "build")
        os.makedirs(os.path.join(build, "examples"))
        for name in ("shmd", "examples/backbone"):
            os.symlink(os.path.join(os.environ["abs_top_builddir"], name), os.path.join(build, name))
        with open(os.path.join(build, "shmdctl"), "w") as file:
            file.write('#!/bin/sh\n[ "$1" != wait ] || sleep infinity\n'
                       f'exec {shlex.quote(os.environ["abs_top_builddir"])}/shmdctl "$@"\n')
        os.chmod(file.name, 0o755)
        process = self.start(build)
        self.read_until(process, "producer.sh")
        wait_until(sysv.proc_table, "there is a segment")
        self.interrupt(process)


if __name__ == "__main__":
    main()
