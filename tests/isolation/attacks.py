# SPDX-License-Identifier: MIT
"""The attacks: what one ordinary uid does flat out. Each is a class with a title, the configuration of
the daemon that it is made against, and start(), which gives the attackers when they are ready.

The same attacks are tests (test_attacks.py, in amounts that take seconds) and figures (bench.py, in the
amounts in which they were first seen to hurt): `big` says which.
"""

import resource

from isolation import ATTACKER, ATTACKERS, DAEMON, SmallFilesystem, batch, encode, enter_private_mounts

LIST = encode("list", {"limit": 1000}, id=1)
LIST_ALL = encode("list", {"limit": 1000, "scope": "all"}, id=1)
# It looks at every record and shows none.
LIST_NOTHING = encode("list", {"labels": {"none": "has this"}}, id=1)


class Attack:
    title = ""
    config = ""
    rlimits = {}
    # The most memory that it may make the daemon have, in MiB.
    most_mib = 96
    # Words of an error that the victim's calls may have, for it is not the attacker's fault.
    victim_may_hear = None

    def options(self, case):
        """Of the daemon's command."""
        return ()

    def start(self, case, big):
        """The attackers, ready. Everything up to here is preparation, not yet the attack."""
        raise NotImplementedError


class Batches(Attack):
    title = "batches of 64 lists, released at one moment"
    config = "max_segments_per_uid = 0\n"

    def fill(self, case, big):
        return [case.fill_managed(30000 if big else 5000)]

    requests = (LIST, LIST_NOTHING)

    def start(self, case, big):
        case.allow_segments()
        payload = batch(*(self.requests * 32))
        floods = self.fill(case, big)
        floods.append(
            case.flood(ATTACKER, payload, 500 if big else 100, "hold-back", "repeat").wait_until_ready()
        )
        return floods


class BatchesOfAll(Batches):
    title = "the same with scope all, segments that are not the daemon's"
    requests = (LIST_ALL, LIST_ALL)

    def fill(self, case, big):
        case.fill_foreign(30000 if big else 5000)
        return []


class Notifications(Attack):
    title = "lists as notifications, on one connection"
    config = "max_segments_per_uid = 0\n"

    def start(self, case, big):
        case.allow_segments()
        fill = case.fill_managed(30000 if big else 5000)
        payload = encode("list", {"limit": 1000}) * 1500
        return [fill, case.flood(ATTACKER, payload, 1, "repeat", "hold-back").wait_until_ready()]


class UnreadPipelines(Attack):
    title = "pipelines whose answers nobody reads"

    def start(self, case, big):
        fill = case.fill_managed(200, labels={f"k{i}": "x" * 200 for i in range(4)})
        payload = LIST * 200
        return [fill, case.flood(ATTACKER, payload, 500 if big else 150, "deaf").wait_until_ready()]


class Connects(Attack):
    title = "connects flat out, over the cap"
    config = "max_connections_per_uid = 64\n"

    def start(self, case, big):
        return [case.flood(ATTACKER, b"\n", 64, "reconnect").wait_until_ready()]


class ManyConnections(Attack):
    title = "four uids with as many connections as they may have"

    def __init__(self):
        self.config = "max_connections = 400\nmax_connections_per_uid = 100\n"

    def start(self, case, big):
        return [case.flood(user, b"\n", 100).wait_until_ready() for user in ATTACKERS]


class Waiters(Attack):
    title = "10,000 waiters"

    def start(self, case, big):
        payload = encode("wait", {"name": "never"}, id=1) * 10
        return [case.flood(user, payload, 512).wait_until_ready() for user in ATTACKERS[:2]]


class LargeWaiters(Attack):
    title = "200 waiters with 60 KiB of members that mean nothing"

    def start(self, case, big):
        request = encode("wait", {"name": "never"}, id=1, junk=[])
        payload = request.replace(b"[]", b"[" + b"{}," * 20000 + b"{}]")
        return [case.flood(ATTACKER, payload, 200).wait_until_ready()]


class Processes(Attack):
    title = "processes that segments depend on, RLIMIT_NOFILE 1,300"
    rlimits = {resource.RLIMIT_NOFILE: 1300}
    config = "max_segments_per_uid = 0\nmax_connections_per_uid = 4096\n"

    def start(self, case, big):
        # The processes close their connections, and stay: a descriptor each, for the process.
        payload = encode("create", {"size": 1, "lifetime": "process"}, id=1)
        count = 5000 if big else 1400
        floods = [case.flood(ATTACKER, payload, count, "processes").wait_until_ready()]
        # What descriptors these leave, connections take.
        floods.append(case.flood(ATTACKER, b"\n", 200).wait_until_ready())
        return floods


