/* Segments of configuration files: made sure of, never changed, never removed. */
#include "tests/unit/core_case.h"

#include "daemon/core/create.h"
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
    assert_false(core_turn_is_due(&f->core));
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

/* A segment of that key that is not the daemon's. */
static int32_t made_elsewhere(uint32_t key)
{
    const struct fake_process other = {BOB, BOBS, 50};
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(f->k, &other, &(struct sysv_create){.key = key, .size = 1},
                                         0600, &shmid),
                     0);
    return shmid;
}

TEST(by_key_alone)
{
    assert_int_equal(DECLARE(.key = GIVEN(77), .size = GIVEN(4096)), 0);
    assert_true(created);
    const struct segment *s = registry_by_key(&f->core.registry, 77);
    assert_non_null(s);
    assert_null(s->name);
    assert_true(s->declared);
    turn_ends();
    (void)core_fixture_told(f);
    declare_none(&f->core);
    assert_int_equal(DECLARE(.key = GIVEN(77), .size = GIVEN(100), .mode = GIVEN(0666)), 0);
    assert_false(created);
    assert_true(s->declared);
    assert_int_equal(DECLARE(.key = GIVEN(77), .size = GIVEN(4097)), OUTCOME_SIZE_MISMATCH);
    assert_false(core_turn_is_due(&f->core));
    /* One that has a name, too. A key may be written as a negative number. */
    assert_int_equal(DECLARE(.name = "a", .key = GIVEN(-2), .size = GIVEN(4096)), 0);
    assert_true(created);
    declare_none(&f->core);
    assert_int_equal(DECLARE(.key = GIVEN(-2), .size = GIVEN(4096)), 0);
    assert_false(created);
    assert_true(fixture_record(f, "a")->declared);
    assert_int_equal(DECLARE(.key = GIVEN(UINT32_MAX - 1), .size = GIVEN(4096)), 0);
    assert_false(created);
}

TEST(the_key_is_anothers)
{
    const struct create_params hers = {.key = GIVEN(77), .size = GIVEN(4096)};
    struct found found;
    assert_int_equal(core_create(&f->core, &alice, &hers, &found, &created, &f->detail), 0);
    turn_ends();
    assert_int_equal(DECLARE(.key = GIVEN(77), .size = GIVEN(1)), OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(f->detail.serial, found.segment->serial);
    assert_false(found.segment->declared);
    int32_t foreign = made_elsewhere(88);
    assert_int_equal(DECLARE(.key = GIVEN(88), .size = GIVEN(1)), OUTCOME_KEY_IN_USE);
    assert_int_equal(f->detail.shmid, foreign);
    assert_int_equal(f->detail.key, 88);
    assert_int_equal(DECLARE(.name = "a", .key = GIVEN(88), .size = GIVEN(1)), OUTCOME_KEY_IN_USE);
    assert_null(fixture_record(f, "a"));
}

TEST(name_and_key_of_two_segments)
{
    assert_int_equal(DECLARE(.name = "a", .key = GIVEN(1), .size = GIVEN(4096)), 0);
    assert_int_equal(DECLARE(.name = "b", .key = GIVEN(2), .size = GIVEN(4096)), 0);
    assert_int_equal(DECLARE(.name = "c", .size = GIVEN(4096)), 0);
    turn_ends();
    int32_t foreign = made_elsewhere(88);
    declare_none(&f->core);
    assert_int_equal(DECLARE(.name = "a", .key = GIVEN(2), .size = GIVEN(4096)),
                     OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(f->detail.serial, fixture_record(f, "b")->serial);
    assert_int_equal(f->detail.shmid, fixture_record(f, "b")->shmid);
    assert_contains(f->detail.hint, "name and key");
    assert_int_equal(DECLARE(.name = "c", .key = GIVEN(1), .size = GIVEN(4096)),
                     OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(DECLARE(.name = "d", .key = GIVEN(1), .size = GIVEN(4096)),
                     OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(DECLARE(.name = "c", .key = GIVEN(88), .size = GIVEN(4096)),
                     OUTCOME_KEY_IN_USE);
    assert_int_equal(f->detail.shmid, foreign);
    for (const char *name = "abc"; *name; name++)
        assert_false(fixture_record(f, (char[]){*name, '\0'})->declared);
    assert_null(fixture_record(f, "d"));
    /* A key that no segment has is no conflict: the segment that has the name is left alone. */
    assert_int_equal(DECLARE(.name = "a", .key = GIVEN(3), .size = GIVEN(4096)), 0);
    assert_int_equal(DECLARE(.name = "b", .key = GIVEN(2), .size = GIVEN(4096)), 0);
    assert_int_equal(DECLARE(.name = "c", .key = GIVEN(0), .size = GIVEN(4096)), 0);
    for (const char *name = "abc"; *name; name++)
        assert_true(fixture_record(f, (char[]){*name, '\0'})->declared);
    assert_int_equal(fixture_record(f, "a")->key, 1);
    assert_false(core_turn_is_due(&f->core));
    /* Whether another segment has the key is not known. */
    fake_sysv_fail(f->k, FAKE_FIND, 1, EIO);
    assert_int_equal(DECLARE(.name = "a", .key = GIVEN(3), .size = GIVEN(4096)), -EIO);
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
    /* The daemon has no socket to itself, so it can hold nothing. */
    assert_int_equal(DECLARE(.name = "a", .size = GIVEN(4096), .lifetime = GIVEN(LIFETIME_PROCESS)),
                     -EBADF);
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_false(core_turn_is_due(&f->core));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_missing_one),
        CASE(one_that_is_there),
        CASE(no_longer_declared),
        CASE(too_small),
        CASE(anothers),
        CASE(gone_and_made_anew),
        CASE(by_key_alone),
        CASE(the_key_is_anothers),
        CASE(name_and_key_of_two_segments),
        CASE(refusals),
        CASE(what_needs_a_process),
    };
    return RUN_TESTS(tests);
}
