/* SPDX-License-Identifier: MIT */
/*
 * What is told of a segment's memory: only what the kernel told, from a table that is good for a
 * second unless somebody may have changed it, and not more reads of it than so many in one.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/residency.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_sysv.h"

static struct fake_sysv *k;
static struct fake_clock time_source;
static struct residency r;
static const struct sysv_resident rows[] = {{3, 4096, 8192}, {9, 3 << 20, 0}};

static int begin(void **state)
{
    (void)state;
    k = fake_sysv_new();
    r = (struct residency){0};
    k->resident = rows;
    k->n_resident = 2;
    fake_clock_init(&time_source);
    time_source.real_ms = 50000000;
    time_source.tick_lag_ms = 0;
    return k ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    fake_sysv_free(k);
    return 0;
}

static struct wire_segment told_of(int64_t now_ms, struct wire_segment s)
{
    residency_tell(&r, &k->sysv, &time_source.clock, now_ms, &s);
    return s;
}

static struct wire_segment told(int64_t now_ms, int32_t shmid, uint64_t size, uint64_t huge)
{
    const struct wire_segment s = {.shmid = shmid, .size = size, .huge_page_size = huge};
    return told_of(now_ms, s);
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
    assert_false(told(1, 3, 16384, 0).has_memory);
    assert_int_equal(k->calls[FAKE_RESIDENT], 1);
    fake_sysv_fail(k, FAKE_RESIDENT, 0, 0);
    assert_true(told(1000, 3, 16384, 0).has_memory);
    fake_sysv_fail(k, FAKE_RESIDENT, 0, ENOENT);
    assert_false(told(2000, 3, 16384, 0).has_memory);
}

/* As many as the kernel has, with the slots FIRST and up. */
static void fill(struct sysv_resident many[], size_t n, int32_t first)
{
    for (size_t i = 0; i < n; i++)
        many[i] = (struct sysv_resident){(5 << 15) + first + (int32_t)i, 4096, 0};
    k->resident = many;
    k->n_resident = n;
}

TEST(a_table_is_good_for_a_second)
{
    static struct sysv_resident many[300];
    fill(many, 300, 0);
    for (int64_t ms = 5000; ms < 6000; ms += 50)
        assert_int_equal(told(ms, many[7].shmid, 16384, 0).rss, 4096);
    assert_int_equal(k->calls[FAKE_RESIDENT], 1);
    many[7].rss = 12288;
    assert_int_equal(told(5999, many[7].shmid, 16384, 0).rss, 4096);
    assert_int_equal(told(6000, many[7].shmid, 16384, 0).rss, 12288);
    assert_int_equal(k->calls[FAKE_RESIDENT], 2);
}

/* Who writes to it changes it at once. */
TEST(what_somebody_may_have_changed)
{
    static struct sysv_resident many[200];
    const int64_t read_at_ms = time_source.real_ms;
    const struct wire_segment attached = {.shmid = (5 << 15) + 7, .size = 16384, .nattch = 1};
    struct wire_segment detached = attached, before = attached;
    detached.nattch = before.nattch = 0;
    detached.detached_at_ms = read_at_ms;
    before.attached_at_ms = before.detached_at_ms = read_at_ms - 1000;
    fill(many, 200, 0);
    (void)told_of(5000, attached);
    many[7].rss = 12288;
    assert_int_equal(told_of(5000, before).rss, 4096);
    assert_int_equal(told_of(5000, attached).rss, 12288);
    many[7].rss = 8192;
    assert_int_equal(told_of(5000, detached).rss, 8192);
    assert_int_equal(k->calls[FAKE_RESIDENT], 3);
}

/* However few segments there are: the table costs more than the answer. */
TEST(a_flood_of_questions_about_one_in_use)
{
    const struct wire_segment attached = {.shmid = 3, .size = 16384, .nattch = 1};
    for (int i = 0; i < 1000; i++)
        (void)told_of(5000, attached);
    assert_int_equal(k->calls[FAKE_RESIDENT], RESIDENCY_READS_PER_SECOND);
    (void)told_of(5000 + RESIDENCY_IN_USE_MS - 1, attached);
    assert_int_equal(k->calls[FAKE_RESIDENT], RESIDENCY_READS_PER_SECOND);
    (void)told_of(5000 + RESIDENCY_IN_USE_MS, attached);
    assert_int_equal(k->calls[FAKE_RESIDENT], RESIDENCY_READS_PER_SECOND + 1);
    for (int us = 33000; us < 1000000; us += 50)
        (void)told_of(5000 + us / 1000, attached);
    assert_true(k->calls[FAKE_RESIDENT] <= 2 * RESIDENCY_READS_PER_SECOND);
}

TEST(a_segment_newer_than_the_table)
{
    static const struct sysv_resident later[] = {{3, 12288, 0}, {9, 3 << 20, 0}, {11, 8192, 0}};
    (void)told(5000, 3, 16384, 0);
    k->resident = later;
    k->n_resident = 3;
    assert_int_equal(told(5001, 11, 16384, 0).rss, 8192);
    assert_int_equal(k->calls[FAKE_RESIDENT], 2);
    assert_int_equal(told(5002, 11, 16384, 0).rss, 8192);
    assert_int_equal(told(6000, 3, 16384, 0).rss, 12288); /* as old as that table */
    assert_int_equal(k->calls[FAKE_RESIDENT], 2);
    (void)told(6001, 3, 16384, 0);
    assert_int_equal(k->calls[FAKE_RESIDENT], 3);
}

TEST(many_that_are_newer)
{
    for (int32_t i = 0; i < 1000; i++)
        assert_false(told(5000 + i, 100 + i, 16384, 0).has_memory);
    assert_int_equal(k->calls[FAKE_RESIDENT], RESIDENCY_READS_PER_SECOND);
    assert_true(told(5999, 3, 16384, 0).has_memory);
    assert_int_equal(k->calls[FAKE_RESIDENT], RESIDENCY_READS_PER_SECOND);
    assert_false(told(6000, 2000, 16384, 0).has_memory);
    assert_int_equal(k->calls[FAKE_RESIDENT], RESIDENCY_READS_PER_SECOND + 1);
}

TEST(a_table_too_long)
{
    static struct sysv_resident many[300];
    const int32_t newer = (6 << 15) + 4;
    fill(many, 300, 10);
    /* Far down in it: another look would not show it. */
    for (int64_t ms = 5000; ms < 5010; ms++)
        assert_false(told(ms, many[280].shmid, 16384, 0).has_memory);
    assert_int_equal(k->calls[FAKE_RESIDENT], 1);
    /* What has come into a slot before the last that is told would be shown. */
    many[0].shmid = newer;
    assert_true(told(5010, newer, 16384, 0).has_memory);
    assert_int_equal(k->calls[FAKE_RESIDENT], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_kernel_tells, begin, end),
        cmocka_unit_test_setup_teardown(a_kernel_that_does_not_tell, begin, end),
        cmocka_unit_test_setup_teardown(a_table_is_good_for_a_second, begin, end),
        cmocka_unit_test_setup_teardown(what_somebody_may_have_changed, begin, end),
        cmocka_unit_test_setup_teardown(a_flood_of_questions_about_one_in_use, begin, end),
        cmocka_unit_test_setup_teardown(a_segment_newer_than_the_table, begin, end),
        cmocka_unit_test_setup_teardown(many_that_are_newer, begin, end),
        cmocka_unit_test_setup_teardown(a_table_too_long, begin, end),
    };
    return RUN_TESTS(tests);
}
