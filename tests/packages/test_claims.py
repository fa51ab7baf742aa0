# SPDX-License-Identifier: MIT
"""What `make install` installs is in a package: in one of debian/*.install or in a %files of the spec, and these name
nothing that is not installed. A package is built only now and then, so this tells it with the change that forgets it.
"""

import fnmatch
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

_TOP = os.environ["abs_top_srcdir"]
_BUILD = os.environ["abs_top_builddir"]
sys.path.insert(0, os.path.join(_TOP, "tests/integration"))

from tap import main  # noqa: E402

_MACROS = {
    "_sbindir": "usr/sbin", "_bindir": "usr/bin", "_mandir": "usr/share/man", "_docdir": "usr/share/doc",
    "_libdir": "usr/lib", "_includedir": "usr/include", "_datadir": "usr/share", "_unitdir": "usr/lib/systemd/system",
    "_userunitdir": "usr/lib/systemd/user", "_userpresetdir": "usr/lib/systemd/user-preset",
    "_sysusersdir": "usr/lib/sysusers.d", "_tmpfilesdir": "usr/lib/tmpfiles.d", "_sysconfdir": "etc", "name": "shmd",
}  # fmt: skip


def debian():
    """The patterns of debian/, as paths below / without the directory of the architecture."""
    patterns = []
    for path in (*glob.glob(os.path.join(_TOP, "debian/*.install")), os.path.join(_TOP, "debian/not-installed")):
        with open(path, encoding="utf-8") as file:
            patterns += [line.split()[0] for line in file if line.strip() and not line.startswith("#")]
    # debian/rules installs the units from where this release of Debian has them.
    return [pattern.replace("usr/lib/*/", "usr/lib/") for pattern in patterns] + ["usr/lib/systemd/system"]


def spec():
    with open(os.path.join(_TOP, "contrib/shmd.spec"), encoding="utf-8") as file:
        text = file.read()
    lines = [line for part in re.split(r"(?m)^%files.*$", text)[1:] for line in
             re.split(r"(?m)^%\w+$", part)[0].splitlines()]
    # Without the licence, which %license takes from the source, and the directories that %install makes.
    lines = [re.sub(r"^%(doc|exclude) ", "", line) for line in lines if not line.startswith(("%license", "%dir"))]
    removed = re.findall(r"(?m)^rm %\{buildroot\}(\S+)$", text)
    paths = [re.sub(r"%\{(\w+)\}", lambda match: _MACROS.get(match[1], match[0]), line).strip("/")
             for line in (*lines, *removed) if line]
    # Only configure --with-python installs that.
    return [path for path in paths if "python3_sitelib" not in path]


def claims(pattern, path):
    """As both formats mean it: a file, a pattern, or a directory with all in it."""
    return fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(path, pattern + "/*")


def faults(patterns, installed):
    for path in installed:
        if not any(claims(pattern, path) for pattern in patterns):
            yield f"{path} is in no package"
    for pattern in patterns:
        if not any(claims(pattern, path) for path in installed):
            yield f"{pattern} is nothing that is installed"


class Claims(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(_BUILD, "Makefile"), encoding="utf-8") as file:
            prefix = re.search(r"(?m)^prefix = (.*)$", file.read())[1].strip("/")
        directory = tempfile.mkdtemp(prefix="shmd-test-")
        try:
            subprocess.run(["make", "-s", "-C", _BUILD, "install", f"DESTDIR={directory}"], check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           env={key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS")})
            paths = [os.path.relpath(os.path.join(place, name), directory)
                     for place, _, names in os.walk(directory) for name in names]
        finally:
            shutil.rmtree(directory)
        cls.installed = [re.sub(rf"^{re.escape(prefix)}/", "usr/", path) for path in paths]
        # A build may be configured without units, and with the Python package.
        cls.has_units = any("systemd/system/" in path for path in cls.installed)
        cls.installed = [path for path in cls.installed if "-packages/" not in path]

    def check(self, patterns):
        if not self.has_units:
            self.skipTest("this build installs no units")
        self.assertEqual(list(faults(patterns, self.installed)), [])

    def test_debian(self):
        if not os.path.isdir(os.path.join(_TOP, "debian")):
            self.skipTest("a release has no debian/")
        self.check(debian())

    def test_spec(self):
        self.check(spec())

    def test_both_kinds_of_fault_are_found(self):
        self.assertEqual(list(faults(["usr/bin/a", "usr/doc"], ["usr/bin/a", "usr/doc/b"])), [])
        self.assertEqual(list(faults(["usr/bin/a"], ["usr/bin/a", "usr/bin/b"])), ["usr/bin/b is in no package"])
        self.assertEqual(list(faults(["usr/bin/*"], [])), ["usr/bin/* is nothing that is installed"])


if __name__ == "__main__":
    main()
