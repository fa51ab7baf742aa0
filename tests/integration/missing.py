# SPDX-License-Identifier: MIT
"""What this machine lacks. A test that is skipped for want of a program or a module says so in these words alone,
for .ci/run fails on them, and each package that they name is one that quickstart or .ci/run installs."""

import importlib
import shutil
import sys

# What is asked for, and the package of Debian that has it.
PACKAGES = {
    "bash": "bash",
    "c++": "g++",
    "cc": "gcc",
    "fish": "fish",
    "ipcmk": "util-linux",
    "jq": "jq",
    "lsipc": "util-linux",
    "mandoc": "mandoc",
    "mount": "mount",
    "nc": "netcat-openbsd",
    "node": "nodejs",
    "npm": "npm",
    "nsenter": "util-linux",
    "php": "php-cli",
    "perl": "perl",
    "pkg-config": "pkg-config",
    "promtool": "prometheus",
    "python3": "python3",
    "rpmlint": "rpmlint",
    "rpmspec": "rpm",
    "setpriv": "util-linux",
    "socat": "socat",
    "strace": "strace",
    "systemd": "systemd",
    "systemd-nspawn": "systemd-container",
    "systemd-socket-activate": "systemd",
    "tmux": "tmux",
    "unshare": "util-linux",
    "zsh": "zsh",
    # programs of other people
    "initdb": "postgresql",
    "postgres": "postgresql",
    "psql": "postgresql",
    "Xvfb": "xvfb",
    # modules and libraries
    "IPC::SharedMem": "perl",
    "IPC::Shareable": "libipc-shareable-perl",
    "libXext": "libxext6",
    "mypy": "mypy",
    "numpy": "python3-numpy",
    "pam_systemd": "libpam-systemd",
    "prometheus_client": "python3-prometheus-client",
    "Qt5Core": "qtbase5-dev",
    "setuptools with wheel": "python3-setuptools python3-wheel",
    "sysv_ipc": "python3-sysv-ipc",
    "test._test_multiprocessing": "libpython%d.%d-testsuite" % sys.version_info[:2],
    "yaml": "python3-yaml",
}

_OF_DEBIAN = "/usr/lib/python3/dist-packages"


def lacks(what):
    """The reason to skip."""
    return f"{what} is not installed (Debian: {PACKAGES[what]})"


def need(test, *programs):
    """The path of the last one of PROGRAMS; without one of them TEST is skipped."""
    path = None
    for program in programs:
        path = shutil.which(program)
        if path is None:
            test.skipTest(lacks(program))
    return path


def find_module(name):
    """The module NAME, or None. Debian's packages put it where Debian's python3 looks, and the one that runs this
    may be another: a module without a compiled part is good for both."""
    for places in ((), (_OF_DEBIAN,)):
        sys.path.extend(places)
        try:
            return importlib.import_module(name)
        except ImportError:
            pass
        finally:
            del sys.path[len(sys.path) - len(places) :]
    return None
