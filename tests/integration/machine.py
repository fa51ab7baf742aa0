# SPDX-License-Identifier: MIT
"""A machine of its own for a test program: namespaces in which the kernel has no segment, no process
runs but the test's, and no daemon of the machine has left anything.

The segments and the kernel.shm* settings of the machine are never touched, and nothing is left: the
kernel removes the namespaces with their last process, whatever becomes of the test. Without root a
user namespace comes with them, and then there is only one uid to act as.
"""

import ctypes
import os
import signal

import sysv

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID = 0x00020000, 0x08000000, 0x10000000, 0x20000000
_PR_SET_PDEATHSIG = 1
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000

# Where daemons of the machine have their sockets and their configuration.
_PLACES = ("/run/shmd", "/run/user", "/etc/shmd")

sysv.libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _mount(source, target, kind, flags=0, options=None):
    encode = lambda text: None if text is None else text.encode()
    _check(sysv.libc.mount(encode(source), encode(target), encode(kind), flags, encode(options)),
           f"mount {target}")


def enter_private_mounts():
    """Mounts of this process are its own from now on. OSError where that is not allowed."""
    _check(sysv.libc.unshare(_NEWNS), "no private mounts")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)


def _unshare(flags):
    """As root, or else with a user namespace."""
    uid, gid = os.geteuid(), os.getegid()
    if sysv.libc.unshare(flags) == 0:
        return
    _check(sysv.libc.unshare(flags | _NEWUSER), "no private namespaces")
    for file, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{file}", "w", encoding="ascii") as stream:
            stream.write(text)


def _hide_the_machine():
    """The processes and the daemons of the machine cannot be seen from now on."""
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _mount("proc", "/proc", "proc")
    for path in _PLACES:
        if os.path.isdir(path):
            # Open to all, so that it cannot be taken for a daemon's own.
            _mount("tmpfs", path, "tmpfs", 0, "mode=1777")


def _exit_code(status):
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _wait_and_exit(pid):
    """Ends as PID does; a signal to this process goes on to it. Never returns."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os.kill(pid, number))
    os._exit(_exit_code(os.waitpid(pid, 0)[1]))


def _be_init(pid):
    """The first process of a namespace: reaps what has lost its parent, until PID ends."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os.kill(pid, number))
    while True:
        ended, status = os.wait()
        if ended == pid:
            os._exit(_exit_code(status))


def _enter_processes():
    """This process goes on as one of a private pid namespace; its caller waits for it outside."""
    init = os.fork()
    if init:
        _wait_and_exit(init)
    sysv.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    test = os.fork()
    if test:
        _be_init(test)
    _hide_the_machine()


def _can_hide_the_machine():
    """Tried in a child: a container may allow namespaces and not the mount of /proc."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        _unshare(_NEWIPC | _NEWNS | _NEWPID)
        first = os.fork()
        if first:
            os._exit(_exit_code(os.waitpid(first, 0)[1]))
        _hide_the_machine()
        os._exit(0)
    finally:
        os._exit(1)


def _maps_all_ids():
    with open("/proc/self/uid_map", encoding="ascii") as stream:
        return any(int(line.split()[2]) > 65535 for line in stream)


def enter():
    """Enters the namespaces. Returns whether other uids than the own can be taken on, and whether the
    processes of the machine are hidden. OSError when not even the segments can be private."""
    if _can_hide_the_machine():
        _unshare(_NEWIPC | _NEWNS | _NEWPID)
        several_uids = os.geteuid() == 0 and _maps_all_ids()
        _enter_processes()
        return several_uids, True
    _unshare(_NEWIPC)
    return os.geteuid() == 0 and _maps_all_ids(), False
