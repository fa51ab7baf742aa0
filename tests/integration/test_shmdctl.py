# SPDX-License-Identifier: MIT
"""shmdctl: every command, its output for people and for programs, and its exit statuses."""

import json
import mmap
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import sysv
from command import (
    BUSY,
    COMMANDS,
    EXISTS,
    INITIALISER_DIED,
    LIMIT,
    NOT_STARTED,
    NO_SUCH_SEGMENT,
    PERMISSION_DENIED,
    REFUSED,
    SIZE_MISMATCH,
    STALE,
    TIMED_OUT,
    UNREACHABLE,
    USAGE,
    CommandCase,
    Shmdctl,
)
from fake_daemon import FakeDaemon, segment_reply
from harness import (
    ALICE,
    BOB,
    DAEMON,
    DEADLINE,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    as_user,
    main,
    needs_several_uids,
    needs_to_be_alone,
    wait_until,
)
from missing import need

SOURCE = os.environ["abs_top_srcdir"]
MANUAL = os.path.join(SOURCE, "client", "cli", "shmdctl.1.in")

class Create(Shmdctl):
    def test_a_table_of_one_row(self):
        headings, row = self.ctl("create", "frames", "--size", "64K").splitlines()
        self.assertEqual(
            headings.split(),
            "NAME SHMID SIZE MODE OWNER NATTCH STATE LIFETIME HOLDERS".split(),
        )
        segment = self.client.stat(name="frames")
        self.assertEqual(segment["size"], 65536)
        self.assertEqual(row.split()[:4], ["frames", str(segment["shmid"]), "64K", "0600"])

    def test_every_option_arrives(self):
        self.ctl(
            *("create", "x", "--size=1M", "--key", "0xC0FFEE", "--mode", "640", "--ttl", "1h"),
            *("--label", "a=b=c", "-l", "d=", "--uid", SOMEBODY.uid, "--gid", SOMEBODY.gid),
            *("--noreserve", "--exclusive", "--any-owner", "--lifetime", "persistent"),
        )
        segment = self.client.stat(key=0xC0FFEE)
        self.assertEqual(segment["size"], 1 << 20)
        self.assertEqual(segment["mode"], "0640")
        self.assertEqual(segment["labels"], {"a": "b=c", "d": ""})
        self.assertEqual(segment["noreserve"], True)
        self.assertGreater(segment["expires_at_ms"], segment["created_at_ms"])

    def test_a_number_for_a_script(self):
        out = self.ctl("create", "--size", "1", "-n", "-o", "SHMID")
        self.assertEqual(out, f"{self.client.list()[0]['shmid']}\n")

    def test_as_json(self):
        result = json.loads(self.ctl("create", "j", "--size", "1", "--json"))
        self.assertEqual(result["created"], True)
        self.assertEqual(result["segment"], self.client.list()[0])
        self.assertEqual(json.loads(self.ctl("-j", "create", "j", "--size=1"))["created"], False)

    def test_an_existing_one(self):
        self.ctl("create", "x", "--size", "100")
        out = self.ctl("create", "x", "--size", "50", "--lifetime", "process", "--not-ready",
                       note="x exists already and is left as it is$")
        self.assertIn("x ", out)
        self.assertEqual(self.client.stat(name="x")["lifetime"], "persistent")
        self.ctl("create", "--key", "0xBEEF", "--size", "1")
        self.ctl("create", "--key", "0xBEEF", "--size", "1",
                 note="the segment with key 0x0000beef exists already")
        self.ctl("create", "x", "--size", "100", "--exclusive", status=EXISTS)
        self.ctl("create", "x", "--size", "101", status=SIZE_MISMATCH)
        self.assertIn("100", self.message)

    def test_one_that_is_too_small(self):
        self.client.create(name="x", size=4096)
        self.ctl("create", "x", "--size", "8K", status=SIZE_MISMATCH)
        self.assertIn("--replace puts a new one in its place", self.message)
        self.ctl("create", "x", "--size", "8K", "--replace")
        self.assertEqual(self.client.stat(name="x")["size"], 8192)

    def test_one_that_is_too_small_and_cannot_be_replaced(self):
        """By `run`, with whose command it would go, and by its key."""
        self.client.create(name="x", size=4096, key=0x77)
        for arguments in (["run", "x", "--size", "8K", "--", "true"], ["create", "--key", "0x77", "--size", "8K"]):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=NOT_STARTED if "run" in arguments else SIZE_MISMATCH)
                self.assertIn("with 4096 bytes, fewer than the 8192 asked for: ask for less, or have it removed "
                              "first [", self.message)

    def test_a_foreign_key(self):
        sysv.create(100, key=0x1234, mode=0o666)
        self.ctl("create", "--key", "0x1234", "--size", "100", status=EXISTS)

    def test_a_connections_segment_goes_with_the_command(self):
        self.ctl("create", "x", "--size", "1", "--lifetime", "connection",
                 note="lifetime connection: .*ends.*'shmdctl run'.*persistent, and then 'shmdctl hold "
                 "x --lifetime connection'")
        self.wait_until_gone("x")

    def test_a_process_segment_goes_with_the_command(self):
        self.ctl("create", "x", "--size", "1", "--lifetime", "process",
                 note="lifetime process: the segment goes when this command ends")
        self.wait_until_gone("x")
        self.ctl("create", "x", "--size", "1", "--lifetime", "process", "--json")
        self.wait_until_gone("x")

    def test_what_is_to_be_attached_goes_with_the_command(self):
        self.ctl("create", "x", "--size", "1", "--lifetime", "attached",
                 note="lifetime attached: the segment goes when this command ends")
        self.wait_until_gone("x")

    def test_what_is_not_ready_goes_with_the_command(self):
        self.ctl("create", "x", "--size", "1", "--not-ready",
                 note="--not-ready: the segment goes when this command ends.*'shmdctl run'")
        self.wait_until_gone("x")

    @needs_several_uids
    def test_a_name_that_a_private_segment_has(self):
        self.connect(self.daemon, BOB).create(name="x", labels={"k": "of bob"})
        for line in (["create", "x", "--size", "1"], ["create", "x", "--size", "1", "--any-owner"]):
            self.ctl(*line, user=ALICE, status=PERMISSION_DENIED)
            self.assertIn("the name belongs to a segment that you may not read: choose another name",
                          self.message)
        self.ctl("run", "x", "--size", "1", "--", "true", user=ALICE, status=NOT_STARTED)
        self.assertIn("choose another name", self.message)

    def test_a_name_that_is_no_text(self):
        self.ctl("create", "\udcff", "--size", "1", status=USAGE)
        self.assertRegex(self.message, r"the name '\\xff' is not UTF-8")
        for option, value in (("--label", "k=\udcff"), ("--label", "\udcff=v")):
            self.ctl("create", "x", "--size", "1", option, value, status=USAGE)
            self.assertIn("the label", self.message)
        self.ctl("list", "--prefix", "\udcff", status=USAGE)
        self.assertIn("the prefix", self.message)

    def test_the_daemon_refuses_a_bad_name(self):
        self.ctl("create", "no good", "--size", "1", status=REFUSED)
        self.assertIn("name", self.message)


class Quota(Shmdctl):
    CONFIG = "max_segments_per_uid = 1\n"

    @needs_several_uids
    def test_is_named(self):
        self.ctl("create", "a", "--size", "1", user=ALICE)
        self.ctl("create", "b", "--size", "1", user=ALICE, status=LIMIT)
        self.assertIn("max_segments_per_uid", self.message)


class Stat(Shmdctl):
    def setUp(self):
        super().setUp()
        self.segment = self.client.create(name="one", key=0xBEEF, size=3 << 19, labels={"k": "v"})

    def targets(self):
        return (
            ["one"],
            ["--shmid", self.segment["shmid"]],
            ["-m", self.segment["shmid"]],
            ["--key", "0xbeef"],
            ["-M", str(0xBEEF)],
            ["--serial", self.segment["serial"]],
            ["one", "--serial", self.segment["serial"]],
        )

    def test_by_every_target(self):
        for target in self.targets():
            with self.subTest(target=target):
                out = self.ctl("stat", *target, "-n", "-o", "serial,name")
                self.assertEqual(out.split(), [str(self.segment["serial"]), "one"])

    def test_everything(self):
        lines = self.ctl("stat", "one").splitlines()
        told = dict(line.split(maxsplit=1) for line in lines)
        self.assertEqual(told["NAME"], "one")
        self.assertEqual(told["SIZE"], "1.5M")
        self.assertEqual(told["KEY"], "0x0000beef")
        self.assertEqual(told["LABELS"], "k=v")
        self.assertEqual(told["MANAGED"], "yes")
        self.assertRegex(told["CREATED"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$")
        self.assertNotIn("EXPIRES", told)
        self.assertNotIn("ORPHANED", told)
        self.assertIn("SIZE       1572864\n", self.ctl("stat", "--bytes", "one"))

    def test_holders(self):
        client = self.connect(self.daemon)
        client.create(name="held", lifetime="process")
        out = self.ctl("stat", "held")
        self.assertRegex(out, rf"(?m)^HOLDER +pid {os.getpid()} \(.+\), uid {SOMEBODY.uid}, since")

    def test_json_is_the_daemons_own(self):
        line = self.ctl("stat", "one", "--json")
        client = self.connect(self.daemon)
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"stat","params":{"name":"one"}}')
        reply = client.read_line().decode()
        self.assertEqual('{"jsonrpc":"2.0","id":1,"result":' + line.strip() + "}", reply)

    def test_none(self):
        self.ctl("stat", "two", status=NO_SUCH_SEGMENT)
        self.assertIn("two", self.message)
        # Also when it is a part of a word of the sentence.
        self.ctl("stat", "e", status=NO_SUCH_SEGMENT)
        self.assertIn("name: e)", self.message)
        self.ctl("stat", "--shmid", "2147483647", status=NO_SUCH_SEGMENT)

    def test_a_stale_one(self):
        self.ctl("stat", "one", "--serial", self.segment["serial"] + 1, status=STALE)

    def test_not_exactly_one(self):
        for target in ([], ["one", "--shmid", "1"], ["--shmid", "1", "--key", "2"], ["--key=0"]):
            with self.subTest(target=target):
                self.ctl("ready", *target, status=USAGE)
        self.ctl("ready", "one", "two", status=USAGE)
        self.assertIn("'two'", self.message)
        for target in ([], ["one", "--key=0"]):
            self.ctl("stat", *target, status=USAGE)

    def test_several(self):
        two = self.client.create(name="two", size=100)
        lines = self.ctl("stat", "one", "--shmid", two["shmid"]).split("\n\n")
        self.assertEqual([dict(line.split(maxsplit=1) for line in text.splitlines())["NAME"]
                          for text in lines], ["one", "two"])
        out = self.ctl("stat", "two", "--key", "0xbeef", "-o", "NAME,SIZE", "-b")
        self.assertEqual([line.split() for line in out.splitlines()],
                         [["NAME", "SIZE"], ["two", "100"], ["one", str(3 << 19)]])
        out = self.ctl("stat", "two", "none", "one", "--json", status=NO_SUCH_SEGMENT)
        self.assertEqual([json.loads(line)["segment"]["name"] for line in out.splitlines()], ["two", "one"])
        self.assertRegex(self.message, "^shmdctl: none: ")

    def test_every_column(self):
        names = self.columns()
        self.assertGreater(len(names), 25)
        headings, row = self.ctl("stat", "one", "-o", ",".join(names).lower()).splitlines()
        self.assertEqual(headings.split(), names)
        self.assertIn("1.5M", row)

    def columns(self):
        text = self.ctl("list", "--help").split("Columns:")[1]
        return re.findall(r"(?m)^  ([A-Z]+) ", text)

    def test_an_unknown_column(self):
        self.ctl("stat", "one", "-o", "NAME,COLOUR", status=USAGE)
        self.assertIn("'COLOUR'", self.message)
        self.assertIn("NATTCH", self.message)


class Set(Shmdctl):
    def setUp(self):
        super().setUp()
        self.client.create(name="one", labels={"k": "v"})

    def set(self, *arguments, **more):
        self.ctl("set", "one", *arguments, **more)
        return self.client.stat(serial=1)

    def test_each(self):
        self.assertEqual(self.set("--mode", "0444")["mode"], "0444")
        self.assertEqual(self.set("--uid", SOMEBODY.uid, "--gid", SOMEBODY.gid)["mode"], "0444")
        self.assertIn("expires_at_ms", self.set("--ttl", "1d"))
        self.assertNotIn("expires_at_ms", self.set("--no-ttl"))
        self.assertIn("expires_at_ms", self.set("--ttl", "1d"))
        self.assertNotIn("expires_at_ms", self.set("--ttl", "0"))
        self.assertEqual(self.set("--label", "a=1", "--label", "b=2")["labels"], {"a": "1", "b": "2"})
        self.assertEqual(self.set("--no-labels")["labels"], {})
        self.assertEqual(self.set("--unlocked")["locked"], False)
        self.assertEqual(self.set("--new-name", "two")["name"], "two")

    def test_a_lifetime_that_ends_with_the_command(self):
        for lifetime, way in (("process", "hold one --lifetime process"),
                              ("connection", "hold one --lifetime connection"), ("attached", "attach")):
            with self.subTest(lifetime=lifetime):
                segment = self.set("--lifetime", lifetime, "--mode", "0640", status=USAGE)
                self.assertRegex(self.message, f"--lifetime {lifetime}: nothing was changed.*{way}")
                self.assertEqual((segment["lifetime"], segment["mode"]), ("persistent", "0600"))

    def test_holders_are_not_cut_off(self):
        self.client.call("set", name="one", lifetime="process")
        segment = self.set("--lifetime", "connection", status=USAGE)
        self.assertEqual((segment["lifetime"], segment["holders"]), ("process", 1))
        self.assertEqual(self.set("--lifetime", "persistent")["lifetime"], "persistent")

    def test_attached_while_somebody_has_it(self):
        holder = self.hold(SOMEBODY, self.client.stat(name="one")["shmid"])
        self.assertEqual(self.set("--lifetime", "attached")["lifetime"], "attached")
        holder.kill()
        self.wait_until_gone("one")

    def test_a_lifetime_that_others_hold(self):
        self.client.call("set", name="one", lifetime="process")
        process = self.start("hold", "one", "-n")
        process.stdout.readline()
        self.set("--lifetime", "process")
        self.assertEqual(self.client.stat(name="one")["holders"], 2)

    def test_contradictions(self):
        for options in (
            ["--ttl", "1s", "--no-ttl"],
            ["--locked", "--unlocked"],
            ["--label", "a=b", "--no-labels"],
        ):
            with self.subTest(options=options):
                self.set(*options, status=USAGE)
                self.assertIn("exclude one another", self.message)
        for options in (["--all", "--foreign"], ["--scope", "managed", "-a"]):
            with self.subTest(options=options):
                self.ctl("list", *options, status=USAGE)
                self.assertIn("exclude one another", self.message)

    @needs_several_uids
    def test_a_strangers(self):
        self.ctl("set", "one", "--mode", "0666", user=BOB, status=PERMISSION_DENIED)


class Remove(Shmdctl):
    def test_a_line_for_each_target(self):
        self.client.create(name="one")
        self.assertEqual(self.ctl("rm", "one"), "one: removed\n")
        self.assertEqual(self.client.list(), [])
        self.ctl("rm", "one", status=NO_SUCH_SEGMENT)
        self.assertRegex(self.message, r"^shmdctl: one: ")

    def test_as_json(self):
        self.client.create(name="one")
        self.assertEqual(json.loads(self.ctl("rm", "one", "-j"))["segment"]["state"], "removed")

    def test_several(self):
        for name in "abcd":
            self.client.create(name=name)
        self.assertEqual(self.ctl("rm", "a", "b"), "a: removed\nb: removed\n")
        holder = self.hold(SOMEBODY, self.client.stat(name="c")["shmid"])
        out = self.ctl("rm", "c", "none", "d", "--if-unattached", "--json", status=BUSY)
        self.assertEqual([json.loads(line)["segment"]["serial"] for line in out.splitlines()], [4])
        lines = self.message.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], "^shmdctl: c: ")
        self.assertRegex(lines[1], "^shmdctl: none: ")
        self.assertEqual([s["name"] for s in self.client.list()], ["c"])
        out = self.ctl("rm", "none", "c", status=NO_SUCH_SEGMENT)
        self.assertRegex(out, r"^c: removed; its memory goes with the last process .*\(1 attached now\)")
        self.assertEqual([s.get("name") for s in self.client.list()], [None])
        holder.kill()

    def test_targets_of_every_kind(self):
        a, b = self.client.create(), self.client.create()
        c, d = self.client.create(key=0xC0), self.client.create(key=0xD0)
        e, f = self.client.create(), self.client.create()
        self.client.create(name="g")
        kept = self.client.create(name="kept")
        out = self.ctl(
            *("rm", "--shmid", a["shmid"], "--key", "0xC0", "g", "--serial", e["serial"], "none"),
            *("-m", b["shmid"], "-M", "0xd0", "--serial", f["serial"]),
            status=NO_SUCH_SEGMENT,
        )
        self.assertEqual(
            out.splitlines(),
            [
                f"{target}: removed"
                for target in (
                    "g",
                    f"--shmid {a['shmid']}",
                    f"--key 0x{c['key']:08x}",
                    f"--serial {e['serial']}",
                    f"--shmid {b['shmid']}",
                    f"--key 0x{d['key']:08x}",
                    f"--serial {f['serial']}",
                )
            ],
        )
        self.assertRegex(self.message, r"^shmdctl: none: [^\n]*\n$")
        self.assertEqual([s["serial"] for s in self.client.list()], [kept["serial"]])

    def test_one_serial_beside_one_target_is_a_guard(self):
        one, two = self.client.create(name="one"), self.client.create(name="two")
        for target in (["one"], ["--shmid", one["shmid"]]):
            self.ctl("rm", *target, "--serial", two["serial"], status=STALE)
            self.assertEqual(len(self.client.list()), 2)
        self.ctl("rm", "one", "--serial", one["serial"])
        self.assertEqual([s["name"] for s in self.client.list()], ["two"])

    def test_nothing_is_tried_when_the_line_is_wrong(self):
        self.client.create(name="one")
        self.ctl("rm", "one", "--key", "0", status=USAGE)
        self.ctl("rm", "one", "--shmid", "x", status=USAGE)
        self.ctl("rm", status=USAGE)
        self.assertEqual(len(self.client.list()), 1)

    def test_the_daemon_is_lost_on_the_way(self):
        names = [f"n{i}" for i in range(4)]
        fake = FakeDaemon(self.directory, lambda request, n: segment_reply(request) if n < 2 else None)
        self.addCleanup(fake.close)
        self.path = fake.path
        out = self.ctl("rm", *names, status=UNREACHABLE)
        self.assertEqual(out, "n0: removed\nn1: removed\n")
        self.assertEqual([line.split(": ")[1] for line in self.message.splitlines()], ["n2", "n3"])

    def test_only_if_unattached(self):
        segment = self.client.create(name="one")
        holder = self.hold(SOMEBODY, segment["shmid"])
        self.ctl("rm", "one", "--if-unattached", status=BUSY)
        holder.kill()
        self.ctl("rm", "one", "--if-unattached")
        self.assertEqual(sysv.proc_table(), {})

    def test_a_foreign_one_is_left_alone(self):
        shmid = sysv.create(100, mode=0o666)
        self.ctl("rm", "--shmid", shmid, status=NO_SUCH_SEGMENT)
        self.assertIn("adopt", self.message)
        self.assertTrue(sysv.exists(shmid))


