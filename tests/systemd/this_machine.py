# SPDX-License-Identifier: MIT
"""The machine itself in the place of a container (container.py has the same functions), for a machine
that was made for these tests: they stop its services, make users and fill its IPC namespace.
SHMD_TEST_SYSTEMD=this chooses it, and tests/kernels/boot.py does that in a virtual machine.
"""

import os

import container


def unusable():
    """Why the tests cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.isdir("/run/systemd/system"):
        return "systemd is not the init of this machine"
    return None


class ThisMachine(container.Container):
    def __init__(self):  # nothing is made, so nothing of the container's is
        self.root = ""
        self.pid = os.getpid()

    def start(self):
        container.wait_until(self._is_up, "the machine has booted")
        self.run("systemctl", "restart", "systemd-logind.service")

    def _is_up(self):
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in (
            "running", "degraded")

    def command(self, *command, user=None):
        return [*container.as_user(user), *command]

    def stop(self):
        pass
