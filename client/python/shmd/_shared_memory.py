# SPDX-License-Identifier: MIT
"""SharedMemory: multiprocessing's, on segments of shmd."""

from __future__ import annotations

import secrets
from typing import Optional, Tuple, Type

from ._connection import Connection, default_connection
from ._errors import NoSuchSegment, SegmentExists, StaleSegment
from ._segment import Segment

_PREFIX = "psm_"


class SharedMemory:
    """A stand-in for multiprocessing.shared_memory.SharedMemory: `from shmd import SharedMemory`.

    The constructor, `name`, `buf`, `size`, close() and unlink() are the same, and so are the exceptions;
    the object can be pickled, as for the argument of a process. What differs is the end. A block that
    nobody unlinks goes with the last process that uses it, however that dies: there is no resource
    tracker, nothing is left in /dev/shm, and a process that only opened the block takes it away from
    nobody. The process that created it uses it until it ends, one that opened it until it closes it.

    The block is of lifetime `process` and mode 0600. It must be the caller's, root's or the daemon's.
    `track` is accepted and has no meaning here."""

    def __init__(
        self, name: Optional[str] = None, create: bool = False, size: int = 0, *, track: bool = True
    ) -> None:
        self._segment: Optional[Segment] = None
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from zero")
        if name is None and not create:
            raise ValueError("'name' can only be None if create=True")
        self._connection = default_connection()
        if create:
            self._segment = _create(self._connection, name, size)
        else:
            self._segment = self._connection.hold(_bare(str(name)))
        assert self._segment.name is not None
        self._name: str = name if name is not None else self._segment.name
        try:
            self._buf: Optional[memoryview] = self._segment.buf
        except BaseException:
            self._segment.close()
            if create:
                self._segment.remove()
            raise
        self._size = self._segment.size

    @property
    def name(self) -> str:
        """What others open it by."""
        return self._name

    @property
    def buf(self) -> Optional[memoryview]:
        """Its bytes; None once it is closed."""
        return self._buf

    @property
    def size(self) -> int:
        """In bytes."""
        return self._size

    def close(self) -> None:
        """Detaches it. BufferError while there are views of `buf`. May be called again."""
        if self._segment is not None:
            self._segment.close()
            self._buf = None

    def unlink(self) -> None:
        """Nobody can open it any more; who has it open keeps it. FileNotFoundError: it is gone."""
        if self._segment is None:
            return
        try:
            self._connection.remove(self._segment.name, serial=self._segment.serial)
        except StaleSegment:
            raise NoSuchSegment(f"{self._name} is another block by now: this one was unlinked") from None

    def __del__(self) -> None:
        # The segment's own end does what is to be done, without a request in the middle of another one.
        self._buf = None

    def __reduce__(self) -> Tuple[Type[SharedMemory], Tuple[str, bool, int]]:
        return type(self), (self._name, False, self._size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, size={self._size})"


def _bare(name: str) -> str:
    """POSIX names may begin with a slash."""
    if "\0" in name:
        raise ValueError("embedded null byte")
    return name[1:] if name.startswith("/") else name


def _create(connection: Connection, name: Optional[str], size: int) -> Segment:
    while True:
        wanted = _bare(name) if name is not None else _PREFIX + secrets.token_hex(8)
        try:
            return connection.create(wanted, size, exclusive=True, lifetime="process")
        except SegmentExists:
            if name is not None:
                raise
