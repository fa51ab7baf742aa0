#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does by hand what contrib/Containerfile says, on a fresh Debian; then runs the daemon as the image does, and what
docs/containers.md runs in it. Both stages are the same system. It changes the system that it runs on, so that
should be one of tests/fresh/run.sh: its way `image`.
"""

import glob
import os
import shutil
import subprocess
import sys
import time

import containerfile

DEADLINE = 120


class Builder:
    def __init__(self):
        self._directory = "/"
        self._environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                             "LC_ALL": "C.UTF-8"}

    def FROM(self, _):
        self._directory = "/"

    def ENV(self, argument):
        name, value = argument.split("=", 1)
        self._environment[name] = value

    def WORKDIR(self, argument):
        os.makedirs(argument, exist_ok=True)
        self._directory = argument

    def COPY(self, argument):
        *options, source, target = argument.split()
        context = "/" if options else containerfile.TOP
        for path in glob.glob(os.path.join(context, source.lstrip("/"))):
            if os.path.isdir(path):
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(path, target, symlinks=True)
            else:
                shutil.copy(path, target)

    def RUN(self, argument):
        # -e: a line ends at the first failure anyhow, for its commands are joined by &&.
        subprocess.run(["sh", "-ec", argument], cwd=self._directory, env=self._environment, check=True,
                       stdin=subprocess.DEVNULL)

    def start(self):
        """As the user of the image, its program."""
        user = containerfile.last("USER")
        return subprocess.Popen(["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--",
                                 *containerfile.entrypoint()], stdin=subprocess.DEVNULL, cwd="/")


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"waited in vain until {what}")
        time.sleep(0.1)


def main():
    builder = Builder()
    for instruction, argument in containerfile.instructions():
        print(f"{instruction} {argument}", flush=True)
        if hasattr(Builder, instruction):
            getattr(builder, instruction)(argument)
    daemon = builder.start()
    try:
        arguments = containerfile.entrypoint()
        socket = arguments[arguments.index("--socket") + 1]
        wait_until(lambda: os.path.exists(socket) or daemon.poll() is not None, "there is a socket")
        for options, image, command in containerfile.podman_commands():
            if "--entrypoint" in options:
                command = [options[options.index("--entrypoint") + 1], *command]
            if command:
                print("$", *command, flush=True)
                # Any user of a container.
                subprocess.run(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--", *command],
                               check=True, stdin=subprocess.DEVNULL, cwd="/")
        subprocess.run(["python3", "-c", "import shmd; shmd.publish('frames', 4096, lifetime='process').ready()"],
                       check=True, stdin=subprocess.DEVNULL, cwd="/")
    finally:
        daemon.terminate()
        daemon.wait(DEADLINE)
    return daemon.returncode


if __name__ == "__main__":
    sys.exit(main())
