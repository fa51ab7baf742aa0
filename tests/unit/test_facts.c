/* SPDX-License-Identifier: MIT */
/*
 * Many facts that wait to be recorded. What one try costs has a bound, whatever the store says and
 * however many there are: this counts the bytes of records that the store is offered.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/reconcile.h"

enum {
    MANY = 100,
    PIECE = 32768,
    RECORD_MOST = 8192, /* by so much a piece may be larger, and so much a change takes */
};

static char texts[SEGMENT_LABELS_MAX][LABEL_KEY_MAX + 1], value[LABEL_VALUE_MAX + 1];

static void put_large_labels(struct labels *labels)
{
    memset(value, 'v', LABEL_VALUE_MAX);
    labels->given = true;
    labels->count = SEGMENT_LABELS_MAX;
    for (int i = 0; i < SEGMENT_LABELS_MAX; i++) {
        memset(texts[i], 'a' + i, LABEL_KEY_MAX);
        labels->items[i] = (struct label){texts[i], value};
    }
}

static const char *name_of(int i)
{
    static char name[8];
    snprintf(name, sizeof(name), "n%d", i);
    return name;
}

static int create(const char *name)
{
    struct create_params p = {.name = name, .size = GIVEN(1)};
    put_large_labels(&p.labels);
    return fixture_create(f, &alice, &p);
}

/* MANY segments with large records, each attached. */
static void make_many(void)
{
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(create(name_of(i)), 0);
        fake_sysv_attach_as(f->k, f->found.segment->shmid, 9);
    }
    turn_ends();
    (void)core_fixture_told(f);
}

/* Their records change all, for they are removed while they are attached. */
static void remove_all(void)
{
    for (int i = 0; i < MANY; i++)
        assert_int_equal(fixture_remove(f, name_of(i)), 0);
    (void)core_fixture_told(f);
}

static void store_takes_nothing(void)
{
    fake_store_fail_next(&f->store, UINT32_MAX / 2, ENOSPC, "the disk is full");
}

static void store_takes_again(void)
{
    f->store.fail_from = 0;
}

static size_t offered(void)
{
    const size_t bytes = f->store.bytes_offered;
    f->store.bytes_offered = 0;
    return bytes;
}

static size_t waiting(void)
{
    return ledger_noted(&f->core.ledger);
}

/* The facts that are not recorded yet go on. */
static void facts_go_on(void)
{
    core_fixture_pass(f, 0);
    assert_int_equal(waiting(), 0);
}

TEST(a_store_that_takes_nothing_is_offered_one_piece_a_try)
{
    make_many();
    store_takes_nothing();
    remove_all();
    (void)offered();
    assert_int_equal(core_fixture_turn(f), -ENOSPC);
    assert_in_range(offered(), 1, PIECE + RECORD_MOST);
    assert_int_equal(waiting(), MANY);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(create("another"), OUTCOME_STORE_FAILURE);
        assert_in_range(offered(), 1, PIECE + RECORD_MOST);
        ledger_retry(&f->core);
        assert_int_equal(core_fixture_turn(f), -ENOSPC);
        assert_in_range(offered(), 1, PIECE + RECORD_MOST);
    }
    assert_int_equal(waiting(), MANY);
    store_takes_again();
    ledger_retry(&f->core);
    turn_ends();
    facts_go_on();
}

TEST(pieces_go_on_in_parts)
{
    make_many();
    remove_all();
    f->store.largest_offer = 0;
    turn_ends();
    /* A turn's end writes one piece. The rest is at once. */
    assert_in_range(waiting(), MANY / 2, MANY - 1);
    assert_false(core_turn_is_due(&f->core));
    assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms);
    facts_go_on();
    assert_in_range(f->store.largest_offer, PIECE / 2, PIECE + RECORD_MOST);
    assert_true(core_next_tick(&f->core) > f->clock.boot_ms);
    /* Nothing is written twice. */
    const unsigned commits = f->store.n_commits;
    ledger_retry(&f->core);
    turn_ends();
    assert_int_equal(f->store.n_commits, commits);
    for (size_t i = 0; i < f->store.n_records; i++)
        assert_int_equal(f->store.records[i].segment->state, STATE_REMOVING);
}

TEST(a_piece_that_is_written_stays_written)
{
    make_many();
    remove_all();
    turn_ends();
    const size_t rest = waiting();
    fake_store_fail_next(&f->store, 1, EIO, "the disk is broken");
    int result = 0;
    core_tick(&f->core);
    assert_true(ledger_take_result(&f->core, &result, &f->reason));
    assert_int_equal(result, -EIO);
    assert_int_equal(waiting(), rest);
    assert_true(core_next_tick(&f->core) > f->clock.boot_ms); /* it does not spin */
    size_t n = 0;
    for (size_t i = 0; i < f->store.n_records; i++)
        n += f->store.records[i].segment->state == STATE_REMOVING;
    assert_int_equal(n, MANY - rest);
    /* What was not written still is noted, once. */
    size_t n_noted = 0;
    const struct segment *s;
    for (uint64_t after = 0; (s = registry_next(&f->core.registry, after)); after = s->serial)
        n_noted += s->is_noted;
    assert_int_equal(n_noted, rest);
    ledger_retry(&f->core);
    turn_ends();
    facts_go_on();
}

