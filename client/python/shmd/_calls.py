# SPDX-License-Identifier: MIT
"""What each call asks and what the answers mean, without a socket: shared by the blocking connection and
the one for asyncio.

A call is a generator. It yields requests, is sent their results, or has the refusal thrown into it, and
returns what the caller gets. Options that are None are not sent: the daemon has the defaults.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from dataclasses import dataclass, field
from typing import (
    Any,
    Callable,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Set,
    Tuple,
    TypeVar,
    Union,
)

from . import _memory, _model, _parameters
from ._errors import ConnectionLost, Error, PermissionDenied, ProtocolError, Refused, refusal
from ._model import Info, SegmentInfo

T = TypeVar("T")

MAX_LIST = 1000  # segments in a page

# To ask them again changes nothing, so they are asked again when the answer was lost with its connection.
_REPEATABLE = frozenset(("info", "stat", "list", "wait", "metrics", "subscribe", "hold", "ready"))


# Whoever gives one of these up may be a holder, or none any more, once it is done.
_CHANGING_HOLDERS = frozenset(("create", "hold", "adopt", "set", "release", "remove", "disown"))


@dataclass
class Request:
    method: str
    params: Dict[str, Any] = field(default_factory=dict)
    until: Optional[float] = None  # of time.monotonic(): a `wait` ends then
    is_for_handle: bool = False  # who is a holder then is so until the handle is closed
    grip: Optional[Grip] = None  # that hold, once there is one

    @property
    def is_wait(self) -> bool:
        return self.method == "wait"

    @property
    def is_repeatable(self) -> bool:
        return self.method in _REPEATABLE

    @property
    def changes_holders(self) -> bool:
        return self.method in _CHANGING_HOLDERS or (self.is_wait and bool(self.params.get("hold")))

    @property
    def segment(self) -> Optional[str]:
        """Which segment it is about, for people; None: it is about none, or none that has a name yet."""
        name, shmid, key = (self.params.get(word) for word in ("name", "shmid", "key"))
        if shmid is not None:
            return f"shmid {shmid}"  # the name beside it, of `adopt`, is the one that it is to get
        if key and (name is None or self.method == "adopt"):
            return f"key 0x{key & 0xFFFFFFFF:08x}"
        if name is not None:
            return str(name)
        return f"serial {self.params['serial']}" if "serial" in self.params else None

    def encode(self, request_id: Optional[int]) -> bytes:
        """One line. Without an id nobody answers."""
        params = dict(self.params)
        if self.until is not None:
            params["timeout_ms"] = _parameters.whole_milliseconds(max(0.0, self.until - time.monotonic()))
        message: Dict[str, Any] = {"jsonrpc": "2.0", "method": self.method, "params": params}
        if request_id is not None:
            message["id"] = request_id
        return _parameters.encode(message) + b"\n"


Steps = Generator[Request, Any, T]


class Lost(Exception):
    """The stream ended before the answer: for within the package."""


def lost(request: Request) -> ConnectionLost:
    return ConnectionLost(
        f"the connection to the daemon was lost before it answered: `{request.method}` may have been done",
        segment=request.segment,
    )


@contextlib.contextmanager
def about(request: Request) -> Iterator[None]:
    """What fails in the block names the segment that `request` is about."""
    try:
        yield
    except Error as error:
        error.segment = error.segment or request.segment
        raise


class Message:
    """A line from the daemon."""

    def __init__(self, line: bytes) -> None:
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ProtocolError("the answer is not one of shmd's protocol: a line is no JSON object")
        self._value: Dict[str, Any] = value
        self.is_event = "id" not in value and value.get("method") == "event"
        self.id = value.get("id")

    @property
    def params(self) -> Any:
        return self._value.get("params")

    def result(self) -> Any:
        """Raises the refusal if it is one."""
        if isinstance(self._value.get("error"), dict):
            raise refusal(self._value["error"])
        if "result" not in self._value:
            raise ProtocolError("the answer is not one of shmd's protocol: it has no result")
        return self._value["result"]


# --- parameters


def _given(**params: Any) -> Dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _target(
    name: Optional[str], shmid: Optional[int], key: Optional[int], serial: Optional[int]
) -> Dict[str, Any]:
    if sum(value is not None for value in (name, shmid, key)) > 1:
        raise TypeError("name a segment by one of name, shmid and key; serial alone, or beside it as a guard")
    target = _given(name=name, shmid=shmid, key=key, serial=serial)
    if not target:
        raise TypeError("which segment: name, shmid, key or serial")
    return target


# --- whose segment is it?


def _trusted(request: Request, owner: Union[int, str, None], any_owner: bool) -> Steps[SegmentInfo]:
    """A name can be taken by anybody, so a segment that is looked for by its name must be the caller's,
    root's or the daemon's, or `owner`'s. The daemon takes one owner in a request, so that one is asked
    for first, and the caller then if the segment turns out to be the caller's own."""
    own = os.geteuid()
    if not any_owner:
        request.params["owner"] = own if owner is None else _parameters.uid(owner)
    try:
        return _model.result_segment((yield request))
    except PermissionDenied as refused:
        if any_owner or request.params["owner"] == own or refused.data.get("uid") != own:
            raise
    request.params["owner"] = own
    return _model.result_segment((yield request))


