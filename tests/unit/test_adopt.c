/* SPDX-License-Identifier: MIT */
/*
 * `adopt`: the rights to hand over, what cannot be taken, and that a failure leaves the segment as
 * its creator made it.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/adopt.h"
#include "tests/fakes/change.h"

#define ADOPT(who, ...) fixture_adopt(f, who, &(const struct adopt_params){__VA_ARGS__})

/* A segment of alice's, process 1, handed over to the daemon. */
static int32_t handed_over(struct core_fixture *g, uint32_t key)
{
    const struct fake_process creator = {ALICE, ALICES, 1};
    const struct sysv_create args = {.key = key, .size = 5000};
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(g->k, &creator, &args, 0640, &shmid), 0);
    fake_sysv_segment(g->k, shmid)->uid = DAEMON;
    return shmid;
}

static void denied(int r, const char *needs)
{
    assert_int_equal(r, OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, needs);
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(f->core.quota.total[QUOTA_SEGMENTS], 0);
}

TEST(with_everything)
{
    int32_t shmid = handed_over(f, 77);
    assert_int_equal(ADOPT(&alice, .key = GIVEN(77), .name = "a", .ttl_ms = GIVEN(9000),
                           .lifetime = GIVEN(LIFETIME_PROCESS), .labels = {true, 1, {{"k", "v"}}}),
                     0);
    const struct segment *s = f->found.segment;
    assert_int_equal(s->shmid, shmid);
    assert_int_equal(s->key, 77);
    assert_int_equal(s->size, 5000);
    assert_int_equal(s->creator.uid, ALICE);
    assert_int_equal(s->creator.gid, ALICES);
    assert_int_equal(s->creator.pid, 1);
    assert_string_equal(s->creator.comm, "worker");
    assert_true(s->adopted);
    assert_int_equal(s->state, STATE_READY);
    assert_int_equal(s->lifetime, LIFETIME_PROCESS);
    assert_int_equal(s->n_holders, 1);
    assert_int_equal(s->n_labels, 1);
    assert_int_equal(s->created_at_ms, f->clock.real_ms);
    assert_int_equal(s->expires_at_ms, f->clock.boot_ms + 9000);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "adopted:a");
    assert_int_equal(quota_used(&f->core.quota, ALICE, QUOTA_BYTES), 5000);
    /* It is like any other now. */
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    assert_int_equal(quota_used(&f->core.quota, ALICE, QUOTA_BYTES), 5000);
    core_fixture_kill(f, 1);
    turn_ends();
    assert_int_equal(fake_sysv_count(f->k), 0);
}

TEST(the_least)
{
    int32_t shmid = handed_over(f, 0);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid)), 0);
    assert_null(f->found.segment->name);
    assert_int_equal(f->found.segment->lifetime, LIFETIME_PERSISTENT);
    assert_int_equal(f->found.segment->expires_at_ms, 0);
    turn_ends();
}

TEST(of_our_own_whose_record_was_lost)
{
    const struct fake_process former = {DAEMON, DAEMON, 99};
    const struct sysv_create args = {.size = 5000};
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(f->k, &former, &args, 0640, &shmid), 0);
    fake_sysv_segment(f->k, shmid)->uid = ALICE;
    fake_sysv_segment(f->k, shmid)->gid = ALICES;
    assert_int_equal(ADOPT(&bob, .shmid = GIVEN(shmid)), OUTCOME_PERMISSION_DENIED);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid), .name = "a"), 0);
    assert_int_equal(f->found.segment->creator.uid, ALICE);
    assert_int_equal(f->found.segment->creator.gid, ALICES);
    assert_int_equal(f->found.segment->creator.pid, 0);
    turn_ends();
    assert_int_equal(quota_used(&f->core.quota, ALICE, QUOTA_BYTES), 5000);
    assert_int_equal(quota_used(&f->core.quota, DAEMON, QUOTA_BYTES), 0);
}

