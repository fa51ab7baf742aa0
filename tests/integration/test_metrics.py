# SPDX-License-Identifier: MIT
"""metrics: what parsers of other people make of it, and what contrib/prometheus makes of it."""

import json
import os
import re
import shutil
import subprocess
import threading

import sysv
from harness import TestCase, encode, main, wait_until
from missing import find_module, lacks, need
from programs import Programs

_parser = find_module("prometheus_client.openmetrics.parser")


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
        if _parser is None:
            self.skipTest(lacks("prometheus_client"))
        parse = _parser.text_string_to_metric_families
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
        need(self, "promtool")
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
        look(self.under_load(lambda _: None))

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

    def test_the_kernels_limits(self):
        """The alerts divide by these."""
        self.assertIn(f"shmd_kernel_segments_max {sysv.sysctl('shmmni')}",
                      self.text().splitlines())


def promtool(*arguments, **more):
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, **more)


class Contrib(Programs, TestCase):
    FILES = os.path.join(os.environ.get("abs_top_srcdir", ""), "contrib/prometheus")

    def setUp(self):
        super().setUp()
        # Of a limit that the kernel does not have no sample tells.
        sysv.sysctl("shmall", 1 << 20)
        self.daemon = self.start_daemon()

    def read(self, name):
        with open(f"{self.FILES}/{name}", encoding="utf-8") as file:
            return file.read()

    def names(self):
        """What the daemon tells, by name."""
        with self.daemon.connect() as client:
            text = client.call("metrics")["text"]
        return {re.split("[{ ]", line)[0] for line in text.splitlines() if line[0] != "#"}

    def check_names(self, text):
        used = set(re.findall(r"\bshmd_[a-z_]+", text))
        self.assertGreater(len(used), 5)
        self.assertLessEqual(used, self.names(), "what the daemon does not tell")

    def test_the_dashboard_shows_what_there_is(self):
        dashboard = json.loads(self.read("grafana-dashboard.json"))
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        self.assertGreater(len(expressions), 10)
        self.check_names("\n".join(expressions))
        identities = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(set(identities)), len(identities))

    def test_the_alerts_ask_for_what_there_is(self):
        self.check_names(self.read("shmd.rules.yml"))

    def test_the_readme_names_each_alert(self):
        alerts = set(re.findall(r"alert: (\w+)", self.read("shmd.rules.yml")))
        table = "\n".join(re.findall(r"^\| .*", self.read("README.md"), re.MULTILINE))
        self.assertEqual(set(re.findall(r"\b[A-Z]\w+[a-z]\b", table.replace("MiB", ""))), alerts)

    def test_the_readme_installs_what_packages_have(self):
        """Its commands, from the directory where the packages put the files to the paths that the units name."""
        top = os.path.join(self.FILES, "../..")
        with open(os.path.join(top, "Makefile.am"), encoding="utf-8") as file:
            packed = re.findall(r"contrib/prometheus/(\S+)", file.read())
        readme = self.read("README.md")
        place = re.search(r"(?m)^ +cd (/\S+)$", readme)[1]
        if os.path.exists(os.path.join(top, "debian")):  # a release has none
            with open(os.path.join(top, "debian/shmd.install"), encoding="utf-8") as file:
                self.assertIn(place[1:], file.read().split())
        installed = {}
        for names, target in re.findall(r"(?m)^ +install (?:-D )?-m \d+ (.*) (\S+)$", readme):
            for name in names.split():
                self.assertIn(name, packed)
                installed[name] = os.path.join(target, name) if target.endswith("/") else target
        self.assertEqual(set(installed), {"shmd-textfile", "shmd-textfile.service", "shmd-textfile.timer"})
        started = re.search(r"(?m)^ExecStart=(\S+) (\S+)$", self.read("shmd-textfile.service"))
        self.assertEqual(started[1], installed["shmd-textfile"])
        self.assertIn(f"ReadWritePaths={started[2]}\n", self.read("shmd-textfile.service"))
        with open(os.path.join(top, "docs/cookbook.md"), encoding="utf-8") as file:
            self.assertIn(f"`{place}`", file.read())

    def test_each_alert_fires_when_it_should(self):
        need(self, "promtool")
        for name in ("shmd.rules.yml", "shmd.rules.test.yml"):
            shutil.copy(f"{self.FILES}/{name}", self.directory)
        result = promtool("test", "rules", f"{self.directory}/shmd.rules.test.yml")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        tested = set(re.findall(r"alertname: (\w+)", self.read("shmd.rules.test.yml")))
        self.assertEqual(tested, set(re.findall(r"alert: (\w+)", self.read("shmd.rules.yml"))))

    def test_the_textfile_is_whole_and_sound(self):
        program, library = self.where_programs_are("shmdctl")
        environment = {
            **os.environ,
            "PATH": f"{os.path.dirname(program)}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": library,
            "SHMD_SOCKET": f"{self.daemon.directory}/shmd.sock",
        }
        directory = os.path.join(self.directory, "textfiles")
        os.mkdir(directory)
        command = ["sh", f"{self.FILES}/shmd-textfile", directory]
        subprocess.run(command, env=environment, check=True)
        self.assertEqual(os.listdir(directory), ["shmd.prom"])
        with open(f"{directory}/shmd.prom", encoding="ascii") as file:
            text = file.read()
        self.assertIn("# TYPE shmd_requests_total counter\n", text)
        self.assertIn("# TYPE shmd_segments gauge\n", text)
        self.assertNotIn("EOF", text)
        # A daemon that is away leaves the last file as it was, and nothing half done.
        self.daemon.stop()
        result = subprocess.run(command, env=environment, capture_output=True)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(os.listdir(directory), ["shmd.prom"])
        if shutil.which("promtool"):
            result = promtool("check", "metrics", input=text)
            self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""))


if __name__ == "__main__":
    main()
