# SPDX-License-Identifier: MIT
"""info: what it tells of the daemon, the kernel and the caller."""

import os
import time

import sysv
from harness import (
    BOB,
    DAEMON,
    ROOT,
    SEVERAL_UIDS,
    SOMEBODY,
    TestCase,
    as_user,
    main,
    needs_several_uids,
)

INT64_MAX = 2**63 - 1


def now_ms():
    return time.time_ns() // 1_000_000


class Info(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def test_who_runs(self):
        info = self.client.call("info")
        self.assertEqual(info["pid"], self.daemon.pid)
        self.assertEqual(info["uid"], DAEMON.uid if SEVERAL_UIDS else ROOT.uid)
        self.assertEqual(info["protocol"], 2)
        self.assertRegex(info["version"], r"^\d+\.\d+\.\d+")
        self.assertLessEqual(abs(info["started_at_ms"] - now_ms()), 3_600_000)
        self.assertIs(info["durable"], True)

    def test_where_it_runs(self):
        info = self.client.call("info")
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self.assertEqual(info["boot_id"], file.read().strip())
        self.assertEqual(info["ipc_namespace"], os.stat("/proc/self/ns/ipc").st_ino)
        sizes = [
            int(name.removeprefix("hugepages-").removesuffix("kB")) * 1024
            for name in os.listdir("/sys/kernel/mm/hugepages")
        ]
        self.assertEqual(sorted(info["huge_page_sizes"]), sorted(sizes))

    def test_the_kernels_state(self):
        sysv.sysctl("shmmax", 1 << 40)
        sysv.sysctl("shmall", 1 << 30)
        sysv.sysctl("shmmni", 77)
        self.client.create(size=4096)
        sysv.create(8192)  # not the daemon's, and counts all the same
        kernel = self.client.call("info")["kernel"]
        self.assertEqual(
            kernel,
            {
                "shmmax": 1 << 40,
                "shmall": 1 << 30,
                "shmmni": 77,
                "segments": 2,
                "bytes": 4096 + 8192,
                "shm_rmid_forced": False,
            },
        )

    def test_a_limit_that_does_not_fit_int64_is_none(self):
        sysv.sysctl("shmmax", 2**64 - 1)
        sysv.sysctl("shmall", 2**64 - 1)
        kernel = self.client.call("info")["kernel"]
        self.assertNotIn("shmmax", kernel)
        self.assertNotIn("shmall", kernel)
        sysv.sysctl("shmmax", INT64_MAX)
        self.assertEqual(self.client.call("info")["kernel"]["shmmax"], INT64_MAX)

    def test_the_callers_limits_and_usage(self):
        self.client.create(size=4096)
        self.client.create(size=100)
        info = self.client.call("info")
        self.assertEqual(info["usage"], {"segments": 2, "bytes": 4196})
        for name, value in {
            "max_segments_per_uid": {"used": 2, "max": 1024},
            "max_segments": {"used": 2},  # no limit of the daemon's
            "max_bytes": {"used": 4196},
            "max_waiters_per_uid": {"used": 0, "max": 256},
            "max_message_bytes": {"max": 65536},
        }.items():
            with self.subTest(limit=name):
                self.assertEqual(info["limits"][name], value)

    @needs_several_uids
    def test_usage_is_the_callers_own(self):
        self.client.create(size=4096)
        usage = self.connect(self.daemon, BOB).call("info")["usage"]
        self.assertEqual(usage, {"segments": 0, "bytes": 0})

    def test_rmid_forced_is_not_durable(self):
        sysv.sysctl("shm_rmid_forced", 1)
        daemon = self.start_daemon(directory=self.daemon_directory("forced"))
        info = self.connect(daemon).call("info")
        self.assertIs(info["durable"], False)
        self.assertTrue(info["kernel"]["shm_rmid_forced"])
        self.assertIn("shm_rmid_forced", daemon.log())

    def test_rmid_forced_segments_are_anchored(self):
        sysv.sysctl("shm_rmid_forced", 1)
        daemon = self.start_daemon(directory=self.daemon_directory("forced"))
        shmid = self.connect(daemon).create(name="kept")["shmid"]
        as_user(SOMEBODY, lambda: sysv.write(shmid, b"x"))
        self.assertTrue(sysv.exists(shmid))

    def test_takes_no_parameters(self):
        self.refuses_parameter("colour", self.client, "info", colour="blue")


main()
