#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a request costs the daemon, counted: instructions, allocations and system calls.

    costs.py SHMD                      a table of all three
    costs.py SHMD --page FILE          the same, in the place of the one that FILE has
    costs.py SHMD --check BASELINE     fails when a request takes more instructions than the baseline says
    costs.py SHMD --write BASELINE     measures the baseline anew, as the median of several times

Instructions and allocations are callgrind's count, system calls strace's. Each is the difference between
a run with many requests, one at a time, and a run without them, so that the start and the end do not
count. What would be another count each time is held: each run has an IPC namespace of its own, the next
request is sent when the daemon sleeps, and same_each_time.c holds clocks, timers and secrets. So the daemon
does not see how slow callgrind and strace make it. Reading the kernel's table of resident memory is not among the
instructions: stat does it a few times a second and not for each request.

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
import statistics
import subprocess
import sys
import tempfile
import time

from plot import put_into_page

CLONE_NEWIPC = 0x08000000
SLACK = 0.03
LEFT_OUT = ("linux_resident",)
ALLOCATORS = ("malloc", "calloc", "realloc", "reallocarray")
PAGE = 100
LABELS = {"app": "bench", "stage": "one"}
BASELINE_TIMES = 5


class Case:
    """TIMES times a request. AFTER: the name of a case whose requests come first and are not counted.
    BAR and GOAL: those of docs/performance.md, for instructions and for system calls."""

    def __init__(self, title, ask, **options):
        self.title, self.ask = title, ask
        self.times = options.get("times", 400)
        self.after = options.get("after")
        self.is_logged = options.get("is_logged", False)
        self.is_told = options.get("is_told", False)
        self.calls_bar, self.calls_goal = options.get("calls", (None, None))


def stat(daemon, _):
    daemon.ask("stat", name="stays000")


def create(daemon, i):
    daemon.ask("create", name=f"again{i:03}", size=4096)


def create_with_labels(daemon, i):
    daemon.ask("create", name=f"again{i:03}", size=4096, labels=LABELS)


def remove(daemon, i):
    daemon.ask("remove", name=f"again{i:03}")


def list_page(daemon, _):
    daemon.ask("list", limit=PAGE)


def hold_and_release(daemon, _):
    daemon.send(call("hold", name="held"), by=1)
    daemon.send(call("release", name="held"), by=1)


def wait(daemon, _):
    daemon.ask("wait", name="stays000")


def batch(daemon, _):
    daemon.send([call("stat", name=f"stays{i:03}") for i in range(10)])


# What is logged is so little that no line is left out: a user may cause a burst of 200 (rpc/log_budget.h).
CASES = {
    "stat": Case("stat", stat, calls=(4, 4)),
    "create": Case("create", create, calls=(11, 10)),
    "remove": Case("remove", remove, after="create", calls=(10, 8)),
    "list": Case(f"a page of {PAGE} of list", list_page),
    "create-logged": Case("create, logged", create, times=60, is_logged=True),
    "remove-logged": Case("remove, logged", remove, times=60, is_logged=True, after="create-logged"),
    "create-told": Case("create, told to a subscriber", create, is_told=True),
    "create-labels": Case("create with two labels", create_with_labels),
    "hold-release": Case("hold and release", hold_and_release),
    "wait": Case("wait for what is ready", wait),
    "batch": Case("a batch of 10 stats", batch),
}
# Of the instructions of several cases together.
BARS = ((("stat",), 9000, 4500), (("create", "remove"), 45000, 25000))


def skip(reason):
    print(f"skipped: {reason}")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def enter_ipc_namespace():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWIPC) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


# --- the daemon and its client


def call(method, **params):
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


