# SPDX-License-Identifier: MIT
"""`create` with `replace`: a new segment takes the name of another in one step, at once or at
`ready`."""

import sysv
from harness import ALICE, BOB, ROOT, as_user, encode, main, needs_several_uids
from peers import LifeCase, kill


class AtOnce(LifeCase):
    CONFIG = LifeCase.RELAXED

    def test_a_new_segment_takes_the_name(self):
        subscriber = self.subscribe()
        old = self.client.create(name="table", size=4096)
        result = self.client.call("create", name="table", size=8192, replace=True)
        new = result["segment"]
        self.assertIs(result["created"], True)
        self.assertEqual((new["name"], new["size"], new["state"]), ("table", 8192, "ready"))
        self.assertNotEqual(new["serial"], old["serial"])
        self.assertEqual(self.client.stat(name="table")["serial"], new["serial"])
        self.assertFalse(sysv.exists(old["shmid"]))
        told = [(event["kind"], event.get("reason"), event["segment"]["serial"])
                for event in self.events(subscriber, 3)]
        self.assertEqual(told, [("created", None, old["serial"]),
                                ("removed", "replaced", old["serial"]),
                                ("created", None, new["serial"])])

    def test_without_an_old_one_it_is_a_plain_create(self):
        for ready in (True, False):
            name = f"first-{ready}"
            segment = self.client.create(name=name, replace=True, ready=ready)
            self.assertEqual(segment["name"], name)
            self.assertNotIn("replaces", segment)

    def test_those_who_attached_the_old_one_keep_it(self):
        old = self.client.create(name="table")
        peer = self.peer()
        peer.attach(old["shmid"])
        self.client.create(name="table", replace=True)
        seen = self.client.stat(serial=old["serial"])
        self.assertEqual((seen["state"], seen["former_name"], seen["nattch"]),
                         ("removing", "table", 1))
        self.assertNotIn("name", seen)
        self.kill_and_restart()
        self.assertEqual(self.client.stat(serial=old["serial"])["former_name"], "table")
        peer.end()

    def test_what_does_not_go_together(self):
        for params in ({"name": "a", "exclusive": True}, {"name": "a", "key": 5}, {}):
            with self.subTest(params=params):
                self.refuses_parameter("replace", self.client, "create", size=1, replace=True,
                                       **params)

    @needs_several_uids
    def test_only_for_those_who_may_remove_the_old_one(self):
        alice, bob = (self.connect(self.daemon, user) for user in (ALICE, BOB))
        old = alice.create(name="table", mode="0666")
        denied = self.refused("PermissionDenied", bob, "create", name="table", size=1, replace=True)
        self.assertNotIn("serial", denied)
        self.assertEqual(alice.stat(name="table")["serial"], old["serial"])
        self.assertEqual(len(self.connect(self.daemon, ROOT).list()), 1)
        root = self.connect(self.daemon, ROOT)
        self.assertNotEqual(root.create(name="table", replace=True)["serial"], old["serial"])

    def test_survives_a_kill(self):
        old = self.client.create(name="table")
        new = self.client.create(name="table", replace=True)
        self.kill_and_restart()
        self.assertEqual([s["serial"] for s in self.client.list()], [new["serial"]])
        self.assertFalse(sysv.exists(old["shmid"]))