def _is_found_by_name(target: Mapping[str, Any]) -> bool:
    """A shmid and a serial are what they are."""
    return "serial" not in target and "shmid" not in target


# --- calls that make or find a segment


@dataclass(frozen=True)
class Found:
    """A segment for a handle."""

    info: SegmentInfo
    created: bool = False
    grip: Optional[Grip] = None  # the caller asked to hold it, until the handle is closed
    readonly: bool = False
    removes_if_unready: bool = False
    is_wanted_at_once: bool = False  # its memory


def create(
    name: Optional[str] = None,
    size: int = 0,
    *,
    key: Optional[int] = None,
    mode: Optional[int] = None,
    exclusive: Optional[bool] = None,
    replace: Optional[bool] = None,
    ready: Optional[bool] = None,
    lifetime: Optional[str] = None,
    ttl: Optional[float] = None,
    idle_ttl: Optional[float] = None,
    labels: Optional[Mapping[str, str]] = None,
    uid: Optional[int] = None,
    gid: Optional[int] = None,
    huge_page_size: Optional[int] = None,
    noreserve: Optional[bool] = None,
    locked: Optional[bool] = None,
    any_owner: Optional[bool] = None,
    hold: Optional[bool] = None,
) -> Steps[Found]:
    """Makes a segment of `size` bytes, all zero, or gives the existing one of that name or key if it is
    large enough and the caller's, root's or the daemon's; `created` of the handle tells which.

    `exclusive`: an existing one is SegmentExists. `replace`: a new one takes the name from the existing
    one. `ready=False`: nobody's wait() returns it before ready(). `mode`: permissions, as 0o640 (0o600
    if not given). `lifetime`: "persistent" (the default), "process", "connection" or "attached".
    `ttl`: it goes after so many seconds; `idle_ttl`: after so many seconds in which nobody has it
    attached; a restart of the daemon changes neither. `any_owner`: an existing one is welcome whoever
    owns it. `hold=False`: do not become a holder of an existing one."""
    params = _given(
        name=name,
        size=size,
        key=key,
        mode=_parameters.octal(mode),
        exclusive=exclusive,
        replace=replace,
        ready=ready,
        lifetime=lifetime,
        ttl_ms=_parameters.milliseconds("ttl", ttl),
        idle_ttl_ms=_parameters.milliseconds("idle_ttl", idle_ttl),
        labels=_parameters.labels(labels),
        uid=uid,
        gid=gid,
        huge_page_size=huge_page_size,
        noreserve=noreserve,
        locked=locked,
        any_owner=any_owner,
        hold=hold,
    )
    result = yield Request("create", params)
    return Found(_model.result_segment(result), _model.result_created(result))


def publish(
    name: str,
    size: int,
    *,
    replace: bool = True,
    mode: Optional[int] = None,
    lifetime: Optional[str] = None,
    ttl: Optional[float] = None,
    idle_ttl: Optional[float] = None,
    labels: Optional[Mapping[str, str]] = None,
    uid: Optional[int] = None,
    gid: Optional[int] = None,
    huge_page_size: Optional[int] = None,
    noreserve: Optional[bool] = None,
    locked: Optional[bool] = None,
) -> Steps[Found]:
    """A new segment for a `with` block that fills it. At the end of the block it is ready, and takes the
    name from the segment that had it: others find the old data or the new, never a half. If the block
    raises, the new segment is removed and nothing has changed; the same if the process dies.

    `replace=False`: an existing segment of that name is SegmentExists. The rest is as for create()."""
    if lifetime == "attached":
        raise ValueError("a segment of lifetime attached goes when the block detaches it")
    found = yield from create(
        name,
        size,
        replace=replace or None,
        exclusive=None if replace else True,
        ready=False,
        mode=mode,
        lifetime=lifetime,
        ttl=ttl,
        idle_ttl=idle_ttl,
        labels=labels,
        uid=uid,
        gid=gid,
        huge_page_size=huge_page_size,
        noreserve=noreserve,
        locked=locked,
    )
    return Found(found.info, True, removes_if_unready=True)


