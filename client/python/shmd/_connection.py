# SPDX-License-Identifier: MIT
"""The blocking connection to the daemon.

One request at a time goes out, whichever thread asks. A `wait` and a subscription have a connection of
their own each, so that they hold nothing up, and end in the daemon when their caller ends them.

A connection that was lost is made anew before the next request, and what was held is held again. In
a child made by fork() it is one of the child's own, for the daemon knows processes by their connections.
"""

from __future__ import annotations

import errno
import functools
import inspect
import os
import select
import socket
import stat
import threading
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Type, TypeVar

from . import _calls, _memory, _model, _parameters
from ._calls import Grip, Held, Lost, Message, Request, Steps, about, lost
from ._errors import MAY_PASS, SYSTEM_SOCKET, Error, NoAnswer, ProtocolError, Refused, ShuttingDown, unreachable
from ._model import Event
from ._segment import Segment

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")
T = TypeVar("T")

FIRST_USER_UID = 1000

MAX_LINE = 64 * 1024 * 1024  # more without an end is not our daemon's
_FIRST_FREE_FD = 3  # behind the standard streams

RECONNECT = 10.0
MOMENT = 0.2  # what is given up may be answered just then: the answer is waited for so long
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
_LONGEST_POLL_MS = 3600 * 1000.0  # poll() takes no more than an int; what is longer polls again


def socket_path() -> str:
    """Where the daemon is: $SHMD_SOCKET; else, for uids from 1000 on, $XDG_RUNTIME_DIR/shmd/shmd.sock if
    there is such a socket; else /run/shmd/shmd.sock."""
    given = os.environ.get("SHMD_SOCKET")
    if given:
        return given
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.geteuid() >= FIRST_USER_UID:
        own = f"{runtime}/shmd/shmd.sock"
        try:
            if stat.S_ISSOCK(os.stat(own).st_mode):
                return own
        except OSError:
            pass
    return SYSTEM_SOCKET


def pauses(seconds: float) -> Iterator[float]:
    """How long to sleep between tries to find a daemon that was there before, until `seconds` are over."""
    end, pause = time.monotonic() + seconds, FIRST_PAUSE
    while time.monotonic() < end:
        yield min(pause, max(0.0, end - time.monotonic()))
        pause = min(pause * 2, LONGEST_PAUSE)


def _may_try_again(tries: Iterator[float]) -> bool:
    """After a pause, unless the time is over."""
    pause = next(tries, None)
    if pause is not None:
        time.sleep(pause)
    return pause is not None


def may_come_back(error: OSError) -> bool:
    """What connecting says while a daemon starts again."""
    return error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN)


