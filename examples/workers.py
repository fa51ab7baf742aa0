#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A sum by several processes over one array that none of them copies.

    workers.py [PROCESSES [NUMBERS]]

The same program with multiprocessing's own SharedMemory differs in one line, the import. With shmd's the
array goes with the last of these processes, also if all of them are killed.
"""

import multiprocessing
import sys

import numpy as np

from shmd import SharedMemory


def add_up(block, start, stop):
    array = np.frombuffer(block.buf, dtype=np.int64)
    total = int(array[start:stop].sum())
    del array  # what is in use cannot be closed
    block.close()
    return total


def main(processes, count):
    block = SharedMemory(create=True, size=8 * count)
    np.frombuffer(block.buf, dtype=np.int64)[:] = np.arange(count)
    edges = np.linspace(0, count, processes + 1, dtype=int).tolist()
    with multiprocessing.Pool(processes) as pool:
        parts = pool.starmap(add_up, [(block, start, stop) for start, stop in zip(edges, edges[1:])])
    print(sum(parts), "in", len(parts), "parts")
    block.close()
    block.unlink()


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:] or ("4", "1000000")))
