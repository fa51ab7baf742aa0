# SPDX-License-Identifier: MIT
"""The journal's file as tests look at it and change it: daemon/store/header.h and encoding.h."""

import struct

HEADER_SIZE = 128
_FORMAT = struct.Struct("<8sIIQQQ40sqQqQIi")  # all of the header but its sum
_DAEMON = 6  # the type of a record
_MASK = (1 << 64) - 1


def _rotate(x, bits):
    return (x << bits | x >> (64 - bits)) & _MASK


def siphash(seed, data):
    """SipHash-2-4 of DATA with the key SEED, two numbers."""
    v = [seed[0] ^ 0x736F6D6570736575, seed[1] ^ 0x646F72616E646F6D,
         seed[0] ^ 0x6C7967656E657261, seed[1] ^ 0x7465646279746573]

    def mix(rounds):
        for _ in range(rounds):
            v[0] = (v[0] + v[1]) & _MASK
            v[2] = (v[2] + v[3]) & _MASK
            v[1] = _rotate(v[1], 13) ^ v[0]
            v[3] = _rotate(v[3], 16) ^ v[2]
            v[0] = _rotate(v[0], 32)
            v[2] = (v[2] + v[1]) & _MASK
            v[0] = (v[0] + v[3]) & _MASK
            v[1] = _rotate(v[1], 17) ^ v[2]
            v[3] = _rotate(v[3], 21) ^ v[0]
            v[2] = _rotate(v[2], 32)

    padded = data + b"\0" * (7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for word, in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        mix(2)
        v[0] ^= word
    v[2] ^= 0xFF
    mix(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def forget_pid_namespaces(path):
    """The daemons in the journal at PATH are of version 0.1.0, which wrote a 0 there."""
    header = Header(path)
    with open(path, "rb") as file:
        data = bytearray(file.read())
    at, was, sum_ = HEADER_SIZE, 0, 0
    found = 0
    while at < header.committed:
        end = at + 8 + struct.unpack_from("<I", data, at)[0]
        was = siphash((header.seed0 ^ was, header.seed1), data[at:end])
        assert was == struct.unpack_from("<Q", data, end)[0]
        if data[at + 4] == _DAEMON:
            struct.pack_into("<I", data, end - 4, 0)
            found += 1
        sum_ = siphash((header.seed0 ^ sum_, header.seed1), data[at:end])
        struct.pack_into("<Q", data, end, sum_)
        at = end + 8
    assert found
    with open(path, "r+b") as file:
        file.write(data)


class Header:
    """Of the journal at PATH; change the fields, then write()."""

    FIELDS = ("magic", "format", "zero", "seed0", "seed1", "ipc_namespace", "boot_id",
              "records_since_at_ms", "committed", "at_s", "size", "key", "pid")

    def __init__(self, path):
        self._path = path
        with open(path, "rb") as file:
            data = file.read(HEADER_SIZE)
        for field, value in zip(self.FIELDS, _FORMAT.unpack(data[:_FORMAT.size])):
            setattr(self, field, value)
        assert struct.pack("<Q", self._sum(data[:_FORMAT.size])) == data[_FORMAT.size:]

    def _sum(self, data):
        return siphash((self.seed0, self.seed1), data)

    def write(self):
        data = _FORMAT.pack(*(getattr(self, field) for field in self.FIELDS))
        with open(self._path, "r+b") as file:
            file.write(data + struct.pack("<Q", self._sum(data)))