class List(Shmdctl):
    CONFIG = "max_segments_per_uid = 0\n"

    def names(self, *arguments, **more):
        return self.ctl("list", "-n", "-o", "NAME", *arguments, **more).split()

    def test_filters(self):
        self.client.create(name="a/1", labels={"x": "1", "y": "2"})
        self.client.create(name="a/2", labels={"x": "1"}, lifetime="process")
        self.client.create(name="b/1", ready=False)
        self.assertEqual(sorted(self.names()), ["a/1", "a/2", "b/1"])
        self.assertEqual(sorted(self.names("--prefix", "a/")), ["a/1", "a/2"])
        self.assertEqual(self.names("--label", "x=1", "--label", "y=2"), ["a/1"])
        self.assertEqual(self.names("--lifetime", "process"), ["a/2"])
        self.assertEqual(self.names("--state", "initialising"), ["b/1"])
        self.assertEqual(sorted(self.names("--uid", SOMEBODY.uid)), ["a/1", "a/2", "b/1"])
        self.assertEqual(self.names("--uid", SOMEBODY.uid + 1, note="there is no such segment"), [])

    def test_scopes(self):
        managed = self.client.create()["shmid"]
        foreign = sysv.create(100, mode=0o666)
        for options, want in (
            ([], {managed}),
            (["--scope", "managed"], {managed}),
            (["--foreign"], {foreign}),
            (["--scope", "foreign"], {foreign}),
            (["--all"], {managed, foreign}),
            (["-a"], {managed, foreign}),
        ):
            with self.subTest(options=options):
                out = self.ctl("list", "-n", "-o", "SHMID", *options)
                self.assertEqual(set(map(int, out.split())), want)

    def test_nothing(self):
        self.assertEqual(self.names(note="there is no segment that the daemon manages"), [])
        self.ctl("list", "--all", note="there is no segment that you may see")
        self.assertEqual(json.loads(self.ctl("list", "--json")), {"segments": []})

    def test_more_than_a_page(self):
        n = 1003
        requests = [
            b'{"jsonrpc":"2.0","method":"create","params":{"name":"s/%d","size":1}}\n' % i
            for i in range(n)
        ]
        self.client.send(b"".join(requests))
        wait_until(lambda: len(sysv.proc_table()) == n, "all are created")
        want = {f"s/{i}" for i in range(n)}
        self.assertEqual(set(self.names()), want)
        listed = json.loads(self.ctl("list", "--json"))
        self.assertEqual(list(listed), ["segments"])
        self.assertEqual({s["name"] for s in listed["segments"]}, want)
        self.assertEqual(len(listed["segments"]), n)

    def test_json_is_the_daemons_own(self):
        self.client.create(name="a", labels={"tricky": '"}],{["\\'})
        self.client.create(name="b")
        self.assertEqual(json.loads(self.ctl("list", "-j"))["segments"], self.client.list())


class Info(Shmdctl):
    def test_for_people(self):
        told = dict(re.split(r"  +", line) for line in self.ctl("info").splitlines())
        self.assertEqual(told["socket"], self.path)
        self.assertEqual(told["pid"], str(self.daemon.pid))
        self.assertEqual(told["protocol"], "2")
        self.assertEqual(told["kernel shmmni"], str(sysv.limits().shmmni))
        self.assertEqual(told["ipc_namespace"], str(os.stat("/proc/self/ns/ipc").st_ino))
        self.assertIn("max_segments_per_uid", told)

    def test_a_limit_that_is_none(self):
        for file in ("shmmax", "shmall"):
            sysv.sysctl(file, 2**64 - 1)
        for options in ([], ["-b"]):
            out = self.ctl("info", *options)
            self.assertRegex(out, r"(?m)^kernel shmmax +none$")
            self.assertRegex(out, r"(?m)^kernel shmall \(pages\) +none$")
        sysv.sysctl("shmmax", 1 << 30)
        self.assertRegex(self.ctl("info"), r"(?m)^kernel shmmax +1G$")

    def test_bytes(self):
        self.client.create(size=2048)
        self.assertRegex(self.ctl("info"), r"(?m)^your bytes +2K$")
        self.assertRegex(self.ctl("info", "-b"), r"(?m)^your bytes +2048$")

    def test_json(self):
        self.assertEqual(json.loads(self.ctl("info", "--json"))["pid"], self.daemon.pid)


