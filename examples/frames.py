#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures from one process to any number of others, without a copy.

    frames.py produce NAME [COUNT]    publishes COUNT pictures, one after the other
    frames.py consume NAME [COUNT]    prints the brightness of COUNT pictures as they come

A reader finds a whole picture or none: each is filled before it takes the name. Old ones go when their
last reader has detached them. All of them go with the producer, because it alone holds them.
"""

import sys
import time

import numpy as np

import shmd

SHAPE = (480, 640)
PIXELS = SHAPE[0] * SHAPE[1]


def produce(name, count):
    for number in range(1, count + 1):
        with shmd.publish(name, PIXELS, lifetime="process", labels={"number": str(number)}) as seg:
            picture = np.frombuffer(seg.buf, dtype=np.uint8).reshape(SHAPE)
            picture[:] = number % 256
            del picture  # a block cannot detach what is in use
        time.sleep(0.05)
    print("produced", count, flush=True)
    sys.stdin.readline()


def consume(name, count):
    last = 0
    changes = shmd.events(name, kinds=["ready", "created"])  # before the first look: no picture is missed
    while last < count:
        with shmd.wait(name, timeout=60, readonly=True) as seg:
            number = int(seg.info.labels["number"])
            if number > last:
                print(number, np.frombuffer(seg.buf, dtype=np.uint8).mean(), flush=True)
        if number > last:
            last = number
        else:
            changes.get(timeout=60)


if __name__ == "__main__":
    role, name, *more = sys.argv[1:]
    {"produce": produce, "consume": consume}[role](name, int(more[0]) if more else 10)
