/* SPDX-License-Identifier: MIT */
/*
 * `disown`: what the daemon created is given back in the kernel first, what was adopted in the
 * records first; and it is done whole, or nothing is.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/disown.h"
#include "daemon/core/find.h"
#include "daemon/core/ledger.h"
#include "tests/fakes/change.h"

static int disown_found(struct core_fixture *g, uint32_t uid)
{
    const struct caller caller = core_fixture_caller(g, uid, 1);
    return core_disown(&g->core, &caller, &g->found, &g->detail);
}

static int disown(struct core_fixture *g)
{
    int r = find_name(&g->core, "a", &g->found);
    return r == 0 ? disown_found(g, 0) : r;
}

/* Of root's, made for bob: to give it back is to change its owner. */
static void create_for_bob(struct core_fixture *g)
{
    struct caller caller = core_fixture_caller(g, 0, 3);
    const struct create_params p = {
        .name = "a", .size = GIVEN(5000), .uid = GIVEN(BOB), .gid = GIVEN(BOBS)};
    assert_int_equal(fixture_create(g, &caller, &p), 0);
    assert_int_equal(core_fixture_turn(g), 0);
}

static int32_t adopt_of_alice(struct core_fixture *g)
{
    const struct fake_process creator = {ALICE, ALICES, 1};
    const struct sysv_create args = {.size = 5000};
    struct caller caller = core_fixture_caller(g, ALICE, 1);
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(g->k, &creator, &args, 0640, &shmid), 0);
    fake_sysv_segment(g->k, shmid)->uid = DAEMON;
    const struct adopt_params p = {.shmid = GIVEN(shmid), .name = "a"};
    assert_int_equal(fixture_adopt(g, &caller, &p), 0);
    assert_int_equal(core_fixture_turn(g), 0);
    return shmid;
}

static void adopt(struct core_fixture *g)
{
    (void)adopt_of_alice(g);
}

static const struct change created = {create_for_bob, disown};
static const struct change adopted = {adopt, disown};

TEST(whole_or_not_at_all)
{
    change_without_memory(&adopted);
    /* Of a created one the owner is put back then. */
    change_without_store(&created);
    change_without_store(&adopted);
}

/* What the daemon made of itself, for a file, would be nobody's then but the daemon's. */
TEST(of_the_daemons_own)
{
    struct caller self = core_fixture_caller(f, DAEMON, 3);
    const struct create_params p = {
        .name = "a", .size = GIVEN(5000), .uid = GIVEN(BOB), .gid = GIVEN(BOBS)};
    assert_int_equal(fixture_create(f, &self, &p), 0);
    turn_ends();
    assert_int_equal(find_name(&f->core, "a", &f->found), 0);
    assert_int_equal(disown_found(f, BOB), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "admin");
    assert_non_null(fixture_record(f, "a"));
    assert_int_equal(disown_found(f, 0), 0);
    assert_int_equal(f->core.registry.count, 0);
    turn_ends();
}

/* The kernel refuses: the records have not changed. */
TEST(of_created_that_was_taken_back)
{
    create_for_bob(f);
    fake_sysv_fail(f->k, FAKE_SET, 1, EPERM);
    assert_int_equal(disown(f), OUTCOME_PERMISSION_DENIED);
    assert_non_null(fixture_record(f, "a"));
    assert_non_null(fake_store_find_name(&f->store, "a"));
    turn_ends();
}

TEST(of_created)
{
    create_for_bob(f);
    int32_t shmid = fixture_record(f, "a")->shmid;
    assert_int_equal(disown(f), 0);
    assert_int_equal(f->core.registry.count, 0);
    assert_null(fake_store_find_name(&f->store, "a"));
    assert_int_equal(fake_sysv_segment(f->k, shmid)->uid, 0);
    turn_ends();
}

/* Its creator has taken back the owner: the daemon has no rights any more, and needs none. */
TEST(of_an_adopted_one_that_was_taken_back)
{
    int32_t shmid = adopt_of_alice(f);
    fake_sysv_segment(f->k, shmid)->uid = ALICE;
    assert_int_equal(disown(f), 0);
    assert_int_equal(f->core.registry.count, 0);
    assert_null(fake_store_find_name(&f->store, "a"));
    turn_ends();
}

/* That the daemon had it attached, too, is told nobody. */
TEST(the_anchor_is_not_told)
{
    f->core.rmid_forced = f->k->shm_rmid_forced = true;
    create_for_bob(f);
    assert_non_null(fixture_record(f, "a")->anchor);
    fake_sysv_attach_as(f->k, fixture_record(f, "a")->shmid, 1);
    assert_int_equal(disown(f), 0);
    const struct segment_event *event = STAILQ_FIRST(&f->core.news.waiting);
    assert_non_null(event);
    assert_int_equal(event->segment.nattch, 1);
    turn_ends();
}

/* kernel.shm_rmid_forced has been written since the last sweep. */
TEST(what_would_be_gone_at_once)
{
    f->core.rmid_forced = f->k->shm_rmid_forced = true;
    create_for_bob(f);
    assert_non_null(fixture_record(f, "a")->anchor);
    f->core.rmid_forced = false;
    assert_int_equal(disown_found(f, 0), OUTCOME_NOT_SUPPORTED);
    fake_sysv_fail(f->k, FAKE_LIMITS, 1, EIO);
    assert_int_equal(disown_found(f, 0), -EIO);
    assert_int_equal(f->core.registry.count, 1);
    f->core.rmid_forced = true;
    f->k->shm_rmid_forced = false;
    assert_int_equal(disown_found(f, 0), 0);
    turn_ends();
}

