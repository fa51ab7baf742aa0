# SPDX-License-Identifier: MIT
"""Reloading: the method, the command and SIGHUP. All files are read before anything changes."""

import os
import signal

from harness import (
    ALICE,
    DAEMON,
    ROOT,
    TestCase,
    encode,
    main,
    needs_several_uids,
    wait_until,
)
from programs import Programs


class ReloadCase(Programs, TestCase):
    def setUp(self):
        super().setUp()
        self.files = os.path.join(self.directory, "segments.d")
        os.mkdir(self.files)
        self.daemon = self.start_daemon(config=self.config("max_segments = 100\n"))
        self.admin = self.connect(self.daemon, ROOT)

    def config(self, text):
        return f"segments_dir = {self.files}\n{text}"

    def configure(self, text):
        self.daemon.configure(self.config(text))

    def declare(self, name, text):
        path = os.path.join(self.files, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def max_segments(self):
        return self.admin.call("info")["limits"]["max_segments"]["max"]

    def names(self):
        return sorted(segment["name"] for segment in self.admin.list())

    def sighup(self):
        """SIGHUP, until the daemon has dealt with it."""
        def ends():
            log = self.daemon.log()
            return log.count("configuration is read again") + log.count("reload refused")

        before = ends()
        self.daemon.signal(signal.SIGHUP)
        wait_until(lambda: ends() > before, "the daemon has dealt with SIGHUP")

    def shmdctl(self):
        """Exit status, output and error output of `shmdctl reload`, by an admin."""
        status, out, err = self.run_program("shmdctl", "--socket", self.daemon.socket_path, "reload")
        return status, out.decode(), err.decode()

    def make_errors(self):
        """Files with an error of each kind, and what reload says of them."""
        self.configure("max_segments = 7\nmax_bytes = all\nmax_byte = 1\nnonsense\n")
        conf = self.daemon.config_path
        entry = self.declare("1.json", '[{"name": "new", "size": 1},\n{"name": "b",\n"size": 0}]')
        syntax = self.declare("2.json", '{"name": "c",\n"size": 1,}')
        directory = os.path.join(self.files, "3.json")
        os.mkdir(directory)
        again = self.declare("4.json", '\n{"name": "new", "size": 2}')
        return [(conf, 3, "max_bytes"), (conf, 4, "max_byte"), (conf, 5, ""), (entry, 3, "size"),
                (syntax, 2, ""), (directory, 0, ""), (again, 2, "name")]


class Method(ReloadCase):
    def test_everything_new_comes_into_force(self):
        self.configure("max_segments = 7\n")
        self.declare("a.json", '{"name": "declared", "size": 1}')
        self.assertEqual(self.admin.call("reload"), {})
        self.assertEqual(self.max_segments(), 7)
        self.assertEqual(self.names(), ["declared"])
        self.assertIn("reloading as requested by ", self.daemon.log())

    def test_an_error_leaves_everything_as_it_was(self):
        want = self.make_errors()
        data = self.refused("InvalidConfiguration", self.admin, "reload")
        self.assertEqual([(error["file"], error["line"], error["key"]) for error in data["errors"]],
                         want)
        for error in data["errors"]:
            self.assertEqual(set(error), {"file", "line", "key", "message"})
            self.assertGreater(len(error["message"]), 10)
        self.assertEqual(self.max_segments(), 100)
        self.assertEqual(self.names(), [])
        log = self.daemon.log()
        for file, line, _ in want:
            self.assertIn(f"{file}:{line}: " if line else f"{file}: ", log)

    def test_either_kind_of_file_is_enough(self):
        bad = self.declare("a.json", "[7]")
        self.configure("max_segments = 7\n")
        data = self.refused("InvalidConfiguration", self.admin, "reload")
        self.assertEqual([error["file"] for error in data["errors"]], [bad])
        self.assertEqual(self.max_segments(), 100)
        self.declare("a.json", '{"name": "new", "size": 1}')
        self.configure("max_segments = 7\nmax_waiters = x\n")
        data = self.refused("InvalidConfiguration", self.admin, "reload")
        self.assertEqual([error["file"] for error in data["errors"]], [self.daemon.config_path])
        self.assertEqual(self.names(), [])

    def test_a_directory_that_is_not_there(self):
        os.rmdir(self.files)
        (error,) = self.refused("InvalidConfiguration", self.admin, "reload")["errors"]
        self.assertEqual((error["file"], error["line"], error["key"]),
                         (self.daemon.config_path, 1, "segments_dir"))

    def test_a_file_that_is_gone(self):
        os.unlink(self.daemon.config_path)
        (error,) = self.refused("InvalidConfiguration", self.admin, "reload")["errors"]
        self.assertEqual((error["file"], error["line"], error["key"]),
                         (self.daemon.config_path, 0, ""))

    def test_a_refusal_is_not_remembered(self):
        self.make_errors()
        self.refused("InvalidConfiguration", self.admin, "reload")
        self.configure("max_segments = 7\n")
        for name in os.listdir(self.files):
            path = os.path.join(self.files, name)
            (os.rmdir if os.path.isdir(path) else os.unlink)(path)
        self.assertEqual(self.admin.call("reload"), {})
        self.assertEqual(self.max_segments(), 7)

    def test_a_conflict_with_what_there_is_is_no_error_of_the_file(self):
        self.declare("a.json", '{"name": "a", "size": 1}')
        self.admin.call("reload")
        self.declare("a.json", '{"name": "a", "size": 2}')
        self.assertEqual(self.admin.call("reload"), {})
        self.assertIn("the declared segment a: ", self.daemon.log())

    def test_bytes_of_any_kind_are_printable_in_an_error(self):
        with open(self.daemon.config_path, "wb") as file:
            file.write(b"log_level = \xff\x1b[31m\xc2\x9b\n")
        (error,) = self.refused("InvalidConfiguration", self.admin, "reload")["errors"]
        self.assertIn('log_level "??[31m??"', error["message"])

    def test_very_many_errors_are_bounded(self):
        self.configure("nonsense\n" * 1000)
        errors = self.refused("InvalidConfiguration", self.admin, "reload")["errors"]
        self.assertEqual(len(errors), 101)
        self.assertIn("more errors", errors[-1]["message"])

    def test_in_a_batch_with_others(self):
        self.configure("max_segments = 7\n")
        self.declare("a.json", '{"name": "declared", "size": 1}')
        batch = b",".join(encode(method, params, id=i).rstrip() for i, (method, params) in enumerate(
            [("create", {"name": "before", "size": 1}), ("reload", {}),
             ("stat", {"name": "declared"}), ("info", {})]))
        self.admin.send(b"[" + batch + b"]\n")
        replies = self.admin.reply()
        self.assertTrue(all("result" in reply for reply in replies), replies)
        self.assertEqual(replies[3]["result"]["limits"]["max_segments"]["max"], 7)

    def test_a_notification(self):
        self.configure("max_segments = 7\n")
        self.admin.send(encode("reload"))
        self.assertEqual(self.max_segments(), 7)

    @needs_several_uids
    def test_only_admins_may(self):
        self.configure("max_segments = 7\n")
        data = self.refused("PermissionDenied", self.connect(self.daemon, ALICE), "reload")
        self.assertEqual(data["needs"], "admin")
        self.assertEqual(self.max_segments(), 100)
        self.connect(self.daemon, DAEMON).call("reload")
        self.assertEqual(self.max_segments(), 7)

    def test_it_takes_no_parameters(self):
        self.refuses_parameter("file", self.admin, "reload", file="/etc/passwd")


class Sighup(ReloadCase):
    def test_good(self):
        self.configure("max_segments = 7\n")
        self.declare("a.json", '{"name": "declared", "size": 1}')
        self.sighup()
        self.assertEqual((self.max_segments(), self.names()), (7, ["declared"]))

    def test_bad(self):
        want = self.make_errors()
        self.sighup()
        self.assertEqual((self.max_segments(), self.names()), (100, []))
        log = self.daemon.log()
        for file, line, _ in want:
            self.assertIn(f"{file}:{line}: " if line else f"{file}: ", log)
        self.assertIn("reload refused", log)


class Command(ReloadCase):
    def test_good(self):
        self.configure("max_segments = 7\n")
        self.assertEqual(self.shmdctl(), (0, "", ""))
        self.assertEqual(self.max_segments(), 7)

    def test_every_error_has_its_line(self):
        want = self.make_errors()
        status, out, err = self.shmdctl()
        self.assertEqual((status, out), (1, ""))
        lines = err.splitlines()
        self.assertEqual(len(lines), len(want) + 1, lines)
        for said, (file, line, _) in zip(lines, want):
            place = f"{file}:{line}" if line else file
            self.assertTrue(said.startswith(f"shmdctl: {place}: "), said)
        self.assertIn('max_bytes "all": must be', lines[0])
        self.assertIn("nothing was changed", lines[-1])


class Writers(ReloadCase):
    """Who can write the files decides what the daemon allows, so that is told when they are read."""

    def warnings_after_reload(self):
        before = len(self.daemon.log())
        self.admin.call("reload")
        return [line for line in self.daemon.log()[before:].splitlines() if "can write it" in line]

    def test_what_every_user_can_write(self):
        declared = self.declare("a.json", '[{"name": "a", "size": 1}, {"name": "b", "size": 1}]')
        self.assertEqual(self.warnings_after_reload(), [])
        for path, loose, tight in ((self.daemon.config_path, 0o666, 0o664), (self.files, 0o777, 0o1777),
                                   (declared, 0o646, 0o644)):  # fmt: skip
            with self.subTest(path=path):
                os.chmod(path, loose)
                (warning,) = self.warnings_after_reload()
                self.assertIn(f"{path}: every user can write it (mode 0{loose:o})", warning)
                os.chmod(path, tight)
                self.assertEqual(self.warnings_after_reload(), [])

    @needs_several_uids
    def test_what_a_stranger_owns(self):
        declared = self.declare("a.json", '{"name": "a", "size": 1}')
        for path in (self.daemon.config_path, self.files, declared):
            with self.subTest(path=path):
                os.chown(path, ALICE.uid, -1)
                (warning,) = self.warnings_after_reload()
                self.assertIn(f"{path}: it is neither root's nor the daemon's: uid {ALICE.uid} can write it",
                              warning)
                os.chown(path, ROOT.uid, -1)
                self.assertEqual(self.warnings_after_reload(), [])

    def test_at_the_start(self):
        os.chmod(self.daemon.config_path, 0o666)
        self.daemon.stop()
        self.daemon = self.start_daemon(config=self.config(""))
        self.assertEqual(self.daemon.log().count("every user can write it"), 1)


main()