class Subscribers(Attack):
    title = "subscribers who do not read, while events come flat out"

    def start(self, case, big):
        subscribe = encode("subscribe", id=1)
        change = encode("create", {"name": "mine", "size": 1}) + encode("remove", {"name": "mine"})
        return [
            case.flood(ATTACKERS[0], subscribe, 500 if big else 200, "deaf").wait_until_ready(),
            case.flood(ATTACKERS[1], subscribe, 500 if big else 200, "deaf").wait_until_ready(),
            case.flood(ATTACKERS[0], change * 100, 4, "repeat", "hold-back").wait_until_ready(),
        ]


class AddressSpace(Attack):
    title = "attached segments with noreserve, as large as there is address space"

    def start(self, case, big):
        creates = [
            encode("create", {"size": 1 << bits, "lifetime": "attached", "noreserve": True}, id=1)
            for bits in range(46, 11, -1)
            for _ in range(8)
        ]
        maker = case.flood(ATTACKER, b"".join(creates), 1, f"answers={len(creates)}")
        maker.wait_until_ready()
        # Strings that the daemon needs memory for.
        large = batch(*[encode("create", {"size": 1, "labels": {"a": "x" * 250}}, id=i) for i in range(64)])
        return [maker, case.flood(ATTACKER, large, 16, "repeat", "hold-back").wait_until_ready()]


class BytesThatWrap(Attack):
    title = "segments of 2^63-1 bytes with noreserve"

    def start(self, case, big):
        request = {"size": 2**63 - 1, "noreserve": True}
        payload = b"".join(encode("create", request, id=i) for i in range(20))
        return [case.flood(ATTACKER, payload, 1, "answers=20").wait_until_ready()]


class Refusals(Attack):
    title = "refused requests and changes of nothing"

    def start(self, case, big):
        fill = case.fill_managed(1)
        payload = encode("set", {"name": f"fill-{ATTACKER.uid}/0", "mode": "0600"}, id=1)
        payload += encode("create", {"size": 4096, "uid": 0}, id=2)
        flood = case.flood(ATTACKER, payload * 500, 8, "repeat", "hold-back")
        return [fill, flood.wait_until_ready()]


class Unfinished(Attack):
    title = "an unfinished value of 60 KiB on each connection"

    def start(self, case, big):
        payload = encode("list", id=1, junk="x" * 60000).rstrip()[:-1]
        return [case.flood(ATTACKER, payload, 500).wait_until_ready()]


class Holders(Attack):
    title = "segments with 100 holders each, and a change of all"

    def start(self, case, big):
        count = 1000 if big else 200
        fill = case.fill_managed(count, lifetime="connection")
        target = [{"name": f"fill-{ATTACKER.uid}/{i}"} for i in range(count)]
        hold = b"".join(encode("hold", t, id=1) for t in target)
        change = b"".join(
            encode("set", {**t, "labels": {"round": str(r)}}, id=1) for r in range(2) for t in target
        )
        holders = case.flood(ATTACKER, hold, 100, f"answers={100 * count}").wait_until_ready()
        setter = case.flood(ATTACKER, change, 1, "repeat", "hold-back").wait_until_ready()
        return [fill, holders, setter]


class FullDisk(Attack):
    title = "a full disk, and records that change all the time"
    victim_may_hear = "io.shmd.StoreFailure"

    def options(self, case):
        directory = case.daemon_directory("state")
        enter_private_mounts()
        self.disk = SmallFilesystem(directory, 9 << 20, DAEMON.uid, DAEMON.uid)
        case.addCleanup(self.disk.unmount)
        return ("--state-dir", directory)

    def start(self, case, big):
        count = 1000 if big else 300
        labels = {chr(ord("a") + i) * 63: "x" * 255 for i in range(16)}
        fill = case.fill_managed(count, labels=labels, idle_ttl_ms=3600000)
        shmids = case.shmids_of(ATTACKER)
        # Those that are removed while they are attached have another record, and so have those whose
        # idle time begins anew. None is recorded.
        held, used = shmids[: count // 2], shmids[count // 2 :]
        attacher = case.attacher(ATTACKER, held, used)
        self.disk.fill()
        removes = b"".join(encode("remove", {"shmid": shmid}, id=1) for shmid in held)
        remove = case.flood(ATTACKER, removes, 1, f"answers={len(held)}").wait_until_ready()
        # While somebody listens, the daemon looks more often.
        listen = encode("subscribe", {"kinds": ["attached", "detached"]}, id=1)
        subscriber = case.flood(ATTACKER, listen, 1).wait_until_ready()
        return [fill, remove, subscriber, attacher]


ALL = [
    Batches,
    BatchesOfAll,
    Notifications,
    UnreadPipelines,
    Connects,
    ManyConnections,
    Waiters,
    LargeWaiters,
    Processes,
    Subscribers,
    AddressSpace,
    BytesThatWrap,
    Refusals,
    Unfinished,
    Holders,
    FullDisk,
]
