/* SPDX-License-Identifier: MIT */
/*
 * `wait`: at once, after the commit, or with the reason why not; each waiter is answered exactly
 * once, and by nothing that was taken back.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/wait.h"
#include "daemon/util/container_of.h"
#include "tests/fakes/fake_memory.h"

struct waiting {
    struct waiter waiter;
    unsigned answers;
    int outcome;
    struct found found;
    struct outcome_detail detail;
};

static struct waiting a, b, c;

static void answered(struct waiter *waiter, const char *name, int outcome,
                     const struct found *found, const struct outcome_detail *detail)
{
    struct waiting *w = container_of(waiter, struct waiting, waiter);
    assert_non_null(name);
    assert_null(waiter->name); /* it waits no more */
    assert_int_equal(waiter->timeout.place, 0);
    w->answers++;
    w->outcome = outcome;
    if (outcome == 0)
        w->found = *found;
    w->detail = *detail;
}

static int begin(void **state)
{
    (void)core_begin(state);
    struct waiting *const all[] = {&a, &b, &c};
    for (size_t i = 0; i < 3; i++) {
        *all[i] = (struct waiting){0};
        all[i]->waiter.answer = answered;
    }
    return 0;
}

static int end(void **state)
{
    struct waiting *const all[] = {&a, &b, &c};
    for (size_t i = 0; i < 3; i++)
        wait_cancel(&f->core, &all[i]->waiter);
    assert_int_equal(f->core.waiters.count, 0);
    for (size_t i = 0; i < WAITER_BUCKETS; i++)
        assert_true(LIST_EMPTY(&f->core.waiters.by_name[i]));
    return core_end(state);
}

#define WAIT(who, w, ...)                                                                          \
    core_wait(&f->core, who, &(const struct wait_params){__VA_ARGS__}, &(w)->waiter, &f->found,    \
              &f->detail)

static int create(struct caller *who, const char *name, uint32_t mode, bool ready)
{
    const struct create_params p = {
        .name = name, .size = GIVEN(1), .mode = GIVEN(mode), .ready = GIVEN(ready)};
    return fixture_create(f, who, &p);
}

TEST(ready_already)
{
    struct segment *s = fixture_made(f, &alice, "x", LIFETIME_PERSISTENT);
    assert_int_equal(WAIT(&alice, &a, .name = "x"), 0);
    assert_ptr_equal(f->found.segment, s);
    assert_int_equal(f->core.waiters.count, 0);
    turn_ends();
    assert_int_equal(a.answers, 0); /* the answer was given */
}

TEST(for_one_to_come)
{
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "y"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&bob, &c, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(f->core.waiters.count, 3);
    assert_int_equal(create(&alice, "x", 0644, true), 0);
    assert_int_equal(a.answers, 0); /* not before it is recorded */
    turn_ends();
    assert_int_equal(a.answers, 1);
    assert_int_equal(a.outcome, 0);
    assert_string_equal(a.found.segment->name, "x");
    assert_int_equal(c.answers, 1);
    assert_int_equal(c.outcome, 0);
    assert_int_equal(b.answers, 0);
    assert_int_equal(f->core.waiters.count, 1);
}

TEST(for_one_to_be_ready)
{
    assert_int_equal(create(&alice, "x", 0600, false), 0);
    turn_ends();
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    const struct set_params mode = {.mode = GIVEN(0640)};
    assert_int_equal(fixture_set(f, &alice, "x", &mode), 0);
    turn_ends();
    assert_int_equal(a.answers, 0); /* another change is not it */
    assert_int_equal(fixture_ready(f, "x"), 0);
    turn_ends();
    assert_int_equal(a.answers, 1);
    assert_int_equal(a.outcome, 0);
    assert_int_equal(a.found.kernel.mode, 0640);
}

TEST(one_renamed_or_adopted_comes_too)
{
    (void)fixture_made(f, &alice, "old", LIFETIME_PERSISTENT);
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "y"), OUTCOME_WAITING);
    const struct set_params named = {.new_name = "x"};
    assert_int_equal(fixture_set(f, &alice, "old", &named), 0);
    const struct fake_process creator = {ALICE, ALICES, 1};
    int32_t shmid;
    assert_int_equal(
        fake_sysv_create_as(f->k, &creator, &(struct sysv_create){.size = 10}, 0600, &shmid), 0);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    const struct adopt_params p = {.shmid = GIVEN(shmid), .name = "y"};
    assert_int_equal(fixture_adopt(f, &alice, &p), 0);
    turn_ends();
    assert_int_equal(a.answers, 1);
    assert_int_equal(b.answers, 1);
    assert_int_equal(b.found.segment->shmid, shmid);
}

