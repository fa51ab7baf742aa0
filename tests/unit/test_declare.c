/* Segments of configuration files: made sure of, never changed, never removed. */
#include "tests/unit/core_case.h"

#include "daemon/core/declare.h"

static bool created;

#define DECLARE(...)                                                                               \
    declare_segment(&f->core, &(const struct create_params){__VA_ARGS__}, &created, &f->detail)

TEST(a_missing_one)
{
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB),
                             .mode = GIVEN(0664), .gid = GIVEN(VIDEO)),
                     0);
    assert_true(created);
    const struct segment *s = fixture_record(f, "a");
    assert_true(s->declared);
    assert_int_equal(s->creator.uid, DAEMON);
    assert_int_equal(s->creator.pid, DAEMON_PID);
    assert_string_equal(s->creator.comm, "shmd");
    assert_int_equal(fixture_kernel(f, "a")->uid, BOB);
    assert_int_equal(fixture_kernel(f, "a")->gid, VIDEO);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "created:a");
}

TEST(one_that_is_there)
{
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), 0);
    turn_ends();
    (void)core_fixture_told(f);
    struct segment *s = fixture_record(f, "a");
    declare_none(&f->core);
    assert_false(s->declared);
    /* It is left as it is, whatever the file says now. */
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(100), .mode = GIVEN(0666)), 0);
    assert_false(created);
    assert_true(s->declared);
    assert_int_equal(fixture_kernel(f, "a")->mode, 0600);
    assert_false(turn_is_due(&f->core));
    /* Over a restart, too. */
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    assert_false(fixture_record(f, "a")->declared);
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), 0);
    assert_false(created);
    assert_true(fixture_record(f, "a")->declared);
}

TEST(no_longer_declared)
{
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), 0);
    turn_ends();
    declare_none(&f->core);
    turn_ends();
    assert_non_null(fixture_record(f, "a")); /* it is not removed */
}

TEST(too_small)
{
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), 0);
    turn_ends();
    declare_none(&f->core);
    created = true;
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4097)), OUTCOME_SIZE_MISMATCH);
    assert_int_equal(f->detail.size, 4096);
    assert_int_equal(f->detail.requested, 4097);
    assert_true(created); /* untouched */
    assert_false(fixture_record(f, "a")->declared);
}

TEST(anothers)
{
    (void)fixture_made(f, &alice, "a", LIFETIME_PERSISTENT);
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(1)), OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(f->detail.serial, fixture_record(f, "a")->serial);
    assert_int_equal(f->detail.shmid, fixture_record(f, "a")->shmid);
    assert_false(fixture_record(f, "a")->declared);
    (void)fixture_made(f, &root, "b", LIFETIME_PERSISTENT);
    assert_int_equal(DECLARE(.name = "b", .size = GIVEN(1)), 0);
    assert_false(created);
}

TEST(gone_and_made_anew)
{
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), 0);
    turn_ends();
    fake_sysv_remove_as(f->k, fixture_record(f, "a")->shmid);
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), 0);
    assert_true(created);
    turn_ends();
    core_fixture_check_kernel(f);
}

TEST(refusals)
{
    f->k->shmmni = 0;
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), OUTCOME_LIMIT_REACHED);
    assert_string_equal(f->detail.what, "kernel.shmmni");
    f->k->shmmni = 10;
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), 0);
    turn_ends();
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096)), -EIO);
}

TEST(what_needs_a_process)
{
    /* The daemon is nobody's peer: there is no socket, so it can hold nothing. */
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096), .lifetime = GIVEN(LIFETIME_PROCESS)),
                     -EBADF);
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_false(turn_is_due(&f->core));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_missing_one),      CASE(one_that_is_there),
        CASE(no_longer_declared), CASE(too_small),
        CASE(anothers),           CASE(gone_and_made_anew),
        CASE(refusals),           CASE(what_needs_a_process),
    };
    return RUN_TESTS(tests);
}
