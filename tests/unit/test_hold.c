/* SPDX-License-Identifier: MIT */
/*
 * What keeps a segment: holders come, go and die, by process or by connection, and the segment goes
 * with the last; the initialiser lets go by `ready` or takes the segment along.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/hold.h"
#include "daemon/core/set.h"
#include "daemon/core/view.h"
#include "tests/fakes/change.h"

static struct caller carol;

static int begin(void **state)
{
    (void)core_begin(state);
    carol = core_fixture_caller(f, BOB, 3);
    return 0;
}

static struct segment *initialising(enum lifetime lifetime)
{
    const struct create_params p = {.name = "a",
                                    .size = GIVEN(4096),
                                    .ready = GIVEN(false),
                                    .lifetime = GIVEN((int64_t)lifetime)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    (void)core_fixture_told(f);
    return f->found.segment;
}

/* It is gone from everywhere. */
static void is_gone(const char *want)
{
    turn_ends();
    told(want);
    assert_null(fixture_record(f, "a"));
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_int_equal(f->store.n_records, 0);
    assert_int_equal(f->core.parties.n_processes, 0);
}

TEST(the_last_holder)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(s->n_holders, 2);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0); /* once more is no more */
    assert_int_equal(s->n_holders, 2);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "changed:a");
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 2);
    core_fixture_kill(f, 1);
    turn_ends();
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 1);
    assert_string_equal(core_fixture_told(f), "");
    core_fixture_kill(f, 2);
    is_gone("removed/last-holder-exited:a");
}

TEST(releasing)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    turn_ends();
    (void)core_fixture_told(f);
    assert_int_equal(fixture_release(f, &alice, "a"), 0);
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(fixture_release(f, &carol, "a"), 0); /* she does not hold it */
    assert_int_equal(s->n_holders, 1);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "changed:a");
    core_fixture_kill(f, 1);
    turn_ends();
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_int_equal(fixture_release(f, &bob, "a"), 0);
    is_gone("removed/last-holder-exited:a");
}

TEST(who_holds_it)
{
    static const enum lifetime lifetimes[] = {LIFETIME_PROCESS, LIFETIME_CONNECTION};
    for (size_t i = 0; i < 2; i++) {
        struct segment *s = made("a", lifetimes[i]);
        size_t processes = f->core.parties.n_processes;
        assert_int_equal(core_holds(&f->core, &alice, s), 1);
        assert_int_equal(core_holds(&f->core, &bob, s), 0);
        assert_int_equal(fixture_hold(f, &bob, "a"), 0);
        assert_int_equal(core_holds(&f->core, &bob, s), 1);
        assert_int_equal(core_holds(&f->core, &carol, s), 0);
        assert_int_equal(fixture_release(f, &bob, "a"), 0);
        assert_int_equal(core_holds(&f->core, &bob, s), 0);
        assert_int_equal(f->core.parties.n_processes, processes); /* to ask leaves nothing */
        turn_ends();
        assert_int_equal(core_holds(&f->core, &bob, s), 0);
        assert_int_equal(core_holds(&f->core, &alice, s), 1);
        assert_int_equal(fixture_release(f, &alice, "a"), 0);
        turn_ends();
        (void)core_fixture_told(f);
    }
    /* Where nothing can be held. */
    assert_int_equal(core_holds(&f->core, &alice, made("a", LIFETIME_PERSISTENT)), 0);
    struct segment *s = made("b", LIFETIME_PROCESS);
    f->p.no_open_peer = true;
    fake_processes_die(&f->p, 3);
    assert_int_equal(core_holds(&f->core, &carol, s), -ESRCH);
    if (carol.party)
        ends_with_party(&f->core, carol.party);
}

TEST(the_last_one_releases_what_is_attached)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    fake_sysv_attach_as(f->k, s->shmid, 1);
    assert_int_equal(fixture_release(f, &alice, "a"), 0);
    assert_int_equal(f->found.segment->state, STATE_REMOVING);
    turn_ends();
    assert_null(fixture_record(f, "a"));
    assert_int_equal(f->core.registry.count, 1);
    /* It cannot be held any more. */
    const struct found found = {s, *fake_sysv_segment(f->k, s->shmid)};
    f->found = found;
    assert_int_equal(core_hold(&f->core, &bob, &f->found, &f->detail), OUTCOME_NOT_HOLDABLE);
    assert_contains(f->detail.hint, "is being removed");
    assert_int_equal(core_release(&f->core, &bob, &f->found, &f->detail), OUTCOME_NOT_HOLDABLE);
    assert_contains(f->detail.hint, "nothing to release");
    core_fixture_kill(f, 1);
    core_fixture_pass(f, 5000);
    is_gone("removed/last-holder-exited:a");
}

