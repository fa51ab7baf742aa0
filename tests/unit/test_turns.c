/* SPDX-License-Identifier: MIT */
/*
 * Uids take turns: what has work is served uid after uid, a share each, whatever number of tasks a
 * uid has; a turn ends; and the longest is counted. Time is a clock that goes on by the same step
 * each time that it is read.
 */
#include "tests/unit/support.h"

#include "daemon/rpc/turns.h"
#include "daemon/util/container_of.h"
#include "tests/fakes/fake_clock.h"

enum { TURN_US = 2000, REQUEST_US = 20, TASKS = 1000 };

/* Requests that a share has when each takes REQUEST_US: the clock is read once for each. The first
 * share of a uid that had no work is longer. */
enum { IN_A_SHARE = SHARE_US / REQUEST_US + 1, IN_THE_FIRST = 3 * SHARE_US / REQUEST_US + 1 };

struct asker {
    struct task task;
    uint32_t uid;
    unsigned wants, served;
    bool leaves;               /* when it is served */
    bool does_requests;        /* as a session does them */
    bool is_back_at_each_look; /* it has work again then, and not before */
};

static struct fake_clock clock_;
static struct work work;
static struct turns turns;
static struct asker askers[TASKS];
static size_t n_askers;
static uint32_t order[4096]; /* the uids, as they were served */
static size_t n_served;
static size_t n_told; /* of those */

static void serve(struct task *task)
{
    struct asker *asker = container_of(task, struct asker, task);
    asker->served++;
    if (asker->does_requests) {
        work_request_done(&work);
    } else { /* that would read the clock once more */
        work.turn.requests++;
        work.share.requests++;
    }
    order[n_served++] = asker->uid; /* what is told meanwhile was done before */
    if (asker->leaves)
        turns_leave(&turns, task);
    else if (asker->served < asker->wants && !asker->is_back_at_each_look)
        turns_add(&turns, task);
}

static struct asker *join(uint32_t uid, unsigned wants)
{
    struct asker *asker = &askers[n_askers++];
    *asker = (struct asker){.uid = uid, .wants = wants};
    assert_int_equal(turns_join(&turns, &asker->task, uid, serve), 0);
    if (wants > 0)
        turns_add(&turns, &asker->task);
    return asker;
}

static void run_turn(void)
{
    work_begin_turn(&work);
    turns_serve(&turns);
    work_end_turn(&work, 0);
    assert_int_equal(n_told, n_served);
}

static unsigned served_of(uint32_t uid)
{
    unsigned n = 0;
    for (size_t i = 0; i < n_served; i++)
        n += order[i] == uid;
    return n;
}

/* What comes while others are served: the tasks of `arrivals`, one at the Nth look. */
static struct asker *arrivals[20];
static unsigned n_looks;
static int64_t look_us; /* what a look takes */

static int64_t tell_us;            /* what telling takes */
static struct asker *asks_on;      /* has work again when it is told */
static size_t told_together[4096]; /* how many were served before each time of telling */
static size_t n_tells;

static bool tell(void *context)
{
    assert_ptr_equal(context, &turns);
    if (n_told == n_served)
        return false;
    /* All of one share: nobody waits for what another uid has asked. */
    for (size_t i = n_told; i < n_served; i++)
        assert_int_equal(order[i], order[n_told]);
    clock_.mono_us += tell_us;
    told_together[n_tells++] = n_served - n_told;
    n_told = n_served;
    if (asks_on && asks_on->served < asks_on->wants)
        turns_add(&turns, &asks_on->task);
    return true;
}

static void look(void *context)
{
    assert_ptr_equal(context, &turns);
    assert_int_equal(n_told, n_served); /* a look may take long */
    clock_.mono_us += look_us;
    struct asker *asker = n_looks < 20 ? arrivals[n_looks] : NULL;
    n_looks++;
    if (asker)
        turns_add(&turns, &asker->task);
    for (size_t i = 0; i < n_askers; i++)
        if (askers[i].is_back_at_each_look)
            turns_add(&turns, &askers[i].task);
}

