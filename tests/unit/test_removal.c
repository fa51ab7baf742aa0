/* SPDX-License-Identifier: MIT */
/*
 * Ends of segments: by request, by expiry, by others; at once or at the last detach; each charge
 * given back once, the name free at once, and nothing removed that is not provably the same.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/find.h"
#include "daemon/core/removal.h"
#include "daemon/core/remove.h"
#include "daemon/core/view.h"

static void nothing_is_left(void)
{
    assert_int_equal(f->core.registry.count, 0);
    assert_int_equal(f->core.quota.total[QUOTA_SEGMENTS], 0);
    assert_int_equal(fake_sysv_count(f->k), 0);
    assert_int_equal(f->store.n_records, 0);
    assert_int_equal(f->core.parties.n_processes, 0);
}

TEST(every_lifetime)
{
    for (int i = 0; i < LIFETIME_COUNT; i++) {
        struct segment *s = made("a", (enum lifetime)i);
        assert_int_equal(fixture_remove(f, "a"), 0);
        struct wire_segment view;
        view_found(&f->core, &f->found, &view);
        assert_ptr_equal(f->found.segment, s); /* it may be shown until the turn ends */
        assert_int_equal(view.state, STATE_REMOVED);
        assert_string_equal(view.name, "a");
        assert_int_equal(view.nattch, 0);
        turn_ends();
        told("removed/request:a");
        nothing_is_left();
    }
    ends_with_party(&f->core, steal_pointer(&alice.party));
}

TEST(still_attached)
{
    struct segment *s = made("a", LIFETIME_PROCESS);
    uint64_t serial = s->serial;
    fake_sysv_attach_as(f->k, s->shmid, 9);
    fake_sysv_attach_as(f->k, s->shmid, 8);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(f->found.segment->state, STATE_REMOVING);
    assert_int_equal(f->found.kernel.nattch, 2);
    assert_true(f->found.kernel.destroyed);
    turn_ends();
    told("removed/request:a");
    assert_int_equal(f->core.parties.n_processes, 0);
    /* The name is free, the charge is not. */
    assert_int_equal(f->core.quota.total[QUOTA_BYTES], 4096);
    (void)made("a", LIFETIME_PERSISTENT);
    /* Once more is nothing. */
    const struct remove_params p = {.target = {.serial = GIVEN((int64_t)serial)}};
    f->found = (struct found){s, *fake_sysv_segment(f->k, s->shmid)};
    assert_int_equal(core_remove(&f->core, &p, &f->found, &f->detail), 0);
    assert_false(core_turn_is_due(&f->core));
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->core.registry.count, 2);
    fake_sysv_exit(f->k, 8);
    core_fixture_pass(f, 5000);
    assert_int_equal(f->core.registry.count, 1);
    assert_int_equal(f->core.quota.total[QUOTA_BYTES], 4096);
    told(""); /* its event was told already */
}

TEST(only_if_unattached)
{
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    const struct remove_params p = {.only_if_unattached = GIVEN(true)};
    fake_sysv_attach_as(f->k, s->shmid, 9);
    assert_int_equal(fixture_look(f, "a"), 0);
    assert_int_equal(core_remove(&f->core, &p, &f->found, &f->detail), OUTCOME_SEGMENT_BUSY);
    assert_int_equal(f->detail.nattch, 1);
    assert_int_equal(f->k->calls[FAKE_REMOVE], 0);
    fake_sysv_exit(f->k, 9);
    assert_int_equal(fixture_look(f, "a"), 0);
    assert_int_equal(core_remove(&f->core, &p, &f->found, &f->detail), 0);
    turn_ends();
    nothing_is_left();
    /* Our own attachment is no reason. */
    (void)made("b", LIFETIME_ATTACHED);
    assert_int_equal(fixture_look(f, "b"), 0);
    assert_int_equal(f->found.kernel.nattch, 1);
    assert_int_equal(core_remove(&f->core, &p, &f->found, &f->detail), 0);
    turn_ends();
    nothing_is_left();
}

