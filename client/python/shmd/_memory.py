# SPDX-License-Identifier: MIT
"""The kernel's segments themselves: attaching, detaching, and handing one over for adoption.

Memory is detached when nothing can reach it any more, and at no other moment: each view of it keeps the
object alive that its detaching waits for. So a view never points to where nothing is.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import weakref
from typing import Any, NamedTuple, Optional

from ._errors import StaleSegment, WrongNamespace

SHM_RDONLY = 0o10000
_IPC_SET, _IPC_STAT = 1, 2

# Those whose struct shmid_ds is as below.
_MACHINES = ("x86_64", "aarch64", "riscv64", "loongarch64", "s390x")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
_libc.shmat.restype = ctypes.c_void_p
_libc.shmdt.argtypes = [ctypes.c_void_p]
_libc.shmctl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
_libc.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]

_FAILED = ctypes.c_void_p(-1).value


class _IpcPerm(ctypes.Structure):
    _fields_ = [
        ("key", ctypes.c_int),
        ("uid", ctypes.c_uint),
        ("gid", ctypes.c_uint),
        ("cuid", ctypes.c_uint),
        ("cgid", ctypes.c_uint),
        ("mode", ctypes.c_uint),
        ("seq", ctypes.c_ushort),
        ("pad", ctypes.c_ushort),
        ("reserved", ctypes.c_ulong * 2),
    ]


class _ShmidDs(ctypes.Structure):
    _fields_ = [
        ("perm", _IpcPerm),
        ("segsz", ctypes.c_size_t),
        ("atime", ctypes.c_long),
        ("dtime", ctypes.c_long),
        ("ctime", ctypes.c_long),
        ("cpid", ctypes.c_int),
        ("lpid", ctypes.c_int),
        ("nattch", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong * 2),
    ]


def _failure(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def _stat(shmid: int) -> _ShmidDs:
    if platform.machine() not in _MACHINES or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(errno.ENOSYS, f"shmd does not know struct shmid_ds of {platform.machine()}")
    ds = _ShmidDs()
    if _libc.shmctl(shmid, _IPC_STAT, ctypes.byref(ds)) == -1:
        raise _failure(f"cannot look at segment {shmid}")
    return ds


# --- attaching


def check_namespace(daemons: int) -> None:
    """A shmid of another IPC namespace denotes nothing here, or somebody else's segment."""
    own = os.stat("/proc/self/ns/ipc").st_ino
    if own != daemons:
        raise WrongNamespace(
            f"the daemon is in another IPC namespace ({daemons}) than this process ({own}), where its "
            "segment ids mean nothing: run both in the same container"
        )


def _refusal(shmid: int, readonly: bool) -> OSError:
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.EIDRM):
        return StaleSegment(f"segment {shmid} is gone", data={"shmid": shmid})
    hint = "" if readonly or number != errno.EACCES else "; readonly=True may do"
    how = " for reading" if readonly else ""
    return OSError(number, f"cannot attach to segment {shmid}{how}: {os.strerror(number)}{hint}")


class Memory:
    """A segment attached to this process: `view` are its bytes."""

    def __init__(self, shmid: int, readonly: bool) -> None:
        address = _libc.shmat(shmid, None, SHM_RDONLY if readonly else 0)
        if address == _FAILED:
            raise _refusal(shmid, readonly)
        try:
            # The kernel's own size: who trusts another's word of it may reach beyond the end.
            self.size = int(_stat(shmid).segsz)
            self._array: Optional[ctypes.Array[ctypes.c_char]] = (ctypes.c_char * self.size).from_address(address)
        except BaseException:
            _libc.shmdt(address)
            raise
        self.readonly = readonly
        # Every view refers to the array. When the last is gone, so is the array, and then the memory.
        weakref.finalize(self._array, _libc.shmdt, address).atexit = False
        self.view = self._new_view()

    def _new_view(self) -> memoryview:
        view = memoryview(self._array).cast("B")  # type: ignore[arg-type]
        return view.toreadonly() if self.readonly else view

    def detach(self) -> None:
        """BufferError while there is a view of the memory: then nothing has changed."""
        try:
            self.view.release()
        except BufferError:
            raise BufferError(_IN_USE) from None
        assert self._array is not None
        array = weakref.ref(self._array)
        self._array = None
        left = array()
        if left is None:
            return
        self._array = left
        self.view = self._new_view()
        raise BufferError(_IN_USE)

    def abandon(self) -> None:
        """Detaches as soon as the last view is gone."""
        try:
            self.view.release()
        except BufferError:
            pass
        self._array = None


_IN_USE = "the memory cannot be detached: there are views of it, such as slices or arrays; delete them first"


# --- adoption


class Handover(NamedTuple):
    """What it takes to give a segment back to whom it belonged."""

    shmid: int
    uid: int


def _set_owner(shmid: int, ds: _ShmidDs, uid: int) -> bool:
    ds.perm.uid = uid
    return bool(_libc.shmctl(shmid, _IPC_SET, ctypes.byref(ds)) == 0)


def hand_over(shmid: Optional[int], key: Optional[int], uid: int) -> Optional[Handover]:
    """Makes `uid` the owner of a segment; None: it stays whose it is. Whatever is wrong with that, the
    daemon will refuse with a reason. What `uid` made itself keeps its owner, who is the one of record."""
    if shmid is None:
        shmid = _libc.shmget(ctypes.c_int(key or 0).value, 0, 0)
    try:
        ds = _stat(shmid)
    except OSError:
        return None
    former = int(ds.perm.uid)
    # Only where it can be undone: an owner that is not also the creator would lose all rights.
    may = os.geteuid() in (0, ds.perm.cuid)
    if not may or uid in (ds.perm.cuid, former) or not _set_owner(shmid, ds, uid):
        return None
    return Handover(shmid, former)


def take_back(handover: Optional[Handover]) -> None:
    if handover is None:
        return
    try:
        _set_owner(handover.shmid, _stat(handover.shmid), handover.uid)
    except OSError:
        pass
