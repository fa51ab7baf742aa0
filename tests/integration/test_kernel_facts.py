# SPDX-License-Identifier: MIT
"""What the code relies on of the kernel, so that one that differs is noticed here first.

Nothing of shmd runs in this file. Each test is one fact; a fact that this machine cannot show is
skipped with the reason.
"""

import contextlib
import errno
import os
import resource
import select
import signal
import socket
import struct
import unittest

import sysv
from harness import (
    ALICE,
    BOB,
    DAEMON,
    ROOT,
    TestCase,
    User,
    as_user,
    main,
    needs_several_uids,
    wait_until,
)

SO_PEERGROUPS, SO_PEERPIDFD = 59, 77
CLONE_NEWPID = 0x20000000
SHM_HUGE_SHIFT = 26
HUGE_PAGE = 2 << 20
HAS_HUGE_PAGES = os.path.isdir(f"/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE >> 10}kB")
EVERYBODY = 0o666


def index_of(shmid):
    return shmid & 0x7FFF


def huge_flags(size):
    return sysv.SHM_HUGETLB | (size.bit_length() - 1) << SHM_HUGE_SHIFT


@needs_several_uids
class Rights(TestCase):
    def given_away(self, mode=0o600, user=ALICE, gid=None):
        """A segment as shmd makes it: of the daemon's making, of USER's owning."""

        def make():
            shmid = sysv.create(4096)
            sysv.set_owner(shmid, user.uid, user.gid if gid is None else gid, mode)
            return shmid

        return as_user(DAEMON, make)

    def test_creator_may_give_away_and_still_stat_set_and_remove(self):
        shmid = self.given_away()
        found = as_user(DAEMON, lambda: sysv.stat(shmid))
        self.assertEqual((found.uid, found.gid), (ALICE.uid, ALICE.gid))
        self.assertEqual((found.cuid, found.cgid), (DAEMON.uid, DAEMON.gid))
        as_user(DAEMON, lambda: sysv.set_owner(shmid, BOB.uid, BOB.gid, 0o640))
        self.assertEqual(sysv.stat(shmid).uid, BOB.uid)
        as_user(DAEMON, lambda: sysv.remove(shmid))
        self.assertFalse(sysv.exists(shmid))

    def test_owner_attaches_and_a_stranger_does_not(self):
        shmid = self.given_away(0o600)
        as_user(ALICE, lambda: sysv.write(shmid, b"hers"))
        with self.fails_with(errno.EACCES):
            as_user(BOB, lambda: sysv.read(shmid, 4))

    def test_owner_may_pass_on(self):
        shmid = self.given_away()
        as_user(ALICE, lambda: sysv.set_owner(shmid, BOB.uid, BOB.gid, 0o600))
        as_user(BOB, lambda: sysv.write(shmid, b"his"))

    def test_owner_may_remove(self):
        shmid = self.given_away()
        as_user(ALICE, lambda: sysv.remove(shmid))
        self.assertFalse(sysv.exists(shmid))

    def test_after_mode_0_the_creator_may_not_stat_but_set(self):
        shmid = self.given_away()
        as_user(ALICE, lambda: sysv.set_owner(shmid, ALICE.uid, ALICE.gid, 0))
        with self.fails_with(errno.EACCES):
            as_user(DAEMON, lambda: sysv.stat(shmid))
        seen = as_user(DAEMON, lambda: sysv.stat_any(index_of(shmid)))
        self.assertEqual((seen.shmid, seen.mode & 0o777), (shmid, 0))
        as_user(DAEMON, lambda: sysv.set_owner(shmid, ALICE.uid, ALICE.gid, 0o600))
        self.assertEqual(as_user(DAEMON, lambda: sysv.stat(shmid)).mode & 0o777, 0o600)

    def test_stranger_may_neither_set_nor_remove(self):
        shmid = self.given_away(EVERYBODY)
        with self.fails_with(errno.EPERM):
            as_user(BOB, lambda: sysv.set_owner(shmid, BOB.uid, BOB.gid, 0o600))
        with self.fails_with(errno.EPERM):
            as_user(BOB, lambda: sysv.remove(shmid))

    def test_group_bits_match_the_owners_group_and_the_creators(self):
        shmid = self.given_away(0o060, gid=4001)
        for groups in ((4001,), (DAEMON.gid,)):
            with self.subTest(groups=groups):
                as_user(User(BOB.uid, BOB.gid, groups), lambda: sysv.write(shmid, b"x"))
        with self.fails_with(errno.EACCES):
            as_user(BOB, lambda: sysv.read(shmid, 1))

    def test_everybody_sees_every_segment(self):
        shmid = self.given_away(0o000)
        self.assertEqual(as_user(BOB, lambda: sysv.stat_any(index_of(shmid))).uid, ALICE.uid)
        self.assertEqual(as_user(BOB, sysv.info).segments, 1)
        self.assertIn(shmid, as_user(BOB, sysv.proc_table))

    def test_looking_a_key_up_needs_no_permission(self):
        shmid = as_user(ALICE, lambda: sysv.create(4096, 0o000, key=0x5EED))
        self.assertEqual(as_user(BOB, lambda: sysv.find(0x5EED)), shmid)


