# SPDX-License-Identifier: MIT
"""System V shared memory straight from the kernel, by ctypes: what tests compare the daemon with.

Every call raises OSError with the kernel's errno. The structures are those of 64-bit Linux.
"""

import contextlib
import ctypes
import os
from collections import namedtuple

IPC_PRIVATE = 0
IPC_CREAT, IPC_EXCL = 0o1000, 0o2000
SHM_HUGETLB, SHM_NORESERVE = 0o4000, 0o10000
SHM_RDONLY = 0o10000
SHM_DEST, SHM_LOCKED = 0o1000, 0o2000

_IPC_RMID, _IPC_SET, _IPC_STAT, _IPC_INFO = 0, 1, 2, 3
_SHM_LOCK, _SHM_UNLOCK, _SHM_INFO, _SHM_STAT_ANY = 11, 12, 14, 15

PAGE = os.sysconf("SC_PAGE_SIZE")

libc = ctypes.CDLL(None, use_errno=True)
libc.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmat.restype = ctypes.c_void_p
libc.shmdt.argtypes = [ctypes.c_void_p]
libc.shmctl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]


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


class _ShmInfo(ctypes.Structure):
    _fields_ = [("used_ids", ctypes.c_int)] + [
        (name, ctypes.c_ulong)
        for name in ("shm_tot", "shm_rss", "shm_swp", "swap_attempts", "swap_successes")
    ]


class _Shminfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_ulong) for name in ("shmmax", "shmmin", "shmmni", "shmseg", "shmall")
    ] + [("reserved", ctypes.c_ulong * 4)]


Stat = namedtuple("Stat", "shmid key size uid gid cuid cgid mode cpid lpid nattch")
Info = namedtuple("Info", "max_index segments pages rss_pages")
Limits = namedtuple("Limits", "shmmax shmmni shmall")


def _checked(result):
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _control(shmid, command, buffer=None):
    return _checked(libc.shmctl(shmid, command, ctypes.byref(buffer) if buffer else None))


def signed(key):
    """A key as the C type key_t has it."""
    return ctypes.c_int(key).value


def create(size, mode=0o600, key=IPC_PRIVATE, flags=0):
    """A new segment; EEXIST when the key is taken."""
    return _checked(libc.shmget(signed(key), size, IPC_CREAT | IPC_EXCL | flags | mode))


def find(key):
    return _checked(libc.shmget(signed(key), 0, 0))


def attach(shmid, flags=0):
    """Returns the address."""
    # shmat() fails with (void *)-1, which ctypes returns as the largest unsigned value.
    address = libc.shmat(shmid, None, flags)
    _checked(-1 if address == ctypes.c_void_p(-1).value else 0)
    return address


def detach(address):
    _checked(libc.shmdt(address))


@contextlib.contextmanager
def attached(shmid, flags=0):
    """Attached to this process for as long as the block runs; gives the address."""
    address = attach(shmid, flags)
    try:
        yield address
    finally:
        detach(address)


def write(shmid, data):
    with attached(shmid) as address:
        ctypes.memmove(address, data, len(data))


def read(shmid, length):
    with attached(shmid, SHM_RDONLY) as address:
        return ctypes.string_at(address, length)


def _stat_of(shmid, ds):
    perm = ds.perm
    return Stat(
        shmid=shmid,
        key=perm.key,
        size=ds.segsz,
        uid=perm.uid,
        gid=perm.gid,
        cuid=perm.cuid,
        cgid=perm.cgid,
        mode=perm.mode,
        cpid=ds.cpid,
        lpid=ds.lpid,
        nattch=ds.nattch,
    )


def stat(shmid):
    """IPC_STAT: needs read permission. `mode` is raw, with SHM_DEST and SHM_LOCKED."""
    ds = _ShmidDs()
    _control(shmid, _IPC_STAT, ds)
    return _stat_of(shmid, ds)


def stat_any(index):
    """SHM_STAT_ANY: whatever has that slot, with the shmid it really has."""
    ds = _ShmidDs()
    shmid = _control(index, _SHM_STAT_ANY, ds)
    return _stat_of(shmid, ds)


def set_owner(shmid, uid, gid, mode):
    """IPC_SET."""
    ds = _ShmidDs()
    ds.perm.uid, ds.perm.gid, ds.perm.mode = uid, gid, mode
    _control(shmid, _IPC_SET, ds)


def remove(shmid):
    _control(shmid, _IPC_RMID)


def lock(shmid):
    _control(shmid, _SHM_LOCK)


def info():
    buffer = _ShmInfo()
    max_index = _control(0, _SHM_INFO, buffer)
    return Info(max_index, buffer.used_ids, buffer.shm_tot, buffer.shm_rss)


def limits():
    buffer = _Shminfo()
    _control(0, _IPC_INFO, buffer)
    return Limits(buffer.shmmax, buffer.shmmni, buffer.shmall)


def proc_table():
    """/proc/sysvipc/shm: shmid -> row, a dict by the columns' names."""
    with open("/proc/sysvipc/shm", encoding="ascii") as table:
        columns = table.readline().split()
        rows = [dict(zip(columns, line.split())) for line in table]
    return {int(row["shmid"]): row for row in rows}


def exists(shmid):
    return shmid in proc_table()


def sysctl(name, value=None):
    """Reads kernel.NAME of this IPC namespace, or writes it."""
    path = f"/proc/sys/kernel/{name}"
    if value is None:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{value}\n")
    return value


def create_with_shmid(shmid, size, mode=0o600):
    """A new segment that reuses the id SHMID, whose slot must be free."""
    sysctl("shm_next_id", shmid)
    return create(size, mode)