class AtReady(LifeCase):
    ADMINS = 3999
    CONFIG = LifeCase.RELAXED + f"admin_group = {ADMINS}\n"

    def begin(self, client=None, **params):
        return (client or self.client).create(name="table", replace=True, ready=False, **params)

    def test_the_old_one_stays_in_force_until_ready(self):
        old = self.client.create(name="table")
        waiter = self.connect(self.daemon)
        new = self.begin(size=9000)
        self.assertEqual((new["replaces"], new["state"]), (old["serial"], "initialising"))
        self.assertNotIn("name", new)
        self.assertNotIn("former_name", new)
        self.assertEqual(self.client.stat(name="table")["serial"], old["serial"])
        self.assertEqual(waiter.call("wait", name="table")["segment"]["serial"], old["serial"])
        subscriber = self.subscribe()
        ready = self.client.call("ready", serial=new["serial"])["segment"]
        self.assertEqual((ready["name"], ready["state"]), ("table", "ready"))
        self.assertNotIn("replaces", ready)
        self.assertEqual(self.client.stat(name="table")["serial"], new["serial"])
        self.assertFalse(sysv.exists(old["shmid"]))
        told = [(event["kind"], event.get("reason"), event["segment"]["serial"])
                for event in self.events(subscriber, 2)]
        self.assertEqual(told, [("removed", "replaced", old["serial"]),
                                ("ready", None, new["serial"])])

    def test_a_waiter_gets_the_new_one(self):
        old = self.client.create(name="table", ready=False)
        waiter = self.connect(self.daemon)
        waiter.send(encode("wait", {"name": "table"}, id=1))
        new = self.begin()
        self.client.call("ready", serial=new["serial"])
        self.assertEqual(waiter.reply()["result"]["segment"]["serial"], new["serial"])
        self.assertFalse(self.is_known(old))

    def test_of_two_the_later_ready_wins(self):
        self.client.create(name="table")
        first, second = self.begin(), self.begin()
        self.client.call("ready", serial=second["serial"])
        self.client.call("ready", serial=first["serial"])
        self.assertEqual(self.client.stat(name="table")["serial"], first["serial"])
        self.assertFalse(self.is_known(second))

    def test_it_has_no_name_before(self):
        self.client.create(name="table")
        new = self.begin()
        self.refuses_parameter("new_name", self.client, "set", serial=new["serial"],
                               new_name="other")
        self.client.call("set", serial=new["serial"], labels={"version": "2"})
        self.client.call("ready", serial=new["serial"])
        renamed = self.client.call("set", serial=new["serial"], new_name="other")["segment"]
        self.assertEqual(renamed["name"], "other")

    def test_its_initialiser_dies(self):
        old = self.client.create(name="table")
        peer = self.peer()
        new = peer.create(name="table", replace=True, ready=False)
        subscriber = self.subscribe()
        peer.end()
        self.check_removed(subscriber, new, "initialiser-died")
        self.assertEqual(self.client.stat(name="table")["serial"], old["serial"])

    def test_the_name_has_gone_meanwhile(self):
        self.client.create(name="table")
        new = self.begin()
        self.client.call("remove", name="table")
        ready = self.client.call("ready", serial=new["serial"])["segment"]
        self.assertEqual(ready["name"], "table")

    @needs_several_uids
    def test_the_name_has_gone_to_a_stranger(self):
        alice, bob = (self.connect(self.daemon, user) for user in (ALICE, BOB))
        alice.create(name="table")
        new = self.begin(alice)
        alice.call("remove", name="table")
        stranger = bob.create(name="table")
        self.refused("PermissionDenied", alice, "ready", serial=new["serial"])
        self.assertEqual(alice.stat(serial=new["serial"])["state"], "initialising")
        self.assertEqual(bob.stat(name="table")["serial"], stranger["serial"])
        # The owner's right counts, whoever says that it is ready.
        self.refused("PermissionDenied", self.connect(self.daemon, ROOT), "ready",
                     serial=new["serial"])

    @needs_several_uids
    def test_the_daemon_as_owner_gives_no_right(self):
        alice, bob = (self.connect(self.daemon, user) for user in (ALICE, BOB))
        daemon = alice.call("info")["uid"]
        alice.create(name="table")
        made = self.begin(alice, uid=daemon)
        given = self.begin(alice)
        alice.call("set", serial=given["serial"], uid=daemon)
        alice.call("remove", name="table")
        stranger = bob.create(name="table", mode="0666")
        for new in (made, given):
            self.refused("PermissionDenied", alice, "ready", serial=new["serial"])
        self.assertEqual(bob.stat(name="table")["serial"], stranger["serial"])
        bob.call("remove", name="table")
        alice.call("ready", serial=made["serial"])
        self.refused("PermissionDenied", bob, "stat", name="table")

    @needs_several_uids
    def test_somebody_else_as_owner_gives_no_right(self):
        alice, bob = (self.connect(self.daemon, user) for user in (ALICE, BOB))
        for uid, gid in ((BOB.uid, BOB.gid), (ROOT.uid, ALICE.gid), (ALICE.uid, self.ADMINS)):
            with self.subTest(uid=uid, gid=gid):
                alice.create(name="table")
                new = self.begin(alice)
                alice.call("remove", name="table")
                stranger = bob.create(name="table")
                as_user(ALICE, lambda: sysv.set_owner(new["shmid"], uid, gid, 0o666))
                self.refused("PermissionDenied", alice, "ready", serial=new["serial"])
                self.assertEqual(bob.stat(name="table")["serial"], stranger["serial"])
                bob.call("remove", name="table")
                alice.call("remove", serial=new["serial"])

    def test_survives_a_kill(self):
        old = self.client.create(name="table")
        peer = self.peer()
        new = peer.create(name="table", replace=True, ready=False)
        kill(self.daemon)
        self.restart()
        self.assertEqual(self.client.stat(serial=new["serial"])["replaces"], old["serial"])
        self.assertEqual(self.client.stat(name="table")["serial"], old["serial"])
        self.client.call("ready", serial=new["serial"])
        self.assertEqual(self.client.stat(name="table")["serial"], new["serial"])


if __name__ == "__main__":
    main()