TEST(the_kernel_will_not_remove)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EPERM);
    assert_int_equal(fixture_release(f, &alice, "a"), -EPERM);
    assert_int_equal(s->n_holders, 1); /* it failed, so she still holds it */
    turn_ends();
    assert_int_equal(s->n_holders, 1);
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EPERM);
    core_fixture_kill(f, 1);
    turn_ends();
    /* It has no holder, and is listed so. */
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_int_equal(s->n_holders, 0);
    assert_string_equal(core_fixture_told(f), "");
}

TEST(connections)
{
    struct segment *s = made("a", LIFETIME_CONNECTION);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    turn_ends();
    assert_int_equal(s->n_holders, 2);
    /* The process's death is nothing; it closes the connection. */
    core_fixture_kill(f, 1);
    assert_int_equal(s->n_holders, 2);
    ends_with_party(&f->core, steal_pointer(&alice.party));
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(fixture_release(f, &bob, "a"), 0);
    is_gone("changed:a removed/connection-closed:a");
    ends_with_party(&f->core, steal_pointer(&bob.party));
}

TEST(one_connection_of_many_segments)
{
    made("a", LIFETIME_CONNECTION);
    (void)fixture_made(f, &alice, "b", LIFETIME_CONNECTION);
    (void)fixture_made(f, &alice, "c", LIFETIME_PERSISTENT);
    assert_int_equal(fixture_hold(f, &bob, "b"), 0);
    turn_ends();
    (void)core_fixture_told(f);
    ends_with_party(&f->core, steal_pointer(&alice.party));
    turn_ends();
    assert_string_equal(core_fixture_told(f), "removed/connection-closed:a");
    assert_non_null(fixture_record(f, "b"));
    assert_non_null(fixture_record(f, "c"));
}

TEST(one_process_of_many_segments)
{
    made("a", LIFETIME_PROCESS);
    for (char name[2] = "b"; name[0] < 'h'; name[0]++)
        (void)fixture_made(f, &alice, name, LIFETIME_PROCESS);
    assert_int_equal(f->core.parties.n_processes, 1);
    assert_int_equal(f->p.n_watched, 1);
    (void)core_fixture_told(f);
    core_fixture_kill(f, 1);
    turn_ends();
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(f->p.n_watched, 0);
}

TEST(what_has_no_holders)
{
    static const enum lifetime lifetimes[] = {LIFETIME_PERSISTENT, LIFETIME_ATTACHED};
    static const char *const ways[] = {"set its lifetime to process or connection", "attach it"};
    for (size_t i = 0; i < 2; i++) {
        made("a", lifetimes[i]);
        assert_int_equal(fixture_hold(f, &bob, "a"), OUTCOME_NOT_HOLDABLE);
        assert_string_equal(f->detail.what, lifetime_words[lifetimes[i]]);
        assert_contains(f->detail.hint, ways[i]);
        assert_int_equal(fixture_release(f, &alice, "a"), OUTCOME_NOT_HOLDABLE);
        assert_contains(f->detail.hint, "nothing to release");
        assert_int_equal(fixture_remove(f, "a"), 0);
        turn_ends();
    }
}

TEST(too_many_holders)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    f->core.settings.limits.max_holders_per_segment = 2;
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    turn_ends();
    assert_int_equal(fixture_hold(f, &carol, "a"), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_holders_per_segment");
    assert_int_equal(f->detail.used, 2);
    assert_int_equal(f->detail.max, 2);
    assert_int_equal(s->n_holders, 2);
    assert_false(core_turn_is_due(&f->core));
    assert_int_equal(fixture_hold(f, &bob, "a"), 0); /* a holder may hold it again */
    turn_ends();
}

