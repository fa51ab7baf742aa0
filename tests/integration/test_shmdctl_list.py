# SPDX-License-Identifier: MIT
"""shmdctl list: columns, order, JSON, times, and tables that fit their terminal."""

import contextlib
import fcntl
import json
import os
import pty
import re
import stat
import struct
import subprocess
import termios
from datetime import datetime, timezone

import sysv
from command import USAGE, Shmdctl
from harness import ALICE, BOB, DAEMON, DEADLINE, ROOT, SOMEBODY, as_user, main, wait_until
from missing import need


class Listing(Shmdctl):
    CONFIG = "max_segments_per_uid = 0\n"

    def column(self, name, *arguments, **more):
        return self.ctl("list", "-n", "-o", name, *arguments, **more).split()

    def listed(self, *arguments, **more):
        return json.loads(self.ctl("list", "--json", *arguments, **more))["segments"]


class Prefix(Listing):
    def test_is_an_argument(self):
        for name in ("a/1", "a/2", "b/1"):
            self.client.create(name=name)
        self.assertEqual(sorted(self.column("NAME", "a/")), ["a/1", "a/2"])
        self.assertEqual(self.ctl("ls", "a/"), self.ctl("list", "--prefix", "a/"))
        self.ctl("list", "a", "--prefix", "b", status=USAGE)
        self.assertIn("the prefix is given twice", self.message)


class Nothing(Listing):
    def test_is_said_on_standard_error(self):
        self.assertEqual(self.ctl("list", note="there is no segment that the daemon manages.*--all"), "")
        self.assertEqual(self.ctl("list", "--all", note="there is no segment that you may see$"), "")
        self.client.create(name="x")
        self.assertEqual(self.ctl("list", "y", note="there is no such segment$"), "")
        self.assertEqual(self.ctl("list", "y", "--json"), '{"segments":[]}\n')


class Columns(Listing):
    def test_more_than_the_usual_ones(self):
        self.client.create(name="x", key=0xBEEF)
        usual = self.ctl("list").splitlines()[0].split()
        headings = self.ctl("list", "-o", "+KEY,cpid").splitlines()[0].split()
        self.assertEqual(headings, [*usual, "KEY", "CPID"])

    def test_by_the_names_that_lsipc_has(self):
        self.client.create(name="x", mode="0640")
        for ours, theirs in (("SHMID", "ID"), ("MODE", "PERMS"), ("LASTPID", "LPID"),
                             ("ATTACHED", "ATTACH"), ("CHANGED", "CTIME"), ("OWNER", "USER")):
            with self.subTest(theirs=theirs):
                out = self.ctl("list", "-o", theirs)
                self.assertEqual(out, self.ctl("list", "-o", ours))
                self.assertEqual(out.split()[0], ours)

    def test_all_that_lsipc_has(self):
        need(self, "lsipc")
        text = subprocess.run(["lsipc", "--help"], capture_output=True, text=True, check=True).stdout
        # The headings of util-linux 2.41 say which are of System V and which of POSIX.
        headings = r"(?:Generic|Generic System V|(?:System V )?Shared-memory) columns"
        tables = re.findall(rf"(?m)^{headings}.*\n((?: .*\n)+)", text)
        names = re.findall(r"(?m)^ +([A-Z]+)  ", "".join(tables))
        self.assertGreater(len(names), 15)
        self.client.create(name="x")
        self.ctl("list", "-o", ",".join(names))

    def test_a_foreign_one_is_told_from_an_unnamed_one(self):
        managed, foreign = self.client.create()["shmid"], sysv.create(100, mode=0o666)
        lines = self.ctl("list", "--all", "-n", "-o", "SHMID,LIFETIME").splitlines()
        self.assertEqual({tuple(line.split()) for line in lines},
                         {(str(managed), "persistent"), (str(foreign), "foreign")})

    def test_the_creators_command_line(self):
        process = self.start("run", "x", "--size", "1", "--", "sleep", "1000")
        self.ctl("wait", "x")
        wait_until(lambda: self.ctl("list", "-n", "-o", "COMMAND") == "sleep 1000\n", "the command runs")
        process.kill()
        process.wait()

    def test_text_that_turns_or_hides_other_text(self):
        self.client.create(name="x", labels={"k": "a\u202eb\u200bc\x1b"})
        self.assertEqual(self.ctl("list", "-n", "-o", "LABELS"), "k=a\\u202eb\\u200bc\\x1b\n")
        self.assertIn("k=a\\u202eb", self.ctl("stat", "x"))
        out = self.ctl("list", "--json")
        self.assertIn("a\\u202eb\\u200bc\\u001b", out)
        self.assertEqual(json.loads(out)["segments"][0]["labels"], {"k": "a\u202eb\u200bc\x1b"})