static int begin(void **state)
{
    (void)state;
    fake_clock_init(&clock_);
    clock_.mono_step_us = REQUEST_US;
    work_init(&work, clock_.clock, TURN_US);
    turns_init(&turns, &work, tell, look, &turns);
    memset(arrivals, 0, sizeof(arrivals));
    n_askers = n_served = n_told = n_tells = n_looks = 0;
    look_us = tell_us = 0;
    asks_on = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_askers; i++)
        turns_leave(&turns, &askers[i].task);
    assert_false(turns_have_work(&turns));
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

TEST(nobody)
{
    run_turn();
    assert_int_equal(n_served, 0);
    assert_false(turns_have_work(&turns));
}

TEST(one_gets_the_whole_turn)
{
    const struct asker *one = join(1, 1000);
    run_turn();
    assert_true(one->served > IN_THE_FIRST);
    assert_true(one->served <= TURN_US / REQUEST_US);
    assert_true(turns_have_work(&turns)); /* the rest is for the next turn */
    for (int i = 0; i < 1000 && turns_have_work(&turns); i++)
        run_turn();
    assert_int_equal(one->served, 1000);
}

TEST(work_that_takes_no_time_is_done_in_one_turn)
{
    clock_.mono_step_us = 0;
    const struct asker *one = join(1, 1000);
    run_turn();
    assert_int_equal(one->served, 1000);
}

TEST(many_connections_get_what_one_gets)
{
    for (int i = 0; i < 500; i++)
        join(1, 100);
    join(2, 2000);
    for (int i = 0; i < 20; i++)
        run_turn();
    unsigned many = served_of(1), one = served_of(2);
    assert_true(many <= one + IN_THE_FIRST && one <= many + IN_THE_FIRST);
    /* Neither gets more than a share while the other waits. */
    for (size_t i = 0, row = 0; i < n_served; i++) {
        row = i > 0 && order[i] == order[i - 1] ? row + 1 : 1;
        assert_true(row <= (i < 2 * IN_THE_FIRST ? IN_THE_FIRST : IN_A_SHARE));
    }
}

TEST(connections_of_one_uid_take_turns_too)
{
    for (int i = 0; i < 10; i++)
        join(1, 100);
    for (int i = 0; i < 3; i++)
        run_turn();
    for (int i = 1; i < 10; i++)
        assert_in_range(askers[i].served + 1, askers[0].served, askers[0].served + 2);
}

TEST(who_comes_while_another_is_served_is_next)
{
    join(1, 1000);
    join(2, 0);
    run_turn();
    assert_int_equal(served_of(2), 0);
    askers[1].wants = 1;
    turns_add(&turns, &askers[1].task);
    n_served = 0;
    run_turn();
    assert_int_equal(served_of(2), 1);
    size_t at = 0;
    while (order[at] != 2)
        at++;
    assert_true(at <= IN_THE_FIRST);
}

/* The look may take longer than a share, and it is nobody's work. */
TEST(who_comes_has_its_share_however_long_the_look_took)
{
    struct asker *late = join(2, 0);
    late->wants = 1000;
    arrivals[0] = late;
    look_us = 4 * SHARE_US;
    join(1, 1000);
    run_turn();
    size_t place = 0;
    while (order[place] != 2)
        place++;
    for (size_t i = 0; i < IN_THE_FIRST; i++)
        assert_int_equal(order[place + i], 2);
}

/* The place of UID among those served, from AT on. */
static size_t next_of(uint32_t uid, size_t at)
{
    while (at < n_served && order[at] != uid)
        at++;
    return at;
}

TEST(who_had_no_work_is_served_before_all_who_are_busy)
{
    for (uint32_t uid = 1; uid <= 10; uid++)
        join(uid, 1000);
    arrivals[12] = join(77, 0); /* when all have had their first share, and three a second one */
    arrivals[12]->wants = 1;
    while (n_looks < 15)
        run_turn();
    size_t place = next_of(77, 0);
    assert_in_range(place, 10 * IN_THE_FIRST, 10 * IN_THE_FIRST + 4 * IN_A_SHARE);
}

TEST(who_asks_again_and_again_starves_nobody)
{
    for (uint32_t uid = 1; uid <= 3; uid++)
        join(uid, 1000);
    struct asker *again = join(77, 1000);
    again->is_back_at_each_look = true;
    for (int i = 0; i < 20; i++)
        run_turn();
    for (uint32_t uid = 1; uid <= 3; uid++)
        assert_in_range(again->served, 10, served_of(uid) + IN_THE_FIRST);
}

