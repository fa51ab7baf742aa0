/* SPDX-License-Identifier: MIT */
/*
 * One request, one change. A change is in the store when its verb returns; one that the store does
 * not take leaves everything as it was - kernel, records, names, ties, deadlines. Facts stay, and
 * are recorded with the next change or by a later turn. Events tell what is so and nothing else.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/reconcile.h"
#include "daemon/core/remove.h"
#include "daemon/core/set.h"
#include "tests/fakes/fake_memory.h"

#define SET(name, ...) fixture_set(f, &root, name, &(const struct set_params){__VA_ARGS__})

static int create(const char *name)
{
    const struct create_params p = {.name = name, .size = GIVEN(4096)};
    return fixture_create(f, &alice, &p);
}

static void is_refused(int r)
{
    assert_int_equal(r, OUTCOME_STORE_FAILURE);
    assert_string_equal(f->detail.hint, "the disk is full");
}

TEST(nothing_to_do)
{
    turn_ends();
    assert_int_equal(f->store.n_commits, 0);
    assert_false(core_turn_is_due(&f->core));
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(f->store.n_commits, 1);
    assert_int_equal(fixture_look(f, "a"), 0);
    turn_ends();
    assert_int_equal(f->store.n_commits, 1);
}

TEST(each_change_is_written_before_its_verb_returns)
{
    unsigned commits = f->store.n_commits;
    assert_int_equal(create("a"), 0);
    assert_int_equal(f->store.n_commits, ++commits);
    assert_non_null(fake_store_find_name(&f->store, "a"));
    assert_int_equal(SET("a", .new_name = "b"), 0);
    assert_int_equal(f->store.n_commits, ++commits);
    assert_non_null(fake_store_find_name(&f->store, "b"));
    assert_int_equal(SET("b", .lifetime = GIVEN(LIFETIME_PROCESS)), 0);
    assert_int_equal(f->store.n_commits, ++commits);
    assert_int_equal(fake_store_find_name(&f->store, "b")->n_ties, 1);
    assert_int_equal(fixture_hold(f, &alice, "b"), 0);
    assert_int_equal(f->store.n_commits, ++commits);
    assert_int_equal(fake_store_find_name(&f->store, "b")->n_ties, 2);
    assert_int_equal(fixture_release(f, &alice, "b"), 0);
    assert_int_equal(f->store.n_commits, ++commits);
    assert_int_equal(fake_store_find_name(&f->store, "b")->n_ties, 1);
    turn_ends();
    assert_int_equal(f->store.n_commits, commits);
    told("created:a changed:b changed:b changed:b changed:b");
    core_fixture_check_kernel(f);
}

TEST(a_crash_in_the_middle_of_a_turn_loses_nothing)
{
    assert_int_equal(create("a"), 0);
    assert_int_equal(SET("a", .labels = {true, 1, {{"k", "v"}}}), 0);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(f->start.sweep.match, 1);
    assert_false(f->start.unacknowledged.is_removed);
    assert_int_equal(fixture_record(f, "a")->n_labels, 1);
    turn_ends();
}

TEST(facts_are_written_together)
{
    made("a", LIFETIME_PERSISTENT);
    made("b", LIFETIME_PERSISTENT);
    made("c", LIFETIME_PERSISTENT);
    unsigned commits = f->store.n_commits;
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(fixture_remove(f, "b"), 0);
    assert_int_equal(f->store.n_commits, commits);
    assert_true(core_turn_is_due(&f->core));
    turn_ends();
    assert_false(core_turn_is_due(&f->core));
    assert_int_equal(f->store.n_commits, commits + 1);
    assert_int_equal(f->store.n_records, 1);
    /* With a change that comes first. */
    assert_int_equal(fixture_remove(f, "c"), 0);
    assert_int_equal(create("d"), 0);
    assert_int_equal(f->store.n_commits, commits + 2);
    assert_int_equal(f->store.n_records, 1);
    turn_ends();
    assert_int_equal(f->store.n_commits, commits + 2);
    told("removed/request:a removed/request:b removed/request:c created:d");
}