class Identity(TestCase):
    def test_stat_any_takes_an_index_and_tells_the_id(self):
        shmids = [sysv.create(4096) for _ in range(3)]
        sysv.remove(shmids[1])
        again = sysv.create(4096)
        for shmid in (shmids[0], again, shmids[2]):
            with self.subTest(shmid=shmid):
                self.assertEqual(sysv.stat_any(index_of(shmid)).shmid, shmid)
        with self.fails_with(errno.EINVAL):
            sysv.stat_any(sysv.info().max_index + 1)

    def test_stat_any_of_a_whole_shmid_leads_to_its_slots_occupant(self):
        former = sysv.create(4096)
        sysv.remove(former)
        occupant = sysv.create_with_shmid(former + (7 << 15), 4096)
        self.assertEqual(index_of(occupant), index_of(former))
        for shmid in (former, occupant):
            with self.subTest(shmid=shmid):
                self.assertEqual(sysv.stat_any(shmid).shmid, occupant)

    def test_key_0_is_always_a_new_segment(self):
        shmids = {sysv.create(4096, key=0) for _ in range(3)}
        self.assertEqual(len(shmids), 3)
        self.assertEqual({sysv.stat(shmid).key for shmid in shmids}, {0})

    def test_a_key_has_one_segment(self):
        sysv.create(4096, key=0xFFFFFFFE)
        self.assertEqual(sysv.find(-2), sysv.find(0xFFFFFFFE))
        with self.fails_with(errno.EEXIST):
            sysv.create(4096, key=-2)

    def test_a_shmid_comes_back(self):
        shmid = sysv.create(4096)
        sysv.remove(shmid)
        with self.fails_with(errno.EINVAL):
            sysv.stat(shmid)
        self.assertEqual(sysv.create_with_shmid(shmid, 8192), shmid)
        self.assertEqual(sysv.stat(shmid).size, 8192)

    def test_cpid_is_the_creators_and_stays(self):
        shmid, creator = as_user(ROOT, lambda: (sysv.create(4096), os.getpid()))
        self.assertNotEqual(creator, os.getpid())
        sysv.set_owner(shmid, 0, 0, 0o600)
        sysv.write(shmid, b"x")
        found = sysv.stat(shmid)
        self.assertEqual((found.cpid, found.lpid), (creator, os.getpid()))

    def test_cpid_is_told_in_the_readers_pid_namespace(self):
        def inside():
            if sysv.libc.unshare(CLONE_NEWPID) != 0:
                return None
            read, write = os.pipe()
            child = os.fork()
            if child == 0:
                shmid = sysv.create(4096)
                os.write(write, struct.pack("ii", shmid, sysv.stat(shmid).cpid))
                os._exit(0)
            os.waitpid(child, 0)
            return (*struct.unpack("ii", os.read(read, 8)), child)

        outcome = as_user(ROOT, inside)
        if outcome is None:
            self.skipTest("no pid namespace can be made")
        shmid, inner, outer = outcome
        self.assertEqual(inner, 1)
        self.assertEqual(sysv.stat(shmid).cpid, outer)

    def test_mode_carries_flags(self):
        shmid = sysv.create(4096, 0o640)
        sysv.lock(shmid)
        self.assertEqual(sysv.stat(shmid).mode, 0o640 | sysv.SHM_LOCKED)
        with sysv.attached(shmid):
            sysv.remove(shmid)
            self.assertEqual(sysv.stat(shmid).mode, 0o640 | sysv.SHM_LOCKED | sysv.SHM_DEST)

    def test_size_is_kept_to_the_byte(self):
        self.assertEqual(sysv.stat(sysv.create(129)).size, 129)