TEST(by_another_than_its_creator)
{
    /* An admin adopts: the owner of record is the creator all the same, and is charged. */
    int32_t shmid = handed_over(f, 0);
    assert_int_equal(ADOPT(&root, .shmid = GIVEN(shmid), .name = "a"), 0);
    assert_int_equal(f->found.segment->creator.uid, ALICE);
    assert_string_equal(f->found.segment->creator.comm, "");
    assert_false(f->found.segment->creator.was_admin);
    turn_ends();
    assert_int_equal(quota_used(&f->core.quota, ALICE, QUOTA_SEGMENTS), 1);
}

TEST(who_made_it_is_what_its_owner_cannot_set)
{
    int32_t shmid = handed_over(f, 0);
    fake_sysv_segment(f->k, shmid)->gid = 0;
    fake_sysv_segment(f->k, shmid)->mode = 0666;
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid)), 0);
    assert_false(f->found.segment->creator.was_admin);
    const struct fake_process admin = {0, 0, 3};
    const struct sysv_create args = {.size = 5000};
    assert_int_equal(fake_sysv_create_as(f->k, &admin, &args, 0640, &shmid), 0);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    fake_sysv_segment(f->k, shmid)->gid = ALICES;
    assert_int_equal(ADOPT(&root, .shmid = GIVEN(shmid)), 0);
    assert_true(f->found.segment->creator.was_admin);
    turn_ends();
}

/* Process 2 has it attached, and so has the daemon from now on. */
static void counts_one(enum lifetime lifetime)
{
    int32_t shmid = handed_over(f, 0);
    assert_int_equal(fake_sysv_attach_as(f->k, shmid, 2), 0);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid), .lifetime = GIVEN(lifetime)), 0);
    assert_non_null(f->found.segment->anchor);
    assert_int_equal(segment_attachments(f->found.segment, &f->found.kernel), 1);
    assert_int_equal(f->found.segment->seen.nattch, 1);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "adopted:-");
}

TEST(the_anchor_is_not_counted)
{
    counts_one(LIFETIME_ATTACHED);
}

TEST(the_anchor_of_a_persistent_one_is_not_counted)
{
    f->k->shm_rmid_forced = f->core.rmid_forced = true;
    counts_one(LIFETIME_PERSISTENT);
}

TEST(attached)
{
    int32_t shmid = handed_over(f, 0);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid), .lifetime = GIVEN(LIFETIME_ATTACHED)), 0);
    assert_non_null(f->found.segment->anchor);
    turn_ends();
    assert_true(fake_sysv_segment(f->k, shmid)->destroyed);
    fake_sysv_attach_as(f->k, shmid, 1);
    core_fixture_pass(f, 1000);
    fake_sysv_exit(f->k, 1);
    core_fixture_pass(f, 5000);
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_int_equal(f->core.registry.count, 0);
}

TEST(forced)
{
    f->core.rmid_forced = f->k->shm_rmid_forced = true;
    int32_t shmid = handed_over(f, 0);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid)), 0);
    turn_ends();
    assert_non_null(f->found.segment->anchor);
    fake_sysv_exit(f->k, 1);
    assert_non_null(fake_sysv_segment(f->k, shmid));
}

TEST(not_there)
{
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(5)), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(ADOPT(&alice, .key = GIVEN(5)), OUTCOME_NO_SUCH_SEGMENT);
    int32_t shmid = handed_over(f, 0);
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid)), -EIO);
}

TEST(rights)
{
    int32_t shmid = handed_over(f, 0);
    denied(ADOPT(&bob, .shmid = GIVEN(shmid)), "owner or creator");
    fake_sysv_segment(f->k, shmid)->uid = BOB;
    denied(ADOPT(&bob, .shmid = GIVEN(shmid)), "the daemon as owner");
    denied(ADOPT(&alice, .shmid = GIVEN(shmid)), "the daemon as owner");
    denied(ADOPT(&root, .shmid = GIVEN(shmid)), "the daemon as owner");
    /* A daemon that is root needs no ownership. */
    f->core.settings.access.own_uid = 0;
    assert_int_equal(ADOPT(&bob, .shmid = GIVEN(shmid)), 0);
    f->core.settings.access.own_uid = DAEMON;
    turn_ends();
}