static int rename_to(const char *name)
{
    const struct set_params p = {.new_name = name};
    return fixture_set(f, &alice, "another", &p);
}

/* A name that is free again must not have two records, after whichever write the daemon dies. */
TEST(a_change_comes_behind_all_facts)
{
    assert_int_equal(create("another"), 0);
    make_many();
    remove_all();
    const unsigned commits = f->store.n_commits;
    for (unsigned ok = 0;; ok++) {
        fake_store_fail_next(&f->store, 1, ENOSPC, "the disk is full");
        f->store.fail_from += ok > 0 ? 1 : 0;
        f->store.fail_to = f->store.fail_from;
        const size_t before = waiting();
        int r = rename_to(name_of(MANY - 1));
        if (r == 0)
            break;
        assert_int_equal(r, OUTCOME_STORE_FAILURE);
        assert_true(ok == 0 ? waiting() == before : waiting() < before);
        size_t n = 0;
        for (size_t i = 0; i < f->store.n_records; i++) {
            const char *name = f->store.records[i].segment->name;
            n += name && strcmp(name, name_of(MANY - 1)) == 0;
        }
        assert_int_equal(n, 1); /* the old one's: it was noted last */
    }
    store_takes_again();
    assert_true(f->store.n_commits - commits >= MANY / 10);
    assert_int_equal(waiting(), 0);
    assert_int_equal(fake_store_find_name(&f->store, name_of(MANY - 1))->segment->state,
                     STATE_READY);
    turn_ends();
}

static unsigned commits_when_made;

static void note_commits(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    (void)k;
    (void)shmid;
    if (op != FAKE_SET)
        return;
    commits_when_made = f->store.n_commits;
    assert_true(f->store.has_intent);
}

/* The write that takes the intent out has the record of what was made. */
TEST(an_intent_is_there_until_the_record)
{
    make_many();
    remove_all();
    f->k->before = note_commits;
    const unsigned commits = f->store.n_commits;
    assert_int_equal(create("a"), 0);
    f->k->before = NULL;
    assert_true(commits_when_made > commits);
    assert_int_equal(f->store.n_commits, commits_when_made + 1);
    turn_ends();
}

TEST(few_facts_and_a_change_are_one_write)
{
    assert_int_equal(create("a"), 0);
    fake_sysv_attach_as(f->k, f->found.segment->shmid, 9);
    assert_int_equal(create("b"), 0);
    turn_ends();
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(fixture_remove(f, "b"), 0);
    const unsigned commits = f->store.n_commits;
    assert_int_equal(create("b"), 0);
    assert_int_equal(f->store.n_commits, commits + 1);
    turn_ends();
    assert_int_equal(f->store.n_commits, commits + 1);
}

/* Users can make facts as often as they like. */
TEST(tries_that_no_change_asks_for_grow_rare)
{
    assert_int_equal(create("a"), 0);
    struct segment *s = f->found.segment;
    (void)made("b", LIFETIME_PERSISTENT);
    turn_ends();
    store_takes_nothing();
    unsigned tries = 0;
    for (int ms = 0; ms < 60000; ms++) {
        const unsigned commits = f->store.n_commits;
        ledger_note_changed(&f->core, s);
        (void)core_fixture_turn(f);
        tries += f->store.n_commits - commits;
        fake_clock_advance(&f->clock, 1);
    }
    assert_in_range(tries, 5, 30);
    /* What ends has room, and does not wait. */
    store_takes_again();
    assert_int_equal(fixture_remove(f, "b"), 0);
    turn_ends();
    assert_null(fake_store_find_name(&f->store, "b"));
    assert_int_equal(waiting(), 1);
    /* Nor does a change, and with it all is recorded. */
    (void)made("c", LIFETIME_PERSISTENT);
    assert_int_equal(waiting(), 0);
    ledger_note_changed(&f->core, s);
    turn_ends();
    assert_int_equal(waiting(), 0);
}

TEST(events_are_promised_while_facts_are_put_off)
{
    assert_int_equal(create("a"), 0);
    struct segment *s = f->found.segment;
    turn_ends();
    fake_store_fail_next(&f->store, 1, EIO, "the disk is broken");
    ledger_note_changed(&f->core, s);
    assert_int_equal(core_fixture_turn(f), -EIO);
    f->core.events.last = f->store.counters.event_serial;
    news_add(&f->core, s, &f->found.kernel, EVENT_ATTACHED, REASON_REQUEST);
    turn_ends();
    assert_true(f->core.events.last <= f->store.counters.event_serial);
    assert_int_equal(waiting(), 1);
    ledger_retry(&f->core);
    turn_ends();
}

