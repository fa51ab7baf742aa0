# SPDX-License-Identifier: MIT
"""Clients that other people wrote: the command line's and a JSON-RPC library of another language.

The library comes from the npm registry, into a directory that goes away with the test; where that
cannot be reached the tests say so and are skipped.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import sysv
from harness import DEADLINE, SOMEBODY, TestCase, as_user, encode, main
from missing import lacks, need

INSTALL_TIMEOUT = 120  # of a download, and only until the tests are skipped

JAYSON = """
const jayson = require("jayson");
const client = jayson.Client.tcp({path: process.argv[2]});
const calls = JSON.parse(process.argv[3]);

function next(answers) {
  if (answers.length === calls.length) {
    console.log(JSON.stringify(answers));
    return;
  }
  const [method, params] = calls[answers.length];
  client.request(method, params, (failure, answer) => {
    if (failure) {
      console.error(failure);
      process.exit(1);
    }
    next([...answers, answer]);
  });
}
next([]);
"""

JAYSON_BATCH = """
const jayson = require("jayson");
const client = jayson.Client.tcp({path: process.argv[2]});
const batch = JSON.parse(process.argv[3]).map(
    ([method, params]) => client.request(method, params, undefined, false));
client.request(batch, (failure, answers) => {
  if (failure) {
    console.error(failure);
    process.exit(1);
  }
  console.log(JSON.stringify(answers));
});
"""


class InteropCase(TestCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.connect(self.daemon)

    def run_client(self, command, data=b""):
        """What COMMAND, run by an ordinary user, prints when it is fed DATA."""

        def run():
            outcome = subprocess.run(
                command, input=data, capture_output=True, timeout=DEADLINE, cwd="/", check=False
            )
            return outcome.returncode, outcome.stdout, outcome.stderr

        status, output, complaint = as_user(SOMEBODY, run)
        self.assertEqual((status, complaint), (0, b""))
        return output


class CommandLine(InteropCase):
    REQUESTS = (
        encode("create", {"name": "demo", "size": 129}, id=1)
        + encode("stat", {"name": "nothing"}, id="two")
        + encode("list", id=3)
    )

    def check_answers(self, output):
        replies = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([reply["id"] for reply in replies], [1, "two", 3])
        self.assertEqual(replies[0]["result"]["segment"]["size"], 129)
        self.assertEqual(replies[1]["error"]["data"]["error"], "io.shmd.NoSuchSegment")
        self.assertEqual([s["name"] for s in replies[2]["result"]["segments"]], ["demo"])

    def test_nc(self):
        need(self, "nc")
        self.check_answers(
            self.run_client(["nc", "-N", "-U", self.daemon.socket_path], self.REQUESTS)
        )

    def test_nc_with_indented_json(self):
        need(self, "nc")
        request = json.dumps(json.loads(encode("list", id=1)), indent=2)
        output = self.run_client(["nc", "-N", "-U", self.daemon.socket_path], request.encode())
        self.assertEqual(output, b'{"jsonrpc":"2.0","id":1,"result":{"segments":[]}}\n')

    def test_socat(self):
        need(self, "socat")
        self.check_answers(
            self.run_client(
                ["socat", "-t5", "-", f"UNIX-CONNECT:{self.daemon.socket_path}"], self.REQUESTS
            )
        )

    def test_jq_reads_the_answer(self):
        need(self, "nc", "jq")
        output = self.run_client(
            [
                "sh",
                "-c",
                f"nc -N -U {self.daemon.socket_path} | jq -r 'select(.id == 1) | .result.segment.shmid'",
            ],
            self.REQUESTS,
        )
        self.assertEqual(int(output), self.client.stat(name="demo")["shmid"])


class Jayson(InteropCase):
    """jayson 5, a JSON-RPC library for Node."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reason = cls.install()

    @classmethod
    def install(cls):
        """Returns why it cannot be had, or None."""
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                return lacks(program)
        cls.modules = tempfile.mkdtemp(prefix="shmd-npm-")
        cls.addClassCleanup(shutil.rmtree, cls.modules, ignore_errors=True)
        os.chmod(cls.modules, 0o755)
        command = ["npm", "install", "--prefix", cls.modules, "--cache",
                   os.path.join(cls.modules, "cache"), "--no-audit", "--no-fund",
                   "--ignore-scripts", "--loglevel=error", "jayson@5"]
        try:
            outcome = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                cwd=cls.modules, timeout=INSTALL_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return f"npm could not install jayson in {INSTALL_TIMEOUT} s"
        if outcome.returncode != 0:
            lines = [line for line in outcome.stderr.splitlines() if line.strip()]
            return f"npm could not install jayson: {lines[0] if lines else outcome.returncode}"
        return None

    def setUp(self):
        if self.reason:
            self.skipTest(self.reason)
        super().setUp()

    def run_node(self, script, calls):
        path = os.path.join(self.modules, "client.js")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        output = self.run_client(["node", path, self.daemon.socket_path, json.dumps(calls)])
        return json.loads(output)

    def test_calls(self):
        answers = self.run_node(
            JAYSON,
            [
                ("create", {"name": "demo", "size": 129, "mode": "0640"}),
                ("stat", {"name": "demo"}),
                ("stat", {"name": "nothing"}),
                ("info", {}),
                ("list", []),
                ("remove", {"name": "demo"}),
                ("destroy", {}),
            ],
        )
        made, found, missing, info, listed, removed, unknown = answers
        self.assertIs(made["result"]["created"], True)
        self.assertEqual(found["result"]["segment"]["shmid"], made["result"]["segment"]["shmid"])
        self.assertEqual(missing["error"]["code"], 1)
        self.assertEqual(missing["error"]["data"]["error"], "io.shmd.NoSuchSegment")
        self.assertEqual(info["result"]["pid"], self.daemon.pid)
        self.assertEqual([s["name"] for s in listed["result"]["segments"]], ["demo"])
        self.assertEqual(removed["result"]["segment"]["state"], "removed")
        self.assertEqual(unknown["error"]["code"], -32601)
        self.assertEqual(sysv.proc_table(), {})

    def test_batch(self):
        answers = self.run_node(
            JAYSON_BATCH,
            [("create", {"name": f"demo{i}", "size": 1}) for i in range(3)] + [("list", {})],
        )
        self.assertEqual(len(answers), 4)
        self.assertEqual(len(answers[3]["result"]["segments"]), 3)


main()