def wait(
    name: str,
    timeout: Optional[float] = None,
    *,
    hold: bool = False,
    readonly: bool = False,
    owner: Union[int, str, None] = None,
    any_owner: bool = False,
) -> Steps[Found]:
    """Waits until there is a segment of that name and it is ready. `timeout`, in seconds: then TimedOut;
    0 only looks. InitialiserDied: who filled it has died.

    `hold`: from that instant on the caller is its holder, until the handle is closed. `readonly`: attach
    for reading. The segment must be the caller's, root's or the daemon's; `owner`, a uid or a user's
    name, lets that user's pass, too, and `any_owner` anybody's: else PermissionDenied."""
    seconds = _parameters.timeout("timeout", timeout, "it waits for ever; 0 only looks")
    until = None if seconds is None else time.monotonic() + seconds
    request = Request("wait", _given(name=name, hold=hold or None), until=until, is_for_handle=hold)
    info = yield from _trusted(request, owner, any_owner)
    return Found(info, grip=request.grip, readonly=readonly)


def attach(
    name: Optional[str] = None,
    *,
    shmid: Optional[int] = None,
    key: Optional[int] = None,
    serial: Optional[int] = None,
    readonly: bool = False,
    owner: Union[int, str, None] = None,
    any_owner: bool = False,
) -> Steps[Found]:
    """Finds an existing segment, which may not be ready yet, and attaches it. `owner`, `any_owner` and
    `readonly` are as for wait()."""
    target = _target(name, shmid, key, serial)
    any_owner = any_owner or not _is_found_by_name(target)
    info = yield from _trusted(Request("stat", target), owner, any_owner)
    return Found(info, readonly=readonly, is_wanted_at_once=True)


def hold(
    name: Optional[str] = None,
    *,
    shmid: Optional[int] = None,
    key: Optional[int] = None,
    serial: Optional[int] = None,
    readonly: bool = False,
    owner: Union[int, str, None] = None,
    any_owner: bool = False,
) -> Steps[Found]:
    """Finds an existing segment of lifetime process or connection and holds it, until the handle is
    closed. `owner`, `any_owner` and `readonly` are as for wait()."""
    target = _target(name, shmid, key, serial)
    any_owner = any_owner or not _is_found_by_name(target)
    request = Request("hold", target, is_for_handle=True)
    info = yield from _trusted(request, owner, any_owner)
    return Found(info, grip=request.grip, readonly=readonly)


def adopt(
    shmid: Optional[int] = None,
    *,
    key: Optional[int] = None,
    name: Optional[str] = None,
    lifetime: Optional[str] = None,
    ttl: Optional[float] = None,
    labels: Optional[Mapping[str, str]] = None,
) -> Steps[Found]:
    """Puts a segment that was made without the daemon under its care. For that its owner in the kernel
    becomes the daemon; the caller keeps the rights of its creator. If the daemon refuses, the owner is
    put back."""
    if (shmid is None) == (key is None):
        raise TypeError("which segment: shmid or key")
    daemon = _model.info((yield Request("info")))
    _memory.check_namespace(daemon.ipc_namespace)
    params = _given(
        shmid=shmid,
        key=key,
        name=name,
        lifetime=lifetime,
        ttl_ms=_parameters.milliseconds("ttl", ttl),
        labels=_parameters.labels(labels),
    )
    handover = _memory.hand_over(shmid, key, daemon.uid)
    try:
        result = yield Request("adopt", params)
    except Refused:
        # Not when the answer was lost: the daemon may have it by now, and then it must stay the owner.
        _memory.take_back(handover)
        raise
    return Found(_model.result_segment(result))


# --- calls that tell or change something


def stat(
    name: Optional[str] = None,
    *,
    shmid: Optional[int] = None,
    key: Optional[int] = None,
    serial: Optional[int] = None,
) -> Steps[SegmentInfo]:
    """What the daemon and the kernel know of a segment, whoever it belongs to. Only this tells
    `holder_list`, `rss` and `swap`."""
    return _model.result_segment((yield Request("stat", _target(name, shmid, key, serial))))


