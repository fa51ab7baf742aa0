"""Runs inside the container as one of its users: client.py SOCKET once|load.

once  sends standard input, half-closes, and prints everything that comes back
load  until SIGTERM, makes one connection after the other and a request on each; then prints how many
      were answered, how many were cut off by a daemon that went away, and how many were refused
"""

import json
import signal
import socket
import sys


def connect(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(60)
    client.connect(path)
    return client


def exchange(client, data):
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    reply = b""
    while piece := client.recv(65536):
        reply += piece
    return reply


def load(path):
    counts = {"answered": 0, "cut": 0, "refused": 0}
    going = True

    def stop(_signal, _frame):
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    while going:
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
