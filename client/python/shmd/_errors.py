# SPDX-License-Identifier: MIT
"""What can go wrong: one class for each error of the protocol, and four for what is not the daemon's answer.

All of them are OSError with an errno, so `except OSError` catches them, and a class that means what a
class of Python means is that, too: NoSuchSegment is a FileNotFoundError, TimedOut a TimeoutError.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import stat
from typing import Any, Dict, Mapping, Optional, Tuple, Type

SYSTEM_SOCKET = "/run/shmd/shmd.sock"
INSTALLED = ("/usr/local/sbin/shmd", "/usr/sbin/shmd")


class Error(OSError):
    """Everything that this package raises about the daemon or its segments."""

    like: int = errno.EIO  # the errno of the class

    segment: Optional[str] = None
    """The segment that the call named, as "frames", "shmid 12", "key 0x00001234" or "serial 5"."""

    def __init__(self, message: str, *, number: Optional[int] = None, segment: Optional[str] = None) -> None:
        super().__init__(self.like if number is None else number, message)
        self.segment = segment

    @property
    def message(self) -> str:
        """One English sentence."""
        return str(self.strerror)

    def __str__(self) -> str:
        return f"{self.segment}: {self.message}" if self.segment else self.message

    def __reduce__(self) -> Tuple[Any, ...]:
        return _again, (type(self), self.message, {"number": self.errno, "segment": self.segment})


class Unreachable(Error, ConnectionError):
    """No daemon serves at the socket, or the caller may not connect to it."""

    like = errno.ECONNREFUSED


class ConnectionLost(Error, ConnectionError):
    """The connection ended before the answer came. The request may have been carried out."""

    like = errno.ECONNRESET


class NoAnswer(Error, TimeoutError):
    """The daemon did not answer within the connection's timeout. It may still carry out the request."""

    like = errno.ETIMEDOUT


class WrongNamespace(Error):
    """The daemon is in another IPC namespace, where its segments have ids that mean nothing here."""

    like = errno.EXDEV


class ProtocolError(Error):
    """What came is not an answer of shmd's protocol."""

    like = errno.EBADMSG


class Refused(Error):
    """The daemon refused. The class says why; this one itself stands for a reason that is newer than
    this package."""

    code: int = 0
    """The JSON-RPC code."""
    name: Optional[str] = None
    """The error's name on the wire; None: it has none."""
    data: Mapping[str, Any]
    """The parameters of the error, as protocol/PROTOCOL.md lists them for each."""

    def __init__(
        self,
        message: str,
        *,
        code: Optional[int] = None,
        name: Optional[str] = None,
        data: Optional[Mapping[str, Any]] = None,
        segment: Optional[str] = None,
    ) -> None:
        super().__init__(message, segment=segment)
        if code is not None:
            self.code = code
        if name is not None:
            self.name = name
        self.data = dict(data or {})

    def __reduce__(self) -> Tuple[Any, ...]:
        more = {"code": self.code, "name": self.name, "data": dict(self.data), "segment": self.segment}
        return _again, (type(self), self.message, more)


def _again(cls: Type[Error], message: str, more: Mapping[str, Any]) -> Error:
    """An error that was pickled."""
    return cls(message, **more)


class NoSuchSegment(Refused, FileNotFoundError):
    """There is no such segment. `data`: the target."""

    code, name, like = 1, "io.shmd.NoSuchSegment", errno.ENOENT


class SegmentExists(Refused, FileExistsError):
    """There is such a segment already. `data`: serial, shmid, key."""

    code, name, like = 2, "io.shmd.SegmentExists", errno.EEXIST


class PermissionDenied(Refused, PermissionError):
    """`data`: needs; uid, where the segment is another user's."""

    code, name, like = 3, "org.varlink.service.PermissionDenied", errno.EACCES


class SizeMismatch(Refused):
    """The existing segment is smaller than what was asked for. `data`: size, requested."""

    code, name, like = 4, "io.shmd.SizeMismatch", errno.EINVAL


class LimitReached(Refused):
    """A limit of the kernel. `data`: limit, used, max, requested, missing, hint."""

    code, name, like = 5, "io.shmd.LimitReached", errno.ENOSPC


class QuotaExceeded(Refused):
    """A limit of the daemon's configuration. `data`: quota, used, max."""

    code, name, like = 6, "io.shmd.QuotaExceeded", errno.EDQUOT


class SegmentBusy(Refused):
    """The segment is attached. `data`: nattch."""

    code, name, like = 7, "io.shmd.SegmentBusy", errno.EBUSY


class StaleSegment(Refused):
    """What was named is not the segment that was meant. `data`: serial."""

    code, name, like = 8, "io.shmd.StaleSegment", errno.EIDRM


class InitialiserDied(Refused):
    """Who was filling the segment has died. `data`: name."""

    code, name, like = 9, "io.shmd.InitialiserDied", errno.EOWNERDEAD