class Removal(TestCase):
    def test_an_attached_segment_loses_its_key_and_stays(self):
        shmid = sysv.create(4096, key=0xCAFE)
        sysv.write(shmid, b"still here")
        with sysv.attached(shmid):
            sysv.remove(shmid)
            found = sysv.stat(shmid)
            self.assertEqual((found.key, found.mode & sysv.SHM_DEST), (0, sysv.SHM_DEST))
            self.assertNotEqual(sysv.create(4096, key=0xCAFE), shmid)
        self.assertFalse(sysv.exists(shmid))

    @needs_several_uids
    def test_others_may_attach_it_by_id(self):
        shmid = sysv.create(4096, EVERYBODY)
        sysv.write(shmid, b"still here")
        with sysv.attached(shmid):
            sysv.remove(shmid)
            self.assertEqual(as_user(BOB, lambda: sysv.read(shmid, 10)), b"still here")

    def test_it_may_be_removed_and_set_again(self):
        shmid = sysv.create(4096)
        with sysv.attached(shmid):
            sysv.remove(shmid)
            sysv.remove(shmid)
            sysv.set_owner(shmid, 0, 0, 0o640)
            self.assertEqual(sysv.stat(shmid).mode, 0o640 | sysv.SHM_DEST)

    def test_it_goes_when_all_are_killed(self):
        shmid = sysv.create(4096)
        holders = [self.hold(ROOT, shmid) for _ in range(3)]
        sysv.remove(shmid)
        self.assertEqual(sysv.stat(shmid).nattch, 3)
        for holder in holders:
            holder.kill()
        wait_until(lambda: not sysv.exists(shmid), "the segment is gone")

    def test_rmid_forced_when_written_takes_orphans(self):
        orphan = as_user(ROOT, lambda: sysv.create(4096))
        mine = sysv.create(4096)
        self.assertTrue(sysv.exists(orphan))
        sysv.sysctl("shm_rmid_forced", 1)
        self.assertFalse(sysv.exists(orphan))
        self.assertTrue(sysv.exists(mine))

    def test_rmid_forced_takes_at_the_creators_exit(self):
        sysv.sysctl("shm_rmid_forced", 1)
        shmid = as_user(ROOT, lambda: sysv.create(4096))
        wait_until(lambda: not sysv.exists(shmid), "the segment is gone")

    def test_rmid_forced_takes_at_the_last_detach(self):
        sysv.sysctl("shm_rmid_forced", 1)
        shmid = sysv.create(4096)
        sysv.write(shmid, b"x")
        self.assertFalse(sysv.exists(shmid))

    def test_rmid_forced_spares_what_is_anchored(self):
        sysv.sysctl("shm_rmid_forced", 1)
        shmid = sysv.create(4096)
        with sysv.attached(shmid, sysv.SHM_RDONLY):
            sysv.write(shmid, b"x")
            self.assertTrue(sysv.exists(shmid))


