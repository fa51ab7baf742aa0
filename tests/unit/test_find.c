/* SPDX-License-Identifier: MIT */
/*
 * From what a request names to a segment: by name, shmid, key or serial, guarded by a serial; each
 * look compares record and kernel, and each of the five verdicts has its answer. And how a segment
 * is shown.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/access.h"
#include "daemon/core/find.h"
#include "daemon/core/view.h"

static struct segment *s; /* «a», with key 5 */

static int begin(void **state)
{
    (void)core_begin(state);
    const struct create_params p = {.name = "a", .key = GIVEN(5), .size = GIVEN(4096)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    s = f->found.segment;
    assert_int_equal(core_fixture_turn(f), 0);
    (void)core_fixture_told(f);
    return 0;
}

static const struct fake_process other = {BOB, BOBS, 50};

#define LOOK(...) find_target(&f->core, &(const struct target){__VA_ARGS__}, &f->found, &f->detail)

static int32_t foreign(uint32_t key)
{
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(f->k, &other, &(struct sysv_create){.key = key, .size = 9},
                                         0600, &shmid),
                     0);
    return shmid;
}

TEST(by_all_it_is_known_by)
{
    assert_int_equal(LOOK(.name = "a"), 0);
    assert_ptr_equal(f->found.segment, s);
    assert_int_equal(f->found.kernel.shmid, s->shmid);
    f->found = (struct found){0};
    assert_int_equal(LOOK(.shmid = GIVEN(s->shmid)), 0);
    assert_ptr_equal(f->found.segment, s);
    assert_int_equal(LOOK(.key = GIVEN(5)), 0);
    assert_ptr_equal(f->found.segment, s);
    assert_int_equal(LOOK(.serial = GIVEN((int64_t)s->serial)), 0);
    assert_ptr_equal(f->found.segment, s);
}

