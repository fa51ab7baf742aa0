# SPDX-License-Identifier: MIT
"""shmd: named shared memory whose owners, lifetimes, limits and events the daemon shmd keeps.

    import shmd

    with shmd.publish("frames", 4096) as seg:      # nobody finds it before it is filled
        seg.buf[:5] = b"hello"

    with shmd.wait("frames", timeout=10) as seg:   # in any other process
        print(bytes(seg.buf[:5]))

    shmd.remove("frames")

The functions of this module use one connection of the process to the daemon, which they make when they
need it; connect() makes another. No byte of the data goes through it: `buf` is the kernel's shared memory
itself, for slices, numpy.frombuffer(), struct and the like.

Segments: create, publish, wait, attach, hold, adopt give a handle. stat, set, remove, ready, release,
disown and segments need none. events tells what happens, info and metrics what there is. Errors are
shmd.Error, an OSError; shmd.SharedMemory stands in for multiprocessing.shared_memory.SharedMemory;
shmd.aio has the same for asyncio.

Sizes are bytes. Durations that you give are seconds; times that you are told are Unix milliseconds and
end in _ms.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Callable, List, Optional, TypeVar

from ._connection import Connection, Events, default_connection, socket_path
from ._errors import (
    ConnectionLost,
    Error,
    InitialiserDied,
    InternalError,
    InvalidConfiguration,
    InvalidParameter,
    InvalidRequest,
    KeyInUse,
    LimitReached,
    MethodNotFound,
    NoAnswer,
    NoSuchSegment,
    NotHoldable,
    NotSupported,
    ParseError,
    PermissionDenied,
    ProtocolError,
    QuotaExceeded,
    Refused,
    SegmentBusy,
    SegmentExists,
    ShuttingDown,
    SizeMismatch,
    StaleSegment,
    StoreFailure,
    TimedOut,
    Unreachable,
    WrongNamespace,
)
from ._model import Creator, Event, Holder, Info, Kernel, Limit, SegmentInfo, Usage
from ._segment import Hold, Segment
from ._shared_memory import SharedMemory
from ._version import __version__

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    from . import aio as aio

    P = ParamSpec("P")
T = TypeVar("T")

__all__ = [
    "Connection", "ConnectionLost", "Creator", "Error", "Event", "Events", "Hold", "Holder", "Info",
    "InitialiserDied", "InternalError", "InvalidConfiguration", "InvalidParameter", "InvalidRequest",
    "Kernel", "KeyInUse", "Limit", "LimitReached", "MethodNotFound", "NoAnswer", "NoSuchSegment",
    "NotHoldable", "NotSupported", "ParseError", "PermissionDenied", "ProtocolError", "QuotaExceeded",
    "Refused", "Segment", "SegmentBusy", "SegmentExists", "SegmentInfo", "SharedMemory", "ShuttingDown",
    "SizeMismatch", "StaleSegment", "StoreFailure", "TimedOut", "Unreachable", "Usage",
    "WrongNamespace", "__version__",
    "adopt", "attach", "call", "connect", "create", "default_connection", "disown", "events", "hold", "info", "metrics",
    "publish", "ready", "release", "reload", "remove", "segments", "set", "socket_path", "stat", "wait",
]  # fmt: skip


def connect(
    path: Optional[str] = None, *, timeout: Optional[float] = None, reconnect: Optional[float] = None
) -> Connection:
    """A connection of your own. Unlike Connection(), it is made at once: Unreachable tells that there is no
    daemon. The parameters are those of Connection."""
    more = {} if reconnect is None else {"reconnect": reconnect}
    connection = Connection(path, timeout=timeout, **more)
    connection.info()
    return connection


def _on_default(method: Callable[Concatenate[Connection, P], T]) -> Callable[P, T]:
    def function(*args: P.args, **kwargs: P.kwargs) -> T:
        return method(default_connection(), *args, **kwargs)

    signature = inspect.signature(method)
    function.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(signature.parameters.values())[1:]
    )
    function.__name__ = function.__qualname__ = method.__name__
    function.__doc__ = method.__doc__
    return function


create = _on_default(Connection.create)
publish = _on_default(Connection.publish)
wait = _on_default(Connection.wait)
attach = _on_default(Connection.attach)
hold = _on_default(Connection.hold)
adopt = _on_default(Connection.adopt)
stat = _on_default(Connection.stat)
set = _on_default(Connection.set)
remove = _on_default(Connection.remove)
ready = _on_default(Connection.ready)
release = _on_default(Connection.release)
disown = _on_default(Connection.disown)
segments = _on_default(Connection.segments)
info = _on_default(Connection.info)
reload = _on_default(Connection.reload)
metrics = _on_default(Connection.metrics)
call = _on_default(Connection.call)
events = _on_default(Connection.events)

if not TYPE_CHECKING:  # which would take any name for one of the module's

    def __getattr__(name: str) -> object:
        """shmd.aio needs no import of its own, and a program without it does not load asyncio."""
        if name == "aio":
            return importlib.import_module(".aio", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> List[str]:
    return sorted({*__all__, "aio", *(name for name in globals() if name.startswith("__"))})


# What a traceback or the interpreter shows is what a program writes.
for _public in [value for name, value in globals().items() if name in __all__ and isinstance(value, type)]:
    _public.__module__ = __name__
del _public
