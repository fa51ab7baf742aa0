/*
 * A turn is one transaction: committed it is in the store; taken back, everything that requests
 * changed is as it was - kernel, records, names, ties, deadlines - while facts stay and are written
 * with the next commit. Events are told of what is so, and of nothing else.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/removal.h"
#include "daemon/core/set.h"
#include "tests/fakes/fake_memory.h"

#define SET(name, ...) fixture_set(f, &root, name, &(const struct set_params){__VA_ARGS__})

static int create(const char *name)
{
    const struct create_params p = {.name = name, .size = GIVEN(4096)};
    return fixture_create(f, &alice, &p);
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

TEST(one_commit_of_many_changes)
{
    made("a", LIFETIME_PERSISTENT);
    unsigned commits = f->store.n_commits;
    size_t changes = f->store.n_changes;
    assert_int_equal(SET("a", .mode = GIVEN(0640)), 0);
    assert_int_equal(SET("a", .mode = GIVEN(0644)), 0);
    assert_int_equal(create("b"), 0);
    assert_int_equal(SET("b", .mode = GIVEN(0600)), 0);
    assert_int_equal(create("c"), 0);
    assert_int_equal(fixture_remove(f, "c"), 0);
    assert_true(core_turn_is_due(&f->core));
    turn_ends();
    assert_false(core_turn_is_due(&f->core));
    assert_int_equal(f->store.n_commits, commits + 1);
    assert_int_equal(f->store.n_changes, changes + 3); /* each record once */
    assert_string_equal(core_fixture_told(f),
                        "changed:a changed:a created:b changed:b created:c removed/request:c");
    core_fixture_check_kernel(f);
}

TEST(creations_are_undone)
{
    made("a", LIFETIME_PERSISTENT);
    uint64_t serial = f->core.registry.last_serial;
    for (char name[2] = "b"; name[0] < 'h'; name[0]++)
        assert_int_equal(create(name), 0);
    store_fails();
    assert_int_equal(fake_sysv_count(f->k), 1);
    assert_int_equal(f->core.registry.count, 1);
    assert_string_equal(core_fixture_told(f), "");
    core_fixture_check_kernel(f);
    /* Their names are free, their serials are not. */
    assert_int_equal(create("b"), 0);
    assert_int_equal(f->found.segment->serial, serial + 7);
    turn_ends();
    assert_true(f->store.meta.last_serial >= serial + 7);
}

TEST(a_creation_that_somebody_has_attached)
{
    assert_int_equal(create("a"), 0);
    int32_t shmid = f->found.segment->shmid;
    fake_sysv_attach_as(f->k, shmid, 1);
    store_fails();
    assert_int_equal(f->core.registry.count, 0);
    assert_true(fake_sysv_segment(f->k, shmid)->destroyed);
    fake_sysv_exit(f->k, 1);
    assert_int_equal(fake_sysv_count(f->k), 0);
}

TEST(a_creation_that_is_another_by_now)
{
    assert_int_equal(create("a"), 0);
    const struct fake_process other = {BOB, BOBS, 50};
    assert_int_equal(fake_sysv_recycle(f->k, f->found.segment->shmid, &other, 777), 0);
    store_fails();
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(fake_sysv_count(f->k), 1); /* it is not touched */
}

TEST(settings_are_undone)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(SET("a", .ttl_ms = GIVEN(5000), .labels = {true, 1, {{"k", "old"}}}), 0);
    turn_ends();
    (void)core_fixture_told(f);
    char *before = core_fixture_snapshot(f);
    assert_int_equal(SET("a", .mode = GIVEN(0644), .uid = GIVEN(BOB), .gid = GIVEN(VIDEO),
                         .locked = GIVEN(true)),
                     0);
    assert_int_equal(SET("a", .new_name = "b", .labels = {true, 1, {{"k", "new"}}}), 0);
    assert_int_equal(SET("b", .ttl_ms = GIVEN(0), .lifetime = GIVEN(LIFETIME_PERSISTENT)), 0);
    assert_int_equal(SET("b", .new_name = "c", .lifetime = GIVEN(LIFETIME_PROCESS)), 0);
    assert_int_equal(fixture_hold(f, &alice, "c"), 0);
    assert_int_equal(s->n_holders, 2);
    store_fails();
    assert_string_equal(core_fixture_told(f), "");
    f->core.turn.has_news = true;
    turn_ends();
    char *after = core_fixture_snapshot(f);
    assert_string_equal(after, before);
    free(before);
    free(after);
    /* Its holder is the one it was. */
    core_fixture_kill(f, 3);
    turn_ends();
    assert_ptr_equal(fixture_record(f, "a"), s);
    core_fixture_kill(f, 1);
    turn_ends();
    assert_null(fixture_record(f, "a"));
}

