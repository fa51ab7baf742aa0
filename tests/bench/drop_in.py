#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python drop-in beside what it stands in for: shmd.SharedMemory and multiprocessing's.

    SHMD_SOCKET=... PYTHONPATH=client/python drop_in.py ROUNDS TIMES

Prints a line for each thing that is done: its id, what it takes with shmd in microseconds, and how many
times as much that is as with multiprocessing (the medians over the rounds, in which both have their turn).
"""

import statistics
import sys
import time
from multiprocessing import shared_memory

import shmd

SIZE = 1 << 20


def create(kind, times):
    for _ in range(times):
        block = kind(create=True, size=SIZE)
        block.close()
        block.unlink()


def attach(kind, times):
    block = kind(create=True, size=SIZE)
    for _ in range(times):
        other = kind(block.name)
        other.close()
    block.close()
    block.unlink()


def write(kind, times):
    block = kind(create=True, size=SIZE)
    data = bytes(SIZE)
    block.buf[:] = data  # the pages are there
    begin = time.perf_counter_ns()
    for _ in range(times):
        block.buf[:] = data
    took = time.perf_counter_ns() - begin
    block.close()
    block.unlink()
    return took


def read(kind, times):
    block = kind(create=True, size=SIZE)
    block.buf[:] = bytes(SIZE)
    begin = time.perf_counter_ns()
    for _ in range(times):
        bytes(block.buf)
    took = time.perf_counter_ns() - begin
    block.close()
    block.unlink()
    return took


def time_one(what, kind, times):
    """In microseconds for each time; what measures itself leaves out what is before and after."""
    begin = time.perf_counter_ns()
    took = what(kind, times)
    return (took or time.perf_counter_ns() - begin) / times / 1000


def main():
    rounds, times = int(sys.argv[1]), int(sys.argv[2])
    for what in (create, attach, write, read):
        ours, ratios = [], []
        for kind in (shmd.SharedMemory, shared_memory.SharedMemory):
            time_one(what, kind, 1)
        for _ in range(rounds):
            ours.append(time_one(what, shmd.SharedMemory, times))
            ratios.append(ours[-1] / time_one(what, shared_memory.SharedMemory, times))
        print(what.__name__, statistics.median(ours), statistics.median(ratios))


if __name__ == "__main__":
    main()