TEST(a_connections_ties_are_not_written)
{
    struct segment *s = made("a", LIFETIME_CONNECTION);
    unsigned commits = f->store.n_commits;
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(fixture_release(f, &bob, "a"), 0);
    assert_int_equal(s->n_holders, 1);
    turn_ends();
    assert_int_equal(f->store.n_commits, commits);
    told("changed:a changed:a");
}

/* --- changes that are refused */

TEST(a_creation_that_is_refused)
{
    made("a", LIFETIME_PERSISTENT);
    uint64_t serial = f->core.registry.last_serial;
    store_will_fail();
    is_refused(create("b"));
    assert_int_equal(fake_sysv_count(f->k), 1);
    assert_int_equal(f->core.registry.count, 1);
    turn_ends();
    told("");
    core_fixture_check_kernel(f);
    /* Its name is free, and nobody was told of its serial. */
    assert_int_equal(create("b"), 0);
    assert_int_equal(f->found.segment->serial, serial + 1);
    turn_ends();
    assert_int_equal(f->store.counters.last_serial, serial + 1);
}

/* When the daemon looks for the second time, which is before it takes its creation back: another
 * process has attached it. */
static void attached_by_another(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    if (op == FAKE_STAT && k->calls[FAKE_STAT] == 2)
        fake_sysv_attach_as(k, shmid, 9);
}

TEST(a_creation_that_a_process_has_attached)
{
    f->k->before = attached_by_another;
    store_will_fail();
    is_refused(create("a"));
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(fake_sysv_count(f->k), 1);
    assert_true(fake_sysv_segment(f->k, 0)->destroyed);
    fake_sysv_exit(f->k, 9);
    assert_int_equal(fake_sysv_count(f->k), 0);
}

/* The same, and another segment has the shmid. */
static void recycled(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    const struct fake_process other = {BOB, BOBS, 50};
    if (op == FAKE_STAT && k->calls[FAKE_STAT] == 2)
        assert_int_equal(fake_sysv_recycle(k, shmid, &other, 4096), 0);
}

TEST(a_creation_whose_shmid_is_anothers)
{
    f->k->before = recycled;
    store_will_fail();
    is_refused(create("a"));
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(fake_sysv_count(f->k), 1); /* it is not touched */
    assert_false(fake_sysv_segment(f->k, 0)->destroyed);
    assert_int_equal(f->k->calls[FAKE_REMOVE], 0);
}

TEST(settings_that_are_refused)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(SET("a", .ttl_ms = GIVEN(5000), .labels = {true, 1, {{"k", "old"}}}), 0);
    turn_ends();
    (void)core_fixture_told(f);
    char *before = core_fixture_snapshot(f);
    store_will_fail();
    is_refused(SET("a", .mode = GIVEN(0644), .uid = GIVEN(BOB), .gid = GIVEN(VIDEO),
                   .locked = GIVEN(true)));
    store_will_fail();
    is_refused(SET("a", .new_name = "b", .labels = {true, 1, {{"k", "new"}}}));
    store_will_fail();
    is_refused(SET("a", .ttl_ms = GIVEN(0), .lifetime = GIVEN(LIFETIME_PERSISTENT)));
    store_will_fail();
    is_refused(SET("a", .new_name = "c", .lifetime = GIVEN(LIFETIME_ATTACHED)));
    store_will_fail();
    is_refused(fixture_hold(f, &bob, "a"));
    turn_ends();
    told("");
    char *after = core_fixture_snapshot(f);
    assert_string_equal(after, before);
    free(before);
    free(after);
    /* Its holder is the one that it was. */
    core_fixture_kill(f, 3);
    turn_ends();
    assert_ptr_equal(fixture_record(f, "a"), s);
    core_fixture_kill(f, 1);
    turn_ends();
    assert_null(fixture_record(f, "a"));
}

TEST(an_unnamed_one_stays_unnamed)
{
    assert_int_equal(create(NULL), 0);
    struct segment *s = f->found.segment;
    turn_ends();
    const struct set_params p = {.new_name = "a"};
    store_will_fail();
    is_refused(core_set(&f->core, &root, &p, &f->found, &f->detail));
    assert_null(s->name);
    assert_null(fixture_record(f, "a"));
    assert_int_equal(create("a"), 0); /* the name is free */
    turn_ends();
}