def set_(
    name: Optional[str] = None,
    *,
    shmid: Optional[int] = None,
    key: Optional[int] = None,
    serial: Optional[int] = None,
    mode: Optional[int] = None,
    uid: Optional[int] = None,
    gid: Optional[int] = None,
    new_name: Optional[str] = None,
    labels: Optional[Mapping[str, str]] = None,
    lifetime: Optional[str] = None,
    ttl: Optional[float] = None,
    idle_ttl: Optional[float] = None,
    locked: Optional[bool] = None,
) -> Steps[SegmentInfo]:
    """Changes a segment. `labels` replace the old ones. `ttl` and `idle_ttl` count from now on, in
    seconds; 0: none any more."""
    changes = _given(
        mode=_parameters.octal(mode),
        uid=uid,
        gid=gid,
        new_name=new_name,
        labels=_parameters.labels(labels),
        lifetime=lifetime,
        ttl_ms=_parameters.milliseconds("ttl", ttl),
        idle_ttl_ms=_parameters.milliseconds("idle_ttl", idle_ttl),
        locked=locked,
    )
    return _model.result_segment((yield Request("set", {**_target(name, shmid, key, serial), **changes})))


def remove(
    name: Optional[str] = None,
    *,
    shmid: Optional[int] = None,
    key: Optional[int] = None,
    serial: Optional[int] = None,
    only_if_unattached: Optional[bool] = None,
) -> Steps[SegmentInfo]:
    """Removes a segment: the name is free at once, the memory goes when nobody has it attached any more.
    `only_if_unattached`: else SegmentBusy."""
    target = _target(name, shmid, key, serial)
    request = Request("remove", {**target, **_given(only_if_unattached=only_if_unattached)})
    return _model.result_segment((yield request))


def _on_target(
    method: str, name: Optional[str], shmid: Optional[int], key: Optional[int], serial: Optional[int]
) -> Steps[SegmentInfo]:
    return _model.result_segment((yield Request(method, _target(name, shmid, key, serial))))


def ready(
    name: Optional[str] = None,
    *,
    shmid: Optional[int] = None,
    key: Optional[int] = None,
    serial: Optional[int] = None,
) -> Steps[SegmentInfo]:
    """The segment is filled: wait() returns it from now on."""
    return (yield from _on_target("ready", name, shmid, key, serial))


def release(
    name: Optional[str] = None,
    *,
    shmid: Optional[int] = None,
    key: Optional[int] = None,
    serial: Optional[int] = None,
) -> Steps[SegmentInfo]:
    """This process, or this connection, does not hold the segment any more."""
    return (yield from _on_target("release", name, shmid, key, serial))


def disown(
    name: Optional[str] = None,
    *,
    shmid: Optional[int] = None,
    key: Optional[int] = None,
    serial: Optional[int] = None,
) -> Steps[SegmentInfo]:
    """Gives a segment back to its creator alone, as if shmget() had made it. Nothing is removed."""
    return (yield from _on_target("disown", name, shmid, key, serial))


def segments(
    prefix: Optional[str] = None,
    *,
    uid: Optional[int] = None,
    lifetime: Optional[str] = None,
    state: Optional[str] = None,
    labels: Optional[Mapping[str, str]] = None,
    scope: Optional[str] = None,
) -> Steps[List[SegmentInfo]]:
    """All segments that match: by the beginning of their name, by owner, lifetime, state, labels. `scope`
    is "managed" (the default), "foreign" (those that are not the daemon's) or "all"."""
    params = _given(
        prefix=prefix,
        uid=uid,
        lifetime=lifetime,
        state=state,
        labels=_parameters.labels(labels),
        scope=scope,
        limit=MAX_LIST,
    )
    found: List[SegmentInfo] = []
    while True:
        page, cursor = _model.result_page((yield Request("list", dict(params))))
        found += page
        if cursor is None:
            return found
        params["cursor"] = cursor


def info() -> Steps[Info]:
    """The daemon, the kernel's limits, your limits and what you have."""
    return _model.info((yield Request("info")))


def reload() -> Steps[None]:
    """The daemon reads its configuration again; only admins may ask for it. InvalidConfiguration: nothing
    has changed, and `data["errors"]` says why."""
    yield Request("reload")


def metrics() -> Steps[str]:
    """The daemon's figures as OpenMetrics text."""
    return _model.result_text((yield Request("metrics")))


def call(method: str, **params: Any) -> Steps[Any]:
    """Any method by its word: the result as the daemon gave it."""
    return (yield Request(method, params))


def subscribe(prefix: Optional[str], kinds: Optional[Iterable[str]], after: Optional[int]) -> Steps[int]:
    """The serial of the newest event; the events come after it on the same connection."""
    params = _given(prefix=prefix, kinds=_parameters.words("kinds", kinds), after=after)
    return _model.result_event_serial((yield Request("subscribe", params)))