TEST(a_reserved_name)
{
    static const struct name_rule bobs = {(char *)"b", false, BOB};
    int32_t shmid = handed_over(f, 0);
    f->core.settings.access.names = &bobs;
    f->core.settings.access.n_names = 1;
    denied(ADOPT(&alice, .shmid = GIVEN(shmid), .name = "b/1"), "reserved name");
    assert_ptr_equal(f->detail.rule, &bobs);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid), .name = "c"), 0);
    turn_ends();
}

TEST(managed_already)
{
    int32_t shmid = handed_over(f, 0);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid), .name = "a"), 0);
    uint64_t serial = f->found.segment->serial;
    turn_ends();
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid), .name = "b"), OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(f->detail.serial, serial);
    assert_int_equal(f->detail.shmid, shmid);
    assert_non_null(f->detail.hint);
    /* A stranger could not adopt it if it were not managed, and is told nothing, */
    for (uint32_t mode = 0640; mode <= 0666; mode += 026) {
        fake_sysv_segment(f->k, shmid)->mode = mode;
        assert_int_equal(ADOPT(&bob, .shmid = GIVEN(shmid)), OUTCOME_PERMISSION_DENIED);
        assert_string_equal(f->detail.what, "owner or creator");
        assert_int_equal(f->detail.serial, 0);
    }
    /* nor is who made it and may not read it, but what to do. */
    fake_sysv_segment(f->k, shmid)->mode = 0000;
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid)), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "read");
    assert_int_equal(f->detail.serial, 0);
    fake_sysv_segment(f->k, shmid)->mode = 0640;
    /* The name is another's. */
    int32_t second = handed_over(f, 0);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(second), .name = "a"), OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(f->detail.serial, serial);
    assert_null(f->detail.hint);
    fake_sysv_fail(f->k, FAKE_STAT, 2, EIO);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(second), .name = "a"), -EIO);
    assert_false(core_turn_is_due(&f->core));
}

TEST(an_id_that_was_ours)
{
    const struct fake_process creator = {ALICE, ALICES, 1};
    int32_t shmid = fixture_made(f, &alice, "old", LIFETIME_PERSISTENT)->shmid;
    assert_int_equal(fake_sysv_recycle(f->k, shmid, &creator, 100), 0);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid), .name = "new"), 0);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "created:old removed/recycled:old adopted:new");
    assert_int_equal(f->core.registry.count, 1);
    assert_int_equal(f->store.n_records, 1);
}

TEST(a_key_that_was_ours)
{
    /* The record of the key has lost its segment, which nobody has noticed yet. */
    const struct create_params p = {.name = "old", .key = GIVEN(77), .size = GIVEN(4096)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    fake_sysv_remove_as(f->k, f->found.segment->shmid);
    int32_t shmid = handed_over(f, 77);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid), .name = "new"), 0);
    turn_ends();
    assert_string_equal(core_fixture_told(f), "created:old removed/out-of-band:old adopted:new");
    assert_ptr_equal(registry_by_key(&f->core.registry, 77), fixture_record(f, "new"));
    assert_int_equal(f->core.registry.count, 1);
}