TEST(settings_that_cannot_be_put_back)
{
    /* The owner has taken our rights: the kernel keeps the mode, the record is as it was. */
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    fake_sysv_fail(f->k, FAKE_SET, 2, EPERM);
    store_will_fail();
    assert_int_equal(SET("a", .mode = GIVEN(0644), .labels = {true, 1, {{"k", "v"}}}), -EIO);
    assert_int_equal(s->n_labels, 0);
    assert_int_equal(fixture_kernel(f, "a")->mode, 0644);
    turn_ends();
}

/* Between the change in the kernel and its being put back another segment gets the shmid. */
static void recycled_after_set(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    const struct fake_process other = {BOB, BOBS, 50};
    if (op == FAKE_STAT && k->calls[FAKE_SET] == 2 && fake_sysv_segment(k, shmid)->cuid == DAEMON)
        assert_int_equal(fake_sysv_recycle(k, shmid, &other, 4096), 0);
}

TEST(settings_of_a_shmid_that_is_anothers)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    f->k->before = recycled_after_set;
    store_will_fail();
    is_refused(SET("a", .mode = GIVEN(0666)));
    f->k->before = NULL;
    assert_int_equal(f->k->calls[FAKE_SET], 2); /* by create, by set: nothing is put back */
    assert_int_equal(fake_sysv_segment(f->k, s->shmid)->mode, 0600);
    turn_ends();
}

TEST(an_adopted_one_is_left_as_it_is)
{
    static const enum lifetime lifetimes[] = {LIFETIME_PERSISTENT, LIFETIME_ATTACHED,
                                              LIFETIME_PROCESS};
    const struct fake_process creator = {ALICE, ALICES, 1};
    for (int forced = 0; forced < 2; forced++)
        for (size_t i = 0; i < 3; i++) {
            int32_t shmid;
            assert_int_equal(
                fake_sysv_create_as(f->k, &creator, &(struct sysv_create){.size = 9}, 0600, &shmid),
                0);
            fake_sysv_segment(f->k, shmid)->uid = DAEMON;
            const struct adopt_params p = {
                .shmid = GIVEN(shmid), .name = "a", .lifetime = GIVEN((int64_t)lifetimes[i])};
            f->core.rmid_forced = f->k->shm_rmid_forced = forced;
            if (forced && lifetimes[i] == LIFETIME_ATTACHED)
                continue; /* its anchor was the last to detach: the kernel ends it then */
            store_will_fail();
            is_refused(fixture_adopt(f, &alice, &p));
            turn_ends();
            assert_int_equal(f->core.registry.count, 0);
            const struct sysv_stat *kernel = fake_sysv_segment(f->k, shmid);
            assert_non_null(kernel);
            assert_false(kernel->destroyed);
            assert_int_equal(kernel->nattch, 0);
            told("");
        }
}

TEST(one_that_was_to_become_attached)
{
    /* The mark for destruction cannot be taken back: it follows the record. */
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    store_will_fail();
    is_refused(SET("a", .lifetime = GIVEN(LIFETIME_ATTACHED)));
    turn_ends();
    assert_int_equal(f->k->calls[FAKE_REMOVE], 0);
    assert_int_equal(fixture_kernel(f, "a")->nattch, 0);
    assert_false(fixture_kernel(f, "a")->destroyed);
    assert_int_equal(s->lifetime, LIFETIME_PERSISTENT);
    assert_true(LIST_EMPTY(&s->ties));
    core_fixture_pass(f, 100000);
    assert_ptr_equal(fixture_record(f, "a"), s);
}