class Memory(TestCase):
    def test_attaching_touches_no_page(self):
        shmid = sysv.create(1 << 20)
        with sysv.attached(shmid, sysv.SHM_RDONLY):
            self.assertEqual(sysv.info().rss_pages, 0)
        self.assertEqual(sysv.info().pages, (1 << 20) // sysv.PAGE)

    def test_the_default_limits_exceed_int64(self):
        limits = sysv.limits()
        self.assertGreater(limits.shmmax, 2**63 - 1)
        self.assertGreater(limits.shmall * sysv.PAGE, 2**63 - 1)

    def test_enospc_is_shmmni(self):
        sysv.sysctl("shmmni", 1)
        sysv.create(4096)
        with self.fails_with(errno.ENOSPC):
            sysv.create(4096)

    def test_enospc_is_shmall(self):
        sysv.sysctl("shmall", 2)
        with self.fails_with(errno.ENOSPC):
            sysv.create(3 * sysv.PAGE)
        sysv.create(2 * sysv.PAGE)

    def test_einval_is_shmmax(self):
        sysv.sysctl("shmmax", 8192)
        with self.fails_with(errno.EINVAL):
            sysv.create(8193)

    def test_enomem_is_overcommit(self):
        with open("/proc/sys/vm/overcommit_memory", encoding="ascii") as file:
            if int(file.read()) == 1:
                self.skipTest("vm.overcommit_memory is 1: nothing is refused")
        with self.fails_with(errno.ENOMEM):
            sysv.create(1 << 45)

    @needs_several_uids
    def test_lock_is_bounded_by_memlock(self):
        shmid = as_user(ALICE, lambda: sysv.create(1 << 20))

        def lock(limit):
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
            sysv.lock(shmid)

        with self.fails_with(errno.ENOMEM):
            as_user(ALICE, lambda: lock(1 << 16))
        as_user(ALICE, lambda: lock(2 << 20))
        self.assertTrue(sysv.stat(shmid).mode & sysv.SHM_LOCKED)

    @needs_several_uids
    def test_lock_needs_owner_or_creator(self):
        shmid = sysv.create(4096, EVERYBODY)
        with self.fails_with(errno.EPERM):
            as_user(ALICE, lambda: sysv.lock(shmid))


@unittest.skipUnless(HAS_HUGE_PAGES, "this kernel has no huge pages of 2 MiB")
class HugePages(TestCase):
    def free_pages(self):
        with open(
            f"/sys/kernel/mm/hugepages/hugepages-{HUGE_PAGE >> 10}kB/free_hugepages",
            encoding="ascii",
        ) as file:
            return int(file.read())

    @needs_several_uids
    def test_enomem_without_free_ones(self):
        with self.fails_with(errno.ENOMEM):
            sysv.create((self.free_pages() + 1) * HUGE_PAGE, flags=huge_flags(HUGE_PAGE))

    @needs_several_uids
    def test_noreserve_needs_none_at_creation(self):
        flags = huge_flags(HUGE_PAGE) | sysv.SHM_NORESERVE
        size = (self.free_pages() + 1) * HUGE_PAGE
        self.assertEqual(sysv.stat(sysv.create(size, flags=flags)).size, size)

    def test_unsupported_size_is_einval(self):
        with self.fails_with(errno.EINVAL):
            sysv.create(4 << 20, flags=huge_flags(4 << 20))

    @needs_several_uids
    def test_eperm_without_the_group(self):
        def create(limit):
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
            return sysv.create(HUGE_PAGE, flags=huge_flags(HUGE_PAGE) | sysv.SHM_NORESERVE)

        with self.fails_with(errno.EPERM):
            as_user(ALICE, lambda: create(0))

    @needs_several_uids
    def test_the_group_may(self):
        with open("/proc/sys/vm/hugetlb_shm_group", encoding="ascii") as file:
            group = int(file.read())
        flags = huge_flags(HUGE_PAGE) | sysv.SHM_NORESERVE
        as_user(User(ALICE.uid, ALICE.gid, (group,)), lambda: sysv.create(HUGE_PAGE, flags=flags))


class Processes(TestCase):
    def test_maps_show_the_shmid_as_inode(self):
        shmid = sysv.create(4096, key=0xBEEF)
        with sysv.attached(shmid):
            with open("/proc/self/maps", encoding="utf-8") as maps:
                rows = [line.split() for line in maps if "/SYSV" in line]
        self.assertEqual([(row[4], row[5]) for row in rows], [(str(shmid), "/SYSV0000beef")])

    def peer(self):
        """Forks a child that connects; gives its pid and our end."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(os.path.join(self.directory, "peer.sock"))
        os.chmod(os.path.join(self.directory, "peer.sock"), 0o666)
        listener.listen()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.setgroups([4001, 4002, 4003])
            with contextlib.suppress(BaseException):
                client = socket.socket(socket.AF_UNIX)
                client.connect(listener.getsockname())
                client.recv(1)
            os._exit(0)
        connection, _ = listener.accept()
        self.addCleanup(connection.close)
        return child, connection

    def peer_pidfd(self, connection):
        try:
            data = connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4)
        except OSError as error:
            if error.errno == errno.ENOPROTOOPT:
                self.skipTest("no SO_PEERPIDFD before Linux 6.5")
            raise
        pidfd = struct.unpack("i", data)[0]
        self.addCleanup(os.close, pidfd)
        return pidfd

    def test_peer_pidfd_tells_the_exit(self):
        child, connection = self.peer()
        pidfd = self.peer_pidfd(connection)
        self.assertEqual(select.select([pidfd], [], [], 0)[0], [])
        os.kill(child, signal.SIGKILL)
        self.assertEqual(select.select([pidfd], [], [], 60)[0], [pidfd])
        os.waitpid(child, 0)

    def test_peer_pidfd_after_the_peer_was_reaped(self):
        child, connection = self.peer()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        try:
            pidfd = self.peer_pidfd(connection)
        except OSError as error:
            # Linux 6.12 says that, and 6.18 hands one out.
            self.assertEqual(error.errno, errno.EINVAL)
            return
        self.assertEqual(select.select([pidfd], [], [], 60)[0], [pidfd])
        with self.fails_with(errno.ESRCH):
            signal.pidfd_send_signal(pidfd, 0)

    def test_the_inode_of_a_pidfd_is_the_process(self):
        child, connection = self.peer()
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(connection.close)
        by_socket, by_pid = self.peer_pidfd(connection), os.pidfd_open(child)
        mine = os.pidfd_open(os.getpid())
        for pidfd in (by_pid, mine):
            self.addCleanup(os.close, pidfd)
        inodes = [os.fstat(pidfd).st_ino for pidfd in (by_socket, by_pid, mine)]
        if inodes[1] == inodes[2]:
            self.skipTest("no pidfs before Linux 6.9")
        self.assertEqual(inodes[0], inodes[1])

    @needs_several_uids
    def test_peergroups_tell_the_length_needed(self):
        child, connection = self.peer()
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(connection.close)
        data = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 64)
        self.assertEqual(sorted(struct.unpack(f"{len(data) // 4}I", data)), [4001, 4002, 4003])
        # Python's getsockopt() does not hand the length back on failure; the C library's does.
        buffer, length = (sysv.ctypes.c_uint * 1)(), sysv.ctypes.c_uint(4)
        result = sysv.libc.getsockopt(
            connection.fileno(), socket.SOL_SOCKET, SO_PEERGROUPS, buffer,
            sysv.ctypes.byref(length),
        )
        self.assertEqual((result, sysv.ctypes.get_errno()), (-1, errno.ERANGE))
        self.assertEqual(length.value, 12)


main()