TEST(the_last_quarter_is_for_those_who_may_change_it)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    f->core.settings.limits.max_holders_per_segment = 4;
    struct caller another = core_fixture_caller(f, ALICE, 777);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(fixture_hold(f, &carol, "a"), 0);
    struct caller dave = core_fixture_caller(f, 1003, 778);
    assert_int_equal(fixture_hold(f, &dave, "a"), OUTCOME_QUOTA_EXCEEDED);
    assert_int_equal(f->detail.used, 3);
    assert_int_equal(f->detail.max, 3);
    assert_int_equal(fixture_hold(f, &another, "a"), 0);
    assert_int_equal(s->n_holders, 4);
    turn_ends();
}

TEST(too_many_processes)
{
    made("a", LIFETIME_PROCESS);
    FIXTURE_LIMIT(f, max_processes_per_uid, 1);
    struct caller dave = core_fixture_caller(f, 1003, 778);
    struct caller another = core_fixture_caller(f, bob.uid, 777);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    turn_ends();
    assert_int_equal(fixture_hold(f, &another, "a"), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_processes_per_uid");
    /* One that holds nothing needs no room to let go of nothing. */
    assert_int_equal(fixture_release(f, &another, "a"), 0);
    assert_int_equal(fixture_hold(f, &dave, "a"), 0);
    turn_ends();
    core_fixture_kill(f, bob.pid);
    turn_ends();
    assert_int_equal(fixture_hold(f, &another, "a"), 0);
    turn_ends();
}

static void check_unseen(bool no_pidfs)
{
    /* Each has pid 0; their pidfds tell them apart, or else their connections. */
    struct segment *s = made("a", LIFETIME_PROCESS);
    f->p.no_pidfs = no_pidfs;
    struct caller one = core_fixture_caller(f, BOB, 0), two = one;
    two.socket = fake_processes_start(&f->p, 0, "other");
    assert_int_equal(fixture_hold(f, &one, "a"), 0);
    assert_int_equal(fixture_hold(f, &two, "a"), 0);
    assert_int_equal(fixture_hold(f, &two, "a"), 0);
    assert_int_equal(s->n_holders, 3);
    assert_true(s->has_unseen);
    assert_int_equal(fixture_release(f, &two, "a"), 0);
    assert_int_equal(s->n_holders, 2);
    turn_ends();
    /* Another daemon finds neither of them, so whoever has it attached may be one. */
    fake_sysv_attach_as(f->k, s->shmid, 50);
    core_fixture_kill(f, alice.pid);
    turn_ends();
    assert_int_equal(core_fixture_restart(f), 0);
    s = fixture_record(f, "a");
    assert_non_null(s);
    assert_int_equal(s->n_holders, 0);
    core_fixture_pass(f, 20000);
    assert_non_null(fixture_record(f, "a"));
    fake_sysv_exit(f->k, 50);
    core_fixture_pass(f, 20000);
    assert_null(fixture_record(f, "a"));
}

TEST(processes_that_cannot_be_seen)
{
    check_unseen(false);
}

TEST(processes_that_cannot_be_seen_without_pidfs)
{
    check_unseen(true);
}

/* --- the initialiser */

TEST(ready)
{
    struct segment *s = initialising(LIFETIME_PERSISTENT);
    assert_int_equal(s->state, STATE_INITIALISING);
    assert_int_equal(fixture_ready(f, "a"), 0);
    assert_int_equal(s->state, STATE_READY);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "ready:a");
    assert_int_equal(fixture_ready(f, "a"), 0); /* it is already */
    assert_int_equal(f->core.news.count, 0);
    assert_false(core_turn_is_due(&f->core));
    core_fixture_kill(f, 1);
    turn_ends();
    assert_ptr_equal(fixture_record(f, "a"), s);
}

TEST(the_initialiser_dies)
{
    for (int i = 0; i < LIFETIME_COUNT; i++) {
        alice = core_fixture_caller(f, ALICE, 1);
        initialising((enum lifetime)i);
        core_fixture_kill(f, 1);
        is_gone("removed/initialiser-died:a");
        if (alice.party)
            ends_with_party(&f->core, steal_pointer(&alice.party));
    }
}

TEST(the_initialisers_connection_is_closed_first)
{
    initialising(LIFETIME_CONNECTION);
    ends_with_party(&f->core, steal_pointer(&alice.party));
    is_gone("removed/initialiser-died:a");
    core_fixture_kill(f, 1);
}