TEST(an_attached_one_is_removed_by_its_record)
{
    /* It is marked for destruction all its life, so the kernel would not tell the next start. */
    struct segment *s = made("a", LIFETIME_ATTACHED);
    int32_t shmid = s->shmid;
    const struct set_params ttl = {.ttl_ms = GIVEN(100000)};
    assert_int_equal(fixture_set(f, &alice, "a", &ttl), 0);
    turn_ends();
    (void)core_fixture_told(f);
    fake_sysv_attach_as(f->k, shmid, 9);
    assert_int_equal(fixture_look(f, "a"), 0); /* which lets go of the anchor */
    turn_ends();
    char *before = core_fixture_snapshot(f);
    store_will_fail();
    is_refused(fixture_remove(f, "a"));
    turn_ends();
    told("");
    char *after = core_fixture_snapshot(f);
    assert_string_equal(after, before);
    free(before);
    free(after);
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_int_equal(s->state, STATE_READY);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(f->store.records[0].segment->state, STATE_REMOVING); /* at once */
    turn_ends();
    told("removed/request:a");
    assert_int_equal(core_fixture_crash(f), 0);
    turn_ends();
    assert_int_equal(f->core.registry.count, 1);
    assert_null(fixture_record(f, "a"));
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->store.n_records, 0);
}

TEST(an_attached_one_that_is_left_while_it_is_removed)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    assert_int_equal(fixture_look(f, "a"), 0);
    fake_sysv_exit(f->k, 9); /* after the look */
    static const struct remove_params p;
    assert_int_equal(core_remove(&f->core, &p, &f->found, &f->detail), 0);
    assert_int_equal(f->found.segment->state, STATE_REMOVED);
    turn_ends();
    told("removed/request:a");
    assert_int_equal(f->store.n_records, 0);
}

/* --- facts */

TEST(removals_are_facts)
{
    made("a", LIFETIME_PERSISTENT);
    struct segment *b = made("b", LIFETIME_PERSISTENT);
    fake_sysv_attach_as(f->k, b->shmid, 9);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(fixture_remove(f, "b"), 0);
    facts_fail();
    told("removed/request:a removed/request:b");
    assert_int_equal(f->core.registry.count, 1);
    assert_int_equal(b->state, STATE_REMOVING);
    assert_null(b->name);
    /* On a full disk a removal has room of its own; a record that changes has none. */
    assert_int_equal(f->store.n_records, 1);
    assert_int_equal(f->store.records[0].segment->state, STATE_READY);
    /* The next sweep tries again. */
    core_fixture_pass(f, 5000);
    assert_int_equal(f->store.n_records, 1);
    assert_int_equal(f->store.records[0].segment->state, STATE_REMOVING);
    told("");
}

TEST(facts_are_written_with_the_next_change)
{
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(fixture_remove(f, "a"), 0);
    facts_fail();
    store_will_fail();
    is_refused(create("b"));
    assert_int_equal(f->store.n_records, 1);
    assert_int_equal(create("b"), 0);
    assert_int_equal(f->store.n_records, 1);
    assert_non_null(fake_store_find_name(&f->store, "b"));
    turn_ends();
}

TEST(a_restart_finds_out_what_was_not_written)
{
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(fixture_remove(f, "a"), 0);
    facts_fail();
    assert_int_equal(f->store.n_records, 1);
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->start.sweep.gone, 1);
    turn_ends();
    assert_int_equal(f->store.n_records, 0);
}

TEST(facts_and_changes_of_one_segment)
{
    /* A holder dies, which the store does not take; then the segment changes. */
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &root, "a"), 0);
    turn_ends();
    core_fixture_kill(f, 1);
    facts_fail();
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 2);
    store_will_fail();
    is_refused(SET("a", .new_name = "b"));
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 2);
    assert_int_equal(SET("a", .new_name = "b"), 0);
    assert_int_equal(fake_store_find_name(&f->store, "b")->n_ties, 1);
    turn_ends();
}

TEST(facts_of_a_turn_in_which_a_change_is_refused)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &root, "a"), 0);
    made("b", LIFETIME_PERSISTENT);
    turn_ends();
    (void)core_fixture_told(f);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    core_fixture_kill(f, 1); /* a holder less */
    store_will_fail();
    is_refused(SET("a", .mode = GIVEN(0640)));
    fake_sysv_remove_as(f->k, fixture_record(f, "b")->shmid);
    struct sweep_result found;
    reconcile_sweep(&f->core, &found);
    assert_int_equal(found.gone, 1);
    facts_fail();
    told("attached:a removed/out-of-band:b");
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(fixture_kernel(f, "a")->mode, 0600);
    facts_are_tried_again();
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 1);
}

