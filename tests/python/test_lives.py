# SPDX-License-Identifier: MIT
"""The Python package when something ends: the daemon, a process, a connection, a call by Ctrl-C."""

import asyncio
import linecache
import os
import signal
import socket
import sys
import threading
from unittest import mock

from package import PackageCase, shmd, sysv

import shmd.aio
from harness import ROOT, main, wait_until
from peers import Peer


class Restarts(PackageCase):
    def test_between_two_calls(self):
        seg = shmd.create("frames", 4096)
        with seg:
            seg.buf[:5] = b"hello"
            self.restart()
            self.assertEqual(seg.refresh().serial, seg.serial)
            self.assertEqual(bytes(seg.buf[:5]), b"hello")
            shmd.create("more", 4096, exclusive=True)  # what changes something goes to the next daemon, too
        self.assertEqual({info.name for info in shmd.segments()}, {"frames", "more"})

    def test_while_there_is_none(self):
        """A call waits for the next daemon."""
        shmd.create("frames", 4096)
        self.daemon.process.kill()
        self.daemon.wait()
        serials = []
        thread = threading.Thread(target=lambda: serials.append(shmd.stat("frames").serial))
        thread.start()
        self.daemon = self.start_daemon()
        thread.join()
        self.assertEqual(serials, [1])

    def test_none_comes(self):
        connection = shmd.connect(reconnect=0)
        self.daemon.process.kill()
        self.daemon.wait()
        with self.assertRaises(shmd.Unreachable):
            connection.stat("frames")
        self.daemon = self.start_daemon()
        self.assertEqual(connection.segments(), [])

    def test_a_wait_goes_on(self):
        waiter = self.program('tell(shmd.wait("frames").serial)')
        self.wait_for_waiters(1)
        self.restart()
        self.wait_for_waiters(1)
        serial = self.client.create(name="frames")["serial"]
        self.assertEqual(waiter.line(), str(serial))

    def test_a_wait_goes_on_when_the_daemon_stops_in_order(self):
        waiter = self.program('tell(shmd.wait("frames").serial)')
        self.wait_for_waiters(1)
        self.daemon.stop()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon, ROOT)
        self.wait_for_waiters(1)
        serial = self.client.create(name="frames")["serial"]
        self.assertEqual(waiter.line(), str(serial))

    def test_what_is_held_stays_held(self):
        shmd.create("mine", 4096, lifetime="process")
        other = Peer(self.daemon.socket_path, ROOT)
        self.addCleanup(other.end)
        other.create(name="theirs", lifetime="process")
        with shmd.hold("theirs"):
            self.restart()
            other.end()
            shmd.info()
            wait_until(lambda: shmd.stat("theirs").holders == 1, "this process alone holds it")
        self.assertIsNone(self.segment("theirs"))
        self.assertEqual(shmd.stat("mine").holders, 1)

    def test_what_a_lost_connection_held_is_gone(self):
        shmd.create("frames", 4096, lifetime="connection")
        self.restart()
        with self.assertRaises(shmd.NoSuchSegment):
            shmd.stat("frames")

    def test_events_go_on(self):
        events = shmd.events(kinds=["created"])
        shmd.create("one", 4096)
        self.assertEqual(events.get(timeout=60).segment.name, "one")
        self.restart()
        shmd.create("two", 4096)
        told = [events.get(timeout=60)]
        if told[0].kind == "gap":
            told.append(events.get(timeout=60))
        self.assertEqual(told[-1].segment.name, "two")
        events.close()
        with self.assertRaises(StopIteration):
            next(events)

    def test_an_answer_that_is_lost(self):
        """What looks is asked again. What changes something is not: nobody knows whether it was done."""
        before = self.daemon
        os.kill(before.pid, signal.SIGSTOP)
        connection = shmd.Connection()
        failures = []

        def change():
            try:
                connection.create("frames", 4096)
            except shmd.ConnectionLost as error:
                failures.append(str(error))

        sizes = []
        look = shmd.Connection()
        threads = [threading.Thread(target=change), threading.Thread(target=lambda: sizes.append(len(look.segments())))]
        for thread in threads:
            thread.start()
        wait_until(lambda: all(c._last_id for c in (connection, look)), "both have asked")
        before.process.kill()
        before.wait()
        self.daemon = self.start_daemon()
        for thread in threads:
            thread.join()
        self.assertEqual(len(failures), 1)
        self.assertRegex(failures[0], "^frames: .*`create` may have been done")
        self.assertEqual(sizes, [0])

    def test_no_answer_in_time(self):
        connection = shmd.connect(timeout=0.2)
        connection.create("frames", 4096)
        os.kill(self.daemon.pid, signal.SIGSTOP)
        with self.assertRaisesRegex(shmd.NoAnswer, "^frames: "):
            connection.stat("frames")
        os.kill(self.daemon.pid, signal.SIGCONT)
        connection.timeout = None
        self.assertEqual(connection.info().usage.segments, 1, "the late answer is passed over")