class Memory(Shmdctl):
    """read and write."""

    def setUp(self):
        super().setUp()
        self.shmid = self.client.create(name="mem", size=1000)["shmid"]

    def content(self, offset=0, length=1000):
        return sysv.read(self.shmid, 1000)[offset : offset + length]

    def test_the_whole(self):
        data = bytes(i % 251 for i in range(1000))
        self.ctl("write", "mem", data=data)
        self.assertEqual(self.content(), data)
        self.assertEqual(self.ctl("read", "mem"), data)
        self.assertEqual(self.ctl("read", "--shmid", self.shmid), data)

    def test_what_is_not_ready_yet(self):
        self.client.create(name="late", size=4, ready=False)
        self.ctl("write", "late", data=b"ab")
        note = "late is not ready: what is not filled yet reads as zeros; to wait: shmdctl wait late$"
        self.assertEqual(self.ctl("read", "late", note=note), b"ab\0\0")
        self.client.call("ready", name="late")
        self.assertEqual(self.ctl("read", "late"), b"ab\0\0")

    def test_a_part(self):
        self.ctl("write", "mem", "--offset", "10", data=b"hello")
        self.assertEqual(self.content(8, 9), b"\0\0hello\0\0")
        self.assertEqual(self.ctl("read", "mem", "--offset", "12", "--length", "3"), b"llo")
        self.assertEqual(self.ctl("read", "mem", "--offset", "999"), b"\0")
        self.assertEqual(self.ctl("read", "mem", "--offset", "1000"), b"")
        self.assertEqual(self.ctl("read", "mem", "--length", "0"), b"")

    def test_bounds(self):
        for options in (
            ["--offset", "1001"],
            ["--length", "1001"],
            ["--offset", "1000", "--length", "1"],
            ["--offset", "7E"],
            ["--offset", "500", "--length", "7E"],
        ):
            for command in ("read", "write"):
                with self.subTest(command=command, options=options):
                    self.ctl(command, "mem", *options, data=b"x", status=USAGE)
                    self.assertIn("1000", self.message)
        self.assertEqual(self.content(), bytes(1000))

    def test_too_much_input(self):
        self.ctl("write", "mem", "--offset", "990", data=b"x" * 11, status=REFUSED)
        self.assertIn("longer than the 10 bytes", self.message)
        self.assertEqual(self.content(985), b"\0" * 5 + b"x" * 10)
        self.ctl("write", "mem", "--offset", "990", data=b"y" * 10)
        self.assertEqual(self.content(990), b"y" * 10)

    def test_input_is_left_for_others(self):
        # With --length no byte too many is taken.
        read, write = os.pipe()
        os.write(write, b"abcdef")
        os.close(write)
        with os.fdopen(read, "rb") as stdin:
            self.ctl("write", "mem", "--length", "4", stdin=stdin)
            self.assertEqual(stdin.read(), b"ef")
        self.assertEqual(self.content(0, 5), b"abcd\0")

    def test_too_little_input(self):
        self.ctl("write", "mem", "--length", "4", data=b"ab", status=REFUSED)
        self.assertIn("2 of 4", self.message)
        self.assertEqual(self.content(0, 3), b"ab\0")

    def test_through_pipes(self):
        size = 5 * 1024 * 1024 + 7
        self.client.create(name="big", size=size)
        data = os.urandom(size)
        self.ctl("write", "big", data=data)
        reader = self.start("read", "big")
        writer = self.start("write", "big", stdin=reader.stdout)
        reader.stdout.close()
        reader.stdout = None
        self.assertEqual((writer.wait(DEADLINE), reader.wait(DEADLINE)), (0, 0))
        self.assertEqual(self.ctl("read", "big"), data)

    def test_a_reader_that_goes_away(self):
        self.client.create(name="big", size=8 << 20)
        process = self.start("read", "big")
        process.stdout.read(1)
        process.stdout.close()
        process.stdout = None
        self.assertEqual(process.wait(DEADLINE), -signal.SIGPIPE)

    def test_every_command_is_quiet_when_its_reader_goes_away(self):
        """Where SIGPIPE is ignored, too, as below systemd."""
        self.client.create(name="extra")
        for arguments in (
            ["read", "mem"], ["list"], ["list", "--json"], ["stat", "mem"], ["set", "mem", "--mode", "600"],
            ["info"], ["call", "info"], ["ready", "mem"], ["wait", "mem"], ["ps"], ["top", "--once"], ["gc"],
            ["metrics"], ["help"], ["version"], ["rm", "--help"], ["events", "--after", "0"],
            ["create", "new", "--size", "1"], ["rm", "extra"],
        ):  # fmt: skip
            with self.subTest(arguments=arguments):
                status, message = self.into_a_closed_pipe(signal.SIG_IGN, *arguments)
                self.assertEqual((status, message), (REFUSED, b""))
                status, message = self.into_a_closed_pipe(signal.SIG_DFL, "list")
                self.assertEqual((status, message), (-signal.SIGPIPE, b""))

    def into_a_closed_pipe(self, disposition, *arguments):
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as out:
            before = signal.signal(signal.SIGPIPE, disposition)
            try:
                status, _, message = self.run_program(
                    "shmdctl", *arguments, user=SOMEBODY, environment={"SHMD_SOCKET": self.path},
                    stdout=out, restore_signals=False,
                )
            finally:
                signal.signal(signal.SIGPIPE, before)
        return status, message

    def test_an_output_that_is_full(self):
        with open("/dev/full", "wb") as full:
            self.ctl("read", "mem", stdout=full, status=REFUSED)
            self.ctl("list", stdout=full, status=REFUSED)

    def test_an_input_that_cannot_be_read(self):
        directory = os.open(self.directory, os.O_RDONLY)
        self.addCleanup(os.close, directory)
        self.ctl("write", "mem", stdin=directory, status=REFUSED)

    def redirected(self, redirection, *arguments):
        """Runs it with streams as a shell makes them; status, output, error output."""
        program, library = self.where_programs_are("shmdctl")
        result = subprocess.run(
            ["sh", "-c", f'exec "$0" "$@" {redirection}', program, *arguments],
            input=b"input",
            capture_output=True,
            check=False,
            timeout=DEADLINE,
            env={**os.environ, "SHMD_SOCKET": self.path, "LD_LIBRARY_PATH": library},
        )
        return result.returncode, result.stdout, result.stderr.decode()

    def test_a_closed_output_is_not_the_daemons_input(self):
        self.client.create(name="victim", mode="0666")
        request = b'\n{"jsonrpc":"2.0","id":9,"method":"remove","params":{"name":"victim"}}\n'
        self.ctl("write", "mem", data=request)
        for closed in (">&-", "<&- >&-", "<&- >&- 2>&-"):
            with self.subTest(closed=closed):
                status, out, err = self.redirected(closed, "read", "mem", "--any-owner")
                self.assertEqual((status, out), (REFUSED, b""))
                if "2>" not in closed:
                    self.assertIn("cannot write to standard output", err)
                self.assertIn("victim", [s["name"] for s in self.client.list()])
        status, _, err = self.redirected(">&-", "list")
        self.assertEqual(status, REFUSED)
        self.assertIn("cannot write to standard output", err)

    def test_a_closed_error_output(self):
        status, out, err = self.redirected("2>&-", "stat", "nothing")
        self.assertEqual((status, out, err), (NO_SUCH_SEGMENT, b"", ""))

    def test_a_closed_input(self):
        for arguments in (["write", "mem", "--any-owner"], ["call", "create", "-"]):
            with self.subTest(arguments=arguments):
                status, out, err = self.redirected("<&-", *arguments)
                self.assertEqual((status, out), (REFUSED, b""))
                self.assertIn("standard input", err)
        self.assertEqual(self.content(), bytes(1000))
        self.assertEqual(self.redirected("<&-", "read", "mem", "--any-owner"), (0, bytes(1000), ""))

    @needs_several_uids
    def test_permissions(self):
        trusted = ("mem", "--owner", SOMEBODY.uid)
        self.ctl("read", *trusted, user=BOB, status=PERMISSION_DENIED)
        self.client.call("set", name="mem", mode="0604")
        self.assertEqual(self.ctl("read", *trusted, user=BOB), bytes(1000))
        self.ctl("write", *trusted, user=BOB, data=b"x", status=PERMISSION_DENIED)

    def test_none(self):
        self.ctl("read", "nothing", status=NO_SUCH_SEGMENT)
        self.ctl("write", "nothing", data=b"x", status=NO_SUCH_SEGMENT)

    def test_an_interrupted_write_says_how_far_it_came(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number=number):
                process = self.start("write", "mem", "--offset", "100", stdin=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
                process.stdin.write(b"y" * 300)
                process.stdin.flush()
                wait_until(lambda: self.content(100, 300) == b"y" * 300, "it is written")
                process.send_signal(number)
                self.assertEqual(process.wait(DEADLINE), -number)
                self.assertEqual(
                    process.stderr.read().decode(),
                    "shmdctl: interrupted after 300 of 900 bytes were written from offset 100 on\n",
                )
                self.ctl("write", "mem", data=bytes(1000))

    def test_an_ignored_signal_stays_ignored(self):
        program, library = self.where_programs_are("shmdctl")
        process = subprocess.Popen(
            ["sh", "-c", 'trap "" INT; exec "$0" "$@"', program, "write", "mem", "--any-owner"],
            stdin=subprocess.PIPE,
            env={**os.environ, "SHMD_SOCKET": self.path, "LD_LIBRARY_PATH": library},
        )
        self.addCleanup(process.kill)
        process.stdin.write(b"z")
        process.stdin.flush()
        wait_until(lambda: self.content(0, 1) == b"z", "it is written")
        process.send_signal(signal.SIGINT)
        process.stdin.write(b"zz")
        process.stdin.close()
        process.stdin = None
        self.assertEqual(process.wait(DEADLINE), 0)
        self.assertEqual(self.content(0, 4), b"zzz\0")

    def test_progress_on_a_terminal(self):
        self.client.create(name="slow", size=1 << 24)
        main_end, terminal = pty.openpty()
        self.addCleanup(os.close, main_end)
        process = self.start("write", "slow", stdin=subprocess.PIPE, stderr=terminal)
        os.close(terminal)
        told = b""
        deadline = time.monotonic() + DEADLINE
        # As slowly as need be, until it tells something.
        while b"K" not in told:
            self.assertLess(time.monotonic(), deadline, "no progress was shown")
            process.stdin.write(b"x" * 1024)
            process.stdin.flush()
            if select.select([main_end], [], [], 0.01)[0]:
                told += os.read(main_end, 4096)
        process.stdin.close()
        process.stdin = None
        self.assertEqual(process.wait(DEADLINE), 0)
        self.assertRegex(told, rb"^\r[0-9.]+K, [0-9.]+[BK]/s\x1b\[K")


class Call(Shmdctl):
    def test_the_reply_as_it_came(self):
        self.client.create(name="x")
        line = self.ctl("call", "stat", '{"name":"x"}')
        client = self.connect(self.daemon)
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"stat","params":{"name":"x"}}')
        self.assertEqual(line.encode(), client.read_line() + b"\n")

    def test_without_parameters(self):
        self.assertEqual(json.loads(self.ctl("call", "info"))["result"]["pid"], self.daemon.pid)

    def test_parameters_from_standard_input(self):
        out = self.ctl("call", "create", "-", data=b'{\n  "name": "in",\n  "size": 1\n}\n')
        self.assertEqual(json.loads(out)["result"]["segment"]["name"], "in")
        self.ctl("call", "create", "-", data=b"", status=REFUSED)

    def test_a_refusal_is_printed_and_told(self):
        out = self.ctl("call", "stat", '{"name":"x"}', status=NO_SUCH_SEGMENT)
        self.assertEqual(json.loads(out)["error"]["code"], 1)
        out = self.ctl("call", "fly", status=REFUSED)
        self.assertEqual(json.loads(out)["error"]["code"], -32601)

    def test_a_reason_with_quotation_marks_is_told_once(self):
        self.ctl("call", "create", '{"name":"x","size":4096,"mode":644}', status=REFUSED)
        self.assertIn('"0640"', self.message)
        self.assertNotIn("reason:", self.message)
        self.assertNotIn("\\", self.message)

    def test_a_method_that_there_is_not(self):
        self.ctl("call", "stta", status=REFUSED)
        self.assertIn("there is no method 'stta'; do you mean stat? There are: info, create, ", self.message)
        self.ctl("call", "io.shmd.Stat", status=REFUSED)
        self.assertIn("there is no method 'io.shmd.Stat'; there are: info, create, ", self.message)
        self.ctl("call", "remote", status=REFUSED)
        self.assertNotIn("do you mean", self.message)

    def test_what_is_no_json(self):
        for text in ("", "{", "name=x", '{"name":"x"} {}', "{}}"):
            with self.subTest(text=text):
                self.assertEqual(self.ctl("call", "stat", text, status=USAGE), "")


class Wait(Shmdctl):
    def test_it_is_there(self):
        self.client.create(name="x")
        self.assertIn("x ", self.ctl("wait", "x", "--timeout", "0"))

    def test_it_is_not(self):
        told = f"there is no segment x [the daemon at {self.path}]\n"
        self.ctl("wait", "x", "--timeout", "0", status=TIMED_OUT)
        self.assertEqual(self.message, f"shmdctl: {told}")
        self.ctl("wait", "x", "-t", "1ms", status=TIMED_OUT)
        self.assertEqual(self.message, f"shmdctl: the time of 1ms is over: {told}")

    def test_it_is_not_ready(self):
        self.client.create(name="x", ready=False)
        creator = self.client.stat(name="x")["creator"]
        told = (f"x is initialising: pid {creator['pid']} ({creator['comm']}) has not made it ready "
                f"[the daemon at {self.path}]\n")
        self.ctl("wait", "x", "--timeout", "0", status=TIMED_OUT)
        self.assertEqual(self.message, f"shmdctl: {told}")
        self.ctl("hold", "x", "--wait", "--timeout", "0.05s", status=TIMED_OUT)
        self.assertEqual(self.message, f"shmdctl: the time of 50ms is over: {told}")

    def test_it_comes(self):
        process = self.start("wait", "x", "-n", "-o", "NAME,STATE")
        self.client.create(name="x", ready=False)
        self.ctl("ready", "x")
        self.assertEqual(process.communicate(timeout=DEADLINE)[0].split(), [b"x", b"ready"])
        self.assertEqual(process.returncode, 0)

    def test_its_initialiser_dies(self):
        initialiser = self.start("run", "x", "--size", "1", "--not-ready", "--", "sleep", "1000")
        wait_until(lambda: not self.is_gone("x"), "it is created")
        waiting = self.start("wait", "x", stderr=subprocess.PIPE)
        # It waits when the daemon has read its request: nothing else of it can be seen.
        wait_until(lambda: self.sleeps(waiting.pid), "it waits")
        initialiser.kill()
        out, err = waiting.communicate(timeout=DEADLINE)
        self.assertEqual(waiting.returncode, INITIALISER_DIED, err)
        self.assertEqual(out, b"")

    def sleeps(self, pid):
        """In recv(): its request is sent, and the daemon, which serves it in turn, answers a later
        one of ours."""
        with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            where = file.read()
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            state = file.read().rsplit(")", 1)[1].split()[0]
        # Kernels that do not tell say 0.
        if "unix_stream" not in where and not (where == "0" and state == "S"):
            return False
        self.client.list()
        return True


