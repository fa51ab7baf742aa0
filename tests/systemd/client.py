# SPDX-License-Identifier: MIT
"""Runs inside the container as one of its users: client.py SOCKET once|load.

once  sends standard input, a request a line, and prints as many lines of answers
load  until standard input ends, makes one connection after the other and a request on each; then
      prints how many were answered, how many were cut off by a daemon that went away, and how many
      were refused
"""

import json
import select
import socket
import sys


def connect(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # With a timeout before it, connect() does not wait while the daemon's backlog is full.
    client.connect(path)
    client.settimeout(60)
    return client


def exchange(client, requests):
    client.sendall(requests)
    reply = b""
    while reply.count(b"\n") < requests.count(b"\n"):
        piece = client.recv(65536)
        if not piece:
            break
        reply += piece
    return reply


def load(path):
    counts = {"answered": 0, "cut": 0, "refused": 0}
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            client = connect(path)
        except OSError:
            counts["refused"] += 1
            continue
        with client:
            try:
                reply = exchange(client, b'{"jsonrpc":"2.0","id":1,"method":"info"}\n')
            except OSError:
                reply = b""
        counts["answered" if b'"result"' in reply else "cut"] += 1
        if counts["answered"] == 1:
            print("going", flush=True)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    if sys.argv[2] == "load":
        load(sys.argv[1])
    else:
        with connect(sys.argv[1]) as once:
            sys.stdout.buffer.write(exchange(once, sys.stdin.buffer.read()))