class Daemon:
    """Runs behind WRAPPER, and has two clients; counts begin before it starts and end after it has ended."""

    def __init__(self, program, directory, wrapper, is_logged):
        self.path = os.path.join(directory, "shmd.sock")
        self.log = os.path.join(directory, "log")
        state = os.path.join(directory, "state")
        config = os.path.join(directory, "shmd.conf")
        os.mkdir(state)
        with open(config, "w", encoding="ascii") as file:
            file.write(f"reconcile_ms = 3600000\nlog_level = {'info' if is_logged else 'error'}\n")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                wrapper + [program, "--socket", self.path, "--state-dir", state, "--config", config],
                stderr=log, preexec_fn=enter_ipc_namespace)
        self.pid = 0
        self.sockets = []
        self.answers = []
        self.connect()
        self.connect()
        # With strace in front, the daemon is its child.
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(children, encoding="ascii") as file:
            self.pid = ([int(pid) for pid in file.read().split()] or [self.process.pid])[0]

    def connect(self):
        one = socket.socket(socket.AF_UNIX)
        while True:
            try:
                one.connect(self.path)
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("costs.py: the daemon did not start: " + self.read_log())
                time.sleep(0.01)
        self.sockets.append(one)
        self.answers.append(one.makefile())

    def read_log(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def wait_until_it_sleeps(self):
        """Its turn is over then. The answer comes before."""
        while True:
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "S":
                    return
            time.sleep(0.0001)

    def send(self, request, by=0):
        self.wait_until_it_sleeps()
        self.sockets[by].sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        answer = self.answers[by].readline()
        if '"result"' not in answer:
            sys.exit(f"costs.py: {request}: {answer}")

    def ask(self, method, **params):
        self.send(call(method, **params))

    def subscribe(self):
        self.send(call("subscribe"), by=1)

    def read_event(self):
        if '"created"' not in self.answers[1].readline():
            sys.exit("costs.py: no event of what was created")

    def stop(self):
        self.wait_until_it_sleeps()
        for file in self.answers + self.sockets:
            file.close()
        os.kill(self.pid, signal.SIGTERM)
        self.process.wait()


def prepare(daemon, is_logged):
    """All kinds of requests, to warm up."""
    daemon.ask("create", name="held", size=4096, lifetime="connection")
    for i in range(0 if is_logged else PAGE):
        daemon.ask("create", name=f"stays{i:03}", size=4096)
    for i in range(20 if is_logged else 400):
        daemon.ask("create", name=f"comes{i:03}", size=4096)
    for i in range(20 if is_logged else 400):
        daemon.ask("remove", name=f"comes{i:03}")
    for i in range(0 if is_logged else 20):
        stat(daemon, i)
        list_page(daemon, i)
        hold_and_release(daemon, i)
        batch(daemon, i)


def count_lines(daemon, names):
    """Each request of a case that is logged has its line."""
    lines = sum("again" in line for line in daemon.read_log().splitlines())
    wanted = sum(CASES[name].times for name in names)
    if lines != wanted:
        sys.exit(f"costs.py: the log has {lines} lines of {wanted} requests")


def run(program, case, names, wrapper):
    """RET: what the wrapper wrote to the file that stands for {} in its command. The requests are those of
    the cases NAMES, in the circumstances of CASE."""
    with tempfile.TemporaryDirectory(prefix="shmd-costs-") as directory:
        output = os.path.join(directory, "output")
        daemon = Daemon(program, directory, [word.format(output) for word in wrapper], case.is_logged)
        prepare(daemon, case.is_logged)
        if case.is_told:
            daemon.subscribe()
        for name in names:
            for i in range(CASES[name].times):
                CASES[name].ask(daemon, i)
                if case.is_told:
                    daemon.read_event()
        daemon.stop()
        if case.is_logged:
            count_lines(daemon, names)
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


def per_request(program, wrapper, count, subtract):
    """By case, what SUBTRACT makes of the counts of a run with its requests and of one without."""
    counts = {}

    def counts_of(case, names):
        key = (case.is_logged, case.is_told, names)
        if key not in counts:
            counts[key] = count(run(program, case, names, wrapper))
        return counts[key]

    costs = {}
    for name, case in CASES.items():
        before = (case.after,) if case.after else ()
        costs[name] = subtract(counts_of(case, before + (name,)), counts_of(case, before), case.times)
    return costs


def held(program):
    """The library that holds what would be another each time."""
    path = os.path.join(os.path.dirname(program) or ".", "tests/bench/.libs/same_each_time.so")
    if not os.path.exists(path):
        skip("same_each_time.so was not built: there are no shared libraries")
    return os.path.abspath(path)


def costs_by_callgrind(program):
    wrapper = ["env", "LD_PRELOAD=" + held(program), "valgrind", "-q", "--tool=callgrind",
               "--callgrind-out-file={}"]

    def subtract(now, then, times):
        return [(a - b) / times for a, b in zip(now, then)]

    return per_request(program, wrapper, count_instructions, subtract)


def costs_by_strace(program):
    wrapper = ["strace", "-c", "-o", "{}", "-E", "LD_PRELOAD=" + held(program)]

    def subtract(now, then, times):
        return {name: (n - then.get(name, 0)) / times for name, n in now.items()}

    return per_request(program, wrapper, count_system_calls, subtract)


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
        print(f"{request:15}{count:10,.0f}{wanted[request]:10,}{part:+8.1%}  {verdict}")
    print(f"{len(wanted) - failed} passed, {failed} failed")
    return failed


def verdict(value, bar, goal):
    return "**missed**" if value > bar else "met, and the goal" if value <= goal else "met"


def make_table(program):
    by_callgrind, by_strace = costs_by_callgrind(program), {}
    if shutil.which("strace"):
        by_strace = costs_by_strace(program)
    lines = ["| | instructions | allocations | system calls | |", "|---|---:|---:|---:|---|"]
    sums = {}
    for name, (instructions, allocations) in by_callgrind.items():
        calls = {one: n for one, n in by_strace.get(name, {}).items() if n >= 0.005}
        names = ", ".join(f"{one} {n:.2f}".rstrip("0").rstrip(".")
                          for one, n in sorted(calls.items(), key=lambda item: -item[1]))
        sums[name] = sum(calls.values())
        lines.append(f"| {CASES[name].title} | {instructions:,.0f} | {allocations:.2f} | {sums[name]:.1f} | {names} |")
    lines += ["", "| what | figure | bar | goal | |", "|---|---:|---:|---:|---|"]
    for names, bar, goal in BARS:
        figure = sum(by_callgrind[name][0] for name in names)
        lines.append(f"| instructions: {' and '.join(names)} | {figure:,.0f} | {bar:,} | {goal:,} | "
                     f"{verdict(figure, bar, goal)} |")
    for name, case in CASES.items() if by_strace else ():
        if case.calls_bar:
            # To a tenth, as it is printed: some are not made for each request.
            lines.append(f"| system calls: {name} | {sums[name]:.1f} | {case.calls_bar} | {case.calls_goal} | "
                         f"{verdict(round(sums[name], 1), case.calls_bar, case.calls_goal)} |")
    return "\n".join(lines) + "\n"


def measure(program):
    return {name: cost[0] for name, cost in costs_by_callgrind(program).items()}


def measure_several_times(program):
    runs = [measure(program) for _ in range(BASELINE_TIMES)]
    for name in CASES:
        counts = [run[name] for run in runs]
        print(f"{name:15}{min(counts):10,.0f}{max(counts):10,.0f}{max(counts) / min(counts) - 1:8.2%}")
    return {name: statistics.median(run[name] for run in runs) for name in CASES}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shmd")
    parser.add_argument("--check", metavar="BASELINE")
    parser.add_argument("--write", metavar="BASELINE")
    parser.add_argument("--page", metavar="FILE")
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.shmd)
    if not shutil.which("valgrind"):
        skip("valgrind is not installed (Debian: valgrind)")
    try:
        enter_ipc_namespace()
    except OSError:
        skip("it needs an IPC namespace of its own, which takes root")
    if not arguments.check and not arguments.write:
        text = make_table(program)
        if arguments.page:
            put_into_page(arguments.page, "costs.py", text)
        print(text, end="")
        return 0
    tools = toolchain(os.path.dirname(program))
    if arguments.write:
        write_baseline(arguments.write, tools, measure_several_times(program))
        return 0
    return check(arguments.check, tools, lambda: measure(program)) != 0


if __name__ == "__main__":
    sys.exit(main())
