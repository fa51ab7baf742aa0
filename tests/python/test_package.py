# SPDX-License-Identifier: MIT
"""The Python package: each of its calls, against a real daemon."""

import asyncio
import ctypes
import errno
import gc
import os
import pickle
import re
import struct
import threading
from fractions import Fraction
from unittest import mock

from package import PackageCase, shmd, sysv, TOP

import shmd.aio
import harness
from peers import Peer
from harness import ALICE, BOB, DAEMON, ERRORS, ROOT, main, needs_several_uids, wait_until


class Calls(PackageCase):
    def test_create(self):
        with shmd.create("frames", 5000, mode=0o640, labels={"codec": "raw"}, ttl=60) as seg:
            self.assertTrue(seg.created)
            self.assertEqual((seg.name, seg.size, len(seg.buf), seg.state), ("frames", 5000, 5000, "ready"))
            seg.buf[:5] = b"hello"
            seg.buf[-1] = 7
            self.assertEqual(sysv.read(seg.shmid, 5), b"hello")
        known = self.segment("frames")
        self.assertEqual((known["mode"], known["labels"], known["lifetime"]), ("0640", {"codec": "raw"}, "persistent"))
        self.assertIn("expires_at_ms", known)
        self.assertEqual(sysv.stat(known["shmid"]).nattch, 0, "the block has detached it")
        again = shmd.create("frames", 100)
        self.assertFalse(again.created)
        self.assertEqual((again.serial, again.size), (known["serial"], 5000))

    def test_all_that_is_told(self):
        shmd.create("frames", 4096, lifetime="process", labels={"a": "b"})
        info = shmd.stat("frames")
        wire = self.segment("frames")
        told = {name: getattr(info, name) for name in wire if name not in ("creator", "holder_list", "mode")}
        self.assertEqual(told, {name: wire[name] for name in told})
        self.assertEqual(f"{info.mode:04o}", wire["mode"])
        self.assertEqual(vars(info.creator), wire["creator"])
        self.assertEqual([vars(holder) for holder in info.holder_list], wire["holder_list"])
        self.assertIsNone(info.expires_at_ms)
        self.assertEqual(hash(info), hash(shmd.stat("frames")))

    def test_publish_and_wait(self):
        with shmd.publish("frames", 4096) as seg:
            seg.buf[:5] = b"first"
            with self.assertRaises(shmd.TimedOut) as caught:
                shmd.wait("frames", timeout=0)
        self.assertEqual(caught.exception.data, {"timeout_ms": 0})
        with shmd.wait("frames", timeout=60, readonly=True) as old:
            with shmd.publish("frames", 8192) as seg:
                seg.buf[:6] = b"second"
                self.assertEqual(shmd.stat("frames").serial, old.serial)
            self.assertEqual(bytes(old.buf[:5]), b"first")
            with shmd.wait("frames") as new:
                self.assertEqual((bytes(new.buf[:6]), new.size), (b"second", 8192))

    def test_a_block_that_raises_publishes_nothing(self):
        with shmd.publish("frames", 4096) as seg:
            seg.buf[:3] = b"old"
        with self.assertRaises(ZeroDivisionError):
            with shmd.publish("frames", 4096) as seg:
                view = seg.buf[:3]
                view[:] = b"new"
                _ = 1 / 0
        with shmd.wait("frames", timeout=0) as seg:
            self.assertEqual(bytes(seg.buf[:3]), b"old")
        self.assertEqual([segment.get("name") for segment in self.client.list()], ["frames", None])
        self.assertEqual(bytes(view), b"new", "it is there while there is a view of it")
        del view
        wait_until(lambda: len(sysv.proc_table()) == 1, "and then it is gone")

    def test_publish_without_replace(self):
        with shmd.publish("frames", 4096, replace=False):
            pass
        with self.assertRaises(shmd.SegmentExists):
            shmd.publish("frames", 4096, replace=False)
        with self.assertRaisesRegex(ValueError, "attached"):
            shmd.publish("frames", 4096, lifetime="attached")

    def test_wait_for_what_another_process_publishes(self):
        waiter = self.program("""
with shmd.wait("frames", timeout=60) as seg:
    tell(bytes(seg.buf[:5]).decode())
""")
        self.wait_for_waiters(1)
        with shmd.publish("frames", 4096) as seg:
            seg.buf[:5] = b"hello"
        self.assertEqual(waiter.line(), "hello")

    def test_a_wait_holds_up_no_other_thread(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(shmd.wait("frames", timeout=60)))
        thread.start()
        self.wait_for_waiters(1)
        shmd.create("frames", 4096)
        thread.join()
        self.assertEqual(found[0].name, "frames")

    def test_threads_share_a_connection(self):
        shmd.create("frames", 4096)
        serials, threads = [], []
        for _ in range(8):
            threads.append(threading.Thread(
                target=lambda: serials.extend(shmd.stat("frames").serial for _ in range(50))))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(serials), 400)
        self.assertEqual(len({*serials}), 1)

    def test_what_there_is_to_complete(self):
        """What dir() shows is what a program writes."""
        for module, more in ((shmd, {"aio"}), (shmd.aio, set())):
            names = [name for name in dir(module) if not re.fullmatch("__.*__", name)]
            public = {*module.__all__, *more} - {"__version__"}
            self.assertEqual(set(names), public)
            self.assertEqual(sorted(names), names)
            self.assertLessEqual({"__all__", "__doc__", "__name__"}, set(dir(module)))
            for name in names:
                getattr(module, name)
        self.assertIn("__version__", dir(shmd))

    def test_hold(self):
        shmd.create("frames", 4096, lifetime="process")
        other = self.program("""
with shmd.hold("frames") as seg:
    tell("held")
    hear()
tell("released")
hear()
""")
        other.line()
        self.assertEqual(self.segment("frames")["holders"], 2)
        other.say()
        other.line()
        self.assertEqual(self.segment("frames")["holders"], 1)

    def test_holds_of_one_process_are_counted(self):
        seg = shmd.create("frames", 4096, lifetime="process")
        with seg.hold() as outer, shmd.hold("frames"), seg.hold():
            self.assertEqual(outer.info.holders, 1)
        self.assertEqual(self.segment("frames")["holders"], 1, "the creator goes on holding it")
        seg.release()
        self.assertIsNone(self.segment("frames"), "and was the last")

    def test_what_was_released_has_no_handle_any_more(self):
        """A handle from before ends no hold from after."""
        owner = Peer(self.daemon.socket_path, ROOT)
        self.addCleanup(owner.end)
        owner.create(name="frames", lifetime="process")
        before, late = shmd.hold("frames"), shmd.hold("frames")
        shmd.release("frames")
        self.assertEqual(self.segment("frames")["holders"], 1)
        with shmd.hold("frames"):
            before.close()
            del late
            shmd.info()
            self.assertEqual(self.segment("frames")["holders"], 2)
        self.assertEqual(self.segment("frames")["holders"], 1)

    def test_what_became_persistent_has_no_handle_any_more(self):
        first, second = shmd.Connection(), shmd.Connection()
        with first, second:
            first.create("frames", 4096, lifetime="connection")
            first.set("frames", lifetime="persistent")
            second.set("frames", lifetime="connection")
            with first.hold("frames"):
                self.assertEqual(self.segment("frames")["holders"], 2)
            self.assertEqual(self.segment("frames")["holders"], 1)

    def test_what_was_disowned_is_forgotten(self):
        with shmd.Connection() as connection:
            seg = connection.create("frames", 4096, lifetime="process")
            connection.disown("frames")
            self.assertEqual(connection._holds.requests(), [])
            connection.adopt(seg.shmid)
            connection.remove(shmid=seg.shmid)

    def test_the_last_handle_releases(self):
        self.client.create(name="frames", lifetime="process")
        program = self.program("""
one, two = shmd.hold("frames"), shmd.wait("frames", hold=True)
one.close()
tell(shmd.stat("frames").holders)
two.close()
tell(shmd.stat("frames").holders)
three = shmd.hold("frames")
del three
shmd.info()
tell(shmd.stat("frames").holders)
""")
        self.assertEqual([program.line() for _ in range(3)], ["2", "1", "1"])

    def test_wait_with_hold(self):
        for lifetime in ("process", "connection"):
            with self.subTest(lifetime):
                owner = Peer(self.daemon.socket_path, ROOT)
                self.addCleanup(owner.end)
                owner.create(name=lifetime, lifetime=lifetime)
                with shmd.wait(lifetime, hold=True) as seg:
                    owner.call("release", name=lifetime)
                    self.assertEqual(seg.refresh().holders, 1)
                self.assertIsNone(self.segment(lifetime))

    def test_hold_what_has_no_holders(self):
        seg = shmd.create("frames", 4096)
        with self.assertRaises(shmd.NotHoldable) as caught:
            seg.hold()
        self.assertEqual(caught.exception.data, {"lifetime": "persistent"})
        with shmd.wait("frames", hold=True) as seg:
            self.assertEqual(seg.info.holders, 0)

    def test_connection_lifetime(self):
        with shmd.Connection() as connection:
            connection.create("frames", 4096, lifetime="connection")
            self.assertIsNotNone(self.segment("frames"))
        self.wait_until_gone("frames")

    def test_set_remove_and_disown(self):
        seg = shmd.create("frames", 4096)
        seg.set(new_name="stills", mode=0o644, ttl=3600, labels={"a": "b"})
        self.assertEqual((seg.name, seg.info.mode, seg.info.labels), ("stills", 0o644, {"a": "b"}))
        self.assertIsNotNone(seg.info.expires_at_ms)
        self.assertEqual(shmd.set("stills", ttl=0).expires_at_ms, None)
        seg.buf[:2] = b"hi"
        with self.assertRaises(shmd.SegmentBusy) as caught:
            seg.remove(only_if_unattached=True)
        self.assertEqual(caught.exception.data, {"nattch": 1})
        seg.remove()
        self.assertEqual((seg.state, bytes(seg.buf[:2])), ("removing", b"hi"))
        seg.close()
        self.check_nothing_is_left()
        seg = shmd.create("frames", 4096)
        seg.disown()
        self.assertFalse(seg.info.managed)

    def test_ready(self):
        seg = shmd.create("frames", 4096, ready=False)
        self.assertEqual(seg.state, "initialising")
        seg.ready()
        self.assertEqual(seg.state, "ready")

    def test_adopt(self):
        shmid = sysv.create(4096)
        with shmd.adopt(shmid, name="mine", lifetime="process") as seg:
            self.assertEqual((seg.name, seg.shmid, seg.info.managed), ("mine", shmid, True))
            seg.buf[:2] = b"ok"
        self.assertEqual(sysv.stat(shmid).uid, self.daemon_uid())
        with self.assertRaises(TypeError):
            shmd.adopt(shmid, key=5)

    def daemon_uid(self):
        return self.client.call("info")["uid"]

    def test_a_refused_adoption_is_taken_back(self):
        shmid = sysv.create(4096)
        before = sysv.stat(shmid)
        shmd.create("taken", 4096)
        with self.assertRaises(shmd.SegmentExists):
            shmd.adopt(shmid, name="taken")
        self.assertEqual(sysv.stat(shmid), before)

    def test_segments(self):
        for number in range(5):
            shmd.create(f"job/{number}", 4096, labels={"odd": str(number % 2)})
        shmd.create("other", 4096)
        self.assertEqual({info.name for info in shmd.segments("job/")}, {f"job/{i}" for i in range(5)})
        self.assertEqual(len(shmd.segments(labels={"odd": "1"})), 2)
        self.assertEqual(len(shmd.segments()), 6)
        foreign = sysv.create(100)
        self.assertEqual([info.shmid for info in shmd.segments(scope="foreign")], [foreign])
        self.assertEqual((shmd.stat(shmid=foreign).serial, shmd.stat(shmid=foreign).lifetime), (0, None))
        with shmd.attach(shmid=foreign) as seg:
            self.assertEqual(len(seg.buf), 100)

    def test_many_pages(self):
        for number in range(1200):
            self.client.create(name=f"n/{number}")
        self.assertEqual(len({info.name for info in shmd.segments("n/")}), 1200)

    CONFIG = PackageCase.CONFIG + "max_segments_per_uid = 2000\n"

    def test_info_metrics_and_any_call(self):
        info = shmd.info()
        wire = self.client.call("info")
        self.assertEqual((info.version, info.pid, info.uid), (wire["version"], self.daemon.pid, wire["uid"]))
        self.assertEqual({*info.limits}, {*wire["limits"]})
        self.assertIsNone(info.limits["max_segments"].max)
        self.assertEqual(info.limits["max_segments_per_uid"].max, 2000)
        self.assertTrue(shmd.metrics().endswith("# EOF\n"))
        self.assertEqual(shmd.call("stat", shmid=sysv.create(10))["segment"]["size"], 10)

    def test_reload(self):
        shmd.reload()
        self.daemon.configure("max_bytes = all\n")
        with self.assertRaises(shmd.InvalidConfiguration) as caught:
            shmd.reload()
        self.assertEqual(caught.exception.data["errors"][0]["line"], 1)

    def test_the_version_is_one(self):
        self.assertEqual(shmd.__version__, shmd.info().version)

    def test_targets(self):
        with self.assertRaises(TypeError):
            shmd.stat()
        with self.assertRaises(TypeError):
            shmd.stat("frames", shmid=3)
        one, two = shmd.create("one", 4096), shmd.create("two", 4096, key=0xBEEF)
        self.assertEqual(shmd.stat(key=0xBEEF).name, "two")
        with self.assertRaises(shmd.StaleSegment) as caught:
            shmd.remove("one", serial=two.serial)
        self.assertEqual(caught.exception.data["serial"], two.serial)
        self.assertEqual(shmd.stat("one").serial, one.serial)

    def test_modes_are_octal(self):
        with self.assertRaisesRegex(ValueError, "octal"):
            shmd.create("frames", 4096, mode=644)

    def test_a_short_time_is_not_none(self):
        """A segment that is to go after a moment must not stay for ever."""
        for name, times in {"ttl": {"ttl": 0.0001}, "idle": {"idle_ttl": 0.0001}}.items():
            shmd.create(name, 10, **times)
            wait_until(lambda gone=name: self.segment(gone) is None, f"{name} is over")
        seg = shmd.create("set", 10)
        seg.set(ttl=0.0001)
        wait_until(lambda: self.segment("set") is None, "it is over")
        for seconds, milliseconds in ((0.0001, 1), (1e-12, 1), (1, 1000), (1.001, 1001), (0.0011, 2), (0, 0)):
            asked = next(shmd._calls.create("frames", 10, ttl=seconds, idle_ttl=seconds)).params
            self.assertEqual((asked["ttl_ms"], asked["idle_ttl_ms"]), (milliseconds, milliseconds), seconds)

    def test_times_that_are_none(self):
        seg = shmd.create("frames", 4096)
        events = shmd.events()
        self.addCleanup(events.close)
        calls = {
            "ttl": (lambda value: shmd.create("new", 10, ttl=value), lambda value: seg.set(ttl=value),
                    lambda value: shmd.publish("new", 10, ttl=value)),
            "idle_ttl": (lambda value: shmd.create("new", 10, idle_ttl=value), lambda value: seg.set(idle_ttl=value)),
            "timeout": (lambda value: shmd.wait("frames", timeout=value), lambda value: events.get(timeout=value),
                        lambda value: shmd.Connection(timeout=value), lambda value: shmd.connect(timeout=value)),
            "reconnect": (lambda value: shmd.Connection(reconnect=value),),
        }
        for name, (call, *others) in calls.items():
            for act in (call, *others):
                for value, error, text in (
                        (-1, ValueError, f"{name} -1 is negative: give seconds, as 10 or 0.5"),
                        (-0.0001, ValueError, f"{name} -0.0001 is negative: give seconds"),
                        (float("inf"), ValueError, f"{name} inf is not finite: give seconds"),
                        (float("nan"), ValueError, f"{name} nan is not finite: give seconds"),
                        ("10s", TypeError, f"{name} '10s' is of type str: give seconds"),
                        (True, TypeError, f"{name} True is of type bool: give seconds")):
                    with self.subTest(name=name, value=value), self.assertRaises(error) as caught:
                        act(value)
                    self.assertTrue(str(caught.exception).startswith(text), caught.exception)
        self.assertIsNone(self.segment("new"))
        with self.assertRaises(TypeError):
            shmd.adopt(1, ttl="10s")

    def test_a_long_time_is_one(self):
        """Longer than poll() takes at once."""
        with shmd.events() as events:
            shmd.create("frames", 4096)
            self.assertEqual(events.get(timeout=1e9).kind, "created")

    def test_values_of_the_wrong_type(self):
        shmd.create("frames", 4096)
        for error, text, act in (
                (TypeError, "mode '644' is of type str: give permissions as an octal number, as 0o640",
                 lambda: shmd.create("new", 10, mode="644")),
                (TypeError, "mode 6.5 is of type float", lambda: shmd.set("frames", mode=6.5)),
                (LookupError, "owner 'nobodys': there is no user of that name; give a user's name or a uid",
                 lambda: shmd.wait("frames", owner="nobodys")),
                (LookupError, "owner 'a\\x00b': there is no user", lambda: shmd.attach("frames", owner="a\0b")),
                (TypeError, "owner 1.5 is of type float: give a user's name or a uid",
                 lambda: shmd.hold("frames", owner=1.5)),
                (TypeError, "kinds 'created' is one string: give a list of words, as ['created']",
                 lambda: shmd.events(kinds="created")),
                (TypeError, "kinds 5 is of type int: give a list of words", lambda: shmd.events(kinds=5)),
                (TypeError, "labels ['a'] are of type list: give a dict",
                 lambda: shmd.create("new", 10, labels=["a"])),
                (TypeError, "labels 'a' are of type str: give a dict", lambda: shmd.set("frames", labels="a")),
                (TypeError, "name b'frames' is of type bytes, or has something in it, that cannot be sent",
                 lambda: shmd.stat(b"frames")),
                (TypeError, "size Fraction(3, 2) is of type Fraction", lambda: shmd.create("new", Fraction(3, 2)))):
            with self.subTest(text), self.assertRaises(error) as caught:
                act()
            self.assertIn(text, str(caught.exception))
            self.assertNotIsInstance(caught.exception, KeyError, "that shows a sentence in quotes")
        self.assertEqual(len(shmd.segments()), 1, "the connection is good still")

    def test_whole_numbers_of_other_kinds(self):
        class Whole:
            def __index__(self):
                return 5000

        self.assertEqual(shmd.create("frames", Whole()).size, 5000)


