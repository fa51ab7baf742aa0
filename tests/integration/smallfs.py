# SPDX-License-Identifier: MIT
"""A file system that is full when a test says so, in a mount namespace of this process: whatever
becomes of the test, the kernel takes the mount away with its last process.
"""

import ctypes
import os

import sysv
from machine import enter_private_mounts  # for the tests


def _checked(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


class SmallFilesystem:
    """A tmpfs of SIZE bytes on DIRECTORY."""

    def __init__(self, directory, size, uid, gid):
        self._ballast = os.path.join(directory, "ballast")
        self._directory = directory
        options = f"size={size},mode=755,uid={uid},gid={gid}"
        _checked(sysv.libc.mount(b"tmpfs", directory.encode(), b"tmpfs", 0, options.encode()),
                 directory)

    def fill(self):
        """Not a byte is left."""
        with open(self._ballast, "ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    pass  # ENOSPC, as it should be

    def empty(self):
        """There is room again."""
        if os.path.exists(self._ballast):
            os.unlink(self._ballast)

    def unmount(self):
        _checked(sysv.libc.umount2(self._directory.encode(), 2), self._directory)  # MNT_DETACH
