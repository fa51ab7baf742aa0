# SPDX-License-Identifier: MIT
"""The Python package under asyncio."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys

from package import PackageCase, shmd, sysv

import shmd.aio
from harness import ROOT, main, wait_until
from peers import Peer


class Aio(PackageCase):
    def run_async(self, function):
        """Runs FUNCTION(connection) to its end."""
        async def act():
            async with shmd.aio.Connection() as connection:
                return await asyncio.wait_for(function(connection), 60)
        return asyncio.run(act())

    def test_it_needs_no_import_of_its_own(self):
        program = """
import sys, shmd
assert "aio" in dir(shmd) and "asyncio" not in sys.modules
assert shmd.aio.Connection and shmd.aio is sys.modules["shmd.aio"] and "asyncio" in sys.modules
try:
    shmd.nonsense
except AttributeError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", program], env=self.environment(), text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.stdout, done.stderr), ("module 'shmd' has no attribute 'nonsense'\n", ""))

    def test_publish_and_wait(self):
        async def act(connection):
            waiting = asyncio.ensure_future(connection.wait("frames"))
            await self.until_waiters(connection, 1)
            async with await connection.publish("frames", 4096) as seg:
                self.assertFalse(waiting.done())
                seg.buf[:5] = b"hello"
            async with await waiting as seg:
                self.assertEqual(bytes(seg.buf[:5]), b"hello")
        self.run_async(act)
        self.assertEqual(sysv.stat(self.segment("frames")["shmid"]).nattch, 0)

    async def until_waiters(self, connection, count):
        while f"shmd_waiters {count}" not in (await connection.metrics()).splitlines():
            await asyncio.sleep(0.01)

    def test_a_cancelled_wait_is_over(self):
        async def act(connection):
            for _ in range(3):
                waiting = asyncio.ensure_future(connection.wait("frames"))
                await self.until_waiters(connection, 1)
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
                await self.until_waiters(connection, 0)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(connection.wait("frames"), 0.05)
            await self.until_waiters(connection, 0)
        self.run_async(act)

    def test_a_cancelled_call(self):
        """Its late answer is not taken for that of the next call."""
        async def act(connection):
            await connection.create("frames", 4096)
            os.kill(self.daemon.pid, signal.SIGSTOP)
            asking = asyncio.ensure_future(connection.stat("frames"))
            while connection._last_id < 2:
                await asyncio.sleep(0)
            asking.cancel()
            os.kill(self.daemon.pid, signal.SIGCONT)
            return (await connection.info()).usage.segments
        self.assertEqual(self.run_async(act), 1)

    def test_a_cancelled_hold(self):
        """Its late answer makes this process no holder."""
        self.client.create(name="frames", size=4096, lifetime="connection")

        async def act(connection):
            await connection.info()
            for _ in range(2):
                os.kill(self.daemon.pid, signal.SIGSTOP)
                before = connection._last_id
                asking = asyncio.ensure_future(connection.hold("frames"))
                while connection._last_id == before:
                    await asyncio.sleep(0)
                asking.cancel()
                os.kill(self.daemon.pid, signal.SIGCONT)
                with self.assertRaises(asyncio.CancelledError):
                    await asking
                self.assertEqual((await connection.stat("frames")).holders, 1)
                async with await connection.hold("frames"):
                    self.assertEqual((await connection.stat("frames")).holders, 2)
                self.assertEqual((await connection.stat("frames")).holders, 1)
        self.run_async(act)

    def test_a_cancelled_wait_with_hold(self):
        """Cancelled when the daemon has answered: it makes this process no holder, without another request."""
        other = Peer(self.daemon.socket_path, ROOT)
        self.addCleanup(other.end)
        other.create(name="frames", lifetime="process")

        async def act(connection):
            cancelled = 0
            while cancelled < 5:
                waiting = asyncio.ensure_future(connection.wait("frames", hold=True))
                while not waiting.done() and self.segment("frames")["holders"] != 2:
                    await asyncio.sleep(0)
                if not waiting.cancel():
                    await (await waiting).close()  # it was too late
                    continue
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
                wait_until(lambda: self.segment("frames")["holders"] == 1, "this process holds nothing")
                cancelled += 1
        self.run_async(act)

    def test_many_at_once(self):
        async def act(connection):
            await asyncio.gather(*(connection.create(f"n/{i}", 4096) for i in range(50)))
            waits = await asyncio.gather(*(connection.wait(f"n/{i}", timeout=0) for i in range(50)))
            return [seg.name for seg in waits]
        self.assertEqual(self.run_async(act), [f"n/{i}" for i in range(50)])

    def test_errors(self):
        async def act(connection):
            for refused, call in ((shmd.TimedOut, connection.wait("frames", timeout=0)),
                                  (shmd.NoSuchSegment, connection.attach("frames"))):
                with self.assertRaises(refused) as caught:
                    await call
                self.assertEqual(str(caught.exception), f"frames: {caught.exception.message}")
            with self.assertRaises(shmd.InvalidParameter):
                await connection.events(kinds=["x"]).__anext__()
            with self.assertRaises(shmd.Unreachable):
                await shmd.aio.Connection("/nowhere").info()
        self.run_async(act)

    def test_a_full_queue_is_no_connection(self):
        """Of those who wait to be accepted: one tries again, as when a daemon starts."""
        path = os.path.join(self.directory, "full.sock")
        waiting = []
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    waiting.append(socket.socket(socket.AF_UNIX))
                    waiting[-1].setblocking(False)
                    waiting[-1].connect(path)
            with self.assertRaises(BlockingIOError):
                asyncio.run(shmd.aio._Stream.open(path))
        for peer in waiting:
            peer.close()

    def test_a_block_that_raises_publishes_nothing(self):
        async def act(connection):
            with self.assertRaises(ZeroDivisionError):
                async with await connection.publish("frames", 4096):
                    _ = 1 / 0
            with self.assertRaises(shmd.NoSuchSegment):
                await connection.stat("frames")
        self.run_async(act)
        self.check_nothing_is_left()

    def test_a_live_view(self):
        async def act(connection):
            seg = await connection.create("frames", 4096)
            view = seg.buf[:4]
            with self.assertRaises(BufferError):
                await seg.close()
            view[:] = b"safe"
            del view
            await seg.close()
        self.run_async(act)

    def test_every_call(self):
        async def act(connection):
            seg = await connection.create("frames", 4096, lifetime="process", ready=False)
            await seg.ready()
            async with seg.hold() as hold:
                self.assertEqual(hold.info.holders, 1)
            self.assertEqual((await seg.refresh()).holders, 1, "the creator goes on holding it")
            await seg.set(new_name="stills", labels={"a": "b"})
            self.assertEqual([info.name for info in await connection.segments(labels={"a": "b"})], ["stills"])
            self.assertEqual((await connection.attach("stills", readonly=True)).buf.readonly, True)
            self.assertEqual((await connection.call("stat", name="stills"))["segment"]["serial"], seg.serial)
            await connection.reload()
            await seg.release()
            with self.assertRaises(shmd.NoSuchSegment):
                await seg.refresh()
            async with await connection.adopt(sysv.create(4096), name="mine") as seg:
                await seg.disown()
                self.assertFalse(seg.info.managed)
            seg = await connection.create("frames", 4096)
            await seg.remove()
            self.assertEqual(seg.state, "removed")
        self.run_async(act)

    def test_events(self):
        async def act(connection):
            async with connection.events("job/", kinds=["created", "removed"]) as events:
                first = asyncio.ensure_future(events.__anext__())
                await asyncio.sleep(0)
                first.cancel()
                await connection.create("job/1", 4096)
                await connection.create("other", 4096)
                await connection.remove("job/1")
                told = []
                async for event in events:
                    told.append((event.kind, event.segment.name))
                    if event.kind == "removed":
                        return told
        self.assertEqual([kind for kind, _ in self.run_async(act)], ["created", "removed"])

    def test_parameters_that_are_none(self):
        async def act(connection):
            for error, text, call in (
                    (ValueError, "ttl -1 is negative", lambda: connection.create("frames", 10, ttl=-1)),
                    (ValueError, "timeout -1 is negative", lambda: connection.wait("frames", timeout=-1))):
                with self.assertRaisesRegex(error, text):
                    await call()
            with self.assertRaisesRegex(TypeError, "kinds 'created' is one string"):
                connection.events(kinds="created")

        for more in ({"timeout": -1}, {"reconnect": -1}):
            with self.assertRaisesRegex(ValueError, "-1 is negative"):
                shmd.aio.Connection(**more)
        self.run_async(act)

    def test_a_restart(self):
        async def act(connection):
            seg = await connection.create("frames", 4096, lifetime="process")
            events = connection.events(kinds=["created"])
            async with events:
                waiting = asyncio.ensure_future(connection.wait("later"))
                await self.until_waiters(connection, 1)
                self.restart()
                self.assertEqual((await seg.refresh()).holders, 1)
                await self.until_waiters(connection, 1)
                await connection.create("later", 4096)
                self.assertEqual((await waiting).name, "later")
                event = await events.__anext__()
                if event.kind == "gap":
                    event = await events.__anext__()
                self.assertEqual(event.segment.name, "later")
        self.run_async(act)

    def test_holds_are_taken_again(self):
        other = Peer(self.daemon.socket_path, ROOT)
        self.addCleanup(other.end)
        other.create(name="frames", lifetime="process")

        async def act(connection):
            async with await connection.hold("frames") as seg:
                self.restart()
                other.end()
                while (await seg.refresh()).holders != 1:
                    await asyncio.sleep(0.01)
        self.run_async(act)
        self.assertIsNone(self.segment("frames"))

    def test_no_answer_in_time(self):
        async def act(connection):
            connection.timeout = 0.1
            await connection.info()
            os.kill(self.daemon.pid, signal.SIGSTOP)
            try:
                with self.assertRaises(shmd.NoAnswer) as caught:
                    await connection.stat("frames")
                self.assertEqual(caught.exception.segment, "frames")
            finally:
                os.kill(self.daemon.pid, signal.SIGCONT)
            connection.timeout = None
            return await connection.segments()
        self.assertEqual(self.run_async(act), [])

    def test_ctrl_c(self):
        program = self.program("""
import asyncio, shmd.aio
async def main():
    async with shmd.aio.Connection() as connection:
        await connection.wait("frames")
try:
    asyncio.run(main())
except KeyboardInterrupt:
    tell("interrupted")
""")
        self.wait_for_waiters(1)
        program.process.send_signal(signal.SIGINT)
        self.assertEqual(program.line(), "interrupted")
        self.assertEqual(program.ends(), (0, "", ""))

    def test_in_a_child(self):
        async def act(connection):
            await connection.info()
            child = os.fork()
            if child == 0:
                try:
                    connection._check_process()
                except RuntimeError as error:
                    os._exit("fork" in str(error))
                os._exit(2)
            wait_until(lambda: os.waitpid(child, os.WNOHANG) == (child, 1 << 8), "the child was refused")
        self.run_async(act)


if __name__ == "__main__":
    main()