class RefusedForNow(PackageCase):
    """What the daemon does not take now says nothing of the segment: a later connection holds it again."""

    CONFIG = PackageCase.CONFIG + "max_holders_per_segment = 2\n"

    def setUp(self):
        super().setUp()
        self.client.create(name="frames", size=4096, lifetime="connection")
        self.other = self.connect(self.daemon, ROOT)

    def holders(self):
        return self.segment("frames")["holders"]

    def take_the_place(self, stop):
        """Somebody else becomes a holder when STOP() has ended the connection."""
        stop()
        wait_until(lambda: self.holders() == 1, "the connection has ended")
        self.other.call("hold", name="frames")

    def give_the_place_back(self, stop):
        stop()
        self.other.call("release", name="frames")

    def test_blocking(self):
        with shmd.Connection() as connection, connection.hold("frames"):
            stop = lambda: connection._stream._socket.shutdown(socket.SHUT_RDWR)
            self.take_the_place(stop)
            connection.info()
            self.assertEqual(self.holders(), 2)
            self.give_the_place_back(stop)
            connection.info()
            wait_until(lambda: self.holders() == 2, "it holds it again")

    def test_asyncio(self):
        async def act():
            async with shmd.aio.Connection() as connection:
                stop = lambda: connection._stream._writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
                async with await connection.hold("frames"):
                    self.take_the_place(stop)
                    await asyncio.sleep(0.1)
                    await connection.info()
                    self.assertEqual(self.holders(), 2)
                    self.give_the_place_back(stop)
                    await asyncio.sleep(0.1)
                    await connection.info()
                    wait_until(lambda: self.holders() == 2, "it holds it again")
        asyncio.run(act())

    def test_a_daemon_that_shuts_down(self):
        """The hold, and what was asked for, go to the next one."""
        with shmd.Connection() as connection, connection.hold("frames"):
            ask, refused = connection._ask, []

            def refuse_once(stream, request):
                if request.method == "hold" and not refused:
                    refused.append(request)
                    raise shmd.ShuttingDown("the daemon is shutting down")
                return ask(stream, request)

            connection._ask = refuse_once
            connection._stream._socket.shutdown(socket.SHUT_RDWR)
            connection.info()
            self.assertEqual(len(refused), 1)
            wait_until(lambda: self.holders() == 2, "it holds it again")


