/* SPDX-License-Identifier: MIT */
/*
 * What everything above relies on of struct sysv_ops, checked over both that there are: the running
 * kernel, and the fake that tests of the core run on. A rule that one of them breaks is a fault of
 * the other, or of the rule.
 *
 * The kernel's part runs in an IPC namespace of its own, a new one for each test, as a user without
 * privileges; it needs root for that and is skipped otherwise.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdnoreturn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fakes/fake_sysv.h"

enum { DAEMON = 990, OTHER = 1000, MEMLOCK = 8192 };

/* How many other processes there are, and the number of the one that comes of a fork. */
enum { PROCESSES = 3, CHILD = PROCESSES };

/* The limits of a test's kernel. */
struct limits_wanted {
    uint64_t shmmax, shmall, shmmni;
};

/* One side: the operations, and what other processes and the administrator do there. */
struct side {
    int (*begin)(void **state);
    int (*end)(void **state);
    /* The N-th other process, from 0, attaches SHMID and keeps it. */
    void (*attach)(int n, int32_t shmid);
    /* It exits. */
    void (*exit)(int n);
    /* The first one forks, and its child is CHILD. */
    void (*fork)(void);
    /* It becomes another program. */
    void (*exec)(int n);
    int32_t (*pid)(int n);
    /* Another user makes a segment. */
    int32_t (*create_of_other)(uint64_t size);
    void (*set_limits)(const struct limits_wanted *limits);
    void (*set_rmid_forced)(bool forced);
    void (*set_memlock)(uint64_t max);
};

static const struct side *side;
static struct sysv sysv;
static int32_t own_pid;

#define OPS    (sysv.ops)
#define KERNEL (sysv.context)

/* --- the fake */

static struct fake_sysv *k;

static int fake_begin(void **state)
{
    (void)state;
    k = fake_sysv_new();
    k->self = (struct fake_process){DAEMON, DAEMON, 100};
    k->memlock_max = MEMLOCK;
    sysv = k->sysv;
    own_pid = k->self.pid;
    return 0;
}

static int fake_end(void **state)
{
    (void)state;
    fake_sysv_free(k);
    return 0;
}

static void fake_attach(int n, int32_t shmid)
{
    assert_int_equal(fake_sysv_attach_as(k, shmid, 200 + n), 0);
}

static void fake_exit(int n)
{
    fake_sysv_exit(k, 200 + n);
}

static void fake_fork(void)
{
    fake_sysv_fork(k, 200, 200 + CHILD);
}

static void fake_exec(int n)
{
    fake_sysv_exec(k, 200 + n);
}

static int32_t fake_pid(int n)
{
    return 200 + n;
}

static int32_t fake_create_of_other(uint64_t size)
{
    const struct fake_process other = {OTHER, OTHER, 300};
    int32_t shmid = -1;
    assert_int_equal(
        fake_sysv_create_as(k, &other, &(struct sysv_create){.size = size}, 0600, &shmid), 0);
    return shmid;
}

static void fake_set_limits(const struct limits_wanted *limits)
{
    k->shmmax = limits->shmmax;
    k->shmall = limits->shmall;
    k->shmmni = limits->shmmni;
}

static void fake_set_rmid_forced(bool forced)
{
    k->shm_rmid_forced = forced;
}

static void fake_set_memlock(uint64_t max)
{
    k->memlock_max = max;
}

static const struct side the_fake = {
    fake_begin,      fake_end, fake_attach,          fake_exit,       fake_fork,
    fake_exec,       fake_pid, fake_create_of_other, fake_set_limits, fake_set_rmid_forced,
    fake_set_memlock};

/* --- the running kernel */

static struct sysv_linux kernel;

/* Processes that do what they are asked for. They are forked before the test attaches anything, for
 * a child has its parent's attachments. */
static struct {
    pid_t pid;
    int socket; /* ours */
    int theirs;
} processes[PROCESSES + 1];

enum act { ATTACH, FORK, EXEC };

struct order {
    enum act act;
    int32_t shmid; /* of ATTACH */
};

static void become(uint32_t uid)
{
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(uid), 0);
    assert_int_equal(seteuid(uid), 0);
}

