# SPDX-License-Identifier: MIT
"""Handles on segments: what a program has of one while it uses it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Mapping, Optional, Type

from . import _calls
from ._errors import Error
from ._memory import Memory, check_namespace
from ._model import SegmentInfo

if TYPE_CHECKING:
    from ._connection import Connection


class Handle:
    """What the handles of both kinds of connection have in common: the segment as the daemon last told
    it, and its memory, which is attached when it is first used."""

    def __init__(self, found: _calls.Found, namespace: Optional[int]) -> None:
        self.info: SegmentInfo = found.info
        """The segment as the daemon last told it."""
        self.created: bool = found.created
        """Whether this call of create() made it."""
        self.readonly: bool = found.readonly
        """Whether the memory is attached for reading."""
        self._removes_if_unready = found.removes_if_unready
        self._namespace = namespace
        self._memory: Optional[Memory] = None
        self._is_closed = False
        self._grip = found.grip

    @property
    def name(self) -> Optional[str]:
        return self.info.name

    @property
    def serial(self) -> int:
        """Its identity, never used again."""
        return self.info.serial

    @property
    def shmid(self) -> int:
        return self.info.shmid

    @property
    def state(self) -> str:
        """initialising, ready, removing or removed, when the daemon last told it."""
        return self.info.state

    @property
    def size(self) -> int:
        """In bytes; of an attached segment the kernel's own word."""
        return self._memory.size if self._memory else self.info.size

    @property
    def is_attached(self) -> bool:
        return self._memory is not None

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def __len__(self) -> int:
        return self.size

    def _daemons_namespace(self) -> int:
        assert self._namespace is not None
        return self._namespace

    @property
    def buf(self) -> memoryview:
        """The segment's bytes, for slices, numpy.frombuffer(), struct and the like. The first use
        attaches the segment, for reading and writing unless the handle is `readonly`."""
        if self._is_closed:
            raise ValueError("the handle is closed")
        if self._memory is None:
            check_namespace(self._daemons_namespace())
            self._memory = Memory(self.shmid, self.readonly)
        return self._memory.view

    def _detach(self) -> None:
        """BufferError while there are views; then nothing has changed."""
        if self._memory is not None:
            self._memory.detach()
            self._memory = None
        self._is_closed = True

    def _abandon(self) -> None:
        """The memory goes with the last view. For a block that raised: the traceback has its variables,
        and the views among them."""
        if self._memory is not None:
            self._memory.abandon()
            self._memory = None
        self._is_closed = True

    def _is_to_be_published(self) -> bool:
        return self._removes_if_unready and self.state == "initialising"

    def _named(self) -> Mapping[str, Any]:
        """A segment that is not the daemon's has no serial."""
        return {"serial": self.serial} if self.serial else {"shmid": self.shmid}

    def __repr__(self) -> str:
        words = [repr(self.name) if self.name else "unnamed", f"serial={self.serial}", f"shmid={self.shmid}"]
        words.append(f"size={self.size}")
        words.append(f"{self.info.lifetime or 'foreign'}, {self.state}")
        if self._is_closed:
            words.append("closed")
        elif self._memory is not None:
            words.append("attached for reading" if self.readonly else "attached")
        return f"<{type(self).__module__}.{type(self).__qualname__} {' '.join(words)}>"


class Segment(Handle):
    """A segment, from create(), publish(), wait(), attach(), hold() or adopt() of a connection.

    `buf` are its bytes. A `with` block has it attached; its end, or close(), detaches it. That removes
    nothing: what becomes of the segment is a matter of its lifetime, or of remove()."""

    def __init__(self, connection: Connection, found: _calls.Found) -> None:
        super().__init__(found, None)
        self._connection = connection
        if found.is_wanted_at_once:
            _ = self.buf

    def _daemons_namespace(self) -> int:
        return self._connection._ipc_namespace()

    # --- the end

    def close(self) -> None:
        """Detaches the memory, and ends the hold if the handle has one. BufferError while there are
        views of the memory: then nothing has changed. May be called again."""
        self._detach()
        self._let_go()

    def _let_go(self) -> None:
        grip, self._grip = self._grip, None
        if grip is not None:
            self._connection._drop_hold(grip)

    def __enter__(self) -> Segment:
        try:
            _ = self.buf
        except BaseException as error:
            self._give_up()
            raise error
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if error is None:
            if self._is_to_be_published():
                self.ready()
            self.close()
        else:
            self._give_up()

    def _give_up(self) -> None:
        """What went wrong in the block is what its caller must learn, and nothing else."""
        self._abandon()
        try:
            if self._is_to_be_published():
                self.remove()
            self._let_go()
        except Error:
            pass

    # --- requests about it

    def refresh(self) -> SegmentInfo:
        """Asks the daemon; `info` is up to date then."""
        self.info = self._connection.stat(**self._named())
        return self.info

    def ready(self) -> None:
        """It is filled: wait() returns it from now on."""
        self.info = self._connection.ready(**self._named())

    def set(
        self,
        *,
        mode: Optional[int] = None,
        uid: Optional[int] = None,
        gid: Optional[int] = None,
        new_name: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        lifetime: Optional[str] = None,
        ttl: Optional[float] = None,
        idle_ttl: Optional[float] = None,
        locked: Optional[bool] = None,
    ) -> None:
        """Changes it. `labels` replace the old ones; `ttl` and `idle_ttl` count from now on, in seconds;
        0: none any more."""
        self.info = self._connection.set(
            **self._named(),
            mode=mode,
            uid=uid,
            gid=gid,
            new_name=new_name,
            labels=labels,
            lifetime=lifetime,
            ttl=ttl,
            idle_ttl=idle_ttl,
            locked=locked,
        )

    def remove(self, *, only_if_unattached: bool = False) -> None:
        """Removes it: the name is free at once; who has it attached, this handle too, keeps it."""
        self.info = self._connection.remove(**self._named(), only_if_unattached=only_if_unattached or None)

    def hold(self) -> Hold:
        """Holds it from now on, for a `with` block or until release() of what this returns."""
        return Hold(self._connection, self.info)

    def release(self) -> None:
        """This process does not hold it any more, whatever made it a holder."""
        self._connection.release(**self._named())
        self._grip = None

    def disown(self) -> None:
        """Gives it back to its creator alone. Nothing is removed."""
        self.info = self._connection.disown(**self._named())


class Hold:
    """While it is there this process is a holder of the segment, which therefore stays."""

    def __init__(self, connection: Connection, info: SegmentInfo) -> None:
        self._connection = connection
        self._segment = connection.hold(serial=info.serial)

    @property
    def info(self) -> SegmentInfo:
        return self._segment.info

    def release(self) -> None:
        """May be called again."""
        self._segment.close()

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        what = "released" if self._segment.is_closed else "held"
        return f"<shmd.Hold {self.info.name or self.info.serial!r} {what}>"