TEST(the_initialiser_dies)
{
    assert_int_equal(create(&bob, "x", 0644, false), 0);
    assert_int_equal(create(&bob, "y", 0644, false), 0);
    turn_ends();
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &c, .name = "z"), OUTCOME_WAITING);
    core_fixture_kill(f, 2);
    turn_ends();
    assert_int_equal(a.answers, 1);
    assert_int_equal(a.outcome, OUTCOME_INITIALISER_DIED);
    assert_int_equal(b.outcome, OUTCOME_INITIALISER_DIED);
    assert_int_equal(c.answers, 0);
}

TEST(removed_otherwise)
{
    /* The waiter waits on: another may come. */
    assert_int_equal(create(&bob, "x", 0644, false), 0);
    turn_ends();
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(fixture_remove(f, "x"), 0);
    turn_ends();
    assert_int_equal(a.answers, 0);
    assert_int_equal(create(&alice, "x", 0644, true), 0);
    turn_ends();
    assert_int_equal(a.answers, 1);
    assert_int_equal(a.outcome, 0);
}

TEST(created_and_removed_in_a_turn)
{
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(create(&alice, "x", 0644, true), 0);
    assert_int_equal(fixture_remove(f, "x"), 0);
    turn_ends();
    assert_int_equal(a.answers, 0);
    /* There when its event is told, and gone before it is looked at. */
    assert_int_equal(create(&alice, "x", 0644, true), 0);
    fake_sysv_remove_as(f->k, f->found.segment->shmid);
    turn_ends();
    assert_int_equal(a.answers, 0);
    turn_ends();
}

TEST(a_creation_that_is_refused)
{
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    store_will_fail();
    assert_int_equal(create(&alice, "x", 0644, true), OUTCOME_STORE_FAILURE);
    turn_ends();
    assert_int_equal(a.answers, 0);
    assert_int_equal(f->core.waiters.count, 1);
    assert_int_equal(create(&alice, "x", 0644, true), 0);
    turn_ends();
    assert_int_equal(a.answers, 1);
}

TEST(rights)
{
    (void)fixture_made(f, &bob, "x", LIFETIME_PERSISTENT);
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "read");
    assert_int_equal(WAIT(&alice, &a, .name = "y"), OUTCOME_WAITING);
    assert_int_equal(create(&bob, "y", 0600, true), 0);
    turn_ends();
    assert_int_equal(a.answers, 1);
    assert_int_equal(a.outcome, OUTCOME_PERMISSION_DENIED);
    assert_string_equal(a.detail.what, "read");
}

TEST(whose_it_is)
{
    assert_int_equal(create(&bob, "y", 0644, true), 0);
    assert_int_equal(WAIT(&alice, &a, .name = "y", .owner = GIVEN(ALICE)),
                     OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "owner");
    assert_int_equal(WAIT(&alice, &a, .name = "y", .owner = GIVEN(BOB)), 0);
    /* And when it comes later. */
    assert_int_equal(WAIT(&alice, &a, .name = "z", .owner = GIVEN(ALICE)), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "z", .owner = GIVEN(BOB)), OUTCOME_WAITING);
    assert_int_equal(create(&bob, "z", 0644, true), 0);
    turn_ends();
    assert_int_equal(a.outcome, OUTCOME_PERMISSION_DENIED);
    assert_string_equal(a.detail.what, "owner");
    assert_int_equal(b.answers, 1);
    assert_int_equal(b.outcome, 0);
}

TEST(timeouts)
{
    assert_int_equal(WAIT(&alice, &a, .name = "x", .timeout_ms = GIVEN(0)), OUTCOME_TIMED_OUT);
    assert_int_equal(f->detail.timeout_ms, 0);
    assert_int_equal(WAIT(&alice, &a, .name = "x", .timeout_ms = GIVEN(1000)), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "x", .timeout_ms = GIVEN(1001)), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &c, .name = "x"), OUTCOME_WAITING);
    core_fixture_pass(f, 999);
    f->clock.real_ms += 86400000; /* the wall clock says nothing */
    assert_int_equal(a.answers, 0);
    core_fixture_pass(f, 1);
    assert_int_equal(a.answers, 1);
    assert_int_equal(a.outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(a.detail.timeout_ms, 1000);
    assert_int_equal(b.answers, 0);
    /* In time after all. */
    assert_int_equal(create(&alice, "x", 0644, true), 0);
    turn_ends();
    assert_int_equal(b.outcome, 0);
    core_fixture_pass(f, 10000);
    assert_int_equal(a.answers + b.answers + c.answers, 3);
    assert_int_equal(c.outcome, 0);
}