TEST(a_key_has_two_spellings)
{
    const struct create_params p = {.key = GIVEN(-1), .size = GIVEN(1)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    struct segment *minus = f->found.segment;
    assert_int_equal(LOOK(.key = GIVEN(4294967295)), 0);
    assert_ptr_equal(f->found.segment, minus);
    assert_int_equal(LOOK(.key = GIVEN(-1)), 0);
    assert_ptr_equal(f->found.segment, minus);
    assert_int_equal(core_fixture_turn(f), 0);
}

TEST(nothing_there)
{
    f->found.segment = s;
    assert_int_equal(LOOK(.name = "b"), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(LOOK(.shmid = GIVEN(77)), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(LOOK(.key = GIVEN(6)), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(LOOK(.serial = GIVEN(77)), OUTCOME_NO_SUCH_SEGMENT);
    assert_ptr_equal(f->found.segment, s); /* outputs are untouched */
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    assert_int_equal(LOOK(.shmid = GIVEN(77)), -EIO);
    fake_sysv_fail(f->k, FAKE_FIND, 1, EACCES);
    assert_int_equal(LOOK(.key = GIVEN(6)), -EACCES);
}

TEST(foreign_ones)
{
    int32_t shmid = foreign(8);
    assert_int_equal(LOOK(.shmid = GIVEN(shmid)), 0);
    assert_null(f->found.segment);
    assert_int_equal(f->found.kernel.cuid, BOB);
    f->found.segment = s;
    assert_int_equal(LOOK(.key = GIVEN(8)), 0);
    assert_null(f->found.segment);
}

static void stale(int r, uint64_t serial)
{
    assert_int_equal(r, OUTCOME_STALE_SEGMENT);
    assert_int_equal(f->detail.serial, serial);
}

TEST(guarded_by_a_serial)
{
    struct segment *b = fixture_made(f, &alice, "b", LIFETIME_PERSISTENT);
    int64_t right = (int64_t)s->serial, wrong = (int64_t)b->serial;
    assert_int_equal(LOOK(.name = "a", .serial = GIVEN(right)), 0);
    assert_int_equal(LOOK(.shmid = GIVEN(s->shmid), .serial = GIVEN(right)), 0);
    assert_int_equal(LOOK(.key = GIVEN(5), .serial = GIVEN(right)), 0);
    stale(LOOK(.name = "a", .serial = GIVEN(wrong)), b->serial);
    stale(LOOK(.shmid = GIVEN(s->shmid), .serial = GIVEN(wrong)), b->serial);
    stale(LOOK(.key = GIVEN(5), .serial = GIVEN(wrong)), b->serial);
    stale(LOOK(.name = "a", .serial = GIVEN(77)), 77);
    /* The serial's segment is there and the name's is not: they are not the same. */
    stale(LOOK(.name = "c", .serial = GIVEN(right)), s->serial);
    assert_int_equal(LOOK(.name = "c", .serial = GIVEN(77)), OUTCOME_NO_SUCH_SEGMENT);
    /* A foreign one has no serial. */
    stale(LOOK(.shmid = GIVEN(foreign(0)), .serial = GIVEN(right)), s->serial);
    /* What could not be looked at is not judged. */
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    assert_int_equal(LOOK(.name = "a", .serial = GIVEN(wrong)), -EIO);
}

TEST(gone)
{
    fake_sysv_remove_as(f->k, s->shmid);
    assert_int_equal(LOOK(.name = "a"), OUTCOME_NO_SUCH_SEGMENT);
    assert_null(fixture_record(f, "a"));
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "removed/out-of-band:a");
}

TEST(gone_with_a_guard)
{
    uint64_t serial = s->serial;
    fake_sysv_remove_as(f->k, s->shmid);
    assert_int_equal(LOOK(.name = "a", .serial = GIVEN((int64_t)serial)), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(core_fixture_turn(f), 0);
}

TEST(recycled)
{
    /* By each of the ways to name it; nothing of the stranger's is touched. */
    for (int way = 0; way < 4; way++) {
        struct segment *r = fixture_made(f, &alice, "r", LIFETIME_PROCESS);
        const struct create_params keyed = {.name = "k", .key = GIVEN(70), .size = GIVEN(1)};
        assert_int_equal(fixture_create(f, &alice, &keyed), 0);
        struct segment *k = f->found.segment;
        assert_int_equal(core_fixture_turn(f), 0);
        struct segment *of = way == 2 ? k : r;
        uint64_t serial = of->serial;
        int32_t shmid = of->shmid;
        assert_int_equal(fake_sysv_recycle(f->k, shmid, &other, 4096), 0);
        (void)core_fixture_told(f);
        int got = way == 0   ? LOOK(.name = "r")
                  : way == 1 ? LOOK(.shmid = GIVEN(shmid))
                  : way == 2 ? LOOK(.key = GIVEN(70))
                             : LOOK(.serial = GIVEN((int64_t)serial));
        if (way == 2) /* the key denotes nothing any more */
            assert_int_equal(got, OUTCOME_NO_SUCH_SEGMENT);
        else
            stale(got, serial);
        assert_int_equal(core_fixture_turn(f), 0);
        assert_string_equal(core_fixture_told(f),
                            way == 2 ? "removed/recycled:k" : "removed/recycled:r");
        const struct sysv_stat *stranger = fake_sysv_segment(f->k, shmid);
        assert_int_equal(stranger->cuid, BOB);
        assert_false(stranger->destroyed);
        /* The next look shows whose it is. */
        assert_int_equal(LOOK(.shmid = GIVEN(shmid)), 0);
        assert_null(f->found.segment);
        if (fixture_record(f, "r"))
            assert_int_equal(fixture_remove(f, "r"), 0);
        if (fixture_record(f, "k"))
            assert_int_equal(fixture_remove(f, "k"), 0);
        assert_int_equal(core_fixture_turn(f), 0);
    }
}

TEST(dying)
{
    fake_sysv_attach_as(f->k, s->shmid, 1);
    fake_sysv_remove_as(f->k, s->shmid);
    assert_int_equal(LOOK(.shmid = GIVEN(s->shmid)), 0);
    assert_int_equal(f->found.segment->state, STATE_REMOVING);
    assert_null(s->name);
    assert_int_equal(s->key, 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "removed/out-of-band:a");
    assert_int_equal(LOOK(.shmid = GIVEN(s->shmid)), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "");
    fake_sysv_exit(f->k, 1);
    assert_int_equal(LOOK(.serial = GIVEN((int64_t)s->serial)), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "");
    assert_int_equal(f->store.n_records, 0);
}

TEST(dying_by_name_or_key)
{
    fake_sysv_attach_as(f->k, s->shmid, 1);
    fake_sysv_remove_as(f->k, s->shmid);
    assert_int_equal(LOOK(.name = "a"), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(core_fixture_turn(f), 0);
    const struct create_params p = {.name = "b", .key = GIVEN(5), .size = GIVEN(1)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    fake_sysv_attach_as(f->k, f->found.segment->shmid, 1);
    fake_sysv_remove_as(f->k, f->found.segment->shmid);
    assert_int_equal(LOOK(.key = GIVEN(5)), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(f->core.registry.count, 2);
}

TEST(dying_with_only_our_anchor_on_it)
{
    f->k->shm_rmid_forced = true;
    core_fixture_pass(f, 5000);
    assert_non_null(s->anchor);
    fake_sysv_remove_as(f->k, s->shmid);
    assert_int_equal(LOOK(.name = "a"), OUTCOME_NO_SUCH_SEGMENT);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_string_equal(core_fixture_told(f), "removed/out-of-band:a");
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(fake_sysv_count(f->k), 0);
    /* Another attachment counts, and the anchor does not. */
    const struct create_params p = {.name = "b", .size = GIVEN(1)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    s = f->found.segment;
    fake_sysv_attach_as(f->k, s->shmid, 1);
    fake_sysv_remove_as(f->k, s->shmid);
    assert_int_equal(LOOK(.serial = GIVEN((int64_t)s->serial)), 0);
    struct wire_segment view;
    view_found(&f->core, &f->found, &view);
    assert_int_equal(view.state, STATE_REMOVING);
    assert_int_equal(view.nattch, 1);
    assert_int_equal(core_fixture_turn(f), 0);
}

TEST(indeterminate)
{
    fake_sysv_fail(f->k, FAKE_STAT, 1, EACCES);
    assert_int_equal(LOOK(.name = "a"), -EACCES);
    fake_sysv_segment(f->k, s->shmid)->cpid = 0;
    assert_int_equal(LOOK(.serial = GIVEN((int64_t)s->serial)), -EIO);
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_false(core_turn_is_due(&f->core));
    /* Nor is it removed. */
    fake_sysv_fail(f->k, FAKE_STAT, 1, EACCES);
    assert_int_equal(fixture_remove(f, "a"), -EACCES);
    assert_int_equal(f->k->calls[FAKE_REMOVE], 0);
    fake_sysv_segment(f->k, s->shmid)->cpid = DAEMON_PID;
}

TEST(what_others_changed_is_seen)
{
    struct sysv_stat *k = fake_sysv_segment(f->k, s->shmid);
    k->uid = BOB;
    k->gid = BOBS;
    k->mode = 0;
    assert_int_equal(LOOK(.name = "a"), 0);
    assert_int_equal(s->seen.uid, BOB);
    assert_int_equal(s->seen.gid, BOBS);
    assert_int_equal(s->seen.mode, 0);
}

/* --- as it is shown */

static struct wire_segment view_of(const char *name)
{
    struct wire_segment view;
    assert_int_equal(LOOK(.name = name), 0);
    view_found(&f->core, &f->found, &view);
    return view;
}

TEST(shown)
{
    core_fixture_pass(f, 2000);
    const struct create_params p = {.name = "v",
                                    .size = GIVEN(5000),
                                    .mode = GIVEN(0640),
                                    .lifetime = GIVEN(LIFETIME_PROCESS),
                                    .ttl_ms = GIVEN(10000),
                                    .noreserve = GIVEN(true),
                                    .labels = {true, 1, {{"k", "v"}}}};
    int64_t made_at = f->clock.real_ms;
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    core_fixture_pass(f, 3000);
    fake_sysv_attach_as(f->k, f->found.segment->shmid, 9);
    core_fixture_pass(f, 1000);
    struct wire_segment v = view_of("v");
    assert_int_equal(v.serial, 2);
    assert_string_equal(v.name, "v");
    assert_int_equal(v.size, 5000);
    assert_int_equal(v.mode, 0640);
    assert_int_equal(v.uid, ALICE);
    assert_int_equal(v.gid, ALICES);
    assert_int_equal(v.nattch, 1);
    assert_int_equal(v.last_pid, 9);
    assert_int_equal(v.creator.uid, ALICE);
    assert_int_equal(v.creator.pid, 1);
    assert_string_equal(v.creator.comm, "worker");
    assert_int_equal(v.state, STATE_READY);
    assert_int_equal(v.lifetime, LIFETIME_PROCESS);
    assert_int_equal(v.holders, 1);
    assert_null(v.holder_list);
    assert_true(v.noreserve);
    assert_int_equal(v.created_at_ms, made_at);
    assert_int_equal(v.expires_at_ms, made_at + 10000);
    assert_int_equal(v.attached_at_ms, made_at + 3000);
    assert_int_equal(v.detached_at_ms, 0);
    assert_int_equal(v.changed_at_ms, made_at);
    assert_int_equal(v.n_labels, 1);
    assert_true(v.managed);
    assert_false(v.declared);
    /* The wall clock jumps: the end is shown by the new one, and comes when it would have. */
    f->clock.real_ms += 3600000;
    assert_int_equal(view_of("v").expires_at_ms, made_at + 3600000 + 10000);
}

TEST(nothing_happens_before_it_is_made)
{
    core_fixture_pass(f, 522); /* the kernel counts whole seconds */
    (void)fixture_made(f, &alice, "v", LIFETIME_PERSISTENT);
    const int32_t shmid = view_of("v").shmid;
    fake_sysv_attach_as(f->k, shmid, 9);
    fake_sysv_detach_as(f->k, shmid, 9);
    const struct wire_segment v = view_of("v");
    assert_int_equal(v.last_pid, 9);
    assert_int_equal(v.attached_at_ms, v.created_at_ms);
    assert_int_equal(v.detached_at_ms, v.created_at_ms);
    assert_int_equal(v.changed_at_ms, v.created_at_ms);
}

TEST(our_anchor_is_nobodys_business)
{
    const struct create_params p = {
        .name = "v", .size = GIVEN(1), .lifetime = GIVEN(LIFETIME_ATTACHED)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    struct wire_segment v = view_of("v");
    assert_int_equal(fake_sysv_segment(f->k, v.shmid)->nattch, 1);
    assert_int_equal(v.nattch, 0);
    assert_int_equal(v.last_pid, 0);
    assert_int_equal(v.attached_at_ms, 0);
    assert_int_equal(v.state, STATE_READY);
    fake_sysv_attach_as(f->k, v.shmid, 1);
    v = view_of("v"); /* by which the anchor has gone */
    assert_int_equal(fake_sysv_segment(f->k, v.shmid)->nattch, 1);
    assert_int_equal(v.nattch, 1);
    assert_int_equal(core_fixture_turn(f), 0);
}

TEST(an_adopted_ones_owner)
{
    int32_t shmid = foreign(0);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    bob = core_fixture_caller(f, BOB, 50);
    const struct adopt_params p = {.shmid = GIVEN(shmid), .name = "v"};
    assert_int_equal(fixture_adopt(f, &bob, &p), 0);
    assert_int_equal(core_fixture_turn(f), 0);
    struct wire_segment v = view_of("v");
    assert_int_equal(v.uid, BOB); /* the kernel's owner is the daemon, by the hand-over */
    assert_int_equal(v.creator.uid, BOB);
    assert_string_equal(v.creator.comm, "worker");
}

/* Who may change a segment that he may not read is told a mode by which he may. */
TEST(the_mode_that_is_advised_helps)
{
    static const struct {
        uint32_t uid, gid;
        bool adopted;
        const char *mode;
        uint32_t bits;
        bool owner_is_advised;
    } cases[] = {
        {ALICE, ALICES, false, "\"0600\"", 0600, false},
        {BOB, ALICES, false, "\"0640\"", 0640, true},
        {BOB, ALICES, true, "\"0640\"", 0640, false},
        {BOB, BOBS, false, "\"0644\"", 0644, true},
        {BOB, BOBS, true, "\"0644\"", 0644, false},
    };
    const struct access *a = &f->core.settings.access;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(LOOK(.name = "a"), 0);
        struct found found = f->found;
        found.kernel.uid = cases[i].uid;
        found.kernel.gid = cases[i].gid;
        found.kernel.mode = 0;
        found.segment->adopted = cases[i].adopted;
        assert_int_equal(find_unreadable(&f->core, &alice, &found, &f->detail),
                         OUTCOME_PERMISSION_DENIED);
        assert_contains(f->detail.hint, cases[i].mode);
        assert_true((strstr(f->detail.hint, "your uid") != NULL) == cases[i].owner_is_advised);
        found.kernel.mode = cases[i].bits;
        assert_true(access_may_read(a, &alice, &found.kernel));
        found.segment->adopted = false;
    }
    /* To others nothing is said. */
    struct found found = f->found;
    found.kernel.mode = 0;
    assert_int_equal(find_unreadable(&f->core, &bob, &found, &f->detail),
                     OUTCOME_PERMISSION_DENIED);
    assert_null(f->detail.hint);
}

int main(void)
{
#define OWN_CASE(name) cmocka_unit_test_setup_teardown(name, begin, core_end)
    const struct CMUnitTest tests[] = {
        OWN_CASE(by_all_it_is_known_by),
        OWN_CASE(a_key_has_two_spellings),
        OWN_CASE(nothing_there),
        OWN_CASE(foreign_ones),
        OWN_CASE(guarded_by_a_serial),
        OWN_CASE(gone),
        OWN_CASE(gone_with_a_guard),
        OWN_CASE(recycled),
        OWN_CASE(dying),
        OWN_CASE(dying_by_name_or_key),
        OWN_CASE(dying_with_only_our_anchor_on_it),
        OWN_CASE(indeterminate),
        OWN_CASE(what_others_changed_is_seen),
        OWN_CASE(shown),
        OWN_CASE(nothing_happens_before_it_is_made),
        OWN_CASE(our_anchor_is_nobodys_business),
        OWN_CASE(an_adopted_ones_owner),
        OWN_CASE(the_mode_that_is_advised_helps),
    };
    return RUN_TESTS(tests);
}
