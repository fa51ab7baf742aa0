# SPDX-License-Identifier: MIT
"""Parameters as Python has them -> as the protocol does. What is none raises TypeError, ValueError or
LookupError, with a sentence that says which parameter, what it was and what would be right. What means the
same in both is left to the daemon, whose refusal names it."""

from __future__ import annotations

import json
import math
import numbers
import operator
import pwd
from typing import Any, Dict, Iterable, List, Mapping, Optional, Union


def _kind(value: Any) -> str:
    return type(value).__name__


def _number(name: str, value: Any, right: str) -> float:
    # True and False are numbers to Python, and a slip of the pen here.
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} {value!r} is of type {_kind(value)}: {right}")
    if not math.isfinite(value):
        raise ValueError(f"{name} {value} is not finite: {right}")
    if value < 0:
        raise ValueError(f"{name} {value} is negative: {right}")
    return float(value)


def whole_milliseconds(seconds: float) -> int:
    """Never less than was asked for: a short time is not none."""
    # 1.001 * 1000 is a little more than 1001, and that is no millisecond more.
    return max(math.ceil(round(seconds * 1000, 6)), 1 if seconds > 0 else 0)


def milliseconds(name: str, seconds: Optional[float]) -> Optional[int]:
    """A time to live."""
    if seconds is None:
        return None
    return whole_milliseconds(_number(name, seconds, "give seconds, as 10 or 0.5"))


def timeout(name: str, seconds: Optional[float], none: str) -> Optional[float]:
    """How long to wait; `none` says what None means."""
    return None if seconds is None else _number(name, seconds, f"give seconds, as 10 or 0.5, or None: {none}")


def patience(name: str, seconds: float) -> float:
    """For how long to try."""
    return _number(name, seconds, "give seconds, as 10 or 0.5; 0: one try")


def octal(mode: Optional[int]) -> Optional[str]:
    """0o640 -> "0640"."""
    if mode is None:
        return None
    right = "give permissions as an octal number, as 0o640"
    if isinstance(mode, bool) or not isinstance(mode, numbers.Integral):
        raise TypeError(f"mode {mode!r} is of type {_kind(mode)}: {right}")
    if not 0 <= mode <= 0o777:
        raise ValueError(f"mode {mode} is none: {right}")
    return f"{int(mode):04o}"


def uid(owner: Union[int, str]) -> int:
    """Of a user's name, or what it is."""
    if isinstance(owner, str):
        try:
            return pwd.getpwnam(owner).pw_uid
        except (KeyError, ValueError):
            raise LookupError(f"owner {owner!r}: there is no user of that name; give a user's name or a uid") from None
    if isinstance(owner, bool) or not isinstance(owner, numbers.Integral):
        raise TypeError(f"owner {owner!r} is of type {_kind(owner)}: give a user's name or a uid")
    return int(owner)


def words(name: str, given: Optional[Iterable[str]]) -> Optional[List[str]]:
    if given is None:
        return None
    if isinstance(given, str):
        raise TypeError(f"{name} {given!r} is one string: give a list of words, as [{given!r}]")
    try:
        return list(given)
    except TypeError:
        raise TypeError(f"{name} {given!r} is of type {_kind(given)}: give a list of words") from None


def labels(given: Optional[Mapping[str, str]]) -> Optional[Dict[str, str]]:
    if given is None:
        return None
    try:
        return dict(given)
    except (TypeError, ValueError):
        raise TypeError(
            f"labels {given!r} are of type {_kind(given)}: give a dict, as {{'codec': 'raw'}}"
        ) from None


def encode(message: Dict[str, Any]) -> bytes:
    """A request as JSON. Whole numbers of other kinds, as numpy's, are numbers."""
    try:
        return _encode(message)
    except (TypeError, ValueError):
        for name, value in message["params"].items():
            _check_plain(name, value)
        raise


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=operator.index).encode()


def _check_plain(name: str, value: Any) -> None:
    try:
        _encode(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} {value!r} is of type {_kind(value)}, or has something in it, that cannot be sent: "
            "give strings, whole numbers, booleans, and lists and dicts of these"
        ) from None
