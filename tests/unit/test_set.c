/* SPDX-License-Identifier: MIT */
/*
 * `set`: all that is given or nothing, in the kernel, the record and the ties; every lifetime to
 * every other; and back to where it was when memory, the kernel or the store fails on the way.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/set.h"
#include "tests/fakes/change.h"

#define SET(who, name, ...) fixture_set(f, who, name, &(const struct set_params){__VA_ARGS__})

TEST(nothing_is_nothing)
{
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(SET(&alice, "a", .mode = {false, 0}), 0);
    assert_false(core_turn_is_due(&f->core));
    assert_int_equal(f->k->calls[FAKE_SET], 1); /* by create */
}

TEST(all_at_once)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    f->clock.real_ms += 9000;
    f->k->now += 9;
    assert_int_equal(SET(&root, "a", .mode = GIVEN(0640), .uid = GIVEN(BOB), .gid = GIVEN(VIDEO),
                         .new_name = "b", .labels = {true, 1, {{"k", "v"}}},
                         .lifetime = GIVEN(LIFETIME_PROCESS), .ttl_ms = GIVEN(500),
                         .locked = GIVEN(true)),
                     0);
    assert_ptr_equal(fixture_record(f, "b"), s);
    assert_null(fixture_record(f, "a"));
    const struct sysv_stat *k = fixture_kernel(f, "b");
    assert_int_equal(k->mode, 0640);
    assert_int_equal(k->uid, BOB);
    assert_int_equal(k->gid, VIDEO);
    assert_true(k->locked);
    assert_int_equal(f->found.kernel.ctime, k->ctime);
    assert_true(f->found.kernel.locked);
    assert_int_equal(s->seen.uid, BOB);
    assert_int_equal(s->seen.gid, VIDEO);
    assert_int_equal(s->seen.mode, 0640);
    assert_int_equal(s->expires_at_ms, f->clock.boot_ms + 500);
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "changed:b");
    /* And back, but for the lifetime, each alone. */
    assert_int_equal(SET(&root, "b", .locked = GIVEN(false)), 0);
    assert_false(fixture_kernel(f, "b")->locked);
    assert_int_equal(SET(&root, "b", .ttl_ms = GIVEN(0)), 0);
    assert_int_equal(s->expires_at_ms, 0);
    assert_int_equal(SET(&root, "b", .labels = {true, 0, {{0}}}), 0);
    assert_int_equal(s->n_labels, 0);
    assert_int_equal(SET(&root, "b", .mode = GIVEN(0)), 0);
    assert_int_equal(fixture_kernel(f, "b")->mode, 0);
    assert_int_equal(fixture_kernel(f, "b")->uid, BOB);
    assert_int_equal(SET(&root, "b", .gid = GIVEN(BOBS)), 0);
    assert_int_equal(fixture_kernel(f, "b")->gid, BOBS);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "changed:b changed:b changed:b changed:b changed:b");
}

TEST(a_lock_that_is_there_is_left)
{
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(SET(&alice, "a", .locked = GIVEN(false)), 0);
    assert_int_equal(f->k->calls[FAKE_LOCK], 0);
}