TEST(the_kernel_frees_first)
{
    /* Attached by its initialiser alone: its detaching is seen by a sweep, or with its exit. */
    for (int i = 0; i < 2; i++) {
        alice = core_fixture_caller(f, ALICE, 1);
        int32_t shmid = initialising(LIFETIME_ATTACHED)->shmid;
        fake_sysv_attach_as(f->k, shmid, 1);
        core_fixture_pass(f, 1000); /* the anchor is let go of */
        (void)core_fixture_told(f);
        if (i == 0) {
            fake_sysv_exit(f->k, 1);
            core_fixture_pass(f, 5000);
        } else {
            core_fixture_kill(f, 1);
        }
        is_gone("removed/initialiser-died:a");
        if (i == 0)
            core_fixture_kill(f, 1);
    }
}

TEST(other_ends_keep_their_reason)
{
    initialising(LIFETIME_PERSISTENT);
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    is_gone("removed/request:a");
    int32_t shmid = initialising(LIFETIME_PROCESS)->shmid;
    assert_int_equal(fake_sysv_remove_as(f->k, shmid), 0);
    core_fixture_pass(f, 5000);
    is_gone("removed/out-of-band:a");
    /* The initialiser has died all the same, though another removal came first. */
    shmid = initialising(LIFETIME_PERSISTENT)->shmid;
    assert_int_equal(fake_sysv_remove_as(f->k, shmid), 0);
    core_fixture_kill(f, 1);
    is_gone("removed/initialiser-died:a");
}

/* It is marked for destruction and the event told at once; the name is free. */
static void is_going(const struct segment *s)
{
    turn_ends();
    told("removed/initialiser-died:a");
    assert_int_equal(s->state, STATE_REMOVING);
    assert_true(LIST_EMPTY(&s->ties));
    assert_null(fixture_record(f, "a"));
    assert_true(fake_sysv_segment(f->k, s->shmid)->destroyed);
    fake_sysv_exit(f->k, 2);
    core_fixture_pass(f, 5000);
    is_gone("");
}

TEST(the_initialiser_dies_while_others_have_it_attached)
{
    for (int i = 0; i < LIFETIME_COUNT; i++) {
        alice = core_fixture_caller(f, ALICE, 1);
        struct segment *s = initialising((enum lifetime)i);
        fake_sysv_attach_as(f->k, s->shmid, 2);
        core_fixture_kill(f, 1);
        is_going(s);
        if (alice.party)
            ends_with_party(&f->core, steal_pointer(&alice.party));
    }
    alice = core_fixture_caller(f, ALICE, 1);
    struct segment *s = initialising(LIFETIME_CONNECTION);
    fake_sysv_attach_as(f->k, s->shmid, 2);
    ends_with_party(&f->core, steal_pointer(&alice.party));
    is_going(s);
    core_fixture_kill(f, 1);
}

TEST(the_initialiser_lives_and_holds_no_more)
{
    initialising(LIFETIME_PROCESS);
    assert_int_equal(fixture_release(f, &alice, "a"), 0);
    is_gone("removed/last-holder-exited:a");
    initialising(LIFETIME_CONNECTION);
    assert_int_equal(fixture_release(f, &alice, "a"), 0);
    is_gone("removed/connection-closed:a");
    /* Also where another has it attached. */
    struct segment *s = initialising(LIFETIME_PROCESS);
    fake_sysv_attach_as(f->k, s->shmid, 2);
    assert_int_equal(fixture_release(f, &alice, "a"), 0);
    turn_ends();
    told("removed/last-holder-exited:a");
    core_fixture_kill(f, 1); /* that changes nothing any more */
    fake_sysv_exit(f->k, 2);
    core_fixture_pass(f, 5000);
    is_gone("");
}