/* A segment with the largest record, and an idle time. */
static struct segment *make_idle(const char *name)
{
    struct create_params p = {.name = name, .size = GIVEN(1), .idle_ttl_ms = GIVEN(3600000)};
    put_large_labels(&p.labels);
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    struct segment *s = f->found.segment;
    turn_ends();
    return s;
}

/* Somebody attaches and detaches S, which the daemon sees. */
static void use(const struct segment *s)
{
    struct sweep_result ignored;
    fake_clock_advance(&f->clock, 5000);
    f->k->now += 5;
    fake_sysv_attach_as(f->k, s->shmid, 9);
    fake_sysv_exit(f->k, 9);
    reconcile_sweep(&f->core, &ignored);
}

/* Users can do that as often as they like, and a record can have 5 KB. */
TEST(a_use_writes_no_more_than_its_time)
{
    struct segment *s = make_idle("a");
    (void)offered();
    for (int i = 0; i < 10; i++) {
        use(s);
        assert_int_equal(waiting(), 1);
        turn_ends();
        assert_in_range(offered(), 1, 100);
        const struct stored_segment *stored = fake_store_find(&f->store, s->serial)->segment;
        assert_int_equal(stored->idle.since_ms, f->clock.boot_ms);
        assert_int_equal(stored->idle.detached_at_s, f->k->now);
        assert_int_equal(stored->idle.last_pid, 9);
        assert_int_equal(stored->n_labels, SEGMENT_LABELS_MAX);
    }
}

/* What has changed of a segment besides is not lost in that, whichever comes first. */
TEST(a_use_and_another_change_are_one_record)
{
    enum { USED_FIRST, USED_LAST, NO_MEMORY_BEFORE, ORDERS };
    for (int order = 0; order < ORDERS; order++) {
        struct segment *s = make_idle(NULL);
        if (order == USED_FIRST)
            use(s);
        s->has_unseen = true;
        if (order == NO_MEMORY_BEFORE)
            s->is_unnoted = f->core.ledger.is_short = true;
        else
            ledger_note_changed(&f->core, s);
        if (order != USED_FIRST)
            use(s);
        assert_int_equal(waiting(), 1);
        const size_t changes = f->store.n_changes;
        turn_ends();
        assert_int_equal(f->store.n_changes, changes + 1);
        const struct stored_segment *stored = fake_store_find(&f->store, s->serial)->segment;
        assert_true(stored->has_unseen);
        assert_int_equal(stored->idle.since_ms, f->clock.boot_ms);
        /* The next use is small again. */
        (void)offered();
        use(s);
        turn_ends();
        assert_in_range(offered(), 1, 100);
    }
}

/* As long as a fact of the start waits, the next daemon must take the pids for another namespace's.
 */
TEST(a_daemon_in_another_pid_namespace_is_recorded_behind_all_facts)
{
    f->machine.pid_namespace = 7;
    assert_int_equal(core_fixture_restart(f), 0);
    alice = core_fixture_caller(f, ALICE, 1);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(create(name_of(i)), 0);
    turn_ends();
    f->machine.pid_namespace = 8;
    const size_t daemons = f->store.n_daemons;
    fake_store_fail_next(&f->store, 1, ENOSPC, "the disk is full");
    assert_int_equal(core_fixture_crash(f), 0);
    alice = core_fixture_caller(f, ALICE, 1);
    assert_int_equal(f->start.store_error, -ENOSPC);
    assert_int_equal(waiting(), MANY);
    for (unsigned i = 0; i < MANY && waiting() > 0; i++) {
        assert_int_equal(f->store.n_daemons, daemons);
        fake_store_fail_next(&f->store, 1, ENOSPC, "the disk is full");
        f->store.fail_from++;
        f->store.fail_to++;
        (void)create("another");
    }
    store_takes_again();
    assert_int_equal(waiting(), 0);
    assert_int_equal(f->store.n_daemons, daemons + 1);
    turn_ends();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_store_that_takes_nothing_is_offered_one_piece_a_try),
        CASE(pieces_go_on_in_parts),
        CASE(a_piece_that_is_written_stays_written),
        CASE(a_change_comes_behind_all_facts),
        CASE(an_intent_is_there_until_the_record),
        CASE(few_facts_and_a_change_are_one_write),
        CASE(tries_that_no_change_asks_for_grow_rare),
        CASE(events_are_promised_while_facts_are_put_off),
        CASE(a_use_writes_no_more_than_its_time),
        CASE(a_use_and_another_change_are_one_record),
        CASE(a_daemon_in_another_pid_namespace_is_recorded_behind_all_facts),
    };
    return RUN_TESTS(tests);
}