class Order(Listing):
    def setUp(self):
        super().setUp()
        for name, size in (("b", 2 << 20), ("c", 900 << 10), ("a", 3 << 30)):
            self.client.create(name=name, size=size, noreserve=True)

    def test_numbers_by_their_value(self):
        self.assertEqual(self.column("NAME", "--sort", "SIZE"), ["c", "b", "a"])
        self.assertEqual(self.column("NAME", "--sort", "size", "-r"), ["a", "b", "c"])

    def test_texts(self):
        self.assertEqual(self.column("NAME", "--sort", "NAME"), ["a", "b", "c"])

    def test_times(self):
        self.client.call("set", name="c", ttl_ms=1 << 40)
        self.client.call("set", name="a", ttl_ms=1 << 39)
        self.assertEqual(self.column("NAME", "--sort", "EXPIRES"), ["b", "a", "c"])

    def test_of_json(self):
        self.assertEqual([s["name"] for s in self.listed("--sort", "SIZE")], ["c", "b", "a"])
        self.assertEqual(self.column("NAME", "--reverse"), self.column("NAME")[::-1])


class Json(Listing):
    def test_only_the_members_that_are_asked_for(self):
        segment = self.client.create(name="x", labels={"a": "b"})
        (got,) = self.listed("-o", "NAME,CPID,SHMID,CUID,LABELS,EXPIRES")
        creator = segment["creator"]
        self.assertEqual(got, {
            "name": "x", "shmid": segment["shmid"], "labels": {"a": "b"},
            "creator": {"pid": creator["pid"], "uid": creator["uid"]},
        })  # fmt: skip
        self.assertEqual(json.loads(self.ctl("stat", "x", "-J", "-o", "NAME")), {"segment": {"name": "x"}})
        created = json.loads(self.ctl("create", "y", "--size", "1", "--json", "--output", "SIZE"))
        self.assertEqual(created, {"segment": {"size": 1}, "created": True})

    def test_what_is_found_out_here(self):
        self.client.create(name="x", size=100)
        (got,) = self.listed("-o", "OWNER,STATUS,SIZE", user=SOMEBODY)
        self.assertEqual(got, {"owner": self.column("OWNER")[0], "size": 100})

    def test_every_column(self):
        (whole,) = (self.client.create(name="x"),)
        names = re.findall(r"(?m)^  ([A-Z]+) ", self.ctl("list", "--help").split("Columns:")[1])
        (got,) = self.listed("-o", ",".join(names))
        self.assertEqual({key: got[key] for key in whole}, whole)