TEST(who_asks_again_goes_first_while_its_share_lasts)
{
    for (uint32_t uid = 1; uid <= 10; uid++)
        join(uid, 1000);
    while (n_looks < 12) /* all have had their first share */
        run_turn();
    n_served = 0;
    join(77, 1000)->is_back_at_each_look = true;
    run_turn();
    size_t at = next_of(77, 0);
    for (size_t i = 1, next; i < IN_THE_FIRST / 2; i++, at = next) {
        next = next_of(77, at + 1);
        assert_in_range(next - at, 2, IN_A_SHARE + 1);
    }
}

TEST(a_share_goes_on_while_nobody_else_has_come)
{
    arrivals[2] = join(2, 0);
    arrivals[2]->wants = 1;
    join(1, 1000);
    run_turn();
    size_t place = next_of(2, 0); /* at the end of the third piece */
    assert_in_range(place, IN_THE_FIRST + IN_A_SHARE, IN_THE_FIRST + 2 * IN_A_SHARE);
    assert_in_range(work.share_most.requests, 1, IN_THE_FIRST);
}

TEST(one_request_that_takes_longer_than_a_share)
{
    clock_.mono_step_us = 10 * SHARE_US;
    join(1, 5);
    join(2, 5);
    for (int i = 0; i < 10; i++)
        run_turn();
    assert_int_equal(n_served, 10);
    for (size_t i = 0; i < n_served; i++)
        assert_int_equal(order[i], i % 2 + 1);
}

TEST(a_task_that_leaves_while_it_is_served)
{
    struct asker *first = join(1, 5);
    join(1, 2);
    first->leaves = true;
    struct asker *only = join(2, 5);
    only->leaves = true; /* and its lane with it */
    run_turn();
    assert_int_equal(first->served, 1);
    assert_int_equal(only->served, 1);
    assert_int_equal(askers[1].served, 2);
}

TEST(a_task_that_leaves_before_it_is_served)
{
    struct asker *first = join(1, 5);
    join(2, 1);
    turns_leave(&turns, &first->task);
    turns_leave(&turns, &first->task);
    run_turn();
    assert_int_equal(n_served, 1);
    assert_int_equal(first->served, 0);
}

TEST(others_of_the_uid)
{
    const struct asker *one = join(1, 1);
    assert_int_equal(turns_others(&one->task), 0);
    join(1, 1);
    join(1, 0);
    join(2, 1);
    assert_int_equal(turns_others(&one->task), 1);
    assert_int_equal(turns_others(&askers[2].task), 2);
}

TEST(the_daemons_own_work_has_its_share)
{
    struct asker own = {.uid = 77, .wants = 100};
    assert_int_equal(turns_join_own(&turns, &own.task, serve), 0);
    for (int i = 0; i < 50; i++)
        join(1, 100);
    join(77, 100); /* a uid has nothing to do with it */
    turns_add(&turns, &own.task);
    for (int i = 0; i < 9; i++)
        run_turn();
    assert_true(own.served > IN_A_SHARE);
    assert_true(askers[50].served > IN_A_SHARE);
    turns_leave(&turns, &own.task);
}

TEST(the_longest_is_counted)
{
    join(1, 1000);
    run_turn();
    assert_int_equal(work.turn_most.requests, n_served);
    assert_int_equal(work.share_most.requests, 0); /* nobody else had work */
    assert_true(work.turn_longest_us >= TURN_US);
    join(2, 1000);
    run_turn();
    assert_in_range(work.share_most.requests, 1, IN_THE_FIRST);
    const struct work before = work;
    work_begin_turn(&work);
    work_begin_share(&work, SHARE_US);
    work_add_records(&work, 7);
    work_end_share(&work, true);
    work_end_turn(&work, 3);
    assert_int_equal(work.turn_most.records, 7);
    assert_int_equal(work.share_most.records, 7);
    assert_int_equal(work.accepts_most, 3);
    assert_int_equal(work.turn_most.requests, before.turn_most.requests);
}

