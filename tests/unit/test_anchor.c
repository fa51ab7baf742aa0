/* SPDX-License-Identifier: MIT */
/*
 * `attached`: the anchor keeps the segment until a client has come, and not a look longer; it goes
 * with its creator or after its time; no answer counts it. And under kernel.shm_rmid_forced
 * anchors keep everything else.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/anchor.h"
#include "daemon/core/reconcile.h"
#include "tests/fakes/fake_memory.h"

static void is_gone(const char *want)
{
    told(want);
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_int_equal(f->store.n_records, 0);
    assert_int_equal(f->core.parties.n_processes, 0);
}

TEST(let_go_when_the_creator_has_come)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    assert_int_equal(fake_sysv_segment(f->k, s->shmid)->nattch, 1);
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 1);
    fake_sysv_attach_as(f->k, s->shmid, 1);
    core_fixture_pass(f, 50);
    assert_null(s->anchor);
    assert_true(LIST_EMPTY(&s->ties));
    assert_int_equal(s->anchor_check.place, 0);
    assert_int_equal(fake_sysv_segment(f->k, s->shmid)->nattch, 1);
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 0);
    assert_int_equal(s->state, STATE_READY);
    assert_string_equal(core_fixture_told(f), "");
    /* From here on it is the kernel's. */
    fake_sysv_exit(f->k, 1);
    core_fixture_pass(f, 5000);
    is_gone("removed/last-detach:a");
}

TEST(let_go_when_anybody_has_come)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    assert_int_equal(fixture_look(f, "a"), 0); /* any look sees it */
    assert_null(s->anchor);
    assert_int_equal(f->found.kernel.nattch, 1);
    assert_int_equal(core_fixture_turn(f), 0);
}

/* The daemon's own detach is nobody's, though the next one to come is the last that moved. */
TEST(letting_go_is_not_told)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    struct sweep_result swept;
    fake_sysv_attach_as(f->k, s->shmid, 9);
    reconcile_sweep(&f->core, &swept);
    assert_null(s->anchor);
    assert_int_equal(core_fixture_turn(f), 0);
    told("attached:a");
    f->k->now++;
    fake_sysv_attach_as(f->k, s->shmid, 8);
    reconcile_sweep(&f->core, &swept);
    assert_int_equal(core_fixture_turn(f), 0);
    told("attached:a");
}

/* Nor when it was in vain that a segment was to be `attached`. */
TEST(taking_back_is_not_told)
{
    const struct set_params attached = {.lifetime = GIVEN(LIFETIME_ATTACHED)};
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    struct sweep_result swept;
    fake_store_fail_next(&f->store, 1, EIO, "no space");
    assert_int_equal(fixture_set(f, &alice, "a", &attached), OUTCOME_STORE_FAILURE);
    assert_null(s->anchor);
    f->k->now++;
    fake_sysv_attach_as(f->k, s->shmid, 9);
    reconcile_sweep(&f->core, &swept);
    assert_int_equal(core_fixture_turn(f), 0);
    told("attached:a");
}

/* Nor is its own attach, when kernel.shm_rmid_forced is written and somebody detaches after it. */
TEST(keeping_is_not_told)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    struct sweep_result swept;
    fake_sysv_attach_as(f->k, s->shmid, 9);
    reconcile_sweep(&f->core, &swept);
    assert_int_equal(core_fixture_turn(f), 0);
    told("attached:a");
    f->k->now++;
    f->k->shm_rmid_forced = true;
    reconcile_sweep(&f->core, &swept);
    assert_non_null(s->anchor);
    f->k->now++;
    fake_sysv_exit(f->k, 9);
    reconcile_sweep(&f->core, &swept);
    assert_int_equal(core_fixture_turn(f), 0);
    told("detached:a");
}

TEST(whoever_came_and_went_was_there)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    fake_sysv_exit(f->k, 9);
    assert_int_equal(fixture_look(f, "a"), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(core_fixture_turn(f), 0);
    is_gone("removed/last-detach:a");
    s = made("a", LIFETIME_ATTACHED);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 1000);
    is_gone("removed/last-detach:a");
}

TEST(nobody_comes)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    core_fixture_pass(f, 59999);
    assert_non_null(s->anchor);
    assert_string_equal(core_fixture_told(f), "");
    core_fixture_pass(f, 1);
    is_gone("removed/last-detach:a");
}