/* Somebody attaches and detaches S, which the next look sees. */
static void used(struct segment *s)
{
    struct sweep_result ignored;
    fake_clock_advance(&f->clock, 5000);
    f->k->now += 5;
    fake_sysv_attach_as(f->k, s->shmid, 9);
    fake_sysv_exit(f->k, 9);
    reconcile_sweep(&f->core, &ignored);
    assert_int_equal(ledger_noted(&f->core.ledger), 1);
}

/* Users can go on using segments: that takes no more and more memory. */
TEST(uses_while_the_store_takes_nothing)
{
    const struct create_params p = {.name = "a", .size = GIVEN(1), .idle_ttl_ms = GIVEN(3600000)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    struct segment *s = f->found.segment;
    turn_ends();
    for (int i = 0; i < 5; i++) {
        used(s);
        facts_fail();
    }
    /* The last is written when there is room, and so is the next. */
    for (int i = 0; i < 2; i++) {
        used(s);
        facts_are_tried_again();
        assert_int_equal(ledger_noted(&f->core.ledger), 0);
        assert_int_equal(fake_store_find_name(&f->store, "a")->segment->idle.since_ms,
                         f->clock.boot_ms);
    }
}

TEST(created_and_removed_in_a_turn)
{
    assert_int_equal(create("a"), 0);
    assert_int_equal(fixture_remove(f, "a"), 0);
    facts_fail();
    told("created:a removed/request:a");
    assert_int_equal(fake_sysv_count(f->k), 0);
    /* Attached meanwhile. */
    assert_int_equal(create("b"), 0);
    fake_sysv_attach_as(f->k, f->found.segment->shmid, 9);
    assert_int_equal(fixture_remove(f, "b"), 0);
    facts_fail();
    assert_int_equal(f->core.registry.count, 1);
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_int_equal(f->store.n_records, 0);
    turn_ends();
}

TEST(created_attached_and_removed_in_a_turn)
{
    for (int i = 0; i < 2; i++) {
        const struct create_params p = {.name = "a",
                                        .size = GIVEN(1),
                                        .ready = GIVEN(false),
                                        .lifetime = GIVEN(LIFETIME_ATTACHED)};
        assert_int_equal(fixture_create(f, &alice, &p), 0);
        fake_sysv_attach_as(f->k, f->found.segment->shmid, 9);
        assert_int_equal(fixture_remove(f, "a"), 0);
        assert_int_equal(f->core.parties.n_processes, 0);
        if (i == 0)
            turn_ends();
        else
            facts_fail();
        assert_int_equal(f->core.registry.count, 1);
        fake_sysv_exit(f->k, 9);
        core_fixture_pass(f, 5000);
        assert_int_equal(fake_sysv_count(f->k), 0);
        assert_int_equal(f->core.registry.count, 0);
    }
}

/* --- what lives, as the store sees it when it writes its file anew */

TEST(the_store_sees_what_lives)
{
    struct segment *a = made("a", LIFETIME_PROCESS);
    made("b", LIFETIME_PERSISTENT);
    made("c", LIFETIME_CONNECTION);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(fixture_remove(f, "b"), 0);
    turn_ends();
    const struct store_source *source = &f->store.source;
    uint64_t after = 0;
    size_t n = 0;
    struct stored live;
    while (source->next(source->context, after, &live) == 1) {
        const struct fake_record *record = fake_store_find(&f->store, live.segment.serial);
        assert_non_null(record);
        assert_true(live.segment.serial > after);
        assert_string_equal(live.segment.name, record->segment->name);
        assert_int_equal(live.segment.size, record->segment->size);
        assert_int_equal(live.n_ties, record->n_ties);
        for (size_t i = 0; i < live.n_ties; i++) {
            assert_int_equal(live.ties[i].identity.pid, record->ties[i].identity.pid);
            assert_string_equal(live.ties[i].comm, record->ties[i].comm);
        }
        after = live.segment.serial;
        n++;
    }
    assert_int_equal(n, 2);
    assert_int_equal(source->next(source->context, 0, &live), 1);
    assert_int_equal(live.segment.serial, a->serial);
    assert_int_equal(live.n_ties, 2);
    assert_int_equal(live.ties[0].identity.pid, 1); /* the oldest first */
}

TEST(no_memory_for_what_lives)
{
    made("a", LIFETIME_PROCESS);
    const struct store_source *source = &f->store.source;
    struct stored live;
    fake_memory_fail(1);
    assert_int_equal(source->next(source->context, 0, &live), -ENOMEM);
    assert_true(fake_memory_restore());
    assert_int_equal(source->next(source->context, 0, &live), 1);
}

TEST(what_can_wait_is_done_a_part_a_turn)
{
    assert_int_equal(create("a"), 0);
    unsigned tends = f->store.n_tends;
    f->store.more_to_tend = 3;
    turn_ends();
    assert_int_equal(f->store.n_tends, tends + 1);
    for (unsigned i = 2; i <= 4; i++) {
        assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms); /* at once */
        assert_int_equal(create(NULL), 0);
        core_tick(&f->core);
        turn_ends();
        assert_int_equal(f->store.n_tends, tends + i);
    }
    assert_true(core_next_tick(&f->core) > f->clock.boot_ms);
    /* Nothing was written since. */
    core_tick(&f->core);
    turn_ends();
    turn_ends();
    assert_true(f->store.n_tends <= tends + 5);
}