class Hold(Shmdctl):
    def holders(self, name):
        return [h["pid"] for h in self.client.stat(name=name)["holder_list"]]

    def held(self, process):
        """Waits until it has printed the segment it holds."""
        line = process.stdout.readline()
        self.assertTrue(line, "it ended instead")
        return line.split()

    def create_for_holders(self):
        creator = self.connect(self.daemon)
        return creator.create(name="x", lifetime="process")

    def test_as_long_as_a_command(self):
        self.create_for_holders()
        process = self.start("hold", "x", "--", "sh", "-c", "echo in; read end; exit 7", stdin=-1)
        self.assertEqual(process.stdout.readline(), b"in\n")
        self.assertIn(process.pid, self.holders("x"))
        process.communicate(b"end\n", timeout=DEADLINE)
        self.assertEqual(process.returncode, 7)
        wait_until(lambda: process.pid not in self.holders("x"), "it is no holder any more")

    def test_until_a_signal(self):
        self.create_for_holders()
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("hold", "x", "-n", "-o", "NAME")
            self.assertEqual(self.held(process), [b"x"])
            self.assertIn(process.pid, self.holders("x"))
            process.send_signal(number)
            self.assertEqual(process.wait(DEADLINE), 0)
            # It was released before it ended.
            self.assertNotIn(process.pid, self.holders("x"))

    def test_until_the_end_of_input(self):
        self.create_for_holders()
        process = self.start("hold", "x", "-n", stdin=subprocess.PIPE)
        self.held(process)
        process.stdin.write(b"this is not read as anything\n")
        process.stdin.flush()
        self.assertIn(process.pid, self.holders("x"))
        process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 0)
        self.assertNotIn(process.pid, self.holders("x"))

    def test_a_connection_is_handed_on(self):
        with self.daemon.connect() as creator:
            creator.create(name="x", lifetime="connection")
            process = self.start("hold", "x", "--", "sh", "-c", "echo in; read end", stdin=-1)
            self.assertEqual(process.stdout.readline(), b"in\n")
        self.client.list()
        self.assertEqual(self.client.stat(name="x")["holders"], 1)
        process.communicate(b"end\n", timeout=DEADLINE)
        self.wait_until_gone("x")

    def test_a_restart_of_the_daemon_ends_no_hold(self):
        self.create_for_holders()
        process = self.start("hold", "x", "-n")
        self.held(process)
        directory = self.daemon.directory
        self.daemon.stop()
        self.daemon = self.start_daemon(directory=directory)
        self.client = self.connect(self.daemon)
        self.assertIn(process.pid, self.holders("x"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(DEADLINE), 0)
        wait_until(lambda: process.pid not in self.holders("x"), "it is no holder any more")

    def test_a_connection_that_is_lost_is_told(self):
        creator = self.connect(self.daemon)
        creator.create(name="x", lifetime="connection")
        process = self.start("hold", "x", "-n", stderr=subprocess.PIPE)
        self.held(process)
        self.daemon.stop()
        self.assertEqual(process.wait(DEADLINE), UNREACHABLE)

    def test_not_holdable(self):
        serial = self.client.create(name="x")["serial"]
        self.ctl("hold", "x", status=REFUSED)
        self.assertIn("a persistent segment has no holders", self.message)
        self.assertIn(": shmdctl hold x --lifetime process ", self.message)
        self.ctl("hold", "--serial", serial, status=REFUSED)
        self.assertIn(f": shmdctl hold --serial {serial} --lifetime process ", self.message)
        self.ctl("release", "x", status=REFUSED)
        self.assertIn("nothing to release", self.message)
        self.assertIn("until somebody removes it", self.message)
        self.assertNotIn("shmdctl hold", self.message)
        self.ctl("run", "x", "--size", "1", "--", "sh", "-c", "exit 3", status=NOT_STARTED)
        self.assertIn("shmdctl hold x --lifetime process -- sh -c 'exit 3'\n", self.message)
        self.assertEqual(self.client.stat(name="x")["lifetime"], "persistent")

    def test_not_holdable_and_no_lifetime_would_help(self):
        self.client.create(name="x", lifetime="attached")
        self.ctl("hold", "x", status=REFUSED)
        self.assertIn("attach it", self.message)
        self.assertNotIn("--lifetime", self.message)
        going = self.client.create(name="y", lifetime="process")
        self.hold(SOMEBODY, going["shmid"])
        self.client.call("remove", name="y")
        for command, words in (("hold", "nobody can hold it any more"), ("release", "nothing to release")):
            self.ctl(command, "--serial", going["serial"], status=REFUSED)
            self.assertIn("is being removed", self.message)
            self.assertIn(words, self.message)
            self.assertNotIn("no holders", self.message)

    def test_a_persistent_one_is_converted(self):
        for lifetime in ("process", "connection"):
            for command in ([], ["--", "sh", "-c", "echo in; read end"]):
                with self.subTest(lifetime=lifetime, command=command):
                    self.client.create(name="x")
                    process = self.start("hold", "x", "-n", "--lifetime", lifetime, *command,
                                         stdin=subprocess.PIPE)
                    self.held(process)
                    self.assertEqual(self.holders("x"), [process.pid])
                    self.assertEqual(self.client.stat(name="x")["lifetime"], lifetime)
                    # Another one joins; then there is nothing to convert.
                    other = self.start("hold", "x", "-n", "--lifetime", lifetime,
                                       stdin=subprocess.PIPE)
                    self.held(other)
                    process.communicate(b"end\n", timeout=DEADLINE)
                    wait_until(lambda: self.holders("x") == [other.pid], "the first has let go")
                    other.communicate(timeout=DEADLINE)
                    self.wait_until_gone("x")

    def test_a_command_that_does_not_begin_loses_nothing(self):
        self.client.create(name="x")
        for lifetime in ("process", "connection"):
            self.ctl("hold", "x", "--lifetime", lifetime, "--", "/nonexistent", status=127)
            self.assertEqual(self.client.stat(name="x")["lifetime"], "persistent")

    def test_what_is_not_converted(self):
        self.create_for_holders()
        self.ctl("hold", "x", "--lifetime", "connection", status=REFUSED)
        self.assertEqual(self.client.stat(name="x")["lifetime"], "process")
        for lifetime in ("persistent", "attached"):
            self.ctl("hold", "x", "--lifetime", lifetime, status=USAGE)
            self.assertIn("has no holders", self.message)
        self.ctl("hold", "nothing", "--lifetime", "process", status=NO_SUCH_SEGMENT)
        foreign = sysv.create(100)
        for command in ("hold", "set"):
            self.ctl(command, "--shmid", foreign, "--lifetime", "process", status=NO_SUCH_SEGMENT)

    def test_wait(self):
        process = self.start("hold", "x", "--wait", "--", "sh", "-c", "echo; cat", stdin=-1)
        wait_until(lambda: "shmd_waiters 1\n" in self.client.call("metrics")["text"], "it waits")
        with self.daemon.connect() as maker:
            maker.create(name="x", lifetime="connection")
            process.stdout.readline()
        wait_until(lambda: self.holders("x") == [process.pid], "the maker is gone")
        process.communicate(timeout=DEADLINE)
        self.wait_until_gone("x")

    def test_wait_ends_with_the_timeout(self):
        self.ctl("hold", "x", "--wait", "--timeout", "50ms", status=TIMED_OUT)
        self.ctl("hold", "x", "--wait", "--timeout", "50ms", "--", "true", status=NOT_STARTED)

    def test_wait_for_what_has_no_holders(self):
        self.client.create(name="x")
        self.ctl("hold", "x", "--wait", status=REFUSED)
        self.assertIn("x is persistent and has no holders", self.message)
        self.assertIn("shmdctl hold x --lifetime process", self.message)
        self.client.create(name="y", lifetime="attached")
        self.ctl("hold", "y", "--wait", status=REFUSED)
        self.assertIn("y has no holders: its lifetime is attached", self.message)

    def test_wait_takes_a_name(self):
        self.ctl("hold", "--serial", "1", "--wait", status=USAGE)
        self.assertIn("--wait takes a NAME", self.message)
        self.ctl("hold", "x", "--wait", "--lifetime", "process", status=USAGE)

    def test_release_by_another(self):
        holder = self.connect(self.daemon)
        holder.create(name="x", lifetime="process")
        out = self.ctl("release", "x", "-n", "-o", "HOLDERS", note="this process did not hold it")
        self.assertEqual(out, "1\n")
        self.ctl("release", "x", "--json")

    def test_release_by_the_holder_itself(self):
        # run becomes release, which is therefore the holder: the last one.
        out = self.ctl(
            *("run", "x", "--size", "1", "--"),
            *("env", self.program(), "release", "x", "-n", "-o", "HOLDERS"),
            environment={"LD_LIBRARY_PATH": self.libraries()},
        )
        self.assertEqual(out, "0\n")

    def program(self):
        return self.where_programs_are("shmdctl", SOMEBODY)[0]

    def libraries(self):
        return self.where_programs_are("shmdctl", SOMEBODY)[1]


class Advice(Shmdctl):
    """What a message says to type acts on the daemon that was asked: another one may have segments
    of the same names."""

    def setUp(self):
        super().setUp()
        self.other = self.start_daemon(directory=self.daemon_directory("other"))
        self.there = self.connect(self.other, SOMEBODY)

    def advises(self, line, *arguments, status, **more):
        """LINE is advised, with the option that was typed."""
        option = ("--socket", self.other.socket_path)
        begin = f"shmdctl --socket {self.other.socket_path} "
        self.ctl(*option, *arguments, status=status, **more)
        self.assertIn(begin + line, self.message)
        self.assertNotIn(begin, self.message.replace(begin + line, ""))
        self.assertNotIn("shmdctl " + line, self.message)

    def test_to_hold_it(self):
        for client in (self.connect(self.daemon, SOMEBODY), self.there):
            client.create(name="foo", size=4096)
        self.advises("hold foo --lifetime process -- true\n", "run", "foo", "--size", "4K", "--", "true",
                     status=NOT_STARTED)
        self.advises("hold foo --lifetime process", "hold", "foo", status=REFUSED)
        self.advises("hold foo --lifetime process", "hold", "foo", "--wait", status=REFUSED)
        self.advises("hold foo --lifetime process'", "set", "foo", "--lifetime", "process", status=USAGE)

    def test_to_hold_what_was_made(self):
        option = ("--socket", self.other.socket_path)
        program = f"shmdctl --socket {self.other.socket_path}"
        self.ctl(*option, "create", "foo", "--size", "1", "--lifetime", "process", note=f".*use '{program} run'.*"
                 f"'{program} hold foo --lifetime process'$")
        self.ctl(*option, "create", "foo", "--size", "1", "--not-ready", note=f".*use '{program} run'$")

    def test_to_wait(self):
        self.there.create(name="foo", size=4, ready=False)
        self.ctl("-s", self.other.socket_path, "read", "foo",
                 note=f"foo .*; to wait: shmdctl --socket {self.other.socket_path} wait foo$")

    def test_what_is_foreign(self):
        shmid = as_user(SOMEBODY, lambda: sysv.create(100))
        self.addCleanup(sysv.remove, shmid)
        self.advises(f"rm --force --shmid {shmid} ", "rm", "--shmid", shmid, status=NO_SUCH_SEGMENT)
        self.advises(f"adopt --shmid {shmid} ", "set", "--shmid", shmid, "--mode", "600", status=NO_SUCH_SEGMENT)
        self.advises("list --all ", "adopt", "--key", "0x7a7a7a7a", status=NO_SUCH_SEGMENT)

    def test_where_the_option_stands(self):
        for arguments, line in (
            (["-s", "a b", "create", "foo", "4K"], "shmdctl -s 'a b' create foo --size 4K\n"),
            (["create", "foo", "-s", "a b", "4K"], "shmdctl create -s 'a b' foo --size 4K\n"),
            (["--system", "create", "foo", "4K"], "shmdctl --system create foo --size 4K\n"),
            (["--user", "run", "foo", "ls"], "shmdctl --user run foo --size SIZE -- ls\n"),
            (["--user", "read", "foo", "f"], "shmdctl --user read foo >f\n"),
            (["--user", "adopt", "5"], "shmdctl --user adopt --shmid 5\n"),
            (["-s", "it's", "adopt"], "shmdctl --socket $'it\\'s' list --all shows the numbers\n"),
            (["-s", "it's", "wait"], "too few arguments: shmdctl --socket $'it\\'s' wait NAME\n"),
            (["--user", "gc", "x"], "the usage is: shmdctl --user gc [--shmid N | --key K]\n"),
            (["--user", "set", "x", "--ready"], "shmdctl --user ready NAME\n"),
            (["--user", "rm", "--name", "x"], "shmdctl --user rm NAME\n"),
            (["--user", "run", "x", "--size", "1", "--"], "shmdctl --user run NAME "),
            (["--user", "run", "x", "--size", "1"], "shmdctl --user run NAME "),
            (["--user", "hold", "x", "--colour"], "shmdctl --user hold "),
            (["set", "x", "--ready", "--user"], "shmdctl --user ready NAME\n"),
            (["rm", "--name", "x", "--force", "-s", "a b"], "shmdctl --socket 'a b' rm NAME\n"),
            (["rm", "--name", "x", "--socket=/x", "--socket=/y"], "shmdctl --socket /x rm NAME\n"),
            (["hold", "--colour", "x", "-nys", "/x"], "shmdctl --socket /x hold "),
            (["adopt", "99999999999", "-s", "/x"], "'99999999999' is the number of no segment; "
             "shmdctl --socket /x list --all shows the numbers\n"),
            (["adopt", "0x1234567890"], "'0x1234567890' is the number of no segment; "
             "shmdctl list --all shows the numbers\n"),
            (["adopt", "0x0"], "'0x0' is the number of no segment; "),
            (["adopt", "3000000000"], "K: shmdctl adopt --key 3000000000\n"),
            (["adopt", "2147483647"], "K: shmdctl adopt --shmid 2147483647\n"),
            (["adopt", "0xfoo"], "K: shmdctl adopt --shmid N 0xfoo; shmdctl list --all shows the numbers\n"),
        ):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=NOT_STARTED if "run" in arguments else USAGE)
                self.assertIn(line, self.message)

    @needs_several_uids
    def test_it_is_for_the_reader(self):
        """Who may not change the segment is not told to."""
        root = self.connect(self.daemon, ROOT)
        root.create(name="roots", mode="0644")
        root.create(name="open", size=4096, mode="0666")
        self.ctl("run", "roots", "--size", "1", "--", "true", status=NOT_STARTED)
        self.assertIn("a segment of lifetime persistent has no holders\n", self.message)
        self.ctl("hold", "roots", "--wait", status=REFUSED)
        self.assertIn("it stays until somebody removes it\n", self.message)
        self.ctl("hold", "roots", status=REFUSED)
        self.assertIn("; as its owner or root: shmdctl hold roots --lifetime process", self.message)
        self.ctl("create", "open", "--size", "8K", status=SIZE_MISMATCH)
        self.assertIn("; as its owner or root: --replace puts a new one in its place", self.message)

    def test_run_is_not_told_to_replace(self):
        """What is new would go with the command, and what was there is lost."""
        self.client.create(name="foo", size=4096, mode="0666")
        self.ctl("run", "foo", "--size", "8K", "--any-owner", "--", "true", status=NOT_STARTED)
        self.assertIn("4096 bytes", self.message)
        self.assertNotIn("--replace", self.message)