class Style(Listing):
    def test_raw(self):
        self.client.create(name="x", labels={"a": "1 2", "b": ""})
        out = self.ctl("list", "--raw", "-o", "NAME,EXPIRES,LABELS,SIZE")
        self.assertEqual(out, "NAME EXPIRES LABELS SIZE\nx - a=1\\x202\\x20b= 4K\n")

    def test_times(self):
        created = self.client.create(name="x")["created_at_ms"]
        when = datetime.fromtimestamp(created // 1000, timezone.utc)
        for format, want in (
            ("unix", str(created)),
            ("full", when.strftime("%a %b %e %H:%M:%S %Y")),
            ("iso", when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{created % 1000:03}+0000"),
        ):
            with self.subTest(format=format):
                self.assertEqual(self.ctl("list", "-n", "-o", "CREATED", "--time-format", format),
                                 want + "\n")
        self.assertRegex(self.ctl("list", "-n", "-o", "CREATED", "--time-format", "short"),
                         r"^(\d\d:\d\d|[A-Z][a-z]{2}\d\d|\d{4}-[A-Z][a-z]{2}\d\d)\n$")


class Terminal(Listing):
    """Tables on a terminal of so many columns."""

    def on_terminal(self, width, *arguments):
        main_end, terminal = pty.openpty()
        self.addCleanup(os.close, main_end)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        process = self.start(*arguments, stdout=terminal)
        os.close(terminal)
        text = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while data := os.read(main_end, 65536):
                text += data
        self.assertEqual(process.wait(DEADLINE), 0)
        return text.decode().split("\r\n")[:-1]

    def test_the_longest_text_is_cut(self):
        self.client.create(name="n" * 200)
        for width in (200, 100, 80):
            with self.subTest(width=width):
                headings, row = self.on_terminal(width, "list")
                self.assertEqual(headings.split()[-1], "HOLDERS")
                self.assertLessEqual(max(len(headings), len(row)), width)
                self.assertRegex(row, r"^n+~ ")
                self.assertGreaterEqual(len(row.split()[0]), width - 75)

    def test_the_last_columns_are_left_out(self):
        self.client.create(name="n" * 200)
        headings, row = self.on_terminal(40, "list")
        self.assertLessEqual(max(len(headings), len(row)), 40)
        self.assertEqual(headings.split()[:4], ["NAME", "SHMID", "SIZE", "MODE"])
        self.assertNotIn("HOLDERS", headings)

    def test_ps_fits_too(self):
        self.client.create(name="n" * 200, lifetime="process")
        for width in (40, 200):
            with self.subTest(width=width):
                headings, *rows = self.on_terminal(width, "ps", "n" * 200)
                self.assertTrue(rows)
                self.assertLessEqual(max(map(len, (headings, *rows))), width)
                self.assertRegex(headings, "^SHMID NAME +PID +USER +COMMA")
                self.assertEqual(("UNIT" in headings, "WAITS" in headings), (width == 200, width == 200))

    def test_what_was_asked_for_is_never_left_out(self):
        self.client.create(name="n" * 200)
        headings, _row = self.on_terminal(40, "list", "-o", "NAME,CREATED,CHANGED,STATE")
        self.assertEqual(headings.split(), ["NAME", "CREATED", "CHANGED", "STATE"])
        headings, _row = self.on_terminal(40, "list", "-o", "+HOLDERS,CREATED")
        self.assertEqual(headings.split()[-2:], ["HOLDERS", "CREATED"])

    def test_what_ps_was_asked_for_is_never_left_out(self):
        self.client.create(name="n" * 200, lifetime="process")
        for asked in (["NAME", "COMMAND", "WAITS", "UNIT", "HOLDS", "ACCESS", "PID"], ["UNIT", "WAITS", "ACCESS"]):
            for width in (12, 30, 40):
                with self.subTest(asked=asked, width=width):
                    headings, *_rows = self.on_terminal(width, "ps", "-o", ",".join(asked))
                    self.assertEqual([word.replace("COMMA~", "COMMAND") for word in headings.split()], asked)
        # With a +, the usual columns are left out as ever, and those behind it are not.
        headings, *_rows = self.on_terminal(40, "ps", "-o", "+WAITS,UNIT")
        self.assertEqual(headings.split()[-2:], ["WAITS", "UNIT"])
        self.assertNotIn("ACCESS", headings)

    def test_notruncate(self):
        self.client.create(name="n" * 200)
        (_headings, row) = self.on_terminal(80, "list", "--notruncate")
        self.assertEqual(row.split()[0], "n" * 200)

    def test_elsewhere_nothing_is_cut(self):
        self.client.create(name="n" * 200)
        self.assertIn("n" * 200, self.ctl("list"))

    def test_wide_characters_count_as_wide(self):
        self.client.create(name="x", labels={"k": "\u6f22" * 50})
        headings, row = self.on_terminal(40, "list", "-o", "LABELS,NAME")
        self.assertRegex(row, "^k=\u6f22+~ +x$")
        width = len(row) - 1 + row.count("\u6f22")
        self.assertEqual((headings.index("NAME"), width), (36, 36))


class BesideLsipc(Listing):
    """What lsipc tells of 1,000 segments of all kinds is what shmdctl tells."""

    N_MANAGED, N_FOREIGN = 500, 500
    COLUMNS = ("KEY,ID,OWNER,PERMS,CUID,CUSER,CGID,CGROUP,UID,USER,GID,GROUP,CTIME,SIZE,NATTCH,STATUS,"
               "ATTACH,DETACH,COMMAND,CPID,LPID")

    def make(self):
        owners = (ALICE, BOB, ROOT) if SOMEBODY == ALICE else (ROOT, ROOT, ROOT)
        clients = [self.connect(self.daemon, user) for user in owners]
        for i in range(self.N_MANAGED):
            key = {"key": 0x10000 + i} if i % 5 == 0 else {}
            name = {"name": f"m/{i}"} if i % 3 else {}
            clients[i % 3].create(size=1 + 37 * i, mode=("0600", "0640", "0666", "0400")[i % 4],
                                  noreserve=i % 7 == 0, **key, **name)

        def foreign(first):
            for i in range(first, self.N_FOREIGN, 3):
                shmid = sysv.create(1 + 4099 * i, mode=0o600 + i % 64, key=0x20000 + i if i % 4 == 0 else 0)
                if i % 10 == first:
                    sysv.detach(sysv.attach(shmid, sysv.SHM_RDONLY))

        for first, user in enumerate(owners):
            as_user(user, lambda first=first: foreign(first))
        shmids = sorted(sysv.proc_table())
        self.assertEqual(len(shmids), self.N_MANAGED + self.N_FOREIGN)
        for shmid in shmids[::25]:
            self.hold(ROOT, shmid)
        for shmid in shmids[::50]:
            sysv.remove(shmid)  # it is being removed while it is attached
        for shmid in shmids[1::100]:
            sysv.lock(shmid)
        self.client.list()

    def lsipc(self):
        out = subprocess.run(
            ["lsipc", "--shmems", "--json", "--bytes", "--time-format", "iso", "-o", self.COLUMNS],
            capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"], "TZ": "UTC"},
        ).stdout  # fmt: skip
        return {int(row["id"]): row for row in json.loads(out)["sharedmemory"]}

    @staticmethod
    def seconds(text):
        return None if text is None else int(datetime.fromisoformat(text).timestamp())

    def check_times(self, theirs, ours):
        """The kernel's seconds lag a clock tick behind its clock, so just after a full second what has been
        made may bear the second before. The daemon shows no time before the creation."""
        for name, member in (("ctime", "changed_at_ms"), ("attach", "attached_at_ms"),
                             ("detach", "detached_at_ms")):
            want = self.seconds(theirs[name])
            if want is not None and ours["managed"]:
                want = max(want, ours["created_at_ms"] // 1000)
            self.assertEqual(want, ours[member] // 1000 if member in ours else None, name)

    def check(self, theirs, ours, texts):
        self.assertEqual(int(theirs["key"], 16), ours["key"])
        self.assertEqual(theirs["perms"], stat.filemode(int(ours["mode"], 8))[1:])
        for name in ("uid", "gid", "size", "nattch"):
            self.assertEqual(int(theirs[name]), ours[name], name)
        self.assertEqual(int(theirs["lpid"] or 0), ours["last_pid"])
        for theirs_name, name in (("owner", "owner"), ("user", "owner"), ("group", "group")):
            number = str(ours["gid" if name == "group" else "uid"])  # of one without a name
            self.assertEqual(theirs[theirs_name] or number, texts[name])
        self.assertEqual(theirs["status"], texts.get("status"))
        self.check_times(theirs, ours)
        creator = ours["creator"]
        told = tuple(int(theirs[name]) for name in ("cuid", "cgid", "cpid"))
        if ours["managed"]:
            # The kernel knows the daemon as the creator; who asked for it only the daemon knows: shmdctl(1).
            self.assertEqual(told, (self.daemon_uid, self.daemon_uid, self.daemon.pid))
        else:
            self.assertEqual(told, (creator["uid"], creator["gid"], creator["pid"]))
            self.assertEqual((theirs["cuser"] or str(creator["uid"]), theirs["cgroup"] or str(creator["gid"])),
                             (texts["cuser"], texts["cgroup"]))
            self.assertEqual(theirs["command"], texts.get("command"))

    def test_every_shared_field(self):
        need(self, "lsipc")
        self.daemon_uid = DAEMON.uid if SOMEBODY == ALICE else ROOT.uid
        self.make()
        theirs = self.lsipc()
        ours = {s["shmid"]: s for s in self.listed("--all", user=ROOT)}
        texts = {s["shmid"]: s for s in self.listed(
            "--all", "-o", "SHMID,OWNER,GROUP,STATUS,CUSER,CGROUP,COMMAND", user=ROOT)}
        self.assertEqual(set(ours), set(theirs))
        for shmid, row in theirs.items():
            with self.subTest(shmid=shmid, theirs=row, ours=ours[shmid]):
                self.check(row, ours[shmid], texts[shmid])


if __name__ == "__main__":
    main()