TEST(names)
{
    made("a", LIFETIME_PERSISTENT);
    const struct segment *b = made("b", LIFETIME_PERSISTENT);
    assert_int_equal(SET(&alice, "a", .new_name = "b"), OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(f->detail.serial, b->serial);
    assert_int_equal(f->detail.shmid, b->shmid);
    assert_int_equal(SET(&alice, "a", .new_name = "a"), 0);
    assert_non_null(fixture_record(f, "a"));
    /* The name of one that is gone is free. */
    fake_sysv_remove_as(f->k, b->shmid);
    assert_int_equal(SET(&alice, "a", .new_name = "b"), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "changed:a removed/out-of-band:b changed:b");
    /* One without a name gets one. */
    const struct create_params unnamed = {.size = GIVEN(1)};
    assert_int_equal(fixture_create(f, &alice, &unnamed), 0);
    const struct set_params p = {.new_name = "c"};
    assert_int_equal(core_set(&f->core, &alice, &p, &f->found, &f->detail), 0);
    assert_ptr_equal(fixture_record(f, "c"), f->found.segment);
}

TEST(a_reserved_name)
{
    static const struct name_rule bobs = {(char *)"b", false, BOB};
    made("a", LIFETIME_PERSISTENT);
    f->core.settings.access.names = &bobs;
    f->core.settings.access.n_names = 1;
    assert_int_equal(SET(&alice, "a", .new_name = "b/1"), OUTCOME_PERMISSION_DENIED);
    assert_ptr_equal(f->detail.rule, &bobs);
    assert_int_equal(SET(&root, "a", .new_name = "b/1"), 0);
    /* It keeps the name it has. */
    assert_int_equal(SET(&alice, "b/1", .new_name = "b/1", .mode = GIVEN(0640)), 0);
}

TEST(rights)
{
    made("a", LIFETIME_PERSISTENT);
    assert_int_equal(SET(&alice, "a", .uid = GIVEN(BOB)), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "admin");
    assert_int_equal(SET(&alice, "a", .gid = GIVEN(VIDEO)), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "admin");
    assert_int_equal(SET(&alice, "a", .uid = GIVEN(DAEMON), .gid = GIVEN(ALICES)), 0);
    assert_int_equal(fixture_kernel(f, "a")->uid, DAEMON);
}

TEST(an_adopted_one_keeps_its_owner)
{
    const struct fake_process creator = {ALICE, ALICES, 1};
    int32_t shmid;
    assert_int_equal(
        fake_sysv_create_as(f->k, &creator, &(struct sysv_create){.size = 10}, 0600, &shmid), 0);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    const struct adopt_params p = {.shmid = GIVEN(shmid), .name = "theirs"};
    assert_int_equal(fixture_adopt(f, &alice, &p), 0);
    assert_int_equal(SET(&alice, "theirs", .uid = GIVEN(ALICE)), OUTCOME_NOT_SUPPORTED);
    assert_non_null(f->detail.what);
    assert_int_equal(SET(&alice, "theirs", .mode = GIVEN(0660)), 0);
    /* A daemon that is root needs no ownership. */
    f->core.settings.access.own_uid = 0;
    assert_int_equal(SET(&alice, "theirs", .uid = GIVEN(ALICE)), 0);
    f->core.settings.access.own_uid = DAEMON;
    assert_int_equal(core_fixture_turn(f), 0);
}

TEST(a_creator_who_took_it_back)
{
    const struct fake_process creator = {ALICE, ALICES, 1};
    int32_t shmid;
    assert_int_equal(
        fake_sysv_create_as(f->k, &creator, &(struct sysv_create){.size = 10}, 0600, &shmid), 0);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    const struct adopt_params p = {.shmid = GIVEN(shmid), .name = "theirs"};
    assert_int_equal(fixture_adopt(f, &alice, &p), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    fake_sysv_segment(f->k, shmid)->uid = ALICE;
    assert_int_equal(SET(&alice, "theirs", .mode = GIVEN(0644)), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "the daemon as owner");
    assert_false(core_turn_is_due(&f->core));
    assert_int_equal(fixture_remove(f, "theirs"), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "the daemon as owner");
    assert_false(core_turn_is_due(&f->core));
}

TEST(refusals_of_a_lock)
{
    made("a", LIFETIME_PERSISTENT);
    f->k->memlock_max = 0;
    assert_int_equal(SET(&alice, "a", .locked = GIVEN(true), .mode = GIVEN(0644)),
                     OUTCOME_LIMIT_REACHED);
    assert_string_equal(f->detail.what, "RLIMIT_MEMLOCK");
    assert_int_equal(fixture_kernel(f, "a")->mode, 0600);
    fixture_kernel(f, "a")->locked = true;
    fake_sysv_fail(f->k, FAKE_LOCK, 1, EPERM);
    assert_int_equal(SET(&alice, "a", .locked = GIVEN(false)), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "CAP_IPC_LOCK");
    assert_false(core_turn_is_due(&f->core));
}

/* Removed between the look and the change. */
static void remove_now(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    if (op == *(const enum fake_op *)k->hook_data) {
        k->before = NULL;
        fake_sysv_remove_as(k, shmid);
    }
}

TEST(gone_in_between)
{
    enum fake_op ops[] = {FAKE_SET, FAKE_LOCK};
    for (size_t i = 0; i < 2; i++) {
        made("a", LIFETIME_PERSISTENT);
        f->k->hook_data = &ops[i];
        f->k->before = remove_now;
        assert_int_equal(SET(&alice, "a", .mode = GIVEN(0644), .locked = GIVEN(i == 1)),
                         OUTCOME_NO_SUCH_SEGMENT);
        assert_int_equal(SET(&alice, "a", .mode = GIVEN(0644)), OUTCOME_NO_SUCH_SEGMENT);
        assert_int_equal(core_fixture_turn(f), 0);
        assert_string_equal(core_fixture_told(f), "removed/out-of-band:a");
    }
}

TEST(removing)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    fake_sysv_attach_as(f->k, s->shmid, 1);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(s->state, STATE_REMOVING);
    /* Its name is gone and its end is settled. */
    static const struct {
        const char *parameter;
        struct set_params p;
    } settled[] = {
        {"new_name", {.new_name = "b"}},
        {"lifetime", {.lifetime = GIVEN(LIFETIME_PROCESS)}},
        {"lifetime", {.lifetime = GIVEN(LIFETIME_PERSISTENT)}},
        {"ttl_ms", {.ttl_ms = GIVEN(1000)}},
        {"ttl_ms", {.ttl_ms = GIVEN(0)}},
        {"idle_ttl_ms", {.idle_ttl_ms = GIVEN(1000), .mode = GIVEN(0644)}},
        {"idle_ttl_ms", {.idle_ttl_ms = GIVEN(0)}},
    };
    for (size_t i = 0; i < sizeof(settled) / sizeof(settled[0]); i++) {
        assert_int_equal(core_set(&f->core, &alice, &settled[i].p, &f->found, &f->detail),
                         OUTCOME_INVALID_PARAMETER);
        assert_string_equal(f->detail.what, settled[i].parameter);
    }
    assert_int_equal(s->expires_at_ms, 0);
    assert_int_equal(s->idle_ttl_ms, 0);
    assert_int_equal(fake_sysv_segment(f->k, s->shmid)->mode, 0600);
    /* All else has its effect. */
    const struct set_params other = {.mode = GIVEN(0640),
                                     .uid = GIVEN(BOB),
                                     .gid = GIVEN(VIDEO),
                                     .locked = GIVEN(true),
                                     .labels = {true, 1, {{"k", "v"}}}};
    assert_int_equal(core_set(&f->core, &root, &other, &f->found, &f->detail), 0);
    const struct sysv_stat *k = fake_sysv_segment(f->k, s->shmid);
    assert_int_equal(k->mode, 0640);
    assert_int_equal(k->uid, BOB);
    assert_int_equal(k->gid, VIDEO);
    assert_true(k->locked);
    assert_int_equal(s->n_labels, 1);
    assert_int_equal(core_fixture_turn(f), 0);
    const struct stored_segment *stored = fake_store_find(&f->store, s->serial)->segment;
    assert_int_equal(stored->n_labels, 1);
    assert_int_equal(stored->state, STATE_REMOVING);
}

/* --- lifetimes */

static size_t count_ties(const struct segment *s)
{
    size_t n = 0;
    const struct tie *tie;
    LIST_FOREACH (tie, &s->ties, of_segment)
        n++;
    return n;
}

static void check_lifetime(struct segment *s, enum lifetime lifetime)
{
    bool holds = lifetime == LIFETIME_PROCESS || lifetime == LIFETIME_CONNECTION;
    bool attached = lifetime == LIFETIME_ATTACHED;
    assert_int_equal(s->lifetime, lifetime);
    assert_int_equal(s->n_holders, holds);
    assert_int_equal(count_ties(s), holds || attached);
    if (holds)
        assert_int_equal(LIST_FIRST(&s->ties)->party->is_connection,
                         lifetime == LIFETIME_CONNECTION);
    assert_int_equal(s->anchor != NULL, attached);
    assert_int_equal(s->anchor_check.place != 0, attached);
    assert_int_equal(fake_sysv_segment(f->k, s->shmid)->destroyed, attached);
    assert_int_equal(s->state, STATE_READY);
}

TEST(every_lifetime_to_every_other)
{
    for (int from = 0; from < LIFETIME_COUNT; from++)
        for (int to = 0; to < LIFETIME_COUNT; to++) {
            struct segment *s = made("a", (enum lifetime)from);
            bool frozen = from == LIFETIME_ATTACHED && to != from;
            assert_int_equal(SET(&alice, "a", .lifetime = GIVEN(to)),
                             frozen ? OUTCOME_NOT_SUPPORTED : 0);
            if (frozen)
                assert_non_null(f->detail.what);
            assert_int_equal(core_fixture_turn(f), 0);
            check_lifetime(s, (enum lifetime)(frozen ? from : to));
            assert_int_equal(f->core.parties.n_processes,
                             s->lifetime == LIFETIME_PROCESS || s->lifetime == LIFETIME_ATTACHED);
            assert_int_equal(fixture_remove(f, "a"), 0);
            assert_int_equal(core_fixture_turn(f), 0);
            assert_int_equal(fake_sysv_count(f->k), 0);
        }
}

TEST(what_follows_a_new_lifetime)
{
    /* The old holders hold no more. */
    struct segment *s = made("a", LIFETIME_PROCESS);
    assert_int_equal(fixture_hold(f, &bob, "a"), 0);
    assert_int_equal(s->n_holders, 2);
    assert_int_equal(SET(&alice, "a", .lifetime = GIVEN(LIFETIME_PERSISTENT)), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    core_fixture_kill(f, 1);
    core_fixture_kill(f, 2);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_ptr_equal(fixture_record(f, "a"), s);
    /* The new one's does. */
    assert_int_equal(SET(&root, "a", .lifetime = GIVEN(LIFETIME_PROCESS)), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    core_fixture_kill(f, 3);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_null(fixture_record(f, "a"));
    assert_int_equal(fake_sysv_count(f->k), 0);
}

TEST(several_lifetimes_in_a_turn)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    static const enum lifetime through[] = {LIFETIME_CONNECTION, LIFETIME_PROCESS,
                                            LIFETIME_PERSISTENT, LIFETIME_PROCESS};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(SET(&alice, "a", .lifetime = GIVEN((int64_t)through[i])), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    check_lifetime(s, LIFETIME_PROCESS);
    for (size_t i = 0; i < 3; i += 2) {
        store_will_fail();
        assert_int_equal(SET(&alice, "a", .lifetime = GIVEN((int64_t)through[i])),
                         OUTCOME_STORE_FAILURE);
        check_lifetime(s, LIFETIME_PROCESS);
    }
    assert_false(LIST_FIRST(&s->ties)->party->is_connection);
}

TEST(what_cannot_become_attached)
{
    const struct create_params keyed = {.name = "k", .key = GIVEN(4), .size = GIVEN(1)};
    assert_int_equal(fixture_create(f, &alice, &keyed), 0);
    assert_int_equal(SET(&alice, "k", .lifetime = GIVEN(LIFETIME_ATTACHED)),
                     OUTCOME_INVALID_PARAMETER);
    assert_string_equal(f->detail.what, "lifetime");
    const struct create_params closed = {.name = "c", .size = GIVEN(1), .mode = GIVEN(0200)};
    assert_int_equal(fixture_create(f, &alice, &closed), 0);
    assert_int_equal(SET(&alice, "c", .lifetime = GIVEN(LIFETIME_ATTACHED)),
                     OUTCOME_INVALID_PARAMETER);
    assert_string_equal(f->detail.what, "mode");
    assert_int_equal(SET(&alice, "c", .lifetime = GIVEN(LIFETIME_ATTACHED), .mode = GIVEN(0200)),
                     OUTCOME_INVALID_PARAMETER);
    assert_int_equal(SET(&alice, "c", .lifetime = GIVEN(LIFETIME_ATTACHED), .mode = GIVEN(0400)),
                     0);
    assert_int_equal(core_fixture_turn(f), 0);
}

/* --- changes that fail on the way */

static void prepared(struct core_fixture *g, enum lifetime lifetime, bool rmid_forced)
{
    struct caller c = core_fixture_caller(g, ALICE, 1), b = core_fixture_caller(g, BOB, 2);
    g->core.rmid_forced = g->k->shm_rmid_forced = rmid_forced;
    const struct create_params p = {.name = "a",
                                    .size = GIVEN(4096),
                                    .lifetime = GIVEN((int64_t)lifetime),
                                    .labels = {true, 1, {{"old", "label"}}}};
    assert_int_equal(fixture_create(g, &c, &p), 0);
    if (lifetime == LIFETIME_PROCESS)
        assert_int_equal(fixture_hold(g, &b, "a"), 0);
}

static void persistent_before(struct core_fixture *g)
{
    prepared(g, LIFETIME_PERSISTENT, false);
}

static void forced_before(struct core_fixture *g)
{
    prepared(g, LIFETIME_PERSISTENT, true);
}

static void process_before(struct core_fixture *g)
{
    prepared(g, LIFETIME_PROCESS, false);
}

static int set_all(struct core_fixture *g, enum lifetime lifetime)
{
    struct caller c = core_fixture_caller(g, 0, 3);
    const struct set_params p = {.mode = GIVEN(0640),
                                 .uid = GIVEN(BOB),
                                 .gid = GIVEN(VIDEO),
                                 .new_name = "b",
                                 .labels = {true, 1, {{"k", "v"}}},
                                 .lifetime = GIVEN((int64_t)lifetime),
                                 .ttl_ms = GIVEN(1000),
                                 .locked = GIVEN(true)};
    return fixture_set(g, &c, "a", &p);
}

static int set_persistent(struct core_fixture *g)
{
    return set_all(g, LIFETIME_PERSISTENT);
}

static int set_process(struct core_fixture *g)
{
    return set_all(g, LIFETIME_PROCESS);
}

static int set_attached_(struct core_fixture *g)
{
    return set_all(g, LIFETIME_ATTACHED);
}

static const struct change changes[] = {
    {persistent_before, set_persistent}, {persistent_before, set_process},
    {persistent_before, set_attached_},  {process_before, set_persistent},
    {process_before, set_process},       {process_before, set_attached_},
    {forced_before, set_process},        {forced_before, set_attached_},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

TEST(memory_runs_out)
{
    for (size_t i = 0; i < CHANGES; i++)
        change_without_memory(&changes[i]);
}

TEST(the_kernel_fails)
{
    static const enum fake_op ops[] = {FAKE_SET, FAKE_LOCK, FAKE_ATTACH};
    static const int errors[] = {ENOENT, EPERM, EACCES, EINVAL, ENOMEM, EIO};
    unsigned failed[sizeof(ops) / sizeof(ops[0])] = {0};
    for (size_t i = 0; i < CHANGES; i++)
        for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++)
            for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++)
                failed[op] += change_without_kernel(&changes[i], ops[op], errors[e]);
    for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++)
        assert_true(failed[op] > 0);
    /* A look that fails tells nothing: all stays. */
    assert_true(change_without_kernel(&changes[2], FAKE_STAT, EIO) > 0);
}

TEST(the_store_fails)
{
    for (size_t i = 0; i < CHANGES; i++)
        change_without_store(&changes[i]);
}

TEST(what_is_locked_has_a_cap)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    f->core.quota.caps[QUOTA_LOCKED_BYTES].per_uid = s->size - 1;
    assert_int_equal(SET(&alice, "a", .locked = GIVEN(true)), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_locked_bytes_per_uid");
    assert_false(fixture_kernel(f, "a")->locked);
    f->core.quota.caps[QUOTA_LOCKED_BYTES].per_uid = s->size;
    assert_int_equal(SET(&alice, "a", .locked = GIVEN(true)), 0);
}

static int32_t recycled;

static void recycle_after_the_store(struct fake_sysv *kernel, enum fake_op op, int32_t shmid)
{
    static const struct fake_process self = {990, 990, 41};
    const struct fake_store *store = kernel->hook_data;
    if (op != FAKE_STAT || store->n_commits == 0 || recycled >= 0)
        return;
    assert_int_equal(fake_sysv_recycle(kernel, shmid, &self, 9), 0);
    recycled = shmid;
}

/* The other segment is one that the daemon may change, too. */
TEST(what_has_its_place_by_now_is_left_alone)
{
    made("a", LIFETIME_PERSISTENT);
    recycled = -1;
    f->store.n_commits = 0;
    f->k->before = recycle_after_the_store;
    f->k->hook_data = &f->store;
    store_will_fail();
    assert_int_equal(SET(&alice, "a", .mode = GIVEN(0644), .lifetime = GIVEN(LIFETIME_PROCESS)),
                     OUTCOME_STORE_FAILURE);
    f->k->before = NULL;
    assert_true(recycled >= 0);
    assert_int_equal(fake_sysv_segment(f->k, recycled)->uid, 990);
    assert_int_equal(fake_sysv_remove_as(f->k, recycled), 0);
}

TEST(a_failure_that_cannot_be_undone_is_told)
{
    /* The kernel keeps the new mode: the answer is the error, and the next look tells. */
    made("a", LIFETIME_PERSISTENT);
    store_will_fail();
    fake_sysv_fail(f->k, FAKE_SET, 2, EPERM);
    assert_int_equal(SET(&alice, "a", .mode = GIVEN(0644), .lifetime = GIVEN(LIFETIME_PROCESS)),
                     -EIO);
    assert_int_equal(fixture_look(f, "a"), 0);
    assert_int_equal(f->found.kernel.mode, 0644);
    assert_int_equal(f->found.segment->lifetime, LIFETIME_PERSISTENT);
    assert_false(core_turn_is_due(&f->core));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_is_nothing),
        CASE(all_at_once),
        CASE(a_lock_that_is_there_is_left),
        CASE(names),
        CASE(a_reserved_name),
        CASE(rights),
        CASE(an_adopted_one_keeps_its_owner),
        CASE(a_creator_who_took_it_back),
        CASE(refusals_of_a_lock),
        CASE(gone_in_between),
        CASE(removing),
        CASE(every_lifetime_to_every_other),
        CASE(what_follows_a_new_lifetime),
        CASE(several_lifetimes_in_a_turn),
        CASE(what_cannot_become_attached),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(the_kernel_fails),
        cmocka_unit_test(the_store_fails),
        CASE(what_is_locked_has_a_cap),
        CASE(what_has_its_place_by_now_is_left_alone),
        CASE(a_failure_that_cannot_be_undone_is_told),
    };
    return RUN_TESTS(tests);
}
