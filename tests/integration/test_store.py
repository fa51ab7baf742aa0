"""The state on disk: damaged, gone, of another boot, full. Whatever it is, no segment is removed
for it, and nothing is acknowledged that is not recorded.
"""

import contextlib
import glob
import os
import sqlite3
import unittest

import sysv
from harness import (
    DAEMON,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    encode,
    main,
    needs_several_uids,
    without_details,
)
from peers import LifeCase, kill
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
        self.database = os.path.join(self.daemon.directory, "state.db")

    def make_some(self):
        """Three segments, one attached by somebody."""
        made = [self.client.create(name=f"s{i}", key=0x100 + i, labels={"n": str(i)})
                for i in range(3)]
        self.hold(SOMEBODY, made[0]["shmid"])
        return made

    def files(self):
        """Of the state, with their contents."""
        found = {}
        for path in glob.glob(self.database + "*"):
            with open(path, "rb") as file:
                found[os.path.basename(path)] = file.read()
        return found

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


class Damaged(StoreCase):
    def damage(self, how, in_order=False):
        """Ends the daemon over three segments, damages what it left, starts another. IN_ORDER: all
        was in the database itself."""
        made = self.make_some()
        if in_order:
            self.daemon.stop()
        else:
            kill(self.daemon)
        kernel = sysv.proc_table()
        how()
        before = self.files()
        self.restart()
        self.check_foreign(made, kernel)
        self.check_serves()
        return before

    def check_set_aside(self, before, still_read=None):
        """What was there is kept under another name, and the log says so. STILL_READ: what SQLite
        could open, and so may have touched, answers this query with 3."""
        aside = {os.path.basename(path) for path in glob.glob(self.database + ".corrupt-*")}
        self.assertTrue(aside)
        name = min(aside, key=len)
        self.assertIn(name, self.daemon.log())
        self.assertIn("foreign", self.daemon.log())
        if still_read:
            path = os.path.join(self.daemon.directory, name)
            with contextlib.closing(sqlite3.connect(path)) as db:
                self.assertEqual(db.execute(still_read).fetchone(), (3,))
            return
        now = self.files()
        beyond_header = slice(100, None)  # SQLite counts there how often it opened it
        self.assertTrue({file.replace("state.db", name): data[beyond_header]
                         for file, data in before.items() if data}
                        == {file: data[beyond_header] for file, data in now.items()
                            if file in aside and data},  # an empty log may have been begun
                        "what was set aside is not what was there")

    def overwrite(self, offset=0, size=None):
        with open(self.database, "r+b") as file:
            size = size or os.path.getsize(self.database)
            file.seek(offset)
            file.write(os.urandom(size))
        self.drop_log()

    def drop_log(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.database + "-wal")

    def sql(self, statement):
        """The number of rows that it changed."""
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            count = db.execute(statement).rowcount
            db.commit()
        return count

    def test_random_bytes(self):
        self.check_set_aside(self.damage(self.overwrite, in_order=True))

    def test_random_bytes_after_a_kill(self):
        self.check_set_aside(self.damage(self.overwrite))

    def test_random_bytes_within(self):
        self.check_set_aside(self.damage(lambda: self.overwrite(2048, 10240), in_order=True))

    def test_truncated(self):
        def truncate():
            os.truncate(self.database, os.path.getsize(self.database) // 2)

        self.check_set_aside(self.damage(truncate, in_order=True))

    def test_empty_with_its_log(self):
        self.check_set_aside(self.damage(lambda: os.truncate(self.database, 0)))

    def test_empty(self):
        self.damage(lambda: (os.truncate(self.database, 0), self.drop_log()))

    def test_deleted(self):
        self.damage(lambda: (os.unlink(self.database), self.drop_log()))

    def test_text(self):
        def write():
            self.drop_log()
            with open(self.database, "w", encoding="ascii") as file:
                file.write("not a database\n" * 100)

        self.check_set_aside(self.damage(write))

    def test_of_something_else(self):
        def replace():
            self.drop_log()
            os.unlink(self.database)
            with contextlib.closing(sqlite3.connect(self.database)) as db:
                db.execute("CREATE TABLE precious AS SELECT 3")
                db.commit()
            if SEVERAL_UIDS:
                os.chown(self.database, DAEMON.uid, DAEMON.gid)

        self.check_set_aside(self.damage(replace), "SELECT * FROM precious")

    def test_of_a_newer_version(self):
        def bump():
            with contextlib.closing(sqlite3.connect(self.database)) as db:
                version, = db.execute("PRAGMA user_version").fetchone()
            self.assertGreater(version, 0)
            self.sql(f"PRAGMA user_version = {version + 1}")

        self.check_set_aside(self.damage(bump, in_order=True), "SELECT count(*) FROM segment")
        self.assertIn("version", self.daemon.log())

    def test_nonsense_in_a_record(self):
        def scribble():
            self.assertEqual(self.sql("UPDATE segment SET lifetime = 77"), 3)

        self.check_set_aside(self.damage(scribble, in_order=True), "SELECT count(*) FROM segment")

    def test_a_number_in_a_record(self):
        """One that SQLite finds nothing wrong with: another segment would be meant, and the real one
        be missed."""

        def change():
            self.assertEqual(self.sql("UPDATE segment SET shmid = shmid + 1000"), 3)

        self.check_set_aside(self.damage(change, in_order=True), "SELECT count(*) FROM segment")
        self.assertIn("not as it was written", self.daemon.log())

    def test_looked_at_with_other_tools(self):
        """SQLite's own shell copies the log into the database and deletes it: nothing is lost."""
        made = self.make_some()
        kill(self.daemon)
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM segment").fetchone(), (3,))
        self.assertFalse(os.path.exists(self.database + "-wal"))
        self.restart()
        self.assertEqual(sorted(segment["serial"] for segment in self.client.list()),
                         sorted(segment["serial"] for segment in made))

    def test_again_and_again(self):
        for _ in range(3):
            kill(self.daemon)
            self.overwrite()
            self.restart()
            self.check_serves()
        aside = [path for path in glob.glob(self.database + ".corrupt-*")
                 if not path.endswith("-mark")]
        self.assertEqual(len(aside), 3)

    def test_deleted_under_a_running_daemon(self):
        kept = self.client.create(name="kept")
        os.unlink(self.database)
        data = self.refused("StoreFailure", self.client, "create", size=1)
        self.assertIn("deleted", data["reason"])
        self.assertEqual(list(sysv.proc_table()), [kept["shmid"]])
        self.assertEqual(without_details(self.client.stat(name="kept")), kept)

    def test_its_files_are_the_daemons_alone(self):
        self.client.create()
        for path in glob.glob(self.database + "*"):
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600, path)