static void linux_set_memlock(uint64_t soft)
{
    const struct rlimit limit = {soft, MEMLOCK};
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

/* Sends a pid, by which the other side knows that what it asked for is done; 0: it failed. */
static bool tell(int socket, pid_t pid)
{
    return write(socket, &pid, sizeof(pid)) == sizeof(pid);
}

static noreturn void serve(int socket);

/* The child serves its own socket; its parent tells who it is. */
static pid_t do_fork(void)
{
    pid_t child = fork();
    if (child == 0)
        serve(processes[CHILD].theirs);
    close(processes[CHILD].theirs);
    return child > 0 ? child : 0;
}

/* This program anew: main() knows the word. Ends the process when that fails. */
static noreturn void do_exec(int socket)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", socket);
    execl("/proc/self/exe", "test_sysv", "serve", number, NULL);
    _exit(1);
}

static noreturn void serve(int socket)
{
    struct order order;
    while (read(socket, &order, sizeof(order)) == sizeof(order)) {
        pid_t told = getpid();
        if (order.act == EXEC)
            do_exec(socket);
        if (order.act == FORK)
            told = do_fork();
        else if (shmat(order.shmid, NULL, SHM_RDONLY) == (void *)-1)
            told = 0;
        if (!tell(socket, told))
            break;
    }
    _exit(0);
}

/* What process N answers. */
static pid_t answer_of(int n)
{
    pid_t pid = 0;
    assert_int_equal(read(processes[n].socket, &pid, sizeof(pid)), sizeof(pid));
    assert_true(pid > 0);
    return pid;
}

static pid_t ask(int n, enum act act, int32_t shmid)
{
    const struct order order = {act, shmid};
    assert_int_equal(write(processes[n].socket, &order, sizeof(order)), sizeof(order));
    return answer_of(n);
}

static void make_socket(int n)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    processes[n].socket = ends[0];
    processes[n].theirs = ends[1];
}

static void start_process(int n)
{
    make_socket(n);
    processes[n].pid = fork();
    assert_true(processes[n].pid >= 0);
    if (processes[n].pid == 0) {
        for (int i = 0; i < PROCESSES + 1; i++)
            if (i <= n || i == CHILD)
                close(processes[i].socket);
        if (n != 0)
            close(processes[CHILD].theirs);
        serve(processes[n].theirs);
    }
    close(processes[n].theirs);
}

static int linux_begin(void **state)
{
    (void)state;
    own_pid = getpid();
    become(0);
    if (unshare(CLONE_NEWIPC) < 0)
        return -1;
    sysv_linux_open(&kernel);
    sysv = (struct sysv){&sysv_linux_ops, &kernel};
    linux_set_memlock(MEMLOCK);
    make_socket(CHILD);
    for (int i = 0; i < PROCESSES; i++)
        start_process(i);
    close(processes[CHILD].theirs); /* the first one has it */
    become(DAEMON);
    return 0;
}

static void linux_exit(int n)
{
    char none;
    int status;
    become(0);
    kill(processes[n].pid, SIGKILL);
    if (n == CHILD) /* its parent's, not ours: its socket closes after all is detached */
        assert_int_equal(read(processes[n].socket, &none, 1), 0);
    else
        assert_int_equal(waitpid(processes[n].pid, &status, 0), processes[n].pid);
    close(processes[n].socket);
    processes[n].pid = 0;
    become(DAEMON);
}

static int linux_end(void **state)
{
    (void)state;
    if (processes[CHILD].pid == 0)
        close(processes[CHILD].socket);
    for (int i = 0; i < PROCESSES + 1; i++)
        if (processes[i].pid > 0)
            linux_exit(i);
    sysv_linux_close(&kernel);
    become(0);                 /* LeakSanitizer traces us at the end, which takes one user */
    prctl(PR_SET_DUMPABLE, 1); /* and this, which the change of users has cleared */
    return 0; /* the namespace goes with the next one, or with us, and its segments with it */
}

static void linux_attach(int n, int32_t shmid)
{
    (void)ask(n, ATTACH, shmid);
}

static void linux_fork(void)
{
    processes[CHILD].pid = ask(0, FORK, 0);
}

static void linux_exec(int n)
{
    (void)ask(n, EXEC, 0);
}

static int32_t linux_pid(int n)
{
    return processes[n].pid;
}

static int32_t linux_create_of_other(uint64_t size)
{
    become(OTHER);
    int32_t shmid = shmget(IPC_PRIVATE, (size_t)size, 0600);
    become(DAEMON);
    assert_true(shmid >= 0);
    return shmid;
}