class Memory(PackageCase):
    def seg(self, size=4096, **more):
        seg = shmd.create("frames", size, **more)
        self.addCleanup(seg._abandon)
        return seg

    def attachments(self):
        return sysv.stat(self.segment("frames")["shmid"]).nattch

    def test_a_view_keeps_the_memory(self):
        views = {
            "a slice": lambda buf: buf[1:3],
            "a view": memoryview,
            "another type": lambda buf: buf.cast("I"),
            "of ctypes": lambda buf: (ctypes.c_char * 8).from_buffer(buf),
            "a slice of a slice": lambda buf: buf[8:][2:4],
            "an iterator": lambda buf: struct.iter_unpack("I", buf),
        }
        for what, make in views.items():
            with self.subTest(what):
                seg = self.seg()
                seg.buf[0] = 7
                view = make(seg.buf)
                with self.assertRaisesRegex(BufferError, "views"):
                    seg.close()
                self.assertFalse(seg.is_closed)
                self.assertEqual((seg.buf[0], self.attachments()), (7, 1))
                bytes(view) if isinstance(view, memoryview) else None
                del view
                seg.close()
                self.assertEqual(self.attachments(), 0)

    def test_a_block_that_ends_under_a_view(self):
        with self.assertRaises(BufferError):
            with self.seg() as seg:
                view = seg.buf[:4]
        view[:] = b"safe"
        self.assertEqual(sysv.read(seg.shmid, 4), b"safe")
        del view
        seg.close()

    def test_what_went_wrong_is_what_is_told(self):
        with self.assertRaises(KeyError):
            with self.seg() as seg:
                view = seg.buf[:4]
                raise KeyError("the block's own")
        self.assertEqual((len(view), self.attachments()), (4, 1))
        del view
        self.assertEqual(self.attachments(), 0)

    def test_a_forgotten_handle_detaches(self):
        seg = shmd.create("frames", 4096)
        seg.buf[0] = 1
        self.assertEqual(self.attachments(), 1)
        del seg
        gc.collect()
        self.assertEqual(self.attachments(), 0)

    def test_a_forgotten_handle_keeps_the_memory_of_a_view(self):
        view = shmd.create("frames", 4096).buf[:4]
        gc.collect()
        view[:] = b"safe"
        self.assertEqual(self.attachments(), 1)
        del view
        self.assertEqual(self.attachments(), 0)

    def test_read_only(self):
        with self.seg() as seg:
            seg.buf[:5] = b"hello"
        with shmd.attach("frames", readonly=True) as seg:
            self.assertTrue(seg.buf.readonly)
            with self.assertRaises(TypeError):
                seg.buf[0] = 1
            with self.assertRaises(TypeError):
                (ctypes.c_char * 8).from_buffer(seg.buf)
            self.assertEqual(bytes(seg.buf[:5]), b"hello")
            self.assertIn("attached for reading", repr(seg))

    def test_a_closed_handle(self):
        seg = self.seg()
        with seg:
            pass
        seg.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            _ = seg.buf
        self.assertIn("closed", repr(seg))

    def test_attached_lifetime(self):
        with self.seg(lifetime="attached") as seg:
            seg.buf[0] = 1
            self.client.stat(name="frames")
        wait_until(lambda: not sysv.exists(seg.shmid), "it goes with the last detach")

    def test_a_block_that_cannot_begin(self):
        """It cannot attach what is gone: then it neither holds nor publishes."""
        seg = shmd.hold(self.client.create(name="frames", lifetime="process")["name"])
        sysv.remove(seg.shmid)
        with self.assertRaises(shmd.StaleSegment):
            with seg:
                self.fail("the block has begun")
        self.assertTrue(seg.is_closed)

    def test_a_segment_that_is_gone(self):
        seg = self.seg()
        sysv.remove(seg.shmid)
        with self.assertRaises(shmd.StaleSegment):
            _ = seg.buf

    def test_the_kernels_size_counts(self):
        """A daemon that tells a larger one could make a program touch what is not there."""
        seg = self.seg(5000)
        object.__setattr__(seg.info, "size", 1 << 30)
        self.assertEqual((len(seg.buf), seg.size), (5000, 5000))

    def test_another_ipc_namespace(self):
        seg = self.seg()
        program = """
import asyncio
import ctypes
assert ctypes.CDLL(None).unshare(0x08000000) == 0
try:
    shmd.attach("frames").buf
except shmd.WrongNamespace as error:
    print(error)
"""
        self.assertIn("another IPC namespace", self.check_program(program))
        self.assertEqual(seg.buf[0], 0)


