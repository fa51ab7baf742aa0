/*
 * The fakes themselves, where a wrong one would hide a bug: ids that come back, what IPC_RMID
 * leaves of an attached segment, the order in which limits are refused, faults and races on cue.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_sysv.h"

static const struct fake_process other = {1000, 1001, 200};

static struct fake_sysv *k;

static int boot(void **state)
{
    (void)state;
    k = fake_sysv_new();
    return 0;
}

static int halt(void **state)
{
    (void)state;
    fake_sysv_free(k);
    k = NULL;
    return 0;
}

#define OPS    (k->sysv.ops)
#define KERNEL (k->sysv.context)

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

static int stat_error(int32_t shmid)
{
    struct sysv_stat s = {.shmid = 77};
    int r = OPS->stat(KERNEL, shmid, &s);
    if (r < 0)
        assert_int_equal(s.shmid, 77); /* outputs are untouched on failure */
    return r;
}

TEST(a_new_segment)
{
    k->now = 5;
    int32_t shmid = created(42, 5000);
    struct sysv_stat s = stat_of(shmid);
    assert_int_equal(s.shmid, shmid);
    assert_int_equal(s.key, 42);
    assert_int_equal(s.size, 5000);
    assert_int_equal(s.uid, 990);
    assert_int_equal(s.cuid, 990);
    assert_int_equal(s.gid, 990);
    assert_int_equal(s.cgid, 990);
    assert_int_equal(s.mode, 0600);
    assert_int_equal(s.cpid, 100);
    assert_int_equal(s.lpid, 0);
    assert_int_equal(s.nattch, 0);
    assert_false(s.destroyed || s.locked);
    assert_int_equal(s.ctime, 5);
    assert_int_equal(s.atime, 0);
    struct sysv_stat i;
    assert_int_equal(OPS->stat_index(KERNEL, shmid & 0x7fff, &i), 0);
    assert_memory_equal(&s, &i, sizeof(s));
    struct sysv_limits l;
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    assert_int_equal(l.segments, 1);
    assert_int_equal(l.pages, 2);
    assert_int_equal(l.max_index, shmid & 0x7fff);
    assert_int_equal(OPS->remove(KERNEL, shmid), 0);
    assert_int_equal(OPS->limits(KERNEL, &l), 0);
    assert_int_equal(l.segments, 0);
    assert_int_equal(l.pages, 0);
    assert_int_equal(l.max_index, -1);
}

TEST(what_denotes_nothing)
{
    int32_t shmid = created(0, 1), found = 77;
    assert_int_equal(stat_error(-1), -ENOENT);
    assert_int_equal(stat_error(shmid + 1), -ENOENT);
    assert_int_equal(stat_error(shmid + 32768), -ENOENT); /* the same slot, another sequence */
    assert_int_equal(OPS->remove(KERNEL, shmid + 32768), -ENOENT);
    assert_int_equal(OPS->set(KERNEL, shmid + 32768, 1, 1, 0), -ENOENT);
    assert_int_equal(OPS->find(KERNEL, 42, &found), -ENOENT);
    assert_int_equal(OPS->find(KERNEL, 0, &found), -EINVAL);
    assert_int_equal(found, 77);
    struct sysv_stat s;
    assert_int_equal(OPS->stat_index(KERNEL, 1, &s), -ENOENT);
    assert_int_equal(OPS->stat_index(KERNEL, -1, &s), -ENOENT);
    void *address;
    assert_int_equal(OPS->attach(KERNEL, shmid + 1, &address), -ENOENT);
    assert_int_equal(OPS->detach(KERNEL, &address), -EINVAL);
}

TEST(keys)
{
    int32_t a = created(42, 1), b = -1, found = -1;
    assert_int_equal(create(42, 1, &b), -EEXIST);
    assert_int_equal(b, -1);
    assert_int_equal(OPS->find(KERNEL, 42, &found), 0);
    assert_int_equal(found, a);
    /* Private ones do not share a key. */
    created(0, 1);
    created(0, 1);
    assert_int_equal(fake_sysv_count(k), 3);
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    assert_int_equal(OPS->find(KERNEL, 42, &found), -ENOENT);
    created(42, 1);
}

