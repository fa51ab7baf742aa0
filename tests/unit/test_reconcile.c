/* SPDX-License-Identifier: MIT */
/*
 * Starts and sweeps: everything that was acknowledged is found again, the dead are dropped with
 * what they held, and of what the kernel has nothing is removed but what a former daemon made and
 * told nobody of.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/reconcile.h"
#include "tests/fakes/fake_memory.h"

static const struct fake_process other = {BOB, BOBS, 50};

static void restarted(void)
{
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
}

static void found(uint64_t kept, uint64_t gone, uint64_t recycled, uint64_t dying,
                  uint64_t indeterminate, uint64_t dead)
{
    assert_int_equal(f->start.sweep.match, kept);
    assert_int_equal(f->start.sweep.gone, gone);
    assert_int_equal(f->start.sweep.recycled, recycled);
    assert_int_equal(f->start.sweep.dying, dying);
    assert_int_equal(f->start.sweep.indeterminate, indeterminate);
    assert_int_equal(f->start.dead, dead);
    assert_false(f->start.unacknowledged.is_removed);
    assert_int_equal(f->start.unacknowledged.n_unclear, 0);
}

/* --- sweeps */

TEST(no_sweep_without_segments)
{
    assert_int_equal(core_next_tick(&f->core), -1);
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms + 5000);
    core_fixture_pass(f, 5000);
    assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms + 5000);
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    core_fixture_pass(f, 5000);
    assert_int_equal(core_next_tick(&f->core), -1);
}

TEST(another_period)
{
    made("a", LIFETIME_PERSISTENT);
    f->settings.reconcile_ms = 100;
    f->settings.limits.max_segments_per_uid = 1;
    core_configure(&f->core, &f->settings);
    assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms + 100);
    const struct create_params p = {.size = GIVEN(1)};
    assert_int_equal(fixture_create(f, &alice, &p), OUTCOME_QUOTA_EXCEEDED);
}

/* A share of which the clock is over after half as many looks at it. */
static void go_on_for_a_share(void)
{
    f->clock.mono_step_us = SHARE_US / 2;
    work_begin_share(&f->core.work, SHARE_US);
    reconcile_go_on(&f->core);
    work_end_share(&f->core.work, false);
    f->clock.mono_step_us = 0;
}

enum { SEGMENTS = 200, LOOKS_IN_A_SHARE = 64 };

static void many_are_made(void)
{
    for (int i = 0; i < SEGMENTS; i++) {
        const struct create_params p = {.size = GIVEN(1)};
        assert_int_equal(fixture_create(f, &alice, &p), 0);
    }
    turn_ends();
    (void)core_fixture_told(f);
}

static unsigned long looks(void)
{
    return f->k->calls[FAKE_STAT] + f->k->calls[FAKE_STAT_INDEX];
}

/* To the end of all sweeps; each share has some looks. */
static void goes_on_in_shares(void)
{
    unsigned shares = 0;
    for (; reconcile_is_under_way(&f->core); shares++) {
        const unsigned long before = looks();
        assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms);
        go_on_for_a_share();
        assert_in_range(looks() - before, 1, LOOKS_IN_A_SHARE);
        assert_true(shares < SEGMENTS);
    }
    assert_true(shares > 5);
}

TEST(a_sweep_goes_on_where_its_share_ended)
{
    many_are_made();
    fake_sysv_remove_as(f->k, f->found.segment->shmid); /* the last of them */
    fake_clock_advance(&f->clock, 5000);
    work_begin_share(&f->core.work, SHARE_US);
    deadlines_run(&f->core.deadlines, f->clock.boot_ms, &f->core.work, &f->core);
    work_end_share(&f->core.work, false);
    goes_on_in_shares();
    turn_ends();
    told("removed/out-of-band:-");
    assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms + 5000);
}

static unsigned n_swept;

static void take_result(void *context, const struct sweep_result *result)
{
    *(struct sweep_result *)context = *result;
    n_swept++;
}

/* As a reload does. */
TEST(one_that_is_asked_for_goes_on_in_shares)
{
    struct sweep_result result;
    f->core.sweep.swept = take_result;
    f->core.sweep.context = &result;
    n_swept = 0;
    many_are_made();
    fake_sysv_remove_as(f->k, f->found.segment->shmid);
    f->k->shm_rmid_forced = true;
    const unsigned long before = looks();
    reconcile_ask(&f->core);
    assert_in_range(looks() - before, 0, LOOKS_IN_A_SHARE);
    assert_int_equal(n_swept, 0);
    goes_on_in_shares();
    assert_int_equal(n_swept, 1);
    assert_int_equal(result.match, SEGMENTS - 1);
    assert_int_equal(result.gone, 1);
    assert_true(f->core.rmid_forced);
    turn_ends();
    told("removed/out-of-band:-");
    assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms + 5000);
    core_fixture_pass(f, 5000); /* the periodic one is nobody's business */
    assert_int_equal(n_swept, 1);
}

/* Who asks over and over does not keep a sweep from its end. */
TEST(one_that_is_asked_for_in_the_midst_of_another)
{
    struct sweep_result result;
    f->core.sweep.swept = take_result;
    f->core.sweep.context = &result;
    n_swept = 0;
    many_are_made();
    const uint64_t done = f->core.sweep.n_done;
    reconcile_ask(&f->core);
    go_on_for_a_share();
    const struct segment *first = registry_next(&f->core.registry, 0);
    fake_sysv_remove_as(f->k, first->shmid); /* it has been looked at */
    for (int i = 0; i < 3; i++)
        reconcile_ask(&f->core);
    while (n_swept == 0)
        go_on_for_a_share();
    assert_int_equal(result.match, SEGMENTS);
    goes_on_in_shares();
    assert_int_equal(n_swept, 2);
    assert_int_equal(result.gone, 1);
    assert_int_equal(f->core.sweep.n_done, done + 2);
    turn_ends();
    told("removed/out-of-band:-");
}

