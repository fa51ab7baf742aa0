# SPDX-License-Identifier: MIT
"""What all methods share: how a request names its method, its parameters and its segment."""

import sysv
from harness import TestCase, encode, main

NOWHERE = 0x7FFFFFFF  # a shmid and a serial that denote nothing


class TargetCase(TestCase):
    def setUp(self):
        super().setUp()
        self.client = self.connect(self.start_daemon())


class Target(TargetCase):
    """How a segment is named, by the example of stat."""

    def setUp(self):
        super().setUp()
        self.segment = self.client.create(name="one", key=0xC0FFEE)
        self.other = self.client.create(name="two")

    def test_by_each_of_the_four(self):
        for field in ("name", "shmid", "key", "serial"):
            with self.subTest(field=field):
                found = self.client.stat(**{field: self.segment[field]})
                self.assertEqual(found["serial"], self.segment["serial"])

    def test_a_key_may_be_signed(self):
        segment = self.client.create(key=-5)
        self.assertEqual(segment["key"], 2**32 - 5)
        for key in (-5, 2**32 - 5):
            with self.subTest(key=key):
                self.assertEqual(self.client.stat(key=key)["serial"], segment["serial"])

    def test_nothing_there(self):
        for field, value in (
            ("name", "three"),
            ("shmid", NOWHERE),
            ("key", 0x1234),
            ("serial", NOWHERE),
        ):
            with self.subTest(field=field):
                data = self.refused("NoSuchSegment", self.client, "stat", **{field: value})
                self.assertEqual(data[field], value)

    def test_not_exactly_one(self):
        self.refused("InvalidParameter", self.client, "stat")
        self.refused("InvalidParameter", self.client, "stat", name="one", key=0xC0FFEE)
        self.refused(
            "InvalidParameter", self.client, "stat", name="one", shmid=self.segment["shmid"]
        )

    def test_key_0_denotes_nothing(self):
        self.refuses_parameter("key", self.client, "stat", key=0)

    def test_a_fitting_serial_guards(self):
        serial = self.segment["serial"]
        for field in ("name", "shmid", "key"):
            with self.subTest(field=field):
                target = {field: self.segment[field], "serial": serial}
                self.assertEqual(self.client.stat(**target)["serial"], serial)

    def test_another_serial_is_stale(self):
        for serial in (self.other["serial"], NOWHERE):
            for field in ("name", "shmid", "key"):
                with self.subTest(field=field, serial=serial):
                    target = {field: self.segment[field], "serial": serial}
                    for method in ("stat", "set", "remove"):
                        self.refused("StaleSegment", self.client, method, **target)
        self.assertEqual(self.client.stat(name="one")["state"], "ready")

    def test_a_serial_whose_name_is_gone_is_stale(self):
        for method in ("stat", "set", "remove"):
            with self.subTest(method=method):
                data = self.refused(
                    "StaleSegment", self.client, method, name="three", serial=self.other["serial"]
                )
                self.assertEqual(data["serial"], self.other["serial"])
        self.assertEqual(self.client.stat(name="two")["state"], "ready")

    def test_both_denote_nothing(self):
        for method in ("stat", "set", "remove"):
            with self.subTest(method=method):
                self.refused("NoSuchSegment", self.client, method, name="three", serial=NOWHERE)

    def test_serials_are_never_reused(self):
        self.client.call("remove", name="two")
        again = self.client.create(name="two")
        self.assertGreater(again["serial"], self.other["serial"])
        self.refused("StaleSegment", self.client, "remove", name="two", serial=self.other["serial"])
        self.assertTrue(sysv.exists(again["shmid"]))


class Request(TargetCase):
    def test_unknown_method(self):
        for method in ("destroy", "Stat", "io.shmd.Stat", "", "stat "):
            with self.subTest(method=method):
                data = self.refused("MethodNotFound", self.client, method)
                self.assertEqual(data["method"], method)

    def test_parameters_go_by_name(self):
        self.client.create(name="frames")
        for params in (["frames"], "frames", 1):
            with self.subTest(params=params):
                self.client.send(encode("stat", params, id=9))
                reply = self.client.reply()
                self.assertEqual((reply["id"], reply["error"]["code"]), (9, -32602), reply)

    def test_no_parameters_has_three_spellings(self):
        for params in (b"", b',"params":{}', b',"params":[]'):
            with self.subTest(params=params):
                self.client.send(b'{"jsonrpc":"2.0","id":9,"method":"list"%s}\n' % params)
                self.assertEqual(self.client.reply()["result"]["segments"], [])


main()
