#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a request costs the daemon, counted: instructions, allocations and system calls.

    costs.py SHMD                      a table of all three
    costs.py SHMD --check BASELINE     fails when a request takes more instructions than the baseline says
    costs.py SHMD --write BASELINE     measures the baseline anew

Instructions and allocations are callgrind's count, system calls strace's. Each is the difference between
a run with many requests, one at a time, and a run without them, so that the start and the end do not
count. What depends on the clock is left out: logging is off, and of the instructions neither reading the
kernel's table of resident memory counts (stat does it at most 32 times a second) nor looking for reports in
the midst of a turn, which only a slow daemon does.

Counts are the same on any machine with the same compiler and libraries, which the baseline names. With
others, or without valgrind, nothing is checked, and the output says why.
"""

import argparse
import ctypes
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CLONE_NEWIPC = 0x08000000
SLACK = 0.03
LEFT_OUT = ("linux_resident", "take_reports_meanwhile")
ALLOCATORS = ("malloc", "calloc", "realloc", "reallocarray")
TIMES, PAGE = 400, 100
REQUESTS = ("stat", "create", "remove", "list")


def skip(reason):
    print(f"skipped: {reason}")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


# --- the daemon and its one client


class Daemon:
    """Runs in front of WRAPPER; counts begin before it starts and end after it has ended."""

    def __init__(self, program, directory, wrapper, preload):
        path = os.path.join(directory, "shmd.sock")
        state = os.path.join(directory, "state")
        config = os.path.join(directory, "shmd.conf")
        os.mkdir(state)
        with open(config, "w", encoding="ascii") as file:
            file.write("reconcile_ms = 3600000\nlog_level = error\n")
        self.process = subprocess.Popen(
            wrapper + [program, "--socket", path, "--state-dir", state, "--config", config],
            stderr=subprocess.PIPE, env=dict(os.environ, LD_PRELOAD=preload))
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("costs.py: the daemon did not start: " + self.process.stderr.read().decode())
                time.sleep(0.01)
        self.answers = self.socket.makefile()

    def ask(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        self.socket.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        answer = self.answers.readline()
        if '"result"' not in answer:
            sys.exit(f"costs.py: {method}: {answer}")

    def stop(self):
        self.answers.close()
        self.socket.close()
        # With strace in front, the daemon is its child.
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(children, encoding="ascii") as file:
            pids = [int(pid) for pid in file.read().split()] or [self.process.pid]
        os.kill(pids[0], signal.SIGTERM)
        self.process.stderr.read()
        self.process.wait()


def converse(daemon, request):
    """All kinds of requests, to warm up, and TIMES times what is counted."""
    for i in range(PAGE):
        daemon.ask("create", name=f"stays{i:03}", size=4096)
    for i in range(TIMES):
        daemon.ask("create", name=f"comes{i:03}", size=4096)
    for i in range(TIMES):
        daemon.ask("remove", name=f"comes{i:03}")
    for i in range(20):
        daemon.ask("stat", name="stays000")
        daemon.ask("list", limit=PAGE)
    for i in range(TIMES if request else 0):
        if request == "stat":
            daemon.ask("stat", name="stays000")
        elif request == "list":
            daemon.ask("list", limit=PAGE)
        else:
            daemon.ask("create", name=f"again{i:03}", size=4096)
    for i in range(TIMES if request == "remove" else 0):
        daemon.ask("remove", name=f"again{i:03}")


def run(program, request, wrapper, preload=""):
    """RET: what the wrapper wrote to the file that stands for {} in its command."""
    with tempfile.TemporaryDirectory(prefix="shmd-costs-") as directory:
        output = os.path.join(directory, "output")
        daemon = Daemon(program, directory, [word.format(output) for word in wrapper], preload)
        converse(daemon, request)
        daemon.stop()
        with open(output, encoding="utf-8") as file:
            return file.read()


# --- what is counted


def count_instructions(text):
    """Of callgrind's file: instructions and allocations."""
    names, caller, called = {}, "", ""
    total = left_out = allocations = 0
    lines = iter(text.splitlines())
    for line in lines:
        function = re.match(r"(c?)fn=\((\d+)\)(?: (.*))?", line)
        if function:
            if function[3]:
                names[function[2]] = function[3].strip()
            if function[1]:
                called = names[function[2]]
            else:
                caller = names[function[2]]
        elif line.startswith("calls="):
            times, cost = int(line[len("calls="):].split()[0]), int(next(lines).split()[1])
            left_out += cost if called in LEFT_OUT else 0
            # glibc's realloc() of nothing calls malloc().
            allocations += times if called in ALLOCATORS and caller not in ALLOCATORS else 0
        elif line.startswith("totals:"):
            total = int(line.split()[1])
    return total - left_out, allocations


def count_system_calls(text):
    """Of strace's table: calls, by name."""
    calls = {}
    for line in text.splitlines():
        columns = line.split()
        if len(columns) >= 5 and columns[0][0].isdigit() and columns[-1] != "total":
            calls[columns[-1]] = int(columns[3])
    return calls