/* What is being removed stays the daemon's until it is gone. */
TEST(what_is_being_removed)
{
    create_for_bob(f);
    fake_sysv_attach_as(f->k, fixture_record(f, "a")->shmid, 1);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(disown_found(f, 0), OUTCOME_INVALID_PARAMETER);
    assert_null(f->detail.what);
    assert_contains(f->detail.hint, "is being removed");
    assert_int_equal(f->core.registry.count, 1);
    turn_ends();
}

/* In the second in which it is disowned, a segment looks like one of a create that begins then. */
TEST(a_create_in_the_same_second)
{
    f->k->now = f->clock.real_ms / 1000;
    create_for_bob(f);
    int32_t shmid = fixture_record(f, "a")->shmid;
    assert_int_equal(disown(f), 0);
    turn_ends();
    assert_int_equal(ledger_intend(&f->core, 0, 5000, &f->detail), 0);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_false(f->start.unacknowledged.is_removed);
    assert_non_null(fake_sysv_segment(f->k, shmid));
    turn_ends();
}

/* Nor does it look like one of a create after the clock was set back, though another was disowned
 * since. */
TEST(a_create_after_the_clock_was_set_back)
{
    f->k->now = f->clock.real_ms / 1000;
    create_for_bob(f);
    int32_t shmid = fixture_record(f, "a")->shmid;
    assert_int_equal(disown(f), 0);
    f->clock.real_ms -= 600000;
    f->k->now = f->clock.real_ms / 1000;
    create_for_bob(f);
    assert_int_equal(disown(f), 0);
    turn_ends();
    assert_int_equal(ledger_intend(&f->core, 0, 5000, &f->detail), 0);
    /* Else two look like it, of which none is removed. */
    assert_int_equal(fake_sysv_remove_as(f->k, shmid + 1), 0);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_false(f->start.unacknowledged.is_removed);
    assert_non_null(fake_sysv_segment(f->k, shmid));
    turn_ends();
}

/* Nor when its owner has changed it since. */
TEST(a_create_before_the_owner_changes_it)
{
    create_for_bob(f);
    int32_t shmid = fixture_record(f, "a")->shmid;
    assert_int_equal(disown(f), 0);
    turn_ends();
    f->clock.real_ms += 10000;
    assert_int_equal(ledger_intend(&f->core, 0, 5000, &f->detail), 0);
    fake_sysv_segment(f->k, shmid)->ctime = f->clock.real_ms / 1000 + 1;
    assert_int_equal(core_fixture_crash(f), 0);
    assert_false(f->start.unacknowledged.is_removed);
    assert_non_null(fake_sysv_segment(f->k, shmid));
    turn_ends();
}

/* The daemon is killed between the making of a segment of SIZE and its record. */
static void crash_within_a_create(uint64_t size)
{
    const struct sysv_create args = {.size = size};
    int32_t shmid;
    f->k->now = f->clock.real_ms / 1000;
    assert_int_equal(ledger_intend(&f->core, 0, size, &f->detail), 0);
    assert_int_equal(fake_sysv_create_as(f->k, &f->k->self, &args, 0600, &shmid), 0);
    assert_int_equal(core_fixture_crash(f), 0);
}

TEST(a_create_of_another_size)
{
    create_for_bob(f);
    assert_int_equal(disown(f), 0);
    turn_ends();
    crash_within_a_create(8192);
    assert_true(f->start.unacknowledged.is_removed);
    turn_ends();
}

/* It remembers so many sizes; when there were more, it may have been any. */
TEST(a_create_after_many_sizes)
{
    struct caller caller = core_fixture_caller(f, 0, 3);
    for (unsigned i = 0; i <= DISOWNED_SIZES_MAX; i++) {
        const struct create_params p = {.name = "a", .size = GIVEN(5000 + i), .uid = GIVEN(BOB)};
        assert_int_equal(fixture_create(f, &caller, &p), 0);
        assert_int_equal(disown(f), 0);
        turn_ends();
    }
    crash_within_a_create(8192);
    assert_false(f->start.unacknowledged.is_removed);
    /* It is left behind, and the administrator is told which it is. */
    assert_int_equal(f->start.unacknowledged.n_unclear, 1);
    const int32_t shmid = f->start.unacknowledged.unclear[0];
    assert_int_equal(fake_sysv_segment(f->k, shmid)->size, 8192);
    turn_ends();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_or_not_at_all),
        CASE(of_the_daemons_own),
        CASE(of_created_that_was_taken_back),
        CASE(of_created),
        CASE(of_an_adopted_one_that_was_taken_back),
        CASE(the_anchor_is_not_told),
        CASE(what_would_be_gone_at_once),
        CASE(what_is_being_removed),
        CASE(a_create_in_the_same_second),
        CASE(a_create_after_the_clock_was_set_back),
        CASE(a_create_before_the_owner_changes_it),
        CASE(a_create_of_another_size),
        CASE(a_create_after_many_sizes),
    };
    return RUN_TESTS(tests);
}
