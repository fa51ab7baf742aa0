# SPDX-License-Identifier: MIT
"""list: filters, scopes, and pages while segments come and go."""

import sysv
from harness import (
    ALICE,
    BOB,
    ROOT,
    SOMEBODY,
    TestCase,
    as_user,
    main,
    needs_several_uids,
    without_details,
)


class ListCase(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def names(self, client=None, /, **params):
        return sorted(segment["name"] for segment in (client or self.client).list(**params))


def pages(client, /, **params):
    """All pages, one after the other; the caller may do anything between two."""
    while True:
        result = client.call("list", **params)
        yield result["segments"]
        if "cursor" not in result:
            return
        params["cursor"] = result["cursor"]


class Filters(ListCase):
    def test_nothing(self):
        self.assertEqual(self.client.call("list"), {"segments": []})

    def test_an_element_is_what_stat_says(self):
        self.client.create(name="frames", key=77, labels={"a": "1"})
        found = without_details(self.client.stat(name="frames"))
        self.assertEqual(self.client.list(), [found])

    def test_prefix(self):
        for name in ("cam/1", "cam/2", "camera", "mic/1"):
            self.client.create(name=name)
        self.client.create()
        self.assertEqual(self.names(prefix="cam/"), ["cam/1", "cam/2"])
        self.assertEqual(self.names(prefix="cam"), ["cam/1", "cam/2", "camera"])
        self.assertEqual(self.names(prefix="mic/1"), ["mic/1"])
        self.assertEqual(self.names(prefix="cam/1x"), [])

    def test_labels_must_all_fit(self):
        self.client.create(name="one", labels={"app": "camera", "side": "left"})
        self.client.create(name="two", labels={"app": "camera", "side": "right"})
        self.client.create(name="three")
        self.assertEqual(self.names(labels={"app": "camera"}), ["one", "two"])
        self.assertEqual(self.names(labels={"app": "camera", "side": "left"}), ["one"])
        self.assertEqual(self.names(labels={"app": "cam"}), [])
        self.assertEqual(self.names(labels={"side": "left", "no": ""}), [])
        self.assertEqual(self.names(labels={}), ["one", "three", "two"])

    def test_lifetime(self):
        self.client.create(name="one")
        self.assertEqual(self.names(lifetime="persistent"), ["one"])
        self.assertEqual(self.names(lifetime="process"), [])

    def test_state(self):
        going = self.client.create(name="going")
        self.client.create(name="staying")
        self.hold(SOMEBODY, going["shmid"])
        self.client.call("remove", name="going")
        self.assertEqual(self.names(state="ready"), ["staying"])
        listed = self.client.list(state="removing")
        self.assertEqual([segment["serial"] for segment in listed], [going["serial"]])
        self.assertEqual(self.names(state="initialising"), [])
        self.assertEqual(self.names(state="removed"), [])

    @needs_several_uids
    def test_uid_is_the_owner(self):
        root = self.connect(self.daemon, ROOT)
        self.client.create(name="hers")
        root.create(name="given", uid=BOB.uid)
        root.create(name="roots")
        self.assertEqual(self.names(root, uid=ALICE.uid), ["hers"])
        self.assertEqual(self.names(root, uid=BOB.uid), ["given"])
        self.assertEqual(self.names(root, uid=0), ["roots"])

    def test_filters_add_up(self):
        self.client.create(name="cam/1", labels={"side": "left"})
        self.client.create(name="cam/2", labels={"side": "right"})
        self.client.create(name="mic/1", labels={"side": "left"})
        found = self.names(
            prefix="cam/", labels={"side": "left"}, state="ready", lifetime="persistent",
            uid=SOMEBODY.uid, scope="managed",
        )
        self.assertEqual(found, ["cam/1"])

    def test_bad_parameters(self):
        for field, value in (
            ("limit", 0),
            ("limit", 1001),
            ("limit", "10"),
            ("cursor", ""),
            ("cursor", "no cursor of ours"),
            ("cursor", 5),
            ("scope", "mine"),
            ("state", "gone"),
            ("lifetime", "eternal"),
            ("prefix", "white space"),
            ("labels", ["a"]),
            ("uid", -1),
            ("name", "frames"),
        ):
            with self.subTest(field=field, value=value):
                self.refuses_parameter(field, self.client, "list", **{field: value})


class Scope(ListCase):
    def setUp(self):
        super().setUp()
        self.mine = self.client.create(name="mine")["shmid"]
        self.foreign = [
            as_user(ROOT, lambda: sysv.create(4096, 0o600, key=0xF00D)),
            sysv.create(4096, 0o600),
        ]

    def shmids(self, **params):
        return sorted(segment["shmid"] for segment in self.client.list(**params))

    def test_managed_is_the_default(self):
        self.assertEqual(self.shmids(), [self.mine])
        self.assertEqual(self.shmids(scope="managed"), [self.mine])

    def test_foreign(self):
        self.assertEqual(self.shmids(scope="foreign"), sorted(self.foreign))

    def test_all(self):
        self.assertEqual(self.shmids(scope="all"), sorted([self.mine, *self.foreign]))

    def test_foreign_ones_are_marked(self):
        for segment in self.client.list(scope="foreign"):
            with self.subTest(shmid=segment["shmid"]):
                self.assertIs(segment["managed"], False)
                self.assertNotIn("serial", segment)
                self.assertIs(segment["orphaned"], segment["shmid"] == self.foreign[0])
                found = without_details(self.client.stat(shmid=segment["shmid"]))
                self.assertEqual(segment, found)

    def test_filters_hold_for_foreign_ones_too(self):
        self.assertEqual(self.shmids(scope="all", prefix="mi"), [self.mine])
        self.assertEqual(self.shmids(scope="foreign", labels={"a": "1"}), [])
        self.assertEqual(self.shmids(scope="foreign", uid=0), sorted(self.foreign))
        self.assertEqual(self.shmids(scope="foreign", uid=ALICE.uid), [])

    def test_all_in_pages(self):
        found = [s["shmid"] for page in pages(self.client, scope="all", limit=1) for s in page]
        self.assertEqual(sorted(found), sorted([self.mine, *self.foreign]))

    def test_a_foreign_segment_that_is_being_removed(self):
        self.hold(ROOT, self.foreign[0])
        sysv.remove(self.foreign[0])
        segment = self.client.stat(shmid=self.foreign[0])
        self.assertEqual((segment["state"], segment["key"]), ("removing", 0))


class Pages(ListCase):
    def setUp(self):
        super().setUp()
        self.all = [f"s{i:03}" for i in range(50)]
        for name in self.all:
            self.client.create(name=name)

    def test_each_once(self):
        for limit in (1, 7, 25, 49, 50, 51, 1000):
            with self.subTest(limit=limit):
                found = list(pages(self.client, limit=limit))
                self.assertEqual(sorted(s["name"] for page in found for s in page), self.all)
                self.assertTrue(all(len(page) <= limit for page in found))

    def test_the_last_page_has_no_cursor(self):
        self.assertNotIn("cursor", self.client.call("list", limit=50))
        self.assertIn("cursor", self.client.call("list", limit=49))

    def test_with_a_filter(self):
        found = list(pages(self.client, limit=3, prefix="s01"))
        self.assertEqual(sorted(s["name"] for page in found for s in page), self.all[10:20])

    def test_a_cursor_works_on_another_connection(self):
        first = self.client.call("list", limit=20)
        rest = self.connect(self.daemon).call("list", cursor=first["cursor"])
        names = [s["name"] for s in first["segments"] + rest["segments"]]
        self.assertEqual(sorted(names), self.all)

    def test_while_segments_come_and_go(self):
        """What is there all the time is listed exactly once; what goes is not listed later."""
        found, gone = [], set()
        for number, page in enumerate(pages(self.client, limit=5)):
            names = [s["name"] for s in page]
            self.assertFalse(gone & set(names))
            found += names
            # One that was listed goes, one that was not goes, and one comes.
            unseen = [n for n in self.all if n not in found and n not in gone]
            for victim in {names[0], *unseen[-1:]}:
                if victim in self.all:
                    self.client.call("remove", name=victim)
                    gone.add(victim)
            self.client.create(name=f"t{number:03}")
            self.assertLess(number, 100, "the pages end")
        self.assertEqual(len(found), len(set(found)))
        self.assertLessEqual(set(self.all) - gone, set(found))

    def test_when_the_cursors_own_segment_goes(self):
        first = self.client.call("list", limit=10)
        for segment in first["segments"]:
            self.client.call("remove", serial=segment["serial"])
        rest = self.client.call("list", cursor=first["cursor"])
        seen = {s["name"] for s in first["segments"]}
        self.assertEqual(sorted(s["name"] for s in rest["segments"]),
                         sorted(set(self.all) - seen))

    def test_foreign_ones_while_they_come_and_go(self):
        foreign = [sysv.create(4096) for _ in range(40)]
        found, gone = [], set()
        for number, page in enumerate(pages(self.client, scope="foreign", limit=7)):
            found += [s["shmid"] for s in page]
            gone.add(foreign[-1 - number])
            sysv.remove(foreign[-1 - number])
            self.assertLess(number, 100, "the pages end")
        self.assertEqual(len(found), len(set(found)))
        self.assertLessEqual(set(foreign) - gone, set(found))

    def test_large_elements(self):
        """A page of 1,000 full elements would be megabytes; it may be shorter, but none is lost."""
        labels = {f"key{i}": '"' * 255 for i in range(16)}
        for i in range(300):
            self.client.create(name=f"big{i:03}", labels=labels)
        found = [s for page in pages(self.client, prefix="big", limit=1000) for s in page]
        self.assertEqual(sorted(s["name"] for s in found), [f"big{i:03}" for i in range(300)])
        self.assertTrue(all(s["labels"] == labels for s in found))


@needs_several_uids
class Visibility(ListCase):
    def test_only_what_stat_would_show(self):
        self.client.create(name="private")
        self.client.create(name="public", mode="0644")
        bob = self.connect(self.daemon, BOB)
        self.assertEqual(self.names(bob), ["public"])
        self.assertEqual(self.names(self.connect(self.daemon, ROOT)), ["private", "public"])

    def test_what_is_not_shown_does_not_shorten_the_list(self):
        bob = self.connect(self.daemon, BOB)
        for i in range(30):
            self.client.create(name=f"a{i}")
            bob.create(name=f"b{i}")
        found = [s["name"] for page in pages(bob, limit=10) for s in page]
        self.assertEqual(sorted(found), sorted(f"b{i}" for i in range(30)))

    def test_what_is_not_shown_is_not_foreign(self):
        self.client.create(name="private")
        bob = self.connect(self.daemon, BOB)
        self.assertEqual(bob.list(scope="all"), [])
        self.assertEqual(bob.list(scope="foreign"), [])


main()
