# SPDX-License-Identifier: MIT
"""What the daemon tells, as dataclasses. Each is how things were when the daemon answered.

Sizes are bytes, times Unix milliseconds (None: it has not happened). A word that is newer than this
package, a lifetime or a state for one, stays the word that it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type, TypeVar

from ._errors import ProtocolError

T = TypeVar("T")


@dataclass(frozen=True)
class Holder:
    """A process that holds a segment."""

    pid: int
    uid: int
    comm: Optional[str]
    since_at_ms: int


@dataclass(frozen=True)
class Creator:
    """Who asked for a segment."""

    uid: int
    gid: int
    pid: int
    comm: Optional[str]


@dataclass(frozen=True)
class SegmentInfo:
    """A segment, as protocol/PROTOCOL.md has it."""

    serial: int  # its identity, never used again; 0: not the daemon's
    name: Optional[str]
    shmid: int
    key: int  # 0: IPC_PRIVATE
    size: int
    mode: int  # as 0o640
    uid: int
    gid: int
    nattch: int
    last_pid: int
    creator: Creator
    state: str  # initialising, ready, removing, removed
    lifetime: Optional[str]  # persistent, process, connection, attached; None: not the daemon's
    holders: int
    holder_list: Optional[Tuple[Holder, ...]]  # only `stat` tells
    locked: bool
    huge_page_size: int  # 0: ordinary pages
    noreserve: bool
    created_at_ms: Optional[int]
    attached_at_ms: Optional[int]
    detached_at_ms: Optional[int]
    changed_at_ms: Optional[int]
    expires_at_ms: Optional[int]
    labels: Mapping[str, str] = field(hash=False)
    managed: bool  # by the daemon
    orphaned: bool  # only of one that is not: its creator is dead and nobody has it attached
    used_by_others: bool  # only of one that is not: not only its creator has attached it
    declared: bool  # a file in segments.d asks for it
    drift: Tuple[str, ...]  # only of a declared one: what differs from the file
    rss: Optional[int]  # bytes of it in memory; only `stat` tells, where the kernel does
    swap: Optional[int]
    former_name: Optional[str]  # of one that is being removed
    replaces: Optional[int]  # the serial of the segment whose name it takes when it is ready


@dataclass(frozen=True)
class Limit:
    """A limit of the daemon."""

    max: Optional[int]  # None: no limit
    used: Optional[int]  # by the caller, or by all users where the limit is for all; None: not counted


@dataclass(frozen=True)
class Kernel:
    """The kernel's limits of segments, and what there is."""

    shmmax: Optional[int]  # None: no limit
    shmall: Optional[int]
    shmmni: Optional[int]
    segments: int
    bytes: int
    shm_rmid_forced: bool


@dataclass(frozen=True)
class Usage:
    """What the caller has."""

    segments: int
    bytes: int


@dataclass(frozen=True)
class Info:
    """The daemon."""

    version: str
    protocol: int
    pid: int
    uid: int
    started_at_ms: int
    boot_id: str
    ipc_namespace: int  # the inode of its /proc/PID/ns/ipc
    kernel: Kernel
    limits: Mapping[str, Limit] = field(hash=False)
    usage: Usage
    huge_page_sizes: Tuple[int, ...]
    durable: bool  # segments outlive their creators
    records_since_at_ms: Optional[int]
    store_failure: Optional[str] = None  # why the last change could not be recorded


@dataclass(frozen=True)
class Event:
    """Something that happened to a segment. Of a gap, which tells that `missed` events are lost, there
    is nothing else."""

    kind: str  # created, ready, changed, attached, detached, removed, adopted; gap
    event_serial: Optional[int] = None
    at_ms: Optional[int] = None
    reason: Optional[str] = None  # of a removal
    segment: Optional[SegmentInfo] = None
    missed: int = 0


# --- from the wire


