# SPDX-License-Identifier: MIT
"""An X server, and a client that shows a segment of shmd through the extension MIT-SHM."""

import ctypes
import ctypes.util
import os
import re
import subprocess

from real import RealCase, lacks, main, needs_a_uid_of_its_own, sysv, wait_until

WIDTH, HEIGHT = 64, 32

# Puts the first line of the segment ARGV[1] on the screen, prints what the screen shows then, and
# stays until standard input ends.
CLIENT = """
import ctypes, sys
from ctypes import byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p

x11, xext, libc = (ctypes.CDLL(name) for name in sys.argv[2:])
WIDTH, HEIGHT, Z_PIXMAP, ALL_PLANES = 64, 32, 2, c_ulong(-1)

class ShmInfo(ctypes.Structure):
    _fields_ = [("shmseg", c_ulong), ("shmid", c_int), ("shmaddr", c_void_p), ("read_only", c_int)]

class Image(ctypes.Structure):
    _fields_ = [("width", c_int), ("height", c_int), ("xoffset", c_int), ("format", c_int),
                ("data", c_void_p), ("orders", c_int * 5), ("bytes_per_line", c_int)]

for function in (x11.XOpenDisplay, x11.XDefaultVisual, x11.XDefaultGC, xext.XShmCreateImage,
                 x11.XGetImage, libc.shmat):
    function.restype = c_void_p
x11.XDefaultRootWindow.restype = x11.XGetPixel.restype = c_ulong
libc.shmat.argtypes = [c_int, c_void_p, c_int]
xext.XShmCreateImage.argtypes = [c_void_p, c_void_p, c_uint, c_int, c_void_p, c_void_p, c_uint, c_uint]
xext.XShmAttach.argtypes = [c_void_p, c_void_p]
xext.XShmPutImage.argtypes = [c_void_p, c_ulong, c_void_p, c_void_p, *[c_int] * 4, c_uint, c_uint, c_int]
x11.XGetImage.argtypes = [c_void_p, c_ulong, c_int, c_int, c_uint, c_uint, c_ulong, c_int]
x11.XGetPixel.argtypes = [c_void_p, c_int, c_int]
x11.XSync.argtypes = [c_void_p, c_int]
x11.XDefaultVisual.argtypes = x11.XDefaultGC.argtypes = [c_void_p, c_int]
x11.XDefaultRootWindow.argtypes = [c_void_p]

display = x11.XOpenDisplay(None)
assert display, "no display"
root = x11.XDefaultRootWindow(display)
info = ShmInfo(shmid=int(sys.argv[1]))
info.shmaddr = libc.shmat(info.shmid, None, 0)
image = xext.XShmCreateImage(display, x11.XDefaultVisual(display, 0), 24, Z_PIXMAP, None,
                             byref(info), WIDTH, HEIGHT)
Image.from_address(image).data = info.shmaddr
assert xext.XShmAttach(display, byref(info))
xext.XShmPutImage(display, root, x11.XDefaultGC(display, 0), image, 0, 0, 0, 0, WIDTH, HEIGHT, 0)
x11.XSync(display, 0)
shown = x11.XGetImage(display, root, 0, 0, WIDTH, HEIGHT, ALL_PLANES, Z_PIXMAP)
print(*(hex(x11.XGetPixel(shown, x, 0) & 0xffffff) for x in range(4)), flush=True)
sys.stdin.readline()
"""

_CLONE_NEWNS, _MS_REC_PRIVATE = 0x00020000, 0x44000


def enter_private_tmp():
    """What an X server leaves in /tmp when it is killed is in its own /tmp."""
    libc = sysv.libc
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "no mount namespace")
    for source, target, kind, flags in ((b"none", b"/", None, _MS_REC_PRIVATE),
                                        (b"none", b"/tmp", b"tmpfs", 0)):
        if libc.mount(source, target, kind, ctypes.c_ulong(flags), None) != 0:
            raise OSError(ctypes.get_errno(), "no private /tmp")


class Xvfb(RealCase):
    def setUp(self):
        super().setUp()
        self.xvfb = self.need("Xvfb")

    def start_server(self, *options):
        """The server, and the number of its display. Clients reach it by the abstract socket."""
        read, write = os.pipe()
        server = self.start_real(
            self.xvfb, "-displayfd", str(write), "-screen", "0", "320x200x24", "-nolisten", "tcp",
            "-noreset", *options, prepare=enter_private_tmp, pass_fds=(write,),
            stderr=subprocess.PIPE)
        os.close(write)
        with os.fdopen(read, encoding="ascii") as display:
            number = display.readline().strip()
        self.assertTrue(number, "Xvfb has ended")
        return server, number

    def test_an_image_in_a_segment_of_shmd(self):
        libraries = [ctypes.util.find_library(name) for name in ("X11", "Xext", "c")]
        if not all(libraries):
            self.skipTest(lacks("libXext"))
        server, number = self.start_server()
        made = self.client.create(name="image", size=WIDTH * HEIGHT * 4)
        pixels = (0x112233, 0xFF0000, 0, 0xABCDEF)
        self.ctl("write", "image", data=b"".join(value.to_bytes(4, "little") for value in pixels))
        # From now on it lasts as long as somebody has it attached.
        self.client.call("set", name="image", lifetime="attached")
        python = self.need("python3")
        client = self.start_real(
            "/usr/bin/env", f"DISPLAY=:{number}", python, "-c", CLIENT, str(made["shmid"]),
            *libraries, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(client.stdout.readline().split(), [hex(value) for value in pixels])
        now = self.client.stat(name="image")
        self.assertEqual((now["nattch"], now["last_pid"]), (2, server.pid))
        client.kill()
        client.wait()
        # The server lets go of what a client that is gone had it attach.
        wait_until(lambda: made["shmid"] not in sysv.proc_table(), "the segment is gone")
        self.refused("NoSuchSegment", self.client, "stat", name="image")
        self.assertIsNone(server.poll())

    @needs_a_uid_of_its_own
    def test_the_screen_that_a_killed_server_has_left(self):
        server, _ = self.start_server("-shmem")
        said = (re.fullmatch(r"screen 0 shmid (\d+)\n", line) for line in server.stderr)
        shmid = int(next(filter(None, said))[1])
        self.assertEqual(self.foreign()[shmid]["creator"]["pid"], server.pid)
        self.assertEqual(self.gc("--remove", "--left"), {})
        self.assertTrue(self.is_there(shmid))
        server.kill()
        server.wait()
        self.assertEqual(self.gc("--remove"), {shmid: ("leaked", "removed")})


main()
