/* SPDX-License-Identifier: MIT */
/*
 * Whatever is put in and taken out, each segment is found by its hash and nothing else is: with
 * hashes that all want the same few places, at the end of the table and over it.
 */
#include "tests/unit/support.h"

#include "daemon/core/segment.h"
#include "daemon/core/segment_index.h"

enum { MOST = 600 };

static struct segment segments[MOST];
static bool is_in[MOST];
static struct segment_index table;
static uint64_t (*hash_of)(int i);

static bool is_it(const struct segment *segment, const void *sought)
{
    return segment == sought;
}

static void check(void)
{
    size_t count = 0;
    for (int i = 0; i < MOST; i++) {
        struct segment *found = segment_index_find(&table, hash_of(i), is_it, &segments[i]);
        assert_ptr_equal(found, is_in[i] ? &segments[i] : NULL);
        count += is_in[i];
    }
    assert_int_equal(table.count, count);
}

static void toggle(int i)
{
    if (is_in[i]) {
        segment_index_take(&table, hash_of(i), &segments[i]);
    } else {
        assert_int_equal(segment_index_reserve(&table, 1), 0);
        segment_index_put(&table, hash_of(i), &segments[i]);
    }
    is_in[i] = !is_in[i];
}

/* Toggles at random, among the first FEW for the most part: chains form and break. */
static void come_and_go(uint64_t (*hash)(int), int few)
{
    uint32_t random = 1;
    memset(is_in, 0, sizeof(is_in));
    hash_of = hash;
    check();
    for (int step = 0; step < 4000; step++) {
        random = random * 1664525 + 1013904223;
        toggle((int)((random >> 8) % (step < 3000 ? (unsigned)few : MOST)));
        if (step % 7 == 0)
            check();
    }
    for (int i = 0; i < MOST; i++)
        if (is_in[i])
            toggle(i);
    check();
    segment_index_deinit(&table);
    assert_int_equal(table.capacity, 0);
}

static uint64_t all_the_same(int i)
{
    (void)i;
    return 63; /* the last place of the first table */
}

static uint64_t around_the_end(int i)
{
    return 60 + (uint64_t)i % 7; /* 64 to 66 are places 0 to 2 */
}

static uint64_t each_its_own(int i)
{
    return (uint64_t)i;
}

static uint64_t far_apart(int i)
{
    return (uint64_t)i * 0x9E3779B97F4A7C15;
}

TEST(one_hash_for_all)
{
    come_and_go(all_the_same, 40);
}

TEST(over_the_end_of_the_table)
{
    come_and_go(around_the_end, 40);
}

TEST(a_place_for_each)
{
    come_and_go(each_its_own, 48);
}

TEST(spread)
{
    come_and_go(far_apart, 100);
}

TEST(it_grows_before_it_is_full)
{
    hash_of = far_apart;
    memset(is_in, 0, sizeof(is_in));
    for (int i = 0; i < MOST; i++) {
        toggle(i);
        assert_true(table.count <= table.capacity / 4 * 3);
    }
    assert_int_equal(table.capacity, 1024);
    segment_index_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_hash_for_all),           cmocka_unit_test(over_the_end_of_the_table),
        cmocka_unit_test(a_place_for_each),           cmocka_unit_test(spread),
        cmocka_unit_test(it_grows_before_it_is_full),
    };
    return RUN_TESTS(tests);
}
