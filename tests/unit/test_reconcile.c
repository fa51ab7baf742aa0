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
    assert_int_equal(f->start.kept, kept);
    assert_int_equal(f->start.gone, gone);
    assert_int_equal(f->start.recycled, recycled);
    assert_int_equal(f->start.dying, dying);
    assert_int_equal(f->start.indeterminate, indeterminate);
    assert_int_equal(f->start.dead, dead);
    assert_int_equal(f->start.unacknowledged, 0);
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
    struct core_start result;
    core_reconcile(&f->core, &result);
    assert_int_equal(result.kept, 1);
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
    core_reconcile(&f->core, &result);
    assert_int_equal(result.kept, 3);
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
    fake_sysv_attach_as(f->k, s->shmid, 9); /* as many as before: it does not show */
    core_fixture_pass(f, 5000);
    told("");
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

/* A create that ended between shmget() and the record: its shmid. */
static int32_t not_acknowledged(const struct create_params *p)
{
    size_t before = fake_sysv_count(f->k);
    store_will_fail();
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EIO);
    assert_int_equal(fixture_create(f, &alice, p), OUTCOME_STORE_FAILURE);
    assert_int_equal(fake_sysv_count(f->k), before + 1);
    return (int32_t)before; /* of the first round of indexes */
}

TEST(what_was_never_acknowledged_goes)
{
    made("a", LIFETIME_PERSISTENT);
    const struct create_params p = {.name = "b", .size = GIVEN(1)};
    f->clock.real_ms += 5000;
    f->k->now += 5;
    int32_t shmid = not_acknowledged(&p);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(f->start.unacknowledged, 1);
    turn_ends();
    assert_null(fake_sysv_segment(f->k, shmid));
    assert_non_null(fixture_record(f, "a"));
    core_fixture_check_kernel(f);
}

TEST(several_starts_in_a_second)
{
    const struct create_params p = {.name = "b", .size = GIVEN(1)};
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(core_fixture_restart(f), 0);
    /* The last of them lives on into the next second. */
    f->clock.real_ms += 1000;
    f->k->now = f->clock.real_ms / 1000;
    (void)not_acknowledged(&p);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(f->start.unacknowledged, 1);
    turn_ends();
    core_fixture_check_kernel(f);
}

TEST(the_kernels_second_is_behind)
{
    const struct create_params p = {.name = "b", .size = GIVEN(1)};
    f->clock.tick_lag_ms = 8;
    f->clock.real_ms += 5000 - f->clock.real_ms % 1000 + 3;
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    f->k->now = (f->clock.real_ms - f->clock.tick_lag_ms) / 1000;
    (void)not_acknowledged(&p);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(f->start.unacknowledged, 1);
    turn_ends();
    core_fixture_check_kernel(f);
}

TEST(only_what_nobody_was_told_of_is_removed)
{
    made("a", LIFETIME_PERSISTENT);
    const struct fake_process former = {DAEMON, DAEMON, DAEMON_PID};
    const struct fake_process stranger = {DAEMON, DAEMON, 4711}; /* another program of our uid */
    const struct fake_process same_pid = {BOB, BOBS, DAEMON_PID};
    const struct sysv_create args = {.size = 10};
    int32_t exact, attached, destroyed, by_stranger, by_pid, before;
    f->k->now = f->clock.real_ms / 1000;
    assert_int_equal(fake_sysv_create_as(f->k, &former, &args, 0600, &exact), 0);
    assert_int_equal(fake_sysv_create_as(f->k, &former, &args, 0600, &attached), 0);
    fake_sysv_attach_as(f->k, attached, 9);
    assert_int_equal(fake_sysv_create_as(f->k, &former, &args, 0600, &destroyed), 0);
    fake_sysv_attach_as(f->k, destroyed, 9);
    fake_sysv_remove_as(f->k, destroyed);
    assert_int_equal(fake_sysv_create_as(f->k, &stranger, &args, 0600, &by_stranger), 0);
    assert_int_equal(fake_sysv_create_as(f->k, &same_pid, &args, 0600, &by_pid), 0);
    assert_int_equal(fake_sysv_create_as(f->k, &former, &args, 0600, &before), 0);
    fake_sysv_segment(f->k, before)->ctime = f->k->now - 1; /* older than that daemon */
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->start.unacknowledged, 1);
    turn_ends();
    assert_null(fake_sysv_segment(f->k, exact));
    const int32_t others[] = {attached, destroyed, by_stranger, by_pid, before};
    for (size_t i = 0; i < 5; i++)
        assert_non_null(fake_sysv_segment(f->k, others[i]));
    assert_non_null(fake_sysv_segment(f->k, fixture_record(f, "a")->shmid));
    /* Two starts later it is known still which pids were daemons. */
    assert_int_equal(fake_sysv_create_as(f->k, &former, &args, 0600, &exact), 0);
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(core_fixture_restart(f), 0);
    assert_null(fake_sysv_segment(f->k, exact));
}