def per_request(measure):
    """By request, the difference that TIMES of it make."""
    before = measure(None)
    after = {request: measure(request) for request in REQUESTS}
    return before, after


def costs_by_callgrind(program):
    wrapper = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file={}"]
    clock = os.path.join(os.path.dirname(program) or ".", "tests/bench/.libs/slow_clock.so")
    if not os.path.exists(clock):
        skip("slow_clock.so was not built: there are no shared libraries")
    before, after = per_request(
        lambda request: count_instructions(run(program, request, wrapper, os.path.abspath(clock))))
    costs = {}
    for request in REQUESTS:
        base = after["create"] if request == "remove" else before
        costs[request] = [(now - then) / TIMES for now, then in zip(after[request], base)]
    return costs


def costs_by_strace(program):
    wrapper = ["strace", "-c", "-o", "{}"]
    before, after = per_request(lambda request: count_system_calls(run(program, request, wrapper)))
    costs = {}
    for request in REQUESTS:
        base = after["create"] if request == "remove" else before
        costs[request] = {name: (n - base.get(name, 0)) / TIMES for name, n in after[request].items()}
    return costs


# --- the baseline


def version(command):
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return output.splitlines()[0].strip() if output else "none"


def toolchain(build):
    """What decides how many instructions a request takes, besides the source."""
    config = subprocess.run([os.path.join(build, "config.status"), "--config"], capture_output=True, text=True,
                            check=True).stdout
    with open(os.path.join(build, "Makefile"), encoding="utf-8") as file:
        makefile = file.read()
    compiler = re.search(r"^CC = (.*)$", makefile, re.M)[1].split()
    flags = re.search(r"^CFLAGS = (.*)$", makefile, re.M)[1]
    if "sanitizers" in config or "coverage" in config:
        skip("a build with sanitizers or coverage has other instructions")
    libraries = [version(["pkg-config", "--modversion", name]) for name in ("libevent_core", "jansson")]
    return (f"{version([word for word in compiler if word != 'ccache'] + ['--version'])}; {flags}; "
            f"{' '.join(platform.libc_ver())}; libevent {libraries[0]}; jansson {libraries[1]}; "
            f"{platform.machine()}")


def write_baseline(path, tools, counts):
    with open(path, "w", encoding="ascii") as file:
        file.write("# Instructions that the daemon takes for a request; `make check-instructions` compares them,\n"
                   "# `make baseline-instructions` writes them. They hold for:\n")
        file.write(tools + "\n")
        for request, count in counts.items():
            file.write(f"{request} {count:.0f}\n")


def read_baseline(path):
    with open(path, encoding="ascii") as file:
        lines = [line.strip() for line in file if not line.startswith("#")]
    return lines[0], {request: int(count) for request, count in (line.split() for line in lines[1:])}


def check(path, tools, measure):
    wanted_tools, wanted = read_baseline(path)
    if tools != wanted_tools:
        skip(f"the baseline holds for\n  {wanted_tools}\nand this is\n  {tools}")
    failed = 0
    for request, count in measure().items():
        part = count / wanted[request] - 1
        verdict = "good"
        if part > SLACK:
            verdict = f"TOO MANY: more than {SLACK:.0%} above the baseline"
            failed += 1
        elif part < -SLACK:
            verdict = "good, and so much less that the baseline should say so (make baseline-instructions)"
        print(f"{request:8}{count:10,.0f}{wanted[request]:10,}{part:+8.1%}  {verdict}")
    print(f"{len(wanted) - failed} passed, {failed} failed")
    return failed


def print_table(program):
    by_callgrind, by_strace = costs_by_callgrind(program), {}
    if shutil.which("strace"):
        by_strace = costs_by_strace(program)
    print("| | instructions | allocations | system calls | |\n|---|---:|---:|---:|---|")
    for request, (instructions, allocations) in by_callgrind.items():
        calls = {name: n for name, n in by_strace.get(request, {}).items() if n >= 0.05}
        names = ", ".join(f"{name} {n:.0f}" if n > 0.95 else f"{name} {n:.1f}"
                          for name, n in sorted(calls.items(), key=lambda item: -item[1]))
        title = f"a page of {PAGE} of list" if request == "list" else request
        print(f"| {title} | {instructions:,.0f} | {allocations:.2f} | {sum(calls.values()):.1f} | {names} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shmd")
    parser.add_argument("--check", metavar="BASELINE")
    parser.add_argument("--write", metavar="BASELINE")
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.shmd)
    if not shutil.which("valgrind"):
        skip("valgrind is not installed")
    if ctypes.CDLL(None).unshare(CLONE_NEWIPC) != 0:
        skip("it needs an IPC namespace of its own, which takes root")
    if not arguments.check and not arguments.write:
        print_table(program)
        return 0
    tools = toolchain(os.path.dirname(program))

    def measure():
        return {request: cost[0] for request, cost in costs_by_callgrind(program).items()}

    if arguments.write:
        write_baseline(arguments.write, tools, measure())
        return 0
    return check(arguments.check, tools, measure) != 0


if __name__ == "__main__":
    sys.exit(main())
