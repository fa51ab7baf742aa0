/* SPDX-License-Identifier: MIT */
/*
 * Whatever is put in and taken out, each value is found by its key and nothing else is: with keys
 * that all want the same few places, at the end of the table and over it, and while it grows. No
 * change moves more than a few.
 */
#include "tests/unit/support.h"

#include "daemon/util/hash_table.h"

enum { MOST = 600 };

static bool is_in[MOST];
static struct hash_table table;
static uint64_t (*key_of)(int i);

static bool is_it(uint64_t value, const void *sought)
{
    return value == *(const uint64_t *)sought;
}

static struct hash_slot *find(int i)
{
    const uint64_t value = (uint64_t)i;
    return hash_table_find(&table, key_of(i), is_it, &value);
}

static void check(void)
{
    size_t count = 0;
    for (int i = 0; i < MOST; i++) {
        const struct hash_slot *found = find(i);
        assert_int_equal(found != NULL, is_in[i]);
        assert_true(!found || (found->key == key_of(i) && found->value == (uint64_t)i));
        count += is_in[i];
    }
    assert_int_equal(table.count, count);
}

/* Slots of the smaller table that may still have an entry. */
static size_t unmoved(void)
{
    return table.before.capacity - table.moved;
}

static void toggle(int i)
{
    const size_t left = unmoved();
    if (is_in[i]) {
        hash_table_take(&table, find(i));
        assert_true(left - unmoved() <= HASH_TABLE_STEP);
    } else {
        const size_t capacity = table.now.capacity;
        assert_int_equal(hash_table_reserve(&table, 1), 0);
        if (table.now.capacity > capacity) {
            assert_int_equal(left, 0);
            assert_int_equal(table.moved, 0);
        }
        const size_t now_left = unmoved();
        hash_table_put(&table, key_of(i), (uint64_t)i);
        assert_true(now_left - unmoved() <= HASH_TABLE_STEP);
    }
    is_in[i] = !is_in[i];
}

/* Toggles at random, among the first FEW for the most part: chains form and break. */
static void come_and_go(uint64_t (*key)(int), int few)
{
    uint32_t random = 1;
    memset(is_in, 0, sizeof(is_in));
    key_of = key;
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
    hash_table_deinit(&table);
    assert_int_equal(table.now.capacity, 0);
}

/* A key whose place is that, in a table that is so large. */
static uint64_t key_for(uint64_t place)
{
    return (place << 32) * UINT64_C(0xF1DE83E19937733D);
}

static uint64_t all_the_same(int i)
{
    (void)i;
    return key_for(63); /* the last place of the first table */
}

static uint64_t around_the_end(int i)
{
    return key_for(60 + (uint64_t)i % 7); /* 64 to 66 are places 0 to 2 */
}

static uint64_t each_its_own(int i)
{
    return key_for((uint64_t)i + 1);
}

static uint64_t far_apart(int i)
{
    return (uint64_t)i + 1;
}

TEST(one_key_for_all)
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
    key_of = far_apart;
    memset(is_in, 0, sizeof(is_in));
    for (int i = 0; i < MOST; i++) {
        toggle(i);
        check();
        assert_true(table.count <= table.now.capacity / 4 * 3);
    }
    assert_int_equal(table.now.capacity, 1024);
    hash_table_deinit(&table);
}

/* While the smaller table has entries: they go from it, come into the larger, and change. */
TEST(changes_while_it_grows)
{
    for (int first = 0; first < 48; first++) {
        memset(is_in, 0, sizeof(is_in));
        key_of = around_the_end;
        for (int i = 0; i < 49; i++)
            toggle(i);
        assert_non_null(table.before.slots);
        for (int i = first; i < 48; i += 5) {
            toggle(i);
            check();
            toggle(i);
            check();
        }
        for (int i = 0; i < 49; i++)
            if (i % 3 == 0)
                toggle(i);
        check();
        assert_null(table.before.slots);
        hash_table_deinit(&table);
    }
}

TEST(a_value_may_be_changed_wherever_it_is)
{
    key_of = far_apart;
    for (uint64_t i = 1; i <= 49; i++) {
        assert_int_equal(hash_table_reserve(&table, 1), 0);
        hash_table_put(&table, i, 0);
    }
    assert_non_null(table.before.slots);
    for (uint64_t i = 1; i <= 49; i++)
        hash_table_find(&table, i, NULL, NULL)->value = 7 * i;
    for (uint64_t i = 50; i <= 90; i++) {
        assert_int_equal(hash_table_reserve(&table, 1), 0);
        hash_table_put(&table, i, 7 * i);
        for (uint64_t j = 1; j <= i; j++)
            assert_int_equal(hash_table_find(&table, j, NULL, NULL)->value, 7 * j);
    }
    assert_null(table.before.slots);
    hash_table_deinit(&table);
}

TEST(very_many_at_once_while_it_grows)
{
    for (uint64_t i = 1; i <= 49; i++) {
        assert_int_equal(hash_table_reserve(&table, 1), 0);
        hash_table_put(&table, i, i);
    }
    assert_non_null(table.before.slots);
    assert_int_equal(hash_table_reserve(&table, 5000), 0);
    for (uint64_t i = 1; i <= 49; i++)
        assert_int_equal(hash_table_find(&table, i, NULL, NULL)->value, i);
    assert_int_equal(table.count, 49);
    const size_t capacity = table.now.capacity;
    for (uint64_t i = 50; i < 5050; i++)
        hash_table_put(&table, i, i);
    for (uint64_t i = 1; i < 5050; i++)
        assert_int_equal(hash_table_find(&table, i, NULL, NULL)->value, i);
    assert_int_equal(table.now.capacity, capacity);
    assert_int_equal(hash_table_reserve(&table, SIZE_MAX / 4), -12); /* ENOMEM */
    assert_int_equal(table.now.capacity, capacity);
    hash_table_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key_for_all),
        cmocka_unit_test(over_the_end_of_the_table),
        cmocka_unit_test(a_place_for_each),
        cmocka_unit_test(spread),
        cmocka_unit_test(it_grows_before_it_is_full),
        cmocka_unit_test(changes_while_it_grows),
        cmocka_unit_test(a_value_may_be_changed_wherever_it_is),
        cmocka_unit_test(very_many_at_once_while_it_grows),
    };
    return RUN_TESTS(tests);
}