static void write_setting(const char *name, uint64_t value)
{
    char path[64], text[32];
    snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    become(0);
    int fd = open(path, O_WRONLY);
    bool written = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0)
        close(fd);
    become(DAEMON);
    assert_true(written);
}

static void linux_set_limits(const struct limits_wanted *limits)
{
    write_setting("shmmax", limits->shmmax);
    write_setting("shmall", limits->shmall);
    write_setting("shmmni", limits->shmmni);
}

static void linux_set_rmid_forced(bool forced)
{
    write_setting("shm_rmid_forced", forced);
}

static const struct side the_kernel = {
    linux_begin,      linux_end, linux_attach,          linux_exit,       linux_fork,
    linux_exec,       linux_pid, linux_create_of_other, linux_set_limits, linux_set_rmid_forced,
    linux_set_memlock};

/* --- in short */

static int create(uint32_t key, uint64_t size, int32_t *ret)
{
    const struct sysv_create args = {.key = key, .size = size};
    return OPS->create(KERNEL, &args, ret);
}

static int32_t created(uint32_t key, uint64_t size)
{
    int32_t shmid = -1;
    assert_int_equal(create(key, size, &shmid), 0);
    assert_true(shmid >= 0);
    return shmid;
}

static struct sysv_stat stat_of(int32_t shmid)
{
    struct sysv_stat s;
    assert_int_equal(OPS->stat(KERNEL, shmid, &s), 0);
    return s;
}

/* 0, or the error of looking at SHMID, which leaves the output untouched. */
static int stat_error(int32_t shmid)
{
    struct sysv_stat s = {.shmid = 77};
    int r = OPS->stat(KERNEL, shmid, &s);
    if (r < 0)
        assert_int_equal(s.shmid, 77);
    return r;
}

static uint64_t pages_of(uint64_t size)
{
    struct sysv_limits l;
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    return (size + l.page_size - 1) / l.page_size;
}

/* What stands between the members may differ. */
static void are_same(const struct sysv_stat *a, const struct sysv_stat *b)
{
    assert_int_equal(a->shmid, b->shmid);
    assert_int_equal(a->key, b->key);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->cuid, b->cuid);
    assert_int_equal(a->cgid, b->cgid);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->destroyed, b->destroyed);
    assert_int_equal(a->locked, b->locked);
    assert_int_equal(a->cpid, b->cpid);
    assert_int_equal(a->lpid, b->lpid);
    assert_int_equal(a->nattch, b->nattch);
    assert_int_equal(a->atime, b->atime);
    assert_int_equal(a->dtime, b->dtime);
    assert_int_equal(a->ctime, b->ctime);
}

/* --- the rules */

TEST(a_new_segment)
{
    int32_t shmid = created(42, 5000);
    struct sysv_stat s = stat_of(shmid), by_index;
    assert_int_equal(s.shmid, shmid);
    assert_int_equal(s.key, 42);
    assert_int_equal(s.size, 5000);
    assert_int_equal(s.uid, DAEMON);
    assert_int_equal(s.cuid, DAEMON);
    assert_int_equal(s.gid, DAEMON);
    assert_int_equal(s.cgid, DAEMON);
    assert_int_equal(s.mode, 0600);
    assert_int_equal(s.cpid, own_pid);
    assert_int_equal(s.lpid, 0);
    assert_int_equal(s.nattch, 0);
    assert_false(s.destroyed || s.locked);
    assert_int_equal(s.atime, 0);
    assert_int_equal(s.dtime, 0);
    assert_int_equal(OPS->stat_index(KERNEL, shmid & 0x7fff, &by_index), 0);
    are_same(&s, &by_index);
}

/* With 4 GiB cut off it would be a small segment, of which the record says that it is large. Where
 * size_t has 32 bits, the kernel has no such size; elsewhere it may lack the memory. */
TEST(a_size_of_more_than_32_bits)
{
    const struct sysv_create args = {.size = (UINT64_C(1) << 32) + 5000, .noreserve = true};
    int32_t shmid = -1;
    int r = OPS->create(KERNEL, &args, &shmid);
    if (sizeof(size_t) == sizeof(uint32_t) && side == &the_kernel)
        assert_int_equal(r, -EINVAL);
    if (r == 0) {
        assert_int_equal(stat_of(shmid).size, args.size);
        assert_int_equal(OPS->remove(KERNEL, shmid), 0);
        return;
    }
    assert_true(r == -EINVAL || r == -ENOMEM || r == -ENOSPC);
    assert_int_equal(shmid, -1);
}