TEST(an_unnamed_one_is_so_again)
{
    assert_int_equal(create(NULL), 0);
    struct segment *s = f->found.segment;
    turn_ends();
    const struct set_params p = {.new_name = "a"};
    assert_int_equal(core_set(&f->core, &root, &p, &f->found, &f->detail), 0);
    store_fails();
    assert_null(s->name);
    assert_null(fixture_record(f, "a"));
}

TEST(names_that_went_round)
{
    struct segment *a = made("a", LIFETIME_PERSISTENT), *b = made("b", LIFETIME_PERSISTENT);
    assert_int_equal(SET("a", .new_name = "t"), 0);
    assert_int_equal(SET("b", .new_name = "a"), 0);
    assert_int_equal(SET("t", .new_name = "b"), 0);
    store_fails();
    assert_ptr_equal(fixture_record(f, "a"), a);
    assert_ptr_equal(fixture_record(f, "b"), b);
    assert_null(fixture_record(f, "t"));
    /* A new one takes a name that was given up, by a detour. */
    assert_int_equal(create("new"), 0);
    assert_int_equal(SET("a", .new_name = "t"), 0);
    assert_int_equal(SET("new", .new_name = "a"), 0);
    assert_int_equal(fixture_remove(f, "b"), 0);
    assert_int_equal(SET("t", .new_name = "b"), 0);
    store_fails();
    assert_ptr_equal(fixture_record(f, "a"), a);
    assert_null(fixture_record(f, "b"));
    assert_int_equal(f->core.registry.count, 1);
    assert_string_equal(core_fixture_told(f), "removed/request:b");
    f->core.turn.has_news = true;
    turn_ends();
}

TEST(an_owner_who_changed_it_meanwhile)
{
    /* He has taken our rights: what the kernel has stays, the record goes back. */
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    assert_int_equal(SET("a", .mode = GIVEN(0644), .labels = {true, 1, {{"k", "v"}}}), 0);
    fake_sysv_fail(f->k, FAKE_SET, 1, EPERM);
    store_fails();
    assert_int_equal(s->n_labels, 0);
    assert_int_equal(fixture_kernel(f, "a")->mode, 0644);
    /* Another segment has the id: it is not touched. */
    assert_int_equal(SET("a", .mode = GIVEN(0666)), 0);
    const struct fake_process other = {BOB, BOBS, 50};
    assert_int_equal(fake_sysv_recycle(f->k, s->shmid, &other, 4096), 0);
    store_fails();
    assert_int_equal(fake_sysv_segment(f->k, s->shmid)->mode, 0600);
}

TEST(removals_are_facts)
{
    made("a", LIFETIME_PERSISTENT);
    struct segment *b = made("b", LIFETIME_PERSISTENT);
    fake_sysv_attach_as(f->k, b->shmid, 9);
    assert_int_equal(SET("a", .mode = GIVEN(0640)), 0);
    assert_int_equal(SET("b", .mode = GIVEN(0640), .new_name = "bb"), 0);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(fixture_remove(f, "bb"), 0);
    store_fails();
    assert_string_equal(core_fixture_told(f), "removed/request:a removed/request:bb");
    assert_int_equal(f->core.registry.count, 1);
    assert_int_equal(b->state, STATE_REMOVING);
    assert_null(b->name);
    assert_int_equal(f->store.n_records, 2); /* it does not know yet */
    /* The next sweep tries again. */
    core_fixture_pass(f, 5000);
    assert_int_equal(f->store.n_records, 1);
    assert_int_equal(f->store.records[0].segment->state, STATE_REMOVING);
    assert_string_equal(core_fixture_told(f), "");
}

TEST(removals_are_written_with_the_next_change)
{
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(fixture_remove(f, "a"), 0);
    store_fails();
    assert_int_equal(create("b"), 0);
    turn_ends();
    assert_int_equal(f->store.n_records, 1);
    assert_non_null(fake_store_find_name(&f->store, "b"));
}

TEST(a_restart_finds_out_what_was_not_written)
{
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(fixture_remove(f, "a"), 0);
    store_fails();
    assert_int_equal(f->store.n_records, 1);
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->start.gone, 1);
    turn_ends();
    assert_int_equal(f->store.n_records, 0);
}

TEST(created_and_removed_in_a_turn)
{
    assert_int_equal(create("a"), 0);
    assert_int_equal(fixture_remove(f, "a"), 0);
    store_fails();
    assert_string_equal(core_fixture_told(f), "removed/request:a");
    assert_int_equal(fake_sysv_count(f->k), 0);
    /* Created, attached and removed: it is going, and there is no record to take back. */
    assert_int_equal(create("b"), 0);
    fake_sysv_attach_as(f->k, f->found.segment->shmid, 9);
    assert_int_equal(fixture_remove(f, "b"), 0);
    store_fails();
    assert_int_equal(f->core.registry.count, 0);
    fake_sysv_exit(f->k, 9);
    assert_int_equal(fake_sysv_count(f->k), 0);
    turn_ends();
}