class DamagedLog(StoreCase):
    """SQLite takes a log that ends early for a log that ends: what is missing in it was acknowledged
    all the same, and is in the kernel."""

    CONFIG = StoreCase.CONFIG + "max_segments_per_uid = 0\n"

    def check_nothing_is_removed(self, how):
        for count in (5, 600):
            with self.subTest(count=count):
                self.client.call("info")
                for i in range(count):
                    self.client.create(labels={"i": str(i)})
                kill(self.daemon)
                kernel = sysv.proc_table()
                how(self.database + "-wal")
                self.restart()
                self.assertEqual(sysv.proc_table(), kernel)
                self.assertIn("lacks changes that were acknowledged", self.daemon.log())
                self.assertIn("foreign", self.daemon.log())
                self.assertEqual(self.client.list(), [])
                for shmid in kernel:
                    sysv.remove(shmid)

    @staticmethod
    def overwrite(path, start, length):
        with open(path, "r+b") as file:
            file.seek(start)
            file.write(os.urandom(length))

    def test_random_bytes(self):
        self.check_nothing_is_removed(lambda path: self.overwrite(path, 0, os.path.getsize(path)))

    def test_random_bytes_within(self):
        self.check_nothing_is_removed(
            lambda path: self.overwrite(path, os.path.getsize(path) // 2, 16))

    def test_truncated(self):
        self.check_nothing_is_removed(
            lambda path: os.truncate(path, os.path.getsize(path) // 2))

    def test_deleted(self):
        self.check_nothing_is_removed(os.unlink)

    def test_deleted_with_its_mark(self):
        def delete(path):
            os.unlink(path)
            os.unlink(self.database + "-mark")

        self.client.create(name="a")
        self.daemon.stop()
        self.restart()
        self.client.create(name="b")
        kill(self.daemon)
        kernel = sysv.proc_table()
        delete(self.database + "-wal")
        self.restart()
        self.assertEqual(sysv.proc_table(), kernel)
        self.assertIn("mark", self.daemon.log())


class Other(StoreCase):
    def scribble(self, sql):
        made = self.make_some()
        self.daemon.stop()
        kernel = sysv.proc_table()
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            self.assertEqual(db.execute(sql).rowcount, 1)
            db.commit()
        self.restart()
        return made, kernel

    def test_another_boot(self):
        made, kernel = self.scribble("UPDATE meta SET boot_id = 'another'")
        self.check_foreign(made, kernel)
        self.check_serves()
        self.assertIn("boot", self.daemon.log())
        again = self.client.create()
        self.assertGreater(again["serial"], max(segment["serial"] for segment in made),
                           "a serial that somebody remembers denotes nothing")

    def test_another_namespace(self):
        made, kernel = self.scribble("UPDATE meta SET ipc_namespace = 4242")
        self.check_foreign(made, kernel)
        self.check_serves()
        self.assertIn("namespace", self.daemon.log())

    def test_the_same(self):
        made, _ = self.scribble("UPDATE meta SET last_serial = 1000")
        self.assertEqual({segment["serial"] for segment in self.client.list()},
                         {segment["serial"] for segment in made})
        self.assertEqual(self.client.create()["serial"], 1001)

    def test_another_daemon_has_it(self):
        made = self.make_some()
        socket = os.path.join(self.directory, "second.sock")
        second = self.launch_daemon("--socket", socket, directory=self.daemon.directory,
                                    socket=False)
        self.assertNotEqual(second.wait(), 0)
        self.assertIn(self.daemon.directory, second.log())
        self.assertIn("another shmd", second.log())
        self.assertFalse(os.path.exists(socket))
        self.assertEqual(len(self.client.list()), 3)
        self.assertEqual(self.client.create()["serial"], made[-1]["serial"] + 1)
        kill(self.daemon)
        self.restart()
        self.assertEqual(len(self.client.list()), 4)

    @needs_several_uids
    def test_a_directory_that_is_only_read(self):
        made = self.make_some()
        kill(self.daemon)
        os.unlink(self.daemon.socket_path)
        os.chown(self.daemon.directory, 0, 0)
        elsewhere = os.path.join(self.daemon_directory("other"), "shmd.sock")
        arguments = {"directory": self.daemon.directory, "socket": False}
        # What is there can be written still.
        daemon = self.launch_daemon("--socket", elsewhere, "--socket-mode", "0666", **arguments)
        daemon.socket_path = elsewhere
        daemon.wait_until_ready()
        with daemon.connect() as client:
            self.assertEqual([segment["serial"] for segment in client.list()],
                             [segment["serial"] for segment in made])
            self.assertTrue(sysv.exists(client.create()["shmid"]))
        kill(daemon)
        # What is not there cannot be made: nothing could be acknowledged.
        kernel = sysv.proc_table()
        for path in glob.glob(self.database + "*"):
            os.unlink(path)
        daemon = self.launch_daemon("--socket", elsewhere, **arguments)
        self.assertNotEqual(daemon.wait(), 0)
        self.assertIn(self.daemon.directory, daemon.log())
        self.assertIn("Permission denied", daemon.log())
        self.assertEqual(sysv.proc_table(), kernel)


@needs_mounts
class Full(StoreCase):
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

    def fill_up(self):
        """Until the store takes no more; returns what it took meanwhile."""
        self.disk.fill()
        taken = []
        for _ in range(20000):
            reply = self.client.request("create", size=1, labels={"x": "y" * 255})
            if "error" in reply:
                self.assertEqual(reply["error"]["data"]["error"], "io.shmd.StoreFailure", reply)
                self.assertTrue(reply["error"]["data"]["reason"])
                return taken
            taken.append(reply["result"]["segment"])
        self.fail("a full disk takes everything")

    CONFIG = LifeCase.RELAXED + "max_segments_per_uid = 0\n"

    # A mode that is set back is set all the same: the kernel notes when.

    @staticmethod
    def without_ctime(segment):
        return {field: value for field, value in segment.items() if field != "changed_at_ms"}

    @staticmethod
    def kernel_without_ctime():
        return {shmid: {column: value for column, value in row.items() if column != "ctime"}
                for shmid, row in sysv.proc_table().items()}

    def test_nothing_is_done(self):
        kept = self.client.create(name="kept", labels={"a": "1"}, lifetime="process")
        adoptable = sysv.create(4096)
        sysv.set_owner(adoptable, self.client.call("info")["uid"], 0, 0o666)
        taken = self.fill_up()
        before = self.without_ctime(self.client.stat(name="kept"))
        kernel = self.kernel_without_ctime()
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
        self.assertEqual(self.daemon.log().count("does not take changes"), 1, "said once")
        sysv.remove(adoptable)
        self.assertEqual(self.check_agreement(),
                         {kept["shmid"], *(segment["shmid"] for segment in taken)})
        # Works again.
        self.disk.empty()
        new = self.client.create(name="new", key=99)
        self.client.call("set", name="kept", mode="0666", new_name="other")
        self.assertIn("works again", self.daemon.log())
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
