/* SPDX-License-Identifier: MIT */
/* What the kernel says of a record, judged; doubt is never taken for an end. */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/verdict.h"

static const struct segment record = {
    .shmid = 32769, .cpid = 100, .cuid = 990, .size = 4096, .state = STATE_READY};
static const struct sysv_stat same = {.shmid = 32769, .cpid = 100, .cuid = 990, .size = 4096};

TEST(looks_that_fail)
{
    static const int unsure[] = {EACCES, EPERM, EIO, ENOMEM, EINTR, ENOSYS};
    assert_int_equal(verdict_of(&record, -ENOENT, &same), VERDICT_GONE);
    for (size_t i = 0; i < sizeof(unsure) / sizeof(unsure[0]); i++)
        assert_int_equal(verdict_of(&record, -unsure[i], &same), VERDICT_INDETERMINATE);
}

TEST(another_segment)
{
    struct sysv_stat kernel = same;
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_MATCH);
    kernel.shmid = 1; /* the slot's segment is of another round */
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_RECYCLED);
    kernel = same;
    kernel.cuid = 0;
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_RECYCLED);
    kernel = same;
    kernel.size = 4095;
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_RECYCLED);
    kernel = same;
    kernel.cpid = 101;
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_RECYCLED);
    /* Destroyed or not. */
    kernel.destroyed = true;
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_RECYCLED);
    /* The creator's pid has no number in this pid namespace. */
    kernel = same;
    kernel.cpid = 0;
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_INDETERMINATE);
    kernel.size = 1;
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_RECYCLED);
    /* What the owner may change says nothing. */
    kernel = same;
    kernel.uid = 1000;
    kernel.gid = 1000;
    kernel.mode = 0;
    kernel.key = 5;
    kernel.nattch = 3;
    kernel.lpid = 7;
    assert_int_equal(verdict_of(&record, 0, &kernel), VERDICT_MATCH);
}

/* As in a new pid namespace, until a look has shown it. */
TEST(a_creator_without_a_number)
{
    struct sysv_stat kernel = same;
    struct segment s = record;
    s.is_unnumbered = true;
    kernel.cpid = 101;
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_MATCH);
    kernel.cpid = 0;
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_MATCH);
    assert_int_equal(verdict_of(&s, -EIO, &kernel), VERDICT_INDETERMINATE);
    kernel.key = 5;
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_RECYCLED);
    s.key = 5;
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_MATCH);
    kernel.key = 0; /* that goes with the mark */
    kernel.destroyed = true;
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_DYING);
    kernel.size = 1;
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_RECYCLED);
}

TEST(marked_for_destruction)
{
    struct sysv_stat kernel = same;
    struct segment s = record;
    kernel.destroyed = true;
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_DYING);
    s.state = STATE_INITIALISING;
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_DYING);
    s.state = STATE_REMOVING; /* by us */
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_MATCH);
    s.state = STATE_READY;
    s.lifetime = LIFETIME_ATTACHED; /* from the start */
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_MATCH);
    kernel.destroyed = false; /* to be marked yet */
    assert_int_equal(verdict_of(&s, 0, &kernel), VERDICT_MATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_that_fail),
        cmocka_unit_test(another_segment),
        cmocka_unit_test(a_creator_without_a_number),
        cmocka_unit_test(marked_for_destruction),
    };
    return RUN_TESTS(tests);
}