TEST(facts_in_a_turn_that_fails)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &root, "a"), 0);
    made("b", LIFETIME_PERSISTENT);
    turn_ends();
    (void)core_fixture_told(f);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    core_fixture_kill(f, 1); /* a holder less */
    assert_int_equal(SET("a", .mode = GIVEN(0640)), 0);
    fake_sysv_remove_as(f->k, fixture_record(f, "b")->shmid);
    struct core_start found;
    core_reconcile(&f->core, &found);
    assert_int_equal(found.gone, 1);
    store_fails();
    assert_string_equal(core_fixture_told(f), "attached:a removed/out-of-band:b");
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(fixture_kernel(f, "a")->mode, 0600);
    f->core.turn.has_news = true;
    turn_ends();
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 1);
}

TEST(an_adopted_one_is_only_dropped)
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
            assert_int_equal(fixture_adopt(f, &alice, &p), 0);
            store_fails();
            assert_int_equal(f->core.registry.count, 0);
            const struct sysv_stat *kernel = fake_sysv_segment(f->k, shmid);
            assert_non_null(kernel);
            assert_false(kernel->destroyed);
            assert_int_equal(kernel->nattch, 0);
            assert_string_equal(core_fixture_told(f), "");
        }
}

TEST(an_attached_one_that_fails)
{
    /* Set to attached, somebody comes, and then the store fails: it is persistent, unharmed. */
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    assert_int_equal(SET("a", .lifetime = GIVEN(LIFETIME_ATTACHED)), 0);
    assert_false(fixture_kernel(f, "a")->destroyed);
    core_fixture_told(f);
    struct core_start found;
    core_reconcile(&f->core, &found); /* a sweep in the same turn */
    fake_sysv_attach_as(f->k, s->shmid, 1);
    assert_int_equal(fixture_look(f, "a"), 0);
    store_fails();
    fake_sysv_exit(f->k, 1);
    assert_int_equal(fixture_kernel(f, "a")->nattch, 0);
    assert_false(fixture_kernel(f, "a")->destroyed);
    assert_int_equal(s->lifetime, LIFETIME_PERSISTENT);
    assert_null(s->ties);
    core_fixture_pass(f, 100000);
    assert_ptr_equal(fixture_record(f, "a"), s);
}

TEST(an_attached_one_is_removed_by_its_record)
{
    /* Marked all its life, so that the kernel would not tell the next start. */
    struct segment *s = made("a", LIFETIME_ATTACHED);
    int32_t shmid = s->shmid;
    const struct set_params ttl = {.ttl_ms = GIVEN(100000)};
    assert_int_equal(fixture_set(f, &alice, "a", &ttl), 0);
    turn_ends();
    (void)core_fixture_told(f);
    fake_sysv_attach_as(f->k, shmid, 9);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(f->found.segment->state, STATE_REMOVING);
    store_fails();
    assert_string_equal(core_fixture_told(f), "");
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_int_equal(s->state, STATE_READY);
    assert_int_not_equal(s->expires_at_ms, 0);
    f->core.turn.has_news = true;
    turn_ends();
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "removed/request:a");
    assert_int_equal(core_fixture_crash(f), 0);
    turn_ends();
    assert_int_equal(f->core.registry.count, 1);
    assert_null(fixture_record(f, "a"));
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->store.n_records, 0);
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
            store_fails();
        assert_int_equal(f->core.registry.count, i == 0);
        fake_sysv_exit(f->k, 9);
        core_fixture_pass(f, 5000);
        assert_int_equal(fake_sysv_count(f->k), 0);
        assert_int_equal(f->core.registry.count, 0);
    }
}

TEST(set_to_attached_and_removed_in_a_turn)
{
    /* The mark was not made yet, so that removing it is a fact like any other. */
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    assert_int_equal(SET("a", .lifetime = GIVEN(LIFETIME_ATTACHED)), 0);
    assert_int_equal(fixture_remove(f, "a"), 0);
    store_fails();
    assert_string_equal(core_fixture_told(f), "removed/request:a");
    assert_int_equal(s->state, STATE_REMOVING);
    f->core.turn.has_news = true;
    turn_ends();
    core_fixture_pass(f, 5000);
    assert_string_equal(core_fixture_told(f), "");
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->core.registry.count, 0);
}