TEST(the_initialiser_dies_while_others_hold)
{
    initialising(LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    turn_ends();
    (void)core_fixture_told(f);
    core_fixture_kill(f, 1);
    is_gone("removed/initialiser-died:a");
}

TEST(the_initialiser_lets_go_of_it)
{
    /* He holds no more, and fills it still. */
    struct segment *s = initialising(LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(fixture_release(f, &alice, "a"), 0);
    turn_ends();
    assert_int_equal(s->n_holders, 1);
    assert_non_null(tie_find(s, NULL, TIE_INITIALISER));
    (void)core_fixture_told(f);
    core_fixture_kill(f, 1);
    is_gone("removed/initialiser-died:a");
}

/* --- changes that the store refuses */

TEST(a_hold_that_is_refused)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    store_will_fail();
    assert_int_equal(fixture_hold(f, &bob, "a"), OUTCOME_STORE_FAILURE);
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(f->core.parties.n_processes, 1);
    turn_ends();
    core_fixture_kill(f, 1);
    is_gone("removed/last-holder-exited:a");
}

TEST(a_release_that_is_refused)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    store_will_fail();
    assert_int_equal(fixture_release(f, &bob, "a"), OUTCOME_STORE_FAILURE);
    assert_int_equal(s->n_holders, 2);
    assert_int_equal(fixture_release(f, &bob, "a"), 0);
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(s->n_holders, 2);
    turn_ends();
    core_fixture_kill(f, 2);
    core_fixture_kill(f, 1);
    turn_ends();
    assert_null(fixture_record(f, "a"));
}

TEST(one_that_dies_after_it_was_let_go)
{
    /* It was to be let go, which the store refused: its death ends the segment. */
    made("a", LIFETIME_PROCESS);
    const struct set_params persistent = {.lifetime = GIVEN(LIFETIME_PERSISTENT)};
    store_will_fail();
    assert_int_equal(fixture_set(f, &bob, "a", &persistent), OUTCOME_STORE_FAILURE);
    core_fixture_kill(f, 1);
    is_gone("removed/last-holder-exited:a");

    alice = core_fixture_caller(f, ALICE, 1);
    initialising(LIFETIME_PERSISTENT);
    store_will_fail();
    assert_int_equal(fixture_ready(f, "a"), OUTCOME_STORE_FAILURE);
    core_fixture_kill(f, 1);
    is_gone("removed/initialiser-died:a");

    alice = core_fixture_caller(f, ALICE, 1);
    made("a", LIFETIME_CONNECTION);
    store_will_fail();
    assert_int_equal(fixture_set(f, &bob, "a", &persistent), OUTCOME_STORE_FAILURE);
    ends_with_party(&f->core, steal_pointer(&alice.party));
    is_gone("removed/connection-closed:a");
}

/* --- kernels that hand out no pidfd of a peer */

TEST(an_older_kernel)
{
    f->p.no_open_peer = true;
    f->p.no_pidfs = true;
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(s->n_holders, 2);
    assert_int_equal(LIST_FIRST(&s->ties)->party->identity.inode, 0);
    assert_int_equal(LIST_FIRST(&s->ties)->party->identity.started_at,
                     f->p.tasks[bob.socket].started_at);
    turn_ends();
    /* One that connected before it was its turn to be accepted. */
    fake_processes_start(&f->p, 4, "later");
    struct caller dave = core_fixture_caller(f, 1004, 4);
    dave.after_ticks = dave.until_ticks - 1;
    assert_int_equal(fixture_hold(f, &dave, "a"), 0);
    assert_int_equal(fixture_release(f, &dave, "a"), 0);
    turn_ends();
    /* Another process has the pid now: it is not the peer. */
    fake_processes_die(&f->p, 3);
    (void)fake_processes_start(&f->p, 3, "other");
    assert_int_equal(fixture_hold(f, &carol, "a"), -ESRCH);
    /* Or no process has it. */
    fake_processes_die(&f->p, 3);
    assert_int_equal(fixture_hold(f, &carol, "a"), -ESRCH);
    assert_int_equal(fixture_release(f, &carol, "a"), -ESRCH);
    assert_int_equal(f->p.n_open, 2);
    assert_false(core_turn_is_due(&f->core));
    core_fixture_kill(f, 1);
    core_fixture_kill(f, 2);
    turn_ends();
    assert_null(fixture_record(f, "a"));
}

/* The caller is accepted late: its pid may be another's by then, who started before that. */
static struct caller accepted_late(int32_t pid, uint32_t others_uid)
{
    struct caller c = core_fixture_caller(f, BOB, pid);
    c.after_ticks = c.until_ticks; /* it started in that very tick */
    fake_processes_die(&f->p, pid);
    int other = fake_processes_start(&f->p, pid, "other");
    f->p.tasks[other].uid = others_uid;
    c.until_ticks = f->p.now;
    return c;
}