TEST(what_is_not_the_daemons_is_counted)
{
    const struct fake_process stranger = {BOB, BOB, 55};
    int32_t shmid;
    made("a", LIFETIME_PERSISTENT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            fake_sysv_create_as(f->k, &stranger, &(struct sysv_create){.size = 10}, 0600, &shmid),
            0);
    fake_sysv_attach_as(f->k, shmid, 9);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->core.counted.foreign, 3);
    assert_int_equal(f->core.counted.orphaned, 2);
    assert_int_equal(f->core.sweep.n_done, 2); /* the first at the start */
}

TEST(sweeps_come_often_for_those_who_listen)
{
    made("a", LIFETIME_PERSISTENT);
    const int64_t begin = f->clock.boot_ms;
    reconcile_listen(&f->core);
    reconcile_listen(&f->core);
    assert_int_equal(core_next_tick(&f->core), begin + 200);
    core_fixture_pass(f, 200);
    assert_int_equal(core_next_tick(&f->core), begin + 400);
    reconcile_unlisten(&f->core);
    core_fixture_pass(f, 200);
    assert_int_equal(core_next_tick(&f->core), begin + 600);
    /* Those who come and go do not put it off. */
    reconcile_unlisten(&f->core);
    core_fixture_pass(f, 100);
    reconcile_listen(&f->core);
    assert_int_equal(core_next_tick(&f->core), begin + 600);
    reconcile_unlisten(&f->core);
    core_fixture_pass(f, 100);
    assert_int_equal(core_next_tick(&f->core), begin + 600 + 5000);
}

TEST(every_verdict)
{
    made("match", LIFETIME_PERSISTENT);
    int32_t gone = made("gone", LIFETIME_PERSISTENT)->shmid;
    int32_t recycled = made("recycled", LIFETIME_PERSISTENT)->shmid;
    int32_t dying = made("dying", LIFETIME_PERSISTENT)->shmid;
    struct segment *unsure = made("unsure", LIFETIME_PERSISTENT);
    fake_sysv_remove_as(f->k, gone);
    assert_int_equal(fake_sysv_recycle(f->k, recycled, &other, 4096), 0);
    fake_sysv_attach_as(f->k, dying, 9);
    fake_sysv_remove_as(f->k, dying);
    fake_sysv_segment(f->k, unsure->shmid)->cpid = 0;
    struct sweep_result result;
    reconcile_sweep(&f->core, &result);
    assert_int_equal(result.match, 1);
    assert_int_equal(result.gone, 1);
    assert_int_equal(result.recycled, 1);
    assert_int_equal(result.dying, 1);
    assert_int_equal(result.indeterminate, 1);
    turn_ends();
    told("removed/out-of-band:gone removed/recycled:recycled removed/out-of-band:dying");
    assert_int_equal(f->core.registry.count, 3);
    assert_int_equal(fake_sysv_segment(f->k, recycled)->cuid, BOB);
    assert_ptr_equal(fixture_record(f, "unsure"), unsure);
    /* Told once, and the dying one is known to be. */
    fake_sysv_segment(f->k, unsure->shmid)->cpid = DAEMON_PID;
    reconcile_sweep(&f->core, &result);
    assert_int_equal(result.match, 3);
    turn_ends();
    told("");
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->core.registry.count, 2);
    told("");
}

TEST(attachments_are_told)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    fake_sysv_attach_as(f->k, s->shmid, 8);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    core_fixture_pass(f, 5000);
    told("attached:a");
    core_fixture_pass(f, 5000);
    told("");
    fake_sysv_exit(f->k, 8);
    core_fixture_pass(f, 5000);
    told("detached:a");
    fake_sysv_exit(f->k, 9);
    fake_sysv_attach_as(f->k, s->shmid, 9); /* as many as before: the times show it */
    core_fixture_pass(f, 5000);
    told("detached:a attached:a");
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    told("detached:a");
    fake_sysv_attach_as(f->k, s->shmid, 8); /* and is gone again before anybody looks */
    fake_sysv_exit(f->k, 8);
    core_fixture_pass(f, 5000);
    told("attached:a detached:a");
}

/* It counts from the last detach, or from the creation, and never while it is attached. */
TEST(an_idle_time)
{
    const struct create_params p = {.name = "a", .size = GIVEN(1), .idle_ttl_ms = GIVEN(60000)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    fake_sysv_attach_as(f->k, fixture_record(f, "a")->shmid, 8);
    core_fixture_pass(f, 300000);
    assert_non_null(fixture_record(f, "a"));
    fake_sysv_exit(f->k, 8);
    core_fixture_pass(f, 59999);
    assert_non_null(fixture_record(f, "a"));
    core_fixture_pass(f, 5001); /* the detach showed with the next look */
    assert_null(fixture_record(f, "a"));
    (void)core_fixture_told(f);
    /* Who came and went before anybody looked has used it. */
    f->core.settings.reconcile_ms = 3600000;
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    core_fixture_pass(f, 59999);
    fake_sysv_attach_as(f->k, fixture_record(f, "a")->shmid, 8);
    fake_sysv_exit(f->k, 8);
    core_fixture_pass(f, 60000);
    assert_non_null(fixture_record(f, "a"));
    core_fixture_pass(f, 1);
    told("created:a attached:a detached:a removed/expired:a");
    /* Another idle time counts from when it is set. */
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    core_fixture_pass(f, 50000);
    const struct set_params shorter = {.idle_ttl_ms = GIVEN(20000)};
    assert_int_equal(fixture_set(f, &alice, "a", &shorter), 0);
    core_fixture_pass(f, 19999);
    assert_non_null(fixture_record(f, "a"));
    core_fixture_pass(f, 1);
    assert_null(fixture_record(f, "a"));
}

/* --- starts */

TEST(everything_is_found_again)
{
    const struct create_params p = {.name = "all",
                                    .key = GIVEN(77),
                                    .size = GIVEN(5000),
                                    .mode = GIVEN(0640),
                                    .lifetime = GIVEN(LIFETIME_PROCESS),
                                    .ttl_ms = GIVEN(100000),
                                    .ready = GIVEN(false),
                                    .noreserve = GIVEN(true),
                                    .labels = {true, 2, {{"a", "1"}, {"b", "2"}}}};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    assert_int_equal(fixture_hold(f, &bob, "all"), 0);
    made("plain", LIFETIME_PERSISTENT);
    turn_ends();
    char *before = core_fixture_snapshot(f);
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            assert_int_equal(core_fixture_crash(f), 0);
        else
            assert_int_equal(core_fixture_restart(f), 0);
        turn_ends();
        found(2, 0, 0, 0, 0, 0);
        char *after = core_fixture_snapshot(f);
        assert_string_equal(after, before);
        free(after);
    }
    free(before);
    const struct segment *s = fixture_record(f, "all");
    assert_int_equal(s->key, 77);
    assert_int_equal(s->state, STATE_INITIALISING);
    assert_int_equal(s->n_holders, 2);
    assert_int_equal(s->n_labels, 2);
    assert_true(s->noreserve);
    assert_int_equal(s->creator.uid, ALICE);
    assert_int_equal(quota_used(&f->core.quota, ALICE, QUOTA_BYTES), 9096);
    assert_int_equal(f->core.parties.n_processes, 2);
    f->told[0] = '\0';
    /* All its ends still work. */
    assert_int_equal(fixture_ready(f, "all"), 0);
    core_fixture_kill(f, 2);
    turn_ends();
    assert_int_equal(s->n_holders, 1);
    core_fixture_kill(f, 1);
    turn_ends();
    told("ready:all removed/last-holder-exited:all");
}