TEST(no_memory_to_remove_by_the_record)
{
    struct segment *s = made("a", LIFETIME_ATTACHED);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    assert_int_equal(fixture_look(f, "a"), 0);
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
    assert_int_equal(create("a"), 0);
    for (unsigned long n = 1; n <= 2; n++) {
        if (n == 2)
            assert_int_equal(create("a"), 0);
        fake_memory_fail(n);
        assert_int_equal(core_fixture_turn(f), -ENOMEM);
        assert_true(fake_memory_restore());
        assert_string_equal(f->reason, "the daemon is out of memory");
        assert_int_equal(f->core.registry.count, 0);
        assert_int_equal(f->store.n_commits, 0);
    }
    core_fixture_check_kernel(f);
}

TEST(no_memory_for_facts)
{
    /* What cannot be noted is found out again. */
    for (char name[2] = "a"; name[0] < 'd'; name[0]++)
        made(name, LIFETIME_PROCESS);
    fake_memory_exhaust(1);
    fake_sysv_exit(f->k, 1);
    fake_processes_kill(&f->p, 1);
    assert_int_equal(turn_commit(&f->core, &f->reason), -ENOMEM);
    (void)fake_memory_restore();
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(fake_sysv_count(f->k), 0);
    turn_ends();
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    assert_int_equal(f->store.n_records, 0);
}

/* --- serials */

TEST(event_serials_are_promised_ahead)
{
    int32_t shmid = made("a", LIFETIME_PERSISTENT)->shmid;
    uint64_t promised = f->store.meta.event_serial;
    assert_true(promised > f->core.events.last);
    /* A fact alone writes nothing while the promise lasts. */
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
    assert_true(f->store.meta.event_serial > promised);
    /* Whoever starts next tells none twice. */
    uint64_t last = f->core.events.last;
    assert_int_equal(core_fixture_crash(f), 0);
    assert_true(f->core.events.last >= last);
    fake_sysv_attach_as(f->k, shmid, 9);
    core_fixture_pass(f, 5000);
    assert_true(f->core.events.last > last);
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
    /* What is promised next is recorded again before it is given. */
    made("b", LIFETIME_PERSISTENT);
    assert_true(f->store.meta.event_serial > f->core.events.last);
    /* A store that takes nothing keeps the old promise. */
    uint64_t promised = f->store.meta.event_serial;
    fake_store_fail_next(&f->store, 1, ENOSPC, "the disk is full");
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(f->core.events.last, promised);
}

TEST(an_event_lost_is_a_gap)
{
    made("a", LIFETIME_PERSISTENT);
    uint64_t last = f->core.events.last;
    assert_int_equal(fixture_look(f, "a"), 0);
    fake_memory_exhaust(1);
    turn_tell(&f->core, f->found.segment, &f->found.kernel, EVENT_CHANGED, REASON_REQUEST);
    assert_true(fake_memory_restore());
    assert_int_equal(f->core.events.last, last + 1);
    assert_null(event_log_get(&f->core.events, last + 1));
    assert_non_null(event_log_get(&f->core.events, last));
}

TEST(ends_in_the_middle_of_a_turn)
{
    /* Whatever is pending goes with the core. */
    made("a", LIFETIME_CONNECTION);
    assert_int_equal(create("b"), 0);
    assert_int_equal(SET("a", .new_name = "c"), 0);
    assert_int_equal(fixture_remove(f, "c"), 0);
    assert_true(core_turn_is_due(&f->core));
    assert_non_null(f->core.turn.dropped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_to_do),
        CASE(one_commit_of_many_changes),
        CASE(creations_are_undone),
        CASE(a_creation_that_somebody_has_attached),
        CASE(a_creation_that_is_another_by_now),
        CASE(settings_are_undone),
        CASE(an_unnamed_one_is_so_again),
        CASE(names_that_went_round),
        CASE(an_owner_who_changed_it_meanwhile),
        CASE(removals_are_facts),
        CASE(removals_are_written_with_the_next_change),
        CASE(a_restart_finds_out_what_was_not_written),
        CASE(created_and_removed_in_a_turn),
        CASE(facts_in_a_turn_that_fails),
        CASE(an_adopted_one_is_only_dropped),
        CASE(an_attached_one_that_fails),
        CASE(an_attached_one_is_removed_by_its_record),
        CASE(created_attached_and_removed_in_a_turn),
        CASE(set_to_attached_and_removed_in_a_turn),
        CASE(no_memory_to_remove_by_the_record),
        CASE(no_memory_to_write),
        CASE(no_memory_for_facts),
        CASE(event_serials_are_promised_ahead),
        CASE(serials_are_never_given_twice),
        CASE(an_end_in_order_leaves_no_gap),
        CASE(an_event_lost_is_a_gap),
        CASE(ends_in_the_middle_of_a_turn),
    };
    return RUN_TESTS(tests);
}