TEST(another_time)
{
    f->core.settings.attach_timeout_ms = 7;
    made("a", LIFETIME_ATTACHED);
    core_fixture_pass(f, 6);
    assert_int_equal(f->core.registry.count, 1);
    core_fixture_pass(f, 10);
    is_gone("removed/last-detach:a");
}

TEST(looked_at_often_at_first)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    unsigned long before = f->k->calls[FAKE_STAT];
    core_fixture_pass(f, 100);
    unsigned long soon = f->k->calls[FAKE_STAT] - before;
    before += soon;
    core_fixture_pass(f, 59000);
    unsigned long later = f->k->calls[FAKE_STAT] - before;
    assert_true(soon >= 3);
    assert_true(later < 300); /* and not the whole minute */
    assert_non_null(s->anchor);
}

TEST(the_creator_dies_without_coming)
{
    made("a", LIFETIME_ATTACHED);
    core_fixture_kill(f, 1);
    assert_int_equal(core_fixture_turn(f), 0);
    is_gone("removed/last-detach:a");
}

TEST(the_creator_dies_when_another_has_come)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    core_fixture_kill(f, 1);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_null(s->anchor);
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    is_gone("removed/last-detach:a");
}

TEST(everybody_is_killed)
{
    /* The kernel's own guarantee: with the daemon and all clients dead nothing is left. */
    struct segment *s = made("a", LIFETIME_ATTACHED);
    fake_sysv_attach_as(f->k, s->shmid, 1);
    core_fixture_pass(f, 50);
    fake_sysv_exit(f->k, 1);
    fake_sysv_exit(f->k, DAEMON_PID);
    assert_int_equal(fake_sysv_count(f->k), 0);
    s = made("a", LIFETIME_ATTACHED);
    assert_int_equal(fake_sysv_count(f->k), 1);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(f->core.registry.count, 0);
}

TEST(attached_over_a_restart)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    int32_t shmid = s->shmid;
    fake_sysv_attach_as(f->k, shmid, 1);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(f->start.sweep.match, 1);
    s = fixture_record(f, "a");
    assert_non_null(s);
    assert_null(s->anchor);
    assert_int_equal(s->state, STATE_READY);
    core_fixture_pass(f, 100000);
    assert_int_equal(fake_sysv_segment(f->k, shmid)->nattch, 1);
    fake_sysv_exit(f->k, 1);
    core_fixture_pass(f, 5000);
    is_gone("removed/last-detach:a");
}

TEST(killed_before_the_mark_was_made)
{
    /* Recorded as attached, and the daemon died before it did IPC_RMID. */
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    int32_t shmid = s->shmid;
    const struct set_params attached = {.lifetime = GIVEN(LIFETIME_ATTACHED)};
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EINTR);
    assert_int_equal(fixture_set(f, &alice, "a", &attached), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_false(fake_sysv_segment(f->k, shmid)->destroyed);
    fake_sysv_attach_as(f->k, shmid, 9);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_true(fake_sysv_segment(f->k, shmid)->destroyed);
    f->told[0] = '\0';
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    is_gone("removed/last-detach:a");
}

TEST(the_mark_is_made_by_the_sweep)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    const struct set_params attached = {.lifetime = GIVEN(LIFETIME_ATTACHED)};
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EINTR);
    assert_int_equal(fixture_set(f, &alice, "a", &attached), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_false(fake_sysv_segment(f->k, s->shmid)->destroyed);
    core_fixture_pass(f, 5000);
    assert_true(fake_sysv_segment(f->k, s->shmid)->destroyed);
    assert_non_null(s->anchor);
}

TEST(a_look_needs_no_memory)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    fake_memory_exhaust(1);
    fake_clock_advance(&f->clock, 20);
    core_tick(&f->core);
    assert_false(fake_memory_restore());
    assert_non_null(s->anchor);
    assert_int_not_equal(s->anchor_check.place, 0);
}

/* --- kernel.shm_rmid_forced */

TEST(forced)
{
    f->k->shm_rmid_forced = true;
    assert_int_equal(core_fixture_restart(f), 0);
    assert_true(f->core.rmid_forced);
    alice = core_fixture_caller(f, ALICE, 1);
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    assert_non_null(s->anchor);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    core_fixture_pass(f, 5000);
    assert_string_equal(core_fixture_told(f), "attached:a"); /* one more than none */
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    assert_string_equal(core_fixture_told(f), "detached:a");
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    is_gone("removed/request:a");
}