TEST(what_cannot_be_adopted)
{
    int32_t shmid = handed_over(f, 9);
    assert_int_equal(ADOPT(&alice, .key = GIVEN(9), .lifetime = GIVEN(LIFETIME_ATTACHED)),
                     OUTCOME_INVALID_PARAMETER);
    assert_string_equal(f->detail.what, "lifetime");
    /* The daemon could not attach it, and without its anchor it would be gone. */
    int32_t closed = handed_over(f, 0);
    fake_sysv_segment(f->k, closed)->mode = 0266;
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(closed), .lifetime = GIVEN(LIFETIME_ATTACHED)),
                     OUTCOME_INVALID_PARAMETER);
    assert_string_equal(f->detail.what, "lifetime");
    assert_contains(f->detail.hint, "read permission for its owner");
    assert_false(fake_sysv_segment(f->k, closed)->destroyed);
    fake_sysv_attach_as(f->k, shmid, 1);
    fake_sysv_remove_as(f->k, shmid);
    assert_int_equal(ADOPT(&alice, .shmid = GIVEN(shmid)), OUTCOME_INVALID_PARAMETER);
    assert_string_equal(f->detail.what, "shmid");
    assert_int_equal(f->core.registry.count, 0);
}

TEST(quotas)
{
    FIXTURE_LIMIT(f, max_bytes_per_uid, 6000);
    assert_int_equal(ADOPT(&root, .shmid = GIVEN(handed_over(f, 0))), 0);
    assert_int_equal(ADOPT(&root, .shmid = GIVEN(handed_over(f, 0))), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_bytes_per_uid");
    assert_int_equal(f->core.registry.count, 1);
    assert_int_equal(fake_sysv_count(f->k), 2);
    turn_ends();
}

/* --- changes that fail on the way */

static void prepare(struct core_fixture *g)
{
    (void)handed_over(g, 0);
}

static void prepare_forced(struct core_fixture *g)
{
    g->core.rmid_forced = g->k->shm_rmid_forced = true;
    (void)handed_over(g, 0);
}

static int adopt_as(struct core_fixture *g, enum lifetime lifetime)
{
    struct caller c = core_fixture_caller(g, ALICE, 1);
    const struct adopt_params p = {.shmid = GIVEN(0),
                                   .name = "a",
                                   .lifetime = GIVEN((int64_t)lifetime),
                                   .ttl_ms = GIVEN(1000),
                                   .labels = {true, 1, {{"k", "v"}}}};
    return fixture_adopt(g, &c, &p);
}

static int adopt_persistent(struct core_fixture *g)
{
    return adopt_as(g, LIFETIME_PERSISTENT);
}

static int adopt_process(struct core_fixture *g)
{
    return adopt_as(g, LIFETIME_PROCESS);
}

static int adopt_attached(struct core_fixture *g)
{
    return adopt_as(g, LIFETIME_ATTACHED);
}

TEST(whole_or_nothing)
{
    static const struct change changes[] = {
        {prepare, adopt_persistent},     {prepare, adopt_process},
        {prepare, adopt_attached},       {prepare_forced, adopt_persistent},
        {prepare_forced, adopt_process},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        change_without_memory(&changes[i]);
        change_without_store(&changes[i]);
    }
    static const struct change forced_and_attached = {prepare_forced, adopt_attached};
    change_without_memory(&forced_and_attached);
    assert_int_equal(change_without_kernel(&changes[2], FAKE_ATTACH, EACCES), 1);
    assert_int_equal(change_without_kernel(&changes[0], FAKE_STAT, EIO), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(with_everything),
        CASE(the_least),
        CASE(of_our_own_whose_record_was_lost),
        CASE(by_another_than_its_creator),
        CASE(who_made_it_is_what_its_owner_cannot_set),
        CASE(the_anchor_is_not_counted),
        CASE(the_anchor_of_a_persistent_one_is_not_counted),
        CASE(attached),
        CASE(forced),
        CASE(not_there),
        CASE(rights),
        CASE(a_reserved_name),
        CASE(managed_already),
        CASE(an_id_that_was_ours),
        CASE(a_key_that_was_ours),
        CASE(what_cannot_be_adopted),
        CASE(quotas),
        cmocka_unit_test(whole_or_nothing),
    };
    return RUN_TESTS(tests);
}