TEST(a_pid_that_is_reused_before_the_peer_is_accepted)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    f->p.no_open_peer = f->p.no_pidfs = true;
    struct caller c = accepted_late(20, BOB);
    assert_int_equal(fixture_hold(f, &c, "a"), -ESRCH);
    /* Also where a child has inherited the connection; it is another user's process. */
    c = accepted_late(21, ALICE);
    f->p.tasks[c.socket].has_passed_on = true;
    assert_int_equal(fixture_hold(f, &c, "a"), -ESRCH);
    assert_int_equal(fixture_release(f, &c, "a"), -ESRCH);
    assert_int_equal(s->n_holders, 1);
    /* One that ran before the connection was made is the caller, whoever it runs as now. */
    c = core_fixture_caller(f, BOB, 22);
    f->p.tasks[c.socket].uid = 0;
    c.after_ticks = f->p.now + 1;
    c.until_ticks = f->p.now + 2;
    assert_int_equal(fixture_hold(f, &c, "a"), 0);
    assert_int_equal(s->n_holders, 2);
    turn_ends();
}

TEST(a_pid_that_is_reused_where_proc_hides_it)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    f->p.no_open_peer = f->p.no_pidfs = f->p.hides = true;
    struct caller c = accepted_late(20, ALICE);
    assert_int_equal(fixture_hold(f, &c, "a"), -ESRCH);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(s->n_holders, 2);
    turn_ends();
}

/* Kernels differ in whether they still know the peer; the answer is the same. */
TEST(a_peer_that_is_dead_already)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    turn_ends();
    fake_processes_die(&f->p, 2);
    (void)fake_processes_start(&f->p, 2, "other");
    for (int kernel = 0; kernel < 3; kernel++) {
        f->p.no_reaped = kernel == 1;
        f->p.no_open_peer = kernel == 2;
        assert_int_equal(fixture_hold(f, &bob, "a"), -ESRCH);
        assert_int_equal(fixture_release(f, &bob, "a"), -ESRCH);
        assert_int_equal(s->n_holders, 1);
        assert_int_equal(f->p.n_open, 1);
        assert_false(core_turn_is_due(&f->core));
    }
}

TEST(holders_as_they_are_shown)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    int64_t made_at = f->clock.real_ms;
    core_fixture_pass(f, 1000);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    f->p.tasks[carol.socket].comm[0] = '\0';
    carol.comm[0] = '\0';
    assert_int_equal(fixture_hold(f, &carol, "a"), 0);
    struct wire_holder *list = view_holders(s);
    assert_int_equal(list[0].pid, 1);
    assert_int_equal(list[0].uid, ALICE);
    assert_string_equal(list[0].comm, "worker");
    assert_int_equal(list[0].since_at_ms, made_at);
    assert_int_equal(list[1].pid, 2);
    assert_int_equal(list[1].since_at_ms, made_at + 1000);
    assert_null(list[2].comm);
    free(list);
    turn_ends();
    assert_int_equal(fixture_release(f, &bob, "a"), 0);
    assert_int_equal(s->n_holders, 2);
    list = view_holders(s);
    assert_int_equal(list[1].pid, 3);
    free(list);
    turn_ends();
}

