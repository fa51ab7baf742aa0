# SPDX-License-Identifier: MIT
"""The programs of the build that tests run besides the daemon: where they are, as whom they run."""

import glob
import os
import re
import shutil
import subprocess

import harness
from harness import DEADLINE, ROOT, SEVERAL_UIDS

# What shmdctl says when it has no answer after a second.
DELAY = re.compile(rb"(?m)^shmdctl: [^\n]* does not answer yet; waiting for it[^\n]*\n")


def real_program(name):
    """The program itself, not the script that libtool puts before it."""
    build = os.environ["abs_top_builddir"]
    folder, base = os.path.split(os.path.join(build, name))
    real = os.path.join(folder, ".libs", base)
    return real if os.path.exists(real) else os.path.join(build, name)


def skip_beside_other_daemons(test, *users):
    """Skips TEST, in which gc removes segments of USERS: it keeps those of a uid that has a daemon
    which it cannot ask."""
    for directory in ("/run/shmd", *glob.glob("/run/user/*/shmd")):
        if os.path.isdir(directory) and os.stat(directory).st_uid in {user.uid for user in users}:
            test.skipTest(f"{directory} is of a daemon whose segments would be kept")


class Programs:
    """For a TestCase: runs programs that need libshmd, as any user."""

    def where_programs_are(self, name, user=ROOT):
        """The program and the directory of its library. Build trees are often below a home that
        others cannot enter: then these are copies."""
        program = real_program(name)
        library = os.path.join(os.environ["abs_top_builddir"], ".libs")
        if not harness.as_user(user, lambda: os.access(program, os.X_OK)):
            copies = os.path.join(self.directory, "programs")
            os.makedirs(copies, exist_ok=True)
            for original in (program, os.path.join(library, "libshmd.so.0")):
                copy = os.path.join(copies, os.path.basename(original))
                if not os.path.exists(copy):  # one that runs cannot be written
                    shutil.copy(original, copy)
            program, library = os.path.join(copies, os.path.basename(program)), copies
        return program, library

    def popen(self, name, *arguments, user=ROOT, environment=None, **more):
        program, library = self.where_programs_are(name, user)
        inherited = [os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ]
        identity = {}
        if SEVERAL_UIDS and user != ROOT:
            identity = {"user": user.uid, "group": user.gid, "extra_groups": list(user.groups)}
        process = subprocess.Popen(
            [program, *map(str, arguments)],
            env={
                "PATH": os.environ["PATH"],
                "LD_LIBRARY_PATH": ":".join([library, *inherited]),
                "TZ": "UTC",
                **(environment or {}),
            },
            preexec_fn=harness._die_with_parent,
            **{"stdin": subprocess.DEVNULL, **more},
            **identity,
        )
        self.addCleanup(_end, process)
        return process

    def later(self):
        """The environment in which it is an hour later for a program than for the kernel."""
        if harness.is_instrumented():
            self.skipTest("what is loaded before the sanitizers' library ends the program")
        library = os.path.join(os.environ["abs_top_builddir"], "tests/integration/.libs/later.so")
        return {"LD_PRELOAD": shutil.copy(library, self.directory)}

    def run_program(self, name, *arguments, data=None, **more):
        """Runs it to its end; gives exit status, output and error output. That the daemon takes more than a
        second, as it may on a busy machine, is not part of the latter; `waits` has how often it was told."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if data is not None:
            streams["stdin"] = subprocess.PIPE
        process = self.popen(name, *arguments, **{**streams, **more})
        out, err = process.communicate(data, timeout=DEADLINE)
        err, self.waits = DELAY.subn(b"", err or b"")
        return process.returncode, out, err


def _end(process):
    if process.poll() is None:
        process.kill()
    # A child of it that is left and has its output would keep us here.
    process.communicate(timeout=DEADLINE)