TEST(what_is_in_use)
{
    struct sysv_limits l;
    int32_t shmid = created(42, 5000);
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    assert_int_equal(l.segments, 1);
    assert_int_equal(l.pages, pages_of(5000));
    assert_int_equal(l.max_index, shmid & 0x7fff);
    assert_false(l.shm_rmid_forced);
    assert_int_equal(OPS->remove(KERNEL, shmid), 0);
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    assert_int_equal(l.segments, 0);
    assert_int_equal(l.pages, 0);
    assert_int_equal(l.max_index, -1);
}

TEST(what_denotes_nothing)
{
    int32_t shmid = created(0, 1), found = 77;
    struct sysv_stat s;
    void *address;
    assert_int_equal(stat_error(-1), -ENOENT);
    assert_int_equal(stat_error(shmid + 1), -ENOENT);
    assert_int_equal(stat_error(shmid + 32768), -ENOENT); /* the same slot, another sequence */
    assert_int_equal(OPS->remove(KERNEL, shmid + 32768), -ENOENT);
    assert_int_equal(OPS->set(KERNEL, shmid + 32768, DAEMON, DAEMON, 0), -ENOENT);
    assert_int_equal(OPS->lock(KERNEL, shmid + 32768, true), -ENOENT);
    assert_int_equal(OPS->find(KERNEL, 42, &found), -ENOENT);
    assert_int_equal(found, 77);
    assert_int_equal(OPS->stat_index(KERNEL, (shmid & 0x7fff) + 1, &s), -ENOENT);
    assert_int_equal(OPS->attach(KERNEL, shmid + 1, &address), -ENOENT);
}

TEST(keys)
{
    int32_t a = created(42, 1), b = -1, found = -1;
    assert_int_equal(create(42, 1, &b), -EEXIST);
    assert_int_equal(b, -1);
    assert_int_equal(OPS->find(KERNEL, 42, &found), 0);
    assert_int_equal(found, a);
    /* Private segments do not share a key. */
    assert_int_not_equal(created(0, 1), created(0, 1));
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    assert_int_equal(OPS->find(KERNEL, 42, &found), -ENOENT);
    created(42, 1);
    /* The largest key is one like any other. */
    a = created(UINT32_MAX, 1);
    assert_int_equal(stat_of(a).key, UINT32_MAX);
    assert_int_equal(OPS->find(KERNEL, UINT32_MAX, &found), 0);
    assert_int_equal(found, a);
}

TEST(a_key_that_another_user_has)
{
    /* To find it needs no permission, and neither does to look at it. */
    int32_t a = created(42, 1), found = -1;
    assert_int_equal(OPS->set(KERNEL, a, OTHER, OTHER, 0), 0);
    assert_int_equal(OPS->find(KERNEL, 42, &found), 0);
    assert_int_equal(found, a);
    int32_t other = side->create_of_other(100);
    assert_int_equal(stat_of(other).cuid, OTHER);
    assert_int_equal(stat_of(other).size, 100);
}