TEST(refused)
{
    made("a", LIFETIME_PERSISTENT);
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EACCES);
    assert_int_equal(fixture_remove(f, "a"), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "the daemon as owner");
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EIO);
    assert_int_equal(fixture_remove(f, "a"), -EIO);
    assert_false(core_turn_is_due(&f->core));
    /* Another process was quicker. */
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, ENOENT);
    fake_sysv_remove_as(f->k, f->found.segment->shmid);
    const struct remove_params p = {0};
    assert_int_equal(core_remove(&f->core, &p, &f->found, &f->detail), 0);
    turn_ends();
    nothing_is_left();
}

/* Nor does the daemon's own attachment count then, which it has given up. */
TEST(what_cannot_be_looked_at_any_more)
{
    f->core.rmid_forced = f->k->shm_rmid_forced = true;
    struct segment *s = made("a", LIFETIME_PERSISTENT);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    assert_int_equal(fixture_look(f, "a"), 0);
    assert_int_equal(f->found.kernel.nattch, 2);
    const struct remove_params p = {0};
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    assert_int_equal(core_remove(&f->core, &p, &f->found, &f->detail), 0);
    assert_int_equal(f->found.segment->state, STATE_REMOVING);
    assert_int_equal(f->found.kernel.nattch, 1);
    turn_ends();
    told("removed/request:a");
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    nothing_is_left();
}

static void removed_by_another(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    static const struct fake_process other = {BOB, BOBS, 50};
    if (op != FAKE_STAT)
        return;
    k->before = NULL;
    assert_int_equal(fake_sysv_recycle(k, shmid, &other, 4096), 0);
}

TEST(a_strangers_segment_of_the_same_id)
{
    int32_t shmid = made("a", LIFETIME_PERSISTENT)->shmid;
    f->k->before = removed_by_another;
    assert_int_equal(fixture_remove(f, "a"), OUTCOME_STALE_SEGMENT);
    turn_ends();
    told("removed/recycled:a");
    assert_int_equal(fake_sysv_segment(f->k, shmid)->cuid, BOB);
    assert_int_equal(f->k->calls[FAKE_REMOVE], 0);
    assert_int_equal(f->core.registry.count, 0);
}

TEST(many)
{
    for (int i = 0; i < 300; i++) {
        const struct create_params p = {.size = GIVEN(100 + i), .ttl_ms = GIVEN(1000 + i)};
        assert_int_equal(fixture_create(f, &alice, &p), 0);
        if (i % 7 == 0)
            turn_ends();
    }
    turn_ends();
    for (uint64_t serial = 1; serial <= 300; serial += 3) {
        const struct target target = {.serial = GIVEN((int64_t)serial)};
        assert_int_equal(find_target(&f->core, &target, &f->found, &f->detail), 0);
        assert_int_equal(removal_do(&f->core, &f->found, REASON_REQUEST), 0);
    }
    f->told[0] = '\0';
    turn_ends();
    assert_int_equal(f->core.registry.count, 200);
    core_fixture_check_kernel(f);
    f->told[0] = '\0';
    core_fixture_pass(f, 2000);
    nothing_is_left();
    core_fixture_pass(f, 5000);
    assert_int_equal(core_next_tick(&f->core), -1); /* nothing to look after */
}

/* --- expiry */

static struct segment *made_for(const char *name, int64_t ttl_ms)
{
    const struct create_params p = {.name = name, .size = GIVEN(1), .ttl_ms = GIVEN(ttl_ms)};
    assert_int_equal(fixture_create(f, &alice, &p), 0);
    turn_ends();
    (void)core_fixture_told(f);
    return f->found.segment;
}

TEST(expired)
{
    made_for("a", 1000);
    made_for("b", 2000);
    core_fixture_pass(f, 999);
    told("");
    core_fixture_pass(f, 1);
    told("removed/expired:a");
    core_fixture_pass(f, 1000);
    told("removed/expired:b");
    nothing_is_left();
}