TEST(ids_go_round_as_the_kernels_do)
{
    /* One after the other, each removed at once: 64 indexes, then the sequence rises. */
    for (int i = 0; i < 64; i++) {
        int32_t shmid = created(0, 1);
        assert_int_equal(shmid, i);
        assert_int_equal(OPS->remove(KERNEL, shmid), 0);
    }
    assert_int_equal(created(0, 1), 32768);
    assert_int_equal(created(0, 1), 32769);
    /* At the last sequence the first comes back: 64 x 65,535 ids. */
    k->sequence = 65534;
    k->last_index = 63;
    k->cursor = 64;
    assert_int_equal(OPS->remove(KERNEL, 32768), 0);
    assert_int_equal(created(0, 1), 0);
}

TEST(many_at_a_time_have_different_ids)
{
    int32_t *ids = calloc(1000, sizeof(*ids));
    for (int i = 0; i < 1000; i++)
        ids[i] = created(0, 1);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(stat_of(ids[i]).shmid, ids[i]);
    assert_int_equal(fake_sysv_count(k), 1000);
    for (int i = 0; i < 1000; i += 2)
        assert_int_equal(OPS->remove(KERNEL, ids[i]), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(stat_error(ids[i]), i % 2 ? 0 : -ENOENT);
    free(ids);
}

TEST(the_next_id_on_demand)
{
    int32_t a = created(0, 1);
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    k->next_id = a;
    assert_int_equal(created(0, 2), a);
    assert_int_equal(stat_of(a).size, 2);
    assert_int_equal(k->next_id, -1);
    /* The slot is taken: the next free one, of the same sequence. */
    k->next_id = a;
    assert_int_equal(created(0, 3), a + 1);
    k->next_id = 5 * 32768 + 9;
    assert_int_equal(created(0, 4), 5 * 32768 + 9);
    assert_int_equal(stat_of(5 * 32768 + 9).size, 4);
}

TEST(recycled_behind_the_back)
{
    int32_t a = created(42, 100);
    assert_int_equal(fake_sysv_recycle(k, a, &other, 200), 0);
    struct sysv_stat s = stat_of(a);
    assert_int_equal(s.size, 200);
    assert_int_equal(s.cuid, other.uid);
    assert_int_equal(s.cpid, other.pid);
    assert_int_equal(s.key, 0);
    assert_int_equal(k->next_id, -1);
    /* Others' are not ours to change. */
    assert_int_equal(OPS->set(KERNEL, a, 990, 990, 0600), -EPERM);
    assert_int_equal(OPS->remove(KERNEL, a), -EPERM);
    assert_int_equal(fake_sysv_attach_as(k, a, 5), 0);
    assert_int_equal(fake_sysv_recycle(k, a, &other, 1), -EBUSY);
    assert_int_equal(fake_sysv_recycle(k, a + 1, &other, 1), -ENOENT);
}

TEST(removed_while_attached)
{
    int32_t a = created(42, 4096), found = -1;
    assert_int_equal(fake_sysv_attach_as(k, a, 7), 0);
    assert_int_equal(fake_sysv_attach_as(k, a, 7), 0);
    assert_int_equal(fake_sysv_attach_as(k, a, 8), 0);
    assert_int_equal(stat_of(a).nattch, 3);
    assert_int_equal(stat_of(a).lpid, 8);

    assert_int_equal(OPS->remove(KERNEL, a), 0);
    struct sysv_stat s = stat_of(a);
    assert_true(s.destroyed);
    assert_int_equal(s.key, 0);
    assert_int_equal(s.mode, 0600);
    assert_int_equal(s.nattch, 3);
    assert_int_equal(OPS->find(KERNEL, 42, &found), -ENOENT);
    int32_t b = created(42, 1);
    assert_int_not_equal(a, b);
    /* A second time, a change and one more attachment work. */
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    assert_int_equal(OPS->set(KERNEL, a, 5, 6, 0640), 0);
    assert_int_equal(fake_sysv_attach_as(k, a, 9), 0);

    assert_int_equal(fake_sysv_detach_as(k, a, 9), 0);
    assert_int_equal(fake_sysv_detach_as(k, a, 9), -ENOENT);
    fake_sysv_exit(k, 7); /* both of its attachments */
    assert_int_equal(stat_of(a).nattch, 1);
    assert_int_equal(stat_of(a).lpid, 7);
    fake_sysv_exit(k, 8);
    assert_int_equal(stat_error(a), -ENOENT);
    assert_int_equal(fake_sysv_count(k), 1);
}

TEST(not_removed_it_outlives_its_attachments)
{
    int32_t a = created(42, 1);
    assert_int_equal(fake_sysv_attach_as(k, a, 7), 0);
    k->now = 9;
    fake_sysv_exit(k, 7);
    fake_sysv_exit(k, k->self.pid);
    assert_int_equal(stat_of(a).nattch, 0);
    assert_int_equal(stat_of(a).dtime, 9);
    assert_int_equal(stat_of(a).key, 42);
}

TEST(with_shm_rmid_forced_it_does_not)
{
    int32_t a = created(0, 1), b = created(0, 1), c = -1;
    const struct sysv_create args = {.size = 1};
    assert_int_equal(fake_sysv_create_as(k, &other, &args, 0600, &c), 0);
    k->shm_rmid_forced = true;
    assert_int_equal(fake_sysv_attach_as(k, a, 7), 0);
    assert_int_equal(fake_sysv_detach_as(k, a, 7), 0);
    assert_int_equal(stat_error(a), -ENOENT);
    assert_int_equal(fake_sysv_attach_as(k, b, 7), 0);
    fake_sysv_exit(k, other.pid);
    assert_int_equal(stat_error(c), -ENOENT);
    fake_sysv_exit(k, k->self.pid);
    assert_int_equal(stat_of(b).nattch, 1); /* attached, so it stays, without the key */
}

TEST(the_daemons_own_attachment)
{
    int32_t a = created(0, 1);
    void *address = NULL, *second = NULL;
    k->now = 3;
    assert_int_equal(OPS->attach(KERNEL, a, &address), 0);
    assert_int_equal(OPS->attach(KERNEL, a, &second), 0);
    assert_ptr_not_equal(address, second);
    assert_int_equal(stat_of(a).nattch, 2);
    assert_int_equal(stat_of(a).lpid, k->self.pid);
    assert_int_equal(stat_of(a).atime, 3);
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    assert_int_equal(OPS->detach(KERNEL, address), 0);
    assert_int_equal(OPS->detach(KERNEL, address), -EINVAL);
    assert_true(stat_of(a).destroyed);
    assert_int_equal(OPS->detach(KERNEL, second), 0);
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
    } cases[] = {{990, 990, 0400, true},
                 {990, 990, 0277, false},
                 {1000, 1000, 0400, true},
                 {1000, 1000, 0077, false},
                 {1000, 990, 0040, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(OPS->set(KERNEL, a, cases[i].uid, cases[i].gid, cases[i].mode), 0);
        int r = OPS->attach(KERNEL, a, &address);
        assert_int_equal(r, cases[i].good ? 0 : -EACCES);
        if (r == 0)
            assert_int_equal(OPS->detach(KERNEL, address), 0);
    }
}

TEST(set)
{
    int32_t a = created(0, 1);
    k->now = 8;
    assert_int_equal(OPS->set(KERNEL, a, 1, 2, 07640), 0);
    struct sysv_stat s = stat_of(a);
    assert_int_equal(s.uid, 1);
    assert_int_equal(s.gid, 2);
    assert_int_equal(s.mode, 0640);
    assert_int_equal(s.cuid, 990);
    assert_int_equal(s.ctime, 8);
    /* The creator still may. */
    assert_int_equal(OPS->set(KERNEL, a, 990, 990, 0), 0);
    fake_sysv_segment(k, a)->cuid = 5;
    assert_int_equal(OPS->set(KERNEL, a, 6, 6, 0), 0); /* the owner may */
    assert_int_equal(OPS->set(KERNEL, a, 990, 990, 0), -EPERM);
    k->self.uid = 0;
    assert_int_equal(OPS->set(KERNEL, a, 990, 990, 0), 0);
    assert_null(fake_sysv_segment(k, a + 1));
}

TEST(limits_are_refused_as_the_kernel_does)
{
    int32_t shmid = -1;
    k->shmmax = 8192;
    k->shmall = 3;
    k->shmmni = 2;
    assert_int_equal(create(0, 0, &shmid), -EINVAL);
    assert_int_equal(create(0, 8193, &shmid), -EINVAL);
    created(1, 8192);
    assert_int_equal(create(0, 4097, &shmid), -ENOSPC); /* shmall */
    created(0, 4096);
    assert_int_equal(create(0, 1, &shmid), -ENOSPC);
    k->shmall = 4;
    assert_int_equal(create(0, 1, &shmid), -ENOSPC); /* shmmni */
    k->shmmni = 3;
    assert_int_equal(create(1, 8193, &shmid), -EEXIST); /* the key is looked at first */
    created(0, 1);
    k->shmall = 1; /* lowered below what is in use */
    assert_int_equal(create(0, 1, &shmid), -ENOSPC);
    assert_int_equal(shmid, -1);
}

TEST(memory)
{
    int32_t shmid = -1;
    uint64_t used = 0, max = 0;
    k->memory_max = 40960;
    assert_int_equal(create(0, 40961, &shmid), -ENOMEM);
    const struct sysv_create noreserve = {.size = 1 << 30, .noreserve = true};
    assert_int_equal(OPS->create(KERNEL, &noreserve, &shmid), 0);
    assert_int_equal(OPS->memory(KERNEL, &used, &max), 0);
    assert_true(used == UINT64_MAX);
    assert_int_equal(max, 40960);
    assert_int_equal(OPS->remove(KERNEL, shmid), 0);

    k->memory_is_counted = true;
    k->memory_used = 8192;
    assert_int_equal(OPS->create(KERNEL, &noreserve, &shmid), -ENOMEM);
    created(0, 28673); /* eight pages, which leaves none */
    assert_int_equal(OPS->memory(KERNEL, &used, &max), 0);
    assert_int_equal(used, 40960);
    assert_int_equal(create(0, 1, &shmid), -ENOMEM);
}

TEST(huge_pages)
{
    const struct sysv_create args = {.size = 3 << 20, .huge_page_size = 2 << 20};
    const struct sysv_create lazy = {.size = 3 << 20, .huge_page_size = 2 << 20, .noreserve = true};
    int32_t a = -1, b = -1;
    uint64_t total = 7, free_pages = 7;
    assert_int_equal(OPS->create(KERNEL, &args, &a), -EINVAL);
    assert_int_equal(OPS->huge_pages(KERNEL, 2 << 20, &total, &free_pages), -ENOENT);
    k->huge_pages[1] = (struct fake_huge_pages){.size = 2 << 20, .total = 9, .free = 3};
    assert_int_equal(OPS->create(KERNEL, &args, &a), -EPERM);
    k->cap_ipc_lock = true;
    assert_int_equal(OPS->create(KERNEL, &args, &a), 0);
    assert_int_equal(OPS->create(KERNEL, &args, &b), -ENOMEM); /* two of three are reserved */
    assert_int_equal(OPS->create(KERNEL, &lazy, &b), 0);
    assert_int_equal(OPS->huge_pages(KERNEL, 2 << 20, &total, &free_pages), 0);
    assert_int_equal(total, 9);
    assert_int_equal(free_pages, 1); /* what is reserved is not free */
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    assert_int_equal(OPS->create(KERNEL, &args, &a), 0);
    /* They are never swapped: locking them does nothing, with success. */
    assert_int_equal(OPS->lock(KERNEL, a, true), 0);
    assert_false(stat_of(a).locked);
    /* What shmmni refuses in the end is not reserved. */
    assert_int_equal(OPS->remove(KERNEL, a), 0);
    k->shmmni = 0;
    assert_int_equal(OPS->create(KERNEL, &args, &a), -ENOSPC);
    assert_int_equal(k->huge_pages[1].reserved, 0);
}

TEST(locks)
{
    int32_t a = created(0, 4097), b = created(0, 1);
    uint64_t max = 0;
    k->memlock_max = 8192;
    assert_int_equal(OPS->memlock(KERNEL, &max), 0);
    assert_int_equal(max, 8192);
    assert_int_equal(OPS->lock(KERNEL, a, true), 0);
    assert_true(stat_of(a).locked);
    assert_int_equal(OPS->lock(KERNEL, a, true), 0);
    assert_int_equal(OPS->lock(KERNEL, b, true), -ENOMEM);
    assert_int_equal(OPS->lock(KERNEL, a, false), 0);
    assert_int_equal(OPS->lock(KERNEL, b, true), 0);
    assert_int_equal(OPS->lock(KERNEL, a, true), -ENOMEM);
    k->memlock_max = 0;
    assert_int_equal(OPS->lock(KERNEL, a, true), -EPERM);
    assert_int_equal(OPS->lock(KERNEL, b, false), 0);
    k->cap_ipc_lock = true;
    assert_int_equal(OPS->lock(KERNEL, a, true), 0);
    k->cap_ipc_lock = false;
    assert_int_equal(fake_sysv_recycle(k, b, &other, 1), 0);
    k->memlock_max = 8192;
    assert_int_equal(OPS->lock(KERNEL, b, true), -EPERM);
    assert_int_equal(OPS->lock(KERNEL, 12345, true), -ENOENT);
}

TEST(faults_on_cue)
{
    int32_t a = created(0, 1), b = -1;
    fake_sysv_fail(k, FAKE_STAT, 2, EIO);
    assert_int_equal(stat_error(a), 0);
    assert_int_equal(stat_error(a), -EIO);
    assert_int_equal(stat_error(a), 0);
    assert_int_equal(k->calls[FAKE_STAT], 3);
    /* Nothing was done. */
    fake_sysv_fail(k, FAKE_REMOVE, 1, EPERM);
    assert_int_equal(OPS->remove(KERNEL, a), -EPERM);
    assert_int_equal(stat_error(a), 0);
    fake_sysv_fail(k, FAKE_CREATE, 0, ENOSPC);
    for (int i = 0; i < 3; i++)
        assert_int_equal(create(0, 1, &b), -ENOSPC);
    fake_sysv_fail(k, FAKE_CREATE, 0, 0);
    assert_int_equal(create(0, 1, &b), 0);
    assert_int_equal(OPS->remove(KERNEL, a), 0);
}

TEST(every_operation_can_fail)
{
    const struct sysv_create args = {.size = 1};
    struct sysv_stat s;
    struct sysv_limits l;
    uint64_t x, y;
    int32_t shmid = created(42, 1);
    void *address = NULL, *spare = NULL;
    assert_int_equal(OPS->attach(KERNEL, shmid, &address), 0);
    for (int op = 0; op < FAKE_OPS; op++)
        fake_sysv_fail(k, (enum fake_op)op, 1, EIO);
    assert_int_equal(OPS->create(KERNEL, &args, &shmid), -EIO);
    assert_int_equal(OPS->find(KERNEL, 42, &shmid), -EIO);
    assert_int_equal(OPS->stat(KERNEL, shmid, &s), -EIO);
    assert_int_equal(OPS->stat_index(KERNEL, 0, &s), -EIO);
    assert_int_equal(OPS->set(KERNEL, shmid, 1, 1, 0), -EIO);
    assert_int_equal(OPS->remove(KERNEL, shmid), -EIO);
    assert_int_equal(OPS->lock(KERNEL, shmid, true), -EIO);
    assert_int_equal(OPS->attach(KERNEL, shmid, &spare), -EIO);
    assert_int_equal(OPS->detach(KERNEL, address), -EIO);
    assert_int_equal(OPS->limits(KERNEL, &l), -EIO);
    assert_int_equal(OPS->huge_pages(KERNEL, 1, &x, &y), -EIO);
    assert_int_equal(OPS->memory(KERNEL, &x, &y), -EIO);
    assert_int_equal(OPS->memlock(KERNEL, &x), -EIO);
    assert_int_equal(stat_of(shmid).nattch, 1);
    assert_int_equal(OPS->detach(KERNEL, address), 0);
}

static void recycle_before_set(struct fake_sysv *kernel, enum fake_op op, int32_t shmid)
{
    struct sysv_stat s;
    if (op != FAKE_SET)
        return;
    assert_int_equal(fake_sysv_recycle(kernel, shmid, kernel->hook_data, 9), 0);
    /* What the hook itself asks calls no hook. */
    assert_int_equal(kernel->sysv.ops->stat(kernel, shmid, &s), 0);
    assert_int_equal(kernel->sysv.ops->set(kernel, shmid, 1, 1, 0), -EPERM);
}

TEST(a_race_on_cue)
{
    struct fake_process who = other;
    int32_t a = created(0, 1);
    k->before = recycle_before_set;
    k->hook_data = &who;
    assert_int_equal(stat_of(a).cuid, 990);
    assert_int_equal(OPS->set(KERNEL, a, 5, 5, 0), -EPERM);
    assert_int_equal(stat_of(a).cuid, other.uid);
    assert_int_equal(stat_of(a).size, 9);
}

TEST(both_clocks)
{
    struct fake_clock c;
    fake_clock_init(&c);
    const struct clock *clock = &c.clock;
    int64_t real = clock->ops->realtime_ms(clock->context);
    int64_t boot = clock->ops->boottime_ms(clock->context);
    assert_int_not_equal(real, boot);
    fake_clock_advance(&c, 5);
    assert_int_equal(clock->ops->realtime_ms(clock->context), real + 5);
    assert_int_equal(clock->ops->boottime_ms(clock->context), boot + 5);
    c.real_ms = 1; /* somebody sets the clock back */
    assert_int_equal(clock->ops->realtime_ms(clock->context), 1);
    assert_int_equal(clock->ops->boottime_ms(clock->context), boot + 5);
}

int main(void)
{
#define KERNEL_TEST(name) cmocka_unit_test_setup_teardown(name, boot, halt)
    const struct CMUnitTest tests[] = {
        KERNEL_TEST(a_new_segment),
        KERNEL_TEST(what_denotes_nothing),
        KERNEL_TEST(keys),
        KERNEL_TEST(ids_go_round_as_the_kernels_do),
        KERNEL_TEST(many_at_a_time_have_different_ids),
        KERNEL_TEST(the_next_id_on_demand),
        KERNEL_TEST(recycled_behind_the_back),
        KERNEL_TEST(removed_while_attached),
        KERNEL_TEST(not_removed_it_outlives_its_attachments),
        KERNEL_TEST(with_shm_rmid_forced_it_does_not),
        KERNEL_TEST(the_daemons_own_attachment),
        KERNEL_TEST(an_attachment_needs_to_be_let_read),
        KERNEL_TEST(set),
        KERNEL_TEST(limits_are_refused_as_the_kernel_does),
        KERNEL_TEST(memory),
        KERNEL_TEST(huge_pages),
        KERNEL_TEST(locks),
        KERNEL_TEST(faults_on_cue),
        KERNEL_TEST(every_operation_can_fail),
        KERNEL_TEST(a_race_on_cue),
        cmocka_unit_test(both_clocks),
    };
    return RUN_TESTS(tests);
}
