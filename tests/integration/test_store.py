# SPDX-License-Identifier: MIT
"""The state on disk: damaged, gone, of another boot, full. Whatever it is, no segment is removed
for it, and nothing is acknowledged that is not recorded.
"""

import glob
import json
import os
import subprocess
import unittest

import sysv
from harness import (
    DAEMON,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    daemon_program,
    encode,
    main,
    needs_several_uids,
    wait_until,
)
from journal_file import Header, forget_pid_namespaces
from peers import LifeCase, kill
from programs import Programs
from smallfs import SmallFilesystem, enter_private_mounts

try:
    enter_private_mounts()
    _OBSTACLE = None
except OSError as error:
    _OBSTACLE = str(error)
needs_mounts = unittest.skipIf(_OBSTACLE, _OBSTACLE)


class StoreCase(LifeCase):
    CONFIG = LifeCase.RELAXED

    def setUp(self):
        super().setUp()
        self.journal = os.path.join(self.daemon.directory, "state.journal")
        self.attachment = None

    def make_some(self):
        """Three segments, one attached by somebody."""
        made = [self.client.create(name=f"s{i}", key=0x100 + i, labels={"n": str(i)})
                for i in range(3)]
        self.attachment = self.hold(SOMEBODY, made[0]["shmid"])
        return made

    def set_aside(self):
        return sorted(glob.glob(self.journal + ".corrupt-*"))

    def check_serves(self):
        """As a daemon that has lost its records."""
        info = self.client.call("info")
        self.assertEqual(info["pid"], self.daemon.pid)
        made = self.client.create(name="new")
        self.assertTrue(sysv.exists(made["shmid"]))
        self.client.call("remove", name="new")

    def check_foreign(self, made, kernel):
        """They are there, untouched, and not the daemon's."""
        now = sysv.proc_table()
        self.assertEqual(now, kernel)
        self.assertEqual(self.client.list(), [])
        with self.daemon.connect(ROOT) as root:
            foreign = root.list(scope="foreign")
        self.assertEqual(sorted(segment["shmid"] for segment in foreign),
                         sorted(segment["shmid"] for segment in made))
        for segment in foreign:
            self.assertIs(segment["managed"], False)

    def refuses_to_start(self, *options, **arguments):
        """The log of a daemon that does not."""
        socket = os.path.join(self.daemon_directory(f"elsewhere{len(os.listdir(self.directory))}"),
                              "shmd.sock")
        daemon = self.launch_daemon("--socket", socket, *options, socket=False, **arguments)
        # One that serves after all is not waited for.
        wait_until(lambda: daemon.process.poll() is not None or os.path.exists(socket),
                   "it has ended or begun")
        self.assertFalse(os.path.exists(socket))
        self.assertNotEqual(daemon.wait(), 0)
        return daemon.log()