class _Members:
    """A JSON object whose members are taken out with the types that they must have."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise ProtocolError(f"the answer is not one of shmd's protocol: {what} is no object")
        self._value: Dict[str, Any] = value
        self._what = what

    def _take(self, name: str, kind: Type[T]) -> Optional[T]:
        value = self._value.get(name)
        if value is None:
            return None
        # bool is a kind of int for Python, and none for JSON.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ProtocolError(
                f"the answer is not one of shmd's protocol: {name} of {self._what} has the wrong type"
            )
        return value

    def optional_integer(self, name: str) -> Optional[int]:
        return self._take(name, int)

    def optional_text(self, name: str) -> Optional[str]:
        return self._take(name, str)

    def integer(self, name: str) -> int:
        return self._must(name, int)

    def text(self, name: str) -> str:
        return self._must(name, str)

    def flag(self, name: str) -> bool:
        return self._take(name, bool) or False

    def items(self, name: str) -> List[Any]:
        return self._take(name, list) or []

    def mapping(self, name: str) -> Dict[str, Any]:
        return self._take(name, dict) or {}

    def part(self, name: str) -> _Members:
        return _Members(self._must(name, dict), name)

    def _must(self, name: str, kind: Type[T]) -> T:
        value = self._take(name, kind)
        if value is None:
            raise ProtocolError(f"the answer is not one of shmd's protocol: {self._what} has no {name}")
        return value


def _mode(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise ProtocolError(f"the answer is not one of shmd's protocol: mode {text!r}") from None


def _holder(value: Any) -> Holder:
    m = _Members(value, "a holder")
    return Holder(m.integer("pid"), m.integer("uid"), m.optional_text("comm"), m.integer("since_at_ms"))


def _creator(m: _Members) -> Creator:
    return Creator(m.integer("uid"), m.integer("gid"), m.integer("pid"), m.optional_text("comm"))


def segment(value: Any) -> SegmentInfo:
    m = _Members(value, "the segment")
    has_list = isinstance(value, dict) and "holder_list" in value
    return SegmentInfo(
        serial=m.optional_integer("serial") or 0,
        name=m.optional_text("name"),
        shmid=m.integer("shmid"),
        key=m.integer("key"),
        size=m.integer("size"),
        mode=_mode(m.text("mode")),
        uid=m.integer("uid"),
        gid=m.integer("gid"),
        nattch=m.integer("nattch"),
        last_pid=m.integer("last_pid"),
        creator=_creator(m.part("creator")),
        state=m.text("state"),
        lifetime=m.optional_text("lifetime"),
        holders=m.optional_integer("holders") or 0,
        holder_list=tuple(_holder(item) for item in m.items("holder_list")) if has_list else None,
        locked=m.flag("locked"),
        huge_page_size=m.optional_integer("huge_page_size") or 0,
        noreserve=m.flag("noreserve"),
        created_at_ms=m.optional_integer("created_at_ms"),
        attached_at_ms=m.optional_integer("attached_at_ms"),
        detached_at_ms=m.optional_integer("detached_at_ms"),
        changed_at_ms=m.optional_integer("changed_at_ms"),
        expires_at_ms=m.optional_integer("expires_at_ms"),
        labels={str(key): str(text) for key, text in m.mapping("labels").items()},
        managed=m.flag("managed"),
        orphaned=m.flag("orphaned"),
        used_by_others=m.flag("used_by_others"),
        declared=m.flag("declared"),
        drift=tuple(str(word) for word in m.items("drift")),
        rss=m.optional_integer("rss"),
        swap=m.optional_integer("swap"),
        former_name=m.optional_text("former_name"),
        replaces=m.optional_integer("replaces"),
    )


def _limit(value: Any) -> Limit:
    m = _Members(value, "a limit")
    return Limit(m.optional_integer("max"), m.optional_integer("used"))


def info(value: Any) -> Info:
    m = _Members(value, "the result")
    kernel, usage = m.part("kernel"), m.part("usage")
    return Info(
        version=m.text("version"),
        protocol=m.integer("protocol"),
        pid=m.integer("pid"),
        uid=m.integer("uid"),
        started_at_ms=m.integer("started_at_ms"),
        boot_id=m.text("boot_id"),
        ipc_namespace=m.integer("ipc_namespace"),
        kernel=Kernel(
            shmmax=kernel.optional_integer("shmmax"),
            shmall=kernel.optional_integer("shmall"),
            shmmni=kernel.optional_integer("shmmni"),
            segments=kernel.integer("segments"),
            bytes=kernel.integer("bytes"),
            shm_rmid_forced=kernel.flag("shm_rmid_forced"),
        ),
        limits={name: _limit(limit) for name, limit in m.mapping("limits").items()},
        usage=Usage(usage.integer("segments"), usage.integer("bytes")),
        huge_page_sizes=tuple(int(size) for size in m.items("huge_page_sizes")),
        durable=m.flag("durable"),
        records_since_at_ms=m.optional_integer("records_since_at_ms"),
        store_failure=m.optional_text("store_failure"),
    )


def event(value: Any) -> Event:
    m = _Members(value, "the event")
    kind = m.text("kind")
    if kind == "gap":
        return Event(kind, missed=m.integer("missed"))
    told = isinstance(value, dict) and value.get("segment")
    return Event(
        kind=kind,
        event_serial=m.integer("event_serial"),
        at_ms=m.integer("at_ms"),
        reason=m.optional_text("reason"),
        segment=segment(told) if told else None,
    )


def result_segment(result: Any) -> SegmentInfo:
    """The segment of a result that has one."""
    return segment(_Members(result, "the result").mapping("segment"))


def result_page(result: Any) -> Tuple[List[SegmentInfo], Optional[str]]:
    """The segments of a page, and where the next one begins."""
    m = _Members(result, "the result")
    return [segment(item) for item in m.items("segments")], m.optional_text("cursor")


def result_created(result: Any) -> bool:
    return _Members(result, "the result").flag("created")


def result_text(result: Any) -> str:
    return _Members(result, "the result").text("text")


def result_event_serial(result: Any) -> int:
    return _Members(result, "the result").integer("event_serial")