TEST(two_segments_change_in_one_write)
{
    struct segment *a = made("a", LIFETIME_PROCESS), *b = made("b", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "b"), 0);
    turn_ends();
    struct segment next_a = *a, next_b = *b;
    next_a.expires_at_ms = 1000;
    next_b.state = STATE_REMOVING;
    const struct ledger_change change = {
        .record = &next_a, .also = &next_b, .also_dropped_roles = 1U << TIE_HOLDER};
    unsigned commits = f->store.n_commits;
    assert_int_equal(ledger_reserve_two(&f->core, a, b), 0);
    store_will_fail();
    is_refused(ledger_write(&f->core, a, &change, &f->detail));
    assert_int_equal(fake_store_find(&f->store, b->serial)->n_ties, 2);
    assert_int_equal(fake_store_find(&f->store, a->serial)->segment->expires_at_ms, 0);
    assert_int_equal(ledger_write(&f->core, a, &change, &f->detail), 0);
    assert_int_equal(f->store.n_commits, commits + 2);
    assert_int_equal(fake_store_find(&f->store, a->serial)->segment->expires_at_ms, 1000);
    assert_int_equal(fake_store_find(&f->store, a->serial)->n_ties, 1);
    assert_int_equal(fake_store_find(&f->store, b->serial)->segment->state, STATE_REMOVING);
    assert_int_equal(fake_store_find(&f->store, b->serial)->n_ties, 0);
}

TEST(only_what_changes_is_written)
{
    made("a", LIFETIME_PROCESS);
    size_t records = f->store.n_changes;
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(f->store.n_changes, ++records); /* a tie */
    assert_int_equal(SET("a", .labels = {true, 1, {{"k", "v"}}}), 0);
    assert_int_equal(f->store.n_changes, ++records); /* its own record, whoever holds it */
    assert_int_equal(fixture_release(f, &bob, "a"), 0);
    assert_int_equal(f->store.n_changes, ++records); /* a tie less */
    turn_ends();
    /* Its last holder dies: the segment goes, and takes the tie along. */
    core_fixture_kill(f, 1);
    turn_ends();
    assert_int_equal(f->store.n_changes, ++records);
    assert_null(fixture_record(f, "a"));
}

/* --- memory */

/* The ledger has written nothing yet that it could keep the memory of. */
static void gives_its_memory_back(void)
{
    assert_int_equal(ledger_noted(&f->core.ledger), 0);
    struct ledger *l = &f->core.ledger;
    ledger_deinit(&(struct ledger){
        .noted = {l->noted[0], l->noted[1]}, .records = l->records, .images = l->images});
    memset(l->noted, 0, sizeof(l->noted));
    l->records = NULL;
    l->images = NULL;
    l->records_capacity = l->images_capacity = 0;
}

