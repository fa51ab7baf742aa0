# SPDX-License-Identifier: MIT
"""`disown`: a segment leaves the daemon's care, and lives on as its creator's."""

import json
import os

import sysv
from harness import ALICE, BOB, ROOT, SEVERAL_UIDS, as_user, main, needs_several_uids
from peers import LifeCase


class Disown(LifeCase):
    CONFIG = LifeCase.RELAXED + "max_segments_per_uid = 1\n"

    def setUp(self):
        super().setUp()
        self.owner = ALICE if SEVERAL_UIDS else ROOT
        self.client = self.connect(self.daemon, self.owner)

    def test_it_lives_on(self):
        subscriber = self.subscribe()
        made = self.client.create(name="frames", mode="0640")
        sysv.write(made["shmid"], b"kept")
        result = self.client.call("disown", name="frames")["segment"]
        self.assertIs(result["managed"], False)
        self.assertNotIn("serial", result)
        self.assertNotIn("name", result)
        self.assertEqual((result["shmid"], result["mode"], result["uid"], result["gid"]),
                         (made["shmid"], "0640", self.owner.uid, self.owner.gid))
        self.assertEqual(sysv.read(made["shmid"], 4), b"kept")
        self.refused("NoSuchSegment", self.client, "stat", name="frames")
        self.refused("NoSuchSegment", self.client, "stat", serial=made["serial"])
        self.assertIs(self.client.stat(shmid=made["shmid"])["managed"], False)
        _, event = self.events(subscriber, 2)
        self.assertEqual((event["kind"], event["segment"]["managed"]), ("changed", False))
        # Its charge is given back, and its name is free.
        self.client.create(name="frames")
        self.kill_and_restart()
        self.assertEqual([s["name"] for s in self.client.list()], ["frames"])
        self.assertTrue(sysv.exists(made["shmid"]))

    def test_its_holders_keep_it_no_more(self):
        peer = self.peer(self.owner)
        made = peer.create(name="frames", lifetime="process")
        self.client.call("disown", name="frames")
        peer.end()
        self.client.create(name="other")
        self.assertTrue(sysv.exists(made["shmid"]))

    def test_what_was_adopted_is_given_back(self):
        shmid = as_user(self.owner, lambda: sysv.create(5000, 0o640))
        daemon_uid = self.client.call("info")["uid"]
        as_user(self.owner, lambda: sysv.set_owner(shmid, daemon_uid, self.owner.gid, 0o640))
        self.client.call("adopt", shmid=shmid, name="taken")
        segment = self.client.call("disown", name="taken")["segment"]
        self.assertEqual((segment["uid"], segment["managed"]), (self.owner.uid, False))

    def test_not_for_attached(self):
        self.client.create(name="frames", lifetime="attached")
        self.refused("NotSupported", self.client, "disown", name="frames")

    def test_a_declared_one_stays(self):
        directory = os.path.join(self.directory, "segments.d")
        os.makedirs(directory)
        with open(os.path.join(directory, "a.json"), "w", encoding="utf-8") as file:
            json.dump({"name": "frames", "size": 4096, "uid": self.owner.uid}, file)
        self.daemon.configure(f"segments_dir = {directory}\n")
        self.connect(self.daemon, ROOT).call("reload")
        data = self.refused("NotSupported", self.client, "disown", name="frames")
        self.assertIn("declared", data["what"])
        self.assertEqual([s["name"] for s in self.client.list(scope="all")], ["frames"])

    def test_its_lock_goes(self):
        """Else the daemon could lock no more, and nobody's quota would say why."""
        made = self.client.create(name="frames", locked=True)
        self.assertIs(self.client.call("disown", name="frames")["segment"]["locked"], False)
        self.assertFalse(sysv.stat(made["shmid"]).mode & sysv.SHM_LOCKED)

    def test_the_lock_of_an_adopted_one_goes(self):
        shmid = as_user(self.owner, lambda: sysv.create(5000, 0o640))
        daemon_uid = self.client.call("info")["uid"]
        as_user(self.owner, lambda: sysv.set_owner(shmid, daemon_uid, self.owner.gid, 0o640))
        self.client.call("adopt", shmid=shmid, name="taken")
        self.client.call("set", name="taken", locked=True)
        self.assertIs(self.client.call("disown", name="taken")["segment"]["locked"], False)
        self.assertFalse(sysv.stat(shmid).mode & sysv.SHM_LOCKED)

    @needs_several_uids
    def test_not_for_strangers(self):
        self.client.create(name="frames", mode="0666")
        self.refused("PermissionDenied", self.connect(self.daemon, BOB), "disown", name="frames")


if __name__ == "__main__":
    main()