class Errors(PackageCase):
    def test_every_error_of_the_protocol_has_a_class(self):
        with open(os.path.join(TOP, "protocol", "PROTOCOL.md"), encoding="utf-8") as file:
            rows = re.findall(r"^\| `((?:io|org)\.\S+)` \| (-?\d+) \| ([A-Z]*)", file.read(), re.M)
        self.assertEqual(len(rows), len(ERRORS))
        for name, code, like in rows:
            cls = getattr(shmd, name.rsplit(".", 1)[1])
            self.assertTrue(issubclass(cls, shmd.Refused))
            self.assertEqual((cls.name, cls.code), (name, int(code)))
            if like:
                self.assertEqual(cls.like, getattr(errno, like))

    def test_they_are_pythons_own_too(self):
        with self.assertRaises(FileNotFoundError):
            shmd.stat("nobody")
        shmd.create("frames", 4096)
        with self.assertRaises(FileExistsError):
            shmd.create("frames", 4096, exclusive=True)
        with self.assertRaises(TimeoutError):
            shmd.wait("nobody", timeout=0)
        with self.assertRaises(OSError) as caught:
            shmd.create("frames", 1 << 20)
        self.assertIsInstance(caught.exception, shmd.SizeMismatch)
        self.assertEqual(caught.exception.data, {"size": 4096, "requested": 1 << 20})

    def test_what_they_carry(self):
        with self.assertRaises(shmd.NoSuchSegment) as caught:
            shmd.stat("nobody")
        error = caught.exception
        self.assertEqual((error.code, error.name, error.data), (1, "io.shmd.NoSuchSegment", {"name": "nobody"}))
        self.assertEqual(str(error), f"nobody: {error.message}")
        self.assertNotIn("Errno", str(error))

    def test_they_name_the_segment(self):
        frames = shmd.create("frames", 4096, key=0x1234)
        attached = shmd.attach("frames").buf
        for named, call in (
            ("frames", lambda: shmd.create("frames", 1 << 20)),
            ("frames", lambda: shmd.create("frames", 1, exclusive=True)),
            ("frames", lambda: shmd.remove("frames", only_if_unattached=True)),
            ("frames", lambda: shmd.hold("frames")),
            ("nobody", lambda: shmd.wait("nobody", timeout=0)),
            ("nobody", lambda: shmd.attach("nobody")),
            ("shmid 2147483647", lambda: shmd.stat(shmid=2147483647)),
            ("shmid 2147483647", lambda: shmd.adopt(shmid=2147483647, name="new")),
            ("key 0x00000077", lambda: shmd.stat(key=0x77)),
            ("key 0xffffffff", lambda: shmd.adopt(key=-1, name="new")),
            (f"serial {frames.serial}", lambda: frames.set(mode=0o600, labels={"": ""})),
        ):
            with self.assertRaises(shmd.Error) as caught:
                call()
            self.assertEqual(caught.exception.segment, named)
            self.assertEqual(str(caught.exception), f"{named}: {caught.exception.message}")
        self.assertEqual(len(attached), 4096)
        # What is about no segment names none.
        with self.assertRaises(shmd.InvalidParameter) as caught:
            shmd.call("list", limit=0)
        self.assertIsNone(caught.exception.segment)
        self.assertEqual(str(caught.exception), caught.exception.message)

    def test_they_can_be_pickled(self):
        errors = [
            shmd.NoSuchSegment("gone", data={"name": "x"}),
            shmd.Refused("of the future", code=99, name="io.shmd.Other", data={"a": [1]}),
            shmd.Unreachable("nobody is there", number=2),
            shmd.ConnectionLost("lost"),
            shmd.SegmentBusy("busy", data={"nattch": 1}, segment="frames"),
            shmd.NoAnswer("late", segment="shmid 1"),
        ]
        for error in errors:
            again = pickle.loads(pickle.dumps(error))
            self.assertIs(type(again), type(error))
            self.assertEqual((str(again), again.errno), (str(error), error.errno))
            for member in ("code", "name", "data", "segment"):
                self.assertEqual(getattr(again, member, None), getattr(error, member, None))

    def test_an_invalid_parameter_is_named(self):
        with self.assertRaises(shmd.InvalidParameter) as caught:
            shmd.create("no spaces", 4096)
        self.assertEqual(caught.exception.data["parameter"], "name")
        with self.assertRaises(shmd.MethodNotFound):
            shmd.call("destroy")
        with self.assertRaises(shmd.InvalidRequest):
            shmd.call("stat", name="x" * 100000)
        self.assertEqual(shmd.segments(), [], "the connection is good again")

    def test_no_daemon(self):
        connection = shmd.Connection("/nowhere/shmd.sock")
        with self.assertRaises(shmd.Unreachable) as caught:
            connection.info()
        self.assertIn("shmd --socket /nowhere/shmd.sock", str(caught.exception))
        self.assertNotIn("systemctl", str(caught.exception))
        self.assertIsInstance(caught.exception, ConnectionError)
        path = os.path.join(self.directory, "x", "s s")
        for mode, make, command in (
            (0o755, True, f"(shmd --socket '{path}')"),
            (0o777, True, f"(shmd --socket '{path}' --state-dir '{path}.state')"),
            (0o755, False, f"(mkdir -p -m 755 {os.path.dirname(path)} && shmd --socket '{path}')"),
        ):
            if make:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.chmod(os.path.dirname(path), mode)
            else:
                os.rmdir(os.path.dirname(path))
            with self.subTest(command=command), self.assertRaises(shmd.Unreachable) as caught:
                shmd.connect(path)
            self.assertIn(command, str(caught.exception))
        with self.assertRaises(shmd.Unreachable):
            shmd.connect("/nowhere/shmd.sock")

    def test_the_daemon_is_not_in_the_path(self):
        path = os.path.join(self.directory, "x", "s")
        sbin = os.path.join(self.directory, "sbin")
        program = os.path.join(sbin, "shmd")
        os.mkdir(os.path.dirname(path), 0o755)
        os.mkdir(sbin)
        with open(program, "w", encoding="ascii"):
            pass
        os.chmod(program, 0o755)
        installed = ("/nowhere/shmd", program)
        for directories, word in (("/nowhere", program), (sbin, "shmd")):
            with self.subTest(directories=directories), \
                    mock.patch.dict(os.environ, PATH=directories), \
                    mock.patch("shmd._errors.INSTALLED", installed), \
                    self.assertRaises(shmd.Unreachable) as caught:
                shmd.connect(path)
            self.assertIn(f"({word} --socket {path})", str(caught.exception))

    def test_a_path_that_is_too_long(self):
        path = "/tmp/" + 200 * "a"

        async def ask():
            await shmd.aio.Connection(path).info()
        for call in (shmd.Connection(path).info, lambda: asyncio.run(ask())):
            with self.assertRaises(shmd.Unreachable) as caught:
                call()
            self.assertEqual(caught.exception.errno, errno.ENAMETOOLONG)
            self.assertEqual(caught.exception.message,
                             f"cannot connect to {path}: the path is longer than a socket's can be")

    def test_no_socket(self):
        path = os.path.join(self.directory, "file")
        with open(path, "w", encoding="ascii"):
            pass
        with self.assertRaises(shmd.Unreachable) as caught:
            shmd.connect(path)
        self.assertIn("is no socket", str(caught.exception))

    def test_answers_that_are_none(self):
        for value in ({}, {"segment": 5}, {"segment": {"serial": "1"}}, [], None):
            with self.subTest(value):
                with self.assertRaises(shmd.ProtocolError):
                    shmd._model.result_segment(value)