TEST(no_memory_to_remove_by_the_record)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    assert_int_equal(fixture_look(f, "a"), 0);
    turn_ends();
    gives_its_memory_back();
    static const struct remove_params p;
    fake_memory_exhaust(1);
    int r = core_remove(&f->core, &p, &f->found, &f->detail);
    assert_true(fake_memory_restore());
    assert_int_equal(r, -ENOMEM);
    turn_ends();
    assert_ptr_equal(fixture_record(f, "a"), s);
}

TEST(no_memory_to_write)
{
    made("a", LIFETIME_PERSISTENT);
    unsigned commits = f->store.n_commits;
    assert_int_equal(fixture_look(f, "a"), 0);
    static const struct set_params p = {.mode = GIVEN(0644)};
    /* Memory is got before the kernel is asked. */
    unsigned long sets = f->k->calls[FAKE_SET];
    for (unsigned long n = 1; n <= 4; n++) {
        gives_its_memory_back();
        fake_memory_fail(n);
        assert_int_equal(core_set(&f->core, &root, &p, &f->found, &f->detail), -ENOMEM);
        assert_true(fake_memory_restore());
        assert_int_equal(f->store.n_commits, commits);
        assert_int_equal(f->k->calls[FAKE_SET], sets);
    }
    turn_ends();
}

TEST(no_memory_for_facts)
{
    /* What cannot be noted is found out again. */
    for (char name[2] = "a"; name[0] < 'd'; name[0]++)
        made(name, LIFETIME_PROCESS);
    fake_memory_exhaust(1);
    fake_sysv_exit(f->k, 1);
    fake_processes_kill(&f->p, 1);
    core_end_turn(&f->core);
    (void)fake_memory_restore();
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    assert_int_equal(f->store.n_records, 0);
}

/* A name that is free again must not have two records. */
TEST(what_had_no_memory_is_noted_before_its_name_is_used_again)
{
    enum { MANY = 40 };
    char name[MANY][4];
    struct segment *s[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(name[i], sizeof(name[i]), "s%d", i);
        s[i] = made(name[i], LIFETIME_PERSISTENT);
        if (i % 2)
            fake_sysv_attach_as(f->k, s[i]->shmid, 9);
    }
    turn_ends();
    for (int i = 0; i < MANY; i++)
        fake_sysv_remove_as(f->k, s[i]->shmid);
    fake_clock_advance(&f->clock, 5000);
    fake_memory_exhaust(1);
    core_tick(&f->core);
    assert_int_equal(core_fixture_turn(f), -ENOMEM);
    assert_true(f->core.ledger.is_short);
    assert_false(core_turn_is_due(&f->core)); /* it does not spin until there is memory */
    assert_true(create("s0") < 0);
    assert_true(fake_memory_restore());
    for (int i = 0; i < MANY; i++)
        (void)made(name[i], LIFETIME_PERSISTENT);
    assert_false(f->core.ledger.is_short);
    assert_int_equal(core_fixture_crash(f), 0);
    for (int i = 0; i < MANY; i++)
        assert_non_null(fixture_record(f, name[i]));
}

/* --- serials */

TEST(event_serials_are_promised_ahead)
{
    int32_t shmid = made("a", LIFETIME_PERSISTENT)->shmid;
    uint64_t promised = f->store.counters.event_serial;
    assert_true(promised > f->core.events.last);
    /* An event that changes no record writes nothing while the promise lasts. */
    unsigned commits = f->store.n_commits;
    while (f->core.events.last < promised) {
        fake_sysv_attach_as(f->k, shmid, 9);
        core_fixture_pass(f, 5000);
        f->told[0] = '\0';
    }
    assert_int_equal(f->store.n_commits, commits);
    fake_sysv_attach_as(f->k, shmid, 9);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->store.n_commits, commits + 1);
    assert_true(f->store.counters.event_serial > promised);
    /* The next daemon tells none twice. */
    uint64_t last = f->core.events.last;
    assert_int_equal(core_fixture_crash(f), 0);
    assert_true(f->core.events.last >= last);
    fake_sysv_attach_as(f->k, shmid, 9);
    core_fixture_pass(f, 5000);
    assert_true(f->core.events.last > last);
}

