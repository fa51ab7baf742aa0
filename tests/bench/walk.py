#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How far a request walks through the daemon: which functions and files a `create` and a `stat` cross.

    tests/bench/walk.py [--calls] [TREE]

builds TREE (this one, unless it is given) with -finstrument-functions in a directory of its own, sends
the daemon one request at a time, and counts, from the first byte that is read to the end of the turn:

    files       with a function that was entered
    functions   that were entered, each once
    calls       of functions, all
    changes     of file, from one step to the next, where a step enters or leaves a function

--calls prints each call, indented by its depth. Inlining is off, so that a number says how the code is
read and not how it is compiled. It needs a C compiler, addr2line, and what TREE needs to be built.
"""

import argparse
import ctypes
import json
import mmap
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS_MAX = 65536
CLONE_NEWIPC = 0x08000000
REQUESTS = {
    "create": {"name": "frames", "size": 4096, "mode": "0640", "labels": {"app": "bench"}},
    "stat": {"name": "frames"},
    "set": {"name": "frames", "mode": "0600"},
    "remove": {"name": "frames"},
}


def run(command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def build(tree, into):
    """The daemon of TREE, instrumented, and the library that it is loaded with."""
    hooks = os.path.join(into, "walk_hooks.so")
    run(["cc", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-o", hooks, os.path.join(HERE, "walk_hooks.c")])
    source = os.path.join(into, "source")
    shutil.copytree(tree, source, ignore=shutil.ignore_patterns(".git", "build", "autom4te.cache"), symlinks=True)
    os.makedirs(os.path.join(into, "build"))
    if not os.path.exists(os.path.join(source, "configure")):
        run(["./autogen.sh"], cwd=source, stderr=subprocess.DEVNULL)
    for name in ("config.status", "config.h", "Makefile"):
        path = os.path.join(source, name)
        if os.path.exists(path):  # the tree was built in itself
            os.unlink(path)
    flags = "-O0 -g -finstrument-functions -finstrument-functions-exclude-file-list=/usr/"
    run(["../source/configure", f"CFLAGS={flags}"], cwd=os.path.join(into, "build"))
    run(["make", "-j2", "shmd"], cwd=os.path.join(into, "build"))
    return os.path.join(into, "build", "shmd"), hooks


class Walk:
    """The file that walk_hooks.c writes."""

    def __init__(self, path):
        with open(path, "wb") as file:
            file.truncate(16 + 8 * STEPS_MAX)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def begin(self):
        self.map[8:16] = struct.pack("Q", 0)
        self.map[0:8] = struct.pack("Q", 1)

    def end(self):
        """A list of (address, is_left)."""
        self.map[0:8] = struct.pack("Q", 0)
        (count,) = struct.unpack("Q", self.map[8:16])
        if count > STEPS_MAX:
            sys.exit(f"walk.py: {count} steps are more than the {STEPS_MAX} that there is room for")
        steps = struct.unpack(f"{count}Q", self.map[16:16 + 8 * count])
        return [(step >> 1, bool(step & 1)) for step in steps]


def is_idle(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "S"


def wait_until_idle(pid):
    for _ in range(3):  # sleeping, and still so a little later
        while not is_idle(pid):
            time.sleep(0.01)
        time.sleep(0.05)


class Daemon:
    def __init__(self, program, hooks, directory):
        self.walk = Walk(os.path.join(directory, "walk"))
        path = os.path.join(directory, "shmd.sock")
        environment = dict(os.environ, LD_PRELOAD=hooks, WALK_FILE=os.path.join(directory, "walk"))
        state = os.path.join(directory, "state")
        os.makedirs(state)
        config = os.path.join(directory, "shmd.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("reconcile_ms = 3600000\n")
        self.process = subprocess.Popen(
            [program, "--socket", path, "--state-dir", state, "--config", config],
            env=environment, stderr=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("walk.py: the daemon did not start")
                time.sleep(0.01)

    def ask(self, method, params):
        """The steps of one request."""
        text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n"
        wait_until_idle(self.process.pid)
        self.walk.begin()
        self.socket.sendall(text.encode())
        reply = json.loads(self.socket.makefile().readline())
        wait_until_idle(self.process.pid)
        steps = self.walk.end()
        if "error" in reply:
            sys.exit(f"walk.py: {method}: {reply['error']['message']}")
        return steps

    def stop(self):
        self.socket.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def names_of(program, addresses):
    """Address -> (function, file)."""
    elf = os.path.join(os.path.dirname(program), ".libs", "shmd")
    elf = elf if os.path.exists(elf) else program
    text = "\n".join(hex(address) for address in addresses)
    lines = subprocess.run(["addr2line", "-f", "-e", elf], input=text, capture_output=True, text=True,
                           check=True).stdout.splitlines()
    names = {}
    for address, function, place in zip(addresses, lines[0::2], lines[1::2]):
        names[address] = (function, place.split("/source/")[-1].split(":")[0])
    return names


def summarise(steps, names):
    files = [names[address][1] for address, _ in steps]
    entered = {address for address, is_left in steps if not is_left}
    return {
        "files": len({names[address][1] for address in entered}),
        "functions": len(entered),
        "calls": sum(not is_left for _, is_left in steps),
        "changes": sum(a != b for a, b in zip(files, files[1:])),
    }


def print_calls(steps, names):
    depth = 0
    for address, is_left in steps:
        depth -= is_left
        if not is_left:
            function, file = names[address]
            print(f"{'  ' * max(depth, 0)}{function}  {file}")
        depth += not is_left


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", action="store_true", help="print each call")
    parser.add_argument("tree", nargs="?", default=os.path.join(HERE, "..", ".."))
    arguments = parser.parse_args()
    # Segments of its own, where that is allowed.
    ctypes.CDLL(None).unshare(CLONE_NEWIPC)
    with tempfile.TemporaryDirectory(prefix="shmd-walk-") as directory:
        program, hooks = build(os.path.abspath(arguments.tree), directory)
        daemon = Daemon(program, hooks, directory)
        for method, params in (("create", {"name": "warm", "size": 1}), ("stat", {"name": "warm"})):
            daemon.ask(method, params)
        walks = {method: daemon.ask(method, params) for method, params in REQUESTS.items()}
        daemon.stop()
        addresses = sorted({address for steps in walks.values() for address, _ in steps})
        names = names_of(program, addresses)
        print(f"{'':8}{'files':>10}{'functions':>11}{'calls':>8}{'changes':>9}")
        for method, steps in walks.items():
            s = summarise(steps, names)
            print(f"{method:8}{s['files']:>10}{s['functions']:>11}{s['calls']:>8}{s['changes']:>9}")
            if arguments.calls:
                print_calls(steps, names)


if __name__ == "__main__":
    main()
