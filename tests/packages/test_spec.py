# SPDX-License-Identifier: MIT
"""contrib/shmd.spec, as Debian's rpm and rpmlint read it: it can be parsed, says the version of the tree, and rpmlint
has nothing to say about it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

_TOP = os.environ["abs_top_srcdir"]
sys.path.insert(0, os.path.join(_TOP, "tests/integration"))

from missing import need  # noqa: E402
from tap import main  # noqa: E402

_SPEC = os.path.join(_TOP, "contrib/shmd.spec")
_FILTERS = os.path.join(_TOP, "contrib/shmd.rpmlintrc")
# Of systemd-rpm-macros and python3-devel, which the spec asks for and Debian does not have.
_OF_FEDORA = {"sysusers_create_compat", "systemd_post", "systemd_preun", "systemd_postun_with_restart",
              "tmpfiles_create", "_sysusersdir", "_tmpfilesdir", "_unitdir", "_userpresetdir", "_userunitdir",
              "python3_sitelib"}  # fmt: skip
# What rpm itself reads.
_OF_RPM = {"package", "description", "prep", "build", "install", "check", "pre", "post", "preun", "postun", "files",
           "license", "doc", "dir", "exclude", "changelog"}  # fmt: skip


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})


class Spec(unittest.TestCase):
    def planted(self, old, new):
        directory = tempfile.mkdtemp(prefix="shmd-test-")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "shmd.spec")
        text = read(_SPEC)
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new, 1))
        return path

    def test_rpm_expands_it(self):
        need(self, "rpmspec")
        done = run("rpmspec", "-P", _SPEC)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        left = set(re.findall(r"%\{?\??(\w+)", done.stdout))
        self.assertEqual(left - _OF_RPM - _OF_FEDORA, set())
        self.assertIn("%configure", read(_SPEC))
        self.assertRegex(done.stdout, r"(?m)^\s*--prefix=/usr\b", "%configure is expanded")

    def test_it_names_what_it_makes(self):
        need(self, "rpmspec")
        done = run("rpmspec", "-q", "--queryformat", "%{name} %{version} %{license}\n", _SPEC)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        version = re.search(r"AC_INIT\(\[shmd\], \[(.*?)\]\)", read(os.path.join(_TOP, "configure.ac")))[1]
        names = ("shmd", "shmdctl", "shmd-libs", "shmd-devel", "python3-shmd")
        self.assertEqual(done.stdout.splitlines(), [f"{name} {version} MIT" for name in names])

    def test_rpmlint_has_nothing_to_say(self):
        need(self, "rpmlint")
        done = run("rpmlint", "-r", _FILTERS, _SPEC)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("1 specfiles checked; 0 errors, 0 warnings", done.stdout)

    def test_faults_are_found(self):
        need(self, "rpmspec", "rpmlint")
        self.assertNotEqual(run("rpmspec", "-P", self.planted("Version:        ", "Version: 1 ")).returncode, 0)
        done = run("rpmlint", "-r", _FILTERS, self.planted("%autosetup", "%setup\nrm -rf $RPM_BUILD_ROOT\n%patch7"))
        self.assertNotIn("0 errors, 0 warnings", done.stdout)


if __name__ == "__main__":
    main()