TEST(many_at_a_time_have_different_ids)
{
    enum { N = 500 };
    static int32_t ids[N];
    for (int i = 0; i < N; i++)
        ids[i] = created(0, 1);
    for (int i = 0; i < N; i++)
        assert_int_equal(stat_of(ids[i]).shmid, ids[i]);
    for (int i = 0; i < N; i += 2)
        assert_int_equal(OPS->remove(KERNEL, ids[i]), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(stat_error(ids[i]), i % 2 ? 0 : -ENOENT);
}

TEST(an_id_is_not_given_out_again_at_once)
{
    int32_t first = created(0, 1);
    assert_int_equal(OPS->remove(KERNEL, first), 0);
    for (int i = 0; i < 100; i++) {
        int32_t next = created(0, 1);
        assert_int_not_equal(next, first);
        assert_int_equal(OPS->remove(KERNEL, next), 0);
    }
}

TEST(removed_while_attached)
{
    int32_t a = created(42, 4096), found = -1;
    side->attach(0, a);
    side->attach(1, a);
    assert_int_equal(stat_of(a).nattch, 2);
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    struct sysv_stat s = stat_of(a);
    assert_true(s.destroyed);
    assert_int_equal(s.key, 0);
    assert_int_equal(s.mode, 0600);
    assert_int_equal(s.nattch, 2);
    /* The key is free. */
    assert_int_equal(OPS->find(KERNEL, 42, &found), -ENOENT);
    assert_int_not_equal(created(42, 1), a);
    /* Removing it once more, changing and attaching it work. */
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    assert_int_equal(OPS->set(KERNEL, a, DAEMON, DAEMON, 0640), 0);
    side->attach(2, a);
    assert_int_equal(stat_of(a).nattch, 3);
    side->exit(0);
    side->exit(2);
    assert_int_equal(stat_of(a).nattch, 1);
    side->exit(1);
    assert_int_equal(stat_error(a), -ENOENT);
}

TEST(not_removed_it_outlives_its_attachments)
{
    int32_t a = created(42, 1);
    side->attach(0, a);
    assert_int_not_equal(stat_of(a).lpid, 0);
    assert_int_not_equal(stat_of(a).lpid, own_pid);
    side->exit(0);
    struct sysv_stat s = stat_of(a);
    assert_int_equal(s.nattch, 0);
    assert_int_equal(s.key, 42);
    assert_true(s.dtime >= s.atime);
}

TEST(with_shm_rmid_forced_it_does_not)
{
    struct sysv_limits l;
    int32_t a = created(0, 1);
    side->attach(0, a);
    side->set_rmid_forced(true);
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    assert_true(l.shm_rmid_forced);
    side->exit(0);
    assert_int_equal(stat_error(a), -ENOENT);
    side->set_rmid_forced(false);
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    assert_false(l.shm_rmid_forced);
}

TEST(a_child_has_what_its_parent_has)
{
    int32_t a = created(0, 1), b = created(0, 1);
    side->attach(0, a);
    side->attach(0, a);
    side->attach(1, b);
    side->fork();
    assert_int_equal(stat_of(a).nattch, 4);
    assert_int_equal(stat_of(a).lpid, side->pid(0));
    assert_int_equal(stat_of(b).nattch, 1);
    assert_int_equal(stat_of(b).lpid, side->pid(1));
    side->exit(0);
    assert_int_equal(stat_of(a).nattch, 2);
    side->attach(CHILD, b);
    assert_int_equal(stat_of(b).lpid, side->pid(CHILD));
    int32_t child = side->pid(CHILD);
    side->exit(CHILD);
    assert_int_equal(stat_of(a).nattch, 0);
    assert_int_equal(stat_of(a).lpid, child);
    assert_int_equal(stat_of(b).nattch, 1);
}

TEST(another_program_has_nothing_attached)
{
    int32_t a = created(0, 1);
    side->attach(0, a);
    side->attach(1, a);
    side->exec(0);
    struct sysv_stat s = stat_of(a);
    assert_int_equal(s.nattch, 1);
    assert_int_equal(s.lpid, side->pid(0));
    assert_int_not_equal(s.dtime, 0);
    side->attach(0, a);
    assert_int_equal(stat_of(a).nattch, 2);
    /* It is the last that has one marked for destruction. */
    side->exit(1);
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    side->exec(0);
    assert_int_equal(stat_error(a), -ENOENT);
}

TEST(the_daemons_own_attachment)
{
    int32_t a = created(0, 1);
    void *address = NULL, *second = NULL;
    assert_int_equal(OPS->attach(KERNEL, a, &address), 0);
    assert_int_equal(OPS->attach(KERNEL, a, &second), 0);
    assert_ptr_not_equal(address, second);
    assert_int_equal(stat_of(a).nattch, 2);
    assert_int_equal(stat_of(a).lpid, own_pid);
    assert_int_not_equal(stat_of(a).atime, 0);
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    assert_int_equal(OPS->detach(KERNEL, address), 0);
    assert_int_equal(OPS->detach(KERNEL, address), -EINVAL);
    assert_true(stat_of(a).destroyed);
    /* Marked for destruction it can still be attached. */
    side->attach(0, a);
    assert_int_equal(OPS->detach(KERNEL, second), 0);
    assert_int_equal(stat_of(a).nattch, 1);
    side->exit(0);
    assert_int_equal(stat_error(a), -ENOENT);
}

TEST(an_attachment_needs_to_be_let_read)
{
    int32_t a = created(0, 1);
    void *address = NULL;
    /* As creator the daemon falls under the owner's bits, whoever owns it. */
    static const struct {
        uint32_t uid, gid, mode;
        bool good;
    } cases[] = {{DAEMON, DAEMON, 0400, true},
                 {DAEMON, DAEMON, 0277, false},
                 {OTHER, OTHER, 0400, true},
                 {OTHER, OTHER, 0077, false},
                 {OTHER, DAEMON, 0040, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(OPS->set(KERNEL, a, cases[i].uid, cases[i].gid, cases[i].mode), 0);
        int r = OPS->attach(KERNEL, a, &address);
        assert_int_equal(r, cases[i].good ? 0 : -EACCES);
        if (r == 0)
            assert_int_equal(OPS->detach(KERNEL, address), 0);
    }
}

TEST(owner_and_mode)
{
    int32_t a = created(0, 1);
    assert_int_equal(OPS->set(KERNEL, a, OTHER, OTHER + 1, 07640), 0);
    struct sysv_stat s = stat_of(a);
    assert_int_equal(s.uid, OTHER);
    assert_int_equal(s.gid, OTHER + 1);
    assert_int_equal(s.mode, 0640); /* the permissions alone */
    assert_int_equal(s.cuid, DAEMON);
    assert_int_equal(s.cgid, DAEMON);
    /* The creator still may, and may remove. */
    assert_int_equal(OPS->set(KERNEL, a, DAEMON, DAEMON, 0), 0);
    assert_int_equal(OPS->set(KERNEL, a, OTHER, OTHER, 0), 0);
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    assert_int_equal(stat_error(a), -ENOENT);
}

TEST(what_another_user_made)
{
    int32_t other = side->create_of_other(10);
    struct sysv_stat before = stat_of(other), after;
    void *address = NULL;
    assert_int_equal(OPS->set(KERNEL, other, DAEMON, DAEMON, 0600), -EPERM);
    assert_int_equal(OPS->remove(KERNEL, other), -EPERM);
    assert_int_equal(OPS->lock(KERNEL, other, true), -EPERM);
    assert_int_equal(OPS->attach(KERNEL, other, &address), -EACCES);
    after = stat_of(other);
    assert_memory_equal(&before, &after, sizeof(before));
}

TEST(limits_are_refused_as_the_kernel_does)
{
    struct sysv_limits l;
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    const uint64_t page = l.page_size;
    const struct limits_wanted few = {.shmmax = 2 * page, .shmall = 3, .shmmni = 2};
    int32_t shmid = -1;
    side->set_limits(&few);
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    assert_int_equal(l.shmmax, few.shmmax);
    assert_int_equal(l.shmall, few.shmall);
    assert_int_equal(l.shmmni, few.shmmni);
    assert_int_equal(create(0, 0, &shmid), -EINVAL);
    assert_int_equal(create(0, 2 * page + 1, &shmid), -EINVAL);
    created(1, 2 * page);
    assert_int_equal(create(0, page + 1, &shmid), -ENOSPC); /* shmall */
    created(0, page);
    side->set_limits(&(struct limits_wanted){2 * page, 4, 2});
    assert_int_equal(create(0, 1, &shmid), -ENOSPC); /* shmmni */
    side->set_limits(&(struct limits_wanted){2 * page, 4, 3});
    assert_int_equal(create(1, 2 * page + 1, &shmid), -EEXIST); /* the key is looked at first */
    created(0, 1);
    side->set_limits(&(struct limits_wanted){2 * page, 1, 3}); /* below what is in use */
    assert_int_equal(create(0, 1, &shmid), -ENOSPC);
    assert_int_equal(shmid, -1);
}

TEST(locks)
{
    int32_t a = created(0, 4097), b = created(0, 1);
    uint64_t max = 0;
    assert_int_equal(OPS->memlock(KERNEL, &max), 0);
    assert_int_equal(max, MEMLOCK);
    assert_int_equal(OPS->lock(KERNEL, a, true), 0);
    assert_true(stat_of(a).locked);
    assert_int_equal(OPS->lock(KERNEL, a, true), 0); /* it is already */
    assert_int_equal(OPS->lock(KERNEL, b, true), -ENOMEM);
    assert_int_equal(OPS->lock(KERNEL, a, false), 0);
    assert_false(stat_of(a).locked);
    assert_int_equal(OPS->lock(KERNEL, b, true), 0);
    assert_int_equal(OPS->lock(KERNEL, a, true), -ENOMEM);
    side->set_memlock(0);
    assert_int_equal(OPS->lock(KERNEL, a, true), -EPERM);
    assert_int_equal(OPS->lock(KERNEL, b, false), 0);
}

TEST(pages_that_the_machine_has_not)
{
    uint64_t total = 7, unused = 7, used = 0, max = 0;
    assert_int_equal(OPS->huge_pages(KERNEL, 3 << 10, &total, &unused), -ENOENT);
    assert_int_equal(total, 7);
    assert_int_equal(unused, 7);
    assert_int_equal(OPS->memory(KERNEL, &used, &max), 0);
    assert_true(max > 0);
}

/* --- the kernel alone */

TEST(no_descriptor_hides_shm_rmid_forced)
{
    struct sysv_limits l;
    struct rlimit before;
    side->set_rmid_forced(true);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = OPS->limits(KERNEL, &l);
    assert_int_equal(open("/proc/sys/kernel/shmmni", O_RDONLY), -1);
    assert_int_equal(errno, EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(r, 0);
    assert_true(l.shm_rmid_forced);
}

TEST(where_the_setting_is_hidden)
{
    struct sysv_limits l;
    sysv_linux_close(&kernel);
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    assert_false(l.shm_rmid_forced);
}

/* --- both sides */

static int begin_fake(void **state)
{
    side = &the_fake;
    return side->begin(state);
}

static int begin_kernel(void **state)
{
    side = &the_kernel;
    return side->begin(state);
}

static int end(void **state)
{
    return side->end(state);
}

#define RULES(X)                                                                                   \
    X(a_new_segment)                                                                               \
    X(a_size_of_more_than_32_bits)                                                                 \
    X(what_is_in_use)                                                                              \
    X(what_denotes_nothing)                                                                        \
    X(keys)                                                                                        \
    X(a_key_that_another_user_has)                                                                 \
    X(many_at_a_time_have_different_ids)                                                           \
    X(an_id_is_not_given_out_again_at_once)                                                        \
    X(removed_while_attached)                                                                      \
    X(not_removed_it_outlives_its_attachments)                                                     \
    X(with_shm_rmid_forced_it_does_not)                                                            \
    X(a_child_has_what_its_parent_has)                                                             \
    X(another_program_has_nothing_attached)                                                        \
    X(the_daemons_own_attachment)                                                                  \
    X(an_attachment_needs_to_be_let_read)                                                          \
    X(owner_and_mode)                                                                              \
    X(what_another_user_made)                                                                      \
    X(limits_are_refused_as_the_kernel_does)                                                       \
    X(locks)                                                                                       \
    X(pages_that_the_machine_has_not)

#define FAKE_CASE(rule)   {#rule ", the fake", rule, begin_fake, end, NULL},
#define KERNEL_CASE(rule) {#rule ", the kernel", rule, begin_kernel, end, NULL},

/* qemu's emulation of system calls does not, and says EINVAL, which here means that there is none.
 */
static bool knows_stat_any(void)
{
    struct shmid_ds ds;
    int shmid = shmget(IPC_PRIVATE, 1, 0600);
    bool knows = shmid >= 0 && shmctl(shmid, SHM_STAT_ANY, &ds) == shmid;
    (void)shmctl(shmid, IPC_RMID, NULL);
    return knows;
}

/* Why the kernel's part cannot run here, or NULL. */
static const char *obstacle(void)
{
    if (geteuid() != 0)
        return "it needs root";
    if (setgroups(0, NULL) < 0 || unshare(CLONE_NEWIPC) < 0)
        return "it needs an IPC namespace of its own";
    /* A container may have it read-only, though the namespace is ours. */
    if (access("/proc/sys/kernel/shmmni", W_OK) < 0)
        return "it needs to write /proc/sys/kernel";
    if (!knows_stat_any())
        return "it needs SHM_STAT_ANY, which an emulator may not know";
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0) {
        int socket = atoi(argv[2]);
        if (!tell(socket, getpid()))
            return 1;
        serve(socket);
    }
    const struct CMUnitTest fake_alone[] = {RULES(FAKE_CASE)};
    const struct CMUnitTest both[] = {
        RULES(FAKE_CASE) RULES(KERNEL_CASE)
        // clang-format off
        {"no_descriptor_hides_shm_rmid_forced", no_descriptor_hides_shm_rmid_forced, begin_kernel, end, NULL},
        {"where_the_setting_is_hidden", where_the_setting_is_hidden, begin_kernel, end, NULL},
        // clang-format on
    };
    const char *why = obstacle();
    if (!why)
        return RUN_TESTS(both);
    print_message("# The kernel's part is skipped: %s.\n", why);
    return RUN_TESTS(fake_alone);
}
