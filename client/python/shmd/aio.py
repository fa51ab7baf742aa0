# SPDX-License-Identifier: MIT
"""shmd for asyncio: what waits for the daemon is awaited.

    import shmd.aio

    async with shmd.aio.Connection() as shmd_:
        async with await shmd_.wait("frames", timeout=10) as seg:
            print(bytes(seg.buf[:5]))
        async for event in shmd_.events(kinds=["removed"]):
            print(event.segment)

The calls, their parameters and their results are those of shmd.Connection; that of a handle, too. A task
that is cancelled leaves nothing behind: a `wait` and the events have a connection of their own, which ends
with them. A connection belongs to the event loop that used it first.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Awaitable,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Tuple,
    Type,
    TypeVar,
)

from . import _calls, _model, _parameters
from ._calls import Grip, Held, Lost, Message, Request, Steps, about, lost
from ._connection import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_LINE,
    MOMENT,
    RECONNECT,
    dress,
    may_come_back,
    socket_path,
    told_by,
)
from ._errors import MAY_PASS, Error, NoAnswer, ProtocolError, Refused, ShuttingDown, unreachable
from ._model import Event, SegmentInfo
from ._segment import Handle

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["Connection", "Events", "Hold", "Segment"]


def __dir__() -> List[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


class _Tries:
    """Tries to reach a daemon that was there before, with pauses between them, until the time is over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._pause = FIRST_PAUSE

    async def may_go_on(self) -> bool:
        left = self._end - time.monotonic()
        if left <= 0:
            return False
        await asyncio.sleep(min(self._pause, left))
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return True