class Processes(PackageCase):
    def test_the_filler_is_killed(self):
        filler = self.program("""
with shmd.publish("frames", 4096) as seg:
    seg.buf[:4] = b"half"
    tell("half")
    hear()
""")
        filler.line()
        waiter = self.program("""
try:
    shmd.wait("frames")
except shmd.InitialiserDied as error:
    tell(error.data["name"])
""")
        self.wait_for_waiters(1)
        filler.kill()
        self.assertEqual(waiter.line(), "frames")
        self.check_nothing_is_left()

    def test_the_last_holder_is_killed(self):
        holders = [self.program("""
seg = shmd.create("frames", 4096, lifetime="process")
seg.buf[0] = 1
tell(seg.created)
hear()
""") for _ in range(3)]
        for holder in holders:
            holder.line()
        for left, holder in zip((2, 1, 0), holders):
            holder.kill()
            if left:
                wait_until(lambda: self.segment("frames")["holders"] == left, f"{left} are left")
        self.wait_until_gone("frames")
        self.check_nothing_is_left()

    def test_kills_at_any_point(self):
        """Whatever a process was doing: what it held alone is gone."""
        code = """
while True:
    with shmd.publish("frames", 4096, lifetime="process") as seg:
        seg.buf[:4] = b"full"
    with shmd.SharedMemory(create=True, size=100).buf as view:
        view[0] = 1
    with shmd.hold("frames"):
        tell("turn")
"""
        for _ in range(5):
            program = self.program(code)
            program.line()
            program.kill()
            self.check_nothing_is_left()


class Forks(PackageCase):
    def in_child(self, function):
        """What FUNCTION returns in a child made by fork(), or the text of its exception."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                text = repr(function())
            except BaseException as error:
                text = f"{type(error).__name__}: {error}"
            os.write(write, text.encode())
            os._exit(0)
        os.close(write)
        with open(read, encoding="utf-8") as file:
            text = file.read()
        os.waitpid(child, 0)
        return text

    def test_a_child_has_a_connection_of_its_own(self):
        shmd.create("frames", 4096, lifetime="process")
        for _ in range(3):
            self.assertEqual(self.in_child(lambda: shmd.stat("frames").name), "'frames'")
            self.assertEqual(shmd.stat("frames").holders, 1)

    def test_a_childs_end_releases_nothing(self):
        seg = shmd.create("frames", 4096, lifetime="connection")
        hold = seg.hold()

        def act():
            hold.release()
            return shmd.info().pid

        self.assertEqual(self.in_child(act), str(self.daemon.pid))
        self.assertEqual(shmd.stat("frames").holders, 1)

    def test_memory_in_a_child(self):
        with shmd.create("frames", 4096) as seg:
            def act():
                seg.buf[:5] = b"child"
                seg.close()
                return seg.is_attached

            self.assertEqual(self.in_child(act), "False")
            self.assertEqual(bytes(seg.buf[:5]), b"child")

    def test_in_the_middle_of_a_call_of_another_thread(self):
        """The child must not wait for a lock that nobody there will give back."""
        os.kill(self.daemon.pid, signal.SIGSTOP)
        connection = shmd.default_connection()
        thread = threading.Thread(target=shmd.info)
        thread.start()
        wait_until(lambda: connection._last_id, "it has asked")
        child = os.fork()
        if child == 0:
            shmd.info()
            os._exit(0)
        os.kill(self.daemon.pid, signal.SIGCONT)
        thread.join()
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_events_in_a_child(self):
        events = shmd.events(kinds=["created"])
        shmd.create("frames", 4096)
        self.assertEqual(self.in_child(lambda: events.get(timeout=60).segment.name), "'frames'")
        self.assertEqual(events.get(timeout=60).segment.name, "frames")

    def test_multiprocessing(self):
        out = self.check_program("""
import multiprocessing
def add(name, number):
    with shmd.attach(name) as seg:
        seg.buf[number] += 1
    return shmd.stat(name).serial
if __name__ == "__main__":
    with shmd.create("frames", 4096) as seg:
        with multiprocessing.get_context("fork").Pool(3) as pool:
            serials = pool.starmap(add, [("frames", i) for i in range(50)])
        tell(sum(seg.buf), len({*serials}))
""")
        self.assertEqual(out, "50 1\n")


# A program tells when it waits for the daemon to say something.
TELLS_THAT_IT_WAITS = """
from shmd import _connection
def wait_and_tell(stream, events, end, wait=_connection.Stream._poll):
    tell("waits")
    return wait(stream, events, end)
def tell_when_it_waits():
    _connection.Stream._poll = wait_and_tell