@needs_several_uids
class Trust(PackageCase):
    """A name can be taken by anybody."""

    def as_alice(self, function):
        """What FUNCTION returns in a process of Alice's, or the name of the error and its data."""
        def act():
            try:
                return function()
            except shmd.Refused as error:
                return type(error).__name__, dict(error.data)
        return harness.as_user(ALICE, act)

    def setUp(self):
        super().setUp()
        self.bob = self.connect(self.daemon, BOB)
        self.bob.create(name="frames", mode="0666", lifetime="process")

    USES = {
        "attach": lambda **more: shmd.attach("frames", **more).name,
        "wait": lambda **more: shmd.wait("frames", timeout=0, **more).name,
        "hold": lambda **more: shmd.hold("frames", **more).name,
    }

    def test_a_strangers_is_refused(self):
        for what, use in self.USES.items():
            with self.subTest(what):
                name, data = self.as_alice(use)
                self.assertEqual((name, data["uid"]), ("PermissionDenied", BOB.uid))

    def test_unless_that_is_said(self):
        for what, use in self.USES.items():
            with self.subTest(what):
                self.assertEqual(self.as_alice(lambda: use(owner=BOB.uid)), "frames")
                self.assertEqual(self.as_alice(lambda: use(any_owner=True)), "frames")

    def test_ones_own_passes_beside_another_owner(self):
        own = self.connect(self.daemon, ALICE)
        own.create(name="mine", lifetime="process")
        for what, use in (("attach", shmd.attach), ("hold", shmd.hold), ("wait", shmd.wait)):
            with self.subTest(what):
                self.assertEqual(self.as_alice(lambda: use("mine", owner=BOB.uid).name), "mine")

    def test_another_owner_is_no_leave(self):
        for what, use in self.USES.items():
            with self.subTest(what):
                self.assertEqual(self.as_alice(lambda: use(owner=DAEMON.uid + 7))[0], "PermissionDenied")

    def test_an_id_is_what_it_is(self):
        segment = self.bob.stat(name="frames")
        self.assertEqual(self.as_alice(lambda: shmd.attach(shmid=segment["shmid"]).name), "frames")
        self.assertEqual(self.as_alice(lambda: shmd.hold(serial=segment["serial"]).name), "frames")

    def test_shared_memory_is_not_a_strangers(self):
        self.assertEqual(self.as_alice(lambda: shmd.SharedMemory("frames").name)[0], "PermissionDenied")

    def test_without_the_right_to_write(self):
        self.bob.call("set", name="frames", mode="0644")

        def act():
            try:
                return shmd.attach("frames", any_owner=True).size
            except PermissionError as error:
                return str(error)

        self.assertIn("readonly=True may do", self.as_alice(act))
        self.assertEqual(self.as_alice(lambda: len(shmd.attach("frames", any_owner=True, readonly=True).buf)), 4096)