TEST(renewed)
{
    struct segment *s = made_for("a", 1000);
    const struct set_params longer = {.ttl_ms = GIVEN(1000)}, none = {.ttl_ms = GIVEN(0)},
                            again = {.ttl_ms = GIVEN(50)};
    core_fixture_pass(f, 900);
    assert_int_equal(fixture_set(f, &alice, "a", &longer), 0);
    turn_ends();
    core_fixture_pass(f, 900);
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_int_equal(fixture_set(f, &alice, "a", &none), 0);
    turn_ends();
    core_fixture_pass(f, 100000);
    assert_ptr_equal(fixture_record(f, "a"), s);
    assert_int_equal(fixture_set(f, &alice, "a", &again), 0);
    turn_ends();
    core_fixture_told(f);
    core_fixture_pass(f, 50);
    told("removed/expired:a");
}

TEST(the_wall_clock_jumps)
{
    made_for("a", 1000);
    f->clock.real_ms += 1000000000;
    core_tick(&f->core);
    turn_ends();
    assert_non_null(fixture_record(f, "a"));
    f->clock.real_ms -= 2000000000;
    core_fixture_pass(f, 1000);
    assert_null(fixture_record(f, "a"));
}

TEST(a_long_sleep)
{
    /* In a suspend the boot clock goes on, and all is due at once. */
    made_for("a", 1000);
    made_for("b", 500000);
    made_for("c", 900000000);
    fake_clock_advance(&f->clock, 600000);
    core_tick(&f->core);
    turn_ends();
    told("removed/expired:a removed/expired:b");
}

TEST(every_lifetime_expires)
{
    for (int i = 0; i < LIFETIME_COUNT; i++) {
        const struct create_params p = {.name = "a",
                                        .size = GIVEN(1),
                                        .lifetime = GIVEN(i),
                                        .ready = GIVEN(i % 2 == 0),
                                        .ttl_ms = GIVEN(5)};
        assert_int_equal(fixture_create(f, &alice, &p), 0);
        turn_ends();
        (void)core_fixture_told(f);
        core_fixture_pass(f, 5);
        told("removed/expired:a");
        nothing_is_left();
    }
    ends_with_party(&f->core, steal_pointer(&alice.party));
}

TEST(expired_while_attached)
{
    struct segment *s = made_for("a", 1000);
    fake_sysv_attach_as(f->k, s->shmid, 9);
    core_fixture_pass(f, 1000);
    told("removed/expired:a");
    assert_int_equal(s->state, STATE_REMOVING);
    assert_int_equal(s->expires_at_ms, 0);
    fake_sysv_exit(f->k, 9);
    core_fixture_pass(f, 5000);
    nothing_is_left();
}

TEST(the_kernel_will_not)
{
    struct segment *s = made_for("a", 1000);
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EPERM);
    core_fixture_pass(f, 1000);
    assert_ptr_equal(fixture_record(f, "a"), s);
    told("");
    assert_int_equal(s->expires_at_ms, f->clock.boot_ms); /* its time does not move */
    /* Again, with the next sweep. */
    fake_clock_advance(&f->clock, 5000);
    core_tick(&f->core);
    turn_ends();
    assert_null(fixture_record(f, "a"));
    told("removed/expired:a");
}

TEST(removed_before_it_expires)
{
    made_for("a", 1000);
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    told("removed/request:a");
    fake_sysv_remove_as(f->k, made_for("b", 2000)->shmid);
    core_fixture_pass(f, 6000);
    nothing_is_left();
    told("removed/out-of-band:b");
}

TEST(a_time_from_now)
{
    assert_int_equal(ends_after(&f->core, 0), 0);
    assert_int_equal(ends_after(&f->core, 1), f->clock.boot_ms + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_lifetime),
        CASE(still_attached),
        CASE(only_if_unattached),
        CASE(refused),
        CASE(what_cannot_be_looked_at_any_more),
        CASE(a_strangers_segment_of_the_same_id),
        CASE(many),
        CASE(expired),
        CASE(renewed),
        CASE(the_wall_clock_jumps),
        CASE(a_long_sleep),
        CASE(every_lifetime_expires),
        CASE(expired_while_attached),
        CASE(the_kernel_will_not),
        CASE(removed_before_it_expires),
        CASE(a_time_from_now),
    };
    return RUN_TESTS(tests);
}