"""


class Interrupts(PackageCase):
    def test_ctrl_c_ends_a_wait(self):
        program = self.program("""
try:
    shmd.wait("frames")
except KeyboardInterrupt:
    tell(shmd.create("frames", 4096).name)
    hear()
""")
        self.wait_for_waiters(1)
        program.process.send_signal(signal.SIGINT)
        self.assertEqual(program.line(), "frames")
        self.wait_for_waiters(0)

    def test_ctrl_c_ends_the_events(self):
        program = self.program(TELLS_THAT_IT_WAITS + """
events = shmd.events(kinds=["created"])
tell_when_it_waits()
try:
    for event in events:
        pass
except KeyboardInterrupt:
    shmd.create("frames", 4096)
    tell(events.get(timeout=60).segment.name)
""")
        self.assertEqual(program.line(), "waits")
        program.process.send_signal(signal.SIGINT)
        while (line := program.line()) == "waits":
            pass
        self.assertEqual(line, "frames")

    def test_ctrl_c_ends_a_call(self):
        """Its late answer is not taken for that of the next call."""
        program = self.program(TELLS_THAT_IT_WAITS + """
wait = _connection.Stream._poll
shmd.create("frames", 4096)
tell("there")
hear()
tell_when_it_waits()
try:
    shmd.stat("frames")
except KeyboardInterrupt:
    tell("interrupted")
_connection.Stream._poll = wait
tell(shmd.info().usage.segments)
""")
        program.line()
        os.kill(self.daemon.pid, signal.SIGSTOP)
        program.say()
        self.assertEqual(program.line(), "waits")
        program.process.send_signal(signal.SIGINT)
        self.assertEqual(program.line(), "interrupted")
        os.kill(self.daemon.pid, signal.SIGCONT)
        self.assertEqual(program.line(), "1")

    def test_a_hold_that_was_given_up(self):
        """Its late answer makes this process no holder."""
        self.client.create(name="frames", size=4096, lifetime="connection")
        with shmd.Connection() as connection:
            connection.info()
            connection.timeout = 0.05
            os.kill(self.daemon.pid, signal.SIGSTOP)
            with self.assertRaises(shmd.NoAnswer):
                connection.hold("frames")
            os.kill(self.daemon.pid, signal.SIGCONT)
            connection.timeout = None
            self.assertEqual(connection.stat("frames").holders, 1)
            with connection.hold("frames"):
                self.assertEqual(connection.stat("frames").holders, 2)
            self.assertEqual(connection.stat("frames").holders, 1)

    # Bytes that are on their way to where they are noted: a signal there costs the connection, and with it
    # what is known of its answers.
    UNKNOWN = ("send", "drop_line", "_receive")

    def raise_at(self, nth, call, spared=()):
        """Whether Ctrl-C came, at the NTH line that CALL() runs of the package; else what it returned is closed."""
        package = os.path.dirname(shmd.__file__)
        lines = [0]

        def trace(frame, event, _):
            code = frame.f_code
            if not code.co_filename.startswith(package) or code.co_name in spared:
                return None if event == "call" else trace
            # At these, Python looks for no signal; one that was raised all the same would leave a lock locked.
            text = linecache.getline(code.co_filename, frame.f_lineno).strip()
            if event == "line" and not text.startswith(("with ", "try:")):
                lines[0] += 1
                if lines[0] == nth:
                    raise KeyboardInterrupt
            return trace

        handle = None
        sys.settrace(trace)
        try:
            handle = call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
        handle.close()
        return False

    def check_anywhere(self, name, call, spared):
        holders = lambda: self.segment(name)["holders"]
        nth = 0
        with shmd.Connection() as connection:
            connection.info()
            came = True
            while came:
                nth += 1
                came = self.raise_at(nth, lambda: call(connection, name), spared)
                connection.info()
                wait_until(lambda: holders() == 1, f"nobody here holds {name} after line {nth}")
        self.assertGreater(nth, 50)

    def test_ctrl_c_at_any_line(self):
        """It leaves no hold that nobody knows of, and nothing locked."""
        other = Peer(self.daemon.socket_path, ROOT)
        self.addCleanup(other.end)
        for lifetime, spared in (("connection", ()), ("process", self.UNKNOWN)):
            other.create(name=lifetime, lifetime=lifetime)
            for word, call in (("hold", lambda connection, name: connection.hold(name)),
                               ("wait", lambda connection, name: connection.wait(name, hold=True))):
                with self.subTest(lifetime=lifetime, call=word):
                    self.check_anywhere(lifetime, call, spared)

    def test_a_wait_that_is_given_up_when_it_is_answered(self):
        """By Ctrl-C before the answer is read: without another request this process holds nothing."""
        other = Peer(self.daemon.socket_path, ROOT)
        self.addCleanup(other.end)
        other.create(name="frames", lifetime="process")

        def interrupt(*_):
            wait_until(lambda: self.segment("frames")["holders"] == 2, "the daemon has answered")
            raise KeyboardInterrupt

        receive, told = shmd._connection.Stream._receive, []

        def interrupt_once(stream):
            if not told:
                told.append(None)
                interrupt()
            receive(stream)

        with mock.patch.object(shmd._connection.Stream, "_receive", interrupt_once):
            with self.assertRaises(KeyboardInterrupt):
                shmd.wait("frames", hold=True)
        wait_until(lambda: self.segment("frames")["holders"] == 1, "this process holds nothing")

    def test_a_stream_that_was_left_in_the_middle_is_given_up(self):
        shmd.create("frames", 4096)
        connection = shmd.default_connection()
        stream = connection._stream
        stream.is_torn = True
        self.assertEqual(shmd.stat("frames").name, "frames")
        self.assertIsNot(connection._stream, stream)

    def test_a_signal_that_does_not_raise_changes_nothing(self):
        code = """