TEST(cancelled)
{
    assert_int_equal(WAIT(&alice, &a, .name = "x", .timeout_ms = GIVEN(10)), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &c, .name = "x"), OUTCOME_WAITING);
    wait_cancel(&f->core, &b.waiter); /* in the middle */
    wait_cancel(&f->core, &b.waiter);
    wait_cancel(&f->core, &a.waiter);
    assert_int_equal(f->core.waiters.count, 1);
    core_fixture_pass(f, 100);
    assert_int_equal(create(&alice, "x", 0644, true), 0);
    turn_ends();
    assert_int_equal(a.answers + b.answers, 0);
    assert_int_equal(c.answers, 1);
    /* The same waiter may wait again. */
    assert_int_equal(WAIT(&alice, &a, .name = "y", .timeout_ms = GIVEN(10)), OUTCOME_WAITING);
    core_fixture_pass(f, 10);
    assert_int_equal(a.outcome, OUTCOME_TIMED_OUT);
}

TEST(too_many)
{
    FIXTURE_LIMIT(f, max_waiters, 2);
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &c, .name = "x"), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_waiters");
    assert_int_equal(f->detail.used, 2);
    assert_int_equal(f->detail.max, 2);
    (void)fixture_made(f, &alice, "y", LIFETIME_PERSISTENT);
    assert_int_equal(WAIT(&alice, &c, .name = "y"), 0); /* which need not wait */
}

TEST(too_many_of_one_uid)
{
    FIXTURE_LIMIT(f, max_waiters_per_uid, 1);
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "y"), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_waiters_per_uid");
    assert_int_equal(WAIT(&bob, &b, .name = "y"), OUTCOME_WAITING);
    /* Each gives its place back once. */
    wait_cancel(&f->core, &a.waiter);
    assert_int_equal(WAIT(&alice, &c, .name = "y"), OUTCOME_WAITING);
}

TEST(the_daemon_ends)
{
    assert_int_equal(WAIT(&alice, &a, .name = "x", .timeout_ms = GIVEN(10)), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "y"), OUTCOME_WAITING);
    wait_end_all(&f->core, OUTCOME_SHUTTING_DOWN);
    assert_int_equal(a.outcome, OUTCOME_SHUTTING_DOWN);
    assert_int_equal(b.outcome, OUTCOME_SHUTTING_DOWN);
    assert_int_equal(f->core.deadlines.count, 0);
}

TEST(a_kernel_that_does_not_tell)
{
    (void)fixture_made(f, &alice, "x", LIFETIME_PERSISTENT);
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    assert_int_equal(WAIT(&alice, &a, .name = "x"), -EIO);
    assert_int_equal(WAIT(&alice, &a, .name = "y"), OUTCOME_WAITING);
    assert_int_equal(create(&alice, "y", 0600, true), 0);
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    turn_ends();
    assert_int_equal(a.outcome, -EIO);
}

TEST(no_memory)
{
    for (unsigned long n = 1; n <= 2; n++) {
        fake_memory_fail(n);
        assert_int_equal(WAIT(&alice, &a, .name = "x", .timeout_ms = GIVEN(10)), -ENOMEM);
        assert_true(fake_memory_restore());
        assert_null(a.waiter.name);
        assert_int_equal(f->core.waiters.count, 0);
        assert_int_equal(f->core.deadlines.count, 0);
    }
}

TEST(no_memory_to_tell_of_it)
{
    const struct set_params named = {.new_name = "x"};
    (void)fixture_made(f, &alice, "old", LIFETIME_PERSISTENT);
    assert_int_equal(WAIT(&alice, &a, .name = "x"), OUTCOME_WAITING);
    assert_int_equal(WAIT(&alice, &b, .name = "y"), OUTCOME_WAITING);
    bool has_lost = false;
    for (unsigned long n = 1; !has_lost; n++) {
        fake_memory_fail(n);
        const int r = fixture_set(f, &alice, "old", &named);
        (void)fake_memory_restore();
        has_lost = r == 0 && f->core.news.has_lost;
        assert_true(has_lost || r == -ENOMEM);
    }
    assert_true(core_turn_is_due(&f->core));
    turn_ends();
    assert_int_equal(a.answers, 1);
    assert_int_equal(a.outcome, 0);
    assert_int_equal(b.answers, 0);
    assert_false(f->core.news.has_lost);
}

int main(void)
{
#define OWN_CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        OWN_CASE(ready_already),
        OWN_CASE(for_one_to_come),
        OWN_CASE(for_one_to_be_ready),
        OWN_CASE(one_renamed_or_adopted_comes_too),
        OWN_CASE(the_initialiser_dies),
        OWN_CASE(removed_otherwise),
        OWN_CASE(created_and_removed_in_a_turn),
        OWN_CASE(a_creation_that_is_refused),
        OWN_CASE(rights),
        OWN_CASE(whose_it_is),
        OWN_CASE(timeouts),
        OWN_CASE(cancelled),
        OWN_CASE(too_many),
        OWN_CASE(too_many_of_one_uid),
        OWN_CASE(the_daemon_ends),
        OWN_CASE(a_kernel_that_does_not_tell),
        OWN_CASE(no_memory),
        OWN_CASE(no_memory_to_tell_of_it),
    };
    return RUN_TESTS(tests);
}
