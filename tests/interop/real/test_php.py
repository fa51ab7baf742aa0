# SPDX-License-Identifier: MIT
"""PHP's shmop: workers that create a segment, fill it and exit, and segments of shmd by their key."""

from real import RealCase, main, needs_a_uid_of_its_own, sysv

KEY = 0x5048

PHP_WRITE = f"""
$id = shmop_open({KEY}, $argv[1], 0600, (int)$argv[2]);
if ($id === false) exit(1);
echo shmop_write($id, $argv[3], 0);
"""
PHP_READ = f"""
$id = shmop_open({KEY}, "a", 0, 0);
if ($id === false) exit(1);
echo shmop_size($id), " ", shmop_read($id, 0, (int)$argv[1]);
"""
PHP_DELETE = f"""
$id = shmop_open({KEY}, "w", 0, 0);
echo shmop_delete($id) ? "deleted" : "kept";
"""


class Php(RealCase):
    def setUp(self):
        super().setUp()
        self.php = self.need("php")
        if "shmop" not in self.run_real(self.php, "-m").split():
            self.skipTest("this php has no shmop")

    def run_php(self, script, *arguments):
        return self.run_real(self.php, "-r", script, "--", *map(str, arguments))

    @needs_a_uid_of_its_own
    def test_a_cache_that_a_worker_has_left(self):
        self.assertEqual(self.run_php(PHP_WRITE, "n", 100, "cached"), "6")
        shmid = sysv.find(KEY)
        self.assertIs(self.foreign()[shmid]["orphaned"], True)
        # The next worker uses it. Then it is no leak, and it stays.
        self.assertEqual(self.run_php(PHP_READ, 6), "100 cached")
        self.assertIs(self.foreign()[shmid]["used_by_others"], True)
        self.assertEqual(self.gc("--remove"), {shmid: ("left", "kept")})
        self.assertEqual(self.run_php(PHP_READ, 6), "100 cached")
        self.assertEqual(self.gc("--remove", "--left"), {shmid: ("left", "removed")})
        self.assertEqual(self.foreign(), {})

    def test_a_segment_of_shmd(self):
        made = self.client.create(name="frames", size=129, key=KEY)
        self.ctl("write", "frames", data=b"by shmdctl")
        self.assertEqual(self.run_php(PHP_READ, 10), "129 by shmdctl")
        self.assertEqual(self.run_php(PHP_WRITE, "c", 129, "by PHP"), "6")
        self.assertEqual(self.ctl("read", "frames", "--length", 10), b"by PHPdctl")
        after = self.client.stat(name="frames")
        self.assertEqual((after["serial"], after["nattch"]), (made["serial"], 0))
        self.assertGreater(after["detached_at_ms"], 0)
        self.assertEqual(self.gc("--remove", "--left"), {})

    def test_its_removal_is_seen(self):
        self.client.create(name="frames", size=129, key=KEY)
        self.client.call("subscribe", kinds=["removed"])
        self.assertEqual(self.run_php(PHP_DELETE), "deleted")
        self.refused("NoSuchSegment", self.connect(self.daemon, self.user), "stat", name="frames")
        event = self.client.reply()["params"]
        self.assertEqual((event["reason"], event["segment"]["name"]), ("out-of-band", "frames"))


main()