class Run(Shmdctl):
    def test_the_command_knows_its_segment(self):
        script = "echo $SHMD_NAME $SHMD_SHMID $SHMD_SIZE $SHMD_SERIAL; cat >/dev/null; exit 3"
        process = self.start("run", "job", "--size", "1M", "--", "sh", "-c", script, stdin=-1)
        name, shmid, size, serial = process.stdout.readline().decode().split()
        segment = self.client.stat(name="job")
        self.assertEqual((name, size), ("job", str(1 << 20)))
        self.assertEqual((int(shmid), int(serial)), (segment["shmid"], segment["serial"]))
        self.assertEqual([h["pid"] for h in segment["holder_list"]], [process.pid])
        process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 3)
        self.wait_until_gone("job")
        self.assertEqual(sysv.proc_table(), {})

    def test_it_goes_however_the_command_ends(self):
        process = self.start("run", "job", "--size", "1", "--", "sh", "-c", "echo; exec sleep 1000")
        process.stdout.readline()
        process.kill()
        self.assertEqual(process.wait(DEADLINE), -signal.SIGKILL)
        self.wait_until_gone("job")

    def test_an_existing_segment_gets_a_holder(self):
        creator = self.connect(self.daemon)
        creator.create(name="job", lifetime="process")
        process = self.start("run", "job", "--size", "1", "--", "sh", "-c", "echo; cat", stdin=-1,
                             stderr=subprocess.PIPE)
        process.stdout.readline()
        self.assertEqual(self.client.stat(name="job")["holders"], 2)
        _, err = process.communicate(timeout=DEADLINE)
        self.assertRegex(err, b"^shmdctl: job exists already and is left as it is; [^\n]*\n$")

    def test_an_existing_connections_segment_is_held_as_long(self):
        with self.daemon.connect() as creator:
            creator.create(name="job", lifetime="connection")
            process = self.start("run", "job", "--size", "1", "--", "sh", "-c", "echo; cat",
                                 stdin=-1, stderr=subprocess.PIPE)
            process.stdout.readline()
        wait_until(lambda: self.client.stat(name="job")["holders"] == 1, "the creator is gone")
        process.communicate(timeout=DEADLINE)
        self.wait_until_gone("job")

    def test_no_descriptor_is_left_to_the_command(self):
        out = self.ctl("run", "job", "--size", "1", "--", "ls", "/proc/self/fd")
        self.assertEqual(len(out.split()), 4)  # the three, and that of the listing itself

    def test_the_socket_is_handed_on(self):
        out = self.ctl(
            *("--socket", self.path, "run", "job", "--size", "1", "--"),
            *("sh", "-c", "echo $SHMD_SOCKET"),
            environment={"SHMD_SOCKET": "/nonexistent"},
        )
        self.assertEqual(out, self.path + "\n")

    def test_no_such_command(self):
        self.ctl("run", "job", "--size", "1", "--", "/nonexistent", status=127)
        self.ctl("run", "job", "--size", "1", "--", "/dev/null", status=126)
        self.wait_until_gone("job")

    def test_usage(self):
        # No exit status of a command can be taken for one of these.
        for arguments, part in (
            (["job", "--size", "1"], "after --"),
            (["job", "--size", "1", "--"], "a command must follow --"),
            (["job", "--", "true"], "--size"),
            (["job", "--size", "1", "true"], "needs -- before the command 'true'"),
            (["job", "--colour", "--", "true"], "--colour"),
        ):
            self.ctl("run", *arguments, status=NOT_STARTED)
            self.assertIn(part, self.message)

    def test_its_own_failures_are_no_exit_status_of_a_command(self):
        self.client.create(name="job", size=10, lifetime="process")
        self.ctl("run", "job", "--size", "11", "--", "true", status=NOT_STARTED)
        self.ctl("run", "no good", "--size", "1", "--", "true", status=NOT_STARTED)
        self.ctl("hold", "nothing", "--", "true", status=NOT_STARTED)
        self.ctl("hold", "--colour", "job", "--", "true", status=NOT_STARTED)
        self.path = "/nonexistent"
        self.ctl("run", "job", "--size", "1", "--", "true", status=NOT_STARTED)

    def test_the_command_knows_whether_the_segment_is_new(self):
        script = ("run", "job", "--size", "1", "--", "sh", "-c", "echo $SHMD_CREATED; cat")
        first = self.start(*script, stdin=-1)
        self.assertEqual(first.stdout.readline(), b"1\n")
        second = self.start(*script, stdin=-1, stderr=subprocess.PIPE)
        self.assertEqual(second.stdout.readline(), b"0\n")
        for process in (first, second):
            process.communicate(timeout=DEADLINE)

    def initialise(self):
        peer = self.connect(self.daemon)
        peer.create(name="job", lifetime="process", ready=False)
        return peer

    def test_it_waits_until_an_existing_segment_is_ready(self):
        peer = self.initialise()
        process = self.start("run", "job", "--size", "1", "--", "echo", "ran", stderr=subprocess.PIPE)
        wait_until(lambda: "shmd_waiters 1\n" in self.client.call("metrics")["text"],
                   "it waits")
        peer.call("ready", name="job")
        out, _ = process.communicate(timeout=DEADLINE)
        self.assertEqual((process.returncode, out), (0, b"ran\n"))

    def test_it_does_not_start_on_one_that_is_never_ready(self):
        self.initialise()
        out = self.ctl("--timeout", "50ms", "run", "job", "--size", "1", "--", "echo", "ran",
                       status=NOT_STARTED)
        self.assertEqual(out, "")

    def test_it_starts_on_an_initialising_one_if_that_is_said(self):
        self.initialise()
        out = self.ctl("run", "job", "--size", "1", "--initialising", "--", "echo", "ran",
                       note="job exists already")
        self.assertEqual(out, "ran\n")

    def test_of_one_of_its_own_it_does_not_wait(self):
        out = self.ctl("run", "job", "--size", "1", "--not-ready", "--", "echo", "ran")
        self.assertEqual(out, "ran\n")


class HugePages(Shmdctl):
    def test_a_size_that_there_is_not(self):
        self.ctl("create", "x", "--size", "6M", "--huge=3M", status=REFUSED)
        self.assertIn("this kernel has no huge pages of 3M; those it has are shown by shmdctl info, as huge page size",
                      self.message)
        self.assertRegex(self.ctl("info"), r"(?m)^huge page size +(none|\d+[KMG])$")


class Numbers(Shmdctl):
    """A number is taken for a name, and where it is an id or a key the answer says so."""

    def test_an_id(self):
        shmid = sysv.create(4096)
        for command in ("stat", "rm", "read", "write", "set", "ready", "hold", "release", "disown", "ps"):
            with self.subTest(command=command):
                change = ["--ttl", "1h"] if command == "set" else []
                self.ctl(command, shmid, *change, status=NO_SUCH_SEGMENT)
                self.assertIn(f"; the segment with that id is --shmid {shmid}", self.message)
                self.assertNotIn("--key", self.message)

    def test_a_key(self):
        sysv.create(4096, key=0x4E545032)
        for number in ("0x4e545032", str(0x4E545032)):
            self.ctl("stat", number, status=NO_SUCH_SEGMENT)
            self.assertIn(f"; the segment with that key is --key {number}", self.message)
            self.assertNotIn("--shmid", self.message)

    def test_a_key_is_written_as_ipcs_does(self):
        self.ctl("stat", "--key", "0xbeef", status=NO_SUCH_SEGMENT)
        self.assertIn("key: 0x0000beef", self.message)
        sysv.create(4096, key=0xBEEF)
        self.ctl("create", "x", "--size", "1", "--key", str(0xBEEF), status=EXISTS)
        self.assertIn("key: 0x0000beef", self.message)

    def test_neither(self):
        sysv.create(4096)
        for name in ("0", "4711", "0x0", "0x12", "1x", "frames"):
            with self.subTest(name=name):
                self.ctl("stat", name if name != "0" else "00000", status=NO_SUCH_SEGMENT)
                self.assertNotRegex(self.message, "--(shmid|key) ")

    def test_a_name_that_is_a_number(self):
        shmid = sysv.create(4096)
        self.client.create(name=str(shmid))
        self.assertEqual(self.ctl("stat", shmid, "-n", "-o", "NAME").strip(), str(shmid))


