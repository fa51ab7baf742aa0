/* SPDX-License-Identifier: MIT */
/*
 * `create`: every option comes into the kernel, the record and the store; every refusal has its
 * name; and whatever fails on the way - memory, the kernel at any call, the store - leaves kernel,
 * records and charges as they were.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/create.h"
#include "tests/fakes/change.h"

#define CREATE(who, ...) fixture_create(f, who, &(const struct create_params){__VA_ARGS__})

static void denied(int r, const char *needs)
{
    assert_int_equal(r, OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, needs);
}

static void invalid(int r, const char *parameter)
{
    assert_int_equal(r, OUTCOME_INVALID_PARAMETER);
    assert_string_equal(f->detail.what, parameter);
    assert_non_null(f->detail.hint);
}

TEST(the_least)
{
    assert_int_equal(CREATE(&alice, .size = GIVEN(5000)), 0);
    assert_true(f->created);
    const struct segment *s = f->found.segment;
    assert_null(s->name);
    assert_int_equal(s->key, 0);
    assert_int_equal(s->size, 5000);
    assert_int_equal(s->state, STATE_READY);
    assert_int_equal(s->lifetime, LIFETIME_PERSISTENT);
    assert_int_equal(s->creator.uid, ALICE);
    assert_int_equal(s->creator.gid, ALICES);
    assert_int_equal(s->creator.pid, 1);
    assert_string_equal(s->creator.comm, "worker");
    assert_false(s->creator.was_admin);
    assert_int_equal(s->created_at_ms, f->clock.real_ms);
    assert_int_equal(s->expires_at_ms, 0);
    assert_true(LIST_EMPTY(&s->ties));
    assert_int_equal(f->found.kernel.uid, ALICE);
    assert_int_equal(f->found.kernel.gid, ALICES);
    assert_int_equal(f->found.kernel.mode, 0600);
    assert_int_equal(f->found.kernel.cuid, DAEMON);
    assert_int_equal(f->found.kernel.cpid, DAEMON_PID);
    /* It is stored already. */
    assert_int_equal(f->store.n_records, 1);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(f->store.n_records, 1);
    assert_string_equal(core_fixture_told(f), "created:-");
    core_fixture_check_kernel(f);
}

TEST(everything)
{
    f->k->cap_ipc_lock = true;
    f->k->huge_pages[0].total = f->k->huge_pages[0].free = 4;
    assert_int_equal(CREATE(&root, .name = "frames", .key = GIVEN(-2), .size = GIVEN(2 << 20),
                            .mode = GIVEN(0664), .uid = GIVEN(BOB), .gid = GIVEN(VIDEO),
                            .lifetime = GIVEN(LIFETIME_PROCESS), .ttl_ms = GIVEN(7000),
                            .ready = GIVEN(false), .huge_page_size = GIVEN(2 << 20),
                            .noreserve = GIVEN(true), .locked = GIVEN(true),
                            .labels = {true, 2, {{"a", "1"}, {"b", ""}}}),
                     0);
    const struct segment *s = f->found.segment;
    assert_string_equal(s->name, "frames");
    assert_int_equal(s->key, 0xFFFFFFFE);
    assert_int_equal(s->state, STATE_INITIALISING);
    assert_int_equal(s->huge_page_size, 2 << 20);
    assert_true(s->noreserve);
    assert_true(s->creator.was_admin);
    assert_int_equal(s->expires_at_ms, f->clock.boot_ms + 7000);
    assert_int_equal(s->n_labels, 2);
    assert_string_equal(s->labels[1].key, "b");
    assert_int_equal(s->n_holders, 1);
    assert_non_null(tie_find(s, NULL, TIE_INITIALISER));
    assert_int_equal(f->core.parties.n_processes, 1); /* one watch for both ties */
    const struct sysv_stat *k = fake_sysv_segment(f->k, s->shmid);
    assert_int_equal(k->key, 0xFFFFFFFE);
    assert_int_equal(k->uid, BOB);
    assert_int_equal(k->gid, VIDEO);
    assert_int_equal(k->mode, 0664);
    assert_int_equal(f->k->calls[FAKE_LOCK], 1);
    assert_int_equal(core_fixture_turn(f), 0);
    const struct fake_record *record = fake_store_find_name(&f->store, "frames");
    assert_int_equal(record->n_ties, 2);
    assert_true(record->segment->noreserve);
    assert_int_equal(record->segment->huge_page_size, 2 << 20);
    core_fixture_check_kernel(f);
}

