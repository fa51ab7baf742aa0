# SPDX-License-Identifier: MIT
"""A `wait` is answered when it is over, and holds nothing up meanwhile."""

import json

from harness import encode, main, wait_until
from peers import LifeCase


def wait(name, request_id, **params):
    return encode("wait", {"name": name, **params}, id=request_id)


class GoesOn(LifeCase):
    CONFIG = LifeCase.RELAXED

    def test_a_later_request_can_end_it(self):
        client = self.connect(self.daemon)
        client.send(wait("x", 1) + encode("create", {"name": "x", "size": 1}, id=2))
        replies = [client.reply(), client.reply()]
        self.assertEqual([reply["id"] for reply in replies], [2, 1])
        self.assertEqual(replies[0]["result"]["segment"]["serial"],
                         replies[1]["result"]["segment"]["serial"])

    def test_many_on_one_connection(self):
        client = self.connect(self.daemon)
        ids = ["text", 7, -1, 1.5, None, 2**53]
        for number, request_id in enumerate(ids):
            client.send(wait(f"n{number}", request_id))
        client.send(wait("n0", "again"))
        client.send(encode("info", id="info"))
        self.assertEqual(client.reply()["id"], "info")
        for number in reversed(range(1, len(ids))):
            self.client.create(name=f"n{number}")
            self.assertEqual(client.reply()["id"], ids[number])
        self.client.create(name="n0")
        self.assertEqual({client.reply()["id"], client.reply()["id"]}, {"text", "again"})

    def test_events_come_meanwhile(self):
        client = self.connect(self.daemon)
        client.send(encode("subscribe", id=1) + wait("x", 2))
        self.assertEqual(client.reply()["id"], 1)
        self.client.create(name="other")
        self.assertEqual(client.reply()["params"]["segment"]["name"], "other")

    def test_in_a_batch(self):
        client = self.connect(self.daemon)
        batch = [json.loads(message) for message in (
            wait("x", 1), encode("create", {"name": "y", "size": 1}, id=2), wait("y", 3))]
        client.send(json.dumps(batch).encode())
        client.send(encode("stat", {"name": "y"}, id=4))
        self.assertEqual(client.reply()["id"], 4)
        self.client.create(name="x")
        answers = client.reply()
        self.assertEqual([answer["id"] for answer in answers], [1, 2, 3])
        self.assertTrue(all("result" in answer for answer in answers), answers)

    def test_a_batch_whose_wait_makes_its_own_end(self):
        client = self.connect(self.daemon)
        batch = [json.loads(message) for message in (
            wait("x", 1), encode("create", {"name": "x", "size": 1}, id=2))]
        client.send(json.dumps(batch).encode())
        self.assertEqual([answer["id"] for answer in client.reply()], [1, 2])

    def test_a_half_closed_connection_hears_the_end(self):
        client = self.connect(self.daemon)
        client.send(wait("x", 1))
        client.finish()
        self.client.call("info")
        self.client.create(name="x")
        self.assertEqual(client.reply()["id"], 1)
        self.assertIsNone(client.reply())

    def test_what_comes_behind_it_is_executed_at_once(self):
        client = self.connect(self.daemon)
        client.send(wait("x", 1) + encode("create", {"name": "behind", "size": 1}))
        wait_until(lambda: [s["name"] for s in self.client.list()] == ["behind"], "it is executed")
        client.close()
        before = self.descriptors()
        self.client.create(name="x")
        self.assertEqual(self.descriptors(), before)

    def test_times_run_out_one_by_one(self):
        client = self.connect(self.daemon)
        client.send(wait("x", 1, timeout_ms=200) + wait("x", 2, timeout_ms=50) +
                    wait("x", 3, timeout_ms=0))
        self.assertEqual([client.reply()["id"] for _ in range(3)], [3, 2, 1])

    def test_its_id_is_bounded(self):
        client = self.connect(self.daemon)
        client.send(wait("x", "i" * 1022) + wait("x", "i" * 1023))
        reply = client.reply()
        self.assertEqual((reply["error"]["code"], reply["id"]), (-32600, "i" * 1023))
        self.client.create(name="x")
        self.assertEqual(client.reply()["id"], "i" * 1022)

    def test_its_connection_is_closed(self):
        before = self.descriptors()
        client = self.connect(self.daemon)
        client.send(b"[" + wait("x", 1).strip() + b"," + wait("y", 2).strip() + b"]")
        client.send(wait("x", 1))
        client.close()
        wait_until(lambda: self.descriptors() == before, "the connection is gone")
        self.client.create(name="x")


if __name__ == "__main__":
    main()