class Damaged(StoreCase):
    def damage(self, how, in_order=False):
        """Ends the daemon over three segments, damages what it left, starts another; returns what
        the file was."""
        made = self.make_some()
        if in_order:
            self.daemon.stop()
        else:
            kill(self.daemon)
        kernel = sysv.proc_table()
        how()
        with open(self.journal, "rb") as file:
            before = file.read()
        self.restart()
        self.check_foreign(made, kernel)
        self.check_serves()
        return before

    def check_set_aside(self, before):
        """What was there is kept under another name, and the log says so."""
        [aside] = self.set_aside()
        with open(aside, "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertIn(os.path.basename(aside), self.daemon.log())
        self.assertIn("adopted", self.daemon.log())

    def remove_all(self):
        if self.attachment:
            self.attachment.kill()
        for shmid in sysv.proc_table():
            sysv.remove(shmid)

    def overwrite(self, offset=0, size=None):
        with open(self.journal, "r+b") as file:
            size = size or os.path.getsize(self.journal)
            file.seek(offset)
            file.write(os.urandom(size))

    def put(self, content):
        with open(self.journal, "wb") as file:
            file.write(content)

    def test_random_bytes(self):
        self.check_set_aside(self.damage(self.overwrite, in_order=True))

    def test_random_bytes_after_a_kill(self):
        self.check_set_aside(self.damage(self.overwrite))

    def test_random_bytes_within(self):
        self.check_set_aside(self.damage(lambda: self.overwrite(200, 16)))
        self.assertIn("damaged at byte", self.daemon.log())

    def test_a_number_in_a_record(self):
        """Another segment would be meant, and the real one be missed."""

        def change():
            with open(self.journal, "r+b") as file:
                data = bytearray(file.read())
                at = data.index(b"s1\0")
                data[at - 50] ^= 1
                file.seek(0)
                file.write(data)

        self.check_set_aside(self.damage(change))
        self.assertIn("the sum does not match", self.daemon.log())

    def test_truncated(self):
        for i, keep in enumerate((lambda size: size // 2, lambda size: size - 1, lambda size: 128,
                                  lambda size: 100, lambda size: 0)):
            with self.subTest(i=i):
                def truncate(keep=keep):
                    os.truncate(self.journal, keep(os.path.getsize(self.journal)))

                self.check_set_aside(self.damage(truncate))
                os.unlink(self.set_aside()[0])
                self.remove_all()

    def test_text(self):
        self.check_set_aside(self.damage(lambda: self.put(b"not a journal\n" * 100)))
        self.assertIn("not a journal of shmd", self.daemon.log())

    def test_of_another_format(self):
        def change():
            header = Header(self.journal)
            header.format += 1
            header.write()

        self.check_set_aside(self.damage(change))
        self.assertIn("it has format 2", self.daemon.log())

    def test_deleted(self):
        made = self.make_some()
        kill(self.daemon)
        kernel = sysv.proc_table()
        os.unlink(self.journal)
        self.restart()
        self.check_foreign(made, kernel)
        self.check_serves()

    def test_again_and_again(self):
        for _ in range(3):
            kill(self.daemon)
            self.overwrite()
            self.restart()
            self.check_serves()
        self.assertEqual(len(self.set_aside()), 3)

    def test_since_when_there_are_records(self):
        since = self.client.call("info")["records_since_at_ms"]
        self.assertLessEqual(since, self.client.call("info")["started_at_ms"])
        self.client.create(name="a")
        os.unlink(self.journal)
        self.client.create(name="b")  # the file is written anew, and lacks nothing
        self.kill_and_restart()
        self.assertEqual(self.client.call("info")["records_since_at_ms"], since)
        kill(self.daemon)
        self.overwrite()
        self.restart()
        self.assertGreater(self.client.call("info")["records_since_at_ms"], since)

    def test_a_torn_end_is_cut_off(self):
        made = self.make_some()
        kill(self.daemon)
        with open(self.journal, "ab") as file:
            file.write(b"half a record")
        self.restart()
        self.assertEqual([segment["serial"] for segment in self.client.list()],
                         [segment["serial"] for segment in made])
        self.assertIn("the last 13 bytes were not written whole", self.daemon.log())
        self.assertEqual(self.set_aside(), [])

    def test_nothing_that_was_acknowledged_is_removed(self):
        for count in (5, 600):
            for how in (lambda: self.overwrite(),
                        lambda: self.overwrite(os.path.getsize(self.journal) // 2, 16),
                        lambda: os.truncate(self.journal, os.path.getsize(self.journal) // 2)):
                with self.subTest(count=count):
                    for i in range(count):
                        self.client.create(labels={"i": str(i)})
                    kill(self.daemon)
                    kernel = sysv.proc_table()
                    how()
                    self.restart()
                    self.assertEqual(sysv.proc_table(), kernel)
                    self.assertEqual(self.client.list(), [])
                    self.remove_all()

    CONFIG = StoreCase.CONFIG + "max_segments_per_uid = 0\n"

    def test_of_an_older_shmd(self):
        made = self.make_some()
        kill(self.daemon)
        kernel = sysv.proc_table()
        os.unlink(self.journal)
        old = os.path.join(self.daemon.directory, "state.db")
        for suffix in ("", "-wal", "-mark"):
            with open(old + suffix, "wb") as file:
                file.write(b"what it was" + suffix.encode())
        self.restart()
        self.check_foreign(made, kernel)
        self.assertFalse(os.path.exists(old))
        aside = sorted(glob.glob(old + ".corrupt-*"))
        self.assertEqual(len(aside), 3)
        for path in aside:
            with open(path, "rb") as file:
                self.assertTrue(file.read().startswith(b"what it was"))
        self.assertIn("older shmd", self.daemon.log())
        with self.daemon.connect(ROOT) as root:
            adopted = root.call("adopt", shmid=made[0]["shmid"], name="again")["segment"]
        self.assertEqual(adopted["name"], "again")
        self.kill_and_restart()
        self.assertEqual([segment["name"] for segment in self.client.list()], ["again"])
        self.assertNotIn("older shmd", self.daemon.log())


class UnderTheDaemon(StoreCase):
    """The file is deleted or replaced while the daemon runs."""

    def check_written_anew(self, what):
        self.assertIn(f"the journal was {what} under the daemon: it is written anew",
                      self.daemon.log())
        names = {segment["name"] for segment in self.client.list()}
        self.kill_and_restart()
        self.assertEqual({segment["name"] for segment in self.client.list()}, names)

    def test_deleted(self):
        self.make_some()
        os.unlink(self.journal)
        self.client.create(name="new")
        self.assertEqual(os.stat(self.journal).st_mode & 0o777, 0o600)
        self.check_written_anew("deleted")

    def test_replaced(self):
        self.make_some()
        os.rename(self.journal, self.journal + ".moved")
        with open(self.journal, "wb") as file:
            file.write(b"something else")
        self.client.call("set", name="s1", labels={"a": "b"})
        self.check_written_anew("replaced")
        self.assertEqual(self.client.stat(name="s1")["labels"], {"a": "b"})

    def test_cut_short(self):
        self.make_some()
        os.truncate(self.journal, 200)
        self.client.call("remove", name="s1")
        self.check_written_anew("cut short")

    def test_all_that_is_there(self):
        self.make_some()
        for entry in os.scandir(self.daemon.directory):
            if entry.name.startswith("state."):
                os.unlink(entry.path)
        self.client.create(name="new")
        self.check_written_anew("deleted")

    def test_the_whole_directory_is_moved_away(self):
        """It has a path of its own, for the socket's may not move."""
        kill(self.daemon)
        directory = os.path.join(self.daemon.directory, "records")
        self.options = ("--state-dir", directory)

        def make_directory():
            os.mkdir(directory, 0o700)
            if SEVERAL_UIDS:
                os.chown(directory, DAEMON.uid, DAEMON.gid)

        make_directory()
        self.restart()
        self.make_some()
        os.rename(directory, directory + ".moved")
        make_directory()

        os.chmod(directory, 0o777)
        for _ in range(3):
            data = self.refused("StoreFailure", self.client, "create", size=1)
            self.assertIn("others may write", data["reason"])
        self.assertEqual(os.listdir(directory), [])
        os.chmod(directory, 0o700)
        self.client.create()
        self.assertEqual(os.listdir(directory), ["state.journal"])
        names = {segment["serial"] for segment in self.client.list()}
        self.kill_and_restart()
        self.assertEqual({segment["serial"] for segment in self.client.list()}, names)

    def test_the_directory_is_put_back(self):
        """Meanwhile another one had its path, and was refused."""
        kill(self.daemon)
        directory = os.path.join(self.daemon.directory, "records")
        self.options = ("--state-dir", directory)
        os.mkdir(directory, 0o700)
        if SEVERAL_UIDS:
            os.chown(directory, DAEMON.uid, DAEMON.gid)
        self.restart()
        self.make_some()
        os.rename(directory, directory + ".moved")
        os.mkdir(directory)
        os.chmod(directory, 0o777)
        self.refused("StoreFailure", self.client, "create", size=1)
        os.rmdir(directory)
        os.rename(directory + ".moved", directory)
        self.client.create(name="back")
        os.truncate(os.path.join(directory, "state.journal"), 100)
        self.client.create(name="anew")
        self.assertIn("the journal was cut short under the daemon", self.daemon.log())
        names = {segment["serial"] for segment in self.client.list()}
        self.kill_and_restart()
        self.assertEqual({segment["serial"] for segment in self.client.list()}, names)

    def test_its_file_is_the_daemons_alone(self):
        self.client.create()
        self.assertEqual([name for name in os.listdir(self.daemon.directory)
                          if name.startswith("state")], ["state.journal"])
        self.assertEqual(os.stat(self.journal).st_mode & 0o777, 0o600)
        kill(self.daemon)
        os.chmod(self.journal, 0o666)
        self.restart()
        self.assertEqual(os.stat(self.journal).st_mode & 0o777, 0o600)


class Compacted(StoreCase):
    """What is dead goes from the file, while it is served."""

    def test_it_stays_small(self):
        kept = [self.client.create(name=f"s{i}", labels={"k": "v"}) for i in range(20)]
        label = {f"k{i}": "v" * 255 for i in range(16)}
        largest = 0
        for i in range(1200):
            self.client.call("set", name=f"s{i % 20}", labels={**label, "k0": str(i)})
            largest = max(largest, os.path.getsize(self.journal))
        # Twice what lives and a megabyte, and what came while it was copied.
        self.assertLess(largest, 3 << 20)
        self.assertGreater(largest, 1 << 20)
        self.assertEqual(sorted(os.listdir(self.daemon.directory)).count("state.journal.new"), 0)
        self.kill_and_restart()
        now = self.client.list()
        self.assertEqual([segment["serial"] for segment in now],
                         [segment["serial"] for segment in kept])
        self.assertEqual({segment["labels"]["k0"] for segment in now},
                         {str(i) for i in range(1180, 1200)})

    def test_what_a_killed_compaction_has_left_goes(self):
        kill(self.daemon)
        with open(self.journal + ".new", "wb") as file:
            file.write(b"half of it")
        if SEVERAL_UIDS:
            os.chown(self.journal + ".new", DAEMON.uid, DAEMON.gid)
        self.restart()
        self.assertFalse(os.path.exists(self.journal + ".new"))
        self.check_serves()


class Dumped(StoreCase):
    def dump(self, path, status=0):
        result = subprocess.run([daemon_program(), "--dump-state", path],
                                capture_output=True, check=False, text=True)
        self.assertEqual(result.returncode, status, result)
        return [json.loads(line) for line in result.stdout.splitlines()], result.stderr

    def test_while_the_daemon_runs(self):
        self.make_some()
        self.client.call("remove", name="s2")
        lines, _ = self.dump(self.journal)
        self.assertEqual(lines[0]["type"], "header")
        self.assertEqual(lines[0]["ipc_namespace"], os.stat("/proc/self/ns/ipc").st_ino)
        self.assertEqual(lines[-1]["type"], "end")
        self.assertEqual(lines[-1]["damages"], 0)
        self.assertEqual([line["name"] for line in lines if line["type"] == "segment"],
                         ["s0", "s1", "s2"])
        self.assertEqual([line["serial"] for line in lines if line["type"] == "gone"], [3])
        self.assertEqual({line["sum"] for line in lines[1:-1]}, {"right"})

    def test_uses(self):
        """A use of a segment with an idle time records that time, and not 5 KB of labels again."""
        labels = {f"k{i}": "v" * 255 for i in range(16)}
        made = self.client.create(name="used", labels=labels, idle_ttl_ms=3600000)
        subscriber = self.subscribe(kinds=["attached", "detached"])
        before = os.path.getsize(self.journal)
        for _ in range(3):
            attachment = self.hold(ROOT, made["shmid"])
            self.event_of(subscriber, made["serial"], "attached")
            attachment.kill()
            self.event_of(subscriber, made["serial"], "detached")
        self.assertLess(os.path.getsize(self.journal) - before, 1000)
        lines, _ = self.dump(self.journal)
        idle = [line for line in lines if line["type"] == "idle"]
        self.assertEqual({line["serial"] for line in idle}, {made["serial"]})
        since = [line["idle_since_ms"] for line in idle]
        self.assertGreaterEqual(len(since), 3)
        self.assertEqual(since, sorted(since))
        self.assertEqual({line["sum"] for line in lines[1:-1]}, {"right"})
        self.kill_and_restart()
        self.assertEqual(self.client.stat(name="used")["labels"], labels)

    def test_a_damaged_one(self):
        self.make_some()
        kill(self.daemon)
        with open(self.journal, "r+b") as file:
            file.seek(140)  # within the first record's payload
            byte = file.read(1)
            file.seek(140)
            file.write(bytes([byte[0] ^ 1]))
        lines, _ = self.dump(self.journal, status=1)
        self.assertEqual([line["sum"] for line in lines[1:-1]].count("wrong"), 1)
        self.assertEqual(lines[-1]["damages"], 1)

    def test_what_cannot_be_dumped(self):
        for path in (os.path.join(self.directory, "nothing"), self.directory):
            lines, err = self.dump(path, status=1)
            self.assertEqual(lines, [])
            self.assertIn(path, err)


class Other(StoreCase):
    def change_header(self, **fields):
        made = self.make_some()
        self.daemon.stop()
        kernel = sysv.proc_table()
        header = Header(self.journal)
        for field, value in fields.items():
            setattr(header, field, value)
        header.write()
        self.restart()
        return made, kernel

    def test_another_boot(self):
        made, kernel = self.change_header(boot_id=b"another")
        self.check_foreign(made, kernel)
        self.check_serves()
        self.assertIn("another boot", self.daemon.log())
        self.assertEqual(self.set_aside(), [])
        again = self.client.create()
        self.assertGreater(again["serial"], max(segment["serial"] for segment in made),
                           "a serial that somebody remembers denotes nothing")

    def test_another_namespace(self):
        made, kernel = self.change_header(ipc_namespace=4242)
        self.check_foreign(made, kernel)
        self.check_serves()
        self.assertIn("another IPC namespace", self.daemon.log())

    def test_an_intent_that_came_to_nothing(self):
        made, kernel = self.change_header(size=4096, pid=4711, at_s=1)
        self.assertEqual(sysv.proc_table(), kernel)
        self.assertEqual([segment["serial"] for segment in self.client.list()],
                         [segment["serial"] for segment in made])

    def test_a_journal_of_version_0_1_0(self):
        """It does not tell the pid namespace of its daemons: a holder that lives is found all the same."""
        made = self.peer().create(lifetime="process")
        kill(self.daemon)
        forget_pid_namespaces(self.journal)
        self.restart()
        self.assertEqual(self.set_aside(), [])
        self.assertEqual(self.client.stat(serial=made["serial"])["holders"], 1)

    def link(self, name):
        """NAME is a link to a file of the daemon's user, whose path is returned."""
        precious = os.path.join(self.daemon_directory("elsewhere"), "precious")
        with open(precious, "w", encoding="ascii") as file:
            file.write("kept")
        if SEVERAL_UIDS:
            os.chown(precious, DAEMON.uid, DAEMON.gid)
        kill(self.daemon)
        os.unlink(self.journal)
        os.symlink(precious, name)
        return precious

    def check_kept(self, precious):
        with open(precious, encoding="ascii") as file:
            self.assertEqual(file.read(), "kept")

    def test_a_link_in_its_place_is_not_followed(self):
        precious = self.link(self.journal)
        self.restart()
        self.check_serves()
        self.check_kept(precious)
        self.assertIn("not a regular file", self.daemon.log())

    def test_a_link_in_the_place_of_the_next_is_not_followed(self):
        precious = self.link(self.journal + ".new")
        log = self.refuses_to_start("--state-dir", self.daemon.directory,
                                    directory=self.daemon.directory)
        self.assertIn("state.journal.new", log)
        self.check_kept(precious)

    def test_another_daemon_has_it(self):
        made = self.make_some()
        log = self.refuses_to_start("--state-dir", self.daemon.directory,
                                    directory=self.daemon.directory)
        self.assertIn(self.daemon.directory, log)
        self.assertIn("another shmd", log)
        self.assertEqual(len(self.client.list()), 3)
        self.assertEqual(self.client.create()["serial"], made[-1]["serial"] + 1)
        kill(self.daemon)
        self.restart()
        self.assertEqual(len(self.client.list()), 4)

    def test_a_directory_that_others_may_write_to(self):
        made = self.make_some()
        kill(self.daemon)
        for mode in (0o777, 0o1777, 0o775, 0o757):
            with self.subTest(mode=oct(mode)):
                os.chmod(self.daemon.directory, mode)
                log = self.refuses_to_start("--state-dir", self.daemon.directory,
                                            directory=self.daemon.directory)
                self.assertIn(f"mode {mode:04o}", log)
                # Such a directory as /tmp must stay as it is.
                self.assertEqual("chmod go-w" in log, mode != 0o1777, log)
        os.chmod(self.daemon.directory, 0o755)
        self.restart()
        self.assertEqual(len(self.client.list()), len(made))

    @needs_several_uids
    def test_a_directory_that_is_not_the_daemons(self):
        self.make_some()
        kill(self.daemon)
        kernel = sysv.proc_table()
        os.chown(self.daemon.directory, 0, 0)
        log = self.refuses_to_start("--state-dir", self.daemon.directory,
                                    directory=self.daemon.directory)
        self.assertIn("belongs to uid 0", log)
        self.assertIn("chown", log)
        self.assertEqual(sysv.proc_table(), kernel)


@needs_mounts
class Full(Programs, StoreCase):
    def setUp(self):
        super().setUp()
        kill(self.daemon)
        directory = self.daemon_directory("state")
        uid = DAEMON.uid if SEVERAL_UIDS else 0
        self.disk = SmallFilesystem(directory, 4 << 20, uid, uid)
        self.addCleanup(self.disk.unmount)
        self.options = ("--state-dir", directory)
        self.restart()

    def check_agreement(self):
        """The kernel has what is acknowledged, the list shows it, and the account says so."""
        listed = {segment["shmid"] for segment in self.client.list(limit=1000)}
        self.assertEqual(listed, set(sysv.proc_table()))
        self.assertEqual(self.client.call("info")["usage"]["segments"], len(listed))
        return listed

    def until_refused(self, method, **params):
        """The segments that it gave until the store took no more."""
        segments = []
        for _ in range(20000):
            reply = self.client.request(method, **params)
            if "error" in reply:
                self.assertEqual(reply["error"]["data"]["error"], "io.shmd.StoreFailure", reply)
                self.assertIn("No space left", reply["error"]["data"]["reason"])
                return segments
            segments.append(reply["result"]["segment"])
        return self.fail("a full disk takes everything")

    def fill_up(self):
        """Until the store has no room for the smallest record; returns what it took meanwhile."""
        spare = self.client.create(size=1)
        self.disk.fill()
        taken = self.until_refused("create", size=1, labels={"x": "y" * 255})
        taken += self.until_refused("create", size=1)
        self.until_refused("set", serial=spare["serial"], labels={})
        return [spare, *taken]

    CONFIG = LifeCase.RELAXED + "max_segments_per_uid = 0\n"

    # A mode that is set back is set all the same: the kernel notes when.

    @staticmethod
    def without_ctime(segment):
        return {field: value for field, value in segment.items() if field != "changed_at_ms"}

    @staticmethod
    def kernel_without_ctime():
        return {shmid: {column: value for column, value in row.items() if column != "ctime"}
                for shmid, row in sysv.proc_table().items()}

    def doctor(self):
        _, out, _ = self.run_program("shmdctl", "--socket", self.daemon.socket_path, "doctor", "--json")
        return next(one for one in json.loads(out) if one["id"] == "store")

    def test_doctor_says_so(self):
        self.assertEqual(self.doctor()["severity"], "ok")
        self.assertNotIn("store_failure", self.client.call("info"))
        segments = self.fill_up()
        found = self.doctor()
        self.assertEqual(found["severity"], "error")
        self.assertIn("No space left on device", found["found"])
        # Where to make room: the advice sends the reader to the log.
        self.assertIn("its log names the directory", found["mend"])
        failures = wait_until(lambda: [line for line in self.daemon.log().splitlines()
                                       if "does not take changes" in line], "it is said")
        self.assertIn(f"the store in {self.options[-1]} does", failures[0])
        # That it can remove says nothing of the rest.
        self.client.call("remove", serial=segments[0]["serial"])
        self.assertIn("No space left", self.client.call("info")["store_failure"])
        self.disk.empty()
        self.client.create()
        self.assertEqual(self.doctor()["severity"], "ok")

    def test_nothing_is_done(self):
        kept = self.client.create(name="kept", labels={"a": "1"}, lifetime="process")
        adoptable = sysv.create(4096)
        sysv.set_owner(adoptable, self.client.call("info")["uid"], 0, 0o666)
        taken = self.fill_up()
        before = self.without_ctime(self.client.stat(name="kept"))
        kernel = self.kernel_without_ctime()
        # At the end of the turn, and what has been answered may have been asked and answered in it.
        said = wait_until(lambda: self.daemon.log().count("does not take changes"), "it is said")
        for method, params in (
            ("create", {"size": 1}),
            ("create", {"size": 1, "name": "new", "key": 99, "lifetime": "process"}),
            ("create", {"size": 1, "lifetime": "attached"}),
            ("create", {"size": 1, "lifetime": "connection", "ready": False}),
            ("set", {"name": "kept", "mode": "0666"}),
            ("set", {"name": "kept", "new_name": "other", "labels": {}, "ttl_ms": 10}),
            ("set", {"name": "kept", "lifetime": "persistent"}),
        ):
            with self.subTest(method=method, params=params):
                self.refused("StoreFailure", self.client, method, **params)
                self.assertEqual(self.without_ctime(self.client.stat(name="kept")), before)
                self.assertEqual(self.kernel_without_ctime(), kernel)
        with self.daemon.connect(ROOT) as root:
            self.refused("StoreFailure", root, "adopt", shmid=adoptable)
            self.assertIs(root.stat(shmid=adoptable)["managed"], False)
        self.refused("StoreFailure", self.peer(), "hold", name="kept")
        self.assertEqual(self.without_ctime(self.client.stat(name="kept")), before)
        self.assertEqual(self.daemon.log().count("does not take changes"), said, "said once")
        sysv.remove(adoptable)
        self.assertEqual(self.check_agreement(),
                         {kept["shmid"], *(segment["shmid"] for segment in taken)})
        # Works again.
        self.disk.empty()
        new = self.client.create(name="new", key=99)
        self.client.call("set", name="kept", mode="0666", new_name="other")
        wait_until(lambda: "works again" in self.daemon.log(), "it is said that the store works again")
        listed = self.check_agreement()
        kill(self.daemon)
        self.restart()
        self.assertEqual(self.check_agreement(), listed)
        self.assertEqual(self.client.stat(name="new")["serial"], new["serial"])
        self.assertEqual(self.client.stat(name="other")["mode"], "0666")

    def test_killed_while_it_is_full(self):
        kept = [self.client.create(name=f"s{i}") for i in range(10)]
        taken = self.fill_up()
        acknowledged = {segment["shmid"] for segment in kept + taken}
        self.assertEqual(self.check_agreement(), acknowledged)
        kill(self.daemon)
        self.assertEqual(set(sysv.proc_table()), acknowledged)
        self.disk.empty()
        self.restart()
        self.assertEqual(self.check_agreement(), acknowledged)
        for segment in kept:
            self.assertEqual(self.client.stat(name=segment["name"])["serial"], segment["serial"])

    def test_a_start_while_it_is_full(self):
        kept = [self.client.create(name=f"s{i}") for i in range(10)]
        taken = self.fill_up()
        acknowledged = {segment["shmid"] for segment in kept + taken}
        kill(self.daemon)
        self.restart()
        self.assertEqual(self.check_agreement(), acknowledged)
        self.refused("StoreFailure", self.client, "create", size=1)
        self.disk.empty()
        self.client.create(name="new")

    def test_an_attached_one_is_removed_by_its_record_alone(self):
        """The kernel has it marked anyway: what is not recorded has not been done."""
        subscriber = self.subscribe()
        peer = self.peer()
        made = peer.create(name="ring", lifetime="attached", ttl_ms=3600000)
        peer.attach(made["shmid"])
        self.fill_up()
        for _ in range(2):
            self.refused("StoreFailure", self.client, "remove", name="ring")
            segment = self.client.stat(name="ring")
            self.assertEqual([segment[field] for field in ("serial", "state", "nattch")],
                             [made["serial"], "ready", 1])
            self.assertGreater(segment["expires_at_ms"], segment["created_at_ms"])
        self.kill_and_restart()
        self.assertEqual(self.client.stat(name="ring")["serial"], made["serial"])
        self.disk.empty()
        removed = self.client.call("remove", name="ring")["segment"]
        self.assertEqual(removed["state"], "removing")
        self.kill_and_restart()
        self.refused("NoSuchSegment", self.client, "stat", name="ring")
        self.assertEqual(self.client.stat(serial=made["serial"])["state"], "removing")
        self.assertTrue(sysv.exists(made["shmid"]))
        peer.detach(made["shmid"])
        self.assertFalse(self.is_known(made))
        kinds = []
        while (message := subscriber.reply()) is not None:
            if message["params"]["segment"]["serial"] == made["serial"]:
                kinds.append(message["params"]["kind"])
        self.assertNotIn("removed", kinds, "what was taken back is not told")

    def test_what_ends_of_itself_ends_still(self):
        subscriber = self.subscribe()
        peer = self.peer()
        held = peer.create(lifetime="process")
        other = self.connect(self.daemon)
        connected = other.create(lifetime="connection")
        removed = self.client.create()
        gone = self.client.create()
        self.fill_up()
        peer.end()
        self.check_removed(subscriber, held, "last-holder-exited")
        other.close()
        self.check_removed(subscriber, connected, "connection-closed")
        self.assertEqual(self.client.call("remove", serial=removed["serial"])["segment"]["state"],
                         "removed")
        sysv.remove(gone["shmid"])
        self.assertFalse(self.is_known(gone))
        listed = self.check_agreement()
        kill(self.daemon)
        self.disk.empty()
        self.restart()
        self.assertEqual(self.check_agreement(), listed)

    def test_in_one_turn_with_what_must_not_fail(self):
        """A batch on a full disk: each answer is true for itself."""
        kept = self.client.create(name="kept")
        self.fill_up()
        count = len(sysv.proc_table())
        self.client.send(b"[" + b",".join((
            encode("create", {"name": "new", "size": 1}, id=1),
            encode("stat", {"name": "kept"}, id=2),
            encode("set", {"name": "kept", "mode": "0666"}, id=3),
        )) + b"]")
        replies = self.client.reply()
        self.assertEqual([reply["id"] for reply in replies], [1, 2, 3])
        self.assertEqual([reply.get("error", {}).get("code") for reply in replies], [13, None, 13])
        self.assertEqual(len(sysv.proc_table()), count)
        self.assertEqual(self.client.stat(name="kept")["mode"], kept["mode"])


main()
