#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hello.py write NAME fills a segment from standard input, hello.py read NAME waits until it is filled and prints it;
in any order, and also when the daemon is killed and started again meanwhile."""

import sys

import shmd

if len(sys.argv) != 3 or sys.argv[1] not in ("write", "read"):
    print("usage: hello.py write|read NAME", file=sys.stderr)
    sys.exit(2)
if sys.argv[1] == "write":
    with shmd.publish(sys.argv[2], 4096) as seg:
        sys.stdin.buffer.readinto(seg.buf)
else:
    with shmd.wait(sys.argv[2], readonly=True) as seg:
        print(bytes(seg.buf).rstrip(b"\0").decode(), end="")