TEST(an_expiry_over_a_restart)
{
    const struct create_params p = {.name = "a", .size = GIVEN(1), .ttl_ms = GIVEN(60000)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    core_fixture_pass(f, 30000);
    f->clock.real_ms += 86400000; /* the wall clock says nothing of it */
    restarted();
    core_fixture_pass(f, 29999);
    assert_non_null(fixture_record(f, "a"));
    core_fixture_pass(f, 1);
    assert_null(fixture_record(f, "a"));
    /* Its time came while no daemon was there. */
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    fake_clock_advance(&f->clock, 70000);
    restarted();
    f->told[0] = '\0';
    core_fixture_pass(f, 0);
    told("removed/expired:a");
}

/* It goes on, with a second more for what the kernel's times, which are whole seconds, do not show.
 */
TEST(an_idle_time_over_a_restart)
{
    const struct create_params p = {.name = "a", .size = GIVEN(1), .idle_ttl_ms = GIVEN(60000)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    for (int i = 0; i < 3; i++) {
        core_fixture_pass(f, 10000);
        f->clock.real_ms += 86400000; /* the wall clock does not count */
        restarted();
    }
    f->told[0] = '\0';
    core_fixture_pass(f, 30999);
    assert_non_null(fixture_record(f, "a"));
    core_fixture_pass(f, 1);
    told("removed/expired:a");
    /* It was over while no daemon was there. */
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    fake_clock_advance(&f->clock, 70000);
    restarted();
    core_fixture_pass(f, 0);
    assert_null(fixture_record(f, "a"));
}

/* From the last detach that was seen, and recorded. */
TEST(an_idle_time_since_a_detach_over_a_restart)
{
    const struct create_params p = {.name = "a", .size = GIVEN(1), .idle_ttl_ms = GIVEN(60000)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    fake_sysv_attach_as(f->k, fixture_record(f, "a")->shmid, 8);
    core_fixture_pass(f, 300000);
    fake_sysv_exit(f->k, 8);
    core_fixture_pass(f, 5000);
    turn_ends();
    fake_clock_advance(&f->clock, 50000);
    restarted();
    core_fixture_pass(f, 5999);
    assert_non_null(fixture_record(f, "a"));
    core_fixture_pass(f, 5001); /* the detach had shown within 5 s */
    assert_null(fixture_record(f, "a"));
}

/* Who has used it while no daemon was there has ended the idle time. */
TEST(an_idle_time_that_ended_while_no_daemon_was_there)
{
    const struct create_params p = {.name = "a", .size = GIVEN(1), .idle_ttl_ms = GIVEN(60000)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    for (int goes = 0; goes < 2; goes++) {
        fake_clock_advance(&f->clock, 70000);
        fake_sysv_attach_as(f->k, fixture_record(f, "a")->shmid, 8);
        fake_clock_advance(&f->clock, 70000);
        if (goes)
            fake_sysv_exit(f->k, 8);
        restarted();
        core_fixture_pass(f, 59999);
        assert_non_null(fixture_record(f, "a"));
    }
    core_fixture_pass(f, 1);
    assert_null(fixture_record(f, "a"));
}

TEST(holders_keep_their_order)
{
    made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    turn_ends();
    for (int i = 0; i < 3; i++) {
        const struct tie *tie = LIST_FIRST(&fixture_record(f, "a")->ties);
        assert_int_equal(tie->party->identity.pid, 2);
        assert_int_equal(LIST_NEXT(tie, of_segment)->party->identity.pid, 1);
        restarted();
    }
}

TEST(the_dead)
{
    struct segment *s = made("held", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "held"), 0);
    made("alone", LIFETIME_PROCESS);
    const struct create_params filling = {
        .name = "filling", .size = GIVEN(1), .ready = GIVEN(false)};
    assert_int_equal(fixture_create(f, &alice, &filling), 0);
    made("connected", LIFETIME_CONNECTION);
    made("plain", LIFETIME_PERSISTENT);
    turn_ends();
    f->told[0] = '\0';
    fake_processes_die(&f->p, 1);
    struct party *party = alice.party;
    alice.party = NULL;
    /* The daemon's end takes connections along. */
    int r = core_fixture_restart(f);
    assert_int_equal(r, 0);
    party_end(&f->core.parties, party);
    turn_ends();
    found(5, 0, 0, 0, 0, 3);
    told("removed/last-holder-exited:alone removed/initialiser-died:filling "
         "removed/connection-closed:connected");
    s = fixture_record(f, "held");
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(LIST_FIRST(&s->ties)->party->identity.pid, 2);
    assert_int_equal(f->core.registry.count, 2);
    core_fixture_check_kernel(f);
}

/* Its time is over, and another's segment has its shmid by now. */
TEST(an_expiry_that_finds_another)
{
    static const struct fake_process self = {990, 990, 41}; /* the daemon may remove it */
    const struct create_params p = {.name = "short", .size = GIVEN(64), .ttl_ms = GIVEN(1000)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    const int32_t shmid = f->found.segment->shmid;
    turn_ends();
    (void)core_fixture_told(f);
    assert_int_equal(fake_sysv_recycle(f->k, shmid, &self, 9), 0);
    core_fixture_pass(f, 1000);
    told("removed/recycled:short");
    assert_non_null(fake_sysv_segment(f->k, shmid));
    assert_int_equal(fake_sysv_remove_as(f->k, shmid), 0);
}

/* A process that held much must not hold up the others by its end. */
TEST(an_end_goes_on_where_its_share_ended)
{
    enum { MANY = 40 };
    for (int i = 0; i < MANY; i++) {
        const struct create_params p = {.size = GIVEN(1), .lifetime = GIVEN(LIFETIME_CONNECTION)};
        assert_int_equal(fixture_create(f, &alice, &p), 0);
    }
    turn_ends();
    struct party *party = alice.party;
    alice.party = NULL;
    ends_note(&f->core, party);
    unsigned shares = 0;
    for (; ends_are_due(&f->core); shares++) {
        const size_t before = f->core.registry.count;
        f->clock.mono_step_us = SHARE_US / 2;
        work_begin_share(&f->core.work, SHARE_US);
        ends_go_on(&f->core);
        work_end_share(&f->core.work, false);
        f->clock.mono_step_us = 0;
        assert_in_range(before - f->core.registry.count, 0, 8);
        assert_true(shares < 2 * MANY);
    }
    assert_true(shares > 5);
    assert_int_equal(f->core.registry.count, 0);
    turn_ends();
}

/* Once that it cannot be looked at is no reason to keep it for ever. */
TEST(an_end_that_the_kernel_refused)
{
    made("held", LIFETIME_PROCESS);
    const struct create_params filling = {
        .name = "filling", .size = GIVEN(1), .ready = GIVEN(false)};
    assert_int_equal(fixture_create(f, &alice, &filling), 0);
    turn_ends();
    f->told[0] = '\0';
    fake_sysv_fail(f->k, FAKE_STAT, 0, EIO);
    core_fixture_kill(f, 1);
    turn_ends();
    fake_sysv_fail(f->k, FAKE_STAT, 0, 0);
    told("");
    assert_int_equal(f->core.registry.count, 2);
    core_fixture_pass(f, 5000);
    told("removed/last-holder-exited:held removed/initialiser-died:filling");
    core_fixture_check_kernel(f);
}

TEST(a_pid_that_is_anothers_by_now)
{
    for (int no_pidfs = 0; no_pidfs < 2; no_pidfs++) {
        f->p.no_pidfs = no_pidfs;
        made("a", LIFETIME_PROCESS);
        fake_processes_die(&f->p, 1);
        int socket = fake_processes_start(&f->p, 1, "stranger");
        restarted();
        found(1, 0, 0, 0, 0, 1);
        assert_int_equal(f->core.registry.count, 0);
        assert_int_equal(f->p.n_open, 0);
        alice.socket = socket;
    }
}

TEST(an_older_kernel)
{
    f->p.no_pidfs = true;
    struct segment *s = made("a", LIFETIME_PROCESS);
    restarted();
    s = fixture_record(f, "a");
    assert_int_equal(s->n_holders, 1);
    assert_int_not_equal(LIST_FIRST(&s->ties)->party->identity.started_at, 0);
    core_fixture_kill(f, 1);
    turn_ends();
    assert_int_equal(f->core.registry.count, 0);
}

/* /proc with hidepid and a daemon that is not root: unknown is not ended. */
TEST(an_older_kernel_that_hides_processes)
{
    for (int recorded = 0; recorded < 2; recorded++) {
        f->p.no_pidfs = true;
        f->p.hides = recorded == 0;
        alice = core_fixture_caller(f, ALICE, 1);
        made("a", LIFETIME_PROCESS);
        f->p.hides = true; /* now in any case */
        restarted();
        struct segment *s = fixture_record(f, "a");
        assert_non_null(s);
        assert_int_equal(s->n_holders, 1);
        restarted();
        s = fixture_record(f, "a");
        assert_int_equal(s->n_holders, 1);
        core_fixture_kill(f, 1);
        turn_ends();
        assert_int_equal(f->core.registry.count, 0);
        /* One that has ended meanwhile has ended. */
        alice = core_fixture_caller(f, ALICE, 1);
        made("b", LIFETIME_PROCESS);
        fake_processes_die(&f->p, 1);
        restarted();
        assert_int_equal(f->core.registry.count, 0);
    }
}

/* The daemon is in another pid namespace now: the kernel tells the pids of all others as 0. */
static void enter_pid_namespace(void)
{
    f->machine.pid_namespace++;
    for (size_t i = 0; i < f->p.n_tasks; i++)
        if (f->p.tasks[i].pid != f->k->self.pid)
            f->p.tasks[i].pid = 0;
    for (int32_t i = 0; i < 8; i++) {
        struct sysv_stat *segment = fake_sysv_segment(f->k, i);
        if (segment)
            segment->cpid = segment->lpid = 0;
    }
}

TEST(another_pid_namespace)
{
    f->machine.pid_namespace = 7;
    restarted();
    struct segment *s = made("used", LIFETIME_PROCESS);
    int32_t used = s->shmid, unused = made("unused", LIFETIME_PROCESS)->shmid;
    fake_sysv_attach_as(f->k, used, 60);
    int32_t kept = made("kept", LIFETIME_PERSISTENT)->shmid;
    int32_t other_size = made("other-size", LIFETIME_PERSISTENT)->shmid;
    assert_int_equal(fake_sysv_recycle(f->k, other_size, &other, 100), 0);
    for (int i = 0; i < 2; i++) { /* the second in the same one again */
        if (i == 0)
            enter_pid_namespace();
        restarted();
        /* Its holder may live on, and may be who has it attached. */
        s = fixture_record(f, "used");
        assert_non_null(s);
        assert_int_equal(s->shmid, used);
        assert_int_equal(s->n_holders, 0);
        assert_int_equal(fixture_record(f, "kept")->shmid, kept);
        assert_null(fixture_record(f, "other-size"));
        assert_null(fixture_record(f, "unused"));
    }
    assert_null(fake_sysv_segment(f->k, unused));
    assert_non_null(fake_sysv_segment(f->k, other_size)); /* a stranger's */
    fake_sysv_exit(f->k, 60);
    core_fixture_pass(f, 20000);
    assert_null(fixture_record(f, "used"));
    assert_null(fake_sysv_segment(f->k, used));
    assert_int_equal(fixture_remove(f, "kept"), 0);
    turn_ends();
}

/* Whoever has it attached may be its holder: a look that fails does not tell that nobody has. */
TEST(left_behind_and_not_to_be_looked_at)
{
    f->machine.pid_namespace = 7;
    restarted();
    const int32_t used = made("used", LIFETIME_PROCESS)->shmid;
    fake_sysv_attach_as(f->k, used, 60);
    enter_pid_namespace();
    restarted();
    for (unsigned long n = 1; n < 8; n++) {
        fake_sysv_fail(f->k, FAKE_STAT, n, EIO);
        restarted();
        fake_sysv_fail(f->k, FAKE_STAT, 0, 0);
        assert_non_null(fixture_record(f, "used"));
        fake_sysv_fail(f->k, FAKE_STAT, n, EIO);
        core_fixture_pass(f, 5000);
        fake_sysv_fail(f->k, FAKE_STAT, 0, 0);
        assert_non_null(fixture_record(f, "used"));
    }
    fake_sysv_exit(f->k, 60);
    core_fixture_pass(f, 20000);
    assert_null(fake_sysv_segment(f->k, used));
    turn_ends();
}

/* By which number the kernel tells the creator now is left open by a look that fails. */
TEST(another_pid_namespace_and_a_look_that_fails)
{
    static const int32_t numbers[] = {0, 50};
    for (int i = 0; i < 8; i++) {
        const bool is_killed_before_the_sweep = i % 2, is_used = i / 2 % 2;
        f->machine.pid_namespace = 7;
        restarted();
        const int32_t kept = made("kept", LIFETIME_PERSISTENT)->shmid;
        if (is_used)
            fake_sysv_attach_as(f->k, kept, 60);
        enter_pid_namespace();
        fake_sysv_segment(f->k, kept)->cpid = numbers[i / 4];
        fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
        restarted();
        assert_int_equal(f->start.store_error, 0);
        assert_non_null(fixture_record(f, "kept"));
        if (!is_killed_before_the_sweep)
            core_fixture_pass(f, 5000);
        assert_int_equal(core_fixture_crash(f), 0);
        assert_non_null(fixture_record(f, "kept"));
        assert_int_equal(fixture_look(f, "kept"), 0);
        assert_int_equal(core_fixture_crash(f), 0);
        assert_int_equal(fixture_look(f, "kept"), 0);
        fake_sysv_exit(f->k, 60);
        assert_int_equal(fixture_remove(f, "kept"), 0);
        turn_ends();
        assert_int_equal(fake_sysv_count(f->k), 0);
    }
}

/* The daemon is recorded as soon as each creator has a number again: then its holders are found. */
TEST(another_pid_namespace_and_a_sweep_that_makes_up_for_it)
{
    f->machine.pid_namespace = 7;
    restarted();
    (void)made("kept", LIFETIME_PERSISTENT);
    enter_pid_namespace();
    const size_t daemons = f->store.n_daemons;
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    restarted();
    assert_int_equal(f->store.n_daemons, daemons);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->store.n_daemons, daemons + 1);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->store.n_daemons, daemons + 1);
}

/* One that is recorded with another key is another segment, whatever number its creator has. */
TEST(another_pid_namespace_and_another_key)
{
    f->machine.pid_namespace = 7;
    restarted();
    struct sysv_stat *kernel = fake_sysv_segment(f->k, made("a", LIFETIME_PERSISTENT)->shmid);
    enter_pid_namespace();
    kernel->key = 5;
    restarted();
    assert_null(fixture_record(f, "a"));
    assert_int_equal(fake_sysv_count(f->k), 1);
}

/* The disk has room for what ends alone, and the daemon is killed before there is more: the next
 * one must still know that the pids of what is kept are another namespace's. */
TEST(another_pid_namespace_and_a_full_disk)
{
    f->machine.pid_namespace = 7;
    restarted();
    (void)made("kept", LIFETIME_PERSISTENT);
    (void)made("unused", LIFETIME_PROCESS);
    enter_pid_namespace();
    fake_store_fail_next(&f->store, 1, ENOSPC, "the disk is full");
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(f->start.store_error, -ENOSPC);
    assert_null(fixture_record(f, "unused"));
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(f->start.store_error, 0);
    assert_int_equal(fixture_look(f, "kept"), 0);
    turn_ends();
}

TEST(the_pid_namespace_of_version_0_1_0)
{
    f->machine.pid_namespace = 0; /* so its journal says */
    restarted();
    (void)made("a", LIFETIME_PROCESS);
    f->machine.pid_namespace = 7;
    restarted();
    assert_int_equal(fixture_record(f, "a")->n_holders, 1);
}

TEST(what_happened_meanwhile)
{
    int32_t gone = made("gone", LIFETIME_PERSISTENT)->shmid;
    int32_t recycled = made("recycled", LIFETIME_PERSISTENT)->shmid;
    int32_t dying = made("dying", LIFETIME_PROCESS)->shmid;
    int32_t attached = made("attached", LIFETIME_PERSISTENT)->shmid;
    fake_sysv_remove_as(f->k, gone);
    assert_int_equal(fake_sysv_recycle(f->k, recycled, &other, 100), 0);
    fake_sysv_attach_as(f->k, dying, 9);
    fake_sysv_remove_as(f->k, dying);
    fake_sysv_attach_as(f->k, attached, 9);
    restarted();
    found(1, 1, 1, 1, 0, 0);
    /* Attachments from before are not told. */
    told("removed/out-of-band:gone removed/recycled:recycled removed/out-of-band:dying");
    assert_non_null(fake_sysv_segment(f->k, recycled));
    assert_int_equal(f->store.n_records, 2);
    core_fixture_pass(f, 5000);
    told("");
    /* And the removing one stays so over another start. */
    restarted();
    found(2, 0, 0, 0, 0, 0);
    told("");
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    told("detached:attached");
    assert_int_equal(f->store.n_records, 1);
}

TEST(who_made_what_is_gone_is_known)
{
    /* An event about it is for its creator, so it must have an owner and a mode. */
    fake_sysv_remove_as(f->k, made("a", LIFETIME_PERSISTENT)->shmid);
    assert_int_equal(core_fixture_restart(f), 0);
    const struct segment_event *event = STAILQ_FIRST(&f->core.news.waiting);
    assert_int_equal(event->kernel.uid, ALICE);
    assert_int_equal(event->kernel.mode, 0600);
    turn_ends();
}

/* --- a create that ended between shmget() and the record */

enum { INTENDED_KEY = 0x77, INTENDED_SIZE = 12345 };
static const struct sysv_create intended = {.key = INTENDED_KEY, .size = INTENDED_SIZE};

static void intends(void)
{
    f->k->now = f->clock.real_ms / 1000;
    assert_int_equal(ledger_intend(&f->core, INTENDED_KEY, INTENDED_SIZE, &f->detail), 0);
}

static int32_t make_as(const struct fake_process *process, const struct sysv_create *args)
{
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(f->k, process, args, 0600, &shmid), 0);
    return shmid;
}

/* By the daemon that is killed next. */
static int32_t make(const struct sysv_create *args)
{
    return make_as(&f->k->self, args);
}

static void crashed(bool is_removed, size_t n_unclear)
{
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(f->start.unacknowledged.is_removed, is_removed);
    assert_int_equal(f->start.unacknowledged.n_unclear, n_unclear);
    assert_false(f->store.has_intent); /* it has been dealt with */
    turn_ends();
}

TEST(what_was_never_acknowledged_goes)
{
    made("a", LIFETIME_PERSISTENT);
    f->clock.real_ms += 5000;
    intends();
    int32_t shmid = make(&intended);
    crashed(true, 0);
    assert_null(fake_sysv_segment(f->k, shmid));
    assert_non_null(fixture_record(f, "a"));
    core_fixture_check_kernel(f);
    /* Once: another one like it is another matter. */
    shmid = make_as(&(const struct fake_process){DAEMON, DAEMON, DAEMON_PID}, &intended);
    crashed(false, 0);
    assert_non_null(fake_sysv_segment(f->k, shmid));
}

TEST(a_create_that_came_to_no_segment)
{
    made("a", LIFETIME_PERSISTENT);
    intends();
    crashed(false, 0);
    assert_int_equal(fake_sysv_count(f->k), 1);
}

TEST(the_kernels_second_is_behind)
{
    f->clock.tick_lag_ms = 8;
    f->clock.real_ms += 5000 - f->clock.real_ms % 1000 + 3;
    intends();
    f->k->now = (f->clock.real_ms - f->clock.tick_lag_ms) / 1000;
    int32_t shmid = make(&intended);
    crashed(true, 0);
    assert_null(fake_sysv_segment(f->k, shmid));
}

/* The time of the announcement counts, not that of the daemon's start. */
TEST(the_clock_was_set_back_since_the_start)
{
    f->clock.real_ms -= 600000;
    intends();
    int32_t shmid = make(&intended);
    crashed(true, 0);
    assert_null(fake_sysv_segment(f->k, shmid));
}

TEST(what_differs_in_anything_is_another)
{
    const struct fake_process former = f->k->self;
    const struct fake_process stranger = {DAEMON, DAEMON, 4711}; /* another program of our uid */
    const struct fake_process same_pid = {BOB, BOBS, former.pid};
    const struct sysv_create other_key = {.key = 0x78, .size = INTENDED_SIZE};
    const struct sysv_create no_key = {.size = INTENDED_SIZE};
    const struct sysv_create other_size = {.size = INTENDED_SIZE + 1};
    made("recorded", LIFETIME_PERSISTENT);
    f->core.own_pid = former.pid;
    assert_int_equal(ledger_intend(&f->core, 0, INTENDED_SIZE, &f->detail), 0);
    f->k->now = f->clock.real_ms / 1000;
    int32_t kept[] = {
        make_as(&stranger, &no_key),   make_as(&same_pid, &no_key), make_as(&former, &other_key),
        make_as(&former, &other_size), make_as(&former, &no_key),   make_as(&former, &no_key),
        make_as(&former, &no_key),     make_as(&former, &no_key),   make_as(&former, &no_key)};
    fake_sysv_attach_as(f->k, kept[4], 9);
    fake_sysv_attach_as(f->k, kept[5], 9);
    fake_sysv_remove_as(f->k, kept[5]);
    fake_sysv_segment(f->k, kept[6])->ctime = f->k->now - 1; /* older than the intent */
    fake_sysv_attach_as(f->k, kept[7], 9);                   /* somebody knew of it */
    fake_sysv_detach_as(f->k, kept[7], 9);
    fake_sysv_attach_as(f->k, kept[8], 9); /* by a process that has no number here */
    fake_sysv_segment(f->k, kept[8])->lpid = 0;
    int32_t exact = make_as(&former, &no_key);
    crashed(true, 0);
    assert_null(fake_sysv_segment(f->k, exact));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        assert_non_null(fake_sysv_segment(f->k, kept[i]));
}

/* Somebody attaches the segment once the sweep has found it. */
static void attach_before_the_second_look(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    if (op == FAKE_STAT && fake_sysv_segment(k, shmid)->size == INTENDED_SIZE)
        fake_sysv_attach_as(k, shmid, 9);
}

TEST(what_is_removed_is_looked_at_again)
{
    intends();
    int32_t shmid = make(&intended);
    f->k->before = attach_before_the_second_look;
    crashed(false, 0);
    f->k->before = NULL;
    assert_non_null(fake_sysv_segment(f->k, shmid));
    assert_false(fake_sysv_segment(f->k, shmid)->destroyed);
}

TEST(a_record_that_is_like_the_intent_is_kept)
{
    const struct create_params p = {.size = GIVEN(INTENDED_SIZE), .key = GIVEN(INTENDED_KEY)};
    f->k->now = f->clock.real_ms / 1000;
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    int32_t shmid = f->found.segment->shmid;
    intends();
    crashed(false, 0);
    assert_non_null(fake_sysv_segment(f->k, shmid));
    assert_int_equal(f->core.registry.count, 1);
}

TEST(of_several_none_is_removed)
{
    int32_t shmids[UNCLEAR_MAX + 2];
    const struct sysv_create no_key = {.size = INTENDED_SIZE};
    f->k->now = f->clock.real_ms / 1000;
    for (int n = 2; n <= UNCLEAR_MAX + 2; n += UNCLEAR_MAX) {
        assert_int_equal(ledger_intend(&f->core, 0, INTENDED_SIZE, &f->detail), 0);
        for (int i = 0; i < n; i++)
            shmids[i] = make(&no_key);
        crashed(false, (size_t)n);
        assert_int_equal(f->start.unacknowledged.unclear[0], shmids[0]);
        assert_int_equal(f->start.unacknowledged.unclear[1], shmids[1]);
        for (int i = 0; i < n; i++)
            assert_non_null(fake_sysv_segment(f->k, shmids[i]));
    }
}

TEST(a_daemon_that_ended_in_order_left_no_intent)
{
    const struct create_params p = {.size = GIVEN(INTENDED_SIZE)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    assert_int_equal(f->store.n_intends, 1);
    assert_false(f->store.has_intent);
    /* Nor did a create that failed. */
    fake_sysv_fail(f->k, FAKE_CREATE, 1, ENOSPC);
    assert_true(fixture_create(f, &alice, &p) != 0);
    assert_int_equal(f->store.n_intends, 2);
    assert_false(f->store.has_intent);
    store_will_fail();
    assert_int_equal(fixture_create(f, &alice, &p), OUTCOME_STORE_FAILURE);
    assert_int_equal(f->store.n_intends, 3);
    assert_false(f->store.has_intent);
    /* Without an intent nothing is created. */
    unsigned long creations = f->k->calls[FAKE_CREATE];
    f->store.fail_intend = EIO;
    assert_int_equal(fixture_create(f, &alice, &p), OUTCOME_STORE_FAILURE);
    assert_string_equal(f->detail.hint, "no intent can be recorded");
    assert_int_equal(f->k->calls[FAKE_CREATE], creations);
    f->store.fail_intend = 0;
    turn_ends();
}

TEST(in_doubt_nothing_is_removed)
{
    struct unacknowledged result;
    intends();
    int32_t shmid = make(&intended);
    const struct store_intent intent = f->store.intent;
    static const struct {
        enum fake_op op;
        int error;
    } faults[] = {
        {FAKE_LIMITS, EIO}, {FAKE_STAT_INDEX, EACCES}, {FAKE_STAT, EIO}, {FAKE_REMOVE, EPERM}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fake_sysv_fail(f->k, faults[i].op, 1, faults[i].error);
        reconcile_unacknowledged(&f->core, &intent, &result);
        assert_false(result.is_removed);
        assert_int_equal(result.n_unclear, 0);
        assert_non_null(fake_sysv_segment(f->k, shmid));
    }
    reconcile_unacknowledged(&f->core, &intent, &result);
    assert_true(result.is_removed);
    assert_null(fake_sysv_segment(f->k, shmid));
}

TEST(starts_that_fail)
{
    made("a", LIFETIME_PROCESS);
    f->store.fail_load = EIO;
    assert_int_equal(core_fixture_restart(f), -EIO);
    f->store.fail_load = 0;
    f->p.fail_open = EMFILE;
    assert_int_equal(core_fixture_restart(f), -EMFILE);
    f->p.fail_open = 0;
    f->p.fail_identify = EIO;
    assert_int_equal(core_fixture_restart(f), -EIO);
    f->p.fail_identify = 0;
    f->p.fail_watch = ENOMEM;
    assert_int_equal(core_fixture_restart(f), -ENOMEM);
    f->p.fail_watch = 0;
    /* Nothing was lost by any of them. */
    restarted();
    found(1, 0, 0, 0, 0, 0);
    assert_int_equal(fixture_record(f, "a")->n_holders, 1);
    core_fixture_check_kernel(f);
}

TEST(a_store_that_does_not_take_us)
{
    /* What is there is shown, and nothing is created that the next start could not tell. */
    made("a", LIFETIME_PERSISTENT);
    fake_store_fail_next(&f->store, 100, ENOSPC, "the disk is full");
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->start.store_error, -ENOSPC);
    turn_ends();
    found(1, 0, 0, 0, 0, 0);
    assert_int_equal(fixture_look(f, "a"), 0);
    const struct create_params p = {.name = "b", .size = GIVEN(1)};
    assert_int_equal(fixture_create(f, &alice, &p), OUTCOME_STORE_FAILURE);
    assert_non_null(f->detail.hint);
    const struct set_params mode = {.mode = GIVEN(0640)};
    assert_int_equal(fixture_set(f, &alice, "a", &mode), OUTCOME_STORE_FAILURE);
    assert_int_equal(fixture_kernel(f, "a")->mode, 0600);
    assert_int_equal(fake_sysv_count(f->k), 1);
    size_t entered = f->store.n_daemons;
    fake_store_fail_next(&f->store, 0, 0, NULL);
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    assert_int_equal(f->store.n_daemons, entered + 1);
    turn_ends();
    core_fixture_check_kernel(f);
}

/* A sweep's time, while the store may refuse. */
static void pass_anyhow(void)
{
    const int64_t end = f->clock.boot_ms + f->settings.reconcile_ms;
    for (int64_t next; (next = core_next_tick(&f->core)) >= 0 && next <= end;) {
        if (next > f->clock.boot_ms)
            fake_clock_advance(&f->clock, next - f->clock.boot_ms);
        core_tick(&f->core);
        (void)core_fixture_turn(f);
    }
    fake_clock_advance(&f->clock, end - f->clock.boot_ms);
}

/* Nobody asks for anything, and no segment is left to look at. */
TEST(a_store_that_takes_the_last_end_later)
{
    made("a", LIFETIME_PERSISTENT);
    fake_sysv_remove_as(f->k, fixture_record(f, "a")->shmid);
    fake_store_fail_next(&f->store, 1U << 30, ENOSPC, "the disk is full");
    pass_anyhow();
    assert_int_equal(f->core.registry.count, 0);
    pass_anyhow();
    assert_non_null(fake_store_find_name(&f->store, "a"));
    fake_store_fail_next(&f->store, 0, 0, NULL);
    pass_anyhow();
    assert_null(fake_store_find_name(&f->store, "a"));
    pass_anyhow();
    assert_int_equal(core_next_tick(&f->core), -1); /* and it sleeps */
}

TEST(starts_without_memory)
{
    const struct create_params p = {.name = "a",
                                    .key = GIVEN(7),
                                    .size = GIVEN(1),
                                    .lifetime = GIVEN(LIFETIME_PROCESS),
                                    .ready = GIVEN(false),
                                    .ttl_ms = GIVEN(100000)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    made("b", LIFETIME_PERSISTENT);
    unsigned long n = 1;
    for (bool failed = true; failed; n++) {
        fake_memory_fail(n);
        int r = core_fixture_restart(f);
        failed = fake_memory_restore();
        assert_true(failed ? r == 0 || r == -ENOMEM : r == 0);
    }
    assert_true(n > 5);
    turn_ends();
    found(2, 0, 0, 0, 0, 0);
    assert_int_equal(fixture_record(f, "a")->n_holders, 1);
    core_fixture_check_kernel(f);
}

TEST(a_store_with_a_contradiction)
{
    made("a", LIFETIME_PERSISTENT);
    made("b", LIFETIME_PERSISTENT);
    f->store.records[1].segment->shmid = f->store.records[0].segment->shmid;
    assert_int_equal(core_fixture_restart(f), -EEXIST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(no_sweep_without_segments),
        CASE(another_period),
        CASE(a_sweep_goes_on_where_its_share_ended),
        CASE(one_that_is_asked_for_goes_on_in_shares),
        CASE(one_that_is_asked_for_in_the_midst_of_another),
        CASE(what_is_not_the_daemons_is_counted),
        CASE(sweeps_come_often_for_those_who_listen),
        CASE(every_verdict),
        CASE(attachments_are_told),
        CASE(everything_is_found_again),
        CASE(an_idle_time),
        CASE(an_expiry_over_a_restart),
        CASE(an_idle_time_over_a_restart),
        CASE(an_idle_time_since_a_detach_over_a_restart),
        CASE(an_idle_time_that_ended_while_no_daemon_was_there),
        CASE(holders_keep_their_order),
        CASE(the_dead),
        CASE(an_expiry_that_finds_another),
        CASE(an_end_goes_on_where_its_share_ended),
        CASE(an_end_that_the_kernel_refused),
        CASE(a_pid_that_is_anothers_by_now),
        CASE(an_older_kernel),
        CASE(an_older_kernel_that_hides_processes),
        CASE(another_pid_namespace),
        CASE(left_behind_and_not_to_be_looked_at),
        CASE(another_pid_namespace_and_a_look_that_fails),
        CASE(another_pid_namespace_and_a_sweep_that_makes_up_for_it),
        CASE(another_pid_namespace_and_another_key),
        CASE(another_pid_namespace_and_a_full_disk),
        CASE(the_pid_namespace_of_version_0_1_0),
        CASE(what_happened_meanwhile),
        CASE(who_made_what_is_gone_is_known),
        CASE(what_was_never_acknowledged_goes),
        CASE(a_create_that_came_to_no_segment),
        CASE(the_kernels_second_is_behind),
        CASE(the_clock_was_set_back_since_the_start),
        CASE(what_differs_in_anything_is_another),
        CASE(what_is_removed_is_looked_at_again),
        CASE(a_record_that_is_like_the_intent_is_kept),
        CASE(of_several_none_is_removed),
        CASE(a_daemon_that_ended_in_order_left_no_intent),
        CASE(in_doubt_nothing_is_removed),
        CASE(starts_that_fail),
        CASE(a_store_that_does_not_take_us),
        CASE(a_store_that_takes_the_last_end_later),
        CASE(starts_without_memory),
        CASE(a_store_with_a_contradiction),
    };
    return RUN_TESTS(tests);
}
