#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A worker for the ring of backbone.c in Python, with nothing but a socket and ctypes.

    backbone.py worker NAME [--pause MS]

It works side by side with workers in C. What makes that safe: whoever has a slot has its lock, and
that lock is the C library's own robust mutex, taken here through ctypes. So the kernel gives the
slot on when this process is killed, and the mutex orders what is read and written in between.
Without a lock there are only single aligned loads and stores of 32 bits, whose values need not be
in step with anything else: `state` is looked at again under the lock, `work` only says whether to
sleep, and `finished` goes from 0 to 1 once.

Limits: glibc on 64-bit Linux, the same as the producer's; and the thread that begins a job ends it.
"""

import argparse
import ctypes
import errno
import json
import os
import platform
import socket
import sys
import time

EXIT_FAILED, EXIT_INITIALISER_DIED, EXIT_ABANDONED = 1, 10, 12


# --- shmd


class ShmdError(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.name = error.get("data", {}).get("error")


class Shmd:
    """One connection: a request, a reply."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._input = self._socket.makefile("rb")

    def call(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        line = self._input.readline()
        if not line:
            raise ConnectionResetError("shmd closed the connection")
        reply = json.loads(line)
        if "error" in reply:
            raise ShmdError(reply["error"])
        return reply["result"]

    def check_namespace(self):
        """A shmid from another IPC namespace is none here, or somebody else's segment."""
        if self.call("info")["ipc_namespace"] != os.stat("/proc/self/ns/ipc").st_ino:
            raise OSError(errno.EXDEV, "shmd is in another IPC namespace")


def attach(shmid):
    """The address of the segment."""
    address = libc.shmat(shmid, None, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "shmat")
    return address


def socket_path():
    return os.environ.get("SHMD_SOCKET", "/run/shmd/shmd.sock")


# --- the ring, as ring.h has it

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmat.restype = ctypes.c_void_p
libc.syscall.restype = ctypes.c_long

_SYS_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "s390x": 238}
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1

MAGIC, VERSION, SLOTS = 0x676E6972646D6873, 1, 64
EMPTY, FULL, DONE = 0, 1, 2
TICK_MS = 100


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class Slot(ctypes.Structure):
    _fields_ = [
        ("lock", ctypes.c_ubyte * 64),
        ("state", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("number", ctypes.c_uint64),
        ("result", ctypes.c_uint64),
        ("tries", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("text", ctypes.c_ubyte * 160),
    ]


class Header(ctypes.Structure):
    _fields_ = [
        ("magic", ctypes.c_uint64),
        ("version", ctypes.c_uint32),
        ("slots", ctypes.c_uint32),
        ("slot_bytes", ctypes.c_uint32),
        ("finished", ctypes.c_uint32),
        ("work", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 9),
        ("producer", ctypes.c_ubyte * 64),
        ("slot", Slot * SLOTS),
    ]


def futex(word, operation, value, tick=None):
    """Whether it fails or not does not matter: who waits looks again."""
    libc.syscall(
        ctypes.c_long(_SYS_FUTEX[platform.machine()]),
        word,
        ctypes.c_int(operation),
        ctypes.c_uint32(value),
        ctypes.byref(tick) if tick else None,
        None,
        ctypes.c_int(0),
    )


def field(structure, name):
    """A pointer to a member where it lies."""
    return ctypes.byref(structure, getattr(type(structure), name).offset)


def try_lock(lock):
    """Whether this thread has it now. An owner that died left everything in order."""
    result = libc.pthread_mutex_trylock(lock)
    if result == errno.EOWNERDEAD:
        result = libc.pthread_mutex_consistent(lock)
    if result not in (0, errno.EBUSY):
        raise OSError(result, os.strerror(result))
    return result == 0


class Abandoned(Exception):
    """The producer has died."""


class Ring:
    def __init__(self, address, size):
        self._ring = Header.from_address(address)
        if (
            size < ctypes.sizeof(Header)
            or (self._ring.magic, self._ring.version) != (MAGIC, VERSION)
            or (self._ring.slots, self._ring.slot_bytes) != (SLOTS, ctypes.sizeof(Slot))
        ):
            raise ValueError("the segment is not a ring of this version")
        self._cursor = 0

    def _producer_lives(self):
        lock = field(self._ring, "producer")
        if not try_lock(lock):
            return True
        libc.pthread_mutex_unlock(lock)
        return False

    def _take_job(self):
        for i in range(SLOTS):
            slot = self._ring.slot[(self._cursor + i) % SLOTS]
            if slot.state != FULL or not try_lock(field(slot, "lock")):
                continue
            # It was locked a moment later than looked at.
            if slot.state == FULL:
                slot.tries += 1
                self._cursor += i + 1
                return slot
            libc.pthread_mutex_unlock(field(slot, "lock"))
        return None

    def jobs(self):
        """Slots, each this thread's until done(); ends when there will be no more. Raises
        Abandoned when the producer has died."""
        while True:
            seen = self._ring.work
            # In this order: it finishes first and dies then.
            lives = self._producer_lives()
            if self._ring.finished:
                return
            if not lives:
                raise Abandoned("the producer has died")
            slot = self._take_job()
            if slot is not None:
                yield slot
            else:
                tick = Timespec(0, TICK_MS * 1_000_000)
                futex(field(self._ring, "work"), _FUTEX_WAIT, seen, tick)

    @staticmethod
    def done(slot, result):
        slot.result = result
        slot.state = DONE
        libc.pthread_mutex_unlock(field(slot, "lock"))
        futex(field(slot, "state"), _FUTEX_WAKE, 1)


# --- the worker


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def join(name):
    """The ring, held by this process: it stays, whatever happens to others. The daemon is not needed
    any more once the ring is held."""
    shmd = Shmd(socket_path())
    shmd.check_namespace()
    segment = shmd.call("wait", name=name)["segment"]
    try:
        # By its serial: under the name there may be another by now.
        shmd.call("hold", serial=segment["serial"])
    except ShmdError as error:
        if error.name in ("io.shmd.NoSuchSegment", "io.shmd.StaleSegment"):
            raise Abandoned("the producer died before this worker began") from error
        raise
    return Ring(attach(segment["shmid"]), segment["size"])


def work(name, pause_ms):
    ring, count = join(name), 0
    try:
        for slot in ring.jobs():
            time.sleep(pause_ms / 1000)
            ring.done(slot, fnv1a(bytes(slot.text[: slot.length])))
            count += 1
    finally:
        print(f"worker {os.getpid()}: {count} jobs", flush=True)


def main():
    parser = argparse.ArgumentParser(description="A worker for the ring of backbone.c.")
    parser.add_argument("role", choices=["worker"])
    parser.add_argument("name")
    parser.add_argument("--pause", type=int, default=0, metavar="MS", help="in every job")
    options = parser.parse_args()
    try:
        work(options.name, options.pause)
    except Abandoned as error:
        print(f"backbone.py: {error}", file=sys.stderr)
        return EXIT_ABANDONED
    except (OSError, ShmdError, ValueError) as error:
        print(f"backbone.py: {error}", file=sys.stderr)
        died = getattr(error, "name", None) == "io.shmd.InitialiserDied"
        return EXIT_INITIALISER_DIED if died else EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
