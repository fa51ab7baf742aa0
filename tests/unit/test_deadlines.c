/* SPDX-License-Identifier: MIT */
/*
 * Deadlines pass in their order, each once, whatever is set, moved and cleared in between; and one
 * that a call sets anew, due at once, does not go round for ever.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/deadlines.h"

static bool no_memory;

void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    return no_memory ? NULL : __real_reallocarray(old, n, size);
}

static struct deadlines d;
static struct work work;
static int64_t now_us, step_us;
static int64_t passed_at[4096];
static size_t n_passed;

static int64_t monotonic_us(void *context)
{
    (void)context;
    return now_us += step_us;
}

static const struct clock_ops clock_ops = {.monotonic_us = monotonic_us};

static int begin(void **state)
{
    (void)state;
    step_us = 0;
    work_init(&work, (struct clock){&clock_ops, NULL}, 2000);
    deadlines_init(&d);
    n_passed = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    no_memory = false;
    deadlines_deinit(&d);
    return 0;
}

static void note(struct deadline *deadline, void *context)
{
    assert_ptr_equal(context, &d);
    assert_int_equal(deadline->place, 0);
    passed_at[n_passed++] = deadline->at_ms;
}

static void set(struct deadline *deadline, int64_t at_ms)
{
    assert_int_equal(deadlines_set(&d, deadline, at_ms, note), 0);
}

static void check_heap(void)
{
    for (size_t i = 0; i < d.count; i++) {
        assert_int_equal(d.heap[i]->place, i + 1);
        if (i > 0)
            assert_true(d.heap[(i + 1) / 2 - 1]->at_ms <= d.heap[i]->at_ms);
    }
    assert_int_equal(deadlines_next(&d), d.count > 0 ? d.heap[0]->at_ms : -1);
}

TEST(none)
{
    struct deadline one = {0};
    assert_int_equal(deadlines_next(&d), -1);
    deadlines_run(&d, INT64_MAX, &work, &d);
    deadlines_clear(&d, &one);
    assert_int_equal(n_passed, 0);
}

TEST(one)
{
    struct deadline one = {0};
    set(&one, 100);
    assert_int_equal(deadlines_next(&d), 100);
    deadlines_run(&d, 99, &work, &d);
    assert_int_equal(n_passed, 0);
    deadlines_run(&d, 100, &work, &d);
    assert_int_equal(n_passed, 1);
    deadlines_run(&d, 1000, &work, &d);
    assert_int_equal(n_passed, 1);
    assert_int_equal(deadlines_next(&d), -1);
    set(&one, 200);
    set(&one, 50); /* moved */
    assert_int_equal(d.count, 1);
    assert_int_equal(deadlines_next(&d), 50);
    deadlines_clear(&d, &one);
    assert_int_equal(deadlines_next(&d), -1);
    deadlines_run(&d, 1000, &work, &d);
    assert_int_equal(n_passed, 1);
}

TEST(any_order)
{
    enum { N = 500, ROUNDS = 20000 };
    static struct deadline all[N];
    uint64_t random = 1;
    memset(all, 0, sizeof(all));
    for (int i = 0; i < ROUNDS; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        struct deadline *one = &all[(random >> 33) % N];
        if ((random >> 60) < 5)
            deadlines_clear(&d, one);
        else
            set(one, (int64_t)((random >> 20) % 1000));
        if (i % 64 == 0)
            check_heap();
    }
    size_t count = d.count;
    assert_true(count > 100);
    deadlines_run(&d, 500, &work, &d);
    for (size_t i = 0; i < n_passed; i++)
        assert_true(passed_at[i] <= 500 && (i == 0 || passed_at[i - 1] <= passed_at[i]));
    assert_int_equal(n_passed + d.count, count);
    assert_true(deadlines_next(&d) > 500);
    check_heap();
    deadlines_run(&d, 1000, &work, &d);
    assert_int_equal(n_passed, count);
    assert_int_equal(d.count, 0);
}

TEST(until_the_share_is_over)
{
    static struct deadline all[8];
    memset(all, 0, sizeof(all));
    for (int i = 0; i < 8; i++)
        set(&all[i], i);
    step_us = SHARE_US / 2;
    for (size_t shares = 1; shares <= 4; shares++) {
        work_begin_share(&work, SHARE_US);
        deadlines_run(&d, 100, &work, &d);
        work_end_share(&work, false);
        assert_int_equal(n_passed, 2 * shares);
    }
    assert_int_equal(deadlines_next(&d), -1);
}

static struct deadline other;

static void set_again(struct deadline *deadline, void *context)
{
    note(deadline, context);
    assert_int_equal(deadlines_set(&d, deadline, 1, set_again), 0);
    deadlines_clear(&d, &other);
}

TEST(set_and_cleared_by_a_call)
{
    struct deadline one = {0};
    other = (struct deadline){0};
    assert_int_equal(deadlines_set(&d, &one, 1, set_again), 0);
    set(&other, 2);
    deadlines_run(&d, 10, &work, &d);
    assert_int_equal(n_passed, 2); /* as many as there were when it began */
    assert_int_equal(passed_at[0] + passed_at[1], 2);
    assert_int_equal(other.place, 0);
    assert_int_equal(deadlines_next(&d), 1);
    deadlines_clear(&d, &one);
}

TEST(no_memory_to_set_one)
{
    static struct deadline all[17];
    memset(all, 0, sizeof(all));
    no_memory = true;
    assert_int_equal(deadlines_set(&d, &all[0], 5, note), -ENOMEM);
    assert_int_equal(all[0].place, 0);
    no_memory = false;
    for (int i = 0; i < 16; i++)
        set(&all[i], 10 + i);
    no_memory = true;
    assert_int_equal(deadlines_set(&d, &all[16], 5, note), -ENOMEM);
    assert_int_equal(deadlines_next(&d), 10);
    /* One that is set can always be moved, and one that was cleared leaves its place. */
    set(&all[15], 5);
    assert_int_equal(deadlines_next(&d), 5);
    deadlines_clear(&d, &all[3]);
    set(&all[16], 4);
    assert_int_equal(deadlines_next(&d), 4);
    check_heap();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(none),
        CASE(one),
        CASE(any_order),
        CASE(until_the_share_is_over),
        CASE(set_and_cleared_by_a_call),
        CASE(no_memory_to_set_one),
    };
    return RUN_TESTS(tests);
}