import signal
signal.signal(signal.SIGALRM, lambda number, frame: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for i in range(500):
    with shmd.publish("frames", 4096) as seg:
        seg.buf[0] = i % 256
signal.setitimer(signal.ITIMER_REAL, 0)
tell(shmd.stat("frames").serial)
"""
        self.assertEqual(self.check_program(code), "500\n")


class Events(PackageCase):
    def test_what_is_told(self):
        with shmd.events("job/", kinds=["created", "removed"]) as events:
            with self.assertRaises(TimeoutError):
                events.get(timeout=0)
            shmd.create("job/1", 4096)
            shmd.create("other", 4096)
            shmd.remove("job/1")
            created, removed = next(events), next(events)
            self.assertEqual((created.kind, created.segment.name, created.reason), ("created", "job/1", None))
            self.assertEqual((removed.kind, removed.reason), ("removed", "request"))
            self.assertEqual(events.after, removed.event_serial)

    def test_after(self):
        first = shmd.events().after
        for name in "abc":
            shmd.create(name, 4096)
        events = shmd.events(after=first, kinds=["created"])
        self.assertEqual([events.get(60).segment.name for _ in range(3)], ["a", "b", "c"])
        again = shmd.events(after=events.after - 1, kinds=["created"])
        self.assertEqual(again.get(60).segment.name, "c")

    def test_a_gap(self):
        first = shmd.events().after
        for _ in range(1100):
            self.client.create(name="a")
            self.client.call("remove", name="a")
        events = shmd.events(after=first)
        gap = events.get(60)
        self.assertEqual((gap.kind, gap.segment), ("gap", None))
        self.assertGreater(gap.missed, 1000)

    def test_a_wrong_kind(self):
        with self.assertRaises(shmd.InvalidParameter):
            shmd.events(kinds=["crated"])

    def test_one_cut_off_goes_on(self):
        """Who does not read is disconnected, and goes on behind the last event."""
        events = shmd.events(kinds=["created"])
        events._stream._socket.shutdown(2)
        shmd.create("frames", 4096)
        self.assertEqual(events.get(60).segment.name, "frames")


if __name__ == "__main__":
    main()