class InTheInterpreter(PackageCase):
    def test_what_is_shown(self):
        seg = shmd.create("frames", 4096)
        self.assertEqual(repr(seg), f"<shmd.Segment 'frames' serial={seg.serial} shmid={seg.shmid} size=4096 "
                                    "persistent, ready>")
        with seg:
            self.assertTrue(repr(seg).endswith("ready attached>"))
        self.assertEqual(repr(shmd.Connection("/x")), "<shmd.Connection '/x' not connected>")
        self.assertRegex(repr(shmd.default_connection()), "<shmd.Connection '.*' connected>")
        self.assertIn("serial=", repr(shmd.stat("frames")))
        seg = shmd.create("held", 10, lifetime="process")
        with seg.hold() as hold:
            self.assertEqual(repr(hold), "<shmd.Hold 'held' held>")
        self.assertEqual(repr(hold), "<shmd.Hold 'held' released>")

    def test_help(self):
        import inspect
        import shmd.aio
        for place in (shmd, shmd.Connection, shmd.Segment, shmd.Events, shmd.SharedMemory, shmd.aio.Connection,
                      shmd.aio.Segment, shmd.aio.Events):
            for name in dir(place):
                value = getattr(place, name)
                if name.startswith("_") or not callable(value) or not str(value.__module__).startswith("shmd"):
                    continue
                self.assertTrue(inspect.getdoc(value), f"{place.__name__}.{name} has no docstring")
        self.assertEqual(str(inspect.signature(shmd.default_connection().wait)).split(",", 1)[0], "(name: 'str'")
        self.assertTrue(str(inspect.signature(shmd.wait)).endswith("-> 'Segment'"))
        self.assertEqual(str(inspect.signature(shmd.Connection.info)), "(self, /) -> 'Info'")

    def test_what_is_public_is_there(self):
        import shmd.aio
        for module in (shmd, shmd.aio):
            for name in module.__all__:
                self.assertTrue(hasattr(module, name), name)


if __name__ == "__main__":
    main()
