# SPDX-License-Identifier: MIT
"""Perl: the built-in shmread and shmwrite, IPC::SharedMem and IPC::Shareable."""

from real import RealCase, lacks, main, needs_a_uid_of_its_own, sysv

KEY = 0x5045

SHARED_MEM = f"""
use IPC::SharedMem; use IPC::SysV qw(S_IRUSR);
my $shm = IPC::SharedMem->new({KEY}, 0, 0) or die "new: $!";
$shm->attach or die "attach: $!";
print $shm->stat->nattch, " ", $shm->read(0, 10), "\\n";
$shm->write("by IPC::SharedMem", 0, 17) or die "write: $!";
$shm->detach or die "detach: $!";
"""
BUILT_IN = f"""
my $id = shmget({KEY}, 0, 0) // die "shmget: $!";
shmread($id, my $text, 0, 17) or die "shmread: $!";
print "$id $text";
shmwrite($id, "by Perl", 0, 7) or die "shmwrite: $!";
"""
SHAREABLE_WRITE = f"""
use IPC::Shareable;
tie my %h, "IPC::Shareable", {KEY}, {{ create => 1, mode => 0600, size => 4096 }} or die "tie: $!";
%h = (colour => "red", count => 3);
"""
SHAREABLE_READ = f"""
use IPC::Shareable;
tie my %h, "IPC::Shareable", {KEY}, {{ create => 0, mode => 0600, size => 4096 }} or die "tie: $!";
print join " ", map {{ "$_=$h{{$_}}" }} sort keys %h;
"""


class Perl(RealCase):
    def setUp(self):
        super().setUp()
        self.perl = self.need("perl")

    def need_module(self, module):
        script = f'print eval "require {module}" ? "here" : "missing"'
        if self.run_real(self.perl, "-e", script) != "here":
            self.skipTest(lacks(module))

    def run_perl(self, script):
        return self.run_real(self.perl, "-we", script)

    def test_a_segment_of_shmd(self):
        self.need_module("IPC::SharedMem")
        made = self.client.create(name="frames", size=129, key=KEY)
        self.ctl("write", "frames", data=b"by shmdctl")
        self.assertEqual(self.run_perl(SHARED_MEM), "1 by shmdctl\n")
        self.assertEqual(self.run_perl(BUILT_IN), f"{made['shmid']} by IPC::SharedMem")
        self.assertEqual(self.ctl("read", "frames", "--length", 17), b"by Perl:SharedMem")
        self.assertEqual(self.client.stat(name="frames")["serial"], made["serial"])

    def test_a_hash_in_a_segment_of_shmd(self):
        self.need_module("IPC::Shareable")
        made = self.client.create(name="hash", size=4096, key=KEY)
        self.run_perl(SHAREABLE_WRITE)
        self.assertEqual(self.run_perl(SHAREABLE_READ), "colour=red count=3")
        self.assertEqual(self.client.stat(name="hash")["serial"], made["serial"])
        self.assertEqual(self.foreign(), {})

    @needs_a_uid_of_its_own
    def test_a_hash_that_a_program_has_left(self):
        self.need_module("IPC::Shareable")
        self.run_perl(SHAREABLE_WRITE)
        self.assertEqual(self.run_perl(SHAREABLE_READ), "colour=red count=3")
        shmid = sysv.find(KEY)
        self.assertEqual(self.gc("--remove"), {shmid: ("left", "kept")})
        # The daemon takes it over; it has a name then, and no gc lists it.
        self.ctl("adopt", "--shmid", shmid, "hash")
        self.assertEqual(self.gc("--remove", "--left"), {})
        self.assertEqual(self.run_perl(SHAREABLE_READ), "colour=red count=3")


main()
