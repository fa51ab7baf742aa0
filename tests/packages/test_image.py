# SPDX-License-Identifier: MIT
"""contrib/Containerfile and docs/containers.md name what there is. Whether the image works is seen by
tests/packages/image.py, on a fresh system.
"""

import os
import re
import subprocess
import sys
import unittest

_TOP = os.environ["abs_top_srcdir"]
_BUILD = os.environ["abs_top_builddir"]
sys.path.insert(0, os.path.join(_TOP, "tests/integration"))

from tap import main  # noqa: E402

import containerfile  # noqa: E402


def built(program, *arguments):
    return subprocess.run([os.path.join(_BUILD, program), *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)


class Image(unittest.TestCase):
    def test_stages(self):
        stages, sources = set(), []
        for instruction, argument in containerfile.instructions():
            if instruction == "FROM":
                stages.update(re.findall(r" AS (\w+)$", argument))
            if instruction == "COPY":
                sources.append(re.match(r"(?:--from=(\w+) )?(\S+) (/\S+)$", argument).groups()[:2])
        self.assertEqual([stage for stage, _ in sources if stage not in {None, *stages}], [])
        self.assertEqual([source for stage, source in sources if stage is None], [".git"])

    def test_each_stage_has_what_it_runs(self):
        text = containerfile.text_of("contrib/Containerfile")
        self.assertEqual(containerfile.problems(text), [])
        for old, new, problem in ((" systemd-standalone-sysusers", "", "systemd-sysusers is run"),
                                  ("&& install -d", "&& setfacl -d", "setfacl is run"),
                                  ("--from=build /build/*.deb", "--from=build /srv/*.deb", "/srv/*.deb is copied"),
                                  ("WORKDIR /build/shmd", "WORKDIR /build/other", "git clone"),
                                  ("devscripts dpkg-dev git", "devscripts dpkg-dev", "git is run"),
                                  ("*.deb /tmp/", "*.deb /packages/", "/packages/ has the packages")):
            with self.subTest(new):
                self.assertIn(old, text)
                found = containerfile.problems(text.replace(old, new))
                self.assertTrue(any(problem in line for line in found), found)

    def test_the_stage_that_runs_has_the_debian_of_the_packages(self):
        """Packages of one release need not be installable on another."""
        bases = [stage[0][1].split()[0] for stage in containerfile.stages()]
        self.assertEqual(len(bases), 2)
        self.assertEqual(bases[1], f"{bases[0]}-slim")

    def test_the_packages_have_what_it_runs(self):
        if not os.path.exists(os.path.join(_TOP, "debian")):
            self.skipTest("a release has no debian/")
        installed = containerfile.text_of("debian/shmd.install").split()
        self.assertIn(containerfile.entrypoint()[0][1:], installed)
        self.assertIn("usr/lib/sysusers.d", installed)

    def test_the_program_and_its_options(self):
        program, *arguments = containerfile.entrypoint()
        self.assertEqual(program, "/usr/sbin/shmd")
        there = set(re.findall(r"--[a-z-]+", built("shmd", "--help").stdout))
        self.assertLessEqual({word for word in arguments if word.startswith("--")}, there)

    def test_the_user_and_the_directory(self):
        user, directory = containerfile.last("USER"), containerfile.last("VOLUME")
        self.assertRegex(containerfile.text_of("systemd/shmd.sysusers"), rf"(?m)^u!? {user} ")
        arguments = containerfile.entrypoint()
        self.assertEqual(os.path.dirname(arguments[arguments.index("--socket") + 1]), directory)
        self.assertRegex(containerfile.last("RUN"), rf"install -d -o {user} -g {user} -m 755 {directory} ")

    def test_what_cannot_be_read_is_found(self):
        for text in ("RUN true\n", "FROM x\nRUNN true\n", "FROM x\nRUN\n"):
            with self.assertRaises(ValueError):
                containerfile.instructions(text)


class Page(unittest.TestCase):
    def test_its_commands(self):
        commands = re.findall(r"\bshmdctl ([a-z-]+)\b(?!/)", containerfile.text_of("docs/containers.md"))
        self.assertIn("list", commands)
        for command in commands:
            with self.subTest(command):
                self.assertEqual(built("shmdctl", "help", command).returncode, 0)

    def test_what_is_run_in_the_image(self):
        """Behind the image stand parameters of the daemon, unless there is another entrypoint."""
        found = list(containerfile.podman_commands())
        self.assertGreaterEqual(len(found), 4)
        for options, image, command in found:
            with self.subTest(command):
                if image == "localhost/shmd" and "--entrypoint" not in options:
                    self.assertEqual(command, [])
                else:
                    self.assertIn("shmdctl", (*command[:1], *options))


if __name__ == "__main__":
    main()