# --- holders


def has_holders(info: SegmentInfo) -> bool:
    return info.lifetime in ("process", "connection")


@dataclass(eq=False)
class Held:
    """A segment that this process holds. What is released is forgotten, and a later hold is another one."""

    serial: int
    shmid: int
    grips: Set[int] = field(default_factory=set)  # of handles that release it when they are closed
    is_kept: bool = False  # until release() or the end of the process

    @property
    def is_over(self) -> bool:
        return not self.grips and not self.is_kept


class Grip:
    """What a handle has of a hold. It is made as soon as the daemon has answered, and a signal may come at
    any time: when nobody has it any more, `later` is told, which takes it from what is held."""

    _numbers = itertools.count()
    _held: Optional[Held] = None

    def __init__(self, holds: Holds, later: Callable[[Held, int], None], info: SegmentInfo) -> None:
        self._later = later
        self._number = next(self._numbers)
        self._held = holds.of(info)
        self._held.grips.add(self._number)

    def drop(self, holds: Holds) -> Optional[int]:
        """The serial, when nobody here holds it any more, so that it must be released."""
        held = self._held
        is_last = held is not None and holds.drop(held, self._number)
        return held.serial if held is not None and is_last else None

    def is_dropped(self) -> None:
        """What had to be done is done."""
        self._held = None

    def drop_later(self) -> None:
        """The same from where no request can be made: with the next one."""
        if self._held is not None:
            self._later(self._held, self._number)
            self._held = None

    def __del__(self) -> None:
        self.drop_later()


class Holds:
    """What this process holds through a connection. To the daemon it holds a segment once, however many
    handles do, so the last of these releases it."""

    def __init__(self) -> None:
        self._holds: Dict[int, Held] = {}

    def of(self, info: SegmentInfo) -> Held:
        return self._holds.setdefault(info.serial, Held(info.serial, info.shmid))

    def note(self, request: Request, result: Any) -> None:
        """What a request that was done makes of this process: a holder, or none any more."""
        params, method = request.params, request.method
        if method == "create" and (_model.result_created(result) or params.get("hold") is not False):
            self._keep(_model.result_segment(result))
        elif method == "adopt":
            self._keep(_model.result_segment(result))
        elif method == "set":
            self._note_changed(_model.result_segment(result), "lifetime" in params)
        elif method in ("release", "remove"):
            self.forget(_model.result_segment(result).serial)
        elif method == "disown":
            self._forget_disowned(_model.result_segment(result).shmid)

    def note_late(self, request: Request, result: Any) -> Optional[int]:
        """The same for a request that its caller has given up. The serial of what nobody here wanted to
        hold any more, which must be released."""
        params, method = request.params, request.method
        if method in ("release", "remove", "disown"):
            self.note(request, result)
            return None
        info = _model.result_segment(result)
        if not has_holders(info):
            self.forget(info.serial)
        is_holder = (
            method in ("hold", "wait", "adopt")
            or (method == "set" and "lifetime" in params)
            or (method == "create" and (_model.result_created(result) or params.get("hold") is not False))
        )
        held = self._holds.get(info.serial)
        is_wanted = held is not None and not held.is_over
        return info.serial if is_holder and has_holders(info) and not is_wanted else None

    def _note_changed(self, info: SegmentInfo, lifetime_is_given: bool) -> None:
        if not has_holders(info):
            self.forget(info.serial)
        elif lifetime_is_given:
            self._keep(info)

    def _forget_disowned(self, shmid: int) -> None:
        """The daemon has no serial of what was disowned."""
        for held in [held for held in self._holds.values() if held.shmid == shmid]:
            self.forget(held.serial)

    def _keep(self, info: SegmentInfo) -> None:
        if has_holders(info):
            self.of(info).is_kept = True

    def drop(self, held: Held, grip: int) -> bool:
        """One handle less; whether nobody here holds it any more, so that it must be released."""
        held.grips.discard(grip)
        return held.is_over and self._holds.get(held.serial) is held

    def forget(self, serial: int) -> None:
        self._holds.pop(serial, None)

    def requests(self) -> List[Tuple[int, Request]]:
        """To hold all of them again. The shmid is a guard: a daemon that has lost its state may use the
        serial for another segment."""
        return [
            (serial, Request("hold", {"serial": serial, "shmid": hold.shmid}))
            for serial, hold in self._holds.items()
            if not hold.is_over
        ]
