/* SPDX-License-Identifier: MIT */
/*
 * What is told of a segment's memory: only what the kernel told, and not more reads of its table
 * than so many a second.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/residency.h"
#include "tests/fakes/fake_sysv.h"

static struct fake_sysv *k;
static struct residency r;
static const struct sysv_resident rows[] = {{3, 4096, 8192}, {9, 3 << 20, 0}};

static int begin(void **state)
{
    (void)state;
    k = fake_sysv_new();
    r = (struct residency){0};
    k->resident = rows;
    k->n_resident = 2;
    return k ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    fake_sysv_free(k);
    return 0;
}

static struct wire_segment told(int64_t now_ms, int32_t shmid, uint64_t size, uint64_t huge)
{
    struct wire_segment s = {.shmid = shmid, .size = size, .huge_page_size = huge};
    residency_tell(&r, &k->sysv, now_ms, &s);
    return s;
}

TEST(what_the_kernel_tells)
{
    struct wire_segment s = told(0, 3, 16384, 0);
    assert_true(s.has_memory);
    assert_int_equal(s.rss, 4096);
    assert_int_equal(s.swap, 8192);
    assert_false(told(0, 4, 16384, 0).has_memory); /* not in the table */
    assert_false(told(0, 3, 16384, 2 << 20).has_memory);
    assert_true(told(0, 9, 3 << 20, 0).has_memory);
    assert_false(told(0, 9, 4096, 0).has_memory); /* more than there is of it */
}

TEST(a_kernel_that_does_not_tell)
{
    fake_sysv_fail(k, FAKE_RESIDENT, 0, ENOENT);
    assert_false(told(0, 3, 16384, 0).has_memory);
    fake_sysv_fail(k, FAKE_RESIDENT, 0, 0);
    assert_true(told(0, 3, 16384, 0).has_memory);
    fake_sysv_fail(k, FAKE_RESIDENT, 0, ENOENT);
    assert_false(told(0, 3, 16384, 0).has_memory);
}

TEST(not_too_often)
{
    static const struct sysv_resident later[] = {{3, 12288, 0}};
    for (int i = 0; i < RESIDENCY_READS_PER_SECOND; i++)
        (void)told(5000 + i, 3, 16384, 0);
    k->resident = later;
    k->n_resident = 1;
    assert_int_equal(told(5999, 3, 16384, 0).rss, 4096);
    assert_int_equal(k->calls[FAKE_RESIDENT], RESIDENCY_READS_PER_SECOND);
    assert_int_equal(told(6000, 3, 16384, 0).rss, 12288);
    assert_int_equal(k->calls[FAKE_RESIDENT], RESIDENCY_READS_PER_SECOND + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_kernel_tells, begin, end),
        cmocka_unit_test_setup_teardown(a_kernel_that_does_not_tell, begin, end),
        cmocka_unit_test_setup_teardown(not_too_often, begin, end),
    };
    return RUN_TESTS(tests);
}