TEST(forced_and_to_be_attached)
{
    const struct set_params attached = {.lifetime = GIVEN(LIFETIME_ATTACHED)};
    f->k->shm_rmid_forced = true;
    assert_int_equal(core_fixture_restart(f), 0);
    alice = core_fixture_caller(f, ALICE, 1);
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    fake_sysv_exit(f->k, 9);
    assert_int_equal(fixture_set(f, &alice, "a", &attached), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    /* Who came before it was `attached` is not who is waited for. */
    core_fixture_pass(f, 1000);
    assert_int_equal(fixture_look(f, "a"), 0);
    assert_non_null(s->anchor);
    assert_int_equal(fake_sysv_segment(f->k, s->shmid)->nattch, 1);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    fake_sysv_exit(f->k, 9);
    core_fixture_told(f);
    core_fixture_pass(f, 1000);
    is_gone("removed/last-detach:a");
}

TEST(forced_later)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    int32_t mine = s->shmid;
    struct segment *closed = fixture_made(f, &alice, "closed", LIFETIME_PERSISTENT);
    struct segment *attached = fixture_made(f, &alice, "attached", LIFETIME_ATTACHED);
    fake_sysv_segment(f->k, closed->shmid)->mode = 0;
    fake_sysv_attach_as(f->k, attached->shmid, 1);
    core_fixture_pass(f, 50);
    assert_null(s->anchor);
    f->k->shm_rmid_forced = true;
    core_fixture_pass(f, 5000);
    assert_non_null(s->anchor);
    assert_null(closed->anchor);   /* its owner forbids it */
    assert_null(attached->anchor); /* it is to go with its last detach */
    fake_sysv_attach_as(f->k, mine, 9);
    fake_sysv_exit(f->k, 9);
    assert_non_null(fake_sysv_segment(f->k, mine));
    /* An anchor too many does no harm. */
    f->k->shm_rmid_forced = false;
    core_fixture_pass(f, 5000);
    assert_false(f->core.rmid_forced);
    assert_non_null(s->anchor);
    core_fixture_check_kernel(f);
}

TEST(forced_and_recycled)
{
    /* The id is a stranger's: attached once and let go of, the stranger's segment would be gone. */
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    int32_t shmid = s->shmid;
    const struct fake_process other = {BOB, BOBS, 50};
    assert_int_equal(fake_sysv_recycle(f->k, shmid, &other, 4096), 0);
    fake_sysv_segment(f->k, shmid)->mode = 0666;
    f->k->shm_rmid_forced = true;
    core_fixture_pass(f, 5000);
    assert_string_equal(core_fixture_told(f), "removed/recycled:a");
    assert_non_null(fake_sysv_segment(f->k, shmid));
    assert_int_equal(f->k->calls[FAKE_ATTACH], 0);
    /* Nor does a start. */
    f->core.rmid_forced = f->k->shm_rmid_forced = false;
    alice = core_fixture_caller(f, ALICE, 1);
    s = made("a", LIFETIME_PERSISTENT);
    shmid = s->shmid;
    assert_int_equal(fake_sysv_recycle(f->k, shmid, &other, 4096), 0);
    fake_sysv_segment(f->k, shmid)->mode = 0666;
    f->k->shm_rmid_forced = true;
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(f->start.sweep.recycled, 1);
    assert_non_null(fake_sysv_segment(f->k, shmid));
    assert_int_equal(f->k->calls[FAKE_ATTACH], 0);
}

TEST(not_told)
{
    fake_sysv_fail(f->k, FAKE_LIMITS, 1, EIO);
    f->core.rmid_forced = true;
    struct sweep_result result;
    reconcile_sweep(&f->core, &result);
    assert_true(f->core.rmid_forced);
    reconcile_sweep(&f->core, &result);
    assert_false(f->core.rmid_forced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(let_go_when_the_creator_has_come),
        CASE(let_go_when_anybody_has_come),
        CASE(letting_go_is_not_told),
        CASE(taking_back_is_not_told),
        CASE(keeping_is_not_told),
        CASE(whoever_came_and_went_was_there),
        CASE(nobody_comes),
        CASE(another_time),
        CASE(looked_at_often_at_first),
        CASE(the_creator_dies_without_coming),
        CASE(the_creator_dies_when_another_has_come),
        CASE(everybody_is_killed),
        CASE(attached_over_a_restart),
        CASE(killed_before_the_mark_was_made),
        CASE(the_mark_is_made_by_the_sweep),
        CASE(a_look_needs_no_memory),
        CASE(forced),
        CASE(forced_and_to_be_attached),
        CASE(forced_later),
        CASE(forced_and_recycled),
        CASE(not_told),
    };
    return RUN_TESTS(tests);
}
