# SPDX-License-Identifier: MIT
"""Finding a segment and holding it are one step: `create` of an existing one, and `wait`."""

from harness import ALICE, BOB, ROOT, encode, main, needs_several_uids
from peers import LifeCase


class Create(LifeCase):
    CONFIG = LifeCase.RELAXED

    def test_of_an_existing_one_holds_it(self):
        for lifetime in ("process", "connection"):
            with self.subTest(lifetime=lifetime):
                first, second = self.peer(), self.peer()
                made = first.create(name="frames", lifetime=lifetime)
                found = second.create(name="frames")
                self.assertEqual((found["serial"], found["holders"]), (made["serial"], 2))
                first.end()
                self.wait_for_holders(made, 1)
                subscriber = self.subscribe()
                second.end()
                self.check_removed(subscriber, made, {"process": "last-holder-exited",
                                                      "connection": "connection-closed"}[lifetime])

    def test_twice_is_once(self):
        peer = self.peer()
        peer.create(name="frames", lifetime="process")
        self.assertEqual(peer.create(name="frames")["holders"], 1)

    def test_unless_it_says_no(self):
        made = self.peer().create(name="frames", lifetime="process")
        found = self.peer().create(name="frames", hold=False)
        self.assertEqual((found["serial"], found["holders"]), (made["serial"], 1))

    def test_where_there_is_nothing_to_hold(self):
        for lifetime in ("persistent", "attached"):
            self.client.create(name=lifetime, lifetime=lifetime)
            self.assertEqual(self.client.create(name=lifetime)["holders"], 0)

    def test_over_the_cap(self):
        self.daemon.end()
        self.restart(config=self.CONFIG + "max_holders_per_segment = 1\n")
        self.peer().create(name="frames", lifetime="process")
        other = self.connect(self.daemon)
        peer = self.peer()
        self.assertEqual(peer.create(name="frames", hold=False)["holders"], 1)
        data = self.refused("QuotaExceeded", other, "create", name="frames", size=1)
        self.assertEqual(data["quota"], "max_holders_per_segment")


class Wait(LifeCase):
    CONFIG = LifeCase.RELAXED

    def test_for_one_that_is_there(self):
        maker, waiter = self.peer(), self.peer()
        made = maker.create(name="frames", lifetime="process")
        self.assertEqual(waiter.call("wait", name="frames")["segment"]["holders"], 1)
        self.assertEqual(waiter.call("wait", name="frames", hold=True)["segment"]["holders"], 2)
        maker.end()
        self.wait_for_holders(made, 1)

    def test_for_one_that_is_to_come(self):
        waiter = self.connect(self.daemon)
        waiter.send(encode("wait", {"name": "frames", "hold": True}, id=1))
        maker = self.peer()
        made = maker.create(name="frames", lifetime="process", ready=False)
        maker.call("ready", name="frames")
        segment = waiter.reply()["result"]["segment"]
        self.assertEqual((segment["serial"], segment["holders"]), (made["serial"], 2))
        maker.end()
        self.wait_for_holders(made, 1)
        self.client.call("release", name="frames")  # the same process holds it
        self.assertFalse(self.is_known(made))

    def test_where_there_is_nothing_to_hold(self):
        self.client.create(name="frames")
        segment = self.client.call("wait", name="frames", hold=True)["segment"]
        self.assertEqual(segment["holders"], 0)


class Owner(LifeCase):
    CONFIG = LifeCase.RELAXED

    @needs_several_uids
    def test_a_stranger_s_segment_is_refused(self):
        alice, bob = (self.connect(self.daemon, user) for user in (ALICE, BOB))
        bob.create(name="frames", mode="0666", lifetime="process")
        for method in ("stat", "hold", "wait"):
            with self.subTest(method=method):
                data = self.refused("PermissionDenied", alice, method, name="frames",
                                    owner=ALICE.uid)
                self.assertEqual((data["needs"], data["uid"]), ("owner", BOB.uid))
                segment = alice.call(method, name="frames", owner=BOB.uid)["segment"]
                self.assertEqual(segment["uid"], BOB.uid)

    @needs_several_uids
    def test_root_s_and_the_daemon_s_pass(self):
        alice = self.connect(self.daemon, ALICE)
        root = self.connect(self.daemon, ROOT)
        root.create(name="roots", mode="0666")
        root.create(name="daemons", mode="0666", uid=root.call("info")["uid"])
        for name in ("roots", "daemons"):
            self.assertEqual(alice.call("stat", name=name, owner=ALICE.uid)["segment"]["name"],
                             name)

    @needs_several_uids
    def test_given_away_is_still_the_maker_s(self):
        alice, bob = (self.connect(self.daemon, user) for user in (ALICE, BOB))
        bob.create(name="frames", mode="0666")
        self.connect(self.daemon, ROOT).call("set", name="frames", uid=ALICE.uid)
        data = self.refused("PermissionDenied", alice, "stat", name="frames", owner=ALICE.uid)
        self.assertEqual(data["uid"], BOB.uid)

    @needs_several_uids
    def test_what_may_not_be_read_tells_nothing(self):
        alice, bob = (self.connect(self.daemon, user) for user in (ALICE, BOB))
        bob.create(name="frames", mode="0600")
        for method, params in (("stat", {"owner": ALICE.uid}), ("wait", {"owner": ALICE.uid}),
                               ("create", {"size": 1})):
            with self.subTest(method=method):
                data = self.refused("PermissionDenied", alice, method, name="frames", **params)
                self.assertEqual(set(data) & {"serial", "shmid", "uid"}, set(), data)
        data = self.refused("SegmentExists", alice, "create", name="frames", size=1, exclusive=True)
        self.assertEqual(set(data) & {"serial", "shmid"}, set(), data)
        alice.create(name="mine")
        data = self.refused("SegmentExists", alice, "set", name="mine", new_name="frames")
        self.assertEqual(set(data) & {"serial", "shmid"}, set(), data)


if __name__ == "__main__":
    main()