class Ps(Shmdctl):
    def setUp(self):
        super().setUp()
        self.segment = self.client.create(name="frames", mode="0666", lifetime="process")
        self.shmid = self.segment["shmid"]

    def attach(self, user=SOMEBODY, shmid=None, read_only=False):
        """A process that has it attached, and whose /proc the user may read."""
        code = ("import sys, sysv; sysv.attach(int(sys.argv[1]), int(sys.argv[2])); "
                "print(flush=True); sys.stdin.read()")
        identity = {"user": user.uid, "group": user.gid} if SEVERAL_UIDS else {}
        here = os.path.dirname(os.path.abspath(__file__))
        for name in ("sysv.py",):
            shutil.copy(os.path.join(here, name), self.directory)
        process = subprocess.Popen(
            ["/usr/bin/env", "python3", "-c", code, str(self.shmid if shmid is None else shmid),
             str(sysv.SHM_RDONLY if read_only else 0)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": self.directory}, **identity)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        if not process.stdout.readline():
            self.skipTest("this user cannot run python3")
        return process.pid

    def ps(self, *arguments, **more):
        return json.loads(self.ctl("ps", "--json", *arguments, **more))["segments"]

    def test_one(self):
        writer, reader = self.attach(), self.attach(read_only=True)
        (segment,) = self.ps("frames")
        self.assertEqual((segment["name"], segment["shmid"], segment["serial"], segment["nattch"]),
                         ("frames", self.shmid, self.segment["serial"], 2))
        self.assertEqual(segment["unseen"], 0)
        rows = {row["pid"]: row for row in segment["attached"]}
        self.assertEqual(set(rows), {writer, reader})
        self.assertEqual((rows[writer]["read_only"], rows[reader]["read_only"]), (False, True))
        for pid, row in rows.items():
            self.assertEqual((row["uid"], row["count"]), (SOMEBODY.uid, 1))
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                self.assertEqual(row["comm"], file.read().strip())
            with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
                self.assertIn(row.get("cgroup", ""), file.read())
        (holder,) = segment["holders"]
        self.assertEqual(holder["pid"], os.getpid())

    @needs_to_be_alone
    def test_unit_and_control_group(self):
        """Read from /proc/PID/cgroup, in whose place stands what systems with systemd show there."""
        pid = self.attach(read_only=True)
        planted = os.path.join(self.directory, "cgroup")
        with open(planted, "w", encoding="ascii"):
            pass
        os.chmod(planted, 0o644)
        target = f"/proc/{pid}/cgroup"
        if sysv.libc.mount(planted.encode(), target.encode(), None, 0x1000, None) != 0:  # MS_BIND
            self.skipTest(f"nothing can be mounted over {target}")
        self.addCleanup(sysv.libc.umount2, target.encode(), 0)
        for text, cgroup, unit in (
            ("0::/system.slice/app.service\n", "/system.slice/app.service", "app.service"),
            ("0::/user.slice/user-7.slice/user@7.service/app.slice/run-1.scope/x\n",
             "/user.slice/user-7.slice/user@7.service/app.slice/run-1.scope/x", "run-1.scope"),
            ("2:cpu:/elsewhere.service\n1:name=systemd:/system.slice/old.service\n",
             "/system.slice/old.service", "old.service"),
            ("0::/kubepods/pod4711/.service\n", "/kubepods/pod4711/.service", None),
            ("3:cpu:/none.service\n", None, None),
        ):
            with self.subTest(text=text):
                with open(planted, "w", encoding="ascii") as file:
                    file.write(text)
                (row,) = self.ps("frames")[0]["attached"]
                self.assertEqual((row.get("cgroup"), row.get("unit")), (cgroup, unit))
                line = next(line for line in self.ctl("ps", "frames").splitlines() if f" {pid} " in line)
                told = [unit or cgroup] if cgroup else []
                self.assertEqual(line.split()[5:], [*told, "read-only", "no", "no"])

    @needs_several_uids
    def test_a_file_that_looks_like_a_segment_is_none(self):
        """A file system that is mounted nowhere shows a file as /SYSV, and counts its inodes."""
        def pretend(shmid):
            call, fd = sysv.libc.syscall, lambda n: os.open(
                f"SYSV{n:08x}", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=mount)
            context = call(430, b"tmpfs", 0)  # fsopen
            if context < 0 or call(431, context, 6, None, None, 0) < 0:  # fsconfig: create
                return None
            mount = call(432, context, 0, 0)  # fsmount
            file = next(file for file in map(fd, range(100)) if os.fstat(file).st_ino == shmid)
            os.ftruncate(file, sysv.PAGE)
            return mmap.mmap(file, sysv.PAGE)

        def act():
            sysv.libc.unshare(0x08000000)  # the ids begin anew
            shmid = [sysv.create(4096) for _ in range(20)][-1]
            mapping = pretend(shmid)
            with open("/proc/self/maps", encoding="ascii") as maps:
                is_like_one = re.search(rf" {shmid} +/SYSV0", maps.read()) is not None
            (segment,) = self.ps("--shmid", shmid, user=ROOT)
            with sysv.attached(shmid):
                (attached,) = self.ps("--shmid", shmid, user=ROOT)
            return mapping is not None, is_like_one, segment["attached"], attached["attached"]

        self.path = "/nonexistent"
        could, is_like_one, before, while_attached = as_user(ROOT, act)
        if not could:
            self.skipTest("this kernel cannot mount a file system nowhere")
        self.assertTrue(is_like_one)
        self.assertEqual(before, [])
        self.assertEqual([row["count"] for row in while_attached], [1])

    def test_for_people(self):
        pid = self.attach(read_only=True)
        lines = self.ctl("ps", "frames").splitlines()
        self.assertEqual(lines[0].split(), "SHMID NAME PID USER COMMAND UNIT ACCESS HOLDS WAITS".split())
        rows = {line.split()[2]: line.split() for line in lines[1:]}
        self.assertEqual(set(rows), {str(pid), str(os.getpid())})
        self.assertEqual(rows[str(pid)][-3:], ["read-only", "no", "no"])
        self.assertEqual(rows[str(os.getpid())][-3:], ["-", "yes", "no"])
        self.assertEqual(self.ctl("help", "ps").splitlines()[-1],
                         "Columns: SHMID, NAME, PID, USER, COMMAND, UNIT, ACCESS, HOLDS, WAITS")
        details = self.ctl("stat", "frames")
        self.assertRegex(details, rf"(?m)^ATTACHED +pid {pid} \(.*\), uid {SOMEBODY.uid}, read-only")

    def test_columns_and_order(self):
        pids = [self.attach(), self.attach(read_only=True)]
        mine = str(os.getpid())
        by_pid = sorted([*map(str, pids), mine], key=int)
        pids_of = lambda *arguments: self.ctl("ps", "frames", "-n", "-o", "PID", *arguments).split()  # noqa: E731
        self.assertEqual(pids_of("--sort", "pid"), by_pid)
        self.assertEqual(pids_of("--sort", "PID", "--reverse"), by_pid[::-1])
        self.assertEqual(pids_of("--sort", "ACCESS"), [mine, str(pids[1]), str(pids[0])])
        self.assertEqual(pids_of("-r"), pids_of()[::-1])
        lines = self.ctl("ps", "frames", "--output", "pid,ACCESS,PID", "--sort", "ACCESS").splitlines()
        self.assertEqual([line.split() for line in lines[:2]], [["PID", "ACCESS", "PID"], [mine, "-", mine]])
        whole = self.ctl("ps", "frames", "-o", "+NAME").splitlines()
        self.assertEqual(whole[0].split()[-2:], ["WAITS", "NAME"])
        self.assertEqual({line.split()[-1] for line in whole[1:]}, {"frames"})
        for arguments, message in ((["-o", "PIDD"], "unknown column 'PIDD'; do you mean PID? There are SHMID,NAME,"),
                                   (["--sort", "SIZE"], "unknown column 'SIZE'; there are SHMID,NAME,"),
                                   (["-o", ",".join(["PID"] * 50)], "too many columns"),
                                   (["-o", ""], "--output is empty; it takes columns"),
                                   (["-o", "PID,"], "a column is missing before or behind a comma; there are SHMID,"),
                                   (["--json", "-o", "PID"], "with --json there is always everything"),
                                   (["--json", "-r"], "with --json there is always everything")):
            with self.subTest(arguments):
                self.ctl("ps", *arguments, status=USAGE)
                self.assertIn(message, self.message)

    def test_all(self):
        foreign, unused = sysv.create(4096, mode=0o666), sysv.create(4096)
        pid, other = self.attach(shmid=foreign), self.attach()
        segments = {segment["shmid"]: segment for segment in self.ps()}
        self.assertEqual(set(segments), {self.shmid, foreign})
        self.assertNotIn("name", segments[foreign])
        self.assertEqual([row["pid"] for row in segments[foreign]["attached"]], [pid])
        self.assertEqual([row["pid"] for row in segments[self.shmid]["attached"]], [other])
        (segment,) = self.ps("--shmid", unused)
        self.assertEqual((segment["attached"], segment["holders"]), ([], []))
        self.assertEqual(self.ctl("ps", "--shmid", unused), "No process has it attached, holds it or waits for it.\n")

    @needs_several_uids
    def test_processes_of_others(self):
        hers, his = self.attach(ALICE), self.attach(BOB)
        (segment,) = self.ps("frames", user=ALICE)
        self.assertEqual(([row["pid"] for row in segment["attached"]], segment["unseen"]), ([hers], 1))
        self.assertIn(f"shmid {self.shmid}: 1 of 2 attachments belong to processes that you may not see",
                      self.ctl("ps", "frames", user=ALICE))
        self.assertIn("1 more, by processes that you may not see", self.ctl("stat", "frames", user=ALICE))
        (segment,) = self.ps("frames", user=ROOT)
        self.assertEqual({row["pid"] for row in segment["attached"]}, {hers, his})
        self.assertEqual(segment["unseen"], 0)

    def test_who_waits(self):
        self.client.create(name="late", ready=False)
        waiter = self.start("wait", "late")
        wait_until(lambda: self.client.stat(name="late")["waiters"] == 1, "it waits")
        (segment,) = self.ps("late")
        (row,) = segment["waiters"]
        self.assertEqual((row["pid"], row["uid"], row["comm"]), (waiter.pid, SOMEBODY.uid, "shmdctl"))
        self.assertIn("late", [segment.get("name") for segment in self.ps()])
        (line,) = [line.split() for line in self.ctl("ps", "late", "-n").splitlines()
                   if str(waiter.pid) in line.split()]
        self.assertEqual(line[-3:], ["-", "no", "yes"])
        self.assertRegex(self.ctl("stat", "late"),
                         rf"(?m)^WAITER +pid {waiter.pid} \(shmdctl\), uid {SOMEBODY.uid}, since \d")
        self.client.call("ready", name="late")
        self.assertEqual(waiter.wait(DEADLINE), 0)
        self.assertNotIn("waiters", self.client.stat(name="late"))

    def test_nobody(self):
        sysv.create(4096)
        self.client.call("remove", name="frames")
        self.assertEqual(self.ctl("ps"), "No process has a segment attached, holds one or waits for one.\n")
        self.assertEqual(self.ps(), [])
        self.ctl("ps", "frames", status=NO_SUCH_SEGMENT)

    def test_without_a_daemon(self):
        pid = self.attach()
        self.daemon.stop()
        (segment,) = self.ps()
        self.assertEqual((segment["shmid"], [row["pid"] for row in segment["attached"]]),
                         (self.shmid, [pid]))
        self.assertIn(str(pid), self.ctl("ps", "--shmid", self.shmid, note="the daemon was not asked"))
        self.ctl("ps", "--shmid", "4711", status=NO_SUCH_SEGMENT)
        self.ctl("ps", "frames", status=UNREACHABLE)

    def test_without_a_daemon_nothing_is_said_of_holders_and_waiters(self):
        pid = self.attach()
        self.daemon.stop()
        note = "the daemon was not asked .*: names, and who holds a segment or waits for it, are not known"
        (segment,) = self.ps()
        self.assertEqual({"holders", "waiters", "name"} & set(segment), set())
        (row,) = self.ctl("ps", "-n", note=note).splitlines()
        self.assertEqual((row.split()[1], row.split()[-3:]), (str(pid), ["writable", "?", "?"]))

    def test_nobody_without_a_daemon(self):
        note = "the daemon was not asked .*: names, and who holds a segment or waits for it, are not known"
        self.daemon.stop()
        self.assertEqual(self.ctl("ps", note=note), "No process has a segment attached.\n")
        self.assertEqual(self.ctl("ps", "--shmid", self.shmid, note=note), "No process has it attached.\n")

    def test_the_daemon_itself_is_none(self):
        # It has it attached until somebody else has.
        self.client.create(name="anchored", lifetime="attached", mode="0600")
        (segment,) = self.ps("anchored", user=ROOT)
        self.assertEqual((segment["attached"], segment["nattch"], segment["unseen"]), ([], 0, 0))


class AnotherNamespace(CommandCase):
    """The daemon's ids mean nothing here."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon(user=ROOT, shell=("unshare", "--ipc", "--"))
        self.path = self.daemon.socket_path
        self.client = self.connect(self.daemon)

    def test_what_prints_ids_warns(self):
        self.client.create(name="theirs", mode="0666", lifetime="process")
        commands = (
            ["create", "x", "--size", "1"],
            ["stat", "x"],
            ["set", "x", "--mode", "0640"],
            ["list"],
            ["ready", "x"],
            ["wait", "x"],
            ["hold", "theirs"],
            ["release", "theirs", "--json"],  # or it also says that it held nothing
            ["events", "--after", "0", "--count", "1"],
            ["call", "info"],
            ["rm", "x", "--json"],
            ["create", "x", "--size", "1"],
            ["disown", "x"],
            ["top", "--once"],
        )
        for command in commands:
            with self.subTest(command=command):
                self.ctl(*command, data=b"", note="the daemon is in another IPC namespace")
                self.assertNotIn("no such segment", self.message)
        self.ctl("create", "x", "--size", "1", "--json", note="the daemon is in another IPC namespace")
        self.ctl("rm", "x")  # these two print none
        self.ctl("info")

    def test_ids_are_refused(self):
        shmid = self.client.create(name="theirs", mode="0666")["shmid"]
        # Ours, with the very same id.
        sysv.create_with_shmid(shmid, 4096, mode=0o666)
        for command in ("stat", "set", "rm", "ready", "hold", "release", "read", "write", "adopt", "disown",
                        "ps"):
            with self.subTest(command=command):
                change = ["--ttl", "1h"] if command == "set" else []
                out = self.ctl(command, "--shmid", shmid, *change, status=REFUSED)
                self.assertFalse(out)
                self.assertIn("another IPC namespace", self.message)
        for command in ("read", "write", "ps"):
            self.ctl(command, "theirs", status=REFUSED)
        self.assertEqual(len(self.client.list()), 1)
        self.assertTrue(sysv.exists(shmid))

    def test_run_creates_nothing(self):
        out = self.ctl("run", "x", "--size", "1", "--", "echo", "ran", status=NOT_STARTED)
        self.assertEqual(out, "")
        self.assertIn("another IPC namespace", self.message)
        self.assertEqual(self.client.list(), [])


class Adopt(Shmdctl):
    @needs_several_uids
    def test_by_id_and_by_key(self):
        for target in ("--shmid", "--key"):
            with self.subTest(target=target):
                shmid = as_user(ALICE, lambda: sysv.create(100, key=0xF00, mode=0o640))
                value = shmid if target == "--shmid" else "0xF00"
                self.ctl("list", "--all", user=ALICE)
                self.ctl(
                    *("adopt", target, value, "old", "--ttl", "1h", "--label", "a=b"), user=ALICE
                )
                segment = self.client.stat(name="old")
                self.assertEqual(segment["shmid"], shmid)
                self.assertEqual(segment["labels"], {"a": "b"})
                self.assertEqual(sysv.stat(shmid).uid, DAEMON.uid)
                self.ctl("rm", "old", user=ALICE)
                self.assertFalse(sysv.exists(shmid))

    @needs_several_uids
    def test_a_strangers(self):
        shmid = as_user(BOB, lambda: sysv.create(100, mode=0o666))
        self.ctl("adopt", "--shmid", shmid, user=ALICE, status=PERMISSION_DENIED)
        self.assertEqual(sysv.stat(shmid).uid, BOB.uid)

    @needs_several_uids
    def test_what_could_not_be_taken_back_is_not_handed_over(self):
        # An owner who is not the creator would have no rights left after a refusal.
        shmid = as_user(ALICE, lambda: sysv.create(100, mode=0o600))
        as_user(ALICE, lambda: sysv.set_owner(shmid, BOB.uid, BOB.gid, 0o600))
        self.ctl("adopt", "--shmid", shmid, user=BOB, status=PERMISSION_DENIED)
        self.assertEqual(sysv.stat(shmid).uid, BOB.uid)
        self.ctl("create", "mine", "--size", "100", user=ALICE)
        managed = self.client.stat(name="mine")["shmid"]
        self.ctl("adopt", "--shmid", managed, user=ALICE, status=EXISTS)
        self.assertEqual(sysv.stat(managed).uid, ALICE.uid)

    def test_a_lifetime_that_ends_with_the_command(self):
        shmid = as_user(SOMEBODY, lambda: sysv.create(100, mode=0o640))
        for lifetime in ("process", "connection", "attached"):
            with self.subTest(lifetime=lifetime):
                self.ctl("adopt", "--shmid", shmid, "--lifetime", lifetime, status=USAGE)
                self.assertIn("nothing was changed", self.message)
                self.assertEqual(sysv.stat(shmid).uid, SOMEBODY.uid)
        self.hold(SOMEBODY, shmid)
        self.ctl("adopt", "--shmid", shmid, "old", "--lifetime", "attached")
        self.assertEqual(self.client.stat(name="old")["lifetime"], "attached")

    def test_usage(self):
        self.ctl("adopt", "x", status=USAGE)
        self.ctl("adopt", "--shmid", "1", "--key", "1", status=USAGE)
        self.ctl("adopt", "--shmid", "2147483647", status=NO_SUCH_SEGMENT)
        self.assertIn("no such segment: shmdctl list --all shows what there is (shmid: 2147483647)", self.message)
        self.ctl("adopt", "--key", "0x77", status=NO_SUCH_SEGMENT)
        self.assertIn("shmdctl list --all shows what there is (key: 0x00000077)", self.message)


class Events(Shmdctl):
    def setUp(self):
        super().setUp()
        self.client.create(name="a/1")
        self.client.create(name="b/1")
        self.client.call("remove", name="a/1")

    def test_for_people(self):
        lines = self.ctl("events", "--after", "0", "--count", "3").splitlines()
        self.assertRegex(lines[0], r"^\d{4}-\S+ created  a/1 event_serial=1 serial=1 shmid=\d+")
        self.assertRegex(lines[2], r" removed  a/1 event_serial=3 .* reason=request$")

    def test_as_json_line_by_line(self):
        out = self.ctl("events", "--json", "--after", "1", "-c", "2")
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([e["kind"] for e in events], ["created", "removed"])
        self.assertEqual(events[0]["segment"]["name"], "b/1")

    def test_chosen(self):
        out = self.ctl("events", "--after=0", "--kinds", "removed,ready", "-c", "1", "-j")
        self.assertEqual(json.loads(out)["kind"], "removed")
        out = self.ctl("events", "--after=0", "--prefix", "b/", "-c", "1", "-j")
        self.assertEqual(json.loads(out)["segment"]["name"], "b/1")
        self.ctl("events", "--kinds", "removed,exploded", status=USAGE)
        self.assertIn("adopted", self.message)

    def test_each_line_is_written_at_once(self):
        process = self.start("events", "--json", "--after", "3")
        for i in range(3):
            self.client.create(name=f"c/{i}")
            event = json.loads(process.stdout.readline())
            self.assertEqual(event["segment"]["name"], f"c/{i}")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE), -signal.SIGINT)

    def test_it_ends_with_the_timeout(self):
        out = self.ctl("events", "--after", "0", "--timeout", "2s")
        self.assertEqual(len(out.splitlines()), 3)
        self.assertEqual(self.ctl("events", "--timeout", "1ms", "--prefix", "none/"), "")

    def test_too_few_until_the_timeout(self):
        out = self.ctl("events", "--after", "0", "--timeout", "2s", "-c", "4", status=TIMED_OUT)
        self.assertEqual(len(out.splitlines()), 3)
        self.assertIn("3 of 4 events came", self.message)
        self.ctl("events", "--after", "0", "--timeout", "1h", "-c", "3")

    def test_an_output_that_is_full(self):
        with open("/dev/full", "wb") as full:
            self.ctl("events", "--after", "0", stdout=full, status=REFUSED)
        self.assertIn("cannot write to standard output: No space", self.message)

    def test_the_daemon_ends(self):
        process = self.start("events", "--after", "0", stderr=subprocess.PIPE)
        for _ in range(3):
            process.stdout.readline()
        self.daemon.stop()
        self.assertEqual(process.wait(DEADLINE), UNREACHABLE)


# A value that each option takes.
VALUES = {
    "socket": "/x", "timeout": "1s", "shmid": "1", "key": "1", "serial": "1", "size": "1",
    "mode": "600", "uid": "0", "gid": "0", "lifetime": "process", "ttl": "1s", "new-name": "x",
    "prefix": "x", "state": "ready", "scope": "all", "output": "NAME", "offset": "0", "length": "1",
    "after": "1", "count": "1", "older-than": "1s", "idle": "1s", "idle-ttl": "1s", "owner": "0",
    "from": "x", "sort": "NAME", "time-format": "iso", "delay": "1s",
}  # fmt: skip


class CommandLine(CommandCase):
    """What needs no daemon."""

    def test_no_daemon(self):
        missing = os.path.join(self.directory, "missing.sock")
        for arguments in (["list"], ["-s", missing, "list"], ["list", "--socket", missing]):
            self.path = missing if "list" == arguments[0] else "/elsewhere"
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=UNREACHABLE)
                self.assertIn(missing, self.message)
                self.assertNotIn("systemctl", self.message)
        self.ctl("-s", "/x" * 100, "list", status=UNREACHABLE)

    def test_the_hint_starts_a_daemon_as_it_stands(self):
        own = tempfile.mkdtemp(prefix="own", dir=self.directory)
        os.chown(own, SOMEBODY.uid, SOMEBODY.gid)
        shared, missing = os.path.join(self.directory, "shared"), os.path.join(own, "a", "b")
        os.mkdir(shared)
        os.chmod(shared, 0o1777)
        os.chmod(self.directory, 0o755)
        program, library = self.where_programs_are("shmd", SOMEBODY)
        identity = {"user": SOMEBODY.uid, "group": SOMEBODY.gid} if SEVERAL_UIDS else {}
        environment = {"PATH": f"{os.path.dirname(program)}:{os.environ['PATH']}", "LD_LIBRARY_PATH": library}
        for directory in (own, shared, missing):
            with self.subTest(directory=directory):
                path = os.path.join(directory, "it's a socket")
                self.ctl("-s", path, "list", status=UNREACHABLE, environment=environment)
                (line,) = re.findall(r"Start it \((.*)\); --socket", self.message)
                daemon = subprocess.Popen(
                    ["/bin/sh", "-c", f"umask 002; {line.replace('shmd --socket', 'exec shmd --socket')}"],
                    env=environment, stderr=subprocess.DEVNULL, **identity)
                self.addCleanup(daemon.wait)
                self.addCleanup(daemon.kill)
                wait_until(lambda path=path: os.path.exists(path), "it serves")
                self.ctl("-s", path, "info")

    def test_the_hint_for_a_path_that_nobody_can_type(self):
        path = os.path.join(self.directory, "a\nline")
        environment = {"PATH": "/usr/bin:/bin"}
        self.ctl("-s", path, "list", status=UNREACHABLE, environment=environment)
        self.assertRegex(self.message, r"Start it \(/[^ ]*/sbin/shmd --socket PATH, with that path for PATH\); ")
        _, out, _ = self.run_program("shmdctl", "doctor", "--json", environment={"SHMD_SOCKET": path, **environment})
        found = json.loads(out)
        self.assertRegex(found[0]["mend"], r"start one there: /[^ ]*/sbin/shmd --socket PATH, with that path for PATH;")

    def test_the_hint_names_a_daemon_that_is_not_in_the_path(self):
        path = os.path.join(self.directory, "socket")
        bin_only = {"PATH": "/usr/bin:/bin"}
        runtime = {"SHMD_SOCKET": "", "XDG_RUNTIME_DIR": self.directory, **bin_only}
        self.ctl("-s", path, "list", status=UNREACHABLE, environment=bin_only)
        self.assertRegex(self.message, rf"[ (]/[^ ]*/sbin/shmd --socket {path}[ )]")
        self.ctl("--user", "list", status=UNREACHABLE, environment=runtime)
        self.assertRegex(self.message, r"systemctl --user start shmd.socket, or /[^ ]*/sbin/shmd\)")

    def test_a_socket_that_is_none(self):
        self.ctl("-s", "", "list", status=USAGE)
        self.assertIn("--socket is empty", self.message)
        file = os.path.join(self.directory, "file")
        with open(file, "w", encoding="ascii"):
            pass
        for mode in (0o666, 0o444):  # connect() refuses the one, and does not permit the other
            os.chmod(file, mode)
            self.ctl("-s", file, "list", status=UNREACHABLE)
            self.assertEqual(self.message, f"shmdctl: cannot reach the daemon at {file}: it is not "
                             "a socket: name the daemon's socket with --socket or SHMD_SOCKET\n")

    @needs_to_be_alone
    def test_the_systems_socket(self):
        self.ctl("list", status=UNREACHABLE)
        self.assertIn("/run/shmd/shmd.sock", self.message)
        self.assertIn("systemctl start shmd.socket", self.message)
        told = "XDG_RUNTIME_DIR is not set" in self.message
        self.assertEqual(told, SOMEBODY != ROOT)
        for environment in ({"XDG_RUNTIME_DIR": self.directory}, {"SHMD_SOCKET": "/nowhere"}):
            with self.subTest(environment=environment):
                self.ctl("list", environment=environment, status=UNREACHABLE)
                self.assertNotIn("XDG_RUNTIME_DIR", self.message)

    def test_one_dash_too_few(self):
        for word, lines in (("-size", ["create", "x", "-size", "4K"]), ("-json", ["list", "-json"]),
                            ("-raw", ["list", "-raw"]), ("-prefix=a", ["list", "-prefix=a"]),
                            ("-version", ["-version"])):
            with self.subTest(word=word):
                self.ctl(*lines, status=USAGE)
                self.assertIn(f"do you mean -{word}?", self.message)

    def test_users_and_groups_that_do_not_exist(self):
        for option, kind, lines in (
            ("--uid", "user", ["list"]), ("--owner", "user", ["read", "x"]), ("--gid", "group", ["set", "x"]),
        ):
            with self.subTest(option=option):
                self.ctl(*lines, option, "no-such", status=USAGE)
                self.assertIn(f"there is no {kind} no-such", self.message)
                self.ctl(*lines, option, "1x", status=USAGE)
                self.assertIn(f"it takes a {kind}'s name or number", self.message)

    def test_an_unknown_command(self):
        self.ctl("crate", status=USAGE)
        self.assertIn("'crate'", self.message)
        for command in COMMANDS:
            self.assertIn(command, self.message)
        self.ctl(status=USAGE)

    def test_options(self):
        for arguments, part in (
            (["list", "--colour"], "--colour"),
            (["list", "-q"], "-q"),
            (["list", "--size", "1"], "--size"),
            (["create", "--size"], "SIZE"),
            (["create", "--exclusive=yes", "--size", "1"], "--exclusive"),
            (["--size", "1", "create"], "--size"),
            (["read", "--json", "x"], "--json"),
            (["--json", "write", "x"], "JSON"),
            (["list", "--json", "--raw"], "--json and --raw"),
        ):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=USAGE)
                self.assertIn(part, self.message)

    def test_every_option_given_twice(self):
        may_be_repeated = {"label", "kinds"}
        n = 0
        for command in COMMANDS:
            for option, value in self.options(command):
                repeated = may_be_repeated | ({"shmid", "key", "serial"} if command in ("rm", "stat") else set())
                if option in repeated | {"help"}:
                    continue
                n += 1
                once = [f"--{option}", *([VALUES[option]] if value else [])]
                with self.subTest(command=command, option=option):
                    status = NOT_STARTED if command == "run" else USAGE
                    self.ctl(command, *once, *once, status=status)
                    self.assertRegex(self.message, rf"^shmdctl: --{option} is given twice\n")
        self.assertGreater(n, 100)

    def test_an_option_before_and_behind_the_command(self):
        for option in (["--socket", "/x"], ["--json"], ["--timeout", "1s"], ["--user"], ["--system"]):
            with self.subTest(option=option):
                self.ctl(*option, "list", *option, status=USAGE)
                self.assertIn(f"{option[0]} is given twice", self.message)

    def test_a_label_given_twice(self):
        self.ctl("create", "--size", "1", "-l", "a=1", "-l", "b=1", "-l", "a=2", status=USAGE)
        self.assertIn("the label a was given before", self.message)

    def options(self, command):
        """Each option of a command, and whether it takes a value."""
        text = self.ctl(command, "--help").split("Options:\n")[1].split("\n\n")[0]
        found = re.findall(r"(?m)^  (?:-.,|   ) --([a-z-]+)( \S+)?", text)
        return [(name, bool(re.match(r" [A-Z]", value))) for name, value in found]

    def test_values(self):
        for arguments, accepted in (
            (["create", "--size", "12Q"], "64K"),
            (["create", "--size", "-1"], "64K"),
            (["create", "--size", "8E"], "8E is too large"),
            (["create", "--size", "99999999999999999999"], "too large"),
            (["create", "--size", "1.5"], "K means KiB"),
            (["create", "--size", "1KB"], "K means KiB"),
            (["create", "--ttl", "99999999999d"], "too large"),
            (["create", "--ttl", "30m1h"], "1h30m"),
            (["create", "--mode", "rw"], "0640"),
            (["create", "--mode", "1777"], "0640"),
            (["create", "--ttl", "10"], "10s"),
            (["create", "--uid", "no such user"], "number"),
            (["create", "--gid", "-1"], "number"),
            (["create", "--key", "0x1ffffffff"], "32 bits"),
            (["create", "--lifetime", "eternal"], "persistent"),
            (["create", "--label", "novalue"], "KEY=VALUE"),
            (["create", "--huge=many"], "64K"),
            (["stat", "--shmid", "x"], "ipcs"),
            (["stat", "--serial", "0"], "SERIAL"),
            (["list", "--state", "odd"], "initialising"),
            (["list", "--scope", "mine"], "foreign"),
            (["wait", "x", "--timeout", "soon"], "500ms"),
            (["events", "--after", "yesterday"], "event_serial"),
            (["events", "--count", "0"], "1"),
        ):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=USAGE)
                self.assertIn(arguments[-1].split("=")[-1], self.message)
                self.assertIn(accepted, self.message)

    def test_nothing_of_something(self):
        for arguments, part in (
            (["create", "--size", "0"], "at least 1 byte"),
            (["run", "x", "--size", "0K", "--", "true"], "at least 1 byte"),
            (["create", "--size", "1", "--ttl", "0s"], "leave it out"),
            (["run", "x", "--size", "1", "--ttl", "0", "--", "true"], "leave it out"),
            (["adopt", "--shmid", "1", "--ttl", "0"], "leave it out"),
            (["create", "--size", "1", "--idle-ttl", "0"], "leave it out"),
            (["create", "--size", "1", "--key", "0"], "--key 0 is IPC_PRIVATE, a segment without a key"),
        ):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=NOT_STARTED if arguments[0] == "run" else USAGE)
                self.assertIn(part, self.message)

    def test_the_line_as_it_should_be(self):
        for arguments, line in (
            (["create", "foo", "-s", "4096"], "if 4096 is the size, in place of -s: --size 4096\n"),
            (["create", "-s", "64K"], "if 64K is the size, in place of -s: --size 64K\n"),
            (["run", "x", "-s", "4K", "--", "ls"], "if 4K is the size, in place of -s: --size 4K\n"),
            (["create", "foo", "4096"], "shmdctl create foo --size 4096\n"),
            (["create", "4K"], "shmdctl create NAME --size 4K\n"),
            (["create", "4K", "--mode", "0644"], "shmdctl create --mode 0644 NAME --size 4K\n"),
            (["create", "foo", "4K", "--mode", "0644", "--label", "x=y z"],
             "shmdctl create --mode 0644 --label 'x=y z' foo --size 4K\n"),
            (["create", "foo", "--from", "f", "4K"], "shmdctl create --from f foo --size 4K\n"),
            (["--json", "create", "foo", "4K"], "shmdctl --json create foo --size 4K\n"),
            (["create", "foo", "4K", "more"], "if it is the size: --size 4K\n"),
            (["create", "foo", "--", "4K"], "if it is the size: --size 4K\n"),
            (["create", "foo", "--size", "4K", "5K"], "unexpected argument '5K'; the usage is: shmdctl create "),
            (["run", "foo", "4K", "--", "true"], "shmdctl run foo --size 4K -- true\n"),
            (["run", "foo", "4K", "--mode", "600", "--", "echo", "a b"],
             "shmdctl run --mode 600 foo --size 4K -- echo 'a b'\n"),
            (["adopt", "5"], "shmdctl adopt --shmid 5\n"),
            (["adopt", "5", "--label", "a=b"], "shmdctl adopt --label a=b --shmid 5\n"),
            (["adopt", "0xbeef"], "shmdctl adopt --key 0xbeef\n"),
            (["adopt", "it's"], "shmdctl adopt --shmid N $'it\\'s'; shmdctl list --all shows the numbers\n"),
            (["adopt"], "needs one of --shmid N and --key K; shmdctl list --all shows the numbers\n"),
            (["adopt", "--name", "x"], "shmdctl adopt --shmid N NAME\n"),
            (["rm", "--name", "x"], "the name is no option: shmdctl rm NAME\n"),
            (["wait", "--name=x"], "the name is no option: shmdctl wait NAME\n"),
            (["set", "x", "--name", "y"], "do you mean --new-name?\n"),
            (["set", "x"], "set needs what is to be changed: --mode, --uid, --gid, --new-name, --lifetime, --ttl or "
             "--no-ttl, --idle-ttl, --label or --no-labels, --locked or --unlocked\n"),
            (["rm"], "rm needs a segment: NAME, --shmid N, --key K or --serial N; or what chooses segments: "
             "--prefix P, --label KEY=VALUE, --uid USER, --lifetime L or --state S\n"),
            (["stat"], "stat needs a segment: NAME, --shmid N, --key K or --serial N\n"),
            (["top", "--delay", "0"], "--delay 0 is too short: it takes 100ms or more\n"),
            (["top", "--delay", "25d"], "--delay 25d is too long: it takes 24d or less\n"),
            (["list", "-o", ""], "--output is empty; it takes columns with commas between, as NAME,SHMID\n"),
            (["list", "-o", "NAME,"], "a column is missing before or behind a comma; there are SERIAL,NAME,"),
            (["list", "--sort", ""], "--sort is empty; it takes a column, as NAME\n"),
            (["ps", "--all"], "ps shows all segments, unless one is named; leave it out\n"),
            (["ps", "-a"], "ps shows all segments, unless one is named; leave it out\n"),
            (["gc", "--all"], "gc looks at all segments, unless one is named; leave it out\n"),
            (["gc", "x"], "the usage is: shmdctl gc [--shmid N | --key K]\n"),
            (["events", "-f"], "events goes on until it is interrupted; leave it out\n"),
            (["write", "x", "a file"], "if it is a file: shmdctl write x <'a file'\n"),
            (["write", "x", "--from", "f"], "what is written comes from standard input: shmdctl write NAME <FILE\n"),
            (["read", "x", "file"], "if it is a file: shmdctl read x >file\n"),
            (["read", "x", "file", "--offset", "4"], "if it is a file: shmdctl read --offset 4 x >file\n"),
            (["run", "x", "true"], "shmdctl run x --size SIZE -- true\n"),
            (["run", "x", "4K", "sh", "-"], "shmdctl run x --size 4K -- sh -\n"),
            (["run", "x", "4K"], "run needs -- and a command: shmdctl run x --size 4K -- COMMAND...\n"),
            (["run", "x", "--size", "4K", "8K"], "shmdctl run --size 4K x -- 8K\n"),
            (["create", "x"], "--size is missing; it takes bytes, or a number with K"),
            (["help", "foo"], "metrics, help, version\nTry 'shmdctl --help'.\n"),
            (["help", "__complete"], "unknown command '__complete'; there are"),
        ):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=NOT_STARTED if "run" in arguments else USAGE)
                self.assertIn(line, self.message)
        self.assertIn("at least this long (10m)\n", self.ctl("help", "gc"))

    def test_the_size_of_huge_pages_has_an_equals_sign(self):
        with open("/proc/meminfo", encoding="ascii") as meminfo:
            if "Hugepagesize:" not in meminfo.read():
                self.skipTest("this kernel has no huge pages")
        self.ctl("create", "foo", "--size", "4K", "--huge", "3M", status=USAGE)
        self.assertIn("if it is the size of the huge pages: --huge=3M\n", self.message)

    def test_missing_arguments(self):
        for arguments in (["wait"], ["call"], ["run"], ["create", "x"], ["list", "x", "y"]):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=NOT_STARTED if arguments == ["run"] else USAGE)
                self.assertTrue(self.message.endswith(f"\nTry 'shmdctl {arguments[0]} --help'.\n"))
                self.assertNotRegex(self.message, r"(?m) $")
        self.ctl("nonsense", status=USAGE)
        self.assertTrue(self.message.endswith("\nTry 'shmdctl --help'.\n"))

    def test_version(self):
        self.assertRegex(self.ctl("--version"), r"^shmdctl \d+\.\d+")
        self.assertEqual(self.ctl("-V"), self.ctl("--version"))
        self.assertEqual(self.ctl("version"), self.ctl("--version"))

    def test_help(self):
        text = self.ctl("--help")
        self.assertEqual(re.findall(r"(?m)^  ([a-z]+) +[A-Z]", text), COMMANDS)
        self.assertEqual(self.ctl("help"), text)
        for command in COMMANDS:
            with self.subTest(command=command):
                usage = self.ctl(command, "--help")
                self.assertTrue(usage.startswith(f"Usage: shmdctl {command} [OPTIONS]"))
                self.assertEqual(self.ctl("help", command), usage)
        self.assertEqual(self.ctl("help", "ls"), self.ctl("list", "--help"))
        self.ctl("help", "nonsense", status=USAGE)

    def test_near_misses(self):
        for arguments, meant in (
            (["lsit"], "do you mean list?"),
            (["nonsense"], "unknown command 'nonsense'; there are"),
            (["crate"], "do you mean create?"),
            (["help", "stta"], "do you mean stat?"),
            (["list", "--sotr", "NAME"], "do you mean --sort?"),
            (["create", "--sise=1"], "do you mean --size?"),
            (["list", "-o", "NAME,SIZ"], "do you mean SIZE?"),
            (["list", "--sort", "nattach"], "do you mean NATTCH?"),
        ):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=USAGE)
                self.assertIn(meant, self.message)

    def test_no_near_miss_destroys(self):
        """What removes or replaces a segment must be meant, and typed."""
        for arguments in (["remvoe", "x"], ["repalce", "x"], ["resiez", "x"],
                          ["create", "x", "--relpace"], ["gc", "--remvoe"], ["gc", "--yess"], ["rm", "x", "--froce"]):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=USAGE)
                self.assertIn("unknown ", self.message)
                self.assertNotIn("do you mean", self.message)

    def test_what_other_programs_call_it(self):
        for arguments, meant in (
            (["remove", "x"], "do you mean rm?"),
            (["Delete", "x"], "do you mean rm?"),
            (["kill", "x"], "do you mean rm?"),
            (["bill", "x"], "unknown command 'bill'; there are"),
            (["mood", "x"], "unknown command 'mood'; there are"),
            (["stop"], "unknown command 'stop'; there are"),
            (["unlock", "x"], "do you mean set NAME --unlocked?"),
            (["export", "x"], "do you mean read?"),
            (["rename", "x", "y"], "do you mean set NAME --new-name NEW?"),
            (["resize", "x"], "do you mean create NAME --size SIZE --replace?"),
            (["show", "x"], "do you mean stat?"),
            (["ipcs"], "do you mean list --all?"),
            (["processes"], "do you mean ps?"),
            (["help", "dump"], "do you mean read?"),
            (["list", "--owner", "bob"], "do you mean --uid?"),
            (["read", "x", "--uid=0"], "do you mean --owner?"),
            (["set", "x", "--owner", "bob"], "do you mean --uid?"),
            (["set", "x", "--name", "y"], "do you mean --new-name?"),
            (["create", "x", "--perm", "644"], "do you mean --mode?"),
            (["gc", "--force"], "do you mean --remove?"),
            (["set", "x", "--size", "1M"], "the size of a segment cannot be changed; a new segment takes its place "
             "with: shmdctl create NAME --size SIZE --replace"),
            (["create", "--name", "x"], "shmdctl create NAME --size SIZE"),
            (["list", "--exclusive"], "it is an option of create and run"),
            (["--sort", "NAME", "list"], "before the command; it is an option of list, ps and top"),
            (["list", "-m", "1"], "unknown option -m; it is an option of stat, set, rm, "),
            (["gc", "-o", "SHMID"], "gc prints a table for each class; --json prints all of it for programs"),
            (["gc", "--sort", "SIZE"], "gc prints a table for each class"),
            (["gc", "--dry-run"], "gc only shows what it would remove, unless --remove is given: leave both out"),
            (["adopt", "--shmid", "5", "--name", "x"], "shmdctl adopt --shmid N NAME"),
        ):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=USAGE)
                self.assertIn(meant, self.message)

    def test_what_it_advises_is_there(self):
        """No advice names a command or an option that there is not."""
        with open(os.path.join(SOURCE, "client", "cli", "meant.c"), encoding="utf-8") as file:
            table = file.read().split("other_commands[] = {")[1].split("};")[0]
        meant = re.findall(r'\{"[a-z]+", "([^"]+)"\}', table)
        self.assertGreater(len(meant), 50)
        for words in {tuple(text.split()) for text in meant}:
            self.assertIn(words[0], COMMANDS)
            known = {f"--{name}" for name, _ in self.options(words[0])}
            self.assertLessEqual({word for word in words if word.startswith("--")}, known, words)

    def test_the_dashes_before_a_command(self):
        for arguments, form in (
            (["run", "x", "--size", "1K", "sh", "a b"], "shmdctl run --size 1K x -- sh 'a b'\n"),
            (["run", "x", "--size", "1K", "sh", "-c", "ls"], "shmdctl run NAME --size SIZE -- COMMAND...\n"),
            (["run", "x", "--size", "1K"], "shmdctl run NAME --size SIZE -- COMMAND...\n"),
            (["hold", "x", "sleep", "1"], "shmdctl hold x -- sleep 1\n"),
        ):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=NOT_STARTED if arguments[0] == "run" else USAGE)
                self.assertIn(form, self.message)

    def test_a_time_without_a_unit(self):
        for value in ("1", "1.5"):
            self.ctl("wait", "x", "--timeout", value, status=USAGE)
            self.assertIn(f"--timeout {value} has no unit: write {value}s for seconds, or {value}ms", self.message)


class Manual(CommandCase):
    """The manual tells what the command has."""

    def setUp(self):
        super().setUp()
        with open(MANUAL, encoding="utf-8") as file:
            self.text = file.read()

    def options(self, *command):
        return re.findall(r"(?m)^  (?:-.,|   ) --([a-z-]+)", self.ctl(*command, "--help"))

    def test_every_command(self):
        sections = self.text.split(".Sh COMMANDS")[1].split(".Sh ENVIRONMENT")[0]
        names = [name for name in re.findall(r"(?m)^\.It Cm (\w+)", sections) if name != "ls"]
        self.assertEqual(names, COMMANDS)

    def test_every_option(self):
        every = set(self.options()).union(*(self.options(command) for command in COMMANDS))
        self.assertGreater(len(every), 30)
        documented = set(re.findall(r"Fl -([a-z]+(?:-[a-z]+)*)", self.text))
        self.assertEqual(documented, every)

    def test_every_column(self):
        told = re.findall(r"(?m)^  ([A-Z]+) +(.*)$", self.ctl("list", "--help").split("Columns:")[1])
        self.assertGreater(len(told), 40)
        section = self.text.split("The columns are:\n")[1].split("\n.El")[0]
        self.assertEqual(re.findall(r"\.It ([A-Z]+)\n(.*)", section), told)

    def test_every_exit_status(self):
        listed = self.ctl("--help").split("Exit status:\n")[1].split("\n\n")[0]
        section = self.text.split(".Sh EXIT STATUS")[1].split(".El")[0]
        documented = re.findall(r"\.It (\d+)\n(.*)\.\n", section)
        told = re.findall(r"(?m)^ +(\d+)  (.*)$", listed)
        self.assertEqual(
            [(number, text.lower()) for number, text in documented],
            [(number, text.lower()) for number, text in told],
        )

    def test_the_manual_is_clean(self):
        need(self, "mandoc")
        page = os.path.join(os.environ["abs_top_builddir"], "client", "cli", "shmdctl.1")
        result = subprocess.run(
            ["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True, check=False
        )
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.returncode, 0)


if __name__ == "__main__":
    main()