TEST(a_lock_is_set)
{
    assert_int_equal(CREATE(&alice, .size = GIVEN(4096), .locked = GIVEN(true)), 0);
    assert_true(f->found.kernel.locked);
}

TEST(the_existing_one)
{
    assert_int_equal(CREATE(&alice, .name = "a", .key = GIVEN(5), .size = GIVEN(100)), 0);
    const struct segment *first = f->found.segment;
    assert_int_equal(core_fixture_turn(f), 0);
    (void)core_fixture_told(f);
    assert_int_equal(CREATE(&alice, .name = "a", .size = GIVEN(100)), 0);
    assert_false(f->created);
    assert_ptr_equal(f->found.segment, first);
    assert_int_equal(CREATE(&alice, .key = GIVEN(5), .size = GIVEN(1)), 0);
    assert_ptr_equal(f->found.segment, first);
    assert_int_equal(CREATE(&alice, .name = "a", .key = GIVEN(5), .size = GIVEN(99)), 0);
    assert_ptr_equal(f->found.segment, first);
    assert_false(core_turn_is_due(&f->core));
    assert_string_equal(core_fixture_told(f), "");
    assert_int_equal(fake_sysv_count(f->k), 1);
}

TEST(existing_and_refused)
{
    assert_int_equal(CREATE(&alice, .name = "a", .key = GIVEN(5), .size = GIVEN(100)), 0);
    const struct segment *first = f->found.segment;
    assert_int_equal(CREATE(&alice, .name = "b", .size = GIVEN(100)), 0);
    assert_int_equal(CREATE(&alice, .name = "a", .size = GIVEN(1), .exclusive = GIVEN(true)),
                     OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(f->detail.serial, first->serial);
    assert_int_equal(f->detail.shmid, first->shmid);
    assert_null(f->detail.hint);
    assert_int_equal(CREATE(&alice, .name = "a", .size = GIVEN(101)), OUTCOME_SIZE_MISMATCH);
    assert_int_equal(f->detail.size, 100);
    assert_int_equal(f->detail.requested, 101);
    /* Name and key of two segments, or of a segment that has only one of them. */
    assert_int_equal(CREATE(&alice, .name = "b", .key = GIVEN(5), .size = GIVEN(1)),
                     OUTCOME_SEGMENT_EXISTS);
    assert_non_null(f->detail.hint);
    assert_int_equal(CREATE(&alice, .name = "c", .key = GIVEN(5), .size = GIVEN(1)),
                     OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(CREATE(&alice, .name = "b", .key = GIVEN(6), .size = GIVEN(1)),
                     OUTCOME_SEGMENT_EXISTS);
    assert_int_equal(fake_sysv_count(f->k), 2);
}

TEST(which_segment_exists_is_for_those_who_may_read_it)
{
    assert_int_equal(CREATE(&alice, .name = "a", .key = GIVEN(5), .size = GIVEN(100)), 0);
    static const struct create_params wanted[] = {
        {.name = "a", .size = GIVEN(1), .exclusive = GIVEN(true)},
        {.key = GIVEN(5), .size = GIVEN(1), .exclusive = GIVEN(true)},
        {.name = "b", .key = GIVEN(5), .size = GIVEN(1)},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_int_equal(fixture_create(f, &bob, &wanted[i]), OUTCOME_SEGMENT_EXISTS);
        assert_int_equal(f->detail.serial, 0);
        assert_int_equal(f->detail.shmid, 0);
    }
}

TEST(a_strangers_segment_is_not_handed_out)
{
    assert_int_equal(CREATE(&bob, .name = "squatted", .size = GIVEN(4096), .mode = GIVEN(0666)), 0);
    denied(CREATE(&alice, .name = "squatted", .size = GIVEN(4096)), "any_owner");
    assert_int_equal(
        CREATE(&alice, .name = "squatted", .size = GIVEN(4096), .any_owner = GIVEN(true)), 0);
    assert_false(f->created);
    /* any_owner gives no right to read. */
    assert_int_equal(CREATE(&bob, .name = "secret", .size = GIVEN(4096)), 0);
    denied(CREATE(&alice, .name = "secret", .size = GIVEN(4096), .any_owner = GIVEN(true)), "read");
    assert_non_null(strstr(f->detail.hint, "the name belongs to"));
    assert_non_null(strstr(f->detail.hint, "choose another name"));
    /* What root made is trusted. */
    assert_int_equal(CREATE(&root, .name = "system", .size = GIVEN(4096), .mode = GIVEN(0644)), 0);
    assert_int_equal(CREATE(&alice, .name = "system", .size = GIVEN(4096)), 0);
    assert_false(f->created);
}

TEST(rights)
{
    denied(CREATE(&alice, .size = GIVEN(1), .uid = GIVEN(BOB)), "admin");
    denied(CREATE(&alice, .size = GIVEN(1), .gid = GIVEN(VIDEO)), "admin");
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_int_equal(CREATE(&alice, .size = GIVEN(1), .uid = GIVEN(DAEMON)), 0);
    assert_int_equal(f->found.kernel.uid, DAEMON);
    uint32_t groups[] = {VIDEO};
    alice.groups = groups;
    alice.n_groups = 1;
    assert_int_equal(CREATE(&alice, .size = GIVEN(1), .gid = GIVEN(VIDEO)), 0);
    assert_int_equal(f->found.kernel.gid, VIDEO);
}

TEST(what_makes_no_sense)
{
    invalid(CREATE(&alice, .size = GIVEN(1), .key = GIVEN(7), .lifetime = GIVEN(LIFETIME_ATTACHED)),
            "key");
    invalid(
        CREATE(&alice, .size = GIVEN(1), .mode = GIVEN(0277), .lifetime = GIVEN(LIFETIME_ATTACHED)),
        "mode");
    invalid(CREATE(&alice, .size = GIVEN(1), .huge_page_size = GIVEN(1 << 30)), "huge_page_size");
    assert_int_equal(f->k->calls[FAKE_CREATE], 0);
}

TEST(quotas)
{
    FIXTURE_LIMIT(f, max_segments_per_uid, 2);
    FIXTURE_LIMIT(f, max_bytes, 10000);
    assert_int_equal(CREATE(&alice, .size = GIVEN(4000)), 0);
    assert_int_equal(CREATE(&alice, .size = GIVEN(4000)), 0);
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_segments_per_uid");
    assert_int_equal(f->detail.used, 2);
    assert_int_equal(f->detail.max, 2);
    assert_int_equal(CREATE(&root, .size = GIVEN(2001)), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_bytes");
    assert_int_equal(f->detail.used, 8000);
    assert_int_equal(CREATE(&root, .size = GIVEN(2000)), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    core_fixture_check_kernel(f);
}

TEST(quotas_of_locked_and_anchored_bytes)
{
    FIXTURE_LIMIT(f, max_locked_bytes_per_uid, 5000);
    FIXTURE_LIMIT(f, max_anchored_bytes_per_uid, 6000);
    assert_int_equal(CREATE(&alice, .size = GIVEN(4000), .locked = GIVEN(true)), 0);
    f->k->calls[FAKE_CREATE] = 0;
    assert_int_equal(CREATE(&alice, .size = GIVEN(4000), .locked = GIVEN(true)),
                     OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_locked_bytes_per_uid");
    assert_int_equal(f->detail.used, 4000);
    assert_int_equal(CREATE(&bob, .size = GIVEN(4000), .locked = GIVEN(true)), 0);
    assert_int_equal(CREATE(&alice, .size = GIVEN(6000), .lifetime = GIVEN(LIFETIME_ATTACHED)), 0);
    assert_int_equal(CREATE(&alice, .size = GIVEN(1), .lifetime = GIVEN(LIFETIME_ATTACHED)),
                     OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_anchored_bytes_per_uid");
    assert_int_equal(CREATE(&bob, .size = GIVEN(1), .lifetime = GIVEN(LIFETIME_ATTACHED)), 0);
    /* What was refused was not made. */
    assert_int_equal(f->k->calls[FAKE_CREATE], 3);
    turn_ends();
    /* What is locked still counts after a restart, and anchors of the former daemon are gone. */
    assert_int_equal(core_fixture_restart(f), 0);
    assert_int_equal(quota_used(&f->core.quota, ALICE, QUOTA_LOCKED_BYTES), 4000);
    assert_int_equal(quota_used(&f->core.quota, ALICE, QUOTA_ANCHORED_BYTES), 0);
}

TEST(more_than_an_address_space)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(CREATE(&alice, .size = GIVEN(i == 0 ? INT64_MAX : (INT64_C(1) << 47) + 1),
                                .noreserve = GIVEN(true)),
                         OUTCOME_LIMIT_REACHED);
        assert_string_equal(f->detail.what, "address-space");
        assert_int_equal(f->detail.max, sizeof(size_t) > 4 ? INT64_C(1) << 47 : UINT32_MAX);
    }
    assert_int_equal(f->k->calls[FAKE_CREATE], 0);
    assert_int_equal(f->core.quota.total[QUOTA_BYTES], 0);
}

TEST(quotas_of_what_is_gone)
{
    FIXTURE_LIMIT(f, max_segments_per_uid, 2);
    FIXTURE_LIMIT(f, max_segments, 3);
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), 0);
    int32_t shmid = f->found.segment->shmid;
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), 0);
    turn_ends();
    /* Given back when it is asked for. */
    assert_int_equal(fake_sysv_remove_as(f->k, shmid), 0);
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), 0);
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    turn_ends();
    /* Of all: also what others had. */
    assert_int_equal(CREATE(&bob, .size = GIVEN(1)), 0);
    turn_ends();
    shmid = f->found.segment->shmid;
    assert_int_equal(CREATE(&root, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_segments");
    turn_ends();
    assert_int_equal(fake_sysv_remove_as(f->k, shmid), 0);
    f->clock.boot_ms += 1000;
    assert_int_equal(CREATE(&root, .size = GIVEN(1)), 0);
    turn_ends();
    core_fixture_check_kernel(f);
    /* A pipeline of refusals costs a look for each uid, and few of them, until the turn ends. */
    unsigned long looks = f->k->calls[FAKE_STAT];
    for (int i = 0; i < 20; i++)
        assert_int_equal(CREATE(&alice, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    assert_int_equal(f->k->calls[FAKE_STAT] - looks, 2);
    for (int i = 0; i < 20; i++)
        assert_int_equal(CREATE(i % 2 ? &alice : &bob, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    assert_true(f->k->calls[FAKE_STAT] - looks <= 2 + 3 * 3);
    turn_ends();
    looks = f->k->calls[FAKE_STAT];
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    assert_true(f->k->calls[FAKE_STAT] > looks);
}

/* How many records were looked at before ROOT was refused. */
static unsigned long looks_of_refusal(void)
{
    unsigned long looks = f->k->calls[FAKE_STAT];
    assert_int_equal(CREATE(&root, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_segments");
    turn_ends();
    return f->k->calls[FAKE_STAT] - looks;
}

TEST(a_refusal_looks_at_some_and_the_next_goes_on)
{
    enum { MANY = 450, LOOKS = 300 };
    int32_t last = -1;
    FIXTURE_LIMIT(f, max_segments_per_uid, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(CREATE(&alice, .size = GIVEN(1)), 0);
        last = f->found.segment->shmid;
    }
    turn_ends();
    (void)core_fixture_told(f);
    assert_int_equal(fake_sysv_remove_as(f->k, last), 0);
    const unsigned long looks = f->k->calls[FAKE_STAT];
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    assert_int_equal(f->k->calls[FAKE_STAT] - looks, LOOKS);
    turn_ends();
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), 0); /* it has found the one that is gone */
}

TEST(those_of_others_are_looked_at_once_a_second)
{
    FIXTURE_LIMIT(f, max_segments, 4);
    int32_t shmids[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(CREATE(i == 0 ? &root : &alice, .size = GIVEN(1)), 0);
        shmids[i] = f->found.segment->shmid;
    }
    turn_ends();
    assert_int_equal(looks_of_refusal(), 4);
    assert_int_equal(looks_of_refusal(), 1); /* her own, each turn */
    assert_int_equal(fake_sysv_remove_as(f->k, shmids[3]), 0);
    f->clock.boot_ms += 999;
    assert_int_equal(looks_of_refusal(), 1);
    f->clock.boot_ms += 1;
    assert_int_equal(CREATE(&root, .size = GIVEN(1)), 0);
    /* Whichever user was refused. */
    turn_ends();
    unsigned long looks = f->k->calls[FAKE_STAT];
    assert_int_equal(CREATE(&bob, .size = GIVEN(1)), OUTCOME_QUOTA_EXCEEDED);
    assert_int_equal(f->k->calls[FAKE_STAT], looks);
    /* One's own that is gone is found at once. */
    assert_int_equal(fake_sysv_remove_as(f->k, shmids[0]), 0);
    assert_int_equal(CREATE(&root, .size = GIVEN(1)), 0);
    turn_ends();
    core_fixture_check_kernel(f);
}

TEST(others_bytes_that_are_gone)
{
    FIXTURE_LIMIT(f, max_bytes, 10000);
    assert_int_equal(CREATE(&alice, .size = GIVEN(4000)), 0);
    assert_int_equal(CREATE(&bob, .size = GIVEN(6000)), 0);
    int32_t shmid = f->found.segment->shmid;
    turn_ends();
    assert_int_equal(fake_sysv_remove_as(f->k, shmid), 0);
    assert_int_equal(CREATE(&root, .size = GIVEN(6001)), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(f->detail.what, "max_bytes");
    assert_int_equal(f->detail.used, 4000);
    turn_ends();
    assert_int_equal(CREATE(&root, .size = GIVEN(6000)), 0);
    turn_ends();
    assert_int_equal(fake_sysv_remove_as(f->k, f->found.segment->shmid), 0);
    f->clock.boot_ms += 1000;
    assert_int_equal(CREATE(&alice, .size = GIVEN(6000)), 0);
    turn_ends();
    core_fixture_check_kernel(f);
}

TEST(a_key_that_a_foreign_segment_has)
{
    const struct fake_process other = {BOB, BOBS, 50};
    int32_t shmid;
    assert_int_equal(
        fake_sysv_create_as(f->k, &other, &(struct sysv_create){.key = 9, .size = 1}, 0600, &shmid),
        0);
    assert_int_equal(CREATE(&alice, .key = GIVEN(9), .size = GIVEN(1)), OUTCOME_KEY_IN_USE);
    assert_int_equal(f->detail.key, 9);
    assert_int_equal(f->detail.shmid, shmid);
    /* It may be gone when it is looked for. */
    fake_sysv_fail(f->k, FAKE_FIND, 1, ENOENT);
    assert_int_equal(CREATE(&alice, .key = GIVEN(9), .size = GIVEN(1)), OUTCOME_KEY_IN_USE);
    assert_int_equal(f->detail.shmid, -1);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(f->core.registry.count, 0);
}

TEST(a_name_whose_segment_is_gone_is_free)
{
    assert_int_equal(CREATE(&alice, .name = "a", .key = GIVEN(3), .size = GIVEN(64)), 0);
    uint64_t old = f->found.segment->serial;
    assert_int_equal(core_fixture_turn(f), 0);
    fake_sysv_remove_as(f->k, f->found.segment->shmid);
    assert_int_equal(CREATE(&alice, .name = "a", .key = GIVEN(3), .size = GIVEN(128)), 0);
    assert_true(f->created);
    assert_true(f->found.segment->serial > old);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "created:a removed/out-of-band:a created:a");
    core_fixture_check_kernel(f);
}

TEST(the_old_record_of_a_shmid_given_out_again)
{
    assert_int_equal(CREATE(&alice, .name = "old", .size = GIVEN(64)), 0);
    int32_t shmid = f->found.segment->shmid;
    assert_int_equal(core_fixture_turn(f), 0);
    fake_sysv_remove_as(f->k, shmid);
    f->k->next_id = shmid;
    assert_int_equal(CREATE(&bob, .name = "new", .size = GIVEN(64)), 0);
    assert_int_equal(f->found.segment->shmid, shmid);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "created:old removed/out-of-band:old created:new");
    assert_null(fixture_record(f, "old"));
    assert_int_equal(f->core.registry.count, 1);
}

TEST(attached)
{
    assert_int_equal(
        CREATE(&alice, .name = "a", .size = GIVEN(64), .lifetime = GIVEN(LIFETIME_ATTACHED)), 0);
    const struct segment *s = f->found.segment;
    assert_non_null(s->anchor);
    assert_non_null(tie_find(s, NULL, TIE_ATTACHER));
    assert_int_equal(s->n_holders, 0);
    assert_true(fake_sysv_segment(f->k, s->shmid)->destroyed);
    assert_int_equal(s->state, STATE_READY);
    assert_int_equal(core_fixture_turn(f), 0);
}

TEST(a_connections_segment_needs_no_process)
{
    f->p.fail_open_peer = EMFILE;
    assert_int_equal(
        CREATE(&alice, .name = "a", .size = GIVEN(64), .lifetime = GIVEN(LIFETIME_CONNECTION)), 0);
    assert_int_equal(f->found.segment->n_holders, 1);
    assert_non_null(alice.party);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(fake_store_find_name(&f->store, "a")->n_ties, 0);
    ends_with_party(&f->core, steal_pointer(&alice.party));
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(fake_sysv_count(f->k), 0);
}

TEST(a_creator_that_cannot_be_watched)
{
    int *const knobs[] = {&f->p.fail_open_peer, &f->p.fail_identify, &f->p.fail_watch};
    for (size_t i = 0; i < 3; i++) {
        *knobs[i] = EMFILE;
        assert_int_equal(
            CREATE(&alice, .name = "a", .size = GIVEN(1), .lifetime = GIVEN(LIFETIME_PROCESS)),
            -EMFILE);
        *knobs[i] = 0;
        assert_int_equal(fake_sysv_count(f->k), 0);
        assert_int_equal(f->p.n_open, 0);
        assert_int_equal(f->core.quota.total[QUOTA_SEGMENTS], 0);
        assert_false(core_turn_is_due(&f->core));
    }
}

/* --- refusals of the kernel, and the outcomes that name them */

static void limit_reached(int r, const char *limit, uint64_t used, uint64_t max)
{
    assert_int_equal(r, OUTCOME_LIMIT_REACHED);
    assert_string_equal(f->detail.what, limit);
    assert_true(f->detail.used == used);
    assert_true(f->detail.max == max);
    assert_non_null(f->detail.hint);
    assert_int_equal(f->core.registry.count, fake_sysv_count(f->k));
}

TEST(no_room_for_a_segment)
{
    f->k->shmmni = 1;
    assert_int_equal(CREATE(&alice, .size = GIVEN(1)), 0);
    limit_reached(CREATE(&alice, .size = GIVEN(1)), "kernel.shmmni", 1, 1);
    assert_null(strstr(f->detail.hint, "gc"));
    f->core.counted.orphaned = 1; /* as the last sweep found */
    limit_reached(CREATE(&alice, .size = GIVEN(1)), "kernel.shmmni", 1, 1);
    assert_non_null(strstr(f->detail.hint, "shmdctl gc"));
    f->k->shmmni = 100;
    f->k->shmall = 3;
    limit_reached(CREATE(&alice, .size = GIVEN(3 * 4096)), "kernel.shmall", 1, 3);
    limit_reached(CREATE(&alice, .size = GIVEN(2 * 4096 + 1)), "kernel.shmall", 1, 3);
    assert_int_equal(CREATE(&alice, .size = GIVEN(2 * 4096)), 0);
    f->k->shmall = 2; /* lowered below what is in use */
    limit_reached(CREATE(&alice, .size = GIVEN(1)), "kernel.shmall", 3, 2);
    /* What cannot be looked up is not made up. */
    fake_sysv_fail(f->k, FAKE_LIMITS, 1, EIO);
    limit_reached(CREATE(&alice, .size = GIVEN(1)), "kernel.shmmni", OUTCOME_UNKNOWN,
                  OUTCOME_UNKNOWN);
}

TEST(no_memory)
{
    f->k->memory_max = 8192;
    limit_reached(CREATE(&alice, .size = GIVEN(8193)), "memory", OUTCOME_UNKNOWN, 8192);
    f->k->memory_is_counted = true;
    f->k->memory_used = 4096;
    limit_reached(CREATE(&alice, .size = GIVEN(8192)), "memory", 4096, 8192);
    fake_sysv_fail(f->k, FAKE_MEMORY, 1, EACCES);
    limit_reached(CREATE(&alice, .size = GIVEN(8192)), "memory", OUTCOME_UNKNOWN, OUTCOME_UNKNOWN);
}

TEST(no_huge_pages)
{
    denied(CREATE(&alice, .size = GIVEN(1), .huge_page_size = GIVEN(2 << 20)),
           "CAP_IPC_LOCK or vm.hugetlb_shm_group");
    f->k->cap_ipc_lock = true;
    f->k->huge_pages[0].total = 3;
    f->k->huge_pages[0].free = 1;
    limit_reached(CREATE(&alice, .size = GIVEN(4 << 20), .huge_page_size = GIVEN(2 << 20)),
                  "hugepages", 2, 3);
    fake_sysv_fail(f->k, FAKE_HUGE_PAGES, 1, ENOENT);
    limit_reached(CREATE(&alice, .size = GIVEN(4 << 20), .huge_page_size = GIVEN(2 << 20)),
                  "hugepages", OUTCOME_UNKNOWN, OUTCOME_UNKNOWN);
    assert_int_equal(CREATE(&alice, .size = GIVEN(1), .huge_page_size = GIVEN(2 << 20)), 0);
    /* The machine had them at start, and has no more. */
    f->k->huge_pages[0].size = 0;
    invalid(CREATE(&alice, .size = GIVEN(1), .huge_page_size = GIVEN(2 << 20)), "huge_page_size");
}

TEST(sizes)
{
    f->k->shmmax = 8192;
    limit_reached(CREATE(&alice, .size = GIVEN(8193)), "kernel.shmmax", OUTCOME_UNKNOWN, 8192);
    fake_sysv_fail(f->k, FAKE_CREATE, 1, EINVAL);
    invalid(CREATE(&alice, .size = GIVEN(8192)), "size");
}

TEST(locks)
{
    f->k->memlock_max = 4096;
    limit_reached(CREATE(&alice, .size = GIVEN(8192), .locked = GIVEN(true)), "RLIMIT_MEMLOCK",
                  OUTCOME_UNKNOWN, 4096);
    assert_int_equal(f->detail.requested, 8192);
    f->k->memlock_max = 0;
    limit_reached(CREATE(&alice, .size = GIVEN(1), .locked = GIVEN(true)), "RLIMIT_MEMLOCK",
                  OUTCOME_UNKNOWN, 0);
    fake_sysv_fail(f->k, FAKE_MEMLOCK, 1, EPERM);
    limit_reached(CREATE(&alice, .size = GIVEN(1), .locked = GIVEN(true)), "RLIMIT_MEMLOCK",
                  OUTCOME_UNKNOWN, OUTCOME_UNKNOWN);
    fake_sysv_fail(f->k, FAKE_LOCK, 1, EIO);
    assert_int_equal(CREATE(&alice, .size = GIVEN(1), .locked = GIVEN(true)), -EIO);
    assert_int_equal(fake_sysv_count(f->k), 0);
}

TEST(unexplained_refusals_are_forwarded)
{
    static const int errors[] = {EACCES, EMFILE, EIO};
    for (size_t i = 0; i < 3; i++) {
        fake_sysv_fail(f->k, FAKE_CREATE, 1, errors[i]);
        assert_int_equal(CREATE(&alice, .size = GIVEN(1)), -errors[i]);
    }
    assert_false(core_turn_is_due(&f->core));
}

/* A kernel without System V shared memory, or a sandbox that keeps it away. */
TEST(what_is_not_there_is_not_supported)
{
    static const int errors[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < 2; i++) {
        fake_sysv_fail(f->k, FAKE_CREATE, 1, errors[i]);
        assert_int_equal(CREATE(&alice, .size = GIVEN(1)), OUTCOME_NOT_SUPPORTED);
        assert_contains(f->detail.what, "System V shared memory");
    }
}

/* --- changes that fail on the way */

static void nothing_before(struct core_fixture *g)
{
    g->k->cap_ipc_lock = true;
}

static void others_before(struct core_fixture *g)
{
    struct caller c = core_fixture_caller(g, ALICE, 1);
    (void)fixture_made(g, &c, "other", LIFETIME_PROCESS);
}

static int create_all(struct core_fixture *g, enum lifetime lifetime, bool rmid_forced)
{
    struct caller c = core_fixture_caller(g, ALICE, 1);
    const struct create_params p = {.name = "a",
                                    .key = GIVEN(lifetime == LIFETIME_ATTACHED ? 0 : 77),
                                    .size = GIVEN(4096),
                                    .lifetime = GIVEN((int64_t)lifetime),
                                    .ttl_ms = GIVEN(1000),
                                    .ready = GIVEN(false),
                                    .locked = GIVEN(true),
                                    .labels = {true, 1, {{"k", "v"}}}};
    g->core.rmid_forced = g->k->shm_rmid_forced = rmid_forced;
    int r = fixture_create(g, &c, &p);
    if (c.party && LIST_EMPTY(&c.party->ties))
        party_end(&g->core.parties, c.party);
    return r;
}

static int create_persistent(struct core_fixture *g)
{
    return create_all(g, LIFETIME_PERSISTENT, false);
}

static int create_anchored(struct core_fixture *g)
{
    return create_all(g, LIFETIME_PERSISTENT, true);
}

static int create_process(struct core_fixture *g)
{
    return create_all(g, LIFETIME_PROCESS, false);
}

static int create_attached(struct core_fixture *g)
{
    return create_all(g, LIFETIME_ATTACHED, false);
}

static const struct change changes[] = {
    {nothing_before, create_persistent}, {nothing_before, create_process},
    {nothing_before, create_attached},   {others_before, create_process},
    {nothing_before, create_anchored},   {others_before, create_attached},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

TEST(memory_runs_out)
{
    for (size_t i = 0; i < CHANGES; i++)
        change_without_memory(&changes[i]);
}

TEST(the_kernel_fails)
{
    static const enum fake_op ops[] = {FAKE_CREATE, FAKE_SET,    FAKE_LOCK,
                                       FAKE_ATTACH, FAKE_REMOVE, FAKE_STAT};
    static const int errors[] = {ENOENT, EPERM, EACCES, EINVAL, ENOMEM, ENOSPC, EIO, EEXIST};
    unsigned failed[sizeof(ops) / sizeof(ops[0])] = {0};
    for (size_t i = 0; i < CHANGES; i++)
        for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++)
            for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++)
                failed[op] += change_without_kernel(&changes[i], ops[op], errors[e]);
    for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++)
        assert_true(failed[op] > 0);
}

TEST(the_store_fails)
{
    for (size_t i = 0; i < CHANGES; i++)
        change_without_store(&changes[i]);
}

static void is_announced(struct fake_sysv *kernel, enum fake_op op, int32_t shmid)
{
    const struct fake_store *store = kernel->hook_data;
    (void)shmid;
    if (op != FAKE_CREATE)
        return;
    assert_true(store->has_intent);
    assert_int_equal(store->intent.key, 0x77);
    assert_int_equal(store->intent.size, 4097);
    assert_int_equal(store->intent.pid, f->core.own_pid);
}

/* Else a daemon that is killed in between leaves a segment of which nobody knows. */
TEST(it_is_announced_before_it_is_made)
{
    struct caller caller = core_fixture_caller(f, ALICE, 1);
    f->k->before = is_announced;
    f->k->hook_data = &f->store;
    assert_int_equal(
        fixture_create(f, &caller,
                       &(const struct create_params){.key = GIVEN(0x77), .size = GIVEN(4097)}),
        0);
    f->k->before = NULL;
    assert_int_equal(f->k->calls[FAKE_CREATE], 1);
}

/* Another program of the daemon's uid, so that the kernel would let the daemon. */
static const struct fake_process other_program = {990, 990, 41};
static int32_t recycled;

/* When the store has failed, before the look that taking back begins with. */
static void recycle_before_the_last_look(struct fake_sysv *kernel, enum fake_op op, int32_t shmid)
{
    const struct fake_store *store = kernel->hook_data;
    if (op != FAKE_STAT || store->n_commits == 0 || recycled >= 0)
        return;
    assert_int_equal(fake_sysv_recycle(kernel, shmid, &other_program, 9), 0);
    recycled = shmid;
}

TEST(what_has_its_place_by_now_is_not_taken_back)
{
    const struct create_params p = {.name = "a", .size = GIVEN(64)};
    recycled = -1;
    f->store.n_commits = 0;
    f->k->before = recycle_before_the_last_look;
    f->k->hook_data = &f->store;
    store_will_fail();
    assert_int_equal(fixture_create(f, &alice, &p), OUTCOME_STORE_FAILURE);
    f->k->before = NULL;
    assert_true(recycled >= 0);
    assert_non_null(fake_sysv_segment(f->k, recycled));
    assert_int_equal(fake_sysv_segment(f->k, recycled)->cpid, other_program.pid);
    assert_int_equal(fake_sysv_remove_as(f->k, recycled), 0);
}

TEST(processes_cannot_be_watched)
{
    for (int i = 0; i < 3; i++) {
        struct core_fixture *g = core_fixture_new();
        nothing_before(g);
        char *before = core_fixture_snapshot(g);
        *(i == 0 ? &g->p.fail_open_peer : i == 1 ? &g->p.fail_identify : &g->p.fail_watch) = EMFILE;
        assert_int_equal(create_attached(g), -EMFILE);
        char *after = core_fixture_snapshot(g);
        assert_string_equal(after, before);
        free(before);
        free(after);
        core_fixture_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_least),
        CASE(everything),
        CASE(a_lock_is_set),
        CASE(the_existing_one),
        CASE(existing_and_refused),
        CASE(which_segment_exists_is_for_those_who_may_read_it),
        CASE(a_strangers_segment_is_not_handed_out),
        CASE(rights),
        CASE(what_makes_no_sense),
        CASE(quotas),
        CASE(quotas_of_locked_and_anchored_bytes),
        CASE(more_than_an_address_space),
        CASE(quotas_of_what_is_gone),
        CASE(a_refusal_looks_at_some_and_the_next_goes_on),
        CASE(those_of_others_are_looked_at_once_a_second),
        CASE(others_bytes_that_are_gone),
        CASE(a_key_that_a_foreign_segment_has),
        CASE(a_name_whose_segment_is_gone_is_free),
        CASE(the_old_record_of_a_shmid_given_out_again),
        CASE(attached),
        CASE(a_connections_segment_needs_no_process),
        CASE(a_creator_that_cannot_be_watched),
        CASE(no_room_for_a_segment),
        CASE(no_memory),
        CASE(no_huge_pages),
        CASE(sizes),
        CASE(locks),
        CASE(unexplained_refusals_are_forwarded),
        CASE(what_is_not_there_is_not_supported),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(the_kernel_fails),
        cmocka_unit_test(the_store_fails),
        CASE(it_is_announced_before_it_is_made),
        CASE(what_has_its_place_by_now_is_not_taken_back),
        cmocka_unit_test(processes_cannot_be_watched),
    };
    return RUN_TESTS(tests);
}