TEST(outside_a_share_nothing_is_over)
{
    clock_.mono_step_us = 1000000;
    work_look_at_clock(&work);
    assert_false(work_share_is_over(&work));
    work_begin_share(&work, SHARE_US);
    work_look_at_clock(&work);
    assert_true(work_share_is_over(&work));
    work_end_share(&work, false);
    work_look_at_clock(&work);
    assert_false(work_share_is_over(&work));
}

TEST(what_a_share_did_is_told_together)
{
    for (int i = 0; i < 3; i++)
        join(1, 1);
    join(2, 1);
    run_turn();
    assert_int_equal(n_tells, 2);
    assert_int_equal(told_together[0], 3);
    assert_int_equal(told_together[1], 1);
}

TEST(a_share_that_goes_on_tells_what_it_did)
{
    for (int i = 0; i < TASKS; i++)
        join(1, 1);
    run_turn();
    assert_int_equal(told_together[0], IN_THE_FIRST);
    assert_int_equal(told_together[1], IN_A_SHARE);
}

TEST(who_asks_on_when_it_is_told_is_served_in_the_same_share)
{
    asks_on = join(1, 3);
    asks_on->is_back_at_each_look = true;
    join(2, 1);
    run_turn();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(order[i], 1);
    assert_int_equal(order[3], 2);
}

/* Telling takes time of the share that did it, and not of the next. */
TEST(telling_is_work_of_the_share)
{
    tell_us = 10 * SHARE_US;
    clock_.mono_step_us = 30; /* the third request finds it over, and is told at its end */
    join(1, 1000)->does_requests = true;
    join(2, 1000)->does_requests = true;
    run_turn();
    size_t first = next_of(2, 0);
    assert_int_equal(next_of(1, first), 2 * first);
}

static bool tells_long;

static bool tell_long(void *context)
{
    (void)context;
    clock_.mono_us += tells_long ? 5000 : 0;
    return tells_long;
}

TEST(telling_is_no_time_of_the_request)
{
    clock_.mono_step_us = 1;
    work.tell = tell_long;
    work_look_at_clock(&work);
    clock_.mono_us += 70;
    tells_long = true;
    work_tell(&work);
    clock_.mono_us += 30;
    assert_in_range(work_request_done(&work), 30, 105);
    clock_.mono_us += 70;
    tells_long = false; /* then all of it counts */
    work_tell(&work);
    clock_.mono_us += 30;
    assert_in_range(work_request_done(&work), 100, 105);
}

/* The turn ends, and the next one begins with a look. */
TEST(nobody_looks_when_there_is_no_work_left)
{
    clock_.mono_step_us = 10 * SHARE_US;
    join(1, 1);
    run_turn();
    assert_int_equal(n_served, 1);
    assert_int_equal(n_looks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nobody),
        CASE(one_gets_the_whole_turn),
        CASE(work_that_takes_no_time_is_done_in_one_turn),
        CASE(many_connections_get_what_one_gets),
        CASE(connections_of_one_uid_take_turns_too),
        CASE(who_comes_while_another_is_served_is_next),
        CASE(who_comes_has_its_share_however_long_the_look_took),
        CASE(who_had_no_work_is_served_before_all_who_are_busy),
        CASE(who_asks_again_and_again_starves_nobody),
        CASE(who_asks_again_goes_first_while_its_share_lasts),
        CASE(a_share_goes_on_while_nobody_else_has_come),
        CASE(one_request_that_takes_longer_than_a_share),
        CASE(a_task_that_leaves_while_it_is_served),
        CASE(a_task_that_leaves_before_it_is_served),
        CASE(others_of_the_uid),
        CASE(the_daemons_own_work_has_its_share),
        CASE(the_longest_is_counted),
        CASE(what_a_share_did_is_told_together),
        CASE(a_share_that_goes_on_tells_what_it_did),
        CASE(who_asks_on_when_it_is_told_is_served_in_the_same_share),
        CASE(telling_is_work_of_the_share),
        CASE(telling_is_no_time_of_the_request),
        CASE(nobody_looks_when_there_is_no_work_left),
        CASE(outside_a_share_nothing_is_over),
    };
    return RUN_TESTS(tests);
}