class TimedOut(Refused, TimeoutError):
    """The segment was not ready in time. `data`: timeout_ms."""

    code, name, like = 10, "io.shmd.TimedOut", errno.ETIMEDOUT


class KeyInUse(Refused, FileExistsError):
    """A segment that is not the daemon's has the key. `data`: key, shmid."""

    code, name, like = 11, "io.shmd.KeyInUse", errno.EEXIST


class NotHoldable(Refused):
    """The segment has no holders: its lifetime is another one, or it is being removed. `data`: lifetime."""

    code, name, like = 12, "io.shmd.NotHoldable", errno.EINVAL


class StoreFailure(Refused):
    """The daemon cannot write its records; nothing was done. `data`: reason."""

    code, name, like = 13, "io.shmd.StoreFailure", errno.EIO


class ShuttingDown(Refused):
    """The daemon is about to end; nothing was done."""

    code, name, like = 14, "io.shmd.ShuttingDown", errno.ESHUTDOWN


class NotSupported(Refused):
    """`data`: what."""

    code, name, like = 15, "io.shmd.NotSupported", errno.EOPNOTSUPP


class InvalidConfiguration(Refused):
    """Nothing has changed. `data`: errors, each with file, line, key and message."""

    code, name, like = 16, "io.shmd.InvalidConfiguration", errno.EINVAL


class InvalidParameter(Refused):
    """`data`: parameter, reason."""

    code, name, like = -32602, "org.varlink.service.InvalidParameter", errno.EINVAL


class MethodNotFound(Refused):
    """The daemon is older than this package. `data`: method."""

    code, name, like = -32601, "org.varlink.service.MethodNotFound", errno.ENOSYS


class InvalidRequest(Refused):
    """What was sent is not a request, or longer than the daemon takes."""

    code, like = -32600, errno.EINVAL


class ParseError(Refused):
    """What was sent is not JSON."""

    code, like = -32700, errno.EBADMSG


class InternalError(Refused):
    """The daemon is out of memory, or the kernel refused for a reason that has no name here."""

    code, like = -32603, errno.EIO


MAY_PASS = (ShuttingDown, QuotaExceeded, LimitReached, StoreFailure, InternalError)
"""These say nothing of the segment: at another time the same request may be granted."""

_BY_CODE: Dict[int, Type[Refused]] = {cls.code: cls for cls in Refused.__subclasses__()}


def refusal(error: Mapping[str, Any]) -> Refused:
    """The exception for `error`, the member of an answer."""
    code, message, data = error.get("code"), error.get("message"), error.get("data", {})
    if not isinstance(code, int) or not isinstance(message, str) or not isinstance(data, dict):
        raise ProtocolError("the answer is not one of shmd's protocol: its error is none")
    name = data.pop("error", None)
    return _BY_CODE.get(code, Refused)(message, code=code, name=name, data=data)


def _start(path: str) -> str:
    """What starts the daemon of that socket: systemd starts only those that have its units."""
    own = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/", "shmd", "shmd.sock")
    if path == SYSTEM_SOCKET:
        return f"{'' if os.geteuid() == 0 else 'as root: '}systemctl start shmd.socket"
    return f"systemctl --user start shmd.socket, or {_program()}" if path == own else _start_there(path)


def _program() -> str:
    """The daemon as a shell finds it: an ordinary user's PATH often has no sbin."""
    if shutil.which("shmd") is None:
        for path in INSTALLED:
            if os.access(path, os.X_OK):
                return shlex.quote(path)
    return "shmd"


def _start_there(path: str) -> str:
    """A daemon keeps its state beside its socket only where nobody else may write."""
    command = f"{_program()} --socket {shlex.quote(path)}"
    directory = existing = os.path.dirname(path) or "."
    while not os.path.exists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing) or "."
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"as a user who may write to {existing}: {command}"
    if existing != directory:
        return f"mkdir -p -m 755 {shlex.quote(directory)} && {command}"
    status = os.stat(directory)
    is_own = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return command if is_own else f"{command} --state-dir {shlex.quote(path + '.state')}"


def _is_other(path: str) -> bool:
    """Whether there is something that is no socket."""
    try:
        return not stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def unreachable(path: str, error: OSError) -> Unreachable:
    """Why nobody could connect to `path`, and what to do."""
    if _is_other(path):
        text = f"{path} is no socket: name the daemon's socket in SHMD_SOCKET"
    elif error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        text = f"no daemon serves at {path}: start it ({_start(path)}), or name its socket in SHMD_SOCKET"
    elif error.errno == errno.EACCES:
        text = f"this user may not connect to {path}"
    elif error.errno is None:
        # Python has looked at the path itself.
        text = f"cannot connect to {path}: the path is longer than a socket's can be"
        return Unreachable(text, number=errno.ENAMETOOLONG)
    else:
        text = f"cannot connect to {path}: {os.strerror(error.errno)}"
    return Unreachable(text, number=error.errno)