TEST(a_change_promises_its_own_event)
{
    unsigned commits = f->store.n_commits;
    assert_int_equal(create("a"), 0);
    assert_true(f->store.counters.event_serial > f->core.events.last);
    turn_ends();
    assert_int_equal(f->store.n_commits, commits + 1);
}

TEST(serials_are_never_given_twice)
{
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    uint64_t last = f->core.registry.last_serial;
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(made("a", LIFETIME_PERSISTENT)->serial, last + 1);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(made("b", LIFETIME_PERSISTENT)->serial, last + 2);
}

TEST(an_end_in_order_leaves_no_gap)
{
    made("a", LIFETIME_PERSISTENT);
    uint64_t events = f->core.events.last;
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->core.events.last, events);
    /* What is promised next is recorded before it is given. */
    made("b", LIFETIME_PERSISTENT);
    assert_true(f->store.counters.event_serial > f->core.events.last);
    /* A store that takes nothing keeps the old promise. */
    uint64_t promised = f->store.counters.event_serial;
    store_will_fail();
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->core.events.last, promised);
}

TEST(an_event_lost_is_a_gap)
{
    made("a", LIFETIME_PERSISTENT);
    uint64_t last = f->core.events.last;
    assert_int_equal(fixture_look(f, "a"), 0);
    fake_memory_exhaust(1);
    news_add(&f->core, f->found.segment, &f->found.kernel, EVENT_CHANGED, REASON_REQUEST);
    assert_true(fake_memory_restore());
    assert_int_equal(f->core.events.last, last + 1);
    assert_null(event_log_get(&f->core.events, last + 1));
    assert_non_null(event_log_get(&f->core.events, last));
}

TEST(ends_in_the_middle_of_a_turn)
{
    /* Whatever waits for the turn's end goes with the core. */
    made("a", LIFETIME_CONNECTION);
    assert_int_equal(create("b"), 0);
    assert_int_equal(SET("a", .new_name = "c"), 0);
    assert_int_equal(fixture_remove(f, "c"), 0);
    assert_true(core_turn_is_due(&f->core));
    assert_false(SLIST_EMPTY(&f->core.dead));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_to_do),
        CASE(the_store_sees_what_lives),
        CASE(no_memory_for_what_lives),
        CASE(what_can_wait_is_done_a_part_a_turn),
        CASE(two_segments_change_in_one_write),
        CASE(only_what_changes_is_written),
        CASE(each_change_is_written_before_its_verb_returns),
        CASE(a_crash_in_the_middle_of_a_turn_loses_nothing),
        CASE(facts_are_written_together),
        CASE(a_connections_ties_are_not_written),
        CASE(a_creation_that_is_refused),
        CASE(a_creation_that_a_process_has_attached),
        CASE(a_creation_whose_shmid_is_anothers),
        CASE(settings_that_are_refused),
        CASE(an_unnamed_one_stays_unnamed),
        CASE(settings_that_cannot_be_put_back),
        CASE(settings_of_a_shmid_that_is_anothers),
        CASE(an_adopted_one_is_left_as_it_is),
        CASE(one_that_was_to_become_attached),
        CASE(an_attached_one_is_removed_by_its_record),
        CASE(an_attached_one_that_is_left_while_it_is_removed),
        CASE(removals_are_facts),
        CASE(facts_are_written_with_the_next_change),
        CASE(a_restart_finds_out_what_was_not_written),
        CASE(facts_and_changes_of_one_segment),
        CASE(facts_of_a_turn_in_which_a_change_is_refused),
        CASE(uses_while_the_store_takes_nothing),
        CASE(created_and_removed_in_a_turn),
        CASE(created_attached_and_removed_in_a_turn),
        CASE(no_memory_to_remove_by_the_record),
        CASE(no_memory_to_write),
        CASE(no_memory_for_facts),
        CASE(what_had_no_memory_is_noted_before_its_name_is_used_again),
        CASE(event_serials_are_promised_ahead),
        CASE(a_change_promises_its_own_event),
        CASE(serials_are_never_given_twice),
        CASE(an_end_in_order_leaves_no_gap),
        CASE(an_event_lost_is_a_gap),
        CASE(ends_in_the_middle_of_a_turn),
    };
    return RUN_TESTS(tests);
}