class _Stream:
    """Lines to the daemon and from it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.unanswered: Dict[int, Request] = {}
        self.late: List[Tuple[Request, Message]] = []  # given up, and answered then

    @classmethod
    async def open(cls, path: str) -> _Stream:
        # By itself asyncio takes a full queue of those who wait to be accepted for a connection.
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(path)
            return cls(*await asyncio.open_unix_connection(sock=sock, limit=MAX_LINE))
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        self._writer.close()

    def has_ended(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def read_line(self) -> bytes:
        try:
            await self._writer.drain()
        except ConnectionError:
            pass  # what the daemon said before it closed is read first
        try:
            line = await self._reader.readline()
        except ConnectionError:
            line = b""
        except ValueError:
            raise ProtocolError("the daemon's answer does not end") from None
        if not line.endswith(b"\n"):
            raise Lost
        return line


async def _exchange(stream: _Stream, request: Request, request_id: int) -> Any:
    """As that of shmd.Connection."""
    data = request.encode(request_id)
    if request.changes_holders:
        stream.unanswered[request_id] = request
    stream.send(data)
    while True:
        message = Message(await stream.read_line())
        answered = None if message.id is None else stream.unanswered.pop(message.id, None)
        if answered is not None:
            stream.late.append((answered, message))
        if message.id == request_id or (message.id is None and not message.is_event):
            return message.result()


def _awaiting(call: Callable[P, Steps[T]]) -> Callable[Concatenate[Connection, P], Awaitable[T]]:
    async def method(self: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(call(*args, **kwargs))

    dress(method, call, told_by(call))
    return method


def _giving_segment(
    call: Callable[P, Steps[_calls.Found]]
) -> Callable[Concatenate[Connection, P], Awaitable[Segment]]:
    async def method(self: Connection, /, *args: P.args, **kwargs: P.kwargs) -> Segment:
        found = await self._run(call(*args, **kwargs))
        try:
            return Segment(self, found, await self._ipc_namespace())
        except BaseException:
            if found.grip is not None:
                found.grip.drop_later()
            raise

    dress(method, call, "Segment")
    return method


class Connection:
    """A connection to the daemon for one event loop. The parameters and all calls are those of
    shmd.Connection; here they are awaited."""

    def __init__(
        self, path: Optional[str] = None, *, timeout: Optional[float] = None, reconnect: float = RECONNECT
    ) -> None:
        self.path = path or socket_path()
        self.timeout = _parameters.timeout("timeout", timeout, "no limit")
        self.reconnect = _parameters.patience("reconnect", reconnect)
        self._holds = _calls.Holds()
        self._lock = asyncio.Lock()
        self._stream: Optional[_Stream] = None
        self._last_id = 0
        self._namespace: Optional[int] = None
        self._has_served = False
        self._pid = os.getpid()
        self._late_drops: List[Tuple[Held, int]] = []

    # --- one request

    async def _in_time(self, what: Awaitable[T], timeout: Optional[float]) -> T:
        try:
            return await asyncio.wait_for(what, timeout)
        except Error:
            raise  # TimedOut, too, is a TimeoutError
        except asyncio.TimeoutError:
            raise NoAnswer("the daemon does not answer in time") from None

    async def _open(self) -> _Stream:
        """A daemon that was there before may be about to start again."""
        tries = _Tries(self.reconnect if self._has_served else 0.0)
        while True:
            try:
                stream = await _Stream.open(self.path)
            except OSError as error:
                if not may_come_back(error) or not await tries.may_go_on():
                    raise unreachable(self.path, error) from None
            else:
                self._has_served = True
                return stream

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        self._namespace = None
        if stream is not None:
            stream.close()

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise RuntimeError("this connection is the parent's: make one after fork()")

    async def _live_stream(self) -> _Stream:
        if self._stream is not None and not self._stream.has_ended():
            await self._settle(self._stream)
            if not self._stream.unanswered:
                return self._stream
        self._drop_stream()
        stream = await self._open()
        try:
            await self._hold_again(stream)
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        return stream

    async def _hold_again(self, stream: _Stream) -> None:
        """As that of shmd.Connection."""
        for serial, request in self._holds.requests():
            try:
                await self._ask(stream, request)
            except ShuttingDown:
                raise
            except MAY_PASS:
                pass
            except Refused:
                self._holds.forget(serial)
        stream.late.clear()

    async def _settle(self, stream: _Stream) -> None:
        """As that of shmd.Connection."""
        if stream.unanswered:
            try:
                await self._ask(stream, Request("info"))
            except (Lost, Refused):
                return
        while stream.late:
            request, message = stream.late.pop(0)
            try:
                serial = self._holds.note_late(request, message.result())
            except Refused:
                continue
            if serial is not None:
                stream.send(Request("release", {"serial": serial}).encode(None))
                self._holds.forget(serial)

    async def _give_up(self, stream: Optional[_Stream]) -> None:
        """As that of shmd.Connection, of a task that is cancelled."""
        if stream is None or not (stream.unanswered or stream.late):
            return
        try:
            await asyncio.wait_for(self._settle(stream), MOMENT)
        except (Error, Lost, OSError, asyncio.TimeoutError):
            pass

    async def _ask(self, stream: _Stream, request: Request) -> Any:
        self._last_id += 1
        with about(request):
            return await self._in_time(_exchange(stream, request, self._last_id), self.timeout)

    async def _request(self, request: Request) -> Any:
        """The result, from this daemon or from the next one."""
        self._check_process()
        tries = _Tries(self.reconnect)
        async with self._lock:
            while True:
                try:
                    stream = await self._live_stream()
                    self._drop_late_ones(stream)
                    result = await self._ask(stream, request)
                    self._holds.note(request, result)
                    self._take_grip(request, result)
                    stream.late.clear()
                    return result
                except ShuttingDown:
                    self._drop_stream()
                    if not await tries.may_go_on():
                        raise
                except Lost:
                    self._drop_stream()
                    if not request.is_repeatable or not await tries.may_go_on():
                        raise lost(request) from None
                except ProtocolError:
                    self._drop_stream()
                    raise
                except asyncio.CancelledError:
                    await self._give_up(self._stream)
                    raise

    async def _wait(self, request: Request) -> Any:
        """On a connection of its own, which its caller may give up at any time."""
        self._check_process()
        tries = _Tries(self.reconnect)
        while True:
            stream = await self._open()
            try:
                result = await self._wait_on(stream, request)
                if request.params.get("hold"):
                    await self._take_over_hold(request, result)
                return result
            except ShuttingDown:
                if not await tries.may_go_on():
                    raise
            except Lost:
                if not await tries.may_go_on():
                    raise lost(request) from None
            except (NoAnswer, asyncio.CancelledError):
                await self._give_up(stream)
                raise
            finally:
                stream.close()

    async def _wait_on(self, stream: _Stream, request: Request) -> Any:
        limit = None
        if self.timeout is not None and request.until is not None:
            limit = max(0.0, request.until - time.monotonic()) + self.timeout
        self._last_id += 1
        with about(request):
            return await self._in_time(_exchange(stream, request, self._last_id), limit)

    async def _take_over_hold(self, request: Request, result: Any) -> None:
        """As that of shmd.Connection."""
        info = _model.result_segment(result)
        if info.lifetime == "connection":
            own = Request("hold", {"serial": info.serial}, is_for_handle=request.is_for_handle)
            await self._request(own)
            request.grip = own.grip
        else:
            self._take_grip(request, result)

    async def _run(self, steps: Steps[T]) -> T:
        request: Optional[Request] = None
        try:
            try:
                request = next(steps)
                while True:
                    try:
                        result = await (self._wait(request) if request.is_wait else self._request(request))
                    except Error as error:
                        request = steps.throw(error)
                    else:
                        request = steps.send(result)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
        except BaseException:
            # Its frames stay as long as the exception does.
            if request is not None and request.grip is not None:
                request.grip.drop_later()
            raise

    # --- holds

    def _take_grip(self, request: Request, result: Any) -> None:
        if request.is_for_handle:
            info = _model.result_segment(result)
            request.grip = Grip(self._holds, self._drop_hold_later, info) if _calls.has_holders(info) else None

    async def _drop_hold(self, grip: Grip) -> None:
        serial = grip.drop(self._holds)
        if serial is not None:
            try:
                await self._run(_calls.release(serial=serial))
            except Refused:
                self._holds.forget(serial)
        grip.is_dropped()

    def _drop_hold_later(self, held: Held, grip: int) -> None:
        self._late_drops.append((held, grip))

    def _drop_late_ones(self, stream: _Stream) -> None:
        while self._late_drops:
            held, grip = self._late_drops.pop(0)
            if self._holds.drop(held, grip):
                stream.send(Request("release", {"serial": held.serial}).encode(None))
                self._holds.forget(held.serial)

    async def _ipc_namespace(self) -> int:
        if self._namespace is None:
            self._namespace = (await self.info()).ipc_namespace
        return self._namespace

    # --- what is public

    async def close(self) -> None:
        """Segments of lifetime connection lose this holder. A later call connects again."""
        async with self._lock:
            self._drop_stream()
            self._holds = _calls.Holds()
            self._has_served = False

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "connected" if self._stream is not None else "not connected"
        return f"<shmd.aio.Connection {self.path!r} {state}>"

    create = _giving_segment(_calls.create)
    publish = _giving_segment(_calls.publish)
    wait = _giving_segment(_calls.wait)
    attach = _giving_segment(_calls.attach)
    hold = _giving_segment(_calls.hold)
    adopt = _giving_segment(_calls.adopt)
    stat = _awaiting(_calls.stat)
    set = _awaiting(_calls.set_)
    remove = _awaiting(_calls.remove)
    ready = _awaiting(_calls.ready)
    release = _awaiting(_calls.release)
    disown = _awaiting(_calls.disown)
    segments = _awaiting(_calls.segments)
    info = _awaiting(_calls.info)
    reload = _awaiting(_calls.reload)
    metrics = _awaiting(_calls.metrics)
    call = _awaiting(_calls.call)

    def events(
        self,
        prefix: Optional[str] = None,
        kinds: Optional[Iterable[str]] = None,
        *,
        after: Optional[int] = None,
    ) -> Events:
        """For `async for`: as shmd.Connection.events(). It subscribes when the first event is awaited, or
        with `async with`."""
        return Events(self, prefix, kinds, after)


class Segment(Handle):
    """A segment, as shmd.Segment: what asks the daemon is awaited, and the block is `async with`."""

    def __init__(self, connection: Connection, found: _calls.Found, namespace: int) -> None:
        super().__init__(found, namespace)
        self._connection = connection
        if found.is_wanted_at_once:
            _ = self.buf

    async def close(self) -> None:
        """As shmd.Segment.close()."""
        self._detach()
        await self._let_go()

    async def _let_go(self) -> None:
        grip, self._grip = self._grip, None
        if grip is not None:
            await self._connection._drop_hold(grip)

    async def __aenter__(self) -> Segment:
        try:
            _ = self.buf
        except BaseException as error:
            await self._give_up()
            raise error
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if error is None:
            if self._is_to_be_published():
                await self.ready()
            await self.close()
        else:
            await self._give_up()

    async def _give_up(self) -> None:
        self._abandon()
        try:
            if self._is_to_be_published():
                await self.remove()
            await self._let_go()
        except Error:
            pass

    async def refresh(self) -> SegmentInfo:
        """Asks the daemon; `info` is up to date then."""
        self.info = await self._connection.stat(**self._named())
        return self.info

    async def ready(self) -> None:
        """It is filled: wait() returns it from now on."""
        self.info = await self._connection.ready(**self._named())

    async def set(
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
        """As shmd.Segment.set()."""
        self.info = await self._connection.set(
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

    async def remove(self, *, only_if_unattached: bool = False) -> None:
        """As shmd.Segment.remove()."""
        self.info = await self._connection.remove(
            **self._named(), only_if_unattached=only_if_unattached or None
        )

    def hold(self) -> Hold:
        """For `async with`: it is held within the block."""
        return Hold(self._connection, self.info)

    async def release(self) -> None:
        """This process does not hold it any more, whatever made it a holder."""
        await self._connection.release(**self._named())
        self._grip = None

    async def disown(self) -> None:
        """Gives it back to its creator alone. Nothing is removed."""
        self.info = await self._connection.disown(**self._named())


class Hold:
    """Within its `async with` block this process is a holder of the segment, which therefore stays."""

    def __init__(self, connection: Connection, info: SegmentInfo) -> None:
        self._connection = connection
        self.info = info
        self._segment: Optional[Segment] = None

    async def __aenter__(self) -> Hold:
        self._segment = await self._connection.hold(serial=self.info.serial)
        self.info = self._segment.info
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self._segment is not None:
            await self._segment.close()


class Events:
    """An asynchronous iterator over events that does not end, as shmd.Events. A task that is cancelled
    while it waits loses no event."""

    def __init__(
        self, connection: Connection, prefix: Optional[str], kinds: Optional[Iterable[str]], after: Optional[int]
    ) -> None:
        self.after: Optional[int] = after
        """The serial of the last event: to go on from there later."""
        self._connection = connection
        self._prefix = prefix
        self._kinds = _parameters.words("kinds", kinds)
        self._stream: Optional[_Stream] = None
        self._is_closed = False

    async def _subscribe(self) -> _Stream:
        self._connection._check_process()
        stream = await self._connection._open()
        try:
            steps = _calls.subscribe(self._prefix, self._kinds, self.after)
            exchange = _exchange(stream, next(steps), 1)
            result = await self._connection._in_time(exchange, self._connection.timeout)
            try:
                steps.send(result)
            except StopIteration as stop:
                if self.after is None:
                    self.after = stop.value
        except BaseException:
            stream.close()
            raise
        return stream

    async def _live_stream(self) -> _Stream:
        tries = _Tries(self._connection.reconnect)
        while self._stream is None:
            try:
                self._stream = await self._subscribe()
            except (Lost, ShuttingDown):
                if not await tries.may_go_on():
                    raise lost(Request("subscribe")) from None
        return self._stream

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        while not self._is_closed:
            stream = await self._live_stream()
            try:
                message = Message(await stream.read_line())
            except Lost:
                self._drop_stream()
                continue
            if message.is_event:
                event = _model.event(message.params)
                if event.event_serial is not None:
                    self.after = event.event_serial
                return event
        raise StopAsyncIteration

    async def close(self) -> None:
        """Ends the subscription. May be called again."""
        self._is_closed = True
        self._drop_stream()

    async def __aenter__(self) -> Events:
        await self._live_stream()
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<shmd.aio.Events after={self.after}{' closed' if self._is_closed else ''}>"