TEST(names_are_those_of_now)
{
    struct segment *s = fixture_made(f, &alice, "a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    turn_ends();
    /* exec: the process is another program, and still the holder. */
    strcpy(f->p.tasks[alice.socket].comm, "postgres");
    strcpy(f->p.tasks[bob.socket].comm, "");
    view_refresh_names(&f->core, s);
    struct wire_holder *list = view_holders(s);
    assert_string_equal(list[0].comm, "postgres");
    assert_string_equal(list[1].comm, "worker"); /* it cannot be read: the name of before stays */
    free(list);
    assert_string_equal(s->creator.comm, "postgres");
    /* The creator has died: its last name is what is known. */
    fake_processes_kill(&f->p, alice.pid);
    turn_ends();
    strcpy(f->p.tasks[bob.socket].comm, "other");
    view_refresh_names(&f->core, s);
    assert_string_equal(s->creator.comm, "postgres");
}

/* --- changes that fail on the way */

static void held_before(struct core_fixture *g)
{
    struct caller c = core_fixture_caller(g, ALICE, 1);
    (void)fixture_made(g, &c, "a", LIFETIME_PROCESS);
    struct caller b = core_fixture_caller(g, BOB, 2);
    assert_int_equal(fixture_hold(g, &b, "a"), 0);
}

static void initialising_before(struct core_fixture *g)
{
    struct caller c = core_fixture_caller(g, ALICE, 1);
    const struct create_params p = {.name = "a", .size = GIVEN(1), .ready = GIVEN(false)};
    assert_int_equal(fixture_create(g, &c, &p), 0);
}

static int hold_one_more(struct core_fixture *g)
{
    struct caller c = core_fixture_caller(g, BOB, 3);
    return fixture_hold(g, &c, "a");
}

static int release_one(struct core_fixture *g)
{
    struct caller b = core_fixture_caller(g, BOB, 2);
    return fixture_release(g, &b, "a");
}

static int release_all(struct core_fixture *g)
{
    struct caller c = core_fixture_caller(g, ALICE, 1);
    int r = release_one(g);
    return r == 0 ? fixture_release(g, &c, "a") : r;
}

static int make_ready(struct core_fixture *g)
{
    return fixture_ready(g, "a");
}

TEST(whole_or_nothing)
{
    static const struct change changes[] = {
        {held_before, hold_one_more},
        {held_before, release_one},
        {initialising_before, make_ready},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        change_without_memory(&changes[i]);
        change_without_store(&changes[i]);
    }
    /* What was removed is a fact: there is no taking back. */
    struct core_fixture *g = core_fixture_new();
    held_before(g);
    assert_int_equal(core_fixture_turn(g), 0);
    assert_int_equal(release_all(g), 0);
    fake_store_fail_next(&g->store, 1, EIO, "full");
    assert_int_equal(core_fixture_turn(g), -EIO);
    assert_int_equal(g->core.registry.count, 0);
    assert_int_equal(fake_sysv_count(g->k), 0);
    core_fixture_free(g);
}

int main(void)
{
#define OWN_CASE(name) cmocka_unit_test_setup_teardown(name, begin, core_end)
    const struct CMUnitTest tests[] = {
        OWN_CASE(the_last_holder),
        OWN_CASE(releasing),
        OWN_CASE(who_holds_it),
        OWN_CASE(names_are_those_of_now),
        OWN_CASE(the_last_one_releases_what_is_attached),
        OWN_CASE(the_kernel_will_not_remove),
        OWN_CASE(connections),
        OWN_CASE(one_connection_of_many_segments),
        OWN_CASE(one_process_of_many_segments),
        OWN_CASE(what_has_no_holders),
        OWN_CASE(too_many_holders),
        OWN_CASE(the_last_quarter_is_for_those_who_may_change_it),
        OWN_CASE(too_many_processes),
        OWN_CASE(processes_that_cannot_be_seen),
        OWN_CASE(processes_that_cannot_be_seen_without_pidfs),
        OWN_CASE(ready),
        OWN_CASE(the_initialiser_dies),
        OWN_CASE(the_initialisers_connection_is_closed_first),
        OWN_CASE(the_kernel_frees_first),
        OWN_CASE(other_ends_keep_their_reason),
        OWN_CASE(the_initialiser_dies_while_others_have_it_attached),
        OWN_CASE(the_initialiser_lives_and_holds_no_more),
        OWN_CASE(the_initialiser_dies_while_others_hold),
        OWN_CASE(the_initialiser_lets_go_of_it),
        OWN_CASE(a_hold_that_is_refused),
        OWN_CASE(a_release_that_is_refused),
        OWN_CASE(one_that_dies_after_it_was_let_go),
        OWN_CASE(an_older_kernel),
        OWN_CASE(a_pid_that_is_reused_before_the_peer_is_accepted),
        OWN_CASE(a_pid_that_is_reused_where_proc_hides_it),
        OWN_CASE(a_peer_that_is_dead_already),
        OWN_CASE(holders_as_they_are_shown),
        cmocka_unit_test(whole_or_nothing),
    };
    return RUN_TESTS(tests);
}
