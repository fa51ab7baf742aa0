/* SPDX-License-Identifier: MIT */
/*
 * What the fake kernel can do that a test cannot make the real one do: ids that go round, faults
 * and races on cue, memory and huge pages that run out. What both have in common is in
 * tests/contract/test_sysv.c.
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
    assert_int_equal(free_pages, 1); /* what can still be had: two are reserved */
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

TEST(extended_ids)
{
    struct fake_sysv *large = fake_sysv_new_extended();
    const struct sysv_create args = {.size = 1};
    const int32_t all = 1 << FAKE_INDEX_BITS_EXTENDED;
    int32_t shmid;
    struct sysv_stat s;
    large->shmmni = (uint64_t)all;
    /* More than fit without the option, in slots of their own. */
    for (int32_t i = 0; i < 40000; i++) {
        assert_int_equal(large->sysv.ops->create(large, &args, &shmid), 0);
        assert_int_equal(shmid, i);
    }
    assert_int_equal(large->sysv.ops->stat(large, 33000, &s), 0);
    assert_int_equal(s.shmid, 33000);
    large->next_id = all * 5 + 77777;
    assert_int_equal(large->sysv.ops->create(large, &args, &shmid), 0);
    assert_int_equal(shmid, all * 5 + 77777);
    assert_int_equal(large->sysv.ops->stat_index(large, 77777, &s), 0);
    assert_int_equal(s.shmid, shmid);
    fake_sysv_free(large);
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
        KERNEL_TEST(ids_go_round_as_the_kernels_do),
        KERNEL_TEST(the_next_id_on_demand),
        KERNEL_TEST(recycled_behind_the_back),
        KERNEL_TEST(memory),
        KERNEL_TEST(huge_pages),
        KERNEL_TEST(faults_on_cue),
        KERNEL_TEST(every_operation_can_fail),
        KERNEL_TEST(a_race_on_cue),
        cmocka_unit_test(extended_ids),
        cmocka_unit_test(both_clocks),
    };
    return RUN_TESTS(tests);
}
