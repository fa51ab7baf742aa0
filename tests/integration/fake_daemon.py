# SPDX-License-Identifier: MIT
"""A daemon that answers as a test says: well, badly, or not at all."""

import json
import os
import socket
import threading

import sysv

SEGMENT = {
    "serial": 1,
    "name": "fake",
    "shmid": 0,
    "key": 0,
    "size": 1,
    "mode": "0600",
    "uid": 0,
    "gid": 0,
    "nattch": 0,
    "last_pid": 0,
    "creator": {"uid": 0, "gid": 0, "pid": 1},
    "state": "ready",
    "lifetime": "persistent",
    "holders": 0,
    "locked": False,
    "huge_page_size": 0,
    "noreserve": False,
    "created_at_ms": 1,
    "labels": {},
    "managed": True,
}


class FakeDaemon:
    """Serves any number of connections. ANSWER(request, n) gives the bytes that answer the N-th
    request of a connection (from 0 on), or pieces of them one after the other; None closes it."""

    def __init__(self, directory, answer, name="fake.sock"):
        self.path = os.path.join(directory, name)
        self.requests = []
        self._answer = answer
        self._connections = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self._socket.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                for n, line in enumerate(lines):
                    request = json.loads(line)
                    self.requests.append(request["method"])
                    reply = self._answer(request, n)
                    if reply is None:
                        return
                    for piece in [reply] if isinstance(reply, bytes) else reply:
                        connection.sendall(piece)
            except OSError:
                pass  # the client is gone

    def drop(self):
        """Ends every connection."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended

    def close(self):
        if self._socket.fileno() >= 0:
            # A thread that is in accept() keeps the socket otherwise.
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()


def reply(request, result):
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode() + b"\n"


def refusal(request, code=13, name="io.shmd.StoreFailure"):
    error = {"code": code, "message": "refused by the test", "data": {"error": name}}
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode() + b"\n"


def segment_reply(request, **changes):
    """The answer to every method about one segment."""
    segment = {**SEGMENT, **changes}
    if request["method"] == "remove":
        segment["state"] = "removed"
    return reply(request, {"segment": segment, "created": True})


def info_reply(request):
    limits = sysv.limits()
    kernel = {"shmmax": 1, "shmall": 1, "shmmni": limits.shmmni, "segments": 0, "bytes": 0,
              "shm_rmid_forced": False}
    return reply(request, {
        "version": "0", "protocol": 2, "pid": os.getpid(), "uid": 0, "started_at_ms": 1,
        "boot_id": "b", "ipc_namespace": os.stat("/proc/self/ns/ipc").st_ino, "kernel": kernel,
        "limits": {}, "usage": {"segments": 0, "bytes": 0}, "huge_page_sizes": [], "durable": True,
    })


def page_reply(request, pages):
    """One segment a page, of as many PAGES as there are."""
    page = int(request["params"].get("cursor", 0))
    result = {"segments": [{**SEGMENT, "serial": page + 1, "name": f"page/{page}"}]}
    if page + 1 < pages:
        result["cursor"] = str(page + 1)
    return reply(request, result)


def good_reply(request, pages=3):
    """What a daemon in good health would say."""
    method = request["method"]
    if method == "info":
        return info_reply(request)
    if method == "list":
        return page_reply(request, pages)
    if method == "subscribe":
        event = {"event_serial": 1, "at_ms": 1, "kind": "created", "segment": SEGMENT}
        line = {"jsonrpc": "2.0", "method": "event", "params": event}
        return reply(request, {"event_serial": 0}) + json.dumps(line).encode() + b"\n"
    if method == "metrics":
        return reply(request, {"text": "# EOF\n"})
    if method == "reload":
        return reply(request, {})
    return segment_reply(request)
