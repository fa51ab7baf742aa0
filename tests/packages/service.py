#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots the system that it runs on, with the packages as they are installed there, in a container with a systemd of its
own, and runs debian/tests/service in it. It ends with 77 where no container can be had, and says why.
"""

import os
import shutil
import sys

_TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(_TOP, "tests", "systemd"), os.path.join(_TOP, "tests", "integration")]

import container  # noqa: E402

_TEST = "/usr/local/lib/shmd-service-test"


def main():
    reason = container.unusable()
    if reason:
        print(reason)
        return 77
    c = container.Container()
    try:
        os.makedirs(os.path.dirname(c.path(_TEST)), exist_ok=True)
        shutil.copy(os.path.join(_TOP, "debian/tests/service"), c.path(_TEST))
        c.start()
        done = c.run(_TEST, check=False)
        print(done.stdout + done.stderr)
        if done.returncode != 0:
            print(c.run("journalctl", "--no-pager", "-n", "40", "-u", "shmd.service", "-u", "shmd.socket",
                        check=False).stdout)
        return 0 if done.returncode == 0 else 1
    finally:
        c.stop()


if __name__ == "__main__":
    sys.exit(main())