TEST(what_has_a_daemons_pid_after_its_end_is_anothers)
{
    const struct fake_process former = {DAEMON, DAEMON, DAEMON_PID};
    const struct sysv_create args = {.size = 10};
    int32_t shmid;
    assert_int_equal(core_fixture_restart(f), 0);
    f->clock.real_ms += 10000;
    assert_int_equal(core_fixture_restart(f), 0);
    /* The first daemon has been dead for long when a program of our uid gets its pid. */
    f->k->now = f->clock.real_ms / 1000 + 1;
    assert_int_equal(fake_sysv_create_as(f->k, &former, &args, 0600, &shmid), 0);
    f->clock.real_ms += 10000;
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->start.unacknowledged, 0);
    assert_non_null(fake_sysv_segment(f->k, shmid));
}

TEST(in_doubt_nothing_is_removed)
{
    const struct fake_process former = {DAEMON, DAEMON, DAEMON_PID};
    const struct sysv_create args = {.size = 10};
    int32_t shmid;
    struct core_start result;
    assert_int_equal(fake_sysv_create_as(f->k, &former, &args, 0600, &shmid), 0);
    const struct store_daemon daemon = {DAEMON_PID, 0};
    fake_sysv_fail(f->k, FAKE_LIMITS, 1, EIO);
    assert_int_equal(reconcile_unacknowledged(&f->core, &daemon, 1), 0);
    fake_sysv_fail(f->k, FAKE_STAT_INDEX, 1, EACCES);
    assert_int_equal(reconcile_unacknowledged(&f->core, &daemon, 1), 0);
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EPERM);
    assert_int_equal(reconcile_unacknowledged(&f->core, &daemon, 1), 0);
    assert_int_equal(reconcile_unacknowledged(&f->core, &daemon, 0), 0);
    assert_non_null(fake_sysv_segment(f->k, shmid));
    core_reconcile(&f->core, &result);
    assert_non_null(fake_sysv_segment(f->k, shmid));
    assert_int_equal(reconcile_unacknowledged(&f->core, &daemon, 1), 1);
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
    f->store.fail_enter = ENOSPC;
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
    f->store.fail_enter = 0;
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    assert_int_equal(f->store.n_daemons, entered + 1);
    turn_ends();
    core_fixture_check_kernel(f);
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
        CASE(every_verdict),
        CASE(attachments_are_told),
        CASE(everything_is_found_again),
        CASE(an_expiry_over_a_restart),
        CASE(holders_keep_their_order),
        CASE(the_dead),
        CASE(a_pid_that_is_anothers_by_now),
        CASE(an_older_kernel),
        CASE(what_happened_meanwhile),
        CASE(who_made_what_is_gone_is_known),
        CASE(what_was_never_acknowledged_goes),
        CASE(several_starts_in_a_second),
        CASE(the_kernels_second_is_behind),
        CASE(only_what_nobody_was_told_of_is_removed),
        CASE(what_has_a_daemons_pid_after_its_end_is_anothers),
        CASE(in_doubt_nothing_is_removed),
        CASE(starts_that_fail),
        CASE(a_store_that_does_not_take_us),
        CASE(starts_without_memory),
        CASE(a_store_with_a_contradiction),
    };
    return RUN_TESTS(tests);
}
