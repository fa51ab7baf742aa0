/* SPDX-License-Identifier: MIT */
/* The map of serials against an array that does the same slowly. */
#include "tests/unit/support.h"

#include "daemon/store/serial_map.h"

enum { SERIALS = 5000, ROUNDS = 60000 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

TEST(it_does_what_an_array_does)
{
    static uint64_t values[SERIALS + 1]; /* 0: not there */
    struct serial_map map = {0};
    uint64_t random_state = 42;
    size_t count = 0;
    assert_null(serial_map_find(&map, 1));
    serial_map_take(&map, 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t serial = next_random(&random_state) % SERIALS + 1;
        uint64_t *found = serial_map_find(&map, serial);
        assert_int_equal(found ? *found : 0, values[serial]);
        if (next_random(&random_state) % 2 == 0) {
            serial_map_take(&map, serial);
            count -= values[serial] != 0;
            values[serial] = 0;
        } else if (found) {
            *found = values[serial] = i + 1;
        } else {
            assert_int_equal(serial_map_reserve(&map, 1), 0);
            serial_map_put(&map, serial, i + 1);
            values[serial] = i + 1;
            count++;
        }
        assert_int_equal(map.table.count, count);
    }
    for (uint64_t serial = 1; serial <= SERIALS; serial++) {
        const uint64_t *found = serial_map_find(&map, serial);
        assert_int_equal(found ? *found : 0, values[serial]);
    }
    assert_null(serial_map_find(&map, 0));
    serial_map_deinit(&map);
}

TEST(room_that_was_reserved_is_there)
{
    struct serial_map map = {0};
    assert_int_equal(serial_map_reserve(&map, 1000), 0);
    size_t capacity = map.table.now.capacity;
    for (uint64_t serial = 1; serial <= 1000; serial++)
        serial_map_put(&map, serial, serial);
    assert_int_equal(map.table.now.capacity, capacity);
    assert_true(map.table.count < map.table.now.capacity);
    assert_int_equal(serial_map_reserve(&map, SIZE_MAX / 4), -12); /* ENOMEM */
    assert_int_equal(map.table.now.capacity, capacity);
    serial_map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_does_what_an_array_does),
        cmocka_unit_test(room_that_was_reserved_is_there),
    };
    return RUN_TESTS(tests);
}
