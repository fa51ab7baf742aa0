"""metrics: what parsers of other people make of it, while the daemon is at work."""

import shutil
import subprocess
import threading

from harness import TestCase, encode, main, wait_until

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
except ImportError:
    parse = None


class Metrics(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def text(self):
        return self.client.call("metrics")["text"]

    def under_load(self, look):
        """Calls LOOK with twenty texts that were taken while clients work and make mistakes."""
        ends = threading.Event()
        rounds = []

        def work(number, client):
            while not ends.is_set():
                client.create(name=f"m/{number}")
                client.request("stat", name="none")
                client.call("list")
                client.call("remove", name=f"m/{number}")
                rounds.append(number)

        workers = [threading.Thread(target=work, args=(n, self.connect(self.daemon)))
                   for n in range(4)]
        for worker in workers:
            worker.start()
        try:
            wait_until(lambda: len(set(rounds)) == 4, "each client works")
            texts = [self.text() for _ in range(20)]
        finally:
            ends.set()
            for worker in workers:
                worker.join()
        for text in texts:
            look(text)
        return texts[-1]

    def test_a_strict_parser_of_openmetrics(self):
        if parse is None:
            self.skipTest("python3-prometheus-client is not installed")
        last = self.under_load(lambda text: list(parse(text)))
        families = {family.name: family for family in parse(last)}
        requests = {tuple(s.labels.values()): s.value for s in families["shmd_requests"].samples}
        self.assertGreater(requests["create", "ok"], 0)
        self.assertGreater(requests["stat", "NoSuchSegment"], 0)
        self.assertEqual(families["shmd_request_duration_seconds"].type, "histogram")
        used = {s.labels["quota"]: s.value for s in families["shmd_quota_used"].samples}
        most = {s.labels["quota"]: s.value for s in families["shmd_quota_max"].samples}
        self.assertGreaterEqual(used["max_connections"], 1)
        self.assertLessEqual(set(most), set(used))
        self.assertGreater(families["shmd_journal_bytes"].samples[0].value, 0)

    def test_promtool_reads_it(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed (Debian: prometheus)")
        directory = self.directory

        def look(text):
            # What has no time of its own gets one: promtool makes blocks of what has a time alone.
            lines = [line if line.startswith("#") else line + " 1700000000"
                     for line in text.splitlines()]
            path = f"{directory}/metrics"
            with open(path, "w", encoding="ascii") as file:
                file.write("\n".join(lines) + "\n")
            subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", path,
                            f"{directory}/blocks"], check=True, capture_output=True)

        look(self.text())
        self.under_load(lambda _: None)
        look(self.text())

    def test_what_each_sample_says(self):
        """The figures of things that are there now."""
        segment = self.client.create(name="m", size=8192)
        self.client.request("create", name="m", size=4096, exclusive=True)
        with self.daemon.connect() as other:
            other.send(encode("wait", {"name": "nothing"}, id="w"))
            other.call("info")
            text = self.text()
        for line in (
            "shmd_segments 1",
            "shmd_segment_bytes 8192",
            "shmd_waiters 1",
            'shmd_quota_used{quota="max_segments"} 1',
            'shmd_quota_used{quota="max_bytes"} 8192',
            'shmd_quota_used{quota="max_waiters"} 1',
            'shmd_requests_total{method="create",outcome="SegmentExists"} 1',
        ):
            self.assertIn(line, text.splitlines())
        self.client.call("remove", serial=segment["serial"])
        self.assertIn("shmd_segments 0", self.text().splitlines())


if __name__ == "__main__":
    main()