class Stream:
    """The bytes to the daemon and from it, cut into lines.

    A signal that raises, as Ctrl-C does, may end a call anywhere. While bytes are between the kernel and
    here `is_torn` is set: a stream that is left so is of no use any more."""

    def __init__(self, path: str) -> None:
        self.unanswered: Dict[int, Request] = {}
        self.late: List[Tuple[Request, Message]] = []  # given up, and answered then
        self._input = bytearray()
        self._searched = 0
        self.is_torn = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._keep_off_standard_streams()
            self._socket.connect(path)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def _keep_off_standard_streams(self) -> None:
        """In the place of a standard stream that is closed, what is printed would reach the daemon."""
        if self._socket.fileno() < _FIRST_FREE_FD:
            low, self._socket = self._socket, self._socket.dup()
            self._keep_off_standard_streams()
            low.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def _poll(self, events: int, end: Optional[float]) -> int:
        poll = select.poll()
        poll.register(self._socket, events)
        while True:
            left = None if end is None else min(max(0.0, (end - time.monotonic()) * 1000), _LONGEST_POLL_MS)
            found = poll.poll(left)
            if found:
                return found[0][1]
            if end is not None and time.monotonic() >= end:
                raise NoAnswer("the daemon does not answer in time")

    def has_ended(self) -> bool:
        """Whether the daemon has closed it, as far as can be seen without waiting."""
        poll = select.poll()
        poll.register(self._socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    def send(self, data: bytes, end: Optional[float]) -> None:
        left = memoryview(data)
        self.is_torn = True
        while left:
            try:
                left = left[self._socket.send(left, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                self._poll(select.POLLOUT, end)
            except (BrokenPipeError, ConnectionResetError):
                # The daemon may have said why before it closed: that is read first.
                break
        self.is_torn = False

    def next_line(self, end: Optional[float]) -> bytes:
        """The next line, until drop_line(). Lost at the end of the stream."""
        while True:
            at = self._input.find(b"\n", self._searched)
            if at >= 0:
                self._searched = at
                return bytes(self._input[:at])
            self._searched = len(self._input)
            if self._searched > MAX_LINE:
                raise ProtocolError("the daemon's answer does not end")
            self._poll(select.POLLIN, end)
            self._receive()

    def drop_line(self) -> None:
        self.is_torn = True
        del self._input[: self._searched + 1]
        self._searched = 0
        self.is_torn = False

    def read_line(self, end: Optional[float]) -> bytes:
        line = self.next_line(end)
        self.drop_line()
        return line

    def _receive(self) -> None:
        self.is_torn = True
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            data = None
        except ConnectionResetError:
            data = b""
        if data == b"":
            raise Lost
        if data:
            self._input += data
        self.is_torn = False


def _exchange(stream: Stream, request: Request, request_id: int, end: Optional[float]) -> Any:
    """The result. Answers that may have made this process a holder are put aside: those to requests that
    were given up earlier, and this one, until the caller has noted it."""
    data = request.encode(request_id)
    if request.changes_holders:
        stream.unanswered[request_id] = request
    stream.send(data, end)
    while True:
        message = Message(stream.next_line(end))
        if message.id is not None and message.id in stream.unanswered:
            stream.late.append((stream.unanswered[message.id], message))
            del stream.unanswered[message.id]
        stream.drop_line()
        # An error that the daemon could not refer to a request has the id null: it is of this one.
        if message.id == request_id or (message.id is None and not message.is_event):
            return message.result()


# --- calls become methods


def dress(method: Callable[..., Any], call: Callable[..., Any], result: str) -> None:
    """What help() and editors show of a method: the parameters of its call."""
    functools.update_wrapper(method, call)
    signature = inspect.signature(call)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [own, *signature.parameters.values()]
    method.__name__ = method.__qualname__ = call.__name__.rstrip("_")
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=result
    )


def told_by(call: Callable[..., Any]) -> str:
    """Steps[T] -> T, as text."""
    text = str(call.__annotations__["return"])
    return text[len("Steps[") : -1]


def _blocking(call: Callable[P, Steps[T]]) -> Callable[Concatenate[Connection, P], T]:
    def method(self: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(call(*args, **kwargs))

    dress(method, call, told_by(call))
    return method


def _giving_segment(call: Callable[P, Steps[_calls.Found]]) -> Callable[Concatenate[Connection, P], Segment]:
    def method(self: Connection, /, *args: P.args, **kwargs: P.kwargs) -> Segment:
        return Segment(self, self._run(call(*args, **kwargs)))

    dress(method, call, "Segment")
    return method


class Connection:
    """A connection to the daemon, for one or several threads. It is made with the first call, and made
    anew when it was lost, as by a restart of the daemon.

    `path`: the daemon's socket; None: socket_path(). `timeout`: for how many seconds the daemon may keep
    a call waiting that has nothing to wait for, then NoAnswer; None: no limit. `reconnect`: for how many
    seconds a call tries to find a daemon that was there before. A call that only looks is then asked
    again. One that changes something and has lost its answer is not: it raises ConnectionLost."""

    def __init__(
        self, path: Optional[str] = None, *, timeout: Optional[float] = None, reconnect: float = RECONNECT
    ) -> None:
        self.path = path or socket_path()
        self.timeout = _parameters.timeout("timeout", timeout, "no limit")
        self.reconnect = _parameters.patience("reconnect", reconnect)
        self._holds = _calls.Holds()
        self._begin()
        self._has_served = False
        _connections.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._stream: Optional[Stream] = None
        self._last_id = 0
        self._namespace: Optional[int] = None
        self._late_drops: List[Tuple[Held, int]] = []

    def _after_fork(self) -> None:
        """In the child. What the parent holds is the parent's."""
        if self._stream is not None:
            self._stream.close()
        self._holds = _calls.Holds()
        self._begin()

    # --- one request

    def _end(self) -> Optional[float]:
        return None if self.timeout is None else time.monotonic() + self.timeout

    def _open(self) -> Stream:
        """A daemon that was there before may be about to start again."""
        last: Optional[OSError] = None
        for pause in pauses(self.reconnect if self._has_served else 0.0):
            try:
                return Stream(self.path)
            except OSError as error:
                if not may_come_back(error):
                    raise unreachable(self.path, error) from None
                last = error
            time.sleep(pause)
        try:
            return Stream(self.path)
        except OSError as error:
            raise unreachable(self.path, last or error) from None

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        self._namespace = None
        if stream is not None:
            stream.close()

    def _live_stream(self) -> Stream:
        if self._stream is not None and not self._stream.is_torn and not self._stream.has_ended():
            self._settle(self._stream, self._end())
            if not self._stream.unanswered:
                return self._stream
        self._drop_stream()
        stream = self._open()
        try:
            self._hold_again(stream)
        except BaseException:
            stream.close()
            raise
        self._has_served = True
        self._stream = stream
        return stream

    def _settle(self, stream: Stream, end: Optional[float]) -> None:
        """What was given up may have made this process a holder that nobody here knows of. The daemon
        answers one after the other, so that all is known when it has answered another request. What is
        not was read by a call that was interrupted then, and a new connection is the end of it."""
        if stream.unanswered:
            self._last_id += 1
            try:
                _exchange(stream, Request("info"), self._last_id, end)
            except (Lost, Refused):
                return
        while stream.late:
            request, message = stream.late[0]
            try:
                serial = self._holds.note_late(request, message.result())
            except Refused:
                serial = None
            if serial is not None:
                stream.send(Request("release", {"serial": serial}).encode(None), end)
                self._holds.forget(serial)
            del stream.late[0]

    def _give_up(self, stream: Optional[Stream]) -> None:
        """A signal ends a call: what that made this process hold is released at once, if the daemon has
        answered by now. Else the next request does that."""
        if stream is None or stream.is_torn or not (stream.unanswered or stream.late):
            return
        try:
            self._settle(stream, time.monotonic() + MOMENT)
        except (Error, Lost, OSError):
            pass

    def _hold_again(self, stream: Stream) -> None:
        for serial, request in self._holds.requests():
            try:
                self._ask(stream, request)
            except ShuttingDown:
                raise  # the next daemon is asked
            except MAY_PASS:
                pass  # the next connection asks again
            except Refused:
                self._holds.forget(serial)
        stream.late.clear()

    def _ask(self, stream: Stream, request: Request) -> Any:
        self._last_id += 1
        with about(request):
            return _exchange(stream, request, self._last_id, self._end())

    def _request(self, request: Request) -> Any:
        """The result, from this daemon or from the next one."""
        tries = pauses(self.reconnect)
        with self._lock:
            while True:
                try:
                    stream = self._live_stream()
                    self._drop_late_ones(stream)
                    result = self._ask(stream, request)
                    self._holds.note(request, result)
                    self._take_grip(request, result)
                    stream.late.clear()
                    return result
                except ShuttingDown:
                    # Nothing was done, so the next daemon can be asked.
                    self._drop_stream()
                    if not _may_try_again(tries):
                        raise
                except Lost:
                    self._drop_stream()
                    if not request.is_repeatable or not _may_try_again(tries):
                        raise lost(request) from None
                except ProtocolError:
                    self._drop_stream()
                    raise
                except Error:
                    raise
                except BaseException:
                    self._give_up(self._stream)
                    raise

    def _wait(self, request: Request) -> Any:
        """On a connection of its own, which its caller may give up at any time."""
        tries = pauses(self.reconnect)
        while True:
            stream = self._open()
            self._has_served = True
            try:
                result = self._wait_on(stream, request)
                if request.params.get("hold"):
                    self._take_over_hold(request, result)
                return result
            except ShuttingDown:
                if not _may_try_again(tries):
                    raise
            except Lost:
                if not _may_try_again(tries):
                    raise lost(request) from None
            except (Refused, ProtocolError):
                raise
            except BaseException:
                self._give_up(stream)
                raise
            finally:
                stream.close()

    def _wait_on(self, stream: Stream, request: Request) -> Any:
        end = None
        if self.timeout is not None and request.until is not None:
            end = request.until + self.timeout
        self._last_id += 1
        with about(request):
            return _exchange(stream, request, self._last_id, end)

    def _take_over_hold(self, request: Request, result: Any) -> None:
        """What the wait's own connection holds is held through this one before that one closes."""
        info = _model.result_segment(result)
        if info.lifetime == "connection":
            own = Request("hold", {"serial": info.serial}, is_for_handle=request.is_for_handle)
            self._request(own)
            request.grip = own.grip
        else:
            self._take_grip(request, result)

    def _run(self, steps: Steps[T]) -> T:
        request: Optional[Request] = None
        try:
            try:
                request = next(steps)
                while True:
                    try:
                        result = self._wait(request) if request.is_wait else self._request(request)
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

    def _drop_hold(self, grip: Grip) -> None:
        """A handle does not hold it any more. One that is gone need not be released."""
        with self._lock:
            serial = grip.drop(self._holds)
        if serial is not None:
            try:
                self._run(_calls.release(serial=serial))
            except Refused:
                self._holds.forget(serial)
        grip.is_dropped()

    def _drop_hold_later(self, held: Held, grip: int) -> None:
        self._late_drops.append((held, grip))

    def _drop_late_ones(self, stream: Stream) -> None:
        while self._late_drops:
            held, grip = self._late_drops[0]
            if self._holds.drop(held, grip):
                stream.send(Request("release", {"serial": held.serial}).encode(None), self._end())
                self._holds.forget(held.serial)
            del self._late_drops[0]

    def _ipc_namespace(self) -> int:
        """The daemon's, asked for once."""
        if self._namespace is None:
            self._namespace = self.info().ipc_namespace
        return self._namespace

    # --- what is public

    def close(self) -> None:
        """Segments of lifetime connection lose this holder. A later call connects again."""
        with self._lock:
            self._drop_stream()
            self._holds = _calls.Holds()
            self._has_served = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "connected" if self._stream is not None else "not connected"
        return f"<shmd.Connection {self.path!r} {state}>"

    create = _giving_segment(_calls.create)
    publish = _giving_segment(_calls.publish)
    wait = _giving_segment(_calls.wait)
    attach = _giving_segment(_calls.attach)
    hold = _giving_segment(_calls.hold)
    adopt = _giving_segment(_calls.adopt)
    stat = _blocking(_calls.stat)
    set = _blocking(_calls.set_)
    remove = _blocking(_calls.remove)
    ready = _blocking(_calls.ready)
    release = _blocking(_calls.release)
    disown = _blocking(_calls.disown)
    segments = _blocking(_calls.segments)
    info = _blocking(_calls.info)
    reload = _blocking(_calls.reload)
    metrics = _blocking(_calls.metrics)
    call = _blocking(_calls.call)

    def events(
        self,
        prefix: Optional[str] = None,
        kinds: Optional[Iterable[str]] = None,
        *,
        after: Optional[int] = None,
    ) -> Events:
        """What happens to segments, from now on or from behind the event `after` on. `prefix`: of their
        names. `kinds`: created, ready, changed, attached, detached, removed, adopted; None: all."""
        return Events(self, prefix, kinds, after)


class Events:
    """An iterator over events that does not end, on a connection of its own. When that is lost it
    subscribes again and goes on behind the last event that it gave out; if the daemon does not have all
    that came since, there is an event of the kind gap."""

    def __init__(
        self, connection: Connection, prefix: Optional[str], kinds: Optional[Iterable[str]], after: Optional[int]
    ) -> None:
        self.after: Optional[int] = after
        """The serial of the last event: to go on from there later."""
        self._connection = connection
        self._prefix = prefix
        self._kinds = _parameters.words("kinds", kinds)
        self._stream: Optional[Stream] = None
        self._pid = os.getpid()
        self._is_closed = False
        self._live_stream()

    def _subscribe(self) -> Stream:
        stream = self._connection._open()
        try:
            steps = _calls.subscribe(self._prefix, self._kinds, self.after)
            result = _exchange(stream, next(steps), 1, self._connection._end())
            try:
                steps.send(result)
            except StopIteration as stop:
                if self.after is None:
                    self.after = stop.value
        except BaseException:
            stream.close()
            raise
        self._connection._has_served = True
        return stream

    def _live_stream(self) -> Stream:
        if self._stream is not None and (self._stream.is_torn or self._pid != os.getpid()):
            self._drop_stream()
        tries = pauses(self._connection.reconnect)
        while self._stream is None:
            try:
                self._stream = self._subscribe()
            except (Lost, ShuttingDown):
                if not _may_try_again(tries):
                    raise lost(Request("subscribe")) from None
        return self._stream

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        self._pid = os.getpid()
        if stream is not None:
            stream.close()

    def get(self, timeout: Optional[float] = None) -> Event:
        """The next event. `timeout`, in seconds: then TimeoutError; 0 only looks."""
        seconds = _parameters.timeout("timeout", timeout, "it waits for ever; 0 only looks")
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            if self._is_closed:
                raise ValueError("the events are closed")
            stream = self._live_stream()
            try:
                message = Message(stream.read_line(end))
            except Lost:
                self._drop_stream()
                continue
            except NoAnswer:
                raise TimeoutError(errno.ETIMEDOUT, "no event in time") from None
            if message.is_event:
                event = _model.event(message.params)
                if event.event_serial is not None:
                    self.after = event.event_serial
                return event

    def close(self) -> None:
        """Ends the subscription. May be called again."""
        self._is_closed = True
        self._drop_stream()

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        if self._is_closed:
            raise StopIteration
        return self.get()

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<shmd.Events after={self.after}{' closed' if self._is_closed else ''}>"


# --- fork

_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


def _after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    for connection in list(_connections):
        connection._after_fork()


os.register_at_fork(after_in_child=_after_fork)


# --- the connection of this process

_default: Optional[Connection] = None
_default_lock = threading.Lock()


def default_connection() -> Connection:
    """The one that the functions of the package use. It goes to another daemon once SHMD_SOCKET does."""
    global _default
    path = socket_path()
    with _default_lock:
        if _default is None or _default.path != path:
            _default = Connection(path)
        return _default
