#!/usr/bin/env python3
"""The whole of it: hello.py write NAME TEXT, and hello.py read NAME in another terminal, in any order."""

import sys

import shmd

if sys.argv[1] == "write":
    data = sys.argv[3].encode()
    with shmd.publish(sys.argv[2], len(data)) as seg:
        seg.buf[:] = data
else:
    with shmd.wait(sys.argv[2], readonly=True) as seg:
        print(bytes(seg.buf).decode())
